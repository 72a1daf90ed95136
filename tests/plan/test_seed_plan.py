"""What `run --seed` sets, as values, and the words by which a program would not read it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanctity.errors import UsageError
from sanctity.plan.seeding import ignored_by, plan_seed


def test_every_variable_has_its_reason() -> None:
    plan = plan_seed(42, hash_seed=7, environ={"HOME": "/home"})
    assert plan.environ == {"PYTHONHASHSEED": "7", "SANCTITY_SEED": "42", "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
    assert all(variable.reason for variable in plan.variables)
    assert plan.kept == ()


@given(root=st.integers(0, 2**128 - 1), hash_seed=st.integers(1, 2**32 - 1))
def test_planning_again_inside_of_what_was_planned_changes_nothing(root: int, hash_seed: int) -> None:
    first = plan_seed(root, hash_seed=hash_seed, environ={})
    second = plan_seed(root, hash_seed=hash_seed, environ=first.environ)
    assert {**first.environ, **second.environ} == first.environ


@pytest.mark.parametrize(
    ("environ", "where"),
    [
        ({"SANCTITY_SEED": "43"}, "SANCTITY_SEED"),
        ({"SANCTITY_SEED": "forty-two"}, "SANCTITY_SEED"),
        ({"PYTHONHASHSEED": "0"}, "PYTHONHASHSEED"),
        ({"PYTHONHASHSEED": "random"}, "PYTHONHASHSEED"),
        ({"PYTHONHASHSEED": "token-1234"}, "PYTHONHASHSEED"),
    ],
)
def test_another_seed_is_refused_and_no_secret_is_told(environ: dict[str, str], where: str) -> None:
    with pytest.raises(UsageError) as told:
        plan_seed(42, hash_seed=7, environ=environ)
    assert (told.value.code, told.value.where) == ("seed-conflict", where)
    assert where in told.value.hint
    assert "token" not in str(told.value)
    assert "forty" not in str(told.value)


@pytest.mark.parametrize(
    "environ", [{"SANCTITY_SEED": "42"}, {"SANCTITY_SEED": ""}, {"PYTHONHASHSEED": "7"}, {"PYTHONHASHSEED": ""}]
)
def test_the_same_seed_and_an_empty_one_are_none(environ: dict[str, str]) -> None:
    assert plan_seed(42, hash_seed=7, environ=environ).environ["SANCTITY_SEED"] == "42"


@pytest.mark.parametrize(("value", "told"), [(":16:8", 0), (":4096:8", 0), (":0:0", 1), (":4096:2:16:8", 1)])
def test_a_workspace_of_the_users_is_kept_and_told_where_it_keeps_no_order(value: str, told: int) -> None:
    plan = plan_seed(42, hash_seed=7, environ={"CUBLAS_WORKSPACE_CONFIG": value})
    assert "CUBLAS_WORKSPACE_CONFIG" not in plan.environ
    assert len(plan.kept) == told


@pytest.mark.parametrize(
    ("words", "hook", "option"),
    [
        ("-I train.py", False, "-I"),
        ("-uE -c pass", False, "-E"),
        ("-s -P -I -m train", False, "-I"),
        ("-W error -E train.py", False, "-E"),
        ("-X dev -I train.py", False, "-I"),
        ("--check-hash-based-pycs always -I train.py", False, "-I"),
        ("-S train.py", False, ""),
        ("-S train.py", True, "-S"),
        ("train.py -I", True, ""),
        ("-c -I", True, ""),
        ("-cI", True, ""),
        ("-mIntro", True, ""),
        ("-WIgnore train.py", True, ""),
        ("-XI train.py", True, ""),
        ("-u - -I", True, ""),
        ("-- -I", True, ""),
        ("", True, ""),
    ],
)
def test_options_by_which_python_ignores_what_is_set(words: str, hook: bool, option: str) -> None:
    assert ignored_by(words.split(), start_hook=hook) == option
