"""What a rule may look at, and how it says what it found."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from sanctity.compare.markers import environment_of, satisfies
from sanctity.model.environment import Interpreter
from sanctity.model.finding import Finding, severity_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sanctity.compare.markers import MarkerEnvironment
    from sanctity.model.drift import Severity
    from sanctity.model.lock import Lock, Pin
    from sanctity.model.wheel import WheelFacts

__all__ = ["Subject", "environments_of", "finding", "some"]

#: Environments that a lock for all of them is tried in: the systems that nearly all wheels are built for.
_SYSTEMS: Final = ("linux-x86_64", "macosx-arm64", "win-amd64")
#: The Pythons that it is tried with, where its own ``requires-python`` allows them.
_MINORS: Final = (8, 9, 10, 11, 12, 13, 14)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A *lock* to be judged, and what is known around it.

    *interpreter* is the one that wheels are judged for, None for none, and *judged_for* names it. *remedy* is the command that
    makes the lock again. *inside* is the lock's own folder as seen from the root of the repository that it is in, empty for the
    root itself, and where it is in none. *opened* is what is in its wheels, where they were opened.
    """

    lock: Lock
    interpreter: Interpreter | None = None
    judged_for: str = ""
    remedy: str = ""
    inside: str = ""
    opened: Mapping[tuple[str, str], WheelFacts] = field(default_factory=dict, hash=False)


def finding(
    code: str,
    message: str,
    *,
    pin: Pin | None = None,
    package: str = "",
    where: str = "",
    hint: str = "",
    severity: Severity | None = None,
    count: int = 1,
    about: tuple[str, ...] = (),
) -> Finding:
    """What a rule found: of *pin*, where it is about one. The code says what it weighs, unless *severity* does.

    *about* is what it is known again by, beside its package: the message, where that is empty.
    """
    return Finding(
        code=code,
        severity=severity or severity_of(code),
        message=message,
        hint=hint,
        where=where or (pin.where if pin is not None else ""),
        package=pin.name if pin is not None else package,
        version=pin.version if pin is not None else "",
        count=count,
        about=about,
    )


def some(names: list[str], most: int = 4) -> str:
    """The first of *names*, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if len(names) > most else "")


@lru_cache(maxsize=64)
def environments_of(requires_python: str) -> tuple[MarkerEnvironment, ...]:
    """Environments that a lock with *requires_python* is for: the usual systems, with each Python that it allows.

    None where what it allows can not be read.
    """
    allowed = {minor: satisfies(requires_python, f"3.{minor}") for minor in _MINORS}
    if all(each is None for each in allowed.values()):
        return ()  # nobody can tell for which Python it is, and a guess would accuse
    minors = [minor for minor, known in allowed.items() if known is not False]
    return tuple(
        environment_of(Interpreter(version=f"3.{minor}", abi=f"cpython-3{minor}", machine=system))
        for minor in minors
        for system in _SYSTEMS
    )
