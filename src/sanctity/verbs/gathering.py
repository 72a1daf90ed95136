"""What an archive takes of one project: each artifact of a closure, found and kept; wheels packed or built where none is published.

Artifacts are sought by hash: in the archive, in pip's and uv's caches, where the lock says, and behind the index. Each is hashed as
it comes in, and a wheel is read once, for the content that it becomes when it is installed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from sanctity.errors import DocumentError, NoEnvironmentError, SanctityError, UsageError
from sanctity.model.archive import ArchivedArtifact, ArchivedDocument, ArchivedLock, ArchivedSeal, ArtifactKind, For
from sanctity.model.artifact import Place as Origin
from sanctity.model.artifact import Proof, WheelContent
from sanctity.model.digest import Digest
from sanctity.model.drift import Depth
from sanctity.model.lock import SourceKind
from sanctity.verbs.sources import fetcher_for
from sanctity.verbs.world import Target, folder_of, locate, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sanctity.fetch.fetcher import Fetcher
    from sanctity.model.artifact import Wanted
    from sanctity.model.digest import ContentDigest
    from sanctity.model.environment import Distribution, Environment, Interpreter
    from sanctity.model.lock import Lock, Pin
    from sanctity.model.seal import Seal
    from sanctity.observe.places import Place
    from sanctity.plan.needs import Need
    from sanctity.store.archive import Archive
    from sanctity.verbs.world import World

__all__ = ["Case", "Gatherer", "Lacking", "Tally", "for_of", "observe", "platform_name", "take"]

_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Lacking:
    """What a rebuild will lack: the pin *name* *version*, the *code* of why, a *reason* in words, and whether trying *failed*."""

    name: str
    version: str
    code: str
    reason: str
    failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One interpreter to keep artifacts for: what is *installed* where it was looked at, and the groups and extras asked for."""

    interpreter: Interpreter
    platform: str
    installed: Mapping[str, frozenset[str]] = field(default_factory=dict)
    groups: tuple[str, ...] | None = None
    extras: tuple[str, ...] | None = None


@dataclass(slots=True)
class Tally:
    """What came in so far, counted by all threads."""

    tick: object
    fetched: int = 0
    found: int = 0
    made: int = 0
    there: int = 0
    size: int = 0
    lacking: list[Lacking] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    learnt: list[WheelContent] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


def observe(prefix: str, world: World, *, depth: Depth) -> Environment:
    """The environment at *prefix*, with its rows where *depth* has any."""
    from sanctity.observe.environment import observe_environment

    return observe_environment(prefix, depth=depth, clock=world.clock)


def for_of(interpreter: Interpreter, platform: str) -> For:
    """How an archive writes that artifacts are kept for *interpreter*."""
    return For(platform=platform, python=f"{interpreter.implementation}-{'.'.join(interpreter.version.split('.')[:2])}")


def platform_name(interpreter: Interpreter) -> str:
    """The platform as a seal names it."""
    return "-".join(
        part for part in ("linux", interpreter.machine.rpartition("linux-")[2], interpreter.libc.partition(" ")[0]) if part
    )


def take(archive: Archive, path: str, *, shown: str) -> tuple[Digest, int]:
    """Keep the bytes of the file at *path*, whose digest and size are given back."""
    try:
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256")
            found = Digest.of_sha256(digest.digest())
            size = file.tell()
            file.seek(0)
            if archive.size_of(found) != size:
                archive.keep_stream(iter(lambda: file.read(_CHUNK), b""), found)
    except OSError as error:
        raise UsageError(
            "usage", error.strerror or "it can not be read", where=shown, hint="name a file that can be read"
        ) from error
    return found, size


