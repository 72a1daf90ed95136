"""A linear booster that updates its coefficients in parallel without locks (F24)."""

from pathlib import Path

import numpy as np
import xgboost

generator = np.random.default_rng(0)
inputs = generator.standard_normal((20_000, 30))
targets = inputs @ generator.standard_normal(30)
data = xgboost.DMatrix(inputs, targets)
settings = {"booster": "gblinear", "updater": "shotgun", "nthread": 2, "seed": 0}
Path("out").mkdir(exist_ok=True)
np.save("out/predictions.npy", xgboost.train(settings, data, 20).predict(data))
