"""The guard: a program's first lines refuse to go on in an environment that is not the sealed one.

    import sanctity

    sanctity.guard("env.seal.json")  # before the heavy imports

One file that needs the standard library alone, and of that as little as it can: it stands at the top of programs. At depth
``record`` it starts a child of the *base* interpreter under ``-I -S -B``, with an empty environment, that can import the package
`sanctity` and nothing else of the environment; `sanctity.guarding` is what looks there. At depth ``version`` it looks from in here,
which is a tripwire and no proof. What can not be decided refuses, whatever the reason: a child that dies, hangs or babbles, a
program that is frozen, a seal that is not there. docs/guard.md says what it can not see, and why `sanctity run` is better.

The module can be called: ``sanctity.guard`` is it once it was imported, in whatever order that happened.
"""

from __future__ import annotations

import os
import sys
from _thread import allocate_lock

TYPE_CHECKING = False  # importing `typing` for it would take longer than all else that is done here
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, NoReturn

__all__ = ["REFUSED", "Refused", "Result", "guard"]

#: The exit code of a program that is refused, as `run` has it and env(1) does.
REFUSED = 125
#: The variable by which a program tells the ones it starts that it was guarded. See docs/guard.md.
MARK = "SANCTITY_GUARDED"

_LARGEST_SEAL = 1 << 26
_LARGEST_REPLY = 1 << 20
_LARGEST_COMPLAINT = 1 << 12
_GENERATIONS = 64
_HINT = "`sanctity verify` looks from outside of it, and names everything"
#: The child imports one package from the folder, or the zip, that is its first argument, and nothing else from there.
_BOOT = """
import sys
from _frozen_importlib_external import PathFinder
class Only:
    @staticmethod
    def find_spec(name, path=None, target=None):
        return PathFinder.find_spec(name, [sys.argv[1]]) if name == "sanctity" else None
sys.meta_path.append(Only)
from sanctity.guarding import main
main()
"""


class Result:
    """What the guard found. *verdict* is ``clean``, ``drifted`` or ``undecided``; *codes* are of what gates, or of what went wrong.

    *message* is one sentence, *text* the whole report as it is printed. *depth* and *seal* say how far was looked and what was
    compared with. *looked* is False where an earlier call of this process, or a guarded ancestor of it, was relied on.
    """

    __slots__ = ("codes", "depth", "looked", "message", "seal", "text", "verdict")

    verdict: str
    codes: tuple[str, ...]
    message: str
    text: str
    depth: str
    seal: str
    looked: bool

    def __init__(
        self,
        verdict: str,
        codes: tuple[str, ...] = (),
        message: str = "",
        text: str = "",
        depth: str = "",
        seal: str = "",
        looked: bool = True,
    ) -> None:
        for name, value in (
            ("verdict", verdict),
            ("codes", codes),
            ("message", message),
            ("text", text),
            ("depth", depth),
            ("seal", seal),
            ("looked", looked),
        ):
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a Result can not be changed: {name}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a Result can not be changed: {name}")

    def __reduce__(self) -> tuple[type[Result], tuple[object, ...]]:
        return Result, (self.verdict, self.codes, self.message, self.text, self.depth, self.seal, self.looked)

    def __repr__(self) -> str:
        return f"Result({self.verdict!r}, codes={self.codes!r}, message={self.message!r})"


class Refused(SystemExit):
    """The program is refused. It derives from SystemExit, so that no ``except Exception`` swallows it; its code is 125."""

    def __init__(self, result: Result) -> None:
        super().__init__(result)
        self.result = result
        self.code = REFUSED

    def __str__(self) -> str:
        return self.result.message


class _Trouble(Exception):  # noqa: N818 - it never leaves this module
    """Something that keeps the guard from looking: a *code*, a *message*, a *hint*."""

    def __init__(self, code: str, message: str, hint: str = _HINT) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint


_lock = allocate_lock()
#: What passed in this process or in the one that it was forked from: (digest of seal and place, depth).
_passed: set[tuple[str, str]] = set()


