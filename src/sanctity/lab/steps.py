"""What the lab does, step by step, and what must come of it. Each expectation is looked for in what really happened, and can fail.

The program is a small one that scores payments. It gives the right answer, it crashes, or, where one line of one package was
changed, it gives a wrong answer and says nothing: that is the case that a lock of names and versions can not see.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sanctity.lab.story import Command, Fact

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sanctity.lab.catalogue import Catalogue, Shelved
    from sanctity.lab.place import Place

__all__ = ["ANSWER", "PROGRAM", "STEPS", "WRONG", "Definition", "Lab", "closure"]

PROGRAM: Final = '''"""Which payments are held back, because they are far above what is typical of their card?"""

from pathlib import Path

import pandas

payments = pandas.read_csv(Path(__file__).with_name("payments.csv"))
typical = payments.groupby("card")["amount"].transform("median")
held = payments[payments["amount"] > 8 * typical]
print(f"{len(held)} of {len(payments)} payments held back: {', '.join(held['id']) or 'none'}")
'''
PAYMENTS: Final = """id,card,amount
p01,red,31.90
p02,red,27.50
p03,red,2950.00
p04,blue,210.00
p05,blue,185.40
p06,blue,240.10
p07,green,12.00
p08,green,15.60
p09,green,880.00
"""
ANSWER: Final = "2 of 9 payments held back: p03, p09"
WRONG: Final = "0 of 9 payments held back: none"

#: The file that is tampered with, and the line: with it no payment is ever far above what is typical.
_MEMBER: Final = "pandas/core/groupby/groupby.py"
_LINE: Final = "GroupBy.median = GroupBy.max"
_VENV: Final = 'uv venv -q --python "$PYTHON"'
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


class Lab:
    """What a step has at hand; it keeps what was run and what had to hold until the step is over.

    *missing* says of each tool that is not there why not; *stop* switches the index off, for good; *ran* is told of each command.
    """

    def __init__(
        self,
        place: Place,
        catalogue: Catalogue,
        wheels: tuple[Shelved, ...],
        *,
        missing: Mapping[str, str],
        stop: Callable[[], None],
        ran: Callable[[Command], None],
    ) -> None:
        self.place = place
        self.catalogue = catalogue
        self.wheels = wheels
        self.missing = missing
        self.stop_index = stop
        self.ran = ran
        self.commands: list[Command] = []
        self.facts: list[Fact] = []
        #: The fingerprint that was recorded, once it was.
        self.fingerprint = ""

    def run(self, folder: str, line: str, keep: str = "", most: int = 3) -> Command:
        """Run *line* in *folder*, and keep it for the report with those lines of what it said that match *keep*."""
        command = self.place.run(folder, line, keep, most)
        self.commands.append(command)
        self.ran(command)
        return command

    def quiet(self, folder: str, line: str) -> Command:
        """Run *line* in *folder*, for comparison alone."""
        return self.place.run(folder, line)

    def tell(self, text: str) -> None:
        """Tell of what the lab did that is no command; a shell reads it as a comment."""
        command = Command(folder="", line=f"# {text}", code=0, output="", lines=(), seconds=0.0)
        self.commands.append(command)
        self.ran(command)

    def expect(self, claim: str, held: object, seen: str = "") -> None:
        """State that *claim* had to hold, and whether it did; *seen* is what there was instead."""
        self.facts.append(Fact(claim=claim, held=bool(held), seen="" if held else seen or "it did not"))

    def expect_code(self, claim: str, command: Command, code: int, *words: str) -> None:
        """State that *command* had to end with *code* and to say *words*."""
        lacking = [word for word in words if word not in command.output]
        tail = " / ".join(command.output.splitlines()[-2:])
        seen = (
            f"`{command.line}` ended with {command.code}, not {code}"
            if command.code != code
            else f"it does not say {', '.join(lacking)}"
        )
        self.expect(claim, command.code == code and not lacking, f"{seen}: {tail}"[:400])

    def can(self, tool: str, claim: str) -> bool:
        """Whether *tool* is there; where it is not, *claim* can not be known."""
        if tool in self.missing:
            self.facts.append(Fact(claim=claim, held=None, seen=f"{tool}: {self.missing[tool]}"))
            return False
        return True

    def has(self, env: str, release: str) -> bool:
        """Whether the environment *env* has *release* (``numpy-1.26.4``) installed, by the name of its metadata folder."""
        return os.path.isdir(self.place.path(env, self.place.site, f"{release}.dist-info"))

    def member(self, env: str) -> str:
        """The file in the environment *env* (a path as the command sees it) that is tampered with."""
        return f"{env}/{self.place.site}/{_MEMBER}"

    def sha256(self, path: str) -> str:
        """The SHA-256 of a file of the lab, in hex; empty where it can not be read."""
        with contextlib.suppress(OSError), open(self.place.path(path), "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
        return ""

    @property
    def old(self) -> str:
        """The release of the floating package that was there before, as its metadata folder is called."""
        return f"{self.catalogue.floating}-{self.catalogue.old}"

    @property
    def new(self) -> str:
        """The release that came, as its metadata folder is called."""
        return f"{self.catalogue.floating}-{self.catalogue.new}"

    @property
    def wheel(self) -> str:
        """The file name of the wheel of the package that is asked for."""
        return next(each.filename for each in self.wheels if each.name == self.catalogue.package)


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A step before it is done: its *name*, *title*, the question (*why*), what it *shows*, what it *needs*, and the deed."""

    name: str
    title: str
    why: str
    shows: str
    needs: tuple[str, ...]
    do: Callable[[Lab], None]


