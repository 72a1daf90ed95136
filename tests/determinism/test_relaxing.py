"""Relaxing a control on purpose: under a waiver that counts, in a block alone, and counted; whatever is tried instead is an error."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from programs import SOURCE, script

from real.learning import ml_python, run_script
from sanctity.determinism import rules
from sanctity.determinism.files import receipts
from sanctity.determinism.receipt import Receipt, Relaxation, Row
from sanctity.errors import DocumentError
from sanctity.observe import policies, seals
from sanctity.policies.document import parse_policy, parse_waiver, policy_digest, policy_document, waiver_document
from sanctity.policies.waivers import NO_RULES, parse_rules, rules_of, rules_text

if TYPE_CHECKING:
    from pathlib import Path

WAIVER = {
    "control": "hash-seed-children",
    "reason": "a server that is started is to be safe from crafted keys",
    "owner": "ada",
    "approver": "grace",
    "until": "2999-01-31",
    "cost": "12 % (9 % to 15 %, 95 %)",
    "tolerance": "none of its output decides about a result",
}
#: A program that relaxes and says what the children's hash seed was before, in and after the block, and what was raised.
ASK = """
import json, os, sys
import sanctity
from sanctity.errors import SanctityError
r = sanctity.set_global_determinism(7, quiet=True)
now = lambda: os.environ.get("PYTHONHASHSEED")
out = {"before": now()}
try:
    with sanctity.relaxed("hash-seed-children", waiver=sys.argv[1] if len(sys.argv) > 1 else "W-9"):
        out["inside"] = now()
except SanctityError as error:
    out["raised"], out["where"], out["hint"] = error.code, error.where, error.hint
