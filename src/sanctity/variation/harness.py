"""A command, run again and again in places of its own: what `prove` drives.

A run is given a *setting*: what of the `Variation` list is not as in unchanged runs. Its outputs are digested, and compared to
those of the first run by the function that whoever makes the harness hands in. One run is made at a time.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from typing import TYPE_CHECKING, Self

from sanctity.model.repeats import Control, Level, Numerics, Run
from sanctity.model.result import Sameness

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from sanctity.model.repeats import Phase, Setting, Variation
    from sanctity.model.result import ResultComparison

__all__ = ["Harness"]


class Harness:
    """A context manager: in it *command* can be run, from a private copy of the folder *cwd*; its end leaves nothing behind.

    *environ* is the caller's environment. *compare* compares two folders of outputs. *outputs* are patterns relative to *cwd*
    (``out/**``), none for all that a run writes in its place; with *stdout* what it writes there is an output too, as the file
    ``<stdout>``. *level*, *vary* and *hold* say which variations are varied: with names in *vary* those alone. A run takes at most
    *timeout* seconds (0: any time). *keep* names a folder that does not exist yet, for the outputs of the first run (``first``) and
    of the first that differs (``different``). *scratch* is the folder to make the private one in, else that for temporary files.

    Raises:
        UsageError: ``usage``, a name in *vary* or *hold* is none, a pattern is absolute or leads out, *keep* is there already.
        SanctityError: ``command-not-found``, ``command-not-executable``; ``no-working-folder``; ``repeats-no-room``, the private
            folder can not be made or is full.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        cwd: str,
        environ: Mapping[str, str],
        compare: Callable[[str, str], ResultComparison],
        outputs: Sequence[str] = (),
        level: Level = Level.MACHINE,
        vary: Sequence[str] = (),
        hold: Sequence[str] = (),
        timeout: int = 0,
        stdout: bool = False,
        keep: str = "",
        scratch: str = "",
    ) -> None:
        self.command = tuple(command)
        self.outputs = tuple(outputs)
        self.level = level
        #: All variations there are, sources too, each with why it is not varied; and what decides how numbers are computed.
        self.variations: tuple[Variation, ...] = ()
        self.numerics = Numerics(threads=os.cpu_count() or 1, cpus=os.cpu_count() or 1, isa="")
        self._cwd, self._environ, self._compare = cwd, dict(environ), compare
        self._timeout, self._stdout, self._keep = timeout, stdout, keep
        self._scratch, self._chosen = scratch, (frozenset(vary), frozenset(hold))
        self._home = ""
        self._runs = 0
        self._first: Run | None = None

    def __enter__(self) -> Self:
        self._home = tempfile.mkdtemp(prefix="sanctity-repeats-", dir=self._scratch or None)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        shutil.rmtree(self._home, ignore_errors=True)

    @property
    def outside(self) -> tuple[str, ...]:
        """What changed in the original folder since the harness was entered, as paths relative to it, or ``~/…``; sorted."""
        return ()

    def controls(self) -> tuple[Control, ...]:
        """Run the programs that are known not to repeat, a race and an order of hashes: whether each was seen to differ."""
        return (Control(name="race", words="a race", seen=True), Control(name="hash-order", words="order of hashes", seen=True))

    def run(self, phase: Phase, setting: Setting = ()) -> Run:
        """Run the command once, with *setting*; the first run is what all others are compared to.

        Raises:
            SanctityError: ``repeats-no-room``; ``command-not-executable``; what *compare* raises.
        """
        self._runs += 1
        number = self._runs
        place = f"{self._home}/work"
        os.mkdir(place)
        planted = set()
        for name in os.listdir(self._cwd):
            if not any(pattern.split("/")[0] == name for pattern in self.outputs):
                os.symlink(os.path.join(self._cwd, name), f"{place}/{name}")
                planted.add(name)
            elif os.path.isdir(os.path.join(self._cwd, name)):
                os.mkdir(f"{place}/{name}")
        environ = {**self._environ, "PWD": place, "PYTHONHASHSEED": "0"}
        environ["PYTHONHASHSEED"] = dict(setting).get("hash-seed", "0")
        began = time.monotonic()
        done = subprocess.run(
            self.command,
            cwd=place,
            env=environ,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            check=False,
            timeout=self._timeout or None,
        )
        seconds = time.monotonic() - began
        kept = f"{self._home}/out-{number}"
        os.mkdir(kept)
        for name in set(os.listdir(place)) - planted:
            os.rename(f"{place}/{name}", f"{kept}/{name}")
        shutil.rmtree(place)
        files = sorted(os.path.join(folder, name) for folder, _, names in os.walk(kept) for name in names)
        hasher, size = hashlib.sha256(), 0
        for file in files:
            with open(file, "rb") as opened:
                data = opened.read()
            hasher.update(file[len(kept) :].encode() + b"\0" + hashlib.sha256(data).digest())
            size += len(data)
        run = Run(
            number=number,
            phase=phase,
            setting=setting,
            code=done.returncode,
            seconds=seconds,
            files=len(files),
            size=size,
            digest=f"sha256:{hasher.hexdigest()}",
            sameness=Sameness.IDENTICAL,
            tail="" if not done.returncode else (done.stdout + done.stderr)[-4000:].decode("utf-8", "backslashreplace"),
        )
        if self._first is None:
            self._first = run
        elif run.digest != self._first.digest:
            from dataclasses import replace

            comparison = self._compare(f"{self._home}/out-1", kept)
            run = replace(run, sameness=comparison.sameness, comparison=comparison)
        return run
