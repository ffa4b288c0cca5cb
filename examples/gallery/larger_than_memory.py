"""
Larger than memory: what each pass gives
========================================

The rows lie in a Zarr array, and are read a few chunks at a time. The array here is small, so that the page
builds in seconds; ``sample_rows`` is made smaller with it, and everything happens as it does with billions
of rows.
"""

# %%
# Rows are written chunk by chunk, from a mixture of five components:

import tempfile
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import zarr

from dgmm import GaussianMixture

rng = np.random.default_rng(0)
means = rng.uniform(-3.0, 3.0, (5, 4))
folder = tempfile.TemporaryDirectory()
path = str(Path(folder.name, "rows.zarr"))
rows = zarr.create_array(path, shape=(100_000, 4), chunks=(10_000, 4), dtype="float32")
for start in range(0, rows.shape[0], 10_000):
    component = rng.integers(0, 5, 10_000)
    rows[start : start + 10_000] = means[component] + rng.standard_normal((10_000, 4)) * (
        0.8 + 0.15 * component[:, None]
    )

# %%
# Plain EM makes one pass for each step; corrected EM makes many steps on a sample between two passes, and
# each pass is the test of these. Both from the same start:

start = GaussianMixture(5, max_iter=1, algorithm="em", init_params="kmeans", sample_rows=2000, random_state=3)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # one step does not converge
    start.fit(path)
given = {"weights_init": start.weights_, "means_init": start.means_, "precisions_init": start.precisions_}
fits = {
    "plain EM": GaussianMixture(5, algorithm="em", tol=1e-6, max_iter=150, sample_rows=5_000, **given),
    "corrected EM": GaussianMixture(5, algorithm="corrected", sample_rows=5_000, random_state=0, **given),
}
for name, mixture in fits.items():
    mixture.fit(path)
    print(f"{name}: {mixture.n_passes_} passes, {mixture.score(path):.5f} nats a row. {mixture.stop_reason_}")

# %%
# ``predict`` of a path is lazy: labels are computed when they are asked for, and only those that are.

mixture = fits["corrected EM"]
labels = mixture.predict(path)
print(labels)
shares = np.bincount(np.asarray(labels), minlength=5) / rows.shape[0]

# %%
# How far each pass was from the best that was reached, and how many rows each component has:

limit = max(max(fitted.history_["log_likelihood"]) for fitted in fits.values())
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
for (name, fitted), colour, marker in zip(fits.items(), ("#D55E00", "#0072B2"), "so", strict=True):
    behind = limit - np.array(fitted.history_["log_likelihood"])
    left.semilogy(
        1 + np.arange(len(behind)), np.maximum(behind, 1e-8), color=colour, marker=marker, label=name
    )
left.set(
    xlabel="pass", ylabel="below the best [nats a row]", title="log-likelihood of all rows", ylim=(5e-9, 1)
)
left.legend()
right.bar(np.arange(5) - 0.2, shares, width=0.4, color="#56B4E9", label="of labels")
right.bar(np.arange(5) + 0.2, mixture.weights_, width=0.4, color="#0072B2", label="weights")
right.set(xlabel="component", ylabel="share of the rows", title="rows of each component", xticks=range(5))
right.legend(loc="lower right")
plt.show()
folder.cleanup()
