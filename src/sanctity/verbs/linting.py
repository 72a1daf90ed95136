"""Lint: locks and projects read, judged by rules, and told; nothing is run and nothing is changed.

A lock that can not be read does not keep the others from being judged: what is wrong with it is a finding like any other.
"""

from __future__ import annotations

import os
import posixpath
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from sanctity.errors import DocumentError, UsageError
from sanctity.model.drift import Severity
from sanctity.model.finding import LintedLock, Linting
from sanctity.verbs.world import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sanctity.linting.subject import Subject
    from sanctity.model.finding import Finding
    from sanctity.model.lock import Lock
    from sanctity.verbs.world import World

__all__ = ["Lint", "lint"]

#: A place that names its own line, and perhaps the file that it is in.
_LINE: Final = re.compile(r"(?:(?P<file>.+): )?line (?P<line>\d+)(?: column \d+)?")
_WEIGHT: Final = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.NOTE: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Lint:
    """What a lint is asked to do: with *strict* warnings weigh as much as errors."""

    strict: bool = False


def lint(named: Iterable[str], world: World, *, asked: Lint = Lint()) -> Linting:  # noqa: B008 - a frozen value
    """Judge the locks *named*: files, or folders of projects; without any, the project in the working folder.

    Raises:
        UsageError: something named is not there, or is neither file nor folder.
    """
    from sanctity.observe.lock_files import find_locks

    locks: list[LintedLock] = []
    findings: list[Finding] = []
    unreadable = False
    projects: list[str] = []
    paths: dict[str, None] = {}
    for name in tuple(named) or (".",):
        place = os.path.join(world.cwd, os.path.expanduser(name))
        if os.path.isdir(place):
            projects.append(os.path.normpath(place))
            paths.update(dict.fromkeys(shown(path, world) for path in find_locks(os.path.normpath(place))))
        else:
            paths[os.path.expanduser(name)] = None
    for path in paths:
        linted, found = _judge(path, world)
        locks.append(linted)
        findings += found
        unreadable = unreadable or linted.lock is None
    return Linting(
        locks=tuple(locks),
        findings=tuple(sorted(findings, key=_order)),
        project=shown(projects[0], world) if projects else "",
        unreadable=unreadable,
        strict=asked.strict,
    )


def _order(finding: Finding) -> tuple[str, int, str, int, str, str]:
    return (finding.path, _WEIGHT[finding.severity], finding.code, finding.line, finding.package, finding.version)


def _judge(path: str, world: World) -> tuple[LintedLock, tuple[Finding, ...]]:
    """The lock at *path* and the findings on it, each with its file and line."""
    from sanctity.linting.rules import judge, judge_unreadable
    from sanctity.lockfiles.summary import summarise
    from sanctity.observe.locks import read_lock

    try:
        lock = read_lock(path)
    except DocumentError as error:
        return LintedLock(path=path, lock=None), tuple(_placed(each, {}) for each in judge_unreadable(error, path))
    found = judge(_subject(lock, world))
    lines = _lines(lock, os.path.join(world.cwd, path)) if found else {}
    return LintedLock(path=path, lock=lock, summary=summarise(lock)), tuple(_placed(each, lines) for each in found)


def _subject(lock: Lock, world: World) -> Subject:
    from sanctity.linting.subject import Subject

    return Subject(lock=lock)


def _lines(lock: Lock, whole: str) -> Mapping[tuple[str, str], int]:
    """The line of each package in the lock that lies at *whole*."""
    from sanctity.lockfiles.lines import lines

    try:
        with open(whole, encoding="utf-8-sig") as file:
            return lines(file.read(), lock.format)
    except (OSError, ValueError):
        return {}


def _placed(finding: Finding, lines: Mapping[tuple[str, str], int]) -> Finding:
    """*finding* with the line it is on, and with the file where another one than the lock's own is meant."""
    from sanctity.lockfiles.lines import nearest

    match = _LINE.fullmatch(finding.where)
    if match is not None:
        file = posixpath.join(posixpath.dirname(finding.path), match["file"]) if match["file"] else finding.path
        return replace(finding, path=file, line=int(match["line"]))
    line = nearest(lines, finding.package, finding.version) if finding.package else None
    return replace(finding, line=line or 0)
