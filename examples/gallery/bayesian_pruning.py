"""
Components that empty themselves: variational Bayes
===================================================

Offer more components than are needed, and let the posterior leave those empty that the rows do not ask for.
"""

# %%
# Three clusters, and ten components to describe them:

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.exceptions import ConvergenceWarning

from dgmm import BayesianGaussianMixture
from dgmm.plotting import plot_mixture

rng = np.random.default_rng(0)
means = np.array([[0.0, 0.0], [4.0, 1.0], [1.5, 4.5]])
widths = np.array([[1.0, 0.6], [0.7, 0.7], [1.3, 0.4]])
component = rng.choice(3, size=20_000, p=[0.5, 0.3, 0.2])
X = means[component] + widths[component] * rng.standard_normal((20_000, 2))

# %%
# The updates of variational Bayes alone empty components slowly, and the slower the more rows there are:
# three hundred are not enough here. With ``moves=True`` components are also merged and deleted, whenever
# that raises the bound of the evidence.

fits = {}
for moves in (False, True):
    found = BayesianGaussianMixture(
        n_components=10, weight_concentration_prior=0.01, moves=moves, max_iter=300, random_state=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fits[moves] = found.fit(X)
    print(f"moves={moves}: {found.effective_components_} components have rows, elbo {found.elbo_:.0f} nats")
    print("  ", found.stop_reason_)

# %%
# The bound is higher where fewer components do the same work.

figure, axes = plt.subplots(2, 2, figsize=(10, 7), layout="constrained", height_ratios=(2, 1))
for column, (moves, found) in enumerate(fits.items()):
    top, bottom = axes[:, column]
    top.scatter(*X[:2000].T, s=3, color="0.7", linewidths=0)
    plot_mixture(found, features=(0, 1), ax=top)
    top.set(title=f"moves={moves}", xlabel="first feature", ylabel="second feature")
    bottom.bar(np.arange(1, 11), np.sort(found.weights_)[::-1], color="#0072B2")
    bottom.set(xlabel="component, the heaviest first", ylabel="weight", ylim=(0, 0.55), xticks=range(1, 11))
plt.show()

# %%
# The posterior also says how sure it is of the means: their standard deviations are those of a mean of so
# many rows.

found = fits[True].sorted("weight")
rows_of = found.weights_[:3] * len(X)
for k in range(3):
    error = np.sqrt(np.diag(found.covariances_[k]) / found.mean_precision_[k])
    print(f"component {k}, about {rows_of[k]:.0f} rows: mean {found.means_[k].round(2)} ± {error.round(3)}")
