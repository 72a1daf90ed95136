"""The call: what it seeds in the interpreter and in NumPy, what it says of what it does not, and what it finds when it looks again."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from programs import run, told

import sanctity
from sanctity.determinism.receipt import Receipt
from sanctity.determinism.scheme import derive, hash_seed

SCHEMA = json.loads((Path(sanctity.__file__).parent / "report/schema/receipt-1.json").read_text("utf-8"))

#: The call, then draws of everything that draws here, printed as JSON.
DRAWS = """
import json, random
import numpy
drawn = [random.random(), random.gauss(0, 1), random.getrandbits(64), random.sample(range(99), 5)]
drawn += [float(numpy.random.rand()), float(numpy.random.randn()), int(numpy.random.randint(2**31)), numpy.random.permutation(5).tolist()]
print(json.dumps(drawn))
"""


def statuses(code: str, *controls: str, **variables: str) -> Any:
    """The statuses of *controls* in the receipt ``r`` that *code* leaves."""
    return told(f"import json, sanctity\n{code}\nprint(json.dumps([r[name].status for name in {controls!r}]))", **variables)


def call(arguments: str = "7, quiet=True") -> str:
    return f"import sanctity\nr = sanctity.set_global_determinism({arguments})\n"


# -- what it seeds ----------------------------------------------------------------------------------------------------------------


def test_two_processes_draw_the_same_and_another_seed_does_not() -> None:
    first, again, other = told(call() + DRAWS), told(call() + DRAWS), told(call("8, quiet=True") + DRAWS)
    assert first == again
    assert all(a != b for a, b in zip(first, other, strict=True))


def test_a_library_that_came_before_draws_as_one_that_comes_later() -> None:
    assert told("import numpy, random\n" + call() + DRAWS) == told(call() + DRAWS)


def test_what_was_drawn_before_the_call_changes_nothing() -> None:
    before = "import random, numpy\nrandom.gauss(0, 1); numpy.random.randn(); numpy.random.rand(700)\n"
    assert told(before + call() + DRAWS) == told(call() + DRAWS)


def test_the_streams_are_those_of_the_scheme() -> None:
    code = call("42, quiet=True") + "import json, random, numpy\n"
    code += "print(json.dumps([random.getrandbits(64), [int(numpy.random.randint(2**32, dtype='uint64')) for _ in range(3)]]))"
    ours, numpys = told(code)
    assert ours == random.Random(derive(42, "random", bits=256)).getrandbits(64)
    words = random.Random(derive(42, "numpy", "legacy", bits=256))
    assert numpys == [words.getrandbits(32) for _ in range(3)]


def test_calling_again_begins_anew() -> None:
    assert told(call() + "import numpy; numpy.random.rand(3)\n" + call() + DRAWS) == told(call() + DRAWS)
    assert told(call("1, quiet=True") + call() + DRAWS) == told(call() + DRAWS)


def test_a_rank_has_streams_of_its_own() -> None:
    drawn = [told(call(f"{seed}, rank={rank}, quiet=True") + DRAWS) for seed, rank in ((42, 0), (42, 1), (43, 0))]
    drawn.append(told(call("42, quiet=True") + DRAWS))
    assert len({str(each[:2]) for each in drawn}) == 4


def test_the_old_scheme_is_what_old_programs_wrote() -> None:
    old = "import random, numpy\nrandom.seed(7); numpy.random.seed(7)\n"
    assert told(call('7, scheme="same-integer", quiet=True') + DRAWS) == told(old + DRAWS)


def test_numpy_without_its_random_is_not_there_yet() -> None:
    """NumPy 2 imports ``numpy.random`` when it is used."""
    code = call() + "import json, sys, numpy\nbefore = r['numpy-legacy'].status, 'numpy.random' in sys.modules\n"
    code += "numpy.random.rand()\nprint(json.dumps([*before, r['numpy-legacy'].status]))"
    status, there, after = told(code)
    assert (status, there) in {("pending", False), ("applied", True)}
    assert after == "applied"


def test_nothing_is_imported_for_the_sake_of_seeding_it() -> None:
    code = "import json, sys\nbefore = set(sys.modules)\n" + call() + "print(json.dumps(sorted(set(sys.modules) - before)))"
    modules = told(code)
    assert "numpy" not in modules
    # `re`, `typing`, `json`, `enum`, `dataclasses` and their like each take longer than all that is done here.
    assert {name.partition(".")[0] for name in modules} <= {
        *(
            "__future__",
            "_bisect",
            "_operator",
            "_random",
            "_sha2",
            "_sha256",
            "_sha512",
            "bisect",
            "itertools",
            "math",
            "operator",
        ),
        *("random", "sanctity", "warnings", "hashlib", "_hashlib", "_blake2"),
    }
    assert "hashlib" not in modules
    assert {name for name in modules if name.startswith("sanctity.")} == {
        "sanctity.determinism",
        *(
            f"sanctity.determinism.{name}"
            for name in ("arrival", "children", "controls", "hashing", "receipt", "scheme", "setting")
        ),
    }


def test_the_environment_is_left_alone_but_for_the_hash_seed_of_children() -> None:
    code = (
        "import json, os\nbefore = dict(os.environ)\n"
        + call()
        + "import numpy.random\nprint(json.dumps([before, dict(os.environ)]))"
    )
    before, after = told(code)
    assert after == {**before, "PYTHONHASHSEED": str(hash_seed(7))}


# -- which seed it is -------------------------------------------------------------------------------------------------------------


def test_without_a_seed_it_is_the_one_of_the_variable_or_42() -> None:
    ask = "import json\nprint(json.dumps(r.seed))"
    assert told(call("quiet=True") + ask) == 42
    assert told(call("quiet=True") + ask, SANCTITY_SEED="17") == 17
    assert told(call("17, quiet=True") + ask, SANCTITY_SEED="17") == 17
    assert told(call("quiet=True") + ask, SANCTITY_SEED=str(2**128 - 1)) == 2**128 - 1
    assert told(call("quiet=True") + ask, SANCTITY_SEED="") == 42


@pytest.mark.parametrize(
    ("arguments", "code", "variables"),
    [
        ("5", "seed-conflict", {"SANCTITY_SEED": "17"}),
        ("-1", "seed-invalid", {}),
        ("2**128", "seed-invalid", {}),
        ("True", "seed-invalid", {}),
        ("'7'", "seed-invalid", {}),
        ("1.0", "seed-invalid", {}),
        ("", "seed-invalid", {"SANCTITY_SEED": "-1"}),
        ("", "seed-invalid", {"SANCTITY_SEED": "x"}),
        ("", "seed-invalid", {"SANCTITY_SEED": str(2**128)}),
        ("", "seed-invalid", {"SANCTITY_SEED": "9" * 5000}),
        ("7", "seed-invalid", {"SANCTITY_SEED": "\u0661"}),
        ("7, scheme='sanctity-seed/2'", "determinism-argument", {}),
        ("7, algorithms='error'", "determinism-argument", {}),
        ("7, algorithms=None", "determinism-argument", {}),
        ("7, rank=-1", "determinism-argument", {}),
        ("7, rank=True", "determinism-argument", {}),
        ("7, rank='0'", "determinism-argument", {}),
        ("7, scheme='same-integer', rank=0", "determinism-argument", {}),
        ("2**64, scheme='same-integer'", "determinism-argument", {}),
        ("7, receipt='/nowhere/at/all/receipt.json'", "receipt-unwritable", {}),
    ],
)
def test_what_it_can_not_take_is_an_error_with_a_code(arguments: str, code: str, variables: dict[str, str]) -> None:
    program = "import random, sanctity\nbefore = random.getstate()\n"
    program += f"try: sanctity.set_global_determinism({arguments})\n"
    program += "except sanctity.errors.SanctityError as error: print(error.code, bool(error.hint), random.getstate() == before)\n"
    done = run("import sanctity.errors\n" + program, **variables)
    seeded = code == "receipt-unwritable"
    assert done.stdout.split() == [code, "True", str(not seeded)], done.stderr


# -- hashing ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "before", "expected"),
    [
        ({}, "", ["too-late", "applied"]),
        ({"PYTHONHASHSEED": "random"}, "", ["too-late", "applied"]),
        # T1: the variable that a program sets for itself is read by nobody.
        ({}, "import os; os.environ['PYTHONHASHSEED'] = '0'", ["too-late", "applied"]),
        ({"PYTHONHASHSEED": "0"}, "", ["applied", "applied"]),
        ({"PYTHONHASHSEED": "5"}, "", ["applied", "applied"]),
        ({"PYTHONHASHSEED": "5"}, "import os; del os.environ['PYTHONHASHSEED']", ["applied", "applied"]),
        ({"PYTHONHASHSEED": str(hash_seed(7))}, "", ["applied", "applied"]),
    ],
)
def test_the_hash_seed_is_found_out(variables: dict[str, str], before: str, expected: list[str]) -> None:
    assert statuses(before + "\n" + call(), "hash-seed", "hash-seed-children", **variables) == expected


def test_the_receipt_tells_whose_hash_seed_it_is() -> None:
    ask = call() + "import json\nprint(json.dumps([r['hash-seed'].detail, r['hash-seed-children'].detail, r['hash-seed'].remedy]))"
    own, children, _ = told(ask, PYTHONHASHSEED=str(hash_seed(7)))
    assert "the one of this seed" in own
    assert "not the one" not in own
    assert "and with this process" in children
    own, children, _ = told(ask, PYTHONHASHSEED="5")
    assert "seed 5" in own
    assert "not the one of this seed" in own
    own, children, remedy = told(ask)
    assert "not with this process" in children
    assert f"PYTHONHASHSEED={hash_seed(7)}" in remedy


def test_what_the_remedy_says_is_in_time() -> None:
    remedy = told(call() + "import json\nprint(json.dumps(r['hash-seed'].remedy))")
    variable, _, value = remedy.rpartition(" ")[2].partition("=")
    order = "import json\nprint(json.dumps(list({'cat', 'dog', 'bird', 'fish', 'newt'})))"
    assert statuses(call(), "hash-seed", **{variable: value}) == ["applied"]
    assert len({str(told(order, **{variable: value})) for _ in range(3)}) == 1


def test_children_agree_on_the_order_of_a_set() -> None:
    child = "print(list({'cat', 'dog', 'bird', 'fish', 'newt', 'toad'}))"
    code = f"import json, subprocess, sys\nask = lambda: subprocess.run([sys.executable, '-c', {child!r}], capture_output=True).stdout.decode()\n"
    code += "before = {ask() for _ in range(6)}\n" + call() + "print(json.dumps([len(before), sorted({ask() for _ in range(3)})]))"
    (before, after), (_, again) = told(code), told(code)
    assert before > 1
    assert len(after) == 1
    assert after == again


def test_a_second_seed_gives_children_a_second_hash_seed() -> None:
    code = call("1, quiet=True") + call("2, quiet=True") + "import json, os\nprint(json.dumps(os.environ['PYTHONHASHSEED']))"
    assert told(code) == str(hash_seed(2))
    assert told(code, PYTHONHASHSEED="5") == "5"


def test_an_interpreter_that_ignores_variables_is_told() -> None:
    code = call() + "print(r['hash-seed'].status, r['hash-seed-children'].status)"
    code = f"import sys; sys.path.insert(0, {str(Path(sanctity.__file__).parents[1])!r})\n" + code
    assert run(code, "-E", PYTHONHASHSEED="5").stdout.split() == ["too-late", "refused"]


# -- telling ----------------------------------------------------------------------------------------------------------------------


def test_one_line_tells_what_was_not_reached() -> None:
    done = run(call("7"))
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("sanctity: seed 7 did not reach hash-seed (too late); start it by `sanctity run --seed 7")
    assert run(call("7, quiet=True")).stderr == ""
    assert run(call("7"), PYTHONHASHSEED=str(hash_seed(7))).stderr == ""


def test_a_program_without_a_standard_error_goes_on() -> None:
    assert run("import sys; sys.stderr = None\n" + call("7") + "print(r.seed)").stdout.split() == ["7"]
    assert run("import sys; sys.stderr.close()\n" + call("7") + "print(r.seed)").stdout.split() == ["7"]


def test_strict_raises() -> None:
    done = run(call("7, strict=True, quiet=True"))
    assert done.returncode == 1
    assert "control-not-applied" in done.stderr or "hash-seed is too-late" in done.stderr
    assert run(call("7, strict=True"), PYTHONHASHSEED="3").returncode == 0


def test_strict_ends_the_import_of_what_can_not_be_seeded(tmp_path: Path) -> None:
    """Of a CuPy that is none: the real one needs a GPU."""
    (tmp_path / "cupy.py").write_text("")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n" + call("7, strict=True") + "import cupy"
    done = run(code, PYTHONHASHSEED="3")
    assert done.returncode == 1
    assert "cupy is not-controllable" in done.stderr
    done = run(code.replace(", strict=True", "") + "\nprint(r['cupy'].status)", PYTHONHASHSEED="3")
    assert done.stdout.split() == ["not-controllable"]
    assert done.stderr.count("\n") == 1
    assert "did not reach cupy (not controllable)" in done.stderr


def test_a_library_that_is_not_as_it_was_known_is_refused(tmp_path: Path) -> None:
    (tmp_path / "jax.py").write_text("random = None")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n" + call() + "import jax"
    assert statuses(code, "jax", "random") == ["refused", "applied"]
    done = run(code + "\nprint(r['jax'].detail)")
    assert "AttributeError" in done.stdout


def test_a_module_of_the_program_that_hides_random_is_told(tmp_path: Path) -> None:
    (tmp_path / "random.py").write_text("def draw(): return 4")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n" + call()
    assert statuses(code, "random", "hash-seed-children") == ["refused", "applied"]


def test_a_receipt_that_can_not_be_written_ends_no_import(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    code = call(f"7, receipt={str(folder / 'r.json')!r}") + f"import shutil; shutil.rmtree({str(folder)!r})\n"
    done = run(code + "import numpy.random\nprint(r['numpy-legacy'].status)", PYTHONHASHSEED="1")
    assert done.stdout.split() == ["applied"], done.stderr
    assert "the receipt can not be written" in done.stderr


def test_a_rank_may_be_any_integer() -> None:
    assert told("import numpy\n" + call("7, rank=numpy.int64(3), quiet=True") + "import json\nprint(json.dumps(r.rank))") == 3


def test_a_library_that_makes_the_call_while_it_is_imported_is_told(tmp_path: Path) -> None:
    """Such as one whose import is under way in another thread."""
    (tmp_path / "jax.py").write_text("import sanctity\nr = sanctity.set_global_determinism(7, quiet=True)")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\nimport jax\nr = jax.r"
    assert statuses(code, "jax", "random") == ["refused", "applied"]


def test_ranks_that_were_seen_are_told() -> None:
    assert statuses(call(), "ranks") == ["unavailable"]
    assert statuses(call(), "ranks", RANK="1") == ["refused"]
    assert statuses(call(), "ranks", SLURM_PROCID="1") == ["refused"]
    assert statuses(call("7, rank=1, quiet=True"), "ranks", RANK="1") == ["applied"]
    assert run(call("7"), RANK="1", PYTHONHASHSEED="1").stderr == ""


def test_a_hostile_variable_does_not_drive_a_terminal() -> None:
    done = run(call() + "print(r)", RANK="\x1b[31m\n1")
    assert "\x1b" not in done.stdout
    assert "\\x1b[31m\\n1" in done.stdout


# -- the file ---------------------------------------------------------------------------------------------------------------------


def test_the_file_is_written_and_follows_what_arrives(tmp_path: Path) -> None:
    path = tmp_path / "receipt.json"
    code = call(f"7, quiet=True, receipt={str(path)!r}")
    run(code)
    first = Receipt.from_json(path.read_text("utf-8"))
    jsonschema.validate(json.loads(path.read_text("utf-8")), SCHEMA)
    assert first["numpy-legacy"].status == "pending"
    run(code + "import numpy.random")
    second = Receipt.from_json(path.read_text("utf-8"))
    assert second["numpy-legacy"].status == "applied"
    run(code + "import numpy.random\nnumpy.random.seed(1)\nr.recheck()")
    assert Receipt.from_json(path.read_text("utf-8"))["numpy-legacy"].status == "overwritten"
    assert list(tmp_path.iterdir()) == [path]


def test_equal_runs_have_equal_receipts(tmp_path: Path) -> None:
    code = call("7, quiet=True") + "import json, numpy.random\nprint(json.dumps(r.digest))"
    assert told(code) == told(code)
    assert told(code) != told(code.replace("(7", "(8"))


# -- looking again ----------------------------------------------------------------------------------------------------------------

AGAIN = "\nr.recheck()\n"


def test_drawing_is_not_overwriting() -> None:
    draws = "import random, numpy.random\n[random.random() for _ in range(1000)]; random.gauss(0, 1); numpy.random.randn(100_001)\n"
    assert statuses(call() + draws + AGAIN, "random", "numpy-legacy") == ["applied", "applied"]


@pytest.mark.parametrize("count", [0, 1, 311, 312, 313, 624, 1248, 5000])
def test_the_words_that_were_drawn_are_counted(count: int) -> None:
    code = (
        call()
        + f"import json, random\nfor _ in range({count}): random.getrandbits(32)\nr.recheck()\nprint(json.dumps(r['random'].detail))"
    )
    assert f"; {count} words were drawn" in told(code)


@pytest.mark.parametrize(
    ("code", "control", "words"),
    [
        ("import random; random.seed(42)", "random", "the one of random.seed(42)"),
        ("import random; random.seed(42); [random.random() for _ in range(999)]", "random", "the one of random.seed(42)"),
        ("import random; random.seed(7)", "random", "the one of random.seed(7)"),
        ("import random; random.seed()", "random", "set by something else"),
        ("import random; random.seed('text')", "random", "set by something else"),
        ("import random; s = random.getstate(); random.setstate((3, (*s[1][:-1], 5), None))", "random", "set by something else"),
        ("import numpy.random as n; n.seed(42)", "numpy-legacy", "the one of numpy.random.seed(42)"),
        ("import numpy.random as n; n.seed(7); n.rand(999)", "numpy-legacy", "the one of numpy.random.seed(7)"),
        ("import numpy.random as n; n.seed()", "numpy-legacy", "set by something else"),
        ("import os; os.environ['PYTHONHASHSEED'] = '0'", "hash-seed-children", "and is 0"),
        ("import os; del os.environ['PYTHONHASHSEED']", "hash-seed-children", "and is not set"),
    ],
)
def test_what_somebody_else_set_is_found(code: str, control: str, words: str) -> None:
    ask = f"\nr.recheck()\nimport json\nprint(json.dumps([r[{control!r}].status, r[{control!r}].detail, bool(r[{control!r}].remedy)]))"
    status, detail, remedy = told(call() + code + ask)
    assert status == "overwritten"
    assert words in detail
    assert remedy


def test_another_generator_behind_the_shared_stream_is_found() -> None:
    swap = "import numpy.random as n; n.set_bit_generator(n.PCG64(1))\n"
    assert statuses(call() + swap + AGAIN, "numpy-legacy") == ["overwritten"]
    assert statuses(swap + call(), "numpy-legacy") == ["refused"]


def test_a_state_that_is_put_back_is_no_overwriting() -> None:
    code = "import random, numpy.random as n; s, t = random.getstate(), n.get_state(); random.random(); n.rand(); "
    code += "random.seed(1); random.setstate(s); n.set_state(t)\n"
    assert statuses(call() + code + AGAIN, "random", "numpy-legacy") == ["applied", "applied"]


def test_calling_again_applies_what_was_overwritten() -> None:
    code = call() + "import random; random.seed(1); first = r.recheck()['random'].status\n" + call()
    code += "import json\nprint(json.dumps([first, r.recheck()['random'].status]))"
    assert told(code) == ["overwritten", "applied"]


def test_the_receipt_of_an_earlier_call_is_not_alive() -> None:
    code = call() + "old = r\n" + call() + "try: old.recheck()\nexcept Exception as error: print(error.code)"
    assert run(code).stdout.split() == ["receipt-detached"]


def test_a_module_that_came_unseen_is_told() -> None:
    code = call() + "import sys\nfinder = sys.meta_path.pop(0)\nimport numpy.random\nsys.meta_path.insert(0, finder)\n"
    assert statuses(code, "numpy-legacy") == ["pending"]
    assert statuses(code + AGAIN, "numpy-legacy") == ["refused"]
    assert statuses(code + call(), "numpy-legacy") == ["applied"]


def test_what_is_no_randomness_is_recorded_and_left() -> None:
    code = call() + "import json, os, numpy.random\nprint(json.dumps([r.recorded, os.environ['OMP_NUM_THREADS']]))"
    recorded, threads = told(code, OMP_NUM_THREADS="3")
    assert (recorded["OMP_NUM_THREADS"], threads) == ("3", "3")
    assert {"cpus", "python", "numpy"} <= recorded.keys()
