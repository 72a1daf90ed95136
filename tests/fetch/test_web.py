"""Files over HTTP from a server that does what networks do. What arrives has the locked hash, or nothing arrives."""

from __future__ import annotations

import base64
import resource
import ssl
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fetch import serving
from fetch.conftest import SIZE, digest_of
from fetch.serving import open_shop
from sanctity.fetch.errors import FetchError
from sanctity.fetch.web import Web
from sanctity.model.index import Credentials, Indexes

if TYPE_CHECKING:
    from pathlib import Path

    from fetch.serving import Shop
    from sanctity.model.artifact import Wanted


@pytest.fixture
def place(wanted: Wanted) -> str:
    """The wheel's path on its server."""
    return f"/files/{wanted.filename}"


def _get(shop: Shop, wanted: Wanted, to: Path, *, size: int | None = -1, indexes: Indexes | None = None) -> bool:
    web = Web(indexes or Indexes())
    return web.file(shop.at(wanted.filename), str(to), wanted.digests, wanted.size if size == -1 else size)


def _partial(to: Path, wanted: Wanted) -> Path:
    return to.with_name(f"{to.name}.{wanted.digests[0].value[:16]}.partial")


def _alone(to: Path) -> bool:
    return [path.name for path in to.parent.iterdir()] == [to.name]


def test_file_arrives_whole(shop: Shop, wanted: Wanted, tmp_path: Path, wheel: Path) -> None:
    seen: list[int] = []
    to = tmp_path / "got"
    assert Web(Indexes(), tick=seen.append).file(shop.at(wanted.filename), str(to), wanted.digests, wanted.size)
    assert to.read_bytes() == wheel.read_bytes()
    assert sum(seen) == wanted.size
    assert _alone(to)


@pytest.mark.parametrize("size", [-1, None], ids=["size known", "size unknown"])
@pytest.mark.parametrize(
    "odd",
    [
        (serving.cut(300_000),),
        (serving.cut(300_000), serving.cut(100_000), serving.cut(1)),
        (serving.cut(300_000), serving.ignoring_range),
        (serving.cut(300_000), serving.answer(503)),
        (serving.cut(0),),
        (serving.broken, serving.broken),
        (serving.answer(503), serving.answer(500)),
        (serving.answer(429, Retry_After="0"),),
        (serving.answer(416, Content_Range="bytes */7"),),
        (serving.packed,),
        (serving.overstated(9),),
    ],
    ids=["cut", "cut thrice", "range ignored", "cut, then 503", "nothing", "no word", "5xx", "429", "416", "packed", "overstated"],
)
def test_transfer_that_breaks_off_is_taken_up_again(
    shop: Shop, wanted: Wanted, tmp_path: Path, wheel: Path, place: str, odd: tuple[serving.Odd, ...], size: int | None
) -> None:
    shop.next(place, *odd)
    to = tmp_path / "got"
    assert _get(shop, wanted, to, size=size)
    assert to.read_bytes() == wheel.read_bytes()
    assert _alone(to)


def test_only_what_is_missing_is_asked_for(shop: Shop, wanted: Wanted, tmp_path: Path, place: str) -> None:
    shop.next(place, serving.cut(300_000))
    assert _get(shop, wanted, tmp_path / "got")
    first, second = shop.asked(place)
    assert "Range" not in first
    assert second["Range"] == "bytes=300000-"


def test_short_answer_without_length_is_not_taken_for_the_whole(
    shop: Shop, wanted: Wanted, tmp_path: Path, wheel: Path, place: str
) -> None:
    """HTTP/1.0's way to end a body is to hang up: only the lock's size tells that it is not all."""
    shop.next(place, serving.cut(300_000, stated=False))
    to = tmp_path / "got"
    assert _get(shop, wanted, to)
    assert to.read_bytes() == wheel.read_bytes()


def test_partial_of_an_earlier_run_is_taken_up(shop: Shop, wanted: Wanted, tmp_path: Path, wheel: Path, place: str) -> None:
    shop.next(place, serving.cut(100_000), serving.broken, stays=True)
    to = tmp_path / "got"
    with pytest.raises(FetchError) as raised:
        _get(shop, wanted, to)
    assert raised.value.code == "index-unreachable"
    assert not to.exists()
    assert _partial(to, wanted).stat().st_size == 100_000
    shop.odd.clear()
    shop.requests.clear()
    assert _get(shop, wanted, to)
    assert [headers["Range"] for headers in shop.asked(place)] == ["bytes=100000-"]
    assert to.read_bytes() == wheel.read_bytes()
    assert _alone(to)


