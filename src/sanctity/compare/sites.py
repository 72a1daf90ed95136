"""What an environment imports from beside its own site-packages: the base interpreter's packages, and the user's own.

The base's are a part of what runs wherever pyvenv.cfg takes them in, so what is wrong with them gates as it would there. The user's
own lie outside of the environment, and another user has others: that there are any is told, and gates only where they run code at
start-up, are not what their RECORD states, or are imported in the place of what the environment has.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sanctity.model.drift import Code, Drift, Severity, Unchecked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sanctity.model.environment import Environment

    #: What is wrong with an environment's files, and what could not be looked at.
    Judge = Callable[[Environment], tuple[list[Drift], list[Unchecked]]]

__all__ = ["BASE", "USER", "compare_other_sites"]

#: How paths outside of the environment are shown.
BASE: Final = "${base}"
USER: Final = "${user}"

_MODULE: Final = re.compile(r"(?P<stem>[^./]+)(?:\.py|\.pyc|(?:\.[\w-]+)?\.(?:so|pyd))")
_HOOKS: Final = frozenset({Code.PTH_HOOK, Code.CUSTOMIZE_HOOK})


def compare_other_sites(environment: Environment, judge: Judge) -> Iterator[Drift | Unchecked]:
    """What *judge* finds in the folders beside the environment's own, by paths that say where; and what they shadow."""
    if environment.system_site is not None:
        yield from _elsewhere(environment.system_site, judge, BASE)
    user = environment.user_site
    if user is None:
        return
    yield from _elsewhere(user, judge, USER)
    # A virtual environment's own packages come before the user's, and the base's after.
    later = environment.system_site if environment.layout.virtual else environment
    beaten = _modules(later) if later is not None else {}
    for name, (path, regular) in sorted(_modules(user).items()):
        if regular and name in beaten:
            yield Drift(
                code=Code.PATH_SHADOW,
                path=f"{USER}/{path}",
                message=f"import takes it in place of {beaten[name][0].rpartition('site-packages/')[2]}",
                hint="remove it from the user's own packages, or start Python with -s or PYTHONNOUSERSITE=1",
            )
    if user.distributions:
        names = [f"{item.name} {item.version}" for item in user.distributions]
        some = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
        yield Drift(
            code=Code.USER_SITE,
            severity=Severity.WARNING,
            gating=False,
            path=f"{USER}/{user.layout.site[0]}",
            count=len(names),
            message=f"the user's own packages can be imported too: {some}",
            hint="start Python with -s or PYTHONNOUSERSITE=1",
        )


def _elsewhere(other: Environment, judge: Judge, shown: str) -> Iterator[Drift | Unchecked]:
    """What is wrong with *other*, by whole paths; of mere notes only those on code that runs at start-up."""
    drifts, unchecked = judge(other)
    for drift in drifts:
        if drift.severity is not Severity.NOTE or drift.code in _HOOKS:
            yield replace(drift, path=_whole(other, drift.path, shown))
    for item in unchecked:
        if item.in_scope:
            yield replace(item, what=_whole(other, item.what, shown))


def _whole(other: Environment, path: str, shown: str) -> str:
    """Where *path* of a report on *other* lies: some are relative to site-packages there."""
    if path.startswith("/"):
        return path
    for folder in other.layout.site:
        if f"{folder}/{path}" in other.files:
            return f"{shown}/{folder}/{path}"
    known = path in other.files or path.startswith((*other.layout.site, f"{other.layout.scripts}/", "conda-meta/"))
    known = known or any(file.path == path for file in other.system)
    return f"{shown}/{path}" if known or not path else f"{shown}/{other.layout.site[0]}/{path}"


def _modules(environment: Environment) -> dict[str, tuple[str, bool]]:
    """Each module that import finds at the top of site-packages: its path, and whether it is more than a part of a namespace."""
    found: dict[str, tuple[str, bool]] = {}
    for folder in reversed(environment.layout.site):
        start = len(folder) + 1
        for path in environment.files:
            if not path.startswith(f"{folder}/"):
                continue
            first, slash, rest = path[start:].partition("/")
            if not slash:
                match = _MODULE.fullmatch(first)
                if match is not None:
                    found[match["stem"]] = (path, True)
            elif "." not in first and first != "__pycache__" and _MODULE.fullmatch(rest.rpartition("/")[2]):
                regular = rest.startswith("__init__.") or (first in found and found[first][1])
                found[first] = (path if rest.startswith("__init__.") else f"{folder}/{first}", regular)
    return found
