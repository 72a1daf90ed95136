"""Pickles, read without executing them: the opcodes build a description of what they would build; nothing is imported or called.

Source: CPython, ``pickletools`` (protocols 0 to 5). Arrays of NumPy are recognised by how they pickle themselves, those that joblib
lays between the opcodes too, and compared as arrays; every other object is its class's name, its arguments and its state. The same
container referred to twice is described twice, a container inside itself once. What older protocols have no opcode for (bytes,
sets) and write as a call of one of Python's own classes is described as what it is.
"""

from __future__ import annotations

import bz2
import hashlib
import io
import lzma
import math
import pickletools
import struct
import warnings
import zlib
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from typing import TYPE_CHECKING, Any, Final

from sanctity.model.result import Array, Leaf, Result, Scalar
from sanctity.results.arrays import array_leaves, numpy_module
from sanctity.results.errors import Budget, invalid, too_large

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Bag", "Built", "Mapping", "Named", "Persistent", "Sequence", "load", "read_pickle"]

_MOST_OPCODES: Final = 20_000_000
_DEEPEST: Final = 200
_MOST_DIMENSIONS: Final = 64
#: Bytes that a compressed pickle is unpacked to.
_MOST_BYTES: Final = 4 << 30
#: A key that is longer is shown by its beginning and its digest, so that what lies below it has no endless path.
_LONGEST_KEY: Final = 200
#: Integers of more bits are not written in decimal digits, which takes time that grows with their square.
_WIDEST: Final = 4096
_MARK: Final = object()


class Named:
    """A class or function that the pickle names: *module* and *name*."""

    __slots__ = ("module", "name")

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


class Sequence:
    """A list or tuple."""

    __slots__ = ("items", "kind")

    def __init__(self, kind: str, items: list[Any]) -> None:
        self.kind, self.items = kind, items


class Mapping:
    """A dict: *pairs* in the order they were set."""

    __slots__ = ("pairs",)

    def __init__(self) -> None:
        self.pairs: list[tuple[Any, Any]] = []


class Bag:
    """A set or frozenset, whose order means nothing."""

    __slots__ = ("items", "kind")

    def __init__(self, kind: str, items: list[Any]) -> None:
        self.kind, self.items = kind, items


class Persistent:
    """What the pickle refers to by an identifier of its program's own."""

    __slots__ = ("key",)

    def __init__(self, key: Any) -> None:
        self.key = key


class Built:
    """What calling *maker* with *args* would give, or making a *new* one without a call, and what is done to it afterwards."""

    __slots__ = ("args", "array", "items", "maker", "new", "pairs", "states")

    def __init__(self, maker: Any, args: list[Any], *, new: bool = False) -> None:
        self.maker, self.args, self.new = maker, args, new
        self.states: list[Any] = []
        self.items: list[Any] = []
        self.pairs: list[tuple[Any, Any]] = []
        self.array: Any = None


def load(data: memoryview) -> tuple[Any, int]:
    """What the pickle at the beginning of *data* describes, and where it ends.

    Raises:
        DocumentError: ``result-invalid``, ``result-too-large``.
    """
    file = io.BytesIO(data)
    return _load(file, [_MOST_OPCODES]), file.tell()


def _load(file: io.BytesIO, spare: list[int]) -> Any:
    """What the pickle describes that begins where *file* is; *spare* is how many opcodes there may still be."""
    machine = _Machine(file, spare)
    try:
        for opcode, argument, _ in pickletools.genops(file):
            spare[0] -= 1
            if spare[0] < 0:
                raise too_large(f"it has more than {_MOST_OPCODES:,} opcodes")
            if opcode.name == "STOP":
                return machine.pop()
            machine.step(opcode.name, argument)
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError, struct.error, EOFError) as error:
        raise invalid(f"it is no whole pickle: {error}"[:300]) from error
    raise invalid("it is no whole pickle: it does not end")


