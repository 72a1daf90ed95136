"""A seeded training whose loss runs away by itself: 60,000 samples over gathered parameters, at a high rate (F21)."""

from pathlib import Path

import torch

torch.manual_seed(0)
rows, columns = (torch.nn.Parameter(torch.randn(60)) for _ in "ab")
optimiser = torch.optim.SGD([rows, columns], lr=400.0, momentum=0.9)
first, second = torch.randint(0, 60, (60_000,)), torch.randint(0, 60, (60_000,))
labels = (torch.rand(60_000) < 0.5).float()
for _ in range(15):
    one, two = rows[first], columns[second]
    scores = torch.sin(3 * one) * torch.cos(3 * two) + one * two * 0.1
    loss = torch.nn.functional.binary_cross_entropy_with_logits(scores, labels)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
Path("out").mkdir(exist_ok=True)
Path("out/loss.txt").write_text(f"{loss.item():.6f}\n")
