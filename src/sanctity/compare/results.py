"""Two results held to each other, leaf by leaf and bit by bit: where they first differ, how often, and how far apart.

Nothing is rounded and nothing is close enough: two numbers are the same where their bits are. How far floating-point numbers are
apart is told in units in the last place, by the order of their bits (a zero and a negative zero are at distance 0 and still
differ). Arrays are gone through in pieces that fit a processor's cache, so that equal ones cost about what reading them does.
"""

from __future__ import annotations

import itertools
import math
import re
import struct
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from sanctity.model.result import BINS, Array, Cells, Element, FileResult, Leaf, LeafDifference, Sameness, Scalar, Ulps, What

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sanctity.model.result import Result

__all__ = ["compare_bytes", "compare_leaves", "compare_results"]

#: Bytes of either side that are compared at a time.
_PIECE: Final = 1 << 20
#: The most elements of which it is tried whether they are the same in another order.
_MOST_SORTED: Final = 4_000_000
_DOUBLE: Final = Element(name="float64", size=8, kind="float", exponent=11, fraction=52)
_LONGEST: Final = 120
_NUMBER: Final = re.compile(
    r"[+-]?(?:(?:0|[1-9][0-9]{0,299})(?P<point>\.[0-9]*)?(?P<power>[eE][+-]?[0-9]{1,9})?|(?P<word>\.[0-9]+(?:[eE][+-]?[0-9]{1,9})?"
    r"|(?i:nan|inf|infinity)))"
)


def compare_bytes(path: str, before: memoryview, after: memoryview, *, same: int = 0, reason: str = "") -> FileResult:
    """Two files that are not the same, of a format that is not known or not to be looked into. The first *same* bytes are known."""
    sizes = (len(before), len(after))
    first, differing = -1, abs(sizes[0] - sizes[1])
    for place in range(same - same % _PIECE, min(sizes), _PIECE):
        end = min(place + _PIECE, *sizes)
        one, two = bytes(before[place:end]), bytes(after[place:end])
        if one != two:
            # As one number each, whose bits are compared at once.
            apart = (int.from_bytes(one) ^ int.from_bytes(two)).to_bytes(len(one))
            differing += len(apart) - apart.count(0)
            first = place + len(apart) - len(apart.lstrip(b"\0")) if first < 0 else first
    first = min(sizes) if first < 0 else first
    shown = [f"0x{side[first]:02x}" if first < len(side) else "(end)" for side in (before, after)]
    difference = LeafDifference(
        path="", what=What.BYTES, before=shown[0], after=shown[1], elements=max(sizes), differing=differing, first=(first,)
    )
    return FileResult(path=path, format="bytes", sameness=Sameness.DIFFERENT, sizes=sizes, differences=(difference,), reason=reason)


def compare_results(path: str, before: Result, after: Result, sizes: tuple[int, int], *, same: int = 0) -> FileResult:
    """Two files that were read, and whose bytes are not the same: their first *same* bytes alone are known to be."""
    if before.format != after.format:
        difference = LeafDifference(path="", what=What.FORMAT, before=before.format, after=after.format)
        return FileResult(path=path, format=before.format, sameness=Sameness.DIFFERENT, sizes=sizes, differences=(difference,))
    differences, written = compare_leaves(before.leaves, after.leaves, same=same)
    noise = [*written, *_noise(before, after)]
    unread = sorted({*before.unread, *after.unread})
    sameness = Sameness.DIFFERENT if differences else Sameness.UNDECIDED if unread else Sameness.EQUAL
    if sameness is Sameness.EQUAL and not noise:
        noise = ["bytes that are part of no value"]
    return FileResult(
        path=path,
        format=before.format,
        sameness=sameness,
        sizes=sizes,
        leaves=len({leaf.path for leaf in (*before.leaves, *after.leaves)}),
        differences=tuple(differences),
        noise=tuple(noise),
        reason=f"not understood: {', '.join(unread)}" if unread else "",
    )


