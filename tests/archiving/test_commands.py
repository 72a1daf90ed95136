"""`archive add`, `list`, `scrub`, `health`, `export`, `import` and `gc`, as a user calls them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from archiving.door import a_project, environ, json_of, sanctity, start
from archiving.kept import a_pylock, some_wheels
from archiving.oci import check_layout, check_sums
from real.index import loopback_index, make_wheel
from sanctity.observe.wheels import wheel_content

if TYPE_CHECKING:
    from pathlib import Path


def test_a_lock_is_kept_with_what_it_needs(tmp_path: Path) -> None:
    project = a_project(tmp_path / "demo")
    made = json_of("archive", "add", project.lock, "--archive", "kept", home=tmp_path)
    assert made["exit_code"] == 0
    assert made["artifacts"]["found"] == 3
    assert [lock["name"] for lock in made["locks"]] == ["demo/pylock.toml"]
    again = json_of("archive", "add", project.lock, "--archive", "kept", home=tmp_path)
    assert again["artifacts"]["there"] == 3
    assert again["locks"] == made["locks"]
    listed = json_of("archive", "list", "--archive", "kept", home=tmp_path)
    kept = {item["filename"]: item for item in listed["locks"][0]["artifacts"]}
    assert {name: item["content"] for name, item in kept.items()} == {
        wheel.path.name: str(wheel_content(str(wheel.path))) for wheel in project.wheels
    }
    assert "SOUND" in sanctity("archive", "scrub", "--deep", "--archive", "kept", home=tmp_path)
    assert "CAN BE REBUILT" in sanctity("archive", "health", "--offline", "--archive", "kept", home=tmp_path)
    check_layout(tmp_path / "kept")
    assert check_sums(tmp_path / "kept") == listed["blobs"]
    assert not [path for path in (tmp_path / "kept/tmp").iterdir() if path.suffix != ".lock"]


def test_the_same_lock_makes_the_same_archive_anywhere(tmp_path: Path) -> None:
    """The folder's name is the project's; nothing else of this machine is in it."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        project = a_project(tmp_path / name / "demo")
        sanctity("archive", "add", project.lock, "--archive", "kept", home=tmp_path / name)
    indexes = [(tmp_path / name / "kept/index.json").read_bytes() for name in ("one", "two")]
    assert indexes[0] == indexes[1]


def test_from_an_index_and_by_hash_alone(tmp_path: Path) -> None:
    wheels = some_wheels(tmp_path / "wheels")
    lock = tmp_path / "demo/requirements.txt"
    lock.parent.mkdir()
    lock.write_text("".join(wheel.requirement for wheel in wheels))
    with loopback_index(tmp_path / "wheels") as url:
        extra = {"PIP_INDEX_URL": url, "PIP_NO_INDEX": "0"}
        text = sanctity("archive", "add", lock, "--archive", "kept", home=tmp_path, extra=extra)
        assert "2 fetched" in text
    # The index is gone now.
    assert "2 were there" in sanctity("archive", "add", lock, "--archive", "kept", "--offline", home=tmp_path)
    assert "CAN BE REBUILT" in sanctity(
        "archive", "health", "demo/requirements.txt", "--offline", "--archive", "kept", home=tmp_path
    )


def test_what_can_not_be_had_is_named_and_the_rest_is_kept(tmp_path: Path) -> None:
    project = a_project(tmp_path / "demo")
    gone = project.wheels[1].path
    data = gone.read_bytes()
    gone.unlink()
    made = json_of("archive", "add", project.lock, "--archive", "kept", "--offline", home=tmp_path, code=3)
    assert [(item["name"], item["failed"]) for item in made["lacking"]] == [("pear", True)]
    assert "LACKS SOMETHING" in sanctity("archive", "health", "--offline", "--archive", "kept", home=tmp_path, code=1)
    check_layout(tmp_path / "kept")
    gone.write_bytes(data)
    sanctity("archive", "add", project.lock, "--archive", "kept", home=tmp_path)
    assert "CAN BE REBUILT" in sanctity("archive", "health", "--offline", "--archive", "kept", home=tmp_path)


def test_a_lock_that_is_not_whole_takes_no_name_away(tmp_path: Path) -> None:
    project = a_project(tmp_path / "demo")
    sanctity("archive", "add", project.lock, "--archive", "kept", home=tmp_path)
    before = json_of("archive", "list", "--archive", "kept", home=tmp_path)["locks"]
    a_pylock(project.folder, [replace(wheel, sha256="0" * 64) for wheel in project.wheels])
    text = sanctity("archive", "add", project.lock, "--archive", "kept", home=tmp_path, code=3)
    assert "note: demo/pylock.toml is still sha256:" in text
    sanctity("archive", "gc", "--apply", "--archive", "kept", home=tmp_path)
    assert json_of("archive", "list", "--archive", "kept", home=tmp_path)["locks"] == before
    sanctity("archive", "health", "--offline", "--archive", "kept", home=tmp_path)


