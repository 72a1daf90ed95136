"""NumPy: the legacy stream behind ``numpy.random.rand`` and its kin, and the Generators that a program registered.

The legacy stream is MT19937 (NEP 19 freezes it), and is given all 624 words of its state. From NumPy 2.0 on its bit generator also
remembers the seed sequence that it was made from, and forgets it at ``numpy.random.seed``: that is how another seeding is noticed
without a look at the words. ``set_state`` leaves it, so the stream is followed word by word as well.
"""

from __future__ import annotations

import sys

from sanctity.determinism import controls
from sanctity.determinism.receipt import Row
from sanctity.determinism.scheme import mt19937

TYPE_CHECKING = False  # importing `typing` for it would take longer than all else that is done here
if TYPE_CHECKING:
    from typing import Any

    from sanctity.determinism.setting import Setting

__all__ = ["apply", "mark", "read_back", "reseed", "reseed_object", "seeded_anew"]

_AGAIN = "make the call again after what seeds anew, or take that away"
#: What no draw changes in the state of a bit generator, by its name.
_KEPT = {"PCG64": "inc", "PCG64DXSM": "inc", "Philox": "key"}


def apply(setting: Setting, _: str) -> list[Row]:
    """Seed the legacy stream."""
    return [_legacy(setting)]


def reseed(setting: Setting) -> list[Row]:
    """Do the same in a forked child."""
    return apply(setting, "numpy.random")


def _legacy(setting: Setting) -> Row:
    random: Any = sys.modules["numpy.random"]
    bits = _shared(random)
    if type(bits).__name__ != "MT19937":
        words = f"the program gave the shared stream another generator, {type(bits).__name__}"
        return Row("numpy-legacy", "numpy", "refused", words, "make the call before set_bit_generator, and register that generator")
    if setting.classic:
        random.seed(setting.root % (1 << 32))
        setting.memory["numpy-legacy"] = (_state(random)[0], None)
        shared = "by the seed itself: numpy and torch give the same words then, for both are the same generator"
        return Row("numpy-legacy", "numpy", "applied", f"the shared stream, {shared}")
    seed = setting.seed("numpy", "legacy", bits=256)
    expected = mt19937(seed)
    random.set_state(("MT19937", expected, 624, 0, 0.0))
    marked = _mark(random, bits, seed)
    if _state(random) != (expected, 624):
        return Row("numpy-legacy", "numpy", "refused", "the state that was set is not the one that is there", "report this")
    setting.memory["numpy-legacy"] = (expected, seed if marked else None)
    return Row("numpy-legacy", "numpy", "applied", "the shared stream behind numpy.random.rand and its kin, all words of its state")


def read_back(setting: Setting, _: str) -> list[Row]:
    """Whether the stream is still the one that `apply` left, but for draws."""
    row = setting.receipt["numpy-legacy"]
    return [_read_legacy(setting, row)] if row.status in {"applied", "overwritten"} and "numpy-legacy" in setting.memory else []


def _read_legacy(setting: Setting, row: Row) -> Row:
    random: Any = sys.modules["numpy.random"]
    bits = _shared(random)
    if type(bits).__name__ != "MT19937":
        return row.with_status("overwritten", f"the shared stream was given another generator, {type(bits).__name__}", _AGAIN)
    start, marked = setting.memory["numpy-legacy"]
    words, position = _state(random)
    ours = marked is None or getattr(_sequence(bits), "entropy", None) == marked
    count = controls.drawn(start, words, position) if ours else None
    if count is not None:
        return Row("numpy-legacy", "numpy", "applied", f"the shared stream; {count} words were drawn from it")
    starts = {}
    for seed in dict.fromkeys((setting.root % (1 << 32), *controls.POPULAR)):
        starts[seed] = tuple(map(int, random.RandomState(seed).get_state(legacy=False)["state"]["key"]))
    return row.with_status("overwritten", controls.whose(setting, "numpy.random.seed", words, position, starts), _AGAIN)


def mark(setting: Setting) -> None:
    """Have the shared stream remember our seed again, after something seeded it and its state was put back."""
    random: Any = sys.modules["numpy.random"]
    seed = setting.memory["numpy-legacy"][1]
    if seed is not None:
        _mark(random, _shared(random), seed)


def _shared(random: Any) -> Any:
    """The bit generator of the shared stream."""
    get = getattr(random, "get_bit_generator", None)
    return random.mtrand._rand._bit_generator if get is None else get()  # noqa: SLF001 - before NumPy 1.24 there is no other way


def _state(random: Any) -> tuple[tuple[int, ...], int]:
    state = random.get_state(legacy=False)["state"]
    return tuple(map(int, state["key"])), int(state["pos"])


def _mark(random: Any, bits: Any, seed: int) -> bool:
    """Have *bits* remember *seed* as what it was made from; False where this NumPy can not."""
    try:
        bits.__setstate__((bits.state, random.SeedSequence(seed)))
    except (TypeError, ValueError):
        return False
    return getattr(_sequence(bits), "entropy", None) == seed


def _sequence(bits: Any) -> Any:
    return getattr(bits, "seed_seq", None) or getattr(bits, "_seed_seq", None)


def reseed_object(generator: Any, entropy: int) -> None:
    """Give *generator* the state that its bit generator has for *entropy*; from NumPy 2.0 on it spawns from that as well."""
    bits = getattr(generator, "bit_generator", None) or getattr(generator, "_bit_generator", None) or generator
    new = type(bits)(sys.modules["numpy.random"].SeedSequence(entropy))
    try:
        bits.__setstate__((new.state, _sequence(new)))
    except (TypeError, ValueError):
        bits.state = new.state
    if type(generator).__name__ == "RandomState":
        generator.set_state({**generator.get_state(legacy=False), "has_gauss": 0, "gauss": 0.0})


def seeded_anew(setting: Setting, generator: Any, name: str) -> bool:
    """Whether *generator* says that it came of another seed; False where it says nothing."""
    bits = getattr(generator, "bit_generator", None) or getattr(generator, "_bit_generator", None) or generator
    if not hasattr(bits, "__setstate__") or int(sys.modules["numpy"].__version__.partition(".")[0]) < 2:
        return False
    entropy = setting.seed("numpy", "generator", name)
    if getattr(_sequence(bits), "entropy", None) != entropy:
        return True
    # A state that was put leaves the sequence; what tells one stream of these from another is the same in all of its states.
    kept = _KEPT.get(type(bits).__name__)
    if kept is None:
        return False
    ours = type(bits)(sys.modules["numpy.random"].SeedSequence(entropy)).state["state"][kept]
    return bool(sys.modules["numpy"].any(ours != bits.state["state"][kept]))
