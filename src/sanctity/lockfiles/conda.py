"""What conda's formats share: names, file names, channel URLs and match specs.

A conda package's file is ``NAME-VERSION-BUILD.conda`` (or ``.tar.bz2``) in the folder CHANNEL/PLATFORM. A channel's URL may hold
a token (``/t/TOKEN/``), which is a secret as a password is: it is cut, told of as ``lock-url-credentials``, and never printed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import unquote

from packaging.utils import parse_sdist_filename, parse_wheel_filename

from sanctity.lockfiles.toml import shown
from sanctity.model.digest import DIGEST_SIZES
from sanctity.model.lock import Artifact, Dependency, Ecosystem, Source, SourceKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sanctity.lockfiles.toml import Desk
    from sanctity.model.digest import Digest
    from sanctity.model.lock import Pin

__all__ = [
    "Depot",
    "File",
    "Key",
    "MatchSpec",
    "Place",
    "clean_location",
    "edges_to",
    "file_of",
    "is_plain",
    "key_of",
    "match_spec",
    "pypi_place",
    "pypi_version",
    "several_sources",
]

_NAME: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?")
_VERSION: Final = re.compile(r"[A-Za-z0-9_.+!]+")
_BUILD: Final = re.compile(r"[A-Za-z0-9_.+]+")
_PLATFORM: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9_]+)?")
_FOLDER: Final = re.compile(r"noarch|[a-z]+-[a-z0-9_]+")
_FILE: Final = re.compile(
    r"([A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?)-([A-Za-z0-9_.+!]+)-([A-Za-z0-9_.+]+)\.(?:conda|tar\.bz2)"
)
_URL: Final = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*://|file:)[^\s]*")
_TOKEN: Final = re.compile(r"/t/[^/]+(?=/|$)")
#: A user of a URL inside of another URL's path, and the user and password of a URL that lost its scheme.
_INNER_USER: Final = re.compile(r"(?<=//)(?!git@)[^/@\s]+@")
_LOST_USER: Final = re.compile(r"[^/\\@\s]*:[^/\\@\s]*@")
_LONGEST: Final = 4096


class File(NamedTuple):
    """What the name of a conda package's file says."""

    filename: str
    name: str
    version: str
    build: str


def file_of(filename: str) -> File | None:
    """What *filename* says; None where it is no name of a conda package's file."""
    match = _FILE.fullmatch(filename) if len(filename) <= _LONGEST else None
    return File(filename, match[1].lower(), match[2], match[3]) if match else None


class Place(NamedTuple):
    """Where a conda package is: its *channel* and the *platform* of its folder, and whether a *secret* was cut from its URL."""

    location: str
    channel: str
    platform: str
    filename: str
    secret: bool


def clean_location(desk: Desk, text: str, where: str) -> tuple[str, bool]:
    """A URL or a path without its secrets, and whether there was one: a user, a password, or a channel's token."""
    is_url = "://" in text or text.startswith("file:")
    if not text.isprintable() or (is_url and not _URL.fullmatch(text)):
        desk.fault("lock-bad-url", where, "this is neither a URL nor a path")
        return "", False
    notes = len(desk.notes)
    bare = desk.url(text, where) if is_url else text
    told = any(note.code == "lock-url-credentials" for note in desk.notes[notes:])
    clean = bare
    if "@" in bare:
        clean = _INNER_USER.sub("", bare) if is_url else _LOST_USER.sub("", bare)
    if is_url and "/t/" in clean:
        clean = _TOKEN.sub("", clean)
    if clean != bare and not told:
        desk.note("lock-url-credentials", where, "the credentials of this URL were left out")
    return clean, told or clean != bare


