"""The E-step and densities of rows with measurement errors.

Columns of errors follow the features of each row: as many as features, the variances of independent errors;
or the upper triangles of their covariances, row by row; or these as whole matrices. Values that are NaN are
missing, and so is what is said of their errors. The formulas are those of `dgmm.model.measured`; a loop of
`dgmm.kernels.measured_tiles` has them compiled.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from dgmm.kernels.kernel import Part, Parts, pieces_of
from dgmm.kernels.priors import RowPriors, weighted_shares
from dgmm.kernels.rare import BATCH_ENTRIES
from dgmm.kernels.stack import Stack
from dgmm.kernels.sums import expected_sums
from dgmm.model.conditional import plain
from dgmm.model.jit import compiled_module, in_one_form
from dgmm.model.matrices import Array, DegenerateCovarianceError
from dgmm.model.measured import Gradients
from dgmm.model.parameters import LOG_2_PI, Evaluable, Parameters, finite_logs
from dgmm.model.statistics import Statistics

PIECE_ROWS = 2**13
"""Rows whose sums are taken at a time, as float64."""

LEAST_WORK = 2**18
"""Entries of covariances, of all rows and components, from which on the loop is worth a compiler.

NumPy takes 50 ns for each, 15 where covariances are variances: docs/notes/2026-11-27-kernels.md.
"""

OWN_ENTRIES = 8
"""Entries that take as long as whatever else there is to do for a row and a component."""

COMPILED, LANES = "dgmm.kernels.measured_tiles", 16
"""The module of the compiled loop, and rows that it works on together."""

NEGLIGIBLE = 2.0**-60
"""Responsibilities that are zero: what they would add is below rounding."""


def widths_of(n_features: int) -> tuple[int, int, int]:
    """Return how many columns errors may have: variances, triangles of covariances, and whole matrices."""
    return n_features, n_features * (n_features + 1) // 2, n_features**2


def error_matrices(errors: Array, n_features: int) -> Array:
    """Return the covariances of errors that are not independent: (n, n_errors) to (n, D, D)."""
    if errors.shape[1] == n_features**2:
        return errors.reshape(-1, n_features, n_features)
    matrices = np.empty((len(errors), n_features, n_features))
    rows, columns = np.triu_indices(n_features)
    matrices[:, rows, columns] = matrices[:, columns, rows] = errors
    return matrices


def errors_of(errors: Array, n_features: int, known: NDArray[np.intp]) -> Array:
    """Return the errors of some features: (n, n_errors) to as many columns as these take."""
    if errors.shape[1] == n_features:
        return errors[:, known]
    return error_matrices(errors, n_features)[:, known][:, :, known].reshape(len(errors), -1)


def draw_errors(errors: Array, n_features: int, generator: np.random.Generator) -> Array:
    """Draw errors of rows, (n, n_features), of their variances or covariances: (n, n_errors)."""
    standard = generator.standard_normal((len(errors), n_features))
    if errors.shape[1] == n_features:
        return standard * np.sqrt(errors)
    variances, axes = np.linalg.eigh(error_matrices(errors, n_features))  # some may be zero
    return (axes @ (np.sqrt(np.maximum(variances, 0.0)) * standard)[:, :, None])[:, :, 0]


class Measured(NamedTuple):
    """What a mixture says of some rows that are measured with errors.

    Attributes
    ----------
    rows : slice
        Which rows.
    log_joint : ndarray of shape (n, K)
        Log joint densities of a row and a component.
    slopes : ndarray of shape (n, K, D)
        u of `dgmm.model.measured`.
    inverses : ndarray of shape (n, K, D, D), or (n, K, D) where features and errors are independent
        T⁻¹: zero for features that a row lacks.
    entropies : ndarray of shape (n, K)
        See `Gradients.entropy`.
    """

    rows: slice
    log_joint: Array
    slopes: Array
    inverses: Array
    entropies: Array

    def in_own_coordinates(self, roots: Sequence[Array]) -> Iterator[tuple[Array, Array]]:
        """Yield slopes (n, D) and inverses (n, D, D) in the coordinates of each component: see `roots_of`.

        Those of exact rows are the standardized rows, and 1.
        """
        for k, root in enumerate(roots):
            inverses = self.inverses[:, k]
            if inverses.ndim == 2:
                inverses = inverses[:, :, None] * np.eye(len(root))
            yield self.slopes[:, k] @ root, root.T @ inverses @ root


def roots_of(parameters: Parameters) -> list[Array]:
    """Return the matrix L (D, D) of each component, of which ``L Lᵀ`` is its covariance."""
    family, n_features = parameters.family, parameters.n_features
    factors = (family.chosen(parameters.precisions_cholesky, k) for k in range(parameters.n_components))
    return [family.in_units(factor, n_features)[0] for factor in factors]


def measured_rows(parameters: Parameters, rows: NDArray[np.floating]) -> Iterator[Measured]:
    """Evaluate a mixture on rows, by NumPy.

    Parameters
    ----------
    parameters : Parameters
        A plain mixture: see `dgmm.model.conditional.plain`.
    rows : ndarray of shape (n_rows, n_features + n_errors)
    """
    n_components, n_features = parameters.means.shape
    is_diagonal = _is_diagonal(parameters, rows.shape[1] - n_features)
    step = max(1, BATCH_ENTRIES // (n_components * n_features * (1 if is_diagonal else n_features)))
    constants, halves = _constants(parameters), _halves(parameters)
    for start in range(0, len(rows), step):
        own = rows[start : start + step].astype(np.float64)
        values, errors = own[:, :n_features], own[:, n_features:]
        known = ~np.isnan(values)
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is not finite, and found by that
            gaps = np.where(known[:, None, :], values[:, None, :] - parameters.means, 0.0)
            evaluate = _independent if is_diagonal else _dependent
            slopes, inverses, own_halves, traces = evaluate(parameters, errors, known, gaps)
            n_missing = (~known).sum(axis=1)[:, None]
            squares = (gaps * slopes).sum(axis=2)
            log_joint = constants - own_halves - 0.5 * (squares - n_missing * LOG_2_PI)
        entropies = 0.5 * n_missing * (1.0 + LOG_2_PI) - halves - own_halves + traces
        yield Measured(slice(start, start + len(own)), log_joint, slopes, inverses, entropies)


def standardized_rows(parameters: Parameters, rows: NDArray[np.floating]) -> Array:
    """Standardize complete rows by each component, widened by their errors: (K, n_features, n_rows).

    Of a component's rows the result has mean 0 and covariance 1. Without errors it is what
    `dgmm.model.families.Family.standardize` gives.

    Parameters
    ----------
    parameters : Parameters
        A plain mixture.
    rows : ndarray of shape (n_rows, n_features + n_errors)
    """
    roots, found = roots_of(parameters), np.empty((*parameters.means.shape, len(rows)))
    for each in measured_rows(parameters, rows):
        for k, (slopes, inverses) in enumerate(each.in_own_coordinates(roots)):
            factors = np.linalg.cholesky(inverses)  # of the covariance of the slopes
            found[k, :, each.rows] = np.linalg.solve(factors, slopes[:, :, None])[:, :, 0].T
    return found


def _independent(
    parameters: Parameters, errors: Array, known: NDArray[np.bool_], gaps: Array
) -> tuple[Array, Array, Array, Array]:
    """Evaluate where neither features nor errors have covariances: as `_dependent`."""
    errors = np.where(known, errors, 0.0)[:, None, :]
    totals = np.where(known[:, None, :], parameters.variances + errors, 1.0)
    inverses = known[:, None, :] / totals
    slopes = gaps * inverses
    traces = 0.5 * (errors * (inverses - slopes**2)).sum(axis=2)
    return slopes, inverses, 0.5 * np.log(totals).sum(axis=2), traces


def _dependent(
    parameters: Parameters, errors: Array, known: NDArray[np.bool_], gaps: Array
) -> tuple[Array, Array, Array, Array]:
    """Evaluate T of each row and component.

    Returns
    -------
    slopes : ndarray of shape (n, K, D)
    inverses : ndarray of shape (n, K, D, D)
    halves : ndarray of shape (n, K)
        Half the log determinants of T.
    traces : ndarray of shape (n, K)
        ``½ tr(S (T⁻¹ − u uᵀ))``.
    """
    n_features = known.shape[1]
    both = known[:, :, None] & known[:, None, :]
    independent = errors.shape[1] == n_features
    matrices = errors[:, :, None] * np.eye(n_features) if independent else error_matrices(errors, n_features)
    matrices = np.where(both, matrices, 0.0)
    totals = np.where(both[:, None], parameters.covariance_matrices + matrices[:, None], 0.0)
    diagonal = np.arange(n_features)
    totals[..., diagonal, diagonal] += ~known[:, None, :]
    try:
        lower = np.linalg.cholesky(totals)
    except np.linalg.LinAlgError:
        raise DegenerateCovarianceError(None) from None
    inverses = np.where(both[:, None], np.linalg.inv(totals), 0.0)
    slopes = (inverses @ gaps[..., None])[..., 0]
    traces = np.einsum("nij,nkij->nk", matrices, inverses) - np.einsum(
        "nki,nij,nkj->nk", slopes, matrices, slopes, optimize=True
    )
    halves = np.log(np.diagonal(lower, axis1=2, axis2=3)).sum(axis=2)
    return slopes, inverses, halves, 0.5 * traces


def _is_diagonal(model: Evaluable, n_errors: int) -> bool:
    """Return whether neither features nor errors have covariances."""
    return not model.family.has_products and n_errors == model.means.shape[1]


def _constants(parameters: Parameters) -> Array:
    """Return what log joint densities of complete rows have whatever the row: finite; (K,)."""
    return finite_logs(parameters.weights) - 0.5 * parameters.n_features * LOG_2_PI


def _halves(parameters: Parameters) -> Array:
    """Return half the log determinants of precisions: (K,)."""
    halves = parameters.family.half_log_determinants(parameters.precisions_cholesky, parameters.n_features)
    return np.broadcast_to(halves, (parameters.n_components,))


def expect(stack: Stack, chunks: Parts) -> tuple[Statistics, ...]:
    """E-step of rows with errors: see `dgmm.kernels.kernel.Kernel.expect`.

    The statistics are complete, and about what the stack says.

    Parameters
    ----------
    stack : Stack
        Made for such rows.
    chunks : iterable of Part
        With errors.
    """
    found = expected_sums(stack)
    module = None if _is_little(stack.models, stack.n_rows, stack.n_errors) else compiled_module(COMPILED)
    for chunk in chunks:
        for piece in pieces_of(Part.of(chunk), PIECE_ROWS):
            assert piece.errors is not None
            joined = np.concatenate([piece.rows, piece.errors], axis=1, dtype=np.float64)
            for index, sums in enumerate(found):
                model, (_, weights, priors, _) = sums.parameters, piece.of_model(index)
                if module is None or priors is not None:
                    summed = gradients(model, joined, weights, priors, sums.group_counts)
                else:
                    summed = compiled_gradients(module, model, joined, weights)
                about = summed.about(model, sums.points)
                figures = {"log_likelihood": summed.log_likelihood, "entropy": summed.entropy}
                sums.add_sums(summed.counts, *about, summed.lacking, **figures)
    return tuple(sums.statistics() for sums in found)


def _is_little(models: Sequence[Evaluable], n_rows: int | None, n_errors: int) -> bool:
    """Tell whether work is not worth a compiler; by its size alone, so that bits depend on no other."""
    if n_rows is None:
        return False
    entries = 0
    for model in models:
        n_components, n_features = model.means.shape
        each = n_features if _is_diagonal(model, n_errors) else n_features**2
        entries += n_components * (OWN_ENTRIES + each)
    return n_rows * entries < LEAST_WORK


def compiled_gradients(
    module: Any, parameters: Parameters, rows: NDArray[np.floating], weights: Array | None
) -> Gradients:
    """Sum gradients over rows as `gradients` does, by the compiled loop."""
    loop = Loop.of(module, parameters, rows)
    own = np.empty(0) if weights is None else weights
    loop.run(rows, own, np.empty((0, parameters.n_components)))
    counts, means, covariances, totals, lacking = loop.sums
    if covariances.ndim == 3:
        covariances += np.swapaxes(np.tril(covariances, -1), 1, 2)
    return _in_form(Gradients(counts, means, covariances, lacking, *totals.tolist()), parameters)


def gradients(
    parameters: Parameters,
    rows: NDArray[np.floating],
    weights: Array | None,
    priors: RowPriors | None = None,
    group_counts: Array | None = None,
) -> Gradients:
    """Sum gradients over rows, by NumPy.

    Parameters
    ----------
    parameters : Parameters
        A plain mixture.
    rows : ndarray of shape (n_rows, n_features + n_errors)
    weights : ndarray of shape (n_rows,) or None
    priors : RowPriors, optional
        Of the rows, for this mixture alone.
    group_counts : ndarray of shape (n_groups, K), optional
        Responsibilities by group are added to it.
    """
    n_components, n_features = parameters.means.shape
    is_diagonal = _is_diagonal(parameters, rows.shape[1] - n_features)
    counts, (means, lacking) = np.zeros(n_components), np.zeros((2, n_components, n_features))
    covariances = np.zeros(means.shape if is_diagonal else (*means.shape, n_features))
    log_likelihood = entropy = 0.0
    for each in measured_rows(parameters, rows):
        own = None if weights is None else weights[each.rows]
        some = None if priors is None else priors.of_rows(each.rows)
        shares, densities = weighted_shares(each.log_joint, own, some, group_counts)
        counts += shares.sum(axis=0)
        lacking += shares.T @ np.isnan(rows[each.rows, :n_features])
        means += np.einsum("nk,nki->ki", shares, each.slopes)
        if is_diagonal:
            covariances += np.einsum("nk,nki->ki", shares, each.slopes**2 - each.inverses)
        else:
            weighted = shares[:, :, None] * each.slopes
            covariances += np.einsum("nki,nkj->kij", weighted, each.slopes, optimize=True)
            covariances -= np.einsum("nk,nkij->kij", shares, each.inverses, optimize=True)
        log_likelihood += float(densities.sum())
        entropy += float((shares * each.entropies).sum())
    return _in_form(Gradients(counts, means, covariances, lacking, log_likelihood, entropy), parameters)


def _in_form(found: Gradients, parameters: Parameters) -> Gradients:
    """Return what a family needs of gradients with respect to matrices."""
    if parameters.family.has_products or found.covariances.ndim == 2:
        return found
    return found._replace(covariances=np.diagonal(found.covariances, axis1=1, axis2=2))


def log_joint(model: Evaluable, rows: NDArray[np.floating]) -> Array:
    """Log joint density of each row and component: (n_rows, n_features + n_errors) to (n_rows, K), nats."""
    parameters = plain(cast(Parameters, model))
    found = np.empty((len(rows), parameters.n_components))
    n_errors = rows.shape[1] - parameters.n_features
    module = None if _is_little([parameters], len(rows), n_errors) else compiled_module(COMPILED)
    if module is not None:
        Loop.of(module, parameters, rows).run(rows, np.empty(0), found)
        return found
    for each in measured_rows(parameters, rows):
        found[each.rows] = each.log_joint
    return found


class Loop(NamedTuple):
    """The compiled loop, with what it takes: see `dgmm.kernels.measured_tiles`."""

    function: Any
    model: tuple[Array, ...]
    work: tuple[Array, ...]
    sums: tuple[Array, ...]

    @classmethod
    def of(cls, module: Any, parameters: Parameters, rows: NDArray[np.floating]) -> Loop:
        """Prepare for rows such as these, with sums of none."""
        (n_components, n_features), lanes = parameters.means.shape, module.LANES
        is_diagonal = _is_diagonal(parameters, rows.shape[1] - n_features)
        shape = (n_features,) if is_diagonal else (n_features, n_features)
        own = parameters.variances if is_diagonal else parameters.covariance_matrices
        own = own[:1] if parameters.family.is_shared else own
        fixed = _constants(parameters), parameters.means, own, _halves(parameters)
        counts, (slopes, lacking) = np.zeros(n_components), np.zeros((2, n_components, n_features))
        values, known, errors = np.empty((3, n_features, lanes))
        rest = (
            np.empty((n_components, n_features, lanes)),
            np.empty((n_components, lanes)),
            np.empty((len(own), lanes)),
            np.empty((3, lanes)),
        )
        inverse = np.empty((len(own), *shape, lanes))
        work = (values, known, errors, inverse, *rest)
        if not is_diagonal:
            errors, scratch = np.empty((2, *shape, lanes))
            kept = np.empty((n_features + 1, n_features))
            work = (values, known, errors, np.empty_like(inverse), inverse, scratch, *rest, kept)
        return cls(
            module.independent if is_diagonal else module.dependent,
            tuple(in_one_form(each, np.float64) for each in fixed),
            work,
            (counts, slopes, np.zeros((n_components, *shape)), np.zeros(2), lacking),
        )

    def run(self, rows: NDArray[np.floating], weights: Array, joint: Array) -> None:
        """Run it: of weights and log joint densities there are those of all rows, or none."""
        own = (in_one_form(each, np.float64) for each in (rows, weights))
        self.function(*own, self.model, self.work, self.sums, joint, NEGLIGIBLE)


def working_bytes(stack: Stack) -> int:
    """Forecast the bytes that `expect` allocates beyond the rows."""
    entries = 0
    for model in stack.models:
        n_components, n_features = model.means.shape
        lanes = 3 * n_components * n_features**2 * LANES
        entries = max(entries, lanes + 4 * BATCH_ENTRIES + PIECE_ROWS * (n_features + stack.n_errors))
    return 8 * entries
