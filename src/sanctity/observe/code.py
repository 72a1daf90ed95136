"""Bytecode that import would run, judged as code by an interpreter of exactly the version that made it.

Nothing of the environment is run: its bytecode is loaded, and its sources compiled, in children of an interpreter outside of it
(`code_judge`), which have no variables, write nothing, and may die. What they were asked last is then named, and the others go on.
"""

from __future__ import annotations

import os
import select
import struct
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final, NamedTuple

from sanctity.compare.bytecode import runnable
from sanctity.observe import code_judge
from sanctity.observe.view import View

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from sanctity.compare.bytecode import Runnable
    from sanctity.compare.ownership import Ownership
    from sanctity.model.environment import Environment, Interpreter

__all__ = ["Judge", "Judged", "find_judge", "judge_bytecode"]

#: Pairs that are asked at once; a child that dies loses no more time than this many take.
_BATCH: Final = 32
#: How long one pair may take, and how long it may where so many took that long already. Seconds.
_PATIENCE: Final = 60.0
_LEAST_PATIENCE: Final = 5.0
_ANSWERS: Final = {
    code_judge.SAME: "same",
    code_judge.DIFFERS: "differs",
    code_judge.NO_SOURCE: "no-source",
    code_judge.NO_CODE: "no-code",
    code_judge.CHANGED: "changed",
    code_judge.OTHER_MAGIC: "other-magic",
    code_judge.FAILED: "failed",
    code_judge.STALE: "stale",
}