def _answers(lab: Lab, folder: str, python: str, *, right: bool, where: str = "") -> None:
    """Run the program in *folder* with *python*, which is to give the right answer, or the wrong one."""
    ran = lab.run(folder, f"{python} ../score.py", most=1)
    where = where or folder
    claim = f"{where}: the program gives the right answer" if right else f"{where}: the program gives a wrong answer, and no error"
    lab.expect_code(claim, ran, 0, ANSWER if right else WRONG)


def _prepare(lab: Lab) -> None:
    place, catalogue = lab.place, lab.catalogue
    place.write("score.py", PROGRAM)
    place.write("payments.csv", PAYMENTS)
    lab.expect(
        "every wheel has the hash that the lab's own list states",
        all(lab.sha256(f"index/files/{wheel.filename}") == wheel.sha256 for wheel in lab.wheels),
    )
    lab.run("", "cat score.py", keep="^(payments|typical|held|print)", most=4)
    asked = f"echo '{catalogue.requirement}' | uv pip compile -q --python \"$PYTHON\" --no-header --no-annotate -"
    served = lab.run("", asked, keep="==", most=8)
    lab.expect_code(
        "the index of the lab answers, and has them", served, 0, catalogue.requirement, f"{catalogue.floating}=={catalogue.new}"
    )


def _fragile(lab: Lab) -> None:
    place, catalogue = lab.place, lab.catalogue
    place.write("loose/requirements.in", f"{catalogue.requirement}\n")
    written = lab.sha256("loose/requirements.in")
    ran = []
    for env, day in (("before", catalogue.before), ("after", catalogue.after)):
        install = f"{_VENV} {env} && uv pip install -q --python {env} --exclude-newer {day} -r requirements.in"
        shown = f"uv pip freeze --python {env}"
        lab.run("loose", f"{install} && {shown}", keep=f"^({catalogue.package}|{catalogue.floating})==")
        ran.append(lab.run("loose", f"{env}/bin/python ../score.py", keep=f"Error|{ANSWER}", most=1))
    names = f"{catalogue.floating} {catalogue.old}", f"{catalogue.floating} {catalogue.new}"
    lab.expect(f"on {catalogue.before} the file gives {names[0]}", lab.has("loose/before", lab.old))
    lab.expect(f"on {catalogue.after} it gives {names[1]}", lab.has("loose/after", lab.new))
    lab.expect_code("before, the program gives the right answer", ran[0], 0, ANSWER)
    crashed = ran[1].code != 0 and catalogue.crash in ran[1].output
    lab.expect(f"after, it crashes: {catalogue.crash}", crashed, f"it ended with {ran[1].code}: {' / '.join(ran[1].lines)}")
    lab.expect("not one character of requirements.in was changed", written == lab.sha256("loose/requirements.in"))


