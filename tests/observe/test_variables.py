"""What the table of variables says, proven on the interpreters of this machine: each that loads code does, and no other does.

A proof starts an interpreter twice, without the variable and with it; only the second time does the planted code speak.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from real.tools import interpreters
from sanctity.model.variables import CHANGES, HARMLESS, LOADS, UNREAD, VARIABLES, weigh

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from real.tools import Workshop

SPEAKS = "print('THE PLANTED CODE SPEAKS')"
WORD = "THE PLANTED CODE SPEAKS"
#: A module of every standard library that prints when it is imported: the Zen of Python.
ZEN = "Beautiful is better than ugly"


def _run(python: str, code: str, environ: Mapping[str, str], *, stdin: str = "", options: tuple[str, ...] = ()) -> str:
    """All that *python* prints when it runs *code* with nothing but *environ* set."""
    done = subprocess.run(
        [interpreters()[python], *options, "-c", code],
        env={"PATH": "/usr/bin:/bin", **environ},
        input=stdin,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=60,
        check=False,
        cwd="/",
    )
    return done.stdout + done.stderr


def _minor(python: str) -> int:
    return int(python.partition(".")[2])


def _prefix(python: str) -> Path:
    return Path(_run(python, "import sys; print(sys.prefix)", {}).strip())


def _library(python: str, folder: Path) -> Path:
    """A standard library in *folder* that is the real one but for one module."""
    real = _prefix(python) / "lib" / f"python{python}"
    folder.mkdir(parents=True)
    for entry in real.iterdir():
        if entry.name not in {"colorsys.py", "__pycache__", "site-packages"}:
            (folder / entry.name).symlink_to(entry)
    (folder / "colorsys.py").write_text(SPEAKS)
    return folder


def _proven(python: str, code: str, before: Mapping[str, str], name: str, value: str, **how: object) -> None:
    """*name*, set to *value* beside *before*, and nothing else makes the planted code speak; and the table says that it loads code."""
    speaks = (WORD, ZEN)
    quiet = _run(python, code, before, **how)  # type: ignore[arg-type]
    assert not any(word in quiet for word in speaks), quiet
    loud = _run(python, code, {**before, name: value}, **how)  # type: ignore[arg-type]
    assert any(word in loud for word in speaks), loud
    weighed = weigh(name, value)
    assert weighed is not None
    assert weighed[0] == LOADS


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """A folder with a module that speaks, in the place of one of the standard library's."""
    (tmp_path / "colorsys.py").write_text(SPEAKS)
    return tmp_path


def test_a_module_on_pythonpath_is_imported_first(python: str, planted: Path) -> None:
    _proven(python, "import colorsys", {}, "PYTHONPATH", str(planted))


def test_a_standard_library_is_taken_from_pythonhome(python: str, tmp_path: Path) -> None:
    _library(python, tmp_path / f"home/lib/python{python}")
    _proven(python, "import colorsys", {}, "PYTHONHOME", str(tmp_path / "home"))


def test_a_standard_library_is_taken_from_the_platlibdir(python: str, tmp_path: Path) -> None:
    if _minor(python) < 9:
        pytest.skip("Python 3.8 does not read it")
    folder = _library(python, tmp_path / f"python{python}")
    _proven(python, "import colorsys", {}, "PYTHONPLATLIBDIR", os.path.relpath(folder.parent, _prefix(python)))


def test_a_pth_of_the_users_site_packages_runs(python: str, tmp_path: Path) -> None:
    site = tmp_path / f"lib/python{python}/site-packages"
    site.mkdir(parents=True)
    (site / "x.pth").write_text(f"import sys; {SPEAKS}\n")
    _proven(python, "pass", {}, "PYTHONUSERBASE", str(tmp_path))


def test_forged_bytecode_is_taken_from_the_pycache_prefix(python: str, tmp_path: Path) -> None:
    source = _run(python, "import sysconfig; print(sysconfig.get_path('stdlib'))", {}).strip() + "/colorsys.py"
    write = (
        "import sys, os, importlib.util as u, marshal; s = sys.argv[1]; t = os.stat(s); "
        "p = u.cache_from_source(s); os.makedirs(os.path.dirname(p), exist_ok=True); "
        "open(p, 'wb').write(u.MAGIC_NUMBER + (0).to_bytes(4, 'little') + (int(t.st_mtime) & 0xFFFFFFFF).to_bytes(4, 'little') "
        "+ (t.st_size & 0xFFFFFFFF).to_bytes(4, 'little') + marshal.dumps(compile(sys.argv[2], s, 'exec')))"
    )
    prefix = str(tmp_path / "cache")
    argv: list[str | Path] = [interpreters()[python], "-X", f"pycache_prefix={prefix}", "-c", write, source, SPEAKS]
    subprocess.run(argv, check=True, env={}, timeout=60)
    _proven(python, "import colorsys", {}, "PYTHONPYCACHEPREFIX", prefix)


