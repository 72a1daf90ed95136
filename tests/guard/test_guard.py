"""The guard, in real programs that real interpreters run in a real environment."""

from __future__ import annotations

import itertools
import json
import os
import pickle
import re
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import sanctity
from guard.guarded import SOURCE
from running.starting import SANCTITY
from sanctity.guard import REFUSED, Refused, Result
from sanctity.model.policy import Policy, Profile, Waiver

if TYPE_CHECKING:
    import subprocess

    from guard.guarded import Guarded

DEPTHS = ("record", "version")
#: A program that tells what it was given and that it went on.
PLAIN = """
import sys
import sanctity
depth = sys.argv[1] if len(sys.argv) > 1 else "record"
result = sanctity.guard("env.seal.json", depth=depth)
print(result.verdict, result.depth, result.looked)
"""


@pytest.mark.parametrize("depth", DEPTHS)
def test_a_sealed_environment_passes(guarded: Guarded, depth: str) -> None:
    done = guarded.run(PLAIN, depth)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"clean {depth} True\n", "")


def test_an_altered_byte_refuses(guarded: Guarded) -> None:
    guarded.alter()
    done = guarded.run(PLAIN)
    assert (done.returncode, done.stdout) == (REFUSED, "")
    assert re.search(r"^  file-altered +alpha 1.0 +alpha/__init__.py", done.stderr, re.MULTILINE)
    assert "REFUSED" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("depth", DEPTHS)
def test_another_version_refuses(guarded: Guarded, depth: str) -> None:
    guarded.upgrade()
    done = guarded.run(PLAIN, depth)
    assert (done.returncode, done.stdout) == (REFUSED, "")
    assert "version-mismatch" in done.stderr


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("plant", ["missing", "extra", "duplicate", "origin"])
def test_what_is_more_less_or_from_elsewhere_refuses(guarded: Guarded, depth: str, plant: str) -> None:
    metadata = guarded.site / "beta-2.5.dist-info"
    if plant == "missing":
        (metadata / "METADATA").unlink()
        (metadata / "RECORD").unlink()
        metadata.rename(guarded.site / "~eta-2.5.dist-info")
    elif plant == "origin":
        (metadata / "direct_url.json").write_text('{"url": "https://index.example/beta.git", "vcs_info": {"commit_id": "0"}}')
    else:
        name = "gamma-1.0" if plant == "extra" else "beta-2.6"
        (guarded.site / f"{name}.dist-info").mkdir()
        text = f"Metadata-Version: 2.1\nName: {name[:-4]}\nVersion: {name[-3:]}\n"
        (guarded.site / f"{name}.dist-info/METADATA").write_text(text)
    done = guarded.run(PLAIN, depth)
    assert (done.returncode, done.stdout) == (REFUSED, "")
    codes = {"extra": "distribution-extra", "missing": "distribution-missing", "origin": "origin-mismatch"}
    assert codes.get(plant, "distribution-duplicate") in done.stderr


def test_another_spelling_of_a_version_is_the_same_version(guarded: Guarded) -> None:
    """The tripwire looks closer where a folder's name is not the sealed text."""
    (guarded.site / "alpha-1.0.dist-info").rename(guarded.site / "Alpha-1.0.0.dist-info")
    done = guarded.run(PLAIN, "version")
    assert done.stdout == "clean version True\n"


def test_no_except_swallows_it_and_finally_runs(guarded: Guarded) -> None:
    guarded.alter()
    done = guarded.run(
        "import sanctity\ntry:\n    sanctity.guard()\nexcept Exception:\n    print('swallowed')\nfinally:\n    print('finally')\n"
    )
    assert (done.returncode, done.stdout) == (REFUSED, "finally\n")


def test_warn_tells_and_goes_on(guarded: Guarded) -> None:
    guarded.alter()
    done = guarded.run("import sanctity\nprint(sanctity.guard(on_drift='warn').codes)\n")
    assert (done.returncode, done.stdout) == (0, "('file-altered',)\n")
    assert "file-altered" in done.stderr
    assert "goes on" in done.stderr


