"""No trap of seeding and no fixture that can be shown here is without its test: the tests have them in their names."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent
#: Where what no seed decides is shown by proving.
VARIATION = HERE.parent / "variation"
PAGE = HERE.parents[1] / "docs" / "seeding-compared.md"

#: The traps, and the fixtures that a CPU can reproduce; the numbers are those of the page.
TRAPS = {f"t{number:02}" for number in range(1, 20)}
FIXTURES = {f"f{number:02}" for number in (*range(1, 19), *range(20, 28), 30, 31)}


def in_names() -> set[str]:
    """The numbers that the names of tests hold."""
    found: set[str] = set()
    for path in (*HERE.glob("test_*.py"), *VARIATION.glob("test_*.py")):
        for name in re.findall(r"^def (test_\w+)", path.read_text("utf-8"), re.MULTILINE):
            found |= set(re.findall(r"(?<=_)([tf]\d\d)(?=_)", name))
    return found


def test_each_has_a_test() -> None:
    assert not (TRAPS | FIXTURES) - in_names()


def test_the_page_lists_each() -> None:
    listed = {number.lower() for number in re.findall(r"^\| ([TF]\d\d) \|", PAGE.read_text("utf-8"), re.MULTILINE)}
    assert listed == TRAPS | FIXTURES
