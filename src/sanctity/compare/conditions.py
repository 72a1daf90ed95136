"""Markers as conditions that can be joined, compared and written down again, as short as they come.

A marker is text; whether two of them say the same, or what one path *or* another asks for, can not be told from text. Here a
condition is a decision diagram: each variable in turn, and what follows from each of the values that the markers of one lock tell
apart. Two conditions that hold in the same environments are one and the same number, so joining them is cheap and nothing is
ever said twice.

Versions are compared by their order, so a pre-release of Python counts as what its release is: ``python_version < '3.11' or
python_version >= '3.11'`` is always true. What has no such order (``in``, ``===``, a text that is no version) is a question of
its own. Variables are taken to be independent of each other; a condition may so be longer than it need be, and is never wrong.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from packaging.version import InvalidVersion, Version

from sanctity.compare.markers import Junction, Test, Undefined, parse_marker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from sanctity.compare.markers import Tree

__all__ = ["FALSE", "TRUE", "Condition", "Space", "quoted"]

#: A condition of one `Space`: two are equal where they hold in the same environments.
Condition: TypeAlias = int

FALSE: Final[Condition] = 0
TRUE: Final[Condition] = 1

_ORDERED: Final = frozenset({"python_full_version", "python_version"})
_SETS: Final = frozenset({"extra", "extras", "dependency_groups"})
_NEGATED: Final = {"in": "not in", "not in": "in"}
_MIRRORED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
#: The order in which a written marker names its variables; what is not here follows, by name.
_FIRST: Final = (
    "python_full_version",
    "python_version",
    "implementation_name",
    "platform_python_implementation",
    "os_name",
    "sys_platform",
    "platform_system",
    "platform_machine",
)

#: The most cells of all conditions, and the most joins of two, that are kept. The most intricate lock known has some thousands.
_MOST_CELLS: Final = 1_000_000
_MOST_JOINS: Final = 500_000

#: What a term asks of one variable: its number, and the set of its cells as bits.
_Literal: TypeAlias = "tuple[int, int]"
_Term: TypeAlias = "tuple[_Literal, ...]"


class _Cell(NamedTuple):
    """A stretch of the versions' order: one *point* where *low* and *high* are the same, else what lies strictly between them."""

    low: Version | None
    high: Version | None

    @property
    def point(self) -> bool:
        return self.low is not None and self.low == self.high


class _Versions:
    """A variable whose values have an order, cut where a marker cuts it."""

    def __init__(self, name: str, texts: Mapping[Version, str]) -> None:
        self.name = name
        self._texts = texts
        points = sorted(texts)
        cells: list[_Cell] = []
        for low, high in zip([None, *points], [*points, None], strict=True):
            if low is not None:
                cells.append(_Cell(low, low))
            if not self._adjacent(low, high):
                cells.append(_Cell(low, high))
        self._cells = cells
        self.size = len(cells)

    def _adjacent(self, low: Version | None, high: Version | None) -> bool:
        """Whether no release lies between: ``python_version`` has two numbers, ``python_full_version`` three."""
        length = 2 if self.name == "python_version" else 3
        if low is None or high is None or low.is_prerelease or high.is_prerelease or low.is_postrelease or high.is_postrelease:
            return False
        first, second = _numbers(low, length), _numbers(high, length)
        return len(first) == len(second) == length and first[:-1] == second[:-1] and first[-1] + 1 == second[-1]

    def cells(self, operator: str, version: Version) -> int:
        """The cells in which ``name operator version`` holds, as bits."""
        found = 0
        for index, (low, high) in enumerate(self._cells):
            below = high is not None and (high < version or (high == version and low != high))
            equal = low == high == version
            holds = {"<": below, "<=": below or equal, "==": equal, ">=": not below, ">": not below and not equal}[operator]
            found |= holds << index
        return found

    def written(self, cells: int) -> list[list[str]]:
        """The marker of a set of cells: any of these, of each of which all."""
        low = (cells & -cells).bit_length() - 1
        high = cells.bit_length() - 1
        holes = [index for index in range(low, high) if not cells >> index & 1]
        if all(self._cells[index].point and cells >> (index + 1) & 1 and cells >> (index - 1) & 1 for index in holes):
            missing = [self._test("!=", self._cells[index].low) for index in holes]
            return [[*self._bounds(low, high), *missing]]
        runs: list[list[str]] = []
        start = low
        for index in range(low, high + 2):
            if not cells >> index & 1:
                if index > start:
                    runs.append(self._bounds(start, index - 1))
                start = index + 1
        return runs

    def _bounds(self, first: int, last: int) -> list[str]:
        """What the cells from *first* to *last* have in common."""
        if first == last and self._cells[first].point:
            return [self._test("==", self._cells[first].low)]
        found: list[str] = []
        if first > 0:
            cell = self._cells[first]
            found.append(self._test(">=" if cell.point else ">", cell.low))
        if last < self.size - 1:
            cell = self._cells[last + 1]
            found.append(self._test("<" if cell.point else "<=", cell.low))
        return found

    def _test(self, operator: str, version: Version | None) -> str:
        assert version is not None
        return f"{self.name} {operator} {quoted(self._texts[version])}"


