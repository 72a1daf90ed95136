"""The words of a proof by repeating, which its text and its page share: what was varied, how sure it is, who is guilty, what to do.

A verdict names what was varied together, and never more: what was held, what was not possible here and what reached no process are
told beside it.
"""

from __future__ import annotations

import math
import shlex
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from sanctity.model.repeats import CONFIDENCE, Claim, Level, Phase
from sanctity.model.result import Sameness, What
from sanctity.report.results import difference_place, shown_sides
from sanctity.report.words import count, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sanctity.model.repeats import Guilty, Repeats, Run, Variation
    from sanctity.model.result import FileResult, LeafDifference

__all__ = [
    "CLAIMS",
    "REMEDIES",
    "Evidence",
    "State",
    "again",
    "blame_words",
    "blind_words",
    "bound_words",
    "compared_words",
    "conditions",
    "container_words",
    "controls_words",
    "differing_files",
    "distinct",
    "ended",
    "evidence",
    "fixes",
    "headline",
    "is_source",
    "numerics_words",
    "percent",
    "reached",
    "remedies_of",
    "scope",
    "shown_run",
    "state_of",
    "tally",
    "unexplained",
    "used",
    "value_words",
    "varied_words",
    "which",
    "why_not",
    "why_shown",
]

#: The word of each claim, and its style.
CLAIMS: Final = {
    Claim.SAME: ("SAME", "good"),
    Claim.DIFFERENT: ("DIFFERENT", "bad"),
    Claim.UNDECIDED: ("UNDECIDED", "doubt"),
}
_LONGEST_VALUE: Final = 40
_LONGEST_TAIL: Final = 6
_USUAL_RUNS: Final = 5
#: Numbers further apart are other numbers: how far is of no use in a line.
_MOST_ULPS: Final = 1_000_000
_MOST_OUTSIDE: Final = 5
#: Rates of which it is told how many runs exclude them.
_RATES: Final = (0.05, 0.01, 0.001, 0.0001)

#: What to do about each of those that can be guilty, by name.
REMEDIES: Final[Mapping[str, str]] = {
    "hash-seed": "sort before iterating over a set (`sorted(…)`), or fix PYTHONHASHSEED, as `sanctity run --seed N` does",
    "aslr": "something is ordered by where objects lie: sort by a key of your own, not by `id()` or the default hash",
    "tz": "use times with a zone (`datetime.now(timezone.utc)`), or set TZ where the program is started",
    "locale": 'name the encoding (`open(…, encoding="utf-8")`) and do not sort or format by locale, or set LC_ALL',
    "cwd": "keep the path of the working folder out of results and of sort keys: use relative paths",
    "home": "read nothing from the home folder that is not named: give the configuration or the cache as an argument",
    "umask": "set permissions where files are written (`os.chmod`), and do not read them back",
    "file-order": "sort what a folder lists: `sorted(os.listdir(…))`, `sorted(path.glob(…))`",
    "environment": "let no result depend on unrelated variables; where none is read, on memory that nobody has set",
    "tmpdir": "keep the path of temporary files out of results and of sort keys",
    "load": "the result depends on what is ready first: take results in the order of their tasks, and decide nothing by a timeout",
    "clock": "give the date as an argument, and do not seed by it",
    "threads": "fix the number of threads where bits count (OMP_NUM_THREADS, `torch.set_num_threads`), and state it beside results",
    "cpus": "fix the number of threads: libraries count the CPUs they see (OMP_NUM_THREADS, `torch.set_num_threads`, n_jobs)",
    "instruction-set": "fix it on all machines that must agree (ATEN_CPU_CAPABILITY, OPENBLAS_CORETYPE, NPY_DISABLE_CPU_FEATURES), "
    "or accept a tolerance",
    "entropy": "give each generator a seed (`default_rng(seed)`, `sanctity.stream(name)`), and let no `uuid4` and no `secrets` "
    "decide a result",
    "time": "give the time as an argument, and do not seed by it",
    "pid": "do not seed by the process id: derive the seed of each worker from one seed (`sanctity.stream`)",
    "scheduling": "use deterministic algorithms (`sanctity.set_global_determinism`) or one thread; reduce in a fixed order; give "
    "each thread its own generator",
}

