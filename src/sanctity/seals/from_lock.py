"""What an environment must be, from its lock and the wheels alone, before anyone installs it.

The fingerprint is the one that the environment will have: distributions by the content of their wheels, hooks by the bytes that
wheels bring into site-packages, the interpreter as it is named, and no unclaimed code. What a lock can not state (the interpreter's
build and bytes, the standard library, native libraries, processor, activate scripts) is stated as unknown, all of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sanctity.canon.fingerprint import distribution_row, hook_row, part_digest, plain_text, whole
from sanctity.errors import SanctityError
from sanctity.model.seal import UNSTATED, SealedDistribution, SealedEnvironment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sanctity.model.digest import ContentDigest, Digest
    from sanctity.model.drift import Selection
    from sanctity.model.environment import Hook, Interpreter
    from sanctity.model.lock import Pin
    from sanctity.model.seal import SealedLock

__all__ = ["Part", "not_from_lock", "origin_of", "seal_from_lock"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One pin, and the wheel that it will be installed from.

    *artifact* is the SHA-256 that the lock gives of it, None for a wheel that was built from what the lock names. *rows* are the
    wheel's, *hooks* the start-up hooks in it, by their keys (``lib/x.pth``).
    """

    name: str
    version: str
    content: ContentDigest
    artifact: Digest | None = None
    origin: str = ""
    rows: tuple[tuple[str, str], ...] = ()
    hooks: tuple[Hook, ...] = ()


def not_from_lock(where: str, message: str, hint: str = "") -> SanctityError:
    """The error for what no lock, and no wheel that can be had, says."""
    return SanctityError(
        "not-from-lock",
        message,
        where=where,
        hint=hint or "install it, and seal the environment: `sanctity seal` without --from-lock",
    )


def origin_of(pin: Pin) -> str:
    """The origin of *pin* in short, as its direct_url.json will say it (PEP 610); empty for an index."""
    kind = str(pin.source.kind)
    if kind == "git":
        return f"git:{pin.source.revision}" if pin.source.revision else "vcs"
    return {"url": "archive", "file": "archive", "directory": "directory", "editable": "editable"}.get(kind, "")


def seal_from_lock(
    interpreter: Interpreter, platform: str, parts: Iterable[Part], *, selection: Selection, lock: SealedLock
) -> SealedEnvironment:
    """The environment of *parts* for *interpreter*, whose version is exact, on *platform* (``linux-x86_64-glibc``).

    Raises:
        SanctityError: ``not-from-lock``, two wheels bring one file with different bytes, so that the order decides.
    """
    parts = sorted(parts, key=lambda part: (part.name, part.version))
    _hold_apart(parts)
    lines = tuple(
        SealedDistribution(name=part.name, version=part.version, content=part.content, artifact=part.artifact, origin=part.origin)
        for part in parts
    )
    hooks = sorted({_installed(hook, interpreter) for part in parts for hook in part.hooks})
    digests = (
        ("distributions", part_digest(sorted(distribution_row(line.name, line.version, line.content) for line in lines))),
        ("interpreter", part_digest([interpreter.implementation, interpreter.version, interpreter.abi, interpreter.machine])),
        ("startup", part_digest(sorted(hook_row(hook) for hook in hooks))),
        ("unclaimed", part_digest([])),
    )
    return SealedEnvironment(
        platform=platform,
        implementation=interpreter.implementation,
        version=interpreter.version,
        abi=interpreter.abi,
        selection=selection,
        lock=lock,
        basis="artifact",
        fingerprint=whole(digests),
        parts=digests,
        distributions=lines,
        startup=tuple(hooks),
        unknown=tuple(sorted(UNSTATED)),
    )


def _installed(hook: Hook, interpreter: Interpreter) -> Hook:
    """*hook* of a wheel where a virtual environment of *interpreter* has it."""
    minor = ".".join(interpreter.version.split(".")[:2]) + ("t" if interpreter.abi.endswith("t") else "")
    folder, _, rest = hook.path.partition("/")
    place = {"lib": f"lib/python{minor}/site-packages", "scripts": "bin"}[folder]
    return hook._replace(path=plain_text(f"{place}/{rest}"), effect=plain_text(hook.effect))


def _hold_apart(parts: Iterable[Part]) -> None:
    """Refuse wheels that bring one file with different bytes: whose it will be, the order decides in which they are unpacked."""
    owners: dict[str, tuple[str, str]] = {}
    for part in parts:
        for key, value in part.rows:
            if key.startswith("headers/"):
                continue  # each distribution's lie in a folder of its own
            name, before = owners.setdefault(key, (part.name, value))
            if before != value:
                raise not_from_lock(
                    part.name, f"{name} brings {key} too, and with other bytes, so that the order decides whose it is"
                )
