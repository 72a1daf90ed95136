"""Ordinary, untouched environments are clean, and each stops being so with one change.

The list of section 7 of the contract, as far as it can be had here; each test builds one environment as its users do, uses it
as they do, looks at it, plants one change, and looks again.

Each run has the oldest and the newest Python here, and leaves out what `_LONG` names (its like is looked at by the tests that are
named there) and most of the unusual places; ``-m long`` takes these too, and what needs large packages.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement

from real import tampering
from real.environments import (
    HERE_PYTHON,
    PACKAGES,
    SMALL,
    Built,
    copied,
    pip_venv,
    poetry_project,
    tox_env,
    uv_pip,
    uv_project,
    virtualenv_pip,
)
from real.judging import Judged, examine, judge, sanctity
from real.ordinary import DEBIAN, debian_image, debian_venv, pre_commit_env, unverified, usr_local_image
from real.tampering import NotHereError, Planter
from real.tools import each_python, interpreters
from sanctity.model.drift import Code

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from real.tools import Workshop

pytestmark = pytest.mark.index

_GROUPS = {"dev": ["idna"], "docs": ["markupsafe", "click"]}
_EXTRAS = {"cli": ["attrs"], "more": ["pyyaml"]}


def _pin(name: str) -> str:
    """The pin of *name* that fits the Python of this process, without its marker."""
    parsed = (Requirement(pin) for pin in PACKAGES)
    return next(
        f"{one.name}{one.specifier}" for one in parsed if one.name == name and (one.marker is None or one.marker.evaluate())
    )


def _clean(report: Judged) -> None:
    assert report["verdict"] == "clean", report.told()
    assert report["checked"]["files"] > 0
    assert report["fingerprint"] if "fingerprint" in report else report["environment"]["fingerprint"]


def _planted(built: Built, planter: Planter, workshop: Workshop, look: Callable[[Built], Judged] = judge) -> None:
    """Plant one change, for good, and see that it is told."""
    planted = planter(built, workshop)
    report = look(built)
    assert report["verdict"] in planted.verdicts, report.told()
    assert any(drift["code"] in planted.codes for drift in report["drifts"]), report.told()


def _nowhere(beside: Path) -> Path:
    """A folder where no lock is found, here or above."""
    folder = beside / "nowhere"
    (folder / ".git").mkdir(parents=True, exist_ok=True)
    return folder


def _alone(built: Built) -> Judged:
    """Without a lock: against its own RECORDs."""
    aside = built.lock.with_name(f"{built.lock.name}.aside")
    built.lock.rename(aside)
    try:
        report = examine("--env", built.env, cwd=_nowhere(built.project.parent))
    finally:
        aside.rename(built.lock)
    assert report["reference"]["kind"] == "none"
    return report


# Environments of the tools, as they come.

BUILDERS: dict[str, tuple[Callable[[Workshop, Path], Built], Planter]] = {
    "uv sync": (uv_project, tampering.edit_module),
    "uv sync, hard links": (lambda shop, path: uv_project(shop, path, link_mode="hardlink"), tampering.flip_extension),
    "uv sync, copies": (lambda shop, path: uv_project(shop, path, link_mode="copy"), tampering.delete_file),
    "uv sync, symbolic links": (lambda shop, path: uv_project(shop, path, link_mode="symlink"), tampering.link_retargeted),
    "uv sync, clones": (lambda shop, path: uv_project(shop, path, link_mode="clone"), tampering.sitecustomize),
    "uv sync, compiled": (lambda shop, path: uv_project(shop, path, compiled=True), tampering.unchecked_bytecode),
    "uv sync, groups": (
        lambda shop, path: uv_project(shop, path, packages=["six==1.16.0"], groups=_GROUPS),
        tampering.stray_module,
    ),
    "uv sync --no-dev": (
        lambda shop, path: uv_project(shop, path, packages=["six==1.16.0"], groups=_GROUPS, sync=("--no-dev",)),
        tampering.edit_module,
    ),
    "uv sync --group --extra": (
        lambda shop, path: uv_project(
            shop, path, packages=["six==1.16.0"], groups=_GROUPS, extras=_EXTRAS, sync=("--group=docs", "--extra=cli", "--no-dev")
        ),
        tampering.pth_import,
    ),
    "uv sync --all-groups --all-extras": (
        lambda shop, path: uv_project(
            shop, path, packages=["six==1.16.0"], groups=_GROUPS, extras=_EXTRAS, sync=("--all-groups", "--all-extras")
        ),
        tampering.wrong_version,
    ),
    "uv sync --no-install-project": (
        lambda shop, path: uv_project(shop, path, sync=("--no-install-project",)),
        tampering.edit_data,
    ),
    "uv sync --no-editable": (lambda shop, path: uv_project(shop, path, sync=("--no-editable",)), tampering.edit_module),
    "uv pip sync": (uv_pip, tampering.edit_module),
    "uv pip sync, relocatable": (lambda shop, path: uv_pip(shop, path, relocatable=True), tampering.changed_script),
    "uv pip sync, symbolic links, compiled": (
        lambda shop, path: uv_pip(shop, path, link_mode="symlink", compiled=True),
        tampering.link_dangling,
    ),
    "pip from outside": (lambda shop, path: pip_venv(shop, path, inside=False, compiled=False), tampering.missing_script),
    "virtualenv": (virtualenv_pip, tampering.edit_module),
    "virtualenv 20.13": (lambda shop, path: virtualenv_pip(shop, path, release="20.13"), tampering.changed_script_file),
    "virtualenv 20.29": (lambda shop, path: virtualenv_pip(shop, path, release="20.29"), tampering.pth_path),
    "tox": (tox_env, tampering.edit_module),
    "poetry": (poetry_project, tampering.edit_module),
    "poetry, compiled": (lambda shop, path: poetry_project(shop, path, compiled=True), tampering.sourceless_bytecode),
    "poetry --no-root": (lambda shop, path: poetry_project(shop, path, sync=("--no-root",)), tampering.extra_distribution),
    "poetry, groups": (
        lambda shop, path: poetry_project(
            shop, path, packages=["six==1.16.0"], groups={"dev": [_pin("idna")], "docs": [_pin("click")]}
        ),
        tampering.wrong_version,
    ),
}
#: Both old virtualenvs are those of `test_a_known_hook_is_known_by_its_bytes_only`; Poetry without the root, and its projects with
#: one, are those of test_digest.py and test_matrix.py.
_LONG = {"virtualenv 20.13", "virtualenv 20.29", "poetry", "poetry --no-root"}


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.long if name in _LONG else ()) for name in BUILDERS])
def test_what_a_tool_made(name: str, workshop: Workshop, tmp_path: Path) -> None:
    build, planter = BUILDERS[name]
    built = build(workshop, tmp_path / "project")
    _clean(judge(built))
    _clean(_alone(built))
    _planted(built, planter, workshop)


@pytest.mark.parametrize("python", each_python(), indirect=True)
def test_pip_on_every_python(python: str, workshop: Workshop, tmp_path: Path) -> None:
    """As seeded (with setuptools before 3.12), and after pip upgraded itself."""
    built = pip_venv(workshop, tmp_path / "project", python=python)
    _clean(judge(built))
    seeded = {path.name.partition("-")[0] for path in built.site.glob("*.dist-info")}
    assert ("setuptools" in seeded) == (int(python.partition(".")[2]) < 12)
    workshop.run([built.executable, "-m", "pip", "install", "-q", "--upgrade", "pip"])
    _clean(judge(built))
    _planted(built, tampering.edit_module, workshop)


def test_a_changed_seed_is_told_and_does_not_gate(workshop: Workshop, tmp_path: Path) -> None:
    built = pip_venv(workshop, tmp_path / "project")
    (built.site / "pip/__main__.py").write_text("print('not pip')\n")
    report = judge(built)
    assert report["verdict"] == "clean", report.told()
    assert ("file-altered", "pip") in {(drift["code"], drift["distribution"]) for drift in report["drifts"]}
    assert judge(built, "--strict")["verdict"] == "drifted"


_PLACES = [(tool, kind) for tool in ("pip", "uv", "poetry", "relocatable") for kind in ("a name with blanks", "long", "linked")]
_SAMPLE = {("pip", "long"), ("relocatable", "a name with blanks"), ("uv", "linked"), ("poetry", "linked")}


@pytest.mark.parametrize(
    ("tool", "kind"), [pytest.param(*place, marks=() if place in _SAMPLE else pytest.mark.long) for place in _PLACES]
)
def test_unusual_places(tool: str, kind: str, workshop: Workshop, tmp_path: Path) -> None:
    """Paths with blanks, of more than 127 bytes (no shebang holds them), and seen through a symbolic link."""
    parent = tmp_path / ("a folder with blanks" if kind == "a name with blanks" else "l" * 140 if kind == "long" else "real")
    parent.mkdir()
    project = parent / "my project"
    builders: dict[str, Callable[[], Built]] = {
        "pip": lambda: pip_venv(workshop, project, inside=False, compiled=False),
        "uv": lambda: uv_project(workshop, project),
        "poetry": lambda: poetry_project(workshop, project),
        "relocatable": lambda: uv_pip(workshop, project, relocatable=True),
    }
    built = builders[tool]()
    if kind == "linked":
        (tmp_path / "link").symlink_to(parent)
        elsewhere = tmp_path / "link/my project"
        built = Built(
            tool=built.tool, project=elsewhere, env=elsewhere / ".venv", lock=elsewhere / built.lock.name, python=built.python
        )
    _clean(judge(built))
    _planted(built, tampering.changed_script, workshop)


def test_a_linked_environment(workshop: Workshop, tmp_path: Path) -> None:
    """``.venv`` is a symbolic link to where the environment lies; ``check`` finds it."""
    built = uv_project(workshop, tmp_path / "project")
    shutil.move(built.env, tmp_path / "elsewhere")
    built.env.symlink_to(tmp_path / "elsewhere")
    workshop.run([workshop.tool("uv"), "sync", "-q", "--locked", "--reinstall"], cwd=built.project)
    assert built.env.is_symlink()
    _clean(judge(built))
    done = sanctity("check", cwd=built.project)
    assert done.returncode == 0, done.stdout
    _planted(built, tampering.edit_module, workshop)


def test_copied_interpreters_and_an_editable_project(workshop: Workshop, tmp_path: Path) -> None:
    """``venv --copies``, and ``pip install -e .`` by setuptools, with its finder and its ``.pth``."""
    project = tmp_path / "project"
    package = project / "src/demo_editable"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("def main() -> None:\n    print('hello')\n")
    (project / "pyproject.toml").write_text(
        '[project]\nname = "demo-editable"\nversion = "1.0"\nscripts = { demo = "demo_editable:main" }\n'
        '[build-system]\nrequires = ["setuptools>=77"]\nbuild-backend = "setuptools.build_meta"\n'
    )
    lock = project / "requirements.txt"
    shutil.copyfile(SMALL, lock)
    built = Built(tool="pip", project=project, env=project / ".venv", lock=lock, python=HERE_PYTHON)
    workshop.run([interpreters()[HERE_PYTHON], "-m", "venv", "--copies", built.env])
    workshop.run([built.executable, "-m", "pip", "install", "-q", "--require-hashes", "-r", lock])
    workshop.run([built.executable, "-m", "pip", "install", "-q", "--no-deps", "-e", "."], cwd=project)
    assert "hello" in workshop.run([built.env / "bin/demo"])
    assert not (built.env / f"bin/python{HERE_PYTHON}").is_symlink()
    _clean(judge(built))
    _planted(built, tampering.edit_module, workshop)


def test_a_tool_environment(workshop: Workshop, tmp_path: Path) -> None:
    """What ``uv tool install`` makes: no lock, and a receipt beside pyvenv.cfg."""
    environ = workshop.environ(UV_TOOL_DIR=str(tmp_path / "tools"), UV_TOOL_BIN_DIR=str(tmp_path / "bin"))
    python = str(interpreters()[HERE_PYTHON])
    workshop.run([workshop.tool("uv"), "tool", "install", "-q", "--python", python, "coverage"], env=environ)
    env = tmp_path / "tools/coverage"
    built = Built(tool="uv", project=tmp_path / "tools", env=env, lock=SMALL, python=HERE_PYTHON)
    assert (env / "uv-receipt.toml").is_file()
    _clean(_alone(built))
    _planted(built, tampering.sitecustomize, workshop, _alone)


def test_an_environment_built_through_a_link(workshop: Workshop, tmp_path: Path) -> None:
    """Its scripts start the link's path, and it is looked at by its real one."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    built = pip_venv(workshop, tmp_path / "link/project", inside=False, compiled=False)
    real = tmp_path / "real/project"
    _clean(judge(Built(tool="pip", project=real, env=real / ".venv", lock=real / built.lock.name, python=built.python)))


