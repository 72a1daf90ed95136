"""The floor and the peer of a look that trusts file times: a bare scandir and stat of a tree, and `git status` on it.

    python bench/stat_floor.py TREE [--git-dir DIR]

git's index lives in a folder of its own, outside the tree, so the tree stays as it is. There is no fsmonitor and no untracked
cache; the machine's own git settings are shut out. The first `git add` reads and packs every file, which takes minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import time
from pathlib import Path


def stat_tree(root: str) -> int:
    """Scan *root* and stat every entry in it; return how many there are."""
    count = 0
    stack = [os.fsencode(root)]
    while stack:
        with os.scandir(stack.pop()) as entries:
            for entry in entries:
                entry.stat(follow_symlinks=False)
                count += 1
                if entry.is_dir(follow_symlinks=False):
                    stack.append(entry.path)
    return count


def git_environment(git_dir: Path, tree: Path) -> dict[str, str]:
    """Return the process environment in which git keeps its index in *git_dir* and looks at *tree*."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return inherited | {
        "GIT_DIR": str(git_dir),
        "GIT_WORK_TREE": str(tree),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
    }


def git_command(*arguments: str) -> list[str]:
    """Return the command line of git without fsmonitor, untracked cache, conversions or excludes of the user."""
    settings = {
        "core.fsmonitor": "false",
        "core.untrackedCache": "false",
        "core.autocrlf": "false",
        "core.excludesFile": os.devnull,
        "core.compression": "0",
        "gc.auto": "0",
        "safe.directory": "*",
    }
    return ["git", *(part for name, value in settings.items() for part in ("-c", f"{name}={value}")), *arguments]


def prepare_git(git_dir: Path, tree: Path) -> None:
    """Put every file of *tree* into an index in *git_dir*, unless `git status` there already says that nothing changed."""
    environment = git_environment(git_dir, tree)
    if not git_dir.exists():
        subprocess.run(git_command("init", "--quiet"), env=environment, cwd=tree, check=True)
    if not (git_dir / "index").exists() or git_status(git_dir, tree):
        subprocess.run(git_command("add", "--all", "--force", "."), env=environment, cwd=tree, check=True)
        identity = ("-c", "user.name=bench", "-c", "user.email=bench@example.org")
        subprocess.run(git_command(*identity, "commit", "--quiet", "--message", "tree"), env=environment, cwd=tree, check=True)


def git_status(git_dir: Path, tree: Path) -> str:
    """Return what `git status --porcelain` says of *tree*: empty where nothing changed."""
    command = git_command("status", "--porcelain")
    done = subprocess.run(command, env=git_environment(git_dir, tree), cwd=tree, check=True, capture_output=True, text=True)
    return done.stdout


def main() -> None:
    """Measure one tree once with each."""
    parser = argparse.ArgumentParser(description="A bare scandir and stat of a tree, and `git status` on it.")
    parser.add_argument("tree", type=Path)
    parser.add_argument("--git-dir", type=Path, help="where git's index is kept; without it git is not run")
    options = parser.parse_args()
    tree: Path = options.tree.absolute()
    started = time.perf_counter()
    entries = stat_tree(str(tree))
    result: dict[str, float] = {"entries": entries, "stat_seconds": round(time.perf_counter() - started, 4)}
    if options.git_dir:
        git_dir: Path = options.git_dir.absolute()
        prepare_git(git_dir, tree)
        git_status(git_dir, tree)
        started = time.perf_counter()
        changed = git_status(git_dir, tree)
        result |= {"git_status_seconds": round(time.perf_counter() - started, 4), "git_changed": changed.count("\n")}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