out["after"] = now()
out["count"] = sum(each.count for each in r.relaxations)
out["rules"] = [each.rules for each in r.relaxations]
print(json.dumps(out))
"""


def a_waiver(folder: Path, name: str = "W-9", /, **changes: str | None) -> Path:
    """A waiver of a control in the project *folder*; a key that is None is left out."""
    stated = {key: value for key, value in {**WAIVER, **changes}.items() if value is not None}
    (folder / "waivers").mkdir(exist_ok=True, parents=True)
    path = folder / f"waivers/{name}.toml"
    path.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in stated.items()))
    return path


def the_waiver(name: str = "W-9", **changes: str) -> Any:
    return parse_waiver({**WAIVER, **changes}, path="x", stem=name)


def a_seal(folder: Path, *waivers: Any, policy: dict[str, object] | None = None) -> Path:
    """A document with what a seal says of its rules; the rest of one is not looked at by a program."""
    stated = parse_policy(policy or {}, path="x")
    document = {
        "schema": "sanctity.seal/1",
        "policy": {**policy_document(stated), "digest": str(policy_digest(stated, waivers))},
        "waivers": [waiver_document(each) for each in waivers],
    }
    path = folder / "env.seal.json"
    path.write_text(json.dumps(document))
    return path


def asked(folder: Path, **variables: str) -> Any:
    return script(folder, ASK, **variables)


def refused(found: dict[str, Any]) -> str:
    """The code that was raised; nothing was relaxed or counted then."""
    assert "inside" not in found
    assert found["before"] == found["after"]
    assert found["count"] == 0
    assert found["hint"]
    return str(found["raised"])


# -- the waiver -------------------------------------------------------------------------------------------------------------------


def test_in_the_block_it_is_off_and_then_on_again(tmp_path: Path) -> None:
    a_waiver(tmp_path)
    found = asked(tmp_path)
    assert found["inside"] is None
    assert found["before"] == found["after"] is not None
    assert found["count"] == 1
    assert found["rules"] == [str(rules_of(parse_policy({}, path="x"), (the_waiver(),)).digest)]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"until": "2000-01-01"}, "waiver-expired"),
        ({"approver": " ADA\u200b"}, "waiver-self-approved"),
        ({"cost": None}, "waiver-unexplained"),
        ({"tolerance": None}, "waiver-unexplained"),
        ({"cost": "  "}, "waiver-unexplained"),
        ({"control": "cudnn"}, "waiver-of-another-control"),
        ({"reason": None}, "waiver-missing-key"),
        ({"expires": "2999-01-01"}, "waiver-unknown-key"),
        ({"control": None, "code": "file-altered", "path": "six.py", "cost": None, "tolerance": None}, "waiver-unknown"),
        ({"control": None, "code": "file-altered", "path": "six.py"}, "waiver-bad-value"),
    ],
)
def test_a_waiver_that_does_not_count_relaxes_nothing(changes: dict[str, str | None], code: str, tmp_path: Path) -> None:
    a_waiver(tmp_path, **changes)
    assert refused(asked(tmp_path)) == code


def test_no_waiver_at_all_and_none_that_counts_in_production(tmp_path: Path) -> None:
    assert refused(asked(tmp_path)) == "waiver-unknown"
    a_waiver(tmp_path)
    (tmp_path / "pyproject.toml").write_text('[tool.sanctity]\nprofile = "production"\n')
    assert refused(asked(tmp_path)) == "waiver-unsigned"
    (tmp_path / "pyproject.toml").write_text('[tool.sanctity]\nprofile = "lax"\n')
    assert refused(asked(tmp_path)) == "policy-bad-value"


# -- whose rules ------------------------------------------------------------------------------------------------------------------


def test_a_seal_goes_before_a_folder_that_is_nearer(tmp_path: Path) -> None:
    inner = tmp_path / "src"
    inner.mkdir()
    (inner / ".git").mkdir()
    a_waiver(inner)
    assert asked(inner)["count"] == 1
    a_seal(tmp_path)
    assert refused(asked(inner)) == "waiver-unknown"
    a_seal(tmp_path, the_waiver(until="2000-01-01"))
    assert refused(asked(inner)) == "waiver-expired"
    a_seal(tmp_path, the_waiver(), policy={"profile": "production"})
    assert refused(asked(inner)) == "waiver-unsigned"
    a_seal(tmp_path, the_waiver())
    assert asked(inner)["count"] == 1


def test_a_seal_that_is_edited_or_cut_short_lets_nothing_pass(tmp_path: Path) -> None:
    path = a_seal(tmp_path, the_waiver(until="2000-01-01"))
    text = path.read_text()
    path.write_text(text.replace("2000-01-01", "2999-01-01"))
    assert refused(asked(tmp_path)) == "seal-contradictory"
    path.write_text(text[:-3])
    assert refused(asked(tmp_path)) == "seal-syntax"
    path.write_text(text.replace("seal/1", "seal/9"))
    assert refused(asked(tmp_path)) == "seal-version-unsupported"
    path.unlink()
    path.symlink_to("/dev/zero")
    assert refused(asked(tmp_path)) == "seal-unreadable"


def test_what_run_hands_on_goes_before_all_else(tmp_path: Path) -> None:
    a_waiver(tmp_path)
    a_seal(tmp_path, the_waiver())
    policy = parse_policy({}, path="x")
    assert refused(asked(tmp_path, SANCTITY_RULES=NO_RULES)) == "waiver-unknown"
    handed = rules_text(rules_of(policy, (the_waiver(tolerance="another"),)))
    found = asked(tmp_path, SANCTITY_RULES=handed)
    assert found["count"] == 1
    assert found["rules"] == [json.loads(handed)["digest"]]
    assert refused(asked(tmp_path, SANCTITY_RULES=handed.replace("another", "any"))) == "rules-invalid"


@pytest.mark.parametrize("text", ["{", "[]", "null", "3", "[" * 100_000, '{"schema": "sanctity.rules/1"}', "NONE", "none none"])
def test_what_are_no_rules(text: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse_rules(text, where="X")
    assert caught.value.code == "rules-invalid"
    assert caught.value.hint


def test_rules_are_read_as_they_were_written_and_no_edit_is() -> None:
    policy = parse_policy({"profile": "production"}, path="x")
    ours = rules_of(policy, (the_waiver("W-2"), the_waiver("W-1")))
    text = rules_text(ours)
    assert parse_rules(text, where="") == ours
    document = json.loads(text)
    for waiver in document["waivers"]:
        for key in waiver:
            edited = json.loads(text)
            edited["waivers"][document["waivers"].index(waiver)][key] += "x"
            with pytest.raises(DocumentError):
                parse_rules(json.dumps(edited), where="")
    edited = json.loads(text)
    edited["policy"]["profile"] = "default"
    with pytest.raises(DocumentError):
        parse_rules(json.dumps(edited), where="")


def test_the_names_of_files_are_those_of_the_rooms_that_write_them() -> None:
    assert (rules.SEAL, rules.WAIVERS) == (seals.SEAL_NAME, policies.WAIVERS)


def test_rules_are_read_once_a_process(tmp_path: Path) -> None:
    path = a_waiver(tmp_path)
    code = f"""
