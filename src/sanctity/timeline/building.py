"""Environments of exactly what was resolved, made by the real uv: exact pins, each file by its hash, nothing resolved on the way.

uv's own cache is the store that they share. Their files are copies, of which the kernel makes reflinks where the file system has
them, and never hard links: what a command writes into its environment must not reach the cache, and through it the next one. (uv's
own ``clone`` falls back to hard links.) A source distribution is built with what its build asks for as of the same instant.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, Final

import tomli

from sanctity.errors import SanctityError
from sanctity.lockfiles.requirements import wants
from sanctity.model.bisecting import Pinned
from sanctity.model.names import normalise_name
from sanctity.scratch import remove
from sanctity.timeline.requirements import check_unchanged, decode
from sanctity.timeline.uv import Children, busy, paragraph

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sanctity.model.timeline import Resolution
    from sanctity.timeline.requirements import Requirements
    from sanctity.timeline.uv import Said

__all__ = ["Builder", "Unbuildable", "is_version"]

#: Seconds after which a build, or a question to uv, is given up.
_PATIENCE: Final = 3600.0
_VERSION: Final = re.compile(r"(?:\d+!)?\d+(?:\.\d+)*[A-Za-z0-9.+_-]*")
#: The rows of a requirements file that say where packages come from.
_INDEX: Final = re.compile(r"^\s*(-i|--index-url|--extra-index-url|-f|--find-links)[\s=]+(\S+)", re.MULTILINE)
_NO_INDEX: Final = re.compile(r"^\s*--no-index\b", re.MULTILINE)
_MOST_FILES: Final = 256
_NETWORK: Final = re.compile(
    r"error sending request|dns error|Connection refused|connection closed|timed out|Could not connect|Network is unreachable"
    r"|429 Too Many|50[0-4] |certificate"
)
_FULL: Final = re.compile(r"No space left on device|os error 28|Disk quota exceeded")


class Unbuildable(Exception):  # noqa: N818 - it says what became of an environment, and the trial tells it
    """An environment can not be made, for a reason that lies in what it is of."""


def is_version(text: str) -> bool:
    """Whether *text* is a version of an index's, and no stand-in for a commit or a folder (PEP 440, loosely)."""
    return bool(_VERSION.fullmatch(text))