def test_other_bytes_under_the_locked_name_are_refused(tmp_path: Path) -> None:
    project = a_project(tmp_path / "demo")
    project.wheels[0].path.write_bytes(project.wheels[1].path.read_bytes())
    made = json_of("archive", "add", project.lock, "--archive", "kept", home=tmp_path, code=3)
    assert [(item["name"], item["code"]) for item in made["lacking"]] == [("apple", "artifact-mismatch")]


def test_a_hostile_wheel_is_refused_before_it_is_in_the_archive(tmp_path: Path) -> None:
    project = a_project(tmp_path / "demo")
    wheel = project.wheels[0]
    with zipfile.ZipFile(wheel.path, "a") as archive:
        archive.writestr("../evil.py", "import os")
    digest = hashlib.sha256(wheel.path.read_bytes()).hexdigest()
    lock = a_pylock(project.folder, [replace(wheel, sha256=digest), *project.wheels[1:]])
    made = json_of("archive", "add", lock, "--archive", "kept", home=tmp_path, code=3)
    assert [(item["name"], item["code"]) for item in made["lacking"]] == [("apple", "wheel-invalid")]
    assert not (tmp_path / "kept/blobs/sha256" / digest).exists()
    assert not list(tmp_path.rglob("evil.py"))


def test_what_rotted_in_the_archive_is_fetched_anew(tmp_path: Path) -> None:
    project = a_project(tmp_path / "demo")
    sanctity("archive", "add", project.lock, "--archive", "kept", home=tmp_path)
    blob = tmp_path / "kept/blobs/sha256" / project.wheels[0].sha256
    data = bytearray(blob.read_bytes())
    data[100] ^= 4
    blob.write_bytes(data)
    text = sanctity("archive", "scrub", "--archive", "kept", home=tmp_path, code=1)
    assert "archive-blob-altered" in text
    assert f"used by {project.wheels[0].path.name} (demo/pylock.toml)" in text
    sanctity("archive", "add", project.lock, "--archive", "kept", home=tmp_path)
    sanctity("archive", "scrub", "--archive", "kept", home=tmp_path)


def test_platforms_that_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    (folder / "wheels").mkdir(parents=True)
    wheels = [make_wheel(folder / "wheels", "apple", "1.0", {"apple.py": b""})]
    for tag in ("cp313-cp313-manylinux_2_17_aarch64", "cp311-cp311-manylinux_2_17_x86_64"):
        # The same project with a wheel for one platform each.
        path = folder / "wheels" / f"pear-1.0-{tag}.whl"
        made = make_wheel(folder, "pear", "1.0", {"pear.py": tag.encode()})
        made.path.rename(path)
        wheels.append(replace(made, path=path))
    lock = folder / "pylock.toml"
    text = a_pylock(folder, wheels).read_text()
    # Both wheels of pear are of one package.
    first, _, second = text.rpartition('[[packages]]\nname = "pear"\nversion = "1.0"\n')
    lock.write_text(first + second)

    def names(*arguments: str) -> set[str]:
        shutil.rmtree(tmp_path / "kept", ignore_errors=True)
        sanctity("archive", "add", lock, "--archive", "kept", *arguments, home=tmp_path)
        listed = json_of("archive", "list", "--archive", "kept", home=tmp_path)
        return {item["filename"] for item in listed["locks"][0]["artifacts"]}

    both = {wheel.path.name for wheel in wheels}
    arm = names("--platform", "linux-aarch64-glibc", "--python-version", "3.13")
    intel = names("--platform", "linux-x86_64-glibc", "--python-version", "3.11")
    assert (len(arm), len(intel), arm | intel) == (2, 2, both)
    assert names("--all") == both
    code = sanctity("archive", "add", lock, "--archive", "kept", "--platform", "linux-aarch64-musl", home=tmp_path, code=3)
    assert "artifact-none-fits" in code


