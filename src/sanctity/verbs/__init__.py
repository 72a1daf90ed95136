"""One function for each verb of the command line: hands look, thought compares, a value comes back.

What a verb may know of the world comes in as arguments: the working folder, the environment variables and the clock. Each verb is
imported when it is asked for, so that none pays for the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sanctity.verbs.differing import Differing, diff
    from sanctity.verbs.judging import fingerprint, verify
    from sanctity.verbs.linting import Lint, Linted, lint
    from sanctity.verbs.proving import Means
    from sanctity.verbs.rebuilding import Rebuilding, Ways, rebuild
    from sanctity.verbs.running import Running, run
    from sanctity.verbs.sealing import FromLock, Sealing, seal, seal_lock
    from sanctity.verbs.watching import Sight, watch
    from sanctity.verbs.world import Outcome, Target, World

__all__ = [
    "Differing",
    "FromLock",
    "Lint",
    "Linted",
    "Means",
    "Outcome",
    "Rebuilding",
    "Running",
    "Sealing",
    "Sight",
    "Target",
    "Ways",
    "World",
    "diff",
    "fingerprint",
    "lint",
    "rebuild",
    "run",
    "seal",
    "seal_lock",
    "verify",
    "watch",
]

#: Where each name comes from.
_HOMES: Final = {
    "differing": ("Differing", "diff"),
    "judging": ("fingerprint", "verify"),
    "linting": ("Lint", "Linted", "lint"),
    "proving": ("Means",),
    "rebuilding": ("Rebuilding", "Ways", "rebuild"),
    "running": ("Running", "run"),
    "sealing": ("FromLock", "Sealing", "seal", "seal_lock"),
    "watching": ("Sight", "watch"),
    "world": ("Outcome", "Target", "World"),
}


def __getattr__(name: str) -> object:
    from importlib import import_module

    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"sanctity.verbs.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
