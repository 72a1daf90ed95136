"""Reviews on values: the laws, the way to each package, and each reason to look with a near miss that stays silent."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factories import REGISTRY, a_digest, a_group, a_lock, a_pin, a_project, a_root, an_extra
from sanctity.compare.difference import difference
from sanctity.compare.inventory import inventory_of_lock
from sanctity.compare.review import Knowledge, review, ways
from sanctity.model.difference import LOOKS, Change, LookCode, PackageChange
from sanctity.model.drift import Severity
from sanctity.model.index import Offer
from sanctity.model.lock import Artifact, Dependency, LockFormat, Pin, RootKind, Source, SourceKind
from sanctity.model.wheel import WheelFacts, WheelHook

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sanctity.model.difference import Difference
    from sanctity.model.lock import Lock

TODAY = date(2026, 7, 11)
OLD, NEW = "2026-06-01T10:00:00Z", "2026-07-09T23:30:00Z"
PURE, LINUX, ARM, MAC, SDIST = (
    "{}-py3-none-any.whl",
    "{}-cp311-cp311-manylinux_2_17_x86_64.whl",
    "{}-cp311-cp311-manylinux_2_17_aarch64.whl",
    "{}-cp311-cp311-macosx_11_0_universal2.whl",
    "{}.tar.gz",
)
LAWS = settings(max_examples=150, derandomize=True, deadline=None)


def reviewed(before: Lock, after: Lock, *, min_age: int = 7, **known: Any) -> Difference:
    """The review of two locks on `TODAY`."""
    found = difference(inventory_of_lock(before), inventory_of_lock(after))
    return review(found, before, after, today=TODAY, min_age=min_age, knowledge=Knowledge(**known))


def artifacts(stem: str, kinds: Iterable[str], *, at: str = OLD, of: str = "") -> tuple[Artifact, ...]:
    """Files of the release *stem*, uploaded *at* a time; *of* makes other bytes of the same names."""
    return tuple(
        Artifact(
            filename=kind.format(stem), digests=(a_digest(kind.format(stem) + of),), upload_time=at, location=kind.format(stem)
        )
        for kind in kinds
    )


def pkg(version: str, *kinds: str, at: str = OLD, of: str = "", **fields: Any) -> Pin:
    """The package ``pkg``, with files of these *kinds*."""
    return a_pin("pkg", version, **{"artifacts": artifacts(f"pkg-{version}", kinds or (PURE,), at=at, of=of), **fields})


def lock(*pins: Pin, **fields: Any) -> Lock:
    """A lock whose project asks for all of *pins*, beside one package that never changes."""
    return a_lock(a_pin("same", "1.0"), *pins, **fields)


def looked(before: Pin | None, after: Pin | None, **options: Any) -> dict[LookCode, str]:
    """The looks of ``pkg``, where one lock has *before* and the other *after*."""
    found = reviewed(lock(*(each for each in (before,) if each)), lock(*(each for each in (after,) if each)), **options)
    (change,) = found.packages
    return {look.code: look.words for look in change.looks}


def offers(*stems: str, at: str = "", yanked: str | None = None, kind: str = PURE, digest: str = "") -> tuple[Offer, ...]:
    return tuple(
        Offer(
            filename=kind.format(stem),
            url=f"https://index.example/{stem}",
            digests=(a_digest(digest or kind.format(stem)),),
            upload_time=at,
            yanked=yanked,
        )
        for stem in stems
    )


def online(*groups: tuple[Offer, ...]) -> dict[str, Any]:
    """What the index of ``pkg`` says of it."""
    return {"offers": {("pkg", REGISTRY.location): tuple(offer for group in groups for offer in group)}}


# -- laws -------------------------------------------------------------------------------------------------------------------------

NAMES = ("a", "b", "c", "d")


@st.composite
def locks(draw: st.DrawFn) -> Lock:
    """A lock of a few packages that need each other in any way."""
    pins = [
        a_pin(
            name,
            draw(st.sampled_from(["1.0", "2.0"])),
            *sorted(draw(st.sets(st.sampled_from(NAMES)))),
            artifacts=artifacts(
                f"{name}-1", draw(st.sets(st.sampled_from([PURE, LINUX, SDIST]))), at=draw(st.sampled_from([OLD, NEW]))
            ),
            source=draw(st.sampled_from([REGISTRY, Source(kind=SourceKind.REGISTRY, location="https://other.example")])),
        )
        for name in NAMES
        if draw(st.booleans())
    ]
    roots = [
        a_project(*sorted(draw(st.sets(st.sampled_from(NAMES))))),
        a_group("dev", *sorted(draw(st.sets(st.sampled_from(NAMES))))),
    ]
    return a_lock(*pins, *roots)


@LAWS
@given(locks())
def test_a_lock_beside_itself_says_nothing(one: Lock) -> None:
    assert not reviewed(one, one).packages


@LAWS
@given(locks(), locks())
def test_swapping_the_sides_mirrors_what_has_a_mirror(one: Lock, other: Lock) -> None:
    there, back = reviewed(one, other).packages, reviewed(other, one).packages
    turned = {Change.ADDED: Change.REMOVED, Change.REMOVED: Change.ADDED}
    alone = {(change.name, turned.get(change.changes[0], change.changes[0])): change.why for change in there}
    assert {(change.name, change.changes[0]) for change in back if change.changes[0] in turned} == {
        key for key in alone if key[1] in turned
    }
    for change in back:
        if change.changes[0] in turned:
            assert change.why == alone[change.name, change.changes[0]]
    both = (LookCode.HASH_CHANGED, LookCode.SOURCE_CHANGED)
    for code in both:
        sides = [{change.name for change in side if code in {look.code for look in change.looks}} for side in (there, back)]
        assert sides[0] == sides[1]
    ups = [{change.name for change in side if word in change.changes} for side, word in ((there, Change.UP), (back, Change.DOWN))]
    assert ups[0] == ups[1] == {change.name for change in back if LookCode.DOWNGRADE in {look.code for look in change.looks}}


@LAWS
@given(locks(), locks(), st.randoms(use_true_random=False))
def test_no_order_matters(one: Lock, other: Lock, random: Any) -> None:
    def shuffled(lock: Lock) -> Lock:
        pins = [replace(pin, dependencies=tuple(random.sample(pin.dependencies, len(pin.dependencies)))) for pin in lock.pins]
        random.shuffle(pins)
        return replace(lock, pins=tuple(pins), roots=tuple(random.sample(lock.roots, len(lock.roots))))

    def told(found: Difference) -> list[object]:
        return [(change.name, change.changes, change.why, change.looks, change.age_days) for change in found.packages]

    assert told(reviewed(one, other)) == told(reviewed(shuffled(one), shuffled(other)))


@LAWS
@given(locks(), locks())
def test_looks_change_no_answer_and_the_gravest_comes_first(one: Lock, other: Lock) -> None:
    bare = difference(inventory_of_lock(one), inventory_of_lock(other))
    found = reviewed(one, other)
    assert (found.answer, len(found.packages), found.unchecked) == (bare.answer, len(bare.packages), bare.unchecked)
    order = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.NOTE: 2}
    for change in found.packages:
        ranks = [order[look.severity] for look in change.looks]
        assert ranks == sorted(ranks)
        assert change.weight is (change.looks[0].severity if change.looks else None)


def test_every_look_has_its_weight() -> None:
    assert set(LOOKS) == set(LookCode)
    assert {code for code, weight in LOOKS.items() if weight is Severity.ERROR} == {"hash-changed", "hash-contradicted"}


# -- why --------------------------------------------------------------------------------------------------------------------------


def why(lock: Lock, name: str, **options: Any) -> tuple[str, str, str]:
    """The way to *name* in *lock*, who asks, and of which project."""
    found = ways(lock, **options)
    pin = next(pin for pin in lock.pins if pin.name == name)
    told = found.get(id(pin))
    return (" ".join(step.name for step in told.steps), told.root, told.member) if told else ("", "", "")


def test_the_shortest_way_and_of_those_the_first_by_name() -> None:
    pins = (
        a_pin("top", "1.0", "middle"),
        a_pin("middle", "2.0", "low"),
        a_pin("b", "1.0", "low"),
        a_pin("a", "1.0", "low"),
        a_pin("low"),
    )
    made = a_lock(*pins, a_project("top", "b", "a"))
    assert why(made, "low") == ("a low", "", "")
    assert why(made, "middle") == ("top middle", "", "")
    assert why(made, "top") == ("top", "", "")
    told = ways(made)[id(made.pins[1])]
    assert [step.version for step in told.steps] == ["1.0", "2.0"]


def test_what_the_project_needs_comes_before_extras_and_groups_however_long_the_way() -> None:
    pins = (a_pin("top", "1.0", "low"), a_pin("low"), a_pin("plot"), a_pin("test", "1.0", "plot", "only"), a_pin("only"))
    made = a_lock(*pins, a_project("top"), a_group("dev", "low", "test"), an_extra("plots", "plot"))
    assert why(made, "low") == ("top low", "", "")
    assert why(made, "plot") == ("plot", "extra plots", "")
    assert why(made, "only") == ("test only", "group dev", "")


def test_a_member_of_a_workspace_is_named_and_is_no_step() -> None:
    folder = Source(kind=SourceKind.EDITABLE, location=".")
    pins = (
        a_pin("app", "1.0", "lib", "six", source=folder),
        a_pin("lib", "1.0", "idna", source=folder),
        a_pin("six"),
        a_pin("idna"),
    )
    roots = (
        a_root(RootKind.PROJECT, "", "app", "lib", "six", member="app"),
        a_root(RootKind.PROJECT, "", "lib", "idna", member="lib"),
    )
    made = a_lock(*pins, *roots)
    assert (why(made, "six"), why(made, "idna")) == (("six", "", "app"), ("idna", "", "lib"))


def test_an_extra_is_followed_where_an_edge_switches_it_on_alone() -> None:
    pins = (a_pin("web", "1.0", optional={"fast": ("loop",)}), a_pin("loop"))
    assert why(a_lock(*pins, a_project("web[fast]")), "loop") == ("web loop", "", "")
    assert why(a_lock(*pins, a_project("web")), "loop") == ("", "", "")


def test_a_way_goes_to_the_version_that_an_edge_means() -> None:
    two = (a_pin("six", "1.0"), a_pin("six", "2.0"), a_pin("top", "1.0", Dependency(name="six", version="2.0")))
    made = a_lock(*two, a_project("top"))
    found = ways(made)
    assert id(made.pins[0]) not in found
    assert found[id(made.pins[1])].steps[-1].version == "2.0"


def test_a_ring_of_packages_ends() -> None:
    made = a_lock(a_pin("a", "1.0", "b"), a_pin("b", "1.0", "a"), a_project("b"))
    assert why(made, "a") == ("b a", "", "")


def test_of_a_flat_list_only_its_own_words_are_known() -> None:
    flat = a_lock(a_pin("pandas", "2.0"), a_pin("numpy"), a_pin("odd"), format=LockFormat.REQUIREMENTS)
    assert why(flat, "numpy") == ("", "", "")
    said = {"pandas": ("",), "numpy": ("pandas", "gone")}
    assert why(flat, "numpy", parents=said) == ("pandas numpy", "", "")
    assert why(flat, "odd", parents=said) == ("", "", "")


# -- looks ------------------------------------------------------------------------------------------------------------------------


def test_new_transitive() -> None:
    before = a_lock(a_pin("top"), a_project("top"))
    after = a_lock(a_pin("top", "1.0", "pkg"), pkg("1.0"), a_project("top"))
    (change,) = [change for change in reviewed(before, after).packages if change.name == "pkg"]
    assert LookCode.NEW_TRANSITIVE in {look.code for look in change.looks}
    assert LookCode.NEW_TRANSITIVE not in looked(None, pkg("1.0"))
    flat = {"format": LockFormat.PYLOCK}
    assert not reviewed(lock(**flat), lock(pkg("1.0"), **flat)).packages[0].looks


@pytest.mark.parametrize(
    ("uploaded", "min_age", "words"),
    [
        ("2026-07-09T23:30:00Z", 7, "released 2 days ago, on 2026-07-09"),
        ("2026-07-09T23:30:00-04:00", 7, "released 1 day ago, on 2026-07-10"),
        ("2026-07-11", 1, "released today, on 2026-07-11"),
        ("2026-07-12T00:00:00Z", 7, "released on 2026-07-12, after the day of this report"),
        ("2026-07-04T00:00:00Z", 7, None),
        ("2026-07-04T00:00:00Z", 8, "released 7 days ago, on 2026-07-04"),
        ("2026-07-11", 0, None),
        ("yesterday", 7, None),
        ("", 7, None),
    ],
)
def test_recent(uploaded: str, min_age: int, words: str | None) -> None:
    for before in (None, pkg("1.0")):
        assert looked(before, pkg("1.1", at=uploaded), min_age=min_age).get(LookCode.RECENT) == words


def test_the_age_is_of_the_first_file_and_of_a_new_release_alone() -> None:
    files = (*artifacts("pkg-1.1", (PURE,), at=OLD), *artifacts("pkg-1.1", (LINUX,), at=NEW))
    (change,) = reviewed(lock(pkg("1.0")), lock(pkg("1.1", artifacts=files))).packages
    assert (change.age_days, LookCode.RECENT in {look.code for look in change.looks}) == (40, False)
    late = looked(pkg("1.1"), pkg("1.1", artifacts=files))
    assert late == {LookCode.RECENT: "pkg-1.1-cp311-cp311-manylinux_2_17_x86_64.whl was uploaded 2 days ago, on 2026-07-09"}
    assert looked(pkg("1.1"), pkg("1.1", PURE, LINUX)) == {
        LookCode.MORE_FILES: "1 more file may be installed under the same version"
    }
    (change,) = reviewed(lock(pkg("1.0")), lock()).packages
    assert (change.age_days, change.looks) == (None, ())


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("1.9", "2.0", "major version 1 to 2"),
        ("1.9", "1.10", None),
        ("0.95.1", "0.103.0", "0.95 to 0.103: before 1.0 any minor version may break"),
        ("0.95.1", "0.95.2", None),
        ("0.9", "1.0", "major version 0 to 1"),
        ("1.0", "1!1.0", "major version 1 to 1"),
        ("2025.1", "2026.2", None),
        ("20250101", "20260101", None),
        ("25.1", "26.1", None),
        ("13.0", "15.0", "major version 13 to 15"),
        ("2.0", "1.0", None),
        ("not", "versions", None),
    ],
)
def test_major(old: str, new: str, words: str | None) -> None:
    before, after = pkg(old, at="2025-03-01T00:00:00Z"), pkg(new, at="2026-03-01T00:00:00Z")
    assert looked(before, after).get(LookCode.MAJOR) == words


def test_a_year_is_one_only_where_the_day_says_so() -> None:
    assert LookCode.MAJOR in looked(pkg("25.1", at=""), pkg("26.1", at=""))
    assert LookCode.MAJOR in looked(pkg("25.1", at="2024-03-01T00:00:00Z"), pkg("26.1", at="2026-03-01T00:00:00Z"))


def test_native_code() -> None:
    code = LookCode.NATIVE_CODE
    assert code in looked(pkg("1.0", PURE), pkg("1.1", LINUX))
    assert code in looked(pkg("1.0", PURE), pkg("1.1", LINUX, PURE))  # the wheel for a platform is taken first
    assert code in looked(pkg("1.0", SDIST), pkg("1.1", LINUX, SDIST))
    assert code in looked(None, pkg("1.0", LINUX))
    assert code not in looked(None, pkg("1.0", PURE, SDIST))
    assert code not in looked(pkg("1.0", LINUX, PURE), pkg("1.1", LINUX))
    assert code not in looked(pkg("1.0", PURE), pkg("1.0", PURE, LINUX))
    bare = (Artifact(digests=(a_digest("x"),)),)
    assert code not in looked(pkg("1.0", artifacts=bare), pkg("1.1", LINUX))
    assert code not in looked(pkg("1.0", PURE), pkg("1.1", artifacts=bare))


def test_sdist_only() -> None:
    code = LookCode.SDIST_ONLY
    assert looked(pkg("1.0", PURE), pkg("1.1", SDIST))[code].endswith("there was a wheel before")
    assert code in looked(None, pkg("1.0", SDIST))
    assert code not in looked(pkg("1.0", SDIST), pkg("1.1", SDIST))
    assert code not in looked(pkg("1.0", PURE), pkg("1.1", PURE, SDIST))
    assert code not in looked(None, pkg("1.0", artifacts=()))


def test_wheels_lost() -> None:
    code = LookCode.WHEELS_LOST
    assert looked(pkg("1.0", LINUX, ARM, MAC), pkg("1.1", LINUX))[code] == (
        "no wheel any more for Linux aarch64, macOS arm64, macOS x86_64"
    )
    assert code not in looked(pkg("1.0", LINUX, ARM), pkg("1.1", PURE))
    assert code not in looked(pkg("1.0", LINUX), pkg("1.1", LINUX, ARM))
    assert code not in looked(pkg("1.0", LINUX), pkg("1.1", "{}-cp312-abi3-manylinux_2_28_x86_64.whl"))
    found = reviewed(lock(pkg("1.0", LINUX, ARM)), lock(pkg("1.1", LINUX), format=LockFormat.PYLOCK))
    assert code not in {look.code for look in found.packages[0].looks}  # pip locks for one platform


def test_hashes_changed_and_lost() -> None:
    assert looked(pkg("1.0"), pkg("1.0", of="evil")).keys() == {LookCode.HASH_CHANGED}
    bare = tuple(replace(artifact, digests=()) for artifact in artifacts("pkg-1.0", (PURE,)))
    assert looked(pkg("1.0"), pkg("1.0", artifacts=bare)).keys() == {LookCode.HASH_LOST}
    assert LookCode.HASH_LOST not in looked(pkg("1.0", artifacts=bare), pkg("1.0"))
    git = Source(kind=SourceKind.GIT, location="https://git.example/pkg", revision="a" * 40)
    assert LookCode.HASH_LOST not in looked(pkg("1.0"), pkg("1.0", artifacts=(), source=git))


def test_sources() -> None:
    git = Source(kind=SourceKind.GIT, location="https://git.example/pkg", revision="a" * 40)
    other = Source(kind=SourceKind.REGISTRY, location="https://other.example/simple")
    slashed = replace(REGISTRY, location=REGISTRY.location + "/")
    assert LookCode.SOURCE_CHANGED in looked(pkg("1.0"), pkg("1.0", source=git))
    assert LookCode.SOURCE_CHANGED in looked(pkg("1.0"), pkg("1.1", source=other))
    assert LookCode.SOURCE_CHANGED not in looked(pkg("1.0"), pkg("1.1", source=slashed))
    assert looked(None, pkg("1.0", source=git))[LookCode.NOT_FROM_INDEX] == "taken from a repository, and from no index"
    assert looked(None, pkg("1.0", source=other)).keys() == {LookCode.NEW_INDEX}
    assert looked(None, pkg("1.0", source=slashed)) == {}
    assert looked(None, pkg("1.0", source=replace(other, location=""))) == {}
    here = Source(kind=SourceKind.EDITABLE, location="lib")
    assert looked(None, pkg("1.0", source=here, artifacts=())) == {}


def test_downgrade_and_pre_release() -> None:
    assert looked(pkg("1.1"), pkg("1.0")).keys() == {LookCode.DOWNGRADE}
    assert looked(pkg("1.0+cpu"), pkg("1.0+cu121")) == {}
    assert LookCode.PRE_RELEASE in looked(pkg("1.0"), pkg("1.1rc1"))
    assert LookCode.PRE_RELEASE in looked(None, pkg("1.0.dev3"))
    assert LookCode.PRE_RELEASE not in looked(pkg("1.1rc1"), pkg("1.1rc2"))
    assert LookCode.PRE_RELEASE not in looked(pkg("1.1rc1"), pkg("1.1"))


# -- what an index says -----------------------------------------------------------------------------------------------------------


def test_without_the_index_nothing_of_it_is_said() -> None:
    asked = {LookCode.YANKED, LookCode.GONE, LookCode.FIRST_RELEASE, LookCode.HASH_CONTRADICTED}
    assert asked.isdisjoint(looked(None, pkg("1.0")))
    assert asked.isdisjoint(looked(pkg("1.0"), pkg("1.1"), offers={("other", REGISTRY.location): ()}))
    assert asked.isdisjoint(looked(pkg("1.0"), pkg("1.1"), offers={("pkg", "https://other.example"): ()}))


def test_yanked() -> None:
    code = LookCode.YANKED
    other = offers("pkg-1.0")
    assert looked(pkg("1.0"), pkg("1.1"), **online(other, offers("pkg-1.1", yanked="it  broke\n`all`")))[code] == (
        "yanked by its publisher: it broke `all`"
    )
    assert looked(pkg("1.0"), pkg("1.1"), **online(other, offers("pkg-1.1", yanked=" ")))[code] == "yanked by its publisher"
    assert code not in looked(pkg("1.0"), pkg("1.1"), **online(offers("pkg-1.0", yanked="old"), offers("pkg-1.1")))
    half = online(other, offers("pkg-1.1", yanked=""), offers("pkg-1.1", kind=LINUX))
    assert looked(pkg("1.0"), pkg("1.1", PURE, LINUX), **half)[code] == "1 of 2 files yanked by its publisher"
    assert code not in looked(pkg("1.0"), pkg("1.1", LINUX), **half)  # the yanked file is not locked


def test_gone() -> None:
    assert LookCode.GONE in looked(pkg("1.0"), pkg("1.1"), **online(offers("pkg-1.0")))
    assert LookCode.GONE in looked(pkg("1.0"), pkg("1.1"), **online())
    assert LookCode.GONE not in looked(pkg("1.0"), pkg("1.1"), **online(offers("pkg-1.0", "pkg-1.1.0")))


def test_first_release() -> None:
    code = LookCode.FIRST_RELEASE
    assert code in looked(None, pkg("1.0"), **online(offers("pkg-1.0")))
    assert code in looked(None, pkg("1.0"), **online(offers("pkg-1.0", at=OLD), offers("pkg-1.1", at=NEW)))
    assert code not in looked(None, pkg("1.1"), **online(offers("pkg-1.0", at=OLD), offers("pkg-1.1", at=NEW)))
    assert code not in looked(None, pkg("1.0"), **online(offers("pkg-1.0"), offers("pkg-1.1")))  # which was first, it does not say
    assert code in looked(None, pkg("1.0"), **online(offers("pkg-1.0"), offers("pkg-1.0", kind=SDIST)))


def test_another_hash_at_the_index() -> None:
    code = LookCode.HASH_CONTRADICTED
    assert looked(pkg("1.0"), pkg("1.1"), **online(offers("pkg-1.0"), offers("pkg-1.1", digest="evil")))[code] == (
        "its index states another hash for pkg-1.1-py3-none-any.whl"
    )
    assert code not in looked(pkg("1.0"), pkg("1.1"), **online(offers("pkg-1.0", digest="evil"), offers("pkg-1.1")))


def test_other_bytes_than_the_locked_ones_are_an_alarm() -> None:
    words = "pkg-1.1-py3-none-any.whl: the file there has sha256:aa, and sha256:bb is locked"
    found = looked(pkg("1.0"), pkg("1.1"), contradicted={("pkg", "1.1"): words})
    assert found == {LookCode.HASH_CONTRADICTED: words}
    assert LOOKS[LookCode.HASH_CONTRADICTED] is Severity.ERROR
    assert not looked(pkg("1.0"), pkg("1.1"), contradicted={("pkg", "1.0"): words})


def test_the_index_knows_the_day_better_than_a_lock() -> None:
    known = online(offers("pkg-1.0", at=OLD), offers("pkg-1.1", at=NEW))
    assert LookCode.RECENT in looked(pkg("1.0"), pkg("1.1", at=""), **known)
    assert LookCode.RECENT in looked(pkg("1.0"), pkg("1.1", at="2020-01-01T00:00:00Z"), **known)
    assert LookCode.RECENT not in looked(pkg("1.0"), pkg("1.1", at=NEW), **online(offers("pkg-1.1", at=OLD)))


# -- what wheels bring ------------------------------------------------------------------------------------------------------------

HOOK = WheelHook("lib/pkg.pth", "pth-code", "import pkg")


def opened(version: str, **fields: Any) -> dict[tuple[str, str], WheelFacts]:
    return {("pkg", version): WheelFacts(filename=f"pkg-{version}-py3-none-any.whl", **fields)}


def test_start_up_hook() -> None:
    code = LookCode.START_UP_HOOK
    one, two = opened("1.0", hooks=(HOOK,)), opened("1.1", hooks=(HOOK,))
    other = opened("1.1", hooks=(HOOK._replace(effect="import evil"),))
    assert looked(pkg("1.0"), pkg("1.1"), opened_before=opened("1.0"), opened_after=two)[code] == (
        "brings pkg.pth, code that every start of Python runs: import pkg"
    )
    folders = opened("1.1", hooks=(WheelHook("lib/pkg.pth", "pth-path", "/" + "x" * 80),))
    assert looked(pkg("1.0"), pkg("1.1"), opened_before=opened("1.0"), opened_after=folders)[code] == (
        "brings pkg.pth, which adds folders to where imports look"
    )
    assert looked(pkg("1.0"), pkg("1.1"), opened_before=one, opened_after=other)[code].startswith("changes pkg.pth,")
    assert code not in looked(pkg("1.0"), pkg("1.1"), opened_before=one, opened_after=two)
    assert code not in looked(pkg("1.0"), pkg("1.1"), opened_before=one, opened_after=opened("1.1"))
    assert code in looked(None, pkg("1.1"), opened_after=two)
    assert looked(pkg("1.0"), pkg("1.1"), opened_after=two)[code].endswith("(the old wheel was not opened)")
    assert code not in looked(pkg("1.0"), pkg("1.1"))


def test_runpath_and_machine_code_in_a_wheel_for_any_platform() -> None:
    native = opened("1.1", native=("lib/pkg/a.so",), runpaths=(("lib/pkg/a.so", "/opt/build/lib"),))
    found = looked(pkg("1.0"), pkg("1.1"), opened_before=opened("1.0"), opened_after=native)
    assert found.keys() == {LookCode.RUNPATH, LookCode.NATIVE_CODE}
    before = opened("1.0", native=("lib/pkg/a.so",), runpaths=(("lib/pkg/b.so", "/opt/build/lib"),))
    assert looked(pkg("1.0"), pkg("1.1"), opened_before=before, opened_after=native) == {}
    told = looked(pkg("1.0", LINUX), pkg("1.1", LINUX), opened_before=opened("1.0"), opened_after=native)
    assert told.keys() == {LookCode.RUNPATH}  # its names say that it is machine code


def test_a_change_keeps_all_else() -> None:
    before, after = lock(pkg("1.0")), lock(pkg("2.0", of="x"))
    bare = difference(inventory_of_lock(before), inventory_of_lock(after)).packages[0]
    (change,) = reviewed(before, after).packages
    assert isinstance(change, PackageChange)
    assert replace(change, why=None, looks=(), age_days=None) == bare
