"""Changes to plant in a built environment, one at a time, and what the contract says each must be called.

A planter gets the environment and the workshop, changes exactly one thing, and gives `Planted`. It puts modification times
back, as an attacker would, and gives a changed file a new inode, so that nothing leaks through hard links (`leaked`, which is
about that leak, is the exception). Planters raise `NotHereError` where this machine or this environment can not show the change.

- `TAMPERINGS`: each must be named, and the verdict must not be clean.
- `HARMLESS`: each leaves the verdict clean.
- `FORGERIES`: what depth ``artifact`` must name, though RECORD agrees with it.
- `UNSEEN`: what depth ``record`` against a lock does not see, and does not claim to.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import stat
import subprocess
import zipfile
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

from real.environments import Built, pip_tools, pip_venv, poetry_project, uv_pip, uv_project
from real.index import Wheel, loopback_index, make_wheel
from real.tools import HERE, Workshop, interpreters
from sanctity.model.drift import Code, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = [
    "FORGERIES",
    "HARMLESS",
    "OTHER",
    "TAMPERINGS",
    "UNSEEN",
    "NotHereError",
    "Planted",
    "Planter",
    "clobbered",
    "leaked",
    "older_release",
]

#: A hashed lock of other releases: an older six and idna, and iniconfig, which `real.environments.SMALL` does not have.
OTHER: Final = HERE / "other.txt"


class NotHereError(Exception):
    """This change can not be shown here; the text says why. A test skips."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """What was planted.

    *codes*: at least one of these must be told with *path* (the first is the one that the contract names; empty where only the
    verdict is fixed). *distribution* is the normalised name, empty where no distribution owns the path. *path* is relative to
    site-packages for what lies there, else to the prefix; empty where the drift is about a whole distribution. *actual* is the
    version found, where that is the drift. The verdict must be one of *verdicts*.
    """

    codes: tuple[Code, ...]
    distribution: str = ""
    path: str = ""
    actual: str = ""
    verdicts: tuple[Verdict, ...] = (Verdict.DRIFTED,)


class Planter(Protocol):
    """A function that plants one change."""

    __name__: str

    def __call__(self, built: Built, shop: Workshop, /) -> Planted: ...


_NOT_CLEAN: Final = (Verdict.DRIFTED, Verdict.UNDECIDED)
_CLEAN: Final = (Verdict.CLEAN,)


def _rewrite(path: Path, data: bytes) -> None:
    """Give *path* the bytes *data* in a new inode, with the old one's mode and times."""
    old = path.stat()
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_bytes(data)
    fresh.chmod(stat.S_IMODE(old.st_mode))
    os.utime(fresh, ns=(old.st_atime_ns, old.st_mtime_ns))
    os.replace(fresh, path)


def _info(built: Built, name: str) -> Path:
    """The dist-info folder of *name*."""
    return next(built.site.glob(f"{name}-*.dist-info"))


def _site_path(built: Built, path: Path) -> str:
    """*path* as a report gives it."""
    return path.relative_to(built.site).as_posix()


def _wheel(shop: Workshop, built: Built, name: str) -> Path:
    """The wheel of *name* among the other releases."""
    return next(shop.wheels(OTHER, python=built.python).glob(f"{name}-*.whl"))


def _install(built: Built, shop: Workshop, *what: str | Path) -> None:
    """Install *what* by hand, over what is there."""
    environ = shop.environ(UV_LINK_MODE="copy")
    uv: list[str | Path] = [shop.tool("uv"), "pip", "install", "-q", "--no-deps", "--offline", "--python", built.executable]
    shop.run([*uv, *what], env=environ)


def _extension(built: Built) -> Path:
    """The C extension of markupsafe."""
    return next((built.site / "markupsafe").glob("_speedups*.so"))


def _bytecode(built: Built, out: Path, *, like: Path, code: str, kind: str) -> None:
    """Write bytecode that runs *code* to *out*, by the interpreter's own writer, for the source *like*.

    *kind* is ``unchecked`` (hash-based, never checked), ``checked`` (with the source's hash), ``timestamp`` (fits the source's size
    and time), ``stale``.
    """
    script = (
        "import sys, os, importlib._bootstrap_external as b\n"
        "out, like, code, kind = sys.argv[1:]\n"
        "compiled = compile(code, like, 'exec')\n"
        "stamp = os.stat(like) if os.path.exists(like) else None\n"
        "import importlib.util as u\n"
        "pyc = b._code_to_hash_pyc(compiled, bytes(8), False) if kind == 'unchecked' else b._code_to_hash_pyc(\n"
        "    compiled, u.source_hash(open(like, 'rb').read()), True) if kind == 'checked' else b._code_to_timestamp_pyc(\n"
        "    compiled, int(stamp.st_mtime) + (kind == 'stale') if stamp else 0, stamp.st_size if stamp else 0)\n"
        "os.makedirs(os.path.dirname(out), exist_ok=True)\n"
        "if os.path.lexists(out): os.unlink(out)\n"
        "open(out, 'wb').write(pyc)\n"
    )
    argv: list[str | Path] = [interpreters()[built.python], "-I", "-S", "-B", "-c", script, out, like, code, kind]
    subprocess.run(argv, check=True, capture_output=True)


