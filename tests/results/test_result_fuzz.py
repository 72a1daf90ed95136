"""Accidents in every format: whatever the bytes are, there is a result or a clear error, and never another exception."""

from __future__ import annotations

import pickle
import random
from typing import TYPE_CHECKING

import numpy as np
import pytest

from results.pairs import safetensors
from results.test_readers import COUNTS, NUMBERS, a_table, arrow, npy, npz, parquet, picture
from sanctity.compare.results import compare_results
from sanctity.errors import DocumentError
from sanctity.model.result import Sameness
from sanctity.results import errors, read

if TYPE_CHECKING:
    from sanctity.model.result import Result

#: A sound file of each format.
SEEDS = {
    "npy": [npy(NUMBERS), npy(np.zeros(3, [("a", "u1"), ("b", "f8", 2)])), npy(np.array([1, "x"], object)), npy(np.array(["ab"]))],
    "npz": [npz(a=COUNTS, b=NUMBERS), npz(compressed=True, a=COUNTS)],
    "safetensors": [safetensors({"a": COUNTS, "b": NUMBERS}, {"by": "me"})],
    "pickle": [pickle.dumps({"a": [1, NUMBERS, {2}], "b": np.zeros(2, [("x", "i4")])}, protocol) for protocol in range(6)],
    "pt": [npz(a=COUNTS)],
    "parquet": [parquet(a_table(NUMBERS)), parquet(a_table(NUMBERS), compression="none", use_dictionary=False)],
    "arrow": [arrow(a_table(NUMBERS)), arrow(a_table(NUMBERS), compression="uncompressed")],
    "json": [b'{"a": [1, 2.5, null, "x"], "b": {"c": -0.0}}'],
    "jsonl": [b'{"a": 1}\n[2]\n'],
    "csv": [b'a,b\n1,"x"\n2.5,"y\ny"\n'],
    "tsv": [b"a\tb\n1\t2\n"],
    "text": [b"one\ntwo\r\n\xc3\xbc"],
    "image": [
        picture(np.eye(16, dtype="u1")),
        *(picture(np.zeros((8, 8, 3), "u1"), name) for name in ("JPEG", "GIF", "BMP", "TIFF", "PPM")),
    ],
}


def damaged(data: bytes, rng: random.Random) -> bytes:
    """*data* with one to three accidents: cut short, bits flipped, bytes put in, taken out, doubled, or made extreme."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        at = rng.randrange(len(data) + 1)
        end = min(len(data), at + rng.choice((1, 2, 4, 8)))
        what = rng.randrange(7)
        if what <= 1 and data:
            at = min(at, len(data) - 1)
            data = data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
        else:
            cut = (data[:at], data[:at] + data[end:], data[:at] + rng.randbytes(4) + data[at:])
            more = (data[:end] + data[at:], data[:at] + rng.choice((b"\xff", b"\0", b"\x7f")) * (end - at) + data[end:])
            data = (*cut, *more)[what - 2]
    return data


def tried(format_: str, data: bytes) -> Result | None:
    try:
        return read(format_, memoryview(data))
    except DocumentError as error:
        assert error.code in {"result-invalid", "result-too-large"}  # noqa: PT017 - either is right
        return None


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("count", [pytest.param(60, id="sample"), pytest.param(6000, id="bulk", marks=pytest.mark.long)])
@pytest.mark.parametrize("format_", SEEDS)
def test_accidents_are_read_or_refused(format_: str, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errors, "_MOST_LEAVES", 50_000)
    rng = random.Random(f"{format_} {count}")
    sound = [(seed, tried(format_, seed)) for seed in SEEDS[format_]]
    assert format_ == "pt" or all(result is not None for _, result in sound)
    for number in range(count):
        seed, before = sound[number % len(sound)]
        data = damaged(seed, rng)
        after = tried(format_, data)
        if before is not None and after is not None:
            found = compare_results("x", before, after, (len(seed), len(data)))
            assert found.sameness is not Sameness.IDENTICAL
            assert found.sameness is not Sameness.EQUAL or found.noise
