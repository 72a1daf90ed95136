"""Broken documents of our own making, several a format, and what must be said of each.

A `Case` is a file (and perhaps others beside it) and the finding that it must give: its code, its place, and the exit code of
``sanctity lint``. What a document hides under `SECRET` must never be told, in no format and on no stream.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CASES", "SECRET", "SOUND", "Case"]

SECRET: Final = "s3cr3t-0f-0urs"
SHA: Final = "ab" * 32
OTHER: Final = "cd" * 32
MD5: Final = "ef" * 16
#: One line of fifty megabytes.
LONG: Final = b"x" * 50_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """*data* under the name *file*, *beside* other files: the *code* and *where* that must be told, and the *exit* code of lint."""

    name: str
    file: str
    data: bytes
    code: str
    where: str = ""
    exit: int = 2
    beside: Mapping[str, bytes] = field(default_factory=dict)


def _case(name: str, file: str, data: str | bytes, code: str, where: str = "", ends: int = 2, **beside: bytes) -> Case:
    format_, _, what = name.partition(" ")
    data = data.encode() if isinstance(data, str) else data
    return Case(name=f"{format_}-{what.replace(' ', '-')}", file=file, data=data, code=code, where=where, exit=ends, beside=beside)


# --- uv ----------------------------------------------------------------------------------------------------------------------


def _uv(*, files: str = "", head: str = "version = 1\nrevision = 3\n", name: str = "six", source: str = "", rest: str = "") -> str:
    wheel = f'{{ url = "https://files.example/six-1.16.0-py2.py3-none-any.whl", hash = "sha256:{SHA}", size = 11053 }}'
    return f"""{head}requires-python = ">=3.9"

[[package]]
name = "app"
version = "0.1"
source = {{ virtual = "." }}
dependencies = [{{ name = "{name}" }}]

