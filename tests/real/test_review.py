"""Locks of one project at several days, by the real tools, as a reviewer of a pull request sees what changed."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from fetch.serving import broken, open_shop
from real.environments import poetry_project
from real.index import make_wheel
from real.judging import sanctity
from sanctity.report.difference import schema

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from fetch.serving import Shop
    from real.tools import Workshop

pytestmark = [pytest.mark.index, pytest.mark.xdist_group("diff")]

SCHEMA = jsonschema.Draft202012Validator(schema())
PROJECT = '[project]\nname = "demo"\nversion = "1.0"\nrequires-python = ">=3.9"\ndependencies = [{}]\n'
#: Where a wheel lies that was made here, by name and version: what it holds, what it needs, and the day it was uploaded.
WHEELS: dict[tuple[str, str], tuple[dict[str, bytes], tuple[str, ...], str]] = {
    ("alpha", "1.0"): ({"alpha.py": b"VALUE = 1\n"}, (), "2026-01-10T00:00:00Z"),
    ("alpha", "1.1"): ({"alpha.py": b"VALUE = 2\n", "alpha.pth": b"import alpha\n"}, ("beta",), "2026-07-08T00:00:00Z"),
    ("beta", "0.1"): ({"beta.py": b"VALUE = 1\n"}, (), "2026-02-01T00:00:00Z"),
    ("gamma", "1.0"): ({"gamma.py": b"VALUE = 1\n"}, (), "2026-02-01T00:00:00Z"),
    ("gamma", "2.0"): ({"gamma.py": b"VALUE = 2\n"}, (), "2026-03-01T00:00:00Z"),
}


def stock(shop: Shop, folder: Path) -> None:
    """Fill *shop* with all of `WHEELS`, each with the day of its upload."""
    for (name, version), (files, needs, day) in WHEELS.items():
        wheel = make_wheel(folder, name, version, files, requires=needs).path
        shop.files[wheel.name] = wheel.read_bytes()
        shop.stated[wheel.name] = {"upload-time": day}


def review(folder: Path, before: str, after: str, *words: str | Path, environ: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The only difference of ``sanctity diff``, held against its schema."""
    done = sanctity("diff", before, after, *words, "--format", "json", cwd=folder, environ=environ)
    assert done.stdout, done.stderr
    document = json.loads(done.stdout)
    SCHEMA.validate(document)
    (found,) = document["differences"]
    assert isinstance(found, dict)
    return found


def told(found: Mapping[str, Any]) -> dict[str, tuple[str, str, set[str]]]:
    """What happened to each package, by what way it is there, and why to look at it."""
    return {
        change["name"]: (
            change["changes"][0],
            " ".join(step["name"] for step in change["why"]["path"]) if change["why"] else "",
            {look["code"] for look in change["looks"]},
        )
        for change in found["packages"]
    }


