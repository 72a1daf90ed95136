"""Any result in, text out. `FORMATS` is the literal table of what can be asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sanctity.report.json import comparison_json
from sanctity.report.text import comparison_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from sanctity.model.drift import Comparison

__all__ = ["FORMATS"]

#: The formats of a verdict, by the name that ``--format`` takes.
FORMATS: Final[dict[str, Callable[[Comparison, str], str]]] = {
    "text": comparison_text,
    "json": comparison_json,
}
