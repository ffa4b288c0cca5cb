"""Information against numerical second derivatives and closed forms, and what is singular."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from dgmm import GaussianMixture
from dgmm.kernels.scores import ScoredRows, sum_scores
from dgmm.model.families import FAMILIES, family_named
from dgmm.model.information import SingularInformationError, _information, uncertainty
from dgmm.model.layout import Layout
from dgmm.model.matrices import OverflowedError
from dgmm.model.parameters import Parameters
from tests.model import naive


@pytest.fixture
def generator():
    return np.random.default_rng(0)


def near(found, expected, tolerance):
    """Entries are as near as this, beside the standard deviations of their row and column."""
    scale = np.sqrt(np.diagonal(expected))
    gaps = np.abs(found - expected) / np.maximum(scale * scale[:, None], np.finfo(float).tiny)
    assert gaps.max() < tolerance


def fitted(family, rows, n_components=3, n_steps=200):
    """A mixture near the maximum of the likelihood."""
    mixture = GaussianMixture(
        n_components, covariance_type=family, tol=1e-12, max_iter=n_steps, reg_covar=0.0, random_state=0
    )
    return mixture.fit(rows)._parameters


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_it_is_the_numerical_second_derivative(generator, family):
    truth = naive.random_parameters(generator, family, 3, 2, spread=4.0)
    rows = naive.random_rows(generator, truth, 600)
    weights = generator.uniform(0.9, 1.1, 600)
    # Near the maximum, at the unweighted one, and at a point that no fit has been to.
    for parameters in (fitted(family, rows), truth):
        found = uncertainty(parameters, sum_scores(parameters, [ScoredRows(rows, weights)]), "information")
        expected = naive.on_the_simplex(-naive.hessian(parameters, rows, weights), 3)
        near(found.covariance, expected, 1e-5)
        scores = naive.scores_at(parameters, naive.packed_parameters(parameters), rows) @ weights
        assert found.distance == pytest.approx((scores @ expected @ scores) ** 0.5, rel=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_sandwich_is_that_of_numerical_scores(generator, family):
    truth = naive.random_parameters(generator, family, 3, 2, spread=4.0)
    rows, weights = naive.random_rows(generator, truth, 400), generator.uniform(0.5, 1.5, 400)
    parameters = fitted(family, rows)
    scores = naive.scores_at(parameters, naive.packed_parameters(parameters), rows)
    for own in (np.ones(400), weights):
        sums = sum_scores(parameters, [ScoredRows(rows, own)], squared=True)
        bread = naive.on_the_simplex(-naive.hessian(parameters, rows, own), 3)
        expected = bread @ (scores * own**2) @ scores.T @ bread
        near(uncertainty(parameters, sums, "sandwich").covariance, expected, 1e-5)
    unweighted = sum_scores(parameters, [ScoredRows(rows, None)])
    as_weighted = uncertainty(
        parameters, sum_scores(parameters, [ScoredRows(rows, np.ones(400))], squared=True), "sandwich"
    )
    near(uncertainty(parameters, unweighted, "sandwich").covariance, as_weighted.covariance, 1e-9)


def what_lacks(generator, rows, share=0.3):
    """Take values out of rows; one row has none."""
    lacking = generator.random(rows.shape) < share
    lacking[7] = True
    return np.where(lacking, np.nan, rows)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("form", ["variances", "triangles", "matrices", "missing", "missing with errors"])
def test_with_errors_or_without_values_it_is_the_numerical_second_derivative(generator, family, form):
    """Whether it is positive or not, wherever the parameters are."""
    truth = naive.random_parameters(generator, family, 2, 2, spread=4.0)
    columns, errors = naive.random_errors(generator, 40, 2, form.split()[0])
    rows = naive.random_rows(generator, truth, 40) + 0.7 * generator.normal(size=(40, 2))
    if "missing" in form:
        rows = what_lacks(generator, rows)
    n_errors, given = columns.shape[1], np.hstack([rows, columns])
    if form == "missing":
        n_errors, given, errors = 0, rows, np.zeros_like(errors)
    weights, layout = generator.uniform(0.5, 1.5, 40), Layout(truth.family, 2, 2)
    sums = sum_scores(truth, [ScoredRows(given, weights)], squared=True, n_errors=n_errors)
    maps = naive.maps_of(truth, layout)
    expected = maps.T @ -naive.hessian(truth, rows, weights, errors) @ maps
    scale = np.abs(expected).max()
    np.testing.assert_allclose(_information(layout, sums)[0], expected, atol=1e-7 * scale)
    scores = maps.T @ naive.scores_at(truth, naive.packed_parameters(truth), rows, errors)
    np.testing.assert_allclose(_information(layout, sums)[2], scores @ weights, rtol=1e-8, atol=1e-8)
    assert sums.squared is not None
    np.testing.assert_allclose(sums.squared, (scores * weights**2) @ scores.T, rtol=1e-8, atol=1e-8)


def of_groups(truth, values, rows, *, groups, errors=None, priors=None):
    """Log densities of rows in groups: values have the weights of each, one after the other."""
    n_weights, found = truth.group_weights.size, np.empty(len(rows), values.dtype)
    for group, weights in enumerate(values[:n_weights].reshape(truth.group_weights.shape)):
        own = groups == group
        found[own] = naive.log_densities_at(
            truth,
            np.concatenate([weights, values[n_weights:]]),
            rows[own],
            None if errors is None else errors[own],
            None if priors is None else priors[own],
        )
    return found


def some_weights(generator, n_rows, n_components):
    """Priors of rows: nothing for a half, labels for a quarter, and shares for the others."""
    priors = generator.dirichlet(np.ones(n_components), n_rows)
    priors[::2] = 1.0
    priors[1::4] = np.eye(n_components)[generator.integers(n_components, size=len(priors[1::4]))]
    return priors


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("form", ["exact", "variances", "missing"])
def test_with_groups_and_labels_it_is_the_numerical_second_derivative(generator, family, form):
    """Each group has weights of its own, and rows know something of their components, or exact ones none."""
    plain = naive.random_parameters(generator, family, 2, 2, spread=4.0)
    group_weights = generator.dirichlet([3.0, 3.0], 3)
    truth = replace(plain, group_weights=group_weights)
    rows, errors, given = naive.random_rows(generator, plain, 40), None, None
    n_errors = 0
    if form == "variances":
        columns, errors = naive.random_errors(generator, 40, 2, form)
        n_errors, given = 2, np.hstack([rows, columns])
    if form == "missing":
        rows, errors = what_lacks(generator, rows), np.zeros((40, 2, 2))
    groups, weights = np.arange(40) % 3, generator.uniform(0.5, 1.5, 40)
    layout = Layout.of(truth)
    values = np.concatenate([group_weights.ravel(), naive.packed_parameters(plain)[2:]])
    for priors in [some_weights(generator, 40, 2), *([None] if form == "exact" else [])]:
        own = None if priors is None else np.log(np.maximum(priors, 1e-300))
        block = ScoredRows(rows if given is None else given, weights, groups, own)
        sums = sum_scores(truth, [block], squared=True, n_errors=n_errors)

        def density(each, priors=priors):
            return of_groups(truth, each, rows, groups=groups, errors=errors, priors=priors)

        maps = naive.maps_of(truth, layout)
        expected = maps.T @ -naive.hessian_of(density, values, weights) @ maps
        found, _, score = _information(layout, sums)
        np.testing.assert_allclose(found, expected, atol=1e-7 * np.abs(expected).max())
        scores = maps.T @ naive.scores_of(density, values)
        np.testing.assert_allclose(score, scores @ weights, rtol=1e-8, atol=1e-8)
        assert sums.squared is not None
        np.testing.assert_allclose(sums.squared, (scores * weights**2) @ scores.T, rtol=1e-8, atol=1e-8)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("family", ["full", "tied_diag"])
def test_of_groups_estimates_vary_as_the_inverse_says(generator, family):
    """Each group's weights on a simplex; a weight that is at the border is left as it is."""
    truth = naive.random_parameters(generator, family, 3, 2, spread=4.0)
    rows, groups = naive.random_rows(generator, truth, 500), np.arange(500) % 2
    mixture = GaussianMixture(
        3, covariance_type=family, tol=1e-12, max_iter=500, reg_covar=0.0, random_state=0
    )
    own = mixture.fit(rows, groups=groups)._parameters
    assert own.group_weights is not None
    values = np.concatenate([own.group_weights.ravel(), naive.packed_parameters(own)[3:]])
    information = -naive.hessian_of(
        lambda each: of_groups(own, each, rows, groups=groups), values, np.ones(500)
    )
    expected = naive.on_the_simplex(information, 3, 2)
    found = uncertainty(own, sum_scores(own, [ScoredRows(rows, None, groups)]), "information")
    near(found.covariance, expected, 1e-5)
    shares = np.hstack([np.eye(3), np.eye(3)]) / 2.0
    np.testing.assert_allclose(found.weights, np.diagonal(shares @ expected[:6, :6] @ shares.T), rtol=1e-4)
    third = replace(own, group_weights=np.vstack([own.group_weights, [1.0 - 1e-9, 1e-9, 0.0]]))
    near_first = own.means[0] + 0.1 * generator.normal(size=(30, 2))
    block = ScoredRows(np.vstack([rows, near_first]), None, np.append(groups, np.full(30, 2)))
    found = uncertainty(third, sum_scores(third, [block]), "information")
    assert np.isnan(np.diagonal(found.covariance)[:9]).tolist() == [False] * 7 + [True] * 2
    assert found.covariance[6, 6] == pytest.approx(0.0, abs=1e-12)  # nothing is left to vary
    assert np.isfinite(found.weights).all()


