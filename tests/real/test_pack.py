"""Wheels made of installed distributions: installed again by uv and by pip, they are what was there, for every kind of content."""

from __future__ import annotations

import os
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from real.environments import HERE_PYTHON
from real.test_digest import SAMPLE, part_of
from real.tools import HERE, Workshop, interpreters
from sanctity.apply.pack import Packed, pack
from sanctity.canon.fingerprint import fingerprint
from sanctity.errors import SanctityError
from sanctity.model.drift import Depth
from sanctity.model.environment import Origin
from sanctity.observe.environment import observe_environment
from sanctity.observe.wheels import wheel_content
from sites import add_distribution, build_site, record_row, site_packages

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sanctity.model.environment import Distribution, Environment

    Install = Callable[[Workshop, Path, tuple[str | Path, ...]], None]

#: Wheels of an index that bring headers, script files, data outside of site-packages, console scripts, a start-up hook.
WHEELS: Final = ("greenlet", "jmespath", "fonttools", "jupyterlab-widgets", "pygments", "coverage", "ruff")


def look(env: Path) -> Environment:
    return observe_environment(str(env), depth=Depth.RECORD, clock=lambda: 0.0, workers=1, keep_rows=True)


def found(environment: Environment, name: str) -> Distribution:
    (item,) = (item for item in environment.distributions if item.key == name)
    return item


def packed(environment: Environment, name: str, to: Path) -> Packed:
    to.mkdir(exist_ok=True)
    return pack(environment, found(environment, name), str(to), content_of=wheel_content)


def refused(environment: Environment, name: str, to: Path) -> SanctityError:
    with pytest.raises(SanctityError) as caught:
        packed(environment, name, to)
    assert caught.value.code == "not-packable"
    assert caught.value.hint
    assert list(to.iterdir()) == [], "something was left behind"
    return caught.value


def by_uv(shop: Workshop, env: Path, words: tuple[str | Path, ...]) -> None:
    shop.run([shop.tool("uv"), "pip", "install", "-q", "--no-deps", "--python", env / "bin/python", *words])


def by_pip(shop: Workshop, env: Path, words: tuple[str | Path, ...]) -> None:
    shop.run([shop.tool("pip"), "--python", env / "bin/python", "install", "-q", "--no-deps", *words])


INSTALLERS: Final[dict[str, Install]] = {"uv": by_uv, "pip": by_pip}


def an_env(shop: Workshop, folder: Path) -> Path:
    shop.run([interpreters()[HERE_PYTHON], "-m", "venv", "--without-pip", folder])
    return folder


def a_project(shop: Workshop, folder: Path) -> Path:
    """A folder under git with a package that has a script, and data."""
    package = folder / "src/from_git"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("def main():\n    print('hello')\n")
    (package / "caché, data.txt").write_text("some\n")
    (folder / "tool").write_text("#!/usr/bin/env python\nprint('tool')\n")
    (folder / "setup.py").write_text(
        "from setuptools import setup\n"
        "setup(name='from-git', version='1.0', package_dir={'': 'src'}, packages=['from_git'], scripts=['tool'],\n"
        "      package_data={'from_git': ['*.txt']}, data_files=[('share/from-git', ['tool'])],\n"
        "      entry_points={'console_scripts': ['from-git = from_git:main']})\n"
    )
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main")
    for words in (("init", "-q"), ("add", "--all"), ("commit", "-q", "-m", "one")):
        shop.run(["git", *identity, *words], cwd=folder)
    return folder


