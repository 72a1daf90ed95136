"""What has a state: each source of randomness that is in this process, with how it is taken, checked and put back.

A source is bound to its target when it is found, so what is taken is put back where it came from. ``check`` tries a value on a
generator of its own wherever one can be made, so that nothing is changed before all of a state is known to fit. No library is
imported: one that is not imported has drawn nothing. What has never run here, on CUDA, MPS and XPU devices, is untested here.

A NumPy generator's state is not all of it: the seed sequence counts the children that it spawned, and ``bit_generator.state``
leaves that out (numpy #27882). From NumPy 2.0 on the bit generator takes it back with its state; before, a Generator or RandomState
is given a new bit generator in the place of its own, and a bare bit generator can only be led forward.
"""

from __future__ import annotations

import sys
from array import array
from typing import TYPE_CHECKING, Any

from sanctity.determinism import registry
from sanctity.determinism.document import Unwritable, bytes_of, encoded, tensor_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Source", "Unfit", "sources"]


class Unfit(Exception):  # noqa: N818 - it never leaves this room
    """A value can not be put back here, with the reason."""


class Source:
    """One source: where it stands in the document, and how it is taken, checked and put."""

    __slots__ = ("check", "name", "put", "source", "take")

    def __init__(
        self, source: str, name: str, take: Callable[[], Any], check: Callable[[Any], None], put: Callable[[Any], None]
    ) -> None:
        self.source = source
        self.name = name
        self.take = take
        self.check = check
        self.put = put

    @property
    def key(self) -> tuple[str, str]:
        """Where it stands in a document."""
        return self.source, self.name


def sources(objects: Mapping[str, object]) -> list[Source]:
    """All sources that are in this process, *objects* among them; to take one that has no state raises `Unwritable`."""
    found = [_of_random(), *_children()]
    found += [Source("generator", name, *_of_generator(each)) for name, each in registry.registered().items()]
    for library, find in (
        ("numpy.random", _of_numpy),
        ("torch", _of_torch),
        ("tensorflow", _of_tensorflow),
        ("keras", _of_keras),
    ):
        module = sys.modules.get(library)
        if module is not None and not getattr(getattr(module, "__spec__", None), "_initializing", False):
            found += find(module)
    found += [Source("object", name, *_of_object(each)) for name, each in objects.items()]
    return sorted(found, key=lambda each: each.key)


def _same(found: object, wanted: object, what: str) -> None:
    if found != wanted:
        raise Unfit(f"{what} is {found!r} here, and was {wanted!r}")


def _fields(value: Any, *names: str) -> tuple[Any, ...]:
    if not isinstance(value, dict) or value.keys() != set(names):
        raise Unfit(f"what was captured is not {', '.join(names)}")
    return tuple(value[name] for name in names)


# -- random -----------------------------------------------------------------------------------------------------------------------


def _words(words: Any) -> bytes:
    packed = array("I", words)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def _unpacked(data: Any) -> tuple[int, ...]:
    if not isinstance(data, bytes) or len(data) % 4:
        raise Unfit("the words are none")
    words = array("I", data)
    if sys.byteorder == "big":
        words.byteswap()
    return tuple(words)


def _python_state(state: Any) -> dict[str, Any]:
    """The state of a ``random.Random``: 624 words, the position, and the second of a pair of normal draws, where one is left."""
    if not (isinstance(state, tuple) and len(state) == 3 and state[0] == 3 and len(state[1]) == 625):
        raise Unwritable("it has a state that is none of random.Random")
    return {"version": 3, "words": _words(state[1]), "gauss": state[2]}


def _python_put(value: Any) -> Any:
    version, words, gauss = _fields(value, "version", "words", "gauss")
    return version, _unpacked(words), gauss


def _python_check(value: Any) -> None:
    from random import Random

    state = _python_put(value)
    scratch = Random(0)  # noqa: S311 - its state is replaced at once
    try:
        scratch.setstate(state)
    except (TypeError, ValueError) as error:
        raise Unfit(f"random takes no such state: {error}") from error
    if scratch.getstate() != state or not (state[2] is None or type(state[2]) is float):
        raise Unfit("random takes no such state")


def _of_random() -> Source:
    import random

    return Source(
        "random",
        "",
        lambda: _python_state(random.getstate()),
        _python_check,
        lambda value: random.setstate(_python_put(value)),
    )


def _children() -> list[Source]:
    """How many children the process has had since the call, which is the number of the next one."""
    module = sys.modules.get("sanctity.determinism.setting")
    setting = module.current() if module is not None else None
    if setting is None:
        return []

    def check(value: Any) -> None:
        if not (type(value) is int and value >= 0):
            raise Unfit("it is no number of children")

    def put(value: Any) -> None:
        setting.children = value

    return [Source("children", "", lambda: setting.children, check, put)]


