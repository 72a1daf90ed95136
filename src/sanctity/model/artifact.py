"""Artifacts as they are sought, found and known: the links between a lock's hash and a distribution's content.

A lock names an artifact by the hash of its file. What such a file becomes once it is installed, its content digest, can not be
told from the hash; it takes the file, once. From then on {sha256 of the wheel -> content digest} is a fact that never changes, so
it may be remembered, and carried from one machine to another.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sanctity.model.digest import ContentDigest, Digest

__all__ = ["Found", "Place", "Proof", "Wanted", "WheelContent"]


class Proof(StrEnum):
    """How it is known which content a wheel has."""

    WHEEL = "wheel"  # the wheel was read now, and its hash is the lock's
    REMEMBERED = "remembered"  # it was read before, here
    IMPORTED = "imported"  # somebody else read it, and said so
    SEALED = "sealed"  # no wheel: what was built from source is as the seal states


class Place(StrEnum):
    """Where an artifact was found."""

    ARCHIVE = "archive"
    FILE = "file"  # at the path that the lock names, or in a folder of links
    PIP_CACHE = "pip's cache"
    UV_CACHE = "uv's cache"
    INDEX = "index"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One artifact to be had: a file of the release *name* *version* that has every one of *digests*.

    *name* is normalised. *filename* is empty where the lock gives a hash alone (requirements files); *location* is the URL or the
    absolute path that the lock gives, *index* the URL of the index that the lock names for it; each else empty. *size* in bytes.
    """

    name: str
    version: str
    filename: str = ""
    digests: tuple[Digest, ...] = ()
    location: str = ""
    index: str = ""
    size: int | None = None

    @property
    def sha256(self) -> Digest | None:
        """The SHA-256 among the digests."""
        return next((digest for digest in self.digests if digest.algorithm == "sha256"), None)

    @property
    def is_wheel(self) -> bool:
        """Whether its name says that it is a wheel."""
        return self.filename.endswith(".whl")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An artifact that was had: its bytes lie at *path*, have this *sha256*, and all the digests that were wanted.

    *filename* is its published name; *place* says where it came from, and *source* names that: a URL less credentials, or a path.
    """

    path: str
    sha256: Digest
    filename: str
    place: Place
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelContent:
    """What is known of the wheel whose file has this *sha256*: once installed, its content is *content*.

    *filename* is its published name, empty where nobody said it. *rows* are the rows behind *content*, None where the wheel was
    not read now. *built_from* says what it was built from where it is no index's: ``sha256:…`` of an sdist, or ``git:COMMIT``.
    """

    sha256: Digest
    content: ContentDigest
    filename: str = ""
    proof: Proof = Proof.REMEMBERED
    rows: tuple[tuple[str, str], ...] | None = None
    built_from: str = ""
