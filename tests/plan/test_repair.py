"""A plan names the tool that keeps the environment, and gives every gating drift a remedy or the reason why there is none."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factories import a_comparison, a_distribution, a_drift, an_environment, an_origin
from sanctity.model.drift import Code, Drift, Reference, ReferenceKind, Selection
from sanctity.model.environment import Origin, SystemFile
from sanctity.model.lock import LockFormat
from sanctity.plan.repair import RepairPlan, Tool, choose_tool, plan_repair, with_hints

UV, PIP = a_distribution(installer="uv"), a_distribution(installer="pip")


@pytest.mark.parametrize(
    ("item", "kind", "generator", "tool"),
    [
        (UV, LockFormat.UV, "", Tool.UV_PROJECT),
        (PIP, LockFormat.POETRY, "Poetry 2.1", Tool.POETRY),
        (UV, LockFormat.PDM, "PDM", Tool.PDM),
        (PIP, LockFormat.PIPFILE, "pipenv", Tool.PIPENV),
        (UV, LockFormat.REQUIREMENTS, "pip-compile", Tool.UV_PIP),
        (PIP, LockFormat.REQUIREMENTS, "pip-compile", Tool.PIP_TOOLS),
        (PIP, LockFormat.REQUIREMENTS, "", Tool.PIP),
        (UV, LockFormat.PYLOCK, "", Tool.UV_PIP),
        (PIP, None, "", Tool.PIP),
    ],
)
def test_the_tool_is_the_locks_own_or_the_one_that_installed(
    item: object, kind: LockFormat | None, generator: str, tool: Tool
) -> None:
    assert choose_tool(an_environment(item), format=kind, generator=generator) is tool  # type: ignore[arg-type]


def _reference(kind: LockFormat, **fields: object) -> Reference:
    return Reference(kind=ReferenceKind.LOCK, format=kind, path="lock", **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", LockFormat)
@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.lists(st.sampled_from(Code), min_size=1, max_size=6))
def test_every_gating_drift_has_a_remedy_or_a_reason(kind: LockFormat, codes: list[Code]) -> None:
    comparison = a_comparison(*(a_drift(code) for code in codes), reference=_reference(kind))
    plan = plan_repair(comparison, an_environment(UV), format=kind, generator="", folder=".", env=".venv", lock="lock.txt")
    hinted = with_hints(comparison, plan)
    assert all(drift.hint for drift in hinted.drifts)
    assert len({str(step) for step in plan.steps}) == len(plan.steps)


def test_what_conda_keeps_is_condas_to_put_back() -> None:
    file = SystemFile("lib/libx.so", "libx", b"1", b"2", present=True, algorithm="sha256")
    environment = replace(an_environment(PIP), system=(file,), manager="conda")
    for shared in (False, True):
        drift = replace(a_drift(Code.FILE_ALTERED), distribution="libx", path="lib/libx.so", shared=shared)
        plan = plan_repair(a_comparison(drift), environment, format=None, generator="", folder=".", env="prefix", lock="")
        assert plan.steps == ()
        ((_, reason),) = plan.left
        assert "conda install --force-reinstall libx" in reason
        assert ("cache" in reason) == shared


def test_no_command_goes_beyond_the_environment() -> None:
    """What is wrong with the base's packages is no matter once they are not imported from; else it is for whoever keeps them."""
    outside = tuple(
        replace(a_drift(code), distribution="six", path=f"{root}/lib/python3.11/site-packages/six.py")
        for root in ("${base}", "${user}")
        for code in (Code.FILE_ALTERED, Code.FILE_UNCLAIMED, Code.PTH_HOOK, Code.RECORD_INVALID)
    )
    for more in ((), (replace(a_drift(Code.SYSTEM_SITE), path="pyvenv.cfg"),)):
        comparison = a_comparison(*outside, *more)
        plan = plan_repair(comparison, an_environment(PIP), format=None, generator="", folder=".", env=".venv", lock="")
        assert len(plan.left) == (0 if more else len(outside))
        assert not any("six" in word for step in plan.steps for word in step.command)
        assert len(plan.steps) == len(more)


def test_a_plan_for_another_environment_says_which_one() -> None:
    comparison = a_comparison(a_drift())
    plan = plan_repair(
        comparison, an_environment(UV), format=LockFormat.UV, generator="", folder=".", env="/elsewhere/env", lock="uv.lock"
    )
    assert str(plan.steps[-1]).startswith("env UV_PROJECT_ENVIRONMENT=/elsewhere/env uv sync")


@pytest.mark.parametrize(
    ("groups", "defaults", "words"),
    [
        (("dev",), {"dev"}, "uv sync --reinstall-package six"),
        ((), {"dev"}, "uv sync --no-default-groups --reinstall-package six"),
        (("dev", "docs"), {"dev"}, "uv sync --no-default-groups --group dev --group docs --reinstall-package six"),
        ((), set(), "uv sync --reinstall-package six"),
    ],
)
def test_a_sync_asks_for_the_groups_that_were_found(groups: tuple[str, ...], defaults: set[str], words: str) -> None:
    comparison = a_comparison(a_drift(), reference=_reference(LockFormat.UV, selection=Selection(groups=groups)))
    plan = plan_repair(
        comparison,
        an_environment(UV),
        format=LockFormat.UV,
        generator="",
        folder=".",
        env=".venv",
        lock="uv.lock",
        default_groups=frozenset(defaults),
    )
    assert [str(step) for step in plan.steps] == [words]


