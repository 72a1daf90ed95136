"""The worked example of docs/content-digest.md, made again from its own words."""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from pathlib import Path

from sanctity.canon.content import content_digest
from sanctity.observe.wheels import wheel_content, wheel_rows
from sites import record_row

TEXT = (Path(__file__).parents[2] / "docs/content-digest.md").read_text("utf-8")
FILES = {
    "hello.py": "def main():\n    print('hello')\n",
    "hello-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: hello\nVersion: 1.0\n",
    "hello-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: by-hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "hello-1.0.dist-info/entry_points.txt": "[console_scripts]\nhello = hello:main\n",
}
FILES["hello-1.0.dist-info/RECORD"] = "".join(f"{record_row(name, text.encode())}\n" for name, text in FILES.items())


def _rows() -> list[tuple[str, str]]:
    block = re.search(r"^```json\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
    assert block is not None
    return [(key, value) for key, value in json.loads(block[1])]


def _digest() -> str:
    stated = re.search(r"^content/1:sha256:[0-9a-f]{64}$", TEXT, re.MULTILINE)
    assert stated is not None
    return stated[0]


def test_the_rows_have_the_digest() -> None:
    """By the page's own rule, without our code, and by our code."""
    plain = json.dumps(sorted(_rows()), separators=(",", ":"), ensure_ascii=False).encode()
    assert f"content/1:sha256:{hashlib.sha256(plain).hexdigest()}" == _digest()
    assert str(content_digest(_rows())) == _digest()


def test_the_wheel_has_the_rows(tmp_path: Path) -> None:
    wheel = tmp_path / "hello-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in FILES.items():
            archive.writestr(name, content)
    assert sorted(wheel_rows(str(wheel))) == _rows()
    assert str(wheel_content(str(wheel))) == _digest()


def _parts() -> dict[str, str]:
    return dict(re.findall(r"^(\(?\w+\)?) +sha256:([0-9a-f]{64})$", TEXT, re.MULTILINE))


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, separators=(",", ":")).encode()).hexdigest()


def test_the_fingerprint_is_over_its_parts() -> None:
    """By the page's own rule, without our code."""
    parts = _parts()
    interpreter = re.search(r"such as `(\[.*?\])`", TEXT)
    assert interpreter is not None
    assert parts["distributions"] == _hash([["hello", "1.0", _digest()]])
    assert parts["interpreter"] == _hash(json.loads(interpreter[1]))
    assert parts["startup"] == parts["unclaimed"] == parts["(seeds)"] == _hash([])
    names = ("distributions", "interpreter", "startup", "unclaimed")
    assert parts["fingerprint"] == _hash(["sanctity.fingerprint/1", [[name, f"sha256:{parts[name]}"] for name in names]])
