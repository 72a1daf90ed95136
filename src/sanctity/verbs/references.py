"""What an environment is compared with, and the policy that it is judged by: found, read, and never mixed up.

References are found in the contract's order: a seal, then a lock. What is judged by a seal is judged by the policy and the waivers
in it, never by those of the working tree.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sanctity.errors import DocumentError, UsageError
from sanctity.model.digest import Digest
from sanctity.model.drift import ReferenceKind
from sanctity.model.policy import Bytecode, Policy, Profile
from sanctity.verbs.world import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sanctity.model.archive import ArchivedLock, ArchivedSeal
    from sanctity.model.drift import Reference
    from sanctity.model.lock import Lock
    from sanctity.model.policy import Waiver
    from sanctity.model.seal import Seal, SealedLock
    from sanctity.seals.files import Rows
    from sanctity.store.archive import Archive
    from sanctity.verbs.world import World

__all__ = [
    "Judging",
    "References",
    "kept_lock",
    "kept_seal",
    "lines_of",
    "lock_beside",
    "locks_named",
    "read_policies",
    "read_references",
    "unsealed",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class References:
    """What to compare with: a *seal*, a *lock*, a *literal* fingerprint, or none of them; *notices* on what was passed over.

    *named* says that the user named it: then nothing else takes its place. Where a seal names a lock that is there, *locks* holds
    it by the path that the seal gives; *rows* are those kept beside the seal, by the digest that they are behind. *passed_over* is
    a seal that says nothing of this platform, and whose policy judges all the same.
    """

    seal: Seal | None = None
    lock: Lock | None = None
    literal: Digest | None = None
    notices: tuple[str, ...] = ()
    named: bool = False
    locks: tuple[tuple[str, Lock | None], ...] = ()
    rows: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    passed_over: Seal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """The policy and waivers to judge by, and their digest."""

    policy: Policy
    waivers: tuple[Waiver, ...]
    digest: Digest


def read_references(reference: str, project: str, beside: str, world: World, *, seals: bool = True) -> References:
    """What *reference* names: a seal, a lock, or a literal fingerprint; with none named, the project's own seal and lock.

    Where the project has none, the folder *beside* the environment is looked into. With a literal fingerprint the project's lock is
    read as well, since only a lock can name what differs. Without *seals* no seal is looked for.

    Raises:
        UsageError, DocumentError: it can not be read, or is no such thing.
    """
    from sanctity.observe.locks import read_lock
    from sanctity.observe.places import find_lock
    from sanctity.observe.seals import SEAL_NAME, is_seal, read_seal

    if reference.startswith("sha256:"):
        try:
            literal = Digest.parse(reference)
        except ValueError as error:
            raise UsageError("usage", str(error), where=reference, hint="a fingerprint is sha256: and 64 hex digits") from error
        found, _ = find_lock(project)
        return References(lock=_exact(read_lock(shown(found, world))) if found else None, literal=literal, named=True)
    if reference:
        named = os.path.expanduser(reference)
        path = os.path.join(world.cwd, named)
        if is_seal(path):
            seal = read_seal(path, shown=named)
            rows, told = _rows_of(path, named)
            return References(seal=seal, named=True, locks=_locks_of(seal, os.path.dirname(path), world), rows=rows, notices=told)
        return References(lock=_exact(read_lock(named)), named=True)
    folders = [folder for folder in (project, beside) if folder]
    seal_at = next((f"{folder}/{SEAL_NAME}" for folder in folders if seals and os.path.lexists(f"{folder}/{SEAL_NAME}")), "")
    path = notice = ""
    for folder in folders:
        path, more = find_lock(folder)
        notice = notice or more
        if path:
            break
    found_lock = _exact(read_lock(shown(path, world))) if path else None
    notices = (notice,) if notice and not seal_at else ()
    if not seal_at:
        return References(lock=found_lock, notices=notices)
    seal = read_seal(seal_at, shown=shown(seal_at, world))
    rows, told = _rows_of(seal_at, shown(seal_at, world))
    locks = _locks_of(seal, os.path.dirname(seal_at), world)
    return References(seal=seal, lock=found_lock, notices=(*notices, *told), locks=locks, rows=rows)


def has_rows_beside(reference: str, project: str, beside: str, world: World) -> bool:
    """Whether rows are kept beside a seal that *reference* may mean, so that those of the environment are worth keeping."""
    from sanctity.observe.seals import SEAL_NAME, has_rows

    if reference:
        return has_rows(os.path.join(world.cwd, os.path.expanduser(reference)))
    return any(has_rows(f"{folder}/{SEAL_NAME}") for folder in (project, beside) if folder)


def _rows_of(path: str, named: str) -> tuple[Rows, tuple[str, ...]]:
    """The rows beside the seal at *path*, and what to tell where they can not be believed: they only help to name files."""
    from sanctity.observe.seal_files import read_rows_beside

    rows, notice = read_rows_beside(path, shown=named)
    return rows, (notice,) if notice else ()


def _locks_of(seal: Seal, folder: str, world: World) -> tuple[tuple[str, Lock | None], ...]:
    """The locks that *seal*, in *folder*, names and that are there; None for one that can not be read any more."""
    from sanctity.observe.locks import read_lock

    found: list[tuple[str, Lock | None]] = []
    for path in sorted({sealed.lock.path for sealed in seal.environments if sealed.lock is not None}):
        whole = os.path.normpath(os.path.join(folder, path))
        if os.path.lexists(whole):
            try:
                found.append((path, read_lock(shown(whole, world))))
            except DocumentError:
                found.append((path, None))
    return tuple(found)


def _exact(lock: Lock) -> Lock:
    """*lock*, if it pins what it takes from an index: a file of loose requirements decides nothing to compare with.

    A loose row with a marker may be for other environments alone, as pipenv writes those that are not for its own; the comparison
    looks at where it holds.
    """
    from sanctity.model.lock import SourceKind

    of_index = [pin for pin in lock.pins if pin.source.kind is SourceKind.REGISTRY]
    loose = sorted({pin.name for pin in of_index if not pin.version})
    always = any(not pin.version and not pin.marker for pin in of_index) or not any(pin.version for pin in of_index)
    if (loose and always) or not lock.format.is_lock:
        some = ", ".join(loose[:4]) + (f" and {len(loose) - 4} more" if len(loose) > 4 else "")
        message = f"it gives no exact version for {some}, so it is no lock" if some else "it says what is wished for: it is no lock"
        raise DocumentError("lock-not-pinned", message, where=lock.path, hint=_lock_it(lock))
    return lock


def _lock_it(lock: Lock) -> str:
    """The command that makes a lock of what only wishes."""
    from sanctity.model.lock import LockFormat

    match lock.format:
        case LockFormat.PYPROJECT:
            return "lock it with the project's own tool: uv lock, poetry lock, pdm lock"
        case LockFormat.ENVIRONMENT_YML:
            return f"lock it: conda-lock lock -f {lock.path}"
        case _:
            return f"lock it: uv pip compile --generate-hashes {lock.path} -o requirements-lock.txt"


def lock_beside(lock: Lock, seal_folder: str, world: World) -> SealedLock:
    """*lock* as a seal in *seal_folder* names it."""
    from sanctity.model.seal import SealedLock

    path = os.path.relpath(os.path.join(world.cwd, lock.path), seal_folder).replace(os.sep, "/")
    return SealedLock(path=path, format=str(lock.format), digest=lock.digest)


def read_policies(project: str, seal: Seal | None, world: World, *, profile: str = "") -> Judging:
    """What to judge by: what *seal* carries, else what the project states. *profile* can make it stricter, and never looser.

    In the profile ``production`` a working tree states nothing that would let something pass.
    """
    from sanctity.observe.policies import read_policy, read_waivers
    from sanctity.policies.document import policy_digest

    if seal is not None:
        policy, waivers = seal.policy, seal.waivers
    else:
        place = shown(project, world)
        policy, waivers = read_policy(project, shown=place), read_waivers(project, shown=place)
    if profile == Profile.PRODUCTION or policy.profile is Profile.PRODUCTION:
        loose = seal is None and policy.bytecode is Bytecode.IGNORE
        policy = replace(policy, profile=Profile.PRODUCTION, bytecode=Bytecode.HEADER if loose else policy.bytecode)
    return Judging(policy=policy, waivers=waivers, digest=policy_digest(policy, waivers))


def unsealed(project: str, seal: Seal, world: World) -> tuple[str, ...]:
    """What to tell where the policy or the waivers of the working tree are not those in *seal*, which judge."""
    from sanctity.observe.policies import read_policy, read_waivers
    from sanctity.policies.document import policy_digest

    place = shown(project, world)
    try:
        digest = policy_digest(read_policy(project, shown=place), read_waivers(project, shown=place))
    except DocumentError as error:
        return (f"{error.code}: {error.where}: {error.message}; the sealed policy judges",)
    words = "the policy or the waivers of the working tree are not those of the seal, which judge; `sanctity seal` takes them in"
    return () if digest == seal.policy_digest else (words,)


def lines_of(reference: Reference) -> Mapping[tuple[str, str], int]:
    """The line of each distribution in the document that *reference* is, empty where it can not be read again."""
    from sanctity.lockfiles.lines import lines, seal_lines

    try:
        with open(reference.path, encoding="utf-8-sig") as file:
            text = file.read()
    except (OSError, ValueError):
        return {}
    if reference.kind is ReferenceKind.SEAL:
        return seal_lines(text)
    return lines(text, reference.format) if reference.format is not None else {}


def locks_named(reference: str, world: World) -> tuple[tuple[Lock, ...], Seal | None, str]:
    """The locks that *reference* means (a lock, a seal, or a project's folder), the seal if it is one, and the project's folder.

    They are for who makes something of wheels: a lock of conda packages is refused, and left out beside a seal, whose own lines
    say what no wheel makes.

    Raises:
        DocumentError, UsageError: it can not be read, or is neither; it locks conda packages.
    """
    from sanctity.observe.locks import read_lock
    from sanctity.observe.places import find_lock, find_project
    from sanctity.observe.seals import is_seal, read_seal

    path = os.path.join(world.cwd, os.path.expanduser(reference))
    if os.path.isdir(path):
        found, notice = find_lock(find_project(path))
        if not found:
            raise UsageError("usage", notice or "there is no lock in it", where=reference, hint="name the lock")
        path = found
    folder = os.path.dirname(os.path.abspath(path))
    if not is_seal(path):
        lock = read_lock(shown(path, world))
        if lock.format.is_of_conda:
            words = "it locks conda packages: an archive keeps wheels, and a rebuild installs them"
            hint = "make the environment by conda's or pixi's own tool, and seal that: sanctity seal"
            raise DocumentError("rebuild-unsupported", words, where=lock.path, hint=hint)
        return (lock if lock.format.is_lock else _exact(lock),), None, folder
    seal = read_seal(path, shown=shown(path, world))
    locks = []
    for each in sorted({item.lock.path for item in seal.environments if item.lock is not None}):
        whole = os.path.normpath(os.path.join(folder, each))
        if os.path.lexists(whole):
            locks.append(read_lock(shown(whole, world)))
    return tuple(lock for lock in locks if not lock.format.is_of_conda), seal, folder


def kept_lock(archive: Archive, kept: ArchivedLock, folder: str) -> Lock:
    """The lock that *archive* keeps as *kept*, unpacked into *folder*.

    Raises:
        DocumentError: it can not be read; ``archive-invalid``, it is not the lock that its manifest says it is.
        ArchiveError: it can not be had.
    """
    from sanctity.observe.locks import read_lock

    lock = read_lock(archive.unpack(kept, folder))
    _same(archive, kept, lock.digest)
    return lock


def kept_seal(archive: Archive, kept: ArchivedSeal, folder: str) -> tuple[Seal, str]:
    """The seal that *archive* keeps as *kept*, and its path: it is unpacked into *folder*. Raises as `kept_lock`."""
    from sanctity.observe.seals import read_seal

    path = archive.unpack(kept, folder)
    seal = read_seal(path, shown=kept.name or str(kept.digest))
    _same(archive, kept, seal.digest)
    return seal, path


def _same(archive: Archive, kept: ArchivedLock | ArchivedSeal, digest: Digest) -> None:
    """Refuse documents that are not those of the *digest* that a manifest states, which is only its word."""
    if digest != kept.digest:
        raise DocumentError(
            "archive-invalid",
            f"the manifest of {kept.name or kept.digest} is about {kept.digest}, and its documents are {digest}",
            where=f"{archive.place}/blobs/sha256/{kept.manifest.value}" if kept.manifest is not None else archive.place,
            hint="somebody changed the manifest: take the archive from a copy, or add the lock or seal again under another name",
        )
