"""`diff` on real projects: locks at commits of a real repository, environments of real installers, and their seals."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from real.environments import SMALL, pip_venv, uv_pip
from real.index import loopback_index, make_wheel
from real.judging import sanctity
from sanctity.report.difference import schema

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from real.tools import Workshop

pytestmark = [pytest.mark.index, pytest.mark.xdist_group("diff")]

SCHEMA = jsonschema.Draft202012Validator(schema())
ALPHA = {"alpha/__init__.py": b"VALUE = 1\n", "alpha/more.py": b"MORE = 1\n"}


@dataclass(frozen=True)
class Project:
    """A project under git, with uv's lock and environment, and an index of its own."""

    shop: Workshop
    folder: Path
    wheels: Path

    @property
    def site(self) -> Path:
        return self.folder / f".venv/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"

    def lock(self, *packages: str, again: bool = False, port: int = 0) -> int:
        """Lock *packages* and make the environment, as its user would; give the port that the index had."""
        listed = ", ".join(f'"{package}"' for package in packages)
        (self.folder / "pyproject.toml").write_text(
            f'[project]\nname = "demo"\nversion = "1.0"\nrequires-python = ">=3.9"\ndependencies = [{listed}]\n'
        )
        if again:
            (self.folder / "uv.lock").unlink()
        with loopback_index(self.wheels, port=port) as url:
            common = ("-q", "--no-cache", "--default-index", url, "--python", sys.executable, "--link-mode", "copy")
            self.run(self.shop.tool("uv"), "lock", *common[:4])
            self.run(self.shop.tool("uv"), "sync", "--locked", *common)
            return int(url.rsplit(":", 1)[1].split("/")[0])

    def run(self, *words: str | Path) -> None:
        self.shop.run([*words], cwd=self.folder)

    def commit(self, *files: str) -> None:
        who = ("-c", "user.name=ada", "-c", "user.email=ada@mail.example", "-c", "commit.gpgsign=false")
        self.run("git", "add", *files)
        self.run("git", *who, "commit", "-q", "-m", "one more")

    def diff(self, before: str | Path, after: str | Path, *words: str, code: int | None = None) -> dict[str, Any]:
        """The document of ``sanctity diff``, held against its schema and its exit code."""
        done = sanctity("diff", before, after, *words, "--format", "json", cwd=self.folder)
        assert done.stdout, done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        SCHEMA.validate(document)
        assert done.returncode == {"same": 0, "different": 1, "undecided": 3}[document["answer"]]
        if code is not None:
            assert done.returncode == code, done.stdout
        return document

    def error(self, *words: str | Path) -> tuple[int, str]:
        """The exit code and the error's own code."""
        done = sanctity("diff", *words, "--format", "json", cwd=self.folder)
        return done.returncode, json.loads(done.stdout)["error"]["code"]


def changes(document: Mapping[str, Any]) -> dict[str, list[str]]:
    """What happened to each package."""
    return {change["name"]: change["changes"] for each in document["differences"] for change in each["packages"]}


@pytest.fixture
def project(workshop: Workshop, tmp_path: Path) -> Project:
    """alpha 1.0 and beta 1.0, locked, installed and committed."""
    made = Project(workshop, tmp_path / "project", tmp_path / "wheels")
    made.folder.mkdir()
    for version in ("1.0", "1.1"):
        make_wheel(
            made.wheels,
            "alpha",
            version,
            ALPHA | {"alpha/version.py": version.encode()},
            entry_points="[console_scripts]\nalpha = alpha:main\n",
        )
    for name in ("beta", "gamma"):
        make_wheel(made.wheels, name, "1.0", {f"{name}.py": b"VALUE = 1\n"})
    made.run("git", "init", "-q", "-b", "main")
    made.lock("alpha==1.0", "beta")
    made.commit("pyproject.toml", "uv.lock")
    return made


