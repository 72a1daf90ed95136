"""What is done to an environment after it was sealed, on real files: ordinary use is no drift, and a forged word hides nothing."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from sanctity.model.drift import Depth
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