def test_errors_of_zero_and_values_that_are_there_give_what_exact_rows_do(generator):
    for family in FAMILIES:
        truth = naive.random_parameters(generator, family, 3, 3, spread=4.0)
        rows = naive.random_rows(generator, truth, 300)
        exact = sum_scores(truth, [ScoredRows(rows, None)])
        for n_errors in (3, 9):
            block = ScoredRows(np.hstack([rows, np.zeros((300, n_errors))]))
            found = sum_scores(truth, [block], n_errors=n_errors)
            for name in ("features", "products", "curvature", "scores"):
                np.testing.assert_allclose(getattr(found, name), getattr(exact, name), rtol=1e-9, atol=1e-9)


def test_a_feature_that_no_row_of_a_component_has_is_told(generator):
    truth = naive.random_parameters(generator, "full", 2, 2, spread=50.0)
    rows = naive.random_rows(generator, truth, 60)
    rows[:, 1] = np.nan
    with pytest.raises(
        SingularInformationError, match="components 0 and 1 have a feature, or two, that no row"
    ):
        uncertainty(truth, sum_scores(truth, [ScoredRows(rows, None)]), "information")


@pytest.mark.parametrize("family", ["full", "tied"])
def test_of_one_component_it_is_the_closed_form(generator, family):
    rows = generator.normal(size=(500, 3)) @ generator.normal(size=(3, 3))
    covariance = np.cov(rows.T, bias=True)
    own = covariance if family == "tied" else covariance[None]
    parameters = Parameters.from_covariances(family_named(family), np.ones(1), rows.mean(axis=0)[None], own)
    found = uncertainty(parameters, sum_scores(parameters, [ScoredRows(rows, None)]), "information")
    assert found.covariance[0, 0] == 0.0  # the weight is 1
    np.testing.assert_allclose(found.covariance[1:4, 1:4], covariance / 500, rtol=1e-9)
    _, _, variances = Layout(parameters.family, 1, 3).shaped(np.diagonal(found.covariance))
    variance = np.diagonal(covariance)
    np.testing.assert_allclose(
        variances.reshape(3, 3), (np.outer(variance, variance) + covariance**2) / 500, rtol=1e-9
    )
    np.testing.assert_allclose(found.covariance[1:4, 4:], 0.0, atol=1e-12)
    assert found.distance < 1e-6


