"""The traps and fixtures of TensorFlow and Keras, and a sample of the table of docs/seeding-compared.md, made again."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from real.learning import ROWS, by, missing, zoo_python

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "seeding-compared.md"
sys.path.insert(0, str(HERE.parents[1] / "bench"))

installed = pytest.mark.skipif(bool(missing()), reason=missing())
TENSORFLOW = {"KERAS_BACKEND": "tensorflow"}


def cells() -> dict[str, list[str]]:
    """The rows of the table by their first cell."""
    text = PAGE.read_text("utf-8")
    between = text.partition("<!-- the table")[2].partition("<!-- the end")[0]
    lines = [line for line in between.splitlines() if line.startswith("| ")]
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return {row[0]: row[1:] for row in rows}


@installed
@pytest.mark.index
@pytest.mark.torch
@pytest.mark.long
def test_f26_t07_a_random_map_in_parallel() -> None:
    draws = """
import json, sys
import tensorflow as tf
def data():
    mapped = tf.data.Dataset.range(512).map(lambda _: tf.random.uniform([]), num_parallel_calls=4)
    return [float(value) for value in mapped.as_numpy_iterator()]
"""
    recipe = (
        draws
        + """
before = tf.config.threading.get_intra_op_parallelism_threads()
tf.config.threading.set_intra_op_parallelism_threads = 1
after = tf.config.threading.get_intra_op_parallelism_threads()
tf.keras.utils.set_random_seed(0)
print(json.dumps([data(), data() , before, after]))
"""
    )
    runs = by(zoo_python(), recipe, TENSORFLOW, TENSORFLOW, TENSORFLOW)
    assert len({tuple(first) for first, *_ in runs}) > 1
    assert all(before == after for _, _, before, after in runs), "a setter that is assigned to sets nothing"

    ours = (
        draws
        + f"""
import sanctity
receipt = sanctity.set_global_determinism(0, quiet=True)
print(json.dumps([data(), {ROWS}]))
"""
    )
    first, second = by(zoo_python(), ours, TENSORFLOW, TENSORFLOW)
    assert first[0] == second[0]
    assert first[1]["tensorflow"][0] == first[1]["tensorflow-ops"][0] == "applied"


@installed
@pytest.mark.index
@pytest.mark.torch
@pytest.mark.long
def test_t17_f07_initialisers_of_keras() -> None:
    layer = """
import json
import numpy as np
import keras, tensorflow as tf
def weights():
    layer = keras.layers.Dense(1)
    layer.build((None, 4))
    return layer.kernel.numpy().flatten().tolist()
"""
    recipe = layer + "np.random.seed(0)\ntf.random.set_seed(0)\nprint(json.dumps(weights()))"
    first, second = by(zoo_python(), recipe, TENSORFLOW, TENSORFLOW)
    assert first != second, "Keras draws its seed from random"

    ours = (
        layer + f"import sanctity\nreceipt = sanctity.set_global_determinism(0, quiet=True)\nprint(json.dumps([weights(), {ROWS}]))"
    )
    first, second = by(zoo_python(), ours, TENSORFLOW, TENSORFLOW)
    assert first[0] == second[0]
    assert first[1]["keras"][0] == "applied"


@installed
@pytest.mark.index
@pytest.mark.torch
@pytest.mark.long
def test_a_sample_of_the_table_made_again() -> None:
    from seeding_draws import SOURCES
    from seeding_table import COLUMNS, table

    columns = [column for column in COLUMNS if column.helper in {"by_hand", "transformers", "sanctity", "sanctity_named"}]
    names = (
        "random",
        "numpy",
        "default_rng",
        "torch",
        "torch_generator",
        "hash",
        "uuid4",
        "worker_numpy",
        "fork_random",
        "fork_numpy",
        "spawn",
    )
    rows, _ = table(columns, names)
    page = cells()
    places = [list(COLUMNS).index(column) for column in columns]
    for name in names:
        there = page[SOURCES[name].title]
        assert [there[place].strip("*") for place in places] == rows[name], name


def test_the_table_is_whole() -> None:
    from seeding_draws import HELPERS, SOURCES
    from seeding_table import COLUMNS

    page = cells()
    titles = [source.title for source in SOURCES.values()]
    assert len(titles) >= 25
    assert set(titles) <= set(page)
    assert {column.helper for column in COLUMNS} == set(HELPERS)
    plain = [column.title for column in COLUMNS].index("sanctity, the call")
    for title in titles:
        cell, told = page[title][plain].strip("*"), page[title][-1]
        assert cell.partition(" ")[0] in {"repeats", "collides", "varies", "fixed"}
        # What the call does not make repeat has a row that says so.
        assert (cell == "repeats") == (told == ""), title
