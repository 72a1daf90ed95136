"""What each source of randomness draws after one helper seeded it: the inside of `seeding_table.py`, run where the libraries are.

    python bench/seeding_draws.py HELPER SEED[,SEED...] [SOURCE ...]

Before each source its libraries are imported and the helper is called again, so no source is moved by what another one drew. The
value is whatever shows what was drawn, as JSON; ``collides`` says with what it shares its stream. A helper's own function for
workers is used where it has one, as its trainer would.
"""

# ruff: noqa: NPY002 - the legacy stream of NumPy is one of the sources that are looked at

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

WORDS = ("cat", "dog", "bird", "fish", "cow", "hen", "owl", "bee", "ant", "elk", "fox", "jay")


# -- the helpers ------------------------------------------------------------------------------------------------------------------


def by_hand(seed: int) -> None:
    """The three lines that most programs begin with."""
    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def lightning(seed: int) -> None:
    from lightning import seed_everything

    seed_everything(seed, workers=True, verbose=False)


def transformers(seed: int) -> None:
    from transformers import set_seed

    set_seed(seed)


def transformers_full(seed: int) -> None:
    from transformers import enable_full_determinism

    enable_full_determinism(seed)


def accelerate(seed: int) -> None:
    from accelerate.utils import set_seed

    set_seed(seed)


def monai(seed: int) -> None:
    from monai.utils import set_determinism

    set_determinism(seed)


def keras(seed: int) -> None:
    import keras

    keras.utils.set_random_seed(seed)


def sanctity(seed: int) -> None:
    import sanctity

    sanctity.set_global_determinism(seed, quiet=True)


HELPERS: dict[str, Callable[[int], None]] = {
    "by_hand": by_hand,
    "lightning": lightning,
    "transformers": transformers,
    "transformers_full": transformers_full,
    "accelerate": accelerate,
    "monai": monai,
    "keras": keras,
    "sanctity": sanctity,
    "sanctity_named": sanctity,
}


def loader(helper: str, dataset: Any) -> Any:
    """A DataLoader with two workers, as the users of *helper* have one."""
    from torch.utils.data import DataLoader

    options: dict[str, Any] = {"num_workers": 2, "batch_size": 1}
    if helper == "lightning":
        from lightning.fabric.utilities.seed import pl_worker_init_function

        options["worker_init_fn"] = pl_worker_init_function
    elif helper.startswith("transformers"):
        from functools import partial

        from transformers.trainer_utils import seed_worker

        options["worker_init_fn"] = partial(seed_worker, num_workers=2, rank=0)
    elif helper == "monai":
        from monai.data import DataLoader as Own

        return Own(dataset, **options)
    elif helper == "sanctity_named":
        import sanctity

        options["worker_init_fn"] = sanctity.worker_init
    return DataLoader(dataset, **options)


# -- the sources ------------------------------------------------------------------------------------------------------------------


class Draw(NamedTuple):
    """A source: its *title*, the modules that it *needs*, what it draws, and how it is drawn by name where that is another way.

    *told* is the control whose row says what the call does about it, where it does not repeat by the call alone; or words, where a
    status would not do.
    """

    title: str
    needs: tuple[str, ...]
    value: Callable[[str], Any]
    named: Callable[[str], Any] | None = None
    told: str = ""


def stream(name: str, **options: Any) -> Any:
    import sanctity

    return sanctity.stream(name, **options)


def seed_of(name: str) -> int:
    return int(stream(name, kind="seed")) % 2**32


def floats(values: Any) -> list[float]:
    return [float(value) for value in values]


def numpy_legacy(_: str) -> Any:
    import numpy as np

    return floats(np.random.rand(4))


def torch_cpu(_: str) -> Any:
    import numpy as np
    import torch

    shared = torch.randint(0, 256, (512,)).tolist() == np.random.randint(0, 256, 512).tolist()
    return floats(torch.rand(4)), "numpy" if shared else ""


def torch_generator(_: str) -> Any:
    import torch

    return floats(torch.rand(4, generator=torch.Generator()))


def torch_named(_: str) -> Any:
    import torch

    return floats(torch.rand(4, generator=stream("noise", kind="torch")))


def default_rng(_: str) -> Any:
    import numpy as np

    return floats(np.random.default_rng().random(4))


def random_state(_: str) -> Any:
    import numpy as np

    return floats(np.random.RandomState().rand(4))


