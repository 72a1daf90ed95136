"""What real pips and uv leave in their caches is found there, and believed only by its hash."""

from __future__ import annotations

import io
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fetch.conftest import digest_of
from fetch.serving import Shop, open_shop
from real.tools import Workshop, interpreters
from sanctity.fetch.caches import Caches
from sanctity.fetch.errors import FetchError
from sanctity.fetch.fetcher import Fetcher
from sanctity.model.artifact import Place, Wanted
from sanctity.model.index import Indexes

if TYPE_CHECKING:
    from collections.abc import Iterator

BUILT = "beta-1.0-py3-none-any.whl"
_PROJECT = b"""
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "beta"
version = "1.0"
"""
_BACKEND = b"""
import os, zipfile
def build_wheel(folder, settings=None, metadata=None):
    info = "beta-1.0.dist-info"
    with zipfile.ZipFile(os.path.join(folder, "beta-1.0-py3-none-any.whl"), "w") as made:
        made.writestr("beta.py", "")
        made.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: beta\\nVersion: 1.0\\n")
        made.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        made.writestr(f"{info}/RECORD", f"beta.py,,\\n{info}/METADATA,,\\n{info}/WHEEL,,\\n{info}/RECORD,,\\n")
    return "beta-1.0-py3-none-any.whl"
"""


