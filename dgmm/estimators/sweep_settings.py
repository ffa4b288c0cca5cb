"""From the parameters of a sweep to its settings: which models are fitted, and how."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral
from typing import TYPE_CHECKING, Any

from sklearn.utils import check_random_state

from dgmm.fitting.settings import Settings, default_sample_rows
from dgmm.fitting.starts.methods import GivenStart, StartMethod
from dgmm.fitting.steps.objective import Likelihood
from dgmm.fitting.sweep.state import SweepSettings
from dgmm.model.criteria import CRITERIA
from dgmm.model.families import family_named

if TYPE_CHECKING:
    from dgmm.estimators.sweep import GaussianMixtureSweep

HELD_OUT = 0.1
"""Share of the rows that is held out by default, where that is the criterion."""


def models_of(sweep: GaussianMixtureSweep) -> list[tuple[str, int]]:
    """Return the models to fit: covariance type, number of components.

    Raises
    ------
    ValueError
        Where nothing is named; for numbers and covariance types that are none.
    """
    given = sweep.n_components
    numbers = list(given) if isinstance(given, Iterable) else [given]
    families = [sweep.covariance_type] if isinstance(sweep.covariance_type, str) else sweep.covariance_type
    if not numbers or not len(families):
        raise ValueError("n_components and covariance_type must name at least one value each to try")
    for number in numbers:
        if not isinstance(number, Integral) or number < 1:
            raise ValueError(f"n_components must hold whole numbers of at least 1, not {number!r}")
    for family in families:
        family_named(family)
    return [
        (family, number)
        for family in dict.fromkeys(families)
        for number in sorted({int(number) for number in numbers})  # pyright: ignore[reportArgumentType]
    ]


def settings_of(
    sweep: GaussianMixtureSweep, models: list[tuple[str, int]], n_features: int, n_rows: int, **of_rows: Any
) -> SweepSettings:
    """Return the settings of a sweep over rows.

    Parameters
    ----------
    sweep : GaussianMixtureSweep
    models : list of (str, int)
        As from `models_of`.
    n_features, n_rows : int
        Of the rows.
    **of_rows : Any
        Settings of each model that depend on the rows that are given: see `dgmm.fitting.settings.Settings`.

    Raises
    ------
    ValueError
        For parameters that do not go together, or not with these rows.
    """
    largest = max(n_components for _, n_components in models)
    sample_rows = (
        max(default_sample_rows(n_features), largest)
        if isinstance(sweep.sample_rows, str)
        else int(sweep.sample_rows)
    )
    if sample_rows < largest:
        raise ValueError(
            f"sample_rows={sample_rows} is less than {largest}, the most components: a start needs at "
            "least a row for each component"
        )
    tol = None if isinstance(sweep.tol, str) else float(sweep.tol)
    if sweep.init_params == "k-means||" and n_rows > sample_rows:
        raise ValueError(
            "init_params='k-means||' takes passes of its own for every model; a sweep over more than "
            f"sample_rows={sample_rows} rows finds starts on a sample"
        )
    criterion, held_out = CRITERIA[sweep.criterion], sweep.held_out
    if isinstance(held_out, str):
        held_out = HELD_OUT if criterion.needs_held_out else 0.0
    if criterion.needs_held_out and held_out == 0.0:
        raise ValueError(
            f"criterion={sweep.criterion!r} needs rows to be held out: give held_out more than 0"
        )
    seed = sweep.random_state
    if not isinstance(seed, Integral):
        seed = check_random_state(seed).randint(2**31 - 1)
    objective = Likelihood(sweep.reg_covar)
    return SweepSettings(
        tuple(
            Settings(
                StartMethod(sweep.init_params, family_named(family), n_components, objective),
                GivenStart(),
                sweep.algorithm,
                tol,
                sweep.max_iter,
                sweep.n_init,
                sample_rows,
                objective,
                missing=sweep.missing,
                **of_rows,
            )
            for family, n_components in models
        ),
        criterion,
        sweep.prune,
        float(held_out),
        int(seed),
        int(sweep.n_bootstrap),
    )
