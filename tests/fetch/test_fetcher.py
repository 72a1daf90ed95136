"""Which place an artifact is taken from, and what is said where none has it."""

from __future__ import annotations

import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fetch import serving
from fetch.conftest import digest_of
from fetch.serving import Shop, open_shop
from real.tools import HERE
from sanctity.fetch.errors import FetchError
from sanctity.fetch.fetcher import Fetcher
from sanctity.model.artifact import Place, Wanted
from sanctity.model.digest import Digest
from sanctity.model.index import Indexes
from sanctity.observe.indexes import ask_default, read_indexes

if TYPE_CHECKING:
    from pathlib import Path

    from real.tools import Workshop

ZEROS = Digest("sha256", "0" * 64)


def _fetcher(*urls: str, offline: bool = False, links: tuple[str, ...] = ()) -> Fetcher:
    return Fetcher(Indexes(urls=urls, links=links, complete=True), offline=offline)


def _code(fetcher: Fetcher, wanted: Wanted, to: Path) -> str:
    with pytest.raises(FetchError) as raised:
        fetcher.fetch(wanted, str(to))
    assert not to.exists()
    assert raised.value.hint
    return raised.value.code


@pytest.mark.parametrize("html", [True, False], ids=["HTML", "JSON"])
@pytest.mark.parametrize("known", ["name and hash", "hash alone"])
def test_from_an_index(shop: Shop, wanted: Wanted, tmp_path: Path, wheel: Path, known: str, html: bool) -> None:
    shop.html_only = html
    sought = wanted if known == "name and hash" else replace(wanted, filename="", size=None)
    found = _fetcher(shop.index).fetch(sought, str(tmp_path / "got"))
    assert (found.place, found.source, found.filename) == (Place.INDEX, shop.at(wheel.name), wheel.name)
    assert found.sha256 == wanted.sha256
    assert (tmp_path / "got").read_bytes() == wheel.read_bytes()


def test_locks_own_url_needs_no_index(shop: Shop, wanted: Wanted, tmp_path: Path) -> None:
    found = _fetcher().fetch(replace(wanted, location=shop.at(wanted.filename)), str(tmp_path / "got"))
    assert found.place is Place.INDEX
    assert not shop.asked("/simple/")


def test_index_is_asked_where_the_locks_own_url_leads_nowhere(shop: Shop, wanted: Wanted, tmp_path: Path) -> None:
    found = _fetcher(shop.index).fetch(replace(wanted, location=shop.at("moved-away")), str(tmp_path / "got"))
    assert found.source == shop.at(wanted.filename)


def test_index_that_the_lock_names_is_asked_first(shop: Shop, wanted: Wanted, tmp_path: Path) -> None:
    with open_shop(files=dict(shop.files)) as second:
        found = _fetcher(shop.index).fetch(replace(wanted, index=f"{second.index}/"), str(tmp_path / "got"))
        assert found.source == second.at(wanted.filename)
        assert not shop.requests


def test_next_index_is_asked_where_one_has_other_bytes_or_none(shop: Shop, wanted: Wanted, tmp_path: Path) -> None:
    with open_shop(files={wanted.filename: b"other"}) as wrong, open_shop() as empty, open_shop() as down:
        down.next("/simple/alpha/", serving.answer(500), stays=True)
        found = _fetcher(wrong.index, empty.index, down.index, shop.index).fetch(wanted, str(tmp_path / "got"))
        assert found.source == shop.at(wanted.filename)


def test_files_before_the_network(shop: Shop, wanted: Wanted, tmp_path: Path, wheel: Path) -> None:
    """The lock's own path, a folder of links, an index on disk: each is looked at before anybody is asked."""
    index = tmp_path / "index" / "alpha"
    index.mkdir(parents=True)
    (index / wheel.name).write_bytes(wheel.read_bytes())
    place = str(wheel.parent)
    for fetcher, sought, source in (
        (_fetcher(shop.index), replace(wanted, location=str(wheel)), wheel),
        (_fetcher(shop.index), replace(wanted, location=wheel.as_uri()), wheel),
        (_fetcher(shop.index, links=(place,)), wanted, wheel),
        (_fetcher(shop.index, links=(wheel.parent.as_uri(),)), wanted, wheel),
        (_fetcher(shop.index, f"file://{tmp_path}/index"), wanted, index / wheel.name),
    ):
        found = fetcher.fetch(sought, str(tmp_path / "got"))
        assert (found.place, found.source) == (Place.FILE, str(source))
    assert not shop.requests


