"""Linear steps before a mixture."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn import decomposition
from sklearn.frozen import FrozenEstimator
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PowerTransformer, StandardScaler

from dgmm import PCA, GaussianMixture
from dgmm.estimators.linear import linear_before_mixture


@pytest.fixture
def rows() -> np.ndarray:
    generator = np.random.default_rng(0)
    return generator.normal(size=(80, 5)) @ generator.normal(size=(5, 5)) + 1e6


@pytest.mark.parametrize(
    "steps",
    [
        [PCA(3)],
        [PCA(3, whiten=True)],
        [decomposition.PCA(3, whiten=True, svd_solver="full")],
        [StandardScaler(), PCA(4), "passthrough", PCA(2, whiten=True)],
        [StandardScaler(with_mean=False), make_pipeline(StandardScaler(with_std=False), PCA(0.9))],
    ],
    ids=["axes", "whitened", "scikit-learn", "scaled", "nested"],
)
def test_it_is_what_the_steps_make(steps, rows):
    pipeline = make_pipeline(*steps, GaussianMixture(random_state=0)).fit(rows)
    expected = pipeline[:-1].transform(rows)
    for given in (pipeline, FrozenEstimator(pipeline)):
        linear, mixture = linear_before_mixture(given)
        assert linear is not None
        assert mixture is pipeline[-1]
        assert_allclose(linear(rows), expected, rtol=1e-6, atol=1e-6)
        for feature, direction in enumerate(linear.directions):
            changed = rows.copy()
            changed[:, feature] += 2.0
            difference = pipeline[:-1].transform(changed) - expected
            assert_allclose(difference, np.tile(2.0 * direction, (80, 1)), rtol=1e-4, atol=1e-6)


def test_a_mixture_alone_has_nothing_before_it(rows):
    mixture = GaussianMixture(random_state=0).fit(rows)
    assert linear_before_mixture(FrozenEstimator(mixture)) == (None, mixture)
    assert linear_before_mixture(make_pipeline("passthrough", mixture)) == (None, mixture)


def test_what_is_not_linear_is_refused_with_advice(rows):
    bent = make_pipeline(PowerTransformer(), GaussianMixture(random_state=0)).fit(rows - 1e6)
    with pytest.raises(TypeError, match=r"PowerTransformer is not known to be linear.*FrozenEstimator\(pipe"):
        linear_before_mixture(bent)
    with pytest.raises(TypeError, match="needs a mixture, which KernelDensity is not"):
        linear_before_mixture(make_pipeline(PCA(2), KernelDensity()).fit(rows))
