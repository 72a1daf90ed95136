"""Functions to be proved. They are imported in each run, so this module imports little."""

from __future__ import annotations

import dataclasses
import os
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    weights: Any
    words: frozenset[str]
    history: tuple[float, ...]


def words_in_order_of_hashes(number: int) -> list[str]:
    """The hazard: the order of a set is that of the hashes of its texts."""
    return list({f"word {each}" for each in range(number)})


def honest(steps: int, *, seed: int = 0) -> dict[str, object]:
    """A value with all that may be in one; its sets and dicts have another order in each process, which is no value."""
    import numpy as np

    drawn = np.random.default_rng(seed).normal(size=steps).astype(np.float32)
    words = frozenset(words_in_order_of_hashes(9))
    trained = Trained(weights=drawn, words=words, history=tuple(float(each) for each in drawn[:3]))
    return {"trained": trained, "by word": {word: len(word) for word in words}, "set": set(words), "none": None}


def unseeded() -> list[float]:
    import numpy as np

    return [float(each) for each in np.random.default_rng().normal(size=3)]


def sometimes_none() -> int | None:
    return 1 if os.environ["PYTHONHASHSEED"] == "0" else None


def nothing() -> None:
    return


def writes(path: str) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write("\n".join(words_in_order_of_hashes(20)))


def reads(path: str) -> str:
    with open(path) as file:
        return file.read()


def numbers() -> Iterator[int]:
    yield 1


def fails() -> None:
    raise ValueError("of no\nuse")


def waits() -> None:
    threading.Event().wait()


def with_its_own(n: int = 3, *, timeout: float = 2.0) -> list[float]:
    return [n, timeout]


def appends(path: str) -> int:
    with open(path, "a") as file:
        file.write("called\n")
    return 1