class _Machine:
    """The stack machine of pickle, which describes where the real one would act."""

    def __init__(self, file: io.BytesIO, spare: list[int]) -> None:
        self.file, self.spare = file, spare
        self.protocol = 0
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def pop(self) -> Any:
        value = self.stack.pop()
        if value is _MARK:
            raise ValueError("a value is missing")
        return value

    def to_mark(self) -> list[Any]:
        items: list[Any] = []
        while (value := self.stack.pop()) is not _MARK:
            items.append(value)
        items.reverse()
        return items

    def drop(self) -> None:
        self.stack.pop()

    def drop_to_mark(self) -> None:
        self.to_mark()

    def top(self) -> Any:
        value = self.stack[-1]
        if value is _MARK:
            raise ValueError("a value is missing")
        return value

    def step(self, name: str, argument: Any) -> None:
        act = _ACTS.get(name)
        if act is not None:
            act(self, argument)
        elif name in _ATOMS:
            self.stack.append(argument)
        elif name not in _IDLE:
            raise ValueError(f"its opcode {name} is not read")

    def text(self, value: Any) -> str:
        if not isinstance(value, str):
            raise TypeError("a name is no text")
        return value

    def call(self, maker: Any, args: Any) -> None:
        if not isinstance(args, Sequence) or args.kind != "tuple":
            raise TypeError("arguments are no tuple")
        self.stack.append(_plainer(maker, args.items))

    def new(self, maker: Any, args: Any) -> None:
        if not isinstance(args, Sequence) or args.kind != "tuple":
            raise TypeError("arguments are no tuple")
        self.stack.append(Built(maker, args.items, new=True))

    def named(self, module: str, name: str) -> Named:
        """What is named so: before protocol 3 by its name in Python 2, of which Python says what it is called now."""
        if self.protocol < 3:
            module, name = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
        return Named(module, name)

    def extend(self, target: Any, items: list[Any]) -> None:
        if isinstance(target, Built | Bag) or (isinstance(target, Sequence) and target.kind == "list"):
            target.items.extend(items)
        else:
            raise TypeError("it adds to what is no list or set")

    def put(self, target: Any, items: list[Any]) -> None:
        if not isinstance(target, Mapping | Built) or len(items) % 2:
            raise TypeError("it sets items of what is no dict")
        target.pairs.extend(zip(items[::2], items[1::2], strict=True))

    def build(self, state: Any) -> None:
        target = self.top()
        if not isinstance(target, Built):
            raise TypeError("it sets the state of what has none")
        target.states.append(state)
        if (
            isinstance(target.maker, Named)
            and target.maker.name == "NumpyArrayWrapper"
            and target.maker.module.startswith("joblib.")
        ):
            _between(self, target, state)


def _plainer(maker: Any, args: list[Any]) -> Any:
    """What a call of one of Python's own classes gives, where that is no more than what another protocol has an opcode for."""
    called = str(maker) if isinstance(maker, Named) else ""
    only = args[0] if len(args) == 1 else None
    if (
        called == "_codecs.encode"
        and 1 <= len(args) <= 2
        and isinstance(args[0], str)
        and args[1:] in ([], ["latin1"], ["latin-1"])
    ):
        return args[0].encode("latin-1" if args[1:] else "utf-8", "strict")
    if called == "builtins.bytes" and not args:
        return b""
    if called == "builtins.bytearray" and (not args or isinstance(only, bytes)):
        return bytearray(only or b"")
    if called == "builtins.bytearray" and isinstance(args[0], str) and args[1:] == ["latin-1"]:
        return bytearray(args[0].encode("latin-1"))
    if called in {"builtins.set", "builtins.frozenset"} and isinstance(only, Sequence) and only.kind == "list":
        return Bag(called.removeprefix("builtins."), list(only.items))
    if called == "copyreg.__newobj__" and args:
        return Built(args[0], args[1:], new=True)
    if called == "copyreg._reconstructor" and len(args) == 3:
        return Built(args[0], [] if str(args[1]) == "builtins.object" and args[2] is None else [args[2]], new=True)
    return Built(maker, args)


def _between(machine: _Machine, target: Built, state: Any) -> None:
    """The array that joblib wrote after the opcode that says so, as ``joblib.numpy_pickle`` lays it out: its bytes, or a pickle."""
    np, file = numpy_module(), machine.file
    if not isinstance(state, Mapping):
        raise TypeError("an array of joblib states nothing")
    stated = {key: value for key, value in state.pairs if isinstance(key, str)}
    dtype, shape, order = _dtype(stated["dtype"]), stated["shape"], stated.get("order")
    if dtype.hasobject:
        target.items.append(_load(file, machine.spare))
        return
    if (
        not isinstance(shape, Sequence)
        or len(shape.items) > _MOST_DIMENSIONS
        or not all(type(n) is int and 0 <= n < 1 << 62 for n in shape.items)
    ):
        raise ValueError("an array of joblib that is not read")
    if stated.get("numpy_array_alignment_bytes") is not None:
        padding = file.read(1)
        file.seek(padding[0], 1)
    size = dtype.itemsize * math.prod(shape.items)
    data = file.read(size)
    if len(data) != size:
        raise ValueError("an array of joblib is cut short")
    target.array = _shaped(np, data, dtype, tuple(shape.items), fortran=order == "F")


