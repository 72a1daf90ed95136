"""Sanctity: prove that the Python environment you run is, byte for byte, the one you locked.

The package imports nothing until a name is used, so that ``import sanctity`` costs next to nothing.
PYTEST_DONT_REWRITE: pytest would complain where it was imported before pytest was.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sanctity.guard import Refused, Result, guard

__all__ = ["Refused", "Result", "__version__", "guard"]

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Import what is asked for; ``sanctity.guard`` is the module of that name, which can be called."""
    if name not in {"Refused", "Result", "guard"}:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import sanctity.guard as module

    return module if name == "guard" else getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