def registered(_: str) -> Any:
    import numpy as np

    import sanctity

    mine = sanctity.register(np.random.RandomState(), "old")
    sanctity.unregister("old")
    return floats(mine.rand(4))


class Plain:
    """An object without a hash of its own."""


def objects(_: str) -> Any:
    made = [Plain() for _ in range(3000)]
    number = {id(each): i for i, each in enumerate(made)}
    return [number[id(each)] for each in set(made)]


def uuids(_: str) -> Any:
    import uuid

    return str(uuid.uuid4())


def uuid_named(_: str) -> Any:
    import uuid

    return str(uuid.UUID(bytes=stream("run id").bytes(16), version=4))


def secret(_: str) -> Any:
    import secrets

    return [secrets.token_hex(8), random.SystemRandom().random()]


def temporary(_: str) -> Any:
    import tempfile

    return os.path.basename(tempfile.mktemp())


def scipy_rvs(_: str) -> Any:
    import scipy.stats

    return floats(scipy.stats.norm.rvs(size=4))


def scipy_qmc(_: str) -> Any:
    import scipy.stats

    return floats(scipy.stats.qmc.Sobol(1).random(4)[:, 0])


def scipy_qmc_named(_: str) -> Any:
    import scipy.stats

    return floats(scipy.stats.qmc.Sobol(1, rng=stream("design")).random(4)[:, 0])


def pandas_sample(_: str) -> Any:
    import pandas as pd

    return pd.Series(range(100)).sample(8).tolist()


def make_blobs(_: str) -> Any:
    from sklearn.datasets import make_blobs as make

    return floats(make(8)[0][:, 0])


def kfold(_: str) -> Any:
    from sklearn.model_selection import KFold

    return [test.tolist() for _, test in KFold(3, shuffle=True).split(range(30))]


def forest(_: str) -> Any:
    from sklearn.datasets import make_regression
    from sklearn.ensemble import RandomForestRegressor

    x, y = make_regression(60, 4, random_state=0)
    return floats(RandomForestRegressor(4).fit(x, y).predict(x[:4]))


def boosters(_: str) -> Any:
    import lightgbm
    import xgboost
    from sklearn.datasets import make_regression

    x, y = make_regression(200, 4, random_state=0)
    first = xgboost.XGBRegressor(n_estimators=4, subsample=0.5).fit(x, y).predict(x[:4])
    second = lightgbm.LGBMRegressor(n_estimators=4, subsample=0.5, subsample_freq=1, verbose=-1).fit(x, y).predict(x[:4])
    return [*floats(first), *floats(second)]


def boosters_named(_: str) -> Any:
    import lightgbm
    import xgboost
    from sklearn.datasets import make_regression

    x, y = make_regression(200, 4, random_state=0)
    seed = seed_of("booster") % 2**31
    first = xgboost.XGBRegressor(n_estimators=4, subsample=0.5, random_state=seed).fit(x, y).predict(x[:4])
    model = lightgbm.LGBMRegressor(n_estimators=4, subsample=0.5, subsample_freq=1, verbose=-1, random_state=seed)
    return [*floats(first), *floats(model.fit(x, y).predict(x[:4]))]


def dropout(_: str) -> Any:
    import torch

    return floats(torch.nn.functional.dropout(torch.ones(64), 0.5))


def linear(_: str) -> Any:
    import torch

    return floats(torch.nn.Linear(4, 1).weight.flatten().detach())


def order(_: str) -> Any:
    from torch.utils.data import DataLoader

    return [int(batch) for batch in DataLoader(list(range(32)), shuffle=True, batch_size=None)]


class Drawing:
    """A data set whose items are what its worker draws."""

    def __init__(self, draw: Callable[[Any], float], held: Any = None) -> None:
        self.draw = draw
        self.held = held

    def __len__(self) -> int:
        return 8

    def __getitem__(self, _: int) -> float:
        return float(self.draw(self.held))


def _worker_random(_: Any) -> float:
    return random.random()


def _worker_numpy(_: Any) -> float:
    import numpy as np

    return float(np.random.rand())


def _worker_torch(_: Any) -> float:
    import torch

    return float(torch.rand(1, dtype=torch.float64))


def _worker_both(_: Any) -> float:
    """1 where the next words of NumPy and of torch are the same, in 24 bits."""
    import numpy as np
    import torch

    return float(torch.rand(1)) == np.random.randint(2**24) / 2**24


def _worker_held(held: Any) -> float:
    return float(held.random())


