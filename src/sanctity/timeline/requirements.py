"""What is resolved: a file of requirements with all that it includes, or a pyproject.toml, known by the digest of its bytes."""

from __future__ import annotations

import codecs
import hashlib
import os
import re
from dataclasses import dataclass
from typing import Final

import tomli

from sanctity.errors import DocumentError, UsageError
from sanctity.lockfiles.requirements import wants
from sanctity.model.digest import Digest
from sanctity.model.wire import canonical

__all__ = ["Requirements", "check_unchanged", "decode", "read_requirements"]

_LARGEST: Final = 16 * 1024 * 1024
_MOST_FILES: Final = 256
#: A row that is a folder on disk, whose own metadata then takes part: ``-e .``, ``./pkg``, ``name @ file:./pkg``.
_FOLDER: Final = re.compile(r"^(?:-e\s+|--editable[ =]\s*)?((?:\.{1,2}(?:/\S*)?|/\S+))\s*(?:[;#\[].*)?$", re.MULTILINE)
#: An include from somewhere else, which may be another file tomorrow.
_REMOTE: Final = re.compile(r"^\s*(?:-r|-c|--requirement|--constraint)[ =]?\s*\S+://", re.MULTILINE)
_OF_FOLDER: Final = ("pyproject.toml", "setup.cfg", "setup.py")
_HINT: Final = "name a file of requirements, such as requirements.in, or a pyproject.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirements:
    """The file at *path* (absolute), *shown* as the user named it, with the *extras* and *groups* of it that are wanted.

    *digest* is over the bytes of the file and of all that it includes: what the same resolution rests on. *remote* says that it
    includes something by a URL, which may be another file tomorrow: then nothing of it is remembered.
    """

    path: str
    shown: str
    digest: Digest
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    remote: bool = False

    @property
    def folder(self) -> str:
        """The folder it lies in."""
        return os.path.dirname(self.path)

    @property
    def name(self) -> str:
        """Its name in that folder."""
        return os.path.basename(self.path)

    @property
    def is_project(self) -> bool:
        """Whether it is a pyproject.toml."""
        return self.name == "pyproject.toml"


def read_requirements(path: str, *, cwd: str, extras: tuple[str, ...] = (), groups: tuple[str, ...] = ()) -> Requirements:
    """The requirements at *path*, relative to *cwd*: a file, or a folder with a pyproject.toml or a requirements file in it.

    Raises:
        UsageError: it is a file of another kind, or extras and groups are asked of what has none.
        DocumentError: ``requirements-unreadable``, it or what it includes can not be read.
    """
    full = os.path.abspath(os.path.join(cwd, os.path.expanduser(path)))
    if os.path.isdir(full):
        names = ("requirements.in", "pyproject.toml", "requirements.txt")
        found = next((name for name in names if os.path.isfile(os.path.join(full, name))), "")
        if not found:
            raise DocumentError("requirements-unreadable", f"none of {', '.join(names)} is in this folder", where=path, hint=_HINT)
        full, path = os.path.join(full, found), os.path.normpath(os.path.join(path, found))
    folder, name = os.path.split(full)
    if name != "pyproject.toml":
        if name.endswith((".toml", ".py", ".cfg", ".lock", ".json", ".yml", ".yaml", ".ipynb")):
            raise UsageError("usage", "this is no file of requirements", where=path, hint=_HINT)
        if extras or groups:
            words = "extras and groups are a pyproject.toml's, and this is a file of requirements"
            raise UsageError("usage", words, where=path, hint="leave out --extra and --group")
    data = _read(full, path)
    digests = {name: _sha256(data)}
    waiting = [(folder, data)] if name != "pyproject.toml" else []
    for place in _sources(data, path) if name == "pyproject.toml" else ():
        _add_folder(digests, os.path.join(folder, place), place)
    remote = False
    while waiting:
        base, text = waiting.pop()
        decoded = decode(text)
        remote = remote or _REMOTE.search(decoded) is not None
        for place in _FOLDER.findall(decoded):
            _add_folder(digests, os.path.join(base, place), os.path.relpath(os.path.join(base, place), folder))
        for wanted in wants(decoded):
            other = os.path.join(base, wanted)
            key = os.path.relpath(other, folder)
            if key in digests:
                continue
            if len(digests) >= _MOST_FILES:
                raise DocumentError("requirements-unreadable", f"it includes more than {_MOST_FILES} files", where=path, hint=_HINT)
            included = _read(other, f"{path}: {wanted}")
            digests[key] = _sha256(included)
            waiting.append((os.path.dirname(other), included))
    rows = sorted([os.fsencode(key).decode("utf-8", "backslashreplace"), value] for key, value in digests.items())
    digest = Digest.of_sha256(hashlib.sha256(canonical(rows)).digest())
    return Requirements(
        path=full, shown=path, digest=digest, extras=tuple(sorted(set(extras))), groups=tuple(sorted(set(groups))), remote=remote
    )


def decode(data: bytes) -> str:
    """A requirements file as text, as uv reads it: in UTF-8, or in what its byte order mark says, as PowerShell writes it."""
    if data.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return data.decode("utf-32", "replace")
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    return data.decode("utf-8-sig", "replace")


def check_unchanged(requirements: Requirements) -> None:
    """Raise where the files are not the ones that were read: an answer for those must not be kept, or told, as one for these.

    Raises:
        DocumentError: ``requirements-unreadable``.
    """
    now = read_requirements(requirements.path, cwd=requirements.folder, extras=requirements.extras, groups=requirements.groups)
    if now.digest != requirements.digest:
        raise DocumentError(
            "requirements-unreadable",
            "its bytes, or those of a file that it includes, were changed meanwhile",
            where=requirements.shown,
            hint="ask again, with files that stay as they are; a command that is bisected must not write to them",
        )


def _sources(data: bytes, shown: str) -> list[str]:
    """The folders that a pyproject.toml takes dependencies from (``tool.uv.sources``)."""
    try:
        document = tomli.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise DocumentError("requirements-unreadable", f"no TOML: {error}", where=shown, hint="mend the file") from error
    sources: object = document
    for key in ("tool", "uv", "sources"):
        sources = sources.get(key) if isinstance(sources, dict) else None
    rows = (
        [row for value in sources.values() for row in (value if isinstance(value, list) else [value])]
        if isinstance(sources, dict)
        else []
    )
    return [row["path"] for row in rows if isinstance(row, dict) and isinstance(row.get("path"), str)]


def _add_folder(digests: dict[str, str], folder: str, key: str) -> None:
    """Let what a *folder* says of itself take part in *digests*, as far as it can be read."""
    for name in _OF_FOLDER:
        file = os.path.join(folder, name)
        if os.path.isfile(file):
            digests[f"{key}/{name}"] = _sha256(_read(file, file))


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _read(path: str, shown: str) -> bytes:
    try:
        if not os.path.isfile(path):
            words = "is not a regular file" if os.path.exists(path) else "there is no such file"
            raise DocumentError("requirements-unreadable", words, where=shown, hint=_HINT)
        with open(path, "rb") as file:
            data = file.read(_LARGEST + 1)
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else "") or str(error)
        raise DocumentError("requirements-unreadable", reason, where=shown, hint=_HINT) from error
    if len(data) > _LARGEST:
        raise DocumentError("requirements-unreadable", f"more than {_LARGEST // 2**20} MiB", where=shown, hint=_HINT)
    return data