def test_a_relocatable_environment_that_moved(workshop: Workshop, tmp_path: Path) -> None:
    built = uv_pip(workshop, tmp_path / "project", relocatable=True)
    moved = tmp_path / "moved"
    shutil.move(built.project, moved)
    _clean(judge(Built(tool="uv", project=moved, env=moved / ".venv", lock=moved / built.lock.name, python=built.python)))


def test_a_workspace(workshop: Workshop, tmp_path: Path) -> None:
    project = tmp_path / "project"
    member = project / "packages/member-one"
    for folder, name, more in (
        (
            project,
            "workspace-root",
            '[tool.uv.workspace]\nmembers = ["packages/*"]\n[tool.uv.sources]\nmember-one = { workspace = true }\n',
        ),
        (member, "member-one", ""),
    ):
        package = folder / "src" / name.replace("-", "_")
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        wanted = '["member-one", "six==1.16.0"]' if more else '["idna"]'
        (folder / "pyproject.toml").write_text(
            f'[project]\nname = "{name}"\nversion = "1.0"\nrequires-python = ">={HERE_PYTHON}"\ndependencies = {wanted}\n'
            f'[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n{more}'
        )
    uv, environ = workshop.tool("uv"), workshop.environ()
    workshop.run([uv, "lock", "-q"], cwd=project, env=environ)
    built = Built(tool="uv", project=project, env=project / ".venv", lock=project / "uv.lock", python=HERE_PYTHON)
    for options in ((), ("--all-packages",), ("--package", "member-one")):
        workshop.run([uv, "sync", "-q", "--locked", *options], cwd=project, env=environ)
        _clean(judge(built))
    (built.site / "idna/core.py").unlink()
    assert judge(built)["verdict"] == "drifted"


