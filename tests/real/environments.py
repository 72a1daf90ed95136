"""Builders: each makes one real environment with one real tool, as its users do, and says where it lies.

Every builder takes the `Workshop`, then the *project* folder (which it creates); what it gives back is `Built`. Where a
builder takes *lock* it is a hashed requirements file. *index* is an index URL that replaces this machine's own.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from real.index import loopback_index
from real.tools import HERE, Workshop, interpreters, pins

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = [
    "PACKAGES",
    "SMALL",
    "Built",
    "copied",
    "installer_env",
    "made_once",
    "pip_tools",
    "pip_venv",
    "poetry_project",
    "tox_env",
    "uv_pip",
    "uv_project",
    "virtualenv_pip",
]

#: The hashed lock of ten small packages that most tests install: pure ones, two with extensions (markupsafe, pyyaml), one
#: that ships a ``.pth`` and console scripts (coverage), one with a script file (jmespath), one with data outside of
#: site-packages (jupyterlab-widgets). It resolves for every Python of `real.tools.PYTHONS`.
SMALL: Final = HERE / "small.txt"

#: The same, as requirements with markers.
PACKAGES: Final = pins("small")

#: The Python that builders use unless told otherwise: the one of this process.
HERE_PYTHON: Final = "{}.{}".format(*sys.version_info[:2])


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A built environment: *env* is its prefix, *lock* what it was built from, *project* where ``sanctity check`` is run.

    *tool* is the name of the program that installed it, and *python* its version (``3.11``).
    """

    tool: str
    project: Path
    env: Path
    lock: Path
    python: str

    @property
    def site(self) -> Path:
        """The environment's site-packages."""
        return self.env / f"lib/python{self.python}/site-packages"

    @property
    def executable(self) -> Path:
        """The environment's own interpreter."""
        return self.env / "bin/python"

    @property
    def tag(self) -> str:
        """The cache tag of its bytecode, ``cpython-311``."""
        return f"cpython-{self.python.replace('.', '')}"


def _index(index: str | None) -> tuple[str, ...]:
    """The options of pip and uv for one index only."""
    return ("--index-url", index) if index else ()


def _uv_environ(shop: Workshop, cache: Path | None, link_mode: str) -> dict[str, str]:
    """The process environment of uv: *cache* replaces the session's own, *link_mode* may be empty for uv's default."""
    extra = {"UV_LINK_MODE": link_mode} if link_mode else {}
    return shop.environ(**extra, **({"UV_CACHE_DIR": str(cache)} if cache else {}))


def _array(values: Sequence[str]) -> str:
    """*values* as a TOML array (a JSON string is a TOML string for the text of requirements)."""
    return "[" + ", ".join('"' + value.replace('"', "'") + '"' for value in values) + "]"


