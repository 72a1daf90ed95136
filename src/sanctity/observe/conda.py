"""What conda, mamba or pixi say of the files they installed: each package's document in ``conda-meta`` is its manifest.

Source: ``conda-meta/NAME-VERSION-BUILD.json`` as conda, libmamba and rattler write it (the CEP on ``PrefixRecord`` documents):
``paths_data.paths`` names every file with the SHA-256 of the file as packaged, and where the installer replaced the placeholder for
the prefix, with that of the file as installed. The interpreter and its standard library are packages there as well. These documents
are the environment's own word, as RECORD is: agreement with them is consistency and no more.

A file's content, which is what counts in a fingerprint, is the file with the placeholder put back, so it is the same below any
prefix. It is computed from the bytes that are there, and never taken from the document.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from dataclasses import replace
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sanctity.canon.content import is_cached_bytecode
from sanctity.canon.scripts import EntryPointError, parse_entry_points, split_interpreter, wrapper_target
from sanctity.model.digest import Digest
from sanctity.model.environment import CondaPackage, FileKind, RecordFault, SystemFile
from sanctity.observe.view import is_blind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from sanctity.model.environment import Environment, FileEntry
    from sanctity.model.platform import Build, StandardLibrary
    from sanctity.observe.view import View

__all__ = [
    "CONDA_META",
    "NOT_CONTENT",
    "CondaClaim",
    "CondaManifest",
    "as_packaged",
    "is_conda",
    "keepers",
    "observe_conda",
    "read_conda_manifest",
    "restored",
]

#: The folder of the documents, relative to the prefix.
CONDA_META: Final = "conda-meta"
#: Folders of a prefix that hold no files of its packages: the documents, and what a base prefix keeps for others.
NOT_CONTENT: Final = frozenset({CONDA_META, "pkgs", "envs"})

_LARGEST: Final = 1 << 26
#: A larger file with a placeholder in it counts as it is, prefix and all.
_LARGEST_RESTORED: Final = 1 << 28
#: What stands for the prefix is told by its look: else a document could name any text of a file, and hide a change there.
_PLACEHOLDER: Final = re.compile(r"/[^\0\r\n]*(?:_placehold|anaconda1anaconda2anaconda3)[^\0\r\n]*")
#: A longer first line, or one with a blank, is no plain one: no kernel, and no installer, takes it.
_LONGEST_LINE: Final = 127
#: No path goes through more folders, which are followed one after the other.
_DEEPEST: Final = 200
_UNUSUAL: Final = re.compile(r"(?:^|/)\.{0,2}(?:/|$)|\0")
#: A token in the URL of a channel, as private channels have it.
_TOKEN: Final = re.compile(r"^/t/[^/]+/")
_NOTHING: Final = hashlib.sha256(b"").digest()
_ENTRY_POINTS: Final = (".dist-info/entry_points.txt", ".egg-info/entry_points.txt")
_NAMES_IT: Final = ("/METADATA", "/PKG-INFO", "-info", "-INFO")
_READ: Final = frozenset({FileKind.FILE, FileKind.LINK})
#: What conda and its kin write for a first line that is too long or holds a blank: two lines, that a shell and Python read alike.
_SHELL: Final = re.compile(
    rb"""\#!/bin/sh\n
    '''exec'[ ](?P<quote>["'])(?P<path>/[^"'$`\\\r\n]*)(?P=quote)(?P<arguments>(?:[ ][\w.,=+-]+)*)[ ]"\$0"[ ]"\$@"[ ]\#'''\n""",
    re.VERBOSE,
)
_BY_NAME: Final = re.compile(rb"#!/usr/bin/env (?P<name>[\w.+-]+)(?P<arguments>[^\n]*)\n")
_LINKS: Final = frozenset({FileKind.LINK, FileKind.DIRLINK, FileKind.DANGLING, FileKind.LOOP})


class CondaClaim(NamedTuple):
    """One path of a package's document: the raw SHA-256s *packaged* and *installed*, empty where it states none.

    *kind* is its ``path_type``; *placeholder* stands for the prefix in the file as packaged, and *binary* says how it was replaced.
    """

    path: str
    package: str
    kind: str
    packaged: bytes = b""
    installed: bytes = b""
    placeholder: bytes = b""
    binary: bool = False


class CondaManifest(NamedTuple):
    """What the documents of a prefix say: every path that they claim, every package they are about, and what is wrong with them."""

    claims: tuple[CondaClaim, ...] = ()
    packages: tuple[CondaPackage, ...] = ()
    faults: tuple[RecordFault, ...] = ()


def is_conda(view: View, prefix: str) -> bool:
    """Whether *prefix* was made by conda or one of its kin."""
    return any(name.endswith(".json") or name == "history" for name in view.listing(f"{prefix}/{CONDA_META}"))


def read_conda_manifest(view: View, prefix: str) -> CondaManifest:
    """What the documents in *prefix* say.

    Raises:
        OSError: a document can not be read.
    """
    claims: list[CondaClaim] = []
    packages: list[CondaPackage] = []
    faults: list[RecordFault] = []
    for name in view.listing(f"{prefix}/{CONDA_META}"):
        if not name.endswith(".json"):
            continue
        where = f"{CONDA_META}/{name}"
        try:
            stated = json.loads(view.read(f"{prefix}/{where}", _LARGEST))
            claims.extend(_claims(stated, name))
            packages.append(_package(stated, where))
        except OSError as error:
            if is_blind(error):
                raise
            faults.append(RecordFault("record-invalid", where, f"it can not be read: {error.strerror or error}"))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            words = f"it names no {error}" if isinstance(error, KeyError) else str(error)
            faults.append(RecordFault("record-invalid", where, f"it is no document of an installed package: {words}"[:200]))
    claimed = sorted(_through_links(claims, view, prefix), key=itemgetter(0, 1))
    return CondaManifest(tuple(claimed), tuple(sorted(packages, key=itemgetter(0, 1, 2, 3))), tuple(faults))


def _package(stated: dict[str, Any], path: str) -> CondaPackage:
    """The package that the document at *path* is about. What it does not state, or not as text, is left out."""

    def text(key: str) -> str:
        value = stated.get(key)
        return value if isinstance(value, str) else ""

    requested = stated.get("requested_specs") or [text("requested_spec")]
    digests: list[Digest] = []
    for algorithm in ("sha256", "md5"):
        with contextlib.suppress(ValueError):
            digests.append(Digest(algorithm, text(algorithm).lower()))
    return CondaPackage(
        name=text("name").lower(),
        version=text("version"),
        build=text("build") or text("build_string"),
        path=path,
        subdir=text("subdir"),
        channel=_without_secrets(text("channel")),
        url=_without_secrets(text("url")),
        digests=tuple(digests),
        requested=", ".join(spec for spec in requested if isinstance(spec, str) and spec != "None"),
        noarch=bool(stated.get("noarch")) or text("subdir") == "noarch",
    )


def _without_secrets(url: str) -> str:
    """*url* without a user, a password, or the token that a private channel has in its path (``/t/TOKEN/``)."""
    from urllib.parse import urlsplit, urlunsplit  # every look imports this module, and few look at conda's documents

    try:
        parts = urlsplit(url)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], path=_TOKEN.sub("/", parts.path)))
    except ValueError:
        return ""


def _through_links(claims: list[CondaClaim], view: View, prefix: str) -> Iterator[CondaClaim]:
    """*claims* by where their files lie: conda-forge has ``lib/python3.1`` lead to ``lib/python3.11``, for some old packages."""
    links = {claim.path for claim in claims if claim.kind == "softlink"}
    home = view.real(prefix).rstrip("/") + "/"
    known: dict[str, str] = {"": ""}

    def real(folder: str) -> str:
        if folder not in known:
            above, _, name = folder.rpartition("/")
            inside = f"{real(above)}/{name}".lstrip("/")
            place = view.real(f"{prefix}/{inside}") if inside in links else ""
            known[folder] = place.removeprefix(home) if place.startswith(home) else inside
        return known[folder]

    for claim in claims:
        folder, slash, name = claim.path.rpartition("/")
        inside = real(folder)
        yield claim if inside == folder else claim._replace(path=f"{inside}{slash}{name}")


def _claims(stated: dict[str, Any], name: str) -> Iterator[CondaClaim]:
    """The claims of the document *name*. Raises ValueError and the like where it is not one."""
    package = stated["name"]
    if not isinstance(package, str) or not name.startswith(f"{package}-"):
        raise ValueError(f"it is about {package!r}")
    package.encode()
    data = stated.get("paths_data")
    rows = data["paths"] if isinstance(data, dict) else None
    if not rows:  # before conda 4.3, and for a package of no files
        files = stated["files"]
        if not isinstance(files, list):
            raise ValueError("its files are no list")
        rows = [{"_path": path, "path_type": "hardlink"} for path in files]
    for row in rows:
        path = row["_path"]
        if not isinstance(path, str) or _UNUSUAL.search(path) or path.count("/") > _DEEPEST:
            raise ValueError(f"{path!r} is no path inside the prefix")
        if not path.isascii():
            path.encode("utf-8", "surrogateescape")  # JSON can write halves of characters, which no path has
        digest, stated = row.get("sha256"), row.get("sha256_in_prefix")
        packaged = _raw(digest)
        installed = packaged if stated == digest else _raw(stated)
        placeholder = row.get("prefix_placeholder")
        stands = os.fsencode(placeholder) if placeholder and _PLACEHOLDER.fullmatch(placeholder) else b""
        kind = str(row.get("path_type") or "hardlink")
        yield CondaClaim(path, package, kind, packaged, installed, stands, row.get("file_mode") == "binary")


def _raw(text: object) -> bytes:
    if text is None or text == "":
        return b""
    if not isinstance(text, str) or len(text) != 64 or len(raw := bytes.fromhex(text)) != 32:
        raise ValueError(f"{text!r} is no SHA-256")
    return raw


def keepers(claims: Iterable[CondaClaim], site: Iterable[str]) -> dict[str, str]:
    """The package that owns each dist-info or egg-info directly in one of the *site* folders."""
    found: dict[str, str] = {}
    folders = tuple(f"{folder}/" for folder in site)
    for claim in claims:
        if not claim.path.endswith(_NAMES_IT):
            continue
        for folder in folders:
            if claim.path.startswith(folder):
                home, _, name = claim.path[len(folder) :].partition("/")
                if home.lower().endswith((".dist-info", ".egg-info")) and name in {"", "METADATA", "PKG-INFO"}:
                    found[folder + home] = claim.package
    return found


def restored(data: bytes, prefix: bytes, placeholder: bytes, *, binary: bool) -> bytes:
    """*data* as it was packaged: each *prefix* that an installer wrote is *placeholder* again.

    In a binary the placeholder stood in a string that ends with NUL, and what the shorter prefix left over was filled with NULs
    behind the string; only as many as fit are taken away again.
    """
    if not binary:
        return data.replace(prefix, placeholder)
    longer = len(placeholder) - len(prefix)
    parts: list[bytes] = []
    at = 0
    while (start := data.find(prefix, at)) >= 0:
        end = data.find(b"\0", start)
        end = len(data) if end < 0 else end
        text = data[start:end]
        filled = longer * text.count(prefix)
        if longer >= 0 and data[end : end + filled] == b"\0" * filled:
            parts += [data[at:start], text.replace(prefix, placeholder)]
            at = end + filled
        else:
            parts.append(data[at:end])
            at = end
    parts.append(data[at:])
    return b"".join(parts)


def as_packaged(environment: Environment, build: Build, stdlib: StandardLibrary) -> tuple[Build, StandardLibrary]:
    """What a seal holds of a conda prefix's interpreter: its files as packaged, so that they are the same below any prefix."""
    packaged = {
        environment.files[file.path].digest: file.content
        for file in environment.system
        if file.content and file.present and environment.files[file.path].kind is FileKind.FILE
    }
    executable, library = (
        Digest("sha256", packaged.get(bytes.fromhex(digest.value), bytes.fromhex(digest.value)).hex())
        if digest is not None
        else None
        for digest in (build.executable, build.library)
    )
    sources, built = (
        tuple((path, packaged.get(digest, digest)) for path, digest in rows) for rows in (stdlib.sources, stdlib.built)
    )
    return replace(build, executable=executable, library=library), replace(stdlib, sources=sources, built=built)


