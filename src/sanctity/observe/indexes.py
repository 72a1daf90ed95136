"""Which package indexes the user's own configuration names: that of pip, of uv, and of the project.

Read are pip's files and variables, uv's files and variables, and the sources in a project's pyproject.toml (uv's and Poetry's). No
index is named here: where none of them names a main one, the installed tools are asked for their default (`ask_default`). What can
not be parsed is passed over, as it says nothing; the hash of what is fetched is checked wherever it comes from.
"""

from __future__ import annotations

import configparser
import os
import re
import shlex
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit, urlunsplit

from sanctity.model.index import Credentials, Indexes
from sanctity.observe.view import View

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["ask_default", "read_indexes"]

_LARGEST: Final = 1 << 20
_HERE: Final = View()
_PATIENCE: Final = 20  # seconds that a tool may take to print its help
_DEFAULT: Final = re.compile(r"\(?(?:by )?default:? <?(https?://[^\s<>()]+)>?\)?")
_TRUE: Final = frozenset({"1", "true", "yes", "on", "y", "t"})


class _Found:
    """What was found so far, in the order in which it is to be asked."""

    def __init__(self) -> None:
        self.urls: dict[str, None] = {}
        self.links: dict[str, None] = {}
        self.credentials: list[Credentials] = []
        self.complete = False

    def index(self, url: str, *, main: bool = False, name: str = "", environ: Mapping[str, str] | None = None) -> None:
        """Note an index; *main* says that it stands in the place of the default one."""
        plain = self.plain(url)
        if not plain:
            return
        self.urls.setdefault(plain, None)
        self.complete = self.complete or main
        key = re.sub(r"[^A-Z0-9]", "_", name.upper())
        user = (environ or {}).get(f"UV_INDEX_{key}_USERNAME", "") if key else ""
        if user:
            password = (environ or {}).get(f"UV_INDEX_{key}_PASSWORD", "")
            self.credentials.append(Credentials(origin=_origin(plain), user=user, password=password))

    def link(self, place: str, folder: str) -> None:
        """Note a folder or page of links; a relative path starts from *folder*."""
        place = os.path.expanduser(place.strip())
        if place and "://" not in place and not place.startswith("file:"):
            place = os.path.normpath(os.path.join(folder, place))
        if place:
            self.links.setdefault(self.plain(place) if "://" in place else place, None)

    def plain(self, url: str) -> str:
        """*url* less its credentials, which are noted; empty where it is none."""
        url = url.strip()
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https", "file"}:
            return ""
        secret, at, host = parts.netloc.rpartition("@")
        if at:
            user, _, password = secret.partition(":")
            plain = urlunsplit(parts._replace(netloc=host))
            self.credentials.append(Credentials(origin=_origin(plain), user=unquote(user), password=unquote(password)))
            return plain
        return url


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme.lower()}://{parts.netloc.lower()}"


def read_indexes(environ: Mapping[str, str], project: str = "", *, prefix: str = "") -> Indexes:
    """The indexes that *environ* and the files of its user name, for a *project*'s folder and the environment at *prefix*."""
    found = _Found()
    home = environ.get("HOME", "")
    config = environ.get("XDG_CONFIG_HOME") or (f"{home}/.config" if home else "")
    uv_off = _read_project(found, project, environ)
    uv_off |= _read_uv(found, environ, config)
    pip, pip_off = _read_pip(environ, home, config, prefix)
    _note_pip(found, pip)
    offline = environ.get("UV_OFFLINE", "").lower() in _TRUE
    certificate = pip.get("cert", "") or environ.get("SSL_CERT_FILE", "") or environ.get("REQUESTS_CA_BUNDLE", "")
    return Indexes(
        urls=tuple(found.urls),
        links=tuple(found.links),
        complete=found.complete or pip_off or uv_off,
        offline=offline,
        certificate=os.path.expanduser(certificate),
        netrc=environ.get("NETRC") or (f"{home}/.netrc" if home else ""),
        proxy=pip.get("proxy", ""),
        trusted=tuple(pip.get("trusted-host", "").split()),
        credentials=tuple(found.credentials),
    )


def _read(path: str) -> bytes:
    try:
        return _HERE.read(path, _LARGEST)
    except OSError:
        return b""


def _read_toml(path: str) -> dict[str, Any]:
    try:
        return tomllib.loads(_read(path).decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError):
        return {}


def _table(value: object, *keys: str) -> dict[str, Any]:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _read_project(found: _Found, project: str, environ: Mapping[str, str]) -> bool:
    """Note what the project's own files name; whether they want no index at all."""
    if not project:
        return False
    pyproject = _read_toml(f"{project}/pyproject.toml")
    uv = _read_toml(f"{project}/uv.toml") or _table(pyproject, "tool", "uv")
    off = _note_uv(found, uv, project, environ)
    sources = _table(pyproject, "tool", "poetry").get("source")
    for source in sources if isinstance(sources, list) else ():
        if isinstance(source, dict) and isinstance(source.get("url"), str):
            main = source.get("priority", "primary") in {"primary", "default"}
            found.index(source["url"], main=main)
    return off


