"""A small world for the lab: a pandas and two numpy of a few lines each, as real wheels, and a cache to find them in.

The small pandas does what the lab's program asks of it, and no more. As the real one does, it looks at the numpy it finds when it
is imported, and ends with the same words where that is too new.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from real.index import Wheel, make_wheel
from sanctity.lab.catalogue import Catalogue, Shelved
from sanctity.lab.telling import Asked, run_lab
from sanctity.verbs import World

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from real.tools import Workshop
    from sanctity.lab.story import Story

__all__ = ["Ran", "lab_environ", "run_small", "shelf_of", "small_catalogue", "small_wheels", "world_of"]

_GROUPBY = """
import statistics


class GroupBy:
    def __init__(self, rows, key, column):
        self.rows, self.key, self.column = rows, key, column

    def median(self, values):
        return statistics.median(values)

    def max(self, values):
        return max(values)

    def transform(self, name):
        groups = {}
        for row in self.rows:
            groups.setdefault(row[self.key], []).append(float(row[self.column]))
        return Column([getattr(self, name)(groups[row[self.key]]) for row in self.rows])


class Column(list):
    def __gt__(self, other):
        return Column([one > two for one, two in zip(self, other)])

    def __rmul__(self, number):
        return Column([number * each for each in self])
"""
_PANDAS = """
import csv

import numpy

from pandas.core.groupby.groupby import Column, GroupBy

if CRASHES and int(numpy.__version__.partition(".")[0]) > 1:
    raise ValueError("numpy.dtype size changed, may indicate binary incompatibility. Expected 96, got 88")


class Frame:
    def __init__(self, rows):
        self.rows = rows

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, key):
        if isinstance(key, list):
            return Frame([row for row, wanted in zip(self.rows, key) if wanted])
        if key == "amount":
            return Column([float(row[key]) for row in self.rows])
        return [row[key] for row in self.rows]

    def groupby(self, key):
        return {"amount": GroupBy(self.rows, key, "amount")}


def read_csv(path):
    with open(path, newline="") as file:
        return Frame(list(csv.DictReader(file)))
"""


def small_wheels(folder: Path, *, crashes: bool = True) -> tuple[Wheel, ...]:
    """The wheels of the small world, written to *folder*; with *crashes* its pandas does not bear numpy 2."""
    pandas = {
        "pandas/__init__.py": f"CRASHES = {crashes}\n{_PANDAS}".encode(),
        "pandas/core/__init__.py": b"",
        "pandas/core/groupby/__init__.py": b"",
        "pandas/core/groupby/groupby.py": _GROUPBY.encode(),
    }
    return (
        make_wheel(folder, "pandas", "2.1.1", pandas, requires=("numpy>=1.22.4",)),
        make_wheel(folder, "numpy", "1.26.4", {"numpy/__init__.py": b'__version__ = "1.26.4"\n'}),
        make_wheel(folder, "numpy", "2.0.0", {"numpy/__init__.py": b'__version__ = "2.0.0"\n'}),
    )


def small_catalogue(wheels: tuple[Wheel, ...]) -> Catalogue:
    """*wheels* as the lab lists them, uploaded when the real ones were."""
    moments = {"pandas": "2023-09-20T20:00:00Z", "numpy 1.26.4": "2024-02-05T23:00:00Z", "numpy 2.0.0": "2024-06-16T13:11:54Z"}
    return Catalogue(
        wheels=tuple(
            Shelved(
                filename=wheel.path.name,
                sha256=wheel.sha256,
                size=wheel.path.stat().st_size,
                uploaded=moments.get(wheel.name) or moments[f"{wheel.name} {wheel.version}"],
            )
            for wheel in wheels
        )
    )


def lab_environ(workshop: Workshop, cache: Path, **more: str) -> dict[str, str]:
    """The process environment of somebody who runs the lab, with the index settings of this machine and *cache* for a cache."""
    return workshop.environ(XDG_CACHE_HOME=str(cache), **more)


def shelf_of(workshop: Workshop, folder: Path) -> Path:
    """A new cache *folder* with the lab's tools of this test cache in it: they are installed once for every world."""
    kept = workshop.cache / "lab/sanctity/lab/tools"
    kept.mkdir(parents=True, exist_ok=True)
    (folder / "sanctity/lab/wheels").mkdir(parents=True)
    (folder / "sanctity/lab/tools").symlink_to(kept)
    return folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A lab that was run: what came of it, the *folder* that was kept, and its *catalogue*."""

    story: Story
    folder: Path
    catalogue: Catalogue

    def fact(self, step: str, words: str) -> bool | None:
        """Whether the one fact of *step* that says *words* held."""
        found = [fact for each in self.story.steps if each.name == step for fact in each.facts if words in fact.claim]
        assert len(found) == 1, found
        return found[0].held


def world_of(environ: Mapping[str, str], cwd: Path) -> World:
    return World(cwd=str(cwd), environ=environ, clock=time.monotonic)


def run_small(
    workshop: Workshop, folder: Path, *, crashes: bool = True, change: Mapping[str, Any] | None = None, **asked: Any
) -> Ran:
    """Run the lab in the small world, in *folder*; *change* are fields of its catalogue, *asked* of what is asked for."""
    folder.mkdir(exist_ok=True)
    cache = shelf_of(workshop, folder / "cache")
    wheels = small_wheels(cache / "sanctity/lab/wheels", crashes=crashes)
    catalogue = replace(small_catalogue(wheels), **(change or {}))
    world = world_of(lab_environ(workshop, cache), folder)
    place = folder / "lab"
    story = run_lab(Asked(folder=str(place), **asked), world, catalogue=catalogue)
    return Ran(story=story, folder=place, catalogue=catalogue)
