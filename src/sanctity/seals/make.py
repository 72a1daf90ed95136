"""What a look at an environment becomes in a seal: the same look gives the same text, whenever and wherever it is taken.

No clock, user, host or absolute path goes in. What was compared with a lock before is sealed with that lock's digest; drifts that
the sealer was told to accept are named in it, so that whoever reviews it sees them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sanctity.canon.fingerprint import plain_text, sealed_hook, startup_hooks, system_rows
from sanctity.compare.files import unclaimed_code
from sanctity.compare.ownership import own
from sanctity.compare.seal import origin_in_short, platform_of, stdlib_digests
from sanctity.model.digest import Digest
from sanctity.model.drift import Selection
from sanctity.model.lock import Ecosystem
from sanctity.model.names import version_key
from sanctity.model.platform import Platform
from sanctity.model.seal import SealedDistribution, SealedEnvironment

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet

    from sanctity.model.drift import Comparison, Drift
    from sanctity.model.environment import Distribution, Environment, Fingerprint
    from sanctity.model.lock import Lock
    from sanctity.model.seal import Seal, SealedLock

__all__ = ["merged", "seal_environment"]

#: Everything of a platform that may be unknown.
_PARTS: Final = ("build", "stdlib", "native", "cpu", "accelerators")


def seal_environment(
    environment: Environment,
    fingerprint: Fingerprint,
    *,
    seeds: AbstractSet[str],
    comparison: Comparison | None = None,
    lock: Lock | None = None,
    sealed_lock: SealedLock | None = None,
) -> SealedEnvironment:
    """What *environment* must be from now on, which has this *fingerprint* with *seeds* left out.

    *comparison* is what it was compared to before, with the *lock* whose artifacts are named: the one that was proven, at depth
    ``artifact``, else where just one can be meant.
    """
    platform = environment.platform or Platform(unknown=tuple((part, "nobody looked") for part in _PARTS))
    unknown = {part for part, _ in platform.unknown}
    interpreter = environment.interpreter
    sources, built = stdlib_digests(platform)
    hooks = sorted(sealed_hook(hook, environment) for hook in startup_hooks(environment, seeds))
    proven = comparison.proven if comparison is not None else None
    artifacts = {
        (name, version): Digest.parse(digest) for name, version, digest in (proven.artifacts if proven is not None else ())
    }
    lines = [
        _line(item, lock, artifacts.get((item.key, item.version)))
        for item in environment.distributions
        if item.key not in seeds and not item.keeper
    ]
    lines += [SealedDistribution(name=name, version="", files=files) for name, files in system_rows(environment)]
    return SealedEnvironment(
        platform=platform_of(environment),
        implementation=interpreter.implementation,
        version=interpreter.version,
        abi=interpreter.abi,
        selection=comparison.reference.selection if comparison is not None else Selection(),
        lock=sealed_lock,
        basis="artifact" if proven is not None else "record",
        accepted=_accepted(comparison),
        fingerprint=fingerprint.digest,
        parts=fingerprint.parts,
        distributions=tuple(sorted(lines, key=lambda line: (line.name, line.version))),
        startup=tuple(hooks),
        unclaimed=tuple(sorted((plain_text(path), digest) for path, digest in unclaimed_code(environment, own(environment)))),
        activation=environment.activation,
        build=platform.build,
        stdlib_sources=None if "stdlib" in unknown else sources,
        stdlib_built=None if "stdlib" in unknown else built,
        libc=platform.libc,
        libraries=tuple(sorted(item._replace(path="", needed_by="") for item in platform.libraries)),
        cpu=platform.cpu,
        blas=platform.blas,
        accelerators=platform.accelerators,
        settings=platform.settings,
        unknown=tuple(sorted(unknown)),
    )


def _accepted(comparison: Comparison | None) -> tuple[str, ...]:
    """The drifts of *comparison* that gate or that a waiver lets pass, as texts that stay the same for the same drift."""
    told = [drift for drift in comparison.drifts if drift.gating or drift.waiver] if comparison is not None else []

    def words(drift: Drift) -> str:
        waived = f"(waived by {drift.waiver})" if drift.waiver else ""
        return plain_text(" ".join(filter(None, (drift.code, drift.distribution, drift.version, drift.path, waived))))

    return tuple(sorted({words(drift) for drift in told}))


def _line(item: Distribution, lock: Lock | None, artifact: Digest | None) -> SealedDistribution:
    editable = item.origin is not None and item.origin.editable
    return SealedDistribution(
        name=item.key,
        version="" if editable else item.version,
        content=None if editable else item.content,
        stated=item.stated if not editable and item.stated != item.content else None,
        artifact=artifact or _artifact(item, lock),
        origin=origin_in_short(item.origin),
    )


def _artifact(item: Distribution, lock: Lock | None) -> Digest | None:
    """The SHA-256 of the one artifact of *lock* that *item* can have come from."""
    if lock is None or item.built_here or item.origin is not None:
        return None
    named = [pin for pin in lock.pins if pin.name == item.key and pin.ecosystem is Ecosystem.PYPI]
    pins = [pin for pin in named if version_key(pin.version) == version_key(item.version)]
    if len(pins) != 1:
        return None
    artifacts = pins[0].artifacts
    wheels = [artifact for artifact in artifacts if artifact.filename.endswith(".whl")]
    meant = wheels if len(wheels) == 1 else artifacts if len(artifacts) == 1 else ()
    return next((digest for artifact in meant for digest in artifact.digests if digest.algorithm == "sha256"), None)


def merged(before: Seal | None, made: SealedEnvironment) -> tuple[SealedEnvironment, ...]:
    """The environments of the seal that was there *before*, with *made* in the place of the one of its platform and Python."""
    others: Iterable[SealedEnvironment] = before.environments if before is not None else ()
    return (*(each for each in others if (each.platform, each.python) != (made.platform, made.python)), made)
