"""A project's policy and waivers on disk: ``[tool.sanctity]`` of its pyproject.toml, and ``waivers/*.toml`` beside it."""

from __future__ import annotations

import os
import tomllib
from typing import TYPE_CHECKING, Any, Final

from sanctity.errors import DocumentError
from sanctity.model.policy import Policy
from sanctity.observe.view import View
from sanctity.policies.document import parse_policy, parse_waiver

if TYPE_CHECKING:
    from sanctity.model.policy import Waiver

__all__ = ["WAIVERS", "read_policy", "read_waivers"]

#: The folder of waivers, beside the pyproject.toml.
WAIVERS: Final = "waivers"
_LARGEST: Final = 1 << 24
_HERE: Final = View()


def _load(path: str, noun: str) -> dict[str, Any]:
    try:
        return tomllib.loads(_HERE.read(path, _LARGEST).decode())
    except OSError as error:
        raise DocumentError(
            f"{noun}-unreadable", error.strerror or "it can not be read", where=path, hint="make it readable"
        ) from error
    except (ValueError, RecursionError) as error:
        raise DocumentError(f"{noun}-syntax", f"it is no TOML: {error}"[:300], where=path, hint="see docs/policy.md") from error


def read_policy(folder: str, *, shown: str = "") -> Policy:
    """The policy of the project in *folder*, the default one where it states none; *shown* is the folder as a report prints it.

    Raises:
        DocumentError: its pyproject.toml or the policy in it can not be read.
    """
    path = f"{folder}/pyproject.toml"
    if not os.path.lexists(path):
        return Policy()
    place = f"{shown}/pyproject.toml" if shown not in {"", "."} else "pyproject.toml"
    tool = _load(path, "policy").get("tool", {})
    if not isinstance(tool, dict):
        raise DocumentError("policy-bad-type", "tool is no table", where=place, hint="see docs/policy.md")
    table = tool.get("sanctity")
    if table is None:
        return Policy()
    if not isinstance(table, dict):
        raise DocumentError("policy-bad-type", "tool.sanctity is no table", where=place, hint="see docs/policy.md")
    return parse_policy(table, path=place)


def read_waivers(folder: str, *, shown: str = "") -> tuple[Waiver, ...]:
    """The waivers of the project in *folder*, by id.

    Raises:
        DocumentError: one of them can not be read.
    """
    place = f"{folder}/{WAIVERS}"
    try:
        names = sorted(os.listdir(place))
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except OSError as error:
        raise DocumentError("waiver-unreadable", error.strerror or "unreadable", where=place, hint="make it readable") from error
    prefix = f"{shown}/{WAIVERS}" if shown not in {"", "."} else WAIVERS
    return tuple(
        parse_waiver(_load(f"{place}/{name}", "waiver"), path=f"{prefix}/{name}", stem=name.removesuffix(".toml"))
        for name in names
        if name.endswith(".toml")
    )
