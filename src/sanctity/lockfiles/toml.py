"""What the TOML formats share: TOML text in, checked words out.

A lock is read on the way to every verdict, so the common case costs little: names, markers and sources repeat, and are
checked once a document; a place such as ``package[3].wheels[0]`` is put into words only for what is kept or is wrong. Every
fault goes through `wire.Reader`, so all of a document's faults are told at once, each with the document's own path.

A URL loses its user, password, query and fragment here, before anything else sees it: no value and no message of ours holds
a secret that a lock holds.
"""

from __future__ import annotations

import re
from itertools import repeat
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import unquote, urlsplit, urlunsplit

import tomli
from packaging.markers import InvalidMarker, Marker
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from sanctity.errors import DocumentError
from sanctity.model.digest import DIGEST_SIZES, Digest
from sanctity.model.lock import Artifact, Note
from sanctity.model.wire import MAX_SAFE_INTEGER, Reader

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sanctity.model.lock import Pin

__all__ = ["Desk", "clean_url", "load", "plain_artifact", "plain_files", "plain_hashes", "plain_rows", "shown"]

#: PEP 508's grammar of a name.
_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")

_NORMAL: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*").fullmatch

#: The versions and markers that nearly every lock is made of. Whatever these accept, packaging accepts too; what they do not
#: accept is packaging's to judge, at twenty times the price.
_PLAIN_VERSION: Final = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9}){0,6}(?:(?:a|b|rc|\.post|\.dev)[0-9]{1,9})?")
_ATOM: Final = (
    r"(?:python_version|python_full_version|os_name|sys_platform|platform_machine|platform_system|platform_python_implementation"
    r"|implementation_name|implementation_version|platform_release|platform_version|extra)"
    r" (?:==|!=|<=|>=|<|>|in|not in) (?:'[^'\"\\\n]*'|\"[^'\"\\\n]*\")"
)
_ATOMS: Final = rf"{_ATOM}(?: (?:and|or) {_ATOM})*"
_TERM: Final = rf"(?:{_ATOM}|\({_ATOMS}\))"
_PLAIN_MARKER: Final = re.compile(rf"{_TERM}(?: (?:and|or) {_TERM})*")
_RELEASE: Final = r"[0-9]{1,9}(?:\.[0-9]{1,9}){0,4}"
_CLAUSE: Final = rf"(?:(?:>=|<=|>|<){_RELEASE}|(?:==|!=){_RELEASE}(?:\.\*)?|~=[0-9]{{1,9}}\.{_RELEASE})"
_PLAIN_SPECIFIER: Final = re.compile(rf"{_CLAUSE}(?:, ?{_CLAUSE})*")

#: What is a device on Windows, with any suffix; and there, a blank or a dot at the end of a name is cut away.
_DEVICE: Final = r"(?i:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|$)"
_UNSAFE_FILENAME: Final = re.compile(rf"-|{_DEVICE}|[ ]|.*[ .]$").match
#: The alphabet of wheels' and sdists' names.
_PLAIN_FILENAME: Final = re.compile(rf"(?!{_DEVICE})[A-Za-z0-9_](?:[A-Za-z0-9_.+!-]*[A-Za-z0-9_+!-])?").fullmatch

_HTTP: Final = re.compile(r"https?://").match
_HEX_OF_SHA256: Final = re.compile(r"[0-9a-f]{64}").fullmatch

_SECRETIVE: Final = re.compile(r"@|\?|://|(?:token|key|secret|sig|pass\w*|pwd|auth\w*)=", re.IGNORECASE)
_SECRET_WORD: Final = re.compile(r"token|key|secret|sig|pass|pwd|auth|cred|user|login|session", re.IGNORECASE)
#: A user and password of a URL inside of another URL's path, and of a location without a scheme.
_INNER_USER: Final = re.compile(r"(?<=//)[^/@\s]*:[^/@\s]*@")
_SCP_USER: Final = re.compile(r"(?<![^/\\@\s])[^/\\@\s:]*:[^/\\@\s]*@")
_WERE: Final = {"credentials": "were", "query": "was"}
_LONGEST: Final = 4096


def shown(text: object) -> str:
    """*text* as a message may show it: quoted and clipped, and only described where it could hold a URL's secret."""
    if not isinstance(text, str):
        return f"a {type(text).__name__}"
    if _SECRETIVE.search(text):
        return f"a text of {len(text)} characters"
    return repr(text if len(text) <= 80 else text[:77] + "...")


