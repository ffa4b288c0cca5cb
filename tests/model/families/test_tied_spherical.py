import numpy as np
import pytest

from tests.model.families.groups import SIZES, groups, maximized, within


@pytest.mark.parametrize("centred", [False, True])
def test_closed_form_of_divided_rows(centred):
    parts = groups()
    expected = np.average(np.einsum("kii->k", within(parts)) / 4, weights=SIZES)
    found = maximized("tied_spherical", parts, centred=centred)
    np.testing.assert_allclose(found.covariances, expected, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(found.means, [part.mean(axis=0) for part in parts], rtol=1e-12)
    assert found.family.n_covariance_parameters(3, 4) == 1  # as mclust counts them


def test_one_component_is_the_mean_variance():
    (rows,) = groups()[:1]
    np.testing.assert_allclose(
        maximized("tied_spherical", [rows]).covariances, rows.var(axis=0).mean(), rtol=1e-12
    )
