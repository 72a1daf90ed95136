"""Named streams: what comes of a name is frozen, and no two names, workers, epochs, ranks or kinds share anything."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanctity.determinism.streams import KINDS, prefix, stream
from sanctity.errors import SanctityError, UsageError

ROWS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "golden/streams.json").read_text("utf-8"))["streams"]
PLACES = ("rank", "worker", "epoch")

labels = st.lists(st.one_of(st.text(st.characters(codec=None), min_size=1), st.integers(0, 2**63 - 1)), min_size=1, max_size=4)
places = st.fixed_dictionaries({name: st.one_of(st.none(), st.integers(0, 2**63 - 1)) for name in PLACES})


def asked(row: dict[str, Any]) -> dict[str, Any]:
    return {"root": int(row["root"]), **{name: row[name] for name in PLACES if name in row}}


def in_a_child(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['root']}-{row['names']}")
def test_golden_streams(row: dict[str, Any]) -> None:
    at = asked(row)
    assert f"{stream(*row['names'], kind='seed', **at):032x}" == row["seed"]
    assert [f"{word:016x}" for word in stream(*row["names"], **at).bit_generator.random_raw(3).tolist()] == row["numpy"]
    of_random = stream(*row["names"], kind="random", **at)
    assert [f"{of_random.getrandbits(32):08x}" for _ in range(3)] == row["random"]


def test_a_name_begins_anew_each_time_and_depends_on_nothing_drawn() -> None:
    first = stream("augment", root=42)
    drawn = first.random(100).tobytes()
    np.random.rand(7)  # noqa: NPY002 - the shared stream is what must not matter
    assert stream("augment", root=42).random(100).tobytes() == drawn
    assert first.random(100).tobytes() != drawn


def test_names_places_and_kinds_share_nothing() -> None:
    asks: list[tuple[tuple[str | int, ...], dict[str, Any]]] = [
        (("a", 1), {}),
        (("a1",), {}),
        (("a", "1"), {}),
        (("1", "a"), {}),
        (("worker", 1, "stream", "a"), {}),
        (("a",), {}),
        (("a",), {"worker": 0}),
        (("a",), {"worker": 1}),
        (("a",), {"epoch": 1}),
        (("a",), {"rank": 1}),
        (("a",), {"worker": 1, "epoch": 1}),
    ]
    seeds = [stream(*names, root=42, kind="seed", **at) for names, at in asks]
    assert len(set(seeds)) == len(asks)
    draws = [set(stream(*names, root=42, **at).integers(2**63, size=500).tolist()) for names, at in asks]
    assert not any(one & other for one, other in combinations(draws, 2))


@given(labels, places, labels, places)
def test_no_name_can_be_spelled_as_another_one(
    names: list[str | int], at: dict[str, int | None], others: list[str | int], there: dict[str, int | None]
) -> None:
    same = [(type(name), name) for name in names] == [(type(name), name) for name in others] and at == there
    assert (stream(*names, root=7, kind="seed", **at) == stream(*others, root=7, kind="seed", **there)) is same
    assert ((*prefix(**at), "stream", *names) == (*prefix(**there), "stream", *others)) is same


def test_runs_next_to_each_other_share_no_rank() -> None:
    """T4: with seed + rank, run 42 and run 43 share three of four streams."""
    popular = [{seed + rank for rank in range(4)} for seed in (42, 43)]
    assert len(popular[0] & popular[1]) == 3
    ours = [{stream("train", root=seed, rank=rank, kind="seed") for rank in range(4)} for seed in (42, 43)]
    assert len(ours[0] | ours[1]) == 8


@pytest.mark.parametrize(
    ("names", "at", "code"),
    [
        ((), {"root": 1}, "stream-argument"),
        (("a",), {"root": 1, "kind": "cupy"}, "stream-argument"),
        (("a",), {"root": 1, "epoch": -1}, "stream-argument"),
        (("a",), {"root": 1, "worker": True}, "stream-argument"),
        (("a",), {"root": 1, "worker": "1"}, "stream-argument"),
        (("a",), {"root": 1, "rank": 2**63}, "stream-argument"),
        (("",), {"root": 1}, "seed-label-invalid"),
        ((1.5,), {"root": 1}, "seed-label-invalid"),
        (("a",), {"root": -1}, "seed-invalid"),
        (("a",), {"root": 2**128}, "seed-invalid"),
    ],
)
def test_what_is_refused(names: tuple[Any, ...], at: dict[str, Any], code: str) -> None:
    with pytest.raises(UsageError) as error:
        stream(*names, **at)
    assert error.value.code == code


def test_without_a_call_there_is_no_stream_and_after_it_there_is() -> None:
    code = """
from sanctity.determinism.streams import stream
from sanctity.determinism.setting import set_global_determinism
from sanctity.errors import UsageError
try:
    stream("augment", kind="seed")
except UsageError as error:
    print(error.code)
set_global_determinism(42, quiet=True)
print(stream("augment", epoch=3, worker=1, kind="seed") == stream("augment", epoch=3, worker=1, kind="seed", root=42))
set_global_determinism(43, rank=2, quiet=True)
print(stream("augment", kind="seed") == stream("augment", kind="seed", root=43, rank=2))
print(stream("augment", kind="seed", rank=0) == stream("augment", kind="seed", root=43, rank=0))
"""
    assert in_a_child(code).split() == ["stream-without-seed", "True", "True", "True"]


def test_a_library_is_imported_only_for_its_own_streams() -> None:
    code = """
import sys
from sanctity.determinism.streams import stream
stream("a", root=1, kind="seed"), stream("a", root=1, kind="random")
print(sorted({"numpy", "torch", "jax", "typing", "json"} & set(sys.modules)))
stream("a", root=1)
print("numpy" in sys.modules)
"""
    assert in_a_child(code).split() == ["[]", "True"]


def test_a_library_that_is_not_there_is_said() -> None:
    assert "jax" in KINDS
    with pytest.raises(SanctityError) as error:
        stream("a", root=1, kind="jax")
    assert error.value.code == "stream-library-missing"
    assert "jax" in error.value.message
