"""One EM iteration by oneDAL, for `onedal.py`: runs in an environment of its own.

Each line that comes in is a folder with ``rows``, ``weights``, ``means`` and ``covariances`` as ``.npy``.
What goes out is a line of JSON: the process time of an iteration, seconds, and its log-likelihood; the new
parameters are written to the folder.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import daal4py  # pyright: ignore[reportMissingImports]
import numpy as np


def serve() -> None:
    """Answer lines until there are no more."""
    daal4py.daalinit(1)  # threads
    place, rows = Path(), np.empty((0, 0))
    for line in sys.stdin:
        folder = Path(line.strip())
        if folder != place:
            place, rows = folder, np.load(folder / "rows.npy")
        weights, means, covariances = (
            np.load(folder / f"{name}.npy") for name in ("weights", "means", "covariances")
        )
        storage = "full" if covariances.ndim == 3 else "diagonal"
        step = daal4py.em_gmm(
            nComponents=len(means),
            maxIterations=1,
            accuracyThreshold=0.0,
            regularizationFactor=0.0,
            covarianceStorage=storage,
        )
        start = weights[None, :], means, [np.atleast_2d(each) for each in covariances]
        started = time.process_time()
        found = step.compute(rows, *start)
        seconds = time.process_time() - started
        np.save(folder / "new_weights.npy", found.weights[0])
        np.save(folder / "new_means.npy", found.means)
        np.save(folder / "new_covariances.npy", np.reshape(np.stack(found.covariances), covariances.shape))
        print(json.dumps([seconds, float(found.goalFunction.item())]), flush=True)


if __name__ == "__main__":
    serve()
