"""The exact commands of the project's own tool that undo each drift.

A distribution that is damaged is taken out and installed again from the lock, by the tool that made the environment. What no
RECORD claims is removed by name, since no installer knows of it. Where files are links into a cache that other environments
share, the cache is cleaned of that distribution first: reinstalling would only link the altered bytes again.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final, assert_never

from sanctity.model.drift import Code, Comparison, Drift, Selection, Severity
from sanctity.model.lock import LockFormat
from sanctity.model.names import normalise_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sanctity.model.environment import Distribution, Environment

__all__ = ["RepairPlan", "Step", "Tool", "choose_tool", "plan_repair", "with_hints"]


class Tool(StrEnum):
    """Who keeps the environment."""

    UV_PROJECT = "uv"
    UV_PIP = "uv pip"
    PIP_TOOLS = "pip-tools"
    PIP = "pip"
    POETRY = "poetry"
    PDM = "pdm"
    PIPENV = "pipenv"
    PIXI = "pixi"
    CONDA_LOCK = "conda-lock"
    CONDA = "conda"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One command, and the reason for it. *command* is an argument list; nothing of it is for a shell to expand."""

    command: tuple[str, ...]
    reason: str

    def __str__(self) -> str:
        return shlex.join(self.command)


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairPlan:
    """The *steps* in order, the folder to run them in, and the drifts that no command undoes, with the reason."""

    tool: Tool
    folder: str
    steps: tuple[Step, ...] = ()
    left: tuple[tuple[Drift, str], ...] = ()


_REINSTALL: Final = frozenset(
    {
        Code.FILE_ALTERED,
        Code.FILE_MISSING,
        Code.DATA_ALTERED,
        Code.RECORD_FORGED,
        Code.RELEASE_MIXED,
        Code.RECORD_INVALID,
        Code.RECORD_MISSING,
        Code.PATH_INVALID,
        Code.SCRIPT_ALTERED,
        Code.ORIGIN_MISMATCH,
        Code.DISTRIBUTION_DUPLICATE,
    }
)
#: What lies under an environment, or beside it, and why no command of its tool undoes it.
_BASE: Final = {
    Code.STDLIB_ALTERED: "the standard library lies in the base interpreter: install that Python again",
    Code.NATIVE_LIBRARY_CHANGED: "it is the system's: use the image that was sealed, or seal again",
    Code.CPU_CHANGED: "use the kind of machine that was sealed, or seal again",
    Code.ACCELERATOR_CHANGED: "use the kind of machine that was sealed, or seal again",
    Code.SETTING_CHANGED: "set it as it was sealed, or seal again",
    Code.STARTUP_VARIABLE: "unset it, or let `run` drop it",
    Code.ACTIVATE_ALTERED: "look at the script; making the environment anew writes it again",
    Code.BYTECODE_FORBIDDEN: "remove the __pycache__ folders, and install with --no-compile",
    Code.ARTIFACT_MISMATCH: "the lock and the index disagree on this file: find out which of them changed before anything else",
    Code.CANARY_CHANGED: "use the kind of machine that was sealed, or seal again",
    Code.WAIVER_EXPIRED: "remove the waiver, or have a new day approved",
    Code.WAIVER_SELF_APPROVED: "have somebody else approve it",
    Code.WAIVER_UNSIGNED: "mend what it lets pass",
}
_OF_CONDA: Final = frozenset({Tool.PIXI, Tool.CONDA_LOCK, Tool.CONDA})
_SYNC: Final = frozenset({Code.DISTRIBUTION_MISSING, Code.VERSION_MISMATCH, Code.DISTRIBUTION_EXTRA})
_REMOVE: Final = frozenset(
    {
        Code.FILE_UNCLAIMED,
        Code.PTH_HOOK,
        Code.CUSTOMIZE_HOOK,
        Code.PATH_SHADOW,
        Code.BYTECODE_ORPHAN,
        Code.BYTECODE_UNCHECKED,
        Code.BYTECODE_FORGED,
    }
)


