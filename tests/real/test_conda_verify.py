"""A prefix that a real installer made, held to its pixi.lock, conda-lock.yml and @EXPLICIT list: clean, and each change named.

rattler makes the prefix and writes the pixi.lock; the other two are written from the prefix's own documents, as their tools would.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from real.conda import demo_packages, install_exactly, publish, python_package, write_pixi_lock, write_wheel
from real.environments import HERE_PYTHON
from real.judging import examine, sanctity
from real.tampering import NotHereError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from real.judging import Judged
    from real.tools import Workshop

pytestmark = [pytest.mark.index, pytest.mark.xdist_group("conda-locks")]

SITE = f"lib/python{HERE_PYTHON}/site-packages"
NATIVE = "demo-native ==2.0 h0_0"
SPECS = ("python", "demo-conda", NATIVE)
LOCKS = ("pixi.lock", "locks/conda-lock.yml", "locks/conda-linux-64.lock")


@dataclass(frozen=True, kw_only=True)
class Made:
    """A pixi *project* with its environment at *prefix*, and what it was made from."""

    shop: Workshop
    project: Path
    channel: Path
    other: Path
    wheel: Path

    @property
    def prefix(self) -> Path:
        return self.project / ".pixi/envs/default"

    def documents(self) -> list[dict[str, Any]]:
        """The documents of the packages that are installed."""
        return [json.loads(file.read_bytes()) for file in sorted((self.prefix / "conda-meta").glob("*.json"))]

    def judge(self, lock: str, *words: str) -> Judged:
        return examine(lock, "--env", ".pixi/envs/default", *words, cwd=self.project)


def _conda_lock(made: Made) -> str:
    """A conda-lock.yml of what is installed, for this platform and a made-up one beside it."""
    rows = []
    for document in made.documents():
        for platform, url, sha256 in (
            ("linux-64", document["url"], document["sha256"]),
            ("osx-arm64", document["url"].replace("linux-64", "osx-arm64"), hashlib.sha256(document["url"].encode()).hexdigest()),
        ):
            digests = {"md5": document["md5"] if platform == "linux-64" else sha256[:32], "sha256": sha256}
            rows.append(_row(document["name"], document["version"], "conda", platform, url, digests))
    sha256 = hashlib.sha256(made.wheel.read_bytes()).hexdigest()
    rows.append(_row("demo-pip", "3.0", "pip", "linux-64", made.wheel.as_uri(), {"sha256": sha256}))
    metadata = {
        "content_hash": {"linux-64": "0" * 64, "osx-arm64": "0" * 64},
        "channels": [{"url": made.channel.as_uri(), "used_env_vars": []}],
        "platforms": ["linux-64", "osx-arm64"],
        "sources": ["environment.yml"],
    }
    return json.dumps({"version": 1, "metadata": metadata, "package": rows}, indent=1)  # which is YAML too


def _row(name: str, version: str, manager: str, platform: str, url: str, digests: dict[str, str]) -> dict[str, object]:
    where = {"name": name, "version": version, "manager": manager, "platform": platform, "dependencies": {}}
    return {**where, "url": url, "hash": digests, "category": "main", "optional": False}


def _explicit(made: Made) -> str:
    """The list that ``conda list --explicit --sha256`` prints, with conda-lock's comment for pip."""
    rows = [f"{document['url']}#{document['sha256']}" for document in made.documents()]
    sha256 = hashlib.sha256(made.wheel.read_bytes()).hexdigest()
    pip = f"# pip demo-pip @ {made.wheel.as_uri()} --hash=sha256:{sha256}"
    return "\n".join(["# platform: linux-64", "@EXPLICIT", *rows, pip, ""])