def uv_lock(shop: Workshop, folder: Path, *needs: str, index: str = "", day: str = "") -> Path:
    """Lock a project that *needs* these packages, at the loopback *index*, or at the real one as it was on a *day*."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text(PROJECT.format(", ".join(f'"{need}"' for need in needs)))
    (folder / "uv.lock").unlink(missing_ok=True)
    where = ["--default-index", index, "--no-cache"] if index else ["--exclude-newer", day]
    shop.run([shop.tool("uv"), "lock", "-q", "--python", sys.executable, *where], cwd=folder)
    return folder / "uv.lock"


def test_a_project_that_was_locked_on_two_days(workshop: Workshop, tmp_path: Path) -> None:
    """pydantic as it was before and after its second major version; what came with that is history and changes no more."""
    uv_lock(workshop, tmp_path, "pydantic", day="2023-06-20").rename(tmp_path / "old.py.lock")
    uv_lock(workshop, tmp_path, "pydantic", day="2023-07-10")
    found = review(tmp_path, "old.py.lock", "uv.lock", "--as-of", "2023-07-10")
    changes = told(found)
    assert changes["pydantic"] == ("up", "pydantic", {"major", "recent"})
    assert changes["annotated-types"] == ("added", "pydantic annotated-types", {"new-transitive"})
    word, way, looks = changes["pydantic-core"]
    assert (word, way) == ("added", "pydantic pydantic-core")
    assert looks >= {"new-transitive", "native-code"}
    ages = {change["name"]: change["age_days"] for change in found["packages"]}
    assert 0 <= ages["pydantic"] < 7 < ages["annotated-types"]
    assert not review(tmp_path, "uv.lock", "uv.lock", "--as-of", "2023-07-10")["packages"]
    later = told(review(tmp_path, "old.py.lock", "uv.lock", "--as-of", "2024-07-10"))
    assert later["pydantic"] == ("up", "pydantic", {"major"})
    text = sanctity("diff", "old.py.lock", "uv.lock", "--as-of", "2023-07-10", cwd=tmp_path).stdout
    row = next(line for line in text.splitlines() if "annotated-types" in line)
    assert row.split()[:2] == ["!", "added"]
    assert "via pydantic 2.0" in row


def test_what_an_index_says_is_asked_for_once_and_only_where_that_is_wanted(workshop: Workshop, tmp_path: Path) -> None:
    with open_shop() as shop:
        stock(shop, tmp_path / "wheels")
        uv_lock(workshop, tmp_path, "alpha==1.0", "gamma==1.0", index=shop.index).rename(tmp_path / "old.py.lock")
        uv_lock(workshop, tmp_path, "alpha==1.1", "gamma==2.0", index=shop.index)
        shop.requests.clear()
        plain = told(review(tmp_path, "old.py.lock", "uv.lock", "--as-of", "2026-07-11"))
        assert plain == {
            "alpha": ("up", "alpha", {"recent"}),
            "beta": ("added", "alpha beta", {"new-transitive"}),
            "gamma": ("up", "gamma", {"major"}),
        }
        assert not shop.requests
        name = "gamma-2.0-py3-none-any.whl"
        shop.stated[name] = {**shop.stated[name], "yanked": "it was not good"}
        del shop.files["alpha-1.1-py3-none-any.whl"]
        asked = review(tmp_path, "old.py.lock", "uv.lock", "--as-of", "2026-07-11", "--online")
        assert {name: looks for name, (_, _, looks) in told(asked).items()} == {
            "alpha": {"recent", "gone"},
            "beta": {"new-transitive", "first-release"},
            "gamma": {"major", "yanked"},
        }
        assert len([path for path, _ in shop.requests]) == 3
        for project in ("alpha", "beta", "gamma"):
            shop.next(f"/simple/{project}/", broken, stays=True)
        silent = review(tmp_path, "old.py.lock", "uv.lock", "--as-of", "2026-07-11", "--online")
        assert told(silent) == plain
        (blind,) = silent["unchecked"]
        assert (blind["code"], blind["count"], blind["in_scope"]) == ("index-unreachable", 3, False)


def test_wheels_are_opened_where_that_is_wanted_and_what_can_not_be_had_is_told(workshop: Workshop, tmp_path: Path) -> None:
    with open_shop() as shop:
        stock(shop, tmp_path / "wheels")
        uv_lock(workshop, tmp_path, "alpha==1.0", index=shop.index).rename(tmp_path / "old.py.lock")
        uv_lock(workshop, tmp_path, "alpha==1.1", index=shop.index)
        opened = review(tmp_path, "old.py.lock", "uv.lock", "--as-of", "2027-01-01", "--artifacts")
        assert {name: looks for name, (_, _, looks) in told(opened).items()} == {
            "alpha": {"start-up-hook"},
            "beta": {"new-transitive"},
        }
        (look,) = next(change["looks"] for change in opened["packages"] if change["name"] == "alpha")
        assert look["message"] == "brings alpha.pth, code that every start of Python runs: import alpha"
        text = (tmp_path / "uv.lock").read_text("utf-8")
        digest = re.search(r"alpha-1.1-py3-none-any.whl.*sha256:([0-9a-f]{64})", text)
        assert digest is not None
        (tmp_path / "forged.lock").write_text(text.replace(digest[1], "dead" * 16), "utf-8")
        forged = review(tmp_path, "old.py.lock", "forged.lock", "--as-of", "2027-01-01", "--artifacts")
        (look,) = next(change["looks"] for change in forged["packages"] if change["name"] == "alpha")
        assert (look["code"], look["severity"]) == ("hash-contradicted", "error")
        assert digest[1] in look["message"]
        assert "dead" * 16 in look["message"]
        done = sanctity("archive", "add", "uv.lock", "old.py.lock", "--archive", "kept", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    offline = review(tmp_path, "old.py.lock", "uv.lock", "--as-of", "2027-01-01", "--artifacts", "--offline")
    assert told(offline)["alpha"][2] == set()
    (blind,) = offline["unchecked"]
    assert (blind["code"], blind["what"], blind["count"]) == ("offline", "alpha 1.0, alpha 1.1, beta 0.1", 3)
    kept = review(tmp_path, "old.py.lock", "uv.lock", "--as-of", "2027-01-01", "--artifacts", "--offline", "--archive", "kept")
    assert told(kept) == told(opened)
    assert not kept["unchecked"]


def test_three_formats_of_one_project_differ_in_nothing_and_then_in_what_changed(workshop: Workshop, tmp_path: Path) -> None:
    """uv's lock, what uv exports of it, and what Poetry makes of the same project."""
    folder = tmp_path / "wheels"
    for name, needs in (("alpha", ("beta",)), ("beta", ())):
        make_wheel(folder, name, "1.0", {f"{name}.py": b"VALUE = 1\n"}, requires=needs)
    built = poetry_project(workshop, tmp_path / "poetry", packages=["alpha==1.0"], wheels=folder)
    locks = tmp_path / "locks"
    locks.mkdir()
    built.lock.rename(locks / "poetry.lock")
    with open_shop(files={file.name: file.read_bytes() for file in folder.iterdir()}) as shop:
        uv_lock(workshop, locks, "alpha==1.0", index=shop.index)
        export: list[str | Path] = [workshop.tool("uv"), "export", "-q", "--frozen", "--python", sys.executable]
        workshop.run([*export, "--format", "pylock.toml", "-o", "pylock.toml"], cwd=locks)
        workshop.run([*export, "-o", "requirements.txt"], cwd=locks)
        uv_lock(workshop, tmp_path / "other", "beta==1.0", index=shop.index)
    names = ("uv.lock", "pylock.toml", "requirements.txt", "poetry.lock")
    for one in names:
        for other in names:
            found = review(locks, one, other)
            # The same files at two addresses are two sources, and that is what the two say.
            assert all(change["changes"] == ["source"] for change in found["packages"]), (one, other, found["packages"])
    for name in names:
        gone = told(review(locks, name, "../other/uv.lock"))
        assert gone["alpha"][0] == "removed"
        assert "beta" not in gone or gone["beta"][0] == "source"


