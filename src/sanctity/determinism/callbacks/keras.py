"""For Keras: the streams are kept in a file at the end of each epoch, and put back where a fit begins past its first one.

``fit(callbacks=[BackupAndRestore(folder), Determinism(f"{folder}/streams.json")])``: that one keeps the model, this one the rest.
"""

from __future__ import annotations

import contextlib
import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from sanctity.determinism.callbacks.resuming import Resuming

if TYPE_CHECKING:
    from sanctity.determinism.receipt import Receipt

__all__ = ["Determinism"]

_keras: Any = import_module("keras")


class Determinism(_keras.callbacks.Callback):  # type: ignore[misc] # it is not here when types are checked
    """Keeps the streams in the file *path*, and removes it when training ends, unless it is to *keep* it."""

    def __init__(self, path: str | os.PathLike[str], *, strict: bool = True, keep: bool = False) -> None:
        super().__init__()
        self._resuming = Resuming("Keras", strict=strict)
        self._path, self._keep, self._first = os.fspath(path), keep, True

    @property
    def receipt(self) -> Receipt:
        """The receipt of the call, which this callback makes where the program has not."""
        return self._resuming.receipt

    def on_train_begin(self, _: Any = None) -> None:  # noqa: D102
        self._first = True

    def on_epoch_begin(self, epoch: int, _: Any = None) -> None:
        """By now every other callback has restored what it restores, and nothing was drawn for the epoch."""
        if self._first and epoch:
            self._resuming.load(self._path, int(self.model.optimizer.iterations))
        elif self._first:
            self._resuming.hold()
        self._first = False

    def on_epoch_end(self, *_: Any) -> None:  # noqa: D102
        os.makedirs(os.path.dirname(os.path.abspath(self._path)), exist_ok=True)
        self._resuming.save(self._path, int(self.model.optimizer.iterations))

    def on_train_end(self, *_: Any) -> None:  # noqa: D102
        with contextlib.suppress(FileNotFoundError):
            if not self._keep:
                os.unlink(self._path)
