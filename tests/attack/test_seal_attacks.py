"""What is done to an environment after it was sealed, on real files: ordinary use is no drift, and a forged word hides nothing."""

from __future__ import annotations

import json
import shutil
import time
from typing import TYPE_CHECKING

import pytest

from sanctity import verbs
from sanctity.model.drift import Code, Depth, Verdict
from sanctity.observe.environment import observe_environment
from sites import add_distribution, build_site

if TYPE_CHECKING:
    from pathlib import Path

    from sanctity.model.environment import Distribution

_KERNEL = "share/jupyter/kernels/python3/kernel.json"


def _look(env: Path) -> Distribution:
    environment = observe_environment(str(env), depth=Depth.RECORD, clock=time.monotonic)
    return next(item for item in environment.distributions if item.key == "ipykernel")


def _kernel(python: str, **more: object) -> str:
    argv = [python, "-Xfrozen_modules=off", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    return json.dumps({"argv": argv, "display_name": "Python 3", "language": "python", **more})


def test_a_kernel_that_was_installed_anew_has_the_content_that_was_sealed(tmp_path: Path) -> None:
    """`ipykernel install` writes the environment's own place into it, and that is no content of the wheel."""
    env = build_site(tmp_path)
    add_distribution(env, "ipykernel", "7.0", {f"../../../{_KERNEL}": _kernel("python").encode(), "ipykernel.py": b"code"})
    before = _look(env)
    (env / _KERNEL).write_text(_kernel(f"{env}/bin/python"))
    after = _look(env)
    assert (after.content, after.stated) == (before.content, before.stated)


@pytest.mark.parametrize("more", [{"env": {"PYTHONPATH": "/evil"}}, {"argv": ["/evil/python", "-m", "ipykernel_launcher"]}])
def test_a_kernel_that_starts_anything_else_has_another(tmp_path: Path, more: dict[str, object]) -> None:
    env = build_site(tmp_path)
    add_distribution(env, "ipykernel", "7.0", {f"../../../{_KERNEL}": _kernel("python").encode(), "ipykernel.py": b"code"})
    before = _look(env)
    (env / _KERNEL).write_text(_kernel(f"{env}/bin/python", **more))
    after = _look(env)
    assert after.content != before.content
    assert after.stated == before.stated


_LOCK = """\
version = 1
requires-python = ">=3.9"

[[package]]
name = "demo"
version = "0.1"
source = { editable = "." }
"""


def test_an_editable_that_is_turned_to_another_folder_is_told_by_the_lock_it_was_sealed_under(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The seal has no place of it: the same hook, with another folder in it and in direct_url.json, has the same digest."""

    def install(project: Path) -> None:
        stated = json.dumps({"url": f"file://{project}", "dir_info": {"editable": True}}).encode()
        files = {"demo.pth": f"{project}/src".encode(), "demo-0.1.dist-info/direct_url.json": stated}
        add_distribution(env, "demo", "0.1", files)

    monkeypatch.chdir(tmp_path)
    env = build_site(tmp_path)
    world = verbs.World(cwd=str(tmp_path), environ={}, clock=time.monotonic)
    target = verbs.Target(project=str(tmp_path), env=str(env))
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "demo"\nversion = "0.1"\n')
    (tmp_path / "uv.lock").write_text(_LOCK)
    install(tmp_path)
    made = verbs.seal(target, world, accept=True)
    (tmp_path / "env.seal.json").write_text(made.text)
    assert verbs.verify(target, world).comparison.verdict is Verdict.CLEAN
    shutil.rmtree(env / "lib/python3.11/site-packages/demo-0.1.dist-info", ignore_errors=True)
    install(tmp_path / "evil")
    assert [(drift.code, drift.distribution) for drift in verbs.verify(target, world).comparison.drifts if drift.gating] == [
        (Code.ORIGIN_MISMATCH, "demo")
    ]
