"""Loaders of data: workers, samples and orders whose randomness has a name, whatever number of workers there is.

A generator that a dataset holds is copied into every worker, and copied anew for every epoch: each value comes once a worker, and
again in every epoch. Here it is derived anew in the worker, from the root, by what decides about it:

- `worker_init` is the ``worker_init_fn``: streams by worker and epoch, for datasets that draw as they come;
- `PerSample` wraps a dataset that is indexed: streams by sample and epoch, so that values do not depend on how many workers there
  are, in which order they work, or whether there are any;
- `EpochSampler` is an order by name and epoch, which draws from nothing that is shared, and whose samples say which epoch they are
  of, so that workers that live on know;
- `loader_arguments` puts them together.

What is found in a dataset is said, and so is what is not: `held_generators` looks into attributes and the containers, partial
functions and closures in them, up to a depth and a number, and not into modules, classes, arrays and whatever hides what it holds.
Nothing here needs PyTorch but the generator of a loader.
"""

from __future__ import annotations

import sys
from array import array
from struct import pack
from typing import TYPE_CHECKING, Any, NamedTuple

from sanctity.determinism import registry
from sanctity.determinism.scheme import derive, mt19937
from sanctity.determinism.streams import prefix, root_of_call, stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sized

__all__ = [
    "EpochIndex",
    "EpochSampler",
    "Held",
    "PerSample",
    "Rederived",
    "WorkerInit",
    "held_generators",
    "loader_arguments",
    "worker_init",
]

#: How deep `held_generators` looks, at how many values that may hold something, and into how large a container.
DEEPEST = 20
MOST = 100_000
LARGEST = 5_000_000


# -- what a dataset holds ---------------------------------------------------------------------------------------------------------


class Held(NamedTuple):
    """The *generators* that were found, by place; and what was *left*, by place, with the reason."""

    generators: dict[str, Any]
    left: dict[str, str]


def held_generators(found: object) -> Held:
    """The generators of NumPy, `random` and PyTorch that *found* holds, itself or in what it holds.

    One that is met twice has the first place. The shared streams are left out, and so are registered generators, which have the
    streams of their process. What stands in a set has no place of its own that would be the same in the next run, and is left.
    """
    generators: dict[str, Any] = {}
    left: dict[str, str] = {}
    seen = {id(each) for each in (*_shared_objects(), *registry.registered().values())}
    kept = []  # what was made on the way is kept, or another object could be given its identity
    todo: list[tuple[str, object, int]] = [("", found, 0)]
    count = 0
    while todo:
        place, value, depth = todo.pop()
        if isinstance(value, _PLAIN) or id(value) in seen:
            continue
        seen.add(id(value))
        kept.append(value)
        if registry.kind(value) is not None:
            bits = getattr(value, "bit_generator", None) or getattr(value, "_bit_generator", None)
            if bits is not None and id(bits) in seen:
                continue
            seen.add(id(bits))
            kept.append(bits)
            generators[place or "."] = value
            continue
        if depth == DEEPEST:
            left[place] = f"it is more than {DEEPEST} levels deep"
            continue
        large = isinstance(value, (dict, list, tuple, set, frozenset)) and len(value) > LARGEST
        inner = [] if large else [(name, each) for name, each in _inside(value) if not isinstance(each, _PLAIN)]
        if large or count + len(inner) > MOST:
            left[place or "."] = "it holds more than is looked at"
            continue
        count += len(inner)
        if isinstance(value, (set, frozenset)):
            if any(registry.kind(each) is not None for _, each in inner):
                left[place or "."] = "it is a set, in which nothing has a place"
            continue
        todo += [(f"{place}{name}".removeprefix("."), each, depth + 1) for name, each in reversed(inner)]
    return Held(generators, left)


_PLAIN = (str, bytes, bytearray, int, float, complex, type(None), type, type(sys))