#: What is to be known of a remedy, by the same names.
_BESIDE: Final[Mapping[str, str]] = {
    "entropy": "for the global streams alone: `sanctity.set_global_determinism(seed)` or `sanctity run --seed N --inject`; neither "
    "reaches generators of one's own, `uuid4` or `secrets`",
}

#: What an undecided claim says where its own message is empty, by reason.
_REASONS: Final[Mapping[str, str]] = {
    "harness-blind": "a program that is known not to repeat was not seen to differ here",
    "output-missing": "nothing was written",
    "output-empty": "only empty files were written",
    "output-outside": "something was written outside of the run's own place",
    "command-failed": "all its runs failed the same way",
}


class State(StrEnum):
    """What became of a variation in these runs."""

    VARIED = "varied"
    UNSEEN = "unseen"  # varied, and it reached no process
    HELD = "held"
    IMPOSSIBLE = "impossible"
    BEYOND = "beyond"  # of a level that was not asked for
    FREE = "free"  # a source, which moves by itself
    ABSENT = "absent"  # no run was given another value of it


# -- what was varied, and what not -------------------------------------------------------------------------------------------------


def reached(found: Repeats, name: str) -> tuple[int, int]:
    """In how many varied runs *name* had another value and reached the program, and in how many it had one."""
    given = [run for run in found.phase(Phase.VARIED) if any(key == name for key, _ in run.setting)]
    return sum(name not in run.unseen for run in given), len(given)


def used(found: Repeats, name: str) -> tuple[str, ...]:
    """The values of *name* that reached some run in place of that of unchanged runs, each once, in the order of the runs."""
    runs = (run for run in found.runs if name not in run.unseen)
    return tuple(dict.fromkeys(value for run in runs for key, value in run.setting if key == name))


def state_of(found: Repeats, variation: Variation) -> State:
    """What became of *variation*: it counts as varied only where a varied run had it and it reached the program."""
    if variation.source:
        return State.FREE
    seen, given = reached(found, variation.name)
    if given:
        return State.VARIED if seen else State.UNSEEN
    levels = tuple(Level)
    if levels.index(variation.level) > levels.index(found.level):
        return State.BEYOND
    if variation.impossible:
        return State.IMPOSSIBLE
    return State.HELD if variation.held else State.ABSENT


def which(found: Repeats, *states: State) -> tuple[Variation, ...]:
    """The variations that are in one of *states*."""
    return tuple(variation for variation in found.variations if state_of(found, variation) in states)


def why_not(found: Repeats, variation: Variation) -> str:
    """Why *variation* was not varied, in words."""
    return {
        State.IMPOSSIBLE: variation.impossible,
        State.HELD: variation.held,
        State.BEYOND: f"--level {variation.level} varies it",
        State.UNSEEN: "no process took it up",
        State.ABSENT: "no run was given another value" if len(variation.values) > 1 else "there is one value here",
    }.get(state_of(found, variation), "")


def varied_words(found: Repeats, variation: Variation) -> str:
    """*variation* in words, and in how many runs it reached the program where that is not all that had it."""
    seen, given = reached(found, variation.name)
    return variation.words + (f" (in {seen:,} of {given:,} runs)" if seen < given else "")


def scope(found: Repeats) -> str:
    """What a claim is of: the levels that were varied in fact, and the numerics that were held."""
    levels = {variation.level for variation in which(found, State.VARIED)}
    numerics = found.numerics
    held = f"(threads {numerics.threads:,}, {plain(numerics.isa)})"
    if Level.NUMERICS in levels:
        return "on this machine, numerics varied" + ("" if Level.MACHINE in levels else ", surroundings held")
    if Level.MACHINE in levels:
        return f"on this machine, numerics held {held}"
    return f"on this machine, {'surroundings and numerics held' if levels else 'nothing varied'} {held}"


def numerics_words(found: Repeats) -> str:
    """Whether numerics were varied, or at what they were held."""
    varied = any(variation.level is Level.NUMERICS for variation in which(found, State.VARIED))
    return "numerics varied" if varied else f"numerics held (threads {found.numerics.threads:,}, {plain(found.numerics.isa)})"


# -- how sure it is ----------------------------------------------------------------------------------------------------------------


