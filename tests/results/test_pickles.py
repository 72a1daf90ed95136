"""Pickles: what they describe is compared, whatever protocol wrote it, and nothing of them is ever executed."""

from __future__ import annotations

import collections
import io
import math
import pickle
import pickletools
import struct
import sys
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from results.pairs import both
from sanctity.errors import DocumentError
from sanctity.model.result import Sameness, What
from sanctity.results import errors, read

if TYPE_CHECKING:
    from pathlib import Path


class Thing:
    """Something with a state."""

    def __init__(self, x: object) -> None:
        self.x = x


class Slotted:
    __slots__ = ("x",)


VALUES: list[Any] = [
    {"a": [1, 2.5, None, True, "ü", b"\xff\0", (1, ()), {3, 4}, frozenset("ab")], 7: -(2**70), "c": 1j, (1, "k"): bytearray(b"xy")},
    Thing({"weights": np.linspace(0, 1, 9).reshape(3, 3), "n": np.float32(2.5)}),
    collections.OrderedDict(a=1, b=collections.defaultdict(list, {"q": [1]})),
    [
        np.array(["a", "bc"]),
        np.array([1, None], object),
        np.zeros(2, [("x", "i4"), ("y", ">f8", 2)]),
        np.array("2024-01-01", "M8[D]"),
    ],
    [math.nan, math.inf, -0.0, set(), range(3), len, Thing],
    [[], {}, (), "", b"", 0],
]


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
@pytest.mark.parametrize("protocol", range(5))
def test_protocols_say_the_same(tmp_path: Path, value: Any, protocol: int) -> None:
    found = both(tmp_path, "x.pkl", pickle.dumps(value, 5), pickle.dumps(value, protocol))
    assert (found.sameness, found.differences) == (Sameness.EQUAL, ())
    assert any(line.startswith("protocol: 5 against") for line in found.noise)


@pytest.mark.parametrize(
    ("before", "after", "differences"),
    [
        ({"a": 1.0}, {"a": 1.0 + 2**-52}, [("['a']", "value")]),
        ({"a": 1}, {"a": True}, [("['a']", "type")]),
        ({"a": 1}, {"a": 1.0}, [("['a']", "type")]),
        ({1: 0}, {True: 0}, [("[1]", "missing"), ("[True]", "extra")]),
        ([1, 2], (1, 2), [("", "type")]),
        ({1, 2, 3}, {1, 3}, [("", "value"), ("{2}", "missing")]),
        ({(1, 2)}, {(2, 1)}, None),
        (Thing(1), Thing(2), [(".x", "value")]),
        (b"ab", bytearray(b"ab"), [("", "type")]),
        ([-0.0], [0.0], [("[0]", "value")]),
        (np.arange(3), np.arange(3).view(np.matrix), None),
        (np.array(1.0), np.float64(1.0), [(":class", "extra")]),
        ([np.arange(4.0)], [np.nextafter(np.arange(4.0), -1)], [("[0]", "value")]),
        (10**5000, 10**5000 + 1, [("", "value")]),
        (len, max, [("", "value")]),
    ],
    ids=range(15),
)
def test_what_differs_is_named(tmp_path: Path, before: Any, after: Any, differences: list[tuple[str, str]] | None) -> None:
    found = both(tmp_path, "x.pkl", pickle.dumps(before), pickle.dumps(after))
    assert found.sameness is Sameness.DIFFERENT
    if differences is not None:
        assert [(item.path, str(item.what)) for item in found.differences] == differences


def test_the_order_of_keys_and_of_sets_is_the_container_s(tmp_path: Path) -> None:
    found = both(tmp_path, "x.pkl", pickle.dumps({"a": 1, "b": 2}), pickle.dumps({"b": 2, "a": 1}))
    assert (found.sameness, found.noise) == (Sameness.EQUAL, ("order",))
    one = b"\x80\x04\x8f(K\x01K\x02K\x03\x90."
    two = b"\x80\x04\x8f(K\x03K\x01K\x02\x90."
    assert pickle.loads(one) == pickle.loads(two) == {1, 2, 3}
    assert both(tmp_path, "x.pkl", one, two).sameness is Sameness.EQUAL


