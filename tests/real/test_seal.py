"""Seals of real environments: what one tool sealed at one place is what another made at another, and every change is named.

The environment stands on a copy of the interpreter's whole prefix, so that its bytes and its standard library can be changed too.
Each run lets uv install at both places, and pip and virtualenv at one each; ``-m long`` lets them all, and plants every change.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from real.environments import SMALL, Built, copied, pip_venv, poetry_project, uv_pip, uv_project, virtualenv_pip
from real.judging import Judged, examine, sanctity
from real.tampering import delete_file, edit_module, file_in_package, pth_import, stray_module, wrong_version
from real.tools import interpreters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from real.tampering import Planter
    from real.tools import Workshop

pytestmark = [pytest.mark.index, pytest.mark.xdist_group("seal")]

VERSION: Final = "{}.{}".format(*sys.version_info[:2])


def sealed(built: Built, *words: str, code: int = 0) -> Path:
    """Seal what was built, beside its lock."""
    done = sanctity(
        "seal", "--lock", built.lock, "--env", built.env, "-o", built.project / "env.seal.json", *words, cwd=built.project
    )
    assert done.returncode == code, done.stdout + done.stderr
    return built.project / "env.seal.json"


def against(seal: Path, built: Built, *words: str) -> Judged:
    """What ``sanctity verify SEAL`` says of what was built."""
    return examine(seal, "--env", built.env, *words, cwd=built.project)


@pytest.fixture(scope="module")
def by_uv(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Built:
    built = uv_pip(workshop, tmp_path_factory.mktemp("uv") / "project")
    sealed(built, "--files")
    return built


def test_sealing_twice_gives_the_same_file(by_uv: Built) -> None:
    seal = by_uv.project / "env.seal.json"
    before = seal.read_bytes()
    assert against(seal, by_uv)["verdict"] == "clean"
    sealed(by_uv, "--files")
    assert seal.read_bytes() == before
    text = before.decode()
    for word in (str(by_uv.project), os.uname().nodename, str(Path.home())):
        assert word not in text
    assert text.count("\n") < 200


@contextlib.contextmanager
def spoilt(whole: Built) -> Iterator[Built]:
    """A copy of the environment in its place, and the project's own files put back afterwards."""
    project = whole.project
    before = {path: path.read_bytes() for path in project.iterdir() if path.is_file()}
    try:
        with copied(whole) as built:
            yield built
    finally:
        shutil.rmtree(project / "waivers", ignore_errors=True)
        for path in project.iterdir():
            if path.is_file():
                path.unlink()
        for path, data in before.items():
            path.write_bytes(data)


BUILDERS: Final[dict[str, Callable[..., Built]]] = {"pip": pip_venv, "uv": uv_pip, "virtualenv": virtualenv_pip}


#: What takes long, and is seen by another tool at that place and by this one at another.
_LONG: Final = {("elsewhere", "pip"), ("a place with blanks", "virtualenv")}


@pytest.mark.parametrize(
    ("name", "tool"),
    [
        pytest.param(name, tool, marks=pytest.mark.long if (name, tool) in _LONG else ())
        for name in ("elsewhere", "a place with blanks")
        for tool in BUILDERS
    ],
)
def test_what_another_tool_made_at_another_place_is_clean(
    by_uv: Built, workshop: Workshop, tmp_path: Path, tool: str, name: str
) -> None:
    other = BUILDERS[tool](workshop, tmp_path / name / "project", lock=SMALL)
    report = against(by_uv.project / "env.seal.json", other)
    assert report["verdict"] == "clean", report.told()
    assert {drift["code"] for drift in report["drifts"] if drift["severity"] == "warning"} <= {"activate-altered"}
    if tool == "uv":
        assert not [drift for drift in report["drifts"] if drift["code"] == "activate-altered"], "the same tool, another place"


