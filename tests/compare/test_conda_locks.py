"""Locks of conda packages against what a prefix holds: two ecosystems, many platforms, several environments, and each drift."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conda_factories import (
    CHANNEL,
    LINUX,
    MAC,
    MAC_PYTHON,
    NUMPY,
    PYTHON,
    SSL,
    a_conda_lock,
    a_conda_pin,
    a_pixi_lock,
    a_prefix,
    an_edge_to,
    compared,
    gating,
    installed,
)
from factories import a_digest, a_distribution, a_group, a_lock, a_pin, a_project, an_environment, an_interpreter, an_origin
from sanctity.compare.conda import choose_environment, narrow, platform_word, platforms_of
from sanctity.errors import UsageError
from sanctity.model.drift import Code, Verdict
from sanctity.model.environment import CondaPackage, Distribution, Environment, Origin
from sanctity.model.lock import Dependency, Ecosystem, Lock, LockFormat, Pin, RootKind, Source, SourceKind
from sanctity.observe.locks import read_lock


def test_what_is_locked_is_there() -> None:
    found = compared(a_conda_lock(PYTHON, NUMPY), a_prefix(PYTHON, NUMPY))
    assert found.verdict is Verdict.CLEAN, found
    assert found.reference.format is LockFormat.CONDA_LOCK
    assert found.checked.distributions == 2


def test_missing_and_extra_are_told_as_conda_packages() -> None:
    found = compared(a_conda_lock(PYTHON, NUMPY), a_prefix(PYTHON, SSL)).drifts
    assert [(drift.code, drift.distribution, drift.version, drift.path) for drift in found] == [
        (Code.DISTRIBUTION_EXTRA, "openssl", "3.2", "conda-meta/openssl-3.2-h0_0.json"),
        (Code.DISTRIBUTION_MISSING, "numpy", "1.0", "conda-meta/numpy-1.0-h0_0.json"),
    ]
    assert all("conda package" in drift.message for drift in found)


OTHER = a_digest("other")


@pytest.mark.parametrize(
    ("change", "code", "expected", "actual"),
    [
        ({"version": "1.1"}, Code.VERSION_MISMATCH, "1.0", "1.1"),
        ({"version": "1.0.0"}, Code.VERSION_MISMATCH, "1.0", "1.0.0"),
        ({"build": "h1_0"}, Code.BUILD_MISMATCH, "h0_0", "h1_0"),
        ({"digests": (OTHER,)}, Code.ORIGIN_MISMATCH, str(NUMPY.artifacts[0].digests[0]), str(OTHER)),
        (
            {"digests": (), "url": "https://other.example/forge/linux-64/numpy-1.0-h0_0.conda"},
            Code.ORIGIN_MISMATCH,
            f"{CHANNEL}/linux-64/numpy-1.0-h0_0.conda",
            "https://other.example/forge/linux-64/numpy-1.0-h0_0.conda",
        ),
    ],
)
def test_another_version_build_or_archive(change: dict[str, Any], code: Code, expected: str, actual: str) -> None:
    found = compared(a_conda_lock(PYTHON, NUMPY), a_prefix(PYTHON, installed(NUMPY, **change)))
    (drift,) = found.drifts
    assert (drift.code, drift.distribution, drift.expected, drift.actual, drift.gating) == (code, "numpy", expected, actual, True)
    assert "conda package" in drift.message


def test_the_same_archive_from_a_mirror_is_the_locked_one() -> None:
    mirrored = installed(NUMPY, url="https://mirror.example/linux-64/numpy-1.0-h0_0.conda")
    assert gating(a_conda_lock(NUMPY), a_prefix(mirrored)) == []


def test_by_md5_alone_the_place_counts_too() -> None:
    artifact = NUMPY.artifacts[0]
    weak = replace(NUMPY, artifacts=(replace(artifact, digests=artifact.digests[1:]),))
    assert gating(a_conda_lock(weak), a_prefix(NUMPY)) == []
    mirrored = installed(NUMPY, url="https://mirror.example/linux-64/numpy-1.0-h0_0.conda")
    assert gating(a_conda_lock(weak), a_prefix(mirrored)) == [("origin-mismatch", "numpy")]


def test_a_document_that_names_no_archive_is_no_pass() -> None:
    found = compared(a_conda_lock(NUMPY), a_prefix(installed(NUMPY, digests=(), url="")))
    assert found.verdict is Verdict.UNDECIDED
    assert [(each.code, each.in_scope) for each in found.unchecked if each.in_scope] == [("unverifiable", True)]


def test_one_package_with_two_documents() -> None:
    assert gating(a_conda_lock(NUMPY), a_prefix(NUMPY, installed(NUMPY, version="0.9", path="conda-meta/numpy-0.9-h0_0.json"))) == [
        ("distribution-duplicate", "numpy")
    ]


def test_each_platform_is_a_lock_of_its_own() -> None:
    lock = a_conda_lock(PYTHON, MAC_PYTHON, a_conda_pin("appnope", platforms=MAC), platforms=(*LINUX, *MAC))
    assert gating(lock, a_prefix(PYTHON)) == []
    arm = an_interpreter(machine="")
    assert gating(lock, a_prefix(MAC_PYTHON, installed(a_conda_pin("appnope", platforms=MAC)), interpreter=arm)) == []
    assert gating(lock, a_prefix(PYTHON, a_conda_pin("appnope", platforms=MAC))) == [("distribution-extra", "appnope")]


@pytest.mark.parametrize(
    ("machine", "subdirs", "word"),
    [
        ("x86_64", ("noarch",), "linux-64"),
        ("aarch64", (), "linux-aarch64"),
        ("ppc64le", (), "linux-ppc64le"),
        ("", ("noarch", "osx-arm64", "osx-arm64", "linux-64"), "osx-arm64"),
        ("", ("win-64",), "win-64"),
        ("", ("noarch",), ""),
    ],
)
def test_the_platform_in_condas_word(machine: str, subdirs: tuple[str, ...], word: str) -> None:
    packages = [installed(NUMPY, name=f"n{number}", subdir=subdir) for number, subdir in enumerate(subdirs)]
    assert platform_word(an_interpreter(machine=machine), packages) == word


def test_a_lock_for_other_platforms_decides_nothing() -> None:
    found = compared(a_conda_lock(MAC_PYTHON, platforms=MAC), a_prefix(PYTHON))
    assert found.verdict is Verdict.UNDECIDED
    (told,) = [each for each in found.unchecked if each.in_scope]
    assert (told.code, told.what) == ("lock-not-for-this-platform", "conda-lock.yml")
    assert told.reason == "it is for osx-arm64, and this is linux-64"
    assert found.drifts == ()


def test_an_environment_of_the_lock_may_be_for_fewer_platforms() -> None:
    lock = a_pixi_lock(("default", (PYTHON, MAC_PYTHON)), ("mac", (MAC_PYTHON,)), platforms=(*LINUX, *MAC))
    assert compared(lock, a_prefix(PYTHON, prefix="/p/.pixi/envs/default")).verdict is Verdict.CLEAN
    (told,) = compared(lock, a_prefix(PYTHON, prefix="/p/.pixi/envs/mac")).unchecked
    assert (told.code, told.in_scope) == ("lock-not-for-this-platform", True)
    assert told.reason == "its environment mac is for osx-arm64, and this is linux-64"


def test_the_platforms_of_a_lock_that_states_none_are_those_of_its_pins() -> None:
    assert compared(a_conda_lock(MAC_PYTHON, platforms=()), a_prefix(PYTHON)).verdict is Verdict.UNDECIDED


def test_a_prefix_that_conda_did_not_make() -> None:
    found = compared(a_conda_lock(PYTHON, NUMPY, a_pin("six")), an_environment(a_distribution("six"), a_distribution("numpy")))
    (drift,) = found.drifts
    assert (drift.code, drift.count, drift.gating) == (Code.DISTRIBUTION_MISSING, 2, True)
    assert "no conda-meta" in drift.message


def test_virtual_packages_are_none() -> None:
    needs = replace(NUMPY, dependencies=(Dependency(name="__glibc", ecosystem=Ecosystem.CONDA),))
    root = a_project(an_edge_to(needs), Dependency(name="__glibc", ecosystem=Ecosystem.CONDA))
    assert compared(a_conda_lock(needs, root), a_prefix(NUMPY)).verdict is Verdict.CLEAN


# -- two ecosystems ---------------------------------------------------------------------------------------------------------------

KEPT = a_distribution("numpy", keeper="numpy", installer="conda")


def test_a_distribution_is_judged_through_its_conda_package() -> None:
    assert gating(a_conda_lock(NUMPY), a_prefix(NUMPY, KEPT)) == []
    assert gating(a_conda_lock(PYTHON), a_prefix(PYTHON, NUMPY, KEPT)) == [("distribution-extra", "numpy")]


def test_what_pip_installed_is_held_to_the_other_pins() -> None:
    lock = a_conda_lock(NUMPY, a_pin("six", "1.16"))
    assert gating(lock, a_prefix(NUMPY, KEPT, a_distribution("six", "1.16"))) == []
    assert gating(lock, a_prefix(NUMPY, KEPT)) == [("distribution-missing", "six")]
    assert gating(lock, a_prefix(NUMPY, KEPT, a_distribution("six", "1.15"))) == [("version-mismatch", "six")]
    rogue = a_distribution("rogue")
    assert gating(lock, a_prefix(NUMPY, KEPT, a_distribution("six", "1.16"), rogue)) == [("distribution-extra", "rogue")]


def test_one_name_in_two_ecosystems_is_two_packages() -> None:
    """msgpack of an index and msgpack of a channel: neither stands in for the other where the lock has both."""
    both = a_conda_lock(a_conda_pin("msgpack", "2.0"), a_pin("msgpack", "1.0"))
    own = a_distribution("msgpack", "1.0")
    assert gating(both, a_prefix(a_conda_pin("msgpack", "2.0"), own)) == []
    assert gating(both, a_prefix(a_conda_pin("msgpack", "2.0"), replace(own, keeper="msgpack"))) == [
        ("distribution-missing", "msgpack")
    ]
    assert gating(both, a_prefix(own)) == [("distribution-missing", "msgpack")]


def test_a_pin_of_an_index_is_not_missing_where_a_conda_package_brings_it() -> None:
    lock = a_conda_lock(PYTHON, a_pin("numpy"))
    assert gating(lock, a_prefix(PYTHON, KEPT, NUMPY)) == [("distribution-extra", "numpy")]
    assert gating(lock, a_prefix(PYTHON, KEPT, installed(NUMPY, name="numpy-base"))) == [("distribution-extra", "numpy-base")]
    assert gating(lock, a_prefix(PYTHON, replace(KEPT, keeper="numpy", version="2.0"), NUMPY)) == [
        ("distribution-extra", "numpy"),
        ("version-mismatch", "numpy"),
    ]


def test_a_lock_of_an_index_alone_sees_the_prefix_as_before() -> None:
    lock = a_lock(a_pin("numpy"), a_pin("six"), format=LockFormat.REQUIREMENTS)
    assert gating(lock, a_prefix(PYTHON, NUMPY, KEPT, a_distribution("six"))) == []
    assert gating(lock, a_prefix(PYTHON, NUMPY, SSL, KEPT)) == [("distribution-missing", "six")]


# -- categories and environments --------------------------------------------------------------------------------------------------

TEST = a_conda_pin("pytest", "8.0")


def test_a_category_is_selected_by_what_only_it_brings() -> None:
    more = a_conda_pin("pluggy")
    lock = a_conda_lock(PYTHON, TEST, more, a_project(an_edge_to(PYTHON)), a_group("dev", an_edge_to(TEST), an_edge_to(more)))
    assert gating(lock, a_prefix(PYTHON)) == []
    assert compared(lock, a_prefix(PYTHON, TEST, more)).reference.selection.groups == ("dev",)
    assert gating(lock, a_prefix(PYTHON, TEST)) == [("distribution-missing", "pluggy")]
    assert gating(lock, a_prefix(PYTHON), groups=("dev",)) == [
        ("distribution-missing", "pluggy"),
        ("distribution-missing", "pytest"),
    ]


#: The same version under another build: an edge says which of the two it means.
OTHER_BUILD = a_conda_pin("python", "3.11.7", "h1_0")
ENVIRONMENTS = a_pixi_lock(("default", (PYTHON, NUMPY)), ("lean", (PYTHON,)), ("test", (OTHER_BUILD, NUMPY, TEST)))


@pytest.mark.parametrize(
    ("place", "there", "chosen"),
    [
        ("/p/.pixi/envs/test", (), "test"),
        ("/p/.pixi/envs/lean", (PYTHON, NUMPY), "lean"),
        ("/opt/env", (PYTHON, NUMPY), "default"),
        ("/opt/env", (PYTHON,), "lean"),
        ("/opt/env", (OTHER_BUILD, NUMPY, TEST), "test"),
        ("/opt/env", (OTHER_BUILD, NUMPY, TEST, SSL), "default"),
        ("/opt/test", (SSL,), "default"),
    ],
)
def test_which_environment_is_meant(place: str, there: tuple[Pin, ...], chosen: str) -> None:
    assert choose_environment(ENVIRONMENTS, "linux-64", place=place, installed=map(installed, there)) == chosen
    assert compared(ENVIRONMENTS, a_prefix(*there, prefix=place)).reference.selection.environment == chosen


def test_without_a_default_the_nearest_environment_is_meant() -> None:
    lock = a_pixi_lock(("lean", (PYTHON,)), ("test", (PYTHON, NUMPY, TEST)))
    assert choose_environment(lock, "linux-64", installed=map(installed, (PYTHON, NUMPY, SSL))) == "lean"
    assert choose_environment(lock, "linux-64", installed=map(installed, (PYTHON, NUMPY, TEST, SSL))) == "test"


def test_only_the_packages_of_that_environment_belong_there() -> None:
    at = {"prefix": "/p/.pixi/envs/test"}
    assert gating(ENVIRONMENTS, a_prefix(OTHER_BUILD, NUMPY, TEST, **at)) == []
    assert gating(ENVIRONMENTS, a_prefix(PYTHON, NUMPY, TEST, **at)) == [("build-mismatch", "python")]
    lean = {"prefix": "/p/.pixi/envs/lean"}
    found = compared(ENVIRONMENTS, a_prefix(PYTHON, NUMPY, **lean)).drifts
    assert [(drift.code, drift.distribution) for drift in found] == [(Code.DISTRIBUTION_EXTRA, "numpy")]
    assert "for other environments only" in found[0].message


def test_an_environment_that_is_asked_for_is_the_one() -> None:
    assert gating(ENVIRONMENTS, a_prefix(PYTHON), groups=("default",)) == [("distribution-missing", "numpy")]
    with pytest.raises(UsageError, match="no environment 'docs'") as caught:
        compared(ENVIRONMENTS, a_prefix(PYTHON), groups=("docs",))
    assert "default, lean, test" in caught.value.hint
    with pytest.raises(UsageError, match="several were asked for"):
        compared(ENVIRONMENTS, a_prefix(PYTHON), groups=("lean", "test"))


def test_what_a_pin_needs_elsewhere_is_not_needed_here() -> None:
    """A wheel's own requirement may be met by a conda package here, and by a wheel in another environment of the lock."""
    wheel = a_pin("scipy", "1.0", "numpy")
    lock = a_pixi_lock(("default", (PYTHON, NUMPY, wheel)), ("wheels", (PYTHON, wheel, a_pin("numpy", "9"))))
    assert gating(lock, a_prefix(PYTHON, NUMPY, KEPT, a_distribution("scipy"))) == []


