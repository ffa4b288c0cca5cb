"""What is read of a model file is of the kind that an attribute has, or is refused."""

import numpy as np
import pytest

from dgmm import BayesianGaussianMixture, GaussianMixture
from dgmm.data import DataError
from dgmm.estimators.attributes import (
    ARRAY_PARAMETERS,
    ATTRIBUTES,
    attributes_read,
    check_array_parameters,
)

ROWS = np.random.default_rng(0).normal(size=(40, 2))


@pytest.mark.parametrize("kind", [GaussianMixture, BayesianGaussianMixture])
@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical", "tied_spherical"])
def test_all_that_a_fit_sets_is_kept_as_it_is(kind, covariance_type):
    mixture = kind(n_components=2, covariance_type=covariance_type, random_state=0, tol=1.0).fit(ROWS)
    fitted = {name: value for name, value in vars(mixture).items() if name[-1] == "_"}
    found = attributes_read(fitted)
    assert found.keys() == fitted.keys() <= ATTRIBUTES.keys()
    for name, value in fitted.items():
        np.testing.assert_array_equal(found[name], value)


@pytest.mark.parametrize("name", ["__class__", "_parameters", "fit", "predict", "means", "n_components", ""])
def test_no_other_attribute_is_set(name):
    with pytest.raises(DataError, match="no mixture has the attribute"):
        attributes_read({name: 1})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("means_", [["1.0", "2.0"]]),
        ("means_", np.array([[1j]])),
        ("means_", [[1.0], [2.0, 3.0]]),
        ("weights_", [True]),
        ("weights_", None),
        ("n_iter_", 2.5),
        ("n_iter_", -1),
        ("n_iter_", True),
        ("lower_bound_", "high"),
        ("lower_bound_", False),
        ("converged_", 1),
        ("stop_reason_", 3),
        ("lower_bounds_", "123"),
        ("lower_bounds_", [1.0, "2"]),
        ("search_", "thorough"),
        ("search_", {"n_starts": 1, "n_optima": 1, "n_best": 1, "unseen": 1.5, "n_evaluations": 0}),
        ("search_", {"n_starts": -1, "n_optima": 1, "n_best": 1, "unseen": 0.5, "n_evaluations": 0}),
        ("search_", {"n_starts": 1, "unseen": 0.5}),
        ("history_", [1.0]),
        ("history_", {"seconds": 1.0}),
        ("feature_names_in_", [1, 2]),
        ("feature_names_in_", "ab"),
        ("data_changes_", "all"),
        ("degrees_of_freedom_", True),
        ("mean_precision_prior_", [1.0]),
    ],
)
def test_a_value_of_another_kind_is_refused(name, value):
    with pytest.raises(DataError, match=f"^{name} is "):
        attributes_read({name: value})


@pytest.mark.parametrize("name", ARRAY_PARAMETERS)
def test_parameters_are_finite_numbers(name):
    check_array_parameters({name: None})
    check_array_parameters({name: [1.0, 2.0]})
    for bad in (["a"], [np.nan], [[1.0], [2.0, 3.0]], {"a": 1}, [1j]):
        with pytest.raises(DataError, match=f"{name} holds values that are not finite numbers"):
            check_array_parameters({name: bad})
