"""Files of a git repository as they were at a revision: ``REV:PATH``, read by git itself and by nothing that a repository may set.

git is asked with plumbing commands that run no hook, pager, filter or text conversion, names go in by standard input so that none
is taken for an option, and nothing is ever fetched. A revision is resolved once, so that all files read are of one tree. The
system's configuration does not count; the user's own does, since it says whose repositories are trusted.
"""

from __future__ import annotations

import os
import posixpath
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sanctity.errors import DocumentError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Revision", "listed", "open_revision", "split_revision"]

#: How long git may take for one answer, in seconds.
_PATIENCE: Final = 60
#: What git may see of the caller's environment: how to find itself and whose it is, and which repository a hook is run for.
_KEPT: Final = (
    "HOME",
    "USERPROFILE",
    "XDG_CONFIG_HOME",
    "SYSTEMROOT",
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
)
_OPTIONS: Final = (
    "--no-pager",
    "--no-optional-locks",
    "-c",
    "core.fsmonitor=false",
    "-c",
    f"core.hooksPath={os.devnull}",
    "-c",
    "core.pager=cat",
    "-c",
    "protocol.allow=never",
)
_SHALLOW: Final = "a shallow clone, as CI makes it, lacks older ones"


def split_revision(text: str) -> tuple[str, str] | None:
    """The revision and the path of ``REV:PATH``, or None where *text* is none; the revision of ``:PATH`` is the index's, empty.

    As in git, the colon that counts is the first one outside of braces: ``HEAD@{2026-01-01 12:00}:uv.lock``.
    """
    depth = 0
    for index, letter in enumerate(text):
        if letter == "{":
            depth += 1
        elif letter == "}":
            depth = max(0, depth - 1)
        elif letter == ":" and not depth:
            revision, path = text[:index], text[index + 1 :]
            drive = index == 1 and text[0].isalpha() and path[:1] in {"\\", "/"}
            if drive or not path or revision.startswith(("/", "./", "../", "~/")) or path.startswith("//"):
                return None
            return revision, path
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """A tree to read from: *name* as the user wrote it, *tree* its object name (empty for the index), *path* from the root.

    *folder* and *environ* are where git is started, and with which variables.
    """

    name: str
    tree: str
    path: str
    folder: str
    environ: tuple[tuple[str, str], ...]

    def read(self, path: str, limit: int) -> bytes | None:
        """The bytes of the file *path* of this tree, with links followed inside it; None where there is none.

        Raises:
            DocumentError: it is no file, has more than *limit* bytes, or git fails.
        """
        shown = f"{self.name}:{path}"
        key = posixpath.normpath(path)
        if key.startswith(("/", "../")) or key in {"..", "."} or "\n" in key or "\0" in key:
            return None
        answer = _ask(self.folder, self.environ, f"{self.tree}:{key}", shown)
        words = answer.split()
        if words[-1:] == ["missing"] or words[:1] in (["dangling"], ["notdir"]):
            return None
        if len(words) != 3 or not words[2].isdigit():  # git's words: symlink, loop, ambiguous
            raise DocumentError("lock-not-a-file", "is a link that leads out of the repository, or in a circle", where=shown)
        name, kind, size = words
        if kind != "blob":
            raise DocumentError("lock-not-a-file", "is not a regular file", where=shown)
        if int(size) > limit:
            raise DocumentError("lock-too-large", f"it has {int(size):,} bytes", where=shown)
        data = _git(self.folder, self.environ, ["cat-file", "blob", name], shown)
        if len(data) != int(size):
            raise DocumentError("git-failed", f"git gave {len(data):,} bytes of {int(size):,}", where=shown)
        return data


