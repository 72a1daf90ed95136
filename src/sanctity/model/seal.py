"""What an environment must be: the seal, ``env.seal.json``, as one frozen value. Its document is specified in docs/seal.md."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sanctity.model.drift import Selection
from sanctity.model.platform import Accelerator, Blas, Build, Cpu, NativeLibrary
from sanctity.model.policy import Policy, Waiver

if TYPE_CHECKING:
    from sanctity.model.digest import ContentDigest, Digest
    from sanctity.model.environment import Hook

__all__ = [
    "SEAL_SCHEMA",
    "UNSTATED",
    "Canary",
    "Seal",
    "SealedDistribution",
    "SealedEnvironment",
    "SealedLock",
]

SEAL_SCHEMA: Final = "sanctity.seal/1"

#: What no lock can state of an environment; a seal that was made from a lock alone says so of all of it.
UNSTATED: Final = frozenset({"accelerators", "activation", "build", "cpu", "native", "settings", "stdlib"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedDistribution:
    """One distribution. *name* is normalised; *content* is None for an editable, whose source git governs.

    *stated* is the content by its RECORD's own word, given only where that was another when it was sealed (``--accept``).
    *artifact* is the locked artifact's SHA-256 where just one can be meant; *origin* what direct_url.json said, in short
    (``git:COMMIT``, ``archive``, ``directory``, ``editable``), empty for an index. *files* is given for a package of the system
    alone (``system:python3-six``): the digest over its files.
    """

    name: str
    version: str
    content: ContentDigest | None = None
    stated: ContentDigest | None = None
    artifact: Digest | None = None
    origin: str = ""
    files: Digest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedLock:
    """The lock that an environment was sealed under: its *path* relative to the seal's folder, *format* and *digest*."""

    path: str
    format: str
    digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedEnvironment:
    """An environment for one *platform* (``linux-x86_64-glibc``) and Python (*implementation*, *version* exact, *abi*).

    *basis* is how far the sealer looked (``record``, or ``artifact`` where wheels were read); *accepted* are the drifts it was told
    to accept, as short texts. *startup* and *unclaimed* are what a comparison would otherwise gate on; *activation* are the
    activate scripts, with the prefix written ``${prefix}``, as (path, raw digest). *stdlib* are (files, digest) of its sources and
    of what the build made.
    """

    platform: str
    implementation: str
    version: str
    abi: str
    selection: Selection = field(default_factory=Selection)
    lock: SealedLock | None = None
    basis: str = "record"
    accepted: tuple[str, ...] = ()
    fingerprint: Digest
    parts: tuple[tuple[str, Digest], ...]
    distributions: tuple[SealedDistribution, ...]
    startup: tuple[Hook, ...] = ()
    unclaimed: tuple[tuple[str, bytes], ...] = ()
    activation: tuple[tuple[str, bytes], ...] = ()
    build: Build = field(default_factory=Build)
    stdlib_sources: tuple[int, Digest] | None = None
    stdlib_built: tuple[int, Digest] | None = None
    libc: str = ""
    libraries: tuple[NativeLibrary, ...] = ()
    cpu: Cpu = field(default_factory=Cpu)
    blas: tuple[Blas, ...] = ()
    accelerators: tuple[Accelerator, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def python(self) -> str:
        """The key of its Python: ``cpython-3.11``."""
        return f"{self.implementation}-{'.'.join(self.version.split('.')[:2])}"

    @property
    def from_lock(self) -> bool:
        """Whether it says that it was made from a lock and wheels alone: nothing that no lock states is stated, and all is unknown.

        A seal of an environment that lost its line of the standard library is no such seal.
        """
        return (
            self.basis == "artifact"
            and self.lock is not None
            and set(self.unknown) == UNSTATED
            and self.build == Build()
            and self.cpu == Cpu()
            and not (self.stdlib_sources or self.stdlib_built or self.libc or self.accepted or self.unclaimed)
            and not (self.libraries or self.blas or self.accelerators or self.settings or self.activation)
        )

    def names(self) -> frozenset[str]:
        """The normalised names of its distributions."""
        return frozenset(item.name for item in self.distributions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """A program that is run before the real one: the same bytes can behave otherwise on another processor.

    *command* is started inside the environment, in the seal's folder; *inputs* are (path relative to that folder, digest) of what
    it reads; *output* is the digest of what it writes to standard output; *timeout* in seconds.
    """

    command: tuple[str, ...]
    inputs: tuple[tuple[str, Digest], ...] = ()
    output: Digest
    timeout: int = 60

    @staticmethod
    def is_below(path: str) -> bool:
        """Whether *path* is one that an input may have: it stays below the seal's folder."""
        return "\0" not in path and "\\" not in path and not {"", ".", ".."} & set(path.split("/"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """A seal: *path* as the user named it, *digest* of its canonical bytes, and what it says."""

    path: str
    digest: Digest
    environments: tuple[SealedEnvironment, ...]
    policy: Policy = field(default_factory=Policy)
    policy_digest: Digest
    waivers: tuple[Waiver, ...] = ()
    canary: Canary | None = None