@pytest.mark.parametrize("seal", ["env.seal.json", "missing.json"])
def test_a_callable_is_given_the_result_and_decides(guarded: Guarded, seal: str) -> None:
    guarded.alter()
    done = guarded.run(
        f"import sanctity\ndef decide(result):\n    print(result.verdict, result.codes, 'REFUSED' in result.text)\n"
        f"print(sanctity.guard({seal!r}, on_drift=decide).verdict)\n"
    )
    known = "drifted ('file-altered',)" if seal == "env.seal.json" else "undecided ('seal-not-found',)"
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{known} True\n{known.partition(' ')[0]}\n"


def test_what_a_callable_raises_goes_on(guarded: Guarded) -> None:
    guarded.alter()
    done = guarded.run("import os, sanctity\nsanctity.guard(on_drift=lambda result: os._exit(7))\nprint('on')\n")
    assert (done.returncode, done.stdout) == (7, "")


@pytest.mark.parametrize(
    "call",
    [
        "depth='artifact'",
        "depth=None",
        "on_drift='ignore'",
        "on_drift=None",
        "timeout=0",
        "timeout=float('nan')",
        "timeout=float('inf')",
        "timeout='long'",
        "seal=None",
        "seal=''",
        "seal='a\\0b'",
        "seal=7",
    ],
)
def test_a_call_that_means_nothing_is_no_pass(guarded: Guarded, call: str) -> None:
    done = guarded.run(f"import sanctity\ntry:\n    sanctity.guard({call})\nexcept Exception:\n    pass\nprint('on')\n")
    assert (done.returncode, done.stdout) == (REFUSED, "")
    assert "error: usage" in done.stderr


ORDERS = {
    "import sanctity": "sanctity.guard",
    "from sanctity import guard": "guard",
    "import sanctity.guard": "sanctity.guard",
    "from sanctity.guard import guard": "guard",
    "from sanctity import *": "guard",
    "import sanctity.guard as g": "g",
    "import sanctity.guarding": "sanctity.guard",
    "from sanctity import Refused": "__import__('sanctity').guard",
    "from importlib import import_module; m = import_module('sanctity.guard')": "m",
}


@pytest.mark.parametrize(("first", "second"), list(itertools.permutations(list(ORDERS)[:4], 2)) + list(itertools.pairwise(ORDERS)))
def test_it_can_be_called_in_whatever_order_it_was_imported(guarded: Guarded, first: str, second: str) -> None:
    call = "(depth='version').verdict"
    source = f"{first}\nprint({ORDERS[first]}{call})\n{second}\nprint({ORDERS[second]}{call}, {ORDERS[first]}{call})\n"
    done = guarded.run(source)
    assert (done.stdout, done.stderr) == ("clean\nclean clean\n", "")


def test_the_package_tells_what_it_has() -> None:
    assert {"guard", "Refused", "Result", "__version__"} <= set(dir(sanctity))
    assert callable(sanctity.guard)
    assert sanctity.Refused is Refused
    assert not hasattr(sanctity, "nothing")


#: What the guard must not import before it has to.
HEAVY = (
    "{'dataclasses', 'json', 're', 'subprocess', 'typing', 'enum', 'collections', 'functools', 'hashlib', 'selectors', 'signal'}"
)


def test_importing_the_package_imports_nothing_else(guarded: Guarded) -> None:
    source = "import sys\nbefore = set(sys.modules)\nimport sanctity\nprint(sorted(set(sys.modules) - before))\n"
    done = guarded.run(source)
    assert done.stdout == "['__future__', 'sanctity']\n"


@pytest.mark.parametrize("depth", DEPTHS)
def test_a_pass_imports_nothing_heavy(guarded: Guarded, depth: str) -> None:
    source = f"import sys, sanctity\nsanctity.guard(depth={depth!r})\nprint(sorted({HEAVY} & set(sys.modules)))\n"
    done = guarded.run(source, flags=("-I",))
    assert done.stdout == "[]\n"


