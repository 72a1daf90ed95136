"""What was decided: a lock of any format, as one frozen value.

A lock is a graph. `Pin` is a node, `Dependency` an edge, and `Root` a set of edges that somebody may ask for: a project's
own dependencies, an extra, a dependency group. Formats that are a flat list (requirements files, pylock.toml, Poetry 2.1)
are graphs of depth one: each root points at its pins and the pins point nowhere. What an environment should hold is the
closure of its selected roots; `compare.selection` computes it.

conda's formats lock two ecosystems side by side, and each platform on its own: there a pin and an edge name the ecosystem, the
platforms that they are for, and a pin its build. One who looks at an environment takes what is for its platform, and then sees a
lock like any other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sanctity.model.digest import Digest

__all__ = ["Artifact", "Dependency", "Ecosystem", "Lock", "LockFormat", "Note", "Pin", "Root", "RootKind", "Source", "SourceKind"]


class LockFormat(StrEnum):
    """The formats read, in the order in which a project's references are looked for; the value is what a report prints."""

    UV = "uv"
    POETRY = "poetry"
    PDM = "pdm"
    PIPFILE = "pipfile"
    PYLOCK = "pylock"
    CONDA_LOCK = "conda-lock"
    PIXI = "pixi"
    CONDA_EXPLICIT = "conda-explicit"
    REQUIREMENTS = "requirements"
    ENVIRONMENT_YML = "environment-yml"
    PYPROJECT = "pyproject"

    @property
    def is_lock(self) -> bool:
        """Whether a file of this format can be a lock: an environment.yml and a pyproject.toml only say what is wished for."""
        return self not in {LockFormat.ENVIRONMENT_YML, LockFormat.PYPROJECT}

    @property
    def is_of_conda(self) -> bool:
        """Whether it locks conda's packages, each platform on its own."""
        return self in {LockFormat.CONDA_LOCK, LockFormat.PIXI, LockFormat.CONDA_EXPLICIT}


class Ecosystem(StrEnum):
    """Whose names and versions they are: ``numpy`` of one is not ``numpy`` of the other."""

    PYPI = "pypi"
    CONDA = "conda"


