"""Hostile environments through the command line: named, bounded in time, never clean, and nothing of them ever runs."""

from __future__ import annotations

import errno
import hashlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from sanctity.report.json import schema
from sites import SMALL, add_distribution, build_site, record_row, site_packages

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SOURCE = Path(__file__).resolve().parents[2] / "src"
VALIDATOR = jsonschema.Draft202012Validator(schema())
#: A verdict that takes longer is none. Seconds, on a busy machine.
PATIENCE = 60


def _environ(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "PYTHONPATH": str(SOURCE), **(extra or {})}


def _argv(*words: str | Path) -> list[str]:
    return [sys.executable, "-P", "-m", "sanctity", *map(str, words)]


def run(
    *words: str | Path, cwd: Path, environ: Mapping[str, str] | None = None, **options: Any
) -> subprocess.CompletedProcess[bytes]:
    """The command line in a process of its own. No traceback, and no fault of the program's own, is ever acceptable."""
    before = options.pop("before", ())
    chosen: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL, **options}
    done = subprocess.run([*before, *_argv(*words)], cwd=cwd, env=_environ(environ), timeout=PATIENCE, check=False, **chosen)
    for stream in (done.stdout or b"", done.stderr or b""):
        assert b"Traceback" not in stream, stream.decode("utf-8", "replace")
        assert b"internal-error" not in stream, stream.decode("utf-8", "replace")
        assert b"Exception ignored" not in stream, stream.decode("utf-8", "replace")
    return done


def verify(env: Path, *words: str | Path, **options: Any) -> tuple[int, dict[str, Any]]:
    """(exit code, report) of ``sanctity verify --env ENV``."""
    done = run("verify", "--env", env, "--format", "json", *words, cwd=env.parent, **options)
    report: dict[str, Any] = json.loads(done.stdout)
    if report["schema"] == "sanctity.report/1":
        VALIDATOR.validate(report)
        assert done.returncode == {"clean": 0, "drifted": 1, "undecided": 3}[report["verdict"]]
    return done.returncode, report


def gating(report: dict[str, Any]) -> set[tuple[str, str]]:
    return {(drift["code"], drift["path"]) for drift in report["drifts"] if drift["gating"]}


def in_doubt(report: dict[str, Any]) -> set[tuple[str, str]]:
    return {(item["code"], item["what"]) for item in report["unchecked"] if item["in_scope"]}


@pytest.fixture
def env(tmp_path: Path) -> Path:
    return build_site(tmp_path)


def test_untouched_it_is_clean(env: Path) -> None:
    code, report = verify(env)
    assert code == 0, report
    assert report["checked"]["distributions"] == len(SMALL)


# What is no file


def _swap(path: Path, make: Callable[[Path], None]) -> None:
    path.unlink()
    make(path)


def _device(path: Path) -> None:
    os.mknod(path, 0o600 | 0o020000, os.makedev(1, 5))


@pytest.mark.parametrize("depth", ["version", "record"])
@pytest.mark.parametrize("kind", ["fifo", "device", "zero", "loop", "folder", "memory"])
@pytest.mark.parametrize(
    "target",
    [
        "beta.py",
        "alpha-1.0.dist-info/METADATA",
        "alpha-1.0.dist-info/RECORD",
        "beta-2.5.dist-info/entry_points.txt",
        "../../../pyvenv.cfg",
        "../../../bin/python",
        "../../../bin/beta",
    ],
)
def test_what_is_no_file_is_named_and_waited_for_by_nobody(env: Path, target: str, kind: str, depth: str) -> None:
    path = Path(os.path.normpath(site_packages(env) / target))
    if kind == "device" and os.geteuid():
        pytest.skip("only root makes devices")
    makers: dict[str, Callable[[Path], None]] = {
        "fifo": os.mkfifo,
        "device": _device,
        "zero": lambda path: path.symlink_to("/dev/zero"),
        "loop": lambda path: path.symlink_to(path.name),
        "folder": Path.mkdir,
        "memory": lambda path: path.symlink_to("/proc/self/mem"),
    }
    _swap(path, makers[kind])
    code, report = verify(env, "--depth", depth)
    seen_at_version = target.endswith(("METADATA", "pyvenv.cfg", "bin/python"))
    if depth == "version" and not seen_at_version:
        assert code == 0, report
        return
    assert code in {1, 3}, report
    name = target.removeprefix("../../../")
    told = {path for _, path in gating(report) | in_doubt(report)}
    assert any(name in place for place in told), told