class _Values:
    """A variable whose values are only ever the same or not: those that are named, and any other."""

    def __init__(self, name: str, values: Iterable[str]) -> None:
        self.name = name
        self._values = sorted(values)
        self.size = len(self._values) + 1

    def cells(self, operator: str, value: str) -> int:
        only = 1 << self._values.index(value)
        return only if operator == "==" else ((1 << self.size) - 1) & ~only

    def written(self, cells: int) -> list[list[str]]:
        if cells >> (self.size - 1) & 1:
            others = [value for index, value in enumerate(self._values) if not cells >> index & 1]
            return [[f"{self.name} != {quoted(value)}" for value in others]]
        return [[f"{self.name} == {quoted(value)}"] for index, value in enumerate(self._values) if cells >> index & 1]


class _Question:
    """What is only answered yes or no, and how either is written; a question that has no opposite is never asked for it."""

    size: Final = 2

    def __init__(self, yes: str, no: str = "") -> None:
        self.name = yes
        self._texts = (no, yes)

    def written(self, cells: int) -> list[list[str]]:
        return [[self._texts[cells >> 1]]]


class Space:
    """The conditions that can be made of *markers*, and of the *extras* and *groups* that may be chosen.

    Raises:
        DocumentError: ``lock-bad-marker``.
    """

    def __init__(self, markers: Iterable[str], *, extras: Iterable[str] = (), groups: Iterable[str] = ()) -> None:
        tests = sorted({test for marker in set(markers) - {""} for test in _tests(parse_marker(marker))}, key=repr)
        points: dict[str, dict[Version, str]] = {}
        values: dict[str, set[str]] = {}
        questions: dict[str, _Question] = {}
        for test in tests:
            if isinstance(test, Test) and (ranges := _ranges(test)) is not None:
                for _, version, text in ranges:
                    known = points.setdefault(test.variable, {})
                    known[version] = min(known.get(version, text), text, key=lambda each: (len(each), each))
            elif isinstance(test, Test) and _is_plain(test):
                values.setdefault(test.variable, set()).add(test.literal)
            elif not isinstance(test, Test) or test.variable not in _SETS:
                yes, no, _ = _asked(test)
                questions[yes] = _Question(yes, no)
        order = {name: index for index, name in enumerate(_FIRST)}
        named: list[tuple[str, _Versions | _Values]] = [
            *((name, _Versions(name, texts)) for name, texts in points.items()),
            *((name, _Values(name, texts)) for name, texts in values.items()),
        ]
        named.sort(key=lambda item: (order.get(item[0], len(order)), item[0]))
        self._variables: list[_Versions | _Values | _Question] = [variable for _, variable in named]
        self._index = {variable.name: index for index, variable in enumerate(self._variables)}
        chosen = [(f"{quoted(name)} in {kind}", f"{quoted(name)} not in {kind}") for kind, name in _choices(extras, groups)]
        for yes, question in (*sorted(questions.items()), *((yes, _Question(yes, no)) for yes, no in chosen)):
            self._index[yes] = len(self._variables)
            self._variables.append(question)
        self._nodes: list[tuple[int, tuple[int, ...]]] = [(len(self._variables), ()), (len(self._variables), ())]
        self._known: dict[tuple[int, tuple[int, ...]], int] = {}
        self._room = _MOST_CELLS
        self._joined: dict[tuple[bool, int, int], int] = {}
        self._opposites: dict[int, int] = {FALSE: TRUE, TRUE: FALSE}
        self._covers: dict[tuple[int, int], tuple[tuple[_Term, int], ...]] = {}

    # --- making conditions ---

    def extra_chosen(self, name: str) -> Condition:
        """That the extra *name* was chosen."""
        return self._literal(self._index[f"{quoted(name)} in extras"], 2)

    def group_chosen(self, name: str) -> Condition:
        """That the dependency group *name* was chosen."""
        return self._literal(self._index[f"{quoted(name)} in dependency_groups"], 2)

    def of(self, marker: str, chosen: Callable[[str, str], Condition]) -> Condition:
        """The condition of *marker*; *chosen* says when the name, of ``extra``, ``extras`` or ``dependency_groups``, is active.

        Raises:
            ValueError: it asks of extras or groups what has no meaning.
            OverflowError: there are too many conditions.
        """
        return self._of_tree(parse_marker(marker), chosen) if marker else TRUE

    def _of_tree(self, tree: Tree, chosen: Callable[[str, str], Condition]) -> Condition:
        if isinstance(tree, Junction):
            parts = [self._of_tree(term, chosen) for term in tree.terms]
            return reduce(self.both if tree.operator == "and" else self.either, parts)
        if isinstance(tree, Undefined) or (tree.variable not in _SETS and not _is_plain(tree) and _ranges(tree) is None):
            yes, _, holds = _asked(tree)
            return self._literal(self._index[yes], 2 if holds else 1)
        if tree.variable in _SETS:
            answers = {"==": True, "===": True, "!=": False} if tree.variable == "extra" else {"in": True, "not in": False}
            if tree.operator not in answers or (tree.variable != "extra" and not tree.reversed):
                raise ValueError(f"{tree.variable} can not be asked with {tree.operator}")
            active = chosen(tree.variable, tree.literal)
            return active if answers[tree.operator] else self.opposite(active)
        index = self._index[tree.variable]
        variable = self._variables[index]
        if isinstance(variable, _Values):
            return self._literal(index, variable.cells(tree.operator, tree.literal))
        assert isinstance(variable, _Versions)
        cells = (1 << variable.size) - 1
        for operator, version, _ in _ranges(tree) or ():
            cells &= variable.cells(operator, version)
        if tree.operator == "!=":
            cells = ((1 << variable.size) - 1) & ~cells
        return self._literal(index, cells)

    def _literal(self, index: int, cells: int) -> Condition:
        return self._node(index, tuple(cells >> cell & 1 for cell in range(self._variables[index].size)))

    def _node(self, index: int, children: tuple[int, ...]) -> Condition:
        first = children[0]
        if children.count(first) == len(children):
            return first
        key = (index, children)
        node = self._known.get(key)
        if node is None:
            self._room -= len(children)
            if self._room < 0:
                raise OverflowError("too many conditions")
            node = self._known[key] = len(self._nodes)
            self._nodes.append(key)
        return node

    def both(self, one: Condition, other: Condition) -> Condition:
        """That both hold."""
        return self._join(one, other, stop=FALSE)

    def either(self, one: Condition, other: Condition) -> Condition:
        """That at least one of them holds."""
        return self._join(one, other, stop=TRUE)

    def opposite(self, condition: Condition) -> Condition:
        """That it does not hold."""
        known = self._opposites.get(condition)
        if known is None:
            index, children = self._nodes[condition]
            known = self._opposites[condition] = self._node(index, tuple(map(self.opposite, children)))
        return known

    def _join(self, one: Condition, other: Condition, *, stop: Condition) -> Condition:
        if one == other or other == 1 - stop:
            return one
        if one == 1 - stop:
            return other
        if stop in (one, other):
            return stop
        key = (bool(stop), min(one, other), max(one, other))
        known = self._joined.get(key)
        if known is None:
            if len(self._joined) >= _MOST_JOINS:
                raise OverflowError("too many joins of conditions")
            index = min(self._nodes[one][0], self._nodes[other][0])
            pairs = zip(self._children(one, index), self._children(other, index), strict=True)
            known = self._node(index, tuple([self._join(left, right, stop=stop) for left, right in pairs]))
            self._joined[key] = known
        return known

    def _children(self, condition: Condition, index: int) -> tuple[int, ...]:
        """What follows from each cell of the variable *index*."""
        own, children = self._nodes[condition]
        return children if own == index else (condition,) * self._variables[index].size

    # --- writing them down ---

    def written(self, condition: Condition, *, given: Condition = TRUE) -> str:
        """The marker of *condition*; empty where it always holds. Where *given* does not, it may say anything.

        Raises:
            ValueError: it never holds, which no marker says.
            OverflowError: there are too many conditions.
        """
        least = self.both(condition, given)
        if least == FALSE:
            raise ValueError("a condition that never holds has no marker")
        terms = sorted({term for term, _ in self._cover(least, self.either(condition, self.opposite(given)))})
        common = [literal for literal in terms[0] if all(literal in term for term in terms)] if len(terms) > 1 else []
        rest = [tuple(literal for literal in term if literal not in common) for term in terms]
        text = self._any_of(rest, alone=not common)
        return f"{self._term(tuple(common), alone=False)} and ({text})" if common else text

    def _any_of(self, terms: list[_Term], *, alone: bool) -> str:
        """Any of *terms*; those that ask the same of Python and platform say so once, before what they ask of the choices."""
        groups: dict[_Term, list[_Term]] = {}
        for term in terms:
            split = sum(not isinstance(self._variables[index], _Question) for index, _ in term)
            groups.setdefault(term[:split], []).append(term[split:])
        parts: list[str] = []
        for first, seconds in groups.items():
            if first and len(seconds) > 1:
                inner = " or ".join(self._term(second, alone=False) for second in seconds)
                parts.append(f"{self._term(first, alone=False)} and ({inner})")
            else:
                parts += [self._term((*first, *second), alone=alone and len(terms) == 1) for second in seconds]
        return " or ".join(parts)

    def _term(self, term: _Term, *, alone: bool) -> str:
        parts: list[str] = []
        for index, cells in term:
            any_of = self._variables[index].written(cells)
            text = " or ".join(" and ".join(all_of) for all_of in any_of)
            parts.append(f"({text})" if len(any_of) > 1 and not (alone and len(term) == 1) else text)
        return " and ".join(parts)

    def _cover(self, least: Condition, most: Condition) -> tuple[tuple[_Term, Condition], ...]:
        """Terms, each with its condition, that together hold wherever *least* does and nowhere that *most* does not.

        After Minato and Morreale: first what does not depend on the topmost variable, then, a cell at a time, what is left, each
        term widened to every cell that allows it. So no term can be widened further, and few are there to no end.
        """
        if least == FALSE:
            return ()
        if most == TRUE:
            return (((), TRUE),)
        key = (least, most)
        known = self._covers.get(key)
        if known is not None:
            return known
        index = min(self._nodes[least][0], self._nodes[most][0])
        lower, upper = self._children(least, index), self._children(most, index)
        always = reduce(self.both, upper)
        found = list(self._cover(self.both(reduce(self.either, lower), always), always))
        covered = reduce(self.either, (condition for _, condition in found), FALSE)
        left = [self._without(one, covered) for one in lower]
        for cell, top in enumerate(upper):
            for term, condition in self._cover(left[cell], top):
                cells = 0
                for other, its_top in enumerate(upper):
                    if self._without(condition, its_top) == FALSE:
                        cells |= 1 << other
                        left[other] = self._without(left[other], condition)
                found.append((((index, cells), *term), self.both(self._literal(index, cells), condition)))
        self._covers[key] = tuple(found)
        return self._covers[key]

    def _without(self, one: Condition, other: Condition) -> Condition:
        return self.both(one, self.opposite(other))


