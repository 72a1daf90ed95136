"""A table joined from its parts as the folder lists them: no file system promises an order."""

import os
from pathlib import Path

Path("parts").mkdir()
for number in range(12):
    Path(f"parts/{number:02}.csv").write_text(f"{number},{number**2}\n")
Path("out").mkdir(exist_ok=True)
Path("out/table.csv").write_text("".join(Path("parts", name).read_text() for name in os.listdir("parts")))
