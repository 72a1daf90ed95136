"""The verb export, from the command line to the exit code: real files in a folder, and an index on the loopback interface."""

from __future__ import annotations

import hashlib
import json
import tomllib
from typing import TYPE_CHECKING, Any

import pytest

from fetch.serving import broken, open_shop
from real.index import make_wheel
from sanctity.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fetch.serving import Shop

DIGEST = "0" * 64
UV = f"""version = 1
requires-python = ">=3.11"

[[package]]
name = "app"
version = "0.1"
source = {{ editable = "." }}
dependencies = [{{ name = "six" }}]

[[package]]
name = "six"
version = "1.16.0"
source = {{ registry = "https://index.example/simple" }}
wheels = [
    {{ url = "https://files.example/six-1.16.0-py2.py3-none-any.whl", hash = "sha256:{DIGEST}" }},
]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to stand in, whose user configured no index."""
    for name in (
        "PIP_INDEX_URL",
        "PIP_FIND_LINKS",
        "PIP_CONFIG_FILE",
        "UV_DEFAULT_INDEX",
        "UV_INDEX",
        "UV_FIND_LINKS",
        "UV_CONFIG_FILE",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    return project


def _export(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["export", *words])
    return int(ended.value.code or 0)


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("uv.lock", "the lock itself"),
        ("./uv.lock", "the lock itself"),
        ("link.toml", "the lock itself"),
        ("pyproject.toml", "no pylock.toml"),
        ("notes.txt", "no pylock.toml"),
    ],
)
def test_nothing_but_an_earlier_export_is_written_over(
    output: str, words: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "uv.lock").write_text(UV)
    (folder / "link.toml").symlink_to("uv.lock")
    (folder / "pyproject.toml").write_text('[project]\nname = "app"\n')
    (folder / "notes.txt").write_text("mine\n")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert _export("uv.lock", "-o", output) == 2
    told = capsys.readouterr().err
    assert words in told
    assert "hint: name another file: -o pylock.toml" in told
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_an_earlier_export_or_an_empty_file_is_written_over(folder: Path) -> None:
    (folder / "uv.lock").write_text(UV)
    (folder / "pylock.toml").touch()
    assert _export("-o", "pylock.toml") == 0
    first = (folder / "pylock.toml").read_text()
    (folder / "uv.lock").write_text(UV.replace("1.16.0", "1.17.0"))
    assert _export("-o", "pylock.toml") == 0
    assert (folder / "pylock.toml").read_text() == first.replace("1.16.0", "1.17.0")
    assert _export("nowhere.lock", "-o", "pylock.toml") == 2


def test_what_leaves_the_project_out_is_told_where_it_is_in(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "uv.lock").write_text(UV)
    assert _export("-o", "pylock.toml") == 0
    assert "for pip: --no-project" in capsys.readouterr().err
    assert _export("-o", "pylock.toml", "--no-project") == 0
    assert "--no-project" not in capsys.readouterr().err


# --- an index that is asked ---


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """An index with two files of a release of alpha, and one of another release."""
    with open_shop() as shop:
        for version in ("1.0", "2.0"):
            wheel = make_wheel(tmp_path / "wheels", "alpha", version, {"alpha.py": version.encode()}).path
            shop.files[wheel.name] = wheel.read_bytes()
        shop.files["alpha-1.0.tar.gz"] = b"a source"
        shop.stated["alpha-1.0.tar.gz"] = {"upload-time": "2026-01-10T00:00:00Z"}
        yield shop


WHEEL, SDIST = "alpha-1.0-py3-none-any.whl", "alpha-1.0.tar.gz"


def _hash(shop: Shop, name: str) -> str:
    return f"sha256:{hashlib.sha256(shop.files[name]).hexdigest()}"


def _poetry(shop: Shop, *files: tuple[str, str]) -> str:
    listed = ", ".join(f'{{file = "{name}", hash = "{digest}"}}' for name, digest in files)
    return f"""[[package]]
name = "alpha"
version = "1.0"
optional = false
python-versions = ">=3.9"
groups = ["main"]
files = [{listed}]
[package.source]
type = "legacy"
url = "{shop.index}"
reference = "here"

[metadata]
lock-version = "2.1"
python-versions = ">=3.9"
content-hash = "{DIGEST}"
"""


def _pipfile(shop: Shop, *digests: str) -> str:
    return json.dumps(
        {
            "_meta": {
                "hash": {"sha256": DIGEST},
                "pipfile-spec": 6,
                "requires": {},
                "sources": [{"name": "here", "url": shop.index, "verify_ssl": False}],
            },
            "default": {"alpha": {"hashes": [*digests], "index": "here", "version": "==1.0"}},
            "develop": {},
        }
    )


