"""The first minute: seconds to import, and to fit few rows first and again, beside scikit-learn.

Each figure is of fresh processes, whose bytecode is there, as it is of all that pip installs: with nothing
kept of compiled functions (a fresh NUMBA_CACHE_DIR), and with what a process before has kept. Imports take
turns, and are told in process time, of which other work on the machine is no part. So is what a first fit of
1,000 × 2 rows takes, of every kind, least of ``--repeats`` processes; with nothing kept none loads Numba.

    python benchmarks/first_minute.py [--repeats 3] [--rows 1000 20000 200000] [--kinds-alone]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

IMPORT = (
    "import time; a = time.process_time(); import {0}; {0}.GaussianMixture; print(time.process_time() - a)"
)
FIT = """
import time, warnings
import numpy as np
warnings.simplefilter("ignore")
from {module} import GaussianMixture
draw = np.random.default_rng(0)
centres = draw.normal(size=({components}, {features})) * 3
rows = centres[draw.integers({components}, size={rows})] + draw.normal(size=({rows}, {features}))
for _ in range(2):
    begun = time.perf_counter()
    GaussianMixture({components}, random_state=0).fit(rows).predict(rows)
    print(time.perf_counter() - begun)
"""

FIRST = """
import sys, time, warnings
import numpy as np
warnings.simplefilter("ignore")
from {module} import {name}
draw = np.random.default_rng(0)
centres = draw.normal(size=(3, 2)) * 3
groups = draw.integers(3, size=1000)
rows = centres[groups] + draw.normal(size=(1000, 2))
lacking = np.where(draw.random(rows.shape) < 0.1, np.nan, rows)
begun = time.process_time()
{fit}
print(time.process_time() - begun)
print(float("numba" in sys.modules))
"""

OURS, THEIRS = "dgmm", "sklearn.mixture"
FAMILIES = ("full", "diag", "spherical", "tied")
KINDS = {
    **{
        each: [
            (module, "GaussianMixture", f"(3, covariance_type={each!r}, random_state=0).fit(rows)")
            for module in (OURS, THEIRS)
        ]
        for each in FAMILIES
    },
    "Bayesian": [
        (module, "BayesianGaussianMixture", "(n_components=3, random_state=0).fit(rows)")
        for module in (OURS, THEIRS)
    ],
    "weights": [
        (OURS, "GaussianMixture", "(3, random_state=0).fit(rows, sample_weight=1.0 + rows[:, 0] ** 2)")
    ],
    "groups": [(OURS, "GaussianMixture", "(3, random_state=0).fit(rows, groups=groups)")],
    "errors": [(OURS, "GaussianMixture", "(3, random_state=0).fit(rows, errors=np.full(rows.shape, 0.1))")],
    "NaN": [(OURS, "GaussianMixture", "(3, missing='marginalize', random_state=0).fit(lacking)")],
    "sweep 1..4": [(OURS, "GaussianMixtureSweep", "(range(1, 5), random_state=0).fit(rows)")],
    "imputer": [(OURS, "MixtureImputer", "(random_state=0).fit_transform(lacking)")],
    "outliers": [(OURS, "MixtureOutlierDetector", "(random_state=0).fit(rows).predict(rows)")],
}
"""Fits of each kind: module, class and what is done with it, ours and, where there is one, scikit-learn's."""

BYTECODE = str(Path(tempfile.gettempdir(), "dgmm-first-minute"))
"""Where these processes keep bytecode, whatever the environment says of it."""


def seconds_of(code: str, cache: str) -> list[float]:
    """Run code in a process of its own, and give the seconds that it prints."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": cache, "PYTHONPYCACHEPREFIX": BYTECODE}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    return [float(line) for line in done.stdout.split()]


def imports(repeats: int) -> Iterator[str]:
    """Yield the seconds of imports, in text."""
    found: dict[str, list[float]] = {"sklearn.mixture": [], "dgmm": []}
    for _ in range(repeats + 1):
        for module, taken in found.items():
            taken.extend(seconds_of(IMPORT.format(module), ""))
    theirs, ours = (median(taken[1:]) for taken in found.values())  # the first ones write bytecode
    more = f"dgmm {ours - theirs:.2f} s more ({ours / theirs:.2f} of scikit-learn's)"
    yield f"import: scikit-learn {theirs:.2f} s, {more}"


def fits(rows: int, features: int, components: int, repeats: int) -> Iterator[str]:
    """Yield the seconds of a first fit and of the next one, in text."""
    own = {"rows": rows, "features": features, "components": components}
    theirs = [seconds_of(FIT.format(module="sklearn.mixture", **own), "") for _ in range(repeats)]
    first, again = (median(each[index] for each in theirs) for index in (0, 1))
    yield f"{rows:,} x {features}, {components} components: scikit-learn {first:.3f} s, again {again:.3f} s"
    for what in ("nothing kept", "kept"):
        ours = []
        for _ in range(repeats):
            with tempfile.TemporaryDirectory() as cache:
                if what == "kept":
                    seconds_of(FIT.format(module="dgmm", **own), cache)
                ours.append(seconds_of(FIT.format(module="dgmm", **own), cache))
        mine, once_more = (median(each[index] for each in ours) for index in (0, 1))
        ratios = f"{mine / first:.2f} and {once_more / again:.2f} of scikit-learn's"
        yield f"    dgmm, {what}: {mine:.3f} s, again {once_more:.3f} s: {ratios}"


def kinds(repeats: int) -> Iterator[str]:
    """Yield what first fits of each kind take, in text."""
    for kind, ways in KINDS.items():
        least = []
        for module, name, fit in ways:
            code = FIRST.format(module=module, name=name, fit=name + fit)
            least.append(min(seconds_of(code, "")[0] for _ in range(repeats)))
        said = f" beside {least[1]:.3f} s: {least[0] / least[1]:.2f}" if len(least) > 1 else ""
        module, name, fit = ways[0]
        with tempfile.TemporaryDirectory() as cache:
            bare, loads = seconds_of(FIRST.format(module=module, name=name, fit=name + fit), cache)
        yield f"first {kind}: {least[0]:.3f} s{said}; nothing kept {bare:.3f} s{', loads Numba' * int(loads)}"


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description="The first minute, beside scikit-learn")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--rows", type=int, nargs="+", default=[1000, 20_000, 200_000])
    parser.add_argument("--kinds-alone", action="store_true", help="first fits of each kind alone")
    given = parser.parse_args()
    for line in kinds(given.repeats):
        print(line, flush=True)
    if given.kinds_alone:
        return
    for line in imports(given.repeats):
        print(line, flush=True)
    for rows in given.rows:
        for features, components in ((2, 3), (10, 5), (5, 10)):
            for line in fits(rows, features, components, given.repeats):
                print(line, flush=True)


if __name__ == "__main__":
    main()
