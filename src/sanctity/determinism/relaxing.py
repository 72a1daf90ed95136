"""Switching one control off on purpose, in a block, under a waiver, and back on after it.

    with sanctity.relaxed("torch-algorithms", waiver="W-9"):
        loss.backward()

The waiver is looked at first, and nothing is switched where it does not count. What is switched is the process's own, not the
thread's: while one thread is in such a block, the others compute without the control too, and it comes back when the last block of
it ends. Each block that is entered is counted in the receipt. A program could set all of this itself, and would be found
``overwritten``: this way it is on record who answers for it. docs/relaxing.md says the rest.
"""

from __future__ import annotations

import os
import sys
from _thread import RLock, get_ident

from sanctity.determinism import receipt as receipts
from sanctity.determinism import setting as settings
from sanctity.determinism.receipt import Relaxation, Row, times

TYPE_CHECKING = False  # importing `typing` for it would take longer than all else that is done here
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType
    from typing import Any, Self, TypeVar

    from sanctity.determinism.setting import Setting
    from sanctity.model.policy import Waiver
    from sanctity.policies.waivers import Rules

    F = TypeVar("F", bound=Callable[..., Any])

__all__ = ["RELAXABLE", "Relaxed", "after_fork", "again", "forget", "read_back", "relaxed"]

# -- the controls -----------------------------------------------------------------------------------------------------------------


class _Kind:
    """How one control is looked at and switched. *row* is the control whose row says whether the call switched it on."""

    row = ""
    library = ""
    #: The name of what is switched.
    what = ""

    def state(self) -> Any:
        """What it is set to; None where there is nothing to look at."""
        raise NotImplementedError

    def on(self, state: Any) -> bool:
        """Whether it is on in *state*."""
        raise NotImplementedError

    def off(self) -> None:
        """Switch it off."""
        raise NotImplementedError

    def restore(self, state: Any) -> None:
        """Set it to *state*."""
        raise NotImplementedError

    def kept(self, state: Any) -> Any:
        """The part of *state* that a block has to leave as it was."""
        return state


class _Algorithms(_Kind):
    row, library, what = "torch-algorithms", "torch", "use_deterministic_algorithms (on, warn_only)"

    def state(self) -> Any:
        torch = _torch()
        if torch is None:
            return None
        return torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()

    def on(self, state: Any) -> bool:
        return bool(state[0])

    def off(self) -> None:
        _torch().use_deterministic_algorithms(False)

    def restore(self, state: Any) -> None:
        _torch().use_deterministic_algorithms(state[0], warn_only=state[1])


class _Fill(_Kind):
    row, library, what = "torch-algorithms", "torch", "torch.utils.deterministic.fill_uninitialized_memory"

    def state(self) -> Any:
        return getattr(getattr(getattr(_torch(), "utils", None), "deterministic", None), "fill_uninitialized_memory", None)

    def on(self, state: Any) -> bool:
        return bool(state)

    def off(self) -> None:
        self.restore(False)

    def restore(self, state: Any) -> None:
        _torch().utils.deterministic.fill_uninitialized_memory = state


class _Cudnn(_Kind):
    row, library, what = "cudnn", "torch", "torch.backends.cudnn.deterministic"

    def state(self) -> Any:
        cudnn = getattr(getattr(_torch(), "backends", None), "cudnn", None)
        return None if cudnn is None else (cudnn.deterministic, cudnn.benchmark)

    def on(self, state: Any) -> bool:
        return bool(state[0])

    def off(self) -> None:
        _torch().backends.cudnn.deterministic = False

    def restore(self, state: Any) -> None:
        cudnn = _torch().backends.cudnn
        cudnn.deterministic, cudnn.benchmark = state

    def kept(self, state: Any) -> Any:
        return state[0]  # whether kernels are chosen by measuring is the block's own affair


class _ChildrenHash(_Kind):
    row, library, what = "hash-seed-children", "python", "PYTHONHASHSEED"

    def state(self) -> Any:
        return os.environ.get(self.what, "")

    def on(self, state: Any) -> bool:
        return state not in {"", "random"}

    def off(self) -> None:
        os.environ.pop(self.what, None)

    def restore(self, state: Any) -> None:
        os.environ[self.what] = state


class _Forks(_Kind):
    row, library, what = "fork-random", "random", "the seeding of forked children"

    def state(self) -> Any:
        from sanctity.determinism import children

        return not children.unseeded

    def on(self, state: Any) -> bool:
        return bool(state)

    def off(self) -> None:
        self.restore(False)

    def restore(self, state: Any) -> None:
        from sanctity.determinism import children

        children.unseeded = not state


