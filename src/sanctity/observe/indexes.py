"""Which package indexes the user's own configuration names: that of pip, of uv, and of the project.

Read are pip's files and variables, uv's files and variables, and the sources in a project's pyproject.toml (uv's and Poetry's). No
index is named here: where none of them names a main one, the installed tools are asked for their default (`ask_default`). What can
not be parsed is passed over, as it says nothing; the hash of what is fetched is checked wherever it comes from.
"""

from __future__ import annotations

import configparser
import os
import re
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from sanctity.model.index import Credentials, Indexes
from sanctity.observe.view import View

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["ask_default", "read_indexes"]

_LARGEST: Final = 1 << 20
_HERE: Final = View()
_PATIENCE: Final = 20  # seconds that a tool may take to print its help
_DEFAULT: Final = re.compile(r"\(?(?:by )?default:? <?(https?://[^\s<>()]+)>?\)?")
#: Sections of pip's files, each outdone by those after it; the last stands for the variables.
_SECTIONS: Final = ("global", "download", "install", ":env:")
_UV_KEYS: Final = ("UV_INDEX_{}_USERNAME", "UV_INDEX_{}_PASSWORD")
_POETRY_KEYS: Final = ("POETRY_HTTP_BASIC_{}_USERNAME", "POETRY_HTTP_BASIC_{}_PASSWORD")
_TRUE: Final = frozenset({"1", "true", "yes", "on", "y", "t"})


class _Found:
    """What was found so far, in the order in which it is to be asked."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.urls: dict[str, None] = {}
        self.links: dict[str, None] = {}
        self.credentials: list[Credentials] = []
        self.mains: set[str] = set()
        self.complete = False
        self.offline = False

    def index(self, url: str, folder: str, *, main: str = "", name: str = "", keys: tuple[str, ...] = ()) -> None:
        """Note an index; a relative path starts from *folder*.

        *main* is the tool for which it stands in the place of the default one: the first that is noted does. *keys* are variables
        of the index called *name* (``UV_INDEX_{}_USERNAME``) that hold a user and a password for it.
        """
        plain = self.plain(url if _is_url(url) else _file_url(url, folder))
        if not plain or (main and main in self.mains):
            return
        self.urls.setdefault(plain, None)
        if main:
            self.mains.add(main)
            self.complete = True
        if name and keys:
            key = re.sub(r"[^A-Z0-9]", "_", name.upper())
            user, password = (self.environ.get(variable.format(key), "") for variable in keys)
            if user:
                self.credentials.insert(0, Credentials(origin=_origin(plain), user=user, password=password))

    def link(self, place: str, folder: str) -> None:
        """Note a folder or page of links; a relative path starts from *folder*."""
        place = place.strip()
        if place:
            where = self.plain(place) if _is_url(place) else os.path.normpath(os.path.join(folder, os.path.expanduser(place)))
            if where:
                self.links.setdefault(where, None)

    def plain(self, url: str) -> str:
        """*url* less its credentials, which are noted; empty where it is none."""
        try:
            parts = urlsplit(url.strip())
        except ValueError:
            return ""
        if parts.scheme not in {"http", "https", "file"}:
            return ""
        secret, at, host = parts.netloc.rpartition("@")
        plain = urlunsplit(parts._replace(netloc=host, fragment=""))
        if at:
            user, _, password = secret.partition(":")
            self.credentials.append(Credentials(origin=_origin(plain), user=unquote(user), password=unquote(password)))
        return plain


def _is_url(text: str) -> bool:
    return "://" in text or text.strip().startswith("file:")


def _file_url(path: str, folder: str) -> str:
    return "file://" + quote(os.path.normpath(os.path.join(folder, os.path.expanduser(path.strip()))))


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme.lower()}://{parts.netloc.lower()}"


def read_indexes(environ: Mapping[str, str], project: str = "", *, prefix: str = "") -> Indexes:
    """The indexes that *environ* and the files of its user name, for a *project*'s folder and the environment at *prefix*."""
    found = _Found(environ)
    home = environ.get("HOME", "")
    config = environ.get("XDG_CONFIG_HOME") or (f"{home}/.config" if home else "")
    off = _read_uv(found, project, config)
    _read_poetry(found, project)
    pip = _read_pip(environ, home, config, prefix)
    _note_pip(found, pip)
    certificate = pip.get("cert", "") or environ.get("SSL_CERT_FILE", "") or environ.get("REQUESTS_CA_BUNDLE", "")
    return Indexes(
        urls=tuple(found.urls),
        links=tuple(found.links),
        complete=found.complete or off or _is_true(pip.get("no-index", "")),
        offline=found.offline,
        certificate=os.path.expanduser(certificate),
        netrc=environ.get("NETRC") or (f"{home}/.netrc" if home else ""),
        proxy=pip.get("proxy", ""),
        trusted=(*pip.get("trusted-host", "").split(), *environ.get("UV_INSECURE_HOST", "").split()),
        credentials=tuple(found.credentials),
    )


