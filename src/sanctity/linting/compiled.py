"""Locks that keep neither what was asked for nor a hash of it: each requirement of their inputs has a row that satisfies it.

That finds what was added to the inputs, and what was moved out of what is locked. It does not find what was taken out of them,
since a row may be there for the sake of another. A requirement with a marker may have no row: then it did not hold where the
file was made.

pip-compile and ``uv pip compile`` write the command into the first lines, and with it its inputs. conda-lock names its sources.
pixi locks the pixi.toml, or the pyproject.toml, beside it.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from typing import TYPE_CHECKING, Any, Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from sanctity.linting.conditions import parsed
from sanctity.linting.paths import relative
from sanctity.linting.uv_inputs import included
from sanctity.lockfiles import requirements
from sanctity.lockfiles.toml import load
from sanctity.model.digest import Digest
from sanctity.model.lock import Ecosystem, LockFormat
from sanctity.model.names import SEEDS, normalise_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sanctity.model.lock import Lock

__all__ = ["compare", "inputs_named", "sources", "wants"]

_PYPROJECT: Final = "pyproject.toml"
_HEAD: Final = 8192
_COMMAND: Final = re.compile(r"^#[ \t]+((?:python[0-9.]* -m )?(?:piptools compile|pip-compile|uv pip compile)\b.*)$", re.MULTILINE)
#: Options of both commands that take a value, which is no input.
_VALUED: Final = frozenset(
    (  # noqa: SIM905 - sixty words read better than sixty texts
        "-o --output-file -c --constraint --constraints -b --build-constraint --build-constraints --override --overrides --exclude "
        "--excludes --extra --group --only-group -i --index-url --default-index --index --extra-index-url -f --find-links -p "
        "--python --python-version --python-platform --torch-backend --resolver --resolution --prerelease --fork-strategy "
        "--index-strategy --keyring-provider --annotation-style --format --pip-args --cert --client-cert --cache-dir --config "
        "--config-file --unsafe-package --no-emit-package --no-binary --only-binary -P --upgrade-package --upgrade-group "
        "--refresh-package --reinstall-package --exclude-newer --exclude-newer-package --exclude-newer-span --color --directory "
        "--project -C --config-setting --config-settings --config-settings-package --no-build-isolation-package "
        "--no-build-package --no-binary-package --no-sources-package --trusted-host --allow-insecure-host --link-mode "
        "--custom-compile-command --newline --max-rounds --src-file --preview-features"
    ).split()
)
#: What pip-compile compiles where it is told nothing: the first of these that is there.
_BY_DEFAULT: Final = ("requirements.in", "setup.py", _PYPROJECT, "setup.cfg")
_NOTHING: Final = Digest("sha256", "0" * 64)
_CONDA_TERM: Final = re.compile(r"(>=|<=|==|!=|~=|>|<|=)?\s*(\d[0-9A-Za-z.]*?)(\.?\*)?")


#: A row of an environment.yml with a selector of conda-lock's: ``- cudatoolkit  # [linux]``.
_SELECTED: Final = re.compile(r"^\s*-\s*['\"]?(?:[\w./-]+::)?([\w.-]+)[^\n#]*#\s*\[", re.MULTILINE)


def inputs_named(text: str) -> tuple[list[str], dict[str, list[str]]] | None:
    """The inputs that the first lines of the compiled file *text* name, and each option's values; None where none are named."""
    found = _COMMAND.search(text[:_HEAD])
    if found is None:
        return None
    try:
        words = shlex.split(found[1])
    except ValueError:
        return None
    inputs: list[str] = []
    options: dict[str, list[str]] = {}
    at = next(index for index, word in enumerate(words) if word.endswith("compile")) + 1
    while at < len(words):
        word = words[at]
        at += 1
        option, equals, value = word.partition("=")
        if word == "-" or not word.startswith("-"):
            inputs.append(word)
        elif equals:
            options.setdefault(option, []).append(value)
        elif option in _VALUED and at < len(words):
            options.setdefault(option, []).append(words[at])
            at += 1
        else:
            options.setdefault(option, [])
    return inputs, options


