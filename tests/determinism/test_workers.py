"""Orders, samples and workers without PyTorch: what is found in a dataset, what its values depend on, and what they do not."""

from __future__ import annotations

import pickle
import random
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from programs import script, told

from sanctity.determinism import registry, workers
from sanctity.determinism.state import capture_state, restore_state
from sanctity.determinism.streams import stream
from sanctity.determinism.workers import EpochIndex, EpochSampler, PerSample, WorkerInit, held_generators
from sanctity.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

CALL = """
import json, pickle, random
import numpy as np
from sanctity.determinism.setting import set_global_determinism
from sanctity.determinism.state import capture_state
from sanctity.determinism.streams import stream
from sanctity.determinism.workers import EpochSampler, PerSample, WorkerInit, worker_init
set_global_determinism(42, quiet=True)

class Dataset:
    def __init__(self):
        self.rng = np.random.default_rng(0)
        self.steps = [random.Random(0), {"legacy": np.random.RandomState(0)}]
    def __len__(self):
        return 6
    def __getitem__(self, index):
        own = [self.rng.random(), self.steps[0].random(), self.steps[1]["legacy"].randn()]
        return [int(index), *own, random.gauss(0, 1), np.random.randn()]
"""


class Holder:
    """Whatever is given, as attributes."""

    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)


class Slotted:
    __slots__ = ("__private", "public", "unset")

    def __init__(self, public: Any, private: Any) -> None:
        self.public = public
        self.__private = private


# -- what is found ----------------------------------------------------------------------------------------------------------------


def test_generators_are_found_wherever_a_dataset_holds_them() -> None:
    rng = [np.random.default_rng(number) for number in range(10)]
    inner = np.random.default_rng(99)
    dataset = Holder(
        a=rng[0],
        nested={"b": [rng[1], (rng[2], "text")], 3: deque([rng[3]])},
        slots=Slotted(rng[4], rng[5]),
        partial=partial(max, rng[6], key=rng[7]),
        closure=lambda: inner,
        method=rng[8].random,
        bits=np.random.PCG64(5),
        legacy=np.random.RandomState(5),
        python=random.Random(5),
        again=rng[0],
        same_bits=rng[1].bit_generator,
    )
    found = held_generators(dataset)
    assert not found.left
    assert list(found.generators) == [
        "a",
        "nested['b'][0]",
        "nested['b'][1][0]",
        "nested[3][0]",
        "slots._Slotted__private",
        "slots.public",
        "partial.args[0]",
        "partial.keywords['key']",
        "closure.<inner>",
        "method.__self__",
        "bits",
        "legacy",
        "python",
    ]
    assert found.generators["closure.<inner>"] is inner
    assert list(held_generators(rng[0]).generators) == ["."]
    assert held_generators(None) == held_generators("text") == ({}, {})


def test_shared_streams_and_registered_generators_are_not_a_datasets_own() -> None:
    mine = np.random.default_rng(1)
    registry.register(mine, "mine")
    try:
        shared = Holder(a=random._inst, b=np.random.mtrand._rand, c=np.random.rand, d=mine)
        assert held_generators(shared) == ({}, {})
    finally:
        registry.unregister("mine")


def test_what_is_not_looked_at_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    deep: Any = np.random.default_rng(1)
    for _ in range(40):
        deep = [deep]
    loop: list[Any] = [np.random.default_rng(2)]
    loop.append(loop)
    found = held_generators(Holder(deep=deep, loop=loop, bag={random.Random(1)}, plain={1, 2}))
    assert list(found.generators) == ["loop[0]"]
    assert sorted(reason for reason in found.left.values()) == [
        "it is a set, in which nothing has a place",
        "it is more than 20 levels deep",
    ]
    monkeypatch.setattr(workers, "MOST", 100)
    many = held_generators(Holder(first=random.Random(1), many=[[] for _ in range(200)], last=random.Random(2), texts=["a"] * 1000))
    assert list(many.generators) == ["first", "last"]
    assert many.left == {"many": "it holds more than is looked at"}
    monkeypatch.setattr(workers, "LARGEST", 100)
    assert "texts" in held_generators(Holder(texts=["a"] * 1000)).left


def test_objects_that_answer_to_every_name_are_not_asked() -> None:
    class Everything:
        def __getattr__(self, name: str) -> Any:
            raise AssertionError(f"{name} was asked for")

    assert held_generators(Holder(a=Everything(), b=[Everything()])) == ({}, {})


# -- orders -----------------------------------------------------------------------------------------------------------------------


