"""Bytecode judged as code: each forgery is named, under every Python; nothing honest is; and hostile bytes end a child at most."""

from __future__ import annotations

import ast
import json
import marshal
import os
import random
import re
import shutil
import struct
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observe.courts import ask, cache_path, import_value, run, write_bytecode
from observe.looking import gating, look
from real.tools import interpreters
from sanctity.compare.ownership import own
from sanctity.model.drift import Code, Depth
from sanctity.observe import code, code_judge
from sanctity.observe.code import Judged, find_judge, judge_bytecode
from sanctity.observe.environment import observe_environment
from sanctity.store.pairs import pair_key
from sites import add_distribution, build_site, site_packages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sanctity.model.environment import Environment

_GOOD, _EVIL = "VALUE = 'good'\n", "VALUE = 'evil'\n"
_KINDS = ["timestamp", "checked hash", "unchecked hash", "odd flags"]
#: A little of everything that a compiler makes.
_ALL = '''
"""A docstring."""
import functools
from typing import Any
NUMBERS = (1, True, 1.0, 1j, 0.0, -0.0, 1e999 - 1e999, 10**40, -1, None, ..., "a", b"a", (), ((1,), (2, (3.5,))))
SET = [n for n in NUMBERS if n in {"a", "b", "c", b"d", 1.5, (1, "x")} | {"\\ud800"}]
class Thing(object, metaclass=type):
    "A docstring."
    field: int = 3
    def __init__(self, a, /, b=2, *args, c: Any = 3, **more):
        assert a, "no a"
        self.a = lambda x=a: (lambda: x + b)()
    @functools.lru_cache(maxsize=None)
    def method(self): return super().__repr__()
    @property
    async def later(self):
        async with self as x:
            async for y in x: yield await y
def outer(a, b):
    c = {k: [v for v in range(k)] for k in range(a)}
    def inner():
        nonlocal b
        try: b += a
        except (ValueError, TypeError) as error: raise RuntimeError(f"{error!r:>{a}} {b=}") from error
        finally: b = None
        return c
    return inner, (x for x in c if x), __debug__
'''
_SINCE = {
    (
        3,
        10,
    ): "def f(p):\n    match p:\n        case {'a': [1, *r], **k}: return r, k\n        case Thing(field=3) | None: return 1\n",
    (3, 11): "def g():\n    try: pass\n    except* ValueError as e: print(e)\n",
    (
        3,
        12,
    ): "class Box[T: int, *U, **P]:\n    type Alias[K] = dict[K, T]\n    def put[S](self, s: S) -> T: return [s for s in [s]]\n",
    (3, 13): "class Default[T = int]: pass\n",
}


def _everything(python: str) -> str:
    version = tuple(map(int, python.split(".")))
    return _ALL + "".join(text for since, text in _SINCE.items() if version >= since)


@pytest.mark.parametrize("level", [0, 1, 2])
@pytest.mark.parametrize("kind", _KINDS)
def test_each_forgery_runs_and_is_named(kind: str, level: int, python: str, tmp_path: Path) -> None:
    here = interpreters()[python]
    source = tmp_path / "victim.py"
    source.write_text(_GOOD)
    target = cache_path(here, source, level)
    options = ["-" + "O" * level] if level else []
    write_bytecode(here, source, target, kind=kind, level=level)
    assert import_value(here, tmp_path, *options) == "good"
    assert ask(here, [(level, source, target)]) == "S"
    write_bytecode(here, source, target, text=_EVIL, kind=kind, level=level)
    assert import_value(here, tmp_path, *options) == "evil"
    assert ask(here, [(level, source, target)]) == "D"


