"""The state of everything that draws: taken, kept as a file, and put back whole or not at all.

Equal seeds make two runs begin alike. A run that is stopped and taken up again has to begin where it stopped, and for that the
state of every stream is what counts: of `random`, of NumPy's shared stream with its cache of a normal draw, of the registered
generators with the children that they spawned, of PyTorch on each device, of TensorFlow and Keras, and of what a program names
itself.

What was captured is put back, or nothing is: every value is checked before the first is put, each is read back after, and where one
does not hold all are as they were before, and an error lists what was in the way. A state that was captured under another seed or
rank is refused for the same reason: named streams would be other ones. Files are the document ``sanctity.rng-state/1``, without
pickle, with a digest; its schema is ``report/schema/rng-state-1.json``, and docs/random-state.md says what no state reaches.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from sanctity.determinism.document import SCHEMA, Unwritable, canonical, decoded, digest_of, encoded, parsed
from sanctity.determinism.receipt import plain
from sanctity.determinism.sources import Source, Unfit, sources
from sanctity.determinism.writing import place_file
from sanctity.errors import SanctityError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import TracebackType

__all__ = ["Restored", "State", "StateError", "capture_state", "preserved", "restore_state"]

#: Why a source that was captured is not here, by the first word of its name.
_ABSENT = {
    "children": "the process that it was captured in made the call, and this one did not: call set_global_determinism first",
    "generator": "no generator is registered by this name",
    "object": "no object was given by this name",
    "numpy": "numpy.random is not imported here",
    "torch-cpu": "torch is not imported here",
    "torch-cuda": "CUDA has not started here, or has no such device",
    "torch-xpu": "XPU has not started here, or has no such device",
    "torch-mps": "MPS is not available here",
    "tensorflow": "TensorFlow is not imported here, or has not made its generator yet",
    "keras": "Keras is not imported here, or has not made its generator yet",
}


class StateError(SanctityError):
    """A state can not be captured or restored; *failures* has each source that stood in the way, with the reason."""

    def __init__(self, code: str, message: str, *, hint: str = "", failures: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__(code, message, hint=hint)
        self.failures = tuple(failures)


class Restored(NamedTuple):
    """What `restore_state` did: the sources that are as they were captured, and those that are here and were not captured."""

    restored: tuple[str, ...]
    untouched: tuple[str, ...]


class State:
    """The state of everything that draws, at one moment, as a value: it compares by its bytes and can be written and read."""

    __slots__ = ("_document",)

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document

    @property
    def digest(self) -> str:
        """``sha256:`` and the digest of the document."""
        found: str = self._document["digest"]
        return found

    @property
    def sources(self) -> tuple[str, ...]:
        """What was captured, by name."""
        return tuple(_named(entry["source"], entry["name"]) for entry in self._document["entries"])

    @property
    def seed(self) -> dict[str, Any] | None:
        """The call that was in force: ``root`` (an int), ``scheme``, ``rank`` and ``child``; None where there was none."""
        seed = self._document["seed"]
        return None if seed is None else {**seed, "root": int(seed["root"]), "child": tuple(seed["child"])}

    @property
    def recorded(self) -> dict[str, str]:
        """The versions of Python and of the libraries that it was captured under."""
        return dict(self._document["recorded"])

    def entries(self) -> list[tuple[tuple[str, str], Any]]:
        """Each source and its value, still encoded."""
        return [((entry["source"], entry["name"]), entry["value"]) for entry in self._document["entries"]]

    def to_bytes(self) -> bytes:
        """The document ``sanctity.rng-state/1``, one line of ASCII: to stand in a checkpoint of your own, for example."""
        return canonical(self._document) + b"\n"

    @classmethod
    def from_bytes(cls, data: bytes, *, where: str = "") -> State:
        """The state that `to_bytes` gave *data* for. Nothing in this process changes.

        Raises:
            sanctity.errors.DocumentError: ``state-invalid`` or ``state-altered``.
        """
        return cls(parsed(bytes(data), where))

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the document to *path*: under a temporary name beside it, that is then renamed.

        Raises:
            sanctity.errors.SanctityError: ``state-unwritable``.
        """
        target = os.path.abspath(os.fsdecode(path))
        try:
            place_file(target, self.to_bytes(), sync=True)
        except (OSError, ValueError) as error:  # a name with a null character is no name
            raise SanctityError(
                "state-unwritable",
                f"the state can not be written: {getattr(error, 'strerror', None) or error}",
                where=plain(target),
                hint="name a file in a folder that can be written to",
            ) from error

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> State:
        """The state that `write` wrote. Nothing in this process changes.

        Raises:
            sanctity.errors.DocumentError: ``state-unreadable``, ``state-invalid`` or ``state-altered``.
        """
        from stat import S_ISREG

        from sanctity.determinism.document import LARGEST
        from sanctity.errors import DocumentError

        named = plain(os.fsdecode(path))
        try:
            if not S_ISREG(os.stat(path).st_mode):
                raise DocumentError("state-unreadable", "it is no file", where=named, hint="name the file that State.write wrote")
            with open(path, "rb") as file:
                data = file.read(LARGEST + 1)
        except (OSError, ValueError) as error:  # a name with a null character is no name
            raise DocumentError(
                "state-unreadable",
                f"it can not be read: {getattr(error, 'strerror', None) or error}",
                where=named,
                hint="name the file that State.write wrote",
            ) from error
        return cls.from_bytes(data, where=named)

    def __eq__(self, other: object) -> bool:
        return self._document == other._document if isinstance(other, State) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"State({', '.join(self.sources)}; {self.digest[:19]})"

    def __reduce__(self) -> tuple[Any, ...]:
        return State.from_bytes, (self.to_bytes(),)


