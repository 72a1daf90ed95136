"""Process variables: those that load code gate, those that change what verified code does warn, the rest are notes.

No reference allows a variable: what it brings in is nobody's, and was looked at by nobody. Values are never told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sanctity.model.drift import Code, Drift, Severity
from sanctity.model.variables import CHANGES, LOADS, weigh

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from sanctity.model.platform import Variable

__all__ = ["code_loading", "compare_variables", "without"]


def compare_variables(variables: Iterable[Variable]) -> Iterator[Drift]:
    """One drift for each variable that start-up reads, in the order given; its name stands where a path would."""
    for name, weight, effect in variables:
        severity = {LOADS: Severity.ERROR, CHANGES: Severity.WARNING}.get(weight, Severity.NOTE)
        yield Drift(
            code=Code.STARTUP_VARIABLE,
            severity=severity,
            gating=weight == LOADS,
            path=name,
            message=effect,
            hint="" if severity is Severity.NOTE else f"unset {name}",
        )


def code_loading(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The sorted names of the variables in *environ* that would load code."""
    return tuple(sorted(name for name, value in environ.items() if (weigh(name, value) or ("", ""))[0] == LOADS))


def without(environ: Mapping[str, str], names: Collection[str]) -> dict[str, str]:
    """*environ* less the variables *names*, in its own order."""
    return {name: value for name, value in environ.items() if name not in names}