def test_an_interactive_session_runs_its_startup_file(python: str, tmp_path: Path) -> None:
    (tmp_path / "start.py").write_text(SPEAKS)
    done = {}
    for environ in ({}, {"PYTHONSTARTUP": str(tmp_path / "start.py")}):
        argv: list[str | Path] = [interpreters()[python], "-i"]
        ran = subprocess.run(argv, env=environ, input="", capture_output=True, text=True, timeout=60, check=True)
        done[bool(environ)] = WORD in ran.stdout + ran.stderr
    assert done == {False: False, True: True}
    assert VARIABLES["PYTHONSTARTUP"][0] == LOADS


def test_inspecting_runs_nothing_but_what_a_terminal_says(python: str) -> None:
    assert WORD not in _run(python, "pass", {"PYTHONINSPECT": "1"}, stdin=SPEAKS + "\n")
    ours, theirs = os.openpty()
    os.write(ours, SPEAKS.encode() + b"\nexit()\n")
    argv: list[str | Path] = [interpreters()[python], "-c", "pass"]
    environ = {"PYTHONINSPECT": "1", "PYTHON_BASIC_REPL": "1", "TERM": "dumb"}
    done = subprocess.run(argv, env=environ, stdin=theirs, capture_output=True, text=True, timeout=60, check=False)
    os.close(ours)
    os.close(theirs)
    assert WORD in done.stdout.split("\n")
    assert VARIABLES["PYTHONINSPECT"][0] == CHANGES


def test_a_category_of_a_warning_filter_is_imported(python: str) -> None:
    _proven(python, "pass", {}, "PYTHONWARNINGS", "error::this.Category")


@pytest.mark.parametrize("value", ["error", "ignore::DeprecationWarning", "ignore:this.c:DeprecationWarning:this.c"])
def test_a_filter_without_a_dotted_category_imports_nothing(python: str, value: str) -> None:
    said = _run(python, "import sys; print('this' in sys.modules)", {"PYTHONWARNINGS": value})
    assert "False" in said
    weighed = weigh("PYTHONWARNINGS", value)
    assert weighed is not None
    assert weighed[0] == CHANGES


def test_breakpoint_imports_what_it_names(python: str) -> None:
    _proven(python, "breakpoint()", {"PYTHONBREAKPOINT": "0"}, "PYTHONBREAKPOINT", "this.d")


def test_sysconfig_imports_what_its_variable_names(python: str) -> None:
    _proven(python, "import sysconfig; sysconfig.get_config_vars()", {}, "_PYTHON_SYSCONFIGDATA_NAME", "this")


def test_sax_imports_what_its_variable_names(python: str) -> None:
    _proven(python, "import xml.sax; xml.sax.make_parser()", {}, "PY_SAX_PARSER", "this")


def test_tcl_runs_what_it_finds_in_its_library(python: str, tmp_path: Path) -> None:
    if "tcl" not in _run(python, "import _tkinter; print('tcl', _tkinter.TCL_VERSION)", {}).split():
        pytest.skip(f"Python {python} has no tkinter")
    (tmp_path / "init.tcl").write_text(f"puts {{{WORD}}}\n")
    _proven(python, "import tkinter; tkinter.Tcl()", {}, "TCL_LIBRARY", str(tmp_path))


@pytest.mark.parametrize(("name", "value"), [("PYTEST_PLUGINS", "this"), ("PYTEST_ADDOPTS", "-p this")])
def test_pytest_imports_what_its_variables_name(name: str, value: str, tmp_path: Path) -> None:
    heard = []
    for environ in ({}, {name: value}):
        argv = [sys.executable, "-m", "pytest", "--co", "-q", "-p", "no:cacheprovider", str(tmp_path)]
        done = subprocess.run(argv, env=environ, capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False)
        heard.append(ZEN in done.stdout + done.stderr)
    assert heard == [False, True]
    assert VARIABLES[name][0] == LOADS


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory, workshop: Workshop) -> Path:
    """An environment with tools that run code of their own choosing when they start."""
    env = tmp_path_factory.mktemp("tools") / "env"
    workshop.equipped(env, "coverage>=7.11", "matplotlib", "ipython", "jupyter_client")
    return env