@pytest.mark.parametrize("name", ["x.py", "x.pth", "x.so", "sitecustomize.py", "easy.egg-link", "x.start"])
@pytest.mark.parametrize("kind", ["fifo", "dangling", "loop", "zero"])
def test_unclaimed_code_that_is_no_file(env: Path, name: str, kind: str) -> None:
    path = site_packages(env) / name
    if kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to({"dangling": "nowhere", "loop": name, "zero": "/dev/zero"}[kind])
    code, report = verify(env)
    assert code == 1, report
    assert ("file-unclaimed", name) in gating(report)


def _unprivileged(env: Path, *words: str | Path) -> tuple[int, dict[str, Any]]:
    """`verify` by who may not read everything: where that is root, without the capability to read in spite of a file's mode."""
    if os.geteuid():
        return verify(env, *words)
    if shutil.which("setpriv") is None:
        pytest.skip("root reads everything, and there is no setpriv to take that away")
    return verify(env, *words, before=("setpriv", "--bounding-set=-dac_override,-dac_read_search"))


@pytest.mark.parametrize(
    ("target", "doubt"),
    [
        ("beta.py", "beta.py"),
        ("alpha", "alpha"),
        ("alpha-1.0.dist-info/METADATA", "alpha-1.0.dist-info/METADATA"),
        ("alpha-1.0.dist-info/RECORD", "alpha-1.0.dist-info/RECORD"),
        ("alpha-1.0.dist-info", "alpha-1.0.dist-info"),
        ("../../../pyvenv.cfg", "pyvenv.cfg"),
        ("../../../bin", "bin"),
    ],
)
def test_what_may_not_be_read_is_undecided(env: Path, target: str, doubt: str) -> None:
    path = Path(os.path.normpath(site_packages(env) / target))
    path.chmod(0)
    try:
        code, report = _unprivileged(env)
    finally:
        path.chmod(0o700)
    if target.endswith("bin"):
        assert code in {1, 3}
    else:
        assert code == 3, report
    assert any(what.endswith(doubt) for _, what in in_doubt(report)), report


def test_an_unreadable_file_hides_no_drift(env: Path) -> None:
    (site_packages(env) / "beta.py").chmod(0)
    (site_packages(env) / "alpha/__init__.py").write_text("VALUE = 2\n")
    code, report = _unprivileged(env)
    assert code == 1
    assert gating(report) == {("file-altered", "alpha/__init__.py")}
    assert ("unreadable", "beta.py") in in_doubt(report)


# Names


def test_names_never_drive_a_terminal(env: Path) -> None:
    site = os.fsencode(site_packages(env))
    names = [
        b"\x1b[2J\x1b]0;owned\x07.py",
        b"a\nCLEAN.py",
        b"-rf.py",
        b"'\"$(id).py",
        b"\xff\xfe.py",
        b"\xe2\x80\xaegnp.py",
        b"\x9b2J.py",
        b"x" * 252 + b".py",
    ]
    for name in names:
        with open(site + b"/" + name, "wb"):
            pass
    done = run("check", "--env", env, cwd=env.parent, environ={"FORCE_COLOR": "1", "COLUMNS": "80"})
    assert done.returncode == 1
    text = done.stdout.decode("utf-8")
    assert all(c == "\n" or c.isprintable() for c in text + done.stderr.decode("utf-8"))
    code, report = verify(env)
    assert code == 1
    paths = {path for _, path in gating(report)}
    assert len(paths) == len(names)
    assert ("path-invalid", "\\xff\\xfe.py") in gating(report)
    assert run("repair", "--env", env, cwd=env.parent).returncode == 1


