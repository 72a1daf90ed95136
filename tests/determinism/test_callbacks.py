"""The callbacks in their real trainers: a run that is killed and resumed is the straight one, and without them it is not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from real.learning import missing, run_script, said, trainers_python
from real.tools import ToolError

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.torch, pytest.mark.skipif(bool(missing()), reason=missing())]

#: Every program takes modes and a folder, runs a fit a mode, and prints what came of each. Noise is drawn from all that a state holds.
HEAD = """
import hashlib, json, os, random, shutil, sys
import numpy as np, sanctity
modes, folder = sys.argv[1:3]
class Stopped(Exception):
    pass
def begin():
    global receipt, own
    receipt = sanctity.set_global_determinism(42, quiet=True)
    sanctity.unregister("noise")
    own = sanctity.register(np.random.default_rng(0), "noise")
def noise():
    return random.random() + np.random.rand() + own.random() + own.spawn(1)[0].random()
def stop():
    if "KILL" in os.environ:
        os.kill(os.getpid(), 9)
    raise Stopped
def told(arrays):
    recorded = receipt.recheck().recorded
    bad = [row.control for row in receipt.rows if row.status == "overwritten"]
    digest = hashlib.sha256(b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)).hexdigest()
    return [digest, recorded.get("re-applied", ""), recorded.get("resumed", ""), bad]
def main():
    found = []
    for mode in modes.split(","):
        where = folder if mode in AGAIN or mode == "stopped" else folder + "-" + mode
        if len(found) == 2:
            shutil.copytree(folder, folder + "-again")
        begin()
        try:
            found.append(fit(mode, folder + "-again" if len(found) == 3 else where))
        except Stopped:
            found.append(None)
    print(json.dumps(found))
AGAIN = ("resumed", "without", "lax")
"""

LIGHTNING = (
    HEAD
    + """
import logging, torch, warnings
import lightning as L
from sanctity.determinism.callbacks.lightning import Determinism
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
warnings.simplefilter("ignore")
workers, validated = int(os.environ.get("LOADERS", "0")), bool(os.environ.get("VALIDATED"))
class Model(L.LightningModule):
    def __init__(self, mode):
        super().__init__()
        self.mode, self.net = mode, torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 1))
    def training_step(self, batch, number):
        if self.mode == "stopped" and self.trainer.global_step == 10:
            stop()
        return ((self.net(batch[0] + noise() * 0.01) - batch[1]) ** 2).mean()
    def validation_step(self, batch, number):
        self.net(batch[0] + torch.rand(1) + noise())
    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), 1e-2)
def fit(mode, folder):
    model = Model(mode)
    data = torch.utils.data.TensorDataset(torch.randn(32, 4), torch.randn(32, 1))
    loader = torch.utils.data.DataLoader(data, batch_size=8, shuffle=True, num_workers=workers)
    kept = L.pytorch.callbacks.ModelCheckpoint(folder, filename="{epoch}", save_top_k=-1)
    callbacks = [kept] if mode == "without" else [kept, Determinism(strict=mode != "lax")]
    trainer = L.Trainer(max_epochs=3, accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
                        callbacks=callbacks)
    if mode.startswith("seeded"):
        L.seed_everything(int(mode[6:]), verbose=False)
    again = f"{folder}/epoch=1.ckpt" if mode in AGAIN else None
    trainer.fit(model, loader, torch.utils.data.DataLoader(data, batch_size=8) if validated else None, ckpt_path=again)
    return told(parameter.detach().numpy() for parameter in model.parameters())
main()
"""
)

TRAINER = (
    HEAD
    + """
import torch, transformers
from sanctity.determinism.callbacks.transformers import Determinism
transformers.logging.set_verbosity_error()
step = int(os.environ.get("STEP", "8"))
class Data(torch.utils.data.Dataset):
    def __init__(self):
        self.x, self.y = torch.randn(32, 4), torch.randn(32, 1)
    def __len__(self):
        return 32
    def __getitem__(self, number):
        return {"x": self.x[number], "labels": self.y[number]}
class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 1))
    def forward(self, x, labels=None):
        out = self.net(x + noise() * 0.01)
        return {"loss": ((out - labels) ** 2).mean(), "logits": out}
class Stop(transformers.TrainerCallback):
    def on_step_begin(self, args, state, control, **_):
        if state.global_step == step + 2:
            stop()
def fit(mode, folder):
    model, data = Model(), Data()
    options = dict(num_train_epochs=3, per_device_train_batch_size=8, report_to=[], use_cpu=True, disable_tqdm=True, seed=7,
                   logging_steps=1, save_steps=step, full_determinism=mode == "full")
    callbacks = [Stop()] if mode == "stopped" else []
    if mode not in ("without", "late"):
        callbacks.append(Determinism(strict=mode != "lax"))
    trainer = transformers.Trainer(None if mode == "init" else model, transformers.TrainingArguments(folder, **options),
                                   train_dataset=data, callbacks=callbacks, model_init=Model if mode == "init" else None)
    if mode == "late":
        trainer.add_callback(Determinism())
    trainer.train(resume_from_checkpoint=f"{folder}/checkpoint-{step}" if mode in AGAIN else None)
    return told(parameter.detach().numpy() for parameter in trainer.model.parameters())
