"""What a comparison found: drifts, what went unchecked, and the verdict that follows from them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sanctity.model.environment import Fingerprint, LookedAtFrom
    from sanctity.model.finding import Finding
    from sanctity.model.lock import LockFormat

__all__ = [
    "Checked",
    "Code",
    "Comparison",
    "Depth",
    "Drift",
    "Proven",
    "Reference",
    "ReferenceKind",
    "Selection",
    "Severity",
    "Unchecked",
    "Verdict",
]


class Depth(StrEnum):
    """How far a comparison looked (section 3 of the contract)."""

    VERSION = "version"
    RECORD = "record"
    ARTIFACT = "artifact"


class Verdict(StrEnum):
    """The judgement. Its exit codes are 0, 1 and 3."""

    CLEAN = "clean"
    DRIFTED = "drifted"
    UNDECIDED = "undecided"


class Severity(StrEnum):
    """How much a finding weighs; only errors and gating drifts decide the exit code."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Code(StrEnum):
    """The drift codes. A code stays once released; each has a page in ``sanctity/pages``."""

    DISTRIBUTION_MISSING = "distribution-missing"
    DISTRIBUTION_EXTRA = "distribution-extra"
    DISTRIBUTION_DUPLICATE = "distribution-duplicate"
    VERSION_MISMATCH = "version-mismatch"
    BUILD_MISMATCH = "build-mismatch"
    ORIGIN_MISMATCH = "origin-mismatch"
    INTERPRETER_MISMATCH = "interpreter-mismatch"
    INTERPRETER_CHANGED = "interpreter-changed"
    FILE_ALTERED = "file-altered"
    FILE_MISSING = "file-missing"
    DATA_ALTERED = "data-altered"
    FILE_UNCLAIMED = "file-unclaimed"
    FILE_CLOBBERED = "file-clobbered"
    RECORD_FORGED = "record-forged"
    RELEASE_MIXED = "release-mixed"
    ARTIFACT_MISMATCH = "artifact-mismatch"
    WHEEL_RENAMED = "wheel-renamed"
    RECORD_INVALID = "record-invalid"
    RECORD_MISSING = "record-missing"
    PATH_INVALID = "path-invalid"
    PTH_HOOK = "pth-hook"
    CUSTOMIZE_HOOK = "customize-hook"
    SYSTEM_SITE = "system-site"
    USER_SITE = "user-site"
    PATH_SHADOW = "path-shadow"
    BYTECODE_ORPHAN = "bytecode-orphan"
    BYTECODE_UNCHECKED = "bytecode-unchecked"
    BYTECODE_FORBIDDEN = "bytecode-forbidden"
    BYTECODE_FORGED = "bytecode-forged"
    BYTECODE_STALE = "bytecode-stale"
    BYTECODE_FOREIGN = "bytecode-foreign"
    SCRIPT_ALTERED = "script-altered"
    ACTIVATE_ALTERED = "activate-altered"
    STARTUP_VARIABLE = "startup-variable"
    STDLIB_ALTERED = "stdlib-altered"
    NATIVE_LIBRARY_CHANGED = "native-library-changed"
    CPU_CHANGED = "cpu-changed"
    ACCELERATOR_CHANGED = "accelerator-changed"
    SETTING_CHANGED = "setting-changed"
    CANARY_CHANGED = "canary-changed"
    SEAL_STALE = "seal-stale"
    WAIVER_EXPIRED = "waiver-expired"
    WAIVER_SELF_APPROVED = "waiver-self-approved"
    WAIVER_UNSIGNED = "waiver-unsigned"
    SHARED_WITH_CACHE = "shared-with-cache"
    FINGERPRINT_MISMATCH = "fingerprint-mismatch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """One named difference between a reference and an environment.

    *path* is relative to site-packages for what lies there, else to the prefix. *shared* says that the file is a hard or
    symbolic link that other environments share, so that a repair must clean the installer's cache first. *waiver* is the id of the
    waiver that lets it pass.
    """

    code: Code
    severity: Severity = Severity.ERROR
    gating: bool = True
    distribution: str = ""
    version: str = ""
    path: str = ""
    expected: str = ""
    actual: str = ""
    message: str = ""
    hint: str = ""
    shared: bool = False
    count: int = 1
    waiver: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unchecked:
    """Something that was not compared. *in_scope* makes the verdict undecided; else it is only told.

    *code* is one of ``editable-source``, ``built-here``, ``bytecode``, ``unreadable``, ``vanished``, ``changed-while-looking``,
    ``marker-unknown``, ``membership-unknown``, ``interpreter-unknown``, ``project-not-installed``, ``no-checksum``,
    ``lock-not-for-this-platform``, ``no-reference``, ``unpinned``.
    """

    code: str
    what: str
    reason: str
    count: int = 1
    in_scope: bool = False


class ReferenceKind(StrEnum):
    """What an environment is compared with."""

    LOCK = "lock"
    SEAL = "seal"
    FINGERPRINT = "fingerprint"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which groups and extras the comparison took as selected; *members* are the projects whose roots were walked.

    *environment* is the one of a lock's several whole environments (pixi's) that was compared with, empty where it has no such.
    """

    groups: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    environment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What the environment was compared with; *digest* is of the document's bytes, or a literal fingerprint."""

    kind: ReferenceKind = ReferenceKind.NONE
    format: LockFormat | None = None
    path: str = ""
    digest: str = ""
    selection: Selection = Selection()


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """How much was looked at: distributions, files, and bytes read and hashed."""

    distributions: int = 0
    files: int = 0
    bytes: int = 0
    cached: int = 0


