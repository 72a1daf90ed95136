"""Scripts: every text that an installer generates is proven, and nothing else that could act otherwise."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sanctity.canon.scripts import EntryPointError, parse_entry_points, split_interpreter, wrapper_target

if TYPE_CHECKING:
    from pathlib import Path

PYTHON: Final = "/project/.venv/bin/python"

#: The texts that installers write for ``pkg.cli:app.main``, less their first line.
BODIES: Final = {
    "pip 26": b"""import sys
from pkg.cli import app
if __name__ == '__main__':
    sys.argv[0] = sys.argv[0].removesuffix('.exe')
    sys.exit(app.main())
""",
    "pip 23": rb"""# -*- coding: utf-8 -*-
import re
import sys
from pkg.cli import app
if __name__ == '__main__':
    sys.argv[0] = re.sub(r'(-script\.pyw|\.exe)?$', '', sys.argv[0])
    sys.exit(app.main())
""",
    "poetry and installer": rb"""# -*- coding: utf-8 -*-
import re
import sys
from pkg.cli import app
if __name__ == "__main__":
    sys.argv[0] = re.sub(r"(-script\.pyw|\.exe)?$", "", sys.argv[0])
    sys.exit(app.main())
""",
    "uv": b"""# -*- coding: utf-8 -*-
import sys
from pkg.cli import app
if __name__ == "__main__":
    if sys.argv[0].endswith("-script.pyw"):
        sys.argv[0] = sys.argv[0][:-11]
    elif sys.argv[0].endswith(".exe"):
        sys.argv[0] = sys.argv[0][:-4]
    sys.exit(app.main())
""",
    "poetry's project": b"""import sys
from pkg.cli import app

if __name__ == '__main__':
    sys.exit(app.main())
""",
    "distlib in virtualenv": rb"""# -*- coding: utf-8 -*-
import re
import sys
if __name__ == '__main__':
    from pkg.cli import app
    sys.argv[0] = re.sub(r'(-script\.pyw|\.exe)?$', '', sys.argv[0])
    sys.exit(app.main())
