"""What an archive keeps, as frozen values: artifacts, and the locks, seals and interpreters that they are kept for.

The layout on disk is specified in docs/archive.md; `sanctity.store.layout` reads and writes its documents.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from sanctity.model.platform import Build

if TYPE_CHECKING:
    from sanctity.model.digest import ContentDigest, Digest

__all__ = [
    "INTERPRETER_SCHEMA",
    "ArchivedArtifact",
    "ArchivedDocument",
    "ArchivedInterpreter",
    "ArchivedLock",
    "ArchivedSeal",
    "ArtifactKind",
    "Fault",
    "For",
]

INTERPRETER_SCHEMA: Final = "sanctity.interpreter/1"


class ArtifactKind(StrEnum):
    """What an artifact is."""

    WHEEL = "wheel"
    SDIST = "sdist"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedArtifact:
    """An artifact that is kept, under its *sha256*: *filename* is its published name, *size* is in bytes, *name* is normalised.

    A wheel has its *content* digest; *built_from* says what it was built from where no index offers it: ``sha256:…`` of the sdist,
    ``git:COMMIT``, or ``directory:PATH`` as the lock writes the folder. *yanked* is the index's reason, or ``yanked`` where it
    gives none, as it was when the artifact came in; else empty.
    """

    sha256: Digest
    filename: str
    size: int
    kind: ArtifactKind
    name: str
    version: str
    content: ContentDigest | None = None
    built_from: str = ""
    yanked: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedDocument:
    """A file that is kept as it was: *path* is relative to the folder of the lock or seal that it belongs to, with ``/``."""

    path: str
    sha256: Digest
    size: int


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class For:
    """What artifacts are kept for: a *platform* and a *python*, as seals name them (``linux-x86_64-glibc``, ``cpython-3.11``)."""

    platform: str
    python: str

    def __str__(self) -> str:
        return f"{self.platform}/{self.python}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedLock:
    """A lock that is kept: its *digest* as `Lock` has it, its *format*, its own document first, and the artifacts it needs.

    *manifest* is the digest of its manifest, None before it has one; *name* is what the archive calls it, empty where another lock
    has taken its name. *wanted_for* says what the artifacts are kept for; *whole* that every artifact it lists was asked for.
    """

    digest: Digest
    format: str
    documents: tuple[ArchivedDocument, ...]
    artifacts: tuple[ArchivedArtifact, ...] = ()
    wanted_for: tuple[For, ...] = ()
    whole: bool = False
    name: str = ""
    manifest: Digest | None = None

    @property
    def path(self) -> str:
        """The file name of the lock itself."""
        return self.documents[0].path


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedSeal:
    """A seal that is kept: its *digest* as `Seal` has it, its own document first, and the locks it names by their digests."""

    digest: Digest
    documents: tuple[ArchivedDocument, ...]
    locks: tuple[Digest, ...] = ()
    name: str = ""
    manifest: Digest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedInterpreter:
    """An interpreter by its identity: *implementation*, exact *version*, *abi*, *platform* as a seal writes them, and its *build*.

    *file* is an archive of the interpreter itself, None where only its identity is kept.
    """

    implementation: str
    version: str
    abi: str
    platform: str
    build: Build = field(default_factory=Build)
    file: ArchivedDocument | None = None
    manifest: Digest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something wrong with an archive: *code* as an error's, *what* it is about (a blob, a manifest), who *used_by*, and why."""

    code: str
    what: str
    message: str
    used_by: tuple[str, ...] = ()
