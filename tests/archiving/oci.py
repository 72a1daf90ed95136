"""Whether a folder is an OCI image layout, by the rules of the specification (1.1) and by no code of ours.

Sources: image-layout.md, image-index.md, manifest.md, descriptor.md and annotations.md of the OCI image specification, and its JSON
schemas, whose patterns are repeated here.
"""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["check_layout", "check_sums"]

MEDIA_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}")
DIGEST = re.compile(r"[a-z0-9]+(?:[+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+")
COMPONENT = r"[A-Za-z0-9]+(?:(?:[-._:@+]|--)[A-Za-z0-9]+)*"
REFERENCE = re.compile(rf"{COMPONENT}(?:/{COMPONENT})*")
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def check_layout(folder: Path) -> dict[str, dict[str, Any]]:
    """Assert that *folder* is a layout in which every reference resolves; its manifests by their digests."""
    assert json.loads((folder / "oci-layout").read_bytes()) == {"imageLayoutVersion": "1.0.0"}
    index = json.loads((folder / "index.json").read_bytes())
    assert index["schemaVersion"] == 2
    assert index["mediaType"] == INDEX
    found = {}
    names = []
    for entry in index["manifests"]:
        _check_descriptor(folder, entry)
        assert entry["mediaType"] == MANIFEST
        names.append(entry.get("annotations", {}).get("org.opencontainers.image.ref.name"))
        found[entry["digest"]] = _check_manifest(folder, entry)
    named = [name for name in names if name is not None]
    assert len(named) == len(set(named)), "a name is one manifest's"
    assert all(REFERENCE.fullmatch(name) for name in named), named
    return found


def _check_manifest(folder: Path, entry: dict[str, Any]) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads(_blob(folder, entry).read_bytes())
    assert manifest["schemaVersion"] == 2
    assert manifest["mediaType"] == MANIFEST
    assert MEDIA_TYPE.fullmatch(manifest["artifactType"]), "it must be set where the config is the empty one"
    assert entry["artifactType"] == manifest["artifactType"]
    assert manifest["config"]["mediaType"] == "application/vnd.oci.empty.v1+json"
    _check_descriptor(folder, manifest["config"])
    assert _blob(folder, manifest["config"]).read_bytes() == b"{}"
    assert manifest["layers"], "at least one"
    titles = [layer["annotations"]["org.opencontainers.image.title"] for layer in manifest["layers"]]
    assert len(titles) == len(set(titles)), "each layer becomes a file of its own"
    for title in titles:
        assert not title.startswith("/")
        assert ".." not in title.split("/")
    for layer in manifest["layers"]:
        _check_descriptor(folder, layer)
    if "subject" in manifest:
        _check_descriptor(folder, manifest["subject"])
    _check_annotations(manifest)
    return manifest


def _check_descriptor(folder: Path, descriptor: dict[str, Any]) -> None:
    assert MEDIA_TYPE.fullmatch(descriptor["mediaType"])
    assert DIGEST.fullmatch(descriptor["digest"])
    assert isinstance(descriptor["size"], int)
    assert _blob(folder, descriptor).stat().st_size == descriptor["size"]
    _check_annotations(descriptor)


def _check_annotations(item: dict[str, Any]) -> None:
    if "annotations" in item:
        assert item["annotations"]
        assert all(isinstance(key, str) and key and isinstance(value, str) for key, value in item["annotations"].items())


def _blob(folder: Path, descriptor: dict[str, Any]) -> Path:
    algorithm, _, value = str(descriptor["digest"]).partition(":")
    return folder / "blobs" / algorithm / value


def check_sums(folder: Path) -> int:
    """Let sha256sum itself say that each blob of the layout is what its name says; how many there are."""
    names = sorted(path.name for path in (folder / "blobs/sha256").iterdir())
    if not names:
        return 0
    lines = "".join(f"{name}  {name}\n" for name in names)
    subprocess.run(["sha256sum", "--check", "--quiet", "--strict"], input=lines, text=True, check=True, cwd=folder / "blobs/sha256")
    return len(names)
