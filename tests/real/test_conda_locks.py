"""Locks that conda's own tools wrote, or read: rattler, which is pixi's and mamba's library, and conda-lock."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from real.conda import Package, publish
from sanctity.lockfiles import conda_explicit, conda_lock, environment_yml
from sanctity.lockfiles.conda import match_spec
from sanctity.model.digest import Digest
from sanctity.model.lock import Ecosystem, Lock, LockFormat, Pin, RootKind, SourceKind
from sanctity.observe.locks import read_lock

if TYPE_CHECKING:
    from real.tools import Workshop
    from sanctity.lockfiles import LockReader

pytestmark = pytest.mark.index

CORPUS = Path(__file__).parents[2] / ".." / "shared" / "corpus"
DIGEST = Digest("sha256", "0" * 64)

#: Run inside rattler's own environment: what a pixi.lock says, as rattler reads it.
_READ: Final = """
import json, os, sys, rattler
found = []
for path in sys.argv[1:]:
    rows = []
    for name, environment in rattler.LockFile.from_path(path).environments():
        for platform in environment.platforms():
            for package in environment.packages(platform) or []:
                rows.append([name, platform.name, package.name, str(package.version), package.location])
    found.append(rows)
print(json.dumps(found), flush=True)
os._exit(0)
"""

#: Solves a channel's packages twice and writes both environments, and a wheel, into a pixi.lock.
_WRITE: Final = """
import asyncio, os, sys, rattler
from rattler import LockChannel, LockFile, LockPlatform
channel, path = sys.argv[1:]
async def main():
    await rattler.index.index_fs(channel)
    platform = LockPlatform("linux-64", virtual_packages=["__glibc=2.28"])
    lock = LockFile([platform])
    for name, specs in (("default", ["app"]), ("old", ["app", "lib <2"])):
        lock.set_channels(name, [LockChannel("file://" + channel)])
        for record in await rattler.solve([channel], specs, platforms=["linux-64", "noarch"]):
            lock.add_conda_package(name, platform, record)
    lock.add_pypi_package("default", platform, "demo-pip", "3.0", "https://files.example/demo_pip-3.0-py3-none-any.whl")
    lock.to_path(path)
asyncio.run(main())
os._exit(0)
"""

#: What rattler reads in each match spec: None where it reads none.
_MATCH: Final = """
import json, os, sys, rattler
found = []
for text in sys.argv[1:]:
    try:
        spec = rattler.MatchSpec(text)
        found.append([spec.name.normalized, spec.version, spec.build])
    except Exception:
        found.append(None)