def _inside(value: Any) -> Iterator[tuple[str, object]]:
    """What *value* holds, and under which name; none of its own code is run but for what makes a mapping or a sequence one."""
    if isinstance(value, dict):
        for number, (key, each) in enumerate(value.items()):
            yield f"[{key!r}]" if isinstance(key, (str, int)) else f"[#{number}]", each
    elif isinstance(value, (list, tuple, set, frozenset)) or type(value).__name__ == "deque":
        for number, each in enumerate(value):
            yield f"[{number}]", each
    elif type(value).__name__ in {"ndarray", "Tensor", "Parameter"}:
        return
    elif type(value).__name__ == "partial":
        yield from ((".func", value.func), (".args", value.args), (".keywords", value.keywords))
    elif hasattr(type(value), "__self__"):
        yield ".__self__", value.__self__
    elif hasattr(type(value), "__closure__"):
        for name, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=False):
            try:
                yield f".<{name}>", cell.cell_contents
            except ValueError:  # it is not filled yet
                continue
        for number, each in enumerate(value.__defaults__ or ()):
            yield f".<default {number}>", each
        return
    attributes = getattr(value, "__dict__", None)
    if isinstance(attributes, dict):
        for name, each in attributes.items():
            yield f".{name}", each
    for name in _slots(type(value)):
        try:
            yield f".{name}", object.__getattribute__(value, name)
        except AttributeError:
            continue


def _slots(kind: type) -> Iterator[str]:
    for each in kind.__mro__:
        slots = each.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else tuple(slots):
            if name not in {"__dict__", "__weakref__"}:
                yield f"_{each.__name__.lstrip('_')}{name}" if name.startswith("__") and not name.endswith("__") else name


def _shared_objects() -> Iterator[object]:
    """The objects behind the streams that a process shares."""
    import random

    yield random._inst  # noqa: SLF001 - what random.random is a method of
    numpy: Any = sys.modules.get("numpy.random")
    if numpy is not None:
        shared = numpy.mtrand._rand  # noqa: SLF001 - what numpy.random.rand is a method of
        yield from (shared, shared._bit_generator)  # noqa: SLF001 - see above
    torch: Any = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "default_generator"):
        yield torch.default_generator


def _rederive(generators: dict[str, Any], seed: Callable[..., int]) -> None:
    """Give each of *generators* the stream of its place under *seed*."""
    for place, generator in generators.items():
        kind = registry.kind(generator)
        if kind == "numpy":
            from sanctity.determinism import controls_numpy

            controls_numpy.reseed_object(generator, seed("held", place, bits=128))
        elif kind == "torch":
            _reseed_torch(generator, seed("held", place, bits=256))
        else:
            generator.seed(seed("held", place, bits=256))


# -- workers ----------------------------------------------------------------------------------------------------------------------


class Rederived(NamedTuple):
    """What `WorkerInit` did: the *path* of the streams, the *shared* and the *held* ones that it derived, and what it *left*."""

    path: tuple[str | int, ...]
    shared: tuple[str, ...]
    held: tuple[str, ...]
    left: dict[str, str]


class _Place:
    """A place below the root: it has seeds as a `Setting` has, by another path."""

    __slots__ = ("labels", "memory", "rank", "root")

    classic = False

    def __init__(self, root: int, rank: int | None, labels: tuple[str | int, ...], memory: dict[str, Any]) -> None:
        self.root = root
        self.rank = rank
        self.labels = labels
        self.memory = memory

    def seed(self, *labels: str | int, bits: int = 128) -> int:
        return derive(self.root, *self.labels, *labels, bits=bits)


class WorkerInit:
    """A ``worker_init_fn``: the streams of a worker are those of its number and the epoch, below the name of its loader.

    The path is that of a named stream, ``[("rank", r)] ("worker", w) [("epoch", e)] ("loader", name)``. The epoch is the one that
    was set here, else the one that *order* is about to run through, else, since neither is known, the number that PyTorch draws
    from the loader's ``generator`` for each epoch stands at the end of the path: give the loader a generator of its own then.
    Workers that live on (``persistent_workers``) are initialised once, and go on from epoch to epoch.

    It can be pickled, with the root and rank of the call, so it works under every start method. Two loaders want two names.
    """

    __slots__ = ("_root", "epoch", "name", "order")

    def __init__(self, name: str = "loader", *, epoch: int | None = None, order: EpochSampler | None = None) -> None:
        self.name = name
        self.epoch = epoch
        self.order = order
        self._root: tuple[int, int | None] | None = None

    def __call__(self, worker_id: int, dataset: object = None) -> Rederived:
        """Derive the streams of worker *worker_id*, those that *dataset* holds among them; by itself it takes the loader's.

        Raises:
            sanctity.errors.UsageError: ``stream-without-seed``, ``stream-argument``, ``seed-label-invalid``.
        """
        torch: Any = sys.modules.get("torch.utils.data")
        info = torch.get_worker_info() if torch is not None else None
        root, rank = _root_of(self._root, "the streams of a worker")
        epoch = self.order.epoch if self.epoch is None and self.order is not None else self.epoch
        path = (*prefix(rank, worker_id, epoch), "loader", self.name)
        if epoch is None and info is not None:
            path += ("base", info.seed - info.id)
        setting = sys.modules.get("sanctity.determinism.setting")
        current = setting.current() if setting is not None else None
        place = _Place(root, rank, path, {} if current is None else current.memory)
        held = held_generators(info.dataset if dataset is None and info is not None else dataset)
        _rederive(held.generators, place.seed)
        return Rederived(path, tuple(_reseed_shared(place)), tuple(held.generators), held.left)

    def __getstate__(self) -> tuple[Any, ...]:
        return self.name, self.epoch, self.order, _carried(self._root)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.name, self.epoch, self.order, self._root = state

    def __repr__(self) -> str:
        return f"WorkerInit({self.name!r}, epoch={self.epoch!r})"


