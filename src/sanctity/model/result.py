"""What a program wrote, and how two runs of it differ: leaves of files (an array, a number, a line), compared bit for bit.

A file is *identical* where its bytes are; *equal* where every value in it is the same, and only its container differs (a time in a
zip, the order of keys, an archive's own name); else *different*, or *undecided* where it could not be read whole. Distances are in
units in the last place: the number of steps from one floating-point number of a format to the other (IEEE 754-2019, 5.3.1 nextUp).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "BINS",
    "ELEMENTS",
    "Array",
    "Cells",
    "Element",
    "FileResult",
    "Leaf",
    "LeafDifference",
    "Result",
    "ResultComparison",
    "Sameness",
    "Scalar",
    "Ulps",
    "What",
]

#: Bins of a histogram of distances: bin k counts those of at least 2**k and less than 2**(k+1) units in the last place.
BINS: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """What one element of an array is: its *name* (``float32``), *size* in bytes and *kind*.

    *exponent* and *fraction* are the widths in bits of a floating-point format of sign, exponent and fraction; 0 where it is none.
    *finite* says that such a format has no infinities, so that one pattern alone is no number (OCP 8-bit E4M3).
    """

    name: str
    size: int
    kind: Literal["bool", "int", "uint", "float", "complex", "text", "bits"]
    exponent: int = 0
    fraction: int = 0
    finite: bool = False


def _elements() -> Iterable[Element]:
    yield Element(name="bool", size=1, kind="bool")
    for size in (1, 2, 4, 8):
        yield Element(name=f"int{8 * size}", size=size, kind="int")
        yield Element(name=f"uint{8 * size}", size=size, kind="uint")
    yield Element(name="float8_e5m2", size=1, kind="float", exponent=5, fraction=2)
    yield Element(name="float8_e4m3fn", size=1, kind="float", exponent=4, fraction=3, finite=True)
    yield Element(name="float16", size=2, kind="float", exponent=5, fraction=10)
    yield Element(name="bfloat16", size=2, kind="float", exponent=8, fraction=7)
    yield Element(name="float32", size=4, kind="float", exponent=8, fraction=23)
    yield Element(name="float64", size=8, kind="float", exponent=11, fraction=52)
    yield Element(name="complex32", size=4, kind="complex", exponent=5, fraction=10)
    yield Element(name="complex64", size=8, kind="complex", exponent=8, fraction=23)
    yield Element(name="complex128", size=16, kind="complex", exponent=11, fraction=52)


#: The elements that are known by name; others are `Element` of kind ``bits`` or ``text``, compared byte by byte.
ELEMENTS: Final = {element.name: element for element in _elements()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Array:
    """An array of *shape*: *data* is a one-dimensional NumPy array of bytes in C order, little-endian, ``size`` bytes an element.

    *order* is what its container says of how it lies there (``C``, ``F``, ``>`` for big-endian), which is no value. *place* is
    where in the file these very bytes begin, or -1 where they lie there in another way.
    """

    element: Element
    shape: tuple[int, ...]
    data: Any
    order: str = ""
    place: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Scalar:
    """One value: *kind* is its type as its format names it (``int``, ``str``, ``null``), *value* a Python object.

    Where the format writes numbers as text, *text* is how it was written.
    """

    kind: str
    value: bool | float | str | bytes | None
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """A column of a table, or the lines of a text: each cell as it is written. With *numeric* a cell may be a number."""

    cells: tuple[str, ...]
    numeric: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """A *value* and its *path* in the file (``model.0.weight``), empty where it is the whole file."""

    path: str
    value: Array | Scalar | Cells


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A file that was read as *format*: its *leaves*, of one path rarely two, and *container*, facts that are no values.

    *container* are (what, how) pairs, such as (``time``, ``2024-03-01``). *unread* says what of it could not be understood: the
    file is then never equal to another one, unless byte for byte.
    """

    format: str
    leaves: tuple[Leaf, ...]
    container: tuple[tuple[str, str], ...] = ()
    unread: tuple[str, ...] = ()


class Sameness(StrEnum):
    """How alike two files, or all of two results, are; the later in this order, the graver."""

    IDENTICAL = "identical"
    EQUAL = "equal"
    UNDECIDED = "undecided"
    DIFFERENT = "different"


class What(StrEnum):
    """What is different about a leaf or a file."""

    VALUE = "value"
    TYPE = "type"
    SHAPE = "shape"
    MISSING = "missing"  # in the first alone
    EXTRA = "extra"  # in the second alone
    FORMAT = "format"
    BYTES = "bytes"  # of a file whose format is not known


@dataclass(frozen=True, slots=True, kw_only=True)
class Ulps:
    """Distances between floating-point numbers that differ in some bit.

    *most* is the largest distance, *histogram* how many there are a bin of `BINS`. *zeros* are pairs of zeros of other sign and
    *payloads* pairs of NaN with other bits, both at distance 0; *nans* are pairs of which one alone is NaN, and have no distance.
    """

    most: int = 0
    histogram: tuple[int, ...] = ()
    zeros: int = 0
    payloads: int = 0
    nans: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafDifference:
    """How the leaf at *path* differs: of *elements* elements *differing* do, the first at index *first*.

    *before* and *after* are that element's value on either side, or the types or shapes that differ. *largest* is the largest
    absolute difference of finite numbers, as text. *permuted* says that both hold the same elements in another order.
    """

    path: str
    what: What
    before: str = ""
    after: str = ""
    elements: int = 0
    differing: int = 0
    first: tuple[int, ...] = ()
    ulps: Ulps | None = None
    largest: str = ""
    permuted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FileResult:
    """How the file at *path* compares: *sizes* in bytes, *leaves* looked at, what differs, and *noise* of the container.

    *reason* says why it is undecided, or what was not understood.
    """

    path: str
    format: str
    sameness: Sameness
    sizes: tuple[int, int] = (0, 0)
    leaves: int = 0
    differences: tuple[LeafDifference, ...] = ()
    noise: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultComparison:
    """Two results *before* and *after*, files or folders as they were named, *files* in the order of their paths."""

    before: str
    after: str
    files: tuple[FileResult, ...]

    @property
    def sameness(self) -> Sameness:
        """How alike they are as a whole: as the gravest file is."""
        order = tuple(Sameness)
        return max((file.sameness for file in self.files), key=order.index, default=Sameness.UNDECIDED)
