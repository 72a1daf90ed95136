"""`bisect`: which release broke a command; and the replay of what a bisect found.

The index is asked by uv as of each date; only where the command passes at both ends is it asked directly, for what was yanked
since.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, parse_sdist_filename, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from sanctity.errors import SanctityError, UsageError
from sanctity.model.bisecting import Counts, FileDigest, Question, Withdrawn
from sanctity.model.digest import Digest
from sanctity.model.timeline import Target
from sanctity.processes import waiting_for_children

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sanctity.fetch.fetcher import Fetcher
    from sanctity.model.bisecting import Answer, Outcome, Run
    from sanctity.model.index import Offer
    from sanctity.model.timeline import Release, Resolution
    from sanctity.timeline.logbook import Logbook
    from sanctity.timeline.requirements import Requirements
    from sanctity.verbs.world import World

__all__ = ["Asked", "Bisecting", "Replayed", "Side", "bisect", "replay"]

_JOBS: Final = 8
#: A file that the command names takes part in the question, unless it is larger.
_LARGEST_INPUT: Final = 64 * 1024 * 1024
#: A Python that is named by its place.
_OWN_PYTHON: Final = re.compile(r".*/(?:python|pypy)[\d.]*")
#: Where ``--keep`` leaves the two environments, in the log's folder.
_KEPT: Final = ("bisect-passes", "bisect-fails")


def _say_nothing(_text: str) -> None:
    return


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the command line asks. *timeout* is in seconds, 0 for none."""

    requirements: str
    good: str
    bad: str
    command: tuple[str, ...]
    python: str = ""
    compare: str = ""
    repeat: int = 2
    timeout: int = 0
    log: str = "bisect.json"
    undated: tuple[str, ...] = ()
    only_binary: bool = False
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    keep: bool = False
    thorough: bool = False
    fresh: bool = False
    workers: int = 1


@dataclass(frozen=True, kw_only=True)
class Bisecting:
    """A bisect that came to an *answer*: its *question*, between the instants *good* and *bad*; the whole *document*."""

    answer: Answer
    question: Question
    counts: Counts
    good: str
    bad: str
    document: dict[str, Any]


def bisect(
    asked: Asked, world: World, *, narrate: Callable[[str], None] = _say_nothing, doing: Callable[[str], None] = _say_nothing
) -> Bisecting:
    """Which release made the command fail between two dates; *narrate* is told each step, *doing* what is being done.

    Raises:
        UsageError, DocumentError: something that was asked can not be read, or contradicts itself; ``bisect-log-other``.
        SanctityError: there is no break, or an end gives no verdict (as `sanctity.timeline.bisection.bisect`); or what is needed
        for
            it is not there.
    """
    from sanctity.timeline.dates import instant_of
    from sanctity.timeline.pythons import find_python
    from sanctity.timeline.requirements import read_requirements
    from sanctity.timeline.uv import find_uv
    from sanctity.timeline.workplace import alone_with_log

    now = datetime.now(UTC)
    good = instant_of(asked.good, now=now, where="--good")
    bad = instant_of(asked.bad, now=now, where="--bad")
    if good >= bad:
        raise UsageError("usage", f"{asked.good} is not before {asked.bad}", where="--good", hint="the command worked first")
    requirements = read_requirements(asked.requirements, cwd=world.cwd, extras=asked.extras, groups=asked.groups)
    question = _question(asked, requirements, world)
    uv = find_uv(world.environ)
    version, interpreter = find_python(question.python, uv=uv, environ=world.environ, cwd=world.cwd)
    question = replace(question, python=version)
    path = os.path.abspath(os.path.join(world.cwd, os.path.expanduser(asked.log)))
    with alone_with_log(path, asked.log):
        return _bisected(
            asked, world, requirements, question, path, narrate, doing, good=good, bad=bad, uv=uv, interpreter=interpreter
        )


