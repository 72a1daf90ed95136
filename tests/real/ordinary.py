"""Builders of environments that people have and no lock tool makes: hook environments, images, what Debian ships."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

from real.environments import HERE_PYTHON, SMALL, Built
from real.tampering import NotHereError
from real.tools import interpreters, pins

if TYPE_CHECKING:
    from collections.abc import Iterable

    from real.tools import Workshop

__all__ = ["DEBIAN", "debian_image", "debian_venv", "pre_commit_env", "unverified", "usr_local_image"]

#: The system's own Python, where this is a Debian.
DEBIAN: Final = Path("/usr/bin/python3")
_DPKG: Final = Path("var/lib/dpkg")


def _git(shop: Workshop, *words: str | Path, cwd: Path) -> None:
    identity = ("-c", "user.name=nobody", "-c", "user.email=nobody@index.example", "-c", "commit.gpgsign=false")
    shop.run(["git", *identity, *words], cwd=cwd)


def pre_commit_env(shop: Workshop, project: Path) -> Built:
    """The environment that pre-commit makes for a Python hook from a repository of ours, with ten additional dependencies."""
    hook = project / "hook"
    hook.mkdir(parents=True)
    (hook / "setup.py").write_text(
        "from setuptools import setup\n"
        "setup(name='demo-hook', version='1.0', py_modules=['demo_hook'],"
        " entry_points={'console_scripts': ['demo-hook = demo_hook:main']})\n"
    )
    (hook / "demo_hook.py").write_text("def main() -> None:\n    print('looked')\n")
    (hook / ".pre-commit-hooks.yaml").write_text("- {id: demo, name: demo, entry: demo-hook, language: python}\n")
    _git(shop, "init", "-q", cwd=hook)
    _git(shop, "add", "--all", cwd=hook)
    _git(shop, "commit", "-q", "-m", "hook", cwd=hook)
    _git(shop, "tag", "v1", cwd=hook)
    wanted = ", ".join(f'"{pin}"' for pin in pins("small"))
    (project / ".pre-commit-config.yaml").write_text(
        f"repos:\n- repo: {hook}\n  rev: v1\n  hooks:\n  - id: demo\n    additional_dependencies: [{wanted}]\n"
    )
    _git(shop, "init", "-q", cwd=project)
    home = project / "pre-commit"
    tool = shop.tool("pre-commit")
    shop.run([tool, "install-hooks"], cwd=project, env=shop.environ(PRE_COMMIT_HOME=str(home)))
    env = next(path.parent for path in home.glob("repo*/py_env-*/pyvenv.cfg"))
    return Built(tool="pre-commit", project=project, env=env, lock=SMALL, python=HERE_PYTHON)


def usr_local_image(shop: Workshop, project: Path) -> Built:
    """An image unpacked at *project*: a Python below ``usr/local``, with its seeds and ``pip install -r``, its bytecode deleted.

    The interpreter is told by the name it is started with that it lies in ``/usr/local``, so that shebangs are an image's own.

    Raises:
        NotHereError: the Python of this process has no prefix of its own that could be copied.
    """
    python = interpreters()[HERE_PYTHON]
    source = python.resolve().parents[1]
    library = f"lib/python{HERE_PYTHON}"
    bundled = source / library / "ensurepip/_bundled"
    if source == Path("/usr") or not list(bundled.glob("pip-*.whl")) or not (source / library / "site-packages").is_dir():
        raise NotHereError("the Python of this process has no prefix of its own")
    prefix = project / "usr/local"
    skipped = shutil.ignore_patterns("site-packages", "__pycache__", "test", "idlelib", "*.a")
    shutil.copytree(
        source, prefix, symlinks=True, ignore=lambda folder, names: _not_image(source, folder, names) | skipped(folder, names)
    )
    built = Built(tool="pip", project=project, env=prefix, lock=project / "requirements.txt", python=HERE_PYTHON)
    built.site.mkdir(parents=True)
    shutil.copyfile(SMALL, built.lock)
    (wheel,) = bundled.glob("pip-*.whl")
    seeds = ("--no-index", f"--find-links={bundled}", "pip", *(("setuptools",) if list(bundled.glob("setuptools-*")) else ()))
    _pip_in_image(shop, built, *seeds, path=wheel)
    _pip_in_image(shop, built, "--require-hashes", "-r", built.lock)
    for cache in [*prefix.rglob("__pycache__")]:
        shutil.rmtree(cache)
    return built


def _not_image(source: Path, folder: str, names: Iterable[str]) -> set[str]:
    """Of the programs of a copied Python, those that its own site-packages brought: an image starts without them."""
    if Path(folder) != source / "bin":
        return set()
    return {name for name in names if not name.startswith(("python", "idle", "pydoc", "2to3"))}


def _pip_in_image(shop: Workshop, built: Built, *words: str | Path, path: Path | None = None) -> None:
    environ = shop.environ(PYTHONHOME=str(built.env), **({"PYTHONPATH": str(path)} if path else {}))
    name = f"/usr/local/bin/python{built.python}"
    argv = [name, "-m", "pip", "install", "-q", "--root-user-action=ignore", *(str(word) for word in words)]
    done = subprocess.run(
        argv, executable=built.env / f"bin/python{built.python}", env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def debian_venv(shop: Workshop, project: Path) -> Built:
    """``/usr/bin/python3 -m venv`` and its pip.

    Raises:
        NotHereError: this is no Debian, or it has no python3-venv.
    """
    if not DEBIAN.exists() or not Path("/", _DPKG, "info").is_dir():
        raise NotHereError("this is no Debian")
    ask = "import sys; print('%d.%d' % sys.version_info[:2])"
    version = subprocess.run([DEBIAN, "-I", "-c", ask], capture_output=True, text=True, check=True).stdout.strip()
    try:
        subprocess.run([DEBIAN, "-I", "-c", "import ensurepip, venv"], check=True, capture_output=True)
    except subprocess.CalledProcessError:
        raise NotHereError("there is no python3-venv") from None
    built = Built(tool="pip", project=project, env=project / ".venv", lock=project / "requirements.txt", python=version)
    project.mkdir(parents=True)
    shutil.copyfile(SMALL, built.lock)
    shop.run([DEBIAN, "-m", "venv", built.env])
    shop.run([built.executable, "-m", "pip", "install", "-q", "--require-hashes", "-r", built.lock], cwd=project)
    return built


@functools.cache
def unverified() -> frozenset[str]:
    """The paths of Python's packages that ``dpkg --verify`` finds changed or missing, by MD5."""
    owners = subprocess.run(["dpkg", "--search", "/usr/lib/python3*"], capture_output=True, text=True, check=True).stdout
    packages = sorted({name for line in owners.splitlines() for name in line.partition(": ")[0].split(", ")})
    done = subprocess.run(["dpkg", "--verify", *packages], capture_output=True, text=True, check=False)
    lines = (line for line in done.stdout.splitlines() if line.startswith(("??5", "missing")))
    return frozenset(line.split(maxsplit=1)[1].removeprefix("c ") for line in lines)


