"""Whether a lock is stale: whether what it was made from says something else now, by the rule of the tool that wrote it.

uv writes what was asked for into its lock, so the two are compared. Poetry, PDM and pipenv write a hash of what was asked for, and
it is computed again. pip-compile and uv's compile name their inputs in the first lines: there each requirement has a row that
satisfies it. conda-lock's own hash rests on the version of conda-lock, so its inputs and pixi's are held to the same as those.
pylock.toml and conda's lists say nothing of what they were made from.

What can not be told from the files alone (dependencies that a build backend computes) is said to be so: it is no pass.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sanctity.errors import DocumentError
from sanctity.linting import compiled, uv_inputs
from sanctity.lockfiles.toml import load
from sanctity.model.lock import LockFormat
from sanctity.model.names import normalise_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sanctity.model.lock import Lock

__all__ = ["Staleness", "staleness", "wants"]

_PYPROJECT: Final = "pyproject.toml"
_PIPFILE: Final = "Pipfile"
#: The first Poetry that hashes ``[dependency-groups]``; a lock of an earlier one is fresh without them.
_GROUPS_SINCE: Final = (2, 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Staleness:
    """What of the inputs the lock does not have (*stale*), and what could not be told (*unknown*), each as a clause."""

    stale: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def wants(format: LockFormat, name: str, text: str, beside: Mapping[str, str]) -> tuple[str, ...]:  # noqa: A002
    """The files that the lock *text*, called *name*, was made from, relative to its folder; *beside* are those that were read.

    A ``*`` stands for any name of one folder. It is asked again until there is nothing new.
    """
    match format:
        case LockFormat.UV:
            return uv_inputs.wants(name, text, beside)
        case LockFormat.POETRY | LockFormat.PDM:
            return (_PYPROJECT,)
        case LockFormat.PIPFILE:
            return (_PIPFILE,)
        case LockFormat.REQUIREMENTS:
            return compiled.wants(text, beside)
        case LockFormat.PIXI:
            return ("pixi.toml", _PYPROJECT)
        case LockFormat.CONDA_LOCK:
            return compiled.sources(text)
        case _:
            return ()


def staleness(format: LockFormat, name: str, text: str, beside: Mapping[str, str], lock: Lock | None) -> Staleness:  # noqa: A002
    """Whether the lock *text*, which was read as *lock*, is stale against those of its inputs that are there, in *beside*."""
    try:
        match format:
            case LockFormat.UV:
                stale, unknown = uv_inputs.compare(name, text, beside)
            case LockFormat.POETRY:
                stale, unknown = _hashed(_poetry(text, beside.get(_PYPROJECT, "")), _PYPROJECT)
            case LockFormat.PDM:
                stale, unknown = _hashed(_pdm(text, beside.get(_PYPROJECT, "")), _PYPROJECT)
            case LockFormat.PIPFILE:
                stale, unknown = _hashed(_pipfile(text, beside.get(_PIPFILE, "")), _PIPFILE)
            case LockFormat.REQUIREMENTS | LockFormat.PIXI | LockFormat.CONDA_LOCK if lock is not None:
                stale, unknown = compiled.compare(format, text, beside, lock)
            case _:
                stale, unknown = [], []
    except DocumentError as error:
        return Staleness(unknown=(f"{error.where or 'an input'}: {error.message}",))
    return Staleness(stale=tuple(dict.fromkeys(stale)), unknown=tuple(dict.fromkeys(unknown)))


def _hashed(found: tuple[str, list[str], str], name: str) -> tuple[list[str], list[str]]:
    """Stale or not, of the hash that a lock *found* has, those that its input may have, and why they are not all."""
    recorded, computed, trouble = found
    if trouble:
        return [], [trouble]
    if not recorded or recorded in computed:
        return [], []
    return [f"{name} has changed since: the hash of it in the lock is another one"], []


def _poetry(text: str, pyproject: str) -> tuple[str, list[str], str]:
    document = load(text, path="poetry.lock", hint="")
    metadata = _table(document, "metadata")
    if not pyproject:
        return "", [], ""
    wished = load(pyproject, path=_PYPROJECT, hint="")
    project = {key: value for key, value in _table(wished, "project").items() if key in _PROJECT_KEYS}
    groups = _table(wished, "dependency-groups")
    legacy = _table(wished, "tool", "poetry")
    contents = [_poetry_content(project, groups, legacy)]
    generator = re.match(r"#[^\n]* by Poetry (\d{1,3})\.(\d{1,3})", text)
    if generator is None or (int(generator[1]), int(generator[2])) < _GROUPS_SINCE:
        contents.append(_poetry_content(project, {}, legacy))
    if str(metadata.get("lock-version", "")).startswith("1."):
        contents.append(_poetry_content({}, {}, legacy))
    computed = [_sha256(content) for content in contents]
    recorded = metadata.get("content-hash")
    return recorded if isinstance(recorded, str) else "", computed, "" if all(computed) else _ODD


def _poetry_content(project: dict[str, Any], groups: dict[str, Any], legacy: dict[str, Any]) -> dict[str, Any]:
    """What Poetry hashes: as in its first version where only ``[tool.poetry]`` says something, else by table."""
    whole = not (project or groups)
    poetry = {key: legacy.get(key) for key in _POETRY_KEYS if whole or legacy.get(key) is not None}
    poetry |= {"group": legacy["group"]} if legacy.get("group") is not None else {}
    if whole:
        return poetry
    return (
        ({"project": project} if project else {}) | ({"dependency-groups": groups} if groups else {}) | {"tool": {"poetry": poetry}}
    )


#: What Poetry hashes. Those of ``[tool.poetry]`` that are not there count as null, in the oldest form.
_POETRY_KEYS: Final = ("dependencies", "source", "extras", "dev-dependencies")
_PROJECT_KEYS: Final = ("requires-python", "dependencies", "optional-dependencies")
_ODD: Final = "its input holds a value that has no JSON form"


def _pdm(text: str, pyproject: str) -> tuple[str, list[str], str]:
    recorded = _table(load(text, path="pdm.lock", hint=""), "metadata").get("content_hash")
    if not pyproject or not isinstance(recorded, str):
        return "", [], ""
    wished = load(pyproject, path=_PYPROJECT, hint="")
    settings = _table(wished, "tool", "pdm")
    project = _table(wished, "project")
    if not project:
        return "", [], "pyproject.toml has no [project], and PDM would convert what is there"
    if "workspace" in settings:
        return "", [], "it is the lock of a PDM workspace"
    algorithm = recorded.partition(":")[0]
    if algorithm not in {"sha256", "sha512", "sha384", "md5"}:
        return "", [], "its hash is of an unknown kind"
    own = {
        normalise_name(key): list(value) for key, value in _table(settings, "dev-dependencies").items() if isinstance(value, list)
    }
    groups = {
        normalise_name(key): list(value) for key, value in _table(wished, "dependency-groups").items() if isinstance(value, list)
    }
    for key, value in own.items():
        groups.setdefault(key, []).extend(value)
    base = {
        "sources": settings.get("source", []),
        "dependencies": project.get("dependencies", []),
        "optional-dependencies": project.get("optional-dependencies", {}),
        "requires-python": project.get("requires-python", ""),
    }
    resolution = settings.get("resolution", {})
    within = resolution.get("overrides", {}) if isinstance(resolution, dict) else {}
    # Before 2.17 the groups were PDM's own, as written; before 2.8 of a resolution the overrides counted, which had a place of
    # their own at first.
    forms = [
        base | {"dev-dependencies": dev} | how
        for dev in (groups, _table(settings, "dev-dependencies"))
        for how in ({"resolution": resolution}, {"overrides": within}, {"overrides": settings.get("overrides", {})})
    ]
    computed = [f"{algorithm}:{_sha256(form, algorithm)}" for form in forms]
    return recorded, computed, _ODD if any(one.endswith(":") for one in computed) else ""


def _pipfile(text: str, pipfile: str) -> tuple[str, list[str], str]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return "", [], ""
    meta = _table(document, "_meta")
    recorded = _table(meta, "hash").get("sha256")
    if not pipfile or not isinstance(recorded, str):
        return "", [], ""
    wished = load(pipfile, path=_PIPFILE, hint="")
    # Without a source the index that everybody knows counts, and pipenv wrote it into the lock.
    data: dict[str, Any] = {
        "_meta": {"sources": wished.get("source", meta.get("sources")), "requires": wished.get("requires", {})},
        "default": wished.get("packages", {}),
        "develop": wished.get("dev-packages", {}),
    }
    data |= {key: value for key, value in wished.items() if key not in _PIPFILE_KEYS}
    # Since 2026 the names of packages are hashed normalised.
    normal = {
        key: {normalise_name(name): wish for name, wish in value.items()} if isinstance(value, dict) and key != "_meta" else value
        for key, value in data.items()
    }
    computed = [_sha256(form, separators=(",", ":")) for form in (normal, data)]
    if "source" not in wished and recorded not in computed:
        return "", [], "the Pipfile names no source, so whose settings pip had counts"
    return recorded, computed, "" if all(computed) else _ODD


#: Sections of a Pipfile that are no category of packages of their own.
_PIPFILE_KEYS: Final = frozenset(
    {"source", "packages", "dev-packages", "requires", "scripts", "pipfile", "pipenv", "default", "develop"}
)


def _sha256(value: object, algorithm: str = "sha256", *, separators: tuple[str, str] | None = None) -> str:
    """The digest of *value* as JSON, as Python's own module writes it; empty where it has no such form."""
    try:
        text = json.dumps(value, sort_keys=True, separators=separators)
    except (TypeError, ValueError, RecursionError):
        return ""
    return hashlib.new(algorithm, text.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()


def _table(document: object, *keys: str) -> dict[str, Any]:
    """The table at *keys*, an empty one where there is none."""
    for key in keys:
        document = document.get(key) if isinstance(document, dict) else None
    return document if isinstance(document, dict) else {}
