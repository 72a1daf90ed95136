"""The content digest on real wheels: one for every installer and every place, and the one that the wheel alone has.

What is expected is always computed from the wheel files, never from an environment, and never written down here.

Each run installs a sample of the wheels by each installer, the places of `EVERYWHERE` and of `_ODD_PLACES`, the oldest and the
newest Python, and `SHORT_FLIPS` bits; ``-m long`` takes every wheel, place, Python and installer, and a thousand bits.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import random
import re
import shutil
import time
import zipfile
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import pytest
from packaging.utils import canonicalize_name, parse_wheel_filename

from real.environments import (
    HERE_PYTHON,
    SMALL,
    Built,
    installer_env,
    pip_tools,
    pip_venv,
    poetry_project,
    uv_pip,
    uv_project,
    virtualenv_pip,
)
from real.index import loopback_index, make_wheel, with_stubs
from real.judging import judge, sanctity
from real.tools import HERE, Workshop, each_python
from sanctity import verbs
from sanctity.canon.fingerprint import fingerprint
from sanctity.model.digest import ContentDigest
from sanctity.model.drift import Depth, Verdict
from sanctity.model.environment import Distribution, Environment, Interpreter, Layout
from sanctity.observe.environment import observe_environment
from sanctity.observe.wheels import wheel_content, wheel_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    Builder = Callable[[Workshop, Path, "Wheels"], Built]


pytestmark = [
    pytest.mark.index,
    pytest.mark.skipif(HERE_PYTHON != "3.11", reason="the locks are of wheels for Python 3.11"),
]

SEVENTY_TWO: Final = HERE / "wheels-72.txt"
POPULAR: Final = HERE / "popular-200.txt"

#: What continuous integration installs of the 72: headers (greenlet), data files (fonttools, jupyterlab-widgets), a script file
#: (jmespath), a program that is no text (ruff), start-up hooks (coverage, setuptools), console scripts, extension modules. None
#: needs another.
SAMPLE: Final = [
    "click",
    "coverage",
    "fonttools",
    "greenlet",
    "jmespath",
    "jupyterlab-widgets",
    "msgpack",
    "pygments",
    "pyyaml",
    "ruff",
    "setuptools",
    "six",
    "zope-interface",
]


def part_of(lock: Path, names: list[str], folder: Path) -> Path:
    """A lock of just the *names* of *lock*, in *folder*."""
    blocks = re.findall(r"^\S.*(?:\n[ \t]+.*)*", lock.read_text(), re.MULTILINE)
    kept = [block for block in blocks if canonicalize_name(block.partition("==")[0]) in names]
    assert len(kept) == len(names)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{lock.stem}-part.txt"
    path.write_text("\n".join(kept) + "\n")
    return path


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheels:
    """A lock, its wheel files, and what the wheels alone say: a content digest for each name, and one of all distributions."""

    lock: Path
    folder: Path
    contents: Mapping[str, str]
    distributions: str

    @property
    def pins(self) -> list[str]:
        """``NAME==VERSION`` of each wheel."""
        return sorted("{}=={}".format(*parse_wheel_filename(path.name)[:2]) for path in self.folder.glob("*.whl"))

    def without(self, name: str) -> Wheels:
        """The same wheels less one."""
        return _from_files(self.lock, self.folder, [path for path in self.folder.glob("*.whl") if not path.name.startswith(name)])

    @property
    def offline(self) -> tuple[str, ...]:
        """The options by which pip and uv take these wheels and nothing else."""
        return ("--no-index", f"--find-links={self.folder}", "--no-deps")


def wheels_of(shop: Workshop, lock: Path) -> Wheels:
    """The wheels of *lock*, fetched if need be."""
    folder = shop.wheels(lock)
    return _from_files(lock, folder, list(folder.glob("*.whl")))


@functools.cache
def _content(path: Path) -> str:
    return str(wheel_content(str(path)))


def _from_files(lock: Path, folder: Path, files: list[Path]) -> Wheels:
    found = []
    for path in sorted(files):
        name, version, _, _ = parse_wheel_filename(path.name)
        content = ContentDigest.parse(_content(path))
        found.append(Distribution(key=name, name=name, version=str(version), home=f"{name}.dist-info", content=content))
    return Wheels(
        lock=lock,
        folder=folder,
        contents={item.key: str(item.content) for item in found},
        distributions=_distributions_of(tuple(found)),
    )


def _distributions_of(items: tuple[Distribution, ...]) -> str:
    """The part ``distributions`` of the fingerprint of any environment that holds just *items*."""
    anywhere = Environment(
        prefix="/nowhere", layout=Layout(site=("lib",)), interpreter=Interpreter(version="3.11.0"), distributions=items
    )
    found = fingerprint(anywhere, seeds=frozenset(), unclaimed=())
    assert found is not None
    return str(dict(found.parts)["distributions"])


@pytest.fixture(scope="module")
def sample(workshop: Workshop) -> Wheels:
    return wheels_of(workshop, part_of(SEVENTY_TWO, SAMPLE, workshop.scratch / "sample"))


@functools.cache
def _whole(shop: Workshop, lock: Path) -> Wheels:
    return wheels_of(shop, lock)


def _world(folder: Path) -> verbs.World:
    return verbs.World(cwd=str(folder), environ={}, clock=time.monotonic)


def verified(built: Built) -> verbs.Outcome:
    return verbs.verify(verbs.Target(env=str(built.env)), _world(built.project), reference=str(built.lock))


def contents(built: Built, names: Mapping[str, str]) -> dict[str, str]:
    """The content digest of each installed distribution among *names*."""
    seen = observe_environment(str(built.env), depth=Depth.RECORD, clock=time.monotonic)
    return {item.key: str(item.content) for item in seen.distributions if item.key in names}


# -- one lock, many installers ---------------------------------------------------------------------------------------------


def _uv(link_mode: str, *, compiled: bool = False, relocatable: bool = False) -> Builder:
    def build(shop: Workshop, project: Path, wheels: Wheels) -> Built:
        return uv_pip(
            shop,
            project,
            lock=wheels.lock,
            link_mode=link_mode,
            compiled=compiled,
            relocatable=relocatable,
            options=wheels.offline[:2],
        )

    return build


def _pip(*, inside: bool, compiled: bool = True) -> Builder:
    def build(shop: Workshop, project: Path, wheels: Wheels) -> Built:
        return pip_venv(shop, project, lock=wheels.lock, inside=inside, compiled=compiled, options=wheels.offline)

    return build


def _for_all_platforms(project: Path, wheels: Wheels) -> Path:
    """An index folder beside *project*, from which a lock for every platform can be made."""
    return with_stubs(wheels.folder, project.with_name("index"))


def _uv_sync(shop: Workshop, project: Path, wheels: Wheels) -> Built:
    with loopback_index(_for_all_platforms(project, wheels)) as url:
        return uv_project(shop, project, packages=wheels.pins, sync=("--no-install-project",), index=url)


def _poetry(*, compiled: bool = False) -> Builder:
    def build(shop: Workshop, project: Path, wheels: Wheels) -> Built:
        return poetry_project(
            shop,
            project,
            packages=wheels.pins,
            requires_python="==3.11.*",  # Poetry takes no pin that any Python in the range can not have
            wheels=_for_all_platforms(project, wheels),
            sync=("--no-root",),
            compiled=compiled,
        )

    return build


def _pip_tools(shop: Workshop, project: Path, wheels: Wheels) -> Built:
    with loopback_index(wheels.folder) as url:
        return pip_tools(shop, project, packages=wheels.pins, index=url)


def _virtualenv(shop: Workshop, project: Path, wheels: Wheels) -> Built:
    with loopback_index(wheels.folder) as url:
        return virtualenv_pip(shop, project, lock=wheels.lock, index=url)


def _installer(shop: Workshop, project: Path, wheels: Wheels) -> Built:
    return installer_env(shop, project, lock=wheels.lock, wheels=wheels.folder)


BUILDERS: Final[dict[str, Builder]] = {
    "pip": _pip(inside=False),
    "pip --no-compile": _pip(inside=False, compiled=False),
    "the pip of ensurepip": _pip(inside=True),
    "virtualenv and pip": _virtualenv,
    "pip-tools": _pip_tools,
    "uv hardlink": _uv("hardlink"),
    "uv copy": _uv("copy"),
    "uv symlink": _uv("symlink"),
    "uv clone": _uv("clone"),
    "uv --compile-bytecode": _uv("hardlink", compiled=True),
    "uv --relocatable": _uv("copy", relocatable=True),
    "uv sync": _uv_sync,
    "poetry": _poetry(),
    "poetry --compile": _poetry(compiled=True),
    "installer": _installer,
}
PLACES: Final = {"short": "p", "blank": "a path/with blanks", "long": f"{'long' * 20}/{'path' * 20}"}
#: What continuous integration sees in every place; the odd wheel below is there by all who write paths in their own ways.
EVERYWHERE: Final = ("pip --no-compile", "uv hardlink")
#: Those whose like is seen beside them: the pip of ensurepip with the odd wheel and on each Python, Poetry's bytecode with `uv` and `pip`.
_LONG: Final = ("the pip of ensurepip", "poetry --compile")


def _agrees(built: Built, wheels: Wheels) -> None:
    """Clean, each content as its wheel's, and one digest of the distributions."""
    if built.tool == "pip-tools":  # it counts setuptools as unsafe, and leaves it out of its locks
        wheels = wheels.without("setuptools")
    assert contents(built, wheels.contents) == wheels.contents
    comparison = verified(built).comparison
    assert comparison.verdict is Verdict.CLEAN, [drift for drift in comparison.drifts if drift.gating]
    assert comparison.fingerprint is not None
    assert str(dict(comparison.fingerprint.parts)["distributions"]) == wheels.distributions


