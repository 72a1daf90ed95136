"""What is wrong with a project, from its own files and from what git knows of them: facts in, findings out.

A finding's path is relative to the project's folder. Where something can not be told, a note says so: that is no pass.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final

from sanctity.errors import DocumentError
from sanctity.linting.conditions import Patience, can_hold_together, narrowed, parsed, versions_admitted
from sanctity.linting.installs import judge_installs
from sanctity.linting.paths import relative
from sanctity.linting.remedies import locked_name
from sanctity.linting.stale import staleness
from sanctity.lockfiles.toml import load
from sanctity.model.drift import Severity
from sanctity.model.finding import Finding, severity_of
from sanctity.model.lock import Ecosystem, LockFormat, RootKind, SourceKind
from sanctity.model.names import SEEDS
from sanctity.model.project import Standing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sanctity.model.lock import Lock, Pin
    from sanctity.model.project import ProjectFacts

__all__ = ["judge", "judge_above"]

#: How a lock of each format is made anew.
_AGAIN: Final = {
    LockFormat.UV: "uv lock",
    LockFormat.POETRY: "poetry lock",
    LockFormat.PDM: "pdm lock",
    LockFormat.PIPFILE: "pipenv lock",
    LockFormat.PIXI: "pixi lock",
    LockFormat.CONDA_LOCK: "conda-lock lock",
    LockFormat.REQUIREMENTS: "the command in its first lines",
}
#: How its tool says whether a lock is stale; the others can but lock again.
_CHECK: Final = {
    LockFormat.UV: "uv lock --check",
    LockFormat.POETRY: "poetry check --lock",
    LockFormat.PDM: "pdm lock --check",
    LockFormat.PIPFILE: "pipenv verify",
}
#: Locks of a whole project, each with all that it needs.
_WHOLE: Final = frozenset({LockFormat.UV, LockFormat.POETRY, LockFormat.PDM, LockFormat.PIPFILE})
_EXPORTS: Final = ("uv export", "PDM", "Poetry")
#: An export of less than the project needs, as the command in its first lines says; its own folders are not looked for anyway.
_PARTIAL: Final = re.compile(
    r"^#.*\s--(?:only-(?:group|dev)|package|prune|no-(?:emit|install)-package|without|only)\b", re.MULTILINE
)
#: Words in a file's name that say what it alone is for, so that another file may well differ.
_FOR_ONE: Final = re.compile(
    r"(?:^|[._-])(?:py\d+|cp\d+|python\d*|3\.\d+|linux|macos|mac|osx|darwin|win|win32|win64|windows|x86|64|aarch64|arm64|amd64|cpu|gpu|cuda"
    r"|cu\d+|rocm\d*|mps|min|minimum|minimal|lowest|oldest|latest|nightly|dev\d+)(?=[._-]|$)",
    re.IGNORECASE,
)
_MOST_TOLD: Final = 5
_MOST_OF_ONE: Final = 10
_MOST_FORKS: Final = 20
_LOCAL: Final = frozenset({SourceKind.EDITABLE, SourceKind.VIRTUAL, SourceKind.DIRECTORY})


def judge(facts: ProjectFacts, locks: Sequence[tuple[str, Lock | None]]) -> Iterator[Finding]:
    """The findings on the project that *facts* are of; *locks* are those read, by their paths, None for one that can not be."""
    read = [(path, lock) for path, lock in locks if lock is not None]
    yield from _missing(facts, locks)
    yield from _disagreeing(read, facts.texts)
    for path, lock in read:
        yield from _stale(path, lock, facts)
    yield from _committed(facts)
    yield from _environments(facts)
    if not facts.above:
        yield from _interpreter(facts, read)
    yield from _installing(facts)


def judge_above(facts: ProjectFacts, locks: Sequence[tuple[str, Lock | None]], member: Mapping[str, str]) -> Iterator[Finding]:
    """The findings on the *locks* of a workspace that count for one of its members too.

    *facts* are of the workspace's root, which paths are relative to, and *member* are the texts of the member's own files.
    """
    read = [(path, lock) for path, lock in locks if lock is not None]
    for path, lock in read:
        yield from _stale(path, lock, facts)
    yield from _committed(replace(facts, seals=()))
    if not any(_pins_python(path, text) for path, text in member.items()):
        yield from _interpreter(facts, read)


def _finding(
    code: str,
    message: str,
    *,
    path: str,
    hint: str = "",
    command: str = "",
    severity: Severity | None = None,
    count: int = 1,
    about: tuple[str, ...] = (),
) -> Finding:
    return Finding(
        code=code,
        severity=severity or severity_of(code),
        message=message,
        hint=hint or command,
        command=command,
        path=path,
        count=count,
        about=about,
    )


# --- A lock at all


def _missing(facts: ProjectFacts, locks: Sequence[tuple[str, Lock | None]]) -> Iterator[Finding]:
    if facts.locks or facts.seals or facts.above or any(lock is None or lock.format.is_lock for _, lock in locks):
        return
    for path, wished in _wishes(facts.texts):
        if wished:
            command = _to_lock(path, facts.texts)
            hint = "" if command else "lock it: uv lock, poetry lock, pdm lock, or uv pip compile --generate-hashes"
            what = (
                "its build backend says what it depends on" if wished < 0 else f"{wished} requirement{'s' if wished != 1 else ''}"
            )
            message = f"the project asks for packages ({what}) and has no lock"
            yield _finding("lock-missing", message, path=path, hint=hint, command=command, about=("",))
            return


def _to_lock(path: str, texts: Mapping[str, str]) -> str:
    """The command that locks what the manifest *path* asks for, by the tool whose file it is; empty where that is open."""
    match path:
        case "pyproject.toml":
            tools = _table(_toml(texts, path), "tool")
            used = [tool for tool in ("uv", "poetry", "pdm", "pixi") if tool in tools]
            return f"{used[0]} lock" if len(used) == 1 else ""
        case "Pipfile":
            return "pipenv lock"
        case "pixi.toml":
            return "pixi lock"
        case "environment.yml" | "environment.yaml":
            return f"conda-lock lock -f {path}"
        case "setup.py" | "setup.cfg":
            return f"uv pip compile --generate-hashes {path} -o requirements.txt"
        case _:
            return f"uv pip compile --generate-hashes {shlex.quote(path)} -o {shlex.quote(locked_name(path))}"


def _wishes(texts: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    """Each manifest of the project's own folder, and how many packages it asks for; -1 where only its build backend knows."""
    document = _toml(texts, "pyproject.toml")
    project = _table(document, "project")
    poetry = _table(document, "tool", "poetry", "dependencies")
    asked = len(project.get("dependencies") or ()) + len([name for name in poetry if name != "python"])
    asked += sum(len(group) for group in _table(document, "dependency-groups").values() if isinstance(group, list))
    dynamic = project.get("dynamic")
    yield "pyproject.toml", asked or -(isinstance(dynamic, list) and "dependencies" in dynamic)
    pipfile = _toml(texts, "Pipfile")
    yield "Pipfile", len(_table(pipfile, "packages")) + len(_table(pipfile, "dev-packages"))
    yield "pixi.toml", len(_table(_toml(texts, "pixi.toml"), "dependencies"))
    for name in ("environment.yml", "environment.yaml"):
        yield name, len(re.findall(r"^\s+- [\w.-]", texts.get(name, ""), re.MULTILINE))
    for name in sorted(name for name in texts if re.fullmatch(r"requirements[\w.-]*\.(?:txt|in)", name)):
        yield name, len(re.findall(r"^[A-Za-z0-9]", texts[name], re.MULTILINE))
    for name in ("setup.cfg", "setup.py"):
        yield name, -bool(re.search(r"\binstall_requires\b", texts.get(name, "")))


