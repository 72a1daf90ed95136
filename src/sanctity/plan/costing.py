"""The controls whose cost can be measured: how each is switched on and off, when a command reaches it, and whether the switch held.

A control is a difference between two runs: in variables, or in what a start hook does in every Python of the command when a library
has arrived (`sanctity.determinism.cost_hook`). The hook is in both runs, so that it costs nothing that would be counted, except for
``all``, which is what `sanctity run --seed N --inject` does against nothing at all. In the run without a control the hook also
keeps the program from turning it on, which is how it can be measured in a program that makes the call itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sanctity.errors import UsageError
from sanctity.plan.seeding import SEED, plan_seed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = [
    "ALL",
    "CONTROLS",
    "MARKS",
    "NAMES",
    "Arm",
    "Costed",
    "Seen",
    "arms",
    "choose",
    "held",
    "made_anyway",
    "not_reached",
    "plain_arm",
    "root_of",
    "seen_from",
]

#: The variable by which the start hook is told what to switch, as ``torch-algorithms=on,torch-fill=off``.
SWITCH: Final = "SANCTITY_COST"
#: The variable that names the folder for its marks, in the runs that are not measured.
MARKS: Final = "SANCTITY_COST_MARKS"
ALL: Final = "all"
_HASH: Final = "PYTHONHASHSEED"
_CUBLAS: Final = "CUBLAS_WORKSPACE_CONFIG"
_THREADS: Final = (
    "BLIS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
#: The oldest Python that the injected call works in.
_OLDEST: Final = (3, 11)


@dataclass(frozen=True, slots=True, kw_only=True)
class Costed:
    """A control by *name*, in *words*; *by_default* says that the call sets it, so that it is measured where nobody says which.

    *on* and *off* are what the hook is told in the runs with it and in those without.
    """

    name: str
    words: str
    by_default: bool = True
    on: str = ""
    off: str = ""


CONTROLS: Final = (
    Costed(name="hash-seed", words="texts hashed by a fixed seed"),
    Costed(
        name="torch-algorithms",
        words="deterministic algorithms, with memory filled, as torch has it by default",
        on="torch-algorithms=on",
        off="torch-algorithms=off",
    ),
    Costed(
        name="fill-uninitialized-memory",
        words="of these the filling of memory alone",
        on="torch-algorithms=on,torch-fill=on",
        off="torch-algorithms=on,torch-fill=off",
    ),
    Costed(
        name="torch-unfilled",
        words="deterministic algorithms, without filling memory",
        by_default=False,
        on="torch-algorithms=on,torch-fill=off",
        off="torch-algorithms=off,torch-fill=off",
    ),
    Costed(name="cudnn", words="deterministic cuDNN, and no choice of kernels by measuring", on="cudnn=on", off="cudnn=off"),
    Costed(name="cublas-workspace", words="the workspace with which cuBLAS keeps to one order"),
    Costed(name="tensorflow-ops", words="operations of TensorFlow that repeat", on="tensorflow-ops=on", off="tensorflow-ops=off"),
    Costed(name="threads", words="one thread in numeric libraries", by_default=False),
    Costed(name=ALL, words="everything that `sanctity run --seed --inject` does"),
)
NAMES: Final = tuple(control.name for control in CONTROLS)
_BY_NAME: Final = {control.name: control for control in CONTROLS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """How one of two runs is started: the *variables* that it gets, those *without* which it goes, and which *hook* it has.

    *hook* is ``cost``, ``call`` for the hook of `run --inject`, or empty for none.
    """

    variables: tuple[tuple[str, str], ...] = ()
    without: tuple[str, ...] = ()
    hook: str = "cost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the marks of one run's Pythons say, all together.

    *pythons* are their versions, *hashing* what each had as its hash seed, None for none. *libraries* arrived; *cuda* devices are
    seen; *threaded* says that a library with threads of its own was loaded. *states* are what controls were at the ends: on, off,
    or both in several processes. *called* says that the program made the call, *errors* what a switch came to.
    """

    pythons: frozenset[tuple[int, int]] = frozenset()
    hashing: frozenset[str | None] = frozenset()
    libraries: frozenset[str] = frozenset()
    cuda: int = 0
    threaded: bool = False
    called: bool = False
    states: Mapping[str, frozenset[bool]] = field(default_factory=dict)
    errors: tuple[str, ...] = ()


def choose(names: Sequence[str]) -> tuple[Costed, ...]:
    """The controls of these *names*, in the order that they have here; with none, those that the call sets.

    Raises:
        UsageError: ``cost-control-unknown``.
    """
    for name in names:
        if name not in _BY_NAME:
            raise UsageError(
                "cost-control-unknown",
                f"there is no control {name!r} whose cost could be measured",
                where="--control",
                hint=f"the controls are {', '.join(NAMES)}",
            )
    return tuple(control for control in CONTROLS if (control.name in names if names else control.by_default))


def plain_arm() -> Arm:
    """A run with nothing changed, and the hook that looks what arrives."""
    return Arm(variables=((SWITCH, ""),))