def _choices(extras: Iterable[str], groups: Iterable[str]) -> Iterator[tuple[str, str]]:
    yield from (("extras", name) for name in sorted(set(extras)))
    yield from (("dependency_groups", name) for name in sorted(set(groups)))


def _tests(tree: Tree) -> Iterator[Test | Undefined]:
    if isinstance(tree, Junction):
        for term in tree.terms:
            yield from _tests(term)
    else:
        yield tree


def _is_plain(test: Test) -> bool:
    """Whether it asks only if a text is another one."""
    return test.operator in {"==", "!="} and test.variable not in _SETS and test.variable not in _VERSION_LIKE


#: Variables that may hold a version, of which it is not known how their values compare.
_VERSION_LIKE: Final = _ORDERED | {"implementation_version", "platform_release"}


def _ranges(test: Test) -> tuple[tuple[str, Version, str], ...] | None:
    """The comparisons that all hold where *test* does (for ``!=``: where it does not); None where no order is asked for."""
    if test.variable not in _ORDERED:
        return None
    operator = test.operator
    if test.reversed:
        if operator not in _MIRRORED:
            return None
        operator = _MIRRORED[operator]
    text = test.literal.strip()
    wild = text.endswith(".*") and operator in {"==", "!="} and not test.reversed
    try:
        version = Version(text.removesuffix(".*") if wild else text)
    except InvalidVersion:
        return None
    if version.local is not None or version.epoch:
        return None
    if wild:
        return _within(version, str(version), len(version.release))
    if operator == "~=":
        return _within(version, text, len(version.release) - 1) if len(version.release) > 1 else None
    return (("==" if operator == "!=" else operator, version, text),) if operator in _MIRRORED else None