def test_narrow_and_far_components_lose_no_digits(generator):
    """What is 1e5 widths from the centre of the rows: the same in coordinates of its own."""
    truth = naive.random_parameters(generator, "full", 2, 2, spread=4.0)
    rows = naive.random_rows(generator, truth, 500)
    far = replace(truth, means=truth.means + 2.0**20)
    moved = rows + 2.0**20
    exact = moved - 2.0**20
    near_by = uncertainty(truth, sum_scores(truth, [ScoredRows(exact, None)]), "information")
    found = uncertainty(
        replace(far, means=truth.means + 2.0**20), sum_scores(far, [ScoredRows(moved, None)]), "information"
    )
    near(found.covariance, near_by.covariance, 1e-6)
    scale = np.array([1e-6, 1e6])  # and whatever the units are
    scaled = Parameters.from_covariances(
        truth.family, truth.weights, truth.means * scale, truth.covariances * scale[:, None] * scale
    )
    in_units = uncertainty(
        scaled, sum_scores(scaled, [ScoredRows(rows * scale, None)]), "information"
    ).covariance
    plain = uncertainty(truth, sum_scores(truth, [ScoredRows(rows, None)]), "information").covariance
    units = [1, 1, *scale, *scale, *[scale[0] ** 2, scale[1] ** 2, 1.0] * 2]
    near(in_units / units / np.array(units)[:, None], plain, 1e-7)