class Builder:
    """Makes environments of *requirements* on the Python *python* (``3.11``); *uv* is started with *environ*.

    *interpreter* is the path of that Python, where uv does not find it by its version. *heard* is told what uv writes to
    its standard error, line by line. With *only_binary* nothing is built from source.
    """

    def __init__(
        self,
        *,
        uv: str,
        environ: Mapping[str, str],
        requirements: Requirements,
        python: str,
        undated: tuple[str, ...] = (),
        interpreter: str = "",
        only_binary: bool = False,
        heard: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self.uv = uv
        self.requirements = requirements
        self.python = python
        self.undated = undated
        self._interpreter = interpreter or python
        self._heard = heard
        self._wheels = ["--only-binary", ":all:"] if only_binary else []
        ours = {"UV_EXCLUDE_NEWER", "UV_PYTHON", "UV_PROJECT", "UV_WORKING_DIRECTORY", "VIRTUAL_ENV", "UV_REQUIRE_HASHES"}
        kept = {name: value for name, value in environ.items() if name not in ours}
        self._environ = {**kept, "UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1", "NO_COLOR": "1", "UV_NO_WRAP": "1"}
        self._children = Children()

    def close(self) -> None:
        """End every uv that is running."""
        self._children.end()

    def pinned(self, resolution: Resolution) -> tuple[Pinned, ...]:
        """The releases of *resolution*, each with the hashes of its files, in the order of names.

        Raises:
            Unbuildable: the index has them no more.
            SanctityError: it can not be asked; or the requirements were changed since they were read.
        """
        rows = [f"{name}=={version}" for name, version in resolution.pins.items() if is_version(version)]
        file = _written(rows)
        try:
            command = [self.uv, "pip", "compile", self.requirements.name, "--constraint", file, "--format", "pylock.toml"]
            command += ["--no-header", "--python-version", self.python, *self._wheels, *self._dated(resolution.at)]
            command += [word for extra in self.requirements.extras for word in ("--extra", extra)]
            command += [word for group in self.requirements.groups for word in ("--group", group)]
            said = self._run(command)
        finally:
            os.unlink(file)
        check_unchanged(self.requirements)
        try:
            found = _pinned(tomli.loads(said.out), self.requirements.folder)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise SanctityError(
                "resolver-failed", f"uv wrote no pylock.toml that can be read: {error}"[:300], hint="try another uv"
            ) from error
        there = {each.name: each.version for each in found}
        if any(there.get(name) != version for name, version in resolution.pins.items() if is_version(version)):
            raise Unbuildable("the index offers other releases than it did")
        return found

    def build(self, place: str, rows: Sequence[Pinned], at: str) -> None:
        """Make the environment *place* of *rows*, as of the instant *at*. What is not whole is removed again.

        Raises:
            Unbuildable: uv can not make it.
            SanctityError: ``index-unreachable``, ``interpreter-not-found``, ``bisect-no-room``, ``uv-busy``.
        """
        file = _written([*_index_rows(self.requirements.path), *(row.requirement for row in rows)])
        whole = False
        try:
            try:
                self._run([self.uv, "venv", "--quiet", "--no-project", "--no-config", "--python", self._interpreter, place])
            except Unbuildable as error:  # it is empty yet, so what is wrong is the Python
                hint = "install that Python, or name another"
                raise SanctityError("interpreter-not-found", str(error), where=f"--python {self.python}", hint=hint) from error
            if rows:
                command = [self.uv, "pip", "install", "--python", f"{place}/bin/python", "--no-deps", "--link-mode", "copy"]
                command += ["--require-hashes"] if all(row.hashes and not row.url for row in rows) else []
                self._run([*command, *self._wheels, *self._dated(at), "--requirement", file])
            whole = True
        finally:
            os.unlink(file)
            if not whole:
                remove(place)

    def _dated(self, at: str) -> list[str]:
        floating = [word for name in self.undated for word in ("--exclude-newer-package", f"{normalise_name(name)}=false")]
        return ["--exclude-newer", at, *floating]

    def _run(self, command: list[str]) -> Said:
        folder = self.requirements.folder
        said = self._children.run(command, cwd=folder, environ=self._environ, seconds=_PATIENCE, heard=self._heard)
        if said.code == 0 and not said.late:
            return said
        reason = paragraph(said.err) or f"uv ended with {said.code} and said nothing"
        if locked := busy(said.err):
            raise locked
        if _FULL.search(said.err):
            hint = "name a folder with room for several environments in TMPDIR"
            raise SanctityError("bisect-no-room", reason, hint=hint)
        if _NETWORK.search(said.err):
            hint = "try again: what was tried so far is in the log, and is not tried again"
            raise SanctityError("index-unreachable", reason, where=self.requirements.shown, hint=hint)
        raise Unbuildable(f"uv was given up after {_PATIENCE:,.0f} seconds" if said.late else reason)


def _index_rows(path: str) -> list[str]:
    """The rows of the requirements file at *path*, and of all that it includes, that say where packages come from.

    A folder of links is named from the folder of the file that names it. What can not be read has none.
    """
    found: dict[str, None] = {}
    waiting, seen = [path], {path}
    while waiting and len(seen) < _MOST_FILES:
        here = waiting.pop()
        folder = os.path.dirname(here)
        try:
            with open(here, "rb") as file:
                text = decode(file.read()) if not here.endswith(".toml") else ""
        except OSError:
            continue
        for option, value in _INDEX.findall(text):
            links = os.path.join(folder, value)
            found[f"{option} {links if option in {'-f', '--find-links'} and os.path.exists(links) else value}"] = None
        found |= dict.fromkeys(["--no-index"] if _NO_INDEX.search(text) else [])
        others = {os.path.join(folder, wanted) for wanted in wants(text)} - seen
        seen |= others
        waiting += sorted(others)
    return list(found)


def _written(rows: Sequence[str]) -> str:
    """The path of a new temporary file of *rows*."""
    import tempfile

    number, path = tempfile.mkstemp(prefix="sanctity-", suffix=".txt")
    with os.fdopen(number, "w", encoding="utf-8") as file:
        file.write("".join(f"{row}\n" for row in rows))
    return path


def _pinned(document: Mapping[str, Any], folder: str) -> tuple[Pinned, ...]:
    """The rows of a ``pylock.toml`` (PEP 751) that was made in *folder*."""
    found: dict[str, Pinned] = {}
    for row in document.get("packages", []):
        name = normalise_name(row["name"])
        files = [*row.get("wheels", ()), *([row["sdist"]] if "sdist" in row else [])]
        hashes = {f"{key}:{value}" for file in files for key, value in file.get("hashes", {}).items() if key == "sha256"}
        url, editable, version = "", False, row.get("version", "")
        if "vcs" in row:
            vcs = row["vcs"]
            where = vcs.get("url") or f"file://{os.path.abspath(os.path.join(folder, vcs['path']))}"
            below = f"#subdirectory={vcs['subdirectory']}" if vcs.get("subdirectory") else ""
            url, version = f"{vcs['type']}+{where}@{vcs['commit-id']}{below}", version or f"git.{vcs['commit-id'][:12]}"
        elif "archive" in row:
            archive = row["archive"]
            url = archive.get("url") or f"file://{os.path.abspath(os.path.join(folder, archive['path']))}"
            hashes = {f"{key}:{value}" for key, value in archive.get("hashes", {}).items() if key == "sha256"}
            version = version or f"archive.{next(iter(archive.get('hashes', {}).values()), '')[:12]}"
        elif "directory" in row:
            path = os.path.abspath(os.path.join(folder, row["directory"]["path"]))
            editable = bool(row["directory"].get("editable"))
            url, version = path if editable else f"file://{path}", version or "folder"
        found[name] = Pinned(name=name, version=version, hashes=tuple(sorted(hashes)), url=url, editable=editable)
    return tuple(found[name] for name in sorted(found))