# Claimed files, altered or gone.


def edit_module(built: Built, shop: Workshop) -> Planted:
    """One line is added to a module."""
    _rewrite(built.site / "six.py", (built.site / "six.py").read_bytes() + b"\nprint = None\n")
    return Planted(codes=(Code.FILE_ALTERED,), distribution="six", path="six.py")


def flip_extension(built: Built, shop: Workshop) -> Planted:
    """One bit of a C extension is flipped; size and time stay."""
    path = _extension(built)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    _rewrite(path, bytes(data))
    return Planted(codes=(Code.FILE_ALTERED,), distribution="markupsafe", path=_site_path(built, path))


def delete_file(built: Built, shop: Workshop) -> Planted:
    """A module is deleted."""
    (built.site / "idna/core.py").unlink()
    return Planted(codes=(Code.FILE_MISSING,), distribution="idna", path="idna/core.py")


def truncate_file(built: Built, shop: Workshop) -> Planted:
    """A module is empty, as after a power cut."""
    _rewrite(built.site / "click/core.py", b"")
    return Planted(codes=(Code.FILE_ALTERED,), distribution="click", path="click/core.py")


def old_code(built: Built, shop: Workshop) -> Planted:
    """The module of six 1.15.0 stands under the metadata of 1.16.0."""
    with zipfile.ZipFile(_wheel(shop, built, "six")) as archive:
        _rewrite(built.site / "six.py", archive.read("six.py"))
    return Planted(codes=(Code.FILE_ALTERED,), distribution="six", path="six.py")


def edit_data(built: Built, shop: Workshop) -> Planted:
    """A data file outside of site-packages is edited."""
    path = next(built.env.glob("share/jupyter/labextensions/@jupyter-widgets/jupyterlab-manager/package.json"), None)
    if path is None:
        raise NotHereError("no distribution with data outside of site-packages is installed")
    _rewrite(path, path.read_bytes() + b"\n")
    return Planted(codes=(Code.DATA_ALTERED,), distribution="jupyterlab-widgets", path=path.relative_to(built.env).as_posix())


def claimed_hook(built: Built, shop: Workshop) -> Planted:
    """The ``.pth`` that coverage ships says something else."""
    path = built.site / "a1_coverage.pth"
    if not path.exists():
        raise NotHereError("this release of coverage ships no .pth")
    _rewrite(path, path.read_bytes() + b"import sys\n")
    return Planted(codes=(Code.FILE_ALTERED,), distribution="coverage", path="a1_coverage.pth")


def link_retargeted(built: Built, shop: Workshop) -> Planted:
    """A module is a symbolic link to an edited copy elsewhere."""
    path = built.site / "six.py"
    elsewhere = built.project / "elsewhere-six.py"
    elsewhere.write_bytes(path.read_bytes() + b"\nprint = None\n")
    path.unlink()
    path.symlink_to(elsewhere)
    return Planted(codes=(Code.FILE_ALTERED,), distribution="six", path="six.py")


def link_loop(built: Built, shop: Workshop) -> Planted:
    """A module is a symbolic link to itself."""
    path = built.site / "idna/core.py"
    path.unlink()
    path.symlink_to("core.py")
    codes = (Code.FILE_ALTERED, Code.FILE_MISSING)
    return Planted(codes=codes, distribution="idna", path="idna/core.py", verdicts=_NOT_CLEAN)


def link_dangling(built: Built, shop: Workshop) -> Planted:
    """A module is a symbolic link to nothing."""
    path = built.site / "idna/core.py"
    path.unlink()
    path.symlink_to("nowhere.py")
    codes = (Code.FILE_MISSING, Code.FILE_ALTERED)
    return Planted(codes=codes, distribution="idna", path="idna/core.py", verdicts=_NOT_CLEAN)


def fifo_in_place(built: Built, shop: Workshop) -> Planted:
    """A module is a named pipe, at which a reader would wait for ever."""
    path = built.site / "idna/core.py"
    path.unlink()
    os.mkfifo(path)
    codes = (Code.FILE_ALTERED, Code.FILE_MISSING)
    return Planted(codes=codes, distribution="idna", path="idna/core.py", verdicts=_NOT_CLEAN)


def folder_in_place(built: Built, shop: Workshop) -> Planted:
    """A module is a folder."""
    path = built.site / "idna/core.py"
    path.unlink()
    path.mkdir()
    codes = (Code.FILE_MISSING, Code.FILE_ALTERED)
    return Planted(codes=codes, distribution="idna", path="idna/core.py", verdicts=_NOT_CLEAN)


def unreadable_file(built: Built, shop: Workshop) -> Planted:
    """A module may not be read."""
    path = built.site / "idna/core.py"
    path.chmod(0)
    if os.access(path, os.R_OK):
        raise NotHereError("this user may read every file")
    return Planted(codes=(), distribution="idna", path="idna/core.py", verdicts=(Verdict.UNDECIDED,))


