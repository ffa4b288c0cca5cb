"""How sure a fitted mixture is of its parameters: standard errors and confidence intervals, in one pass."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from dgmm.data import DataError, Source
from dgmm.data.telling import tell
from dgmm.estimators.base import MixtureWarning
from dgmm.estimators.errors import MeasuredRows
from dgmm.estimators.rowwise import JUDGE_THEM
from dgmm.estimators.validation import check_counted
from dgmm.fitting.dropping import is_complete
from dgmm.fitting.errors import check_errors
from dgmm.fitting.survey import NotFinite, check_weights
from dgmm.kernels.scores import sum_scores
from dgmm.model.information import Kind, Layout, ScoreSums, uncertainty
from dgmm.model.matrices import Array
from dgmm.model.parameters import Parameters
from dgmm.passes.adapted import FeaturesAlone
from dgmm.passes.run import run_pass
from dgmm.passes.task import ChunkRows
from dgmm.passes.threads import n_threads

KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class CertaintyTuning:
    """What standard errors may take, and when they are doubted.

    Attributes
    ----------
    copies : int
        Matrices of all parameters by all parameters that are alive at once, beside two for each thread: eight
        results that are added up, and the next eight; at the end as many serve to invert one.
    unquestioned_bytes : int
        Bytes that are always there.
    share : float
        Of this machine's memory that they may take.
    far : float
        Standard errors from the maximum of the likelihood from which on a warning says so. At half of one,
        intervals of 95% have 92%.
    """

    copies: int = 16
    unquestioned_bytes: int = 2**28
    share: float = 0.8
    far: float = 0.5


CERTAINTY = CertaintyTuning()


@dataclass(frozen=True, eq=False)
class Intervals:
    """Confidence intervals of a mixture's parameters: the last axis has the lower and the upper end.

    Attributes
    ----------
    level : float
    weights : ndarray of shape (n_components, 2)
    means : ndarray of shape (n_components, n_features, 2)
    covariances : ndarray
        As the mixture's, with an axis more.
    """

    level: float
    weights: Array
    means: Array
    covariances: Array


@dataclass(frozen=True, eq=False)
class StandardErrors:
    """Standard errors of a mixture's parameters, in the units of the parameters.

    Attributes
    ----------
    kind : str
        ``'information'`` or ``'sandwich'``.
    weights : ndarray of shape (n_components,)
    means : ndarray of shape (n_components, n_features)
    covariances : ndarray
        As the mixture's ``covariances_``; of shared ones, one.
    covariance : ndarray of shape (n_parameters, n_parameters)
        Of all estimates together. As weights sum to 1, its rank is one less.
    names : tuple of str
        Of its rows and columns: ``weights[k]``, ``means[k, i]``, ``covariances[k, i, j]``: weights, means,
        then covariances, of each component its diagonal, then what is above, row by row.
    distance : float
        How far the parameters are from the maximum of the likelihood of these rows, in standard errors: near
        0 where the fit has converged. Intervals are about the parameters as they are.
    n_rows : int
    weight : float
        Of the rows: their number, where they have no weights.
    estimates : dgmm.model.parameters.Parameters
        What the standard errors are of.
    """

    kind: str
    weights: Array
    means: Array
    covariances: Array
    covariance: Array
    names: tuple[str, ...]
    distance: float
    n_rows: int
    weight: float
    estimates: Parameters

    def intervals(self, level: float = 0.95) -> Intervals:
        """Give confidence intervals: each has its parameter with this probability, of many rows.

        Of means and covariances between features they are ± so many standard errors. Of weights they are on
        the scale of log(w / (1 − w)), and of variances on that of their logarithms: they do not leave 0 to 1,
        or the positive numbers, and are not quite in the middle.

        Parameters
        ----------
        level : float, default=0.95

        Returns
        -------
        Intervals
        """
        if not 0.0 < level < 1.0:
            raise ValueError(f"level={level!r} must be between 0 and 1, exclusively")
        sides = float(ndtri(0.5 + 0.5 * level)) * np.array([-1.0, 1.0])
        found = self.estimates
        plain = found.covariances[..., None] + sides * self.covariances[..., None]
        is_variance = np.eye(found.n_features, dtype=bool) if found.family.has_products else np.ones(1, bool)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            ratios = np.exp(sides * (self.covariances / found.covariances)[..., None])
            odds = found.weights / (1.0 - found.weights)
            errors = self.weights / (found.weights * (1.0 - found.weights))
            odds = odds[:, None] * np.exp(sides * errors[:, None])
            weights = np.where(found.weights[:, None] < 1.0, odds / (1.0 + odds), 1.0)
        return Intervals(
            level,
            weights,
            found.means[..., None] + sides * self.means[..., None],
            np.where(is_variance[..., None], found.covariances[..., None] * ratios, plain),
        )


@dataclass(frozen=True, eq=False)
class ScoresWork:
    """The work of the pass.

    Attributes
    ----------
    parameters : Parameters
    feature_names : tuple of str or None
        For messages.
    squared : bool
        See `dgmm.kernels.scores.sum_scores`.
    missing : {'error', 'drop', 'marginalize'}
        What to do with rows that lack values.
    n_errors : int
        Columns of measurement errors, beside the features.
    """

    parameters: Parameters
    feature_names: tuple[str, ...] | None
    squared: bool
    missing: str
    n_errors: int

    def __call__(self, chunks: Iterator[ChunkRows]) -> ScoreSums:
        """Sum over a span."""
        checked = map(self._checked, chunks)
        return sum_scores(self.parameters, checked, squared=self.squared, n_errors=self.n_errors)

    def _checked(self, chunk: ChunkRows) -> tuple[NDArray[np.floating], Array | None]:
        bad = NotFinite.of(chunk, takes_nan=self.missing != "error")
        if bad:
            raise bad.error(self.feature_names, JUDGE_THEM)
        if chunk.weights is not None:
            check_weights(chunk)
        rows, weights = chunk.values, chunk.weights
        if self.n_errors:
            check_errors(chunk, self.n_errors)
            rows = np.concatenate([rows, cast(Array, chunk.beside)], axis=1)
        if self.missing != "drop":
            return rows, weights
        kept = is_complete(chunk.values)
        return rows[kept], None if weights is None else weights[kept]


def standard_errors(
    parameters: Parameters,
    measured: MeasuredRows,
    weights: Source | None,
    kind: Kind,
    *,
    missing: str = "error",
    estimator: str = "GaussianMixture",
) -> StandardErrors:
    """Compute the standard errors of parameters in one pass over rows.

    Parameters
    ----------
    parameters : Parameters
    measured : MeasuredRows
    weights : Source or None
    kind : {'information', 'sandwich'}
    missing : {'error', 'drop', 'marginalize'}, default='error'
        What to do with rows that lack values.
    estimator : str
        For messages.

    Returns
    -------
    StandardErrors

    Raises
    ------
    ValueError
        Where ``kind`` is neither.
    DataError
        For rows without weight, values that are not finite, and more parameters than there is memory for.
    SingularInformationError, OverflowedError
        See `dgmm.model.information.uncertainty`.

    Warns
    -----
    MixtureWarning
        Where the parameters are far from the maximum; where a standard error exceeds what it is of.
    """
    if kind not in KINDS:
        raise ValueError(f"kind={kind!r} is none of {', '.join(map(repr, KINDS))}")
    layout = Layout(parameters.family, parameters.n_components, parameters.n_features)
    squared = kind == "sandwich" and weights is not None
    check_memory(layout, squared=squared)
    work = ScoresWork(parameters, measured.rows.feature_names, squared, missing, measured.n_errors)
    rows = measured.rows
    if measured.n_errors:
        rows = FeaturesAlone.of(measured.joined, rows.n_features)
    sums = run_pass(rows, work, "standard errors", weights)
    check_counted(sums.n_rows, sums.weight, layout.n_features, estimator)
    found = uncertainty(parameters, sums, kind)
    if found.distance > CERTAINTY.far:
        tell(
            f"The parameters are {found.distance:.2g} standard errors from the maximum of the likelihood of "
            "these rows: the fit has not converged (give it a smaller tol, and more iterations), its "
            "reg_covar is large beside how exactly variances are known, or these are not the rows of the fit",
            MixtureWarning,
        )
    if found.vague:
        which = ", ".join(map(str, found.vague))
        tell(
            f"Of component{'s' if len(found.vague) > 1 else ''} {which} standard errors exceed the weight, "
            "or the component's own width: these rows hardly tell its parameters, and intervals mean little. "
            "Components that are nearly the same, or have few rows, are so: take fewer",
            MixtureWarning,
        )
    errors = np.sqrt(np.maximum(np.diagonal(found.covariance), 0.0))
    return StandardErrors(
        kind,
        *layout.shaped(errors),
        covariance=found.covariance,
        names=names_of(layout),
        distance=found.distance,
        n_rows=sums.n_rows,
        weight=sums.weight,
        estimates=parameters,
    )


def names_of(layout: Layout) -> tuple[str, ...]:
    """Name all parameters in their order."""
    n_features, is_shared = layout.n_features, layout.family.is_shared
    weights = [f"weights[{k}]" for k in range(layout.n_components)]
    means = [f"means[{k}, {i}]" for k in range(layout.n_components) for i in range(n_features)]
    shape = layout.family.covariance_shape(layout.n_components, n_features)
    indices = np.indices(shape).reshape(len(shape), -1).T if shape else np.empty((1, 0), int)
    if layout.family.has_products:  # the diagonal, then above it
        above = np.array([each for each in indices if each[-2] <= each[-1]])
        order = np.lexsort((above[:, -1], above[:, -2], above[:, -2] != above[:, -1]))
        indices = above[order] if is_shared else above[order][np.argsort(above[order][:, 0], kind="stable")]
    one = "covariances" if not shape else "covariances[{}]"
    widths = [one.format(", ".join(map(str, each))) for each in indices.tolist()]
    return (*weights, *means, *widths)


def memory_bytes(layout: Layout, *, squared: bool = False) -> int:
    """Forecast the memory that standard errors take, beside rows: bytes."""
    matrices = (CERTAINTY.copies + 2 * n_threads()) * (2 if squared else 1)
    return 8 * matrices * layout.n_parameters**2


def check_memory(layout: Layout, *, squared: bool) -> None:
    """Refuse more parameters than there is memory for.

    Raises
    ------
    DataError
    """
    needed = memory_bytes(layout, squared=squared)
    if needed <= CERTAINTY.unquestioned_bytes:
        return
    from distributed.system import MEMORY_LIMIT  # noqa: PLC0415 - half a second, for large mixtures alone

    there = int(CERTAINTY.share * cast(int, MEMORY_LIMIT))
    if needed > there:
        raise DataError(
            f"Standard errors of {layout.n_parameters:,} parameters take about {needed:,} bytes of memory, "
            f"which grow with the square of their number, and {there:,} bytes, {CERTAINTY.share:.0%} of this "
            "machine's, are to be had. Take fewer components or features, or a covariance_type with fewer "
            "parameters, such as 'diag'"
        )
