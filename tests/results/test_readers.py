"""Every format, on files that its real library wrote: one bit is found where it is, and what only the container says is told apart."""

from __future__ import annotations

import gzip
import io
import json
import struct
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from pyarrow import feather

from results.pairs import both, safetensors
from sanctity.model.result import Sameness, What

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NUMBERS = np.linspace(-3, 3, 60, dtype="f4").reshape(6, 10)
COUNTS = np.arange(7, dtype="i8")


def nudged(array: np.ndarray[Any, Any], index: tuple[int, ...], steps: int = 1) -> np.ndarray[Any, Any]:
    """*array* with one number so many steps further from zero."""
    other = array.copy()
    other.view(f"u{array.dtype.itemsize}")[index] += steps
    return other


def npz(compressed: bool = False, when: tuple[int, ...] = (), **arrays: np.ndarray[Any, Any]) -> bytes:
    stream = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(stream, **arrays)  # type: ignore[arg-type]
    if not when:
        return stream.getvalue()
    again = io.BytesIO()
    with zipfile.ZipFile(stream) as read, zipfile.ZipFile(again, "w") as write:
        for info in read.infolist():
            write.writestr(zipfile.ZipInfo(info.filename, when), read.read(info))  # type: ignore[arg-type]
    return again.getvalue()


def parquet(table: pa.Table, **more: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **more)
    return sink.getvalue()


def arrow(table: pa.Table, **more: Any) -> bytes:
    sink = io.BytesIO()
    feather.write_feather(table, sink, **more)
    return sink.getvalue()


