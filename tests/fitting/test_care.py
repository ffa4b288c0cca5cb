"""What is said of a fitted mixture: nothing as a rule, and what is wrong where something is."""

import re

import numpy as np
import pytest

from dgmm import GaussianMixture, MixtureWarning
from dgmm.fitting.care import concerns
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import Moments


@pytest.fixture
def rows():
    return np.random.default_rng(0).normal(size=(500, 3))


def said(rows, reg_covar=1e-6, names=None, **own) -> tuple[str, ...]:
    weights = own.get("weights", np.array([0.5, 0.5]))
    widths = own.get("widths", np.ones((2, 3)))
    parameters = Parameters.from_covariances("diag", weights, np.zeros((2, 3)), widths)
    return concerns(parameters, own.get("found", [-3.0, -2.0]), Moments.of(rows), reg_covar, names)


def test_nothing(rows):
    assert said(rows) == ()
    assert said(rows, reg_covar=0.0) == ()


@pytest.mark.parametrize("names", [None, ("mass", "charge", "spin")])
def test_reg_covar_beside_a_features_variance(rows, names):
    scaled = rows * [1.0, 1e-3, 1.0]
    (message,) = said(scaled, names=names)
    feature = "1" if names is None else "'charge'"
    assert f"reg_covar=1e-06 is more than 1% of the variance of feature {feature}:" in message
    assert said(scaled * [1.0, 11.0, 1.0]) == ()
    assert said(scaled * [1.0, 0.0, 1.0]) == ()  # a constant feature has no scale


def test_a_component_that_reg_covar_holds_up(rows):
    (message,) = said(rows, widths=np.array([[1.0, 1.0, 1.0], [1.0, 1.5e-6, 1.0]]))
    assert message.startswith("component 1 collapsed")


def test_an_empty_component(rows):
    (message,) = said(rows, weights=np.array([0.999, 0.001]))
    assert message.startswith("component 1 has less than one row")


def test_a_fall(rows):
    (message,) = said(rows, found=[-3.0, -2.0, -2.5, -2.0, -2.1, -2.1000001])
    assert message.startswith("the log-likelihood fell in 2 of 6 iterations, by up to 0.5 nats a row")


def test_few_are_named():
    parameters = Parameters.from_covariances(
        "spherical", np.full(9, 1 / 9), np.zeros((9, 1)), np.full(9, 1e-6)
    )
    (message,) = concerns(parameters, [], Moments.of(np.arange(20.0)[:, None]), 1e-6, None)
    assert message.startswith("component 0, 1, 2, 3, 4 and 4 more collapsed")


def test_a_fit_warns_of_atoms(rows):
    """Half of the rows have one and the same value: a component ends on it."""
    rows[::2] = 7.0
    with pytest.warns(MixtureWarning, match=re.escape("collapsed, onto repeated values")) as caught:
        GaussianMixture(2, random_state=0).fit(rows)
    assert caught[0].filename == __file__
