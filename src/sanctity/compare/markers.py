"""Environment markers (PEP 508, PEP 751), evaluated for the environment looked at and never for our own Python.

The answer is three-valued: some variables, such as ``platform_release``, can not be known without running the environment,
and an interpreter's micro version is not always known. A marker that hangs on what is unknown is None, which is neither
True nor False: ``unknown or True`` is True, ``unknown and False`` is False (Kleene's logic).

Values compare as the PyPA's dependency specifiers say, and as `packaging` does: the version-valued variables as versions
where the other side makes a version specifier, anything else as strings. ``extra`` is compared with the *set* of active
extras, so that ``extra != 'x'`` says that x is not active; that is also how uv's conflict markers are meant
(``extra == 'extra-3-foo-cpu'``, ``extra == 'group-3-foo-dev'``).
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

from packaging.specifiers import Specifier
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from sanctity.errors import DocumentError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sanctity.model.environment import Interpreter

__all__ = [
    "Junction",
    "MarkerEnvironment",
    "Test",
    "Tree",
    "Undefined",
    "all_of",
    "any_of",
    "environment_of",
    "evaluate",
    "names_in",
    "parse_marker",
    "satisfies",
]

#: The variables whose values are versions.
_VERSIONED: Final = frozenset({"python_version", "python_full_version", "implementation_version", "platform_release"})

#: The variables that hold a set of names.
_SETS: Final = frozenset({"extra", "extras", "dependency_groups"})

_VARIABLES: Final = (
    _VERSIONED
    | _SETS
    | {
        "os_name",
        "sys_platform",
        "platform_machine",
        "platform_system",
        "platform_version",
        "platform_python_implementation",
        "implementation_name",
    }
)

#: Names from before PEP 508 that are still written.
_ALIASES: Final = {
    "os.name": "os_name",
    "sys.platform": "sys_platform",
    "platform.version": "platform_version",
    "platform.machine": "platform_machine",
    "platform.python_implementation": "platform_python_implementation",
    "python_implementation": "platform_python_implementation",
}

_TOKEN: Final = re.compile(
    r"""[ \t\r\n]*(?:
        (?P<text>'[^']*'|"[^"]*")
      | (?P<bracket>[()])
      | (?P<operator>===|==|~=|!=|<=|>=|<|>|(?:not[ \t]+)?in\b)
      | (?P<word>[A-Za-z_][A-Za-z0-9_.]*)
      | (?P<end>\Z)
    )""",
    re.VERBOSE,
)

#: How deep brackets may be nested. No tool writes more than three levels.
_DEEPEST: Final = 50

_MIRRORED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}

#: A number that no release's minor or micro version reaches.
_BEYOND: Final = 10**6


class Test(NamedTuple):
    """``variable operator literal``, or the other way around where *reversed*."""

    variable: str
    operator: str
    literal: str
    reversed: bool


class Undefined(NamedTuple):
    """A comparison that the specification gives no meaning: of two literals, or of two variables."""

    text: str


class Junction(NamedTuple):
    """All (``and``) or any (``or``) of *terms*."""

    operator: Literal["and", "or"]
    terms: tuple[Tree, ...]


Tree: TypeAlias = Test | Undefined | Junction


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkerEnvironment:
    """What is known of an environment: *known* pairs of marker variable and value, sorted by variable.

    A variable that is not there is unknown. The version of a variable named in *partial* is known to its minor only: ``3.9``
    stands for any release 3.9.N (a pre-release would have been known exactly).
    """

    known: tuple[tuple[str, str], ...]
    partial: frozenset[str] = frozenset()

    def released(self) -> MarkerEnvironment:
        """The same, where a pre-release of Python counts as its release, as uv has it when it reads its own lock."""
        return MarkerEnvironment(
            known=tuple((name, _release(value) if name == "python_full_version" else value) for name, value in self.known),
            partial=self.partial,
        )

    @property
    def python(self) -> str:
        """The interpreter's version as far as it is known, else empty."""
        return dict(self.known).get("python_full_version", "")


def all_of(values: Iterable[bool | None]) -> bool | None:
    """Kleene's ``and``: False where any is False, else None where any is None, else True."""
    unknown = False
    for value in values:
        if value is False:
            return False
        unknown = unknown or value is None
    return None if unknown else True


def any_of(values: Iterable[bool | None]) -> bool | None:
    """Kleene's ``or``: True where any is True, else None where any is None, else False."""
    unknown = False
    for value in values:
        if value is True:
            return True
        unknown = unknown or value is None
    return None if unknown else False


