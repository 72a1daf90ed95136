"""Keeping the metrics file of `check`, `verify` and `watch`, whatever a look came to.

The file is written to a temporary name beside it and renamed, as node_exporter's textfile collector asks for. That it can not be
written is told on standard error, and never changes the exit code: that is the verdict's.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import sanctity
from sanctity.cli.common import paint, target_of, tell, write
from sanctity.errors import SanctityError

if TYPE_CHECKING:
    from sanctity.model.drift import Comparison
    from sanctity.report.metrics import Kept

__all__ = ["Metrics"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """Where to keep metrics: *file*, empty for nowhere, and the folder of *receipts* that is counted in it.

    The rest is what the command line named, for a look that fails early.
    """

    file: str
    receipts: str = ""
    env: str = ""
    python: str = ""
    root: str = ""
    project: str = "."
    reference: str = ""
    #: The faults of receipts that were told already: a watch would tell them at every look.
    told: set[str] = field(default_factory=set)

    def judged(self, comparison: Comparison, *, reference_changed: bool | None = None) -> None:
        """Keep what *comparison* says."""
        if not self.file:
            return
        from sanctity.report.metrics import metrics_text

        prefix = comparison.prefix if self.root else os.path.abspath(comparison.prefix)
        kept, version = self._kept(), sanctity.__version__
        text = metrics_text(
            comparison, prefix=prefix, now=time.time(), version=version, reference_changed=reference_changed, kept=kept
        )
        self._write(text)

    def failed(self, error: SanctityError) -> None:
        """Keep that a look failed with *error*."""
        if not self.file:
            return
        from sanctity.report.metrics import failure_metrics

        kept, version = self._kept(), sanctity.__version__
        self._write(failure_metrics(error.code, prefix=self._prefix(), now=time.time(), version=version, kept=kept))

    def _kept(self) -> Kept | None:
        """What the receipts say by now. That they can not be read is told, in the file too, and changes no exit code."""
        if not self.receipts:
            return None
        from sanctity.determinism.files import receipts
        from sanctity.report.metrics import Kept

        try:
            found = receipts(os.path.expanduser(self.receipts))
        except SanctityError as error:
            if error.code not in self.told:
                self.told.add(error.code)
                self._say(error)
            return Kept(failure=error.code)
        ended = sum(process.ended for process in found.processes)
        states = (("ended", ended), ("running", len(found.processes) - ended), ("unread", len(found.unread)))
        relaxed = tuple((control, waiver, count) for control, waiver, count, _ in found.relaxations)
        return Kept(states=states, relaxations=relaxed)

    def _write(self, text: str) -> None:
        try:
            write(text, self.file)
        except SanctityError as error:
            self._say(error)

    @staticmethod
    def _say(error: SanctityError) -> None:
        from sanctity.report.text import error_text

        tell(error_text(error, paint(sys.stderr)))

    def _prefix(self) -> str:
        """The environment that was meant: where it is, or else what was named, or else the project's folder."""
        from sanctity.verbs.world import World, locate, meant

        with contextlib.suppress(SanctityError, OSError):
            target = target_of(self.project, self.env, self.python, self.root)
            world = World(cwd=os.getcwd(), environ=os.environ, clock=time.monotonic)
            with contextlib.suppress(SanctityError):
                target = meant(target, self.reference, world)[0]
            place = locate(target, world)[1]
            return place.shown if self.root else os.path.abspath(place.prefix)
        named = self.env or self.python or self.project
        with contextlib.suppress(OSError):  # the working folder may be gone
            return f"{os.path.abspath(self.root)}:{named}" if self.root else os.path.abspath(named)
        return named