def test_a_narrowed_lock_keeps_what_its_roots_do_not_name() -> None:
    pip = a_pin("six", "1.0", Dependency(name="attrs"), Dependency(name="numpy"))
    lock = a_conda_lock(NUMPY, pip, a_pin("attrs"), a_project(an_edge_to(NUMPY), Dependency(name="six")))
    narrowed = narrow(lock, "linux-64")
    assert [[edge.name for edge in pin.dependencies] for pin in narrowed.pins] == [[], ["attrs"], []]
    assert gating(lock, a_prefix(NUMPY, KEPT, a_distribution("six"), a_distribution("attrs"))) == []


@pytest.mark.parametrize("kind", [SourceKind.DIRECTORY, SourceKind.GIT])
def test_what_is_built_from_a_folder_is_governed_by_git(kind: SourceKind) -> None:
    pin = a_conda_pin("own", "", "", source=Source(kind=kind, location="./own"), artifacts=())
    there = CondaPackage("own", "0.1", "hb_0", "conda-meta/own-0.1-hb_0.json", url="file:///build/own-0.1-hb_0.conda")
    found = compared(a_conda_lock(pin), a_prefix(there))
    assert found.verdict is Verdict.CLEAN
    assert [each.code for each in found.unchecked] == ["built-here"]