def changed_script(built: Built, shop: Workshop) -> Planted:
    """A console script does something before it starts its program."""
    path = built.env / "bin/coverage"
    lines = path.read_bytes().splitlines(keepends=True)
    _rewrite(path, b"".join([lines[0], b"import os; os.environ.setdefault('X', '1')\n", *lines[1:]]))
    return Planted(codes=(Code.SCRIPT_ALTERED, Code.FILE_ALTERED), distribution="coverage", path="bin/coverage")


def other_interpreter_script(built: Built, shop: Workshop) -> Planted:
    """A console script starts another interpreter."""
    path = built.env / "bin/coverage"
    body = path.read_bytes()
    _rewrite(path, b"#!/usr/bin/env python3\n" + body[body.index(b"\n") + 1 :])
    return Planted(codes=(Code.SCRIPT_ALTERED, Code.FILE_ALTERED), distribution="coverage", path="bin/coverage")


def changed_script_file(built: Built, shop: Workshop) -> Planted:
    """A script that a wheel ships as a file (not an entry point) is changed."""
    path = built.env / "bin/jp.py"
    _rewrite(path, path.read_bytes() + b"\n# more\n")
    return Planted(codes=(Code.SCRIPT_ALTERED, Code.FILE_ALTERED, Code.DATA_ALTERED), distribution="jmespath", path="bin/jp.py")


def missing_script(built: Built, shop: Workshop) -> Planted:
    """A console script is gone."""
    (built.env / "bin/coverage").unlink()
    return Planted(codes=(Code.FILE_MISSING, Code.SCRIPT_ALTERED), distribution="coverage", path="bin/coverage")


# Unclaimed code.


def _plant(built: Built, path: str, data: bytes, *codes: Code) -> Planted:
    """Write the unclaimed file *path*, under site-packages."""
    target = built.site / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    return Planted(codes=codes or (Code.FILE_UNCLAIMED,), path=path)


def file_in_package(built: Built, shop: Workshop) -> Planted:
    """A module is added to a package."""
    return _plant(built, "click/_telemetry.py", b"X = 1\n")


def stray_module(built: Built, shop: Workshop) -> Planted:
    """A module stands in site-packages that nobody claims."""
    return _plant(built, "stray.py", b"X = 1\n")


def stray_package(built: Built, shop: Workshop) -> Planted:
    """A package stands in site-packages that nobody claims."""
    return _plant(built, "stray_package/__init__.py", b"X = 1\n")


def orphaned_extension(built: Built, shop: Workshop) -> Planted:
    """A C extension stands in site-packages that nobody claims."""
    suffix = _extension(built).name.partition(".")[2]
    return _plant(built, f"_orphan.{suffix}", _extension(built).read_bytes())


def shadowing_extension(built: Built, shop: Workshop) -> Planted:
    """An extension beside a module is imported in its place."""
    return _plant(built, "six.abi3.so", _extension(built).read_bytes(), Code.PATH_SHADOW, Code.FILE_UNCLAIMED)


def shadowing_tagged_extension(built: Built, shop: Workshop) -> Planted:
    """The same, with the full tag of this interpreter."""
    suffix = _extension(built).name.partition(".")[2]
    return _plant(built, f"six.{suffix}", _extension(built).read_bytes(), Code.PATH_SHADOW, Code.FILE_UNCLAIMED)


def shadowing_package(built: Built, shop: Workshop) -> Planted:
    """A folder beside a module is imported in its place."""
    return _plant(built, "six/__init__.py", b"__version__ = 'other'\n", Code.PATH_SHADOW, Code.FILE_UNCLAIMED)


def linked_folder(built: Built, shop: Workshop) -> Planted:
    """A symbolic link in site-packages leads to a folder of code elsewhere."""
    elsewhere = built.project / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    (elsewhere / "__init__.py").write_bytes(b"X = 1\n")
    (built.site / "linked").symlink_to(elsewhere)
    return Planted(codes=(Code.FILE_UNCLAIMED,), path="linked")


def egg_link(built: Built, shop: Workshop) -> Planted:
    """An ``.egg-link``, as setuptools once wrote."""
    return _plant(built, "stray.egg-link", b"/nowhere\n.\n")


def unclaimed_fifo(built: Built, shop: Workshop) -> Planted:
    """A named pipe stands in site-packages under a module's name."""
    os.mkfifo(built.site / "pipe.py")
    return Planted(codes=(Code.FILE_UNCLAIMED,), path="pipe.py", verdicts=_NOT_CLEAN)


def undecodable_name(built: Built, shop: Workshop) -> Planted:
    """A module's name is not UTF-8."""
    name = os.fsencode(built.site) + b"/bad\xff.py"
    with open(name, "wb") as file:
        file.write(b"X = 1\n")
    return Planted(codes=(Code.PATH_INVALID, Code.FILE_UNCLAIMED), path=os.fsdecode(b"bad\xff.py"))


# The start-up surface.


def pth_import(built: Built, shop: Workshop) -> Planted:
    """A ``.pth`` with an import line."""
    return _plant(built, "zz_hook.pth", b"import sys; sys.flags\n", Code.PTH_HOOK)


