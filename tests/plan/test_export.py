"""A lock as a flat ``pylock.toml``: whoever evaluates its markers installs what whoever walks the lock's graph would."""

from __future__ import annotations

import random
import tomllib
from dataclasses import replace
from datetime import datetime
from itertools import combinations, product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from packaging.pylock import Pylock

from factories import a_digest, a_group, a_lock, a_pin, a_project, an_edge, an_extra
from sanctity.compare.markers import MarkerEnvironment, evaluate
from sanctity.compare.selection import select
from sanctity.errors import DocumentError
from sanctity.lockfiles import pylock, reader_for, uv
from sanctity.model.lock import Artifact, Ecosystem, Lock, LockFormat, Pin, Root, RootKind, Source, SourceKind
from sanctity.plan.flatten import Flat, flatten
from sanctity.plan.pylock import is_pylock_name, pylock_text, toml_string

if TYPE_CHECKING:
    from collections.abc import Iterator

FIXTURES = Path(__file__).parents[1] / "lockfiles/fixtures"
CORPUS = Path(__file__).parents[2] / ".." / "shared" / "corpus"
#: The folders of the corpus whose locks can be exported, and the name that they are read under.
GRAPHS = {"uv": "uv.lock", "poetry": "poetry.lock", "pdm": "pdm.lock"}
PYTHONS = ("3.8.18", "3.10.4", "3.11.7", "3.13.1")
PLATFORMS = (
    ("linux", "Linux", "posix", "x86_64", "CPython"),
    ("linux", "Linux", "posix", "aarch64", "PyPy"),
    ("darwin", "Darwin", "posix", "arm64", "CPython"),
    ("win32", "Windows", "nt", "AMD64", "CPython"),
)


def _environments() -> list[MarkerEnvironment]:
    found = []
    for python, (platform, system, name, machine, implementation) in product(PYTHONS, PLATFORMS):
        known = {
            "implementation_name": implementation.lower(),
            "implementation_version": python,
            "os_name": name,
            "platform_machine": machine,
            "platform_python_implementation": implementation,
            "platform_release": "6.1",
            "platform_system": system,
            "platform_version": "1",
            "python_full_version": python,
            "python_version": python.rpartition(".")[0],
            "sys_platform": platform,
        }
        found.append(MarkerEnvironment(known=tuple(sorted(known.items()))))
    return found


ENVIRONMENTS = _environments()


def _key(pin: Pin) -> tuple[str, ...]:
    source = pin.source
    # The format names an index by its URL; a folder of files is named by the files themselves.
    location = "" if source.kind is SourceKind.REGISTRY and "://" not in source.location else source.location
    return (pin.name, pin.version, source.kind.value, location, source.revision, source.subdirectory)


def _read_again(flat: Flat, *, folder: str = "") -> Lock:
    text = pylock_text(flat, folder=folder)
    Pylock.from_dict(tomllib.loads(text))  # what packaging takes, pip and others take
    return pylock.parse(text, path="pylock.toml", digest=a_digest(), beside={})


