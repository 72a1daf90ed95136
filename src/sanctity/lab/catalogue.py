"""The wheels of the lab, by their hashes and with the time at which each was uploaded: the lab's own lock.

They are eleven releases at most: pandas, built against numpy 1, all it needs, and the two numpy on either side of 16 June 2024. The
file ``wheels.json`` beside this one states them as the index did.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from packaging.utils import parse_wheel_filename

from sanctity.compare.tags import rank_of, tags_of
from sanctity.errors import UsageError
from sanctity.model.artifact import Wanted
from sanctity.model.digest import Digest

if TYPE_CHECKING:
    from sanctity.model.environment import Interpreter

__all__ = ["Catalogue", "Shelved", "choose", "real_catalogue"]

_HINT: Final = "choose an interpreter that has wheels: sanctity lab --python 3.11"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelved:
    """A wheel: its *filename*, *sha256* in hex, *size* in bytes, and the moment (ISO 8601, UTC) it was *uploaded*."""

    filename: str
    sha256: str
    size: int
    uploaded: str

    @property
    def name(self) -> str:
        """The normalised name of its project."""
        return str(parse_wheel_filename(self.filename)[0])

    @property
    def version(self) -> str:
        """Its version."""
        return str(parse_wheel_filename(self.filename)[1])

    @property
    def wanted(self) -> Wanted:
        """It, as something to be fetched."""
        return Wanted(
            name=self.name,
            version=self.version,
            filename=self.filename,
            digests=(Digest(algorithm="sha256", value=self.sha256),),
            size=self.size,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """What the lab plays with: its *wheels*, the one *requirement* that is asked for, and the days before and after.

    *requirement* pins a package that leaves *floating* free. Between the days *before* and *after* (ISO 8601) a new release of
    *floating* was uploaded: *old* and *new* are its versions. *crash* is what the program says of the new one.
    """

    wheels: tuple[Shelved, ...]
    requirement: str = "pandas==2.1.1"
    floating: str = "numpy"
    old: str = "1.26.4"
    new: str = "2.0.0"
    before: str = "2024-06-15"
    after: str = "2024-06-17"
    crash: str = "numpy.dtype size changed, may indicate binary incompatibility"

    @property
    def package(self) -> str:
        """The name of the package that is asked for."""
        return self.requirement.partition("==")[0]


def real_catalogue() -> Catalogue:
    """The wheels of ``wheels.json``, for every Python and platform."""
    stated = json.loads(files("sanctity.lab").joinpath("wheels.json").read_text("utf-8"))
    return Catalogue(wheels=tuple(Shelved(**row) for row in stated["wheels"]))


def choose(catalogue: Catalogue, interpreter: Interpreter) -> tuple[Shelved, ...]:
    """Of each release in *catalogue* the wheel that *interpreter* takes first.

    Raises:
        UsageError: ``lab-no-wheels``, a release has none for it.
    """
    tags = tags_of(interpreter)
    chosen: dict[tuple[str, str], tuple[int, Shelved]] = {}
    releases = {(wheel.name, wheel.version) for wheel in catalogue.wheels}
    for wheel in catalogue.wheels:
        rank = rank_of(wheel.filename, tags)
        if rank is not None:
            key = (wheel.name, wheel.version)
            chosen[key] = min(chosen.get(key, (rank, wheel)), (rank, wheel), key=lambda item: item[0])
    lacking = sorted(f"{name} {version}" for name, version in releases - chosen.keys())
    if lacking:
        where = f"{interpreter.implementation} {interpreter.version}, {interpreter.machine} {interpreter.libc}"
        raise UsageError("lab-no-wheels", f"there is no wheel of {', '.join(lacking)} for it", where=where, hint=_HINT)
    return tuple(wheel for _, wheel in sorted(chosen.values(), key=lambda item: item[1].filename))
