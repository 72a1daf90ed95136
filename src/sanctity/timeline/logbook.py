"""The log of a bisect on disk: the document ``sanctity.bisect/1``, written whole after every step, to a temporary name and renamed.

It holds what a bisect that was ended takes up again, and what builds the two decisive environments again without resolving: pins
and hashes. What is read from it is checked first; a log of another question is never mixed with this one.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, cast

from sanctity.errors import DocumentError, SanctityError
from sanctity.model.bisecting import Counts, FileDigest, Kept, Pinned, Question, Run
from sanctity.model.digest import Digest
from sanctity.model.timeline import Release, Resolution
from sanctity.model.wire import Reader
from sanctity.report.bisect import answer_document, log_document

if TYPE_CHECKING:
    from sanctity.model.bisecting import Answer

__all__ = ["Logbook", "read_log"]

_LARGEST: Final = 256 * 1024 * 1024
_SCHEMA: Final = "sanctity.bisect/1"
_INSTANT: Final = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z", re.ASCII)
_HINT: Final = "name another file with --log, or remove it"


class Logbook:
    """What a bisect of *question* between the instants *good* and *bad* did so far, kept in the file *path* (nowhere if empty)."""

    def __init__(self, path: str, question: Question, *, good: str, bad: str) -> None:
        self.path = path
        self.question = question
        self.good = good
        self.bad = bad
        self.resolutions: dict[tuple[str, tuple[str, ...]], Resolution] = {}
        self.environments: dict[str, Kept] = {}
        self.steps: list[str] = []
        self.counts = Counts()
        self.answer: dict[str, Any] | None = None
        self.error: SanctityError | None = None

    @property
    def has_runs(self) -> bool:
        """Whether the command was run before."""
        return any(entry.runs for entry in self.environments.values())

    def resolution(self, at: str, constraints: tuple[str, ...]) -> Resolution | None:
        """What was resolved at an instant under *constraints*, which are sorted."""
        return self.resolutions.get((at, constraints))

    def entry(self, key: str) -> Kept | None:
        """What is known of the environment with the digest *key*."""
        return self.environments.get(key)

    def pinned(self, key: str) -> tuple[Pinned, ...] | None:
        """Its rows, with hashes."""
        entry = self.environments.get(key)
        return entry.rows if entry is not None and entry.rows else None

    def step(self, text: str) -> None:
        """Write down a line of the narration; it is saved with the next thing that is kept."""
        self.steps.append(text)

    def keep_resolution(self, constraints: tuple[str, ...], resolution: Resolution) -> None:
        """Keep what was resolved."""
        self.resolutions[resolution.at, constraints] = resolution
        if not resolution.failure:
            self.environments.setdefault(str(resolution.digest), Kept(at=resolution.at))
        self.save()

    def keep_pinned(self, key: str, rows: tuple[Pinned, ...]) -> None:
        """Keep the rows of an environment."""
        self.environments[key] = replace(self.environments.get(key, Kept()), rows=rows)

    def keep_failure(self, key: str, why: str, reason: str) -> None:
        """Keep why an environment can not be built."""
        entry = self.environments.get(key, Kept())
        self.environments[key] = replace(entry, failure=reason, why=entry.why or why)
        self.save()

    def keep_run(self, key: str, why: str, run: Run) -> None:
        """Keep one run of the command in an environment."""
        entry = self.environments.get(key, Kept())
        self.environments[key] = replace(entry, runs=(*entry.runs, run), why=entry.why or why)
        self.save()

    def close(self, answer: Answer | None, error: SanctityError | None, counts: Counts) -> None:
        """Keep how it ended."""
        self.answer = answer_document(answer, self.question) if answer is not None else None
        self.error, self.counts = error, counts
        self.save()

    def document(self) -> dict[str, Any]:
        """All of it as plain values."""
        return log_document(
            self.question,
            good=self.good,
            bad=self.bad,
            resolutions=self.resolutions,
            environments=self.environments,
            steps=self.steps,
            counts=self.counts,
            answer=self.answer,
            error=self.error,
        )

    def save(self) -> None:
        """Write it.

        Raises:
            SanctityError: ``output-failed``.
        """
        if not self.path:
            return
        temporary = f"{self.path}.{os.getpid()}.{os.urandom(4).hex()}.tmp"
        try:
            with os.fdopen(
                os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "w", encoding="utf-8", errors="backslashreplace"
            ) as file:
                json.dump(self.document(), file, indent=1, ensure_ascii=False)
                file.write("\n")
            os.replace(temporary, self.path)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            words = error.strerror or "it can not be written"
            raise SanctityError("output-failed", words, where=self.path, hint="name another file with --log") from error


def read_log(path: str, shown: str) -> Logbook:
    """The log at *path*, which people call *shown*.

    Raises:
        DocumentError: ``bisect-log-invalid``: it can not be read, or is no log of a bisect.
    """
    try:
        if os.path.exists(path) and not os.path.isfile(path):  # nobody may ever write to a FIFO
            raise _invalid("it is no regular file", shown)
        with open(path, "rb") as file:
            data = file.read(_LARGEST + 1)
        if len(data) > _LARGEST:
            raise _invalid("it is too large", shown)
        document = json.loads(data)
    except OSError as error:
        raise _invalid(error.strerror or "it can not be read", shown) from error
    except (ValueError, RecursionError) as error:
        raise _invalid(f"it is no JSON: {error}"[:300], shown) from error
    if not isinstance(document, dict) or document.get("schema") != _SCHEMA:
        said = document.get("schema") if isinstance(document, dict) else None
        raise _invalid(f"it is no log of a bisect: its schema is {said!r}"[:200], shown)
    try:
        return _log(cast("dict[str, object]", document), path, shown)
    except DocumentError as error:
        if error.code == "bisect-log-invalid":
            raise
        raise _invalid(error.message, error.where) from error
    except (ValueError, OverflowError) as error:
        raise _invalid(str(error)[:300], shown) from error


def _invalid(message: str, where: str) -> DocumentError:
    return DocumentError("bisect-log-invalid", message, where=where, hint=_HINT)


def _log(document: dict[str, object], path: str, shown: str) -> Logbook:
    reader = Reader(shown, noun="bisect-log", hint=_HINT)
    empty: dict[str, object] = {}
    stated = reader.need(document, "question", dict, empty, "")
    files = []
    for place, row in reader.tables(stated, "files", "question"):
        files.append(FileDigest(path=reader.need(row, "path", str, "", place), digest=_digest(reader, row, "digest", place)))
    question = Question(
        requirements=reader.need(stated, "requirements", str, "", "question"),
        good=reader.need(stated, "good", str, "", "question"),
        bad=reader.need(stated, "bad", str, "", "question"),
        python=reader.need(stated, "python", str, "", "question"),
        command=reader.strings(stated, "command", "question"),
        compare=reader.get(stated, "compare", str, "", "question"),
        timeout=reader.get(stated, "timeout", int, 0, "question"),
        undated=reader.strings(stated, "undated", "question"),
        only_binary=reader.get(stated, "only_binary", bool, False, "question"),
        extras=reader.strings(stated, "extras", "question"),
        groups=reader.strings(stated, "groups", "question"),
        files=tuple(files),
    )
    if not reader.issues and not question.command:
        reader.fault("bisect-log-invalid", "question.command", "it names no command")
    good, bad = _instant(reader, document, "good", ""), _instant(reader, document, "bad", "")
    log = Logbook(path, question, good=good, bad=bad)
    releases: dict[str, tuple[Release, ...]] = {}
    for place, row in reader.tables(document, "environments", ""):
        key = str(_digest(reader, row, "digest", place))
        log.environments[key], releases[key] = _environment(reader, row, place)
    for place, row in reader.tables(document, "resolutions", ""):
        at = _instant(reader, row, "at", place)
        key = reader.get(row, "environment", str, "", place)
        failure = reader.get(row, "failure", str, "", place)
        if (key not in releases) == (not failure):
            reader.fault("bisect-log-invalid", place, "it names no environment of this log, and no failure")
        resolution = Resolution(at=at, releases=releases.get(key, ()), failure=failure)
        if not reader.issues and not failure and str(resolution.digest) != key:
            reader.fault("bisect-log-invalid", place, "the packages of its environment do not have this digest")
        constraints = reader.strings(row, "constraints", place)
        if not failure:  # what failed may have failed for a reason of that hour: it is tried again
            log.resolutions[at, constraints] = resolution
    log.steps = list(reader.strings(document, "steps", ""))
    answer = document.get("answer")
    if answer is not None and not isinstance(answer, dict):
        reader.fault("bisect-log-invalid", "answer", "expected a table")
    reader.finish()
    log.answer = cast("dict[str, Any] | None", answer)
    return log


def _environment(reader: Reader, row: dict[str, object], place: str) -> tuple[Kept, tuple[Release, ...]]:
    """An environment of the log, and its releases."""
    rows, releases, runs = [], [], []
    for at, package in reader.tables(row, "packages", place):
        name, version = reader.need(package, "name", str, "", at), reader.need(package, "version", str, "", at)
        uploaded, via = reader.get(package, "uploaded", str, "", at), reader.strings(package, "via", at)
        releases.append(Release(name=name, version=version, uploaded=uploaded, via=via))
        url, hashes = reader.get(package, "url", str, "", at), reader.strings(package, "hashes", at)
        if any("\n" in word or " " in word for word in (name, version, *hashes)) or "\n" in url:
            reader.fault("bisect-log-invalid", at, "it is no package that can be installed")
        editable = reader.get(package, "editable", bool, False, at)
        rows.append(Pinned(name=name, version=version, hashes=hashes, url=url, editable=editable))
    for at, run in reader.tables(row, "runs", place):
        code = reader.get(run, "code", int, -999, at) if run.get("code") is not None else None
        result = _digest(reader, run, "result", at) if run.get("result") is not None else None
        seconds = reader.get(run, "milliseconds", int, 0, at) / 1000
        runs.append(Run(code=code, seconds=seconds, tail=reader.get(run, "tail", str, "", at), result=result))
    entry = Kept(
        at=reader.get(row, "at", str, "", place),
        why=reader.get(row, "why", str, "", place),
        rows=tuple(rows) if reader.get(row, "hashed", bool, False, place) else (),
        runs=tuple(runs),
    )
    return entry, tuple(releases)


def _instant(reader: Reader, row: dict[str, object], key: str, place: str) -> str:
    text = reader.need(row, key, str, "", place)
    if text and not _INSTANT.fullmatch(text):
        reader.fault("bisect-log-invalid", f"{place}.{key}" if place else key, "it is no instant in UTC (RFC 3339)")
    return text


def _digest(reader: Reader, row: dict[str, object], key: str, place: str) -> Digest:
    text = reader.need(row, key, str, "", place)
    try:
        return Digest.parse(text)
    except ValueError:
        reader.fault("bisect-log-invalid", f"{place}.{key}", "it is no digest")
        return Digest.of_sha256(bytes(32))
