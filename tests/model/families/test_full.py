import numpy as np
import pytest

from tests.model.families.groups import groups, maximized, within


@pytest.mark.parametrize("centred", [False, True])
def test_closed_form_of_divided_rows(centred):
    parts = groups()
    expected = within(parts)
    found = maximized("full", parts, centred=centred)
    np.testing.assert_allclose(found.covariances, expected, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(found.means, [part.mean(axis=0) for part in parts], rtol=1e-12)
    assert found.family.n_covariance_parameters(3, 4) == 3 * 10