def test_whoever_wrote_it_honest_bytecode_is_the_same(python: str, tmp_path: Path) -> None:
    here = interpreters()[python]
    source = tmp_path / "victim.py"
    source.write_text("VALUE = 1\n" + _everything(python))
    pairs: list[tuple[int, Path, Path]] = []
    for level in (0, 1, 2):
        target = cache_path(here, source, level)
        pairs += [
            (level, source, write_bytecode(here, source, tmp_path / f"{level}{seed}.pyc", level=level, seed=seed))
            for seed in ("0", "1", "7")
        ]
        pairs.append((level, source, target))
    if python != "3.8":
        run(here, "-m", "compileall", "-q", "-o", "0", "-o", "1", "-o", "2", str(tmp_path))
    for level in (0, 1, 2):
        options = ["-" + "O" * level] if level else []
        program = "import sys; sys.path.insert(0, sys.argv[1]); import victim"
        run(here, *options, "-c", program, str(tmp_path))
    for mode in ("timestamp", "checked-hash", "unchecked-hash"):
        folder = tmp_path / mode
        folder.mkdir()
        shutil.copy(source, folder)
        run(here, "-m", "compileall", "-q", "--invalidation-mode", mode, str(folder))
        pairs.append((0, folder / "victim.py", cache_path(here, folder / "victim.py")))
    assert ask(here, pairs) == "S" * len(pairs)


_ALIKE = [
    ("1", "True"), ("1", "1.0"), ("0", "False"), ("0.0", "-0.0"), ("'a'", "b'a'"), ("()", "None"), ("1", "2"), ("0", "0j"),
    ("0j", "-0j"), ("1e999", "-1e999"), ("1e999 - 1e999", "1e999"), ("(1,)", "(True,)"), ("((1, 'a'), 2.0)", "((1, 'a'), 2)"),
    ("X in {1, 2}", "X in {1, 3}"), ("X in {1, 'a'}", "X in {True, 'a'}"), ("X in {0.0}", "X in {-0.0}"),
    ("X in {1, 2}", "X in (1, 2)"), ("...", "None"), ("'\\ud800'", "'\\udc00'"), ("lambda: 1", "lambda: 1.0"),
    ("lambda: (lambda: 'a')", "lambda: (lambda: 'b')"), ("lambda a: a", "lambda b: b"), ("lambda a, b: a", "lambda b, a: a"),
    ("lambda a, /: a", "lambda a: a"), ("lambda *, a: a", "lambda a: a"), ("lambda *a: a", "lambda **a: a"),
    ("[i for i in X]", "[j for j in X]"), ("f'{X}'", "f'{X!r}'"), ("f'{X:1}'", "f'{X:2}'"), ("X.a", "X.b"), ("X < 1", "X > 1"),
    ("(yield)", "1"), ("10**30", "10**30 + 1"), ("'a' 'b'", "'ab '"), ("print", "input"), ("[1, 2]", "(1, 2)"), ("X[1:2]", "X[1:3]"),
    ("1 and 2", "1 or 2"), ("-1", "~1"), ("lambda: X", "lambda X=1: X"),
]  # fmt: skip


def test_what_differs_in_the_least_is_not_the_same(python: str, tmp_path: Path) -> None:
    here = interpreters()[python]
    pairs: list[tuple[int, Path, Path]] = []
    names = []
    for number, alike in enumerate(_ALIKE):
        for turn, (one, other) in enumerate((alike, alike[::-1])):
            source = tmp_path / f"s{number}{turn}.py"
            source.write_bytes(f"async def f(X):\n    return ({one})\n".encode())
            to = tmp_path / f"s{number}{turn}.pyc"
            names.append((f"async def f(X):\n    return ({other})\n", one, other))
            pairs.append((0, source, to))
    keep = []
    for (text, one, other), pair in zip(names, pairs, strict=True):
        if "yield" not in one + other:
            write_bytecode(here, pair[1], pair[2], text=text)
            keep.append((pair, one, other))
    answers = ask(here, [pair for pair, _, _ in keep])
    assert [(one, other) for answer, (_, one, other) in zip(answers, keep, strict=True) if answer != "D"] == []


_MEMBERS = st.one_of(
    st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans(), st.none(), st.binary(max_size=4),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=4),
)  # fmt: skip
_CONSTANTS = st.recursive(_MEMBERS, lambda inner: st.tuples(inner, inner), max_leaves=6)


def _module(constants: list[Any]) -> str:
    lines = [f"def f{n}(a, b={constant!r}):\n    return [a, {constant!r}]\n" for n, constant in enumerate(constants)]
    return "".join(lines)


