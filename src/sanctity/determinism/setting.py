"""The call: one root seed for all that draws in this process, and the receipt of what it reached.

The order is fixed: what the interpreter itself draws from, then each library that is imported, in the order of `LIBRARIES`; those
that are not are waited for. No library is ever imported to be seeded. What is no randomness (threads, precision, kernels) is
recorded and left alone. The program is never run again in the hope of a better start: what came too late is told, with what would
have been in time.
"""

from __future__ import annotations

import os
import sys
from _operator import index

from sanctity.determinism import arrival
from sanctity.determinism.receipt import Receipt, Row, plain
from sanctity.determinism.scheme import SAME_INTEGER, SCHEME, SCHEMES, check_root, derive

TYPE_CHECKING = False  # importing `typing` for it would take longer than all else that is done here
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, Literal

__all__ = ["DEFAULT_SEED", "LIBRARIES", "VARIABLE", "Setting", "current", "establish", "jax_key", "say", "set_global_determinism"]

#: The variable that the call without a seed takes its own from. `sanctity run --seed` sets it; the call never does.
VARIABLE = "SANCTITY_SEED"
#: The variable that names a folder for the receipts of all processes. See files.py.
RECEIPTS = "SANCTITY_RECEIPTS"
DEFAULT_SEED = 42
ALGORITHMS = ("raise", "warn", "leave")

#: For each library: the module that is waited for, its name, its controls, and the module of ours that reaches it.
LIBRARIES = (
    ("multiprocessing.process", "multiprocessing", ("spawn-children",), "children"),
    ("numpy.random", "numpy", ("numpy-legacy",), "controls_numpy"),
    (
        "torch",
        "torch",
        (
            "torch-cpu",
            "torch-cuda",
            "torch-algorithms",
            "cudnn",
            "cublas-workspace",
            "torch-mps",
            "torch-xpu",
            "torch-other",
            "dataloader-workers",
        ),
        "controls_torch",
    ),
    ("cupy", "cupy", ("cupy",), "controls_others"),
    ("tensorflow", "tensorflow", ("tensorflow", "tensorflow-ops"), "controls_tensorflow"),
    ("keras", "keras", ("keras",), "controls_keras"),
    ("jax", "jax", ("jax",), "controls_others"),
)