def hidden_pth(built: Built, shop: Workshop) -> Planted:
    """A ``.pth`` whose name begins with a dot."""
    return _plant(built, ".hook.pth", b"import sys; sys.flags\n", Code.PTH_HOOK)


def pth_path(built: Built, shop: Workshop) -> Planted:
    """A ``.pth`` that adds a folder to the import path."""
    elsewhere = built.project / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    return _plant(built, "zz_path.pth", f"{elsewhere}\n".encode(), Code.PTH_HOOK, Code.PATH_SHADOW, Code.FILE_UNCLAIMED)


def zip_on_path(built: Built, shop: Workshop) -> Planted:
    """A zip of modules stands in site-packages."""
    with zipfile.ZipFile(built.site / "stray.zip", "w") as archive:
        archive.writestr("zipped.py", "X = 1\n")
    return Planted(codes=(Code.FILE_UNCLAIMED,), path="stray.zip")


def start_file(built: Built, shop: Workshop) -> Planted:
    """A start-up entry of PEP 829."""
    return _plant(built, "zz.start", b"six:add_move\n", Code.PTH_HOOK, Code.FILE_UNCLAIMED)


def sitecustomize(built: Built, shop: Workshop) -> Planted:
    """A ``sitecustomize.py``."""
    return _plant(built, "sitecustomize.py", b"X = 1\n", Code.CUSTOMIZE_HOOK)


def usercustomize(built: Built, shop: Workshop) -> Planted:
    """A ``usercustomize`` package."""
    return _plant(built, "usercustomize/__init__.py", b"X = 1\n", Code.CUSTOMIZE_HOOK)


def blinding_pth(built: Built, shop: Workshop) -> Planted:
    """A ``.pth`` hides the edit of a module from whoever is run by this environment's own interpreter."""
    good = built.project / "good-six.py"
    shutil.copy2(built.site / "six.py", good)
    edit_module(built, shop)
    line = (
        "import builtins; builtins.open=(lambda o,g: lambda f,*a,**k: o(g if str(f).endswith('/six.py') else f,*a,**k))"
        f"(open,{str(good)!r})\n"
    )
    (built.site / "zz_blind.pth").write_text(line)
    return Planted(codes=(Code.FILE_ALTERED,), distribution="six", path="six.py")


def system_site(built: Built, shop: Workshop) -> Planted:
    """``pyvenv.cfg`` lets the base interpreter's site-packages in."""
    path = built.env / "pyvenv.cfg"
    kept = [line for line in path.read_text().splitlines() if not line.lower().startswith("include-system-site-packages")]
    _rewrite(path, "\n".join([*kept, "include-system-site-packages = true", ""]).encode())
    return Planted(codes=(Code.SYSTEM_SITE,), path="pyvenv.cfg")


def other_home(built: Built, shop: Workshop) -> Planted:
    """``pyvenv.cfg`` names the standard library of another interpreter."""
    others = [python for version, python in interpreters().items() if version != built.python]
    home = others[-1].parent if others else built.project / "nowhere"
    path = built.env / "pyvenv.cfg"
    kept = [line for line in path.read_text().splitlines() if line.partition("=")[0].strip().lower() != "home"]
    _rewrite(path, "\n".join([f"home = {home}", *kept, ""]).encode())
    return Planted(codes=(), path="pyvenv.cfg", verdicts=_NOT_CLEAN)


def path_file(built: Built, shop: Workshop) -> Planted:
    """A ``python3.x._pth`` beside the executable replaces the import path whole."""
    (built.env / f"bin/python{built.python}._pth").write_text(f"{built.project}\n")
    return Planted(codes=(Code.PATH_SHADOW, Code.PTH_HOOK, Code.FILE_UNCLAIMED), path=f"bin/python{built.python}._pth")


def interpreter_script(built: Built, shop: Workshop) -> Planted:
    """``bin/python`` is a shell script that starts the true interpreter."""
    path = built.env / "bin/python"
    path.unlink()
    path.write_text(f'#!/bin/sh\nexec "{interpreters()[built.python]}" "$@"\n')
    path.chmod(0o755)
    return Planted(codes=(), path="bin/python", verdicts=_NOT_CLEAN)


# Bytecode.


def unchecked_bytecode(built: Built, shop: Workshop) -> Planted:
    """Unchecked-hash bytecode runs other code, and ``six.py`` is whole."""
    path = built.site / f"__pycache__/six.{built.tag}.pyc"
    _bytecode(built, path, like=built.site / "six.py", code="__version__ = 'pwned'", kind="unchecked")
    return Planted(codes=(Code.BYTECODE_UNCHECKED,), distribution="six", path=_site_path(built, path))


def sourceless_bytecode(built: Built, shop: Workshop) -> Planted:
    """A module that is bytecode only, in the place where it is imported."""
    _bytecode(built, built.site / "ghost.pyc", like=built.site / "ghost.py", code="X = 1", kind="timestamp")
    return Planted(codes=(Code.BYTECODE_ORPHAN, Code.FILE_UNCLAIMED), path="ghost.pyc")


# Distributions.