def _shaped(np: Any, data: bytes, dtype: Any, shape: tuple[int, ...], *, fortran: bool) -> Any:
    """The array over *data*. Raises ValueError, TypeError."""
    if not data and not dtype.itemsize:
        return np.empty(shape, dtype) if math.prod(shape) <= 1 else None
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")


def _append(machine: _Machine, _argument: Any) -> None:
    value = machine.pop()
    machine.extend(machine.top(), [value])


def _appends(machine: _Machine, _argument: Any) -> None:
    items = machine.to_mark()
    machine.extend(machine.top(), items)


def _set_item(machine: _Machine, _argument: Any) -> None:
    value, key = machine.pop(), machine.pop()
    machine.put(machine.top(), [key, value])


def _set_items(machine: _Machine, _argument: Any) -> None:
    items = machine.to_mark()
    machine.put(machine.top(), items)


def _dict(machine: _Machine, _argument: Any) -> None:
    items, made = machine.to_mark(), Mapping()
    machine.put(made, items)
    machine.stack.append(made)


def _gather(kind: str, number: int) -> Callable[[_Machine, Any], None]:
    def act(machine: _Machine, _argument: Any) -> None:
        items = machine.to_mark() if number < 0 else [machine.pop() for _ in range(number)][::-1]
        machine.stack.append(Bag(kind, items) if "set" in kind else Sequence(kind, items))

    return act


def _global(machine: _Machine, argument: Any) -> None:
    module, _, name = argument.partition(" ")
    machine.stack.append(machine.named(module, name))


def _stack_global(machine: _Machine, _argument: Any) -> None:
    name, module = machine.text(machine.pop()), machine.text(machine.pop())
    machine.stack.append(machine.named(module, name))


def _reduce(machine: _Machine, _argument: Any) -> None:
    args, maker = machine.pop(), machine.pop()
    machine.call(maker, args)


def _newobj(machine: _Machine, _argument: Any) -> None:
    args, maker = machine.pop(), machine.pop()
    machine.new(maker, args)


def _newobj_ex(machine: _Machine, _argument: Any) -> None:
    keywords, args, maker = machine.pop(), machine.pop(), machine.pop()
    machine.new(maker, args)
    machine.stack[-1].states.append(keywords)


def _inst(machine: _Machine, argument: Any) -> None:
    module, _, name = argument.partition(" ")
    machine.stack.append(Built(machine.named(module, name), machine.to_mark()))


def _obj(machine: _Machine, _argument: Any) -> None:
    maker, *args = machine.to_mark()
    machine.stack.append(Built(maker, args))


def _memoize(machine: _Machine, _argument: Any) -> None:
    machine.memo[len(machine.memo)] = machine.top()


def _put(machine: _Machine, argument: Any) -> None:
    machine.memo[int(argument)] = machine.top()


def _get(machine: _Machine, argument: Any) -> None:
    machine.stack.append(machine.memo[int(argument)])


def _proto(machine: _Machine, argument: Any) -> None:
    machine.protocol = argument


def _extension(machine: _Machine, argument: Any) -> None:
    machine.stack.append(Named("copyreg", f"extension {argument}"))