@pytest.mark.parametrize("kind", ["links", "links as page", "index on disk", "page of links"])
def test_hash_alone_is_found_among_files(shop: Shop, wanted: Wanted, tmp_path: Path, wheel: Path, kind: str) -> None:
    """Files on this disk can be hashed, so nobody need state their hashes; a page of links states them."""
    folder = tmp_path / "it's 100% mine"
    (folder / "alpha").mkdir(parents=True)
    for place in (folder, folder / "alpha"):
        (place / wheel.name).write_bytes(wheel.read_bytes())
        (place / "alpha-1.0.tar.gz").write_bytes(b"not it")
        (place / "alpha-2.0.tar.gz").write_bytes(wheel.read_bytes())
    (folder / "page.html").write_text(f'<a href="{wheel.name}">a wheel</a>')
    shop.html_only = True
    fetcher = {
        "links": _fetcher(links=(str(folder),)),
        "links as page": _fetcher(links=(str(folder / "page.html"),)),
        "index on disk": _fetcher(folder.as_uri()),
        "page of links": _fetcher(links=(f"{shop.index}/alpha/",)),
    }[kind]
    sought = replace(wanted, filename="")
    assert wanted.sha256 is not None
    names = fetcher.names("alpha", "1.0", (wanted.sha256, ZEROS))
    assert {digest: filename for digest, (filename, _) in names.items()} == {str(wanted.sha256): wheel.name}
    assert fetcher.fetch(sought, str(tmp_path / "got")).filename == wheel.name


def test_wrong_file_near_by_is_passed_over(shop: Shop, wanted: Wanted, tmp_path: Path) -> None:
    links = tmp_path / "links"
    links.mkdir()
    (links / wanted.filename).write_bytes(b"somebody's own build")
    fetcher = _fetcher(shop.index, links=(str(links),))
    assert fetcher.fetch(wanted, str(tmp_path / "got")).place is Place.INDEX
    (tmp_path / "got").unlink()
    # Nor is it called a forgery: the lock does not name that folder.
    assert _code(_fetcher(links=(str(links),)), wanted, tmp_path / "got") == "artifact-gone"
    assert _code(_fetcher(), replace(wanted, location=str(links / wanted.filename)), tmp_path / "got") == "artifact-mismatch"


def test_pipe_and_folder_under_the_name(wanted: Wanted, tmp_path: Path) -> None:
    """Neither is a file: a pipe that nobody writes to would keep us waiting for ever."""
    os.mkfifo(tmp_path / wanted.filename)
    for location in (tmp_path / wanted.filename, tmp_path):
        assert _code(_fetcher(), replace(wanted, location=str(location)), tmp_path / "got") == "artifact-gone"


def test_every_digest_must_fit(shop: Shop, wanted: Wanted, tmp_path: Path, wheel: Path) -> None:
    data = wheel.read_bytes()
    good = (digest_of(data, "md5"), digest_of(data, "sha512"), *wanted.digests)
    _fetcher(shop.index).fetch(replace(wanted, digests=good), str(tmp_path / "one"))
    bad = (Digest("sha512", "1" * 128), *wanted.digests)
    assert _code(_fetcher(shop.index), replace(wanted, digests=bad), tmp_path / "got") == "artifact-mismatch"
    weak = (digest_of(data, "md5"), digest_of(data, "sha1"))
    assert _code(_fetcher(shop.index), replace(wanted, digests=weak), tmp_path / "got") == "artifact-unhashed"
    assert _code(_fetcher(shop.index), replace(wanted, digests=()), tmp_path / "got") == "artifact-unhashed"


def test_sha256_is_told_where_the_lock_has_another(shop: Shop, wanted: Wanted, tmp_path: Path, wheel: Path) -> None:
    sought = replace(wanted, digests=(digest_of(wheel.read_bytes(), "sha512"),))
    assert _fetcher(shop.index).fetch(sought, str(tmp_path / "got")).sha256 == wanted.sha256


