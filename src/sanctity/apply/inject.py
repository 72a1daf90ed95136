"""A start hook for a program, as one file outside of what was verified: a zip that ``PYTHONPATH`` names.

A zip holds ``sitecustomize.py``, which is a module of this package, and whatever else that needs of it, so that it works where
sanctity is not installed. The hook of `run` is `sanctity.determinism.start_hook`, with what the call needs under ``room/``. The
bytes of a zip are the same for the same parts; its name is their digest.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import tempfile
import zipfile
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from sanctity.apply.run import is_private, private_parent
from sanctity.errors import SanctityError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from importlib.resources.abc import Traversable

__all__ = ["Hook", "hook_bytes", "place_hook", "place_zip", "source", "with_hook", "zip_bytes"]

#: The oldest time that a zip can state, for every member: the bytes are to depend on nothing but the sources.
_TIME: Final = (1980, 1, 1, 0, 0, 0)
#: What of the package goes into the zip.
_PARTS: Final = (
    "__init__.py",
    "errors.py",
    "determinism",
    # By these a waiver is read where a program relaxes a control.
    "model/__init__.py",
    "model/digest.py",
    "model/drift.py",
    "model/names.py",
    "model/policy.py",
    "model/wire.py",
    "policies",
)
_HINT: Final = "let XDG_CACHE_HOME or TMPDIR name a folder that can be written to"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """A start hook that lies at *path*, with the *digest* of its bytes."""

    path: str
    digest: str


def _sources(folder: Traversable, path: str) -> Iterator[tuple[str, bytes]]:
    for item in sorted(folder.iterdir(), key=lambda item: item.name):
        if item.is_dir() and item.name.isidentifier() and item.name != "__pycache__":
            yield from _sources(item, f"{path}{item.name}/")
        elif item.name.endswith(".py"):
            yield path + item.name, item.read_bytes()


def hook_bytes() -> bytes:
    """The zip."""
    package = files("sanctity")
    members = [("sitecustomize.py", (package / "determinism" / "start_hook.py").read_bytes())]
    for name in _PARTS:
        part = package.joinpath(*name.split("/"))
        if part.is_dir():
            members += _sources(part, f"room/sanctity/{name}/")
        else:
            members.append((f"room/sanctity/{name}", part.read_bytes()))
    return zip_bytes(members)


def source(name: str) -> bytes:
    """The source of a module of this package: ``determinism/start_hook.py``."""
    return files("sanctity").joinpath(*name.split("/")).read_bytes()


def zip_bytes(members: Iterable[tuple[str, bytes]]) -> bytes:
    """A zip of *members*, each a path and what it holds; the same members give the same bytes. Nothing is compressed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members:
            member = zipfile.ZipInfo(name, _TIME)
            member.create_system = 3
            member.external_attr = 0o100444 << 16
            archive.writestr(member, data)
    return buffer.getvalue()


def place_hook(environ: Mapping[str, str]) -> Hook:
    """The start hook of `run`, placed as `place_zip` does. Raises SanctityError ``inject-failed``."""
    return place_zip(hook_bytes(), environ)


def with_hook(path: str, environ: Mapping[str, str]) -> dict[str, str]:
    """*environ* with the hook at *path* before whatever ``PYTHONPATH`` names already."""
    before = environ.get("PYTHONPATH", "")
    return {**environ, "PYTHONPATH": f"{path}{os.pathsep}{before}" if before else path}


def place_zip(data: bytes, environ: Mapping[str, str]) -> Hook:
    """The start hook *data*, in the user's cache folder, or in a private folder where nobody else's hands are kept off that.

    It is written where it is not there already, byte for byte.

    Raises:
        SanctityError: ``inject-failed``, there is no place for it.
    """
    digest = hashlib.sha256(data).hexdigest()
    shared = os.path.abspath(environ.get("TMPDIR") or "/tmp")  # noqa: S108 - the folder made in it is private
    parent = private_parent(environ, "inject")
    if os.pathsep in parent or not parent:
        parent = f"{shared}/sanctity-inject-{os.geteuid()}"
    if os.pathsep in parent:
        words = f"PYTHONPATH can not name it, since {os.pathsep!r} stands between its folders"
        raise SanctityError("inject-failed", words, where=parent, hint=_HINT)
    try:
        with contextlib.suppress(FileExistsError):
            os.mkdir(parent, 0o700)
        if not is_private(parent):
            parent = tempfile.mkdtemp(prefix="sanctity-inject-", dir=shared)
        _put(f"{parent}/{digest}.zip", data)
    except OSError as error:
        words = f"no start hook can be made: {error.strerror}"
        raise SanctityError("inject-failed", words, where=parent, hint=_HINT) from error
    return Hook(path=f"{parent}/{digest}.zip", digest=f"sha256:{digest}")


def _put(path: str, data: bytes) -> None:
    """Have *data* in the file *path*, by way of a temporary name; nothing is done where it is there already. Raises OSError."""
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
        if file.read() == data:
            return
    temporary = f"{path}.{os.getpid()}.{os.urandom(4).hex()}.tmp"
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
