"""What a rule may look at, and how it says what it found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sanctity.model.finding import Finding, severity_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sanctity.model.drift import Severity
    from sanctity.model.environment import Interpreter
    from sanctity.model.lock import Lock, Pin
    from sanctity.model.wheel import WheelFacts

__all__ = ["Subject", "finding", "some"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A *lock* to be judged, and what is known around it.

    *interpreter* is the one that wheels are judged for, None for none, and *judged_for* names it. *remedy* is what makes the
    lock again, in words, and *command* is those words where a shell takes them. *inside* is the lock's own folder as seen from the
    root of the repository that it is in, empty for the root itself, and where it is in none. *opened* is what is in its wheels,
    where they were opened.
    """

    lock: Lock
    interpreter: Interpreter | None = None
    judged_for: str = ""
    remedy: str = ""
    command: str = ""
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