@pytest.fixture(scope="module")
def made(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("conda-locks")
    demo, native = demo_packages()
    more = replace(native, name="demo-more", version="1.0", files={"share/demo-more.txt": b"more\n"})
    try:
        packages = (python_package(), demo, native, more, replace(native, number=1), replace(native, version="2.1"))
    except NotHereError as error:
        pytest.skip(str(error))
    publish(folder / "channel", packages)
    publish(folder / "other", [replace(native, files={**native.files, "etc/demo.conf": b"[demo]\nother = yes\n"})])
    project = folder / "project"
    (project / "locks").mkdir(parents=True)
    (folder / ".git").mkdir()
    found = Made(
        shop=workshop,
        project=project,
        channel=folder / "channel",
        other=folder / "other",
        wheel=folder / "demo_pip-3.0-py3-none-any.whl",
    )
    write_wheel(found.wheel)
    install_exactly(workshop, found.prefix, *SPECS, channels=[found.channel])
    environments = {"default": SPECS, "lean": ("python",)}
    pypi = [("demo-pip", "3.0", found.wheel.as_uri())]
    write_pixi_lock(workshop, project / "pixi.lock", environments, channels=[found.channel], pypi=pypi)
    (project / "locks/conda-lock.yml").write_text(_conda_lock(found))
    (project / "locks/conda-linux-64.lock").write_text(_explicit(found))
    pip = workshop.tool("pip", "python")
    python = found.prefix / "bin/python"
    workshop.run([pip, "-m", "pip", "--python", python, "install", "-q", "--no-deps", "--no-index", found.wheel])
    return found


@contextlib.contextmanager
def _instead(made: Made, *specs: str, first: Path | None = None) -> Iterator[None]:
    """What the installer makes of other *specs*, the channel *first* before the own one; then it is as it was."""
    try:
        install_exactly(made.shop, made.prefix, *specs, channels=[*([first] if first else ()), made.channel])
        yield
    finally:
        install_exactly(made.shop, made.prefix, *SPECS, channels=[made.channel])


def _told(report: Judged) -> set[tuple[str, str]]:
    return {(drift["code"], drift["distribution"] or "") for drift in report.gating}


@pytest.mark.parametrize("lock", LOCKS)
@pytest.mark.parametrize("depth", ["version", "record"])
def test_untouched_it_is_clean(lock: str, depth: str, made: Made) -> None:
    report = made.judge(lock, "--depth", depth)
    assert report["verdict"] == "clean", report.told()
    assert report["checked"]["distributions"] == 4
    selection = report["reference"]["selection"]
    assert selection.get("environment", "") == ("default" if lock == "pixi.lock" else "")


def test_check_needs_no_argument_in_a_pixi_project(made: Made) -> None:
    done = sanctity("check", cwd=made.project)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ".pixi/envs/default is what pixi.lock says" in done.stdout
    assert "selected: environment default" in done.stdout


@pytest.mark.parametrize(
    ("specs", "code", "name"),
    [
        (("python", "demo-conda", "demo-native ==2.1"), "version-mismatch", "demo-native"),
        (("python", "demo-conda", "demo-native ==2.0 h0_1"), "build-mismatch", "demo-native"),
        (("python", NATIVE), "distribution-missing", "demo-conda"),
        ((*SPECS, "demo-more"), "distribution-extra", "demo-more"),
    ],
)
def test_another_set_of_packages(specs: tuple[str, ...], code: str, name: str, made: Made) -> None:
    with _instead(made, *specs):
        for lock in LOCKS:
            report = made.judge(lock)
            assert _told(report) == {(code, name)}, report.told()
            (drift,) = report.gating
            assert "conda package" in drift["message"]
            assert drift["path"].startswith(f"conda-meta/{name}-")
            tool = {"pixi.lock": "pixi install --frozen -e default", "locks/conda-lock.yml": "conda-lock install --prefix"}
            assert tool.get(lock, "conda create --yes --prefix") in drift["hint"]


def test_another_channel(made: Made) -> None:
    with _instead(made, *SPECS, first=made.other):
        for lock in LOCKS:
            report = made.judge(lock, "--depth", "version")
            assert _told(report) == {("origin-mismatch", "demo-native")}, report.told()
            assert made.other.as_uri() in report.gating[0]["message"]


@contextlib.contextmanager
def _changed(file: Path, data: bytes | None) -> Iterator[None]:
    """*file* with other bytes, or away; the links into the package cache stay as they are."""
    prefix = next(parent for parent in file.parents if (parent / "conda-meta").is_dir())
    aside = prefix.with_name("put-aside")
    shutil.move(file, aside)
    try:
        if data is not None:
            file.write_bytes(data)
            file.chmod(aside.stat().st_mode)
        yield
    finally:
        file.unlink(missing_ok=True)
        shutil.move(aside, file)


@pytest.mark.parametrize("lock", LOCKS)
def test_an_altered_file_names_its_package(lock: str, made: Made) -> None:
    file = made.prefix / SITE / "demo_conda/__init__.py"
    with _changed(file, b"def main():\n    print('another')\n"):
        report = made.judge(lock)
        assert _told(report) == {("file-altered", "demo-conda")}, report.told()
        if lock == "pixi.lock":
            assert report.gating[0]["hint"] == "pixi reinstall --frozen -e default demo-conda"


@pytest.mark.parametrize("lock", LOCKS)
def test_a_document_that_is_gone(lock: str, made: Made) -> None:
    """The package is missing then, and nobody claims its files."""
    with _changed(made.prefix / "conda-meta/demo-native-2.0-h0_0.json", None):
        told = _told(made.judge(lock))
        assert ("distribution-missing", "demo-native") in told
        assert ("file-unclaimed", "") in told
        assert _told(made.judge(lock, "--depth", "version")) >= {("distribution-missing", "demo-native")}


def test_what_pip_brought_or_took(made: Made, tmp_path: Path) -> None:
    one: list[str | Path] = [made.shop.tool("pip", "python"), "-m", "pip", "--python", made.prefix / "bin/python"]
    made.shop.run([*one, "uninstall", "-q", "-y", "demo-pip"])
    try:
        for lock in LOCKS:
            assert _told(made.judge(lock)) == {("distribution-missing", "demo-pip")}
    finally:
        made.shop.run([*one, "install", "-q", "--no-deps", "--no-index", made.wheel])
    alone = tmp_path / "pixi.lock"
    write_pixi_lock(made.shop, alone, {"default": SPECS}, channels=[made.channel])
    report = examine(alone, "--env", made.prefix, cwd=made.project)
    assert _told(report) == {("distribution-extra", "demo-pip")}, report.told()
    assert report.gating[0]["hint"].endswith("uninstall -y demo-pip")


def test_a_lock_of_another_platform_alone_decides_nothing(made: Made) -> None:
    text = json.loads((made.project / "locks/conda-lock.yml").read_text())
    text["metadata"]["platforms"] = ["osx-arm64"]
    text["package"] = [row for row in text["package"] if row["platform"] == "osx-arm64"]
    lock = made.project / "locks/mac.conda-lock.yml"
    lock.write_text(json.dumps(text))
    report = made.judge("locks/mac.conda-lock.yml")
    assert report["verdict"] == "undecided", report.told()
    (told,) = [each for each in report["unchecked"] if each.get("in_scope", True) and each["code"].startswith("lock-")]
    assert told["code"] == "lock-not-for-this-platform"
    assert told["reason"] == "it is for osx-arm64, and this is linux-64"


def test_depth_artifact_is_open_until_a_seal_states_the_files(made: Made, tmp_path: Path) -> None:
    environ = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    words = ("--env", ".pixi/envs/default", "--depth", "artifact", "--offline")
    report = examine("locks/conda-lock.yml", *words, cwd=made.project, environ=environ)
    assert report["verdict"] == "undecided", report.told()
    (told,) = [each for each in report["unchecked"] if each["code"] == "unverifiable"]
    assert (told["what"], told["count"]) == ("conda packages", 3)
    seal = made.project / "locks/env.seal.json"
    done = sanctity("seal", "--lock", "locks/conda-lock.yml", "--env", ".pixi/envs/default", "-o", seal, cwd=made.project)
    assert done.returncode == 0, done.stdout + done.stderr
    report = examine(seal, *words, cwd=made.project, environ=environ)
    assert report["verdict"] == "clean", report.told()
    assert report["proof"]["distributions"]["sealed"] == 3
    file = made.prefix / "etc/demo.conf"
    with _changed(file, file.read_bytes() + b"more = 1\n"):
        report = examine(seal, *words, cwd=made.project, environ=environ)
        assert ("file-altered", "demo-native") in _told(report), report.told()


def test_a_pixi_seal_names_its_environment(made: Made) -> None:
    seal = made.project / "locks/pixi.seal.json"
    done = sanctity("seal", "--lock", "pixi.lock", "--env", ".pixi/envs/default", "-o", seal, cwd=made.project)
    assert done.returncode == 0, done.stdout + done.stderr
    (entry,) = json.loads(seal.read_text())["environments"]
    assert entry["selection"]["environment"] == "default"
    assert examine(seal, "--env", ".pixi/envs/default", cwd=made.project)["verdict"] == "clean"


def test_differences_are_told_by_conda_package(made: Made) -> None:
    same = sanctity("diff", "pixi.lock", "locks/conda-lock.yml", "--format", "json", cwd=made.project)
    names = {package["name"] for each in json.loads(same.stdout)["differences"] for package in each["packages"]}
    assert not {name for name in names if not name.startswith("conda:")} - {"demo-pip"}
    for lock in LOCKS:
        done = sanctity("diff", lock, ".pixi/envs/default", cwd=made.project)
        assert done.returncode == 0, done.stdout + done.stderr
    with _instead(made, "python", "demo-native ==2.1", "demo-more"):
        for lock in LOCKS:
            done = sanctity("diff", lock, ".pixi/envs/default", "--format", "json", cwd=made.project)
            (found,) = json.loads(done.stdout)["differences"]
            told = {package["name"]: package["changes"] for package in found["packages"]}
            assert told == {"conda:demo-native": ["up"], "conda:demo-more": ["added"], "conda:demo-conda": ["removed"]}


def test_another_build_is_no_rewritten_archive(made: Made) -> None:
    """The same name with other bytes is an alarm, another build under its own name is none."""
    for specs, first, change in (
        (("python", "demo-conda", "demo-native ==2.0 h0_1"), None, "artifacts"),
        (SPECS, made.other, "hashes"),
    ):
        with _instead(made, *specs, first=first):
            done = sanctity("diff", "pixi.lock", ".pixi/envs/default", "--format", "json", cwd=made.project)
            (found,) = json.loads(done.stdout)["differences"]
            assert [(package["name"], package["changes"]) for package in found["packages"]] == [("conda:demo-native", [change])]


def test_repair_prints_the_tools_own_command(made: Made) -> None:
    with _instead(made, "python", "demo-conda"):
        done = sanctity("repair", cwd=made.project)
        assert "pixi install --frozen -e default" in done.stdout


def test_a_wish_is_no_lock(made: Made) -> None:
    (made.project / "environment.yml").write_text("name: demo\nchannels:\n- forge\ndependencies:\n- python=3.11\n- demo-native\n")
    done = sanctity("verify", "environment.yml", "--env", ".pixi/envs/default", cwd=made.project)
    assert done.returncode == 2
    assert "error: lock-not-pinned" in done.stderr
    assert "conda-lock lock -f environment.yml" in done.stderr


@pytest.mark.parametrize("words", [("seal", "--from-lock", "--lock"), ("rebuild",), ("archive", "add", "--archive", "kept")])
def test_no_wheel_makes_a_conda_package(words: tuple[str, ...], made: Made) -> None:
    target = ("again",) if words == ("rebuild",) else ()
    done = sanctity(*words, "locks/conda-lock.yml", *target, cwd=made.project)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "error: rebuild-unsupported" in done.stderr


def test_a_lock_of_wheels_sees_all_distributions(made: Made) -> None:
    """As before there were locks of conda: what conda brought counts by its distributions."""
    lock = made.project / "requirements.txt"
    hashed = f"--hash=sha256:{'0' * 64}"
    lock.write_text(f"demo-pip==3.0 {hashed}\ndemo-conda==1.0 {hashed}\n")
    report = made.judge("requirements.txt", "--depth", "version")
    assert ("distribution-extra", "demo-native") in _told(report)
    assert not {name for _, name in _told(report)} & {"demo-conda", "demo_pip"}
