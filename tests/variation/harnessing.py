"""A harness over a small folder, for tests that look at what its runs do."""

from __future__ import annotations

import contextlib
import os
import textwrap
from typing import TYPE_CHECKING, Any

from sanctity.variation.harness import Harness
from sanctity.verbs.comparing import compare
from sanctity.verbs.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sanctity.model.result import ResultComparison

__all__ = ["harness", "write"]


def write(folder: Path, program: str, name: str = "program.py") -> str:
    """Write *program* to the *folder*; its name."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(textwrap.dedent(program))
    return name


@contextlib.contextmanager
def harness(folder: Path, *command: str, environ: dict[str, str] | None = None, **options: Any) -> Iterator[Harness]:
    """A harness that runs *command* in *folder*; its private folders are made beside it, and are gone at the end."""
    world = World(cwd=str(folder), environ={}, clock=lambda: 0.0)
    scratch = options.setdefault("scratch", str(folder.parent / "scratch"))
    if scratch == str(folder.parent / "scratch"):
        os.makedirs(scratch, exist_ok=True)

    def compared(before: str, after: str) -> ResultComparison:
        return compare(before, after, world)

    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "SANCTITY", "OMP"))}
    own = kept | (environ or {})
    with Harness(command, **{"cwd": str(folder), "environ": own, "compare": compared, **options}) as made:
        yield made
    assert not [name for name in os.listdir(scratch) if name.startswith("sanctity-repeats-")]
