"""Measure every row of the README's table beside its peer, in one run, and print the table.

    python bench/environment.py          # once: makes the environment, minutes
    python bench/run.py [--rows NAME,...] [--count N] [--workers N] [--sanctity EXE]

A pair is measured in turns, A B A B, after one round that warms both up and is thrown away; a figure is the median of N
rounds, a ratio that of the two medians. Both sides are whole processes, start-up included, unless the row says otherwise. A row
whose verb is not there yet is said to be "not there"; one whose command fails has its exit code in place of a figure. Everything
measured goes to `results/latest.json`: every sample, the machine's load, and whether the CPU has SHA instructions.

Only Linux is measured: memory is read from /proc, and the page cache is emptied with `posix_fadvise`, file by file.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import stat_floor
from environment import bench_dir, measure

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "latest.json"
#: The lock of what `rebuild` builds.
REBUILT = HERE.parent / "tests" / "real" / "wheels-72.txt"
CORPUS = HERE.parent.parent / "shared" / "corpus"
#: A file of twenty packages as people write them, for the cone.
LOOSE = (
    *("boto3", "celery", "click", "fastapi", "flask", "httpx", "jinja2", "matplotlib", "numpy", "pandas", "pillow", "pydantic"),
    *("pytest", "redis", "requests", "rich", "scikit-learn", "scipy", "sqlalchemy", "uvicorn"),
)
#: A hash in any format, by its length: those of SHA-256 and of MD5, which is all that conda lists have.
HASH = re.compile(r"\b(?:[0-9a-f]{64}|[0-9a-f]{32})\b")
POLL = 0.02  # seconds between two looks at a process tree's memory


@dataclass(kw_only=True)
class Row:
    """One row: medians in *unit*, and the ratio to the peer where the target is one."""

    work: str
    peer: str
    target: str
    unit: str = "s"
    ours: float | None = None
    theirs: float | None = None
    ratio: float | None = None
    reached: bool | None = None
    note: str = ""
    samples: dict[str, list[float]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What is measured, where, and how often."""

    sanctity: Path
    project: Path
    tools: Path
    git_dir: Path
    count: int
    workers: int
    help: str

    @property
    def tree(self) -> Path:
        return self.project / ".venv"

    def verify(self, *more: str, workers: int | None = None) -> list[str]:
        command = [str(self.sanctity), "verify", "requirements.txt", "--env", ".venv", "--format", "json", *more]
        return command + (["--workers", str(workers or self.workers)] if "--workers" in self.help else [])

    def floor(self, *more: str, workers: int | None = None) -> list[str]:
        script = [sys.executable, "-I", "-S", str(HERE / "floor.py"), str(self.tree)]
        return [*script, "--workers", str(workers or self.workers), *more]

    def pip_check(self) -> list[str]:
        (runner,) = self.tools.glob("lib/python*/site-packages/pip/__pip-runner__.py")
        return [str(self.tree / "bin" / "python"), str(runner), "check"]