def choose_tool(environment: Environment, *, format: LockFormat | None, generator: str) -> Tool:  # noqa: A002
    """The tool that keeps *environment*: the lock's own, else the one most distributions name as their installer."""
    installers = [item.installer for item in environment.distributions if item.installer]
    by_uv = sum(name == "uv" for name in installers) * 2 > len(installers)
    match format:
        case LockFormat.UV:
            return Tool.UV_PROJECT
        case LockFormat.POETRY:
            return Tool.POETRY
        case LockFormat.PDM:
            return Tool.PDM
        case LockFormat.PIPFILE:
            return Tool.PIPENV
        case LockFormat.PIXI:
            return Tool.PIXI
        case LockFormat.CONDA_LOCK:
            return Tool.CONDA_LOCK
        case LockFormat.CONDA_EXPLICIT:
            return Tool.CONDA
        case _:
            if by_uv:
                return Tool.UV_PIP
            return Tool.PIP_TOOLS if "pip-compile" in generator and format is LockFormat.REQUIREMENTS else Tool.PIP


@dataclass(frozen=True, slots=True, kw_only=True)
class _Context:
    tool: Tool
    env: str
    outside: str
    lock: str
    has_pip: bool
    hashed: bool
    selection: tuple[str, ...]
    conda: frozenset[str] = frozenset()
    environment: str = ""

    @property
    def meant(self) -> tuple[str, ...]:
        """What comes before a project tool's command where the environment is not the one it would choose by itself."""
        if self.env == ".venv":
            return ()
        saved = ("PDM_IGNORE_SAVED_PYTHON=1",) if self.tool is Tool.PDM else ()
        return ("env", *saved, f"{'UV_PROJECT_ENVIRONMENT' if self.tool is Tool.UV_PROJECT else 'VIRTUAL_ENV'}={self.env}")

    @property
    def python(self) -> str:
        return f"{self.env}/bin/python"

    def pip(self, *arguments: str) -> tuple[str, ...]:
        """A pip command for the environment, by its own pip or by one that works on it from outside."""
        if self.has_pip and self.tool not in {Tool.POETRY, Tool.PDM}:
            return (self.python, "-m", "pip", *arguments)
        return (self.outside, "-m", "pip", "--python", self.env, *arguments)

    def sync(self, reinstall: Iterable[str] = ()) -> tuple[str, ...]:
        """The command that makes the environment what the lock says, reinstalling *reinstall* where the tool can."""
        match self.tool:
            case Tool.UV_PROJECT:
                again = [word for name in reinstall for word in ("--reinstall-package", name)]
                return (*self.meant, "uv", "sync", *self.selection, *again)
            case Tool.UV_PIP:
                again = [word for name in reinstall for word in ("--reinstall-package", name)]
                hashes = ("--require-hashes",) if self.hashed and self.lock.endswith(".txt") else ()
                return ("uv", "pip", "sync", "--python", self.python, *hashes, *again, self.lock)
            case Tool.PIP_TOOLS:
                return ("pip-sync", "--python-executable", self.python, self.lock)
            case Tool.PIP:
                return self.pip("install", "--no-deps", *(("--require-hashes",) if self.hashed else ()), "-r", self.lock)
            case Tool.POETRY:
                return (*self.meant, "poetry", "sync", *self.selection)
            case Tool.PDM:
                return (*self.meant, "pdm", "sync", "--clean", *self.selection)
            case Tool.PIPENV:
                return (*self.meant, "pipenv", "sync", "--clean", *self.selection)
            case Tool.PIXI:
                return ("pixi", "install", "--frozen", "-e", self.environment)
            case Tool.CONDA_LOCK:
                return ("conda-lock", "install", "--prefix", self.env, *self.selection, self.lock)
            case Tool.CONDA:
                return ("conda", "create", "--yes", "--prefix", self.env, "--file", self.lock)
            case _:
                assert_never(self.tool)


