"""The seed of Python's own hashing, which decides the order of sets: what it is in this process, found out rather than believed.

The interpreter reads ``PYTHONHASHSEED`` once, when it starts, so a variable that is there now says little. What says more is a
hash: the key that a seed leads to (CPython, Python/bootstrap_hash.c) gives one hash for a text (SipHash, J.-P. Aumasson and
D. J. Bernstein, 2012, in the variant that ``sys.hash_info`` names), and it is compared with the one that this process gives.
"""

from __future__ import annotations

import os
import sys

__all__ = ["VARIABLE", "numeric", "seed_in_use"]

VARIABLE = "PYTHONHASHSEED"

_PROBE = b"sanctity: which seed gives this hash?"
_MASK = (1 << 64) - 1
#: Rounds for each word and at the end, by the name that `sys.hash_info` has for the function.
_ROUNDS = {"siphash13": (1, 3), "siphash24": (2, 4)}


def numeric(value: str | None) -> int | None:
    """The seed that *value* of the variable stands for, in 0 .. 2**32 - 1; None for ``random``, nothing and nonsense."""
    if value and value.isascii() and value.isdecimal() and len(value) <= 10 and int(value) < 1 << 32:
        return int(value)
    return None


def seed_in_use(*likely: int) -> int | bool | None:
    """The seed by which this process hashes, None where it is a random one, False where that can not be found out.

    It is looked for among *likely*, the variable as it is now and as it was at the start, and 0.
    """
    info = sys.hash_info
    if info.algorithm not in _ROUNDS or info.width != 64 or info.hash_bits != 64:
        return False
    found = hash(_PROBE)
    for seed in (*likely, numeric(os.environ.get(VARIABLE)), 0):
        if seed is not None and _hash(seed) == found:
            return seed
    start = numeric(_at_start())
    return start if start is not None and _hash(start) == found else None


def _hash(seed: int) -> int:
    """What ``hash(_PROBE)`` is under *seed*."""
    key = bytearray(16)
    if seed:
        state = seed
        for i in range(16):
            state = (state * 214013 + 2531011) & 0xFFFFFFFF
            key[i] = state >> 16 & 0xFF
    number = _siphash(
        int.from_bytes(key[:8], "little"), int.from_bytes(key[8:], "little"), _PROBE, *_ROUNDS[sys.hash_info.algorithm]
    )
    number -= number >> 63 << 64
    return -2 if number == -1 else number


def _siphash(k0: int, k1: int, data: bytes, each: int, last: int) -> int:
    v0, v1, v2, v3 = k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D, k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573

    def mix(rounds: int) -> None:
        nonlocal v0, v1, v2, v3
        for _ in range(rounds):
            v0 = v0 + v1 & _MASK
            v1 = (v1 << 13 | v1 >> 51) & _MASK ^ v0
            v0 = (v0 << 32 | v0 >> 32) & _MASK
            v2 = v2 + v3 & _MASK
            v3 = (v3 << 16 | v3 >> 48) & _MASK ^ v2
            v0 = v0 + v3 & _MASK
            v3 = (v3 << 21 | v3 >> 43) & _MASK ^ v0
            v2 = v2 + v1 & _MASK
            v1 = (v1 << 17 | v1 >> 47) & _MASK ^ v2
            v2 = (v2 << 32 | v2 >> 32) & _MASK

    padded = data + bytes(7 - len(data) % 8) + bytes([len(data) & 0xFF])
    for at in range(0, len(padded), 8):
        word = int.from_bytes(padded[at : at + 8], "little")
        v3 ^= word
        mix(each)
        v0 ^= word
    v2 ^= 0xFF
    mix(last)
    return v0 ^ v1 ^ v2 ^ v3


def _at_start() -> str | None:
    """The variable as this process was started with it, where the system tells."""
    try:
        with open("/proc/self/environ", "rb") as file:
            variables = file.read().split(b"\0")
    except OSError:
        return None
    start = VARIABLE.encode() + b"="
    return next((os.fsdecode(each[len(start) :]) for each in variables if each.startswith(start)), None)