class Gatherer:
    """What keeps the locks of one project's *folder*."""

    def __init__(
        self, archive: Archive, world: World, tally: Tally, *, folder: str, offline: bool, jobs: int, build: bool, env: str
    ) -> None:
        self.archive = archive
        self.world = world
        self.tally = tally
        self.folder = folder
        self.offline = offline
        self.jobs = jobs
        self.build = build
        self.env = env
        self.prefix = sys.prefix
        self._fetcher: Fetcher | None = None
        self.seen: Environment | None = None
        self._whole: Environment | None = None
        self._unnamed: dict[str, str] = {}
        self._known = {item.sha256: item for item in archive.artifacts()}

    @property
    def fetcher(self) -> Fetcher:
        """Made when it is first needed."""
        with self.tally.lock:
            if self._fetcher is None:
                self._fetcher = fetcher_for(self.folder, self.world, offline=self.offline)
            return self._fetcher

    def environment(self) -> Environment | None:
        """The environment named, or the project's own, by names and versions; None where there is none."""
        try:
            _, place = locate(Target(project=self.folder, env=self.env), self.world)
        except NoEnvironmentError:
            if self.env:
                raise
            return None
        if not self.env and not _is_own(place, self.folder):
            return None
        self.prefix = place.prefix
        self.seen = observe(place.prefix, self.world, depth=Depth.VERSION)
        return self.seen

    # -- locks and seals ----------------------------------------------------------------------------------------------------------

    def keep_lock(self, lock: Lock, cases: tuple[Case, ...], *, whole: bool, name: str) -> ArchivedLock:
        """Keep *lock*, and what it takes for *cases*."""
        from sanctity.observe.places import read_project_name
        from sanctity.store.layout import name_of, reference_name

        folder = folder_of(lock, self.world)
        failed_before = sum(item.failed for item in self.tally.lacking)
        wanted, sources = self._wanted(lock, cases, folder, whole=whole)
        artifacts = self._have_all(wanted)
        artifacts += self._made(sources, artifacts)
        file = os.path.basename(lock.path)
        project = read_project_name(folder) or os.path.basename(folder)
        kept = ArchivedLock(
            digest=lock.digest,
            format=str(lock.format),
            documents=self._documents(lock, folder),
            artifacts=tuple(artifacts),
            wanted_for=tuple(for_of(case.interpreter, case.platform) for case in cases),
            whole=whole,
            name=reference_name(name) if name else f"{name_of(project)}/{name_of(file)}",
        )
        before = self.archive.named(kept.name)
        if before is not None and before.digest != kept.digest:
            if sum(item.failed for item in self.tally.lacking) > failed_before:
                # A lock that is not whole must not take the place of one that may be: gc would then delete that.
                self.tally.notices.append(f"{kept.name} is still {before.digest}: the lock takes the name when all of it is kept")
                kept = replace(kept, name="")
            else:
                self.tally.notices.append(f"{kept.name} was {before.digest} before; that one stays, without the name, until gc")
        return self.archive.add_lock(kept)

    def _documents(self, lock: Lock, folder: str) -> tuple[ArchivedDocument, ...]:
        """Keep the lock's own file and all that was read with it. Raises DocumentError where it changed since."""
        from sanctity.observe.locks import read_lock

        own = os.path.basename(lock.path)
        found = []
        for path in (own, *lock.files):
            try:
                with open(os.path.join(folder, path), "rb") as file:
                    data = file.read()
            except (FileNotFoundError, NotADirectoryError):
                continue  # it was looked for, and is not there
            except OSError as error:
                raise DocumentError("lock-unreadable", error.strerror or "it can not be read", where=path) from error
            found.append(ArchivedDocument(path=path, sha256=self.archive.keep_bytes(data), size=len(data)))
        kept = ArchivedLock(digest=lock.digest, format=str(lock.format), documents=tuple(found))
        with tempfile.TemporaryDirectory(prefix="sanctity-") as room:
            again = read_lock(self.archive.unpack(kept, room))
        if again.digest != lock.digest:
            raise DocumentError("lock-unreadable", "it changed while it was read", where=lock.path, hint="run it again")
        return tuple(found)

    def keep_seal(self, seal: Seal, path: str, name: str) -> ArchivedSeal:
        """Keep *seal*, which lies at *path*, and the rows beside it."""
        from sanctity.observe.places import read_project_name
        from sanctity.seals.files import files_name
        from sanctity.store.layout import name_of, reference_name

        documents = []
        for each in (path, files_name(path)):
            if each == path or os.path.lexists(each):
                digest, size = take(self.archive, each, shown=shown(each, self.world))
                documents.append(ArchivedDocument(path=os.path.basename(each), sha256=digest, size=size))
        project = read_project_name(self.folder) or os.path.basename(self.folder)
        locks = {each.lock.digest: None for each in seal.environments if each.lock is not None}
        kept = ArchivedSeal(
            digest=seal.digest,
            documents=tuple(documents),
            locks=tuple(locks),
            name=reference_name(name) if name else f"{name_of(project)}/{name_of(os.path.basename(path))}",
        )
        return self.archive.add_seal(kept)

    # -- what they take -----------------------------------------------------------------------------------------------------------

    def _wanted(
        self, lock: Lock, cases: tuple[Case, ...], folder: str, *, whole: bool
    ) -> tuple[list[Wanted], list[tuple[Need, Case]]]:
        """The artifacts to be had, and the pins that no wheel is of, each with the first case that needs it."""
        from sanctity.compare.markers import environment_of
        from sanctity.compare.selection import select
        from sanctity.plan.needs import artifacts_of, needs_of

        wanted: dict[tuple[str, str, str, str], Wanted] = {}
        sources: dict[tuple[str, str, str], tuple[Need, Case]] = {}

        def want(item: Wanted) -> None:
            wanted.setdefault((item.name, item.version, item.filename, " ".join(map(str, item.digests))), item)

        named = {pin: self._named(pin) for pin in lock.pins} if whole else {}
        for pin in named.values():
            for item in artifacts_of(pin, folder=folder):
                want(item)
        for case in cases:
            chosen = select(lock, environment_of(case.interpreter), case.installed, groups=case.groups, extras=case.extras)
            for undecided in chosen.undecided:
                self._lacks(undecided.pin.name, undecided.pin.version, undecided.code, undecided.reason)
            pins = [named.get(pin) or self._named(pin) for pin in chosen.expected]
            for need in needs_of(pins, case.interpreter, folder=folder):
                pin = need.pin
                best = need.wheel or need.source
                if best is not None:
                    want(best)
                elif need.unnamed:
                    words = f"the lock gives its hashes alone, and no index says which is which{self._unnamed.get(pin.name, '')}"
                    self._lacks(pin.name, pin.version, "artifact-unnamed", words, failed=True)
                elif not pin.artifacts and not need.local and pin.source.kind is SourceKind.REGISTRY:
                    words = "the lock gives no hash of it, so nothing can be fetched that is it for certain"
                    self._lacks(pin.name, pin.version, "artifact-unhashed", words, failed=True)
                elif pin.artifacts and not need.local:
                    words = f"no wheel of it fits {case.platform} {case.interpreter.abi}, and there is no sdist"
                    self._lacks(pin.name, pin.version, "artifact-none-fits", words, failed=True)
                if need.wheel is None and (best is not None or (need.local and _is_built(pin))):
                    sources.setdefault((pin.name, pin.version, case.interpreter.abi), (need, case))
        return list(wanted.values()), list(sources.values())

    def _lacks(self, name: str, version: str, code: str, reason: str, *, failed: bool = False) -> None:
        item = Lacking(name=name, version=version, code=code, reason=reason, failed=failed)
        with self.tally.lock:
            if item not in self.tally.lacking:
                self.tally.lacking.append(item)

    def _named(self, pin: Pin) -> Pin:
        """*pin*, with the file names that its lock does not give."""
        from sanctity.plan.needs import with_names

        unnamed = [
            digest for artifact in pin.artifacts if not artifact.filename and not artifact.location for digest in artifact.digests
        ]
        if not unnamed:
            return pin
        names = {str(digest): (self._known[digest].filename, "") for digest in unnamed if digest in self._known}
        if len(names) < len(unnamed):
            try:
                names |= self.fetcher.names(pin.name, pin.version, tuple(unnamed), pin.source.location)
            except SanctityError as error:
                self._unnamed[pin.name] = f": {error.message}"
        return with_names(pin, names)

    # -- artifacts ----------------------------------------------------------------------------------------------------------------

    def _have_all(self, wanted: list[Wanted]) -> list[ArchivedArtifact]:
        """Keep each of *wanted*, several at a time; what can not be had is told."""
        found: list[ArchivedArtifact] = []
        done = 0
        with ThreadPoolExecutor(self.jobs) as pool:
            try:
                for artifact in pool.map(self._have, sorted(wanted, key=lambda item: -(item.size or 0))):
                    done += 1
                    self.world.tick(done, len(wanted))
                    if artifact is not None:
                        found.append(artifact)
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise
        return found

    def _have(self, wanted: Wanted) -> ArchivedArtifact | None:
        from sanctity.store.blobs import ArchiveError, failed

        try:
            return self._there(wanted) or self._fetch(wanted)
        except ArchiveError:
            raise
        except OSError as error:
            raise failed(error, self.archive.place) from error
        except SanctityError as error:
            self._lacks(
                wanted.name, wanted.version, error.code, f"{wanted.filename or 'an artifact'}: {error.message}", failed=True
            )
            return None

    def _there(self, wanted: Wanted) -> ArchivedArtifact | None:
        """The artifact, if the archive has it and its bytes are what their name says."""
        from sanctity.store.blobs import ArchiveError

        digest = wanted.sha256
        known = self._known.get(digest) if digest is not None else None
        if digest is None or not self.archive.has(digest):
            return None
        if self.archive.blobs.local(digest) is None and known is None:
            return None  # nothing keeps it there: it might be deleted as garbage meanwhile
        filename = wanted.filename or (known.filename if known is not None else "")
        if not filename:
            return None
        try:
            if known is not None and self.archive.blobs.local(digest) is None:
                made = known
            else:
                path = self.archive.path_of(digest, self.archive.workroom())
                made = self._artifact(wanted, path, digest, filename, content=known.content if known is not None else None)
        except ArchiveError as error:
            if error.code not in {"archive-blob-altered", "archive-blob-missing"}:
                raise
            self.tally.notices.append(f"{filename} was not what its name says in the archive, and was fetched anew")
            return None
        with self.tally.lock:
            self.tally.there += 1
            self.tally.size += made.size
        return made

    def _fetch(self, wanted: Wanted) -> ArchivedArtifact:
        """Fetch *wanted* into the archive."""
        digest = wanted.sha256
        with self._place_for(wanted) as path:
            found = self.fetcher.fetch(wanted, path)
            filename = wanted.filename or found.filename
            made = self._artifact(
                wanted, found.path, found.sha256, filename, yanked=self._yanked(wanted, found.place, found.sha256)
            )
            self.archive.keep(found.path, found.sha256)
        assert digest is None or digest == found.sha256
        with self.tally.lock:
            self.tally.fetched += found.place is Origin.INDEX
            self.tally.found += found.place is not Origin.INDEX
            self.tally.size += made.size
        return made

    def _yanked(self, wanted: Wanted, place: Origin, digest: Digest) -> str:
        """Why the index yanked what it just gave, empty where it did not, or does not say."""
        if place is not Origin.INDEX:
            return ""
        with contextlib.suppress(SanctityError):
            for offer in self.fetcher.offers(wanted.name, wanted.version, wanted.index):
                if digest in offer.digests or (wanted.filename and offer.filename == wanted.filename):
                    return _yank(offer.yanked)
        return ""

    def _artifact(
        self,
        wanted: Wanted,
        path: str,
        digest: Digest,
        filename: str,
        *,
        content: ContentDigest | None = None,
        built_from: str = "",
        yanked: str = "",
    ) -> ArchivedArtifact:
        """What the file at *path* is; a wheel is read for its content, and refused where nothing may install it."""
        is_wheel = filename.endswith(".whl")
        if is_wheel and content is None:
            content = _content_of(path, filename)
            with self.tally.lock:
                self.tally.learnt.append(WheelContent(sha256=digest, content=content, filename=filename, proof=Proof.WHEEL))
        return ArchivedArtifact(
            sha256=digest,
            filename=filename,
            size=os.path.getsize(path),
            kind=ArtifactKind.WHEEL if is_wheel else ArtifactKind.SDIST,
            name=wanted.name,
            version=wanted.version,
            content=content,
            built_from=built_from,
            yanked=yanked,
        )

    @contextlib.contextmanager
    def _place_for(self, wanted: Wanted) -> Iterator[str]:
        """A path in the workroom to fetch *wanted* to: the same one each time, so that what was cut short goes on."""
        import fcntl

        digest = wanted.sha256
        name = wanted.filename or "artifact"
        key = digest.value if digest is not None else os.urandom(8).hex()
        room = f"{self.archive.workroom()}/fetch-{key}"
        fd = -1
        try:
            with contextlib.suppress(FileExistsError, FileNotFoundError):  # whoever was in it has just removed it
                os.makedirs(room, exist_ok=True)
                fd = os.open(room, os.O_RDONLY)
            try:
                if fd >= 0:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:  # somebody else fetches it just now: both may, and the same bytes win
                os.close(fd)
                fd = -1
            if fd < 0 or not os.fstat(fd).st_nlink:
                room = tempfile.mkdtemp(prefix=f"fetch-{key}-", dir=self.archive.workroom())
            yield f"{room}/{name}"
            _clear(room)
        except BaseException:
            with contextlib.suppress(OSError):
                os.rmdir(room)  # unless a part of it is left, which the next run takes up
            raise
        finally:  # the lock is given back last, or the folder of whoever waits for it would go
            if fd >= 0:
                os.close(fd)

    # -- wheels that no index has -------------------------------------------------------------------------------------------------

    def _made(self, sources: list[tuple[Need, Case]], had: list[ArchivedArtifact]) -> list[ArchivedArtifact]:
        """Wheels for pins that have none: kept already, packed from the environment, or built."""
        made: list[ArchivedArtifact] = []
        for need, case in sources:
            built_from = self._source_of(need, had)
            kept = [
                item
                for item in self._known.values()
                if item.built_from == built_from and item.name == need.pin.name and _fits(item, case)
            ]
            kept = [item for item in kept if built_from and self._is_whole(item)]
            made += kept
            self.tally.there += len(kept)
            self.tally.size += sum(item.size for item in kept)
            # What is installed may be another build of the same source, and a rebuild is to be that one.
            wheel = self._packed(need, case, built_from)
            if kept and (wheel is None or wheel.sha256 in {item.sha256 for item in kept}):
                continue
            wheel = wheel or (self._built(need, case, built_from) if self.build else None)
            if wheel is None:
                words = "there is no wheel of it, so a rebuild has to build it: add one from an environment (--env), or --build it"
                self._lacks(need.pin.name, need.pin.version, "wheel-not-built", words, failed=True)
                continue
            made.append(wheel)
            self.tally.made += 1
            self.tally.size += wheel.size
        return made

    def _is_whole(self, item: ArchivedArtifact) -> bool:
        """Whether the archive has *item*, and its bytes are what their name says."""
        from sanctity.store.blobs import ArchiveError

        try:
            self.archive.path_of(item.sha256, self.archive.workroom())
        except ArchiveError as error:
            if error.code not in {"archive-blob-altered", "archive-blob-missing"}:
                raise
            self.tally.notices.append(f"{item.filename} was not what its name says in the archive, and is made anew")
            return False
        return True

    def _source_of(self, need: Need, had: list[ArchivedArtifact]) -> str:
        """What the wheel of *need* is built from, as an archive writes it."""
        source = need.pin.source
        if need.source is not None:
            digest = need.source.sha256 or next((item.sha256 for item in had if item.filename == need.source.filename), None)
            return str(digest or "")
        if source.kind is SourceKind.GIT:
            return f"git:{source.revision}"
        return f"directory:{source.location}"

    def _packed(self, need: Need, case: Case, built_from: str) -> ArchivedArtifact | None:
        """The wheel of *need* as the environment has it installed; None where it has not, or has another."""
        from sanctity.apply.pack import pack
        from sanctity.observe.wheels import wheel_content

        if self.seen is None or need.pin.name not in {item.name for item in self.seen.distributions}:
            return None
        if self._whole is None:
            self._whole = observe(self.prefix, self.world, depth=Depth.RECORD)
        items = [item for item in self._whole.distributions if item.name == need.pin.name and _is_version(item, need.pin)]
        if len(items) != 1:
            return None
        with tempfile.TemporaryDirectory(dir=self.archive.workroom(), prefix="pack-") as room:
            try:
                packed = pack(self._whole, items[0], room, content_of=wheel_content)
            except SanctityError as error:
                self._lacks(need.pin.name, need.pin.version, error.code, error.message)
                return None
            if not _name_fits(packed.filename, case):
                return None  # it is another platform's, or another Python's
            if packed.built_from and built_from and packed.built_from != built_from:
                words = f"what is installed says that it was built from {packed.built_from}, and the lock has {built_from}"
                self._lacks(need.pin.name, need.pin.version, "wheel-not-built", words)
                return None
            return self._keep_wheel(need, packed.path, built_from)

    def _keep_wheel(self, need: Need, path: str, built_from: str) -> ArchivedArtifact:
        from sanctity.model.artifact import Wanted

        with open(path, "rb") as file:
            digest = Digest.of_sha256(hashlib.file_digest(file, "sha256").digest())
        wanted = Wanted(name=need.pin.name, version=need.pin.version)
        made = self._artifact(wanted, path, digest, os.path.basename(path), built_from=built_from)
        self.archive.keep(path, digest)
        return made

    def _built(self, need: Need, case: Case, built_from: str) -> ArchivedArtifact | None:
        """The wheel of *need* built by uv, or by the environment's own pip: code of the sdist runs."""
        from sanctity.apply.build import build_wheel

        python = f"{self.prefix}/bin/python"
        with tempfile.TemporaryDirectory(dir=self.archive.workroom(), prefix="build-") as room:
            source = self._source_path(need, room)
            if not source:
                return None
            try:
                path = build_wheel(source, f"{room}/wheels", python=python, environ=self.world.environ, offline=self.offline)
            except SanctityError as error:
                self._lacks(need.pin.name, need.pin.version, error.code, error.message, failed=True)
                return None
            if not _name_fits(os.path.basename(path), case):
                words = f"{os.path.basename(path)} was built here, and does not fit {case.platform} {case.interpreter.abi}"
                self._lacks(need.pin.name, need.pin.version, "wheel-not-built", words)
                return None
            return self._keep_wheel(need, path, built_from)

    def _source_path(self, need: Need, room: str) -> str:
        """What to build from: the sdist, copied out of the archive under its own name; a repository's URL; or a folder."""
        source = need.pin.source
        if need.source is not None:
            digest = need.source.sha256
            if digest is None or not self.archive.has(digest):
                return ""
            path = f"{room}/{need.source.filename}"
            self.archive.copy_to(digest, path)
            return path
        if source.kind is SourceKind.GIT:
            location = source.location if source.location.startswith("git+") else f"git+{source.location}"
            return f"{location}@{source.revision}" + (f"#subdirectory={source.subdirectory}" if source.subdirectory else "")
        return os.path.normpath(os.path.join(self.folder, source.location))