def test_zeros_are_a_mismatch_and_never_gone(shop: Shop, wanted: Wanted, tmp_path: Path) -> None:
    """By name the index has other bytes; by hash alone it has files of the release, and none of them is it."""
    zeros = replace(wanted, digests=(ZEROS,), size=None)
    fetcher = _fetcher(shop.index)
    with pytest.raises(FetchError) as raised:
        fetcher.fetch(zeros, str(tmp_path / "got"))
    assert raised.value.code == "artifact-mismatch"
    assert raised.value.actual == wanted.sha256
    assert not shop.asked("/files/")
    assert _code(fetcher, replace(zeros, location=shop.at(wanted.filename)), tmp_path / "got") == "artifact-mismatch"
    assert _code(fetcher, replace(zeros, filename=""), tmp_path / "got") == "artifact-mismatch"
    assert fetcher.names("alpha", "1.0", (ZEROS,)) == {}
    assert [offer.filename for offer in fetcher.offers("alpha", "1.0")] == [wanted.filename]


def test_lies_of_an_index_about_a_hash(shop: Shop, wanted: Wanted, tmp_path: Path) -> None:
    """It states the locked hash for other bytes: found out when they come."""
    assert wanted.sha256 is not None
    with open_shop(files={wanted.filename: b"forged"}) as liar:
        liar.stated[wanted.filename] = {"hashes": {"sha256": wanted.sha256.value}}
        with pytest.raises(FetchError) as raised:
            _fetcher(liar.index).fetch(replace(wanted, size=None), str(tmp_path / "got"))
        assert raised.value.code == "artifact-mismatch"
        assert raised.value.actual == digest_of(b"forged")


def test_index_that_states_no_hash(shop: Shop, wanted: Wanted, tmp_path: Path) -> None:
    """By name the file is fetched, and proves itself; by hash alone it is not fetched to see what it is."""
    shop.stated[wanted.filename] = {"hashes": {}}
    fetcher = _fetcher(shop.index)
    assert fetcher.fetch(wanted, str(tmp_path / "one")).place is Place.INDEX
    shop.requests.clear()
    assert fetcher.names("alpha", "1.0", wanted.digests) == {}
    assert _code(fetcher, replace(wanted, filename=""), tmp_path / "got") == "index-unhashed"
    assert not shop.asked("/files/")


def test_gone(shop: Shop, wanted: Wanted, tmp_path: Path) -> None:
    other = replace(wanted, version="2.0", filename="alpha-2.0-py3-none-any.whl")
    for sought in (other, replace(other, filename=""), replace(other, location=shop.at("nothing"))):
        assert _code(_fetcher(shop.index), sought, tmp_path / "got") == "artifact-gone"
    assert _fetcher(shop.index).offers("alpha", "2.0") == ()
    assert _fetcher(shop.index).offers("nobody", "1.0") == ()


def test_unknown_is_not_gone(shop: Shop, wanted: Wanted, tmp_path: Path) -> None:
    """Where one index can not be asked, what the others lack may be there."""
    with open_shop() as down:
        down.next("/simple/alpha/", serving.answer(503), stays=True)
        sought = replace(wanted, version="2.0", filename="alpha-2.0-py3-none-any.whl")
        fetcher = _fetcher(shop.index, down.index)
        assert _code(fetcher, sought, tmp_path / "got") == "index-unreachable"
        with pytest.raises(FetchError) as raised:
            fetcher.offers("alpha", "2.0")
        assert raised.value.code == "index-unreachable"
        assert [offer.filename for offer in fetcher.offers("alpha", "1.0")] == [wanted.filename]


def test_same_name_on_two_indexes(shop: Shop, wanted: Wanted, tmp_path: Path) -> None:
    """Each file name is offered once, the first index's; the locked hash is found on the second all the same."""
    with open_shop(files={wanted.filename: b"a stranger's"}) as first:
        fetcher = _fetcher(first.index, shop.index)
        assert [offer.url for offer in fetcher.offers("alpha", "1.0")] == [first.at(wanted.filename)]
        assert fetcher.names("alpha", "1.0", wanted.digests) == {str(wanted.sha256): (wanted.filename, shop.at(wanted.filename))}
        assert fetcher.fetch(replace(wanted, filename=""), str(tmp_path / "got")).source == shop.at(wanted.filename)


def test_yanked_is_fetched_and_said(shop: Shop, wanted: Wanted, tmp_path: Path) -> None:
    shop.stated[wanted.filename] = {"yanked": "it burns", "upload-time": "2026-01-02T03:04:05.6Z"}
    fetcher = _fetcher(shop.index)
    assert fetcher.fetch(wanted, str(tmp_path / "got")).place is Place.INDEX
    (offer,) = fetcher.offers("alpha", "1.0")
    assert (offer.yanked, offer.size, offer.upload_time) == ("it burns", wanted.size, "2026-01-02T03:04:05.6Z")