def _selection_words(selection: Selection, tool: Tool, defaults: frozenset[str]) -> tuple[str, ...]:
    """The options that ask a project tool for the groups and extras that were found selected; *defaults* need none."""
    words: list[str] = []
    for extra in selection.extras:
        words += ["--extra" if tool is Tool.UV_PROJECT else "--extras", extra]
    groups = [group for group in selection.groups if group != "main"]
    if tool is Tool.PIPENV:
        categories = ["packages", *("dev-packages" if group == "develop" else group for group in groups)]
        return ("--dev",) if groups == ["develop"] else ("--categories", ",".join(categories)) if groups else ()
    if tool is Tool.CONDA_LOCK:  # it takes every other category for an extra, and this one unless it is told otherwise
        words = [word for group in groups if group != "dev" for word in ("--extras", group)]
        return (*words, *(() if "dev" in groups else ("--no-dev",)))
    if tool is Tool.PDM:  # it installs all that was locked, extras too, unless something is named
        named = ",".join((*groups, *selection.extras))
        return (*(() if groups else ("--prod",)), *(("-G", named) if named else ()))
    if set(groups) == defaults:
        return tuple(words)
    if tool is Tool.UV_PROJECT:
        words.append("--no-default-groups")
        for group in groups:
            words += ["--group", group]
    elif tool is Tool.POETRY:
        words += ["--with", ",".join(groups)] if groups else ["--only", "main"]
        missing = sorted(defaults - set(groups))
        words += ["--without", ",".join(missing)] if groups and missing else []
    return tuple(words)


def _project_words(selection: Selection, environment: Environment, tool: Tool, project: str) -> tuple[str, ...]:
    """The options that leave the project itself as it is: copied and not pointed at, or not installed at all."""
    names = selection.members or ((normalise_name(project),) if project else ())
    if tool not in {Tool.UV_PROJECT, Tool.POETRY, Tool.PDM} or not names:
        return ()
    installed = [item for item in environment.distributions if item.key in names]
    if not installed:
        return ({Tool.UV_PROJECT: "--no-install-project", Tool.PDM: "--no-self"}.get(tool, "--no-root"),)
    pointed_at = any(item.origin is not None and item.origin.editable for item in installed)
    return () if pointed_at or tool is Tool.POETRY else ("--no-editable",)


def plan_repair(
    comparison: Comparison,
    environment: Environment,
    *,
    format: LockFormat | None,  # noqa: A002 - the field's word
    generator: str,
    folder: str,
    env: str,
    lock: str,
    default_groups: frozenset[str] = frozenset(),
    project: str = "",
    unhashable: bool = False,
) -> RepairPlan:
    """The plan that undoes every gating drift of *comparison*.

    *env* and *lock* are paths as seen from *folder*, where the commands are to be run; *generator* is what the lock says wrote it;
    *default_groups* are those that the project's tool installs unasked; *project* is its name, which may be installed beside what
    it needs, and is left as it is. *unhashable* says that the lock has folders or repositories, which no installer takes where it
    is to require hashes. After its steps another look may find more: what an
    older copy of a distribution left behind, say.
    """
    tool = choose_tool(environment, format=format, generator=generator)
    context = _Context(
        tool=tool,
        env=env,
        # Not just python3: where the environment is active, that is its own.
        outside=f"{environment.interpreter.base}/bin/python{environment.layout.version}"
        if environment.interpreter.base
        else "python3",
        lock=lock,
        # A pip that is not what its RECORD says is not asked to repair anything.
        has_pip=any(item.key == "pip" for item in environment.distributions)
        and not any(drift.distribution == "pip" and drift.severity is not Severity.NOTE for drift in comparison.drifts),
        hashed=not unhashable and not any(item.code == "unhashed" for item in comparison.unchecked),
        selection=(
            *_selection_words(comparison.reference.selection, tool, default_groups),
            *_project_words(comparison.reference.selection, environment, tool, project),
        ),
        conda=frozenset(file.package for file in environment.system) if environment.manager == "conda" else frozenset(),
        environment=comparison.reference.selection.environment or _pixis_name(env),
    )
    if tool in _OF_CONDA:
        return _plan_conda(context, environment, comparison, folder)
    gating = [drift for drift in comparison.by_weight() if drift.gating]
    left = [(drift, reason) for drift in gating if (reason := _beyond(drift, context))]
    if len(left) < len(gating):  # what the other drifts' commands undo may be what the fingerprint is about
        left = [(drift, reason) for drift, reason in left if drift.code is not Code.FINGERPRINT_MISMATCH]
    undone = [drift for drift in gating if not _beyond(drift, context)]
    if any(drift.code is Code.SYSTEM_SITE for drift in undone):  # then nothing is imported from there any more
        left = [(drift, reason) for drift, reason in left if not drift.path.startswith("${")]
    steps: list[Step] = []
    removed = [drift for drift in undone if drift.code in _REMOVE and drift.path]
    if removed:
        paths = sorted({_on_disk(environment, env, drift.path) for drift in removed})
        steps.append(Step(command=("rm", "-r", *paths), reason="no RECORD claims these, so no installer takes them out"))
    if any(drift.code is Code.SYSTEM_SITE for drift in undone):
        edit = "s/^include-system-site-packages.*/include-system-site-packages = false/"
        reason = "see the environment's own packages only"
        steps.append(Step(command=("sed", "-i", edit, f"{env}/pyvenv.cfg"), reason=reason))
    packages = {file.package for file in environment.system}
    altered = sorted({drift.distribution for drift in undone if drift.code in _REINSTALL and drift.distribution in packages})
    if altered:
        steps.append(Step(command=("apt-get", "install", "--reinstall", *altered), reason="the system's own packages again"))
    interpreter = [drift for drift in undone if drift.code in {Code.INTERPRETER_CHANGED, Code.INTERPRETER_MISMATCH}]
    if interpreter:
        steps.extend(_remake(context, environment, comparison, interpreter))
    else:
        robbed = frozenset(key for drift in removed for key in _claimants(environment, drift))
        steps.extend(
            _reinstall(context, environment, [drift for drift in undone if drift.distribution not in packages], robbed, removed)
        )
    return RepairPlan(tool=tool, folder=folder, steps=tuple(steps), left=tuple(left))