def test_metadata_never_drives_a_terminal(env: Path) -> None:
    info = site_packages(env) / "alpha-1.0.dist-info"
    (info / "METADATA").write_bytes(b"Name: al\x1b[31mpha\nVersion: 1.0\x1b[2J\n")
    (info / "INSTALLER").write_bytes(b"\x1b[2J")
    (info / "direct_url.json").write_text('{"url": "https://u:secret@\\ud800/\\u001b[2J", "archive_info": {}}')
    for words in (("check",), ("verify",), ("repair",)):
        done = run(*words, "--env", env, cwd=env.parent)
        assert done.returncode == 1
        assert all(c == "\n" or c.isprintable() for c in (done.stdout + done.stderr).decode("utf-8"))
        assert b"secret" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "environ", [{"LANG": "C", "LC_ALL": "C"}, {"PYTHONIOENCODING": "ascii"}, {"TERM": "dumb"}, {"PYTHONUTF8": "0"}]
)
def test_no_setting_of_the_terminal_breaks_a_report(env: Path, environ: dict[str, str]) -> None:
    (site_packages(env) / "é\N{PILE OF POO}.py").touch()
    done = run("check", "--env", env, cwd=env.parent, environ=environ)
    assert done.returncode == 1
    assert b"file-unclaimed" in done.stdout


# Blinding: nothing of an environment runs, and what it claims of itself is not believed


def _sabotage(env: Path, sentinel: Path) -> None:
    """Everything that would run if anything of *env* were started or imported; each leaves *sentinel* behind."""
    touch = f"import os; open({str(sentinel)!r}, 'a').close()\n"
    site = site_packages(env)
    (site / "blind.pth").write_text(touch)
    (site / "sitecustomize.py").write_text(touch + "import os\nos.scandir = os.listdir = lambda *a: []\n")
    (site / "usercustomize.py").write_text(touch)
    for name in ("click", "rich", "packaging", "tomli", "sanctity", "hashlib", "struct"):
        (site / name).mkdir()
        (site / name / "__init__.py").write_text(touch)
    (env / "bin/python").unlink()
    (env / "bin/python").write_text(f"#!/bin/sh\ntouch '{sentinel}'\necho 'Python {sys.version.split()[0]}'\n")
    (env / "bin/sanctity").write_text(f"#!/bin/sh\ntouch '{sentinel}'\n")
    (env / "bin/python").chmod(0o755)
    (env / "bin/sanctity").chmod(0o755)


@pytest.mark.parametrize("verb", [("check",), ("verify",), ("verify", "--depth", "version"), ("fingerprint",), ("repair",)])
def test_nothing_of_the_environment_runs(env: Path, verb: tuple[str, ...]) -> None:
    sentinel = env.parent / "it-ran"
    _sabotage(env, sentinel)
    environ = {"VIRTUAL_ENV": str(env), "PATH": f"{env}/bin:{os.environ['PATH']}"}
    done = run(*verb, "--env", env, cwd=env.parent, environ=environ)
    assert done.returncode in ({0} if verb == ("fingerprint",) else {1, 3})
    assert not sentinel.exists()
    done = run(*verb, "--python", env / "bin/python", cwd=env.parent, environ=environ)
    assert done.returncode in ({0} if verb == ("fingerprint",) else {1, 3})
    assert not sentinel.exists()


