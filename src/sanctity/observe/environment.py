"""An environment, looked at from outside: the one place where the other rooms' findings become an `Environment`."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from dataclasses import dataclass, field, replace
from itertools import chain
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from sanctity.canon.content import (
    LARGEST_SCRIPT,
    content_digest,
    installed_key,
    is_about_installing,
    is_cached_bytecode,
    normalise_wheel_metadata,
    normalised_script,
)
from sanctity.canon.scripts import EntryPointError, parse_entry_points, split_interpreter, wrapper_target
from sanctity.errors import NoEnvironmentError
from sanctity.model.drift import Depth
from sanctity.model.environment import (
    Distribution,
    Environment,
    FileEntry,
    FileKind,
    Interpreter,
    Layout,
    LookedAtFrom,
    Problem,
    RecordFault,
    RecordRow,
    Script,
)
from sanctity.observe.activation import observe_activation
from sanctity.observe.conda import (
    CONDA_META,
    NOT_CONTENT,
    CondaManifest,
    is_conda,
    keepers,
    observe_conda,
    read_conda_manifest,
)
from sanctity.observe.dpkg import DPKG_LISTS, dist_packages, observe_system, read_manifest
from sanctity.observe.interpreter import Configuration, observe_interpreter, parse_pyvenv
from sanctity.observe.sites import Guise, layout_imports_more, observe_other_sites
from sanctity.observe.startup import observe_hooks
from sanctity.observe.view import View, is_blind
from sanctity.observe.walk import Tree, default_workers, read_each, walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from sanctity.model.digest import ContentDigest
    from sanctity.model.environment import KnownFile

__all__ = ["observe_environment"]

#: Larger scripts are looked into only where they start this environment's interpreter.
_LARGEST_READ: Final = 1 << 20
#: A first line, and a three-line start, are shorter than this.
_LONGEST_START: Final = 1 << 14
_PYTHON_FOLDER: Final = re.compile(r"(?:python|pypy)(\d+\.\d+)t?")
_READ: Final = (FileKind.FILE, FileKind.LINK)
_NOTHING: Final[Mapping[str, KnownFile]] = MappingProxyType({})


def _never_tick(_done: int, _found: int) -> None:
    return


def observe_environment(
    prefix: str,
    *,
    depth: Depth,
    clock: Callable[[], float],
    root: str = "",
    workers: int = 0,
    tick: Callable[[int, int], None] = _never_tick,
    meanwhile: Iterable[object] = (),
    keep_rows: bool = False,
    known: Mapping[str, KnownFile] = _NOTHING,
    user_base: str = "",
) -> Environment:
    """Look at the environment at *prefix*, an absolute path as the environment itself sees it, below *root* if one is given.

    At depth ``version`` only metadata is read; at ``record`` every file, by *workers* processes (0: as many as there are
    processors). *tick* is told (files read, files found). *meanwhile* is other work in steps, done while the files are read; what
    it raises ends the look. *keep_rows* keeps the rows behind each content digest. *known* are files that need not be read again
    while they are the same. *user_base* is the folder of a user's own packages (``/home/user/.local``), looked at where Python
    would import from it; empty for nobody's. Nothing of the environment is run or imported.

    Raises:
        NoEnvironmentError: *prefix* holds no site-packages folder.
        ObservationError: the tree can not be read at all.
    """

    def look(prefix: str, guise: Guise | None = None) -> tuple[Environment, Configuration | None]:
        """Look at another folder that packages are imported from."""
        return _observe_one(prefix, depth=depth, clock=clock, root=root, workers=workers, keep_rows=keep_rows, guise=guise)

    environment, configuration = _observe_one(
        prefix,
        depth=depth,
        clock=clock,
        root=root,
        workers=workers,
        tick=tick,
        meanwhile=meanwhile,
        keep_rows=keep_rows,
        known=known,
    )
    if layout_imports_more(environment.layout, configuration):
        view = View(root)
        environment = observe_other_sites(environment, configuration, view=view, look=look, depth=depth, user_base=user_base)
        if not root:
            asked = {*environment.asked, *view.asked, f"{environment.interpreter.base}/{environment.layout.stdlib}/site-packages"}
            listed = {*environment.listed, *view.listed}
            return replace(environment, asked=tuple(sorted(asked)), listed=tuple(sorted(listed)))
    return environment


def _observe_one(
    prefix: str,
    *,
    depth: Depth,
    clock: Callable[[], float],
    root: str,
    workers: int,
    tick: Callable[[int, int], None] = _never_tick,
    meanwhile: Iterable[object] = (),
    keep_rows: bool,
    known: Mapping[str, KnownFile] = _NOTHING,
    guise: Guise | None = None,
) -> tuple[Environment, Configuration | None]:
    """One prefix, and its pyvenv.cfg; *guise* says what it is where it is no prefix of an interpreter."""
    view = View(root)
    prefix = prefix.rstrip("/") or "/"
    problems: list[Problem] = []
    if guise is None:
        configuration, interpreter, layout = _identify(view, prefix, problems)
    else:
        configuration, interpreter, layout = None, guise.interpreter, guise.layout
    scripts = layout.scripts
    itself = not root and os.path.realpath(sys.prefix) == os.path.realpath(prefix)
    looked_at_from = LookedAtFrom.ITSELF if itself else LookedAtFrom.OUTSIDE
    debian = layout.site == dist_packages(view, prefix, layout.version)
    manifest: Mapping[str, tuple[str, bytes]] = {}
    conda = guise is None and not debian and is_conda(view, prefix)
    documents = CondaManifest()

    def look() -> Iterator[Distribution]:
        """Look at each distribution, once it is known what the package manager says of them."""
        nonlocal manifest, documents
        what, where = "the lists of what dpkg installed", DPKG_LISTS
        try:
            if debian:
                manifest = read_manifest(view, prefix, layout.site)
            elif conda:
                what, where = "the documents of what conda installed", CONDA_META
                documents = read_conda_manifest(view, prefix)
        except OSError as error:
            problems.append(Problem("unreadable", where, f"{what}: {error.strerror or error}"))
        kept = keepers(documents.claims, layout.site) if conda else {path: package for path, (package, _) in manifest.items()}
        # What this imports takes longer than it takes to set the children to reading, which goes before.
        from sanctity.observe.distributions import metadata_homes, observe_distribution

        for site in layout.site:
            for entry in metadata_homes(view, f"{prefix}/{site}"):
                keeper = kept.get(f"{site}/{entry}", "")
                records = depth is not Depth.VERSION and not keeper
                tags = depth is Depth.ARTIFACT
                item = observe_distribution(view, prefix, site, entry, problems, records=records, tags=tags)
                # What conda built carries the direct_url.json of the host that built it, which is no origin.
                yield replace(item, keeper=keeper, origin=None if conda else item.origin) if keeper else item

    if depth is Depth.VERSION:
        for _ in meanwhile:
            pass
        found = _sorted(list(look()))
        short = Environment(
            prefix=prefix,
            layout=layout,
            interpreter=interpreter,
            distributions=found,
            problems=tuple(sorted(set(problems))),
            manager="dpkg" if debian else "conda" if conda else "",
            manifest_faults=documents.faults,
            conda=documents.packages,
            looked_at_from=looked_at_from,
        )
        return short, configuration
    tree = Tree()
    whole = _Whole(view, prefix, layout, tree, keep_rows=keep_rows)
    if guise is not None:
        whole.scripts_folder = guise.scripts
    distributions: list[Distribution] = []
    completed: list[Distribution] = []

    def read_records() -> Iterator[bool]:
        """Read each RECORD, then complete each distribution once its files are read; what is left is for later."""
        for item in look():
            distributions.append(item)
            yield True
        unread = [_Unread(item, tree.files) for item in distributions]
        while unread:
            ready = [one.item for one in unread if (not one.waits_for or one.waits_for in tree.files) and one.is_read()]
            if ready:
                unread = [one for one in unread if one.waits_for is not None]
                distributions[:] = [*ready, *(one.item for one in unread)]
            for item in ready:
                completed.append(whole.complete(item))
                del distributions[0]
                yield True
            if not ready:
                yield False

    home = view.real(prefix)
    parts = [folder for folder in (*layout.site, *(() if debian or guise else (scripts,))) if view.is_folder(f"{prefix}/{folder}")]
    if layout.virtual or conda:
        # The walk follows no link, so a part that lies behind one is a start of its own.
        parts = ["", *(folder for folder in parts if view.real(f"{prefix}/{folder}") != f"{home.rstrip('/')}/{folder}")]

    def resolve(path: str) -> str:
        return view.host(view.real(f"{prefix}/{path}"))

    walk(
        view.host(home),
        parts,
        tree=tree,
        workers=workers or default_workers(),
        clock=clock,
        tick=tick,
        meanwhile=chain(meanwhile, read_records()),
        resolve=resolve if root else None,
        skip=NOT_CONTENT if conda else (),
        known=known,
        code=depth is Depth.ARTIFACT,
    )
    tree.problems.extend(problems)
    files = tree.files
    # What is completed claims no file that is not there.
    absent = [row.path for item in distributions for row in item.record or () if row.path not in files and row.digest]
    folders: frozenset[str] = frozenset()
    if absent:
        late = read_each(view.host(home), absent, resolve=resolve if root else None)
        tree.problems.extend(late.problems)
        tree.bytes += late.bytes
        files.update(late.files)
        folders = frozenset(path for path in absent if path not in files and view.is_folder(f"{prefix}/{path}"))
    hooks, unread = observe_hooks(view, prefix, layout, interpreter, configuration, [*completed, *distributions])
    tree.problems.extend(unread)
    found = _sorted([*completed, *(whole.complete(item) for item in distributions)])

    def is_folder(path: str) -> bool:
        return view.is_folder(f"{prefix}/{path}")

    if conda:
        found_system = observe_conda(
            documents.claims, files, prefixes=(prefix, home), read=whole.read, is_ours=whole.is_ours, is_folder=is_folder
        )
    else:
        found_system = observe_system(manifest, files, read=whole.read, is_folder=is_folder)
    system = tuple(found_system)
    environment = Environment(
        prefix=prefix,
        layout=layout,
        interpreter=interpreter,
        distributions=found,
        files=files,
        hooks=hooks,
        problems=tuple(sorted(set(tree.problems))),
        regenerated=tuple(sorted(whole.regenerated)),
        other_digests=tuple(sorted(whole.other_digests)),
        folders=folders,
        system=system,
        manager="dpkg" if debian else "conda" if conda else "",
        manifest_faults=documents.faults,
        conda=documents.packages,
        elves=tuple(sorted(tree.elves)),
        activation=observe_activation(view, prefix, layout) if layout.virtual else (),
        looked_at_from=looked_at_from,
        cached=tree.cached,
        walked=() if root else tuple(parts),
        skipped=tuple(sorted(NOT_CONTENT)) if conda else (),
        asked=() if root else tuple(sorted(view.asked)),
        listed=() if root else tuple(sorted(view.listed)),
    )
    return environment, configuration


def _identify(view: View, prefix: str, problems: list[Problem]) -> tuple[Configuration | None, Interpreter, Layout]:
    """What pyvenv.cfg says, which interpreter it is, and where things are. Raises NoEnvironmentError."""
    try:
        configuration: Configuration | None = parse_pyvenv(view.read(f"{prefix}/pyvenv.cfg", 1 << 16))
    except FileNotFoundError:
        configuration = None
    except OSError as error:
        reason = error.strerror or "unreadable"
        fault = RecordFault("interpreter-changed", "pyvenv.cfg", f"it can not be read: {reason}")
        configuration = Configuration(faults=() if is_blind(error) else (fault,))
        if is_blind(error):
            problems.append(Problem("unreadable", "pyvenv.cfg", reason))
    scripts = "Scripts" if view.is_folder(f"{prefix}/Scripts") and not view.is_folder(f"{prefix}/bin") else "bin"
    interpreter = observe_interpreter(view, prefix, scripts, configuration)
    layout = _find_layout(view, prefix, scripts, interpreter, virtual=configuration is not None)
    if not interpreter.version:
        interpreter = replace(interpreter, version=layout.version, evidence="the library folder's name")
    if configuration is None and _looks_virtual(prefix, interpreter):
        fault = RecordFault("interpreter-changed", "pyvenv.cfg", "it is missing, so the interpreter does not know this environment")
        interpreter = replace(interpreter, faults=(*interpreter.faults, fault))
        layout = replace(layout, virtual=True)
    return configuration, interpreter, layout


def _sorted(distributions: list[Distribution]) -> tuple[Distribution, ...]:
    return tuple(sorted(distributions, key=lambda item: (item.key, item.version, item.home)))


def _looks_virtual(prefix: str, interpreter: Interpreter) -> bool:
    """Whether a prefix without pyvenv.cfg starts an interpreter that lies elsewhere, so that it was a virtual environment."""
    return bool(interpreter.base) and interpreter.executable.startswith("/") and interpreter.base != prefix


def _find_layout(view: View, prefix: str, scripts: str, interpreter: Interpreter, *, virtual: bool) -> Layout:
    minor = ".".join(interpreter.version.split(".")[:2])
    if scripts == "Scripts":
        if not view.is_folder(f"{prefix}/Lib/site-packages"):
            raise _no_site(prefix)
        return Layout(site=("Lib/site-packages",), scripts=scripts, stdlib="Lib", version=minor, virtual=virtual)
    version = minor or _newest_library(view, prefix)
    debian = dist_packages(view, prefix, version)
    if debian:
        return Layout(site=debian, scripts=scripts, stdlib=f"lib/python{version}", version=version, virtual=virtual)
    known: dict[str, str] = {}
    for library in ("lib", "lib64"):
        if library == "lib64" and view.real(f"{prefix}/lib64") == view.real(f"{prefix}/lib"):
            continue
        for name in view.listing(f"{prefix}/{library}"):
            match = _PYTHON_FOLDER.fullmatch(name)
            if match and view.is_folder(f"{prefix}/{library}/{name}/site-packages"):
                known[f"{library}/{name}/site-packages"] = match[1]
    if not known:
        raise _no_site(prefix)
    version = minor if minor in known.values() else max(known.values(), key=lambda text: int(text.split(".")[1]))
    site = [folder for folder, of in known.items() if of == version]
    # Two builds of one version may share a prefix: with the lock, and without it (PEP 703).
    threaded = interpreter.abi.endswith("t")
    site = [folder for folder in site if os.path.dirname(folder).endswith("t") is threaded] or site
    return Layout(site=tuple(site), scripts=scripts, stdlib=os.path.dirname(site[0]), version=version, virtual=virtual)


def _newest_library(view: View, prefix: str) -> str:
    """The ``3.11`` of the newest ``lib/python3.11``, or an empty text."""
    found = [match[1] for name in view.listing(f"{prefix}/lib") if (match := _PYTHON_FOLDER.fullmatch(name))]
    return max(found, key=lambda text: int(text.partition(".")[2]), default="")


def _no_site(prefix: str) -> NoEnvironmentError:
    return NoEnvironmentError(
        "no-environment",
        "there is no site-packages folder here, so this is no Python environment",
        where=prefix,
        hint="name the environment's own folder with --env DIR, or its interpreter with --python EXE",
    )


class _Unread:
    """A distribution whose files are still being read, and the first of them that is missing."""

    def __init__(self, item: Distribution, files: Mapping[str, FileEntry]) -> None:
        self.item = item
        self.files = files
        self.paths = iter(item.record or ())
        self.waits_for: str | None = ""

    def is_read(self) -> bool:
        """Whether every file that the distribution claims has been read; asked for once the file is there that it *waits_for*."""
        files = self.files
        self.waits_for = next((row[0] for row in self.paths if row[0] not in files), None)
        return self.waits_for is None


@dataclass(slots=True)
class _Found:
    """The rows of one RECORD beside the files that they name.

    *plain* are (path in site-packages, raw digest) of the files whose rows in the content are just that, which are nearly all,
    and *others* the paths of the others; *doubtful* are as in `Distribution`.
    """

    plain: list[tuple[str, bytes]] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    doubtful: list[RecordRow] = field(default_factory=list)


class _Whole:
    """What is left to do once all files are read: scripts, content digests, rewritten data files."""

    def __init__(self, view: View, prefix: str, layout: Layout, tree: Tree, *, keep_rows: bool = False) -> None:
        self.view = view
        self.prefix = prefix
        self.layout = layout
        self.keep_rows = keep_rows
        self.files = tree.files
        self.tree = tree
        self.scripts_folder = view.real(f"{prefix}/{layout.scripts}")
        self.starts: dict[str, bool] = {}
        self.regenerated: list[str] = []
        self.other_digests: list[tuple[str, str, bytes]] = []

    def is_ours(self, interpreter: str) -> bool:
        """Whether *interpreter* is exactly a python of this environment's scripts folder."""
        known = self.starts.get(interpreter)
        if known is None:
            folder, _, name = interpreter.rpartition("/")
            # These are the names that the interpreter was looked for under, and that must all lead to the same one.
            known = re.fullmatch(r"(?:python|pypy)(?:\d+(?:\.\d+)?t?d?)?", name) is not None and (
                folder == "$ORIGIN"
                or (folder.startswith("/") and os.path.normpath(folder) == folder and self.view.real(folder) == self.scripts_folder)
            )
            self.starts[interpreter] = known
        return known

    def read(self, entry: FileEntry) -> bytes | None:
        """The bytes of a small file that was already hashed; None where they are no longer those."""
        try:
            data = self.view.read(f"{self.prefix}/{entry.path}", entry.size + 1)
        except OSError as error:
            self.tree.problems.append(Problem("unreadable", entry.path, error.strerror or "unreadable"))
            return None
        if hashlib.sha256(data).digest() != entry.digest:
            self.tree.problems.append(Problem("changed-while-looking", entry.path, "it changed while it was looked at"))
            return None
        return data

    def complete(self, item: Distribution) -> Distribution:
        """*item* with its scripts and its content digest; what else its rows ask for goes to *regenerated* and *other_digests*."""
        if item.record is None:
            return item
        regenerated = dict(self._regenerated(item.record))
        self.regenerated.extend(regenerated)
        self.other_digests.extend(self._other_digests(item.record))
        faults = list(item.faults)
        declared = self._declared(item, faults)
        scripts = self._scripts(item, declared)
        found = self._look_up(item.record, os.path.dirname(item.home) + "/", item.home.removesuffix(".dist-info"))
        rows, complete = self._rows(item, found.others, {script.path: script for script in scripts}, regenerated)
        content = stated = None
        if complete:
            try:
                content = content_digest(rows, lib=found.plain)
                stated = self._stated(item, content, rows, found, declared, scripts)
            except UnicodeEncodeError:
                faults.append(RecordFault("path-invalid", item.home, "it claims a file whose name is not UTF-8"))
        kept = None
        if self.keep_rows and content is not None:
            kept = tuple(sorted({*rows, *((f"lib/{path}", f"sha256:{digest.hex()}") for path, digest in found.plain)}))
        return replace(
            item,
            scripts=scripts,
            content=content,
            stated=stated,
            rows=kept,
            faults=tuple(faults),
            doubtful=tuple(found.doubtful),
        )

    def _stated(
        self,
        item: Distribution,
        content: ContentDigest,
        rows: list[tuple[str, str]],
        found: _Found,
        declared: Mapping[str, str],
        scripts: tuple[Script, ...],
    ) -> ContentDigest | None:
        """The content by the RECORD's own word, None where a row does not tell: what *content* was, if only files were altered."""
        site = os.path.dirname(item.home)
        folder = self.layout.scripts + "/"
        canonical = {script.path: script.canonical for script in scripts}
        others = {(path, algorithm): digest for path, algorithm, digest in self.other_digests}
        word: dict[str, str] = {}
        for row in found.doubtful:
            path = row.path
            if is_cached_bytecode(path) or is_about_installing(path, item.home):
                continue
            entry = self.files.get(path)
            if entry is not None and (
                not row.digest or row.digest in {entry.digest, canonical.get(path), others.get((path, row.algorithm))}
            ):
                continue
            name = path.removeprefix(folder)
            if path.startswith(folder) and name in declared:
                word[f"scripts/{name}"] = f"ep:{declared[name]}"
            elif row.algorithm != "sha256" or path.startswith(folder) or (item.built_here and path == f"{item.home}/WHEEL"):
                return None
            else:
                word[installed_key(path, site=site, scripts=self.layout.scripts)] = f"sha256:{row.digest.hex()}"
        if not word:
            return content
        stated = {f"lib/{path}": f"sha256:{digest.hex()}" for path, digest in found.plain}
        return content_digest([*(stated | dict(rows) | word).items()])

    def _rows(
        self, item: Distribution, paths: list[str], scripts: dict[str, Script], regenerated: Mapping[str, bytes]
    ) -> tuple[list[tuple[str, str]], bool]:
        """The canonical rows of those *paths* of *item*, and whether all could be read; what is missing has no row.

        What was *regenerated*, and proven to be no more than that, counts as what it was: it holds the environment's place.
        """
        site = os.path.dirname(item.home)
        lib = site + "/"
        start = len(lib)
        stem = item.home.removesuffix(".dist-info")
        own_wheel = f"{item.home}/WHEEL" if item.built_here else ""
        complete = True
        rows: list[tuple[str, str]] = []
        for path in paths:
            entry = self.files.get(path)
            if entry is None or (path.endswith((".pyc", ".pyo")) and is_cached_bytecode(path)):
                continue
            if path.startswith(stem) and is_about_installing(path, item.home):
                continue
            digest = regenerated.get(path) or entry.digest
            if not digest:
                complete = False
            elif path == own_wheel:
                data = self.read(entry)
                complete = complete and data is not None
                rows.append((f"lib/{path[start:]}", f"sha256:{hashlib.sha256(normalise_wheel_metadata(data or b'')).hexdigest()}"))
            elif path.startswith(lib):
                rows.append((f"lib/{path[start:]}", f"sha256:{digest.hex()}"))
            elif path in scripts:
                script = scripts[path]
                if script.target and not script.declared:
                    continue  # pip's own pip3.11: the wrapper of an entry point under a name that the wheel does not know
                rows.append(
                    (f"scripts/{script.name}", f"ep:{script.target}" if script.target else f"sha256:{script.canonical.hex()}")
                )
            else:
                rows.append((installed_key(path, site=site, scripts=self.layout.scripts), f"sha256:{digest.hex()}"))
        return rows, complete

    def _look_up(self, record: tuple[RecordRow, ...], lib: str, stem: str) -> _Found:
        """Look each row's file up, and sort the rows out."""
        start = len(lib)
        get = self.files.get
        found = _Found()
        plain, others, doubtful = found.plain, found.others, found.doubtful
        for row in record:
            path, _, stated, length = row
            entry = get(path)
            if entry is None or not (digest := entry[3]):
                others.append(path)
                doubtful.append(row)
                continue
            if digest != stated or entry[2] != length:
                doubtful.append(row)
            if path.startswith(lib) and not path.endswith((".pyc", ".pyo")) and not path.startswith(stem):
                plain.append((path[start:], digest))
            else:
                others.append(path)
        return found

    def _declared(self, item: Distribution, faults: list[RecordFault]) -> dict[str, str]:
        path = f"{item.home}/entry_points.txt"
        entry = self.files.get(path)
        if entry is None or not entry.digest:
            return {}
        data = self.read(entry)
        if data is None:
            return {}
        try:
            return parse_entry_points(data.decode())
        except (UnicodeDecodeError, EntryPointError) as error:
            faults.append(RecordFault("record-invalid", path, f"it declares no entry points that can be read: {error}"[:240]))
            return {}

    def _scripts(self, item: Distribution, declared: dict[str, str]) -> tuple[Script, ...]:
        folder = self.layout.scripts + "/"
        found: list[Script] = []
        for row in item.record or ():
            if not row.path.startswith(folder):
                continue
            entry = self.files.get(row.path)
            if entry is None or not entry.digest:
                continue
            name = row.path[len(folder) :]
            wanted = declared.get(name, "")
            if entry.size > _LARGEST_READ and not self._starts_ours(entry):
                fault = f"it is {entry.size:,} bytes long, no wrapper" if wanted else ""
                found.append(Script(path=row.path, name=name, declared=wanted, canonical=entry.digest, fault=fault))
                continue
            data = self.read(entry)
            if data is None:
                continue
            interpreter, rest = split_interpreter(data)
            ours = self.is_ours(interpreter)
            target = wrapper_target(data) if ours else ""
            fault = ""
            if wanted and target != wanted:
                if not ours:
                    fault = f"it starts {interpreter or 'no interpreter'}, not one of this environment"
                else:
                    fault = f"it calls {target}, not {wanted}" if target else "it is not the wrapper that its entry point generates"
            if not wanted and target not in declared.values():
                target = ""
            canonical = hashlib.sha256(normalised_script(rest)).digest() if ours else entry.digest
            kept = "" if fault else target
            found.append(Script(path=row.path, name=name, declared=wanted, target=kept, canonical=canonical, fault=fault))
        return tuple(found)

    def _starts_ours(self, entry: FileEntry) -> bool:
        """Whether a large file is still a script of this environment's interpreter, of a size that its digest is defined for."""
        try:
            head = self.view.read_head(f"{self.prefix}/{entry.path}", _LONGEST_START)
        except OSError:
            return False
        interpreter, rest = split_interpreter(head)
        return entry.size - len(head) + len(rest) <= LARGEST_SCRIPT and self.is_ours(interpreter)

    def _other_digests(self, record: tuple[RecordRow, ...]) -> Iterator[tuple[str, str, bytes]]:
        """The digests of files whose RECORD row uses SHA-384, SHA-512 or the like."""
        if {row[1] for row in record} <= {"", "sha256"}:
            return
        for row in record:
            if row.algorithm in {"", "sha256"} or row.path not in self.files:
                continue
            data = self.read(self.files[row.path])
            if data is not None:
                yield row.path, row.algorithm, hashlib.new(row.algorithm, data).digest()

    def _regenerated(self, record: tuple[RecordRow, ...]) -> Iterator[tuple[str, bytes]]:
        """Claimed kernel.json files that differ from their RECORD, but only start this environment's own kernel.

        With the raw SHA-256 that the RECORD states, empty where it states another.
        """
        for row in record:
            if not row[0].endswith("/kernel.json") or "/jupyter/kernels/" not in row.path:
                continue
            entry = self.files.get(row.path)
            if entry is None or entry.digest == row.digest or entry.kind not in _READ or entry.size > _LARGEST_READ:
                continue
            data = self.read(entry)
            if data is not None and self._is_own_kernel(data):
                yield row.path, row.digest if row.algorithm == "sha256" else b""

    def _is_own_kernel(self, data: bytes) -> bool:
        try:
            stated = json.loads(data)
        except (ValueError, RecursionError):
            return False
        if not isinstance(stated, dict) or not stated.keys() <= {
            "argv",
            "display_name",
            "language",
            "metadata",
            "kernel_protocol_version",
        }:
            return False
        match stated.get("argv"):
            case [str(python), *options, "-m", "ipykernel_launcher", "-f", "{connection_file}"]:
                return self.is_ours(python) and all(option == "-Xfrozen_modules=off" for option in options)
        return False
