"""Resolutions as of an instant: the real uv, and an index on the loopback interface that says when its files were uploaded."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from real.dated import DatedIndex, Made, dated_index
from real.tools import gone
from sanctity.errors import DocumentError, SanctityError, UsageError
from sanctity.model.timeline import Resolution, Target
from sanctity.timeline.cache import FRESH, LASTING, cache_folder
from sanctity.timeline.requirements import read_requirements
from sanctity.timeline.resolver import Resolver
from sanctity.timeline.uv import find_uv, paragraph, pylock_releases, version_of, via_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PYTHON = Target(python="3.11")
JANUARY, FEBRUARY, MARCH, APRIL = (f"2023-{month:02}-01T00:00:00Z" for month in (1, 2, 3, 4))
SHELF = (
    Made(name="tool", version="1.0", uploaded="2022-12-01T10:00:00Z", requires=("base",)),
    Made(name="tool", version="1.1", uploaded="2023-01-31T23:59:59Z", requires=("base",)),
    Made(name="tool", version="2.0", uploaded="2023-03-01T00:00:00Z", requires=("base>=2", "other; sys_platform == 'win32'")),
    Made(name="base", version="1.0", uploaded="2022-11-01T00:00:00.123456Z"),
    Made(name="base", version="2.0", uploaded="2023-02-10T00:00:00Z"),
    Made(name="other", version="1.0", uploaded="2022-10-01T00:00:00Z"),
    Made(name="late", version="1.0", uploaded="2023-03-15T00:00:00Z"),
    Made(name="lame", version="1.0", uploaded="2022-10-01T00:00:00Z", requires=("nowhere",)),
    Made(name="yanked", version="1.0", uploaded="2022-10-01T00:00:00Z"),
    Made(name="yanked", version="2.0", uploaded="2022-11-01T00:00:00Z", yanked="it was bad"),
    Made(name="undated", version="1.0"),
    Made(name="partly", version="1.0", uploaded="2022-10-01T00:00:00Z"),
    Made(name="partly", version="2.0"),
    Made(name="needs-undated", version="1.0", uploaded="2022-10-01T00:00:00Z", requires=("undated",)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A folder with requirements, an index, and a uv that writes down each start."""

    folder: Path
    index: DatedIndex
    environ: dict[str, str]
    uv: str

    def write(self, text: str, name: str = "requirements.in") -> None:
        (self.folder / name).write_text(text)

    def resolver(self, target: Target = PYTHON, **options: Any) -> Resolver:
        return Resolver(**{"uv": self.uv, "environ": self.environ, "target": target, "cache": str(self.folder / "kept"), **options})

    def resolve(self, instant: str, name: str = "requirements.in", target: Target = PYTHON, **options: Any) -> Resolution:
        mine = {key: options.pop(key) for key in ("constraints", "undated") if key in options}
        return self.resolver(target, **options).resolve(read_requirements(name, cwd=str(self.folder)), instant, **mine)

    def error(self, instant: str = APRIL, **options: Any) -> SanctityError:
        with pytest.raises(SanctityError) as caught:
            self.resolve(instant, **options)
        return caught.value

    def starts(self) -> list[str]:
        """The command lines that uv was started with to resolve, since this was last asked."""
        log = self.folder / "starts"
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return [line for line in lines if " compile " in f" {line} "]

    def kept(self) -> list[Path]:
        return sorted((self.folder / "kept").rglob("*.json"))


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatedIndex]:
    with dated_index(tmp_path_factory.mktemp("shelf"), SHELF) as index:
        yield index


def logged(folder: Path, before: str = "") -> str:
    """A uv that writes down how it is started, and does what the shell says *before* it goes on."""
    script = folder / "uv"
    script.write_text(f'#!/bin/sh\necho "$@" >> "{folder}/starts"\n{before}\nexec "{find_uv(os.environ)}" "$@"\n')
    script.chmod(0o755)
    return str(script)


