"""The seal as a document: what is written is read back, the same for the same, and nothing in it can be edited unseen."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factories import a_digest, an_origin
from sanctity.errors import DocumentError
from sanctity.model.drift import Selection
from sanctity.model.policy import Policy, Profile, Waiver
from sanctity.model.seal import Canary, Seal, SealedLock
from sanctity.seals.document import format_seal, parse_seal, seal_of
from sealing import WHOLE, a_hook, installed, sealed, with_files

WAIVER = Waiver(id="W-1", code="file-altered", path="six.py", reason="r", owner="ada", approver="grace", until=date(2027, 1, 31))
CANARY = Canary(command=("python", "canary.py"), inputs=(("canary.py", a_digest("c")),), output=a_digest("out"), timeout=5)


def a_seal() -> Seal:
    """A seal that says something of everything."""
    editable = installed("demo", "0.1", {"_demo.pth": "x"}, origin=an_origin("directory", "file:///demo", editable=True))
    environment = with_files(
        installed("six", "1.16.0", {"six.py": "code", "ünï.py": "u"}), editable, hooks=(a_hook("_demo.pth"), a_hook("zz.pth"))
    )
    one = replace(
        sealed(environment, accept=True),
        lock=SealedLock(path="uv.lock", format="uv", digest=a_digest("lock")),
        selection=Selection(groups=("dev",), extras=("cpu",), members=("demo",)),
        unknown=("accelerators",),
    )
    other = replace(sealed(), platform="linux-aarch64-musl")
    other = replace(other, **_parts_again(other))
    return seal_of("env.seal.json", (one, other), policy=Policy(gate=("cpu",)), waivers=(WAIVER,), canary=CANARY)


def _parts_again(entry: Any) -> dict[str, Any]:
    """The parts of an entry whose platform was changed: the machine is a part of the interpreter's."""
    from sanctity.canon.fingerprint import part_digest, whole

    machine = entry.platform.split("-")[1]
    interpreter = part_digest([entry.implementation, entry.version, entry.abi, machine])
    parts = tuple((name, interpreter if name == "interpreter" else digest) for name, digest in entry.parts)
    return {"parts": parts, "fingerprint": whole(parts)}


def test_a_seal_is_read_back_as_it_was_written() -> None:
    seal = a_seal()
    text = format_seal(seal)
    assert parse_seal(text.encode(), "env.seal.json") == seal
    assert format_seal(parse_seal(text.encode(), "env.seal.json")) == text


def test_a_distribution_has_a_line() -> None:
    lines = format_seal(a_seal()).splitlines()
    assert sum('"name": "six"' in line for line in lines) == 2
    assert all(json.loads(line.strip().rstrip(",")) for line in lines if '"name": "six"' in line)


def test_the_layout_of_a_seal_does_not_matter() -> None:
    seal = a_seal()
    assert parse_seal(json.dumps(json.loads(format_seal(seal))).encode(), "env.seal.json").digest == seal.digest


