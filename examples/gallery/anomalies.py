"""
Anomalies: which rows are odd, and why
======================================

A row is odd where the density of the mixture is low, also if each of its values alone is ordinary.
"""

# %%
# Machines in two states, by their temperature, their pressure, and the vibration that follows from both.
# Twenty rows are wrong: ten have a pressure that does not go with the temperature, ten a sensor of
# vibration that is stuck.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from dgmm import GaussianMixture, MixtureOutlierDetector

rng = np.random.default_rng(3)
is_busy = rng.random(2000) < 0.4
temperature = np.where(is_busy, 78.0, 45.0) + rng.normal(0.0, 3.0, 2000)
pressure = 1.0 + 0.02 * temperature + rng.normal(0.0, 0.05, 2000)
vibration = 0.5 * pressure + 0.01 * temperature + rng.normal(0.0, 0.04, 2000)
idle = np.flatnonzero(~is_busy)
wrong = {"pressure": idle[:10], "vibration": idle[10:20]}
pressure[wrong["pressure"]] += rng.choice([-0.6, 0.6], 10)
vibration[wrong["vibration"]] = 2.05
rows = pd.DataFrame({"temperature": temperature, "pressure": pressure, "vibration": vibration})

# %%
# The detector calls 1% of the rows outliers: those of the lowest density.

detector = MixtureOutlierDetector(GaussianMixture(2, random_state=0), contamination=0.01).fit(rows)
is_outlier = detector.predict(rows) == -1
found = np.flatnonzero(is_outlier)
n_right = np.isin(found, idle[:20]).sum()
print(f"{len(found)} rows are called outliers, {n_right} of the 20 wrong ones are among them")

# %%
# ``explain`` gives each value's surprise given the others, in nats: 7 nats are one in a thousand.

surprise = np.asarray(detector.explain(rows))
blamed = rows.columns[surprise.argmax(axis=1)]
for name, where in wrong.items():
    print(f"wrong {name}: blamed on {pd.Series(blamed[where]).value_counts().to_dict()}")

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
left.scatter(temperature[~is_outlier], pressure[~is_outlier], s=6, color="0.65", linewidths=0, label="others")
for name, colour, marker in (
    ("pressure", "#D55E00", "^"),
    ("vibration", "#0072B2", "s"),
    ("temperature", "#009E73", "o"),
):
    own = is_outlier & (blamed == name)
    label = f"outlier by {name}" if own.any() else None
    left.scatter(temperature[own], pressure[own], s=45, color=colour, marker=marker, label=label)
left.set(xlabel="temperature [°C]", ylabel="pressure [bar]", title="rows of the lowest density")
left.legend()
image = right.imshow(surprise[idle[:20]], aspect="auto", cmap="cividis")
right.set(
    xticks=range(3),
    xticklabels=rows.columns,
    ylabel="wrong row",
    title="surprise of each value",
    yticks=range(0, 20, 2),
)
figure.colorbar(image, ax=right, label="nats")
plt.show()

# %%
# The stuck sensor shows in no range check: 2.05 is what busy machines have. And outliers by vibration look
# ordinary on the left, where vibration is not drawn.