def _locks(shop: Shop) -> dict[str, str]:
    digests = [_hash(shop, WHEEL), _hash(shop, SDIST)]
    return {
        "poetry.lock": _poetry(shop, (WHEEL, digests[0]), (SDIST, digests[1])),
        "Pipfile.lock": _pipfile(shop, *digests),
        "requirements.txt": f"--index-url {shop.index}\nalpha==1.0 --hash={digests[0]} --hash={digests[1]}\n",
    }


def _written(folder: Path) -> dict[str, Any]:
    document = tomllib.loads((folder / "pylock.toml").read_text())
    (package,) = document["packages"]
    assert isinstance(package, dict)
    return package


@pytest.mark.parametrize("lock", ["poetry.lock", "Pipfile.lock", "requirements.txt"])
def test_an_index_says_where_the_files_are(lock: str, folder: Path, shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / lock).write_text(_locks(shop)[lock])
    assert _export(lock, "-o", "pylock.toml") == 2
    assert f"hint: ask the index for them: sanctity export --online {lock}" in capsys.readouterr().err
    assert not shop.requests
    assert _export(lock, "-o", "pylock.toml", "--online") == 0, capsys.readouterr().err
    package = _written(folder)
    (wheel,) = package["wheels"]
    assert (wheel["url"], wheel["hashes"]) == (shop.at(WHEEL), {"sha256": _hash(shop, WHEEL)[7:]})
    assert wheel["size"] == len(shop.files[WHEEL])
    assert package["sdist"]["url"] == shop.at(SDIST)
    assert package["sdist"]["upload-time"].year == 2026
    assert len(shop.requests) == 1


@pytest.mark.parametrize("lock", ["poetry.lock", "Pipfile.lock", "requirements.txt"])
def test_what_no_index_has_any_more_is_left_out_and_told(
    lock: str, folder: Path, shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / lock).write_text(_locks(shop)[lock])
    del shop.files[SDIST]
    assert _export(lock, "-o", "pylock.toml", "--online") == 0
    assert "left out, as no index says that it has them: alpha" in capsys.readouterr().err
    assert "sdist" not in _written(folder)
    (folder / "pylock.toml").unlink()
    del shop.files[WHEEL]
    assert _export(lock, "-o", "pylock.toml", "--online") == 3
    assert "error: artifact-gone" in capsys.readouterr().err
    assert not (folder / "pylock.toml").exists()


def test_an_index_that_contradicts_the_lock_is_refused(folder: Path, shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    for lock, text in _locks(shop).items():
        (folder / lock).write_text(text)
    shop.files[WHEEL] += b"more"
    assert _export("poetry.lock", "-o", "pylock.toml", "--online") == 3
    told = capsys.readouterr().err
    assert "error: artifact-mismatch" in told
    assert WHEEL in told
    assert not (folder / "pylock.toml").exists()
    # Where the lock gives hashes alone, the altered file is none of its own.
    for lock in ("Pipfile.lock", "requirements.txt"):
        assert _export(lock, "-o", "pylock.toml", "--online") == 0
        assert "wheels" not in _written(folder)


def test_an_index_that_does_not_answer_is_an_error(folder: Path, shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "poetry.lock").write_text(_locks(shop)["poetry.lock"])
    shop.next("/simple/alpha/", broken, stays=True)
    assert _export("poetry.lock", "-o", "pylock.toml", "--online") == 3
    assert "error: index-unreachable" in capsys.readouterr().err


def test_an_address_holds_no_secret(folder: Path, shop: Shop) -> None:
    (folder / "poetry.lock").write_text(_locks(shop)["poetry.lock"])
    shop.stated[WHEEL] = {"url": f"https://ada:lovelace@files.example/{WHEEL}?token=hunter2"}
    assert _export("poetry.lock", "-o", "pylock.toml", "--online") == 0
    text = (folder / "pylock.toml").read_text()
    assert f'"https://files.example/{WHEEL}"' in text
    assert not {"ada", "lovelace", "hunter2"} & set(text.replace(":", " ").replace("@", " ").replace("=", " ").split())


def test_what_lies_on_this_machine_is_taken_only_where_no_index_has_it(
    folder: Path, shop: Shop, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (folder / "poetry.lock").write_text(_locks(shop)["poetry.lock"])
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    assert _export("poetry.lock", "-o", "pylock.toml", "--online") == 0
    assert _written(folder)["wheels"][0]["url"] == shop.at(WHEEL)
    del shop.files[WHEEL]
    capsys.readouterr()
    assert _export("poetry.lock", "-o", "pylock.toml", "--online") == 0
    assert _written(folder)["wheels"][0]["url"].startswith("file:")
    assert "on this machine alone" in capsys.readouterr().err