main()
"""
)

KERAS = (
    HEAD
    + """
import torch, keras
from sanctity.determinism.callbacks.keras import Determinism
class Noise(keras.layers.Layer):
    def call(self, x, training=None):
        return x + float(noise()) * 0.01 + torch.rand(1).item() * 0.01
class Stop(keras.callbacks.Callback):
    def on_train_batch_begin(self, batch, logs=None):
        if int(self.model.optimizer.iterations) == 10:
            stop()
def fit(mode, folder):
    x, y = np.random.normal(size=(32, 4)).astype("f4"), np.random.normal(size=(32, 1)).astype("f4")
    layers = [keras.Input((4,)), keras.layers.Dense(8), Noise(), keras.layers.Dropout(0.5), keras.layers.Dense(1)]
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.Adam(1e-2), "mse", run_eagerly=True)
    callbacks = [keras.callbacks.BackupAndRestore(folder, delete_checkpoint=False)] + ([Stop()] if mode == "stopped" else [])
    if mode != "without":
        ours = Determinism(folder + "/streams.json", strict=mode != "lax", keep=True)
        callbacks.insert(int(os.environ.get("PLACE", "1")), ours)
    if mode.startswith("seeded"):
        keras.utils.set_random_seed(int(mode[6:]))
    model.fit(x, y, epochs=3, batch_size=8, verbose=0, callbacks=callbacks)
    return told(model.get_weights())
main()
"""
)
PROGRAMS = {"lightning": (LIGHTNING, {}), "trainer": (TRAINER, {}), "keras": (KERAS, {"KERAS_BACKEND": "torch"})}


def _run(trainer: str, modes: str, folder: Path, **env: str) -> list[Any]:
    """For each of the *modes*: the digest of the weights, what was re-applied and resumed, and what is still overwritten."""
    code, always = PROGRAMS[trainer]
    found: list[Any] = said(trainers_python(), code, modes, str(folder / "run"), env={**always, **env})
    return found


def _killed(trainer: str, folder: Path, **env: str) -> None:
    code, always = PROGRAMS[trainer]
    with pytest.raises(ToolError, match="ended with -9"):
        run_script(trainers_python(), code, "stopped", str(folder / "run"), env={**always, **env, "KILL": "1"})


@pytest.mark.parametrize("trainer", PROGRAMS)
def test_a_run_that_is_stopped_and_resumed_is_the_straight_one(trainer: str, tmp_path: Path) -> None:
    straight, stopped, resumed, without = _run(trainer, "straight,stopped,resumed,without", tmp_path)
    assert stopped is None
    assert resumed[0] == straight[0]
    assert without[0] != straight[0], "the positive control: it would be seen if it were not"
    assert "goes on where the checkpoint left it" in resumed[2]
    assert straight[3] == resumed[3] == []
    said_so = "random, numpy-legacy, torch-cpu: set anew by Trainer or before it; they go on where they were"
    assert straight[1] == (said_so if trainer == "trainer" else "")


@pytest.mark.long
@pytest.mark.parametrize("trainer", PROGRAMS)
def test_a_process_that_is_killed_is_followed_by_one_that_ends_where_a_straight_one_does(trainer: str, tmp_path: Path) -> None:
    _killed(trainer, tmp_path)
    assert _run(trainer, "resumed", tmp_path)[0][0] == _run(trainer, "straight", tmp_path)[0][0]


@pytest.mark.long
@pytest.mark.parametrize(
    ("trainer", "env"),
    [
        ("lightning", {"LOADERS": "2"}),
        ("lightning", {"VALIDATED": "1"}),
        ("lightning", {"LOADERS": "2", "VALIDATED": "1"}),
        ("trainer", {"STEP": "6"}),
        ("trainer", {"STEP": "4"}),
        ("keras", {"PLACE": "0"}),
        ("keras", {"PLACE": "2"}),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else value,
)
def test_workers_validation_and_places_make_no_difference(trainer: str, env: dict[str, str], tmp_path: Path) -> None:
    straight, _, resumed, without = _run(trainer, "straight,stopped,resumed,without", tmp_path, **env)
    assert resumed[0] == straight[0]
    assert without[0] != straight[0]


@pytest.mark.long
@pytest.mark.parametrize("trainer", ["lightning", "keras"])
def test_a_seed_that_the_program_sets_before_the_fit_is_undone_and_told(trainer: str, tmp_path: Path) -> None:
    first, second = _run(trainer, "seeded7,seeded8", tmp_path)
    assert first == second
    assert first[1].startswith("random, numpy-legacy, torch-cpu")
    assert first[3] == []


RANKS = """
import json, os, sys
import numpy as np, sanctity
receipt = sanctity.set_global_determinism(42, rank=int(os.environ.get("LOCAL_RANK", "0")), quiet=True)
import hashlib, logging, torch, warnings
import lightning as L
from sanctity.determinism.callbacks.lightning import Determinism
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
warnings.simplefilter("ignore")
mode, folder = sys.argv[1:3]
class Model(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.net, self.drawn = torch.nn.Linear(4, 1), []
    def training_step(self, batch, number):
        self.drawn.append(np.random.rand())
        return ((self.net(batch[0] + self.drawn[-1] * 0.01 + torch.rand(1)) - batch[1]) ** 2).mean()
    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), 1e-2)
