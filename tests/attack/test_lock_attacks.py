"""What the author of a pull request does to a lock so that nobody sees it, and what a hostile lock does to be called clean."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

import pytest

from sanctity.cli import main
from sanctity.compare.review import ways
from sanctity.lockfiles import reader_for
from sanctity.model.digest import Digest

if TYPE_CHECKING:
    from pathlib import Path

    from sanctity.model.lock import Lock

A, B, C, D, E = (letter * 64 for letter in "abcde")

# --- A change that a review must show -----------------------------------------------------------------------------------------

REQUIREMENTS: Final = f"""\
--index-url https://index.example/simple
six==1.16.0 --hash=sha256:{A} --hash=sha256:{B}
idna==3.4 ; sys_platform == 'win32' --hash=sha256:{C}
"""
UV: Final = f"""\
version = 1
revision = 3
requires-python = ">=3.9"

[[package]]
name = "app"
version = "0.1"
source = {{ virtual = "." }}
dependencies = [
    {{ name = "six" }},
    {{ name = "winonly", marker = "sys_platform == 'win32'" }},
]

[package.dev-dependencies]
dev = [{{ name = "devtool" }}]
docs = [{{ name = "pages" }}]

[[package]]
name = "six"
version = "1.16.0"
source = {{ registry = "https://index.example/simple" }}
sdist = {{ url = "https://files.example/six-1.16.0.tar.gz", hash = "sha256:{A}", size = 1 }}
wheels = [{{ url = "https://files.example/six-1.16.0-py3-none-any.whl", hash = "sha256:{B}", size = 2 }}]

[[package]]
name = "winonly"
version = "1.0"
source = {{ registry = "https://index.example/simple" }}
wheels = [{{ url = "https://files.example/winonly-1.0-py3-none-any.whl", size = 2 }}]

[[package]]
name = "devtool"
version = "1.0"
source = {{ registry = "https://index.example/simple" }}
wheels = [{{ url = "https://files.example/devtool-1.0-py3-none-any.whl", hash = "sha256:{D}", size = 2 }}]

[[package]]
name = "pages"
version = "1.0"
source = {{ registry = "https://index.example/simple" }}
wheels = [{{ url = "https://files.example/pages-1.0-py3-none-any.whl", hash = "sha256:{E}", size = 2 }}]
"""
PIPFILE: Final = json.dumps(
    {
        "_meta": {
            "hash": {"sha256": A},
            "pipfile-spec": 6,
            "requires": {},
            "sources": [{"name": "main", "url": "https://index.example/simple", "verify_ssl": True}],
        },
        "default": {"six": {"hashes": [f"sha256:{A}", f"sha256:{B}"], "version": "==1.16.0"}},
        "develop": {"idna": {"hashes": [f"sha256:{C}"], "version": "==3.4"}},
    },
    indent=1,
)
PDM: Final = f"""\
[metadata]
groups = ["default", "dev"]
strategy = ["inherit_metadata"]
lock_version = "4.5.0"
content_hash = "sha256:{A}"

[[package]]
name = "six"
version = "1.16.0"
groups = ["default"]
files = [{{file = "six-1.16.0-py3-none-any.whl", hash = "sha256:{B}"}}]

[[package]]
name = "idna"
version = "3.4"
groups = ["dev"]
files = [{{file = "idna-3.4-py3-none-any.whl", hash = "sha256:{C}"}}]
"""
PYLOCK: Final = f"""\
lock-version = "1.0"
created-by = "tool"

[[packages]]
name = "six"
version = "1.16.0"
index = "https://index.example/simple"

[[packages.wheels]]
url = "https://files.example/six-1.16.0-py3-none-any.whl"
hashes = {{md5 = "{"a" * 32}", sha256 = "{B}"}}
"""
CONDA: Final = f"""\
version: 1
metadata:
  channels:
    - url: conda-forge
      used_env_vars: []
  platforms: [linux-64]
