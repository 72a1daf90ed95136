"""What every test may ask for: the workshop that builds real environments, and the switch that rewrites goldens."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from real.tools import Workshop, cache_folder, each_python, interpreters

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


# The same examples in every run: what is found by chance belongs to the fuzzer, and not to whoever comes next with a change.
settings.register_profile("the same", derandomize=True, deadline=None)
settings.load_profile("the same")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-goldens", action="store_true", help="rewrite the golden files with what the code says now")


def pytest_configure(config: pytest.Config) -> None:
    """Take interrupts as a program does that was started by hand.

    A shell has its jobs in the background ignore them, every program under test inherits that, and then none of those that a
    test interrupts would stop.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _group(item: pytest.Item) -> str:
    """The group that *item* is marked to be of, else its module where it uses what is made there once for all of its tests."""
    if (mark := item.get_closest_marker("xdist_group")) is not None:
        return str(mark.args[0])
    module = item.getparent(pytest.Module)
    if not isinstance(item, pytest.Function) or module is None:
        return ""
    made = [found for name in item.fixturenames for found in item._fixtureinfo.name2fixturedefs.get(name, ())]
    return module.path.stem if any(each.scope == "module" and each.baseid == module.nodeid for each in made) else ""


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
    """Name the group of a test at the end of its id, by which one worker gets the whole group and builds its environments once.

    pytest-xdist does so itself, but in an attribute that pytest 9.2 no longer reads; a release of it that does it right finds
    nothing to do here. tests/test_groups.py sees whether a group stays together.
    """
    yield
    if not getattr(config.option, "loadgroup", False):
        return
    for item in items:
        ending = f"@{group}" if (group := _group(item)) else ""
        if not item.nodeid.endswith(ending):
            item._id = type(item.id).parse(item.nodeid + ending)


@pytest.fixture(scope="session")
def update_goldens(request: pytest.FixtureRequest) -> bool:
    """Whether goldens are to be rewritten rather than compared."""
    return bool(request.config.getoption("--update-goldens"))


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """The workshop of this session; its tools and wheels are kept in the test cache."""
    return Workshop(cache=cache_folder(), scratch=tmp_path_factory.mktemp("workshop"))


@pytest.fixture(params=each_python())
def python(request: pytest.FixtureRequest) -> str:
    """Each Python version that environments are built for; those not installed are skipped."""
    version: str = request.param
    if version not in interpreters():
        pytest.skip(f"Python {version} is not installed")
    return version


@pytest.fixture(scope="session")
def interpreter_paths() -> dict[str, Path]:
    """The installed interpreters, by version."""
    return dict(interpreters())
