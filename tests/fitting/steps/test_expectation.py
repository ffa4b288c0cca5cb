# pyright: reportArgumentType=false
import numpy as np
import pytest

from dgmm.data import open_dataset
from dgmm.fitting.steps.expectation import Data, Evaluation
from dgmm.fitting.steps.objective import Likelihood
from dgmm.model.families import FAMILIES
from dgmm.model.matrices import DegenerateCovarianceError
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import Moments
from tests.model import naive

pytestmark = pytest.mark.usefixtures("small_spans")


def data_of(rows):
    return Data(open_dataset(rows), None, Moments.of(rows))


@pytest.mark.parametrize("covariance_type", naive.COVARIANCE_TYPES)
@pytest.mark.parametrize("distance", [1e6, 3e7, 1e8])
def test_one_step_from_a_broad_start_is_exact_however_far_clusters_are_apart(
    generator, covariance_type, distance
):
    """Unit widths; the sums about the centre of all rows have cancelled, and are taken again."""
    corners = distance * np.array([[0.0, 0.0], [1.0, 0.0], [-1.0, 1.0]])
    clusters = [corner + generator.normal(size=(500, 2)) * [1.0, 0.7] for corner in corners]
    rows = generator.permutation(np.concatenate(clusters))
    broad = naive.covariances_of(covariance_type, np.stack([np.eye(2) * (distance / 20) ** 2] * 3))
    start = Parameters.from_covariances(
        FAMILIES[covariance_type], np.full(3, 1 / 3), np.array([cluster[0] for cluster in clusters]), broad
    )
    # Another model of the pass, that needs no second one, is as exact with it.
    wide = Parameters.from_covariances(FAMILIES["diag"], np.ones(1), rows[:1], np.full((1, 2), distance**2))
    step, other = data_of(rows).evaluate([start, wide], Likelihood(0.0))
    means, matrices = naive.moments_of_clusters(covariance_type, clusters)
    np.testing.assert_allclose(step.updated.covariance_matrices, matrices, rtol=0, atol=1e-9)
    assert np.all(abs(step.updated.means - means) <= 2 * np.spacing(distance))
    np.testing.assert_allclose(step.updated.weights, 1 / 3, rtol=1e-12)
    np.testing.assert_allclose(other.updated.covariances[0], rows.var(axis=0), rtol=1e-10)
    for model, evaluation in ((start, step), (wide, other)):
        assert evaluation.parameters is model
        direct = naive.split(naive.exact_log_joint(model, rows))[0].mean()
        np.testing.assert_allclose(evaluation.lower_bound, float(direct), rtol=1e-12)


def test_one_degenerate_model_leaves_the_others_theirs():
    generator = np.random.default_rng(0)
    rows = np.concatenate([generator.normal(size=(200, 2)), np.full((1, 2), 50.0)])
    data = data_of(rows)
    means = np.array([[0.0, 0.0], [50.0, 50.0]])
    lonely = Parameters.from_covariances(FAMILIES["full"], np.full(2, 0.5), means, np.stack([np.eye(2)] * 2))
    good = naive.random_parameters(generator, "diag", 2, 2)
    first, failed, last = data.evaluate_each([good, lonely, good], Likelihood(0.0))
    assert isinstance(failed, DegenerateCovarianceError)
    (expected,) = data.evaluate([good], Likelihood(0.0))
    for found in (first, last):
        assert isinstance(found, Evaluation)
        assert found.lower_bound == pytest.approx(expected.lower_bound, rel=1e-13)
        np.testing.assert_allclose(found.updated.covariances, expected.updated.covariances, rtol=1e-10)


def test_models_whose_sums_cancel_are_taken_again_alone():
    generator = np.random.default_rng(0)
    rows = np.concatenate([generator.normal(size=(200, 1)), 1e8 + generator.normal(size=(200, 1))])
    data = data_of(rows)
    wide, weights = np.full((2, 1, 1), 1e12), np.full(2, 0.5)
    far = Parameters.from_covariances(FAMILIES["full"], weights, np.array([[0.0], [1e8]]), wide)
    single = Parameters.from_covariances(
        FAMILIES["full"], np.ones(1), rows.mean(axis=0)[None], np.full((1, 1, 1), 2e15)
    )
    found = data.evaluate_each([single, far], Likelihood(0.0))
    (expected,) = data.evaluate([far], Likelihood(0.0))
    assert isinstance(found[1], Evaluation)
    np.testing.assert_allclose(found[1].updated.covariances, expected.updated.covariances, rtol=1e-9)
    assert found[1].updated.covariances.max() < 2.0