class Depot:
    """Judges conda's words, and remembers those it has judged: names, folders of channels and match specs repeat."""

    __slots__ = ("_desk", "_edges", "_folders", "_names", "_platforms", "_sources")

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._names: dict[str, str] = {}
        self._folders: dict[str, tuple[str, str, str, bool]] = {}
        self._edges: dict[str, Dependency | None] = {}
        self._platforms: dict[str, str] = {}
        self._sources: dict[str, Source] = {}

    def name(self, text: object, where: str) -> str:
        """The lower-case form of a conda package's name."""
        known = self._names.get(text) if isinstance(text, str) else None
        if known is not None:
            return known
        if not isinstance(text, str) or len(text) > _LONGEST or not _NAME.fullmatch(text):
            self._desk.fault("lock-bad-name", where, f"{shown(text)} is not the name of a conda package")
            return ""
        self._names[text] = name = text.lower()
        return name

    def version(self, text: str, where: str) -> str:
        """*text*, having checked that it is a conda version."""
        if len(text) > _LONGEST or not _VERSION.fullmatch(text):
            self._desk.fault("lock-bad-version", where, f"{shown(text)} is not a version of a conda package")
        return text

    def build(self, text: str, where: str) -> str:
        """*text*, having checked that it is a build string."""
        if len(text) > _LONGEST or not _BUILD.fullmatch(text):
            self._desk.fault("lock-bad-version", where, f"{shown(text)} is not a build of a conda package")
            return ""
        return text

    def platform(self, text: object, where: str) -> str:
        """*text*, having checked that it is one of conda's words for a platform, such as ``linux-64``."""
        known = self._platforms.get(text) if isinstance(text, str) else None
        if known is not None:
            return known
        if not isinstance(text, str) or not _PLATFORM.fullmatch(text):
            self._desk.fault("lock-bad-name", where, f"{shown(text)} is not a platform")
            return ""
        self._platforms[text] = text
        return text

    def channel(self, text: str, where: str) -> str:
        """A channel's URL without its secrets and its last slash, or its bare name as it is."""
        return clean_location(self._desk, text, where)[0].rstrip("/")

    def place(self, url: str, where: str) -> Place:
        """The place of the package that *url*, or a path, leads to."""
        folder, slash, last = url.rpartition("/")
        if "\\" in url and "://" not in url:
            folder, slash, last = url.replace("\\", "/").rpartition("/")
        if not {"?", "#"}.isdisjoint(last) and "://" in url:
            # What follows may be a secret: the URL is cleaned as a whole.
            clean, secret = clean_location(self._desk, url, where)
            folder, slash, last = clean.rpartition("/")
        else:
            secret = False
        known = self._folders.get(folder)
        if known is None:
            known = self._folders[folder] = self._folder(folder, where)
        clean, channel, platform, folder_secret = known
        return Place(clean + slash + last, channel, platform, unquote(last) if "%" in last else last, secret or folder_secret)

    def _folder(self, folder: str, where: str) -> tuple[str, str, str, bool]:
        """The folder of a package without its secrets, its channel, its platform, and whether there was a secret."""
        clean, secret = clean_location(self._desk, folder, where)
        channel, slash, platform = clean.rpartition("/")
        if not slash or not _FOLDER.fullmatch(platform):
            channel, platform = clean, ""
        return clean, channel, platform, secret

    def source(self, channel: str) -> Source:
        """The source that *channel* is."""
        known = self._sources.get(channel)
        if known is None:
            known = self._sources[channel] = Source(kind=SourceKind.REGISTRY, location=channel)
        return known

    def source_of(self, place: Place) -> Source:
        """A conda package's source: its channel, or the file itself where it comes from no channel."""
        if place.platform and ("://" in place.channel or place.channel.startswith("file:")):
            return self.source(place.channel)
        kind = SourceKind.URL if "://" in place.location and not place.location.startswith("file:") else SourceKind.FILE
        return Source(kind=kind, location=place.location)

    def file(self, filename: str, where: str) -> File | None:
        """What *filename* says; None where it is no name of a conda package's file, which is a fault."""
        file = file_of(filename)
        if file is not None:
            return file
        if self._desk.filename(filename, where):
            message = f"{shown(filename)} is not the name of a conda package's file, NAME-VERSION-BUILD.conda"
            self._desk.fault("lock-bad-name", where, message)
        return None

    def digest(self, fragment: str, where: str) -> Digest | None:
        """What stands behind the ``#`` of a package's URL: an md5, or a sha256 with its name before it or without."""
        name, colon, value = fragment.rpartition(":")
        algorithm = name if colon else "sha256" if len(fragment) == 2 * DIGEST_SIZES["sha256"] else "md5"
        return self._desk.digest(algorithm, value, where)

    def edge(self, text: object, where: str) -> Dependency | None:
        """The edge that a match spec such as ``libgomp >=7.5.0`` is; None for what is no package, as ``__glibc >=2.17``."""
        try:
            return self._edges[text]  # type: ignore[index]
        except (KeyError, TypeError):
            pass
        if not isinstance(text, str):
            self._desk.fault("lock-bad-type", where, f"expected a string, found {shown(text)}")
            return None
        spec = match_spec(text)
        edge = None
        if spec is None or not _NAME.fullmatch(spec.name):
            self._desk.fault("lock-bad-requirement", where, f"{shown(text)} is not a match spec")
        elif not spec.name.startswith("__"):
            edge = Dependency(name=spec.name.lower(), ecosystem=Ecosystem.CONDA)
        self._edges[text] = edge
        return edge