def test_what_was_built_here_is_packed_from_the_environment(tmp_path: Path) -> None:
    """An sdist without a wheel, installed in the project's own environment by hand as an installer leaves it."""
    from sites import add_distribution

    folder = tmp_path / "demo"
    folder.mkdir()
    sdist = folder / "fig-1.0.tar.gz"
    with tarfile.open(sdist, "w:gz") as tar:
        tar.add(__file__, "fig-1.0/setup.py")
    digest = hashlib.sha256(sdist.read_bytes()).hexdigest()
    (folder / "pylock.toml").write_text(
        'lock-version = "1.0"\ncreated-by = "by hand"\n[[packages]]\nname = "fig"\nversion = "1.0"\n[packages.sdist]\n'
        f'name = "{sdist.name}"\npath = "{sdist.name}"\nhashes = {{sha256 = "{digest}"}}\n'
    )
    lacking = json_of("archive", "add", folder / "pylock.toml", "--archive", "kept", home=tmp_path, code=3)
    assert [item["code"] for item in lacking["lacking"]] == ["wheel-not-built"]
    assert "wheel-not-built" in sanctity("archive", "health", "--offline", "--archive", "kept", home=tmp_path, code=1)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / ".venv"], check=True)
    add_distribution(folder / ".venv", "fig", "1.0", {"fig.py": b"NAME = 'fig'\n"})
    made = json_of("archive", "add", folder / "pylock.toml", "--archive", "kept", home=tmp_path)
    assert made["artifacts"]["made"] == 1, made
    listed = json_of("archive", "list", "--archive", "kept", home=tmp_path)
    wheel = next(item for item in listed["locks"][0]["artifacts"] if item["kind"] == "wheel")
    assert wheel["built_from"] == f"sha256:{digest}"
    sanctity("archive", "health", "--offline", "--archive", "kept", home=tmp_path)


def test_over_the_air_gap_and_back(tmp_path: Path) -> None:
    project = a_project(tmp_path / "demo")
    other = a_project(tmp_path / "other", ("quince",))
    sanctity("archive", "add", project.lock, other.lock, "--archive", "kept", home=tmp_path)
    sanctity("archive", "export", "all.tar", "--archive", "kept", home=tmp_path)
    sanctity("archive", "export", "one.tar", "other/pylock.toml", "--archive", "kept", home=tmp_path)
    assert "IMPORTED" in sanctity("archive", "import", "one.tar", "--archive", "there", home=tmp_path)
    assert [lock["name"] for lock in json_of("archive", "list", "--archive", "there", home=tmp_path)["locks"]] == [
        "other/pylock.toml"
    ]
    sanctity("archive", "import", "all.tar", "--archive", "there", home=tmp_path)
    sanctity("archive", "scrub", "--archive", "there", home=tmp_path)
    assert (tmp_path / "there/index.json").read_bytes() == (tmp_path / "kept/index.json").read_bytes()
    assert "archive-lock-missing" in sanctity("archive", "export", "x.tar", "nothing", "--archive", "kept", home=tmp_path, code=2)


def test_gc_shows_first(tmp_path: Path) -> None:
    project = a_project(tmp_path / "demo")
    sanctity("archive", "add", project.lock, "--archive", "kept", home=tmp_path)
    a_pylock(project.folder, project.wheels[:1])
    sanctity("archive", "add", project.lock, "--archive", "kept", home=tmp_path)
    shown = json_of("archive", "gc", "--archive", "kept", home=tmp_path)
    assert {blob["digest"][7:] for blob in shown["blobs"]} >= {wheel.sha256 for wheel in project.wheels[1:]}
    assert all((tmp_path / "kept/blobs/sha256" / wheel.sha256).exists() for wheel in project.wheels)
    done = json_of("archive", "gc", "--apply", "--archive", "kept", home=tmp_path)
    assert done["blobs"] == shown["blobs"]
    assert json_of("archive", "gc", "--archive", "kept", home=tmp_path)["bytes"] == 0
    check_layout(tmp_path / "kept")


def test_gc_stops_at_a_seal_that_it_can_not_read(tmp_path: Path) -> None:
    from archiving.kept import a_filled_archive

    a_filled_archive(tmp_path)  # its seal is of a schema, and nothing more
    before = sorted(path.name for path in (tmp_path / "archive/blobs/sha256").iterdir())
    text = sanctity("archive", "gc", "--apply", "--archive", "archive", home=tmp_path, code=2)
    assert "demo/env.seal.json" in text
    assert sorted(path.name for path in (tmp_path / "archive/blobs/sha256").iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("archive", "list"), "usage"),
        (("archive", "list", "--archive", "none"), "archive-not-found"),
        (("archive", "add", "none.lock", "--archive", "kept"), "lock-"),
        (("archive", "add", ".", "--archive", "kept"), "usage"),
        (("archive", "import", "none.tar", "--archive", "kept"), "export-not-found"),
        (("archive", "scrub", "--archive", "ftp://x/y"), "usage"),
        (("archive", "health", "zz", "--archive", "none"), "archive-not-found"),
    ],
)
def test_bad_usage_is_told(tmp_path: Path, arguments: tuple[str, ...], code: str) -> None:
    (tmp_path / "work").mkdir()
    text = sanctity(*arguments, home=tmp_path, code=2, cwd=tmp_path / "work")
    assert f"error: {code}" in text
    document = json.loads(sanctity(*arguments, "--format", "json", home=tmp_path, code=2, cwd=tmp_path / "work"))
    assert document["error"]["code"].startswith(code)


