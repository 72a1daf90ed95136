"""Package indexes as the user's own configuration names them, and what they offer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sanctity.model.digest import Digest

__all__ = ["Credentials", "Indexes", "Offer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """A *user* and *password* for what begins with *origin* (``https://index.example``). Neither is ever shown."""

    origin: str
    user: str = field(repr=False)
    password: str = field(repr=False, default="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Indexes:
    """Where artifacts may be asked for.

    *urls* are those of indexes (the simple repository API, PEP 503; ``https:``, ``http:`` or ``file:``), less any credentials,
    those that a project names before a user's. *links* are folders and pages that list files. *complete* says that a main index is
    among them, or that none is wanted; else the tools' own default is one too. *certificate* is a file of certificates to trust,
    *netrc* the user's netrc file, both empty where there is none.
    """

    urls: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    complete: bool = False
    offline: bool = False
    certificate: str = ""
    netrc: str = ""
    proxy: str = ""
    trusted: tuple[str, ...] = ()
    credentials: tuple[Credentials, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A file that an index offers: its *filename*, absolute *url*, *digests* and *size* in bytes as far as the index states them.

    *yanked* is the reason (PEP 592), or a blank where none is given; None where it is not yanked. *upload_time* is RFC 3339, or
    empty.
    """

    filename: str
    url: str
    digests: tuple[Digest, ...] = ()
    size: int | None = None
    yanked: str | None = None
    upload_time: str = ""