# --- Match specs -------------------------------------------------------------------------------------------------------------


_PINNED: Final = re.compile(r"={0,2}[A-Za-z0-9_.+!]+")


class MatchSpec(NamedTuple):
    """A match spec. *version* is what it says of versions, without blanks, as conda has it: ``=3.9`` is any 3.9.*.

    *exact* is the one version that it allows, else empty; *build* what it says of builds.
    """

    name: str
    version: str = ""
    build: str = ""
    channel: str = ""
    exact: str = ""
    platform: str = ""

    @property
    def pinned(self) -> bool:
        """Whether it names one version, be it with all that begin with it."""
        return bool(self.exact) or _PINNED.fullmatch(self.version) is not None


_SPEC: Final = re.compile(r"([^\s=<>!~\[\]]+)\s*(.*)", re.DOTALL)
_BRACKETS: Final = re.compile(r"\[([^\[\]]*)\]$")
_PAIR: Final = re.compile(r"\s*([a-z0-9_]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^,'\"\s]*))\s*(?:,|$)")
_AROUND: Final = re.compile(r" ?([,|]) ?|(?<=[=<>!~]) ")
_WITH_BUILD: Final = re.compile(r"={1,2}([^=<>!~,|]+)=([^=<>!~,|]+)")
_ONE: Final = re.compile(r"[A-Za-z0-9_.+!]+")
_PART: Final = r"\(*(?:(?:[=!<>~]=|[=<>])?[A-Za-z0-9_.+!*-]+|\^[^,|]*\$)\)*"
_VERSIONS: Final = re.compile(rf"(?:{_PART}(?:[,|]{_PART})*)?")


is_plain: Final = re.compile(r"[a-z0-9](?:[a-z0-9_.-]*[a-z0-9])?").fullmatch
"""Whether a match spec is the name of a package and nothing else."""


def match_spec(text: str) -> MatchSpec | None:
    """What a match spec says, by conda's own rules; None where it is none.

    ``name=1.2`` is any 1.2.*, ``name==1.2`` and ``name 1.2`` are exactly 1.2, and so is ``name=1.2=build``.
    """
    if len(text) > _LONGEST:
        return None
    text = " ".join(text.partition("#")[0].split())
    said: dict[str, str] = {}
    brackets = _BRACKETS.search(text)
    if brackets:
        inside = brackets[1]
        at = 0
        while at < len(inside):
            pair = _PAIR.match(inside, at)
            if pair is None or pair.end() == at:
                return None
            said[pair[1]] = pair[2] or pair[3] or pair[4] or ""
            at = pair.end()
        text = text[: brackets.start()].strip()
    channel, colons, rest = text.rpartition("::")
    channel = said.get("channel", channel)
    match = _SPEC.fullmatch(rest if colons else text)
    if match is None:
        return None
    name, spec = match[1], match[2].strip()
    spec = _AROUND.sub(lambda found: found[1] or "", spec)
    words = spec.split()
    if len(words) > 2:
        return None
    version, build = (*words, "", "")[:2]
    exact = ""
    if not build and (both := _WITH_BUILD.fullmatch(version)):
        version, build = f"={both[1]}", both[2]
    version, build = _AROUND.sub(lambda found: found[1] or "", said.get("version", version)), said.get("build", build)
    if not _VERSIONS.fullmatch(version) and "{{" not in version:
        return None
    if "*" in version:
        exact = ""
    elif version.startswith("==") and _ONE.fullmatch(version[2:]):
        exact = version[2:]
    elif _ONE.fullmatch(version):
        exact = version
    elif build and version.startswith("=") and _ONE.fullmatch(version[1:]):
        exact = version[1:]
    channel, _, platform = channel.rpartition("/") if _PLATFORM_AT_END.search(channel) else (channel, "", "")
    return MatchSpec(name, version, build, channel, exact, said.get("subdir", platform))


_PLATFORM_AT_END: Final = re.compile(r"/(?:noarch|(?:linux|osx|win|freebsd|emscripten|wasi|zos)-[a-z0-9_]+)$")


# --- Pins and edges ----------------------------------------------------------------------------------------------------------


Key = tuple[Ecosystem, str, str, str]


def key_of(pin: Pin) -> Key:
    """What tells *pin* apart from others, but for its source and platforms."""
    return (pin.ecosystem, pin.name, pin.version, pin.build)


def several_sources(pins: Iterable[Pin]) -> frozenset[Key]:
    """The keys of which *pins* has some from one source and some from another."""
    first: dict[Key, Source] = {}
    return frozenset([key_of(pin) for pin in pins if first.setdefault(key_of(pin), pin.source) != pin.source])