def clean_environment() -> dict[str, str]:
    """Return a process environment without Python's variables; bytecode and caches go to folders of their own, not into the tree."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    return kept | {"PYTHONPYCACHEPREFIX": str(bench_dir() / "pycache"), "XDG_CACHE_HOME": str(bench_dir() / "cache")}


def run(command: list[str], cwd: Path) -> tuple[float, int, str]:
    """Run *command*, and return its wall-clock seconds, its exit code and its standard output."""
    with tempfile.TemporaryFile() as output:
        started = time.perf_counter()
        done = subprocess.run(command, cwd=cwd, env=clean_environment(), check=False, stdout=output, stderr=subprocess.DEVNULL)
        taken = time.perf_counter() - started
        output.seek(0)
        return taken, done.returncode, output.read().decode(errors="replace")


class FailedError(Exception):
    """A command under test, or a peer, ended with another exit code than 0."""


def timed(command: list[str], cwd: Path) -> Callable[[], float]:
    """Return a function that runs *command* once and returns its seconds, or raises `FailedError`."""

    def once() -> float:
        taken, code, _ = run(command, cwd)
        if code:
            raise FailedError(f"`{' '.join(Path(part).name for part in command[:3])} …` ended with {code}")
        return taken

    return once


def in_turns(
    sides: dict[str, Callable[[], float]], count: int, *, before: Callable[[], None] | None = None
) -> dict[str, list[float]]:
    """Take *count* samples of every side in turns, after a round that is thrown away; *before* runs ahead of each sample."""
    samples: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(count + 1):
        for name, once in sides.items():
            if before:
                before()
            value = once()
            if turn:
                samples[name].append(value)
    return samples


def settle(row: Row, samples: dict[str, list[float]], *, ours: str, theirs: str, limit: float) -> Row:
    """Fill *row* from *samples*: medians, their ratio, and whether it is at most *limit*."""
    row.samples = samples
    row.ours, row.theirs = median(samples[ours]), median(samples[theirs])
    row.ratio = row.ours / row.theirs
    row.reached = row.ratio <= limit
    return row


def missing(row: Row, what: str) -> Row:
    """Say in *row* that it is not measured, since *what*."""
    row.note = what
    return row


# --- the rows ---------------------------------------------------------------------------------------------------------------


def every_byte(bench: Bench, workers: int) -> Row:
    row = Row(
        work=f"`verify`, every byte, {workers} worker{'s' if workers > 1 else ''}",
        peer="walk, open, read, SHA-256 (`floor.py`)",
        target="≤ 1.25 x" if workers == 2 else "≤ floor + 8 µs a file",
    )
    sides = {
        "verify": timed(bench.verify(workers=workers), bench.project),
        "floor": timed(bench.floor(workers=workers), bench.project),
    }
    settle(row, in_turns(sides, bench.count), ours="verify", theirs="floor", limit=1.25)
    _, _, text = run(bench.verify(workers=workers), bench.project)
    report = json.loads(text)
    _, _, text = run(bench.floor(workers=workers), bench.project)
    floor = json.loads(text)
    assert row.ours is not None
    assert row.theirs is not None
    above = (row.ours - row.theirs) / floor["files"] * 1e6
    checked = report["checked"]
    row.note = (
        f"{report['verdict']}; {checked['files']:,} files, {checked['bytes'] / 1e9:.2f} GB (floor: {floor['files']:,}, "
        f"{floor['bytes'] / 1e9:.2f} GB); floor + {above:.1f} µs a file"
    )
    if workers != 2:
        row.reached = above <= 8
    return row


def artifact(bench: Bench) -> Row:
    row = Row(work="`verify --depth artifact`, digests remembered", peer="`verify` (depth `record`)", target="≤ 1.3 x")
    command = bench.verify("--depth", "artifact")
    timed(command, bench.project)()  # reads every wheel once, and remembers it
    sides = {"artifact": timed([*command, "--offline"], bench.project), "record": timed(bench.verify(), bench.project)}
    settle(row, in_turns(sides, bench.count), ours="artifact", theirs="record", limit=1.3)
    proof = json.loads(run([*command, "--offline"], bench.project)[2])["proof"]
    row.note = f"proven: {', '.join(f'{count} {how}' for how, count in proof['distributions'].items())}"
    return row


def bytecode(bench: Bench) -> Row:
    row = Row(
        work="`verify --depth artifact` of 45,000 bytecode files, all proven before",
        peer="`verify` (depth `record`) of the same, bytecode by its header",
        target="≤ 1.1 x",
    )
    project = bench_dir() / "compiled"
    if not (project / "requirements.txt").exists():
        return missing(row, "not measured: bench/environment.py --compile makes what it takes")
    command = bench.verify("--depth", "artifact")
    started = time.perf_counter()
    timed(command, project)()
    first = time.perf_counter() - started
    command.append("--offline")
    sides = {"artifact": timed(command, project), "record": timed(bench.verify(), project)}
    settle(row, in_turns(sides, bench.count), ours="artifact", theirs="record", limit=1.1)
    report = json.loads(run(command, project)[2])
    code = report["proof"]["bytecode"]
    row.note = (
        f"{code['remembered']:,} of {code['files']:,} bytecode files remembered, read and hashed all the same; "
        f"{report['checked']['bytes'] / 1e9:.2f} GB; the look before, with what was not remembered then: {first:.0f} s"
    )
    return row


#: The stat cache alone: with four arguments it looks and records, with three it asks, and fails where the answer is no.
CACHE_PROBE = """
import os, sys, time
from sanctity.store.statcache import StatCache
folder, prefix, workers = sys.argv[1], os.path.realpath(sys.argv[2]), int(sys.argv[3])
cache = StatCache.open(folder, prefix)
if len(sys.argv) == 4:
    sys.exit(cache.unchanged(b"bench", now_ns=time.time_ns(), workers=workers) != b"result")