def _bisected(
    asked: Asked,
    world: World,
    requirements: Requirements,
    question: Question,
    path: str,
    narrate: Callable[[str], None],
    doing: Callable[[str], None],
    *,
    good: str,
    bad: str,
    uv: str,
    interpreter: str,
) -> Bisecting:
    """The bisect of *question* between two instants, whose log at *path* nobody else writes."""
    from sanctity.timeline.bench import RealBench, Runner
    from sanctity.timeline.bisection import bisect as search
    from sanctity.timeline.building import Builder
    from sanctity.timeline.cache import cache_folder
    from sanctity.timeline.resolver import Resolver
    from sanctity.timeline.workplace import Workplace, alone_with

    log = _opened(path, asked, question, good=good, bad=bad)
    good, bad = log.good, log.bad  # today is another instant an hour later, and the question still the same
    if asked.compare and os.path.lexists(os.path.join(world.cwd, asked.compare)):
        words = "it is there already, and every run has to write it anew"
        raise UsageError("bisect-output-exists", words, where=asked.compare, hint="move it away: it is removed after each run")
    if asked.keep:
        _check_kept(path)
    for notice in _notices(question, world.environ):
        narrate(f"note: {notice}")
    began = world.clock()
    target = Target(python=question.python)
    heard = _listening(question.python, narrate)
    resolver = Resolver(
        uv=uv,
        environ=world.environ,
        target=target,
        cache=cache_folder(world.environ),
        python=interpreter,
        only_binary=question.only_binary,
        fresh=asked.fresh,
        heard=heard,
    )
    builder = Builder(
        uv=uv,
        environ=world.environ,
        requirements=requirements,
        python=question.python,
        undated=question.undated,
        interpreter=interpreter,
        only_binary=question.only_binary,
        heard=heard,
    )
    bench: RealBench | None = None

    def counts() -> Counts:
        return replace(bench.counts if bench is not None else Counts(), seconds=world.clock() - began)

    with ExitStack() as stack:
        stack.enter_context(waiting_for_children())
        if asked.compare:
            stack.enter_context(alone_with(os.path.join(world.cwd, asked.compare)))
        workplace = stack.enter_context(Workplace())
        stack.callback(resolver.close)
        stack.callback(builder.close)
        runner = Runner(question, builder, workplace, cwd=world.cwd, environ=world.environ)
        bench = RealBench(
            runner,
            resolver,
            requirements,
            log,
            repeat=asked.repeat,
            workers=asked.workers,
            narrate=narrate,
            doing=doing,
            find_withdrawn=lambda resolution: _withdrawn(resolution, good, bad, requirements.folder, world, narrate),
        )
        log.save()  # what can not be written is told before an hour of work, and not after it
        try:
            answer = search(_days(good, bad), bench, thorough=asked.thorough)
        except SanctityError as error:
            log.close(None, error, counts())
            raise
        words = "is not the file that it was at the start: the runs before it changed and those after may not have asked the same"
        changed = tuple(f"{path} {words}" for path in _changed_inputs(question, world.cwd))
        answer = replace(answer, notes=(*answer.notes, *changed))
        log.close(answer, None, counts())
        if asked.keep:
            first = answer.breaks[0]
            for name, side in zip(_KEPT, (first.passing, first.failing), strict=True):
                doing(f"making {name}")
                rows = log.pinned(str(side.digest)) or builder.pinned(side)
                builder.build(os.path.join(os.path.dirname(path), name), rows, side.at)
    return Bisecting(
        answer=answer,
        question=question,
        counts=log.counts,
        good=good,
        bad=bad,
        document=log.document(),
    )


# -- what is asked -----------------------------------------------------------------------------------------------------------------


def _days(good: str, bad: str) -> tuple[str, ...]:
    """*good*, every midnight (UTC) between, and *bad*: the instants that are searched."""
    end = datetime.fromisoformat(bad)
    here = datetime.fromisoformat(good).replace(hour=0, minute=0, second=0) + timedelta(days=1)
    found = [good]
    while here < end:
        found.append(here.strftime("%Y-%m-%dT%H:%M:%SZ"))
        here += timedelta(days=1)
    return (*found, bad)


def _question(asked: Asked, requirements: Requirements, world: World) -> Question:
    if not asked.command or not asked.command[0]:
        raise UsageError("usage", "there is no command", hint="sanctity bisect … requirements.txt -- python train.py")
    if _OWN_PYTHON.fullmatch(asked.command[0]):
        words = "it is a Python of its own, which never sees the environments that are made"
        raise UsageError("usage", words, where=asked.command[0], hint="name it python: each environment's own comes first on PATH")
    if asked.compare and asked.workers > 1:
        hint = "leave out --workers"
        raise UsageError("usage", "two runs at the same time would write the same result", where="--compare", hint=hint)
    if asked.compare:
        _check_compare(asked, world.cwd)
    files = [FileDigest(path=requirements.shown, digest=requirements.digest)]
    files += [FileDigest(path=word, digest=digest) for word in asked.command if (digest := _of_file(word, world.cwd)) is not None]
    return Question(
        requirements=requirements.shown,
        good=asked.good,
        bad=asked.bad,
        python=asked.python or "{}.{}".format(*sys.version_info[:2]),
        command=asked.command,
        compare=asked.compare,
        timeout=asked.timeout,
        undated=tuple(sorted(set(asked.undated))),
        only_binary=asked.only_binary,
        extras=requirements.extras,
        groups=requirements.groups,
        files=tuple(files),
    )


