"""Children: each draws for itself, the same in every run and under every start method, where the popular recipe does not."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from programs import run, script, told

from sanctity.determinism.scheme import derive

if TYPE_CHECKING:
    from pathlib import Path

METHODS = ("fork", "spawn", "forkserver")

POOL = """
import json, multiprocessing, random, sys
import numpy

def draw(barrier):
    barrier.wait()  # so that each task is another worker's
    return [random.random(), float(numpy.random.rand())]

if __name__ == "__main__":
    {seed}
    context = multiprocessing.get_context({method!r})
    with context.Manager() as manager:
        barrier = manager.Barrier({workers})
        with context.Pool({workers}) as pool:
            print(json.dumps(sorted(pool.map(draw, [barrier] * {workers}, chunksize=1))))
"""
OURS = "import sanctity; sanctity.set_global_determinism({}, quiet=True)"
POPULAR = "random.seed({0}); numpy.random.seed({0})"


def pool(folder: Path, method: str, *, workers: int = 3, seed: str = OURS.format(7)) -> Any:
    return script(folder, POOL.format(seed=seed, method=method, workers=workers))


def test_the_popular_recipe_fails_in_a_pool(tmp_path: Path) -> None:
    """T10, F13: `random` is reseeded from the operating system in forked children, and NumPy's state is copied to each."""
    first, second = (pool(tmp_path, "fork", seed=POPULAR.format(7)) for _ in range(2))
    assert not {ours for ours, _ in first} & {ours for ours, _ in second}
    assert len({numpys for _, numpys in first}) == 1
    # Spawned children inherit nothing.
    assert pool(tmp_path, "spawn", seed=POPULAR.format(7)) != pool(tmp_path, "spawn", seed=POPULAR.format(7))


def test_each_worker_draws_for_itself_under_every_start_method(tmp_path: Path) -> None:
    drawn = [pool(tmp_path, method) for method in METHODS]
    assert drawn[0] == drawn[1] == drawn[2]
    assert len({value for worker in drawn[0] for value in worker}) == 6
    assert pool(tmp_path, "fork", seed=OURS.format(8)) != drawn[0]


def test_more_workers_are_more_streams_and_the_first_ones_are_the_same(tmp_path: Path) -> None:
    two, three = (pool(tmp_path, "fork", workers=workers) for workers in (2, 3))
    assert [worker for worker in three if worker in two] == two


def test_a_call_that_is_made_again_in_a_child_keeps_children_apart(tmp_path: Path) -> None:
    """A module without a guard makes the call in spawned children as well, and so does a worker that makes it itself."""
    code = POOL.format(seed="pass", method="{method}", workers=3).replace(
        "import numpy\n", "import numpy\n" + OURS.format(7) + "\n"
    )
    drawn = [script(tmp_path, code.replace("{method}", method)) for method in METHODS]
    assert drawn[0] == drawn[1] == drawn[2] == pool(tmp_path, "fork")
    inside = POOL.replace("    barrier.wait()", "    " + OURS.format(7) + "\n    barrier.wait()")
    assert script(tmp_path, inside.format(seed=OURS.format(7), method="spawn", workers=3)) == drawn[0]


def test_an_executor_is_a_pool_too(tmp_path: Path) -> None:
    code = POOL.replace("context.Pool({workers}) as pool", "ProcessPoolExecutor({workers}, mp_context=context) as pool")
    code = code.replace("import json", "from concurrent.futures import ProcessPoolExecutor\nimport json")
    drawn = [script(tmp_path, code.format(seed=OURS.format(7), method=method, workers=2)) for method in ("fork", "spawn")]
    assert drawn[0] == drawn[1] == pool(tmp_path, "fork", workers=2)


FORKS = """
import json, os, random
{before}
import sanctity
r = sanctity.set_global_determinism(7, quiet=True)
import numpy.random

def child(do):
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        os.write(write, json.dumps(do()).encode())
        os._exit(0)
    os.close(write)
    with open(read) as file:
        told = json.load(file)
    os.waitpid(pid, 0)
    return told

def draws():
    return [random.getrandbits(64), int(numpy.random.randint(2**32, dtype="uint64"))]
"""


def test_a_forked_child_has_the_streams_of_its_path() -> None:
    code = (
        FORKS.format(before="")
        + "first, second = child(draws), child(draws)\nnested = child(lambda: [child(draws), child(draws)])\n"
    )
    code += "print(json.dumps([first, second, *nested, draws()]))"
    drawn = told(code)
    paths: list[tuple[str | int, ...]] = [("child", 0), ("child", 1), ("child", 2, "child", 0), ("child", 2, "child", 1), ()]
    for (ours, numpys), path in zip(drawn, paths, strict=True):
        import random

        assert ours == random.Random(derive(7, *path, "random", bits=256)).getrandbits(64)
        assert numpys == random.Random(derive(7, *path, "numpy", "legacy", bits=256)).getrandbits(32)


