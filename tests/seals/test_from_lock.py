"""A seal from a lock and its wheels alone: what it states, what it leaves unstated, and what it refuses."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from archiving.kept import a_pylock, some_wheels
from real.index import make_wheel
from sanctity import verbs
from sanctity.errors import SanctityError, UsageError
from sanctity.model.digest import Digest
from sanctity.model.drift import Verdict
from sanctity.model.seal import UNSTATED, SealedEnvironment, SealedLock
from sanctity.observe.wheels import wheel_content, wheel_surface
from sanctity.seals.document import format_seal, parse_seal
from sealing import WHOLE, compared, sealed

if TYPE_CHECKING:
    from pathlib import Path

LINUX = ("linux-x86_64-glibc",)


@pytest.fixture(autouse=True)
def _there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def world_of(folder: Path) -> verbs.World:
    environ = {"HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache"), "UV_CACHE_DIR": str(folder / "uv")}
    return verbs.World(cwd=str(folder), environ=environ, clock=time.monotonic)


def made(folder: Path, **more: object) -> verbs.FromLock:
    options: dict[str, object] = {"platforms": LINUX, "pythons": ("3.11.7",), "offline": True, "lock": "pylock.toml"}
    return verbs.seal_lock(world_of(folder), **(options | more))  # type: ignore[arg-type]


def refused(folder: Path, **more: object) -> SanctityError:
    with pytest.raises(SanctityError) as caught:
        made(folder, **more)
    assert caught.value.code == "not-from-lock"
    assert caught.value.hint
    assert not (folder / "env.seal.json").exists()
    return caught.value


def test_it_states_what_wheels_hold(tmp_path: Path) -> None:
    wheels = some_wheels(tmp_path / "wheels")
    a_pylock(tmp_path, wheels)
    (entry,) = made(tmp_path).made
    assert {line.name: (line.version, line.content, str(line.artifact), line.origin) for line in entry.distributions} == {
        wheel.name: (wheel.version, wheel_content(str(wheel.path)), f"sha256:{wheel.sha256}", "") for wheel in wheels
    }
    assert (entry.platform, entry.python, entry.version, entry.abi) == (
        "linux-x86_64-glibc",
        "cpython-3.11",
        "3.11.7",
        "cpython-311",
    )
    assert entry.from_lock
    assert set(entry.unknown) == UNSTATED


def test_it_is_read_back_and_the_same_again(tmp_path: Path) -> None:
    a_pylock(tmp_path, some_wheels(tmp_path / "wheels"))
    first = made(tmp_path, platforms=(*LINUX, "linux-aarch64-musl"), pythons=("3.13.0t", "3.11.7"))
    (tmp_path / "env.seal.json").write_text(first.text)
    assert [(each.platform, each.python) for each in first.seal.environments] == [
        ("linux-aarch64-musl", "cpython-3.11"),
        ("linux-aarch64-musl", "cpython-3.13"),
        ("linux-x86_64-glibc", "cpython-3.11"),
        ("linux-x86_64-glibc", "cpython-3.13"),
    ]
    assert parse_seal(first.text.encode(), "env.seal.json") == replace(first.seal, path="env.seal.json")
    again = made(tmp_path)
    assert again.text == first.text, "one entry made anew is what it was, and the others are kept"
    assert all(each.from_lock for each in again.seal.environments)


def test_the_start_up_hooks_that_wheels_bring(tmp_path: Path) -> None:
    files = {
        "x.pth": b"import x\n",
        "y.pth": b"\xef\xbb\xbf# a mark\nsome/folder\n",
        "z.start": b"x:main\n",
        "pkg-1.0.data/purelib/w.pth": b"folder\n",
        "pkg-1.0.data/platlib/usercustomize.py": b"1\n",
        "sitecustomize/__init__.py": b"2\n",
        "sitecustomize/__init__.pyi": b"3\n",
        "pkg-1.0.data/scripts/python._pth": b"folder\n",
        "pkg/not.pth": b"import x\n",
        "pkg/sitecustomize.py": b"4\n",
    }
    wheel = make_wheel(tmp_path / "wheels", "pkg", "1.0", files)
    _, hooks = wheel_surface(str(wheel.path))
    assert [(str(hook.kind), hook.path) for hook in hooks] == [
        ("customize", "lib/sitecustomize/__init__.py"),
        ("customize", "lib/usercustomize.py"),
        ("path-file", "scripts/python._pth"),
        ("pth-code", "lib/x.pth"),
        ("pth-path", "lib/w.pth"),
        ("pth-path", "lib/y.pth"),
        ("start", "lib/z.start"),
    ]
    a_pylock(tmp_path, [wheel])
    one, other = made(tmp_path, pythons=("3.11.7", "3.13.0t")).made
    assert {hook.path.rpartition("/")[0] for hook in one.startup} == {
        "bin",
        "lib/python3.11/site-packages",
        "lib/python3.11/site-packages/sitecustomize",
    }
    assert {hook.path.rpartition("/")[0] for hook in other.startup} == {
        "bin",
        "lib/python3.13t/site-packages",
        "lib/python3.13t/site-packages/sitecustomize",
    }


def test_two_wheels_with_one_file(tmp_path: Path) -> None:
    def wheel(name: str, data: bytes) -> object:
        return make_wheel(tmp_path / "wheels", name, "1.0", {f"{name}.py": b"", "shared.py": data})

    a_pylock(tmp_path, [wheel("apple", b"1"), wheel("pear", b"1")])  # type: ignore[list-item]
    assert made(tmp_path).made
    a_pylock(tmp_path, [wheel("apple", b"1"), wheel("pear", b"2")])  # type: ignore[list-item]
    error = refused(tmp_path)
    assert error.where == "pear"
    assert "apple brings lib/shared.py too" in error.message


def _pylock(folder: Path, body: str) -> None:
    (folder / "pylock.toml").write_text(f'lock-version = "1.0"\ncreated-by = "by hand"\n[[packages]]\nname = "pear"\n{body}\n')


ZERO = "0" * 64


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            f'version = "1.0"\nsdist = {{name = "pear-1.0.tar.gz", path = "pear-1.0.tar.gz", hashes = {{sha256 = "{ZERO}"}}}}',
            "built",
        ),
        ('directory = {path = "pear"}', "not be installed as a wheel"),
        ('directory = {path = "pear", editable = true}', "is an editable"),
        (f'vcs = {{type = "git", url = "https://git.example/pear", commit-id = "{"a" * 40}"}}', "not be installed as a wheel"),
        (
            (
                'version = "1.0"\n[[packages.wheels]]\nname = "pear-1.0-cp39-cp39-win_amd64.whl"\n'
                f'path = "pear-1.0-cp39-cp39-win_amd64.whl"\nhashes = {{sha256 = "{ZERO}"}}'
            ),
            "not be installed as a wheel",
        ),
    ],
)
def test_what_no_wheel_tells(body: str, words: str, tmp_path: Path) -> None:
    _pylock(tmp_path, body)
    error = refused(tmp_path)
    assert words in error.message
    assert "pear" in error.where + error.message


def test_the_project_can_be_left_out(tmp_path: Path) -> None:
    _pylock(tmp_path, 'directory = {path = "pear", editable = true}')
    assert made(tmp_path, project=False).made[0].distributions == ()


@pytest.mark.parametrize(
    ("more", "where"),
    [
        ({"pythons": ("3.11",)}, "--python-version"),
        ({"pythons": ("banana",)}, "--python-version"),
        ({"platforms": ("windows",)}, "--platform"),
    ],
)
def test_what_is_meant_must_be_exact(more: dict[str, object], where: str, tmp_path: Path) -> None:
    a_pylock(tmp_path, some_wheels(tmp_path / "wheels"))
    with pytest.raises(UsageError) as caught:
        made(tmp_path, **more)
    assert caught.value.where == where


def test_the_project_s_own_python(tmp_path: Path) -> None:
    a_pylock(tmp_path, some_wheels(tmp_path / "wheels"))
    (tmp_path / ".python-version").write_text("# ours\n3.12.4\n")
    assert made(tmp_path, pythons=()).made[0].version == "3.12.4"
    (tmp_path / ".python-version").write_text("3.9\n")
    with pytest.raises(UsageError) as caught:
        made(tmp_path, pythons=())
    assert caught.value.where == ".python-version"


def test_a_wheel_that_is_not_the_lock_s(tmp_path: Path) -> None:
    wheels = some_wheels(tmp_path / "wheels")
    a_pylock(tmp_path, wheels)
    wheels[0].path.write_bytes(wheels[0].path.read_bytes().replace(b"NAME", b"EVIL"))
    with pytest.raises(SanctityError) as caught:
        made(tmp_path)
    assert caught.value.code in {"artifact-mismatch", "artifact-gone", "offline"}


# -- what is compared with it ----------------------------------------------------------------------------------------------


def _of_a_lock_alone(whole: SealedEnvironment) -> SealedEnvironment:
    """The entry of *whole* as a seal of its lock alone would be."""
    fields = ("platform", "implementation", "version", "abi", "fingerprint", "parts", "distributions", "startup", "unclaimed")
    kept = {name: getattr(whole, name) for name in fields}
    lock = SealedLock(path="uv.lock", format="uv", digest=Digest("sha256", ZERO))
    return SealedEnvironment(**kept, lock=lock, basis="artifact", unknown=tuple(sorted(UNSTATED)))


def test_what_no_lock_states_is_out_of_scope() -> None:
    alone = _of_a_lock_alone(sealed())
    assert alone.from_lock
    found = compared(WHOLE, alone)
    assert found.verdict is Verdict.CLEAN
    assert {item.what for item in found.unchecked if item.code == "platform-unknown"} == UNSTATED
    assert not [drift for drift in found.drifts if drift.gating]


def test_a_seal_of_an_environment_is_none_of_a_lock_whatever_it_lost() -> None:
    """Taking the standard library out of an ordinary seal, and saying that it is of a lock, leaves every verdict undecided."""
    whole = sealed()
    lock = _of_a_lock_alone(whole).lock
    for unknown in ((), ("stdlib",), tuple(sorted(UNSTATED))):
        cut = replace(whole, stdlib_sources=None, stdlib_built=None, basis="artifact", lock=lock, unknown=unknown)
        assert not cut.from_lock
        assert compared(WHOLE, cut).verdict is Verdict.UNDECIDED
    alone = _of_a_lock_alone(whole)
    for other in (
        replace(alone, unknown=("stdlib",)),
        replace(alone, basis="record"),
        replace(alone, lock=None),
        replace(alone, libc="glibc 2.36"),
        replace(alone, cpu=whole.cpu),
    ):
        assert not other.from_lock
        assert compared(WHOLE, other).verdict is Verdict.UNDECIDED


def test_the_document_of_a_lock_alone(tmp_path: Path) -> None:
    a_pylock(tmp_path, some_wheels(tmp_path / "wheels"))
    seal = made(tmp_path).seal
    document = json.loads(format_seal(seal))
    (entry,) = document["environments"]
    assert entry["basis"] == "artifact"
    assert entry["stdlib"] == {}
    assert entry["unknown"] == sorted(UNSTATED)
    assert str(tmp_path) not in json.dumps(document)