def _beyond(drift: Drift, context: _Context) -> str:
    """Why no command undoes *drift*, or an empty text."""
    if drift.code in _BASE or drift.path.startswith("${"):
        return _BASE.get(drift.code, "it lies in the base interpreter: install that Python again")
    if drift.code is Code.INTERPRETER_CHANGED and drift.actual.startswith("sha256:"):
        return "the base interpreter's own bytes were changed: install that Python again"
    if drift.code is Code.FILE_CLOBBERED:
        return "two installed distributions own this path, so one of them always loses: lock only one of them"
    if drift.code is Code.PATH_INVALID and not drift.distribution:
        return "its name is not UTF-8, so no command can be printed: remove it by hand"
    if drift.code is Code.PATH_SHADOW and drift.path.endswith(".zip") and not drift.distribution:
        return "it lies beside the base interpreter's standard library: remove it by hand"
    if drift.path.startswith("${"):
        return "it lies outside of the environment, in what the base interpreter or the user has: repair or remove it there"
    if drift.distribution in context.conda and drift.code not in _SYNC:
        first = "clean its copy in conda's package cache, which has the same bytes; then " if drift.shared else ""
        return f"{first}`conda install --force-reinstall {drift.distribution}` or `pixi reinstall {drift.distribution}`"
    if drift.path.startswith("conda-meta/"):
        return "the package that it is about can not be told: make the environment anew"
    if drift.code is Code.INTERPRETER_MISMATCH and context.tool not in {Tool.UV_PROJECT, Tool.UV_PIP}:
        return f"make the environment anew with a Python that the lock allows ({drift.expected})"
    handled = _REINSTALL | _SYNC | _REMOVE | {Code.SYSTEM_SITE, Code.INTERPRETER_CHANGED, Code.INTERPRETER_MISMATCH}
    return "" if drift.code in handled else "no command undoes this; `sanctity explain` says what to do"


def _claimants(environment: Environment, drift: Drift) -> Iterator[str]:
    """The distributions whose file an unclaimed one may have been, before somebody took its row out of their RECORD.

    To remove the file alone would leave them without it, and their RECORD without a word about that; so they are installed again.
    """
    if drift.distribution:
        yield normalise_name(drift.distribution)
    first, _, rest = drift.path.partition("/")
    stem = first if rest else first.partition(".")[0]
    for item in environment.distributions:
        name = item.key.replace("-", "_")
        named = name == stem.lower() or (len(name) > 2 and drift.code is Code.PTH_HOOK and name in stem.lower())
        # pip lists the bytecode it compiled, in rows of their own.
        bytecode = f"{item.home.rpartition('/')[0]}/__pycache__/{stem}."
        if named or (not rest and any(row.path.startswith(bytecode) for row in item.record or ())):
            yield item.key


