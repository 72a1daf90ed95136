"""The document ``sanctity.rng-state/1``: values as text that any JSON parser reads, and nothing that runs when it is read.

One line of canonical JSON (sorted names, no blanks, ASCII) with a digest over all of it, so each byte of the file is held. What
JSON has no word for is written as an object of one name: ``{"int": "7"}`` (in hex from 2**128 on), ``{"float": <its 8 bytes,
big-endian, in hex>}``, ``{"bytes": <base64>}``, ``{"tuple": [...]}``, ``{"dict": [[key, value], ...]}``, and ``array``, ``scalar``
(NumPy) and ``tensor`` (PyTorch), each with its dtype, its shape and its bytes, little-endian. Texts, true, false, null and arrays
stand for themselves. All that is read is checked, and what is not known is refused. Arrays need NumPy, and tensors PyTorch, to be
read as values; the document does not.
"""

from __future__ import annotations

import sys
from base64 import b64decode, b64encode
from struct import error as StructError  # noqa: N812 - it is a class
from struct import pack, unpack
from typing import Any

__all__ = ["LARGEST", "SCHEMA", "Unwritable", "canonical", "decoded", "digest_of", "encoded", "parsed"]

SCHEMA = "sanctity.rng-state/1"
#: The longest document that is read, in bytes.
LARGEST = 1 << 28
_DEEPEST = 40
_NAMES = {"schema", "tool", "seed", "recorded", "entries", "digest"}
#: The kinds of numbers in an array: bool, integers, floats, complex. Objects, texts and records are no states of generators.
_KINDS = "biufc"


class Unwritable(Exception):  # noqa: N818 - it never leaves this room
    """A value, at a place, that the document has no word for."""


# -- values -----------------------------------------------------------------------------------------------------------------------


def encoded(value: Any, place: str = "", depth: int = 0) -> Any:
    """*value* as JSON.

    Raises:
        Unwritable: it is of a type that the document does not have, or too deep.
    """
    if depth > _DEEPEST:
        raise Unwritable(f"{place or 'it'} is more than {_DEEPEST} levels deep")
    if value is None or type(value) in {bool, str}:
        return value
    if type(value) is int:
        return {"int": hex(value)} if value.bit_length() > 128 else {"int": str(value)}
    if type(value) is float:
        return {"float": pack(">d", value).hex()}
    if type(value) in {bytes, bytearray}:
        return {"bytes": b64encode(value).decode()}
    if type(value) is list:
        return [encoded(each, f"{place}[{number}]", depth + 1) for number, each in enumerate(value)]
    if type(value) is tuple:
        return {"tuple": [encoded(each, f"{place}[{number}]", depth + 1) for number, each in enumerate(value)]}
    if isinstance(value, dict) and all(type(key) in {str, int} for key in value):
        pairs = [[encoded(key), encoded(each, f"{place}[{key!r}]", depth + 1)] for key, each in value.items()]
        return {"dict": pairs}
    found = _encoded_of_library(value)
    if found is None:
        raise Unwritable(f"{place or 'it'} is a {type(value).__qualname__}, which the document has no word for")
    return found


def _encoded_of_library(value: Any) -> Any:
    numpy: Any = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, (numpy.ndarray, numpy.generic)) and value.dtype.kind in _KINDS:
        portable = numpy.asarray(value).astype(value.dtype.newbyteorder("<"), order="C", copy=False)
        word = "array" if isinstance(value, numpy.ndarray) else "scalar"
        return {word: {"dtype": portable.dtype.str, "shape": list(value.shape), "data": b64encode(portable.tobytes()).decode()}}
    torch: Any = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor) and value.layout is torch.strided and not value.is_quantized:
        data = bytes_of(torch, value.detach().cpu())
        return {
            "tensor": {
                "dtype": str(value.dtype).removeprefix("torch."),
                "shape": list(value.shape),
                "device": str(value.device),
                "data": b64encode(data).decode(),
            }
        }
    return None


def bytes_of(torch: Any, tensor: Any) -> bytes:
    """The bytes of *tensor*, in the order of its elements, which is that of little-endian machines."""
    flat = tensor.contiguous().reshape(-1)
    if flat.numel() == 0:
        return b""
    return bytes(flat.view(torch.uint8).tolist())