def test_two_adds_at_once_lose_nothing(tmp_path: Path) -> None:
    projects = [a_project(tmp_path / f"demo{number}", ("apple", f"pear{number}")) for number in range(4)]
    running = [start("archive", "add", project.lock, "--archive", "kept", home=tmp_path) for project in projects]
    for process in running:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, out + err
    listed = json_of("archive", "list", "--archive", "kept", home=tmp_path)
    assert [lock["name"] for lock in listed["locks"]] == [f"demo{number}/pylock.toml" for number in range(4)]
    sanctity("archive", "scrub", "--archive", "kept", home=tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a file system")
class TestMounted:
    """A disk that is full, and one that is read-only, for real."""

    @staticmethod
    def run(tmp_path: Path, options: str, *arguments: object, before: str = "true") -> subprocess.CompletedProcess[str]:
        """Run the command in a mount namespace of its own, in which ``small`` is a tmpfs with these *options*."""
        (tmp_path / "small").mkdir(exist_ok=True)
        words = " ".join(map(str, arguments))
        script = (
            f"mount -t tmpfs -o {options} none {tmp_path}/small && {{ {before}; }} && "
            f"{sys.executable} -m sanctity {words}; code=$?; cp -r {tmp_path}/small {tmp_path}/after; exit $code"
        )
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-c", script],
            cwd=tmp_path,
            env=environ(tmp_path),
            capture_output=True,
            text=True,
            check=False,
        )
        if "permitted" in done.stderr or "permission denied" in done.stderr:
            pytest.skip(f"no file system can be mounted here: {done.stderr.splitlines()[0]}")
        return done

    def test_a_full_disk_is_named_and_the_next_run_goes_on(self, tmp_path: Path) -> None:
        folder = tmp_path / "demo"
        (folder / "wheels").mkdir(parents=True)
        wheels = [
            make_wheel(folder / "wheels", name, "1.0", {f"{name}.bin": os.urandom(200_000)}) for name in ("apple", "pear", "plum")
        ]
        lock = a_pylock(folder, wheels)
        done = self.run(tmp_path, "size=500k", "archive", "add", lock, "--archive", "small/kept", "--jobs", "1")
        assert done.returncode == 3, done.stdout + done.stderr
        assert "error: archive-full" in done.stderr
        after = tmp_path / "after/kept"
        assert json.loads((after / "index.json").read_bytes())["manifests"] == []
        check_sums(after)
        made = json_of("archive", "add", lock, "--archive", after, home=tmp_path)
        assert made["artifacts"]["there"] >= 1
        sanctity("archive", "scrub", "--archive", after, home=tmp_path)
        sanctity("archive", "export", "x.tar", "--archive", after, home=tmp_path)
        for arguments in (("import", "x.tar", "--archive", "small/there"), ("export", "small/x.tar", "--archive", str(after))):
            shutil.copytree(after, tmp_path / "copy", dirs_exist_ok=True)
            shutil.rmtree(after.parent)
            done = self.run(tmp_path, "size=300k", "archive", *(each.replace("after/kept", "copy") for each in arguments))
            assert done.returncode == 3, done.stdout + done.stderr
            assert "error: archive-full" in done.stderr
            assert not (after.parent / "x.tar").exists()
            shutil.copytree(tmp_path / "copy", after, dirs_exist_ok=True)

    def test_a_read_only_archive_is_read_and_not_written(self, tmp_path: Path) -> None:
        project = a_project(tmp_path / "demo")
        sanctity("archive", "add", project.lock, "--archive", "kept", home=tmp_path)
        before = f"cp -r kept small/ && mount -o remount,ro {tmp_path}/small"
        for command, code in (
            ("list", 0),
            ("scrub", 0),
            ("health --offline", 0),
            ("export x.tar", 0),
            (f"add {project.lock}", 3),
            ("gc --apply", 3),
        ):
            done = self.run(tmp_path, "size=10m", "archive", command, "--archive", "small/kept", before=before)
            assert done.returncode == code, done.stdout + done.stderr
            assert (code == 0) != ("archive-unwritable" in done.stderr)
            shutil.rmtree(tmp_path / "after")
