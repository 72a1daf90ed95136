"""A shop with a wheel of some size and its sdist, and what asks for them."""

from __future__ import annotations

import hashlib
import random
from typing import TYPE_CHECKING

import pytest

from fetch.serving import Shop, open_shop
from real.index import make_wheel
from sanctity.fetch import web
from sanctity.model.artifact import Wanted
from sanctity.model.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Larger than what is read at a time, so that a transfer can break off in the middle of it.
SIZE = 700_000


@pytest.fixture(autouse=True)
def own_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy of whoever runs the tests, and no waiting between attempts."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr(web, "PAUSE", 0.0)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A true wheel, of which little can be packed."""
    data = random.Random(1).randbytes(SIZE)
    return make_wheel(tmp_path_factory.mktemp("made"), "alpha", "1.0", {"alpha/__init__.py": b"", "alpha/data.bin": data}).path


@pytest.fixture
def shop(wheel: Path) -> Iterator[Shop]:
    """A shop that has the wheel."""
    with open_shop(files={wheel.name: wheel.read_bytes()}) as opened:
        yield opened


def digest_of(data: bytes, algorithm: str = "sha256") -> Digest:
    """The digest of *data*."""
    return Digest(algorithm, hashlib.new(algorithm, data).hexdigest())


@pytest.fixture
def wanted(wheel: Path) -> Wanted:
    """The wheel, by its name and hash."""
    data = wheel.read_bytes()
    return Wanted(name="alpha", version="1.0", filename=wheel.name, digests=(digest_of(data),), size=len(data))