def load(text: str, *, path: str, hint: str) -> dict[str, object]:
    """*text* as a TOML document.

    Raises:
        DocumentError: ``lock-syntax``, with the line and column where the parser names them.
    """
    try:
        return tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        where = f"{path}: line {error.lineno} column {error.colno}"
        message = error.msg.partition("'")[0].strip() if _SECRETIVE.search(error.msg) else error.msg
        raise DocumentError("lock-syntax", f"not TOML: {message[:200]}", where=where, hint=hint) from error
    except RecursionError as error:
        raise DocumentError("lock-syntax", "nested too deeply", where=path, hint=hint) from error
    except ValueError as error:  # an integer of more digits than Python reads
        raise DocumentError("lock-syntax", "not TOML: a number is too long", where=path, hint=hint) from error


def clean_url(url: str) -> tuple[str, str]:
    """*url* without user, password, query and fragment; and what was left out: ``credentials``, ``query`` or nothing.

    The bare user ``git`` stays, as in ``ssh://git@host/repo``: it is the name of a service and no secret. A query goes
    whole, since nobody knows which of its words are secret; it counts as credentials where one of them is called so.

    Raises:
        ValueError: it is no URL.
    """
    parts = urlsplit(url)
    if not parts.netloc and "@" in url:  # no URL that anybody has; its secrets are still secrets
        plain, number = _SCP_USER.subn("", url.partition("#")[0].partition("?")[0])
        return plain, "credentials" if number or _SECRET_WORD.search(parts.query) else "query" if parts.query else ""
    _ = parts.port  # is a number, or ValueError: what looks like a port may be a password cut short
    user, at, host = parts.netloc.rpartition("@")
    if user == "git":
        host = parts.netloc
    left_out = "query" if parts.query else ""
    if (at and user != "git") or _SECRET_WORD.search(parts.query):
        left_out = "credentials"
    return urlunsplit((parts.scheme, host, parts.path, "", "")), left_out