@pytest.fixture
def bench(shelf: DatedIndex, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    shelf.broken.clear()
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "UV_DEFAULT_INDEX": shelf.url,
        "UV_CACHE_DIR": str(tmp_path_factory.getbasetemp() / "uv-cache"),
        "UV_HTTP_RETRIES": "0",
    }
    made = Bench(folder=tmp_path, index=shelf, environ=environ, uv=logged(tmp_path))
    made.write("tool\n")
    return made


def pins(resolution: Resolution) -> dict[str, str]:
    assert not resolution.failure
    return dict(resolution.pins)


def test_each_date_has_what_was_uploaded_before_it_and_says_when_and_through_whom(bench: Bench) -> None:
    found = bench.resolve(APRIL)
    assert pins(found) == {"base": "2.0", "tool": "2.0"}
    base, tool = found.releases
    assert (base.uploaded, base.via) == ("2023-02-10T00:00:00Z", ("tool",))
    assert (tool.uploaded, tool.via) == ("2023-03-01T00:00:00Z", ("-r requirements.in",))
    # What was uploaded at the very instant is not in, and a second before it is.
    assert pins(bench.resolve(MARCH)) == {"base": "2.0", "tool": "1.1"}
    assert pins(bench.resolve(FEBRUARY)) == {"base": "1.0", "tool": "1.1"}
    january = bench.resolve(JANUARY)
    assert pins(january) == {"base": "1.0", "tool": "1.0"}
    assert january.releases[0].uploaded == "2022-11-01T00:00:00Z"


@pytest.mark.long
def test_a_foreign_platform_and_python_are_resolved_for(bench: Bench) -> None:
    there = bench.resolve(APRIL, target=Target(python="3.9", platform="windows"))
    assert pins(there) == {"base": "2.0", "other": "1.0", "tool": "2.0"}
    assert pins(bench.resolve(APRIL, target=Target(python="3.13", platform="macos"))) == {"base": "2.0", "tool": "2.0"}


def test_constraints_hold_and_ask_for_nothing(bench: Bench) -> None:
    found = bench.resolve(APRIL, constraints=("tool<2", "base<2", "other<1"))
    assert pins(found) == {"base": "1.0", "tool": "1.1"}
    assert [release.via for release in found.releases] == [("tool",), ("-r requirements.in",)]


def test_a_yanked_release_is_not_the_answer_unless_it_is_pinned(bench: Bench) -> None:
    bench.write("yanked\n")
    assert pins(bench.resolve(APRIL)) == {"yanked": "1.0"}
    bench.write("yanked==2.0\n")
    assert pins(bench.resolve(APRIL)) == {"yanked": "2.0"}


def test_what_is_known_is_not_asked_for_again(bench: Bench) -> None:
    wanted = read_requirements("requirements.in", cwd=str(bench.folder))
    instants = (JANUARY, FEBRUARY, MARCH, APRIL)
    ticks: list[tuple[int, int]] = []
    first = bench.resolver().resolve_each(wanted, instants, tick=lambda done, of: ticks.append((done, of)))
    assert sorted(ticks) == [(number, 4) for number in range(5)]
    # Each date once, and once more each environment, for who asks for what.
    assert len(bench.starts()) == 8
    asked = dict(bench.index.pages)
    ticks.clear()
    again = bench.resolver().resolve_each(wanted, instants, tick=lambda done, of: ticks.append((done, of)))
    assert again == first
    assert ticks == [(4, 4)]
    assert bench.starts() == []
    assert bench.index.pages == asked


@pytest.mark.long
def test_an_entry_that_is_torn_or_altered_is_resolved_anew(bench: Bench) -> None:
    first = bench.resolve(APRIL)
    whole = {path: path.read_text() for path in bench.kept()}
    assert len(whole) == 2
    bads = ("{", '"' * 9, "[" * 9999)
    for (path, text), bad in zip(sorted(whole.items()) * 2, (*bads, ""), strict=True):
        for wrong in (bad, text.replace("2.0", "2.1").replace("requirements.in", "other.in")):
            path.write_text(wrong)
            bench.starts()
            assert bench.resolve(APRIL) == first
            assert bench.starts()
            assert path.read_text() != wrong


