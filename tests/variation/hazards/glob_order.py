"""The same by ``glob``, which asks the folder too."""

from pathlib import Path

Path("parts").mkdir()
for number in range(12):
    Path(f"parts/{number:02}.txt").write_text(f"{number}\n")
Path("out").mkdir(exist_ok=True)
Path("out/names.txt").write_text("\n".join(path.name for path in Path("parts").glob("*.txt")))
