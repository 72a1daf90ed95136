"""`prove` names who is guilty: programs with one planted hazard each, which repeat in all else, and honest ones, which pass."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from real.learning import missing, ml_python
from variation.planted import guilty, needs, proof

if TYPE_CHECKING:
    from pathlib import Path

#: One run with all that is varied, but for load, beside which a run takes longer: what these programs do is no matter of chance.
QUICK = ("-n", "1", "--hold", "load")
NUMERICS = (*QUICK, "--level", "numerics")
#: The first other number of threads is one.
THREADS = ("-n", "1", "--vary", "threads")

#: Each program, and who is guilty alone.
PLANTED = (
    ("set_order", "hash-seed"),
    ("address_order", "aslr"),
    ("listing_order", "file-order"),
    ("zone", "tz"),
    ("locale_encoding", "locale"),
    ("folder_seed", "cwd"),
)
#: What moves by itself, and so shows in unchanged runs.
MOVING = (
    ("time_seed", "time"),
    ("unseeded", "entropy"),
    ("pid_seed", "pid"),
    ("shared_stream", "scheduling"),
)
PLANTED_TOO = (
    ("glob_order", "file-order"),
    ("address_hash", "aslr"),
    ("address_keys", "aslr"),
    ("home_written", "home"),
    ("mode_of_file", "umask"),
    ("scratch_written", "tmpdir"),
    ("environment_order", "environment"),
)
MOVING_TOO = (
    ("time_budget", "time"),
    ("name_of_run", "entropy"),
    ("forked", "entropy"),
    ("unseeded_numpy", "entropy"),
    ("as_completed", "scheduling"),
)

long = pytest.mark.long
with_torch = pytest.mark.skipif(bool(missing()), reason=missing() or "nothing is missing")


@pytest.mark.parametrize(("program", "name"), [*PLANTED, *(pytest.param(*each, marks=long) for each in PLANTED_TOO)])
def test_who_is_guilty_alone_is_named(program: str, name: str, tmp_path: Path) -> None:
    found = proof(tmp_path, program, *QUICK)
    needs(found, name)
    assert (found["claim"], guilty(found)) == ("different", [[name]]), found["verdict"]
    assert found["guilty"][0]["alone"]
    assert not found["guilty"][0]["source"]


@pytest.mark.parametrize(("program", "name"), [*MOVING, *(pytest.param(*each, marks=long) for each in MOVING_TOO)])
def test_what_moves_by_itself_is_named(program: str, name: str, tmp_path: Path) -> None:
    found = proof(tmp_path, program, *QUICK)
    assert (found["claim"], guilty(found)) == ("different", [[name]]), found["verdict"]
    assert found["guilty"][0]["source"]
    assert found["counts"]["varied"] == 0


@long
@pytest.mark.parametrize("attempt", range(3))
def test_a_time_in_whole_seconds_is_named_however_short_the_runs_are(tmp_path: Path, attempt: int) -> None:
    """Unchanged runs may share a second and agree; those that judge the time do not, nor do all of a usual proof."""
    found = proof(tmp_path, "time_seed_seconds", "--hold", "clock")
    assert (found["claim"], guilty(found)) == ("different", [["time"]]), (attempt, found["verdict"])


@long
def test_the_date_is_named_where_it_can_be_shifted(tmp_path: Path) -> None:
    """The same day has another name in another zone, so both are to blame, and each alone."""
    found = proof(tmp_path, "date_written", *QUICK)
    needs(found, "clock")
    assert guilty(found) == [["tz"], ["clock"]], found["verdict"]
    assert guilty(proof(tmp_path, "date_written", *QUICK, "--hold", "tz")) == [["clock"]]


@long
def test_an_order_that_nothing_here_can_hold_is_no_ones_fault(tmp_path: Path) -> None:
    """Processes take turns as the kernel has it."""
    found = proof(tmp_path, "shared_workers", *QUICK)
    assert (found["claim"], guilty(found)) == ("different", []), found["verdict"]
    assert "scheduling" in {variation["name"] for variation in found["variations"] if variation["state"] == "free"}


# -- numerics ----------------------------------------------------------------------------------------------------------------------


def test_threads_belong_to_numerics(tmp_path: Path) -> None:
    assert proof(tmp_path, "threads_parts", *QUICK)["claim"] == "same"
    found = proof(tmp_path, "threads_parts", *NUMERICS)
    assert (found["claim"], guilty(found)) == ("different", [["threads"]]), found["verdict"]


@long
@pytest.mark.parametrize(
    ("program", "name", "options"),
    [
        ("cpus_parts", "cpus", ()),
        ("kernels_numpy", "instruction-set", ()),
        # Its kernels are others on other processors too, and fewer processors are fewer threads.
        ("threads_numpy", "threads", ("--vary", "threads")),
        ("threads_numpy", "cpus", ("--vary", "cpus")),
        ("threads_numpy", "instruction-set", ("--vary", "instruction-set")),
    ],
)
def test_f31_numerics_belong_to_numerics(program: str, name: str, options: tuple[str, ...], tmp_path: Path) -> None:
    assert proof(tmp_path, program, *QUICK)["claim"] == "same"
    found = proof(tmp_path, program, "-n", "2", *(options or NUMERICS[2:]))
    needs(found, name)
    assert (found["claim"], guilty(found)) == ("different", [[name]]), found["verdict"]


@long
@pytest.mark.torch
@with_torch
@pytest.mark.parametrize(("program", "name"), [("threads_torch", "threads"), ("kernels_torch", "instruction-set")])
def test_numerics_of_torch(program: str, name: str, tmp_path: Path) -> None:
    assert proof(tmp_path, program, *QUICK, python=ml_python())["claim"] == "same"
    found = proof(tmp_path, program, "-n", "3", "--vary", name, python=ml_python())
    needs(found, name)
    assert (found["claim"], guilty(found)) == ("different", [[name]]), found["verdict"]


@long
@pytest.mark.torch
@with_torch
def test_nobody_seeded_torch(tmp_path: Path) -> None:
    found = proof(tmp_path, "unseeded_torch", *QUICK, python=ml_python())
    assert (found["claim"], guilty(found)) == ("different", [["entropy"]]), found["verdict"]


# -- what looks the same, and is not -----------------------------------------------------------------------------------------------


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="there is one processor, so numpy has one thread")
def test_t15_f30_a_loss_that_is_printed_alike_says_nothing_of_the_weights(tmp_path: Path) -> None:
    """The text of the loss is the same with one thread and with two, and the weights are not: who compares the loss sees nothing."""
    loss, weights = (proof(tmp_path, "printed_loss", *THREADS, "--outputs", f"out/{name}") for name in ("loss.txt", "weights.npy"))
    assert (loss["claim"], loss["outputs"]) == ("same", ["out/loss.txt"]), loss["verdict"]
    assert (weights["claim"], guilty(weights)) == ("different", [["threads"]]), weights["verdict"]


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="there is one processor, so numpy has one thread")
def test_t19_a_smoke_test_below_the_size_at_which_threads_share_the_work(tmp_path: Path) -> None:
    """A small product is computed by one thread, whatever their number. The verdict is of the command that was run, with its size."""
    small = proof(tmp_path, "threads_numpy", *THREADS, arguments=("32",))
    assert (small["claim"], small["command"][-1]) == ("same", "32")
    whole = proof(tmp_path, "threads_numpy", *THREADS, arguments=("500",))
    assert (whole["claim"], guilty(whole), whole["command"][-1]) == ("different", [["threads"]], "500"), whole["verdict"]


# -- honest programs ---------------------------------------------------------------------------------------------------------------


@pytest.mark.torch
@with_torch
def test_an_honest_training_is_the_same_on_this_machine(tmp_path: Path) -> None:
    found = proof(tmp_path, "honest_mlp", *QUICK, python=ml_python())
    assert (found["claim"], found["counts"]["differing"]) == ("same", 0), found["verdict"]
    assert (found["level"], found["counts"]["varied"], len(found["variations"]) > 10) == ("machine", 1, True)


@long
@pytest.mark.torch
@with_torch
@pytest.mark.parametrize("program", ["honest_mlp", "honest_pipeline"])
def test_honest_programs_are_the_same_with_all_that_is_varied(program: str, tmp_path: Path) -> None:
    found = proof(tmp_path, program, python=ml_python())
    assert (found["claim"], found["counts"]["differing"], found["counts"]["varied"]) == ("same", 0, 5), found["verdict"]
