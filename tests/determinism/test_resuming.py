"""What the callbacks share, without a trainer: what is put back, what is refused, and what is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from programs import run, told

from real.learning import missing, ml_python, said

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
import json, random, sys, sanctity
from sanctity.determinism.callbacks.resuming import Resuming, gathered
from sanctity.errors import SanctityError
def code(function, *arguments):
    try:
        function(*arguments)
    except SanctityError as error:
        return error.code
"""


def test_the_call_is_made_where_the_program_has_not() -> None:
    assert told(HEAD + "print(json.dumps(Resuming('T').receipt.seed))") == 42
    assert told(HEAD + "print(json.dumps(Resuming('T').receipt.seed))", SANCTITY_SEED="7") == 7


def test_what_was_seeded_anew_goes_on_where_it_was() -> None:
    code = (
        HEAD
        + """
receipt = sanctity.set_global_determinism(1)
random.random()
resuming = Resuming("T")
expected = random.Random(); expected.setstate(random.getstate())
random.seed(7); random.random()
controls = resuming.hold()
print(json.dumps([controls, random.random() == expected.random(), resuming.hold(), receipt.recheck().recorded["re-applied"]]))
"""
    )
    done = run(code)
    assert done.returncode == 0, done.stderr
    words = "random: set anew by T or before it; they go on where they were"
    assert done.stdout.strip() == f'[["random"], true, [], "{words}"]'
    assert f"sanctity: re-applied: {words}\n" in done.stderr
    quiet = run(code.replace("determinism(1)", "determinism(1, quiet=True)"))
    assert (quiet.stdout, quiet.stderr) == (done.stdout, "")


def test_what_was_seeded_before_anybody_looked_begins_anew() -> None:
    code = HEAD + (
        "sanctity.set_global_determinism(1, quiet=True); first = random.random(); random.seed(7); resuming = Resuming('T')\n"
        "print(json.dumps([resuming.hold(), random.random() == first, resuming.receipt.recorded['re-applied']]))"
    )
    assert told(code) == [["random"], True, "random: set anew by T or before it; they begin anew"]


def test_numbers_of_children_are_not_given_twice() -> None:
    code = HEAD + (
        "import os\n"
        "from sanctity.determinism.setting import current\n"
        "sanctity.set_global_determinism(1, quiet=True); resuming = Resuming('T'); pid = os.fork()\n"
        "if not pid: os._exit(0)\n"
        "os.waitpid(pid, 0); random.seed(7); resuming.hold(); print(json.dumps(current().children))"
    )
    assert told(code) == 1


def test_a_file_is_for_its_step_alone_and_whole(tmp_path: Path) -> None:
    code = (
        HEAD
        + """
sanctity.set_global_determinism(1, quiet=True)
resuming, path = Resuming("T"), sys.argv[-1] if len(sys.argv) > 1 else "PATH"
random.random(); resuming.save(path, [3, "log"]); after = random.random()
resuming.load(path, [3, "log"])
found = [random.random() == after, code(resuming.load, path, [4, "log"])]
text = open(path).read()
for broken in (text[:99], "[]", "{}", text.replace("random", "rendom"), json.dumps({"step": [3, "log"], "streams": 7})):
    open(path, "w").write(broken)
    found.append(code(resuming.load, path, [3, "log"]))
print(json.dumps([*found, code(resuming.load, path + ".none", 3), random.random() != after]))
"""
    ).replace('"PATH"', repr(str(tmp_path / "streams.json")))
    unreadable = ["state-unreadable"] * 3
    assert told(code) == [
        True,
        "state-of-another-step",
        *unreadable,
        "state-altered",
        "state-unreadable",
        "resume-without-state",
        True,
    ]


def test_without_a_state_a_lax_run_goes_on_and_that_is_recorded(tmp_path: Path) -> None:
    code = (
        HEAD
        + "resuming = Resuming('T', strict=False); resuming.load('none', 3); print(json.dumps(resuming.receipt.recorded['resumed']))"
    )
    assert "not the straight one" in told(code)


def test_ranks_have_to_be_as_many_and_alone_there_is_one() -> None:
    code = HEAD + (
        "resuming = Resuming('T'); text = resuming.text(); first = random.random()\n"
        "found = [code(resuming.resume_rank, [text, text], 0, 1, 'x'), code(resuming.resume_rank, None, 0, 1, 'x')]\n"
        "resuming.resume_rank(gathered(text), 0, 1, 'x'); print(json.dumps([*found, random.random() == first]))"
    )
    assert told(code) == ["resume-without-state", "resume-without-state", True]


@pytest.mark.torch
@pytest.mark.skipif(bool(missing()), reason=missing())
def test_numpys_stream_is_reached_where_pytorch_imports_it_while_it_is_reached() -> None:
    """NumPy imports its random part when it is first asked for, and PyTorch's states are read through it."""
    code = "import json, sys, numpy, torch, sanctity; receipt = sanctity.set_global_determinism(1, quiet=True); print(json.dumps(receipt['numpy-legacy'].status))"
    assert said(ml_python(), code) == "applied"