_KINDS: dict[str, _Kind] = {
    "cudnn": _Cudnn(),
    "fill-uninitialized-memory": _Fill(),
    "fork-random": _Forks(),
    "hash-seed-children": _ChildrenHash(),
    "torch-algorithms": _Algorithms(),
}
#: The controls that can be relaxed.
RELAXABLE = tuple(_KINDS)
#: Those of which being on without the call is the program's own affair: they do nothing of themselves, or are the user's.
_ALONE = ("fill-uninitialized-memory", "fork-random", "hash-seed-children")

_STREAM = "a stream is not switched off; draw from a generator of your own, such as random.Random() or numpy.random.default_rng()"
_NOTHING = "there is nothing that was switched on"
#: Why each of the others can not be.
_WHY = {
    "cublas-workspace": "cuBLAS reads it once, when CUDA starts",
    "dataloader-workers": "it is off already: worker_init_fn=sanctity.worker_init turns it on, loader by loader",
    "hash-seed": "Python reads it once, when it starts",
    "spawn-children": "a child that is started anew makes the call itself, and knows nothing of the block",
    "tensorflow-ops": "TensorFlow's kernels choose their way when they are made, and keep it",
}
_WHY.update(
    dict.fromkeys(("entropy", "ranks", "surroundings", "thread-order", "torch-mps", "torch-other", "torch-xpu"), _NOTHING),
)
_WHY.update(
    dict.fromkeys(
        ("cupy", "jax", "keras", "numpy-generators", "numpy-legacy", "random", "tensorflow", "torch-cpu", "torch-cuda"), _STREAM
    )
)


def _torch() -> Any:
    from sanctity.determinism import arrival

    return sys.modules["torch"] if arrival.here("torch") else None


# -- the block --------------------------------------------------------------------------------------------------------------------


class _Block:
    """A control while it is off: its state *before*, what it was *left* at, and who is in it: what is counted, and the thread."""

    __slots__ = ("before", "entered", "left")

    def __init__(self, before: Any) -> None:
        self.before = before
        self.left: Any = None
        self.entered: list[tuple[Relaxation, int]] = []


_lock = RLock()
_open: dict[str, _Block] = {}
#: The process that the lock and the blocks are of.
_pid = os.getpid()
_hooked = False


