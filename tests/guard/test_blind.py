"""What the guard can not see: one test for each row of the table in docs/guard.md, which shows that it is so.

A row that a later change makes visible fails here, and then belongs out of the table.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from guard.guarded import SOURCE
from sanctity.compare.records import compare_with_records
from sanctity.compare.seal import compare_with_seal, entry_for
from sanctity.guard import MARK, REFUSED
from sanctity.model.drift import Depth, Reference, ReferenceKind, Verdict
from sanctity.observe.environment import observe_environment
from sanctity.seals.document import parse_seal

if TYPE_CHECKING:
    from guard.guarded import Guarded

GUARD = "import sanctity\nprint(sanctity.guard().verdict, flush=True)\n"


def _from_outside(guarded: Guarded) -> Verdict:
    """The verdict of a tool that is installed elsewhere, as `verify` and `run` come to it."""
    environment = observe_environment(str(guarded.env), depth=Depth.RECORD, clock=time.monotonic)
    seal = parse_seal(guarded.seal.read_bytes(), "env.seal.json")
    sealed = entry_for(seal, environment)
    assert sealed is not None
    reference = Reference(kind=ReferenceKind.SEAL, path=seal.path, digest=str(seal.digest))
    drifts = compare_with_seal(environment, sealed, depth=Depth.RECORD, reference=reference).drifts
    alone = compare_with_records(environment, depth=Depth.RECORD).drifts
    return Verdict.DRIFTED if any(drift.gating for drift in (*drifts, *alone)) else Verdict.CLEAN


def _plant(guarded: Guarded, line: str) -> None:
    (guarded.site / "zz_early.pth").write_text(f"import sys; {line}\n")


def test_ran_before(guarded: Guarded) -> None:
    """The hook is named and the program refused; what it did, it did."""
    _plant(guarded, "print('early', flush=True)")
    done = guarded.run(GUARD)
    assert (done.returncode, set(done.stdout.split())) == (REFUSED, {"early"})  # `site` runs it twice in a virtual environment
    assert "zz_early.pth" in done.stderr


def test_replaced_guard(guarded: Guarded) -> None:
    liar = "type(sys)('sanctity')"
    _plant(guarded, f"m = {liar}; m.guard = lambda *a, **k: type('R', (), {{'verdict': 'clean'}}); sys.modules['sanctity'] = m")
    assert guarded.run(GUARD).stdout == "clean\n"
    assert _from_outside(guarded) is Verdict.DRIFTED


def test_patched_process(guarded: Guarded) -> None:
    """The tripwire asks the process it stands in; the child is another process, that no .pth was run in."""
    guarded.upgrade()
    early = (
        "import os\ndef lie(path='.', real=os.listdir):\n"
        "    return [name.replace('alpha-1.1', 'alpha-1.0') for name in real(path)]\nos.listdir = lie\n"
    )
    (guarded.site / "zz_early.pth").write_text(f"import sys; exec({early!r})\n")
    version = GUARD.replace("guard()", "guard(depth='version')")
    assert guarded.run(version).stdout == "clean\n"
    done = guarded.run(GUARD)
    assert (done.returncode, done.stdout) == (REFUSED, "")
    assert "zz_early.pth" in done.stderr


def test_replaced_module(guarded: Guarded) -> None:
    source = "import sys, types\nsys.modules['alpha'] = types.ModuleType('alpha')\nsys.modules['alpha'].VALUE = 13\n"
    assert guarded.run(f"{source}{GUARD}import alpha\nprint(alpha.VALUE)\n").stdout == "clean\n13\n"


def test_already_imported(guarded: Guarded) -> None:
    """Code that was loaded stays loaded, extension modules too, whatever lies on the disk by then."""
    guarded.alter()
    path = str(guarded.site / "alpha/__init__.py")
    source = f"import sys\nsys.dont_write_bytecode = True\nimport alpha\nopen({path!r}, 'w').write('VALUE = 1\\n')\n"
    assert guarded.run(f"{source}{GUARD}print(alpha.VALUE)\n").stdout == "clean\n2\n"


def test_changed_byte(guarded: Guarded) -> None:
    guarded.alter()
    assert guarded.run(GUARD.replace("guard()", "guard(depth='version')")).stdout == "clean\n"
    assert guarded.run(GUARD).returncode == REFUSED


def test_own_code(guarded: Guarded) -> None:
    """Who changes the guard decides what it says; a sanctity that is installed elsewhere sees it."""
    path = guarded.site / "sanctity/guarding.py"
    text = path.read_text()
    path.write_text(text.replace("def _as_result(", "def _as_result(*_):\n    return 'clean', (), '', ''\n\n\ndef _was_as_result("))
    guarded.alter()
    assert guarded.run(GUARD).stdout == "clean\n"
    assert _from_outside(guarded) is Verdict.DRIFTED


def test_race(guarded: Guarded) -> None:
    """What changes after the look and before the import."""
    path = str(guarded.site / "alpha/__init__.py")
    source = f"open({path!r}, 'w').write('VALUE = 3\\n')\nimport alpha\nprint(alpha.VALUE)\n"
    assert guarded.run(GUARD + source).stdout == "clean\n3\n"


def test_afterwards(guarded: Guarded, tmp_path: Path) -> None:
    """The program may change where it imports from, once it was let pass."""
    (tmp_path / "late-1.0.dist-info").mkdir()
    (tmp_path / "late.py").write_text("VALUE = 4\n")
    source = f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\nimport late\nprint(late.VALUE)\n"
    assert guarded.run(GUARD + source).stdout == "clean\n4\n"


def test_program(guarded: Guarded) -> None:
    """The program's own files, and plain modules in its folder, are no part of the environment."""
    (guarded.root / "helper.py").write_text("VALUE = 5\n")
    assert guarded.run(f"{GUARD}import helper\nprint(helper.VALUE)\n").stdout == "clean\n5\n"


