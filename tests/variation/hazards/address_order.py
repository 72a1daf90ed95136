"""Plain objects in the order of a set, which is that of their addresses (F08)."""

from pathlib import Path


class Node:
    """Has no hash of its own."""

    def __init__(self, name: int) -> None:
        self.name = name


nodes = {Node(number) for number in range(3000)}
Path("out").mkdir(exist_ok=True)
Path("out/order.txt").write_text("\n".join(str(node.name) for node in nodes))