#: The ``worker_init_fn`` of a loader that needs no name of its own.
worker_init = WorkerInit()


def _root_of(carried: tuple[int, int | None] | None, what: str) -> tuple[int, int | None]:
    """What was pickled with an object, else what the call of this process says."""
    return carried if carried is not None else root_of_call(what)


def _carried(carried: tuple[int, int | None] | None) -> tuple[int, int | None] | None:
    """What is to be pickled: the root and rank of this process's call, where there was one."""
    setting = sys.modules.get("sanctity.determinism.setting")
    current = setting.current() if setting is not None else None
    return carried if current is None else (current.root, current.rank)


def _reseed_shared(place: Any) -> Iterator[str]:
    """Give the shared streams of this process the state that they have at *place*, and remember it as the call does."""
    from sanctity.determinism import controls

    rows = [controls._random(place)]  # noqa: SLF001 - the call's own way, without what else it reseeds
    if "numpy.random" in sys.modules:
        from sanctity.determinism import controls_numpy

        rows += controls_numpy.reseed(place)
    if hasattr(sys.modules.get("torch"), "default_generator"):
        from sanctity.determinism import controls_torch

        rows += controls_torch.reseed(place)
    yield from (row.control for row in rows if row.status == "applied")


# -- samples ----------------------------------------------------------------------------------------------------------------------


class PerSample:
    """A dataset whose samples are drawn each from streams of their own: below ``("sample", [name,] index)`` of that epoch.

    While a sample is made, the shared streams of `random`, NumPy and PyTorch (CPU), and the generators that *dataset* holds, are at
    the beginning of that sample's streams; after it the shared ones are as they were before. So the values are the same with and
    without workers, for any number of them, and the run's own draws are not moved. The rank is no part of it: a sample is the same
    on whichever rank it is made. The epoch is the one that an `EpochSampler` gives along, else `epoch`, which workers that live on
    do not see change. Attributes of *dataset* are found here as well. ``stream("sample", index, epoch=e)`` is for what a dataset
    draws by itself.
    """

    def __init__(self, dataset: Any, name: str | None = None, *, epoch: int = 0) -> None:
        if not callable(getattr(dataset, "__getitem__", None)):
            raise _refused(f"samples are asked for by number, and {type(dataset).__qualname__} has no __getitem__")
        self.dataset = dataset
        self.name = name
        self.epoch = _natural(epoch, "epoch")
        self._root: tuple[int, int | None] | None = None
        self._held: Held | None = None

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: Any) -> Any:
        """The sample *index*, an integer or a text.

        Raises:
            sanctity.errors.UsageError: ``stream-without-seed``, ``stream-argument``.
        """
        epoch = index.epoch if isinstance(index, EpochIndex) else self.epoch
        label = index if isinstance(index, str) else _number(index)
        if isinstance(label, int) and label < 0:
            label += len(self)
        root, _ = _root_of(self._root, "the stream of a sample")
        names = ("sample", label) if self.name is None else ("sample", self.name, label)
        own = stream(*names, kind="seed", epoch=epoch, root=root)
        if self._held is None:
            self._held = held_generators(self.dataset)
        before = _at(own)
        try:
            if self._held.generators:
                _rederive(self._held.generators, lambda *labels, bits: derive(own, *labels, bits=bits))
            return self.dataset[index]
        finally:
            for put in before:
                put()

    @property
    def held(self) -> Held:
        """What is found in the dataset; it is looked at once in a process, before the first sample."""
        if self._held is None:
            self._held = held_generators(self.dataset)
        return self._held

    def __getattr__(self, name: str) -> Any:
        # A batch that a dataset fetches at once (__getitems__) would not pass through here sample by sample.
        if name == "dataset" or (name.startswith("__") and name.endswith("__")):
            raise AttributeError(name)
        return getattr(self.dataset, name)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_held": None, "_root": _carried(self._root)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def __repr__(self) -> str:
        return f"PerSample({self.dataset!r}, {self.name!r})"


