"""What mends a lock: the command of the tool that made it, and of no other.

A compiled requirements file says in its first lines how it was made. That is somebody's text, and what is run of it is put together
from words that are known: the tools pip-compile and uv, their options that only say what is compiled, and files of the project.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from sanctity.linting.paths import relative
from sanctity.model.drift import Severity
from sanctity.model.lock import LockFormat

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sanctity.model.finding import Finding
    from sanctity.model.lock import Lock

__all__ = ["FIXABLE", "Remedy", "Step", "locked_name", "mended", "remedy_of", "steps_for"]

#: What locking again mends. Anything else is for somebody to look at: a forged hash must not be locked over.
FIXABLE: Final = frozenset({"lock-stale", "unhashed", "weak-hash", "unpinned", "closure-incomplete", "locks-disagree"})
#: Locks that have every hash that the index gives: locking again gives no more of them.
_HASHES_OF_INDEX: Final = frozenset({LockFormat.UV, LockFormat.PIXI, LockFormat.CONDA_LOCK})
#: Of these, what only a lock with hashes mends.
_HASHLESS: Final = frozenset({"unhashed", "weak-hash"})
_HEAD: Final = 8192
_COMMAND: Final = re.compile(
    r"^#[ \t]+((?:python[0-9.]* -m )?(?:piptools compile|pip-compile|uv pip compile|uv export)\b.*)$", re.MULTILINE
)
_FLAGS: Final = frozenset(
    (  # noqa: SIM905 - words read better than texts
        "--generate-hashes --universal --strip-extras --no-strip-extras --allow-unsafe --no-allow-unsafe --all-extras --no-header "
        "--no-annotate --no-emit-index-url --emit-index-url --no-emit-trusted-host --no-emit-options --pre --quiet -q --no-deps "
        "--all-build-deps --reuse-hashes --no-reuse-hashes --frozen --locked --no-dev --all-groups --no-emit-project --no-editable "
        "--all-packages --no-emit-workspace --no-emit-local --no-default-groups --only-dev --no-emit-find-links --no-sources "
        "--no-hashes"
    ).split()
)
_VALUED: Final = frozenset(
    (  # noqa: SIM905 - words read better than texts
        "-o --output-file -c --constraint --constraints --override --overrides --extra --group --only-group --no-group --no-extra "
        "--python-version --python-platform --resolver --annotation-style --format --unsafe-package --no-emit-package "
        "--exclude-newer --package --prerelease --resolution"
    ).split()
)
#: Options that a fix leaves out: it mends what is there, and moves nothing else.
_LEFT_OUT: Final = frozenset({"--upgrade", "-U"})
_OUTPUT: Final = frozenset({"-o", "--output-file"})
#: The names that a tool gives its lock.
_OWN_NAMES: Final = {
    LockFormat.UV: r"uv\.lock|.+\.py\.lock",
    LockFormat.POETRY: r"poetry\.lock",
    LockFormat.PIPFILE: r"Pipfile\.lock",
    LockFormat.PIXI: r"pixi\.lock",
}
#: How each tool is asked to lock, whatever the file is called.
_AGAIN: Final = {
    LockFormat.UV: "uv lock",
    LockFormat.POETRY: "poetry lock",
    LockFormat.PIPFILE: "pipenv lock",
    LockFormat.PIXI: "pixi lock",
}
_WORD: Final = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_./:+\[\],=<>!~-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A *command* to be run in *folder* (relative to the lock's own, or to what its path is relative to) that mends *path*.

    *codes* are what it mends.
    """

    command: tuple[str, ...]
    folder: str
    path: str
    codes: tuple[str, ...] = ()

    def __str__(self) -> str:
        """What a shell runs, from where the lock's path is seen from."""
        return (f"cd {shlex.quote(self.folder)} && " if self.folder else "") + shlex.join(self.command)


class Remedy(NamedTuple):
    """What makes a lock again, in *words* that fit a line, and the *command* that they are, empty where they are none."""

    words: str
    command: str = ""


def remedy_of(lock: Lock, text: str) -> Remedy:
    """How *lock*, which *text* is, is made again with hashes."""
    step = _step(lock, text, hashes=lock.format is LockFormat.REQUIREMENTS)
    if step is not None:
        return Remedy(str(step), str(step))
    path = shlex.quote(lock.path)
    match lock.format:
        case LockFormat.REQUIREMENTS if (said := _COMMAND.search(text[:_HEAD])) is not None:
            hashes = "" if "export" in said[1].split()[1:2] else ", with --generate-hashes"
            return Remedy(f"run the command in its first lines again{hashes}")
        case LockFormat.REQUIREMENTS if lock.generator.startswith(("PDM", "Poetry")):
            return Remedy(f"export it again with hashes: {lock.generator.split()[0].lower()} export -o {path}")
        case LockFormat.REQUIREMENTS:
            command = f"uv pip compile --generate-hashes {path} -o {shlex.quote(locked_name(lock.path))}"
        case LockFormat.PYLOCK:
            return Remedy(f"lock again with {lock.generator or 'the tool that made it'}")
        case LockFormat.ENVIRONMENT_YML:
            command = f"conda-lock lock -f {path}"
        case LockFormat.CONDA_EXPLICIT:
            command = "conda list --explicit --sha256"
        case _ if lock.format in _AGAIN:
            return Remedy(f"lock it again as {_AGAIN[lock.format]} does")
        case _:
            return Remedy("lock it with the project's own tool: uv lock, poetry lock, pdm lock")
    return Remedy(command, command)


