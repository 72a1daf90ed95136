"""Where a lock's packages come from: whether the place can change under it, can be listened to, or is one of several."""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from sanctity.linting.subject import finding, some
from sanctity.model.drift import Severity
from sanctity.model.lock import Ecosystem, LockFormat, SourceKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sanctity.linting.subject import Subject
    from sanctity.model.finding import Finding
    from sanctity.model.lock import Lock, Pin

__all__ = ["artifact_elsewhere", "indexes_several", "source_insecure", "source_mutable"]

#: Schemes that neither hide what is fetched nor say who serves it.
_OPEN: Final = re.compile(r"(?:git\+|hg\+|svn\+|bzr\+)?(http|git|ftp|svn):", re.IGNORECASE)
#: This machine itself: nobody listens between.
_HERE: Final = re.compile(r"(?:localhost|127(?:\.\d+){3}|::1)", re.IGNORECASE)
_MOVING: Final = re.compile(r"[@/](latest|main|master|HEAD|nightly|stable)(?=[./@?#-]|$)")
_ABSOLUTE: Final = re.compile(r"/|~|file:|[A-Za-z]:[\\/]|\\\\")
#: The index that is asked where no --index-url names another one.
_DEFAULT: Final = "the default index"
#: How many files an index must have in one place before another place is strange, and how many at most may be strange.
_ENOUGH: Final = 10
_STRANGE: Final = 0.1


def source_mutable(subject: Subject) -> Iterator[Finding]:
    """Sources that can hold something else tomorrow: a branch or tag, a URL without a hash, a folder outside of the project."""
    for pin in subject.lock.pins:
        source = pin.source
        match source.kind:
            case SourceKind.GIT if not source.revision:
                message = f"{source.location} at no full commit: a branch or tag can be moved"
                yield finding("source-mutable", message, pin=pin, hint="name the full commit", about=(source.location,))
            case SourceKind.URL if not any(artifact.digests for artifact in pin.artifacts):
                moving = _MOVING.search(source.location)
                said = f", and says {moving[1]!r}" if moving else ""
                message = f"{source.location} has no hash{said}: what it serves can change"
                hint = "give its hash: #sha256=… after the URL, or lock again"
                yield finding("source-mutable", message, pin=pin, hint=hint, about=(source.location,))
            case SourceKind.EDITABLE | SourceKind.DIRECTORY if _is_outside(source.location, subject.inside):
                absolute = _ABSOLUTE.match(source.location) is not None
                why = "is a place of one machine" if absolute else "lies outside of the project"
                message = f"the folder {source.location} {why}, and nothing says what is in it"
                severity = Severity.WARNING if absolute else Severity.NOTE
                hint = "lock a release, or a repository at a commit"
                yield finding("source-mutable", message, pin=pin, hint=hint, severity=severity, about=(source.location,))
            case _:
                pass


def _is_outside(location: str, inside: str) -> bool:
    """Whether the folder *location*, as seen from the lock's own, lies outside of the repository, in which that is *inside*."""
    if _ABSOLUTE.match(location):
        return True
    path = posixpath.normpath(posixpath.join(inside, location.replace("\\", "/")))
    return path == ".." or path.startswith("../")


class _Place(NamedTuple):
    """A scheme and host that is used: what is fetched from there, *bare* of it without a hash, and *where* first."""

    names: list[str]
    bare: list[str]
    where: str


def source_insecure(subject: Subject) -> Iterator[Finding]:
    """Places that are asked over an open line: one finding a place, since one setting names it."""
    places: dict[str, _Place] = {}

    def see(url: str, pin: Pin | None, *, hashed: bool) -> None:
        match = _OPEN.match(url)
        if match is None:
            return
        host = _host(url[match.start(1) :])
        if _HERE.fullmatch(host):
            return
        place = places.setdefault(f"{match[1].lower()}://{host}", _Place([], [], pin.where if pin is not None else ""))
        if pin is not None and pin.name not in place.names:
            place.names.append(pin.name)
            if not hashed:
                place.bare.append(pin.name)

    for index in subject.lock.indexes:
        see(index, None, hashed=False)
    yield from _trusted(subject.lock)
    for pin in subject.lock.pins:
        held = bool(pin.artifacts) and all(artifact.digests for artifact in pin.artifacts)
        see(pin.source.location, pin, hashed=held or bool(pin.source.revision))
        for artifact in pin.artifacts:
            see(artifact.location, pin, hashed=bool(artifact.digests))
    for place, (names, bare, where) in places.items():
        serves = f" serves {some(names)}" if names else " is an index"
        held = bool(names) and not bare
        message = f"{place}{serves}: who sits on the line sees what is asked" + ("" if held else ", and can answer in its place")
        severity = Severity.NOTE if held else Severity.WARNING
        about = tuple(f"{place} {name}" for name in bare or names) or (place,)
        number = max(1, len(names))
        yield finding("source-insecure", message, hint="use https", where=where, severity=severity, count=number, about=about)


