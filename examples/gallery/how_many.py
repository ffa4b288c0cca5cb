"""
How many components? The curves of AIC and BIC
==============================================

More components always fit better. AIC and BIC charge for each parameter; BIC charges more, the more rows
there are.
"""

# %%
# Four clusters, of which two are close to each other:

import matplotlib.pyplot as plt
import numpy as np

from dgmm import GaussianMixtureSweep
from dgmm.plotting import plot_criteria, plot_mixture

rng = np.random.default_rng(0)
means = np.array([[-6.0, 0.0], [0.0, 6.0], [6.0, 0.0], [6.5, -3.4]])
component = rng.choice(4, size=2000, p=[0.3, 0.3, 0.25, 0.15])
X = means[component] + rng.normal(size=(2000, 2)) * [1.2, 0.8]

# %%
# One sweep fits all numbers from 1 to 9 with four covariance types: 36 models.

sweep = GaussianMixtureSweep(range(1, 10), random_state=0).fit(X)
print(sweep.best_params_)
for sentence in sweep.advice_:
    print("-", sentence)

# %%
# The star is the best. AIC, on the right, charges less, and its curve is flat beyond the truth.

figure, axes = plt.subplots(1, 3, figsize=(13, 4.2), layout="constrained")
plot_criteria(sweep, "bic", ax=axes[0])
axes[0].set_title("BIC: lower is better")
plot_criteria(sweep, "aic", ax=axes[1], legend=False)
axes[1].set_title("AIC")
plot_mixture(sweep.best_estimator_, X, (0, 1), ax=axes[2])
axes[2].set(title="the mixture of the lowest BIC", xlabel="first feature", ylabel="second feature")
plt.show()

# %%
# What the models that come next would lose, in units of BIC. A difference of 10 is strong evidence, one of
# 2 is none:

table = sweep.results_
for index in np.argsort(table["bic"])[:5]:
    behind = table["bic"][index] - table["bic"].min()
    print(f"{table['n_components'][index]:2d} {table['covariance_type'][index]:>10}: {behind:6.1f} behind")