def test_a_cache_that_can_not_be_written_is_done_without(bench: Bench) -> None:
    (bench.folder / "kept").write_text("a file where the folder was to be")
    assert pins(bench.resolve(APRIL)) == {"base": "2.0", "tool": "2.0"}
    assert pins(bench.resolve(APRIL, cache="")) == {"base": "2.0", "tool": "2.0"}
    assert len(bench.starts()) == 4


@pytest.mark.long
def test_whatever_an_answer_rests_on_makes_another_entry(bench: Bench) -> None:
    bench.write("-r more.in\ntool\n")
    bench.write("other\n", "more.in")
    bench.resolve(APRIL)
    bench.starts()

    def anew(**options: Any) -> bool:
        bench.resolve(APRIL, **options)
        return bool(bench.starts())

    assert not anew()
    bench.write("base\n", "more.in")
    assert anew()
    assert anew(constraints=("tool<2",))
    assert not anew(constraints=("tool<2",))
    assert anew(target=Target(python="3.12"))
    assert anew(target=Target(python="3.11", platform="linux"))
    assert anew(undated=("Base",))
    assert not anew(undated=("base", "BASE"))
    assert anew(environ={**bench.environ, "UV_PRERELEASE": "allow"})
    assert not anew(environ={**bench.environ, "UV_CONCURRENT_DOWNLOADS": "3", "UNRELATED": "1"})
    bench.write('resolution = "lowest"\n', "uv.toml")
    assert anew()
    bench.write("tool<2\n", "limits.txt")
    limited = {**bench.environ, "UV_CONSTRAINT": "limits.txt"}
    assert anew(environ=limited)
    bench.write("tool<1.1\n", "limits.txt")
    assert anew(environ=limited)


def test_no_secret_of_a_variable_is_kept(bench: Bench) -> None:
    secret = bench.environ["UV_DEFAULT_INDEX"].replace("http://", "http://somebody:hunter2@")
    bench.resolve(APRIL, environ={**bench.environ, "UV_DEFAULT_INDEX": secret})
    assert bench.kept()
    assert not any("hunter2" in path.read_text() or "hunter2" in path.name for path in bench.kept())
    assert all(path.stat().st_mode & 0o077 == 0 for path in bench.kept())


def test_an_answer_grows_old_and_one_of_today_within_the_hour(bench: Bench) -> None:
    now = 1_700_000_000.0

    def anew(instant: str, after: float, **options: Any) -> bool:
        bench.resolve(instant, clock=lambda: now + after, **options)
        return bool(bench.starts())

    assert anew(APRIL, 0)
    assert not anew(APRIL, LASTING - 10)
    assert anew(APRIL, LASTING + 10)
    assert anew(APRIL, 0), "an entry from the future is none"
    assert anew(APRIL, 20, fresh=True)
    assert not anew(APRIL, 30)
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now - FRESH + 60))
    assert anew(soon, 0)
    assert not anew(soon, 3000)
    assert anew(soon, 4000)


def test_fresh_resolves_each_date_once(bench: Bench) -> None:
    bench.resolve(APRIL)
    bench.starts()
    resolver = bench.resolver(fresh=True, clock=lambda: time.time() + 60)
    wanted = read_requirements("requirements.in", cwd=str(bench.folder))
    assert resolver.resolve_each(wanted, (APRIL, APRIL))[0] == resolver.resolve(wanted, APRIL)
    assert len(bench.starts()) == 1


def test_a_date_without_a_resolution_is_a_value_with_its_reason(bench: Bench) -> None:
    bench.write("late\n")
    found = bench.resolve(MARCH)
    assert found.releases == ()
    assert "no versions of late" in found.failure
    assert "\n" not in found.failure
    assert "hint" not in found.failure
    assert pins(bench.resolve(APRIL)) == {"late": "1.0"}
    bench.write("lame\n")
    assert "nowhere was not found" in bench.resolve(APRIL).failure
    bench.write("tool==1.0\nbase>=3\n")
    assert bench.resolve(APRIL).failure
    bench.starts()
    assert bench.resolve(APRIL).failure
    assert bench.starts() == [], "that there is none is kept too"


