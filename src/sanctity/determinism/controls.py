"""The controls that every program has: hashing, `random`, what a fork inherits, ranks, and what no seed reaches.

Each module of controls has two functions. ``apply`` sets, reads back, and gives a row for each of its controls; ``read_back`` gives
rows again for those that are not as they were left. A stream is recognised after draws as well: `drawn` says how many words lie
between the state that a seed leads to and the one that is there now.
"""

from __future__ import annotations

import os
import sys

from sanctity import determinism
from sanctity.determinism import hashing
from sanctity.determinism.receipt import Row
from sanctity.determinism.scheme import SCHEME, hash_seed

TYPE_CHECKING = False  # importing `typing` for it would take longer than all else that is done here
if TYPE_CHECKING:
    from collections.abc import Iterator

    from sanctity.determinism.setting import Setting

__all__ = ["apply", "drawn", "read_back", "record", "whose"]

#: How many blocks of 624 words a stream is followed: 40 million words, which takes a third of a second.
BLOCKS = 1 << 16
#: Seeds that other calls like to give, which are worth naming where one of them did.
POPULAR = (*range(11), 42, 123, 1234, 1337, 2021, 2022, 2023, 2024, 2025, 2026, 3407)
#: The variables by which launchers number their processes.
RANKS = ("RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMI_RANK")
#: The variables that say how many threads and ranks compute, and in what precision and by which kernels.
RECORDED = (
    "ATEN_CPU_CAPABILITY",
    "MKL_CBWR",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NVIDIA_TF32_OVERRIDE",
    "OMP_NUM_THREADS",
    "ONEDNN_MAX_CPU_ISA",
    "OPENBLAS_CORETYPE",
    "OPENBLAS_NUM_THREADS",
    "SLURM_NTASKS",
    "OMPI_COMM_WORLD_SIZE",
    "TF_ENABLE_ONEDNN_OPTS",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
    "WORLD_SIZE",
    "XLA_FLAGS",
)


def apply(setting: Setting) -> Iterator[Row]:
    """Seed what the interpreter itself draws from."""
    yield from _hashing(setting)
    yield _random(setting)
    yield _generators(setting)
    from sanctity.determinism import children

    yield children.guard_forks(setting)
    yield _ranks(setting)
    yield Row(
        "entropy",
        "python",
        "not-controllable",
        "secrets, uuid1 and uuid4, SystemRandom, os.urandom and temporary names draw from the operating system",
        "where such a value decides about a result, take it from a named stream",
        loud=False,
    )
    yield Row(
        "thread-order",
        "python",
        "not-controllable",
        "threads that share one stream, tasks that share workers, and results that are taken as they come, have the order that the "
        "scheduler gives them",
        "give each task a stream of its own, by name and number, and take results in the order of their tasks",
        loud=False,
    )
    yield Row(
        "surroundings",
        "python",
        "not-controllable",
        "the clock, the time zone, the locale and the order in which a folder lists its files are no randomness, and are left as "
        "they are",
        "sort what is listed, pass times in, and start the program with fixed TZ and LC_ALL where they decide about a result",
        loud=False,
    )


def read_back(setting: Setting) -> Iterator[Row]:
    """The rows of `apply` that are not as they were left."""
    children = setting.receipt["hash-seed-children"]
    left = setting.memory.get("hash-seed-children")
    now = os.environ.get(hashing.VARIABLE)
    if children.status == "applied" and now != left:
        words = f"{hashing.VARIABLE} was {left}, and is {'not set' if now is None else now}"
        yield children.with_status("overwritten", words, "let it be, or make the call again")
    row = setting.receipt["random"]
    if row.status in {"applied", "overwritten"} and "random" in setting.memory:
        yield _read_random(setting, row)
    from sanctity.determinism import children as forks

    yield from forks.replaced_random(setting)
    row = setting.receipt["numpy-generators"]
    if row.status == "applied":
        from sanctity.determinism import registry

        anew = registry.seeded_anew(setting)
        if anew:
            yield row.with_status("overwritten", "seeded anew by something else: " + ", ".join(anew), _AGAIN)


