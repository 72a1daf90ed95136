"""Differences on values: the laws, and what is made of each kind of change between locks, seals and environments."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factories import (
    REGISTRY,
    a_digest,
    a_distribution,
    a_group,
    a_lock,
    a_pin,
    a_project,
    a_root,
    an_environment,
    an_origin,
)
from sanctity.canon.content import content_digest
from sanctity.compare.difference import difference
from sanctity.compare.hooks import KNOWN_HOOKS
from sanctity.compare.inventory import inventory_of_environment, inventory_of_lock, inventory_of_seal, narrowed
from sanctity.compare.records import fingerprint_of
from sanctity.model.difference import Answer, Change, Difference, FileChange, PackageChange, PartChange
from sanctity.model.drift import Selection
from sanctity.model.environment import FileEntry, FileKind, Hook, HookKind, Problem, SystemFile
from sanctity.model.inventory import Inventory, InventoryKind, LockedFile, Package, Part
from sanctity.model.lock import Artifact, LockFormat, Pin, RootKind, Source, SourceKind
from sanctity.model.names import SEEDS
from sanctity.model.platform import StandardLibrary
from sanctity.model.policy import Policy, Waiver
from sanctity.model.seal import Canary, SealedLock
from sanctity.seals.document import seal_of
from sanctity.seals.files import files_of
from sanctity.seals.make import seal_environment
from sealing import PLATFORM, SITE, WHOLE, a_hook, on_platform, raw, sealed

if TYPE_CHECKING:
    from sanctity.model.environment import Distribution, Environment
    from sanctity.model.lock import Lock

LAWS = settings(max_examples=200, derandomize=True, deadline=None)

NAMES = st.sampled_from(["attrs", "click", "idna", "pip", "six", "torch"])
VERSIONS = st.sampled_from(["", "1.0", "1.0.0", "1.0+cpu", "1.0rc1", "2.0", "not a version"])
DIGESTS = st.sampled_from([str(a_digest(text)) for text in "abc"] + ["", "md5:" + "0" * 32])
FILES = st.builds(LockedFile, st.sampled_from(["", "one.whl", "two.whl"]), DIGESTS)
ROWS = st.dictionaries(st.sampled_from(["lib/a.py", "lib/b.py", "scripts/c"]), st.sampled_from("xyz"), max_size=3).map(
    lambda rows: tuple(sorted(rows.items()))
)


@st.composite
def packages(draw: st.DrawFn, kind: InventoryKind) -> Package:
    """A package as an inventory of *kind* states one."""
    origin = draw(st.sampled_from(["index", "editable", "archive", "git:" + "a" * 40, "directory", "git"]))
    package = Package(name=draw(NAMES), version=draw(VERSIONS), origin=origin)
    if kind is InventoryKind.LOCK:
        return replace(
            package,
            specifier="" if package.version else draw(st.sampled_from(["", ">=1", "<1"])),
            artifacts=tuple(sorted(draw(st.sets(FILES, max_size=3)))),
            marker=draw(st.sampled_from(["", "os_name == 'nt'"])),
            place=draw(st.sampled_from(["", "https://index.example/simple", "https://other.example"])),
            needed=draw(st.booleans()),
            doubt=draw(st.sampled_from([None, ("marker-unknown", "who knows")])),
        )
    if origin == "editable":
        return package
    rows = draw(ROWS)
    known = draw(st.booleans())
    return replace(
        package,
        content=content_digest(rows) if draw(st.integers(0, 9)) else None,
        rows=rows if known else None,
        seed=kind is InventoryKind.ENVIRONMENT and package.name in SEEDS,
    )


@st.composite
def inventories(draw: st.DrawFn) -> Inventory:
    kind = draw(st.sampled_from(InventoryKind))
    names = ["requires"] if kind is InventoryKind.LOCK else ["startup", "python", "native", "settings"]
    parts = tuple(Part(name, draw(ROWS)) for name in names if draw(st.booleans()))
    missing = [name for name in ("startup", "native") if name not in {part.name for part in parts}]
    return Inventory(
        kind=kind,
        path="somewhere",
        format=draw(st.sampled_from(["uv", "poetry"])) if kind is InventoryKind.LOCK else "",
        packages=tuple(draw(st.lists(packages(kind), max_size=6))),
        parts=parts,
        unknown=tuple((name, "nobody could tell") for name in missing if draw(st.booleans())),
    )


def _mirrored(found: Difference) -> Difference:
    """What *found* should be from the other side."""
    turned = {Change.ADDED: Change.REMOVED, Change.REMOVED: Change.ADDED, Change.UP: Change.DOWN, Change.DOWN: Change.UP}
    return Difference(
        before=found.after,
        after=found.before,
        packages=tuple(
            PackageChange(
                name=change.name,
                changes=tuple(turned.get(each, each) for each in change.changes),
                before=change.after,
                after=change.before,
                files=tuple(FileChange(path, after, before) for path, before, after in change.files),
                gone=change.new,
                new=change.gone,
            )
            for change in found.packages
        ),
        parts=tuple(PartChange(part, key, after, before) for part, key, before, after in found.parts),
        unchecked=found.unchecked,
    )


# -- laws -------------------------------------------------------------------------------------------------------------------------


@LAWS
@given(inventories())
def test_nothing_differs_from_itself(inventory: Inventory) -> None:
    found = difference(inventory, inventory)
    assert not found.packages
    assert not found.parts
    assert found.answer is not Answer.DIFFERENT


@LAWS
@given(inventories(), inventories())
def test_swapping_the_sides_mirrors_it(one: Inventory, other: Inventory) -> None:
    assert difference(other, one) == _mirrored(difference(one, other))


@LAWS
@given(inventories(), inventories(), st.randoms(use_true_random=False))
def test_order_never_matters(one: Inventory, other: Inventory, random: object) -> None:
    shuffled = list(one.packages)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    again = replace(one, packages=tuple(shuffled), parts=one.parts[::-1])
    assert replace(difference(again, other), before=one) == difference(one, other)


@LAWS
@given(st.lists(ROWS, min_size=1, max_size=4), st.data())
def test_one_changed_row_is_always_found_and_named(contents: list[tuple[tuple[str, str], ...]], data: st.DataObject) -> None:
    names = ["attrs", "click", "idna", "six"]
    whole = [rows or (("lib/a.py", "x"),) for rows in contents]
    found = [a_distribution(name, content=content_digest(rows), rows=rows) for name, rows in zip(names, whole, strict=False)]
    at = data.draw(st.integers(0, len(found) - 1))
    row = data.draw(st.integers(0, len(whole[at]) - 1))
    key, value = whole[at][row]
    rows = tuple(sorted([*whole[at][:row], (key, value + "!"), *whole[at][row + 1 :]]))
    changed = [*found[:at], replace(found[at], content=content_digest(rows), rows=rows), *found[at + 1 :]]
    answer = difference(_taken(an_environment(*found)), _taken(an_environment(*changed)))
    assert [change.name for change in answer.packages] == [found[at].key]
    assert answer.packages[0].files == (FileChange(key, value, value + "!"),)
    assert answer.packages[0].alarming


@LAWS
@given(inventories(), inventories())
def test_leaving_something_out_never_makes_it_the_same(one: Inventory, other: Inventory) -> None:
    """A side that states less leaves more open, and what is open is told."""
    blank = replace(other, packages=tuple(replace(item, content=None, rows=None) for item in other.packages))
    if difference(one, blank).answer is Answer.SAME and difference(one, other).answer is not Answer.SAME:
        assert InventoryKind.LOCK in {one.kind, other.kind}


# -- locks ------------------------------------------------------------------------------------------------------------------------


def _locks(before: Pin | Lock, after: Pin | Lock) -> Difference:
    one, other = (side if not isinstance(side, Pin) else a_lock(side) for side in (before, after))
    return difference(inventory_of_lock(one), inventory_of_lock(other))


def _artifacts(*files: tuple[str, str]) -> tuple[Artifact, ...]:
    return tuple(Artifact(filename=name, digests=(a_digest(of),) if of else ()) for name, of in files)


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        ("1.0", "1.1", Change.UP),
        ("1.1", "1.0", Change.DOWN),
        ("1.9", "1.10", Change.UP),
        ("2.0rc1", "2.0", Change.UP),
        ("1!1.0", "2.0", Change.DOWN),
        ("2.1+cpu", "2.1+cu121", Change.SIDEWAYS),
        ("2024.1", "unknown", Change.SIDEWAYS),
    ],
)
def test_a_version_goes_up_down_or_sideways(before: str, after: str, change: Change) -> None:
    (found,) = _locks(a_pin("six", before), a_pin("six", after)).packages
    assert found.changes == (change,)
    assert not found.alarming


def test_two_spellings_of_a_version_are_one() -> None:
    files = _artifacts(("six.whl", "a"))
    assert _locks(a_pin("six", "1.0", artifacts=files), a_pin("six", "1.0.0", artifacts=files)).answer is Answer.SAME


def test_what_came_and_what_went() -> None:
    found = _locks(a_lock(a_pin("six"), a_pin("idna")), a_lock(a_pin("idna"), a_pin("click")))
    assert [(change.name, change.changes) for change in found.packages] == [("click", (Change.ADDED,)), ("six", (Change.REMOVED,))]


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        ([("a.whl", "1")], [("a.whl", "2")], Change.HASHES),
        ([("a.whl", "1"), ("b.whl", "2")], [("a.whl", "1"), ("b.whl", "3")], Change.HASHES),
        ([("a.whl", "1")], [("a.whl", "1"), ("b.whl", "2")], Change.ARTIFACTS),
        ([("a.whl", "1"), ("b.whl", "2")], [("b.whl", "2")], Change.ARTIFACTS),
        ([("", "1"), ("", "2")], [("", "3"), ("", "4")], Change.HASHES),
        ([("", "1"), ("", "2")], [("", "2"), ("", "3")], Change.ARTIFACTS),
        ([("a.whl", "1")], [("a.whl", "")], Change.ARTIFACTS),
        ([("a.whl", "1"), ("b.whl", "2")], [("", "1"), ("", "2")], None),
        ([("a.whl", "1")], [("", "2")], Change.HASHES),
    ],
)
def test_artifacts_of_one_version(before: list[tuple[str, str]], after: list[tuple[str, str]], change: Change | None) -> None:
    found = _locks(a_pin(artifacts=_artifacts(*before)), a_pin(artifacts=_artifacts(*after)))
    assert [each.changes for each in found.packages] == ([(change,)] if change else [])


def test_hashes_of_other_algorithms_can_not_be_compared() -> None:
    md5 = Artifact(digests=(replace(a_digest(), algorithm="md5", value="0" * 32),))
    found = _locks(a_pin(artifacts=(md5,)), a_pin(artifacts=_artifacts(("", "1"))))
    assert not found.packages
    assert [item.code for item in found.unchecked] == ["not-stated"]


def test_another_source_is_told_beside_the_version() -> None:
    git = Source(kind=SourceKind.GIT, location="https://git.example/six", revision="a" * 40)
    (found,) = _locks(a_pin("six", "1.0"), a_pin("six", "1.1", source=git)).packages
    assert found.changes == (Change.UP, Change.SOURCE)
    other = replace(REGISTRY, location="https://mirror.example/simple")
    (found,) = _locks(a_pin(), a_pin(source=other)).packages
    assert found.changes == (Change.SOURCE,)
    assert _locks(a_pin(), a_pin(source=replace(REGISTRY, location=REGISTRY.location + "/"))).answer is Answer.SAME


def test_several_pins_of_one_name_are_told_apart_by_their_markers() -> None:
    windows, others = "sys_platform == 'win32'", "sys_platform != 'win32'"
    before = a_lock(a_pin("six", "1.0", marker=windows), a_pin("six", "2.0", marker=others))
    after = a_lock(a_pin("six", "1.1", marker=windows), a_pin("six", "2.0", marker=others))
    (found,) = _locks(before, after).packages
    assert (found.changes, found.before and found.before.version, found.after and found.after.version) == (
        (Change.UP,),
        "1.0",
        "1.1",
    )


def test_a_lock_and_its_export_are_the_same_but_for_the_project() -> None:
    pin = a_pin()
    bare = tuple(replace(artifact, filename="") for artifact in pin.artifacts)
    root = a_pin("mine", source=Source(kind=SourceKind.VIRTUAL, location="."), artifacts=())
    export = a_lock(replace(pin, artifacts=bare, source=replace(REGISTRY, location="")), format=LockFormat.REQUIREMENTS)
    found = _locks(a_lock(pin, root), export)
    assert found.answer is Answer.SAME
    assert [item.what for item in found.unchecked] == ["mine"]


def test_many_pins_of_one_name_are_paired_in_bounded_time() -> None:
    """Of twenty thousand pins of one name, of which one goes up, just that one is told."""
    pins = [a_pin("six", "1.0", marker=f"os_name == '{number}'") for number in range(20_000)]
    changed = [replace(pins[0], version="1.1"), *pins[1:]]
    (found,) = _locks(a_lock(*pins, a_project("six")), a_lock(*reversed(changed), a_project("six"))).packages
    assert found.changes == (Change.UP,)


def test_a_loose_row_that_was_pinned() -> None:
    loose = Pin(name="six", source=REGISTRY, specifier=">=1")
    (found,) = _locks(loose, a_pin("six", "1.0")).packages
    assert Change.SIDEWAYS in found.changes


def test_requires_python_of_two_locks() -> None:
    found = _locks(a_lock(a_pin(), requires_python=">=3.9"), a_lock(a_pin(), requires_python=">=3.10"))
    assert found.parts == (PartChange("requires", "requires-python", ">=3.9", ">=3.10"),)


def test_what_only_one_format_states_of_python_is_no_change() -> None:
    stated, export = a_lock(a_pin(), requires_python=">=3.9"), a_lock(a_pin(), format=LockFormat.REQUIREMENTS)
    for sides in ((stated, export), (export, stated)):
        found = _locks(*sides)
        assert (found.answer, found.parts) == (Answer.SAME, ())
        assert "requires-python" in [item.what for item in found.unchecked]
    # One that could state it, and does not, says that any Python will do.
    assert _locks(stated, replace(stated, requires_python="")).parts
    assert _locks(stated, replace(export, requires_python=">=3.10")).parts


def _for_whom(before: Lock, after: Lock) -> Difference:
    """What two locks differ in, for whom their packages are there too."""
    return difference(inventory_of_lock(before, beside=after), inventory_of_lock(after, beside=before))


@pytest.mark.parametrize(
    ("before", "after", "python", "shown"),
    [
        ("sys_platform == 'win32'", 'sys_platform=="win32"', "", None),
        ("python_version >= '3.9' or python_version < '3.9'", "", "", None),
        ("os_name == 'nt' and (os_name == 'nt' or extra == 'x')", "os_name == 'nt'", "", None),
        ("python_full_version < '3.10'", "python_full_version >= '3.9' and python_full_version < '3.10'", ">=3.9", None),
        ("python_version == '3.9' and os_name == 'nt'", "python_version < '3.10' and os_name == 'nt'", ">=3.9", None),
        (
            "sys_platform == 'win32'",
            "(sys_platform == 'win32' and python_version >= '3.8') or (sys_platform == 'linux' and python_version >= '3.8')",
            ">=3.9",
            ("sys_platform == 'win32'", "sys_platform == 'linux' or sys_platform == 'win32'"),
        ),
        (
            "python_full_version >= '3.12'",
            "python_full_version == '3.11.*'",
            ">=3.9",
            ("python_full_version >= '3.12'", "python_full_version >= '3.11' and python_full_version < '3.12'"),
        ),
        ("", "extra == 'x' and python_version > '3'", ">=3.8", ("", "extra == 'x'")),
        (
            "os_name == 'nt'",
            "os_name == 'nt' and os_name == 'posix'",
            "",
            ("os_name == 'nt'", "os_name == 'nt' and os_name == 'posix'"),
        ),
        ("os_name == 'nt'", "this is none", "", ("os_name == 'nt'", "this is none")),
    ],
)
def test_markers_are_compared_by_what_they_mean(before: str, after: str, python: str, shown: tuple[str, str] | None) -> None:
    one, other = (a_lock(a_pin(marker=marker), requires_python=python) for marker in (before, after))
    for sides, words in (((one, other), shown), ((other, one), shown and shown[::-1])):
        found = [change for change in _for_whom(*sides).packages if Change.MARKER in change.changes]
        assert [(each.before and each.before.where, each.after and each.after.where) for each in found] == (
            [words] if words else []
        )


def test_markers_that_are_too_many_are_compared_as_they_are_written() -> None:
    pins = [a_pin("six", f"1.{number}", marker=f"os_name == '{number}'") for number in range(1_200)]
    changed = [replace(pins[0], marker="os_name=='0'"), *pins[1:]]
    (found,) = _for_whom(a_lock(*pins), a_lock(*changed)).packages
    assert found.changes == (Change.MARKER,)
    assert _for_whom(a_lock(*pins), a_lock(*reversed(pins))).answer is Answer.SAME


def test_pins_of_one_name_say_which_they_are() -> None:
    windows, others = "sys_platform=='win32'", "sys_platform!='win32'"
    before = a_lock(a_pin("six", "1.0", marker=windows), a_pin("six", "2.0", marker=others), a_pin("idna", "1", marker=windows))
    after = a_lock(a_pin("six", "1.1", marker=windows), a_pin("six", "2.1", marker=others), a_pin("idna", "2", marker=windows))
    told = {(change.name, change.after.version): change.fork for change in _for_whom(before, after).packages if change.after}
    assert told == {("idna", "2"): "", ("six", "1.1"): "sys_platform == 'win32'", ("six", "2.1"): "sys_platform != 'win32'"}


def test_what_an_older_layout_of_a_lock_does_not_say_is_no_change() -> None:
    """Poetry before 2.1 has no groups, and its markers with what asks; since then each package says both for itself."""
    unsure = a_root(RootKind.PROJECT, "main", "idna", complete=False)
    older = a_lock(a_pin("idna", "1.0", 'six; os_name == "nt"'), a_pin("six", "1.0"), unsure, format=LockFormat.POETRY)
    stated = a_lock(
        a_pin("idna", "1.0"),
        a_pin("six", "1.0", marker='os_name == "nt"'),
        a_root(RootKind.PROJECT, "main", "idna", "six"),
        a_group("dev", "six", default=True),
        format=LockFormat.POETRY,
        digest=a_digest("newer"),
    )
    for sides in ((older, stated), (stated, older)):
        found = _for_whom(*sides)
        assert (found.answer, found.packages) == (Answer.SAME, ())
        told = {item.what for item in found.unchecked}
        assert {"six", "for whom packages are installed", "which groups and extras ask for packages"} <= told
    # With its project beside it, an older one says for whom its packages are: that much is compared, and found.
    known = replace(older, roots=(a_root(RootKind.PROJECT, "main", "idna"),))
    assert not _for_whom(known, stated).packages
    narrower = replace(known, pins=(a_pin("idna", "1.0", 'six; os_name == "posix"'), *known.pins[1:]))
    assert [change.changes for change in _for_whom(narrower, stated).packages if change.name == "six"] == [(Change.REACH,)]
    # And two of one layout that know nothing more than each other say so.
    assert "for whom packages are installed" in {item.what for item in _for_whom(older, older).unchecked}


# -- environments -----------------------------------------------------------------------------------------------------------------


def _item(name: str = "six", version: str = "1.0", text: str = "x", **fields: object) -> Distribution:
    rows = ((f"lib/{name}.py", text),)
    return a_distribution(name, version, content=content_digest(rows), rows=rows, **fields)


def _taken(environment: Environment) -> Inventory:
    return inventory_of_environment(environment)


def _beside(lock: Lock, *installed: Distribution, project: str = "") -> Difference:
    there = inventory_of_environment(an_environment(*installed), seeds=SEEDS - lock.names())
    return difference(narrowed(inventory_of_lock(lock, project=project), lock, there), there)


def test_a_lock_beside_an_environment_asks_for_what_is_selected() -> None:
    lock = a_lock(
        a_pin("six"),
        a_pin("colorama"),
        a_pin("pytest", "8.0"),
        a_project("six", "colorama; sys_platform == 'win32'"),
        a_group("dev", "pytest", default=False),
    )
    found = _beside(lock, _item("six"))
    assert found.answer is Answer.SAME
    found = _beside(lock, _item("six"), _item("pytest", "8.0"))
    assert found.answer is Answer.SAME
    found = _beside(lock, _item("pytest", "7.0"), _item("rogue"))
    assert [(change.name, change.changes) for change in found.packages] == [
        ("pytest", (Change.DOWN,)),
        ("rogue", (Change.ADDED,)),
        ("six", (Change.REMOVED,)),
    ]


def test_what_a_lock_can_not_decide_is_undecided() -> None:
    lock = a_lock(a_pin("six"), a_project("six; platform_release >= '5'"))
    assert _beside(lock).answer is Answer.UNDECIDED


def test_a_locks_version_takes_any_local_part_of_what_is_installed() -> None:
    assert _beside(a_lock(a_pin("torch", "2.1")), _item("torch", "2.1+cu121")).answer is Answer.SAME
    assert _beside(a_lock(a_pin("torch", "2.1+cpu")), _item("torch", "2.1+cu121")).packages[0].changes == (Change.SIDEWAYS,)


def test_the_source_of_what_is_installed_against_the_locks() -> None:
    commit = "a" * 40
    git = Source(kind=SourceKind.GIT, location="https://git.example/six", revision=commit)
    origin = an_origin("vcs", "https://git.example/six", commit=commit)
    assert _beside(a_lock(a_pin(source=git)), _item(origin=origin)).answer is Answer.SAME
    (found,) = _beside(a_lock(a_pin(source=git)), _item(origin=replace(origin, commit="b" * 40))).packages
    assert found.changes == (Change.SOURCE,)
    (found,) = _beside(a_lock(a_pin()), _item(origin=origin)).packages
    assert found.changes == (Change.SOURCE,)
    archive = an_origin("archive", "https://index.example/files/six-1.0-py3-none-any.whl", digests=(a_digest("six-1.0"),))
    assert _beside(a_lock(a_pin()), _item(origin=archive)).answer is Answer.SAME
    (found,) = _beside(a_lock(a_pin()), _item(origin=replace(archive, digests=(a_digest("forged"),)))).packages
    assert found.changes == (Change.SOURCE, Change.HASHES)


def test_the_project_that_a_lock_does_not_name_is_no_difference() -> None:
    mine = _item("mine", origin=an_origin(editable=True))
    assert _beside(a_lock(a_pin()), _item(), mine, project="mine").answer is Answer.SAME
    assert _beside(a_lock(a_pin()), _item(), mine).answer is Answer.DIFFERENT


def test_seeds_are_compared_where_both_have_them() -> None:
    bare, seeded = an_environment(_item()), an_environment(_item("pip", "24.0"), _item())
    assert difference(_taken(bare), _taken(seeded)).answer is Answer.SAME
    other = an_environment(_item("pip", "24.0", "tampered"), _item())
    assert difference(_taken(seeded), _taken(other)).packages[0].changes == (Change.CONTENT,)


def test_content_that_could_not_be_read_is_undecided() -> None:
    found = difference(_taken(an_environment(_item())), _taken(an_environment(replace(_item(), content=None, rows=None))))
    assert found.answer is Answer.UNDECIDED
    problem = Problem("unreadable", "lib/python3.11/site-packages/six.py", "Permission denied")
    assert difference(_taken(an_environment()), _taken(an_environment(problems=(problem,)))).answer is Answer.UNDECIDED


def test_an_editable_is_compared_by_its_name_alone() -> None:
    one, other = (_item("mine", "1.0", text, origin=an_origin(editable=True)) for text in "xy")
    found = difference(_taken(an_environment(one)), _taken(an_environment(other)))
    assert found.answer is Answer.SAME
    assert [item.code for item in found.unchecked if item.what == "mine"] == ["editable-source"]


def test_a_start_up_hook_is_a_file_of_its_own() -> None:
    hook = Hook(HookKind.PTH_CODE, "lib/python3.11/site-packages/evil.pth", a_digest("evil").raw)
    found = difference(_taken(an_environment()), _taken(an_environment(hooks=(hook,))))
    assert [(row.part, row.before) for row in found.parts] == [("startup", "")]
    assert found.answer is Answer.DIFFERENT


# -- seals ------------------------------------------------------------------------------------------------------------------------


def _sealed(environment: Environment) -> Inventory:
    found = fingerprint_of(environment, SEEDS)
    assert found is not None
    sealed = seal_environment(environment, found, seeds=SEEDS)
    return inventory_of_seal(seal_of("env.seal.json", [sealed]), sealed)


def test_an_environment_and_its_own_seal_are_the_same() -> None:
    environment = an_environment(_item(), _item("mine", origin=an_origin(editable=True)), _item("pip"))
    found = difference(_sealed(environment), _taken(environment))
    assert not found.packages
    assert not found.parts


def test_a_seal_names_the_package_and_with_its_rows_the_file() -> None:
    environment, other = an_environment(_item()), an_environment(_item(text="y"))
    (found,) = difference(_sealed(environment), _taken(other)).packages
    assert (found.changes, found.files) == ((Change.CONTENT,), ())
    bare = _sealed(environment)
    full = replace(bare, packages=tuple(replace(item, rows=(("lib/six.py", "x"),)) for item in bare.packages))
    (found,) = difference(full, _taken(other)).packages
    assert found.files == (FileChange("lib/six.py", "x", "y"),)


def test_a_seal_beside_a_later_lock_of_the_same_path() -> None:
    lock = a_lock(a_pin("six", "1.0"), digest=a_digest("later"))
    entry = replace(sealed(an_environment(_item())), lock=SealedLock(path="sub/uv.lock", format="uv", digest=a_digest("sealed")))
    seal = inventory_of_seal(seal_of("env.seal.json", [entry]), entry)
    told = (PartChange("lock", "sub/uv.lock", str(a_digest("sealed")), str(a_digest("later"))),)
    beside = narrowed(inventory_of_lock(lock), lock, seal)
    assert difference(seal, beside).parts == told
    assert difference(beside, seal) == _mirrored(difference(seal, beside))
    assert difference(seal, replace(beside, path="HEAD:uv.lock")).parts == told
    assert difference(seal, replace(beside, path="other.lock")).parts == ()
    assert difference(seal, replace(beside, digest=str(a_digest("sealed")))).parts == ()


def test_what_a_known_tool_leaves_in_each_of_its_environments_is_no_difference() -> None:
    known = bytes.fromhex(next(iter(KNOWN_HOOKS)))
    hook = Hook(HookKind.PTH_CODE, f"{SITE}/_virtualenv.pth", known)
    entry = FileEntry(f"{SITE}/_virtualenv.py", FileKind.FILE, 1, known, 1, 1)
    seen = an_environment(_item(), hooks=(hook,), files={entry.path: entry})
    assert difference(_taken(an_environment(_item())), _taken(seen)).answer is Answer.SAME
    evil = entry._replace(digest=raw("evil"))
    found = difference(_taken(seen), _taken(replace(seen, files={entry.path: evil})))
    assert [(row.part, row.key) for row in found.parts] == [("unclaimed", entry.path)]


def test_a_seal_beside_the_lock_it_was_made_under() -> None:
    lock = a_lock(a_pin("six", "1.0"), a_pin("colorama"), a_project("six", "colorama; sys_platform == 'win32'"))
    sealed = _sealed(an_environment(_item()))
    assert difference(narrowed(inventory_of_lock(lock), lock, sealed), sealed).answer is Answer.SAME
    newer = a_lock(a_pin("six", "1.1"), a_project("six"))
    (found,) = difference(narrowed(inventory_of_lock(newer), newer, sealed), sealed).packages
    assert found.changes == (Change.DOWN,)


# -- parts ------------------------------------------------------------------------------------------------------------------------


def _parts(environment: Environment) -> set[tuple[str, str]]:
    """The (part, key) rows in which *environment* differs from `WHOLE`, the same ones as from its seal's."""
    entry = sealed()
    seal = inventory_of_seal(seal_of("env.seal.json", [entry]), entry, rows=files_of(WHOLE))
    from_environment, from_seal = (difference(side, _taken(environment)) for side in (_taken(WHOLE), seal))
    assert from_environment.parts == from_seal.parts
    assert from_environment.packages == from_seal.packages == ()
    return {(row.part, row.key) for row in from_environment.parts}


