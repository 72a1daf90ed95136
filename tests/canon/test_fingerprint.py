"""The fingerprint: its fixed parts, what each is over, and what never counts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factories import a_distribution, an_environment, an_interpreter, an_origin
from sanctity.canon.content import content_digest
from sanctity.canon.fingerprint import PARTS, fingerprint
from sanctity.model.environment import Hook, HookKind, RecordRow

if TYPE_CHECKING:
    from sanctity.model.environment import Distribution, Environment, Fingerprint

SEEDS: Final = frozenset({"pip", "setuptools", "wheel"})


def content(of: str) -> Distribution:
    """A distribution ``six`` with the one file *of*."""
    return a_distribution(content=content_digest([(of, of)]))


SIX: Final = content("six")
ATTRS: Final = a_distribution("attrs", "2.0", content=content_digest([("attrs", "x")]))
PIP: Final = a_distribution("pip", "26.0", content=content_digest([("pip", "x")]), record=(RecordRow("lib/pip.pth", "", b"", -1),))
HOOK: Final = Hook(HookKind.PTH_CODE, "lib/a.pth", bytes(32))
PLAIN: Final = an_environment(ATTRS, SIX, hooks=(HOOK,))


def taken(environment: Environment, *unclaimed: tuple[str, bytes]) -> Fingerprint:
    found = fingerprint(environment, seeds=SEEDS, unclaimed=unclaimed)
    assert found is not None
    return found


def changed(environment: Environment, *unclaimed: tuple[str, bytes]) -> list[str]:
    """The parts in which *environment* differs from `PLAIN`; the whole differs just where a part does."""
    one, other = taken(PLAIN), taken(environment, *unclaimed)
    parts = [name for (name, digest), (_, known) in zip(other.parts, one.parts, strict=True) if digest != known]
    assert (one.digest != other.digest) == bool(parts)
    return parts


def test_its_parts_are_fixed() -> None:
    assert tuple(name for name, _ in taken(PLAIN).parts) == PARTS
    assert [name for name, _ in taken(PLAIN).beside] == ["seeds"]
    assert len({digest for _, digest in taken(PLAIN).parts}) == len(PARTS)


@pytest.mark.parametrize(
    "environment",
    [
        replace(PLAIN, distributions=(SIX, ATTRS)),
        replace(PLAIN, distributions=(*PLAIN.distributions, PIP)),
        replace(PLAIN, distributions=(*PLAIN.distributions, PIP), hooks=(HOOK, HOOK._replace(path="lib/pip.pth"))),
        replace(PLAIN, prefix="/another/place"),
        replace(PLAIN, distributions=(ATTRS, replace(SIX, installer="pip", requested=True, origin=an_origin()))),
        replace(PLAIN, hooks=(HOOK._replace(effect="other words"),)),
        replace(PLAIN, interpreter=replace(PLAIN.interpreter, libc="musl", executable="x", base="/y", evidence="z", claimed="3")),
    ],
    ids=["order", "a seed", "a seed's hook", "the place", "who installed it", "words", "the interpreter's place"],
)
def test_what_never_counts(environment: Environment) -> None:
    assert changed(environment) == []


@pytest.mark.parametrize(
    ("environment", "part"),
    [
        (replace(PLAIN, distributions=(SIX,)), "distributions"),
        (replace(PLAIN, distributions=(ATTRS, SIX, SIX)), "distributions"),
        (replace(PLAIN, distributions=(ATTRS, content("other"))), "distributions"),
        (replace(PLAIN, distributions=(ATTRS, replace(SIX, version="1.1"))), "distributions"),
        (replace(PLAIN, distributions=(ATTRS, replace(SIX, key="seven"))), "distributions"),
        (replace(PLAIN, distributions=(replace(ATTRS, content=SIX.content), replace(SIX, content=ATTRS.content))), "distributions"),
        (replace(PLAIN, distributions=(ATTRS, replace(SIX, origin=an_origin(editable=True)))), "distributions"),
        (replace(PLAIN, interpreter=an_interpreter(version="3.11.8")), "interpreter"),
        (replace(PLAIN, interpreter=an_interpreter(abi="cpython-311t")), "interpreter"),
        (replace(PLAIN, interpreter=an_interpreter(machine="aarch64")), "interpreter"),
        (replace(PLAIN, interpreter=an_interpreter(implementation="pypy")), "interpreter"),
        (replace(PLAIN, hooks=()), "startup"),
        (replace(PLAIN, hooks=(HOOK._replace(digest=b"\1" * 32),)), "startup"),
        (replace(PLAIN, hooks=(HOOK._replace(path="lib/b.pth"),)), "startup"),
        (replace(PLAIN, hooks=(HOOK._replace(kind=HookKind.PTH_PATH),)), "startup"),
    ],
)
def test_what_counts(environment: Environment, part: str) -> None:
    assert changed(environment) == [part]


def test_unclaimed_code_counts_by_name_and_bytes() -> None:
    assert changed(PLAIN, ("lib/x.py", bytes(32))) == ["unclaimed"]
    some = [[("lib/x.py", bytes(32))], [("lib/y.py", bytes(32))], [("lib/x.py", b"\1" * 32)], [("lib/\udcff.py", bytes(32))], []]
    assert len({str(taken(PLAIN, *unclaimed).digest) for unclaimed in some}) == len(some)


def test_an_editable_counts_by_its_name_alone() -> None:
    here = replace(SIX, origin=an_origin(editable=True), content=None)
    there = replace(here, version="1.1", origin=an_origin(url="file:///elsewhere", editable=True), content=ATTRS.content)
    assert taken(replace(PLAIN, distributions=(here,))).digest == taken(replace(PLAIN, distributions=(there,))).digest


def test_seeds_are_told_beside() -> None:
    assert taken(PLAIN).beside != taken(replace(PLAIN, distributions=(*PLAIN.distributions, PIP))).beside
    found = fingerprint(replace(PLAIN, distributions=(*PLAIN.distributions, PIP)), seeds=frozenset(), unclaimed=())
    assert found is not None
    assert found.digest != taken(PLAIN).digest


def test_what_could_not_be_read_has_no_fingerprint() -> None:
    assert fingerprint(replace(PLAIN, distributions=(ATTRS, replace(SIX, content=None))), seeds=SEEDS, unclaimed=()) is None
    assert fingerprint(replace(PLAIN, interpreter=an_interpreter(version="")), seeds=SEEDS, unclaimed=()) is None


@given(st.permutations([ATTRS, SIX, PIP, a_distribution("zope-event", content=SIX.content), replace(SIX, version="0.9")]))
@settings(max_examples=100, derandomize=True, deadline=None)
def test_order_never_matters(items: list[Distribution]) -> None:
    one = taken(replace(PLAIN, distributions=tuple(items)))
    assert one == taken(replace(PLAIN, distributions=tuple(reversed(items))))
    assert one == taken(replace(PLAIN, distributions=tuple(sorted(items, key=lambda item: (item.key, item.version)))))