# --- Locks that disagree


def _disagreeing(locks: Sequence[tuple[str, Lock]], texts: Mapping[str, str]) -> Iterator[Finding]:
    """Each pair of locks of one folder that have no version of a name in common, where both can hold."""
    usable = [
        (path, lock)
        for path, lock in locks
        if lock.format.is_lock and not _FOR_ONE.search(posixpath.basename(path)) and not path.endswith(".py.lock")
    ]
    for (path, lock), (other_path, other) in combinations(usable[:30], 2):
        if posixpath.dirname(path) != posixpath.dirname(other_path):
            continue
        if lock.format in _WHOLE and _is_export(other):  # which is the one to be made again
            path, lock, other_path, other = other_path, other, path, lock  # noqa: PLW2901 - the same pair
        mine, theirs = _pins(lock), _pins(other)
        python = narrowed((lock.requires_python, other.requires_python))
        patience = Patience()
        both = sorted(mine.keys() & theirs.keys())
        unlike = [name for name in both if _differ(mine[name], theirs[name], python, patience)]
        differing = [f"{name} ({_versions(mine[name])} and {_versions(theirs[name])})" for name in unlike]
        names = posixpath.basename(other_path)
        if differing:
            about = tuple(f"{name} in {names}" for name in unlike)
            message = f"{names} has other versions of {_counted(len(differing))}: {_listed(differing)}"
            yield _finding("locks-disagree", message, path=path, hint=_agree(lock, other), count=len(differing), about=about)
        if patience.ended:
            message = f"whether it agrees with {names} could not be told of all packages: their markers are too many"
            yield _finding("locks-disagree", message, path=path, severity=Severity.NOTE)
        lacking = [*_lacking(lock, other, path, texts), *_lacking(other, lock, other_path, texts)]
        for where, which, absent in lacking:
            names = posixpath.basename(which)
            message = f"{names} lacks {_counted(len(absent))} of it: {_listed(absent)}"
            about = tuple(f"{name} not in {names}" for name in absent)
            yield _finding("locks-disagree", message, path=where or path, hint=_agree(lock, other), count=len(absent), about=about)


