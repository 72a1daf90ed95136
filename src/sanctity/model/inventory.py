"""What a lock, a seal and an environment have in common: packages, and parts beside them. Any two inventories can be compared.

An inventory says only what its own side knows. What it leaves open (a lock knows no file, an environment no artifact) is empty
here, and is told as not compared; it never counts as the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from sanctity.model.digest import ContentDigest, Digest
    from sanctity.model.drift import Unchecked
    from sanctity.model.environment import Interpreter

__all__ = ["FILE_PARTS", "PART_NAMES", "Inventory", "InventoryKind", "LockedFile", "Package", "Part", "Row"]

#: A key and its value: of a file in a distribution (docs/content-digest.md), or of a fact of a part.
Row = tuple[str, str]

#: The parts that an inventory may state beside its packages, in the order in which they are told.
PART_NAMES: Final = (
    "startup",
    "unclaimed",
    "activation",
    "stdlib",
    "python",
    "platform",
    "interpreter",
    "native",
    "cpu",
    "blas",
    "accelerators",
    "settings",
    "requires",
    "indexes",
    "options",
    "lock",
    "selection",
    "accepted",
    "policy",
    "waivers",
    "canary",
)
#: The parts whose rows are files.
FILE_PARTS: Final = frozenset({"startup", "unclaimed", "activation", "stdlib"})


class InventoryKind(StrEnum):
    """What was taken stock of."""

    LOCK = "lock"
    SEAL = "seal"
    ENVIRONMENT = "environment"


class LockedFile(NamedTuple):
    """An artifact that may be installed: its *filename*, empty where only hashes are given, and one *digest*, empty for none."""

    filename: str
    digest: str


class Part(NamedTuple):
    """What is stated beside the packages: its *name*, one of `PART_NAMES`, and sorted *rows*; none is a statement too."""

    name: str
    rows: tuple[Row, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One package of an inventory. *name* is normalised, or ``system:PACKAGE`` for one that the system's package manager installed.

    A conda package that a lock names, or that an environment has beside such a lock, is ``conda:PACKAGE``; *marker* is then the
    platforms that it is for.

    *version* is as written, empty where none is stated; *specifier* is what a loose row says instead. *origin* is the kind of
    source in short (``index``, ``git:COMMIT``, ``archive``, ``directory``, ``editable``, ``virtual``) and *place* where a lock
    takes it from. *artifacts* are those that a lock allows, or the one that a seal or direct_url.json names. *content* and *rows*
    are its content, *files* the digest over the files of a package of the system; each None where it is not known. *marker* is a
    lock's condition and *direct* whether the project asks for it itself, None where that is not stated.

    *needed* is False where its absence on the other side is no difference: a lock's pin for other environments or groups. *doubt*
    is the (code, reason) of why that can not be told. *seed* is a pip, setuptools or wheel that nothing else names; *kept* says
    that the system's package manager keeps its files, which count as those of a package of the system.

    Where two locks are compared, *reach* says for whom a pin is there, in words: of each environment in which it is installed, and
    of each root that names it; *doubtful* are those of which its lock does not say. *condition* is *marker* as short as it comes
    for what both locks are for, the same text for what means the same; None where it is not known. *locations* are where its
    artifacts are fetched, by file name.
    """

    name: str
    version: str = ""
    specifier: str = ""
    origin: str = "index"
    place: str = ""
    artifacts: tuple[LockedFile, ...] = ()
    content: ContentDigest | None = None
    rows: tuple[Row, ...] | None = None
    files: Digest | None = None
    marker: str = ""
    direct: bool | None = None
    needed: bool = True
    doubt: tuple[str, str] | None = None
    seed: bool = False
    kept: bool = False
    reach: frozenset[str] = frozenset()
    doubtful: frozenset[str] = frozenset()
    condition: str | None = None
    locations: tuple[tuple[str, str], ...] = ()

    @property
    def where(self) -> str:
        """For which environments it is there: its marker, simplified where that could be done."""
        return self.marker if self.condition is None else self.condition


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """All that one side states. *path* is what the user named, *format* a lock's, *digest* of a document, or a fingerprint.

    *environment* is the key of a seal's entry (``linux-x86_64-glibc cpython-3.11``), empty for others. *project* is the normalised
    name of a project that a lock is for and does not itself name. *listed* says of a lock, whose format has two layouts, that it is
    a list: each package says for itself when it is wanted. *parts* are in the order of `PART_NAMES`; what is not among them
    is not stated. *behind* are the rows that a digest in a part is over, by that digest, where they are known. *unknown* are
    (part, reason) of what could not be told, and *blind* is what could not be looked at.
    """

    kind: InventoryKind
    path: str
    format: str = ""
    digest: str = ""
    environment: str = ""
    project: str = ""
    listed: bool = False
    packages: tuple[Package, ...] = ()
    parts: tuple[Part, ...] = ()
    behind: tuple[tuple[str, tuple[Row, ...]], ...] = ()
    unknown: tuple[tuple[str, str], ...] = ()
    blind: tuple[Unchecked, ...] = ()
    interpreter: Interpreter | None = None