def _packaged(data: bytes, root: bytes, claim: CondaClaim) -> tuple[bytes, bool]:
    """The digest of *data* as it was packaged, where that can be told from it, and whether it is that but for the prefix.

    A first line that was written in another way, since the prefix makes it too long, counts as what it was.
    """
    whole = restored(data, root, claim.placeholder, binary=claim.binary)
    plain = hashlib.sha256(whole).digest()
    if claim.binary or plain == claim.packaged or not data.startswith(b"#!"):
        return plain, plain == claim.packaged
    if match := _SHELL.match(whole):
        whole = b"#!" + match["path"] + match["arguments"] + b"\n" + whole[match.end() :]
    elif match := _BY_NAME.match(whole):
        rest = b"/bin/" + match["name"] + match["arguments"] + b"\n" + whole[match.end() :]
        if b" " in root or len(root) + len(b"#!/bin/") + len(match["name"]) > _LONGEST_LINE:
            whole = b"#!" + claim.placeholder + rest
    return hashlib.sha256(whole).digest(), False


def _interpreter(data: bytes) -> str:
    """The interpreter that a script starts; the whole text behind ``#!`` where it is just that."""
    match = _SHELL.match(data)
    return os.fsdecode(match["path"]) if match is not None else split_interpreter(data)[0]


