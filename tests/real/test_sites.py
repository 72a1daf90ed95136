"""The base interpreter's packages and the user's own, with a base that is a copy of a real Python and a home that is a folder here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from real.conda import write_wheel
from real.environments import HERE_PYTHON
from real.tools import interpreters
from sanctity.compare.records import compare_with_records, fingerprint_of
from sanctity.compare.seal import compare_with_seal
from sanctity.model.drift import Depth, Reference, ReferenceKind, Verdict
from sanctity.observe.environment import observe_environment
from sanctity.observe.sites import find_user_base
from sanctity.seals.make import seal_environment
from sites import add_distribution, site_packages

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from real.tools import Workshop
    from sanctity.model.drift import Comparison
    from sanctity.model.environment import Environment

SITE = f"lib/python{HERE_PYTHON}/site-packages"


@dataclass(frozen=True, kw_only=True)
class Places:
    """A *base* Python, a virtual environment *env* on it, and a *user* base that both may import from."""

    base: Path
    env: Path
    user: Path

    def look(self, prefix: Path) -> Environment:
        return observe_environment(str(prefix), depth=Depth.RECORD, clock=time.monotonic, user_base=str(self.user))

    def judge(self, prefix: Path) -> Comparison:
        return compare_with_records(self.look(prefix), depth=Depth.RECORD)

    def gating(self, prefix: Path) -> set[tuple[str, str]]:
        return {(str(drift.code), drift.path) for drift in self.judge(prefix).drifts if drift.gating}

    def python(self, prefix: Path, code: str) -> str:
        """What the prefix's own interpreter prints for *code*, with the user's packages where this says they are."""
        environ = {"PATH": os.environ.get("PATH", ""), "PYTHONUSERBASE": str(self.user), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run([prefix / "bin/python3", "-c", code], env=environ, capture_output=True, text=True, check=True)
        return done.stdout.strip()


@pytest.fixture(scope="module")
def small_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this process's Python that starts: its library, less what starting does not need."""
    source = interpreters()[HERE_PYTHON].resolve().parents[1]
    base = tmp_path_factory.mktemp("sites") / "base"
    if str(source) == "/usr":
        pytest.skip("the Python of this process has no prefix of its own")
    library = f"lib/python{HERE_PYTHON}"
    skipped = shutil.ignore_patterns("site-packages", "__pycache__", "test", "idlelib", "config-*", "ensurepip", "lib2to3")
    shutil.copytree(source / library, base / library, ignore=skipped, symlinks=True)
    (base / SITE).mkdir()
    (base / "bin").mkdir()
    shutil.copy2(source / f"bin/python{HERE_PYTHON}", base / f"bin/python{HERE_PYTHON}")
    (base / "bin/python3").symlink_to(f"python{HERE_PYTHON}")
    for path in source.glob("lib/libpython3*.so*"):
        shutil.copy2(path, base / "lib" / path.name, follow_symlinks=False)
    return base


@pytest.fixture
def places(small_base: Path, tmp_path: Path) -> Iterator[Places]:
    """The copy, with one distribution; an environment that sees it; and no packages of the user's."""
    add_distribution(small_base, "alpha", "1.0", {"alpha/__init__.py": b"VALUE = 'base'\n"})
    env = tmp_path / "env"
    site_packages(env).mkdir(parents=True)
    (env / "bin").mkdir()
    (env / "bin/python").symlink_to(small_base / f"bin/python{HERE_PYTHON}")
    (env / "bin/python3").symlink_to("python")
    version = ".".join(map(str, sys.version_info[:3]))
    (env / "pyvenv.cfg").write_text(f"home = {small_base}/bin\ninclude-system-site-packages = true\nversion = {version}\n")
    add_distribution(env, "beta", "2.0", {"beta.py": b"VALUE = 'env'\n"})
    yield Places(base=small_base, env=env, user=tmp_path / "home/.local")
    shutil.rmtree(small_base / SITE)
    (small_base / SITE).mkdir()


def _alone(env: Path) -> None:
    config = env / "pyvenv.cfg"
    config.write_text(config.read_text().replace("= true", "= false"))


def test_what_the_base_has_is_looked_at(places: Places) -> None:
    seen = places.look(places.env).system_site
    assert seen is not None
    assert [(item.key, item.version) for item in seen.distributions] == [("alpha", "1.0")]
    assert seen.distributions[0].content is not None
    assert places.gating(places.env) == {("system-site", "pyvenv.cfg")}
    assert places.python(places.env, "import alpha; print(alpha.VALUE)") == "base"


def test_what_is_wrong_with_the_base_is_told_by_where_it_lies(places: Places) -> None:
    whole = places.judge(places.env).fingerprint
    site = places.base / SITE
    for change, expected in (
        (lambda: (site / "alpha/__init__.py").write_bytes(b"VALUE = 'other'\n"), ("file-altered", "alpha/__init__.py")),
        (lambda: (site / "planted.py").write_bytes(b""), ("file-unclaimed", "planted.py")),
        (lambda: (site / "planted.pth").write_bytes(b"import this\n"), ("pth-hook", "planted.pth")),
        ((site / "alpha-1.0.dist-info/METADATA").unlink, ("file-missing", "alpha-1.0.dist-info/METADATA")),
    ):
        change()
        code, path = expected
        assert (code, f"${{base}}/{SITE}/{path}") in places.gating(places.env)
        now = places.judge(places.env).fingerprint
        assert now not in (whole, None)
        whole = now


def test_a_base_that_is_not_imported_from_is_not_judged(places: Places) -> None:
    _alone(places.env)
    (places.base / SITE / "planted.pth").write_bytes(b"import this\n")
    assert places.look(places.env).system_site is None
    assert places.judge(places.env).verdict is Verdict.CLEAN


