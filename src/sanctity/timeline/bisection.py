"""What a bisect asks, step by step, and what it makes of the answers. It resolves, builds and runs nothing itself: a `Bench` does.

The rules it keeps:

- A verdict is pass or fail. What can not be resolved or built, is skipped, or is now this and now that, decides nothing.
- The trials that the answer stands on are repeated: both ends, the two beside the break, and the smallest set that fails.
- A release is named because the last environment that passes fails with it, and not because it was new on that day.
- What contradicts the answer is looked for: other breaks, in other dates and behind the one that was found.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol

from packaging.version import InvalidVersion, Version

from sanctity.errors import SanctityError
from sanctity.model.bisecting import Answer, Break, Certainty, Culprit, Outcome, Role, Span, day
from sanctity.model.timeline import Change, Release, changes
from sanctity.timeline.narrow import minimise, narrow, widest_gap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sanctity.model.bisecting import Trial, Withdrawn
    from sanctity.model.timeline import Resolution
    from sanctity.timeline.narrow import Bracket

__all__ = ["Bench", "bisect"]

#: On each side of a break so many environments are tried that the search passed over, for so many resolutions at most.
_PROBES: Final = 2
_LOOKS: Final = 8
#: So many breaks are looked for before the search says that there may be more.
_MOST_BREAKS: Final = 4
#: So many releases of one package are looked at that came on one day.
_MOST_OF_ONE_DAY: Final = 12
#: So many lines are shown of the end of what the command wrote at good.
_MOST_LINES: Final = 20
#: So many withdrawn releases are tried.
_MOST_WITHDRAWN: Final = 12


class Bench(Protocol):
    """Who resolves, builds and runs. Equal questions get equal answers, without the work being done twice."""

    def resolve(self, at: str, constraints: tuple[str, ...] = ()) -> Resolution:
        """What the requirements come to at the instant *at*, under *constraints* (PEP 508)."""
        ...

    def judge(self, resolution: Resolution, why: str, *, repeat: bool = False) -> Trial:
        """What becomes of the command in that environment; *repeat*: so often as was asked for. *why* is told to people."""
        ...

    @property
    def width(self) -> int:
        """How many environments it may try at the same time."""
        ...

    def prepare(self, trials: Sequence[tuple[Resolution, str]], *, repeat: bool = False) -> None:
        """Be told that these will be judged, so that they may be tried at the same time."""
        ...

    def expect(self, trials: int) -> None:
        """Be told that about so many more trials follow the next one."""
        ...

    def withdrawn(self, resolution: Resolution) -> tuple[Withdrawn, ...]:
        """The releases that may have been chosen in place of those of *resolution* before they were yanked."""
        ...

    def tell(self, text: str) -> None:
        """Narrate a step."""
        ...


def bisect(instants: Sequence[str], bench: Bench, *, thorough: bool = False) -> Answer:
    """Which releases made the command fail, between the first of *instants*, at which it passes, and the last.

    Raises:
        SanctityError: there is no such break: ``bisect-nothing-changed``, ``bisect-good-fails``, ``bisect-bad-passes``; or an end
            gives no verdict: ``bisect-unbuildable``, ``bisect-flaky``, ``bisect-no-verdict``.
    """
    return _Bisection(instants, bench, thorough=thorough).run()


class _Bisection:
    """One search over *instants*. An index is one of theirs; under other constraints an index is another environment."""

    def __init__(self, instants: Sequence[str], bench: Bench, *, thorough: bool) -> None:
        self.instants = instants
        self.bench = bench
        self.thorough = thorough
        self.end = len(instants) - 1
        self.found: dict[tuple[int, tuple[str, ...]], Resolution] = {}
        self.tried: set[tuple[int, tuple[str, ...]]] = set()
        self.notes: list[str] = []

    # -- the whole ----------------------------------------------------------------------------------------------------------------

    def run(self) -> Answer:
        good, bad = self.at(0), self.at(self.end)
        for resolution, name in ((good, "good"), (bad, "bad")):
            if resolution.failure:
                raise _unbuildable(name, resolution.at, resolution.failure)
        if good.digest == bad.digest:
            return self._withdrawn(bad, same=True)
        self._check_good(good)
        trial = self.bench.judge(bad, f"bad, {day(bad.at)}", repeat=True)
        _check_end(trial, "bad", bad.at)
        if trial.outcome is Outcome.PASS:
            return self._withdrawn(bad, same=False)
        brackets = [self._find(0, self.end)]
        spans = self._contradictions(brackets)
        breaks = [self._explain(bracket, ()) for bracket in sorted(brackets, key=lambda each: each.first)]
        return self._others(breaks, spans)

    def _check_good(self, good: Resolution) -> None:
        trial = self.bench.judge(good, f"good, {day(good.at)}", repeat=True)
        _check_end(trial, "good", good.at)
        if trial.outcome is Outcome.FAIL:
            for line in trial.runs[-1].tail.rstrip().splitlines()[-_MOST_LINES:]:
                self.bench.tell(f"  | {line}")
            raise SanctityError(
                "bisect-good-fails",
                f"the command fails already: it {trial.reason}",
                where=f"--good {day(good.at)}",
                hint="name an earlier date at which it works; the end of what it wrote stands above, and in the log",
            )

    def at(self, index: int, held: tuple[str, ...] = ()) -> Resolution:
        """The environment of an index under the constraints *held*."""
        key = (index, held)
        if key not in self.found:
            self.found[key] = self.bench.resolve(self.instants[index], held)
        return self.found[key]

    def _judge(self, index: int, held: tuple[str, ...] = (), *, repeat: bool = False) -> Outcome:
        resolution = self.at(index, held)
        if resolution.failure:
            return Outcome.UNRESOLVABLE
        self.tried.add((index, held))
        return self.bench.judge(resolution, day(resolution.at), repeat=repeat).outcome

    def _prepare(self, indices: tuple[int, ...], held: tuple[str, ...], *, repeat: bool = False) -> None:
        if self.bench.width > 1:
            resolved = [index for index in indices if not self.at(index, held).failure]
            self.tried |= {(index, held) for index in resolved}
            self.bench.prepare([(self.at(index, held), day(self.instants[index])) for index in resolved], repeat=repeat)

    def _key(self, index: int, held: tuple[str, ...] = ()) -> object:
        resolution = self.at(index, held)
        return "" if resolution.failure else resolution.digest

    # -- over dates ---------------------------------------------------------------------------------------------------------------

    def _find(self, start: int, end: int, held: tuple[str, ...] = ()) -> Bracket:
        """The break between *start*, which passes, and *end*, which fails; both sides of it are tried again.

        Where a repetition disagrees, that environment decides nothing any more, and the search goes another way.
        """
        while True:
            sides = [start, end]

            def judge(index: int, sides: list[int] = sides) -> Outcome:
                self.bench.expect((sides[1] - sides[0]).bit_length() - 1)
                outcome = self._judge(index, held)
                if outcome.decided:
                    sides[outcome is Outcome.FAIL] = index
                return outcome

            bracket = narrow(
                start,
                end,
                judge,
                lambda index: self._key(index, held),
                width=self.bench.width,
                ahead=lambda indices: self._prepare(indices, held),
            )
            self.bench.expect(0)
            self._prepare((bracket.last, bracket.first), held, repeat=True)
            both = (self._judge(bracket.last, held, repeat=True), self._judge(bracket.first, held, repeat=True))
            if both == (Outcome.PASS, Outcome.FAIL):
                return bracket

    def _contradictions(self, brackets: list[Bracket]) -> tuple[Span, ...]:
        """Look on both sides of the first of *brackets* for what should not be there; a break behind it is added to them."""
        first = brackets[0]
        before = self._probe(0, first.last, Outcome.PASS)
        after = self._probe(first.first, self.end, Outcome.FAIL)
        if before:
            brackets.append(self._find(0, before[0]))
        if after:
            brackets.append(self._find(after[-1], self.end))
        spans = [self._span(group, Outcome.FAIL) for group in _groups(before, self._known(0, first.last))]
        spans += [self._span(group, Outcome.PASS) for group in _groups(after, self._known(first.first, self.end))]
        return tuple(spans)

    def _span(self, group: Sequence[int], outcome: Outcome) -> Span:
        return Span(first=self.instants[group[0]], last=self.instants[group[-1]], outcome=outcome)

    def _known(self, start: int, end: int) -> dict[int, object]:
        """The environments looked at from *start* to *end*, by index."""
        known = sorted(index for index, held in self.found if not held and start <= index <= end)
        return {index: self._key(index) for index in known}

    def _probe(self, start: int, end: int, expected: Outcome) -> list[int]:
        """The indices between that give another verdict than is *expected*, twice over, of those that are looked at."""
        tried = looks = 0
        # What was tried ahead of the search may contradict it already.
        before = sorted(index for index, held in self.tried if not held and start < index < end)
        against = [index for index in before if self._contradicts(index, expected)]
        seen = {self._key(index) for index in (start, *before, end)}
        while self.thorough or (tried < _PROBES and looks < _LOOKS):
            index = widest_gap(start, end, self._known(start, end))
            if index is None:
                break
            looks += 1
            key = self._key(index)
            if key in seen or not key:
                continue
            seen.add(key)
            tried += 1
            if self._contradicts(index, expected):
                against.append(index)
        return sorted(against)

    def _contradicts(self, index: int, expected: Outcome) -> bool:
        """Whether an index has another verdict than is *expected*, twice over."""
        outcome = self._judge(index)
        return outcome.decided and outcome is not expected and self._judge(index, repeat=True) is outcome

    # -- over packages ------------------------------------------------------------------------------------------------------------

    def _mixed(self, at: str, pins: Mapping[str, str], held: tuple[str, ...], why: str, *, repeat: bool = False) -> Outcome:
        """What becomes of an environment of exactly *pins*, as far as what is installed needs them."""
        resolution = self._mix(at, pins, held)
        if resolution.failure:
            self.bench.tell(f"{why}: can not be resolved")
            return Outcome.UNRESOLVABLE
        return self.bench.judge(resolution, why, repeat=repeat).outcome

    def _mix(self, at: str, pins: Mapping[str, str], held: tuple[str, ...]) -> Resolution:
        # What is no version is a folder or a commit, which is what it is at every date.
        rows = tuple(f"{name}=={version}" for name, version in sorted(pins.items()) if _is_version(version))
        return self.bench.resolve(at, (*held, *rows))

    def _explain(self, bracket: Bracket, held: tuple[str, ...]) -> Break:
        """Which of the releases between the two sides of *bracket* make the difference."""
        before, after = self.at(bracket.last, held), self.at(bracket.first, held)
        moved = _likeliest(change for change in changes(before, after) if _is_version(change.old) and _is_version(change.new))
        pins = {**after.pins, **before.pins}

        def judge(some: tuple[Change, ...], *, repeat: bool = False) -> Outcome:
            chosen = {**pins, **{change.name: change.new for change in some}}
            return self._mixed(after.at, chosen, held, f"{day(before.at)} with {_named(some)}", repeat=repeat)

        culprits = moved
        if len(moved) > 1:
            self.bench.tell(f"{len(moved)} packages changed between {day(before.at)} and {day(after.at)}")
            while len(culprits := minimise(moved, judge)) < len(moved) and judge(culprits, repeat=True) is not Outcome.FAIL:
                pass  # it is flaky, as is known from now on
        roles = _roles(culprits, judge)
        if not moved:
            only = changes(before, after)
            named = tuple(_culprit(change, after, before, Role.SUSPECT) for change in only)
            return Break(passing=before, failing=after, culprits=named, exact=False, held=held)
        found = Break(
            passing=before,
            failing=after,
            culprits=tuple(_culprit(change, after, before, roles[change.name]) for change in culprits),
            between=self._between(bracket, held),
            held=held,
        )
        if found.between:
            found = self._refined(found, culprits, pins)
        if found.exact and len(culprits) == 1:
            found = self._of_one_day(found, pins)
        if found.exact and len(culprits) == 1 and found.culprits[0].old:
            found = self._yanked_before(found, pins)
        return self._in_context(found, culprits)

    def _of_one_day(self, found: Break, pins: Mapping[str, str]) -> Break:
        """*found* with the first of several releases that the package had between the two environments, and not the last.

        A day may bring more than one. Which there were is asked of the resolver: the newest that is lower than the one that fails.
        """
        for _ in range(_MOST_OF_ONE_DAY):
            culprit = found.culprits[0]
            name, version = culprit.release.name, culprit.release.version
            others = {other: pin for other, pin in pins.items() if other != name}
            lower = self._mix(found.failing.at, others, (*found.held, f"{name}<{version}"))
            between = lower.pins.get(name, culprit.old)
            if lower.failure or not _is_between(culprit.old, between, version):
                break
            outcome = self._mixed(
                found.failing.at, {**pins, name: between}, found.held, f"{day(found.passing.at)} with {name} {between}", repeat=True
            )
            if outcome is Outcome.PASS:
                return replace(found, passing=lower, culprits=(replace(culprit, old=between),))
            if outcome is not Outcome.FAIL:
                return replace(found, culprits=(replace(culprit, among=(between,)),), exact=False)
            narrowed = Change(name=name, old=culprit.old, new=between)
            found = replace(found, failing=lower, culprits=(_culprit(narrowed, lower, found.passing, culprit.role),))
        return found

    def _yanked_before(self, found: Break, pins: Mapping[str, str]) -> Break:
        """*found* with the release that really came first, where some between the two versions were yanked since.

        On their day they were chosen, and today the resolver passes them over. The oldest is tried first, each by its own version.
        """
        culprit = found.culprits[0]
        name = culprit.release.name
        there = [
            each
            for each in self.bench.withdrawn(found.passing)
            if each.name == name and _is_between(culprit.old, each.version, culprit.release.version)
        ]
        untried = []
        for each in sorted(there, key=lambda each: Version(each.version))[:_MOST_WITHDRAWN]:
            mixed = self._mix(found.failing.at, {**pins, name: each.version}, found.held)
            why = f"{day(found.passing.at)} with {name} {each.version}, yanked since"
            outcome = Outcome.UNRESOLVABLE if mixed.failure else self.bench.judge(mixed, why, repeat=True).outcome
            if outcome is Outcome.FAIL:
                change = Change(name=name, old=culprit.old, new=each.version)
                named = replace(_culprit(change, mixed, found.passing, culprit.role), yanked=each.reason)
                found = replace(found, failing=mixed, culprits=(named,))
                break
            if outcome is Outcome.PASS:
                culprit = replace(culprit, old=each.version)
                found = replace(found, passing=mixed, culprits=(culprit,))
            else:
                untried.append(each.version)
        if untried:
            self.notes.append(f"{name} {', '.join(untried)}, yanked since, came before it and gave no verdict")
        return found

    def _between(self, bracket: Bracket, held: tuple[str, ...]) -> tuple[Resolution, ...]:
        """The distinct environments looked at between the sides of *bracket*, of which none gave a verdict."""
        known = {self._key(index, held): self.at(index, held) for index in bracket.between if (index, held) in self.found}
        return tuple(known.values())

    def _refined(self, found: Break, culprits: tuple[Change, ...], pins: Mapping[str, str]) -> Break:
        """*found* with the one release named that is meant, of those of the days that gave no verdict.

        The package is moved alone, release by release, in the environment that passes: what kept those days from a verdict may be
        another package.
        """
        after = found.failing
        if len(culprits) > 1:
            return replace(found, exact=not any(self._versions(found, change) for change in culprits))
        change = culprits[0]
        versions = [change.old, *self._versions(found, change), change.new]

        def pinned(index: int) -> Mapping[str, str]:
            return {**pins, change.name: versions[index]}

        def judge(index: int, *, repeat: bool = False) -> Outcome:
            why = f"{day(found.passing.at)} with {change.name} {versions[index]}"
            return self._mixed(after.at, pinned(index), found.held, why, repeat=repeat)

        while True:
            sides = narrow(0, len(versions) - 1, judge, lambda index: index)
            # Both ends were tried again before. What is between and flaky decides nothing from now on.
            passes = sides.last == 0 or judge(sides.last, repeat=True) is Outcome.PASS
            if passes and (sides.first == len(versions) - 1 or judge(sides.first, repeat=True) is Outcome.FAIL):
                break
        passing = self._mix(after.at, pinned(sides.last), found.held) if sides.last else found.passing
        failing = self._mix(after.at, pinned(sides.first), found.held)
        exact = sides.first == sides.last + 1
        narrowed = Change(name=change.name, old=versions[sides.last], new=versions[sides.first])
        culprit = replace(_culprit(narrowed, failing, passing, Role.NECESSARY), among=tuple(versions[at] for at in sides.between))
        return replace(found, passing=passing, failing=failing, culprits=(culprit,), exact=exact)

    @staticmethod
    def _versions(found: Break, change: Change) -> list[str]:
        """The versions that the package of *change* had in the days between, in order."""
        seen = (resolution.pins.get(change.name, "") for resolution in found.between)
        return [version for version in dict.fromkeys(seen) if version not in {"", change.old, change.new}]

    def _in_context(self, found: Break, culprits: tuple[Change, ...]) -> Break:
        """*found*, with whether it takes no more than that to break good's own environment, and else what more."""
        good, before, after = self.at(0, found.held), found.passing, found.failing
        if good.failure or good.digest == before.digest:
            return replace(found, alone=Certainty.YES if not good.failure else Certainty.UNKNOWN)
        news = {change.name: after.pins.get(change.name, change.new) for change in culprits}
        pins = {**after.pins, **before.pins, **good.pins, **news}
        moved = _likeliest(change for change in changes(good, before) if change.old and change.new and change.name not in news)
        named = ", ".join(f"{name} {version}" for name, version in news.items())

        def judge(some: tuple[Change, ...]) -> Outcome:
            chosen = {**pins, **{change.name: change.new for change in some}}
            why = f"{day(good.at)} with {named}" + (f", {_named(some)}" if some else " alone")
            return self._mixed(after.at, chosen, found.held, why)

        outcome = judge(())
        if outcome is Outcome.FAIL:
            return replace(found, alone=Certainty.YES)
        if not moved:
            return found
        more = minimise(moved, judge)
        roles = _roles(more, judge, empty=outcome)
        named_more = tuple(_culprit(change, before, good, roles[change.name]) for change in more)
        if all(role is not Role.NECESSARY for role in roles.values()):
            # Nothing was shown to pass without them: they had to come along, and that is all that is known.
            return replace(found, along=named_more)
        return replace(found, alone=Certainty.NO, earlier=named_more)

    # -- what else ----------------------------------------------------------------------------------------------------------------

    def _others(self, breaks: list[Break], spans: tuple[Span, ...]) -> Answer:
        """The answer: hold back what was found, and look whether bad passes then; if not, there is another break."""
        held: tuple[str, ...] = ()
        while True:
            held = tuple(dict.fromkeys(back for each in breaks for culprit in each.culprits for back in _held_back(culprit)))
            complete = self._without(held)
            if complete is not Certainty.NO:
                break
            if len(breaks) >= _MOST_BREAKS:
                self.notes.append("more releases break it: these are the ones that were looked for")
                break
            start = max(index for index, instant in enumerate(self.instants) if instant <= breaks[0].passing.at)
            if self._judge(0, held, repeat=True) is not Outcome.PASS:
                self.notes.append(
                    f"another release breaks it too, and can not be looked for: {', '.join(held)} does not pass at good"
                )
                break
            start = start if self._judge(start, held) is Outcome.PASS else 0
            self.bench.tell(f"bad fails without it too: looking for another, with {', '.join(held)}")
            breaks.append(self._explain(self._find(start, self.end, held), held))
        return Answer(
            breaks=tuple(breaks),
            contradictions=spans,
            complete=complete,
            remedy=held if complete is Certainty.YES else (),
            notes=tuple(self.notes),
        )

    def _without(self, held: tuple[str, ...]) -> Certainty:
        """Whether bad passes under the constraints *held*."""
        bad = self.at(self.end, held)
        if not held or bad.failure:
            return Certainty.UNKNOWN
        trial = self.bench.judge(bad, f"{day(bad.at)} with {', '.join(held)}", repeat=True)
        return {Outcome.PASS: Certainty.YES, Outcome.FAIL: Certainty.NO}.get(trial.outcome, Certainty.UNKNOWN)

    def _withdrawn(self, bad: Resolution, *, same: bool) -> Answer:
        """The answer where bad passes, or nothing changed: a release that was chosen then may be one that is withdrawn now."""
        withdrawn = self.bench.withdrawn(bad)
        where = f"--bad {day(bad.at)}"
        gone = "a release that was deleted since can not be seen"
        if same:
            if not withdrawn:
                raise SanctityError(
                    "bisect-nothing-changed",
                    f"the requirements come to the same {len(bad.releases)} releases at both dates",
                    where=where,
                    hint=f"look for it elsewhere: in the code, the data, the machine; {gone}",
                )
            self._check_good(bad)
        if len(withdrawn) > _MOST_WITHDRAWN:
            self.notes.append(f"{len(withdrawn)} releases were withdrawn since; the last {_MOST_WITHDRAWN} of them were tried")
        breaks = []
        for each in withdrawn[:_MOST_WITHDRAWN]:
            row = f"{each.name}=={each.version}"
            resolution = self.bench.resolve(bad.at, (row,))
            if resolution.failure:
                continue
            trial = self.bench.judge(resolution, f"{day(bad.at)} with {each.name} {each.version}, yanked since", repeat=True)
            if trial.outcome is Outcome.FAIL:
                release = next((one for one in resolution.releases if one.name == each.name), None)
                release = release or Release(name=each.name, version=each.version, uploaded=each.uploaded)
                culprit = Culprit(release=release, old=bad.pins.get(each.name, ""), yanked=each.reason)
                breaks.append(Break(passing=bad, failing=resolution, culprits=(culprit,)))
        if breaks:
            return Answer(breaks=tuple(breaks), notes=tuple(self.notes))
        tried = f", and so it does with the {len(withdrawn[:_MOST_WITHDRAWN])} releases that were yanked since" if withdrawn else ""
        raise SanctityError(
            "bisect-nothing-changed" if same else "bisect-bad-passes",
            f"the command passes{tried}",
            where=where,
            hint=f"name a later date at which it fails; {gone}",
        )


