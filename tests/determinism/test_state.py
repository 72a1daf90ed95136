"""The state of what draws: what is captured is put back, whole or not at all, and a file that was touched is refused."""

from __future__ import annotations

import json
import os
import pickle
import random
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from programs import SOURCE, told

from sanctity.determinism import document, registry
from sanctity.determinism.document import Unwritable, decoded, encoded
from sanctity.determinism.state import Restored, State, StateError, capture_state, preserved, restore_state
from sanctity.errors import DocumentError, SanctityError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

SCHEMA = json.loads((SOURCE / "sanctity/report/schema/rng-state-1.json").read_text("utf-8"))
BITS = ("MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64")


@pytest.fixture(autouse=True)
def alone() -> Iterator[None]:
    """Each test has the registry and the shared streams to itself."""
    before = registry.registered()
    for name in before:
        registry.unregister(name)
    with preserved():
        yield
    for name in registry.registered():
        registry.unregister(name)
    for name, generator in before.items():
        registry.register(generator, name)


def draw(count: int) -> list[float]:
    """*count* of each kind of draw of the shared streams; odd counts leave a cached normal draw behind."""
    found: list[float] = []
    for _ in range(count):
        found += [random.gauss(0, 1), random.random(), float(np.random.randn()), float(np.random.rand())]  # noqa: NPY002
        found.append(random.getrandbits(70))
    return found


def children(generator: Any) -> list[float]:
    return [float(child.random()) for child in generator.spawn(2)]


# -- laws -------------------------------------------------------------------------------------------------------------------------


@given(st.integers(0, 2**32 - 1), st.integers(0, 7), st.integers(1, 9))
@settings(max_examples=30)
def test_what_is_drawn_after_restoring_is_what_was_drawn_after_capturing(seed: int, before: int, after: int) -> None:
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - it is the shared stream that is captured
    draw(before)
    state = capture_state()
    assert capture_state() == state, "capturing draws nothing"
    expected = draw(after)
    assert restore_state(state) == Restored(state.sources, ())
    assert capture_state() == state
    assert draw(after) == expected
    assert restore_state(State.from_bytes(state.to_bytes())).restored == state.sources
    assert draw(after) == expected


@given(st.sampled_from(BITS), st.integers(0, 2**128 - 1), st.integers(0, 5), st.integers(0, 3))
@settings(max_examples=30)
def test_generators_come_back_with_the_children_they_spawned(bits: str, seed: int, drawn: int, spawned: int) -> None:
    generator = np.random.Generator(getattr(np.random, bits)(seed))
    generator.integers(2**31, size=drawn, dtype=np.int32)  # an odd number leaves half a word behind
    generator.spawn(spawned)
    state = capture_state({"g": generator})
    expected = [generator.integers(2**31, dtype=np.int32), generator.normal(), *children(generator), *children(generator)]
    restore_state(state, {"g": generator})
    assert capture_state({"g": generator}) == state
    assert [generator.integers(2**31, dtype=np.int32), generator.normal(), *children(generator), *children(generator)] == expected
    another = np.random.Generator(getattr(np.random, bits)(1))
    restore_state(State.from_bytes(state.to_bytes()), {"g": another})
    assert [another.integers(2**31, dtype=np.int32), another.normal(), *children(another), *children(another)] == expected


def test_the_popular_way_loses_the_children() -> None:
    """T5, F04: ``bit_generator.state`` restores what is drawn, and not what is spawned."""
    generator = np.random.default_rng(5)
    generator.spawn(1)
    popular, ours = generator.bit_generator.state, capture_state({"g": generator})
    drawn, spawned = generator.random(), children(generator)
    generator.bit_generator.state = popular
    assert generator.random() == drawn
    assert children(generator) != spawned
    restore_state(ours, {"g": generator})
    assert generator.random() == drawn
    assert children(generator) == spawned


def test_legacy_generators_come_back_with_their_cached_normal_draw() -> None:
    held: dict[str, Any] = {"rs": np.random.RandomState(3), "r": random.Random(3), "bits": np.random.PCG64(3)}
    held["rs"].randn()
    held["r"].gauss(0, 1)
    state = capture_state(held)

    def drawn() -> list[Any]:
        return [held["rs"].randn(), held["rs"].randn(), held["r"].gauss(0, 1), held["r"].gauss(0, 1), held["bits"].random_raw()]

    expected = drawn()
    restore_state(state, held)
    assert drawn() == expected


