"""Depth ``artifact``: what a look found is held to the locked artifacts, and all bytecode to its source."""

from __future__ import annotations

import contextlib
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from sanctity.errors import SanctityError
from sanctity.model.artifact import Proof, WheelContent
from sanctity.model.drift import Drift, Proven, Unchecked
from sanctity.model.names import normalise_name
from sanctity.model.policy import Bytecode
from sanctity.verbs.sources import Sources
from sanctity.verbs.world import folder_of, root_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from sanctity.compare.artifacts import Claim, Failure
    from sanctity.model.artifact import Wanted
    from sanctity.model.digest import Digest
    from sanctity.model.drift import Comparison
    from sanctity.model.environment import Distribution, Interpreter
    from sanctity.model.lock import Lock
    from sanctity.model.seal import SealedEnvironment
    from sanctity.verbs.judging import Look
    from sanctity.verbs.world import World

__all__ = ["Means", "prove"]

#: So many altered files are asked for the version that they state, and so many such versions are looked at.
_MOST_ALTERED: Final = 20
_MOST_SUSPECTED: Final = 3
_LARGEST_SOURCE: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What may be used to prove: the *archive* at this place, and, unless *offline*, the indexes."""

    archive: str = ""
    offline: bool = False


def prove(
    taken: Look, comparison: Comparison, world: World, means: Means, *, lock: Lock | None, sealed: SealedEnvironment | None
) -> Comparison:
    """*comparison* with what depth ``artifact`` adds to it: each distribution against the artifact that *lock* names for it.

    Where the environment is held to a seal, *sealed* is its entry. What can not be had makes the verdict undecided.

    Raises:
        DocumentError: what was read contradicts what is remembered; the archive can not be read.
    """
    from sanctity.verbs.judging import seeds_for

    of_conda = lock is not None and lock.format.is_of_conda
    if lock is not None and of_conda:
        from sanctity.compare.conda import seen_by

        selection = sealed.selection if sealed is not None else comparison.reference.selection
        lock, _ = seen_by(lock, taken.environment, known=selection.environment)
    with Sources(world, taken.project, archive=means.archive, offline=means.offline) as sources:
        proof = _Proof(taken, comparison, sources)
        proof.distributions(_claims(taken, sources, lock, sealed), sealed)
        proof.packages(sealed, locked=of_conda)
        sources.keep()
    drifts, unchecked = list(comparison.drifts), list(comparison.unchecked)
    judged = _judge_bytecode(taken, world) if taken.judging.policy.bytecode is Bytecode.HEADER else None
    if judged is not None:
        from sanctity.compare.code import without_headers

        drifts, unchecked = without_headers(drifts, unchecked)
        proof.add(judged.told)
    if sealed is None:
        seeds = seeds_for(taken.references, taken.environment)
        reason = "no lock names it: held to its own RECORD only"
        proof.unchecked += [
            Unchecked(code="seed-not-sealed", what=f"{item.name} {item.version}", reason=reason)
            for item in taken.environment.distributions
            if item.key in seeds
        ]
    if lock is None and sealed is None:
        proof.unchecked.append(
            Unchecked(
                code="no-reference",
                what="distributions",
                reason="there is no lock that names the artifacts they must be",
                count=len(taken.environment.distributions),
                in_scope=True,
            )
        )
    return replace(
        comparison,
        drifts=(*drifts, *proof.drifts),
        unchecked=(*unchecked, *proof.unchecked),
        proven=Proven(
            distributions=tuple((str(how), count) for how, count in sorted(proof.proven.items())),
            bytecode=judged.same if judged is not None else 0,
            remembered=judged.remembered if judged is not None else 0,
            judge=judged.judge if judged is not None else "",
            artifacts=tuple(sorted(proof.artifacts)),
        ),
    )


class _Code(NamedTuple):
    """What judging bytecode came to: what there is to tell, and how many files are the same as their source, by whom."""

    told: tuple[Drift | Unchecked, ...]
    same: int
    remembered: int
    judge: str


def _judge_bytecode(taken: Look, world: World) -> _Code:
    """Judge all bytecode that import would run, and remember what is proven."""
    from sanctity.compare.code import compare_code
    from sanctity.compare.ownership import own
    from sanctity.observe.code import judge_bytecode
    from sanctity.observe.interpreters import find_interpreters
    from sanctity.observe.walk import default_workers
    from sanctity.store.pairs import PairsMemory, pair_key
    from sanctity.store.statcache import cache_folder

    environment = taken.environment
    ownership = own(environment)
    memory = PairsMemory(cache_folder(world.environ))

    def others() -> Iterator[tuple[str, Interpreter]]:
        """Interpreters that are installed, looked for once nearer ones do not fit."""
        yield from ((each.executable, each.interpreter) for each in find_interpreters(world.environ, world.environ.get("HOME", "")))

    judged = judge_bytecode(
        environment,
        ownership,
        root=root_of(taken.target, world),
        workers=default_workers(),
        key=pair_key,
        remembered=memory.known(),
        candidates=others(),
        tick=world.tick,
    )
    memory.keep(judged.proven)
    return _Code(
        told=tuple(compare_code(environment, ownership, judged.found, judged.wanted)),
        same=judged.same,
        remembered=judged.remembered,
        judge=f"{judged.judge.compiler} at {judged.judge.executable}" if judged.judge is not None else "",
    )


def _claims(taken: Look, sources: Sources, lock: Lock | None, sealed: SealedEnvironment | None) -> tuple[Claim, ...]:
    from sanctity.compare.artifacts import claims_of, sealed_claims
    from sanctity.plan.needs import artifacts_of
    from sanctity.verbs.judging import seeds_for

    environment = taken.environment
    seeds = seeds_for(taken.references, environment)
    if lock is None:
        return sealed_claims(environment, sealed, seeds=seeds) if sealed is not None else ()
    folder = folder_of(lock, sources.world)
    artifacts = {(pin.name, pin.where): artifacts_of(pin, folder=folder) for pin in lock.pins}
    return claims_of(environment, lock, artifacts, seeds=seeds, sealed=sealed)


class _Proof:
    """One proof as it goes on."""

    def __init__(self, taken: Look, comparison: Comparison, sources: Sources) -> None:
        self.environment = taken.environment
        self.root = root_of(taken.target, sources.world)
        self.sources = sources
        self.told: dict[str, set[str]] = {}
        for drift in comparison.drifts:
            if drift.gating:
                self.told.setdefault(normalise_name(drift.distribution), set()).add(drift.path)
        self.proven: Counter[Proof] = Counter()
        self.artifacts: list[tuple[str, str, str]] = []
        self.drifts: list[Drift] = []
        self.unchecked: list[Unchecked] = []

    def distributions(self, claims: tuple[Claim, ...], sealed: SealedEnvironment | None) -> None:
        """Prove each of *claims*: by what is known first, and for what is left by the wheels themselves."""
        from sanctity.compare.artifacts import artifact_of, proof_of, proof_of_built

        known = self.sources.known()
        if sealed is not None and sealed.basis == "artifact":
            # Whoever made this seal looked as far as this, and what it says of a wheel never changes.
            for line in sealed.distributions:
                if line.artifact is not None and line.content is not None:
                    stated = WheelContent(sha256=line.artifact, content=line.content, proof=Proof.SEALED)
                    known.setdefault(line.artifact.value, stated)
        built = self.sources.built()
        left: list[Claim] = []
        for claim in claims:
            how = proof_of(claim, known, built)
            if how is None:
                left.append(claim)
            else:
                self.proven[how] += 1
                self._note(claim, artifact_of(claim, known), known)
        for claim, tried, failures in self.sources.each(lambda claim: self._try(claim, known), self._named(left)):
            read = {wheel.sha256.value: wheel for wheel in tried}
            how = proof_of(claim, read, built)
            if how is None and tried:
                how = proof_of_built(claim, tried[0], self.environment, built)
            if how is not None:
                self.proven[how] += 1
                self._note(claim, artifact_of(claim, read), read)
            else:
                self._judge(claim, tried, failures)

    def packages(self, sealed: SealedEnvironment | None, *, locked: bool) -> None:
        """Conda's packages: proven where a seal states their files, and open where only a lock names them (*locked*).

        Their archives are not unpacked, so what a lock's hash of one comes to on disk is not known.
        """
        if self.environment.manager != "conda":
            return
        from sanctity.canon.fingerprint import system_rows

        stated = {line.name: line.files for line in sealed.distributions if line.files is not None} if sealed is not None else {}
        there = dict(system_rows(self.environment))
        same = sum(stated.get(name) == files for name, files in there.items())
        if same:
            self.proven[Proof.SEALED] += same
        if locked and sealed is None and there:
            reason = "their archives are not unpacked here, so they were held to what conda-meta says of them, and no further"
            self.unchecked.append(
                Unchecked(code="unverifiable", what="conda packages", reason=reason, count=len(there), in_scope=True)
            )

    def _note(self, claim: Claim, artifact: Digest | None, known: Mapping[str, WheelContent]) -> None:
        """Note the *artifact* by which *claim* was proven, by what is *known* of wheels."""
        from sanctity.compare.artifacts import renamed

        if artifact is None:
            return
        self.artifacts.append((claim.item.key, claim.item.version, str(artifact)))
        told = renamed(claim, known[artifact.value])
        if told is not None:
            self.drifts.append(told)

    def _named(self, claims: list[Claim]) -> list[Claim]:
        """*claims* with the names of artifacts of which the lock gives the hash alone."""
        unnamed = [claim for claim in claims if any(not wanted.filename for wanted in claim.artifacts)]
        named = dict(zip(map(id, unnamed), self.sources.each(self._name, unnamed), strict=True))
        return [named.get(id(claim), claim) for claim in claims]

    def _name(self, claim: Claim) -> Claim:
        item = claim.item
        digests = tuple(wanted.sha256 for wanted in claim.artifacts if not wanted.filename and wanted.sha256 is not None)
        index = next((wanted.index for wanted in claim.artifacts), "")
        names = self.sources.names(item.key, claim.artifacts[0].version or item.version, digests, index)
        artifacts = []
        for wanted in claim.artifacts:
            filename, location = names.get(str(wanted.sha256), ("", ""))
            artifacts.append(replace(wanted, filename=filename, location=location) if filename and not wanted.filename else wanted)
        named = [wanted for wanted in artifacts if wanted.filename]
        without = len(named) == len(artifacts) and not any(wanted.is_wheel for wanted in named)
        return replace(claim, artifacts=tuple(artifacts), from_source=claim.from_source or without)

    def _try(self, claim: Claim, known: dict[str, WheelContent]) -> tuple[Claim, tuple[WheelContent, ...], tuple[Failure, ...]]:
        """The wheels that *claim* may be, read one after the other until one is it; and why others could not be had."""
        from sanctity.compare.artifacts import Failure, candidates

        item = claim.item
        if item.content is None:
            return claim, (), ()
        if self.told.get(item.key):
            # RECORD is the locked wheel's own, and names what differs.
            for wanted in claim.artifacts:
                wheel = known.get(wanted.sha256.value) if wanted.sha256 is not None else None
                if wheel is not None and wheel.content == item.stated:
                    return claim, (wheel,), ()
        tried: list[WheelContent] = []
        failures: list[Failure] = []
        for wanted in candidates(claim, self.environment.interpreter) or self._unnamed(claim):
            try:
                wheel = self.sources.content(wanted)
            except SanctityError as error:
                failures.append(Failure(wanted, error.code, error.message, getattr(error, "actual", None)))
                tried += [known[wanted.sha256.value]] if wanted.sha256 is not None and wanted.sha256.value in known else []
                continue
            except OSError as error:
                failures.append(Failure(wanted, "unreadable", error.strerror or str(error)))
                continue
            tried.append(wheel)
            if wheel.content == item.content:
                return claim, (wheel,), ()
        return claim, tuple(tried), tuple(failures)

    def _unnamed(self, claim: Claim) -> tuple[Wanted, ...]:
        """What has no name still, where nothing else can be tried, so that the reason why it can not be had is told."""
        return tuple(wanted for wanted in claim.artifacts if not wanted.filename)[:1] if not claim.item.built_here else ()

    def _judge(self, claim: Claim, tried: tuple[WheelContent, ...], failures: tuple[Failure, ...]) -> None:
        from sanctity.compare.artifacts import judge_claim

        told = self.told.get(claim.item.key, set())
        other = self._other_release(claim, tried[0]) if tried and tried[0].rows is not None else None
        self.add(judge_claim(claim, tried, failures, self.environment, told, other))

    def add(self, found: Iterable[Drift | Unchecked]) -> None:
        """Note what was *found*."""
        for each in found:
            if isinstance(each, Drift):
                self.drifts.append(each)
            else:
                self.unchecked.append(each)

    def _other_release(self, claim: Claim, wheel: WheelContent) -> tuple[str, WheelContent] | None:
        """The release, and its wheel, whose code lies there under the metadata of another; None where there is none."""
        from sanctity.compare.artifacts import altered_code, has_code_of, installed_rows, suspected_releases

        rows = installed_rows(claim.item, self.environment)
        altered = altered_code(rows or (), wheel)
        for version in suspected_releases(claim.item, self._read(claim.item, altered))[:_MOST_SUSPECTED]:
            with contextlib.suppress(SanctityError, OSError):
                for wanted in self._wheels_of(claim, version):
                    other = self.sources.content(wanted)
                    if has_code_of(rows or (), other, altered):
                        return version, other
        return None

    def _read(self, item: Distribution, keys: Collection[str]) -> Iterator[bytes]:
        from sanctity.observe.view import View

        site = item.home.rpartition("/")[0]
        sources = [key.removeprefix("lib/") for key in keys if key.startswith("lib/") and key.endswith(".py")]
        for path in sources[:_MOST_ALTERED]:
            with contextlib.suppress(OSError):
                yield View(self.root).read(f"{self.environment.prefix}/{site}/{path}", _LARGEST_SOURCE)

    def _wheels_of(self, claim: Claim, version: str) -> Iterator[Wanted]:
        """The wheels of another *version*, with the tags that are stated here: known ones, else what an index offers."""
        from sanctity.compare.artifacts import of_release

        index = next((wanted.index for wanted in claim.artifacts if wanted.index), "")
        yield from of_release(
            claim.item, version, self.sources.known().values(), self.sources.offers(claim.item.key, version, index)
        )