_PYPROJECT: Final = """[project]
name = "scores"
version = "1.0"
requires-python = ">={version},<{next}"
dependencies = ["{requirement}"]
"""
_POETRY: Final = """
[tool.poetry]
package-mode = false

[[tool.poetry.source]]
name = "lab"
url = "{index}"
"""


def _locked(lab: Lab) -> None:
    place, catalogue = lab.place, lab.catalogue
    major, minor = place.version.split(".")
    project = _PYPROJECT.format(version=place.version, next=f"{major}.{int(minor) + 1}", requirement=catalogue.requirement)
    poetry = lab.can("Poetry", "Poetry's lock holds the environment still")
    pip_tools = lab.can("pip-tools", "pip-tools' lock holds the environment still")
    lab.run("", f"echo {catalogue.before} > index/today")
    place.write("uv/pyproject.toml", project)
    export = 'uv export -q --python "$PYTHON" --no-header --no-annotate --no-emit-project -o ../requirements.txt'
    lab.run("uv", f'uv lock -q --python "$PYTHON" && {export}', most=1)
    if poetry:
        place.write("poetry/pyproject.toml", project + _POETRY.format(index=place.environ["PIP_INDEX_URL"]))
        lab.run("poetry", "poetry lock -q", most=1)
    if pip_tools:
        place.write("pip-tools/requirements.in", f"{catalogue.requirement}\n")
        lab.run(
            "pip-tools", "pip-compile -q --strip-extras --generate-hashes --no-emit-index-url requirements.in", keep="rror", most=1
        )
    lab.run("", f"echo {catalogue.after} > index/today")
    lab.run("uv", 'uv sync -q --locked --python "$PYTHON"', most=1)
    _unharmed(lab, "uv", "uv.lock")
    if poetry:
        lab.run("poetry", 'poetry env use -q "$PYTHON" && poetry sync -q --no-root', keep="rror", most=1)
        _unharmed(lab, "poetry", "poetry.lock")
    if pip_tools:
        make = '"$PYTHON" -m venv .venv && .venv/bin/python -m pip install -q --require-hashes -r requirements.txt'
        lab.run("pip-tools", make, keep="rror", most=1)
        _unharmed(lab, "pip-tools", "requirements.txt")


def _unharmed(lab: Lab, folder: str, lock: str) -> None:
    """The environment of the project in *folder* is what its *lock* says, and the program runs in it."""
    lab.expect(
        f"{folder}: {lab.catalogue.floating} {lab.catalogue.old} is installed, though {lab.catalogue.new} is out",
        lab.has(f"{folder}/.venv", lab.old),
    )
    _answers(lab, folder, ".venv/bin/python", right=True)
    checked = lab.run(folder, "sanctity check", keep="^(CLEAN|DRIFTED|UNDECIDED|error)", most=1)
    lab.expect_code(f"{folder}: sanctity finds the environment clean", checked, 0, "CLEAN", lock)


def _recorded(lab: Lab) -> None:
    digests = {}
    for folder in _projects(lab):
        shown = lab.run(folder, "sanctity fingerprint", keep="sha256:", most=1)
        found = _DIGEST.search(shown.output)
        digests[folder] = found[0] if found and not shown.code else ""
    lab.fingerprint = digests["uv"]
    same = bool(lab.fingerprint) and len(digests) > 1 and len(set(digests.values())) == 1
    lab.expect(f"{_and(list(digests))} made one environment: the digest is the same", same, str(digests))
    sealed = lab.run("uv", "sanctity seal", keep="^(SEALED|error)", most=1)
    lab.expect_code("it is written down in a seal", sealed, 0, "SEALED")
    lab.expect("the seal states the same digest", lab.fingerprint and lab.fingerprint in sealed.output, sealed.output)
    other = _projects(lab)[-1]
    proven = lab.run(
        "", f"sanctity verify {lab.fingerprint or 'sha256:unknown'} --env {other}/.venv", keep="^(CLEAN|DRIFTED|error)", most=1
    )
    lab.expect_code(f"the digest alone proves {other}/.venv", proven, 0, "CLEAN")
    make = f"{_VENV} upgraded && uv pip sync -q --python upgraded --require-hashes requirements.txt"
    lab.run("", f"{make} && sanctity fingerprint --env upgraded", keep="sha256:", most=1)
    upgrade = f"pip -q --python upgraded/bin/python install -U {lab.catalogue.floating}"
    after = lab.run("", f"{upgrade}; sanctity fingerprint --env upgraded", keep="sha256:", most=1)
    digest = _DIGEST.search(after.output)
    lab.expect("a manual upgrade changes the digest", digest is not None and digest[0] != lab.fingerprint, after.output[-300:])
    named = lab.run("", "sanctity verify requirements.txt --env upgraded", keep="^(CLEAN|DRIFTED|error)|version-mismatch", most=2)
    words = ("version-mismatch", lab.catalogue.floating, lab.catalogue.old, lab.catalogue.new)
    lab.expect_code("and sanctity names what was upgraded", named, 1, *words)


