"""What was learnt of wheels once is remembered: {sha256 of the wheel -> content digest}, in one file beside the stat cache.

It is this user's own or it is not believed, as the stat cache; who can write it can make a forged environment look right, as who
can write the lock can (docs/security-model.md). It only ever grows by facts, so writers that meet join what they know.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from sanctity.canon.contents import format_contents, joined, parse_contents
from sanctity.errors import DocumentError
from sanctity.model.artifact import Proof
from sanctity.store.private import alone, read_private, write_private

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sanctity.model.artifact import WheelContent

__all__ = ["ContentsMemory"]

_NAME: Final = "contents.json"
_LARGEST: Final = 1 << 27


class ContentsMemory:
    """The memory in *folder*, which need not be there; an empty one remembers nothing."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.path = f"{folder}/{_NAME}"

    def known(self) -> dict[str, WheelContent]:
        """What is remembered, by the hex of each wheel's SHA-256; empty where nothing can be believed."""
        if not self.folder:
            return {}
        try:
            data = read_private(self.folder, _NAME, _LARGEST)
            wheels = parse_contents(data, self.path, proof=Proof.REMEMBERED) if data is not None else ()
        except (OSError, DocumentError):
            return {}
        return {item.sha256.value: item for item in wheels}

    def keep(self, learnt: Iterable[WheelContent], *, path: str = "") -> Mapping[str, WheelContent]:
        """Remember what was *learnt*, beside what is known, which is given back; *path* names where it was learnt from.

        Raises:
            DocumentError: ``contents-conflict``, a wheel is remembered with another content.
            OSError: it can not be written.
        """
        if not self.folder:
            return {}
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        with alone(self.path):
            before = self.known()
            after = joined((*before.values(), *learnt), path or self.path)
            if after != before:
                write_private(self.path, format_contents(after.values(), proofs=True).encode())
            return after
