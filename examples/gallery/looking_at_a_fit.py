"""
Looking at a fit: which is what, and is it a good one?
======================================================

Four pictures of one mixture: pairs of features, what tells components apart, where assignments are not sure,
and how the density agrees with the rows.
"""

# %%
# 178 wines of three growers, by thirteen measurements, of which five are taken here. The growers are not told
# to the mixture.

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.datasets import load_wine

from dgmm import GaussianMixture
from dgmm.plotting import plot_components, plot_fit, plot_pairs, plot_uncertainty

wine = load_wine(as_frame=True)
rows = wine.data[["alcohol", "flavanoids", "color_intensity", "hue", "proline"]]
mixture = GaussianMixture(3, n_init=10, reg_covar=1e-4, random_state=0).fit(rows).sorted("weight")
print(pd.crosstab(wine.target.rename("grower"), pd.Series(mixture.predict(rows), name="component")))

# %%
# Pairs of features, rows in the colour of the component that they most likely are of:

plot_pairs(mixture, rows, ["alcohol", "flavanoids", "color_intensity", "proline"])
plt.show()

# %%
# What each component stands out by: its means, in standard deviations of all rows.

figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.4), layout="constrained")
plot_components(mixture, rows, ax=left)
plot_uncertainty(mixture, rows, ["flavanoids", "color_intensity"], ax=right)
plt.show()

# %%
# Is it a good fit? Above, histograms with the density of the mixture; below, quantiles of the rows against
# those of the mixture, which agree on the line. The last column is of all features together.

plot_fit(mixture, rows, ["alcohol", "flavanoids", "proline"])
plt.show()
