"""What is there: an environment as it was found, as one frozen value.

Paths are POSIX text relative to the environment's prefix (``lib/python3.11/site-packages/six.py``); undecodable bytes
are kept by ``surrogateescape``. The two types that exist tens of thousands of times, `FileEntry` and `RecordRow`, are
named tuples, which are built four times faster than frozen dataclasses and hold as little (docs/adr/0003).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sanctity.model.digest import ContentDigest, Digest
    from sanctity.model.platform import Platform

__all__ = [
    "CondaPackage",
    "Distribution",
    "Environment",
    "FileEntry",
    "FileKind",
    "Fingerprint",
    "Hook",
    "HookKind",
    "Interpreter",
    "KnownFile",
    "Layout",
    "LookedAtFrom",
    "Origin",
    "Problem",
    "RecordFault",
    "RecordRow",
    "Script",
    "SystemFile",
]


class FileKind(StrEnum):
    """What a path is, without following a final symbolic link."""

    FILE = "file"
    LINK = "link"  # a symbolic link that leads to a regular file; size, digest and times are the target's
    DIRLINK = "directory link"
    DANGLING = "dangling link"
    LOOP = "link loop"
    FIFO = "fifo"
    SOCKET = "socket"
    DEVICE = "device"


class FileEntry(NamedTuple):
    """One file found by the walk.

    *digest* is the raw SHA-256 of the bytes, empty where they were not read: bytecode under ``__pycache__`` (then *header*
    holds its first 16 bytes), anything but a regular file, and files with a *problem* (an errno name such as ``EACCES``,
    or ``changed`` for a file that changed while it was read). *target* is a symbolic link's text.
    """

    path: str
    kind: FileKind
    size: int
    digest: bytes
    mtime_ns: int
    links: int
    header: bytes = b""
    problem: str = ""
    target: str = ""


class KnownFile(NamedTuple):
    """A regular file as an earlier look found it: its *entry*, whether it is *elf*, and the *mark* it had.

    The mark is device, inode, ctime in nanoseconds and mode, packed as ``<QQqI4x``: while it is the same, and size and mtime are
    the entry's, the file need not be read again.
    """

    mark: bytes
    entry: FileEntry
    elf: bool


class RecordRow(NamedTuple):
    """One line of a RECORD: *algorithm* and raw *digest* are empty where the line has no hash; *size* is -1 for none."""

    path: str
    algorithm: str
    digest: bytes
    size: int


class SystemFile(NamedTuple):
    """A file that a package manager installed (dpkg, conda): its *path*, the *package* that owns it, and its raw digests.

    *expected* is empty where the package manager states none, *actual* where the file is not there (*present* is false) or could
    not be read. *algorithm* is what both are of. *content* is the raw SHA-256 that counts in a fingerprint, of the file with the
    prefix taken out that an installer wrote into it; empty where that is the file's own. *fault* is what is wrong with a
    script whose digest is right: it starts another environment's interpreter.
    """

    path: str
    package: str
    expected: bytes
    actual: bytes
    present: bool
    algorithm: str = "md5"
    content: bytes = b""
    fault: str = ""


class CondaPackage(NamedTuple):
    """A package that conda or one of its kin installed, as its document in ``conda-meta`` has it: the environment's own word.

    *path* is the document's, relative to the prefix. *subdir* is conda's word for the platform it was built for, or ``noarch``;
    *url* is where its archive came from, without credentials, and *digests* are that archive's. *requested* is what a user asked
    for when it was installed (``numpy >=2``), empty where it only came along.
    """

    name: str
    version: str
    build: str
    path: str
    subdir: str = ""
    channel: str = ""
    url: str = ""
    digests: tuple[Digest, ...] = ()
    requested: str = ""
    noarch: bool = False


class RecordFault(NamedTuple):
    """Something wrong with a distribution's own metadata: a drift *code*, the *path* it is about, and a *message*."""

    code: str
    path: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What ``direct_url.json`` says (PEP 610): a claim, since anyone may write it.

    *kind* is ``vcs``, ``archive`` or ``directory``; *url* carries no credentials; *commit* is a VCS revision, *digests* an
    archive's hashes. *resolved* is where the path of a ``file:`` URL leads, with every link followed; else empty.
    """

    kind: str
    url: str
    editable: bool = False
    commit: str = ""
    subdirectory: str = ""
    digests: tuple[Digest, ...] = ()
    resolved: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A file in the scripts folder that a distribution owns, or an entry point declares.

    *target* is ``module:attribute`` where the file was proven to be exactly the wrapper of that entry point and to start
    this environment's interpreter; else it is empty and *fault* says why, for scripts that an entry point declares.
    *canonical* is the raw SHA-256 of the bytes with the interpreter line normalised.
    """

    path: str
    name: str
    declared: str = ""
    target: str = ""
    canonical: bytes = b""
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """One installed distribution.

    *name* is as METADATA writes it and *key* its normalised form (PEP 503); *home* is the path of its dist-info or
    egg-info; *record* is None where there is none. *record* is the claim, `Environment.files` is what was found.
    *doubtful* are the rows that do not plainly state the hash and size of the file that was found, None where nobody looked.
    *content* is None where something it needs could not be read, and at depth ``version``; *stated* is the content by its RECORD's
    own word, None where that can not be told; *rows* are the rows behind *content*, None unless asked for. *keeper* is the system's
    package that owns it (``python3-six``), whose own list then stands in RECORD's place; else empty. *tags* are the Tag lines of
    its WHEEL, such as ``py3-none-any``, read at depth ``artifact``.
    """

    key: str
    name: str
    version: str
    home: str
    installer: str = ""
    requested: bool = False
    origin: Origin | None = None
    built_here: bool = False
    requires: tuple[str, ...] = ()
    record: tuple[RecordRow, ...] | None = None
    doubtful: tuple[RecordRow, ...] | None = None
    faults: tuple[RecordFault, ...] = ()
    scripts: tuple[Script, ...] = ()
    content: ContentDigest | None = None
    stated: ContentDigest | None = None
    rows: tuple[tuple[str, str], ...] | None = None
    keeper: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """The interpreter, as its own bytes state it; nothing of it was run.

    *version* is exact (``3.11.7``, ``3.15.0rc1``) or ``3.11`` where only that much is known; *evidence* names what said so
    (``Py_Version in libpython3.11.so.1.0``, ``patchlevel.h``, ``dpkg``). *abi* is the SOABI's tag (``cpython-311``),
    *platform* the triple of the ELF (``linux-x86_64``). *executable* is the resolved file, relative to the prefix where
    it lies inside; *base* is the prefix its standard library lies under. *claimed* is pyvenv.cfg's version. *faults* name what
    is wrong with it.
    """

    implementation: str = "cpython"
    version: str = ""
    abi: str = ""
    machine: str = ""
    libc: str = ""
    executable: str = ""
    base: str = ""
    evidence: str = ""
    claimed: str = ""
    faults: tuple[RecordFault, ...] = ()


