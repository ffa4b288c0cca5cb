"""
A density, and rows drawn from it
=================================

Where clusters are no ellipses, a mixture is still a density: smooth, with a formula, and easy to draw from.
"""

# %%
# Two half moons. The number of components is chosen by the log density of rows that are held out, which
# judges densities, not clusters.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_moons

from dgmm import GaussianMixtureSweep

X, _ = make_moons(2000, noise=0.07, random_state=0)
sweep = GaussianMixtureSweep(
    [2, 4, 6, 8, 12, 16, 20], covariance_type="full", criterion="held-out", random_state=0
).fit(X)
mixture = sweep.best_estimator_
print(f"{mixture.n_components} components, {sweep.best_score_:.3f} nats a held-out row")

# %%
# Contours hold 50, 90 and 99% of what is drawn from the density: the level is a quantile of the log
# densities of draws.

drawn, _ = mixture.sample(2000)
levels = np.quantile(mixture.score_samples(mixture.sample(20_000)[0]), [0.01, 0.1, 0.5])
x, y = np.meshgrid(np.linspace(-1.6, 2.6, 240), np.linspace(-1.1, 1.6, 200))
log_density = mixture.score_samples(np.column_stack([x.ravel(), y.ravel()])).reshape(x.shape)

figure, axes = plt.subplots(1, 3, figsize=(13, 3.6), sharex=True, sharey=True, layout="constrained")
axes[0].scatter(*X.T, s=4, color="0.3", linewidths=0)
axes[0].set(title="rows", ylabel="second feature")
image = axes[1].pcolormesh(x, y, np.exp(log_density), cmap="cividis", shading="gouraud", rasterized=True)
lines = axes[1].contour(
    x, y, log_density, levels, colors="white", linewidths=(0.7, 1.1, 1.6), linestyles="solid"
)
axes[1].clabel(lines, fmt=dict(zip(lines.levels, ("99%", "90%", "50%"), strict=True)), fontsize=8)
axes[1].set_title("density")
figure.colorbar(image, ax=axes[1], label="density")
axes[2].scatter(*drawn.T, s=4, color="#D55E00", linewidths=0)
axes[2].set_title("drawn from it")
for ax in axes:
    ax.set_xlabel("first feature")
plt.show()

# %%
# Probabilities follow: what share of rows lies above a line, with a standard error of the number of draws?

many, _ = mixture.sample(200_000)
share = np.mean(many[:, 1] > 0.5)
error = np.sqrt(share * (1 - share) / len(many))
print(f"second feature above 0.5: {share:.4f} ± {error:.4f}; in the rows {np.mean(X[:, 1] > 0.5):.4f}")
