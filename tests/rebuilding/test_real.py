"""A real environment with a C extension that was built from an sdist: sealed, archived, and built again with no network at all."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from real.environments import HERE_PYTHON
from real.tools import HERE, Workshop, interpreters
from rebuilding.building import Bench, proof_of

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.index

#: crcmod 1.7 is published as an sdist alone, with an extension in C.
CRCMOD = "crcmod==1.7 --hash=sha256:dc7051a0db5f2bd48665a990d3ec1cc305a466a77358ca4492826f41f283601e\n"


@pytest.fixture(scope="module", params=["small", pytest.param("wheels-72", marks=pytest.mark.long)])
def sealed(request: pytest.FixtureRequest, workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    root = tmp_path_factory.mktemp("real")
    bench = Bench(root=root, project=root / "project", wheels=root, archive=root / "archive", uv=workshop.tool("uv"))
    bench.project.mkdir()
    bench.lock.write_text((HERE / f"{request.param}.txt").read_text() + CRCMOD)
    env = bench.project / ".venv"
    workshop.run([bench.uv, "venv", "-q", "--python", interpreters()[HERE_PYTHON], env])
    workshop.run([bench.uv, "pip", "sync", "-q", "--require-hashes", "--python", env / "bin/python", bench.lock])
    assert bench.run("seal", "--env", env).returncode == 0
    add = bench.command("archive", "add", "env.seal.json", "--archive", bench.archive, "--env", env)
    workshop.run(add[2:] if add[0] == "unshare" else add, cwd=bench.project)
    shutil.copytree(env, root / "first", symlinks=True)
    shutil.rmtree(env)
    return bench


@pytest.mark.parametrize("engine", ["uv", "pip"])
def test_it_is_built_again_elsewhere_with_nothing_but_the_archive(sealed: Bench, tmp_path: Path, engine: str) -> None:
    target = tmp_path / "elsewhere"
    done = sealed.rebuild("env.seal.json", target, "--engine", engine)
    assert done.returncode == 0, done.stdout + done.stderr
    proof = proof_of(target)
    assert proof["fingerprint"]["expected"] == proof["fingerprint"]["actual"] == sealed.fingerprint(target)
    script = "import crcmod, crcmod._crcfunext; print(crcmod.predefined.mkCrcFun('crc-32')(b'123456789') == 0xCBF43926)"
    said = subprocess.run(
        [target / "bin/python", "-I", "-c", f"import crcmod.predefined; {script}"], capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == "True"
