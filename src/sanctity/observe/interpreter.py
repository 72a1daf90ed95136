"""The interpreter an environment starts, told by its own bytes. It is never run.

From CPython 3.11 on, the exported word ``Py_Version`` holds the exact version. Before that, patchlevel.h beside the library, or the
package manager's own list, say it. What pyvenv.cfg says is a claim: it is compared, and never believed.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sanctity.model.environment import Interpreter, RecordFault
from sanctity.observe.elf import Elf, ElfError, read_elf
from sanctity.observe.view import is_blind

if TYPE_CHECKING:
    from sanctity.observe.view import View

__all__ = ["Configuration", "library_of", "observe_executable", "observe_interpreter", "parse_pyvenv"]

_PYTHON_NAME: Final = re.compile(r"(?:python|pypy)(?:\d+(?:\.\d+)?t?d?)?(?:\.exe)?")
_LEVELS: Final = {0xA: "a", 0xB: "b", 0xC: "rc", 0xF: ""}
_SMALL: Final = 1 << 16
_CODE: Final = "interpreter-changed"
#: What makes an interpreter take the folder it lies in for the tree it was built in (CPython's ``Modules/getpath.py``).
_BUILD_TREE: Final = ("pybuilddir.txt", "Modules/Setup.local")


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What pyvenv.cfg says: *home*, *version* as claimed, whether the base's site-packages are seen too, and its faults."""

    home: str = ""
    version: str = ""
    system_site: bool = False
    faults: tuple[RecordFault, ...] = ()


def parse_pyvenv(data: bytes) -> Configuration:
    """Read a pyvenv.cfg as CPython does: ``key = value`` lines, keys in any case. Contradicting repetitions are faults.

    Where nothing is said of system site-packages, `site` takes them in.
    """
    faults: list[RecordFault] = []
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("utf-8", "replace")
        faults.append(RecordFault(_CODE, "pyvenv.cfg", "it is not UTF-8 text"))
    if "\0" in text:
        faults.append(RecordFault(_CODE, "pyvenv.cfg", "it holds a NUL character"))
    found: dict[str, str] = {}
    if re.search(r"\r(?!\n)|[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]", text):
        faults.append(RecordFault(_CODE, "pyvenv.cfg", "it holds characters that some programs take for the end of a line"))
    for line in re.split(r"\r\n|\r|\n", text):
        key, equals, value = line.partition("=")
        key = key.strip().lower()
        value = value.strip()
        if not equals or not key:
            continue
        if found.setdefault(key, value) != value and key in {"home", "include-system-site-packages", "version", "version_info"}:
            faults.append(RecordFault(_CODE, "pyvenv.cfg", f"it gives {key!r} twice: {found[key]!r} and {value!r}"))
            if key == "include-system-site-packages" and value.lower() == "true":
                found[key] = value
    if "home" not in found:
        faults.append(RecordFault(_CODE, "pyvenv.cfg", "it names no home, the folder of the interpreter it stands on"))
    if "include-system-site-packages" not in found:
        words = "it does not say include-system-site-packages, which the interpreter takes for true"
        faults.append(RecordFault(_CODE, "pyvenv.cfg", words))
    claimed = re.match(r"\d{1,3}\.\d{1,3}(\.\d{1,3})?", found.get("version_info") or found.get("version") or "")
    return Configuration(
        home=found.get("home", ""),
        version=claimed[0] if claimed else "",
        system_site=found.get("include-system-site-packages", "true").lower() == "true",
        faults=tuple(faults),
    )


def _decode_version(word: int) -> str:
    major, minor, micro, level, serial = word >> 24 & 0xFF, word >> 16 & 0xFF, word >> 8 & 0xFF, word >> 4 & 0xF, word & 0xF
    suffix = _LEVELS.get(level, "")
    return f"{major}.{minor}.{micro}" + (f"{suffix}{serial}" if suffix else "")


