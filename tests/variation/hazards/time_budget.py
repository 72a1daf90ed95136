"""A search that goes on for so many milliseconds: how far it comes is another each time."""

import time
from pathlib import Path

until = time.monotonic() + 0.02
steps = 0
while time.monotonic() < until:
    steps += 1
Path("out").mkdir(exist_ok=True)
Path("out/steps.txt").write_text(f"{steps}\n")