values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(st.characters(codec=None)),
        st.binary(),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(st.one_of(st.text(st.characters(codec=None)), st.integers()), inner, max_size=4),
    ),
    max_leaves=20,
)


@given(values)
def test_values_come_back_as_they_were(value: Any) -> None:
    written = json.loads(document.canonical({"v": encoded(value)}))["v"]
    found = decoded(written)
    assert encoded(found) == written
    assert type(found) is type(value)
    assert repr(found) == repr(value)


@pytest.mark.parametrize("dtype", ["u1", "<u4", ">u4", "<i8", "<f2", "<f8", ">f8", "<c16", "?"])
def test_arrays_come_back_as_they_were(dtype: str) -> None:
    value = np.arange(12).reshape(3, 4).astype(dtype)[:, ::2]
    found = decoded(json.loads(json.dumps(encoded(value))))
    assert found.dtype == value.dtype.newbyteorder("=")
    assert (found == value).all()
    assert found.flags.writeable
    assert isinstance(decoded(encoded(np.uint64(2**63))), np.uint64)
    empty = decoded(encoded(np.zeros((0, 3))))
    assert empty.shape == (0, 3)


@pytest.mark.parametrize("value", [object(), {1, 2}, {(1,): 2}, np.array([object()]), np.array(["a"]), lambda: 0, range(3)])
def test_what_would_need_pickle_is_refused(value: Any) -> None:
    with pytest.raises(Unwritable):
        encoded({"a": [value]})


def test_depth_has_a_bound() -> None:
    value: Any = 1
    for _ in range(100):
        value = [value]
    with pytest.raises(Unwritable, match="deep"):
        encoded(value)


# -- files ------------------------------------------------------------------------------------------------------------------------


def a_state() -> State:
    return capture_state({"g": np.random.default_rng(1), "r": random.Random(2)})


def test_a_file_keeps_to_its_schema_and_is_read_as_it_was_written(tmp_path: Path) -> None:
    state = a_state()
    state.write(tmp_path / "rng.json")
    assert os.listdir(tmp_path) == ["rng.json"], "the temporary name is gone"
    assert State.read(tmp_path / "rng.json") == state
    data = (tmp_path / "rng.json").read_bytes()
    assert data == state.to_bytes()
    assert data.isascii()
    assert data.count(b"\n") == 1
    Draft202012Validator(SCHEMA).validate(json.loads(data))
    assert pickle.loads(pickle.dumps(state)) == state
    assert hash(State.from_bytes(data)) == hash(state)
    assert "random" in repr(state)


@given(st.data())
@settings(max_examples=150)
def test_one_changed_byte_is_refused(data: st.DataObject) -> None:
    whole = a_state().to_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != whole[at]))
    before = capture_state()
    with pytest.raises(DocumentError) as error:
        State.from_bytes(whole[:at] + bytes([other]) + whole[at + 1 :])
    assert error.value.code in {"state-altered", "state-invalid"}
    assert capture_state() == before


@given(st.data())
@settings(max_examples=50)
def test_a_cut_or_longer_file_is_refused(data: st.DataObject) -> None:
    whole = a_state().to_bytes()
    cut = data.draw(st.integers(0, len(whole) - 1))
    more = data.draw(st.binary(min_size=1, max_size=3))
    for other in (whole[:cut], whole + more, more + whole):
        with pytest.raises(DocumentError) as error:
            State.from_bytes(other, where="rng.json")
        assert error.value.code in {"state-altered", "state-invalid"}
        assert error.value.where.startswith("rng.json")