[[package]]
name = "{name}"
version = "1.16.0"
source = {source or '{ registry = "https://index.example/simple" }'}
wheels = [
    {files or wheel},
]
{rest}"""


def _wheel(
    *, url: str = "https://files.example/six-1.16.0-py2.py3-none-any.whl", digest: str = f"sha256:{SHA}", more: str = ""
) -> str:
    return f'{{ url = "{url}", hash = "{digest}"{more} }}'


_UV: Final = (
    _case("uv truncated", "uv.lock", _uv()[:-40], "lock-syntax", "line"),
    _case(
        "uv merge conflict",
        "uv.lock",
        _uv(rest="<<<<<<< HEAD\nx = 1\n=======\nx = 2\n>>>>>>> other\n"),
        "lock-merge-conflict",
        "line 18",
    ),
    _case("uv utf-16", "uv.lock", _uv().encode("utf-16"), "lock-bad-encoding"),
    _case("uv latin-1", "uv.lock", _uv(rest="# caf\xe9\n").encode("latin-1"), "lock-bad-encoding", "line 18"),
    _case("uv byte order mark", "uv.lock", b"\xef\xbb\xbf" + _uv().encode(), "lock-bad-encoding"),
    _case("uv nul", "uv.lock", _uv(rest="# \0\n"), "lock-bad-encoding", "line 18"),
    _case("uv empty", "uv.lock", b" \n\n", "lock-empty"),
    _case("uv deep nesting", "uv.lock", "x = " + "[" * 100_000, "lock-syntax"),
    _case("uv unknown version", "uv.lock", _uv(head="version = 2\n"), "lock-version-unsupported", "version"),
    _case("uv no version", "uv.lock", _uv(head=""), "lock-version-unsupported", "version"),
    _case("uv duplicate key", "uv.lock", _uv(head="version = 1\nversion = 1\n"), "lock-syntax", "line 2"),
    _case("uv gigantic version", "uv.lock", _uv(head=f"version = {'9' * 10_000}\n"), "lock-syntax"),
    _case(
        "uv gigantic size", "uv.lock", _uv(files=_wheel(more=f", size = {10**30}")), "lock-bad-size", "package[1].wheels[0].size"
    ),
    _case("uv negative size", "uv.lock", _uv(files=_wheel(more=", size = -1")), "lock-bad-size", "package[1].wheels[0].size"),
    _case("uv wrong types", "uv.lock", 'version = 1\npackage = "six"\n', "lock-bad-type", "package"),
    _case(
        "uv contradictory rows",
        "uv.lock",
        _uv(files=f"{_wheel()}, {_wheel(digest=f'sha256:{OTHER}')}"),
        "lock-contradictory",
        "wheels[1]",
    ),
    _case(
        "uv same package twice",
        "uv.lock",
        _uv() + _uv().partition('dependencies = [{ name = "six" }]')[2],
        "lock-duplicate-package",
        "package[2]",
    ),
    _case("uv short hash", "uv.lock", _uv(files=_wheel(digest="sha256:abcd")), "malformed-hash", "package[1].wheels[0].hash"),
    _case(
        "uv hash that is none",
        "uv.lock",
        _uv(files=_wheel(digest=f"sha256:{'zz' * 32}")),
        "malformed-hash",
        "package[1].wheels[0].hash",
    ),
    _case("uv md5 only", "uv.lock", _uv(files=_wheel(digest=f"md5:{MD5}")), "weak-hash", "package[1]", 0),
    _case(
        "uv no hash",
        "uv.lock",
        _uv(files='{ url = "https://files.example/six-1.16.0-py2.py3-none-any.whl" }'),
        "unhashed",
        "package[1]",
        0,
    ),
    _case(
        "uv lookalike name",
        "uv.lock",
        _uv(name="reqeusts", files=_wheel(url="https://files.example/reqeusts-1.16.0-py3-none-any.whl")),
        "name-lookalike",
        "package[1]",
        0,
    ),
    _case(
        "uv path traversal",
        "uv.lock",
        _uv(files=f'{{ filename = "../../etc/passwd", hash = "sha256:{SHA}" }}'),
        "lock-unsafe-filename",
        "package[1].wheels[0].filename",
    ),
    _case(
        "uv path traversal in a url",
        "uv.lock",
        _uv(files=_wheel(url="https://files.example/..%2f..%2fsix-1.16.0-py3-none-any.whl")),
        "lock-unsafe-filename",
        "package[1].wheels[0].url",
    ),
    _case(
        "uv password",
        "uv.lock",
        _uv(files=_wheel(url=f"https://me:{SECRET}@files.example/six-1.16.0-py2.py3-none-any.whl")),
        "lock-url-credentials",
        "package[1].wheels[0].url",
        1,
    ),
    _case(
        "uv token in a query",
        "uv.lock",
        _uv(source=f'{{ registry = "https://index.example/simple?token={SECRET}" }}'),
        "lock-url-credentials",
        "package[1].source.registry",
        1,
    ),
    _case(
        "uv password where a port should be",
        "uv.lock",
        _uv(source=f'{{ registry = "https://me:{SECRET}/simple" }}'),
        "lock-bad-url",
        "package[1].source.registry",
    ),
    _case("uv secret in what is no name", "uv.lock", _uv(name=f"https://me:{SECRET}@x.example"), "lock-bad-name", ""),
    _case(
        "uv branch for a commit",
        "uv.lock",
        _uv(source=f'{{ git = "https://me:{SECRET}@git.example/six#main" }}'),
        "lock-bad-source",
        "package[1].source.git",
    ),
    _case(
        "uv no root", "uv.lock", _uv().replace('{ virtual = "." }', '{ registry = "https://index.example/simple" }'), "lock-no-root"
    ),
    _case(
        "uv file of another release",
        "uv.lock",
        _uv(files=_wheel(url="https://files.example/six-1.15.0-py2.py3-none-any.whl")),
        "filename-mismatch",
        "package[1].wheels[0]",
        1,
    ),
    _case(
        "uv a line of fifty megabytes",
        "uv.lock",
        b'version = 1\nx = "' + LONG + b'"\n[[package]]\nname = 1\n',
        "lock-missing-key",
        "package[0]",
    ),
    _case("uv too large", "uv.lock", b"# " + b"x" * (1 << 26), "lock-too-large"),
    _case("uv ten thousand faults", "uv.lock", "version = 1\n" + "[[package]]\n" * 10_000, "lock-missing-key", "package[0]"),
    _case("uv a million tables", "uv.lock", "version = 1\n" + "[[package]]\n" * 1_000_000, "lock-too-large"),
    _case("uv a million arrays", "uv.lock", "version = 1\nx = [" + "[]," * 1_000_000 + "]\n", "lock-too-large"),
    _case(
        "uv a hundred thousand keys of keys",
        "uv.lock",
        "version = 1\n" + "".join(f"a{n}.b = 1\n" for n in range(100_000)) + "package = 7\n",
        "lock-bad-type",
        "package",
    ),
    _case(
        "uv marker of a thousand brackets",
        "uv.lock",
        _uv(rest=f"resolution-markers = [\"{'(' * 1000}os_name == 'nt'{')' * 1000}\"]\n"),
        "lock-bad-marker",
    ),
)

# --- Poetry ------------------------------------------------------------------------------------------------------------------


def _poetry(*, version: str = "2.1", digest: str = f"sha256:{SHA}", name: str = "six", more: str = "", files: str = "") -> str:
    return f"""[[package]]
