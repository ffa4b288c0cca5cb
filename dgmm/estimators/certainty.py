"""Standard errors and confidence intervals, in one pass."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast, get_args

import numpy as np
from scipy.special import ndtri

from dgmm.data import DataError, Source
from dgmm.data.text import plural
from dgmm.data.user_warnings import warn_user
from dgmm.estimators.base import MixtureWarning
from dgmm.estimators.errors import MeasuredRows
from dgmm.estimators.rowwise import JUDGE_THEM
from dgmm.estimators.validation import check_counted
from dgmm.fitting.checks import OF_A_CHUNK, NotFinite, check_weights
from dgmm.fitting.dropping import is_complete
from dgmm.fitting.errors import check_errors
from dgmm.fitting.label_checks import LabelsAndGroups
from dgmm.fitting.labels_and_groups import KnownParts
from dgmm.kernels.scores import ScoredRows, sum_scores
from dgmm.model.information import Kind, ScoreSums, uncertainty
from dgmm.model.layout import Layout
from dgmm.model.matrices import Array
from dgmm.model.parameters import Parameters, finite_logs
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
    group_weights : ndarray of shape (n_groups, n_components, 2), or None
        Where groups have weights of their own.
    """

    level: float
    weights: Array
    means: Array
    covariances: Array
    group_weights: Array | None = None


@dataclass(frozen=True, eq=False)
class StandardErrors:
    """Standard errors of a mixture's parameters, in the units of the parameters.

    Attributes
    ----------
    kind : str
        ``'information'`` or ``'sandwich'``.
    weights : ndarray of shape (n_components,)
        Of those of all rows; where groups have their own, while each has the share of rows that it has.
    means : ndarray of shape (n_components, n_features)
    covariances : ndarray
        As the mixture's ``covariances_``; of shared ones, one.
    group_weights : ndarray of shape (n_groups, n_components), or None
        Where groups have weights of their own. NaN where a component has less than a row of a group: there
        the likelihood is no parabola.
    covariance : ndarray of shape (n_parameters, n_parameters)
        Of all estimates together. As weights sum to 1, its rank is one less, or one less for each group.
    names : tuple of str
        Of its rows and columns: ``weights[k]``, ``means[k, i]``, ``covariances[k, i, j]``: weights, means,
        then covariances, of each component its diagonal, then what is above, row by row. Where groups have
        weights of their own, ``group_weights[g, k]`` in the place of ``weights[k]``.
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
    group_weights: Array | None = None

    def intervals(self, level: float = 0.95) -> Intervals:
        """Return confidence intervals: each has its parameter with this probability, of many rows.

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
        return Intervals(
            level,
            _of_weights(found.weights, self.weights, sides),
            found.means[..., None] + sides * self.means[..., None],
            np.where(is_variance[..., None], found.covariances[..., None] * ratios, plain),
            None
            if found.group_weights is None or self.group_weights is None
            else _of_weights(found.group_weights, self.group_weights, sides),
        )


def _of_weights(weights: Array, errors: Array, sides: Array) -> Array:
    """Return intervals of weights (...) on the scale of log(w / (1 − w)): (..., 2)."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        odds = weights / (1.0 - weights)
        odds = odds[..., None] * np.exp(sides * (errors / (weights * (1.0 - weights)))[..., None])
        return np.where(weights[..., None] < 1.0, odds / (1.0 + odds), 1.0)


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
        Columns of measurement errors, after the features.
    known : KnownParts or None
        What is known of the rows' components, behind these.
    """

    parameters: Parameters
    feature_names: tuple[str, ...] | None
    squared: bool
    missing: str
    n_errors: int
    known: KnownParts | None = None

    def __call__(self, chunks: Iterator[ChunkRows]) -> ScoreSums:
        """Sum over a span."""
        checked = map(self._checked, chunks)
        return sum_scores(self.parameters, checked, squared=self.squared, n_errors=self.n_errors)

    def _checked(self, chunk: ChunkRows) -> ScoredRows:
        bad = NotFinite.of(chunk, takes_nan=self.missing != "error")
        if bad:
            raise bad.error(self.feature_names, JUDGE_THEM, OF_A_CHUNK)
        if chunk.weights is not None:
            check_weights(chunk)
        found = ScoredRows(chunk.values, chunk.weights)
        if chunk.side_information is not None:
            if self.n_errors:
                check_errors(chunk, self.n_errors)
                rows = np.concatenate([chunk.values, chunk.side_information[:, : self.n_errors]], axis=1)
                found = found._replace(rows=rows)
            found = self._with_known(found, chunk.side_information)
        return found.part(is_complete(chunk.values)) if self.missing == "drop" else found

    def _with_known(self, rows: ScoredRows, columns: Array) -> ScoredRows:
        """Put what is known of the rows' components to them."""
        known = self.known
        if known is None:
            return rows
        priors = None
        if known.has_labels:
            priors = finite_logs(known.weights_of(columns, self.parameters.n_components))
        return rows._replace(groups=known.groups_of(columns) if known.n_groups else None, log_priors=priors)