package:
  - name: xz
    version: "5"
    manager: conda
    platform: linux-64
    dependencies: {{}}
    url: https://conda.example/conda-forge/linux-64/xz-5-h1_0.conda
    hash: {{sha256: {A}}}
    category: dev
    optional: true
  - name: zlib
    version: "1"
    manager: conda
    platform: linux-64
    dependencies: {{}}
    url: https://conda.example/conda-forge/linux-64/zlib-1-h1_0.conda
    hash: {{sha256: {B}}}
    category: main
    optional: false
"""
PIXI: Final = f"""\
version: 6
environments:
  default:
    channels:
      - url: https://conda.example/conda-forge/
    packages:
      linux-64:
        - conda: https://conda.example/conda-forge/linux-64/zlib-1-h1_0.conda
  test:
    channels:
      - url: https://conda.example/conda-forge/
    packages:
      linux-64:
        - conda: https://conda.example/conda-forge/linux-64/zlib-1-h1_0.conda
        - conda: https://conda.example/conda-forge/linux-64/xz-5-h1_0.conda
packages:
  - conda: https://conda.example/conda-forge/linux-64/xz-5-h1_0.conda
    sha256: {A}
  - conda: https://conda.example/conda-forge/linux-64/zlib-1-h1_0.conda
    sha256: {B}