class Desk(Reader):
    """A `Reader` that also knows the words of Python packaging, and remembers those it has judged."""

    __slots__ = ("_markers", "_names", "_specifiers", "_urls", "notes")

    def __init__(self, path: str, *, hint: str = "") -> None:
        super().__init__(path, hint=hint)
        self.notes: list[Note] = []
        self._names: dict[str, str] = {}
        self._markers: set[str] = set()
        self._specifiers: set[str] = set()
        self._urls: dict[str, str] = {}

    def note(self, code: str, where: str, message: str) -> None:
        """Note something read past."""
        self.notes.append(Note(code=code, where=where, message=message))

    def name(self, text: Any, where: str) -> str:
        """The normalised form (PEP 503) of a project's, extra's or group's name."""
        try:
            return self._names[text]
        except (KeyError, TypeError):
            pass
        if not isinstance(text, str) or len(text) > _LONGEST or not _NAME.fullmatch(text):
            self.fault("lock-bad-name", where, f"{shown(text)} is not a name")
            return ""
        self._names[text] = normal = text if _NORMAL(text) else str(canonicalize_name(text))
        return normal

    def names(self, table: dict[str, object], key: str, where: str) -> tuple[str, ...]:
        """The normalised names of the array ``table[key]``."""
        return tuple(self.name(text, f"{where}.{key}" if where else key) for text in self.strings(table, key, where))

    def version(self, text: str, where: str) -> str:
        """*text*, having checked that it is a version (PEP 440)."""
        if not _PLAIN_VERSION.fullmatch(text):
            try:
                if len(text) > _LONGEST:
                    raise InvalidVersion
                Version(text)
            except ValueError:
                self.fault("lock-bad-version", where, f"{shown(text)} is not a version")
        return text

    def marker(self, text: Any, where: str) -> str:
        """*text*, having checked that it is an environment marker (PEP 508)."""
        try:
            if text in self._markers:
                return cast("str", text)
        except TypeError:
            pass
        if not isinstance(text, str):
            self.fault("lock-bad-type", where, f"expected a string, found {shown(text)}")
            return ""
        if not _PLAIN_MARKER.fullmatch(text):
            try:
                Marker(text)
            except (InvalidMarker, RecursionError, ValueError):
                self.fault("lock-bad-marker", where, f"{shown(text)} is not an environment marker")
                return ""
        self._markers.add(text)
        return text

    def specifiers(self, text: str, where: str) -> str:
        """*text*, with a note where it is not a version specifier: tools write what a project's author wrote."""
        if text and text not in self._specifiers and not _PLAIN_SPECIFIER.fullmatch(text):
            try:
                SpecifierSet(text)
                self._specifiers.add(text)
            except (InvalidSpecifier, ValueError):
                self.note("lock-bad-specifier", where, f"{shown(text)} is not a version specifier")
        return text

    def digest(self, algorithm: str, value: Any, where: str) -> Digest | None:
        """The digest *value* in hex, by *algorithm*; None where it is not one (which is noted)."""
        try:
            return Digest(algorithm, value if value.islower() else value.lower())
        except (AttributeError, ValueError):
            kind = algorithm if algorithm in DIGEST_SIZES else "known"
            what = shown(value) if kind == algorithm else shown(algorithm)
            self.fault("malformed-hash", where, f"{what} is not a {kind} digest")
        return None

    def url(self, text: str, where: str) -> str:
        """*text* without its secrets; a note says that there were some, never what they were."""
        known = self._urls.get(text)
        if known is not None:
            return known
        try:
            known, left_out = clean_url(text)
        except ValueError:
            self.fault("lock-bad-url", where, "this is not a URL")
            return ""
        if left_out:
            self.note(f"lock-url-{left_out}", where, f"the {left_out} of this URL {_WERE[left_out]} left out")
        self._urls[text] = known
        return known

    def place(self, text: str, where: str) -> str:
        """A location that is either a URL or a path: the path as written, the URL as `url` gives it.

        What git takes for a host and a path (``user:password@host:path``) has no scheme, and may hold a secret all the same.
        """
        if "://" in text or text.startswith("file:"):
            return _INNER_USER.sub("", self.url(text, where)) if "@" in text else self.url(text, where)
        return _SCP_USER.sub("", text, count=1) if "@" in text else text

    def filename(self, text: str, where: str) -> str:
        """*text*, having checked that it names a file in a folder and nothing outside of it."""
        if _PLAIN_FILENAME(text):
            return text
        if not text or _UNSAFE_FILENAME(text) or not text.isprintable() or not {"/", "\\", ":"}.isdisjoint(text):
            self.fault("lock-unsafe-filename", where, f"{shown(text)} is not a plain file name")
            return ""
        return text

    def last_part(self, location: str, where: str) -> str:
        """The file name that a cleaned URL or a path ends in."""
        part = location.replace("\\", "/").rpartition("/")[2]
        return self.filename(unquote(part) if "://" in location else part, where)

    def size(self, table: dict[str, object], where: str) -> int | None:
        """``table["size"]`` in bytes, None where it is absent."""
        size = table.get("size")
        if size is None:
            return None
        if type(size) is int and 0 <= size <= MAX_SAFE_INTEGER:
            return size
        self.fault("lock-bad-size", f"{where}.size", "this is not the size of a file in bytes")
        return None

    def requires_python(self, table: dict[str, object], where: str) -> str:
        """``table["requires-python"]`` as written."""
        text = self.get(table, "requires-python", str, "", where)
        return self.specifiers(text, f"{where}.requires-python" if where else "requires-python")

    def agree(self, artifacts: Iterable[Artifact], where: str) -> None:
        """Note where two rows give one file name two digests of one algorithm."""
        seen: dict[tuple[str, str], str] = {}
        for artifact in artifacts:
            for digest in artifact.digests if artifact.filename else ():
                if seen.setdefault((artifact.filename, digest.algorithm), digest.value) != digest.value:
                    message = f"{shown(artifact.filename)} has two different {digest.algorithm} digests"
                    self.fault("lock-contradictory", artifact.where or where, message)

    def distinct(self, pins: Iterable[Pin], *, by_marker: bool = False) -> None:
        """Note each pin whose name, version and source (and marker, with *by_marker*) another one has already."""
        seen: set[tuple[object, ...]] = set()
        for pin in pins:
            key = (pin.name, pin.version, pin.source, pin.marker if by_marker else "")
            if key in seen:
                self.fault("lock-duplicate-package", pin.where, f"{pin.name} {pin.version} is here twice".replace("  ", " "))
            seen.add(key)


# Here values are filled in field by field, past the frozen classes' own constructors, for half their price: a lock has thousands
# of rows, and they are most of what reading it costs. A setter gives None, so `any` only walks.
_new: Final = object.__new__
_set_algorithm, _set_value = (Digest.__dict__[name].__set__ for name in ("algorithm", "value"))
_set_filename, _set_digests, _set_location, _set_size, _set_upload_time, _set_where = (
    Artifact.__dict__[name].__set__ for name in ("filename", "digests", "location", "size", "upload_time", "where")
)


_BLANKS: Final = repeat("")
_NONES: Final = repeat(None)


