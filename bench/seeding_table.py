"""Run every popular seeding helper, and ours, against many sources of randomness, and write the table of docs/seeding-compared.md.

    python bench/seeding_table.py [--print]

Each helper seeds two processes with one seed, and then with another. What is equal in both repeats; what is equal with the other
seed as well is not reached by the seed, and is fixed by itself; what two draw that should not draw the same collides, with what is named.
The draws are those of `seeding_draws.py`, in the large environment of the tests, whose versions are pinned in
tests/real/learning.py; it is built where it is not there yet, which takes minutes and some gigabytes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "seeding-compared.md"
BEGIN, END = "<!-- the table, by bench/seeding_table.py -->", "<!-- the end of the table -->"
SEED, OTHER = 42, 43

sys.path[:0] = [str(HERE), str(HERE.parent / "tests"), str(HERE.parent / "src")]

from seeding_draws import SOURCES  # noqa: E402

from real.learning import SOURCE, zoo_python  # noqa: E402 - it lies with the tests
from sanctity.determinism.scheme import hash_seed  # noqa: E402
from sanctity.plan.seeding import plan_seed  # noqa: E402


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One helper: its key in `seeding_draws.HELPERS`, the words over its column, and whether it is started by a launcher."""

    helper: str
    title: str
    started: bool = False

    def environ(self, seed: int) -> dict[str, str]:
        """What is set before the interpreter starts."""
        return plan_seed(seed, hash_seed=hash_seed(seed), environ={}).environ if self.started else {}


COLUMNS = (
    Column(helper="by_hand", title="three lines by hand"),
    Column(helper="lightning", title="Lightning `seed_everything`"),
    Column(helper="transformers", title="HF `set_seed`"),
    Column(helper="transformers_full", title="HF `enable_full_determinism`"),
    Column(helper="accelerate", title="accelerate `set_seed`"),
    Column(helper="monai", title="MONAI `set_determinism`"),
    Column(helper="keras", title="Keras `set_random_seed`"),
    Column(helper="sanctity", title="sanctity, the call"),
    Column(helper="sanctity", title="sanctity, `run --seed`", started=True),
    Column(helper="sanctity_named", title="sanctity, by name", started=True),
)


def drawn(column: Column, seeds: Sequence[int], sources: Sequence[str]) -> dict[str, Any]:
    """The document of `seeding_draws.py` for one process, which is seeded with each of *seeds* in turn."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG", "OPENBLAS_CORETYPE") if name in os.environ}
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [zoo_python(), HERE / "seeding_draws.py", column.helper, ",".join(map(str, seeds)), *sources],
        env={**kept, **quiet, "PYTHONPATH": str(SOURCE), "PYTHONDONTWRITEBYTECODE": "1", **column.environ(seeds[0])},
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{column.title} ended with {done.returncode}\n{done.stderr}")
    document: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(f"{column.title}: {seeds}", file=sys.stderr)
    return document


def judged(first: dict[str, Any], second: dict[str, Any], other: dict[str, Any]) -> str:
    """The cell for one source: in two processes with one seed, and with another one."""
    if first["failed"]:
        return "fails"
    if first["value"] != second["value"] or "itself" in first["collides"]:
        return "varies"
    if first["collides"]:
        return f"collides ({first['collides']})"
    return "fixed" if first["value"] == other["value"] else "repeats"


def table(
    columns: Iterable[Column] = COLUMNS, sources: Sequence[str] = (), workers: int = 2
) -> tuple[dict[str, list[str]], dict[Column, Any]]:
    """The cells by source, one for each of *columns*; and what the first process of each column said."""
    sources = list(sources or SOURCES)
    columns = tuple(columns)
    # What is set before the start belongs to one seed, so a column that is started has a process for the other one.
    runs = {column: ([[SEED], [SEED], [OTHER]] if column.started else [[SEED, OTHER], [SEED]]) for column in columns}
    jobs = [(column, seeds) for column in columns for seeds in runs[column]]
    with ThreadPoolExecutor(workers) as pool:
        documents = list(pool.map(lambda job: drawn(job[0], job[1], sources), jobs))
    rows: dict[str, list[str]] = {name: [] for name in sources}
    first: dict[Column, Any] = {}
    for column in columns:
        mine = [document for (of, _), document in zip(jobs, documents, strict=True) if of is column]
        first[column] = mine[0]
        other = mine[2]["drawn"][0] if column.started else mine[0]["drawn"][1]
        for name in sources:
            rows[name].append(judged(mine[0]["drawn"][0][name], mine[1]["drawn"][0][name], other[name]))
    return rows, first


def told(name: str, cell: str, document: Any) -> str:
    """What the receipt of the plain call says about a source that it does not make repeat."""
    control = SOURCES[name].told
    if cell == "repeats":
        return ""
    if " " in control:
        return control
    return f"`{control}` {document['drawn'][0][name]['rows'][control]}"


def markdown(rows: dict[str, list[str]], documents: dict[Column, Any]) -> str:
    """The table, and under it the versions."""
    plain = next(column for column in documents if column.helper == "sanctity")
    at = list(documents).index(plain)
    heads = ["source", *(column.title for column in documents), "what the receipt of the call says"]
    lines = [" | ".join(["", *heads, ""]).strip(), "|" + "---|" * len(heads)]
    for name, cells in rows.items():
        marked = [f"**{cell}**" if cell == "repeats" else cell for cell in cells]
        lines.append(" | ".join(["", SOURCES[name].title, *marked, told(name, cells[at], documents[plain]), ""]).strip())
    counts = [f"{sum(row[number] == 'repeats' for row in rows.values())} of {len(rows)}" for number in range(len(documents))]
    lines.append(" | ".join(["", "**repeat, and share with nobody**", *counts, "", ""]).strip())
    versions: dict[str, str] = {}
    for document in documents.values():
        versions |= document["versions"]
    said = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    return "\n".join([*lines, "", f"Python {documents[plain]['python']}, {said}; a machine with {os.cpu_count()} CPUs and no GPU."])


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Write the table of docs/seeding-compared.md.")
    parser.add_argument("--print", action="store_true", help="print it, and leave the page as it is")
    parser.add_argument("--workers", type=int, default=2, help="how many processes run at a time")
    options = parser.parse_args(argv)
    text = markdown(*table(workers=options.workers))
    if options.print:
        print(text)
        return
    page = PAGE.read_text("utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", "utf-8")


if __name__ == "__main__":
    main()