def record() -> dict[str, str]:
    """What decides about numbers and is no randomness, as it is."""
    found = {name: value for name in RECORDED if (value := os.environ.get(name)) is not None}
    if determinism.INJECTED:
        found["injected"] = determinism.INJECTED
    found["python"] = ".".join(map(str, sys.version_info[:3]))
    if hasattr(os, "sched_getaffinity"):
        found["cpus"] = str(len(os.sched_getaffinity(0)))
    for name in ("numpy", "torch", "tensorflow", "keras", "jax"):
        version = getattr(sys.modules.get(name), "__version__", None)
        if isinstance(version, str):
            found[name] = version
    torch = sys.modules.get("torch")
    if torch is not None and "torch" in found:
        from sanctity.determinism import controls_torch

        found |= controls_torch.record(torch)
    return found


_left: str | None = None


# -- hashing ----------------------------------------------------------------------------------------------------------------------


def _hashing(setting: Setting) -> Iterator[Row]:
    ours = hash_seed(setting.root)
    used = hashing.seed_in_use(ours)
    start = f"start it by `sanctity run --seed {setting.root} -- python ...`, or with {hashing.VARIABLE}={ours}"
    if used is False:
        name = sys.hash_info.algorithm
        yield Row("hash-seed", "python", "not-controllable", f"which seed {name} has in this process can not be found out", start)
    elif used is None:
        yield Row("hash-seed", "python", "too-late", "texts are hashed at random in this process, since it was started so", start)
    else:
        whose = "the one of this seed" if used == ours else "not the one of this seed"
        words = f"texts are hashed by seed {used} in this process, {whose}; objects without a hash of their own by their address"
        yield Row("hash-seed", "python", "applied", words)

    global _left  # noqa: PLW0603 - what an earlier call of this process set is not what the program was started with
    present = os.environ.get(hashing.VARIABLE)
    stated = None if present == _left else hashing.numeric(present)
    known = used if used is not None and used is not False else None
    if stated is None:
        stated = ours if known is None else known
        _left = os.environ[hashing.VARIABLE] = str(stated)
        words = f"{hashing.VARIABLE}={stated} was set for them"
    else:
        words = f"{hashing.VARIABLE} is {stated}, and was left so"
    setting.memory["hash-seed-children"] = os.environ[hashing.VARIABLE]
    if sys.flags.ignore_environment:
        words = (
            f"this process runs under -E or -I, and so will those that multiprocessing starts: they do not read {hashing.VARIABLE}"
        )
        yield Row("hash-seed-children", "python", "refused", words, "start the program without -E and -I")
        return
    agree = "and with" if known == stated else "and not with"
    yield Row("hash-seed-children", "python", "applied", f"{words}: they agree with each other, {agree} this process")


# -- random -----------------------------------------------------------------------------------------------------------------------


def _random(setting: Setting) -> Row:
    import random

    seed = _random_seed(setting)
    try:
        random.seed(seed)
        expected = random.Random(seed).getstate()  # noqa: S311 - it is the stream that is asked about
    except (AttributeError, TypeError) as error:
        words = f"the module random is not Python's own: {error}"
        return Row("random", "random", "refused", words, "give that file of the program another name")
    if random.getstate() != expected:
        words = "random.seed was replaced, and did not lead to the state of its seed"
        return Row("random", "random", "refused", words, "make the call before what replaces it")
    setting.memory["random"] = expected[1][:624]
    return Row(
        "random", "random", "applied", "the shared stream" + (", by the seed itself" if setting.classic else ", by 256 bits")
    )


def _random_seed(setting: Setting) -> int:
    return setting.root if setting.classic else setting.seed("random", bits=256)