class HookKind(StrEnum):
    """Parts of the start-up surface at rest: what runs, or redirects imports, before the program's first line."""

    PTH_CODE = "pth-code"  # a .pth with an import line
    PTH_PATH = "pth-path"  # a .pth that only adds folders
    START = "start"  # PEP 829
    CUSTOMIZE = "customize"  # sitecustomize, usercustomize
    PATH_FILE = "path-file"  # python3.x._pth beside the executable
    SYSTEM_SITE = "system-site"  # include-system-site-packages = true
    EDITABLE = "editable"  # a module that an editable put into site-packages, beside its .pth, or for it
    STDLIB_ZIP = "stdlib-zip"  # lib/python311.zip, which precedes the standard library


class Hook(NamedTuple):
    """One element of the start-up surface: its *kind*, its *path*, the raw *digest* of its canonical bytes, and what it does."""

    kind: HookKind
    path: str
    digest: bytes
    effect: str = ""


class Problem(NamedTuple):
    """Something that could not be looked at: a *code*, the *path*, and the *reason*."""

    code: str
    path: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where things are under the prefix: *site* (site-packages folders in sys.path order), *scripts*, *stdlib*.

    *version* is the ``3.11`` of ``lib/python3.11``.
    """

    site: tuple[str, ...]
    scripts: str = "bin"
    stdlib: str = ""
    version: str = ""
    virtual: bool = True


class LookedAtFrom(StrEnum):
    """Whether the tool stood outside of the environment it looked at."""

    OUTSIDE = "outside"
    ITSELF = "itself"


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """An environment, whole. *prefix* is shown to people and never hashed; *files* are by path, in no order.

    *regenerated* are claimed data files that were rewritten, and proven to be just what their program writes (a Jupyter kernel's
    kernel.json that starts this environment's own interpreter). *folders* are the folders that rows of a RECORD name.
    *other_digests* are (path, algorithm, raw digest) of files whose RECORD row uses another algorithm than SHA-256. *system* are
    the files that a package manager installed: of dpkg's what lies in the site-packages folders, of conda's all. *manager* says
    which it is (``dpkg``, ``conda``, or empty), *manifest_faults* what is wrong with its lists. *conda* are the
    packages that conda's documents are about, at every depth, by name. *elves* are the paths of ELF files.
    *platform* is what it stands on, None where nobody looked; *activation* are the activate scripts as (path, raw digest), with the
    prefix written ``${prefix}``. *system_site* is the base interpreter's own environment where its packages can be imported from
    here, and *user_site* the user's own site-packages folder where Python would add that, each None where it does not apply.
    *cached* is how many files were not read, since nothing of what the file system tells of them moved since an earlier look.
    *walked* are the folders whose every entry is in *files*, but for the folders *skipped*; *asked* are the absolute paths of what
    else was looked at, and *listed* the folders among them whose names were; none below an image's root.
    """

    prefix: str
    layout: Layout
    interpreter: Interpreter
    distributions: tuple[Distribution, ...]
    files: Mapping[str, FileEntry] = field(default_factory=dict, hash=False)
    hooks: tuple[Hook, ...] = ()
    problems: tuple[Problem, ...] = ()
    regenerated: tuple[str, ...] = ()
    other_digests: tuple[tuple[str, str, bytes], ...] = ()
    folders: frozenset[str] = frozenset()
    system: tuple[SystemFile, ...] = ()
    manager: str = ""
    manifest_faults: tuple[RecordFault, ...] = ()
    conda: tuple[CondaPackage, ...] = ()
    elves: tuple[str, ...] = ()
    platform: Platform | None = None
    activation: tuple[tuple[str, bytes], ...] = ()
    system_site: Environment | None = None
    user_site: Environment | None = None
    looked_at_from: LookedAtFrom = LookedAtFrom.OUTSIDE
    cached: int = 0
    walked: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    listed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """The digest of an environment: one a part, and *digest* over the fixed list of parts, names included.

    *parts* are (part name, digest) pairs in the fixed order; *beside* are digests shown but not part of the fingerprint.
    """

    digest: Digest
    parts: tuple[tuple[str, Digest], ...]
    beside: tuple[tuple[str, Digest], ...] = ()