name = "{name}"
version = "1.16.0"
optional = false
python-versions = ">=2.7"
groups = ["main"]
files = [{files or f'{{file = "six-1.16.0-py2.py3-none-any.whl", hash = "{digest}"}}'}]
{more}
[metadata]
lock-version = "{version}"
python-versions = ">=3.9"
content-hash = "{SHA}"
"""


_POETRY: Final = (
    _case("poetry truncated", "poetry.lock", _poetry().partition("[metadata]")[0], "lock-missing-key"),
    _case("poetry cut in a line", "poetry.lock", _poetry()[:150], "lock-syntax", "line"),
    _case("poetry merge conflict", "poetry.lock", "<<<<<<< HEAD\n" + _poetry(), "lock-merge-conflict", "line 1"),
    _case("poetry unknown version", "poetry.lock", _poetry(version="9.0"), "lock-version-unsupported", "metadata.lock-version"),
    _case("poetry short hash", "poetry.lock", _poetry(digest="sha256:abc"), "malformed-hash", "package[0].files[0]"),
    _case("poetry md5 only", "poetry.lock", _poetry(digest=f"md5:{MD5}"), "weak-hash", "package[0]", 0),
    _case("poetry wrong types", "poetry.lock", _poetry(files="1, 2"), "lock-bad-type", "package[0].files[0]"),
    _case(
        "poetry path traversal",
        "poetry.lock",
        _poetry(files=f'{{file = "../six-1.16.0.tar.gz", hash = "sha256:{SHA}"}}'),
        "lock-unsafe-filename",
        "package[0].files[0]",
    ),
    _case(
        "poetry password",
        "poetry.lock",
        _poetry(more=f'[package.source]\ntype = "legacy"\nurl = "https://me:{SECRET}@index.example/simple"\nreference = "own"\n'),
        "lock-url-credentials",
        "package[0].source",
        1,
    ),
    _case(
        "poetry password with a slash",
        "poetry.lock",
        _poetry(more=f'[package.source]\ntype = "legacy"\nurl = "https://me:{SECRET}/x@index.example/simple"\nreference = "own"\n'),
        "lock-bad-url",
        "package[0].source",
    ),
    _case(
        "poetry same package twice",
        "poetry.lock",
        _poetry().partition("[metadata]")[0] + _poetry(),
        "lock-duplicate-package",
        "package[1]",
    ),
    _case(
        "poetry bad constraint",
        "poetry.lock",
        _poetry().replace(">=2.7", ">>2"),
        "lock-bad-specifier",
        "package[0].python-versions",
    ),
)

# --- PDM ---------------------------------------------------------------------------------------------------------------------


def _pdm(*, version: str = "4.5.0", digest: str = f"sha256:{SHA}", files: str = "", more: str = "") -> str:
    return f"""[metadata]
groups = ["default"]
strategy = ["inherit_metadata"]
lock_version = "{version}"
content_hash = "sha256:{SHA}"