def test_a_lock_at_two_commits(project: Project) -> None:
    project.lock("alpha==1.1", "gamma")
    project.commit("pyproject.toml", "uv.lock")
    found = changes(project.diff("HEAD~1:uv.lock", "HEAD:uv.lock"))
    # The index is on another port now, so what is on it comes from another place.
    assert {name: each[0] for name, each in found.items()} == {"alpha": "up", "beta": "removed", "gamma": "added"}
    assert not project.diff("HEAD:uv.lock", "uv.lock", code=0)["differences"][0]["packages"]
    assert project.diff(":uv.lock", "main:./uv.lock", code=0)["answer"] == "same"
    done = sanctity("diff", "HEAD~1:uv.lock", "uv.lock", "--format", "github", cwd=project.folder)
    rows = (project.folder / "uv.lock").read_text().splitlines()
    for name in ("alpha", "gamma"):
        line = next(int(row.split("line=")[1].split(",")[0]) for row in done.stdout.splitlines() if f"::{name} 1" in row)
        assert rows[line - 1 : line + 1] == ["[[package]]", f'name = "{name}"']


def test_other_bytes_under_a_locked_version_are_an_alarm(project: Project) -> None:
    port = project.lock("alpha==1.0", "beta", again=True)
    project.commit("uv.lock")
    make_wheel(project.wheels, "beta", "1.0", {"beta.py": b"VALUE = 'evil'\n"})
    project.lock("alpha==1.0", "beta", again=True, port=port)
    document = project.diff("HEAD:uv.lock", "uv.lock")
    assert changes(document) == {"beta": ["hashes"]}
    change = document["differences"][0]["packages"][0]
    assert change["alarming"]
    assert change["artifacts"]["new"][0]["filename"] == "beta-1.0-py3-none-any.whl"


def test_a_lock_beside_the_environment_that_it_made_and_one_that_it_did_not(project: Project) -> None:
    assert project.diff("uv.lock", ".venv", code=0)
    assert project.diff(".", "HEAD:uv.lock", code=0)
    project.lock("alpha==1.1", "gamma")
    document = project.diff("HEAD:uv.lock", ".venv")
    assert changes(document) == {"alpha": ["up"], "beta": ["removed"], "gamma": ["added"]}


def test_a_file_that_differs_between_two_environments_is_named(project: Project) -> None:
    other = project.folder / "other"
    shutil.copytree(project.folder / ".venv", other, symlinks=True)
    # A copy's script still starts the original's interpreter, so it is not the wrapper that it seems to be.
    (change,) = project.diff(".venv", "other")["differences"][0]["packages"]
    assert [each["path"] for each in change["files"]] == ["scripts/alpha"]
    script = other / "bin/alpha"
    script.write_text(script.read_text().replace(str(project.folder / ".venv"), str(other)))
    assert not changes(project.diff(".venv", "other"))
    site = other / project.site.relative_to(project.folder / ".venv")
    (site / "alpha/more.py").write_text("MORE = 2\n")
    (site / "alpha/__init__.py").unlink()
    (site / "rogue.py").write_text("import os\n")
    document = project.diff(".venv", "other")
    change = document["differences"][0]["packages"][0]
    assert (change["name"], change["changes"]) == ("alpha", ["content"])
    files = {each["path"]: (bool(each["before"]), bool(each["after"])) for each in change["files"]}
    assert {name: files[name] for name in ("lib/alpha/more.py", "lib/alpha/__init__.py")} == {
        "lib/alpha/more.py": (True, True),
        "lib/alpha/__init__.py": (True, False),
    }
    rogue = [row["key"] for row in document["differences"][0]["parts"] if row["part"] == "unclaimed"]
    assert [key.rpartition("/")[2] for key in rogue] == ["rogue.py"]
    text = sanctity("diff", ".venv", "other", cwd=project.folder).stdout
    assert "altered   alpha/more.py" in text
    assert "rogue.py" in text


def test_a_seal_against_what_it_sealed_and_what_came_after(project: Project) -> None:
    assert sanctity("seal", cwd=project.folder).returncode == 0
    project.commit("env.seal.json")
    assert project.diff("env.seal.json", ".venv", code=0)
    assert project.diff("HEAD:env.seal.json", "env.seal.json", code=0)
    assert project.diff("env.seal.json", "uv.lock", code=0)
    project.lock("alpha==1.1", "beta")
    document = project.diff("main:env.seal.json", ".venv")
    assert changes(document)["alpha"] == ["up"]
    assert changes(project.diff("env.seal.json", "uv.lock"))["alpha"] == ["up"]
    assert [row["part"] for row in project.diff("env.seal.json", "uv.lock")["differences"][0]["parts"]] == ["lock"]
    assert sanctity("seal", cwd=project.folder).returncode == 0
    document = project.diff("HEAD:env.seal.json", "env.seal.json")
    assert changes(document) == {"alpha": ["up"]}
    sarif = json.loads(sanctity("diff", "HEAD:env.seal.json", "env.seal.json", "--format", "sarif", cwd=project.folder).stdout)
    (place,) = [
        result["locations"][0]["physicalLocation"] for result in sarif["runs"][0]["results"] if result["ruleId"] == "diff-up"
    ]
    assert place["artifactLocation"]["uri"] == "env.seal.json"
    assert '"alpha"' in (project.folder / "env.seal.json").read_text().splitlines()[place["region"]["startLine"] - 1]


