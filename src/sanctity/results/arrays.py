"""NumPy's own files: ``.npy`` and ``.npz``, and what a dtype says.

Source: NumPy, *A simple file format for NumPy arrays* (NEP 1), versions 1.0 to 3.0. Arrays of objects are pickles: they are read as
pickles are, without executing anything.
"""

from __future__ import annotations

import ast
import math
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from sanctity.model.result import ELEMENTS, Array, Element, Leaf, Result, Scalar
from sanctity.results.archive import members, unpacked
from sanctity.results.errors import invalid, needs

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

__all__ = ["array_leaves", "element_of", "numpy_module", "of_bytes", "read_npy", "read_npz"]

_LONGEST_HEADER: Final = 64 * 1024
_MOST_DIMENSIONS: Final = 64
#: The padded extended format of x86 has ten bytes that count, and 63 bits of fraction beside the leading one.
_EXTENDED: Final = 10
_EXTENDED_FRACTION: Final = 63


def numpy_module() -> Any:
    """NumPy. Raises DocumentError ``result-needs-library`` where it is not installed."""
    try:
        import numpy as np
    except ImportError as error:
        raise needs("numpy", "array") from error
    return np


def element_of(dtype: np.dtype[Any]) -> Element:
    """The element that *dtype* stands for; what has no name of its own is compared byte by byte."""
    known = ELEMENTS.get(dtype.newbyteorder("=").name)
    if known is not None:
        return known
    kind = "text" if dtype.kind in "SU" else "int" if dtype.kind in "mM" else "bits"
    return Element(name=str(dtype.newbyteorder("=").str), size=dtype.itemsize, kind=kind)  # type: ignore[arg-type]


def of_bytes(data: memoryview, element: Element, shape: tuple[int, ...], *, place: int = -1) -> Array:
    """An array of *shape* over *data*, little-endian and in C order, which must be as long as the shape asks for."""
    np = numpy_module()
    if len(data) != element.size * math.prod(shape):
        raise invalid(f"it has {len(data):,} bytes, and its shape asks for {element.size * math.prod(shape):,}")
    return Array(element=element, shape=shape, data=np.frombuffer(data, np.uint8), place=place)


