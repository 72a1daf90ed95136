"""What an earlier look came to, told again as long as nothing moved: fast, and no proof.

The store compares what the file system says of each file (`store.statcache`); what a result rests on beside files is the key: how
it was asked for, this program, the day, and the machine. What is told again is the same `Outcome`, with every file counted.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, fields, replace
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

import sanctity
from sanctity.model.digest import Digest
from sanctity.model.drift import (
    Checked,
    Code,
    Comparison,
    Depth,
    Drift,
    Reference,
    ReferenceKind,
    Selection,
    Severity,
    Unchecked,
)
from sanctity.model.environment import Fingerprint, LookedAtFrom
from sanctity.model.lock import LockFormat
from sanctity.plan.repair import RepairPlan, Step, Tool
from sanctity.store.statcache import StatCache, cache_folder
from sanctity.verbs.world import Outcome, locate, meant

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sanctity.model.environment import KnownFile
    from sanctity.observe.places import Place
    from sanctity.verbs.judging import Look
    from sanctity.verbs.world import Target, World

__all__ = ["Memory", "remember"]

#: Everything that an outcome is made of, by name.
_CLASSES: Final[dict[str, Any]] = {
    kind.__name__: kind
    for kind in (
        Checked,
        Code,
        Comparison,
        Depth,
        Digest,
        Drift,
        Fingerprint,
        LockFormat,
        LookedAtFrom,
        Outcome,
        Reference,
        ReferenceKind,
        RepairPlan,
        Selection,
        Severity,
        Step,
        Tool,
        Unchecked,
    )
}
#: What says of this machine which numeric kernels are picked; none of it is a file that has times.
_MACHINE: Final = ("/proc/cpuinfo", "/proc/driver/nvidia/version", "/sys/module/amdgpu/version")
#: Lines of /proc/cpuinfo that change while nothing does.
_RESTLESS: Final = (b"cpu MHz", b"bogomips", b"BogoMIPS", b"clock", b"timebase")


def _plain(value: object) -> object:
    """*value* as JSON: a value class is its name and its fields, a tuple a list."""
    if isinstance(value, Enum):
        return {"": type(value).__name__, "=": value.value}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if type(value).__name__ in _CLASSES:
        return {"": type(value).__name__} | {field.name: _plain(getattr(value, field.name)) for field in fields(value)}  # type: ignore[arg-type]
    return value


def _whole(value: object) -> Any:
    """What `_plain` made *value* of. Raises KeyError, TypeError or ValueError where it made it of nothing that is known."""
    if isinstance(value, list):
        return tuple(_whole(item) for item in value)
    if isinstance(value, dict):
        kind = _CLASSES[value[""]]
        if "=" in value:
            return kind(value["="])
        return kind(**{name: _whole(item) for name, item in value.items() if name})
    return value


def _machine() -> Iterator[str]:
    for path in _MACHINE:
        try:
            with open(path, "rb") as file:
                data = file.read(1 << 24)
        except OSError:
            continue
        lines = {line for line in data.splitlines() if not line.startswith((*_RESTLESS, b"processor", b"core id", b"apicid"))}
        yield from sorted(line.decode("utf-8", "backslashreplace") for line in lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What is remembered of one environment, for one way of asking; *started_ns* is when this look began."""

    cache: StatCache
    key: bytes
    started_ns: int
    folders: tuple[str, ...]
    named: str

    def recall(self, world: World, *, workers: int) -> Outcome | None:
        """The outcome of the last whole look that was asked for in this way, if nothing it rests on moved since."""
        data = self.cache.unchanged(self.key, now_ns=world.now_ns(), workers=workers or 2)
        if data is None:
            return None
        try:
            outcome = _whole(json.loads(data))
        except (ValueError, KeyError, TypeError):
            return None
        if not isinstance(outcome, Outcome):
            return None
        comparison = outcome.comparison
        return replace(
            outcome, comparison=replace(comparison, checked=replace(comparison.checked, cached=comparison.checked.files))
        )

    def known(self, world: World) -> Mapping[str, KnownFile]:
        """The files that need not be read again while they are the same."""
        return self.cache.known(now_ns=world.now_ns())

    def keep(self, taken: Look, outcome: Outcome, world: World) -> None:
        """Remember *outcome* and all that it rests on. Nothing is said where it can not be kept."""
        from sanctity.observe.stdlib import find_stdlib
        from sanctity.observe.view import View

        environment = taken.environment
        trees: list[str] = []
        if environment.platform is not None:
            library = find_stdlib(View(), environment.interpreter)
            trees = [library] if library else []
        self.cache.record(
            environment,
            key=self.key,
            result=json.dumps(_plain(outcome), separators=(",", ":")).encode(),
            started_ns=self.started_ns,
            now_ns=world.now_ns(),
            extra=sorted(self._rests_on(taken)),
            trees=trees,
            asked=environment.asked,
            skip=[f"{tree}/{name}" for tree in trees for name in ("site-packages", "dist-packages")],
        )

    def _rests_on(self, taken: Look) -> Iterator[str]:
        """The absolute paths of the documents that were read, and of those that were looked for and must not come."""
        from sanctity.observe.places import LOCK_NAMES, REQUIREMENTS
        from sanctity.observe.policies import WAIVERS
        from sanctity.observe.seals import SEAL_NAME
        from sanctity.seals.files import files_name

        references = taken.references
        for folder in {*self.folders, taken.project}:
            for name in (*LOCK_NAMES, *REQUIREMENTS, SEAL_NAME, files_name(SEAL_NAME), "pyproject.toml", WAIVERS):
                yield f"{folder}/{name}"
            if os.path.isdir(f"{folder}/{WAIVERS}"):
                yield from (f"{folder}/{WAIVERS}/{name}" for name in sorted(os.listdir(f"{folder}/{WAIVERS}")))
            if references.lock is None or references.lock.format is LockFormat.PYLOCK:
                yield folder  # any pylock.NAME.toml that comes is looked at
        if self.named:
            yield from (self.named, files_name(self.named))
        for lock in (references.lock, *(lock for _, lock in references.locks)):
            if lock is not None:
                folder = os.path.dirname(os.path.abspath(lock.path))
                yield from (os.path.normpath(os.path.join(folder, name)) for name in (os.path.basename(lock.path), *lock.files))
        if references.seal is not None:
            folder = os.path.dirname(os.path.abspath(references.seal.path))
            for sealed in references.seal.environments:
                if sealed.lock is not None:
                    yield os.path.normpath(os.path.join(folder, sealed.lock.path))