def _package(project: Path, name: str) -> None:
    """A source tree for a project: one package under ``src``, with a function for its console script."""
    package = project / "src" / name
    package.mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").write_text('"""A project."""\n\n\ndef main() -> None:\n    print("hello")\n')


def uv_project(
    shop: Workshop,
    project: Path,
    *,
    packages: Sequence[str] = PACKAGES,
    groups: Mapping[str, Sequence[str]] | None = None,
    extras: Mapping[str, Sequence[str]] | None = None,
    python: str = HERE_PYTHON,
    requires_python: str = "",
    sync: Sequence[str] = (),
    link_mode: str = "",
    compiled: bool = False,
    index: str | None = None,
    cache: Path | None = None,
) -> Built:
    """A project with an editable root, by ``uv lock`` and ``uv sync``.

    *sync* are more options of ``uv sync`` (``--no-dev``, ``--group=docs``, ``--extra=cli``, ``--no-install-project``);
    *link_mode* is ``hardlink``, ``copy``, ``symlink`` or ``clone``.
    """
    project.mkdir(parents=True)
    _package(project, "demo_project")
    lines = [
        '[project]\nname = "demo-project"\nversion = "1.0"',
        f'requires-python = "{requires_python or f">={python}"}"',
        f"dependencies = {_array(packages)}",
        '[project.scripts]\ndemo = "demo_project:main"',
        "[project.optional-dependencies]",
        *(f"{name} = {_array(members)}" for name, members in (extras or {}).items()),
        "[dependency-groups]",
        *(f"{name} = {_array(members)}" for name, members in (groups or {}).items()),
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"',
    ]
    (project / "pyproject.toml").write_text("\n".join(lines) + "\n")
    uv, env = shop.tool("uv"), _uv_environ(shop, cache, link_mode)
    common = ("-q", "--python", str(interpreters()[python]), *(("--default-index", index) if index else ()))
    shop.run([uv, "lock", *common], cwd=project, env=env)
    compile_ = ("--compile-bytecode",) if compiled else ()
    shop.run([uv, "sync", "--locked", *common, *compile_, *sync], cwd=project, env=env)
    return Built(tool="uv", project=project, env=project / ".venv", lock=project / "uv.lock", python=python)


def uv_pip(
    shop: Workshop,
    project: Path,
    *,
    lock: Path = SMALL,
    env: Path | None = None,
    python: str = HERE_PYTHON,
    link_mode: str = "",
    compiled: bool = False,
    relocatable: bool = False,
    options: Sequence[str] = (),
    index: str | None = None,
    cache: Path | None = None,
) -> Built:
    """``uv venv`` and ``uv pip sync --require-hashes``; *env* is ``.venv`` in the project unless given."""
    built = _begin(project, "uv", lock, env, python)
    uv, environ = shop.tool("uv"), _uv_environ(shop, cache, link_mode)
    more = ("--relocatable",) if relocatable else ()
    shop.run([uv, "venv", "-q", "--python", interpreters()[python], *more, built.env], env=environ)
    flags = [*(("--compile-bytecode",) if compiled else ()), *_index(index), *options]
    shop.run(
        [uv, "pip", "sync", "-q", "--require-hashes", "--python", built.executable, *flags, built.lock], cwd=project, env=environ
    )
    return built


def _begin(project: Path, tool: str, lock: Path, env: Path | None, python: str) -> Built:
    """The project folder with a copy of *lock* in it as ``requirements.txt``."""
    project.mkdir(parents=True, exist_ok=True)
    mine = project / "requirements.txt"
    if lock != mine:
        shutil.copyfile(lock, mine)
    return Built(tool=tool, project=project, env=env or project / ".venv", lock=mine, python=python)


def pip_venv(
    shop: Workshop,
    project: Path,
    *,
    lock: Path = SMALL,
    env: Path | None = None,
    python: str = HERE_PYTHON,
    compiled: bool = True,
    require_hashes: bool = True,
    inside: bool = True,
    upgrade_pip: bool = False,
    options: Sequence[str] = (),
    index: str | None = None,
) -> Built:
    """``python -m venv`` and ``pip install -r``.

    By the pip that the venv was seeded with (after it upgraded itself, with *upgrade_pip*), or, not *inside*, by a newer
    pip from outside into a venv without one.
    """
    built = _begin(project, "pip", lock, env, python)
    shop.run([interpreters()[python], "-m", "venv", *(() if inside else ("--without-pip",)), built.env])
    pip: list[str | Path] = [built.executable, "-m", "pip"] if inside else [shop.tool("pip"), "--python", built.executable]
    if upgrade_pip:
        shop.run([*pip, "install", "-q", "--upgrade", "pip"])
    flags = [*(("--require-hashes",) if require_hashes else ()), *(() if compiled else ("--no-compile",)), *_index(index)]
    shop.run([*pip, "install", "-q", *flags, *options, "-r", built.lock], cwd=project)
    return built


def pip_tools(
    shop: Workshop,
    project: Path,
    *,
    packages: Sequence[str] = PACKAGES,
    lock: Path | None = None,
    env: Path | None = None,
    python: str = HERE_PYTHON,
    index: str | None = None,
) -> Built:
    """``pip-compile --generate-hashes`` of *packages* (or *lock*, as it is) and ``pip-sync`` into a plain venv.

    pip-compile resolves for its own Python, so without *lock* *python* must be this process's.
    """
    project.mkdir(parents=True)
    if lock is None:
        source = project / "requirements.in"
        source.write_text("".join(f"{package}\n" for package in packages))
        plain = ("--no-emit-index-url", "--no-emit-trusted-host", "--no-emit-find-links", "--no-emit-options")
        shop.run(
            [shop.tool("pip-tools", "pip-compile"), "-q", "--generate-hashes", *plain, *_index(index), source.name], cwd=project
        )
    built = _begin(project, "pip-tools", lock or project / "requirements.txt", env, python)
    shop.run([interpreters()[python], "-m", "venv", built.env])
    sync = shop.tool("pip-tools", "pip-sync")
    shop.run([sync, "-q", "--python-executable", built.executable, *_index(index), built.lock], cwd=project)
    return built


def poetry_project(
    shop: Workshop,
    project: Path,
    *,
    packages: Sequence[str] = PACKAGES,
    groups: Mapping[str, Sequence[str]] | None = None,
    optional_groups: Sequence[str] = (),
    extras: Mapping[str, Sequence[str]] | None = None,
    requires_python: str = "",
    sync: Sequence[str] = (),
    compiled: bool = False,
    wheels: Path | None = None,
) -> Built:
    """A project by ``poetry lock`` and ``poetry sync``, its ``.venv`` inside, its root installed (*sync*: ``--no-root``).

    Poetry asks for the JSON of an index, which not every index has; so it is shown a loopback index of *wheels* (else those
    of `SMALL`), and its lock names that. *groups* hold requirements ``NAME==VERSION``, which must be among the wheels.
    It installs one after another: side by side, two wheels that own one path can leave a mixture that is neither's.
    """
    project.mkdir(parents=True)
    _package(project, "demo_project")
    lines = [
        '[project]\nname = "demo-project"\nversion = "1.0"',
        f'requires-python = "{requires_python or f">={HERE_PYTHON}"}"',
        f"dependencies = {_array(packages)}",
        '[project.scripts]\ndemo = "demo_project:main"',
        "[project.optional-dependencies]",
        *(f"{name} = {_array(members)}" for name, members in (extras or {}).items()),
        '[tool.poetry]\npackages = [{ include = "demo_project", from = "src" }]',
    ]
    for group, members in (groups or {}).items():
        lines += [f"[tool.poetry.group.{group}]\noptional = {str(group in optional_groups).lower()}"]
        lines += [f"[tool.poetry.group.{group}.dependencies]"]
        lines += [f'{name} = "{version}"' for name, _, version in (member.partition("==") for member in members)]
    with loopback_index(wheels or shop.wheels(SMALL)) as url:
        lines += [f'[[tool.poetry.source]]\nname = "loopback"\nurl = "{url}"\npriority = "primary"']
        lines += ['[build-system]\nrequires = ["poetry-core>=2"]\nbuild-backend = "poetry.core.masonry.api"']
        (project / "pyproject.toml").write_text("\n".join(lines) + "\n")
        poetry = shop.tool("poetry")
        shop.run([poetry, "env", "use", interpreters()[HERE_PYTHON]], cwd=project)
        shop.run([poetry, "lock"], cwd=project)
        one_by_one = {**shop.environ(), "POETRY_INSTALLER_PARALLEL": "false"}
        shop.run([poetry, "sync", *(("--compile",) if compiled else ()), *sync], cwd=project, env=one_by_one)
    return Built(tool="poetry", project=project, env=project / ".venv", lock=project / "poetry.lock", python=HERE_PYTHON)


def virtualenv_pip(
    shop: Workshop,
    project: Path,
    *,
    lock: Path = SMALL,
    env: Path | None = None,
    python: str = HERE_PYTHON,
    release: str = "",
    index: str | None = None,
) -> Built:
    """``virtualenv`` and its seeded pip; *release* ``20.13`` or ``20.29`` is an old one, with ``_virtualenv.pth``."""
    built = _begin(project, "virtualenv", lock, env, python)
    virtualenv = shop.tool(f"virtualenv-{release}" if release else "virtualenv", "virtualenv")
    shop.run([virtualenv, "-q", "--no-periodic-update", "-p", interpreters()[python], built.env])
    shop.run([built.executable, "-m", "pip", "install", "-q", "--require-hashes", *_index(index), "-r", built.lock], cwd=project)
    return built


def tox_env(shop: Workshop, project: Path, *, lock: Path = SMALL) -> Built:
    """The environment of a tox run, ``.tox/py``, with the lock as its deps."""
    built = replace(_begin(project, "tox", lock, None, HERE_PYTHON), env=project / ".tox/py")
    (project / "tox.ini").write_text(f"[testenv]\nskip_install = true\ndeps = -r{built.lock.name}\ncommands = python -c pass\n")
    shop.run([shop.tool("tox"), "-q", "-e", "py"], cwd=project)
    return built


def installer_env(
    shop: Workshop,
    project: Path,
    *,
    lock: Path = SMALL,
    wheels: Path | None = None,
    env: Path | None = None,
    python: str = HERE_PYTHON,
) -> Built:
    """``python -m installer`` of each wheel of *lock*, into a venv without pip; *wheels* is their folder, where known."""
    built = _begin(project, "installer", lock, env, python)
    shop.run([interpreters()[python], "-m", "venv", "--without-pip", built.env])
    # installer installs into the Python that runs it, so that Python borrows installer's own code for the moment.
    home = next(shop.tool("installer", "python").parents[1].glob("lib/python*/site-packages"))
    environ = shop.environ(PYTHONPATH=str(home), PYTHONDONTWRITEBYTECODE="1")
    for wheel in sorted((wheels or shop.wheels(lock, python=python)).glob("*.whl")):
        shop.run([built.executable, "-m", "installer", wheel], env=environ)
    return built


@functools.cache
def made_once(builder: Callable[[Workshop, Path], Built], shop: Workshop) -> Built:
    """What *builder* makes where it is told nothing more, made once in this process: for whoever changes only a `copied` one.

    Tests that take it are of the group ``made-once``, so that one process makes it for all of them.
    """
    return builder(shop, shop.scratch / "made-once" / builder.__name__ / "project")


#: The spoilable copies made so far: for each, what every file of it was when it was last whole.
_WHOLE: Final[dict[Path, dict[bytes, tuple[int, ...]]]] = {}


def _state(path: bytes) -> tuple[int, ...]:
    """What changes when *path* changes; the change time can not be put back."""
    seen = os.lstat(path)
    return seen.st_ino, seen.st_mode, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns


def _files(root: Path) -> dict[bytes, tuple[int, ...]]:
    """Everything under *root* that is no folder, relative to it."""
    top = os.fsencode(root)
    found: dict[bytes, tuple[int, ...]] = {}
    for folder, folders, files in os.walk(top):
        for name in [*files, *(name for name in folders if os.path.islink(os.path.join(folder, name)))]:
            path = os.path.join(folder, name)
            found[os.path.relpath(path, top)] = _state(path)
    return found


def _remove(path: bytes) -> None:
    """Remove whatever *path* is."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def _make_whole(copy: Path, original: Path, whole: dict[bytes, tuple[int, ...]]) -> None:
    """Undo in *copy* whatever differs from what it was."""
    there, source = os.fsencode(copy), os.fsencode(original)
    for folder, folders, _ in os.walk(there):
        for name in [*folders]:
            path = os.path.join(folder, name)
            beside = os.path.join(source, os.path.relpath(path, there))
            if not os.path.islink(path) and (os.path.islink(beside) or not os.path.isdir(beside)):
                shutil.rmtree(path)
                folders.remove(name)
    now = _files(copy)
    for path in now.keys() - whole.keys():
        _remove(os.path.join(there, path))
    for path, state in whole.items():
        if now.get(path) != state:
            target = os.path.join(there, path)
            _remove(target)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copy2(os.path.join(source, path), target, follow_symlinks=False)
            whole[path] = _state(target)


@contextlib.contextmanager
def copied(built: Built) -> Iterator[Built]:
    """*built*, to be spoilt: a copy stands at the very same path meanwhile, and the untouched original comes back after.

    The copy keeps times, modes and symbolic links, so bytecode and scripts stay true; its files are no hard links. It is made
    once, and whatever was changed in it is put right afterwards, so that a next use costs little.
    """
    aside, spare = (built.env.with_name(f"{built.env.name}.{name}") for name in ("aside", "spare"))
    os.rename(built.env, aside)
    try:
        if built.env in _WHOLE:
            os.rename(spare, built.env)
        else:
            shutil.copytree(aside, built.env, symlinks=True)
            _WHOLE[built.env] = _files(built.env)
        yield built
    finally:
        _make_whole(built.env, aside, _WHOLE[built.env])
        os.rename(built.env, spare)
        os.rename(aside, built.env)
