"""Children of a process that made the call: each has streams of its own, which repeat, however it is started.

The children of a process are numbered from 0 in the order in which they are started, by fork or by multiprocessing, and the number
is part of every path in them: ``("child", 0, "random")``. So a pool has the same streams under each start method, and no two of its
workers share one.

Forked: the state of every library is copied, and `random` reseeds itself from the operating system, in a hook that it registers
when it is imported. Ours is registered after that one, so it has the last word.

Spawned, by a fork server, or by loky: nothing is copied but the object that describes the process. Among what each of those takes
over from its parent's is a table of settings (``_config``), in which the authentication key travels, and one entry of ours.
Unpickling it makes the call in the child, before its target is looked for. A program that is started in another way has to make
the call itself.
"""

from __future__ import annotations

import os
import sys
from _thread import allocate_lock, get_ident

from sanctity.determinism.receipt import Row

TYPE_CHECKING = False  # importing `typing` for it would take longer than all else that is done here
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from sanctity.determinism.setting import Setting

__all__ = ["Inheritance", "apply", "guard_forks", "inherit", "read_back"]

_KEY = "sanctity"
_registered = False
#: Whether forked children are left with what they inherit, in a block that relaxes that. See relaxing.py.
unseeded = False
#: The shared instance of `random` whose hook stands before ours.
_followed: object = None
#: Numbers are taken one at a time, and each thread that forks keeps its own until it has: the hooks run before the fork's own lock.
_lock = allocate_lock()
_taken: dict[int, int] = {}


def guard_forks(setting: Setting) -> Row:
    """Have forked children derive their own streams, now that `random` has registered its hook."""
    global _registered, _followed  # a hook can not be taken back, and one for each `random` is enough
    if setting.classic:
        words = "the scheme of old runs has nothing for children: random draws from the operating system in each"
        return Row("fork-random", "random", "refused", words, 'scheme="sanctity-seed/1"')
    if not hasattr(os, "register_at_fork"):
        return Row("fork-random", "random", "unavailable", "there is no fork on this system")
    if not _registered:
        os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
    elif shared_random() is not _followed:
        # A `random` that was imported anew has a hook of its own, which stands behind ours.
        os.register_at_fork(after_in_child=_reseed)
    _registered, _followed = True, shared_random()
    return Row("fork-random", "random", "applied", "each forked child draws from streams of its own, which repeat")


def shared_random() -> object:
    """The instance behind ``random.random`` and its kin."""
    return getattr(sys.modules.get("random"), "_inst", None)


def replaced_random(setting: Setting) -> list[Row]:
    """The row of `guard_forks`, where `random` was imported anew since, with a hook that has the last word."""
    row = setting.receipt["fork-random"]
    if row.status == "applied" and shared_random() is not _followed:
        words = "random was imported anew, and seeds itself in each forked child after all that was set there"
        return [row.with_status("overwritten", words, "make the call again")]
    return []


def _number(setting: Setting) -> int:
    """The number of the next child."""
    with _lock:
        setting.children += 1
        return setting.children - 1


def _before() -> None:
    from sanctity.determinism.setting import current

    setting = current()
    if setting is not None:
        _taken[get_ident()] = _number(setting)


def _after_in_parent() -> None:
    _taken.pop(get_ident(), None)


def _after_in_child() -> None:
    global _lock  # noqa: PLW0603 - the thread that held it when the process was forked is not here
    from sanctity.determinism import receipt
    from sanctity.determinism.setting import current

    _lock = allocate_lock()
    number = _taken.get(get_ident())
    _taken.clear()
    receipt.after_fork()
    relaxing: Any = sys.modules.get("sanctity.determinism.relaxing")
    if relaxing is not None:
        relaxing.after_fork()
    setting = current()
    if setting is None or setting.classic or number is None:
        return
    become_child(setting, number)


def _reseed() -> None:
    from sanctity.determinism.setting import current

    setting = current()
    if setting is not None and not setting.classic and not unseeded:
        setting.reseed()
        setting.publish_or_tell()


def become_child(setting: Setting, number: int) -> None:
    """Make *setting* the one of the child *number*, in that child."""
    setting.child = (*setting.child, number)
    setting.children = 0
    setting.quiet = True  # whatever there is to say the parent said
    setting.strict = False
    setting.pid = os.getpid()
    setting.path = None
    setting.receipt.child = setting.child
    if unseeded:
        setting.receipt.update(_as_inherited(setting))
    else:
        setting.reseed()
    setting.publish_or_tell()


def _as_inherited(setting: Setting) -> list[Row]:
    """The rows of the streams in a child that was forked in a block in which nothing seeds it."""
    copied = "this child was forked where fork-random is relaxed, and goes on in its parent's stream"
    words = {
        "random": "this child was forked where fork-random is relaxed, and draws from the operating system",
        "numpy-legacy": copied,
        "numpy-generators": copied,
        "torch-cpu": copied,
    }
    rows = [setting.receipt[name] for name in words if name in setting.receipt]
    return [row.with_status("relaxed", words[row.control]) for row in rows if row.status == "applied"]


def apply(setting: Setting, _: str) -> list[Row]:
    """Leave in this process's own description what its children are to inherit."""
    process = sys.modules["multiprocessing.process"]
    if setting.classic:
        _settings_of(process).pop(_KEY, None)
        words = "the scheme of old runs has nothing for children: nothing is inherited by those that are not forked"
        return [Row("spawn-children", "multiprocessing", "refused", words, "make the call in each child")]
    _settings_of(process)[_KEY] = Inheritance()
    words = "each child that multiprocessing or loky starts makes this call with its own number; other programs make their own"
    return [Row("spawn-children", "multiprocessing", "applied", words)]


def read_back(setting: Setting, _: str) -> list[Row]:
    """The row of `apply`, where its entry is gone."""
    row = setting.receipt["spawn-children"]
    if row.status == "applied" and _KEY not in _settings_of(sys.modules["multiprocessing.process"]):
        return [row.with_status("overwritten", "what children inherit was taken away", "make the call again")]
    return []


def _settings_of(process: Any) -> dict[str, Any]:
    found = process.current_process()._config  # noqa: SLF001 - it is the one table that every start method hands on
    if not isinstance(found, dict):
        raise TypeError("multiprocessing has no table of settings")
    return found


class Inheritance:
    """The entry: pickled for a child it is the call that the child has to make."""

    __slots__ = ()

    def __reduce__(self) -> tuple[Callable[..., Inheritance], tuple[object, ...]]:
        from sanctity.determinism.setting import current

        setting = current()
        if setting is None or setting.classic:
            return Inheritance, ()
        child = (*setting.child, _number(setting))
        return inherit, (setting.root, setting.scheme, setting.rank, child, setting.algorithms)


def inherit(root: int, scheme: str, rank: int | None, child: tuple[int, ...], algorithms: str) -> Inheritance:
    """Make the call of a parent in its *child*; a failure is the child's, and is told there."""
    from sanctity.determinism.setting import Setting, establish, say

    try:
        establish(Setting(root, scheme=scheme, rank=rank, child=child, algorithms=algorithms, quiet=True)).publish_or_tell()
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent would see no more than a child that died
        say(f"sanctity: child {'.'.join(map(str, child))} is not seeded: {type(error).__name__}: {error}")
    return Inheritance()