def percent(rate: float) -> str:
    """*rate* in percent, by two digits."""
    return f"{float(f'{100 * rate:.2g}'):g} %"


def bound_words(found: Repeats) -> str:
    """The rate of divergence that the runs do not exclude, and how many would exclude less."""
    runs = len(found.phase(Phase.VARIED))
    if not runs:
        return "no run was varied: no rate of divergence is excluded"
    line = f"excludes a divergence rate above {percent(found.bound)} ({percent(CONFIDENCE)})"
    # The least numbers of runs that exclude a rate: of 5 % until there are as many, and then of the next.
    least = ((math.ceil(math.log(1 - CONFIDENCE) / math.log1p(-rate)), rate) for rate in _RATES)
    more = next((f"; {number:,} runs exclude {percent(rate)}" for number, rate in least if number > runs), "")
    return line + more


# -- what was found ----------------------------------------------------------------------------------------------------------------


def ended(run: Run) -> str:
    """How *run* ended, in words."""
    if run.code is None:
        return "took too long"
    return f"signal {-run.code}" if run.code < 0 else f"exit status {run.code}"


def distinct(found: Repeats) -> int:
    """How many different results the unchanged and varied runs gave, those of other ends told apart."""
    return len({(run.code, run.digest) for run in (*found.phase(Phase.REPEAT), *found.phase(Phase.VARIED))})


def tally(found: Repeats) -> str:
    """How many runs there were and how many differ."""
    repeats, varied = found.phase(Phase.REPEAT), found.phase(Phase.VARIED)
    if not repeats and not varied:
        return "no run was made"
    differ = sum(not run.same for run in (*repeats, *varied))
    made = count(len(repeats), "repeat") + (f" + {count(len(varied), 'run')}" if varied else "")
    line = f"{made}, {differ:,} differ"
    if differ:
        line += f" ({count(distinct(found), 'distinct result')})"
    more = len(found.runs) - len(repeats) - len(varied)
    return line + (f"; {count(more, 'run')} more to find out why" if more else "")


def _words_of(found: Repeats, names: Iterable[str]) -> list[str]:
    words = {variation.name: variation.words for variation in found.variations}
    return [plain(words.get(name, name)) for name in names]


def is_source(found: Repeats, guilty: Guilty) -> bool:
    """Whether *guilty* is a source, which moves by itself."""
    sources = {variation.name for variation in found.variations if variation.source}
    return any(name in sources for name in guilty.names)


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def blame_words(found: Repeats) -> tuple[str, ...]:
    """What is known of the guilty, in lines: of each, and of all of them together."""
    if not found.guilty:
        return ()
    everyone = [word for guilty in found.guilty for word in _words_of(found, guilty.names)]
    if found.claim is Claim.UNDECIDED:
        return (
            f"bytes are seen to follow {_listed(everyone)}; whether values do is not known, so nobody is guilty of anything yet",
        )
    if is_source(found, found.guilty[0]):
        lines = [f"with {_listed(everyone)} held, runs agree"]
        for guilty in found.guilty:
            words = _words_of(found, guilty.names)
            differ = "they differ" if guilty.without else "they are not seen to differ"
            lines.append(f"with all else held but not {_listed(words)}, {differ}")
    else:
        lines = [
            *(_alone(found, guilty) for guilty in found.guilty),
            _without(found, "it" if len(everyone) == 1 else _listed(everyone)),
        ]
    return ("; ".join(lines),) if len(found.guilty) == 1 else tuple(lines)


def _without(found: Repeats, them: str) -> str:
    """What is known of runs with all else changed but not *them*, the guilty ones."""
    where = f"with all else changed but not {them}, runs"
    if all(guilty.without for guilty in found.guilty):
        return f"{where} agree"
    names = {name for guilty in found.guilty for name in guilty.names}
    moving = ": whatever a process starts with moves addresses" if "aslr" in names else ""
    first = next((run for run in found.runs if run.phase is Phase.VARIED and not run.same), None)
    others = {name for name, _ in first.setting if name not in first.unseen} - names if first is not None else set()
    given = [(run, {name for name, _ in run.setting}) for run in found.runs if run.phase in {Phase.VARIED, Phase.SEARCH}]
    tried = [run for run, those in given if others and others <= those and names.isdisjoint(those)]
    if not tried:
        return f"nothing else was tried{moving}" if moving else f"all else changed but not {them} was not tried"
    return f"{where} {'differ, too' if any(not run.same for run in tried) else 'are not seen to agree'}{moving}"


