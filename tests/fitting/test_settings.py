"""What follows from the settings of a fit and the size of the rows."""

from dataclasses import replace

import numpy as np
import pytest

from dgmm.fitting.settings import Settings, default_sample_rows
from dgmm.fitting.starts.methods import GivenStart, StartMethod
from dgmm.fitting.steps.objective import Likelihood
from dgmm.model.families import family_named

OBJECTIVE = Likelihood(1e-6)


def settings_for(family="full", init_params="auto", **own) -> Settings:
    method = StartMethod(init_params, family_named(family), 3, OBJECTIVE)
    return replace(Settings(method, GivenStart(), "auto", None, 100, 1, 1000, OBJECTIVE), **own)


@pytest.mark.parametrize("n_features", [1, 100, 200, 5000])
def test_rows_in_memory_take_no_more_than_256_mib(n_features):
    n_rows = default_sample_rows(n_features)
    assert n_rows == 250_000 or (n_rows + 1) * n_features * 8 > 2**28
    assert n_rows * n_features * 8 <= 2**28


def test_starts_are_searched_for_where_rows_are_more_than_the_sample():
    assert settings_for().method_for(1000).init_params == "kmeans"
    assert settings_for().method_for(1001).init_params == "search"
    assert settings_for(given=GivenStart(means=np.zeros((3, 2)))).method_for(1001).init_params == "kmeans"
    assert settings_for(init_params="random").method_for(1001).init_params == "random"


@pytest.mark.parametrize(("family", "found"), [("full", "search"), ("diag", "kmeans")])
def test_matrices_of_many_features_are_made_for_families_that_have_them(family, found):
    assert settings_for(family).method_for(1001, 2048).init_params == "search"
    assert settings_for(family).method_for(1001, 2049).init_params == found


def test_starts_of_rows_in_memory_are_fitted_in_turn_and_others_share_passes():
    settings = settings_for(n_init=3, max_iter=20)
    assert (settings.most_iterations(1000), settings.most_iterations(1001)) == (60, 20)
    assert replace(settings, moves=True).most_iterations(1001) == 0  # which may ask for more
