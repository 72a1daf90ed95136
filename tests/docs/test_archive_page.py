"""The whole example of docs/archive.md, made again from its own words."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

from archiving.kept import a_pylock, keep_lock
from real.index import make_wheel
from sanctity.store.archive import Archive

TEXT = (Path(__file__).parents[2] / "docs/archive.md").read_text("utf-8")
BLOCKS = re.findall(r"^```text\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)


def test_the_example_is_what_is_written(tmp_path: Path) -> None:
    index, manifest, lock = (block for block in BLOCKS if block.startswith(("{", "lock-version")))
    wheel = make_wheel(tmp_path, "hello", "1.0", {"hello.py": b"def main():\n    print('hello')\n"})
    file = a_pylock(tmp_path, [wheel])
    assert file.read_text() == lock
    with Archive.open(str(tmp_path / "kept"), create=True) as archive:
        kept = keep_lock(archive, file, [wheel])
        assert json.loads((tmp_path / "kept/index.json").read_bytes()) == json.loads(index)
        assert kept.manifest is not None
        assert json.loads(archive.read(kept.manifest)) == json.loads(manifest)


def test_the_example_has_the_digests_that_it_states() -> None:
    """By the page's own rule, without our code."""
    index, manifest, lock = (block for block in BLOCKS if block.startswith(("{", "lock-version")))
    stated = json.loads(index)["manifests"][0]
    data = json.dumps(json.loads(manifest), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert (stated["digest"], stated["size"]) == (f"sha256:{hashlib.sha256(data).hexdigest()}", len(data))
    document = json.loads(manifest)["layers"][0]
    bytes_of_lock = lock.encode()
    assert (document["digest"], document["size"]) == (f"sha256:{hashlib.sha256(bytes_of_lock).hexdigest()}", len(bytes_of_lock))
