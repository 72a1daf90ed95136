"""One seed for everything that draws, and a receipt of what it reached. See docs/determinism.md.

Hands: it changes the process that it runs in. It needs the standard library alone, and never imports a library to seed it.
Nothing is imported here, so that a caller pays for what it uses.
"""

__all__ = ["INJECTED"]

#: The digest of the start hook that made the call in this process (`sanctity run --inject`); empty where the program made it.
INJECTED = ""
