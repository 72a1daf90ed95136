"""The documents of an archive: ``oci-layout``, ``index.json`` and manifests; bytes in, values out, and back (docs/archive.md).

They follow the OCI image format, version 1.1, so that its tools read an archive without us. What we say ourselves stands in
annotations under ``dev.sanctity.``. The same values make the same bytes: there is no clock in them, and all is sorted.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from sanctity.errors import DocumentError
from sanctity.model.archive import (
    INTERPRETER_SCHEMA,
    ArchivedArtifact,
    ArchivedDocument,
    ArchivedInterpreter,
    ArchivedLock,
    ArchivedSeal,
    ArtifactKind,
    For,
)
from sanctity.model.digest import ContentDigest, Digest
from sanctity.model.platform import Build
from sanctity.model.wire import canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "EMPTY",
    "INDEX_TYPE",
    "INTERPRETER_TYPE",
    "LAYOUT",
    "LOCK_TYPE",
    "MANIFEST_TYPE",
    "OWN_TYPES",
    "SEAL_TYPE",
    "Descriptor",
    "Manifest",
    "digest_of",
    "format_identity",
    "format_index",
    "format_manifest",
    "interpreter_of",
    "lock_of",
    "manifest_of_interpreter",
    "manifest_of_lock",
    "manifest_of_seal",
    "name_of",
    "parse_index",
    "parse_layout",
    "parse_manifest",
    "reference_name",
    "seal_of",
]

#: The bytes of ``oci-layout``.
LAYOUT: Final = b'{"imageLayoutVersion":"1.0.0"}'
INDEX_TYPE: Final = "application/vnd.oci.image.index.v1+json"
MANIFEST_TYPE: Final = "application/vnd.oci.image.manifest.v1+json"
LOCK_TYPE: Final = "application/vnd.sanctity.lock.v1"
SEAL_TYPE: Final = "application/vnd.sanctity.seal.v1"
INTERPRETER_TYPE: Final = "application/vnd.sanctity.interpreter.v1"
OWN_TYPES: Final = frozenset({LOCK_TYPE, SEAL_TYPE, INTERPRETER_TYPE})
#: The bytes that an empty config points at.
EMPTY: Final = b"{}"

_EMPTY_TYPE: Final = "application/vnd.oci.empty.v1+json"
_DOCUMENT_TYPE: Final = "application/vnd.sanctity.document.v1"
_IDENTITY_TYPE: Final = "application/vnd.sanctity.interpreter.identity.v1+json"
_FILE_TYPE: Final = "application/vnd.sanctity.interpreter.archive.v1"
_ARTIFACT_TYPES: Final = {
    ArtifactKind.WHEEL: "application/vnd.sanctity.wheel.v1+zip",
    ArtifactKind.SDIST: "application/vnd.sanctity.sdist.v1",
}
_KINDS: Final = {media_type: kind for kind, media_type in _ARTIFACT_TYPES.items()}
_TITLE: Final = "org.opencontainers.image.title"
_NAME: Final = "org.opencontainers.image.ref.name"
_OWN: Final = "dev.sanctity."
#: The keys of a descriptor that we read.
_OWN_KEYS: Final = frozenset({"mediaType", "digest", "size", "artifactType", "annotations"})
#: What a component of a name may be made of, by the OCI's own rule for names.
_NO_NAME: Final = re.compile(r"[^A-Za-z0-9._-]+")
_HINT: Final = "sanctity archive scrub says what is wrong with it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """What points at a blob. *annotations* are sorted pairs; *rest* is the canonical JSON of all keys that mean nothing to us."""

    media_type: str
    digest: Digest
    size: int
    artifact_type: str = ""
    annotations: tuple[tuple[str, str], ...] = ()
    rest: str = ""

    def get(self, key: str) -> str:
        """An annotation of ours, empty where it is not given."""
        return dict(self.annotations).get(_OWN + key, "")

    @property
    def title(self) -> str:
        """The file name that tools give it."""
        return dict(self.annotations).get(_TITLE, "")

    @property
    def name(self) -> str:
        """What the index calls it."""
        return dict(self.annotations).get(_NAME, "")

    def named(self, name: str) -> Descriptor:
        """The same under that *name*; an empty one takes it away."""
        kept = [(key, value) for key, value in self.annotations if key != _NAME]
        return Descriptor(
            media_type=self.media_type,
            digest=self.digest,
            size=self.size,
            artifact_type=self.artifact_type,
            annotations=tuple(sorted([*kept, (_NAME, name)] if name else kept)),
            rest=self.rest,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A manifest, or an index inside of an index: what it points at."""

    artifact_type: str
    layers: tuple[Descriptor, ...] = ()
    config: Descriptor | None = None
    subject: Descriptor | None = None
    annotations: tuple[tuple[str, str], ...] = ()

    def get(self, key: str) -> str:
        """An annotation of ours, empty where it is not given."""
        return dict(self.annotations).get(_OWN + key, "")

    def all(self) -> tuple[Descriptor, ...]:
        """Everything that it points at, but for its subject, which need not be there."""
        return (*self.layers, *((self.config,) if self.config is not None else ()))


