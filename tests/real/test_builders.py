"""The builders themselves: each makes an environment whose own Python imports what was asked for, and spoiling it leaves no trace."""

from __future__ import annotations

import subprocess
import urllib.request
from typing import TYPE_CHECKING

import pytest

from real.environments import (
    HERE_PYTHON,
    PACKAGES,
    SMALL,
    Built,
    copied,
    installer_env,
    pip_tools,
    pip_venv,
    poetry_project,
    tox_env,
    uv_pip,
    uv_project,
    virtualenv_pip,
)
from real.index import loopback_index, make_wheel, with_stubs
from real.tampering import HARMLESS, TAMPERINGS, UNSEEN, NotHereError, Planter, clobbered, leaked
from real.tools import Workshop, interpreters, pins

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# Whoever uses a builder tries it; here all of them are, and every way of spoiling.
pytestmark = [pytest.mark.index, pytest.mark.long]

BUILDERS: dict[str, Callable[[Workshop, Path], Built]] = {
    "uv sync": uv_project,
    "uv sync, copied and compiled": lambda shop, path: uv_project(shop, path, link_mode="copy", compiled=True),
    "uv pip": uv_pip,
    "uv pip, symlinks": lambda shop, path: uv_pip(shop, path, link_mode="symlink"),
    "pip": pip_venv,
    "pip from outside": lambda shop, path: pip_venv(shop, path, inside=False, compiled=False),
    "pip-tools": pip_tools,
    "poetry": poetry_project,
    "poetry, no root": lambda shop, path: poetry_project(shop, path, sync=("--no-root",), compiled=True),
    "virtualenv": virtualenv_pip,
    "virtualenv 20.13": lambda shop, path: virtualenv_pip(shop, path, release="20.13"),
    "virtualenv 20.29": lambda shop, path: virtualenv_pip(shop, path, release="20.29"),
    "tox": tox_env,
    "installer": installer_env,
}

IMPORTS = "import six, click, markupsafe._speedups, idna, attr, coverage, yaml, packaging, jmespath, sys; print(six.__version__, sys.prefix)"


def imports(built: Built) -> list[str]:
    """What the environment's own Python says after importing the ten packages: six's version, and its prefix."""
    done = subprocess.run([built.executable, "-B", "-c", IMPORTS], capture_output=True, text=True, check=True)
    return done.stdout.split(maxsplit=1)


@pytest.mark.parametrize("name", BUILDERS)
def test_environment_works(name: str, workshop: Workshop, tmp_path: Path) -> None:
    built = BUILDERS[name](workshop, tmp_path / "a project")
    version, prefix = imports(built)
    assert version == "1.16.0"
    assert prefix.strip() == str(built.env)
    assert built.lock.is_file()
    assert built.site.is_dir()


def test_every_python(python: str, workshop: Workshop, tmp_path: Path) -> None:
    built = uv_pip(workshop, tmp_path / "project", python=python)
    assert imports(built)[0] == "1.16.0"
    assert interpreters()[python].exists()


def test_groups_and_extras(workshop: Workshop, tmp_path: Path) -> None:
    groups, extras = {"dev": ["six==1.16.0"]}, {"more": ["idna"]}
    some = uv_project(
        workshop, tmp_path / "some", packages=["click"], groups=groups, extras=extras, sync=("--no-dev", "--extra=more")
    )
    names = {path.name.partition("-")[0] for path in some.site.glob("*.dist-info")}
    assert names == {"click", "demo_project", "idna"}


def test_copy_is_put_right(workshop: Workshop, tmp_path: Path) -> None:
    built = pip_venv(workshop, tmp_path / "project")
    before = sorted((path, path.lstat().st_mtime_ns, path.lstat().st_ino) for path in built.env.rglob("*") if not path.is_dir())
    for planter in (TAMPERINGS[0], TAMPERINGS[2]):
        with copied(built) as spoilt:
            planted = planter(spoilt, workshop)
            touched = spoilt.site / planted.path
            original = built.env.with_name(f"{built.env.name}.aside") / touched.relative_to(built.env)
            assert not touched.exists() or touched.read_bytes() != original.read_bytes()
    after = sorted((path, path.lstat().st_mtime_ns, path.lstat().st_ino) for path in built.env.rglob("*") if not path.is_dir())
    assert before == after


