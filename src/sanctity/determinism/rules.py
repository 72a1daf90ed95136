"""By which waivers a control may be relaxed in this process: those that `run` handed on, else a seal's, else the project's own.

They are read once, when they are first asked for: whoever edits them while the program runs changes nothing. A seal is looked for
in every folder above the program and above the working folder, and goes before a ``waivers`` folder that is nearer: else whoever
writes the program could lay one down there. What can not be read is an error, and never taken for rules that allow nothing or all.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from stat import S_ISREG
from typing import TYPE_CHECKING, Any, Final, cast

from sanctity.errors import DocumentError, SanctityError
from sanctity.model.policy import Policy
from sanctity.model.wire import Reader
from sanctity.policies.document import parse_policy, parse_waiver, policy_digest, read_policy, read_waiver
from sanctity.policies.waivers import parse_rules, rules_of, waiver_fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sanctity.model.policy import Waiver
    from sanctity.policies.waivers import Rules

__all__ = ["SEAL", "VARIABLE", "WAIVERS", "admitted", "rules_here"]

#: The variable in which `run` hands on the rules.
VARIABLE: Final = "SANCTITY_RULES"
#: The names of a project's seal, and of the folder of its waivers.
SEAL: Final = "env.seal.json"
WAIVERS: Final = "waivers"
_PROJECT: Final = "pyproject.toml"
_LARGEST: Final = 1 << 24
_LARGEST_SEAL: Final = 1 << 28

_UNEXPLAINED: Final = {
    "cost": "what the control was measured to cost (cost)",
    "tolerance": "what difference of the result is accepted (tolerance)",
}
_REMEDIES: Final = {
    "waiver-expired": "remove the block, or have a new day approved",
    "waiver-self-approved": "have somebody else approve it",
    "waiver-unsigned": "remove the block: this version can not verify signatures yet",
}

_known: Rules | None = None


def rules_here() -> Rules:
    """The rules of this process.

    Raises:
        DocumentError: they can not be read.
    """
    global _known  # noqa: PLW0603 - they are read once a process
    if _known is None:
        stated = os.environ.get(VARIABLE)
        _known = parse_rules(stated, where=VARIABLE) if stated else _found()
    return _known


def admitted(control: str, name: str) -> tuple[Waiver, Rules]:
    """The waiver *name*, which lets *control* be relaxed today, and the rules by which it does.

    Raises:
        SanctityError: ``waiver-unknown``, ``waiver-of-another-control``, ``waiver-unexplained``, ``waiver-expired``,
            ``waiver-self-approved``, ``waiver-unsigned``.
        DocumentError: the rules can not be read.
    """
    rules = rules_here()
    waiver = next((each for each in rules.waivers if each.id == name), None)
    if waiver is None:
        ids = ", ".join(each.id for each in rules.waivers if each.control == control)
        words = f"there is no waiver {name[:60]!r} of a control" if name else f"no waiver is named for {control}"
        hint = f"those of {control} are {ids}" if ids else f"have one of {control} approved; docs/relaxing.md shows what it says"
        raise SanctityError("waiver-unknown", words, where=rules.where, hint=hint)
    where = f"{rules.where}/{name}.toml" if rules.where.endswith(WAIVERS) else f"{rules.where}: waiver {name}"
    if waiver.control != control:
        words = f"it is of {waiver.control}, and {control} is to be relaxed"
        raise SanctityError("waiver-of-another-control", words, where=where, hint=f"name a waiver of {control}")
    fault = waiver_fault(waiver, rules.policy, datetime.now(UTC).date())
    if fault is not None:
        raise SanctityError(fault[0], fault[1], where=where, hint=_REMEDIES[fault[0]])
    lacking = [key for key, value in (("cost", waiver.cost), ("tolerance", waiver.tolerance)) if not value]
    if lacking:
        words = f"it does not say {' and '.join(_UNEXPLAINED[key] for key in lacking)}"
        hint = f"give it {' and '.join(lacking)}; `sanctity cost` measures what a control costs"
        raise SanctityError("waiver-unexplained", words, where=where, hint=hint)
    return waiver, rules


# -- finding them -----------------------------------------------------------------------------------------------------------------


def _found() -> Rules:
    starts = list(_starts())
    for start in starts:
        for folder in _upward(start):
            if os.path.lexists(f"{folder}/{SEAL}"):
                return _of_seal(f"{folder}/{SEAL}")
    for start in starts:
        for folder in _upward(start):
            if os.path.lexists(f"{folder}/{WAIVERS}") or os.path.lexists(f"{folder}/{_PROJECT}"):
                return _of_project(folder)
            if os.path.lexists(f"{folder}/.git"):
                break
    return rules_of(Policy(), (), where=f"{starts[0]}/{WAIVERS}" if starts else WAIVERS)


def _starts() -> Iterator[str]:
    """The folder of the program, and the working folder."""
    program = getattr(sys.modules.get("__main__"), "__file__", None)
    if isinstance(program, str) and program:
        yield os.path.dirname(os.path.abspath(program))
    try:
        yield os.getcwd()
    except OSError:  # it is gone
        return


def _upward(folder: str) -> Iterator[str]:
    while True:
        yield folder.rstrip("/")
        parent = os.path.dirname(folder)
        if parent == folder:
            return
        folder = parent


def _of_project(folder: str) -> Rules:
    """The rules that the working tree of a project states. `sanctity.observe.policies` reads the same for a judge."""
    policy = Policy()
    path = f"{folder}/{_PROJECT}"
    if os.path.lexists(path):
        tool = _table(_toml(path, "policy"), "tool", path)
        policy = parse_policy(_table(tool, "sanctity", path), path=path)
    place = f"{folder}/{WAIVERS}"
    try:
        names = sorted(os.listdir(place))
    except (FileNotFoundError, NotADirectoryError):
        names = []
    except OSError as error:
        raise DocumentError("waiver-unreadable", error.strerror or "unreadable", where=place, hint="make it readable") from error
    waivers = [
        parse_waiver(_toml(f"{place}/{name}", "waiver"), path=f"{place}/{name}", stem=name.removesuffix(".toml"))
        for name in names
        if name.endswith(".toml")
    ]
    return rules_of(policy, waivers, where=place)


def _table(document: dict[str, Any], key: str, path: str) -> dict[str, Any]:
    found = document.get(key, {})
    if not isinstance(found, dict):
        raise DocumentError("policy-bad-type", f"{key} is no table", where=path, hint="see docs/policy.md")
    return found


def _toml(path: str, noun: str) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(_bytes(path, _LARGEST).decode())
    except OSError as error:
        words = error.strerror or str(error)
        raise DocumentError(f"{noun}-unreadable", words, where=path, hint="make it readable") from error
    except (ValueError, RecursionError) as error:
        raise DocumentError(f"{noun}-syntax", f"it is no TOML: {error}"[:300], where=path, hint="see docs/policy.md") from error


def _of_seal(path: str) -> Rules:
    """The rules in a seal: its policy and waivers, held to the digest that it states; the rest of it is not looked at."""
    import json

    hint = "put back the seal that was committed"
    try:
        document = json.loads(_bytes(path, _LARGEST_SEAL))
    except OSError as error:
        words = error.strerror or str(error)
        raise DocumentError("seal-unreadable", words, where=path, hint="make it readable") from error
    except (ValueError, RecursionError) as error:
        raise DocumentError("seal-syntax", f"it is no JSON: {error}"[:300], where=path, hint=hint) from error
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema != "sanctity.seal/1":
        words = f"its schema is {schema!r}, and this version reads sanctity.seal/1"[:200]
        raise DocumentError("seal-version-unsupported", words, where=path, hint=hint)
    reader = Reader(path, noun="seal", hint=hint)
    stated = dict(cast("dict[str, Any]", reader.need(document, "policy", dict, {}, "")))
    digest = stated.pop("digest", None)
    policy = read_policy(reader, stated, "policy")
    waivers = tuple(read_waiver(reader, row, place) for place, row in reader.tables(document, "waivers", ""))
    if not reader.issues and str(policy_digest(policy, waivers)) != digest:
        reader.fault("seal-contradictory", "policy.digest", f"policy and waivers have the digest {policy_digest(policy, waivers)}")
    reader.finish()
    return rules_of(policy, waivers, where=path)


def _bytes(path: str, largest: int) -> bytes:
    """What the file *path* holds. Raises OSError where it is none, or can not be read, and ValueError where it is too long."""
    with os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)), "rb") as file:
        if not S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError("it is no file")
        data = file.read(largest + 1)
    if len(data) > largest:
        raise ValueError(f"it is longer than {largest:,} bytes")
    return data