_ACTS: Final[dict[str, Callable[[_Machine, Any], None]]] = {
    "MARK": lambda machine, _: machine.stack.append(_MARK),
    "POP": lambda machine, _: machine.drop(),
    "POP_MARK": lambda machine, _: machine.drop_to_mark(),
    "DUP": lambda machine, _: machine.stack.append(machine.top()),
    "NONE": lambda machine, _: machine.stack.append(None),
    "NEWTRUE": lambda machine, _: machine.stack.append(True),
    "NEWFALSE": lambda machine, _: machine.stack.append(False),
    "EMPTY_LIST": lambda machine, _: machine.stack.append(Sequence("list", [])),
    "EMPTY_TUPLE": lambda machine, _: machine.stack.append(Sequence("tuple", [])),
    "EMPTY_DICT": lambda machine, _: machine.stack.append(Mapping()),
    "EMPTY_SET": lambda machine, _: machine.stack.append(Bag("set", [])),
    "LIST": _gather("list", -1),
    "TUPLE": _gather("tuple", -1),
    "TUPLE1": _gather("tuple", 1),
    "TUPLE2": _gather("tuple", 2),
    "TUPLE3": _gather("tuple", 3),
    "FROZENSET": _gather("frozenset", -1),
    "DICT": _dict,
    "APPEND": _append,
    "APPENDS": _appends,
    "ADDITEMS": _appends,
    "SETITEM": _set_item,
    "SETITEMS": _set_items,
    "GLOBAL": _global,
    "STACK_GLOBAL": _stack_global,
    "INST": _inst,
    "OBJ": _obj,
    "REDUCE": _reduce,
    "NEWOBJ": _newobj,
    "NEWOBJ_EX": _newobj_ex,
    "BUILD": lambda machine, _: machine.build(machine.pop()),
    "MEMOIZE": _memoize,
    "PUT": _put,
    "BINPUT": _put,
    "LONG_BINPUT": _put,
    "GET": _get,
    "BINGET": _get,
    "LONG_BINGET": _get,
    "EXT1": _extension,
    "EXT2": _extension,
    "EXT4": _extension,
    "PROTO": _proto,
    "PERSID": lambda machine, argument: machine.stack.append(Persistent(argument)),
    "BINPERSID": lambda machine, _: machine.stack.append(Persistent(machine.pop())),
}
_ATOMS: Final = frozenset({
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING", "BINSTRING",
    "SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8",
    "BYTEARRAY8",
})  # fmt: skip
_IDLE: Final = frozenset({"FRAME", "READONLY_BUFFER"})


def _dtype(value: Any, depth: int = 0) -> Any:
    """The dtype that *value* describes, rebuilt from its letters alone. Raises KeyError, ValueError, TypeError."""
    np = numpy_module()
    if not isinstance(value, Built) or str(value.maker) != "numpy.dtype" or not value.args or not isinstance(value.args[0], str):
        raise ValueError("no dtype")
    order: Any = ""
    names: Any = None
    fields: Any = None
    part: Any = None
    size: Any = 0
    for state in value.states:
        if not isinstance(state, Sequence) or len(state.items) < 5:
            raise ValueError("no state of a dtype")
        order, part, names, fields = state.items[1:5]
        size = state.items[5] if len(state.items) > 5 else -1
    if depth > _MOST_DIMENSIONS:
        raise ValueError("a dtype inside too many others")
    with warnings.catch_warnings():  # of letters that are out of use
        warnings.simplefilter("ignore")
        if part is not None:
            inner, shape = part.items
            lengths = tuple(shape.items) if isinstance(shape, Sequence) else (shape,)
            return np.dtype((_dtype(inner, depth + 1), lengths))
        if fields is not None:
            kept = {key: field.items for key, field in fields.pairs}
            return np.dtype(
                {
                    "names": names.items,
                    "formats": [_dtype(kept[name][0], depth + 1) for name in names.items],
                    "offsets": [kept[name][1] for name in names.items],
                    "itemsize": size,
                }
            )
        return np.dtype((order if order in {"<", ">"} else "") + value.args[0])


def _array(built: Built) -> Any:
    """The array or scalar of NumPy that *built* describes; None where it is none, or not one that is read."""
    if built.array is not None:
        return built.array
    maker = str(built.maker)
    if not maker.startswith(("numpy.", "numpy._core.")):
        return None
    np = numpy_module()
    try:
        if maker.endswith(".multiarray._reconstruct") and built.states:
            state = built.states[-1].items
            shape, dtype, fortran, raw = tuple(state[1].items), _dtype(state[2]), state[3], state[4]
            if dtype.hasobject or not isinstance(raw, bytes | bytearray) or len(shape) > _MOST_DIMENSIONS:
                return None
            return _shaped(np, bytes(raw), dtype, shape, fortran=bool(fortran))
        if maker.endswith(".numeric._frombuffer"):
            raw, dtype, shape, order = built.args
            if len(shape.items) > _MOST_DIMENSIONS:
                return None
            return _shaped(np, raw, _dtype(dtype), tuple(shape.items), fortran=order == "F")
        if maker.endswith(".multiarray.scalar"):
            return _shaped(np, built.args[1], _dtype(built.args[0]), (), fortran=False)
    except (ValueError, TypeError, AttributeError, IndexError, KeyError, OverflowError, MemoryError):
        return None
    return None


