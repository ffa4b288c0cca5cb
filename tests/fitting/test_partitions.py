"""What is kept of rows, partition by partition, against the rows themselves."""

from dataclasses import replace

import numpy as np
import pytest

from dgmm.data import DataError, open_dataset
from dgmm.fitting.partitions import Partition, PartitionSums
from dgmm.fitting.steps.objective import Likelihood
from dgmm.fitting.updating import partition_of
from dgmm.model.parameters import Parameters
from tests.model import naive

OBJECTIVE = Likelihood(1e-6)
each_family = pytest.mark.parametrize("covariance_type", naive.COVARIANCE_TYPES)


def added(rows: np.ndarray, parameters: Parameters, name: str) -> Partition:
    return partition_of(open_dataset(rows), None, parameters, name, missing="error", sample_rows=10_000)


@pytest.fixture
def days(generator: np.random.Generator) -> list[np.ndarray]:
    truth = naive.random_parameters(generator, "full")
    return [naive.random_rows(generator, truth, n_rows) for n_rows in (200, 50, 80, 1)]


def kept_of(days: list[np.ndarray], parameters: Parameters) -> PartitionSums:
    partitions = [added(rows, parameters, f"day {number}") for number, rows in enumerate(days)]
    return PartitionSums(tuple(partitions), parameters, -1.5)


@each_family
def test_the_bound_is_that_of_the_responsibilities(generator, covariance_type, days):
    """Neal and Hinton's: the expected log joint density, and the entropy of the responsibilities."""
    first, second = (naive.random_parameters(generator, covariance_type) for _ in range(2))
    kept = replace(
        kept_of(days[:1], first),
        partitions=(added(days[0], first, "fit"), added(days[1], second, "monday")),
        fitted=None,
    )
    model = kept.model(OBJECTIVE)
    expected, log_likelihood = 0.0, 0.0
    for rows, parameters in zip(days, (first, second), strict=False):
        shares = naive.split(naive.log_joint(parameters, rows))[1]
        log_shares = np.log(np.maximum(shares, 1e-300))
        expected += (shares * (naive.log_joint(model, rows) - log_shares)).sum()
        log_likelihood += naive.split(naive.log_joint(model, rows))[0].sum()
    found = kept.lower_bound(model, OBJECTIVE)
    assert found == pytest.approx(expected / 250, rel=1e-9)
    assert found <= log_likelihood / 250


@each_family
def test_a_partition_taken_out_was_never_there(generator, covariance_type, days):
    kept = kept_of(days, naive.random_parameters(generator, covariance_type))
    without = kept.without("day 2")
    never = replace(kept, partitions=tuple(each for each in kept.partitions if each.name != "day 2"))
    assert without == never
    own, other = (each.model(OBJECTIVE) for each in (without, never))
    for name in ("weights", "means", "covariances", "precisions_cholesky"):
        np.testing.assert_array_equal(getattr(own, name), getattr(other, name))
    alone = kept.without("day 1").without("day 3").without("day 2")
    assert alone.is_as_fitted
    assert alone.model(OBJECTIVE) is kept.fitted
    assert alone.lower_bound(own, OBJECTIVE) == -1.5
    assert kept.without("day 0").fitted is None


@pytest.mark.parametrize("decay", [0.6, 1.0])
@each_family
def test_a_batch_is_a_step_of_stepwise_em(generator, covariance_type, days, decay):
    parameters = naive.random_parameters(generator, covariance_type)
    kept, batch = kept_of(days[:2], parameters), added(days[2], parameters, "")
    shares = [naive.split(naive.log_joint(parameters, rows))[1] for rows in days[:3]]
    step = (80 / 330) ** decay  # mean statistics a row move towards the batch's
    weights = np.repeat([(1.0 - step) / 250, (1.0 - step) / 250, step / 80], [200, 50, 80])
    expected = naive.maximized(
        covariance_type, np.concatenate(days[:3]), np.concatenate(shares), 330 * weights, 1e-6
    )
    streamed = kept.streamed(batch, decay)
    found = streamed.model(OBJECTIVE)
    np.testing.assert_allclose(found.weights, expected[0], rtol=1e-12)
    np.testing.assert_allclose(found.means, expected[1], rtol=1e-9)
    np.testing.assert_allclose(naive.matrices_of(found), expected[2], rtol=1e-10, atol=1e-11)
    (stream,) = streamed.partitions
    assert (stream.n_rows, stream.weight, stream.rows) == (330, 330.0, "")
    assert stream.statistics.counts.sum() == pytest.approx(330.0)


def test_what_is_refused(generator, days):
    kept = kept_of(days[:2], naive.random_parameters(generator, "diag"))
    with pytest.raises(DataError, match="no partition 'tuesday': there are 'day 0', 'day 1'"):
        kept.without("tuesday")
    with pytest.raises(DataError, match="'day 0' are all that the mixture has"):
        kept.without("day 1").without("day 0")
    for name, what in (("day 1", "taken"), ("", "empty")):
        with pytest.raises(DataError, match=f"name '{name}' of a partition is {what}"):
            kept.check_name(name)


def test_names_that_updates_get(generator, days):
    kept = kept_of(days[:1], naive.random_parameters(generator, "diag"))
    (fit,) = kept.partitions
    assert kept.unused_name() == "update 1"
    kept = kept.with_added(replace(fit, name="update 1")).with_added(replace(fit, name="update 2"))
    assert kept.unused_name() == "update 3"
    assert kept.without("update 1").unused_name() == "update 1"
    assert kept.known(fit.rows, fit.row_weights) == "update 2"  # the last of them
    assert kept.known(fit.rows, "1x1-float64-0") is None


def test_the_same_is_kept(generator, days):
    parameters = naive.random_parameters(generator, "tied")
    kept = kept_of(days[:2], parameters)
    again = PartitionSums(tuple(replace(each) for each in kept.partitions), replace(parameters), -1.5)
    assert kept == again
    assert hash(kept) == hash(again)
    other = replace(kept.partitions[1], weight=50.5)
    assert kept != replace(kept, partitions=(kept.partitions[0], other))
    assert kept != kept.without("day 1")
    assert kept != "kept"


@each_family
def test_components_in_another_order(generator, covariance_type, days):
    kept = replace(kept_of(days, naive.random_parameters(generator, covariance_type)), fitted=None)
    found, own = kept.reordered([2, 0, 1]).model(OBJECTIVE), kept.model(OBJECTIVE)
    np.testing.assert_array_equal(found.means, own.means[[2, 0, 1]])
    np.testing.assert_allclose(found.covariances, own.chosen([2, 0, 1]).covariances, rtol=1e-12)
