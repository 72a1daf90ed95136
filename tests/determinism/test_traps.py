"""The traps of the recipes that are copied widely, where Python and NumPy show them: each recipe as it is found, and it fails; then
the call of sanctity, and it is right, or its receipt says why not and what would be.

The numbers are those of the catalogue of traps (T) and fixtures (F) in docs/seeding-compared.md; `test_traps_torch.py` has the
traps of PyTorch, and `test_every_trap.py` counts that none is missing.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import pytest

from real.learning import ROWS, ToolError, by, run_script
from sanctity.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

#: What every copy of the recipe does first: it is too late for this process, and in time for those that it starts.
RECIPE = """
import os, random
def seed_everything(seed):
    os.environ["PYTHONHASHSEED"] = str(seed)
    random.seed(seed)
"""


def of_remedy(remedy: str) -> dict[str, str]:
    """The variable that the remedy of a row names, to be set before the interpreter starts."""
    found = re.search(r"\b(PYTHONHASHSEED)=(\d+)", remedy)
    assert found is not None, remedy
    assert "sanctity run --seed" in remedy
    return {found[1]: found[2]}


HASHES = """
import json, subprocess, sys
ask = "print(hash('cat'))"
children = [int(subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True).stdout) for _ in "ab"]
order = list({"cat", "dog", "bird", "fish", "cow", "hen", "owl", "bee"})
"""


def test_t01_f02_a_hash_seed_that_is_set_too_late() -> None:
    recipe = RECIPE + "seed_everything(42)" + HASHES + "print(json.dumps([hash('cat'), order, children]))"
    first, second = by(sys.executable, recipe, {}, {})
    assert first[0] != second[0]
    assert first[1] != second[1]
    # Only the children are reached, and so they disagree with their parent.
    assert first[2] == second[2]
    assert first[0] not in first[2]

    ours = f"import sanctity; receipt = sanctity.set_global_determinism(42){HASHES}print(json.dumps([hash('cat'), order, children, {ROWS}]))"
    late = by(sys.executable, ours, {})[0]
    status, _, remedy = late[3]["hash-seed"]
    assert status == "too-late"
    assert late[3]["hash-seed-children"][0] == "applied"
    assert "not with this process" in late[3]["hash-seed-children"][1]
    started = by(sys.executable, ours, of_remedy(remedy), of_remedy(remedy))
    assert started[0] == started[1]
    value, _, children, rows = started[0]
    assert rows["hash-seed"][0] == "applied"
    assert children == [value, value] == late[2]


def test_t03_f03_seeds_that_are_folded_into_one() -> None:
    recipe = """
import json, random
import numpy as np
def first(seed):
    random.seed(seed)
    return random.random()
try:
    np.random.seed(2**32)
    refused = ""
except ValueError as error:
    refused = str(error)
print(json.dumps([first(-1) == first(1), refused]))
"""
    same, refused = by(sys.executable, recipe, {})[0]
    assert same
    assert "2**32" in refused

    ours = """
import json, random, numpy, sanctity
def first(seed):
    sanctity.set_global_determinism(seed, quiet=True)
    return [random.random(), numpy.random.rand()]
print(json.dumps([first(seed) for seed in (0, 1, 2**32, 2**32 + 1, 2**64 + 1, 2**128 - 1)]))
"""
    drawn = by(sys.executable, ours, {})[0]
    assert len({value for pair in drawn for value in pair}) == 12
    with pytest.raises(UsageError) as caught:
        __import__("sanctity").set_global_determinism(-1)
    assert caught.value.code == "seed-invalid"


def test_t04_f03_seeds_of_ranks_that_meet_those_of_the_next_run() -> None:
    recipe = """
import json
import numpy as np
def streams(run):
    return [np.random.RandomState(run + rank).rand() for rank in range(4)]
words = [np.random.SeedSequence(entropy).generate_state(4).tolist() for entropy in (42, [42, 0], [42, 0, 0])]
print(json.dumps([streams(42), streams(43), words]))
"""
    one, other, words = by(sys.executable, recipe, {})[0]
    assert len(set(one) & set(other)) == 3
    assert words[0] == words[1] == words[2]

    ours = """
