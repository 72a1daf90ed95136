"""What a uv.lock was made from, against what its pyproject.toml files ask for now: the rule of ``uv lock --check``.

uv keeps the requirements of each member, and of each folder that one depends on, as they were when it locked. They are compared
as requirements: the order, the spelling of a name, and the way a marker is written do not count. The lock's Python is that of all
members at once. Options are compared where the project itself states them; what a user's own settings say is not looked at.
"""

from __future__ import annotations

import fnmatch
import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from sanctity.linting.conditions import Patience, mean_the_same, parsed, versions_admitted
from sanctity.lockfiles.toml import load
from sanctity.model.names import normalise_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["compare", "has_member", "included", "wants"]

_PYPROJECT: Final = "pyproject.toml"
_LOCAL: Final = ("editable", "virtual", "directory", "path")
_SCRIPT: Final = re.compile(r"^# /// script\s*$\n((?:^#(?:| .*)$\n)+?)^# ///\s*$", re.MULTILINE)
#: uv's settings that a lock states too: their name in a project, in the lock, and the lock's value where it states none.
_OPTIONS: Final = (
    ("resolution", "resolution-mode", "highest"),
    ("prerelease", "prerelease-mode", "if-necessary-or-explicit"),
    ("fork-strategy", "fork-strategy", "requires-python"),
)
#: The lists of requirements that a workspace's root states, and their name in the lock.
_LISTS: Final = (
    ("constraint-dependencies", "constraints", "constraint"),
    ("override-dependencies", "overrides", "override"),
    ("build-constraint-dependencies", "build-constraints", "build constraint"),
)
#: Revisions of a lock from which on it tells the names of a project's extras and its empty groups, and the groups installed unless
#: told otherwise.
_EXTRAS_SINCE: Final = 1
_DEFAULTS_SINCE: Final = 5
#: How many pairs of requirements that are not written alike are compared.
_MOST_TRIALS: Final = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """One requirement: *source* is what kind of place it comes from, and where that is, empty for an index."""

    name: str
    extras: frozenset[str] = frozenset()
    specifier: str = ""
    marker: str = ""
    source: tuple[str, str] = ("", "")


def wants(name: str, text: str, beside: Mapping[str, str]) -> tuple[str, ...]:
    """The files that the lock *text*, called *name*, was made from: its own project, the workspace's members, its folders."""
    if name.endswith(".py.lock"):
        return (name.removesuffix(".lock"),)
    found = [_PYPROJECT, "uv.toml"]
    root = beside.get(_PYPROJECT, "")
    if root:
        workspace = _table(load(root, path=_PYPROJECT, hint=""), "tool", "uv", "workspace")
        found += [posixpath.normpath(f"{member}/{_PYPROJECT}") for member in _texts(workspace.get("members"))]
    folders = re.findall(r'^source = \{ (?:editable|virtual|directory) = "([^"\\]+)" \}', text, re.MULTILINE)
    found += [posixpath.normpath(f"{folder}/{_PYPROJECT}") for folder in folders]
    return tuple(dict.fromkeys(found))


def has_member(text: str, folder: str) -> bool:
    """Whether *folder* is a member of the workspace whose root has the pyproject.toml *text*.

    Raises:
        DocumentError: the text is no TOML.
    """
    stated = _table(load(text, path=_PYPROJECT, hint=""), "tool", "uv", "workspace")
    fits = [any(_fits(folder, pattern) for pattern in _texts(stated.get(key))) for key in ("members", "exclude")]
    return fits == [True, False]


