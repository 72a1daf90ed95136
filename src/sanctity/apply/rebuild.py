"""A new environment, made in a hidden folder beside its place and put there by one rename.

The rules it keeps: an engine, uv or pip, sees nothing but files whose hash was verified before, no index, no cache and no
configuration of the user, and an almost empty process environment. What it installed is moved by taking the hidden folder's own,
unique name out of every path that was written, so nothing is guessed at. Whatever ends this process leaves nothing under the
environment's name; what it leaves in the hidden folder is known by a lock that only a living process holds, and the next attempt
takes over what was fetched.
"""

from __future__ import annotations

import base64
import contextlib
import csv
import errno
import hashlib
import io
import os
import re
import shutil
import stat
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from sanctity.canon.scripts import split_interpreter
from sanctity.errors import SanctityError, UsageError
from sanctity.model.names import normalise_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from types import TracebackType

    from sanctity.model.interpreter import InstalledInterpreter

__all__ = ["Engine", "Installed", "Room", "find_pip", "find_uv"]

#: Seconds after which an engine is given up.
_PATIENCE: Final = 3600
_MARK: Final = "sanctity-rebuild"
_HEAD: Final = 1 << 14
#: The kernel reads so much of a script's first line (BINPRM_BUF_SIZE is 256; installers keep to the older 128).
_LONGEST_LINE: Final = 127
_TEXT: Final = re.compile(r"(?:de)?activate(?:[._].*)?|Activate\.ps1|pydoc\.bat|pyvenv\.cfg")
_HOOK: Final = ("_virtualenv.pth", "_virtualenv.py")
_LARGEST_TEXT: Final = 1 << 20
#: A file system's 255 bytes, less what follows the name of a proof: ``.unproven.999.proof.json``.
_LONGEST_NAME: Final = 230
#: No first line of a script, and no ``pyvenv.cfg``, can hold a path with one of these.
_CONTROL: Final = re.compile(r"[\0-\x1f\x7f]")
_MODES: Final = 0o7777


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """What installs: *name* ``uv`` or ``pip``, its *version*, and the *program*: uv itself, or what Python runs as pip."""

    name: str
    version: str
    program: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """One distribution to install: the file *filename* of the room's wheels, with its *sha256* in hex.

    *origin* is the text of its direct_url.json, empty for none; *built* that it gets the mark of what was built here.
    """

    name: str
    version: str
    filename: str
    sha256: str
    origin: str = ""
    built: bool = False