# The hook of old virtualenv and uv, which no RECORD claims.


@pytest.mark.parametrize("release", ["20.13", "20.29"])
def test_a_known_hook_is_known_by_its_bytes_only(release: str, workshop: Workshop, tmp_path: Path) -> None:
    built = virtualenv_pip(workshop, tmp_path / "project", release=release)
    hook = built.site / "_virtualenv.py"
    assert hook.is_file()
    report = judge(built)
    _clean(report)
    (note,) = (drift for drift in report["drifts"] if "_virtualenv" in drift["path"])
    assert not note["gating"]
    data = hook.read_bytes()
    hook.write_bytes(data[:-2] + b" \n")
    report = judge(built)
    assert [(drift["code"], drift["path"]) for drift in report.gating] == [("file-unclaimed", "_virtualenv.py")], report.told()
    hook.write_bytes(data)
    (built.site / "_virtualenv.pth").write_bytes(b"import _virtualenv\n")
    assert [drift["code"] for drift in judge(built).gating] == ["pth-hook"]


# Environments that were used.


def test_a_development_environment_after_its_tools_ran(workshop: Workshop, tmp_path: Path) -> None:
    """Asserts that pytest rewrote (of plugins too), coverage's data, stale and optimised bytecode: notes at most."""
    packages = ("pytest==8.3.4", "pytest-mock==3.14.0", "coverage==7.6.1", "anyio==4.8.0", "six==1.16.0")
    built = uv_project(workshop, tmp_path / "project", packages=packages)
    tests = built.project / "tests"
    tests.mkdir()
    (tests / "test_it.py").write_text(
        "import six, demo_project\n\ndef test_it(mocker):\n    assert six.PY3\n    demo_project.main()\n"
    )
    environ = workshop.environ()
    for words in (
        ("-m", "coverage", "run", "-m", "pytest", "-q"),
        ("-O", "-m", "pytest", "-q", "-p", "no:warnings"),
        ("-OO", "-c", "import six, anyio"),
        ("-m", "compileall", "-q", "-o", "0", "-o", "1", built.site / "six.py"),
    ):
        workshop.run([built.executable, *words], cwd=built.project, env=environ)
    assert list(built.site.glob("**/__pycache__/*-pytest-*.pyc"))
    report = judge(built)
    _clean(report)
    assert "bytecode-foreign" in {drift["code"] for drift in report["drifts"]}
    _planted(built, tampering.edit_module, workshop)


