"""Which indexes the user's configuration names: as the real pip and the real uv understand the same files and variables."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from sanctity.model.index import Credentials
from sanctity.observe.indexes import ask_default, read_indexes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from real.tools import Workshop

#: Nobody listens there, and pip is told to ask once only.
HERE = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def prefix(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the pip that this Python brings along."""
    folder = tmp_path_factory.mktemp("pip") / "env"
    workshop.run([sys.executable, "-m", "venv", folder])
    return folder


def _write(root: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("ROOT", str(root)))


def _environ(root: Path, **variables: str) -> dict[str, str]:
    """A process environment whose home and system folders lie below *root*."""
    named = {name: value.replace("ROOT", str(root)) for name, value in variables.items()}
    return {"PATH": os.environ["PATH"], "HOME": f"{root}/home", "XDG_CONFIG_DIRS": f"{root}/etc", **named}


def _shown(url: str) -> str:
    """*url* as pip prints it, less the credentials that it masks."""
    return re.sub(r"//[^/@]*@", "//", url)


def _pip_says(prefix: Path, root: Path, environ: dict[str, str]) -> tuple[list[str], list[str]]:
    """The indexes and links in which pip says that it looks."""
    argv = [str(prefix / "bin/python"), "-m", "pip", "download", "--retries", "0", "--disable-pip-version-check", "--no-cache-dir"]
    done = subprocess.run([*argv, "no-such-project"], env=environ, cwd=root, capture_output=True, text=True, check=False)
    assert "No matching distribution" in done.stderr, done.stderr
    indexes = re.search(r"^Looking in indexes: (.+)$", done.stdout, re.MULTILINE)
    links = re.search(r"^Looking in links: (.+)$", done.stdout, re.MULTILINE)
    return indexes[1].split(", ") if indexes else [], links[1].split(", ") if links else []