def test_a_list_in_another_order_is_said_to_be_so(tmp_path: Path) -> None:
    found = both(tmp_path, "x.pkl", pickle.dumps(["a", "b", "c"]), pickle.dumps(["b", "c", "a"]))
    assert [item.permuted for item in found.differences] == [True] * 3
    long = ["x" * 200 + letter for letter in "abc"]
    found = both(tmp_path, "x.pkl", pickle.dumps(long), pickle.dumps([long[1], long[0], long[2] + "!"]))
    assert not any(item.permuted for item in found.differences)


def test_cycles_are_told_apart_by_where_they_lead(tmp_path: Path) -> None:
    outer: list[Any] = [[]]
    outer[0].append(outer)
    inner: list[Any] = [[]]
    inner[0].append(inner[0])
    (difference,) = both(tmp_path, "x.pkl", pickle.dumps(outer), pickle.dumps(inner)).differences
    assert (difference.path, difference.what) == ("[0][0]", What.VALUE)


def test_what_lies_too_deep_is_never_equal(tmp_path: Path) -> None:
    def nested(bottom: int) -> bytes:
        return b"\x80\x04" + b"]" * 300 + b"K" + bytes([bottom]) + b"a" * 300 + b"."

    assert pickle.loads(nested(1)) != pickle.loads(nested(2))
    found = both(tmp_path, "x.pkl", nested(1), nested(2))
    assert (found.sameness, found.reason) == (Sameness.UNDECIDED, "not understood: what is nested deeper than 200")


class Evil:
    def __init__(self, how: Any) -> None:
        self.how = how

    def __reduce__(self) -> Any:
        return self.how


def evil(canary: str) -> dict[str, bytes]:
    """Pickles that make the file *canary* when they are loaded, each in another way."""
    import os

    code = f"open({canary!r}, 'w').close()"
    touched = f"touch {canary}"
    return {
        "system": pickle.dumps(Evil((os.system, (touched,)))),
        "eval": pickle.dumps(Evil((eval, (f"exec({code!r})",)))),
        "in a key": pickle.dumps({Evil((eval, (code,))): 1}),
        "in a set": pickle.dumps([Evil((exec, (code,)))] * 2, 2),
        "protocol 0": pickle.dumps(Evil((exec, (code,))), 0),
        "INST": f"(S{touched!r}\niposix\nsystem\n.".encode(),
        "OBJ": f"(cposix\nsystem\nS{touched!r}\no.".encode(),
        "STACK_GLOBAL of pieces": b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c"
        + bytes([len(touched)])
        + touched.encode()
        + b"\x85R.",
        "BUILD": pickle.dumps(Evil((Thing, (1,), {"__setstate__": exec, "x": code}))),
    }


@pytest.mark.parametrize("way", evil("x"))
@pytest.mark.parametrize("container", ["pkl", "pt", "npy", "npz"])
def test_nothing_is_executed(tmp_path: Path, way: str, container: str) -> None:
    canary = tmp_path / "ran"
    raw = evil(str(canary))[way]
    data = raw
    if container == "pt":
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            archive.writestr("x/data.pkl", raw)
            archive.writestr("x/version", "3\n")
        data = stream.getvalue()
    elif container != "pkl":
        head = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }".ljust(117) + b"\n"
        data = b"\x93NUMPY\x01\0" + struct.pack("<H", len(head)) + head + raw
        if container == "npz":
            stream = io.BytesIO()
            with zipfile.ZipFile(stream, "w") as archive:
                archive.writestr("a.npy", data)
            data = stream.getvalue()
    before = set(sys.modules)
    result = read(container if container != "pkl" else "pickle", memoryview(data))
    assert result.leaves
    found = both(tmp_path, f"x.{container}", data, data.replace(b"touch", b"Touch").replace(b"open", b"Open"))
    assert found.sameness in {Sameness.DIFFERENT, Sameness.UNDECIDED}
    assert not canary.exists()
    assert "antigravity" not in set(sys.modules) - before
    pickle.loads(raw) if way == "system" else None
    assert canary.exists() == (way == "system")