def array_leaves(path: str, array: np.ndarray[Any, Any], *, place: int = -1) -> Iterator[Leaf]:
    """The leaves of *array* at *path*: one, or one a field where it is structured. *place* is where its file has its bytes."""
    np = numpy_module()
    dtype = array.dtype
    if dtype.names:
        for name in dtype.names:
            yield from array_leaves(f"{path}[{name!r}]", array[name])
        return
    if dtype.subdtype is not None:
        raise invalid("its elements are arrays themselves", path)
    order = ""
    if dtype.byteorder == ">" or (dtype.byteorder == "=" and not np.little_endian):
        order = ">"
        array = array.astype(dtype.newbyteorder("<"))
    if array.ndim > 1 and not array.flags.c_contiguous:
        order += "F" if array.flags.f_contiguous else "strided"
    place = -1 if order else place
    flat = np.ascontiguousarray(array).reshape(-1)
    element = element_of(flat.dtype)
    raw = flat.view(np.uint8) if flat.size and element.size else np.empty(0, np.uint8)
    if dtype.kind in "fc" and element.kind == "bits" and np.finfo(np.longdouble).nmant == _EXTENDED_FRACTION:
        # Of the extended format the rest is padding, which holds whatever lay there.
        parts = 2 if dtype.kind == "c" else 1
        raw = np.ascontiguousarray(raw.reshape(-1, element.size // parts)[:, :_EXTENDED]).reshape(-1)
        element, place = Element(name="complex160" if parts > 1 else "float80", size=_EXTENDED * parts, kind="bits"), -1
    yield Leaf(path=path, value=Array(element=element, shape=array.shape, data=raw, order=order, place=place))


def _header(data: memoryview) -> tuple[dict[str, Any], int]:
    """What the header states, and where the data begins."""
    major = data[6] if len(data) > 10 else 0
    if major not in {1, 2, 3}:
        raise invalid("it is not of a version 1 to 3, or is cut short")
    wide = 2 if major == 1 else 4
    length = int.from_bytes(data[8 : 8 + wide], "little")
    start = 8 + wide + length
    if length > _LONGEST_HEADER or start > len(data):
        raise invalid("its header is cut short, or too long")
    try:
        text = bytes(data[8 + wide : start]).decode("utf-8" if major == 3 else "latin-1")
        with warnings.catch_warnings():  # of what is written oddly in it, which is not ours to tell
            warnings.simplefilter("ignore")
            stated = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError) as error:
        raise invalid("its header is no literal") from error
    if not isinstance(stated, dict) or set(stated) != {"descr", "fortran_order", "shape"}:
        raise invalid("its header does not state descr, fortran_order and shape")
    return stated, start


def read_npy(data: memoryview, path: str = "", *, at: int = 0) -> Result:
    """The leaf of an ``.npy`` file, or its leaves where its elements have fields or are objects.

    *at* is where in its file *data* begins, -1 where it is not there as it is.
    """
    np = numpy_module()
    stated, start = _header(data)
    shape = stated["shape"]
    if (
        not isinstance(shape, tuple)
        or len(shape) > _MOST_DIMENSIONS
        or not all(isinstance(n, int) and not isinstance(n, bool) and 0 <= n < 1 << 62 for n in shape)
    ):
        raise invalid("its shape is no tuple of lengths", path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dtype = np.lib.format.descr_to_dtype(stated["descr"])
    except (ValueError, TypeError, KeyError, SyntaxError, AttributeError, IndexError, OverflowError) as error:
        raise invalid(f"its dtype is none: {error}"[:200], path) from error
    if dtype.hasobject:
        from sanctity.results.pickled import read_pickle

        read = read_pickle(data[start:], path, format_="npy")
        stated_shape = Leaf(path=f"{path}:shape", value=Scalar(kind="shape", value=f"{shape} {stated['fortran_order']}"))
        return replace(read, leaves=(stated_shape, *read.leaves))
    if dtype.itemsize * math.prod(shape) != len(data) - start:
        raise invalid(
            f"it has {len(data) - start:,} bytes of data, and its shape asks for {dtype.itemsize * math.prod(shape):,}", path
        )
    if not dtype.itemsize:
        return Result(format="npy", leaves=(Leaf(path=path, value=of_bytes(data[:0], element_of(dtype), shape)),))
    try:
        array = np.frombuffer(data[start:], dtype).reshape(shape, order="F" if stated["fortran_order"] else "C")
    except (ValueError, OverflowError) as error:
        raise invalid(f"it is no array: {error}"[:200], path) from error
    container = (("version", str(data[6])),)
    leaves = tuple(array_leaves(path, array, place=at + start if at >= 0 else -1))
    return Result(format="npy", leaves=leaves, container=container)


def read_npz(data: memoryview) -> Result:
    """The arrays of an ``.npz`` file, each at its own name."""
    leaves: list[Leaf] = []
    container: list[tuple[str, str]] = []
    unread: list[str] = []
    for member in members(data):
        name = member.name.removesuffix(".npy")
        container += [
            (f"time of {member.name}", member.time),
            (f"compression of {member.name}", "none" if member.stored else "deflate"),
        ]
        if name == member.name:
            unread.append(f"{name}: no array")
            continue
        part = unpacked(data, member)
        if not bytes(part[:6]) == b"\x93NUMPY":
            raise invalid("it is no .npy file", member.name)
        read = read_npy(part, name, at=member.start if member.stored else -1)
        leaves += read.leaves
        unread += read.unread
    return Result(format="npz", leaves=tuple(leaves), container=tuple(container), unread=tuple(unread))