def test_a_uv_project_and_a_poetry_project_are_sealed_with_their_selection(workshop: Workshop, tmp_path: Path) -> None:
    project = uv_project(workshop, tmp_path / "uv")
    report = against(sealed(project), project)
    assert report["verdict"] == "clean", report.told()
    assert report["reference"]["kind"] == "seal"
    assert any(item["code"] == "editable-source" for item in report["unchecked"])
    other = poetry_project(workshop, tmp_path / "poetry")
    report = against(sealed(other), other)
    assert report["verdict"] == "clean", report.told()


PLANTERS: Final[tuple[Planter, ...]] = (edit_module, delete_file, file_in_package, stray_module, pth_import, wrong_version)


@pytest.mark.parametrize(
    "plant",
    [pytest.param(each, marks=pytest.mark.long if each in {delete_file, pth_import} else ()) for each in PLANTERS],
    ids=lambda plant: plant.__name__,
)
def test_a_drift_is_named_against_the_seal_and_no_drifted_environment_is_sealed(
    by_uv: Built, workshop: Workshop, plant: Planter
) -> None:
    with spoilt(by_uv) as built:
        planted = plant(built, workshop)
        report = against(built.project / "env.seal.json", built)
        assert report["verdict"] == "drifted"
        assert {drift["code"] for drift in report.gating} & {str(code) for code in planted.codes}, report.told()
        before = (built.project / "env.seal.json").read_bytes()
        sealed(built, code=1)
        assert (built.project / "env.seal.json").read_bytes() == before
        sealed(built, "--accept")
        accepted = json.loads((built.project / "env.seal.json").read_text())["environments"][0]["accepted"]
        assert any(text.startswith(tuple(str(code) for code in planted.codes)) for text in accepted)
        assert against(built.project / "env.seal.json", built)["verdict"] == "clean"


def forge(site: Path, path: str, info: str, text: bytes = b"\n# forged\n") -> None:
    """Change the file at *path*, and its row in the RECORD of *info* with it."""
    file = site / path
    data = file.read_bytes() + text
    file.unlink()
    file.write_bytes(data)
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
    record = site / info / "RECORD"
    rows = record.read_text().splitlines()
    record.write_text(
        "\n".join(f"{path},sha256={digest},{len(data)}" if row.startswith(f"{path},") else row for row in rows) + "\n"
    )


def test_a_record_forged_with_its_file_is_clean_against_the_lock_and_named_against_the_seal(by_uv: Built) -> None:
    with spoilt(by_uv) as built:
        site = next(built.env.glob("lib/python3*/site-packages"))
        info = next(site.glob("six-*.dist-info")).name
        forge(site, "six.py", info)
        assert examine(built.lock, "--env", built.env, cwd=built.project)["verdict"] == "clean"
        report = against(built.project / "env.seal.json", built)
        assert ("record-forged", "six") in [(drift["code"], drift["distribution"]) for drift in report.gating]
        assert ("file-altered", "six.py") in [(drift["code"], drift["path"]) for drift in report.gating], (
            "the rows beside it name it"
        )
        (built.project / "env.seal.files").unlink()
        bare = against(built.project / "env.seal.json", built)
        assert [(drift["code"], drift["distribution"]) for drift in bare.gating] == [("record-forged", "six")]


