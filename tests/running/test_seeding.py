"""`run --seed`: one seed before the start, what is injected where that is asked for, and the receipts of all processes."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import signal
import subprocess
import time
import zipfile
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from real.tools import interpreters
from running.starting import BARE, SOURCE, Project, a_project
from sanctity.determinism.files import receipts
from sanctity.determinism.scheme import hash_seed
from sites import add_distribution

if TYPE_CHECKING:
    from pathlib import Path

#: A shell without a home.
HOMELESS = {name: value for name, value in BARE.items() if name != "HOME"}
ASK = "import os, random, sys; print(sys.argv, hash('text'), os.environ.get('SANCTITY_SEED'), random.random())"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A sealed project that no test of this module changes."""
    return a_project(tmp_path_factory.mktemp("project"))


@pytest.fixture
def cached(tmp_path: Path) -> dict[str, str]:
    """Variables with a cache folder of the user's own."""
    return BARE | {"XDG_CACHE_HOME": str(tmp_path / "cache")}


def _run(project: Project, words: str, *options: str, environ: dict[str, str], **more: Any) -> subprocess.CompletedProcess[bytes]:
    return project.run("python", "-c", words, options=options, environ=environ, **more)


def test_what_must_be_set_is_set_and_told_in_one_line(project: Project) -> None:
    done = _run(project, "import os; print(os.environ)", "--seed", "42", environ=BARE)
    added = {"PYTHONHASHSEED": str(hash_seed(42)), "SANCTITY_SEED": "42", "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
    assert done.stdout.decode().strip() == f"environ({BARE | added | {'SANCTITY_RULES': 'none'}})"
    assert done.stderr.decode() == f"note: {', '.join(f'{name}={value}' for name, value in added.items())}\n"


def test_texts_hash_alike_in_two_runs_and_streams_are_left_alone(project: Project) -> None:
    first, second = (_run(project, ASK, "--seed", "42", environ=BARE).stdout.split() for _ in range(2))
    assert first[:3] == second[:3]
    assert first[3] != second[3], "nothing is injected unless it is asked for"


@pytest.mark.long
def test_without_a_seed_texts_do_not_hash_alike(project: Project) -> None:
    first, second = (_run(project, ASK, environ=BARE).stdout.split() for _ in range(2))
    assert first[1] != second[1]


@pytest.mark.parametrize(
    ("options", "environ", "code"),
    [
        (("--seed", "-1"), {}, "seed-invalid"),
        (("--seed", str(2**128)), {}, "seed-invalid"),
        (("--seed", "42"), {"SANCTITY_SEED": "43"}, "seed-conflict"),
        (("--seed", "42"), {"PYTHONHASHSEED": "0"}, "seed-conflict"),
        (("--inject",), {"SANCTITY_SEED": "43"}, "usage"),
        (("--receipts", "requirements.txt"), {}, "receipts-failed"),
    ],
)
def test_what_can_not_be_is_refused(project: Project, options: tuple[str, ...], environ: dict[str, str], code: str) -> None:
    done = _run(project, "print('started')", *options, environ=BARE | environ)
    assert (done.returncode, done.stdout) == (125, b"")
    assert done.stderr.decode().startswith(f"error: {code}\n")


@pytest.mark.parametrize("option", ["-I", pytest.param("-E", marks=pytest.mark.long), pytest.param("-IB", marks=pytest.mark.long)])
def test_a_program_that_would_not_read_it_is_refused(project: Project, option: str) -> None:
    done = project.run("python", option, "-c", "print('started')", options=("--seed", "42"))
    assert (done.returncode, done.stdout) == (125, b"")
    assert done.stderr.decode().startswith("error: seed-ignored\n")
    assert project.run("python", option, "-c", "print('started')").returncode == 0, "without a seed it is nobody's business"


def test_a_seal_without_a_setting_lets_the_seed_set_it_and_one_with_another_tells(tmp_path: Path) -> None:
    made = a_project(tmp_path, sealed=False)
    (tmp_path / "pyproject.toml").write_text('[tool.sanctity]\ngate = ["settings"]\n')
    words = ("--format", "json")
    for sealed, drifts in ((BARE, []), (BARE | {"PYTHONHASHSEED": "77"}, ["PYTHONHASHSEED"])):
        made.seal(environ=sealed)
        done = _run(made, "print('started')", "--seed", "42", *words, environ=BARE)
        found = [] if done.returncode == 0 else json.loads(done.stderr)["drifts"]
        told = [(drift["path"], drift["expected"], drift["actual"]) for drift in found if drift["code"] == "setting-changed"]
        assert told == [(name, "77", str(hash_seed(42))) for name in drifts]


# -- what is injected -------------------------------------------------------------------------------------------------------------


def test_every_python_that_is_started_draws_from_the_seed(project: Project, cached: dict[str, str]) -> None:
    words = (
        "import random, subprocess, sys\n"
        "print(random.random(), flush=True)\n"
        "for options in ([], ['-s'], ['-P'], ['-I']):\n"
        "    print(*options, subprocess.check_output([sys.executable, *options, '-c', 'import random; print(random.random())'], text=True).strip())"
    )
    first, second = (_run(project, words, "--seed", "42", "--inject", environ=cached) for _ in range(2))
    assert first.returncode == 0, first.stderr
    ours, theirs = first.stdout.split(b"\n"), second.stdout.split(b"\n")
    assert ours[:4] == theirs[:4]
    assert ours[4] != theirs[4], "-I does not read it, as docs/verbs/run.md says"
    other = _run(project, words, "--seed", "43", "--inject", environ=cached)
    assert other.stdout.split(b"\n")[0] != ours[0]


def test_the_line_names_the_digest_of_what_is_injected(project: Project, cached: dict[str, str]) -> None:
    done = _run(project, "import os; print(os.environ['PYTHONPATH'])", "--seed", "42", "--inject", environ=cached)
    path = done.stdout.decode().strip()
    with open(path, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    assert path == f"{cached['XDG_CACHE_HOME']}/sanctity/inject/{digest}.zip"
    assert f"sha256:{digest}" in done.stderr.decode()
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    assert "room/sanctity/determinism/setting.py" in names
    assert {name.split("/")[0] for name in names} == {"sitecustomize.py", "room"}, "it shadows nothing but sitecustomize"


@pytest.mark.long
def test_one_that_was_changed_is_written_again(project: Project, cached: dict[str, str]) -> None:
    words = "import os; print(os.environ['PYTHONPATH'])"
    path = _run(project, words, "--seed", "42", "--inject", environ=cached).stdout.decode().strip()
    before = os.stat(path)
    os.chmod(path, 0o600)
    with open(path, "ab") as file:
        file.write(b"more")
    assert _run(project, words, "--seed", "42", "--inject", environ=cached).stdout.decode().strip() == path
    assert os.stat(path).st_size == before.st_size
    assert os.stat(path).st_mode & 0o777 == 0o400


@pytest.mark.long
def test_without_a_cache_folder_it_lies_in_a_private_one(project: Project, tmp_path: Path) -> None:
    environ = HOMELESS | {"TMPDIR": str(tmp_path)}
    words = "import os; print(os.environ['PYTHONPATH'])"
    first, second = (_run(project, words, "--seed", "42", "--inject", environ=environ).stdout.decode().strip() for _ in range(2))
    assert first == second
    assert os.path.dirname(first) == str(tmp_path / f"sanctity-inject-{os.geteuid()}")
    (tmp_path / f"sanctity-inject-{os.geteuid()}").chmod(0o777)
    third = _run(project, words, "--seed", "42", "--inject", environ=environ).stdout.decode().strip()
    assert third.startswith(f"{tmp_path}/sanctity-inject-")
    assert os.path.dirname(third) != os.path.dirname(first), "others can write there"


@pytest.mark.long
def test_a_place_that_pythonpath_can_not_name_is_refused(project: Project, tmp_path: Path) -> None:
    (tmp_path / "a:b").mkdir()
    done = _run(project, "print('started')", "--seed", "42", "--inject", environ=HOMELESS | {"TMPDIR": str(tmp_path / "a:b")})
    assert (done.returncode, done.stdout) == (125, b"")
    assert done.stderr.decode().startswith("error: inject-failed\n")


@pytest.mark.long
def test_dash_s_is_refused_only_where_something_is_injected(project: Project, cached: dict[str, str]) -> None:
    assert project.run("python", "-S", "-c", "", options=("--seed", "1")).returncode == 0
    done = project.run("python", "-S", "-c", "", options=("--seed", "1", "--inject"), environ=cached)
    assert done.stderr.decode().startswith("error: seed-ignored\n")


def test_the_environments_own_sitecustomize_runs_as_if_nothing_stood_before_it(tmp_path: Path, cached: dict[str, str]) -> None:
    made = a_project(tmp_path, sealed=False)
    (made.site / "sitecustomize.py").write_text("import sys\nOWN = True\nprint('own', __file__)\n")
    (tmp_path / "pyproject.toml").write_text("[tool.sanctity]\n")
    record = next(made.site.glob("hello-1.0.dist-info/RECORD"))
    data = (made.site / "sitecustomize.py").read_bytes()
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
    record.write_text(record.read_text() + f"sitecustomize.py,sha256={digest},{len(data)}\n")
    made.seal()
    words = "import random, sitecustomize, sys; print(sitecustomize.OWN, random.random(), [p for p in sys.path if 'inject' in p])"
    seeded = _run(made, words, "--seed", "42", "--inject", environ=cached).stdout.decode().splitlines()
    plain = _run(made, words, environ=cached).stdout.decode().splitlines()
    assert seeded[0] == plain[0] == f"own {made.site / 'sitecustomize.py'}"
    assert seeded[1].startswith("True ")
    assert seeded[1].endswith(" []")
    assert seeded == _run(made, words, "--seed", "42", "--inject", environ=cached).stdout.decode().splitlines()


def test_a_call_that_fails_ends_the_program_before_its_first_line(project: Project, cached: dict[str, str]) -> None:
    words = "import subprocess, sys; sys.exit(subprocess.call([sys.executable, '-c', 'print(1)'], env={**__import__('os').environ, 'SANCTITY_SEED': 'x'}))"
    done = _run(project, words, "--seed", "42", "--inject", environ=cached)
    assert (done.returncode, done.stdout) == (125, b"")
    assert b"error: inject-failed\n" in done.stderr


@pytest.mark.long
def test_a_child_whose_seed_was_taken_away_says_so(project: Project, cached: dict[str, str]) -> None:
    words = (
        "import os, subprocess, sys; del os.environ['SANCTITY_SEED']; sys.exit(subprocess.call([sys.executable, '-c', 'print(1)']))"
    )
    done = _run(project, words, "--seed", "42", "--inject", environ=cached)
    assert (done.returncode, done.stdout) == (0, b"1\n")
    assert b"not seeded" in done.stderr


@pytest.mark.long
def test_an_inner_run_refuses_what_was_injected(project: Project, cached: dict[str, str]) -> None:
    """It is code that nobody verified, and so it is told, as docs/verbs/run.md says."""
    outer = _run(project, "import os; print(os.environ['PYTHONPATH'])", "--seed", "42", "--inject", environ=cached)
    inner = project.run("python", "-c", "", environ=cached | {"PYTHONPATH": outer.stdout.decode().strip()})
    assert inner.returncode == 125
    assert b"startup-variable   PYTHONPATH" in inner.stderr


@pytest.mark.long
@pytest.mark.parametrize("version", ["3.8", "3.9", "3.10", "3.12", "3.13"])
def test_another_python_is_seeded_or_says_that_it_is_not(version: str, project: Project, cached: dict[str, str]) -> None:
    if version not in interpreters():
        pytest.skip(f"Python {version} is not installed")
    words = f"import subprocess, sys; sys.exit(subprocess.call([{str(interpreters()[version])!r}, '-c', {ASK!r}]))"
    first, second = (_run(project, words, "--seed", "42", "--inject", environ=cached) for _ in range(2))
    assert first.returncode == 0, first.stderr
    old = version in {"3.8", "3.9", "3.10"}
    assert (b"not seeded" in first.stderr) is old
    assert (first.stdout == second.stdout) is not old


def test_an_environment_with_sanctity_in_it_makes_the_call_with_its_own(tmp_path: Path, cached: dict[str, str]) -> None:
    made = a_project(tmp_path, sealed=False)
    package = SOURCE / "sanctity"
    files = [path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    add_distribution(made.env, "sanctity", "0.1.0", {f"sanctity/{path.relative_to(package)}": path.read_bytes() for path in files})
    with open(tmp_path / "requirements.txt", "a") as file:
        file.write(f"sanctity==0.1.0 --hash=sha256:{3:064d}\n")
    made.seal()
    words = "import random, sanctity; print(sanctity.__file__, random.random())"
    done = _run(made, words, "--seed", "42", "--inject", environ=cached)
    assert done.stdout.decode().split()[0] == f"{made.site}/sanctity/__init__.py"
    assert done.stdout == _run(made, words, "--seed", "42", "--inject", environ=cached).stdout
    # The guard of the program itself: a seed is nobody's code, and what is injected is.
    guarded = f"import sanctity; sanctity.guard({str(tmp_path / 'env.seal.json')!r}, depth='version'); print('on')"
    assert _run(made, guarded, "--seed", "42", environ=cached).stdout == b"on\n"
    refused = _run(made, guarded, "--seed", "42", "--inject", environ=cached)
    assert (refused.returncode, refused.stdout) == (125, b"")
    assert b"startup-variable   PYTHONPATH" in refused.stderr


# -- receipts ---------------------------------------------------------------------------------------------------------------------


def test_one_receipt_a_process_and_one_of_all(project: Project, cached: dict[str, str], tmp_path: Path) -> None:
    words = (
        "import subprocess, sys, multiprocessing\n"
        "subprocess.check_call([sys.executable, '-c', ''])\n"
        "process = multiprocessing.get_context('fork').Process(target=print)\n"
        "process.start(); process.join()"
    )
    folder = tmp_path / "receipts"
    options = ("--seed", "42", "--inject", "--receipts", str(folder))
    done = _run(project, words, *options, environ=cached)
    assert done.returncode == 0, done.stderr
    found = receipts(folder)
    assert len(found.processes) == 3
    assert all(process.ended and process.receipt.seed == 42 for process in found.processes)
    assert sorted(process.receipt.child for process in found.processes) == [(), (), (0,)]
    assert found.conflicts == ()
    assert found.launch is not None
    assert found.launch["variables"]["PYTHONHASHSEED"] == str(hash_seed(42))
    assert {process.injected for process in found.processes} == {found.launch["injected"]}
    assert {process.receipt.recorded["injected"] for process in found.processes} == {found.launch["injected"]}
    assert json.loads((folder / "receipt.json").read_text()) == found.document()
    schema = json.loads((SOURCE / "sanctity/report/schema/launch-1.json").read_text())
    jsonschema.validate(found.launch, schema)
    rows = {control: status for control, status, _ in found.rows}
    assert (rows["hash-seed"], rows["random"]) == ("applied", "applied")
    # Another run into the same folder is a run of its own.
    assert _run(project, "", *options, environ=cached).returncode == 0
    assert len(receipts(folder).processes) == 1


RELAX = """
import os, sanctity
try:
    with sanctity.relaxed("hash-seed-children", waiver="W-9"): print("relaxed", os.environ.get("PYTHONHASHSEED"))
except sanctity.errors.SanctityError as error: print(error.code)
"""
WAIVER = """control = "hash-seed-children"
reason = "a server is started that is to be safe from crafted keys"
cost = "12 % (9 % to 15 %)"
tolerance = "its output decides about no result"
owner = "ada"
approver = "grace"
until = 2999-01-31
"""


def test_the_sealed_waivers_count_and_no_others(cached: dict[str, str], tmp_path: Path) -> None:
    project = a_project(tmp_path / "project")
    (project.folder / "waivers").mkdir()
    file = project.folder / "waivers/W-9.toml"
    file.write_text(WAIVER)
    options = ("--seed", "42", "--inject", "--receipts", "kept")
    assert _run(project, RELAX, *options, environ=cached).stdout == b"waiver-unknown\n", "it is not sealed"
    project.seal()
    assert _run(project, RELAX, *options, environ=cached).stdout == b"relaxed None\n"
    found = receipts(project.folder / "kept")
    assert found.relaxations == (("hash-seed-children", "W-9", 1, 1),)
    assert found.conflicts == ()
    # Neither an edited file, nor rules that the program writes for itself, nor a variable of before.
    file.write_text(WAIVER.replace("hash-seed-children", "cudnn"))
    cached["SANCTITY_RULES"] = "none"
    assert _run(project, RELAX, *options, environ=cached).stdout == b"relaxed None\n"
    handed = "import os\nstated = os.environ['SANCTITY_RULES']\n"
    own = handed + (
        "from sanctity.policies.waivers import *\nfrom dataclasses import replace\n"
        "rules = parse_rules(stated, where='')\nwaiver = replace(rules.waivers[0], tolerance='all')\n"
        "os.environ['SANCTITY_RULES'] = rules_text(rules_of(rules.policy, [waiver]))\n"
    )
    assert _run(project, own + RELAX, *options, environ=cached).stdout == b"relaxed None\n"
    (conflict,) = receipts(project.folder / "kept").conflicts
    assert "rules" in conflict
    # With a waiver of a control, `run` hands it on without a seed too; the profile that it was given is handed on as well.
    words = "import os; print(os.environ['SANCTITY_RULES'])"
    assert b'"W-9"' in _run(project, words, environ=cached).stdout


def test_a_killed_process_leaves_what_it_wrote_last(project: Project, cached: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "receipts"
    words = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    done = _run(project, words, "--seed", "42", "--inject", "--receipts", str(folder), environ=cached)
    assert done.returncode == -signal.SIGKILL
    (process,) = receipts(folder).processes
    assert not process.ended
    assert process.receipt["random"].status == "applied"
    assert "partial" in str(receipts(folder))
    assert json.loads((folder / "receipt.json").read_text())["processes"][0]["state"] == "running"


@pytest.mark.long
def test_the_program_still_takes_the_place_of_run(project: Project, cached: dict[str, str], tmp_path: Path) -> None:
    options = ("--seed", "42", "--inject", "--receipts", str(tmp_path / "receipts"))
    words = "import os, sys; print(os.getpid(), os.getppid()); sys.exit(7)"
    with subprocess.Popen(
        project.command("python", "-c", words, options=options),
        cwd=project.folder,
        env=cached,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        out, _ = process.communicate(timeout=60)
    assert out.split() == [str(process.pid).encode(), str(os.getpid()).encode()]
    assert process.returncode == 7


def test_a_variable_of_the_users_names_the_folder_without_run(project: Project, tmp_path: Path) -> None:
    words = "import sanctity; sanctity.set_global_determinism(1, quiet=True)"
    environ = BARE | {"SANCTITY_RECEIPTS": str(tmp_path / "r"), "PYTHONPATH": str(SOURCE)}
    done = project.directly("python", "-c", words, environ=environ)
    assert done.returncode == 0, done.stderr
    (process,) = receipts(tmp_path / "r").processes
    assert process.ended
    assert process.injected == ""
    assert receipts(tmp_path / "r").launch is None


def test_the_program_makes_the_call_itself_with_the_seed_of_run(project: Project, cached: dict[str, str], tmp_path: Path) -> None:
    """Where something was injected the call can be made again; another explicit seed is an error."""
    words = "import sanctity; print(sanctity.set_global_determinism(quiet=True).seed); sanctity.set_global_determinism(43)"
    done = _run(project, words, "--seed", "42", "--inject", environ=cached)
    assert (done.returncode, done.stdout) == (1, b"42\n")
    assert b"SANCTITY_SEED is 42" in done.stderr


@pytest.mark.long
def test_a_process_that_is_stopped_while_it_waits_is_partial_and_readable(
    project: Project, cached: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "receipts"
    options = ("--seed", "42", "--inject", "--receipts", str(folder))
    with subprocess.Popen(
        project.command("python", "-c", "import sys; print('up', flush=True); sys.stdin.read()", options=options),
        cwd=project.folder,
        env=cached,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        (alive,) = receipts(folder).processes
        assert not alive.ended
        process.communicate(timeout=60)
    deadline = time.monotonic() + 60
    while not receipts(folder).processes[0].ended and time.monotonic() < deadline:
        time.sleep(0.05)
    assert receipts(folder).processes[0].ended
