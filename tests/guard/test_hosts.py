"""Where programs run: options of the interpreter, threads, event loops, zips, programs that hold Python inside of them, notebooks.

Each lets a sealed environment pass, and refuses a drifted one; or it says plainly that it can not look, which is a refusal too.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipapp
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from guard.guarded import SOURCE
from real.tools import interpreters
from sanctity.guard import REFUSED
from sites import add_distribution

if TYPE_CHECKING:
    from guard.guarded import Guarded

GUARD = "import sanctity\nprint(sanctity.guard().verdict, flush=True)\n"


def _both(guarded: Guarded, source: str, flags: tuple[str, ...] = (), clean: str = "clean\n") -> None:
    """The program *source* passes, and with one byte changed it is refused."""
    done = guarded.run(source, flags=flags)
    assert (done.returncode, done.stdout) == (0, clean), done.stderr
    guarded.alter()
    done = guarded.run(source, flags=flags)
    assert (done.returncode, done.stdout) == (REFUSED, "")
    assert "file-altered" in done.stderr


@pytest.mark.parametrize(
    "flags",
    [
        ("-O",),
        ("-OO",),
        ("-I",),
        ("-E",),
        ("-s",),
        ("-P",),
        ("-B",),
        ("-X", "frozen_modules=off"),
        ("-X", "frozen_modules=on"),
        ("-X", "dev"),
        ("-W", "error"),
        ("-b", "-b"),
    ],
    ids=" ".join,
)
def test_options_of_the_interpreter(guarded: Guarded, flags: tuple[str, ...]) -> None:
    _both(guarded, GUARD, flags)


@pytest.mark.parametrize("version", ["3.12", "3.13", "3.14"])
def test_other_versions_of_python(guarded: Guarded, version: str) -> None:
    """The interpreter and the child are of that version, each with its own private modules."""
    if version not in interpreters():
        pytest.skip(f"Python {version} is not installed")
    packages = guarded.root / "packages"
    guarded.site.rename(packages)
    shutil.rmtree(guarded.env)
    subprocess.run([interpreters()[version], "-m", "venv", "--without-pip", guarded.env], check=True)
    site = guarded.env / f"lib/python{version}/site-packages"
    site.rmdir()
    packages.rename(site)
    guarded.reseal()
    for depth in ("record", "version"):
        heavy = "sorted({'json', 're', 'dataclasses', 'subprocess'} & set(sys.modules))"
        done = guarded.run(f"import sys, sanctity\nprint(sanctity.guard(depth={depth!r}).verdict, {heavy})\n", flags=("-I",))
        assert done.stdout == "clean []\n", done.stderr
    with open(site / "alpha/__init__.py", "a") as file:
        file.write("# more\n")
    assert guarded.run(GUARD).returncode == REFUSED


@pytest.mark.parametrize("depth", ["record", "version"])
def test_packages_of_the_user_are_looked_at_where_they_are_imported(guarded: Guarded, depth: str, tmp_path: Path) -> None:
    """A virtual environment that takes the base's packages in takes the user's own in too."""
    settings = guarded.env / "pyvenv.cfg"
    settings.write_text(settings.read_text().replace("packages = false", "packages = true"))
    guarded.reseal()
    library = guarded.site.relative_to(guarded.env)
    (tmp_path / ".local" / library).mkdir(parents=True)
    (tmp_path / ".local" / library / "sitecustomize.py").write_text("print('ran')\n")
    source = GUARD.replace("guard()", f"guard(depth={depth!r})")
    home = {"HOME": str(tmp_path)}
    done = guarded.run(source, variables=home)
    if depth == "record":
        assert (done.returncode, done.stdout) == (REFUSED, "ran\n")
        assert "customize-hook" in done.stderr
    assert guarded.run(source, variables=home, flags=("-s",)).stdout == "clean\n"


def test_without_site_another_environment_is_looked_at(guarded: Guarded) -> None:
    """Under -S the interpreter does not know its virtual environment: its prefix is the base's, which nobody sealed."""
    source = f"import sys\nsys.path.append({str(guarded.site)!r})\n{GUARD}"
    done = guarded.run(source, flags=("-S",))
    if sys.version_info < (3, 14):
        assert (done.returncode, done.stdout) == (REFUSED, "")
        assert "REFUSED" in done.stderr


def test_code_given_on_the_command_line(guarded: Guarded) -> None:
    python = str(guarded.env / "bin/python")
    assert guarded.start([python, "-c", GUARD]).stdout == "clean\n"
    guarded.alter()
    assert guarded.start([python, "-c", GUARD]).returncode == REFUSED