def test_what_would_fail_at_every_date_is_an_error(bench: Bench) -> None:
    bench.write("nowhere\n")
    assert bench.error().code == "package-unknown"
    assert "nowhere" in bench.error().message
    bench.write("tool\n--frobnicate\n")
    assert (bench.error().code, bench.error().exit_code) == ("requirements-unreadable", 2)
    bench.write("tool==\n")
    assert bench.error().code == "requirements-unreadable"
    bench.write("tool\n")
    assert (bench.error(target=Target(python="3.11", platform="amiga")).code, bench.starts()) != ("usage", [])
    assert isinstance(bench.error(target=Target(python="2.7")), UsageError)
    assert bench.error(environ={**bench.environ, "UV_DEFAULT_INDEX": "http://127.0.0.1:9/simple"}).code == "index-unreachable"
    another = {**bench.environ, "UV_CACHE_DIR": str(bench.folder / "another")}
    assert bench.error(environ={**another, "UV_OFFLINE": "1"}).code == "index-unreachable"
    bench.index.broken.add("base")
    assert bench.error(environ=another).code == "index-unreachable"


def test_an_index_that_lets_nobody_in_is_not_one_without_the_package(bench: Bench) -> None:
    bench.index.closed.add("base")
    error = bench.error(environ={**bench.environ, "UV_CACHE_DIR": str(bench.folder / "another")})
    bench.index.closed.clear()
    assert error.code == "index-unreachable"
    assert "credentials" in error.message + error.hint or "asks for" in error.hint


def test_what_is_included_from_elsewhere_is_not_remembered(bench: Bench) -> None:
    elsewhere = bench.index.url.replace("/simple", "/files/more.txt")
    (bench.index.folder / "more.txt").write_text("tool<2\n")
    bench.write(f"-c {elsewhere}\ntool\n")
    assert pins(bench.resolve(APRIL))["tool"] == "1.1"
    (bench.index.folder / "more.txt").write_text("tool<1.1\n")
    assert pins(bench.resolve(APRIL))["tool"] == "1.0"
    assert bench.kept() == []


def test_a_file_whose_name_looks_like_an_option_is_a_file(bench: Bench) -> None:
    bench.write("tool\n", "--upgrade.in")
    assert pins(bench.resolve(APRIL, name="--upgrade.in"))["tool"] == "2.0"


def test_an_index_without_upload_times_is_told_apart(bench: Bench) -> None:
    bench.write("needs-undated\n")
    error = bench.error()
    assert error.code == "upload-times-missing"
    assert "undated" in error.message
    assert "--undated undated" in error.hint
    found = bench.resolve(APRIL, undated=("Undated",))
    assert pins(found) == {"needs-undated": "1.0", "undated": "1.0"}
    assert [release.uploaded for release in found.releases] == ["2022-10-01T00:00:00Z", ""]


def test_files_without_upload_time_that_were_passed_over_are_told(bench: Bench) -> None:
    bench.write("partly\n")
    found = bench.resolve(APRIL)
    assert pins(found) == {"partly": "1.0"}
    assert found.passed_over == ("partly-2.0-py3-none-any.whl",)
    assert bench.resolve(APRIL) == found, "also where it is remembered"
    assert pins(bench.resolve(APRIL, undated=("partly",))) == {"partly": "2.0"}


def test_a_resolution_that_takes_too_long_is_given_up_with_all_it_started(bench: Bench, tmp_path: Path) -> None:
    child = tmp_path / "child"
    uv = logged(tmp_path, f'case "$*" in *compile*) sleep 300 & echo $! > "{child}"; wait;; esac')
    found = bench.resolve(APRIL, uv=uv, patience=1.0)
    assert "given up after 1 seconds" in found.failure
    assert gone(int(child.read_text()))
    assert bench.kept() == [], "it is not kept: another time it may be quicker"


