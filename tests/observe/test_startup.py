"""The start-up surface at rest, found whole whatever is in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from observe.looking import gating, in_doubt, look
from sites import add_distribution, build_site, site_packages

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("x.pth", "import os\n", "pth-hook"),
        ("x.pth", "import\tos\n", "pth-hook"),
        ("x.pth", "/elsewhere\n", "pth-hook"),
        ("x.pth", "", "pth-hook"),
        ("x.pth", "\ufeffimport os\n", "pth-hook"),
        (".hidden.pth", "import os\n", "pth-hook"),
        ("x.start", "os:getcwd\n", "pth-hook"),
        ("sitecustomize.py", "", "customize-hook"),
        ("usercustomize.py", "", "customize-hook"),
        ("sitecustomize/__init__.py", "", "customize-hook"),
        ("sitecustomize.pyc", "", "customize-hook"),
        ("sitecustomize.cpython-311-x86_64-linux-gnu.so", "", "customize-hook"),
    ],
)
def test_each_hook_is_named(tmp_path: Path, name: str, text: str, code: str) -> None:
    env = build_site(tmp_path)
    path = site_packages(env) / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    assert (code, name) in gating(look(env))


def test_a_claimed_hook_is_a_note(tmp_path: Path) -> None:
    env = build_site(tmp_path)
    add_distribution(env, "hooked", "1.0", {"hooked.pth": b"import os\n"})
    found = look(env)
    assert gating(found) == set()
    assert "pth-hook" in {str(drift.code) for drift in found.drifts}


def test_a_seed_claims_no_hook_but_setuptools_own(tmp_path: Path) -> None:
    """No lock vouches for pip, setuptools and wheel, so what runs at start-up in their name gates, whatever their RECORD says."""
    env = build_site(tmp_path)
    info = add_distribution(env, "wheel", "1.0", {"wheel.pth": b"import os\n"})
    assert ("pth-hook", "wheel.pth") in gating(look(env))
    record = info / "RECORD"
    rows = ["wheel.pth,," if row.startswith("wheel.pth") else row for row in record.read_text().splitlines()]
    record.write_text("\n".join(rows))
    assert ("pth-hook", "wheel.pth") in gating(look(env))


def test_a_hook_beyond_reading_is_undecided(tmp_path: Path) -> None:
    env = build_site(tmp_path)
    add_distribution(env, "hooked", "1.0", {"hooked.pth": b"#" * ((1 << 26) + 1)})
    found = look(env)
    assert in_doubt(found) == {("unreadable", "hooked.pth")}
    assert found.fingerprint is None


def test_a_long_hook_counts_to_its_last_line(tmp_path: Path) -> None:
    env = build_site(tmp_path)
    long = b"#" * (5 << 20)
    (site_packages(env) / "x.pth").write_bytes(long + b"\nimport one\n")
    one = look(env).fingerprint
    (site_packages(env) / "x.pth").write_bytes(long + b"\nimport two\n")
    two = look(env).fingerprint
    assert one is not None
    assert two is not None
    assert one.digest != two.digest