import json, sanctity
sanctity.set_global_determinism(7, quiet=True)
seen = []
for _ in range(2):
    with sanctity.relaxed("hash-seed-children", waiver="W-9"):
        seen.append(True)
    open({str(path)!r}, "w").write("")
print(json.dumps(seen))
"""
    assert script(tmp_path, code) == [True, True]


# -- the block --------------------------------------------------------------------------------------------------------------------

START = """
import json, os, sys, threading
import sanctity
from sanctity.errors import SanctityError
r = sanctity.set_global_determinism(7, quiet=True)
now = lambda: os.environ.get("PYTHONHASHSEED") is not None
row = lambda: [r["hash-seed-children"].status, r["hash-seed-children"].detail]
block = lambda: sanctity.relaxed("hash-seed-children", waiver="W-9")
out = {}
"""
END = "\nprint(json.dumps(out))\n"


def told(folder: Path, code: str, **variables: str) -> Any:
    a_waiver(folder)
    return script(folder, START + code + END, **variables)


def test_the_receipt_says_so_in_the_block_and_after_it(tmp_path: Path) -> None:
    out = told(
        tmp_path,
        """
before = r.to_json()
out["bare"] = "relaxations" in before
with block():
    r.recheck()
    out["inside"] = row()
    out["document"] = r.to_json()
    out["title"] = str(r).splitlines()[0]
r.recheck()
out["after"] = row()
out["required"] = r.require("hash-seed-children") is r
out["text"], out["html"] = str(r), r._repr_html_()
out["last"] = r.to_json()
""",
    )
    assert out["bare"] is False
    assert out["inside"][0] == "relaxed"
    assert "1 relaxed" in out["title"]
    assert out["after"][0] == "applied"
    assert out["after"][1].endswith("; relaxed once under W-9")
    assert out["required"]
    for shown in (" ".join(out["text"].split()), out["html"]):
        assert f"hash-seed-children once under W-9: {WAIVER['reason']}" in shown
    schema = json.loads((SOURCE / "sanctity/report/schema/receipt-1.json").read_text("utf-8"))
    for text in (out["document"], out["last"]):
        jsonschema.validate(json.loads(text), schema)
        assert Receipt.from_json(text).to_json() == text
        (each,) = Receipt.from_json(text).relaxations
        assert (each.control, each.waiver, each.count, each.cost) == ("hash-seed-children", "W-9", 1, WAIVER["cost"])


def test_after_an_exception_in_each_other_and_in_functions(tmp_path: Path) -> None:
    out = told(
        tmp_path,
        """
import asyncio
try:
    with block():
        raise KeyError("of the program")
except KeyError:
    out["raised"] = now()
with block():
    with block():
        out["inner"] = now()
    out["outer"] = now()
out["nested"] = now()
@block()
def work(a, *, b): return [a, b, now()]
@block()
async def later():
    await asyncio.sleep(0)
    return now()
out["function"] = [*work(1, b=2), work.__name__]
out["coroutine"] = asyncio.run(later())
one = block()
with one, one:
    out["same"] = now()
out["end"] = [now(), sum(each.count for each in r.relaxations)]
for bad in ("def g(): yield", "async def g(): yield"):
    exec(bad)
    try: block()(g)
    except SanctityError as error: out[bad] = error.code
""",
    )
    assert out["raised"] is True
    assert (out["inner"], out["outer"], out["nested"]) == (False, False, True)
    assert out["function"] == [1, 2, False, "work"]
    assert out["coroutine"] is False
    assert out["same"] is False
    assert out["end"] == [True, 7]
    assert out["def g(): yield"] == out["async def g(): yield"] == "determinism-argument"


def test_it_is_the_process_that_is_relaxed_until_the_last_thread_leaves(tmp_path: Path) -> None:
    out = told(
        tmp_path,
        """
