"""For Lightning: the streams are part of its checkpoint, and are put back when it resumes.

``Trainer(callbacks=[Determinism()])``; docs/callbacks.md says from which checkpoints a run goes on bit for bit.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from sanctity.determinism.callbacks.resuming import Resuming
from sanctity.errors import SanctityError

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

    @property
    def receipt(self) -> Receipt:
        """The receipt of the call, which this callback makes where the program has not."""
        return self._resuming.receipt

    def state_dict(self) -> dict[str, Any]:
        """The state of the streams, one a rank: every rank comes here, and the first one writes."""
        mine, distributed = self._resuming.text(), sys.modules.get("torch.distributed")
        if distributed is None or not distributed.is_available() or not distributed.is_initialized():
            return {"streams": [mine]}
        found: list[Any] = [None] * distributed.get_world_size()
        distributed.all_gather_object(found, mine)
        return {"streams": found}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep what the checkpoint has until the fit begins."""
        self._found = state_dict["streams"]

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:  # noqa: ARG002 - Lightning calls it so
        """Go on from the checkpoint, before the first iterator draws; else hold what the call has set."""
        if trainer.ckpt_path is None:
            self._resuming.hold()
            return
        found, self._found = self._found, None
        if found is not None and len(found) != trainer.world_size:
            words = f"the checkpoint has the streams of {len(found)} ranks, and there are {trainer.world_size}"
            raise SanctityError("resume-without-state", words, where=str(trainer.ckpt_path), hint="resume with as many ranks")
        self._resuming.resume(None if found is None else found[trainer.global_rank], str(trainer.ckpt_path))