def _check_compare(asked: Asked, cwd: str) -> None:
    """Refuse a result that must not be removed after each run, or that is none of the command's."""
    where = f"--compare {asked.compare}"
    parts = [part for part in asked.compare.split(os.sep) if part not in {"", os.curdir}]
    while parts and parts[0] == os.pardir:
        del parts[0]
    if not parts:
        raise UsageError("usage", "it would be removed after each run", where=where, hint="name a file")
    # A folder that the command makes gives a ".." after it another meaning than when it was looked whether the result is there.
    if os.pardir in parts:
        words = "it goes down and up again, and whoever removes it may meet another folder"
        raise UsageError("usage", words, where=where, hint=f"name it {os.path.normpath(asked.compare)}")
    log = os.path.realpath(os.path.join(cwd, os.path.expanduser(asked.log)))
    result = os.path.realpath(os.path.join(cwd, asked.compare))
    if os.path.commonpath([log, result]) == result:
        words = "it is the log of this bisect, which is written in every run, whatever the command does"
        raise UsageError("usage", words, where=where, hint="name the file that the command writes, or another --log")


def _of_file(word: str, cwd: str) -> Digest | None:
    """The digest of the file that a *word* of the command names, None where it names none."""
    import hashlib

    path = os.path.join(cwd, word)
    try:
        if not word or "\0" in word or not os.path.isfile(path) or os.path.getsize(path) > _LARGEST_INPUT:
            return None
        with open(path, "rb") as file:
            return Digest.of_sha256(hashlib.file_digest(file, "sha256").digest())
    except OSError:
        return None


def _opened(path: str, asked: Asked, question: Question, *, good: str, bad: str) -> Logbook:
    """The log at *path*, to go on from, or a new one.

    Raises:
        DocumentError: what is there is no log of a bisect, or (``bisect-log-other``) one of another question.
    """
    from sanctity.errors import DocumentError
    from sanctity.timeline.logbook import Logbook, read_log

    new = Logbook(path, question, good=good, bad=bad)
    if not os.path.lexists(path):
        return new
    found = read_log(path, asked.log)
    if asked.fresh:
        return new
    if found.question != question:
        if not found.has_runs:  # nothing is lost with it, such as with one of a slip of the pen
            return new
        raise DocumentError(
            "bisect-log-other",
            f"it is the log of another bisect: {_differs(found.question, question)} differ",
            where=asked.log,
            hint="name another file with --log, or begin anew with --fresh",
        )
    found.answer = None
    return found


def _differs(one: Question, other: Question) -> str:
    """The words for what two questions differ in."""
    if one.files != other.files:
        changed = {each.path for each in set(one.files) ^ set(other.files)}
        return f"the bytes of {', '.join(sorted(changed))}"
    names = ("requirements", "good", "bad", "python", "command", "compare", "timeout", "undated", "only_binary", "extras", "groups")
    return ", ".join(name for name in names if getattr(one, name) != getattr(other, name)).replace("_", "-")


def _check_kept(log: str) -> None:
    for name in _KEPT:
        place = os.path.join(os.path.dirname(log), name)
        if os.path.lexists(place):
            words = "it is there already, and --keep would make it"
            raise UsageError("bisect-output-exists", words, where=place, hint=f"rm -r {name}, or leave out --keep")


def _notices(question: Question, environ: Mapping[str, str]) -> Iterator[str]:
    """What a reader should know of the runs."""
    if environ.get("PYTHONPATH"):
        yield "PYTHONPATH is set: what lies there came before the packages of every environment"
    if os.path.basename(question.command[0]) in {"uv", "uvx", "poetry", "pipenv", "pdm", "hatch", "conda", "pixi", "tox", "nox"}:
        word = question.command[0]
        yield f"{word} chooses an environment of its own, and may not have used the ones that were made: name the program itself"