model = Model()
data = torch.utils.data.TensorDataset(torch.ones(32, 4), torch.ones(32, 1))
kept = L.pytorch.callbacks.ModelCheckpoint(folder, filename="{epoch}", save_top_k=-1)
trainer = L.Trainer(max_epochs=2 if mode == "stopped" else 4, accelerator="cpu", devices=1 if mode == "alone" else 2, strategy="ddp",
                    logger=False, enable_progress_bar=False, enable_model_summary=False, callbacks=[kept, Determinism()])
trainer.fit(model, torch.utils.data.DataLoader(data, batch_size=8), ckpt_path=f"{folder}/epoch=1.ckpt" if mode in ("resumed", "alone") else None)
found = [None, None]
torch.distributed.all_gather_object(found, model.drawn[-4:])
if trainer.is_global_zero:
    print(json.dumps([[p.detach().numpy().tobytes().hex() for p in model.parameters()], found]), flush=True)
"""


@pytest.mark.long
def test_each_rank_takes_its_own_streams_back(tmp_path: Path) -> None:
    def ranks(mode: str, folder: str) -> Any:
        return said(trainers_python(), RANKS, mode, str(tmp_path / folder), folder=tmp_path)

    straight = ranks("straight", "a")
    ranks("stopped", "b")
    assert ranks("resumed", "b") == straight
    assert straight[1][0] != straight[1][1], "two ranks do not draw the same"
    with pytest.raises(ToolError, match="the streams of 2 ranks, and there are 1"):
        ranks("alone", "b")


@pytest.mark.long
def test_what_the_trainer_sets_beside_streams_is_set_back(tmp_path: Path) -> None:
    full, straight = _run("trainer", "full,straight", tmp_path)
    assert full[3] == []
    assert full[0] == straight[0]


@pytest.mark.long
def test_a_model_that_the_trainer_makes_is_followed_by_streams_of_the_call(tmp_path: Path) -> None:
    first, second = _run("trainer", "init,init", tmp_path)
    assert first == second
    assert first[3] == []


@pytest.mark.long
def test_a_callback_that_comes_after_the_trainer_has_seeded_begins_anew_and_says_so(tmp_path: Path) -> None:
    first, second = _run("trainer", "late,late", tmp_path)
    assert first == second
    assert first[1].endswith("set anew by Trainer or before it; they begin anew")


@pytest.mark.long
@pytest.mark.parametrize("trainer", PROGRAMS)
def test_a_checkpoint_without_streams_is_refused_or_told(trainer: str, tmp_path: Path) -> None:
    _killed(trainer, tmp_path)
    if trainer == "lightning":
        strip = (
            "import sys, torch; p = sys.argv[1]; c = torch.load(p, weights_only=True); c['callbacks'].pop('Determinism');"
            "torch.save(c, p); print(1)"
        )
        run_script(trainers_python(), strip, str(tmp_path / "run/epoch=1.ckpt"))
    else:
        for path in tmp_path.rglob("*streams*.json"):
            path.unlink()
    with pytest.raises(ToolError, match="there is no state of the streams"):
        _run(trainer, "resumed", tmp_path)
    assert "not the straight one" in _run(trainer, "lax", tmp_path)[0][2]


@pytest.mark.long
@pytest.mark.parametrize("trainer", ["trainer", "keras"])
def test_a_state_of_another_step_or_none_at_all_is_refused(trainer: str, tmp_path: Path) -> None:
    _killed(trainer, tmp_path)
    (path,) = [path for path in tmp_path.rglob("*streams*.json") if trainer == "keras" or "checkpoint-8" in str(path)]
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, "step": 3}))
    with pytest.raises(ToolError, match="another step"):
        _run(trainer, "resumed", tmp_path)
    path.write_text(json.dumps({**document, "streams": document["streams"].replace("torch-cpu", "torch-gpu")}))
    with pytest.raises(ToolError, match="digest"):
        _run(trainer, "resumed", tmp_path)
    path.write_text(path.read_text()[:100])
    with pytest.raises(ToolError, match="can not be read"):
        _run(trainer, "resumed", tmp_path)