def library_of(view: View, executable: str, elf: Elf) -> str:
    """The libpython that the loader would take for *executable*, or an empty text."""
    name = next((name for name in elf.needed if name.startswith(("libpython", "libpypy"))), "")
    if not name:
        return ""
    folder = os.path.dirname(executable)
    places = [
        path.replace("${ORIGIN}", folder).replace("$ORIGIN", folder)
        for path in (elf.runpath or elf.rpath).split(":")
        if path.startswith(("/", "$ORIGIN", "${ORIGIN}"))
    ]
    triple = f"{elf.machine}-linux-gnu"
    places += [
        f"{folder}/../lib",
        f"/usr/lib/{triple}",
        f"/lib/{triple}",
        "/usr/lib64",
        "/usr/lib",
        "/usr/local/lib",
        "/lib64",
        "/lib",
    ]
    for place in places:
        if view.exists(f"{place}/{name}"):
            return view.real(f"{place}/{name}")
    return ""


def _header_version(view: View, base: str) -> str:
    for folder in (name for name in view.listing(f"{base}/include") if name.startswith(("python3", "pypy3"))):
        try:
            text = view.read(f"{base}/include/{folder}/patchlevel.h", _SMALL)
        except OSError:
            continue
        match = re.search(rb'^#define\s+PY_VERSION\s+"([^"\n]{1,20})"', text, re.MULTILINE)
        if match:
            return match[1].decode("ascii", "replace").rstrip("+")
    return ""


def _package_version(view: View, base: str, minor: str) -> tuple[str, str]:
    """The version that the package manager states for the interpreter *minor* under *base*, and which one said so."""
    for name in view.listing(f"{base}/conda-meta"):
        if re.fullmatch(r"python-3[\w.]*-[\w.]+\.json", name):
            try:
                stated = json.loads(view.read(f"{base}/conda-meta/{name}", 1 << 24))
                return str(stated["version"]), "conda-meta"
            except (OSError, ValueError, KeyError, TypeError):
                continue
    if base != "/usr":
        return "", ""
    try:
        status = view.read("/var/lib/dpkg/status", 1 << 26)
    except OSError:
        return "", ""
    match = re.search(
        rb"^Package: python" + re.escape(minor.encode()) + rb"-minimal\n(?:.+\n)*?Version: (?:\d+:)?(\d+\.\d+\.\d+)",
        status,
        re.MULTILINE,
    )
    return (match[1].decode(), "dpkg") if match else ("", "")


def _abi(view: View, base: str, version: str, executable: str) -> str:
    """The ABI tag, from the build's own sysconfig data where it is there, else from the executable's name."""
    minor = ".".join(version.split(".")[:2])
    flags = ""
    found = False
    stdlib = f"{base}/lib/python{minor}"
    # A build without the lock (PEP 703) has a library folder of its own, which may lie beside the other one's.
    threaded = bool(re.search(r"\dt(?:d|\.|$)", os.path.basename(executable)))
    for folder in (f"{stdlib}t", stdlib) if threaded else (stdlib, f"{stdlib}t"):
        for name in view.listing(folder):
            if not name.startswith("_sysconfigdata_") or not name.endswith(".py"):
                continue
            try:
                match = re.search(
                    rb"['\"]SOABI['\"]:\s*['\"](?:cpython|pypy)-?(\w+?)(?:-[^'\"]*)?['\"]", view.read(f"{folder}/{name}", 1 << 20)
                )
            except OSError:
                continue
            if match:
                flags = match[1].decode("ascii", "replace").lstrip("0123456789")
                found = True
                break
        if found:
            break
    if not found:
        flags = _stated_flags(view, stdlib) or ("t" if threaded else "")
    return f"cpython-{minor.replace('.', '')}{flags}"