PIP = {
    "user": ({"home/.config/pip/pip.conf": f"[global]\nindex-url = {HERE}/a\nextra-index-url = {HERE}/b\n   {HERE}/c\n"}, {}),
    "legacy": ({"home/.pip/pip.conf": f"[global]\nindex_url = {HERE}/a\n"}, {}),
    "user and legacy": (
        {
            "home/.pip/pip.conf": f"[global]\nindex-url = {HERE}/legacy\n",
            "home/.config/pip/pip.conf": f"[global]\nindex-url = {HERE}/user\n",
        },
        {},
    ),
    "system": ({"etc/pip/pip.conf": f"[global]\nindex-url = {HERE}/system\nextra-index-url = {HERE}/more\n"}, {}),
    "several system folders": (
        {"one/pip/pip.conf": f"[global]\nindex-url = {HERE}/one\n", "two/pip/pip.conf": f"[global]\nindex-url = {HERE}/two\n"},
        {"XDG_CONFIG_DIRS": "ROOT/one:ROOT/two"},
    ),
    "user outdoes system": (
        {
            "etc/pip/pip.conf": f"[global]\nindex-url = {HERE}/system\n",
            "home/.config/pip/pip.conf": f"[global]\nindex-url = {HERE}/user\n",
        },
        {},
    ),
    "section outdoes file": (
        {
            "etc/pip/pip.conf": f"[download]\nindex-url = {HERE}/section\n",
            "home/.config/pip/pip.conf": f"[global]\nindex-url = {HERE}/user\n",
        },
        {},
    ),
    "variable outdoes section": (
        {"home/.config/pip/pip.conf": f"[download]\nindex-url = {HERE}/section\n"},
        {"PIP_INDEX_URL": f"{HERE}/variable"},
    ),
    "empty says nothing": (
        {"home/.config/pip/pip.conf": f"[global]\nindex-url = {HERE}/a\n[download]\nindex-url =\n"},
        {"PIP_INDEX_URL": ""},
    ),
    "named file": (
        {"home/.config/pip/pip.conf": f"[global]\nindex-url = {HERE}/user\n", "my.conf": f"[global]\nindex-url = {HERE}/mine\n"},
        {"PIP_CONFIG_FILE": "ROOT/my.conf"},
    ),
    "named file that is not there": (
        {"home/.config/pip/pip.conf": f"[global]\nindex-url = {HERE}/user\n"},
        {"PIP_CONFIG_FILE": "ROOT/no.conf"},
    ),
    "no files": (
        {"home/.config/pip/pip.conf": f"[global]\nindex-url = {HERE}/user\n"},
        {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": f"{HERE}/variable"},
    ),
    "own folder of configuration": (
        {"config/pip/pip.conf": f"[global]\nindex-url = {HERE}/mine\n"},
        {"XDG_CONFIG_HOME": "ROOT/config"},
    ),
    "credentials": (
        {},
        {"PIP_INDEX_URL": "http://us%40er:pass@127.0.0.1:9/a", "PIP_EXTRA_INDEX_URL": "http://token@127.0.0.1:9/b"},
    ),
    "links": (
        {
            "links/here": "",
            "home/.config/pip/pip.conf": f"[global]\nindex-url = {HERE}/a\nfind-links = ROOT/links\n  {HERE}/page.html\n",
        },
        {},
    ),
    "links by variable": ({"links/here": ""}, {"PIP_FIND_LINKS": "ROOT/links", "PIP_INDEX_URL": f"{HERE}/a"}),
    "no index": (
        {"links/here": "", "home/.config/pip/pip.conf": f"[global]\nno-index = yes\nindex-url = {HERE}/a\n"},
        {"PIP_FIND_LINKS": "ROOT/links"},
    ),
    "index on disk": ({"index/here": ""}, {"PIP_INDEX_URL": "file://ROOT/index"}),
    "extra only": ({}, {"PIP_EXTRA_INDEX_URL": f"{HERE}/b {HERE}/a"}),
}


@pytest.mark.parametrize("case", PIP)
def test_as_pip_says(prefix: Path, tmp_path: Path, case: str) -> None:
    files, variables = PIP[case]
    _write(tmp_path, files)
    environ = _environ(tmp_path, **variables)
    indexes, links = _pip_says(prefix, tmp_path, environ)
    mine = read_indexes(environ, prefix=str(prefix))
    # Where nothing names a main index, not even this machine's own pip.conf, pip puts its default before the others.
    assert mine.complete or case == "extra only"
    indexes = indexes if mine.complete else indexes[1:]
    assert list(mine.urls) == [_shown(url) for url in indexes]
    assert list(mine.links) == links
    assert mine.urls or mine.links


def test_file_of_the_environment(prefix: Path, tmp_path: Path) -> None:
    """The environment's own pip.conf outdoes the user's."""
    _write(tmp_path, {"home/.config/pip/pip.conf": f"[global]\nindex-url = {HERE}/user\n"})
    environ = _environ(tmp_path)
    (prefix / "pip.conf").write_text(f"[global]\nindex-url = {HERE}/site\n")
    try:
        assert _pip_says(prefix, tmp_path, environ)[0] == list(read_indexes(environ, prefix=str(prefix)).urls) == [f"{HERE}/site"]
    finally:
        (prefix / "pip.conf").unlink()


def test_other_settings_of_pip(prefix: Path, tmp_path: Path) -> None:
    """As `pip config list` lists them."""
    text = "[global]\ncert = ROOT/ca.pem\nproxy = http://proxy.example:3128\ntrusted-host = a.example\n    b.example:8080\n"
    _write(tmp_path, {"home/.config/pip/pip.conf": text})
    environ = _environ(tmp_path)
    mine = read_indexes(environ)
    listed = subprocess.run([prefix / "bin/pip", "config", "list"], env=environ, capture_output=True, text=True, check=True).stdout
    for key, value in (("cert", mine.certificate), ("proxy", mine.proxy), ("trusted-host", "\\n".join(("", *mine.trusted)))):
        assert re.search(rf"^global.{key}='(\\n)?(.*)'$", listed, re.MULTILINE), key
        assert value.removeprefix("\\n") in listed
    assert mine.trusted == ("a.example", "b.example:8080")


def _uv_says(uv: Path, root: Path, environ: dict[str, str]) -> tuple[list[str], str, list[str], bool, bool]:
    """uv's indexes but the default one, that one, its links, and whether it wants no index and is offline; as uv shows them itself."""
    argv = [str(uv), "pip", "install", "--show-settings", "no-such-project"]
    said = subprocess.run(argv, env=environ, cwd=root / "project", capture_output=True, text=True, check=True).stdout
    part = said[said.index("IndexLocations {") :]
    part = part[: part.index("no_index:") + 40]
    given = r"given: Some\(\s*\"(.*)\",\s*\)"
    indexes, _, links = part.partition("flat_index:")
    blocks = [block for block in re.split(r"\bIndex \{", indexes)[1:] if "format: Simple" in block]
    flat = [block for block in re.split(r"\bIndex \{", indexes)[1:] if "format: Flat" in block]
    urls = [(match[1], "default: true" in block) for block in blocks if (match := re.search(given, block))]
    main = next((url for url, default in urls if default), "")
    found = [url for url, default in urls if not default]
    places = [match[1] for block in flat if (match := re.search(given, block))] + re.findall(given, links)
    return found, main, places, "no_index: true" in part, re.search(r"\boffline: Enabled|connectivity: Offline", said) is not None


UV = {
    "variables": ({}, {"UV_INDEX": f"corp={HERE}/a {HERE}/b", "UV_DEFAULT_INDEX": f"{HERE}/main", "UV_FIND_LINKS": "/x y,/z"}),
    "older variables": ({}, {"UV_INDEX_URL": f"{HERE}/main", "UV_EXTRA_INDEX_URL": f"{HERE}/a {HERE}/b"}),
    "project": (
        {
            "project/pyproject.toml": f'[tool.uv]\nfind-links = ["/links"]\n[[tool.uv.index]]\nname = "corp"\nurl = "{HERE}/a"\n'
            f'[[tool.uv.index]]\nurl = "{HERE}/main"\ndefault = true\n'
        },
        {},
    ),
    "uv.toml outdoes pyproject.toml": (
        {
            "project/pyproject.toml": f'[[tool.uv.index]]\nurl = "{HERE}/pyproject"\n',
            "project/uv.toml": f'[[index]]\nurl = "{HERE}/own"\n',
        },
        {},
    ),
    "folder above": ({"uv.toml": f'[[index]]\nurl = "{HERE}/above"\n', "project/pyproject.toml": "[project]\nname = 'x'\n"}, {}),
    "user and system": (
        {
            "home/.config/uv/uv.toml": f'[[index]]\nurl = "{HERE}/user"\n[[index]]\nurl = "{HERE}/user-main"\ndefault = true\n',
            "etc/uv/uv.toml": f'[[index]]\nurl = "{HERE}/system"\n[[index]]\nurl = "{HERE}/system-main"\ndefault = true\n',
        },
        {},
    ),
    "several system folders": (
        {"one/uv/uv.toml": f'[[index]]\nurl = "{HERE}/one"\n', "two/uv/uv.toml": f'[[index]]\nurl = "{HERE}/two"\n'},
        {"XDG_CONFIG_DIRS": "ROOT/none:ROOT/one:ROOT/two"},
    ),
    "project before user": (
        {
            "home/.config/uv/uv.toml": f'[[index]]\nurl = "{HERE}/user"\n',
            "project/uv.toml": f'[[index]]\nurl = "{HERE}/project"\n',
        },
        {"UV_INDEX": f"{HERE}/variable"},
    ),
    "named file": (
        {
            "home/.config/uv/uv.toml": f'[[index]]\nurl = "{HERE}/user"\n',
            "project/uv.toml": f'[[index]]\nurl = "{HERE}/project"\n',
            "my.toml": f'[[index]]\nurl = "{HERE}/mine"\n',
        },
        {"UV_CONFIG_FILE": "ROOT/my.toml"},
    ),
    "no files": (
        {"project/uv.toml": f'[[index]]\nurl = "{HERE}/project"\n'},
        {"UV_NO_CONFIG": "1", "UV_INDEX": f"{HERE}/variable"},
    ),
    "table of pip": ({"project/uv.toml": f'[pip]\nindex-url = "{HERE}/main"\nextra-index-url = ["{HERE}/a"]\n'}, {}),
    "flat": ({"project/uv.toml": f'[[index]]\nurl = "{HERE}/page"\nformat = "flat"\n'}, {}),
    "no index": ({"project/uv.toml": 'no-index = true\nfind-links = ["/links"]\n'}, {}),
    "offline": ({"project/uv.toml": f'offline = true\nindex-url = "{HERE}/main"\n'}, {}),
    "offline by variable": ({}, {"UV_OFFLINE": "1", "UV_INDEX_URL": f"{HERE}/main"}),
}


@pytest.mark.index
@pytest.mark.parametrize("case", UV)
def test_as_uv_shows(workshop: Workshop, tmp_path: Path, case: str) -> None:
    files, variables = UV[case]
    (tmp_path / "project").mkdir()
    _write(tmp_path, files)
    environ = _environ(tmp_path, **variables)
    indexes, main, links, no_index, offline = _uv_says(workshop.tool("uv"), tmp_path, environ)
    mine = read_indexes(environ, str(tmp_path / "project"))
    assert [url for url in mine.urls if url != main] == indexes
    assert (main in mine.urls) is bool(main)
    assert len(mine.urls) == len(indexes) + bool(main)
    assert sorted(mine.links) == sorted(links)
    assert mine.complete is (bool(main) or no_index)
    assert mine.offline is offline
    assert mine.urls or mine.links


def test_relative_places_of_uv(tmp_path: Path) -> None:
    """They start from the folder of the file that names them."""
    text = 'find-links = ["./links"]\n[[index]]\nurl = "../index"\n[[index]]\nurl = "flat"\nformat = "flat"\n'
    _write(tmp_path, {"project/uv.toml": text})
    mine = read_indexes(_environ(tmp_path), str(tmp_path / "project"))
    assert mine.urls == (f"file://{tmp_path}/index",)
    assert mine.links == (f"{tmp_path}/project/flat", f"{tmp_path}/project/links")


def test_poetry_sources(tmp_path: Path) -> None:
    text = f"""
[[tool.poetry.source]]
name = "corp-one"
url = "{HERE}/one/simple/"
priority = "supplemental"
[[tool.poetry.source]]
name = "PyPI"
"""
    _write(tmp_path, {"project/pyproject.toml": text})
    environ = _environ(tmp_path, POETRY_HTTP_BASIC_CORP_ONE_USERNAME="ann", POETRY_HTTP_BASIC_CORP_ONE_PASSWORD="s3cret")
    mine = read_indexes(environ, str(tmp_path / "project"))
    assert mine.urls == (f"{HERE}/one/simple/",)
    assert not mine.complete
    assert mine.credentials == (Credentials(origin=HERE, user="ann", password="s3cret"),)
    _write(tmp_path, {"project/pyproject.toml": text.replace("supplemental", "primary")})
    assert read_indexes(environ, str(tmp_path / "project")).complete


def test_credentials(tmp_path: Path) -> None:
    """They leave the URL, are kept for their origin alone, and are shown nowhere; uv's variables outdo the URL's own."""
    environ = _environ(
        tmp_path,
        UV_INDEX="my-corp=https://old:0ld@index.example/simple",
        UV_INDEX_MY_CORP_USERNAME="ann",
        UV_INDEX_MY_CORP_PASSWORD="s3cret",
        PIP_INDEX_URL="https://b%40b:p%3Aq@Other.Example:8443/simple",
    )
    mine = read_indexes(environ)
    assert mine.urls == ("https://index.example/simple", "https://Other.Example:8443/simple")
    assert mine.credentials[0] == Credentials(origin="https://index.example", user="ann", password="s3cret")
    assert Credentials(origin="https://other.example:8443", user="b@b", password="p:q") in mine.credentials
    assert not re.search("ann|s3cret|0ld|b@b|p:q", repr(mine))


@pytest.mark.parametrize(
    "text",
    ["\x00", "index-url = a\n", "[global\nindex-url", "[global]\nindex-url = http://[broken\n", "[global]\na\n" * 9, "[[[[" * 9999],
)
def test_malformed_files_say_nothing(tmp_path: Path, text: str) -> None:
    places = ("home/.config/pip/pip.conf", "home/.config/uv/uv.toml", "project/uv.toml", "project/pyproject.toml")
    before = read_indexes(_environ(tmp_path), str(tmp_path / "project"))
    _write(tmp_path, dict.fromkeys(places, text))
    environ = _environ(tmp_path)
    assert read_indexes(environ, str(tmp_path / "project")) == before


def test_default_of_the_tools(workshop: Workshop, prefix: Path, tmp_path: Path) -> None:
    """It is what pip's own help says, whatever the user's settings are; and nothing where no tool is there."""
    helped = subprocess.run(
        [prefix / "bin/pip", "download", "--help"], env=_environ(tmp_path), capture_output=True, text=True, check=True
    )
    stated = re.search(r"\(default (\S+)\)", " ".join(helped.stdout.split()))
    assert stated is not None
    environ = _environ(tmp_path, PIP_INDEX_URL=f"{HERE}/other", UV_DEFAULT_INDEX=f"{HERE}/other", PATH=str(tmp_path))
    assert ask_default(environ, executables=[str(prefix / "bin/python")]) == stated[1]


@pytest.mark.index
def test_default_of_uv(workshop: Workshop, prefix: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """uv and pip state the same one."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/uv").symlink_to(workshop.tool("uv"))
    monkeypatch.setattr(sys, "executable", "/nowhere")
    environ = _environ(tmp_path, PATH=str(tmp_path / "bin"), UV_DEFAULT_INDEX=f"{HERE}/other")
    alone = _environ(tmp_path, PATH=str(tmp_path))
    assert ask_default(environ) == ask_default(alone, executables=[str(prefix / "bin/python")]) != ""


@pytest.mark.parametrize("mark", ["pyvenv.cfg", "conda-meta"])
@pytest.mark.parametrize("linked", [False, True], ids=["itself", "through a link"])
def test_nothing_of_an_activated_environment_is_run(tmp_path: Path, mark: str, *, linked: bool) -> None:
    """It is on the search path, and may be the one that is looked at: not even its uv or pip is asked."""
    env = tmp_path / "env"
    (env / "bin").mkdir(parents=True)
    (env / mark).mkdir() if mark == "conda-meta" else (env / mark).write_text("home = /usr/bin\n")
    for name in ("uv", "pip", "python3"):
        (env / "bin" / name).write_text(f"#!/bin/sh\necho ran >> {tmp_path}/ran\necho '(default: https://evil.example/simple)'\n")
        (env / "bin" / name).chmod(0o755)
    place = env / "bin"
    if linked:
        place = tmp_path / "link"
        place.symlink_to(env / "bin")
    assert "evil" not in ask_default(_environ(tmp_path, PATH=f"{place}:{tmp_path}"))
    assert not (tmp_path / "ran").exists()
    plain = tmp_path / "plain"
    shutil.copytree(env / "bin", plain)
    assert ask_default(_environ(tmp_path, PATH=str(plain))) == "https://evil.example/simple"