def npy(array: np.ndarray[Any, Any]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def picture(pixels: np.ndarray[Any, Any], format_: str = "PNG", **more: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format_, **more)
    return stream.getvalue()


def a_table(numbers: np.ndarray[Any, Any]) -> pa.Table:
    return pa.table(
        {
            "n": numbers.reshape(-1),
            "holes": pa.array([None if n % 7 == 3 else n for n in range(numbers.size)], pa.int32()),
            "word": [f"w{n % 4}" for n in range(numbers.size)],
            "rows": [[n, n + 1] for n in range(numbers.size)],
            "when": pa.array(range(numbers.size), pa.timestamp("us")),
        }
    )


def tables(write: Callable[..., bytes]) -> Callable[[np.ndarray[Any, Any]], bytes]:
    return lambda numbers: write(a_table(numbers))


WRITERS = [
    ("x.npy", "", npy),
    ("x.npz", "b", lambda n: npz(a=COUNTS, b=n)),
    ("x.safetensors", "w.0", lambda n: safetensors({"c": COUNTS, "w.0": n})),
    ("x.parquet", "n", tables(parquet)),
    ("x.feather", "n", tables(arrow)),
]


@pytest.mark.parametrize(("name", "path", "write"), WRITERS, ids=[name for name, _, _ in WRITERS])
def test_one_bit_is_found_where_it_is(tmp_path: Path, name: str, path: str, write: Callable[..., bytes]) -> None:
    found = both(tmp_path, name, write(NUMBERS), write(nudged(NUMBERS, (4, 7), 3)))
    assert found.sameness is Sameness.DIFFERENT
    (difference,) = found.differences
    assert (difference.path, difference.what, difference.differing) == (path, What.VALUE, 1)
    assert difference.first == ((47,) if name in {"x.parquet", "x.feather"} else (4, 7))
    assert difference.ulps is not None
    assert difference.ulps.most == 3
    assert both(tmp_path, name, write(NUMBERS), write(NUMBERS.copy())).sameness is Sameness.IDENTICAL


@pytest.mark.parametrize(
    ("name", "before", "after", "noise"),
    [
        ("x.npz", npz(a=COUNTS, b=NUMBERS), npz(a=COUNTS, b=NUMBERS, when=(2024, 2, 29, 1, 2, 4)), "time of 2 members"),
        ("x.npz", npz(b=NUMBERS), npz(compressed=True, b=NUMBERS), "compression of b.npy: none against deflate"),
        ("x.npz", npz(a=COUNTS, b=NUMBERS), npz(b=NUMBERS, a=COUNTS), "order"),
        ("x.npz", b"#!/bin/sh\n" + npz(a=COUNTS), npz(a=COUNTS), "bytes that are part of no value"),
        ("x.npy", npy(NUMBERS), npy(np.asfortranarray(NUMBERS).astype(">f4")), "how 1 array lies in memory"),
        (
            "x.safetensors",
            safetensors({"a": COUNTS, "b": NUMBERS}),
            safetensors({"b": NUMBERS, "a": COUNTS}),
            "order: a, b against b, a",
        ),
        ("x.safetensors", safetensors({"a": COUNTS}), safetensors({"a": COUNTS}, {"by": "me"}), "metadata by: none against me"),
        (
            "x.parquet",
            parquet(a_table(NUMBERS), row_group_size=50, compression="gzip", use_dictionary=False),
            parquet(a_table(NUMBERS), row_group_size=7),
            "row groups: 2 against 9",
        ),
        (
            "x.feather",
            arrow(a_table(NUMBERS)),
            arrow(a_table(NUMBERS).set_column(2, "word", a_table(NUMBERS)["word"].dictionary_encode()), compression="zstd"),
            "dictionaries:  against word",
        ),
        ("x.png", picture(np.eye(9, dtype="u1")), picture(np.eye(9, dtype="u1"), dpi=(90, 90)), "dpi: none against"),
        ("x.json", b'{"a": 0.5, "b": [1]}', b'\xef\xbb\xbf{"b":[1],\n"a":5e-1}', "how 1 number is written"),
        ("x.jsonl", b'{"a": 1}\n{"b": 2}\n', b'{"a":1}\n\n{"b":2}', "bytes that are part of no value"),
        ("x.csv", b"a,b\n1,x\n0.50,y\n", b'a,b\r\n1.0,"x"\r\n.5,y\r\n', "how 2 numbers are written"),
        ("x.txt", b"one\ntwo\n", b"one\r\ntwo\r\n", "line ends: LF against CR LF"),
    ],
)
def test_what_only_the_container_says_is_told_apart(tmp_path: Path, name: str, before: bytes, after: bytes, noise: str) -> None:
    found = both(tmp_path, name, before, after)
    assert (found.sameness, found.differences) == (Sameness.EQUAL, ())
    assert any(line.startswith(noise) for line in found.noise), found.noise


def strict_json(text: str) -> bytes:
    return json.dumps(json.loads(text)).encode()


@pytest.mark.parametrize(
    ("name", "before", "after", "differences"),
    [
        ("x.npy", npy(NUMBERS), npy(NUMBERS.astype("f8")), [("", "type")]),
        ("x.npy", npy(NUMBERS), npy(NUMBERS.reshape(10, 6)), [("", "shape")]),
        ("x.npy", npy(np.zeros((0, 3))), npy(np.zeros((3, 0))), [("", "shape")]),
        ("x.npz", npz(a=COUNTS, b=NUMBERS), npz(b=NUMBERS, c=COUNTS), [("a", "missing"), ("c", "extra")]),
        ("x.safetensors", safetensors({"a": COUNTS}), safetensors({"b": COUNTS}), [("a", "missing"), ("b", "extra")]),
        ("x.json", strict_json('{"a": 1}'), strict_json('{"a": 1.0}'), [("a", "type")]),
        ("x.json", strict_json('{"a": [1, 2]}'), strict_json('{"a": [1]}'), [("a", "value"), ("a[1]", "missing")]),
        ("x.json", b"[0.1]", b"[0.10000000000000002]", [("[0]", "value")]),
        # An identifier is no number, and neither a large one another large one.
        ("x.csv", b"id\n007\n", b"id\n7\n", [("id", "value")]),
        ("x.csv", b"id\n1_0\n", b"id\n10\n", [("id", "value")]),
        ("x.csv", b"id\n9007199254740993\n", b"id\n9007199254740992\n", [("id", "value")]),
        ("x.csv", b"a,b\n1\n", b"a,b\n1,\n", [("b", "value")]),
        ("x.csv", b"a\n-0.0\n", b"a\n0.0\n", [("a", "value")]),
        ("x.tsv", b"a\n1\n2\n", b"a\n1\n", [("rows", "value"), ("a", "shape")]),
        ("x.log", b"one\ntwo\n", b"one\n2\n", [("", "value")]),
        ("x.bin", b"\0" * 9 + b"a", b"\0" * 9 + b"bc", [("", "bytes")]),
        ("x.png", picture(np.eye(9, dtype="u1")), picture(np.zeros((9, 9), "u1")), [("pixels", "value")]),
        ("x.npy", npy(np.array([1, "a"], object)), npy(np.array([[1], ["a"]], object)), [(":shape", "value")]),
    ],
)
def test_what_differs_is_named(tmp_path: Path, name: str, before: bytes, after: bytes, differences: list[tuple[str, str]]) -> None:
    found = both(tmp_path, name, before, after)
    assert found.sameness is Sameness.DIFFERENT
    assert [(item.path, str(item.what)) for item in found.differences][: len(differences)] == differences


def test_fields_are_compared_each_and_their_padding_is_not(tmp_path: Path) -> None:
    dtype = np.dtype([("flag", "u1"), ("x", "f8")], align=True)
    raw = bytearray(np.zeros(4, dtype).tobytes())
    head = npy(np.zeros(4, dtype))[: -len(raw)]
    raw[3] = 0xFF  # between the fields
    assert both(tmp_path, "x.npy", npy(np.zeros(4, dtype)), head + bytes(raw)).sameness is Sameness.EQUAL
    raw[16 + 8] = 1  # the last bit of the second row's x
    found = both(tmp_path, "x.npy", npy(np.zeros(4, dtype)), head + bytes(raw))
    assert [(item.path, item.first) for item in found.differences] == [("['x']", (1,))]


def test_nulls_are_values_and_what_lies_below_them_is_none(tmp_path: Path) -> None:
    one, two = (
        pa.table({"n": pa.Array.from_buffers(pa.int32(), 2, [pa.py_buffer(b"\1"), pa.py_buffer(struct.pack("<ii", 5, n))])})
        for n in (6, 7)
    )
    found = both(tmp_path, "x.arrow", arrow(one, compression="uncompressed"), arrow(two, compression="uncompressed"))
    assert found.sameness is Sameness.EQUAL
    found = both(tmp_path, "x.arrow", arrow(one), arrow(pa.table({"n": pa.array([None, 5], pa.int32())})))
    assert [(item.path, item.first) for item in found.differences] == [("n:valid", (0,))]


def test_types_that_are_not_known_are_compared_by_their_bytes_and_shapes(tmp_path: Path) -> None:
    def four_bits(shape: list[int], body: bytes) -> bytes:
        head = json.dumps({"q": {"dtype": "F4", "shape": shape, "data_offsets": [0, len(body)]}}).encode()
        return struct.pack("<Q", len(head)) + head + body

    assert (
        both(tmp_path, "x.safetensors", four_bits([2, 8], b"12345678"), four_bits([2, 8], b"12345678")).sameness
        is Sameness.IDENTICAL
    )
    assert both(tmp_path, "x.safetensors", four_bits([2, 8], b"12345678"), four_bits([2, 8], b"12345679")).differences[0].first == (
        7,
    )
    assert (
        both(tmp_path, "x.safetensors", four_bits([2, 8], b"12345678"), four_bits([4, 4], b"12345678")).differences[0].what
        is What.TYPE
    )


def test_two_leaves_of_one_path_do_not_hide_each_other(tmp_path: Path) -> None:
    plain = npz(a=np.zeros(3, [("x", "f4")]))
    more = npz(**{"a['x']": np.ones(3, "f4"), "a": np.zeros(3, [("x", "f4")])})  # type: ignore[arg-type]
    assert both(tmp_path, "x.npz", plain, more).sameness is Sameness.DIFFERENT


@pytest.mark.parametrize(
    ("before", "after", "first", "differing", "elements"),
    [
        ("loss 1\n", "loss 2\n", 0, 1, 1),
        ("a\n", "a\nb\n", 1, 1, 2),
        ("a\nb\nc\n", "a\nc\nb\n", 1, 2, 3),
        ("a\n\n", "a\nb\n", 1, 1, 2),
        ("a\n", "a", 1, 1, 1),  # the end of the last line
        ("x\n", "y", 0, 1, 1),
        ("\n\n", "\n", 1, 1, 2),
    ],
)
def test_a_text_has_as_many_lines_as_it_ends(
    tmp_path: Path, before: str, after: str, first: int, differing: int, elements: int
) -> None:
    (difference,) = both(tmp_path, "x.txt", before.encode(), after.encode()).differences
    assert (difference.first, difference.differing, difference.elements) == ((first,), differing, elements)


def test_formats_go_by_either_name(tmp_path: Path) -> None:
    from results.pairs import world
    from sanctity.verbs.comparing import compare

    (tmp_path / "a.json").write_text('{"a": 1}')
    (tmp_path / "a.json.old").write_text('{"a":1}')
    (tmp_path / "a.csv").write_text("a\n1\n")
    assert compare("a.json", "a.json.old", world(tmp_path)).sameness is Sameness.EQUAL
    (difference,) = compare("a.json", "a.csv", world(tmp_path)).files[0].differences
    assert (difference.what, difference.before, difference.after) == (What.FORMAT, "json", "csv")


def test_a_png_that_is_postscript_is_not_given_to_ghostscript(tmp_path: Path) -> None:
    canary = tmp_path / "ran"
    eps = f"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n({canary}) (w) file closefile\n%%EOF\n".encode()
    found = both(tmp_path, "x.png", eps, eps + b"\n")
    assert (found.sameness, found.reason[:14]) == (Sameness.UNDECIDED, "result-invalid")
    assert not canary.exists()


@pytest.mark.parametrize(
    ("name", "hostile"),
    [
        ("x.npy", b"\x93NUMPY\x01\0" + struct.pack("<H", 60000) + b"(" * 60000),
        ("x.npy", b"\x93NUMPY\x01\0" + struct.pack("<H", 60000) + b"-" * 59999 + b"1"),
        (
            "x.npy",
            b"\x93NUMPY\x01\0"
            + struct.pack("<H", 70)
            + b"{'descr':'<f8','fortran_order':False,'shape':(4611686018427387903,9,)}".ljust(70),
        ),
        ("x.safetensors", struct.pack("<Q", 1 << 62) + b"{}"),
        ("x.safetensors", struct.pack("<Q", 2000) + b"[" * 2000),
        ("x.safetensors", struct.pack("<Q", 60) + b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}'.ljust(60) + bytes(8)),
        ("x.json", b"[" * 100_000),
        ("x.json", b'{"a": 1, "a": 2}'),
        ("x.json", b'{"' + b"k" * 9000 + b'":' + (b'{"' + b"k" * 9000 + b'":') * 400 + b"1" + b"}" * 401),
        ("x.csv", b"," * 60_000 + b"\n" + b"1\n" * 2000),
        ("x.csv", b'a\n"'),
        ("x.parquet", b"PAR1" + bytes(40) + b"PAR1"),
        ("x.arrow", b"ARROW1\0\0" + b"\xff" * 90 + b"ARROW1"),
        ("x.png", b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + struct.pack(">II", 1 << 30, 1 << 30) + bytes(9)),
        ("x.npz", b"PK\x03\x04" + bytes(60)),
        ("x.npz", npz(a=COUNTS)[:-30]),
    ],
)
def test_what_is_hostile_or_cut_short_is_undecided(tmp_path: Path, name: str, hostile: bytes) -> None:
    found = both(tmp_path, name, hostile, hostile + b" ")
    assert found.sameness in {Sameness.UNDECIDED, Sameness.EQUAL}
    if found.sameness is Sameness.UNDECIDED:
        assert found.reason.startswith(("result-invalid: the first: ", "result-too-large: the first: "))
    assert both(tmp_path, name, hostile, hostile).sameness is Sameness.IDENTICAL


def test_a_member_that_unpacks_to_other_bytes_is_refused(tmp_path: Path) -> None:
    sound = npz(compressed=True, a=NUMBERS)
    at = sound.index(b"PK\x01\x02") + 16  # its CRC, as the directory has it
    broken = bytearray(sound)
    broken[at] ^= 1
    assert both(tmp_path, "x.npz", sound, bytes(broken)).reason.startswith("result-invalid: the second: a.npy: ")


def test_compressed_text_is_bytes(tmp_path: Path) -> None:
    """What no reader knows is compared by its bytes: the time in a gzip file is a difference."""
    found = both(tmp_path, "x.csv.gz", gzip.compress(b"a\n1\n", mtime=1), gzip.compress(b"a\n1\n", mtime=2))
    assert (found.sameness, found.format, found.differences[0].first) == (Sameness.DIFFERENT, "bytes", (4,))