def test_what_an_environment_stands_on_is_the_same_from_either_side() -> None:
    assert _parts(WHOLE) == set()


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"build": replace(PLATFORM.build, executable=a_digest("other"))}, {("interpreter", "executable")}),
        ({"libc": "glibc 2.37"}, {("native", "libc")}),
        ({"libraries": PLATFORM.libraries[:1]}, {("native", "libm.so.6")}),
        ({"cpu": replace(PLATFORM.cpu, features=("avx",))}, {("cpu", "avx2")}),
        ({"blas": ()}, {("blas", "numpy.libs/libopenblas.so")}),
        ({"accelerators": PLATFORM.accelerators * 2}, {("accelerators", "cuda H100 #2")}),
        (
            {"stdlib": replace(PLATFORM.stdlib, sources=(("json/decoder.py", raw("decoder")), ("random.py", raw("evil"))))},
            {("stdlib", "random.py")},
        ),
        ({"stdlib": replace(PLATFORM.stdlib, built=())}, {("stdlib", "lib-dynload/_ssl.so")}),
        ({"settings": (("OMP_NUM_THREADS", "4"),)}, set()),
    ],
)
def test_each_part_of_a_platform_is_told_row_by_row(fields: dict[str, object], told: set[tuple[str, str]]) -> None:
    assert _parts(on_platform(WHOLE, **fields)) == told