class SourceKind(StrEnum):
    """Where a pin comes from."""

    REGISTRY = "registry"
    GIT = "git"
    URL = "url"
    FILE = "file"  # a wheel or sdist on disk
    DIRECTORY = "directory"  # a folder that is built and copied
    EDITABLE = "editable"  # a folder that is pointed at
    VIRTUAL = "virtual"  # a project that is never installed


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A pin's source.

    *location* is an index URL, a repository URL without its commit, an archive URL, or a path as the lock writes it
    (relative paths are relative to the lock's own folder). Credentials are never kept. *revision* is the full commit
    of a git source, else empty. *subdirectory* is a path inside a repository or archive.
    """

    kind: SourceKind
    location: str = ""
    revision: str = ""
    subdirectory: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A wheel or sdist that a lock names; an empty *digests* means that the lock gives none.

    *filename* is empty where the format gives hashes without names (requirements, Pipfile.lock); *location* is a URL or a
    path as written, less any credentials; *size* is in bytes; *upload_time* is RFC 3339 as written, or empty.
    """

    filename: str = ""
    digests: tuple[Digest, ...] = ()
    location: str = ""
    size: int | None = None
    upload_time: str = ""
    where: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependency:
    """An edge: the pins of this normalised *name*, where *marker* holds, with these *extras* switched on.

    *version*, *source* and *build* are given where the lock must tell two pins of one name apart, else empty or None. *marker* is
    PEP 508 text, or empty. uv's conflict markers (``extra == 'extra-3-foo-cpu'``) are kept as written. The edge is there on
    *platforms* alone (conda's words for them, ``linux-64``), everywhere where that is empty.
    """

    name: str
    marker: str = ""
    extras: tuple[str, ...] = ()
    version: str = ""
    source: Source | None = None
    ecosystem: Ecosystem = Ecosystem.PYPI
    build: str = ""
    platforms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """One locked entry.

    *name* is normalised (PEP 503); *version* is as written, empty where the lock has none (a dynamic version of a folder
    or repository); *marker* is the pin's own condition (uv's resolution markers are joined by ``or``); *optional* are the
    extra edges each extra of this pin switches on; *where* is the place in the document, such as ``package[12]``.
    *specifier* is what a row says that pins no version, such as ``>=1.2``, else empty; conda's is as conda writes it.

    *build* is a conda package's build string. The pin is for *platforms* alone (conda's words for them, such as ``linux-64``; what
    conda calls ``noarch`` is for those that its row is for), for all where that is empty. A conda name is lower-case and not
    normalised otherwise: there ``ruamel.yaml`` and ``ruamel-yaml`` are two packages.
    """

    name: str
    version: str = ""
    source: Source
    artifacts: tuple[Artifact, ...] = ()
    dependencies: tuple[Dependency, ...] = ()
    optional: tuple[tuple[str, tuple[Dependency, ...]], ...] = ()
    marker: str = ""
    requires_python: str = ""
    where: str = ""
    specifier: str = ""
    ecosystem: Ecosystem = Ecosystem.PYPI
    build: str = ""
    platforms: tuple[str, ...] = ()


class RootKind(StrEnum):
    """What kind of thing was asked for."""

    PROJECT = "project"
    EXTRA = "extra"
    GROUP = "group"
    ENVIRONMENT = "environment"  # one of several whole environments that a pixi.lock is for


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """Something that can be asked for: a project's own dependencies, one of its extras or groups, or a whole environment.

    *member* is the normalised name of the project it belongs to, empty where the lock is not about named projects.
    *default* says that the tool installs it unless told otherwise (a project root; uv's ``default-groups``; Poetry's
    non-optional groups). *extras* and *groups* are the names that markers see as active while this root is walked.
    *complete* is False where the lock can not tell which pins belong to this root (a Poetry lock older than 2.1 whose
    pyproject.toml is not at hand): then a missing pin is unknown, not drift.
    """

    kind: RootKind
    name: str = ""
    member: str = ""
    dependencies: tuple[Dependency, ...] = ()
    default: bool = False
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    complete: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something a reader saw and read past, such as a newer minor format version. Each code has its severity in `model.finding`."""

    code: str
    where: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """A lock: *path* as the user named it, *digest* of the file's bytes, and what it says.

    For a requirements tree *digest* is over the canonical list of (path, sha256) of all files read.
    *requires_python* (here and of a pin) is a PEP 440 specifier; Poetry's may be several, joined by ``||``: any may hold.
    *generator* is the tool that wrote it, as far as the document says (``pip-compile``, ``uv``, ``Poetry 2.1.3``). *files* are the
    paths, relative to its folder, of all that was read with it or looked for beside it.

    *indexes* are the index or channel URLs that it names, without credentials, in its own order, each once. *platforms* are those
    that it was made for, in conda's words, empty where it is for all, and *environments* the markers of those, any of which may
    hold, where it says it in markers. *settings* are what it tells its tool beside all that (options, overrides), each by its key,
    without secrets. *facts* are what its rows come to where the pins do not tell: what only this format has (the corpus'
    ``more_facts``), and any column of `lockfiles.summary` that the reader counted itself.
    """

    format: LockFormat
    format_version: str = ""
    path: str
    digest: Digest
    requires_python: str = ""
    pins: tuple[Pin, ...] = ()
    roots: tuple[Root, ...] = ()
    generator: str = ""
    notes: tuple[Note, ...] = field(default=())
    files: tuple[str, ...] = ()
    indexes: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()
    facts: Mapping[str, object] = field(default_factory=dict, hash=False)

    def names(self) -> frozenset[str]:
        """The normalised names of all pins."""
        return frozenset(pin.name for pin in self.pins)