def agree(shop: Workshop, before: Environment, names: tuple[str, ...], tmp_path: Path) -> dict[str, Packed]:
    """Pack *names* of *before*, which must be all of it, and hold every reinstallation to it."""
    made = {name: packed(before, name, tmp_path / "packed") for name in names}
    for name, one in made.items():
        assert one.content == found(before, name).content
        assert str(wheel_content(one.path)) == str(one.content)
    wanted = fingerprint(before, seeds=frozenset(), unclaimed=())
    assert wanted is not None
    for installer, install in INSTALLERS.items():
        env = an_env(shop, tmp_path / f"again by {installer}")
        install(shop, env, ("--no-index", "--find-links", tmp_path / "packed", *(f"{name}" for name in names)))
        after = look(env)
        for name in names:
            item = found(after, name)
            assert item.rows == found(before, name).rows, (installer, name)
            assert item.built_here == found(before, name).built_here, (installer, name)
        assert fingerprint(after, seeds=frozenset(), unclaimed=()) == wanted, installer
        # What was packed can be packed again, to the same file.
        for name in names:
            assert packed(after, name, tmp_path / f"packed again {installer}").sha256 == made[name].sha256, (installer, name)
    return made


@pytest.mark.index
@pytest.mark.parametrize("builder", INSTALLERS)
def test_what_was_built_here(builder: str, workshop: Workshop, tmp_path: Path) -> None:
    env = an_env(workshop, tmp_path / "built")
    project = a_project(workshop, tmp_path / "project")
    sources = ("crcmod==1.7", "docopt==0.6.2", f"from-git @ git+file://{project}")
    INSTALLERS[builder](workshop, env, ("--no-binary=crcmod,docopt", *sources))
    before = look(env)
    names = ("crcmod", "docopt", "from-git")
    made = agree(workshop, before, names, tmp_path)
    assert made["from-git"].built_from.startswith("git:")
    assert made["docopt"].filename.startswith("docopt-0.6.2-py")
    assert made["docopt"].filename.endswith("-none-any.whl")
    assert "-linux_" in made["crcmod"].filename


@pytest.mark.index
@pytest.mark.skipif(HERE_PYTHON != "3.11", reason="the lock is of wheels for Python 3.11")
@pytest.mark.parametrize("builder", INSTALLERS)
def test_what_came_as_a_wheel(builder: str, workshop: Workshop, tmp_path: Path) -> None:
    env = an_env(workshop, tmp_path / "built")
    wheels = workshop.wheels(part_of(HERE / "wheels-72.txt", SAMPLE, tmp_path / "lock"))
    INSTALLERS[builder](workshop, env, ("--no-index", "--find-links", wheels, *WHEELS))
    made = agree(workshop, look(env), WHEELS, tmp_path)
    for one in made.values():
        (published,) = (path for path in wheels.iterdir() if path.name.partition("-")[0] == one.filename.partition("-")[0])
        assert wheel_content(str(published)) == one.content
        assert sorted(one.filename.removesuffix(".whl").split("-")[-1].split(".")) == sorted(
            published.name.removesuffix(".whl").split("-")[-1].split(".")
        )


# -- what is refused -------------------------------------------------------------------------------------------------------


def test_a_packed_wheel_is_small_and_plain(tmp_path: Path) -> None:
    """Its members are sorted, RECORD is the last, and nothing in it tells when, where or by whom it was made."""
    made = packed(look(build_site(tmp_path)), "beta", tmp_path / "one")
    assert packed(look(build_site(tmp_path / "elsewhere")), "beta", tmp_path / "two").sha256 == made.sha256
    with zipfile.ZipFile(made.path) as archive:
        names = archive.namelist()
        assert names == [*sorted(names[:-1]), "beta-2.5.dist-info/RECORD"]
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert "beta-2.5.data/scripts/beta" not in names
        assert not any(str(tmp_path).encode() in archive.read(name) for name in names)


def test_what_does_not_match_its_own_record(tmp_path: Path) -> None:
    env = build_site(tmp_path)
    module = site_packages(env) / "alpha/__init__.py"
    module.write_bytes(b"VALUE = 2\n")
    assert refused(look(env), "alpha", tmp_path / "to").where.endswith("alpha/__init__.py")
    module.unlink()
    assert refused(look(env), "alpha", tmp_path / "to").where.endswith("alpha/__init__.py")
    (env / "bin/beta").write_text(f"#!{env}/bin/python\nimport beta\n")
    assert refused(look(env), "beta", tmp_path / "to").where == "bin/beta"