def test_the_pth_of_the_facts_blinds_nobody_outside(env: Path) -> None:
    """The line that makes the environment's own interpreter open a good copy in the place of a changed file, also with ``-I``."""
    site = site_packages(env)
    good = env.parent / "good.py"
    shutil.copy(site / "beta.py", good)
    (site / "beta.py").write_text("def main():\n    return 1\n")
    (site / "blind.pth").write_text(
        "import builtins; builtins.open=(lambda o,g: lambda f,*a,**k: o(g if str(f).endswith('/beta.py') else f,*a,**k))"
        f"(open,{str(good)!r})\n"
    )
    look = f"print('return 1' in open({str(site / 'beta.py')!r}).read())"
    blind = subprocess.run([env / "bin/python", "-I", "-c", look], capture_output=True, text=True, check=True)
    assert blind.stdout == "False\n"  # it works, so there is something to be seen through
    code, report = verify(env)
    assert code == 1
    assert gating(report) == {("file-altered", "beta.py"), ("pth-hook", "blind.pth")}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "pyvenv.cfg"),
        ("home = /nowhere\ninclude-system-site-packages = false\n", "pyvenv.cfg"),
        ("home = bin\ninclude-system-site-packages = false\n", "pyvenv.cfg"),
        ("HOME\n", "pyvenv.cfg"),
        ("{keep}include-system-site-packages = true\n", "pyvenv.cfg"),
        ("{keep}#{long}\ninclude-system-site-packages = true\n", "pyvenv.cfg"),
        ("{keep}home = /elsewhere\n", "pyvenv.cfg"),
        ("home = {home}\x85x\ninclude-system-site-packages = false\n", "pyvenv.cfg"),
        ("home = {home}\x00\ninclude-system-site-packages = false\n", "pyvenv.cfg"),
        ("home = {home}\n", "pyvenv.cfg"),
        (
            "home = {home}\ninclude-system-site-packages = false\nversion = 2.7.18\rinclude-system-site-packages = true\n",
            "pyvenv.cfg",
        ),
    ],
)
def test_a_hostile_configuration_is_named(env: Path, text: str, fault: str) -> None:
    config = env / "pyvenv.cfg"
    kept = config.read_text()
    home = kept.split("\n")[0].partition(" = ")[2]
    config.write_bytes(text.format(keep=kept, home=home, long="x" * 100_000).encode() if text else b"")
    code, report = verify(env)
    assert code == 1
    assert fault in {path for _, path in gating(report)}, report


def test_a_configuration_with_both_line_ends_and_a_mark_is_clean(env: Path) -> None:
    config = env / "pyvenv.cfg"
    config.write_bytes(config.read_bytes().replace(b"\n", b"\r\n"))
    assert verify(env)[0] == 0


@pytest.mark.parametrize(
    "name", ["bin/python._pth", f"bin/python{sys.version_info[0]}.{sys.version_info[1]}._pth", "bin/pyvenv.cfg"]
)
def test_files_beside_the_interpreter_that_redirect_it(env: Path, name: str) -> None:
    (env / name).write_text("/elsewhere\n")
    code, report = verify(env)
    assert code == 1
    assert name in {path for _, path in gating(report)}


@pytest.mark.parametrize(
    "plant",
    [
        "evil__pycache__/__init__.py",
        "__pycache__/evil.py",
        "alpha/__pycache__/evil.so",
        "~evil-1.0.dist-info/entry_points.txt",
        ".evil-1.0.dist-info/entry_points.txt",
        "Evil-1.0.Dist-Info/entry_points.txt",
        "alpha-1.0.dist-info/entry_points.txt",
        "evil.PY",
        "evil.zip",
        "evil__pycache__/sub.pyc",
    ],
)
def test_code_in_unlikely_places(env: Path, plant: str) -> None:
    path = site_packages(env) / plant
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("[pytest11]\nevil = os\n")
    code, report = verify(env)
    assert code == 1
    assert any(plant.split("/", maxsplit=1)[0] in place for _, place in gating(report)), report


@pytest.mark.parametrize("part", ["lib", "lib/python", "site-packages"])
def test_site_packages_behind_a_link_is_looked_at(env: Path, part: str) -> None:
    site = site_packages(env)
    place = {"lib": env / "lib", "lib/python": site.parent, "site-packages": site}[part]
    moved = env.parent / "moved"
    place.rename(moved)
    place.symlink_to(moved)
    (site / "evil.py").touch()
    (site / "beta.py").write_text("changed\n")
    code, report = verify(env)
    assert code == 1
    found = gating(report)
    assert {("file-unclaimed", "evil.py"), ("file-altered", "beta.py")} <= found
    assert any("link" in drift["message"] for drift in report["drifts"] if drift["gating"])


