"""Pickles, read without executing them: the opcodes build a description of what they would build; nothing is imported or called.

Source: CPython, ``pickletools`` (protocols 0 to 5). Arrays of NumPy are recognised by how they pickle themselves, those that joblib
lays between the opcodes too, and compared as arrays; every other object is its class's name, its arguments and its state. The same
container referred to twice is described twice, a container inside itself once.
"""

from __future__ import annotations

import io
import math
import pickletools
import struct
from typing import TYPE_CHECKING, Any, Final

from sanctity.model.result import Array, Leaf, Result, Scalar
from sanctity.results.arrays import array_leaves, numpy_module
from sanctity.results.errors import invalid, too_large

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Bag", "Built", "Mapping", "Named", "Persistent", "Sequence", "load", "read_pickle"]

_MOST_OPCODES: Final = 20_000_000
_MOST_LEAVES: Final = 2_000_000
_DEEPEST: Final = 200
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
    """What calling *maker* with *args* would give, and what is done to it afterwards."""

    __slots__ = ("args", "array", "items", "maker", "pairs", "states")

    def __init__(self, maker: Any, args: list[Any]) -> None:
        self.maker, self.args = maker, args
        self.states: list[Any] = []
        self.items: list[Any] = []
        self.pairs: list[tuple[Any, Any]] = []
        self.array: Any = None


def load(data: memoryview, *, start: int = 0) -> tuple[Any, int]:
    """What the pickle at *start* describes, and where it ends.

    Raises:
        DocumentError: ``result-invalid``, ``result-too-large``.
    """
    file = io.BytesIO(data)
    file.seek(start)
    machine = _Machine(file)
    try:
        for number, (opcode, argument, _) in enumerate(pickletools.genops(file)):
            if number > _MOST_OPCODES:
                raise too_large(f"it has more than {_MOST_OPCODES:,} opcodes")
            if opcode.name == "STOP":
                return machine.pop(), file.tell()
            machine.step(opcode.name, argument)
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError, struct.error, EOFError) as error:
        raise invalid(f"it is no whole pickle: {error}"[:300]) from error
    raise invalid("it is no whole pickle: it does not end")


class _Machine:
    """The stack machine of pickle, which describes where the real one would act."""

    def __init__(self, file: io.BytesIO) -> None:
        self.file = file
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
        self.stack.append(Built(maker, args.items))

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
            target.array = _between(self.file, state)


def _between(file: io.BytesIO, state: Any) -> Any:
    """The array that joblib wrote after the opcode that says so, as ``joblib.numpy_pickle`` lays it out."""
    np = numpy_module()
    if not isinstance(state, Mapping):
        raise TypeError("an array of joblib states nothing")
    stated = {key: value for key, value in state.pairs if isinstance(key, str)}
    dtype, shape, order = _dtype(stated["dtype"]), stated["shape"], stated.get("order")
    if not isinstance(shape, Sequence) or not all(type(n) is int and n >= 0 for n in shape.items) or dtype.hasobject:
        raise ValueError("an array of joblib that is not read")
    if stated.get("numpy_array_alignment_bytes") is not None:
        padding = file.read(1)
        file.seek(padding[0], 1)
    size = dtype.itemsize * math.prod(shape.items)
    data = file.read(size)
    if len(data) != size:
        raise ValueError("an array of joblib is cut short")
    return np.frombuffer(data, dtype).reshape(tuple(shape.items), order="F" if order == "F" else "C")


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
    machine.stack.append(Named(module, name))


def _stack_global(machine: _Machine, _argument: Any) -> None:
    name, module = machine.text(machine.pop()), machine.text(machine.pop())
    machine.stack.append(Named(module, name))


def _reduce(machine: _Machine, _argument: Any) -> None:
    args, maker = machine.pop(), machine.pop()
    machine.call(maker, args)


def _newobj_ex(machine: _Machine, _argument: Any) -> None:
    keywords, args, maker = machine.pop(), machine.pop(), machine.pop()
    machine.call(maker, args)
    machine.stack[-1].states.append(keywords)


def _inst(machine: _Machine, argument: Any) -> None:
    module, _, name = argument.partition(" ")
    machine.stack.append(Built(Named(module, name), machine.to_mark()))


def _obj(machine: _Machine, _argument: Any) -> None:
    maker, *args = machine.to_mark()
    machine.stack.append(Built(maker, args))


def _memoize(machine: _Machine, _argument: Any) -> None:
    machine.memo[len(machine.memo)] = machine.top()


def _put(machine: _Machine, argument: Any) -> None:
    machine.memo[int(argument)] = machine.top()


def _get(machine: _Machine, argument: Any) -> None:
    machine.stack.append(machine.memo[int(argument)])


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
    "NEWOBJ": _reduce,
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
    "PERSID": lambda machine, argument: machine.stack.append(Persistent(argument)),
    "BINPERSID": lambda machine, _: machine.stack.append(Persistent(machine.pop())),
}
_ATOMS: Final = frozenset({
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING", "BINSTRING",
    "SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8",
    "BYTEARRAY8",
})  # fmt: skip
_IDLE: Final = frozenset({"PROTO", "FRAME", "READONLY_BUFFER"})