def observe_conda(
    claims: Iterable[CondaClaim],
    files: Mapping[str, FileEntry],
    *,
    prefixes: Iterable[str],
    read: Callable[[FileEntry], bytes | None],
    is_ours: Callable[[str], bool],
    is_folder: Callable[[str], bool],
) -> Iterator[SystemFile]:
    """The files of *claims* as they are: *files* are by path, *read* gives the bytes of one that is still what was hashed.

    Bytecode in a ``__pycache__`` is left out, since Python writes it anew where a time differs; it is judged by its header.
    *prefixes* are the ways in which the prefix may be written into files; *is_ours* says whether a script's interpreter is this
    environment's.
    """
    claims = tuple(claims)
    by_path = {claim.path: claim for claim in claims}
    roots = tuple(dict.fromkeys(map(os.fsencode, prefixes)))
    declaring: dict[str, list[CondaClaim]] = {}
    for claim in claims:
        if claim.path.endswith(_ENTRY_POINTS):
            declaring.setdefault(claim.package, []).append(claim)

    def declared(package: str) -> Mapping[str, str]:
        """The scripts that the entry points of *package* declare."""
        found: dict[str, str] = {}
        for claim in declaring.get(package, ()):
            entry = files.get(claim.path)
            if entry is not None and entry.digest == claim.packaged:
                with contextlib.suppress(UnicodeDecodeError, EntryPointError):
                    found |= parse_entry_points((read(entry) or b"").decode())
        return found

    for claim in claims:
        path, package, kind = claim.path, claim.package, claim.kind
        if kind == "pyc_file" or (path.endswith((".pyc", ".pyo")) and is_cached_bytecode(path)):
            continue
        expected = claim.installed or claim.packaged
        entry = files.get(path)
        if entry is None:
            if not is_folder(path):
                yield SystemFile(path, package, expected, b"", present=False, algorithm="sha256")
        elif entry.problem:
            yield SystemFile(path, package, expected, b"", present=True, algorithm="sha256")
        elif kind == "softlink" and entry.kind in _LINKS:
            yield _link(claim, entry, files, by_path, roots)
        elif not entry.digest or entry.kind not in _READ:
            yield SystemFile(path, package, expected or _NOTHING, _of_link(entry, roots), present=True, algorithm="sha256")
        elif kind == "unix_python_entry_point":
            yield _wrapper(claim, entry, declared(package), read, is_ours, roots)
        elif claim.placeholder and entry.size <= _LARGEST_RESTORED:
            data = read(entry)
            content, same = b"", False
            if data is not None:
                content, same = _packaged(data, next((root for root in roots if root in data), roots[0]), claim)
            # A prefix that was moved, and its files rewritten for the new place, is still what was packaged.
            actual = expected if same else entry.digest
            fault = _foreign(data or b"", is_ours) if kind == "hardlink" else ""
            yield SystemFile(path, package, expected, actual, present=True, algorithm="sha256", content=content, fault=fault)
        else:
            yield SystemFile(path, package, expected, entry.digest, True, "sha256")  # by position, since nearly all come here


