"""scikit-learn's own tests of its mixtures, as installed, with dgmm's classes in the place of its own.

Nothing of them is copied: the installed modules are run anew with other globals, so that what a new version
adds or changes is run too, each parametrized case, and in float32 as in float64.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import sklearn.mixture

import dgmm

MODULES = ("test_gaussian_mixture", "test_bayesian_mixture", "test_mixture")

PRIVATE = {
    # They call `_initialize`, `_set_parameters` or `_initialize_parameters` of an estimator, which are
    # scikit-learn's own and no part of what it promises.
    "test_gaussian_mixture_precisions_init",
    "test_compare_covar_type",
    # It counts the calls of a private function of scikit-learn's.
    "test_gaussian_mixture_all_init_does_not_estimate_gaussian_parameters",
    # Of arrays of other libraries (PyTorch, CuPy), which scikit-learn takes where the user has set it so.
    "test_gaussian_mixture_array_api_compliance",
    "test_gaussian_mixture_raises_where_array_api_not_implemented",
}
"""Tests of what dgmm does not have."""

pytestmark = pytest.mark.filterwarnings("ignore")  # what its tests provoke is theirs


def module_with_our_classes(name: str) -> ModuleType:
    """Run a test module of scikit-learn's where `sklearn.mixture` has dgmm's classes."""
    spec = importlib.util.find_spec(f"sklearn.mixture.tests.{name}")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patched:
        for each in ("GaussianMixture", "BayesianGaussianMixture"):
            patched.setattr(sklearn.mixture, each, getattr(dgmm, each))
        spec.loader.exec_module(module)
    return module


def cases_of(name: str) -> Iterator[tuple[str, Callable[..., Any]]]:
    for test, function in vars(module_with_our_classes(name)).items():
        if test.startswith("test_") and callable(function) and test not in PRIVATE:
            yield f"{test}__of_{name}", function


for module in MODULES:
    globals().update(cases_of(module))


@pytest.fixture
def global_random_seed() -> int:
    """The seed that scikit-learn's tests are given by default."""
    return 42


@pytest.fixture(params=[np.float64, np.float32])
def global_dtype(request: pytest.FixtureRequest) -> Any:
    """The dtypes that they are given, of which float32 is skipped by default there."""
    return request.param


def test_the_classes_are_ours_and_what_is_left_out_is_there():
    """A new version that renames tests, or imports its classes otherwise, is to be seen here."""
    modules = {name: module_with_our_classes(name) for name in MODULES}
    assert modules["test_gaussian_mixture"].GaussianMixture is dgmm.GaussianMixture
    assert modules["test_bayesian_mixture"].BayesianGaussianMixture is dgmm.BayesianGaussianMixture
    assert set().union(*map(vars, modules.values())) >= PRIVATE
    assert sklearn.mixture.GaussianMixture is not dgmm.GaussianMixture