def digest_of(data: bytes) -> Digest:
    """The SHA-256 of *data*."""
    return Digest.of_sha256(hashlib.sha256(data).digest())


# -- in ---------------------------------------------------------------------------------------------------------------------------


def _bad(where: str, message: str) -> DocumentError:
    return DocumentError("archive-invalid", message, where=where, hint=_HINT)


def _load(data: bytes, where: str) -> dict[str, Any]:
    try:
        stated = json.loads(data)
        if b"\\ud" in data.lower():
            json.dumps(stated, ensure_ascii=False).encode()  # JSON can write halves of characters, which no other document can
    except (ValueError, RecursionError) as error:
        raise _bad(where, f"it is not JSON: {error}"[:200]) from error
    if not isinstance(stated, dict):
        raise _bad(where, "it is no JSON object")
    return cast("dict[str, Any]", stated)


def parse_layout(data: bytes, where: str) -> None:
    """Refuse an ``oci-layout`` of another major version. Raises DocumentError ``archive-invalid``."""
    version = _load(data, where).get("imageLayoutVersion")
    if not isinstance(version, str) or not version.startswith("1."):
        raise _bad(where, f"it states the layout version {str(version)[:40]!r}; this reads 1")


def parse_index(data: bytes, where: str) -> tuple[Descriptor, ...]:
    """The entries of an ``index.json``. Raises DocumentError ``archive-invalid``."""
    return _descriptors(_load(data, where).get("manifests"), f"{where}: manifests")


def parse_manifest(data: bytes, where: str) -> Manifest:
    """A manifest, or an index of manifests. Raises DocumentError ``archive-invalid``."""
    stated = _load(data, where)
    if "manifests" in stated:
        return Manifest(
            artifact_type=_text(stated, "artifactType"), layers=_descriptors(stated["manifests"], f"{where}: manifests")
        )
    config = _descriptor(stated["config"], f"{where}: config") if "config" in stated else None
    return Manifest(
        artifact_type=_text(stated, "artifactType") or (config.media_type if config is not None else ""),
        layers=_descriptors(stated.get("layers"), f"{where}: layers"),
        config=config,
        subject=_descriptor(stated["subject"], f"{where}: subject") if stated.get("subject") is not None else None,
        annotations=_annotations(stated.get("annotations"), where),
    )


def _text(stated: Mapping[str, Any], key: str) -> str:
    value = stated.get(key)
    return value if isinstance(value, str) else ""


def _annotations(stated: Any, where: str) -> tuple[tuple[str, str], ...]:
    if stated is None:
        return ()
    if not isinstance(stated, dict) or not all(isinstance(value, str) for value in stated.values()):
        raise _bad(where, "its annotations are not all texts")
    return tuple(sorted(stated.items()))


def _descriptors(stated: Any, where: str) -> tuple[Descriptor, ...]:
    if not isinstance(stated, list):
        raise _bad(where, "it is no array")
    return tuple(_descriptor(each, f"{where}[{number}]") for number, each in enumerate(stated))