def forged(**changes: Any) -> bytes:
    """A document with *changes*, and the digest that fits it."""
    found = json.loads(a_state().to_bytes()) | changes
    found["digest"] = document.digest_of(found)
    return document.canonical(found) + b"\n"


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"schema": "sanctity.rng-state/2"}, "schema"),
        ({"schema": None}, "schema"),
        ({"more": 1}, "$"),
        ({"tool": []}, "tool"),
        ({"tool": {"name": "sanctity", "version": 1}}, "tool"),
        ({"recorded": {"python": 3}}, "recorded"),
        ({"seed": {"root": "1"}}, "seed"),
        ({"seed": {"root": "01", "scheme": "x", "rank": None, "child": []}}, "seed.root"),
        ({"seed": {"root": "1", "scheme": "x", "rank": True, "child": []}}, "seed"),
        ({"seed": {"root": "1", "scheme": "x", "rank": None, "child": [-1]}}, "seed"),
        ({"entries": {}}, "entries"),
        ({"entries": [1]}, "entries[0]"),
        ({"entries": [{"source": "random", "name": "", "value": 1, "x": 1}]}, "entries[0]"),
        ({"entries": [{"source": 1, "name": "", "value": 1}]}, "entries[0]"),
        ({"entries": [{"source": "random", "name": "", "value": None}] * 2}, "entries"),
    ],
)
def test_a_document_of_another_shape_is_refused_with_the_place(changes: dict[str, Any], where: str) -> None:
    with pytest.raises(DocumentError) as error:
        State.from_bytes(forged(**changes))
    assert (error.value.code, error.value.where) == ("state-invalid", where)
    assert error.value.hint


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null\n",
        b"[]\n",
        b"{}\n",
        b"\x80\x04\x95",
        b"PK\x03\x04",
        b"[" * 100_000,
        b'{"schema":' + b"9" * 10_000 + b"}",
        b'{"schema":NaN}',
        '{"schema":"é"}'.encode(),
    ],
)
def test_foreign_files_are_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(DocumentError) as error:
        restore_state(tmp_path / "x")
    assert error.value.code == "state-invalid"
    assert str(tmp_path / "x") in error.value.where


WORDS: list[Any] = [
    7,
    1.5,
    {},
    {"int": 7},
    {"int": "07"},
    {"int": "1_0"},
    {"float": "zz"},
    {"float": "3ff"},
    {"bytes": "?"},
    {"bytes": 1},
    {"tuple": 1},
    {"dict": [[1]]},
    {"dict": [["a", None], ["a", None]]},
    {"dict": [[{"float": "3ff0000000000000"}, None]]},
    {"array": {"dtype": "O", "shape": [1], "data": "AAAAAAAAAAA="}},
    {"array": {"dtype": "<u4", "shape": [2], "data": "AAAAAA=="}},
    {"array": {"dtype": "<u4", "shape": [-1], "data": "AAAAAA=="}},
    {"array": {"dtype": "nonsense", "shape": [1], "data": "AAAAAA=="}},
    {"array": {"dtype": "<u4", "shape": [1]}},
    {"array": 1},
    {"scalar": {"dtype": "<u4", "shape": [1 << 70], "data": ""}},
    {"tensor": {"dtype": "uint8", "shape": [1], "device": "cpu", "data": "AA=="}},
    {"eval": "1"},
    {"int": "1", "float": "1"},
]