def _listening(python: str, narrate: Callable[[str], None]) -> Callable[[str], None]:
    """Who hears what uv writes, and tells once of each release that uv builds from source, which may take long."""
    from sanctity.timeline.uv import built_in

    told: set[tuple[str, str]] = set()

    def heard(line: str) -> None:
        found = built_in(line)
        if found is not None and found not in told:
            told.add(found)
            words = f"note: {found[0]} {found[1]} has no wheel for Python {python}, uv builds it from source"
            narrate(f"{words} (an older --python may have wheels of that date)")

    return heard


# -- what was withdrawn ------------------------------------------------------------------------------------------------------------


def _withdrawn(
    resolution: Resolution, good: str, bad: str, folder: str, world: World, narrate: Callable[[str], None]
) -> tuple[Withdrawn, ...]:
    """The yanked releases that were uploaded between *good* and *bad* and are newer than what *resolution* has, the last first."""
    from sanctity.verbs.sources import fetcher_for

    fetcher = fetcher_for(folder, world, offline=False)

    def ask(release: Release) -> list[Withdrawn]:
        try:
            return _yanked(fetcher, release, good, bad)
        except SanctityError as error:
            narrate(f"note: whether a release of {release.name} was yanked since could not be asked: {error.message}")
            return []

    with ThreadPoolExecutor(_JOBS) as pool:
        found = list(pool.map(ask, resolution.releases))
    return tuple(sorted((each for some in found for each in some), key=lambda each: (each.uploaded, each.name), reverse=True))


def _yanked(fetcher: Fetcher, release: Release, good: str, bad: str) -> list[Withdrawn]:
    """The yanked releases of one package; none where it is from no index."""
    try:
        chosen = Version(release.version)
    except InvalidVersion:
        return []
    offers: dict[Version, list[Offer]] = {}
    for offer in fetcher.project(release.name):
        version = _version_of(offer.filename)
        if version is not None and version > chosen and (not version.is_prerelease or chosen.is_prerelease):
            offers.setdefault(version, []).append(offer)
    found = []
    for version, files in offers.items():
        times = sorted(instant for file in files if (instant := _instant(file.upload_time)))
        if all(file.yanked is not None for file in files) and times and good <= times[0] < bad:
            reason = next((file.yanked for file in files if file.yanked and file.yanked.strip()), "")
            found.append(Withdrawn(name=release.name, version=str(version), uploaded=times[0], reason=(reason or "").strip()))
    return found


def _version_of(filename: str) -> Version | None:
    try:
        return parse_wheel_filename(filename)[1] if filename.endswith(".whl") else parse_sdist_filename(filename)[1]
    except (InvalidWheelFilename, InvalidSdistFilename, InvalidVersion):
        return None