def test_an_environment_behind_a_link_is_clean(env: Path) -> None:
    link = env.parent / "by-link"
    link.symlink_to(env)
    assert verify(link)[0] == 0


@pytest.mark.parametrize("how", ["renamed", "link", "file", "empty", "twice"])
def test_metadata_folders_that_are_none(env: Path, how: str) -> None:
    site = site_packages(env)
    info = site / "alpha-1.0.dist-info"
    match how:
        case "renamed":
            info.rename(site / "omega-1.0.dist-info")
        case "link":
            info.rename(env.parent / "info")
            info.symlink_to(env.parent / "info")
        case "file":
            shutil.rmtree(info)
            info.touch()
        case "empty":
            (site / "omega-9.dist-info").mkdir()
        case _:
            shutil.copytree(info, site / "alpha-1.1.dist-info")
    code, report = verify(env)
    assert code == 1, report
    assert gating(report)


# RECORD and METADATA


def _rows(env: Path) -> list[str]:
    return (site_packages(env) / "alpha-1.0.dist-info/RECORD").read_text().splitlines()


@pytest.mark.parametrize(
    ("change", "clean"),
    [
        (lambda rows: "\r\n".join(rows).encode(), True),
        (lambda rows: "\n".join(reversed(rows)).encode(), True),
        (lambda rows: "\n".join(rows + rows).encode(), True),
        (lambda rows: b"\xef\xbb\xbf" + "\n".join(rows).encode(), False),
        (lambda rows: "\n".join(rows).encode("utf-16"), False),
        (lambda _: b"", False),
        (lambda _: b"\0" * 100, False),
        (lambda rows: "\n".join([*rows, "a\0b.py,,"]).encode(), False),
        (lambda rows: "\n".join([*rows, "../../../../../../etc/passwd,,"]).encode(), False),
        (lambda rows: "\n".join([*rows, "/etc/passwd,,"]).encode(), False),
        (lambda rows: "\n".join([*rows, '"quoted\nname.py",,']).encode(), None),
        (lambda rows: "\n".join([*rows, "x" * 10_000_000 + ",,"]).encode(), None),
        (lambda rows: "\n".join([*rows, '"' + "x" * 10_000_000 + '",,']).encode(), False),
        (lambda rows: "\n".join([*rows, "alpha/__init__.py,md5=1B2M2Y8AsgTpgAmY7PhCfg,1"]).encode(), False),
        (lambda rows: "\n".join([*rows, record_row("alpha/__init__.py", b"other")]).encode(), False),
        (
            lambda rows: "\n".join(row.rpartition(",")[0] + ",7" if row.startswith("alpha/") else row for row in rows).encode(),
            False,
        ),
        (lambda rows: "\n".join(row + ",more" for row in rows).encode(), False),
        (lambda rows: "\n".join(row for row in rows if "deep" not in row).encode(), True),
    ],
)
def test_records(env: Path, change: Callable[[list[str]], bytes], clean: bool | None) -> None:
    """*clean* is None where only a verdict is asked for: rows for files that were never there."""
    (site_packages(env) / "alpha-1.0.dist-info/RECORD").write_bytes(change(_rows(env)))
    code, report = verify(env)
    if clean is not None:
        assert code == (0 if clean else 1), report


def test_a_record_of_many_rows(env: Path) -> None:
    rows = _rows(env)
    more = [f"alpha/m{index}.py,sha256={'A' * 43},0" for index in range(200_000)]
    (site_packages(env) / "alpha-1.0.dist-info/RECORD").write_text("\n".join([*rows, *more]))
    done = run("verify", "--env", env, cwd=env.parent)
    assert done.returncode == 1
    assert len(done.stdout) < 10_000