def _is_true(text: str) -> bool:
    return text.strip().lower() in _TRUE


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


def _read_poetry(found: _Found, project: str) -> None:
    """Note the sources that a project's pyproject.toml names for Poetry."""
    sources = _table(_read_toml(f"{project}/pyproject.toml") if project else {}, "tool", "poetry").get("source")
    for source in sources if isinstance(sources, list) else ():
        if isinstance(source, dict) and isinstance(source.get("url"), str):
            found.index(source["url"], project, name=str(source.get("name", "")), keys=_POETRY_KEYS)
            found.complete |= source.get("priority", "primary") in {"primary", "default"}


def _read_uv(found: _Found, project: str, config: str) -> bool:
    """Note what uv's variables and files name, the first that counts first; whether they want no index at all."""
    environ = found.environ
    here = os.getcwd()
    for variable, main in (("UV_INDEX", ""), ("UV_EXTRA_INDEX_URL", ""), ("UV_DEFAULT_INDEX", "uv"), ("UV_INDEX_URL", "uv")):
        for word in environ.get(variable, "").split():
            name, equals, url = word.partition("=")
            named = bool(equals) and re.fullmatch(r"[\w.-]+", name) is not None
            found.index(url if named else word, here, main=main, name=name if named else "", keys=_UV_KEYS)
    for place in environ.get("UV_FIND_LINKS", "").split(","):
        found.link(place, here)
    found.offline |= _is_true(environ.get("UV_OFFLINE", ""))
    off = _is_true(environ.get("UV_NO_INDEX", ""))
    if named_file := environ.get("UV_CONFIG_FILE", ""):
        return off | _note_uv(found, _read_toml(named_file), os.path.dirname(os.path.abspath(named_file)))
    if _is_true(environ.get("UV_NO_CONFIG", "")):
        return off
    folder, table = _uv_of_project(project)
    off |= _note_uv(found, table, folder)
    off |= _note_uv(found, _read_toml(f"{config}/uv/uv.toml"), f"{config}/uv") if config else False
    systems = [f"{place}/uv" for place in (*(environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":"), "/etc") if place]
    if system := next((place for place in systems if os.path.isfile(f"{place}/uv.toml")), ""):
        off |= _note_uv(found, _read_toml(f"{system}/uv.toml"), system)
    return off


def _uv_of_project(project: str) -> tuple[str, dict[str, Any]]:
    """The folder and the settings of uv that hold for *project*: the nearest, upwards, where uv.toml outdoes pyproject.toml."""
    folder = project
    while folder:
        if os.path.isfile(f"{folder}/uv.toml"):
            return folder, _read_toml(f"{folder}/uv.toml")
        if table := _table(_read_toml(f"{folder}/pyproject.toml"), "tool", "uv"):
            return folder, table
        above = os.path.dirname(folder)
        folder = above if above != folder else ""
    return "", {}