def _after_fork() -> None:
    global _lock  # noqa: PLW0603 - another thread may have held it when the process was forked, and is not here to let it go
    _lock = allocate_lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def guard(
    seal: str | os.PathLike[str] = "env.seal.json",
    *,
    depth: str = "record",
    on_drift: str | Callable[[Result], object] = "refuse",
    timeout: float = 300.0,
) -> Result:
    """Compare the environment that this program runs in with its *seal*, and refuse to go on where they differ.

    A relative *seal* is looked for in the folder of the file that calls, then in the working folder. At *depth* ``record`` every
    byte is read by a child of the base interpreter; at ``version`` names and versions alone are compared, in process, which is a
    tripwire. *on_drift* is ``refuse``: the report on standard error, and `Refused`; ``warn``: the report, and the program goes on;
    or a callable that takes the `Result`. It is asked for whatever is not clean, what could not be decided included. *timeout*,
    in seconds, is how long the child may take.

    Once a process tree: what passed here, or in the process that this one was forked from, is not looked at again.

    Raises:
        Refused: the environment is not the sealed one, or that could not be told; its ``result`` says what.
    """
    return _guard(_caller(), seal, depth, on_drift, timeout)


def _caller() -> dict[str, Any]:
    """The globals of whoever called the function that asks; empty where that is no Python code."""
    try:
        return sys._getframe(2).f_globals  # noqa: SLF001 - there is no other way to know
    except ValueError:
        return {}


def _guard(caller: dict[str, Any], seal: object, depth: object, on_drift: object, timeout: object) -> Result:
    if not (on_drift in ("refuse", "warn") if isinstance(on_drift, str) else callable(on_drift)):
        words = f'on_drift is {on_drift!r}; it is "refuse", "warn", or a callable that takes the result'
        on_drift, result = "refuse", _undecided(_Trouble("usage", words, "see docs/guard.md"), str(seal), str(depth))
    else:
        try:
            result = _look(caller, seal, depth, timeout)
        except _Trouble as trouble:
            result = _undecided(trouble, str(seal), str(depth))
        except Exception as error:  # noqa: BLE001 - whatever went wrong in here, nothing was decided
            words = f"the guard itself failed: {type(error).__name__}: {error}"
            result = _undecided(_Trouble("guard-failed", words), str(seal), str(depth))
    if result.verdict == "clean":
        return result
    if not isinstance(on_drift, str):
        on_drift(result)  # type: ignore[operator] # it was asked above whether it can be called
        return result
    _say(result.text + ("" if on_drift == "refuse" else "the program goes on, as on_drift says\n"))
    if on_drift == "warn":
        return result
    if not _in_main_thread():
        _say("refused in a thread: it ends this thread alone, so call the guard at the top of the program\n")
    raise Refused(result)


def _look(caller: dict[str, Any], seal: object, depth: object, timeout: object) -> Result:
    if not isinstance(depth, str) or depth not in {"record", "version"}:
        raise _Trouble("usage", f'depth is {depth!r}; it is "record" or "version"', "see docs/guard.md")
    if not isinstance(timeout, (int, float)) or isinstance(timeout, bool) or not 0 < timeout < 1e6:
        raise _Trouble("usage", f"timeout is {timeout!r}; it is a number of seconds", "see docs/guard.md")
    if getattr(sys, "frozen", False) or "__compiled__" in globals():
        words = "this program is frozen: its modules are inside its own executable, where no seal speaks of them"
        raise _Trouble("guard-can-not-look", words, "verify the file that holds the program by its own digest or signature")
    path, data = _read_seal(caller, seal)
    key = _digest(data, os.fsencode(sys.prefix))
    with _lock:
        if (key, depth) in _passed or (key, "record") in _passed or _ancestor_passed(key):
            return Result("clean", (), "it passed before, in this process tree", "", depth, path, False)
        if depth == "record":
            result = _look_from_child(path, data, float(timeout))
        elif _same_versions(data):
            result = Result("clean", (), "names and versions are the sealed ones; no byte was compared", "", depth, path)
        else:
            from sanctity.guarding import judge

            result = Result(*judge(data, path, "version", _surroundings()), depth, path)
        if result.verdict == "clean":
            _passed.add((key, depth))
            if depth == "record":
                _leave_mark(key)
    return result


