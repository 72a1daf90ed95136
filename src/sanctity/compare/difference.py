"""Two inventories, of whatever kinds, in one `Difference`: packages first, then their files, then the parts beside them.

What both sides state is compared, and what only one states is told as not compared. Swapping the sides mirrors the result, and no
order of packages, artifacts or rows matters. Bytes that changed under a version that stayed the same are an alarm: an index, a
cache or an installed file was rewritten.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from sanctity.model.difference import Change, Difference, FileChange, PackageChange, PartChange
from sanctity.model.drift import Unchecked
from sanctity.model.inventory import FILE_PARTS, PART_NAMES, InventoryKind
from sanctity.model.names import version_key

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

    from sanctity.model.inventory import Inventory, LockedFile, Package, Row

__all__ = ["difference"]

#: How many names a remark on what was not compared gives before it counts the rest.
_MOST_NAMES: Final = 5
#: Whose code runs whatever a policy says: where one of these is not known, "the same" can not be said.
_IN_SCOPE: Final = FILE_PARTS | {"python"}
#: What is told in the words of one format.
_OF_FORMAT: Final = frozenset({"indexes", "options"})
#: What belongs to whoever seals, or to the process that looked, and not to an environment.
_OWN_PARTS: Final = frozenset(
    {"settings", "requires", "indexes", "options", "lock", "selection", "accepted", "policy", "waivers", "canary"}
)


class _Remark(NamedTuple):
    """Why something was not compared."""

    code: str
    reason: str
    in_scope: bool = False


class _Sides(NamedTuple):
    """The kinds of the two sides."""

    before: InventoryKind
    after: InventoryKind

    @property
    def with_lock(self) -> bool:
        """Whether one of the two, and not the other, is a lock."""
        return (self.before is InventoryKind.LOCK) is not (self.after is InventoryKind.LOCK)

    @property
    def locks(self) -> bool:
        """Whether both are locks."""
        return self.before is self.after is InventoryKind.LOCK


def difference(before: Inventory, after: Inventory) -> Difference:
    """What *before* and *after* differ in. A lock beside an environment or a seal should be `narrowed` to it."""
    found = _Finding(before, after)
    names = sorted({package.name for package in (*before.packages, *after.packages)})
    older, newer = _by_name(before.packages), _by_name(after.packages)
    for name in names:
        found.compare(older.get(name, []), newer.get(name, []))
    parts = tuple(found.parts())
    if not parts:
        found.rest()
    found.blind()
    return Difference(
        before=before,
        after=after,
        packages=tuple(sorted(found.changes, key=_order_of_change)),
        parts=parts,
        unchecked=tuple(found.unchecked()),
    )


def _by_name(packages: Iterable[Package]) -> dict[str, list[Package]]:
    found: dict[str, list[Package]] = {}
    for package in packages:
        found.setdefault(package.name, []).append(package)
    return found


def _order_of_change(change: PackageChange) -> tuple[object, ...]:
    """By name; copies of one name in an order that is the same from either side."""
    sides = [_facts(side) if side is not None else () for side in (change.before, change.after)]
    return change.name, sorted(map(repr, sides))


def _facts(package: Package) -> tuple[object, ...]:
    return (
        package.version,
        package.specifier,
        package.origin,
        package.place,
        package.marker,
        package.artifacts,
        str(package.content),
        str(package.files),
        package.rows or (),
    )


def _is_same_version(one: Package, other: Package, sides: _Sides) -> bool | None:
    """Whether two versions are one; None where a side states none. A lock's version without a local part takes any local part."""
    if not one.version and not other.version:
        return one.specifier == other.specifier
    if not one.version or not other.version:
        loose, exact = (one, other) if not one.version else (other, one)
        if not loose.specifier:
            return None
        return None if sides.with_lock and _holds(loose.specifier, exact.version) else False
    if one.version == other.version:
        return True
    first, second = version_key(one.version), version_key(other.version)
    if first is None or second is None:
        return False
    if first == second:
        return True
    if sides.with_lock:
        locked, there = (first, second) if sides.before is InventoryKind.LOCK else (second, first)
        return not locked[-1] and locked[:-1] == there[:-1]
    return False


def _holds(specifier: str, version: str) -> bool:
    from packaging.specifiers import SpecifierSet

    try:
        return SpecifierSet(specifier).contains(version, prereleases=True)
    except ValueError:
        return False