def _lacking(lock: Lock, other: Lock, path: str, texts: Mapping[str, str]) -> Iterator[tuple[str, str, list[str]]]:
    """The names of *lock*, at *path*, that *other* does not have and should have.

    A lock of the whole project should have all that another one has, and what an export of it has. An export should have all that
    the project itself needs; groups and extras may have been left out of it.
    """
    if other.format in _WHOLE and (lock.format in _WHOLE or _is_export(lock)):
        absent = sorted(_pins(lock).keys() - other.names() - SEEDS)
        if absent:
            yield path, other.path, absent
    elif lock.format in _WHOLE and _is_export(other) and not _PARTIAL.search(_head(other, path, texts)):
        absent = sorted((_pins(lock).keys() & _needed(lock)) - other.names() - SEEDS)
        if absent:
            yield path, other.path, absent


def _is_export(lock: Lock) -> bool:
    """Whether *lock* says that a tool wrote it from another one, or is a list of its kind that stands for the project."""
    if lock.format is LockFormat.PYLOCK:
        return posixpath.basename(lock.path) == "pylock.toml"
    return lock.format is LockFormat.REQUIREMENTS and lock.generator.startswith(_EXPORTS)


def _head(lock: Lock, beside: str, texts: Mapping[str, str]) -> str:
    """How the text of *lock*, which lies in the folder of *beside*, begins: where a tool puts the command that wrote it."""
    return texts.get(posixpath.join(posixpath.dirname(beside), posixpath.basename(lock.path)), "")[:4096]


def _needed(lock: Lock) -> frozenset[str]:
    """The names that the project itself needs by *lock* in every environment; its extras and groups do not count.

    What only some environments need, an export for another one does not have.
    """
    pins: dict[str, list[Pin]] = {}
    for pin in lock.pins:
        pins.setdefault(pin.name, []).append(pin)
    seen: set[tuple[str, str]] = set()
    waiting = [edge for root in lock.roots if root.kind is RootKind.PROJECT and root.default for edge in root.dependencies]
    while waiting:
        edge = waiting.pop()
        for extra in ("", *edge.extras) if not (edge.marker or edge.platforms) else ():
            if (edge.name, extra) in seen:
                continue
            seen.add((edge.name, extra))
            for pin in pins.get(edge.name, ()):
                waiting += dict(pin.optional).get(extra, ()) if extra else pin.dependencies
    return frozenset(name for name, _ in seen)


def _pins(lock: Lock) -> dict[str, list[Pin]]:
    """The pins of *lock* that have a version and are not the project's own folders, by their names."""
    found: dict[str, list[Pin]] = {}
    for pin in lock.pins:
        if pin.version and pin.ecosystem is Ecosystem.PYPI and pin.source.kind not in _LOCAL:
            found.setdefault(pin.name, []).append(pin)
    return found


