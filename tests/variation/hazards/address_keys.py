"""A cache with the ``id`` of each object as its key, written out in the order of the keys."""

from pathlib import Path


class Layer:
    """Has no name."""


layers = [Layer() for _ in range(4000)] + [bytearray(1 << 18) for _ in range(8)]
cache = {id(layer) % 65521: number for number, layer in enumerate(layers)}
Path("out").mkdir(exist_ok=True)
Path("out/cache.txt").write_text("\n".join(str(cache[key]) for key in sorted(cache)))
