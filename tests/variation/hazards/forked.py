"""A seeded parent whose forked children draw: `random` seeds itself anew from the system in each (F13)."""

import os
import random
from pathlib import Path


def drawn() -> bytes:
    reader, writer = os.pipe()
    if not os.fork():
        os.write(writer, f"{random.random()}".encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        return file.read()


random.seed(0)
draws = [drawn().decode() for _ in range(3)]
while len(draws) < 6:
    os.wait()
    draws.append(f"{random.random()}")
Path("out").mkdir(exist_ok=True)
Path("out/draws.txt").write_text("\n".join(draws) + "\n")
