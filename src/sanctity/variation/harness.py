"""A command, run again and again in places of its own: what `prove` drives.

A run is given a *setting*: what of the `Variation` list is not as in unchanged runs. Its outputs are digested, and compared to
those of the first run by the function that whoever makes the harness hands in. One run is made at a time.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Self

from sanctity.errors import SanctityError, UsageError
from sanctity.model.repeats import Control, Level, Phase, Run
from sanctity.model.result import Sameness
from sanctity.processes import find_program
from sanctity.scratch import remove
from sanctity.variation.catalogue import HOOKED, catalogue, look, numerics
from sanctity.variation.controls import KNOWN
from sanctity.variation.launch import Start, handed_on, place_hook, run_start, start_of, watched, written
from sanctity.variation.outputs import MOST_WATCHED, STDOUT, changed, collect, digest, snapshot
from sanctity.variation.patterns import Patterns
from sanctity.variation.place import Farm, Tree, make_scratch, no_room, read_tree
from sanctity.variation.wrapped import REFUSED, wrapped

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from sanctity.model.repeats import Setting, Variation
    from sanctity.model.result import ResultComparison
    from sanctity.processes import Done
    from sanctity.variation.controls import Known

__all__ = ["Harness"]

#: The caller's folder is looked at after each run where it has fewer entries than that, else at the end alone.
_CHEAP: Final = 2000
#: How long a positive control may take, in seconds.
_LONGEST: Final = 60
#: So many seconds apart begin runs that are to see other times: whole seconds are the coarsest that programs seed by.
_APART: Final = 1.1
#: So many runs are usual where none differs: two unchanged and five varied.
_USUAL: Final = 7
#: Runs with sources held are made for two settings in turn; the outputs of the first of so many are kept.
_MOST_HELD: Final = 2
_ORDER: Final = tuple(Sameness)
_PYTHON: Final = re.compile(r"(?:python|pypy)[0-9.]*\Z").match
_EVERYTHING: Final = Patterns(())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt:
    """How one run went: *reached* says whether the hook was loaded; *files* lie in the folder for them."""

    done: Done
    reached: bool
    files: tuple[str, ...]
    outside: tuple[str, ...]


def _check_folder(path: str, named: str) -> None:
    """See that the folder *path* can be made, which was *named* so: make it and what is missing above it, and remove that.

    Raises:
        UsageError: ``output-failed``.
    """
    missing = [path]
    while not os.path.lexists(os.path.dirname(missing[-1])):
        missing.append(os.path.dirname(missing[-1]))
    made = []
    try:
        for folder in reversed(missing):
            os.mkdir(folder)
            made.append(folder)
    except OSError as error:
        words = error.strerror or "it can not be made"
        raise UsageError("output-failed", words, where=f"--keep {named}", hint="name another folder") from error
    finally:
        for folder in reversed(made):
            os.rmdir(folder)


def _refused(run: Run) -> SanctityError:
    words = ", ".join(name for name, _ in run.setting)
    return SanctityError(
        "repeats-not-set",
        f"it ended with {REFUSED}, as where it refuses the variables of a run" + (f" with {words} changed" if words else ""),
        where="sanctity run",
        hint="leave alone what it refuses, such as --hold threads --hold instruction-set",
    )


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
        self._cwd, self._environ, self._compare = os.path.abspath(cwd), dict(environ), compare
        self._timeout, self._stdout, self._below = timeout, stdout, scratch
        self._keep = os.path.join(self._cwd, keep) if keep else ""
        if self._keep and os.path.lexists(self._keep):
            raise UsageError("usage", "it is there already", where=f"--keep {keep}", hint="name a folder that does not exist yet")
        if self._keep:
            _check_folder(self._keep, keep)
        self._patterns = Patterns(outputs)
        self._machine = look(self._environ)
        #: All variations there are, sources too, each with why it is not varied; and what decides how numbers are computed.
        self.variations: tuple[Variation, ...] = catalogue(self._machine, self._environ, level, vary, hold)
        self._wrapped = wrapped(self.command)
        if self._wrapped is not None:
            self.variations = self._wrapped.limit(self.variations)
        self.numerics = numerics(self._machine, self._environ)
        home = self._environ.get("HOME", "")
        self._farm = Farm(read_tree(self._cwd, self._patterns, home), home)
        self._program = find_program(command[0] if command else "", self._environ, self._cwd)
        self._when = int(time.time())
        self._runs = 0
        self._faked = False
        self._wrote: set[str] = set()
        self._gravest = Sameness.IDENTICAL
        self._first: Run | None = None
        self._held: list[Run] = []
        self._began_held: dict[Setting, float] = {}
        self._began_first = 0.0
        self._compared: dict[tuple[str, str], ResultComparison] = {}
        self._outside: set[str] = set()

    def __enter__(self) -> Self:
        self._scratch = make_scratch(self._below)
        self._home = self._scratch.home
        try:
            place_hook(self._home)
            self._began = time.time()
            self._seen = snapshot(self._cwd, self._home, self._environ.get("HOME", ""))
            self._cheap = len(self._seen) < _CHEAP
        except OSError as error:
            self._scratch.close()
            raise no_room(error, self._home) from error
        except BaseException:
            self._scratch.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is None and self._keep:
                self._keep_outputs()
        finally:
            self._scratch.close()

    def _keep_outputs(self) -> None:
        """Leave what the first run wrote, and the first that differs, in the folder that was named for it.

        Raises:
            SanctityError: ``output-failed``.
        """
        try:
            os.makedirs(self._keep)
            for name, kept in (("first", "out-1"), ("different", "different")):
                if os.path.isdir(f"{self._home}/{kept}"):
                    shutil.copytree(f"{self._home}/{kept}", f"{self._keep}/{name}", symlinks=True)
        except (OSError, shutil.Error) as error:
            words = getattr(error, "strerror", "") or "not all of it can be written"
            raise SanctityError("output-failed", words, where=self._keep, hint="name another folder") from error

    @property
    def deaf(self) -> str:
        """The option (``-I``, ``-E``) with which the command's Python takes no variables, so no hash seed; empty where it does."""
        if not self.command or not _PYTHON(os.path.basename(self.command[0])):
            return ""
        words = iter(self.command[1:])
        for word in words:
            if not word.startswith("-") or word.startswith("--"):
                break
            for number, letter in enumerate(word[1:], 2):
                if letter in "IE":
                    return f"-{letter}"
                if letter in "cm":
                    return ""
                if letter in "XW":
                    if number == len(word):
                        next(words, "")
                    break
        return ""

    @property
    def outside(self) -> tuple[str, ...]:
        """What runs wrote out of their places: paths relative to the original folder, ``../…`` or ``~/…``; sorted."""
        self._look_outside()
        return tuple(sorted(self._outside))

    def _look_outside(self) -> tuple[str, ...]:
        now = snapshot(self._cwd, self._home, self._environ.get("HOME", ""))
        found = changed(self._seen, now)
        self._seen = now
        self._outside.update(found)
        return found

    # -- controls ------------------------------------------------------------------------------------------------------------------

    def controls(self) -> tuple[Control, ...]:
        """Run the programs that are known not to repeat, a race and an order of hashes: whether each was seen to differ.

        Raises:
            SanctityError: as `run`.
        """
        with ThreadPoolExecutor(len(KNOWN)) as pool:
            return tuple(pool.map(self._control, KNOWN))

    def _control(self, known: Known) -> Control:
        base = f"{self._home}/{known.name}"
        try:
            os.mkdir(base)
            with open(f"{base}/program.py", "w", encoding="utf-8") as file:
                file.write(known.program)
        except OSError as error:
            raise no_room(error, self._home) from error
        command = (sys.executable, "-S", "-B", f"{base}/program.py")
        farm = Farm(Tree(root="", rows=()), "")
        seen = False
        for _ in range(known.times):
            digests = []
            for number, seed in enumerate(known.seeds):
                start = start_of((), self._environ, self._machine, self._when)
                start.environ["PYTHONHASHSEED"] = seed
                start.hook.clear()
                kept = f"{base}/out-{number}"
                attempt = self._attempt(command, sys.executable, start, farm, base=base, kept=kept, timeout=_LONGEST)
                digests.append(digest(kept, attempt.files)[0] if attempt.files and attempt.done.code == 0 else "")
                remove(kept)
            seen = all(digests) and len(set(digests)) > 1
            if seen:
                break
        remove(base)
        return Control(name=known.name, words=known.words, seen=seen)

    # -- runs ----------------------------------------------------------------------------------------------------------------------

    def run(self, phase: Phase, setting: Setting = ()) -> Run:
        """Run the command once, with *setting*; the first run is what all others are compared to.

        Raises:
            SanctityError: ``repeats-no-room``; ``repeats-not-set``; ``command-not-executable``; what *compare* raises.
        """
        self._runs += 1
        number = self._runs
        kept = f"{self._home}/out-{number}"
        setting = self._changes(setting)
        self._wait(phase, setting)
        began = time.time()
        attempt = self._once(setting, kept)
        if ("time", "held") in setting and not (attempt.reached or self._faked) and self._machine.faketime:
            # No Python of this command reads the hook, so its time is held by what stands before its C library.
            self._faked = True
            remove(kept)
            attempt = self._once(setting, kept)
        unseen = () if attempt.reached else tuple(name for name, _ in setting if name in HOOKED)
        try:
            value, size = digest(kept, attempt.files)
        except OSError as error:
            raise no_room(error, self._home) from error
        outside = {*attempt.outside, *(self._look_outside() if self._cheap else ())}
        seen = watched(self._home)
        far = written(seen.wrote, began, self._environ)
        if len(self._seen) <= MOST_WATCHED:
            # What is in the caller's folder is known already, whoever wrote it.
            far = tuple(path for path in far if not path.startswith(f"{os.path.realpath(self._cwd)}/"))
        outside.update(far)
        # A clock of files is as coarse as a turn of the kernel's scheduler (inode(7)).
        handed = handed_on(seen.read, self._wrote, self._began, began - 0.01)
        self._wrote |= seen.wrote
        self._outside.update(outside)
        code = attempt.done.code
        run = Run(
            number=number,
            phase=phase,
            setting=setting,
            code=code,
            seconds=attempt.done.seconds,
            files=len(attempt.files),
            size=size,
            digest=value,
            tail=attempt.done.tail if code != 0 else "",
            outside=tuple(sorted(outside)),
            handed=handed,
            unseen=tuple(name for name in unseen if name != "time" or not self._faked),
        )
        if self._first is None:
            self._first = run
            return run
        if self._wrapped is not None and code == REFUSED != self._first.code:
            raise _refused(run)
        return self._judged(run, kept)

    def _wait(self, phase: Phase, setting: Setting) -> None:
        """Have a run that judges the time see another second than what it is compared to, and the last of a usual proof, too."""
        now = time.monotonic()
        if phase is Phase.HELD:
            first = self._began_held.setdefault(setting, now)
            judges = ("time", "held") not in setting
        else:
            first = self._began_first = self._began_first or now
            judges = self._runs >= _USUAL
        if judges and first != now:
            time.sleep(max(first + _APART - now, 0.0))

    def _once(self, setting: Setting, kept: str) -> _Attempt:
        start = start_of(setting, self._environ, self._machine, self._when, faked=self._faked)
        if self._wrapped is not None:
            self._wrapped.leave(start, self._environ.get("PYTHONHASHSEED"))
        return self._attempt(self.command, self._program, start, self._farm, base=self._home, kept=kept, timeout=self._timeout)

    def _changes(self, setting: Setting) -> Setting:
        """Of *setting*, what is not as in unchanged runs."""
        known = {variation.name: variation.values for variation in self.variations}
        for name, value in setting:
            if value not in known[name]:
                raise ValueError(f"{value!r} is no value of {name}")
        return tuple((name, value) for name, value in setting if value != known[name][0])

    def _judged(self, run: Run, kept: str) -> Run:
        """*run*, compared to the first one; its outputs in *kept* are removed, but for the first that are not the same.

        Where sources are held it is compared to the first of the runs before it with the same ones held: what a held source gives
        is no more like the first run than what a free one does.
        """
        assert self._first is not None
        first, before = self._first, f"{self._home}/out-{self._first.number}"
        if run.phase is Phase.HELD:
            held = next((each for each in self._held if each.setting == run.setting), None)
            if held is None:
                if len(self._held) == _MOST_HELD:
                    remove(f"{self._home}/held-{self._held.pop(0).number}")
                os.rename(kept, f"{self._home}/held-{run.number}")
                self._held.append(run)
                return run
            first, before = held, f"{self._home}/held-{held.number}"
        if run.digest != first.digest:
            comparison = self._compared.get((first.digest, run.digest))
            if comparison is None:
                comparison = self._compared[first.digest, run.digest] = self._compare(before, kept)
            comparison = replace(comparison, before=f"run {first.number}", after=f"run {run.number}")
            run = replace(run, sameness=comparison.sameness, comparison=comparison)
        if run.code != first.code:
            room = os.statvfs(self._home)
            if room.f_bavail * room.f_frsize < first.size:  # it failed, or ended otherwise, for want of it
                raise no_room(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), self._home)
            run = replace(run, sameness=Sameness.DIFFERENT)
        graver = _ORDER.index(run.sameness) > _ORDER.index(self._gravest)
        if run.phase is not Phase.HELD and run.digest != first.digest and graver:
            self._gravest = run.sameness
            remove(f"{self._home}/different")
            os.rename(kept, f"{self._home}/different")
        else:
            remove(kept)
        return run

    def _attempt(
        self, command: Sequence[str], program: str, start: Start, farm: Farm, *, base: str, kept: str, timeout: int
    ) -> _Attempt:
        """Run *command* in *farm*, laid out below *base*, and take its outputs to the folder *kept*."""
        own = base == self._home
        tmp = f"{base}/{start.tmp}"
        try:
            for folder in (kept, tmp):
                os.makedirs(folder)
            planted, home = farm.lay(f"{base}/{start.work}", f"{base}/{start.home}")
            start.environ |= {"PWD": planted.root, "TMPDIR": tmp} | ({"HOME": home} if home else {})
            start.environ |= {variable: tmp for variable in ("TMP", "TEMP") if variable in start.environ}
            if "/" in command[0] and not os.path.isabs(command[0]) and os.access(f"{planted.root}/{command[0]}", os.X_OK):
                program = f"{planted.root}/{command[0]}"
            stdout = f"{kept}/{STDOUT}" if self._stdout and own else ""
            done, reached = run_start(
                command, program, start, self._scratch, cwd=planted.root, mark=base, stdout=stdout, timeout=timeout
            )
            found = collect(planted, self._patterns if own else _EVERYTHING, kept)
            outside = {*found.outside, *farm.clear()}
        except BaseException as error:
            farm.remove()
            if isinstance(error, OSError):
                raise no_room(error, self._home) from error
            raise
        finally:
            remove(tmp)
        files = tuple(sorted({*found.files, *({STDOUT} if stdout else ())}))
        return _Attempt(done=done, reached=reached, files=files, outside=tuple(sorted(outside)))