"""
EXPLICIT: Final = f"""\
# platform: linux-64
@EXPLICIT
https://conda.example/conda-forge/linux-64/xz-5-h1_0.conda#{A}
https://conda.example/conda-forge/linux-64/zlib-1-h1_0.conda#{B}
"""

#: The file, what stands in it, what is put in its place, and what the review says of it.
CHANGES: Final = {
    "an index beside the one": (
        "requirements.txt",
        REQUIREMENTS,
        "six==",
        "--extra-index-url https://evil.example/simple\nsix==",
        r"--extra-index-url .*https://evil\.example/simple",
    ),
    "another index first": (
        "requirements.txt",
        REQUIREMENTS,
        "--index-url",
        "--index-url https://evil.example/simple\n--index-url",
        r"indexes +1 +https://index.example/simple -> https://evil.example/simple",
    ),
    "a place to find links": ("requirements.txt", REQUIREMENTS, "six==", "-f https://evil.example/x\nsix==", "--find-links .*evil"),
    "a host that need not prove itself": (
        "requirements.txt",
        REQUIREMENTS,
        "six==",
        "--trusted-host index.example\nsix==",
        "--trusted-host",
    ),
    "builds in place of wheels": ("requirements.txt", REQUIREMENTS, "six==", "--no-binary :all:\nsix==", "--no-binary .*:all:"),
    "pre-releases": ("requirements.txt", REQUIREMENTS, "six==", "--pre\nsix==", "--pre"),
    "an option of one build": (
        "requirements.txt",
        REQUIREMENTS,
        "six==1.16.0",
        "six==1.16.0 --config-settings=x=evil",
        "six --config-settings .*x=evil",
    ),
    "an extra": ("requirements.txt", REQUIREMENTS, "six==", "six[evil]==", "six .*with its extra evil"),
    "a branch": ("requirements.txt", "x @ git+https://h.example/x@main\n", "main", "evil", "x at .*main -> evil"),
    "a hash in the place of another": ("requirements.txt", REQUIREMENTS, B, E, "a hash in the place of another one"),
    "one hash more": ("requirements.txt", REQUIREMENTS, f":{B}", f":{B} --hash=sha256:{E}", "1 more file may be installed"),
    "a URL without its hash": (
        "requirements.txt",
        f"x @ https://h.example/x-1-py3-none-any.whl#sha256={A}\n",
        f"#sha256={A}",
        "",
        "not locked by hash any more",
    ),
    "no marker": ("requirements.txt", REQUIREMENTS, " ; sys_platform == 'win32'", "", "installed by default where it was not"),
    "no marker on an edge": (
        "uv.lock",
        UV,
        """, marker = "sys_platform == 'win32'\"""",
        "",
        "winonly .*by default where it was not",
    ),
    "a group's package for all": (
        "uv.lock",
        UV,
        '{ name = "six" },',
        '{ name = "six" }, { name = "pages" },',
        "pages .*by default where it was not",
    ),
    "another group's package": (
        "uv.lock",
        UV,
        'dev = [{ name = "devtool" }]',
        'dev = [{ name = "devtool" }, { name = "pages" }]',
        "pages ",
    ),
    "a file from another host": ("uv.lock", UV, "files.example/six-1.16.0-py3", "evil.example/six-1.16.0-py3", "fetched from evil"),
    "a bare file from elsewhere": ("uv.lock", UV, "files.example/winonly", "files.example/x/winonly", "no hash holds it"),
    "one file without a hash": ("uv.lock", UV, f', hash = "sha256:{B}"', "", "six-1.16.0-py3-none-any.whl is not locked by hash"),
    "a file from elsewhere besides": (
        "uv.lock",
        UV,
        "wheels = [",
        f'wheels = [{{ url = "https://evil.example/six-1.16.0-cp311-none-any.whl", hash = "sha256:{E}", size = 2 }},',
        "evil.example.*1 more file",
    ),
    "an override": (
        "uv.lock",
        UV,
        "[[package]]",
        '[manifest]\noverrides = [{ name = "six", specifier = "==1" }]\n[[package]]',
        r"manifest.overrides .*six",
    ),
    "what resolves next": ("uv.lock", UV, "[[package]]", '[options]\nprerelease-mode = "allow"\n[[package]]', "prerelease-mode"),
    "a source that proves nothing": ("Pipfile.lock", PIPFILE, '"verify_ssl": true', '"verify_ssl": false', "verify_ssl"),
    "a second source": (
        "Pipfile.lock",
        PIPFILE,
        '"sources": [',
        '"sources": [{"name": "evil", "url": "https://evil.example/simple", "verify_ssl": true},',
        "evil.example",
    ),
    "a development package for all": ("Pipfile.lock", PIPFILE, '"develop": {', '"develop": {}, "x": {', "idna"),
    "a group of pdm's for all": ("pdm.lock", PDM, 'groups = ["dev"]', 'groups = ["default", "dev"]', "idna .*by default where"),
    "a strong hash beside a weak one": ("pylock.toml", PYLOCK, B, E, "other bytes under one version"),
    "a tool's own table": ("pylock.toml", PYLOCK, "[[packages]]", "[tool.x]\nindex = 'evil'\n[[packages]]", "tool.x.index .*evil"),
    "a category of conda-lock's": ("conda-lock.yml", CONDA, "category: dev", "category: main", "xz .*by default"),
    "a channel of conda-lock's": ("conda-lock.yml", CONDA, "url: conda-forge", "url: https://evil.example/conda-forge", "evil"),
    "a package of another channel": (
        "conda-lock.yml",
        CONDA,
        "conda.example/conda-forge/linux-64/xz",
        "evil.example/conda-forge/linux-64/xz",
        "xz .*evil",
    ),
    "another build": ("conda-lock.yml", CONDA, "xz-5-h1_0", "xz-5-h9_9", "xz "),
    "a package for another environment": (
        "pixi.lock",
        PIXI,
        "  test:",
        "        - conda: https://conda.example/conda-forge/linux-64/xz-5-h1_0.conda\n  test:",
        "xz .*environment default",
    ),
    "a channel of pixi's": (
        "pixi.lock",
        PIXI,
        "channels:\n",
        "channels:\n      - url: https://evil.example/conda-forge/\n",
        "evil.example",
    ),
    "a host in a list": ("explicit.txt", EXPLICIT, "conda.example/conda-forge/linux-64/xz", "evil.example/c/linux-64/xz", "evil"),
    "a hash in a list": ("explicit.txt", EXPLICIT, A, E, "other bytes"),
    "no hash in a list": ("explicit.txt", EXPLICIT, f"#{A}", "", "not locked by hash"),
}


