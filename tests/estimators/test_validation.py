"""Parameters given as masked arrays: what is masked is missing."""

import numpy as np
import pytest

from dgmm import BayesianGaussianMixture, GaussianMixture


def rows():
    draw = np.random.default_rng(2)
    return np.concatenate([draw.normal(0, 1, (70, 2)), draw.normal(9, 1, (50, 2))])


MASKED_ROW = np.ma.array([99.0, 9.0], mask=[True, False])
MASKED_MATRIX = np.ma.array(np.eye(2), mask=[[False, True], [False, False]])


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (
            {"means_init": np.ma.array([[0.0, 0.0], [99.0, 9.0]], mask=[[False, False], [True, False]])},
            GaussianMixture,
        ),
        ({"means_init": [[0.0, 0.0], MASKED_ROW]}, GaussianMixture),
        ({"weights_init": np.ma.array([0.5, 0.5], mask=[False, True])}, GaussianMixture),
        ({"weights_init": [0.5, np.ma.masked]}, GaussianMixture),
        ({"precisions_init": np.ma.stack([MASKED_MATRIX, MASKED_MATRIX])}, GaussianMixture),
        ({"mean_prior": MASKED_ROW}, BayesianGaussianMixture),
        ({"covariance_prior": MASKED_MATRIX}, BayesianGaussianMixture),
    ],
    ids=lambda given: next(iter(given)) if isinstance(given, dict) else "",
)
def test_masked_parameters_are_refused(given, kind):
    (name,) = given
    with pytest.raises((ValueError, TypeError), match=f"{name}.*mask"):
        kind(n_components=2, random_state=0, **given).fit(rows())


def test_masked_weights_are_refused():
    weights = np.ma.array(np.ones(120), mask=np.arange(120) == 7)
    for given in (weights, list(weights)):
        with pytest.raises(ValueError, match="mask"):
            GaussianMixture(2).fit(rows(), sample_weight=given)


def test_lists_of_masked_rows_are_refused():
    masked = np.ma.masked_greater(rows(), 10.0)
    assert masked.mask.any()
    for given in (list(masked), tuple(masked), [list(row) for row in masked]):
        with pytest.raises((ValueError, TypeError), match="mask"):
            GaussianMixture(1).fit(given)