def compare(name: str, text: str, beside: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """What of the inputs the lock does not have, and what could not be told."""
    document = load(text, path=name, hint="")
    if name.endswith(".py.lock"):
        script = name.removesuffix(".lock")
        return _script(document, beside[script]) if script in beside else ([], [f"{script}, whose lock it is, is not at hand"])
    if _PYPROJECT not in beside:
        return [], []
    look = _Look(document=document, beside=beside)
    look.members()
    look.requires_python()
    for row in look.rows:
        look.package(row)
    look.manifest()
    return look.stale, look.unknown


def _script(document: dict[str, Any], script: str) -> tuple[list[str], list[str]]:
    """The lock of a script, against the block of metadata in it."""
    found = _SCRIPT.search(script.replace("\r\n", "\n"))
    if found is None:
        return [], ["the script has no block that says what it asks for"]
    block = "".join(line[2:] if line.startswith("# ") else line[1:] for line in found[1].splitlines(keepends=True))
    wished = load(block, path="its script block", hint="")
    look = _Look(document=document, beside={_PYPROJECT: block})
    look.python([("the script", wished.get("requires-python"))])
    look.listed(
        look.expected(wished.get("dependencies"), _PYPROJECT), _table(document, "manifest").get("requirements"), "the script"
    )
    look.manifest()
    return look.stale, look.unknown


class _Look:
    """One look at a lock and its inputs, and what it found."""

    def __init__(self, *, document: dict[str, Any], beside: Mapping[str, str]) -> None:
        self.document = document
        self.stale: list[str] = []
        self.unknown: list[str] = []
        self.trials = 0
        self.patience = Patience()
        self.projects = {path: load(text, path=path, hint="") for path, text in beside.items() if path.endswith(_PYPROJECT)}
        self.has_settings = "uv.toml" in beside
        self.rows = [row for row in document.get("package") or () if isinstance(row, dict)]
        self.root = self.projects.get(_PYPROJECT, {})
        python = document.get("requires-python")
        self.locked_python = python if isinstance(python, str) else ""
        revision = document.get("revision")
        self.revision = revision if isinstance(revision, int) else 0

    # --- Members and Python

    def workspace(self) -> dict[str, dict[str, Any]]:
        """The pyproject.toml of each member, the root among them where it is a project, by its path."""
        stated = _table(self.root, "tool", "uv", "workspace")
        members, excluded = _texts(stated.get("members")), _texts(stated.get("exclude"))
        found = {_PYPROJECT: self.root} if "project" in self.root else {}
        for path, document in self.projects.items():
            folder = posixpath.dirname(path)
            fits = any(_fits(folder, member) for member in members) and not any(_fits(folder, member) for member in excluded)
            if folder and fits and "project" in document and _table(document, "tool", "uv").get("managed") is not False:
                found[path] = document
        return found

    def members(self) -> None:
        """The members that the lock names are those that there are; a project that is alone names none."""
        named = {normalise_name(name) for name in _texts(_table(self.document, "manifest").get("members"))}
        if not named:
            named = {normalise_name(str(row.get("name"))) for row in self.rows if _place(row) == "."}
        names = {_name(document): path for path, document in self.workspace().items()}
        self.stale += [
            f"{path} is a member that the lock does not have" for name, path in names.items() if name and name not in named
        ]
        self.stale += [f"the lock has the member {name}, which is not there" for name in sorted(named - set(names)) if names]

    def requires_python(self) -> None:
        """The lock is for the Python that all members ask for."""
        if "dependency-groups" in _table(self.root, "tool", "uv"):
            return  # a group may ask for another Python than its project
        asked = [(path, _table(document, "project").get("requires-python")) for path, document in self.workspace().items()]
        if not any(
            "requires-python" in _texts(_table(document, "project").get("dynamic")) for document in self.workspace().values()
        ):
            self.python(asked)

    def python(self, asked: list[tuple[str, object]]) -> None:
        """The Python that the inputs ask for is the lock's: as far as its oldest and its newest go, which is what uv keeps."""
        texts = [text for _, text in asked if isinstance(text, str) and text]
        if not texts or not self.locked_python:
            return
        both = [_bounds(",".join(texts), self.locked_python), _bounds(self.locked_python, ",".join(texts))]
        if None in both:
            self.unknown.append("requires-python is no specifier")
        elif both[0] != both[1]:
            now = " and ".join(dict.fromkeys(texts))
            self.stale.append(f"requires-python is {now} now, and the lock was made for {self.locked_python}")

    # --- Packages

    def package(self, row: dict[str, Any]) -> None:
        """One package of the lock that is a folder, against the pyproject.toml in it."""
        place = _place(row)
        path = posixpath.normpath(f"{place}/{_PYPROJECT}") if place else ""
        document = self.projects.get(path)
        if document is None:
            return
        project = _table(document, "project")
        if not project:
            if place != ".":
                self.unknown.append(f"{path} has no [project], so its build backend says what it depends on")
            return
        dynamic = _texts(project.get("dynamic"))
        name = normalise_name(str(row.get("name")))
        if _name(document) != name:
            self.stale.append(f"{path} is {_name(document) or 'of no name'}, and the lock has {name} there")
            return
        version, locked = project.get("version"), row.get("version")
        if "version" in dynamic and isinstance(locked, str) and self.revision >= _EXTRAS_SINCE:
            self.stale.append(f"the version in {path} is dynamic now, and the lock has {locked}")
        elif isinstance(version, str) and parsed(version) != (parsed(locked) if isinstance(locked, str) else None):
            self.stale.append(f"{path} is version {version}, and the lock has {locked or 'none'}")
        recorded = _table(row, "metadata")
        if {"dependencies", "optional-dependencies"} & set(dynamic):
            self.unknown.append(f"the dependencies in {path} are dynamic: its build backend says what they are")
        else:
            extras = _table(project, "optional-dependencies")
            asked = self.expected(project.get("dependencies"), path)
            for extra, texts in extras.items():
                asked += self.expected(texts, path, extra=normalise_name(extra))
            self.listed(asked, recorded.get("requires-dist"), path)
            told = {normalise_name(extra) for extra in _texts(recorded.get("provides-extras"))}
            if self.revision >= _EXTRAS_SINCE and told != {normalise_name(extra) for extra in extras}:
                self.stale.append(f"the extras of {path} are not those of the lock")
        self.groups(document, recorded.get("requires-dev"), path)
        self.manner(row, document, path)

    def manner(self, row: dict[str, Any], document: dict[str, Any], path: str) -> None:
        """Whether a member is installed, and which of its groups are unless told otherwise, as the lock has it."""
        settings = _table(document, "tool", "uv")
        if path in self.workspace():
            packaged = settings.get("package", "build-system" in document)
            if isinstance(packaged, bool) and packaged is ("virtual" in row["source"]):
                word = "a package" if packaged else "no package"
                self.stale.append(f"{path} is {word} now, and the lock has it otherwise")
        stated, locked = settings.get("default-groups", ["dev"]), row.get("default-groups", ["dev"])
        if self.revision >= _DEFAULTS_SINCE and _set(stated) != _set(locked):
            self.stale.append(f"tool.uv.default-groups of {path} is not what the lock was made with")

    def groups(self, document: dict[str, Any], recorded: object, path: str) -> None:
        """The dependency groups of *document*, with what each includes, against those *recorded*."""
        if "dependency-groups" in _table(document, "tool", "uv"):
            return
        stated = {normalise_name(name): value for name, value in _table(document, "dependency-groups").items()}
        asked = {name: self.expected(included(stated, name), path, group=name) for name in stated}
        old = _table(document, "tool", "uv").get("dev-dependencies")
        if old:
            asked["dev"] = asked.get("dev", []) + self.expected(old, path, group="dev")
        locked = {normalise_name(name): rows for name, rows in recorded.items()} if isinstance(recorded, dict) else {}
        for name in sorted({*asked, *locked}):
            if name not in locked and not asked[name] and self.revision >= _EXTRAS_SINCE:
                self.stale.append(f"{path} has the group {name}, and the lock does not")
            elif name not in asked:
                self.stale.append(f"the lock has the group {name}, which {path} does not")
            else:
                self.listed(asked[name], locked.get(name), f"the group {name} of {path}")

    def manifest(self) -> None:
        """What the workspace's root states for all: constraints, overrides, groups of no project, environments and options."""
        manifest = _table(self.document, "manifest")
        settings = _table(self.root, "tool", "uv")
        if "project" not in self.root:
            self.groups(self.root, manifest.get("dependency-groups"), _PYPROJECT)
        if self.has_settings:
            self.unknown.append("uv.toml states options of its own")
            return
        for key, name, word in _LISTS:
            self.listed(
                self.expected(settings.get(key), _PYPROJECT, sources=False), manifest.get(name), f"tool.uv.{key}", word=word
            )
        locked = _table(self.document, "options")
        for key, name, default in _OPTIONS:
            if key in settings and settings[key] != locked.get(name, default):
                self.stale.append(f"tool.uv.{key} is {settings[key]} now, and the lock was made with {locked.get(name, default)}")
        for key, name in (("environments", "supported-markers"), ("required-environments", "required-markers")):
            one, other = _any_of(settings.get(key)), _any_of(self.document.get(name))
            if bool(one) is not bool(other) or mean_the_same(one, other, self.locked_python, self.patience) is False:
                self.stale.append(f"tool.uv.{key} is not what the lock was made for")
        if bool(settings.get("conflicts")) is not bool(self.document.get("conflicts")) and not self.members_conflict():
            self.stale.append("tool.uv.conflicts is not what the lock was made for")

    def members_conflict(self) -> bool:
        """Whether another member than the root states conflicts, which the lock has as the workspace's."""
        return any(
            _table(document, "tool", "uv").get("conflicts") for path, document in self.projects.items() if path != _PYPROJECT
        )

    # --- Requirements

    def expected(self, texts: object, path: str, *, extra: str = "", group: str = "", sources: bool = True) -> list[_Row]:
        """The rows that uv makes of the requirements *texts* in the file *path*."""
        found: list[_Row] = []
        own = self.projects.get(path, {})
        stated = {
            normalise_name(name): value
            for document in (self.root, own)
            for name, value in _table(document, "tool", "uv", "sources").items()
            if sources
        }
        for text in _texts(texts):
            try:
                requirement = Requirement(text)
            except (InvalidRequirement, ValueError):
                self.unknown.append(f"a requirement of {path} is none")
                continue
            name = normalise_name(requirement.name)
            marker = str(requirement.marker) if requirement.marker else ""
            base = _Row(
                name=name,
                extras=frozenset(normalise_name(one) for one in requirement.extras),
                specifier=str(requirement.specifier),
                marker=_both(marker, f"extra == '{extra}'" if extra else ""),
                source=_direct(requirement.url) if requirement.url else ("", ""),
            )
            found += _placed(base, stated.get(name), posixpath.dirname(path), extra=extra, group=group)
        return found

    def listed(self, asked: list[_Row], recorded: object, where: str, *, word: str = "requirement") -> None:
        """Whether the rows *asked* for are those that the lock has *recorded*."""
        locked = [_recorded(row) for row in recorded if isinstance(row, dict)] if isinstance(recorded, list) else []
        wished_of, had_of = _by_name(asked), _by_name(locked)
        for name in dict.fromkeys([*wished_of, *had_of]):
            wished, had = wished_of.get(name, []), had_of.get(name, [])
            if wished == had or any(row.source[0] == "several" for row in wished):
                continue  # which of several sources counts where is uv's to say
            if not had:
                self.stale.append(f"{where} asks for {name}, and the lock was made without it")
            elif not wished:
                self.stale.append(f"the lock was made with the {word} {name}, which {where} does not have")
            else:
                self.alike(wished, had, name, where)

    def alike(self, wished: list[_Row], had: list[_Row], name: str, where: str) -> None:
        """Whether each row that is *wished* for has an equal among those that the lock *had*, and the other way around."""
        self.trials += 2 * len(wished) * len(had)
        if self.trials > _MOST_TRIALS:
            self.unknown.append(f"the requirements of {name} in {where} are too many to compare")
            return
        wished, had = self.needed(wished), self.needed(had)
        differences = [
            min((self.difference(row, other) for other in others), key=_WEIGHTS.index)
            for rows, others in ((wished, had), (had, wished))
            for row in rows
        ]
        worst = max(differences, key=_WEIGHTS.index)
        if worst == "unknown":
            self.unknown.append(f"the marker of {name} in {where} can not be compared")
        elif worst:
            self.stale.append(f"the {worst} of {name} in {where} is not what the lock was made with")

    def needed(self, rows: list[_Row]) -> list[_Row]:
        """*rows* without those that another one of them implies: uv does not mind whether such a row is there."""
        kept = list(rows)
        for row in rows:
            if any(row is not other and self.implies(other, row) for other in kept):
                kept.remove(row)
        return kept

    def implies(self, one: _Row, other: _Row) -> bool:
        """Whether all that *other* asks for, *one* asks for too."""
        if one.source != other.source or not one.extras >= other.extras:
            return False
        if not set(other.specifier.split(",")) - {""} <= set(one.specifier.split(",")):
            return False
        return (
            not one.marker
            or mean_the_same(_both(other.marker, one.marker), other.marker, self.locked_python, self.patience) is True
        )

    def difference(self, one: _Row, other: _Row) -> str:
        """In what the two rows differ, empty where in nothing."""
        kinds = {one.source[0], other.source[0]}
        same = len(kinds) == 1 or ("member" in kinds and kinds <= {"member", "editable", "local"})
        if not same or (one.source[1] and other.source[1] and one.source[1] != other.source[1]):
            return "source"
        if not one.source[0] and not _same_specifier(one.specifier, other.specifier):
            return "version"
        if one.extras != other.extras:
            return "set of extras"
        alike = mean_the_same(one.marker, other.marker, self.locked_python, self.patience)
        return "" if alike else "marker" if alike is False else "unknown"


#: What two rows may differ in, the least first.
_WEIGHTS: Final = ("", "unknown", "marker", "set of extras", "version", "source")


def _placed(row: _Row, stated: object, folder: str, *, extra: str, group: str) -> list[_Row]:
    """*row* with the source that ``tool.uv.sources`` *stated* for its name in a file of *folder*."""
    entries = [entry for entry in (stated if isinstance(stated, list) else [stated]) if isinstance(entry, dict)]
    entries = [
        entry
        for entry in entries
        if ("extra" not in entry or normalise_name(str(entry["extra"])) == extra)
        and ("group" not in entry or normalise_name(str(entry["group"])) == group)
    ]
    if len(entries) > 1 or any("marker" in entry for entry in entries):
        return [_Row(name=row.name, source=("several", ""))]
    if not entries:
        return [row]
    entry = entries[0]
    source = ("", "")
    if isinstance(entry.get("git"), str):
        reference = next((str(entry[key]) for key in ("rev", "tag", "branch") if key in entry), "")
        source = ("git", f"{_repository(entry['git'])} {reference} {entry.get('subdirectory', '')}")
    elif isinstance(entry.get("url"), str):
        source = ("url", entry["url"])
    elif isinstance(entry.get("path"), str):
        place = entry["path"]
        kind = "editable" if entry.get("editable") is True else "local"
        source = (kind, place if place.startswith("/") else posixpath.normpath(posixpath.join(folder, place)))
    elif "workspace" in entry:
        source = ("member", "")
    return [_Row(name=row.name, extras=row.extras, specifier=row.specifier, marker=row.marker, source=source)]


def _recorded(row: dict[str, Any]) -> _Row:
    """A row of the lock."""
    source = ("", "")
    if isinstance(row.get("git"), str):
        source = _git(row["git"])
    elif isinstance(row.get("url"), str):
        source = ("url", row["url"])
    else:
        kind = next((kind for kind in _LOCAL if isinstance(row.get(kind), str)), "")
        source = (kind if kind in {"", "editable"} else "local", posixpath.normpath(row[kind])) if kind else source
    return _Row(
        name=normalise_name(str(row.get("name"))),
        extras=frozenset(normalise_name(extra) for extra in _texts(row.get("extras"))),
        specifier=row["specifier"] if isinstance(row.get("specifier"), str) else "",
        marker=row["marker"] if isinstance(row.get("marker"), str) else "",
        source=source,
    )


def _direct(url: str) -> tuple[str, str]:
    """The source that the URL of a requirement is."""
    if url.startswith("git+"):
        base, _, fragment = url.removeprefix("git+").partition("#")
        scheme, separator, rest = base.partition("://")
        at = rest.rfind("@")
        reference = rest[at + 1 :] if at > rest.find("/") >= 0 else ""
        repository = rest[:at] if reference else rest
        subdirectory = parse_qs(fragment).get("subdirectory", [""])[0]
        return "git", f"{_repository(scheme + separator + repository)} {reference} {subdirectory}"
    return ("local", "") if url.startswith("file:") else ("url", url)


def _git(url: str) -> tuple[str, str]:
    """The source of a repository as a lock's row has it: what was asked for stands in the query."""
    base, _, rest = url.partition("?")
    query = parse_qs(rest.partition("#")[0])
    reference = next((query[key][0] for key in ("rev", "tag", "branch") if key in query), "")
    return "git", f"{_repository(base.partition('#')[0])} {reference} {query.get('subdirectory', [''])[0]}"


def _repository(url: str) -> str:
    """A repository's URL, less what does not count: a user, an ending."""
    try:
        parts = urlsplit(url)
        return f"{(parts.hostname or '').lower()}{parts.path}".rstrip("/").removesuffix(".git")
    except ValueError:
        return url


def included(groups: Mapping[str, object], name: str) -> list[str]:
    """The requirements of the group *name*, those of the groups that it includes among them, each group once."""
    found: list[str] = []
    waiting, seen = [name], {name}
    while waiting:
        value = groups.get(waiting.pop())
        for entry in value if isinstance(value, list) else ():
            if isinstance(entry, str):
                found.append(entry)
            elif isinstance(entry, dict) and isinstance(entry.get("include-group"), str):
                other = normalise_name(entry["include-group"])
                if other not in seen:
                    seen.add(other)
                    waiting.append(other)
    return found


def _by_name(rows: Iterable[_Row]) -> dict[str, list[_Row]]:
    """*rows* by their name, each once."""
    found: dict[str, list[_Row]] = {}
    for row in dict.fromkeys(rows):
        found.setdefault(row.name, []).append(row)
    return found


def _bounds(requires_python: str, other: str) -> tuple[str, str] | None:
    """The oldest and the newest release of Python that *requires_python* admits, of those that it and *other* tell apart."""
    minors = versions_admitted(requires_python)
    try:
        specifiers = SpecifierSet(requires_python)
    except (InvalidSpecifier, ValueError):
        return None
    if minors is None:
        return None
    micros = sorted(
        {
            0,
            999,
            *(int(number) + step for number in re.findall(r"\b3\.\d+\.(\d{1,4})", f"{requires_python} {other}") for step in (0, 1)),
        }
    )
    releases = [f"{minor}.{micro}" for minor in minors for micro in micros if specifiers.contains(f"{minor}.{micro}")]
    return (releases[0], releases[-1]) if releases else ("", "")


def _same_specifier(one: str, other: str) -> bool:
    try:
        return SpecifierSet(one) == SpecifierSet(other)
    except (InvalidSpecifier, ValueError):
        return one == other


def _both(one: str, other: str) -> str:
    return f"({one}) and ({other})" if one and other else one or other


def _any_of(value: object) -> str:
    texts = _texts(value) if isinstance(value, list) else [value] if isinstance(value, str) else []
    return " or ".join(f"({text})" for text in texts)


def _fits(folder: str, pattern: str) -> bool:
    """Whether *folder* is one that a workspace's *pattern* means; a ``*`` is of one folder's name."""
    parts, wanted = posixpath.normpath(folder).split("/"), posixpath.normpath(pattern).split("/")
    if "**" in wanted:
        return fnmatch.fnmatchcase(folder, pattern)
    return len(parts) == len(wanted) and all(map(fnmatch.fnmatchcase, parts, wanted))


def _place(row: dict[str, Any]) -> str:
    """The folder of a package that is one, else empty."""
    source = row.get("source")
    if not isinstance(source, dict):
        return ""
    return next((source[kind] for kind in _LOCAL[:3] if isinstance(source.get(kind), str)), "")


def _name(document: dict[str, Any]) -> str:
    name = _table(document, "project").get("name")
    return normalise_name(name) if isinstance(name, str) else ""


def _table(document: object, *keys: str) -> dict[str, Any]:
    """The table at *keys*, an empty one where there is none."""
    for key in keys:
        document = document.get(key) if isinstance(document, dict) else None
    return document if isinstance(document, dict) else {}


def _set(value: object) -> object:
    """A list of names as a set of them, normalised; anything else as it is."""
    return frozenset(normalise_name(name) for name in _texts(value)) if isinstance(value, list) else value


def _texts(value: object) -> list[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []
