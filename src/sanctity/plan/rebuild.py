"""What it takes to build an environment again: which file makes each distribution, where it comes from, and what is missing.

Values in, a plan out. A file is chosen by the best evidence there is: the sealed or locked hash; a wheel in the archive that has
the sealed content, which is how what was built from source comes back; the lock's own choice; and last of all an sdist, whose build
may give other bytes, which the proof will tell. What git governs, editables and projects that are never installed, is left out and
told.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sanctity.compare.tags import rank_of, tags_of
from sanctity.model.archive import ArtifactKind
from sanctity.model.artifact import Wanted
from sanctity.model.lock import SourceKind
from sanctity.model.names import version_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from packaging.tags import Tag

    from sanctity.model.archive import ArchivedArtifact
    from sanctity.model.digest import ContentDigest, Digest
    from sanctity.model.drift import Selection
    from sanctity.model.interpreter import InstalledInterpreter
    from sanctity.model.lock import Pin
    from sanctity.model.seal import SealedDistribution, SealedEnvironment
    from sanctity.plan.needs import Need

__all__ = ["LeftOut", "Missing", "PlannedArtifact", "PlannedParts", "RebuildPlan", "Rebuilt", "plan_lock", "plan_seal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """What is rebuilt: a *kind* (``lock``, ``seal``), its *path* as it is shown, *digest*, and *format* where it is a lock."""

    kind: str
    path: str
    digest: Digest
    format: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedArtifact:
    """The file that makes one distribution, *name* in its normalised form.

    *wanted* is what is sought by hash; None for what is built from *source*, a folder or a repository. *archived* says that the
    archive has it. *content* is what it must become, None where nobody knows yet. *build* says that it has to be built first, which
    runs code of it; *built* that a wheel of no index makes it. *origin* is what its direct_url.json must say (PEP 610), empty for
    an index's. *said_by* says what chose it, in words.
    """

    name: str
    version: str
    wanted: Wanted | None
    archived: bool = False
    content: ContentDigest | None = None
    build: bool = False
    built: bool = False
    origin: str = ""
    source: str = ""
    said_by: str = ""

    @property
    def filename(self) -> str:
        """The name of its file, empty where it is built from a folder or repository."""
        return self.wanted.filename if self.wanted is not None else ""

    @property
    def sha256(self) -> Digest | None:
        """The hash of its file, None where it is only known once it was fetched, or built."""
        return self.wanted.sha256 if self.wanted is not None else None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A distribution that is not rebuilt, and the *reason*; *folder* is an editable's source, empty where that is not there."""

    name: str
    version: str
    reason: str
    folder: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """What can not be had: the distribution *name* *version*, the *code* of why, and a *reason* in words."""

    name: str
    version: str
    code: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedParts:
    """What a lock or seal comes to: *artifacts*, what is *left_out*, what is *missing*, and what to tell (*notices*)."""

    artifacts: tuple[PlannedArtifact, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    missing: tuple[Missing, ...] = ()
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuildPlan:
    """What a rebuild will do: the *reference* at *target*, on *interpreter*, by *engine* (its name and version).

    *shown* is the target as reports print it; *maker* makes the empty environment: ``uv`` or ``venv``; *system_site* lets it see
    the interpreter's own packages, as it was sealed.
    """

    reference: Rebuilt
    target: str
    shown: str
    interpreter: InstalledInterpreter
    engine: str
    engine_version: str
    maker: str
    selection: Selection
    artifacts: tuple[PlannedArtifact, ...]
    left_out: tuple[LeftOut, ...] = ()
    missing: tuple[Missing, ...] = ()
    notices: tuple[str, ...] = ()
    archive: str = ""
    offline: bool = False
    system_site: bool = False
    sealed: SealedEnvironment | None = field(default=None, repr=False)


class _Holdings:
    """What an archive holds, to be asked."""

    def __init__(self, archived: Iterable[ArchivedArtifact], tags: Mapping[Tag, int]) -> None:
        self.by_hash: dict[str, ArchivedArtifact] = {}
        self.by_content: dict[ContentDigest, list[ArchivedArtifact]] = {}
        self.by_source: dict[tuple[str, str], list[ArchivedArtifact]] = {}
        for item in archived:
            self.by_hash.setdefault(str(item.sha256), item)
            if item.kind is ArtifactKind.WHEEL and rank_of(item.filename, tags) is not None:
                if item.content is not None:
                    self.by_content.setdefault(item.content, []).append(item)
                if item.built_from:
                    self.by_source.setdefault((item.name, item.built_from), []).append(item)

    def of(self, wanted: Wanted | None) -> ArchivedArtifact | None:
        """The archived artifact that *wanted* is."""
        digest = wanted.sha256 if wanted is not None else None
        return self.by_hash.get(str(digest)) if digest is not None else None


def _as_wanted(item: ArchivedArtifact) -> Wanted:
    return Wanted(name=item.name, version=item.version, filename=item.filename, digests=(item.sha256,), size=item.size)


def origin_of(pin: Pin, *, folder: str, sha256: Digest | None) -> str:
    """What direct_url.json states of what *pin* takes from elsewhere than an index (PEP 610); empty for an index's."""
    source = pin.source
    stated: dict[str, Any]
    match source.kind:
        case SourceKind.GIT:
            stated = {"url": source.location, "vcs_info": {"commit_id": source.revision, "vcs": "git"}}
        case SourceKind.URL | SourceKind.FILE:
            hashes = {"hashes": {sha256.algorithm: sha256.value}} if sha256 is not None else {}
            stated = {"archive_info": hashes, "url": _url_of(source.location, folder)}
        case SourceKind.DIRECTORY:
            stated = {"dir_info": {}, "url": _url_of(source.location, folder)}
        case _:
            return ""
    if source.subdirectory:
        stated["subdirectory"] = source.subdirectory
    return json.dumps(stated, sort_keys=True)


def _url_of(location: str, folder: str) -> str:
    from posixpath import join, normpath
    from urllib.parse import quote

    return location if "://" in location else f"file://{quote(normpath(join(folder, location)))}"


def plan_lock(
    needs: Iterable[Need],
    interpreter: InstalledInterpreter,
    *,
    archived: Iterable[ArchivedArtifact] = (),
    folder: str,
    folders: Mapping[str, str] | None = None,
    offline: bool = False,
) -> PlannedParts:
    """What the pins of a lock come to, by what each needs.

    *archived* is what the archive holds; *folder* is the absolute folder that the lock's paths start from. *folders* maps the
    locations of folders, as the lock writes them, to where they are there. *offline* rules out whatever is not in the archive and
    would have to be built.
    """
    holdings = _Holdings(archived, tags_of(interpreter.interpreter))
    planned = _Planned(holdings, folder=folder, folders=folders or {}, offline=offline)
    for need in needs:
        planned.need(need)
    return planned.parts()


def plan_seal(
    sealed: SealedEnvironment,
    needs: Mapping[str, Sequence[Need]],
    interpreter: InstalledInterpreter,
    *,
    archived: Iterable[ArchivedArtifact] = (),
    folder: str,
    folders: Mapping[str, str] | None = None,
    offline: bool = False,
) -> PlannedParts:
    """What a sealed environment comes to; *needs* are those of its lock by name, empty where there is none. Else as `plan_lock`."""
    holdings = _Holdings(archived, tags_of(interpreter.interpreter))
    planned = _Planned(holdings, folder=folder, folders=folders or {}, offline=offline)
    for line in sealed.distributions:
        planned.line(line, [need for need in needs.get(line.name, ()) if _is_version(need.pin, line.version)])
    if sealed.unclaimed:
        words = "code that no package claims was sealed, and nothing can bring it back"
        planned.missing.append(
            Missing(name="", version="", code="file-unclaimed", reason=f"{len(sealed.unclaimed):,} files: {words}")
        )
    if sealed.accepted:
        planned.notices.append(f"it was sealed with {len(sealed.accepted):,} drifts in it, which a rebuild does not bring back")
    return planned.parts()


def _is_version(pin: Pin, version: str) -> bool:
    if not pin.version or not version or pin.version == version:
        return True
    return version_key(pin.version) is not None and version_key(pin.version) == version_key(version)


class _Planned:
    """A plan in the making."""

    def __init__(self, holdings: _Holdings, *, folder: str, folders: Mapping[str, str], offline: bool) -> None:
        self.holdings = holdings
        self.folder = folder
        self.folders = folders
        self.offline = offline
        self.artifacts: list[PlannedArtifact] = []
        self.left_out: list[LeftOut] = []
        self.missing: list[Missing] = []
        self.notices: list[str] = []

    def parts(self) -> PlannedParts:
        """What was planned, sorted by name."""

        def order(item: PlannedArtifact | LeftOut | Missing) -> tuple[str, str]:
            return item.name, item.version

        return PlannedParts(
            artifacts=tuple(sorted(self.artifacts, key=order)),
            left_out=tuple(sorted(self.left_out, key=order)),
            missing=tuple(sorted(self.missing, key=order)),
            notices=tuple(dict.fromkeys(self.notices)),
        )

    def line(self, line: SealedDistribution, needs: Sequence[Need]) -> None:
        """Plan one sealed distribution; *needs* are the lock's pins of its name and version."""
        need = needs[0] if needs else None
        if line.files is not None:
            words = f"{line.name} is a package of the system, which its own package manager installs"
            self.missing.append(Missing(name=line.name, version=line.version, code="rebuild-unsupported", reason=words))
            return
        if line.content is None or line.origin == "editable":
            self._leave(line.name, line.version, need, "an editable: its source is governed by git")
            return
        if line.stated is not None:
            words = f"{line.name} was sealed with other bytes than its RECORD states: what it was installed from is not what it was"
            self.notices.append(words)
        by_hash = self.holdings.by_hash.get(str(line.artifact)) if line.artifact is not None else None
        by_content = self.holdings.by_content.get(line.content, [])
        by_content = [item for item in by_content if item.name == line.name]
        origin = self._sealed_origin(line, need)
        # Of what was built from an sdist the seal has the sdist's hash, and the archive the wheel with the sealed content.
        is_wheel = by_hash is not None and by_hash.kind is ArtifactKind.WHEEL
        chosen = by_hash if is_wheel else by_content[0] if by_content else None
        if chosen is not None:
            self.artifacts.append(
                PlannedArtifact(
                    name=line.name,
                    version=line.version,
                    wanted=_as_wanted(chosen),
                    archived=True,
                    content=line.content,
                    origin=origin,
                    said_by="the sealed artifact" if chosen is by_hash else "the sealed content",
                )
            )
            return
        if need is None:
            words = "no lock says where it comes from, and the archive has no wheel with the sealed content"
            self.missing.append(Missing(name=line.name, version=line.version, code="artifact-unknown", reason=words))
            return
        if line.artifact is not None:
            same = [item for item in (need.wheel, *need.others) if item is not None and item.sha256 == line.artifact]
            if same:
                need = replace(need, wheel=same[0], others=())
        self.need(need, content=line.content, origin=origin, version=line.version)

    def _sealed_origin(self, line: SealedDistribution, need: Need | None) -> str:
        """The direct_url.json of a sealed distribution: by its lock, and without one by what the seal states in short."""
        if not line.origin:
            return ""
        if need is not None:
            stated = origin_of(need.pin, folder=self.folder, sha256=line.artifact)
            if stated:
                return stated
        # The seal has no place, and needs none: the file that is installed from here is all that is known of it.
        kind, _, commit = line.origin.partition(":")
        nowhere = f"file:///sealed/{line.name}"
        if kind == "git":
            return json.dumps({"url": nowhere, "vcs_info": {"commit_id": commit, "vcs": "git"}}, sort_keys=True)
        return json.dumps({"dir_info" if kind == "directory" else "archive_info": {}, "url": nowhere}, sort_keys=True)

    def _leave(self, name: str, version: str, need: Need | None, reason: str) -> None:
        folder = self.folders.get(need.pin.source.location, "") if need is not None else ""
        self.left_out.append(LeftOut(name=name, version=version, reason=reason, folder=folder))

    def need(self, need: Need, *, content: ContentDigest | None = None, origin: str | None = None, version: str = "") -> None:
        """Plan one pin of a lock; *content* and *origin* where a seal states them."""
        pin = need.pin
        version = version or pin.version
        if pin.source.kind is SourceKind.VIRTUAL:
            return
        if pin.source.kind is SourceKind.EDITABLE:
            self._leave(pin.name, version, need, "an editable: its source is governed by git")
            return
        candidates = [item for item in (need.wheel, *need.others) if item is not None]
        kept = next((item for item in candidates if self.holdings.of(item) is not None), None)
        chosen = need.wheel
        if kept is not None and (chosen is None or kept is need.wheel or self.offline):
            chosen = kept
            if kept is not need.wheel and need.wheel is not None:
                self.notices.append(f"{kept.filename} is taken from the archive, which has no {need.wheel.filename}")
        if chosen is not None:
            item = self.holdings.of(chosen)
            self._add(need, chosen, item, content=content, origin=origin, version=version, said_by="the lock")
            return
        source = self._source_of(need)
        built = [item for item in self.holdings.by_source.get((pin.name, source), ()) if content in {None, item.content}]
        if built:
            best = min(built, key=lambda item: item.filename)
            if len({item.content for item in built}) > 1:
                self.notices.append(
                    f"the archive has {len(built)} wheels of {pin.name} {version} built from one source: {best.filename} is taken"
                )
            self._add(need, _as_wanted(best), best, content=content, origin=origin, version=version, said_by=f"built from {source}")
            return
        self._from_source(need, source, content=content, origin=origin, version=version)

    def _add(
        self,
        need: Need,
        wanted: Wanted,
        item: ArchivedArtifact | None,
        *,
        content: ContentDigest | None,
        origin: str | None,
        version: str,
        said_by: str,
    ) -> None:
        pin = need.pin
        digest = wanted.sha256 if pin.source.kind in {SourceKind.URL, SourceKind.FILE} else None
        if item is not None and item.built_from.startswith("sha256:") and need.source is not None:
            digest = need.source.sha256
        self.artifacts.append(
            PlannedArtifact(
                name=pin.name,
                version=version or (item.version if item is not None else ""),
                wanted=wanted,
                archived=item is not None,
                content=content or (item.content if item is not None else None),
                origin=origin if origin is not None else origin_of(pin, folder=self.folder, sha256=digest),
                source=wanted.location,
                said_by=said_by,
            )
        )

    def _source_of(self, need: Need) -> str:
        """What a wheel of *need* is built from, as an archive writes it."""
        source = need.pin.source
        if need.source is not None:
            return str(need.source.sha256 or "")
        return f"git:{source.revision}" if source.kind is SourceKind.GIT else f"directory:{source.location}"

    def _from_source(self, need: Need, source: str, *, content: ContentDigest | None, origin: str | None, version: str) -> None:
        pin = need.pin

        def lacks(code: str, reason: str) -> None:
            self.missing.append(Missing(name=pin.name, version=version, code=code, reason=reason))

        folder = self.folders.get(pin.source.location, "")
        if need.source is None and not need.local:
            if need.unnamed:
                lacks("artifact-unnamed", "the lock gives its hashes alone, and neither archive nor index says which file is meant")
            else:
                lacks("artifact-none-fits", "no wheel of it fits this interpreter, and there is no sdist")
            return
        if self.offline:
            lacks(
                "wheel-not-built",
                f"it would have to be built from {source or 'source'}, which takes an index: archive add --env, or --build",
            )
            return
        if need.source is None and pin.source.kind is SourceKind.DIRECTORY and not folder:
            lacks("source-not-there", f"its folder {pin.source.location} is not there")
            return
        where = _repository(pin) if pin.source.kind is SourceKind.GIT else folder
        self.notices.append(
            f"{pin.name} {version} has to be built: it may come out with other bytes than before, which the proof tells"
        )
        item = self.holdings.of(need.source)
        digest = need.source.sha256 if need.source is not None else None
        self.artifacts.append(
            PlannedArtifact(
                name=pin.name,
                version=version,
                wanted=need.source,
                archived=item is not None,
                content=content,
                build=True,
                built=True,
                origin=origin if origin is not None else origin_of(pin, folder=self.folder, sha256=digest),
                source=where if need.source is None else need.source.location,
                said_by="its source",
            )
        )


def _repository(pin: Pin) -> str:
    source = pin.source
    location = source.location if source.location.startswith("git+") else f"git+{source.location}"
    return f"{location}@{source.revision}" + (f"#subdirectory={source.subdirectory}" if source.subdirectory else "")
