"""Rows held out: which, and their scores against the plain computation."""

import numpy as np
import pytest

from dgmm.data.memory import MemorySource
from dgmm.fitting.steps.objective import Likelihood
from dgmm.fitting.survey import survey
from dgmm.fitting.sweep.held_out import HeldOut, SplitData, score
from dgmm.fitting.sweep.scores import score_models
from dgmm.kernels.densities import log_densities
from dgmm.model.generate import sample_shuffled
from tests.model import naive


def data_of(rows, weights, held_out):
    source = MemorySource(rows)
    own = None if weights is None else MemorySource(weights[:, None])
    return SplitData(source, own, survey(source, 10, 0, own, held_out).moments, held_out)


def test_which_rows_depend_on_the_seed_and_their_numbers_alone():
    held_out = HeldOut(7, 0.2)
    whole = held_out(0, 20_000)
    np.testing.assert_array_equal(np.concatenate([held_out(0, 777), held_out(777, 19_223)]), whole)
    np.testing.assert_array_equal(held_out.among(np.array([5, 3, 19_999])), whole[[5, 3, 19_999]])
    assert whole.mean() == pytest.approx(0.2, abs=0.01)
    other = HeldOut(8, 0.2)(0, 20_000)
    assert (whole & other).mean() == pytest.approx(0.04, abs=0.01)


def test_which_rows_do_not_depend_on_which_are_in_the_sample():
    rows = np.zeros((20_000, 1))
    sample = survey(MemorySource(rows), 4000, 7).sample
    assert HeldOut(7, 0.2).among(sample.numbers).mean() == pytest.approx(0.2, abs=0.025)


@pytest.mark.usefixtures("small_spans")
@pytest.mark.parametrize("covariance_type", naive.COVARIANCE_TYPES)
@pytest.mark.parametrize("weighted", [False, True])
def test_scores_and_statistics_are_those_of_either_part(covariance_type, weighted):
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(5000, 3)) + 2.0
    weights = generator.exponential(size=5000) if weighted else None
    held_out = HeldOut(1, 0.3)
    held = held_out(0, 5000)
    model = naive.random_parameters(generator, covariance_type, 4, 3)
    data = data_of(rows, weights, held_out)
    (found,) = score_models(data, [model])

    fitted = np.ones(5000) if weights is None else weights
    fitted, tested = fitted[~held], fitted[held]
    densities = log_densities(model, rows)
    assert found.weight == pytest.approx(fitted.sum())
    assert found.log_likelihood == pytest.approx(np.average(densities[~held], weights=fitted), rel=1e-12)
    mean = np.average(densities[held], weights=tested)
    assert found.held_out == pytest.approx(mean, rel=1e-12)
    alone = score(model, rows[held], None if weights is None else tested).mean_and_error
    assert (found.held_out, found.held_out_error) == pytest.approx(alone, rel=1e-9)

    (evaluation,) = data.evaluate([model], Likelihood(1e-6))
    alone = data_of(rows[~held], None if weights is None else fitted, HeldOut(1, 0.0))
    (expected,) = alone.evaluate([model], Likelihood(1e-6))
    np.testing.assert_allclose(evaluation.updated.means, expected.updated.means, rtol=1e-10)
    np.testing.assert_allclose(evaluation.updated.covariances, expected.updated.covariances, rtol=1e-9)


def test_no_rows_and_one_row():
    model = naive.random_parameters(np.random.default_rng(0), "full", 2, 2)
    assert np.isnan(score(model, np.empty((0, 2)), None).mean_and_error).all()
    assert np.isnan(score(model, np.zeros((3, 2)), np.zeros(3)).mean_and_error).all()
    for rows, weights in ((1, None), (1, [0.1]), (4, [0.0, 0.3, 0.0, 0.0])):
        found = score(model, np.zeros((rows, 2)), None if weights is None else np.array(weights))
        mean, error = found.mean_and_error
        assert np.isfinite(mean)
        assert np.isnan(error)


@pytest.mark.parametrize("weights", ["none", "some without", "uneven", "many times"])
def test_the_standard_error_is_that_of_means_of_other_rows(weights):
    """Drawn again and again, means of as many rows with the same weights lie as far apart."""
    generator = np.random.default_rng(0)
    model = naive.random_parameters(generator, "full", 2, 2)
    own = {
        "none": None,
        "some without": np.repeat([1.0, 0.0], [30, 50]),
        "uneven": generator.exponential(size=40) ** 2,
        "many times": np.full(40, 1e5),
    }[weights]
    drawn = sample_shuffled(model, 4000 * (40 if own is None else len(own)), generator)[0]
    found = np.array([score(model, rows, own).mean_and_error for rows in np.array_split(drawn, 4000)])
    means, errors = found.T
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(means.std(), rel=0.06)


def test_rows_without_weight_are_as_if_not_there():
    model = naive.random_parameters(np.random.default_rng(0), "full", 2, 2)
    rows, weights = np.random.default_rng(1).normal(size=(50, 2)), np.repeat([0.7, 0.0], 25)
    beside, alone = score(model, rows, weights), score(model, rows[:25], None)
    assert beside.mean_and_error == pytest.approx(alone.mean_and_error, rel=1e-12)
