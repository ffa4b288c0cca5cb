"""
Missing values: left out, or taken as they are
==============================================

Rows with gaps are not useless, and leaving them out is not harmless.
"""

# %%
# Patients have a quick test, and a costly one, which is ordered the more often the lower the first. So
# complete rows are no random sample.

import matplotlib.pyplot as plt
import numpy as np

from dgmm import GaussianMixture
from dgmm.plotting import plot_mixture

rng = np.random.default_rng(0)
is_ill = rng.random(3000) < 0.4
means = np.where(is_ill[:, None], [0.0, 2.0], [3.0, 5.0])
whole = means + rng.multivariate_normal([0, 0], [[1.0, 0.7], [0.7, 1.0]], 3000)
X = whole.copy()
X[rng.random(3000) < 1 / (1 + np.exp(-1.2 * (whole[:, 0] - 2.0))), 1] = np.nan
print(f"{np.isnan(X[:, 1]).mean():.0%} of the rows lack the costly test")

# %%
# Three fits: of the complete rows alone, of all rows by what they have, and, as a measure, of the rows
# without gaps, which nobody has.

fits = {
    'missing="drop"': GaussianMixture(2, missing="drop", random_state=0).fit(X),
    'missing="marginalize"': GaussianMixture(2, missing="marginalize", random_state=0).fit(X),
    "without gaps": GaussianMixture(2, random_state=0).fit(whole),
}
figure, axes = plt.subplots(1, 3, figsize=(13, 4.3), sharex=True, sharey=True, layout="constrained")
for ax, (name, mixture) in zip(axes, fits.items(), strict=True):
    ill = mixture.sorted("mean")
    print(f"{name:>21}: {ill.weights_[0]:.1%} ill, means of the costly test {ill.means_[:, 1].round(2)}")
    ax.scatter(*whole[np.isnan(X[:, 1])].T, s=4, color="0.85", linewidths=0, label="costly test not known")
    ax.scatter(*X.T, s=4, color="0.45", linewidths=0, label="complete")
    plot_mixture(ill, features=(0, 1), ax=ax, colors=["#D55E00", "#0072B2"], labels=["ill", "well"])
    ax.set(title=name, xlabel="quick test", ylabel="")
axes[0].set_ylabel("costly test")
axes[0].legend(loc="lower right", fontsize=8)
plt.show()

# %%
# Without the incomplete rows the share of the ill is far too high. With them it is right, although their
# second value is not known: whether it is missing depends on the first value alone, which is. If it
# depended on the missing value itself, no method could tell from these rows.
#
# A row is judged by what it has:

mixture = fits['missing="marginalize"'].sorted("mean")
for row in ([1.5, 1.0], [1.5, np.nan], [np.nan, np.nan]):
    print(row, "ill with probability", mixture.predict_proba([row])[0, 0].round(2))
