"""A digest that can not be built wrong, and the one content digest of a distribution."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Final

__all__ = ["CONTENT_SCHEME", "DIGEST_SIZES", "STRONG", "ContentDigest", "Digest"]

#: Algorithms a lock may name, with their digest size in bytes.
DIGEST_SIZES: Final[dict[str, int]] = {
    "md5": 16,
    "sha1": 20,
    "sha224": 28,
    "sha256": 32,
    "sha384": 48,
    "sha512": 64,
    "blake2b": 64,
    "blake2s": 32,
    "sha3_256": 32,
    "sha3_384": 48,
    "sha3_512": 64,
}

#: Algorithms that a RECORD may use: "sha256 or better" (PyPA, Recording installed projects).
STRONG: Final = frozenset(DIGEST_SIZES) - {"md5", "sha1", "sha224"}

#: The name of the canonical rule behind a `ContentDigest`; a change of the rule is a new name.
CONTENT_SCHEME: Final = "content/1"

_HEX: Final = re.compile("[0-9a-f]*").fullmatch


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """An *algorithm* and its *value* in lower-case hex, of exactly the algorithm's length.

    Raises:
        ValueError: the algorithm is unknown, or the value is not hex of the right length.
    """

    algorithm: str
    value: str

    def __post_init__(self) -> None:
        size = DIGEST_SIZES.get(self.algorithm)
        if size is None:
            raise ValueError(f"{self.algorithm!r} is not a known hash algorithm")
        if len(self.value) != 2 * size or not _HEX(self.value):
            raise ValueError(f"{self.value[:80]!r} is not a {self.algorithm} digest")

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Read ``sha256:<hex>``; upper-case hex is accepted and lowered."""
        algorithm, colon, value = text.partition(":")
        if not colon:
            raise ValueError(f"{text[:80]!r} is not of the form ALGORITHM:HEX")
        return cls(algorithm, value.lower())

    @classmethod
    def of_sha256(cls, raw: bytes) -> Digest:
        """The digest whose 32 raw bytes are *raw*."""
        return cls("sha256", raw.hex())

    @classmethod
    def from_record(cls, text: str) -> Digest:
        """Read a RECORD hash, ``sha256=<urlsafe base64 without padding>``."""
        algorithm, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"{text[:80]!r} is not of the form ALGORITHM=BASE64")
        try:
            raw = base64.b64decode(value + "=" * (-len(value) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise ValueError(f"{value[:80]!r} is not urlsafe base64") from None
        return cls(algorithm, raw.hex())

    @property
    def raw(self) -> bytes:
        """The digest's bytes."""
        return bytes.fromhex(self.value)

    @property
    def strong(self) -> bool:
        """Whether the algorithm resists a second preimage and collisions: SHA-256 or better."""
        return self.algorithm in STRONG

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.value}"


@dataclass(frozen=True, slots=True, order=True)
class ContentDigest:
    """The digest of a distribution's canonical content, written ``content/1:sha256:<hex>``."""

    digest: Digest

    @classmethod
    def parse(cls, text: str) -> ContentDigest:
        """Read ``content/1:sha256:<hex>``. Raises ValueError where it is not one."""
        scheme, _, rest = text.partition(":")
        if scheme != CONTENT_SCHEME:
            raise ValueError(f"{text[:80]!r} is not a {CONTENT_SCHEME} digest")
        return cls(Digest.parse(rest))

    def __str__(self) -> str:
        return f"{CONTENT_SCHEME}:{self.digest}"