#: The order in which drifts are told: the worst first.
_WEIGHT: Final = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.NOTE: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """What was proven at depth ``artifact``, beyond what the environment says of itself.

    *distributions* counts those whose every byte is the locked artifact's, by how its content is known (`Proof`). *bytecode* counts
    the files whose code is what their source compiles to, *remembered* those of them that were compared before; *judge* names the
    interpreter that compared the others (``cpython 3.11.7 at /usr/bin/python3.11``). *artifacts* are the wheels by which
    distributions were proven, as (normalised name, version, ``sha256:…``).
    """

    distributions: tuple[tuple[str, int], ...] = ()
    bytecode: int = 0
    remembered: int = 0
    judge: str = ""
    artifacts: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The result of a comparison; `verdict` follows section 3 of the contract.

    *policy* is the digest of the policy that decided what gates, and *profile* its profile; empty where no policy was asked.
    *proven* is given at depth ``artifact`` alone. *faults* are the errors in the lock itself, where it was linted too: an
    environment that is what a faulty lock says has not drifted, so they are no part of the verdict.
    """

    depth: Depth
    reference: Reference
    prefix: str
    looked_at_from: LookedAtFrom
    checked: Checked
    drifts: tuple[Drift, ...] = ()
    unchecked: tuple[Unchecked, ...] = ()
    fingerprint: Fingerprint | None = None
    seconds: float = 0.0
    policy: str = ""
    profile: str = ""
    proven: Proven | None = None
    faults: tuple[Finding, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """A gating drift: drifted. Else something in scope not compared: undecided. Else clean."""
        if any(drift.gating for drift in self.drifts):
            return Verdict.DRIFTED
        if any(item.in_scope for item in self.unchecked):
            return Verdict.UNDECIDED
        return Verdict.CLEAN

    def by_weight(self) -> tuple[Drift, ...]:
        """The drifts, gating and severe ones first, then by code, distribution and path."""
        order = tuple(Code)

        def weight(drift: Drift) -> tuple[bool, int, int, str, str]:
            return (not drift.gating, _WEIGHT[drift.severity], order.index(drift.code), drift.distribution, drift.path)

        return tuple(sorted(self.drifts, key=weight))