# -- numpy ------------------------------------------------------------------------------------------------------------------------


def _of_numpy(random: Any) -> list[Source]:
    shared = random.mtrand._rand  # noqa: SLF001 - the object behind numpy.random.rand and its kin
    return [Source("numpy", "", *_of_numpy_generator(shared))]


def _of_numpy_generator(generator: Any) -> tuple[Callable[[], Any], Callable[[Any], None], Callable[[Any], None]]:
    random: Any = sys.modules["numpy.random"]
    legacy = isinstance(generator, random.RandomState)
    bare = isinstance(generator, random.BitGenerator)

    def bits_of() -> Any:
        return generator if bare else generator._bit_generator if legacy else generator.bit_generator  # noqa: SLF001 - its own

    def take() -> dict[str, Any]:
        bits = bits_of()
        state = dict(bits.state)
        found = {
            "type": type(generator).__name__,
            "bits": type(bits).__name__,
            "state": _plain(state),
            "sequence": _sequence_of(bits),
        }
        if legacy:
            caches = generator.get_state(legacy=False)
            found |= {"has_gauss": int(caches["has_gauss"]), "gauss": float(caches["gauss"])}
        return found

    def names() -> tuple[str, ...]:
        return ("type", "bits", "state", "sequence", *(("has_gauss", "gauss") if legacy else ()))

    def check(value: Any) -> None:
        kind, name, state, sequence, *caches = _fields(value, *names())
        _same(type(generator).__name__, kind, "it")
        bits = bits_of()
        _same(type(bits).__name__, name, "its bit generator")
        if getattr(random, name, None) is type(bits):
            scratch = type(bits)(0)
            try:
                scratch.state = state
            except Exception as error:
                raise Unfit(f"{name} takes no such state: {type(error).__name__}: {error}") from error
            if encoded(_plain(scratch.state)) != encoded(state):
                raise Unfit(f"{name} takes another state for it")
        if caches and not (caches[0] in {0, 1} and type(caches[1]) is float):
            raise Unfit("the cache of normal draws is none")
        if caches and name != "MT19937" and caches != [0, 0.0]:
            raise Unfit("this NumPy takes back a cache of normal draws for MT19937 only")
        if sequence != _sequence_of(bits):
            _check_sequence(bits, sequence, bare=bare, shared=generator is random.mtrand._rand)  # noqa: SLF001 - see above

    def put(value: Any) -> None:
        bits = bits_of()
        bits.state = value["state"]
        if value["sequence"] != _sequence_of(bits):
            _put_sequence(generator, bits, value, bare=bare)
            bits = bits_of()
        if legacy and type(bits).__name__ == "MT19937":
            caches = {"has_gauss": value["has_gauss"], "gauss": value["gauss"]}
            generator.set_state({**generator.get_state(legacy=False), **caches})

    return take, check, put


def _plain(state: Any) -> Any:
    """*state* with NumPy's integers as Python's, so that equal states are equally written."""
    if isinstance(state, dict):
        return {name: _plain(value) for name, value in state.items()}
    return state.item() if type(state).__module__ == "numpy" and getattr(state, "ndim", None) == 0 else state


def _raw_sequence(bits: Any) -> Any:
    return bits.seed_seq if hasattr(bits, "seed_seq") else getattr(bits, "_seed_seq", None)


def _sequence_of(bits: Any) -> Any:
    """What the seed sequence of *bits* was made of, and how many children it has had."""
    random: Any = sys.modules["numpy.random"]
    sequence = _raw_sequence(bits)
    if sequence is None:
        return None
    if type(sequence) is not random.SeedSequence:
        if type(sequence).__name__ == "SeedlessSeedSequence":
            return "none"
        raise Unwritable(f"its seed sequence is a {type(sequence).__qualname__}, which is not known here")
    return {
        "entropy": _numbers(sequence.entropy),
        "spawn_key": tuple(_numbers(sequence.spawn_key)),
        "pool_size": int(sequence.pool_size),
        "children": int(sequence.n_children_spawned),
    }


def _numbers(value: Any) -> Any:
    """An integer, nested sequences of integers, or None, without NumPy's types."""
    if value is None or type(value) is int:
        return value
    if hasattr(value, "tolist"):
        return value.tolist()
    if hasattr(value, "__index__"):
        return value.__index__()
    if isinstance(value, str):
        raise Unwritable("the entropy of its seed sequence is a text")
    return [_numbers(each) for each in value]