def test_a_link_to_the_environment(guarded: Guarded, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(guarded.root)
    app = guarded.program(GUARD)
    done = guarded.start([str(tmp_path / "link/env/bin/python"), str(app)])
    assert done.stdout == "clean\n"


def test_in_a_thread_it_ends_that_thread_and_says_so(guarded: Guarded) -> None:
    guarded.alter()
    source = "import threading, sanctity\ndef work():\n    sanctity.guard()\n    print('worked')\n"
    done = guarded.run(source + "t = threading.Thread(target=work)\nt.start()\nt.join()\nprint('main')\n")
    assert done.stdout == "main\n"
    assert "it ends this thread alone" in done.stderr


def test_many_threads_at_once_look_once(guarded: Guarded) -> None:
    source = """
import concurrent.futures, sanctity
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    print(sorted(result.looked for result in pool.map(lambda _: sanctity.guard(), range(4))))
"""
    assert guarded.run(source).stdout == "[False, False, False, True]\n"


def test_in_an_event_loop(guarded: Guarded) -> None:
    source = (
        "import asyncio, sanctity\nasync def main():\n    print(sanctity.guard().verdict, flush=True)\n    await asyncio.sleep(0)\n"
    )
    _both(guarded, source + "asyncio.run(main())\n")


def test_in_a_task_nobody_waits_for(guarded: Guarded) -> None:
    guarded.alter()
    source = """
import asyncio, sanctity
async def look():
    sanctity.guard()
async def main():
    task = asyncio.create_task(look())
    await asyncio.sleep(5)
    print("on")
asyncio.run(main())
"""
    done = guarded.run(source)
    assert (done.returncode, done.stdout) == (REFUSED, "")


def test_an_importer_that_catches_exceptions(guarded: Guarded) -> None:
    """As servers load their applications; one that catches all has no application to serve."""
    guarded.program("import sanctity\nsanctity.guard()\napplication = 'here'\n", "wsgi.py")
    loader = (
        "import importlib\ntry:\n    print(importlib.import_module('wsgi').application)\nexcept {}:\n    print('no application')\n"
    )
    assert guarded.run(loader.format("Exception")).stdout == "here\n"
    guarded.alter()
    done = guarded.run(loader.format("Exception"))
    assert (done.returncode, done.stdout) == (REFUSED, "")
    assert guarded.run(loader.format("BaseException")).stdout == "no application\n"


def test_children_that_somebody_else_collects(guarded: Guarded) -> None:
    """A host may ignore SIGCHLD, or wait for every child itself."""
    for handler in ("signal.SIG_IGN", "lambda *_: os.waitpid(-1, os.WNOHANG)"):
        done = guarded.run(f"import os, signal\nsignal.signal(signal.SIGCHLD, {handler})\n{GUARD}")
        assert done.stdout == "clean\n", done.stderr


def test_signals_that_the_program_ignores_or_blocks(guarded: Guarded) -> None:
    source = (
        "import signal\nsignal.signal(signal.SIGALRM, signal.SIG_IGN)\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32))\n"
    )
    assert guarded.run(source + GUARD).stdout == "clean\n"


@pytest.mark.parametrize("closed", ["0", "1", "2", "0,1,2"])
def test_standard_streams_that_are_closed(guarded: Guarded, closed: str) -> None:
    """As of a daemon: what it would print there goes nowhere, and what it decides is the same."""
    report = guarded.root / "report"
    source = f"import os, sanctity\nr = sanctity.guard(on_drift=lambda r: None)\nopen({str(report)!r}, 'w').write(r.verdict)\n"
    app = guarded.program(source + "sanctity.guard()\nos._exit(7)\n")
    shell = f"exec {' '.join(f'{fd}<&-' for fd in closed.split(','))}; exec {guarded.env}/bin/python {app}"
    done = guarded.start(["/bin/sh", "-c", shell])
    assert (done.returncode, report.read_text()) == (7, "clean")
    guarded.alter()
    done = guarded.start(["/bin/sh", "-c", shell])
    assert (done.returncode, report.read_text()) == (REFUSED, "drifted")


def test_a_standard_error_that_is_none(guarded: Guarded) -> None:
    guarded.alter()
    done = guarded.run(f"import sys\nsys.stderr = None\n{GUARD}")
    assert (done.returncode, done.stdout) == (REFUSED, "")
    assert "file-altered" in done.stderr


def test_a_standard_error_that_knows_few_characters(guarded: Guarded, tmp_path: Path) -> None:
    folder = guarded.copy(tmp_path / "прое́кт-\udcff")
    folder.alter()
    done = folder.run("import sys\nsys.stderr.reconfigure(encoding='ascii', errors='strict')\n" + GUARD)
    assert (done.returncode, done.stdout) == (REFUSED, "")
    assert "file-altered" in done.stderr
    shutil.rmtree(os.fsencode(folder.root))


def test_a_name_that_no_locale_knows(guarded: Guarded, tmp_path: Path) -> None:
    folder = guarded.copy(tmp_path / "pro\udcffject")
    for variables in ({"LC_ALL": "C"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}):
        done = folder.run(GUARD, variables=variables)
        assert done.stdout == "clean\n", done.stderr
    shutil.rmtree(os.fsencode(folder.root))


def test_a_file_system_that_can_not_be_written(guarded: Guarded) -> None:
    """The child writes nothing anywhere. `unshare` mounts the tree read-only, and an empty /tmp that is read-only too."""
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-rm", "true"], capture_output=True, check=False).returncode:
        pytest.skip("no mount namespace can be made here")
    app = guarded.program(GUARD)
    root = guarded.root
    mounts = f"mount --bind {root} {root} && mount -o remount,bind,ro {root} {root}"
    inner = f"{mounts} && ! touch {root}/new 2>/dev/null && cd {root} && exec {root}/env/bin/python {app}"
    done = guarded.start([unshare, "-rm", "/bin/sh", "-c", inner], {"PATH": os.environ["PATH"]})
    if "mount" in done.stderr:
        pytest.skip(f"nothing can be mounted here: {done.stderr}")
    assert done.stdout == "clean\n", done.stderr


# -- who looks ---------------------------------------------------------------------------------------------------------------------


def test_no_name_of_the_interpreter(guarded: Guarded) -> None:
    """Some hosts leave sys.executable empty; the base prefix still says where the base interpreter is."""
    for value in ("''", "None", "'/nonexistent/python3'", f"{str(guarded.env / 'bin/python')!r}"):
        done = guarded.run(f"import sys\nsys.executable = sys._base_executable = {value}\n{GUARD}")
        assert done.stdout == "clean\n", done.stderr


@pytest.mark.parametrize("stand_in", ["nothing", "a script", "another Python", "a folder"])
def test_no_base_interpreter_is_a_refusal(guarded: Guarded, stand_in: str, tmp_path: Path) -> None:
    """Never is the environment's own interpreter started, nor a version manager's script in the base's place."""
    fake = tmp_path / "bin/python3.11"
    fake.parent.mkdir()
    if stand_in == "a script":
        fake.write_text("#!/bin/sh\necho ran >&2\n")
        fake.chmod(0o755)
    elif stand_in == "a folder":
        fake.mkdir()
    elif stand_in == "another Python":
        others = [
            path for path in Path(sys.base_prefix).parent.glob("3.*/bin/python3.1?") if not path.is_relative_to(sys.base_prefix)
        ]
        if not others:
            pytest.skip("there is no other Python here")
        fake.symlink_to(others[0])
    lines = f"import sys\nsys._base_executable = {str(fake)!r}\nsys.base_prefix = sys.base_exec_prefix = {str(tmp_path)!r}\n"
    done = guarded.run(lines + GUARD)
    assert (done.returncode, done.stdout) == (REFUSED, "")
    assert "error: guard-c" in done.stderr
    assert "ran" not in done.stderr.split("hint")[1]


def test_an_environment_whose_base_was_removed(guarded: Guarded) -> None:
    """The interpreter is loaded, and so the program runs; its home is gone."""
    source = "import sys\nsys._base_executable = sys.base_prefix = sys.base_exec_prefix = '/gone'\n"
    done = guarded.run(source + GUARD)
    assert done.returncode == REFUSED
    assert "there is no base interpreter" in done.stderr


def test_no_process_can_be_started(guarded: Guarded) -> None:
    source = "import resource, sanctity\nsanctity.guard\nresource.setrlimit(resource.RLIMIT_NOFILE, (4, 4))\n"
    done = guarded.run(source + GUARD)
    assert (done.returncode, done.stdout) == (REFUSED, "")
    assert "guard-" in done.stderr


@pytest.mark.parametrize("line", ["sys.frozen = True", "sys.frozen = 'windows_exe'"])
def test_a_frozen_program_is_told_that_it_can_not_be_looked_at(guarded: Guarded, line: str) -> None:
    """PyInstaller and cx_Freeze set that attribute."""
    done = guarded.run(f"import sys\n{line}\n{GUARD}")
    assert (done.returncode, done.stdout) == (REFUSED, "")
    assert "this program is frozen" in done.stderr


# -- zips --------------------------------------------------------------------------------------------------------------------------


def _zipped(guarded: Guarded, tmp_path: Path, *, metadata: tuple[str, ...] = ()) -> Path:
    """A zipapp that holds the package and a program, beside the seal."""
    folder = tmp_path / "zip"
    shutil.copytree(SOURCE / "sanctity", folder / "sanctity", ignore=shutil.ignore_patterns("__pycache__"))
    for name in metadata:
        (folder / f"{name}.dist-info").mkdir()
        (folder / f"{name}.dist-info/METADATA").write_text("Name: x\n")
    (folder / "__main__.py").write_text("import sanctity\nprint(sanctity.__file__)\n" + GUARD)
    target = guarded.root / "app.pyz"
    zipapp.create_archive(folder, target, interpreter=None)
    return target


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_zipapp_with_the_package_inside(guarded: Guarded, tmp_path: Path, elsewhere: bool) -> None:
    """The child imports from the zip as well. The seal is inside it, or in the working folder."""
    app = _zipped(guarded, tmp_path, metadata=("sanctity-0.1.0",))
    python = str(guarded.env / "bin/python")
    if elsewhere:
        subprocess.run([sys.executable, "-m", "zipfile", "-l", app], check=True, capture_output=True)
        import zipfile

        with zipfile.ZipFile(app, "a") as archive:
            archive.write(guarded.seal, "env.seal.json")
    cwd = tmp_path if elsewhere else guarded.root
    done = guarded.start([python, str(app)], cwd=cwd)
    assert done.stdout == f"{app}/sanctity/__init__.py\nclean\n", done.stderr
    guarded.alter()
    done = guarded.start([python, str(app)], cwd=cwd)
    assert done.returncode == REFUSED
    assert "file-altered" in done.stderr


def test_a_zipapp_that_brings_its_dependencies(guarded: Guarded, tmp_path: Path) -> None:
    """As shiv and pip --target make them: no seal speaks of what is in there, and that is said."""
    app = _zipped(guarded, tmp_path, metadata=("sanctity-0.1.0", "idna-3.7"))
    done = guarded.start([str(guarded.env / "bin/python"), str(app)])
    assert (done.returncode, "clean" in done.stdout) == (REFUSED, False)
    assert "outside-environment" in done.stderr
    assert "idna-3.7" in done.stderr


def test_a_folder_of_unpacked_wheels(guarded: Guarded, tmp_path: Path) -> None:
    """As PEX keeps them: each wheel in a folder of its own on sys.path, none in the environment."""
    lines = "import sys\n"
    for name in ("idna-3.7", "six-1.16.0"):
        (tmp_path / name / f"{name}.dist-info").mkdir(parents=True)
        lines += f"sys.path.append({str(tmp_path / name)!r})\n"
    done = guarded.run(lines + GUARD)
    assert done.returncode == REFUSED
    assert done.stderr.count("outside-environment") >= 2


# -- a program that holds Python inside of it --------------------------------------------------------------------------------------

HOST = r"""
#include <Python.h>
#include <stdio.h>
/* argv: the interpreter that it takes for its own, or "", and the application's folder. What a request gets, it prints. */
int main(int argc, char **argv) {
    PyConfig config;
    PyConfig_InitPythonConfig(&config);
    config.parse_argv = 0;
    config.install_signal_handlers = 0;
    if (argv[1][0]) PyConfig_SetBytesString(&config, &config.executable, argv[1]);
    PyStatus status = Py_InitializeFromConfig(&config);
    if (PyStatus_Exception(status)) return 70;
    PyObject *path = PySys_GetObject("path"), *folder = PyUnicode_DecodeFSDefault(argv[2]);
    PyList_Insert(path, 0, folder);
    if (argc > 3) PyList_Append(path, PyUnicode_DecodeFSDefault(argv[3]));
    PyObject *module = PyImport_ImportModule("wsgi");
    if (module == NULL) {
        int refused = PyErr_ExceptionMatches(PyExc_SystemExit);
        PyErr_Clear();
        printf("500 no application%s\n", refused ? ", it was refused" : "");
    } else {
        printf("200 %s\n", PyUnicode_AsUTF8(PyObject_GetAttrString(module, "application")));
    }
    fflush(stdout);
    return 0;
}
"""


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that holds this Python inside of it, as uWSGI does."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    header = Path(sysconfig.get_path("include"), "Python.h")
    library = Path(sysconfig.get_config_var("LIBDIR") or "", sysconfig.get_config_var("LDLIBRARY") or "none")
    if compiler is None or not header.exists() or not library.exists():
        pytest.skip("there is no C compiler, or nothing to embed Python with")
    folder = tmp_path_factory.mktemp("host")
    (folder / "host.c").write_text(HOST)
    extra = f"{sysconfig.get_config_var('LIBS') or ''} {sysconfig.get_config_var('SYSLIBS') or ''}".split()
    link = [f"-Wl,-rpath,{library.parent}", "-rdynamic", str(library), *extra]
    command = [compiler, str(folder / "host.c"), f"-I{header.parent}", *link, "-o", str(folder / "host")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"Python can not be embedded here: {done.stderr[-300:]}")
    return folder / "host"


WSGI = "import sanctity\nsanctity.guard()\napplication = 'hello'\n"


def test_an_embedded_python_that_knows_its_environment(guarded: Guarded, host: Path) -> None:
    guarded.program(WSGI, "wsgi.py")
    command = [str(host), str(guarded.env / "bin/python"), str(guarded.root)]
    done = guarded.start(command)
    assert done.stdout == "200 hello\n", done.stderr
    guarded.alter()
    done = guarded.start(command)
    assert done.stdout == "500 no application, it was refused\n"
    assert "file-altered" in done.stderr


def test_the_host_is_never_started_again(guarded: Guarded, host: Path) -> None:
    """Its name is where an interpreter's would be, so it must not be taken for one."""
    guarded.program("import sys\nsys._base_executable = sys.executable = " + repr(str(host)) + "\n" + WSGI, "wsgi.py")
    done = guarded.start([str(host), str(guarded.env / "bin/python"), str(guarded.root)])
    assert done.stdout == "200 hello\n", done.stderr


def test_a_child_that_does_not_listen_ends_no_host(guarded: Guarded, host: Path, tmp_path: Path) -> None:
    """Where nobody ignores SIGPIPE, a write to a child that is gone would."""
    fake = tmp_path / "fake"
    fake.write_text("#!/bin/sh\nexit 0\n")
    fake.chmod(0o755)
    late = (
        "import os, time\nreal = os.posix_spawn\ndef late(*a, **k):\n    pid = real(*a, **k)\n    time.sleep(0.3)\n    return pid\n"
    )
    late += f"os.posix_spawn = late\nfrom sanctity import guard\nguard._base_interpreter = lambda: {str(fake)!r}\nguard()\n"
    guarded.program(late, "wsgi.py")
    done = guarded.start([str(host), str(guarded.env / "bin/python"), str(guarded.root)])
    assert (done.returncode, done.stdout) == (0, "500 no application, it was refused\n")
    assert "guard-child-failed" in done.stderr


def test_an_embedded_python_without_an_environment_is_not_the_sealed_one(guarded: Guarded, host: Path) -> None:
    """Site-packages that are only appended to sys.path are no environment: its prefix is the base's, which nobody sealed."""
    guarded.program(WSGI, "wsgi.py")
    base = os.path.realpath(sys.executable)
    done = guarded.start([str(host), base, str(guarded.root), str(guarded.site)])
    assert done.stdout == "500 no application, it was refused\n"
    assert "REFUSED" in done.stderr


# -- installed as people install it ------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_pip_install_without_dependencies(guarded: Guarded, tmp_path: Path) -> None:
    """A real wheel, a real pip, nothing else installed: it can be sealed, and guarded."""
    pytest.importorskip("hatchling")
    project = SOURCE.parent
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path], cwd=project, check=True, capture_output=True
    )
    (wheel,) = tmp_path.glob("*.whl")
    shutil.rmtree(guarded.env)
    subprocess.run([os.path.realpath(sys.executable), "-m", "venv", str(guarded.env)], check=True)
    install = [str(guarded.env / "bin/python"), "-m", "pip", "install", "-q", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    guarded.reseal()
    done = guarded.run(GUARD + "import sys\nprint('click' in sys.modules)\n")
    assert done.stdout == "clean\nFalse\n", done.stderr
    add_distribution(guarded.env, "late", "1.0", {"late.py": b""})
    assert guarded.run(GUARD).returncode == REFUSED
