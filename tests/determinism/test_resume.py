"""T13: a run that was stopped and taken up again is the straight run where its state was kept, and is another one where it was not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from programs import told

if TYPE_CHECKING:
    from pathlib import Path

#: Stochastic gradient descent with noise, dropped inputs, and an order: what is drawn comes of each stream that a state holds.
TRAINING = """
import hashlib, json, random, sys
import numpy as np
import sanctity

class Run:
    def __init__(self):
        sanctity.unregister("augment")
        sanctity.set_global_determinism(42, quiet=True)
        self.augment = sanctity.register(np.random.default_rng(), "augment")
        self.legacy = np.random.RandomState(7)
        self.order = sanctity.EpochSampler(4, name="train")
        self.objects = {"order": self.order, "legacy": self.legacy}
        self.weights = np.zeros(8)
        self.velocity = np.zeros(8)
        self.step = 0

    def train(self, steps):
        for _ in range(steps // 4):
            for index in self.order:
                x = np.arange(8.0) + index + self.augment.normal(size=8) + self.augment.spawn(1)[0].random()
                x *= np.random.rand(8) < 0.8
                y = self.legacy.randn() + random.gauss(0, 1) + np.random.randn()
                self.velocity = 0.9 * self.velocity + (self.weights @ x - y) * x
                self.weights = self.weights - 1e-4 * self.velocity
                self.step += 1
        return self.digest()

    def digest(self):
        assert np.isfinite(self.weights).all()
        return [self.step, hashlib.sha256(self.weights.tobytes() + self.velocity.tobytes()).hexdigest()]

    def save(self, path):
        np.savez(path + ".npz", weights=self.weights, velocity=self.velocity, step=self.step)
        sanctity.capture_state(self.objects).write(path + ".json")

    def load(self, path, state=True):
        saved = np.load(path + ".npz")
        self.weights, self.velocity, self.step = saved["weights"], saved["velocity"], int(saved["step"])
        if state:
            sanctity.restore_state(path + ".json", self.objects)
"""


def test_a_resumed_run_is_the_straight_run_and_a_reseeded_one_is_not(tmp_path: Path) -> None:
    path = str(tmp_path / "checkpoint")
    straight = told(TRAINING + "print(json.dumps(Run().train(20)))")
    stopped = told(TRAINING + f"run = Run(); done = run.train(8); run.save({path!r}); print(json.dumps(done))")
    resumed = told(TRAINING + f"run = Run(); run.load({path!r}); print(json.dumps(run.train(12)))")
    reseeded = told(TRAINING + f"run = Run(); run.load({path!r}, state=False); print(json.dumps(run.train(12)))")
    assert (straight[0], stopped[0], resumed[0], reseeded[0]) == (20, 8, 20, 20)
    assert resumed == straight
    assert reseeded != straight, "the control: the seed alone is no resume"


def test_each_part_of_the_state_is_needed(tmp_path: Path) -> None:
    """Without any one of the sources the resumed run is another one, so none of them is there for show."""
    path = str(tmp_path / "checkpoint")
    code = f"""{TRAINING}
from sanctity.determinism.sources import sources
from sanctity.determinism.document import decoded
straight = Run().train(20)
run = Run(); run.train(8); run.save({path!r})
state = sanctity.State.read({path + ".json"!r})
found = {{}}
for left_out in [None, *state.entries()]:
    run = Run(); run.load({path!r}, state=False)
    here = {{source.key: source for source in sources(run.objects)}}
    for key, value in state.entries():
        if left_out is None or key != left_out[0]:
            here[key].put(decoded(value))
    found[" ".join(left_out[0]).strip() if left_out else "whole"] = run.train(12) == straight
print(json.dumps(found))
"""
    found = told(code)
    assert found.pop("whole") is True
    assert found.pop("children") is True, "this program has none"
    assert found == dict.fromkeys(["generator augment", "numpy", "object legacy", "object order", "random"], False)
