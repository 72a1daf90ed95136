"""Every claimed file against its RECORD row, and every file that nobody claims.

RECORD is the environment's own word, so agreement is consistency and no more. A claimed file is compared by digest, whatever its
kind; an unclaimed one gates where Python could import it or run it at start-up.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final

from sanctity.canon.content import is_shadowed
from sanctity.compare.hooks import KNOWN_HOOKS
from sanctity.model.drift import Code, Drift, Severity, Unchecked
from sanctity.model.environment import FileKind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Set as AbstractSet

    from sanctity.compare.ownership import Ownership
    from sanctity.model.environment import Distribution, Environment, FileEntry, RecordRow

__all__ = [
    "compare_claimed",
    "compare_problems",
    "compare_shared",
    "compare_unclaimed",
    "is_cached",
    "unclaimed_code",
]

_IMPORTABLE: Final = (".py", ".pyc", ".pyo", ".pyw", ".so", ".pyd", ".pth", ".start", ".egg-link", ".zip", ".egg", ".whl")
#: What the loader opens for a module that needs it, by an RPATH into the environment: ``libz.so.1`` goes before the system's.
_LIBRARY: Final = re.compile(r".+\.so(?:\.[\w-]+)+", re.IGNORECASE)
_NO_HASH: Final = frozenset({"RECORD", "RECORD.jws", "RECORD.p7s", "INSTALLER", "REQUESTED", "direct_url.json"})
_INSTALLERS_OWN: Final = frozenset({".lock", ".gitignore", "CACHEDIR.TAG", "pyvenv.cfg", "pydoc.bat", "Activate.ps1"})
_LOADS_CODE: Final = frozenset({"entry_points.txt", "METADATA", "RECORD"})
_MODULE: Final = re.compile(r"(?P<stem>[^./]+)(?:\.(?:cpython|cp|abi|pypy)[\w-]*)?\.(?:so|pyd)")
_INTERPRETER: Final = re.compile(
    # Python 3.14 and newer greet whoever looks into bin.
    r"(?:python|pypy|\U0001d70bthon)[0-9.]*t?(?:-config)?(?:\.exe)?|activate(?:[._].*)?|deactivate(?:\..*)?",
    re.IGNORECASE,
)


def is_cached(path: str) -> bool:
    """Whether *path* lies directly in a ``__pycache__`` folder and is bytecode, or nothing that import could take for code.

    A module or a folder there can be imported as ``package.__pycache__.module``, so it is code as anywhere else.
    """
    head, _, name = path.rpartition("/")
    if head.rpartition("/")[2] != "__pycache__":
        return False
    lowered = name.lower()
    return lowered.endswith((".pyc", ".pyo")) or not lowered.endswith(_IMPORTABLE)


def _name(digest: bytes) -> str:
    return f"sha256:{digest.hex()}" if digest else ""


def compare_claimed(environment: Environment, ownership: Ownership, seeds: AbstractSet[str]) -> list[Drift]:
    """Compare every RECORD row with what is there. A seed's drift is reported but does not gate."""
    drifts: list[Drift] = []
    regenerated = frozenset(environment.regenerated)
    others = {(path, algorithm): digest for path, algorithm, digest in environment.other_digests}
    blind = tuple(f"{problem.path}/" for problem in environment.problems if problem.code == "unreadable")
    for item in environment.distributions:
        is_seed = item.key in seeds
        for fault in item.faults:
            code = Code(fault.code)
            drifts.append(
                _drift(code, item, ownership.shown(fault.path), is_seed=is_seed, message=fault.message),
            )
        scripts = {script.path: script for script in item.scripts}
        drifts.extend(
            _drift(Code.SCRIPT_ALTERED, item, script.path, is_seed=is_seed, message=script.fault, expected=f"ep:{script.declared}")
            for script in item.scripts
            if script.fault
        )
        files = ownership.files
        for row in (item.record or ()) if item.doubtful is None else item.doubtful:
            path, _, digest, size = row
            entry = files.get(path)
            if digest and entry is not None and entry.digest == digest:
                if size not in (-1, entry.size):
                    words = f"its RECORD row has its hash, but says {row.size:,} bytes where it has {entry.size:,}"
                    drifts.append(_drift(Code.RECORD_INVALID, item, ownership.shown(path), is_seed=is_seed, message=words))
                continue
            if is_cached(path) and path.endswith((".pyc", ".pyo")):
                continue  # judged by its header, see compare.bytecode
            if entry is None:
                if any(path.startswith(folder) for folder in blind):
                    continue  # nobody could look there: told by compare_problems
                if not _may_be_absent(environment, item, row, is_seed=is_seed):
                    drifts.append(
                        _drift(Code.FILE_MISSING, item, ownership.shown(path), is_seed=is_seed, expected=_name(row.digest))
                    )
            elif entry.problem:
                continue  # told by compare_problems, which makes the verdict undecided
            elif entry.kind not in {FileKind.FILE, FileKind.LINK}:
                words = f"it is a {entry.kind}, not a file"
                drifts.append(
                    _drift(
                        Code.FILE_ALTERED, item, ownership.shown(path), is_seed=is_seed, expected=_name(row.digest), message=words
                    )
                )
            elif not row.digest:
                if path.rpartition("/")[2] in _NO_HASH and path.startswith(item.home + "/"):
                    continue
                if (path in scripts and scripts[path].target) or path == item.home.removesuffix(".dist-info") + ".virtualenv":
                    continue  # virtualenv hashes neither, but the script is proven, and its marker says nothing
                words = "its RECORD row has no hash, so it can not be compared"
                drifts.append(_drift(Code.RECORD_INVALID, item, ownership.shown(path), is_seed=is_seed, message=words))
            elif others.get((path, row.algorithm)) == row.digest:
                continue
            elif path in scripts and scripts[path].canonical == row.digest:
                continue  # pip before 22.1 states the wheel's own script, whose first line says ``#!python``
            elif path in scripts and scripts[path].fault:
                continue  # told above, in better words
            else:
                drifts.append(_altered(environment, ownership, item, row, entry, is_seed=is_seed, regenerated=path in regenerated))
    return drifts


