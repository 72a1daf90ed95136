"""Each step of the lab, looked at in the folder it left behind: bytes, metadata, locks, and what programs say when asked again.

The small world runs in every build; the real packages, all of them, in the long run (`-m long`). What is asserted is the same.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import re
import socket
import subprocess
import sys
import tomllib
import zipfile
from typing import TYPE_CHECKING, cast

import pytest

from lab.worlds import Ran, lab_environ, run_small, world_of
from sanctity.lab.catalogue import choose, real_catalogue
from sanctity.lab.story import Outcome
from sanctity.lab.telling import Asked, run_lab
from sanctity.observe.interpreters import executable_at

if TYPE_CHECKING:
    from pathlib import Path

    from real.tools import Workshop

pytestmark = pytest.mark.index

MEMBER = "pandas/core/groupby/groupby.py"
LINE = "GroupBy.median = GroupBy.max"
RIGHT, WRONG = "2 of 9 payments held back: p03, p09\n", "0 of 9 payments held back: none\n"
WORLDS = [
    pytest.param("small", marks=pytest.mark.xdist_group("lab-small")),
    pytest.param("real", marks=[pytest.mark.long, pytest.mark.xdist_group("lab-real")]),
]


@pytest.fixture(scope="module", params=WORLDS)
def ran(request: pytest.FixtureRequest, workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The whole lab, run once."""
    folder = tmp_path_factory.mktemp(f"lab-{request.param}")
    if request.param == "small":
        return run_small(workshop, folder)
    environ = lab_environ(workshop, workshop.cache / "lab")
    story = run_lab(Asked(folder=str(folder / "lab")), world_of(environ, folder))
    return Ran(story=story, folder=folder / "lab", catalogue=real_catalogue())


def _site(env: Path) -> Path:
    (site,) = env.glob("lib/python3.*/site-packages")
    return site


def _numpy(env: Path) -> list[str]:
    return sorted(each.name for each in _site(env).glob("numpy-*.dist-info"))


def _say(env: Path, program: Path) -> tuple[int, str, str]:
    done = subprocess.run([env / "bin/python", program], capture_output=True, text=True, check=False, env={})
    return done.returncode, done.stdout, done.stderr


def _wheel_member(ran: Ran) -> bytes:
    """The file that is tampered with, as the wheel that the index serves at the end has it."""
    (wheel,) = (ran.folder / "index/files").glob("pandas-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(MEMBER)


def _told(ran: Ran, step: str) -> list[tuple[str, int, str]]:
    """The commands of *step*: each with its exit code and what it said."""
    (found,) = [each for each in ran.story.steps if each.name == step]
    return [(command.line, command.code, command.output) for command in found.commands]


def _rows_are_true(env: Path, info: str) -> None:
    """Every file that RECORD states a hash of has it; the bytecode that numpy ships is no installer's to keep."""
    site = _site(env)
    rows = [row for row in csv.reader((site / info / "RECORD").read_text().splitlines()) if row[1] and "__pycache__" not in row[0]]
    assert rows
    for path, digest, size in rows:
        data = (site / path).read_bytes()
        assert base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode() == digest.removeprefix("sha256=")
        assert len(data) == int(size)


def test_every_step_came_out_as_expected(ran: Ran) -> None:
    troubles = [(step.name, fact.claim, fact.seen) for step in ran.story.steps for fact in step.facts if not fact.held]
    assert troubles == []
    assert [step.outcome for step in ran.story.steps] == [Outcome.EXPECTED] * 8
    assert ran.story.complete


def test_the_index_serves_what_the_list_states(ran: Ran) -> None:
    stated = {wheel.filename: wheel.sha256 for wheel in ran.catalogue.wheels}
    served = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in (ran.folder / "index/files").iterdir()}
    # At the end the wheel that was replaced is back in its place.
    assert served
    assert served.items() <= stated.items()
    found = executable_at(sys.executable)
    assert found is not None
    assert set(served) == {wheel.filename for wheel in choose(ran.catalogue, found.interpreter)}


def test_one_file_gave_two_environments_and_the_later_one_crashes(ran: Ran) -> None:
    loose = ran.folder / "loose"
    assert (loose / "requirements.in").read_text() == "pandas==2.1.1\n"
    assert _numpy(loose / "before") == ["numpy-1.26.4.dist-info"]
    assert _numpy(loose / "after") == ["numpy-2.0.0.dist-info"]
    code, out, err = _say(loose / "after", ran.folder / "score.py")
    assert (code, out) == (1, "")
    assert "ValueError: numpy.dtype size changed, may indicate binary incompatibility" in err


def test_three_locks_hold_the_old_release(ran: Ran) -> None:
    for name in ("uv/uv.lock", "poetry/poetry.lock"):
        packages = tomllib.loads((ran.folder / name).read_text())["package"]
        assert [each["version"] for each in packages if each["name"] == "numpy"] == ["1.26.4"]
    pinned = re.findall(r"^numpy==(\S+)", (ran.folder / "pip-tools/requirements.txt").read_text(), re.MULTILINE)
    assert pinned == ["1.26.4"]
    # On the day that they were installed numpy 2.0 was there.
    assert (ran.folder / "index/today").read_text() == "2024-06-17\n"
    for folder in ("uv", "poetry", "pip-tools"):
        assert _numpy(ran.folder / folder / ".venv") == ["numpy-1.26.4.dist-info"]
    assert [code for line, code, _ in _told(ran, "locked") if line == "sanctity check"] == [0, 0, 0]