@pytest.fixture(scope="module")
def on_a_copy(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> tuple[Built, Path]:
    """An environment that stands on a copy of the interpreter's prefix, sealed; and the folder of that copy."""
    folder = tmp_path_factory.mktemp("copy")
    prefix = interpreters()[VERSION].parents[1]
    library = f"lib/python{VERSION}"
    base = folder / "base"
    for part in ("bin", library):
        shutil.copytree(
            prefix / part,
            base / part,
            symlinks=True,
            ignore=shutil.ignore_patterns("site-packages", "test", "tests", "idlelib", "__pycache__", "config-*"),
        )
    (base / library / "site-packages").mkdir()
    for file in (prefix / "lib").glob("libpython*"):
        if file.is_file():
            shutil.copy(file, base / "lib")
    project = folder / "project"
    project.mkdir()
    env = {**workshop.environ(), "LD_LIBRARY_PATH": str(base / "lib")}
    workshop.run([base / f"bin/python{VERSION}", "-m", "venv", "--without-pip", project / ".venv"], env=env)
    workshop.run(
        [
            workshop.tool("uv"),
            "pip",
            "install",
            "-q",
            "--no-deps",
            "--require-hashes",
            "-p",
            project / ".venv/bin/python",
            "-r",
            SMALL,
        ],
        env=env,
    )
    lock = project / "requirements.txt"
    shutil.copy(SMALL, lock)
    built = Built(tool="uv pip", project=project, env=project / ".venv", lock=lock, python=VERSION)
    sealed(built)
    assert against(project / "env.seal.json", built)["verdict"] == "clean"
    return built, base


class Restored:
    """A file whose bytes are put back at the end, with its times."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.data = path.read_bytes() if path.exists() else None
        self.state = path.stat() if path.exists() else None

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *_: object) -> None:
        self.path.unlink(missing_ok=True)
        if self.data is not None and self.state is not None:
            self.path.write_bytes(self.data)
            self.path.chmod(self.state.st_mode)
            os.utime(self.path, ns=(self.state.st_atime_ns, self.state.st_mtime_ns))


def only(report: Judged) -> list[tuple[str, str, bool]]:
    """What the report tells, notes aside."""
    return [(drift["code"], drift["severity"], drift["gating"]) for drift in report["drifts"] if drift["severity"] != "note"]


def test_four_bytes_appended_to_the_interpreter_gate(on_a_copy: tuple[Built, Path]) -> None:
    built, base = on_a_copy
    executable = (base / f"bin/python{VERSION}").resolve()
    with Restored(executable) as path:
        path.write_bytes(path.read_bytes() + b"\0\0\0\0")
        assert only(against(built.project / "env.seal.json", built)) == [("interpreter-changed", "error", True)]
        assert examine(built.lock, "--env", built.env, cwd=built.project)["verdict"] == "clean", "a lock does not see it"
    assert against(built.project / "env.seal.json", built)["verdict"] == "clean"


def test_another_build_of_the_same_version_is_told_and_gates_by_policy(on_a_copy: tuple[Built, Path]) -> None:
    """There is one build of each version here, so another build id in the same bytes stands in for another build."""
    built, base = on_a_copy
    seal = built.project / "env.seal.json"
    known = json.loads(seal.read_text())["environments"][0]["interpreter"]["executable_id"]
    assert known
    executable = (base / f"bin/python{VERSION}").resolve()
    with Restored(executable) as path:
        data = path.read_bytes()
        assert data.count(bytes.fromhex(known)) == 1
        path.write_bytes(data.replace(bytes.fromhex(known), bytes.fromhex(known)[::-1]))
        report = against(seal, built)
        assert only(report) == [("interpreter-changed", "warning", False)]
        assert report["verdict"] == "clean"
        assert against(seal, built, "--profile", "production")["verdict"] == "drifted"


@pytest.mark.parametrize("change", ["edited", "added", "removed", "sourceless"])
def test_a_changed_standard_library_gates(on_a_copy: tuple[Built, Path], change: str) -> None:
    built, base = on_a_copy
    library = base / f"lib/python{VERSION}"
    name = {"edited": "random.py", "added": "zz_added.py", "removed": "sched.py", "sourceless": "zz_added.pyc"}[change]
    with Restored(library / name) as path:
        if change == "removed":
            path.unlink()
        else:
            path.write_bytes((path.read_bytes() if path.exists() else b"") + b"# changed\n")
        assert only(against(built.project / "env.seal.json", built)) == [("stdlib-altered", "error", True)]


def test_bytecode_of_the_standard_library_that_is_never_compared_gates(on_a_copy: tuple[Built, Path]) -> None:
    built, base = on_a_copy
    cached = base / f"lib/python{VERSION}/__pycache__"
    cached.mkdir(exist_ok=True)
    with Restored(cached / f"random.cpython-{VERSION.replace('.', '')}.pyc") as path:
        import importlib.util

        path.write_bytes(importlib.util.MAGIC_NUMBER + b"\1\0\0\0" + bytes(8) + b"N")
        assert only(against(built.project / "env.seal.json", built)) == [("bytecode-unchecked", "error", True)]


def test_an_activate_script_is_told(on_a_copy: tuple[Built, Path]) -> None:
    built, _ = on_a_copy
    with Restored(built.env / "bin/activate") as path:
        path.write_bytes(path.read_bytes() + b"export LD_PRELOAD=/tmp/evil.so\n")
        report = against(built.project / "env.seal.json", built)
        assert only(report) == [("activate-altered", "warning", False)]
        assert against(built.project / "env.seal.json", built, "--profile", "production")["verdict"] == "drifted"


def test_a_seal_for_another_python_leaves_it_undecided(by_uv: Built, workshop: Workshop, tmp_path: Path) -> None:
    others = [version for version in interpreters() if version != VERSION]
    if not others:
        pytest.skip("only one Python is installed")
    other = uv_pip(workshop, tmp_path / "project", lock=SMALL, python=others[-1])
    report = against(by_uv.project / "env.seal.json", other)
    assert report["verdict"] == "undecided"
    assert "seal-not-for-this-platform" in {item["code"] for item in report["unchecked"] if item["in_scope"]}


def test_one_seal_serves_two_pythons(by_uv: Built, workshop: Workshop, tmp_path: Path) -> None:
    others = [version for version in interpreters() if version != VERSION]
    if not others:
        pytest.skip("only one Python is installed")
    with spoilt(by_uv) as built:
        seal = built.project / "env.seal.json"
        before = json.loads(seal.read_text())["environments"]
        other = uv_pip(workshop, tmp_path / "project", lock=SMALL, python=others[-1])
        done = sanctity("seal", "--lock", other.lock, "--env", other.env, "-o", seal, cwd=built.project)
        assert done.returncode == 0, done.stderr
        after = json.loads(seal.read_text())["environments"]
        assert len(after) == 2
        assert before[0] in after
        assert against(seal, built)["verdict"] == "clean"
        assert against(seal, other)["verdict"] == "clean"


def test_a_stale_seal_is_told(by_uv: Built) -> None:
    with spoilt(by_uv) as built:
        built.lock.write_text(built.lock.read_text() + "\n# locked again\n")
        report = examine("--env", built.env, cwd=built.project)
        assert report["reference"]["kind"] == "seal", "a seal goes before a lock"
        assert [drift["code"] for drift in report.gating] == ["seal-stale"]


@pytest.mark.parametrize("profile", ["default", "production"])
def test_no_verdict_becomes_clean_by_editing_the_working_tree(by_uv: Built, profile: str) -> None:
    """Policy and waivers beside the code are not asked: the sealed ones are."""
    with spoilt(by_uv) as built:
        project = built.project
        (project / "pyproject.toml").write_text(f'[tool.sanctity]\nprofile = "{profile}"\n')
        sealed(built)
        site = next(built.env.glob("lib/python3*/site-packages"))
        (site / "six.py").unlink()
        words = ("--profile", "production") if profile == "production" else ()
        assert against(project / "env.seal.json", built)["verdict"] == "drifted"
        (project / "pyproject.toml").write_text('[tool.sanctity]\nprofile = "default"\nbytecode = "ignore"\ngate = []\n')
        (project / "waivers").mkdir()
        (project / "waivers/W-1.toml").write_text(
            'code = "file-missing"\ndistribution = "six"\nreason = "r"\nowner = "ada"\napprover = "grace"\nuntil = 2999-01-01\n'
        )
        assert against(project / "env.seal.json", built)["verdict"] == "drifted"
        by_lock = examine(built.lock, "--env", built.env, *words, cwd=project)
        assert by_lock["verdict"] == ("drifted" if profile == "production" else "clean")
        document = json.loads((project / "env.seal.json").read_text())
        document["policy"]["profile"] = "default"
        document["policy"]["bytecode"] = "ignore"
        (project / "env.seal.json").write_text(json.dumps(document))
        done = sanctity("verify", project / "env.seal.json", "--env", built.env, cwd=project)
        assert done.returncode == 2
        assert "seal-contradictory" in done.stderr