def test_no_module_is_imported() -> None:
    result = read("pickle", memoryview(b"cantigravity\nfly\n."))
    assert result.leaves[0].value.value == "antigravity.fly"  # type: ignore[union-attr]
    assert "antigravity" not in sys.modules


def laughs(levels: int = 40) -> bytes:
    """A list of two lists of two lists: small, and 2**levels values."""
    return b"\x80\x04]" + b"".join(b"q" + bytes([n]) + b"](h" + bytes([n]) + b"h" + bytes([n]) + b"e" for n in range(levels)) + b"."


HOSTILE = {
    "laughs": laughs(),
    "laughs in a key": laughs()[:-1] + b"}h\x27Ns.",
    "nested frozensets": b"\x80\x04" + b"(" * 190 + b"K\x01" + b"\x91" * 190 + b".",
    "deep": b"\x80\x04" + b"]" * 100_000 + b"a" * 99_999 + b".",
    "long keys below each other": b"\x80\x04X"
    + struct.pack("<I", 1 << 20)
    + b"k" * (1 << 20)
    + b"q\0"
    + b"}h\0" * 190
    + b"N"
    + b"s" * 190
    + b".",
    "length of 2**63": b"\x80\x04\x8e" + b"\xff" * 8 + b"abc.",
    "length of 2**31": b"\x80\x04B\xff\xff\xff\x7fabc.",
    "a long integer": b"\x80\x04\x8b" + struct.pack("<i", 400_000) + b"\x7f" * 400_000 + b".",
    "a negative length": b"\x80\x04\x8b" + struct.pack("<i", -5) + b".",
    "memo that is not there": b"\x80\x04h\x05.",
    "stack that is empty": b"\x80\x040.",
    "a mark as a value": b"\x80\x04(.",
    "no end": b"\x80\x04N",
    "an unknown opcode": b"\x80\x04\xff.",
    "state of an atom": b"\x80\x04K\x01}b.",
    "many": b"N." * 50_000,
    "array without end": pickle.dumps(np.zeros(1000), 5)[:4000],
    "a set in itself": b"\x80\x04\x8fq\0(h\0\x90.",
    "zip of death": b"\x78\x9c" + b"\0" * 50,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_pickles_end_soon(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errors, "_MOST_LEAVES", 60_000)
    monkeypatch.setattr(errors, "_MOST_LETTERS", 3_000_000)
    data = HOSTILE[name]
    try:
        result = read("pickle", memoryview(data))
    except DocumentError as error:
        assert error.code in {"result-invalid", "result-too-large"}  # noqa: PT017 - either is right
    else:
        assert result.leaves


def test_laughs_are_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errors, "_MOST_LEAVES", 20_000)
    for name in ("laughs", "laughs in a key"):
        with pytest.raises(DocumentError) as caught:
            read("pickle", memoryview(HOSTILE[name]))
        assert caught.value.code == "result-too-large"
        assert len(pickletools.optimize(HOSTILE[name])) < 400


@pytest.mark.long
def test_laughs_end_by_themselves() -> None:
    with pytest.raises(DocumentError) as caught:
        read("pickle", memoryview(laughs()))
    assert caught.value.code == "result-too-large"


@pytest.mark.parametrize("module", ["gzip", "zlib", "bz2", "lzma"])
def test_compression_is_the_container_s(tmp_path: Path, module: str) -> None:
    value = {"a": np.arange(90_000.0)}
    packed = __import__(module).compress(pickle.dumps(value))
    found = both(tmp_path, "x.joblib", pickle.dumps(value), packed)
    assert (found.sameness, found.noise[0].split(" against")[0]) == (Sameness.EQUAL, "compression: none")
    assert both(tmp_path, "x.joblib", pickle.dumps(value), packed[:-20]).sameness is Sameness.UNDECIDED
