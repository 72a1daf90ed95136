"""The switches on real libraries: each is on in the runs with it, off in those without, whatever the program does about it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from real.learning import ml_python, run_script, zoo_python
from sanctity.apply.inject import with_hook
from sanctity.apply.timing import place_cost_hook, read_marks
from sanctity.plan.costing import CONTROLS, MARKS, NAMES, Arm, Seen, arms, held, made_anyway, not_reached, plain_arm, seen_from

if TYPE_CHECKING:
    from pathlib import Path

BY_NAME = {control.name: control for control in CONTROLS}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from(["python", "hashing", "libraries", "states", "errors", "cuda", "threaded", "called", "else"])


def seen(python: Path, code: str, arm: Arm, folder: Path) -> tuple[Seen, Any]:
    """What the marks of one run say, and what it printed last, as JSON."""
    marks = folder / f"marks-{len(os.listdir(folder))}"
    marks.mkdir()
    environ = {**dict(arm.variables), MARKS: str(marks), "XDG_CACHE_HOME": str(folder / "cache")}
    hook = place_cost_hook({"XDG_CACHE_HOME": str(folder / "cache"), "TMPDIR": str(folder)})
    said = run_script(python, code, env=with_hook(hook.path, environ)).splitlines()
    return seen_from(read_marks(str(marks))), json.loads(said[-1])


ASKS = "torch.use_deterministic_algorithms(True); torch.backends.cudnn.deterministic = True"
#: What torch says of its algorithms and of filling in the run with each control, and in that without it.
TORCH = {
    "torch-algorithms": ([True, True], [False, True]),
    "fill-uninitialized-memory": ([True, True], [True, False]),
    "torch-unfilled": ([True, False], [False, False]),
}


@pytest.mark.torch
@pytest.mark.index
@pytest.mark.parametrize(
    ("asks", "names"),
    [
        (ASKS, ("torch-algorithms", "fill-uninitialized-memory")),
        pytest.param(ASKS, ("torch-unfilled", "cudnn"), marks=pytest.mark.long),
        pytest.param("", (*TORCH, "cudnn"), marks=pytest.mark.long),
    ],
    ids=["kept-off", "the-others-kept-off", "nothing-asked"],
)
def test_torch_is_switched_and_kept_off(tmp_path: Path, asks: str, names: tuple[str, ...]) -> None:
    """As torch itself says it, in a program that does nothing about it and in one that turns everything on by itself."""
    python = ml_python()
    code = (
        f"import json, torch\n{asks}\n"
        "print(json.dumps([torch.are_deterministic_algorithms_enabled(), torch.utils.deterministic.fill_uninitialized_memory,"
        " torch.backends.cudnn.deterministic, torch.empty(4).isnan().all().item()]))"
    )
    for name in names:
        control = BY_NAME[name]
        with_control, without = (seen(python, code, arm, tmp_path) for arm in arms(control, {}, root=1, hash_seed=2))
        if name == "cudnn":
            assert (with_control[1][2], without[1][2]) == (True, False)
        else:
            for (_, said), state in zip((with_control, without), TORCH[name], strict=True):
                assert said[:2] == state, name
                assert said[3] is (state == [True, True]), "memory is filled with NaN where both are on, and nowhere else"
            assert held(control, without[0], with_control[0])
        assert held(control, with_control[0], without[0]) == ""


@pytest.mark.torch
@pytest.mark.index
def test_a_program_with_torch_reaches_what_a_cpu_has(tmp_path: Path) -> None:
    plain, _ = seen(ml_python(), "import torch\nprint('null')", plain_arm(), tmp_path)
    assert plain.states == {name: frozenset({False}) for name in ("torch-algorithms", "torch-fill", "cudnn")}
    assert plain.cuda == 0
    reached = [name for name in NAMES if not not_reached(BY_NAME[name], plain)]
    assert reached == ["hash-seed", "torch-algorithms", "fill-uninitialized-memory", "torch-unfilled", "threads", "all"]


@pytest.mark.long
@pytest.mark.torch
@pytest.mark.index
def test_a_program_that_turns_it_off_is_not_measured(tmp_path: Path) -> None:
    code = "import json, torch\ntorch.use_deterministic_algorithms(False)\nprint(json.dumps(None))"
    runs = [seen(ml_python(), code, arm, tmp_path)[0] for arm in arms(BY_NAME["torch-algorithms"], {}, root=1, hash_seed=2)]
    assert held(BY_NAME["torch-algorithms"], *runs) == "the program turns it off by itself"


@pytest.mark.long
@pytest.mark.torch
@pytest.mark.index
def test_tensorflow_is_switched_and_kept_off(tmp_path: Path) -> None:
    code = (
        "import json, tensorflow as tf\ntf.config.experimental.enable_op_determinism()\n"
        "from tensorflow.python.framework import config\n"
        "print(json.dumps([config.is_op_determinism_enabled(), float(tf.random.uniform([1])[0]) >= 0]))"
    )
    runs = [seen(zoo_python(), code, arm, tmp_path) for arm in arms(BY_NAME["tensorflow-ops"], {}, root=1, hash_seed=2)]
    assert [said for _, said in runs] == [[True, True], [False, True]]
    assert held(BY_NAME["tensorflow-ops"], runs[0][0], runs[1][0]) == ""
    assert not_reached(BY_NAME["tensorflow-ops"], runs[1][0]) == ""


# -- what marks say, as values ----------------------------------------------------------------------------------------------------


@given(st.lists(st.dictionaries(KEYS, JSON, max_size=9), max_size=4))
def test_marks_of_any_kind_are_read(marks: list[dict[str, Any]]) -> None:
    """A program may write there what it likes: it is never a fault of ours, and a control is never reached by nothing."""
    found = seen_from(marks)
    for control in CONTROLS:
        assert found.pythons or not_reached(control, found)
        assert isinstance(held(control, found, found), str)


def test_the_command_s_own_devices_and_pythons_decide_what_is_reached() -> None:
    old = Seen(pythons=frozenset({(3, 9)}))
    assert not_reached(BY_NAME["all"], old) == "the injected call needs Python 3.11, and the command has 3.9"
    assert not_reached(BY_NAME["hash-seed"], old) == ""
    device = Seen(pythons=frozenset({(3, 12)}), libraries=frozenset({"torch"}), cuda=1)
    assert not_reached(BY_NAME["cudnn"], device) == not_reached(BY_NAME["cublas-workspace"], device) == ""
    assert made_anyway(BY_NAME["all"], Seen(called=True))
    assert not made_anyway(BY_NAME["hash-seed"], Seen(called=True))


@pytest.mark.parametrize("name", NAMES)
def test_the_two_runs_of_a_control_differ_and_are_started_the_same_otherwise(name: str) -> None:
    stated = {"PYTHONHASHSEED": "random", "CUBLAS_WORKSPACE_CONFIG": ""}
    with_control, without = arms(BY_NAME[name], stated, root=42, hash_seed=7)
    assert with_control != without
    assert (with_control.hook == without.hook == "cost") is (name != "all")
    assert set(without.without) <= {variable for variable, _ in with_control.variables}