def _unbuildable(end: str, at: str, reason: str) -> SanctityError:
    return SanctityError(
        "bisect-unbuildable",
        f"there is no environment to try: {reason}",
        where=f"--{end} {day(at)}",
        hint="name another date, or another Python with --python",
    )


def _check_end(trial: Trial, end: str, at: str) -> None:
    """Raise where the *trial* at an end gives no verdict."""
    where = f"--{end} {day(at)}"
    if trial.outcome in {Outcome.UNBUILDABLE, Outcome.UNRESOLVABLE}:
        raise _unbuildable(end, at, trial.reason)
    if trial.outcome is Outcome.FLAKY:
        raise SanctityError(
            "bisect-flaky",
            f"the command is now this, now that: {trial.reason}",
            where=where,
            hint="make it give the same each time (seeds, no network, no clock), or repeat it more often with --repeat",
        )
    if trial.outcome is Outcome.SKIPPED:
        hint = "both ends need a verdict: name another date"
        raise SanctityError("bisect-no-verdict", f"the command gives no verdict: it {trial.reason}", where=where, hint=hint)


def _groups(indices: Iterable[int], known: Iterable[int]) -> list[list[int]]:
    """*indices* in groups of neighbours among those that are *known*."""
    place = {index: number for number, index in enumerate(sorted(known))}
    groups: list[list[int]] = []
    for index in indices:
        if groups and place[index] == place[groups[-1][-1]] + 1:
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups


