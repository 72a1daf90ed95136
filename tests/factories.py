"""Small values for tests: each maker gives a plain, valid one, and takes what a test is about as keywords."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from sanctity.model.digest import Digest
from sanctity.model.drift import Checked, Code, Comparison, Depth, Drift, Reference, ReferenceKind
from sanctity.model.environment import Distribution, Environment, Interpreter, Layout, LookedAtFrom, Origin
from sanctity.model.lock import Artifact, Dependency, Lock, LockFormat, Pin, Root, RootKind, Source, SourceKind

if TYPE_CHECKING:
    from collections.abc import Iterable

REGISTRY = Source(kind=SourceKind.REGISTRY, location="https://index.example/simple")


def a_digest(of: str = "") -> Digest:
    """The SHA-256 of the text *of*."""
    return Digest.of_sha256(hashlib.sha256(of.encode()).digest())


def an_edge(text: str | Dependency, **fields: Any) -> Dependency:
    """The edge that ``name[extra]==version; marker`` is a short form of."""
    if isinstance(text, Dependency):
        return text
    head, _, marker = text.partition(";")
    head, _, version = head.partition("==")
    name, _, extras = head.strip().rstrip("]").partition("[")
    return Dependency(
        **{
            "name": name.strip(),
            "extras": tuple(filter(None, extras.split(","))),
            "version": version.strip(),
            "marker": marker.strip(),
            **fields,
        }
    )


def edges(texts: Iterable[str | Dependency]) -> tuple[Dependency, ...]:
    return tuple(an_edge(text) for text in texts)


def a_pin(name: str = "six", version: str = "1.0", *needs: str | Dependency, **fields: Any) -> Pin:
    """A pin from the index; *needs* are its edges. ``optional`` may be a mapping from extras to edge texts."""
    optional = fields.pop("optional", {})
    if isinstance(optional, dict):
        optional = tuple((extra, edges(texts)) for extra, texts in optional.items())
    artifact = Artifact(
        filename=f"{name.replace('-', '_')}-{version}-py3-none-any.whl",
        digests=(a_digest(f"{name}-{version}"),),
        location=f"https://index.example/files/{name.replace('-', '_')}-{version}-py3-none-any.whl",
    )
    return Pin(
        **{
            "name": name,
            "version": version,
            "source": REGISTRY,
            "artifacts": (artifact,),
            "dependencies": edges(needs),
            "optional": optional,
            **fields,
        }
    )


def a_root(kind: RootKind = RootKind.PROJECT, name: str = "", *needs: str | Dependency, **fields: Any) -> Root:
    return Root(**{"kind": kind, "name": name, "dependencies": edges(needs), "default": kind is RootKind.PROJECT, **fields})


def a_project(*needs: str | Dependency, **fields: Any) -> Root:
    return a_root(RootKind.PROJECT, "", *needs, **fields)


def a_group(name: str, *needs: str | Dependency, **fields: Any) -> Root:
    return a_root(RootKind.GROUP, name, *needs, **fields)


def an_extra(name: str, *needs: str | Dependency, **fields: Any) -> Root:
    return a_root(RootKind.EXTRA, name, *needs, **{"extras": (name,), **fields})


def a_lock(*parts: Pin | Root, **fields: Any) -> Lock:
    """A lock of these pins and roots; without a root, one project that needs every pin."""
    pins = tuple(part for part in parts if isinstance(part, Pin))
    roots = tuple(part for part in parts if isinstance(part, Root))
    if not roots:
        roots = (a_project(*(Dependency(name=pin.name, version=pin.version) for pin in pins)),)
    return Lock(
        **{"format": LockFormat.UV, "path": "uv.lock", "digest": a_digest("uv.lock"), "pins": pins, "roots": roots, **fields}
    )


def an_origin(kind: str = "directory", url: str = "file:///project", **fields: Any) -> Origin:
    return Origin(kind=kind, url=url, **fields)


def a_distribution(name: str = "six", version: str = "1.0", **fields: Any) -> Distribution:
    """An installed distribution without a RECORD."""
    key = str(canonicalize_name(name))
    home = f"lib/python3.11/site-packages/{key.replace('-', '_')}-{version}.dist-info"
    return Distribution(**{"key": key, "name": name, "version": version, "home": home, "installer": "uv", **fields})


def an_interpreter(**fields: Any) -> Interpreter:
    return Interpreter(**{"version": "3.11.7", "abi": "cpython-311", "machine": "x86_64", "libc": "glibc 2.36", **fields})


def an_environment(*distributions: Distribution, **fields: Any) -> Environment:
    return Environment(
        **{
            "prefix": "/project/.venv",
            "layout": Layout(site=("lib/python3.11/site-packages",), stdlib="", version="3.11"),
            "interpreter": an_interpreter(),
            "distributions": distributions,
            **fields,
        }
    )


def a_drift(code: Code = Code.FILE_ALTERED, **fields: Any) -> Drift:
    """An error that gates, about six."""
    return Drift(**{"code": code, "distribution": "six", "version": "1.0", "path": "six.py", **fields})


def a_comparison(*drifts: Drift, **fields: Any) -> Comparison:
    """A comparison with ``uv.lock`` that found *drifts*."""
    return Comparison(
        **{
            "depth": Depth.RECORD,
            "reference": Reference(kind=ReferenceKind.LOCK, format=LockFormat.UV, path="uv.lock", digest=str(a_digest("uv.lock"))),
            "prefix": ".venv",
            "looked_at_from": LookedAtFrom.OUTSIDE,
            "checked": Checked(distributions=71, files=16376, bytes=441_000_000),
            "drifts": drifts,
            "seconds": 0.9,
            **fields,
        }
    )