@pytest.mark.parametrize(
    "metadata",
    [
        b"Name: alpha\nVersion: 1.0\n\n" + b"x" * (100 << 20),
        b"Name: alpha\nVersion: 1.0\n" + b"X-Long: " + b"y" * (30 << 20) + b"\n",
        b"Name: alpha" + b" " * 2_000_000 + b"beta\nVersion: 1.0\n",
        b"Name: alpha\nVersion: " + b"1" * 6000 + b"\n",
        b"Version: 1.0\n",
        b"Name: alpha\nVersion: one\n",
        b"Name: \xff\xfe\nVersion: 1.0\n",
        b"\xff\xfeN\0a\0m\0e\0",
    ],
)
def test_metadata(env: Path, metadata: bytes) -> None:
    site = site_packages(env)
    shutil.rmtree(site / "alpha-1.0.dist-info")
    add_distribution(env, "alpha", "1.0", SMALL["alpha 1.0"], metadata=metadata)
    code, report = verify(env)
    small_and_sound = metadata.startswith(b"Name: alpha\nVersion: 1.0\n\n")
    assert code == (0 if small_and_sound else 1), report


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no section = x:y",
        "[console_scripts]\nbeta = other:main\n",
        "[console_scripts]\nbeta = %(x)s\n",
        "[console_scripts]\nbeta = beta:main\nbeta = other:main\n",
        "[console_scripts]\nbeta = beta:main\n  more\n",
        "[console_scripts]\n../../beta = beta:main\n",
        "[console_scripts]\nbeta" + " " * 1_000_000 + "x\n",
        "[" * 100_000,
    ],
)
def test_entry_points_that_do_not_fit_the_script(env: Path, text: str) -> None:
    info = site_packages(env) / "beta-2.5.dist-info"
    rows = [row for row in (info / "RECORD").read_text().splitlines() if "entry_points" not in row]
    (info / "entry_points.txt").write_text(text)
    (info / "RECORD").write_text("\n".join([*rows, record_row("beta-2.5.dist-info/entry_points.txt", text.encode())]))
    code, report = verify(env)
    assert code == (0 if not text else 1), report


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "[" * 100_000,
        '{"url": 1}',
        '{"url": "http://[", "dir_info": {}}',
        '{"url": "file:///\\ud800", "dir_info": {"editable": true}}',
        '{"url": "x", "vcs_info": 5}',
    ],
)
def test_direct_url(env: Path, text: str) -> None:
    info = site_packages(env) / "alpha-1.0.dist-info"
    (info / "direct_url.json").write_text(text)
    code, report = verify(env)
    assert code == 1
    assert ("record-invalid", "alpha-1.0.dist-info/direct_url.json") in gating(report)


# Images


def _image(tmp_path: Path) -> tuple[Path, Path]:
    """An unpacked image with an environment at ``/opt/venv``; links in it are absolute, as the image itself sees them."""
    root = tmp_path / "image"
    env = build_site(root / "opt")
    env.rename(root / "opt/venv")
    env = root / "opt/venv"
    base = Path(os.path.realpath(sys.executable))
    (root / "usr/bin").mkdir(parents=True)
    shutil.copy2(base, root / "usr/bin/python3")
    library = base.parent.parent / "lib"
    (root / "usr/lib").mkdir()
    for shared in library.glob("libpython3.*.so.*"):
        shutil.copy2(shared, root / "usr/lib")
    (env / "bin/python").unlink()
    (env / "bin/python").symlink_to("/usr/bin/python3")
    (env / "pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = false\n")
    beta = env / "bin/beta"
    beta.write_bytes(beta.read_bytes().replace(str(root / "opt/env").encode(), b"/opt/venv"))
    info = site_packages(env) / "beta-2.5.dist-info"
    rows = [row for row in (info / "RECORD").read_text().splitlines() if "bin/beta" not in row]
    (info / "RECORD").write_text("\n".join([*rows, record_row("../../../bin/beta", beta.read_bytes())]))
    return root, env


def _in_image(root: Path, *words: str) -> tuple[int, dict[str, Any]]:
    done = run("verify", "--root", root, "--format", "json", *words, cwd=root.parent)
    report: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, report