@pytest.fixture(scope="module")
def pip_built(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Built:
    return pip_venv(workshop, tmp_path_factory.mktemp("spoilt") / "project", compiled=False)


@pytest.mark.parametrize("planter", [*TAMPERINGS, *HARMLESS, *UNSEEN], ids=lambda planter: planter.__name__)
def test_each_change_is_planted(planter: Planter, pip_built: Built, workshop: Workshop) -> None:
    whole = _snapshot(pip_built)
    with copied(pip_built) as spoilt:
        try:
            planter(spoilt, workshop)
        except NotHereError as reason:
            pytest.skip(str(reason))
        assert _snapshot(spoilt) != whole
    with copied(pip_built) as again:
        assert _snapshot(again) == whole


def _snapshot(built: Built) -> list[tuple[str, int, int, str | bytes]]:
    """Every file of the environment with its mode, time and content."""
    found: list[tuple[str, int, int, str | bytes]] = []
    for path in sorted(built.env.rglob("*")):
        seen = path.lstat()
        content: str | bytes = str(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        if path.is_symlink() or not path.is_dir():
            found.append((str(path), seen.st_mode, seen.st_mtime_ns, content))
    return found


@pytest.mark.parametrize("project_kind", [False, True], ids=["uv pip", "uv sync"])
def test_edit_leaks_through_hard_links(project_kind: bool, workshop: Workshop, tmp_path: Path) -> None:
    try:
        built, planted = leaked(workshop, tmp_path / "project", project_kind=project_kind)
    except NotHereError as reason:
        pytest.skip(str(reason))
    assert b"edited in another environment" in (built.site / planted.path).read_bytes()


@pytest.mark.parametrize("tool", ["uv", "uv pip", "pip", "pip-tools", "poetry"])
def test_two_wheels_own_one_path(tool: str, workshop: Workshop, tmp_path: Path) -> None:
    built, planted = clobbered(workshop, tmp_path / "project", tool)
    owners = [path.parent.name for path in built.site.glob("*.dist-info/RECORD") if planted.path in path.read_text()]
    assert len(owners) == 2
    assert planted.distribution not in (built.site / planted.path).read_text()


def test_index_serves_wheel_and_metadata(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path / "wheels", "some-thing", "1.0", {"some_thing.py": b"X = 1\n"}, requires=("six",))
    with loopback_index(wheel.path.parent) as url:
        with urllib.request.urlopen(f"{url}some-thing/") as page:
            text = page.read().decode()
        assert f"{wheel.path.name}#sha256={wheel.sha256}" in text
        with urllib.request.urlopen(f"{url.removesuffix('simple/')}files/{wheel.path.name}.metadata") as metadata:
            assert b"Requires-Dist: six" in metadata.read()


def test_stubs_stand_for_what_is_missing(tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    make_wheel(wheels, "one", "1.0", {}, requires=("two<5", "three>=2 ; sys_platform == 'win32'", "four ; extra == 'more'"))
    make_wheel(wheels, "three", "2.0", {})
    names = sorted(path.name.partition("-py3")[0] for path in with_stubs(wheels, tmp_path / "all").iterdir())
    assert [name.partition("-")[0] for name in names] == ["one", "three", "two"]
    assert "two-9999" not in names


def test_lists_are_what_they_say() -> None:
    assert len(pins("popular-200")) == 200
    assert len(pins("wheels-72")) >= 70
    assert all("==" in pin for name in ("popular-200", "wheels-72", "other") for pin in pins(name))
    assert all(pin in SMALL.read_text() for pin in PACKAGES)


@pytest.mark.long
@pytest.mark.skipif(HERE_PYTHON != "3.11", reason="the lists are of wheels for Python 3.11")
@pytest.mark.parametrize("name", ["wheels-72", "popular-200"])
def test_lists_install(name: str, workshop: Workshop, tmp_path: Path) -> None:
    lock = SMALL.with_name(f"{name}.txt")
    wheels = workshop.wheels(lock)
    offline = ("--no-index", f"--find-links={wheels}")
    for built in (
        uv_pip(workshop, tmp_path / "uv", lock=lock, options=offline),
        pip_venv(workshop, tmp_path / "pip", lock=lock, inside=False, options=(*offline, "--no-deps")),
    ):
        found = list(built.site.glob("*.dist-info"))
        assert len(found) == len(pins(name))