def _on_disk(environment: Environment, env: str, path: str) -> str:
    """Where a path of a report lies, as seen from where the commands run."""
    site = environment.layout.site[0]
    for candidate in (*(f"{folder}/{path}" for folder in environment.layout.site), path):
        if candidate in environment.files:
            return f"{env}/{candidate}"
    return f"{env}/{site}/{path}" if not path.startswith("/") else path


def _reinstall(
    context: _Context, environment: Environment, gating: list[Drift], robbed: frozenset[str], removed: list[Drift]
) -> list[Step]:
    steps: list[Step] = []
    damaged = sorted(
        {normalise_name(drift.distribution) for drift in gating if drift.code in _REINSTALL and drift.distribution} | robbed
    )
    shared = sorted({normalise_name(drift.distribution) for drift in gating if drift.code in _REINSTALL and drift.shared})
    extra = sorted({normalise_name(drift.distribution) for drift in gating if drift.code is Code.DISTRIBUTION_EXTRA})
    doubled = {normalise_name(drift.distribution) for drift in gating if drift.code is Code.DISTRIBUTION_DUPLICATE}
    out_of_step = any(drift.code in _SYNC for drift in gating)
    if not damaged and not out_of_step:
        return steps
    unsound = {"record-missing", "record-invalid", "path-invalid"}
    unowned = [
        item.home
        for item in environment.distributions
        if item.key in doubled or (item.key in damaged and any(fault.code in unsound for fault in item.faults))
    ]
    by_uv = context.tool in {Tool.UV_PROJECT, Tool.UV_PIP}
    if shared and by_uv:
        steps.append(
            Step(command=("uv", "cache", "clean", *shared), reason="the altered bytes lie in the cache that is linked from")
        )
    if unowned:
        reason = "without a sound RECORD no tool can take these out"
        steps.append(Step(command=("rm", "-r", *(f"{context.env}/{home}" for home in unowned)), reason=reason))
    broken = [item for item in environment.distributions if item.key in damaged]
    already = {_on_disk(environment, context.env, drift.path) for drift in removed}
    strange = [path for path in sorted(_unclaimed_metadata(environment, broken, unowned)) if f"{context.env}/{path}" not in already]
    if strange:
        reason = "no RECORD claims these, so an uninstall would leave them"
        steps.append(Step(command=("rm", *(f"{context.env}/{path}" for path in strange)), reason=reason))
    gone = {item.key for item in environment.distributions if item.home in unowned}
    out = [name for name in damaged if name not in gone]
    if context.lock or context.tool in {Tool.UV_PROJECT, Tool.POETRY}:
        if by_uv:
            steps.append(Step(command=context.sync(damaged), reason="install again what the lock says"))
        else:
            if out:
                reason = "so that the next command installs them again"
                steps.append(Step(command=context.pip("uninstall", "-y", *out), reason=reason))
            strangers = [name for name in extra if name not in out] if context.tool is Tool.PIP else []
            if strangers:
                steps.append(Step(command=context.pip("uninstall", "-y", *strangers), reason="the lock does not name these"))
            if damaged or len(strangers) < sum(drift.code in _SYNC for drift in gating):
                steps.append(Step(command=context.sync(), reason="install what the lock says"))
        return steps
    versions = {item.key: item.version for item in environment.distributions}
    pins = [f"{name}=={versions[name]}" for name in damaged if name in versions]
    if pins and by_uv:
        again = [word for name in damaged for word in ("--reinstall-package", name)]
        steps.append(
            Step(
                command=("uv", "pip", "install", "--python", context.python, "--no-deps", *again, *pins),
                reason="the same version again",
            )
        )
    elif pins:
        steps.append(Step(command=context.pip("install", "--force-reinstall", "--no-deps", *pins), reason="the same version again"))
    return steps