def _read_random(setting: Setting, row: Row) -> Row:
    import random

    state = random.getstate()[1]
    count = drawn(setting.memory["random"], state[:624], state[624])
    if count is not None:
        return Row("random", "random", "applied", f"the shared stream; {count} words were drawn from it")
    return row.with_status("overwritten", whose(setting, "random.seed", state[:624], state[624]), _AGAIN)


_AGAIN = "make the call again after what seeds anew, or take that away"


def drawn(start: tuple[int, ...], words: tuple[int, ...], position: int, blocks: int = BLOCKS) -> int | None:
    """How many 32-bit words a Mersenne Twister gave between the state *start* and the one of *words* and *position*.

    *start* is a state before its first draw. None where the other one is not met within *blocks* times 624 words.
    """
    from random import Random

    words = tuple(words)
    if words == tuple(start):
        return 0 if position == 624 else None
    runner, other = Random(0), Random(0)  # noqa: S311 - their states are replaced at once
    runner.setstate((3, (*start, 624), None))
    other.setstate((3, (*words, 0), None))
    block = other.getrandbits(624 * 32)
    for number in range(blocks):
        if runner.getrandbits(624 * 32) == block:
            return number * 624 + position
    return None


def whose(
    setting: Setting, function: str, words: tuple[int, ...], position: int, starts: dict[int, tuple[int, ...]] | None = None
) -> str:
    """Words on who may have led a stream to a state that is none of its seed's; *starts* are first states by their seeds."""
    from sanctity.determinism.scheme import mt19937

    if starts is None:
        starts = {seed: mt19937(seed) for seed in dict.fromkeys((setting.root, setting.root % (1 << 32), *POPULAR))}
    for seed, start in starts.items():
        if drawn(start, words, position, 512) is not None:
            return f"the stream is the one of {function}({seed})"
    return (
        f"none of the first {BLOCKS * 624} words of its seed leads to this state: it was set by something else, or drawn from more"
    )


# -- registered generators --------------------------------------------------------------------------------------------------------


def reseed(setting: Setting) -> Iterator[Row]:
    """Seed the streams again, in a forked child."""
    yield _random(setting)
    yield _generators(setting)


def generators(setting: Setting) -> Row:
    """The row of the generators that are registered."""
    return _row_of_generators(setting, [])


def _generators(setting: Setting) -> Row:
    if setting.classic or "sanctity.determinism.registry" not in sys.modules:
        return _row_of_generators(setting, [])
    from sanctity.determinism import registry

    return _row_of_generators(setting, registry.reseed_all(setting))


def _row_of_generators(setting: Setting, failed: list[str]) -> Row:
    name, library = "numpy-generators", "numpy"
    registry = sys.modules.get("sanctity.determinism.registry")
    held = registry.registered() if registry is not None else {}
    if failed:
        return Row(name, library, "refused", "; ".join(failed), "unregister what can not be seeded")
    if held and setting.classic:
        words = "the scheme of old runs has no seeds for generators"
        return Row(name, library, "refused", words, f'scheme="{SCHEME}"')
    if held:
        return Row(name, library, "applied", "registered: " + ", ".join(held))
    words = "none is registered: one that the program makes itself has the seed that it was given, or a random one"
    remedy = "sanctity.stream(name) makes one, sanctity.register(generator, name) adopts one"
    return Row(name, library, "not-controllable", words, remedy, loud=False)


# -- ranks ------------------------------------------------------------------------------------------------------------------------


def _ranks(setting: Setting) -> Row:
    seen = next((name for name in RANKS if os.environ.get(name)), None)
    if setting.rank is not None:
        return Row(
            "ranks", "python", "applied", f"the streams are those of rank {setting.rank}; named streams begin with it as well"
        )
    if seen is None:
        return Row("ranks", "python", "unavailable", "no variable says that this process is one of many")
    words = f"{seen} is {os.environ[seen]}, and was not used: all ranks share their streams"
    return Row(
        "ranks", "python", "refused", words, f'pass rank=int(os.environ["{seen}"]) where ranks are to draw apart', loud=False
    )
