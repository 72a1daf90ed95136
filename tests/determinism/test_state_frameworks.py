"""The state of PyTorch, TensorFlow, Keras and JAX's keys: what comes back, and what these libraries do not give away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from real.learning import missing, ml_python, said, zoo_python

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.torch, pytest.mark.index, pytest.mark.skipif(bool(missing()), reason=missing())]


def test_pytorch_comes_back_whole_or_not_at_all(tmp_path: Path) -> None:
    code = """
import json, sys
import torch, sanctity
from sanctity.determinism import document
from sanctity.determinism.document import decoded, encoded
from sanctity.determinism.state import StateError
out = {}
sanctity.set_global_determinism(42, quiet=True)
own = sanctity.register(torch.Generator(), "own")
draw = lambda: [torch.randn(5).tolist(), torch.rand(3, generator=own).tolist(), torch.randperm(9).tolist()]
torch.randn(1)  # an odd number of normal draws
state = sanctity.capture_state()
expected = draw()
out["restored"] = [sanctity.restore_state(state).restored, draw() == expected]
path = sys.argv[1]
state.write(path)
torch.manual_seed(1)
sanctity.restore_state(path)
out["file"] = [draw() == expected, sanctity.State.read(path) == state]
ours = sanctity.capture_state()
try:
    with sanctity.preserved():
        draw(); raise ZeroDivisionError
except ZeroDivisionError:
    out["block"] = sanctity.capture_state() == ours

# Values of a state_dict: dtypes, empty, sliced, on no device but the CPU; what has no word is refused.
tensors = [torch.arange(6).to(getattr(torch, name)).reshape(2, 3)[:, ::2] for name in
           ("uint8", "int64", "float16", "bfloat16", "float32", "float64", "complex64")] + [torch.zeros(0, 3), torch.tensor(True)]
back = [decoded(json.loads(json.dumps(encoded(each)))) for each in tensors]
out["tensors"] = [a.dtype == b.dtype and a.shape == b.shape and torch.equal(a, b) for a, b in zip(tensors, back)]
refused = []
for bad in (torch.zeros(2).to_sparse(), torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)):
    try:
        encoded(bad)
    except document.Unwritable:
        refused.append(True)
out["refused"] = refused

# States that no generator of PyTorch can have.
def forged(change):
    found = json.loads(state.to_bytes())
    for entry in found["entries"]:
        if entry["source"] == "torch-cpu":
            entry["value"] = encoded(decoded(entry["value"]) | change)
    found["digest"] = document.digest_of(found)
    return sanctity.State.from_bytes(document.canonical(found) + b"\\n")
whole = decoded(dict(state.entries())["torch-cpu", ""])["state"]
before, hostile = sanctity.capture_state(), []
for change in ({"state": whole[:-8]}, {"state": b"\\xff" * len(whole)}, {"state": 1}, {"device": "cuda:0"}, {"state": b""}):
    try:
        sanctity.restore_state(forged(change))
    except StateError as error:
        hostile.append([name for name, _ in error.failures] == ["torch-cpu"] and sanctity.capture_state() == before)
out["hostile"] = hostile
print(json.dumps(out))
"""
    path = tmp_path / "rng.json"
    found = said(ml_python(), code, str(path))
    assert found == {
        "restored": [["children", "generator 'own'", "numpy", "random", "torch-cpu"], True],
        "file": [True, True],
        "block": True,
        "tensors": [True] * 9,
        "refused": [True, True],
        "hostile": [True] * 5,
    }
    without = f"""
import json, numpy.random, sanctity
sanctity.set_global_determinism(42, quiet=True)
try:
    sanctity.restore_state({str(path)!r})
except sanctity.errors.SanctityError as error:
    print(json.dumps(dict(error.failures)))
"""
    assert said(ml_python(), without) == {
        "generator 'own'": "no generator is registered by this name",
        "torch-cpu": "torch is not imported here",
    }


@pytest.mark.long
def test_tensorflow_comes_back_but_for_what_counts_inside_of_a_kernel(tmp_path: Path) -> None:
    begin = """
import json, sys
import tensorflow as tf, sanctity
sanctity.set_global_determinism(42, quiet=True)
tf.random.set_global_generator(tf.random.Generator.from_seed(1))
generator = tf.random.get_global_generator()
seeded = lambda: float(tf.random.uniform((), seed=3))
def draw():
    return [float(tf.random.uniform(())), tf.random.normal((2,)).numpy().tolist(), float(generator.uniform(()))]
"""
    path = str(tmp_path / "rng.json")
    first = said(
        zoo_python(),
        f"{begin}draw(); seeded(); sanctity.capture_state().write({path!r}); print(json.dumps([draw(), seeded()]))",
    )
    resumed = said(
        zoo_python(), f"{begin}told = sanctity.restore_state({path!r}); print(json.dumps([draw(), seeded(), told.restored]))"
    )
    reseeded = said(zoo_python(), f"{begin}print(json.dumps(draw()))")
    assert resumed[0] == first[0] != reseeded
    assert {"tensorflow", "tensorflow generator"} <= set(resumed[2])
    assert resumed[1] != first[1], "an operation with a seed of its own counts where nothing reaches it, as the docs say"


@pytest.mark.long
@pytest.mark.parametrize("backend", ["jax", "tensorflow", "torch"])
def test_keras_comes_back(tmp_path: Path, backend: str) -> None:
    begin = """
import json, keras, sanctity
sanctity.set_global_determinism(42, quiet=True, algorithms="leave")
numbers = lambda value: keras.ops.convert_to_numpy(value).tolist()
draw = lambda: [numbers(keras.random.uniform((2,))), numbers(keras.initializers.GlorotUniform()((2, 2)))]
draw()
"""
    path, env = str(tmp_path / "rng.json"), {"KERAS_BACKEND": backend}
    first = said(zoo_python(), f"{begin}sanctity.capture_state().write({path!r}); print(json.dumps([draw(), draw()]))", env=env)
    resumed = said(zoo_python(), f"{begin}draw(); sanctity.restore_state({path!r}); print(json.dumps([draw(), draw()]))", env=env)
    assert resumed == first
    assert first[0] != first[1]


@pytest.mark.long
def test_a_stream_is_a_key_of_jax() -> None:
    code = """
import json, jax, sanctity
sanctity.set_global_determinism(42, quiet=True)
draw = lambda *names, **at: float(jax.random.uniform(sanctity.stream(*names, kind="jax", **at)))
print(json.dumps([draw("a") == draw("a"), len({draw("a"), draw("b"), draw("a", epoch=1), draw("a", worker=1)}),
                  str(jax.random.key_impl(sanctity.stream("a", kind="jax")))]))
"""
    assert said(zoo_python(), code)[:2] == [True, 4]