def test_the_comments_of_a_compiled_list_say_why(workshop: Workshop, tmp_path: Path) -> None:
    with open_shop() as shop:
        stock(shop, tmp_path / "wheels")
        for day, need in (("old", "alpha==1.0"), ("new", "alpha==1.1")):
            (tmp_path / "requirements.in").write_text(f"{need}\n")
            where = ["--default-index", shop.index, "--no-cache", "--python", sys.executable, "--no-header"]
            command: list[str | Path] = [
                workshop.tool("uv"),
                "pip",
                "compile",
                "-q",
                "--generate-hashes",
                *where,
                "requirements.in",
            ]
            workshop.run([*command, "-o", f"{day}.txt"], cwd=tmp_path)
    assert told(review(tmp_path, "old.txt", "new.txt", "--as-of", "2026-07-11")) == {
        "alpha": ("up", "alpha", set()),
        "beta": ("added", "alpha beta", {"new-transitive"}),
    }


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--online", "--offline"), "usage"),
        (("--archive", "kept"), "usage"),
        (("--offline",), "usage"),
        (("--artifacts", "--archive", "nowhere"), "archive-not-found"),
    ],
)
def test_options_that_say_nothing_together_are_refused(tmp_path: Path, words: tuple[str, ...], code: str) -> None:
    (tmp_path / "one.txt").write_text("six==1.16.0\n")
    (tmp_path / "two.txt").write_text("six==1.17.0\n")
    done = sanctity("diff", "one.txt", "two.txt", *words, "--format", "json", cwd=tmp_path)
    assert (done.returncode, json.loads(done.stdout)["error"]["code"]) == (2, code)
