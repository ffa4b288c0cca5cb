"""Slow, plain references: loops over components, densities of SciPy, and sums in extended precision."""

from functools import cache
from itertools import starmap
from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.mixture import GaussianMixture

from dgmm.model.families import FAMILIES
from dgmm.model.parameters import Parameters

COVARIANCE_TYPES = tuple(FAMILIES)

SCIKIT_LEARNS = ("full", "tied", "diag", "spherical")
"""Those that scikit-learn has."""

STRUCTURES = {
    "full": (False, "matrix"),
    "tied": (True, "matrix"),
    "diag": (False, "diagonal"),
    "spherical": (False, "sphere"),
    "tied_diag": (True, "diagonal"),
    "tied_spherical": (True, "sphere"),
}
"""Whether components share a covariance, and what it is."""

OWN = tuple(name for name, (is_shared, _) in STRUCTURES.items() if not is_shared)
"""Those whose components each have their own."""

NEAREST = {"diagonal": "diag", "sphere": "spherical"}
"""What scikit-learn has of these forms."""


def covariances_of(covariance_type, matrices):
    """The family's own form of matrices (K, D, D), which must have its structure."""
    is_shared, form = STRUCTURES[covariance_type]
    own = {
        "matrix": matrices,
        "diagonal": np.stack([np.diag(matrix) for matrix in matrices]),
        "sphere": matrices[:, 0, 0],
    }[form]
    return own[0] if is_shared else own


def matrices_of(parameters):
    """Covariance matrices (K, D, D), made without the package."""
    n_components, n_features = parameters.means.shape
    is_shared, form = STRUCTURES[parameters.family.name]
    own = [parameters.covariances] * n_components if is_shared else parameters.covariances
    matrix = {"matrix": lambda one: one, "diagonal": np.diag, "sphere": lambda one: one * np.eye(n_features)}
    return np.stack([matrix[form](one) for one in own])


def random_parameters(generator, covariance_type, n_components=3, n_features=3, *, width=1.0, spread=3.0):
    """A mixture with correlated components of about this width, means this many widths apart."""
    factors = generator.normal(size=(n_components, n_features, n_features))
    matrices = width**2 * (factors @ factors.swapaxes(1, 2) / n_features + 0.3 * np.eye(n_features))
    means = width * spread * generator.normal(size=(n_components, n_features))
    weights = generator.dirichlet(np.full(n_components, 5.0))
    return Parameters.from_covariances(
        FAMILIES[covariance_type], weights, means, covariances_of(covariance_type, matrices)
    )


def random_rows(generator, parameters, n_rows):
    """Rows of the mixture, in random order."""
    labels = generator.choice(len(parameters.weights), n_rows, p=parameters.weights)
    factors = np.linalg.cholesky(matrices_of(parameters))[labels]
    noise = generator.normal(size=(n_rows, parameters.means.shape[1], 1))
    return parameters.means[labels] + (factors @ noise)[:, :, 0]


def log_joint(parameters, rows):
    """Log joint densities (n_rows, K) by SciPy."""
    columns = [
        np.log(weight) + multivariate_normal(mean, matrix).logpdf(rows)
        for weight, mean, matrix in zip(
            parameters.weights, parameters.means, matrices_of(parameters), strict=True
        )
    ]
    return np.reshape(columns, (-1, len(rows))).T


def log_sums(joint) -> np.ndarray:
    """Log densities (n_rows,) of log joint densities (n_rows, K), by SciPy."""
    return np.asarray(logsumexp(joint, axis=1))


def _cholesky(matrix):
    lower = np.zeros(matrix.shape, np.longdouble)
    for i in range(len(matrix)):
        for j in range(i + 1):
            rest = np.longdouble(matrix[i, j]) - (lower[i, :j] * lower[j, :j]).sum()
            lower[i, j] = np.sqrt(rest) if i == j else rest / lower[j, j]
    return lower


def exact_log_joint(parameters, rows):
    """Log joint densities (n_rows, K) in extended precision, by forward substitution."""
    (n_components, n_features), log_2_pi = parameters.means.shape, np.log(2 * np.arccos(np.longdouble(-1)))
    result = np.empty((len(rows), n_components), np.longdouble)
    for k, matrix in enumerate(matrices_of(parameters)):
        lower = _cholesky(matrix)
        deviations = rows.astype(np.longdouble) - parameters.means[k].astype(np.longdouble)
        standardized = np.zeros_like(deviations)
        for i in range(n_features):
            rest = deviations[:, i] - (standardized[:, :i] * lower[i, :i]).sum(axis=1)
            standardized[:, i] = rest / lower[i, i]
        half_log_determinant = np.log(np.diag(lower)).sum()
        constant = np.log(np.longdouble(parameters.weights[k])) - n_features * log_2_pi / 2
        result[:, k] = constant - half_log_determinant - (standardized**2).sum(axis=1) / 2
    return result


