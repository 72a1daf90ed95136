"""The fingerprint of an environment: one digest a part, and one over a fixed list of parts, names included.

It holds no clock, host, user or absolute path. Seeds (pip, setuptools and wheel that no lock names) are a part beside it, and an
editable counts by its name alone, since git governs its source.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final

from sanctity.model.digest import Digest
from sanctity.model.environment import Fingerprint
from sanctity.model.wire import canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from collections.abc import Set as AbstractSet

    from sanctity.model.digest import ContentDigest
    from sanctity.model.environment import Environment, Hook

__all__ = [
    "PARTS",
    "based",
    "distribution_row",
    "fingerprint",
    "hook_row",
    "part_digest",
    "plain_text",
    "sealed_hook",
    "startup_hooks",
    "system_rows",
    "unversioned",
    "whole",
]

#: The parts that the fingerprint is over, in its order; a change of this list is a new schema name.
PARTS: Final = ("distributions", "interpreter", "startup", "unclaimed")
_SCHEMA: Final = "sanctity.fingerprint/1"


def part_digest(value: object) -> Digest:
    """The digest over a part's rows, in their canonical form."""
    return Digest("sha256", hashlib.sha256(canonical(value)).hexdigest())


def whole(parts: Iterable[tuple[str, Digest]]) -> Digest:
    """The digest over all *parts*, names included."""
    return part_digest([_SCHEMA, [[name, str(digest)] for name, digest in parts]])


def plain_text(value: str) -> str:
    """*value* with undecodable bytes written out, so that it has a canonical form."""
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def based(path: str, base: str) -> str:
    """*path* without the place where the base interpreter happens to be: a ``._pth`` may lie beside that one."""
    return f"${{base}}/{path[len(base) + 1 :]}" if base and path.startswith(f"{base}/") else path


def unversioned(text: str, version: str) -> str:
    """*text* that setuptools writes for an editable, in a file's name or in it, without the *version*, which is its source's."""
    mangled = re.sub(r"\W", "_", version)
    return text.replace(f"-{version}.", "-${version}.").replace(f"_{mangled}_finder", "_${version}_finder")


def sealed_hook(hook: Hook, environment: Environment) -> Hook:
    """*hook* of *environment* as it is sealed, wherever the base interpreter lies and whatever version an editable has."""
    path = hook.path
    folder, slash, name = path.rpartition("/")
    if name.startswith("__editable__"):
        owner = next((item for item in environment.distributions if any(row.path == path for row in item.record or ())), None)
        path = folder + slash + (unversioned(name, owner.version) if owner else name)
    return hook._replace(path=plain_text(based(path, environment.interpreter.base)), effect=plain_text(hook.effect))


def distribution_row(name: str, version: str, content: ContentDigest | None, files: Digest | None = None) -> list[str]:
    """The row of one distribution: by its content, by the digest over *files* of a system's package, else by name alone."""
    if files is not None:
        return [name, str(files)]
    return [name, version, str(content)] if content is not None else [name, "editable"]


def hook_row(hook: Hook) -> list[str]:
    """The row of one start-up hook, as it is sealed."""
    return [str(hook.kind), hook.path, f"sha256:{hook.digest.hex()}"]


def startup_hooks(environment: Environment, seeds: AbstractSet[str]) -> tuple[Hook, ...]:
    """The start-up hooks that count: all but those that a seed claims, since these belong to the seed."""
    seeded = {row.path for item in environment.distributions if item.key in seeds for row in item.record or ()}
    return tuple(hook for hook in environment.hooks if hook.path not in seeded)


def system_rows(environment: Environment) -> Iterator[tuple[str, Digest]]:
    """Each package of the system that brings files, as ``system:PACKAGE``, and the digest over them."""
    packages: dict[str, list[list[str]]] = {}
    digests = {entry.path: entry.digest for entry in environment.files.values()} if environment.system else {}
    for file in environment.system:
        packages.setdefault(file.package, []).append([plain_text(file.path), (file.content or digests.get(file.path, b"")).hex()])
    for package, files in packages.items():
        yield f"system:{package}", part_digest(sorted(files))


def fingerprint(
    environment: Environment, *, seeds: AbstractSet[str], unclaimed: tuple[tuple[str, bytes], ...]
) -> Fingerprint | None:
    """The fingerprint of *environment*, or None where a part of it could not be read.

    What the system's package manager installed counts by its package. *seeds* are the normalised names left out; *unclaimed* are
    (path, raw digest) of code that no RECORD claims. A hook that a seed claims belongs to the seed.
    """
    lines: list[list[str]] = []
    seeded: list[list[str]] = []
    for item in environment.distributions:
        if item.key in seeds:
            seeded.append([item.key, item.version, str(item.content)])
        elif item.origin is not None and item.origin.editable:
            lines.append(distribution_row(item.key, item.version, None))
        elif item.keeper:
            continue  # its files are the package's, below
        elif item.content is None:
            return None
        else:
            lines.append(distribution_row(item.key, item.version, item.content))
    lines.extend(distribution_row(name, "", None, files) for name, files in system_rows(environment))
    interpreter = environment.interpreter
    if not interpreter.version:
        return None
    startup = [hook_row(sealed_hook(hook, environment)) for hook in startup_hooks(environment, seeds)]
    parts = (
        ("distributions", part_digest(sorted(lines))),
        ("interpreter", part_digest([interpreter.implementation, interpreter.version, interpreter.abi, interpreter.machine])),
        ("startup", part_digest(sorted(startup))),
        ("unclaimed", part_digest(sorted([plain_text(path), f"sha256:{digest.hex()}"] for path, digest in unclaimed))),
    )
    return Fingerprint(digest=whole(parts), parts=parts, beside=(("seeds", part_digest(sorted(seeded))),))
