"""What the look at an environment says of its own: which rows of a RECORD need judging."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from sanctity.compare.records import compare_with_records
from sanctity.model.drift import Depth
from sanctity.observe.environment import observe_environment
from sites import add_distribution, build_site, record_row, site_packages

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("many", [0, 900], ids=["read in place", "read by children"])
def test_the_doubtful_rows_are_all_that_a_judge_needs(tmp_path: Path, many: int) -> None:
    """A comparison of the doubtful rows finds what one of all rows does, for every way in which a row can be wrong."""
    env = build_site(tmp_path)
    site = site_packages(env)
    add_distribution(env, "gamma", "1.0", {f"gamma/m{number}.py": b"#" * number for number in range(many + 4)})
    record = site / "gamma-1.0.dist-info/RECORD"
    rows = record.read_text(encoding="utf-8").splitlines()
    (site / "gamma/m1.py").write_bytes(b"!")
    (site / "gamma/m2.py").unlink()
    rows[3] = rows[3].rpartition(",")[0] + ",4444"
    rows += ["gamma/__pycache__/m0.cpython-311.pyc,,", record_row("gamma/m0.py", b"x"), "beta.py,,"]
    record.write_text("\n".join(rows) + "\n", encoding="utf-8")

    found = observe_environment(str(env), depth=Depth.RECORD, clock=time.monotonic, workers=2)
    assert any(item.doubtful for item in found.distributions)
    assert all(len(item.doubtful or ()) < 9 for item in found.distributions)
    blank = replace(found, distributions=tuple(replace(item, doubtful=None) for item in found.distributions))
    drifts = compare_with_records(found, depth=Depth.RECORD).drifts
    assert sorted(map(str, drifts)) == sorted(map(str, compare_with_records(blank, depth=Depth.RECORD).drifts))
    assert {os.path.basename(drift.path) for drift in drifts} >= {"m0.py", "m1.py", "m2.py", "m3.py", "beta.py"}
