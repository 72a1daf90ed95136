"""For Lightning: the streams are part of its checkpoint, and are put back when it resumes.

``Trainer(callbacks=[Determinism()])``; docs/callbacks.md says from which checkpoints a run goes on bit for bit.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from sanctity.determinism.callbacks.resuming import Resuming, gathered
from sanctity.determinism.state import preserved

if TYPE_CHECKING:
    from sanctity.determinism.receipt import Receipt

__all__ = ["Determinism"]

# The package has two names; a trainer takes the callbacks of its own.
_lightning: Any = sys.modules.get("lightning.pytorch") or sys.modules.get("pytorch_lightning") or import_module("lightning.pytorch")


class Determinism(_lightning.Callback):  # type: ignore[misc] # it is not here when types are checked
    """Keeps the streams of every rank in the checkpoint. Without *strict*, one without them is told and not refused."""

    def __init__(self, *, strict: bool = True) -> None:
        self._resuming = Resuming("Lightning", strict=strict)
        self._found: list[str] | None = None
        self._sanity = preserved()

    @property
    def receipt(self) -> Receipt:
        """The receipt of the call, which this callback makes where the program has not."""
        return self._resuming.receipt

    def state_dict(self) -> dict[str, Any]:
        """The state of the streams, one a rank: every rank comes here, and the first one writes."""
        return {"streams": gathered(self._resuming.text())}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep what the checkpoint has until the fit begins."""
        self._found = state_dict["streams"]

    def on_fit_start(self, trainer: Any, _: Any) -> None:
        """Go on from the checkpoint, before the first iterator draws; else hold what the call has set."""
        found, self._found = self._found, None
        if trainer.ckpt_path is None:
            self._resuming.hold()
        else:
            self._resuming.resume_rank(found, trainer.global_rank, trainer.world_size, str(trainer.ckpt_path))

    def on_sanity_check_start(self, *_: Any) -> None:  # noqa: D102
        self._sanity.__enter__()  # Lightning isolates the shared streams from it, and no other

    def on_sanity_check_end(self, *_: Any) -> None:  # noqa: D102
        self._sanity.__exit__(None, None, None)
