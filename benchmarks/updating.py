"""What an update with 1% of the rows takes, and what is lost by it against a fit of everything.

    python benchmarks/updating.py [ROWS] [FOLDER]

A mixture is fitted to ROWS rows of a Zarr array. Then 1% more come: like those, or moved by half a standard
deviation of each feature. They are added by an update; and, to compare, everything is fitted again, from
where the mixture was (``warm_start``) and from nothing. All log-likelihoods are of all rows together, old and
new, under the mixture that came out, less that under the one that does not know the new rows.
"""

from __future__ import annotations

import copy
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from common import make_zarr, print_table, rows_of, synthetic_mixture

import dgmm

N_FEATURES, N_COMPONENTS, SHARE = 8, 16, 100


def timed(function: Callable[[], Any]) -> tuple[Any, float]:
    """Call, and tell how many seconds it took."""
    started = time.perf_counter()
    return function(), time.perf_counter() - started


def main(n_rows: int, folder: Path) -> None:
    """Measure, and print the table."""
    truth = synthetic_mixture(N_COMPONENTS, N_FEATURES)
    old = folder / f"old-{n_rows}.zarr"
    make_zarr(old, truth, n_rows, 50_000)
    settings: dict[str, Any] = {"n_components": N_COMPONENTS, "random_state": 0}
    mixture, seconds_of_fit = timed(lambda: dgmm.GaussianMixture(**settings).fit(str(old)))
    lines = []
    for moved in (0.0, 0.5):
        more = rows_of(truth, n_rows // SHARE, 99)
        more += moved * more.std(axis=0)
        both = folder / f"both-{n_rows}-{moved}.zarr"
        rows = np.concatenate([zarr.open_array(old, mode="r")[:], more])
        zarr.create_array(both, data=rows, chunks=(50_000, N_FEATURES), overwrite=True)
        updated, seconds_of_update = timed(lambda new=more: copy.deepcopy(mixture).update(new))
        back, seconds_of_forgetting = timed(lambda new=more, known=updated: copy.deepcopy(known).forget(new))
        assert np.array_equal(back.means_, mixture.means_)
        warm = copy.deepcopy(mixture).set_params(warm_start=True)
        warm, seconds_of_warm = timed(lambda data=both, begun=warm: begun.fit(str(data)))
        anew, seconds_anew = timed(lambda data=both: dgmm.GaussianMixture(**settings).fit(str(data)))
        before = mixture.score(rows)
        for how, found, seconds in (
            ("update", updated, seconds_of_update),
            ("forget it again", back, seconds_of_forgetting),
            ("fit everything, warm", warm, seconds_of_warm),
            ("fit everything anew", anew, seconds_anew),
        ):
            gained, gained_new = found.score(rows) - before, found.score(more) - mixture.score(more)
            name = "as before" if not moved else f"moved by {moved} sd"
            lines.append((name, how, f"{seconds:.3f}", f"{gained:+.6f}", f"{gained_new:+.6f}"))
    print_table(
        f"An update by 1% of {n_rows:,} rows of {N_FEATURES} features, {N_COMPONENTS} components; "
        f"the first fit took {seconds_of_fit:.1f} s",
        ["new rows", "", "seconds", "nats a row, of all", "nats a row, of the new"],
        lines,
    )


if __name__ == "__main__":
    given = Path(sys.argv[2]) if len(sys.argv) > 2 else None
    place = given or Path(tempfile.mkdtemp())
    try:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000, place)
    finally:
        if given is None:
            shutil.rmtree(place)
