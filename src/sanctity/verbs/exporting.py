"""`export`: a lock written as ``pylock.toml`` (PEP 751), which pip, uv and PDM install from."""

from __future__ import annotations

import os
import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sanctity.errors import DocumentError
from sanctity.verbs.world import shown

if TYPE_CHECKING:
    from sanctity.model.lock import Note
    from sanctity.verbs.world import World

__all__ = ["Exporting", "export"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exporting:
    """The *text* of the document, from which *lock* it is, and what a reader should be told: *notices* of what it leaves out."""

    lock: str
    packages: int
    text: str
    notices: tuple[str, ...] = ()


def export(world: World, *, lock: str = "", output: str = "", project: bool = True) -> Exporting:
    """What *lock*, by default the project's own, comes to as a ``pylock.toml``; *output* is where it will lie.

    Without *project* the project itself is left out.

    Raises:
        DocumentError: the lock can not be read; or ``export-impossible``, with everything that the format asks for and it lacks.
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
    read = read_lock(lock if lock and not os.path.isdir(os.path.join(world.cwd, os.path.expanduser(lock))) else shown(path, world))
    flat = flatten(read, project=project)
    folder = os.path.dirname(os.path.realpath(path))
    target = os.path.dirname(os.path.realpath(os.path.join(world.cwd, output))) if output not in {"", "-"} else folder
    text = pylock_text(flat, folder=os.path.relpath(folder, target).replace(os.sep, posixpath.sep))
    name = os.path.basename(output)
    if output not in {"", "-"} and not is_pylock_name(name):
        notices.append(f"installers look for pylock.toml or pylock.NAME.toml, and {name} is neither")
    notices += [_told(note) for note in read.notes]
    return Exporting(lock=read.path, packages=len(flat.pins), text=text, notices=(*notices, *flat.notes))


def _told(note: Note) -> str:
    return f"{note.where}: {note.message}" if note.where else note.message