def test_an_image_is_clean(tmp_path: Path) -> None:
    root, _ = _image(tmp_path)
    code, report = _in_image(root)
    assert code == 0, report


@pytest.mark.parametrize("target", ["/etc/passwd", "../../../../../../../../../../../etc/passwd"])
def test_a_link_in_an_image_never_leads_out_of_it(tmp_path: Path, target: str) -> None:
    """A claimed file that is a link to the host's /etc/passwd is missing, or the image's own, and never the host's."""
    root, env = _image(tmp_path)
    secret = Path("/etc/passwd").read_bytes()
    beta = site_packages(env) / "beta.py"
    beta.unlink()
    beta.symlink_to(target)
    (site_packages(env) / "linked").symlink_to("/etc")
    info = site_packages(env) / "alpha-1.0.dist-info/RECORD"
    info.write_text(info.read_text() + record_row("linked/passwd", secret) + "\n")
    (site_packages(env) / "hook.pth").symlink_to(target)
    code, report = _in_image(root)
    assert code == 1
    assert hashlib.sha256(secret).hexdigest() not in json.dumps(
        {**report, "drifts": [{**d, "expected": ""} for d in report["drifts"]]}
    )
    assert ("file-missing", "linked/passwd") in gating(report)
    (root / "etc").mkdir()
    (root / "etc/passwd").write_bytes(b"the image's own\n")
    code, report = _in_image(root)
    actual = {drift["actual"] for drift in report["drifts"] if drift["path"] == "beta.py"}
    assert actual == {"sha256:" + hashlib.sha256(b"the image's own\n").hexdigest()}


def test_an_image_whose_environment_is_a_link_to_the_host(tmp_path: Path) -> None:
    root, env = _image(tmp_path)
    outside = tmp_path / "outside"
    env.rename(outside)
    env.symlink_to(outside)
    done = run("verify", "--root", root, "--format", "json", cwd=tmp_path)
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["code"] == "no-environment"


# Interruption, output, and a world that goes away


