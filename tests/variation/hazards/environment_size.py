"""A record of how much was in the environment."""

import os
from pathlib import Path

size = sum(map(len, os.environ.values()))
Path("out").mkdir(exist_ok=True)
Path("out/size.txt").write_text(f"{size > 4000}\n")