def _groups(options: Mapping[str, list[str]]) -> list[tuple[str, str]]:
    """The dependency groups that a command compiles, each with the file that it is of."""
    named = [value.rpartition(":") for key in ("--group", "--only-group") for value in options.get(key, ())]
    return [(path or _PYPROJECT, normalise_name(name)) for path, _, name in named]


def wants(text: str, beside: Mapping[str, str]) -> tuple[str, ...]:
    """The inputs that a compiled file names, and the files that those include."""
    named = inputs_named(text)
    if named is None:
        return ()
    groups = [path for path, _ in _groups(named[1])]
    inputs = [*named[0], *groups] or _BY_DEFAULT
    found = [posixpath.normpath(path) for path in inputs if _readable(path)]
    for path in filter(None, (_found(name, beside) for name in inputs)):
        if not path.endswith((".toml", ".cfg", ".py")):
            found += [
                posixpath.normpath(posixpath.join(posixpath.dirname(path), more)) for more in requirements.wants(beside[path])
            ]
    return tuple(dict.fromkeys(found))


def sources(text: str) -> tuple[str, ...]:
    """The sources that a conda-lock.yml names."""
    found = re.search(r"^  sources:\n((?:  - [^\n]+\n)+)", text, re.MULTILINE)
    return tuple(posixpath.normpath(line[4:].strip("'\" ")) for line in found[1].splitlines()) if found else ()


def compare(format: LockFormat, text: str, beside: Mapping[str, str], lock: Lock) -> tuple[list[str], list[str]]:  # noqa: A002
    """What of the inputs, *beside*, the *lock* has no row for, and what could not be told."""
    match format:
        case LockFormat.REQUIREMENTS:
            return _compiled(text, beside, lock)
        case LockFormat.PIXI:
            return _pixi(beside, lock)
        case _:
            return _conda_lock(text, beside, lock)


# --- pip-compile, uv pip compile


def _compiled(text: str, beside: Mapping[str, str], lock: Lock) -> tuple[list[str], list[str]]:
    named = inputs_named(text)
    if named is None:
        return [], []
    inputs, options = named
    stale: list[str] = []
    unknown: list[str] = []
    left_out = {normalise_name(name) for key in ("--no-emit-package", "--unsafe-package") for name in options.get(key, ())}
    if "--allow-unsafe" not in options:
        left_out |= SEEDS | {"distribute"}
    pins = _by_name(lock)
    groups = _groups(options)
    if not inputs and not groups:
        inputs = [next((name for name in _BY_DEFAULT if name in beside), _BY_DEFAULT[0])]
    unknown += _absent(name for name in (*inputs, *(path for path, _ in groups)) if not _found(name, beside))
    for path, group in groups:
        for name, specifier, marker in _of_group(beside.get(_found(path, beside), ""), path, group, unknown):
            stale += _unmet(name, specifier, marker, pins, f"the group {group} of {path}") if name not in left_out else ()
    for path in filter(None, (_found(name, beside) for name in inputs)):
        if path.endswith(".toml"):
            asked = _of_pyproject(beside[path], path, options, unknown)
        elif path.endswith((".cfg", ".py")):
            unknown.append(f"what {path} asks for is its build backend's to say")
            continue
        else:
            asked = _of_requirements(path, beside)
        for name, specifier, marker in asked:
            if name not in left_out:
                stale += _unmet(name, specifier, marker, pins, path)
    return stale, unknown


def _absent(names: Iterable[str]) -> list[str]:
    return [f"{name if _readable(name) else 'an input that is no file'}, which it was made from, is not at hand" for name in names]


def _found(name: str, beside: Mapping[str, str]) -> str:
    """The path in *beside* of the input that a command calls *name*; it may have been run in a folder further up."""
    parts = posixpath.normpath(name).split("/")
    tails = ("/".join(parts[index:]) for index in range(min(len(parts), 8)))
    return next((tail for tail in tails if tail in beside), "")


def _unmet(name: str, specifier: str, marker: str, pins: Mapping[str, list[str]], path: str) -> Iterator[str]:
    versions = pins.get(name)
    if versions is None:
        if not marker:
            yield f"{path} asks for {name}, and the lock has no row for it"
        return
    try:
        wanted = SpecifierSet(specifier)
    except (InvalidSpecifier, ValueError):
        return
    known = [version for version in versions if parsed(version) is not None]
    if len(known) == len(versions) and not any(wanted.contains(version, prereleases=True) for version in known):
        yield f"{path} asks for {name}{specifier}, and the lock has {', '.join(known)}"