def test_the_order_of_environments_and_waivers_does_not_matter() -> None:
    seal = a_seal()
    again = seal_of(seal.path, reversed(seal.environments), policy=seal.policy, waivers=reversed(seal.waivers), canary=seal.canary)
    assert format_seal(again) == format_seal(seal)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place of a document that holds a plain value."""
    if isinstance(value, dict):
        return [place for key, item in value.items() for place in _places(item, (*path, key))]
    if isinstance(value, list):
        return [place for index, item in enumerate(value) for place in _places(item, (*path, index))]
    return [path]


SEAL = a_seal()
DOCUMENT = json.loads(format_seal(SEAL))
#: What a fingerprint or a policy's digest in the seal is over: an edit there must not pass.
COVERED = [
    place
    for place in _places(DOCUMENT)
    if place[0] in {"policy", "waivers"}
    or (place[0] == "environments" and place[2] in {"parts", "fingerprint", "distributions", "startup", "unclaimed", "python"})
]
COVERED = [place for place in COVERED if place[-1] not in {"effect", "origin", "artifact", "stated"}]


def _edited(place: tuple[Any, ...], change: Any) -> bytes:
    document = json.loads(json.dumps(DOCUMENT))
    inner = document
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = change(inner[place[-1]])
    return json.dumps(document).encode()


def _other(value: Any) -> Any:
    """Another value of the same kind."""
    if isinstance(value, str) and value.startswith(("sha256:", "content/1:")):
        return value[:-1] + ("0" if value[-1] != "0" else "1")
    return f"{value}x" if isinstance(value, str) else 7


@pytest.mark.parametrize("place", COVERED, ids=lambda place: ".".join(map(str, place)))
def test_no_line_that_a_digest_covers_can_be_edited_alone(place: tuple[Any, ...]) -> None:
    with pytest.raises(DocumentError):
        parse_seal(_edited(place, _other), "env.seal.json")


@pytest.mark.parametrize("place", _places(DOCUMENT), ids=lambda place: ".".join(map(str, place)))
@pytest.mark.parametrize("value", [None, 1.5, [], {}, -1, "sha256:zz", "\ud800"], ids=repr)
def test_a_value_of_another_kind_is_an_error_or_another_seal(place: tuple[Any, ...], value: Any) -> None:
    fault = None
    try:
        found = parse_seal(_edited(place, lambda _: value), "env.seal.json")
    except DocumentError as error:
        fault = error
    if fault is None:
        assert found.digest != SEAL.digest or format_seal(found) == format_seal(SEAL)
    else:
        assert fault.code.startswith("seal-")
        assert fault.where.startswith("env.seal.json")


@pytest.mark.parametrize(
    "place", [(), ("policy",), ("waivers", 0), ("environments", 0), ("environments", 0, "distributions", 0), ("canary",)]
)
def test_a_key_that_is_not_known_is_refused(place: tuple[Any, ...]) -> None:
    document = json.loads(json.dumps(DOCUMENT))
    inner = document
    for step in place:
        inner = inner[step]
    inner["allow"] = "everything"
    with pytest.raises(DocumentError) as caught:
        parse_seal(json.dumps(document).encode(), "env.seal.json")
    assert caught.value.code == "seal-unknown-key"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "seal-syntax"),
        (b"[]", "seal-syntax"),
        (b"{}", "seal-syntax"),
        (b"\xff\xfe", "seal-syntax"),
        (b'{"schema": "sanctity.seal/2"}', "seal-version-unsupported"),
        (b'{"schema": "sanctity.seal/1", "schema": "sanctity.seal/1"}', "seal-syntax"),
        (b"[" * 100_000, "seal-syntax"),
        (b'{"schema": "sanctity.seal/1", "policy": NaN}', "seal-syntax"),
        (b"<<<<<<< ours\n{}\n=======\n>>>>>>> theirs\n", "seal-syntax"),
        (b'{"schema": "sanctity.seal/1"}', "seal-missing-key"),
    ],
)
def test_what_is_no_seal_is_said_so(data: bytes, code: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse_seal(data, "env.seal.json")
    assert caught.value.code == code
    assert caught.value.hint


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.integers(0, 255))
def test_a_seal_with_any_byte_changed_is_an_error_or_says_so(at: int, byte: int) -> None:
    data = bytearray(format_seal(SEAL).encode())
    data[at % len(data)] = byte
    try:
        found = parse_seal(bytes(data), "env.seal.json")
    except DocumentError:
        return
    assert (found.digest == SEAL.digest) is (found == SEAL)


def test_two_entries_for_one_platform_are_refused() -> None:
    document = json.loads(json.dumps(DOCUMENT))
    document["environments"].append(document["environments"][0])
    with pytest.raises(DocumentError) as caught:
        parse_seal(json.dumps(document).encode(), "env.seal.json")
    assert caught.value.code == "seal-bad-value"


def test_production_is_kept() -> None:
    seal = seal_of("env.seal.json", (sealed(WHOLE),), policy=Policy(profile=Profile.PRODUCTION))
    assert parse_seal(format_seal(seal).encode(), "x").policy.profile is Profile.PRODUCTION


def _many(change: Any) -> bytes:
    document = json.loads(format_seal(a_seal()))
    change(document)
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(_many(lambda it: it["environments"][0].update(distributions=[1] * 2_000_000)), id="no lines"),
        pytest.param(_many(lambda it: it.update(waivers=[{"id": "a"}] * 200_000)), id="waivers"),
        pytest.param(_many(lambda it: it.update({f"k{index}": 1 for index in range(200_000)})), id="keys"),
        pytest.param(b"{" + b",".join(b'"k%d":1' % (index % 200_000) for index in range(200_001)) + b"}", id="a key twice"),
        pytest.param(
            _many(
                lambda it: it["environments"][0].update(
                    distributions=[it["environments"][0]["distributions"][0] | {"name": f"a{index}"} for index in range(100_000)]
                )
            ),
            id="lines",
        ),
    ],
)
def test_a_hostile_seal_takes_no_more_than_it_is_long(data: bytes) -> None:
    """Nothing of it is compared with all of it, and a thousand faults are as bad as a million."""
    with pytest.raises(DocumentError) as caught:
        parse_seal(data, "env.seal.json")
    assert len(caught.value.issues) <= 1000


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "a/../../b", "a//b", "a\\b"])
def test_an_input_of_a_canary_stays_below_the_seal(path: str) -> None:
    document = json.loads(json.dumps(DOCUMENT))
    document["canary"]["inputs"][0]["path"] = path
    with pytest.raises(DocumentError) as caught:
        parse_seal(json.dumps(document).encode(), "env.seal.json")
    assert caught.value.code == "seal-bad-value"
