"""A small environment, made by hand in milliseconds: a real interpreter link, a pyvenv.cfg, distributions with true RECORDs.

No index and no installer are needed. What a test plants in it afterwards is the only thing wrong with it.
"""

from __future__ import annotations

import base64
import hashlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SMALL", "add_distribution", "build_site", "record_row", "site_packages"]

#: The library folder of the interpreter that the tests run under, and that every environment made here starts.
_LIBRARY = f"lib/python{sys.version_info.major}.{sys.version_info.minor}"

#: Two small distributions, one of them with a console script.
SMALL: dict[str, dict[str, bytes]] = {
    "alpha 1.0": {"alpha/__init__.py": b"VALUE = 1\n", "alpha/deep/data.bin": bytes(range(256)) * 8},
    "beta 2.5": {
        "beta.py": b"def main():\n    return 0\n",
        "entry_points.txt": b"[console_scripts]\nbeta = beta:main\n",
    },
}


def site_packages(env: Path) -> Path:
    return env / _LIBRARY / "site-packages"


def record_row(name: str, data: bytes) -> str:
    """The RECORD row of a file *name* with the bytes *data*."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
    return f"{name},sha256={digest},{len(data)}"


def add_distribution(env: Path, name: str, version: str, files: Mapping[str, bytes], *, metadata: bytes = b"") -> Path:
    """Install *files* (paths relative to site-packages) as one distribution; returns its dist-info folder.

    A file called ``entry_points.txt`` goes into the dist-info, and gets the wrappers of its console scripts.
    """
    site = site_packages(env)
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    whole = dict(files)
    entry_points = whole.pop("entry_points.txt", b"")
    whole |= {
        f"{info}/METADATA": metadata or f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\n{name} is small.\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/INSTALLER": b"pip\n",
    }
    if entry_points:
        whole[f"{info}/entry_points.txt"] = entry_points
        for line in entry_points.decode().splitlines():
            script, equals, target = (part.strip() for part in line.partition("="))
            if equals:
                module, _, attribute = target.partition(":")
                whole[f"../../../bin/{script}"] = (
                    f"#!{env}/bin/python\n# -*- coding: utf-8 -*-\nimport re\nimport sys\nfrom {module} import {attribute}\n"
                    "if __name__ == '__main__':\n"
                    "    sys.argv[0] = re.sub(r'(-script\\.pyw|\\.exe)?$', '', sys.argv[0])\n"
                    f"    sys.exit({attribute}())\n"
                ).encode()
    rows = []
    for path, data in whole.items():
        target_file = Path(os.path.normpath(site / path))
        target_file.parent.mkdir(parents=True, exist_ok=True)
        target_file.write_bytes(data)
        rows.append(record_row(path, data))
    (site / info / "RECORD").write_text("\n".join([*rows, f"{info}/RECORD,,"]) + "\n", encoding="utf-8")
    return site / info


def build_site(folder: Path, distributions: Mapping[str, Mapping[str, bytes]] | None = None) -> Path:
    """A virtual environment at *folder*``/env``; *distributions* maps ``"name version"`` to files, by default `SMALL`.

    A ``.git`` beside it ends the search for a lock here, whatever lies in the folders above.
    """
    env = folder / "env"
    (folder / ".git").mkdir(parents=True, exist_ok=True)
    (env / "bin").mkdir(parents=True)
    site_packages(env).mkdir(parents=True)
    base = Path(os.path.realpath(sys.executable))
    (env / "bin/python").symlink_to(base)
    (env / "bin/python3").symlink_to("python")
    version = ".".join(map(str, sys.version_info[:3]))
    (env / "pyvenv.cfg").write_text(
        f"home = {base.parent}\ninclude-system-site-packages = false\nversion = {version}\n", encoding="utf-8"
    )
    for title, files in (SMALL if distributions is None else distributions).items():
        name, _, number = title.partition(" ")
        add_distribution(env, name, number, files)
    return env