def extra_distribution(built: Built, shop: Workshop) -> Planted:
    """A distribution is installed by hand that the lock does not name."""
    _install(built, shop, _wheel(shop, built, "iniconfig"))
    return Planted(codes=(Code.DISTRIBUTION_EXTRA,), distribution="iniconfig", actual="2.1.0")


def wrong_version(built: Built, shop: Workshop) -> Planted:
    """Another release is installed by hand."""
    _install(built, shop, _wheel(shop, built, "idna"))
    return Planted(codes=(Code.VERSION_MISMATCH,), distribution="idna", actual="3.10")


def missing_distribution(built: Built, shop: Workshop) -> Planted:
    """A distribution is uninstalled by hand."""
    shop.run([shop.tool("uv"), "pip", "uninstall", "-q", "--python", built.executable, "idna"])
    return Planted(codes=(Code.DISTRIBUTION_MISSING,), distribution="idna")


def duplicate_metadata(built: Built, shop: Workshop) -> Planted:
    """A second dist-info of another version stands beside the first."""
    with zipfile.ZipFile(_wheel(shop, built, "idna")) as archive:
        archive.extractall(built.site, [name for name in archive.namelist() if ".dist-info/" in name])
    return Planted(codes=(Code.DISTRIBUTION_DUPLICATE,), distribution="idna")


def other_origin(built: Built, shop: Workshop) -> Planted:
    """A distribution says that it came from a folder, editable."""
    origin = {"url": built.project.as_uri(), "dir_info": {"editable": True}}
    (_info(built, "idna") / "direct_url.json").write_text(json.dumps(origin))
    return Planted(codes=(Code.ORIGIN_MISMATCH,), distribution="idna")


def injected_entry_point(built: Built, shop: Workshop) -> Planted:
    """An entry point of a plug-in is added to a distribution that has none."""
    info = _info(built, "idna")
    (info / "entry_points.txt").write_text("[pytest11]\nplug = idna.core\n")
    return Planted(codes=(Code.FILE_UNCLAIMED, Code.FILE_ALTERED), path=f"{info.name}/entry_points.txt")


# RECORD and its neighbours.


def _record(built: Built, name: str, change: Callable[[str], str]) -> str:
    """Rewrite the RECORD of *name*; gives its path."""
    path = _info(built, name) / "RECORD"
    _rewrite(path, change(path.read_bytes().decode()).encode())
    return _site_path(built, path)


