"""Rows in memory: responsibilities, and which precision serves them."""

import numpy as np
import pytest

from dgmm.fitting.steps.in_memory import InMemory
from dgmm.model.families import FAMILIES
from dgmm.model.parameters import Parameters
from tests.fitting.steps.test_climb import rows_and_starts
from tests.model import naive


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_responsibilities(dtype):
    rows, (mixture, *_) = rows_and_starts("full")
    log_joint = naive.log_joint(mixture, rows.astype(dtype).astype(np.float64))
    expected = np.exp(log_joint - np.logaddexp.reduce(log_joint, axis=1, keepdims=True))
    found = InMemory.of(rows.astype(dtype)).responsibilities(mixture)
    np.testing.assert_allclose(found.T, expected, atol=1e-10 if dtype == np.float64 else 1e-3)


def test_float32_serves_a_narrow_component_but_not_where_it_would_be_wrong():
    """Rows far away do not matter to it; its own do, and these are far from the centre in the other case."""
    generator = np.random.default_rng(4)
    rows = np.concatenate([generator.normal(size=(500, 2)), [[100.0, 100.0], [-100.0, -100.0]]])
    data = InMemory.of(rows.astype(np.float32))
    for place, expected in ((0.0, np.float32), (99.0, np.float64)):
        model = Parameters.from_covariances(
            FAMILIES["full"],
            np.full(2, 0.5),
            np.array([[0.0, 0.0], [place, place]]),
            np.stack([np.eye(2), np.eye(2) * 1e-3]),
        )
        assert data.stack([model]).dtype == expected
