"""The table of formats: one function a format, and nothing imported for the formats that nobody asked for."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from reports import CASES, DRIFTED, LINES
from sanctity.report import FORMATS
from sanctity.report.text import comparison_text


def test_the_formats_are_the_contracts() -> None:
    assert list(FORMATS) == ["text", "json", "markdown", "sarif", "github"]
    assert FORMATS["text"](DRIFTED, "verify", lines={}) == comparison_text(DRIFTED, "verify")


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("case", CASES)
def test_every_format_draws_every_comparison_the_same_twice(name: str, case: str) -> None:
    first = FORMATS[name](CASES[case], "verify", lines=LINES, exit_code=0)
    assert first == FORMATS[name](CASES[case], "verify", lines=dict(reversed(LINES.items())), exit_code=0)
    assert first.endswith("\n")
    assert CASES[case].verdict in first.lower() or "consistent" in first.lower()


def test_the_exit_code_reaches_the_format_that_states_it() -> None:
    log = json.loads(FORMATS["sarif"](CASES["clean"], "verify", lines={}, exit_code=3))
    assert log["runs"][0]["invocations"][0]["exitCode"] == 3


def test_text_imports_no_other_format() -> None:
    code = (
        "import sys; import sanctity.report.text, sanctity.report as r; assert r.FORMATS;"
        "print(*(name for name in sys.modules if name.startswith('sanctity.') or name in {'json', 'hashlib', 'html', 'urllib.parse'}))"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "sanctity.report.text" in loaded
    assert not loaded & {
        "json",
        "hashlib",
        "html",
        "urllib.parse",
        "sanctity.report.sarif",
        "sanctity.report.markdown",
        "sanctity.lockfiles",
    }