from sanctity.model.drift import Depth
from sanctity.observe.environment import observe_environment
started = time.time_ns()
found = observe_environment(prefix, depth=Depth.RECORD, clock=time.monotonic, known=cache.known(now_ns=started))
done = cache.record(found, key=b"bench", result=b"result", started_ns=started, now_ns=time.time_ns())
print(found.cached)
sys.exit(not done)
"""


def fast(bench: Bench) -> Row:
    row = Row(work="`verify --fast`, nothing changed", peer="`git status`", target="≤ 1.0 x")
    stat_floor.prepare_git(bench.git_dir, bench.tree)
    git = stat_floor.git_command("status", "--porcelain")
    environment = stat_floor.git_environment(bench.git_dir, bench.tree)

    def status() -> float:
        started = time.perf_counter()
        subprocess.run(git, env=environment, cwd=bench.tree, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - started

    def bare() -> float:
        started = time.perf_counter()
        stat_floor.stat_tree(str(bench.tree))
        return time.perf_counter() - started

    python = str(bench.sanctity.with_name("python"))
    probe = [python, "-c", CACHE_PROBE, str(bench_dir() / "cache" / "alone"), str(bench.tree), str(bench.workers)]
    timed([*probe, "record"], bench.project)()
    sides = {"git": status, "stat": bare, "cache": timed(probe, bench.project)}
    there = "--fast" in bench.help
    if there:
        timed(bench.verify("--fast"), bench.project)()
        sides = {"verify": timed(bench.verify("--fast"), bench.project), **sides}
    samples = in_turns(sides, bench.count)
    row.note = "not there yet; "
    if there:
        settle(row, samples, ours="verify", theirs="git", limit=1.0)
        checked = json.loads(run(bench.verify("--fast"), bench.project)[2])["checked"]
        row.note = f"{checked['cached']:,} of {checked['files']:,} files from the cache; "
    row.samples = samples
    row.theirs = median(samples["git"])
    row.note += f"the stat cache alone, Python's start included: {median(samples['cache']):.3f} s; "
    row.note += f"a bare scandir and stat in one process: {median(samples['stat']):.3f} s"
    return row


def versions(bench: Bench) -> Row:
    row = Row(work="`verify --depth version`, whole process", peer="`pip check`", target="≤ 0.4 x")
    sides = {
        "verify": timed(bench.verify("--depth", "version"), bench.project),
        "pip check": timed(bench.pip_check(), bench.project),
    }
    return settle(row, in_turns(sides, bench.count), ours="verify", theirs="pip check", limit=0.4)


GUARD_PROBE = """
import sys, time
sys.path.append(sys.argv[1])
started = time.perf_counter()
import sanctity
result = sanctity.guard(sys.argv[2], depth="version")
print((time.perf_counter() - started) * 1000, result.verdict)
"""

#: What the guard's child runs here in the place of its own program: it says when it began, and when it would begin to look.
CHILD = """
import os, time
begun = time.monotonic()
import sanctity.guarding as guarding, sanctity.observe.environment as environment
def look(*_, **__):
    os.write(1, b"%r %r" % (begun, time.monotonic()))
    os._exit(0)
