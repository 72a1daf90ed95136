"""A text that is written in the encoding of the locale."""

import locale
from pathlib import Path

locale.setlocale(locale.LC_ALL, "")
Path("out").mkdir(exist_ok=True)
Path("out/text.txt").write_text("Zoë\n", encoding=locale.getencoding(), errors="replace")