def find_uv(environ: Mapping[str, str]) -> Engine | None:
    """The uv on *environ*'s ``PATH``, or beside this tool's own interpreter; None where there is none that runs."""
    beside = os.path.join(os.path.dirname(sys.executable), "uv")
    program = shutil.which("uv", path=environ.get("PATH", os.defpath)) or (beside if os.access(beside, os.X_OK) else None)
    if program is None:
        return None
    try:
        done = subprocess.run(
            [program, "--version"], env=_bare(os.sep), stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.match(rb"uv (\d[\w.+]*)", done.stdout)
    return Engine(name="uv", version=match[1].decode(), program=os.path.abspath(program)) if match and not done.returncode else None


def find_pip(interpreter: InstalledInterpreter, *, wheel: str = "") -> Engine | None:
    """The pip that installs for *interpreter*: its own, the one that its ensurepip brings along, or the *wheel* of one."""
    base, minor = interpreter.interpreter.base, ".".join(interpreter.interpreter.version.split(".")[:2])
    threaded = "t" if interpreter.interpreter.abi.endswith("t") else ""
    stdlib = f"{base}/lib/python{minor}{threaded}"
    for site in (f"{stdlib}/site-packages", f"{base}/lib/python3/dist-packages"):
        if os.path.isfile(f"{site}/pip/__main__.py") and (version := _pip_version(site)):
            return Engine(name="pip", version=version, program=f"{site}/pip")
    places = [f"{stdlib}/ensurepip/_bundled", f"{base}/share/python-wheels"]
    found = [f"{place}/{name}" for place in places for name in _names(place)] + ([wheel] if wheel else [])
    for path in found:
        match = re.fullmatch(r"pip-(\d[\w.]*)-py[\w.]+-none-any\.whl", os.path.basename(path))
        if match:
            return Engine(name="pip", version=match[1], program=f"{path}/pip")
    return None


def _pip_version(site: str) -> str:
    names = (re.fullmatch(r"pip-(\d[\w.]*)\.dist-info", name) for name in _names(site))
    return next((match[1] for match in names if match), "")


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _bare(home: str) -> dict[str, str]:
    """An almost empty process environment, with *home* for every folder of a user's."""
    return {
        "PATH": os.defpath,
        "HOME": home,
        "TMPDIR": home if home != os.sep else "/tmp",  # noqa: S108 - it is only asked for its version then
        "XDG_CONFIG_HOME": f"{home}/config",
        "XDG_CONFIG_DIRS": f"{home}/config",
        "XDG_CACHE_HOME": f"{home}/cache",
        "XDG_DATA_HOME": f"{home}/data",
        "LC_ALL": "C.UTF-8",
        "NO_COLOR": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONNOUSERSITE": "1",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
        "PIP_ROOT_USER_ACTION": "ignore",
        "UV_NO_CONFIG": "1",
        "UV_NO_PROGRESS": "1",
        "UV_OFFLINE": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_CACHE_DIR": f"{home}/uv",
        "UV_PYTHON_INSTALL_DIR": f"{home}/pythons",
    }


class Room:
    """The hidden folder beside *target* (absolute) that an environment is made in; a context manager, which clears it up.

    ``wheels`` is for the files to install, ``NAME`` (the target's own name) for the environment, ``home`` is the engine's home
    folder.
    """

    def __init__(self, target: str) -> None:
        self.target = target
        self.parent, self.name = os.path.split(target)
        self._stem = f".{re.sub(r'[^A-Za-z0-9._-]', '_', self.name)[:40]}."
        self.token = f"{self._stem}{os.urandom(8).hex()}.partial"
        self.path = f"{self.parent}/{self.token}"
        self.env = f"{self.path}/{self.name}"
        self.wheels = f"{self.path}/wheels"
        self.home = f"{self.path}/home"
        self._fd = -1

    def __enter__(self) -> Self:
        """Make it, take over what dead attempts fetched, and remove the rest of them.

        Raises:
            UsageError: ``target-exists``, there is something at the target already.
            SanctityError: ``target-unwritable``.
        """
        import fcntl

        self.check()
        try:
            os.makedirs(self.parent, exist_ok=True)
            os.mkdir(self.path, 0o700)
            self._fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(self._fd, fcntl.LOCK_EX)
            with open(f"{self.path}/{_MARK}", "x", encoding="ascii"):
                pass
            os.mkdir(self.home)
            self._take_over()
            os.makedirs(self.wheels, exist_ok=True)
        except OSError as error:
            self.close()
            raise self.unwritable(error) from error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Remove it."""
        if self._fd >= 0:
            _remove(self.path)
            os.close(self._fd)
            self._fd = -1

    def check(self) -> None:
        """Raise UsageError ``target-exists`` where something is at the target already, but for an empty folder."""
        long = len(os.fsencode(self.name)) > _LONGEST_NAME
        if not self.name or self.name in {".", ".."} or long or _CONTROL.search(self.target):
            words = "its name is too long" if long else "it is no name that an environment can have"
            raise UsageError("usage", words, where=self.target, hint="name another place")
        if not os.path.lexists(self.target):
            return
        if os.path.isdir(self.target) and not os.path.islink(self.target) and not _names(self.target):
            return
        hint = "name another place, or move away what is there: nothing is ever replaced"
        raise UsageError("target-exists", "there is something at the target already", where=self.target, hint=hint)

    def unwritable(self, error: OSError) -> SanctityError:
        """*error* as ours."""
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        hint = "make room, and run it again: what was fetched is kept for then" if full else "name a place that can be written to"
        return SanctityError("target-unwritable", error.strerror or str(error), where=self.parent, hint=hint)

    def _take_over(self) -> None:
        """Remove what attempts that are dead left here, and keep the files that they had fetched."""
        import fcntl

        for name in _names(self.parent):
            path = f"{self.parent}/{name}"
            if name == self.token or re.fullmatch(re.escape(self._stem) + r"[0-9a-f]{16}\.partial", name) is None:
                continue
            if os.path.islink(path) or (_names(path) and not os.path.isfile(f"{path}/{_MARK}")):
                continue  # it only has the name of ours; one without anything in it was just begun, or is all but gone
            with contextlib.suppress(OSError):
                fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
                try:
                    state = os.fstat(fd)
                    if state.st_uid != os.geteuid() or state.st_mode & 0o077:
                        continue  # no room of ours: others could put there what is taken over, or change it later
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    if not os.path.lexists(self.wheels) and stat.S_ISDIR(_mode(f"{path}/wheels")):
                        os.rename(f"{path}/wheels", self.wheels)
                    _remove(path)
                except BlockingIOError:
                    pass  # a living process works there
                finally:
                    os.close(fd)

    # -- the environment ----------------------------------------------------------------------------------------------------------

    def _run(self, command: list[str], what: str, *, environ: Mapping[str, str] | None = None) -> str:
        """Run *command*; the lock is handed on to it, so that what it still writes to is nobody's leftover."""
        try:
            done = subprocess.run(
                command,
                cwd=self.home,
                env=dict(environ) if environ is not None else _bare(self.home),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_PATIENCE,
                check=False,
                pass_fds=(self._fd,),
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise SanctityError("engine-failed", f"{what} can not be run: {error}"[:300], where=command[0]) from error
        if done.returncode:
            said = (done.stderr or done.stdout).decode("utf-8", "replace").replace(f"{self.token}/", "")
            lines = [line.strip() for line in said.splitlines() if line.strip()]
            if "No space left on device" in said or "os error 28" in said:
                raise self.unwritable(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
            words = " / ".join(lines[-4:])[:600] or "it said nothing"
            raise SanctityError(
                "engine-failed", f"{what} ended with {done.returncode}: {words}", where=os.path.basename(command[0])
            )
        return done.stdout.decode("utf-8", "replace")

    def make(
        self,
        interpreter: InstalledInterpreter,
        uv: Engine | None,
        *,
        system_site: bool = False,
        hook: bool = False,
        prompt: str = "",
    ) -> None:
        """Make the empty environment, by *uv* where that is given, else by the interpreter's own venv.

        For older Pythons uv adds a start-up hook of its own, as virtualenv once did; it stays only where *hook* asks for it.
        *prompt* is what its activate scripts show. One that was made here before gives way.

        Raises:
            SanctityError: ``engine-failed``, ``target-unwritable``.
        """
        more = ["--system-site-packages"] if system_site else []
        more += ["--prompt", prompt] if prompt else []
        shutil.rmtree(self.env, ignore_errors=True)
        if uv is not None:
            command = [uv.program, "venv", "--quiet", "--no-project", "--python", interpreter.executable, *more, self.env]
            self._run(command, "uv venv")
            for site in self._sites() if not hook else ():
                for name in _HOOK:
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(f"{site}/{name}")
        else:
            self._run([interpreter.executable, "-I", "-m", "venv", "--without-pip", *more, self.env], "venv")

    def install(self, engine: Engine, items: Iterable[Installed]) -> None:
        """Install *items* from the room's wheels by *engine*, and give each the origin that it must state.

        Raises:
            SanctityError: ``engine-failed``, ``target-unwritable``.
        """
        items = tuple(items)
        if not items:
            return
        listed = f"{self.home}/requirements.txt"
        try:
            with open(listed, "x", encoding="utf-8") as file:
                file.writelines(f"{item.name}=={_file_version(item)} --hash=sha256:{item.sha256}\n" for item in items)
        except OSError as error:
            raise self.unwritable(error) from error
        options = ["--no-index", "--find-links", self.wheels, "--no-deps", "--require-hashes"]
        python = f"{self.env}/bin/python"
        if engine.name == "uv":
            command = [engine.program, "pip", "install", "--quiet", "--python", python, *options]
            # The cache is this room's own, and goes with it: a hard link from there leaves a file with one name.
            command += ["--link-mode", "hardlink", "--only-binary", ":all:", "--requirements", listed]
        else:
            # The environment is empty until this one process fills it, so nothing of it can speak here.
            command = [python, "-I", "-B", self._pip(engine), "--isolated", "install", "--quiet", *options, "--no-cache-dir"]
            command += ["--ignore-installed", "--no-compile", "--no-warn-script-location", "--only-binary", ":all:"]
            command += ["--requirement", listed]
        self._run(command, engine.name)
        if not any(name.endswith(".dist-info") for site in self._sites() for name in _names(site)):
            words = f"{engine.name} says that it is done, and installed nothing"
            raise SanctityError("engine-failed", words, where=engine.program, hint="look at what is called so on PATH")
        try:
            self._forget_bytecode()
            self._state(items)
        except OSError as error:
            raise self.unwritable(error) from error

    def _forget_bytecode(self) -> None:
        """Remove all bytecode that import would run: none was asked for, and nothing vouches for what an engine wrote."""
        for site in self._sites():
            for folder, _, names in os.walk(site):
                if os.path.basename(folder) == "__pycache__":
                    for name in names:
                        if name.endswith((".pyc", ".pyo")):
                            os.unlink(f"{folder}/{name}")
                    with contextlib.suppress(OSError):
                        os.rmdir(folder)  # unless a wheel brought something else

    def _pip(self, engine: Engine) -> str:
        """What Python runs as pip: alone in a folder, since what lies beside the interpreter's own pip would count as installed."""
        if ".whl" in engine.program:
            return engine.program
        alone = f"{self.home}/pip-alone/pip"
        if not os.path.lexists(alone):
            os.makedirs(os.path.dirname(alone))
            os.symlink(engine.program, alone)
        return alone

    def point_at(self, engine: Engine, folder: str, environ: Mapping[str, str]) -> None:
        """Install the project in *folder* as an editable, by its own build backend, which may take an index.

        *environ* is the user's own process environment.

        Raises:
            SanctityError: ``engine-failed``.
        """
        python = f"{self.env}/bin/python"
        dropped = {"VIRTUAL_ENV", "CONDA_PREFIX", "UV_SYSTEM_PYTHON", "PIP_TARGET", "PIP_PREFIX", "PIP_USER"}
        own = {name: value for name, value in environ.items() if name not in dropped and not name.startswith("PYTHON")}
        own |= {"UV_LINK_MODE": "copy", "UV_PYTHON_DOWNLOADS": "never", "PYTHONDONTWRITEBYTECODE": "1", "NO_COLOR": "1"}
        if engine.name == "uv":
            command = [engine.program, "pip", "install", "--quiet", "--python", python, "--no-deps", "--editable", folder]
        else:
            command = [
                python,
                "-I",
                "-B",
                self._pip(engine),
                "install",
                "--quiet",
                "--no-deps",
                "--no-compile",
                "--editable",
                folder,
            ]
        self._run(command, engine.name, environ=own)

    def _sites(self) -> Iterator[str]:
        for name in _names(f"{self.env}/lib"):
            if name.startswith(("python3", "pypy3")) and os.path.isdir(f"{self.env}/lib/{name}/site-packages"):
                yield f"{self.env}/lib/{name}/site-packages"

    def _state(self, items: Iterable[Installed]) -> None:
        """Write what installers state of a distribution's origin, and list it in its RECORD."""
        wanted = {(normalise_name(item.name)): item for item in items if item.origin or item.built}
        for site in self._sites():
            for home in _names(site):
                stem, ending = os.path.splitext(home)
                item = wanted.get(normalise_name(stem.rpartition("-")[0])) if ending == ".dist-info" else None
                if item is None:
                    continue
                added = {}
                if item.origin:
                    added[f"{home}/direct_url.json"] = item.origin.encode()
                if item.built and not os.path.exists(f"{site}/{home}/uv_build.json"):
                    added[f"{home}/uv_build.json"] = b"{}"
                for path, data in added.items():
                    with open(f"{site}/{path}", "wb") as file:
                        file.write(data)
                _edit_record(f"{site}/{home}/RECORD", {}, added)

    # -- to its place -------------------------------------------------------------------------------------------------------------

    def relocate(self) -> None:
        """Write every path in the environment as it is at the target. Raises SanctityError ``target-unwritable``."""
        try:
            changed: dict[str, bytes] = {}
            for name in _names(f"{self.env}/bin"):
                path = f"{self.env}/bin/{name}"
                state = os.lstat(path)
                if not stat.S_ISREG(state.st_mode):
                    continue
                data = self._moved(name, path, state.st_size)
                if data is not None:
                    _write(path, data, state.st_mode & _MODES)
                    changed[path] = data
            path = f"{self.env}/pyvenv.cfg"
            if (data := self._moved("pyvenv.cfg", path, os.stat(path).st_size)) is not None:
                _write(path, data, 0o644)
            if changed:
                self._restate(changed)
        except OSError as error:
            raise self.unwritable(error) from error

    def _moved(self, name: str, path: str, size: int) -> bytes | None:
        """The text of a file with its paths as they are at the target; None where it holds none."""
        hidden = os.fsencode(f"{self.token}/")
        with open(path, "rb") as file:
            head = file.read(_HEAD)
            if _TEXT.fullmatch(name):
                if size > _LARGEST_TEXT:
                    return None
                data = head + file.read()
                return data.replace(b"/" + hidden, b"/") if hidden in data else None
            if not head.startswith(b"#!") or hidden not in head:
                return None
            data = head + file.read()
        interpreter, rest = split_interpreter(data)
        if not interpreter.startswith(f"{self.env}/"):
            return None
        return _first_line(f"{self.target}{interpreter[len(self.env) :]}") + rest

    def _restate(self, changed: Mapping[str, bytes]) -> None:
        """List the scripts that were *changed* as they are now, in the RECORD of each one's owner."""
        for site in self._sites():
            rows = {os.path.relpath(path, site): data for path, data in changed.items()}
            for home in _names(site):
                record = f"{site}/{home}/RECORD"
                if home.endswith(".dist-info") and os.path.isfile(record):
                    _edit_record(record, rows, {})

    def put(self) -> None:
        """Give the environment its name, by one rename.

        Raises:
            UsageError: ``target-exists``, somebody made something there meanwhile.
        """
        self.check()
        try:
            os.rename(self.env, self.target)
        except OSError as error:
            self.check()
            raise self.unwritable(error) from error


def _mode(path: str) -> int:
    """The kind and mode of what is at *path*, links not followed; 0 where nothing is."""
    try:
        return os.lstat(path).st_mode
    except OSError:
        return 0


def _remove(path: str) -> None:
    """Remove a room, and last of all what says that it is one, so that what is left of it can be told at any moment."""
    for name in _names(path):
        if stat.S_ISDIR(_mode(f"{path}/{name}")):
            shutil.rmtree(f"{path}/{name}", ignore_errors=True)
        elif name != _MARK:
            with contextlib.suppress(OSError):
                os.unlink(f"{path}/{name}")
    with contextlib.suppress(OSError):
        os.unlink(f"{path}/{_MARK}")
    with contextlib.suppress(OSError):
        os.rmdir(path)


def _file_version(item: Installed) -> str:
    """The version that the file's own name states, which is the one that an engine compares with."""
    parts = item.filename.split("-")
    return parts[1] if len(parts) >= 5 and item.filename.endswith(".whl") else item.version


def _first_line(interpreter: str) -> bytes:
    """What starts a script with *interpreter*: one line, or where the kernel could not read that, three that the shell reads."""
    plain = f"#!{interpreter}".encode("utf-8", "surrogateescape")
    if len(plain) <= _LONGEST_LINE and not re.search(rb"\s", plain):
        return plain + b"\n"
    quoted = interpreter.replace("'", "'\"'\"'").encode("utf-8", "surrogateescape")
    return b"#!/bin/sh\n'''exec' '" + quoted + b"' \"$0\" \"$@\"\n' '''\n"


def _write(path: str, data: bytes, mode: int) -> None:
    """Replace the file at *path*, whatever other names it has."""
    temporary = f"{path}.new"
    with open(temporary, "xb") as file:
        file.write(data)
    os.chmod(temporary, mode)
    os.replace(temporary, path)


def _edit_record(path: str, changed: Mapping[str, bytes], added: Mapping[str, bytes]) -> None:
    """State in the RECORD at *path* what *changed* and was *added*, each with its bytes; every other line stays as it is."""
    with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
        lines = file.read().splitlines(keepends=True)
    ending = "\r\n" if lines and lines[0].endswith("\r\n") else "\n"
    stated: list[str] = []
    touched = False
    for line in lines:
        row = next(csv.reader([line]), [])
        name = os.path.normpath(row[0]) if row else ""
        if row and name in changed:
            stated.append(_row(row[0], changed[name], ending))
            touched = True
        elif row and name in added:
            touched = True
        else:
            stated.append(line)
    stated += [_row(name, data, ending) for name, data in added.items()]
    if touched or added:
        with open(f"{path}.new", "x", encoding="utf-8", errors="surrogateescape", newline="") as file:
            file.write("".join(stated))
        os.replace(f"{path}.new", path)


def _row(path: str, data: bytes, ending: str) -> str:
    text = io.StringIO(newline="")
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    csv.writer(text, lineterminator=ending).writerow((path, f"sha256={digest}", len(data)))
    return text.getvalue()
