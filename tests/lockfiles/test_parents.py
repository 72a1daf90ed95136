"""Who needs whom in a flat lock: what pip-compile, uv and Poetry say of it, and what is left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from sanctity.lockfiles.parents import parents
from sanctity.model.lock import LockFormat

CORPUS = Path(__file__).parents[3] / "shared/corpus"

COMPILED = """\
#    uv pip compile --generate-hashes requirements.in -o requirements.txt
# via nobody: this stands above every row
annotated-types==0.7.0 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
    # via pydantic
pydantic==2.7.4 ; python_full_version >= '3.9' \\
    --hash=sha256:cc
    # via
    #   -r requirements.in
    #   -c constraints.txt
    #   Fast_API
fast-api[all]==1.0  # via demo (pyproject.toml:dev), -r more.in
six==1.16.0

# A comment that says nothing of anybody.
idna @ https://files.example/idna.zip
    # via six
colorama==0.4 ; sys_platform == 'win32'
    # via
    #   click
    #   six
"""

POETRY = """\
[[package]]
name = "Pandas"
version = "2.0"
[package.dependencies]
numpy = [{version = ">=1", markers = "python_version < '3.11'"}, {version = ">=2"}]
pyarrow = {version = ">=7", optional = true, markers = "extra == 'arrow'"}
[[package]]
name = "numpy"
version = "2.0"
[[package]]
name = "pyarrow"
version = "7.0"
"""


def test_comments_below_and_behind_rows() -> None:
    assert parents(COMPILED, LockFormat.REQUIREMENTS) == {
        "annotated-types": ("pydantic",),
        "pydantic": ("", "fast-api"),
        "fast-api": ("",),
        "idna": ("six",),
        "colorama": ("six",),  # click is no row, and who it is nobody says
    }


def test_the_project_that_an_export_of_uv_names_is_none_of_its_rows() -> None:
    text = "idna==3.7\n    # via\n    #   demo\n    #   requests\nrequests==2.0\n    # via demo\n"
    assert parents(text, LockFormat.REQUIREMENTS) == {"idna": ("", "requests"), "requests": ("",)}


def test_poetry_lists_what_each_package_needs_and_extras_are_left_out() -> None:
    assert parents(POETRY, LockFormat.POETRY) == {"numpy": ("pandas",), "pandas": ("",)}


@pytest.mark.parametrize("format_", [LockFormat.PYLOCK, LockFormat.UV])
def test_other_formats_say_nothing(format_: LockFormat) -> None:
    assert parents(COMPILED, format_) == {}


@pytest.mark.parametrize("text", ["", "[[package]]\n", "[[package", "package = 1\n", "[[package]]\nname = 1\n", "six==1\n"])
def test_what_is_not_plainly_said_is_left_out(text: str) -> None:
    assert parents(text, LockFormat.POETRY) == parents(text, LockFormat.REQUIREMENTS) == {}


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the lock-file corpus is not beside this checkout")
def test_real_files() -> None:
    compiled = parents((CORPUS / "requirements/generated__uv__1.txt").read_text("utf-8"), LockFormat.REQUIREMENTS)
    assert (len(compiled), compiled["annotated-types"]) == (64, ("pydantic",))
    poetry = parents((CORPUS / "poetry/python-poetry__poetry__1.lock").read_text("utf-8"), LockFormat.POETRY)
    assert "build" in poetry["pyproject-hooks"]
