"""
Filling gaps: the mean, a draw, or the most likely value
========================================================

What a row lacks has a distribution, given what it has. Which value to fill in depends on what the filled
rows are for.
"""

# %%
# Two branches: where ``x`` is known, ``y`` is one of two things.

import matplotlib.pyplot as plt
import numpy as np

from dgmm import GaussianMixture

rng = np.random.default_rng(0)
x = rng.uniform(-2.0, 2.0, 1200)
branch = np.where(rng.random(1200) < 0.65, 1.0, -1.0)
whole = np.column_stack([x, branch * (1.0 + 0.4 * x**2) + rng.normal(0.0, 0.2, 1200)])
holes = whole.copy()
is_hidden = rng.random(1200) < 0.3
holes[is_hidden, 1] = np.nan

# %%
# ``missing="marginalize"`` fits all rows, those with gaps too.

mixture = GaussianMixture(6, missing="marginalize", random_state=0).fit(holes)
filled = {method: mixture.impute(holes, method, random_state=0) for method in ("mean", "sample", "mode")}

figure, axes = plt.subplots(1, 3, figsize=(13, 4.3), sharex=True, sharey=True, layout="constrained")
for ax, (method, rows) in zip(axes, filled.items(), strict=True):
    ax.scatter(*whole[~is_hidden].T, s=4, color="0.75", linewidths=0, label="observed")
    ax.scatter(*rows[is_hidden].T, s=8, color="#D55E00", linewidths=0, label="filled in")
    ax.set(title=f'method="{method}"', xlabel="x")
axes[0].set_ylabel("y")
axes[0].legend(loc="upper center", ncols=2)
plt.show()

# %%
# The mean has the least squared error, and lies where no row is. Draws have the distribution of what is
# missing: their standard deviation is that of the hidden values. The mode is the likeliest value, always of
# the heavier branch.

truth = whole[is_hidden, 1]
print(f"hidden values: standard deviation {truth.std():.2f}")
for method, rows in filled.items():
    values = rows[is_hidden, 1]
    error = np.sqrt(np.mean((values - truth) ** 2))
    print(f"{method:>6}: standard deviation {values.std():.2f}, root mean squared error {error:.2f}")
