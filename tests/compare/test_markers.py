from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from packaging.markers import InvalidMarker, Marker, UndefinedComparison, UndefinedEnvironmentName
from packaging.version import InvalidVersion

from sanctity.compare.markers import MarkerEnvironment, environment_of, evaluate, names_in, parse_marker, satisfies
from sanctity.errors import DocumentError
from sanctity.model.environment import Interpreter

#: Random markers a property is tried on; derandomized, so the same ones in every run.
EXAMPLES = 500

VALUES = {
    "implementation_name": ("cpython", "pypy"),
    "implementation_version": ("3.11.7", "7.3.13", "3.15.0rc1"),
    "os_name": ("posix", "nt"),
    "platform_machine": ("x86_64", "aarch64", "AMD64"),
    "platform_python_implementation": ("CPython", "PyPy"),
    "platform_release": ("6.1.0", "6.1.0-18-amd64", "10"),
    "platform_system": ("Linux", "Darwin", "Windows"),
    "platform_version": ("#1 SMP", "10.0.1"),
    "python_full_version": ("3.11.7", "3.9.0", "3.15.0rc1", "3.10.14"),
    "python_version": ("3.11", "3.9", "3.15", "3.10"),
    "sys_platform": ("linux", "darwin", "win32"),
}
LITERALS = sorted(
    {value for values in VALUES.values() for value in values} | {"3", "3.9.*", "3.8", "3.9 3.10", "3.11.0a1", "", "lin", "x"}
)


def environment(**known: str) -> MarkerEnvironment:
    return MarkerEnvironment(known=tuple(sorted(known.items())))


def linux(version: str = "3.11.7", machine: str = "x86_64") -> MarkerEnvironment:
    return environment_of(Interpreter(version=version, machine=machine))


@st.composite
def comparisons(draw: st.DrawFn) -> str:
    variable = draw(st.sampled_from(sorted(VALUES)))
    quote = draw(st.sampled_from("'\""))
    operator = draw(st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "~=", "===", "in", "not in"]))
    sides = [variable, f"{quote}{draw(st.sampled_from(LITERALS))}{quote}"]
    if draw(st.booleans()):
        sides.reverse()
    return f"{sides[0]} {operator} {sides[1]}"


def extra_tests() -> st.SearchStrategy[str]:
    return st.builds("extra {} '{}'".format, st.sampled_from(["==", "!="]), st.sampled_from(["a", "b", "A_b", "extra-3-foo-cpu"]))


def markers() -> st.SearchStrategy[str]:
    return st.recursive(
        comparisons() | extra_tests(),
        lambda inner: st.builds("{} {} {}".format, inner, st.sampled_from(["and", "or"]), inner) | inner.map("({})".format),
        max_leaves=6,
    )


environments = st.fixed_dictionaries({name: st.sampled_from(values) for name, values in VALUES.items()})


@settings(max_examples=EXAMPLES, derandomize=True, deadline=None)
@given(marker=markers(), known=environments, extra=st.sampled_from(["", "a", "a-b"]))
def test_agrees_with_packaging_where_all_is_known(marker: str, known: dict[str, str], extra: str) -> None:
    try:
        expected = Marker(marker).evaluate({**known, "extra": extra})
    except (UndefinedComparison, InvalidVersion):
        assume(False)
    found = evaluate(marker, environment(**known), extras=frozenset({extra} - {""}))
    assert found is expected


@settings(max_examples=EXAMPLES, derandomize=True, deadline=None)
@given(marker=markers(), known=environments, forgotten=st.sets(st.sampled_from(sorted(VALUES)), max_size=4))
def test_forgetting_a_variable_never_turns_an_answer_around(marker: str, known: dict[str, str], forgotten: set[str]) -> None:
    whole = evaluate(marker, environment(**known))
    less = evaluate(marker, environment(**{name: value for name, value in known.items() if name not in forgotten}))
    assert less is None or less is whole


