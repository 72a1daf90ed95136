"""Locks of conda packages and the prefixes they are held to, as values: what the tests of either build theirs from."""

from __future__ import annotations

from typing import Any

from factories import a_digest, a_lock, a_project, a_root, an_environment
from sanctity.compare.comparison import compare_with_lock
from sanctity.model.digest import Digest
from sanctity.model.drift import Comparison, Depth
from sanctity.model.environment import CondaPackage, Distribution, Environment
from sanctity.model.lock import Artifact, Dependency, Ecosystem, Lock, LockFormat, Pin, Root, RootKind, Source, SourceKind

CHANNEL = "https://conda.example/forge"
LINUX, MAC = ("linux-64",), ("osx-arm64",)


def a_conda_pin(name: str, version: str = "1.0", build: str = "h0_0", **fields: Any) -> Pin:
    """A conda package for Linux, with both hashes."""
    platforms = fields.get("platforms", LINUX)
    location = f"{CHANNEL}/{platforms[0]}/{name}-{version}-{build}.conda"
    artifact = Artifact(
        filename=location.rpartition("/")[2],
        digests=(a_digest(location), Digest("md5", a_digest(location).value[:32])),
        location=location,
    )
    return Pin(
        **{
            "name": name,
            "version": version,
            "build": build,
            "ecosystem": Ecosystem.CONDA,
            "source": Source(kind=SourceKind.REGISTRY, location=CHANNEL),
            "artifacts": (artifact,),
            "platforms": LINUX,
            **fields,
        }
    )


def an_edge_to(pin: Pin) -> Dependency:
    return Dependency(name=pin.name, version=pin.version, build=pin.build, ecosystem=pin.ecosystem, platforms=pin.platforms)


def a_conda_lock(*parts: Pin | Root, **fields: Any) -> Lock:
    """A lock of these pins; without a root, one project that needs every one of them."""
    pins = [part for part in parts if isinstance(part, Pin)]
    roots = [part for part in parts if isinstance(part, Root)] or [a_project(*map(an_edge_to, pins))]
    return a_lock(*pins, *roots, **{"format": LockFormat.CONDA_LOCK, "path": "conda-lock.yml", "platforms": LINUX, **fields})


def a_pixi_lock(*roots: tuple[str, tuple[Pin, ...]], **fields: Any) -> Lock:
    pins = dict.fromkeys(pin for _, held in roots for pin in held)
    made = [a_root(RootKind.ENVIRONMENT, name, *map(an_edge_to, held)) for name, held in roots]
    return a_conda_lock(*pins, *made, **{"format": LockFormat.PIXI, "path": "pixi.lock", **fields})


def installed(pin: Pin, **fields: Any) -> CondaPackage:
    """What is there once *pin* was installed."""
    artifact = pin.artifacts[0]
    subdir = artifact.location.split("/")[-2]
    package = CondaPackage(
        name=pin.name,
        version=pin.version,
        build=pin.build,
        path=f"conda-meta/{pin.name}-{pin.version}-{pin.build}.json",
        subdir=subdir,
        channel=CHANNEL,
        url=artifact.location,
        digests=artifact.digests,
        noarch=subdir == "noarch",
    )
    return package._replace(**fields)


def a_prefix(*parts: CondaPackage | Pin | Distribution, **fields: Any) -> Environment:
    packages = [installed(part) if isinstance(part, Pin) else part for part in parts if not isinstance(part, Distribution)]
    distributions = [part for part in parts if isinstance(part, Distribution)]
    return an_environment(*distributions, **{"manager": "conda", "conda": tuple(packages), "prefix": "/opt/env", **fields})


def compared(lock: Lock, environment: Environment, **options: Any) -> Comparison:
    return compare_with_lock(environment, lock, depth=Depth.VERSION, lock_folder="/project", **options)


def gating(lock: Lock, environment: Environment, **options: Any) -> list[tuple[str, str]]:
    return [(str(drift.code), drift.distribution) for drift in compared(lock, environment, **options).drifts if drift.gating]


PYTHON, NUMPY, SSL = a_conda_pin("python", "3.11.7"), a_conda_pin("numpy"), a_conda_pin("openssl", "3.2")
MAC_PYTHON = a_conda_pin("python", "3.11.7", "h9_0", platforms=MAC)