def test_the_rows_beside_a_seal_name_the_file_and_are_not_believed_once_edited(project: Project) -> None:
    assert sanctity("seal", "--files", cwd=project.folder).returncode == 0
    project.commit("env.seal.json", "env.seal.files")
    (project.site / "alpha/more.py").write_text("MORE = 2\n")
    for seal in ("env.seal.json", "HEAD:env.seal.json"):
        (change,) = project.diff(seal, ".venv")["differences"][0]["packages"]
        assert (change["changes"], [each["path"] for each in change["files"]]) == (["content"], ["lib/alpha/more.py"])
    rows = project.folder / "env.seal.files"
    rows.write_text(rows.read_text().replace("lib/alpha/more.py", "lib/alpha/less.py"))
    done = sanctity("diff", "env.seal.json", ".venv", cwd=project.folder)
    assert "env.seal.files was passed over: seal-contradictory" in done.stderr
    (change,) = project.diff("env.seal.json", ".venv")["differences"][0]["packages"]
    assert (change["changes"], change["files"]) == (["content"], [])
    rows.unlink()
    document = project.diff("env.seal.json", ".venv")
    assert "not-stated" in {item["code"] for item in document["differences"][0]["unchecked"]}


def test_two_installers_made_the_same_packages(workshop: Workshop, tmp_path: Path) -> None:
    by_uv, by_pip = uv_pip(workshop, tmp_path / "uv"), pip_venv(workshop, tmp_path / "pip", lock=SMALL)
    done = sanctity("diff", by_uv.env, by_pip.env, "--format", "json", cwd=tmp_path)
    document = json.loads(done.stdout)
    assert not changes(document)
    (difference,) = document["differences"]
    assert {row["part"] for row in difference["parts"]} <= {"activation"}
    assert not [item for item in difference["unchecked"] if item["in_scope"]]


def test_requirements_and_what_they_include_are_of_one_revision(project: Project) -> None:
    (project.folder / "requirements.txt").write_text("-r base.txt\nalpha==1.0\n")
    (project.folder / "base.txt").write_text("beta==1.0\n")
    project.commit("requirements.txt", "base.txt")
    (project.folder / "base.txt").write_text("beta==2.0\n")
    assert changes(project.diff("HEAD:requirements.txt", "requirements.txt")) == {"beta": ["up"]}
    assert project.diff("HEAD:requirements.txt", ".venv", code=0)


def test_a_row_without_a_name_goes_by_its_place(project: Project) -> None:
    (project.folder / "one.txt").write_text("-e .\n./library\nalpha==1.0\n")
    (project.folder / "two.txt").write_text("-e .\nalpha==1.0\n")
    (project.folder / "three.txt").write_text("alpha==1.0\n")
    assert changes(project.diff("one.txt", "two.txt")) == {"./library": ["removed"]}
    assert changes(project.diff("three.txt", "two.txt")) == {"-e .": ["added"]}
    (project.folder / "four.txt").write_text(f"git+https://git.example/x/y@{'0' * 40}\n")
    (project.folder / "five.txt").write_text(f"git+https://git.example/x/y@{'1' * 40}\ngit+https://git.example/x/z@{'1' * 40}\n")
    found = project.diff("four.txt", "five.txt")
    assert changes(found) == {"git+https://git.example/x/y": ["source"], "git+https://git.example/x/z": ["added"]}
    looks = {change["name"][-1]: [look["code"] for look in change["looks"]] for change in found["differences"][0]["packages"]}
    assert looks == {"y": ["source-changed"], "z": ["not-from-index"]}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("main:.venv", "uv.lock"), (2, "lock-not-found")),
        (("main:folder", "uv.lock"), (2, "usage")),
        (("main:nope.lock", "uv.lock"), (2, "lock-not-found")),
        (("nope:uv.lock", "uv.lock"), (2, "revision-unknown")),
        (("nope.lock", "uv.lock"), (2, "lock-not-found")),
        (("sha256:" + "0" * 64, "uv.lock"), (2, "usage")),
        (("folder/pylock.other.json", "uv.lock"), (2, "lock-unknown-format")),
        (("folder", "uv.lock"), (2, "no-environment")),
    ],
)
def test_what_can_not_be_compared_is_an_error(project: Project, words: tuple[str, ...], told: tuple[int, str]) -> None:
    (project.folder / "folder").mkdir()
    (project.folder / "folder/pylock.other.json").write_text("x")
    project.commit("folder")
    if told[1] == "no-environment":
        shutil.rmtree(project.folder / ".venv")
    assert project.error(*words) == told