def test_a_row_without_a_hash_vouches_for_nothing(tmp_path: Path) -> None:
    env = build_site(tmp_path)
    record = site_packages(env) / "alpha-1.0.dist-info/RECORD"
    record.write_text("".join(f"{line.partition(',')[0]},,\n" for line in record.read_text().splitlines()))
    assert "no hash" in refused(look(env), "alpha", tmp_path / "to").message


def test_an_entry_point_without_its_script(tmp_path: Path) -> None:
    env = build_site(tmp_path)
    record = site_packages(env) / "beta-2.5.dist-info/RECORD"
    record.write_text("".join(line for line in record.read_text().splitlines(keepends=True) if "bin/beta" not in line))
    (env / "bin/beta").unlink()
    assert "'beta' has no script" in refused(look(env), "beta", tmp_path / "to").message


def test_what_changes_while_it_is_packed(tmp_path: Path) -> None:
    env = build_site(tmp_path)
    before = look(env)
    (site_packages(env) / "alpha/deep/data.bin").write_bytes(bytes(2048))
    assert "changed" in refused(before, "alpha", tmp_path / "to").message


@pytest.mark.parametrize(
    "wheel",
    [
        b"Wheel-Version: 1.0\n",
        b"Wheel-Version: 1.0\nTag: py3-none-any\nTag: cp311-abi3-linux_x86_64\n",
        b"Wheel-Version: 1.0\nTag: ../../x-none-any\n",
        b"Wheel-Version: 1.0\nTag: py3-none-any\nBuild: ../1\n",
        b"Wheel-Version: 2.0\nTag: py3-none-any\n",
    ],
)
def test_tags_that_no_name_has(wheel: bytes, tmp_path: Path) -> None:
    env = build_site(tmp_path, {})
    info = add_distribution(env, "gamma", "1.0", {"gamma.py": b""})
    record = info / "RECORD"
    lines = [line for line in record.read_text().splitlines(keepends=True) if "/WHEEL" not in line]
    (info / "WHEEL").write_bytes(wheel)
    record.write_text("".join([*lines, record_row("gamma-1.0.dist-info/WHEEL", wheel), "\n"]))
    refused(look(env), "gamma", tmp_path / "to")


@pytest.mark.parametrize(
    "name", ["gamma-1.0.data/scripts/x", "gamma-1.0.data/platlib/x.py", "other-1.0.dist-info/METADATA", "a\\b.py"]
)
def test_what_a_wheel_would_become_otherwise(name: str, tmp_path: Path) -> None:
    env = build_site(tmp_path, {})
    add_distribution(env, "gamma", "1.0", {"gamma.py": b"", name: b"pass\n"})
    refused(look(env), "gamma", tmp_path / "to")


def test_what_is_not_a_whole_distribution(tmp_path: Path) -> None:
    env = build_site(tmp_path)
    environment = look(env)
    item = found(environment, "alpha")
    for other in (
        replace(item, record=None),
        replace(item, content=None),
        replace(item, keeper="python3-alpha"),
        replace(item, origin=Origin(kind="directory", url="file:///x", editable=True)),
    ):
        refused(replace(environment, distributions=(other,)), "alpha", tmp_path / "to")


def test_a_file_of_data_that_looks_like_a_script_of_a_wheel(tmp_path: Path) -> None:
    """Installers write the first line of a script anew, and so the file is packed as data, which they leave alone."""
    env = build_site(tmp_path, {})
    data = b"#!python -u\nprint()\n"
    add_distribution(env, "gamma", "1.0", {"gamma.py": b"", "../../../bin/odd": data})
    made = packed(look(env), "gamma", tmp_path / "to")
    with zipfile.ZipFile(made.path) as archive:
        assert archive.read("gamma-1.0.data/data/bin/odd") == data


def test_a_folder_that_can_not_be_written(tmp_path: Path) -> None:
    environment = look(build_site(tmp_path))
    with pytest.raises(FileNotFoundError):
        pack(environment, found(environment, "alpha"), str(tmp_path / "nowhere"), content_of=wheel_content)
    assert not os.path.exists(tmp_path / "nowhere")
