"""
Covariance types: how free clusters are
=======================================

``covariance_type`` says what components have in common. The least free that fits needs the fewest rows, and
has the lowest BIC.
"""

# %%
# Three clusters of one shape, stretched along a diagonal:

import matplotlib.pyplot as plt
import numpy as np

from dgmm import GaussianMixture
from dgmm.plotting import plot_mixture

rng = np.random.default_rng(1)
shape = np.array([[1.0, 0.7], [0.0, 0.45]])
centres = np.array([[0.0, 0.0], [6.0, 1.0], [1.0, 5.0]])
truth = rng.choice(3, size=900, p=[0.5, 0.3, 0.2])
X = centres[truth] + rng.standard_normal((900, 2)) @ shape

# %%
# The same rows, with each of the six types. P is the number of free parameters.

types = ("full", "tied", "diag", "tied_diag", "spherical", "tied_spherical")
figure, axes = plt.subplots(2, 3, figsize=(12, 7), sharex=True, sharey=True, layout="constrained")
best = {}
for ax, covariance_type in zip(axes.flat, types, strict=True):
    mixture = GaussianMixture(3, covariance_type=covariance_type, random_state=0).fit(X).sorted("mean")
    best[covariance_type] = mixture.bic(X)
    ax.scatter(*X.T, s=4, color="0.65", linewidths=0)
    plot_mixture(mixture, features=(0, 1), ax=ax, colors=["#0072B2", "#D55E00", "#009E73"])
    ax.set_title(f"{covariance_type}: BIC {best[covariance_type]:.0f}")
    ax.set(aspect="equal", xlabel="", ylabel="")
for ax in axes[-1]:
    ax.set_xlabel("first feature")
for ax in axes[:, 0]:
    ax.set_ylabel("second feature")
plt.show()
print("lowest:", min(best, key=lambda name: best[name]))

# %%
# What it means for few rows: fits of small samples, scored on all rows. A tied covariance has the rows of
# all clusters to be estimated from.

for n_rows in (30, 60, 120, 300):
    scores = {}
    for covariance_type in ("full", "tied"):
        found = [
            GaussianMixture(3, covariance_type=covariance_type, n_init=5, random_state=seed)
            .fit(X[rng.choice(900, n_rows, replace=False)])
            .score(X)
            for seed in range(5)
        ]
        scores[covariance_type] = np.median(found)
    print(f"{n_rows:3d} rows: full {scores['full']:.2f}, tied {scores['tied']:.2f} nats a row")
