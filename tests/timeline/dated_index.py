"""The dated index of `real.dated`, by the name that the tests beside this file know."""

from __future__ import annotations

from real.dated import DatedIndex, Made, dated_index

__all__ = ["DatedIndex", "Made", "dated_index"]
