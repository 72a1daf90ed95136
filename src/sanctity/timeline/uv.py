"""The real uv: where it is, what it is started with, and what it says.

uv asks the indexes that its own configuration names (variables, ``uv.toml``, ``[tool.uv]``). It is started in the folder of the
requirements, downloads no interpreter, and is ended with all that it started when its caller is interrupted. As anybody's
``uv pip compile``, it builds a source distribution whose metadata can not be had otherwise; ``UV_NO_BUILD=1`` forbids it.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import tomli

from sanctity.errors import SanctityError
from sanctity.model.names import normalise_name
from sanctity.model.timeline import Release
from sanctity.report.words import without_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["OLDEST", "Children", "Said", "built_in", "busy", "find_uv", "paragraph", "pylock_releases", "version_of", "via_of"]

#: The first uv that lets one package have no date at all (``--exclude-newer-package NAME=false``), as was measured.
OLDEST: Final = (0, 9, 25)

_VERSION: Final = re.compile(r"uv(?:-\S+)? (\d+)\.(\d+)\.(\d+)")
#: What stands before the reasons of uv's errors, by its versions.
_DECORATION: Final = re.compile(r"^(?:\s*(?:cause:|[\u00d7╰├│]─*▶?|Caused by:))+\s*|^\s+", re.IGNORECASE)
_LONGEST: Final = 900
#: What uv says where it waited in vain for another uv.
_LOCKED: Final = re.compile(r"Could not acquire lock|when waiting for lock")
#: What uv says on standard error as it begins to build a release from source.
_BUILDING: Final = re.compile(r"\s*Building ([A-Za-z0-9][A-Za-z0-9._-]*)==(\S+)\s*")
#: A row of requirements with its annotation in one line.
_ROW: Final = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?\s*(?:===?|@)\s*\S.*?\s+#\s+via\s+(.+)$", re.MULTILINE)


def find_uv(environ: Mapping[str, str]) -> str:
    """The path of uv: on ``PATH``, else the one installed beside this tool.

    Raises:
        SanctityError: ``uv-not-found``.
    """
    found = shutil.which("uv", path=environ.get("PATH", os.defpath))
    if found:
        return found
    try:
        from uv import find_uv_bin

        return str(find_uv_bin())
    except (ImportError, FileNotFoundError) as error:
        hint = "install uv, such as with: pip install uv"
        raise SanctityError("uv-not-found", "uv resolves what was released when, and it is not here", hint=hint) from error


def version_of(uv: str, environ: Mapping[str, str]) -> str:
    """What *uv* says its version is: ``uv 0.9.0 (...)``.

    Raises:
        SanctityError: ``uv-not-found``, it can not be started; ``uv-too-old``, it is older than `OLDEST`.
    """
    try:
        done = subprocess.run(
            [uv, "--version"], env=dict(environ), stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SanctityError("uv-not-found", f"it can not be started: {error}"[:300], where=uv, hint="install uv again") from error
    said = done.stdout.decode("utf-8", "replace").strip()
    match = _VERSION.match(said)
    if match is None:
        raise SanctityError("uv-not-found", f"it is no uv: it says {said[:80]!r}", where=uv, hint="let PATH name uv") from None
    if tuple(map(int, match.groups())) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise SanctityError("uv-too-old", f"it is {said}, and {oldest} is the first that can", where=uv, hint="uv self update")
    return said


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """How a program ended: its *code*, and what it wrote. *late* says that its time was over."""

    code: int
    out: str
    err: str
    late: bool = False


class Children:
    """The programs that were started and have not ended; `end` ends them all, with what they started, and lets no other start."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._over = False

    def run(
        self,
        command: Sequence[str],
        *,
        cwd: str,
        environ: Mapping[str, str],
        seconds: float,
        heard: Callable[[str], None] = lambda _line: None,
    ) -> Said:
        """What *command* says when it is run in *cwd* for at most so many *seconds*.

        *heard* is told each line of its standard error as it comes, in another thread.

        Raises:
            SanctityError: ``uv-not-found``, it can not be started; ``resolver-failed``, `end` was called.
        """
        with self._lock:
            if self._over:
                raise SanctityError("resolver-failed", "it was ended")
            try:
                child = subprocess.Popen(
                    command,
                    cwd=cwd,
                    env=dict(environ),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    start_new_session=True,
                )
            except OSError as error:
                words = f"it can not be started: {error}"[:300]
                raise SanctityError("uv-not-found", words, where=command[0], hint="install uv again") from error
            self._running.add(child)
        late = False
        out: list[bytes] = []
        err: list[bytes] = []

        # Whoever reads a pipe closes it, however this ends.
        def listen() -> None:
            assert child.stderr is not None
            with child.stderr as pipe:
                for line in pipe:
                    err.append(line)
                    heard(line.decode("utf-8", "replace"))

        def take() -> None:
            assert child.stdout is not None
            with child.stdout as pipe:
                out.append(pipe.read())

        readers = [threading.Thread(target=each, daemon=True) for each in (listen, take)]
        for reader in readers:
            reader.start()
        try:
            # What it started may hold its pipes longer than it lives: they are waited for, and ended with it when its time is over.
            ends = time.monotonic() + seconds
            for reader in readers:
                reader.join(max(0.0, ends - time.monotonic()))
            try:
                child.wait(max(0.0, ends - time.monotonic()) if not any(reader.is_alive() for reader in readers) else 0)
            except subprocess.TimeoutExpired:
                late = True
            if late or any(reader.is_alive() for reader in readers):
                late = True
                _end(child)
                child.wait()
                for reader in readers:
                    reader.join()
        finally:
            if child.poll() is None:
                _end(child)
                child.wait()
            with self._lock:
                self._running.discard(child)
                over = self._over
        if over:
            raise SanctityError("resolver-failed", "it was ended")
        texts = [b"".join(each).decode("utf-8", "replace") for each in (out, err)]
        return Said(code=child.returncode, out=texts[0], err=texts[1], late=late)

    def end(self) -> None:
        """End everything."""
        with self._lock:
            self._over = True
            running = tuple(self._running)
        for child in running:
            _end(child)


