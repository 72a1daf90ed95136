"""A flat lock as the text of a ``pylock.toml`` (PEP 751): sorted, pretty, the same for the same lock.

TOML is written here, in the little of it that the format needs: strings, integers, booleans, times, arrays and tables. Paths in the
document are relative to its own folder.
"""

from __future__ import annotations

import posixpath
import re
from datetime import datetime
from typing import TYPE_CHECKING, Final, TypeAlias

from sanctity.errors import DocumentError
from sanctity.model.lock import SourceKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sanctity.model.lock import Artifact, Pin, Source
    from sanctity.plan.flatten import Flat

__all__ = ["is_pylock_name", "pylock_text", "toml_string"]

#: A value of the document.
Toml: TypeAlias = "str | int | bool | datetime | list[Toml] | dict[str, Toml]"

_NAME: Final = re.compile(r"pylock(?:\.[^.]+)?\.toml")
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}


def is_pylock_name(name: str) -> bool:
    """Whether installers take a file called *name* for a lock of this format."""
    return _NAME.fullmatch(name) is not None


def pylock_text(flat: Flat, *, folder: str = "") -> str:
    """The document that states *flat*. *folder* leads from the document's folder to that of the lock, whose paths are its own.

    Raises:
        DocumentError: ``export-impossible``, a text in it is not Unicode.
    """
    head: dict[str, Toml] = {"lock-version": "1.0"}
    if flat.environments:
        head["environments"] = [*flat.environments]
    if flat.requires_python:
        head["requires-python"] = flat.requires_python
    for key, names in (("extras", flat.extras), ("dependency-groups", flat.groups), ("default-groups", flat.defaults)):
        if names:
            head[key] = [*names]
    head["created-by"] = "sanctity"
    lines = [f"{key} = {_value(value)}" for key, value in head.items()]
    if not flat.pins:
        lines.append("packages = []")
    for pin in flat.pins:
        lines += ["", "[[packages]]", *_package(pin, folder)]
    text = "\n".join(lines) + "\n"
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            message = f"{error.object[error.start : error.end]!r} is not a character"
            raise DocumentError("export-impossible", message, hint="lock again with the tool that wrote this file") from error
    return text


def _package(pin: Pin, folder: str) -> Iterator[str]:
    """The lines of one package."""
    yield f"name = {toml_string(pin.name)}"
    for key, text in (("version", pin.version), ("marker", pin.marker), ("requires-python", pin.requires_python)):
        if text:
            yield f"{key} = {toml_string(text)}"
    source = pin.source
    if source.kind is SourceKind.REGISTRY:
        if "://" in source.location:
            yield f"index = {toml_string(source.location)}"
        wheels = [artifact for artifact in pin.artifacts if artifact.filename.endswith(".whl")]
        for artifact in pin.artifacts:
            if artifact not in wheels:
                yield f"sdist = {_value(_file(artifact, folder))}"
        if wheels:
            yield "wheels = ["
            for artifact in wheels:
                yield f"    {_value(_file(artifact, folder))},"
            yield "]"
    elif source.kind is SourceKind.GIT:
        table = {"type": "git", **_place(source.location, folder), "commit-id": source.revision}
        yield f"vcs = {_value(_within(table, source))}"
    elif source.kind in {SourceKind.URL, SourceKind.FILE}:
        (artifact,) = pin.artifacts
        yield f"archive = {_value(_within(_file(artifact, folder, named=False), source))}"
    else:
        directory: dict[str, Toml] = {"path": _path(source.location, folder)}
        if source.kind is SourceKind.EDITABLE:
            directory["editable"] = True
        yield f"directory = {_value(_within(directory, source))}"


def _within(table: dict[str, Toml], source: Source) -> dict[str, Toml]:
    return {**table, "subdirectory": source.subdirectory} if source.subdirectory else table


def _file(artifact: Artifact, folder: str, *, named: bool = True) -> dict[str, Toml]:
    """A file's table; its name is there where the last part of its address is another one."""
    table: dict[str, Toml] = {}
    if named and artifact.location.rpartition("/")[2] != artifact.filename:
        table["name"] = artifact.filename
    table.update(_place(artifact.location, folder))
    if artifact.upload_time and (time := _time(artifact.upload_time)) is not None:
        table["upload-time"] = time
    if artifact.size is not None:
        table["size"] = artifact.size
    table["hashes"] = {digest.algorithm: digest.value for digest in sorted(artifact.digests, key=lambda each: each.algorithm)}
    return table


def _place(location: str, folder: str) -> dict[str, Toml]:
    """The address of a file or repository."""
    return {"url": location} if "://" in location or location.startswith("file:") else {"path": _path(location, folder)}


def _path(path: str, folder: str) -> str:
    """*path*, which is relative to the lock's folder or absolute, as it is seen from the document's."""
    return path if folder in {"", "."} or posixpath.isabs(path) else posixpath.normpath(posixpath.join(folder, path))


def _time(text: str) -> datetime | None:
    """A time as RFC 3339 writes it; None where it is none, or not of a known zone."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo is not None else None


def _value(value: Toml) -> str:
    """*value* on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return toml_string(value)
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, dict):
        pairs = (f"{key if _BARE.fullmatch(key) else toml_string(key)} = {_value(item)}" for key, item in value.items())
        return f"{{ {', '.join(pairs)} }}"
    return str(value)


def toml_string(text: str) -> str:
    """*text* as a basic string of TOML."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    code = ord(char)
    return char if char.isprintable() or 0xD800 <= code < 0xE000 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
