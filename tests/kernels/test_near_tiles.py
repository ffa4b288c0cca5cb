# pyright: reportPrivateUsage=false
"""Products of small matrices, and pairs of rows and components, against NumPy."""

import numpy as np
import pytest

near_tiles = pytest.importorskip("dgmm.kernels.near_tiles")

from dgmm.kernels import near  # noqa: E402
from tests.model import naive  # noqa: E402


def made(n_features, n_components, n_rows, seed=0):
    """A model as the loop takes it, its workspace, and rows."""
    generator = np.random.default_rng(seed)
    model = naive.random_parameters(generator, "full", n_components, n_features)
    factors = np.zeros((n_components, n_features, near._width(n_features)))
    factors[:, :, :n_features] = model.precisions_cholesky
    origins = generator.normal(size=model.means.shape)
    exact = near.Exact(model.means, origins, factors, model.log_constants, True)
    return model, exact, near.workspace(n_components, n_features), naive.random_rows(generator, model, n_rows)


@pytest.mark.parametrize("n_features", [1, 7, 8, 20, 33])
@pytest.mark.parametrize("n_rows", [1, 4, 63, 150])
def test_densities_are_those_of_the_formula(n_features, n_rows):
    model, exact, work, rows = made(n_features, 3, n_rows + 5)
    which = np.random.default_rng(1).permutation(len(rows))[:n_rows]
    for k in range(3):
        out = np.empty(n_rows)
        near_tiles._write_exact(rows, which, k, exact, work, out)
        np.testing.assert_allclose(out, naive.log_joint(model, rows[which])[:, k], rtol=1e-11)


@pytest.mark.parametrize("n_features", [1, 7, 8, 20, 33])
@pytest.mark.parametrize("n_rows", [1, 5, 64, 150])
def test_sums_are_of_products_of_deviations(n_features, n_rows):
    _, exact, work, rows = made(n_features, 2, n_rows)
    shares, side = np.random.default_rng(2).random(n_rows), -(-(n_features + 1) // 4) * 4
    total = np.zeros((side, side))
    near_tiles._add_products(rows, np.arange(n_rows), shares, 1, exact, work, total)
    own = np.concatenate([np.ones((n_rows, 1)), rows - exact.origins[1]], axis=1)
    found = np.triu(total[: n_features + 1, : n_features + 1])
    np.testing.assert_allclose(found, np.triu((own * shares[:, None]).T @ own), rtol=1e-11, atol=1e-12)


def test_pairs_are_those_above_the_limits():
    """All within the margin of what the component with the largest bound has, and the largest itself."""
    model, exact, work, rows = made(5, 7, 200)
    joint = naive.log_joint(model, rows).T
    bounds = (joint + np.random.default_rng(3).random(joint.shape)).astype(np.float32)
    winners = bounds.argmax(axis=0)
    limits = joint[winners, np.arange(200)] - 6.0
    wanted = bounds > limits
    number = near_tiles._find_pairs(rows, bounds.copy(), 6.0, exact, work)
    found = np.zeros(bounds.shape, bool)
    for k in range(7):
        found[k, work.rows[work.starts[k] : work.starts[k + 1]]] = True
        found[k, work.rows[200 + work.ends[k] : 200 + work.ends[k + 1]]] = True
    sure = np.abs(bounds - limits) > 1e-3
    np.testing.assert_array_equal(found[sure], wanted[sure])
    assert number == found.sum()
    reached = np.where(found, joint, -np.inf).max(axis=0)
    np.testing.assert_allclose(work.largest[:200], reached, rtol=1e-11)
