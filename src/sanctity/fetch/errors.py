"""What can go wrong with fetching."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sanctity.errors import SanctityError

if TYPE_CHECKING:
    from sanctity.model.digest import Digest

__all__ = ["FetchError"]


class FetchError(SanctityError):
    """An artifact can not be had; *actual* is the digest of what lies in its place, where the code is ``artifact-mismatch``."""

    def __init__(self, code: str, message: str, *, where: str = "", hint: str = "", actual: Digest | None = None) -> None:
        super().__init__(code, message, where=where, hint=hint)
        self.actual = actual
