"""Every planted change has its own name, in the environments of four tools; and what is harmless has none.

Each run looks at the environments of uv, pip and Poetry; those of pip-tools, which lets pip install, are in the long run (``-m long``).
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

import pytest

from real.environments import Built, copied, made_once, pip_tools, pip_venv, poetry_project, uv_project
from real.judging import Judged, judge
from real.tampering import HARMLESS, TAMPERINGS, UNSEEN, NotHereError, Planted, Planter, blinding_pth, clobbered, leaked
from sanctity.model.drift import Code

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from real.tools import Workshop

pytestmark = [pytest.mark.index, pytest.mark.xdist_group("made-once")]

_BUILDERS: Final[dict[str, Callable[[Workshop, Path], Built]]] = {
    "uv": uv_project,
    "pip": pip_venv,
    "pip-tools": pip_tools,
    "poetry": poetry_project,
}
_PIP_TOOLS: Final = pytest.param("pip-tools", marks=pytest.mark.long)


@pytest.fixture(scope="module", params=["pip", _PIP_TOOLS, "poetry", "uv"])
def built(request: pytest.FixtureRequest, workshop: Workshop) -> Built:
    """A clean environment of each tool."""
    return made_once(_BUILDERS[request.param], workshop)


def _plant(planter: Planter, built: Built, workshop: Workshop) -> Planted:
    try:
        return planter(built, workshop)
    except NotHereError as error:
        pytest.skip(str(error))


def _key(name: str | None) -> str:
    return re.sub(r"[-_.]+", "-", name or "").lower()


def _names(report: Judged, planted: Planted) -> bool:
    path = os.fsencode(planted.path).decode("utf-8", "backslashreplace")
    for drift in report["drifts"]:
        if drift["code"] not in planted.codes or (planted.distribution and _key(drift["distribution"]) != planted.distribution):
            continue
        if path and path not in {drift["path"], *(drift["path"] or "").split(", ")}:
            continue
        if planted.actual and planted.actual not in drift["actual"]:
            continue
        return True
    paths = {item["what"] for item in report["unchecked"] if item["in_scope"]}
    return report["verdict"] == "undecided" and path in paths


def test_an_untouched_environment_is_clean(built: Built) -> None:
    report = judge(built)
    assert report["verdict"] == "clean", report.told()
    assert report["checked"]["files"] > 0


@pytest.mark.parametrize("planter", TAMPERINGS, ids=lambda planter: planter.__name__)
def test_a_planted_change_is_named(planter: Planter, built: Built, workshop: Workshop) -> None:
    with copied(built):
        planted = _plant(planter, built, workshop)
        report = judge(built)
    assert report["verdict"] in planted.verdicts, report.told()
    if planted.codes:
        assert _names(report, planted), f"{planted}\n{report.told()}"
    if planted.path and planter is not blinding_pth:
        strangers = [drift for drift in report.gating if drift["path"] and not _related(drift["path"], planted)]
        assert not strangers, report.told()


def _related(path: str, planted: Planted) -> bool:
    """Whether a drift's path may be another aspect of what was planted: the same folder, or the distribution's own metadata.

    What the base interpreter's own packages contradict is not of this test, where these are let in.
    """
    if planted.codes == (Code.SYSTEM_SITE,) and path.startswith("${base}/"):
        return True
    return path == os.fsencode(planted.path).decode("utf-8", "backslashreplace") or path.partition("/")[0].partition(".")[
        0
    ].partition("-")[0] in re.split(r"[/.-]", planted.path)


@pytest.mark.parametrize("planter", HARMLESS, ids=lambda planter: planter.__name__)
def test_a_harmless_change_is_no_drift(planter: Planter, built: Built, workshop: Workshop) -> None:
    with copied(built):
        _plant(planter, built, workshop)
        report = judge(built)
    assert report["verdict"] == "clean", report.told()


@pytest.mark.parametrize("planter", UNSEEN, ids=lambda planter: planter.__name__)
def test_what_this_depth_does_not_see_it_does_not_claim(planter: Planter, built: Built, workshop: Workshop) -> None:
    with copied(built):
        planted = _plant(planter, built, workshop)
        report = judge(built)
    assert report["depth"] == "record"
    assert report["verdict"] in planted.verdicts, report.told()


@pytest.mark.parametrize("tool", ["uv", "uv pip", "pip", _PIP_TOOLS, "poetry"])
def test_a_clobbered_file_names_the_loser(tool: str, workshop: Workshop, tmp_path: Path) -> None:
    built, planted = clobbered(workshop, tmp_path / "project", tool)
    report = judge(built)
    assert report["verdict"] == "drifted", report.told()
    assert _names(report, planted), f"{planted}\n{report.told()}"


@pytest.mark.parametrize("project_kind", [True, False], ids=["uv sync", "uv pip sync"])
def test_an_edit_leaks_through_hard_links_and_is_seen(*, project_kind: bool, workshop: Workshop, tmp_path: Path) -> None:
    try:
        built, planted = leaked(workshop, tmp_path / "project", project_kind=project_kind)
    except NotHereError as error:
        pytest.skip(str(error))
    report = judge(built)
    assert report["verdict"] == "drifted", report.told()
    assert _names(report, planted), f"{planted}\n{report.told()}"
    assert any(drift.get("shared") for drift in report.gating), report.told()