@given(st.lists(_CONSTANTS, min_size=1, max_size=4), st.data())
def test_one_constant_that_changed_is_always_seen(constants: list[Any], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(constants) - 1))
    other = data.draw(
        _CONSTANTS.filter(lambda drawn: ast.dump(ast.parse(repr(drawn))) != ast.dump(ast.parse(repr(constants[index]))))
    )
    one = compile(_module(constants), "a", "exec")
    again = marshal.loads(marshal.dumps(compile(_module(constants), "a", "exec")))
    changed = compile(_module([*constants[:index], other, *constants[index + 1 :]]), "a", "exec")
    assert code_judge.same(one, again)
    assert code_judge.same_beneath(one, again)
    assert not code_judge.same(one, changed)


#: Prints the marshalled forms that hide from the attributes of a code object: {what: hex}; and the honest one.
_HIDDEN = """
import json, marshal, sys, types
text = "def f(a):\\n    b = a\\n    x = 1\\n    def g(): return x\\n    return b\\n"
whole = compile(text, sys.argv[1], "exec")
code = next(k for k in whole.co_consts if isinstance(k, types.CodeType))
raw = marshal.dumps(whole, 2)
def form(names): return b"(" + len(names).to_bytes(4, "little") + b"".join(b"u" + len(n).to_bytes(4, "little") + n.encode() for n in names)
names = [code._varname_from_oparg(n) for n in range(4)]
at = raw.index(form(names)) + len(form(names)) + 5
kinds = raw[at : at + 4]
def variant(names2, kinds2):
    return (raw[:at] + kinds2 + raw[at + 4:]).replace(form(names), form(names2))
found = {"honest": raw}
found["order"] = variant([names[0], names[3], *names[1:3]], kinds[:1] + kinds[3:] + kinds[1:3])
found["hidden"] = variant(names, bytes([kinds[0], kinds[1] | 0x10, *kinds[2:]]))
if sys.version_info[:2] == (3, 11):
    import opcode
    plain = code.co_code
    spot = next(n for n in range(0, len(plain), 2) if opcode.opname[plain[n]] == "STORE_FAST")
    special = opcode._specialized_instructions.index("STORE_FAST__LOAD_FAST")
    numbers = [n for n in range(1, 256) if n not in opcode.opmap.values()]
    for number in (numbers[special], numbers[special] + 1):
        found[f"opcode {number}"] = raw.replace(plain, plain[:spot] + bytes([number]) + plain[spot + 1 :])
print(json.dumps({what: data.hex() for what, data in found.items()}))
"""


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_what_no_attribute_shows_is_compared_too(version: str, tmp_path: Path) -> None:
    """Slots of a frame in another order, a hidden one, and an instruction that shows as the plain one it is specialised from."""
    if version not in interpreters():
        pytest.skip(f"Python {version} is not installed")
    here = interpreters()[version]
    source = tmp_path / "victim.py"
    source.write_text("def f(a):\n    b = a\n    x = 1\n    def g(): return x\n    return b\n")
    variants = json.loads(run(here, "-c", _HIDDEN, str(source)))
    header = write_bytecode(here, source, tmp_path / "honest.pyc").read_bytes()[:16]
    answers = {}
    for what, body in variants.items():
        target = tmp_path / f"{what}.pyc"
        target.write_bytes(header + bytes.fromhex(body))
        answers[what] = ask(here, [(0, source, target)])
    assert answers.pop("honest") == "S"
    assert {what for what, answer in answers.items() if answer == "S"} == set()
    assert answers["order"] == answers["hidden"] == "D"


#: Says of each mutation that was taken for the same whether CPython itself holds the code that it loads as equal to the honest one: ``1``, else ``0``.
_ORACLE = """
import marshal, os, sys
honest = marshal.loads(open(sys.argv[1], "rb").read()[16:])
for path in sys.argv[2:]:
    pid = os.fork()
    if not pid:
        os.close(2)
        try:
            os._exit(10 if marshal.loads(open(path, "rb").read()[16:]) == honest else 0)
        except BaseException:
            os._exit(0)
    print(int(os.waitpid(pid, 0)[1] >> 8 == 10), end="", flush=True)  # what ends a child may print what it holds
"""