@pytest.mark.parametrize("value", WORDS, ids=repr)
def test_hostile_values_are_refused_before_anything_changes(value: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the words differ, and the kind is what is promised
        decoded(value)
    entries = json.loads(capture_state().to_bytes())["entries"]
    entries = [{**entry, "value": value} if entry["source"] == "random" else entry for entry in entries]
    state = State.from_bytes(forged(entries=entries))
    before = capture_state()
    with pytest.raises(StateError) as error:
        restore_state(state)
    assert [name for name, _ in error.value.failures] == ["random"]
    assert capture_state() == before


@pytest.mark.parametrize(
    "change",
    [
        {"version": 4},
        {"words": b"1234"},
        {"words": b"123"},
        {"words": b"\xff" * 2500},
        {"gauss": "x"},
        {"gauss": 1},
        {"more": 1},
    ],
    ids=repr,
)
def test_states_that_random_can_not_have_are_refused(change: dict[str, Any]) -> None:
    state = capture_state()
    entries = json.loads(state.to_bytes())["entries"]
    for entry in entries:
        if entry["source"] == "random":
            entry["value"] = encoded(decoded(entry["value"]) | change)
    draw(2)
    before = capture_state()
    with pytest.raises(StateError, match="random"):
        restore_state(State.from_bytes(forged(entries=entries)))
    assert capture_state() == before


def test_states_that_numpy_can_not_have_are_refused() -> None:
    held = {"g": np.random.default_rng(1)}
    state = capture_state(held)
    for change in (
        {"state": {"bit_generator": "PCG64"}},
        {"state": {"bit_generator": "MT19937", "state": {}}},
        {"state": 1},
        {"bits": "SFC64"},
        {"type": "RandomState"},
        {"sequence": {"entropy": -1, "spawn_key": (), "pool_size": 4, "children": 0}},
        {"sequence": {"entropy": 1, "spawn_key": (), "pool_size": 4, "children": "x"}},
        {"sequence": {"entropy": 1}},
        {"sequence": "none"},
    ):
        entries = json.loads(state.to_bytes())["entries"]
        for entry in entries:
            if entry["name"] == "g":
                entry["value"] = encoded(decoded(entry["value"]) | change)
        before = capture_state(held)
        with pytest.raises(StateError) as error:
            restore_state(State.from_bytes(forged(entries=entries)), held)
        assert [name for name, _ in error.value.failures] == ["object 'g'"], change
        assert capture_state(held) == before


def test_files_that_can_not_be_read_or_written(tmp_path: Path) -> None:
    with pytest.raises(DocumentError) as error:
        State.read(tmp_path / "none.json")
    assert error.value.code == "state-unreadable"
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(DocumentError) as error:
            State.read(path)
        assert error.value.code == "state-unreadable"
    state = a_state()
    with pytest.raises(SanctityError) as failed:
        state.write(tmp_path / "none" / "rng.json")
    assert failed.value.code == "state-unwritable"
    (tmp_path / "folder").mkdir()
    with pytest.raises(SanctityError) as failed:
        state.write(tmp_path / "folder")
    assert failed.value.code == "state-unwritable"
    assert sorted(os.listdir(tmp_path)) == ["folder", "pipe"], "no temporary file is left"


# -- whole, or not at all ---------------------------------------------------------------------------------------------------------


class Order:
    """An object with a state of its own, which may refuse what it is given."""

    def __init__(self, refuses: bool = False) -> None:
        self.position = 0
        self.refuses = refuses

    def state_dict(self) -> dict[str, Any]:
        return {"position": self.position, "words": np.arange(3, dtype="<u2")}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if self.refuses and state["position"]:
            raise RuntimeError("no room")
        self.position = state["position"]


def test_objects_come_back() -> None:
    order = Order()
    order.position = 7
    state = capture_state({"order": order})
    order.position = 9
    assert restore_state(state, {"order": order}).restored == state.sources
    assert order.position == 7


def test_a_failure_half_way_undoes_what_was_done() -> None:
    order = Order()
    order.position = 7
    state = capture_state({"order": order})
    order.position, order.refuses = 0, True
    draw(3)
    before = capture_state()
    with pytest.raises(StateError, match="no room") as error:
        restore_state(state, {"order": order})
    assert error.value.code == "state-not-restored"
    assert "nothing has changed" in error.value.message
    assert capture_state() == before
    assert order.position == 0


def test_what_reads_back_otherwise_was_not_restored() -> None:
    class Forgetful(Order):
        def load_state_dict(self, state: dict[str, Any]) -> None:
            pass

    order = Forgetful()
    state = capture_state({"order": order})
    order.position = 3
    before = capture_state()
    with pytest.raises(StateError, match="reads back otherwise"):
        restore_state(state, {"order": order})
    assert capture_state() == before


def test_all_that_is_in_the_way_is_listed_and_nothing_changes() -> None:
    registry.register(np.random.default_rng(1), "one")
    registry.register(random.Random(1), "two")
    state = capture_state({"order": Order(), "g": np.random.default_rng(1)})
    registry.unregister("one")
    registry.register(np.random.default_rng(1), "three")
    draw(3)
    objects = {"g": np.random.Generator(np.random.SFC64(1)), "new": Order()}
    before = capture_state(objects)
    with pytest.raises(StateError) as error:
        restore_state(state, objects)
    assert dict(error.value.failures) == {
        "generator 'one'": "no generator is registered by this name",
        "generator 'three'": "it is here, and was not captured",
        "object 'order'": "no object was given by this name",
        "object 'g'": "its bit generator is 'SFC64' here, and was 'PCG64'",
        "object 'new'": "it is here, and was not captured",
    }
    assert capture_state(objects) == before


def test_what_has_no_state_is_named() -> None:
    class Unpicklable(Order):
        def state_dict(self) -> dict[str, Any]:
            return {"a": {"b": [object()]}}

    with pytest.raises(StateError) as error:
        capture_state({"x": object(), "y": Unpicklable(), "fine": Order()})
    assert error.value.code == "state-not-captured"
    assert [name for name, _ in error.value.failures] == ["object 'x'", "object 'y'"]
    assert "['a']['b'][0]" in error.value.failures[1][1]
    with pytest.raises(UsageError):
        capture_state({"": Order()})


def test_a_registered_generator_is_captured_by_its_name() -> None:
    generator = registry.register(np.random.default_rng(1), "augment")
    state = capture_state()
    assert "generator 'augment'" in state.sources
    expected = generator.random(), children(generator)
    restore_state(state)
    assert (generator.random(), children(generator)) == expected


# -- the block that leaves no trace -------------------------------------------------------------------------------------------------


def fail_in(block: AbstractContextManager[None], *actions: Callable[[], object]) -> None:
    with block:
        for action in actions:
            action()
        raise ZeroDivisionError


def test_a_block_leaves_no_trace_however_it_ends() -> None:
    generator = registry.register(np.random.default_rng(1), "augment")
    registry.unregister("augment")
    order = Order()
    before = capture_state({"order": order, "g": generator})
    registry.register(generator, "augment")
    block = preserved({"order": order})
    with block:
        draw(3)
        children(generator)
        order.position = 5
        with block:
            draw(1)
    with pytest.raises(ZeroDivisionError):
        fail_in(block, lambda: draw(2), lambda: registry.unregister("augment"), generator.random)
    assert capture_state({"order": order, "g": generator}) == before


def test_the_popular_block_does_not_survive_an_exception() -> None:
    """Lightning's isolate_rng and composer's seed_context yield without try and finally: as here."""

    @contextmanager
    def popular() -> Iterator[None]:
        states = random.getstate(), np.random.get_state()  # noqa: NPY002 - it is the shared stream
        yield
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002 - see above

    before = capture_state()
    with pytest.raises(ZeroDivisionError):
        fail_in(popular(), lambda: draw(1))
    assert capture_state() != before
    restore_state(before)
    with pytest.raises(ZeroDivisionError):
        fail_in(preserved(), lambda: draw(1))
    assert capture_state() == before


def test_a_block_that_can_not_be_undone_says_so_beside_its_own_exception() -> None:
    order = Order()
    order.position = 1
    with pytest.raises(StateError, match="no room") as error:
        fail_in(preserved({"order": order}), lambda: setattr(order, "refuses", True))
    assert [type(each).__name__ for each in contexts(error.value)] == ["StateError", "RuntimeError", "ZeroDivisionError"]


def contexts(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__context__


# -- processes ----------------------------------------------------------------------------------------------------------------------


def test_without_numpy_there_is_a_state_and_numpy_that_was_captured_is_missed(tmp_path: Path) -> None:
    code = """
import json, random, sys
from sanctity.determinism.state import State, StateError, capture_state, restore_state
random.seed(1)
state = capture_state()
drawn = random.random()
restore_state(state)
same = random.random() == drawn
{extra}
print(json.dumps([same, "numpy" in sys.modules, state.sources, found]))
"""
    assert told(code.replace("{extra}", "found = None")) == [True, False, ["random"], None]
    capture_state().write(tmp_path / "rng.json")
    extra = f"""
try:
    restore_state({str(tmp_path / "rng.json")!r})
except StateError as error:
    found = dict(error.failures)
"""
    assert told(code.replace("{extra}", extra))[3] == {"numpy": "numpy.random is not imported here"}


CALLED = """
import json, os, random
from sanctity.determinism.setting import set_global_determinism
from sanctity.determinism.state import StateError, capture_state, restore_state
set_global_determinism({seed}, rank={rank}, quiet=True)
"""


def test_a_state_of_another_seed_or_rank_is_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "rng.json")
    assert told(CALLED.format(seed=42, rank=0) + f"print(json.dumps(capture_state().write({path!r})))") is None
    code = f"""
try:
    print(json.dumps(restore_state({path!r}).restored))
except StateError as error:
    print(json.dumps(dict(error.failures)))
"""
    assert told(CALLED.format(seed=42, rank=0) + code) == ["children", "random"]
    assert told(CALLED.format(seed=42, rank=1) + code) == {"rank": "it was captured under 0, and this process has 1"}
    assert set(told(CALLED.format(seed=43, rank=None) + code)) == {"seed", "rank"}
    without = CALLED.format(seed=42, rank=0).replace("set_global_determinism(42", "(lambda *_, **__: None)(42")
    assert set(told(without + code)) == {"children"}


def test_the_number_of_the_next_child_comes_back(tmp_path: Path) -> None:
    """What a fork draws depends on how many there were before; a resumed run goes on counting."""
    path = str(tmp_path / "rng.json")
    fork = """
def child():
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        os.write(write, repr(random.random()).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    return os.read(read, 100).decode()
"""
    first = told(CALLED.format(seed=42, rank=None) + fork + f"child(); capture_state().write({path!r}); print(json.dumps(child()))")
    fresh = told(CALLED.format(seed=42, rank=None) + fork + "print(json.dumps(child()))")
    resumed = told(CALLED.format(seed=42, rank=None) + fork + f"restore_state({path!r}); print(json.dumps(child()))")
    assert resumed == first != fresh
