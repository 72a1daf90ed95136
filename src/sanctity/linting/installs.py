"""Which lines of a project's own files install packages without the lock, or without hashes.

A command that names packages asks the index for what there is that day. One that reads a file of requirements is held to that file:
where it gives no hashes, whatever bears the name is taken. A command that may lock anew before it installs (``uv sync`` without
``--locked``), and one that only brings a tool, is a note. What reads a lock, and refuses what is not in it, is fine.

No word of a command is shown but plain names: a URL or an argument may hold a password.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from sanctity.linting.commands import Command, commands, runs_commands
from sanctity.model.drift import Severity
from sanctity.model.finding import Finding, severity_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["judge_installs", "wants"]

_LOCKED: Final = "install from the lock: uv sync --locked, poetry sync, pip install --require-hashes -r requirements.txt"
_HASHED: Final = "lock it with hashes: uv pip compile --generate-hashes, pip-compile --generate-hashes"
#: What builds, locks or runs, and is not of the environment that is locked.
_TOOLS: Final = frozenset(
    (  # noqa: SIM905 - these words read better than as many texts
        "pip setuptools wheel uv poetry poetry-core poetry-plugin-export poetry-plugin-bundle pdm pipenv pipx hatch "
        "hatchling flit flit-core tox tox-uv tox-gh-actions nox virtualenv build twine pre-commit prek conda-lock "
        "pip-tools pixi maturin cibuildwheel setuptools-scm setuptools-rust scikit-build-core meson-python conda "
        "mamba micromamba conda-build conda-libmamba-solver boa conda-pack keyring "
        "keyrings-google-artifactregistry-auth artifacts-keyring codecov coveralls awscli sanctity"
    ).split()
)
#: Options of pip and ``uv pip`` that take a value, but for those that are looked at.
_VALUED: Final = frozenset(
    (  # noqa: SIM905 - these words read better than as many texts
        "--target -t --platform --python-version --implementation --abi --root --prefix --src --upgrade-strategy -C "
        "--config-settings --config-setting --global-option --build-option --install-option --no-binary --only-binary "
        "--progress-bar --root-user-action --report --log --proxy --retries --timeout --exists-action --cert "
        "--client-cert --cache-dir --use-feature --use-deprecated --keyring-provider -p --python --python-platform "
        "--resolution --prerelease --index-strategy --exclude-newer --link-mode --torch-backend -P --upgrade-package "
        "--reinstall-package --refresh-package --extra --build-constraint --build-constraints -b --override "
        "--overrides --exclude --excludes --dest -d --wheel-dir -w --user-agent --color --directory --project "
        "--no-build-isolation-package --config-file --fork-strategy --uploaded-prior-to"
    ).split()
)
_INDEXES: Final = frozenset(
    {"-i", "--index-url", "--extra-index-url", "-f", "--find-links", "--index", "--default-index", "--pypi-url"}
)
_SHORT_VALUED: Final = frozenset("rcetifCpbPwd")
_HASH: Final = re.compile(r"--hash[= ]\s*\w+:")
_NAME: Final = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9._-]{0,100}[A-Za-z0-9])?)(?:\[[^\]]*\])?\s*(.*)", re.DOTALL)
_PIP: Final = re.compile(r"pip(?:3(?:\.\d+)?)?(?:\.exe)?|\$[({]?(?:\w*_)?PIP3?[)}]?")
_PYTHON: Final = re.compile(
    r"(?:python|pypy)[0-9.]*(?:\.exe)?|py|\$[({]?(?:\w*_)?(?:PY|PYTHON|PYTHON3|PYTHON_EXE)[)}]?|\{envpython\}|.*\{env_?python\}"
)
_CONDA: Final = frozenset({"conda", "mamba", "micromamba"})
_INSECURE: Final = re.compile(r"http://(?!localhost\b|127\.|\[::1\]|0\.0\.0\.0)", re.IGNORECASE)
_STREAMS: Final = frozenset({"-", "/dev/stdin"})


class _Verdict(NamedTuple):
    """What a command is found to do: a *code*, what it weighs, and in what words."""

    code: str
    message: str
    hint: str = _LOCKED
    severity: Severity | None = None


class _Pip(NamedTuple):
    """The arguments of an install: what is named, read and constrained, the indexes, and the bare options."""

    named: list[str]
    files: list[str]
    constraints: list[str]
    indexes: list[str]
    flags: set[str]


def wants(path: str, text: str) -> tuple[str, ...]:
    """The files of requirements that commands of the file *path* may read, relative to the project.

    A path may be one inside of a container, so that only its end is one of the project's.
    """
    found: dict[str, None] = {}
    for command in commands(path, text):
        for name in _files_of(command):
            for place in _places(name, path):
                found.setdefault(place)
    return tuple(found)[:500]


def _places(name: str, path: str) -> list[str]:
    """Where in the project the file that the file *path* calls *name* may be, the likeliest first."""
    name = re.sub(r"\$\{\{[^}]*\}\}|\$[({]?\w+[)}]?|\{\w+\}", "", name).replace("\\", "/")
    if not name.isprintable() or "://" in name or "*" in name:
        return []
    parts = [part for part in posixpath.normpath(name).split("/") if part not in {"", ".", ".."}][-6:]
    if not parts:
        return []
    tails = ["/".join(parts[index:]) for index in range(len(parts))]
    folder = posixpath.dirname(path)
    return list(dict.fromkeys([*tails, *(posixpath.join(folder, tail) for tail in tails if folder)]))


def _files_of(command: Command) -> Iterator[str]:
    words = _program(command.words)
    kind = words[0] if words else ""
    if kind == "pip":
        pip = _arguments(words[2:])
        yield from (*pip.files, *pip.constraints)
    elif kind in _CONDA:
        yield from _conda_files(words)


def judge_installs(path: str, text: str, beside: Mapping[str, str]) -> Iterator[Finding]:
    """What the file *path* of a project, which holds *text*, installs without a lock or hashes; *beside* are the other files."""
    if not runs_commands(path, text):
        return
    frozen = re.search(r"\bUV_(?:FROZEN|LOCKED)\b", text) is not None
    hashed = re.search(r"\bPIP_REQUIRE_HASHES\b", text) is not None
    for command in commands(path, text):
        words = _program(command.words)
        verdicts = list(_judge(words, path, beside, frozen=frozen, hashed=hashed)) if words else []
        for verdict in (*_judge_with(command.words), *verdicts):
            yield Finding(
                code=verdict.code,
                severity=verdict.severity or severity_of(verdict.code),
                message=verdict.message,
                hint=verdict.hint,
                path=path,
                where=f"line {command.line}",
                line=command.line,
                about=(_named(command.words),),
            )


def _named(words: tuple[str, ...]) -> str:
    """What tells one command from another in a file of what is known, without what it says: that may be a secret."""
    return "command " + hashlib.sha256("\0".join(words).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _program(words: tuple[str, ...]) -> list[str]:
    """*words* as ``pip install …``, ``uv sync …`` and so on: without paths, wrappers and the options before the subcommand.

    Empty where it is no program that installs.
    """
    found = list(words)
    for _ in range(4):
        if not found:
            return []
        name = found[0].replace("\\", "/").rpartition("/")[2]
        lowered = name.removesuffix(".exe")
        if _PYTHON.fullmatch(name):
            at = next((index for index, word in enumerate(found[1:], start=1) if not word.startswith("-") or word == "-m"), 0)
            module = found[at + 1 : at + 2] if at and found[at] == "-m" else []
            if not module:
                return ["setup.py", *found[at + 1 :]] if at and found[at].endswith("setup.py") else []
            found = [
                module[0].removesuffix(".__main__").replace("piptools", "pip-sync" if "sync" in found else module[0]),
                *found[at + 2 :],
            ]
        elif lowered in {"uv", "poetry", "pdm", "pipenv", "hatch", "rye", "pixi"} and found[1:2] == ["run"]:
            found = _after_options(
                found[2:], frozenset({"--python", "-p", "--with", "--group", "--extra", "-e", "--environment", "--env"})
            )
        elif lowered in _CONDA and found[1:2] == ["run"]:
            found = _after_options(found[2:], frozenset({"-n", "--name", "-p", "--prefix", "--cwd"}))
        else:
            break
    name = found[0].replace("\\", "/").rpartition("/")[2].removesuffix(".exe") if found else ""
    if _PIP.fullmatch(name):
        rest = _after_options(found[1:], _VALUED | _INDEXES | {"--trusted-host"})
        return (
            ["pip", *rest, *found[1 : len(found) - len(rest)]] if rest[:1] and rest[0] in {"install", "download", "wheel"} else []
        )
    if name == "uv":
        rest = _after_options(
            found[1:], frozenset({"--directory", "--project", "--config-file", "--cache-dir", "--color", "--python"})
        )
        if rest[:1] == ["pip"]:
            return ["pip", *rest[1:]] if rest[1:2] in (["install"], ["sync"]) else []
        return ["uv", *rest]
    if name == "uvx":
        return ["uv", "tool", "run", *found[1:]]
    if name == "pip-sync":
        return ["pip", "sync", *found[1:]]
    if name in {"poetry", "pdm", "pipenv", "pixi", "easy_install", "pipx", *_CONDA}:
        return [
            name,
            *_after_options(found[1:], frozenset({"-C", "--directory", "-P", "--project", "-p", "--python", "--manifest-path"})),
        ]
    return []


def _after_options(words: list[str], valued: frozenset[str]) -> list[str]:
    """*words* from the first one on that is no option."""
    at = 0
    while at < len(words) and words[at].startswith("-"):
        at += 2 if words[at] in valued else 1
    return words[at:]


def _arguments(words: list[str]) -> _Pip:
    """The arguments of ``pip install`` and its like."""
    pip = _Pip([], [], [], [], set())
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        option, equals, value = word.partition("=")
        if not word.startswith("-") or word == "-":
            pip.named.append(word)
            continue
        if not word.startswith("--") and len(word) > 2 and not equals:
            cluster = next((index for index, letter in enumerate(word) if index and letter in _SHORT_VALUED), 0)
            if cluster:
                option, value = f"-{word[cluster]}", word[cluster + 1 :]
                equals = "=" if value else ""
        takes = option in _VALUED or option in _INDEXES or option in _READING
        if takes and not equals and at < len(words):
            value = words[at]
            at += 1
        if option in {"-r", "--requirement", "--requirements"}:
            pip.files.append(value)
        elif option in {"-c", "--constraint", "--constraints"}:
            pip.constraints.append(value)
        elif option in {"-e", "--editable"}:
            pip.named.append(value or ".")
        elif option == "--group":
            pip.named.append(f"group:{value}")
        elif option in _INDEXES:
            pip.indexes.append(value)
        elif not takes:
            pip.flags.add(option)
        if option == "--trusted-host":
            pip.indexes.append(f"http://{value}")
    return pip


_READING: Final = frozenset(
    {
        "-r",
        "--requirement",
        "--requirements",
        "-c",
        "--constraint",
        "--constraints",
        "-e",
        "--editable",
        "--group",
        "--trusted-host",
    }
)


def _judge(words: list[str], path: str, beside: Mapping[str, str], *, frozen: bool, hashed: bool) -> Iterator[_Verdict]:
    program, verb, rest = words[0], words[1] if len(words) > 1 else "", words[2:]
    match program:
        case "pip":
            yield from _judge_pip(verb, rest, path, beside, hashed=hashed)
        case "uv":
            yield from _judge_uv(verb, rest, frozen=frozen)
        case "poetry":
            if verb in {"add", "update"}:
                yield _anew(f"poetry {verb} takes what is newest on the index and changes the lock")
        case "pdm":
            if verb in {"add", "update"}:
                yield _anew(f"pdm {verb} takes what is newest on the index and changes the lock")
            elif verb == "install" and not {"--frozen-lockfile", "--check", "--no-lock"} & set(rest):
                yield _note("pdm install locks anew where the lock is stale", "pdm sync, or pdm install --check")
        case "pipenv":
            yield from _judge_pipenv(verb, rest)
        case "pixi":
            if verb == "add":
                yield _anew("pixi add takes what is newest on its channels and changes the lock")
            elif verb == "install" and not {"--locked", "--frozen"} & set(rest):
                yield _note("pixi install locks anew where the lock is stale", "pixi install --locked")
        case "pipx":
            if verb == "install":
                yield from _judge_tools("pipx install", _arguments(rest).named)
            elif verb == "run":
                yield from _judge_run("pipx run", rest)
        case "easy_install":
            yield _anew("easy_install knows no lock and no hashes")
        case "setup.py":
            if verb in {"install", "develop"} and "--no-deps" not in rest:
                yield _anew(f"setup.py {verb} takes its dependencies from the index, whatever there is")
        case _:
            yield from _judge_conda(words, path, beside)


def _anew(message: str, hint: str = _LOCKED) -> _Verdict:
    return _Verdict("install-unlocked", message, hint)


def _note(message: str, hint: str) -> _Verdict:
    return _Verdict("install-unlocked", message, hint, Severity.NOTE)


def _judge_pip(verb: str, rest: list[str], path: str, beside: Mapping[str, str], *, hashed: bool) -> Iterator[_Verdict]:
    pip = _arguments(rest)
    if any(_INSECURE.match(index) for index in pip.indexes):
        message = "it takes packages over plain http, or without checking whose server it is"
        yield _Verdict("source-insecure", message, "name the index by https, and do not trust a host without its certificate")
    if {"--help", "-h", "--dry-run"} & pip.flags or "--no-index" in pip.flags:
        return
    files = [*pip.files, *(pip.named if verb == "sync" else ())]
    named = [] if verb == "sync" else [name for name in pip.named if name]
    if verb == "sync" and any(name.endswith("pyproject.toml") for name in files):
        named, files = [*named, "."], []
    require = hashed or "--require-hashes" in pip.flags
    manifests = [name for name in files if name.endswith(("pyproject.toml", "setup.py", "setup.cfg"))]
    constrained = [_hashes(name, path, beside) for name in pip.constraints]
    if not require:
        for name in dict.fromkeys(files):
            if name not in manifests and name not in _STREAMS:
                yield from _judge_file(name, path, beside, constrained=True in constrained)
    if require and not manifests:
        return
    local = [name for name in named if _is_local(name)]
    if "--no-deps" in pip.flags and len(local) == len(named):
        return
    wanted = [name for name in named if name not in local and _plain(name) not in _TOOLS]
    tools = [name for name in named if _plain(name) in _TOOLS]
    if not (wanted and True in constrained):
        yield from _judge_tools("pip install", tools)
    if tools and not wanted and not local and not manifests:
        return
    if (wanted or local or manifests) and True in constrained:
        return
    elif (wanted or local or manifests) and constrained:
        what = "the constraints that it gives have no hashes"
        yield _Verdict("install-unhashed", f"{_listed(wanted) or 'the project'} is installed, and {what}", _HASHED)
    elif wanted:
        yield _anew(f"pip {verb} of {_listed(wanted)}: no lock says which files that is")
    elif local or manifests:
        message = f"pip {verb} of a folder or file takes what that depends on from the index, whatever there is"
        yield _anew(message, "install the lock first, then the project with --no-deps")


def _judge_file(name: str, path: str, beside: Mapping[str, str], *, constrained: bool) -> Iterator[_Verdict]:
    answer = True if constrained else _hashes(name, path, beside)
    shown = next((place for place in _places(name, path) if place in beside), "") or _shown(name)
    if answer is False:
        yield _Verdict("install-unhashed", f"{shown} has no hashes, so whatever bears its names is installed", _HASHED)
    elif answer is None:
        message = f"{shown} is not in the project, so whether it has hashes can not be told"
        yield _Verdict("install-unhashed", message, "say --require-hashes", Severity.NOTE)


def _hashes(name: str, path: str, beside: Mapping[str, str]) -> bool | None:
    """Whether the file of requirements *name* has hashes; None where it is not there."""
    if posixpath.basename(name).startswith("pylock.") and name.endswith(".toml"):
        return True
    for place in _places(name, path):
        if place in beside:
            text = beside[place]
            # A file of includes is as good as what it includes.
            included = re.findall(r"^\s*(?:-r|--requirement)[= ]?\s*(\S+)", text, re.MULTILINE)[:50]
            others = [beside.get(posixpath.normpath(posixpath.join(posixpath.dirname(place), one)), "") for one in included]
            rows = re.search(r"^\s*[A-Za-z0-9.]", text, re.MULTILINE)
            if _HASH.search(text) or (others and not rows and all(_HASH.search(other) for other in others)):
                return True
            return not rows and not others  # nothing is in it, so nothing is installed
    return None


def _judge_uv(verb: str, rest: list[str], *, frozen: bool) -> Iterator[_Verdict]:
    flags = set(rest)
    if verb == "sync" and not frozen and not {"--locked", "--frozen", "--check", "--dry-run"} & flags:
        yield _note("uv sync locks anew where the lock is stale, and installs that", "uv sync --locked, or UV_LOCKED=1")
    elif verb == "add" and not {"--script", "--frozen", "--no-sync"} & flags:
        yield _anew("uv add takes what is newest on the index and changes the lock")
    elif verb == "tool" and rest[:1] == ["install"]:
        yield from _judge_tools("uv tool install", _arguments(rest[1:]).named)
    elif verb == "tool" and rest[:1] == ["run"]:
        yield from _judge_run("uv tool run", rest[1:])


def _judge_pipenv(verb: str, rest: list[str]) -> Iterator[_Verdict]:
    flags = set(rest)
    named = _arguments([word for word in rest if word not in {"--categories", "--system"}]).named
    if verb in {"update", "upgrade"} or (verb == "install" and (named or "--skip-lock" in flags)):
        yield _anew(f"pipenv {verb} takes what is newest on the index", "pipenv sync, or pipenv install --deploy")
    elif verb == "install" and not {"--deploy", "--ignore-pipfile"} & flags:
        yield _note("pipenv install locks anew where the lock is stale", "pipenv sync, or pipenv install --deploy")


def _judge_run(how: str, rest: list[str]) -> Iterator[_Verdict]:
    """A tool that is fetched to be run once: the first plain word, unless an option names what to fetch."""
    valued = _VALUED | _INDEXES | {"--from", "--spec", "--with", "-w", "--pip-args"}
    command = _after_options(rest, valued)
    options = rest[: len(rest) - len(command)]
    fetched = _values(options, {"--from", "--spec"}) or command[:1]
    yield from _judge_tools(how, [*fetched, *_values(options, {"--with", "-w"})])


def _judge_with(words: tuple[str, ...]) -> Iterator[_Verdict]:
    """``uv run --with``, which adds to the project's environment what no lock has."""
    if words and words[0].rpartition("/")[2] == "uv" and words[1:2] == ("run",):
        valued = frozenset(
            {"--python", "-p", "--with", "--group", "--extra", "--env-file", "--package", "--directory", "--project"}
        )
        rest = list(words[2:])
        yield from _judge_tools("uv run --with", _values(rest[: len(rest) - len(_after_options(rest, valued))], {"--with"}))


