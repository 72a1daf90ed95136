"""A wheel built from source, by the real uv or pip. It runs code of the source, so it is done only where somebody asked for it."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Final

from sanctity.errors import SanctityError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["build_wheel"]

#: Seconds after which a build is given up.
_PATIENCE: Final = 3600


def build_wheel(source: str, to: str, *, python: str, environ: Mapping[str, str], offline: bool = False) -> str:
    """Build a wheel of *source*, a sdist's or folder's path or a ``git+`` URL, into the folder *to*; its path is given back.

    The interpreter *python* builds it: uv where it is found and *source* is a path, else that interpreter's own pip.

    Raises:
        SanctityError: ``build-failed``, with the last line that the builder said.
    """
    os.makedirs(to, exist_ok=True)
    uv = shutil.which("uv", path=environ.get("PATH"))
    if uv and "://" not in source:
        command = [uv, "build", "--wheel", "--python", python, "--out-dir", to, *(["--offline"] if offline else []), source]
    else:
        command = [python, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", to, *(["--no-index"] if offline else []), source]
    shown = os.path.basename(source.rstrip("/")) or source
    try:
        done = subprocess.run(
            command, env=dict(environ), stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SanctityError("build-failed", f"it can not be built: {error}"[:300], where=shown) from error
    wheels = sorted(name for name in os.listdir(to) if name.endswith(".whl"))
    if done.returncode or len(wheels) != 1:
        lines = [line.strip() for line in done.stderr.decode("utf-8", "replace").splitlines() if line.strip()]
        words = f"{os.path.basename(command[0])} ended with {done.returncode}: {lines[-1][:300] if lines else 'it said nothing'}"
        hint = f"see what it says: {' '.join(command[:3])} … {shown}"
        raise SanctityError("build-failed", words, where=shown, hint=hint)
    return f"{to}/{wheels[0]}"