def _descriptor(stated: Any, where: str) -> Descriptor:
    if not isinstance(stated, dict):
        raise _bad(where, "it is no object")
    size, media_type = stated.get("size"), stated.get("mediaType")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < 1 << 53 or not isinstance(media_type, str):
        raise _bad(where, "its mediaType and size are not a text and a number")
    try:
        digest = Digest.parse(str(stated.get("digest")))
        rest = {key: value for key, value in stated.items() if key not in _OWN_KEYS}
        written = canonical(rest).decode() if rest else ""
    except ValueError as error:
        raise _bad(where, str(error)) from error
    if digest.algorithm != "sha256":
        raise _bad(where, f"its digest is {digest.algorithm}; this archive's blobs are named by their SHA-256")
    return Descriptor(
        media_type=media_type,
        digest=digest,
        size=size,
        artifact_type=_text(stated, "artifactType"),
        annotations=_annotations(stated.get("annotations"), where),
        rest=written,
    )


# -- out --------------------------------------------------------------------------------------------------------------------------


def _document(item: Descriptor) -> dict[str, Any]:
    stated: dict[str, Any] = json.loads(item.rest) if item.rest else {}
    stated |= {"mediaType": item.media_type, "digest": str(item.digest), "size": item.size}
    stated |= {"artifactType": item.artifact_type} if item.artifact_type else {}
    return stated | ({"annotations": dict(item.annotations)} if item.annotations else {})


def format_index(entries: Iterable[Descriptor]) -> bytes:
    """The ``index.json`` of these *entries*, which are sorted by name and digest."""
    ordered = sorted(set(entries), key=lambda entry: (not entry.name, entry.name, entry.digest, entry.rest))
    return canonical({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [_document(entry) for entry in ordered]})


def format_manifest(manifest: Manifest) -> bytes:
    """The canonical bytes of a manifest of ours, whose config is the empty one."""
    empty = {"mediaType": _EMPTY_TYPE, "digest": str(digest_of(EMPTY)), "size": len(EMPTY), "data": "e30="}
    stated: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "artifactType": manifest.artifact_type,
        "config": empty,
        "layers": [_document(layer) for layer in manifest.layers],
    }
    stated |= {"subject": _document(manifest.subject)} if manifest.subject is not None else {}
    return canonical(stated | ({"annotations": dict(manifest.annotations)} if manifest.annotations else {}))


def name_of(text: str) -> str:
    """*text* as a component of a name that the OCI's own rule allows; ``unnamed`` where nothing is left of it."""
    plain = re.sub(r"[._-]{2,}", "-", _NO_NAME.sub("-", text)).strip("._-")
    return plain or "unnamed"


def reference_name(text: str) -> str:
    """*text*, in which slashes part components, as such a name."""
    return "/".join(name_of(part) for part in text.split("/") if part) or "unnamed"


def _own(**given: str) -> list[tuple[str, str]]:
    return [(_OWN + key.replace("_", "-"), value) for key, value in given.items() if value]


def _titles(items: Iterable[tuple[str, Digest]]) -> dict[tuple[str, Digest], str]:
    """A relative path for each file that no tool refuses to write, and no two of which are one."""
    found: dict[tuple[str, Digest], str] = {}
    taken: set[str] = set()
    for path, digest in items:
        parts = [part for part in path.replace("\\", "/").split("/") if part not in {"", ".", ".."}]
        title = "/".join(parts) or digest.value
        if title in taken:
            title = f"{digest.value[:12]}/{title}"
        taken.add(title)
        found[path, digest] = title
    return found


def _document_layers(documents: Iterable[ArchivedDocument]) -> list[Descriptor]:
    documents = list(documents)
    titles = _titles((item.path, item.sha256) for item in documents)
    return [
        Descriptor(
            media_type=_DOCUMENT_TYPE,
            digest=item.sha256,
            size=item.size,
            annotations=tuple(sorted([(_TITLE, titles[item.path, item.sha256]), *_own(path=item.path)])),
        )
        for item in documents
    ]