def _of_pyproject(text: str, path: str, options: Mapping[str, list[str]], unknown: list[str]) -> list[tuple[str, str, str]]:
    document = load(text, path=path, hint="")
    project = document.get("project")
    project = project if isinstance(project, dict) else {}
    dynamic = project.get("dynamic")
    if not project or (isinstance(dynamic, list) and {"dependencies", "optional-dependencies"} & {str(one) for one in dynamic}):
        unknown.append(f"what {path} asks for is its build backend's to say")
        return []
    texts: list[object] = list(project.get("dependencies") or ()) if isinstance(project.get("dependencies"), list) else []
    optional = project.get("optional-dependencies")
    wanted = {normalise_name(name) for value in options.get("--extra", ()) for name in value.split(",")}
    for extra, more in (optional if isinstance(optional, dict) else {}).items():
        if ("--all-extras" in options or normalise_name(extra) in wanted) and isinstance(more, list):
            texts += more
    own = normalise_name(str(project.get("name", "")))
    return [one for one in _requirements(texts) if one[0] != own]


def _of_group(text: str, path: str, group: str, unknown: list[str]) -> list[tuple[str, str, str]]:
    groups = {normalise_name(name): value for name, value in _table(load(text, path=path, hint=""), "dependency-groups").items()}
    if text and group not in groups:
        unknown.append(f"{path} has no group {group}, which it was made from")
    return _requirements(included(groups, group))


def _requirements(texts: Iterable[object]) -> list[tuple[str, str, str]]:
    """The name, specifier and marker of each of *texts* that is a requirement."""
    found = []
    for text in texts:
        try:
            one = Requirement(str(text))
        except (InvalidRequirement, ValueError):
            continue
        found.append((normalise_name(one.name), str(one.specifier), str(one.marker or "")))
    return found


def _of_requirements(path: str, beside: Mapping[str, str]) -> list[tuple[str, str, str]]:
    folder = posixpath.dirname(path)
    near = {relative(other, folder): text for other, text in beside.items()}
    lock = requirements.parse(beside[path], path=path, digest=_NOTHING, beside=near)
    asked = {edge.name for root in lock.roots for edge in root.dependencies} - {""}  # a constraint asks for nothing
    return [
        (pin.name, pin.specifier or (f"=={pin.version}" if pin.version else ""), pin.marker)
        for pin in lock.pins
        if pin.name in asked
    ]


# --- pixi


def _pixi(beside: Mapping[str, str], lock: Lock) -> tuple[list[str], list[str]]:
    path = "pixi.toml" if "pixi.toml" in beside else _PYPROJECT
    document = load(beside.get(path, ""), path=path, hint="")
    stale: list[str] = []
    project: dict[str, Any] = {}
    if path == _PYPROJECT:
        project = _table(document, "project")
        document = _table(document, "tool", "pixi")
        if not document:
            return [], []
    conda, pypi = _by_name(lock, Ecosystem.CONDA), _by_name(lock, Ecosystem.PYPI)
    default = _table(document, "environments").get("default")
    if isinstance(default, dict) and default.get("no-default-feature"):
        return [], []
    for name, wish in _table(document, "dependencies").items():
        versions = conda.get(name.lower())
        wanted = wish if isinstance(wish, str) else wish.get("version", "*") if isinstance(wish, dict) else "*"
        stale += _unmet_conda(name, str(wanted), versions, path)
    for name, wish in _table(document, "pypi-dependencies").items():
        if isinstance(wish, dict) and "version" not in wish:
            continue  # a folder, repository or URL
        wanted = wish if isinstance(wish, str) else wish.get("version", "") if isinstance(wish, dict) else ""
        if normalise_name(name) in conda:
            continue  # what conda has already, pixi takes
        stale += _unmet(normalise_name(name), "" if wanted in {"*", ""} else str(wanted), "", pypi, path)
    for text in project.get("dependencies") or ():
        try:
            one = Requirement(str(text))
        except (InvalidRequirement, ValueError):
            continue
        if normalise_name(one.name) not in conda:
            stale += _unmet(normalise_name(one.name), str(one.specifier), str(one.marker or ""), pypi, path)
    return stale, []