@pytest.mark.parametrize("size", [-1, None], ids=["size known", "size unknown"])
@pytest.mark.parametrize("length", [10, 700_000, 5_000_000], ids=["short", "nearly", "too long"])
def test_partial_with_wrong_bytes_is_thrown_away(
    shop: Shop, wanted: Wanted, tmp_path: Path, wheel: Path, length: int, size: int | None
) -> None:
    to = tmp_path / "got"
    _partial(to, wanted).write_bytes(b"x" * length)
    assert _get(shop, wanted, to, size=size)
    assert to.read_bytes() == wheel.read_bytes()
    assert _alone(to)


def test_whole_partial_needs_no_transfer(shop: Shop, wanted: Wanted, tmp_path: Path, wheel: Path, place: str) -> None:
    to = tmp_path / "got"
    _partial(to, wanted).write_bytes(wheel.read_bytes())
    assert _get(shop, wanted, to)
    assert not shop.asked(place)


@pytest.mark.parametrize("size", [-1, None], ids=["size known", "size unknown"])
def test_other_bytes_are_named(shop: Shop, wanted: Wanted, tmp_path: Path, wheel: Path, place: str, size: int | None) -> None:
    forged = bytearray(wheel.read_bytes())
    forged[1000] ^= 1
    shop.next(place, serving.other(bytes(forged)), stays=True)
    to = tmp_path / "got"
    with pytest.raises(FetchError) as raised:
        _get(shop, wanted, to, size=size)
    error = raised.value
    assert (error.code, error.actual, error.where) == ("artifact-mismatch", digest_of(bytes(forged)), shop.at(wanted.filename))
    assert str(wanted.digests[0]) in error.message
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("change", [b"", b"more"], ids=["shorter", "longer"])
def test_another_length_than_the_locks_is_a_mismatch(shop: Shop, wanted: Wanted, tmp_path: Path, place: str, change: bytes) -> None:
    """Bytes of another length have another hash; how the server states its length makes no difference."""
    data = shop.files[wanted.filename]
    shop.files[wanted.filename] = data + change if change else data[:-1]
    with pytest.raises(FetchError) as raised:
        _get(shop, wanted, tmp_path / "got")
    assert raised.value.code == "artifact-mismatch"
    assert not (tmp_path / "got").exists()


def test_endless_body_ends_with_what_is_locked(shop: Shop, wanted: Wanted, tmp_path: Path, place: str) -> None:
    shop.next(place, serving.endless, stays=True)
    seen: list[int] = []
    with pytest.raises(FetchError) as raised:
        Web(Indexes(), tick=seen.append).file(shop.at(wanted.filename), str(tmp_path / "got"), wanted.digests, wanted.size)
    assert raised.value.code == "artifact-mismatch"
    assert sum(seen) < 3 * (wanted.size or 0)


@pytest.mark.parametrize(
    ("odd", "word"),
    [
        (serving.broken, "reached"),
        (serving.answer(503), "503"),
        (serving.answer(429, Retry_After="0"), "429"),
        (serving.answer(416), "416"),
        (serving.answer(401), "401"),
        (serving.answer(403), "403"),
        (serving.answer(418), "418"),
        (serving.overstated(10**12), "reached"),
        (serving.moved("/files/again"), "end"),
        (serving.moved("ftp://127.0.0.1/file"), "ftp"),
        (serving.moved("file:///etc/hostname"), "file"),
        (serving.moved("http://[::1"), "leads"),
    ],
    ids=["no word", "503", "429", "416", "401", "403", "418", "length", "round and round", "ftp", "file", "malformed"],
)
def test_what_can_not_be_had_is_unreachable(
    shop: Shop, wanted: Wanted, tmp_path: Path, place: str, odd: serving.Odd, word: str
) -> None:
    """It may be there, so it is not called gone."""
    shop.next(place, odd, stays=True)
    shop.next("/files/again", serving.moved(place), stays=True)
    with pytest.raises(FetchError) as raised:
        _get(shop, replace(wanted, size=None), tmp_path / "got", size=None)
    assert raised.value.code == "index-unreachable"
    assert word in raised.value.message
    assert raised.value.hint
    assert not (tmp_path / "got").exists()


