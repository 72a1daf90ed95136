"""Predictions of one fitted forest, whose trees add theirs as they come (F23)."""

from pathlib import Path

import numpy as np
from sklearn.datasets import make_regression
from sklearn.ensemble import RandomForestRegressor

inputs, targets = make_regression(1500, 10, random_state=0)
model = RandomForestRegressor(50, random_state=0, n_jobs=2).fit(inputs, targets)
Path("out").mkdir(exist_ok=True)
np.save("out/predictions.npy", np.stack([model.predict(inputs) for _ in range(20)]))