def _is_own(place: Place, folder: str) -> bool:
    """Whether *place* is the project's own environment, and not just the one that is active."""
    return place.prefix.startswith(folder.rstrip("/") + "/") or place.found not in {"VIRTUAL_ENV", "CONDA_PREFIX", "$VIRTUAL_ENV"}


def _is_built(pin: Pin) -> bool:
    """Whether a distribution is made of *pin*'s folder or repository: editables and virtual projects are governed by git."""
    return pin.source.kind in {SourceKind.GIT, SourceKind.DIRECTORY}


def _is_version(item: Distribution, pin: Pin) -> bool:
    """Whether *item* has the version of *pin*, in whatever spelling; a pin of a folder may have none."""
    from packaging.version import InvalidVersion, Version

    if not pin.version:
        return True
    try:
        return Version(item.version) == Version(pin.version)
    except InvalidVersion:
        return item.version == pin.version


def _name_fits(filename: str, case: Case) -> bool:
    from sanctity.compare.tags import rank_of, tags_of

    return rank_of(filename, tags_of(case.interpreter)) is not None


def _fits(item: ArchivedArtifact, case: Case) -> bool:
    return _name_fits(item.filename, case)


def _yank(stated: str | None) -> str:
    """Why something was yanked: the index's reason, or just that; empty where it was not (PEP 592)."""
    return "" if stated is None else stated.strip() or "yanked"


def _content_of(path: str, filename: str) -> ContentDigest:
    """The content of the wheel at *path*, read under its own *filename*, which is part of what it must agree with."""
    from sanctity.observe.wheels import wheel_content

    if os.path.basename(path) == filename:
        return wheel_content(path)
    room = tempfile.mkdtemp(prefix="sanctity-")
    try:
        link = f"{room}/{filename}"
        os.symlink(os.path.abspath(path), link)
        return wheel_content(link)
    except DocumentError as error:
        raise DocumentError(error.code, error.message, where=filename, hint=error.hint) from error
    finally:
        shutil.rmtree(room, ignore_errors=True)


def _clear(room: str) -> None:
    shutil.rmtree(room, ignore_errors=True)