def test_an_error_in_the_middle_ends_the_rest_and_keeps_what_was_done(bench: Bench, tmp_path: Path) -> None:
    uv = logged(tmp_path, f'case "$*" in *{FEBRUARY}*) echo "error: it broke" >&2; exit 101;; esac')
    wanted = read_requirements("requirements.in", cwd=str(bench.folder))
    with pytest.raises(SanctityError) as caught:
        bench.resolver(uv=uv).resolve_each(wanted, (JANUARY, FEBRUARY, MARCH, APRIL), workers=1)
    assert caught.value.code == "resolver-failed"
    assert "it broke" in caught.value.message
    logged(tmp_path)
    bench.starts()
    found = bench.resolver().resolve_each(wanted, (JANUARY, FEBRUARY, MARCH, APRIL))
    assert [pins(each)["tool"] for each in found] == ["1.0", "1.1", "1.1", "2.0"]
    assert not any(APRIL in line for line in bench.starts()), "the last date is resolved first, and was kept"


def test_a_failed_build_is_a_value_that_is_not_kept(bench: Bench, tmp_path: Path) -> None:
    uv = logged(tmp_path, 'case "$*" in *compile*) echo "error: Failed to build \\`tool==1.0\\`" >&2; exit 2;; esac')
    assert "Failed to build" in bench.resolve(APRIL, uv=uv).failure
    assert bench.kept() == []


def test_a_closed_resolver_starts_nothing(bench: Bench) -> None:
    resolver = bench.resolver()
    wanted = read_requirements("requirements.in", cwd=str(bench.folder))
    resolver.close()
    with pytest.raises(SanctityError):
        resolver.resolve(wanted, APRIL)


# --- uv itself


def program(folder: Path, said: str, code: int = 0) -> str:
    script = folder / "uv"
    script.write_text(f"#!/bin/sh\necho '{said}'\nexit {code}\n")
    script.chmod(0o755)
    return str(script)


def test_uv_is_found_on_the_path_and_else_beside_this_tool(tmp_path: Path) -> None:
    assert find_uv({"PATH": str(tmp_path)}) != str(tmp_path / "uv")
    mine = program(tmp_path, "uv 99.0.0")
    assert find_uv({"PATH": str(tmp_path)}) == mine
    assert version_of(mine, {}) == "uv 99.0.0"


def test_a_uv_that_is_too_old_or_none_at_all_is_told(tmp_path: Path) -> None:
    for said, code in (("uv 0.4.30 (abc 2024)", "uv-too-old"), ("Ultra Violence 3", "uv-not-found"), ("", "uv-not-found")):
        with pytest.raises(SanctityError) as caught:
            version_of(program(tmp_path, said), {})
        assert caught.value.code == code
        assert caught.value.hint
    with pytest.raises(SanctityError, match="can not be started"):
        version_of(str(tmp_path / "nothing"), {})


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (
            "  \u00d7 No solution found when resolving dependencies:\n  ╰─▶ Because a\n      and b, c.\n\n  hint: do d\n",
            "Because a and b, c.",
        ),
        (
            "warning: w\nerror: No solution found when resolving dependencies\n  cause: Because a\n         And b.\n\nhint: d\n",
            "Because a And b.",
        ),
        ("Resolved 5 packages in 3ms\nerror: it broke\n  Caused by: the sea\n", "it broke the sea"),
        ("error: Unexpected end\n  cause: nope==\n             ^^\n", "Unexpected end nope=="),
        ("", ""),
    ],
)
def test_the_reason_is_one_paragraph_without_decoration(said: str, reason: str) -> None:
    assert paragraph(said) == reason


def test_a_very_long_reason_is_cut() -> None:
    assert len(paragraph("error: " + "because " * 1000)) < 1000


def test_packages_that_have_no_version_are_told_apart_by_what_they_have() -> None:
    text = """lock-version = "1.0"
packages = [
  {name = "C", version = "1", vcs = {type = "git", commit-id = "0123456789abcdef0123456789abcdef01234567"}},
  {name = "a_a", archive = {url = "https://index.example/a.zip", hashes = {sha256 = "ffffffffffffffffffff"}}},
  {name = "b", directory = {path = "b"}},
]
"""
    assert [(each.name, each.version) for each in pylock_releases(text)] == [
        ("a-a", "archive.ffffffffffff"),
        ("b", "folder"),
        ("c", "git.0123456789ab"),
    ]
    with pytest.raises(ValueError, match="pylock"):
        pylock_releases("a = 1\n")


