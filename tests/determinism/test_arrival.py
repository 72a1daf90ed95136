"""Modules that are imported later: told once, when they are there, and imported as if nobody had waited."""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

from sanctity.determinism.arrival import await_modules, awaited, here, installed, stop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _nothing_is_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Modules come from *tmp_path*, and are gone afterwards."""
    before, finders = set(sys.modules), len(sys.meta_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    stop()
    monkeypatch.undo()
    for name in set(sys.modules) - before:
        if name.startswith("late_"):
            del sys.modules[name]
    assert len(sys.meta_path) == finders


def write(folder: Path, name: str, code: str = "") -> None:
    path = folder.joinpath(*name.split("."))
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.parent != folder:
        (path.parent / "__init__.py").touch()
    path.with_suffix(".py").write_text(code)
    importlib.invalidate_caches()


def test_it_is_told_once_and_the_finder_goes(tmp_path: Path) -> None:
    write(tmp_path, "late_one", "value = 1")
    told: list[str] = []
    before = list(sys.meta_path)
    await_modules({"late_one": told.append})
    assert len(sys.meta_path) == len(before) + 1
    assert awaited() == {"late_one"}
    module = importlib.import_module("late_one")
    assert (told, module.value) == (["late_one"], 1)
    assert sys.meta_path == before
    importlib.reload(module)
    assert told == ["late_one"]


def test_the_module_sees_its_own_loader_and_spec(tmp_path: Path) -> None:
    seen = "import sys; seen = (type(__loader__), type(__spec__.loader), 'exec_module' in vars(__loader__), __spec__.origin == __file__)"
    write(tmp_path, "late_seen", seen)
    write(tmp_path, "late_plain", seen)
    await_modules({"late_seen": print})
    awaited_one, plain = importlib.import_module("late_seen"), importlib.import_module("late_plain")
    assert (
        awaited_one.seen == plain.seen == (importlib.machinery.SourceFileLoader, importlib.machinery.SourceFileLoader, False, True)
    )
    assert set(vars(awaited_one)) == set(vars(plain))
    assert awaited_one.__cached__.endswith(".pyc")


def test_it_is_there_when_it_is_told(tmp_path: Path) -> None:
    write(tmp_path, "late_there", "import sanctity.determinism.arrival as a\nduring = a.here('late_there')\nlast = 1")
    seen: list[bool] = []
    await_modules({"late_there": lambda name: seen.append(sys.modules[name].last == 1)})
    assert not here("late_there")
    module = importlib.import_module("late_there")
    assert (module.during, seen, here("late_there")) == (False, [True], True)


def test_a_submodule_and_not_its_package(tmp_path: Path) -> None:
    write(tmp_path, "late_package.inner")
    told: list[str] = []
    await_modules({"late_package.inner": told.append})
    importlib.import_module("late_package")
    assert told == []
    importlib.import_module("late_package.inner")
    assert told == ["late_package.inner"]


def test_being_looked_for_is_not_arriving(tmp_path: Path) -> None:
    write(tmp_path, "late_probed")
    told: list[str] = []
    await_modules({"late_probed": told.append})
    for _ in range(3):
        spec = importlib.util.find_spec("late_probed")
        assert spec is not None
        assert isinstance(spec.loader, importlib.machinery.SourceFileLoader)
    assert told == []
    importlib.import_module("late_probed")
    assert told == ["late_probed"]


def test_a_spec_that_was_found_before_still_tells(tmp_path: Path) -> None:
    write(tmp_path, "late_spec")
    told: list[str] = []
    await_modules({"late_spec": told.append})
    spec = importlib.util.find_spec("late_spec")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["late_spec"] = module
    spec.loader.exec_module(module)
    assert told == ["late_spec"]


def test_an_import_that_fails_is_waited_for_again(tmp_path: Path) -> None:
    write(tmp_path, "late_broken", "import nothing_of_this_name")
    told: list[str] = []
    await_modules({"late_broken": told.append})
    with pytest.raises(ModuleNotFoundError, match="nothing_of_this_name"):
        importlib.import_module("late_broken")
    assert "late_broken" not in sys.modules
    assert not told
    assert awaited() == {"late_broken"}
    write(tmp_path, "late_broken", "mended = True")
    assert importlib.import_module("late_broken").mended
    assert told == ["late_broken"]


def test_what_is_not_there_is_not_found() -> None:
    await_modules({"late_nowhere": print})
    with pytest.raises(ModuleNotFoundError) as error:
        importlib.import_module("late_nowhere")
    assert error.value.name == "late_nowhere"
    assert importlib.util.find_spec("late_nowhere") is None


def test_what_the_caller_raises_ends_the_import(tmp_path: Path) -> None:
    write(tmp_path, "late_refused")

    def refuse(name: str) -> None:
        raise RuntimeError(name)

    await_modules({"late_refused": refuse})
    with pytest.raises(RuntimeError, match="late_refused"):
        importlib.import_module("late_refused")
    assert "late_refused" not in sys.modules
    assert importlib.import_module("late_refused").__name__ == "late_refused"


def test_a_lazy_module_tells_when_it_is_loaded(tmp_path: Path) -> None:
    write(tmp_path, "late_lazy", "value = 2")
    told: list[str] = []
    await_modules({"late_lazy": told.append})
    spec = importlib.util.find_spec("late_lazy")
    assert spec is not None
    assert spec.loader is not None
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules["late_lazy"] = module
    spec.loader.exec_module(module)
    assert told == []
    assert module.value == 2
    assert told == ["late_lazy"]


def test_modules_of_a_zip_share_a_loader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "late.zip", "w") as archive:
        archive.writestr("late_zipped.py", "import late_other\nvalue = 3")
        archive.writestr("late_other.py", "value = 4")
    monkeypatch.syspath_prepend(str(tmp_path / "late.zip"))
    told: list[str] = []
    await_modules({"late_zipped": told.append})
    module = importlib.import_module("late_zipped")
    assert (module.value, module.late_other.value, told) == (3, 4, ["late_zipped"])


def test_a_namespace_package_is_imported_untold(tmp_path: Path) -> None:
    (tmp_path / "late_namespace").mkdir()
    importlib.invalidate_caches()
    told: list[str] = []
    await_modules({"late_namespace": told.append})
    assert importlib.import_module("late_namespace").__path__
    assert told == []


def test_what_is_installed_is_known_without_importing_it(tmp_path: Path) -> None:
    write(tmp_path, "late_known.deep", "raise AssertionError")
    assert installed("late_known.deep")
    assert not installed("late_unknown.deep")
    assert "late_known" not in sys.modules
    assert installed("json.decoder")
    assert not here("late_known.deep")


def test_a_finder_that_fails_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def find_spec(self, *_: object) -> None:
            raise OSError("a finder of somebody else's")

    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    assert installed("zipapp")
    assert not installed("late_absent")


def test_a_hook_and_the_program_may_wait_for_one_module(tmp_path: Path) -> None:
    """A start hook has a copy of its own of this module, and is there first: both are told, each once."""
    from sanctity.determinism import arrival

    spec = importlib.util.spec_from_file_location("late_copy", arrival.__file__)
    assert spec is not None
    assert spec.loader is not None
    copy = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(copy)
    write(tmp_path, "late_both", "value = 1")
    told: list[str] = []
    copy.await_modules({"late_both": lambda name: told.append(f"hook {name}")})
    await_modules({"late_both": lambda name: told.append(f"program {name}")})
    module = importlib.import_module("late_both")
    assert told == ["hook late_both", "program late_both"]
    assert "exec_module" not in vars(module.__loader__)
    importlib.reload(module)
    assert len(told) == 2