def _instant(text: str) -> str:
    """The time *text* of an index in UTC and whole seconds; empty where it is none."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if text else ""
    except ValueError:
        return ""


# -- the replay --------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of the two decisive environments, tried again *at* its instant: what it was, and what it is now (*run*, *outcome*)."""

    name: str
    at: str
    expected: Outcome
    outcome: Outcome
    reason: str
    packages: int
    run: Run | None = None

    @property
    def agrees(self) -> bool:
        """Whether it is what it was."""
        return self.outcome is self.expected


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """A replay of the log *path*: its answer in one *line*, and both *sides*."""

    path: str
    line: str
    sides: tuple[Side, ...]
    counts: Counts
    notices: tuple[str, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether both sides are what they were."""
        return all(side.agrees for side in self.sides)


def replay(
    path: str, world: World, *, narrate: Callable[[str], None] = _say_nothing, doing: Callable[[str], None] = _say_nothing
) -> Replayed:
    """Build the two decisive environments of the log at *path* from its pins and hashes, and run its command in each once.

    Raises:
        DocumentError: ``bisect-log-invalid``; or ``bisect-log-unfinished``, the bisect came to no answer.
        SanctityError: the command, uv or the Python is not there.
    """
    from sanctity.errors import DocumentError
    from sanctity.model.bisecting import Outcome, day
    from sanctity.timeline.bench import Runner, verdict
    from sanctity.timeline.building import Builder, Unbuildable
    from sanctity.timeline.logbook import read_log
    from sanctity.timeline.pythons import find_python
    from sanctity.timeline.requirements import Requirements
    from sanctity.timeline.uv import find_uv
    from sanctity.timeline.workplace import Workplace, alone_with

    log = read_log(os.path.join(world.cwd, os.path.expanduser(path)), path)
    line, pairs = _decisive(log, path)
    question = log.question
    if question.compare and os.path.lexists(os.path.join(world.cwd, question.compare)):
        words = "it is there already, and every run has to write it anew"
        raise UsageError("bisect-output-exists", words, where=question.compare, hint="move it away: it is removed after each run")
    notices = [f"{word} is not the file it was" for word in _changed_inputs(question, world.cwd)]
    # The log may be another's: who reads along sees what it has run before it runs.
    narrate(f"runs, from {path}: {shlex.join(question.command)}")
    began = world.clock()
    # Nothing is resolved, so the requirements themselves are not needed; uv's configuration is that of their folder.
    place = os.path.abspath(os.path.join(world.cwd, question.requirements))
    place = place if os.path.isdir(os.path.dirname(place)) else os.path.join(world.cwd, "requirements.txt")
    here = Requirements(path=place, shown=path, digest=Digest.of_sha256(bytes(32)))
    uv = find_uv(world.environ)
    version, interpreter = find_python(question.python, uv=uv, environ=world.environ, cwd=world.cwd)
    builder = Builder(
        uv=uv,
        environ=world.environ,
        requirements=here,
        python=version,
        interpreter=interpreter,
        only_binary=question.only_binary,
        undated=question.undated,
    )
    sides: list[Side] = []
    with ExitStack() as stack:
        stack.enter_context(waiting_for_children())
        if question.compare:
            stack.enter_context(alone_with(os.path.join(world.cwd, question.compare)))
        workplace = stack.enter_context(Workplace())
        stack.callback(builder.close)
        runner = Runner(question, builder, workplace, cwd=world.cwd, environ=world.environ)
        for name, expected, at, key in pairs:
            entry = log.environments[key]
            if not entry.rows:
                words = "it has no hashes of a decisive environment, or it has a URL whose password or query no log keeps"
                raise DocumentError("bisect-log-invalid", words, where=path, hint="bisect again")
            doing(f"{name}: {len(entry.rows)} packages, from their hashes")
            reference = next((run.result for run in log.environments[pairs[0][3]].runs if run.result is not None), None)
            run: Run | None = None
            try:
                run = runner.run(key, entry.rows, at)
                outcome, reason = verdict(run, compare=question.compare, reference=reference)
            except Unbuildable as error:
                outcome, reason = Outcome.UNBUILDABLE, str(error)
            narrate(f"{day(at)}: {outcome}: {reason}")
            sides.append(
                Side(name=name, at=at, expected=expected, outcome=outcome, reason=reason, packages=len(entry.rows), run=run)
            )
        counts = Counts(builds=runner.builds, runs=runner.runs, seconds=world.clock() - began)
    return Replayed(path=path, line=line, sides=tuple(sides), counts=counts, notices=(*notices, *_notices(question, world.environ)))


def _decisive(log: Logbook, path: str) -> tuple[str, list[tuple[str, Outcome, str, str]]]:
    """The answer of a *log* in one line, and of its two environments: name, outcome, instant and digest.

    Raises:
        DocumentError: it has no answer.
    """
    from sanctity.errors import DocumentError
    from sanctity.model.bisecting import Outcome

    if log.answer is None:
        raise DocumentError(
            "bisect-log-unfinished", "it has no answer yet", where=path, hint="give the same question again: it goes on from there"
        )
    try:
        first = log.answer["breaks"][0]
        pairs = [
            (name, outcome, str(first[name]["at"]), str(first[name]["environment"]))
            for name, outcome in (("passing", Outcome.PASS), ("failing", Outcome.FAIL))
        ]
        line = str(log.answer["line"])
        datetime.fromisoformat(pairs[0][2])
        datetime.fromisoformat(pairs[1][2])
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise DocumentError(
            "bisect-log-invalid", f"its answer can not be read: {error!r}"[:200], where=path, hint="bisect again"
        ) from error
    if missing := [key for _, _, _, key in pairs if key not in log.environments]:
        words = f"it has no environment {missing[0][:26]}"
        raise DocumentError("bisect-log-invalid", words, where=path, hint="bisect again")
    return line, pairs


def _changed_inputs(question: Question, cwd: str) -> list[str]:
    """The files of the command that are not what they were."""
    words = set(question.command)
    return [each.path for each in question.files if each.path in words and _of_file(each.path, cwd) != each.digest]