def manifest_of_lock(lock: ArchivedLock) -> Manifest:
    """The manifest of *lock*: its documents, its own first and the others sorted, then its artifacts by name and file name."""
    first, *others = lock.documents
    layers = _document_layers([first, *sorted(others, key=lambda item: item.path)])
    artifacts = sorted(lock.artifacts, key=lambda item: (item.name, item.filename, item.sha256))
    titles = _titles((item.filename, item.sha256) for item in artifacts)
    for item in artifacts:
        own = _own(
            kind=str(item.kind),
            name=item.name,
            version=item.version,
            content=str(item.content or ""),
            built_from=item.built_from,
            yanked=item.yanked,
        )
        title = (_TITLE, titles[item.filename, item.sha256])
        more = _own(filename=item.filename) if title[1] != item.filename else []
        annotations = tuple(sorted([title, *own, *more]))
        media_type = _ARTIFACT_TYPES[item.kind]
        layers.append(Descriptor(media_type=media_type, digest=item.sha256, size=item.size, annotations=annotations))
    wanted = " ".join(sorted(map(str, set(lock.wanted_for))))
    own = [*_own(digest=str(lock.digest), format=lock.format, whole="true" if lock.whole else ""), (f"{_OWN}for", wanted)]
    return Manifest(artifact_type=LOCK_TYPE, layers=tuple(layers), annotations=tuple(sorted(pair for pair in own if pair[1])))


def manifest_of_seal(seal: ArchivedSeal, subject: Descriptor | None) -> Manifest:
    """The manifest of *seal*; *subject* is the manifest of its lock, where that is kept."""
    own = _own(digest=str(seal.digest), locks=" ".join(sorted(map(str, set(seal.locks)))))
    layers = tuple(_document_layers(seal.documents))
    plain = Descriptor(media_type=subject.media_type, digest=subject.digest, size=subject.size) if subject is not None else None
    return Manifest(artifact_type=SEAL_TYPE, layers=layers, subject=plain, annotations=tuple(sorted(own)))


def format_identity(kept: ArchivedInterpreter) -> bytes:
    """The document that says which interpreter is meant."""
    build = kept.build
    stated = {
        "executable": str(build.executable or ""),
        "library": str(build.library or ""),
        "executable-id": build.executable_id,
        "library-id": build.library_id,
        "compiler": build.compiler,
        "compiled": build.compiled,
        "configure": build.configure,
    }
    return canonical(
        {
            "schema": INTERPRETER_SCHEMA,
            "implementation": kept.implementation,
            "version": kept.version,
            "abi": kept.abi,
            "platform": kept.platform,
            "build": {key: value for key, value in stated.items() if value},
        }
    )


def manifest_of_interpreter(kept: ArchivedInterpreter) -> Manifest:
    """The manifest of *kept*: its identity, and the file of the interpreter itself where it is given."""
    identity = format_identity(kept)
    own = _own(implementation=kept.implementation, version=kept.version, abi=kept.abi, platform=kept.platform)
    title = ((_TITLE, "interpreter.json"),)
    layers = [Descriptor(media_type=_IDENTITY_TYPE, digest=digest_of(identity), size=len(identity), annotations=title)]
    if kept.file is not None:
        name = kept.file.path if kept.file.path != "interpreter.json" else "interpreter"
        layers.append(
            Descriptor(media_type=_FILE_TYPE, digest=kept.file.sha256, size=kept.file.size, annotations=((_TITLE, name),))
        )
    return Manifest(artifact_type=INTERPRETER_TYPE, layers=tuple(layers), annotations=tuple(sorted(own)))


# -- what manifests mean ----------------------------------------------------------------------------------------------------------


def _documents(manifest: Manifest) -> tuple[ArchivedDocument, ...]:
    return tuple(
        ArchivedDocument(path=layer.get("path") or layer.title, sha256=layer.digest, size=layer.size)
        for layer in manifest.layers
        if layer.media_type == _DOCUMENT_TYPE
    )


