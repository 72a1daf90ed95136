"""`contents`: carry what was learnt of wheels, {sha256 of a wheel -> content digest}, from one machine to another."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sanctity.errors import DocumentError, SanctityError

if TYPE_CHECKING:
    from sanctity.model.artifact import WheelContent
    from sanctity.store.contents import ContentsMemory
    from sanctity.verbs.world import World

__all__ = ["Imported", "export_contents", "import_contents", "known_contents"]

_LARGEST: Final = 1 << 27


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What an import came to: how many wheels the document names, how many of them are *new*, and how many are known *in all*."""

    wheels: int
    new: int
    in_all: int


def _memory(world: World) -> ContentsMemory:
    from sanctity.store.contents import ContentsMemory
    from sanctity.store.statcache import cache_folder

    return ContentsMemory(cache_folder(world.environ))


def _all(world: World, archive: str) -> dict[str, WheelContent]:
    from sanctity.verbs.sources import Sources

    with Sources(world, world.cwd, archive=archive, offline=True) as sources:
        return sources.known()


def known_contents(world: World, *, archive: str = "") -> tuple[WheelContent, ...]:
    """What is known of wheels here, and in an *archive* where one is named, by file name."""
    return tuple(sorted(_all(world, archive).values(), key=lambda wheel: (wheel.filename, wheel.sha256)))


def export_contents(world: World, *, archive: str = "") -> str:
    """The document that states what is known of wheels here, and in an *archive* where one is named."""
    from sanctity.canon.contents import format_contents

    return format_contents(_all(world, archive).values())


def import_contents(file: str, world: World) -> Imported:
    """Remember what the document *file* states; a report then says ``imported`` of what rests on it.

    Raises:
        DocumentError: it can not be read, is no such document, or contradicts what is known: then nothing of it is remembered.
        SanctityError: ``output-failed``, it can not be remembered.
    """
    from sanctity.canon.contents import parse_contents
    from sanctity.model.artifact import Proof
    from sanctity.observe.view import View

    try:
        data = View().read(os.path.join(world.cwd, file), _LARGEST)
    except OSError as error:
        reason = error.strerror or "it can not be read"
        raise DocumentError(
            "contents-unreadable", reason, where=file, hint="name a file that `sanctity contents export` wrote"
        ) from error
    stated = parse_contents(data, file, proof=Proof.IMPORTED)
    memory = _memory(world)
    before = memory.known()
    try:
        after = memory.keep(stated, path=file)
    except OSError as error:
        raise SanctityError(
            "output-failed", error.strerror or "it can not be written", where=memory.path, hint="free some space"
        ) from error
    if not memory.folder:
        raise SanctityError(
            "output-failed", "there is no home folder to remember it in", where=file, hint="set HOME or XDG_CACHE_HOME"
        )
    return Imported(wheels=len(stated), new=len(after.keys() - before.keys()), in_all=len(after))
