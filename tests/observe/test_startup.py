"""The start-up surface at rest, found whole whatever is in its place."""

from __future__ import annotations

import hashlib
import json
import time
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from observe.looking import gating, in_doubt, look
from sanctity.canon.fingerprint import sealed_hook
from sanctity.model.drift import Depth
from sanctity.observe.environment import observe_environment
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


def test_what_an_editable_puts_into_site_packages_is_looked_at_at_any_place_and_version(tmp_path: Path) -> None:
    """Its finder is code that its hook runs, and what else its RECORD claims can be imported: git governs neither."""
    found = []
    for project, version in (("/project", "0.1"), ("/moved/here", "0.2.dev3+g12ab")):
        mangled = version.replace(".", "_").replace("+", "_")
        env = build_site(tmp_path / project.rpartition("/")[2])
        files = {
            f"__editable__.demo-{version}.pth": f"import __editable___demo_{mangled}_finder\n".encode(),
            f"__editable___demo_{mangled}_finder.py": f"MAPPING = {{'demo': '{project}/src/demo'}}\n"
            f"PATH_PLACEHOLDER = '__editable__.demo-{version}.finder'\n".encode(),
            "demo/core.cpython-311-x86_64-linux-gnu.so": b"code",
            "demo/__pycache__/x.cpython-311.pyc": b"bytecode",
            "demo/notes.txt": b"no code",
            f"demo-{version}.dist-info/direct_url.json": json.dumps(
                {"url": f"file://{project}", "dir_info": {"editable": True}}
            ).encode(),
        }
        add_distribution(env, "demo", version, files)
        environment = observe_environment(str(env), depth=Depth.RECORD, clock=time.monotonic)
        assert {hook.path.rpartition("site-packages/")[2] for hook in environment.hooks} == set(list(files)[:3])
        found.append([sealed_hook(hook, environment) for hook in environment.hooks])
    assert found[0] == found[1]


@pytest.mark.parametrize("root", ["/a\nimport os #", "/a'};import os;b={'c':'", "/"])
def test_an_editable_can_not_hide_code_in_its_own_place(tmp_path: Path, root: str) -> None:
    """direct_url.json is anybody's word: what it calls the project's folder is taken out of a hook only where it is a plain path."""
    env = build_site(tmp_path)
    stated = json.dumps({"url": f"file://{quote(root)}", "dir_info": {"editable": True}}).encode()
    text = f"{root}/src\n".encode()
    add_distribution(env, "demo", "0.1", {"demo.pth": text, "demo-0.1.dist-info/direct_url.json": stated})
    (hook,) = observe_environment(str(env), depth=Depth.RECORD, clock=time.monotonic).hooks
    assert hook.digest == hashlib.sha256(text).digest()