def test_a_seal_holds_all_that_the_base_has(places: Places) -> None:
    (places.base / SITE / "planted.pth").write_bytes(b"#\n")
    found = places.look(places.env)
    whole = fingerprint_of(found, frozenset())
    assert whole is not None
    sealed = seal_environment(found, whole, seeds=frozenset())

    def gating() -> set[tuple[str, str]]:
        reference = Reference(kind=ReferenceKind.SEAL)
        found = compare_with_seal(places.look(places.env), sealed, depth=Depth.RECORD, reference=reference)
        return {(str(drift.code), drift.path) for drift in found.drifts if drift.gating}

    assert gating() == set()
    (places.base / SITE / "alpha/__init__.py").write_bytes(b"VALUE = 'other'\n")
    assert {("system-site", "pyvenv.cfg"), ("file-altered", f"${{base}}/{SITE}/alpha/__init__.py")} <= gating()


@pytest.mark.parametrize("which", ["base", "env"])
def test_the_users_own_packages_where_python_looks_there(which: str, places: Places) -> None:
    prefix = places.base if which == "base" else places.env
    already = places.gating(prefix)
    assert places.look(prefix).user_site is None
    add_distribution(places.user, "gamma", "3.0", {"gamma.py": b"VALUE = 'user'\n"})
    assert places.python(prefix, "import gamma; print(gamma.VALUE)") == "user"
    comparison = places.judge(prefix)
    assert ("user-site", f"${{user}}/{SITE}") in {(str(drift.code), drift.path) for drift in comparison.drifts}
    assert places.gating(prefix) == already
    before = comparison.fingerprint
    site = places.user / SITE
    (site / "gamma.py").write_bytes(b"VALUE = 'other'\n")
    (site / "usercustomize.py").write_bytes(b"print('customized')\n")
    (site / "planted.pth").write_bytes(b"import sys; print('hooked')\n")
    (site / "alpha").mkdir()
    (site / "alpha/__init__.py").write_bytes(b"VALUE = 'user'\n")
    assert places.python(prefix, "import alpha; print(alpha.VALUE)").splitlines() == ["hooked", "customized", "user"]
    assert places.gating(prefix) - already == {
        ("file-altered", f"${{user}}/{SITE}/gamma.py"),
        ("customize-hook", f"${{user}}/{SITE}/usercustomize.py"),
        ("pth-hook", f"${{user}}/{SITE}/planted.pth"),
        ("file-unclaimed", f"${{user}}/{SITE}/alpha/__init__.py"),
        ("path-shadow", f"${{user}}/{SITE}/alpha/__init__.py"),
    }
    assert places.judge(prefix).fingerprint == before


def test_what_a_virtual_environment_has_comes_before_the_users(places: Places) -> None:
    add_distribution(places.user, "beta", "9.0", {"beta.py": b"VALUE = 'user'\n"})
    assert places.python(places.env, "import beta; print(beta.VALUE)") == "env"
    assert not {path for code, path in places.gating(places.env) if code == "path-shadow"}


def test_a_part_of_a_namespace_shadows_nothing(places: Places) -> None:
    add_distribution(places.user, "more", "1.0", {"alpha/extra.py": b""})
    assert places.python(places.base, "import alpha; print(alpha.VALUE)") == "base"
    assert not {path for code, path in places.gating(places.base) if code == "path-shadow"}


def test_a_plain_virtual_environment_does_not_look_there(places: Places) -> None:
    _alone(places.env)
    add_distribution(places.user, "gamma", "3.0", {"gamma.py": b""})
    (places.user / SITE / "usercustomize.py").write_bytes(b"raise SystemExit(9)\n")
    assert places.python(places.env, "print('started')") == "started"
    assert places.look(places.env).user_site is None
    assert places.judge(places.env).verdict is Verdict.CLEAN


@pytest.mark.index
def test_what_pip_installs_for_a_user(workshop: Workshop, places: Places, tmp_path: Path) -> None:
    """Its scripts lie in the user's folder, and start the base interpreter."""
    wheel = tmp_path / "demo_pip-3.0-py3-none-any.whl"
    write_wheel(wheel, scripts=("demo-pip",))
    python = places.base / f"bin/python{HERE_PYTHON}"
    pip = workshop.tool("pip", "python")
    environ = workshop.environ(PYTHONUSERBASE=str(places.user))
    workshop.run([pip, "-m", "pip", "--python", python, "install", "-q", "--no-index", "--user", wheel], env=environ)
    assert (places.user / "bin/demo-pip").is_file()
    assert places.gating(places.base) == set()
    assert places.gating(places.env) == {("system-site", "pyvenv.cfg")}
    (places.user / "bin/demo-pip").write_text("#!/bin/sh\n")
    assert places.gating(places.base) == {("script-altered", "${user}/bin/demo-pip")}


def test_at_depth_version_names_and_versions_are_enough(places: Places) -> None:
    add_distribution(places.user, "gamma", "3.0", {"gamma.py": b""})
    found = observe_environment(str(places.env), depth=Depth.VERSION, clock=time.monotonic, user_base=str(places.user))
    assert found.system_site is not None
    assert found.user_site is not None
    assert [item.key for item in (*found.system_site.distributions, *found.user_site.distributions)] == ["alpha", "gamma"]


def test_the_users_base_is_no_matter_of_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    before = find_user_base()
    monkeypatch.setenv("HOME", "/nowhere")
    monkeypatch.setenv("PYTHONUSERBASE", "/nowhere")
    assert find_user_base() == before
    assert before == "" or before.endswith("/.local")
    assert find_user_base("/image").split("/") == ["", "root", ".local"]