class Setting:
    """What the last call of this process asked for, and where the process stands among its parent's children.

    *root* is the seed, *labels* is what every path of this process begins with: the rank where one was given, and the numbers of
    the children that lead here. Named streams do without the latter: a name means the same in every process. *memory* is what a
    control remembers to recognise its own work.
    """

    __slots__ = (
        "algorithms",
        "child",
        "children",
        "default",
        "memory",
        "path",
        "pid",
        "quiet",
        "rank",
        "receipt",
        "root",
        "scheme",
        "strict",
    )

    def __init__(
        self,
        root: int,
        *,
        scheme: str = SCHEME,
        rank: int | None = None,
        child: tuple[int, ...] = (),
        algorithms: str = "raise",
        strict: bool = False,
        quiet: bool = False,
        path: str | None = None,
        default: bool = False,
    ) -> None:
        self.root = root
        #: Whether nobody chose the root.
        self.default = default
        self.scheme = scheme
        self.rank = rank
        self.child = child
        #: How many children this process has had since the call, by fork or by multiprocessing.
        self.children = 0
        self.algorithms = algorithms
        self.strict = strict
        self.quiet = quiet
        self.path = path
        self.pid = os.getpid()
        self.memory: dict[str, Any] = {}
        from sanctity import __version__

        self.receipt = Receipt(
            seed=root, scheme=scheme, version=__version__, rank=rank, child=child, algorithms=algorithms, again=self.read_back
        )

    @property
    def classic(self) -> bool:
        """Whether every library is given the root itself."""
        return self.scheme == SAME_INTEGER

    @property
    def labels(self) -> tuple[str | int, ...]:
        """What the paths of this process begin with."""
        rank: tuple[str | int, ...] = () if self.rank is None else ("rank", self.rank)
        return rank + tuple(label for number in self.child for label in ("child", number))

    def seed(self, *labels: str | int, bits: int = 128) -> int:
        """The seed of the path *labels* in this process."""
        return derive(self.root, *self.labels, *labels, bits=bits)

    # -- reaching -----------------------------------------------------------------------------------------------------------------

    def apply(self) -> None:
        """Reach all that is here, and wait for what is not."""
        from sanctity.determinism import controls

        self.receipt.update(controls.apply(self))
        waiting: dict[str, Callable[[str], object]] = {}
        for module, library, names, _ in LIBRARIES:
            if arrival.here(module):
                self._reach(module)
            elif module in sys.modules and sys.modules[module] is not None:
                words, remedy = f"{module} is being imported at this moment", "make the call again when it is imported"
                self.receipt.update(Row(name, library, "refused", words, remedy) for name in names)
            else:
                status, words = (
                    ("pending", f"{module} is not imported yet")
                    if arrival.installed(module)
                    else ("unavailable", f"{library} is not installed")
                )
                self.receipt.update(Row(name, library, status, words) for name in names)
                waiting[module] = self._arrived
        for module in [name for name in waiting if arrival.here(name)]:
            # Reaching one library can import another: PyTorch's states are read through numpy.random.
            del waiting[module]
            self._reach(module)
        arrival.stop()
        arrival.await_modules(waiting)
        self.receipt.record(controls.record())

    def reseed(self) -> None:
        """Seed the streams again, in a forked child; settings were copied, and need nothing."""
        from sanctity.determinism import controls

        self.receipt.update(controls.reseed(self))
        for module, library, names, ours in LIBRARIES:
            if not arrival.here(module) or self.receipt[names[0]].status in {"pending", "unavailable"}:
                continue
            reseed = getattr(_module(ours), "reseed", None)
            try:
                if reseed is not None:
                    self.receipt.update(reseed(self))
            except Exception as error:  # noqa: BLE001 - see _reach
                words = f"it could not be seeded in this child: {type(error).__name__}: {error}"
                self.receipt.update([Row(names[0], library, "refused", words, "call set_global_determinism in the child")])

    def _reach(self, module: str) -> None:
        """Apply the controls of the library behind *module*; whatever goes wrong is a row."""
        _, library, names, ours = next(each for each in LIBRARIES if each[0] == module)
        try:
            rows = list(_module(ours).apply(self, module))
        except Exception as error:  # noqa: BLE001 - a library that is not as it was known must not end the program
            words = f"{library} is not as it is known here: {type(error).__name__}: {error}"
            rows = [Row(name, library, "refused", words, "seed it yourself, and report this") for name in names]
        self.receipt.update(rows)

    def _arrived(self, module: str) -> None:
        """Reach a library whose import has just ended."""
        if current() is not self:
            return
        before = set(self.receipt.loud)
        self._reach(module)
        from sanctity.determinism import controls

        self.receipt.record(controls.record())
        self.publish_or_tell()
        new = [row for row in self.receipt.loud if row not in before]
        self.tell(new)
        if self.strict and new:
            self.receipt.require(*(row.control for row in new))

    # -- telling ------------------------------------------------------------------------------------------------------------------

    def read_back(self) -> tuple[Iterable[Row], dict[str, str]]:
        """The rows as they are to be now, and what is recorded."""
        from sanctity.determinism import controls

        rows = list(controls.read_back(self))
        for module, library, names, ours in LIBRARIES:
            if not arrival.here(module):
                continue
            if module in arrival.awaited():
                words = f"{module} was imported by a way that was not seen"
                rows += [Row(name, library, "refused", words, "make the call again") for name in names]
                continue
            try:
                rows += _module(ours).read_back(self, module)
            except Exception as error:  # noqa: BLE001 - see _reach
                words = f"it can not be read back: {type(error).__name__}: {error}"
                rows += [self.receipt[name].with_status("refused", words) for name in names]
        relaxing: Any = sys.modules.get("sanctity.determinism.relaxing")
        if relaxing is not None:
            rows = relaxing.read_back(self, rows)
        self.receipt.update(rows)
        self.publish()
        return rows, controls.record()

    def publish(self) -> None:
        """Write the receipt where it was asked for."""
        if self.path is not None and self.pid == os.getpid():
            _write(self.path, self.receipt.to_json())
        folder = os.environ.get(RECEIPTS)
        if folder:
            from sanctity.determinism import files

            files.keep(folder, self.receipt)

    def publish_or_tell(self) -> None:
        """Do so where nobody asked for it just now: what goes wrong is told, and ends neither an import nor a child."""
        from sanctity.errors import SanctityError

        try:
            self.publish()
        except SanctityError as error:
            say(f"sanctity: {error}")

    def tell(self, rows: Iterable[Row]) -> None:
        """Say in one line on standard error which of *rows* are not applied."""
        rows = list(rows)
        if self.quiet or not rows:
            return
        first = next((row.remedy for row in rows if row.remedy), "")
        words = ", ".join(f"{row.control} ({row.status.replace('-', ' ')})" for row in rows)
        more = "; print the receipt for the rest" if len(rows) > 1 else ""
        chosen = f"{self.root} (the default)" if self.default else f"{self.root}"
        say(f"sanctity: seed {chosen} did not reach {words}" + (f"; {first}{more}" if first else ""))