def _dtype(value: Any) -> Any:
    """The dtype that *value* describes, rebuilt from its letters alone. Raises ValueError, TypeError."""
    np = numpy_module()
    if not isinstance(value, Built) or str(value.maker) != "numpy.dtype" or not value.args or not isinstance(value.args[0], str):
        raise ValueError("no dtype")
    order, fields, metadata = "", None, None
    for state in value.states:
        if not isinstance(state, Sequence) or len(state.items) < 5:
            raise ValueError("no state of a dtype")
        order, fields, metadata = state.items[1], state.items[3], state.items[2]
    if fields is not None or metadata is not None:
        raise ValueError("a dtype of fields")
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
            if dtype.hasobject or not isinstance(raw, bytes | bytearray):
                return None
            return np.frombuffer(raw, dtype).reshape(shape, order="F" if fortran else "C")
        if maker.endswith(".numeric._frombuffer"):
            raw, dtype, shape, order = built.args
            return np.frombuffer(raw, _dtype(dtype)).reshape(tuple(shape.items), order=order)
        if maker.endswith(".multiarray.scalar"):
            return np.frombuffer(built.args[1], _dtype(built.args[0])).reshape(())
    except (ValueError, TypeError, AttributeError, IndexError, DeprecationWarning):
        return None
    return None


class Flattening:
    """The leaves of what a pickle describes. *tensor* may know better what some object is: an array, or None."""

    def __init__(self, tensor: Callable[[Built], Any] | None = None) -> None:
        self.tensor = tensor
        self.leaves: list[Leaf] = []
        self.inside: set[int] = set()

    def add(self, path: str, value: Array | Scalar) -> None:
        if len(self.leaves) >= _MOST_LEAVES:
            raise too_large(f"it describes more than {_MOST_LEAVES:,} values")
        self.leaves.append(Leaf(path=path, value=value))

    def walk(self, path: str, value: Any) -> None:
        """Add the leaves of *value* at *path*."""
        if not isinstance(value, Sequence | Mapping | Bag | Built | Persistent):
            self.add(path, _scalar(value))
            return
        if id(value) in self.inside or len(self.inside) > _DEEPEST:
            self.add(path, Scalar(kind="reference" if id(value) in self.inside else "deeper", value="…"))
            return
        self.inside.add(id(value))
        for below, part in self.parts(path, value):
            self.walk(below, part)
        self.inside.discard(id(value))

    def parts(self, path: str, value: Any) -> Iterator[tuple[str, Any]]:
        if isinstance(value, Sequence):
            self.add(path, Scalar(kind=value.kind, value=len(value.items)))
            yield from ((f"{path}[{number}]", item) for number, item in enumerate(value.items))
        elif isinstance(value, Mapping):
            self.add(path, Scalar(kind="dict", value=len(value.pairs)))
            yield from ((f"{path}[{self.key(key)}]", item) for key, item in value.pairs)
        elif isinstance(value, Bag):
            self.add(path, Scalar(kind=value.kind, value=len(value.items)))
            yield from ((f"{path}{{{number}}}", item) for number, item in enumerate(sorted(value.items, key=self.key)))
        elif isinstance(value, Persistent):
            yield f"{path}.persistent", value.key
        else:
            array = self.tensor(value) if self.tensor is not None else None
            array = array if array is not None else _array(value)
            if array is not None:
                for leaf in (Leaf(path=path, value=array),) if isinstance(array, Array) else array_leaves(path, array):
                    self.add(leaf.path, leaf.value)  # type: ignore[arg-type]
                return
            yield path, value.maker
            yield from ((f"{path}({number})", item) for number, item in enumerate(value.args))
            yield from ((f"{path}[{number}]", item) for number, item in enumerate(value.items))
            yield from ((f"{path}[{self.key(key)}]", item) for key, item in value.pairs)
            for number, state in enumerate(value.states):
                below = f"{path}." if not number else f"{path}.state{number}"
                if isinstance(state, Mapping):
                    yield from (
                        (f"{below}{key}" if isinstance(key, str) else f"{below}[{self.key(key)}]", item)
                        for key, item in state.pairs
                    )
                else:
                    yield f"{below}state", state

    def key(self, value: Any) -> str:
        """*value* as a key is written; of what is no atom, all its leaves."""
        if not isinstance(value, Sequence | Mapping | Bag | Built | Persistent):
            return str(value) if isinstance(value, Named) else repr(value)
        inner = Flattening(self.tensor)
        inner.inside = set(self.inside)
        inner.walk("", value)
        return "; ".join(f"{leaf.path}{_shown(leaf.value)}" for leaf in inner.leaves)


def _shown(value: object) -> str:
    if isinstance(value, Array):
        return f"{value.element.name}{value.shape}{bytes(value.data).hex()}"
    return f"={value.value!r}" if isinstance(value, Scalar) else ""


def _scalar(value: Any) -> Scalar:
    if isinstance(value, Named):
        return Scalar(kind="global", value=str(value))
    if isinstance(value, bytearray):
        return Scalar(kind="bytearray", value=bytes(value))
    return Scalar(kind=type(value).__name__ if value is not None else "None", value=value)


def read_pickle(data: memoryview, path: str = "", *, format_: str = "pickle") -> Result:
    """The values that a pickle, or several one after another, describe. Nothing of it is executed."""
    flat = Flattening()
    start = number = 0
    while start < len(data):
        value, start = load(data, start=start)
        flat.walk(f"{path}#{number}" if number else path, value)
        number += 1
    if not number:
        raise invalid("it is empty")
    unique: dict[str, Leaf] = {}
    for leaf in flat.leaves:
        unique.setdefault(leaf.path if leaf.path not in unique else f"{leaf.path} ({len(unique)})", leaf)
    protocol = str(data[1]) if data[0] == 0x80 and len(data) > 1 else "0 or 1"
    leaves = tuple(Leaf(path=at, value=leaf.value) for at, leaf in unique.items())
    return Result(format=format_, leaves=leaves, container=(("protocol", protocol),))