def split(joint):
    """Log densities (n_rows,) and responsibilities (n_rows, K) of log joint densities (n_rows, K)."""
    largest = joint.max(axis=1, keepdims=True)
    log_density = largest[:, 0] + np.log(np.exp(joint - largest).sum(axis=1))
    return log_density, np.exp(joint - log_density[:, None])


def packed(matrix):
    """Diagonal, then the entries above it, row by row."""
    size = len(matrix)
    above = [matrix[i, j] for i in range(size) for j in range(i + 1, size)]
    return np.array([*np.diag(matrix), *above], matrix.dtype)


class Sums(NamedTuple):
    """Exact sums over rows, and the sums of their absolute terms: the scale of rounding."""

    counts: np.ndarray
    sums: np.ndarray
    sums_scale: np.ndarray
    scatter: np.ndarray
    scatter_scale: np.ndarray
    log_likelihood: float
    log_likelihood_scale: float


def expect(parameters, rows, weights, points, joint=None):
    """Statistics about given points (K, D), in extended precision; scatter as matrices (K, D, D)."""
    joint = exact_log_joint(parameters, rows) if joint is None else joint
    weights = np.ones(len(rows)) if weights is None else weights
    log_density, shares = split(joint)
    shares = shares * weights[:, None]
    sums, sums_scale, scatter, scatter_scale = [], [], [], []
    for k, point in enumerate(points):
        deviations = rows.astype(np.longdouble) - point.astype(np.longdouble)
        share = shares[:, k, None]
        sums.append((share * deviations).sum(axis=0))
        sums_scale.append((share * abs(deviations)).sum(axis=0))
        products = share[:, :, None] * deviations[:, :, None] * deviations[:, None, :]
        scatter.append(products.sum(axis=0))
        scatter_scale.append(abs(products).sum(axis=0))
    terms = weights * log_density
    return Sums(
        counts=shares.sum(axis=0),
        sums=np.array(sums),
        sums_scale=np.array(sums_scale),
        scatter=np.array(scatter),
        scatter_scale=np.array(scatter_scale),
        log_likelihood=terms.sum(),
        log_likelihood_scale=abs(terms).sum() + 1.0,
    )


def moments_of_clusters(covariance_type, clusters):
    """Means (K, D) and a family's covariance matrices (K, D, D) of clusters of one size, each by itself."""
    exact = [cluster.astype(np.longdouble) for cluster in clusters]
    means = np.array([cluster.mean(axis=0) for cluster in exact])
    matrices = np.array(
        [np.einsum("ni,nj->ij", c - m, c - m) / len(c) for c, m in zip(exact, means, strict=True)]
    )
    is_shared, form = STRUCTURES[covariance_type]
    if is_shared:
        matrices = np.tile(matrices.mean(axis=0), (len(clusters), 1, 1))
    if form == "diagonal":
        matrices = matrices * np.eye(matrices.shape[1])
    if form == "sphere":
        variances = np.einsum("kii->k", matrices) / matrices.shape[1]
        matrices = variances[:, None, None] * np.eye(matrices.shape[1])
    return means.astype(np.float64), matrices.astype(np.float64)


def family_scatter(covariance_type, matrices):
    """Scatter matrices (K, D, D) in the packed form of the family's statistics."""
    form = STRUCTURES[covariance_type][1]
    if form == "diagonal":
        return np.stack([np.diag(matrix) for matrix in matrices])
    if form == "sphere":
        return np.stack([np.trace(matrix)[None] for matrix in matrices])
    return np.stack([packed(matrix) for matrix in matrices])


def total_scatter(rows, weights, centre):
    """Weighted squares and products of all rows about the centre."""
    deviations = rows.astype(np.float64) - centre
    weights = np.ones(len(rows)) if weights is None else weights
    return (deviations * weights[:, None]).T @ deviations


def close(value, exact, scale, relative):
    """Assert that an error is below ``relative`` times the scale of the terms."""
    error = np.abs(np.asarray(value, np.longdouble) - exact)
    assert np.all(error <= relative * scale), float((error / (scale + 1e-300)).max())


