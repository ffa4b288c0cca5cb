"""From the parameters of a sweep to its settings."""
# pyright: reportArgumentType=false

import numpy as np
import pytest

from dgmm import GaussianMixtureSweep
from dgmm.estimators.sweep_settings import HELD_OUT, models_of, settings_of


def test_models_are_those_of_each_covariance_type_from_few_components_to_many():
    sweep = GaussianMixtureSweep([3, 1, 3], covariance_type=("diag", "full", "diag"))
    assert models_of(sweep) == [("diag", 1), ("diag", 3), ("full", 1), ("full", 3)]
    assert models_of(GaussianMixtureSweep(np.int64(2), covariance_type="tied")) == [("tied", 2)]


@pytest.mark.parametrize("criterion", ["bic", "held-out"])
def test_rows_are_held_out_where_the_criterion_is_of_them(criterion):
    sweep = GaussianMixtureSweep(2, covariance_type="full", criterion=criterion, random_state=3)
    found = settings_of(sweep, models_of(sweep), 2, 600)
    assert found.held_out == (HELD_OUT if criterion == "held-out" else 0.0)
    assert found.seed == 3
    assert [(each.method.family.name, each.method.n_components) for each in found.models] == [("full", 2)]


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"n_components": []}, "at least one value"),
        ({"n_components": range(1, 1)}, "at least one value"),
        ({"n_components": [0, 1]}, "whole numbers of at least 1, not 0"),
        ({"n_components": [1.5]}, "whole numbers of at least 1, not 1.5"),
        ({"covariance_type": "round"}, "'round' is not one of full"),
        ({"covariance_type": ("full", "round")}, "'round' is not one of full"),
        ({"criterion": "best"}, "'criterion' parameter"),
        ({"criterion": "held-out", "held_out": 0.0}, "give held_out more than 0"),
        ({"held_out": 1.0}, "'held_out' parameter"),
        ({"sample_rows": 5}, "sample_rows=5 is less than 10"),
        ({"sample_rows": 100, "init_params": "k-means||"}, "takes passes of its own"),
    ],
)
def test_bad_parameters(own, message):
    with pytest.raises(ValueError, match=message):
        GaussianMixtureSweep(**own).fit(np.arange(1200.0).reshape(600, 2))