def test_a_file_that_is_there_counts_before_a_revision(project: Project) -> None:
    (project.folder / "locked.txt").write_text("beta==1.0\n")
    project.commit("locked.txt")
    (project.folder / "HEAD:locked.txt").write_text("beta==0.9\n")
    assert changes(project.diff("HEAD:locked.txt", "locked.txt")) == {"beta": ["up"]}
    assert project.diff("main:locked.txt", "locked.txt", code=0)


def test_a_seal_with_several_environments_is_compared_entry_by_entry(project: Project) -> None:
    assert sanctity("seal", cwd=project.folder).returncode == 0
    seal = project.folder / "env.seal.json"
    one = json.loads(seal.read_text())
    write = _seal_with(project.folder)
    write("both.seal.json", one, "linux-aarch64-musl")
    text = sanctity("diff", "env.seal.json", "both.seal.json", cwd=project.folder)
    assert text.returncode == 1
    assert "linux-aarch64-musl" in text.stdout
    document = project.diff("env.seal.json", "both.seal.json")
    assert [each["answer"] for each in document["differences"]].count("same") == 1
    assert project.diff("both.seal.json", ".venv", code=0)
    assert len(project.diff("both.seal.json", "uv.lock", code=0)["differences"]) == 2
    write("strict.seal.json", one, "linux-aarch64-musl")
    stricter = project.diff("both.seal.json", "strict.seal.json", code=1)["differences"]
    assert [[row["part"] for row in each["parts"]] for each in stricter] == [["policy"], []]  # a document's own is told once
    key = document["differences"][0]["environment"]
    assert key.startswith("linux-aarch64-musl")
    assert len(project.diff("both.seal.json", "uv.lock", "--platform", "linux-aarch64", code=0)["differences"]) == 1
    assert project.error("both.seal.json", "uv.lock", "--platform", "win32") == (2, "usage")


def _seal_with(folder: Path) -> Callable[[str, dict[str, Any], str], None]:
    """A way to write a seal that also has an entry for another platform, whose digests agree with it."""
    from dataclasses import replace

    from sanctity.canon.fingerprint import part_digest, whole
    from sanctity.model.policy import Policy
    from sanctity.seals.document import format_seal, parse_seal, seal_of

    def write(name: str, document: dict[str, Any], platform: str) -> None:
        (entry,) = parse_seal(json.dumps(document).encode(), name).environments
        machine = platform.split("-")[1]
        interpreter = part_digest([entry.implementation, entry.version, entry.abi, machine])
        parts = tuple((part, interpreter if part == "interpreter" else digest) for part, digest in entry.parts)
        other = replace(entry, platform=platform, parts=parts, fingerprint=whole(parts))
        policy = Policy(gate=("cpu",)) if name.startswith("strict") else Policy()
        (folder / name).write_text(format_seal(seal_of(name, [entry, other], policy=policy)))

    return write


def test_the_tool_leaves_the_repository_as_it_was(project: Project) -> None:
    def state() -> str:
        words = ["git", "status", "--porcelain", "--ignored", "--branch"]
        return subprocess.run(words, cwd=project.folder, capture_output=True, text=True, check=True).stdout

    before = state(), sorted(path.name for path in (project.folder / ".git").iterdir())
    project.diff("HEAD:uv.lock", "uv.lock")
    assert (state(), sorted(path.name for path in (project.folder / ".git").iterdir())) == before
