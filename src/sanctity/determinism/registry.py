"""Generators that a program holds itself, by name, so that the call, its children and the state file reach them.

A global seed does not reach an object that draws for itself: a NumPy Generator or RandomState, a ``random.Random``, a torch
Generator. `register` gives one a name and, where the call was made, its seed at once: the path ``("numpy", "generator", NAME)`` for
NumPy's, ``("random", "generator", NAME)`` and ``("torch", "generator", NAME)`` for the others. A name is held once.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # importing `typing` for it would take longer than all else that is done here
if TYPE_CHECKING:
    from typing import Any, TypeVar

    from sanctity.determinism.setting import Setting

    T = TypeVar("T")

__all__ = ["kind", "register", "registered", "reseed", "reseed_all", "seeded_anew", "unregister"]

_held: dict[str, Any] = {}


def register(generator: T, name: str) -> T:
    """Hold *generator* by *name*, seed it where the call was made, and return it.

    Raises:
        sanctity.errors.UsageError: ``determinism-argument``: it is nothing that draws; the name is empty, or is another one's.
    """
    if kind(generator) is None:
        raise _usage(f"{type(generator).__name__} is no generator of numpy, random or torch")
    if type(name) is not str or not name:
        raise _usage(f"{name!r} is no name")
    if _held.get(name, generator) is not generator:
        raise _usage(f"another generator is registered as {name!r}")
    _held[name] = generator
    from sanctity.determinism import setting as room

    setting = room.current()
    if setting is not None:
        reseed(setting, generator, name)
        room.refresh(setting)
    return generator


def unregister(name: str) -> None:
    """Hold the generator *name* no longer."""
    if _held.pop(name, None) is not None:
        from sanctity.determinism import setting as room

        setting = room.current()
        if setting is not None:
            room.refresh(setting)


def registered() -> dict[str, Any]:
    """What is held, by name."""
    return dict(_held)


def kind(generator: object) -> str | None:
    """``numpy``, ``random`` or ``torch``; None for what is no generator. No library is imported to find out."""
    numpy, random, torch = (sys.modules.get(name) for name in ("numpy.random", "random", "torch"))
    if random is not None and isinstance(generator, random.Random):
        return None if isinstance(generator, random.SystemRandom) else "random"
    if numpy is not None and isinstance(generator, (numpy.Generator, numpy.RandomState, numpy.BitGenerator)):
        return "numpy"
    if torch is not None and isinstance(generator, torch.Generator):
        return "torch"
    return None


def reseed_all(setting: Setting) -> list[str]:
    """Give every registered generator the seed of its name in this process; returns those that took none, with the reason."""
    failed = []
    for name, generator in _held.items():
        try:
            reseed(setting, generator, name)
        except Exception as error:  # noqa: BLE001 - it is somebody else's class, and the row says it
            failed.append(f"{name}: {type(error).__name__}: {error}")
    return failed


def reseed(setting: Setting, generator: Any, name: str) -> None:
    """Give *generator* the seed of *name* in this process, in place."""
    of = kind(generator)
    if of == "numpy":
        from sanctity.determinism import controls_numpy

        controls_numpy.reseed_object(generator, setting.seed("numpy", "generator", name))
    elif of == "torch":
        from sanctity.determinism import controls_torch

        controls_torch.reseed_object(sys.modules["torch"], generator, setting.seed("torch", "generator", name, bits=256))
    elif of == "random":
        generator.seed(setting.seed("random", "generator", name, bits=256))


def seeded_anew(setting: Setting) -> list[str]:
    """The names of those that say that they came of another seed than that of their name; most say nothing."""
    found = []
    for name, generator in _held.items():
        if kind(generator) == "numpy":
            from sanctity.determinism import controls_numpy

            if controls_numpy.seeded_anew(setting, generator, name):
                found.append(name)
        elif kind(generator) == "torch" and generator.device.type == "cpu":
            seed = setting.seed("torch", "generator", name, bits=256)
            if generator.initial_seed() not in {seed & 0xFFFFFFFFFFFFFFFF, seed & 0xFFFFFFFF}:
                found.append(name)
    return found


def _usage(message: str) -> Exception:
    from sanctity.errors import UsageError

    return UsageError("determinism-argument", message, hint="see docs/determinism.md")