def _undecided(trouble: _Trouble, seal: str, depth: str) -> Result:
    what = f"error: {trouble.code}\n  {_plain(trouble.message)}\nhint: {_plain(trouble.hint)}\n"
    text = what + "REFUSED: nothing was decided, and that is no pass\n"
    return Result("undecided", (trouble.code,), trouble.message, text, depth, seal)


def _plain(text: str) -> str:
    """*text* without what drives a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def _say(text: str) -> None:
    """Print *text* where people look: standard error as the program has it, else as the process has it."""
    try:
        stream = sys.stderr
        stream.write(text)
        stream.flush()
    except (AttributeError, OSError, ValueError):  # None in a program without a console; closed; or in another encoding
        try:
            os.write(2, text.encode("utf-8", "backslashreplace"))
        except OSError:
            return


def _in_main_thread() -> bool:
    from _thread import get_native_id

    return sys.platform != "linux" or get_native_id() == os.getpid()


# -- the seal ---------------------------------------------------------------------------------------------------------------------


def _read_seal(caller: dict[str, Any], seal: object) -> tuple[str, bytes]:
    """The path and the bytes of the *seal*: beside the file that calls, else in the working folder."""
    if not isinstance(seal, (str, os.PathLike)):
        raise _Trouble("usage", f"the seal is {seal!r}; it is a path", "see docs/guard.md")
    stated = os.fsdecode(seal)
    if "\0" in stated or not stated:
        raise _Trouble("usage", f"{stated!r} is no path", "see docs/guard.md")
    places = [stated]
    if not os.path.isabs(stated):
        folders = _folder_of(caller)
        try:
            folders.append(os.getcwd())
        except FileNotFoundError:  # it was removed
            folders += []
        places = [os.path.normpath(os.path.join(folder, stated)) for folder in dict.fromkeys(folders)]
    for place in places:
        try:
            return place, _read(place, _LARGEST_SEAL)
        except FileNotFoundError:
            continue
        except NotADirectoryError:
            # The calling file is inside of a zip; so may the seal be.
            loader = caller.get("__loader__")
            try:
                return place, loader.get_data(place)  # type: ignore[union-attr] # then it is None, and that is caught
            except (AttributeError, OSError):
                continue
        except OSError as error:
            raise _Trouble("seal-unreadable", f"{place}: {error.strerror or error}", "make it readable") from error
    tried = " and ".join(places)
    raise _Trouble("seal-not-found", f"there is no such file: {tried}", "write one with `sanctity seal`, or give its whole path")


def _folder_of(caller: dict[str, Any]) -> list[str]:
    """The folder of the file that calls, if it is one of the program's: a thread's first caller is the standard library."""
    file = caller.get("__file__")
    if not isinstance(file, str) or not file:
        return []
    folder = os.path.dirname(os.path.abspath(file))
    library = os.path.dirname(os.__file__)
    return [] if _is_within(folder, library) and "-packages" not in folder[len(library) :] else [folder]


def _read(path: str, most: int) -> bytes:
    """The bytes of the regular file *path*. Raises OSError, also where it has more than *most*."""
    fd = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0))
    try:
        if os.fstat(fd).st_mode & 0o170000 != 0o100000:
            raise OSError(0, "it is no regular file")
        parts = []
        size = 0
        while part := os.read(fd, 1 << 20):
            parts.append(part)
            size += len(part)
            if size > most:
                raise OSError(0, f"it has more than {most:,} bytes")
        return b"".join(parts)
    finally:
        os.close(fd)


def _digest(*parts: bytes) -> str:
    """The SHA-256 over *parts*, in hex."""
    try:
        from _sha2 import sha256  # type: ignore[import-not-found,unused-ignore] # `hashlib` would start OpenSSL first
    except ImportError:
        try:
            from _sha256 import sha256  # type: ignore[import-not-found,no-redef,unused-ignore] # before Python 3.12
        except ImportError:
            from hashlib import sha256
    found: str = sha256(b"".join(len(part).to_bytes(8, "little") + part for part in parts)).hexdigest()
    return found


# -- once a process tree ----------------------------------------------------------------------------------------------------------


def _birth(pid: int) -> tuple[int, str]:
    """The parent of the process *pid*, and when it began, in the kernel's ticks. Raises OSError, ValueError or IndexError."""
    fields = _read_proc(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    return int(fields[1]), fields[19].decode("ascii")


def _read_proc(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return b"".join(iter(lambda: os.read(fd, 1 << 16), b""))
    finally:
        os.close(fd)


def _loading(environ: dict[str, str]) -> bytes:
    """The variables of *environ* that load code, for a digest."""
    from sanctity.model.variables import LOADS, weigh

    found = sorted(f"{name}={value}" for name, value in environ.items() if (weigh(name, value, os.pathsep) or ("",))[0] == LOADS)
    return os.fsencode("\0".join(found))


def _mark(key: str, pid: int, begun: str) -> str:
    return f"1 {pid} {begun} {_digest(key.encode(), _loading(_variables()))}"


def _leave_mark(key: str) -> None:
    """Tell the processes that this one starts that it passed."""
    try:
        os.environ[MARK] = _mark(key, os.getpid(), _birth(os.getpid())[1])
    except (OSError, ValueError, IndexError):
        return  # without /proc nobody could check it


def _ancestor_passed(key: str) -> bool:
    """Whether the mark names an ancestor of this process, which runs the same interpreter and passed with the same seal."""
    mark = os.environ.get(MARK, "")
    try:
        _, text, begun, _ = mark.split(" ")
        wanted = int(text)
        if mark != _mark(key, wanted, begun):
            return False
        pid = os.getppid()
        for _ in range(_GENERATIONS):
            parent, since = _birth(pid)
            if pid == wanted:
                return since == begun and os.path.samefile(f"/proc/{pid}/exe", "/proc/self/exe")
            if parent <= 0:
                return False
            pid = parent
    except (OSError, ValueError, IndexError):
        return False
    return False


# -- what the program was started with --------------------------------------------------------------------------------------------


def _variables() -> dict[str, str]:
    """The variables that this process was started with, less what the interpreter was told to ignore.

    The kernel keeps them as they were; what the program set since is no start-up variable. Where it does not tell, or a program
    wrote its title over them, they are those of now.
    """
    try:
        started = os.fsdecode(_read_proc("/proc/self/environ")).rstrip("\0").split("\0")
    except (OSError, AttributeError):
        started = []
    whole = all(line.find("=") > 0 for line in started)
    found = dict(line.split("=", 1) for line in started) if started and whole else dict(os.environ)
    if sys.flags.ignore_environment:
        kept = {"PYTHONTZPATH"} | (set() if sys.flags.no_user_site else {"PYTHONUSERBASE"})
        found = {name: value for name, value in found.items() if not name.startswith("PYTHON") or name in kept}
    if sys.pycache_prefix:
        found.setdefault("PYTHONPYCACHEPREFIX", sys.pycache_prefix)  # -X pycache_prefix says the same
    if _is_fresh(found.get("PYTHONPYCACHEPREFIX", "")):
        del found["PYTHONPYCACHEPREFIX"]
    return found


def _is_fresh(folder: str) -> bool:
    """Whether `sanctity run --fresh-bytecode` made *folder* for this process or an ancestor: private, and named for that process.

    Its name is ``sanctity-bytecode-NAMESPACE-PID-BEGUN-…``, as `apply.run` gives it. Nobody else can have written to it, but for
    those who may trace this process as well.
    """
    parts = folder.rpartition("/")[2].split("-")
    if parts[:2] != ["sanctity", "bytecode"] or len(parts) < 6:
        return False
    try:
        state = os.lstat(folder)
        if state.st_mode & 0o170077 != 0o040000 or state.st_uid != os.geteuid():
            return False
        if str(os.stat("/proc/self/ns/pid").st_ino) != parts[2]:
            return False
        pid = os.getpid()
        for _ in range(_GENERATIONS):
            parent, begun = _birth(pid)
            if [str(pid), begun] == parts[3:5]:
                return True
            if parent <= 0:
                return False
            pid = parent
    except (OSError, ValueError, IndexError):
        return False
    return False


def _surroundings() -> tuple[str, str, str, tuple[str, ...], dict[str, str], dict[str, str]]:
    """What `guarding.judge` is told of this process: its `guarding.Surroundings`."""
    site = sys.modules.get("site")
    user = getattr(site, "USER_BASE", None) if getattr(site, "ENABLE_USER_SITE", None) else None
    return sys.prefix, sys.base_prefix, str(user or ""), tuple(map(str, sys.path)), _variables(), dict(os.environ)


# -- depth version: the tripwire --------------------------------------------------------------------------------------------------


def _same_versions(data: bytes) -> bool:
    """Whether this process's own distributions are plainly those of the seal *data*; if not, somebody has to look closer.

    A folder's name is taken for the word of the METADATA in it.
    """
    try:
        document = _load_json(data)
        if document["schema"] != "sanctity.seal/1" or document["waivers"] or document["policy"]["profile"] != "default":
            return False
        sealed = next(each for each in document["environments"] if _is_for_here(each))
        expected: dict[tuple[str, str], str] = {}
        for line in sealed["distributions"]:
            if "files" in line or (line["name"], line["version"]) in expected:
                return False
            expected[line["name"], line["version"]] = line.get("origin", "")
        if _loading(_variables()):
            return False
        seeds = {"pip", "setuptools", "wheel"} - {name for name, _ in expected}
        sites = set()
        for entry in sys.path:
            if entry.endswith("-packages") and _is_within(entry, sys.prefix) and os.path.isdir(entry):
                sites.add(os.path.realpath(entry))
            elif not _is_plain(entry):
                return False
        if not sites:
            return False
        for site in sites:
            for name in os.listdir(site):
                lower = name.lower()
                if lower.endswith((".egg-info", ".egg-link", ".egg")):
                    return False
                if not lower.endswith(".dist-info") or name.startswith(("~", ".")):
                    continue
                key, _, version = lower[:-10].partition("-")
                key = key.replace("_", "-").replace(".", "-")
                if key in seeds:
                    continue
                origin = expected.pop((key, version), None)
                if origin is None or not _is_from(f"{site}/{name}", origin):
                    return False
    except (AttributeError, KeyError, TypeError, ValueError, StopIteration, OSError, RecursionError):
        return False  # whoever looks closer says what is wrong
    return not expected


def _load_json(data: bytes) -> dict[str, Any]:
    """The document in *data*. `json` imports `re` and more; the scanner inside it is compiled, and needs neither."""
    text = data.decode()
    try:
        from _json import make_scanner
    except ImportError:
        import json

        return json.loads(text)  # type: ignore[no-any-return]
    context: Any = _Context()
    found, end = make_scanner(context)(text, 0)
    if text[end:].strip():
        raise ValueError("more follows")
    return found  # type: ignore[no-any-return]


class _Context:
    """What the compiled scanner asks about, with the answers of `json.loads`."""

    strict = True
    object_hook = object_pairs_hook = array_hook = None
    parse_float = float
    parse_int = int

    def __init__(self) -> None:
        self.memo: dict[str, str] = {}

    @staticmethod
    def parse_constant(text: str) -> NoReturn:
        raise ValueError(text)


def _is_for_here(sealed: dict[str, object]) -> bool:
    """Whether an environment of the seal is for this process's platform and Python, exactly."""
    level = {"alpha": "a", "beta": "b", "candidate": "rc"}.get(sys.version_info.releaselevel, "")
    version = "{}.{}.{}".format(*sys.version_info[:3]) + (f"{level}{sys.version_info.serial}" if level else "")
    abi = f"cpython-{sys.version_info[0]}{sys.version_info[1]}{sys.abiflags}"
    if sealed["python"] != {"implementation": sys.implementation.name, "version": version, "abi": abi}:
        return False
    libc = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")[0] if sys.platform == "linux" else ""
    return sealed["platform"] == f"{sys.platform}-{os.uname().machine}-{libc}"


def _is_within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _is_plain(entry: str) -> bool:
    """Whether the *entry* of sys.path brings in no distribution."""
    if _is_within(entry, sys.base_prefix) and not entry.endswith("-packages"):
        return True  # the standard library
    try:
        names = os.listdir(entry or ".")
    except FileNotFoundError:
        return True
    except NotADirectoryError:
        return False
    return not any(name.lower().endswith(".dist-info") and not name.startswith("sanctity-") for name in names)


def _is_from(home: str, origin: str) -> bool:
    """Whether the distribution at *home* plainly has the sealed *origin*."""
    try:
        stated = _read(f"{home}/direct_url.json", 1 << 20)
    except FileNotFoundError:
        return not origin
    kind, _, commit = origin.partition(":")
    evidence = {"archive": b'"archive_info"', "git": commit.encode()}.get(kind, b"")
    if kind == "editable":
        return b'"editable":true' in stated.replace(b" ", b"")
    return bool(evidence) and evidence in stated


# -- depth record: the child ------------------------------------------------------------------------------------------------------


def _base_interpreters() -> Iterator[str]:
    """Where the base interpreter may be. A program that holds Python inside of it is none, and is not to be started again."""
    stated = getattr(sys, "_base_executable", "") or ""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    free = "t" if "t" in getattr(sys, "abiflags", "") else ""
    for path in (stated, f"{sys.base_prefix}/bin/python{version}{free}", f"{sys.base_exec_prefix}/bin/python{version}{free}"):
        if os.path.isabs(path) and os.path.basename(path).lower().startswith(("python", "pypy")):
            yield path


def _is_program(path: str) -> bool:
    """Whether *path* is a program itself, and no script that looks for one, as version managers put in its place."""
    try:
        with open(path, "rb") as handle:
            start = handle.read(2)
    except OSError:
        return False
    return len(start) == 2 and start != b"#!" and os.access(path, os.X_OK)


def _base_interpreter() -> str:
    tried = list(dict.fromkeys(_base_interpreters()))
    prefix = os.path.realpath(sys.prefix)
    for path in tried:
        own = sys.prefix != sys.base_prefix and _is_within(os.path.realpath(path), prefix)
        if not own and _is_program(path):
            return path
    named = ", ".join(tried) or "none is named"
    raise _Trouble("guard-can-not-look", f"there is no base interpreter to look with: {named}")


def _home_of_package() -> str:
    """The folder, or the zip, that holds the package `sanctity`."""
    file = globals().get("__file__")
    home = os.path.dirname(os.path.dirname(os.path.abspath(file))) if isinstance(file, str) else ""
    if not os.path.exists(home):
        words = f"the package sanctity is in no folder or zip that a child could import it from: {file}"
        raise _Trouble("guard-can-not-look", words)
    return home


def _frame(*fields: bytes) -> bytes:
    return b"".join(len(field).to_bytes(8, "little") + field for field in fields)


def _look_from_child(path: str, data: bytes, timeout: float) -> Result:
    if not hasattr(os, "posix_spawn"):
        raise _Trouble("guard-can-not-look", f"a child can not be started on {sys.platform} as it must be")
    interpreter, home = _base_interpreter(), _home_of_package()
    prefix, base, user, entries, started, now = _surroundings()
    nonce = os.urandom(16).hex().encode()
    request = _frame(
        nonce,
        str(int(timeout) + 10).encode(),
        os.fsencode(path),
        data,
        os.fsencode(prefix),
        os.fsencode(base),
        os.fsencode(user),
        os.fsencode("\0".join(entries)),
        *(os.fsencode("\0".join(f"{name}={value}" for name, value in each.items())) for each in (started, now)),
    )
    argv = [interpreter, "-I", "-S", "-B", "-X", "utf8", "-c", _BOOT, home]
    reply, complaint, status = _converse(argv, request, timeout)
    fields = _unframe(reply)
    if fields is None or len(fields) != 6 or fields[0] != nonce:
        if reply:
            why = f"it said {len(reply):,} bytes that are no answer"
        elif status is None:
            why = "it said nothing"
        else:
            why = f"it was ended by signal {-status}" if status < 0 else f"it ended with exit code {status}"
        words = _plain(complaint.decode("utf-8", "replace").strip().rpartition("\n")[2][:300])
        raise _Trouble("guard-child-failed", f"the child that looks gave no answer: {why}" + (f": {words}" if words else ""))
    if status:
        raise _Trouble("guard-child-failed", f"the child that looks answered, and then ended with {status}")
    if fields[1] != str(sys.hexversion).encode():
        raise _Trouble("guard-can-not-look", f"{interpreter} is another Python than the one that runs")
    verdict, codes, message, text = (field.decode("utf-8", "replace") for field in fields[2:])
    if verdict not in {"clean", "drifted", "undecided"} or (verdict == "clean") is not (not codes):
        raise _Trouble("guard-child-failed", "the child that looks gave an answer that means nothing")
    return Result(verdict, tuple(codes.split()), message, text, "record", path)


def _unframe(data: bytes) -> list[bytes] | None:
    """The fields of a frame; None where *data* is none, whole."""
    fields = []
    at = 0
    while at < len(data):
        end = at + 8 + int.from_bytes(data[at : at + 8], "little")
        if at + 8 > len(data) or end > len(data):
            return None
        fields.append(data[at + 8 : end])
        at = end
    return fields


def _converse(argv: list[str], request: bytes, timeout: float) -> tuple[bytes, bytes, int | None]:
    """Start *argv* with an empty environment, give it *request*, and return what it says, what it complains of, and how it ended.

    How it ended is None where that can not be known, since somebody else collects the children of this process.
    """
    import _signal  # type: ignore[import-not-found] # `signal` would import `enum` first
    from select import POLLERR, POLLHUP, POLLIN, POLLOUT, poll
    from time import monotonic

    deadline = monotonic() + timeout
    # A program that holds Python inside of it may not ignore SIGPIPE, and a child that is gone must not end it.
    masked = _signal.pthread_sigmask(_signal.SIG_BLOCK, (_signal.SIGPIPE,))
    pipes: list[int] = []
    pid = 0
    status: int | None = None
    try:
        for _ in range(3):
            pipes += os.pipe()
        if min(pipes) <= 2:  # the program has closed a standard stream, and the child needs its own there
            pipes = _lifted(pipes)
        theirs_in, ours_in, ours_out, theirs_out, ours_err, theirs_err = pipes
        # What a signal raises between its start and the line that knows its number would leave it alone.
        waiting = (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP, _signal.SIGALRM)
        before = _signal.pthread_sigmask(_signal.SIG_BLOCK, waiting)
        try:
            pid = os.posix_spawn(
                argv[0],
                argv,
                {},
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, theirs_in, 0),
                    (os.POSIX_SPAWN_DUP2, theirs_out, 1),
                    (os.POSIX_SPAWN_DUP2, theirs_err, 2),
                ],
                setpgroup=0,
                setsigmask=(),
                setsigdef=(_signal.SIGPIPE, _signal.SIGCHLD, _signal.SIGALRM, _signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP),
            )
        except OSError as error:
            raise _Trouble("guard-can-not-look", f"{argv[0]} can not be started: {error.strerror or error}") from error
        finally:
            _signal.pthread_sigmask(_signal.SIG_SETMASK, before)
        for fd in (theirs_in, theirs_out, theirs_err):
            _close(fd, pipes)
        os.set_blocking(ours_in, False)
        waiter = poll()
        waiter.register(ours_in, POLLOUT)
        waiter.register(ours_out, POLLIN)
        waiter.register(ours_err, POLLIN)
        unsent = memoryview(request)
        said = {ours_out: b"", ours_err: b""}
        most = {ours_out: _LARGEST_REPLY, ours_err: _LARGEST_COMPLAINT}
        while ours_out in pipes:
            left = deadline - monotonic()
            if left <= 0:
                words = f"the child that looks gave no answer for {timeout:g} s"
                raise _Trouble("guard-child-failed", words, "raise the timeout, if the disk is slow")
            for fd, event in waiter.poll(min(left, 60.0) * 1000):
                if fd == ours_in:
                    try:
                        unsent = unsent[os.write(fd, unsent[: 1 << 16]) :] if event & POLLOUT else unsent[:0]
                    except BlockingIOError:
                        continue
                    except OSError:
                        unsent = unsent[:0]  # it is gone, and what it said last says why
                    if unsent and not event & (POLLERR | POLLHUP):
                        continue
                elif part := os.read(fd, 1 << 16):
                    said[fd] = (said[fd] + part)[: most[fd] + 1]
                    if len(said[ours_out]) > _LARGEST_REPLY:
                        raise _Trouble("guard-child-failed", "the child that looks does not stop talking")
                    continue
                waiter.unregister(fd)
                _close(fd, pipes)
        status = _collect(pid, deadline)
        pid = 0 if status is not None else pid
        return said[ours_out], said[ours_err], status
    finally:
        if pid:
            _end(pid)
        while pipes:
            _close(pipes[-1], pipes)
        if _signal.SIGPIPE not in masked and _signal.SIGPIPE in _signal.sigpending():
            _signal.sigtimedwait((_signal.SIGPIPE,), 0)
        _signal.pthread_sigmask(_signal.SIG_SETMASK, masked)