def _differ(mine: Sequence[Pin], theirs: Sequence[Pin], python: str, patience: Patience) -> bool:
    """Whether the two have no version in common that can hold in both, and some that can hold together.

    A lock for one platform has fewer of a name's versions than one for all, so one in common is enough.
    """
    together = False
    for one in mine[:_MOST_FORKS]:
        for other in theirs[:_MOST_FORKS]:
            if patience.ended:
                return False
            holds = can_hold_together(one.marker, other.marker, python, patience)
            same = one.version == other.version or (parsed(one.version) or 0) == parsed(other.version)
            if same and holds is not False:
                return False
            together = together or (holds is True and not same)
    return together


def _versions(pins: Sequence[Pin]) -> str:
    return " or ".join(dict.fromkeys(pin.version for pin in pins[:3]))


def _counted(number: int) -> str:
    return f"{number} package{'s' if number != 1 else ''}"


def _agree(lock: Lock, other: Lock) -> str:
    source = next((one for one in (lock, other) if one.format in _WHOLE), None)
    if source is not None:
        return f"keep {posixpath.basename(source.path)} and export the other one from it again, or remove what is not used"
    return "make both from the same inputs at once, or remove what is not used"


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_MOST_TOLD])
    return shown if len(names) <= _MOST_TOLD else f"{shown} and {len(names) - _MOST_TOLD} more"


# --- Stale


def _stale(path: str, lock: Lock, facts: ProjectFacts) -> Iterator[Finding]:
    text = facts.texts.get(path)
    if text is None:
        return
    folder, name = posixpath.split(path)
    beside = {relative(other, folder) if folder else other: text for other, text in facts.texts.items() if other != path}
    found = staleness(lock.format, name, text, beside, lock)
    again = f"lock again: {_AGAIN[lock.format]}" if lock.format in _AGAIN else "lock again"
    if found.stale:
        more = len(found.stale) - 3
        message = "; ".join(found.stale[:3]) + (f"; and {more} more" if more > 0 else "")
        yield _finding("lock-stale", message, path=path, hint=again, count=len(found.stale), about=found.stale)
    for reason in found.unknown[:3]:
        message = f"whether it is stale could not be told: {reason}"
        hint = f"ask the tool itself: {_CHECK[lock.format]}" if lock.format in _CHECK else again
        yield _finding("lock-stale", message, path=path, hint=hint, severity=Severity.NOTE)


# --- git


def _committed(facts: ProjectFacts) -> Iterator[Finding]:
    repository = facts.repository
    if repository is None or repository.empty:
        return
    if repository.trouble:
        for path in facts.locks[:1]:
            message = f"whether it is committed could not be told: {repository.trouble}"
            yield _finding("lock-not-committed", message, path=path, severity=Severity.NOTE)
        return
    for code, paths, what in (("lock-not-committed", facts.locks, "the lock"), ("seal-not-committed", facts.seals, "the seal")):
        for path in paths:
            standing = repository.standing.get(path)
            if standing is Standing.IGNORED:
                hint = f"take it out of .gitignore, then git add {path}"
                yield _finding(code, f"{what} is kept out of git by a .gitignore, so nobody else has it", path=path, hint=hint)
            elif standing is Standing.UNTRACKED:
                command = f"git add {shlex.quote(path)}"
                yield _finding(code, f"{what} is not in git, so nobody else has it", path=path, command=command)


def _environments(facts: ProjectFacts) -> Iterator[Finding]:
    for path, count in facts.repository.environments if facts.repository is not None else ():
        message = f"an environment is committed to git: {count:,} file{'s' if count != 1 else ''} below it"
        hint = f"git rm -r --cached {shlex.quote(path)}; then name it in .gitignore, and commit the lock in its place"
        yield _finding("environment-committed", message, path=path, hint=hint, count=count, about=("",))


# --- The interpreter


def _interpreter(facts: ProjectFacts, locks: Sequence[tuple[str, Lock]]) -> Iterator[Finding]:
    if facts.seals or not (facts.locks or any(count for _, count in _wishes(facts.texts))):
        return
    pinned = any(lock.format.is_lock and any(_is_python(pin) for pin in lock.pins) for _, lock in locks)
    if not pinned and not any(_pins_python(path, text) for path, text in facts.texts.items()):
        path = "pyproject.toml" if "pyproject.toml" in facts.texts else next(iter(facts.locks), next(iter(facts.texts), "."))
        message = "nothing says which Python the project runs on: each machine takes the one that it has"
        yield _finding(
            "interpreter-unpinned", message, path=path, hint="write it into .python-version (uv python pin 3.12), or seal it"
        )


