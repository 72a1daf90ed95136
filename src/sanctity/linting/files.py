"""The files that a lock names: whether their names are the package's, and whether there is a wheel to install."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from packaging.version import InvalidVersion, Version

from sanctity.compare.markers import environment_of
from sanctity.compare.selection import select
from sanctity.compare.tags import rank_of, tags_of
from sanctity.errors import SanctityError
from sanctity.linting.subject import finding, some
from sanctity.model.drift import Severity
from sanctity.model.lock import Ecosystem, LockFormat, SourceKind
from sanctity.model.names import normalise_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sanctity.linting.subject import Subject
    from sanctity.model.finding import Finding
    from sanctity.model.lock import Pin

__all__ = ["filename_mismatch", "no_wheel_for_platform", "sdist_only", "wheel_hook", "wheel_runpath"]

_FILES: Final = frozenset({SourceKind.REGISTRY, SourceKind.URL, SourceKind.FILE})
_SDIST: Final = re.compile(r"(.+?)\.(?:tar(?:\.(?:gz|bz2|xz|lzma|lz|Z|zst))?|tgz|tbz2?|txz|zip)", re.IGNORECASE)
#: Installers of old: their names go on after the version.
_OLD: Final = re.compile(r"(.+?)\.(?:egg|exe|msi|rpm|deb|dmg)", re.IGNORECASE)
#: Where, in the name of such an installer, the version can end and what it was built for can begin.
_BUILT_FOR: Final = re.compile(r"[-.](?=[a-z])|$")
_CONDA: Final = re.compile(r"(?P<name>.+)-(?P<version>[^-]+)-(?P<build>[^-]+)\.(?:conda|tar\.bz2)")
#: A release of Python, of which its minor version decides what fits.
_MICRO: Final = re.compile(r"(\b3\.\d+)\.\d+\S*")
_SEPARATORS: Final = re.compile(r"[-_.]+")


def filename_mismatch(subject: Subject) -> Iterator[Finding]:
    """Files whose names are another project's, or another version's: what would be installed is not what the entry says."""
    for pin in subject.lock.pins:
        if not pin.name or pin.source.kind not in _FILES:
            continue
        for artifact in pin.artifacts:
            name = artifact.filename
            if name and not _fits(name, pin):
                message = f"its file is called {name}, which is not {pin.name} {pin.version}".rstrip()
                about = (f"{name} for {pin.version}".removesuffix(" for "),)
                yield finding("filename-mismatch", message, pin=pin, where=artifact.where, hint=_see(subject.remedy), about=about)


def _fits(filename: str, pin: Pin) -> bool:
    """Whether *filename* can be a file of *pin*; a name that says nothing can."""
    if pin.ecosystem is Ecosystem.CONDA:
        match = _CONDA.fullmatch(filename)
        if match is None or not pin.version:
            return True
        return (match["name"], match["version"]) == (pin.name, pin.version) and pin.build in {"", match["build"]}
    if filename.lower().endswith(".whl"):
        parts = filename.split("-")
        return len(parts) in {5, 6} and normalise_name(parts[0]) == pin.name and _same(parts[1], pin.version)
    if pin.source.kind is not SourceKind.REGISTRY:
        return True  # an archive of a forge is called as the forge likes
    if sdist := _SDIST.fullmatch(filename):
        return any(_same(rest, pin.version) for rest in _after_name(sdist[1], pin))
    old = _OLD.fullmatch(filename)  # no index has other kinds, but what has an ending of its own is no way around this
    stem = old[1] if old else filename
    return any(_same(rest[: end.start()], pin.version) for rest in _after_name(stem, pin) for end in _BUILT_FOR.finditer(rest))


def _see(remedy: str) -> str:
    return f"see who changed this entry; then {remedy}" if remedy else "see who changed this entry"


def _after_name(stem: str, pin: Pin) -> Iterator[str]:
    """What follows the name of *pin* in *stem*, for each place where that can end (``Foo-Bar_1.0``)."""
    for cut in re.finditer("[-_.]", stem):
        if normalise_name(stem[: cut.start()]) == pin.name:
            yield stem[cut.end() :]


def _same(one: str, other: str) -> bool:
    """Whether two spellings, one of them in a file name, are one version; a version without a local part takes any."""
    if not other or one == other:
        return True
    first, second = _version(one.replace("_", "+", 1) if "+" not in one else one), _version(other)
    first = first or _version(one.replace("_", "-"))
    if first is None or second is None:
        return _SEPARATORS.sub("-", one).lower() == _SEPARATORS.sub("-", other).lower()
    return first == second or (second.local is None and first.public == second.public)


@lru_cache(maxsize=1 << 12)
def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except (InvalidVersion, ValueError):
        return None


def sdist_only(subject: Subject) -> Iterator[Finding]:
    """Releases without any wheel: installing them runs their build, and what that gives is not what was hashed."""
    for pin in subject.lock.pins:
        names = _file_names(pin)
        if names and not any(name.endswith((".whl", ".egg", ".exe")) for name in names):
            hint = "build it once and keep the wheel (`sanctity archive add LOCK --archive DIR`), or ask the project for wheels"
            yield finding("sdist-only", "there is no wheel of it, so installing it runs its own build", pin=pin, hint=hint)


def _file_names(pin: Pin) -> list[str]:
    """The names of the files of *pin*, empty where one of them has none: then it is not known what there is."""
    if pin.ecosystem is not Ecosystem.PYPI or pin.source.kind not in _FILES:
        return []
    names = [artifact.filename for artifact in pin.artifacts]
    return names if all(names) else []


def no_wheel_for_platform(subject: Subject) -> Iterator[Finding]:
    """Releases that have wheels, and none for the Python and platform that were asked about."""
    lock, interpreter = subject.lock, subject.interpreter
    if interpreter is None or lock.format in {LockFormat.CONDA_LOCK, LockFormat.PIXI, LockFormat.CONDA_EXPLICIT}:
        return
    tags = tags_of(interpreter)
    files = {pin: _file_names(pin) for pin in lock.pins}
    wheels = {pin: names for pin, names in files.items() if any(name.endswith(".whl") for name in names)}
    if not tags or not wheels:
        return
    try:
        selected = select(lock, environment_of(interpreter), {})
    except SanctityError:  # a marker that is none: its reader has told
        return
    for pin in dict.fromkeys((*selected.expected, *selected.allowed)):
        names = wheels.get(pin)
        if names is None or any(rank_of(name, tags) is not None for name in names):
            continue
        built = any(not name.endswith(".whl") for name in names)
        what = "it is built from source there" if built else "it can not be installed there"
        message = f"no wheel fits {subject.judged_for}: {what}"
        severity = Severity.NOTE if built else Severity.WARNING
        about = _MICRO.sub(r"\1", subject.judged_for.partition(",")[0])
        yield finding("no-wheel-for-platform", message, pin=pin, severity=severity, about=(about,))


def wheel_hook(subject: Subject) -> Iterator[Finding]:
    """Wheels that bring a file whose code Python runs at each start."""
    for pin in subject.lock.pins:
        facts = subject.opened.get((pin.name, pin.version))
        for hook in facts.hooks if facts is not None else ():
            message = f"{hook.path} runs at each start of Python" + (f": {hook.effect}" if hook.effect else "")
            yield finding("wheel-hook", message, pin=pin)


def wheel_runpath(subject: Subject) -> Iterator[Finding]:
    """Wheels whose machine code looks for libraries in a folder of the machine that built it."""
    for pin in subject.lock.pins:
        facts = subject.opened.get((pin.name, pin.version))
        if facts is None or not facts.runpaths:
            continue
        folders = list(dict.fromkeys(folder for _, folder in facts.runpaths))
        paths = list(dict.fromkeys(path for path, _ in facts.runpaths))
        message = f"{some(paths, 2)} looks for libraries in {some(folders, 2)}: who can write there, decides what it loads"
        yield finding("wheel-runpath", message, pin=pin, count=len(paths), about=tuple(folders))
