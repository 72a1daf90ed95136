"""How a command that works for long says what it does, on standard error."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sanctity.cli.common import tell

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Narration", "narration"]


class Narration:
    """Steps on standard error, a line each, and what is begun: a line of its own in a pipe, the last line on a terminal."""

    def __init__(self) -> None:
        self.status: Any = None

    def narrate(self, text: str) -> None:
        """Tell a step."""
        from sanctity.report.words import plain

        if self.status is not None:
            self.status.console.print(plain(text), style="dim", markup=False, highlight=False, soft_wrap=True)
        else:
            tell(f"{plain(text)}\n")

    def doing(self, text: str) -> None:
        """Say what is being done."""
        from sanctity.report.words import plain

        if self.status is not None:
            from rich.text import Text

            self.status.update(Text(plain(text)))
        else:
            tell(f"{plain(text)} …\n")

    def on_terminal(self, text: str) -> None:
        """Say what is being done, where the line is gone again when it is done."""
        if self.status is not None:
            self.doing(text)


@contextmanager
def narration() -> Iterator[Narration]:
    """A narration that leaves no status line behind."""
    told = Narration()
    if not sys.stderr.isatty():
        yield told
        return
    from rich.console import Console

    with Console(stderr=True).status("") as status:
        told.status = status
        yield told