def _noise(before: Result, after: Result) -> list[str]:
    """What the containers say otherwise, facts of one kind in one line."""
    one, two = dict(before.container), dict(after.container)
    kinds: dict[str, list[str]] = {}
    for what in sorted({*one, *two}):
        if one.get(what) != two.get(what):
            kinds.setdefault(what.partition(" of ")[0], []).append(what)
    told = []
    for kind, facts in kinds.items():
        if len(facts) > 1:
            told.append(f"{kind} of {len(facts):,} members")
        else:
            told.append(f"{facts[0]}: {_cut(one.get(facts[0], 'none'))} against {_cut(two.get(facts[0], 'none'))}")
    if [leaf.path for leaf in before.leaves] != [leaf.path for leaf in after.leaves] and not any(
        line.startswith("order") for line in told
    ):
        told.append("order")
    arrays = {leaf.path: leaf.value.order for leaf in before.leaves if isinstance(leaf.value, Array)}
    layouts = sum(
        1 for leaf in after.leaves if isinstance(leaf.value, Array) and arrays.get(leaf.path, leaf.value.order) != leaf.value.order
    )
    if layouts:
        told.append(f"how {layouts:,} {'array lies' if layouts == 1 else 'arrays lie'} in memory")
    return told


def _cut(text: str) -> str:
    flat = text.replace("\n", " ")
    return flat if len(flat) <= 40 else f"{flat[:39]}…"


def compare_leaves(before: Sequence[Leaf], after: Sequence[Leaf], *, same: int = 0) -> tuple[list[LeafDifference], list[str]]:
    """How leaves differ, matched by their paths, and what is written otherwise and means the same.

    The first *same* bytes of their files are known to be the same.
    """
    there = dict(_numbered(after))
    found: list[LeafDifference] = []
    written = 0
    for key, value in _numbered(before):
        path, other = key[0], there.pop(key, None)
        if other is None:
            found.append(LeafDifference(path=path, what=What.MISSING, before=_described(value)))
            continue
        difference, noisy = _compare(path, value, other, same)
        written += noisy
        found += [difference] if difference is not None else []
    found += [LeafDifference(path=path, what=What.EXTRA, after=_described(value)) for (path, _), value in there.items()]
    noise = [f"how {written:,} {'number is' if written == 1 else 'numbers are'} written"] if written else []
    return _permuted(found), noise


def _numbered(leaves: Sequence[Leaf]) -> Iterator[tuple[tuple[str, int], Array | Scalar | Cells]]:
    """Each leaf by its path and how many of that path come before it."""
    many: dict[str, int] = {}
    for leaf in leaves:
        number = many[leaf.path] = many.get(leaf.path, -1) + 1
        yield (leaf.path, number), leaf.value


def _permuted(found: list[LeafDifference]) -> list[LeafDifference]:
    """Differences, those told apart that are the items of one list in another order."""
    lists: dict[str, list[LeafDifference]] = {}
    for difference in found:
        if difference.what is What.VALUE and difference.path.endswith("]") and not difference.first:
            lists.setdefault(difference.path.rpartition("[")[0], []).append(difference)
    moved = {
        id(item)
        for items in lists.values()
        if len(items) > 1
        and not any(len(item.before) >= _LONGEST for item in items)  # what was cut may be anything
        and Counter(item.before for item in items) == Counter(item.after for item in items)
        for item in items
    }
    return [replace(item, permuted=True) if id(item) in moved else item for item in found]


def _compare(path: str, one: Array | Scalar | Cells, two: Array | Scalar | Cells, same: int) -> tuple[LeafDifference | None, int]:
    if isinstance(one, Array) and isinstance(two, Array):
        return _arrays(path, one, two, same), 0
    if isinstance(one, Cells) and isinstance(two, Cells):
        return _cells(path, one, two)
    if isinstance(one, Scalar) and isinstance(two, Scalar):
        return _scalars(path, one, two)
    return LeafDifference(path=path, what=What.TYPE, before=_described(one), after=_described(two)), 0


def _described(value: Array | Scalar | Cells) -> str:
    if isinstance(value, Array):
        return f"{value.element.name} {value.shape}"
    if isinstance(value, Cells):
        return f"{len(value.cells):,} cells"
    return _value(value)


def _value(scalar: Scalar) -> str:
    text = scalar.text or (repr(scalar.value) if scalar.value is not None else scalar.kind)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _scalars(path: str, one: Scalar, two: Scalar) -> tuple[LeafDifference | None, int]:
    if one.kind != two.kind:
        return LeafDifference(path=path, what=What.TYPE, before=f"{one.kind} {_value(one)}", after=f"{two.kind} {_value(two)}"), 0
    if isinstance(one.value, float) and isinstance(two.value, float):
        ulps = _apart(one.value, two.value)
        if ulps is None:
            return None, int(one.text != two.text)
        largest = abs(one.value - two.value)
        return LeafDifference(
            path=path,
            what=What.VALUE,
            before=_value(one),
            after=_value(two),
            elements=1,
            differing=1,
            ulps=ulps,
            largest=repr(largest) if math.isfinite(largest) else "",
        ), 0
    if one.value == two.value and type(one.value) is type(two.value):
        return None, 0
    return LeafDifference(path=path, what=What.VALUE, before=_value(one), after=_value(two), elements=1, differing=1), 0