""",
}
STARTS: Final = {
    "plain": b"#!/project/.venv/bin/python\n",
    "pip, long": b"#!/bin/sh\n'''exec' /project/.venv/bin/python \"$0\" \"$@\"\n' '''\n",
    "pip, blank": b"#!/bin/sh\n'''exec' \"/project/.venv/bin/python\" \"$0\" \"$@\"\n' '''\n",
    "uv": b"#!/bin/sh\n'''exec' '/project/.venv/bin/python' \"$0\" \"$@\"\n' '''\n",
}
RELOCATABLE: Final = b"#!/bin/sh\n'''exec' \"$(dirname -- \"$(realpath -- \"$0\")\")\"/'python' \"$0\" \"$@\"\n' '''\n"


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("body", BODIES)
def test_wrappers_are_proven(body: str, start: str) -> None:
    data = STARTS[start] + BODIES[body]
    assert split_interpreter(data) == (PYTHON, BODIES[body])
    assert wrapper_target(data) == "pkg.cli:app.main"


@pytest.mark.parametrize("body", BODIES)
def test_relocatable_wrappers_are_proven(body: str) -> None:
    data = RELOCATABLE + BODIES[body]
    assert split_interpreter(data) == ("$ORIGIN/python", BODIES[body])
    assert wrapper_target(data) == "pkg.cli:app.main"


STATEMENTS: Final = (
    "import os",
    "import sys as re",
    "import sys, os",
    "from pkg.cli import other",
    "from .cli import app",
    "from pkg.cli import app as sys",
    "x = 1",
    "'a text'",
    "print()",
    "app.main()",
    "sys.argv[0] = ''",
    "sys.argv[0] = sys.argv[0].removesuffix('.EXE')",
    "sys.path.insert(0, '/tmp')",
    "sys.exit(app.other())",
    "def f(): pass",
    "class C: pass",
    "with x: pass",
    "assert x",
    "del sys",
    "global app",
    "pass",
    "@app\ndef f(): pass",
    "raise SystemExit",
    "import re; import os",
)


@pytest.mark.parametrize("start", ["plain", "uv"])
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("statement", STATEMENTS)
def test_one_more_statement_is_none(statement: str, body: str, start: str) -> None:
    lines = BODIES[body].decode().splitlines()
    for place in range(len(lines) + 1):
        for indent in ("", "    ", "        "):
            added = [indent + line for line in statement.splitlines()]
            source = STARTS[start] + "\n".join([*lines[:place], *added, *lines[place:], ""]).encode()
            assert wrapper_target(source) == "", source.decode()


@pytest.mark.parametrize("body", BODIES)
def test_one_statement_less_is_none(body: str) -> None:
    lines = BODIES[body].decode().splitlines()
    for place, line in enumerate(lines):
        if not line or line.startswith("#") or "argv" in line:
            continue
        source = STARTS["plain"] + "\n".join([*lines[:place], *lines[place + 1 :], ""]).encode()
        assert not wrapper_target(source), source.decode()


@given(st.sampled_from(sorted(BODIES)), st.sampled_from(sorted(STARTS)), st.data())
@settings(max_examples=800, derandomize=True, deadline=None)
def test_another_character_is_another_wrapper(body: str, start: str, data: st.DataObject) -> None:
    """What is still proven to call the same after a change has the same syntax tree, up to what a comment or a blank may hold."""
    whole = STARTS[start] + BODIES[body]
    place = data.draw(st.integers(0, len(whole) - 1))
    other = data.draw(st.binary(max_size=3))
    changed = whole[:place] + other + whole[place + data.draw(st.integers(0, 3)) :]
    if wrapper_target(changed) != "pkg.cli:app.main":
        return
    python, _ = split_interpreter(changed)
    if python != PYTHON:
        return  # it starts something else, which is seen
    assert _behaviour(changed) == _behaviour(whole)


def _behaviour(source: bytes) -> list[str]:
    """What *source* does when it is run as a script, with the packages it may use put in its place."""
    seen: list[object] = []

    class Stop(Exception):  # noqa: N818
        pass

    class App:
        @staticmethod
        def main() -> str:
            seen.append("main")
            return "code"

    class Sys:
        argv = ["/bin/x-script.pyw"]  # noqa: RUF012

        @staticmethod
        def exit(code: object) -> None:
            seen.extend(["exit", code])
            raise Stop

    import builtins
    import re

    def importing(name: str, *rest: object) -> object:
        seen.append(f"import {name}")
        return {"sys": Sys, "re": re, "pkg.cli": type("Module", (), {"app": App})}[name]

    names = {"__name__": "__main__", "__builtins__": {**vars(builtins), "__import__": importing}}
    with contextlib.suppress(Stop):
        exec(compile(source, "script", "exec"), names)
    return sorted(map(str, seen))


# -- what the shell and Python see -----------------------------------------------------------------------------------------

HOSTILE: Final = {
    "expansion": b"#!/bin/sh\n'''exec' \"/project/.venv/bin/$(touch OWNED)/../python\" \"$0\" \"$@\"\n' '''\n",
    "backquotes": b"#!/bin/sh\n'''exec' \"/project/.venv/bin/`touch OWNED`/../python\" \"$0\" \"$@\"\n' '''\n",
    "variable": b"#!/bin/sh\n'''exec' \"$ORIGIN/python\" \"$0\" \"$@\"\n' '''\n",
    "two commands": b"#!/bin/sh\n'''exec' /project/.venv/bin/python;touch${IFS}OWNED \"$0\" \"$@\"\n' '''\n",
    "bare expansion": b"#!/bin/sh\n'''exec' /project/$(touch${IFS}OWNED)/../.venv/bin/python \"$0\" \"$@\"\n' '''\n",
    "Python in the path": b"#!/bin/sh\n'''exec' \"/project/'''+str(open('OWNED','w'))+'''/../.venv/bin/python\" \"$0\" \"$@\"\n' '''\n",
    "one line more": b"#!/bin/sh\n'''exec' '/project/.venv/bin/python' \"$0\" \"$@\"\ntouch OWNED\n' '''\n",
    "one line before": b"#!/bin/sh\ntouch OWNED\n'''exec' '/project/.venv/bin/python' \"$0\" \"$@\"\n' '''\n",
    "an argument": b"#!/bin/sh\n'''exec' '/project/.venv/bin/python' -i \"$0\" \"$@\"\n' '''\n",
    "after the text": b"#!/bin/sh\n'''exec' '/project/.venv/bin/python' \"$0\" \"$@\"\n' ''' + open('OWNED', 'w').name\n",
    "another shell": b"#!/bin/bash\n'''exec' '/project/.venv/bin/python' \"$0\" \"$@\"\n' '''\n",
    "a shell's option": b"#!/bin/sh -x\n'''exec' '/project/.venv/bin/python' \"$0\" \"$@\"\n' '''\n",
    "another folder's": b"#!/bin/sh\n'''exec' \"$(dirname -- \"$(realpath -- \"$1\")\")\"/'python' \"$0\" \"$@\"\n' '''\n",
    "more in between": b"#!/bin/sh\n'''exec' \"$(dirname -- \"$(touch OWNED; realpath -- \"$0\")\")\"/'python' \"$0\" \"$@\"\n' '''\n",
    "up and away": b"#!/bin/sh\n'''exec' \"$(dirname -- \"$(realpath -- \"$0\")\")\"/'../../python' \"$0\" \"$@\"\n' '''\n",
    "plain, with an argument": b"#!/project/.venv/bin/python -i\n",
    "plain, with a space that is none": "#!/project/.venv/bin/python\u00a0\n".encode(),
    "plain, with a carriage return": b"#!/project/.venv/bin/python\r\n",
    "a byte-order mark": b"\xef\xbb\xbf#!/project/.venv/bin/python\n",
    "plain $ORIGIN": b"#!$ORIGIN/python\n",
}


@pytest.mark.parametrize("start", HOSTILE)
def test_hostile_starts_are_not_ours(start: str) -> None:
    data = HOSTILE[start] + BODIES["uv"]
    interpreter, _ = split_interpreter(data)
    assert os.path.normpath(interpreter) not in {PYTHON, "$ORIGIN/python"} or interpreter != os.path.normpath(interpreter)


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("a blank", '"/a b/.venv/bin/python"'),
        ("an apostrophe, by pip", '"/o\'brien/.venv/bin/python"'),
        ("an apostrophe, by uv", "'/o'\"'\"'brien b/.venv/bin/python'"),
        ("letters", "/" + "\u00e9" * 80 + "/.venv/bin/python"),
        ("a dollar, by uv", "'/a $b/.venv/bin/python'"),
    ],
)
def test_the_shell_starts_what_is_read(name: str, written: str, tmp_path: Path) -> None:
    """The three lines are run by a real shell: what it starts is what was read off them."""
    data = f"#!/bin/sh\n'''exec' {written} \"$0\" \"$@\"\n' '''\n".encode() + BODIES["pip 26"]
    interpreter, rest = split_interpreter(data)
    assert rest == BODIES["pip 26"]
    assert wrapper_target(data) == "pkg.cli:app.main"
    here = tmp_path / interpreter.removeprefix("/")
    here.parent.mkdir(parents=True)
    here.symlink_to(sys.executable)
    script = tmp_path / "script"
    escaped = str(tmp_path).encode()
    script.write_bytes(
        data.replace(written[0].encode() + b"/", written[0].encode() + escaped + b"/", 1)
        if written[0] in "'\""
        else data.replace(b"exec' /", b"exec' " + escaped + b"/", 1)
    )
    package = tmp_path / "pkg"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "cli.py").write_text(
        "import sys\nclass app:\n    main = staticmethod(lambda: print(sys.executable, *sys.argv[1:]))\n"
    )
    done = subprocess.run(
        ["/bin/sh", script, "one two"], capture_output=True, text=True, check=False, env={"PYTHONPATH": str(tmp_path)}
    )
    assert done.stdout.strip() == f"{here} one two", done.stderr


def test_a_cookie_is_seen_where_python_sees_it() -> None:
    # In UTF-7, the second line ends a comment and calls; in UTF-8 all of it is one comment.
    hidden = b"# -*- coding: utf-7 -*-\n# +AAo-import os\n" + BODIES["poetry's project"]
    assert wrapper_target(STARTS["plain"] + BODIES["poetry's project"]) == "pkg.cli:app.main"
    assert wrapper_target(STARTS["plain"] + hidden) == ""
    # Behind the shell's three lines, the cookie stands in line four, and Python takes it for a comment.
    assert wrapper_target(STARTS["uv"] + hidden) == "pkg.cli:app.main"
    # The other way round: what only that cookie would hide is seen.
    shown = b"# -*- coding: utf-7 -*-\nimport os#+AAo-\n" + BODIES["poetry's project"]
    assert wrapper_target(STARTS["uv"] + shown) == ""
    assert wrapper_target(b"#!/bin/sh\n# coding: utf-7\n" + BODIES["poetry's project"]) == ""


@pytest.mark.parametrize(
    "source", [b"", b"\0", b"\xff", b"(" * 5000, b"x" * 20_000, b"#!/bin/sh\n", b"if __name__ == '__main__': pass"]
)
def test_what_is_no_wrapper(source: bytes) -> None:
    assert wrapper_target(source) == ""


def test_a_large_file_is_no_wrapper() -> None:
    assert wrapper_target(STARTS["plain"] + BODIES["uv"] + b"#" * 16384) == ""


@given(st.binary(max_size=200).map(lambda data: data.replace(b"\n", b"")), st.binary(max_size=50))
@settings(max_examples=500, derandomize=True, deadline=None)
def test_split_loses_nothing_but_the_first_line(line: bytes, rest: bytes) -> None:
    interpreter, after = split_interpreter(b"#!" + line + b"\n" + rest)
    assert after == rest
    assert interpreter.removeprefix("./").encode("utf-8", "surrogateescape") in line


@given(st.binary(max_size=80))
@settings(max_examples=300, derandomize=True, deadline=None)
def test_a_file_without_a_first_line_is_whole(data: bytes) -> None:
    data = data.removeprefix(b"#!")
    if not data.startswith(b"#!"):
        assert split_interpreter(data) == ("", data)


# -- entry points ----------------------------------------------------------------------------------------------------------


def test_entry_points() -> None:
    text = (
        "# made by hand\n[console_scripts]\n  One = pkg.cli:app.main\n  two= pkg : main [extra,more]\n; no\n\n[gui_scripts]\nthree =p:q\n"
        "[other]\nfour = no:no\nfive\n".replace("five\n", "")
    )
    assert parse_entry_points(text) == {"One": "pkg.cli:app.main", "two": "pkg:main", "three": "p:q"}
    assert parse_entry_points("") == {}


def test_no_section_speaks_for_others() -> None:
    assert parse_entry_points("[DEFAULT]\nx = a:b\n[console_scripts]\ny = c:d\n") == {"y": "c:d"}


@pytest.mark.parametrize(
    "text",
    [
        "x = a:b\n",
        "[console_scripts\n",
        "[console_scripts]\nx\n",
        "[console_scripts]\nx = a\n",
        "[console_scripts]\nx = a:b c\n",
        "[console_scripts]\n../x = a:b\n",
        "[console_scripts]\n.. = a:b\n",
        "[console_scripts]\nx = a:b;import os\n",
        "[console_scripts]\nx = a:b\n  c:d\n",
        "[console_scripts]\n = a:b\n",
    ],
)
def test_what_is_no_entry_point(text: str) -> None:
    with pytest.raises(EntryPointError):
        parse_entry_points(text)


@given(st.text(st.sampled_from("[]console_scripts=:.ab \n#;%\t\0\r\u00e9"), max_size=80))
@settings(max_examples=600, derandomize=True, deadline=None)
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = parse_entry_points("[console_scripts]\n" + text)
    except EntryPointError:
        return
    assert all("/" not in name and ":" in target for name, target in found.items())