@settings(max_examples=EXAMPLES, derandomize=True, deadline=None)
@given(
    micro=st.integers(0, 30),
    operator=st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "~=", "in", "not in"]),
    literal=st.from_regex(r"3\.(8|9|10)(\.[0-9]{1,2})?((rc|a|\.post)[12])?", fullmatch=True) | st.sampled_from(["3.9.*", "3", "4"]),
    reverse=st.booleans(),
)
def test_a_minor_version_decides_only_what_every_micro_agrees_on(micro: int, operator: str, literal: str, reverse: bool) -> None:
    marker = f"'{literal}' {operator} python_full_version" if reverse else f"python_full_version {operator} '{literal}'"
    try:
        Marker(marker).evaluate({"python_full_version": f"3.9.{micro}"})
    except (UndefinedComparison, InvalidVersion):
        assume(False)
    partial = evaluate(marker, linux("3.9"))
    assert partial is None or partial is evaluate(marker, linux(f"3.9.{micro}"))


@pytest.mark.parametrize(
    ("marker", "expected"),
    [
        ("python_full_version >= '3.8'", True),
        ("python_full_version >= '3.9'", True),
        ("python_full_version >= '3.9.4'", None),
        ("python_full_version == '3.9.*'", True),
        ("python_full_version != '3.9.7'", None),
        ("python_full_version < '3.10'", True),
        ("python_full_version < '3.9'", False),
        ("'3.10' > python_full_version", True),
        ("python_version == '3.9'", True),
        ("python_full_version ~= '3.7'", True),
        ("python_full_version in '3.8.1, 3.8.2'", False),
        ("implementation_version >= '3.9.1'", None),
    ],
)
def test_an_unknown_micro_version(marker: str, expected: bool | None) -> None:
    assert evaluate(marker, linux("3.9")) is expected


@pytest.mark.parametrize(
    ("marker", "expected"),
    [
        ("platform_release >= '5'", None),
        ("platform_release >= '5' or sys_platform == 'linux'", True),
        ("platform_release >= '5' and sys_platform == 'win32'", False),
        ("platform_version == '1' and sys_platform == 'linux'", None),
        ("(platform_version == '1' or platform_release == '2') and os_name == 'nt'", False),
        ("'a' == 'a'", None),
        ("os_name == sys_platform", None),
        ("os_name ~= 'posix'", None),
    ],
)
def test_unknown_is_neither_true_nor_false(marker: str, expected: bool | None) -> None:
    assert evaluate(marker, linux()) is expected


@pytest.mark.parametrize(
    ("marker", "extras", "groups", "expected"),
    [
        ("extra == 'x'", {"x", "y"}, set(), True),
        ("extra != 'x'", {"x", "y"}, set(), False),
        ("extra != 'x'", set(), set(), True),
        ("'X_y' == extra", {"x-y"}, set(), True),
        ("extra == 'extra-3-foo-cpu' and extra == 'group-3-foo-dev'", {"extra-3-foo-cpu", "group-3-foo-dev"}, set(), True),
        ("'x' in extras", {"x"}, set(), True),
        ("'x' not in extras", {"x"}, set(), False),
        ("'dev' in dependency_groups", {"dev"}, set(), False),
        ("'dev' in dependency_groups", set(), {"dev"}, True),
        ("extras == 'x'", {"x"}, set(), None),
    ],
)
def test_extras_and_groups_are_sets(marker: str, extras: set[str], groups: set[str], expected: bool | None) -> None:
    assert evaluate(marker, linux(), extras=frozenset(extras), groups=frozenset(groups)) is expected


def test_an_empty_marker_holds() -> None:
    assert evaluate("", MarkerEnvironment(known=())) is True


def test_and_binds_tighter_than_or() -> None:
    assert evaluate("os_name == 'posix' or os_name == 'nt' and os_name == 'x'", linux()) is True
    assert evaluate("(os_name == 'posix' or os_name == 'nt') and os_name == 'x'", linux()) is False


