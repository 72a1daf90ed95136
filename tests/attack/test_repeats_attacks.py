"""Programs that want to be called repeatable, and are not: by what one run leaves for the next, and by results out of sight."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from real.tools import gone
from sanctity.errors import SanctityError
from sanctity.model.repeats import Claim, Level, Repeats
from sanctity.variation.catalogue import _faketime
from sanctity.verbs.repeating import Asked, prove
from sanctity.verbs.world import World
from variation.harnessing import write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="runs are kept apart on Linux")

#: The first run draws, and the others read what it drew.
KEEPS = """
import os, uuid
kept = os.environ["KEPT"]
if not os.path.exists(kept):
    with open(kept, "w") as file:
        file.write(uuid.uuid4().hex)
with open(kept) as file, open("out.txt", "w") as out:
    out.write(file.read())
"""


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def proof(work: Path, *command: str, environ: dict[str, str] | None = None, **asked: object) -> Repeats:
    """What is said of *command* in the folder *work*."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "SANCTITY", "OMP"))}
    world = World(cwd=str(work), environ={**clean, "TMPDIR": str(work.parent), **(environ or {})}, clock=lambda: 0.0)
    return prove(command, Asked(**{"runs": 1, "search": 0, **asked}), world)  # type: ignore[arg-type]


# -- one run hands its result to the next ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", [{}, {"level": Level.PROCESS}, {"vary": ("tz",)}], ids=["machine", "process", "one"])
def test_what_an_earlier_run_kept_in_a_cache_is_no_evidence(work: Path, asked: dict[str, object]) -> None:
    cache = work.parent / ".cache"
    cache.mkdir()
    write(work, KEEPS)
    found = proof(work, sys.executable, "program.py", environ={"KEPT": str(cache / "drawn")}, **asked)
    assert (found.claim, found.reason) == (Claim.UNDECIDED, "result-handed-on")
    assert found.runs[-1].handed == (str(cache / "drawn"),)
    # Filled before, it is an input as any other file.
    again = proof(work, sys.executable, "program.py", environ={"KEPT": str(cache / "drawn")}, **asked)
    assert again.claim is Claim.SAME


def test_a_database_that_runs_share_is_no_evidence(work: Path) -> None:
    write(
        work,
        """
        import os, sqlite3, uuid
        with sqlite3.connect(os.environ["KEPT"]) as base:
            base.execute("create table if not exists kept (value text)")
            row = base.execute("select value from kept").fetchone() or (uuid.uuid4().hex,)
            base.execute("insert into kept values (?)", row)
        open("out.txt", "w").write(row[0])
        """,
    )
    found = proof(work, sys.executable, "program.py", environ={"KEPT": str(work.parent / "kept.cache")})
    assert (found.claim, found.reason) == (Claim.UNDECIDED, "result-handed-on")


def test_a_time_that_is_given_back_hides_nothing(work: Path) -> None:
    (work / "state").write_text("0" * 32)
    write(
        work,
        f"""
        import os, uuid
        path = {str(work / "state")!r}
        state = os.stat(path)
        fd = os.open(path, os.O_WRONLY)
        os.write(fd, uuid.uuid4().hex.encode())
        os.close(fd)
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
        open("out.txt", "w").write("x")
        """,
    )
    found = proof(work, sys.executable, "program.py")
    assert (found.claim, found.reason, found.runs[-1].outside) == (Claim.UNDECIDED, "output-outside", ("state",))


# -- results out of sight ----------------------------------------------------------------------------------------------------------


def _linked_folder(work: Path, far: Path) -> str:
    (work / "out").symlink_to(far)
    return "out/model"


def _linked_file(work: Path, far: Path) -> str:
    (far / "model").write_text("old")
    (work / "model").symlink_to(far / "model")
    return "model"