@pytest.mark.long
def test_an_environment_after_numba_cached(workshop: Workshop, tmp_path: Path) -> None:
    """A package that asks for ``cache=True`` has numba's index and machine code in its ``__pycache__``."""
    project = tmp_path / "project"
    built = uv_project(workshop, project, packages=("numba", "six==1.16.0"), sync=("--no-editable",))
    (project / "src/demo_project/fast.py").write_text(
        "import numba\n\n@numba.njit(cache=True)\ndef twice(x):\n    return x + x\n\nprint(twice(21))\n"
    )
    again = ("sync", "-q", "--locked", "--no-editable", "--reinstall-package=demo-project")
    workshop.run([workshop.tool("uv"), *again], cwd=project)
    _clean(judge(built))
    assert workshop.run([built.executable, "-m", "demo_project.fast"], cwd=tmp_path).strip() == "42"
    assert workshop.run([built.executable, "-c", "import demo_project.fast"], cwd=tmp_path).strip() == "42"
    assert list(built.site.glob("**/__pycache__/*.nbi")), "numba cached nothing"
    _clean(judge(built))
    _planted(built, tampering.edit_module, workshop)


@pytest.mark.long
def test_jupyterlab_after_use(workshop: Workshop, tmp_path: Path) -> None:
    built = uv_project(workshop, tmp_path / "project", packages=("jupyterlab", "ipykernel", "jupyterlab-widgets", "six==1.16.0"))
    _clean(judge(built))
    environ = workshop.environ()
    workshop.run([built.env / "bin/jupyter", "lab", "--version"], cwd=built.project, env=environ)
    workshop.run([built.executable, "-m", "ipykernel", "install", "--sys-prefix"], cwd=built.project, env=environ)
    program = (
        "from jupyter_client.manager import start_new_kernel\n"
        "manager, client = start_new_kernel(kernel_name='python3')\n"
        "reply = client.execute_interactive('import six; six.PY3', timeout=60)\n"
        "client.stop_channels(); manager.shutdown_kernel(now=True)\n"
        "print(reply['content']['status'])\n"
    )
    assert workshop.run([built.executable, "-c", program], cwd=built.project, env=environ).strip().endswith("ok")
    report = judge(built)
    _clean(report)
    (kernel,) = (drift for drift in report["drifts"] if drift["code"] == "data-altered")
    assert kernel["path"] == "share/jupyter/kernels/python3/kernel.json"
    assert not kernel["gating"]
    spec = built.env / kernel["path"]
    spec.write_text(spec.read_text().replace("-m", "-c"))
    assert judge(built)["verdict"] == "drifted"