def plain_artifact(row: Any, sha256: Any, place: str, uploaded: Any = None, filename: Any = None) -> Artifact | None:
    """The artifact of *row* where nothing about it asks for a second look, else None.

    This is all that happens to nearly every row of a real lock: a ``url`` over http that holds no secret and ends in a plain
    file name (or *filename* is one), the digest *sha256* in lower-case hex, a ``size``, and the text ``upload-time`` (or
    *uploaded* in its place).
    What it accepts, the careful way accepts with the same result.
    """
    try:
        url = row["url"]
        if filename is None:
            filename = url.rpartition("/")[2]
        if (
            "@" in url
            or "?" in url
            or "#" in url
            or "%" in url
            or "\\" in url
            or not url.startswith(("https://", "http://"))
            or not _PLAIN_FILENAME(filename)
        ):
            return None
        size = row.get("size")
        if size is not None and (type(size) is not int or not 0 <= size <= MAX_SAFE_INTEGER):
            return None
        if uploaded is None:
            uploaded = row.get("upload-time", "")
        if type(uploaded) is not str:
            return None
        if not _HEX_OF_SHA256(sha256):
            return None
    except (AttributeError, KeyError, TypeError):
        return None
    digest = _new(Digest)
    _set_algorithm(digest, "sha256")
    _set_value(digest, sha256)
    artifact = _new(Artifact)
    _set_filename(artifact, filename)
    _set_digests(artifact, (digest,))
    _set_location(artifact, url)
    _set_size(artifact, size)
    _set_upload_time(artifact, uploaded)
    _set_where(artifact, place)
    return artifact


def plain_rows(rows: Any, prefix: str) -> list[Artifact] | None:
    """What `plain_artifact` makes of each of *rows*, whose ``hash`` is ``sha256:HEX``: all at once, for a third less.

    None where any row asks for a second look. *prefix* is the place of the array, up to the number.
    """
    try:
        urls = [row["url"] for row in rows]
        hashes = [row["hash"] for row in rows]
        sizes = [row["size"] for row in rows]
        times = [row.get("upload-time", "") for row in rows]
        text = "\n".join(urls)
        if (
            "@" in text
            or "?" in text
            or "#" in text
            or "%" in text
            or "\\" in text
            or set(map(type, sizes)) != {int}
            or set(map(type, times)) != {str}
            or not 0 <= min(sizes) <= max(sizes) <= MAX_SAFE_INTEGER
            or not all(map(_HTTP, urls))
        ):
            return None
        names = [url.rpartition("/")[2] for url in urls]
        values = _hexes(hashes)
        if values is None or not all(map(_PLAIN_FILENAME, names)):
            return None
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
    places = [f"{prefix}{index}]" for index in range(len(urls))]
    return _made(names, values, urls, sizes, times, places)


def plain_files(rows: Any) -> list[Artifact] | None:
    """``Artifact(filename=file, digests=(Digest("sha256", value),))`` of each row, where all are as plain as nearly all are.

    None where any row is not: another key, algorithm or alphabet, upper-case hex, or a file that is there twice. What is read
    here, the careful way reads with the same result.
    """
    try:
        names = [row["file"] for row in rows]
        hashes = [row["hash"] for row in rows]
        values = _hexes(hashes)
        if values is None or not all(map(_PLAIN_FILENAME, names)):
            return None
    except (KeyError, TypeError, ValueError):
        return None
    if len(set(names)) != len(names) or sum(map(len, rows)) != 2 * len(names):
        return None
    return _made(names, values, _BLANKS, _NONES, _BLANKS, _BLANKS)


def plain_hashes(values: Any) -> list[Artifact] | None:
    """``Artifact(digests=(Digest("sha256", value),))`` of each text ``sha256:HEX``, where all are so and each is there once."""
    try:
        if type(values) is not list or len(set(values)) != len(values):
            return None
        found = _hexes(values)
    except (TypeError, ValueError):
        return None
    if found is None:
        return None
    return _made(_BLANKS, found, _BLANKS, _NONES, _BLANKS, _BLANKS)


def _hexes(texts: list[str]) -> list[str] | None:
    """The hex of each of *texts*, where all of them are ``sha256:`` and 64 lower-case digits; judged in one, for half the price.

    Raises:
        TypeError, ValueError: they are not; `bytes.fromhex` reads past blanks, so that its length tells of them.
    """
    found = [text[7:] for text in texts]
    digits = "".join(found)
    plain = (
        len(bytes.fromhex(digits)) == 32 * len(texts)
        and digits == digits.lower()
        and set(map(len, texts)) <= {71}
        and "".join([text[:7] for text in texts]) == "sha256:" * len(texts)
    )
    return found if plain else None


def _made(
    names: Iterable[str],
    hashes: list[str],
    locations: Iterable[str],
    sizes: Iterable[int | None],
    times: Iterable[str],
    places: Iterable[str],
) -> list[Artifact]:
    """An artifact for each of *hashes*, which are hex of SHA-256, field by field for all of them at once."""
    digests = list(map(_new, repeat(Digest, len(hashes))))
    any(map(_set_algorithm, digests, repeat("sha256")))
    any(map(_set_value, digests, hashes))
    found = list(map(_new, repeat(Artifact, len(hashes))))
    any(map(_set_filename, found, names))
    any(map(_set_digests, found, zip(digests)))
    any(map(_set_location, found, locations))
    any(map(_set_size, found, sizes))
    any(map(_set_upload_time, found, times))
    any(map(_set_where, found, places))
    return found