def test_endless_file_ends_with_what_the_index_states(shop: Shop, wanted: Wanted, tmp_path: Path) -> None:
    shop.next(f"/files/{wanted.filename}", serving.endless, stays=True)
    assert _code(_fetcher(shop.index), replace(wanted, size=None), tmp_path / "got") == "artifact-mismatch"


def test_offline_asks_nobody(shop: Shop, wanted: Wanted, tmp_path: Path, wheel: Path) -> None:
    def never() -> str:
        raise AssertionError("the default was asked for")

    for fetcher in (
        Fetcher(Indexes(urls=(shop.index,), links=(f"{shop.index}/alpha/",)), offline=True, default=never),
        Fetcher(Indexes(urls=(shop.index,), offline=True), default=never),
    ):
        assert _code(fetcher, wanted, tmp_path / "got") == "offline"
        assert _code(fetcher, replace(wanted, location=shop.at(wanted.filename)), tmp_path / "got") == "offline"
        with pytest.raises(FetchError) as raised:
            fetcher.names("alpha", "1.0", wanted.digests)
        assert raised.value.code == "offline"
    near = _fetcher(shop.index, offline=True, links=(str(wheel.parent),))
    assert near.fetch(wanted, str(tmp_path / "got")).place is Place.FILE
    assert not shop.requests


def test_default_is_asked_for_once_and_only_where_needed(shop: Shop, wanted: Wanted, tmp_path: Path, wheel: Path) -> None:
    asked: list[int] = []

    def default() -> str:
        asked.append(1)
        time.sleep(0.02)  # so that all of the threads are at the door
        return shop.index

    fetcher = Fetcher(Indexes(), default=default)
    fetcher.fetch(replace(wanted, location=str(wheel)), str(tmp_path / "near"))
    assert not asked
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: fetcher.fetch(wanted, str(tmp_path / f"got-{number}")), range(8)))
    assert {one.source for one in found} == {shop.at(wanted.filename)}
    assert len(asked) == 1


def test_nothing_configured(wanted: Wanted, tmp_path: Path) -> None:
    for fetcher in (_fetcher(), Fetcher(Indexes(), default=lambda: "")):
        assert _code(fetcher, wanted, tmp_path / "got") == "index-not-configured"
        with pytest.raises(FetchError) as raised:
            fetcher.offers("alpha", "1.0")
        assert raised.value.code == "index-not-configured"


def test_place_that_can_not_be_written_is_the_disks_error(shop: Shop, wanted: Wanted, tmp_path: Path, wheel: Path) -> None:
    for sought in (wanted, replace(wanted, location=str(wheel))):
        with pytest.raises(FileNotFoundError):
            _fetcher(shop.index).fetch(sought, str(tmp_path / "no such folder" / "got"))


@pytest.mark.index
def test_real_index(workshop: Workshop, tmp_path: Path) -> None:
    """A hash of a requirements file, and what this machine's own configuration says: that is enough to have the wheel."""
    text = (HERE / "tools/installer.txt").read_text()
    version = re.search(r"^installer==(\S+)", text, re.MULTILINE)
    assert version is not None
    digests = tuple(Digest.parse(found) for found in re.findall(r"--hash=(\S+)", text))
    environ = os.environ | workshop.environ()
    fetcher = Fetcher(read_indexes(environ), default=lambda: ask_default(environ))
    names = fetcher.names("installer", version[1], digests)
    assert {digest for digest, (name, _) in names.items() if name.endswith(".whl")} <= {str(digest) for digest in digests}
    wheel = next(digest for digest, (name, _) in names.items() if name.endswith(".whl"))
    sought = Wanted(name="installer", version=version[1], digests=(Digest.parse(wheel),))
    found = fetcher.fetch(sought, str(tmp_path / "got"))
    assert found.filename == names[wheel][0]
    assert str(found.sha256) == wheel == str(digest_of((tmp_path / "got").read_bytes()))
    with pytest.raises(FetchError) as raised:
        fetcher.fetch(replace(sought, digests=(ZEROS,)), str(tmp_path / "no"))
    assert raised.value.code == "artifact-mismatch"
