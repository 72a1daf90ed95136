"""`seal --check`: whether a seal was made under the lock as it is now. No environment is looked at, so that a commit can ask."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sanctity.errors import DocumentError, SanctityError
from sanctity.verbs.world import shown

if TYPE_CHECKING:
    from sanctity.verbs.world import World

__all__ = ["Freshness", "check_freshness"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """What the seal *path* was made under: *locks* that are what they were, and the *stale* ones, each with what is wrong."""

    path: str
    locks: tuple[str, ...]
    stale: tuple[tuple[str, str], ...]


def check_freshness(world: World, *, seal: str = "") -> Freshness:
    """Compare each lock that a *seal* names, by default the project's own, with what it says of it.

    The project's own lock has to be one of them: a project that changed its tool has a lock that nobody sealed.

    Raises:
        DocumentError: the seal can not be read.
        SanctityError: ``seal-without-lock``, it was made under none.
    """
    from sanctity.observe.locks import read_lock
    from sanctity.observe.places import find_lock, find_project
    from sanctity.observe.seals import SEAL_NAME, read_seal

    project = find_project(world.cwd)
    path = os.path.join(world.cwd, os.path.expanduser(seal)) if seal else f"{project}/{SEAL_NAME}"
    read = read_seal(path, shown=seal or shown(path, world))
    folder = os.path.dirname(os.path.abspath(path))
    named = {(each.lock.path, each.lock.digest) for each in read.environments if each.lock is not None}
    if not named:
        raise SanctityError(
            "seal-without-lock", "it was made under no lock", where=read.path, hint="lock the project, and seal it again"
        )
    good: list[str] = []
    stale: list[tuple[str, str]] = []
    for place, digest in sorted(named, key=lambda item: (item[0], str(item[1]))):
        whole = os.path.normpath(os.path.join(folder, place))
        try:
            now = read_lock(whole).digest
        except DocumentError as error:
            stale.append((place, f"it can not be read: {error.message}"))
            continue
        if now == digest:
            good.append(place)
        else:
            stale.append((place, f"sealed as {digest}, and it is {now}"))
    own = find_lock(folder)[0]
    known = {os.path.normpath(os.path.join(folder, place)) for place, _ in named}
    if own and os.path.normpath(own) not in known:
        stale.append((os.path.relpath(own, folder), "the project's lock, of which the seal says nothing"))
    return Freshness(path=read.path, locks=tuple(dict.fromkeys(good)), stale=tuple(dict.fromkeys(stale)))
