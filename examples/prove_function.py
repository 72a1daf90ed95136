"""Seeds are no proof: `python prove_function.py` calls a function again and again, and says what makes it differ."""

import math

import sanctity

TEXT = "a sum of floating-point numbers depends on the order in which they are added to each other"


def total(text: str, *, scale: float = 0.1) -> float:
    """The weight of all different words: added in the order of a set, which is that of their hashes."""
    return sum(scale * len(word) for word in set(text.split()))


def exact_total(text: str, *, scale: float = 0.1) -> float:
    """The same, rounded once, so that no order matters."""
    return math.fsum(scale * len(word) for word in set(text.split()))


if __name__ == "__main__":
    print(sanctity.prove(total, TEXT))
    print(sanctity.prove(exact_total, TEXT, scale=0.3))