def test_the_interpreter_hooks_and_scripts_are_told() -> None:
    other = replace(WHOLE, interpreter=replace(WHOLE.interpreter, version="3.11.8"), activation=(("bin/activate", raw("evil")),))
    assert _parts(replace(other, hooks=(a_hook(),))) == {
        ("python", "version"),
        ("activation", "bin/activate"),
        ("startup", f"pth-code {SITE}/hook.pth"),
    }


def test_a_part_that_one_side_does_not_know_is_told_and_the_standard_library_leaves_it_undecided() -> None:
    blind = on_platform(unknown=(("native", "it is no ELF"),), libraries=(), libc="")
    found = difference(_taken(WHOLE), _taken(blind))
    assert found.answer is Answer.SAME
    assert [(item.what, item.in_scope) for item in found.unchecked] == [("native", False)]
    blind = on_platform(unknown=(("stdlib", "it is a zip"),), stdlib=StandardLibrary())
    assert difference(_taken(WHOLE), _taken(blind)).answer is Answer.UNDECIDED
    assert difference(_taken(WHOLE), _taken(replace(WHOLE, platform=None))).answer is Answer.UNDECIDED


def test_policy_waivers_and_canary_of_two_seals() -> None:
    entry = sealed()
    waiver = Waiver(id="W-1", code="file-altered", path="six.py", reason="r", owner="a", approver="b", until=date(2027, 1, 31))
    canary = Canary(command=("python", "canary.py"), output=a_digest("out"))
    other = replace(entry, settings=(("OMP_NUM_THREADS", "4"),), selection=Selection(groups=("dev",)), accepted=("x",))
    one = seal_of("env.seal.json", [entry])
    two = seal_of("env.seal.json", [other], policy=Policy(gate=("cpu",)), waivers=[waiver], canary=canary)
    found = difference(inventory_of_seal(one, entry), inventory_of_seal(two, other))
    told = {part: [row.key for row in found.parts if row.part == part] for part in dict.fromkeys(row.part for row in found.parts)}
    assert told == {
        "settings": ["OMP_NUM_THREADS"],
        "selection": ["groups"],
        "accepted": ["x"],
        "policy": ["gate"],
        "waivers": ["W-1"],
        "canary": ["command", "output", "timeout"],
    }


def test_packages_of_the_system_are_told_by_their_files() -> None:
    def conda(text: str, version: str = "1.0") -> Environment:
        file = SystemFile("lib/python3.11/site-packages/six.py", "six", b"", raw(text), present=True, content=raw(text))
        item = replace(_item("six", version), keeper="six", content=None, rows=None)
        return an_environment(item, system=(file,), manager="conda")

    found = difference(_taken(conda("x")), _taken(conda("y")))
    (change,) = found.packages
    assert (change.name, change.changes) == ("system:six", (Change.CONTENT,))
    assert [each.path for each in change.files] == ["lib/python3.11/site-packages/six.py"]
    assert difference(_taken(conda("x")), _taken(conda("x"))).answer is Answer.SAME
    assert difference(_sealed(conda("x")), _taken(conda("x"))).packages == ()
    lock = a_lock(a_pin("six", "1.0"))
    there = _taken(conda("x", "1.1"))
    assert [each.changes for each in difference(narrowed(inventory_of_lock(lock), lock, there), there).packages] == [(Change.UP,)]