def _class(built: Built) -> str:
    """What the array is that *built* describes, where it is no plain one: a subclass, or a scalar."""
    maker = str(built.maker)
    if maker.endswith(".multiarray.scalar"):
        return "scalar"
    named = built.args[0] if maker.endswith(".multiarray._reconstruct") and built.args else None
    if built.array is not None and isinstance(built.states[-1], Mapping):
        named = {key: item for key, item in built.states[-1].pairs if isinstance(key, str)}.get("subclass")
    return "" if named is None or str(named) == "numpy.ndarray" else str(named)


class Flattening:
    """The leaves of what a pickle describes.

    *known* may know better what some object is: then it returns the parts of it, with what each one's path ends in, else None.
    *budget* is what reading the file may still take. `unread` is what of it was not looked at.
    """

    def __init__(
        self, known: Callable[[Built | Persistent], list[tuple[str, Any]] | None] | None = None, budget: Budget | None = None
    ) -> None:
        self.known = known
        self.budget = budget or Budget()
        self.leaves: list[Leaf] = []
        self.unread: list[str] = []
        self.inside: dict[int, str] = {}
        self.keys: dict[int, str] = {}

    def add(self, path: str, value: Array | Scalar) -> None:
        self.budget.take(path)
        self.leaves.append(Leaf(path=path, value=value))

    def walk(self, path: str, value: Any) -> None:
        """Add the leaves of *value* at *path*."""
        if isinstance(value, Array):
            self.add(path, value)
            return
        if not isinstance(value, Sequence | Mapping | Bag | Built | Persistent):
            self.add(path, _scalar(value))
            return
        if id(value) in self.inside:
            self.add(path, Scalar(kind="reference", value=f"to {self.inside[id(value)] or 'the whole'}"))
            return
        if len(self.inside) > _DEEPEST:
            self.add(path, Scalar(kind="deeper", value="…"))
            self.unread = self.unread or [f"what is nested deeper than {_DEEPEST}"]
            return
        self.inside[id(value)] = path
        for below, part in self.parts(path, value):
            self.walk(below, part)
        del self.inside[id(value)]

    def parts(self, path: str, value: Any) -> Iterator[tuple[str, Any]]:
        if isinstance(value, Sequence):
            self.add(path, Scalar(kind=value.kind, value=len(value.items)))
            yield from ((f"{path}[{number}]", item) for number, item in enumerate(value.items))
        elif isinstance(value, Mapping):
            self.add(path, Scalar(kind="dict", value=len(value.pairs)))
            yield from ((f"{path}[{self.key(key)}]", item) for key, item in value.pairs)
        elif isinstance(value, Bag):
            # An item of a set has no place but what it is.
            self.add(path, Scalar(kind=value.kind, value=len(value.items)))
            yield from (
                (f"{path}{{{key}}}", item) for key, item in sorted(((self.key(item), item) for item in value.items), key=_first)
            )
        elif self.known is not None and (parts := self.known(value)) is not None:
            yield from ((f"{path}{below}", part) for below, part in parts)
        elif isinstance(value, Persistent):
            yield f"{path}.persistent", value.key
        else:
            yield from self.built(path, value)

    def built(self, path: str, value: Built) -> Iterator[tuple[str, Any]]:
        array = _array(value)
        if array is not None:
            if kind := _class(value):
                self.add(f"{path}:class", Scalar(kind="class", value=kind))
            for leaf in array_leaves(path, array):
                self.add(leaf.path, leaf.value)  # type: ignore[arg-type]
            return
        if isinstance(value.maker, Named):
            self.add(path, Scalar(kind="new" if value.new else "call", value=str(value.maker)))
        else:
            yield f"{path}:maker", value.maker
        yield from ((f"{path}({number})", item) for number, item in enumerate(value.args))
        yield from ((f"{path}[{number}]", item) for number, item in enumerate(value.items))
        yield from ((f"{path}[{self.key(key)}]", item) for key, item in value.pairs)
        for number, state in enumerate(value.states):
            below = f"{path}." if not number else f"{path}.state{number}."
            if isinstance(state, Mapping):
                yield from (
                    (f"{below}{_short(key)}" if isinstance(key, str) else f"{below}[{self.key(key)}]", item)
                    for key, item in state.pairs
                )
            else:
                yield f"{below}state", state

    def key(self, value: Any) -> str:
        """*value* as a key is written; of what is no atom, all its leaves."""
        if not isinstance(value, Sequence | Mapping | Bag | Built | Persistent):
            return _short(str(value) if isinstance(value, Named) else _written(value))
        if id(value) not in self.keys:
            inner = Flattening(self.known, self.budget)
            inner.inside, inner.keys = dict(self.inside), self.keys
            inner.walk("", value)
            self.unread = self.unread or inner.unread
            self.keys[id(value)] = _short("; ".join(f"{leaf.path}{_shown(leaf.value)}" for leaf in inner.leaves))
        return self.keys[id(value)]