@pytest.mark.parametrize(
    ("kind", "selection", "words"),
    [
        (LockFormat.PDM, Selection(), "pdm sync --clean --prod"),
        (LockFormat.PDM, Selection(extras=("web",)), "pdm sync --clean --prod -G web"),
        (LockFormat.PDM, Selection(groups=("dev", "test"), extras=("web",)), "pdm sync --clean -G dev,test,web"),
        (LockFormat.PIPFILE, Selection(), "pipenv sync --clean"),
        (LockFormat.PIPFILE, Selection(groups=("develop",)), "pipenv sync --clean --dev"),
        (LockFormat.PIPFILE, Selection(groups=("develop", "docs")), "pipenv sync --clean --categories packages,dev-packages,docs"),
    ],
)
def test_what_is_taken_out_comes_back_from_the_lock(kind: LockFormat, selection: Selection, words: str) -> None:
    comparison = a_comparison(a_drift(), reference=_reference(kind, selection=selection))
    plans = [
        plan_repair(comparison, an_environment(PIP), format=kind, generator="", folder=".", env=env, lock="lock")
        for env in (".venv", "/elsewhere/env")
    ]
    uninstall, sync = plans[0].steps
    assert str(uninstall).endswith("uninstall -y six")
    assert str(sync) == words
    assert str(plans[1].steps[-1]).removeprefix("env PDM_IGNORE_SAVED_PYTHON=1 ").removeprefix("env ") == (
        f"VIRTUAL_ENV=/elsewhere/env {words}"
    )


@pytest.mark.parametrize(
    ("kind", "installed", "words"),
    [
        (LockFormat.PDM, None, "pdm sync --clean --prod --no-self"),
        (LockFormat.PDM, an_origin(editable=True), "pdm sync --clean --prod"),
        (LockFormat.PDM, an_origin(), "pdm sync --clean --prod --no-editable"),
        (LockFormat.POETRY, None, "poetry sync --no-root"),
        (LockFormat.POETRY, an_origin(editable=True), "poetry sync"),
    ],
)
def test_a_project_that_is_not_installed_stays_so(kind: LockFormat, installed: Origin | None, words: str) -> None:
    project = () if installed is None else (a_distribution("Demo.Project", origin=installed),)
    plan = plan_repair(
        a_comparison(a_drift(), reference=_reference(kind)),
        an_environment(PIP, *project),
        format=kind,
        generator="",
        folder=".",
        env=".venv",
        lock="lock",
        project="demo_project",
    )
    assert str(plan.steps[-1]) == words


def test_what_has_no_hash_is_not_asked_for_one() -> None:
    for unhashable in (False, True):
        plan = plan_repair(
            a_comparison(a_drift(), reference=_reference(LockFormat.REQUIREMENTS)),
            an_environment(UV),
            format=LockFormat.REQUIREMENTS,
            generator="",
            folder=".",
            env=".venv",
            lock="lock.txt",
            unhashable=unhashable,
        )
        assert ("--require-hashes" in str(plan.steps[-1])) is not unhashable


def test_shared_files_need_the_cache_cleaned_first() -> None:
    plan = plan_repair(
        a_comparison(a_drift(shared=True)),
        an_environment(UV),
        format=LockFormat.UV,
        generator="",
        folder=".",
        env=".venv",
        lock="uv.lock",
    )
    assert [str(step) for step in plan.steps] == ["uv cache clean six", "uv sync --reinstall-package six"]


def test_a_strange_file_name_is_quoted_for_the_shell() -> None:
    drift = a_drift(Code.FILE_UNCLAIMED, distribution="", version="", path="a b; rm -rf $HOME.py")
    plan = plan_repair(
        a_comparison(drift), an_environment(UV), format=LockFormat.UV, generator="", folder=".", env=".venv", lock="uv.lock"
    )
    assert plan.steps[0].command[-1].endswith("/a b; rm -rf $HOME.py")
    assert "'" in str(plan.steps[0])


def test_a_clean_environment_has_no_steps() -> None:
    plan = plan_repair(
        a_comparison(), an_environment(UV), format=LockFormat.UV, generator="", folder=".", env=".venv", lock="uv.lock"
    )
    assert plan.steps == ()
    assert plan.left == ()


def _plan_for(drift: Drift) -> RepairPlan:
    return plan_repair(
        a_comparison(drift), an_environment(UV), format=LockFormat.UV, generator="", folder=".", env=".venv", lock="uv.lock"
    )


def test_what_lies_under_an_environment_is_told_and_never_run_against() -> None:
    """No step is made for the base interpreter, the system or a waiver, whatever the tool; a forged RECORD is installed again."""
    for drift in (
        a_drift(Code.STDLIB_ALTERED, distribution="", version="", path="${stdlib}/random.py"),
        a_drift(Code.BYTECODE_UNCHECKED, distribution="", version="", path="${stdlib}/__pycache__/random.cpython-311.pyc"),
        a_drift(Code.INTERPRETER_CHANGED, distribution="", version="", actual="sha256:" + "0" * 64),
        a_drift(Code.NATIVE_LIBRARY_CHANGED, distribution="", version="", path="/lib/libm.so.6"),
        a_drift(Code.WAIVER_EXPIRED, distribution="", version="", path="waivers/W-1.toml"),
    ):
        plan = _plan_for(drift)
        assert not plan.steps
        assert [left for left, _ in plan.left] == [drift]
    assert any("six" in str(step) for step in _plan_for(a_drift(Code.RECORD_FORGED, path="six-1.0.dist-info/RECORD")).steps)
