"""Environments built again from an archive alone: no network, a fresh home, uv there or not, at awkward paths."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import resources
from typing import TYPE_CHECKING

import jsonschema
import pytest

from real.tools import interpreters
from rebuilding.building import ENGINES, Bench, a_bench, hidden, make_wheel, proof_of, sha256

if TYPE_CHECKING:
    from pathlib import Path

    from real.tools import Workshop


@pytest.fixture(scope="module")
def bench(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return a_bench(workshop, tmp_path_factory.mktemp("rebuild"))


def spoken(program: Path) -> str:
    return subprocess.run([program], capture_output=True, text=True, check=True, env={"PATH": "/usr/bin:/bin"}).stdout.strip()


@ENGINES
@pytest.mark.parametrize("name", ["plain", "a blank and 'quotes'", "long-" + "x" * 150])
def test_what_is_built_again_works_and_is_proven(bench: Bench, tmp_path: Path, engine: str, name: str) -> None:
    target = tmp_path / name
    done = bench.rebuild(bench.lock, target, uv=engine == "uv")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("PROVEN")
    assert spoken(target / "bin/alpha-main") == "alpha 1.0"
    assert spoken(target / "bin/speak") == f"speak {target}"
    assert hidden(tmp_path) == []
    proof = proof_of(target)
    assert proof["engine"]["name"] == engine
    assert proof["verdict"] == "clean"
    assert proof["fingerprint"]["expected"] == proof["fingerprint"]["actual"] == bench.fingerprint(target)
    locked = {line.split("sha256:")[1] for line in bench.lock.read_text().splitlines()}
    assert {item["sha256"].removeprefix("sha256:") for item in proof["artifacts"]} == locked
    for path in (target / "bin").iterdir():
        if path.is_file() and not path.is_symlink():
            assert b".partial" not in path.read_bytes(), f"{path.name} names the hidden folder"
    assert ".partial" not in (target / "pyvenv.cfg").read_text()
    assert not [path for path in target.rglob("*") if path.is_file() and not path.is_symlink() and path.stat().st_nlink > 1]
    assert bench.run("verify", bench.lock, "--env", target).returncode == 0


@pytest.mark.parametrize(
    "version",
    [
        pytest.param(version, marks=() if version in {"3.8", "3.13"} else pytest.mark.long)
        for version in interpreters()
        if version != "3.14"
    ],
)
def test_every_python_is_built_on(bench: Bench, tmp_path: Path, version: str) -> None:
    target = tmp_path / "env"
    done = bench.rebuild(bench.lock, target, "--python", interpreters()[version], uv=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert proof_of(target)["interpreter"]["version"].startswith(f"{version}.")
    other = tmp_path / "other"
    assert bench.rebuild(bench.lock, other, "--python", interpreters()[version]).returncode == 0
    assert bench.fingerprint(target) == bench.fingerprint(other), "uv and pip made two environments of one lock"


def test_a_seal_is_built_again_from_the_archive_by_its_digest(bench: Bench, tmp_path: Path) -> None:
    first = tmp_path / "first"
    assert bench.rebuild(bench.lock, first).returncode == 0
    seal = bench.project / "env.seal.json"
    assert bench.run("seal", "--env", first, "--lock", bench.lock, "-o", seal).returncode == 0
    added = bench.run("archive", "add", seal, "--archive", bench.archive, "--offline")
    assert added.returncode == 0, added.stdout + added.stderr
    fingerprint = bench.fingerprint(first)
    by_file = bench.rebuild(seal, tmp_path / "by-file")
    assert by_file.returncode == 0, by_file.stdout + by_file.stderr
    seal.unlink()
    done = bench.rebuild(fingerprint, tmp_path / "by-fingerprint", uv=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert proof_of(tmp_path / "by-fingerprint")["fingerprint"] == {"expected": fingerprint, "actual": fingerprint}


def test_the_plan_says_what_would_be_done_and_makes_nothing(bench: Bench, tmp_path: Path) -> None:
    done = bench.rebuild(bench.lock, tmp_path / "env", "--dry-run", "--format", "json")
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert plan["possible"] is True
    assert [item["name"] for item in plan["artifacts"]] == ["alpha", "beta", "gamma", "tools"]
    assert {item["from"] for item in plan["artifacts"]} == {"archive"}
    assert list(tmp_path.iterdir()) == []


def test_what_the_archive_lacks_is_named_before_anything_is_made(bench: Bench, tmp_path: Path) -> None:
    lock = tmp_path / "requirements.txt"
    other = make_wheel(tmp_path / "elsewhere", "delta")
    lock.write_text(bench.lock.read_text() + f"delta==1.0 --hash=sha256:{sha256(other)}\n")
    done = bench.rebuild(lock, tmp_path / "env")
    assert done.returncode == 3
    assert "delta 1.0" in done.stdout
    assert "artifact-unnamed" in done.stdout
    assert not (tmp_path / "env").exists()
    assert hidden(tmp_path) == []


def test_nothing_is_ever_replaced(bench: Bench, tmp_path: Path) -> None:
    target = tmp_path / "env"
    target.mkdir()
    (target / "mine").write_text("keep")
    done = bench.rebuild(bench.lock, target)
    assert done.returncode == 2
    assert "target-exists" in done.stderr
    assert (target / "mine").read_text() == "keep"
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "nowhere")
    assert bench.rebuild(bench.lock, link).returncode == 2
    empty = tmp_path / "empty"
    empty.mkdir()
    assert bench.rebuild(bench.lock, empty).returncode == 0


def test_plan_and_proof_are_as_their_schemas_say(bench: Bench, tmp_path: Path) -> None:
    def schema(name: str) -> dict[str, object]:
        text = resources.files("sanctity.report").joinpath(f"schema/{name}.json").read_text("utf-8")
        loaded: dict[str, object] = json.loads(text)
        return loaded

    plan = bench.rebuild(bench.lock, tmp_path / "env", "--dry-run", "--format", "json")
    jsonschema.validate(json.loads(plan.stdout), schema("rebuild-plan-1"))
    made = bench.rebuild(bench.lock, tmp_path / "env", "--format", "json")
    jsonschema.validate(json.loads(made.stdout), schema("proof-1"))
    assert proof_of(tmp_path / "env") == json.loads(made.stdout)
    assert str(tmp_path) not in made.stdout, "the proof says where it was built"
    again = bench.rebuild(bench.lock, tmp_path / "two", "--format", "json")
    assert again.stdout == made.stdout, "the same rebuild has two proofs"


def test_an_altered_wheel_is_named_and_never_installed(workshop: Workshop, tmp_path: Path) -> None:
    bench = a_bench(workshop, tmp_path, names=("alpha",))
    digest = bench.lock.read_text().split("sha256:")[1].split()[0]
    blob = bench.archive / "blobs/sha256" / digest
    data = bytearray(blob.read_bytes())
    data[len(data) // 2] ^= 1
    blob.chmod(0o644)
    blob.write_bytes(data)
    done = bench.rebuild(bench.lock, tmp_path / "env")
    assert done.returncode == 3
    assert "archive-blob-altered" in done.stderr
    assert digest in done.stderr
    assert not (tmp_path / "env").exists()
    assert hidden(tmp_path) == []


def test_an_interpreter_that_is_not_here_is_asked_for(bench: Bench, tmp_path: Path) -> None:
    done = bench.rebuild(bench.lock, tmp_path / "env", "--python", "3.99")
    assert done.returncode == 3
    assert "interpreter-not-found" in done.stderr
    assert "pyenv install 3.99" in done.stderr
    assert "uv python install 3.99" in done.stderr


def test_what_speaks_for_the_user_is_not_heard(bench: Bench, tmp_path: Path) -> None:
    """Variables and files that change how pip, uv or Python work reach neither engine."""
    trap = tmp_path / "trap"
    trap.mkdir()
    (trap / "sitecustomize.py").write_text(f"open({str(tmp_path / 'sprung')!r}, 'w')\n")
    for engine in ("uv", "pip"):
        target = tmp_path / engine
        words = ["rebuild", bench.lock, target, "--archive", bench.archive, "--offline", "--engine", engine]
        done = subprocess.run(
            [sys.executable, "-I", "-m", "sanctity", *map(str, words)],
            cwd=bench.project,
            env=bench.environ(
                PYTHONPATH=str(trap), PIP_TARGET=str(tmp_path / "lost"), UV_SYSTEM_PYTHON="1", UV_LINK_MODE="symlink"
            ),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert not (tmp_path / "lost").exists()
    assert not (tmp_path / "sprung").exists()


def test_what_does_not_come_out_as_its_file_says_loses_its_name(bench: Bench, tmp_path: Path) -> None:
    """A content that the archive states falsely is as good as an engine that installs something else: both are not proven."""
    forged = tmp_path / "uv"
    real = bench.uv
    forged.write_text(
        f'#!/bin/sh\n{real} "$@"\ncode=$?\n'
        'case "$*" in *requirements*) for f in ../*/lib/python3*/site-packages/alpha/__init__.py; do echo "evil = 1" >> "$f"; done;; esac\n'
        "exit $code\n"
    )
    forged.chmod(0o755)
    target = tmp_path / "env"
    done = bench.rebuild(bench.lock, target, PATH=f"{tmp_path}:/usr/bin:/bin")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "NOT PROVEN" in done.stdout
    assert "alpha/__init__.py" in done.stdout
    assert not target.exists()
    assert (tmp_path / "env.unproven").is_dir()
    assert proof_of(tmp_path / "env.unproven")["verdict"] == "drifted"
    assert not (tmp_path / "env.proof.json").exists()
    again = bench.rebuild(bench.lock, target, "--discard", PATH=f"{tmp_path}:/usr/bin:/bin")
    assert again.returncode == 1
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir() and path.name.startswith("env")) == ["env.unproven"]


def _instead_of_uv(bench: Bench, folder: Path, then: str) -> str:
    """A PATH that begins with a program called uv: the true one, and *then* something of its own after an install."""
    folder.mkdir()
    fake = folder / "uv"
    fake.write_text(f'#!/bin/sh\n"{bench.uv}" "$@" || exit\n[ "$1 $2" = "pip install" ] || exit 0\n{then}\n')
    fake.chmod(0o755)
    return f"{folder}:/usr/bin:/bin"


def test_bytecode_that_an_engine_slips_in_is_not_there(bench: Bench, tmp_path: Path) -> None:
    """No RECORD has a hash for it, and import would run it: it is taken out, since none was asked for."""
    slip = (
        'for word; do case $word in */bin/python) site=$(echo "${word%/bin/python}"/lib/python3*/site-packages);; esac; done\n'
        'mkdir -p "$site/__pycache__" && echo evil > "$site/__pycache__/alpha.cpython-311.pyc"\n'
        'ln -s /dev/null "$site/__pycache__/x.pyc"'
    )
    target = tmp_path / "again"
    done = bench.rebuild(bench.lock, target, PATH=_instead_of_uv(bench, tmp_path / "bin", slip))
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(target.rglob("*.pyc")) == []


def test_an_engine_that_does_nothing_is_named(bench: Bench, tmp_path: Path) -> None:
    undo = 'for word; do case $word in */bin/python) rm -r "${word%/bin/python}"/lib/python3*/site-packages/*;; esac; done'
    target = tmp_path / "again"
    done = bench.rebuild(bench.lock, target, PATH=_instead_of_uv(bench, tmp_path / "bin", undo))
    assert done.returncode == 3, done.stdout + done.stderr
    assert "engine-failed" in done.stderr
    assert not target.exists()