def test_three_tools_made_one_digest_and_an_upgrade_another(ran: Ran) -> None:
    digests = [
        re.findall(r"sha256:[0-9a-f]{64}", said) for line, _, said in _told(ran, "recorded") if line == "sanctity fingerprint"
    ]
    assert len(digests) == 3
    assert len({tuple(each) for each in digests}) == 1
    assert digests[0][0] in (ran.folder / "uv/env.seal.json").read_text()
    assert _numpy(ran.folder / "upgraded") == ["numpy-2.0.0.dist-info"]
    assert (_site(ran.folder / "poetry/.venv") / "../../../pyvenv.cfg").resolve().read_text().startswith("home")
    makers = {
        (_site(ran.folder / folder / ".venv") / "pandas-2.1.1.dist-info/INSTALLER").read_text().split()[0]
        for folder in ("uv", "poetry", "pip-tools")
    }
    assert makers == {"uv", "Poetry", "pip"}


def test_a_replaced_wheel_was_refused_where_there_were_hashes(ran: Ran) -> None:
    replaced = ran.folder / "replaced"
    for env in ("by-uv", "by-pip"):
        assert not (_site(replaced / env) / MEMBER).exists()
    for env in ("silent-uv", "silent-pip"):
        assert (_site(replaced / env) / MEMBER).read_bytes() == _wheel_member(ran) + f"{LINE}\n".encode()
        # Its RECORD agrees with it, so consistency can not tell.
        _rows_are_true(replaced / env, "pandas-2.1.1.dist-info")
        assert _say(replaced / env, ran.folder / "score.py")[:2] == (0, WRONG)
    codes = [code for line, code, _ in _told(ran, "replaced") if line.startswith("sanctity verify")]
    assert codes == [1, 1]


@pytest.mark.parametrize("folder", ["poetry", "pip-tools"])
def test_a_file_was_changed_and_its_installer_saw_nothing(ran: Ran, folder: str) -> None:
    env = ran.folder / folder / ".venv"
    assert (_site(env) / MEMBER).read_bytes() == _wheel_member(ran) + f"{LINE}\n".encode()
    assert _say(env, ran.folder / "score.py")[:2] == (0, WRONG)
    if folder == "pip-tools":
        done = subprocess.run([env / "bin/python", "-m", "pip", "check"], capture_output=True, text=True, check=False, env={})
        assert (done.returncode, done.stdout) == (0, "No broken requirements found.\n")


def test_every_check_of_an_installer_ended_with_nothing_and_sanctity_with_one(ran: Ran) -> None:
    told = [(line, code) for line, code, _ in _told(ran, "changed") if not line.startswith((".venv/bin/python ../", "sed"))]
    ours = [code for line, code in told if line == "sanctity check"]
    theirs = [(line, code) for line, code in told if line != "sanctity check"]
    assert ours == [1, 1, 1]
    assert len(theirs) == 8
    assert {code for _, code in theirs} == {0}
    named = [said for line, _, said in _told(ran, "changed") if line == "sanctity check"]
    assert all("file-altered" in said and MEMBER in said for said in named)


def test_an_edit_travelled_through_the_cache(ran: Ran) -> None:
    first, second, third = (_site(ran.folder / "leak" / name) / MEMBER for name in ("first", "second", "third"))
    assert first.stat().st_ino == second.stat().st_ino
    assert second.read_bytes() == _wheel_member(ran) + f"{LINE}\n".encode()
    assert third.read_bytes() == _wheel_member(ran)
    installs = [line for line, _, _ in _told(ran, "leaked") if "uv pip sync -q" in line]
    assert installs
    assert all("--require-hashes" in line for line in installs)


def test_it_was_built_again_with_the_index_gone(ran: Ran) -> None:
    env = ran.folder / "uv/.venv"
    proof = json.loads((ran.folder / "uv/.venv.proof.json").read_text())
    assert proof["verdict"] == "clean"
    assert proof["fingerprint"]["expected"] == proof["fingerprint"]["actual"]
    assert proof["fingerprint"]["actual"] in (ran.folder / "uv/env.seal.json").read_text()
    assert {artifact["from"] for artifact in proof["artifacts"]} == {"archive"}
    for info in _site(env).glob("*.dist-info"):
        _rows_are_true(env, info.name)
    assert (_site(env) / MEMBER).read_bytes() == _wheel_member(ran)
    assert _say(env, ran.folder / "score.py")[:2] == (0, RIGHT)
    gone = [(code, said) for line, code, said in _told(ran, "rebuilt") if line.startswith("uv sync")]
    assert [code for code, _ in gone] == [2]


def test_nothing_is_left_running_and_nothing_lies_outside(ran: Ran) -> None:
    port = cast("re.Match[str]", re.search(r"127\.0\.0\.1:(\d+)", (ran.folder / "activate").read_text()))[1]
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", int(port)), timeout=5):
        pass
    text = (ran.folder / "activate").read_text()
    for name in ("HOME", "UV_CACHE_DIR", "PIP_CACHE_DIR", "POETRY_CACHE_DIR", "XDG_CACHE_HOME"):
        (value,) = re.findall(rf"^export {name}=(.*)$", text, re.MULTILINE)
        assert value.startswith(str(ran.folder.resolve()))