def _projects(lab: Lab) -> tuple[str, ...]:
    """The folders of the projects whose tools are there, uv's first."""
    return ("uv", *(folder for folder, tool in (("poetry", "Poetry"), ("pip-tools", "pip-tools")) if tool not in lab.missing))


def _and(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _replaced(lab: Lab) -> None:
    place, package = lab.place, lab.catalogue.package
    os.makedirs(place.path("replaced"), exist_ok=True)
    served, wheels = f"index/files/{lab.wheel}", f"index/files/{package}-*.whl"
    real = lab.sha256(served)
    lab.run("", f"cp {wheels} replaced/ && replace-wheel {wheels} {_MEMBER} {shlex.quote(_LINE)}", most=1)
    try:
        lab.expect("the wheel has the same name and version, and other bytes", lab.sha256(served) not in {real, ""})
        # The caches still have the wheel that was there before, so both tools are told to ask the index again.
        sync = f"uv pip sync --refresh-package {package} --python by-uv --require-hashes ../requirements.txt"
        by_uv = lab.run("replaced", f"{_VENV} by-uv && {sync}", keep="ash mismatch", most=1)
        lab.expect("uv refuses it by its hash", by_uv.code and "ash mismatch" in by_uv.output, by_uv.output[-300:])
        if lab.can("pip", "pip refuses it by its hash"):
            words = "DO NOT MATCH THE HASHES"
            install = "pip --no-cache-dir --python by-pip/bin/python install --require-hashes -r ../requirements.txt"
            by_pip = lab.run("replaced", f"{_VENV} by-pip && {install}", keep=words, most=1)
            lab.expect("pip refuses it by its hash", by_pip.code and words in by_pip.output, by_pip.output[-300:])
        lab.run("replaced", "uv pip freeze --python ../uv/.venv > names.txt && cat names.txt", keep="==", most=2)
        silently = {"uv": f"uv pip install -q --refresh-package {package} --python silent-uv -r names.txt"}
        if lab.can("pip", "pip installs it from names and versions, and says nothing"):
            silently["pip"] = "pip -q --no-cache-dir --python silent-pip/bin/python install -r names.txt"
        for tool, line in silently.items():
            silent = lab.run("replaced", f"{_VENV} silent-{tool} && {line}", most=1)
            quiet = silent.code == 0 and not silent.output.strip()
            lab.expect(f"{tool} installs it from names and versions, and says nothing", quiet, silent.output[-300:])
            _answers(lab, "replaced", f"silent-{tool}/bin/python", right=False, where=tool)
        keep = f"^(CLEAN|DRIFTED|error)|{_MEMBER}|record-forged"
        named = lab.run("replaced", "sanctity verify ../uv/env.seal.json --env silent-uv", keep=keep, most=3)
        lab.expect_code("sanctity names it against the seal", named, 1, "record-forged", package)
    finally:
        lab.run("", f"mv replaced/{package}-*.whl index/files/ && uv cache clean -q {package}", most=1)
    deep = lab.run("replaced", "sanctity verify ../requirements.txt --env silent-uv --depth artifact", keep=keep, most=3)
    lab.expect_code("and against the lock, whose wheel is on the index again", deep, 1, package)


_CHECKS: Final = {
    "uv": (
        ("uv sync --locked --check", "uv"),
        ("uv pip check --python .venv", "uv"),
        ("uv pip sync --python .venv --require-hashes --dry-run ../requirements.txt", "uv"),
    ),
    "poetry": (("poetry sync --dry-run", "Poetry"), ("poetry check --lock", "Poetry")),
    "pip-tools": (
        (".venv/bin/python -m pip check", "pip"),
        (".venv/bin/python -m pip install --require-hashes --dry-run -r requirements.txt", "pip"),
        ("pip-sync --dry-run --python-executable .venv/bin/python requirements.txt", "pip-tools"),
    ),
}


def _changed(lab: Lab) -> None:
    folders = _projects(lab)
    for folder, tool in (("poetry", "Poetry"), ("pip-tools", "pip-tools")):
        lab.can(tool, f"{folder}: its checks see nothing, and sanctity does")
    said = {(folder, line): _said(lab.quiet(folder, line)) for folder in folders for line, _ in _CHECKS[folder]}
    files = [lab.member(f"{folder}/.venv") for folder in folders]
    before = [lab.sha256(file) for file in files]
    lab.run("", f"sed -i '$a {_LINE}' {lab.member('*/.venv')}", most=1)
    changed = [lab.sha256(file) for file in files]
    lab.expect("one line of one file is changed in each", all(one != other for one, other in zip(before, changed, strict=True)))
    for folder in folders:
        for line, _ in _CHECKS[folder]:
            now = lab.run(folder, line, most=1)
            lab.expect(f"{folder}: `{line}` says what it said before", _said(now) == said[folder, line], now.output[-300:])
        _answers(lab, folder, ".venv/bin/python", right=False)
        named = lab.run(folder, "sanctity check", keep=f"^(CLEAN|DRIFTED|UNDECIDED|error)|{_MEMBER}", most=2)
        lab.expect_code(f"{folder}: sanctity names the file", named, 1, "file-altered", _MEMBER)


def _said(command: Command) -> tuple[int, list[str]]:
    """What a tool said, less the times it took; Poetry's lines come in any order, and a progress of pip's is none of its words."""
    lines = (re.sub(r"\b\d+(\.\d+)?(ms|s)\b", "", line).strip() for line in command.output.splitlines())
    return command.code, sorted(line for line in lines if line)


def _leaked(lab: Lab) -> None:
    os.makedirs(lab.place.path("leak"), exist_ok=True)
    sync = _VENV + " {0} && uv pip sync -q --python {0} --require-hashes ../requirements.txt"
    first = lab.run("leak", sync.format("first"), most=1)
    file, other = lab.member("first"), lab.member("second")
    good = lab.sha256(f"leak/{file}")
    lab.expect("the first environment is installed by its hashes", first.code == 0 and good)
    lab.run("leak", f"echo '{_LINE}' >> {file}")
    second = lab.run("leak", sync.format("second"), most=1)
    lab.expect(
        "a second one is installed by its hashes, without a word", second.code == 0 and not second.output.strip(), second.output
    )
    lab.run("leak", f"tail -n 1 {other} && stat -c '%h links' {other}", most=2)
    lab.expect("its bytes are those of the edit in the first", lab.sha256(f"leak/{other}") == lab.sha256(f"leak/{file}") != good)
    _answers(lab, "leak", "second/bin/python", right=False)
    dry = lab.run("leak", "uv pip sync --python second --require-hashes --dry-run ../requirements.txt", most=1)
    lab.expect_code("uv finds nothing to do there", dry, 0, "Would make no changes")
    keep = f"^(CLEAN|DRIFTED|error)|{_MEMBER}"
    named = lab.run("leak", "sanctity verify ../requirements.txt --env second", keep=keep, most=2)
    lab.expect_code("sanctity names it against the lock", named, 1, "file-altered", _MEMBER)
    sealed = lab.run("leak", "sanctity verify ../uv/env.seal.json --env second", keep=keep, most=2)
    lab.expect_code("and against the seal", sealed, 1, "file-altered", _MEMBER)
    mended = lab.run(
        "leak",
        f"uv cache clean -q {lab.catalogue.package} && {sync.format('third')} && sanctity verify ../requirements.txt --env third",
        keep="^(CLEAN|DRIFTED|error)",
        most=1,
    )
    lab.expect_code("without what uv's cache had of it, a third one is clean", mended, 0, "CLEAN")


def _rebuilt(lab: Lab) -> None:
    kept = lab.run("", "sanctity archive add uv/env.seal.json --archive kept", most=2)
    lab.expect_code("all that a rebuild needs is kept in an archive", kept, 0)
    lab.tell("the index is switched off, and the environment is lost, and every cache with it")
    lab.stop_index()
    lab.run("", "rm -rf uv/.venv cache")
    gone = lab.run("uv", 'uv sync -q --locked --python "$PYTHON"', keep="error|cause", most=1)
    refused = gone.code != 0 and "refused" in gone.output
    lab.expect("uv alone can not make it again: nobody answers", refused, f"it ended with {gone.code}: {gone.output[-200:]}")
    lab.run("uv", "rm -rf .venv")
    rebuild = 'sanctity rebuild env.seal.json .venv --archive ../kept --offline --python "$PYTHON"'
    proven = lab.run("uv", rebuild, keep="^(PROVEN|NOT PROVEN|BUILT|MISSING|error)|expected|actual", most=3)
    lab.expect_code("it is built again from the archive, and proven", proven, 0, "PROVEN", lab.fingerprint or "a digest")
    shown = lab.run("uv", "sanctity fingerprint", keep="sha256:", most=1)
    lab.expect_code("its digest is the one that was recorded", shown, 0, lab.fingerprint or "a digest")
    _answers(lab, "uv", ".venv/bin/python", right=True)


STEPS: Final = (
    Definition(
        name="prepare",
        title="Real packages, on an index of our own",
        why="The lab needs an index that can be moved to another day, tampered with, and switched off: it has one, on 127.0.0.1.",
        shows="Real wheels with their real times of upload, and an index that we can do anything to.",
        needs=(),
        do=_prepare,
    ),
    Definition(
        name="fragile",
        title="One file, two days",
        why="requirements.in pins pandas and leaves the rest to the day. Between the two days numpy 2.0 came out.",
        shows="The file says what was asked for, and the calendar what was installed.",
        needs=("prepare",),
        do=_fragile,
    ),
    Definition(
        name="locked",
        title="The same program, locked",
        why="The same requirement, locked on the first day by uv, Poetry and pip-tools, and installed on the second.",
        shows="A lock holds the environment still: numpy 2.0 is out, and none of the three took it.",
        needs=("prepare",),
        do=_locked,
    ),
    Definition(
        name="recorded",
        title="One digest for a whole environment",
        why="Three tools built it at three places. Is it one environment? And would a careless upgrade be seen?",
        shows="One line says that three tools made the same bytes, and any upgrade changes it.",
        needs=("locked",),
        do=_recorded,
    ),
    Definition(
        name="replaced",
        title="A wheel replaced under its own name",
        why="Somebody with the password of the index puts another wheel in the place of pandas 2.1.1: one line more in one file.",
        shows="A hash in the lock stops it at the door; names and versions let it in, and the program lies.",
        needs=("recorded",),
        do=_replaced,
    ),
    Definition(
        name="changed",
        title="A file changed after the install",
        why="The door was guarded. Then somebody, or something, changes one line of one installed file.",
        shows="Installers compare names and versions with the lock, and no byte of what they installed. sanctity reads the bytes.",
        needs=("recorded",),
        do=_changed,
    ),
    Definition(
        name="leaked",
        title="An edit that travels",
        why="uv installs by hard links to its cache. So what does an edit in one environment do to the next one, hashes required?",
        shows="A fresh environment, installed with --require-hashes, has bytes that no lock ever named.",
        needs=("recorded",),
        do=_leaked,
    ),
    Definition(
        name="rebuilt",
        title="Lost, and built again with the index gone",
        why="Years later the index is gone, and so is the machine. What a rebuild needs was kept.",
        shows="The same digest, so the same bytes: proven, not hoped.",
        needs=("recorded",),
        do=_rebuilt,
    ),
)


def closure(only: tuple[str, ...]) -> tuple[Definition, ...]:
    """The steps called *only*, with all they need, in their order; all where none is named."""
    wanted = set(only) or {step.name for step in STEPS}
    for step in reversed(STEPS):
        if step.name in wanted:
            wanted.update(step.needs)
    return tuple(step for step in STEPS if step.name in wanted)