def remember(target: Target, world: World, reference: str, asked: Mapping[str, object]) -> Memory | None:
    """What is remembered of the environment that *target* means, for *reference* and all else that is *asked*.

    None where nothing can be: an image is not this machine's, and who has no home has no cache.
    """
    from sanctity.observe.settings import observe_settings

    folder = cache_folder(world.environ)
    if target.root or not folder:
        return None
    started_ns = world.now_ns()
    target, reference = meant(target, reference, world)
    project, place = locate(target, world)
    named = "" if not reference or reference.startswith("sha256:") else os.path.join(world.cwd, os.path.expanduser(reference))
    key: dict[str, object] = {
        "version": sanctity.__version__,
        "day": world.today().isoformat(),
        "cwd": world.cwd,
        "place": _place(place),
        "project": project,
        "target": [target.project, target.env, target.python],
        "reference": reference,
        "user base": world.user_base,
        "machine": list(_machine()),
        "settings": [list(pair) for pair in observe_settings(world.environ)[0]],
        "asked": dict(asked),
    }
    return Memory(
        cache=StatCache.open(folder, os.path.realpath(place.prefix)),
        key=json.dumps(key, sort_keys=True).encode("utf-8", "backslashreplace"),
        started_ns=started_ns,
        folders=(project, *((os.path.dirname(place.prefix),) if target.env else ())),
        named=named,
    )


def _place(place: Place) -> list[str]:
    return [place.prefix, place.shown, place.found, place.notice]
