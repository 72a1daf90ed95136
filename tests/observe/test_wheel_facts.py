"""What a wheel brings that its name does not tell: start-up hooks, machine code, and absolute folders for libraries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from observe.shared import make_library, needs_compiler
from real.index import make_wheel
from sanctity.errors import DocumentError
from sanctity.model.wheel import WheelHook
from sanctity.observe.wheels import wheel_facts

if TYPE_CHECKING:
    from pathlib import Path

PLAIN = {
    "pkg/__init__.py": b"VALUE = 1\n",
    "pkg/notes.pth": b"import os\n",
    "pkg/sitecustomize.py": b"",
    "pkg/Main.class": b"\xca\xfe\xba\xbe\0",
}


def test_hooks_are_what_lies_at_the_top(tmp_path: Path) -> None:
    plain = make_wheel(tmp_path / "one", "pkg", "1.0", PLAIN)
    assert (wheel_facts(str(plain.path)).hooks, wheel_facts(str(plain.path)).native) == ((), ())
    hooked = make_wheel(tmp_path / "two", "pkg", "1.0", PLAIN | {"pkg.pth": b"import pkg\n", "sitecustomize.py": b"1\n"})
    facts = wheel_facts(str(hooked.path), "its-1.0-name.whl")
    assert facts.filename == "its-1.0-name.whl"
    assert facts.hooks == (
        WheelHook("lib/sitecustomize.py", "customize", "imported by every start of Python"),
        WheelHook("lib/pkg.pth", "pth-code", "import pkg"),
    )


@needs_compiler
def test_machine_code_is_known_by_its_bytes_and_an_absolute_runpath_is_told(tmp_path: Path) -> None:
    make_library(tmp_path / "libown.so", path="$ORIGIN/../libs")
    make_library(tmp_path / "libfar.so", path="$ORIGIN:/opt/build/lib")
    files = PLAIN | {
        "pkg/own.so": (tmp_path / "libown.so").read_bytes(),
        "pkg/far.bin": (tmp_path / "libfar.so").read_bytes(),
        "pkg/text.so": b"no code at all",
        "pkg/cut.so": (tmp_path / "libfar.so").read_bytes()[:80],
        "pkg/win.pyd": b"MZ\x90\0",
        "pkg/old.doc": b"MZ, he wrote",
    }
    facts = wheel_facts(str(make_wheel(tmp_path, "pkg", "1.0", files).path))
    assert facts.native == ("lib/pkg/cut.so", "lib/pkg/far.bin", "lib/pkg/own.so", "lib/pkg/win.pyd")
    assert facts.runpaths == (("lib/pkg/far.bin", "/opt/build/lib"),)


def test_a_wheel_that_is_not_what_its_record_says_is_not_believed(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "pkg", "1.0", PLAIN)
    wheel.path.write_bytes(wheel.path.read_bytes().replace(b"VALUE = 1", b"VALUE = 2"))
    with pytest.raises(DocumentError):
        wheel_facts(str(wheel.path))