@pytest.mark.parametrize(
    ("name", "place"),
    [
        pytest.param(name, place, marks=pytest.mark.long if name in _LONG or (place != "short" and name not in EVERYWHERE) else ())
        for name in BUILDERS
        for place in PLACES
    ],
)
def test_a_sample_has_one_digest(name: str, place: str, sample: Wheels, workshop: Workshop, tmp_path: Path) -> None:
    _agrees(BUILDERS[name](workshop, tmp_path / PLACES[place] / "project", sample), sample)


@pytest.mark.long
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", BUILDERS)
def test_one_lock_has_one_digest(name: str, place: str, workshop: Workshop, tmp_path: Path) -> None:
    wheels = _whole(workshop, SEVENTY_TWO)
    assert len(wheels.contents) >= 70
    try:
        _agrees(BUILDERS[name](workshop, tmp_path / PLACES[place] / "project", wheels), wheels)
    finally:
        shutil.rmtree(tmp_path)  # 0.5 GB each


@pytest.mark.parametrize("python", each_python(), indirect=True)
def test_every_python_and_its_own_pip_agree(python: str, workshop: Workshop, tmp_path: Path) -> None:
    folder = workshop.wheels(SMALL, python=python)
    wheels = _from_files(SMALL, folder, list(folder.glob("*.whl")))
    _agrees(pip_venv(workshop, tmp_path / "project", python=python, options=wheels.offline), wheels)