def _close(fd: int, pipes: list[int]) -> None:
    """Close *fd*, one of *pipes*, and no longer know of it.

    Not in the other order: what a signal raises in between would have it closed twice, the second time perhaps as somebody else's.
    """
    pipes.remove(fd)
    os.close(fd)


def _lifted(pipes: list[int]) -> list[int]:
    """*pipes* as descriptors above those of the standard streams; they themselves are closed."""
    from fcntl import F_DUPFD_CLOEXEC, fcntl

    found = [fcntl(fd, F_DUPFD_CLOEXEC, 3) for fd in pipes]
    for fd in pipes:
        os.close(fd)
    return found


def _collect(pid: int, deadline: float) -> int | None:
    """How the child *pid* ended, as `subprocess` tells it; None where somebody else collected it."""
    from time import monotonic, sleep

    while True:
        try:
            found, status = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            return None
        if found:
            return os.waitstatus_to_exitcode(status)
        if monotonic() > deadline:
            raise _Trouble("guard-child-failed", "the child that looks answered, and did not end")
        sleep(0.001)


def _end(pid: int) -> None:
    """End the child *pid* and those that it started, which are a group of their own. One that waits for a dead disk is left."""
    import _signal  # see above
    from time import sleep

    try:
        os.killpg(pid, _signal.SIGKILL)
        for _ in range(1000):
            if os.waitpid(pid, os.WNOHANG)[0]:
                return
            sleep(0.001)
    except OSError:
        return


class _Callable(type(sys)):  # type: ignore[misc] # the type of modules, without an import
    """This module, which can be called as the function of its name: ``sanctity.guard(...)``."""

    def __call__(
        self,
        seal: str | os.PathLike[str] = "env.seal.json",
        *,
        depth: str = "record",
        on_drift: str | Callable[[Result], object] = "refuse",
        timeout: float = 300.0,
    ) -> Result:
        """Do what `guard` does."""
        return _guard(_caller(), seal, depth, on_drift, timeout)

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        """So that it can be the target of a process that another one starts."""
        return __import__("importlib").import_module, (self.__name__,)


sys.modules[__name__].__class__ = _Callable