class Relaxed:
    """A block, or a function, in which one *control* is off under the waiver *waiver*. It may be entered again, by many threads."""

    __slots__ = ("_blocks", "control", "waiver")

    def __init__(self, control: str, waiver: str) -> None:
        self.control = control
        self.waiver = waiver
        self._blocks: list[tuple[_Block | None, int]] = []

    def __enter__(self) -> Self:
        """Switch the control off.

        Raises:
            sanctity.errors.SanctityError: the waiver does not count, by the code of `sanctity.determinism.rules.admitted`; or
                ``control-not-applied``: it is on, and not by the call, or may come on in the block.
        """
        from sanctity.determinism.rules import admitted

        waiver, rules = admitted(self.control, self.waiver)
        block = _enter(self.control, waiver, rules)
        self._blocks.append((block, get_ident()))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Switch it back on where this was the last block of it, whatever happened inside.

        Raises:
            sanctity.errors.SanctityError: ``control-not-applied``: something else set it in the block, and the call was strict.
        """
        with _lock:
            here = get_ident()
            mine = [number for number, (_, ident) in enumerate(self._blocks) if ident == here] or [len(self._blocks) - 1]
            block, ident = self._blocks.pop(mine[-1])
        if block is not None:
            _leave(self.control, block, self.waiver, ident, failed=kind is not None)

    def __call__(self, function: F) -> F:
        """*function* in such a block at each call, a coroutine function too.

        Raises:
            sanctity.errors.UsageError: ``determinism-argument``: it is a generator function, whose body runs in parts.
        """
        flags = getattr(getattr(function, "__code__", None), "co_flags", 0)
        if flags & 0x220:  # CO_GENERATOR, CO_ASYNC_GENERATOR
            words = f"{function.__name__} is a generator: the control would stay off between its values; use a with block inside"
            raise _usage(words)
        from functools import wraps

        if flags & 0x80:  # CO_COROUTINE

            @wraps(function)
            async def wrapped_coroutine(*arguments: Any, **named: Any) -> Any:
                with self:
                    return await function(*arguments, **named)

            return wrapped_coroutine  # type: ignore[return-value] # it is called as the function is

        @wraps(function)
        def wrapped(*arguments: Any, **named: Any) -> Any:
            with self:
                return function(*arguments, **named)

        return wrapped  # type: ignore[return-value] # as above


def relaxed(control: str, *, waiver: str = "") -> Relaxed:
    """A context manager, and decorator, that switches *control* off in its block and back on afterwards, under a waiver.

    *control* is one of `RELAXABLE`. *waiver* is the id of one that names this control, its measured cost and the tolerance: one of
    those that `sanctity run` handed on, else of the seal's, else of the project's ``waivers`` folder. It is looked at whenever the
    block is entered, before anything is switched. Where the control is off anyway, nothing is switched or counted. It is the
    process that is relaxed: other threads too, while the block lasts.

    Raises:
        sanctity.errors.UsageError: ``control-unrelaxable``, ``determinism-argument``. At the block, what `Relaxed.__enter__` says.
    """
    if not all(isinstance(each, str) for each in (control, waiver)):
        raise _usage("a control and a waiver are texts")
    if control not in _KINDS:
        from sanctity.errors import UsageError

        words = f"{control} can not be relaxed: {_WHY[control]}" if control in _WHY else f"there is no control {control[:60]!r}"
        raise UsageError("control-unrelaxable", words, hint=f"those that can be relaxed are {', '.join(RELAXABLE)}")
    return Relaxed(control, waiver)


def _enter(control: str, waiver: Waiver, rules: Rules) -> _Block | None:
    with _lock:
        setting = settings.current()
        block = _open.get(control)
        if block is None:
            before = _if_on(control, setting)
            if before is None:
                return None
            block = _switched_off(control, before)
        assert setting is not None
        used = Relaxation(
            control,
            waiver.id,
            1,
            reason=waiver.reason,
            cost=waiver.cost,
            tolerance=waiver.tolerance,
            until=waiver.until.isoformat(),
            rules=str(rules.digest),
        )
        block.entered.append((used, get_ident()))
        _remember(setting, control)
        setting.receipt.relax(used)
        _tell(setting)
    _publish(setting, control)
    return block


def _switched_off(control: str, before: Any) -> _Block:
    _follow_forks()
    kind = _KINDS[control]
    block = _open[control] = _Block(before)
    try:
        kind.off()
        block.left = kind.kept(kind.state())
    except BaseException:
        del _open[control]
        kind.restore(before)
        raise
    return block


def _if_on(control: str, setting: Setting | None) -> Any:
    """The state of *control* where it is on by the call; None where it is off. Raises where it is on otherwise, or may come on."""
    kind = _KINDS[control]
    status = setting.receipt[kind.row].status if setting is not None else ""
    if status == "pending":
        words = f"{control} is pending: {kind.library} is not imported yet, and would switch it on in the block"
        raise _not_applied(words, f"import {kind.library} before the block")
    state = kind.state()
    if state is None or not kind.on(state):
        return None
    if status in {"applied", "overwritten", "relaxed"}:
        return state
    if control in _ALONE:
        return None
    words = f"{control} is on, and not by the call{f', which says {status}' if status else ''}: there is nothing to count it in"
    raise _not_applied(words, "let sanctity.set_global_determinism switch it on")


def _leave(control: str, block: _Block, waiver: str, ident: int, *, failed: bool) -> None:
    told: list[Row] = []
    with _lock:
        setting = settings.current()
        if _open.get(control) is not block or setting is None:
            return  # another call was made in the block, and switched everything on
        places = [number for number, (used, _) in enumerate(block.entered) if used.waiver == waiver]
        mine = [number for number in places if block.entered[number][1] == ident] or places
        if mine:
            del block.entered[mine[-1]]
        if not block.entered:
            changed = _changed(setting, control, block)
            del _open[control]
            _KINDS[control].restore(block.before)
            if changed is not None:
                setting.memory["relaxing"][control] = changed
                told = [changed]
        _tell(setting)
    _publish(setting, control, always=bool(told))
    setting.tell(told)
    if told and setting.strict and not failed:
        setting.receipt.require(control)


def _changed(setting: Setting, control: str, block: _Block) -> Row | None:
    """The row of *control* where something else set it in the *block*."""
    kind = _KINDS[control]
    now = kind.kept(kind.state())
    if now == block.left:
        return None
    words = f"{kind.what} was set to {now or 'nothing'} in a relaxed block, which had left it at {block.left or 'nothing'}"
    remedy = "take away what sets it, or let the block end before"
    row: Row = setting.memory["relaxing"][control]
    return row.with_status("overwritten", words, remedy)


# -- what the receipt says --------------------------------------------------------------------------------------------------------


def _remember(setting: Setting, control: str) -> None:
    """Keep the row of *control* as it is without a word on relaxing."""
    rows = setting.memory.setdefault("relaxing", {})
    if control not in rows:
        known = control in setting.receipt
        kind = _KINDS[control]
        rows[control] = setting.receipt[control] if known else Row(control, kind.library, "applied", f"{kind.what} is on")


def _rows(setting: Setting) -> list[Row]:
    """The rows of what was ever relaxed, as they are to be now."""
    found = []
    for control, row in setting.memory.get("relaxing", {}).items():
        uses = [each for each in setting.receipt.relaxations if each.control == control]
        words = ", ".join(f"{times(each.count)} under {each.waiver}" for each in uses)
        block = _open.get(control)
        if block is None:
            detail = f"{row.detail}; relaxed {words}" if words else row.detail
            found.append(Row(row.control, row.library, row.status, detail, row.remedy, loud=row.loud))
        else:
            now = ", ".join(dict.fromkeys(used.waiver for used, _ in block.entered))
            off = row.with_status("relaxed", f"off in a block of the program, under {now}; relaxed {words}")
            found.append(_changed(setting, control, block) or off)
    return found


def _tell(setting: Setting) -> None:
    setting.receipt.update(_rows(setting))


def read_back(setting: Setting, rows: Iterable[Row]) -> list[Row]:
    """*rows*, which were read back, and those of what was ever relaxed."""
    with _lock:
        ours = setting.memory.get("relaxing", {})
        others = []
        for row in rows:
            if row.control not in ours:
                others.append(row)
            elif row.control not in _open:
                ours[row.control] = row
        # No other control looks at this one, which has a row only where it was relaxed.
        fill = ours.get("fill-uninitialized-memory")
        if fill is not None and fill.control not in _open and fill.status == "applied" and not _KINDS[fill.control].state():
            ours[fill.control] = fill.with_status("overwritten", f"{_Fill.what} was set to False", "take away what sets it")
        return [*others, *_rows(setting)]


def _publish(setting: Setting, control: str, *, always: bool = False) -> None:
    """Write the receipt where it is kept, when a count is a power of two: a block may be entered millions of times."""
    counts = [each.count for each in setting.receipt.relaxations if each.control == control]
    if always or any(count & (count - 1) == 0 for count in counts):
        setting.publish_or_tell()
    if setting.path is not None and "relaxing-end" not in setting.memory:
        import atexit

        setting.memory["relaxing-end"] = True
        atexit.register(_end)


def _end() -> None:
    """Write the last counts of this process."""
    setting = settings.current()
    if setting is not None and setting.path is not None:
        setting.publish_or_tell()


# -- other calls, other processes -------------------------------------------------------------------------------------------------


def forget(before: Setting, after: Setting) -> None:
    """Switch on what is off: another call is made, with the setting *after*. What was counted in this process stays counted."""
    with _lock:
        for control, block in list(_open.items()):
            del _open[control]
            _KINDS[control].restore(block.before)
        after.receipt.relax(*before.receipt.relaxations)


def again(setting: Setting) -> None:
    """Have the rows of *setting*, once it is applied, say what was counted before it."""
    with _lock:
        for each in setting.receipt.relaxations:
            _remember(setting, each.control)
        _tell(setting)


def _follow_forks() -> None:
    global _hooked  # noqa: PLW0603 - a hook can not be taken back, and one is enough
    if not _hooked and hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=after_fork)
        _hooked = True


def after_fork() -> None:
    """In a child: the blocks of the thread that forked are its own now, and counted as such; the rest was its parent's."""
    global _lock, _pid  # noqa: PLW0603 - the thread that held it when the process was forked is not here
    if os.getpid() == _pid:
        return
    _pid = os.getpid()
    _lock = RLock()
    receipts.after_fork()
    setting = settings.current()
    if setting is None:
        return
    setting.receipt.relaxations = ()
    for control, block in list(_open.items()):
        block.entered = [(used, ident) for used, ident in block.entered if ident == get_ident()]
        if block.entered:
            setting.receipt.relax(*(used for used, _ in block.entered))
        else:
            del _open[control]
            _KINDS[control].restore(block.before)
    _tell(setting)


def _not_applied(words: str, hint: str) -> Exception:
    from sanctity.errors import SanctityError

    return SanctityError("control-not-applied", words, hint=hint)


def _usage(message: str) -> Exception:
    from sanctity.errors import UsageError

    return UsageError("determinism-argument", message, hint="see docs/relaxing.md")