import json, random, numpy, sanctity
def streams(run, rank):
    sanctity.set_global_determinism(run, rank=rank, quiet=True)
    return [random.random(), numpy.random.rand(), sanctity.stream("augment").random(), sanctity.stream("augment", 0).random()]
print(json.dumps([streams(run, rank) for run in (42, 43) for rank in range(4)]))
"""
    first, second = by(sys.executable, ours, {}, {})
    assert first == second
    assert len({value for drawn in first for value in drawn}) == 8 * 4


def test_t10_f13_what_a_forked_or_spawned_child_draws(tmp_path: Path) -> None:
    children = """
import json, multiprocessing, random, sys
import numpy as np
def draw(_):
    return [random.random(), np.random.rand()]
def of(method):
    # One task for each worker: a pool hands its tasks to whoever is free.
    drawn = []
    for number in range(3):
        with multiprocessing.get_context(method).Pool(1) as pool:
            drawn += pool.map(draw, [number])
    return drawn
if __name__ == "__main__":
"""
    recipe = (
        children
        + """
    random.seed(0)
    np.random.seed(0)
    print(json.dumps([of("fork"), of("spawn")]))
"""
    )
    (forked, spawned), (again, spawned_again) = by(sys.executable, recipe, {}, {}, folder=tmp_path)
    numpy_forked = [drawn[1] for drawn in forked]
    assert len(set(numpy_forked)) == 1, "the state of numpy is copied"
    assert numpy_forked == [drawn[1] for drawn in again]
    assert not {drawn[0] for drawn in forked} & {drawn[0] for drawn in again}, "random is seeded by the system in each child"
    assert not {value for drawn in spawned for value in drawn} & {value for drawn in spawned_again for value in drawn}

    ours = (
        children
        + f"""
    import sanctity
    receipt = sanctity.set_global_determinism(0, quiet=True)
    forked = of("fork")
    receipt = sanctity.set_global_determinism(0, quiet=True)
    spawned = of("spawn")
    print(json.dumps([forked, spawned, {ROWS}]))
"""
    )
    (forked, spawned, rows), second = by(sys.executable, ours, {}, {}, folder=tmp_path)
    assert [forked, spawned] == second[:2], "they repeat"
    assert len({value for drawn in forked for value in drawn}) == 6, "no two share a stream"
    assert forked == spawned, "how a child is started makes no difference"
    assert rows["fork-random"][0] == rows["spawn-children"][0] == "applied"


REEXEC = """
import os, sys
if os.environ.get("PYTHONHASHSEED") != "0":
    os.environ["PYTHONHASHSEED"] = "0"
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
print("trained")
"""


def test_t12_f05_a_program_on_standard_input_that_runs_itself_again(tmp_path: Path) -> None:
    assert run_script(sys.executable, REEXEC, folder=tmp_path) == "trained\n", "from a file it works"
    # The program was read to its end by the first interpreter: the second one finds nothing, runs nothing and ends with 0.
    assert run_script(sys.executable, None, stdin=REEXEC) == ""

    ours = f"""
