"""
Ocean profiles: water masses and their place
============================================

Profiles of temperature and salinity are rows of many features: one for each level of depth. A mixture after
principal components finds kinds of profiles, and the map shows where they are. The profiles are drawn, from
three regimes of an ocean basin that does not exist.
"""

# %%
# Warm and salty subtropical water, cold and fresh subpolar water, and the front between them:

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from sklearn.pipeline import make_pipeline

from dgmm import PCA, GaussianMixture, open_dataset

rng = np.random.default_rng(0)
n_profiles = 3000
depth = np.arange(10.0, 1000.0, 30.0)
longitude, latitude = rng.uniform(-70, -10, n_profiles), rng.uniform(20, 60, n_profiles)
front = 42.0 + 4.0 * np.sin(np.radians(6.0 * longitude))  # the latitude where waters meet
north = 1.0 / (1.0 + np.exp(-(latitude - front + rng.normal(0.0, 1.0, n_profiles)) / 1.2))
surface, bottom = 24.0 - 16.0 * north, 6.0 - 3.0 * north
thermocline = 350.0 - 200.0 * north + rng.normal(0.0, 25.0, n_profiles)
fall = 1.0 / (1.0 + np.exp((depth[None, :] - thermocline[:, None]) / 120.0))
temperature = (
    bottom[:, None] + (surface - bottom)[:, None] * fall + rng.normal(0, 0.25, (n_profiles, len(depth)))
)
salinity = 34.9 + (1.6 - 2.2 * north)[:, None] * fall + rng.normal(0, 0.04, (n_profiles, len(depth)))
profiles = xr.Dataset(
    {"TEMP": (("N_PROF", "DEPTH"), temperature), "PSAL": (("N_PROF", "DEPTH"), salinity)},
    coords={"DEPTH": depth, "LATITUDE": ("N_PROF", latitude), "LONGITUDE": ("N_PROF", longitude)},
)

# %%
# ``sample_dims`` says what numbers the rows: each profile is one, of 66 features. They are standardized
# level by level, so that degrees and units of salinity count alike.

standardized = (profiles - profiles.mean("N_PROF")) / profiles.std("N_PROF")
rows = open_dataset(standardized, columns=["TEMP", "PSAL"], sample_dims=["N_PROF"])
print(f"{rows.n_rows} profiles of {rows.n_features} features: {', '.join(rows.feature_names[:2])}, ...")
pipeline = make_pipeline(PCA(0.95), GaussianMixture(3, n_init=5, random_state=0)).fit(rows)
print(f"{pipeline[0].n_components_} principal components")

# %%
# Labels are numbered from the south to the north, and drawn where the profiles are.

labels, probability = np.asarray(pipeline.predict(rows)), np.asarray(pipeline.predict_proba(rows))
order = np.argsort([latitude[labels == k].mean() for k in range(3)])
names = ("subtropical", "front", "subpolar")
colours = ("#D55E00", "#CC79A7", "#0072B2")
figure, (where, warm, salty) = plt.subplots(
    1, 3, figsize=(13, 4.8), layout="constrained", width_ratios=(1.4, 1, 1)
)
for k, name, colour in zip(order, names, colours, strict=True):
    own = labels == k
    where.scatter(longitude[own], latitude[own], s=5, color=colour, linewidths=0, label=name)
    for ax, values in ((warm, temperature), (salty, salinity)):
        low, middle, high = np.quantile(values[own], [0.1, 0.5, 0.9], axis=0)
        ax.fill_betweenx(depth, low, high, color=colour, alpha=0.25, linewidth=0)
        ax.plot(middle, depth, color=colour)
where.set(xlabel="longitude [°E]", ylabel="latitude [°N]", title="kind of each profile")
where.legend(markerscale=3, loc="lower left")
warm.set(xlabel="temperature [°C]", ylabel="depth [m]", title="median, 10% and 90%", ylim=(1000, 0))
salty.set(xlabel="salinity", title="the same of salinity", ylim=(1000, 0))
plt.show()

# %%
# Nothing was said of places to the mixture: that the kinds lie beside each other is what it found.

for k, name in zip(order, names, strict=True):
    own = labels == k
    near = np.mean(np.abs(latitude[own] - front[own]) < 3.0)
    sure = np.mean(probability[own, k] > 0.95)
    print(f"{name:>11}: {own.mean():.0%} of the profiles, {near:.0%} within 3° of the front, {sure:.0%} sure")
