# pyright: reportArgumentType=false
import numpy as np
import pytest

from dgmm.data import open_dataset
from dgmm.fitting.expectation import Data
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
        covariance_type, np.full(3, 1 / 3), np.array([cluster[0] for cluster in clusters]), broad
    )
    # Another model of the pass, that needs no second one, is as exact with it.
    wide = Parameters.from_covariances("diag", np.ones(1), rows[:1], np.full((1, 2), distance**2))
    step, other = data_of(rows).expectation_maximization([start, wide], 0.0)
    means, matrices = naive.moments_of_clusters(covariance_type, clusters)
    np.testing.assert_allclose(step.updated.covariance_matrices, matrices, rtol=0, atol=1e-9)
    assert np.all(abs(step.updated.means - means) <= 2 * np.spacing(distance))
    np.testing.assert_allclose(step.updated.weights, 1 / 3, rtol=1e-12)
    np.testing.assert_allclose(other.updated.covariances[0], rows.var(axis=0), rtol=1e-10)
    for model, evaluation in ((start, step), (wide, other)):
        assert evaluation.parameters is model
        direct = naive.split(naive.exact_log_joint(model, rows))[0].mean()
        np.testing.assert_allclose(evaluation.lower_bound, float(direct), rtol=1e-12)