def _values(words: list[str], options: set[str]) -> list[str]:
    """The values of *options* among *words*, each of those that commas join."""
    found = [words[at + 1] for at, word in enumerate(words[:-1]) if word in options]
    found += [word.partition("=")[2] for word in words if word.partition("=")[0] in options and "=" in word]
    return [name for value in found for name in value.split(",") if name]


def _judge_tools(how: str, named: list[str]) -> Iterator[_Verdict]:
    """Tools that are brought to install, build or check with: a pinned one is fine."""
    loose = [name for name in named if not re.search(r"==|@(?!latest$)|\.whl$", name)]
    if loose:
        yield _note(f"{how} of {_listed(loose)}: whatever is newest", "pin it with ==")


# --- conda

_CONDA_VALUED: Final = frozenset(
    {"-n", "--name", "-p", "--prefix", "-c", "--channel", "--solver", "-r", "--root-prefix", "--platform", "--subdir"}
)


def _conda_arguments(words: list[str]) -> tuple[list[str], list[str], set[str]]:
    named: list[str] = []
    files: list[str] = []
    flags: set[str] = set()
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        option, equals, value = word.partition("=")
        if not word.startswith("-"):
            named.append(word)
        elif option in {"-f", "--file"}:
            if not equals:
                value = words[at] if at < len(words) else ""
                at += 1
            files.append(value)
        elif word in _CONDA_VALUED:
            at += 1
        else:
            flags.add(option)
    return named, files, flags


