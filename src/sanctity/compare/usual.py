"""The environments that a lock is tried in: those that nearly everybody has."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from sanctity.compare.markers import environment_of, satisfies
from sanctity.model.environment import Interpreter

if TYPE_CHECKING:
    from sanctity.compare.markers import MarkerEnvironment

__all__ = ["environments_of"]

#: Environments that a lock for all of them is tried in: the systems that nearly all wheels are built for.
_SYSTEMS: Final = ("linux-x86_64", "macosx-arm64", "win-amd64")
#: The Pythons that it is tried with, where its own ``requires-python`` allows them.
_MINORS: Final = (8, 9, 10, 11, 12, 13, 14)
#: Older ones count where the lock says that it is for them.
_OLD: Final = (6, 7)


@lru_cache(maxsize=64)
def environments_of(requires_python: str) -> tuple[MarkerEnvironment, ...]:
    """Environments that a lock with *requires_python* is for: the usual systems, with each Python that it allows.

    None where what it allows can not be read.
    """
    allowed = {minor: satisfies(requires_python, f"3.{minor}") for minor in (*(_OLD if requires_python else ()), *_MINORS)}
    if all(each is None for each in allowed.values()):
        return ()  # nobody can tell for which Python it is, and a guess would accuse
    minors = [minor for minor, known in allowed.items() if known is not False]
    return tuple(
        environment_of(Interpreter(version=f"3.{minor}", abi=f"cpython-3{minor}", machine=system))
        for minor in minors
        for system in _SYSTEMS
    )