def debian_image(project: Path) -> Built:
    """What dpkg says that it installed of Python and of Python packages, copied below *project* with dpkg's own lists.

    The system itself may hold what its administrators added or changed; this is what Debian shipped, and no more. Packages with a
    file that ``dpkg --verify`` does not know again are left out.

    Raises:
        NotHereError: this is no Debian, or dpkg owns no file in dist-packages.
    """
    info = Path("/", _DPKG, "info")
    if not info.is_dir() or not DEBIAN.exists():
        raise NotHereError("this is no Debian")
    target = project / _DPKG / "info"
    target.mkdir(parents=True)
    shutil.copyfile(Path("/", _DPKG, "status"), project / _DPKG / "status")
    altered = unverified()
    for listed in sorted(info.glob("*.list")):
        text = listed.read_text()
        if altered.intersection(text.splitlines()):
            continue
        if "/usr/lib/python3" not in text and "/usr/bin/python3" not in text:
            continue
        for path in text.splitlines():
            if path.startswith(("/usr/lib/python3", "/usr/bin/python3", "/usr/include/python3")):
                _copy(Path(path), project)
        for kind in (".list", ".md5sums"):
            if (beside := listed.with_suffix(kind)).exists():
                shutil.copyfile(beside, target / beside.name)
    version = DEBIAN.resolve().name.removeprefix("python")
    if not list((project / "usr/lib/python3/dist-packages").glob("*")):
        raise NotHereError("dpkg owns no Python package here")
    return Built(tool="dpkg", project=project, env=project / "usr", lock=SMALL, python=version)


def _copy(path: Path, root: Path) -> None:
    target = root / path.relative_to("/")
    if path.is_dir() and not path.is_symlink():
        target.mkdir(parents=True, exist_ok=True)
    elif path.is_symlink() or path.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        if not os.path.lexists(target):
            shutil.copy2(path, target, follow_symlinks=False)
