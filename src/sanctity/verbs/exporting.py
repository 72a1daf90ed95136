"""`export`: a lock written as ``pylock.toml`` (PEP 751), which pip, uv and PDM install from.

Indexes are asked with ``--online`` alone, for the addresses of files whose hashes the lock has.
"""

from __future__ import annotations

import os
import posixpath
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from sanctity.errors import DocumentError, UsageError
from sanctity.model.lock import SourceKind
from sanctity.verbs.world import shown

if TYPE_CHECKING:
    from sanctity.model.lock import Lock, Note, Pin
    from sanctity.plan.addresses import Addressed
    from sanctity.plan.flatten import Flat
    from sanctity.verbs.world import World

__all__ = ["Exporting", "export"]

_JOBS: Final = 8
_MOST_NAMES: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Exporting:
    """The *text* of the document, from which *lock* it is, and what a reader should be told: *notices* of what it leaves out."""

    lock: str
    packages: int
    text: str
    notices: tuple[str, ...] = ()


def export(world: World, *, lock: str = "", output: str = "", project: bool = True, online: bool = False) -> Exporting:
    """What *lock*, by default the project's own, comes to as a ``pylock.toml``; *output* is where it will lie.

    Without *project* the project itself is left out. *online* asks the indexes where the files are that the lock has hashes of.

    Raises:
        UsageError: what is at *output* would be lost: the lock itself, or a file that is no ``pylock.toml``.
        DocumentError: the lock can not be read; or ``export-impossible``, with everything that the format asks for and it lacks.
        FetchError: an index can not be asked; ``artifact-mismatch`` and ``artifact-gone``, it has other files than the lock.
    """
    from sanctity.observe.locks import read_lock
    from sanctity.observe.places import find_lock, find_project
    from sanctity.plan.flatten import flatten
    from sanctity.plan.pylock import is_pylock_name, pylock_text

    path = os.path.join(world.cwd, os.path.expanduser(lock)) if lock else world.cwd
    notices: list[str] = []
    if os.path.isdir(path):
        path, notice = find_lock(path if lock else find_project(path))
        notices += [notice] if notice else []
        if not path:
            hint = "name the lock: uv.lock, poetry.lock, pdm.lock or pylock.toml"
            raise DocumentError("lock-not-found", "this project has no lock", where=lock or ".", hint=hint)
    if output not in {"", "-"}:
        _check_output(output, path, world)
    read = read_lock(lock if lock and not os.path.isdir(os.path.join(world.cwd, os.path.expanduser(lock))) else shown(path, world))
    folder = os.path.dirname(os.path.realpath(path))
    if online:
        read, told = _addressed(read, folder, world)
        notices += told
    flat = flatten(read, project=project)
    target = os.path.dirname(os.path.realpath(os.path.join(world.cwd, output))) if output not in {"", "-"} else folder
    text = pylock_text(flat, folder=os.path.relpath(folder, target).replace(os.sep, posixpath.sep))
    name = os.path.basename(output)
    if output not in {"", "-"} and not is_pylock_name(name):
        notices.append(f"installers look for pylock.toml or pylock.NAME.toml, and {name} is neither")
    notices += [*_of_folders(read, flat), *(_told(note) for note in read.notes)]
    return Exporting(lock=read.path, packages=len(flat.pins), text=text, notices=(*notices, *flat.notes))


def _told(note: Note) -> str:
    return f"{note.where}: {note.message}" if note.where else note.message


def _check_output(output: str, lock: str, world: World) -> None:
    """Refuse to write over what is not ours to replace: the *lock* itself, and any file that is no ``pylock.toml``."""
    target = os.path.realpath(os.path.join(world.cwd, output))
    if not os.path.isfile(target):
        return  # there is nothing, or what is written to and not replaced: a device, a pipe
    if os.path.exists(lock) and os.path.samefile(target, lock):
        words = "it is the lock itself, which would be gone"
        raise UsageError("usage", words, where=f"-o {output}", hint="name another file: -o pylock.toml")
    if os.path.getsize(target) and not _is_pylock(target):
        words = "there is a file already, which is no pylock.toml"
        raise UsageError("usage", words, where=f"-o {output}", hint="name another file: -o pylock.toml, or move away what is there")


def _is_pylock(path: str) -> bool:
    """Whether the file at *path* is a lock of that format, of any version."""
    try:
        with open(path, "rb") as file:
            document = tomllib.load(file)
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(document.get("lock-version"), str) and "packages" in document


def _addressed(lock: Lock, folder: str, world: World) -> tuple[Lock, list[str]]:
    """*lock* with the addresses of its files, as its indexes and the user's own say, and what to tell of what none has any more."""
    from sanctity.fetch.errors import FetchError
    from sanctity.fetch.web import shown_url
    from sanctity.plan.addresses import lacks_addresses, with_addresses
    from sanctity.verbs.sources import fetcher_for

    fetcher = fetcher_for(folder, world, offline=False)

    def ask(pin: Pin) -> Addressed:
        offers = fetcher.every(pin.name, pin.version, pin.source.location)
        return with_addresses(pin, [replace(offer, url=shown_url(offer.url)) for offer in offers])

    wanted = [pin for pin in lock.pins if lacks_addresses(pin)]
    with ThreadPoolExecutor(_JOBS) as pool:
        found = dict(zip(wanted, pool.map(ask, wanted), strict=True))
    if wrong := [name for each in found.values() for name in each.wrong]:
        words = f"the index has other bytes than are locked: {_some(wrong)}"
        hint = "somebody put another file in its place: compare it with what you know before you lock again"
        raise FetchError("artifact-mismatch", words, where=lock.path, hint=hint)
    if lost := [name for each in found.values() if not each.pin.artifacts for name in each.gone]:
        words = f"no index says that it has a file with a locked hash: {_some(lost)}"
        raise FetchError("artifact-gone", words, where=lock.path, hint="lock again, or configure the index that has them")
    gone = [name for each in found.values() for name in each.gone]
    told = [f"left out, as no index says that it has them: {_some(gone)}"] if gone else []
    here = [one.filename for each in found.values() for one in each.pin.artifacts if one.location.startswith("file:")]
    told += [f"these are on this machine alone, as no index has them: {_some(here)}"] if here else []
    return replace(lock, pins=tuple(found[pin].pin if pin in found else pin for pin in lock.pins)), told


def _some(names: list[str]) -> str:
    return ", ".join(names[:_MOST_NAMES]) + (f" and {len(names) - _MOST_NAMES:,} more" if len(names) > _MOST_NAMES else "")


def _of_folders(lock: Lock, flat: Flat) -> list[str]:
    """What to tell of the folders in *flat*, which pip does not install from such a file."""
    members = {root.member for root in lock.roots if root.member}
    folders = [pin.name for pin in flat.pins if pin.source.kind in {SourceKind.EDITABLE, SourceKind.DIRECTORY}]
    own = [name for name in folders if name in members]
    others = [name for name in folders if name not in members]
    return [
        *(
            [f"{', '.join(own)}: the project itself is in it, for uv; pip takes no folder beside hashes, so for pip: --no-project"]
            if own
            else []
        ),
        *([f"{', '.join(others)}: folders are in it, and pip takes none beside hashes"] if others else []),
    ]
