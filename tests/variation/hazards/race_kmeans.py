"""Clusters by four threads of OpenMP, unless told otherwise: in what order they add their parts is another each time (F22)."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "4")

from pathlib import Path

import numpy as np
from sklearn.cluster import KMeans

samples = np.random.default_rng(0).standard_normal((8000, 10))
Path("out").mkdir(exist_ok=True)
centres = [KMeans(8, random_state=0, n_init=1, max_iter=20).fit(samples).cluster_centers_ for _ in range(6)]
np.save("out/centres.npy", np.stack(centres))