def _row(path: str, data: bytes) -> str:
    """A RECORD row that fits *data*."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{path},sha256={digest},{len(data)}\n"


def stripped_hash(built: Built, shop: Workshop) -> Planted:
    """A row of RECORD has lost its hash, and the file is edited."""
    edit_module(built, shop)
    _record(
        built,
        "six",
        lambda text: "".join("six.py,,\n" if line.startswith("six.py,") else line for line in text.splitlines(keepends=True)),
    )
    return Planted(codes=(Code.RECORD_INVALID,), distribution="six", path="six.py")


def dropped_row(built: Built, shop: Workshop) -> Planted:
    """RECORD does not name a module any more."""
    _record(built, "six", lambda text: "".join(line for line in text.splitlines(keepends=True) if not line.startswith("six.py,")))
    return Planted(codes=(Code.FILE_UNCLAIMED,), path="six.py")


def absolute_row(built: Built, shop: Workshop) -> Planted:
    """RECORD claims a file outside of the environment by its absolute path."""
    path = _record(built, "six", lambda text: text + "/etc/passwd,,\n")
    return Planted(codes=(Code.PATH_INVALID, Code.RECORD_INVALID), distribution="six", path=path)


def climbing_row(built: Built, shop: Workshop) -> Planted:
    """RECORD claims a file outside of the environment by ``..``."""
    path = _record(built, "six", lambda text: text + "../../../../../../etc/passwd,,\n")
    return Planted(codes=(Code.PATH_INVALID, Code.RECORD_INVALID), distribution="six", path=path)


def contradictory_rows(built: Built, shop: Workshop) -> Planted:
    """RECORD has two hashes for one file, and the file fits the second."""
    edit_module(built, shop)
    forged = _row("six.py", (built.site / "six.py").read_bytes())
    _record(built, "six", lambda text: text + forged)
    return Planted(codes=(Code.RECORD_INVALID, Code.FILE_ALTERED), distribution="six", path="six.py")


def weak_row(built: Built, shop: Workshop) -> Planted:
    """A row of RECORD has an MD5 digest."""
    edit_module(built, shop)
    digest = base64.urlsafe_b64encode(hashlib.md5((built.site / "six.py").read_bytes(), usedforsecurity=False).digest())
    forged = f"six.py,md5={digest.rstrip(b'=').decode()},\n"
    _record(
        built,
        "six",
        lambda text: "".join(forged if line.startswith("six.py,") else line for line in text.splitlines(keepends=True)),
    )
    return Planted(codes=(Code.RECORD_INVALID,), distribution="six", path="six.py")


def stolen_claim(built: Built, shop: Workshop) -> Planted:
    """The RECORD of one distribution claims a stray module of nobody, with a true hash, to hide it; its METADATA is whole.

    Against a lock, `record` depth can not see this (the RECORD is the environment's own word).
    """
    data = b"X = 1\n"
    (built.site / "stray.py").write_bytes(data)
    _record(built, "six", lambda text: text + _row("stray.py", data))
    return Planted(codes=(), distribution="six", path="stray.py", verdicts=_CLEAN)


def missing_record(built: Built, shop: Workshop) -> Planted:
    """RECORD is gone."""
    path = _info(built, "six") / "RECORD"
    path.unlink()
    return Planted(codes=(Code.RECORD_MISSING,), distribution="six", path=_site_path(built, path))


def empty_record(built: Built, shop: Workshop) -> Planted:
    """RECORD is empty."""
    path = _record(built, "six", lambda _: "")
    return Planted(codes=(Code.RECORD_INVALID, Code.RECORD_MISSING), distribution="six", path=path)


def garbage_record(built: Built, shop: Workshop) -> Planted:
    """RECORD is not text."""
    path = _info(built, "six") / "RECORD"
    _rewrite(path, bytes(range(256)) * 4)
    return Planted(codes=(Code.RECORD_INVALID, Code.RECORD_MISSING), distribution="six", path=_site_path(built, path))


def _spoil(built: Built, name: str, file: str, data: bytes) -> Planted:
    """The file *file* of the dist-info of *name* holds *data*."""
    path = _info(built, name) / file
    _rewrite(path, data)
    return Planted(codes=(Code.FILE_ALTERED,), distribution=name, path=_site_path(built, path))


def empty_metadata(built: Built, shop: Workshop) -> Planted:
    """METADATA is empty."""
    return _spoil(built, "click", "METADATA", b"")


def garbage_metadata(built: Built, shop: Workshop) -> Planted:
    """METADATA is not text."""
    return _spoil(built, "click", "METADATA", bytes(range(256)) * 4)


def empty_wheel(built: Built, shop: Workshop) -> Planted:
    """WHEEL is empty."""
    return _spoil(built, "click", "WHEEL", b"")


def garbage_wheel(built: Built, shop: Workshop) -> Planted:
    """WHEEL is not text."""
    return _spoil(built, "click", "WHEEL", b"\xff\xfe\x00" * 99)


def empty_entry_points(built: Built, shop: Workshop) -> Planted:
    """``entry_points.txt`` is empty."""
    return _spoil(built, "coverage", "entry_points.txt", b"")


def garbage_entry_points(built: Built, shop: Workshop) -> Planted:
    """``entry_points.txt`` is no INI file."""
    return _spoil(built, "coverage", "entry_points.txt", b"[[\n= = =\n\x00]" * 9)


# What stays clean.


def run_once(built: Built, shop: Workshop) -> Planted:
    """The interpreter imports everything, and leaves its bytecode."""
    shop.run([built.executable, "-c", "import six, click, markupsafe, idna, attr, coverage, yaml, packaging.version, jmespath"])
    return Planted(codes=(), verdicts=_CLEAN)


def stale_bytecode(built: Built, shop: Workshop) -> Planted:
    """Bytecode of an older source, which import ignores: a note."""
    path = built.site / f"__pycache__/six.{built.tag}.pyc"
    _bytecode(built, path, like=built.site / "six.py", code="X = 1", kind="stale")
    return Planted(codes=(Code.BYTECODE_STALE,), distribution="six", path=_site_path(built, path), verdicts=_CLEAN)


def orphan_in_cache(built: Built, shop: Workshop) -> Planted:
    """Bytecode in ``__pycache__`` whose source is gone, which import ignores: a note."""
    path = built.site / f"__pycache__/ghost.{built.tag}.pyc"
    _bytecode(built, path, like=built.site / "ghost.py", code="X = 1", kind="timestamp")
    return Planted(codes=(Code.BYTECODE_ORPHAN,), path=_site_path(built, path), verdicts=_CLEAN)


def no_bytecode(built: Built, shop: Workshop) -> Planted:
    """All bytecode is deleted, as images do to be small."""
    for path in built.env.rglob("__pycache__"):
        shutil.rmtree(path)
    return Planted(codes=(), verdicts=_CLEAN)


def new_times(built: Built, shop: Workshop) -> Planted:
    """Every file has another time, as after a copy."""
    for path in built.site.rglob("*.py"):
        os.utime(path, (1_600_000_000, 1_600_000_000))
    return Planted(codes=(), verdicts=_CLEAN)


def plain_data(built: Built, shop: Workshop) -> Planted:
    """A text file that no import can reach: a note."""
    return Planted(codes=_plant(built, "click/notes.txt", b"hello\n").codes, path="click/notes.txt", verdicts=_CLEAN)


def new_executable(built: Built, shop: Workshop) -> Planted:
    """A program in the scripts folder that nobody claims: a note."""
    path = built.env / "bin/mytool"
    path.write_text("#!/bin/sh\ntrue\n")
    path.chmod(0o755)
    return Planted(codes=(Code.FILE_UNCLAIMED,), path="bin/mytool", verdicts=_CLEAN)


def installer_files(built: Built, shop: Workshop) -> Planted:
    """What installers and backup programs leave at the prefix."""
    for name in (".lock", ".gitignore", "CACHEDIR.TAG"):
        (built.env / name).touch()
    return Planted(codes=(), verdicts=_CLEAN)


# What depth `record` does not see against a lock.


def forged_with_record(built: Built, shop: Workshop) -> Planted:
    """A module is edited and its row of RECORD with it."""
    edit_module(built, shop)
    forged = _row("six.py", (built.site / "six.py").read_bytes())
    _record(
        built,
        "six",
        lambda text: "".join(forged if line.startswith("six.py,") else line for line in text.splitlines(keepends=True)),
    )
    return Planted(codes=(), distribution="six", path="six.py", verdicts=_CLEAN)


def forged_bytecode(built: Built, shop: Workshop) -> Planted:
    """Bytecode runs other code under a header that fits its source."""
    path = built.site / f"__pycache__/six.{built.tag}.pyc"
    _bytecode(built, path, like=built.site / "six.py", code="__version__ = 'pwned'", kind="timestamp")
    return Planted(codes=(), distribution="six", path=_site_path(built, path), verdicts=_CLEAN)


# What depth ``artifact`` sees.


def forged_module(built: Built, shop: Workshop) -> Planted:
    """A module is edited and its row of RECORD with it."""
    return replace(forged_with_record(built, shop), codes=(Code.RECORD_FORGED,))


def forged_addition(built: Built, shop: Workshop) -> Planted:
    """A module is added, and RECORD claims it."""
    (built.site / "six_extra.py").write_bytes(b"x = 1\n")
    _record(built, "six", lambda text: _row("six_extra.py", b"x = 1\n") + text)
    return Planted(codes=(Code.RECORD_FORGED,), distribution="six", path="six_extra.py")


def forged_removal(built: Built, shop: Workshop) -> Planted:
    """A data file is gone, and RECORD does not miss it."""
    path = next((built.site / "coverage").glob("htmlfiles/*.css"))
    path.unlink()
    shown = _site_path(built, path)
    _record(
        built, "coverage", lambda text: "".join(row for row in text.splitlines(keepends=True) if not row.startswith(shown + ","))
    )
    return Planted(codes=(Code.RECORD_FORGED,), distribution="coverage", path=shown)


def forged_extension(built: Built, shop: Workshop) -> Planted:
    """One bit of an extension module is another, and its row of RECORD with it."""
    path = _extension(built)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    _rewrite(path, bytes(data))
    shown = _site_path(built, path)
    forged = _row(shown, bytes(data))
    _record(
        built,
        "markupsafe",
        lambda text: "".join(forged if row.startswith(shown + ",") else row for row in text.splitlines(keepends=True)),
    )
    return Planted(codes=(Code.RECORD_FORGED,), distribution="markupsafe", path=shown)


def forged_metadata(built: Built, shop: Workshop) -> Planted:
    """METADATA asks for one distribution less, and RECORD agrees."""
    path = _info(built, "six") / "METADATA"
    data = path.read_bytes().replace(b"Summary:", b"Summary: not")
    _rewrite(path, data)
    shown = _site_path(built, path)
    _record(
        built,
        "six",
        lambda text: "".join(_row(shown, data) if row.startswith(shown + ",") else row for row in text.splitlines(keepends=True)),
    )
    return Planted(codes=(Code.RECORD_FORGED,), distribution="six", path=shown)


def _forged_bytecode(built: Built, kind: str) -> Planted:
    path = built.site / f"__pycache__/six.{built.tag}.pyc"
    _bytecode(built, path, like=built.site / "six.py", code="__version__ = 'pwned'", kind=kind)
    return Planted(codes=(Code.BYTECODE_FORGED,), distribution="six", path=_site_path(built, path))


def bytecode_of_right_time(built: Built, shop: Workshop) -> Planted:
    """Bytecode runs other code under a header with its source's size and time."""
    return _forged_bytecode(built, "timestamp")


def bytecode_of_right_hash(built: Built, shop: Workshop) -> Planted:
    """Bytecode runs other code under a header with its source's hash."""
    return _forged_bytecode(built, "checked")


def bytecode_never_checked(built: Built, shop: Workshop) -> Planted:
    """Bytecode runs other code under a header that import never checks."""
    return replace(_forged_bytecode(built, "unchecked"), codes=(Code.BYTECODE_FORGED,))


def older_release(built: Built, shop: Workshop) -> Planted:
    """The code of another release lies under this release's metadata, and RECORD agrees with it."""
    with zipfile.ZipFile(_wheel(shop, built, "six")) as wheel:
        data = wheel.read("six.py")
        version = next(line for line in data.decode().splitlines() if line.startswith("__version__")).split('"')[1]
    _rewrite(built.site / "six.py", data)
    _record(
        built,
        "six",
        lambda text: "".join(_row("six.py", data) if row.startswith("six.py,") else row for row in text.splitlines(keepends=True)),
    )
    return Planted(codes=(Code.RELEASE_MIXED,), distribution="six", actual=version)


TAMPERINGS: Final[tuple[Planter, ...]] = (
    edit_module,
    flip_extension,
    delete_file,
    truncate_file,
    old_code,
    edit_data,
    claimed_hook,
    link_retargeted,
    link_loop,
    link_dangling,
    fifo_in_place,
    folder_in_place,
    unreadable_file,
    changed_script,
    other_interpreter_script,
    changed_script_file,
    missing_script,
    file_in_package,
    stray_module,
    stray_package,
    orphaned_extension,
    shadowing_extension,
    shadowing_tagged_extension,
    shadowing_package,
    linked_folder,
    egg_link,
    unclaimed_fifo,
    undecodable_name,
    pth_import,
    hidden_pth,
    pth_path,
    zip_on_path,
    start_file,
    sitecustomize,
    usercustomize,
    blinding_pth,
    system_site,
    other_home,
    path_file,
    interpreter_script,
    unchecked_bytecode,
    sourceless_bytecode,
    extra_distribution,
    wrong_version,
    missing_distribution,
    duplicate_metadata,
    other_origin,
    injected_entry_point,
    stripped_hash,
    dropped_row,
    absolute_row,
    climbing_row,
    contradictory_rows,
    weak_row,
    missing_record,
    empty_record,
    garbage_record,
    empty_metadata,
    garbage_metadata,
    empty_wheel,
    garbage_wheel,
    empty_entry_points,
    garbage_entry_points,
)

HARMLESS: Final[tuple[Planter, ...]] = (
    run_once,
    stale_bytecode,
    orphan_in_cache,
    no_bytecode,
    new_times,
    plain_data,
    new_executable,
    installer_files,
)

UNSEEN: Final[tuple[Planter, ...]] = (forged_with_record, stolen_claim, forged_bytecode)


# Changes that come about while an environment is built.


def leaked(shop: Workshop, project: Path, *, project_kind: bool = False) -> tuple[Built, Planted]:
    """An edit in one environment that arrives in the next one, through the hard links of uv's cache.

    Both are built from one hashed lock (``uv pip sync --require-hashes``, or ``uv sync --locked`` with *project_kind*); the second
    is given back, which nobody ever edited. The cache is one of its own, and spoilt afterwards.

    Raises:
        NotHereError: uv could not make hard links here.
    """
    cache = project.parent / f"{project.name}.uv-cache"
    other = project.parent / f"{project.name}.other"
    build = uv_project if project_kind else uv_pip
    first = build(shop, other, link_mode="hardlink", cache=cache)
    edited = first.site / "idna/core.py"
    if edited.stat().st_nlink < 2:
        raise NotHereError("uv made no hard links here")
    before = edited.stat()
    with open(edited, "ab") as file:
        file.write(b"\n# edited in another environment\n")
    os.utime(edited, ns=(before.st_atime_ns, before.st_mtime_ns))
    second = build(shop, project, link_mode="hardlink", cache=cache)
    return second, Planted(codes=(Code.FILE_ALTERED,), distribution="idna", path="idna/core.py")


def clobbered(shop: Workshop, project: Path, tool: str) -> tuple[Built, Planted]:
    """An environment of two locked wheels that own one path with different bytes, by *tool*.

    *tool* is ``uv``, ``uv pip``, ``pip``, ``pip-tools`` or ``poetry``. What was planted names the distribution whose bytes lost.
    """
    wheels = project.parent / f"{project.name}.wheels"
    path = "clobbered_space/common.py"
    made: list[Wheel] = []
    for name in ("clobber-alpha", "clobber-beta"):
        own = {path: f"OWNER = {name!r}\n".encode(), f"{name.replace('-', '_')}.py": b"X = 1\n"}
        made.append(make_wheel(wheels, name, "1.0", own))
    lock = project.parent / f"{project.name}.txt"
    lock.write_text("".join(wheel.requirement for wheel in made))
    packages = tuple(f"{wheel.name}=={wheel.version}" for wheel in made)
    with loopback_index(wheels) as url:
        match tool:
            case "uv":
                # The build requirements of an editable root are not on this index.
                built = uv_project(shop, project, packages=packages, index=url, sync=("--no-install-project",))
            case "uv pip":
                built = uv_pip(shop, project, lock=lock, index=url)
            case "pip":
                built = pip_venv(shop, project, lock=lock, index=url)
            case "pip-tools":
                built = pip_tools(shop, project, packages=packages, index=url)
            case "poetry":
                built = poetry_project(shop, project, packages=packages, wheels=wheels, sync=("--no-root",))
            case _:
                raise ValueError(f"{tool!r} is no tool known here")
    winner = (built.site / path).read_text()
    loser = next(wheel.name for wheel in made if repr(wheel.name) not in winner)
    return built, Planted(codes=(Code.FILE_CLOBBERED,), distribution=loser, path=path)


FORGERIES: Final[tuple[Planter, ...]] = (
    forged_module,
    forged_addition,
    forged_removal,
    forged_extension,
    forged_metadata,
    bytecode_of_right_time,
    bytecode_of_right_hash,
    bytecode_never_checked,
)