[[package]]
name = "six"
version = "1.16.0"
groups = ["default"]
{more}files = [{files or f'{{file = "six-1.16.0-py2.py3-none-any.whl", hash = "{digest}"}}'}]
"""


_PDM: Final = (
    _case("pdm truncated", "pdm.lock", _pdm()[:-30], "lock-syntax", "line"),
    _case("pdm utf-16", "pdm.lock", _pdm().encode("utf-16"), "lock-bad-encoding"),
    _case("pdm unknown version", "pdm.lock", _pdm(version="9.0"), "lock-version-unsupported", "metadata.lock_version"),
    _case("pdm short hash", "pdm.lock", _pdm(digest="sha256:12"), "malformed-hash", "package[0].files[0]"),
    _case("pdm wrong types", "pdm.lock", _pdm(files="true"), "lock-bad-type", "package[0].files"),
    _case(
        "pdm path traversal",
        "pdm.lock",
        _pdm(files=f'{{file = "../../x.whl", hash = "sha256:{SHA}"}}'),
        "lock-unsafe-filename",
        "package[0].files[0]",
    ),
    _case(
        "pdm token in a query",
        "pdm.lock",
        _pdm(files=f'{{url = "https://files.example/six-1.16.0-py2.py3-none-any.whl?sig={SECRET}", hash = "sha256:{SHA}"}}'),
        "lock-url-credentials",
        "package[0].files[0]",
        1,
    ),
    _case(
        "pdm password of a repository",
        "pdm.lock",
        _pdm(more=f'git = "https://me:{SECRET}@git.example/six"\nrevision = "{"a" * 40}"\n'),
        "lock-url-credentials",
        "package[0]",
        1,
    ),
)

# --- Pipfile -----------------------------------------------------------------------------------------------------------------


def _pipfile(*, url: str = "https://index.example/simple", six: object = None, spec: object = 6) -> str:
    row = {"hashes": [f"sha256:{SHA}"], "version": "==1.16.0", "index": "pypi"} if six is None else six
    meta = {
        "hash": {"sha256": SHA},
        "pipfile-spec": spec,
        "requires": {},
        "sources": [{"name": "pypi", "url": url, "verify_ssl": True}],
    }
    return json.dumps({"_meta": meta, "default": {"six": row}, "develop": {}}, indent=4)


_PIPFILE: Final = (
    _case("pipfile truncated", "Pipfile.lock", _pipfile()[:-30], "lock-syntax", "line"),
    _case(
        "pipfile duplicate key", "Pipfile.lock", _pipfile().replace('"develop": {}', '"develop": {}, "default": {}'), "lock-syntax"
    ),
    _case("pipfile no number", "Pipfile.lock", _pipfile().replace('"pipfile-spec": 6', '"pipfile-spec": NaN'), "lock-syntax"),
    _case("pipfile deep nesting", "Pipfile.lock", "[" * 100_000, "lock-syntax"),
    _case(
        "pipfile gigantic number",
        "Pipfile.lock",
        _pipfile().replace('"pipfile-spec": 6', f'"pipfile-spec": {"9" * 10_000}'),
        "lock-syntax",
    ),
    _case("pipfile unknown version", "Pipfile.lock", _pipfile(spec=99), "lock-version-unsupported", "_meta.pipfile-spec"),
    _case(
        "pipfile merge conflict",
        "Pipfile.lock",
        _pipfile().replace('    "default"', '<<<<<<< HEAD\n    "default"'),
        "lock-merge-conflict",
        "line",
    ),
    _case(
        "pipfile short hash",
        "Pipfile.lock",
        _pipfile(six={"hashes": ["sha256:ff"], "version": "==1.16.0"}),
        "malformed-hash",
        "default.six",
    ),
    _case("pipfile wrong types", "Pipfile.lock", _pipfile(six={"hashes": 7, "version": ["1"]}), "lock-bad-type", "default.six"),
    _case(
        "pipfile password",
        "Pipfile.lock",
        _pipfile(url=f"https://me:{SECRET}@index.example/simple"),
        "lock-url-credentials",
        "_meta.sources[0]",
        1,
    ),
    _case("pipfile a million arrays", "Pipfile.lock", '{"_meta": {"x": [' + "[]," * 1_000_000 + "[]]}}", "lock-too-large"),
    _case("pipfile half a surrogate", "Pipfile.lock", _pipfile().replace("1.16.0", "\\ud800"), "lock-syntax"),
)

# --- pylock ------------------------------------------------------------------------------------------------------------------


def _pylock(*, version: str = "1.0", package: str = "", more: str = "") -> str:
    wheels = f'wheels = [{{ url = "https://files.example/six-1.16.0-py2.py3-none-any.whl", hashes = {{ sha256 = "{SHA}" }} }}]'
    return f'lock-version = "{version}"\ncreated-by = "us"\n\n[[packages]]\nname = "six"\nversion = "1.16.0"\n{package or wheels}\n{more}'


_PYLOCK: Final = (
    _case("pylock truncated", "pylock.toml", _pylock()[:-20], "lock-syntax", "line"),
    _case("pylock unknown version", "pylock.toml", _pylock(version="2.0"), "lock-version-unsupported", "lock-version"),
    _case("pylock no packages", "pylock.toml", 'lock-version = "1.0"\ncreated-by = "us"\n', "lock-missing-key"),
    _case("pylock two sources", "pylock.toml", _pylock(more='directory = { path = "." }\n'), "lock-bad-source", "packages[0]"),
    _case("pylock no source", "pylock.toml", _pylock(package="# none"), "lock-bad-source", "packages[0]"),
    _case("pylock short hash", "pylock.toml", _pylock().replace(SHA, "abab"), "malformed-hash", "packages[0].wheels[0].hashes"),
    _case(
        "pylock unknown algorithm",
        "pylock.toml",
        _pylock().replace("sha256", "crc32"),
        "malformed-hash",
        "packages[0].wheels[0].hashes",
    ),
    _case(
        "pylock path traversal",
        "pylock.toml",
        _pylock().replace('{ url = "', '{ name = "../x.whl", url = "'),
        "lock-unsafe-filename",
        "packages[0].wheels[0].name",
    ),
    _case(
        "pylock password",
        "pylock.toml",
        _pylock().replace("https://files", f"https://me:{SECRET}@files"),
        "lock-url-credentials",
        "packages[0].wheels[0].url",
        1,
    ),
    _case("pylock wrong types", "pylock.toml", _pylock(package="wheels = 7"), "lock-bad-type", "packages[0].wheels"),
    _case(
        "pylock time that is a text",
        "pylock.toml",
        _pylock().replace("hashes", "upload-time = 7, hashes"),
        "lock-bad-type",
        "packages[0].wheels[0].upload-time",
    ),
    _case(
        "pylock another version system",
        "pylock.toml",
        _pylock(package='vcs = { type = "svn", url = "https://x.example/r", commit-id = "1" }'),
        "lock-unsupported-vcs",
        "packages[0].vcs.type",
    ),
    _case(
        "pylock same package twice",
        "pylock.toml",
        _pylock() + _pylock().partition("\n\n")[2],
        "lock-duplicate-package",
        "packages[1]",
    ),
    _case("pylock bad marker", "pylock.toml", _pylock(more='marker = "import os"\n'), "lock-bad-marker", "packages[0].marker"),
)

# --- conda-lock --------------------------------------------------------------------------------------------------------------


def _conda_lock(
    *,
    digest: str = f"sha256: {SHA}",
    version: str = "1",
    url: str = "https://conda.example/conda-forge/linux-64/zlib-1.3-h0_0.conda",
    more: str = "",
    row: str = "",
) -> str:
    package = f"""- name: zlib
  version: '1.3'
  manager: conda
  platform: linux-64
  dependencies: {{}}
  url: {url}
  hash:
    {digest}
  category: main
  optional: false
