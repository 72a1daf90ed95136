"""Installed distributions against the locked artifacts: lock hash -> wheel -> content digest -> disk. This is depth ``artifact``.

RECORD has no say here. A distribution is proven where its content is that of a wheel that its lock names by hash; which of them is
asked in the order of likelihood (`candidates`): those with the tags that its WHEEL file states, then those that this interpreter
would install, since some are renamed after they are built. Only the content decides in the end.

What was built from source is no locked artifact's, so it is proven only where a seal, or a wheel that an archive keeps as built
from that very source, states its content digest. What can not be had is never a pass.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from sanctity.canon.content import content_digest, installed_key, is_about_installing, is_cached_bytecode
from sanctity.compare.copies import shown_home
from sanctity.compare.selection import fits
from sanctity.compare.tags import rank_of, tags_in, tags_of, wheel_tags
from sanctity.model.artifact import Proof, Wanted
from sanctity.model.drift import Code, Drift, Severity, Unchecked
from sanctity.model.environment import FileKind
from sanctity.model.names import normalise_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from sanctity.model.artifact import WheelContent
    from sanctity.model.digest import ContentDigest, Digest
    from sanctity.model.environment import Distribution, Environment, Interpreter
    from sanctity.model.index import Offer
    from sanctity.model.lock import Lock
    from sanctity.model.seal import SealedEnvironment

__all__ = [
    "Claim",
    "Failure",
    "altered_code",
    "artifact_of",
    "candidates",
    "claims_of",
    "has_code_of",
    "installed_rows",
    "judge_claim",
    "may_be_built",
    "of_release",
    "proof_of",
    "proof_of_built",
    "renamed",
    "sealed_claims",
    "suspected_releases",
]

#: So many renamed wheels are looked into before a distribution is called another one's.
_MOST_RENAMED: Final = 3
_STATED_VERSION: Final = re.compile(
    rb"""^(?:__version__|VERSION|version)\s*(?::\s*\w+\s*)?=\s*["']([0-9][\w.!+-]{0,40})["']""", re.MULTILINE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """That *item* is one of the *artifacts* that a lock names for it by hash.

    *sealed* is the content that a seal states for it, None without one; *sources* name what it may have been built from
    (`built_from` of a `WheelContent`); *unhashed* says that the lock names artifacts of it without a hash. *from_source* says that
    no wheel is locked.
    """

    item: Distribution
    artifacts: tuple[Wanted, ...] = ()
    sealed: ContentDigest | None = None
    sources: tuple[str, ...] = ()
    unhashed: bool = False
    from_source: bool = False


class Failure(NamedTuple):
    """Why an artifact could not be had: an error's *code* and *reason*; the *actual* digest where its bytes are others."""

    wanted: Wanted
    code: str
    reason: str
    actual: Digest | None = None


def claims_of(
    environment: Environment,
    lock: Lock,
    artifacts: Mapping[tuple[str, str], tuple[Wanted, ...]],
    *,
    seeds: Collection[str],
    sealed: SealedEnvironment | None = None,
) -> tuple[Claim, ...]:
    """What each distribution of *environment* must be by *lock*; *artifacts* are those of each pin, by its name and its `where`.

    Left out are editables, what a system's package manager keeps, *seeds*, and what the lock does not have: all told elsewhere.
    Where the environment is held to a seal, *sealed* is its entry.
    """
    contents = _sealed_contents(sealed)
    found: list[Claim] = []
    for item in environment.distributions:
        pins = [pin for pin in lock.pins if pin.name == item.key and fits(pin, item.version)]
        if not pins or _is_out_of_scope(item, seeds):
            continue
        wanted = [each for pin in pins for each in artifacts.get((pin.name, pin.where), ())]
        sources = [str(each.sha256) for each in wanted if not each.is_wheel and each.sha256]
        sources += [f"git:{pin.source.revision}" for pin in pins if pin.source.revision]
        hashed = tuple(each for each in wanted if any(digest.strong for digest in each.digests))
        found.append(
            Claim(
                item=item,
                artifacts=tuple(dict.fromkeys(hashed)),
                sealed=contents.get((item.key, item.version)),
                sources=tuple(dict.fromkeys(sources)),
                unhashed=bool(wanted) and not hashed,
                from_source=not any(each.is_wheel or not each.filename for each in wanted),
            )
        )
    return tuple(found)


def sealed_claims(environment: Environment, sealed: SealedEnvironment, *, seeds: Collection[str]) -> tuple[Claim, ...]:
    """What each distribution of *environment* must be by the seal's entry *sealed* alone, where no lock is at hand."""
    lines = {(line.name, line.version): line for line in sealed.distributions}
    found: list[Claim] = []
    for item in environment.distributions:
        line = lines.get((item.key, item.version))
        if line is None or line.content is None or _is_out_of_scope(item, seeds):
            continue
        wanted = (Wanted(name=item.key, version=item.version, digests=(line.artifact,)),) if line.artifact is not None else ()
        # Depth `artifact` names every wheel in its seal; one of depth `record` may just not know which of several was meant.
        built = item.built_here or line.origin.startswith(("git:", "directory")) or sealed.basis == "artifact"
        found.append(Claim(item=item, artifacts=wanted, sealed=line.content, from_source=not wanted and built))
    return tuple(found)


def _sealed_contents(sealed: SealedEnvironment | None) -> dict[tuple[str, str], ContentDigest]:
    lines = sealed.distributions if sealed is not None else ()
    return {(line.name, line.version): line.content for line in lines if line.content is not None}


def _is_out_of_scope(item: Distribution, seeds: Collection[str]) -> bool:
    return bool(item.keeper) or item.key in seeds or (item.origin is not None and item.origin.editable)


def artifact_of(claim: Claim, known: Mapping[str, WheelContent]) -> Digest | None:
    """The locked wheel that *claim* is proven to be by what is *known*; None where it is not."""
    for wanted in claim.artifacts:
        wheel = known.get(wanted.sha256.value) if wanted.sha256 is not None else None
        if wheel is not None and wheel.content == claim.item.content:
            return wheel.sha256
    return None


def renamed(claim: Claim, wheel: WheelContent) -> Drift | None:
    """A note where the locked *wheel*, which *claim* is proven to be, has other tags in its file name than it states inside."""
    filename = wheel.filename or next((wanted.filename for wanted in claim.artifacts if wanted.sha256 == wheel.sha256), "")
    stated, published = tags_in(claim.item.tags), wheel_tags(filename)
    if not stated or published is None or stated == published:
        return None
    inside = ", ".join(sorted(map(str, stated)))
    return Drift(
        code=Code.WHEEL_RENAMED,
        severity=Severity.NOTE,
        gating=False,
        distribution=claim.item.name,
        version=claim.item.version,
        path=filename,
        message=f"inside it is built for {inside}: it was renamed after the build, and is the locked file all the same",
    )


def proof_of(claim: Claim, known: Mapping[str, WheelContent], built: Iterable[WheelContent] = ()) -> Proof | None:
    """How *claim* is proven by what is *known* of wheels, by the hex of their SHA-256; None where it is not.

    *built* are wheels that an archive keeps as built from a source.
    """
    content = claim.item.content
    if content is None:
        return None
    artifact = artifact_of(claim, known)
    if artifact is not None:
        return known[artifact.value].proof
    if claim.item.built_here or claim.from_source:
        return _proof_by_source(claim, built)
    return None


def _proof_by_source(claim: Claim, built: Iterable[WheelContent]) -> Proof | None:
    """How *claim*, which was built from source, is proven: by a wheel that was *built* from that source, or by the seal."""
    content = claim.item.content
    kept = next((wheel for wheel in built if wheel.content == content and wheel.built_from in claim.sources), None)
    if kept is not None:
        return kept.proof
    return Proof.SEALED if claim.sealed == content else None


def may_be_built(claim: Claim, wheel: WheelContent, environment: Environment) -> bool:
    """Whether *claim*, which is not what *wheel* installs, looks as if it was built from a source that the lock names as well.

    Whoever builds writes another WHEEL, and compiles to other bytes; modules come out the same. That leaves open what it is.
    """
    rows = installed_rows(claim.item, environment)
    has_source = any(wanted.filename and not wanted.is_wheel for wanted in claim.artifacts)
    if not has_source or rows is None or wheel.rows is None:
        return False
    expected, actual = dict(wheel.rows), dict(rows)
    differ = {key for key in expected.keys() | actual.keys() if expected.get(key) != actual.get(key)}
    own = any(_is_metadata(key) and key.endswith("/WHEEL") for key in differ)
    return own and all(_is_metadata(key) or key.endswith((".so", ".pyd")) or ".so." in key for key in differ)


def proof_of_built(claim: Claim, wheel: WheelContent, environment: Environment, built: Iterable[WheelContent]) -> Proof | None:
    """How *claim* is proven where it may be built from source, though the lock has a *wheel* for it; None where it is not."""
    return _proof_by_source(claim, built) if may_be_built(claim, wheel, environment) else None


def _stated(claim: Claim) -> tuple[Wanted, ...]:
    """The wheels whose tags are those that the distribution's own WHEEL file states."""
    own = tags_in(claim.item.tags)
    return tuple(wanted for wanted in claim.artifacts if own and wheel_tags(wanted.filename) == own)


def candidates(claim: Claim, interpreter: Interpreter) -> tuple[Wanted, ...]:
    """The wheels that the distribution of *claim* may be under *interpreter*, the likeliest first; none where it was built here."""
    if claim.item.built_here:
        return ()
    stated = _stated(claim)
    if stated:
        return stated
    tags = tags_of(interpreter)
    ranked = [(rank, wanted) for wanted in claim.artifacts if (rank := rank_of(wanted.filename, tags)) is not None]
    renamed = [wanted for _, wanted in sorted(ranked, key=lambda pair: pair[0])]
    return tuple(renamed[:_MOST_RENAMED])


def judge_claim(
    claim: Claim,
    tried: tuple[WheelContent, ...],
    failures: tuple[Failure, ...],
    environment: Environment,
    told: Collection[str],
    other: tuple[str, WheelContent] | None = None,
) -> Iterator[Drift | Unchecked]:
    """What is to be said of a *claim* that is not proven.

    *tried* are the wheels that it may be, the likeliest first, with their rows; *failures* are those that could not be had; *told*
    are the paths that its other drifts name already. *other* is another release, with its version, whose wheel has the code that is
    there.
    """
    item = claim.item
    what = f"{item.name} {item.version}"
    if item.content is None:
        if item.record is not None:
            reason = "a part of its content could not be read, so it is not the locked artifact's for certain"
            yield Unchecked(code="unverifiable", what=what, reason=reason, in_scope=True)
        return
    if tried and may_be_built(claim, tried[0], environment):
        reason = "its WHEEL is not the locked wheel's, and the lock also names a source that it may be built from"
        yield Unchecked(code="built-here", what=what, reason=reason, in_scope=True)
        return
    if tried:
        yield from _differences(claim, tried[0], environment, told, other)
        return
    mismatch = next((failure for failure in failures if failure.code == "artifact-mismatch"), None)
    if mismatch is not None:
        yield Drift(
            code=Code.ARTIFACT_MISMATCH,
            distribution=item.name,
            version=item.version,
            path=mismatch.wanted.filename,
            expected=str(mismatch.wanted.sha256 or ""),
            actual=str(mismatch.actual or ""),
            message=mismatch.reason,
        )
    elif failures:
        reason = failures[0].reason
        yield Unchecked(code="unverifiable", what=what, reason=f"its locked artifact could not be had: {reason}", in_scope=True)
    elif not claim.artifacts and not claim.from_source and not item.built_here and not claim.unhashed:
        reason = "the seal does not say which wheel it is, and the lock that it was made under is not here"
        yield Unchecked(code="unverifiable", what=what, reason=reason, in_scope=True)
    elif claim.unhashed:
        yield Unchecked(code="unhashed", what=what, reason="the lock names no hash of any artifact of it", in_scope=True)
    else:
        reason = "it was built from source, and neither a seal nor the archive states its content"
        if claim.sealed is not None and claim.sealed != item.content:
            return  # the seal says what it must be, and that it is not: told by the comparison with it
        yield Unchecked(code="built-here", what=what, reason=reason, in_scope=True)


def _differences(
    claim: Claim, wheel: WheelContent, environment: Environment, told: Collection[str], other: tuple[str, WheelContent] | None
) -> Iterator[Drift]:
    """The files in which the distribution differs from the locked *wheel*, but for those *told* already."""
    item = claim.item
    locked = f"{wheel.filename or 'the locked wheel'}"
    if other is not None:
        version, _ = other
        yield Drift(
            code=Code.RELEASE_MIXED,
            distribution=item.name,
            version=item.version,
            path=shown_home(item),
            expected=str(wheel.content),
            actual=str(item.content),
            message=f"its code is that of {item.name} {version}, under the metadata of {item.version}",
        )
    if item.stated == wheel.content and told:
        return  # its RECORD is the wheel's, and names every file that is not
    named = False
    rows = installed_rows(item, environment)
    if wheel.rows is not None and rows is not None:
        expected, actual = dict(wheel.rows), dict(rows)
        claimed = _claimed(item, environment)
        linked = {key for key, path in _places(item, environment) if _is_shared(environment, path)}
        for key in sorted(expected.keys() | actual.keys()):
            before, after = expected.get(key, ""), actual.get(key, "")
            path = claimed.get(key, key.removeprefix("lib/"))
            if before == after or path in told:
                named = named or before != after
                continue
            named = True
            words = (
                f"its RECORD agrees with it, and {locked} does not"
                if before and after
                else f"{locked} has it; it is not here, and RECORD does not miss it"
                if before
                else f"RECORD claims it, and {locked} does not have it"
            )
            yield Drift(
                code=Code.RECORD_FORGED,
                distribution=item.name,
                version=item.version,
                path=path,
                expected=before,
                actual=after,
                message=words,
                shared=key in linked,
            )
    if not named:
        yield Drift(
            code=Code.RECORD_FORGED,
            distribution=item.name,
            version=item.version,
            path=f"{shown_home(item)}/RECORD",
            expected=str(wheel.content),
            actual=str(item.content),
            message=f"it is not what {locked} installs, and its RECORD agrees with it",
        )


def _places(item: Distribution, environment: Environment) -> Iterator[tuple[str, str]]:
    """The content key and the path of each file that *item* claims."""
    site = item.home.rpartition("/")[0]
    for row in item.record or ():
        yield installed_key(row.path, site=site, scripts=environment.layout.scripts), row.path


def _claimed(item: Distribution, environment: Environment) -> dict[str, str]:
    """The paths, as drifts show them, of what *item* claims, by content key."""
    places = _places(item, environment)
    return {key: key.removeprefix("lib/") if key.startswith("lib/") else path for key, path in places}


def _is_shared(environment: Environment, path: str) -> bool:
    """Whether the file at *path* is a link that other environments share."""
    entry = environment.files.get(path)
    return entry is not None and (entry.links > 1 or entry.kind is FileKind.LINK)


def suspected_releases(item: Distribution, sources: Iterable[bytes]) -> tuple[str, ...]:
    """The versions, other than its own, that the altered *sources* of *item* state of themselves (``__version__ = "1.15.0"``)."""
    found = dict.fromkeys(match[1].decode("ascii", "replace") for data in sources for match in _STATED_VERSION.finditer(data))
    return tuple(version for version in found if normalise_name(version) != normalise_name(item.version))


def installed_rows(item: Distribution, environment: Environment) -> tuple[tuple[str, str], ...] | None:
    """The rows behind the content of *item*, worked out again where they were not kept; None where they can not be."""
    if item.rows is not None:
        return item.rows
    regenerated = frozenset(environment.regenerated)
    scripts = {script.path: script for script in item.scripts}
    digests = {row.path: row.digest for row in item.record or ()}
    found: set[tuple[str, str]] = set()
    for key, path in _places(item, environment):
        entry = environment.files.get(path)
        if entry is None or is_cached_bytecode(path) or is_about_installing(path, item.home):
            continue
        script = scripts.get(path)
        if script is None:
            found.add((key, f"sha256:{(digests[path] if path in regenerated else entry.digest).hex()}"))
        elif script.declared or not script.target:
            found.add((key, f"ep:{script.target}" if script.target else f"sha256:{script.canonical.hex()}"))
    return tuple(sorted(found)) if content_digest(found) == item.content else None


def altered_code(rows: Iterable[tuple[str, str]], wheel: WheelContent) -> tuple[str, ...]:
    """The keys of what is code among *rows*, and is not so in *wheel*: added or altered."""
    locked = dict(wheel.rows or ())
    return tuple(key for key, value in rows if locked.get(key) != value and not _is_metadata(key))


def _is_metadata(key: str) -> bool:
    return key.partition("/")[2].partition("/")[0].endswith(".dist-info")


def has_code_of(rows: Iterable[tuple[str, str]], wheel: WheelContent, keys: Collection[str]) -> bool:
    """Whether *rows*, for those *keys* which are all that differ from the own release, are those of *wheel*."""
    actual, other = dict(rows), dict(wheel.rows or ())
    return bool(keys) and all(other.get(key) == actual.get(key) for key in keys)


def of_release(item: Distribution, version: str, known: Iterable[WheelContent], offers: Iterable[Offer]) -> Iterator[Wanted]:
    """The wheels of another *version* of *item* that have its tags: those *known* by name, and those that an index *offers*."""
    own = tags_in(item.tags)
    for wheel in known:
        name, _, rest = wheel.filename.partition("-")
        if normalise_name(name) == item.key and rest.partition("-")[0] == version and wheel_tags(wheel.filename) == own:
            yield Wanted(name=item.key, version=version, filename=wheel.filename, digests=(wheel.sha256,))
    for offer in offers:
        if wheel_tags(offer.filename) == own and any(digest.algorithm == "sha256" for digest in offer.digests):
            yield Wanted(name=item.key, version=version, filename=offer.filename, digests=offer.digests, location=offer.url)
