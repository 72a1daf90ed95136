"""Named streams: a generator for each thing that draws, from the root of the call, by name.

A name is a root of its own. Its seed is that of the path ``[("rank", r)] [("worker", w)] [("epoch", e)] ("stream", *names)`` under
the root of the call, in 128 bits, and a generator is made from the seed of ``("kind", KIND)`` under that one. So two names, two
workers, two epochs and two kinds share nothing, and no name can be spelled so that it is another one's: the prefix is closed, and
``("a", 1)`` is not ``("a1",)``. A stream depends on its name and on nothing that was drawn before. docs/streams.md says when to use
which; the golden vectors are in ``tests/determinism/golden/streams.json``.

A stream of a library is made with that library, which is then imported, as the caller would have done to make one.
"""

from __future__ import annotations

import sys

from sanctity.determinism.scheme import check_root, derive

TYPE_CHECKING = False  # importing `typing` for it would take longer than all else that is done here
if TYPE_CHECKING:
    import random
    from typing import Any, Literal, overload

__all__ = ["KINDS", "prefix", "root_of_call", "stream"]

#: What a stream can be. ``seed`` is the number itself: for a ``random_state``, or as the root of more streams.
KINDS = ("numpy", "random", "torch", "jax", "seed")

if TYPE_CHECKING:

    @overload
    def stream(
        *names: str | int,
        kind: Literal["numpy", "torch", "jax"] = "numpy",
        epoch: int | None = None,
        worker: int | None = None,
        rank: int | None = None,
        root: int | None = None,
    ) -> Any: ...

    @overload
    def stream(
        *names: str | int,
        kind: Literal["random"],
        epoch: int | None = None,
        worker: int | None = None,
        rank: int | None = None,
        root: int | None = None,
    ) -> random.Random: ...

    @overload
    def stream(
        *names: str | int,
        kind: Literal["seed"],
        epoch: int | None = None,
        worker: int | None = None,
        rank: int | None = None,
        root: int | None = None,
    ) -> int: ...


def stream(
    *names: str | int,
    kind: Literal["numpy", "random", "torch", "jax", "seed"] = "numpy",
    epoch: int | None = None,
    worker: int | None = None,
    rank: int | None = None,
    root: int | None = None,
) -> Any:
    """A new generator at the beginning of the stream *names*, from the root of the last `set_global_determinism`.

    Asked for twice, it begins twice: keep what you are given. *names* are texts that are not empty and integers in 0 .. 2**63 - 1,
    at least one. *kind* is ``numpy`` (a ``numpy.random.Generator`` on PCG64), ``random`` (a ``random.Random``), ``torch`` (a
    ``torch.Generator`` on the CPU), ``jax`` (a key) or ``seed`` (an int of 128 bits). *root* takes the place of the
    call's seed; *rank* is that of the call where no root is given. It is the same stream in every process that asks.

    Raises:
        sanctity.errors.UsageError: ``stream-without-seed``, ``stream-argument``, ``seed-invalid``, ``seed-label-invalid``.
        sanctity.errors.SanctityError: ``stream-library-missing``: the library of *kind* can not be imported.
    """
    if not names:
        raise _refused("a stream has a name, and none was given")
    if kind not in KINDS:
        raise _refused(f"there is no stream of kind {kind!r}: {', '.join(KINDS)}")
    if root is None:
        root, called = root_of_call("a named stream")
        rank = called if rank is None else rank
    seed = derive(check_root(root), *prefix(rank, worker, epoch), "stream", *names)
    return seed if kind == "seed" else _made(kind, seed)


def prefix(rank: int | None, worker: int | None, epoch: int | None) -> tuple[str | int, ...]:
    """What the path of a stream begins with; the order is fixed.

    Raises:
        sanctity.errors.UsageError: ``stream-argument``: one of them is no integer in 0 .. 2**63 - 1.
    """
    labels: tuple[str | int, ...] = ()
    for name, value in (("rank", rank), ("worker", worker), ("epoch", epoch)):
        if value is None:
            continue
        if isinstance(value, (bool, str)) or not hasattr(value, "__index__") or not 0 <= value.__index__() < 1 << 63:
            raise _refused(f"{name} is {value!r}; it is an integer from 0 to 2**63 - 1")
        labels += (name, value.__index__())
    return labels


def root_of_call(what: str) -> tuple[int, int | None]:
    """The root and the rank of this process's last call, or of the one that it inherited; *what* is it that asks.

    Raises:
        sanctity.errors.UsageError: ``stream-without-seed``: there was no call.
    """
    setting = sys.modules.get("sanctity.determinism.setting")
    current = setting.current() if setting is not None else None
    if current is None:
        from sanctity.errors import UsageError

        raise UsageError(
            "stream-without-seed",
            f"{what} comes from the seed of the call, and set_global_determinism was not called in this process",
            hint="call sanctity.set_global_determinism(seed) first, or pass root=",
        )
    return current.root, current.rank


def _made(kind: str, seed: int) -> Any:
    """The generator of *kind* of the name whose seed is *seed*."""
    if kind == "random":
        from random import Random

        return Random(derive(seed, "kind", kind, bits=256))  # noqa: S311 - it is the generator that is asked for
    if kind == "numpy":
        numpy = _library("numpy.random")
        return numpy.Generator(numpy.PCG64(numpy.SeedSequence(derive(seed, "kind", kind))))
    if kind == "torch":
        from sanctity.determinism import controls_torch

        torch = _library("torch")
        generator = torch.Generator()
        controls_torch.reseed_object(torch, generator, derive(seed, "kind", kind, bits=256))
        return generator
    jax = _library("jax")
    halves = derive(seed, "kind", kind, bits=64)
    return jax.random.fold_in(jax.random.key(halves & 0xFFFFFFFF), halves >> 32)


def _library(name: str) -> Any:
    """The module *name*, which the caller asked for by the kind of a stream."""
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError as error:
        from sanctity.errors import SanctityError

        raise SanctityError(
            "stream-library-missing",
            f"the stream is one of {name.partition('.')[0]}, which can not be imported: {error}",
            hint='install it, or ask for kind="random", which needs nothing',
        ) from error


def _refused(message: str) -> Exception:
    from sanctity.errors import UsageError

    return UsageError("stream-argument", message, hint="see docs/streams.md")
