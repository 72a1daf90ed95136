"""CuPy, which no seed of ours reaches, and JAX, which has no stream to seed: it is handed a key."""

from __future__ import annotations

import sys

from sanctity.determinism.receipt import Row

TYPE_CHECKING = False  # importing `typing` for it would take longer than all else that is done here
if TYPE_CHECKING:
    from typing import Any

    from sanctity.determinism.setting import Setting

__all__ = ["apply", "jax_key", "read_back"]


def apply(setting: Setting, module: str) -> list[Row]:
    """The row of CuPy or of JAX."""
    if module == "cupy":
        words = "its streams are seeded by nothing here, and its operations are not known to repeat"
        return [Row("cupy", "cupy", "not-controllable", words, "cupy.random.seed, from a named stream")]
    words = "it has no shared stream; sanctity.jax_key() is the root key, from which every other one is to be split"
    jax_key(setting)  # that it can be made is part of what the row says
    return [Row("jax", "jax", "applied", words)]


def read_back(setting: Setting, module: str) -> list[Row]:  # noqa: ARG001 - as every module of controls has it
    """Nothing is left in either that could be overwritten."""
    return []


def jax_key(setting: Setting) -> Any:
    """The root key of this process: ``fold_in(key(low), high)`` of the two halves of a seed of 64 bits.

    Each half has 32 bits, which JAX takes whether or not it is set to 64-bit numbers.
    """
    random = sys.modules["jax"].random
    if setting.classic:
        return random.key(setting.root % (1 << 32))
    seed = setting.seed("jax", bits=64)
    return random.fold_in(random.key(seed & 0xFFFFFFFF), seed >> 32)