environment.observe_environment = look
guarding.judge(b"", "", "record", ("", "", "", (), {}, {}))
"""
#: Starts the child as the guard does: milliseconds until its program begins, and until it has imported all that looks, and looks.
CHILD_PROBE = """
import sys, time
sys.path.append(sys.argv[1])
from sanctity import guard
boot = guard._BOOT.partition("from sanctity.guarding")[0] + sys.argv[2]
argv = [guard._base_interpreter(), "-I", "-S", "-B", "-X", "utf8", "-c", boot, guard._home_of_package()]
started = time.monotonic()
said, _, _ = guard._converse(argv, b"", 60)
print(*((float(each) - started) * 1000 for each in said.split()))
"""


def guard(bench: Bench) -> list[Row]:
    row = Row(
        work='`guard(depth="version")`, in process', peer="names and versions by importlib.metadata", target="≤ 10 ms", unit="ms"
    )
    child = Row(work="the child of `guard()`, from its start to its first line", peer="", target="≤ 25 ms", unit="ms")
    probe = (
        "import importlib.metadata as m, time, hashlib\n"
        "started = time.perf_counter()\n"
        "hashlib.sha256(repr(sorted((d.name, d.version) for d in m.distributions())).encode()).hexdigest()\n"
        "print((time.perf_counter() - started) * 1000)"
    )
    seal, source = bench_dir() / "env.seal.json", str(HERE.parent / "src")
    timed([str(bench.sanctity), "seal", "--env", str(bench.tree), "-o", str(seal), "--accept"], bench.project)()
    # The guard refuses a process that takes its bytecode from elsewhere, so here it lies where it always does.
    plain = ["env", "-u", "PYTHONPYCACHEPREFIX"]
    run([*plain, str(bench.sanctity.with_name("python")), "-m", "compileall", "-q", source], bench.project)
    python = [*plain, str(bench.tree / "bin" / "python"), "-B", "-c"]
    looking: list[float] = []

    def version() -> float:
        _, code, text = run([*python, GUARD_PROBE, source, str(seal)], bench.project)
        if code or text.split()[1] != "clean":
            raise FailedError(f"the guard ended with {code}")
        return float(text.split()[0])

    def start() -> float:
        _, code, text = run([*python, CHILD_PROBE, source, CHILD], bench.project)
        if code or not text:
            raise FailedError(f"the guard's child could not be started: {code}")
        looking.append(float(text.split()[1]))
        return float(text.split()[0])

    sides = {"guard": version, "importlib.metadata": lambda: float(run([*python, probe], bench.project)[2]), "child": start}
    samples = in_turns(sides, bench.count)
    settle(
        row, {name: samples[name] for name in ("guard", "importlib.metadata")}, ours="guard", theirs="importlib.metadata", limit=1
    )
    row.reached = median(samples["guard"]) <= 10
    row.note = "`import sanctity` included; a tripwire: no byte is read"
    child.samples = {"child": samples["child"], "until it looks": looking[1:]}
    child.ours = median(samples["child"])
    child.reached = child.ours <= 25
    child.note = f"{median(looking[1:]):.0f} ms until it has imported what looks, and looks"
    return [row, child]


SEED_PROBE = """
import sys, time
sys.path.append(sys.argv[1])
before = set(sys.modules)
started = time.perf_counter()
import sanctity
sanctity.set_global_determinism(42, quiet=True)
taken = time.perf_counter() - started
new = sorted({m.partition('.')[0] for m in set(sys.modules) - before} - set(sys.stdlib_module_names) - {'sanctity'})
print(taken * 1000, *new)
"""


def determinism(bench: Bench) -> list[Row]:
    """Seed a program that imports no library of numbers: in process, and as a process beside one that does nothing."""
    inside = Row(
        work="`import sanctity` and `set_global_determinism`, in process",
        peer="",
        target="≤ 15 ms, no third-party module",
        unit="ms",
    )
    whole = Row(work="the same, whole process", peer="`python -c pass`", target="≤ 15 ms more", unit="ms")
    source = str(HERE.parent / "src")
    python = [str(bench.tree / "bin" / "python"), "-c"]
    strangers: set[str] = set()

    def once() -> float:
        _, code, text = run([*python, SEED_PROBE, source], bench.project)
        if code:
            raise FailedError(f"`set_global_determinism` ended with {code}")
        taken, *new = text.split()
        strangers.update(new)
        return float(taken)

    call = f"import sys; sys.path.append({source!r}); import sanctity; sanctity.set_global_determinism(42, quiet=True)"
    process, nothing = timed([*python, call], bench.project), timed([*python, "pass"], bench.project)
    sides = {"inside": once, "call": lambda: process() * 1000, "pass": lambda: nothing() * 1000}
    samples = in_turns(sides, bench.count)
    inside.samples = {"inside": samples["inside"]}
    inside.ours = median(samples["inside"])
    inside.reached = inside.ours <= 15 and not strangers
    inside.note = "third-party: " + (", ".join(sorted(strangers)) or "none")
    whole.samples = {name: samples[name] for name in ("call", "pass")}
    whole.ours, whole.theirs = median(samples["call"]), median(samples["pass"])
    whole.ratio = whole.ours / whole.theirs
    whole.reached = whole.ours - whole.theirs <= 15
    whole.note = f"{whole.ours - whole.theirs:.1f} ms more"
    return [inside, whole]


def import_time(bench: Bench) -> Row:
    row = Row(work="`import sanctity`", peer="", target="≤ 10 ms, no third-party module", unit="ms")
    probe = (
        "import sys, time\nbefore = set(sys.modules)\nstarted = time.perf_counter()\nimport sanctity\n"
        "taken = time.perf_counter() - started\n"
        "new = sorted({m.partition('.')[0] for m in set(sys.modules) - before} - set(sys.stdlib_module_names) - {'sanctity'})\n"
        "print(taken * 1000, *new)"
    )
    python = str(bench.sanctity.with_name("python"))
    strangers: set[str] = set()

    def once() -> float:
        _, code, text = run([python, "-c", probe], bench.project)
        if code:
            raise FailedError(f"`import sanctity` ended with {code}")
        taken, *new = text.split()
        strangers.update(new)
        return float(taken)

    row.samples = in_turns({"sanctity": once}, bench.count)
    row.ours = median(row.samples["sanctity"])
    row.reached = row.ours <= 10 and not strangers
    row.note = f"imports {', '.join(sorted(strangers))}" if strangers else ""
    return row


def memory(bench: Bench) -> Row:
    row = Row(work="peak memory of the first row, all processes, anonymous pages", peer="the floor's", target="≤ 200 MB", unit="MB")
    samples = in_turns(
        {"verify": lambda: peak(bench.verify(), bench.project), "floor": lambda: peak(bench.floor(), bench.project)},
        min(bench.count, 3),
    )
    settle(row, samples, ours="verify", theirs="floor", limit=1)
    row.ours, row.theirs = max(samples["verify"]), max(samples["floor"])
    row.ratio = row.ours / row.theirs
    row.reached = row.ours <= 200
    row.note = f"the largest of {len(samples['verify'])} runs, looked at every {POLL * 1000:.0f} ms; a page shared after a fork counts twice"
    return row


def peak(command: list[str], cwd: Path) -> float:
    """Run *command*, and return the most anonymous memory that it and its descendants held at one time, in MB."""
    process = subprocess.Popen(command, cwd=cwd, env=clean_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    most = 0
    while process.poll() is None:
        most = max(most, sum(anonymous(pid) for pid in family(process.pid)))
        time.sleep(POLL)
    if process.returncode:
        raise FailedError(f"`{Path(command[0]).name} …` ended with {process.returncode}")
    return most / 1e6


def family(pid: int) -> list[int]:
    """Return *pid* and all its descendants, as far as they are still there."""
    found, waiting = [], [pid]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                waiting.extend(map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split()))
        except OSError:
            continue
    return found


def anonymous(pid: int) -> int:
    """Return the bytes of anonymous memory that *pid* holds, 0 where it is gone."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    match = re.search(r"^Anonymous:\s+(\d+) kB", text, re.MULTILINE)
    return int(match[1]) * 1024 if match else 0