# -- real locks -------------------------------------------------------------------------------------------------------------------

CORPUS = Path(__file__).parents[2] / ".." / "shared" / "corpus"
REAL = [path for folder in ("conda-lock", "pixi", "conda-explicit") for path in sorted((CORPUS / folder).glob("*"))]


def met(lock: Lock, platform: str, chosen: str) -> Environment:
    """An environment that is just what *lock* says of *platform*, in the environment *chosen* where it is for several."""
    packages: list[CondaPackage | Distribution] = []
    for pin in narrow(lock, platform, chosen).pins:
        if chosen and not _is_asked(lock, pin, platform, chosen):
            continue
        if pin.ecosystem is Ecosystem.CONDA:
            packages.append(installed(replace(pin, name=pin.name.removeprefix("conda:")), channel=pin.source.location))
        else:
            packages.append(a_distribution(pin.name, pin.version, origin=_origin_of(pin)))
    machine = {"linux-64": "x86_64", "linux-aarch64": "aarch64"}.get(platform, "")
    version = next((item.version for item in packages if isinstance(item, CondaPackage) and item.name == "python"), "3.11.7")
    interpreter = an_interpreter(version=version, machine=machine)
    return a_prefix(*packages, prefix=f"/p/.pixi/envs/{chosen}" if chosen else "/opt/env", interpreter=interpreter)


