"""Where a user's files of ours lie. It imports nothing, since what the guard starts asks for it too."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["cache_below"]


def cache_below(environ: Mapping[str, str], name: str) -> str:
    """The folder of what can be had again: ``$XDG_CACHE_HOME/sanctity/NAME``, or below ``~/.cache``; empty where there is no home.

    Source: XDG Base Directory Specification: a relative path there is to be ignored.
    """
    stated = environ.get("XDG_CACHE_HOME", "")
    home = environ.get("HOME", "")
    if not stated.startswith("/"):
        stated = f"{home}/.cache" if home.startswith("/") else ""
    return f"{stated}/sanctity/{name}" if stated else ""
