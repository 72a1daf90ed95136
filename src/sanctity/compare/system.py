"""What a package manager installed (dpkg, conda), against its own list: the environment's own word, so consistency and no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sanctity.model.drift import Code, Drift, Unchecked
from sanctity.model.environment import FileKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sanctity.compare.ownership import Ownership
    from sanctity.model.environment import Environment, SystemFile

__all__ = ["compare_system"]


def _is_code(file: SystemFile, environment: Environment) -> bool:
    """Whether *file* could be taken for code: all that conda installs may be, but links to folders beyond the reach of import."""
    if environment.manager != "conda":
        return file.path.endswith((".py", ".so", ".pth"))
    entry = environment.files.get(file.path)
    return (entry is not None and entry.kind is FileKind.FILE) or file.path.startswith(
        tuple(f"{folder}/" for folder in (environment.layout.scripts, environment.layout.stdlib, *environment.layout.site))
    )


def compare_system(environment: Environment, ownership: Ownership) -> Iterator[Drift | Unchecked]:
    """Compare every file of a package with its stated digest. Code that none is stated of leaves the verdict open."""
    who = environment.manager if environment.manager == "conda" else "the system's package manager"
    for fault in environment.manifest_faults:
        yield Drift(code=Code(fault.code), path=fault.path, message=fault.message)
    unstated: list[SystemFile] = []
    for file in environment.system:
        shown = ownership.shown(file.path)
        if not file.present:
            yield Drift(code=Code.FILE_MISSING, distribution=file.package, path=shown, message=f"{who} installed it")
        elif not file.expected:
            unstated.append(file)
        elif file.actual and file.actual != file.expected:
            winner = _winner(file, ownership)
            entry = ownership.files.get(file.path)
            yield Drift(
                code=Code.FILE_CLOBBERED if winner else Code.FILE_ALTERED,
                distribution=file.package,
                path=shown,
                expected=f"{file.algorithm}:{file.expected.hex()}",
                actual=f"{file.algorithm}:{file.actual.hex()}",
                message=f"{winner} owns the same path, and its bytes are there" if winner else f"it is not what {who} installed",
                shared=entry is not None and entry.links > 1,
            )
        elif file.fault:
            yield Drift(code=Code.SCRIPT_ALTERED, distribution=file.package, path=shown, message=file.fault)
    for in_scope in (True, False):
        found = [file for file in unstated if _is_code(file, environment) is in_scope]
        if found:
            yield Unchecked(
                code="no-checksum",
                what=ownership.shown(found[0].path),
                reason=f"{found[0].package} states no checksum of it",
                count=len(found),
                in_scope=in_scope,
            )


def _winner(file: SystemFile, ownership: Ownership) -> str:
    """Who else claims the path of *file* and states the very bytes that are there; empty where nobody does."""
    entry = ownership.files[file.path]
    owner = ownership.owners.get(file.path)
    if owner is not None and any(row.path == file.path and row.digest == entry.digest != b"" for row in owner.record or ()):
        return f"{owner.name} {owner.version}"
    others = ownership.keepers.get(file.path, ())
    return next((other.package for other in others if other.package != file.package and other.actual == other.expected), "")
