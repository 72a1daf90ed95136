"""A sum over a million numbers: as many parts as there are threads (F30)."""

from pathlib import Path

import torch

torch.manual_seed(0)
numbers = torch.randn(1_000_000)
Path("out").mkdir(exist_ok=True)
torch.save({"softmax": torch.softmax(numbers, 0)[:1000].clone(), "dot": torch.dot(numbers, numbers)}, "out/sums.pt")