@pytest.mark.parametrize(
    "text",
    [
        "os_name",
        "os_name ==",
        "os_name == 'a' os_name",
        "(os_name == 'a'",
        "nope == 'a'",
        "os_name = 'a'",
        "'a",
        "os_name == 'a')",
        "é == 'a'",
        "(" * 60 + "os_name == 'a'" + ")" * 60,
        "(" * 100_000,
    ],
)
def test_a_broken_marker_is_a_clear_error(text: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse_marker(text)
    assert caught.value.code == "lock-bad-marker"


@settings(max_examples=EXAMPLES, derandomize=True, deadline=None)
@given(text=st.text("()'\" andorinextra=<>!~python_version os_name3.", max_size=40))
def test_any_text_is_a_marker_for_both_or_for_none(text: str) -> None:
    try:
        parse_marker(text)
    except DocumentError:
        with pytest.raises((InvalidMarker, UndefinedEnvironmentName)):
            Marker(text)


def test_names_in_a_marker() -> None:
    marker = "sys_platform == 'x' or (extra == 'extra-3-foo-cpu' and extra != 'B_c') or 'dev' in dependency_groups"
    assert names_in(marker) == {"extra-3-foo-cpu", "b-c", "dev"}
    assert names_in("os_name == 'posix'") == frozenset()


def test_the_environment_of_an_interpreter() -> None:
    known = dict(linux("3.11.7").known)
    assert known["python_version"] == "3.11"
    assert known["python_full_version"] == known["implementation_version"] == "3.11.7"
    assert (known["sys_platform"], known["os_name"], known["platform_system"]) == ("linux", "posix", "Linux")
    assert known["platform_python_implementation"] == "CPython"
    assert "platform_release" not in known
    pypy = environment_of(Interpreter(implementation="pypy", version="3.10.14", machine="linux-aarch64"))
    assert dict(pypy.known)["platform_machine"] == "aarch64"
    assert evaluate("platform_python_implementation == 'PyPy' and implementation_name == 'pypy'", pypy) is True
    assert evaluate("implementation_version >= '7'", pypy) is None
    assert dict(environment_of(Interpreter(version="", abi="cpython-312-x86_64-linux-gnu")).known)["python_version"] == "3.12"
    assert "python_version" not in dict(environment_of(Interpreter()).known)
    assert "platform_machine" not in dict(linux(machine="i386").known)
    assert evaluate("sys_platform == 'darwin' and platform_machine == 'arm64'", linux(machine="macosx-11.0-arm64")) is True
    assert evaluate("os_name == 'nt' and platform_machine == 'AMD64'", linux(machine="win-amd64")) is True


def test_a_pre_release_of_python_as_uv_sees_it() -> None:
    found = linux("3.15.0rc1")
    assert evaluate("python_full_version >= '3.15'", found) is False
    assert evaluate("python_full_version >= '3.15'", found.released()) is True


@pytest.mark.parametrize(
    ("wanted", "version", "expected"),
    [
        (">=3.9", "3.11.7", True),
        (">=3.9,<3.11", "3.11.7", False),
        (">=3.15", "3.15.0rc1", True),
        (">=3.9", "3.9", True),
        (">=3.9.2", "3.9", None),
        (">=3.9.2 || ==3.9.*", "3.9", True),
        (">=3.12 || <3.8", "3.9", False),
        ("^3.8", "3.11.7", True),
        ("^3.8", "4.0.0", False),
        ("~3.8", "3.9.1", False),
        ("^0.2.3", "0.3.0", False),
        (">=2.7, !=3.0.*, !=3.1.*", "3.11.7", True),
        (">=3.5.*", "3.11.7", True),
        (">=3.8 <4", "3.11.7", True),
        ("*", "3.11.7", True),
        ("", "", True),
        (">=3.9", "", None),
        ("three", "3.11.7", None),
        (">=3.9,<", "3.11.7", None),
        ("~=3.9", "3.11.7", True),
        ("3.11.7", "3.11.7", True),
        ("!=3.11.*", "3.11", False),
    ],
)
def test_requires_python(wanted: str, version: str, expected: bool | None) -> None:
    assert satisfies(wanted, version) is expected
