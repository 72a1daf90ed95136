"""Races of numeric libraries, found by `prove`: unchanged runs differ (F20 to F24).

A race is shown by more than one result, in as many tries as it takes, and no count of results is a fact: a busy machine hides one.
Who is guilty is looked at only as far as it can be held: some threads are no variable's to number.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from real.learning import missing, ml_python, zoo_python
from variation.planted import guilty, proof

if TYPE_CHECKING:
    from pathlib import Path

#: How often a proof is asked for at most before a race counts as not to be seen here.
TRIES = 4
#: A race needs no variation to be seen, so that a try is cheap.
BARE = ("-n", "1", "--vary", "hash-seed")

pytestmark = [
    pytest.mark.torch,
    pytest.mark.long,  # the search for who is guilty makes a dozen runs, each of which imports PyTorch; CI has the race of `shared_stream`
    pytest.mark.skipif(bool(missing()), reason=missing() or "nothing is missing"),
    pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="there is one processor, on which no two threads meet"),
]


def found(base: Path, program: str, python: Path, *options: str, **more: Any) -> dict[str, Any]:
    """The first proof that says something else than the same, else the last."""
    document: dict[str, Any] = {}
    for _ in range(TRIES):
        document = proof(base, program, *(options or BARE), python=python, **more)
        if document["claim"] != "same":
            break
    return document


def test_f20_accumulation_at_indices(tmp_path: Path) -> None:
    race = found(tmp_path, "race_index_put", ml_python())
    assert race["claim"] == "different", race["verdict"]
    assert race["counts"]["distinct"] > 1
    assert guilty(race) in ([["scheduling"]], []), race["verdict"]


def test_f20_t19_is_not_seen_below_the_size_at_which_threads_share_the_work(tmp_path: Path) -> None:
    small = proof(tmp_path, "race_index_put", *BARE, python=ml_python(), arguments=("10000",))
    assert (small["claim"], small["command"][-1]) == ("same", "10000"), small["verdict"]
    whole = found(tmp_path, "race_index_put", ml_python(), arguments=("400000",))
    assert (whole["claim"], whole["command"][-1]) == ("different", "400000"), whole["verdict"]


@pytest.mark.parametrize("program", ["race_loss", "race_kmeans", "race_forest"], ids=["f21-loss", "f22-kmeans", "f23-forest"])
def test_f21_f22_f23_trainings_and_predictions(program: str, tmp_path: Path) -> None:
    race = found(tmp_path, program, ml_python())
    assert race["claim"] == "different", race["verdict"]
    assert race["counts"]["distinct"] > 1


def test_f24_updates_without_locks(tmp_path: Path) -> None:
    race = found(tmp_path, "race_shotgun", zoo_python())
    assert race["claim"] == "different", race["verdict"]
    assert race["counts"]["distinct"] > 1


def test_f20_is_mended_by_deterministic_algorithms(tmp_path: Path) -> None:
    still = proof(
        tmp_path, "race_index_put", "-n", "2", "--hold", "load", python=ml_python(), arguments=("400000", "deterministic")
    )
    assert still["claim"] == "same", still["verdict"]
