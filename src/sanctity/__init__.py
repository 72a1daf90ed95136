"""Sanctity: prove that the Python environment you run is, byte for byte, the one you locked.

The package imports nothing until a name is used, so that ``import sanctity`` costs next to nothing.
"""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