def test_another_byte_is_another_digest(sample: Wheels, workshop: Workshop, tmp_path: Path) -> None:
    built = _uv("copy")(workshop, tmp_path / "project", sample)
    module = built.site / "six.py"
    module.write_bytes(module.read_bytes() + b"#\n")
    found = contents(built, sample.contents)
    assert {name for name in found if found[name] != sample.contents[name]} == {"six"}


# -- popular wheels --------------------------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize("tool", ["uv", "pip"])
def test_no_false_alarm_on_popular_wheels(tool: str, workshop: Workshop, tmp_path: Path) -> None:
    wheels = _whole(workshop, POPULAR)
    assert len(wheels.contents) == 200
    build = _uv("hardlink") if tool == "uv" else _pip(inside=False)
    try:
        built = build(workshop, tmp_path / "project", wheels)
        comparison = verified(built).comparison
        print(f"{tool}: {comparison.checked}, {sum(drift.gating for drift in comparison.drifts)} alarms")
        _agrees(built, wheels)
    finally:
        shutil.rmtree(tmp_path)


# -- single bits -----------------------------------------------------------------------------------------------------------

SEED: Final = 20261123
#: How many bits each run flips.
SHORT_FLIPS: Final = 30


def _flip_bits(built: Built, count: int) -> None:
    """Flip *count* random bits one at a time, each in a file whose RECORD row has a hash: every one must be named by its file."""
    seen = observe_environment(str(built.env), depth=Depth.RECORD, clock=time.monotonic)
    site = seen.layout.site[0] + "/"
    sizes = {entry.path: entry.size for entry in seen.files.values()}
    rows = sorted({row.path for item in seen.distributions for row in item.record or () if row.digest and sizes.get(row.path)})
    assert len(rows) > 500
    chance = random.Random(SEED)
    print(f"seed {SEED}, {count} flips among {len(rows)} files, {sum(sizes[path] for path in rows)} bytes")
    kinds: set[str] = set()
    for number in range(count):
        # Half of the bits in any file, half in any byte, so that small files and large ones both have their turn.
        weights = None if number % 2 else [sizes[path] for path in rows]
        (path,) = chance.choices(rows, weights)
        place, bit = chance.randrange(sizes[path]), chance.randrange(8)
        file = built.env / path
        before = file.stat()
        with file.open("r+b") as handle:
            handle.seek(place)
            (byte,) = handle.read(1)
            handle.seek(place)
            handle.write(bytes([byte ^ 1 << bit]))
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
        try:
            outcome = verified(built)
        finally:
            with file.open("r+b") as handle:
                handle.seek(place)
                handle.write(bytes([byte]))
            os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
        named = [drift for drift in outcome.comparison.drifts if drift.gating and drift.path == path.removeprefix(site)]
        assert named, f"flip {number}: bit {bit} of byte {place} of {path} was not named"
        assert outcome.comparison.verdict is Verdict.DRIFTED
        kinds.update(drift.code.value for drift in named)
    print(f"named as {sorted(kinds)}")
    assert verified(built).comparison.verdict is Verdict.CLEAN