def capture_state(objects: Mapping[str, object] | None = None) -> State:
    """The state of everything that draws in this process, and of *objects*, each by a name of its own.

    An object is a generator of NumPy, `random` or PyTorch, or has ``state_dict`` and ``load_state_dict`` (a sampler, for example).
    Nothing is drawn, and nothing changes. Models and optimisers are the trainer's own: keep them as you do.

    Raises:
        StateError: ``state-not-captured``: something that draws has a state that can not be written, or an object has none.
    """
    objects = _objects(objects)
    failures: list[tuple[str, str]] = []
    entries = []
    for source in sources(objects):
        try:
            value = encoded(source.take())
        except Unwritable as error:
            failures.append((_named(*source.key), str(error)))
        except Exception as error:  # noqa: BLE001 - it is somebody else's object, and the message names it
            failures.append((_named(*source.key), f"{type(error).__name__}: {error}"))
        else:
            entries.append({"source": source.source, "name": source.name, "value": value})
    if failures:
        raise _not_captured(failures)
    from sanctity import __version__

    document = {
        "schema": SCHEMA,
        "tool": {"name": "sanctity", "version": __version__},
        "seed": _seed(),
        "recorded": _recorded(),
        "entries": entries,
    }
    return State({**document, "digest": digest_of(document)})


def restore_state(state: State | str | os.PathLike[str], objects: Mapping[str, object] | None = None) -> Restored:
    """Put *state*, or the one in the file of that name, back: whole, or not at all.

    *objects* are those that were captured, by their names. Libraries that were captured have to be imported, generators registered,
    and the call made, as they were. Sources that are here and were not captured are left as they are, and are named in what comes
    back; objects and registered generators of that kind are refused, since somebody counts on them.

    Raises:
        sanctity.errors.DocumentError: as `State.read`.
        StateError: ``state-not-restored``: something that was captured can not be put back. Nothing has changed then.
    """
    found = state if isinstance(state, State) else State.read(state)
    here = {source.key: source for source in sources(_objects(objects))}
    failures = _of_another_seed(found)
    todo: list[tuple[Source, Any, Any]] = []
    captured = set()
    for key, value in found.entries():
        captured.add(key)
        source = here.get(key)
        try:
            if source is None:
                raise Unfit(_ABSENT.get(key[0], "there is no such source in this version"))  # noqa: TRY301 - one list of reasons
            whole = decoded(value)
            source.check(whole)
        except Exception as error:  # noqa: BLE001 - whatever it is, it stands in the way, and is listed
            failures.append((_named(*key), _reason(error)))
        else:
            todo.append((source, whole, value))
    for key in here.keys() - captured:
        if key[0] in {"generator", "object"}:
            failures.append((_named(*key), "it is here, and was not captured"))
    if failures:
        raise _not_restored(sorted(failures), len(here.keys() | captured))
    _put(todo)
    return Restored(
        tuple(_named(*source.key) for source, _, _ in todo),
        tuple(_named(*key) for key in sorted(here.keys() - captured)),
    )


