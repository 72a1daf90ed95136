"""What ``torch.save`` writes, read without PyTorch: a zip of one pickle and the bytes of its storages.

Source: PyTorch, ``torch.serialization`` and ``caffe2/serialize``; tensors pickle themselves as
``torch._utils._rebuild_tensor_v2`` of a storage, an offset, a size and strides. Nothing of the pickle is executed. The names that
the archive and its storages have are its container's.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from sanctity.model.result import ELEMENTS, Array, Element, Leaf, Result
from sanctity.results.archive import Member, members, unpacked
from sanctity.results.arrays import numpy_module
from sanctity.results.errors import invalid
from sanctity.results.pickled import Built, Flattening, Named, Persistent, Sequence, load, read_pickle

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["read_checkpoint"]

_STORAGES: Final = {
    "BoolStorage": "bool",
    "ByteStorage": "uint8",
    "CharStorage": "int8",
    "ShortStorage": "int16",
    "IntStorage": "int32",
    "LongStorage": "int64",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "FloatStorage": "float32",
    "DoubleStorage": "float64",
    "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128",
}
#: Types of one byte an element, the numbers of which are not known here.
_BYTES: Final = frozenset({
    "QInt8Storage", "QUInt8Storage", "QUInt4x2Storage", "QUInt2x4Storage", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu",
    "float4_e2m1fn_x2", "bits8", "bits4x2", "bits2x4", "bits1x8",
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in range(1, 8)),
})  # fmt: skip
#: What an expanded tensor may take, in bytes, before it is compared as it is stored, for all of a checkpoint.
_MOST_EXPANDED: Final = 256 << 20
#: The members of an archive that hold no value.
_ABOUT: Final = frozenset({"version", "byteorder", ".format_version", ".storage_alignment", ".data/serialization_id"})
#: dtypes that have no storage of their own name: an untyped storage, and the dtype beside it.
_DTYPES: Final = {
    "float8_e5m2": "float8_e5m2",
    "float8_e4m3fn": "float8_e4m3fn",
    "uint16": "uint16",
    "uint32": "uint32",
    "uint64": "uint64",
    "complex32": "complex32",
    **{name: name for name in _STORAGES.values()},
}
_ZIP: Final = b"PK\x03\x04"


def read_checkpoint(data: memoryview) -> Result:
    """The tensors and values of a checkpoint. One of before PyTorch 1.6, which is no zip, is read as the pickles it begins with.

    Raises:
        DocumentError: ``result-invalid``, ``result-too-large``, ``result-needs-library``.
    """
    if bytes(data[:4]) != _ZIP:
        return read_pickle(data, format_="pt", unread=("a checkpoint that is no zip, as PyTorch wrote before 1.6",))
    found = {member.name: member for member in members(data)}
    heads = [name for name in found if name.endswith("/data.pkl")]
    if len(heads) != 1:
        raise invalid("it has no data.pkl, or several")
    root = heads[0].removesuffix("data.pkl")
    if f"{root}constants.pkl" in found:
        raise invalid("it is a program of TorchScript, which is not read")
    order = bytes(unpacked(data, found[f"{root}byteorder"])).strip() if f"{root}byteorder" in found else b"little"
    if order not in {b"little", b"big"}:
        raise invalid("its byte order is neither little nor big", f"{root}byteorder")
    head = unpacked(data, found[heads[0]])
    value, end = load(head)
    if end != len(head):
        raise invalid("its data.pkl holds more than one pickle", heads[0])
    storages = _Storages(data, found, f"{root}data/", big=order == b"big")
    flat = Flattening(storages.parts)
    flat.walk("", value)
    container = [("archive", root.rstrip("/")), ("byte order", order.decode())]
    container += [(f"time of {name.removeprefix(root)}", member.time) for name, member in sorted(found.items())]
    container += [
        (name.removeprefix(root), bytes(unpacked(data, member)[:200]).decode("utf-8", "replace"))
        for name, member in sorted(found.items())
        if member.size <= 200
        and name.removeprefix(root) in {"version", ".format_version", ".storage_alignment", ".data/serialization_id"}
    ]
    container += [(f"device of {key}", place) for key, place in sorted(storages.places.items())]
    unread = [
        f"{name}: no part of a checkpoint"
        for name in found
        if not name.startswith(f"{root}data/") and name.removeprefix(root) not in _ABOUT and name != heads[0]
    ]
    readable = [_readable(leaf.path) for leaf in flat.leaves]
    once = Counter(readable)
    leaves = (
        Leaf(path=path if once[path] == 1 else leaf.path, value=leaf.value)
        for path, leaf in zip(readable, flat.leaves, strict=True)
    )
    return Result(format="pt", leaves=tuple(leaves), container=tuple(container), unread=(*flat.unread, *unread))


def _readable(path: str) -> str:
    """A path such as ``['model']['0.weight']`` as people write it: ``model.0.weight``, where that says no less."""
    keys, mark, rest = path.rpartition("']")
    parts = keys.removeprefix("['").split("']['")
    if mark and keys.startswith("['") and not any("'" in part for part in parts):
        return ".".join(parts) + rest
    return path


class _Storages:
    """The storages of a checkpoint, and the tensors that lie in them."""

    def __init__(self, data: memoryview, found: Mapping[str, Member], folder: str, *, big: bool) -> None:
        self.data, self.found, self.folder, self.big = data, found, folder, big
        self.read: dict[str, Any] = {}
        self.places: dict[str, str] = {}
        self.spare = _MOST_EXPANDED

    def _bytes(self, key: str) -> Any:
        if key not in self.read:
            member = self.found.get(self.folder + key)
            if member is None:
                raise invalid("its storage is missing", self.folder + key)
            self.read[key] = numpy_module().frombuffer(unpacked(self.data, member), "u1")
        return self.read[key]

    def parts(self, value: Built | Persistent) -> list[tuple[str, Any]] | None:
        """A tensor as an array, with what it is beside; a storage that stands alone as all its bytes. None for anything else."""
        if isinstance(value, Persistent):
            key, element = self.storage(value, None)
            count = len(self._bytes(key)) // element.size
            return [(":storage", self.view(key, element, 0, (count,), (1,)))]
        maker = str(value.maker)
        if maker == "torch._utils._rebuild_parameter" and value.args and isinstance(value.args[0], Built):
            below = self.parts(value.args[0])
            needs = value.args[1] if len(value.args) > 1 else True
            return None if below is None else [(":class", "Parameter"), (":requires_grad", needs), *below]
        array = self.tensor(value)
        if array is None:
            return None
        more = [(":requires_grad", True)] if len(value.args) > 4 and value.args[4] is True else []
        beside = value.args[6:] if maker.endswith("_rebuild_tensor_v2") else value.args[7:]
        more += [(f":more{number}", item) for number, item in enumerate(beside) if item is not None]
        return [("", array), *more]

    def tensor(self, built: Built) -> Array | None:
        """The array that *built* describes where it is a tensor; None where it is something else."""
        maker = str(built.maker)
        if maker not in {"torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor_v3", "torch._utils._rebuild_tensor"}:
            return None
        storage, offset, size, stride = built.args[:4] if len(built.args) >= 4 else (None,) * 4
        shape, strides = _lengths(size), _lengths(stride)
        if not isinstance(storage, Persistent) or shape is None or strides is None or len(shape) != len(strides):
            raise invalid("a tensor states no storage, size and stride")
        if type(offset) is not int or offset < 0:
            raise invalid("a tensor has no offset")
        key, element = self.storage(storage, built)
        return self.view(key, element, offset, shape, strides)

    def storage(self, storage: Persistent, built: Built | None) -> tuple[str, Element]:
        """The key of *storage*, and what the elements are of the tensor *built* in it, or of it alone."""
        if not isinstance(storage.key, Sequence) or len(storage.key.items) < 5:
            raise invalid("a tensor names no storage")
        word, type_, key, place, _count = storage.key.items[:5]
        if word != "storage" or not isinstance(key, str) or not isinstance(type_, Named):
            raise invalid("a tensor names no storage")
        self.places[key] = str(place)
        name = type_.name
        if name == "UntypedStorage" and built is not None and len(built.args) > 6 and isinstance(built.args[6], Named):
            name = built.args[6].name
            known = _DTYPES.get(name)
        else:
            known = "uint8" if name == "UntypedStorage" else _STORAGES.get(name)
        if known is None and name not in _BYTES:
            raise invalid(f"a tensor's type is not read: {name}"[:200])
        return key, ELEMENTS[known] if known is not None else Element(name=name, size=1, kind="bits")

    def view(self, key: str, element: Element, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> Array:
        """The tensor's bytes in C order: a view of the storage where it lies there so, else a copy."""
        np = numpy_module()
        raw = self._bytes(key)
        count = len(raw) // element.size
        last = offset + sum((length - 1) * step for length, step in zip(shape, strides, strict=True)) if 0 not in shape else 0
        if len(raw) % element.size or (0 not in shape and last >= count):
            raise invalid("a tensor reaches beyond its storage", self.folder + key)
        elements = raw.reshape(count, element.size)
        if self.big and element.size > 1:
            half = 2 if element.kind == "complex" else 1
            elements = elements.reshape(count, half, element.size // half)[:, :, ::-1].reshape(count, element.size)
        dense, many = True, 1
        for length, step in zip(reversed(shape), reversed(strides), strict=True):
            dense, many = dense and (step == many or length == 1), many * length
        if 0 in shape:
            return Array(element=element, shape=shape, data=elements[:0].reshape(-1))
        if dense:
            member = self.found[self.folder + key]
            place = member.start + offset * element.size if member.stored and not (self.big and element.size > 1) else -1
            return Array(element=element, shape=shape, data=elements[offset : offset + many].reshape(-1), place=place)
        order = f"strides {strides}"
        self.spare -= max(0, many * element.size - len(raw))
        if self.spare < 0:
            # An expanded tensor is a small storage and a large shape: what is stored is compared, and its shape.
            picked = np.ascontiguousarray(elements[offset : last + 1]).reshape(-1)
            expanded = Element(name=f"{element.name} {shape} expanded by {strides}", size=element.size, kind="bits")
            return Array(element=expanded, shape=(last + 1 - offset,), data=picked, order=order)
        words = np.ascontiguousarray(elements).reshape(-1).view(f"V{element.size}")
        try:
            steps = tuple(step * element.size for step in strides)
            window = np.lib.stride_tricks.as_strided(words[offset:], shape, steps, writeable=False)
        except ValueError as error:
            raise invalid(f"a tensor's size is none: {error}"[:200]) from error
        return Array(element=element, shape=shape, data=np.ascontiguousarray(window).reshape(-1).view(np.uint8), order=order)


def _lengths(value: Any) -> tuple[int, ...] | None:
    if (
        not isinstance(value, Sequence)
        or len(value.items) > 64
        or not all(type(n) is int and 0 <= n < 1 << 62 for n in value.items)
    ):
        return None
    return tuple(value.items)
