"""What it takes to make the environment that a lock describes: which artifact of each pin, for one interpreter.

The interpreter may be one that is only named (`named_interpreter`): no environment is needed to say what it must be.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from sanctity.compare.markers import environment_of
from sanctity.compare.selection import select
from sanctity.compare.tags import rank_of, tags_of
from sanctity.errors import UsageError
from sanctity.model.artifact import Wanted
from sanctity.model.environment import Interpreter
from sanctity.model.lock import SourceKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from packaging.tags import Tag

    from sanctity.compare.selection import Selected
    from sanctity.model.lock import Lock, Pin

__all__ = ["Need", "artifacts_of", "expected_of", "named_interpreter", "needs_of", "with_names"]

_PLATFORM: Final = re.compile(r"linux-(?P<machine>[a-z0-9_]+)(?:-(?P<libc>glibc|musl)(?:[-_]?(?P<version>\d+[._]\d+))?)?")
_PYTHON: Final = re.compile(r"(?:cpython-)?(?P<version>3\.\d+(?:\.\d+(?:(?:a|b|rc)\d+)?)?)(?P<threaded>t?)")
_PLATFORMS: Final = "name one, others are not judged: linux-x86_64-glibc, linux-aarch64-glibc-2.28, linux-x86_64-musl"
#: Sources whose distribution is governed by git, and that no archive holds.
_LOCAL: Final = frozenset({SourceKind.EDITABLE, SourceKind.VIRTUAL})


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What the *pin* takes: the *wheel* that fits best, else *source*, the sdist to build it from; None where there is none.

    *others* are all further wheels that fit, the best first. *unnamed* are artifacts of which the lock gives the hash alone, so
    that it is not known what they are. *local* says that its source is a folder, or a repository: no artifact of the lock is it.
    """

    pin: Pin
    wheel: Wanted | None = None
    others: tuple[Wanted, ...] = ()
    source: Wanted | None = None
    unnamed: tuple[Wanted, ...] = ()
    local: bool = False


def named_interpreter(platform: str, python: str) -> Interpreter:
    """The interpreter *python* (``3.11.7``, ``cpython-3.13t``) on *platform* (``linux-x86_64-glibc``, ``linux-aarch64-musl``).

    Raises:
        UsageError: one of them is no such name.
    """
    where, what = _PLATFORM.fullmatch(platform), _PYTHON.fullmatch(python)
    if where is None:
        raise UsageError("usage", f"{platform!r} is not a platform of Linux", where="--platform", hint=_PLATFORMS)
    if what is None:
        raise UsageError("usage", f"{python!r} is not a Python version", where="--python-version", hint="name it as 3.11.7")
    version = what["version"]
    numbers = re.match(r"3\.\d+", version)
    assert numbers is not None
    libc = f"{where['libc'] or 'glibc'} {(where['version'] or '').replace('_', '.')}".strip()
    abi = f"cpython-{numbers[0].replace('.', '')}{what['threaded']}"
    return Interpreter(version=version, abi=abi, machine=where["machine"], libc=libc, evidence="named")


def artifacts_of(pin: Pin, *, folder: str = "") -> tuple[Wanted, ...]:
    """Every artifact of *pin* as something to be had; *folder* is the absolute folder that the lock's paths start from."""
    index = pin.source.location if pin.source.kind is SourceKind.REGISTRY else ""
    found: list[Wanted] = []
    for artifact in pin.artifacts:
        location = artifact.location
        if location and "://" not in location:
            location = posixpath.normpath(posixpath.join(folder, location)) if folder or location.startswith("/") else ""
        filename = artifact.filename or _name_in(artifact.location)
        common = Wanted(name=pin.name, version=pin.version, filename=filename, location=location, index=index, size=artifact.size)
        if filename or not artifact.digests:
            found.append(replace(common, digests=artifact.digests))
        else:  # a requirement's hashes are of one file each
            found.extend(replace(common, digests=(digest,)) for digest in artifact.digests)
    return tuple(found)


def _name_in(location: str) -> str:
    name = unquote(urlsplit(location).path).rpartition("/")[2]
    return name if name.endswith((".whl", ".tar.gz", ".zip", ".tar.bz2", ".tar.xz", ".tgz")) else ""


def with_names(pin: Pin, names: Mapping[str, tuple[str, str]]) -> Pin:
    """*pin* with the file name and location of each artifact whose hash alone its lock gives, where *names* has them.

    *names* maps ``sha256:…`` to (file name, URL or path, which may be empty).
    """
    artifacts = []
    for artifact in pin.artifacts:
        if artifact.filename or artifact.location:
            artifacts.append(artifact)
            continue
        unknown = []
        for digest in artifact.digests:
            filename, location = names.get(str(digest), ("", ""))
            if filename:
                artifacts.append(replace(artifact, filename=filename, location=location, digests=(digest,)))
            else:
                unknown.append(digest)
        if unknown or not artifact.digests:
            artifacts.append(replace(artifact, digests=tuple(unknown)))
    return replace(pin, artifacts=tuple(artifacts))


def needs_of(pins: Iterable[Pin], interpreter: Interpreter, *, folder: str = "") -> tuple[Need, ...]:
    """What each of *pins* takes under *interpreter*; *folder* is the absolute folder that the lock's paths start from."""
    tags = tags_of(interpreter)
    return tuple(_need(pin, tags, folder) for pin in pins)


def _need(pin: Pin, tags: Mapping[Tag, int], folder: str) -> Need:
    if pin.source.kind in _LOCAL:
        return Need(pin=pin, local=True)
    artifacts = artifacts_of(pin, folder=folder)
    ranked = [(rank, wanted) for wanted in artifacts if (rank := rank_of(wanted.filename, tags)) is not None]
    wheels = [wanted for _, wanted in sorted(ranked, key=lambda pair: (pair[0], _build_first(pair[1].filename)))]
    sources = [wanted for wanted in artifacts if wanted.filename and not wanted.is_wheel]
    return Need(
        pin=pin,
        wheel=wheels[0] if wheels else None,
        others=tuple(wheels[1:]),
        source=sources[0] if sources else None,
        unnamed=tuple(wanted for wanted in artifacts if not wanted.filename),
        local=pin.source.kind in {SourceKind.DIRECTORY, SourceKind.GIT} and not artifacts,
    )


def _build_first(filename: str) -> tuple[int, ...]:
    """Of two wheels with the same tags, the one with the higher build tag goes first (PyPA, Binary distribution format)."""
    parts = filename.removesuffix(".whl").split("-")
    number = re.match(r"\d+", parts[2]) if len(parts) == 6 else None
    return (-int(number[0][:18]),) if number else (0,)


def expected_of(
    lock: Lock, interpreter: Interpreter, *, groups: tuple[str, ...] | None = None, extras: tuple[str, ...] | None = None
) -> Selected:
    """What *lock* expects of an environment that is yet to be made: what its tool installs unasked, and *groups* and *extras*.

    Raises:
        UsageError: a group or extra was asked for that the lock does not have.
    """
    return select(lock, environment_of(interpreter), {}, groups=groups, extras=extras)
