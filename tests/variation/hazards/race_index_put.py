"""Numbers added up at indices, as many as are asked for: two threads add to the same places (F20), unless told ``deterministic``."""

import sys
from pathlib import Path

import torch

size = int(sys.argv[1]) if sys.argv[1:] else 400_000
torch.manual_seed(0)
torch.use_deterministic_algorithms("deterministic" in sys.argv)
places, values = torch.randint(0, 50, (size,)), torch.randn(size)
Path("out").mkdir(exist_ok=True)
torch.save([torch.zeros(50).index_put_((places,), values, accumulate=True) for _ in range(30)], "out/sums.pt")