def _mutations(honest: bytes, count: int, seed: int) -> Iterator[bytes]:
    source = random.Random(seed)
    for _ in range(count):
        data = bytearray(honest)
        for _ in range(source.choice((1, 1, 1, 2, 8))):
            spot = source.randrange(16, len(data))
            match source.randrange(4):
                case 0:
                    data[spot] ^= 1 << source.randrange(8)
                case 1:
                    data[spot] = source.choice(b"0NFTSgizlars?<>([{cu:RtaAzZ)\xe3\xff\x00")
                case 2:
                    del data[spot : spot + source.randrange(1, 9)]
                case _:
                    data[spot:spot] = bytes(source.randrange(256) for _ in range(source.randrange(1, 5)))
        yield bytes(data)


def _judge_mutations(here: Path, text: str, count: int, seed: int, folder: Path) -> None:
    source = folder / "victim.py"
    source.write_text(text.replace("1e999 - 1e999", "1e999"))  # no number is what CPython never holds as equal to itself
    honest = write_bytecode(here, source, folder / "honest.pyc").read_bytes()
    files = []
    for number, data in enumerate(_mutations(honest, count, seed)):
        files.append(folder / f"m{number}.pyc")
        files[-1].write_bytes(data)
    left = list(files)
    answers = ""
    while left:
        said = ask(here, [(0, source, file) for file in left])
        answers += said + "!" * (len(said) < len(left))
        left = left[len(said) + 1 :] if len(said) < len(left) else []
    taken = [file for file, answer in zip(files, answers, strict=True) if answer == "S"]
    oracle = run(here, "-c", _ORACLE, str(folder / "honest.pyc"), *map(str, taken))
    assert [file.name for file, equal in zip(taken, oracle, strict=True) if equal == "0"] == []
    assert set(answers) <= set("SDUF!")
    assert answers.count("S") < len(files) / 3