def standard_errors(
    parameters: Parameters,
    measured: MeasuredRows,
    weights: Source | None,
    kind: Kind,
    *,
    labels_and_groups: LabelsAndGroups | None = None,
    known: KnownParts | None = None,
    missing: str = "error",
    estimator: str = "GaussianMixture",
) -> StandardErrors:
    """Compute the standard errors of parameters in one pass over rows.

    Parameters
    ----------
    parameters : Parameters
        With weights of groups where these are given.
    measured : MeasuredRows
    weights : Source or None
    kind : {'information', 'sandwich'}
    labels_and_groups : LabelsAndGroups, optional
        Labels and groups.
    known : KnownParts, optional
        What these are.
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
        raise ValueError(f"kind={kind!r} is not one of {', '.join(map(repr, KINDS))}")
    layout = Layout.of(parameters)
    squared = kind == "sandwich" and weights is not None
    check_memory(layout, squared=squared)
    work = ScoresWork(parameters, measured.rows.feature_names, squared, missing, measured.n_errors, known)
    rows = (labels_and_groups or LabelsAndGroups()).with_features(measured.joined, layout.n_features)
    sums = run_pass(rows, work, "standard errors", weights)
    check_counted(sums.n_rows, sums.weight, layout.n_features, estimator)
    found = uncertainty(parameters, sums, kind)
    if found.distance > CERTAINTY.far:
        warn_user(
            f"The parameters are {found.distance:.2g} standard errors from the maximum of the likelihood of "
            "these rows: the fit has not converged (use a smaller tol and more iterations), reg_covar "
            "is large compared to the uncertainty of the variances, or these are not the rows of the fit",
            MixtureWarning,
        )
    if found.vague:
        which = ", ".join(map(str, found.vague))
        warn_user(
            f"Standard errors of {plural(len(found.vague), 'component')} {which} exceed the weight, or the "
            "component's own width: these rows say little about its parameters, and intervals mean little. "
            "This happens to components that are nearly the same, or have few rows: fit fewer components",
            MixtureWarning,
        )
    of_weights, means, covariances = layout.shaped(np.sqrt(np.maximum(np.diagonal(found.covariance), 0.0)))
    if n_border := int(np.isnan(of_weights).sum()):
        warn_user(
            f"{n_border:,} of {of_weights.size:,} weights of groups belong to components with less than one "
            "row in the group: so near 0 they have no standard error (NaN), and are taken as exact",
            MixtureWarning,
        )
    return StandardErrors(
        kind,
        np.sqrt(np.maximum(found.weights, 0.0)),
        means,
        covariances,
        group_weights=of_weights if layout.n_groups else None,
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
    components = range(layout.n_components)
    weights = [f"weights[{k}]" for k in components]
    if layout.n_groups:
        weights = [f"group_weights[{group}, {k}]" for group in range(layout.n_groups) for k in components]
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
            f"Standard errors of {layout.n_parameters:,} parameters need about {needed:,} bytes of memory, "
            f"which grows with the square of their number; {there:,} bytes, {CERTAINTY.share:.0%} of this "
            "machine's memory, are available. Use fewer components, features or groups, or a covariance_type "
            "with fewer parameters, such as 'diag'"
        )