# --- conda-lock


def _conda_lock(text: str, beside: Mapping[str, str], lock: Lock) -> tuple[list[str], list[str]]:
    from sanctity.lockfiles import environment_yml

    stale: list[str] = []
    unknown = _absent(path for path in sources(text) if path not in beside)
    conda, pypi = _by_name(lock, Ecosystem.CONDA), _by_name(lock, Ecosystem.PYPI)
    for path in sources(text):
        if path not in beside or not re.search(r"\.ya?ml$", path):
            continue
        wished = environment_yml.parse(beside[path], path=path, digest=_NOTHING, beside={})
        some = {name.lower() for name in _SELECTED.findall(beside[path])}
        for pin in wished.pins:
            specifier = pin.specifier or (f"=={pin.version}" if pin.version else "")
            if pin.name in some or pin.platforms:
                continue  # only some platforms have it
            if pin.ecosystem is Ecosystem.CONDA:
                wanted = pin.specifier or (f"={pin.version}" if pin.version else "*")
                stale += _unmet_conda(pin.name, wanted, conda.get(pin.name), path)
            elif pin.name and pin.name not in conda:
                stale += _unmet(pin.name, specifier, pin.marker, pypi, path)
    return stale, unknown


def _unmet_conda(name: str, wanted: str, versions: list[str] | None, path: str) -> Iterator[str]:
    if versions is None:
        yield f"{path} asks for {name}, and the lock has no row for it"
    elif versions and all(_conda_fits(version, wanted) is False for version in versions):
        yield f"{path} asks for {name} {wanted}, and the lock has {', '.join(versions)}"


def _conda_fits(version: str, wanted: str) -> bool | None:
    """Whether *version* is one that conda's *wanted* admits; None where that is not plain."""
    answers: list[bool | None] = []
    for alternative in wanted.split("|"):
        terms = [_conda_term(version, term.strip()) for term in alternative.split(",")]
        answers.append(False if False in terms else None if None in terms else True)
    return True if True in answers else None if None in answers else False


def _conda_term(version: str, term: str) -> bool | None:
    term = term.split(" ", maxsplit=1)[0] if not term.startswith(("<", ">", "=", "!", "~")) else term
    if term in {"*", ""}:
        return True
    found = _CONDA_TERM.fullmatch(term)
    have = parsed(version)
    if found is None or have is None or have.is_prerelease:
        return None
    operator, text, star = found[1] or "==", found[2], bool(found[3])
    want = parsed(text)
    if want is None:
        return None
    if star or operator == "=":
        prefix = want.release
        same = have.release[: len(prefix)] == prefix or (
            have.release == prefix[: len(have.release)] and not any(prefix[len(have.release) :])
        )
        return {"=": same, "==": same, "!=": not same}.get(operator, _compared(have, operator, want))
    return _compared(have, operator, want)


def _compared(have: Any, operator: str, want: Any) -> bool | None:
    match operator:
        case "==":
            return bool(have == want)
        case "!=":
            return bool(have != want)
        case ">=":
            return bool(have >= want)
        case "<=":
            return bool(have <= want)
        case ">":
            return bool(have > want)
        case "<":
            return bool(have < want)
        case _:
            return None


# --- All of them


def _by_name(lock: Lock, ecosystem: Ecosystem = Ecosystem.PYPI) -> dict[str, list[str]]:
    """The versions of each name that the lock has rows for."""
    found: dict[str, list[str]] = {}
    for pin in lock.pins:
        if pin.ecosystem is ecosystem and pin.version not in found.setdefault(pin.name, []):
            found[pin.name].append(pin.version)
    return found


def _readable(path: str) -> bool:
    return path.isprintable() and "://" not in path and path not in {"-", ""}


def _table(document: object, *keys: str) -> dict[str, Any]:
    for key in keys:
        document = document.get(key) if isinstance(document, dict) else None
    return document if isinstance(document, dict) else {}
