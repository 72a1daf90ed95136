"""What a lock comes to, of pins made by hand; the real ones are in test_corpus."""

from __future__ import annotations

from dataclasses import replace

from sanctity.lockfiles.summary import COLUMNS, count_markers, summarise
from sanctity.model.digest import Digest
from sanctity.model.lock import Artifact, Dependency, Ecosystem, Lock, LockFormat, Pin, Source, SourceKind

INDEX = Source(kind=SourceKind.REGISTRY)
MD5, SHA256 = Digest("md5", "0" * 32), Digest("sha256", "0" * 64)


def lock(*pins: Pin, format: LockFormat = LockFormat.UV, facts: dict[str, object] | None = None) -> Lock:  # noqa: A002
    return Lock(format=format, path="x", digest=SHA256, pins=pins, facts=facts or {})


def test_names_of_two_ecosystems_are_two() -> None:
    both = (Pin(name="six", version="1", source=INDEX), Pin(name="six", version="1", source=INDEX, ecosystem=Ecosystem.CONDA))
    found = summarise(lock(*both, format=LockFormat.PIXI))
    assert (found["packages"], found["unique_names"]) == (2, 2)
    assert found["no_hash_packages"] == ["conda:six", "six"]
    assert found["no_hash_count"] == 2


def test_a_name_has_no_hash_where_no_file_of_no_version_has_one() -> None:
    bare = Artifact(filename="a-1.whl")
    files = (Artifact(filename="a-2.whl", digests=(SHA256, MD5)), bare)
    pins = (
        Pin(name="a", version="1", source=INDEX, artifacts=(bare,)),
        Pin(name="a", version="2", source=INDEX, artifacts=files),
        Pin(name="b", source=INDEX),
        Pin(name="", source=Source(kind=SourceKind.EDITABLE, location=".")),
    )
    found = summarise(lock(*pins))
    assert (found["hashed_artifacts"], found["unhashed_artifacts"]) == (1, 2)
    assert found["hash_algos"] == {"md5": 1, "sha256": 1}
    assert found["no_hash_packages"] == ["-", "b"]
    assert found["vcs_url_path_packages"] == ["-:editable"]
    assert found["more_facts"] == {"unique_name_versions": 4, "ill_formed_hashes": 0}


def test_hashes_alone() -> None:
    pin = Pin(name="a", version="1", source=INDEX, artifacts=(Artifact(digests=(SHA256,)),))
    named = replace(pin, artifacts=(Artifact(filename="a.whl", digests=(SHA256,)),))
    assert [summarise(lock(each))["hash_only"] for each in (pin, named)] == [1, 0]
    assert summarise(lock(named, format=LockFormat.REQUIREMENTS))["hash_only"] == 1


def test_a_platform_is_what_tells_systems_and_implementations_apart() -> None:
    of_platforms = ["os_name == 'nt'", "python_version < '3' and platform_machine == 'x'", "'Py' in platform_python_implementation"]
    others = ["python_full_version < '3'", "extra == 'x'", "'x' in dependency_groups"]
    assert count_markers(["", *of_platforms, "", *others, others[0]]) == {"platform_markers": 3, "python_markers": 4}
    edges = (Dependency(name="b", marker="os_name == 'nt'"), Dependency(name="b", marker="extra == 'x'"))
    pin = Pin(name="a", source=INDEX, dependencies=edges[:1], optional=(("x", edges[1:]),), marker="python_version > '3'")
    found = summarise(lock(pin))
    assert (found["platform_markers"], found["python_markers"]) == (1, 2)


def test_what_a_reader_counted_goes_before() -> None:
    facts: dict[str, object] = {"packages": 7, "no_hash_packages": ["x", "y"], "layout": "old", "unique_name_versions": 3}
    found = summarise(lock(Pin(name="a", source=INDEX), facts=facts))
    assert tuple(found) == COLUMNS
    assert (found["packages"], found["no_hash_count"], found["unique_names"]) == (7, 2, 1)
    assert found["more_facts"] == {"layout": "old", "unique_name_versions": 3, "ill_formed_hashes": 0}