#: The cycle collector is off on both sides, as it is in a run of the command line.
LOCK_PROBE = """
import gc, json, os, sys, time
gc.disable()
path, parser, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
from sanctity.lockfiles import reader_for
from sanctity.observe.locks import read_lock
text = open(path, encoding="utf-8").read()
reader = reader_for(os.path.basename(path), text)
sides = {"read": lambda: read_lock(path, reader=reader)}
if parser == "toml":
    import tomli, tomllib
    sides["parser"] = lambda: tomli.loads(text)
    sides["other"] = lambda: tomllib.loads(text)
elif parser == "yaml":
    import yaml
    sides["parser"] = lambda: yaml.load(text, Loader=yaml.CSafeLoader)
elif parser == "json":
    sides["other"] = lambda: json.loads(text)
samples = {name: [] for name in sides}
for turn in range(count + 1):
    for name, once in sides.items():
        started = time.perf_counter()
        once()
        taken = (time.perf_counter() - started) * 1000
        if turn:
            samples[name].append(taken)
print(json.dumps(samples))
"""

#: The formats by their folder of the corpus, and what parses their text.
LOCKS = (
    ("uv", "toml"),
    ("poetry", "toml"),
    ("pdm", "toml"),
    ("pylock", "toml"),
    ("pyproject", "toml"),
    ("conda-lock", "yaml"),
    ("pixi", "yaml"),
    ("environment-yml", "yaml"),
    ("pipfile", "json"),
    ("conda-explicit", ""),
    ("requirements", ""),
)
PARSERS = {"toml": "`tomli.loads` of its text", "yaml": "`yaml.load` of its text, by libyaml (`CSafeLoader`)"}
OTHERS = {"toml": "tomllib.loads", "json": "json.loads"}


def lock_rows(bench: Bench) -> list[Row]:
    """One row for the largest file of each format: TOML and YAML beside their parsers, JSON and text by the hash."""
    found = [
        (max((path for path in (CORPUS / folder).glob("*") if path.is_file()), key=size, default=None), parser)
        for folder, parser in LOCKS
    ]
    rows = []
    for path, parser in [(bench.project / "requirements.txt", ""), *found]:
        if path is None:
            continue
        title = "the environment's own lock" if path.parent == bench.project else f"`{path.parent.name}/{path.name}`"
        row = Row(
            work=f"reading {title}, {size(path) / 1000:,.0f} kB",
            peer=PARSERS.get(parser, ""),
            target="≤ 1.5 x" if parser in PARSERS else "≤ 20 µs a hash",
            unit="ms",
        )
        command = [str(bench.sanctity.with_name("python")), "-c", LOCK_PROBE, str(path), parser, str(bench.count)]
        _, code, text = run(command, bench.project)
        if code:
            rows.append(missing(row, f"failed: exit code {code}"))
            continue
        samples: dict[str, list[float]] = json.loads(text)
        hashes = len(HASH.findall(path.read_text(encoding="utf-8")))
        row.samples, row.ours = samples, median(samples["read"])
        each = row.ours * 1000 / max(hashes, 1)
        row.note = f"{hashes:,} hashes, {each:.1f} µs a hash" if hashes else "no hashes"
        if parser in PARSERS:
            settle(row, samples, ours="read", theirs="parser", limit=1.5)
        else:
            row.reached = each <= 20
        if "other" in samples:
            row.note += f"; `{OTHERS[parser]}`: {median(samples['other']):.1f} ms"
        rows.append(row)
    return rows


def size(path: Path) -> int:
    return path.stat().st_size


def cold(bench: Bench) -> Row:
    row = Row(
        work="the first row, cold page cache", peer="reading the same files once, cold (`floor.py --no-hash`)", target="≤ 1.1 x"
    )
    os.sync()
    sides = {"verify": timed(bench.verify(), bench.project), "read": timed(bench.floor("--no-hash"), bench.project)}
    samples = in_turns(sides, min(bench.count, 5), before=lambda: drop_pages(bench.tree))
    row.note = f"pages dropped file by file, directories stay cached; n = {len(samples['verify'])}"
    return settle(row, samples, ours="verify", theirs="read", limit=1.1)


def drop_pages(tree: Path) -> None:
    """Ask the kernel to forget the pages of every regular file under *tree*."""
    for folder, _, names in os.walk(tree):
        for name in names:
            path = os.path.join(folder, name)
            if not os.path.islink(path):
                fd = os.open(path, os.O_RDONLY)
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(fd)