def _direction(before: Package, after: Package) -> Change:
    """Which way a version went; sideways where neither is later, or only the local part changed (``+cpu`` to ``+cu121``)."""
    from packaging.version import Version

    try:
        old, new = Version(before.version), Version(after.version)
    except ValueError:  # not versions, or numbers with more digits than Python reads
        return Change.SIDEWAYS
    if old.public == new.public or (old.epoch, old.release, old.pre, old.post, old.dev) == (
        new.epoch,
        new.release,
        new.pre,
        new.post,
        new.dev,
    ):
        return Change.SIDEWAYS
    return Change.UP if new > old else Change.DOWN


class _Finding:
    """The comparison as it goes."""

    def __init__(self, before: Inventory, after: Inventory) -> None:
        self.before = before
        self.after = after
        self.sides = _Sides(before.kind, after.kind)
        self.changes: list[PackageChange] = []
        self._remarks: dict[_Remark, set[str]] = {}
        self._extra: list[Unchecked] = []
        self._alike = self.sides.locks and before.format == after.format
        self._several = False

    def remark(self, name: str, code: str, reason: str, *, in_scope: bool = False) -> None:
        """Note that something of *name* was not compared."""
        self._remarks.setdefault(_Remark(code, reason, in_scope), set()).add(name)

    def rest(self) -> None:
        """Two files of one format that are not the same, and of which nothing that is read differs."""
        one, other = self.before, self.after
        if self.sides.locks and one.format == other.format and one.digest != other.digest and not self.changes:
            self.remark("the rest of the two files", "not-stated", "their text differs in what is not read, or is a secret")

    def unchecked(self) -> Iterator[Unchecked]:
        """All that was not compared, what is in scope first."""
        for remark in sorted(self._remarks, key=lambda each: (not each.in_scope, each.code, each.reason)):
            names = sorted(self._remarks[remark])
            what = ", ".join(names[:_MOST_NAMES]) + (f" and {len(names) - _MOST_NAMES:,} more" if len(names) > _MOST_NAMES else "")
            yield Unchecked(code=remark.code, what=what, reason=remark.reason, count=len(names), in_scope=remark.in_scope)
        yield from sorted(self._extra, key=lambda item: (not item.in_scope, item.code, item.what, item.reason, item.count))

    def blind(self) -> None:
        """What could not be looked at on either side."""
        self._extra.extend(dict.fromkeys((*self.before.blind, *self.after.blind)))

    # -- packages

    def compare(self, before: Sequence[Package], after: Sequence[Package]) -> None:
        """The copies of one name."""
        older, newer = self._counting(before, self.after), self._counting(after, self.before)
        self._several = self.sides.locks and (len(older) > 1 or len(newer) > 1)
        for one, other in self._paired(older, newer):
            if one is not None and other is not None:
                self._compare(one, other)
            elif one is not None:
                self._alone(one, Change.REMOVED)
            elif other is not None:
                self._alone(other, Change.ADDED)

    def _counting(self, packages: Sequence[Package], other: Inventory) -> list[Package]:
        """Those of *packages* that the *other* side can know: a seal knows the system's packages, a lock what is in them."""
        if other.kind is InventoryKind.LOCK:
            return [package for package in packages if package.files is None]
        if other.kind is InventoryKind.SEAL:
            return [package for package in packages if not package.kept]
        return list(packages)

    def _paired(self, before: list[Package], after: list[Package]) -> Iterator[tuple[Package | None, Package | None]]:
        """Which copy of one side is which of the other: the likest first, and what is left from the highest version down."""
        if len(before) == len(after) == 1:
            yield before[0], after[0]
            return
        older, newer = (sorted(side, key=self._rank, reverse=True) for side in (before, after))
        keys: tuple[Callable[[Package], Hashable], ...] = (
            _facts,
            lambda item: (_version(item), item.where, item.origin),
            lambda item: (_version(item), item.where),
            lambda item: (_version(item), item.origin),
            _version,
            lambda item: (item.where, item.origin),
            lambda item: item.where,
            lambda item: item.origin,
            lambda _: None,
        )
        for key in keys:
            if not older or not newer:
                break
            waiting: dict[Hashable, list[int]] = {}
            for index in reversed(range(len(newer))):
                waiting.setdefault(key(newer[index]), []).append(index)
            left = []
            paired: set[int] = set()
            for item in older:
                same = waiting.get(key(item))
                if same:
                    paired.add(same[-1])
                    yield item, newer[same.pop()]
                else:
                    left.append(item)
            older = left
            newer = [item for index, item in enumerate(newer) if index not in paired]
        yield from ((item, None) for item in older)
        yield from ((None, item) for item in newer)

    @staticmethod
    def _rank(package: Package) -> tuple[object, ...]:
        from packaging.version import Version

        try:
            number: Version | None = Version(package.version)
        except ValueError:
            number = None
        return package.needed, number is not None, number or Version("0"), repr(_facts(package))

    def _alone(self, package: Package, change: Change) -> None:
        if package.doubt is not None:
            self.remark(f"{package.name} {package.version}".rstrip(), *package.doubt, in_scope=True)
            return
        if not package.needed:
            virtual = package.origin == "virtual"
            reason = (
                "it is a project that is never installed" if virtual else "the lock has it for other environments, groups or extras"
            )
            self.remark(package.name, "not-stated", reason)
            return
        other = self.before if change is Change.ADDED else self.after
        if package.seed:
            self.remark(package.name, "not-stated", "an environment may be seeded with it, and the other side does not name it")
            return
        if self.sides.locks and self.before.format != self.after.format and package.origin in {"virtual", "editable"}:
            self.remark(package.name, "not-stated", "it is a project, and the other format does not name its own")
            return
        foreign = self.sides.locks and package.origin not in {"virtual", "editable", "directory"}
        if other.project and package.name == other.project and not foreign:
            self.remark(package.name, "not-stated", "it is the project itself, which the lock does not name")
            return
        before, after = (package, None) if change is Change.REMOVED else (None, package)
        fork = package.where if self._several else ""
        self.changes.append(PackageChange(name=package.name, changes=(change,), before=before, after=after, fork=fork))

    def _compare(self, before: Package, after: Package) -> None:
        changes: list[Change] = []
        files: tuple[FileChange, ...] = ()
        gone: tuple[LockedFile, ...] = ()
        new: tuple[LockedFile, ...] = ()
        same = _is_same_version(before, after, self.sides)
        if same is False:
            changes.append(_direction(before, after))
        if not self._is_same_source(before, after):
            changes.append(Change.SOURCE)
        if self._alike:
            changes += self._for_whom(before, after)
        if same is not False:
            change, gone, new = self._artifacts(before, after)
            changes += [change] if change is not None else []
            if self.sides.locks and Change.SOURCE not in changes and _moved(before, after):
                changes.append(Change.PLACE)
            if self._is_other_content(before, after):
                changes.append(Change.CONTENT)
        if (same is False or Change.CONTENT in changes) and before.rows is not None and after.rows is not None:
            files = tuple(_row_changes(before.rows, after.rows))
        if Change.CONTENT in changes and (before.rows is None or after.rows is None):
            reason = "one side has the digest of its content alone, so no file can be named (seal with `--files` to keep the rows)"
            self.remark(before.name, "not-stated", reason)
        if changes:
            fork = after.where if self._several and Change.MARKER not in changes else ""
            self.changes.append(
                PackageChange(
                    name=before.name, changes=tuple(changes), before=before, after=after, files=files, gone=gone, new=new, fork=fork
                )
            )

    def _for_whom(self, before: Package, after: Package) -> Iterator[Change]:
        """Whether a pin of two locks of one format is there for others than before, as far as both say."""
        if before.where != after.where:
            if self.before.listed is self.after.listed:
                yield Change.MARKER
            else:
                self.remark(
                    before.name, "not-stated", "one lock has the marker with the package, and the other with what asks for it"
                )
        old, new = PackageChange(name=before.name, changes=(), before=before, after=after).reach
        if old != new:
            yield Change.REACH
        elif before.reach != after.reach:
            self.remark(before.name, "not-stated", "one of the two does not say for whom it is installed")

    def _is_same_source(self, before: Package, after: Package) -> bool:
        """Whether both are taken from one source, as far as both say."""
        if before.files is not None or before.kept or after.kept:
            return True  # the system's package manager put it there
        one, other = before.origin, after.origin
        if self.sides.locks:
            places = {before.place.rstrip("/"), after.place.rstrip("/")}
            return one == other and (len(places) == 1 or "" in places)
        if one == other:
            return True
        if one.partition(":")[0] == other.partition(":")[0] == "git":
            first, second = one.partition(":")[2].lower(), other.partition(":")[2].lower()
            return first.startswith(second) or second.startswith(first)
        if not self.sides.with_lock:
            return False
        locked, there = (before, after) if self.sides.before is InventoryKind.LOCK else (after, before)
        if locked.origin in {"editable", "virtual"}:
            return there.origin in {"editable", "directory"}
        if {locked.origin, there.origin} == {"index", "archive"} and there.origin == "archive":
            # An archive that the lock allows by its hash is the index's own.
            allowed = {item.digest for item in locked.artifacts if item.digest}
            return any(item.digest in allowed for item in there.artifacts)
        return False

    def _artifacts(self, before: Package, after: Package) -> tuple[Change | None, tuple[LockedFile, ...], tuple[LockedFile, ...]]:
        """What became of the artifacts of one version, and those that only one side allows."""
        old, new = set(before.artifacts), set(after.artifacts)
        if old == new:
            return None, (), ()
        if not self.sides.locks:
            return self._artifact_of_lock(before, after)
        gone, fresh = tuple(sorted(old - new)), tuple(sorted(new - old))
        named_old, named_new = _by_filename(before.artifacts), _by_filename(after.artifacts)
        for filename in named_old.keys() & named_new.keys():
            answer = _is_same_file(named_old[filename], named_new[filename])
            if answer is False:
                return Change.HASHES, gone, fresh
        bare_old, bare_new = _hashes(before.artifacts), _hashes(after.artifacts)
        if (
            _algorithms(bare_old) != _algorithms(bare_new)
            and bare_old
            and bare_new
            and _algorithms(bare_old).isdisjoint(_algorithms(bare_new))
        ):
            self.remark(before.name, "not-stated", "the two give its hashes by different algorithms")
            return None, (), ()
        if bare_old and bare_new and bare_old.isdisjoint(bare_new) and (named_old.keys() == {""} or named_new.keys() == {""}):
            return Change.HASHES, gone, fresh
        if bare_old == bare_new and (named_old.keys() == {""} or named_new.keys() == {""}):
            return None, (), ()  # one side gives no names
        if bare_old == bare_new:
            return Change.ARTIFACTS, gone, fresh
        if named_old.keys() == {""} or named_new.keys() == {""}:
            gone = tuple(item for item in gone if item.digest not in bare_new)
            fresh = tuple(item for item in fresh if item.digest not in bare_old)
        return Change.ARTIFACTS, gone, fresh

    def _artifact_of_lock(
        self, before: Package, after: Package
    ) -> tuple[Change | None, tuple[LockedFile, ...], tuple[LockedFile, ...]]:
        """What a seal or direct_url.json names, against what a lock allows, or against each other."""
        old, new = _hashes(before.artifacts), _hashes(after.artifacts)
        common = _algorithms(old) & _algorithms(new)
        if not common:
            if self.sides.with_lock:
                self.remark(before.name, "not-stated", "only the lock knows hashes of artifacts, and only the other side its files")
            return None, (), ()
        if not old.isdisjoint(new):
            return None, (), ()
        if not self.sides.with_lock and before.content is not None and before.content == after.content:
            return None, (), ()  # another archive of the same content
        names = [{item.filename for item in side.artifacts} for side in (before, after)]
        if "" not in names[0] | names[1] and names[0].isdisjoint(names[1]):  # another build of the version, as conda's are named
            return Change.ARTIFACTS, tuple(sorted(before.artifacts)), tuple(sorted(after.artifacts))
        return Change.HASHES, tuple(sorted(before.artifacts)), tuple(sorted(after.artifacts))

    def _is_other_content(self, before: Package, after: Package) -> bool:
        if InventoryKind.LOCK in self.sides or before.kept or after.kept:
            return False
        if before.files is not None or after.files is not None:
            return before.files != after.files
        if "editable" in {before.origin, after.origin}:
            self.remark(before.name, "editable-source", "its source is governed by git")
            return False
        if before.content is None or after.content is None:
            reason = "a part of its content could not be read"
            self.remark(before.name, "unreadable", reason, in_scope=True)
            return False
        return before.content != after.content

    # -- parts

    def parts(self) -> Iterator[PartChange]:
        """The rows of parts that differ, in the order of the parts."""
        older = {part.name: part.rows for part in self.before.parts}
        newer = {part.name: part.rows for part in self.after.parts}
        unknown = {**dict(self.before.unknown), **dict(self.after.unknown)}
        for name in (*PART_NAMES, *sorted(unknown.keys() - set(PART_NAMES))):
            if name in unknown:
                reasons = [dict(side.unknown)[name] for side in (self.before, self.after) if name in dict(side.unknown)]
                reason = "; ".join(sorted(set(reasons)))
                # A lock states no such part, so with one beside it nothing is lost.
                in_scope = name in _IN_SCOPE and InventoryKind.LOCK not in self.sides
                self.remark(name, "platform-unknown", reason, in_scope=in_scope)
            elif name in _OF_FORMAT and self.before.format != self.after.format:
                continue
            elif name == "requires" and not self._alike and bool(older.get(name)) is not bool(newer.get(name)):
                if self.sides.locks:
                    self.remark("requires-python", "not-stated", "only one of the two states it")
            elif name in older and name in newer:
                yield from self._part(name, older[name], newer[name])
            elif (name in older or name in newer) and name not in _OWN_PARTS and InventoryKind.LOCK not in self.sides:
                self.remark(name, "platform-unknown", "nobody looked", in_scope=name in _IN_SCOPE)
        yield from self._lock_of_seal()
        if self.sides.with_lock:
            self.remark("files, interpreter and platform", "not-stated", "a lock states none of them")

    def _lock_of_seal(self) -> Iterator[PartChange]:
        """The lock that a seal was made under, where the other side is the lock of that name and has other bytes."""
        if not self.sides.with_lock or InventoryKind.SEAL not in self.sides:
            return
        lock, seal = (self.before, self.after) if self.sides.before is InventoryKind.LOCK else (self.after, self.before)
        for path, digest in next((part.rows for part in seal.parts if part.name == "lock"), ()):
            if path.rpartition("/")[2] == lock.path.replace(":", "/").rpartition("/")[2] and digest != lock.digest:
                old, new = (lock.digest, digest) if lock is self.before else (digest, lock.digest)
                yield PartChange("lock", path, old, new)

    def _part(self, name: str, before: tuple[Row, ...], after: tuple[Row, ...]) -> Iterator[PartChange]:
        behind = {**dict(self.before.behind), **dict(self.after.behind)}
        for change in _row_changes(before, after):
            old, new = behind.get(change.before), behind.get(change.after)
            if old is not None and new is not None:
                yield from (PartChange(name, *each) for each in _row_changes(old, new))
            else:
                yield PartChange(name, *change)