entered, leave = threading.Event(), threading.Event()
def other():
    with block():
        entered.set()
        leave.wait()
    out["other"] = now()
thread = threading.Thread(target=other)
thread.start()
entered.wait()
out["here"] = now()
with block():
    pass
out["still"] = now()
leave.set()
thread.join()
many = [threading.Thread(target=lambda: [block().__enter__().__exit__(None, None, None) for _ in range(200)]) for _ in range(8)]
[each.start() for each in many]
[each.join() for each in many]
out["end"] = [now(), sum(each.count for each in r.relaxations), r.recheck()["hash-seed-children"].status]
""",
    )
    assert out["here"] is False
    assert out["still"] is False
    assert out["other"] is True
    assert out["end"] == [True, 1602, "applied"]


def test_what_something_else_sets_in_the_block_is_seen(tmp_path: Path) -> None:
    out = told(
        tmp_path,
        """
value = os.environ["PYTHONHASHSEED"]
with block():
    os.environ["PYTHONHASHSEED"] = "1"
    r.recheck()
    out["inside"] = row()
out["after"] = [*row(), os.environ["PYTHONHASHSEED"] == value]
out["again"] = r.recheck()["hash-seed-children"].status
r = sanctity.set_global_determinism(7, quiet=True, strict=False)
out["new"] = [*row(), sum(each.count for each in r.relaxations)]
from sanctity.determinism.setting import current
current().strict = True
for error in (None, KeyError):
    try:
        with block():
            os.environ["PYTHONHASHSEED"] = "1"
            if error: raise error
    except (KeyError, SanctityError) as caught:
        out[str(error)] = getattr(caught, "code", "its own")
""",
    )
    assert out["inside"][0] == "overwritten"
    assert out["after"][0] == "overwritten"
    assert "in a relaxed block" in out["after"][1]
    assert out["after"][2] is True
    assert out["again"] == "overwritten"
    assert out["new"][0] == "applied"
    assert out["new"][1].endswith("relaxed once under W-9"), "what was counted in this process stays counted"
    assert out["new"][2] == 1
    assert out["None"] == "control-not-applied"
    assert out["<class 'KeyError'>"] == "its own"


def test_another_call_in_the_block_ends_it(tmp_path: Path) -> None:
    out = told(
        tmp_path,
        """
with block():
    r = sanctity.set_global_determinism(8, quiet=True)
    out["inside"] = [now(), row()[0]]
    with block():
        out["inner"] = now()
out["after"] = [now(), *row()]
""",
    )
    assert out["inside"] == [True, "applied"]
    assert out["inner"] is False
    assert out["after"][:2] == [True, "applied"]
    assert out["after"][2].endswith("relaxed twice under W-9")


def test_forked_children(tmp_path: Path) -> None:
    """A child of the block's thread counts the block as its own; blocks of other threads do not go on in one."""
    a_waiver(tmp_path, "F", control="fork-random")
    out = told(
        tmp_path,
        """
import random
def child(what):
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        try: os.write(write, json.dumps(what()).encode())
        finally: os._exit(0)
    os.close(write)
    with open(read) as stream: found = json.load(stream)
    os.waitpid(pid, 0)
    return found
count = lambda: [[each.control, each.count] for each in r.relaxations]
with block():
    out["inside"] = child(lambda: [now(), count(), row()[0]])
with block():
    pass
out["outside"] = child(lambda: [now(), count(), row()[0]])
entered, leave = threading.Event(), threading.Event()
def other():
    with block():
        entered.set()
        leave.wait()
thread = threading.Thread(target=other)
thread.start()
entered.wait()
out["other"] = child(lambda: [now(), count(), row()[0]])
leave.set()
thread.join()
out["parent"] = count()
draw = lambda: [random.getrandbits(128), r["random"].status]
with sanctity.relaxed("fork-random", waiver="F"):
    out["drawn"] = [child(draw), child(draw)]
out["seeded"] = child(draw)
out["row"] = [r["random"].status, r["fork-random"].status]
""",
    )
    assert out["inside"] == [False, [["hash-seed-children", 1]], "relaxed"]
    assert out["outside"] == [True, [], "applied"]
    assert out["other"] == [True, [], "applied"]
    assert out["parent"] == [["hash-seed-children", 3]]
    (first, said), (second, _) = out["drawn"]
    assert first != second
    assert said == "relaxed"
    assert out["seeded"][1] == "applied"
    assert out["row"] == ["applied", "applied"]