def environment_of(interpreter: Interpreter) -> MarkerEnvironment:
    """What an interpreter's own bytes say of the environment it makes: Linux, unless *machine* names another system.

    ``platform_release`` and ``platform_version`` are the running kernel's and so never known. A 32-bit interpreter does not
    know its ``platform_machine``, which is the kernel's.
    """
    known: dict[str, str] = {}
    partial: set[str] = set()
    version = interpreter.version
    if not version and (match := re.search(r"(?:cpython-|pypy|py)(\d)(\d+)", interpreter.abi)):
        version = f"{match[1]}.{match[2]}"
    numbers = _version(version)
    pypy = interpreter.implementation.lower() == "pypy"
    known["implementation_name"] = "pypy" if pypy else interpreter.implementation.lower()
    known["platform_python_implementation"] = {"cpython": "CPython", "pypy": "PyPy"}.get(
        known["implementation_name"], interpreter.implementation
    )
    if numbers is not None and len(numbers.release) >= 2:
        known["python_version"] = f"{numbers.major}.{numbers.minor}"
        known["python_full_version"] = version
        if not pypy:  # PyPy's own version is another number
            known["implementation_version"] = version
        if len(numbers.release) == 2:
            partial.update(("python_full_version", "implementation_version") if not pypy else ("python_full_version",))
    system, machine = _system(interpreter.machine)
    known["os_name"] = "nt" if system == "win32" else "posix"
    known["sys_platform"] = system
    known["platform_system"] = {"linux": "Linux", "darwin": "Darwin", "win32": "Windows"}[system]
    if machine:
        known["platform_machine"] = machine
    return MarkerEnvironment(known=tuple(sorted(known.items())), partial=frozenset(partial))


def _system(text: str) -> tuple[str, str]:
    """``sys_platform`` and ``platform_machine`` (empty where unknown) of *text*, such as ``x86_64`` or ``linux-x86_64``."""
    lowered = text.lower().replace("x86-64", "x86_64")
    system, machine = "linux", lowered
    for prefix, named in (("linux", "linux"), ("darwin", "darwin"), ("macosx", "darwin"), ("win", "win32")):
        if lowered.startswith(prefix):
            system, machine = named, lowered.rpartition("-")[2] if "-" in lowered else ""
            break
    alike = {
        "linux": {"amd64": "x86_64", "arm64": "aarch64"},
        "darwin": {"aarch64": "arm64", "amd64": "x86_64"},
        "win32": {"amd64": "AMD64", "x86_64": "AMD64", "arm64": "ARM64", "aarch64": "ARM64"},
    }[system]
    machine = alike.get(machine, machine)
    certain = {"x86_64", "aarch64", "arm64", "AMD64", "ARM64", "ppc64le", "ppc64", "s390x", "riscv64", "loongarch64"}
    return system, machine if machine in certain else ""


def evaluate(
    marker: str,
    environment: MarkerEnvironment,
    *,
    extras: frozenset[str] = frozenset(),
    groups: frozenset[str] = frozenset(),
) -> bool | None:
    """Whether *marker* holds in *environment*; None where that can not be known. An empty marker always holds.

    *extras* and *groups* are the active ones, normalised (PEP 503).

    Raises:
        DocumentError: ``lock-bad-marker``, it is no marker.
    """
    return _evaluate(marker, environment, extras, groups) if marker else True


@lru_cache(maxsize=1 << 16)
def _evaluate(marker: str, environment: MarkerEnvironment, extras: frozenset[str], groups: frozenset[str]) -> bool | None:
    return _holds(parse_marker(marker), dict(environment.known), environment.partial, extras, groups)


def _holds(
    tree: Tree, known: dict[str, str], partial: frozenset[str], extras: frozenset[str], groups: frozenset[str]
) -> bool | None:
    if isinstance(tree, Junction):
        junction = all_of if tree.operator == "and" else any_of
        return junction(_holds(term, known, partial, extras, groups) for term in tree.terms)
    if isinstance(tree, Undefined):
        return None
    if tree.variable in _SETS:
        return _among(tree, groups if tree.variable == "dependency_groups" else extras)
    value = known.get(tree.variable)
    if value is None:
        return None
    if tree.variable in partial:
        return _holds_for_all(tree, value)
    if tree.reversed:
        return _compare(tree.literal, tree.operator, value, versioned=tree.variable in _VERSIONED)
    return _compare(value, tree.operator, tree.literal, versioned=tree.variable in _VERSIONED)


