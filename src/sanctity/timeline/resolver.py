"""The same requirements, resolved as of an instant: what would have been installed then.

`uv pip compile --exclude-newer` does it: uv takes only files that were uploaded before the instant (``upload-time``, PEP 700), for
the Python and platform that are asked for. What the answer rests on makes the key under which it is kept: the bytes of the
requirements and of all that they include, the instant, the target, constraints, uv's version, and uv's own configuration as far as
it can be known, of which only a digest is kept.

An instant that has no resolution is a value (`Resolution.failure`). What would fail at every instant alike is an error.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform as machine
import re
import tempfile
import threading
import time
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sanctity.errors import DocumentError, SanctityError, UsageError
from sanctity.model.names import normalise_name
from sanctity.model.timeline import Resolution
from sanctity.model.wire import canonical
from sanctity.timeline.cache import ResolutionCache
from sanctity.timeline.requirements import check_unchanged
from sanctity.timeline.uv import Children, busy, paragraph, pylock_releases, version_of, via_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sanctity.model.timeline import Release, Target
    from sanctity.timeline.requirements import Requirements
    from sanctity.timeline.uv import Said

__all__ = ["PATIENCE", "Resolver"]

#: Seconds after which a resolution is given up.
PATIENCE: Final = 900.0
#: Said of a resolution that took longer; it is not kept.
_LATE: Final = "uv was given up after {:,.0f} seconds"

#: Variables of uv that change no answer.
_NO_MATTER: Final = re.compile(
    r"UV_(?:CACHE_DIR|NO_CACHE|CONCURRENT_\w+|HTTP_\w+|REQUEST_TIMEOUT|LOCK_TIMEOUT|LINK_MODE|NO_PROGRESS|NO_WRAP|COLOR|LOG_CONTEXT|STACK_SIZE"
    r"|SYSTEM_CERTS|NATIVE_TLS|PYTHON_\w+|PREVIEW|TOOL_\w+|INSTALL\w*|UNMANAGED_INSTALL|SHOW_\w+|REFRESH|COMPILE_BYTECODE)"
)
#: Variables of uv whose value is what this asks for itself.
_OURS: Final = frozenset({"UV_EXCLUDE_NEWER", "UV_PYTHON", "UV_FROZEN", "UV_LOCKED", "UV_PROJECT", "UV_WORKING_DIRECTORY"})
#: Variables of uv that name files whose content takes part.
_FILES: Final = frozenset({"UV_CONFIG_FILE", "UV_CONSTRAINT", "UV_OVERRIDE", "UV_EXCLUDE", "UV_BUILD_CONSTRAINT"})

_UNDATED: Final = re.compile(r"^warning: `?([^`\s]+)`? is missing an upload date", re.MULTILINE)
_UNKNOWN: Final = re.compile(r"Because (\S+) was not found in the package registry and you require \1\b")
_REFUSED: Final = re.compile(r"authentication credentials|401 Unauthorized|403 Forbidden")
_OFFLINE: Final = re.compile(r"network (?:was|is) disabled|not found in the cache")
_NETWORK: Final = re.compile(
    r"Failed to fetch|error sending request|dns error|[Rr]equest failed|Connection refused|connection closed|operation timed out"
    r"|HTTP status|certificate|Could not connect|Network is unreachable|429 Too Many"
)
_BUILD: Final = re.compile(
    r"Failed to (?:download and )?build|[Bb]uild backend|The build |Failed to prepare|Failed to resolve requirements"
)
_NO_OPTION: Final = re.compile(
    r"unexpected argument|could not be parsed as a valid exclude-newer|invalid value .* for '--exclude-newer-package"
)
_BAD_TARGET: Final = re.compile(r"invalid value '([^']*)' for '--(python-platform|python-version)|Invalid version request")
_NO_PYTHON: Final = re.compile(r"No interpreter found|No virtual environment or system Python|Could not find a suitable Python")
_LONGEST: Final = 900


class Resolver:
    """Resolves for *target*, with the program *uv*, and keeps what it learnt in the folder *cache*, nowhere where that is empty.

    *environ* is what uv is started with. *python* is the interpreter that uv looks at where it must build something. With
    *only_binary* it builds nothing, and takes no release without a wheel. With *fresh* nothing is taken from the cache that was
    there before. *heard* is told what uv writes to its standard error, line by line. Several threads may use it at once; `close`
    ends what is running.
    """

    def __init__(
        self,
        *,
        uv: str,
        environ: Mapping[str, str],
        target: Target,
        cache: str = "",
        python: str = "",
        only_binary: bool = False,
        fresh: bool = False,
        patience: float = PATIENCE,
        clock: Callable[[], float] = time.time,
        heard: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self.uv = uv
        self.target = target
        self.python = python
        self.only_binary = only_binary
        self.patience = patience
        self._clock = clock
        self._heard = heard
        self._cache = ResolutionCache(folder=cache, fresh=fresh, since=clock())
        kept = {name: value for name, value in environ.items() if name not in _OURS and name != "VIRTUAL_ENV"}
        self._environ = {**kept, "UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1", "NO_COLOR": "1", "UV_NO_WRAP": "1"}
        self._children = Children()
        self._lock = threading.Lock()
        self._version = ""
        self._settings: dict[str, str] = {}
        self._via: dict[str, dict[str, tuple[str, ...]]] = {}

    @property
    def version(self) -> str:
        """The name and version of uv, asked for once. Raises `SanctityError`: ``uv-not-found``, ``uv-too-old``."""
        with self._lock:
            if not self._version:
                self._version = version_of(self.uv, self._environ)
            return self._version

    def close(self) -> None:
        """End every uv that is running, with what it started; what was resolved is kept."""
        self._children.end()

    def known(
        self, requirements: Requirements, instant: str, *, constraints: tuple[str, ...] = (), undated: tuple[str, ...] = ()
    ) -> Resolution | None:
        """What `resolve` would give without starting uv but to ask for its version; None where it would."""
        constraints, undated = _ordered(constraints), _names(undated)
        key = self._key(requirements, constraints, undated)
        found = None if requirements.remote else self._cache.get(_at(key, instant), instant, now=self._clock())
        if found is None or found.failure:
            return found
        via = self._known_via(_of(key, found))
        return None if via is None else _with_via(found, via)

    def resolve(
        self, requirements: Requirements, instant: str, *, constraints: tuple[str, ...] = (), undated: tuple[str, ...] = ()
    ) -> Resolution:
        """What *requirements* come to if nothing counts that was uploaded at *instant* (RFC 3339) or later.

        *constraints* are requirements that hold beside them, such as ``numpy<2``. The packages *undated* float: all their files
        count, whenever uploaded, also where their index does not say when.

        Raises:
            DocumentError: ``requirements-unreadable``, uv can not read them, or they were changed meanwhile.
            UsageError: uv does not know this Python or platform.
            SanctityError: ``package-unknown``, ``index-unreachable``, ``upload-times-missing``, ``uv-not-found``, ``uv-too-old``,
                ``uv-busy``, or ``resolver-failed``, uv ended in a way that is none of these.
        """
        constraints, undated = _ordered(constraints), _names(undated)
        key = self._key(requirements, constraints, undated)
        found = None if requirements.remote else self._cache.get(_at(key, instant), instant, now=self._clock())
        if found is None:
            found, lasts = self._resolved(requirements, instant, constraints, undated)
            check_unchanged(requirements)
            if lasts and not requirements.remote:
                self._cache.put(_at(key, instant), found, now=self._clock())
        if found.failure:
            return found
        via = self._known_via(_of(key, found))
        if via is None:
            # All that uv asks for now it has just read, so it need not ask an index again.
            said = self._compile(requirements, instant, constraints, undated, (*_ANNOTATED, "--offline"))
            if said.code != 0:
                said = self._compile(requirements, instant, constraints, undated, _ANNOTATED)
            via = via_of(said.out) if said.code == 0 else {}
            with self._lock:
                self._via[_of(key, found)] = via
            if via and not requirements.remote:
                self._cache.put_via(_of(key, found), via)
        return _with_via(found, via)

    def resolve_each(
        self,
        requirements: Requirements,
        instants: Sequence[str],
        *,
        constraints: tuple[str, ...] = (),
        undated: tuple[str, ...] = (),
        workers: int = 0,
        tick: Callable[[int, int], None] = lambda _done, _of: None,
    ) -> tuple[Resolution, ...]:
        """`resolve` at each of *instants*, in their order; *workers* at a time (0: one a processor), what is known first.

        *tick* is told how many are done, of how many. Where it ends early, by an error or an interrupt, no uv is left running, and
        what was resolved until then is kept.

        Raises:
            SanctityError: as `resolve`.
        """
        found: dict[str, Resolution] = {}
        for instant in dict.fromkeys(instants):
            known = self.known(requirements, instant, constraints=constraints, undated=undated)
            if known is not None:
                found[instant] = known
        missing = [instant for instant in dict.fromkeys(instants) if instant not in found]
        total, counted = len(found) + len(missing), threading.Lock()
        tick(len(found), total)

        def one(instant: str) -> None:
            each = self.resolve(requirements, instant, constraints=constraints, undated=undated)
            with counted:
                found[instant] = each
                tick(len(found), total)

        if missing:
            pool = ThreadPoolExecutor(min(workers or os.cpu_count() or 2, len(missing)), thread_name_prefix="resolve")
            try:
                # The last date asks every index most, and tells at once what is wrong with the requirements.
                futures = [pool.submit(one, instant) for instant in (missing[-1], *missing[:-1])]
                wait(futures, return_when=FIRST_EXCEPTION)
                for future in futures:
                    if future.done():
                        future.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                self.close()
                raise
            finally:
                pool.shutdown(wait=True, cancel_futures=True)
        return tuple(found[instant] for instant in instants)

    # --- uv

    def _resolved(
        self, requirements: Requirements, instant: str, constraints: tuple[str, ...], undated: tuple[str, ...]
    ) -> tuple[Resolution, bool]:
        """The resolution, and whether it may be kept."""
        said = self._compile(requirements, instant, constraints, undated, _PYLOCK)
        passed = tuple(sorted(set(_UNDATED.findall(said.err))))
        if said.late:
            return Resolution(at=instant, failure=_LATE.format(self.patience)), False
        if said.code == 0:
            try:
                return Resolution(at=instant, releases=pylock_releases(said.out), passed_over=passed), True
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                words = f"uv wrote no pylock.toml that can be read: {error}"[:300]
                raise SanctityError("resolver-failed", words, where=requirements.shown, hint="try another version of uv") from error
        reason = paragraph(said.err) or f"uv ended with {said.code} and said nothing"
        if locked := busy(said.err):
            raise locked
        if said.code == 1 and not _NETWORK.search(reason):
            self._raise_unknown(requirements, said, reason, passed, undated)
            return Resolution(at=instant, failure=reason, passed_over=passed), True
        if _BUILD.search(reason):
            return Resolution(at=instant, failure=reason, passed_over=passed), False
        raise _error(requirements, said, reason)

    def _raise_unknown(
        self, requirements: Requirements, said: Said, reason: str, passed: tuple[str, ...], undated: tuple[str, ...]
    ) -> None:
        """Raise where what stands in the way of a resolution is the index and no release."""
        if _REFUSED.search(said.err):
            hint = "let uv's configuration hold what the index asks for: UV_INDEX_…_USERNAME and _PASSWORD, or a keyring"
            raise SanctityError("index-unreachable", f"it lets nobody in: {reason}", where=requirements.shown, hint=hint)
        if unknown := _UNKNOWN.search(reason):
            words = f"no index has a package {unknown[1]}"
            hint = "mend the name, or let uv's configuration name the index that has it"
            raise SanctityError("package-unknown", words, where=requirements.shown, hint=hint)
        if _OFFLINE.search(said.err):
            raise SanctityError(
                "index-unreachable", reason, where=requirements.shown, hint="let uv reach its index: UV_OFFLINE is set"
            )
        nameless = sorted({_project(file) for file in passed} - set(undated))
        standing = [name for name in nameless if re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", reason)]
        if standing:
            words = f"its index gives no time of upload for {', '.join(standing)}, so nobody knows what of it was there when"
            hint = (
                " ".join(f"--undated {name}" for name in standing) + " takes any release of it; or ask an index that has the times"
            )
            raise SanctityError("upload-times-missing", words, where=requirements.shown, hint=hint)

    def _compile(
        self,
        requirements: Requirements,
        instant: str,
        constraints: tuple[str, ...],
        undated: tuple[str, ...],
        style: tuple[str, ...],
    ) -> Said:
        name = requirements.name if not requirements.name.startswith("-") else f"./{requirements.name}"
        command = [self.uv, "pip", "compile", name, "--exclude-newer", instant, "--python-version", self.target.python]
        command += ["--python", self.python] if self.python else []
        command += ["--only-binary", ":all:"] if self.only_binary else []
        command += ["--python-platform", self.target.platform] if self.target.platform else []
        for extra in requirements.extras:
            command += ["--extra", extra]
        for group in requirements.groups:
            command += ["--group", group]
        for name in undated:
            command += ["--exclude-newer-package", f"{name}=false"]
        with contextlib.ExitStack() as stack:
            if constraints:
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="sanctity-"))
                file = os.path.join(folder, "constraints.txt")
                with open(file, "w", encoding="utf-8") as stream:
                    stream.write("".join(f"{line}\n" for line in constraints))
                command += ["--constraint", file]
            return self._children.run(
                [*command, *style], cwd=requirements.folder, environ=self._environ, seconds=self.patience, heard=self._heard
            )

    def _known_via(self, key: str) -> dict[str, tuple[str, ...]] | None:
        with self._lock:
            if key in self._via:
                return self._via[key]
        via = self._cache.get_via(key)
        if via is not None:
            with self._lock:
                self._via[key] = via
        return via

    # --- keys

    def _key(self, requirements: Requirements, constraints: tuple[str, ...], undated: tuple[str, ...]) -> str:
        """What an answer rests on but for its instant, as a digest in hex."""
        return _hex(
            [
                1,
                str(requirements.digest),
                requirements.name,
                list(requirements.extras),
                list(requirements.groups),
                self.target.python,
                self.target.platform or _host(),
                list(constraints),
                list(undated),
                self.version,
                self._configuration(requirements.folder),
                *(["only-binary"] if self.only_binary else []),
            ]
        )

    def _configuration(self, folder: str) -> str:
        """The variables of uv and the files of its configuration, as one digest in hex; read once a folder."""
        with self._lock:
            if folder not in self._settings:
                names = sorted(name for name in self._environ if name.startswith("UV_") and not _NO_MATTER.fullmatch(name))
                rows = [[name, _text(self._environ[name])] for name in names]
                for name in sorted(_FILES & set(names)):
                    rows += [[name, _of_file(os.path.join(folder, path))] for path in self._environ[name].split()]
                rows += [[str(number), _of_file(path)] for number, path in enumerate(_config_files(folder, self._environ))]
                self._settings[folder] = _hex(rows)
            return self._settings[folder]


_PYLOCK: Final = ("--format", "pylock.toml", "--no-header")
_ANNOTATED: Final = (
    "--annotation-style",
    "line",
    "--no-header",
    "--no-emit-index-url",
    "--no-emit-find-links",
)


def _error(requirements: Requirements, said: Said, reason: str) -> SanctityError:
    """What would fail at every date alike."""
    where = requirements.shown
    if _BAD_TARGET.search(said.err):
        words = said.err.strip().splitlines()[0].removeprefix("error: ")
        if "--python-platform" in words:
            return UsageError("usage", words, where="--platform", hint="uv pip compile --help lists them")
        return UsageError("usage", words, where="--python", hint="name a version that uv knows, such as 3.11")
    if _NO_OPTION.search(said.err):
        return SanctityError("uv-too-old", f"it does not know an option: {reason}"[:_LONGEST], hint="uv self update")
    if _NO_PYTHON.search(reason):
        return SanctityError("interpreter-not-found", reason, where=where, hint="install a Python: uv looks at one to resolve")
    if _NETWORK.search(reason):
        hint = "try again; uv's own configuration names the index, and what was resolved is kept"
        return SanctityError("index-unreachable", reason, where=where, hint=hint)
    if said.code == 2:
        return DocumentError("requirements-unreadable", reason, where=where, hint="mend the file, as uv says")
    return SanctityError("resolver-failed", reason, where=where, hint="run uv pip compile on it, and see what it says")


def _with_via(resolution: Resolution, via: Mapping[str, tuple[str, ...]]) -> Resolution:
    return replace(resolution, releases=tuple(_asked(release, via) for release in resolution.releases))


def _asked(release: Release, via: Mapping[str, tuple[str, ...]]) -> Release:
    return replace(release, via=via.get(release.name, ()))


def _ordered(constraints: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(set(constraints)))


def _names(undated: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({normalise_name(name) for name in undated}))


def _project(filename: str) -> str:
    """The project that a file of an index is of; for a source distribution all before its last hyphen."""
    stem = filename.partition("-")[0] if filename.endswith(".whl") else filename.rpartition("-")[0]
    return normalise_name(stem)


def _at(key: str, instant: str) -> str:
    return _hex([key, "at", instant])


def _of(key: str, resolution: Resolution) -> str:
    return _hex([key, "of", str(resolution.digest)])


def _hex(value: object) -> str:
    return hashlib.sha256(canonical(value)).hexdigest()


def _text(value: str) -> str:
    return os.fsencode(value).decode("utf-8", "backslashreplace")


def _of_file(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()
    except (OSError, ValueError):
        return ""


def _host() -> str:
    """What uv takes this machine for, as far as its answers depend on it."""
    return " ".join(
        (machine.system(), machine.machine(), *machine.libc_ver(), machine.release() if machine.system() != "Linux" else "")
    )


def _config_files(folder: str, environ: Mapping[str, str]) -> list[str]:
    """Where uv looks for its configuration: the folder and those above it, the user's, the system's."""
    found: list[str] = []
    here = folder
    while True:
        found += [os.path.join(here, "uv.toml"), os.path.join(here, "pyproject.toml")]
        parent = os.path.dirname(here)
        if parent == here:
            break
        here = parent
    home = environ.get("XDG_CONFIG_HOME") or (f"{environ['HOME']}/.config" if environ.get("HOME") else "")
    found += [f"{home}/uv/uv.toml"] if home else []
    found += [f"{base}/uv/uv.toml" for base in (environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":") if base]
    return [*found, "/etc/uv/uv.toml"]
