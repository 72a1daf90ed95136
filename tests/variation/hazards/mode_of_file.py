"""A listing with the permissions of what was made."""

from pathlib import Path

Path("out").mkdir(exist_ok=True)
Path("out/model.bin").write_bytes(b"model")
Path("out/listing.txt").write_text(f"{Path('out/model.bin').stat().st_mode:o} model.bin\n")
