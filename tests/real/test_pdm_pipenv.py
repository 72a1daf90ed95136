"""Projects of PDM and pipenv: what `pdm sync` and `pipenv sync` make is clean against their locks, drift is named, and the command
that `repair` prints undoes it.

Each run tries a sample of PDM's selections (more than is so by default, and less), and repairs a distribution whose version is
another and one that lost its RECORD; ``-m long`` tries them all.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import pytest

from real.environments import HERE_PYTHON, Built, copied
from real.judging import Judged, examine, judge, sanctity
from real.tampering import (
    NotHereError,
    Planter,
    changed_script,
    delete_file,
    edit_module,
    extra_distribution,
    file_in_package,
    missing_distribution,
    missing_record,
    stripped_hash,
    wrong_version,
)
from real.tools import interpreters

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from real.tools import Workshop

pytestmark = [pytest.mark.index, pytest.mark.xdist_group("pdm-pipenv")]

_LIBRARY: Final = """\
[project]
name = "lib-here"
version = "0.1"
dependencies = ["packaging"]
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
"""
_PROJECT: Final = """\
[project]
name = "demo-project"
version = "1.0"
requires-python = ">=3.10"
dependencies = ["six==1.16.0", "coverage[toml]", "click", "idna", "colorama; sys_platform == 'win32'"]
[project.optional-dependencies]
web = ["itsdangerous"]
[dependency-groups]
test = ["iniconfig"]
[tool.pdm.dev-dependencies]
dev = ["-e file://{project}/lib#egg=lib-here"]
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
"""
_PIPFILE: Final = """\
[packages]
six = "==1.16.0"
click = "*"
idna = "*"
coverage = {extras = ["toml"], version = "*"}
lib-here = {path = "./lib", editable = true}
[dev-packages]
iniconfig = "*"
[docs]
itsdangerous = "*"
"""


def _library(project: Path) -> None:
    package = project / "lib/src/lib_here"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text('"""A library."""\n')
    (project / "lib/pyproject.toml").write_text(_LIBRARY)


def _pdm(shop: Workshop, built: Built, *words: str) -> None:
    shop.run([shop.tool("pdm"), *words], cwd=built.project, env=shop.environ(PDM_CHECK_UPDATE="0"))


def _pipenv(shop: Workshop, built: Built, *words: str | Path) -> None:
    environ = shop.environ(PIPENV_VENV_IN_PROJECT="1", PIPENV_NOSPIN="1", PIPENV_IGNORE_VIRTUALENVS="1")
    shop.run([shop.tool("pipenv"), *words], cwd=built.project, env=environ)


def pdm_project(shop: Workshop, project: Path, *, lock: tuple[str, ...] = ()) -> Built:
    """A project by ``pdm lock -G :all`` and ``pdm sync``: with an extra, a group, and an editable library."""
    _library(project)
    (project / "src/demo_project").mkdir(parents=True)
    (project / "src/demo_project/__init__.py").write_text('"""A project."""\n')
    (project / "pyproject.toml").write_text(_PROJECT.format(project=project))
    built = Built(tool="pdm", project=project, env=project / ".venv", lock=project / "pdm.lock", python=HERE_PYTHON)
    _pdm(shop, built, "venv", "create", "--with", "venv", str(interpreters()[HERE_PYTHON]))
    _pdm(shop, built, "lock", "-G", ":all", *lock)
    _pdm(shop, built, "sync")  # and with no word more that is all that was locked, extras too
    return built


def pipenv_project(shop: Workshop, project: Path) -> Built:
    """A project by ``pipenv lock`` and ``pipenv sync``: with a category of its own, and an editable library."""
    _library(project)
    (project / "Pipfile").write_text(_PIPFILE)
    built = Built(tool="pipenv", project=project, env=project / ".venv", lock=project / "Pipfile.lock", python=HERE_PYTHON)
    _pipenv(shop, built, "--python", interpreters()[HERE_PYTHON], "lock")
    _pipenv(shop, built, "sync", "--dev")
    return built


_BUILDERS: Final[dict[str, Callable[[Workshop, Path], Built]]] = {"pdm": pdm_project, "pipenv": pipenv_project}


@pytest.fixture(scope="module", params=sorted(_BUILDERS))
def built(request: pytest.FixtureRequest, workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Built:
    return _BUILDERS[request.param](workshop, tmp_path_factory.mktemp(request.param) / "project")


def _selection(report: Judged) -> dict[str, list[str]]:
    found: dict[str, list[str]] = report["reference"]["selection"]
    return found


def test_what_the_tool_synced_is_clean(built: Built) -> None:
    report = judge(built)
    assert report["verdict"] == "clean", report.told()
    assert {drift["code"] for drift in report["drifts"]} <= {"pth-hook"}  # coverage has one, claimed
    assert _selection(report)["groups"] == (["dev", "test"] if built.tool == "pdm" else ["develop"])
    assert _selection(report)["extras"] == (["web"] if built.tool == "pdm" else [])


def test_the_lock_and_its_environment_are_found_without_being_named(built: Built) -> None:
    report = examine(cwd=built.project)
    assert report["verdict"] == "clean", report.told()
    assert report["reference"]["format"] == ("pdm" if built.tool == "pdm" else "pipfile")


def test_what_nobody_asked_for_is_missing_once_it_is_asked_for(built: Built, workshop: Workshop) -> None:
    if built.tool == "pdm":
        with copied(built):
            _pdm(workshop, built, "sync", "--clean-unselected", "-G", "dev,test")
            assert judge(built)["verdict"] == "clean"
            report = judge(built, "--extra", "web")
    else:
        report = judge(built, "--group", "docs")
    assert [(drift["code"], drift["distribution"]) for drift in report.gating] == [("distribution-missing", "itsdangerous")]


@pytest.mark.parametrize(
    ("words", "groups", "extras"),
    [
        pytest.param(("--prod",), [], [], marks=pytest.mark.long),
        (("--prod", "-G", "web"), [], ["web"]),
        (("--without", "test"), ["dev"], ["web"]),
        pytest.param(("--no-self",), ["dev", "test"], ["web"], marks=pytest.mark.long),
        pytest.param(("-G", "test"), ["test"], [], marks=pytest.mark.long),
    ],
    ids=" ".join,
)
def test_what_pdm_was_asked_to_sync_is_seen(
    words: tuple[str, ...], groups: list[str], extras: list[str], built: Built, workshop: Workshop
) -> None:
    if built.tool != "pdm":
        pytest.skip("of PDM")
    with copied(built):
        _pdm(workshop, built, "sync", "--clean-unselected", *words)
        report = judge(built)
    assert report["verdict"] == "clean", report.told()
    assert (_selection(report)["groups"], _selection(report)["extras"]) == (groups, extras)


def test_a_pdm_lock_that_is_a_graph(workshop: Workshop, tmp_path: Path) -> None:
    """Without ``inherit_metadata`` rows do not say where they belong: ``pyproject.toml`` does."""
    built = pdm_project(workshop, tmp_path / "project", lock=("-S", "no_inherit_metadata"))
    assert "inherit_metadata" not in built.lock.read_text()
    report = judge(built)
    assert report["verdict"] == "clean", report.told()
    assert (_selection(report)["groups"], _selection(report)["extras"]) == (["dev", "test"], ["web"])
    (built.project / "pyproject.toml").unlink()
    assert judge(built)["verdict"] in {"clean", "undecided"}


def test_every_category_of_pipenv(built: Built, workshop: Workshop) -> None:
    if built.tool != "pipenv":
        pytest.skip("of pipenv")
    with copied(built):
        _pipenv(workshop, built, "sync", "--categories", "packages,dev-packages,docs")
        report = judge(built)
    assert report["verdict"] == "clean", report.told()
    assert _selection(report)["groups"] == ["develop", "docs"]


_PLANTERS: Final[tuple[Planter, ...]] = (
    edit_module,
    delete_file,
    file_in_package,
    changed_script,
    wrong_version,
    extra_distribution,
    missing_distribution,
    missing_record,
    stripped_hash,
)
#: Those that each run tries; the rest is in the long run.
_SAMPLE: Final = frozenset({wrong_version, missing_record})


def _environ(shop: Workshop) -> dict[str, str]:
    """The process environment of a user who has these tools on PATH."""
    environ = shop.environ(PDM_CHECK_UPDATE="0", PIPENV_NOSPIN="1")
    folders = [shop.tool("pdm").parent, shop.tool("pipenv").parent, shop.tool("pip").parent]
    return environ | {"PATH": os.pathsep.join([*(str(folder) for folder in folders), environ["PATH"]])}


@pytest.mark.parametrize(
    "planter",
    [pytest.param(each, marks=() if each in _SAMPLE else pytest.mark.long) for each in _PLANTERS],
    ids=lambda planter: planter.__name__,
)
def test_a_repair_undoes_the_drift(planter: Planter, built: Built, workshop: Workshop) -> None:
    with copied(built):
        try:
            planter(built, workshop)
        except NotHereError as error:
            pytest.skip(str(error))
        before = judge(built)
        assert before["verdict"] == "drifted"
        done = sanctity("repair", "--apply", built.lock, "--env", built.env, cwd=built.project, environ=_environ(workshop))
        report = judge(built)
        whole = (built.site / "six.py").exists()
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{report.told()}"
    assert report["verdict"] == "clean", report.told()
    assert _selection(report) == _selection(before)
    assert whole, "a repair must not leave a distribution without its code"


@pytest.mark.parametrize(
    "planter", [edit_module, pytest.param(missing_distribution, marks=pytest.mark.long)], ids=lambda planter: planter.__name__
)
def test_a_repair_keeps_what_was_chosen(planter: Planter, built: Built, workshop: Workshop) -> None:
    with copied(built):
        if built.tool == "pdm":
            _pdm(workshop, built, "sync", "--clean-unselected", "--prod", "-G", "web")
        else:
            _pipenv(workshop, built, "sync", "--categories", "packages,dev-packages,docs")
        before = judge(built)
        planter(built, workshop)
        done = sanctity("repair", "--apply", built.lock, "--env", built.env, cwd=built.project, environ=_environ(workshop))
        report = judge(built)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{report.told()}"
    assert _selection(report) == _selection(before)
    assert report["environment"]["fingerprint"] == before["environment"]["fingerprint"]


def test_a_repair_does_not_install_the_project(built: Built, workshop: Workshop) -> None:
    if built.tool != "pdm":
        pytest.skip("of PDM: Pipfile.lock names a project that it installs")
    with copied(built):
        workshop.run([workshop.tool("pip"), "--python", built.env, "uninstall", "-q", "-y", "demo-project"], cwd=built.project)
        before = judge(built)
        assert before["verdict"] == "clean", before.told()
        edit_module(built, workshop)
        done = sanctity("repair", "--apply", built.lock, "--env", built.env, cwd=built.project, environ=_environ(workshop))
        report = judge(built)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{report.told()}"
    assert report["environment"]["fingerprint"] == before["environment"]["fingerprint"]