def _read_uv(found: _Found, environ: Mapping[str, str], config: str) -> bool:
    """Note what uv's variables and files name; whether they want no index at all."""
    for word in environ.get("UV_INDEX", "").split():
        name, equals, url = word.partition("=")
        named = bool(equals) and "://" not in name
        found.index(url if named else word, name=name if named else "", environ=environ)
    for variable, main in (("UV_DEFAULT_INDEX", True), ("UV_INDEX_URL", True), ("UV_EXTRA_INDEX_URL", False)):
        for word in environ.get(variable, "").split():
            name, equals, url = word.partition("=")
            found.index(url if equals and "://" not in name else word, main=main)
    for place in environ.get("UV_FIND_LINKS", "").replace(",", " ").split():
        found.link(place, os.getcwd())
    off = environ.get("UV_NO_INDEX", "").lower() in _TRUE
    if environ.get("UV_NO_CONFIG", "").lower() in _TRUE:
        return off
    named_file = environ.get("UV_CONFIG_FILE", "")
    folders = [config, *environ.get("XDG_CONFIG_DIRS", "").split(":"), "/etc"]
    files = [named_file] if named_file else [f"{folder}/uv/uv.toml" for folder in folders if folder]
    for file in files:
        off |= _note_uv(found, _read_toml(file), os.path.dirname(file), environ)
    return off


def _note_uv(found: _Found, table: dict[str, Any], folder: str, environ: Mapping[str, str]) -> bool:
    """Note what a table of uv's settings, in a file of *folder*, names; whether it wants no index at all."""
    indexes = table.get("index")
    for index in indexes if isinstance(indexes, list) else ():
        if isinstance(index, dict) and isinstance(index.get("url"), str):
            name = index.get("name") if isinstance(index.get("name"), str) else ""
            flat = index.get("format") == "flat"
            if flat or "://" not in index["url"]:
                found.link(index["url"], folder)
            else:
                found.index(index["url"], main=index.get("default") is True, name=str(name), environ=environ)
    off = False
    for part in (table, _table(table, "pip")):
        for url in _texts(part.get("index-url")):
            found.index(url, main=True)
        for url in _texts(part.get("extra-index-url")):
            found.index(url)
        for place in _texts(part.get("find-links")):
            found.link(place, folder)
        off = off or part.get("no-index") is True
    return off


def _pip_files(environ: Mapping[str, str], home: str, config: str, prefix: str) -> Iterator[str]:
    """The configuration files of pip, each one before those that override it. Source: pip's `configuration` documentation."""
    named = environ.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return
    folders = environ.get("XDG_CONFIG_DIRS") or "/etc/xdg"
    yield from (f"{folder}/pip/pip.conf" for folder in reversed(folders.split(":")) if folder)
    yield "/etc/pip.conf"
    if not (named and os.path.exists(named)):
        yield from (f"{home}/.pip/pip.conf", f"{config}/pip/pip.conf")
    if prefix:
        yield f"{prefix}/pip.conf"
    if named:
        yield named


def _read_pip(environ: Mapping[str, str], home: str, config: str, prefix: str) -> tuple[dict[str, str], bool]:
    """The settings of pip by name (``index-url``), and whether it wants no index at all."""
    settings: dict[str, str] = {}
    for file in _pip_files(environ, home, config, prefix):
        parser = configparser.RawConfigParser()
        try:
            parser.read_string(_read(file).decode("utf-8", "replace"))
        except configparser.Error:
            continue
        for section in ("global", "install", "download"):
            if parser.has_section(section):
                for key, value in parser.items(section):
                    settings[key.lower().replace("_", "-").removeprefix("--")] = value
    for variable, value in environ.items():
        if variable.startswith("PIP_") and value and variable not in {"PIP_CONFIG_FILE", "PIP_VERSION", "PIP_HELP"}:
            settings[variable[4:].lower().replace("_", "-")] = value
    return settings, settings.get("no-index", "").lower() in _TRUE


def _note_pip(found: _Found, settings: Mapping[str, str]) -> None:
    for place in _words(settings.get("find-links", "")):
        found.link(place, os.getcwd())
    if settings.get("no-index", "").lower() in _TRUE:
        return
    for url in _words(settings.get("index-url", settings.get("pypi-url", "")))[:1]:
        if "://" in url:
            found.index(url, main=True)
        else:
            found.index("file://" + os.path.abspath(os.path.expanduser(url)), main=True)
    for url in _words(settings.get("extra-index-url", "")):
        found.index(url if "://" in url else "file://" + os.path.abspath(os.path.expanduser(url)))


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text, comments=True)
    except ValueError:
        return text.split()


def ask_default(environ: Mapping[str, str], *, executables: Iterable[str] = ()) -> str:
    """The index that the installed tools take by default, as their own help states it; empty where none can be asked.

    *executables* are further Pythons that may have pip.
    """
    from shutil import which

    path = environ.get("PATH")
    commands: list[list[str]] = []
    if uv := which("uv", path=path):
        commands.append([uv, "pip", "install", "--help", "--color", "never"])
    pythons = dict.fromkeys([sys.executable, *executables, which("python3", path=path) or ""])
    commands += [[python, "-I", "-m", "pip", "download", "--help"] for python in pythons if python]
    if pip := which("pip", path=path):
        commands.append([pip, "download", "--help"])
    quiet = {
        "PATH": path or "",
        "HOME": environ.get("HOME", ""),
        "UV_NO_CONFIG": "1",
        "PIP_CONFIG_FILE": os.devnull,
        "NO_COLOR": "1",
    }
    for command in commands:
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=_PATIENCE, check=False, stdin=subprocess.DEVNULL, env=quiet
            )
        except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
            continue
        match = _DEFAULT.search(" ".join(done.stdout.split()))
        if match is not None:
            return match[1].rstrip(".")
    return ""