def locked_name(path: str) -> str:
    """Where the requirements in *path* are locked to: a file of its own beside it, for each of them another one."""
    stem, suffix = posixpath.splitext(path)
    return f"{stem}.txt" if suffix == ".in" else f"{stem}-lock.txt"


def mended(findings: Iterable[Finding], steps: Iterable[Step]) -> tuple[Finding, ...]:
    """*findings*, those that one of *steps* mends with its command as what to do: it is said once, and the same everywhere."""
    commands = {(step.path, code): str(step) for step in steps for code in step.codes}
    told = []
    for finding in findings:
        command = commands.get((finding.path, finding.code), "")
        told.append(
            replace(finding, hint=command, command=command) if command and finding.severity is not Severity.NOTE else finding
        )
    return tuple(told)


def steps_for(findings: Iterable[Finding], locks: Iterable[tuple[Lock, str]]) -> tuple[Step, ...]:
    """The commands that mend what can be mended of *findings*; each of *locks* comes with its text."""
    by_path: dict[str, set[str]] = {}
    for finding in findings:
        if finding.code in FIXABLE and not finding.known and finding.severity is not Severity.NOTE:
            by_path.setdefault(finding.path, set()).add(finding.code)
    steps: list[Step] = []
    for lock, text in locks:
        codes = by_path.get(lock.path, set()) - (_HASHLESS if lock.format in _HASHES_OF_INDEX else set())
        if lock.format is LockFormat.UV:
            codes = codes - {"closure-incomplete"}  # which uv refuses to read
        step = _step(lock, text, hashes=bool(codes & _HASHLESS)) if codes else None
        if step is None or step.command[:2] != ("uv", "export"):
            codes = codes - {"locks-disagree"}  # which of the two is right, somebody has to say, but of one made from the other
        if step is not None and codes:
            steps.append(Step(command=step.command, folder=step.folder, path=lock.path, codes=tuple(sorted(codes))))
    return tuple(steps)


def _step(lock: Lock, text: str, *, hashes: bool) -> Step | None:
    """The command that makes *lock* again with what is known of how it was made; None where that is not enough."""
    folder, name = posixpath.split(lock.path)
    own = _OWN_NAMES.get(lock.format)
    if own is not None and not re.fullmatch(own, name):
        return None  # the tool would write another file
    command: tuple[str, ...]
    match lock.format:
        case LockFormat.UV:
            script = name.removesuffix(".lock") if name.endswith(".py.lock") else ""
            command = ("uv", "lock", "--script", script) if script else ("uv", "lock")
        case LockFormat.POETRY:
            old = re.match(r"Poetry 1\.", lock.generator) is not None  # whose `lock` also moves what need not move
            command = ("poetry", "lock", "--no-update") if old else ("poetry", "lock")
        case LockFormat.PDM:
            chosen = () if name == "pdm.lock" else ("--lockfile", name)
            command = ("pdm", "lock", "--refresh" if hashes else "--update-reuse", *chosen)
        case LockFormat.PIPFILE:
            command = ("pipenv", "lock")
        case LockFormat.PIXI:
            command = ("pixi", "lock")
        case LockFormat.CONDA_LOCK:
            command = ("conda-lock", "lock", "--lockfile", name)
        case LockFormat.REQUIREMENTS | LockFormat.PYLOCK:
            return _compiled(lock.path, text, hashes=hashes and lock.format is LockFormat.REQUIREMENTS)
        case _:
            return None
    return Step(command=command, folder=folder, path=lock.path)


def _compiled(path: str, text: str, *, hashes: bool) -> Step | None:
    """The command that the compiled file *text* says it was made by, as far as each of its words is known."""
    found = _COMMAND.search(text[:_HEAD])
    if found is None:
        return None
    try:
        words = shlex.split(found[1])
    except ValueError:
        return None
    if words[0].startswith("python"):
        words = words[2:]
    start = {
        "piptools": ("pip-compile",),
        "pip-compile": ("pip-compile",),
        "uv": tuple(words[: 3 if words[1:2] == ["pip"] else 2]),
    }[words[0]]
    words = words[2 if words[0] == "piptools" else len(start) :]
    kept: list[str] = []
    output = ""
    at = 0
    while at < len(words):
        option, equals, value = words[at].partition("=")
        at += 1
        if not option.startswith("-"):
            kept.append(words[at - 1])
            continue
        if option in _VALUED and not equals:
            value, at = (words[at] if at < len(words) else ""), at + 1
        if option in _LEFT_OUT:
            continue
        if option in _OUTPUT and value:
            output = value
        elif option in _FLAGS and not equals:
            kept.append(option)
        elif option in _VALUED and _WORD.fullmatch(value):
            kept.append(f"{option}={value}" if option.startswith("--") else f"{option}{value}")
        else:
            return None
    folder = _run_from(path, output)
    if folder is None or not all(map(_WORD.fullmatch, (word for word in kept if not word.startswith("-")))):
        return None
    if hashes and start[-1] == "export":
        kept = [word for word in kept if word != "--no-hashes"]
    elif hashes and "--generate-hashes" not in kept:
        kept.insert(0, "--generate-hashes")
    target = relative(path, folder) if folder else path
    return Step(command=(*start, *kept, "-o", target), folder=folder, path=path)


def _run_from(path: str, output: str) -> str | None:
    """The folder that a command with this *output* was run in to write *path*; None where it wrote something else."""
    if not output:
        return posixpath.dirname(path)
    output = posixpath.normpath(output)
    if output.startswith(("/", "..")):
        return None
    if path == output:
        return ""
    if path.endswith(f"/{output}"):
        return path[: -len(output) - 1] or "/"
    return posixpath.dirname(path) if posixpath.basename(path) == output else None
