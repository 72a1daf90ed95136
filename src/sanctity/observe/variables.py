"""The process variables that start-up reads, of the process that looks, or of the one that `run` is about to start.

A value is looked at here and goes no further: what is returned names variables and says what they do. The result of looking at an
environment does not depend on them; `run` and the guard judge them beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sanctity.model.platform import Variable
from sanctity.model.variables import weigh

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["observe_variables"]


def observe_variables(environ: Mapping[str, str], separator: str = ":") -> tuple[Variable, ...]:
    """The variables of *environ* that start-up reads, by name; *separator* stands between folders (``os.pathsep``)."""
    found = []
    for name in sorted(environ):
        weighed = weigh(name, environ[name], separator)
        if weighed is not None:
            found.append(Variable(name, *weighed))
    return tuple(found)
