"""What `run` decides, as values: what it hands on, what it adds, and which names are the interpreter's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from factories import an_environment
from sanctity.model.environment import Interpreter, Layout
from sanctity.plan.start import Located, is_interpreter, resource_attributes


@pytest.mark.parametrize("stated", ["", "service.name=x", "a=1,b=2", "a=%2C, b = 2 ", "broken,,a=1"])
def test_attributes_are_added_and_the_others_kept(stated: str) -> None:
    value = resource_attributes(stated, fingerprint="sha256:aa", verdict="clean")
    assert value.endswith("sanctity.env.digest=sha256%3Aaa,sanctity.verdict=clean")
    assert [item for item in value.split(",")[:-2] if item] == [item for item in stated.split(",") if item]


def test_attributes_of_ours_that_were_there_are_replaced() -> None:
    once = resource_attributes("a=1", fingerprint="sha256:aa", verdict="clean")
    twice = resource_attributes(once, fingerprint="sha256:bb", verdict="clean")
    assert twice == "a=1,sanctity.env.digest=sha256%3Abb,sanctity.verdict=clean"


def _located(inner: str, real: str = "/usr/bin/python3.11") -> Located:
    return Located(path=f"/env/{inner}", real=real, inner=inner)


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        ("bin/python", True),
        ("bin/python3.11", True),
        ("bin/pypy3", True),
        ("bin/python-config", False),
        ("bin/pythonic", False),
        ("lib/python", False),
        ("bin/sub/python", False),
        ("", False),
    ],
)
def test_the_interpreters_names(inner: str, expected: bool) -> None:
    layout = Layout(site=("lib/python3.11/site-packages",), virtual=True)
    assert is_interpreter(_located(inner), replace(an_environment(), layout=layout)) is expected


def test_outside_of_a_virtual_environment_the_name_must_lead_to_the_interpreter() -> None:
    """Such as /usr/local, where several Pythons lie side by side."""
    environment = replace(
        an_environment(),
        layout=Layout(site=("lib/python3.11/site-packages",), virtual=False),
        interpreter=Interpreter(executable="/usr/bin/python3.11"),
    )
    assert is_interpreter(_located("bin/python3"), environment)
    assert not is_interpreter(_located("bin/python3.12", "/usr/bin/python3.12"), environment)
    within = replace(environment, interpreter=Interpreter(executable="bin/python3.11"))
    assert is_interpreter(replace(_located("bin/python3"), inner_real="bin/python3.11"), within)
    assert not is_interpreter(_located("bin/python3"), replace(environment, interpreter=Interpreter()))