def test_a_child_that_is_seeded_draws_the_same_whether_or_not_a_block_came_before(tmp_path: Path) -> None:
    a_waiver(tmp_path, "F", control="fork-random")
    code = """
import random
if len(sys.argv) == 1 and {before}:
    with sanctity.relaxed("fork-random", waiver="F"): pass
read, write = os.pipe()
if not os.fork():
    os.write(write, str(random.getrandbits(64)).encode())
    os._exit(0)
out["drawn"] = os.read(read, 64).decode()
"""
    assert told(tmp_path, code.replace("{before}", "True")) == told(tmp_path, code.replace("{before}", "False"))


def test_where_it_is_off_anyway_nothing_is_counted_and_the_waiver_is_looked_at(tmp_path: Path) -> None:
    a_waiver(tmp_path)
    for name in ("cudnn", "fork-random", "fill-uninitialized-memory", "torch-algorithms"):
        a_waiver(tmp_path, name, control=name)
    code = """
import json, sanctity
from sanctity.errors import SanctityError
out = []
def look():
    for name in ("cudnn", "fork-random", "fill-uninitialized-memory", "torch-algorithms"):
        with sanctity.relaxed(name, waiver=name): out.append("passed")
        try:
            with sanctity.relaxed(name, waiver="W-9"): pass
        except SanctityError as error: out.append(error.code)
look()
r = sanctity.set_global_determinism(7, scheme="same-integer", quiet=True)
look()
print(json.dumps([*dict.fromkeys(out), len(out), len(r.relaxations)]))
"""
    assert script(tmp_path, code) == ["passed", "waiver-of-another-control", 16, 0]


def test_what_can_not_be_relaxed_says_why_and_what_can(tmp_path: Path) -> None:
    code = """
import json, sanctity
from sanctity.determinism.relaxing import RELAXABLE
from sanctity.errors import SanctityError
r = sanctity.set_global_determinism(7, quiet=True)
out = {}
for control in [row.control for row in r.rows] + ["hashseed"]:
    try:
        sanctity.relaxed(control, waiver="W-9")
        out[control] = None
    except SanctityError as error: out[control] = [error.code, error.message, all(name in error.hint for name in RELAXABLE)]
for bad in [dict(control=3), dict(control="cudnn", waiver=None)]:
    try: sanctity.relaxed(**bad)
    except SanctityError as error: out[str(bad)] = error.code
print(json.dumps([list(RELAXABLE), out]))
"""
    relaxable, out = script(tmp_path, code)
    bad = [out.pop(name) for name in list(out) if name.startswith("{")]
    assert bad == ["determinism-argument"] * 2
    assert {name for name, found in out.items() if found is None} == set(relaxable) - {"fill-uninitialized-memory"}
    for name, found in out.items():
        if found is not None:
            assert found[0] == "control-unrelaxable"
            assert found[2]
            assert ("there is no control" in found[1]) is (name == "hashseed"), f"{name} has no reason"


# -- the files --------------------------------------------------------------------------------------------------------------------


def test_each_use_is_counted_over_processes_and_in_the_file(tmp_path: Path) -> None:
    a_waiver(tmp_path)
    code = """
import json, os, sys, sanctity
r = sanctity.set_global_determinism(7, quiet=True, receipt="one.json")
for _ in range(5):
    with sanctity.relaxed("hash-seed-children", waiver="W-9"):
        pid = os.fork()
        if not pid: sys.exit(0)
        os.waitpid(pid, 0)
print("null")
"""
    script(tmp_path, code.replace("one.json", str(tmp_path / "one.json")), SANCTITY_RECEIPTS=str(tmp_path / "kept"))
    (each,) = Receipt.from_json((tmp_path / "one.json").read_bytes()).relaxations
    assert each.count == 5
    found = receipts(tmp_path / "kept")
    assert found.relaxations == (("hash-seed-children", "W-9", 10, 6),)
    assert found.conflicts == ()
    assert "hash-seed-children 10 times under W-9, in 6 processes" in str(found)
    document = json.loads((tmp_path / "kept/receipt.json").read_text())
    assert document["relaxations"] == [{"control": "hash-seed-children", "waiver": "W-9", "count": 10, "processes": 6}]
    jsonschema.validate(document, json.loads((SOURCE / "sanctity/report/schema/receipts-1.json").read_text("utf-8")))


