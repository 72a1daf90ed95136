"""Which file makes each distribution, and which interpreter: values in, a plan out."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from factories import a_digest, a_pin, an_interpreter
from sanctity.model.archive import ArchivedArtifact, ArchivedDocument, ArchivedInterpreter, ArtifactKind
from sanctity.model.digest import ContentDigest, Digest
from sanctity.model.interpreter import InstalledInterpreter, InterpreterKind, WantedInterpreter
from sanctity.model.lock import Artifact, Pin, Source, SourceKind
from sanctity.model.platform import Build
from sanctity.model.seal import SealedDistribution, SealedEnvironment
from sanctity.plan.interpreters import differing_build, fitting, not_found, same_build_first
from sanctity.plan.needs import named_interpreter, needs_of
from sanctity.plan.rebuild import PlannedParts, plan_lock, plan_seal

HERE = InstalledInterpreter(
    executable="/opt/python3.11",
    interpreter=named_interpreter("linux-x86_64-glibc", "3.11.7"),
    kind=InterpreterKind.PYENV,
    build=Build(executable=a_digest("exe"), compiler="GCC 12.2.0", compiled="Nov 23 2026, 12:00:00"),
)


def a_content(of: str) -> ContentDigest:
    return ContentDigest(a_digest(of))


def kept(name: str, digest: Digest, *, filename: str = "", content: str = "", built_from: str = "") -> ArchivedArtifact:
    filename = filename or f"{name}-1.0-py3-none-any.whl"
    return ArchivedArtifact(
        sha256=digest,
        filename=filename,
        size=10,
        kind=ArtifactKind.WHEEL if filename.endswith(".whl") else ArtifactKind.SDIST,
        name=name,
        version="1.0",
        content=a_content(content) if content else None,
        built_from=built_from,
    )


def from_source(name: str = "six", **fields: Any) -> Pin:
    sdist = Artifact(filename=f"{name}-1.0.tar.gz", digests=(a_digest("sdist"),), location="https://index.example/six-1.0.tar.gz")
    return a_pin(name, "1.0", artifacts=(sdist,), **fields)


def planned(*pins: Pin, archived: tuple[ArchivedArtifact, ...] = (), offline: bool = True, **more: Any) -> PlannedParts:
    return plan_lock(
        needs_of(pins, HERE.interpreter, folder="/project"), HERE, archived=archived, folder="/project", offline=offline, **more
    )


def sealed(*lines: SealedDistribution, **fields: Any) -> SealedEnvironment:
    return SealedEnvironment(
        **{
            "platform": "linux-x86_64-glibc",
            "implementation": "cpython",
            "version": "3.11.7",
            "abi": "cpython-311",
            "fingerprint": a_digest("whole"),
            "parts": (),
            "distributions": lines,
            **fields,
        }
    )


def test_the_locked_wheel_is_taken_by_its_hash_from_the_archive() -> None:
    pin = a_pin("six", "1.0")
    digest = pin.artifacts[0].digests[0]
    (item,) = planned(pin, archived=(kept("six", digest, content="six"),)).artifacts
    assert (item.sha256, item.archived, item.content, item.origin, item.build) == (digest, True, a_content("six"), "", False)


def test_a_wheel_that_the_archive_lacks_is_fetched() -> None:
    (item,) = planned(a_pin("six", "1.0"), offline=False).artifacts
    assert not item.archived
    assert item.wanted is not None
    assert item.wanted.location.startswith("https://index.example/")


def test_what_was_built_from_an_sdist_comes_back_by_its_source() -> None:
    made = kept("six", a_digest("made"), content="made", built_from=str(a_digest("sdist")))
    parts = planned(from_source(), archived=(kept("six", a_digest("sdist"), filename="six-1.0.tar.gz"), made))
    (item,) = parts.artifacts
    assert (item.sha256, item.built, item.build) == (made.sha256, False, False)
    assert not parts.missing


def test_offline_an_sdist_is_no_wheel() -> None:
    parts = planned(from_source(), archived=(kept("six", a_digest("sdist"), filename="six-1.0.tar.gz"),))
    assert not parts.artifacts
    assert [(item.name, item.code) for item in parts.missing] == [("six", "wheel-not-built")]


def test_online_an_sdist_is_built_and_that_is_told() -> None:
    parts = planned(from_source(), offline=False)
    (item,) = parts.artifacts
    assert item.build
    assert item.content is None
    assert "other bytes" in parts.notices[0]


def test_what_comes_from_git_states_its_commit() -> None:
    source = Source(kind=SourceKind.GIT, location="https://git.example/six", revision="a" * 40, subdirectory="lib")
    made = kept("six", a_digest("made"), content="made", built_from=f"git:{'a' * 40}")
    (item,) = planned(a_pin("six", "1.0", source=source, artifacts=()), archived=(made,)).artifacts
    assert json.loads(item.origin) == {
        "url": "https://git.example/six",
        "vcs_info": {"vcs": "git", "commit_id": "a" * 40},
        "subdirectory": "lib",
    }


def test_what_comes_from_a_url_states_it_with_its_hash() -> None:
    url = "https://files.example/six-1.0-py3-none-any.whl"
    artifact = Artifact(filename="six-1.0-py3-none-any.whl", digests=(a_digest("w"),), location=url)
    pin = a_pin("six", "1.0", source=Source(kind=SourceKind.URL, location=url), artifacts=(artifact,))
    (item,) = planned(pin, offline=False).artifacts
    assert json.loads(item.origin) == {"url": url, "archive_info": {"hashes": {"sha256": a_digest("w").value}}}


def test_editables_are_left_out_and_told_with_their_folder() -> None:
    pin = a_pin("demo", "1.0", source=Source(kind=SourceKind.EDITABLE, location="."), artifacts=())
    parts = planned(pin, folders={".": "/project"})
    assert not parts.artifacts
    assert [(item.name, item.folder) for item in parts.left_out] == [("demo", "/project")]


def test_a_seal_takes_its_own_artifact_before_all_others() -> None:
    line = SealedDistribution(name="six", version="1.0", content=a_content("six"), artifact=a_digest("sealed"))
    others = (kept("six", a_digest("other"), content="six"), kept("six", a_digest("sealed"), content="six"))
    (item,) = plan_seal(sealed(line), {}, HERE, archived=others, folder="/project", offline=True).artifacts
    assert item.sha256 == a_digest("sealed")


def test_a_seal_finds_what_was_built_by_its_content() -> None:
    line = SealedDistribution(name="six", version="1.0", content=a_content("made"), origin=f"git:{'b' * 40}")
    wrong = kept("six", a_digest("wrong"), content="otherwise", built_from=f"git:{'b' * 40}")
    right = kept("six", a_digest("right"), content="made", built_from=f"git:{'b' * 40}")
    (item,) = plan_seal(sealed(line), {}, HERE, archived=(wrong, right), folder="/project", offline=True).artifacts
    assert item.sha256 == right.sha256
    assert json.loads(item.origin)["vcs_info"] == {"vcs": "git", "commit_id": "b" * 40}


def test_a_seal_without_its_files_says_what_is_missing() -> None:
    lines = (
        SealedDistribution(name="six", version="1.0", content=a_content("six")),
        SealedDistribution(name="system:python3-six", version="", files=a_digest("files")),
        SealedDistribution(name="demo", version="", origin="editable"),
    )
    parts = plan_seal(sealed(*lines, unclaimed=(("stray.py", b"x"),)), {}, HERE, folder="/project", offline=True)
    assert {item.code for item in parts.missing} == {"artifact-unknown", "rebuild-unsupported", "file-unclaimed"}
    assert [item.name for item in parts.left_out] == ["demo"]


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        ({"version": "3.11.7"}, True),
        ({"version": "3.11"}, True),
        ({"version": "3.1"}, False),
        ({"version": "3.11.8"}, False),
        ({"requires": ">=3.9"}, True),
        ({"requires": ">=3.12"}, False),
        ({"requires": "^3.8 || ^2.7"}, True),
        ({"abi": "cpython-311"}, True),
        ({"abi": "cpython-311d"}, False),
        ({"platform": "linux-x86_64-musl"}, False),
        ({"implementation": "pypy"}, False),
    ],
)
def test_an_interpreter_fits_exactly_or_not_at_all(wanted: dict[str, Any], fits: bool) -> None:
    assert bool(fitting((HERE,), WantedInterpreter(**wanted))) is fits


def test_a_build_without_the_lock_is_taken_only_where_it_is_asked_for() -> None:
    threaded = replace(HERE, interpreter=an_interpreter(version="3.13.0", abi="cpython-313t", machine="x86_64", libc="glibc"))
    assert not fitting((threaded,), WantedInterpreter(version="3.13"))
    assert fitting((threaded,), WantedInterpreter(version="3.13", abi="cpython-313t"))


def test_the_sealed_build_goes_first_and_another_is_told() -> None:
    other = replace(HERE, executable="/usr/bin/python3.11", build=Build(executable=a_digest("else"), compiler="GCC 13.1.0"))
    assert HERE.build is not None
    assert same_build_first((other, HERE), HERE.build)[0] is HERE
    assert differing_build(HERE, HERE.build) == ""
    assert "GCC 13.1.0" in differing_build(other, HERE.build)
    touched = replace(HERE, build=replace(HERE.build, executable=a_digest("touched")))
    assert "bytes" in differing_build(touched, HERE.build)
    assert same_build_first((other, touched), HERE.build)[0] is touched


def test_what_is_needed_is_said_with_how_to_get_it() -> None:
    wanted = WantedInterpreter(version="3.9.1", abi="cpython-39", platform="linux-x86_64-glibc", said_by="env.seal.json")
    file = ArchivedDocument(path="python-3.9.1.tar.gz", sha256=a_digest("python"), size=1)
    known = ArchivedInterpreter(
        implementation="cpython", version="3.9.1", abi="cpython-39", platform="linux-x86_64-glibc", file=file
    )
    error = not_found(wanted, (HERE,), (known,), place="keep")
    assert (error.code, error.where) == ("interpreter-not-found", "env.seal.json")
    assert "3.9.1" in error.message
    assert "cpython-39" in error.message
    assert "3.11.7" in error.message
    assert "pyenv install 3.9.1" in error.hint
    assert f"keep/blobs/sha256/{a_digest('python').value}" in error.hint