"""
    return f"""version: {version}
metadata:
  content_hash:
    linux-64: {SHA}
  channels:
  - url: conda-forge
    used_env_vars: []
  platforms:
  - linux-64
  sources:
  - environment.yml
package:
{row or package}{more}"""


#: Nine times nine to the ninth: four hundred million rows, if anybody wrote them out.
_BOMB: Final = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)

_CONDA_LOCK: Final = (
    _case("conda-lock truncated", "conda-lock.yml", _conda_lock()[:-60], "malformed-hash", "package[0].hash.sha256"),
    _case("conda-lock cut in a quote", "conda-lock.yml", _conda_lock(row="- name: 'zl"), "lock-syntax", "line"),
    _case("conda-lock alias bomb", "conda-lock.yml", _BOMB + _conda_lock(), "lock-syntax", "line"),
    _case(
        "conda-lock tag", "conda-lock.yml", _conda_lock(more="- !!python/object/apply:os.system ['true']\n"), "lock-syntax", "line"
    ),
    _case("conda-lock merge key", "conda-lock.yml", _conda_lock(more="- <<: {name: x}\n"), "lock-syntax", "line"),
    _case("conda-lock deep nesting", "conda-lock.yml", "a: " + "[" * 100_000, "lock-syntax", "line"),
    _case("conda-lock deep indents", "conda-lock.yml", "".join(f"{' ' * n}a:\n" for n in range(3000)), "lock-syntax", "line"),
    _case("conda-lock tab", "conda-lock.yml", _conda_lock(more="\t- name: x\n"), "lock-syntax", "line"),
    _case("conda-lock unknown version", "conda-lock.yml", _conda_lock(version="7"), "lock-version-unsupported", "version"),
    _case(
        "conda-lock duplicate key",
        "conda-lock.yml",
        _conda_lock().replace("  manager: conda\n", "  manager: conda\n  manager: pip\n"),
        "lock-syntax",
        "line",
    ),
    _case("conda-lock short hash", "conda-lock.yml", _conda_lock(digest="sha256: abcd"), "malformed-hash", "package[0].hash"),
    _case("conda-lock md5 only", "conda-lock.yml", _conda_lock(digest=f"md5: {MD5}"), "weak-hash", "package[0]", 0),
    _case(
        "conda-lock token of a channel",
        "conda-lock.yml",
        _conda_lock(url=f"https://conda.example/t/{SECRET}/main/linux-64/zlib-1.3-h0_0.conda"),
        "lock-url-credentials",
        "package[0].url",
        1,
    ),
    _case(
        "conda-lock password",
        "conda-lock.yml",
        _conda_lock(url=f"https://me:{SECRET}@conda.example/main/linux-64/zlib-1.3-h0_0.conda"),
        "lock-url-credentials",
        "package[0].url",
        1,
    ),
    _case(
        "conda-lock contradictory rows",
        "conda-lock.yml",
        _conda_lock(more=_conda_lock(digest=f"sha256: {OTHER}").partition("package:\n")[2]),
        "lock-contradictory",
        "package[1]",
    ),
    _case("conda-lock wrong types", "conda-lock.yml", _conda_lock(row="- 7\n- [a]\n"), "lock-bad-type", "package[0]"),
    _case("conda-lock latin-1", "conda-lock.yml", _conda_lock(more="# caf\xe9\n").encode("latin-1"), "lock-bad-encoding", "line"),
    _case("conda-lock two documents", "conda-lock.yml", _conda_lock(more="---\na: 1\n"), "lock-syntax", "line"),
)

# --- pixi --------------------------------------------------------------------------------------------------------------------


def _pixi(
    *,
    version: str = "6",
    url: str = "https://conda.example/conda-forge/linux-64/zlib-1.3-h0_0.conda",
    sha: str = SHA,
    more: str = "",
) -> str:
    return f"""version: {version}
