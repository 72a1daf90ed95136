"""`rebuild`: build the environment again that a lock or a seal describes, and prove that it is that one.

The plan is made first, and can be looked at. Then every file is had by its hash, in a hidden folder beside the target; an engine
installs them there; and one rename gives the environment its name. What stands there then is looked at from outside like any other
environment: what was installed has to be, byte for byte, what the files hold. What is not proven does not keep its name.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from sanctity.errors import DocumentError, SanctityError
from sanctity.model.artifact import Place, Proof, WheelContent
from sanctity.model.digest import Digest
from sanctity.model.drift import Code, Comparison, Depth, Drift, Selection, Severity, Unchecked, Verdict
from sanctity.verbs.intending import Meant, Ways, find_engine, find_meant, plan_rebuild
from sanctity.verbs.world import Target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sanctity.apply.rebuild import Engine, Room
    from sanctity.model.digest import ContentDigest
    from sanctity.model.environment import Environment, Fingerprint
    from sanctity.plan.rebuild import PlannedArtifact, RebuildPlan
    from sanctity.store.archive import Archive
    from sanctity.verbs.sources import Sources
    from sanctity.verbs.world import World

__all__ = ["Had", "Rebuilding", "Reproof", "Ways", "rebuild"]

#: Artifacts that are fetched at the same time.
_JOBS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Had:
    """A planned *item* that was had: a file called *filename* with this *sha256*, from *place*; *content* is what it becomes.

    *proof* says how that is known; both are None where it was built now, so that nothing says what it must become.
    """

    item: PlannedArtifact
    filename: str
    sha256: Digest
    place: Place | None
    source: str = ""
    content: ContentDigest | None = None
    proof: Proof | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproof:
    """The proof of a rebuild: the *comparison* of what stands there with its reference, and both fingerprints.

    *expected* is None where it can not be told before: something had to be built. *left* are the names of distributions that the
    reference has and that were left out. *place* is where the environment lies now, empty where it was removed.
    """

    comparison: Comparison
    expected: Digest | None
    actual: Digest | None
    had: tuple[Had, ...]
    left: tuple[str, ...] = ()
    place: str = ""

    @property
    def proven(self) -> bool:
        """Whether it is, byte for byte, what it had to be."""
        return self.comparison.verdict is Verdict.CLEAN

    @property
    def unknown(self) -> tuple[str, ...]:
        """The names of what was built now, and of which nothing says what it must become."""
        return tuple(had.item.name for had in self.had if had.content is None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilding:
    """What a rebuild came to: its *plan*, and the *proof*, None where it was only planned, or something is missing."""

    plan: RebuildPlan
    proof: Reproof | None = None
    notices: tuple[str, ...] = ()


def rebuild(reference: str, target: str, world: World, ways: Ways, *, dry_run: bool = False) -> Rebuilding:
    """Build what *reference* describes at *target*, and prove it; with *dry_run* only say how.

    *reference* is a lock, a seal, a project's folder, ``sha256:…`` of a lock, seal or fingerprint that the archive holds, or the
    archive's name for it. *target* must not exist, or be an empty folder. What the plan finds missing ends it before anything is
    made.

    Raises:
        UsageError, DocumentError: the reference can not be read, ``target-exists``.
        SanctityError: ``interpreter-not-found``, ``engine-not-found``, ``engine-failed``, ``target-unwritable``; or a file could
        not
            be had, as `Fetcher.fetch` and `Archive.path_of` say.
    """
    from sanctity.apply.rebuild import Room
    from sanctity.verbs.sources import Sources

    place = os.path.abspath(os.path.join(world.cwd, os.path.expanduser(target)))
    place = os.path.join(os.path.realpath(os.path.dirname(place)), os.path.basename(place))
    with tempfile.TemporaryDirectory(prefix="sanctity-") as papers:
        meant = find_meant(reference, world, ways, papers)
        with Sources(world, meant.folder, archive=ways.archive, offline=ways.offline) as sources:
            room = Room(place)
            room.check()
            plan = plan_rebuild(meant, place, world, ways, sources)
            if dry_run or plan.missing:
                return Rebuilding(plan=plan)
            with room:
                work = _Work(plan, meant, room, world, ways, sources)
                notices = work.build()
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(f"{place}.proof.json")
                room.put()
            return Rebuilding(plan=plan, proof=work.prove(), notices=notices)


# -- the work ---------------------------------------------------------------------------------------------------------------------


class _Work:
    """One rebuild as it goes on."""

    def __init__(self, plan: RebuildPlan, meant: Meant, room: Room, world: World, ways: Ways, sources: Sources) -> None:
        self.plan = plan
        self.meant = meant
        self.room = room
        self.world = world
        self.ways = ways
        self.sources = sources
        self.had: list[Had] = []
        self.left: list[str] = []
        self._pool = ThreadPoolExecutor(1)

    def build(self) -> tuple[str, ...]:
        """Have every file, install them, and move the environment to its place; notices come back."""
        from sanctity.apply.rebuild import Installed

        plan, room = self.plan, self.room
        done = 0
        with ThreadPoolExecutor(_JOBS) as pool:
            try:
                for had in pool.map(self._have, plan.artifacts):
                    done += 1
                    self.world.tick(done, len(plan.artifacts))
                    self.had.append(had)
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise
        engine = find_engine(plan.interpreter, self.world, self.ways, self.sources)
        self._make(engine)
        known = self._pool.submit(self._contents)
        items = [
            Installed(
                name=had.item.name,
                version=had.item.version,
                filename=had.filename,
                sha256=had.sha256.value,
                origin=had.item.origin,
                built=had.item.built,
            )
            for had in self.had
        ]
        room.install(engine, items)
        self.had = known.result()
        notices = tuple(self._editables(engine))
        room.relocate()
        return notices

    def _make(self, engine: Engine) -> None:
        """Make the empty environment, with the prompt that sealed activate scripts have, as far as it can be told."""
        from sanctity.model.environment import Layout
        from sanctity.observe.activation import observe_activation
        from sanctity.observe.places import read_project_name
        from sanctity.observe.view import View

        plan, sealed = self.plan, self.plan.sealed
        uv = engine if plan.maker == "uv" else None
        hook = sealed is not None and any(each.path.endswith("/_virtualenv.pth") for each in sealed.startup)
        self.room.make(plan.interpreter, uv, system_site=plan.system_site, hook=hook)
        if sealed is None or not sealed.activation:
            return
        names = [read_project_name(self.meant.folder), *(line.name for line in sealed.distributions if line.content is None)]
        for name in dict.fromkeys(filter(None, names[:2])):
            if observe_activation(View(), self.room.env, Layout(site=())) == sealed.activation:
                return
            self.room.make(plan.interpreter, uv, system_site=plan.system_site, hook=hook, prompt=name)
        if observe_activation(View(), self.room.env, Layout(site=())) != sealed.activation:
            self.room.make(plan.interpreter, uv, system_site=plan.system_site, hook=hook)

    def _have(self, item: PlannedArtifact) -> Had:
        """Put the file of *item* among the room's wheels; what is no wheel is built into one."""
        archive = self.sources.archive
        if item.wanted is None:
            return self._built(item, item.source)
        folder = self.room.wheels if item.wanted.is_wheel else f"{self.room.home}/source-{item.name}"
        os.makedirs(folder, exist_ok=True)
        path = f"{folder}/{item.filename}"
        digest = item.sha256
        place, source = Place.ARCHIVE, ""
        try:
            if item.archived:
                assert archive is not None
                assert digest is not None
                self._lay_out(archive, digest, path)
            elif digest is None or not _has_hash(path, digest):
                found = self.sources.fetcher.fetch(item.wanted, path)
                digest, place, source = found.sha256, found.place, found.source
            else:
                place = Place.FILE
        except OSError as error:
            raise self.room.unwritable(error) from error
        assert digest is not None
        if item.build:
            return self._built(item, path)
        return Had(item=item, filename=item.filename, sha256=digest, place=place, source=source)

    def _lay_out(self, archive: Archive, digest: Digest, path: str) -> None:
        """Have the archived file at *path*: a symbolic link to the blob, which was hashed now and which the engine hashes again."""
        try:
            blob = archive.path_of(digest, self.room.home)
        except SanctityError as error:
            if error.code == "archive-full":  # it is this room that has none left
                raise self.room.unwritable(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))) from error
            raise
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        os.symlink(os.path.abspath(blob), path)

    def _built(self, item: PlannedArtifact, source: str) -> Had:
        from sanctity.apply.build import build_wheel

        environ = {**self.world.environ, "UV_LINK_MODE": "copy"}
        path = build_wheel(
            source,
            f"{self.room.home}/built-{item.name}",
            python=self.plan.interpreter.executable,
            environ=environ,
            offline=self.ways.offline,
        )
        filename = os.path.basename(path)
        os.replace(path, f"{self.room.wheels}/{filename}")
        digest = _hash(f"{self.room.wheels}/{filename}")
        return Had(item=item, filename=filename, sha256=digest, place=None, source=item.source)

    def _contents(self) -> list[Had]:
        """What was had, each with the content that it becomes: sealed, remembered, or read from the wheel now."""
        from sanctity.observe.wheels import wheel_content

        known = self.sources.known()
        learnt: list[WheelContent] = []
        found = []
        for had in self.had:
            if had.item.build:
                found.append(replace(had, content=had.item.content, proof=Proof.SEALED if had.item.content else None))
                continue
            wheel = known.get(had.sha256.value)
            if wheel is not None and wheel.proof is not Proof.IMPORTED:  # the wheel itself is at hand, so nobody's word is needed
                found.append(replace(had, content=wheel.content, proof=wheel.proof))
                continue
            content = wheel_content(f"{self.room.wheels}/{had.filename}")
            learnt.append(WheelContent(sha256=had.sha256, content=content, filename=had.filename, proof=Proof.WHEEL))
            found.append(replace(had, content=content, proof=Proof.WHEEL))
        if learnt:
            with contextlib.suppress(OSError, DocumentError):
                self.sources.memory.keep(learnt)
        return found

    def _editables(self, engine: Engine) -> Iterator[str]:
        """Install what is pointed at and not copied, from the project's own folder, as its tool does; what can not be is told."""
        for item in self.plan.left_out:
            if not item.folder or not self.ways.project or self.ways.offline:
                self.left.append(item.name)
                continue
            try:
                self.room.point_at(engine, item.folder, self.world.environ)
            except SanctityError as error:
                self.left.append(item.name)
                yield f"{item.name} was left out: {error.message}"

    # -- the proof ----------------------------------------------------------------------------------------------------------------

    def prove(self) -> Reproof:
        """Look at the environment in its place, from outside, and hold it to its reference and to the files that made it."""
        from sanctity.verbs.judging import compare_and_judge, look

        place = self.plan.target
        chosen = self.plan.selection if self.plan.sealed is None else Selection()
        asked = bool(chosen.groups or chosen.extras)
        taken = look(Target(project=self.meant.folder, env=place), self.world, reference=self.meant.path, asked=asked)
        outcome = compare_and_judge(taken, self.world, depth=Depth.RECORD, groups=chosen.groups, extras=chosen.extras)
        comparison = outcome.comparison
        expected = self._expected(comparison.fingerprint, taken.environment)
        actual = comparison.fingerprint.digest if comparison.fingerprint is not None else None
        drifts = [replace(drift, hint="") for drift in comparison.drifts if not self._is_left_out(drift)]
        drifts += self._of_files(taken.environment)
        unchecked = list(comparison.unchecked)
        unchecked += [
            Unchecked(code="editable-source", what=name, reason="left out: its source is governed by git") for name in self.left
        ]
        if actual is None:
            unchecked.append(
                Unchecked(code="no-fingerprint", what=comparison.prefix, reason="a part of it could not be read", in_scope=True)
            )
        elif expected is not None and expected != actual and not any(drift.gating for drift in drifts):
            words = "the environment has another fingerprint than the reference and its files make"
            drifts.append(Drift(code=Code.FINGERPRINT_MISMATCH, expected=str(expected), actual=str(actual), message=words))
        reference = replace(comparison.reference, path=self.plan.reference.path)
        comparison = replace(comparison, prefix=self.plan.shown)
        comparison = replace(comparison, drifts=tuple(drifts), unchecked=tuple(unchecked), reference=reference)
        proof = Reproof(
            comparison=comparison, expected=expected, actual=actual, had=tuple(self.had), left=tuple(self.left), place=place
        )
        return proof if proof.proven else replace(proof, place=self._set_aside(place))

    def _is_left_out(self, drift: Drift) -> bool:
        """Whether *drift* is only about what was left out on purpose, or about a lock that is another by now than was sealed."""
        if drift.code is Code.SEAL_STALE:
            return True
        if drift.code is Code.DISTRIBUTION_MISSING:
            return drift.distribution in self.left
        return drift.code is Code.PTH_HOOK and not drift.actual and _is_of(drift.path, set(self.left))

    def _of_files(self, environment: Environment) -> Iterator[Drift]:
        """What is installed and not what its file becomes, by content."""
        installed: dict[str, set[ContentDigest | None]] = {}
        for item in environment.distributions:
            installed.setdefault(item.key, set()).add(item.content)
        for had in self.had:
            wanted = had.content
            if wanted is None or wanted in installed.get(had.item.name, ()):
                continue
            there = ", ".join(sorted(str(content) for content in installed.get(had.item.name, ()) if content is not None))
            yield Drift(
                code=Code.FINGERPRINT_MISMATCH,
                severity=Severity.ERROR,
                distribution=had.item.name,
                version=had.item.version,
                expected=str(wanted),
                actual=there,
                message=f"what is installed is not what {had.filename} becomes",
            )

    def _expected(self, actual: Fingerprint | None, environment: Environment) -> Digest | None:
        """The fingerprint that it must have: the sealed one, or that of lock and files; None where it can not be told."""
        from sanctity.canon.fingerprint import distribution_row, hook_row, part_digest, sealed_hook, whole

        sealed = self.plan.sealed
        if sealed is not None:
            left = set(self.left)
            if not left:
                return sealed.fingerprint
            lines = [
                distribution_row(line.name, line.version, line.content, line.files)
                for line in sealed.distributions
                if line.name not in left
            ]
            hooks = [hook_row(hook) for hook in sealed.startup if not _is_of(hook.path, left)]
            parts = dict(sealed.parts) | {"distributions": part_digest(sorted(lines)), "startup": part_digest(sorted(hooks))}
            return whole((name, parts[name]) for name, _ in sealed.parts)
        if actual is None or any(had.content is None for had in self.had):
            return None
        interpreter = self.plan.interpreter.interpreter
        pointed = [item.name for item in self.plan.left_out if item.name not in self.left]
        rows = [distribution_row(had.item.name, had.item.version, had.content) for had in self.had]
        rows += [distribution_row(name, "", None) for name in pointed]
        # A hook that a distribution claims is of its content, and so of its file; no other has any business here.
        claimed = {row.path for item in environment.distributions for row in item.record or ()}
        hooks = [hook_row(sealed_hook(hook, environment)) for hook in environment.hooks if hook.path in claimed]
        parts = {
            "startup": part_digest(sorted(hooks)),
            "distributions": part_digest(sorted(rows)),
            "interpreter": part_digest([interpreter.implementation, interpreter.version, interpreter.abi, interpreter.machine]),
            "unclaimed": part_digest([]),
        }
        return whole((name, parts[name]) for name, _ in actual.parts)

    def _set_aside(self, place: str) -> str:
        """Take the name from what is not proven; where it lies now comes back, empty where it was removed."""
        import shutil

        aside = f"{place}.unproven"
        for number in range(2, 1000):
            if not os.path.lexists(aside):
                break
            aside = f"{place}.unproven.{number}"
        os.rename(place, aside)
        if self.ways.discard:
            shutil.rmtree(aside, ignore_errors=True)
            return ""
        return aside


def _is_of(path: str, names: set[str]) -> bool:
    """Whether the start-up hook at *path* is one that build backends write for an editable of one of *names*."""
    from sanctity.model.names import normalise_name

    stem = path.rpartition("/")[2].removesuffix(".pth").removesuffix(".py")
    stem = re.sub(r"^_*editable_*(?:impl_)?", "", stem).partition("-")[0].removesuffix("_finder")
    return normalise_name(stem) in names


def _hash(path: str) -> Digest:
    import hashlib

    with open(path, "rb") as file:
        return Digest.of_sha256(hashlib.file_digest(file, "sha256").digest())


def _has_hash(path: str, digest: Digest) -> bool:
    """Whether the file at *path*, which an earlier attempt may have left, has this hash."""
    try:
        return _hash(path) == digest
    except OSError:
        return False
