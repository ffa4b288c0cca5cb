"""
Cells: populations of a flow cytometer, and merged components
=============================================================

A cytometer measures fluorescence of single cells, over four decades. Populations are skewed even in
transformed values, so that a mixture needs several components for one of them; merging gives populations
back. The cells are drawn.
"""

# %%
# Four populations by two markers, with log-normal intensities, noise of the detector, and debris:

import matplotlib.pyplot as plt
import numpy as np

from dgmm import GaussianMixtureSweep
from dgmm.plotting import plot_mixture

rng = np.random.default_rng(1)
names = ("double negative", "CD4+", "CD8+", "debris")
sizes = (6000, 5000, 2500, 800)
centres = ((60.0, 50.0), (4000.0, 90.0), (150.0, 9000.0), (8.0, 8.0))
spreads = ((0.75, 0.7), (0.35, 0.8), (0.8, 0.3), (0.5, 0.5))
cells = np.concatenate(
    [
        np.exp(np.log(centre) + rng.gamma(4.0, 0.5, (size, 2)) * spread - 2.0 * np.array(spread))
        for size, centre, spread in zip(sizes, centres, spreads, strict=True)
    ]
) + rng.normal(0.0, 6.0, (sum(sizes), 2))
truth = np.repeat(np.arange(4), sizes)

# %%
# Intensities go through ``arcsinh``, which is linear near zero, where noise makes values negative, and a
# logarithm above.

X = np.arcsinh(cells / 15.0)
sweep = GaussianMixtureSweep(range(2, 13), covariance_type="full", random_state=0).fit(X)
mixture = sweep.best_estimator_
print(f"{mixture.n_components} components by BIC, for 4 populations")

# %%
# ``merge`` joins components that share cells, pair by pair, so that the entropy of assignments falls most,
# and suggests where to stop.

merges = mixture.merge(X)
print("suggested:", merges.n_clusters, "clusters")
populations = np.asarray(merges.predict(X, 4))
for k in range(4):
    counts = np.bincount(truth[populations == k], minlength=4)
    share = counts.max() / counts.sum()
    print(f"cluster {k}: {counts.sum():5d} cells, {share:.1%} of them {names[counts.argmax()]}")

figure, axes = plt.subplots(1, 3, figsize=(13, 4.6), layout="constrained")
plot_mixture(mixture, X, (0, 1), ax=axes[0])
axes[0].set_title(f"{mixture.n_components} components")
axes[1].plot(np.arange(1, len(merges.entropies) + 1), merges.entropies, color="#0072B2", marker="o")
axes[1].set(xlabel="clusters", ylabel="entropy of assignments [nats a cell]", title="what merging gains")
for k, (colour, marker) in enumerate(zip(("#0072B2", "#D55E00", "#009E73", "#CC79A7"), "osv^", strict=True)):
    own = populations == k
    axes[2].scatter(*X[own].T, s=4, color=colour, marker=marker, linewidths=0, alpha=0.5)
axes[2].set_title("four clusters of components")
for ax in (axes[0], axes[2]):
    ticks = np.array([0.0, 100.0, 1000.0, 10_000.0, 100_000.0])
    ax.set_xticks(np.arcsinh(ticks / 15.0), ["0", "10²", "10³", "10⁴", "10⁵"])
    ax.set_yticks(np.arcsinh(ticks / 15.0), ["0", "10²", "10³", "10⁴", "10⁵"])
    ax.set(xlabel="CD4 [fluorescence]", ylabel="CD8 [fluorescence]")
plt.show()