def test_components_that_are_the_same_are_named(generator):
    rows = np.concatenate([generator.normal(size=(300, 1)), generator.normal(20, 1, (300, 1))])
    one, other = rows[:300], rows[300:]
    parameters = Parameters.from_covariances(
        family_named("diag"),
        np.array([0.25, 0.5, 0.25]),
        np.array([[one.mean()], [other.mean()], [one.mean()]]),
        np.array([[one.var()], [other.var()], [one.var()]]),
    )
    with pytest.raises(SingularInformationError, match="components 0 and 2 have") as error:
        uncertainty(parameters, sum_scores(parameters, [ScoredRows(rows, None)]), "information")
    assert error.value.components == (0, 2)
    again = pickle.loads(pickle.dumps(error.value))
    assert (str(again), again.components) == (str(error.value), (0, 2))


def test_a_component_with_fewer_rows_than_features_is_named(generator):
    rows = generator.normal(size=(300, 3))
    few = np.array([[50.0, 0, 0], [51.0, 1, 0]])
    covariance = np.cov(few.T, bias=True) + 1e-6 * np.eye(3)
    parameters = Parameters.from_covariances(
        family_named("full"),
        np.array([300, 2]) / 302,
        np.stack([rows.mean(axis=0), few.mean(axis=0)]),
        np.stack([np.cov(rows.T, bias=True), covariance]),
    )
    sums = sum_scores(parameters, [ScoredRows(np.concatenate([rows, few]), None)])
    with pytest.raises(SingularInformationError, match="component 1 has parameters") as error:
        uncertainty(parameters, sums, "information")
    assert error.value.components == (1,)


def test_components_without_rows_are_named(generator):
    rows = generator.normal(size=(100, 2))
    alone = naive.random_parameters(generator, "full", 1, 2)
    for weights in ([1.0, 0.0], [0.5, 0.5]):
        parameters = Parameters.from_covariances(
            alone.family,
            np.array(weights),
            np.stack([alone.means[0], alone.means[0] + 1e9]),
            np.concatenate([alone.covariances] * 2),
        )
        with pytest.raises(SingularInformationError, match="component 1 has no rows here"):
            uncertainty(parameters, sum_scores(parameters, [ScoredRows(rows, None)]), "information")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_vague_components_are_told(generator):
    rows = np.concatenate([generator.normal(size=(200, 1)), generator.normal(0.3, 1.1, (200, 1))])
    parameters = fitted("full", rows, 2, n_steps=1000)
    assert uncertainty(parameters, sum_scores(parameters, [ScoredRows(rows, None)]), "information").vague


def test_overflow_is_told(generator):
    parameters = naive.random_parameters(generator, "full", 1, 2)
    rows = np.concatenate([generator.normal(size=(10, 2)), [[1e100, 0.0]]])
    with pytest.raises(OverflowedError, match="rows lie too far"):
        uncertainty(parameters, sum_scores(parameters, [ScoredRows(rows, None)]), "information")
