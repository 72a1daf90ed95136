"""An honest pipeline of scikit-learn: every stage has its seed, and the forest its one job."""

from pathlib import Path

import numpy as np
from sklearn.datasets import make_classification
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

inputs, labels = make_classification(600, 20, random_state=0)
train, test, wanted, _ = train_test_split(inputs, labels, random_state=0)
model = make_pipeline(StandardScaler(), PCA(8, random_state=0), RandomForestClassifier(20, random_state=0, n_jobs=1))
Path("out").mkdir(exist_ok=True)
np.save("out/probabilities.npy", model.fit(train, wanted).predict_proba(test))