def _unclaimed_metadata(environment: Environment, damaged: list[Distribution], gone: list[str]) -> Iterator[str]:
    """The files in the metadata folders of *damaged* distributions that their own RECORD does not list."""
    for item in damaged:
        if item.home in gone:
            continue
        claimed = {row.path for row in item.record or ()}
        inside = item.home + "/"
        yield from (path for path in environment.files if path.startswith(inside) and path not in claimed)


def _remake(context: _Context, environment: Environment, comparison: Comparison, drifts: list[Drift]) -> list[Step]:
    """Make the environment anew, since its interpreter is not what it was, or not what the lock allows."""
    claimed = environment.interpreter.claimed or environment.layout.version
    minor = ".".join(claimed.split(".")[:2])
    wanted = next((drift.expected for drift in drifts if drift.code is Code.INTERPRETER_MISMATCH and drift.expected), claimed)
    reason = "the environment's interpreter is not what it was made for, or not what the lock allows"
    match context.tool:
        case Tool.UV_PROJECT | Tool.UV_PIP:
            first = Step(command=("uv", "venv", "--clear", "--python", wanted, context.env), reason=reason)
        case Tool.POETRY:
            first = Step(command=("poetry", "env", "remove", "--all"), reason=reason)
        case Tool.PIP | Tool.PIP_TOOLS | Tool.PDM | Tool.PIPENV:
            first = Step(command=(f"python{minor}", "-m", "venv", "--clear", context.env), reason=reason)
        case Tool.PIXI | Tool.CONDA_LOCK | Tool.CONDA:
            return [Step(command=context.sync(), reason=reason)]
        case _:
            assert_never(context.tool)
    if not context.lock and comparison.reference.format is None:
        return [first]
    filled = replace(context, has_pip=context.has_pip or context.tool in {Tool.PIP, Tool.PIP_TOOLS})
    return [first, Step(command=filled.sync(), reason="install what the lock says")]


# -- environments of conda, mamba and pixi ----------------------------------------------------------------------------------------

#: What a package's document in conda-meta is wrong about, beside its own text.
_OF_PACKAGE: Final = _SYNC | {Code.BUILD_MISMATCH, Code.ORIGIN_MISMATCH}


def _plan_conda(context: _Context, environment: Environment, comparison: Comparison, folder: str) -> RepairPlan:
    """The plan for an environment that is held to a lock of conda packages.

    pixi puts single packages back, and keeps only what lies where it keeps environments. conda-lock and conda make the whole
    prefix anew from the lock; what pip brought too much is taken out by pip alone.
    """
    gating = [drift for drift in comparison.by_weight() if drift.gating]
    left = [(drift, reason) for drift in gating if (reason := _beyond_conda(drift, context, environment))]
    beyond = {id(drift) for drift, _ in left}
    undone = [drift for drift in gating if id(drift) not in beyond]
    removed = [drift for drift in undone if drift.code in _REMOVE and drift.path]
    by_pixi = {item.key for item in environment.distributions if item.installer == "uv-pixi"}
    extra = {
        normalise_name(each.distribution) for each in undone if each.code is Code.DISTRIBUTION_EXTRA and not _is_of_package(each)
    }
    strangers = sorted(extra - by_pixi)
    rest = [drift for drift in undone if drift not in removed and normalise_name(drift.distribution) not in strangers]
    steps: list[Step] = []
    anew = bool(rest) and (context.tool is not Tool.PIXI or _needs_all_anew(undone))
    if removed and not anew:
        paths = sorted({_on_disk(environment, context.env, drift.path) for drift in removed})
        steps.append(Step(command=("rm", "-r", *paths), reason="no package claims these, so no installer takes them out"))
    if strangers and not anew:
        steps.append(Step(command=context.pip("uninstall", "-y", *strangers), reason="the lock does not name these"))
    if anew and context.tool is Tool.PIXI:
        steps.append(Step(command=("pixi", "clean", "-e", context.environment), reason="its documents can not be relied on"))
    if anew:
        steps.append(Step(command=context.sync(), reason="the whole environment anew, as the lock says"))
    elif rest:
        steps.extend(_by_pixi(context, rest))
    return RepairPlan(tool=context.tool, folder=folder, steps=tuple(steps), left=tuple(left))


