"""Completion in the shells themselves: each is started, takes the script, and is asked to complete a line."""

from __future__ import annotations

import os
import pty
import re
import select
import shlex
import shutil
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from running.starting import BARE, SANCTITY
from sanctity.cli import cli
from sanctity.pages import pages

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SHELLS = ("bash", "zsh", "fish")
#: What fish or zsh print on a terminal beside text.
ESCAPES = re.compile(r"\x1b(\[[0-9;?<>=]*[a-zA-Z]|[=>()][0-9A-Z]?|\].*?(\x07|\x1b\\)|[_P].*?\x1b\\)")
#: (line, some of what it must offer, some of what it must not)
LINES = (
    ("sanctity ver", {"verify"}, {"check", "seal"}),
    ("sanctity explain file-", {name for name in pages() if name.startswith("file-")}, {"record-missing"}),
    ("sanctity verify --profile ", {"production"}, {"default"}),
    ("sanctity verify --form", {"--format"}, {"--env"}),
    ("sanctity completion ", set(SHELLS), {"explain"}),
    ("sanctity verify uv", {"uv.lock"}, {"other.txt"}),
    ("sanctity verify --env fold", {"folder"}, {"fold.txt"}),
)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a ``sanctity`` to find on PATH, and files to complete."""
    commands = tmp_path / "bin"
    commands.mkdir()
    (commands / "sanctity").write_text(f'#!/bin/sh\nexec {shlex.join(SANCTITY)} "$@"\n')
    (commands / "sanctity").chmod(0o755)
    for name in ("uv.lock", "fold.txt", "other.txt"):
        (tmp_path / name).touch()
    (tmp_path / "folder").mkdir()
    return tmp_path


def _environ(place: Path) -> dict[str, str]:
    return {
        **BARE,
        "PATH": f"{place}/bin:{BARE['PATH']}",
        "HOME": str(place),
        "TERM": "xterm",
        "XDG_CONFIG_HOME": str(place / "config"),
    }


def _script(shell: str, place: Path) -> Path:
    done = subprocess.run(
        ["sanctity", "completion", shell], env=_environ(place), cwd=place, capture_output=True, check=True, timeout=60
    )
    file = place / f"completion.{shell}"
    file.write_bytes(done.stdout)
    return file


def _need(shell: str) -> str:
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"there is no {shell} here")
    return found


@pytest.mark.parametrize(("line", "offered", "others"), LINES, ids=[line for line, _, _ in LINES])
def test_in_bash(line: str, offered: set[str], others: set[str], place: Path) -> None:
    """As bash itself would: the function that the script registers is called with the line's words, then what it asks of bash is done."""
    shell = _need("bash")
    words = line.split(" ")
    program = f"""
    source {_script("bash", place)}
    registered=$(complete -p sanctity)
    function=${{registered##*-F }}; function=${{function%% *}}
    COMP_WORDS=({shlex.join(words[:-1])} {shlex.quote(words[-1])}) COMP_CWORD={len(words) - 1}
    compopt() {{ case "$*" in *dirnames*) COMPREPLY+=($(compgen -d -- "${{COMP_WORDS[COMP_CWORD]}}"));;
        *default*) COMPREPLY+=($(compgen -f -- "${{COMP_WORDS[COMP_CWORD]}}"));; esac; }}
    "$function" sanctity "${{COMP_WORDS[COMP_CWORD]}}" "${{COMP_WORDS[COMP_CWORD-1]}}"
    printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        [shell, "--norc", "--noprofile", "-c", program],
        env=_environ(place),
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    found = set(done.stdout.split())
    assert offered <= found, done.stderr
    assert not others & found


@pytest.mark.parametrize(("line", "offered", "others"), LINES, ids=[line for line, _, _ in LINES])
def test_in_fish(line: str, offered: set[str], others: set[str], place: Path) -> None:
    shell = _need("fish")
    program = f"source {_script('fish', place)}; complete -C {shlex.quote(line)}"
    done = subprocess.run(
        [shell, "--no-config", "-c", program],
        env=_environ(place),
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    found = {row.split("\t")[0].rstrip("/") for row in done.stdout.splitlines()}
    assert offered <= found, done.stderr
    assert not others & found


class _Terminal:
    """A program on a terminal of its own."""

    def __init__(self, command: list[str], environ: Mapping[str, str], cwd: Path) -> None:
        self.pid, self.fd = pty.fork()
        if not self.pid:
            os.chdir(cwd)
            os.execve(command[0], command, dict(environ))
        self.seen = ""

    def write(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def until(self, wanted: str) -> str:
        """Everything on the screen since the last call, once *wanted* is in it."""
        end = time.monotonic() + 60
        while wanted not in ESCAPES.sub("", self.seen):
            assert time.monotonic() < end, f"{wanted!r} never came in {self.seen!r}"
            ready, _, _ = select.select([self.fd], [], [], 1)
            if ready:
                self.seen += os.read(self.fd, 4096).decode("utf-8", "replace")
        found, self.seen = ESCAPES.sub("", self.seen), ""
        return found

    def close(self) -> None:
        os.close(self.fd)  # the terminal hangs up
        os.waitpid(self.pid, 0)


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_tab_on_a_terminal_completes(shell: str, place: Path) -> None:
    """What somebody sees who types ``sanctity ver``, a tab, and Enter: that ``verify`` was called."""
    quiet = {"bash": ["--norc", "--noprofile", "-i"], "zsh": ["-f", "-i"]}[shell]
    script = _script(shell, place)
    terminal = _Terminal([_need(shell), *quiet], _environ(place) | {"PS1": "ready> "}, place)
    try:
        terminal.until("ready> ")
        prepare = "autoload -Uz compinit; compinit -u -D; " if shell == "zsh" else ""
        terminal.write(f"{prepare}. {script}; PS1=$(printf 'se%s> ' t)\n")
        terminal.until("set> ")
        terminal.write("sanctity ver\t")
        terminal.until("verify")
        terminal.write("--help\n")
        assert "Usage: sanctity verify [OPTIONS]" in terminal.until("--strict")
        terminal.until("set> ")
        terminal.write("sanctity explain file-alt\t")
        terminal.until("file-altered")
        terminal.write("\n")
        assert "# file-altered" in terminal.until("## What to do")
    finally:
        terminal.close()


def test_every_placeholder_that_is_a_path_is_completed() -> None:
    """Whichever verb gets an option for a file: the shell's own completion is asked for it."""
    for verb in cli.commands.values():
        for parameter in verb.params:
            if (parameter.metavar or "").strip("[]") in {"FILE", "DIR", "EXE", "REFERENCE", "A", "B"}:
                (item,) = parameter.type.shell_complete(None, parameter, "x")  # type: ignore[arg-type]
                assert item.type == ("dir" if parameter.metavar in {"DIR", "[DIR]"} else "file"), (verb.name, parameter.name)
