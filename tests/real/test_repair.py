"""What `repair` prints is what undoes the drift: run it, and the environment is clean again.

Each run plants every drift under `uv sync`, and a share of them (`_SAMPLE`) under each other tool, chosen so that one of these
meets each drift that its own kind of command undoes; ``-m long`` plants the rest of them all.
"""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING, Final

import pytest

from real.environments import SMALL, Built, copied, made_once, pip_tools, pip_venv, poetry_project, uv_pip, uv_project
from real.index import loopback_index
from real.judging import judge, sanctity
from real.tampering import (
    NotHereError,
    Planter,
    changed_script,
    clobbered,
    delete_file,
    dropped_row,
    duplicate_metadata,
    edit_data,
    edit_module,
    extra_distribution,
    file_in_package,
    interpreter_script,
    leaked,
    missing_distribution,
    missing_record,
    other_origin,
    pth_import,
    stripped_hash,
    system_site,
    unchecked_bytecode,
    wrong_version,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from real.tools import Workshop

pytestmark = [pytest.mark.index, pytest.mark.xdist_group("made-once")]

_BUILDERS: Final[dict[str, Callable[[Workshop, Path], Built]]] = {
    "uv": uv_project,
    "uv pip": uv_pip,
    "pip": pip_venv,
    "pip-tools": pip_tools,
    "poetry": poetry_project,
}
_PLANTERS: Final[tuple[Planter, ...]] = (
    edit_module,
    delete_file,
    edit_data,
    file_in_package,
    pth_import,
    system_site,
    unchecked_bytecode,
    changed_script,
    wrong_version,
    extra_distribution,
    missing_distribution,
    missing_record,
    stripped_hash,
    dropped_row,
    duplicate_metadata,
    other_origin,
    interpreter_script,
)
#: What each run plants under each tool.
_SAMPLE: Final[dict[str, frozenset[Planter]]] = {
    "uv": frozenset(_PLANTERS),
    "uv pip": frozenset({edit_module, file_in_package, unchecked_bytecode, changed_script, wrong_version, extra_distribution}),
    "pip": frozenset({edit_module, extra_distribution, missing_distribution, missing_record, dropped_row}),
    "pip-tools": frozenset({delete_file, wrong_version, extra_distribution, stripped_hash}),
    "poetry": frozenset(
        {edit_data, system_site, pth_import, missing_distribution, duplicate_metadata, other_origin, interpreter_script}
    ),
}


@pytest.fixture
def built(request: pytest.FixtureRequest, workshop: Workshop) -> Built:
    """The environment of the tool that a test names."""
    return made_once(_BUILDERS[request.param], workshop)


def _environ(shop: Workshop) -> dict[str, str]:
    """The process environment of a user who has every tool on PATH, uv's cache of this session included."""
    folders = [
        shop.tool("uv").parent,
        shop.tool("poetry").parent,
        shop.tool("pip-tools", "pip-sync").parent,
        shop.tool("pip").parent,
    ]
    environ = shop.environ()
    return environ | {"PATH": os.pathsep.join([*(str(folder) for folder in folders), environ["PATH"]])}


def _index_of(built: Built, shop: Workshop) -> contextlib.AbstractContextManager[object]:
    """Poetry's lock names the loopback index it was made from, so that is there again, on the same port."""
    if built.tool != "poetry":
        return contextlib.nullcontext()
    match = re.search(r"127\.0\.0\.1:(\d+)", built.lock.read_text())
    assert match is not None
    return loopback_index(shop.wheels(SMALL), port=int(match[1]))


@pytest.mark.parametrize(
    ("built", "planter"),
    [
        pytest.param(tool, planter, id=f"{tool}-{planter.__name__}", marks=() if planter in _SAMPLE[tool] else pytest.mark.long)
        for tool in sorted(_BUILDERS)
        for planter in _PLANTERS
    ],
    indirect=["built"],
)
def test_a_repair_undoes_the_drift(planter: Planter, built: Built, workshop: Workshop) -> None:
    with copied(built):
        try:
            planter(built, workshop)
        except NotHereError as error:
            pytest.skip(str(error))
        assert judge(built)["verdict"] == "drifted"
        with _index_of(built, workshop):
            done = sanctity("repair", "--apply", built.lock, "--env", built.env, cwd=built.project, environ=_environ(workshop))
        report = judge(built)
        whole = (built.site / "six.py").exists()
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{report.told()}"
    assert report["verdict"] == "clean", report.told()
    assert whole, "a repair must not leave a distribution without its code"


def test_what_no_reinstall_can_undo_is_said(workshop: Workshop, tmp_path: Path) -> None:
    built, planted = clobbered(workshop, tmp_path / "project", "uv pip")
    done = sanctity("repair", built.lock, "--env", built.env, cwd=built.project, environ=_environ(workshop))
    assert done.returncode == 1
    assert f"# not undone: file-clobbered {planted.distribution}" in done.stdout


def test_a_leak_through_hard_links_needs_the_cache_cleaned(workshop: Workshop, tmp_path: Path) -> None:
    try:
        built, _ = leaked(workshop, tmp_path / "project")
    except NotHereError as error:
        pytest.skip(str(error))
    environ = _environ(workshop) | {"UV_CACHE_DIR": str(tmp_path / "project.uv-cache")}
    printed = sanctity("repair", built.lock, "--env", built.env, cwd=built.project, environ=environ)
    assert printed.returncode == 1
    assert "uv cache clean idna" in printed.stdout
    done = sanctity("repair", "--apply", built.lock, "--env", built.env, cwd=built.project, environ=environ)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert judge(built)["verdict"] == "clean"