class preserved:  # noqa: N801 - it is used as a function is
    """A block that leaves no trace: what draws is as it was before, however the block ends.

        with sanctity.preserved():
            validate(model)

    *objects* as in `capture_state`. What is captured is put back where it was taken from, also where it was unregistered in the
    block. What arrives in the block, a library or a generator, is left. It can be entered again.

    Raises:
        StateError: ``state-not-captured`` at the beginning, ``state-not-restored`` at the end.
    """

    __slots__ = ("_objects", "_taken")

    def __init__(self, objects: Mapping[str, object] | None = None) -> None:
        self._objects = _objects(objects)
        self._taken: list[list[tuple[Source, Any]]] = []

    def __enter__(self) -> None:
        taken, failures = [], []
        for source in sources(self._objects):
            try:
                taken.append((source, _held(source)))
            except Exception as error:  # noqa: BLE001 - see capture_state
                failures.append((_named(*source.key), _reason(error)))
        if failures:
            raise _not_captured(failures)
        self._taken.append(taken)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        _put([(source, decoded(value), value) for source, value in self._taken.pop()])


# -- putting ----------------------------------------------------------------------------------------------------------------------


def _held(source: Source) -> Any:
    """What *source* is now, as a document has it: a value of its own, that nothing changes."""
    return encoded(source.take())


def _put(todo: list[tuple[Source, Any, Any]]) -> None:
    """Put each value and read it back; where one fails, all are as they were."""
    before: list[tuple[Source, Any]] = []
    try:
        for source, whole, value in todo:
            before.append((source, _held(source)))
            source.put(whole)
            if _held(source) != value:
                raise Unfit("it reads back otherwise than it was captured")  # noqa: TRY301 - it is undone with the others
    except BaseException as error:
        changed = _undone(before)
        if not isinstance(error, Exception):
            raise  # the program is being ended, and all is as it was
        at = _named(*(before[-1][0] if before else todo[0][0]).key)
        raise _not_restored([(at, _reason(error)), *changed], len(todo), changed=bool(changed)) from error


def _undone(before: list[tuple[Source, Any]]) -> list[tuple[str, str]]:
    """Put back what was there *before*; returns what can not be, with the reason."""
    failures = []
    for source, value in reversed(before):
        try:
            source.put(decoded(value))
        except Exception as error:  # noqa: BLE001 - the others are put back still, and this one is told
            failures.append((_named(*source.key), f"nor is it as it was before: {_reason(error)}"))
    return failures


def _objects(objects: Mapping[str, object] | None) -> dict[str, object]:
    found = dict(objects or {})
    if not all(map(_is_name, found)):
        from sanctity.errors import UsageError

        raise UsageError("determinism-argument", "objects have texts for names", hint="see docs/random-state.md")
    return found


def _is_name(name: object) -> bool:
    return isinstance(name, str) and name != ""


def _of_another_seed(state: State) -> list[tuple[str, str]]:
    now, then = _seed(), state.seed
    if then is None or now is None:
        return []  # that the call was made there and not here is told by the source `children`
    then = {**then, "root": str(then["root"]), "child": list(then["child"])}
    return [
        (name, f"it was captured under {then[each]}, and this process has {now[each]}")
        for name, each in (("seed", "root"), ("scheme", "scheme"), ("rank", "rank"), ("child", "child"))
        if then[each] != now[each]
    ]


def _seed() -> dict[str, Any] | None:
    module = sys.modules.get("sanctity.determinism.setting")
    setting = module.current() if module is not None else None
    if setting is None:
        return None
    return {"root": str(setting.root), "scheme": setting.scheme, "rank": setting.rank, "child": list(setting.child)}


def _recorded() -> dict[str, str]:
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in ("numpy", "torch", "tensorflow", "keras", "jax"):
        version = getattr(sys.modules.get(name), "__version__", None)
        if isinstance(version, str):
            found[name] = plain(str(version))
    return found


def _named(source: str, name: str) -> str:
    return plain(f"{source} {name!r}" if source in {"generator", "object"} else f"{source} {name}".rstrip())


def _reason(error: Exception) -> str:
    words = str(error)
    return plain(words if isinstance(error, (Unfit, Unwritable, ValueError)) and words else f"{type(error).__name__}: {words}")


def _not_captured(failures: list[tuple[str, str]]) -> StateError:
    words = "; ".join(f"{name}: {reason}" for name, reason in failures)
    return StateError(
        "state-not-captured",
        f"{len(failures)} of what draws has no state that can be kept: {words}",
        hint="unregister it or leave it out, and keep its state yourself",
        failures=failures,
    )


def _not_restored(failures: list[tuple[str, str]], count: int, *, changed: bool = False) -> StateError:
    words = "; ".join(f"{name}: {reason}" for name, reason in failures)
    rest = "not all is as it was before" if changed else "nothing has changed"
    return StateError(
        "state-not-restored",
        f"{len(failures)} of {count} can not be put back, and {rest}: {words}",
        hint="import, register and call as the program had when it captured the state; docs/random-state.md has the list",
        failures=failures,
    )