def workers(helper: str, draw: Callable[[Any], float], held: Any = None) -> Any:
    """Two epochs of two workers: what each drew, and who drew the same."""
    epochs = [floats(loader(helper, Drawing(draw, held))) for _ in range(2)]
    said = []
    if len(set(epochs[0])) < len(epochs[0]):
        said.append("workers")
    if set(epochs[0]) & set(epochs[1]):
        said.append("epochs")
    if draw is _worker_torch and all(floats(loader(helper, Drawing(_worker_both)))):
        said.append("numpy")
    return epochs, ", ".join(said)


def worker_held(helper: str) -> Any:
    import numpy as np

    return workers(helper, _worker_held, np.random.default_rng(0))


def _forked(draw: Callable[[], float]) -> Any:
    """What three forked children draw, and whether any two draw the same."""
    values = []
    for _ in range(3):
        there, here = os.pipe()
        child = os.fork()
        if not child:
            try:
                os.write(here, repr(draw()).encode())
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        values.append(float(os.read(there, 100)))
        os.close(there)
        os.close(here)
    return values, "" if len(set(values)) == 3 else "siblings"


def forked_numpy(_: str) -> Any:
    import numpy as np

    return _forked(np.random.rand)


def forked_torch(_: str) -> Any:
    return _forked(lambda: _worker_torch(None))


def _in_child(_: int) -> list[float]:
    return [random.random(), _worker_numpy(None)]


def spawned(_: str) -> Any:
    import multiprocessing

    values: list[float] = []
    for number in range(2):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            values += pool.apply(_in_child, (number,))
    return values, "" if len(set(values)) == 4 else "siblings"


def program(_: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", "import random; print(random.random())"], capture_output=True, text=True, check=False
    )
    return done.stdout


def program_named(_: str) -> Any:
    code = "import random, sanctity; sanctity.set_global_determinism(quiet=True); print(random.random())"
    root = str(stream("child", kind="seed"))
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env={**os.environ, "SANCTITY_SEED": root}
    ).stdout


def program_hash(_: str) -> Any:
    return subprocess.run([sys.executable, "-c", "print(hash('cat'))"], capture_output=True, text=True, check=False).stdout


def _task(_: int) -> float:
    time.sleep(0.01)
    return _worker_numpy(None)


def _task_named(number: int, root: int) -> float:
    import sanctity

    time.sleep(0.01)
    return float(sanctity.stream("task", number, root=root).random())


def loky(_: str) -> Any:
    from joblib import Parallel, delayed
    from joblib.externals.loky import get_reusable_executor

    values = floats(Parallel(2)(delayed(_task)(number) for number in range(40)))
    get_reusable_executor().shutdown()
    return values, "" if len(set(values)) == 40 else "tasks"


def loky_named(_: str) -> Any:
    from joblib import Parallel, delayed
    from joblib.externals.loky import get_reusable_executor

    root = int(stream("tasks", kind="seed"))
    values = floats(Parallel(2)(delayed(_task_named)(number, root) for number in range(40)))
    get_reusable_executor().shutdown()
    return values, "" if len(set(values)) == 40 else "tasks"


def _threads(draws: list[Callable[[], float]]) -> Any:
    sums = [0.0] * len(draws)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)

    def work(number: int) -> None:
        for _ in range(20_000):
            sums[number] += draws[number]()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(draws))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.setswitchinterval(before)
    return sums


def threads_shared(_: str) -> Any:
    """The sums of four threads, from one state of the stream, until they are others: a busy machine hides the race."""
    state, made = random.getstate(), set()
    for _attempt in range(100):
        random.setstate(state)
        made.add(tuple(_threads([random.random] * 4)))
        if len(made) > 1:
            break
    return sorted(made), "" if len(made) == 1 else "itself"


def threads_named(_: str) -> Any:
    return _threads([stream(f"thread {number}", kind="random").random for number in range(4)])


def completed(_: str) -> Any:
    from concurrent.futures import ThreadPoolExecutor, as_completed

    def task(number: int) -> int:
        time.sleep(0.001)
        return number

    with ThreadPoolExecutor(4) as pool:
        return [future.result() for future in as_completed([pool.submit(task, number) for number in range(200)])]


def completed_in_order(_: str) -> Any:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda number: number, range(200)))


def monai_transform(_: str) -> Any:
    import numpy as np
    from monai.transforms import RandGaussianNoise

    return floats(RandGaussianNoise(prob=1.0)(np.zeros((1, 4), "float32"))[0])