def _may_be_absent(environment: Environment, item: Distribution, row: RecordRow, *, is_seed: bool) -> bool:
    """Rows that need no file: bytecode anybody may delete, and the false rows that installers write.

    virtualenv names folders and unwritten bytecode of its seeds; of these, a folder for bytecode may be absent from any
    distribution, since a lock may name just the release that was seeded. pip and uv keep the row of a script that they did not
    install, because an entry point has its name.
    """
    if row.path.endswith((".pyc", ".pyo", "/__pycache__")) and not row.digest:
        return True
    skipped = f"{item.home.removesuffix('.dist-info')}.data/scripts/"
    if row.path.startswith(skipped) and is_shadowed(
        row.path[len(skipped) :], {script.name for script in item.scripts if script.declared}
    ):
        return True
    return is_seed and (not row.digest or row.path in environment.folders)


def _altered(
    environment: Environment,
    ownership: Ownership,
    item: Distribution,
    row: RecordRow,
    entry: FileEntry,
    *,
    is_seed: bool,
    regenerated: bool,
) -> Drift:
    path = row.path
    shared = entry.links > 1 or entry.kind is FileKind.LINK
    expected, actual = _name(row.digest), _name(entry.digest)
    shown = ownership.shown(path)
    winner = next(
        (rival for rival, claim in ownership.rivals.get(path, ()) if rival is not item and claim.digest == entry.digest),
        None,
    )
    if winner is not None:
        words = f"{winner.name} {winner.version} owns the same path, and its bytes are there"
        return _drift(Code.FILE_CLOBBERED, item, shown, is_seed=is_seed, message=words, expected=expected, actual=actual)
    if path.startswith(environment.layout.scripts + "/"):
        declared = any(script.path == path and script.declared for script in item.scripts)
        code = Code.SCRIPT_ALTERED if declared else Code.FILE_ALTERED
        words = "it is still its entry point's wrapper, but not the bytes that RECORD states" if declared else ""
        return _drift(code, item, shown, is_seed=is_seed, message=words, expected=expected, actual=actual, shared=shared)
    if ownership.in_site(path):
        return _drift(Code.FILE_ALTERED, item, shown, is_seed=is_seed, expected=expected, actual=actual, shared=shared)
    if regenerated:
        return Drift(
            code=Code.DATA_ALTERED,
            severity=Severity.NOTE,
            gating=False,
            distribution=item.name,
            version=item.version,
            path=shown,
            expected=expected,
            actual=actual,
            message="rewritten by `ipykernel install`: it starts this environment's own interpreter, and nothing else",
        )
    return _drift(Code.DATA_ALTERED, item, shown, is_seed=is_seed, expected=expected, actual=actual, shared=shared)


def _drift(
    code: Code,
    item: Distribution,
    path: str,
    *,
    is_seed: bool,
    message: str = "",
    expected: str = "",
    actual: str = "",
    shared: bool = False,
) -> Drift:
    return Drift(
        code=code,
        severity=Severity.WARNING if is_seed else Severity.ERROR,
        gating=not is_seed,
        distribution=item.name,
        version=item.version,
        path=path,
        expected=expected,
        actual=actual,
        message=message,
        shared=shared,
    )