# Environments that no lock tool made.


def test_pre_commit(workshop: Workshop, tmp_path: Path) -> None:
    built = pre_commit_env(workshop, tmp_path / "project")
    _clean(_alone(built))
    _planted(built, tampering.edit_module, workshop, _alone)


@pytest.fixture(scope="module")
def image(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Built:
    try:
        return usr_local_image(workshop, tmp_path_factory.mktemp("image") / "root")
    except NotHereError as error:
        pytest.skip(str(error))


def _in_image(built: Built) -> Judged:
    return examine(built.lock, "--root", built.project, cwd=built.project.parent)


def test_an_image_with_everything_in_usr_local(image: Built, workshop: Workshop) -> None:
    report = _in_image(image)
    _clean(report)
    assert report["environment"]["prefix"].endswith("/usr/local")
    with copied(image) as spoilt:
        _planted(spoilt, tampering.edit_module, workshop, _in_image)
    with copied(image) as spoilt:
        _planted(spoilt, tampering.sitecustomize, workshop, _in_image)


def test_a_debian_venv(workshop: Workshop, tmp_path: Path) -> None:
    try:
        built = debian_venv(workshop, tmp_path / "project")
    except NotHereError as error:
        pytest.skip(str(error))
    _clean(judge(built))
    _planted(built, tampering.edit_module, workshop)


@pytest.fixture(scope="module")
def debian(tmp_path_factory: pytest.TempPathFactory) -> Built:
    try:
        return debian_image(tmp_path_factory.mktemp("debian") / "root")
    except NotHereError as error:
        pytest.skip(str(error))


def _system(built: Built) -> Judged:
    return examine("--root", built.project, "--env", "/usr", cwd=_nowhere(built.project.parent))


def test_debians_own_python_is_what_dpkg_installed(debian: Built) -> None:
    report = _system(debian)
    _clean(report)
    assert report["reference"]["kind"] == "none"
    assert report["checked"]["distributions"] > 0


def _owned_module(site: Path) -> Path:
    """A module that dpkg owns and has an MD5 of."""
    return next(path for path in sorted(site.glob("*/__init__.py")) if not path.is_symlink() and path.stat().st_size)


@pytest.mark.parametrize("change", ["edit", "delete", "plant", "hook", "local"])
def test_a_change_in_debians_packages(change: str, debian: Built, tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(debian.project, root, symlinks=True)
    site = root / "usr/lib/python3/dist-packages"
    module = _owned_module(site)
    name = module.relative_to(site).as_posix()
    package = ""
    match change:
        case "edit":
            module.write_bytes(module.read_bytes() + b"\n")
            wanted, package = Code.FILE_ALTERED, "python3-"
        case "delete":
            module.unlink()
            wanted, package = Code.FILE_MISSING, "python3-"
        case "plant":
            name = "planted.py"
            (site / name).write_text("X = 1\n")
            wanted = Code.FILE_UNCLAIMED
        case "hook":
            name = "planted.pth"
            (site / name).write_text("import os\n")
            wanted = Code.PTH_HOOK
        case _:
            name = "planted.py"
            local = root / f"usr/local/lib/python{debian.python}/dist-packages"
            local.mkdir(parents=True, exist_ok=True)
            (local / name).write_text("X = 1\n")
            wanted = Code.FILE_UNCLAIMED
    report = _system(Built(tool="dpkg", project=root, env=root / "usr", lock=SMALL, python=debian.python))
    (drift,) = report.gating
    assert (drift["code"], drift["path"]) == (wanted, name)
    assert (drift["distribution"] or "").startswith(package)


def test_the_system_python_as_it_is(tmp_path: Path) -> None:
    """Of what dpkg installed, just that is told which ``dpkg --verify`` tells too; what administrators added is told beside it."""
    if not DEBIAN.exists() or not os.path.isdir("/var/lib/dpkg/info"):
        pytest.skip("this is no Debian")
    report = examine("--python", DEBIAN, cwd=_nowhere(tmp_path))
    folder = "/usr/lib/python3/dist-packages/"
    said = {path.removeprefix(folder) for path in unverified() if path.startswith(folder)}
    told = {drift["path"] for drift in report.gating if drift["code"] in {"file-altered", "file-missing"}}
    assert told == said, report.told()
    assert {drift["code"] for drift in report.gating} <= {
        "file-altered",
        "file-missing",
        "file-unclaimed",
        "pth-hook",
        "customize-hook",
    }


# No finding depends on the shell.


def test_nothing_depends_on_the_shell(workshop: Workshop, tmp_path: Path) -> None:
    built = uv_project(workshop, tmp_path / "project")
    nonsense = tmp_path / "nonsense"
    nonsense.mkdir()
    (nonsense / "startup.py").write_text("raise SystemExit('started')\n")
    source = os.path.dirname(os.path.dirname(tampering.__file__))
    hostile = {
        "PYTHONPATH": f"{nonsense}:{os.path.join(os.path.dirname(source), 'src')}:{nonsense}",
        "PYTHONSTARTUP": str(nonsense / "startup.py"),
        "PYTHONUSERBASE": str(nonsense),
        "PYTHONOPTIMIZE": "2",
        "PYTHONHASHSEED": "7",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONUTF8": "0",
        "PYTHONIOENCODING": "ascii",
        "PYTHONPYCACHEPREFIX": str(nonsense),
        "PYTHON_VERSION": "3.9.1",
        "PYTHON_PIP_VERSION": "1.0",
        "VIRTUAL_ENV": str(nonsense),
        "CONDA_PREFIX": str(nonsense),
        "UV_PROJECT_ENVIRONMENT": str(nonsense),
        "UV_CACHE_DIR": str(nonsense),
        "PIP_TARGET": str(nonsense),
        "LD_LIBRARY_PATH": str(nonsense),
        "LC_ALL": "C",
        "LANG": "tlh",
        "TZ": "Pacific/Chatham",
        "COLUMNS": "20",
        "HOME": "/nowhere",
        "TMPDIR": "/nowhere",
    }
    plain, other = (judge(built, environ=environ) for environ in ({}, hostile))
    _clean(plain)
    assert _without_time(plain) == _without_time(other)
    tampering.edit_module(built, workshop)
    plain, other = (judge(built, environ=environ) for environ in ({}, hostile))
    assert plain["verdict"] == "drifted"
    assert _without_time(plain) == _without_time(other)


def _without_time(report: Judged) -> dict[str, object]:
    return {name: value for name, value in report.items() if name != "seconds"}