@given(st.integers(0, 200), st.integers(0, 1000), st.integers(0, 300))
def test_an_order_is_a_permutation_that_can_be_taken_up_anywhere(length: int, epoch: int, start: int) -> None:
    order = EpochSampler(length, name="train", epoch=epoch)
    order._root = (7, None)
    whole = list(order)
    assert sorted(whole) == list(range(length))
    assert all(type(each) is EpochIndex and each.epoch == epoch for each in whole)
    assert (order.epoch, order.start) == (epoch + 1, 0)
    order.set_epoch(epoch, start=start)
    assert list(order) == whole[start:]


def test_orders_are_frozen_and_differ_by_epoch_name_and_root() -> None:
    def of(root: int = 7, name: str = "train", epoch: int = 0, length: int = 10, shuffle: bool = True) -> list[int]:
        order = EpochSampler(length, name=name, epoch=epoch, shuffle=shuffle)
        order._root = (root, None)
        return [int(each) for each in order]

    words = stream("order", "train", kind="random", epoch=0, root=7)
    keys = [words.getrandbits(64) for _ in range(10)]
    assert of() == sorted(range(10), key=keys.__getitem__)
    assert of(shuffle=False) == list(range(10))
    others = [of(), of(epoch=1), of(name="valid"), of(root=8)]
    assert len({tuple(each) for each in others}) == 4
    assert of(length=0) == []


def test_an_order_needs_a_call_and_numbers() -> None:
    code = """
import json
from sanctity.determinism.workers import EpochSampler
from sanctity.errors import UsageError
try:
    list(EpochSampler(3))
except UsageError as error:
    print(json.dumps([error.code, list(EpochSampler(3, shuffle=False))]))
"""
    assert told(code) == ["stream-without-seed", [0, 1, 2]]
    for bad in (lambda: EpochSampler(-1), lambda: EpochSampler(True), lambda: EpochSampler(3, epoch=-1), lambda: PerSample(3)):
        with pytest.raises(UsageError) as error:
            bad()
        assert error.value.code == "stream-argument"
    with pytest.raises(UsageError):
        EpochSampler(3).set_epoch(0, start=-1)


def test_around_another_sampler_the_epoch_is_told_on() -> None:
    class Sampler:
        epoch = -1

        def __len__(self) -> int:
            return 2

        def __iter__(self) -> Any:
            return iter([[1, 2], (3, np.int64(self.epoch))])

        def set_epoch(self, epoch: int) -> None:
            self.epoch = epoch

    order = EpochSampler.around(Sampler(), epoch=4)
    assert len(order) == 2
    assert list(order) == [[1, 2], [3, 4]]
    found = list(order)
    assert found == [[1, 2], [3, 5]]
    assert {each.epoch for batch in found for each in batch} == {5}
    order.set_epoch(9, start=1)
    assert list(order) == [[3, 9]]


def test_an_order_is_part_of_a_state() -> None:
    order = EpochSampler(5, epoch=3)
    order._root = (7, None)
    state = capture_state({"order": order})
    straight = [list(order), list(order)]
    resumed = EpochSampler(5)
    resumed._root = (7, None)
    restore_state(state, {"order": resumed})
    assert [list(resumed), list(resumed)] == straight


def test_a_number_keeps_its_epoch_in_a_pickle() -> None:
    found = pickle.loads(pickle.dumps([EpochIndex(3, 7)]))[0]
    assert (type(found), found, found.epoch) == (EpochIndex, 3, 7)
    assert [10, 11, 12, 13][found] == 13


# -- samples ----------------------------------------------------------------------------------------------------------------------


def test_samples_depend_on_their_number_and_epoch_alone() -> None:
    code = f"""{CALL}
def sample(dataset, index, epoch=0):
    dataset.epoch = epoch
    return dataset[index]
one, other = PerSample(Dataset()), PerSample(Dataset())
before = capture_state()
forward = [sample(one, index) for index in range(6)]
unmoved = capture_state() == before
np.random.rand(3), random.random()
backward = [sample(other, index) for index in reversed(range(6))][::-1]
set_global_determinism(42, rank=3, quiet=True)
with_rank = [sample(other, index) for index in range(6)]
later = [sample(other, index, 1) for index in range(6)]
drawn = [value for each in forward + later for value in each[1:]]
print(json.dumps([forward == backward == with_rank, unmoved, len(set(drawn)), sample(one, -1)[1:] == forward[5][1:]]))
"""
    assert told(code) == [True, True, 2 * 6 * 5, True]


