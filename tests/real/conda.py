"""Conda packages made here, a channel of them, and prefixes that rattler, the library of pixi and mamba's kin, installs from it.

There is no channel to download from, so the interpreter itself becomes a package: the Python of this process, with its standard
library, as conda-forge packs it. What a prefix then looks like, and what its ``conda-meta`` says, is the real installer's own.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import posixpath
import struct
import tarfile
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from real.environments import HERE_PYTHON
from real.tampering import NotHereError
from real.tools import interpreters
from sites import record_row

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from real.tools import Workshop

__all__ = [
    "PLACEHOLDER",
    "Package",
    "demo_packages",
    "install",
    "install_exactly",
    "publish",
    "python_package",
    "write_pixi_lock",
    "write_wheel",
]

#: What stands for the prefix in a package, as long as conda-build makes it.
PLACEHOLDER: Final = "/builder/host_env" + ("_placehold" * 24)

#: Parts of a standard library that a small package can do without.
_LEFT_OUT: Final = (
    "test",
    "idlelib",
    "site-packages",
    "__pycache__",
    "ensurepip",
    "turtledemo",
    "lib2to3",
    "pydoc_data",
    "tkinter",
)
_SUBDIR: Final = "linux-64"

#: Run inside the tool's own environment: installs the newest of every package of a channel into each prefix named.
_INSTALL: Final = """
import asyncio, json, os, sys, rattler
channel, cache, *prefixes = sys.argv[1:]
async def main():
    await rattler.index.index_fs(channel)
    names = sorted({info["name"] for folder in ("linux-64", "noarch")
                    for key in ("packages", "packages.conda")
                    for info in json.load(open(os.path.join(channel, folder, "repodata.json")))[key].values()})
    records = await rattler.solve([channel], names, platforms=["linux-64", "noarch"])
    for prefix in prefixes:
        await rattler.install(records, prefix, cache_dir=cache, show_progress=False)
asyncio.run(main())
os._exit(0)  # its threads may still be at work, and do not all end well when the interpreter does
"""

#: Run inside the tool's own environment: makes a prefix hold just what the specs of a channel come to, as `pixi install` would.
_INSTALL_EXACTLY: Final = """
import asyncio, json, os, sys, rattler
asked = json.loads(sys.argv[1])
async def main():
    for channel in asked["channels"]:
        await rattler.index.index_fs(channel)
    records = await rattler.solve(asked["channels"], asked["specs"], platforms=["linux-64", "noarch"])
    await rattler.install(records, asked["prefix"], cache_dir=asked["cache"], show_progress=False)
asyncio.run(main())
os._exit(0)
"""

#: The same for a pixi.lock of several environments, each with what its specs come to, and packages of PyPI's in all of them.
_WRITE_LOCK: Final = """
import asyncio, json, os, sys, rattler
from rattler.lock import LockChannel, LockFile, LockPlatform
asked = json.loads(sys.argv[1])
async def main():
    for channel in asked["channels"]:
        await rattler.index.index_fs(channel)
    here = LockPlatform("linux-64")
    lock = LockFile([here, LockPlatform("osx-arm64")])
    for name, specs in asked["environments"].items():
        records = await rattler.solve(asked["channels"], specs, platforms=["linux-64", "noarch"])
        lock.set_channels(name, [LockChannel("file://" + channel) for channel in asked["channels"]])
        for record in records:
            lock.add_conda_package(name, here, record)
        for package in asked["pypi"]:
            lock.add_pypi_package(name, here, *package)
    lock.to_path(asked["path"])