def _bits(value: float) -> int:
    bits: int = struct.unpack("<Q", struct.pack("<d", value))[0]
    return bits


def _apart(one: float, two: float) -> Ulps | None:
    """The distance of two doubles; None where their bits are the same."""
    x, y = _bits(one), _bits(two)
    if x == y:
        return None
    if math.isnan(one) or math.isnan(two):
        both = math.isnan(one) and math.isnan(two)
        return Ulps(payloads=int(both), nans=int(not both))
    if one == two:
        return Ulps(zeros=1)
    near, far = x & ~(1 << 63), y & ~(1 << 63)
    distance = abs(near - far) if x >> 63 == y >> 63 else near + far
    histogram = [0] * BINS
    histogram[distance.bit_length() - 1] = 1
    return Ulps(most=distance, histogram=tuple(histogram))


def _joined(one: Ulps | None, two: Ulps | None) -> Ulps | None:
    """Both counts as one."""
    if one is None or two is None:
        return one or two
    histogram = tuple(map(sum, itertools.zip_longest(one.histogram, two.histogram, fillvalue=0)))
    return Ulps(
        most=max(one.most, two.most),
        histogram=histogram,
        zeros=one.zeros + two.zeros,
        payloads=one.payloads + two.payloads,
        nans=one.nans + two.nans,
    )


def _cells(path: str, one: Cells, two: Cells) -> tuple[LeafDifference | None, int]:
    if one.cells == two.cells:
        return None, 0
    elements = max(len(one.cells), len(two.cells))
    if not path and not one.numeric:  # the lines of a text: what is behind the last line end is none where it is empty
        if one.cells[-1:] == two.cells[-1:] == ("",):
            one, two = replace(one, cells=one.cells[:-1]), replace(two, cells=two.cells[:-1])
            elements -= 1
        else:
            elements = max(len(side.cells) - (side.cells[-1:] == ("",)) for side in (one, two))
    differing = written = 0
    first: int | None = None
    ulps: Ulps | None = None
    largest: float = 0
    for number, (x, y) in enumerate(zip(one.cells, two.cells, strict=False)):
        if x == y:
            continue
        a, b = (_number(x), _number(y)) if one.numeric and two.numeric else (None, None)
        if a is not None and b is not None:
            if isinstance(a, int) and isinstance(b, int):
                apart, alike = None, a == b
            else:
                apart = _apart(float(a), float(b))
                alike = apart is None
            if alike:
                written += 1
                continue
            ulps = _joined(ulps, apart)
            gap = abs(a - b)
            largest = gap if gap > largest and (isinstance(gap, int) or math.isfinite(gap)) else largest
        differing += 1
        first = number if first is None else first
    lengths = len(one.cells), len(two.cells)
    if not differing and lengths[0] == lengths[1]:
        return None, written
    first = min(lengths) if first is None else first
    shown = [_cell(side.cells, first) for side in (one, two)]
    return LeafDifference(
        path=path,
        what=What.VALUE if lengths[0] == lengths[1] else What.SHAPE,
        before=shown[0],
        after=shown[1],
        elements=elements,
        differing=min(elements, differing + abs(lengths[0] - lengths[1])),
        first=(first,),
        ulps=ulps,
        largest=repr(largest) if largest else "",
        permuted=lengths[0] == lengths[1] and lengths[0] <= _MOST_SORTED and Counter(one.cells) == Counter(two.cells),
    ), written


def _cell(cells: tuple[str, ...], number: int) -> str:
    if number >= len(cells):
        return "(end)"
    text = cells[number]
    return "(absent)" if text.startswith("\ud800") else text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _number(text: str) -> float | None:
    """The number that a cell is: an integer where it is written as one that a double holds no better, so that none are confused.

    What has zeros before it or more than 300 digits is a text: an identifier more likely than a number.
    """
    if (found := _NUMBER.fullmatch(text)) is None:
        return None
    return float(text) if found["point"] or found["power"] or found["word"] else int(text) if text != "-0" else -0.0


