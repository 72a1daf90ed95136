"""What is said of two arrays, held to a slow reference of its own: element by element, with Python's integers and fractions.

The reference knows numbers by what IEEE 754 says of them: it lists the neighbours of a number by counting, where that is small enough.
"""

from __future__ import annotations

import io
import itertools
import math
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sanctity.compare.results import compare_leaves, compare_results
from sanctity.model.result import ELEMENTS, Array, Element, Leaf, Sameness, What
from sanctity.results import read
from sanctity.results.arrays import read_npy

DTYPES = ("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16", "S3", "U2", "M8[s]", "m8[ns]")
FLOATS = {2: ("e", 5, 10), 4: ("f", 8, 23), 8: ("d", 11, 52)}


def npy(array: np.ndarray[Any, Any]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()


def ordered(bits: int, width: int) -> int:
    """The place of a floating-point number among all of its format, zeros sharing one."""
    sign, magnitude = bits >> (width - 1), bits & ((1 << (width - 1)) - 1)
    return -magnitude if sign else magnitude


def reference(before: np.ndarray[Any, Any], after: np.ndarray[Any, Any]) -> dict[str, Any]:
    """What differs, the slow way."""
    size = before.dtype.itemsize
    one, two = before.tobytes(), after.tobytes()
    apart = [n for n in range(before.size) if one[n * size : (n + 1) * size] != two[n * size : (n + 1) * size]]
    said: dict[str, Any] = {"differing": len(apart), "most": 0, "zeros": 0, "payloads": 0, "nans": 0, "bins": {}}
    said["first"] = tuple(int(n) for n in np.unravel_index(apart[0], before.shape)) if apart else ()
    if before.dtype.kind not in "fc":
        return said
    part = size // 2 if before.dtype.kind == "c" else size
    letter, exponent, fraction = FLOATS[part]
    for place in range(0, len(one), part):
        a, b = one[place : place + part], two[place : place + part]
        if a == b:
            continue
        x, y = struct.unpack(f"<{letter}", a)[0], struct.unpack(f"<{letter}", b)[0]
        if math.isnan(x) or math.isnan(y):
            said["payloads" if math.isnan(x) and math.isnan(y) else "nans"] += 1
        elif x == y:
            said["zeros"] += 1
        else:
            distance = abs(
                ordered(int.from_bytes(a, "little"), 1 + exponent + fraction)
                - ordered(int.from_bytes(b, "little"), 1 + exponent + fraction)
            )
            said["most"] = max(said["most"], distance)
            said["bins"][distance.bit_length() - 1] = said["bins"].get(distance.bit_length() - 1, 0) + 1
    return said


@st.composite
def pairs(draw: st.DrawFn) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Two arrays of one dtype and shape, of any bits at all, that share most of them."""
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    shape = tuple(draw(st.lists(st.integers(0, 4), max_size=3)))
    size = math.prod(shape) * dtype.itemsize
    special = [bytes(dtype.itemsize), b"\xff" * dtype.itemsize, bytes(dtype.itemsize - 1) + b"\x80"]
    element = st.one_of(st.binary(min_size=dtype.itemsize, max_size=dtype.itemsize), st.sampled_from(special))
    one = b"".join(draw(st.lists(element, min_size=math.prod(shape), max_size=math.prod(shape))))
    two = bytearray(one)
    for _ in range(draw(st.integers(0, 4)) if size else 0):
        two[draw(st.integers(0, size - 1))] ^= 1 << draw(st.integers(0, 7))
    if dtype.kind == "U":  # NumPy has no text of characters that are none
        one = one.translate(bytes(128) + bytes(128)) if size else one
        two = bytearray(one)
        if size:
            two[draw(st.integers(0, size // 4 - 1)) * 4] ^= 1 << draw(st.integers(0, 6))
    return np.frombuffer(one, dtype).reshape(shape), np.frombuffer(bytes(two), dtype).reshape(shape)


@settings(max_examples=400)
@given(pairs(), st.booleans())
def test_two_arrays_are_told_apart_as_the_reference_does(
    both: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]], fortran: bool
) -> None:
    before, after = (np.asarray(side, order="F" if fortran else "C") for side in both)
    expected = reference(*both)
    one, two = (read_npy(memoryview(npy(side))).leaves for side in (before, after))
    found, noise = compare_leaves(one, two)
    assert not noise
    if not expected["differing"]:
        assert not found
        return
    (difference,) = found
    assert difference.what is What.VALUE
    assert (difference.differing, difference.first) == (expected["differing"], expected["first"])
    assert difference.elements == before.size
    ulps = difference.ulps
    if before.dtype.kind in "fc":
        assert ulps is not None
        assert (ulps.most, ulps.zeros, ulps.payloads, ulps.nans) == tuple(
            expected[key] for key in ("most", "zeros", "payloads", "nans")
        )
        assert {number: many for number, many in enumerate(ulps.histogram) if many} == expected["bins"]
    else:
        assert ulps is None


@pytest.mark.parametrize("name", [name for name, element in ELEMENTS.items() if element.kind == "float" and element.size <= 2])
def test_small_formats_are_ordered_as_their_numbers_are(name: str) -> None:
    """Of every two neighbours of a format with at most 65,536 numbers the distance is one, and the numbers ascend."""
    element = ELEMENTS[name]
    sign = 1 << (8 * element.size - 1)
    numbers = [(value(bits, element), bits) for bits in range(2 * sign)]
    finite = sorted((number, bits) for number, bits in numbers if math.isfinite(number) and not (number == 0 and bits))
    for (low, one), (high, two) in list(itertools.pairwise(finite))[:: 1 if element.size == 1 else 97]:
        assert low < high
        (difference,), _ = compare_leaves(leaf(one, element), leaf(two, element))
        assert difference.ulps is not None
        assert difference.ulps.most == 1, (low, high)
    (difference,), _ = compare_leaves(leaf(0, element), leaf(sign, element))
    assert difference.ulps is not None
    assert (difference.ulps.most, difference.ulps.zeros) == (0, 1)


def value(bits: int, element: Element) -> float:
    """The number that *bits* are, from the definition of its format."""
    width = element.exponent + element.fraction
    exponent, fraction = bits >> element.fraction & ((1 << element.exponent) - 1), bits & ((1 << element.fraction) - 1)
    last = exponent == (1 << element.exponent) - 1
    if element.finite and last and fraction == (1 << element.fraction) - 1:
        return math.nan
    if not element.finite and last:
        return math.nan if fraction else math.copysign(math.inf, -1 if bits >> width else 1)
    bias = (1 << (element.exponent - 1)) - 1
    number = (
        math.ldexp(fraction, 1 - bias - element.fraction)
        if not exponent
        else math.ldexp((1 << element.fraction) + fraction, exponent - bias - element.fraction)
    )
    return -number if bits >> width else number


def leaf(bits: int, element: Element) -> list[Leaf]:
    data = np.frombuffer(bits.to_bytes(element.size, "little"), "u1")
    return [Leaf(path="", value=Array(element=element, shape=(), data=data))]


def test_pieces_are_joined() -> None:
    """An array of several pieces, with differences in the first, the last and in none between."""
    before = np.zeros(700_001)
    after = before.copy()
    after[0], after[-1], after[350_000] = 1.0, np.nextafter(0, 1), -0.0
    one, two = (read_npy(memoryview(npy(side))) for side in (before, after))
    result = compare_results("x.npy", one, two, (0, 0))
    assert result.sameness is Sameness.DIFFERENT
    (difference,) = result.differences
    assert (difference.first, difference.differing, difference.elements) == ((0,), 3, 700_001)
    assert difference.ulps is not None
    assert (difference.ulps.most, difference.ulps.zeros, sum(difference.ulps.histogram)) == (
        int.from_bytes(struct.pack("<d", 1.0), "little"),
        1,
        2,
    )
    assert difference.largest == "1.0"


def test_the_same_elements_in_another_order_are_said_to_be_so() -> None:
    before = np.arange(6, dtype="i4").reshape(2, 3)
    one, two = (read("npy", memoryview(npy(side))) for side in (before, before[::-1].copy()))
    (difference,) = compare_results("x.npy", one, two, (0, 0)).differences
    assert difference.permuted
    assert difference.largest == "3"


def test_byte_order_and_layout_are_no_values() -> None:
    before = np.arange(6, dtype="<f8").reshape(2, 3)
    one, two = (read("npy", memoryview(npy(side))) for side in (before, np.asfortranarray(before).astype(">f8", order="F")))
    result = compare_results("x.npy", one, two, (0, 0))
    assert result.sameness is Sameness.EQUAL
    assert result.noise == ("how 1 array lies in memory",)


@given(st.binary(max_size=40), st.integers(0, 15), st.integers(0, 15), st.integers(0, 39))
def test_wherever_in_memory_the_two_lie(data: bytes, one: int, two: int, changed: int) -> None:
    def array(at: int, data: bytes) -> Array:
        memory = bytearray(at) + data
        return Array(element=ELEMENTS["uint8"], shape=(len(data),), data=np.frombuffer(memory, np.uint8)[at:])

    other = data[:changed] + bytes(byte ^ 1 for byte in data[changed : changed + 1]) + data[changed + 1 :]
    pair = (Leaf(path="x", value=array(one, data)),)
    assert compare_leaves(pair, (Leaf(path="x", value=array(two, data)),)) == ([], [])
    differences, _ = compare_leaves(pair, (Leaf(path="x", value=array(two, other)),))
    assert [(each.first, each.differing) for each in differences] == ([((changed,), 1)] if changed < len(data) else [])