def test_who_asks_is_read_from_annotations() -> None:
    text = (
        "numpy==1.26.4             # via scikit-learn, scipy, -r requirements.in\n"
        "Some.Name[x]==1 ; python_version < '4'  # via -c limits.txt, app (pyproject.toml)\n"
        "far @ https://index.example/far.whl  # via -r requirements.in\n"
        "nobody==1\n"
    )
    assert via_of(text) == {
        "numpy": ("scikit-learn", "scipy", "-r requirements.in"),
        "some-name": ("app (pyproject.toml)",),
        "far": ("-r requirements.in",),
    }


# --- requirements


def test_requirements_are_known_by_all_that_they_include(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "requirements.in").write_text("-r sub/more.in\n./lib\n")
    (tmp_path / "sub/more.in").write_text("-c limits.txt\nsix\n")
    (tmp_path / "sub/limits.txt").write_text("six<2\n-r ../requirements.in\n")
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/pyproject.toml").write_text("[project]\nname='lib'\n")
    digests = {read_requirements(".", cwd=str(tmp_path)).digest}
    for name in ("requirements.in", "sub/more.in", "sub/limits.txt", "lib/pyproject.toml"):
        (tmp_path / name).write_text((tmp_path / name).read_text() + "# more\n")
        digests.add(read_requirements("requirements.in", cwd=str(tmp_path)).digest)
    assert len(digests) == 5
    (tmp_path / "sub/limits.txt").unlink()
    with pytest.raises(DocumentError, match=r"limits\.txt") as caught:
        read_requirements("requirements.in", cwd=str(tmp_path))
    assert caught.value.code == "requirements-unreadable"


def test_a_project_is_read_with_the_folders_it_takes_from(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.uv.sources]\na = { path = "a" }\nb = [{ path = "b" }, { git = "x" }]\nc = 3\n')
    (tmp_path / "b").mkdir()
    before = read_requirements("pyproject.toml", cwd=str(tmp_path), extras=("x", "x"), groups=("g",))
    assert (before.extras, before.groups, before.is_project) == (("x",), ("g",), True)
    (tmp_path / "b/setup.py").write_text("")
    assert read_requirements("pyproject.toml", cwd=str(tmp_path)).digest != before.digest
    (tmp_path / "pyproject.toml").write_text("[project\n")
    with pytest.raises(DocumentError) as caught:
        read_requirements("pyproject.toml", cwd=str(tmp_path))
    assert caught.value.code == "requirements-unreadable"


def test_what_is_no_file_of_requirements_is_refused(tmp_path: Path) -> None:
    (tmp_path / "setup.py").write_text("raise SystemExit")
    (tmp_path / "requirements.txt").write_text("six\n")
    os.mkfifo(tmp_path / "fifo.in")
    for name, kind in (
        ("setup.py", UsageError),
        ("nothing.in", DocumentError),
        ("fifo.in", DocumentError),
        ("a\0b", DocumentError),
    ):
        with pytest.raises(kind):
            read_requirements(name, cwd=str(tmp_path))
    with pytest.raises(UsageError, match="pyproject"):
        read_requirements("requirements.txt", cwd=str(tmp_path), extras=("x",))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DocumentError, match="none of"):
        read_requirements("empty", cwd=str(tmp_path))


def test_where_resolutions_are_kept() -> None:
    assert cache_folder({"XDG_CACHE_HOME": "/c", "HOME": "/h"}) == "/c/sanctity/resolutions"
    assert cache_folder({"XDG_CACHE_HOME": "c", "HOME": "/h"}) == "/h/.cache/sanctity/resolutions"
    assert cache_folder({}) == ""


def test_an_entry_of_another_instant_under_this_name_is_none(bench: Bench) -> None:
    first = bench.resolve(APRIL)
    path = next(path for path in bench.kept() if "releases" in json.loads(path.read_text())["body"])
    bench.resolve(MARCH)
    other = next(each for each in bench.kept() if each != path and "2023-03-01" in each.read_text())
    path.write_text(other.read_text())
    assert bench.resolve(APRIL) == replace(first)