_current: Setting | None = None


def current() -> Setting | None:
    """The setting of this process's last call, or the one that it inherited; None where there was neither."""
    return _current


def establish(setting: Setting) -> Setting:
    """Make *setting* the one of this process, and apply it."""
    global _current  # noqa: PLW0603 - streams, flags and hooks are the process's own, so what they were set to is as well
    relaxing: Any = sys.modules.get("sanctity.determinism.relaxing")
    if _current is not None:
        _current.receipt.detach()
        if relaxing is not None:
            relaxing.forget(_current, setting)
    _current = setting
    setting.apply()
    if relaxing is not None:
        relaxing.again(setting)
    return setting


def refresh(setting: Setting) -> None:
    """Have the receipt of *setting* say what is registered now."""
    from sanctity.determinism import controls

    setting.receipt.update([controls.generators(setting)])
    setting.publish_or_tell()


def set_global_determinism(
    seed: int | None = None,
    *,
    scheme: Literal["sanctity-seed/1", "same-integer"] = "sanctity-seed/1",
    rank: int | None = None,
    algorithms: Literal["raise", "warn", "leave"] = "raise",
    strict: bool = False,
    quiet: bool = False,
    receipt: str | os.PathLike[str] | None = None,
) -> Receipt:
    """Seed all that draws in this process from one *seed*, make it keep to one order, and say what was not reached.

    *seed* is in 0 .. 2**128 - 1. Without one it is what ``SANCTITY_SEED`` holds, else 42. *rank* gives a process of many its own
    streams; without it all ranks share theirs. *algorithms* is what a library does that is asked for an operation without a
    deterministic way: ``raise``, ``warn``, or ``leave``, which leaves every such setting as it is. *scheme* ``same-integer`` gives
    every library the seed itself, as old runs did. *strict* raises where a row is not applied that would be told, *quiet* tells
    nothing on standard error, and *receipt* names a file that the receipt is written to, now and whenever it changes.

    It may be called again: every stream begins anew. In a child of a process that made it, the number of the child is part of every
    path, whoever calls. docs/determinism.md says row by row what it does, and what it never changes.

    Raises:
        sanctity.errors.UsageError: ``seed-invalid``, ``seed-conflict``, ``determinism-argument``.
        sanctity.errors.SanctityError: ``control-not-applied`` under *strict*; ``receipt-unwritable``.
    """
    root = _root(seed)
    if scheme not in SCHEMES:
        raise _usage(f"scheme is {scheme!r}; it is {' or '.join(map(repr, SCHEMES))}")
    if algorithms not in ALGORITHMS:
        raise _usage(f"algorithms is {algorithms!r}; it is {', '.join(map(repr, ALGORITHMS[:-1]))} or {ALGORITHMS[-1]!r}")
    number = None if rank is None else _rank(rank)
    if scheme == SAME_INTEGER and (rank is not None or root >= 1 << 64):
        raise _usage(f"the scheme {SAME_INTEGER!r} has no ranks, and its seed is below 2**64")
    setting = Setting(
        root,
        scheme=scheme,
        rank=number,
        child=_current.child if _current is not None else (),
        algorithms=algorithms,
        strict=strict,
        quiet=quiet,
        path=None if receipt is None else os.path.abspath(os.fsdecode(receipt)),
        default=seed is None and not os.environ.get(VARIABLE),
    )
    establish(setting)
    setting.publish()
    setting.tell(setting.receipt.loud)
    if strict:
        setting.receipt.require()
    return setting.receipt