def _sequence_from(value: Any) -> Any:
    random: Any = sys.modules["numpy.random"]
    entropy, key, size, children = _fields(value, "entropy", "spawn_key", "pool_size", "children")
    try:
        return random.SeedSequence(entropy, spawn_key=key, pool_size=size, n_children_spawned=children)
    except (TypeError, ValueError, OverflowError) as error:
        raise Unfit(f"NumPy makes no seed sequence of it: {error}") from error


def _takes_sequences(bits: Any) -> bool:
    """Whether this NumPy's bit generators take a seed sequence with their state, tried on one of the kind of *bits*."""
    scratch = type(bits)(0)
    try:
        scratch.__setstate__((scratch.state, _raw_sequence(scratch)))
    except (TypeError, ValueError):
        return False
    return True


def _forward(bits: Any, value: Any) -> int | None:
    """How many children the sequence of *bits* has yet to have to be *value*; None where that is not the way from here to there."""
    now = _sequence_of(bits)
    if isinstance(now, dict) and isinstance(value, dict) and {**now, "children": 0} == {**value, "children": 0}:
        missing = value["children"] - now["children"]
        return missing if 0 <= missing <= 1_000_000 else None
    return None


def _check_sequence(bits: Any, value: Any, *, bare: bool, shared: bool) -> None:
    if value == "none":
        raise Unfit("it had a seed sequence without a seed")
    if value is not None:
        _sequence_from(value)
    if _takes_sequences(bits):
        return
    if bare and (value is None or _forward(bits, value) is None):
        raise Unfit("this NumPy takes no seed sequence back for a bare bit generator: register the Generator on it")
    if shared:
        raise Unfit("this NumPy takes no seed sequence back for the shared stream")


def _put_sequence(generator: Any, bits: Any, value: dict[str, Any], *, bare: bool) -> None:
    sequence = None if value["sequence"] is None else _sequence_from(value["sequence"])
    if _takes_sequences(bits):
        bits.__setstate__((bits.state, sequence))
        return
    missing = _forward(bits, value["sequence"])
    if missing is not None:
        _raw_sequence(bits).spawn(missing)
    elif not bare:
        new = type(bits)(sequence) if sequence is not None else type(bits)(0)
        if sequence is None:
            new._legacy_seeding(0)  # noqa: SLF001 - the one way to a bit generator without a seed sequence
        new.state = bits.state
        generator.__init__(new)


# -- torch ------------------------------------------------------------------------------------------------------------------------


def _of_torch(torch: Any) -> list[Source]:
    found = [Source("torch-cpu", "", *_of_torch_generator(torch.default_generator))]
    for library in ("cuda", "xpu"):
        device: Any = getattr(torch, library, None)
        started = device is not None and hasattr(device, "is_initialized") and device.is_initialized()
        if started and not getattr(device, "_is_in_bad_fork", lambda: False)():
            found += [_of_device(torch, library, device, number) for number in range(device.device_count())]
    mps = getattr(getattr(torch, "backends", None), "mps", None)
    if mps is not None and mps.is_available():
        found.append(_of_device(torch, "mps", torch.mps, None))
    return found


def _of_device(torch: Any, library: str, device: Any, number: int | None) -> Source:
    which = () if number is None else (number,)

    def check(value: Any) -> None:
        if not isinstance(value, bytes):
            raise Unfit("it is no state of a device")
        _same(device.get_rng_state(*which).numel(), len(value), "the length of its state")

    def put(value: Any) -> None:
        device.set_rng_state(tensor_of(torch, value, torch.uint8, (len(value),)), *which)

    take = lambda: bytes_of(torch, device.get_rng_state(*which).cpu())  # noqa: E731 - it is one line of three
    return Source(f"torch-{library}", "" if number is None else str(number), take, check, put)


def _of_torch_generator(generator: Any) -> tuple[Callable[[], Any], Callable[[Any], None], Callable[[Any], None]]:
    torch: Any = sys.modules["torch"]

    def take() -> dict[str, Any]:
        return {"device": str(generator.device), "state": bytes_of(torch, generator.get_state().cpu())}

    def check(value: Any) -> None:
        device, state = _fields(value, "device", "state")
        _same(str(generator.device), device, "its device")
        if not isinstance(state, bytes):
            raise Unfit("it is no state of a generator")
        _same(generator.get_state().numel(), len(state), "the length of its state")
        scratch = torch.Generator(device=device)
        try:
            scratch.set_state(tensor_of(torch, state, torch.uint8, (len(state),)))
        except RuntimeError as error:
            raise Unfit(f"torch takes no such state: {error}") from error
        if bytes_of(torch, scratch.get_state().cpu()) != state:
            raise Unfit("torch takes another state for it")

    def put(value: Any) -> None:
        generator.set_state(tensor_of(torch, value["state"], torch.uint8, (len(value["state"]),)))

    return take, check, put