def maximized(covariance_type, rows, shares, weights=None, reg_covar=0.0):
    """The M-step by its formulas, of responsibilities (n_rows, K): weights, means and matrices (K, D, D)."""
    shares = shares if weights is None else shares * weights[:, None]
    counts = shares.sum(axis=0) + 10 * np.finfo(float).eps
    means = shares.T @ rows / counts[:, None]
    gaps = [rows - mean for mean in means]
    scatter = np.stack([(share[:, None] * gap).T @ gap for share, gap in zip(shares.T, gaps, strict=True)])
    is_shared, form = STRUCTURES[covariance_type]
    matrices = scatter / counts[:, None, None]
    if is_shared:
        matrices = np.tile(scatter.sum(axis=0) / counts.sum(), (len(counts), 1, 1))
    identity = np.eye(rows.shape[1])
    if form == "diagonal":
        matrices = matrices * identity
    if form == "sphere":
        matrices = np.einsum("kii->k", matrices)[:, None, None] / rows.shape[1] * identity
    return counts / counts.sum(), means, matrices + reg_covar * identity


def in_scikit_learn(parameters):
    """A mixture of scikit-learn's with these parameters; of a family that it lacks, repeated."""
    is_shared, form = STRUCTURES[parameters.family.name]
    name = parameters.family.name if parameters.family.name in SCIKIT_LEARNS else NEAREST[form]
    repeats = is_shared and name != "tied"
    mixture = GaussianMixture(len(parameters.weights), covariance_type=name)
    mixture.weights_, mixture.means_ = parameters.weights, parameters.means
    own = parameters.covariances, parameters.precisions_cholesky
    mixture.covariances_, mixture.precisions_cholesky_ = (
        np.stack([one] * len(parameters.weights)) if repeats else one for one in own
    )
    return mixture


class ExpectedSums(NamedTuple):
    """Expected statistics of complete rows, row by row."""

    counts: np.ndarray
    sums: np.ndarray
    products: np.ndarray
    log_likelihood: float
    entropy_of_missing: float
    responsibilities: np.ndarray
    log_densities: np.ndarray


def _summed(points, weights, each):
    """Sum over rows, with weights, about points (K, D).

    Of each there are log joint densities (K,), then of all components expected rows, their covariances, and
    what is added to the entropy.
    """
    counts, sums = np.zeros(len(points)), np.zeros(np.shape(points))
    products = np.zeros((*points.shape, points.shape[1]))
    total, entropy, shares, densities = 0.0, 0.0, [], []
    for weight, (joint, *of_components) in zip(weights, each, strict=True):
        density = np.logaddexp.reduce(joint)
        share = np.exp(joint - density)
        shares.append(share)
        densities.append(density)
        total += weight * density
        expected, within, added = map(np.array, of_components)
        own, gaps = weight * share, expected - points
        counts += own
        sums += own[:, None] * gaps
        products += own[:, None, None] * (gaps[:, :, None] * gaps[:, None] + within)
        entropy += own @ added
    return ExpectedSums(counts, sums, products, total, entropy, np.array(shares), np.array(densities))


def expect_incomplete(parameters, rows, weights, points, constants=None):
    """Statistics about points (K, D) of rows that lack values (NaN): regression, row by row.

    What depends on the pattern alone is made once.

    ``constants`` (K,) are log joint densities at the means, if not those of the mixture.
    """
    n_components, n_features = parameters.means.shape
    matrices = matrices_of(parameters)
    weights = np.ones(len(rows)) if weights is None else weights
    precisions = np.linalg.inv(matrices)
    if constants is None:
        halves = -0.5 * np.linalg.slogdet(2.0 * np.pi * matrices)[1]
        constants = np.log(parameters.weights) + halves

    @cache
    def of_pattern(lacks):
        known, missing = np.flatnonzero(np.invert(lacks)), np.flatnonzero(lacks)
        own = []
        for matrix, precision in zip(matrices, precisions, strict=True):
            both, inner = matrix[np.ix_(missing, known)], np.linalg.inv(matrix[np.ix_(known, known)])
            left = matrix[np.ix_(missing, missing)] - both @ inner @ both.T
            # The density over the missing features is integrated out of the joint one.
            outer = np.linalg.inv(precision[np.ix_(missing, missing)])
            integral, entropy = (
                0.5 * np.linalg.slogdet(2.0 * np.pi * each)[1] for each in (outer, np.e * left)
            )
            own.append((both @ inner, inner, left, integral, entropy))
        return known, missing, own

    def expected_of(row):
        known, missing, own = of_pattern(tuple(np.isnan(row)))
        joint, completed, within, entropies = np.empty(n_components), [], [], []
        for k, (regression, inner, left, integral, entropy) in enumerate(own):
            mean, complete, whole = parameters.means[k], row.copy(), np.zeros((n_features, n_features))
            gap = row[known] - mean[known]
            joint[k] = constants[k] - 0.5 * gap @ inner @ gap + integral
            complete[missing] = mean[missing] + regression @ gap
            whole[np.ix_(missing, missing)] = left
            completed.append(complete)
            within.append(whole)
            entropies.append(entropy)
        return joint, completed, within, entropies

    return _summed(points, weights, map(expected_of, rows.astype(float)))