def _alone(found: Repeats, guilty: Guilty) -> str:
    values = dict(zip(guilty.names, guilty.values, strict=False))
    named = " and ".join(
        f"{word} = {_clip(value_words(name, values[name]))}" if values.get(name) else word
        for name, word in zip(guilty.names, _words_of(found, guilty.names), strict=True)
    )
    return f"{named}: {'differs' if guilty.alone else 'not seen to differ'} with nothing else changed"


def value_words(name: str, value: str) -> str:
    """The *value* of the variation *name* as people read it: ``0`` of the CPUs is number 0, and not none."""
    if name != "cpus" or not value.replace(",", "").isdecimal():
        return value
    return f"numbers {value}" if "," in value else f"number {value} alone"


def remedies_of(found: Repeats) -> tuple[str, ...]:
    """What to do: of each guilty one, then what the proof itself advises, each once."""
    return tuple(dict.fromkeys((*fixes(found), *found.advice)))


def fixes(found: Repeats) -> list[str]:
    """What to do about each guilty one, by its words where there are more; first about a run that ends otherwise."""
    if found.claim is Claim.UNDECIDED:
        return []  # it is not known whether there is anything to mend
    names = _guilty_names(found)
    lines = _to_end_alike(found)
    for name, words in names:
        told = [table[name] for table in (REMEDIES, _BESIDE) if name in table]
        lines += [(f"{words}: " if len(names) > 1 else "") + text for text in told]
    return lines


def _to_end_alike(found: Repeats) -> list[str]:
    """What to do where what differs is how a run ends, before anything is done about its results."""
    run = shown_run(found) if found.claim is Claim.DIFFERENT else None
    if run is None or run.code == found.runs[0].code:
        return []
    odd = next(each for each in found.runs if each.code != 0)  # whose words are told
    if odd.code is None:
        return [f"see what run {odd.number:,} waits for: its result was never there to be compared"]
    said = "what it said last stands above" if odd.tail else "it said nothing"
    return [
        f"see why run {odd.number:,} ended with {ended(odd)} ({said}): it has to end alike in all before results can be compared"
    ]


def _guilty_names(found: Repeats) -> list[tuple[str, str]]:
    names = list(dict.fromkeys(name for guilty in found.guilty for name in guilty.names))
    return list(zip(names, _words_of(found, names), strict=True))


def shown_run(found: Repeats) -> Run | None:
    """The run whose difference is shown: one where the first guilty ones alone were changed, else the first that differs."""
    differing = [run for run in found.runs if not run.same and run.phase is not Phase.HELD]
    if found.guilty:
        names = set(found.guilty[0].names)
        alone = [run for run in differing if {name for name, _ in run.setting} == names]
        differing = [*alone, *differing]
    return next((run for run in differing if run.comparison is not None), differing[0] if differing else None)


def why_shown(found: Repeats, run: Run) -> str:
    """Why *run* is shown, where it is not the first that differs; empty where it is."""
    first = next((each for each in found.runs if not each.same and each.phase is not Phase.HELD), run)
    if first.number == run.number:
        return ""
    if found.guilty and {name for name, _ in run.setting} == set(found.guilty[0].names):
        words = _listed(_words_of(found, found.guilty[0].names))
        return f"run {first.number:,} differed first; run {run.number:,} is shown since nothing but {words} was changed in it"
    return f"run {first.number:,} differed first; run {run.number:,} is the first that was looked into"


def _clip(text: str) -> str:
    text = plain(text)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE // 2]}…{text[-(_LONGEST_VALUE // 2 - 1) :]}"


def differing_files(run: Run) -> tuple[FileResult, ...]:
    """The files of *run* that differ from those of the first."""
    files = run.comparison.files if run.comparison is not None else ()
    found = tuple(file for file in files if file.sameness is Sameness.DIFFERENT)
    return found or tuple(file for file in files if file.sameness is Sameness.UNDECIDED)