def edges_to(pins: Iterable[tuple[Pin, tuple[str, ...]]], several: frozenset[Key]) -> tuple[Dependency, ...]:
    """An edge to each of *pins* on its platforms; those that nothing but their platforms tells apart share one.

    An edge to a key of which there are *several* sources names its own. No platforms are all of them.
    """
    found: dict[tuple[Key, Source | None], dict[str, None] | None] = {}
    for pin, platforms in pins:
        key = key_of(pin)
        named = (key, pin.source if key in several else None)
        known = found.setdefault(named, {})
        if not platforms:
            found[named] = None
        elif known is not None:
            known.update(dict.fromkeys(platforms))
    return tuple(
        [
            Dependency(
                name=name, version=version, source=source, ecosystem=ecosystem, build=build, platforms=tuple(platforms or ())
            )
            for ((ecosystem, name, version, build), source), platforms in found.items()
        ]
    )


# --- PyPI's packages in conda's documents ------------------------------------------------------------------------------------

_COMMIT: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_SDIST: Final = re.compile(r"\.(?:whl|zip|tar\.(?:gz|bz2|xz|zst)|tgz)$", re.IGNORECASE)


def pypi_place(
    desk: Desk, text: str, where: str, *, direct: bool = False, editable: bool = False
) -> tuple[Source, Artifact | None]:
    """Where a package of PyPI's is, by the one text that conda's formats have for it; and its file, as yet without digests.

    ``git+URL?rev=…#COMMIT`` (or ``@COMMIT``) is a repository, ``direct+URL`` a file that no index lists (every URL is, if
    *direct*), another URL a file of some index, and what is no URL a path. The digest of a fragment (``#sha256=…``) is kept.
    """
    bare, _, fragment = text.partition("#")
    if bare.startswith("git+"):
        return _repository(desk, bare.removeprefix("git+"), fragment, where), None
    direct = direct or bare.startswith("direct+")
    location, _ = clean_location(desk, bare.removeprefix("direct+"), where)
    if "://" not in location and not location.startswith("file:"):
        bare = location
        if _SDIST.search(bare):
            filename = desk.last_part(bare, where)
            return Source(kind=SourceKind.FILE, location=bare), Artifact(filename=filename, location=bare)
        if not bare and not text:
            desk.fault("lock-bad-source", where, "this is neither a URL nor a path")
        return Source(kind=SourceKind.EDITABLE if editable else SourceKind.DIRECTORY, location=bare), None
    if location.startswith("file:") and not _SDIST.search(location):
        return Source(kind=SourceKind.EDITABLE if editable else SourceKind.DIRECTORY, location=location), None
    algorithm, equals, value = fragment.partition("=")
    digest = desk.digest(algorithm, value, where) if equals and algorithm in DIGEST_SIZES else None
    found = Artifact(
        filename=desk.last_part(location, where) if location else "", digests=(digest,) if digest else (), location=location
    )
    if location.startswith("file:"):
        return Source(kind=SourceKind.FILE, location=location), found
    return Source(kind=SourceKind.URL, location=location) if direct else Source(kind=SourceKind.REGISTRY), found


def pypi_version(location: str) -> str:
    """The version in the name of a wheel or sdist that *location* ends in; empty where there is none to rely on."""
    filename = unquote(location.partition("#")[0].partition("?")[0].rpartition("/")[2])
    try:
        if filename.endswith(".whl"):
            return str(parse_wheel_filename(filename)[1])
        if filename.endswith((".tar.gz", ".zip")):
            return str(parse_sdist_filename(filename)[1])
    except ValueError:
        pass
    return ""


def _repository(desk: Desk, url: str, fragment: str, where: str) -> Source:
    """A git repository. Only a full commit counts as its revision: a tag or a branch may move."""
    said = dict(pair.partition("=")[::2] for pair in (*url.partition("?")[2].split("&"), *fragment.split("&")))
    subdirectory = said.pop("subdirectory", "").strip("/")
    plain, revision = url.partition("?")[0], fragment.partition("&")[0]
    path, at, after = plain.rpartition("@")
    if at and "/" not in after and "://" in path:
        plain, revision = path, after
    if set(said) - {"rev", "branch", "tag", "", revision}:
        plain = f"{plain}?{url.partition('?')[2]}"  # Nobody knows what else is in there, so it goes the way of every query.
    return Source(
        kind=SourceKind.GIT,
        location=clean_location(desk, plain, where)[0],
        revision=revision if _COMMIT.fullmatch(revision) else "",
        subdirectory=unquote(subdirectory),
    )