def _moved(before: Package, after: Package) -> bool:
    """Whether a file that both name is fetched from elsewhere, as far as both say from where."""
    old = dict(before.locations)
    return any(old.get(filename, location) != location for filename, location in after.locations)


def _version(package: Package) -> Hashable:
    return version_key(package.version) or package.version or package.specifier


def _by_filename(artifacts: Iterable[LockedFile]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for item in artifacts:
        found.setdefault(item.filename, set()).add(item.digest)
    return found


def _hashes(artifacts: Iterable[LockedFile]) -> set[str]:
    return {item.digest for item in artifacts if item.digest}


def _algorithms(digests: Iterable[str]) -> set[str]:
    return {digest.partition(":")[0] for digest in digests}


def _is_same_file(before: set[str], after: set[str]) -> bool | None:
    """Whether the digests of one file name agree by each algorithm that both have; None where they have none in common."""
    common = _algorithms(before) & _algorithms(after) - {""}
    if not common:
        return None
    of = [
        {algorithm: {each for each in side if each.startswith(f"{algorithm}:")} for algorithm in common} for side in (before, after)
    ]
    return all(not of[0][algorithm].isdisjoint(of[1][algorithm]) for algorithm in common)


def _row_changes(before: Iterable[Row], after: Iterable[Row]) -> Iterator[FileChange]:
    """The rows that only one side has, by key; several of one key are matched in the order of their values."""
    old, new = set(before), set(after)
    gone: dict[str, list[str]] = {}
    fresh: dict[str, list[str]] = {}
    for rows, found in ((old - new, gone), (new - old, fresh)):
        for key, value in sorted(rows):
            found.setdefault(key, []).append(value)
    for key in sorted(gone.keys() | fresh.keys()):
        left, right = gone.get(key, []), fresh.get(key, [])
        for index in range(max(len(left), len(right))):
            yield FileChange(key, left[index] if index < len(left) else "", right[index] if index < len(right) else "")