def _stated_flags(view: View, stdlib: str) -> str:
    """The ABI flags that a build states of itself (PEP 739, from Python 3.14 on), or an empty text."""
    for folder in (stdlib, f"{stdlib}t"):
        try:
            flags = json.loads(view.read(f"{folder}/build-details.json", _SMALL))["abi"]["flags"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            continue
        if isinstance(flags, list) and all(isinstance(flag, str) for flag in flags):
            return "".join(flag for flag in flags if re.fullmatch("[a-z]", flag))
    return ""


def observe_interpreter(view: View, prefix: str, scripts: str, configuration: Configuration | None) -> Interpreter:
    """Look at the interpreter of the environment at *prefix* (an absolute path as the environment sees it).

    *configuration* is pyvenv.cfg's, or None for a prefix that is no virtual environment. What is wrong is told in
    `Interpreter.faults`; nothing is raised for what a hostile environment may hold.
    """
    faults: list[RecordFault] = list(configuration.faults) if configuration else []
    folder = f"{prefix}/{scripts}"
    names = [name for name in view.listing(folder) if _PYTHON_NAME.fullmatch(name)]
    names.sort(key=lambda name: (name != "python", name != "python3", name))
    claimed = configuration.version if configuration else ""
    if not names:
        faults.append(RecordFault(_CODE, f"{scripts}/python", "there is no interpreter here"))
        return Interpreter(claimed=claimed, faults=tuple(faults))
    if configuration is not None and view.exists(f"{folder}/pyvenv.cfg"):
        faults.append(RecordFault(_CODE, f"{scripts}/pyvenv.cfg", "the interpreter reads it in place of the environment's own"))
    targets = {name: view.real(f"{folder}/{name}") for name in names}
    if configuration is None:
        version_of_folder = _folder_version(view, prefix)
        # By what they lead to: of two builds in one prefix, ``python`` says which one is meant.
        fitting = (os.path.basename(targets[name]).removesuffix("t").endswith(version_of_folder) for name in names)
        names = [name for name, fits in zip(names, fitting, strict=True) if fits] or names
    executable = targets[names[0]]
    shown = executable.removeprefix(prefix + "/")
    try:
        elf, word = read_elf(view.host(executable), "Py_Version")
    except (OSError, ElfError) as error:
        if isinstance(error, FileNotFoundError):
            reason = "it leads nowhere"
        elif isinstance(error, OSError):
            reason = error.strerror or "it can not be read"
        else:
            reason = f"it is no interpreter: {error}"
        code = "interpreter-unknown" if isinstance(error, OSError) and is_blind(error) else _CODE
        faults.append(RecordFault(code, f"{scripts}/{names[0]}", f"{reason}: {executable}"))
        return Interpreter(executable=shown, claimed=claimed, faults=tuple(faults))
    base = os.path.dirname(os.path.dirname(executable))
    if configuration is not None:
        faults.extend(
            RecordFault(_CODE, f"{scripts}/{name}", f"it is {targets[name]}, but {names[0]} is {executable}")
            for name in names[1:]
            if targets[name] != executable and not _same_bytes(view, targets[name], executable)
        )
        if configuration.home:
            fault, base = _compare_home(view, f"{prefix}/{scripts}/{names[0]}", executable, configuration.home)
            if fault:
                faults.append(RecordFault(_CODE, "pyvenv.cfg", fault))
    folders = {os.path.dirname(executable), view.real(folder), *([view.real(configuration.home)] if configuration else [])}
    faults.extend(
        RecordFault(
            _CODE, f"{place}/{name}", "the interpreter takes its standard library from the tree that this says it was built in"
        )
        for place in sorted(folders)
        for name in _BUILD_TREE
        if place.startswith("/") and view.exists(f"{place}/{name}")
    )
    return _by_its_bytes(view, executable, base, elf, word, faults, shown=shown, claimed=claimed)


def observe_executable(view: View, path: str) -> Interpreter | None:
    """The interpreter that the absolute *path* leads to, looked at by itself: of no environment. None where it is none."""
    executable = view.real(path)
    if not _PYTHON_NAME.fullmatch(os.path.basename(executable)):
        return None
    try:
        elf, word = read_elf(view.host(executable), "Py_Version")
    except (OSError, ElfError):
        return None
    base = os.path.dirname(os.path.dirname(executable))
    return _by_its_bytes(view, executable, base, elf, word, [], shown=executable)


def _by_its_bytes(
    view: View,
    executable: str,
    base: str,
    elf: Elf,
    word: int | None,
    faults: list[RecordFault],
    *,
    shown: str,
    claimed: str = "",
) -> Interpreter:
    """What the bytes of *executable* and of the libpython that it needs state; *word* is its own ``Py_Version``, if it has one."""
    evidence = f"Py_Version in {os.path.basename(executable)}"
    library = "" if word else library_of(view, executable, elf)
    if library:
        try:
            _, word = read_elf(view.host(library), "Py_Version")
            evidence = f"Py_Version in {os.path.basename(library)}"
        except (OSError, ElfError) as error:
            code = "interpreter-unknown" if isinstance(error, OSError) and is_blind(error) else _CODE
            faults.append(RecordFault(code, library, f"it is no library: {error}"))
    implementation = "pypy" if "pypy" in os.path.basename(executable) or "libpypy" in library else "cpython"
    minor = _minor_version(view, executable, library, base)
    if word:
        version = _decode_version(word)
    else:
        version, evidence = _header_version(view, base), "patchlevel.h"
        if not version or not version.startswith(minor):
            version, evidence = _package_version(view, base, minor)
        if not version:
            version, evidence = minor, "the library's name"
    if version and claimed and not version.startswith(claimed) and not claimed.startswith(version):
        faults.append(
            RecordFault("interpreter-claim", "pyvenv.cfg", f"it was made for Python {claimed}, the interpreter is {version}")
        )
    libc = "musl" if "musl" in elf.loader else "glibc" if elf.loader else ""
    return Interpreter(
        implementation=implementation,
        version=version,
        abi=_abi(view, base, version, library or executable) if version and implementation == "cpython" else "",
        machine=elf.machine,
        libc=libc,
        executable=shown,
        base=base,
        evidence=evidence,
        claimed=claimed,
        faults=tuple(faults),
    )


def _folder_version(view: View, prefix: str) -> str:
    found = [name for name in view.listing(f"{prefix}/lib") if re.fullmatch(r"python3\.\d+t?", name)]
    with_site = [name for name in found if view.is_folder(f"{prefix}/lib/{name}/site-packages")]
    versions = [name.removeprefix("python").removesuffix("t") for name in with_site or found]
    return max(versions, key=lambda text: int(text.split(".")[1]), default="")


def _minor_version(view: View, executable: str, library: str, base: str) -> str:
    for name in (os.path.basename(library), os.path.basename(executable)):
        match = re.search(r"(\d\.\d+)", name)
        if match:
            return match[1]
    return _folder_version(view, base)


def _same_bytes(view: View, one: str, other: str) -> bool:
    try:
        if os.stat(view.host(one)).st_size != os.stat(view.host(other)).st_size:
            return False
        with open(view.host(one), "rb") as left, open(view.host(other), "rb") as right:
            while block := left.read(1 << 18):
                if block != right.read(1 << 18):
                    return False
    except OSError:
        return False
    return True


def _compare_home(view: View, started: str, executable: str, home: str) -> tuple[str, str]:
    """What is wrong with pyvenv.cfg's *home*, and the base prefix that follows; *executable* is what *started* resolves to."""
    base = os.path.dirname(view.real(home))
    if not home.startswith("/"):
        return f"its home {home!r} is no absolute path", os.path.dirname(os.path.dirname(executable))
    candidates = [entry for entry in view.listing(home) if _PYTHON_NAME.fullmatch(entry)]
    if not candidates and (inner := [entry for entry in view.listing(f"{home}/bin") if _PYTHON_NAME.fullmatch(entry)]):
        # Old virtualenv names the base prefix itself, which CPython takes as well: it looks there first, and then above it.
        base, home, candidates = view.real(home), f"{home}/bin", inner
    if not candidates:
        return f"its home {home!r} holds no interpreter", os.path.dirname(os.path.dirname(executable))
    resolved = {view.real(f"{home}/{entry}") for entry in candidates}
    copied = os.path.dirname(executable) == view.real(os.path.dirname(started))
    if executable in resolved or (copied and any(_same_bytes(view, executable, path) for path in sorted(resolved))):
        # The standard library is searched from home, or from where home's own link leads.
        real_base = base if copied else os.path.dirname(os.path.dirname(executable))
        return "", real_base
    return f"its home {home!r} is another Python's than {started}, which is {executable}", base