def compared(folder: Path, name: str, before: str, after: str, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, str]:
    """What `diff` says of two texts of one lock, and its exit code."""
    for side, text in (("before", before), ("after", after)):
        (folder / side).mkdir(exist_ok=True)
        (folder / side / name).write_text(text)
    return ran(capsys, "diff", str(folder / "before" / name), str(folder / "after" / name), *more)


def ran(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """The exit code of a command, and all that it printed."""
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    printed = capsys.readouterr()
    return int(ended.value.code or 0), printed.out + printed.err


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_a_lock_is_shown(change: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name, text, old, new, told = CHANGES[change]
    changed = text.replace(old, new) if name == "pixi.lock" and "channel" in old else text.replace(old, new, 1)
    assert changed != text
    assert compared(tmp_path, name, text, text, capsys)[0] == 0
    code, said = compared(tmp_path, name, text, changed, capsys)
    assert code == 1, said
    assert re.search(told, said.replace(str(tmp_path), "")), said


@pytest.mark.parametrize("change", CHANGES)
def test_and_in_markdown(change: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """That is what is pasted into a pull request."""
    name, text, old, new, _ = CHANGES[change]
    changed = text.replace(old, new) if name == "pixi.lock" and "channel" in old else text.replace(old, new, 1)
    code, said = compared(tmp_path, name, text, changed, capsys, "--format", "markdown")
    assert code == 1
    assert "| " in said


def test_what_is_not_read_is_said_not_to_be_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    secret = "x @ https://h.example/x-1-py3-none-any.whl?token={}\n"
    code, said = compared(tmp_path, "requirements.txt", secret.format("one"), secret.format("other"), capsys)
    assert code == 0
    assert "their text differs in what is not read" in said
    assert "not compared" not in compared(tmp_path, "requirements.txt", "six==1\n", "six==1\n", capsys)[1]


def test_a_foreign_package_of_the_projects_own_name_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A lock of PDM's does not name its project, so a package of that name is somebody else's."""
    for side in ("before", "after"):
        (tmp_path / side).mkdir()
        (tmp_path / side / "pyproject.toml").write_text('[project]\nname = "acme"\nversion = "1"\n')
    evil = (
        PDM
        + f'\n[[package]]\nname = "acme"\nversion = "99"\ngroups = ["default"]\nfiles = [{{file = "acme-99-py3-none-any.whl", hash = "sha256:{E}"}}]\n'
    )
    code, said = compared(tmp_path, "pdm.lock", PDM, evil, capsys)
    assert (code, "added" in said) == (1, True), said


def test_a_package_that_was_always_there_is_for_whom_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A lock for fewer Pythons has fewer markers: where both locks are for, nothing is wider."""
    before = UV.replace('{ name = "six" }', """{ name = "six", marker = "python_full_version >= '3.10'" }""").replace(
        ">=3.9", ">=3.8"
    )
    code, said = compared(tmp_path, "uv.lock", before, UV.replace(">=3.9", ">=3.10"), capsys)
    assert code == 1
    assert "where it was not" not in said, said


@pytest.mark.parametrize("kind", ["text", "json", "markdown", "sarif", "github"])
def test_a_secret_in_a_setting_is_never_printed(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    secret = "hunter2-é]x'y"
    uv = UV.replace("[[package]]", f'[options]\nx = "see https://me:{secret}@h.example/a?token={secret}#k"\n[[package]]', 1)
    requirements = (
        "-i https://me:hunter2@index.example/simple\n-f https://h.example/x?sig=hunter2\n--trusted-host me:hunter2@h.example\n"
    )
    pipfile = PIPFILE.replace("https://index.example", f"https://me:{secret}@index.example")
    conda = CONDA.replace("url: conda-forge", "url: https://conda.example/t/hunter2-token/conda-forge")
    pixi = PIXI.replace("https://conda.example/conda-forge/\n", "https://conda.example/t/hunter2-token/conda-forge/\n")
    for name, plain, text in (
        ("uv.lock", UV, uv),
        ("requirements.txt", "six==1\n", requirements + "six==1\n"),
        ("Pipfile.lock", PIPFILE, pipfile),
        ("conda-lock.yml", CONDA, conda),
        ("pixi.lock", PIXI, pixi),
    ):
        _, said = compared(tmp_path, name, plain, text, capsys, "--format", kind)
        assert "hunter2" not in said
        _, said = compared(tmp_path, name, text, plain, capsys, "--format", kind)
        assert "hunter2" not in said


def test_a_setting_that_is_nested_without_end_is_no_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    deep = "[" * 400 + "]" * 400
    code, said = compared(tmp_path, "uv.lock", UV, UV.replace("[[package]]", f"[options]\nx = {deep}\n[[package]]", 1), capsys)
    assert code in {1, 2}
    assert "Traceback" not in said


# --- Texts that the real tool reads in another way -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("# -*- coding: utf-7 -*-\nsix==1\n# hi +AAo-evil==1\n", "lock-bad-encoding"),
        ("six==1\n# vim: set fileencoding=unicode_escape :\n# \\nevil==1\n", "lock-bad-encoding"),
        ("six==1 # a note \\\nevil==1\n", "lock-syntax"),
        ("--pre # a note \\\nevil==1\n", "lock-syntax"),
    ],
)
def test_rows_that_only_one_installer_sees_are_refused(
    text: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """pip believes a coding in a comment, and goes on with a comment that ends in a backslash; uv does neither."""
    (tmp_path / "requirements.txt").write_text(text)
    code, said = ran(capsys, "lint", str(tmp_path / "requirements.txt"))
    assert (code, told in said) == (2, True), said
    assert "Traceback" not in said


@pytest.mark.parametrize("text", ["# coding: utf-8\nsix==1\n", "six==1\n#\n# coding: utf-7\n", "# a path \\\nsix==1\n"])
def test_what_both_read_alike_is_read(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "requirements.txt").write_text(text)
    code, said = ran(capsys, "lint", str(tmp_path / "requirements.txt"))
    assert (code, "six" in said) == (0, True), said


def test_an_included_file_is_utf_8_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "requirements.txt").write_text("-r more.txt\n")
    (tmp_path / "more.txt").write_text("# coding: utf-7\n# +AAo-evil==1\n")
    code, said = ran(capsys, "lint", str(tmp_path / "requirements.txt"))
    assert (code, "lock-bad-encoding" in said, "more.txt" in said) == (2, True, True), said


def test_of_a_file_and_a_path_pipenv_takes_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = '"evil": {"path": "./good", "file": "https://evil.example/evil-1.zip"}, "six": {'
    (tmp_path / "Pipfile.lock").write_text(PIPFILE.replace('"six": {', row))
    _, said = ran(capsys, "lint", str(tmp_path / "Pipfile.lock"))
    assert "https://evil.example/evil-1.zip" in said, said


# --- Documents that are small, and would cost the square of their size -----------------------------------------------------------


def _read(text: str, name: str) -> Lock:
    reader = reader_for(name)
    assert reader is not None
    return reader.parse(text, path=name, digest=Digest("sha256", A), beside={})


def test_edges_to_many_rows_of_one_name_are_not_multiplied() -> None:
    number = 300
    rows = "".join(
        f'[[package]]\nname = "p{index % 2}"\nversion = "{index}.0"\ndependencies = ["p0", "p1"]\n'
        f'files = [{{file = "p{index % 2}-{index}.0-py3-none-any.whl", hash = "sha256:{B}"}}]\n\n'
        for index in range(number)
    )
    lock = _read(f'[metadata]\ngroups = ["default"]\nlock_version = "4.5.0"\ncontent_hash = "sha256:{A}"\n\n{rows}', "pdm.lock")
    assert sum(len(pin.dependencies) for pin in lock.pins) <= 2 * number


def test_the_way_through_a_long_chain_is_cut() -> None:
    number = 500
    rows = "".join(
        f'[[package]]\nname = "p{index}"\nversion = "1"\nsource = {{ registry = "https://index.example/simple" }}\n'
        f'dependencies = [{{ name = "p{index + 1 if index + 1 < number else 0}" }}]\n\n'
        for index in range(number)
    )
    app = '[[package]]\nname = "app"\nversion = "1"\nsource = { virtual = "." }\ndependencies = [{ name = "p0" }]\n\n'
    lock = _read(f'version = 1\nrequires-python = ">=3.9"\n\n{app}{rows}', "uv.lock")
    found = ways(lock)
    steps = {pin.name: [step.name for step in found[id(pin)].steps] for pin in lock.pins if id(pin) in found}
    assert steps["p2"] == ["p0", "p1", "p2"]
    assert (len(steps["p499"]), steps["p499"][:2], steps["p499"][-1]) == (64, ["p0", "p1"], "p499")


def test_what_is_too_large_to_be_tried_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edges = ", ".join(
        f'{{ name = "p", version = "{index}", source = {{ registry = "https://i.example" }} }}' for index in range(500)
    )
    app = f'[[package]]\nname = "app"\nversion = "1"\nsource = {{ virtual = "." }}\ndependencies = [{edges}]\n\n'
    rows = "".join(
        f'[[package]]\nname = "p"\nversion = "{index}"\nsource = {{ registry = "https://i.example" }}\n\n' for index in range(500)
    )
    text = f'version = 1\nrequires-python = ">=3.9"\n\n{app}{rows}'
    code, said = compared(tmp_path, "uv.lock", text, text, capsys)
    assert (code, "for whom packages are installed" in said) == (0, True), said


@pytest.mark.parametrize("place", ["https://me:hunter2@h.example/x", "//me:hunter2@h.example/x", "me:hunter2@h.example/x"])
def test_a_secret_in_a_folder_is_never_printed(place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder is no URL, and what is written in its place may be one."""
    uv = UV.replace(
        'version = "1.0"\nsource = { registry = "https://index.example/simple" }',
        f'version = "1.0"\nsource = {{ editable = "{place}" }}',
    )
    pylock = PYLOCK + f'\n[[packages]]\nname = "x"\ndirectory = {{ path = "{place}" }}\n'
    includes = f"-r {place}\nsix==1\n"
    for name, plain, text in (("uv.lock", UV, uv), ("pylock.toml", PYLOCK, pylock), ("requirements.txt", "six==1\n", includes)):
        assert "hunter2" not in compared(tmp_path, name, plain, text, capsys)[1]
        for kind in ("text", "json", "sarif"):
            assert "hunter2" not in ran(capsys, "lint", str(tmp_path / "after" / name), "--format", kind)[1]


def test_a_secret_in_a_name_is_never_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a tool calls itself, and what Poetry calls an index, are texts as any other."""
    poetry = (
        f'[[package]]\nname = "six"\nversion = "1.0"\ndescription = ""\noptional = false\npython-versions = "*"\ngroups = ["main"]\n'
        f'files = [{{file = "six-1.0-py3-none-any.whl", hash = "sha256:{A}"}}]\n\n[package.source]\ntype = "legacy"\n'
        f'url = "https://index.example/simple"\nreference = "https://me:hunter2@index.example/simple"\n\n'
        f'[metadata]\nlock-version = "2.1"\npython-versions = ">=3.9"\ncontent-hash = "{A}"\n'
    )
    pylock = PYLOCK.replace('"tool"', '"tool of https://me:hunter2@index.example/?token=hunter2"')
    for name, text in (("poetry.lock", poetry), ("pylock.toml", pylock)):
        (tmp_path / name).write_text(text)
        code, said = ran(capsys, "lint", str(tmp_path / name), "--format", "json")
        assert code in {0, 1}, said
        assert "hunter2" not in said


def test_a_secret_in_place_of_a_hash_is_never_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "explicit.txt").write_text(EXPLICIT.replace(f"#{A}", f"#token=hunter2#{A}"))
    code, said = ran(capsys, "lint", str(tmp_path / "explicit.txt"))
    assert (code, "malformed-hash" in said, "hunter2" in said) == (2, True, False), said
