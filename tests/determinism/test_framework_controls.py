"""TensorFlow, Keras and JAX, as they are installed, and a Keras that keeps its seed elsewhere."""

# ruff: noqa: NPY002 - the legacy stream is what is looked at

from __future__ import annotations

import random
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from real.learning import said, zoo_python
from sanctity.determinism import controls_keras, controls_numpy, controls_tensorflow
from sanctity.determinism.scheme import derive
from sanctity.determinism.setting import Setting

if TYPE_CHECKING:
    from pathlib import Path

CALL = "import json, random, sys, sanctity\nr = sanctity.set_global_determinism({}, quiet=True)\n"

frameworks = [
    pytest.mark.index,
    pytest.mark.torch,
    pytest.mark.long,
]


@pytest.fixture(scope="session")
def zoo() -> Path:
    return zoo_python()


class Test:
    pytestmark = frameworks

    def test_tensorflow_repeats_and_is_read_back(self, zoo: Path) -> None:
        code = """
import rich.style  # which draws from random when it is imported, and which Keras imports
before = random.getstate()
import tensorflow as tf
out = {"late": [r["tensorflow"].status, r["tensorflow-ops"].status], "left": random.getstate() == before}
draw = lambda: [float(tf.random.uniform(())), float(tf.random.normal(())), float(tf.random.uniform(()))]
out["first"] = draw()
r = sanctity.set_global_determinism(7, quiet=True)
out["again"] = draw()
out["kept"] = r["tensorflow-ops"].status
numbers = tf.data.Dataset.range(50).map(lambda _: tf.random.uniform(()), num_parallel_calls=4)
out["data"] = [float(x) for x in numbers]
from tensorflow.python.eager import context
r = sanctity.set_global_determinism(7, quiet=True)
out["global"] = context.global_seed()
tf.random.set_seed(3)
out["overwritten"] = r.recheck()["tensorflow"].status
r = sanctity.set_global_determinism(7, algorithms="warn", quiet=True)
out["warn"] = r["tensorflow-ops"].status
print(json.dumps(out))
"""
        first, second = (said(zoo, CALL.format(7) + code) for _ in range(2))
        assert first == second
        assert first["late"] == ["applied", "applied"]
        assert first["left"]
        assert first["first"] == first["again"]
        assert len(set(first["first"])) == 3
        assert first["kept"] == "applied"
        assert first["global"] == derive(7, "tensorflow", bits=56)
        assert first["overwritten"] == "overwritten"
        assert first["warn"] == "refused"
        other = said(zoo, CALL.format(8) + code)
        assert not set(other["first"]) & set(first["first"])

    def test_tensorflow_that_has_run_operations_is_told_too_late(self, zoo: Path) -> None:
        code = "import json, sys, sanctity\nimport tensorflow as tf\n{}\nr = sanctity.set_global_determinism(7, quiet=True)\n"
        code += "print(json.dumps([r['tensorflow-ops'].status, r['tensorflow'].status]))"
        assert said(zoo, code.format("tf.constant(1) + 1")) == ["too-late", "applied"]
        assert said(zoo, code.format("")) == ["applied", "applied"]
        assert said(zoo, code.format("tf.constant(1) + 1"), env={"TF_DETERMINISTIC_OPS": "1"}) == ["applied", "applied"]

    @pytest.mark.parametrize("backend", ["torch", "jax", "tensorflow"])
    def test_keras_repeats_on_each_backend(self, zoo: Path, backend: str) -> None:
        code = """
import numpy as np, rich.style  # which draws from random when it is imported, and which Keras imports
before = random.getstate()
import keras
out = {"left": before == random.getstate()}
out["imported"] = [name for name in ("tensorflow", "torch", "jax") if name in sys.modules]
def draw():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dropout(0.5)])
    value = model(np.ones((2, 4), "float32"), training=True)
    return keras.ops.convert_to_numpy(value).tolist(), keras.ops.convert_to_numpy(keras.random.uniform((2,))).tolist()
r = sanctity.set_global_determinism(7, quiet=True)
out["first"] = draw()
r = sanctity.set_global_determinism(7, quiet=True)
out["again"] = draw()
out["status"] = r.recheck()["keras"].status
keras.utils.set_random_seed(3)
out["overwritten"] = [r.recheck()[name].status for name in ("keras", "random", "numpy-legacy")]
print(json.dumps(out))
"""
        first, second = (said(zoo, CALL.format(7) + code, env={"KERAS_BACKEND": backend}) for _ in range(2))
        assert first == second
        assert first["left"]
        assert backend in first["imported"]
        # JAX and TensorFlow do not know each other; TensorFlow alone is imported for no other backend's sake.
        assert backend == "tensorflow" or "tensorflow" not in first["imported"]
        assert first["first"] == first["again"]
        assert first["status"] == "applied"
        assert first["overwritten"] == ["overwritten"] * 3

    def test_jax_is_handed_a_key_whatever_its_settings(self, zoo: Path) -> None:
        code = "import jax\nkey = sanctity.jax_key()\nprint(json.dumps([r['jax'].status, jax.random.key_data(key).tolist()]))"
        plain = said(zoo, CALL.format(7) + code)
        assert plain[0] == "applied"
        assert said(zoo, CALL.format(7) + code, env={"JAX_ENABLE_X64": "1"}) == plain
        assert said(zoo, CALL.format("7, rank=1") + code)[1] != plain[1]
        seed = derive(7, "jax", bits=64)
        by_hand = (
            f"import json, jax\nkey = jax.random.fold_in(jax.random.key({seed & 0xFFFFFFFF}), {seed >> 32})\n"
            "print(json.dumps(jax.random.key_data(key).tolist()))"
        )
        assert said(zoo, by_hand) == plain[1]


class _Module:
    def __init__(self, **values: Any) -> None:
        vars(self).update(values)


def _words() -> Any:
    return np.random.get_state(legacy=False)["state"]["key"].tolist()


def test_a_keras_that_keeps_its_seed_elsewhere_is_given_it_publicly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as Keras 2; what it seeds besides is put back."""
    given: list[int] = []

    def set_random_seed(seed: int) -> None:
        given.append(seed)
        random.seed(seed)
        np.random.seed(seed % 2**32)

    keras = _Module(utils=_Module(set_random_seed=set_random_seed), backend=_Module(backend=lambda: "none"))
    monkeypatch.setitem(sys.modules, "keras", keras)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    setting = Setting(7)
    saved, words = random.getstate(), np.random.get_state(legacy=False)
    try:
        (seeded,) = controls_numpy.apply(setting, "numpy.random")
        setting.receipt.update([seeded])
        random.random()
        before = random.getstate(), _words()
        (row,) = controls_keras.apply(setting, "keras")
        assert row.status == "applied"
        assert given == [derive(7, "keras", bits=32)]
        assert before == (random.getstate(), _words())
        (again,) = controls_numpy.read_back(setting, "numpy.random")
        assert again.status == "applied"
    finally:
        random.setstate(saved)
        np.random.set_state(words)


@pytest.mark.parametrize("controls", [controls_keras, controls_tensorflow])
def test_a_forked_child_is_told_that_it_goes_on_in_its_parents_stream(controls: Any) -> None:
    (row,) = controls.reseed(Setting(7))
    assert (row.status, row.loud, bool(row.remedy)) == ("refused", True, True)


def test_there_is_no_key_before_there_is_a_seed_and_a_jax() -> None:
    import sanctity
    from sanctity.errors import UsageError

    with pytest.raises(UsageError) as error:
        sanctity.jax_key()
    assert error.value.code == "determinism-argument"
