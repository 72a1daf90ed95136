"""What the system's package manager installed, against its own list: MD5, so consistency and no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sanctity.model.drift import Code, Drift, Unchecked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sanctity.compare.ownership import Ownership
    from sanctity.model.environment import Environment, SystemFile

__all__ = ["compare_system"]


def _is_code(file: SystemFile) -> bool:
    return file.path.endswith((".py", ".so", ".pth"))


def compare_system(environment: Environment, ownership: Ownership) -> Iterator[Drift | Unchecked]:
    """Compare every file of a system package with its stated MD5. Code that none is stated of leaves the verdict open."""
    unstated: list[SystemFile] = []
    for file in environment.system:
        shown = ownership.shown(file.path)
        if not file.present:
            yield Drift(
                code=Code.FILE_MISSING, distribution=file.package, path=shown, message="the system's package manager installed it"
            )
        elif not file.expected:
            unstated.append(file)
        elif file.actual and file.actual != file.expected:
            yield Drift(
                code=Code.FILE_ALTERED,
                distribution=file.package,
                path=shown,
                expected=f"md5:{file.expected.hex()}",
                actual=f"md5:{file.actual.hex()}",
                message="it is not what the system's package manager installed",
            )
    for in_scope in (True, False):
        found = [file for file in unstated if _is_code(file) is in_scope]
        if found:
            yield Unchecked(
                code="no-checksum",
                what=ownership.shown(found[0].path),
                reason=f"{found[0].package} states no checksum of it",
                count=len(found),
                in_scope=in_scope,
            )