def test_the_child_can_import_the_package_and_nothing_else_of_the_environment(guarded: Guarded) -> None:
    probe = """
import json, os, sanctity.guarding, sys
def there(name):
    try:
        __import__(name)
    except ImportError:
        return False
    return True
said = [there(name) for name in ("alpha", "beta")], "site" in sys.modules, dict(os.environ), sys.flags.isolated
os.write(1, json.dumps(said).encode())
"""
    source = (
        "import sys\nfrom sanctity import guard as g\n"
        f"boot = g._BOOT.replace('from sanctity.guarding import main\\nmain()', {probe!r})\n"
        "argv = [g._base_interpreter(), '-I', '-S', '-B', '-c', boot, g._home_of_package()]\n"
        "print(g._converse(argv, b'', 20)[0].decode())\n"
    )
    done = guarded.run(source)
    imported, site, variables, isolated = json.loads(done.stdout)
    assert imported == [False, False]
    assert (site, isolated) == (False, 1)
    assert set(variables) <= {"LC_CTYPE"}  # Python sets it itself, where no locale is given


# -- where the seal is -------------------------------------------------------------------------------------------------------------


def test_a_relative_seal_is_looked_for_beside_the_file_that_calls(guarded: Guarded, tmp_path: Path) -> None:
    """Even where the working folder has one too."""
    (tmp_path / "env.seal.json").write_text("{}")
    done = guarded.run("import sanctity\nprint(sanctity.guard().seal)\n", cwd=tmp_path)
    assert done.stdout == f"{guarded.seal}\n"


def test_then_in_the_working_folder(guarded: Guarded) -> None:
    done = guarded.run("import sanctity\nprint(sanctity.guard().seal)\n", name="deep/inside/app.py")
    assert done.stdout == f"{guarded.seal}\n"