class _Folders:
    """The claimed files by folder, built once there is an unclaimed file to place."""

    def __init__(self, ownership: Ownership) -> None:
        self.ownership = ownership
        self.names: dict[str, list[str]] = {}
        for path in ownership.owners:
            folder, _, name = path.rpartition("/")
            self.names.setdefault(folder, []).append(name)

    def nearest_owner(self, path: str) -> tuple[str, str]:
        """Name and version of the distribution whose folder an unclaimed file lies in, if just one owns files there."""
        folder = path.rpartition("/")[0]
        while folder and folder not in self.ownership.site:
            names = self.names.get(folder)
            if names:
                found = {self.ownership.owners[f"{folder}/{name}"] for name in names}
                owner = found.pop()
                return ("", "") if found else (owner.name, owner.version)
            folder = folder.rpartition("/")[0]
        return "", ""

    def shadowed(self, path: str) -> str:
        """The claimed module that an unclaimed extension or package at *path* would be imported in place of, or an empty text."""
        folder, _, name = path.rpartition("/")
        owners = self.ownership.owners
        match = _MODULE.fullmatch(name)
        if match is not None:
            stem = f"{folder}/{match['stem']}"
            for candidate in (f"{stem}.py", f"{stem}/__init__.py"):
                if candidate in owners:
                    return candidate
            same = (
                claimed
                for claimed in self.names.get(folder, ())
                if _MODULE.fullmatch(claimed) and claimed.startswith(match["stem"] + ".")
            )
            return next((f"{folder}/{claimed}" for claimed in same), "")
        if name.startswith("__init__."):
            return next((candidate for candidate in (f"{folder}.py", f"{folder}.so") if candidate in owners), "")
        return ""


def _decodable(path: str) -> bool:
    return not any("\udc80" <= character <= "\udcff" for character in path)


def is_unclaimed_code(environment: Environment, ownership: Ownership, entry: FileEntry) -> bool:
    """Whether an unclaimed file could be imported or run at start-up, so that it gates."""
    path = entry.path
    if entry.kind is FileKind.DIRLINK and any(f"{folder}/".startswith(f"{path}/") for folder in ownership.site):
        return True  # site-packages itself lies behind it
    if not ownership.may_be_code(path):
        # Wheels of native libraries put these beside site-packages, where the RPATHs of others lead.
        beside = environment.layout.virtual and path.rpartition("/")[0] in {"lib", "lib64"}
        return beside and ".so" in path and path in environment.elves
    if is_cached(path):
        return False
    if entry.digest and entry.digest.hex() in KNOWN_HOOKS:
        return False
    if entry.kind in {FileKind.LINK, FileKind.DIRLINK, FileKind.DANGLING, FileKind.LOOP}:
        return True
    head, _, name = path.rpartition("/")
    if head.lower().endswith((".dist-info", ".egg-info")) and head.rpartition("/")[0] in ownership.site:
        # Where it is no distribution that was looked at, such as ~six-1.0.dist-info, importlib.metadata sees one all the same.
        known = next((item for item in environment.distributions if item.home == head), None)
        return name in _LOADS_CODE and (known is None or known.record is not None or bool(known.keeper))
    return name.lower().endswith(_IMPORTABLE) or _LIBRARY.fullmatch(name) is not None


def unclaimed_code(environment: Environment, ownership: Ownership) -> tuple[tuple[str, bytes], ...]:
    """(path, raw digest) of every unclaimed file that gates, for the fingerprint; hooks are a part of their own."""
    hooks = {hook.path for hook in environment.hooks}
    return tuple(
        (entry.path, entry.digest or entry.target.encode("utf-8", "surrogateescape"))
        for entry in ownership.unclaimed
        if is_unclaimed_code(environment, ownership, entry) and entry.path not in hooks
    )


