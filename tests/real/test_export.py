"""A lock of uv's, exported as pylock.toml: pip and uv install from it what uv itself installs from its own lock."""

from __future__ import annotations

import json
import shutil
import tomllib
from typing import TYPE_CHECKING, Final

import pytest
from packaging.pylock import Pylock

from real.environments import HERE_PYTHON, poetry_project, uv_project
from real.judging import examine, sanctity
from real.tools import Workshop, interpreters

if TYPE_CHECKING:
    from pathlib import Path

    from real.environments import Built

pytestmark = pytest.mark.index

PACKAGES: Final = ("click", "httpx[http2]", "colorama; sys_platform == 'win32'", "tomli; python_version < '3.11'")
EXTRAS: Final = {"cli": ("tabulate",), "table": ("wcwidth", "tabulate")}
GROUPS: Final = {"dev": ("iniconfig",), "docs": ("markupsafe", "tabulate")}


@pytest.fixture(scope="module")
def project(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """A project with extras and groups, locked for several Pythons and platforms, and its lock exported."""
    folder = tmp_path_factory.mktemp("export") / "project"
    built = uv_project(workshop, folder, packages=PACKAGES, extras=EXTRAS, groups=GROUPS, requires_python=">=3.9")
    done = sanctity("export", "-o", "pylock.toml", cwd=folder, environ=workshop.environ())
    assert done.returncode == 0, done.stderr
    assert "wrote pylock.toml" in done.stderr
    assert done.stdout == ""
    return built


def installed(shop: Workshop, env: Path) -> dict[str, str]:
    """The distributions of *env* and their versions, as uv sees them."""
    listed = json.loads(shop.run([shop.tool("uv"), "pip", "list", "-q", "--format", "json", "--python", env / "bin/python"]))
    return {item["name"]: item["version"] for item in listed}


def empty(shop: Workshop, env: Path) -> Path:
    """An environment without anything; its interpreter."""
    shop.run([shop.tool("uv"), "venv", "-q", "--python", interpreters()[HERE_PYTHON], env])
    return env / "bin/python"


def synced(shop: Workshop, project: Built, env: Path, *words: str) -> dict[str, str]:
    """What ``uv sync`` itself makes of the project's own lock."""
    environ = shop.environ(UV_PROJECT_ENVIRONMENT=str(env))
    shop.run(
        [shop.tool("uv"), "sync", "-q", "--locked", "--python", interpreters()[HERE_PYTHON], *words],
        cwd=project.project,
        env=environ,
    )
    return installed(shop, env)


def _files(lock: Path) -> dict[tuple[str, str], list[tuple[str, str]]]:
    """The file name and hash of all files of each package, whatever they are fetched from."""
    found = {}
    for package in tomllib.loads(lock.read_text())["packages"]:
        files = [*package.get("wheels", ()), *([package["sdist"]] if "sdist" in package else ())]
        named = [(str(file["url"]).rpartition("/")[2], str(file["hashes"]["sha256"])) for file in files]
        found[str(package["name"]), str(package["version"])] = sorted(named)
    return found


CHOICES: Final = (
    (),
    ("--extra", "cli"),
    ("--group", "docs", "--group", "dev"),
    ("--extra", "table", "--group", "docs", "--group", "dev"),
)


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: " ".join(choice) or "nothing")
def test_uv_installs_from_it_what_it_installs_from_its_own_lock(
    choice: tuple[str, ...], project: Built, workshop: Workshop, tmp_path: Path
) -> None:
    python = empty(workshop, tmp_path / "env")
    workshop.run([workshop.tool("uv"), "pip", "sync", "-q", "--python", python, *choice, "pylock.toml"], cwd=project.project)
    assert installed(workshop, tmp_path / "env") == synced(workshop, project, tmp_path / "own", *choice)


def test_pip_installs_from_it_what_uv_installs(project: Built, workshop: Workshop, tmp_path: Path) -> None:
    """All but the project itself: where there are hashes, pip takes no folder."""
    python = empty(workshop, tmp_path / "env")
    words = ("export", "--no-project", "-o", "pylock.pip.toml")
    assert sanctity(*words, cwd=project.project, environ=workshop.environ()).returncode == 0
    workshop.run([workshop.tool("pip"), "--python", python, "install", "-q", "-r", "pylock.pip.toml"], cwd=project.project)
    own = synced(workshop, project, tmp_path / "own", "--no-install-project")
    assert installed(workshop, tmp_path / "env") == own
    assert "demo-project" not in own
    report = examine("pylock.pip.toml", "--env", tmp_path / "env", cwd=project.project, environ=workshop.environ())
    assert report["verdict"] == "clean", report.told()


