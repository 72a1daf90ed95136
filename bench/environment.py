"""Make the large environment that the rows of the README are measured on.

    python bench/environment.py [--relock] [--compile]

It is a plain venv of about 250 distributions, 79,000 files and 3.4 GB, with its lock beside it, under
`$SANCTITY_BENCH_DIR` (`.cache/bench` in this repository unless set):

    env/.venv               the environment, installed by pip without bytecode
    env/requirements.txt    the lock: name, version and sha256 of every artifact that pip really installed
    compiled/...            the same with bytecode, where `--compile` asks for it
    tools/                  a venv with the pip that installs, so that the environment holds only what the lock names

Everything but PyTorch comes from the committed `requirements.txt`, by hash, wheels only. PyTorch's CPU build is a file that
not every index serves: pip is asked for it first without installing anything, and what it offers is taken only where its
file name says `+cpu`; otherwise the environment is made without it, and that is said. No CUDA library is ever fetched.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
TORCH = "torch==2.13.0"
INTERPRETER = "3.11"


def bench_dir() -> Path:
    """Return the folder that holds what is measured: `$SANCTITY_BENCH_DIR`, else `.cache/bench` in this repository."""
    return Path(os.environ.get("SANCTITY_BENCH_DIR") or HERE.parent / ".cache" / "bench").absolute()


def python_of(venv: Path) -> str:
    """Return the path of the interpreter of *venv*, unresolved."""
    return str(venv / "bin" / "python")


def make_tools(root: Path) -> Path:
    """Make the venv whose pip installs, unless it is there, and return it."""
    tools = root / "tools"
    if not (tools / "bin" / "pip").exists():
        subprocess.run([sys.executable, "-m", "venv", str(tools)], check=True)
        run_pip(tools, ["install", "--upgrade", "pip"])
    return tools


def run_pip(tools: Path, arguments: list[str], *, target: Path | None = None) -> list[dict[str, Any]]:
    """Run the pip of *tools* on the venv *target*, and return the `install` part of its report.

    pip's warnings and progress are shown only where it fails; it then ends this program with its own exit code.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        where = ["--python", python_of(target)] if target else []
        command = [python_of(tools), "-m", "pip", *where, *arguments, "--report", str(report), "--quiet", "--progress-bar", "off"]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            sys.stderr.write(done.stderr[-4000:])
            raise SystemExit(done.returncode)
        document: dict[str, list[dict[str, Any]]] = json.loads(report.read_bytes())
    return document["install"]


def lock_lines(installed: list[dict[str, Any]]) -> list[str]:
    """Turn pip's report into the lines of a hashed requirements file, sorted by name."""
    rows = []
    for item in installed:
        name, version = item["metadata"]["name"], item["metadata"]["version"]
        rows.append(
            (name.lower(), f"{name}=={version} \\\n    --hash=sha256:{item['download_info']['archive_info']['hashes']['sha256']}")
        )
    return [line for _, line in sorted(rows)]


def relock(tools: Path) -> None:
    """Resolve `requirements.in` into `requirements.txt`, wheels only; nothing is installed."""
    found = run_pip(
        tools, ["install", "--dry-run", "--ignore-installed", "--only-binary", ":all:", "-r", str(HERE / "requirements.in")]
    )
    unwanted = sorted(
        item["metadata"]["name"] for item in found if item["metadata"]["name"].lower().startswith(("nvidia", "cuda", "torch"))
    )
    if unwanted:
        raise SystemExit(f"these have no place here: {', '.join(unwanted)}")
    text = "# Made by environment.py --relock from requirements.in.\n" + "\n".join(lock_lines(found)) + "\n"
    (HERE / "requirements.txt").write_text(text, encoding="utf-8")
    print(f"locked {len(found)} distributions")


def install(tools: Path, project: Path, *, bytecode: bool) -> None:
    """Make *project*/.venv from the lock, and write the lock of what was installed beside it."""
    venv = project / ".venv"
    if venv.exists():
        shutil.rmtree(venv)
    project.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    how = ["install", "--no-deps", "--compile" if bytecode else "--no-compile", "--only-binary", ":all:"]
    offered = run_pip(tools, [*how, "--dry-run", TORCH], target=venv)
    installed = []
    if "+cpu" in offered[0]["metadata"]["version"]:
        installed = run_pip(tools, [*how, TORCH], target=venv)
    else:
        print(f"left out: {TORCH}, since the index has no CPU build of it")
    installed += run_pip(tools, [*how, "--require-hashes", "-r", str(HERE / "requirements.txt")], target=venv)
    (project / "requirements.txt").write_text("\n".join(lock_lines(installed)) + "\n", encoding="utf-8")


def measure(venv: Path) -> tuple[int, int, int]:
    """Return the number of distributions, of regular files and of their bytes under *venv*."""
    files = size = 0
    for folder, _, names in os.walk(venv):
        for name in names:
            path = os.path.join(folder, name)
            if not os.path.islink(path):
                files += 1
                size += os.path.getsize(path)
    return len(list(venv.glob("lib/python*/site-packages/*.dist-info"))), files, size


def main() -> None:
    """Make what the arguments name, and print what it measures."""
    parser = argparse.ArgumentParser(description="Make the large environment that bench/run.py measures.")
    parser.add_argument("--relock", action="store_true", help="resolve requirements.in again first")
    parser.add_argument("--compile", action="store_true", help="make the variant with bytecode too")
    parser.add_argument("--only-relock", action="store_true", help="resolve, and install nothing")
    options = parser.parse_args()
    if not sys.version.startswith(INTERPRETER):
        raise SystemExit(f"requirements.txt is locked for Python {INTERPRETER}; this is {sys.version.split()[0]}")
    root = bench_dir()
    tools = make_tools(root)
    if options.relock or options.only_relock:
        relock(tools)
    if options.only_relock:
        return
    variants = [("env", False)] + ([("compiled", True)] if options.compile else [])
    for name, bytecode in variants:
        started = time.perf_counter()
        install(tools, root / name, bytecode=bytecode)
        distributions, files, size = measure(root / name / ".venv")
        taken = time.perf_counter() - started
        print(
            f"{name}: {distributions} distributions, {files:,} files, {size:,} bytes ({size / 1e9:.2f} GB), made in {taken:.0f} s"
        )


if __name__ == "__main__":
    main()