def test_mark(guarded: Guarded) -> None:
    """An ancestor that runs the same interpreter is believed when it says that it passed."""
    first = guarded.run(f"import os, sanctity\nsanctity.guard()\nprint(os.environ[{MARK!r}])\n").stdout
    guarded.alter()
    inner = guarded.program(GUARD, "inner.py")
    source = f"""
import os, subprocess, sys
begun = open("/proc/self/stat", "rb").read().rpartition(b")")[2].split()[19].decode()
os.environ[{MARK!r}] = f"1 {{os.getpid()}} {{begun}} {first.split()[-1]}"
subprocess.run([sys.executable, {str(inner)!r}], check=False)
"""
    assert guarded.run(source).stdout == "clean\n"


PRELOAD = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
static int (*real)(pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *, char *const[], char *const[]);
/* Start a liar in the place of whatever is to be started. */
int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *a, const posix_spawnattr_t *t, char *const v[],
                char *const e[]) {
    char *liar[] = {"python", "-I", "-S", "@LIAR@", NULL};
    real = dlsym(RTLD_NEXT, "posix_spawn");
    return real(pid, "@PYTHON@", a, t, liar, e);
}
/* And hide the variable that had this loaded. */
int open64(const char *path, int flags, ...) {
    int (*next)(const char *, int, ...) = dlsym(RTLD_NEXT, "open64");
    return next(strcmp(path, "/proc/self/environ") ? path : "/dev/null", flags, 0600);
}
int open(const char *path, int flags, ...) {
    int (*next)(const char *, int, ...) = dlsym(RTLD_NEXT, "open");
    return next(strcmp(path, "/proc/self/environ") ? path : "/dev/null", flags, 0600);
}
__attribute__((constructor)) static void hide(void) { unsetenv("LD_PRELOAD"); }
"""
LIAR = """
import os, sys
data = b""
while part := os.read(0, 65536):
    data += part
fields = [data[8:40], str(sys.hexversion).encode(), b"clean", b"", b"", b""]
os.write(1, b"".join(len(field).to_bytes(8, "little") + field for field in fields))
"""


def test_preload(guarded: Guarded, tmp_path: Path) -> None:
    """A library that was loaded before everything else can start a liar in the child's place. Where it does not hide, it gates."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    (tmp_path / "liar.py").write_text(LIAR)
    text = PRELOAD.replace("@LIAR@", str(tmp_path / "liar.py")).replace("@PYTHON@", os.path.realpath(sys.executable))
    (tmp_path / "preload.c").write_text(text)
    library = tmp_path / "preload.so"
    done = subprocess.run(
        [compiler, "-shared", "-fPIC", tmp_path / "preload.c", "-o", library, "-ldl"], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("a shared library can not be made here")
    guarded.alter()
    assert guarded.run(GUARD, variables={"LD_PRELOAD": str(library)}).stdout == "clean\n"
    (tmp_path / "preload.c").write_text("int nothing;\n")
    subprocess.run([compiler, "-shared", "-fPIC", tmp_path / "preload.c", "-o", library], check=True)
    told = guarded.run(GUARD, variables={"LD_PRELOAD": str(library)})
    assert (told.returncode, "startup-variable   LD_PRELOAD" in told.stderr) == (REFUSED, True)


def test_dlopen(guarded: Guarded, tmp_path: Path) -> None:
    """Libraries outside of the environment that a program opens by name."""
    library = tmp_path / "anything.so"
    found = next(iter(sorted(Path(sys.base_prefix, "lib").rglob("lib-dynload/*.so"))), None)
    if found is None:
        pytest.skip("there is no extension module to open")
    shutil.copy(found, library)
    source = f"{GUARD}import ctypes\nctypes.CDLL({str(library)!r})\nprint('opened')\n"
    assert guarded.run(source).stdout == "clean\nopened\n"


def test_each_row_of_the_table_has_its_test() -> None:
    text = (SOURCE.parent / "docs/guard.md").read_text("utf-8")
    table = text[text.index("## What it can't see") :]
    rows = re.findall(r"^\| `([a-z-]+)` \|", table, re.MULTILINE)
    tests = {name.removeprefix("test_").replace("_", "-") for name in globals() if name.startswith("test_")}
    assert rows
    assert set(rows) == tests - {"each-row-of-the-table-has-its-test"}