def counts_lacking(sums, rows, weights=None):
    """Of the counts of components, those of rows that lack each feature: (K, D)."""
    weights = np.ones(len(rows)) if weights is None else weights
    return (weights[:, None] * sums.responsibilities).T @ np.isnan(rows)


def with_missing(generator, rows, share=0.3, n_patterns=None):
    """Rows with values left out at random: of any pattern, or of a few, the first of which is complete."""
    lacks = generator.random((n_patterns or len(rows), rows.shape[1])) < share
    if n_patterns is not None:
        lacks[0] = False
        lacks = lacks[generator.integers(n_patterns, size=len(rows))]
    return np.where(lacks, np.nan, rows).astype(rows.dtype)


def packed_parameters(parameters):
    """Weights, means, and covariances with each entry once, in a row."""
    _, form = STRUCTURES[parameters.family.name]
    covariances = parameters.covariances
    if form == "matrix":
        matrices = np.reshape(covariances, (-1, *covariances.shape[-2:]))
        covariances = np.concatenate([packed(matrix) for matrix in matrices])
    return np.concatenate([parameters.weights, parameters.means.ravel(), np.ravel(covariances)])


def components_at(parameters, values):
    """Give the weight, mean and matrix of each component with these values for `packed_parameters`."""
    n_components, n_features = parameters.means.shape
    is_shared, form = STRUCTURES[parameters.family.name]
    weights, means = values[:n_components], values[n_components:][: n_components * n_features]
    widths = np.reshape(values[n_components * (1 + n_features) :], (1 if is_shared else n_components, -1))
    for k, mean in enumerate(means.reshape(n_components, n_features)):
        own = widths[0 if is_shared else k]
        matrix = np.eye(n_features) * (own if form != "matrix" else own[:n_features])
        if form == "matrix":
            above = iter(own[n_features:])
            for i in range(n_features):
                for j in range(i + 1, n_features):
                    matrix[i, j] = matrix[j, i] = next(above)
        yield weights[k], mean, matrix


def log_densities_at(parameters, values, rows, errors=None, priors=None):
    """Log densities (n_rows,) of the mixture with these values for `packed_parameters`, complex ones too.

    With errors of covariances (n, D, D), row by row, of what of rows is not NaN; and with priors of rows over
    components (n, K).
    """
    joint, is_known = [], ~np.isnan(rows)
    for weight, mean, matrix in components_at(parameters, values):
        if errors is None:
            joint.append(np.log(weight) + log_normal(rows - mean, matrix))
            continue
        own = np.empty(len(rows), values.dtype)
        for pattern in np.unique(is_known, axis=0):
            alike, o = (is_known == pattern).all(axis=1), np.flatnonzero(pattern)
            own[alike] = log_normal((rows[alike] - mean)[:, o], (matrix + errors[alike])[:, o][:, :, o])
        joint.append(np.log(weight) + own)
    if priors is not None:
        joint = [each + np.log(np.maximum(own, 1e-300)) for each, own in zip(joint, priors.T, strict=True)]
    largest = np.real(joint).max(axis=0)
    return largest + np.log(np.exp(np.array(joint) - largest).sum(axis=0))


def log_normal(deviations, matrix):
    """Log density of deviations (n, D) from the mean, complex ones too, for one matrix or (n, D, D)."""
    squares = ((deviations[:, None] @ np.linalg.inv(matrix))[:, 0] * deviations).sum(axis=1)
    return -(np.log(np.linalg.det(2 * np.pi * matrix)) + squares) / 2


def scores_at(parameters, values, rows, errors=None):
    """Derivatives of log densities by all values, (n_values, n_rows)."""
    return scores_of(lambda each: log_densities_at(parameters, each, rows, errors), values)


