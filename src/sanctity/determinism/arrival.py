"""Libraries that are imported later: told when they have arrived, without a trace in how they are imported.

One finder stands first in ``sys.meta_path`` as long as a module is waited for. It finds nothing itself: it asks the others, and
puts an ``exec_module`` of its own on the *instance* of the loader that one of them gives. That one takes itself off before it runs
the real one, so that the module sees its own spec and loader, and `importlib.reload` meets neither. A module whose import fails is
waited for again. An exception that a caller's function raises ends that import, so it raises only what is to end a program.
"""

from __future__ import annotations

import sys
from _thread import get_ident

TYPE_CHECKING = False  # importing `typing` for it would take longer than all else that is done here
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType
    from typing import Any

__all__ = ["await_modules", "awaited", "here", "installed", "stop"]


class _Finder:
    """What is waited for, by module, and what to call when it is there."""

    def __init__(self) -> None:
        self.waiting: dict[str, Callable[[str], object]] = {}
        #: Who asks the other finders now, and for what: one of them may be another copy of this one, which asks back.
        self.asking: set[tuple[int, str]] = set()

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> Any:
        """The spec that the other finders have for a module that is waited for; None for all others."""
        asks = (get_ident(), name)
        if name not in self.waiting or asks in self.asking:
            return None
        self.asking.add(asks)
        try:
            for finder in tuple(sys.meta_path):
                find = None if finder is self else getattr(finder, "find_spec", None)
                spec = None if find is None else find(name, path, target)
                if spec is not None:
                    _attach(spec, self)
                    return spec
        finally:
            self.asking.discard(asks)
        return None


_finder = _Finder()


def await_modules(modules: dict[str, Callable[[str], object]]) -> None:
    """Call the function of each of *modules* with its name, once, when its import has ended well."""
    _finder.waiting.update(modules)
    if _finder.waiting and _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)


def stop(*modules: str) -> None:
    """Wait for *modules* no longer; for none at all where no module is named."""
    for name in modules or tuple(_finder.waiting):
        _finder.waiting.pop(name, None)
    if not _finder.waiting and _finder in sys.meta_path:
        sys.meta_path.remove(_finder)


def awaited() -> frozenset[str]:
    """The modules that are waited for."""
    return frozenset(_finder.waiting)


def here(name: str) -> bool:
    """Whether the module *name* was imported to its end."""
    module = sys.modules.get(name)
    return module is not None and not getattr(getattr(module, "__spec__", None), "_initializing", False)


def installed(name: str) -> bool:
    """Whether a finder knows the top-level package of the module *name*; nothing is imported."""
    top = name.partition(".")[0]
    if top in sys.modules:
        return sys.modules[top] is not None
    for finder in tuple(sys.meta_path):
        find = None if finder is _finder else getattr(finder, "find_spec", None)
        try:
            if find is not None and find(top, None) is not None:
                return True
        except Exception:  # noqa: BLE001, S112 - it is somebody else's, and the import itself will tell
            continue
    return False


def _attach(spec: Any, finder: _Finder) -> None:
    """Have the loader of *spec* tell when it has run the module of that spec."""
    loader, name = spec.loader, spec.name
    before = getattr(loader, "__dict__", {}).get("exec_module")
    if loader is None or isinstance(loader, type) or getattr(before, "finder", None) is finder:
        return  # a namespace, a loader that all modules share, or one that was asked for twice and tells already
    run = getattr(loader, "exec_module", None)
    if run is None:
        return

    def exec_module(module: ModuleType) -> None:
        if module.__name__ != name:
            run(module)
            return
        loader.__dict__.pop("exec_module", None)
        if before is not None:
            loader.exec_module = before  # of a start hook's copy of this module, which takes itself off in its turn
        run(module)
        arrived = finder.waiting.get(name)
        stop(name)
        if arrived is not None:
            arrived(name)

    exec_module.finder = finder  # type: ignore[attr-defined] # by which it is known again
    try:
        loader.exec_module = exec_module
    except (AttributeError, TypeError):
        return  # it takes no attribute; `recheck` finds that the module came unseen