def test_one_that_is_killed_has_left_half_of_its_count(tmp_path: Path) -> None:
    a_waiver(tmp_path)
    code = """
import os, signal, sanctity
sanctity.set_global_determinism(7, quiet=True)
if not os.fork():
    sanctity.set_global_determinism(7, quiet=True)
    for _ in range(7):
        with sanctity.relaxed("hash-seed-children", waiver="W-9"): pass
    os.kill(os.getpid(), signal.SIGKILL)
os.wait()
print("null")
"""
    script(tmp_path, code, SANCTITY_RECEIPTS=str(tmp_path / "kept"))
    ((_, _, count, processes),) = receipts(tmp_path / "kept").relaxations
    assert (count, processes) == (4, 1)


def test_rules_of_the_programs_own_making_are_a_conflict(tmp_path: Path) -> None:
    a_waiver(tmp_path)
    (tmp_path / "kept").mkdir()
    launch = {"schema": "sanctity.launch/1", "seed": "", "rules": f"sha256:{'0' * 64}"}
    (tmp_path / "kept/launch.json").write_text(json.dumps(launch))
    asked(tmp_path, SANCTITY_RECEIPTS=str(tmp_path / "kept"))
    (conflict,) = receipts(tmp_path / "kept").conflicts
    assert conflict.startswith("rules by which controls were relaxed: ")
    assert "in run" in conflict


def a_receipt(*relaxations: Relaxation) -> Receipt:
    return Receipt(
        seed=1, scheme="sanctity-seed/1", version="1", rows=[Row("random", "random", "applied")], relaxations=relaxations
    )


def a_use(count: int = 1, **changes: str) -> Relaxation:
    texts = {"reason": "r", "cost": "c", "tolerance": "t", "until": "2999-01-31", "rules": f"sha256:{'0' * 64}", **changes}
    return Relaxation("cudnn", texts.pop("waiver", "W-9"), count, **texts)