def monai_named(_: str) -> Any:
    import numpy as np
    from monai.transforms import RandGaussianNoise

    noise = RandGaussianNoise(prob=1.0)
    noise.set_random_state(seed=seed_of("noise"))
    return floats(noise(np.zeros((1, 4), "float32"))[0])


def keras_initialiser(_: str) -> Any:
    import keras

    layer = keras.layers.Dense(1)
    layer.build((None, 4))
    return floats(layer.kernel.numpy().flatten())


def tf_random(_: str) -> Any:
    import tensorflow as tf

    return floats(tf.random.uniform([4]).numpy())


def tf_data(_: str) -> Any:
    import tensorflow as tf

    data = tf.data.Dataset.range(256).map(lambda _: tf.random.uniform([]), num_parallel_calls=4)
    return floats(data.as_numpy_iterator())


def jax_key(_: str) -> Any:
    import jax

    return floats(jax.random.uniform(jax.random.key(0), (4,)))


def jax_named(_: str) -> Any:
    import jax

    import sanctity

    return floats(jax.random.uniform(sanctity.jax_key(), (4,)))


def race(_: str) -> Any:
    """Two threads that add into one tensor: the same sum many times, in one process."""
    import torch

    index = torch.randint(0, 50, (400_000,))
    values = torch.randn(400_000)
    made: set[str] = set()
    # A busy machine hides a race, so it is given time to show.
    for _attempt in range(400):
        made.add(torch.zeros(50).index_put_((index,), values, accumulate=True).numpy().tobytes().hex()[:64])
        if len(made) > 1:
            break
    return sorted(made), "" if len(made) == 1 else "itself"


SOURCES: dict[str, Draw] = {
    "random": Draw("`random.random()`", (), lambda _: random.random()),
    "random_object": Draw(
        "`random.Random()`",
        (),
        lambda _: random.Random().random(),
        lambda _: stream("shuffle", kind="random").random(),
        "numpy-generators",
    ),
    "numpy": Draw("`numpy.random.rand()`", ("numpy",), numpy_legacy),
    "default_rng": Draw(
        "`numpy.random.default_rng()`", ("numpy",), default_rng, lambda _: floats(stream("augment").random(4)), "numpy-generators"
    ),
    "random_state": Draw("`numpy.random.RandomState()`", ("numpy",), random_state, registered, "numpy-generators"),
    "torch": Draw("`torch.rand()` on the CPU", ("torch", "numpy"), torch_cpu),
    "torch_generator": Draw("`torch.Generator()`", ("torch",), torch_generator, torch_named, "numpy-generators"),
    "dropout": Draw("dropout of torch", ("torch",), dropout),
    "linear": Draw("`torch.nn.Linear` when it is made", ("torch",), linear),
    "order": Draw("the order of a shuffling `DataLoader`", ("torch",), order),
    "hash": Draw("`hash()` of a text", (), lambda _: hash("cat"), None, "hash-seed"),
    "set": Draw("the order of a set of texts", (), lambda _: list(set(WORDS)), lambda _: sorted(set(WORDS)), "hash-seed"),
    "objects": Draw("the order of a set of objects", (), objects, None, "hash-seed"),
    "uuid4": Draw("`uuid.uuid4()`", (), uuids, uuid_named, "entropy"),
    "secrets": Draw("`secrets`, `SystemRandom`", (), secret, None, "entropy"),
    "tempfile": Draw("names by `tempfile`", (), temporary, None, "entropy"),
    "scipy_rvs": Draw("`scipy.stats` `rvs()`", ("scipy.stats",), scipy_rvs),
    "scipy_qmc": Draw("`scipy.stats.qmc.Sobol()`", ("scipy.stats",), scipy_qmc, scipy_qmc_named, "numpy-generators"),
    "pandas": Draw("`pandas` `sample()`", ("pandas",), pandas_sample),
    "make_blobs": Draw("`sklearn.datasets.make_blobs()`", ("sklearn.datasets",), make_blobs),
    "kfold": Draw("`KFold(shuffle=True)`", ("sklearn.model_selection",), kfold),
    "forest": Draw("`RandomForestRegressor()`", ("sklearn.ensemble", "sklearn.datasets"), forest),
    "boosters": Draw(
        "XGBoost, LightGBM, subsampling",
        ("xgboost", "lightgbm", "sklearn.datasets"),
        boosters,
        boosters_named,
        "no row: it is constant by itself",
    ),
    "worker_random": Draw(
        "DataLoader worker: `random`", ("torch",), lambda helper: workers(helper, _worker_random), told="dataloader-workers"
    ),
    "worker_numpy": Draw(
        "DataLoader worker: `numpy.random`",
        ("torch", "numpy"),
        lambda helper: workers(helper, _worker_numpy),
        told="dataloader-workers",
    ),
    "worker_torch": Draw(
        "DataLoader worker: `torch`", ("torch", "numpy"), lambda helper: workers(helper, _worker_torch), told="dataloader-workers"
    ),
    "worker_held": Draw(
        "DataLoader worker: a Generator in the data set", ("torch", "numpy"), worker_held, told="dataloader-workers"
    ),
    "fork_random": Draw("forked child: `random`", (), lambda _: _forked(random.random)),
    "fork_numpy": Draw("forked child: `numpy.random`", ("numpy",), forked_numpy),
    "fork_torch": Draw("forked child: `torch`", ("torch",), forked_torch),
    "spawn": Draw("spawned child: `random`, `numpy.random`", ("numpy", "multiprocessing.pool"), spawned),
    "program": Draw(
        "another Python program: `random`", (), program, program_named, "`spawn-children`: other programs make their own call"
    ),
    "program_hash": Draw("another Python program: `hash()` of a text", (), program_hash, None, "hash-seed-children"),
    "loky": Draw("`joblib` tasks: `numpy.random`", ("joblib", "numpy"), loky, loky_named, "thread-order"),
    "threads": Draw("threads that share `random`", (), threads_shared, threads_named, "thread-order"),
    "completed": Draw("results as they complete", (), completed, completed_in_order, "thread-order"),
    "race": Draw("a sum by two threads of torch", ("torch",), race, None, "torch-algorithms"),
    "monai": Draw("a random transform of MONAI", ("monai.transforms", "numpy"), monai_transform, monai_named, "numpy-generators"),
    "keras": Draw("an initialiser of Keras", ("tensorflow", "keras"), keras_initialiser),
    "tensorflow": Draw("`tf.random.uniform()`", ("tensorflow",), tf_random),
    "tf_data": Draw("`tf.data`, a random map in parallel", ("tensorflow",), tf_data),
    "jax": Draw("`jax.random.key(0)`", ("jax",), jax_key, jax_named, "`jax`: `sanctity.jax_key()` is the root key"),
}


