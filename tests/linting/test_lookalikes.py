"""Names that look like other names: what slips of a finger and forgers write, and what real projects are called."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from factories import a_lock, a_pin
from sanctity.linting.names import is_beside
from sanctity.linting.popular import POPULAR, REAL
from sanctity.linting.rules import judge
from sanctity.linting.subject import Subject
from sanctity.model.lock import Ecosystem

REAL_TOO = Path(__file__).parents[1] / "real"


def _told(*names: str) -> list[tuple[str, str]]:
    lock = a_lock(*(a_pin(name) for name in names), requires_python=">=3.9")
    return [(each.package, each.message) for each in judge(Subject(lock=lock)) if each.code == "name-lookalike"]


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("reqeusts", "requests"),
        ("requets", "requests"),
        ("request", "requests"),
        ("requestss", "requests"),
        ("djago", "django"),
        ("urlib3", "urllib3"),
        ("colourama", "colorama"),
        ("python3-dateutil", "python-dateutil"),
        ("jeilyfish", "jellyfish"),
        ("matplotllb", "matplotlib"),
        ("tensorfl0w", "tensorflow"),
        ("crytography", "cryptography"),
        ("setup-tools", "setuptools"),
        ("scikitlearn", "scikit-learn"),
        ("rnarkdown", "markdown"),
        ("pyymal", "pyyaml"),
        ("flaks", "flask"),
    ],
)
def test_names_that_forgers_took(name: str, other: str) -> None:
    ((package, message),) = _told(name, "iniconfig")
    assert package == name
    assert other in message


@pytest.mark.parametrize(
    "name",
    [
        "jeepney",
        "python-dateutil",
        "types-requests",
        "requests-cache",
        "tomlkit",
        "psycopg3",
        "opencv-python-headless",
        "nvidia-cublas-cu13",
        "pydantic-settings",
        "flask-cors",
        "nose2",
        "moto",
        "motor",
        "h2",
        "boto",
        "markdown2",
        "attr",
        "langchain-community",
        "scapy",
        "authlib",
    ],
)
def test_real_names_beside_them(name: str) -> None:
    assert _told(name, "iniconfig") == []


def test_two_names_of_one_lock() -> None:
    ((package, message),) = _told("acme-billing", "acme-billling")
    assert package == "acme-billling"
    assert "acme-billing is, which is in the same lock" in message
    assert _told("acme-providers-ftp", "acme-providers-sftp") == []
    assert _told("acme-client1", "acme-client2") == []


def test_conda_names_are_not_looked_at() -> None:
    lock = a_lock(a_pin("reqeusts", ecosystem=Ecosystem.CONDA), requires_python=">=3.9")
    assert [each.code for each in judge(Subject(lock=lock)) if each.code == "name-lookalike"] == []


def test_names_that_are_installed_together_every_day() -> None:
    """Two long lists of real projects, and each popular name beside all others."""
    text = "".join((REAL_TOO / f"{name}.txt").read_text() for name in ("popular-200", "wheels-72"))
    names = set(re.findall(r"^([a-z0-9][a-z0-9-]*)==", text, re.MULTILINE))
    assert len(names) > 200
    assert _told(*sorted(names | POPULAR)) == []


def test_the_lists_hold_what_they_say() -> None:
    assert not POPULAR & REAL
    for name in REAL:
        assert any(is_beside(name, other) for other in POPULAR | REAL), f"{name} needs no place in the list"
