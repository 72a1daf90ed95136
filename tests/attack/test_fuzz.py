"""The fuzzer for a short while, from a seed that is stated; CI runs it for a minute (``python tests/attack/fuzz.py``)."""

from __future__ import annotations

import random
import tempfile
from typing import TYPE_CHECKING

import pytest

from attack import fuzz

if TYPE_CHECKING:
    from pathlib import Path

CASES = 600
SEED = 20


def test_all_laws_hold(tmp_path: Path) -> None:
    fuzzer = fuzz.Fuzzer(tmp_path, SEED)
    for number in range(CASES):
        fuzzer.run(number)
    kinds = {name: count for name, count in fuzzer.counts.items() if not name.startswith(" ")}
    assert set(kinds) == {"lock", "shape", "altered", "unhashed", "interpreter", "planted"}
    assert sum(kinds.values()) == CASES


def test_a_case_is_the_same_whenever_it_is_run() -> None:
    data = bytes(range(256)) * 4
    assert fuzz.mutate(data, random.Random("1:5")) == fuzz.mutate(data, random.Random("1:5"))


def test_the_fuzzer_fails_where_a_law_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that lets another exception through is caught, with the case that shows it."""

    def broken(_path: object) -> None:
        raise KeyError("hashes")

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    monkeypatch.setattr(fuzz, "read_lock", broken)
    fuzzer = fuzz.Fuzzer(tmp_path, SEED)

    def run() -> None:
        for number in range(50):
            fuzzer.run(number)

    with pytest.raises(fuzz.BrokenLawError, match=r"(lock|shape): .*KeyError: 'hashes': the bytes are in .*sanctity-fuzz-"):
        run()