def tensor_of(torch: Any, data: bytes, dtype: Any, shape: Any) -> Any:
    """The tensor on the CPU that `bytes_of` gave *data* for."""
    if not data:
        return torch.empty(shape, dtype=dtype)
    return torch.frombuffer(bytearray(data), dtype=torch.uint8).clone().view(dtype).reshape(shape)


def decoded(value: Any) -> Any:
    """The value that `encoded` gave *value* for.

    Raises:
        ValueError: it is none of the document's words, or one with a wrong content, or of a library that is not imported.
    """
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, list):
        return [decoded(each) for each in value]
    if not isinstance(value, dict) or len(value) != 1:
        raise ValueError("a value is an object of more than one name, or a bare number")
    [(word, content)] = value.items()
    try:
        return _READERS[word](content)
    except KeyError:
        raise ValueError(f"there is no value called {word!r}") from None
    except (TypeError, AttributeError, OverflowError, StructError) as error:
        raise ValueError(f"{word}: {error}") from error


def _int(text: Any) -> int:
    if not isinstance(text, str):
        raise ValueError("int: it is no text")
    number = int(text, 16 if text.lstrip("-").startswith("0x") else 10)
    if encoded(number) != {"int": text}:
        raise ValueError("int: it is not written as this document writes it")
    return number


def _float(text: Any) -> float:
    found: float = unpack(">d", bytes.fromhex(text))[0] if isinstance(text, str) and len(text) == 16 else _no("float")
    return found


def _bytes(text: Any) -> bytes:
    return b64decode(text, validate=True) if isinstance(text, str) else _no("bytes")


def _tuple(content: Any) -> tuple[Any, ...]:
    return tuple(decoded(each) for each in content) if isinstance(content, list) else _no("tuple")


def _dict(content: Any) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for pair in content if isinstance(content, list) else _no("dict"):
        key, value = (decoded(each) for each in pair) if isinstance(pair, list) and len(pair) == 2 else _no("dict")
        if type(key) not in {str, int} or key in found:
            _no("dict")
        found[key] = value
    return found


def _array(content: Any) -> Any:
    numpy: Any = sys.modules.get("numpy")
    if numpy is None:
        raise ValueError("array: numpy is not imported")
    name, shape, data = _fields(content, "dtype", "shape", "data")
    dtype = numpy.dtype(name)
    if dtype.kind not in _KINDS or dtype.str != name:
        _no("array")
    flat = numpy.frombuffer(_bytes(data), dtype=dtype)
    return flat.reshape(_shape(shape)).astype(dtype.newbyteorder("="), copy=True)


def _scalar(content: Any) -> Any:
    return _array(content)[()]


def _tensor(content: Any) -> Any:
    torch: Any = sys.modules.get("torch")
    if torch is None:
        raise ValueError("tensor: torch is not imported")
    name, shape, device, data = _fields(content, "dtype", "shape", "device", "data")
    dtype = getattr(torch, name, None) if isinstance(name, str) and isinstance(device, str) else None
    if not isinstance(dtype, torch.dtype):
        _no("tensor")
    try:
        return tensor_of(torch, _bytes(data), dtype, _shape(shape)).to(device)
    except RuntimeError as error:
        raise ValueError(f"tensor: {error}") from error


def _fields(content: Any, *names: str) -> tuple[Any, ...]:
    if not isinstance(content, dict) or content.keys() != set(names):
        raise ValueError(f"the names are not {', '.join(names)}")
    return tuple(content[name] for name in names)


def _shape(shape: Any) -> tuple[int, ...]:
    if not isinstance(shape, list) or not all(type(each) is int and each >= 0 for each in shape):
        raise ValueError("the shape is none")
    return tuple(shape)


def _no(word: str) -> Any:
    raise ValueError(f"{word}: it is not written as this document writes it")


_READERS = {
    "int": _int,
    "float": _float,
    "bytes": _bytes,
    "tuple": _tuple,
    "dict": _dict,
    "array": _array,
    "scalar": _scalar,
    "tensor": _tensor,
}


# -- the document -----------------------------------------------------------------------------------------------------------------


def canonical(document: dict[str, Any]) -> bytes:
    """The bytes of *document*: one line, sorted names, no blanks, ASCII."""
    from json import dumps

    return dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode("ascii")


