"""Functions spread over shards by their hash, which is their address."""

from pathlib import Path


def first() -> None: ...


def second() -> None: ...


def third() -> None: ...


shards = [hash(step) % 1009 for step in (first, second, third, Path)]
Path("out").mkdir(exist_ok=True)
Path("out/shards.txt").write_text(f"{shards}\n")
