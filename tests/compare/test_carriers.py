"""Who may bring code that a seal does not hash: seeds and editables, each no more than what it is known to bring."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from factories import an_origin
from sanctity.compare.hooks import SEED_HOOKS, SEED_MODULES
from sanctity.compare.ownership import own
from sanctity.compare.startup import compare_startup
from sanctity.model.drift import Code, Verdict
from sanctity.model.environment import Environment, FileEntry, FileKind, Hook, HookKind, RecordRow
from sanctity.model.names import SEEDS
from sealing import SITE, WHOLE, a_hook, compared, gating, installed, raw, sealed, with_files

if TYPE_CHECKING:
    from collections.abc import Mapping

SIX = installed("six", "1.16.0", {"six.py": "code"})
_PTH = next(iter(SEED_HOOKS))


def _beside(name: str, version: str, files: Mapping[str, str]) -> Environment:
    """`WHOLE` with another distribution whose RECORD, forged or not, claims *files*."""
    item, entries = installed(name, version, files)
    return replace(WHOLE, distributions=(*WHOLE.distributions, item), files={**WHOLE.files, **entries})


@pytest.mark.parametrize(
    ("seed", "path"),
    [
        ("pip", "yaml.py"),
        ("pip", "numpy/evil.py"),
        ("pip", "setuptools/evil.py"),
        ("wheel", "_virtualenv.py"),
        ("wheel", "pip/evil.py"),
        ("setuptools", "setuptools.so"),
        ("setuptools", "_distutils_hack.py"),
        ("setuptools", "_distutils_hack/__init__.cpython-311-x86_64-linux-gnu.so"),
        ("setuptools", "_distutils_hack/evil.py"),
        ("setuptools", "evil.zip"),
    ],
)
def test_a_seed_can_not_claim_what_it_is_not_known_to_bring(seed: str, path: str) -> None:
    (drift,) = gating(compared(_beside(seed, "99.0", {path: "evil"})))
    assert (drift.code, drift.path) == (Code.FILE_UNCLAIMED, path) or (drift.code, path) == (Code.PATH_SHADOW, drift.path)


@pytest.mark.parametrize(
    ("seed", "paths"),
    [
        ("pip", ("pip/__init__.py", "pip/_vendor/x.so", "pip-99.0.dist-info/METADATA", "pip-99.0.virtualenv")),
        ("setuptools", ("setuptools/a.py", "pkg_resources/__init__.py", "easy_install.py", "_distutils_hack/override.py")),
        ("wheel", ("wheel/cli.py", "wheel-99.0.dist-info/METADATA")),
    ],
)
def test_what_seeds_are_known_to_bring_is_theirs(seed: str, paths: tuple[str, ...]) -> None:
    assert compared(_beside(seed, "99.0", dict.fromkeys(paths, "code"))).verdict is Verdict.CLEAN


def _hacked(text: str, module: str = "__init__") -> Environment:
    """Environment with setuptools' known hook, and the module that it imports."""
    hook = Hook(HookKind.PTH_CODE, f"{SITE}/distutils-precedence.pth", bytes.fromhex(_PTH))
    path = f"{SITE}/_distutils_hack/{module}.py"
    digest = bytes.fromhex(text) if text in SEED_MODULES else raw(text)
    entry = FileEntry(path, FileKind.FILE, 9, digest, 1, 1)
    pth = FileEntry(hook.path, FileKind.FILE, 9, hook.digest, 1, 1)
    item, _ = installed("setuptools", "99.0", {})
    record = tuple(RecordRow(each.path, "sha256", each.digest, 9) for each in (entry, pth))
    item = replace(item, record=record)
    return with_files(SIX, (item, {entry.path: entry, pth.path: pth}), hooks=(hook,))


@pytest.mark.parametrize("module", ["__init__", "override"])
def test_what_a_seeds_hook_imports_is_known_by_its_digest(module: str) -> None:
    for known in SEED_MODULES:
        environment = _hacked(known, module)
        assert not [drift for drift in compare_startup(environment, own(environment), SEEDS) if drift.gating]
    environment = _hacked("evil", module)
    (drift,) = (drift for drift in compare_startup(environment, own(environment), SEEDS) if drift.gating)
    assert (drift.code, drift.path) == (Code.PTH_HOOK, f"_distutils_hack/{module}.py")


def test_setuptools_that_a_lock_names_is_compared_by_its_record_alone() -> None:
    environment = _hacked("evil")
    assert not [drift for drift in compare_startup(environment, own(environment), frozenset()) if drift.gating]


@pytest.mark.parametrize(
    "path", [f"{SITE}/numpy.libs/libz.so.1", f"{SITE}/numpy/libgfortran-1f2e.so.5.0.0", "lib/libz.so.1", "lib/libz.so"]
)
def test_a_library_that_nobody_claims_gates_where_an_rpath_leads(path: str) -> None:
    entry = FileEntry(path, FileKind.FILE, 9, raw("elf"), 1, 1)
    environment = replace(WHOLE, files={**WHOLE.files, path: entry}, elves=(path,))
    assert [(drift.code, drift.path) for drift in gating(compared(environment))] == [
        (Code.FILE_UNCLAIMED, path.removeprefix(f"{SITE}/"))
    ]


@pytest.mark.parametrize("path", ["src/demo/demo.so", "lib/node_modules/x/y.so", "share/libz.so.1", "lib/notes.so.txt"])
def test_a_library_elsewhere_in_the_environment_does_not(path: str) -> None:
    entry = FileEntry(path, FileKind.FILE, 9, raw("elf"), 1, 1)
    elves = () if path.endswith(".txt") else (path,)
    assert compared(replace(WHOLE, files={**WHOLE.files, path: entry}, elves=elves)).verdict is Verdict.CLEAN


def _editable(*hooks: Hook) -> Environment:
    """An environment with an editable that claims these *hooks*."""
    item, _ = installed("demo", "0.1", {}, origin=an_origin(editable=True))
    record = tuple(RecordRow(hook.path, "sha256", hook.digest, 9) for hook in hooks)
    entries = {hook.path: FileEntry(hook.path, FileKind.FILE, 9, hook.digest, 1, 1) for hook in hooks}
    return with_files(SIX, (replace(item, record=record), entries), hooks=hooks)


def test_what_an_editable_puts_into_site_packages_is_sealed() -> None:
    """Git governs its source, and not the finder that its installer wrote, nor what its RECORD claims beside that."""
    finder = a_hook("__editable___demo_finder.py", "finder", HookKind.EDITABLE)
    before = sealed(_editable(finder))
    assert compared(_editable(finder), before).verdict is Verdict.CLEAN
    for other in ((finder._replace(digest=raw("evil")),), (finder, a_hook("yaml.py", "evil", HookKind.EDITABLE)), ()):
        (drift,) = gating(compared(_editable(*other), before))
        assert (drift.code, drift.path) == (Code.PTH_HOOK, other[-1].path.removeprefix(f"{SITE}/") if other else drift.path)