def _note_uv(found: _Found, table: dict[str, Any], folder: str) -> bool:
    """Note what a table of uv's settings, in a file of *folder*, names; whether it wants no index at all."""
    indexes = table.get("index")
    for index in indexes if isinstance(indexes, list) else ():
        if isinstance(index, dict) and isinstance(index.get("url"), str):
            if index.get("format") == "flat":
                found.link(index["url"], folder)
            else:
                main = "uv" if index.get("default") is True else ""
                found.index(index["url"], folder, main=main, name=str(index.get("name", "")), keys=_UV_KEYS)
    found.offline |= table.get("offline") is True
    off = False
    for part in (_table(table, "pip"), table):
        for url in _texts(part.get("extra-index-url")):
            found.index(url, folder)
        for url in _texts(part.get("index-url")):
            found.index(url, folder, main="uv")
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
    yield from (f"{folder}/pip/pip.conf" for folder in folders.split(":") if folder)
    yield "/etc/pip.conf"
    if not (named and os.path.exists(named)):
        yield from (f"{home}/.pip/pip.conf", f"{config}/pip/pip.conf")
    if prefix:
        yield f"{prefix}/pip.conf"
    if named:
        yield named


def _read_pip(environ: Mapping[str, str], home: str, config: str, prefix: str) -> dict[str, str]:
    """The settings of pip by name (``index-url``), for what it installs or downloads.

    All files count before any section does: ``[install]`` of any file outdoes ``[global]`` of every one.
    """
    sections: dict[str, dict[str, str]] = {name: {} for name in _SECTIONS}
    for file in _pip_files(environ, home, config, prefix):
        parser = configparser.RawConfigParser()
        try:
            parser.read_string(_read(file).decode("utf-8", "replace"))
        except configparser.Error:
            continue
        for section, settings in sections.items():
            if parser.has_section(section):
                settings.update((_pip_name(key), value) for key, value in parser.items(section))
    for variable, value in environ.items():
        if variable.startswith("PIP_") and variable not in {"PIP_VERSION", "PIP_HELP"}:
            sections[":env:"][_pip_name(variable[4:])] = value
    # What is empty says nothing, but it hides what the same section says of it in a file that counts less.
    return {key: value for settings in sections.values() for key, value in settings.items() if value}


def _pip_name(key: str) -> str:
    return key.lower().replace("_", "-").removeprefix("--")


def _note_pip(found: _Found, settings: Mapping[str, str]) -> None:
    here = os.getcwd()
    for place in settings.get("find-links", "").split():
        found.link(place, here)
    if _is_true(settings.get("no-index", "")):
        return
    main = settings.get("index-url", settings.get("pypi-url", ""))
    if main:
        found.index(main, here, main="pip")
    for url in settings.get("extra-index-url", "").split():
        found.index(url, here)


def ask_default(environ: Mapping[str, str], *, executables: Iterable[str] = ()) -> str:
    """The index that the installed tools take by default, as their own help states it; empty where none can be asked.

    *executables* are further Pythons that may have pip. None is asked that lies in a virtual environment other than this
    tool's own: that may be the one looked at, of which nothing is run.
    """
    from shutil import which

    folders = [folder for folder in environ.get("PATH", os.defpath).split(os.pathsep) if folder and _is_apart(folder)]
    path = os.pathsep.join(folders)
    commands: list[list[str]] = []
    if uv := which("uv", path=path):
        commands.append([uv, "pip", "install", "--help", "--color", "never"])
    pythons = dict.fromkeys([sys.executable, *executables, which("python3", path=path) or ""])
    commands += [[python, "-I", "-m", "pip", "download", "--help"] for python in pythons if python]
    if pip := which("pip", path=path):
        commands.append([pip, "download", "--help"])
    quiet = {
        "PATH": path,
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


def _is_apart(folder: str) -> bool:
    """Whether the programs in *folder* belong to no virtual or conda environment, or to this tool's own."""
    for place in {os.path.abspath(folder), os.path.realpath(folder)}:
        prefix = os.path.dirname(place)
        marked = os.path.exists(f"{prefix}/pyvenv.cfg") or os.path.isdir(f"{prefix}/conda-meta")
        if marked and os.path.realpath(prefix) != os.path.realpath(sys.prefix):
            return False
    return True
