"""What the callbacks share: streams that somebody else seeds go on where they were, and a resumed run goes on where it stopped.

A trainer that seeds streams itself does so in the middle of a run, so that what was drawn before is drawn again. `Resuming.hold`
finds that out by reading back, applies again what the call did, and puts each stream back to where it was last seen. What it did is
in the receipt under ``recorded``, and on one line of standard error unless the call was a quiet one.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from sanctity.determinism.setting import current, set_global_determinism
from sanctity.determinism.state import State, capture_state, restore_state
from sanctity.errors import DocumentError, SanctityError

if TYPE_CHECKING:
    from sanctity.determinism.receipt import Receipt

__all__ = ["Resuming", "gathered"]


class Resuming:
    """The streams of this process under a *trainer*, which is named for people.

    Without *strict*, a run that is resumed from a checkpoint without a state goes on, and that is told.
    """

    def __init__(self, trainer: str, *, strict: bool = True) -> None:
        self.trainer = trainer
        self.strict = strict
        if current() is None:
            set_global_determinism()
        #: Where the streams were when they were last seen as the call left them; None where they never were.
        self.seen: str | None = None if self._overwritten() else self.text()

    @property
    def receipt(self) -> Receipt:
        """The receipt of the call."""
        setting = current()
        assert setting is not None, "nothing takes a setting away"
        return setting.receipt

    def _overwritten(self) -> tuple[str, ...]:
        return tuple(row.control for row in self.receipt.recheck().rows if row.status == "overwritten")

    def text(self) -> str:
        """The state of all streams, for a checkpoint."""
        return capture_state().to_bytes().decode()

    def hold(self) -> tuple[str, ...]:
        """Apply again what somebody else has set since the streams were last seen; the names of those controls."""
        controls = self._overwritten()
        if controls:
            setting = current()
            assert setting is not None, "it has a receipt"
            setting.apply()
            if self.seen is not None:
                children = setting.children
                restore_state(State.from_bytes(self.seen.encode(), where="what was last seen"))
                setting.children = max(children, setting.children)  # the numbers of those that were started are taken
            where = "go on where they were" if self.seen is not None else "begin anew"
            self._tell("re-applied", f"{', '.join(controls)}: set anew by {self.trainer} or before it; they {where}")
        self.seen = self.text()
        return controls

    def resume(self, text: str | None, where: str) -> None:
        """Put the streams back to the state *text* that was found at *where*; None where none was.

        Raises:
            sanctity.errors.SanctityError: ``resume-without-state``, under *strict*; as `restore`, for a state that does not fit.
        """
        if text is None:
            if self.strict:
                raise SanctityError(
                    "resume-without-state",
                    f"{self.trainer} resumes, and there is no state of the streams to go on from",
                    where=where,
                    hint="resume from a checkpoint that this callback was there for, or give it strict=False",
                )
            self._tell("resumed", "without a state of the streams, which begin anew: the run is not the straight one")
            self.hold()
            return
        setting = current()
        if setting is not None and self._overwritten():
            setting.apply()
        restore_state(State.from_bytes(text.encode(), where=where))
        self.seen = self.text()
        self._tell("resumed", "each stream goes on where the checkpoint left it", quiet=True)

    def resume_rank(self, texts: list[str] | None, rank: int, ranks: int, where: str) -> None:
        """Resume as *rank* of *ranks* from the states that all of them had, ``texts``. Raises as `resume`."""
        if texts is not None and len(texts) != ranks:
            words = f"the checkpoint has the streams of {len(texts)} ranks, and there are {ranks}"
            raise SanctityError("resume-without-state", words, where=where, hint="resume with as many ranks as wrote it")
        self.resume(None if texts is None else texts[rank], where)

    def save(self, path: str, step: object) -> None:
        """Write the state of all streams to *path*, by way of a temporary name, as that of *step*, which JSON can hold.

        Raises:
            sanctity.errors.SanctityError: ``receipt-unwritable``.
        """
        from sanctity.determinism.setting import _write

        _write(path, json.dumps({"step": step, "streams": self.text()}))

    def load(self, path: str, step: object) -> None:
        """Resume from what `save` wrote to *path* for the same *step*.

        Raises:
            sanctity.errors.SanctityError: ``state-of-another-step``; as `resume`.
        """
        hint = "resume from another checkpoint"
        try:
            with open(path, encoding="utf-8") as file:
                found = json.load(file)
            same, text = found["step"] == step, found["streams"]
        except FileNotFoundError:
            same, text = True, None
        except (OSError, ValueError, LookupError, TypeError) as error:
            words = f"it can not be read: {type(error).__name__}: {error}"
            raise DocumentError("state-unreadable", words, where=path, hint=hint) from error
        if not isinstance(text, str | None):
            raise DocumentError("state-unreadable", "its streams are no text", where=path, hint=hint)
        if not same:
            words = "it is the state of another run, or of another step of it, than what was resumed"
            raise SanctityError("state-of-another-step", words, where=path, hint="name the file that belongs to the checkpoint")
        self.resume(text, path)

    def _tell(self, what: str, words: str, *, quiet: bool = False) -> None:
        self.receipt.record({what: words})
        setting = current()
        assert setting is not None, "it has a receipt"
        setting.publish()
        if not (quiet or setting.quiet):
            from sanctity.determinism.setting import say

            say(f"sanctity: {what}: {words}")


def gathered(text: str) -> list[str]:
    """The *text* of every rank, in each of them; every rank has to come here where PyTorch has a process group."""
    distributed: Any = sys.modules.get("torch.distributed")
    if distributed is None or not distributed.is_available() or not distributed.is_initialized():
        return [text]
    found: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(found, text)
    return found
