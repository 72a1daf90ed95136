"""Lint: locks and projects read, judged by rules, and told; nothing is run and nothing is changed.

A lock that can not be read does not keep the others from being judged: what is wrong with it is a finding like any other.
"""

from __future__ import annotations

import os
import posixpath
import re
import sys
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from sanctity.errors import DocumentError, SanctityError, UsageError
from sanctity.model.drift import ReferenceKind, Severity
from sanctity.model.finding import LintedLock, Linting
from sanctity.model.lock import LockFormat
from sanctity.verbs.world import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sanctity.linting.baseline import Key
    from sanctity.linting.remedies import Step
    from sanctity.model.drift import Reference, Unchecked
    from sanctity.model.environment import Interpreter
    from sanctity.model.finding import Finding
    from sanctity.model.lock import Lock
    from sanctity.model.wheel import Opened
    from sanctity.verbs.proving import Means
    from sanctity.verbs.world import World

__all__ = ["BASELINE", "Lint", "Linted", "lint", "lint_errors"]

#: The name of a project's file of what is known.
BASELINE: Final = "lint.baseline.json"
_LARGEST: Final = 1 << 26
_HEAD: Final = 1 << 24
#: A place that names its own line, and perhaps the file that it is in.
_LINE: Final = re.compile(r"(?:(?P<file>.+): )?(?P<line>line (?P<number>\d+)(?: column \d+)?)")
_WEIGHT: Final = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.NOTE: 2}
#: What is found only where wheels are opened.
_OPENED: Final = frozenset({"wheel-hook", "wheel-runpath", "artifact-mismatch"})
_CONTRADICTED: Final = "artifact-mismatch"
#: The Pythons that a lock is tried with which does not say for which it is.
_MINORS: Final = (14, 13, 12, 11, 10, 9, 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lint:
    """What a lint is asked to do.

    With *strict* warnings weigh as much as errors. *baseline* is the file of what is known; by default the project's own, and
    with *write_baseline* everything found becomes known. *platform* and *python* name what wheels are judged for. With *means* the
    locked wheels are opened.
    """

    strict: bool = False
    baseline: str = ""
    write_baseline: bool = False
    platform: str = ""
    python: str = ""
    means: Means | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Linted:
    """What a lint came to: the *linting*, the *steps* that mend what can be mended, and the path and text of a new *baseline*."""

    linting: Linting
    steps: tuple[Step, ...] = ()
    baseline: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Document:
    """A document that was read: its *lock* and its *text*, or the *error* for which there is none.

    *likeness* is the format that its text begins like, where its name says another one.
    """

    path: str
    lock: Lock | None = None
    error: DocumentError | None = None
    likeness: str = ""
    text: str = ""


def lint(named: Iterable[str], world: World, *, asked: Lint = Lint()) -> Linted:
    """Judge the locks *named*: files, or folders of projects; without any, the project in the working folder.

    Raises:
        UsageError: a platform or Python that is asked for is none, or a folder can not be listed.
        DocumentError: the baseline can not be read.
    """
    from sanctity.linting.remedies import mended, steps_for

    paths, projects = _named(tuple(named) or (".",), world)
    own = next(iter(projects)) if len(projects) == 1 else world.cwd if projects else _beside_it(paths[0], world)
    known, baseline = _baseline(asked, own, world)
    documents = [_read(path, world) for path in paths]
    if projects:
        documents = _entries(documents)
    locks: list[LintedLock] = []
    findings: list[Finding] = []
    unchecked: list[Unchecked] = []
    judged_for: dict[str, None] = {}
    for document in documents:
        if document.lock is None:
            locks.append(LintedLock(path=document.path, lock=None))
            findings += _unreadable(document)
            continue
        found, blind, words = _judge(document.lock, document.text, world, asked)
        locks.append(_linted(document.lock))
        findings += found
        unchecked += blind
        if words:
            judged_for[words] = None
    for project, its in projects.items():
        findings += _of_project(project, world, [each for each in locks if each.path in its])
    linting = Linting(
        locks=tuple(locks),
        findings=tuple(sorted(dict.fromkeys(findings), key=_order)),
        project=", ".join("." if project == world.cwd else shown(project, world) for project in projects),
        unreadable=any(document.lock is None for document in documents),
        strict=asked.strict,
        judged_for=", ".join(judged_for),
        unchecked=tuple(unchecked),
    )
    linting, written = _settled(linting, known, baseline, asked, world)
    steps = steps_for(linting.findings, [(each.lock, each.text) for each in documents if each.lock is not None])
    linting = replace(linting, findings=mended(linting.findings, steps))
    return Linted(linting=linting, steps=steps, baseline=written)


def lint_errors(reference: Reference, project: str, world: World) -> tuple[tuple[Finding, ...], str]:
    """The errors in the lock that *reference* is, else in the lock of *project*, and why they are not known, if they are not.

    That is what `check` asks: it has the lock read already, and looks at nothing around it.
    """
    from sanctity.observe.places import find_lock

    try:
        path = reference.path if reference.kind is ReferenceKind.LOCK else ""
        if not path and reference.kind is not ReferenceKind.NONE:
            path = find_lock(os.path.join(world.cwd, project))[0]
        if not path:
            return (), ""
        found = lint((shown(path, world),), world).linting
    except SanctityError as error:
        return (), f"{error.code}: {error.where}: {error.message}; the lock was not linted"
    return tuple(each for each in found.findings if found.gates(each)), ""


# --- What is judged ----------------------------------------------------------------------------------------------------------


def _named(named: Sequence[str], world: World) -> tuple[tuple[str, ...], dict[str, frozenset[str]]]:
    """The paths of the documents that are meant, as shown, and the absolute folders of projects among them with those of each."""
    from sanctity.observe.lock_files import find_locks
    from sanctity.verbs.projects import shown_from

    projects: dict[str, frozenset[str]] = {}
    paths: dict[str, None] = {}
    for name in named:
        place = os.path.normpath(os.path.join(world.cwd, os.path.expanduser(name)))
        if os.path.isdir(place):
            found = [shown_from(path, world) for path in find_locks(place)]
            projects[place] = frozenset(found)
            paths.update(dict.fromkeys(found))
        else:
            paths[os.path.expanduser(name)] = None
    return tuple(paths), projects


def _read(path: str, world: World) -> _Document:
    from sanctity.observe.locks import read_lock
    from sanctity.observe.view import View

    place = os.path.join(world.cwd, path)
    if not os.path.lexists(place):
        hint = "name a lock, or the folder of a project"
        return _Document(path=path, error=DocumentError("lock-not-found", "there is nothing of that name", where=path, hint=hint))
    try:
        lock = read_lock(path, partial=True)
        text = View().read(place, _LARGEST).decode("utf-8-sig", "replace")
    except DocumentError as error:
        return _Document(path=path, error=error, likeness=_likeness(place))
    except OSError as error:
        told = DocumentError("lock-unreadable", f"can not be read: {error.strerror}", where=path)
        return _Document(path=path, error=told)
    return _Document(path=path, lock=lock, text=text)


def _likeness(place: str) -> str:
    """The format that the text of the file at *place* begins like, where its name is another format's; else empty."""
    from sanctity.lockfiles import reader_for
    from sanctity.observe.view import View

    try:
        text = View().read_head(place, _HEAD).decode("utf-8", "replace")
    except OSError:
        return ""
    named, told = reader_for(os.path.basename(place)), reader_for(".lock-of-any-name.lock", text)
    return str(told.FORMAT) if named is not None and told is not None and named.FORMAT is not told.FORMAT else ""


def _entries(documents: list[_Document]) -> list[_Document]:
    """*documents* without those that another one includes: alone they may lack the constraints that they are read with."""
    left_out: set[str] = set()
    includes = {
        each.path: {_beside(each.path, name) for name in each.lock.files}
        for each in documents
        if each.lock is not None and each.lock.format is LockFormat.REQUIREMENTS
    }
    for each in documents:
        if any(each.path in files for path, files in includes.items() if path not in left_out and path != each.path):
            left_out.add(each.path)
    return [each for each in documents if each.path not in left_out]


def _beside(path: str, name: str) -> str:
    """The file *name*, as seen from the folder of *path*, as it is shown."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), name))


def _of_project(project: str, world: World, locks: Sequence[LintedLock]) -> tuple[Finding, ...]:
    from sanctity.verbs.projects import judge_project

    return judge_project(project, world, locks)


# --- Judging -----------------------------------------------------------------------------------------------------------------


def _linted(lock: Lock) -> LintedLock:
    from sanctity.lockfiles.summary import summarise

    return LintedLock(path=lock.path, lock=lock, summary=summarise(lock))


def _unreadable(document: _Document) -> tuple[Finding, ...]:
    from sanctity.linting.rules import judge_unreadable

    assert document.error is not None
    found = tuple(_placed(each, {}) for each in judge_unreadable(document.error, document.path))
    if document.likeness:
        hint = f"its text begins as that of the format {document.likeness} does: call it by that format's name"
        found = tuple(replace(each, hint=hint) for each in found)
    return found


def _judge(lock: Lock, text: str, world: World, asked: Lint) -> tuple[tuple[Finding, ...], tuple[Unchecked, ...], str]:
    """The findings on *lock*, each with its file and line, what could not be opened, and what wheels were judged for."""
    from sanctity.linting.remedies import remedy_of
    from sanctity.linting.rules import judge
    from sanctity.linting.subject import Subject
    from sanctity.lockfiles.lines import lines
    from sanctity.verbs.opening import look_into

    folder = os.path.dirname(os.path.abspath(os.path.join(world.cwd, lock.path)))
    interpreter, words = _interpreter(lock, folder, world, asked)
    opened = look_into(lock, lock.pins, world, asked.means) if asked.means is not None else None
    remedy = remedy_of(lock, text)
    subject = Subject(
        lock=lock,
        interpreter=interpreter,
        judged_for=words,
        remedy=remedy.words,
        command=remedy.command,
        inside=_inside(folder),
        opened=opened.facts if opened is not None else {},
    )
    found = (*judge(subject), *(_contradicted(lock, opened) if opened is not None else ()))
    places = lines(text, lock.format) if found else {}
    placed = tuple(_placed(each, places) for each in found)
    used = any(each.code == "no-wheel-for-platform" for each in found)
    blind = tuple(each for each in opened.unchecked if each.code != _CONTRADICTED) if opened is not None else ()
    return placed, blind, words if used else ""


def _contradicted(lock: Lock, opened: Opened) -> Iterator[Finding]:
    """Pins of *lock* under whose names there is something else to be had than is locked."""
    from sanctity.linting.subject import finding

    hint = "find out which of the two changed, the lock or what is there, before you lock again"
    for pin in lock.pins:
        words = opened.contradicted.get((pin.name, pin.version))
        if words is not None:
            yield replace(
                finding(_CONTRADICTED, words, pin=pin, hint=hint, severity=Severity.ERROR, about=(words,)), path=lock.path
            )


def _order(finding: Finding) -> tuple[str, int, str, int, str, str]:
    return (finding.path, _WEIGHT[finding.severity], finding.code, finding.line, finding.package, finding.version)


def _placed(finding: Finding, lines: Mapping[tuple[str, str], int]) -> Finding:
    """*finding* with the line it is on, and with the file where another one than the lock's own is meant."""
    from sanctity.lockfiles.lines import nearest

    match = _LINE.fullmatch(finding.where)
    if match is not None:
        path = _beside(finding.path, match["file"]) if match["file"] else finding.path
        return replace(finding, path=path, where=match["line"], line=int(match["number"]))
    line = nearest(lines, finding.package, finding.version) if finding.package else None
    return replace(finding, line=line or 0)


def _inside(folder: str) -> str:
    """*folder* as seen from the root of the git repository that it is in, empty for the root itself and where it is in none."""
    root = folder
    while not os.path.exists(f"{root}/.git"):
        parent = os.path.dirname(root)
        if parent == root:
            return ""
        root = parent
    return "" if root == folder else os.path.relpath(folder, root).replace(os.sep, "/")


# --- For whom wheels are judged ----------------------------------------------------------------------------------------------


def _interpreter(lock: Lock, folder: str, world: World, asked: Lint) -> tuple[Interpreter | None, str]:
    """The interpreter that the wheels of *lock*, which lies in *folder*, are judged for, and its name.

    It is the one that is asked for, else the one of the project's environment, else one on this platform that the lock allows.

    Raises:
        UsageError: what is asked for is no platform, or no Python.
    """
    from sanctity.errors import NoEnvironmentError
    from sanctity.observe.interpreters import executable_at
    from sanctity.observe.places import find_environment
    from sanctity.plan.interpreters import platform_name
    from sanctity.plan.needs import named_interpreter

    installed = executable_at(sys.prefix) or executable_at(sys.executable)
    own = installed.interpreter if installed is not None else None
    if asked.platform or asked.python:
        platform = asked.platform or (platform_name(own) if own is not None else "")
        python = asked.python or _allowed(lock, own)
        if not python:
            return None, ""
        found = named_interpreter(platform, python)
        return found, f"Python {python} on {platform}"
    try:
        place = find_environment(folder, environ={}, cwd=world.cwd)
    except (NoEnvironmentError, UsageError):
        place = None
    there = executable_at(place.prefix) if place is not None else None
    if there is not None and place is not None:
        return there.interpreter, f"Python {there.interpreter.version} on {platform_name(there.interpreter)}, as in {place.shown}"
    if own is None:
        return None, ""
    python = _allowed(lock, own)
    if not python:
        return None, ""
    found = own if f"{own.version}.".startswith(f"{python}.") else named_interpreter(platform_name(own), python)
    return found, f"Python {python} on {platform_name(own)}"


def _allowed(lock: Lock, own: Interpreter | None) -> str:
    """A Python ``3.N`` that *lock* is for: this tool's own, else the newest; of one that does not say, what its wheels are for.

    Empty where what it says can not be read: then no wheel is judged.
    """
    from sanctity.compare.markers import satisfies

    mine = ".".join(own.version.split(".")[:2]) if own is not None else ""
    if lock.requires_python:
        known = {f"3.{minor}": satisfies(lock.requires_python, f"3.{minor}") for minor in _MINORS}
        if all(each is None for each in known.values()):
            return ""
        allowed = [minor for minor, each in known.items() if each is not False]
        return mine if mine in allowed or not allowed else allowed[0]
    named = Counter(
        tag
        for pin in lock.pins
        for artifact in pin.artifacts
        if artifact.filename.endswith(".whl")
        for tag in {f"3.{minor}" for minor in re.findall(r"-cp3(\d+)-cp3", artifact.filename)}
    )
    return mine if not named or named[mine] == max(named.values()) else max(named, key=lambda each: (named[each], len(each), each))


# --- What is known -----------------------------------------------------------------------------------------------------------


def _beside_it(path: str, world: World) -> str:
    """The folder whose baseline counts for the lock at *path*: the working folder, else the lock's own, where there is one."""
    own = os.path.dirname(os.path.abspath(os.path.join(world.cwd, path)))
    return own if os.path.lexists(f"{own}/{BASELINE}") and not os.path.lexists(f"{world.cwd}/{BASELINE}") else world.cwd


def _baseline(asked: Lint, folder: str, world: World) -> tuple[Counter[Key] | None, str]:
    """What is known, None where there is no baseline, and the path of the file, as it is shown.

    Raises:
        DocumentError: it is there and can not be read, or it was named and is not there.
    """
    from sanctity.linting.baseline import is_baseline, parse_baseline
    from sanctity.observe.view import View

    path = os.path.expanduser(asked.baseline) or shown(f"{folder}/{BASELINE}", world)
    data = b""
    try:
        data = View().read(os.path.join(world.cwd, path), _LARGEST)
        return parse_baseline(data, path), path
    except FileNotFoundError as error:
        if not asked.baseline or asked.write_baseline:
            return None, path
        hint = "write it: sanctity lint --write-baseline"
        raise DocumentError("baseline-unreadable", "there is no such file", where=path, hint=hint) from error
    except OSError as error:
        raise DocumentError("baseline-unreadable", error.strerror or "it can not be read", where=path) from error
    except DocumentError:
        if not asked.write_baseline:
            raise
        if os.path.basename(path) != BASELINE and not is_baseline(data):
            hint = "name another file: what is no baseline is not written over"
            raise DocumentError("baseline-syntax", "it is no baseline, and is let be", where=path, hint=hint) from None
        return None, path


def _settled(
    linting: Linting, known: Counter[Key] | None, path: str, asked: Lint, world: World
) -> tuple[Linting, tuple[str, str] | None]:
    """*linting* with what is known marked, and the text to be written to the baseline at *path*, if any is."""
    from sanctity.linting.baseline import format_baseline, parse_baseline, settle

    folder = os.path.dirname(os.path.abspath(os.path.join(world.cwd, path)))

    def place(file: str) -> str:
        return os.path.relpath(os.path.join(world.cwd, file), folder).replace(os.sep, "/")

    # What can not be read can not be let be: nobody knows what is in it.
    blind = {each.path for each in linting.locks if each.lock is None}
    lasting = [each for each in linting.findings if each.path not in blind]
    written = None
    if asked.write_baseline:
        text = format_baseline(lasting, place)
        known, written = parse_baseline(text.encode(), path), (path, text)
    if known is None:
        return linting, None
    told, gone = settle(lasting, known, place)
    here = {place(path) for path in (*(each.path for each in linting.locks), *(each.path for each in linting.findings))}
    words = dict.fromkeys(
        " ".join(part for part in (key.code, key.package, f"in {key.path}") if part)
        for key in gone
        if (linting.project or key.path in here) and (key.code not in _OPENED or asked.means is not None)
    )
    others = [each for each in linting.findings if each.path in blind]
    findings = tuple(sorted((*told, *others), key=_order))
    return replace(linting, findings=findings, baseline=path, gone=tuple(words)), written