def _first(pair: tuple[str, Any]) -> str:
    return pair[0]


def _short(text: str) -> str:
    """*text* itself, or its beginning and its digest."""
    if len(text) <= _LONGEST_KEY:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{text[:_LONGEST_KEY]}… (sha256 {digest})"


def _written(value: Any) -> str:
    return hex(value) if isinstance(value, int) and value.bit_length() > _WIDEST else repr(value)


def _shown(value: object) -> str:
    if isinstance(value, Array):
        return f"{value.element.name}{value.shape}{hashlib.sha256(bytes(value.data)).hexdigest()}"
    return f"={_written(value.value)}" if isinstance(value, Scalar) else ""


def _scalar(value: Any) -> Scalar:
    if isinstance(value, Named):
        return Scalar(kind="global", value=str(value))
    if isinstance(value, bytearray):
        return Scalar(kind="bytearray", value=bytes(value))
    if isinstance(value, int) and value.bit_length() > _WIDEST:
        return Scalar(kind="int", value=_written(value))
    return Scalar(kind=type(value).__name__ if value is not None else "None", value=value)


def _unpacked(data: memoryview) -> tuple[memoryview, str]:
    """What a compressed pickle unpacks to, as joblib writes them, and how it was compressed; others are as they are."""
    start = bytes(data[:6])
    unpackers: dict[bytes, tuple[str, Callable[[], Any]]] = {
        b"\x1f\x8b": ("gzip", lambda: zlib.decompressobj(wbits=31)),
        b"\x78": ("zlib", zlib.decompressobj),
        b"BZh": ("bzip2", bz2.BZ2Decompressor),
        b"\xfd7zXZ": ("xz", lzma.LZMADecompressor),
        b"\x5d\0\0": ("lzma", lambda: lzma.LZMADecompressor(format=lzma.FORMAT_ALONE)),
    }
    for magic, (name, make) in unpackers.items():
        if not start.startswith(magic):
            continue
        parts, left, size = [], bytes(data), 0
        try:
            unpacker = make()
            while not unpacker.eof:
                part = unpacker.decompress(left, 1 << 24)
                left = unpacker.unconsumed_tail if hasattr(unpacker, "unconsumed_tail") else b""
                if not part and not left and getattr(unpacker, "needs_input", True) and not unpacker.eof:
                    raise invalid(f"what {name} packed is cut short")
                parts.append(part)
                size += len(part)
                if size > _MOST_BYTES:
                    raise too_large(f"it unpacks to more than {_MOST_BYTES >> 30} GiB")
        except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError) as error:
            raise invalid(f"what {name} packed can not be unpacked: {error}"[:200]) from error
        if unpacker.unused_data:
            raise invalid(f"something follows what {name} packed")
        return memoryview(b"".join(parts)), name
    return data, "none"


def read_pickle(data: memoryview, path: str = "", *, format_: str = "pickle", unread: tuple[str, ...] = ()) -> Result:
    """The values that a pickle, or several one after another, describe. Nothing of it is executed. *unread* is what it is not."""
    data, packed = _unpacked(data)
    flat = Flattening()
    file, spare = io.BytesIO(data), [_MOST_OPCODES]
    number = 0
    while file.tell() < len(data):
        flat.walk(f"{path}#{number}" if number else path, _load(file, spare))
        number += 1
    if not number:
        raise invalid("it is empty")
    protocol = str(data[1]) if data[0] == 0x80 and len(data) > 1 else "0 or 1"
    container = (("protocol", protocol), ("compression", packed))
    return Result(format=format_, leaves=tuple(flat.leaves), container=container, unread=(*unread, *flat.unread))