print(json.dumps(found), flush=True)
os._exit(0)
"""
SPECS: Final = (
    "numpy",
    "NumPy",
    "numpy=1.2",
    "numpy =1.2",
    "numpy==1.2",
    "numpy == 1.2",
    "numpy 1.2",
    "numpy 1.2 py_0",
    "numpy=1.2=py_0",
    "numpy=1.2=*_cpython",
    "numpy=1.2.*",
    "numpy 1.2.*",
    "numpy >=1.2",
    "numpy >=1.2,<2",
    "numpy >= 1.2, < 2",
    "numpy >=1.2|1.0.*",
    "numpy !=1.2",
    "numpy ~=1.2",
    "main::numpy=1.2",
    "main/linux-64::numpy==1.2",
    "numpy[version='>=1,<2', build=py*]",
    "numpy[version='1.2']",
    "numpy[channel=main, version='==1.2']",
    "numpy >=",
    "numpy === = 1",
    "=1.2",
)


def rattler_reads(shop: Workshop, *paths: Path) -> list[Counter[tuple[str, ...]]]:
    """What rattler reads in each of *paths*: environment, platform, name, version, location."""
    said = shop.run([shop.tool("rattler", "python"), "-c", _READ, *paths])
    return [Counter([tuple(row) for row in rows]) for rows in json.loads(said)]


def we_read(lock: Lock) -> Counter[tuple[str, ...]]:
    """The same by our reading: what each edge of each root leads to."""
    found: Counter[tuple[str, ...]] = Counter()
    for root in lock.roots:
        assert root.kind is RootKind.ENVIRONMENT
        for edge in root.dependencies:
            for platform in edge.platforms:
                (pin,) = [
                    pin
                    for pin in lock.pins
                    if (pin.ecosystem, pin.name, pin.version, pin.build) == (edge.ecosystem, edge.name, edge.version, edge.build)
                    and platform in pin.platforms
                    and edge.source in {None, pin.source}
                ]
                # A folder's version is what is in the folder; rattler does not look at the one that an older lock has.
                version = "<dynamic>" if pin.source.kind is SourceKind.DIRECTORY else pin.version
                found[root.name, platform, pin.name, version, location(pin)] += 1
    return found


def location(pin: Pin) -> str:
    """Where the file of *pin* is, else its source."""
    return pin.artifacts[0].location if pin.artifacts else pin.source.location


def bare(rows: Counter[tuple[str, ...]]) -> Counter[tuple[str, ...]]:
    """*rows* with locations as we keep them: without fragment and query, and without what pixi writes before a URL."""
    found: Counter[tuple[str, ...]] = Counter()
    for (*words, place), count in rows.items():
        clean = place.partition("#")[0].partition("?")[0].removeprefix("direct+").removeprefix("git+")
        found[*words, clean] += count
    return found


def test_rattler_writes_a_lock_that_is_read_as_rattler_reads_it(workshop: Workshop, tmp_path: Path) -> None:
    channel, path = tmp_path / "channel", tmp_path / "pixi.lock"
    packages = [
        Package(name="app", version="1.0", files={"bin/app": b"x"}, depends=("lib",)),
        Package(name="lib", version="1.5", files={"lib/lib": b"1"}),
        Package(name="lib", version="2.1", files={"lib/lib": b"2"}),
    ]
    publish(channel, packages)
    workshop.run([workshop.tool("rattler", "python"), "-c", _WRITE, channel, path])
    lock = read_lock(path)
    assert lock.format is LockFormat.PIXI
    assert we_read(lock) == bare(rattler_reads(workshop, path)[0])
    assert [(root.name, root.default, sorted(edge.name for edge in root.dependencies)) for root in lock.roots] == [
        ("default", True, ["app", "demo-pip", "lib"]),
        ("old", False, ["app", "lib"]),
    ]
    libs = {pin.version: pin for pin in lock.pins if pin.name == "lib"}
    assert set(libs) == {"1.5", "2.1"}
    for version, pin in libs.items():
        file = channel / "linux-64" / f"lib-{version}-h0_0.conda"
        assert pin.artifacts[0].size == file.stat().st_size
        assert Digest("sha256", hashlib.sha256(file.read_bytes()).hexdigest()) in pin.artifacts[0].digests
        assert pin.source.kind is SourceKind.REGISTRY
        assert pin.source.location == f"file://{channel}"
    app = next(pin for pin in lock.pins if pin.name == "app")
    assert [edge.name for edge in app.dependencies] == ["lib"]
    assert not lock.notes


def test_real_locks_are_read_as_rattler_reads_them(workshop: Workshop) -> None:
    paths = sorted((CORPUS / "pixi").glob("*.lock"))
    if not paths:
        pytest.skip("the corpus of real locks is not beside this checkout")
    for path, theirs in zip(paths, rattler_reads(workshop, *paths), strict=True):
        assert we_read(read_lock(path)) == bare(theirs), path.name


def test_match_specs_are_read_as_rattler_reads_them(workshop: Workshop) -> None:
    theirs = json.loads(workshop.run([workshop.tool("rattler", "python"), "-c", _MATCH, *SPECS]))
    for text, said in zip(SPECS, theirs, strict=True):
        spec = match_spec(text)
        assert (spec is None) == (said is None), text
        if spec is not None:
            name, version, build = said
            exact = version[2:] if version and version.startswith("==") and not set(version) & set(",|") else ""
            assert (spec.name.lower(), spec.build, spec.exact) == (name, build or "", exact), text


DOCUMENT: Final = """version: 1
metadata:
  content_hash: {linux-64: aa, win-64: bb}
  channels:
  - url: https://conda.example/main
    used_env_vars: []
  platforms: [linux-64, win-64]
  sources: [environment.yml]
