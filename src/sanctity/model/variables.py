"""The process variables that start-up reads: CPython 3.8 to 3.15 and its `site`, the dynamic loaders, OpenSSL, and their like.

One literal table, which the comparison, `run` and the guard use alike; so this module imports nothing but ``__future__``. A name
is either in the table, or of a family whose unknown members are told (``PYTHON*``, ``LD_*``, ``DYLD_*``), or of no interest.

Sources: ``Doc/using/cmdline.rst``, ``Python/initconfig.c``, ``Modules/getpath.py``, ``Lib/site.py``, ``Lib/sysconfig`` and
``Lib/zoneinfo`` of CPython, and the names in the binaries of 3.8 to 3.13; ld.so(8), ``elf/rtld.c`` and the "unsafe" list of glibc;
musl's ``ldso/dynlink.c``; dyld(1); openssl-env(7).

What is said of a variable never holds its value: somebody may have put a secret there.
"""

from __future__ import annotations

__all__ = ["CHANGES", "HARMLESS", "LOADS", "UNREAD", "VARIABLES", "weigh"]

#: It runs code, or has imports, libraries or bytecode come from somewhere else than what was verified.
LOADS = "loads"
#: The verified code runs, but otherwise: other statements, other results, another encoding, less checked.
CHANGES = "changes"
#: It loads nothing and changes no result: output, diagnosis, memory, speed.
HARMLESS = "harmless"

#: Names that look as if Python read them, and that nothing reads at start-up: what container images and builds leave behind.
UNREAD = frozenset(
    {
        "PYTHON_BUILD_ARIA2_OPTS",
        "PYTHON_BUILD_CACHE_PATH",
        "PYTHON_BUILD_CURL_OPTS",
        "PYTHON_BUILD_HTTP_CLIENT",
        "PYTHON_BUILD_MIRROR_URL",
        "PYTHON_BUILD_SKIP_MIRROR",
        "PYTHON_BUILD_WGET_OPTS",
        "PYTHON_CFLAGS",
        "PYTHON_CONFIGURE_OPTS",
        "PYTHON_GET_PIP_SHA256",
        "PYTHON_GET_PIP_URL",
        "PYTHON_MAKE_INSTALL_OPTS",
        "PYTHON_MAKE_OPTS",
        "PYTHON_PIP_VERSION",
        "PYTHON_SETUPTOOLS_VERSION",
        "PYTHON_SHA256",
        "PYTHON_VERSION",
        "PYTHON_WHEEL_VERSION",
    }
)

#: What a value lists, by its singular and plural, so that their number can be told: folders, libraries, or nothing that is counted.
_FOLDERS, _LIBRARIES, _PLAIN = ("folder", "folders"), ("library", "libraries"), ()

