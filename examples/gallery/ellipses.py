"""
Ellipses, not circles: a mixture against k-means
================================================

k-means gives every row to the nearest centre, which cuts long clusters apart. The components of a mixture
have a shape and a size of their own.
"""

# %%
# Three clusters that are drawn round, and then stretched, all in the same direction:

import matplotlib.pyplot as plt
import numpy as np
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from dgmm import GaussianMixture
from dgmm.plotting import plot_mixture

rng = np.random.default_rng(0)
truth = np.repeat([0, 1, 2], 400)
centres = np.array([[0.0, 0.0], [5.0, 0.0], [2.5, 5.0]])
X = (centres[truth] + rng.standard_normal((len(truth), 2))) @ [[0.6, -0.65], [-0.4, 0.85]]

# %%
# Both get the number of clusters, and nothing else.

by_means = KMeans(3, n_init=10, random_state=0).fit(X)
mixture = GaussianMixture(3, random_state=0).fit(X).sorted("mean")
labels = {"k-means": by_means.labels_, "Gaussian components": mixture.predict(X)}

colours = np.array(["#0072B2", "#E69F00", "#009E73"])
markers = ("o", "s", "^")
figure, axes = plt.subplots(1, 2, figsize=(10, 4.6), sharex=True, sharey=True, layout="constrained")
for ax, (name, found) in zip(axes, labels.items(), strict=True):
    order = np.argsort([X[found == k, 0].mean() for k in range(3)])
    for place, k in enumerate(order):
        ax.scatter(
            *X[found == k].T, s=9, alpha=0.45, color=colours[place], marker=markers[place], linewidths=0
        )
    agreement = adjusted_rand_score(truth, found)
    ax.set(title=f"{name}: adjusted Rand index {agreement:.2f}", xlabel="first feature")
axes[0].scatter(*by_means.cluster_centers_.T, s=150, c="black", marker="+", linewidths=2)
axes[0].set_ylabel("second feature")
plot_mixture(mixture, features=(0, 1), ax=axes[1], colors=colours)
axes[1].set(xlabel="first feature", ylabel="")
plt.show()

# %%
# The index is 1 where a clustering is that from which the rows were drawn, and about 0 where it has nothing
# to do with it. Beside labels a mixture gives probabilities. Of the rows that it is sure of, nearly all are
# right:

probability = mixture.predict_proba(X).max(axis=1)
right = (
    labels["Gaussian components"]
    == np.argsort(np.argsort([X[truth == k, 0].mean() for k in range(3)]))[truth]
)
for low, high in ((0.0, 0.9), (0.9, 0.99), (0.99, 1.01)):
    own = (probability >= low) & (probability < high)
    print(f"probability from {low:.2f} on: {own.sum():5d} rows, {right[own].mean():.1%} right")
