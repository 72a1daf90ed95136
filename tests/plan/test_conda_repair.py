"""What undoes the drifts of an environment that is held to a lock of conda packages: the command of the tool that keeps it."""

from __future__ import annotations

from typing import Any

import pytest

from factories import a_comparison, a_distribution, a_drift, an_environment
from sanctity.model.drift import Code, Drift, Reference, ReferenceKind, Selection
from sanctity.model.environment import SystemFile
from sanctity.model.lock import LockFormat
from sanctity.plan.repair import RepairPlan, Tool, plan_repair, with_hints

LOCKS = {LockFormat.PIXI: "pixi.lock", LockFormat.CONDA_LOCK: "conda-lock.yml", LockFormat.CONDA_EXPLICIT: "conda-linux-64.lock"}
FILE = SystemFile("lib/libx.so", "libx", b"1", b"2", present=True, algorithm="sha256")

MISSING = a_drift(Code.DISTRIBUTION_MISSING, distribution="numpy", path="conda-meta/numpy-1.0-h0_0.json")
BUILD = a_drift(Code.BUILD_MISMATCH, distribution="numpy", path="conda-meta/numpy-1.0-h1_0.json")
ALTERED = a_drift(Code.FILE_ALTERED, distribution="libx", path="lib/libx.so")
PLANTED = a_drift(Code.FILE_UNCLAIMED, distribution="", version="", path="lib/python3.11/planted.py")
BROKEN = a_drift(Code.RECORD_INVALID, distribution="", version="", path="conda-meta/numpy-1.0-h0_0.json")
STRANGER = a_drift(Code.DISTRIBUTION_EXTRA, distribution="rogue", path="rogue-1.0.dist-info")


def planned(kind: LockFormat, *drifts: Drift, env: str = "", groups: tuple[str, ...] = (), **fields: Any) -> RepairPlan:
    chosen = Selection(groups=groups, environment="test" if kind is LockFormat.PIXI else "")
    reference = Reference(kind=ReferenceKind.LOCK, format=kind, path=LOCKS[kind], selection=chosen)
    rogue = a_distribution("rogue", installer="pip")
    environment = an_environment(rogue, **{"manager": "conda", "system": (FILE,), **fields})
    env = env or (".pixi/envs/test" if kind is LockFormat.PIXI else "env")
    comparison = a_comparison(*drifts, reference=reference)
    plan = plan_repair(comparison, environment, format=kind, generator="", folder=".", env=env, lock=LOCKS[kind])
    assert all(drift.hint for drift in with_hints(comparison, plan).drifts)
    return plan


def commands(kind: LockFormat, *drifts: Drift, **fields: Any) -> list[str]:
    plan = planned(kind, *drifts, **fields)
    assert plan.left == ()
    return [str(step) for step in plan.steps]


def test_pixi_installs_and_reinstalls_in_its_own_environment() -> None:
    install, again = "pixi install --frozen -e test", "pixi reinstall --frozen -e test libx"
    assert commands(LockFormat.PIXI, MISSING, BUILD) == [install]
    assert commands(LockFormat.PIXI, ALTERED) == [again]
    assert commands(LockFormat.PIXI, ALTERED, BUILD) == [install, again]
    assert commands(LockFormat.PIXI, BROKEN) == ["pixi clean -e test", install]
    assert commands(LockFormat.PIXI, MISSING, PLANTED) == ["pixi clean -e test", install]
    assert commands(LockFormat.PIXI, PLANTED)[0].startswith("rm -r .pixi/envs/test/")


def test_the_others_make_the_prefix_anew() -> None:
    anew = "conda-lock install --prefix env --no-dev conda-lock.yml"
    for drifts in ((MISSING,), (ALTERED,), (BROKEN,), (BUILD, PLANTED, STRANGER)):
        assert commands(LockFormat.CONDA_LOCK, *drifts) == [anew]
    assert commands(LockFormat.CONDA_LOCK, MISSING, groups=("dev", "docs")) == [
        "conda-lock install --prefix env --extras docs conda-lock.yml"
    ]
    assert commands(LockFormat.CONDA_EXPLICIT, BUILD) == ["conda create --yes --prefix env --file conda-linux-64.lock"]


@pytest.mark.parametrize("kind", LOCKS)
def test_what_pip_brought_pip_takes_out(kind: LockFormat) -> None:
    (command,) = commands(kind, STRANGER)
    assert command.endswith(
        "-m pip --python .pixi/envs/test uninstall -y rogue" if kind is LockFormat.PIXI else "uninstall -y rogue"
    )


def test_pixi_takes_out_what_it_installed_itself() -> None:
    reference = Reference(kind=ReferenceKind.LOCK, format=LockFormat.PIXI, selection=Selection(environment="default"))
    plan = plan_repair(
        a_comparison(STRANGER, reference=reference),
        an_environment(a_distribution("rogue", installer="uv-pixi"), manager="conda"),
        format=LockFormat.PIXI,
        generator="",
        folder=".",
        env=".pixi/envs/default",
        lock="pixi.lock",
    )
    assert [str(step) for step in plan.steps] == ["pixi install --frozen -e default"]


def test_pixi_has_no_command_for_what_it_does_not_keep() -> None:
    plan = planned(LockFormat.PIXI, MISSING, ALTERED, STRANGER, env="/opt/env")
    assert {drift.distribution for drift, _ in plan.left} == {"numpy", "libx"}
    assert all(".pixi/envs/test" in reason for _, reason in plan.left)
    assert [step.command[-1] for step in plan.steps] == ["rogue"]


@pytest.mark.parametrize("kind", LOCKS)
def test_an_altered_file_that_the_cache_shares_is_cleaned_there_first(kind: LockFormat) -> None:
    shared = a_drift(Code.FILE_ALTERED, distribution="libx", path="lib/libx.so", shared=True)
    plan = planned(kind, shared)
    assert plan.steps == ()
    assert "package cache" in plan.left[0][1]


@pytest.mark.parametrize("kind", LOCKS)
def test_a_place_that_conda_did_not_make_is_not_made_over(kind: LockFormat) -> None:
    plan = planned(kind, a_drift(Code.DISTRIBUTION_MISSING, distribution="", path="conda-meta"), manager="", system=())
    assert plan.steps == ()
    assert "did not make" in plan.left[0][1]


def test_the_tool_is_the_locks_own() -> None:
    assert [planned(kind, MISSING).tool for kind in LOCKS] == [Tool.PIXI, Tool.CONDA_LOCK, Tool.CONDA]


def test_held_to_a_seal_pixis_environment_is_told_by_its_place() -> None:
    plan = plan_repair(
        a_comparison(MISSING, reference=Reference(kind=ReferenceKind.SEAL)),
        an_environment(manager="conda"),
        format=LockFormat.PIXI,
        generator="",
        folder=".",
        env=".pixi/envs/gpu",
        lock="pixi.lock",
    )
    assert [str(step) for step in plan.steps] == ["pixi install --frozen -e gpu"]