import json, os, sanctity
before = os.getpid()
receipt = sanctity.set_global_determinism(0)
print(json.dumps([os.getpid() == before, {ROWS}]))
print("trained")
"""
    said_there = run_script(sys.executable, None, stdin=ours).splitlines()
    assert said_there[1] == "trained"
    assert '"hash-seed": ["too-late"' in said_there[0]
    assert said_there[0].startswith("[true")


def test_t16_f06_sets_across_ranks() -> None:
    words = "import json; words = [f'w{i}' for i in range(50)]; vocabulary = {word: i for i, word in enumerate(set(words))}\n"
    recipe = RECIPE + "seed_everything(42)\n" + words + "print(json.dumps(vocabulary))"
    ranks = [{"RANK": str(rank), "WORLD_SIZE": "4"} for rank in range(4)]
    assert len({tuple(each) for each in by(sys.executable, recipe, *ranks)}) == 4

    ours = f"import sanctity; receipt = sanctity.set_global_determinism(42, quiet=True)\n{words}print(json.dumps([vocabulary, {ROWS}]))"
    _, rows = by(sys.executable, ours, ranks[0])[0]
    assert rows["hash-seed"][0] == "too-late"
    assert rows["ranks"][0] == "refused"
    assert "RANK is 0, and was not used" in rows["ranks"][1]
    in_time = of_remedy(rows["hash-seed"][2])
    started = by(sys.executable, ours, *({**rank, **in_time} for rank in ranks))
    assert len({tuple(vocabulary) for vocabulary, _ in started}) == 1
    assert {rows["hash-seed"][0] for _, rows in started} == {"applied"}


PRIVATE = """
import random, secrets, tempfile, uuid
import numpy as np
held = {
    "default_rng": lambda: np.random.default_rng().random(),
    "RandomState": lambda: np.random.RandomState().rand(),
    "Random": lambda: random.Random().random(),
    "SystemRandom": lambda: random.SystemRandom().random(),
    "secrets": lambda: secrets.token_hex(8),
    "uuid4": lambda: str(uuid.uuid4()),
    "tempfile": lambda: next(tempfile._get_candidate_names()),
}
shared = {"random": random.random, "numpy": np.random.rand}
def draw(sources):
    return {name: source() for name, source in sources.items()}
"""


def test_t17_f07_generators_that_no_global_seed_reaches() -> None:
    recipe = (
        RECIPE
        + PRIVATE
        + """
import json
seed_everything(42)
np.random.seed(42)
print(json.dumps([draw(shared), draw(held)]))
"""
    )
    first, second = by(sys.executable, recipe, {}, {})
    assert first[0] == second[0], "what is shared is reached"
    assert not set(first[1].values()) & set(second[1].values()), "and nothing else"

    ours = (
        PRIVATE
        + f"""
import json, sanctity
receipt = sanctity.set_global_determinism(42, quiet=True)
before = {ROWS}
private = draw(held)
mine = [sanctity.register(each, name) for name, each in
        (("augment", np.random.default_rng()), ("old", np.random.RandomState()), ("shuffle", random.Random()))]
named = [sanctity.stream("noise").random(), sanctity.stream("noise", kind="random").random()]
print(json.dumps([before, private, [mine[0].random(), mine[1].rand(), mine[2].random()], named, {ROWS}]))
"""
    )
    first, second = by(sys.executable, ours, {}, {})
    assert not set(first[1].values()) & set(second[1].values()), "the call does not reach them either"
    for control, remedy in (("entropy", "named stream"), ("numpy-generators", "sanctity.register")):
        status, _, helps = first[0][control]
        assert (status, remedy in helps) == ("not-controllable", True), "and says so"
    assert all(word in first[0]["entropy"][1] for word in ("secrets", "uuid4", "SystemRandom", "temporary names"))
    assert first[2:4] == second[2:4], "what is registered, or is a named stream, repeats"
    assert first[4]["numpy-generators"][:2] == ["applied", "registered: augment, old, shuffle"]


OBJECTS = """
import json
class Node:
    pass
nodes = [Node() for _ in range(3000)]
number = {node: i for i, node in enumerate(nodes)}
order = [number[node] for node in set(nodes)]
"""


def test_t18_f08_objects_are_hashed_by_their_address() -> None:
    recipe = OBJECTS + "print(json.dumps([order, hash('cat')]))"
    # Addresses differ where the system lays memory out at random; two runs may meet by chance, and four do not.
    runs = by(sys.executable, recipe, *[{"PYTHONHASHSEED": "0"}] * 4)
    assert len({hashed for _, hashed in runs}) == 1
    if len({tuple(order) for order, _ in runs}) == 1:
        pytest.skip("this system lays out memory in the same way each time")

    ours = f"import sanctity; receipt = sanctity.set_global_determinism(42, quiet=True)\nimport json\nprint(json.dumps({ROWS}))"
    rows = by(sys.executable, ours, {"PYTHONHASHSEED": "0"})[0]
    assert rows["hash-seed"][0] == "applied"
    assert "objects without a hash of their own by their address" in rows["hash-seed"][1]


def test_the_positive_controls_can_fail() -> None:
    with pytest.raises(ToolError, match="ended with 3"):
        run_script(sys.executable, "raise SystemExit(3)")
