"""safetensors files: a JSON header, then the tensors' bytes, one after the other without holes.

Source: the format's description (Hugging Face, *safetensors*), and its rules: a header of at most
100 MB, offsets that start at 0, leave no hole, overlap nothing and end with the file.
"""

from __future__ import annotations

import json
import math
from typing import Any, Final

from sanctity.model.result import ELEMENTS, Element, Leaf, Result
from sanctity.results.arrays import of_bytes
from sanctity.results.errors import invalid

__all__ = ["read_safetensors"]

_LONGEST_HEADER: Final = 100_000_000
_MOST_DIMENSIONS: Final = 64
_NAMES: Final = {
    "BOOL": "bool",
    "U8": "uint8",
    "I8": "int8",
    "F8_E5M2": "float8_e5m2",
    "F8_E4M3": "float8_e4m3fn",
    "I16": "int16",
    "U16": "uint16",
    "F16": "float16",
    "BF16": "bfloat16",
    "I32": "int32",
    "U32": "uint32",
    "F32": "float32",
    "F64": "float64",
    "I64": "int64",
    "U64": "uint64",
    "C64": "complex64",
}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("a key stands twice")
    return dict(pairs)


def read_safetensors(data: memoryview) -> Result:
    """The tensors, each at its name; ``__metadata__`` is the container's."""
    length = int.from_bytes(data[:8], "little") if len(data) >= 8 else _LONGEST_HEADER + 1
    if length > min(_LONGEST_HEADER, len(data) - 8):
        raise invalid("its header is cut short, or too long")
    try:
        stated = json.loads(bytes(data[8 : 8 + length]).decode("utf-8"), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise invalid(f"its header is no JSON: {error}"[:200]) from error
    if not isinstance(stated, dict):
        raise invalid("its header is no object")
    metadata = stated.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise invalid("its metadata are no texts", "__metadata__")
    body = data[8 + length :]
    leaves: list[Leaf] = []
    spans: list[tuple[int, int, str]] = []
    for name, tensor in stated.items():
        stated_as = tensor if isinstance(tensor, dict) else {}
        offsets, shape, dtype = _naturals(stated_as.get("data_offsets")), _naturals(stated_as.get("shape")), stated_as.get("dtype")
        if offsets is None or len(offsets) != 2 or shape is None or len(shape) > _MOST_DIMENSIONS or not isinstance(dtype, str):
            raise invalid("it states no dtype, shape and two data_offsets", name)
        begin, end = offsets
        if not begin <= end <= len(body):
            raise invalid("it lies outside of the file", name)
        count = math.prod(shape)
        if dtype in _NAMES:
            element = ELEMENTS[_NAMES[dtype]]
        else:
            # A type that is not known here is compared byte by byte, as far as it has whole bytes.
            size = (end - begin) // count if count else 1
            whole = not count or size * count == end - begin
            known = whole and size
            element = Element(name=dtype if known else f"{dtype} {shape}", size=size if known else 1, kind="bits")
            shape = shape if known else [end - begin]
        value = of_bytes(body[begin:end], element, tuple(shape), place=8 + length + begin)
        leaves.append(Leaf(path=name, value=value))
        spans.append((begin, end, name))
    place = 0
    for begin, end, name in sorted(spans):
        if begin != place:
            raise invalid("it leaves a hole before it, or overlaps another tensor", name)
        place = end
    if place != len(body):
        raise invalid(f"{len(body) - place:,} bytes belong to no tensor")
    container = [("order", ", ".join(stated)), *((f"metadata {key}", value) for key, value in sorted(metadata.items()))]
    return Result(format="safetensors", leaves=tuple(leaves), container=tuple(container))


def _naturals(value: object) -> list[int] | None:
    """*value* where it is a list of natural numbers; else None."""
    if not isinstance(value, list) or not all(type(n) is int and 0 <= n < 1 << 62 for n in value):
        return None
    return value