def scores_of(log_densities, values):
    """Derivatives of what a function of values gives for rows, by complex steps: exact to rounding."""
    step = 1e-30
    moved = values + 1j * step * np.eye(len(values))
    return np.array([log_densities(each).imag / step for each in moved])


def hessian(parameters, rows, weights, errors=None):
    """Second derivatives of the log-likelihood by all values."""
    values = packed_parameters(parameters)
    return hessian_of(lambda each: log_densities_at(parameters, each, rows, errors), values, weights)


def hessian_of(log_densities, values, weights):
    """Second derivatives of weighted sums over rows: central differences of exact first ones."""
    found = []
    for number, value in enumerate(values):
        step = 1e-5 * max(abs(value), 1e-2) * np.eye(len(values))[number]
        high, low = (scores_of(log_densities, each) @ weights for each in (values + step, values - step))
        found.append((high - low) / (2 * step[number]))
    return (np.array(found) + np.transpose(found)) / 2


def maps_of(parameters, layout):
    """Give the matrix that takes all values from the components' own coordinates to their units."""
    maps = np.zeros((layout.n_parameters, layout.n_parameters))
    for k, own in enumerate(parameters.weights_in(max(layout.n_groups, 1)).T):
        for group, weight in enumerate(own):
            maps[(layout.parts(k, group)[0],) * 2] = weight
        _, mean, width = layout.parts(k)
        factor = parameters.family.chosen(parameters.precisions_cholesky, k)
        maps[mean, mean], maps[width, width] = parameters.family.in_units(factor, layout.n_features)
    return maps


def on_the_simplex(matrix, n_components, n_groups=1):
    """The inverse of a matrix of all values, for changes whose weights sum to zero: of all values again."""
    constraints = np.zeros((len(matrix), n_groups))
    for group in range(n_groups):
        constraints[group * n_components : (group + 1) * n_components, group] = 1.0
    free = np.linalg.qr(constraints, mode="complete")[0][:, n_groups:]
    return free @ np.linalg.inv(free.T @ matrix @ free) @ free.T


def expect_measured(parameters, rows, errors, weights, points, *, log_priors=None):
    """Statistics of true values about points (K, D), of rows with errors of covariances (n, D, D).

    Row by row, by the formulas of Bovy, Hogg and Roweis (2011). What is NaN is missing. Log priors of each
    row over the components, (n, K), are by default those of the mixture's weights.
    """
    n_components, matrices = len(parameters.means), matrices_of(parameters)
    halves = 0.5 * np.linalg.slogdet(2.0 * np.pi * matrices)[1]
    weights = np.ones(len(rows)) if weights is None else weights
    if log_priors is None:
        log_priors = np.tile(np.log(parameters.weights), (len(rows), 1))

    def expected_of(row, error, priors):
        o = np.flatnonzero(~np.isnan(row))
        own_logs, expected, within, entropies = np.zeros(n_components), [], [], []
        for k, (mean, matrix) in enumerate(zip(parameters.means, matrices, strict=True)):
            whole = matrix[np.ix_(o, o)] + error[np.ix_(o, o)]
            gain = np.linalg.solve(whole, matrix[o]).T
            if len(o):
                own_logs[k] = log_normal((row - mean)[None, o], whole)[0]
            expected.append(mean + gain @ (row - mean)[o])
            within.append(matrix - gain @ matrix[o])
            # log p(x, k) is E log p(v, k) and this, whatever the errors.
            centred = expected[k] - mean
            squares = np.trace(np.linalg.solve(matrix, np.outer(centred, centred) + within[k]))
            entropies.append(own_logs[k] + halves[k] + 0.5 * squares)
        return priors + own_logs, expected, within, entropies

    each = zip(rows.astype(float), errors, log_priors, strict=True)
    return _summed(points, weights, starmap(expected_of, each))


def random_errors(generator, n_rows, n_features, form="matrices", *, scale=1.0):
    """Measurement errors: columns as users give them, and the covariances (n, D, D) that they stand for."""
    if form == "variances":
        variances = scale * generator.gamma(1.0, size=(n_rows, n_features))
        return variances, variances[:, :, None] * np.eye(n_features)
    factors = generator.normal(size=(n_rows, n_features, n_features))
    matrices = scale * factors @ factors.swapaxes(1, 2) / n_features
    matrices = 0.5 * (matrices + matrices.swapaxes(1, 2))
    rows, columns = np.triu_indices(n_features)
    return (matrices[:, rows, columns] if form == "triangles" else matrices.reshape(n_rows, -1)), matrices
