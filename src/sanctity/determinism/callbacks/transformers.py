"""For Hugging Face's Trainer: it seeds all streams itself when it is made; this callback puts them back, then and when it resumes.

``Trainer(callbacks=[Determinism()])``, so that the callback is made first; docs/callbacks.md says what can not be made whole.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sanctity.determinism.callbacks.resuming import Resuming

if TYPE_CHECKING:
    from sanctity.determinism.receipt import Receipt

__all__ = ["Determinism"]

_transformers: Any = import_module("transformers")


class Determinism(_transformers.TrainerCallback):  # type: ignore[misc] # it is not here when types are checked
    """Keeps the streams beside each checkpoint. *resume_from* is the folder resumed from, where ``output_dir`` does not hold it."""

    def __init__(self, *, strict: bool = True, resume_from: str = "") -> None:
        self._resuming = Resuming("Trainer", strict=strict)
        self._from = resume_from
        self._first = False

    @property
    def receipt(self) -> Receipt:
        """The receipt of the call, which this callback makes where the program has not."""
        return self._resuming.receipt

    def on_init_end(self, *_: Any, **__: Any) -> None:  # noqa: D102
        self._resuming.hold()

    def on_train_begin(self, _: Any, state: Any, *__: Any, **___: Any) -> None:  # noqa: D102
        self._resuming.hold()  # with model_init it has seeded again
        self._first = state.global_step > 0

    def on_epoch_begin(self, args: Any, state: Any, *_: Any, **__: Any) -> None:  # noqa: D102
        if self._first:
            stated = args.resume_from_checkpoint if isinstance(args.resume_from_checkpoint, str) else ""
            self._resuming.load(*_place(args, state, self._from or stated))

    def on_step_begin(self, args: Any, state: Any, *_: Any, **__: Any) -> None:  # noqa: D102
        if self._first and state.epoch != int(state.epoch):
            self.on_epoch_begin(args, state)  # the batches that are skipped have drawn, and they had drawn before
        self._first = False

    def on_save(self, args: Any, state: Any, *_: Any, **__: Any) -> None:  # noqa: D102
        self._resuming.save(*_place(args, state, ""))


def _place(args: Any, state: Any, folder: str) -> tuple[str, list[Any]]:
    """The file of this process in the checkpoint's *folder*, and what tells that checkpoint from others."""
    folder = folder or f"{args.output_dir}/checkpoint-{state.global_step}"
    return f"{folder}/sanctity-streams-{args.process_index}.json", [state.global_step, state.log_history]