def _checked(documents: tuple[ArchivedDocument, ...], where: str) -> tuple[ArchivedDocument, ...]:
    if not documents:
        raise _bad(where, "it has no document")
    for item in documents:
        if item.path.startswith("/") or "\0" in item.path or "\\" in item.path or not item.path:
            raise _bad(where, f"{item.path[:80]!r} is no relative path")
    if "/" in documents[0].path:
        raise _bad(where, f"its own document is called {documents[0].path[:80]!r}")
    return documents


def lock_of(manifest: Manifest, entry: Descriptor, where: str) -> ArchivedLock:
    """The lock that *manifest* is of. Raises DocumentError ``archive-invalid``."""
    try:
        artifacts = tuple(
            ArchivedArtifact(
                sha256=layer.digest,
                filename=_filename(layer.get("filename") or layer.title),
                size=layer.size,
                kind=_KINDS[layer.media_type],
                name=layer.get("name"),
                version=layer.get("version"),
                content=ContentDigest.parse(layer.get("content")) if layer.get("content") else None,
                built_from=layer.get("built-from"),
                yanked=layer.get("yanked"),
            )
            for layer in manifest.layers
            if layer.media_type in _KINDS
        )
        wanted = [each.partition("/") for each in manifest.get("for").split()]
        return ArchivedLock(
            digest=Digest.parse(manifest.get("digest")),
            format=manifest.get("format"),
            documents=_checked(_documents(manifest), where),
            artifacts=artifacts,
            wanted_for=tuple(For(platform=platform, python=python) for platform, _, python in wanted),
            whole=manifest.get("whole") == "true",
            name=entry.name,
            manifest=entry.digest,
        )
    except ValueError as error:
        raise _bad(where, str(error)) from error


def _filename(name: str) -> str:
    """*name*, if it is the plain name of a file."""
    if not name or "/" in name or "\\" in name or "\0" in name or name in {".", ".."}:
        raise ValueError(f"{name[:80]!r} is no file name")
    return name


def seal_of(manifest: Manifest, entry: Descriptor, where: str) -> ArchivedSeal:
    """The seal that *manifest* is of. Raises DocumentError ``archive-invalid``."""
    try:
        return ArchivedSeal(
            digest=Digest.parse(manifest.get("digest")),
            documents=_checked(_documents(manifest), where),
            locks=tuple(map(Digest.parse, manifest.get("locks").split())),
            name=entry.name,
            manifest=entry.digest,
        )
    except ValueError as error:
        raise _bad(where, str(error)) from error


def interpreter_of(manifest: Manifest, entry: Descriptor, identity: bytes, where: str) -> ArchivedInterpreter:
    """The interpreter that *manifest* is of, whose *identity* document this is. Raises DocumentError ``archive-invalid``."""
    stated = _load(identity, where)
    if stated.get("schema") != INTERPRETER_SCHEMA:
        raise _bad(where, f"its schema is {str(stated.get('schema'))[:60]!r}, not {INTERPRETER_SCHEMA}")
    build = stated.get("build")
    build = build if isinstance(build, dict) else {}
    try:
        made = Build(
            executable=Digest.parse(_text(build, "executable")) if build.get("executable") else None,
            library=Digest.parse(_text(build, "library")) if build.get("library") else None,
            executable_id=_text(build, "executable-id"),
            library_id=_text(build, "library-id"),
            compiler=_text(build, "compiler"),
            compiled=_text(build, "compiled"),
            configure=_text(build, "configure"),
        )
        file = next((layer for layer in manifest.layers if layer.media_type == _FILE_TYPE), None)
        return ArchivedInterpreter(
            implementation=_text(stated, "implementation"),
            version=_text(stated, "version"),
            abi=_text(stated, "abi"),
            platform=_text(stated, "platform"),
            build=made,
            file=ArchivedDocument(path=_filename(file.title), sha256=file.digest, size=file.size) if file is not None else None,
            manifest=entry.digest,
        )
    except ValueError as error:
        raise _bad(where, str(error)) from error
