"""F15: a Dropout MLP under Adam, and scikit-learn's ``partial_fit``, stopped and taken up again: bit for bit the straight run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from real.learning import missing, ml_python, side_by_side

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.torch, pytest.mark.index, pytest.mark.skipif(bool(missing()), reason=missing())]

MLP = """
import hashlib, json, sys
import torch, sanctity
from torch.utils.data import DataLoader

def begin():
    sanctity.set_global_determinism(42, quiet=True)
    model = torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.ReLU(), torch.nn.Dropout(0.5), torch.nn.Linear(32, 1))
    data = torch.utils.data.TensorDataset(torch.randn(160, 16), torch.randn(160, 1))
    loader = DataLoader(data, batch_size=16, sampler=sanctity.EpochSampler(data, name="train"), num_workers={workers},
                        generator=sanctity.stream("loader", kind="torch"), worker_init_fn=sanctity.worker_init)
    objects = {{"order": loader.sampler, "loader": loader.generator}}
    return model, torch.optim.Adam(model.parameters(), lr=0.01), loader, objects

def train(model, optimiser, loader, epochs):
    for _ in range(epochs):
        for x, y in loader:
            loss = torch.nn.functional.mse_loss(model(x + 0.1 * torch.randn_like(x)), y)
            optimiser.zero_grad(); loss.backward(); optimiser.step()
    digest = hashlib.sha256()
    for tensor in [*model.state_dict().values(), *(value for each in optimiser.state_dict()["state"].values() for value in each.values())]:
        digest.update(tensor.numpy().tobytes())
    return [digest.hexdigest(), loss.item()]

model, optimiser, loader, objects = begin()
"""
SAVE = """
train(model, optimiser, loader, 1)
torch.save([model.state_dict(), optimiser.state_dict()], {path!r} + ".pt")
sanctity.capture_state(objects).write({path!r} + ".json")
print("null")
"""
LOAD = """
for part, state in zip([model, optimiser], torch.load({path!r} + ".pt", weights_only=True)):
    part.load_state_dict(state)
"""


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.long)])
def test_f15_stopped_at_10_and_resumed_is_20_steps(tmp_path: Path, workers: int) -> None:
    python, path = ml_python(), str(tmp_path / "checkpoint")
    begin, load = MLP.format(workers=workers), LOAD.format(path=path)
    finish = "print(json.dumps(train(model, optimiser, loader, 1)))"
    straight, _ = side_by_side(
        python, begin + "print(json.dumps(train(model, optimiser, loader, 2)))", begin + SAVE.format(path=path)
    )
    resumed, reseeded = side_by_side(
        python, begin + load + f"sanctity.restore_state({path!r} + '.json', objects)\n" + finish, begin + load + finish
    )
    assert resumed == straight
    assert reseeded[0] != straight[0], "the control: the same seed again is no resume"
    assert reseeded[1] != straight[1]


FIT = """
import hashlib, json, joblib
import numpy as np, sanctity
from sklearn.neural_network import MLPClassifier

def begin():
    sanctity.set_global_determinism(42, quiet=True)
    model = MLPClassifier((8,), random_state=sanctity.register(np.random.RandomState(), "model"), batch_size=8)
    return model, np.random.rand(64, 4), np.random.randint(0, 2, 64)

def fit(model, x, y, steps):
    for _ in range(steps):
        model.partial_fit(x + 0.1 * np.random.randn(*x.shape), y, classes=[0, 1])
    return hashlib.sha256(b"".join(each.tobytes() for each in model.coefs_ + model.intercepts_)).hexdigest()

model, x, y = begin()
"""


def test_f15_scikit_learn_by_partial_fit(tmp_path: Path) -> None:
    """joblib keeps the model; its RandomState is the registered one before and after, so that the state reaches it."""
    python, path = ml_python(), str(tmp_path / "model")
    load = f"""
rng = model.random_state
model = joblib.load({path!r})
model.random_state = model._random_state = rng
"""
    save = f"fit(model, x, y, 10); joblib.dump(model, {path!r}); sanctity.capture_state().write({path!r} + '.json'); print('null')"
    finish = "print(json.dumps(fit(model, x, y, 10)))"
    straight, _ = side_by_side(python, FIT + "print(json.dumps(fit(model, x, y, 20)))", FIT + save)
    resumed, reseeded = side_by_side(
        python, FIT + load + f"sanctity.restore_state({path!r} + '.json')\n" + finish, FIT + load + finish
    )
    assert resumed == straight
    assert reseeded != straight
