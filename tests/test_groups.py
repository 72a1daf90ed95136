"""Tests that share an environment are run by one worker: else each worker would build it, and CI would take minutes more."""

from __future__ import annotations

import pytest


@pytest.mark.xdist_group("together")
def test_a_group_is_named_where_its_worker_is_chosen(request: pytest.FixtureRequest) -> None:
    if not getattr(request.config.option, "loadgroup", False):
        pytest.skip("the tests are not shared out by group")
    assert request.node.nodeid.endswith("::test_a_group_is_named_where_its_worker_is_chosen@together")


@pytest.fixture(scope="module")
def made_once() -> object:
    return object()


def test_so_is_one_that_uses_what_its_module_makes_once(made_once: object, request: pytest.FixtureRequest) -> None:
    if not getattr(request.config.option, "loadgroup", False):
        pytest.skip("the tests are not shared out by group")
    assert request.node.nodeid.endswith("::test_so_is_one_that_uses_what_its_module_makes_once@test_groups")


def test_and_no_other_is(request: pytest.FixtureRequest) -> None:
    assert "@" not in request.node.nodeid