def test_mutated_bytes_are_never_taken_for_the_same(python: str, tmp_path: Path) -> None:
    _judge_mutations(interpreters()[python], _everything(python), 100, int(python[2:]), tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
def test_thousands_of_mutations_are_never_taken_for_the_same(python: str, seed: int, tmp_path: Path) -> None:
    _judge_mutations(interpreters()[python], _everything(python), 2000, 100 + seed, tmp_path)


def _exponential() -> bytes:
    """A tuple of two that are one, sixty levels deep: 2**60 members for whoever takes each in turn."""
    data = b"\xa9\x02" * 60 + b"\xa9\x00"
    for level in range(60):  # the flagged objects are numbered as they begin
        data += b"r" + struct.pack("<I", 60 - level)
    return data


_HOSTILE = {
    "no code": b"N",
    "nothing": b"",
    "cut short": marshal.dumps(compile(_GOOD, "x", "exec"))[:-5],
    "huge tuple": b"(" + struct.pack("<I", 0x7FFFFFFF),
    "huge string": b"s" + struct.pack("<I", 0x7FFFFFF0),
    "deep": b"\xa9\x01" * 1500 + b"N",
    "deeper": b")\x01" * 100_000 + b"N",
    "shared": _exponential(),
    "self": b"\xa9\x01r\0\0\0\0",
    "a list": b"[\1\0\0\0N",
    "stop": b"S",
}


@pytest.mark.parametrize("what", _HOSTILE)
def test_hostile_bytes_are_no_pass(what: str, python: str, tmp_path: Path) -> None:
    here = interpreters()[python]
    source = tmp_path / "victim.py"
    source.write_text(_GOOD)
    honest = write_bytecode(here, source, tmp_path / "honest.pyc")
    target = tmp_path / "hostile.pyc"
    target.write_bytes(honest.read_bytes()[:16] + _HOSTILE[what])
    answers = ask(here, [(0, source, target), (0, source, honest)])
    assert answers in {"", "US", "FS", "DS"}


def _stdlib(here: Path) -> list[tuple[int, Path, Path]]:
    library = Path(run(here, "-I", "-c", "import os; print(os.path.dirname(os.__file__))").strip())
    pairs = []
    for target in sorted(library.rglob("__pycache__/*.pyc")):
        named = re.fullmatch(r"(.+)\.cpython-\d+(?:\.opt-(\d))?\.pyc", target.name)
        source = target.parent.parent / f"{named[1]}.py" if named else target
        if named and source.exists() and target.stat().st_size > 16:
            pairs.append((int(named[2] or 0), source, target))
    return pairs


def _false_alarms(here: Path, pairs: list[tuple[int, Path, Path]]) -> list[tuple[str, str]]:
    found = []
    for start in range(0, len(pairs), 500):
        part = pairs[start : start + 500]
        found += [(answer, str(pair[2])) for answer, pair in zip(ask(here, part), part, strict=True) if answer != "S"]
    return found


def test_no_false_alarm_in_a_sample_of_the_standard_library(python: str) -> None:
    here = interpreters()[python]
    pairs = _stdlib(here)
    if len(pairs) < 100:
        pytest.skip("its standard library has no bytecode")
    sample = random.Random(python).sample(pairs, 120)
    assert _false_alarms(here, sample) == []


@pytest.mark.long
def test_no_false_alarm_in_the_standard_library(python: str) -> None:
    here = interpreters()[python]
    assert _false_alarms(here, _stdlib(here)) == []


# What follows looks at a whole environment, of the Python that runs the tests.

_HERE = Path(sys.executable)


@pytest.fixture
def env(tmp_path: Path) -> Path:
    """An environment with a module ``victim``, and one that stands beside it."""
    env = build_site(tmp_path, {})
    add_distribution(env, "victim", "1.0", {"victim.py": _GOOD.encode(), "other.py": b"OTHER = 1\n"})
    return env


def _target(env: Path, name: str = "victim", level: int = 0) -> Path:
    return Path(cache_path(_HERE, site_packages(env) / f"{name}.py", level))


def _plant(env: Path, text: str | None = _EVIL, **options: Any) -> Path:
    level = options.get("level", 0)
    return write_bytecode(_HERE, site_packages(env) / "victim.py", _target(env, level=level), text=text, **options)


def _shown(env: Path, path: Path) -> str:
    """*path* as a report shows it."""
    return str(path.relative_to(site_packages(env)))


def _prove(env: Path) -> Any:
    return look(env, depth=Depth.ARTIFACT)


def _forged(env: Path) -> set[str]:
    return {os.path.basename(path) for kind, path in gating(_prove(env)) if kind == Code.BYTECODE_FORGED}


@pytest.mark.parametrize("level", [0, 1, 2, 3])
@pytest.mark.parametrize("kind", _KINDS)
def test_forged_bytecode_in_an_environment_is_named(env: Path, kind: str, level: int) -> None:
    planted = _plant(env, kind=kind, level=level)
    options = ["-" + "O" * level] if level else []
    assert import_value(_HERE, site_packages(env), *options) == "evil"
    comparison = _prove(env)
    assert {path for code, path in gating(comparison) if code == Code.BYTECODE_FORGED} == {_shown(env, planted)}
    _plant(env, None, kind=kind, level=level)
    comparison = _prove(env)
    assert gating(comparison) == set()
    assert comparison.proven is not None
    assert comparison.proven.bytecode == 1
    assert comparison.proven.judge.startswith(f"cpython {sys.version.split()[0]} at ")


def test_a_time_that_rounds_up_is_taken_as_import_takes_it(env: Path) -> None:
    source = site_packages(env) / "victim.py"
    os.utime(source, ns=(1_700_000_000_999_999_999,) * 2)
    _plant(env)
    assert import_value(_HERE, site_packages(env)) == "evil"
    assert _forged(env) == {_target(env).name}


def test_bytecode_for_another_source_is_a_note_where_its_hash_says_so(env: Path) -> None:
    source = site_packages(env) / "victim.py"
    source.write_text(_EVIL)
    planted = _plant(env, kind="checked hash")
    source.write_text(_GOOD)
    assert import_value(_HERE, site_packages(env)) == "good"
    comparison = _prove(env)
    assert gating(comparison) == set()
    assert Code.BYTECODE_STALE in {drift.code for drift in comparison.drifts if drift.path == _shown(env, planted)}


@pytest.mark.parametrize("level", ["0", "01", "x", "12345678901"])
def test_a_level_that_no_python_asks_for_is_foreign(env: Path, level: str) -> None:
    planted = _plant(env)
    planted.rename(planted.with_name(planted.name.replace(".pyc", f".opt-{level}.pyc")))
    comparison = _prove(env)
    assert gating(comparison) == set()
    assert Code.BYTECODE_FOREIGN in {drift.code for drift in comparison.drifts}


@pytest.mark.parametrize("depth", [Depth.RECORD, Depth.ARTIFACT])
def test_a_linked_file_is_judged_as_import_follows_it(env: Path, tmp_path: Path, depth: Depth) -> None:
    planted = _plant(env, kind="unchecked hash")
    planted.rename(tmp_path / "elsewhere")
    planted.symlink_to(tmp_path / "elsewhere")
    assert import_value(_HERE, site_packages(env)) == "evil"
    codes = {code for code, path in gating(look(env, depth=depth)) if path == _shown(env, planted)}
    assert (Code.BYTECODE_FORGED if depth is Depth.ARTIFACT else Code.BYTECODE_UNCHECKED) in codes


def test_a_linked_folder_of_bytecode_is_no_pass(env: Path, tmp_path: Path) -> None:
    planted = _plant(env)
    planted.parent.rename(tmp_path / "elsewhere")
    planted.parent.symlink_to(tmp_path / "elsewhere")
    assert import_value(_HERE, site_packages(env)) == "evil"
    assert any("__pycache__" in path for _, path in gating(_prove(env)))


def test_what_is_no_file_is_not_waited_for(env: Path) -> None:
    target = _target(env)
    target.parent.mkdir()
    os.mkfifo(target)
    assert Code.BYTECODE_FORGED not in {code for code, _ in gating(_prove(env))}
    target.unlink()
    target.mkdir()
    assert Code.BYTECODE_FORGED not in {code for code, _ in gating(_prove(env))}


def _observed(env: Path) -> Environment:
    return observe_environment(str(env), depth=Depth.ARTIFACT, clock=time.monotonic, workers=0)


def _judged(environment: Environment, **options: Any) -> Judged:
    return judge_bytecode(environment, own(environment), key=pair_key, **options)


def _touch(target: Path) -> None:
    target.write_bytes(target.read_bytes() + b"x")


def _make_fifo(target: Path) -> None:
    target.unlink()
    os.mkfifo(target)


@pytest.mark.parametrize("change", [_touch, Path.unlink, _make_fifo])
@pytest.mark.parametrize("which", ["source", "bytecode"])
def test_what_changes_after_the_look_is_named(env: Path, change: Callable[[Path], None], which: str) -> None:
    planted = _plant(env, None)
    environment = _observed(env)
    change(planted if which == "bytecode" else site_packages(env) / "victim.py")
    judged = _judged(environment)
    assert [answer for _, answer in judged.found] == ["changed"]
    assert judged.proven == frozenset()


def test_what_was_proven_is_not_asked_again(env: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _plant(env, None)
    environment = _observed(env)
    first = _judged(environment)
    assert (first.same, first.remembered, len(first.proven)) == (1, 0, 1)
    monkeypatch.setattr(code, "find_judge", lambda *_a, **_k: pytest.fail("nobody need judge"))
    again = _judged(environment, remembered=first.proven)
    assert (again.same, again.remembered, again.found) == (1, 1, ())


def test_forged_bytecode_is_never_among_the_proven(env: Path) -> None:
    _plant(env)
    judged = _judged(_observed(env))
    assert judged.proven == frozenset()
    assert judged.same == 0


_TROUBLES = {
    "it dies": "os.kill(os.getpid(), 9)",
    "it ends": "os._exit(0)",
    "it hangs": "__import__('time').sleep(1000)",
    "it babbles": "os.write(1, b'\\0\\1zzSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSS') and os._exit(0)",
}


@pytest.mark.parametrize("trouble", ["it dies", "it ends", "it hangs"])
def test_a_judge_that_fails_on_one_file_judges_the_others(
    env: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    site = site_packages(env)
    add_distribution(env, "many", "1.0", {f"many/m{number}.py": b"A = 1\n" for number in range(70)})
    first = write_bytecode(_HERE, site / "many/m0.py", Path(cache_path(_HERE, site / "many/m0.py")))
    for number in range(1, 70):
        os.utime(site / f"many/m{number}.py", ns=((site / "many/m0.py").stat().st_mtime_ns,) * 2)
        shutil.copy(first, first.with_name(first.name.replace("m0.", f"m{number}.")))
    _plant(env)
    script = tmp_path / "judge.py"
    text = Path(code_judge.__file__).read_text()
    deadly = f"    if b'/m5.' in code_path or b'/m41.' in code_path: {_TROUBLES[trouble]}\n"
    script.write_text(text.replace("    try:\n        source, data = read", deadly + "    try:\n        source, data = read"))
    monkeypatch.setattr(code, "_PATIENCE", 1.0)
    environment = _observed(env)
    monkeypatch.setattr(code_judge, "__file__", str(script))
    judged = _judged(environment)
    assert {(os.path.basename(item.path).partition(".")[0], answer) for item, answer in judged.found} == {
        ("m5", "failed"),
        ("m41", "failed"),
        ("victim", "differs"),
    }
    assert judged.same == 68


def test_constants_without_end_end_the_judge_and_no_more(env: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The interpreter itself takes each of 2**60 members in turn when it loads such code."""
    planted = _plant(env, None)
    whole = compile("VALUE = '@@@'\n", "x", "exec").replace(co_consts=("@@@", None))
    body = marshal.dumps(whole, 2).replace(b"u\3\0\0\0@@@", _exponential())
    planted.write_bytes(planted.read_bytes()[:16] + body)
    monkeypatch.setattr(code, "_PATIENCE", 1.0)
    judged = _judged(_observed(env))
    assert [answer for _, answer in judged.found] == ["failed"]
    assert judged.proven == frozenset()


def test_without_a_judge_nothing_is_decided(env: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _plant(env)
    monkeypatch.setattr(code, "find_judge", lambda *_a, **_k: None)
    comparison = _prove(env)
    assert gating(comparison) == set()
    (item,) = [item for item in comparison.unchecked if item.code == "bytecode"]
    assert item.in_scope
    assert f"cpython {sys.version.split()[0]}" in item.reason


@pytest.mark.parametrize("what", ["another version", "a shell", "nothing", "silent"])
def test_a_judge_that_is_something_else_judges_nothing(
    env: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    others = [path for version, path in interpreters().items() if version != f"3.{sys.version_info.minor}"]
    script = tmp_path / "silent"
    script.write_text("#!/bin/sh\nexec sleep 100\n")
    script.chmod(0o755)
    named = {
        "another version": str(others[0]) if others else "/bin/sh",
        "a shell": "/bin/sh",
        "nothing": "/nowhere",
        "silent": str(script),
    }
    monkeypatch.setattr(code, "_PATIENCE", 1.0)
    monkeypatch.setattr(
        code, "find_judge", lambda environment, **_k: code.Judge(named[what], code.compiler_of(environment.interpreter))
    )
    _plant(env, None)
    judged = _judged(_observed(env))
    assert (judged.judge, judged.same) == (None, 0)
    assert [answer for _, answer in judged.found] == ["unjudged"]


def test_the_judge_never_lies_inside_the_environment(env: Path, tmp_path: Path) -> None:
    environment = _observed(env)
    inside = env / "bin/python9"
    shutil.copy("/bin/true", inside)
    outside = tmp_path / "outside"
    outside.symlink_to(inside)
    candidates = [(str(inside), environment.interpreter), (str(outside), environment.interpreter)]
    judge = find_judge(environment, root="", candidates=candidates)
    assert judge is None or not os.path.realpath(judge.executable).startswith(f"{env}/")