#: Each name, with its weight, what it does, and what its value lists.
VARIABLES = {
    # Imports and the standard library.
    "PYTHONPATH": (LOADS, "its folders come before the standard library on sys.path", _FOLDERS),
    "PYTHONHOME": (LOADS, "the standard library is taken from there", _FOLDERS),
    "PYTHONPLATLIBDIR": (LOADS, "the standard library is taken from another folder of the prefix (3.9 and newer)", _PLAIN),
    "PYTHONUSERBASE": (LOADS, "the user's site-packages, and their .pth files, are taken from there", _PLAIN),
    "PYTHONEXECUTABLE": (LOADS, "on macOS it is taken for the interpreter, by whose place the environment is found", _PLAIN),
    "__PYVENV_LAUNCHER__": (LOADS, "on macOS and Windows it is taken for the interpreter that was started", _PLAIN),
    "PYTHONPYCACHEPREFIX": (LOADS, "compiled code is taken from there, in the place of each __pycache__", _PLAIN),
    "PYTHONSTARTUP": (LOADS, "an interactive session runs that file first", _PLAIN),
    "PYTHONINSPECT": (CHANGES, "when the program ends, the interpreter goes on with what a terminal says", _PLAIN),
    "PYTHONWARNINGS": (LOADS, "a warning category with a dot in its name is imported at start-up", _PLAIN),
    "PYTHONBREAKPOINT": (LOADS, "breakpoint() imports what it names, and calls it", _PLAIN),
    "PYTHON_PRESITE": (LOADS, "a debug build imports that module before site (3.13 and newer)", _PLAIN),
    "PYTHONCASEOK": (CHANGES, "import ignores upper and lower case, on Windows and macOS", _PLAIN),
    "PYTHON_FROZEN_MODULES": (CHANGES, "modules built into the interpreter are read from disk, or not (3.13 and newer)", _PLAIN),
    "PYTHON_LAZY_IMPORTS": (CHANGES, "whether imports wait until they are needed (3.15 and newer)", _PLAIN),
    "PYTHONSAFEPATH": (HARMLESS, "the program's own folder is left out of sys.path (3.11 and newer)", _PLAIN),
    "PYTHONNOUSERSITE": (HARMLESS, "the user's site-packages are left out of sys.path", _PLAIN),
    "PYTHON_PATHCONFIG_WARNINGS": (HARMLESS, "warnings about how the paths were found", _PLAIN),
    "_PYTHON_SYSCONFIGDATA_NAME": (LOADS, "sysconfig imports the module that it names", _PLAIN),
    "_PYTHON_SYSCONFIGDATA_PATH": (LOADS, "sysconfig imports its data from there (3.14 and newer)", _PLAIN),
    "_PYTHON_PROJECT_BASE": (CHANGES, "sysconfig takes that folder for the one that Python was built in", _PLAIN),
    "_PYTHON_HOST_PLATFORM": (CHANGES, "sysconfig names that platform", _PLAIN),
    "PY_SAX_PARSER": (LOADS, "xml.sax imports the modules that it names", _PLAIN),
    "PYTHON_DOM": (HARMLESS, "which of its own implementations xml.dom takes", _PLAIN),
    # What the interpreter does with the code it has.
    "PYTHONOPTIMIZE": (CHANGES, "assert statements are left out, and other compiled files are taken", _PLAIN),
    "PYTHONHASHSEED": (HARMLESS, "the order of sets of texts; a seal keeps it among the settings", _PLAIN),
    "PYTHONDEVMODE": (CHANGES, "development mode: more checks and warnings, debug hooks, asyncio's debug mode", _PLAIN),
    "PYTHONUTF8": (HARMLESS, "UTF-8 mode, whatever the locale says", _PLAIN),
    "PYTHONIOENCODING": (HARMLESS, "the encoding of the standard streams", _PLAIN),
    "PYTHONCOERCECLOCALE": (HARMLESS, "whether the C locale is taken for UTF-8", _PLAIN),
    "PYTHONLEGACYWINDOWSFSENCODING": (CHANGES, "the encoding of file names on Windows, as before 3.6", _PLAIN),
    "PYTHONLEGACYWINDOWSSTDIO": (CHANGES, "the standard streams on Windows, as before 3.6", _PLAIN),
    "PYTHONINTMAXSTRDIGITS": (CHANGES, "how many digits a number may have in a text", _PLAIN),
    "PYTHON_CPU_COUNT": (CHANGES, "how many processors the program is told of (3.13 and newer)", _PLAIN),
    "PYTHON_GIL": (CHANGES, "whether a free-threaded build runs with the lock (3.13 and newer)", _PLAIN),
    "PYTHON_JIT": (CHANGES, "whether code is compiled while it runs (3.14 and newer)", _PLAIN),
    "PYTHON_UOPS": (CHANGES, "an experimental way to run code, in some builds", _PLAIN),
    "PYTHON_UOPS_OPTIMIZE": (CHANGES, "an experimental way to run code, in some builds", _PLAIN),
    "PYTHON_TLBC": (HARMLESS, "whether threads of a free-threaded build keep copies of code (3.14 and newer)", _PLAIN),
    "PYTHON_THREAD_INHERIT_CONTEXT": (CHANGES, "whether threads inherit context variables (3.14 and newer)", _PLAIN),
    "PYTHON_CONTEXT_AWARE_WARNINGS": (CHANGES, "whether warning filters belong to a context (3.14 and newer)", _PLAIN),
    "PYTHONOLDPARSER": (CHANGES, "Python 3.9 reads source with its old parser", _PLAIN),
    "PYTHONDONTWRITEBYTECODE": (HARMLESS, "no compiled files are written", _PLAIN),
    "PYTHONNODEBUGRANGES": (HARMLESS, "tracebacks name lines, not columns (3.11 and newer)", _PLAIN),
    "PYTHONUNBUFFERED": (HARMLESS, "the standard streams are written at once", _PLAIN),
    # Diagnosis and memory.
    "PYTHONASYNCIODEBUG": (HARMLESS, "asyncio's debug mode", _PLAIN),
    "PYTHONDEBUG": (HARMLESS, "the parser's debug output, in a debug build", _PLAIN),
    "PYTHONDUMPREFS": (HARMLESS, "references left at exit are printed, in a debug build", _PLAIN),
    "PYTHONDUMPREFSFILE": (HARMLESS, "references left at exit are written to a file, in a debug build", _PLAIN),
    "PYTHONFAULTHANDLER": (HARMLESS, "a crash prints a traceback", _PLAIN),
    "PYTHONMALLOC": (HARMLESS, "which memory allocator is used", _PLAIN),
    "PYTHONMALLOCSTATS": (HARMLESS, "the memory allocator prints figures", _PLAIN),
    "PYTHON_PYMALLOC_HUGEPAGES": (HARMLESS, "the memory allocator takes large pages (3.15 and newer)", _PLAIN),
    "PYTHONPERFSUPPORT": (HARMLESS, "support for the perf profiler (3.12 and newer)", _PLAIN),
    "PYTHON_PERF_JIT_SUPPORT": (HARMLESS, "support for the perf profiler (3.13 and newer)", _PLAIN),
    "PYTHONPROFILEIMPORTTIME": (HARMLESS, "the time of each import is printed", _PLAIN),
    "PYTHONSHOWALLOCCOUNT": (HARMLESS, "allocations are printed at exit, in a debug build", _PLAIN),
    "PYTHONSHOWREFCOUNT": (HARMLESS, "references are counted, in a debug build", _PLAIN),
    "PYTHONTHREADDEBUG": (HARMLESS, "threads print debug output, in a debug build up to 3.11", _PLAIN),
    "PYTHONTRACEMALLOC": (HARMLESS, "memory allocations are traced", _PLAIN),
    "PYTHONVERBOSE": (HARMLESS, "each import is printed", _PLAIN),
    "PYTHONWARNDEFAULTENCODING": (HARMLESS, "a warning where no encoding is named (3.10 and newer)", _PLAIN),
    "PYTHON_DISABLE_REMOTE_DEBUG": (HARMLESS, "no debugger can attach (3.14 and newer)", _PLAIN),
    "PYTHON_BASIC_COMPLETER": (HARMLESS, "completion in an interactive session", _PLAIN),
    "PYTHON_BASIC_REPL": (HARMLESS, "a plain interactive session", _PLAIN),
    "PYTHON_COLORS": (HARMLESS, "whether output is in colour", _PLAIN),
    "PYTHON_HISTORY": (HARMLESS, "where an interactive session keeps its history", _PLAIN),
    "PYTHONDOCS": (HARMLESS, "where pydoc finds the manual", _PLAIN),
    "PYTHON_KEYRING_BACKEND": (CHANGES, "keyring takes the backend that it names", _PLAIN),
    # Time zones and locales: data, and no code.
    "PYTHONTZPATH": (CHANGES, "zoneinfo takes its time zones from there", _FOLDERS),
    "TZDIR": (CHANGES, "the C library takes its time zones from there", _PLAIN),
    "LOCPATH": (CHANGES, "glibc takes its locales from there", _FOLDERS),
    "MUSL_LOCPATH": (CHANGES, "musl takes its locales from there", _FOLDERS),
    "NLSPATH": (CHANGES, "the C library takes its message catalogues from there", _FOLDERS),
    # The dynamic loaders: glibc, musl, macOS.
    "LD_PRELOAD": (LOADS, "these libraries are loaded into every program", _LIBRARIES),
    "LD_AUDIT": (LOADS, "these libraries watch and steer the loader in every program", _LIBRARIES),
    "LD_LIBRARY_PATH": (LOADS, "libraries are taken from there first, libpython too", _FOLDERS),
    "LD_ORIGIN_PATH": (LOADS, "it may stand for the program's own folder, where libraries are looked for", _PLAIN),
    "LD_AOUT_LIBRARY_PATH": (LOADS, "libraries of an old format are taken from there", _FOLDERS),
    "LD_AOUT_PRELOAD": (LOADS, "libraries of an old format are loaded into every program", _LIBRARIES),
    "LD_ASSUME_KERNEL": (LOADS, "the loader takes other variants of libraries", _PLAIN),
    "LD_HWCAP_MASK": (LOADS, "the loader takes other variants of libraries", _PLAIN),
    "GLIBC_TUNABLES": (CHANGES, "how glibc works: memory, threads, and which variants of its functions run", _PLAIN),
    "GCONV_PATH": (LOADS, "glibc loads the libraries that convert text from there", _FOLDERS),
    "GETCONF_DIR": (LOADS, "getconf starts a program from there", _PLAIN),
    "LD_BIND_NOT": (HARMLESS, "the loader looks each function up again", _PLAIN),
    "LD_BIND_NOW": (HARMLESS, "the loader looks every function up at start", _PLAIN),
    "LD_DEBUG": (HARMLESS, "the loader prints what it does", _PLAIN),
    "LD_DEBUG_OUTPUT": (HARMLESS, "the loader writes what it does to a file", _PLAIN),
    "LD_DYNAMIC_WEAK": (CHANGES, "the loader lets weak functions be replaced", _PLAIN),
    "LD_POINTER_GUARD": (HARMLESS, "without effect since glibc 2.23", _PLAIN),
    "LD_PREFER_MAP_32BIT_EXEC": (HARMLESS, "where in memory programs are put", _PLAIN),
    "LD_PROFILE": (HARMLESS, "the loader counts the calls into one library", _PLAIN),
    "LD_PROFILE_OUTPUT": (HARMLESS, "where the loader writes its counts", _PLAIN),
    "LD_SHOW_AUXV": (HARMLESS, "the loader prints what the kernel told it", _PLAIN),
    "LD_TRACE_LOADED_OBJECTS": (CHANGES, "the loader lists libraries and runs no program", _PLAIN),
    "LD_TRACE_PRELINKING": (CHANGES, "the loader lists libraries and runs no program", _PLAIN),
    "LD_USE_LOAD_BIAS": (HARMLESS, "where in memory libraries are put", _PLAIN),
    "LD_VERBOSE": (HARMLESS, "the loader prints versions", _PLAIN),
    "LD_WARN": (HARMLESS, "the loader warns of what it can not find", _PLAIN),
    "DYLD_INSERT_LIBRARIES": (LOADS, "macOS loads these libraries into every program", _LIBRARIES),
    "DYLD_LIBRARY_PATH": (LOADS, "macOS takes libraries from there first", _FOLDERS),
    "DYLD_FRAMEWORK_PATH": (LOADS, "macOS takes frameworks from there first", _FOLDERS),
    "DYLD_FALLBACK_LIBRARY_PATH": (LOADS, "macOS takes libraries from there where it finds no other", _FOLDERS),
    "DYLD_FALLBACK_FRAMEWORK_PATH": (LOADS, "macOS takes frameworks from there where it finds no other", _FOLDERS),
    "DYLD_VERSIONED_LIBRARY_PATH": (LOADS, "macOS takes newer libraries from there", _FOLDERS),
    "DYLD_VERSIONED_FRAMEWORK_PATH": (LOADS, "macOS takes newer frameworks from there", _FOLDERS),
    "DYLD_IMAGE_SUFFIX": (LOADS, "macOS takes variants of libraries", _PLAIN),
    "DYLD_ROOT_PATH": (LOADS, "macOS takes all libraries from below that folder", _PLAIN),
    "DYLD_SHARED_CACHE_DIR": (LOADS, "macOS takes the system's libraries from there", _PLAIN),
    "MALLOC_ARENA_MAX": (HARMLESS, "how glibc gives out memory", _PLAIN),
    "MALLOC_ARENA_TEST": (HARMLESS, "how glibc gives out memory", _PLAIN),
    "MALLOC_CHECK_": (HARMLESS, "glibc checks its memory", _PLAIN),
    "MALLOC_MMAP_MAX_": (HARMLESS, "how glibc gives out memory", _PLAIN),
    "MALLOC_MMAP_THRESHOLD_": (HARMLESS, "how glibc gives out memory", _PLAIN),
    "MALLOC_PERTURB_": (CHANGES, "glibc fills memory that was not set, so programs that read such memory act otherwise", _PLAIN),
    "MALLOC_TOP_PAD_": (HARMLESS, "how glibc gives out memory", _PLAIN),
    "MALLOC_TRACE": (HARMLESS, "glibc writes what memory was given out to a file", _PLAIN),
    "MALLOC_TRIM_THRESHOLD_": (HARMLESS, "how glibc gives out memory", _PLAIN),
    # OpenSSL.
    "OPENSSL_CONF": (LOADS, "OpenSSL reads that configuration, which can load libraries, when ssl or hashlib is imported", _PLAIN),
    "OPENSSL_CONF_INCLUDE": (LOADS, "OpenSSL reads parts of its configuration from there", _PLAIN),
    "OPENSSL_ENGINES": (LOADS, "OpenSSL loads its engines from there", _PLAIN),
    "OPENSSL_MODULES": (LOADS, "OpenSSL loads its providers from there", _PLAIN),
    "OPENSSL_ia32cap": (CHANGES, "which of the processor's features OpenSSL uses", _PLAIN),
    "SSL_CERT_DIR": (HARMLESS, "which certificates are trusted", _PLAIN),
    "SSL_CERT_FILE": (HARMLESS, "which certificates are trusted", _PLAIN),
    "SSLKEYLOGFILE": (CHANGES, "the keys of encrypted connections are written to a file", _PLAIN),
    # Libraries that load or run what a variable names when they start.
    "CUDA_INJECTION64_PATH": (LOADS, "CUDA loads that library into every program that uses it", _PLAIN),
    "OMP_TOOL_LIBRARIES": (LOADS, "OpenMP's runtime may load these libraries", _PLAIN),
    "PJRT_NAMES_AND_LIBRARY_PATHS": (LOADS, "JAX loads these libraries", _PLAIN),
    "TCLLIBPATH": (LOADS, "tkinter's Tcl takes packages from there", _PLAIN),
    "TCL_LIBRARY": (LOADS, "tkinter's Tcl runs the start-up file it finds there", _PLAIN),
    "TK_LIBRARY": (LOADS, "tkinter's Tk runs the start-up file it finds there", _PLAIN),
    # Tools that run code of their own choosing when they start.
    "COVERAGE_PROCESS_START": (LOADS, "coverage's .pth starts it, and its configuration can name plugins", _PLAIN),
    "COVERAGE_PROCESS_CONFIG": (
        LOADS,
        "coverage's .pth starts it, and its configuration can name plugins",
        _PLAIN,
    ),
    "IPYTHONDIR": (LOADS, "IPython runs the start-up files it finds there", _PLAIN),
    "JUPYTER_CONFIG_DIR": (LOADS, "Jupyter runs the configuration it finds there", _PLAIN),
    "JUPYTER_CONFIG_PATH": (LOADS, "Jupyter runs the configuration it finds there", _FOLDERS),
    "JUPYTER_DATA_DIR": (LOADS, "Jupyter takes the programs it starts as kernels from there", _PLAIN),
    "JUPYTER_PATH": (LOADS, "Jupyter takes the programs it starts as kernels from there", _FOLDERS),
    "JUPYTER_NO_CONFIG": (HARMLESS, "Jupyter reads no configuration", _PLAIN),
    "JUPYTER_PLATFORM_DIRS": (CHANGES, "where Jupyter looks for its folders", _PLAIN),
    "JUPYTER_PREFER_ENV_PATH": (CHANGES, "where Jupyter looks first", _PLAIN),
    "JUPYTER_RUNTIME_DIR": (HARMLESS, "where Jupyter keeps what it needs while it runs", _PLAIN),
    "MPLBACKEND": (LOADS, "Matplotlib imports the module that it names", _PLAIN),
    "MPLCONFIGDIR": (CHANGES, "Matplotlib takes its configuration from there", _PLAIN),
    "MATPLOTLIBRC": (CHANGES, "Matplotlib takes its configuration from there", _PLAIN),
    "PYTEST_ADDOPTS": (LOADS, "pytest takes options from it, and options can load plugins", _PLAIN),
    "PYTEST_PLUGINS": (LOADS, "pytest imports the modules that it names", _PLAIN),
    "PYTHON_EGG_CACHE": (CHANGES, "pkg_resources unpacks compiled modules of eggs there", _PLAIN),
    "SETUPTOOLS_USE_DISTUTILS": (CHANGES, "which distutils the .pth of setuptools puts in place", _PLAIN),
}