@pytest.mark.parametrize("status", [404, 410, 451])
def test_nothing_there(shop: Shop, wanted: Wanted, tmp_path: Path, place: str, status: int) -> None:
    shop.next(place, serving.answer(status))
    assert not _get(shop, wanted, tmp_path / "got")
    assert not list(tmp_path.iterdir())


def test_page_that_breaks_off_is_asked_for_again(shop: Shop) -> None:
    shop.next("/simple/alpha/", serving.cut(20), serving.broken, serving.answer(502))
    got = Web(Indexes()).page(f"{shop.index}/alpha/", "text/html")
    assert got is not None
    assert got[0] == (shop.body("/simple/alpha/", "text/html") or (b"",))[0]


def test_page_that_never_ends_is_refused(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sanctity.fetch.web._LARGEST_PAGE", 1 << 20)
    shop.next("/simple/alpha/", serving.endless, stays=True)
    with pytest.raises(FetchError) as raised:
        Web(Indexes()).page(f"{shop.index}/alpha/", "text/html")
    assert raised.value.code == "index-unreachable"
    assert "larger" in raised.value.message


def test_long_wait_is_not_waited_for(shop: Shop, wanted: Wanted, tmp_path: Path, place: str) -> None:
    """A server may ask for an hour's patience; it gets no more than `LONGEST_WAIT`. The test would hang if it got it."""
    shop.next(place, serving.answer(503, Retry_After="86400"))
    from sanctity.fetch import web

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(web, "LONGEST_WAIT", 0)
        assert _get(shop, wanted, tmp_path / "got")


def test_redirect_is_followed(shop: Shop, wanted: Wanted, tmp_path: Path, wheel: Path, place: str) -> None:
    shop.files["elsewhere"] = shop.files[wanted.filename]
    shop.next(place, serving.moved("elsewhere", 301))
    assert _get(shop, wanted, tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == wheel.read_bytes()


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def test_credentials_go_to_their_own_host_only(shop: Shop, wanted: Wanted, tmp_path: Path, place: str) -> None:
    with open_shop(files=shop.files) as second:
        shop.authorization = _basic("ann", "s3cret")
        mine = Indexes(credentials=(Credentials(origin=shop.url, user="ann", password="s3cret"),))
        shop.next(place, serving.moved(second.at(wanted.filename)))
        assert _get(shop, wanted, tmp_path / "got", indexes=mine)
        assert shop.asked(place)[0]["Authorization"] == shop.authorization
        assert "Authorization" not in second.asked(place)[0]


def test_credentials_from_netrc(shop: Shop, wanted: Wanted, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login ann password s3cret\n")
    shop.authorization = _basic("ann", "s3cret")
    assert _get(shop, wanted, tmp_path / "got", indexes=Indexes(netrc=str(netrc)))


def test_netrc_default_is_sent_to_nobody(shop: Shop, wanted: Wanted, tmp_path: Path, place: str) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine index.example login bob password other\ndefault login ann password s3cret\n")
    assert _get(shop, wanted, tmp_path / "got", indexes=Indexes(netrc=str(netrc)))
    assert "Authorization" not in shop.asked(place)[0]


def test_no_secret_is_shown(shop: Shop, wanted: Wanted, tmp_path: Path) -> None:
    """Neither a password nor the query of a signed URL gets into an error, a path or a representation."""
    shop.authorization = _basic("ann", "other")
    indexes = Indexes(credentials=(Credentials(origin=shop.url, user="ann-name", password="s3cret"),))
    with pytest.raises(FetchError) as raised:
        Web(indexes).file(f"{shop.at(wanted.filename)}?token=t0ken#x", str(tmp_path / "got"), wanted.digests, None)
    said = f"{raised.value} {raised.value.__dict__} {indexes}"
    assert "s3cret" not in said
    assert "t0ken" not in said
    assert "ann-name" not in said


def test_several_threads_want_the_same(shop: Shop, wanted: Wanted, tmp_path: Path, wheel: Path, place: str) -> None:
    """Each gets the file, whoever writes it: two writers never share a partial one."""
    web, to = Web(Indexes()), tmp_path / "got"
    together = threading.Barrier(6)

    def one(_: int) -> bool:
        together.wait()
        return web.file(shop.at(wanted.filename), str(to), wanted.digests, wanted.size)

    shop.next(place, *[serving.cut(200_000)] * 6)
    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(one, range(6)))
    assert to.read_bytes() == wheel.read_bytes()
    assert _alone(to)


def test_killed_in_the_middle(shop: Shop, wanted: Wanted, tmp_path: Path, wheel: Path, place: str) -> None:
    """What a killed process had got is taken up by the next one; nothing lies at the file's own place before."""
    killed, to = threading.Event(), tmp_path / "got"
    shop.next(place, serving.stalled(600_000, killed))
    code = (
        "import sys\nfrom sanctity.fetch.web import Web\nfrom sanctity.model.digest import Digest\n"
        "from sanctity.model.index import Indexes\n"
        "Web(Indexes()).file(sys.argv[1], sys.argv[2], (Digest.parse(sys.argv[3]),), None)"
    )
    argv = [sys.executable, "-c", code, shop.at(wanted.filename), str(to), str(wanted.digests[0])]
    with subprocess.Popen(argv) as child:
        partial = _partial(to, wanted)
        while child.poll() is None and not (partial.exists() and partial.stat().st_size):
            time.sleep(0.01)
        child.kill()
    killed.set()
    assert not to.exists()
    had = partial.stat().st_size
    assert 0 < had < SIZE
    assert _get(shop, wanted, to)
    assert shop.asked(place)[-1]["Range"] == f"bytes={had}-"
    assert to.read_bytes() == wheel.read_bytes()
    assert _alone(to)


def test_proxy_is_used_and_passed_by(
    shop: Shop, wanted: Wanted, tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_shop(files=shop.files) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        assert _get(shop, wanted, tmp_path / "one")
        assert proxy.asked(place)
        assert not shop.asked(place)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert _get(shop, wanted, tmp_path / "two")
        assert shop.asked(place)


@pytest.fixture
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for the loopback address that nobody has signed, with its key."""
    folder = tmp_path_factory.mktemp("certificate")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    try:
        subprocess.run([*command, *names, "-keyout", "key.pem", "-out", "cert.pem"], cwd=folder, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("there is no openssl to make a certificate with")
    return folder / "cert.pem"


def test_certificates(shop: Shop, wanted: Wanted, tmp_path: Path, wheel: Path, place: str, certificate: Path) -> None:
    """A stranger's certificate is refused; that of pip's `cert` is trusted, and so is a trusted host. Nothing leads to plain http."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    with open_shop(files=shop.files, tls=context) as safe:
        with pytest.raises(FetchError) as raised:
            _get(safe, wanted, tmp_path / "no")
        assert raised.value.code == "index-unreachable"
        assert "certificate" in raised.value.message.lower()
        assert _get(safe, wanted, tmp_path / "one", indexes=Indexes(certificate=str(certificate)))
        assert _get(safe, wanted, tmp_path / "two", indexes=Indexes(trusted=("127.0.0.1",)))
        safe.next(place, serving.moved(shop.at(wanted.filename)))
        with pytest.raises(FetchError) as raised:
            _get(safe, wanted, tmp_path / "three", indexes=Indexes(certificate=str(certificate)))
        assert raised.value.code == "index-unreachable"
        assert "plain http" in raised.value.message
        assert not shop.asked(place)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes() == wheel.read_bytes()


def test_certificate_file_without_certificates(shop: Shop, wanted: Wanted, tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("nothing")
    with pytest.raises(FetchError) as raised:
        _get(shop, wanted, tmp_path / "got", indexes=Indexes(certificate=str(tmp_path / "empty.pem")))
    assert raised.value.code == "index-unreachable"
    assert raised.value.where == str(tmp_path / "empty.pem")


def test_disk_that_takes_no_more_is_the_disks_error(shop: Shop, wanted: Wanted, tmp_path: Path) -> None:
    """It is not taken for a network that breaks off, so it is not tried again."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            _get(shop, wanted, tmp_path / "got")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len(shop.asked("/files/")) == 1


def test_partial_that_is_a_link_is_not_followed(shop: Shop, wanted: Wanted, tmp_path: Path) -> None:
    (tmp_path / "mine").write_bytes(b"mine")
    _partial(tmp_path / "got", wanted).symlink_to(tmp_path / "mine")
    with pytest.raises(OSError, match="symbolic"):
        _get(shop, wanted, tmp_path / "got")
    assert (tmp_path / "mine").read_bytes() == b"mine"