def jax_key() -> Any:
    """The root key of this process, from which every other key of JAX is to be split or folded.

    Raises:
        sanctity.errors.UsageError: ``determinism-argument``: the call was not made, or jax is not imported.
    """
    if _current is None or not arrival.here("jax"):
        raise _usage("there is no key before set_global_determinism was called and jax was imported")
    from sanctity.determinism import controls_others

    return controls_others.jax_key(_current)


def _rank(rank: object) -> int:
    """*rank* as an int."""
    try:
        number = -1 if isinstance(rank, bool) else index(rank)  # type: ignore[arg-type] # whether it can be is what is asked
    except TypeError:
        number = -1
    if not 0 <= number < 1 << 63:
        raise _usage(f"rank is {rank!r}; it is an integer from 0")
    return number


def _root(seed: object) -> int:
    """The root that *seed* and the variable agree on."""
    stated = os.environ.get(VARIABLE)
    if not stated:
        return check_root(DEFAULT_SEED if seed is None else seed)
    from sanctity.errors import UsageError

    words = stated.strip()
    if not (words.isascii() and words.isdecimal() and len(words) < 40 and int(words) < 1 << 128):
        raise UsageError(
            "seed-invalid",
            f"{plain(repr(stated))} is no seed: an integer from 0 to 2**128 - 1 in decimal",
            where=VARIABLE,
            hint=f"unset {VARIABLE}, or let `sanctity run --seed` set it",
        )
    root = int(words)
    if seed is not None and check_root(seed) != root:
        raise UsageError(
            "seed-conflict",
            f"the program asks for seed {seed}, and {VARIABLE} is {root}",
            hint=f"call without a seed, so that {VARIABLE} decides, or start the program without it",
        )
    return root


def _module(name: str) -> Any:
    """A module of this room that is imported where its library is."""
    return __import__(f"sanctity.determinism.{name}", fromlist=["apply"])


def _usage(message: str) -> Exception:
    from sanctity.errors import UsageError

    return UsageError("determinism-argument", message, hint="see docs/determinism.md")


def _write(path: str, text: str) -> None:
    """Have *text* in the file *path*. Raises SanctityError ``receipt-unwritable``."""
    from sanctity.determinism.writing import place_file

    try:
        place_file(path, text.encode("utf-8"))
    except (OSError, ValueError) as error:  # a name with a null character is no name
        from sanctity.errors import SanctityError

        words = f"the receipt can not be written: {getattr(error, 'strerror', None) or error}"
        raise SanctityError(
            "receipt-unwritable", words, where=plain(path), hint="name a file in a folder that can be written to"
        ) from error


def say(text: str) -> None:
    """Print *text* where people look: standard error as the program has it, else as the process has it."""
    try:
        stream = sys.stderr
        stream.write(text + "\n")
        stream.flush()
    except (AttributeError, OSError, ValueError):  # None in a program without a console; closed; or in another encoding
        try:
            os.write(2, text.encode("utf-8", "backslashreplace") + b"\n")
        except OSError:
            return
