r"""How every seed is made from one root: the frozen scheme ``sanctity-seed/1``.

A seed belongs to a *path* of labels, and is the root and that path hashed. Two paths give two seeds that have nothing to do with
each other, whatever the root: no library draws the words of another one, and rank 1 of run 42 is not rank 0 of run 43.

Block *i* is the SHA-256 of the ASCII bytes of the JSON list ``["sanctity-seed/1","<root>",[<labels>],<i>]``: the root in decimal,
no white space, all that is not printable ASCII as ``\uXXXX`` in lower case, what lies above U+FFFF as two of them. Blocks 0, 1, …
are joined, and the first ``bits / 8`` bytes are read as a big-endian number. That is the whole scheme, and it does not change:
another rule has another name. The golden vectors are in ``tests/determinism/golden``; docs/seed-scheme.md is the specification.

The module needs nothing but ``sha256``, and runs on any Python from 3.8 on.
"""

from __future__ import annotations

from _operator import index

TYPE_CHECKING = False  # importing `typing` for it would take longer than all else that is done here
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = [
    "HASH",
    "SAME_INTEGER",
    "SCHEME",
    "SCHEMES",
    "canonical",
    "check_root",
    "derive",
    "hash_seed",
    "mt19937",
    "mt19937_words",
]

#: The name of this rule, which is hashed with everything.
SCHEME = "sanctity-seed/1"
#: The classic rule, for old runs: every library is seeded with the root itself.
SAME_INTEGER = "same-integer"
SCHEMES = (SCHEME, SAME_INTEGER)
#: The path of PYTHONHASHSEED.
HASH = ("hash",)

_HINT = "see docs/seed-scheme.md"
#: What JSON writes with a letter; all else below U+0020 and above U+007E has its number.
_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\f": "\\f", "\b": "\\b"}


def derive(root: int, *labels: str | int, bits: int = 128) -> int:
    """The seed of the path *labels* under *root*, a number of *bits* bits.

    *root* is in 0 .. 2**128 - 1. A label is a text that is not empty, or an integer in 0 .. 2**63 - 1; ``1`` and ``"1"`` are two
    labels, and texts are compared code point by code point. *bits* is a multiple of 8 in 8 .. 4096. Any type that is an index
    passes for an integer, a NumPy one as well, and `bool` does not.

    Raises:
        sanctity.errors.UsageError: ``seed-invalid`` or ``seed-label-invalid``.
    """
    size = _integer(bits)
    if size is None or size % 8 or not 8 <= size <= 4096:
        raise _no_seed(f"{bits!r} is no number of bits: a multiple of 8 from 8 to 4096")
    root = check_root(root)
    joined = b""
    while len(joined) * 8 < size:
        joined += _sha256(canonical(root, labels, len(joined) // 32))
    return int.from_bytes(joined[: size // 8], "big")


def canonical(root: int, labels: tuple[str | int, ...], block: int) -> bytes:
    """The bytes that are hashed for one *block*: those that ``json.dumps`` gives with its narrowest separators."""
    return f'["{SCHEME}","{root}",[{",".join(map(_label, labels))}],{block}]'.encode("ascii")


def check_root(root: object) -> int:
    """*root* as an int.

    Raises:
        sanctity.errors.UsageError: ``seed-invalid``: it is no integer in 0 .. 2**128 - 1.
    """
    number = _integer(root)
    if number is None or not 0 <= number < 1 << 128:
        raise _no_seed(f"{root!r} is no seed: an integer from 0 to 2**128 - 1")
    return number


def hash_seed(root: int) -> int:
    """The PYTHONHASHSEED of *root*, in 1 .. 2**32 - 1: zero would turn hashing's randomness off, which is another thing."""
    return derive(root, *HASH, bits=32) or 1


def mt19937_words(seed: int) -> tuple[int, ...]:
    """The key that a Mersenne Twister is initialised with: the 32-bit words of *seed*, the lowest first, at least one of them.

    Zero words at the high end are dropped, which is what ``random.seed`` does.
    """
    return tuple(seed >> shift & 0xFFFFFFFF for shift in range(0, max(seed.bit_length(), 1), 32))


def mt19937(seed: int) -> tuple[int, ...]:
    """The 624 words of a Mersenne Twister after ``init_by_array`` of `mt19937_words`, before its first draw.

    By M. Matsumoto and T. Nishimura, ACM TOMACS 8 (1998) 3, and their ``mt19937ar.c`` of 2002. `random`, NumPy's legacy stream and
    PyTorch's CPU stream all are this generator; here its state does not depend on how each of them reads a seed.
    """
    from random import Random

    words: tuple[int, ...] = Random(seed).getstate()[1][:624]  # noqa: S311 - it is the generator that is asked for
    return words


def _label(label: object) -> str:
    if isinstance(label, str) and label:
        if not label.isascii() and any(map(_is_pair, label, label[1:])):
            raise _no_label(f"{label!r} is no label: two surrogates in a row are written as the one character that they encode")
        return '"' + "".join(c if " " <= c <= "~" and c not in _SHORT else _escaped(c) for c in label) + '"'
    number = _integer(label)
    if number is None or not 0 <= number < 1 << 63:
        raise _no_label(f"{label!r} is no label: a text that is not empty, or an integer from 0 to 2**63 - 1")
    return str(number)


def _is_pair(first: str, second: str) -> bool:
    """Whether both are surrogates that together encode one character, which is another text and would have the same bytes."""
    return "\ud800" <= first < "\udc00" <= second < "\ue000"


def _escaped(character: str) -> str:
    if character in _SHORT:
        return _SHORT[character]
    code = ord(character)
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 | code >> 10:04x}\\u{0xDC00 | code & 0x3FF:04x}"


def _integer(value: object) -> int | None:
    """*value* as an int where it is one; a bool is none."""
    if isinstance(value, bool):
        return None
    try:
        return index(value)  # type: ignore[arg-type] # whether it can be is what is asked
    except TypeError:
        return None


#: The hash function, once it was looked for: a module that is not there is looked for along all of sys.path each time.
_hashers: list[Callable[[bytes], Any]] = []


def _sha256(data: bytes) -> bytes:
    if not _hashers:
        _hashers.append(_hasher())
    found: bytes = _hashers[0](data).digest()
    return found


def _hasher() -> Callable[[bytes], Any]:
    """``sha256``, from where it is found without starting OpenSSL."""
    try:
        from _sha2 import sha256  # type: ignore[import-not-found,unused-ignore] # from Python 3.12 on
    except ImportError:
        try:
            from _sha256 import sha256  # type: ignore[import-not-found,no-redef,unused-ignore] # before
        except ImportError:
            from hashlib import sha256
    found: Callable[[bytes], Any] = sha256
    return found


def _no_seed(message: str) -> Exception:
    from sanctity.errors import UsageError

    return UsageError("seed-invalid", message, hint=_HINT)


def _no_label(message: str) -> Exception:
    from sanctity.errors import UsageError

    return UsageError("seed-label-invalid", message, hint=_HINT)