def test_a_seal_that_is_not_there_names_both_places(guarded: Guarded, tmp_path: Path) -> None:
    done = guarded.run("import sanctity\nsanctity.guard('other.json')\nprint('on')\n", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (REFUSED, "")
    assert "error: seal-not-found" in done.stderr
    assert f"{guarded.root}/other.json and {tmp_path}/other.json" in done.stderr


def test_a_working_folder_that_is_gone_is_no_place(guarded: Guarded, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    source = f"import os\nos.rmdir({str(gone)!r})\nimport sanctity\nprint(sanctity.guard().verdict)\n"
    assert guarded.run(source, cwd=gone).stdout == "clean\n"


def test_the_standard_library_is_no_file_that_calls(guarded: Guarded, tmp_path: Path) -> None:
    """It calls a thread's target: only the working folder is left then. Nor is a call from C, without any Python around it."""
    thread = "import threading, sanctity\nt = threading.Thread(target=sanctity.guard)\nt.start()\nt.join()\n"
    done = guarded.run(thread, cwd=tmp_path)
    assert f"there is no such file: {tmp_path}/env.seal.json\n" in done.stderr
    done = guarded.run("import atexit, functools, sanctity\natexit.register(functools.partial(sanctity.guard, 'none.json'))\n")
    assert f"there is no such file: {guarded.root}/none.json\n" in done.stderr


def test_an_absolute_seal_and_a_path_object(guarded: Guarded) -> None:
    source = f"import pathlib, sanctity\nprint(sanctity.guard(pathlib.Path({str(guarded.seal)!r})).verdict)\n"
    assert guarded.run(source, name="elsewhere/app.py", cwd=guarded.root.parent).stdout == "clean\n"


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "seal-syntax"),
        (b"{}", "seal-syntax"),
        (b"[" * 200_000, "seal-syntax"),
        (b"\xff\xfe", "seal-syntax"),
        (b'{"schema": "sanctity.seal/9"}', "seal-version-unsupported"),
        (b'{"schema": "sanctity.seal/1"}', "seal-missing-key"),
        (b'{"schema": "sanctity.seal/1", "policy": 7, "waivers": 1, "environments": [1.5]}', "seal-syntax"),
        (b"<<<<<<< ours\n{}\n>>>>>>> theirs\n", "seal-syntax"),
    ],
)
def test_what_is_no_seal_refuses_with_a_clear_word(guarded: Guarded, depth: str, data: bytes, code: str) -> None:
    guarded.seal.write_bytes(data)
    done = guarded.run(PLAIN, depth)
    assert (done.returncode, done.stdout) == (REFUSED, "")
    assert f"error: {code}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_seal_that_was_cut_or_edited_refuses(guarded: Guarded) -> None:
    text = guarded.seal.read_text()
    for edited in (text[: len(text) // 2], text.replace('"version": "2.5"', '"version": "2.6"')):
        guarded.seal.write_text(edited)
        done = guarded.run(PLAIN)
        assert (done.returncode, done.stdout) == (REFUSED, "")
        assert "seal-" in done.stderr


@pytest.mark.parametrize("kind", ["folder", "fifo"])
def test_what_is_no_file_is_not_waited_for(guarded: Guarded, kind: str) -> None:
    guarded.seal.unlink()
    if kind == "folder":
        guarded.seal.mkdir()
    else:
        os.mkfifo(guarded.seal)
    done = guarded.run(PLAIN)
    assert (done.returncode, done.stdout) == (REFUSED, "")
    assert "seal-unreadable" in done.stderr


@pytest.mark.parametrize("depth", DEPTHS)
def test_a_seal_of_another_platform_decides_nothing(guarded: Guarded, depth: str) -> None:
    text = guarded.seal.read_text()
    guarded.seal.write_text(text.replace('"platform": "linux-', '"platform": "plan9-'))
    done = guarded.run(PLAIN, depth)
    assert (done.returncode, done.stdout) == (REFUSED, "")
    assert any(code in done.stderr for code in ("seal-not-for-this-platform", "seal-contradictory"))


# -- by what it is judged ----------------------------------------------------------------------------------------------------------


def _waiver(until: date) -> Waiver:
    return Waiver(id="alpha", code="file-altered", distribution="alpha", reason="known", owner="ada", approver="grace", until=until)


def test_the_working_tree_does_not_own_the_rules(guarded: Guarded) -> None:
    guarded.alter()
    (guarded.root / "pyproject.toml").write_text('[tool.sanctity]\nbytecode = "ignore"\n')
    (guarded.root / "waivers").mkdir()
    (guarded.root / "waivers/alpha.toml").write_text(
        'code = "file-altered"\ndistribution = "alpha"\nreason = "r"\nowner = "a"\napprover = "b"\nuntil = 2999-01-01\n'
    )
    assert guarded.run(PLAIN).returncode == REFUSED


def test_a_sealed_waiver_lets_pass_until_its_last_day(guarded: Guarded) -> None:
    today = date.today()  # noqa: DTZ011 - two days on either side of it
    guarded.alter()
    guarded.judged(policy=Policy(), waivers=(_waiver(today + timedelta(days=2)),))
    assert guarded.run(PLAIN).stdout == "clean record True\n"
    guarded.judged(policy=Policy(), waivers=(_waiver(today - timedelta(days=2)),))
    done = guarded.run(PLAIN)
    assert done.returncode == REFUSED
    assert "waiver-expired" in done.stderr


@pytest.mark.parametrize("depth", DEPTHS)
def test_an_expired_waiver_refuses_at_each_depth(guarded: Guarded, depth: str) -> None:
    guarded.judged(policy=Policy(), waivers=(_waiver(date(2001, 1, 1)),))
    done = guarded.run(PLAIN, depth)
    assert done.returncode == REFUSED
    assert "waiver-expired" in done.stderr


def test_numeric_settings_gate_where_the_sealed_policy_says_so(guarded: Guarded) -> None:
    four = {"OMP_NUM_THREADS": "4"}
    guarded.reseal(policy=Policy(gate=("settings",)), settings=four)
    assert guarded.run(PLAIN, variables=four).stdout == "clean record True\n"
    done = guarded.run(PLAIN, variables={"OMP_NUM_THREADS": "2"})
    assert done.returncode == REFUSED
    assert "setting-changed" in done.stderr
    guarded.judged(policy=Policy())
    assert guarded.run(PLAIN, variables={"OMP_NUM_THREADS": "2"}).stdout == "clean record True\n"


def test_a_setting_counts_as_it_is_at_the_call(guarded: Guarded) -> None:
    guarded.judged(policy=Policy(gate=("settings",)))
    assert guarded.run("import os\nos.environ['OMP_NUM_THREADS'] = '3'\n" + PLAIN).returncode == REFUSED


def test_production_takes_the_child_and_not_the_tripwire(guarded: Guarded) -> None:
    guarded.reseal(policy=Policy(profile=Profile.PRODUCTION))
    assert guarded.run(PLAIN, "record").stdout == "clean record True\n"
    done = guarded.run(PLAIN, "version")
    assert done.returncode == REFUSED
    assert "looked-at-from-itself" in done.stderr


# -- what the program was started with ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("name", ["PYTHONPATH", "LD_LIBRARY_PATH", "OPENSSL_CONF", "PYTHONPYCACHEPREFIX"])
def test_a_variable_that_loads_code_refuses(guarded: Guarded, depth: str, name: str) -> None:
    done = guarded.run(PLAIN, depth, variables={name: "/nonexistent"})
    assert (done.returncode, done.stdout) == (REFUSED, "")
    assert f"startup-variable   {name}" in done.stderr
    assert "/nonexistent" not in done.stderr.replace(str(guarded.root), "")


@pytest.mark.parametrize("depth", DEPTHS)
def test_one_that_the_interpreter_was_told_to_ignore_does_not(guarded: Guarded, depth: str) -> None:
    done = guarded.run(PLAIN, depth, variables={"PYTHONPATH": "/nonexistent"}, flags=("-E",))
    assert done.stdout == f"clean {depth} True\n"
    done = guarded.run(PLAIN, depth, variables={"LD_LIBRARY_PATH": "/nonexistent"}, flags=("-I",))
    assert done.returncode == REFUSED


def test_it_counts_even_where_the_program_took_it_away(guarded: Guarded) -> None:
    done = guarded.run("import os\ndel os.environ['PYTHONPATH']\n" + PLAIN, variables={"PYTHONPATH": "/nonexistent"})
    assert done.returncode == REFUSED


def test_what_the_program_set_itself_is_no_start_up_variable(guarded: Guarded) -> None:
    """A notebook's kernel names its own Matplotlib backend, for one."""
    done = guarded.run("import os\nos.environ['MPLBACKEND'] = 'module://inline'\n" + PLAIN)
    assert done.stdout == "clean record True\n"


def test_a_bytecode_folder_by_option_counts_as_by_variable(guarded: Guarded, tmp_path: Path) -> None:
    done = guarded.run(PLAIN, flags=("-X", f"pycache_prefix={tmp_path / 'cache'}"))
    assert done.returncode == REFUSED
    assert "PYTHONPYCACHEPREFIX" in done.stderr


@pytest.mark.parametrize("depth", DEPTHS)
def test_distributions_from_elsewhere_refuse(guarded: Guarded, depth: str, tmp_path: Path) -> None:
    (tmp_path / "vendor/idna-3.7.dist-info").mkdir(parents=True)
    done = guarded.run(f"import sys\nsys.path.append({str(tmp_path / 'vendor')!r})\n" + PLAIN, depth)
    assert (done.returncode, done.stdout) == (REFUSED, "")
    assert "outside-environment" in done.stderr
    assert "idna-3.7" in done.stderr


def test_plain_folders_on_the_path_do_not(guarded: Guarded, tmp_path: Path) -> None:
    for depth in DEPTHS:
        done = guarded.run(f"import sys\nsys.path += [{str(tmp_path)!r}, '', 'relative', '/nonexistent']\n" + PLAIN, depth)
        assert done.stdout == f"clean {depth} True\n"


# -- values ------------------------------------------------------------------------------------------------------------------------


def test_a_result_can_not_be_changed_and_travels_between_processes() -> None:
    result = Result("drifted", ("file-altered",), "m", "t", "record", "s", False)
    with pytest.raises(AttributeError):
        result.verdict = "clean"
    with pytest.raises(AttributeError):
        del result.verdict
    again = pickle.loads(pickle.dumps(Refused(result)))
    assert isinstance(again, Refused)
    assert isinstance(again, SystemExit)
    assert not isinstance(again, Exception)
    assert (again.code, str(again), again.result.codes, again.result.looked) == (REFUSED, "m", ("file-altered",), False)


def test_the_guard_and_all_it_looks_with_need_the_standard_library_alone(guarded: Guarded) -> None:
    """`pip install --no-deps sanctity` is enough: here is nothing else, and both depths come to a verdict of each kind."""
    assert sorted(path.name for path in guarded.site.iterdir() if path.is_dir() and "dist-info" not in path.name) == [
        "alpha",
        "sanctity",
    ]
    guarded.upgrade()
    for depth in DEPTHS:
        done = guarded.run(PLAIN, depth)
        assert (done.returncode, "version-mismatch" in done.stderr) == (REFUSED, True)


def test_the_source_says_so_too() -> None:
    """What the guard imports, in any function of it, is of the standard library or of this package."""
    import ast

    for name in ("guard.py", "guarding.py"):
        tree = ast.parse((SOURCE / "sanctity" / name).read_text("utf-8"))
        modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        modules |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert {module.partition(".")[0] for module in modules} <= sys.stdlib_module_names | {"sanctity", "_sha2", "_sha256"}


# -- together with `sanctity run` --------------------------------------------------------------------------------------------------


def _started_by_run(guarded: Guarded, cache: Path, source: str = PLAIN) -> subprocess.CompletedProcess[str]:
    """The program, started by ``sanctity run --fresh-bytecode`` in the guarded environment."""
    guarded.program(source)
    cache.mkdir(mode=0o700)
    command = [*SANCTITY, "run", "--seal", "env.seal.json", "--env", "env", "--fresh-bytecode", "--", "python", "app.py"]
    return guarded.start(command, variables={"XDG_CACHE_HOME": str(cache)})


def test_a_guarded_program_goes_on_under_run_with_fresh_bytecode(guarded: Guarded, tmp_path: Path) -> None:
    done = _started_by_run(guarded, tmp_path / "cache")
    assert done.stdout == "clean record True\n", done.stderr


def test_a_child_of_it_goes_on_too(guarded: Guarded, tmp_path: Path) -> None:
    guarded.program(PLAIN, "inner.py")
    outer = "import subprocess, sys\nsubprocess.run([sys.executable, 'inner.py'], check=True)\n"
    done = _started_by_run(guarded, tmp_path / "cache", outer)
    assert done.stdout == "clean record True\n", done.stderr


@pytest.mark.parametrize("why", ["of another process", "not private", "not there"])
def test_a_folder_that_only_looks_like_runs_own_refuses(guarded: Guarded, tmp_path: Path, why: str) -> None:
    space = os.stat("/proc/self/ns/pid").st_ino
    begun = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]
    pid = os.getpid() if why != "of another process" else 2
    folder = tmp_path / f"sanctity-bytecode-{space}-{pid}-{begun}-x"
    if why != "not there":
        folder.mkdir(mode=0o700 if why != "not private" else 0o755)
    done = guarded.run(PLAIN, variables={"PYTHONPYCACHEPREFIX": str(folder)})
    assert done.returncode == REFUSED
    assert "PYTHONPYCACHEPREFIX" in done.stderr
