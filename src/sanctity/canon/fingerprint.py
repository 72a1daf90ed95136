"""The fingerprint of an environment: one digest a part, and one over a fixed list of parts, names included.

It holds no clock, host, user or absolute path. Seeds (pip, setuptools and wheel that no lock names) are a part beside it, and an
editable counts by its name alone, since git governs its source.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from sanctity.model.digest import Digest
from sanctity.model.environment import Fingerprint
from sanctity.model.wire import canonical

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from sanctity.model.environment import Environment

__all__ = ["PARTS", "fingerprint"]

#: The parts that the fingerprint is over, in its order; a change of this list is a new schema name.
PARTS: Final = ("distributions", "interpreter", "startup", "unclaimed")
_SCHEMA: Final = "sanctity.fingerprint/1"


def _digest(value: object) -> Digest:
    return Digest("sha256", hashlib.sha256(canonical(value)).hexdigest())


def _text(value: str) -> str:
    """*value* with undecodable bytes written out, so that it has a canonical form."""
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _relative(path: str, base: str) -> str:
    """*path* without the place where the base interpreter happens to be: a ``._pth`` may lie beside that one."""
    return f"${{base}}/{path[len(base) + 1 :]}" if base and path.startswith(f"{base}/") else path


def fingerprint(
    environment: Environment, *, seeds: AbstractSet[str], unclaimed: tuple[tuple[str, bytes], ...]
) -> Fingerprint | None:
    """The fingerprint of *environment*, or None where a part of it could not be read.

    What the system's package manager installed counts by its package. *seeds* are the normalised names left out; *unclaimed* are
    (path, raw digest) of code that no RECORD claims. A hook that a seed claims belongs to the seed.
    """
    lines: list[list[str]] = []
    seeded: list[list[str]] = []
    seed_paths: set[str] = set()
    for item in environment.distributions:
        if item.key in seeds:
            seeded.append([item.key, item.version, str(item.content)])
            seed_paths.update(row.path for row in item.record or ())
        elif item.origin is not None and item.origin.editable:
            lines.append([item.key, "editable"])
        elif item.keeper:
            continue  # its files are the package's, below
        elif item.content is None:
            return None
        else:
            lines.append([item.key, item.version, str(item.content)])
    packages: dict[str, list[list[str]]] = {}
    digests = {entry.path: entry.digest for entry in environment.files.values()} if environment.system else {}
    for file in environment.system:
        packages.setdefault(file.package, []).append([_text(file.path), digests.get(file.path, b"").hex()])
    lines.extend([f"system:{package}", str(_digest(sorted(files)))] for package, files in packages.items())
    interpreter = environment.interpreter
    if not interpreter.version:
        return None
    startup = [
        [str(hook.kind), _text(_relative(hook.path, interpreter.base)), f"sha256:{hook.digest.hex()}"]
        for hook in environment.hooks
        if hook.path not in seed_paths
    ]
    parts = (
        ("distributions", _digest(sorted(lines))),
        ("interpreter", _digest([interpreter.implementation, interpreter.version, interpreter.abi, interpreter.machine])),
        ("startup", _digest(sorted(startup))),
        ("unclaimed", _digest(sorted([_text(path), f"sha256:{digest.hex()}"] for path, digest in unclaimed))),
    )
    whole = _digest([_SCHEMA, [[name, str(digest)] for name, digest in parts]])
    return Fingerprint(digest=whole, parts=parts, beside=(("seeds", _digest(sorted(seeded))),))