def _sdist() -> bytes:
    """An sdist that needs nothing to be built."""
    packed = io.BytesIO()
    info = b"Metadata-Version: 2.1\nName: beta\nVersion: 1.0\n"
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, data in (("PKG-INFO", info), ("pyproject.toml", _PROJECT), ("backend.py", _BACKEND)):
            member = tarfile.TarInfo(f"beta-1.0/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return packed.getvalue()


@pytest.fixture(scope="module")
def stocked(wheel: Path) -> Iterator[Shop]:
    """A shop with a wheel, and a project that comes as an sdist only."""
    with open_shop(files={wheel.name: wheel.read_bytes(), "beta-1.0.tar.gz": _sdist()}) as opened:
        yield opened


def _pip(workshop: Workshop, pip: list[str | Path], shop: Shop, folder: Path) -> Caches:
    """The cache of *pip* after it installed what the shop has; pip keeps nothing of plain http but from a trusted host."""
    env = workshop.environ(PIP_CACHE_DIR=str(folder / "cache"), PIP_CONFIG_FILE="/dev/null", PIP_NO_INDEX="0", PIP_FIND_LINKS="")
    names = ["alpha==1.0", "beta==1.0"]
    workshop.run(
        [*pip, "install", "-q", "--target", folder / "there", "-i", shop.index, "--trusted-host", "127.0.0.1", *names], env=env
    )
    return Caches(pip=str(folder / "cache"))


@pytest.fixture(scope="module")
def older_pip(workshop: Workshop, stocked: Shop, tmp_path_factory: pytest.TempPathFactory) -> Caches:
    """The cache of the pip that a Python brings along, in its older layout."""
    folder = tmp_path_factory.mktemp("older pip")
    for python in interpreters().values():
        shutil.rmtree(folder)
        workshop.run([python, "-m", "venv", folder / "env"])
        if workshop.run([folder / "env/bin/python", "-m", "pip", "--version"]).split()[1] < "23.3":
            return _pip(workshop, [folder / "env/bin/python", "-m", "pip"], stocked, folder)
    pytest.skip("no Python here brings a pip older than 23.3")


@pytest.fixture(scope="module")
def newer_pip(workshop: Workshop, stocked: Shop, tmp_path_factory: pytest.TempPathFactory) -> Caches:
    return _pip(workshop, [workshop.tool("pip")], stocked, tmp_path_factory.mktemp("newer pip"))


@pytest.fixture(scope="module")
def uv(workshop: Workshop, stocked: Shop, tmp_path_factory: pytest.TempPathFactory) -> Caches:
    folder = tmp_path_factory.mktemp("uv")
    env = workshop.environ(UV_CACHE_DIR=str(folder / "cache"), UV_NO_CONFIG="1", UV_FIND_LINKS="")
    uv = workshop.tool("uv")
    words = ["pip", "install", "-q", "--target", str(folder / "there"), "--default-index", stocked.index, "alpha==1.0", "beta==1.0"]
    workshop.run([uv, *words], env=env)
    return Caches(uv=str(folder / "cache"))


@pytest.fixture(params=[pytest.param("older_pip"), pytest.param("newer_pip", marks=pytest.mark.index)])
def pip(request: pytest.FixtureRequest) -> Caches:
    found: Caches = request.getfixturevalue(request.param)
    return found


def _copy(caches: Caches, to: Path) -> Caches:
    """A copy of *caches* that a test may spoil."""
    shutil.copytree(caches.pip, to)
    return Caches(pip=str(to))


def test_what_pip_fetched(pip: Caches, stocked: Shop, wanted: Wanted, tmp_path: Path, wheel: Path) -> None:
    """Both artifacts are found by the URL that they came from, and nobody is asked."""
    before = len(stocked.requests)
    fetcher = Fetcher(Indexes(), caches=pip, offline=True)
    found = fetcher.fetch(replace(wanted, location=stocked.at(wheel.name)), str(tmp_path / "got"))
    assert (found.place, found.source) == (Place.PIP_CACHE, stocked.at(wheel.name))
    assert (tmp_path / "got").read_bytes() == wheel.read_bytes()
    sdist = Wanted(name="beta", version="1.0", filename="beta-1.0.tar.gz", digests=(digest_of(stocked.files["beta-1.0.tar.gz"]),))
    url = stocked.at("beta-1.0.tar.gz").replace("http://", "http://user:word@")
    assert fetcher.fetch(replace(sdist, location=url), str(tmp_path / "sdist")).place is Place.PIP_CACHE
    assert (tmp_path / "sdist").read_bytes() == stocked.files["beta-1.0.tar.gz"]
    assert len(stocked.requests) == before


def test_index_tells_the_url_and_pip_has_the_file(pip: Caches, stocked: Shop, wanted: Wanted, tmp_path: Path) -> None:
    before = len(stocked.asked("/files/"))
    found = Fetcher(Indexes(urls=(stocked.index,)), caches=pip).fetch(replace(wanted, filename=""), str(tmp_path / "got"))
    assert found.place is Place.PIP_CACHE
    assert found.filename == wanted.filename
    assert len(stocked.asked("/files/")) == before


def test_spoilt_cache_is_passed_over(pip: Caches, stocked: Shop, wanted: Wanted, tmp_path: Path, wheel: Path) -> None:
    """One byte changed, or cut off in the middle: neither believed nor reported, for the cache is only a short cut."""
    data = wheel.read_bytes()
    for number in range(2):
        caches = _copy(pip, tmp_path / f"spoilt-{number}")
        spoilt = 0
        for file in Path(caches.pip).rglob("*"):
            if file.is_file() and data[5000:5100] in (old := file.read_bytes()):
                file.chmod(0o600)
                file.write_bytes(old.replace(data[5000:5100], bytes(100)) if number else old[: len(old) // 2])
                spoilt += 1
        assert spoilt == 1
        sought = replace(wanted, location=stocked.at(wheel.name))
        assert Fetcher(Indexes(), caches=caches).fetch(sought, str(tmp_path / "got")).place is Place.INDEX
        (tmp_path / "got").unlink()
        with pytest.raises(FetchError) as raised:
            Fetcher(Indexes(), caches=caches, offline=True).fetch(sought, str(tmp_path / "got"))
        assert raised.value.code == "offline"


def _of_build(caches: Caches) -> tuple[Path, Wanted]:
    """The wheel that was built, wherever the cache has it, and what asks for it."""
    (file,) = Path(caches.pip or caches.uv).rglob(BUILT)
    return file, Wanted(name="beta", version="1.0", filename=BUILT, digests=(digest_of(file.read_bytes()),))


def test_what_pip_built(pip: Caches, tmp_path: Path) -> None:
    file, sought = _of_build(pip)
    found = Fetcher(Indexes(), caches=pip, offline=True).fetch(sought, str(tmp_path / "got"))
    assert (found.place, found.source) == (Place.PIP_CACHE, str(file))
    assert (tmp_path / "got").read_bytes() == file.read_bytes()


@pytest.mark.index
def test_what_uv_built(uv: Caches, stocked: Shop, wanted: Wanted, tmp_path: Path) -> None:
    """What uv built it keeps as a file. What it fetched it keeps unpacked, which is not the file, and is not taken for it."""
    file, sought = _of_build(uv)
    fetcher = Fetcher(Indexes(), caches=uv, offline=True)
    found = fetcher.fetch(sought, str(tmp_path / "got"))
    assert (found.place, found.source) == (Place.UV_CACHE, str(file))
    assert list(Path(uv.uv).rglob("alpha/data.bin"))
    with pytest.raises(FetchError) as raised:
        fetcher.fetch(replace(wanted, location=stocked.at(wanted.filename)), str(tmp_path / "alpha"))
    assert raised.value.code == "offline"


@pytest.mark.index
def test_other_build_of_the_same_name_is_passed_over(uv: Caches, older_pip: Caches, tmp_path: Path) -> None:
    """Two builds differ in the time of day; each hash finds its own."""
    both = Caches(pip=older_pip.pip, uv=uv.uv)
    for caches in (uv, older_pip):
        file, sought = _of_build(caches)
        Fetcher(Indexes(), caches=both, offline=True).fetch(sought, str(tmp_path / "got"))
        assert (tmp_path / "got").read_bytes() == file.read_bytes()


def test_cut_older_document(tmp_path: Path) -> None:
    """What only looks like a document of pip's older cache holds no body."""
    caches = Caches(pip=str(tmp_path))
    url = "https://index.example/a.whl"
    place = Path(next(iter(caches.fetched(url))).path.replace("http-v2", "http").removesuffix(".body"))
    place.parent.mkdir(parents=True)
    for data in (b"", b"cc=4,", b"cc=4,\x82\xa8response\x87\xa4body", b"cc=4,\x82\xa4body\xd9\x03abc", b"cc=2,\xa4body\xc4\x03abc"):
        place.write_bytes(data)
        assert [kept.path for kept in caches.fetched(url) if kept.path == str(place)] == []
    place.write_bytes(b"cc=4,\x82\xa8response\x87\xa4body\xc4\x03abcdef")
    assert [(kept.start, kept.length) for kept in caches.fetched(url) if kept.path == str(place)] == [(23, 3)]


def test_places(tmp_path: Path) -> None:
    home = str(tmp_path)
    assert Caches.of({"HOME": home}) == Caches(pip=f"{home}/.cache/pip", uv=f"{home}/.cache/uv")
    assert Caches.of({"HOME": home, "XDG_CACHE_HOME": "/c"}) == Caches(pip="/c/pip", uv="/c/uv")
    assert Caches.of({"PIP_CACHE_DIR": "/p", "UV_CACHE_DIR": "/u"}) == Caches(pip="/p", uv="/u")
    assert Caches.of({"HOME": home, "PIP_NO_CACHE_DIR": "1"}).pip == ""
    assert Caches.of({}) == Caches()