def _among(test: Test, active: frozenset[str]) -> bool | None:
    """A test of ``extra``, ``extras`` or ``dependency_groups``, whose literal is normalised."""
    if test.variable == "extra":
        if test.operator in {"==", "==="}:
            return test.literal in active
        if test.operator == "!=":
            return test.literal not in active
        return None
    if test.reversed and test.operator in {"in", "not in"}:
        return (test.literal in active) is (test.operator == "in")
    return None


def _compare(left: str, operator: str, right: str, *, versioned: bool) -> bool | None:
    """``left operator right``, where *versioned* as versions if *right* makes a specifier and *left* is a version."""
    if versioned:
        specifier = _specifier(operator + right)
        if specifier is not None:
            try:
                return specifier.contains(left, prereleases=True)
            except InvalidVersion:
                return None
    match operator:
        case "in":
            return left in right
        case "not in":
            return left not in right
        case "==" | "<=" | ">=":
            return left == right
        case "!=":
            return left != right
        case "<" | ">":  # strings have no order
            return False
        case _:
            return None


def _holds_for_all(test: Test, prefix: str) -> bool | None:
    """A test of a version known to its minor only: decided where it is the same for every release it may be."""
    if test.operator in {"in", "not in"}:
        if test.reversed:  # 'x' in python_full_version
            return (test.operator == "in") if test.literal in f"{prefix}." else None
        return (test.operator == "not in") if f"{prefix}." not in test.literal else None
    operator = test.operator
    if test.reversed:
        mirrored = _MIRRORED.get(operator)
        if mirrored is None or test.literal.endswith(".*"):
            return None
        operator = mirrored
    answers = {_compare(version, operator, test.literal, versioned=True) for version in _releases(prefix, test.literal)}
    return answers.pop() if len(answers) == 1 else None


def _releases(prefix: str, literal: str) -> tuple[str, ...]:
    """Releases that begin with *prefix*, enough of them that a comparison with *literal* which they agree on holds for all.

    Such a comparison can only change its answer beside a component of the literal.
    """
    given = prefix.split(".")
    numbers = [int(number) for number in re.findall(r"\d{1,6}", literal)]
    beside = sorted({0, _BEYOND, *(max(0, number + step) for number in numbers[:4] for step in (-1, 0, 1))})
    return tuple(".".join((*given, *map(str, rest))) for rest in product(beside, repeat=3 - len(given)))


@lru_cache(maxsize=4096)
def _specifier(text: str) -> Specifier | None:
    try:
        return Specifier(text)
    except ValueError:  # not one, or a number with more digits than Python reads
        return None


def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None


def _release(version: str) -> str:
    """*version* without a pre-release, post-release or local part."""
    parsed = _version(version)
    return version if parsed is None else parsed.base_version


def names_in(marker: str) -> frozenset[str]:
    """The normalised names of extras and groups that *marker* asks for.

    Raises:
        DocumentError: ``lock-bad-marker``, it is no marker.
    """
    if "extra" not in marker and "dependency_groups" not in marker:
        return frozenset()
    return _names(parse_marker(marker))


def _names(tree: Tree) -> frozenset[str]:
    if isinstance(tree, Junction):
        return frozenset[str]().union(*map(_names, tree.terms))
    if isinstance(tree, Test) and tree.variable in _SETS:
        return frozenset({tree.literal})
    return frozenset()


@lru_cache(maxsize=1 << 14)
def parse_marker(marker: str) -> Tree:
    """The tree that *marker* is written as.

    Raises:
        DocumentError: ``lock-bad-marker``, it is no marker.
    """
    return _Parser(marker).parse()