def _changed(found: Repeats, run: Run) -> str:
    """What *run* gave otherwise than the first, in a phrase that follows "changes"."""
    first = found.runs[0]
    if run.code != first.code:
        return f"how it ends: {ended(first)} / {ended(run)}"
    files = differing_files(run)
    if not files:
        return "what it writes"
    file = files[0]
    total = max(len(run.comparison.files) if run.comparison is not None else 0, run.files, first.files)
    if found.function and total == 1 and file.path.startswith("returned."):
        return _value(file)
    where = plain(file.path) + (f" ({len(files):,} of {count(total, 'file')})" if total > 1 else "")
    return f"{where}{_first_difference(file)}"


def _value(file: FileResult) -> str:
    """What is different about the value of a function."""
    item = file.differences[0] if file.differences else None
    if item is not None and not item.path and item.what in {What.MISSING, What.EXTRA}:
        return "whether it returns anything"
    return f"what it returns{_first_difference(file)}"


def _first_difference(file: FileResult) -> str:
    """Where *file* first differs, and how, to be read after its name."""
    if not file.differences:
        return f", {plain(file.reason) or 'in its bytes'}"
    item = file.differences[0]
    if not item.path and item.what in {What.MISSING, What.EXTRA}:
        return ", which one run wrote and another did not"
    place = f", first at {plain(difference_place(file, item))}" if item.path or item.first else ""
    return f"{place}: {_sides(item)}"


def _sides(item: LeafDifference) -> str:
    said = " / ".join(_clip(side) or "absent" for side in shown_sides(item))
    if item.ulps is not None and 0 < item.ulps.most <= _MOST_ULPS:
        said += f", up to {count(item.ulps.most, 'ulp')}"
    return said


def headline(found: Repeats) -> str:
    """The verdict in a line, without its first word."""
    if found.claim is Claim.SAME:
        return f"{scope(found)}: {tally(found)}"
    if found.claim is Claim.UNDECIDED:
        message = plain(found.message) or _REASONS.get(found.reason, "nothing can be said")
        return f"on this machine: {message}" + (f" ({plain(found.reason)})" if found.reason else "")
    run = shown_run(found)
    changed = _changed(found, run) if run is not None else "what it gives"
    repeats_differ = any(not other.same for other in found.phase(Phase.REPEAT))
    if not found.guilty:
        return f"on this machine: {'unchanged runs' if repeats_differ else 'runs'} differ: {_capped(changed)}"
    words = [_words_of(found, guilty.names) for guilty in found.guilty]
    if is_source(found, found.guilty[0]):
        sources = _listed([word for each in words for word in each])
        return f"on this machine: unchanged runs differ by {sources}: {_capped(changed)}"
    alone = [guilty.alone and len(guilty.names) == 1 for guilty in found.guilty]
    if len(words) > 1 and all(alone):
        return f"on this machine: {_listed([each[0] for each in words])}, each alone, change {_capped(changed)}"
    who = [_together(each) + (" alone" if sure else "") for each, sure in zip(words, alone, strict=True)]
    return f"on this machine: {', and '.join(who)} {'change' if len(who) > 1 else 'changes'} {_capped(changed)}"


def _together(words: Sequence[str]) -> str:
    """Those that do it only together, as one subject."""
    return " together with ".join(words) if len(words) < 3 else f"all of {_listed(words)} together"


def _capped(text: str) -> str:
    return text if len(text) <= 300 else f"{text[:299]}…"


def container_words(found: Repeats) -> str:
    """That some runs differ in what is around their values alone, which counts as the same."""
    runs = [run for run in found.runs if run.sameness is Sameness.EQUAL]
    if not runs:
        return ""
    files = [file for run in runs if run.comparison is not None for file in run.comparison.files if file.noise]
    example = f", such as {plain(files[0].path)}: {plain(files[0].noise[0])}" if files else ""
    return f"in {count(len(runs), 'run')} values are the same and bytes are not: only what is around them differs{example}"


def unexplained(found: Repeats) -> tuple[str, ...]:
    """What is said of a difference beside who is guilty: its message, or without either what was tried."""
    if found.claim is not Claim.DIFFERENT:
        return ()
    if found.message or found.guilty:
        return (plain(found.message),) if found.message else ()
    held = dict.fromkeys(name for run in found.phase(Phase.HELD) for name, _ in run.setting)
    if held:
        return (f"they differ with {', '.join(_words_of(found, held))} held, too",)
    return ("who is guilty is not known",)


