"""Where the files of a lock are, as an index says: only of those whose hash the lock has, whatever else is offered."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from sanctity.model.lock import Ecosystem, SourceKind
from sanctity.model.names import normalise_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sanctity.model.index import Offer
    from sanctity.model.lock import Artifact, Pin

__all__ = ["Addressed", "lacks_addresses", "with_addresses"]


class Addressed(NamedTuple):
    """A *pin* with the files that were found; *gone* are those that nobody offers, *wrong* those of which all have other bytes."""

    pin: Pin
    gone: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()


def lacks_addresses(pin: Pin) -> bool:
    """Whether *pin* is of an index, and has hashes of files without saying where those are, or what they are called."""
    of_index = pin.source.kind is SourceKind.REGISTRY and pin.ecosystem is Ecosystem.PYPI and bool(pin.version)
    return of_index and any(artifact.digests and not artifact.location for artifact in pin.artifacts)


def with_addresses(pin: Pin, offers: Iterable[Offer]) -> Addressed:
    """*pin* with the name and address of each of its files, as *offers* of its release have them.

    A file that the lock names is one of that name of which no other hash is stated; a hash without a name is a file that is stated
    to have it. What lies on this machine is taken where no index has it. What is not found is left out.
    """
    offers = sorted(offers, key=_is_here)
    found: list[Artifact] = []
    gone: list[str] = []
    wrong: list[str] = []
    for artifact in _single(pin.artifacts):
        if artifact.location or not artifact.digests:
            found.append(artifact)
            continue
        name = normalise_name(artifact.filename)
        alike = [offer for offer in offers if (normalise_name(offer.filename) == name if name else _has(offer, artifact))]
        meant = next((offer for offer in alike if not _contradicts(offer, artifact)), None)
        what = artifact.filename or f"{pin.name} {pin.version} with {artifact.digests[0]}"
        if meant is None:
            (gone if all(map(_is_here, alike)) else wrong).append(what)
        else:
            found.append(
                replace(
                    artifact,
                    filename=artifact.filename or meant.filename,
                    location=meant.url,
                    size=meant.size if artifact.size is None else artifact.size,
                    upload_time=artifact.upload_time or meant.upload_time,
                )
            )
    return Addressed(replace(pin, artifacts=tuple(found)), tuple(gone), tuple(wrong))


def _single(artifacts: Iterable[Artifact]) -> Iterator[Artifact]:
    """*artifacts*, of those without a name each with one hash: a row's hashes are of one file each."""
    for artifact in artifacts:
        if artifact.filename or artifact.location:
            yield artifact
        else:
            yield from (replace(artifact, digests=(digest,)) for digest in artifact.digests)


def _is_here(offer: Offer) -> bool:
    """Whether *offer* lies on this machine, where it may be anybody's own build."""
    return offer.url.startswith("file:")


def _has(offer: Offer, artifact: Artifact) -> bool:
    """Whether *offer* is stated to have a hash of *artifact*."""
    return not set(offer.digests).isdisjoint(artifact.digests)


def _contradicts(offer: Offer, artifact: Artifact) -> bool:
    """Whether *offer* is stated to have another hash than *artifact*, or another size."""
    stated = {digest.algorithm: digest for digest in offer.digests}
    if any(stated.get(digest.algorithm, digest) != digest for digest in artifact.digests):
        return True
    return None not in (artifact.size, offer.size) and artifact.size != offer.size