class _Parser:
    """One marker's tokens, read from left to right by the grammar of PEP 508 (``and`` binds tighter than ``or``)."""

    __slots__ = ("_kind", "_lexeme", "_position", "_start", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self._start = 0
        self._kind = ""
        self._lexeme = ""
        self._advance()

    def parse(self) -> Tree:
        tree = self._junction("or", 0)
        if self._kind != "end":
            raise self._fault("expected the end, 'and' or 'or'")
        return tree

    def _junction(self, operator: Literal["and", "or"], depth: int) -> Tree:
        terms: list[Tree] = []
        while True:
            terms.append(self._junction("and", depth) if operator == "or" else self._term(depth))
            if self._lexeme != operator or self._kind != "word":
                return terms[0] if len(terms) == 1 else Junction(operator, tuple(terms))
            self._advance()

    def _term(self, depth: int) -> Tree:
        if self._lexeme != "(":
            return self._test()
        if depth == _DEEPEST:
            raise self._fault("the brackets are nested too deeply")
        self._advance()
        tree = self._junction("or", depth + 1)
        if self._lexeme != ")":
            raise self._fault("expected a closing bracket")
        self._advance()
        return tree

    def _test(self) -> Tree:
        start = self._start
        left, left_named = self._operand()
        if self._kind != "operator":
            raise self._fault("expected a comparison")
        operator = "not in" if self._lexeme.startswith("not") else self._lexeme
        self._advance()
        right, right_named = self._operand()
        if left_named == right_named:
            return Undefined(self._text[start : self._start].strip())
        variable, literal = (left, right) if left_named else (right, left)
        if variable in _SETS:
            literal = str(canonicalize_name(literal))
        return Test(variable, operator, literal, right_named)

    def _operand(self) -> tuple[str, bool]:
        """A variable's name or a literal's value, and whether it is a variable."""
        kind, lexeme = self._kind, self._lexeme
        if kind == "text":
            try:
                # A quoted text is Python's; its escapes are too.
                value = str(ast.literal_eval(lexeme)) if "\\" in lexeme else lexeme[1:-1]
            except (SyntaxError, ValueError):
                raise self._fault("this text has a broken escape") from None
            self._advance()
            return value, False
        name = _ALIASES.get(lexeme, lexeme)
        if kind != "word" or name not in _VARIABLES:
            raise self._fault("expected a marker variable or a quoted text")
        self._advance()
        return name, True

    def _advance(self) -> None:
        match = _TOKEN.match(self._text, self._position)
        if match is None:
            self._start = self._position
            raise self._fault("this can not be read")
        self._kind = match.lastgroup or ""
        self._lexeme = match[self._kind]
        self._start = match.start(self._kind)
        self._position = match.end()

    def _fault(self, what: str) -> DocumentError:
        return DocumentError(
            "lock-bad-marker",
            f"{self._text[:80]!r} is not an environment marker: {what} at character {self._start + 1}",
            hint="lock again with the tool that wrote this file",
        )


#: One clause of a version requirement, as PEP 440 and Poetry write it.
_CLAUSE: Final = re.compile(r"(~=|===|==|!=|<=|>=|<|>|\^|~|=)?\s*([^\s,|<>=!~^]+)")


@lru_cache(maxsize=4096)
def satisfies(requires_python: str, version: str) -> bool | None:
    """Whether the interpreter *version* is one that *requires_python* asks for; None where that can not be known.

    *requires_python* may hold alternatives, joined by ``||``, Poetry's ``^3.8`` and ``~3.8``, and the ``>=3.5.*`` of old
    packages. Pre-releases count as their release, as they do for pip and uv. A *version* of two components, such as
    ``3.9``, is any 3.9.N.
    """
    requires_python = " ".join(requires_python.split())  # a run of blanks would be looked through from each of its places
    if not requires_python:
        return True
    parsed = _version(version)
    if parsed is None:
        return None
    return any_of(_satisfies_all(clauses, parsed) for clauses in re.split(r"\|\|?", requires_python))


def _satisfies_all(clauses: str, version: Version) -> bool | None:
    if not clauses.strip() or _CLAUSE.sub("", clauses).strip(" \t,"):
        return None
    return all_of(_satisfies_one(operator, wanted, version) for operator, wanted in _CLAUSE.findall(clauses))


def _satisfies_one(operator: str, wanted: str, version: Version) -> bool | None:
    if wanted == "*":
        return True
    if operator in {"^", "~"}:
        return _satisfies_poetry(operator, wanted, version)
    if operator not in {"==", "!=", "===", "", "="}:
        wanted = wanted.removesuffix(".*")
    text = f"{operator if operator not in {'', '='} else '=='}{wanted}"
    specifier = _specifier(text)
    if specifier is None:
        return None
    if len(version.release) >= 3:
        return specifier.contains(version.base_version, prereleases=True)
    answers = {specifier.contains(release, prereleases=True) for release in _releases(version.base_version, wanted)}
    return answers.pop() if len(answers) == 1 else None


def _satisfies_poetry(operator: str, wanted: str, version: Version) -> bool | None:
    """Poetry's caret (up to the next change of the first number that is not zero) and tilde (of the second)."""
    least = _version(wanted.removesuffix(".*"))
    if least is None:
        return None
    numbers = list(least.release)
    if operator == "~":
        kept = min(len(numbers), 2)
    else:
        kept = next((index + 1 for index, number in enumerate(numbers) if number), len(numbers))
    numbers = numbers[:kept]
    numbers[-1] += 1
    return all_of((_satisfies_one(">=", str(least), version), _satisfies_one("<", ".".join(map(str, numbers)), version)))
