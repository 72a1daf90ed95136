"""A name for the run, of random bits."""

import uuid
from pathlib import Path

Path("out").mkdir(exist_ok=True)
Path("out/run.txt").write_text(f"{uuid.uuid4()}\n")