def _children_of(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(word) for word in (task / "children").read_text().split()]
    return found


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="finds children through /proc")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)])
def test_a_stop_leaves_no_child_behind(env: Path, number: signal.Signals, code: int) -> None:
    many = site_packages(env) / "many"
    many.mkdir()
    for index in range(2000):
        (many / str(index)).touch()
    with (many / "large").open("wb") as file:
        file.truncate(40 << 30)
    process = subprocess.Popen(
        _argv("verify", "--env", env), cwd=env.parent, env=_environ(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    end = time.monotonic() + PATIENCE
    children: list[int] = []
    while not children and time.monotonic() < end:
        time.sleep(0.02)
        children = _children_of(process.pid)
    assert children
    time.sleep(0.5)
    process.send_signal(number)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == code
    assert b"Traceback" not in errors
    while any(_alive(child) for child in children) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(_alive(child) for child in children)


def test_output_that_can_not_be_written_keeps_the_old_file(env: Path) -> None:
    old = env.parent / "report.json"
    old.write_text("old")
    for target, reason in (
        ("/dev/full", errno.ENOSPC),
        (env.parent, errno.EISDIR),
        (env.parent / "none/report.json", errno.ENOENT),
    ):
        done = run("verify", "--env", env, "-o", target, cwd=env.parent)
        assert done.returncode == 3
        assert b"output-failed" in done.stderr
        assert os.strerror(reason).encode() in done.stderr
    assert old.read_text() == "old"
    assert os.path.exists("/dev/full")
    assert not list(env.parent.glob("*.tmp"))


def test_output_replaces_a_file_and_never_a_device(env: Path) -> None:
    old = env.parent / "report.txt"
    old.write_text("old")
    link = env.parent / "link.txt"
    link.symlink_to(old)
    assert run("verify", "--env", env, "-o", link, cwd=env.parent).returncode == 0
    assert link.is_symlink()
    assert old.read_text().startswith("CONSISTENT")
    assert run("verify", "--env", env, "-o", "/dev/null", cwd=env.parent).returncode == 0
    assert not Path("/dev/null").is_file()


def test_a_full_disk_under_standard_output_is_no_verdict(env: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = run("verify", "--env", env, cwd=env.parent, stdout=full)
        assert done.returncode == 3
        assert b"output-failed" in done.stderr
        assert run("verify", "--env", env, "--format", "json", cwd=env.parent, stdout=full).returncode == 3


def test_a_reader_who_left_is_told_nothing_and_it_is_no_drift(env: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = run("verify", "--env", env, cwd=env.parent, stdout=write)
        assert (done.returncode, done.stderr) == (3, b"")
        assert run("verify", "--env", env.parent / "none", cwd=env.parent, stdout=write, stderr=write).returncode == 2
    finally:
        os.close(write)


def test_closed_standard_streams(env: Path) -> None:
    script = 'exec "$@" >&- 2>&- <&-'
    for planted, code in ((False, 0), (True, 1)):
        if planted:
            (site_packages(env) / "evil.py").touch()
        done = subprocess.run(
            ["/bin/sh", "-c", script, "sh", *_argv("verify", "--env", env)],
            cwd=env.parent,
            env=_environ(),
            check=False,
            timeout=PATIENCE,
        )
        assert done.returncode == code


def test_a_working_folder_that_is_gone(env: Path, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    script = f'cd "{gone}" && rmdir "{gone}" && exec "$@"'
    done = subprocess.run(
        ["/bin/sh", "-c", script, "sh", *_argv("verify", "--env", env)],
        env=_environ(),
        capture_output=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 2
    assert b"no-working-folder" in done.stderr
    assert b"Traceback" not in done.stderr


def test_no_home(env: Path) -> None:
    environ = _environ()
    del environ["HOME"]
    assert (
        subprocess.run(_argv("verify", "--env", env), cwd=env.parent, env=environ, capture_output=True, check=False).returncode == 0
    )


@pytest.mark.parametrize("name", ["uv.lock", "pylock.toml", "requirements.txt"])
@pytest.mark.parametrize("kind", ["fifo", "dangling", "folder"])
def test_a_lock_that_is_no_file_is_not_taken_for_none(env: Path, name: str, kind: str) -> None:
    path = env.parent / name
    makers: dict[str, Callable[[Path], None]] = {
        "fifo": os.mkfifo,
        "dangling": lambda path: path.symlink_to("nowhere"),
        "folder": Path.mkdir,
    }
    makers[kind](path)
    code, report = verify(env)
    assert code == 2, report


@pytest.mark.parametrize("name", ["pyproject.toml", ".pdm-python"])
def test_a_fifo_among_the_projects_files_holds_nobody_up(env: Path, name: str) -> None:
    (env.parent / "uv.lock").touch()
    os.mkfifo(env.parent / name)
    shutil.copytree(env, env.parent / ".venv", symlinks=True)
    assert run("check", cwd=env.parent).returncode == 2  # an empty lock


def test_a_tree_that_keeps_changing_is_undecided_and_ends(env: Path) -> None:
    site = site_packages(env)
    stop = threading.Event()

    def churn() -> None:
        index = 0
        while not stop.is_set():
            index += 1
            path = site / f"data{index % 7}.txt"
            path.touch()
            path.unlink()

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        code, report = verify(env)
    finally:
        stop.set()
        thread.join()
    assert code == 3, report
    assert "changed-while-looking" in {name for name, _ in in_doubt(report)}


def test_bytecode_by_a_hook_of_the_interpreter_changes_nothing(env: Path) -> None:
    """Looking leaves no trace: no bytecode, no times of change, no files."""
    before = {path: path.lstat().st_mtime_ns for path in sorted(env.rglob("*"))}
    assert verify(env)[0] == 0
    assert {path: path.lstat().st_mtime_ns for path in sorted(env.rglob("*"))} == before
    assert importlib.util.find_spec("beta") is None
