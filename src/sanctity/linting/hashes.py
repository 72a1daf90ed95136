"""Whether a lock decides: each version exact, and each file by a hash that holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sanctity.linting.subject import finding, some
from sanctity.model.lock import Ecosystem, LockFormat, SourceKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sanctity.linting.subject import Subject
    from sanctity.model.finding import Finding
    from sanctity.model.lock import Artifact, Pin

__all__ = ["unhashed", "unpinned", "weak_hash"]

#: Sources that are files, so that a hash can hold them.
_FILES: Final = frozenset({SourceKind.REGISTRY, SourceKind.URL, SourceKind.FILE})


def unpinned(subject: Subject) -> Iterator[Finding]:
    """Rows that give no exact version: what is installed is decided anew each time."""
    for pin in subject.lock.pins:
        if pin.version or pin.source.kind is not SourceKind.REGISTRY:
            continue
        message = f"any version that {pin.specifier} allows" if pin.specifier else "any version at all"
        yield finding("unpinned", message, pin=pin, hint=subject.remedy, about=(pin.source.location,))


def unhashed(subject: Subject) -> Iterator[Finding]:
    """Files without a hash: whoever serves them decides what they hold. What can not hold hashes at all is told as unpinned."""
    if not subject.lock.format.is_lock:
        return
    for pin in subject.lock.pins:
        if pin.source.kind not in _FILES or (not pin.version and pin.source.kind is SourceKind.REGISTRY):
            continue
        if pin.source.kind is SourceKind.URL and not any(artifact.digests for artifact in pin.artifacts):
            continue  # which is told as source-mutable
        bare = [artifact for artifact in pin.artifacts if not artifact.digests]
        if bare and len(bare) < len(pin.artifacts):
            names = some([artifact.filename or artifact.location for artifact in bare], 2)
            about = "some of its files"
            message = f"{len(bare)} of its {len(pin.artifacts)} files have no hash: {names}"
        elif bare or not pin.artifacts:
            about = pin.source.location
            message = "no hash: whoever serves the file decides what is in it"
        else:
            continue
        where = bare[0].where if bare else ""
        yield finding("unhashed", message, pin=pin, where=where, hint=_hash_it(subject, pin), about=(about,))


def _hash_it(subject: Subject, pin: Pin) -> str:
    if pin.source.kind is SourceKind.URL and subject.lock.format is LockFormat.REQUIREMENTS:
        return "add #sha256=… to the URL, or compile the file with hashes"
    if subject.lock.format is LockFormat.UV:
        return "its index gives no hash: take it from one that does"
    return subject.remedy


def weak_hash(subject: Subject) -> Iterator[Finding]:
    """Files that only a broken hash holds (MD5, SHA-1): another file with the same hash can be made."""
    for pin in subject.lock.pins:
        weak = [artifact for artifact in pin.artifacts if artifact.digests and not any(d.strong for d in artifact.digests)]
        if not weak:
            continue
        kinds = " and ".join(sorted({digest.algorithm for artifact in weak for digest in artifact.digests}))
        message = f"held by {kinds} alone, which can be forged" + _of(weak, pin)
        hint = "list it with SHA-256: `conda list --explicit --sha256`" if _only_conda(subject, pin) else subject.remedy
        yield finding("weak-hash", message, pin=pin, where=weak[0].where, hint=hint, about=(kinds,))


def _of(some_of: list[Artifact], pin: Pin) -> str:
    return f" ({len(some_of)} of its {len(pin.artifacts)} files)" if len(pin.artifacts) > 1 else ""


def _only_conda(subject: Subject, pin: Pin) -> bool:
    return subject.lock.format is LockFormat.CONDA_EXPLICIT and pin.ecosystem is Ecosystem.CONDA