package:
"""


def _row(name: str, version: str, **said: str) -> str:
    platform = said.setdefault("platform", "linux-64")
    said.setdefault("manager", "conda")
    said.setdefault("url", f"https://conda.example/main/{platform}/{name}-{version}-h0_0.conda")
    said.setdefault("hash", f"{{md5: {'ab' * 16}, sha256: {'cd' * 32}}}")
    said.setdefault("category", "main")
    said["optional"] = str(said["category"] != "main").lower()
    rows = {"name": name, "version": f"'{version}'", "dependencies": "{}", **said}
    return "- " + "\n  ".join(f"{key}: {value}" for key, value in rows.items()) + "\n"


def our_lock() -> str:
    wheel = "https://files.example/demo_pip-3.0-py3-none-any.whl"
    return (
        DOCUMENT
        + _row("zlib", "1.3")
        + _row("zlib", "1.3", platform="win-64")
        + _row("zlib", "1.3", category="dev")
        + _row("python", "3.12.1", dependencies="{zlib: '>=1.3'}")
        + _row("pytest", "8.0", category="dev")
        + _row("demo-pip", "3.0", manager="pip", url=wheel, hash=f"{{sha256: {'ef' * 32}}}")
    )


def rendered(shop: Workshop, folder: Path, text: str, kind: str) -> dict[str, str]:
    """What conda-lock makes of the lock *text*: a list or a file of each platform."""
    folder.mkdir()
    (folder / "conda-lock.yml").write_text(text)
    shop.run([shop.tool("conda-lock"), "render", "--kind", kind, "conda-lock.yml"], cwd=folder)
    return {path.name: path.read_text() for path in folder.iterdir() if path.name != "conda-lock.yml"}


def read(reader: LockReader, text: str) -> Lock:
    return reader.parse(text, path="a lock", digest=DIGEST, beside={})


def on(lock: Lock, platform: str, *, artifacts: bool = True) -> dict[tuple[Ecosystem, str], tuple[object, ...]]:
    """The packages of *lock* for *platform*."""
    pins = [pin for pin in lock.pins if not pin.platforms or platform in pin.platforms]
    found: dict[tuple[Ecosystem, str], tuple[object, ...]] = {}
    for pin in pins:
        places = [artifact.location for artifact in pin.artifacts]
        found[pin.ecosystem, pin.name] = (pin.version, pin.build, *(places if artifacts else ()))
    assert len(found) == len(pins)
    return found


@pytest.mark.parametrize("real", [False, True])
def test_what_conda_lock_makes_of_a_lock_says_what_the_lock_says(workshop: Workshop, tmp_path: Path, *, real: bool) -> None:
    text = our_lock()
    if real:
        path = CORPUS / "conda-lock/conda__conda-lock__1.yml"
        if not path.exists():
            pytest.skip("the corpus of real locks is not beside this checkout")
        text = path.read_text()
    lock = read(conda_lock, text)
    lists = rendered(workshop, tmp_path / "explicit", text, "explicit")
    assert set(lists) == {f"conda-{platform}.lock" for platform in lock.platforms}
    for platform in lock.platforms:
        explicit = read(conda_explicit, lists[f"conda-{platform}.lock"])
        assert (explicit.generator, explicit.platforms) == ("conda-lock", (platform,))
        assert on(explicit, platform) == on(lock, platform)
        assert all(artifact.digests for pin in explicit.pins for artifact in pin.artifacts)
    files = rendered(workshop, tmp_path / "env", text, "env")
    for platform in lock.platforms:
        wished = read(environment_yml, files[f"conda-{platform}.lock.yml"])
        assert on(wished, platform, artifacts=False) == on(lock, platform, artifacts=False)
        assert wished.facts["unpinned"] == 0