environments:
  default:
    channels:
    - url: https://conda.example/conda-forge/
    packages:
      linux-64:
      - conda: {url}
packages:
- conda: {url}
  sha256: {sha}
  md5: {MD5}
  license: Zlib
{more}"""


_PIXI: Final = (
    _case("pixi truncated", "pixi.lock", _pixi()[:90], "lock-missing-key"),
    _case("pixi unknown version", "pixi.lock", _pixi(version="99"), "lock-version-unsupported", "version"),
    _case("pixi alias bomb", "pixi.lock", _BOMB + _pixi(), "lock-syntax", "line"),
    _case("pixi tag", "pixi.lock", _pixi(more="x: !!binary aGk=\n"), "lock-syntax", "line"),
    _case("pixi short hash", "pixi.lock", _pixi(sha="abc"), "malformed-hash", "packages[0].sha256"),
    _case(
        "pixi token of a channel",
        "pixi.lock",
        _pixi(url=f"https://conda.example/t/{SECRET}/main/linux-64/zlib-1.3-h0_0.conda"),
        "lock-url-credentials",
        "",
        1,
    ),
    _case(
        "pixi password of a channel",
        "pixi.lock",
        _pixi().replace("https://conda.example/conda-forge/\n", f"https://me:{SECRET}@conda.example/conda-forge/\n"),
        "lock-url-credentials",
        "environments",
        1,
    ),
    _case(
        "pixi a package that is not there",
        "pixi.lock",
        _pixi().replace("packages:\n- conda: https://conda", "packages:\n- conda: https://other"),
        "lock-missing-key",
        "environments.default.packages.linux-64[0]",
    ),
    _case("pixi wrong types", "pixi.lock", "version: 6\nenvironments: [1]\npackages: 7\n", "lock-bad-type", "environments"),
)

# --- lists of conda packages ------------------------------------------------------------------------------------------------

_ROW: Final = "https://conda.example/conda-forge/linux-64/zlib-1.3-h0_0.conda"

_EXPLICIT: Final = (
    _case("explicit short hash", "conda-linux-64.lock", f"@EXPLICIT\n{_ROW}#abcd\n", "malformed-hash", "line 2"),
    _case("explicit no hash", "conda-linux-64.lock", f"@EXPLICIT\n{_ROW}\n", "unhashed", "line 2", 0),
    _case("explicit md5 only", "conda-linux-64.lock", f"@EXPLICIT\n{_ROW}#{MD5}\n", "weak-hash", "line 2", 0),
    _case(
        "explicit token",
        "conda-linux-64.lock",
        f"@EXPLICIT\nhttps://conda.example/t/{SECRET}/main/linux-64/zlib-1.3-h0_0.conda#{MD5}\n",
        "lock-url-credentials",
        "line 2",
        1,
    ),
    _case(
        "explicit password",
        "conda-linux-64.lock",
        f"@EXPLICIT\nhttps://me:{SECRET}@conda.example/main/linux-64/zlib-1.3-h0_0.conda#{MD5}\n",
        "lock-url-credentials",
        "line 2",
        1,
    ),
    _case(
        "explicit path traversal",
        "conda-linux-64.lock",
        f"@EXPLICIT\nhttps://conda.example/main/linux-64/..%2f..%2fzlib-1.3-h0_0.conda#{MD5}\n",
        "lock-unsafe-filename",
        "line 2",
    ),
    _case(
        "explicit contradictory rows",
        "conda-linux-64.lock",
        f"@EXPLICIT\n{_ROW}#{MD5}\n{_ROW}#{'12' * 16}\n",
        "lock-contradictory",
        "line 3",
    ),
    _case("explicit what is no package", "conda-linux-64.lock", "@EXPLICIT\nzlib >=1.3\n", "lock-bad-name", "line 2"),
    _case(
        "explicit a line of fifty megabytes",
        "conda-linux-64.lock",
        b"@EXPLICIT\nhttps://conda.example/" + LONG + b"\n",
        "lock-syntax",
        "line 2",
    ),
)

# --- requirements ------------------------------------------------------------------------------------------------------------

_REQUIREMENTS: Final = (
    _case("requirements utf-16", "requirements.txt", "six==1.16.0\n".encode("utf-16"), "lock-bad-encoding"),
    _case("requirements nul", "requirements.txt", "six==1.16.0\n\0\n", "lock-bad-encoding", "line 2"),
    _case("requirements empty", "requirements.txt", b"", "lock-empty"),
    _case(
        "requirements merge conflict",
        "requirements.txt",
        "<<<<<<< HEAD\nsix==1\n=======\nsix==2\n>>>>>>> x\n",
        "lock-merge-conflict",
        "line 1",
    ),
    _case("requirements short hash", "requirements.txt", "six==1.16.0 --hash=sha256:abcd\n", "malformed-hash", "line 1"),
    _case("requirements md5 only", "requirements.txt", f"six==1.16.0 --hash=md5:{MD5}\n", "weak-hash", "line 1", 0),
    _case(
        "requirements cyclic",
        "requirements.txt",
        "-r other.txt\n",
        "lock-include-cycle",
        "line 1",
        1,
        other=b"-r requirements.txt\n",
    ),
    _case(
        "requirements includes itself", "requirements.txt", "six==1.16.0\n-r requirements.txt\n", "lock-include-cycle", "line 2", 1
    ),
    _case("requirements missing include", "requirements.txt", "-r nowhere.txt\n", "lock-include-missing", "line 1", 1),
    _case(
        "requirements contradictory rows",
        "requirements.txt",
        f"six==1.16.0 --hash=sha256:{SHA}\nsix==1.15.0 --hash=sha256:{OTHER}\n",
        "lock-contradictory",
        "line 2",
    ),
    _case("requirements bad requirement", "requirements.txt", "six = 1.16.0\n", "lock-bad-requirement", "line 1"),
    _case("requirements unknown option", "requirements.txt", "--frobnicate\nsix==1.16.0\n", "lock-bad-option", "line 1"),
    _case(
        "requirements password of an index",
        "requirements.txt",
        f"--index-url https://me:{SECRET}@index.example/simple\nsix==1.16.0 --hash=sha256:{SHA}\n",
        "lock-url-credentials",
        "line 1",
        1,
    ),
    _case(
        "requirements token in a query",
        "requirements.txt",
        f"six @ https://files.example/six-1.16.0.tar.gz?token={SECRET} --hash=sha256:{SHA}\n",
        "lock-url-credentials",
        "line 1",
        1,
    ),
    _case(
        "requirements token of a repository",
        "requirements.txt",
        f"six @ git+https://{SECRET}@git.example/six@{'a' * 40}\n",
        "lock-url-credentials",
        "line 1",
        1,
    ),
    _case(
        "requirements secret in what can not be read",
        "requirements.txt",
        f"six=1 https://me:{SECRET}@x.example/\n",
        "lock-bad-url",
        "line 1",
    ),
    _case(
        "requirements remote include",
        "requirements.txt",
        f"-r https://me:{SECRET}@x.example/requirements.txt\n",
        "lock-include-missing",
        "line 1",
        1,
    ),
    _case("requirements lookalike name", "requirements.txt", f"reqeusts==2.0 --hash=sha256:{SHA}\n", "name-lookalike", "line 1", 0),
    _case("requirements gigantic version", "requirements.txt", f"six=={'9' * 10_000}\n", "lock-bad-version"),
    _case("requirements a line of fifty megabytes", "requirements.txt", b"six==1.0 " + LONG + b"\n", "lock-syntax", "line 1"),
    _case(
        "requirements a path of many letters",
        "requirements.txt",
        "https://x.example/" + "a" * 60_000 + "\n",
        "source-mutable",
        "line 1",
        0,
    ),
    _case(
        "requirements a path of many versions",
        "requirements.txt",
        "https://x.example/" + "a-1" * 20_000 + "\n",
        "source-mutable",
        "line 1",
        0,
    ),
    _case("requirements a million rows", "requirements.txt", "".join(f"a{n}\n" for n in range(1_000_000)), "lock-too-large"),
    _case(
        "requirements ninety thousand continued lines",
        "requirements.txt",
        b"six==1.16.0 \\\n" + b"  \\\n" * 90_000,
        "unhashed",
        "line 1",
        0,
    ),
)

# --- wishes ------------------------------------------------------------------------------------------------------------------

_WISHES: Final = (
    _case("environment empty", "environment.yml", "", "lock-empty"),
    _case("environment alias bomb", "environment.yml", _BOMB + "dependencies: *i\n", "lock-syntax", "line"),
    _case("environment tag", "environment.yml", "dependencies:\n- !!python/name:os.system x\n", "lock-syntax", "line 2"),
    _case("environment wrong types", "environment.yml", "dependencies: 7\n", "lock-bad-type", "dependencies"),
    _case("environment nothing in it", "environment.yml", "name: x\n", "lock-missing-key"),
    _case(
        "environment token of a channel",
        "environment.yml",
        f"channels:\n- https://conda.example/t/{SECRET}/main\ndependencies:\n- zlib=1.3\n",
        "lock-url-credentials",
        "channels[0]",
        1,
    ),
    _case(
        "environment password below pip",
        "environment.yml",
        f"channels:\n- x\ndependencies:\n- pip\n- pip:\n  - six @ https://me:{SECRET}@files.example/six.tar.gz\n",
        "lock-url-credentials",
        "",
        1,
    ),
    _case("environment bad spec", "environment.yml", "dependencies:\n- 'zlib === = 1'\n", "lock-bad-requirement", ""),
    _case(
        "pyproject requires a million blanks of python",
        "pyproject.toml",
        f'[project]\nname = "x"\nrequires-python = ">={" " * 1_000_000}3.9{" " * 1_000_000}"\ndependencies = ["six"]\n',
        "unpinned",
        "project.dependencies[0]",
        0,
    ),
    _case("pyproject truncated", "pyproject.toml", '[project]\nname = "x"\ndependencies = ["six', "lock-syntax", "line 3"),
    _case(
        "pyproject wrong types",
        "pyproject.toml",
        '[project]\nname = "x"\ndependencies = "six"\n',
        "lock-bad-type",
        "project.dependencies",
    ),
    _case(
        "pyproject bad requirement",
        "pyproject.toml",
        f'[project]\nname = "x"\ndependencies = ["six @@ https://me:{SECRET}@x.example"]\n',
        "lock-bad-requirement",
        "project.dependencies[0]",
    ),
    _case(
        "pyproject password of an index",
        "pyproject.toml",
        f'[project]\nname = "x"\ndependencies = ["six"]\n[[tool.uv.index]]\nurl = "https://me:{SECRET}@index.example/simple"\n',
        "lock-url-credentials",
        "tool.uv.index[0]",
        1,
    ),
    _case(
        "pyproject password of a requirement",
        "pyproject.toml",
        f'[project]\nname = "x"\ndependencies = ["six @ https://me:{SECRET}@files.example/six-1.tar.gz"]\n',
        "lock-url-credentials",
        "project.dependencies[0]",
        1,
    ),
    _case(
        "pyproject circular groups",
        "pyproject.toml",
        '[dependency-groups]\na = [{include-group = "b"}]\nb = [{include-group = "a"}]\n',
        "lock-include-cycle",
        "dependency-groups.a",
        1,
    ),
    _case(
        "pyproject half a million requirements",
        "pyproject.toml",
        "[project]\nname = 'x'\ndependencies = [" + "".join(f"'a{n}'," for n in range(500_000)) + "]\n",
        "lock-too-large",
    ),
    _case(
        "pyproject a chain of three thousand groups",
        "pyproject.toml",
        "[dependency-groups]\n"
        + "".join(f'g{n} = ["six", {{include-group = "g{n + 1}"}}]\n' for n in range(3000))
        + "g3000 = []\n",
        "lock-too-large",
        "dependency-groups",
    ),
    _case("no format at all", "notes.lock", "hello\n", "lock-unknown-format"),
    _case("json of nobody", "things.json", '{"a": 1}\n', "lock-unknown-format"),
)

CASES: Final = (*_UV, *_POETRY, *_PDM, *_PIPFILE, *_PYLOCK, *_CONDA_LOCK, *_PIXI, *_EXPLICIT, *_REQUIREMENTS, *_WISHES)

#: What the broken ones were before they were broken: a small sound document of each format, by the name it is read under.
SOUND: Final[Mapping[str, str]] = {
    "uv.lock": _uv(),
    "poetry.lock": _poetry(),
    "pdm.lock": _pdm(),
    "Pipfile.lock": _pipfile(),
    "pylock.toml": _pylock(),
    "conda-lock.yml": _conda_lock(),
    "pixi.lock": _pixi(),
    "conda-linux-64.lock": f"@EXPLICIT\n{_ROW}#{SHA}\n",
    "requirements.txt": f"six==1.16.0 --hash=sha256:{SHA}\n",
    "environment.yml": "channels:\n- conda-forge\ndependencies:\n- zlib=1.3\n- pip\n- pip:\n  - six==1.16.0\n",
    "pyproject.toml": '[project]\nname = "x"\nrequires-python = ">=3.9"\ndependencies = ["six>=1.16 ; os_name == \'nt\'"]\n',
}