def test_packaging_selects_from_it_what_uv_installs(project: Built, workshop: Workshop, tmp_path: Path) -> None:
    text = (project.project / "pylock.toml").read_text()
    lock = Pylock.from_dict(tomllib.loads(text))
    assert lock.created_by == "sanctity"
    chosen = lock.select(extras=["cli"], dependency_groups=["dev", "docs"])
    found = {package.name: str(package.version) for package, _ in chosen}
    own = synced(workshop, project, tmp_path / "own", "--extra", "cli", "--group", "docs")
    assert found == own
    assert {"h2", "iniconfig", "tabulate", "demo-project"} <= found.keys()
    assert not {"wcwidth", "colorama"} & found.keys()
    # Sealed as it is: written again, it is the same file.
    again = sanctity("export", "pylock.toml", cwd=project.project, environ=workshop.environ())
    assert (again.returncode, again.stdout) == (0, text)


def test_it_may_lie_in_another_folder(project: Built, workshop: Workshop, tmp_path: Path) -> None:
    """Then the project's own path is seen from there."""
    there = tmp_path / "moved" / "pylock.prod.toml"
    there.parent.mkdir()
    done = sanctity("export", project.lock, "-o", there, cwd=tmp_path, environ=workshop.environ())
    assert done.returncode == 0, done.stderr
    python = empty(workshop, tmp_path / "env")
    workshop.run([workshop.tool("uv"), "pip", "sync", "-q", "--python", python, there], cwd=tmp_path)
    assert "demo-project" in installed(workshop, tmp_path / "env")


def test_a_lock_of_poetrys_is_refused_for_its_missing_addresses(workshop: Workshop, tmp_path: Path) -> None:
    built = poetry_project(workshop, tmp_path / "project", sync=("--no-root",))
    done = sanctity("export", "poetry.lock", "-o", "pylock.toml", cwd=built.project, environ=workshop.environ())
    assert done.returncode == 2
    assert "error: export-impossible" in done.stderr
    assert "where the files are" in done.stderr
    assert not (built.project / "pylock.toml").exists()
    shutil.copyfile(built.lock, built.project / "other.lock")
    assert sanctity("export", "nowhere.lock", cwd=built.project, environ=workshop.environ()).returncode == 2


def test_a_lock_of_pdms_is_exported_where_it_has_addresses(workshop: Workshop, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    lines = (
        '[project]\nname = "demo"\nversion = "1"\nrequires-python = ">=3.10"',
        'dependencies = ["click", "tomli; python_version < \'3.11\'"]',
        '[project.optional-dependencies]\ncli = ["tabulate"]',
        '[dependency-groups]\ndev = ["iniconfig"]',
        "[tool.pdm]\ndistribution = false",
    )
    (folder / "pyproject.toml").write_text("\n".join(lines) + "\n")
    pdm, environ = workshop.tool("pdm"), workshop.environ(PDM_CHECK_UPDATE="0")
    words: tuple[str | Path, ...] = ("lock", "-q", "-p", folder, "-G:all", "--strategy")
    workshop.run([pdm, *words, "inherit_metadata"], cwd=folder, env=environ)
    refused = sanctity("export", "pdm.lock", cwd=folder, environ=workshop.environ())
    assert refused.returncode == 2
    assert "sanctity export --online pdm.lock" in refused.stderr
    asked = sanctity("export", "pdm.lock", "-o", "pylock.asked.toml", "--online", cwd=folder, environ=workshop.environ())
    assert asked.returncode == 0, asked.stderr
    workshop.run([pdm, *words, "static_urls,inherit_metadata"], cwd=folder, env=environ)
    done = sanctity("export", "pdm.lock", "-o", "pylock.toml", cwd=folder, environ=workshop.environ())
    assert done.returncode == 0, done.stderr
    python = empty(workshop, tmp_path / "env")
    workshop.run([workshop.tool("pip"), "--python", python, "install", "-q", "-r", "pylock.toml"], cwd=folder)
    assert installed(workshop, tmp_path / "env").keys() == {"click", "iniconfig"}
    other = empty(workshop, tmp_path / "other")
    for lock in ("pylock.toml", "pylock.asked.toml"):
        workshop.run([workshop.tool("uv"), "pip", "sync", "-q", "--python", other, "--extra", "cli", lock], cwd=folder)
        assert installed(workshop, tmp_path / "other").keys() == {"click", "iniconfig", "tabulate"}
    one, two = (_files(folder / lock) for lock in ("pylock.toml", "pylock.asked.toml"))
    assert one == two
