"""Proofs by repeating as they happen, made by hand: what every report of them is tried on."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import Final

from sanctity.model.repeats import Claim, Control, Guilty, Level, Numerics, Phase, Repeats, Run, Setting, Variation
from sanctity.model.result import BINS, FileResult, LeafDifference, ResultComparison, Sameness, Ulps, What

__all__ = ["CASES", "HOSTILE", "NAMES", "a_hostile", "a_run", "a_same"]

#: Text that wants to be more than text: a terminal's, a page's, a table's.
HOSTILE: Final = "x\x1b[31m<script>alert(1)</script>|`**\n| a \u202e\udcff\" onload='y"

VARIATIONS: Final = (
    Variation(name="hash-seed", words="hash seed", level=Level.PROCESS, values=("0", "1", "123456789", "4294967295")),
    Variation(name="aslr", words="ASLR", level=Level.PROCESS, values=("off", "on")),
    Variation(name="tz", words="TZ", level=Level.MACHINE, values=("UTC", "Pacific/Kiritimati", "America/St_Johns")),
    Variation(name="locale", words="locale", level=Level.MACHINE, values=("C.UTF-8", "C", "de_DE.UTF-8")),
    Variation(name="cwd", words="cwd", level=Level.MACHINE, values=("as it is", "another path", "a longer path")),
    Variation(name="home", words="home", level=Level.MACHINE, values=("as it is", "another path")),
    Variation(name="umask", words="umask", level=Level.MACHINE, values=("0022", "0077", "0002")),
    Variation(name="file-order", words="file order", level=Level.MACHINE, values=("as it is", "shuffled by 1", "shuffled by 2")),
    Variation(name="load", words="load", level=Level.MACHINE, values=("idle", "2 busy processes")),
    Variation(name="clock", words="clock", level=Level.MACHINE, impossible="no libfaketime"),
    Variation(name="threads", words="threads", level=Level.NUMERICS, values=("2", "1", "3")),
    Variation(name="cpus", words="CPU set", level=Level.NUMERICS, impossible="there is one CPU"),
    Variation(
        name="instruction-set", words="instruction set", level=Level.NUMERICS, values=("as it is", "ATEN_CPU_CAPABILITY=default")
    ),
    Variation(name="entropy", words="entropy", level=Level.PROCESS, values=("free", "held"), source=True),
    Variation(name="time", words="time", level=Level.PROCESS, values=("free", "held"), source=True),
    Variation(name="scheduling", words="scheduling", level=Level.PROCESS, values=("free", "held"), source=True),
)
NAMES: Final = tuple(variation.name for variation in VARIATIONS)
CONTROLS: Final = (
    Control(name="race", words="a race of threads", seen=True),
    Control(name="hash-order", words="the order of a set", seen=True),
)


def a_digest(number: int) -> str:
    return f"sha256:{sha256(str(number).encode()).hexdigest()}"


def a_setting(number: int, *, level: Level = Level.MACHINE) -> Setting:
    """What the varied run *number* has: of each variation another value than unchanged runs, load in every other run."""
    levels = tuple(Level)[: tuple(Level).index(level) + 1]
    return tuple(
        (each.name, each.values[1 + number % (len(each.values) - 1)])
        for each in VARIATIONS
        if each.varies and each.level in levels and (each.name != "load" or number % 2)
    )


def a_run(number: int, phase: Phase = Phase.REPEAT, setting: Setting = (), **more: object) -> Run:
    facts = {"code": 0, "seconds": 1.25 + number / 16, "files": 2, "size": 4096, "digest": a_digest(0)} | more
    return Run(number=number, phase=phase, setting=setting, **facts)  # type: ignore[arg-type]


def some_runs(repeats: int, varied: int, *, level: Level = Level.MACHINE) -> tuple[Run, ...]:
    return (
        *(a_run(number) for number in range(1, repeats + 1)),
        *(a_run(repeats + number, Phase.VARIED, a_setting(number, level=level)) for number in range(1, varied + 1)),
    )


def differing(run: Run, comparison: ResultComparison | None, **more: object) -> Run:
    facts: dict[str, object] = {"sameness": Sameness.DIFFERENT, "comparison": comparison, "digest": a_digest(run.number)}
    return replace(run, **facts | more)  # type: ignore[arg-type]


def a_same(**more: object) -> Repeats:
    facts: dict[str, object] = {
        "command": ("python", "train.py", "--epochs", "3"),
        "level": Level.MACHINE,
        "outputs": ("out/**",),
        "claim": Claim.SAME,
        "variations": VARIATIONS,
        "runs": some_runs(2, 5),
        "controls": CONTROLS,
        "numerics": Numerics(threads=2, cpus=2, isa="avx2"),
    }
    return Repeats(**facts | more)  # type: ignore[arg-type]


def a_comparison(*files: FileResult) -> ResultComparison:
    return ResultComparison(before="run 1", after="another run", files=files)


WEIGHTS: Final = FileResult(path="out/model.npz", format="npz", sameness=Sameness.IDENTICAL, sizes=(4000, 4000), leaves=2)
VOCABULARY: Final = FileResult(
    path="out/vocab.json",
    format="json",
    sameness=Sameness.DIFFERENT,
    sizes=(96, 96),
    leaves=4,
    differences=(
        LeafDifference(path="words[0]", what=What.VALUE, before="'cat'", after="'dog'", elements=1, differing=1, permuted=True),
        LeafDifference(path="words[1]", what=What.VALUE, before="'dog'", after="'cat'", elements=1, differing=1, permuted=True),
    ),
)
HISTOGRAM: Final = (210, 120, 64, 31, 9, 0, 2, *(0,) * (BINS - 7))
MOVED: Final = FileResult(
    path="out/model.npz",
    format="npz",
    sameness=Sameness.DIFFERENT,
    sizes=(4000, 4000),
    leaves=3,
    differences=(
        LeafDifference(
            path="layer.0.weight",
            what=What.VALUE,
            before="0.1 (0x3dcccccd)",
            after="0.10000001 (0x3dccccce)",
            elements=1000,
            differing=436,
            first=(0, 3),
            ulps=Ulps(most=97, histogram=HISTOGRAM, zeros=1),
            largest="7.1525574e-07",
        ),
        LeafDifference(
            path="layer.0.bias",
            what=What.VALUE,
            before="0.25",
            after="0.25000003",
            elements=10,
            differing=3,
            first=(2,),
            ulps=Ulps(most=2, histogram=(2, 1, *(0,) * (BINS - 2))),
            largest="2.9802322e-08",
        ),
    ),
)
ZIP: Final = FileResult(
    path="out/model.npz", format="npz", sameness=Sameness.EQUAL, sizes=(4000, 4000), leaves=2, noise=("time of 2 members",)
)
LOG: Final = FileResult(
    path="out/log.txt",
    format="text",
    sameness=Sameness.DIFFERENT,
    sizes=(40, 42),
    leaves=1,
    differences=(LeafDifference(path="", what=What.VALUE, before="Montag", after="Monday", elements=3, differing=1, first=(1,)),),
)
GONE: Final = FileResult(
    path="out/extra.txt", format="", sameness=Sameness.DIFFERENT, differences=(LeafDifference(path="", what=What.EXTRA),)
)


def _hash_seed() -> Repeats:
    runs = some_runs(2, 5)
    runs = (*runs[:2], *(differing(run, a_comparison(WEIGHTS, VOCABULARY)) for run in runs[2:]))
    rest = a_setting(1)[1:]
    half = rest[: len(rest) // 2]
    search = (
        a_run(8, Phase.SEARCH, half),
        differing(a_run(9, Phase.SEARCH, a_setting(1)[:1]), a_comparison(WEIGHTS, VOCABULARY)),
        a_run(10, Phase.SEARCH, rest),
    )
    guilty = Guilty(names=("hash-seed",), values=("123456789",), alone=True, without=True)
    return a_same(claim=Claim.DIFFERENT, runs=(*runs, *search), guilty=(guilty,))


def _pair() -> Repeats:
    runs = some_runs(2, 5)
    found = a_comparison(LOG, WEIGHTS)
    runs = (*runs[:3], *(differing(run, found) for run in runs[3:]))
    both = tuple(item for item in a_setting(1) if item[0] in {"tz", "locale"})
    guilty = (
        Guilty(names=("tz", "locale"), values=("Pacific/Kiritimati", "de_DE.UTF-8"), alone=True, without=False),
        Guilty(names=("file-order",), values=("shuffled by 1",), alone=False, without=True),
    )
    return a_same(claim=Claim.DIFFERENT, runs=(*runs, differing(a_run(8, Phase.SEARCH, both), found)), guilty=guilty)


def _entropy() -> Repeats:
    runs = tuple(differing(run, a_comparison(MOVED, GONE), files=3) if run.number > 1 else run for run in some_runs(5, 0))
    held = (("entropy", "held"), ("time", "held"), ("scheduling", "held"))
    more = (
        a_run(6, Phase.HELD, held),
        a_run(7, Phase.HELD, held),
        a_run(8, Phase.HELD, held[:1]),
        differing(a_run(9, Phase.HELD, held[1:]), a_comparison(MOVED)),
    )
    return a_same(
        claim=Claim.DIFFERENT,
        runs=(*runs, *more),
        guilty=(Guilty(names=("entropy",), values=("held",), alone=True, without=True),),
    )


def _nobody() -> Repeats:
    runs = tuple(differing(run, a_comparison(MOVED)) if run.number > 1 else run for run in some_runs(5, 0))
    held = (("entropy", "held"), ("time", "held"), ("scheduling", "held"))
    more = tuple(differing(a_run(number, Phase.HELD, held), a_comparison(MOVED)) for number in (6, 7, 8))
    return a_same(claim=Claim.DIFFERENT, runs=(*runs, *more), advice=("look for what it reads from the network",))


def _crashing() -> Repeats:
    runs = some_runs(2, 5)
    tail = "Traceback (most recent call last):\n  File \"train.py\", line 3\nUnicodeDecodeError: 'ascii' codec can't decode byte 0xc3\n"
    failed = differing(runs[4], None, code=1, tail=tail, files=0, digest="")
    slow = differing(runs[5], None, code=None, files=0, digest="")
    killed = differing(runs[6], None, code=-11, files=0, digest="")
    guilty = Guilty(names=("locale",), values=("C",), alone=True, without=True)
    return a_same(claim=Claim.DIFFERENT, runs=(*runs[:4], failed, slow, killed), guilty=(guilty,))


def _numerics() -> Repeats:
    runs = some_runs(2, 5, level=Level.NUMERICS)
    runs = (*runs[:2], *(differing(run, a_comparison(MOVED)) for run in runs[2:]))
    guilty = Guilty(names=("threads",), values=("1",), alone=True, without=False)
    return a_same(claim=Claim.DIFFERENT, level=Level.NUMERICS, runs=runs, guilty=(guilty,))


def _equal() -> Repeats:
    runs = some_runs(2, 5)
    noisy = tuple(
        replace(run, sameness=Sameness.EQUAL, digest=a_digest(run.number), comparison=a_comparison(ZIP)) for run in runs[1:]
    )
    return a_same(runs=(runs[0], *noisy))


def _unseen() -> Repeats:
    runs = tuple(
        replace(run, unseen=("file-order", *(("locale",) if run.number > 5 else ()))) if run.phase is Phase.VARIED else run
        for run in some_runs(2, 5)
    )
    held = tuple(replace(each, held="PYTHONHASHSEED is set") if each.name == "hash-seed" else each for each in VARIATIONS)
    held = tuple(replace(each, held="--hold tz") if each.name == "tz" else each for each in held)
    runs = tuple(replace(run, setting=tuple(item for item in run.setting if item[0] not in {"hash-seed", "tz"})) for run in runs)
    return a_same(variations=held, runs=runs)


def _function() -> Repeats:
    first, second, *_ = some_runs(1, 1)
    value = LeafDifference(path="", what=What.VALUE, before="7.4", after="7.3999999999999995", elements=1, differing=1)
    file = FileResult(
        path="returned.pkl", format="pickle", sameness=Sameness.DIFFERENT, sizes=(21, 21), leaves=1, differences=(value,)
    )
    return a_same(
        command=("training.train",),
        function=True,
        outputs=(),
        claim=Claim.DIFFERENT,
        runs=(replace(first, files=1), differing(second, a_comparison(file), files=1)),
        guilty=(Guilty(names=("hash-seed",), values=("1",), alone=True, without=True),),
    )


def _undecided(reason: str, message: str, runs: tuple[Run, ...], **more: object) -> Repeats:
    return a_same(claim=Claim.UNDECIDED, reason=reason, message=message, runs=runs, **more)


def _nothing_varied() -> Repeats:
    return a_same(runs=some_runs(2, 0), variations=tuple(replace(each, held="--hold") for each in VARIATIONS if each.varies))


FAILED: Final = tuple(
    replace(run, code=2, tail="usage: train.py [-h]\ntrain.py: error: unrecognized arguments", files=0, digest="")
    for run in some_runs(2, 0)
)

#: Every shape that a proof has, by name.
CASES: Final = {
    "same": a_same(),
    "same-process": a_same(level=Level.PROCESS, runs=some_runs(2, 10, level=Level.PROCESS), outputs=()),
    "same-numerics": a_same(level=Level.NUMERICS, runs=some_runs(2, 59, level=Level.NUMERICS)),
    "equal": _equal(),
    "unseen": _unseen(),
    "nothing-varied": _nothing_varied(),
    "hash-seed": _hash_seed(),
    "pair": _pair(),
    "entropy": _entropy(),
    "nobody": _nobody(),
    "crashing": _crashing(),
    "numerics": _numerics(),
    "function": _function(),
    "blind": _undecided(
        "harness-blind",
        "",
        (),
        controls=(replace(CONTROLS[0], seen=False), CONTROLS[1]),
        advice=("give the machine more than one CPU",),
    ),
    "failed": _undecided("command-failed", "it ended with exit status 2 each time", FAILED),
    "missing": _undecided("output-missing", "", tuple(replace(run, files=0, size=0, digest="") for run in some_runs(2, 0))),
    "outside": _undecided(
        "output-outside",
        "something was written outside of the run's own place",
        tuple(replace(run, outside=("model.pt", "logs/a.txt")) for run in some_runs(2, 5)),
        advice=("name these among the outputs: --outputs 'model.pt'",),
    ),
}


def a_hostile() -> Repeats:
    """A proof in which every text from outside is hostile."""
    leaf = LeafDifference(
        path=HOSTILE, what=What.VALUE, before=HOSTILE, after=HOSTILE, elements=9, differing=3, ulps=Ulps(most=3, histogram=(2, 1))
    )
    file = FileResult(
        path=HOSTILE, format=HOSTILE, sameness=Sameness.DIFFERENT, differences=(leaf,), noise=(HOSTILE,), reason=HOSTILE
    )
    variations = tuple(
        replace(each, words=each.words + HOSTILE, values=tuple(value + HOSTILE for value in each.values), held="")
        if not each.impossible
        else replace(each, impossible=HOSTILE)
        for each in VARIATIONS
    )
    runs = tuple(
        replace(
            differing(run, a_comparison(file)),
            code=1,
            tail=HOSTILE,
            outside=(HOSTILE,),
            setting=tuple((name, value + HOSTILE) for name, value in run.setting),
        )
        for run in some_runs(2, 5)
    )
    return a_same(
        command=("python", HOSTILE),
        outputs=(HOSTILE,),
        claim=Claim.DIFFERENT,
        message=HOSTILE,
        advice=(HOSTILE,),
        variations=variations,
        runs=runs,
        controls=tuple(replace(each, words=HOSTILE) for each in CONTROLS),
        numerics=Numerics(threads=2, cpus=2, isa=HOSTILE),
        guilty=(Guilty(names=("tz",), values=(HOSTILE,), alone=True, without=True),),
    )
