"""Environments of machine learning, in which programs are run whose streams and races are looked at; and a way to run one.

`ml_python` has PyTorch, NumPy and scikit-learn, `trainers_python` Lightning, transformers and Keras beside them, `zoo_python` every
framework. Each is a virtual environment of Python 3.11 in the test cache, built once and kept; whoever comes second waits. PyTorch is
installed first and alone, and is a constraint for all that follows, so that nothing brings another one. No index is named: pip reaches
what its own settings say.

Programs run in it as their users run them, in a process of their own with a clean environment; sanctity is importable there from
its source, with nothing that it depends on.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from real.tools import HERE, ToolError, Workshop, cache_folder, exclusive, interpreters

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = [
    "ML",
    "PYTHON",
    "ROWS",
    "SOURCE",
    "TORCH",
    "ZOO",
    "ToolError",
    "by",
    "missing",
    "ml_python",
    "run_script",
    "said",
    "side_by_side",
    "trainers_python",
    "zoo_python",
]

SOURCE: Final = HERE.parents[1] / "src"
PYTHON: Final = "3.11"
TORCH: Final = "torch==2.13.0"
#: What stands beside PyTorch in the small environment.
ML: Final = ("numpy==2.4.6", "scikit-learn==1.9.1", "scipy==1.17.1", "joblib==1.6.0")
#: What trains with PyTorch; keras chooses its backend by KERAS_BACKEND.
TRAINERS: Final = ("accelerate==1.15.0", "keras==3.15.1", "lightning==2.6.6", "transformers==5.23.0")
#: What the largest one has beside all of those.
ZOO: Final = (
    "jax==0.10.2",
    "jaxlib==0.10.2",
    "lightgbm==4.7.0",
    "monai==1.6.1",
    "pandas==3.0.3",
    "tensorflow-cpu==2.21.0",
    "xgboost-cpu==3.2.0",
)
#: The rows of ``receipt`` by control, as JSON can have them: for the programs under test.
ROWS: Final = "{row.control: [row.status, row.detail, row.remedy] for row in receipt.rows}"
#: What a program may see of the caller's environment; threads and kernels are as this machine has them.
_KEPT: Final = ("PATH", "LD_LIBRARY_PATH", "TMPDIR", "LANG", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")


def ml_python() -> Path:
    """The interpreter of the small environment, which is built now if it was not yet."""
    return _built("ml", ML)


def trainers_python() -> Path:
    """The interpreter of the environment with Lightning, transformers and Keras, which is built now if it was not yet."""
    return _built("trainers", (*ML, *TRAINERS))


def zoo_python() -> Path:
    """The interpreter of the large environment, which is built now if it was not yet: a few minutes and some gigabytes."""
    return _built("zoo", tuple(sorted((*ML, *TRAINERS, *ZOO))))


def missing() -> str:
    """Why neither environment can be had here; empty where they can."""
    return "" if PYTHON in interpreters() else f"Python {PYTHON} is not installed"


def _built(name: str, packages: tuple[str, ...]) -> Path:
    if PYTHON not in interpreters():
        raise ToolError(f"the environment {name!r} needs Python {PYTHON}, which is not installed")
    cache = cache_folder()
    home = cache / "determinism" / name
    stamp = home / "complete"
    wanted = "\n".join((TORCH, *packages))
    if not stamp.is_file() or stamp.read_text() != wanted:
        with exclusive(home):
            if not stamp.is_file() or stamp.read_text() != wanted:
                shutil.rmtree(home, ignore_errors=True)
                shop = Workshop(cache=cache, scratch=cache / "determinism" / "scratch")
                shop.scratch.mkdir(parents=True, exist_ok=True)
                shop.run([interpreters()[PYTHON], "-m", "venv", "--without-pip", home])
                # Bytecode is made of what is imported, as it is imported: of all of it, it would take longer than the tests.
                pip: list[str | Path] = [shop.tool("pip"), "--python", home / "bin/python", "install", "-q", "--no-compile"]
                if name == "ml":
                    shop.run([*pip, TORCH], timeout=1800)
                else:
                    _share(_built("ml", ML).parents[1], home)
                # A file of constraints replaces none that pip's own settings name.
                kept = home / "constraints.txt"
                kept.write_text(TORCH + "\n")
                shop.run([*pip, "-c", kept, "--only-binary", ":all:", *packages], timeout=3600)
                shop.run([home / "bin/python", "-c", "import torch, sklearn"])
                stamp.write_text(wanted)
    return home / "bin/python"


def _share(env: Path, home: Path) -> None:
    """Give the new environment *home* what the environment *env* holds, as hard links, which pip replaces and never writes to."""
    site = f"lib/python{PYTHON}/site-packages"
    shutil.copytree(env / site, home / site, symlinks=True, copy_function=os.link, dirs_exist_ok=True)


def run_script(
    python: Path | str,
    code: str | None,
    *arguments: str,
    folder: Path | None = None,
    stdin: str | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 300,
) -> str:
    """What the program *code* printed on standard output.

    With *folder* it is a file there, and started as one, which multiprocessing needs to start children; else it is given by
    ``-c``, or, where it is None, as *stdin*. *env* is added to the clean environment.

    Raises:
        ToolError: it ended with another code than 0, with all it said.
    """
    if code is None:
        command = [str(python), "-", *arguments]
    elif folder is None:
        command = [str(python), "-c", code, *arguments]
    else:
        program = folder / "program.py"
        program.write_text(code)
        command = [str(python), str(program), *arguments]
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    home = cache_folder() / "determinism" / "scratch" / "home"
    home.mkdir(parents=True, exist_ok=True)
    ready = {"HOME": str(home), "PYTHONPATH": str(SOURCE), "HF_HUB_OFFLINE": "1"}
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        command,
        env={**kept, **ready, **quiet, **(env or {})},
        cwd=folder,
        input=stdin or "",
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if done.returncode:
        raise ToolError(f"{command[0]} ended with {done.returncode}\n{code}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def said(python: Path | str, code: str, *arguments: str, folder: Path | None = None, env: Mapping[str, str] | None = None) -> Any:
    """What the program *code* printed last, read as JSON."""
    return json.loads(run_script(python, code, *arguments, folder=folder, env=env).splitlines()[-1])


def by(python: Path | str, code: str, *runs: Mapping[str, str], folder: Path | None = None) -> list[Any]:
    """What the program *code* printed last, read as JSON, in one process for each of *runs*, which are its variables."""
    return [said(python, code, env=env, folder=folder) for env in runs]


def side_by_side(python: Path | str, *codes: str, env: Mapping[str, str] | None = None) -> list[Any]:
    """What each of the programs *codes* printed last, read as JSON; two of them run at a time."""
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda code: said(python, code, env=env), codes))


if __name__ == "__main__":
    print(zoo_python() if "zoo" in sys.argv else ml_python())