def test_the_parent_goes_on_as_if_it_had_no_children() -> None:
    code = FORKS.format(before="") + "print(json.dumps([{}, draws()]))"
    assert told(code.format("None"))[1] == told(code.format("child(draws)"))[1]


def test_the_receipt_of_a_child_says_which_one_it_is() -> None:
    code = FORKS.format(before="") + "print(json.dumps([child(lambda: [r.child, r.digest, r['random'].detail]), r.child]))"
    (child, digest, detail), parent = told(code)
    assert (child, parent) == ([0], [])
    assert digest.startswith("sha256:")
    assert "words were drawn" not in detail


def test_a_library_that_arrives_in_a_child_gets_the_childs_seed() -> None:
    code = FORKS.format(before="").replace("import numpy.random\n", "")
    code += "def late():\n    import numpy.random\n    return int(numpy.random.randint(2**32, dtype='uint64'))\nprint(json.dumps(child(late)))"
    import random

    assert told(code) == random.Random(derive(7, "child", 0, "numpy", "legacy", bits=256)).getrandbits(32)


def test_registered_generators_are_apart_in_children() -> None:
    code = FORKS.format(before="")
    code += "g = sanctity.register(numpy.random.default_rng(), 'g')\ndraw = lambda: float(g.random())\n"
    code += "print(json.dumps([child(draw), child(draw), draw()]))"
    first, again = told(code), told(code)
    assert first == again
    assert len(set(first)) == 3


def test_forked_children_leave_the_parents_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "receipt.json"
    code = FORKS.format(before="").replace("quiet=True", f"quiet=True, receipt={str(path)!r}")
    code += f"before = open({str(path)!r}).read()\nassert child(lambda: r.recheck().child) == [0]\n"
    code += f"print(json.dumps(before == open({str(path)!r}).read()))"
    assert told(code)


def test_the_old_scheme_leaves_children_as_they_were() -> None:
    code = (
        FORKS.format(before="").replace("7, quiet", "7, scheme='same-integer', quiet")
        + "print(json.dumps([child(draws), child(draws)]))"
    )
    (one, numpy_one), (two, numpy_two) = told(code)
    assert one != two
    assert numpy_one == numpy_two
    statuses = told(FORKS.format(before="import multiprocessing").replace("7, quiet", "7, scheme='same-integer', quiet")
                    + "print(json.dumps([r['fork-random'].status, r['spawn-children'].status]))")  # fmt: skip
    assert statuses == ["refused", "refused"]


def test_a_fork_before_the_call_and_one_without_it_are_nothing_to_us() -> None:
    code = "import os, sanctity.determinism.children\nfrom sanctity.determinism import children\nchildren._before(); children._after_in_child()\n"
    code += "pid = os.fork()\nif not pid: os._exit(3)\nprint(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))"
    assert run(code).stdout.split() == ["3"]


def test_a_child_that_can_not_be_seeded_says_so(tmp_path: Path) -> None:
    code = """
import multiprocessing, sanctity, sanctity.determinism.children as children
def work(): print("worked", flush=True)
class Broken(children.Inheritance):
    def __reduce__(self): return children.inherit, (-1, "sanctity-seed/1", None, (0,), "raise")
if __name__ == "__main__":
    sanctity.set_global_determinism(7, quiet=True)
    multiprocessing.current_process()._config["sanctity"] = Broken()
    process = multiprocessing.get_context("spawn").Process(target=work)
    process.start()
    process.join()
"""
    (tmp_path / "program.py").write_text(code)
    done = run(
        f"import runpy, sys; sys.argv[0] = {str(tmp_path / 'program.py')!r}; runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    assert "worked" in done.stdout, done.stderr
    assert "sanctity: child 0 is not seeded: UsageError: -1 is no seed" in done.stderr


def test_what_children_inherit_can_be_taken_away_and_that_is_found() -> None:
    code = "import json, multiprocessing.process as p, sanctity\nr = sanctity.set_global_determinism(7, quiet=True)\n"
    code += "before = r['spawn-children'].status\np.current_process()._config.pop('sanctity')\nr.recheck()\n"
    code += "print(json.dumps([before, r['spawn-children'].status]))"
    assert told(code) == ["applied", "overwritten"]


@pytest.mark.skipif(not os.path.exists("/proc/self"), reason="threads of a process are counted there")
def test_nothing_is_started_and_nothing_waits() -> None:
    code = "import os, sanctity\nsanctity.set_global_determinism(7, quiet=True)\nimport numpy.random\nprint(len(os.listdir('/proc/self/task')))"
    without = "import os\nimport numpy.random\nprint(len(os.listdir('/proc/self/task')))"
    assert run(code).stdout == run(without).stdout