def open_revision(revision: str, path: str, *, cwd: str, environ: Mapping[str, str]) -> Revision:
    """The tree that *revision* is of in the repository around *cwd*; *path* is from its root, or from *cwd* with ``./`` or ``../``.

    An empty *revision* is the index, what is staged for the next commit.

    Raises:
        DocumentError: ``git-failed``, git is not there, will not read the repository, or there is none; ``revision-unknown``.
    """
    shown = f"{revision}:{path}"
    if any(letter in revision + path for letter in "\n\r\0"):
        raise DocumentError("revision-unknown", "it holds a line end, which no name of git's has", where=ascii(shown))
    settings = _settings(environ)
    prefix = os.fsdecode(_git(cwd, settings, ["rev-parse", "--show-prefix"], shown)).rstrip("\n")
    if path.startswith(("./", "../")):
        path = posixpath.normpath(posixpath.join(prefix, path))
        if path.startswith("../"):
            raise DocumentError("revision-unknown", "this path leads out of the repository", where=shown)
    if not revision:
        return Revision(name="", tree="", path=path, folder=cwd, environ=settings)
    words = _ask(cwd, settings, f"{revision}^{{tree}}", shown).split()
    if len(words) != 3 or words[1] != "tree":
        told = "it names more than one object" if words[-1:] == ["ambiguous"] else "git knows no such revision here"
        raise DocumentError("revision-unknown", told, where=shown, hint=f"`git log` shows which there are; {_SHALLOW}")
    return Revision(name=revision, tree=words[0], path=path, folder=cwd, environ=settings)


def listed(folder: str, *patterns: str, environ: Mapping[str, str], ignored: bool = False) -> tuple[str, ...]:
    """The files at or below *folder* that fit git's own *patterns* (pathspecs), relative to it: those that the index has.

    With *ignored* they are those that are there, are not in the index, and that a ``.gitignore`` leaves out.

    Raises:
        DocumentError: ``git-failed``, git is not there, will not read the repository, or there is none.
    """
    options = ["--others", "--ignored", "--exclude-standard"] if ignored else ["--cached"]
    command = ["ls-files", "-z", *options, "--", *patterns]
    told = os.fsdecode(_git(folder, _settings(environ), command, folder))
    return tuple(dict.fromkeys(name for name in told.split("\0") if name))


def _settings(environ: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The variables that git is started with, of a caller whose own are *environ*."""
    kept = {name: environ[name] for name in _KEPT if environ.get(name)}
    folders = [folder for folder in environ.get("PATH", os.defpath).split(os.pathsep) if os.path.isabs(folder)]
    return tuple(
        sorted(
            {
                **kept,
                "PATH": os.pathsep.join(folders),
                "LC_ALL": "C",
                "GIT_CONFIG_NOSYSTEM": "1",
                "GIT_TERMINAL_PROMPT": "0",
                "GIT_NO_REPLACE_OBJECTS": "1",
                "GIT_NO_LAZY_FETCH": "1",
                "GIT_ALLOW_PROTOCOL": "none",
            }.items()
        )
    )


def _ask(folder: str, environ: tuple[tuple[str, str], ...], name: str, shown: str) -> str:
    """What git says of the object *name*: its own name, type and size, or why there is none."""
    command = ["cat-file", "--batch-check=%(objectname) %(objecttype) %(objectsize)", "--follow-symlinks"]
    return os.fsdecode(_git(folder, environ, command, shown, said=os.fsencode(name) + b"\n")).partition("\n")[0]


def _git(folder: str, environ: tuple[tuple[str, str], ...], command: list[str], shown: str, *, said: bytes = b"") -> bytes:
    """What git prints for *command*, with *said* on its standard input."""
    try:
        done = subprocess.run(
            ["git", *_OPTIONS, *command],
            cwd=folder,
            env=dict(environ),
            input=said,
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise DocumentError("git-failed", f"git gave no answer in {_PATIENCE} seconds", where=shown) from None
    except OSError as error:
        hint = "install git, or name a file"
        raise DocumentError("git-failed", f"git can not be started: {error.strerror}", where=shown, hint=hint) from error
    if done.returncode:
        raise _failed(done.stderr.decode("utf-8", "replace"), shown)
    return done.stdout


def _failed(told: str, shown: str) -> DocumentError:
    """What git's own last words mean."""
    if "dubious ownership" in told:
        return DocumentError(
            "git-failed",
            "the repository belongs to somebody else, so git will not read it",
            where=shown,
            hint="if you trust it: git config --global --add safe.directory FOLDER",
        )
    if "not a git repository" in told:
        hint = "change into the repository, or name a file that is there"
        return DocumentError(
            "git-failed", "there is no such file, and no git repository here to look for it in", where=shown, hint=hint
        )
    words = next((line for line in told.splitlines() if line.strip()), "it gave no reason")
    return DocumentError(
        "git-failed", f"git failed: {words.removeprefix('fatal: ')[:300]}", where=shown, hint="see what `git fsck` says"
    )