def test_a_receipt_without_any_is_the_one_that_it_was() -> None:
    document = json.loads(a_receipt().to_json())
    names = {"schema", "tool", "seed", "scheme", "rank", "child", "algorithms", "rows", "recorded"}
    assert document.keys() == {*names, "digest"}
    stated = {name: document[name] for name in names}
    text = json.dumps(stated, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert a_receipt().digest == document["digest"] == f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


@pytest.mark.parametrize(
    "edit",
    [
        lambda found: found.clear(),
        lambda found: found.append(found[0]),
        lambda found: found[0].update(count=0),
        lambda found: found[0].update(count=True),
        lambda found: found[0].update(count="1"),
        lambda found: found[0].update(count=2),
        lambda found: found[0].update(waiver="\x1b[2J"),
        lambda found: found[0].update(cost=None),
        lambda found: found[0].pop("cost"),
        lambda found: found[0].update(more=""),
        lambda found: found.append(3),
    ],
)
def test_an_edited_list_is_no_receipt(edit: Any) -> None:
    document = json.loads(a_receipt(a_use()).to_json())
    edit(document["relaxations"])
    with pytest.raises(DocumentError) as caught:
        Receipt.from_json(json.dumps(document))
    assert caught.value.code == "receipt-invalid"


def test_what_a_waiver_says_drives_no_terminal() -> None:
    receipt = a_receipt(a_use(reason="\x1b[2Jgone\n", cost="<b>", waiver="W\u202e9"))
    assert all(line.isprintable() for line in str(receipt).split("\n"))
    assert "<b>" not in receipt._repr_html_().partition("relaxed on purpose")[2]
    assert Receipt.from_json(receipt.to_json()) == receipt


# -- PyTorch ----------------------------------------------------------------------------------------------------------------------

TORCH = """
import json, sanctity, torch
r = sanctity.set_global_determinism(7, quiet=True)
def put():  # it has no deterministic way on the CPU
    torch.rand(5).put_(torch.tensor([0, 0]), torch.tensor([1.0, 2.0]))
def tried():
    try: put()
    except RuntimeError as error: return "deterministic" in str(error)
    return "done"
state = lambda: [
    torch.are_deterministic_algorithms_enabled(),
    torch.is_deterministic_algorithms_warn_only_enabled(),
    torch.utils.deterministic.fill_uninitialized_memory,
]
out = {"before": tried(), "state": [state()]}
with sanctity.relaxed("torch-algorithms", waiver="T"):
    out["inside"] = [tried(), r.recheck()["torch-algorithms"].status]
    out["state"].append(state())
out["after"] = [tried(), r.recheck()["torch-algorithms"].status, r["torch-algorithms"].detail]
out["state"].append(state())
torch.use_deterministic_algorithms(True, warn_only=True)
with sanctity.relaxed("torch-algorithms", waiver="T"): pass
out["warned"] = state()
torch.use_deterministic_algorithms(True)
r = sanctity.set_global_determinism(7, quiet=True)
empty = lambda: bool(torch.empty(4).isnan().all())
out["filled"] = [empty()]
with sanctity.relaxed("fill-uninitialized-memory", waiver="M"):
    out["unfilled"] = [*state(), tried(), r.recheck()["fill-uninitialized-memory"].status, r["torch-algorithms"].status]
out["filled"] += [empty(), r.recheck()["fill-uninitialized-memory"].status]
torch.utils.deterministic.fill_uninitialized_memory = False
out["set"] = r.recheck()["fill-uninitialized-memory"].status
torch.utils.deterministic.fill_uninitialized_memory = True
with sanctity.relaxed("torch-algorithms", waiver="T"):
    torch.use_deterministic_algorithms(True)
    out["changed"] = [r.recheck()["torch-algorithms"].status]
out["changed"] += [r["torch-algorithms"].status, state()[0]]
torch.use_deterministic_algorithms(False)
with sanctity.relaxed("torch-algorithms", waiver="T"): pass
out["off"] = state()[0]
torch.use_deterministic_algorithms(True)
r = sanctity.set_global_determinism(7, algorithms="leave", quiet=True)
try:
    with sanctity.relaxed("torch-algorithms", waiver="T"): pass
except sanctity.errors.SanctityError as error: out["left"] = error.code
out["counts"] = {each.control: each.count for each in r.relaxations}
print(json.dumps(out))
"""


@pytest.mark.torch
@pytest.mark.index
def test_an_operation_that_raises_passes_in_the_block_alone(tmp_path: Path) -> None:
    a_waiver(tmp_path, "T", control="torch-algorithms")
    a_waiver(tmp_path, "M", control="fill-uninitialized-memory")
    out = json.loads(run_script(ml_python(), TORCH, folder=tmp_path).splitlines()[-1])
    assert out["before"] is True
    assert out["inside"] == ["done", "relaxed"]
    assert out["after"][:2] == [True, "applied"]
    assert out["after"][2].endswith("relaxed once under T")
    assert out["state"] == [[True, False, True], [False, False, True], [True, False, True]]
    assert out["warned"] == [True, True, True], "as it was, by whomever"
    assert out["filled"] == [True, True, "applied"]
    assert out["unfilled"] == [True, False, False, True, "relaxed", "applied"]
    assert out["set"] == "overwritten"
    assert out["changed"] == ["overwritten", "overwritten", True]
    assert out["off"] is False
    assert out["left"] == "control-not-applied"
    assert out["counts"] == {"fill-uninitialized-memory": 1, "torch-algorithms": 3}


@pytest.mark.torch
@pytest.mark.index
def test_a_library_that_is_imported_in_the_block_is_an_error_before_it(tmp_path: Path) -> None:
    a_waiver(tmp_path, "T", control="torch-algorithms")
    code = """
import json, sanctity
sanctity.set_global_determinism(7, quiet=True)
try:
    with sanctity.relaxed("torch-algorithms", waiver="T"): import torch
except sanctity.errors.SanctityError as error: print(json.dumps([error.code, error.hint]))
"""
    found = json.loads(run_script(ml_python(), code, folder=tmp_path).splitlines()[-1])
    assert found == ["control-not-applied", "import torch before the block"]