def _pixis_name(env: str) -> str:
    """Which of pixi's environments lies at *env*, where nothing else says so."""
    folder, _, name = env.rpartition("/")
    return name if folder.endswith(".pixi/envs") else "default"


def _is_of_package(drift: Drift) -> bool:
    """Whether *drift* is about a conda package as a whole, and not about a distribution or a file."""
    return drift.path == "conda-meta" or drift.path.startswith("conda-meta/")


def _beyond_conda(drift: Drift, context: _Context, environment: Environment) -> str:
    """Why no command of conda's tools undoes *drift*, or an empty text."""
    if environment.manager != "conda":
        return (
            f"conda did not make this environment: make another one, with `{shlex.join(context.sync())}`, at a place that is free"
        )
    if drift.code in _BASE:
        return _BASE[drift.code]
    if drift.path.startswith("${"):
        return "it lies outside of the environment, in what the base interpreter or the user has: repair or remove it there"
    if drift.code is Code.FILE_CLOBBERED:
        return "two installed packages own this path, so one of them always loses: lock only one of them"
    if drift.shared and drift.distribution in context.conda:
        return (
            f"clean its copy in the package cache, which has the same bytes (`conda clean --packages`, `pixi clean cache`); "
            f"then `{shlex.join(context.sync())}`"
        )
    if drift.code in _REMOVE:
        return ""
    kept = f".pixi/envs/{context.environment}"
    is_extra = drift.code is Code.DISTRIBUTION_EXTRA and not _is_of_package(drift)
    if context.tool is Tool.PIXI and context.env != kept and not is_extra:
        return f"pixi keeps this environment in {kept}, and not here: make it there, with `{shlex.join(context.sync())}`"
    handled = _REINSTALL | _OF_PACKAGE | {Code.INTERPRETER_CHANGED, Code.INTERPRETER_MISMATCH}
    return "" if drift.code in handled else "no command undoes this; `sanctity explain` says what to do"


def _needs_all_anew(drifts: list[Drift]) -> bool:
    """Whether documents do not say what is there: one is broken or doubled, or a missing package has its files there."""
    whole = {Code.DISTRIBUTION_DUPLICATE, Code.INTERPRETER_CHANGED, Code.INTERPRETER_MISMATCH}
    if any(each.code in whole or (each.code in _REINSTALL - _OF_PACKAGE and _is_of_package(each)) for each in drifts):
        return True
    missing = any(each.code is Code.DISTRIBUTION_MISSING and _is_of_package(each) for each in drifts)
    ownerless = {Code.FILE_UNCLAIMED, Code.RECORD_INVALID, Code.RECORD_MISSING}
    return missing and any(each.code in ownerless for each in drifts)


def _by_pixi(context: _Context, drifts: list[Drift]) -> Iterator[Step]:
    """What pixi is to be asked for: what the lock says, and again the packages that were damaged."""
    damaged = sorted({drift.distribution for drift in drifts if drift.code not in _OF_PACKAGE and drift.distribution})
    if len(damaged) < len({drift.distribution for drift in drifts}):
        yield Step(command=context.sync(), reason="install what the lock says")
    if damaged:
        again = ("pixi", "reinstall", "--frozen", "-e", context.environment, *damaged)
        yield Step(command=again, reason="install again what the lock says")


def with_hints(comparison: Comparison, plan: RepairPlan) -> Comparison:
    """*comparison* with a hint for each gating drift: all commands of *plan* in their order, or why there are none.

    Every drift has the same commands, since one step may stand on another: a file that is removed is only then installed again.
    """
    left = dict(plan.left)
    there = [f"cd {shlex.quote(plan.folder)}"] if plan.steps and plan.folder not in {"", "."} else []
    commands = " && ".join([*there, *(str(step) for step in plan.steps)])
    return replace(
        comparison,
        drifts=tuple(
            replace(drift, hint=left.get(drift, commands)) if drift.gating and not drift.hint else drift
            for drift in comparison.drifts
        ),
    )