asyncio.run(main())
os._exit(0)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A conda package: *files* map a path to its bytes, or to the text of a symbolic link.

    *entry_points* (``name = module:attribute``) are for a *noarch* package of Python, whose paths start at ``site-packages``.
    *number* is its build number, which is in its build string.
    """

    name: str
    version: str
    files: Mapping[str, bytes | str]
    noarch: bool = False
    entry_points: tuple[str, ...] = ()
    depends: tuple[str, ...] = ()
    number: int = 0

    @property
    def build(self) -> str:
        """Its build string."""
        return f"{'py' if self.noarch else 'h0'}_{self.number}"

    @property
    def stem(self) -> str:
        """The name of its archive, and of its document in a prefix."""
        return f"{self.name}-{self.version}-{self.build}"

    def index(self) -> dict[str, object]:
        """Its ``info/index.json``."""
        build = {"build": self.build, "build_number": self.number, "subdir": "noarch" if self.noarch else _SUBDIR}
        kind: dict[str, object] = {"noarch": "python"} if self.noarch else {"arch": "x86_64", "platform": "linux"}
        return {"name": self.name, "version": self.version, "depends": list(self.depends), **build, **kind}

    def paths(self) -> list[dict[str, object]]:
        """Its ``info/paths.json``, as conda-build writes it: a link states the digest of its end."""
        found: list[dict[str, object]] = []
        for path, data in self.files.items():
            end = path
            whole = data
            while isinstance(whole, str):
                end = posixpath.normpath(posixpath.join(posixpath.dirname(end), whole))
                whole = self.files.get(end, b"")
            row: dict[str, object] = {"_path": path, "path_type": "softlink" if isinstance(data, str) else "hardlink"}
            row |= {"sha256": hashlib.sha256(whole).hexdigest(), "size_in_bytes": len(whole)}
            if isinstance(data, bytes) and PLACEHOLDER.encode() in data:
                row |= {"prefix_placeholder": PLACEHOLDER, "file_mode": "binary" if b"\0" in data else "text"}
            found.append(row)
        return found


def _stored(data: bytes) -> bytes:
    """*data* as a Zstandard frame (RFC 8878) of raw blocks: nothing is compressed, so nothing is needed for it, and it is quick."""
    size = 1 << 17
    blocks = [data[start : start + size] for start in range(0, len(data), size)] or [b""]
    parts = [struct.pack("<IBB", 0xFD2FB528, 0, 7 << 3)]
    for number, block in enumerate(blocks):
        head = (len(block) << 3) | (number == len(blocks) - 1)
        parts += [struct.pack("<I", head)[:3], block]
    return b"".join(parts)


def _tar(files: Mapping[str, bytes | str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, data in files.items():
            member = tarfile.TarInfo(path)
            member.mtime = 1_700_000_000
            if isinstance(data, str):
                member.type, member.linkname = tarfile.SYMTYPE, data
                archive.addfile(member)
            else:
                member.size, member.mode = len(data), 0o755 if path.startswith("bin/") else 0o644
                archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def publish(channel: Path, packages: Iterable[Package]) -> None:
    """Write *packages* into the folder *channel*, in the ``.conda`` format."""
    for subdir in (_SUBDIR, "noarch"):
        (channel / subdir).mkdir(parents=True, exist_ok=True)
    for package in packages:
        info: dict[str, bytes | str] = {
            "info/index.json": json.dumps(package.index()).encode(),
            "info/paths.json": json.dumps({"paths": package.paths(), "paths_version": 1}).encode(),
            "info/files": "\n".join(package.files).encode(),
        }
        if package.noarch:
            link = {"noarch": {"type": "python", "entry_points": list(package.entry_points)}, "package_metadata_version": 1}
            info["info/link.json"] = json.dumps(link).encode()
        with zipfile.ZipFile(channel / ("noarch" if package.noarch else _SUBDIR) / f"{package.stem}.conda", "w") as archive:
            archive.writestr("metadata.json", '{"conda_pkg_format_version": 2}')
            archive.writestr(f"pkg-{package.stem}.tar.zst", _stored(_tar(package.files)))
            archive.writestr(f"info-{package.stem}.tar.zst", _stored(_tar(info)))


def python_package() -> Package:
    """The Python of this process as a conda package, with a hook for the prefix in its sysconfig data as conda-forge's has.

    Raises:
        NotHereError: it has no prefix of its own that could be packed.
    """
    source = interpreters()[HERE_PYTHON].resolve().parents[1]
    library = f"lib/python{HERE_PYTHON}"
    executable = f"bin/python{HERE_PYTHON}"
    if source == source.parent or str(source) == "/usr" or not (source / executable).is_file():
        raise NotHereError("the Python of this process has no prefix of its own")
    files: dict[str, bytes | str] = {}
    for path in sorted((source / library).rglob("*")):
        inside = path.relative_to(source / library)
        if path.is_file() and not any(part in _LEFT_OUT or part.startswith("config-") for part in inside.parts):
            files[f"{library}/{inside}"] = path.read_bytes()
    for path in source.glob("lib/libpython3*.so*"):
        files[f"lib/{path.name}"] = os.readlink(path) if path.is_symlink() else path.read_bytes()
    for name, data in files.items():
        if isinstance(data, bytes) and b"\0" not in data:
            files[name] = data.replace(os.fsencode(source), PLACEHOLDER.encode())
    # As conda builds it, the interpreter finds its library beside itself.
    linked = os.fsencode(source / "lib")
    program = (source / executable).read_bytes().replace(linked + b"\0", b"$ORIGIN/../lib".ljust(len(linked), b"\0") + b"\0")
    files[executable] = program + f"\0{PLACEHOLDER}\0".encode()  # as conda-forge's own, it holds the prefix
    files |= {"bin/python": f"python{HERE_PYTHON}", "bin/python3": f"python{HERE_PYTHON}"}
    files["lib/python3.1"] = f"python{HERE_PYTHON}"  # conda-forge's own
    files[f"{library}/site-packages/README.txt"] = b"This directory exists so that 3rd party packages can be installed here.\n"
    number = ".".join(interpreter_version(source))
    return Package(name="python", version=number, files=files)


def interpreter_version(source: Path) -> tuple[str, ...]:
    """The exact version of the Python at *source*, by its own header."""
    text = (source / f"include/python{HERE_PYTHON}/patchlevel.h").read_text()
    return tuple(text.partition("#define PY_VERSION ")[2].split('"')[1].rstrip("+").split("."))


def demo_packages() -> tuple[Package, ...]:
    """A noarch package of Python with an entry point, and one with a shared library, an extension and files that hold the prefix."""
    info = "site-packages/demo_conda-1.0.dist-info/"
    demo = Package(
        name="demo-conda",
        version="1.0",
        noarch=True,
        depends=("python",),
        entry_points=("demo-conda = demo_conda:main",),
        files={
            "site-packages/demo_conda/__init__.py": b"def main():\n    print('demo')\n",
            f"{info}METADATA": b"Metadata-Version: 2.1\nName: demo-conda\nVersion: 1.0\n",
            f"{info}INSTALLER": b"conda",
            f"{info}REQUESTED": b"",
            f"{info}direct_url.json": b'{"dir_info": {}, "url": "file:///builder/work"}',
            # What a build host wrote: of another place, and with a hash that conda-build's own edit made untrue.
            f"{info}RECORD": b"../../../../builder/bin/demo-conda,sha256=" + b"A" * 43 + b",9\ndemo_conda/__init__.py,,\n",
            f"{info}entry_points.txt": b"[console_scripts]\ndemo-conda = demo_conda:main\n",
        },
    )
    elf = b"\x7fELF" + bytes(60)
    library = f"lib/python{HERE_PYTHON}/site-packages"
    native = Package(
        name="demo-native",
        version="2.0",
        depends=("python",),
        files={
            "lib/libdemo.so.2": elf + f"{PLACEHOLDER}/lib:{PLACEHOLDER}/lib64".encode() + bytes(40) + b"the end",
            "lib/libdemo.so": "libdemo.so.2",
            "etc/demo.conf": f"[demo]\nprefix = {PLACEHOLDER}\nshare = {PLACEHOLDER}/share\n".encode(),
            "bin/demo-native": f"#!{PLACEHOLDER}/bin/python\nprint('native')\n".encode(),
            "share/demo/data": "../../lib",
            f"{library}/demo_native.so": elf + b"an extension",
            f"{library}/demo_native-2.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: demo-native\nVersion: 2.0\n",
            f"{library}/demo_native-2.0.dist-info/RECORD": b"",
        },
    )
    return demo, native


def install(shop: Workshop, channel: Path, *prefixes: Path) -> None:
    """Install every package of *channel* into each of *prefixes*, with rattler."""
    shop.run([shop.tool("rattler", "python"), "-c", _INSTALL, channel, channel.parent / "package-cache", *prefixes])


def install_exactly(shop: Workshop, prefix: Path, *specs: str, channels: Iterable[Path]) -> None:
    """Make *prefix* hold what *specs* come to, of the first of *channels* that has a package, and nothing else."""
    folders = [str(channel) for channel in channels]
    asked = {"channels": folders, "specs": specs, "prefix": str(prefix), "cache": str(shop.scratch / "package-cache")}
    shop.run([shop.tool("rattler", "python"), "-c", _INSTALL_EXACTLY, json.dumps(asked)])


def write_pixi_lock(
    shop: Workshop,
    path: Path,
    environments: Mapping[str, Iterable[str]],
    *,
    channels: Iterable[Path],
    pypi: Iterable[tuple[str, str, str]] = (),
) -> None:
    """Write a pixi.lock with rattler: what the specs of each of *environments* come to, and *pypi*'s (name, version, location)."""
    asked = {
        "channels": [str(channel) for channel in channels],
        "environments": {name: list(specs) for name, specs in environments.items()},
        "pypi": list(pypi),
        "path": str(path),
    }
    shop.run([shop.tool("rattler", "python"), "-c", _WRITE_LOCK, json.dumps(asked)])


def write_wheel(path: Path, *, scripts: tuple[str, ...] = ()) -> None:
    """A wheel of one module, ``demo_pip``, for what pip installs beside conda; with console *scripts* that call it."""
    info = "demo_pip-3.0.dist-info"
    files = {
        "demo_pip.py": b"PIP = True\n\n\ndef main():\n    return 0\n",
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: demo-pip\nVersion: 3.0\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    if scripts:
        lines = ["[console_scripts]", *(f"{script} = demo_pip:main" for script in scripts)]
        files[f"{info}/entry_points.txt"] = "\n".join(lines).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
        rows = [record_row(name, data) for name, data in files.items()]
        archive.writestr(f"{info}/RECORD", "\n".join([*rows, f"{info}/RECORD,,"]) + "\n")
