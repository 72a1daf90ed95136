"""The weights of a layer, and nobody seeded PyTorch: it takes its seed from the system, in machine code."""

import os

import torch

os.makedirs("out", exist_ok=True)
with open("out/weights.bin", "wb") as file:
    file.write(torch.nn.Linear(8, 8).weight.detach().numpy().tobytes())
