"""What ``torch.save`` writes, read without PyTorch: a zip of one pickle and the bytes of its storages.

Source: PyTorch, ``torch.serialization`` and ``caffe2/serialize``; tensors pickle themselves as
``torch._utils._rebuild_tensor_v2`` of a storage, an offset, a size and strides. Nothing of the pickle is executed. The names that
the archive and its storages have are its container's.
"""

from __future__ import annotations

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
        read = read_pickle(data, format_="pt")
        return Result(format="pt", leaves=read.leaves, container=read.container, unread=("written before PyTorch 1.6",))
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
    flat = Flattening(storages.tensor)
    flat.walk("", value)
    container = [("archive", root.rstrip("/")), ("byte order", order.decode())]
    container += [(f"time of {name.removeprefix(root)}", member.time) for name, member in sorted(found.items())]
    container += [
        (name.removeprefix(root), bytes(unpacked(data, member)[:200]).decode("utf-8", "replace"))
        for name, member in sorted(found.items())
        if member.size <= 200
        and name.removeprefix(root) in {"version", ".format_version", ".storage_alignment", ".data/serialization_id"}
    ]
    leaves: dict[str, Leaf] = {}
    for leaf in flat.leaves:
        path = _readable(leaf.path)
        leaves.setdefault(path if path not in leaves else f"{path} ({len(leaves)})", leaf)
    return Result(
        format="pt",
        leaves=tuple(Leaf(path=path, value=leaf.value) for path, leaf in leaves.items()),
        container=tuple(container),
        unread=tuple(storages.unread),
    )


def _readable(path: str) -> str:
    """A path such as ``['model']['0.weight']`` as people write it: ``model.0.weight``, where that says no less."""
    parts = path.split("']['")
    if (
        path.startswith("['")
        and path.endswith("']")
        and all("'" not in part for part in (path[2:-2].split("']['") if parts else []))
    ):
        return ".".join(path[2:-2].split("']['"))
    return path


class _Storages:
    """The storages of a checkpoint, and the tensors that lie in them."""

    def __init__(self, data: memoryview, found: Mapping[str, Member], folder: str, *, big: bool) -> None:
        self.data, self.found, self.folder, self.big = data, found, folder, big
        self.unread: list[str] = []
        self.read: dict[str, Any] = {}

    def _bytes(self, key: str) -> Any:
        if key not in self.read:
            member = self.found.get(self.folder + key)
            if member is None:
                raise invalid("its storage is missing", self.folder + key)
            self.read[key] = numpy_module().frombuffer(unpacked(self.data, member), "u1")
        return self.read[key]

    def tensor(self, built: Built) -> Array | None:
        """The array that *built* describes where it is a tensor; None where it is something else."""
        maker = str(built.maker)
        if maker == "torch._utils._rebuild_parameter" and built.args and isinstance(built.args[0], Built):
            return self.tensor(built.args[0])
        if maker not in {"torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor_v3", "torch._utils._rebuild_tensor"}:
            return None
        storage, offset, size, stride = built.args[:4] if len(built.args) >= 4 else (None,) * 4
        if not isinstance(storage, Persistent) or not isinstance(storage.key, Sequence) or len(storage.key.items) < 5:
            raise invalid("a tensor names no storage")
        word, type_, key, _place, _count = storage.key.items[:5]
        shape, strides = _lengths(size), _lengths(stride)
        if word != "storage" or not isinstance(key, str) or shape is None or strides is None or len(shape) != len(strides):
            raise invalid("a tensor states no storage, size and stride")
        if type(offset) is not int or offset < 0:
            raise invalid("a tensor has no offset")
        return self.view(key, self.element(type_, built), offset, shape, strides)

    def element(self, type_: Any, built: Built) -> Element:
        name = type_.name if isinstance(type_, Named) else ""
        if name == "UntypedStorage" and len(built.args) > 6 and isinstance(built.args[6], Named):
            name = _DTYPES.get(built.args[6].name, "")
        else:
            name = _STORAGES.get(name, "")
        if not name:
            raise invalid(f"a tensor's type is not read: {type_}"[:200])
        return ELEMENTS[name]

    def view(self, key: str, element: Element, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> Array:
        """The tensor's bytes in C order: a view of the storage where it lies there so, else a copy."""
        np = numpy_module()
        raw = self._bytes(key)
        count = len(raw) // element.size
        last = offset + sum((length - 1) * step for length, step in zip(shape, strides, strict=True)) if 0 not in shape else 0
        if len(raw) % element.size or last >= count + (0 in shape or not count):
            raise invalid("a tensor reaches beyond its storage", self.folder + key)
        elements = raw.reshape(count, element.size)
        if self.big and element.size > 1:
            half = 2 if element.kind == "complex" else 1
            elements = elements.reshape(count, half, element.size // half)[:, :, ::-1].reshape(count, element.size)
        dense, place = True, 1
        for length, step in zip(reversed(shape), reversed(strides), strict=True):
            dense, place = dense and (step == place or length == 1), place * length
        if 0 in shape:
            picked, dense = elements[:0], True
        elif dense:
            picked = elements[offset : offset + place]
        else:
            if place * element.size > max(len(raw), 1 << 20):
                # An expanded tensor is a small storage and a large shape: what is stored is compared, and its shape.
                picked = elements[offset : last + 1]
                return Array(
                    element=Element(name=f"{element.name} expanded by {strides}", size=element.size, kind="bits"),
                    shape=(len(picked),),
                    data=np.ascontiguousarray(picked).reshape(-1),
                )
            window = np.lib.stride_tricks.as_strided(
                elements[offset:], (*shape, element.size), (*(step * element.size for step in strides), 1), writeable=False
            )
            picked = np.ascontiguousarray(window)
        return Array(element=element, shape=shape, data=picked.reshape(-1), order="" if dense else f"strides {strides}")


def _lengths(value: Any) -> tuple[int, ...] | None:
    if (
        not isinstance(value, Sequence)
        or len(value.items) > 64
        or not all(type(n) is int and 0 <= n < 1 << 62 for n in value.items)
    ):
        return None
    return tuple(value.items)