# -- tensorflow and keras ---------------------------------------------------------------------------------------------------------


def _of_tensorflow(_: Any) -> list[Source]:
    """The global seed, and the stream from which eager operations without a seed of their own are given one.

    A kernel that has drawn counts on inside of itself, and nothing gives that away: so kernels are made anew when a state is put
    back, as ``tf.random.set_seed`` does. Those of operations with a seed of their own, and those in a ``tf.function``, begin anew
    in a process that resumes, whatever the straight run had drawn; docs/random-state.md says so.
    """
    module: Any = sys.modules.get("tensorflow.python.eager.context")
    context: Any = module.context() if module is not None else None
    if not hasattr(context, "_rng"):
        return []  # there is no global seed, and each operation draws as the system has it

    def take() -> dict[str, Any]:
        return {"seed": context._seed, "stream": _python_state(context._rng.getstate())}  # noqa: SLF001 - there is no public way

    def check(value: Any) -> None:
        seed, stream = _fields(value, "seed", "stream")
        if type(seed) is not int:
            raise Unfit("it is no global seed")
        _python_check(stream)

    def put(value: Any) -> None:
        context._set_global_seed(value["seed"])  # noqa: SLF001 - it has kernels made anew
        context._rng.setstate(_python_put(value["stream"]))  # noqa: SLF001 - see above

    found = [Source("tensorflow", "", take, check, put)]
    ops: Any = sys.modules.get("tensorflow.python.ops.stateful_random_ops")
    held = getattr(ops, "global_generator", None)
    if held is not None:
        found.append(Source("tensorflow", "generator", *_of_variable(held.state)))
    return found


def _of_keras(keras: Any) -> list[Source]:
    """The global generator of seeds, once something has drawn from it, and the global seed that the first one would be made of."""
    module: Any = sys.modules.get("keras.src.backend.common.global_state")
    if module is None or not hasattr(keras, "ops"):
        return []

    def seed() -> Any:
        return module.get_global_attribute("random_seed")

    def check(value: Any) -> None:
        if not (value is None or type(value) is int):
            raise Unfit("it is no global seed")

    found = [Source("keras", "", seed, check, lambda value: module.set_global_attribute("random_seed", value))]
    held = module.get_global_attribute("global_seed_generator")
    if held is not None:
        found.append(Source("keras", "generator", *_of_variable(held.state)))
    return found


def _of_variable(variable: Any) -> tuple[Callable[[], Any], Callable[[Any], None], Callable[[Any], None]]:
    """A variable of TensorFlow or Keras that holds the state of a generator."""
    numpy: Any = sys.modules["numpy"]

    def take() -> Any:
        value = getattr(variable, "value", variable)
        value = value() if callable(value) else value
        value = value.detach().cpu() if hasattr(value, "detach") else value
        return numpy.array(value)

    def check(value: Any) -> None:
        now = take()
        _same((str(now.dtype), now.shape), (str(getattr(value, "dtype", None)), getattr(value, "shape", None)), "its type")

    return take, check, variable.assign


# -- what a program holds itself --------------------------------------------------------------------------------------------------


def _of_generator(generator: Any) -> tuple[Callable[[], Any], Callable[[Any], None], Callable[[Any], None]]:
    of = registry.kind(generator)
    if of == "numpy":
        return _of_numpy_generator(generator)
    if of == "torch":
        return _of_torch_generator(generator)
    return (
        lambda: _python_state(generator.getstate()),
        _python_check,
        lambda value: generator.setstate(_python_put(value)),
    )


def _of_object(found: Any) -> tuple[Callable[[], Any], Callable[[Any], None], Callable[[Any], None]]:
    if registry.kind(found) is not None:
        return _of_generator(found)
    if not (callable(getattr(found, "state_dict", None)) and callable(getattr(found, "load_state_dict", None))):
        words = f"it is a {type(found).__qualname__}: no generator, and without state_dict and load_state_dict"

        def refuse(*_: Any) -> None:
            raise Unwritable(words)

        return refuse, refuse, refuse

    def check(value: Any) -> None:
        if not isinstance(value, dict):
            raise Unfit("what was captured is not what a state_dict gives")

    return found.state_dict, check, found.load_state_dict
