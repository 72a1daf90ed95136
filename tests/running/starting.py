"""A small sealed project, and `sanctity run` as a process of its own whose variables are exactly what a test gives."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sites import add_distribution, build_site, site_packages

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["BARE", "SANCTITY", "SOURCE", "Project", "a_project", "children", "needs_unshare", "reads", "sanctity"]

SOURCE: Final = Path(__file__).parents[2] / "src"
#: The command line without an installation and without PYTHONPATH, which `run` refuses.
SANCTITY: Final = (
    sys.executable,
    "-I",
    "-c",
    f"import sys; sys.path.insert(0, {str(SOURCE)!r}); from sanctity.cli import main; main()",
)
#: The variables of a shell that has hardly any.
BARE: Final = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/nonexistent", "LANG": "C.UTF-8"}
#: Programs of the system's that say what arrived, without a runtime that would change it.
TOOLS: Final = ("cat", "env", "ls", "printf", "sleep")

HELLO: Final = b"def main():\n    print('hello')\n    return 7\n"


class Project:
    """A project *folder* with an environment ``env``, a lock ``requirements.txt``, and a seal once `seal` is called."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = build_site(folder, {})
        tools = {f"../../../bin/{name}": Path(shutil.which(name) or "").resolve().read_bytes() for name in TOOLS}
        add_distribution(self.env, "tools", "1.0", tools)
        scripts = {"hello.py": HELLO, "entry_points.txt": b"[console_scripts]\nhello = hello:main\n"}
        add_distribution(self.env, "hello", "1.0", scripts)
        for file in (self.env / "bin").iterdir():
            if not file.is_symlink():
                file.chmod(0o755)
        rows = [f"{name}==1.0 --hash=sha256:{number:064d}\n" for number, name in enumerate(("hello", "tools"))]
        (folder / "requirements.txt").write_text("".join(rows))

    @property
    def site(self) -> Path:
        return site_packages(self.env)

    def seal(self, *words: str, environ: Mapping[str, str] = BARE) -> subprocess.CompletedProcess[bytes]:
        """`sanctity seal`, which has to succeed."""
        done = sanctity("seal", "--env", "env", *words, cwd=self.folder, environ=environ)
        assert done.returncode == 0, done.stderr.decode()
        return done

    def command(self, *command: str | bytes, options: Sequence[str] = ()) -> list[str | bytes]:
        """The whole command line of `sanctity run`."""
        return [*SANCTITY, "run", "--env", str(self.env), *options, "--", *command]

    def run(
        self, *command: str | bytes, options: Sequence[str] = (), environ: Mapping[Any, Any] = BARE, **more: Any
    ) -> subprocess.CompletedProcess[bytes]:
        """`sanctity run OPTIONS -- COMMAND`."""
        given = {"cwd": self.folder, "env": dict(environ), "timeout": 120, "stdin": subprocess.DEVNULL, **more}
        if "input" in given:
            del given["stdin"]
        if "stdout" not in given:
            given["stdout"] = subprocess.PIPE
        if "stderr" not in given:
            given["stderr"] = subprocess.PIPE
        return subprocess.run(self.command(*command, options=options), check=False, **given)

    def directly(self, *command: str | bytes, environ: Mapping[Any, Any] = BARE, **more: Any) -> subprocess.CompletedProcess[bytes]:
        """The same program, started without `run`."""
        given = {"cwd": self.folder, "env": dict(environ), "timeout": 120, "stdin": subprocess.DEVNULL, **more}
        path = self.env / "bin" / os.fsdecode(command[0])
        return subprocess.run([str(path), *command[1:]], capture_output=True, check=False, **given)


#: The seal of the project as it is made here, by what lies beside its environment: a seal says nothing of the place, so that is the
#: seal of each (test_programs.py), and it takes as long as starting the program.
_SEALS: Final[dict[tuple[tuple[str, bytes], ...], bytes]] = {}


def a_project(folder: Path, *, sealed: bool = True) -> Project:
    """A project in *folder*, with what the caller laid there before; `sanctity seal` is run for the first that is like it."""
    project = Project(folder)
    if sealed:
        found = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
        like = tuple(sorted((str(name), path.read_bytes()) for name, path in found.items() if name.parts[0] not in {"env", ".git"}))
        if like not in _SEALS:
            project.seal()
            _SEALS[like] = (folder / "env.seal.json").read_bytes()
        (folder / "env.seal.json").write_bytes(_SEALS[like])
    return project


def sanctity(*words: str, cwd: Path, environ: Mapping[str, str] = BARE) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*SANCTITY, *words], cwd=cwd, env=dict(environ), capture_output=True, timeout=120, check=False, stdin=subprocess.DEVNULL
    )


def children(pid: int) -> list[int]:
    """The processes that *pid* started and that are still there."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def reads(pid: int, name: str) -> bool:
    """Whether the process *pid* has a file open whose path ends with *name*."""
    try:
        return any(os.readlink(f"/proc/{pid}/fd/{number}").endswith(name) for number in os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return False


def needs_unshare(*words: str) -> str:
    """Why ``unshare WORDS`` can not be used here; empty where it can."""
    if shutil.which("unshare") is None:
        return "there is no unshare"
    done = subprocess.run(["unshare", *words, "true"], capture_output=True, text=True, check=False)
    return done.stderr.strip() if done.returncode else ""