#: Names of which an empty value is a value too; any other is then as if it were not set.
_EMPTY_COUNTS = ("OPENSSL_CONF", "PYTHONCASEOK", "PYTHONTZPATH")
#: Families of which a name that is not in the table is told.
_FAMILIES = ("PYTHON", "LD_", "DYLD_")


def _milder(name: str, value: str) -> tuple[str, str] | None:
    """The weight and effect of a variable whose value keeps it from loading code; None for any other."""
    if name == "PYTHONWARNINGS":
        # A filter is action:message:category:module:line, and `warnings` imports a category only where a dot is in it.
        if not any("." in [*item.split(":"), "", ""][2] for item in value.split(",")):
            return CHANGES, "which warnings are shown, or stop the program"
    elif name == "PYTHONBREAKPOINT":
        if value in {"0", "pdb.set_trace"}:
            return HARMLESS, "what breakpoint() does"
    elif name == "MPLBACKEND":
        if not value.lower().startswith("module://"):
            return HARMLESS, "how Matplotlib draws"
    elif name == "OPENSSL_CONF" and value in {"", "/dev/null"}:
        return CHANGES, "OpenSSL reads no configuration"
    return None


def weigh(name: str, value: str, separator: str = ":") -> tuple[str, str] | None:
    """How much the variable *name* weighs when a program starts with *value*, and what it does; None where it does nothing.

    What it does is said without the value; *separator* stands between folders in it.
    """
    if not value and name not in _EMPTY_COUNTS:
        return None
    known = VARIABLES.get(name)
    if known is None:
        if name.startswith(_FAMILIES) and name not in UNREAD:
            return HARMLESS, "not known to be read by anything"
        return None
    weight, effect, counted = known
    milder = _milder(name, value)
    if milder is not None:
        return milder
    if counted:
        # The loaders take a blank between libraries too.
        number = len((value.replace(" ", separator) if counted == _LIBRARIES else value).split(separator))
        return weight, f"{effect}; {number} {counted[number != 1]}"
    return weight, effect
