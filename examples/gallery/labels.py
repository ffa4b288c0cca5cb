"""
A few labels: components that are what an expert says
=====================================================

Clusters are what rows have in common, which need not be what is asked for. Labels of a few rows say which
component is which, and where the border lies that rows alone do not show.
"""

# %%
# Two kinds of cells overlap in size and brightness, and a third lies apart. An expert has named fifteen
# cells of each of the first two; −1 is a cell that nobody has looked at.

import matplotlib.pyplot as plt
import numpy as np

from dgmm import GaussianMixture
from dgmm.plotting import plot_mixture

rng = np.random.default_rng(2)
truth = np.repeat([0, 1, 2], [700, 300, 200])
means = np.array([[10.0, 2.0], [11.6, 2.4], [11.0, 6.0]])
cells = means[truth] + rng.normal(size=(1200, 2)) @ [[1.2, 0.3], [0.0, 0.6]]
labels = np.full(len(cells), -1)
for kind in (0, 1):
    named = rng.choice(np.flatnonzero(truth == kind), 15, replace=False)
    labels[named] = kind

# %%
# Without labels the numbers of components mean nothing, and are put in order by hand. With them, component
# 0 is kind 0, and the one that no label has is found as clusters are.

free = GaussianMixture(3, n_init=5, random_state=0).fit(cells)
order = [int(np.linalg.norm(free.means_ - mean, axis=1).argmin()) for mean in means]
fits = {
    "rows alone": free.sorted(order) if sorted(order) == [0, 1, 2] else free,
    "with 30 labels": GaussianMixture(3, random_state=0).fit(cells, labels=labels),
}
colours = ("#0072B2", "#D55E00", "#009E73")
figure, axes = plt.subplots(1, 2, figsize=(11, 4.8), sharex=True, sharey=True, layout="constrained")
for ax, (name, mixture) in zip(axes, fits.items(), strict=True):
    right = np.mean(mixture.predict(cells) == truth)
    error = np.abs(mixture.means_ - means).max()
    print(f"{name}: {right:.1%} of the cells are right, means are off by {error:.2f} at most")
    ax.scatter(*cells.T, s=5, color="0.7", linewidths=0)
    for kind, marker in ((0, "o"), (1, "s")):
        ax.scatter(*cells[labels == kind].T, s=32, color=colours[kind], marker=marker, edgecolors="white")
    plot_mixture(mixture, features=(0, 1), ax=ax, colors=colours)
    ax.set(title=f"{name}: {right:.1%} right", xlabel="size [µm]", ylabel="")
axes[0].set_ylabel("brightness")
plt.show()

# %%
# Labels are believed: a wrong one moves its component. Where an expert is not sure, rows take probabilities
# of components instead, one for each.

doubtful = np.ones((len(cells), 3))
for kind in (0, 1):
    doubtful[labels == kind] = 0.1
    doubtful[labels == kind, kind] = 0.8
mixture = GaussianMixture(3, random_state=0).fit(cells, labels=doubtful)
print(f"labels that are right in four of five: {mixture.converged_=}, {mixture.n_iter_} iterations")
