"""A log that names its temporary file."""

import tempfile
from pathlib import Path

Path("out").mkdir(exist_ok=True)
Path("out/log.txt").write_text(f"unpacked below {tempfile.gettempdir()}\n")