def _end(child: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError):
        os.killpg(child.pid, signal.SIGKILL)
    with contextlib.suppress(OSError):
        child.kill()


def built_in(line: str) -> tuple[str, str] | None:
    """The name and version of the release that *line* of uv's standard error says it begins to build; None where it says none."""
    match = _BUILDING.fullmatch(line)
    return None if match is None else (normalise_name(match[1]), match[2])


def busy(err: str) -> SanctityError | None:
    """The error where uv's standard error says that another uv held what it needed for too long; None where it does not."""
    if not _LOCKED.search(err):
        return None
    hint = "end the other uv, or wait for it, and try again; UV_LOCK_TIMEOUT says for how many seconds uv waits"
    return SanctityError("uv-busy", f"another uv that is running holds a lock: {paragraph(err)}"[:_LONGEST], hint=hint)


def paragraph(err: str) -> str:
    """What uv's standard error gives as the reason, in one paragraph: without decoration, warnings, hints, and secrets."""
    lines: list[str] = []
    for line in err.splitlines():
        if not line.strip():
            if lines:
                break
            continue
        if line.lower().startswith(("warning:", "hint:", "resolved ", "using ", "   building ", "      built ")):
            continue
        if not line.strip(" ^~-"):
            continue  # it points at a place in the line above
        lines.append(_DECORATION.sub("", line).removeprefix("error: ").strip())
    if len(lines) > 1 and lines[0].startswith("No solution found"):
        del lines[0]
    words = without_secrets(" ".join(line for line in lines if line))
    return words if len(words) <= _LONGEST else words[: _LONGEST - 2] + " …"


def pylock_releases(text: str) -> tuple[Release, ...]:
    """The releases that a ``pylock.toml`` of uv's names (PEP 751), in the order of names.

    Raises:
        ValueError: it is none.
    """
    document = tomli.loads(text)
    rows = document.get("packages", [])
    if not isinstance(rows, list) or "lock-version" not in document:
        raise ValueError("no pylock.toml")
    found: dict[str, Release] = {}
    for row in rows:
        name = normalise_name(row["name"])
        files = [*row.get("wheels", ()), *([row["sdist"]] if "sdist" in row else [])]
        times = [time for file in files if isinstance(time := file.get("upload-time"), datetime)]
        found[name] = Release(name=name, version=_version_in(row), uploaded=_earliest(times))
    return tuple(found[name] for name in sorted(found))


def _version_in(row: Mapping[str, Any]) -> str:
    """The version, or what tells a package apart that has none: an archive's hash, a folder; of a repository always the commit."""
    if "vcs" in row:
        return f"git.{row['vcs'].get('commit-id', '')[:12]}"
    if "version" in row:
        return str(row["version"])
    if "archive" in row:
        hashes = row["archive"].get("hashes", {})
        return f"archive.{next(iter(hashes.values()), '')[:12]}"
    return "folder" if "directory" in row else "unknown"


def _earliest(times: Sequence[datetime]) -> str:
    aware = [time if time.tzinfo else time.replace(tzinfo=UTC) for time in times]
    try:
        return min(aware).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if aware else ""
    except OverflowError as error:
        raise ValueError(f"no time of upload: {min(aware).isoformat()}") from error


def via_of(text: str) -> dict[str, tuple[str, ...]]:
    """Who asked for each package, from a requirements file that uv wrote with ``--annotation-style line``.

    A constraint (``-c``) asks for nothing.
    """
    found: dict[str, tuple[str, ...]] = {}
    for name, asked in _ROW.findall(text):
        parts = tuple(part for part in (part.strip() for part in asked.split(", ")) if part and not part.startswith("-c "))
        found[normalise_name(name)] = parts
    return found