#: Each variable, the file that is planted in its folder (empty where it names a module), and what starts the tool.
TOOLS = {
    "IPYTHONDIR": ("profile_default/startup/x.py", ("-m", "IPython", "-c", "pass")),
    "MPLBACKEND": ("", ("-c", "import matplotlib.pyplot as p; p.figure()")),
    "COVERAGE_PROCESS_START": ("coveragerc", ("-c", "pass")),
    "JUPYTER_CONFIG_DIR": ("jupyter_config.py", ("-m", "jupyter_client.kernelspecapp", "list")),
    "JUPYTER_CONFIG_PATH": ("jupyter_config.py", ("-m", "jupyter_client.kernelspecapp", "list")),
}


@pytest.mark.index
@pytest.mark.parametrize("name", sorted(TOOLS))
def test_a_tool_runs_what_its_variable_names(name: str, tools: Path, tmp_path: Path) -> None:
    planted, command = TOOLS[name]
    value = str(tmp_path / "planted")
    if planted:
        path = tmp_path / "planted" / planted
        path.parent.mkdir(parents=True)
        path.write_text("[run]\nplugins = this\n" if planted == "coveragerc" else SPEAKS)
        value = str(path) if planted == "coveragerc" else value
    else:
        value = "module://this"
    heard = []
    for environ in ({}, {name: value}):
        around = {"HOME": str(tmp_path / "home"), "PATH": "/usr/bin:/bin", **environ}
        done = subprocess.run(
            [tools / "bin/python", *command], env=around, capture_output=True, text=True, cwd=tmp_path, timeout=120, check=False
        )
        heard.append(WORD in done.stdout + done.stderr or ZEN in done.stdout + done.stderr)
    assert heard == [False, True], done.stdout + done.stderr
    assert (weigh(name, value) or ("",))[0] == LOADS


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """Builds a shared library NAME in FOLDER that speaks when it is loaded."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("no C compiler for this system's libraries")
    scratch = tmp_path_factory.mktemp("library")
    source = scratch / "speaks.c"
    source.write_text(
        "#include <unistd.h>\n"
        f'__attribute__((constructor)) static void speak(void) {{ if (write(1, "{WORD}\\n", {len(WORD) + 1})) {{}} }}\n'
        "unsigned int la_version(unsigned int version) { return version; }\n"
    )
    built = scratch / "speaks.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", built, source], check=True, timeout=60)

    def place(folder: str, name: str) -> Path:
        Path(folder).mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy(built, Path(folder) / name))

    return place


@pytest.mark.parametrize("name", ["LD_PRELOAD", "LD_AUDIT"])
def test_the_loader_loads_what_it_is_told(python: str, name: str, library: Callable[[str, str], Path], tmp_path: Path) -> None:
    _proven(python, "pass", {}, name, str(library(str(tmp_path), "speaks.so")))
    # Isolation is no help: the loader comes before the interpreter.
    _proven(python, "pass", {}, name, str(tmp_path / "speaks.so"), options=("-I", "-S"))


def test_a_library_is_taken_from_ld_library_path(library: Callable[[str, str], Path], tmp_path: Path) -> None:
    library(str(tmp_path), "libz.so.1")
    python = "{}.{}".format(*sys.version_info[:2])
    code = "import ctypes\ntry: ctypes.CDLL('libz.so.1')\nexcept OSError: pass"
    _proven(python, code, {}, "LD_LIBRARY_PATH", str(tmp_path))


def test_glibc_loads_converters_from_the_gconv_path(library: Callable[[str, str], Path], tmp_path: Path) -> None:
    if b"GCONV_PATH" not in _loader_bytes():
        pytest.skip("this C library has no converters to load")
    library(str(tmp_path), "SPEAKS.so")
    (tmp_path / "gconv-modules").write_text("module SPEAKS// INTERNAL SPEAKS 1\nmodule INTERNAL SPEAKS// SPEAKS 1\n")
    code = "import ctypes; ctypes.CDLL(None).iconv_open(b'SPEAKS', b'UTF-8')"
    _proven("{}.{}".format(*sys.version_info[:2]), code, {}, "GCONV_PATH", str(tmp_path))


def _provider(folder: Path, settings: str) -> str:
    """A configuration of OpenSSL with *settings* for one provider of the name ``speaks``."""
    head = "openssl_conf = init\n[init]\nproviders = providers\n[providers]\nspeaks = speaks\n"
    (folder / "openssl.cnf").write_text(f"{head}[speaks]\n{settings}activate = 1\n")
    return str(folder / "openssl.cnf")


def _needs_openssl_3(python: str) -> None:
    version = _run(python, "import ssl; print(ssl.OPENSSL_VERSION_INFO[0])", {}).strip()
    if version != "3":
        pytest.skip(f"Python {python} has no OpenSSL 3")


def test_openssl_loads_what_its_configuration_names(python: str, library: Callable[[str, str], Path], tmp_path: Path) -> None:
    _needs_openssl_3(python)
    configuration = _provider(tmp_path, f"module = {library(str(tmp_path), 'speaks.so')}\n")
    _proven(python, "import ssl", {}, "OPENSSL_CONF", configuration)
    _proven(python, "import hashlib", {}, "OPENSSL_CONF", configuration, options=("-I", "-S"))


def test_openssl_loads_its_modules_from_their_folder(python: str, library: Callable[[str, str], Path], tmp_path: Path) -> None:
    _needs_openssl_3(python)
    library(str(tmp_path / "modules"), "speaks.so")
    before = {"OPENSSL_CONF": _provider(tmp_path, "")}
    _proven(python, "import ssl", before, "OPENSSL_MODULES", str(tmp_path / "modules"))


def test_openssl_reads_parts_of_its_configuration_from_their_folder(
    python: str, library: Callable[[str, str], Path], tmp_path: Path
) -> None:
    _needs_openssl_3(python)
    (tmp_path / "parts").mkdir()
    _provider(tmp_path / "parts", f"module = {library(str(tmp_path), 'speaks.so')}\n")
    (tmp_path / "openssl.cnf").write_text(".include openssl.cnf\n")
    _proven(python, "import ssl", {"OPENSSL_CONF": str(tmp_path / "openssl.cnf")}, "OPENSSL_CONF_INCLUDE", str(tmp_path / "parts"))


def test_openssl_loads_its_engines_from_their_folder(python: str, library: Callable[[str, str], Path], tmp_path: Path) -> None:
    _needs_openssl_3(python)
    library(str(tmp_path / "engines"), "speaks.so")
    head = "openssl_conf = init\n[init]\nengines = engines\n[engines]\nspeaks = speaks\n"
    (tmp_path / "openssl.cnf").write_text(f"{head}[speaks]\nengine_id = speaks\ninit = 1\n")
    before = {"OPENSSL_CONF": str(tmp_path / "openssl.cnf")}
    _proven(python, "import ssl; ssl.create_default_context()", before, "OPENSSL_ENGINES", str(tmp_path / "engines"))


LOADED = """
import os, sys, hashlib, ssl, locale
names = {getattr(m, '__file__', None) or '' for m in list(sys.modules.values())}
maps = {line.split(None, 5)[5].strip() for line in open('/proc/self/maps') if line.count('/')}
print('LOADED', *sorted(map(os.path.abspath, filter(None, names | maps))), sep=chr(0))
print('PATH', *sys.path, sep=chr(0))
"""
QUIET = sorted(name for name, (weight, _, _) in VARIABLES.items() if weight != LOADS)


#: Values without which some of them keep the interpreter from starting.
TRIED = {"PYTHONIOENCODING": "utf-8", "PYTHONMALLOC": "malloc"}


def _loaded(python: str, environ: Mapping[str, str]) -> tuple[set[str], set[str]] | None:
    """The files that a plain start loads, and sys.path; None where the interpreter does not start so."""
    said = {line.split("\0")[0]: set(line.split("\0")[1:]) for line in _run(python, LOADED, environ).split("\n")}
    return (said["LOADED"], said["PATH"]) if "LOADED" in said else None


@pytest.fixture(scope="module")
def plain() -> tuple[set[str], set[str]]:
    """What a plain start loads, and its sys.path."""
    found = _loaded("{}.{}".format(*sys.version_info[:2]), {})
    assert found is not None
    return found


@pytest.mark.skipif(not os.path.exists("/proc/self/maps"), reason="what is mapped is read from /proc")
@pytest.mark.parametrize("name", QUIET)
def test_a_variable_that_is_said_to_load_nothing_loads_nothing(
    name: str, plain: tuple[set[str], set[str]], library: Callable[[str, str], Path], planted: Path
) -> None:
    """Whatever it is set to, of these: no file of the folder that it names, no path, and nothing outside of what Python came with."""
    python = "{}.{}".format(*sys.version_info[:2])
    for module in ("sitecustomize", "usercustomize", "this", "encodings"):
        (planted / f"{module}.py").write_text(SPEAKS)
    library(str(planted), "speaks.so")
    own = {str(_prefix(python)), *(os.path.dirname(path) for path in plain[0])}
    tried = 0
    for value in (TRIED.get(name, "1"), str(planted)):
        if (weigh(name, value) or (LOADS,))[0] == LOADS:
            continue
        found = _loaded(python, {name: value})
        if found is None:
            continue
        tried += 1
        assert found[1] <= plain[1]
        assert not [path for path in found[0] if path.startswith(str(planted))]
        assert all(any(path.startswith(folder) for folder in own) for path in found[0] - plain[0])
    assert tried or VARIABLES[name][0] == CHANGES, "no value of it was tried"


#: Texts in the binaries that look like variables and are none.
NO_VARIABLES = {"PYTHON_CLASSMETHOD"}


def _names(data: bytes, shape: bytes) -> set[str]:
    return {match.decode() for match in re.findall(rb"\0(" + shape + rb")(?=\0)", data)}


def test_the_table_has_every_name_that_the_interpreter_has(python: str) -> None:
    folder = _prefix(python)
    binaries = [interpreters()[python], *folder.glob(f"lib/libpython{python}*.so*")]
    found = set().union(*(_names(path.read_bytes(), rb"_{0,2}PY(?:THON|VENV)[A-Z_]+") for path in binaries if path.is_file()))
    assert "PYTHONHASHSEED" in found
    assert found - NO_VARIABLES <= VARIABLES.keys() | UNREAD


def test_the_table_has_every_name_that_the_standard_library_reads(python: str) -> None:
    read = re.compile(r"""(?:environ(?:\.get)?|getenv)[\[(]\s*["'](_{0,2}PY(?:THON|VENV|_)[A-Z_]+)["']""")
    found = set()
    folder = _prefix(python) / "lib" / f"python{python}"
    for path in folder.rglob("*.py"):
        if not {"site-packages", "test", "tests", "idlelib", "config-3"} & set(path.relative_to(folder).parts):
            found |= set(read.findall(path.read_text("utf-8", "replace")))
    assert found
    assert found <= VARIABLES.keys()


def _loader_bytes() -> bytes:
    loader = next((path for path in ("/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1") if os.path.exists(path)), "")
    return Path(loader).read_bytes() if loader else b""


def test_the_table_has_every_name_that_the_loader_has() -> None:
    data = _loader_bytes()
    if not data:
        pytest.skip("glibc's loader is not where it is looked for")
    found = _names(
        data, rb"(?:LD|MALLOC|GLIBC|GCONV|LOC)_?[A-Z0-9_]*(?:PATH|PRELOAD|AUDIT|DEBUG\w*|BIND_NO[WT]|TUNABLES|AUXV|MASK|MAX|CHECK_)"
    )
    assert "LD_PRELOAD" in found
    assert found <= VARIABLES.keys()


def test_openssls_names_are_in_the_table() -> None:
    code = "import ssl; print(*{line.split()[-1] for line in open('/proc/self/maps') if 'libcrypto' in line})"
    path = _run("{}.{}".format(*sys.version_info[:2]), code, {}).strip()
    if not path.startswith("/"):
        pytest.skip("OpenSSL is built into this Python")
    found = _names(Path(path).read_bytes(), rb"OPENSSL_(?:CONF|MODULES|ENGINES)[A-Z_]*|SSL_CERT_(?:FILE|DIR)")
    assert "OPENSSL_CONF" in found
    assert found <= VARIABLES.keys()


def test_weights_are_three() -> None:
    assert {weight for weight, _, _ in VARIABLES.values()} == {LOADS, CHANGES, HARMLESS}
