"""A manifest with the absolute path of a cache below the home folder."""

import os
from pathlib import Path

Path("out").mkdir(exist_ok=True)
Path("out/manifest.txt").write_text(os.path.expanduser("~/.cache/model") + "\n")