def compare_unclaimed(environment: Environment, ownership: Ownership) -> Iterator[Drift]:
    """Name every unclaimed file that gates, and count the others."""
    hooks = {hook.path for hook in environment.hooks}
    without_record = tuple(item.home + "/" for item in environment.distributions if item.record is None and not item.keeper)
    known: dict[str, str] = {}
    harmless: Counter[str] = Counter()
    programs: list[str] = []
    folders: _Folders | None = None
    for entry in ownership.unclaimed:
        path = entry.path
        shown = ownership.shown(path)
        if not ownership.in_site(path) and not is_unclaimed_code(environment, ownership, entry):
            name = path.rpartition("/")[2]
            scripts = environment.layout.scripts + "/"
            if (
                (environment.layout.virtual or environment.manager == "conda")
                and path.startswith(scripts)
                and not _INTERPRETER.fullmatch(name)
                and name not in _INSTALLERS_OWN
            ):
                programs.append(path)
            continue
        if is_cached(path) or path.startswith(without_record) or path in hooks:
            continue
        if entry.digest and entry.digest.hex() in KNOWN_HOOKS:
            known[shown] = KNOWN_HOOKS[entry.digest.hex()]
            continue
        if not is_unclaimed_code(environment, ownership, entry):
            harmless[shown.partition("/")[0]] += 1
            continue
        folders = folders or _Folders(ownership)
        name, version = folders.nearest_owner(path)
        code, words = Code.FILE_UNCLAIMED, ""
        if not _decodable(path):
            code, words = Code.PATH_INVALID, "its name is not UTF-8, so no RECORD can claim it"
        elif entry.kind not in {FileKind.FILE, FileKind.LINK}:
            words = f"a {entry.kind}" + (f" to {entry.target}" if entry.target else "")
        elif entry.kind is FileKind.LINK:
            words = f"a symbolic link to {entry.target}"
        elif shadowed := folders.shadowed(path):
            code, words = Code.PATH_SHADOW, f"import takes it in place of {ownership.shown(shadowed)}"
            owner = ownership.owners[shadowed]
            name, version = owner.name, owner.version
        elif shown.endswith((".pyc", ".pyo")):
            code, words = Code.BYTECODE_ORPHAN, "a module without source: import runs it as it is"
            if path[:-1] in ownership.files:
                code, words = Code.FILE_UNCLAIMED, "bytecode in the place of sourceless modules"
        yield Drift(code=code, distribution=name, version=version, path=shown, actual=_name(entry.digest), message=words)
    for folder, count in sorted(harmless.items()):
        yield Drift(
            code=Code.FILE_UNCLAIMED,
            severity=Severity.NOTE,
            gating=False,
            path=folder,
            count=count,
            message="no RECORD claims it, but import can not take it for code",
        )
    for path in programs:
        yield Drift(
            code=Code.FILE_UNCLAIMED, severity=Severity.NOTE, gating=False, path=path, message="a program that no RECORD claims"
        )
    if known:
        yield Drift(
            code=Code.PTH_HOOK,
            severity=Severity.NOTE,
            gating=False,
            path=", ".join(known),
            count=len(known),
            message=f"known by its digest, as {', '.join(sorted(set(known.values())))} writes it",
        )


def compare_shared(ownership: Ownership) -> Iterator[Drift]:
    """One note on the claimed files that other environments share, since an edit there is an edit here."""
    owners, kept, link = ownership.owners, ownership.kept, FileKind.LINK
    # By position, since every file is asked: its kind, and its hard links.
    linked = [
        entry[1]
        for path, entry in ownership.files.items()
        if (entry[5] > 1 or entry[1] is link) and (path in owners or (path in kept and entry[1] is not link))
    ]
    symbolic = linked.count(link)
    hard = len(linked) - symbolic
    for count, kind in ((hard, "hard"), (symbolic, "symbolic")):
        if count:
            yield Drift(
                code=Code.SHARED_WITH_CACHE,
                severity=Severity.NOTE,
                gating=False,
                count=count,
                message=f"{count:,} files are {kind} links into a shared cache: an edit in another environment is an edit here",
            )


def compare_problems(environment: Environment, ownership: Ownership) -> Iterator[Unchecked]:
    """What could not be looked at, and whether it was in scope: claimed files, code, and folders that may hold some."""
    for problem in environment.problems:
        cached = is_cached(problem.path) or problem.path.endswith("__pycache__")
        in_part = not environment.layout.virtual and environment.manager != "conda"  # then only such parts were looked at
        in_scope = (
            problem.path in ownership.owners
            or (problem.path in ownership.kept and not cached)
            or (not cached and (in_part or problem.path == "." or _may_hold_code(environment, problem.path)))
        )
        yield Unchecked(code=problem.code, what=ownership.shown(problem.path), reason=problem.reason, in_scope=in_scope)


def _may_hold_code(environment: Environment, path: str) -> bool:
    site = environment.layout.site
    return (
        path in {"pyvenv.cfg", "conda-meta"}
        or path.startswith("/")
        or any(path.startswith(folder) or folder.startswith(path + "/") for folder in (*site, environment.layout.scripts))
    )