def test_a_sample_that_fails_leaves_the_shared_streams_as_they_were() -> None:
    code = f"""{CALL}
class Failing(Dataset):
    def __getitem__(self, index):
        super().__getitem__(index)
        raise LookupError(index)
dataset = PerSample(Failing())
before = capture_state()
try:
    dataset[3]
except LookupError:
    print(json.dumps(capture_state() == before))
"""
    assert told(code) is True


def test_a_wrapped_dataset_is_still_the_dataset() -> None:
    class Dataset:
        classes = ("a", "b")

        def __len__(self) -> int:
            return 3

        def __getitem__(self, index: Any) -> Any:
            return index

        def __getitems__(self, indices: Any) -> Any:
            raise AssertionError("batches must pass sample by sample")

    wrapped = PerSample(Dataset(), "train")
    wrapped._root = (7, None)
    assert (len(wrapped), wrapped.classes, wrapped[2], wrapped["key"]) == (3, ("a", "b"), 2, "key")
    assert not hasattr(wrapped, "__getitems__")
    assert not hasattr(wrapped, "nothing")
    again = pickle.loads(pickle.dumps(PerSample([1, 2, 3], "train")))
    assert (len(again), again.name, again.dataset) == (3, "train", [1, 2, 3])
    for bad in (1.5, True, None, (1, 2)):
        with pytest.raises(UsageError) as error:
            wrapped[bad]
        assert error.value.code == "stream-argument"


# -- workers ----------------------------------------------------------------------------------------------------------------------


def test_workers_and_epochs_have_streams_of_their_own_under_every_start_method(tmp_path: Path) -> None:
    """T9, F12 without PyTorch: a generator made in ``__init__`` gives each worker, and each epoch, the same values."""
    code = f"""{CALL}
import multiprocessing
def work(dataset, init, worker, results):
    told = init(worker, dataset) if init is not None else None
    drawn = [dataset[index][1:] for index in range(2)]
    results.put((worker, drawn, None if told is None else told.held))
def epoch(method, init):
    context = multiprocessing.get_context(method)
    results = context.Queue()
    dataset = Dataset()
    children = [context.Process(target=work, args=(dataset, init, worker, results)) for worker in range(2)]
    for child in children:
        child.start()
    found = sorted(results.get(timeout=120) for _ in children)
    for child in children:
        child.join()
    return found
if __name__ == "__main__":
    found = {{}}
    for method in ("fork", "spawn", "forkserver"):
        found[method] = [epoch(method, WorkerInit("train", epoch=number)) for number in range(2)]
    popular = [epoch("fork", None) for number in range(2)]
    print(json.dumps([found, popular]))
"""
    found, popular = script(tmp_path, code)
    assert found["fork"] == found["spawn"] == found["forkserver"]
    drawn = [value for epoch in found["fork"] for _, samples, _ in epoch for sample in samples for value in sample]
    assert len(set(drawn)) == len(drawn) == 2 * 2 * 2 * 5
    assert found["fork"][0][0][2] == ["rng", "steps[0]", "steps[1]['legacy']"]
    copied = [[sample[:3] for sample in samples] for epoch in popular for _, samples, _ in epoch]
    assert all(each == copied[0] for each in copied), "what the popular recipe gives: four copies"


def test_what_a_worker_was_given_is_said() -> None:
    code = f"""{CALL}
told = worker_init(3, Dataset())
again = [random.random(), np.random.rand()]
worker_init(3)
print(json.dumps([told.path, told.shared, told.held, told.left, again == [random.random(), np.random.rand()]]))
"""
    assert told(code) == [
        ["worker", 3, "loader", "loader"],
        ["random", "numpy-legacy"],
        ["rng", "steps[0]", "steps[1]['legacy']"],
        {},
        True,
    ]


def test_a_worker_needs_the_root_and_carries_it() -> None:
    code = f"""{CALL.replace("set_global_determinism(42, quiet=True)", "")}
from sanctity.errors import UsageError
try:
    worker_init(0)
except UsageError as error:
    print(error.code)
set_global_determinism(42, rank=1, quiet=True)
import base64
print(json.dumps(base64.b64encode(pickle.dumps(WorkerInit("train"))).decode()))
"""
    carried = told(code)
    code = f"""
import base64, json, pickle
init = pickle.loads(base64.b64decode({carried!r}))
print(json.dumps(init(2).path))
"""
    assert told(code) == ["rank", 1, "worker", 2, "loader", "train"]
    assert repr(WorkerInit("train", epoch=3)) == "WorkerInit('train', epoch=3)"