def _trusted(lock: Lock) -> Iterator[Finding]:
    """Hosts that a requirements file has pip believe whoever answers for them."""
    held = bool(lock.pins) and all(pin.artifacts and all(each.digests for each in pin.artifacts) for pin in lock.pins)
    for option, host in lock.settings:
        if option == "--trusted-host" and not any(_HERE.fullmatch(name.strip("[]")) for name in (host, host.rpartition(":")[0])):
            said = "sees what is asked" + ("" if held else ", and can answer in its place")
            message = f"{host} needs no certificate (--trusted-host): who sits on the line {said}"
            severity = Severity.NOTE if held else Severity.WARNING
            hint = "take the line out, and give pip the host's certificate (--cert)"
            yield finding("source-insecure", message, hint=hint, severity=severity, about=(f"trusted {host}",))


def indexes_several(subject: Subject) -> Iterator[Finding]:
    """Several indexes: whoever can put a name on one of them can stand in for what another has."""
    lock = subject.lock
    if lock.format is LockFormat.REQUIREMENTS:
        asked = _asked(lock)
        if len(asked) > 1:
            held = all(pin.artifacts and all(a.digests for a in pin.artifacts) for pin in lock.pins if pin.version)
            said = (
                "hashes hold what was locked, and not what is locked next"
                if held
                else "the highest version of any of them is taken"
            )
            message = f"{len(asked)} indexes are asked for every name, {_hosts(asked)}: {said}"
            severity = Severity.NOTE if held and lock.pins else Severity.WARNING
            hint = "use one index that mirrors the others, or a lock that names the index of each package"
            yield finding("indexes-several", message, hint=hint, severity=severity, about=asked)
        return
    used = Counter(
        pin.source.location
        for pin in lock.pins
        if pin.source.kind is SourceKind.REGISTRY and pin.ecosystem is Ecosystem.PYPI and pin.source.location
    )
    if len(used) > 1:
        main = used.most_common(1)[0][0]
        others = [pin.name for pin in lock.pins if pin.source.location in used and pin.source.location != main]
        message = f"{len(used)} indexes are used, {_hosts(tuple(used))}; not from the first: {some(list(dict.fromkeys(others)))}"
        hint = "see that each name is tied to its index, so that no other can stand in for it"
        yield finding("indexes-several", message, hint=hint, severity=Severity.NOTE, count=len(used), about=tuple(used))


def _asked(lock: Lock) -> tuple[str, ...]:
    """The indexes that pip asks for the names of a requirements file: the default one too, where only more of them are named."""
    options = {option for option, _ in lock.settings}
    if "--no-index" in options:
        return ()
    default = () if "--index-url" in options or "--extra-index-url" not in options else (_DEFAULT,)
    return (*default, *lock.indexes)


def _hosts(urls: tuple[str, ...]) -> str:
    return some([url.rpartition("://")[2].rstrip("/") or url for url in urls], 3)


def _host(url: str) -> str:
    """The host of *url*, empty where it has none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def artifact_elsewhere(subject: Subject) -> Iterator[Finding]:
    """Files that a lock takes from another host than all other files of the same index: that is what a forged entry looks like."""
    hosts: dict[str, Counter[str]] = {}
    for pin, host, _ in _served(subject):
        hosts.setdefault(pin.source.location, Counter())[host] += 1
    usual = {}
    for index, counted in hosts.items():
        host, number = counted.most_common(1)[0]
        if number >= _ENOUGH and number >= counted.total() * (1 - _STRANGE) and len(counted) > 1:
            usual[index] = host
    if not usual:
        return
    for pin, host, where in _served(subject):
        expected = usual.get(pin.source.location)
        if expected is not None and host not in {expected, _host(pin.source.location)}:
            message = f"its file comes from {host}, and those of the same index from {expected}"
            hint = "see who changed this entry; then " + subject.remedy if subject.remedy else "see who changed this entry"
            yield finding("artifact-elsewhere", message, pin=pin, where=where, hint=hint, about=(host,))


def _served(subject: Subject) -> Iterator[tuple[Pin, str, str]]:
    """Each file that is named by a URL, of what comes from a named index: its pin, its host, and its place in the lock."""
    for pin in subject.lock.pins:
        if pin.source.kind is SourceKind.REGISTRY and pin.ecosystem is Ecosystem.PYPI and "://" in pin.source.location:
            for artifact in pin.artifacts:
                host = _host(artifact.location)
                if host:
                    yield pin, host, artifact.where or pin.where
