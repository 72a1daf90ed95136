"""The verb lint, from the command line to the exit code: real files in a folder, and what is told of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from real.index import loopback_index, make_wheel
from sanctity.cli import main
from sanctity.report.json import schema as report_schema
from sanctity.report.linting import schema

CORPUS = Path(__file__).parents[3] / "shared/corpus"
DIGEST = "0" * 64
HASHED = f"six==1.16.0 --hash=sha256:{DIGEST}\n"
UV = f"""version = 1
requires-python = ">=3.11"

[[package]]
name = "app"
version = "0.1"
source = {{ virtual = "." }}
dependencies = [{{ name = "six" }}]

[[package]]
name = "six"
version = "1.16.0"
source = {{ registry = "https://index.example/simple" }}
wheels = [
    {{ url = "https://files.example/six-1.16.0-py2.py3-none-any.whl", hash = "sha256:{DIGEST}" }},
]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to stand in, with no environment in sight."""
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX", "UV_PROJECT_ENVIRONMENT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    return project


def _lint(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["lint", *words])
    return int(ended.value.code or 0)


def _json(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    code = _lint(*words, "--format", "json")
    document = json.loads(capsys.readouterr().out)
    jsonschema.validate(document, schema())
    return code, document


def _codes(document: dict[str, Any]) -> list[str]:
    return [finding["code"] for finding in document["findings"]]


def test_a_sound_lock_is_clean(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "uv.lock").write_text(UV)
    code, document = _json(capsys, "uv.lock")
    assert (code, document["verdict"], document["findings"]) == (0, "clean", [])
    (lock,) = document["locks"]
    assert (lock["format"], lock["format_version"], lock["summary"]["packages"]) == ("uv", "1", 2)
    assert document["reference"]["digest"] == lock["digest"]
    assert _lint("uv.lock") == 0
    assert capsys.readouterr().out == "CLEAN  uv.lock: nothing found   2 packages\n"


def test_a_warning_does_not_set_the_exit_code_but_with_strict(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "requirements.txt").write_text("six==1.16.0\n")
    code, document = _json(capsys, "requirements.txt")
    assert (code, document["verdict"], _codes(document)) == (0, "clean", ["unhashed"])
    assert document["findings"][0]["line"] == 1
    assert document["findings"][0]["gating"] is False
    code, document = _json(capsys, "requirements.txt", "--strict")
    assert (code, document["verdict"], document["findings"][0]["gating"]) == (1, "drifted", True)


def test_an_error_sets_the_exit_code(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "uv.lock").write_text(UV.replace("six-1.16.0-py2", "seven-1.16.0-py2"))
    assert _lint("uv.lock") == 1
    told = capsys.readouterr().out
    assert told.startswith("FAULTY  uv.lock: 1 error")
    assert "line 10" in told
    assert "fix: see who changed this entry; then uv lock" in told


def test_what_can_not_be_read_is_two_and_the_others_are_judged_all_the_same(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "uv.lock").write_text(UV.replace(f"sha256:{DIGEST}", "sha256:zz").replace('"1.16.0"', '"one"'))
    (folder / "requirements.txt").write_text("six==1.16.0\n")
    code, document = _json(capsys, "uv.lock", "requirements.txt", "nowhere.lock")
    assert (code, document["verdict"]) == (2, "undecided")
    assert [lock["summary"] is None for lock in document["locks"]] == [True, False, True]
    assert _codes(document) == ["lock-not-found", "unhashed", "lock-bad-version", "malformed-hash"]
    assert {finding["severity"] for finding in document["findings"] if finding["code"] != "unhashed"} == {"error"}
    assert document["findings"][3]["where"] == "package[1].wheels[0].hash"


def test_a_secret_is_an_error_and_is_never_shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "requirements.txt").write_text(f"--index-url https://me:hunter2@index.example/simple\n{HASHED}")
    for format_ in ("text", "json", "markdown", "sarif", "github"):
        assert _lint("requirements.txt", "--format", format_) == 1
        told = "".join(capsys.readouterr())
        assert "lock-url-credentials" in told
        assert "hunter2" not in told


def test_a_folder_is_a_project_and_its_locks_are_found(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "uv.lock").write_text(UV)
    (folder / "pyproject.toml").write_text('[project]\nname = "app"\nversion = "0.1"\ndependencies = ["six"]\n')
    (folder / "requirements").mkdir()
    (folder / "requirements/dev.txt").write_text("-r main.txt\n-c pins.txt\n")
    (folder / "requirements/main.txt").write_text("six\n")
    (folder / "requirements/pins.txt").write_text("six==1.16.0\n")
    (folder / "LICENSE.txt").write_text("Permission is hereby granted, free of charge\n")
    (folder / "words.txt").write_text("one\ntwo\n")
    _, document = _json(capsys)
    assert document["project"] == "."
    assert [lock["path"] for lock in document["locks"]] == ["uv.lock", "requirements/dev.txt"]
    assert not any(finding["code"] == "unpinned" for finding in document["findings"])
    found = [(each["code"], each["path"], each["line"]) for each in document["findings"] if each["code"] == "unhashed"]
    assert found == [("unhashed", "requirements/main.txt", 1)]


def test_a_project_without_a_lock_is_judged_by_what_it_wishes_for(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "requirements.txt").write_text("six>=1\n")
    _, document = _json(capsys)
    assert ("unpinned", "six") in [(each["code"], each["package"]) for each in document["findings"]]


def test_what_is_in_a_repository_is_governed_by_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lock = folder / "libs/app/uv.lock"
    lock.parent.mkdir(parents=True)
    lock.write_text(UV + '\n[[package]]\nname = "base"\nversion = "1"\nsource = { editable = "../base" }\n')
    _, document = _json(capsys, str(lock))
    assert _codes(document) == ["source-mutable"]
    (folder / ".git").mkdir()
    assert _codes(_json(capsys, str(lock))[1]) == []


def test_wheels_are_judged_for_what_is_asked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "uv.lock").write_text(UV.replace("py2.py3-none-any", "cp312-cp312-manylinux_2_17_aarch64"))
    words = ("uv.lock", "--platform", "linux-aarch64-glibc")
    assert _codes(_json(capsys, *words, "--python-version", "3.12")[1]) == []
    code, document = _json(capsys, *words, "--python-version", "3.13")
    assert (code, _codes(document)) == (0, ["no-wheel-for-platform"])
    assert document["judged_for"] == "Python 3.13 on linux-aarch64-glibc"
    for name in ("plan9", "win32", "macos-arm64"):
        assert _lint("uv.lock", "--platform", name) == 2
        told = capsys.readouterr().err
        assert f"{name!r} is not a platform of Linux" in told
        assert "linux-aarch64-glibc-2.28, linux-x86_64-musl" in told


def test_what_is_not_there_is_said_and_what_bears_another_format_s_name(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("nodir/", "nodir", "uv.lock"):
        code, document = _json(capsys, name)
        assert (code, _codes(document)) == (2, ["lock-not-found"])
    (folder / "uv.lock").write_text('[[package]]\nname = "six"\n\n[metadata]\nlock-version = "2.1"\ncontent-hash = "0"\n')
    code, document = _json(capsys, "uv.lock")
    assert code == 2
    assert document["findings"][0]["hint"].startswith("its text begins as that of the format poetry does")
    (folder / "uv.lock").write_text(UV.replace("version = 1", "version = 9"))
    assert "begins as" not in _json(capsys, "uv.lock")[1]["findings"][0]["hint"]


def test_what_is_known_is_let_be_and_what_is_new_is_not(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = folder / "requirements.txt"
    file.write_text("six==1.16.0\nidna==3.6\n")
    assert _lint("--write-baseline", "--strict") in {0, 1}
    capsys.readouterr()
    text = (folder / "lint.baseline.json").read_text()
    assert '"code": "unhashed"' in text
    code, document = _json(capsys, "--strict")
    assert code == 0
    assert all(finding["known"] for finding in document["findings"])
    assert document["baseline"]["path"] == "lint.baseline.json"

    file.write_text(f"# moved\n\nidna==3.7\nattrs==23.1.0\n{HASHED}")
    code, document = _json(capsys, "--strict")
    new = [each["package"] for each in document["findings"] if not each.get("known") and each["code"] == "unhashed"]
    assert (code, new) == (1, ["attrs"])
    assert document["baseline"]["gone"] == ["unhashed six in requirements.txt"]
    _lint()
    told = capsys.readouterr().out
    assert "known before: lint.baseline.json" in told
    assert "no longer found, to be taken out of lint.baseline.json: unhashed six in requirements.txt" in told
    assert (folder / "lint.baseline.json").read_text() == text


def test_a_baseline_is_the_same_from_wherever_it_is_read(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "requirements.txt").write_text("six==1.16.0\n")
    _lint("--write-baseline")
    monkeypatch.chdir(folder.parent)
    capsys.readouterr()
    code, _ = _json(capsys, "project", "--strict")
    assert code == 0


def test_a_baseline_that_is_none_is_an_error(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "requirements.txt").write_text(HASHED)
    assert _lint("--baseline", "known.json") == 2
    assert "error: baseline-unreadable" in capsys.readouterr().err
    (folder / "lint.baseline.json").write_text("<<<<<<< ours\n")
    assert _lint() == 2
    assert "error: baseline-syntax" in capsys.readouterr().err
    assert _lint("--write-baseline") == 0  # and that is the remedy


def test_what_is_no_baseline_is_not_written_over(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "uv.lock").write_text(UV)
    (folder / "known.json").write_text("")
    assert _lint("uv.lock", "--write-baseline", "--baseline", "uv.lock") == 2
    assert "error: baseline-syntax" in capsys.readouterr().err
    assert (folder / "uv.lock").read_text() == UV
    assert _lint("uv.lock", "--write-baseline", "--baseline", "known.json") == 0
    assert _lint("uv.lock", "--write-baseline", "--baseline", "known.json") == 0


def test_a_known_command_hides_no_other_one(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = folder / "Dockerfile"
    file.write_text("FROM x\nRUN pip install -U pip\nRUN pip install aaa\n")
    _lint("--write-baseline")
    capsys.readouterr()
    assert _json(capsys, "--strict")[0] == 0
    for text, line in ((file.read_text() + "RUN pip install zzz\n", 4), (file.read_text().replace("aaa", "evil"), 3)):
        file.write_text(text)
        code, document = _json(capsys, "--strict")
        new = [(each["code"], each["line"]) for each in document["findings"] if not each.get("known")]
        assert (code, new[0]) == (1, ("install-unlocked", line))


def test_no_baseline_makes_a_lock_readable(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "uv.lock").write_text("<<<<<<< ours\n" + UV)
    assert _lint("uv.lock", "--write-baseline") == 2
    capsys.readouterr()
    code, document = _json(capsys, "uv.lock")
    assert (code, _codes(document)) == (2, ["lock-merge-conflict"])
    assert "known" not in document["findings"][0]


def test_wheels_are_opened_where_that_is_asked_for(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wheel = make_wheel(folder, "hooked", "1.0", {"hooked.pth": b"import hooked\n", "hooked.py": b"\n"})
    (folder / "requirements.txt").write_text(f"./{wheel.path.name} --hash=sha256:{wheel.sha256}\n")
    assert _codes(_json(capsys, "requirements.txt")[1]) == []
    code, document = _json(capsys, "requirements.txt", "--artifacts", "--offline")
    assert (code, _codes(document)) == (0, ["wheel-hook"])
    assert "hooked.pth" in document["findings"][0]["message"]


def test_a_wheel_that_can_not_be_had_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "uv.lock").write_text(UV)
    code, document = _json(capsys, "uv.lock", "--artifacts", "--offline")
    assert (code, [item["code"] for item in document["unchecked"]]) == (0, ["offline"])
    _lint("uv.lock", "--artifacts", "--offline")
    assert "  six 1.16.0: its wheel was not opened: no index may be asked for it\n" in capsys.readouterr().out


def test_other_bytes_than_are_locked_are_an_error(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wheel = make_wheel(folder, "demo", "1.0", {"demo.py": b"\n"})
    (folder / "requirements.txt").write_text(f"./{wheel.path.name} --hash=sha256:{DIGEST}\n")
    code, document = _json(capsys, "requirements.txt", "--artifacts", "--offline")
    assert (code, _codes(document), document["unchecked"]) == (1, ["artifact-mismatch"], [])
    (found,) = document["findings"]
    assert (found["severity"], found["package"], found["line"]) == ("error", "demo", 1)
    assert wheel.sha256 in found["message"]


def test_a_hash_that_the_index_does_not_have_is_an_error_and_no_index_is_accused_that_was_not_asked(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = folder.parent / "shelf"
    shelf.mkdir()
    wheel = make_wheel(shelf, "demo", "1.0", {"demo.py": b"\n"})
    (folder / "requirements.txt").write_text(f"demo==1.0 --hash=sha256:{DIGEST}\n")
    with loopback_index(shelf) as url:
        for name, value in {"UV_DEFAULT_INDEX": url, "PIP_INDEX_URL": url, "PIP_CONFIG_FILE": os.devnull}.items():
            monkeypatch.setenv(name, value)
        code, document = _json(capsys, "requirements.txt", "--artifacts")
        assert (code, _codes(document), document["unchecked"]) == (1, ["artifact-mismatch"], [])
        (folder / "requirements.txt").write_text(wheel.requirement)
        assert _json(capsys, "requirements.txt", "--artifacts")[0] == 0
    (folder / "requirements.txt").write_text(f"demo==1.0 --hash=sha256:{DIGEST}\n")
    code, document = _json(capsys, "requirements.txt", "--artifacts", "--offline")
    assert (code, [each["code"] for each in document["unchecked"]]) == (0, ["offline"])
    assert "no index knows" not in document["unchecked"][0]["reason"]


@pytest.mark.parametrize(
    "words", [("--archive", "x"), ("--offline",), ("--apply",), ("--fix", "--format", "json"), ("--format", "xml")]
)
def test_options_that_mean_nothing_alone(words: tuple[str, ...], folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _lint(*words) == 2
    assert "".join(capsys.readouterr())
    assert not list(folder.iterdir())


def test_reports_are_written_side_by_side(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "requirements.txt").write_text("six==1.16.0\n")
    assert _lint("requirements.txt", "-o", "report.txt", "--also", "json=report.json", "--also", "sarif=report.sarif") == 0
    assert capsys.readouterr().out == ""
    assert "unhashed" in (folder / "report.txt").read_text()
    jsonschema.validate(json.loads((folder / "report.json").read_text()), schema())
    assert json.loads((folder / "report.sarif").read_text())["version"] == "2.1.0"


COMPILED = """# This file was autogenerated by uv via the following command:
#    uv pip compile requirements.in -o requirements.txt
six==1.16.0
"""


def _fake_uv(folder: Path, script: str) -> dict[str, str]:
    """A program called uv that does what *script* says: the search path that has it, and nothing else, first."""
    tools = folder / "tools"
    tools.mkdir(exist_ok=True)
    (tools / "uv").write_text(f"#!/bin/sh\n{script}\n")
    (tools / "uv").chmod(0o755)
    return {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}


def test_a_fix_is_said_before_anything_is_run(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "requirements.txt").write_text(COMPILED)
    for name, value in _fake_uv(folder.parent, "touch ran").items():
        monkeypatch.setenv(name, value)
    assert _lint("requirements.txt", "--fix") == 0
    told = capsys.readouterr()
    assert "  uv pip compile --generate-hashes requirements.in -o requirements.txt\n" in told.err
    assert "      for unhashed in requirements.txt\n" in told.err
    assert not (folder / "ran").exists()


def test_a_fix_is_applied_and_the_lock_judged_again(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "requirements.txt").write_text(COMPILED)
    for name, value in _fake_uv(folder.parent, f'echo "$@"; printf %s "{HASHED.strip()}" > requirements.txt').items():
        monkeypatch.setenv(name, value)
    assert _lint("requirements.txt", "--fix", "--apply", "--strict") == 0
    told = capsys.readouterr()
    assert told.out.startswith("FAULTY  requirements.txt: 1 warning")
    assert told.out.endswith("CLEAN  requirements.txt: nothing found   1 package\n")
    assert "$ uv pip compile --generate-hashes requirements.in -o requirements.txt\n" in told.err


def test_a_fix_that_fails_is_told(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "requirements.txt").write_text(COMPILED)
    for name, value in _fake_uv(folder.parent, "exit 7").items():
        monkeypatch.setenv(name, value)
    assert _lint("requirements.txt", "--fix", "--apply") == 3
    assert "it ended with 7" in capsys.readouterr().err
    monkeypatch.setenv("PATH", str(folder))
    assert _lint("requirements.txt", "--fix", "--apply") == 3
    assert "uv is not installed" in capsys.readouterr().err


def test_where_nothing_can_be_mended_that_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "requirements.txt").write_text("six==1.16.0\n")
    for words in (("--fix", "--apply"), ("--fix",)):
        assert _lint("requirements.txt", *words) == 0
        told = capsys.readouterr()
        assert told.out.count("PASSED") == 1
        assert "nothing that a tool of this project can mend" in told.err
        command = "uv pip compile --generate-hashes requirements.txt -o requirements-lock.txt"
        assert f"fix: {command}\n" in told.out
        assert f"by hand, since the project does not say that these are wanted:\n  {command}\n      for unhashed in" in told.err


def test_what_a_tool_prints_as_its_result_is_not_passed_on(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "requirements.txt").write_text(COMPILED)
    for name, value in _fake_uv(folder.parent, 'echo result; echo message >&2; printf "" > requirements.txt').items():
        monkeypatch.setenv(name, value)
    _lint("requirements.txt", "--fix", "--apply")
    told = capfd.readouterr()
    assert "message\n" in told.err
    assert "result" not in told.out + told.err


def test_each_folder_that_is_named_is_a_project_of_its_own(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("api", "worker"):
        (folder / name).mkdir()
        (folder / name / "pyproject.toml").write_text(
            f'[project]\nname = "{name}"\nversion = "0.1"\ndependencies = ["six"]\n[tool.uv]\n'
        )
    (folder / "api/uv.lock").write_text(UV)
    _, document = _json(capsys, "api", "worker")
    assert document["project"] == "api, worker"
    (found,) = [each for each in document["findings"] if each["code"] == "lock-missing"]
    assert (found["path"], found["command"]) == ("worker/pyproject.toml", "cd worker && uv lock")
    _lint("api", "worker", "--write-baseline")
    assert capsys.readouterr().out.splitlines()[0].endswith("   1 lock, 3 packages")
    assert (folder / "lint.baseline.json").exists()
    assert not (folder / "api/lint.baseline.json").exists()
    _lint("worker")
    assert "the project in worker" in capsys.readouterr().out


def test_where_there_is_nothing_to_lint_that_is_no_pass(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, document = _json(capsys)
    assert (code, _codes(document)) == (0, ["lock-missing"])
    assert _lint("--strict") == 1
    assert "nothing to lint here" in capsys.readouterr().out
    for name in ("api", "apps/worker"):
        (folder / name).mkdir(parents=True)
        (folder / name / "uv.lock").write_text(UV)
    code, document = _json(capsys, "--strict")
    assert "projects lie in api/, apps/worker/" in document["findings"][0]["message"]
    assert document["findings"][0]["hint"] == "name them: sanctity lint api apps/worker"
    assert document["findings"][0]["path"] == "."


@pytest.mark.parametrize(
    ("name", "text", "command"),
    [
        ("Pipfile", '[packages]\nsix = "*"\n', "pipenv lock"),
        ("environment.yml", "dependencies:\n  - python\n", "conda-lock lock -f environment.yml"),
        ("pyproject.toml", '[tool.poetry.dependencies]\nsix = "1"\n', "poetry lock"),
        ("setup.py", "setup(install_requires=[])\n", "uv pip compile --generate-hashes setup.py -o requirements.txt"),
    ],
)
def test_a_missing_lock_is_made_by_the_tool_whose_file_it_is(
    name: str, text: str, command: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / name).write_text(text)
    _, document = _json(capsys)
    assert [each["command"] for each in document["findings"] if each["code"] == "lock-missing"] == [command]


@pytest.mark.skipif(not CORPUS.exists(), reason="the corpus of real locks is not beside this checkout")
def test_a_folder_of_real_requirements(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CORPUS)
    code, document = _json(capsys, "requirements/theupdateframework__python-tuf__1")
    assert code == 0
    assert {"dev.txt", "docs.txt"} <= {Path(lock["path"]).name for lock in document["locks"]}
    assert "pinned.txt" not in {Path(lock["path"]).name for lock in document["locks"]}


def test_it_is_a_program(folder: Path) -> None:
    """As a process of its own, into a pipe."""
    (folder / "uv.lock").write_text(UV)
    program = [str(Path(sys.executable).parent / "sanctity"), "lint", "uv.lock"]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "CLEAN  uv.lock: nothing found   2 packages\n", "")


def test_check_tells_of_a_fault_of_the_lock_itself(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The environment is what the lock says; what the lock says is wrong. Both are said, and a fault is no drift."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", ".venv"], check=True)
    lock = UV.replace('{ name = "six" }', '{ name = "six", marker = "sys_platform == \'win32\'" }')
    (folder / "uv.lock").write_text(lock)

    def check(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["check", *words])
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out, told.err

    assert check()[0] == 0
    (folder / "uv.lock").write_text(lock.replace("six-1.16.0-py2", "seven-1.16.0-py2"))
    code, out, err = check()
    assert (code, out.startswith("CLEAN")) == (1, True)
    assert "note: uv.lock has 1 error of its own (filename-mismatch): `sanctity lint uv.lock` says which\n" in err
    code, out, _ = check("--format", "json")
    document = json.loads(out)
    assert (code, document["verdict"], [fault["code"] for fault in document["faults"]]) == (1, "clean", ["filename-mismatch"])
    jsonschema.validate(document, report_schema())
    with pytest.raises(SystemExit) as ended:
        main(["verify"])
    assert ended.value.code in {0, None}
    capsys.readouterr()

    assert _lint("uv.lock", "--write-baseline") == 0
    capsys.readouterr()
    assert check()[0] == 0
    (folder / "lint.baseline.json").write_text("{")
    code, out, err = check()
    assert (code, out.startswith("CLEAN")) == (0, True)
    assert "baseline-syntax" in err