def _foreign(data: bytes, is_ours: Callable[[str], bool]) -> str:
    """What is wrong with the interpreter that a script starts, whose first line the installer wrote; empty where nothing is."""
    whole = _interpreter(data)
    # Nobody writes a path with a blank into a plain first line, so what follows one there are arguments.
    interpreter = whole if data.startswith(b"#!/bin/sh\n") else whole.partition(" ")[0]
    python = interpreter.rpartition("/")[2].startswith("python")
    return f"it starts {interpreter}, not one of this environment" if python and not is_ours(interpreter) else ""


def _without(data: bytes, roots: tuple[bytes, ...]) -> bytes:
    for root in roots:
        data = data.replace(root, b"${prefix}")
    return data


def _of_link(entry: FileEntry, roots: tuple[bytes, ...]) -> bytes:
    """The digest of a link's own text, with the prefix taken out; of what is no link, that of its kind."""
    text = os.fsencode(entry.target) if entry.target else os.fsencode(f"a {entry.kind}")
    return hashlib.sha256(_without(text, roots)).digest()


def _link(
    claim: CondaClaim, entry: FileEntry, files: Mapping[str, FileEntry], by_path: Mapping[str, CondaClaim], roots: tuple[bytes, ...]
) -> SystemFile:
    """A link that was packaged as one. Its text is what counts; who states only the digest of its end is taken at that."""
    stated = {claim.installed, claim.packaged} - {b"", _NOTHING}
    seen = {hashlib.sha256(os.fsencode(entry.target)).digest(), entry.digest}
    end = os.path.normpath(os.path.join(os.path.dirname(claim.path), entry.target))
    for _ in range(40):
        beyond = files.get(end)
        if beyond is None or beyond.kind is not FileKind.LINK:
            break
        end = os.path.normpath(os.path.join(os.path.dirname(end), beyond.target))
    if end in by_path:  # the end is a file of its own, judged as that: here it counts which one it is
        seen.add(by_path[end].packaged)
    content = _of_link(entry, roots)
    right = min(stated & seen, default=b"")
    expected = right or min(stated, default=b"")
    actual = right or content
    return SystemFile(claim.path, claim.package, expected, actual, present=True, algorithm="sha256", content=content)


def _wrapper(
    claim: CondaClaim,
    entry: FileEntry,
    declared: Mapping[str, str],
    read: Callable[[FileEntry], bytes | None],
    is_ours: Callable[[str], bool],
    roots: tuple[bytes, ...],
) -> SystemFile:
    """A script that was made at installation, by its digest where one is stated, else proven to be its entry point's wrapper."""
    data = read(entry)
    if data is None:
        return SystemFile(claim.path, claim.package, claim.installed or claim.packaged, b"", present=True, algorithm="sha256")
    fault = _foreign(data, is_ours)
    target = wrapper_target(data) if is_ours(_interpreter(data)) else ""
    content = hashlib.sha256(f"ep:{target}".encode() if target else _without(data, roots)).digest()
    expected, actual = claim.installed or claim.packaged, entry.digest
    wanted = declared.get(claim.path.rpartition("/")[2], "")
    if not expected and wanted:  # conda states no digest of it
        expected, actual = hashlib.sha256(f"ep:{wanted}".encode()).digest(), content
    return SystemFile(claim.path, claim.package, expected, actual, present=True, algorithm="sha256", content=content, fault=fault)