def _at(seed: int) -> list[Callable[[], object]]:
    """Set the shared streams to where *seed* leads; returns what puts each of them back."""
    import random

    before: list[Callable[[], object]] = []

    def keep(put: Callable[[Any], object], state: Any) -> None:
        before.append(lambda: put(state))

    keep(random.setstate, random.getstate())
    random.seed(derive(seed, "random", bits=256))
    numpy: Any = sys.modules.get("numpy")
    if numpy is not None and hasattr(numpy, "random"):
        shared = numpy.random.mtrand._rand  # noqa: SLF001 - a generator that takes its place is taken as well
        state = shared.get_state(legacy=False)
        if state["bit_generator"] == "MT19937":
            keep(shared.set_state, state)
            words = numpy.frombuffer(array("I", mt19937(derive(seed, "numpy", "legacy", bits=256))), dtype=numpy.uint32)
            shared.set_state({"bit_generator": "MT19937", "state": {"key": words, "pos": 624}, "has_gauss": 0, "gauss": 0.0})
    torch: Any = sys.modules.get("torch")
    if hasattr(torch, "default_generator"):
        keep(torch.default_generator.set_state, torch.default_generator.get_state())
        _reseed_torch(torch.default_generator, derive(seed, "torch", "cpu", bits=256))
    return before


def _reseed_torch(generator: Any, seed: int) -> None:
    """Do what `controls_torch.reseed_object` does, for every sample: the layout of a state is looked at once in a process."""
    from sanctity.determinism import controls_torch

    torch: Any = sys.modules["torch"]
    if not _layouts:
        _layouts.append(controls_torch._as_known(torch))  # noqa: SLF001 - see above
    if not _layouts[0] or generator.device.type != "cpu":
        controls_torch.reseed_object(torch, generator, seed)
        return
    head = pack("=QiiQ", seed & 0xFFFFFFFFFFFFFFFF, 1, 1, 0)
    state = bytearray(head + array("Q", mt19937(seed)).tobytes())
    state += bytes(generator.get_state().numel() - len(state))
    generator.set_state(torch.frombuffer(state, dtype=torch.uint8))


#: Whether the state of a generator of PyTorch has the known layout, once it was looked at.
_layouts: list[bool] = []


# -- orders -----------------------------------------------------------------------------------------------------------------------


class EpochIndex(int):
    """The number of a sample, which says which *epoch* it is asked for in."""

    epoch: int

    def __new__(cls, index: int, epoch: int) -> EpochIndex:  # noqa: D102, PYI034 - it is final in all but name
        self = super().__new__(cls, index)
        self.epoch = epoch
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return EpochIndex, (int(self), self.epoch)


