"""An honest training: seeded, its data in a fixed order, deterministic algorithms; it prints its loss and keeps its weights."""

from pathlib import Path

import torch

torch.manual_seed(0)
torch.use_deterministic_algorithms(True)
model = torch.nn.Sequential(torch.nn.Linear(40, 128), torch.nn.ReLU(), torch.nn.Dropout(0.1), torch.nn.Linear(128, 1))
inputs = torch.randn(1024, 40)
targets = inputs[:, :1] * inputs[:, 1:2]
optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
for _ in range(10):
    loss = torch.nn.functional.mse_loss(model(inputs), targets)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
Path("out").mkdir(exist_ok=True)
torch.save(model.state_dict(), "out/weights.pt")
Path("out/loss.txt").write_text(f"{loss.item():.4f}\n")
