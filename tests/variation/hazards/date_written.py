"""A report that names its day: the same all day long."""

import datetime as dt
from pathlib import Path

Path("out").mkdir(exist_ok=True)
Path("out/report.txt").write_text(f"made on {dt.datetime.now():%Y-%m-%d}\n")  # noqa: DTZ005 - the hazard