class EpochSampler:
    """The order of the samples in each epoch, by a name of its own: a sampler for a loader, which draws from nothing shared.

    *source* is a number of samples, or what has a length. Shuffled, the order of an epoch is that of the 64-bit words that the
    stream ``("order", name)`` of that epoch gives to the samples, ``kind="random"``; it depends on the root, the name, the epoch
    and the length, and on no rank: ranks that share an order can divide it. Each pass is one epoch, from `epoch` on.
    `state_dict` and `load_state_dict` keep the epoch, and `set_epoch` with *start* goes on in the middle of one.
    """

    def __init__(self, source: int | Sized, *, name: str = "loader", shuffle: bool = True, epoch: int = 0) -> None:
        self._length = _natural(source if isinstance(source, int) else len(source), "the number of samples")
        self.name = name
        self.shuffle = shuffle
        self.epoch = _natural(epoch, "epoch")
        self.start = 0
        self._around: Any = None
        self._root: tuple[int, int | None] | None = None

    @classmethod
    def around(cls, sampler: Any, *, epoch: int = 0) -> EpochSampler:
        """The order of another *sampler*, of numbers or of batches of them; they say the epoch. Its randomness stays its own.

        Where it has ``set_epoch``, as PyTorch's DistributedSampler, it is told.
        """
        found = cls(0, shuffle=False, epoch=epoch)
        found._around = sampler
        return found

    def __len__(self) -> int:
        return len(self._around) if self._around is not None else self._length

    def __iter__(self) -> Iterator[Any]:
        """The samples of the next epoch.

        Raises:
            sanctity.errors.UsageError: ``stream-without-seed``.
        """
        epoch, start = self.epoch, self.start
        self.epoch, self.start = epoch + 1, 0
        if self._around is not None and callable(getattr(self._around, "set_epoch", None)):
            self._around.set_epoch(epoch)
        numbers = self._order(epoch) if self._around is None else self._around
        for position, each in enumerate(numbers):
            if position >= start:
                yield _marked(each, epoch)

    def _order(self, epoch: int) -> Iterable[int]:
        if not self.shuffle:
            return range(self._length)
        root, _ = _root_of(self._root, "an order")
        draws = (
            stream("order", self.name, kind="random", epoch=epoch, root=root).getrandbits(64 * self._length) if self._length else 0
        )
        words = array("Q", draws.to_bytes(8 * self._length, "little"))
        if sys.byteorder == "big":
            words.byteswap()
        return sorted(range(self._length), key=words.__getitem__)

    def set_epoch(self, epoch: int, *, start: int = 0) -> None:
        """Have the next pass be *epoch*, without the first *start* of its samples (or batches, around a sampler of batches)."""
        self.epoch, self.start = _natural(epoch, "epoch"), _natural(start, "start")

    def state_dict(self) -> dict[str, int]:
        """What the next pass is; within a pass that is the one after it."""
        return {"epoch": self.epoch, "start": self.start}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on with the pass that `state_dict` was asked before."""
        self.set_epoch(state["epoch"], start=state["start"])

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_root": _carried(self._root)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def __repr__(self) -> str:
        source = self._length if self._around is None else self._around
        return f"EpochSampler({source!r}, epoch={self.epoch})"


def _marked(found: Any, epoch: int) -> Any:
    if isinstance(found, (list, tuple)):
        return [_marked(each, epoch) for each in found]
    return found if isinstance(found, str) else EpochIndex(_number(found), epoch)


def loader_arguments(dataset: Any, name: str = "loader", *, shuffle: bool = False, epoch: int = 0) -> dict[str, Any]:
    """Arguments of a ``torch.utils.data.DataLoader``: what is random in it comes of the root, *name* and the epoch.

        loader = DataLoader(**sanctity.loader_arguments(dataset, "train", shuffle=True), batch_size=32, num_workers=4)

    The dataset is wrapped in `PerSample` and ordered by an `EpochSampler`, which stands in ``loader.sampler``; one that is iterated
    and has no numbers is left as it is, and its workers draw by their number and PyTorch's own for each epoch. The loader has a
    generator of its own, so it takes nothing from the shared stream of PyTorch, shuffled or not.

    Raises:
        sanctity.errors.UsageError: ``stream-without-seed``, ``stream-argument``.
        sanctity.errors.SanctityError: ``stream-library-missing``.
    """
    generator = stream("loader", name, kind="torch", epoch=epoch)
    if not callable(getattr(dataset, "__getitem__", None)) or _iterable(dataset):
        if shuffle:
            raise _refused("a dataset that is iterated has the order that it comes in: shuffle in the dataset")
        return {"dataset": dataset, "generator": generator, "worker_init_fn": WorkerInit(name)}
    order = EpochSampler(dataset, name=name, shuffle=shuffle, epoch=epoch)
    return {
        "dataset": PerSample(dataset, name, epoch=epoch),
        "sampler": order,
        "generator": generator,
        "worker_init_fn": WorkerInit(name, order=order),
    }


def _iterable(dataset: Any) -> bool:
    module: Any = sys.modules.get("torch.utils.data")
    return module is not None and isinstance(dataset, module.IterableDataset)


def _number(index: Any) -> int:
    if isinstance(index, bool) or not hasattr(index, "__index__"):
        raise _refused(f"the number of a sample is {index!r}; it is an integer or a text")
    found: int = index.__index__()
    return found


def _natural(value: Any, what: str) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__") or not 0 <= value.__index__() < 1 << 63:
        raise _refused(f"{what} is {value!r}; it is an integer from 0 to 2**63 - 1")
    found: int = value.__index__()
    return found


def _refused(message: str) -> Exception:
    from sanctity.errors import UsageError

    return UsageError("stream-argument", message, hint="see docs/streams.md")