def draws(helper: str, seed: int, names: list[str]) -> dict[str, Any]:
    """What each of the sources *names* draws after *helper* seeded it with *seed*."""
    call = HELPERS[helper]
    drawn: dict[str, Any] = {}
    for name in names:
        source = SOURCES[name]
        for module in source.needs:
            __import__(module)
        try:
            call(seed)
            draw = source.named if helper == "sanctity_named" and source.named is not None else source.value
            value = draw(helper)
        except Exception as error:  # noqa: BLE001 - a source that a helper breaks is a cell of the table
            drawn[name] = {"value": None, "collides": "", "failed": f"{type(error).__name__}: {error}"}
            continue
        value, collides = value if isinstance(value, tuple) else (value, "")
        drawn[name] = {"value": value, "collides": collides, "failed": ""}
        if helper.startswith("sanctity"):
            from sanctity.determinism.setting import current

            setting = current()
            drawn[name]["rows"] = {row.control: row.status for row in setting.receipt.rows} if setting else {}
    return drawn


def main(helper: str, seeds: list[int], names: list[str]) -> None:
    """Draw from the sources *names*, or from all, with each of *seeds* in turn, and print one document."""
    warnings.simplefilter("ignore")
    drawn = [draws(helper, seed, names or list(SOURCES)) for seed in seeds]
    libraries = [
        "accelerate",
        "jax",
        "joblib",
        "keras",
        "lightgbm",
        "lightning",
        "monai",
        "numpy",
        "pandas",
        "scipy",
        "sklearn",
        "tensorflow",
        "torch",
        "transformers",
        "xgboost",
    ]
    versions = {name: sys.modules[name].__version__ for name in libraries if hasattr(sys.modules.get(name), "__version__")}
    print(json.dumps({"drawn": drawn, "versions": versions, "python": sys.version.split()[0]}))


if __name__ == "__main__":
    main(sys.argv[1], [int(seed) for seed in sys.argv[2].split(",")], sys.argv[3:])