def _conda_files(words: list[str]) -> list[str]:
    return _conda_arguments(words[1:])[1]


def _judge_conda(words: list[str], path: str, beside: Mapping[str, str]) -> Iterator[_Verdict]:
    named, files, flags = _conda_arguments(words[1:])
    hint = "install from a lock: conda-lock install, or conda create --file with an @EXPLICIT list"
    program = words[0]
    verb, named = (named[0], named[1:]) if named else ("", [])
    if verb == "env":
        verb, named = (f"env {named[0]}", named[1:]) if named else ("", [])
    if verb not in {"install", "create", "update", "upgrade", "env create", "env update"} or {"--help", "--dry-run"} & flags:
        return
    if verb.startswith("env ") and not files:
        files = ["environment.yml"]
    for name in files:
        text = next((beside[place] for place in _places(name, path) if place in beside), "")
        explicit = "@EXPLICIT" in text or re.search(r"conda-lock|explicit|\.lock$", posixpath.basename(name))
        if not explicit:
            yield _anew(f"{program} {verb} from {_shown(name)}: it is no lock, so what is installed is solved for anew", hint)
    if named and {_plain(name) for name in named} <= _TOOLS:
        yield from _judge_tools(f"{program} {verb}", [name for name in named if "=" not in name])
    elif named or "--all" in flags:
        yield _anew(f"{program} {verb} of {_listed(named) or 'everything'}: no lock says which builds that is", hint)


# --- Words


def _plain(name: str) -> str:
    """The normalised name of a requirement, less extras and version; empty where it has none."""
    found = _NAME.fullmatch(name)
    if found is None or (found[2] and not re.match(r"[=<>!~;@,]", found[2])):
        return ""
    return re.sub(r"[-_.]+", "-", found[1]).lower()


def _is_local(name: str) -> bool:
    """Whether what is named is a folder or a file of this machine."""
    name = name.partition("[")[0]
    if re.match(r"[a-z+]+://", name) or "@" in name:
        return False
    return "/" in name or name.startswith((".", "~", "file:", "group:")) or name.endswith((".whl", ".tar.gz", ".zip"))


def _listed(names: list[str]) -> str:
    """*names* for a reader: plain ones as they are, others only counted."""
    known = list(dict.fromkeys(filter(None, map(_plain, names))))
    others = len([name for name in names if not _plain(name)])
    shown = known[:3]
    more = len(known) - len(shown)
    parts = [*shown, *([f"{more} more"] if more else []), *(["what a URL or a variable names"] if others else [])]
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _shown(name: str) -> str:
    """The name of a file, as far as it is a plain one."""
    return name if re.fullmatch(r"[\w./ -]{1,200}", name) else "a file whose name a variable holds"