@pytest.mark.parametrize("link", [_linked_folder, _linked_file])
@pytest.mark.parametrize("shell", [False, True], ids=["python", "shell"])
def test_what_is_written_through_a_link_is_told(work: Path, link: Callable[[Path, Path], str], *, shell: bool) -> None:
    far = work.parent / "far"
    far.mkdir()
    path = link(work, far)
    write(work, f"import uuid\nopen({path!r}, 'w').write(uuid.uuid4().hex)\nopen('log', 'w').write('the same')\n")
    script = f"cat /proc/sys/kernel/random/uuid >{path}; echo the same >log"
    found = proof(work, *(("sh", "-c", script) if shell else (sys.executable, "program.py")))
    assert (found.claim, found.reason) == (Claim.UNDECIDED, "output-outside")
    assert path in found.runs[-1].outside


@pytest.mark.parametrize("outputs", ["out/**", "out", "out/*", "out/model"])
def test_a_named_folder_that_is_a_link_is_one_of_the_runs_own(work: Path, outputs: str) -> None:
    far = work.parent / "far"
    far.mkdir()
    (far / "model").write_text("old")
    (work / "out").symlink_to(far)
    found = proof(work, "sh", "-c", "test ! -e out/model && cat /proc/sys/kernel/random/uuid >out/model", outputs=(outputs,))
    assert found.claim is Claim.DIFFERENT
    assert [path.read_text() for path in far.iterdir()] == ["old"]


def test_links_that_lead_in_circles_and_up_are_no_trouble(work: Path) -> None:
    (work / "up").symlink_to(work.parent)
    (work / "out").mkdir()
    (work / "out/again").symlink_to(work / "out")
    (work / "round").symlink_to("round")
    (work / "system").symlink_to("/proc")
    found = proof(work, "sh", "-c", "echo x >out/x", outputs=("out/**/x", "up/*"))
    assert (found.claim, found.runs[-1].files) == (Claim.SAME, 1)


@pytest.mark.skipif(not _faketime(), reason="there is no libfaketime")
def test_who_sleeps_is_not_blamed_on_the_clock(work: Path) -> None:
    write(work, "import time\ntime.sleep(0.01)\nopen('out.txt', 'w').write('x')\n")
    found = proof(work, sys.executable, "program.py", vary=("clock",))
    assert found.claim is Claim.SAME, [run.tail for run in found.runs]


# -- verdicts that would be wrong --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["-I", "-E", "-sE"])
def test_hashes_that_can_not_be_held_are_told(work: Path, option: str) -> None:
    write(work, "print(*{str(number) for number in range(64)}, file=open('out.txt', 'w'))\n")
    found = proof(work, sys.executable, "-X", "utf8", option, "program.py", search=20)
    assert found.claim is Claim.DIFFERENT
    assert f"with {option[0]}{option[-1]} Python takes no PYTHONHASHSEED" in found.message


def test_a_full_disk_is_no_difference(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (work / "program.py").write_text(
        "import os\nfirst = os.mkdir(os.environ['KEPT']) if not os.path.isdir(os.environ['KEPT']) else 1\n"
        "open('out', 'w').write('x')\nexit(first)\n"
    )
    real = os.statvfs

    def full(path: str) -> object:
        found = list(real(path))
        found[4] = 0
        return os.statvfs_result(found)

    monkeypatch.setattr(os, "statvfs", full)
    with pytest.raises(SanctityError, match="No space left") as caught:
        proof(work, sys.executable, "program.py", environ={"KEPT": str(work.parent / "seen")})
    assert caught.value.code == "repeats-no-room"


def test_a_daemon_without_its_environment_is_ended(work: Path) -> None:
    write(
        work,
        """
        import os, pathlib, subprocess, sys
        line = [sys.executable, "-c", "import time; time.sleep(300)"]
        made = subprocess.Popen(line, env={}, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with open(os.environ["KEPT"], "a") as file:
            file.write(f"{made.pid}\\n")
        pathlib.Path("out").write_text("x")
        """,
    )
    pids = work.parent / "pids"
    assert proof(work, sys.executable, "program.py", environ={"KEPT": str(pids)}).claim is Claim.SAME
    numbers = [int(word) for word in pids.read_text().split()]
    assert len(numbers) == 3
    assert all(gone(number) for number in numbers)