@pytest.fixture(scope="module")
def flippable(sample: Wheels, workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    built = _uv("copy")(workshop, tmp_path_factory.mktemp("flips") / "project", sample)
    yield built
    shutil.rmtree(built.project)


def test_flipped_bits_are_named(flippable: Built) -> None:
    _flip_bits(flippable, SHORT_FLIPS)


@pytest.mark.long
def test_a_thousand_flipped_bits_are_named(flippable: Built) -> None:
    _flip_bits(flippable, 1000)


def test_a_flipped_bit_ends_with_one(flippable: Built) -> None:
    module = flippable.site / "six.py"
    whole, before = module.read_bytes(), module.stat()
    module.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
    os.utime(module, ns=(before.st_atime_ns, before.st_mtime_ns))
    try:
        report = judge(flippable)
    finally:
        module.write_bytes(whole)
        os.utime(module, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert report.code == 1
    assert [(drift["code"], drift["distribution"], drift["path"]) for drift in report.gating] == [("file-altered", "six", "six.py")]


# -- the classic exercise --------------------------------------------------------------------------------------------------


def digest_of(built: Built) -> str:
    """What ``sanctity fingerprint`` prints."""
    done = sanctity("fingerprint", "--env", built.env, "--format", "json", cwd=built.project)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["fingerprint"]
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", found)
    return str(found)


def _uv_twice(shop: Workshop, one: Path, other: Path) -> tuple[Built, Built]:
    first = uv_project(shop, one)
    shutil.copytree(one, other, ignore=shutil.ignore_patterns(".venv"))
    shop.run([shop.tool("uv"), "sync", "-q", "--locked"], cwd=other)
    return first, replace(first, project=other, env=other / ".venv", lock=other / "uv.lock")


def _pip_twice(shop: Workshop, one: Path, other: Path) -> tuple[Built, Built]:
    return pip_venv(shop, one, inside=False), pip_venv(shop, other, inside=False)


def _poetry_twice(shop: Workshop, one: Path, other: Path) -> tuple[Built, Built]:
    # The lock names the loopback index that it was made with, so each project locks anew: to the same files.
    first, second = poetry_project(shop, one), poetry_project(shop, other)
    texts = [re.sub(r"127\.0\.0\.1:\d+", "index.example", built.lock.read_text()) for built in (first, second)]
    assert re.findall(r"sha256:\w+", texts[0]) == re.findall(r"sha256:\w+", texts[1])
    return first, second


@pytest.mark.parametrize(
    "twice",
    [
        pytest.param(_uv_twice, id="uv"),
        pytest.param(_pip_twice, id="pip"),
        pytest.param(_poetry_twice, id="poetry", marks=pytest.mark.long),
    ],
)
def test_the_classic_three(
    twice: Callable[[Workshop, Path, Path], tuple[Built, Built]], workshop: Workshop, tmp_path: Path
) -> None:
    first, second = twice(workshop, tmp_path / "one", tmp_path / "another place")
    digest = digest_of(first)
    assert digest_of(second) == digest

    workshop.run([workshop.tool("pip"), "--python", second.executable, "install", "-q", "--no-deps", "six==1.17.0"])
    assert digest_of(second) != digest
    report = judge(second)
    assert report.code == 1
    (drift,) = [drift for drift in report.gating if drift["distribution"] == "six"]
    assert (drift["code"], drift["expected"], drift["actual"]) == ("version-mismatch", "1.16.0", "1.17.0")
    told = sanctity("verify", second.lock, "--env", second.env, cwd=second.project)
    assert "1.16.0" in told.stdout
    assert "1.17.0" in told.stdout
    assert judge(first)["verdict"] == "clean"


# -- the page --------------------------------------------------------------------------------------------------------------


def _by_the_page(path: Path) -> str:
    """The content digest of a wheel, from docs/content-digest.md alone; nothing of the package is used."""
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist() if not info.filename.endswith("/")}
    (info,) = {name.partition("/")[0] for name in members if re.match(r"[^/]+\.dist-info/", name)}
    folder = info.removesuffix(".dist-info") + ".data/"
    declared: dict[str, str] = {}
    section = ""
    for line in members.get(f"{info}/entry_points.txt", b"").decode().splitlines():
        if line.startswith("["):
            section = line.strip().strip("[]")
        elif "=" in line and section in {"console_scripts", "gui_scripts"} and not line.startswith(("#", ";")):
            name, _, value = line.partition("=")
            declared[name.strip()] = re.sub(r"\s|\[.*", "", value)
    left_out = [
        "INSTALLER",
        "RECORD",
        "RECORD.jws",
        "RECORD.p7s",
        "REQUESTED",
        "direct_url.json",
        "provenance_url.json",
        "uv_build.json",
        "uv_cache.json",
    ]
    rows = {(f"scripts/{name}", f"ep:{target}") for name, target in declared.items()}
    for name, data in members.items():
        folders = name.split("/")
        if folders[-1].endswith((".pyc", ".pyo")) and folders[-2:-1] == ["__pycache__"]:
            continue
        if folders[0] == info and "/".join(folders[1:]) in left_out:
            continue
        content = data
        key = f"lib/{name}"
        if name.startswith(folder):
            scheme, _, rest = name.removeprefix(folder).partition("/")
            key = f"{scheme}/{rest}"
            if scheme in {"purelib", "platlib"}:
                key = f"lib/{rest}"
            elif scheme == "data":
                for pattern, start in (
                    (r"bin/(.+)", "scripts"),
                    (r"include/(?:site/)?python\d\.\d+t?/[^/]+/(.+)", "headers"),
                    (r"lib(?:64)?/python\d\.\d+t?/site-packages/(.+)", "lib"),
                ):
                    if match := re.fullmatch(pattern, rest):
                        key = f"{start}/{match[1]}"
            elif scheme == "scripts":
                if re.sub(r"\.exe$|-script\.py$|\.pya$", "", folders[-1], flags=re.IGNORECASE) in declared:
                    continue
                if data.startswith(b"#!python"):
                    content = b"#!python\n" + data.partition(b"\n")[2]
        rows.add((key, f"sha256:{hashlib.sha256(content).hexdigest()}"))
    text = json.dumps(sorted(rows), separators=(",", ":"), ensure_ascii=False)
    return f"content/1:sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def test_the_page_says_it_all(sample: Wheels) -> None:
    files = sorted(sample.folder.glob("*.whl"))
    assert len(files) >= 10
    assert [_by_the_page(path) for path in files] == [_content(path) for path in files]


@pytest.mark.long
@pytest.mark.parametrize("lock", [SEVENTY_TWO, POPULAR], ids=["72", "200"])
def test_the_page_says_it_all_of_many_wheels(lock: Path, workshop: Workshop) -> None:
    files = sorted(workshop.wheels(lock).glob("*.whl"))
    assert [path.name for path in files if _by_the_page(path) != _content(path)] == []


# -- what no popular wheel has ---------------------------------------------------------------------------------------------

_WRAPPER: Final = b"import sys\nfrom odd import main\nif __name__ == '__main__':\n    sys.exit(main())\n"
_SCRIPTS: Final = "odd-1.0.data/scripts/"
_ODD: Final = {
    "odd.py": b"def main(): pass\n",
    f"{_SCRIPTS}plain": b"#!python\nprint(1)\n",
    f"{_SCRIPTS}arguments": b"#!python -u -X dev\nprint(2)\n",
    f"{_SCRIPTS}window": b"#!pythonw\nprint(3)\n",
    f"{_SCRIPTS}window-arguments": b"#!pythonw -u\nprint(4)\n",
    f"{_SCRIPTS}versioned": b"#!python3.11 -u\nprint(5)\n",
    f"{_SCRIPTS}crlf": b"#!python\r\nprint(6)\r\n",
    f"{_SCRIPTS}crlf-arguments": b"#!python -u\r\nprint(6)\r\n",
    f"{_SCRIPTS}only-a-line": b"#!python",
    f"{_SCRIPTS}blank-before": b"#! python\nprint(7)\n",
    f"{_SCRIPTS}env": b"#!/usr/bin/env python\nprint(8)\n",
    f"{_SCRIPTS}shell": b"#!/bin/sh\necho 9\n",
    f"{_SCRIPTS}system": b"#!/usr/bin/python3\r\nprint(10)\n",
    f"{_SCRIPTS}wrapper": b"#!python\n" + _WRAPPER,
    f"{_SCRIPTS}large": b"#!python\n" + b"#" * (2 << 20) + b"\n",
    "odd-1.0.data/data/bin/program": b"#!python\nprint(11)\n",
    "odd-1.0.data/data/share/a blank/\u00fc, \u00df.txt": b"12\n",
    "odd-1.0.data/data/include/python3.11/other/z.h": b"13\n",
    "odd-1.0.data/data/lib/python3.11/site-packages/as_data.py": b"14\n",
    "odd-1.0.data/headers/sub/odd.h": b"15\n",
    "odd-1.0.data/platlib/plat.py": b"16\n",
    "odd-1.0.data/purelib/pure/__init__.py": b"17\n",
    "shipped/__init__.py": b"",
    "shipped/__pycache__/__init__.cpython-311.pyc": b"no bytecode at all",
    "shipped/sourceless.pyc": b"18\n",
}
#: What setuptools once put into wheels beside an entry point ``odd``. pip and uv leave it out; the others contradict themselves.
_BESIDE: Final = {f"{_SCRIPTS}odd{ending}": b"#!python\nprint(19)\n" for ending in ("", ".exe", "-script.py", ".pya")}
#: uv refuses a wheel that has this.
_NESTED: Final = {f"{_SCRIPTS}folder/nested": b"#!python\nprint(20)\n"}
_ODD_BUILDERS: Final = ("pip", "the pip of ensurepip", "uv hardlink", "uv --relocatable", "poetry", "installer")
#: Where each run lets those install it that take long; the others install it everywhere.
_ODD_PLACES: Final = {"the pip of ensurepip": "long", "poetry": "blank"}


@pytest.mark.parametrize(
    ("name", "place"),
    [
        pytest.param(name, place, marks=() if _ODD_PLACES.get(name, place) == place else pytest.mark.long)
        for name in _ODD_BUILDERS
        for place in PLACES
    ],
)
def test_an_odd_wheel_has_one_digest(name: str, place: str, workshop: Workshop, tmp_path: Path) -> None:
    files = dict(_ODD)
    if "pip" in name or "uv" in name:
        files |= _BESIDE
    if "uv" not in name:
        files |= _NESTED
    text = "[console_scripts]\nodd = odd:main\n# a comment\nodder=odd:main [extra]\n[gui_scripts]\noddest = odd:main\n"
    wheel = make_wheel(tmp_path / "wheels", "odd", "1.0", files, entry_points=text)
    lock = tmp_path / "odd.txt"
    lock.write_text(wheel.requirement)
    wheels = _from_files(lock, wheel.path.parent, [wheel.path])
    assert _by_the_page(wheel.path) != wheels.contents["odd"]  # its script "wrapper" is proven by a syntax tree
    _agrees(BUILDERS[name](workshop, tmp_path / PLACES[place] / "project", wheels), wheels)
    assert ("scripts/odd", "ep:odd:main") in wheel_rows(str(wheel.path))