def _is_asked(lock: Lock, pin: Pin, platform: str, chosen: str) -> bool:
    (root,) = [root for root in lock.roots if root.name == chosen]
    return any(
        (edge.ecosystem, edge.name, edge.version, edge.build)
        == (pin.ecosystem, pin.name.removeprefix("conda:"), pin.version, pin.build)
        and edge.source in {None, pin.source}
        and (not edge.platforms or platform in edge.platforms)
        for edge in root.dependencies
    )


def _origin_of(pin: Pin) -> Origin | None:
    match pin.source.kind:
        case SourceKind.REGISTRY:
            return None
        case SourceKind.GIT:
            return an_origin("vcs", pin.source.location, commit=pin.source.revision)
        case SourceKind.URL | SourceKind.FILE:
            return an_origin("archive", pin.source.location, digests=pin.artifacts[0].digests)
        case _:
            return an_origin("directory", pin.source.location, editable=pin.source.kind is SourceKind.EDITABLE)


def _cases() -> list[Any]:
    return [pytest.param(path, id=f"{path.parent.name}/{path.name}") for path in REAL]


@pytest.mark.skipif(not REAL, reason="the corpus of real locks is not beside this checkout")
@pytest.mark.parametrize("path", _cases())
def test_a_real_lock_is_met_by_what_it_says_and_by_nothing_less(path: Path) -> None:
    lock = read_lock(str(path))
    environments = [root.name for root in lock.roots if root.kind is RootKind.ENVIRONMENT] or [""]
    for chosen in environments:
        for platform in platforms_of(lock, chosen):
            environment = met(lock, platform, chosen)
            if platform_word(environment.interpreter, environment.conda) != platform:
                continue  # it holds nothing but noarch packages
            found = compared(lock, environment)
            blind = [each for each in found.unchecked if each.in_scope]
            assert (found.drifts, blind) == ((), []), (chosen, platform)
            assert found.reference.selection.environment == chosen
            if len(environment.conda) < 2:
                continue
            first, *rest = environment.conda
            short = compared(lock, replace(environment, conda=tuple(rest))).drifts
            assert [(drift.code, drift.distribution) for drift in short] == [(Code.DISTRIBUTION_MISSING, first.name)]
            other = compared(lock, replace(environment, conda=(first._replace(build="other_0"), *rest))).drifts
            assert [(drift.code, drift.distribution) for drift in other] == [(Code.BUILD_MISMATCH, first.name)]