def _choices(flat: Flat) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """The extras and groups of each choice tried: nothing, each alone, pairs of them, and everything."""
    names = [*(("extra", name) for name in flat.extras), *(("group", name) for name in flat.groups)]
    some = names[:: max(1, len(names) // 6)]
    for chosen in [(), *((one,) for one in names[:12]), *combinations(some, 2), tuple(names)]:
        extras = tuple(name for kind, name in chosen if kind == "extra")
        groups = tuple(name for kind, name in chosen if kind == "group")
        yield extras, groups


def _walked(lock: Lock, environment: MarkerEnvironment, extras: tuple[str, ...], groups: tuple[str, ...]) -> set[tuple[str, ...]]:
    """What the closure of the lock's graph holds."""
    chosen = select(lock, environment, {}, extras=extras, groups=groups)
    assert not chosen.undecided
    return {_key(pin) for pin in (*chosen.expected, *chosen.projects_absent)}


def assert_same_pins(lock: Lock, environments: list[MarkerEnvironment] = ENVIRONMENTS) -> Flat:
    """The law: in every environment and for every choice, the markers of the flat file give what the graph's closure gives."""
    flat = flatten(lock)
    again = _read_again(flat)
    for environment, (extras, groups) in product(environments, _choices(flat)):
        active = (frozenset(extras), frozenset(groups))
        marked = {_key(pin) for pin in again.pins if evaluate(pin.marker, environment, extras=active[0], groups=active[1])}
        assert marked == _walked(lock, environment, extras, groups), (environment, extras, groups)
    return flat


def _with_addresses(lock: Lock) -> Lock:
    """*lock* with an address for each file that has none: Poetry's and most of PDM's do not say it."""

    def placed(artifact: Artifact) -> Artifact:
        return replace(artifact, location=artifact.location or f"https://index.example/{artifact.filename}")

    return replace(lock, pins=tuple(replace(pin, artifacts=tuple(map(placed, pin.artifacts))) for pin in lock.pins))


def _locks(*folders: str) -> list[Any]:
    found = []
    for folder in folders:
        found += [pytest.param(path, id=f"{folder}/{path.name}") for path in sorted((CORPUS / folder).glob("*")) if path.is_file()]
    return found or [pytest.param(None, id="absent")]


def _lock(path: Path | None, name: str) -> Lock:
    if path is None:
        pytest.skip("the corpus of real locks is not beside this checkout")
    reader = reader_for(name)
    assert reader is not None
    return reader.parse(path.read_text("utf-8"), path=name, digest=a_digest(), beside={})


@pytest.mark.parametrize("path", _locks(*GRAPHS))
def test_real_locks_hold_the_same_pins_everywhere(path: Path | None) -> None:
    lock = _with_addresses(_lock(path, GRAPHS[path.parent.name] if path else ""))
    if any(not root.complete for root in lock.roots):
        with pytest.raises(DocumentError, match="does not say what the project asks for"):
            flatten(lock)
        return
    empty = [pin for pin in lock.pins if pin.source.kind is SourceKind.REGISTRY and not pin.artifacts]
    if empty:
        with pytest.raises(DocumentError, match="names no file") as caught:
            flatten(lock)
        assert "environments" in caught.value.hint
        lock = replace(
            lock,
            pins=tuple(
                replace(pin, artifacts=a_pin(pin.name, pin.version).artifacts) if pin in empty else pin for pin in lock.pins
            ),
        )
    flat = assert_same_pins(lock, ENVIRONMENTS[::3])
    before = {_key(pin): pin for pin in lock.pins}
    for pin in flat.pins:
        kept = [(each.filename, each.digests, each.location, each.size) for each in pin.artifacts]
        given = [(each.filename, each.digests, each.location, each.size) for each in before[_key(pin)].artifacts]
        assert set(kept) <= set(given)
        left = {name for name, *_ in given} - {name for name, *_ in kept}
        notes = " ".join(flat.notes)
        assert not left or "left out" in notes, left


@pytest.mark.parametrize("path", _locks("pylock"))
def test_a_pylock_stays_what_it_was(path: Path | None) -> None:
    """Read, written, read again: the same pins, artifacts and markers, and the same choices."""
    lock = _lock(path, "pylock.toml")
    again = _read_again(flatten(lock))

    def bare(lock: Lock) -> list[Any]:
        found: list[Any] = []
        for pin in lock.pins:
            files = sorted(
                (each.filename, each.location, each.size, each.digests, _instant(each.upload_time)) for each in pin.artifacts
            )
            found.append((_key(pin), pin.marker, pin.requires_python, files))
        return sorted(found)

    assert bare(again) == bare(lock)
    assert again.requires_python == lock.requires_python
    assert again.environments == lock.environments
    assert [(root.kind, root.name, root.groups) for root in again.roots] == [
        (root.kind, root.name, root.groups) for root in lock.roots
    ]
    assert pylock_text(flatten(again)) == pylock_text(flatten(lock))


def _instant(text: str) -> str:
    return str(datetime.fromisoformat(text)) if text else ""


@pytest.mark.parametrize("name", ["conflicts.uv.lock", "workspace.uv.lock", "groups-only.uv.lock", "script.py.lock"])
def test_the_readers_own_examples_hold_the_same_pins(name: str) -> None:
    read = "x.py.lock" if name.endswith(".py.lock") else "uv.lock"
    lock = _lock(FIXTURES / name, read)
    assert_same_pins(lock)


def test_an_example_of_every_source_is_refused_for_the_one_file_without_a_hash() -> None:
    lock = _lock(FIXTURES / "sources.uv.lock", "uv.lock")
    with pytest.raises(DocumentError) as caught:
        flatten(lock)
    assert [issue.message for issue in caught.value.issues] == ["the lock has no hash, which pylock.toml asks for: iniconfig 2.3.1"]
    assert_same_pins(
        replace(
            lock,
            pins=tuple(
                replace(pin, artifacts=a_pin(pin.name, pin.version).artifacts) if pin.name == "iniconfig" else pin
                for pin in lock.pins
            ),
        )
    )


MARKERS = (
    "",
    "",
    "",
    "python_version < '3.11'",
    "python_full_version >= '3.11'",
    "sys_platform == 'win32'",
    "sys_platform != 'win32'",
    "platform_machine == 'arm64' or os_name == 'nt'",
)
NAMES = tuple("abcdefgh")


@st.composite
def graphs(draw: st.DrawFn) -> Lock:
    """A lock of a few pins with edges in all directions, forks, extras, groups, and extras of packages."""

    def edge() -> Any:
        name = draw(st.sampled_from(NAMES))
        extras = draw(st.sampled_from([(), (), ("x",), ("x", "y")]))
        return an_edge(name, extras=extras, marker=draw(st.sampled_from(MARKERS)))

    def some(most: int) -> list[Any]:
        return [edge() for _ in range(draw(st.integers(0, most)))]

    pins: list[Pin] = []
    for name in NAMES:
        optional = {extra: some(2) for extra in draw(st.sampled_from([(), ("x",), ("x", "y")]))}
        if draw(st.integers(0, 4)) == 0:
            test = draw(st.sampled_from(["python_version {} '3.11'", "sys_platform {} 'win32'"]))
            first, second = ("<", ">=") if "version" in test else ("==", "!=")
            pins.append(a_pin(name, "1.0", *some(2), marker=test.format(first), where=f"package[{len(pins)}]", optional=optional))
            pins.append(a_pin(name, "2.0", *some(2), marker=test.format(second), where=f"package[{len(pins)}]", optional=optional))
        else:
            pins.append(a_pin(name, "1.0", *some(2), where=f"package[{len(pins)}]", optional=optional))
    roots: list[Root] = [a_project(*some(2))]
    roots += [an_extra(name, *some(2)) for name in ("cpu", "gpu")[: draw(st.integers(0, 2))]]
    roots += [a_group(name, *some(2), default=name == "dev") for name in ("dev", "docs")[: draw(st.integers(0, 2))]]
    return a_lock(*pins, *roots, format=draw(st.sampled_from([LockFormat.UV, LockFormat.PDM])))


@given(graphs())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_any_graph_holds_the_same_pins(lock: Lock) -> None:
    assert_same_pins(lock, ENVIRONMENTS[::5])


def _markers(lock: Lock) -> dict[str, str]:
    return {f"{pin.name} {pin.version}": pin.marker for pin in flatten(lock).pins}


def test_the_marker_of_a_package_is_every_path_to_it() -> None:
    lock = a_lock(
        a_pin("a", "1.0", "b; sys_platform == 'win32'", "c"),
        a_pin("b", "1.0", "a", where="package[1]"),
        a_pin("c", "1.0", where="package[2]"),
        a_pin("d", "1.0", "b; python_version < '3.11'", where="package[3]"),
        a_pin("e", "1.0", where="package[4]"),
        a_project("a"),
        an_extra("fast", "d"),
        a_group("dev", "d", "e", default=True),
        a_group("lint", "e; python_version < '3.11'"),
    )
    flat = flatten(lock)
    assert (flat.extras, flat.groups, flat.defaults) == (("fast",), ("dev", "lint"), ("dev",))
    assert _markers(lock) == {
        "a 1.0": "",
        "b 1.0": "python_version < '3.11' and ('fast' in extras or 'dev' in dependency_groups) or sys_platform == 'win32'",
        "c 1.0": "",
        "d 1.0": "'fast' in extras or 'dev' in dependency_groups",
        "e 1.0": "python_version < '3.11' and 'lint' in dependency_groups or 'dev' in dependency_groups",
    }


def test_the_project_itself_can_be_left_out_but_not_what_it_needs() -> None:
    editable = Source(kind=SourceKind.EDITABLE, location=".")
    lock = a_lock(
        a_pin("app", source=editable, artifacts=()),
        a_pin("six", where="package[1]"),
        a_pin("beside", source=replace(editable, location="../beside"), artifacts=(), where="package[2]"),
        a_project(an_edge("app", source=editable), "six", "beside", member="app"),
    )
    assert [pin.name for pin in flatten(lock).pins] == ["app", "beside", "six"]
    assert [pin.name for pin in flatten(lock, project=False).pins] == ["beside", "six"]


def test_forks_become_several_packages_and_what_they_share_needs_no_marker() -> None:
    lock = a_lock(
        a_pin("n", "1.0", "shared", marker="python_version < '3.11'", where="package[0]"),
        a_pin("n", "2.0", "shared", marker="python_version >= '3.11'", where="package[1]"),
        a_pin("shared", where="package[2]"),
        a_project("n"),
    )
    assert _markers(lock) == {"n 1.0": "python_version < '3.11'", "n 2.0": "python_version >= '3.11'", "shared 1.0": ""}


def test_the_environments_that_uv_locked_for_are_stated() -> None:
    lock = _lock(FIXTURES / "workspace.uv.lock", "uv.lock")
    assert lock.environments == ("sys_platform == 'linux'", "sys_platform == 'win32'")
    assert _read_again(flatten(lock)).environments == lock.environments
    with pytest.raises(DocumentError) as caught:
        uv.parse('version = 1\nsupported-markers = ["windows"]\n', path="uv.lock", digest=a_digest(), beside={})
    assert (caught.value.code, caught.value.where) == ("lock-bad-marker", "uv.lock: supported-markers[0]")


def test_conflicting_extras_are_told() -> None:
    flat = flatten(_lock(FIXTURES / "conflicts.uv.lock", "uv.lock"))
    assert any("exclude each other" in note for note in flat.notes), flat.notes
    assert not any("extra-" in pin.marker for pin in flat.pins)


def test_what_nothing_asks_for_is_left_out_and_said() -> None:
    flat = flatten(a_lock(a_pin("a"), a_pin("b", where="package[1]"), a_project("a")))
    assert [pin.name for pin in flat.pins] == ["a"]
    assert flat.notes == ("left out, as nothing that is exported asks for it: b 1.0",)


REGISTRY = Source(kind=SourceKind.REGISTRY)


@pytest.mark.parametrize(
    ("lock", "message", "hint"),
    [
        (
            a_lock(a_pin(artifacts=(Artifact(filename="six-1.0.tar.gz", location="https://index.example/six-1.0.tar.gz"),))),
            "no hash",
            "hashes",
        ),
        (
            a_lock(a_pin(artifacts=(Artifact(digests=(a_digest(),)),)), format=LockFormat.REQUIREMENTS),
            "without file names",
            "sanctity export --online uv.lock",
        ),
        (
            a_lock(a_pin(artifacts=(Artifact(filename="six-1.0.tar.gz", digests=(a_digest(),)),))),
            "where the files are",
            "sanctity export --online uv.lock",
        ),
        (a_lock(a_pin(version="", artifacts=())), "no version", "pin it"),
        (a_lock(a_pin(artifacts=())), "names no file", "environments"),
        (a_lock(a_pin(ecosystem=Ecosystem.CONDA)), "no conda packages", "the tool that locked it"),
        (a_lock(a_pin(platforms=("linux-64",))), "conda's platforms", "markers"),
        (a_lock(a_pin(), format=LockFormat.PYPROJECT), "locks nothing", "lock the project first"),
        (a_lock(a_pin(), a_project("six", complete=False)), "does not say what the project asks for", "pyproject.toml"),
        (a_lock(a_pin(), a_project("six", "seven")), "seven is asked for", "lock again"),
        (a_lock(a_pin(source=Source(kind=SourceKind.GIT, location="https://git.example/six"))), "without a commit", "commit"),
        (
            a_lock(a_pin(source=Source(kind=SourceKind.URL, location="https://x.example/six-1.0.tar.gz"), artifacts=())),
            "no hash",
            "hashes",
        ),
        (
            a_lock(a_pin("", "", source=Source(kind=SourceKind.EDITABLE, location="lib"), where="line 1")),
            "does not name it: lib",
            "NAME @ ADDRESS",
        ),
        (a_lock(a_pin(artifacts=a_pin("seven").artifacts)), "seven-1.0-py3-none-any.whl is not a file of: six 1.0", "lock again"),
        (
            a_lock(a_pin(artifacts=a_pin("six", "2.0").artifacts)),
            "six-2.0-py3-none-any.whl is not a file of: six 1.0",
            "lock again",
        ),
        (
            a_lock(
                a_pin(
                    artifacts=(Artifact(filename="six-1.0.win32.exe", digests=(a_digest(),), location="https://x.example/six.exe"),)
                )
            ),
            "none of the files",
            "lock again",
        ),
        (a_lock(a_pin(marker="extra in 'x'"), format=LockFormat.PDM), "no meaning", ""),
        (
            a_lock(a_pin(), a_pin("six", "2.0"), a_project("six")),
            "six is wanted twice for Python 3.8 on linux: 1.0 and 2.0",
            "lock again",
        ),
        (
            a_lock(
                a_pin(marker="python_version < '3.12'"),
                a_pin("six", "2.0", marker="python_version >= '3.11'"),
                a_project("six"),
                requires_python=">=3.10",
            ),
            "six is wanted twice for Python 3.11 on linux: 1.0 and 2.0",
            "lock again",
        ),
        (a_lock(a_pin(), a_pin("six", "2.0"), format=LockFormat.PYLOCK), "six is wanted twice", "lock again"),
    ],
)
def test_what_can_not_be_written_is_refused_by_name(lock: Lock, message: str, hint: str) -> None:
    with pytest.raises(DocumentError) as caught:
        flatten(lock)
    assert caught.value.code == "export-impossible"
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert caught.value.where.startswith("uv.lock")


def test_two_of_one_name_that_never_meet_are_written() -> None:
    forks = (a_pin(marker="python_version < '3.9'"), a_pin("six", "2.0", marker="python_version >= '3.8'"), a_project("six"))
    assert len(flatten(a_lock(*forks, requires_python=">=3.9")).pins) == 2
    windows = (a_pin(marker="sys_platform == 'win32'"), a_pin("six", "2.0", marker="os_name == 'posix'"), a_project("six"))
    assert len(flatten(a_lock(*windows)).pins) == 2
    everywhere = (a_pin(), a_pin("six", "2.0", marker="sys_platform == 'win32'"), a_project("six"))
    assert len(flatten(a_lock(*everywhere, environments=("sys_platform == 'linux'",))).pins) == 2
    with pytest.raises(DocumentError):
        flatten(a_lock(*everywhere))


def test_all_reasons_are_told_at_once_with_the_packages_named() -> None:
    unhashed = [
        a_pin(f"p{n}", artifacts=(Artifact(filename=f"p{n}-1.0.tar.gz", location="x"),), where=f"package[{n}]") for n in range(12)
    ]
    lock = a_lock(*unhashed, a_pin("q", version="", artifacts=(), where="package[12]"))
    with pytest.raises(DocumentError) as caught:
        flatten(lock)
    assert [issue.where for issue in caught.value.issues] == ["package[0]", "package[12]"]
    assert "p9 1.0 and 2 more" in caught.value.issues[0].message


def test_a_lock_with_more_to_choose_than_can_be_told_apart_is_refused_and_soon() -> None:
    pins = [a_pin(f"p{n}", where=f"package[{n}]") for n in range(3)]
    extras = [an_extra(f"x{n}", f"p{n % 3}") for n in range(2500)]
    with pytest.raises(DocumentError, match="too many"):
        flatten(a_lock(*pins, a_project("p0"), *extras))


def test_more_conditions_than_can_be_told_apart_are_refused_and_soon() -> None:
    """Each package under a marker of its own, and all of them reached by way of many others."""
    names = [f"p{number:03}" for number in range(300)]
    pins = [
        a_pin(
            name,
            "1.0",
            *(
                an_edge(names[(at * step + 1) % 300], marker=f"python_full_version >= '3.{at}' or sys_platform == '{step}{at}'")
                for step in (7, 11, 13)
            ),
            where=f"package[{at}]",
        )
        for at, name in enumerate(names)
    ]
    with pytest.raises(DocumentError, match="too many"):
        flatten(a_lock(*pins, a_project(names[0])))


def test_each_kind_of_source_is_written_as_the_format_has_it() -> None:
    digest = a_digest("x")
    file = Artifact(filename="f-1.0.tar.gz", digests=(digest,), location="../files/f-1.0.tar.gz", size=7)
    url = Artifact(
        filename="u-1.0.zip", digests=(digest,), location="https://x.example/u-1.0.zip", upload_time="2024-05-01T10:00:00.5Z"
    )
    lock = a_lock(
        a_pin("d", source=Source(kind=SourceKind.DIRECTORY, location="../lib/d", subdirectory="in"), where="package[0]"),
        a_pin("e", "", source=Source(kind=SourceKind.EDITABLE, location="."), where="package[1]"),
        a_pin("f", source=Source(kind=SourceKind.FILE, location=file.location), artifacts=(file,), where="package[2]"),
        a_pin(
            "g",
            source=Source(kind=SourceKind.GIT, location="https://git.example/g", revision="a" * 40, subdirectory="py"),
            where="package[3]",
        ),
        a_pin("u", source=Source(kind=SourceKind.URL, location=url.location), artifacts=(url,), where="package[4]"),
        a_pin("v", source=Source(kind=SourceKind.VIRTUAL, location="v"), where="package[5]"),
        requires_python=">=3.9",
    )
    document = tomllib.loads(pylock_text(flatten(lock), folder="../project"))
    packages = {package.pop("name"): package for package in document.pop("packages")}
    assert document == {"lock-version": "1.0", "requires-python": ">=3.9", "created-by": "sanctity"}
    hashes = {"sha256": digest.value}
    assert packages == {
        "d": {"version": "1.0", "directory": {"path": "../lib/d", "subdirectory": "in"}},
        "e": {"directory": {"path": "../project", "editable": True}},
        "f": {"version": "1.0", "archive": {"path": "../files/f-1.0.tar.gz", "size": 7, "hashes": hashes}},
        "g": {
            "version": "1.0",
            "vcs": {"type": "git", "url": "https://git.example/g", "commit-id": "a" * 40, "subdirectory": "py"},
        },
        "u": {
            "version": "1.0",
            "archive": {
                "url": "https://x.example/u-1.0.zip",
                "upload-time": datetime.fromisoformat("2024-05-01T10:00:00.500000+00:00"),
                "hashes": hashes,
            },
        },
    }


def test_one_sdist_is_kept_and_what_is_no_file_of_the_format_is_said() -> None:
    def file(name: str) -> Artifact:
        return Artifact(filename=name, digests=(a_digest(name),), location=f"https://x.example/{name}")

    names = ("six-1.0.zip", "six-1.0-py3-none-any.whl", "six-1.0.tar.gz", "six-1.0.win32.exe", "six-1.0-cp39-cp39-win32.whl")
    flat = flatten(a_lock(a_pin(artifacts=tuple(map(file, names)))))
    assert [each.filename for each in flat.pins[0].artifacts] == [
        "six-1.0.tar.gz",
        "six-1.0-cp39-cp39-win32.whl",
        "six-1.0-py3-none-any.whl",
    ]
    assert flat.notes == (
        "left out, neither a wheel nor an sdist by its name: six-1.0.win32.exe",
        "left out, as pylock.toml has one sdist a package: six-1.0.zip",
    )


def test_poetrys_alternatives_of_python_are_left_out_and_said() -> None:
    lock = a_lock(a_pin(requires_python=">=2.7 || >=3.5"), requires_python=">=3.8,<3.9 || >=3.10")
    flat = flatten(lock)
    assert flat.requires_python == flat.pins[0].requires_python == ""
    assert flat.notes == ("left out, as it is no plain version specifier: the lock's requires-python, the requires-python of six",)


def test_the_text_is_the_same_whatever_the_order() -> None:
    lock = _lock(FIXTURES / "workspace.uv.lock", "uv.lock")
    text = pylock_text(flatten(lock))
    rng = random.Random(7)
    for _ in range(5):
        pins, roots = list(lock.pins), list(lock.roots)
        rng.shuffle(pins)
        rng.shuffle(roots)
        assert pylock_text(flatten(replace(lock, pins=tuple(pins), roots=tuple(roots)))) == text


def test_the_text_to_the_letter() -> None:
    lock = a_lock(
        a_pin("six", "1.16.0"),
        a_pin("pytest", "8.0", where="package[1]"),
        a_project("six"),
        a_group("dev", "pytest", default=True),
        requires_python=">=3.9",
    )
    assert (
        pylock_text(flatten(lock))
        == f"""lock-version = "1.0"
requires-python = ">=3.9"
dependency-groups = ["dev"]
default-groups = ["dev"]
created-by = "sanctity"

[[packages]]
name = "pytest"
version = "8.0"
marker = "'dev' in dependency_groups"
index = "https://index.example/simple"
wheels = [
    {{ url = "https://index.example/files/pytest-8.0-py3-none-any.whl", hashes = {{ sha256 = "{a_digest("pytest-8.0").value}" }} }},
]

[[packages]]
name = "six"
version = "1.16.0"
index = "https://index.example/simple"
wheels = [
    {{ url = "https://index.example/files/six-1.16.0-py3-none-any.whl", hashes = {{ sha256 = "{a_digest("six-1.16.0").value}" }} }},
]
"""
    )


def test_a_lock_of_nothing_is_still_one() -> None:
    again = _read_again(flatten(a_lock(a_project())))
    assert again.pins == ()
    assert [root.kind for root in again.roots] == [RootKind.PROJECT]


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_is_written_so_that_it_is_read_again(text: str) -> None:
    assert tomllib.loads(f"x = {toml_string(text)}") == {"x": text}


def test_what_is_no_character_is_refused() -> None:
    lock = a_lock(a_pin(source=Source(kind=SourceKind.DIRECTORY, location="\ud800")))
    with pytest.raises(DocumentError) as caught:
        pylock_text(flatten(lock))
    assert caught.value.code == "export-impossible"


def test_the_names_of_the_format() -> None:
    assert is_pylock_name("pylock.toml")
    assert is_pylock_name("pylock.dev.toml")
    assert not is_pylock_name("lock.toml")
    assert not is_pylock_name("pylock.a.b.toml")