def _is_python(pin: Pin) -> bool:
    return pin.ecosystem is Ecosystem.CONDA and pin.name == "python" and bool(pin.version)


def _pins_python(path: str, text: str) -> bool:
    """Whether the file *path* of the project says which minor version of Python it runs on."""
    name = posixpath.basename(path)
    if name == "pyproject.toml":
        document = _toml({name: text}, name)
        poetry = _table(document, "tool", "poetry", "dependencies").get("python")
        pixi = _table(document, "tool", "pixi", "dependencies").get("python")
        asked = _table(document, "project").get("requires-python")
        return any(isinstance(one, str) and _is_one(one) for one in (poetry, pixi, asked))
    if name == "Pipfile":
        return bool(_table(_toml({name: text}, name), "requires"))
    if name == "pixi.toml":
        asked = _table(_toml({name: text}, name), "dependencies").get("python")
        return isinstance(asked, str) and _is_one(asked)
    return any(re.fullmatch(names, name) and re.search(wanted, text, re.MULTILINE) for names, wanted in _PYTHON_IN)


#: Where else a Python is named, and how.
_PYTHON_IN: Final = (
    (r"\.python-versions?", r"^\s*(?:cpython[@-]?|pypy[@-]?)?3\.\d+"),
    (r"\.tool-versions", r"^\s*python\s+3\.\d+"),
    (r"\.?mise\.toml", r"^\s*\"?python\"?\s*=\s*[^\n]*3\.\d+"),
    (r"runtime\.txt", r"^\s*python-3\.\d+"),
    (r"environment\.ya?ml", r"^\s*-\s*['\"]?(?:[\w-]+::)?python\s*={1,2}\s*3\.\d+"),
    (r"\.readthedocs\.ya?ml", r"^\s*python:\s*['\"]?(?:3\.\d+|miniforge|mamba)"),
    (
        r"(?i:.*(?:dockerfile|containerfile).*)",
        r"(?i:^\s*(?:FROM\s[^\n]*\bpython[:-]?v?3\.\d+|ARG\s+PYTHON_VERSION\s*=\s*['\"]?3\.\d+))",
    ),
    (
        r".+\.ya?ml",
        r"python[-_]version:\s*['\"]?3\.\d+|versionSpec:\s*['\"]?3\.\d+|image:\s*['\"]?\S*python:?3\.\d+|PYTHON_VERSION:\s*['\"]?3\.\d+",
    ),
)


def _is_one(asked: str) -> bool:
    """Whether *asked*, a specifier of any of the tools, admits one minor version of Python only."""
    plain = re.fullmatch(r"(?:={1,2}\s*)?(3\.\d+)(?:\.\d+|\.\*)*", asked.strip())
    tilde = re.fullmatch(r"~\s*(3\.\d+)(?:\.\d+)?", asked.strip())
    if plain or tilde:
        return True
    minors = versions_admitted(asked)
    return minors is not None and len(minors) == 1


# --- What installs


def _installing(facts: ProjectFacts) -> Iterator[Finding]:
    for path in sorted(facts.scripts):
        told: dict[str, list[Finding]] = {}
        for finding in sorted(judge_installs(path, facts.texts[path], facts.texts), key=lambda finding: finding.line):
            told.setdefault(f"{finding.code} {finding.severity}", []).append(finding)
        for alike in told.values():
            shown, rest = alike[:_MOST_OF_ONE], alike[_MOST_OF_ONE:]
            yield from shown
            if rest:
                message = f"{len(rest)} more lines like these, the first: {rest[0].message}"
                about = tuple(each for finding in rest for each in finding.about)
                yield replace(rest[0], message=message, count=len(rest), about=about)
    for path, reason in facts.unread:
        message = f"what it installs, or asks for, could not be told: {reason}"
        yield _finding("install-unlocked", message, path=path, severity=Severity.NOTE)


# --- Documents


def _toml(texts: Mapping[str, str], name: str) -> dict[str, Any]:
    """The document *name*, an empty one where it is not there or is none: who reads it as a lock's input says so."""
    try:
        return load(texts[name], path=name, hint="")
    except (KeyError, DocumentError):
        return {}


def _table(document: object, *keys: str) -> dict[str, Any]:
    """The table at *keys*, an empty one where there is none."""
    for key in keys:
        document = document.get(key) if isinstance(document, dict) else None
    return document if isinstance(document, dict) else {}