def digest_of(document: dict[str, Any]) -> str:
    """``sha256:`` and the digest of the canonical bytes of *document* without its digest."""
    from hashlib import sha256

    return f"sha256:{sha256(canonical({name: each for name, each in document.items() if name != 'digest'})).hexdigest()}"


def parsed(data: bytes, where: str = "") -> dict[str, Any]:
    """The document that *data* is; the values of its entries are still encoded.

    Raises:
        sanctity.errors.DocumentError: ``state-invalid``: it is no such document; ``state-altered``: its digest is another one.
    """
    from json import loads

    if len(data) > LARGEST:
        raise _invalid(where, "$", f"it is longer than {LARGEST:,} bytes")
    try:
        document = loads(data.decode("ascii"))
    except (ValueError, RecursionError) as error:
        raise _invalid(where, "$", f"it is no JSON in ASCII: {error}" if data else "it is empty") from error
    if not isinstance(document, dict) or "schema" not in document:
        raise _invalid(where, "$", "it is no document of ours")
    if document["schema"] != SCHEMA:
        raise _invalid(where, "schema", f"{document['schema']!r} is not {SCHEMA}")
    if document.keys() != _NAMES:
        raise _invalid(where, "$", f"the names are not those of {SCHEMA}: {', '.join(map(repr, sorted(document.keys() ^ _NAMES)))}")
    try:
        whole = canonical(document) + b"\n" == data
        digest = digest_of(document)
    except (ValueError, RecursionError) as error:
        raise _invalid(where, "$", f"it can not be written again as it stands: {error}") from error
    if document["digest"] != digest:
        raise _altered(where, "the digest of what stands here is another one than the digest that it states")
    if not whole:
        raise _altered(where, "its bytes are not the ones that are written for what stands here")
    _check(document, where)
    return document


def _check(document: dict[str, Any], where: str) -> None:
    tool, seed, recorded, entries = (document[name] for name in ("tool", "seed", "recorded", "entries"))
    if not (isinstance(tool, dict) and tool.keys() == {"name", "version"} and _texts(tool)):
        raise _invalid(where, "tool", "it is no name and version")
    if not (isinstance(recorded, dict) and _texts(recorded)):
        raise _invalid(where, "recorded", "it is no table of texts")
    if seed is not None:
        if not isinstance(seed, dict) or seed.keys() != {"root", "scheme", "rank", "child"}:
            raise _invalid(where, "seed", "it is no root, scheme, rank and child")
        root, scheme, rank, child = (seed[name] for name in ("root", "scheme", "rank", "child"))
        if not (isinstance(root, str) and root.isascii() and root.isdecimal() and len(root) < 40 and str(int(root)) == root):
            raise _invalid(where, "seed.root", "it is no number in decimal")
        ranked = rank is None or _natural(rank)
        if not (isinstance(scheme, str) and ranked and isinstance(child, list) and all(map(_natural, child))):
            raise _invalid(where, "seed", "a value is of the wrong kind")
    if not isinstance(entries, list):
        raise _invalid(where, "entries", "they are no array")
    keys = []
    for number, entry in enumerate(entries):
        place = f"entries[{number}]"
        if not isinstance(entry, dict) or entry.keys() != {"source", "name", "value"}:
            raise _invalid(where, place, "it is no source, name and value")
        if not (isinstance(entry["source"], str) and entry["source"] and isinstance(entry["name"], str)):
            raise _invalid(where, place, "the source or the name is no text")
        keys.append((entry["source"], entry["name"]))
    if keys != sorted(set(keys)):
        raise _invalid(where, "entries", "they are not in order, or one is there twice")


def _texts(table: dict[Any, Any]) -> bool:
    return all(isinstance(value, str) for value in table.values())


def _natural(value: object) -> bool:
    return type(value) is int and value >= 0


def _invalid(where: str, place: str, message: str) -> Exception:
    from sanctity.errors import DocumentError

    named = f"{where}: {place}" if where else place
    return DocumentError("state-invalid", message, where=named, hint="a state is what State.write wrote, unchanged and whole")


def _altered(where: str, message: str) -> Exception:
    from sanctity.errors import DocumentError

    return DocumentError("state-altered", message, where=where, hint="take an earlier state, and find out what wrote to this one")
