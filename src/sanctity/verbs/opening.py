"""The wheels of a lock's pins, opened: what each brings that a lock does not tell.

Of each release one wheel is opened, and told which: the one that would be installed here, else one for this platform, else the
first by its name. It comes from the archive, a cache or an index, and its hash is the locked one before it is looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from sanctity.errors import SanctityError
from sanctity.model.drift import Unchecked
from sanctity.model.lock import Ecosystem, SourceKind
from sanctity.model.wheel import Opened
from sanctity.verbs.sources import Sources
from sanctity.verbs.world import folder_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sanctity.model.artifact import Wanted
    from sanctity.model.lock import Lock, Pin
    from sanctity.model.wheel import WheelFacts
    from sanctity.verbs.proving import Means
    from sanctity.verbs.world import World

__all__ = ["look_into"]

#: Sources that have no artifact, and whose files are governed by git.
_LOCAL: Final = frozenset({SourceKind.EDITABLE, SourceKind.VIRTUAL, SourceKind.DIRECTORY, SourceKind.GIT})


class _Failure(NamedTuple):
    """Why the wheel of *what* was not opened; *contradicted* is what lies in the place of the locked one, in words."""

    what: str
    code: str
    reason: str
    contradicted: str = ""


def look_into(lock: Lock, pins: Iterable[Pin], world: World, means: Means) -> Opened:
    """What a wheel of each of *pins*, which are of *lock*, brings; what could not be opened is told in `Opened.unchecked`.

    Pins without an artifact (editables, folders, repositories, conda packages) are passed over, and nothing is said of them.

    Raises:
        SanctityError: the archive that *means* names can not be read.
    """
    folder = folder_of(lock, world)
    facts: dict[tuple[str, str], WheelFacts] = {}
    contradicted: dict[tuple[str, str], str] = {}
    failures: list[_Failure] = []
    todo = [pin for pin in pins if pin.source.kind not in _LOCAL and pin.ecosystem is Ecosystem.PYPI and pin.version]
    with Sources(world, folder, archive=means.archive, offline=means.offline) as sources:
        _ = sources.archive  # one that can not be read is an error, and not a reason of each wheel's
        found = sources.each(lambda pin: _open(pin, sources, folder), todo)
        for pin, opened in zip(todo, found, strict=True):
            if isinstance(opened, _Failure):
                failures.append(opened)
                if opened.contradicted:
                    contradicted[pin.name, pin.version] = opened.contradicted
            else:
                facts[pin.name, pin.version] = opened
    return Opened(facts=facts, contradicted=contradicted, unchecked=tuple(_told(failures)))


def _told(failures: Iterable[_Failure]) -> Iterable[Unchecked]:
    """*failures*, those of one reason at once."""
    groups: dict[tuple[str, str], list[str]] = {}
    for failure in failures:
        groups.setdefault((failure.code, failure.reason), []).append(failure.what)
    for (code, reason), names in sorted(groups.items()):
        what = ", ".join(names[:5]) + (f" and {len(names) - 5:,} more" if len(names) > 5 else "")
        yield Unchecked(code=code, what=what, reason=f"its wheel was not opened: {reason}", count=len(names))


def _open(pin: Pin, sources: Sources, folder: str) -> WheelFacts | _Failure:
    from sanctity.observe.wheels import wheel_facts
    from sanctity.plan.needs import artifacts_of

    what = f"{pin.name} {pin.version}"
    wanted = None
    try:
        wanted = _chosen(artifacts_of(sources.named(pin), folder=folder))
        if wanted is None:
            unnamed = any(not artifact.filename and not artifact.location for artifact in pin.artifacts)
            if unnamed or not pin.artifacts:
                return _unnamed(pin, sources)
            return _Failure(what, "sdist-only", "there is only a source distribution")
        return sources.read(wanted, lambda path: wheel_facts(path, wanted.filename))
    except SanctityError as error:
        if error.code == "artifact-mismatch" and wanted is not None:
            words = f"{wanted.filename}: {error.message}" if wanted.filename else error.message
            return _Failure(what, error.code, "what lies there is not what is locked", words)
        # What is the same for all of them reads once; a message that names its file does not.
        return _Failure(what, error.code, _reason(error))
    except OSError as error:
        return _Failure(what, "unreadable", error.strerror or str(error))


def _unnamed(pin: Pin, sources: Sources) -> _Failure:
    """Why no file was found of *pin*, of which the lock gives hashes alone, or not even those.

    Raises:
        SanctityError: no index could be asked.
    """
    what = f"{pin.name} {pin.version}"
    locked = {digest for artifact in pin.artifacts for digest in artifact.digests}
    if not locked:
        return _Failure(what, "artifact-unnamed", "the lock gives neither its name nor its hash")
    offers = sources.offers(pin.name, pin.version, pin.source.location if pin.source.kind is SourceKind.REGISTRY else "")
    stated = {digest for offer in offers for digest in offer.digests}
    if locked & stated:
        return _Failure(what, "sdist-only", "there is only a source distribution")
    kinds = {digest.algorithm for digest in locked}
    if offers and all(kinds & {digest.algorithm for digest in offer.digests} for offer in offers):
        words = f"of its {len(offers)} files at the index none has a hash that is locked"
        return _Failure(what, "artifact-mismatch", "what lies there is not what is locked", words)
    words = "the index states no hash of it" if offers else "no index has it"
    return _Failure(what, "artifact-unnamed", f"the lock gives its hash alone, and {words}")


def _reason(error: SanctityError) -> str:
    return "no index may be asked for it" if error.code == "offline" else error.message


def _chosen(artifacts: Iterable[Wanted]) -> Wanted | None:
    """The wheel to open among *artifacts*."""
    from packaging.tags import sys_tags

    from sanctity.compare.tags import rank_of, wheel_tags

    ranks = {tag: rank for rank, tag in enumerate(sys_tags())}
    platforms = {tag.platform for tag in ranks}

    def order(wanted: Wanted) -> tuple[int, bool, str]:
        rank = rank_of(wanted.filename, ranks)
        tags = wheel_tags(wanted.filename) or ()
        fits_platform = any(tag.platform in platforms for tag in tags)
        return (rank if rank is not None else len(ranks), not fits_platform, wanted.filename)

    return min((wanted for wanted in artifacts if wanted.is_wheel), key=order, default=None)