def arms(control: Costed, environ: Mapping[str, str], *, root: int, hash_seed: int) -> tuple[Arm, Arm]:
    """The runs with *control* and without it, in *environ*; *root* is a seed, and *hash_seed* the one of hashing made of it.

    What the user has set already is kept in the run with the control, and taken out of the run without.

    Raises:
        UsageError: ``seed-conflict``, *environ* holds another seed.
    """
    if control.name == ALL:
        stated = _numeric(environ)
        around = {name: value for name, value in environ.items() if name != _HASH or stated}
        plan = plan_seed(root, hash_seed=int(stated) if stated else hash_seed, environ=around)
        variables = tuple(sorted(plan.environ.items()))
        return Arm(variables=variables, hook="call"), Arm(without=tuple(name for name, _ in variables), hook="")
    on, off = ((SWITCH, control.on),), ((SWITCH, control.off),)
    match control.name:
        case "hash-seed":
            return Arm(variables=(*on, (_HASH, _numeric(environ) or str(hash_seed)))), Arm(variables=off, without=(_HASH,))
        case "cublas-workspace":
            workspace = plan_seed(root, hash_seed=hash_seed, environ={}).environ[_CUBLAS]
            stated = environ.get(_CUBLAS, "")
            return Arm(variables=(*on, (_CUBLAS, stated or workspace))), Arm(variables=off, without=(_CUBLAS,))
        case "threads":
            return Arm(variables=(*on, *((name, "1") for name in _THREADS))), Arm(variables=off)
    return Arm(variables=on), Arm(variables=off)


def _numeric(environ: Mapping[str, str]) -> str:
    """The seed of hashing that *environ* has; empty where it has none, or a random one."""
    stated = environ.get(_HASH, "")
    return str(int(stated)) if stated.isascii() and stated.isdecimal() else ""


def root_of(environ: Mapping[str, str]) -> int | None:
    """The seed that *environ* states; None where it states none, or what is none."""
    stated = environ.get(SEED, "").strip()
    return int(stated) if stated.isascii() and stated.isdecimal() and len(stated) < 40 else None


def seen_from(marks: Iterable[Mapping[str, object]]) -> Seen:
    """What *marks*, one document of a hook for each Python, say together; what is malformed in one is left out."""
    pythons: set[tuple[int, int]] = set()
    hashing: set[str | None] = set()
    libraries: set[str] = set()
    states: dict[str, set[bool]] = {}
    errors: list[str] = []
    cuda, threaded, called = 0, False, False
    for mark in marks:
        version = mark.get("python")
        if isinstance(version, list) and len(version) == 2 and all(type(part) is int for part in version):
            pythons.add((version[0], version[1]))
        stated = mark.get("hashing")
        hashing.add(stated if isinstance(stated, str) else None)
        arrived, ended, wrong, devices = mark.get("libraries"), mark.get("states"), mark.get("errors"), mark.get("cuda")
        if isinstance(arrived, list):
            libraries.update(map(str, arrived))
        if isinstance(ended, dict):
            for name, state in ended.items():
                states.setdefault(str(name), set()).add(bool(state))
        errors += [str(each) for each in wrong] if isinstance(wrong, list) else []
        cuda = max(cuda, devices if isinstance(devices, int) else 0)
        threaded = threaded or mark.get("threaded") is True
        called = called or mark.get("called") is True
    return Seen(
        pythons=frozenset(pythons),
        hashing=frozenset(hashing),
        libraries=frozenset(libraries),
        cuda=cuda,
        threaded=threaded,
        called=called,
        states={name: frozenset(each) for name, each in states.items()},
        errors=tuple(dict.fromkeys(errors)),
    )


def not_reached(control: Costed, seen: Seen) -> str:
    """Why a command that was *seen* without any control has none to gain or lose by *control*; empty where it may."""
    if not seen.pythons:
        return "no Python loaded the start hook: the command runs none, or runs it under -E, -I or -S"
    match control.name:
        case "torch-algorithms" | "fill-uninitialized-memory" | "torch-unfilled":
            return "" if "torch" in seen.libraries else "no Python of it imports torch"
        case "cudnn":
            if "torch" not in seen.libraries:
                return "no Python of it imports torch"
            return "" if seen.cuda else "torch sees no CUDA device"
        case "cublas-workspace":
            if seen.libraries.isdisjoint({"torch", "cupy", "tensorflow", "jax"}):
                return "no Python of it imports a library that uses cuBLAS"
            return "" if seen.cuda or "cupy" in seen.libraries else "no CUDA device is seen"
        case "tensorflow-ops":
            return "" if "tensorflow" in seen.libraries else "no Python of it imports tensorflow"
        case "threads":
            return "" if seen.threaded else "no Python of it loads a library with threads of OpenMP, OpenBLAS, MKL or BLIS"
    if control.name == ALL and max(seen.pythons) < _OLDEST:
        return f"the injected call needs Python 3.11, and the command has {'.'.join(map(str, max(seen.pythons)))}"
    return ""


def made_anyway(control: Costed, seen: Seen) -> str:
    """Why *control* is there in every run of a command that was *seen* without any, whatever we do; empty where it is not."""
    if control.name == ALL and seen.called:
        return "the program makes the call itself: measure its controls one by one, by --control"
    return ""


def held(control: Costed, with_control: Seen, without: Seen) -> str:
    """Why the two runs do not differ in *control* as they should, by what was seen in one of each; empty where they do."""
    for arm, seen in (("with", with_control), ("without", without)):
        if seen.errors:
            return f"it could not be switched {arm}: {seen.errors[0]}"
    match control.name:
        case "hash-seed":
            if None in with_control.hashing or "random" in with_control.hashing:
                return f"the command takes {_HASH} out of the environment"
            if any(each not in {None, "", "random"} for each in without.hashing):
                return f"the command sets {_HASH} by itself"
        case "torch-algorithms" | "torch-unfilled" | "cudnn" | "tensorflow-ops" | "fill-uninitialized-memory":
            name = {"torch-unfilled": "torch-algorithms", "fill-uninitialized-memory": "torch-fill"}.get(control.name, control.name)
            on, off = with_control.states.get(name, frozenset()), without.states.get(name, frozenset())
            if not on or not off:
                return "no process of the command came to its end in a way that shows what it had"
            if on != {True}:
                return "the program turns it off by itself"
            if off != {False}:
                return "the program turns it on in a way that can not be kept from it"
    return ""