def compared_words(found: Repeats) -> str:
    """What of the first run every other one was compared to; empty of a function, whose value it is."""
    first = found.runs[0] if found.runs else None
    if first is None or found.function:
        return ""
    where = f": {', '.join(map(plain, found.outputs))}" if found.outputs else ""
    printed = " and what it prints" if found.stdout else ""
    return f"compared: {count(first.files, 'file')}, {count(first.size, 'byte')}{where}{printed}"


def conditions(found: Repeats) -> list[str]:
    """What was varied together, and what not and why: a line each kind."""
    if not found.phase(Phase.VARIED) and found.claim is not Claim.SAME:
        return []  # no claim is made of what was varied
    varied = ", ".join(plain(varied_words(found, each)) for each in which(found, State.VARIED))
    lines = [f"varied together: {varied}"] if varied else []
    for title, state in (
        ("not possible here", State.IMPOSSIBLE),
        ("held", State.HELD),
        ("not varied", State.UNSEEN),
        ("not varied", State.ABSENT),
    ):
        reasons: dict[str, list[str]] = {}
        for each in which(found, state):
            reasons.setdefault(plain(why_not(found, each)), []).append(plain(each.words))
        told = "; ".join(f"{', '.join(words)} ({reason})" for reason, words in reasons.items())
        lines += [f"{title}: {told}"] if told else []
    return lines


def controls_words(found: Repeats) -> str:
    """Which positive controls were seen to differ; empty where none was."""
    seen = [plain(control.words) for control in found.controls if control.seen]
    return f"this harness sees: {', '.join(seen)}" if seen else ""


def blind_words(found: Repeats) -> str:
    """Which positive controls were not seen to differ; empty where all were."""
    blind = [plain(control.words) for control in found.controls if not control.seen]
    return f"this harness does not see: {', '.join(blind)}" if blind else ""


class Evidence(NamedTuple):
    """What stands against a claim: *told* in lines, and the *tail* of what a failed run said."""

    told: tuple[str, ...]
    tail: tuple[str, ...]


def evidence(found: Repeats) -> Evidence:
    """Where the command wrote that it should not, and how it failed and what it said."""
    lines: list[str] = []
    tail: tuple[str, ...] = ()
    outside = list(dict.fromkeys(path for run in found.runs for path in run.outside))
    if outside:
        more = f" and {len(outside) - _MOST_OUTSIDE:,} more" if len(outside) > _MOST_OUTSIDE else ""
        lines.append(f"written outside of its place: {', '.join(map(plain, outside[:_MOST_OUTSIDE]))}{more}")
    failed = [run for run in found.runs if run.code != 0]
    if failed:
        alike = len(failed) == len(found.runs) and len({run.code for run in failed}) == 1
        lines.append(f"{'every run' if alike else f'run {failed[0].number:,}'} ended with {ended(failed[0])}")
        tail = tuple(line.rstrip() for line in failed[0].tail.splitlines()[-_LONGEST_TAIL:])
    return Evidence(tuple(lines), tail)


def again(found: Repeats) -> str:
    """The command that does it again, as far as what was found says how."""
    runs = len(found.phase(Phase.VARIED))
    # Where some differ, what was asked for is not known: no more runs are made then.
    more = runs and (found.claim is Claim.SAME or runs > _USUAL_RUNS)
    if found.function:
        level = "" if found.level is Level.MACHINE else f', level="{found.level}"'
        return f"sanctity.prove({found.command[0]}, …{f', n={runs}' if more else ''}{level})"
    words = ["sanctity", "prove", *(("-n", str(runs)) if more else ())]
    words += [] if found.level is Level.MACHINE else ["--level", str(found.level)]
    words += [word for pattern in found.outputs for word in ("--outputs", pattern)]
    words += ["--stdout"] if found.stdout else []
    if any("--vary" in each.held for each in found.variations):
        words += [word for each in found.variations if each.varies for word in ("--vary", each.name)]
    words += [word for each in found.variations if "--hold" in each.held for word in ("--hold", each.name)]
    return shlex.join([*words, "--", *found.command])