def rebuild(bench: Bench) -> Row:
    row = Row(
        work="`rebuild` from the archive, and its proof, 72 packages",
        peer="`uv pip sync --link-mode copy`, warm cache",
        target="≤ 1.3 x",
    )
    uv = shutil.which("uv") or shutil.which("uv", path=str(bench.sanctity.parent))
    if uv is None:
        return missing(row, "there is no uv here")
    root = bench_dir() / "rebuild"
    root.mkdir(exist_ok=True)
    lock, place = root / "requirements.txt", root / "archive"
    shutil.copyfile(REBUILT, lock)
    if code := run([str(bench.sanctity), "archive", "add", str(lock), "--archive", str(place)], root)[1]:
        return missing(row, f"the archive could not be filled: exit code {code}")
    python = str(bench.sanctity.with_name("python"))

    def afresh() -> None:
        for path in (*root.glob("env*"), *root.glob(".env*")):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        run([uv, "venv", "--python", python, str(root / "env")], root)

    def sync(mode: str) -> Callable[[], float]:
        options = ["--link-mode", mode, "--require-hashes", "--python", str(root / "env" / "bin" / "python")]
        return timed([uv, "pip", "sync", *options, str(lock)], root)

    ours = [str(bench.sanctity), "rebuild", str(lock), str(root / "again"), "--archive", str(place), "--offline"]

    def again() -> float:
        for path in root.glob("again*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        return timed(ours, root)()

    samples = in_turns({"rebuild": again, "copy": sync("copy"), "hardlink": sync("hardlink")}, bench.count, before=afresh)
    settle(row, samples, ours="rebuild", theirs="copy", limit=1.3)
    row.note = (
        f"hard links into a shared cache, where an edit of one environment is one of all: {median(samples['hardlink']):.1f} s; "
        "ours unpacks every wheel anew, and reads all of it again for the proof"
    )
    return row


def scrub(bench: Bench) -> Row:
    """Scrub an archive of the environment's own wheels beside the plain hash of the same files."""
    row = Row(work="`archive scrub`", peer="open, read, SHA-256 the same files (`floor.py`)", target="≤ 1.1 x")
    place = bench_dir() / "archive"
    code = run(
        [str(bench.sanctity), "archive", "add", "requirements.txt", "--env", ".venv", "--archive", str(place)], bench.project
    )[1]
    if code:
        return missing(row, f"the archive could not be filled: exit code {code}")
    blobs = place / "blobs"
    floor = [sys.executable, "-I", "-S", str(HERE / "floor.py"), str(blobs), "--workers", str(bench.workers)]
    ours = [str(bench.sanctity), "archive", "scrub", "--archive", str(place), "--workers", str(bench.workers)]
    samples = in_turns({"scrub": timed(ours, bench.project), "floor": timed(floor, bench.project)}, bench.count)
    sizes = [path.stat().st_size for path in blobs.rglob("*") if path.is_file()]
    row.note = f"{len(sizes):,} blobs, {sum(sizes) / 1e9:.2f} GB"
    return settle(row, samples, ours="scrub", theirs="floor", limit=1.1)


def cone(bench: Bench) -> Row:
    """Show the cone of 20 packages over 36 months a second time, beside the resolutions of it one after another by uv alone."""
    row = Row(
        work="`cone` of 20 packages over 36 months, again",
        peer="`uv pip compile --exclude-newer` at the same dates, one after another, warm cache",
        target="≤ 2 s",
    )
    uv = shutil.which("uv") or shutil.which("uv", path=str(bench.sanctity.parent))
    if uv is None:
        return missing(row, "there is no uv here")
    root = bench_dir() / "cone"
    root.mkdir(exist_ok=True)
    (root / "requirements.in").write_text("\n".join(LOOSE) + "\n", encoding="utf-8")
    ours = [str(bench.sanctity), "cone", "requirements.in", "--from", "2023-12-01", "--to", "2026-11-01", "--python", "3.11"]
    dates = [f"{year}-{month:02}-02T00:00:00Z" for year in range(2023, 2027) for month in range(1, 13)][11:47]
    compile_ = f'"{uv}" pip compile -q --python-version 3.11 --exclude-newer $at --format pylock.toml requirements.in'
    loop = ["sh", "-ec", f"for at in {' '.join(dates)}; do {compile_} > /dev/null; done"]
    samples = in_turns(
        {
            "again": timed([*ours, "--workers", str(bench.workers)], root),
            "fresh": timed([*ours, "--workers", str(bench.workers), "--fresh"], root),
            "loop": timed(loop, root),
        },
        bench.count,
    )
    settle(row, samples, ours="again", theirs="loop", limit=1.0)
    row.reached = median(samples["again"]) <= 2
    row.note = (
        f"all dates resolved anew (`--fresh`, {bench.workers} at a time, each environment a second time for who asks for what): "
        f"{median(samples['fresh']):.1f} s"
    )
    return row


#: Both files of a pair, read in pieces of 1 MiB: what comparing them can not do without.
READING = """
import sys
piece = bytearray(1 << 20)
for path in sys.argv[1:]:
    with open(path, "rb", buffering=0) as file:
        while file.readinto(piece):
            pass
"""


def checkpoint(path: Path, tensors: int, *, changed: bool, when: int = 0) -> None:
    """Write a checkpoint of so many tensors of 16 MiB: safetensors, or a zip of arrays where it is called so.

    With *changed* one bit of the last but one tensor is another; *when* is the year its members were written in, 0 for safetensors.
    """
    block = random.Random(0).randbytes(16 << 20)
    other = block[: 1 << 20] + bytes([block[1 << 20] ^ 1]) + block[(1 << 20) + 1 :]
    bodies = [other if changed and number == tensors - 2 else block for number in range(tensors)]
    if when:
        head = b"{'descr': '<f4', 'fortran_order': False, 'shape': (4194304,), }".ljust(117) + b"\n"
        with zipfile.ZipFile(path, "w") as archive:
            for number, body in enumerate(bodies):
                info = zipfile.ZipInfo(f"layer.{number}.npy", (when, 1, 1, 0, 0, 0))
                archive.writestr(info, b"\x93NUMPY\x01\0" + len(head).to_bytes(2, "little") + head + body)
        return
    spans = [[number * len(block), (number + 1) * len(block)] for number in range(tensors)]
    stated = {f"layer.{number}": {"dtype": "F32", "shape": [4 << 20], "data_offsets": span} for number, span in enumerate(spans)}
    text = json.dumps(stated).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for body in bodies:
            file.write(body)


def compare(bench: Bench) -> list[Row]:
    """Compare two checkpoints of 1 GB, beside reading both; the files are removed."""
    rows = []
    for ending, what, code in (("safetensors", "one bit differs", 1), ("npz", "only times in the zip differ", 0)):
        row = Row(work=f"`compare` of two .{ending} of 1 GB: {what}", peer="reading both, 1 MiB at a time", target="≤ 1.5 x")
        with tempfile.TemporaryDirectory(dir=bench_dir()) as folder:
            paths = [Path(folder, f"{number}.{ending}") for number in range(2)]
            for number, path in enumerate(paths):
                checkpoint(path, 64, changed=bool(number and code), when=(2020 + number) * (ending == "npz"))
            names = [str(path) for path in paths]
            command = ["sh", "-c", f'"$0" compare "$1" "$2"; test $? = {code}', str(bench.sanctity), *names]
            used: dict[str, list[float]] = {"compare": [], "reading": []}

            def once(name: str, command: list[str], used: dict[str, list[float]] = used) -> Callable[[], float]:
                run_once = timed(command, bench.project)

                def measured() -> float:
                    before = os.times()
                    taken = run_once()
                    after = os.times()
                    spent = after.children_user + after.children_system - before.children_user - before.children_system
                    used[name].append(spent)
                    return taken

                return measured

            reading = [sys.executable, "-I", "-S", "-c", READING, *names]
            sides = {"compare": once("compare", command), "reading": once("reading", reading)}
            settle(row, in_turns(sides, bench.count), ours="compare", theirs="reading", limit=1.5)
            spent = {name: median(seconds) for name, seconds in used.items()}
            row.note = f"processor: {spent['compare']:.2f} s and {spent['reading']:.2f} s; its start-up and NumPy's are in it"
        rows.append(row)
    return rows


#: What is proved: it computes without a pause for as long as it is told, alone in one thread, and writes a few bytes.
PROVED = """
import os, sys
word = 1
for _ in range(int(sys.argv[1])):
    word = word * 6364136223846793005 + 1442695040888963407 & (1 << 64) - 1
os.makedirs("out", exist_ok=True)
with open("out/word", "w") as file:
    file.write(str(word))
"""


def prove(bench: Bench) -> Row:
    """Prove a command that takes 10 s, in five runs, beside the same command run five times by a shell."""
    row = Row(
        work="`prove` of a command of 10 s, each of 5 runs", peer="the command by itself, five times", target="≤ 1.05 x + 0.1 s"
    )
    python = [str(bench.sanctity.with_name("python")), "-I", "-S", "-c", PROVED]
    with tempfile.TemporaryDirectory(dir=bench_dir()) as folder:
        place = Path(folder)
        steps = 10_000_000
        steps = int(steps * 10 / min(timed([*python, str(steps)], place)() for _ in range(3)))
        command = [*python, str(steps)]
        ours = [str(bench.sanctity), "prove", "-n", "3", "--outputs", "out/**", "--", *command]
        theirs = ["sh", "-ec", 'for turn in 1 2 3 4 5; do "$@"; done', "sh", *command]
        sides = {"prove": timed(ours, place), "loop": timed(theirs, place)}
        samples = in_turns(sides, min(bench.count, 3))
    row.samples = {name: [each / 5 for each in taken] for name, taken in samples.items()}
    settle(row, row.samples, ours="prove", theirs="loop", limit=1.05)
    assert row.ours is not None
    assert row.theirs is not None
    row.reached = row.ours <= row.theirs * 1.05 + 0.1
    row.note = f"{(row.ours - row.theirs) * 1000:.0f} ms more a run; its start-up and its controls are in it"
    return row


ROWS: dict[str, Callable[[Bench], Row | list[Row]]] = {
    "bytes": lambda bench: every_byte(bench, bench.workers),
    "bytes1": lambda bench: every_byte(bench, 1),
    "artifact": artifact,
    "bytecode": bytecode,
    "fast": fast,
    "version": versions,
    "guard": guard,
    "determinism": determinism,
    "import": import_time,
    "memory": memory,
    "locks": lock_rows,
    "cold": cold,
    "rebuild": rebuild,
    "scrub": scrub,
    "cone": cone,
    "compare": compare,
    "prove": prove,
}

# --- what is printed --------------------------------------------------------------------------------------------------------


def machine() -> dict[str, Any]:
    """Say what was measured on, without naming the machine."""
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    model = re.search(r"^model name\s*:\s*(.*)$", text, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.*)$", text, re.MULTILINE)
    words = set(flags[1].split()) if flags else set()
    return {
        "cpu": model[1] if model else platform.machine(),
        "cores": os.cpu_count(),
        "sha_instructions": bool(words & {"sha_ni", "sha2"}),
        "python": platform.python_version(),
        "kernel": platform.release().partition("-")[0],
    }


def shown(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    return f"{value:.2f} s" if unit == "s" and value >= 1 else f"{value * 1000:.0f} ms" if unit == "s" else f"{value:.1f} {unit}"


def table(rows: list[Row]) -> str:
    """Draw the rows as the Markdown table of the README."""
    lines = ["| work | sanctity | peer | peer's | ratio | to reach | |", "|---|---:|---|---:|---:|---|---|"]
    for row in rows:
        mark = {True: "yes", False: "**no**", None: ""}[row.reached]
        ratio = f"{row.ratio:.2f} x" if row.ratio is not None else "-"
        ours = shown(row.ours, row.unit) if row.ours is not None else (row.note.partition(";")[0] or "-")
        cells = [row.work, ours, row.peer, shown(row.theirs, row.unit), ratio, row.target, mark]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def kept(before: list[dict[str, Any]], rows: list[Row]) -> list[Row]:
    """Return the rows measured *before*, each with its own peer and ratio, with *rows* in the place of those of the same work."""
    new = {row.work: row for row in rows}
    merged = [new.pop(each["work"]) if each["work"] in new else Row(**each) for each in before if each["note"] != "not there yet"]
    return merged + list(new.values())


def main() -> None:
    """Measure the rows asked for, write them down, and print the table."""
    parser = argparse.ArgumentParser(description="Measure sanctity beside its peers.")
    parser.add_argument("--rows", default=",".join(ROWS), help=f"which, of {','.join(ROWS)}")
    parser.add_argument("--count", type=int, default=7, help="samples of each side")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--keep", action="store_true", help="keep what was measured before of other rows")
    parser.add_argument("--sanctity", type=Path, default=HERE.parent / ".venv" / "bin" / "sanctity")
    options = parser.parse_args()
    names = options.rows.split(",")
    if unknown := sorted(set(names) - set(ROWS)):
        parser.error(f"no such row: {', '.join(unknown)}")
    root = bench_dir()
    if not (root / "env" / "requirements.txt").exists():
        parser.error("there is no environment to measure: run bench/environment.py first")
    bench = Bench(
        sanctity=options.sanctity.absolute(),
        project=root / "env",
        tools=root / "tools",
        git_dir=root / "git",
        count=options.count,
        workers=options.workers,
        help=run([str(options.sanctity.absolute()), "verify", "--help"], root)[2],
    )
    distributions, files, total = measure(bench.tree)
    load = os.getloadavg()[0]
    rows: list[Row] = []
    for name in names:
        print(f"measuring {name}", file=sys.stderr)
        try:
            measured = ROWS[name](bench)
        except FailedError as failure:
            measured = Row(work=name, peer="", target="", note=f"failed: {failure}")
        rows += measured if isinstance(measured, list) else [measured]
    about = machine() | {
        "load_before": round(load, 2),
        "load_after": round(os.getloadavg()[0], 2),
        "samples": options.count,
        "workers": options.workers,
    }
    environment = {"distributions": distributions, "files": files, "bytes": total}
    if options.keep and RESULTS.exists():
        rows = kept(json.loads(RESULTS.read_text(encoding="utf-8"))["rows"], rows)
    document = {"machine": about, "environment": environment, "rows": [asdict(row) for row in rows]}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(
        f"{distributions} distributions, {files:,} files, {total / 1e9:.2f} GB. {about['cpu']}, {about['cores']} cores, "
        f"SHA instructions: {'yes' if about['sha_instructions'] else 'no'}. Python {about['python']}, Linux {about['kernel']}. "
        f"Medians of {options.count}, in turns, {options.workers} workers, warm page cache unless said.\n"
    )
    print(table(rows))
    print()
    for row in rows:
        if row.note:
            print(f"- {row.work}: {row.note}")
    if load > 0.5:
        print(f"\nThe machine was not quiet: its load was {load:.1f} at the start. Compare ratios, not seconds.", file=sys.stderr)


if __name__ == "__main__":
    main()
