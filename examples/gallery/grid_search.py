"""
Grid search: scikit-learn's, and a sweep in its place
=====================================================

A mixture is an estimator of scikit-learn, so that ``GridSearchCV`` chooses its parameters by the log
density of left-out rows. A sweep does it in shared passes, and knows criteria that need no rows left out.
"""

# %%
# Three clusters of a common shape:

import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import GridSearchCV

from dgmm import GaussianMixture, GaussianMixtureSweep

rng = np.random.default_rng(0)
centres = np.array([[0.0, 0.0], [5.0, 0.0], [0.0, 5.0]])
X = np.concatenate([rng.standard_normal((400, 2)) @ [[1.0, 0.6], [0.0, 0.5]] + centre for centre in centres])
X = rng.permutation(X)
covariances = ["full", "tied", "diag", "spherical"]

# %%
# ``score`` is the mean log density, in nats a row: the score that ``GridSearchCV`` takes by default.

start = time.perf_counter()
search = GridSearchCV(
    GaussianMixture(random_state=0),
    {"n_components": range(1, 7), "covariance_type": covariances},
    cv=5,
).fit(X)
print(f"GridSearchCV: {search.best_params_}, {time.perf_counter() - start:.1f} s, 120 fits")

# %%
# The sweep, by BIC and by held-out rows:

sweeps = {}
for criterion in ("bic", "held-out"):
    start = time.perf_counter()
    sweeps[criterion] = GaussianMixtureSweep(
        range(1, 7), covariance_type=covariances, criterion=criterion, random_state=0
    ).fit(X)
    print(f"sweep by {criterion}: {sweeps[criterion].best_params_}, {time.perf_counter() - start:.1f} s")

# %%
# Held-out scores have standard errors. Where curves are within these, left-out rows do not tell models
# apart; BIC takes the one with the fewest parameters.

figure, axes = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
colours = dict(zip(covariances, ("#0072B2", "#D55E00", "#009E73", "#CC79A7"), strict=True))
marks = dict(zip(covariances, "osv^", strict=True))
table = search.cv_results_
for covariance in covariances:
    own = table["param_covariance_type"].astype(str) == covariance
    counts = table["param_n_components"][own].astype(int)
    style = {"color": colours[covariance], "marker": marks[covariance], "label": covariance}
    errors = table["std_test_score"][own] / np.sqrt(5)
    axes[0].errorbar(counts, table["mean_test_score"][own], errors, capsize=2, **style)
    results = sweeps["bic"].results_
    own = results["covariance_type"] == covariance
    axes[1].plot(results["n_components"][own], results["bic"][own], **style)
axes[0].set(
    xlabel="components", ylabel="log density of left-out rows [nats a row]", title="GridSearchCV, five folds"
)
axes[1].set(xlabel="components", ylabel="BIC", title="sweep: lower is better")
axes[0].legend(title="covariances")
plt.show()
