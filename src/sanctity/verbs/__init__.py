"""One function for each verb of the command line: hands look, thought compares, a value comes back.

What a verb may know of the world comes in as arguments: the working folder, the environment variables and the clock.
"""

from __future__ import annotations

from sanctity.verbs.differing import Differing, diff
from sanctity.verbs.judging import fingerprint, verify
from sanctity.verbs.running import Running, run
from sanctity.verbs.sealing import Sealing, seal
from sanctity.verbs.watching import Sight, watch
from sanctity.verbs.world import Outcome, Target, World

__all__ = [
    "Differing",
    "Outcome",
    "Running",
    "Sealing",
    "Sight",
    "Target",
    "World",
    "diff",
    "fingerprint",
    "run",
    "seal",
    "verify",
    "watch",
]