class Judge(NamedTuple):
    """An interpreter that may judge: the absolute path of its *executable*, and what it is (``cpython 3.11.7``)."""

    executable: str
    compiler: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What became of the bytecode that import would run.

    *found* are the files with their answers, but for those that are the *same* as their source compiles to, which are counted;
    *remembered* counts those among them that were proven before. *judge* is who judged, None where nobody could; *wanted* is the
    interpreter that it takes. *proven* are the keys of the pairs that were proven now.
    """

    found: tuple[tuple[Runnable, str], ...] = ()
    same: int = 0
    remembered: int = 0
    judge: Judge | None = None
    wanted: str = ""
    proven: frozenset[bytes] = frozenset()


def compiler_of(interpreter: Interpreter) -> str:
    """What made bytecode for *interpreter*: ``cpython 3.11.7``, and whether it has a lock (PEP 703)."""
    threaded = " free-threaded" if interpreter.abi.rpartition("-")[2].endswith("t") else ""
    return f"{interpreter.implementation} {interpreter.version}{threaded}"


def find_judge(environment: Environment, *, root: str, candidates: Iterable[tuple[str, Interpreter]] = ()) -> Judge | None:
    """An interpreter of exactly the version of *environment*, and outside of it; None where there is none.

    Asked are this tool's own, then *candidates*, which are pairs of an executable and what it is. Last comes the one that the
    environment says it stands on (unless that lies in an image's *root*), since who can write there can name any.
    """
    wanted = compiler_of(environment.interpreter)
    inside = os.path.realpath(root + environment.prefix if root else environment.prefix) + "/"

    def is_outside(path: str) -> bool:
        return bool(path) and os.access(path, os.X_OK) and not os.path.realpath(path).startswith(inside)

    own = os.path.realpath(getattr(sys, "_base_executable", "") or sys.executable or "")
    if code_judge.compiler() == wanted and is_outside(own):
        return Judge(own, wanted)
    for executable, interpreter in candidates:
        if compiler_of(interpreter) == wanted and is_outside(executable):
            return Judge(executable, wanted)
    base = environment.interpreter.executable
    return Judge(base, wanted) if not root and base.startswith("/") and is_outside(base) else None


def judge_bytecode(
    environment: Environment,
    ownership: Ownership,
    *,
    root: str = "",
    workers: int = 2,
    key: Callable[[bytes, bytes, str, int], bytes],
    remembered: Collection[bytes] = (),
    candidates: Iterable[tuple[str, Interpreter]] = (),
    tick: Callable[[int, int], None] | None = None,
) -> Judged:
    """Judge all bytecode of *environment*, looked at at depth ``artifact``, that import would run.

    *key* gives the key of a pair (source, bytecode, compiler, level), *remembered* are those of pairs that were proven before.
    """
    compiler = compiler_of(environment.interpreter)
    files = environment.files
    asked: list[tuple[Runnable, bytes]] = []
    found: list[tuple[Runnable, str]] = []
    before = 0
    for item in runnable(environment, ownership):
        if item.source is None or item.state not in {"fits", "unchecked"}:
            continue
        digests = item.source.digest, files[item.path].digest
        if not all(digests):
            found.append((item, "unread"))
            continue
        name = key(*digests, compiler, item.level)
        if name in remembered:
            before += 1
        else:
            asked.append((item, name))
    if not asked:
        return Judged(found=tuple(found), same=before, remembered=before, wanted=compiler)
    judge = find_judge(environment, root=root, candidates=candidates)
    if judge is None:
        unjudged = tuple((item, "unjudged") for item, _ in asked)
        return Judged(found=(*found, *unjudged), same=before, remembered=before, wanted=compiler)
    answers = _Court(judge, environment, root, [item for item, _ in asked], tick).sit(max(workers, 1))
    if set(answers) == {"unjudged"}:
        judge = None
    proven = frozenset(name for (_, name), answer in zip(asked, answers, strict=True) if answer == "same")
    found += [(item, answer) for (item, _), answer in zip(asked, answers, strict=True) if answer != "same"]
    counts = Counter(answers)
    return Judged(found=tuple(found), same=before + counts["same"], remembered=before, judge=judge, wanted=compiler, proven=proven)


class _Court:
    """Children that judge, a thread for each, and the pairs that they take from one list."""

    def __init__(
        self, judge: Judge, environment: Environment, root: str, items: list[Runnable], tick: Callable[[int, int], None] | None
    ) -> None:
        self.judge = judge
        self.environment = environment
        self.view = View(root)
        self.root = root
        self.items = items
        self.tick = tick
        self.answers = ["unjudged"] * len(items)
        self.patience = _PATIENCE
        self.queue: SimpleQueue[list[int]] = SimpleQueue()
        self.done = 0

    def sit(self, workers: int) -> list[str]:
        """The answers, in the order of the pairs."""
        indices = list(range(len(self.items)))
        for start in range(0, len(indices), _BATCH):
            self.queue.put(indices[start : start + _BATCH])
        threads = [threading.Thread(target=self._work, daemon=True) for _ in range(min(workers, self.queue.qsize()))]
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(0.2)
                if self.tick is not None:
                    self.tick(self.done, len(self.items))
        return self.answers

    def _work(self) -> None:
        child: subprocess.Popen[bytes] | None = None
        try:
            while True:
                try:
                    batch = self.queue.get_nowait()
                except Empty:
                    return
                while batch:
                    child = child or self._start()
                    if child is None:
                        return
                    answered = self._ask(child, batch)
                    self.done += answered
                    if answered < len(batch):  # it died, or took too long, on the next one
                        self.answers[batch[answered]] = "failed"
                        _end(child)
                        child = None
                        self.done += 1
                    batch = batch[answered + 1 :]
        finally:
            if child is not None:
                _end(child)

    def _start(self) -> subprocess.Popen[bytes] | None:
        """A child that is what it takes; None where it can not be started, or is something else."""
        script = os.path.abspath(code_judge.__file__)
        options = ["-I", "-S", "-B", "-W", "ignore", "-X", "utf8"]
        try:
            child = subprocess.Popen(
                [self.judge.executable, *options, script],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                env={},
                cwd="/",
            )
        except OSError:
            return None
        said = b""
        while not said.endswith(b"\n") and len(said) < 1 << 10 and (more := self._hear(child, 1)):
            said += more
        if said.decode("utf-8", "replace").rstrip("\n") == self.judge.compiler:
            return child
        _end(child)
        return None

    def _hear(self, child: subprocess.Popen[bytes], most: int) -> bytes:
        """What *child* says next, at most so many bytes; none where it is silent for too long, or at its end."""
        assert child.stdout is not None
        waiter = select.poll()
        waiter.register(child.stdout, select.POLLIN)
        if not waiter.poll(self.patience * 1000):
            self.patience = max(self.patience / 2, _LEAST_PATIENCE)
            return b""
        return os.read(child.stdout.fileno(), most)

    def _ask(self, child: subprocess.Popen[bytes], batch: list[int]) -> int:
        """Ask for *batch*, and note the answers; how many came."""
        assert child.stdin is not None
        request = b"\0".join(b"\0".join(self._fields(self.items[index])) for index in batch)
        left = memoryview(struct.pack("<I", len(request)) + request)
        try:
            while left:
                left = left[os.write(child.stdin.fileno(), left) :]
        except OSError:
            return 0
        count = 0
        while count < len(batch) and (said := self._hear(child, len(batch) - count)):
            for byte in said:
                self.answers[batch[count]] = _ANSWERS.get(byte, "failed")
                count += 1
        return count

    def _fields(self, item: Runnable) -> tuple[bytes, ...]:
        assert item.source is not None
        entry = self.environment.files[item.path]
        return (
            str(item.level).encode(),
            self._place(item.source.path),
            self._place(item.path),
            item.source.digest.hex().encode(),
            entry.digest.hex().encode(),
        )

    def _place(self, path: str) -> bytes:
        whole = f"{self.environment.prefix}/{path}"
        return os.fsencode(self.view.host(self.view.real(whole)) if self.root else whole)


def _end(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            pipe.close()
    child.wait()