def _within(version: Version, text: str, length: int) -> tuple[tuple[str, Version, str], ...]:
    """From *version* up to the next release that differs in its first *length* numbers."""
    end = list(version.release[:length])
    end[-1] += 1
    limit = ".".join(map(str, end))
    return ((">=", version, text), ("<", Version(limit), limit))


def _numbers(version: Version, length: int) -> tuple[int, ...]:
    """Its release as *length* numbers, or as many as it has where they are more."""
    return version.release + (0,) * (length - len(version.release))


def _asked(test: Test | Undefined) -> tuple[str, str, bool]:
    """How a question of its own is written, how its opposite is (or empty), and whether *test* is the question itself."""
    if isinstance(test, Undefined):
        return test.text, "", True
    opposite = _NEGATED.get(test.operator, "")
    asked = "in" if opposite else test.operator

    def written(operator: str) -> str:
        left, right = test.variable, quoted(test.literal)
        return f"{right} {operator} {left}" if test.reversed else f"{left} {operator} {right}"

    return written(asked), written("not in") if opposite else "", test.operator == asked


def quoted(text: str) -> str:
    """*text* as a marker writes it: Python's own quoting, without the other quote inside."""
    plain = "".join(char if char.isprintable() and char not in "\\'" else _escaped(char) for char in text)
    return f"'{plain}'"


def _escaped(char: str) -> str:
    code = ord(char)
    return (
        "\\\\" if char == "\\" else f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
    )