def _is_version(text: str) -> bool:
    try:
        Version(text)
    except InvalidVersion:
        return False
    return True


def _is_between(old: str, middle: str, new: str) -> bool:
    try:
        return Version(old) < Version(middle) < Version(new)
    except InvalidVersion:
        return False


def _named(some: tuple[Change, ...]) -> str:
    return ", ".join(f"{change.name} {change.new}" for change in some)


def _likeliest(moved: Iterable[Change]) -> tuple[Change, ...]:
    """*moved* in the order of how far each moved: what changed its first number comes before what changed its last."""

    def distance(change: Change) -> tuple[int, str]:
        try:
            old, new = Version(change.old), Version(change.new)
        except InvalidVersion:
            return (0, change.name)
        pairs = zip((old.epoch, *old.release), (new.epoch, *new.release), strict=False)
        return (next((place for place, (one, other) in enumerate(pairs) if one != other), 9), change.name)

    return tuple(sorted(moved, key=distance))


def _roles(
    found: tuple[Change, ...], judge: Callable[[tuple[Change, ...]], Outcome], empty: Outcome = Outcome.PASS
) -> dict[str, Role]:
    """What each of *found* has to do with the failure of all: what becomes of the others without it says so.

    *empty* is what becomes of none of them.
    """
    roles: dict[str, Role] = {}
    for change in found:
        rest = tuple(other for other in found if other is not change)
        outcome = judge(rest) if rest else empty
        roles[change.name] = Role.NECESSARY if outcome is Outcome.PASS else Role.COMPANION
    if found and all(role is Role.COMPANION for role in roles.values()):
        return dict.fromkeys(roles, Role.SUSPECT)
    return roles


def _culprit(change: Change, after: Resolution, before: Resolution, role: Role) -> Culprit:
    """The release that *change* brought, or where it took one away, that one."""
    source = after if change.new else before
    release = next(each for each in source.releases if each.name == change.name)
    return Culprit(release=release, old=change.old if change.new else "", role=role)


def _held_back(culprit: Culprit) -> tuple[str, ...]:
    """The constraints that keep what *culprit* is out, and leave what it was before."""
    release = culprit.release
    if not culprit.old:
        return ()
    try:
        upgrade = Version(culprit.old) < Version(min(culprit.among, key=Version) if culprit.among else release.version)
        lowest = min((release.version, *culprit.among), key=Version)
    except InvalidVersion:
        return (f"{release.name}=={culprit.old}",)
    return (f"{release.name}<{lowest}",) if upgrade else (f"{release.name}>{release.version}",)