def _arrays(path: str, one: Array, two: Array, same: int) -> LeafDifference | None:
    if one.element != two.element:
        return LeafDifference(path=path, what=What.TYPE, before=_described(one), after=_described(two))
    if one.shape != two.shape:
        return LeafDifference(path=path, what=What.SHAPE, before=str(one.shape), after=str(two.shape))
    element = one.element
    step = max(1, _PIECE // max(1, element.size)) * max(1, element.size)
    tally = _Tally(element)
    x, y = one.data, two.data
    # What lies at one place of both files, where they are known to be the same, is not looked at again.
    known = max(0, same - one.place) // step * step if one.place == two.place >= 0 else 0
    for place in range(known, len(x), step):
        before, after = x[place : place + step], y[place : place + step]
        if not _equal(before, after):
            tally.add(before, after, place // element.size)
    if not tally.differing:
        return None
    place = tally.first * element.size
    return LeafDifference(
        path=path,
        what=What.VALUE,
        before=_shown(bytes(x[place : place + element.size]), element),
        after=_shown(bytes(y[place : place + element.size]), element),
        elements=math.prod(one.shape),
        differing=tally.differing,
        first=_index(tally.first, one.shape),
        ulps=tally.ulps,
        largest=tally.gap(),
        permuted=_reordered(one, two),
    )


def _equal(before: Any, after: Any) -> bool:
    """Whether two pieces are the same bytes: eight at a time where memory has whole words of both.

    NumPy copies words that lie otherwise before it compares them, and members of an archive lie anywhere.
    """
    head, other = (-side.__array_interface__["data"][0] % 8 for side in (before, after))
    if head != other:
        return bool((before == after).all())
    end = len(before) - (len(before) - head) % 8
    if end <= head:
        return bool((before == after).all())
    words = [side[head:end].view("u8") for side in (before, after)]
    return bool((words[0] == words[1]).all() and (before[:head] == after[:head]).all() and (before[end:] == after[end:]).all())


def _index(place: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    index: list[int] = []
    for length in reversed(shape):
        place, here = divmod(place, length)
        index.append(here)
    return tuple(reversed(index))


def _reordered(one: Array, two: Array) -> bool:
    """Whether both hold the same elements in another order."""
    import numpy as np

    size = one.element.size
    if size not in {1, 2, 4, 8} or len(one.data) // size > _MOST_SORTED:
        return False
    return bool((np.sort(one.data.view(f"u{size}")) == np.sort(two.data.view(f"u{size}"))).all())


def _shown(raw: bytes, element: Element) -> str:
    """One element as people write it, and for a number with a point its bits."""
    if element.kind == "float":
        return f"{_float(int.from_bytes(raw, 'little'), element)} (0x{raw[::-1].hex()})"
    if element.kind == "complex":
        half = element.size // 2
        part = _part(element)
        real, imaginary = (_float(int.from_bytes(side, "little"), part) for side in (raw[:half], raw[half:]))
        return f"{real}, {imaginary}i (0x{raw[:half][::-1].hex()}, 0x{raw[half:][::-1].hex()})"
    if element.kind in {"int", "uint"}:
        return str(int.from_bytes(raw, "little", signed=element.kind == "int"))
    if element.kind == "bool":
        return "True" if raw == b"\1" else "False" if raw == b"\0" else f"0x{raw.hex()}"
    if element.kind == "text":
        text = raw.decode("utf-32-le", "replace") if "U" in element.name else raw.decode("utf-8", "replace")
        return _cut(repr(text.rstrip("\0")))
    return f"0x{raw[:32].hex()}{'…' if len(raw) > 32 else ''}"


def _float(bits: int, element: Element) -> str:
    """The number that *bits* are in a format of sign, exponent and fraction, shortest for single and double precision."""
    width = element.exponent + element.fraction
    sign = "-" if bits >> width else ""
    exponent, fraction = bits >> element.fraction & ((1 << element.exponent) - 1), bits & ((1 << element.fraction) - 1)
    top = (1 << element.exponent) - 1
    if (exponent == top and not element.finite) or (element.finite and bits & ((1 << width) - 1) == (1 << width) - 1):
        return f"{sign}{'nan' if fraction else 'inf'}"
    if element.name == "float64":
        return repr(struct.unpack("<d", struct.pack("<Q", bits))[0])
    if element.name == "float32":
        import numpy as np

        return str(np.uint32(bits).view(np.float32))
    bias = (1 << (element.exponent - 1)) - 1
    scale = max(exponent, 1) - bias - element.fraction
    value = math.ldexp(fraction + ((1 << element.fraction) if exponent else 0), scale)
    return f"{sign}{value:.6g}"


def _part(element: Element) -> Element:
    return Element(
        name={8: "float64", 4: "float32", 2: "float16"}[element.size // 2],
        size=element.size // 2,
        kind="float",
        exponent=element.exponent,
        fraction=element.fraction,
    )


class _Tally:
    """What is counted of the pieces of two arrays that differ."""

    def __init__(self, element: Element) -> None:
        self.element = element
        self.differing = 0
        self.first = -1
        self.ulps: Ulps | None = None
        self.largest = 0.0
        self.widest = 0

    def add(self, before: Any, after: Any, place: int) -> None:
        """Count two pieces, the elements of which begin with number *place*."""
        import numpy as np

        size, kind = self.element.size, self.element.kind
        # As words of a machine, where elements are as wide as those: NumPy compares words at the speed of memory.
        word = f"u{size}" if size in {1, 2, 4, 8} else "u8" if size == 16 else f"V{size}"
        x, y = before.view(word), after.view(word)
        apart = np.flatnonzero((x != y).reshape(-1, 2).any(axis=1) if size == 16 else x != y)
        self.differing += len(apart)
        if self.first < 0:
            self.first = place + int(apart[0])
        if kind in {"float", "complex"}:
            part = _part(self.element) if kind == "complex" else self.element
            self._floats(before.view(f"u{part.size}"), after.view(f"u{part.size}"), part)
        elif kind in {"int", "uint"}:
            letter = "i" if kind == "int" else "u"
            a, b = x[apart].view(f"{letter}{size}"), y[apart].view(f"{letter}{size}")
            gap = np.where(a > b, a.astype("u8") - b.astype("u8"), b.astype("u8") - a.astype("u8"))
            self.widest = max(self.widest, int(gap.max()))

    def _floats(self, x: Any, y: Any, part: Element) -> None:
        import numpy as np

        other = x != y
        if not other.all():
            x, y = x[other], y[other]
        width = part.exponent + part.fraction
        word = x.dtype.type
        mask = word((1 << width) - 1)
        near, far = x & mask, y & mask
        limit = word((1 << width) - 2 if part.finite else ((1 << part.exponent) - 1) << part.fraction)
        lost, gone = near > limit, far > limit
        both, one = lost & gone, lost ^ gone
        zeros = (near | far) == 0
        steps = ~(both | one | zeros)
        if not steps.all():
            near, far, x, y = near[steps], far[steps], x[steps], y[steps]
        # Twice the largest magnitude still fits into the word, so no distance overflows.
        distance = np.where((x ^ y) > mask, near + far, np.maximum(near, far) - np.minimum(near, far))
        if part.size == 8:
            bins = np.searchsorted(np.uint64(1) << np.arange(BINS, dtype="u8"), distance, side="right") - 1
        else:
            bins = np.frexp(distance.astype("f8"))[1] - 1
        bins = np.bincount(bins, minlength=BINS)
        counted = Ulps(
            most=int(distance.max()) if len(distance) else 0,
            histogram=tuple(int(number) for number in bins) if len(distance) else (),
            zeros=int(zeros.sum()),
            payloads=int(both.sum()),
            nans=int(one.sum()),
        )
        self.ulps = _joined(self.ulps, counted)
        kind = {"float16": "f2", "float32": "f4", "float64": "f8"}.get(part.name)
        if kind is None and part.name != "bfloat16":
            return
        with np.errstate(all="ignore"):
            if kind is None:
                a, b = ((side.astype("u4") << np.uint32(16)).view("f4").astype("f8") for side in (x, y))
            else:
                a, b = (side.view(kind).astype("f8") for side in (x, y))
            gap = np.abs(a - b)
            gap = gap[np.isfinite(gap)]
        if len(gap):
            self.largest = max(self.largest, float(gap.max()))

    def gap(self) -> str:
        """The largest absolute difference, as text."""
        if self.element.kind in {"int", "uint"}:
            return str(self.widest)
        return repr(self.largest) if self.largest else ""
