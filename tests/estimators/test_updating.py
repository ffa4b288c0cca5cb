# pyright: reportAttributeAccessIssue=false, reportArgumentType=false
"""Rows in and out of a mixture: against EM over all rows, and against naive incremental and stepwise EM."""

import copy
import warnings

import dask.array as da
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import dgmm
from dgmm import BayesianGaussianMixture, GaussianMixture
from dgmm.data import DataError
from dgmm.estimators.base import MixtureWarning
from tests.model import naive

PARAMETERS = ("weights_", "means_", "covariances_", "precisions_cholesky_")
FIGURES = ("lower_bound_", "elbo_", "effective_components_")

each_family = pytest.mark.parametrize("covariance_type", naive.COVARIANCE_TYPES)
each_class = pytest.mark.parametrize("kind", [GaussianMixture, BayesianGaussianMixture])


@pytest.fixture
def days(generator: np.random.Generator) -> list[np.ndarray]:
    """Rows of three clusters that move a little, day by day."""
    truth = np.array([[0.0, 0.0], [6.0, 3.0], [-5.0, 4.0]])
    return [
        truth[generator.choice(3, n_rows, p=[0.5, 0.3, 0.2])] + 0.1 * day + generator.normal(size=(n_rows, 2))
        for day, n_rows in enumerate((300, 60, 40, 50, 70))
    ]


def fitted(rows, kind=GaussianMixture, covariance_type="full", **settings):
    return kind(n_components=3, covariance_type=covariance_type, random_state=0, **settings).fit(rows)


def parameters_of(mixture):
    return {
        name: np.copy(getattr(mixture, name)) for name in (*PARAMETERS, *FIGURES) if hasattr(mixture, name)
    }


def assert_same_bits(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def shares_of(mixture, rows):
    return naive.split(naive.log_joint(mixture._parameters, rows))[1]


@each_family
def test_an_update_is_the_step_of_em_over_all_rows(covariance_type, days, generator):
    """From the fitted parameters: rows that were there are not read, and nothing is lost by that."""
    weights = generator.uniform(0.5, 2.0, 360)
    mixture = GaussianMixture(3, covariance_type=covariance_type, random_state=0)
    mixture.fit(days[0], sample_weight=weights[:300])
    rows = np.concatenate(days[:2])
    expected = naive.maximized(covariance_type, rows, shares_of(mixture, rows), weights, 1e-6)
    mixture.update(days[1], weights[300:])
    np.testing.assert_allclose(mixture.weights_, expected[0], rtol=1e-12)
    np.testing.assert_allclose(mixture.means_, expected[1], rtol=1e-12)
    np.testing.assert_allclose(naive.matrices_of(mixture._parameters), expected[2], rtol=1e-10, atol=1e-12)
    per_row = mixture.score_samples(rows) @ weights / weights.sum()
    assert mixture.lower_bound_ <= per_row
    assert mixture.lower_bound_ == pytest.approx(per_row, abs=1e-3)
    assert (mixture.n_features_in_, mixture.n_iter_) == (2, len(mixture.lower_bounds_))


@each_family
def test_updates_are_naive_incremental_em(covariance_type, days):
    mixture = fitted(days[0], covariance_type=covariance_type)
    shares = [shares_of(mixture, days[0])]
    for number, rows in enumerate(days[1:], start=1):
        shares.append(shares_of(mixture, rows))  # those of earlier days stay
        mixture.update(rows)
        everything = np.concatenate(days[: number + 1])
        expected = naive.maximized(covariance_type, everything, np.concatenate(shares), None, 1e-6)
        np.testing.assert_allclose(mixture.means_, expected[1], rtol=1e-12)
        np.testing.assert_allclose(
            naive.matrices_of(mixture._parameters), expected[2], rtol=1e-10, atol=1e-12
        )
    assert [(each.name, each.n_rows) for each in mixture.partitions_] == [
        ("fit", 300),
        *[(f"update {number}", len(rows)) for number, rows in enumerate(days[1:], start=1)],
    ]
    assert mixture.lower_bound_ <= mixture.score(np.concatenate(days))


@each_family
def test_a_bayesian_update_is_the_step_over_all_rows(covariance_type, days):
    mixture = fitted(days[0], BayesianGaussianMixture, covariance_type)
    other = copy.deepcopy(mixture).set_params(
        warm_start=True,
        max_iter=1,
        mean_prior=mixture.mean_prior_,
        covariance_prior=mixture.covariance_prior_,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other.fit(np.concatenate(days[:2]))
    mixture.update(days[1])
    for name in ("weights_", "means_", "covariances_", "mean_precision_", "degrees_of_freedom_"):
        np.testing.assert_allclose(getattr(mixture, name), getattr(other, name), rtol=1e-10, atol=1e-12)
    # Both are of the responsibilities before the step; scikit-learn's is no bound by what reg_covar adds.
    assert mixture.lower_bound_ == pytest.approx(other.lower_bound_, abs=1e-3)
    assert mixture.elbo_ == pytest.approx(other.elbo_, abs=1e-3)
    assert mixture.mean_precision_.sum() == pytest.approx(360 + 3)


@each_family
@each_class
def test_an_update_is_forgotten_to_the_last_bit(kind, covariance_type, days):
    mixture = fitted(days[0], kind, covariance_type)
    as_fitted = parameters_of(mixture)
    once = parameters_of(mixture.update(days[1]))
    mixture.update(days[2]).update(days[3])
    assert_same_bits(parameters_of(mixture.forget(days[3]).forget(name="update 2")), once)
    assert_same_bits(parameters_of(mixture.forget(days[1])), as_fitted)
    assert_same_bits(parameters_of(mixture.update(days[1])), once)


def test_forgetting_one_day_of_five_is_never_having_added_it(days):
    """The days after it keep the responsibilities that they were given, which it had a part in."""
    mixture = fitted(days[0])
    shares = [shares_of(mixture, days[0])]
    for rows in days[1:]:
        shares.append(shares_of(mixture, rows))
        mixture.update(rows)
    mixture.forget(days[2])
    kept = [0, 1, 3, 4]
    rows, own = (np.concatenate([each[day] for day in kept]) for each in (days, shares))
    weights, means, matrices = naive.maximized("full", rows, own, None, 1e-6)
    np.testing.assert_allclose(mixture.weights_, weights, rtol=1e-12)
    np.testing.assert_allclose(mixture.means_, means, rtol=1e-12)
    np.testing.assert_allclose(mixture.covariances_, matrices, rtol=1e-10)
    alone = fitted(days[0]).update(days[1]).forget(days[0])  # the rows of the fit, too
    expected = naive.maximized("full", days[1], shares[1], None, 1e-6)
    np.testing.assert_allclose(alone.means_, expected[1], rtol=1e-12)
    with pytest.raises(DataError, match="all that the mixture has"):
        alone.forget(days[1])


def test_what_was_never_added_is_refused_and_nothing_is_lost(days, generator):
    mixture = fitted(days[0]).update(days[1], generator.uniform(1, 2, 60), name="monday")
    before, partitions = parameters_of(mixture), mixture.partitions_
    for rows, weights in (
        (days[2], None),  # never there
        (days[1][:30], None),  # a part
        (days[1], None),  # with other weights
        (days[0][::-1], None),  # in another order
        (days[0].astype(np.float32), None),
        (np.concatenate(days[:2]), None),
    ):
        with pytest.raises(DataError, match=r"never added .* 'fit' of 300 rows, 'monday' of 60 rows"):
            mixture.forget(rows, weights)
    with pytest.raises(DataError, match="no partition 'tuesday'"):
        mixture.forget(name="tuesday")
    with pytest.raises(DataError, match="'monday' of a partition is taken"):
        mixture.update(days[2], name="monday")
    with pytest.raises(ValueError, match="either the rows of a partition or its name="):
        mixture.forget()
    with pytest.raises(ValueError, match="either the rows of a partition or its name="):
        mixture.forget(days[1], name="monday")
    bad = days[2].copy()
    bad[7, 1] = np.nan
    with pytest.raises(DataError, match="row 7, column 1"):
        mixture.update(bad)
    with pytest.raises(DataError, match="0 sample"):
        mixture.update(days[2][:0])
    with pytest.raises(ValueError, match="expecting 2 features"):
        mixture.update(days[2][:, :1])
    with pytest.raises(DataError, match="zero in every row"):
        mixture.update(days[2], np.zeros(40))
    assert mixture.partitions_ == partitions
    assert_same_bits(parameters_of(mixture), before)


def test_the_same_rows_twice_are_told_of(days):
    mixture = fitted(days[0]).update(days[1])
    once = parameters_of(mixture)
    with pytest.warns(MixtureWarning, match=r"already in the mixture, as 'update 1'; .*name='update 2'"):
        mixture.update(days[1])
    assert_same_bits(parameters_of(mixture.forget(days[1])), once)  # the last of them


def test_a_component_that_loses_its_rows_is_told_of(days):
    mixture = fitted(days[0][:200])
    mixture.update(days[0][:200][mixture.predict(days[0][:200]) == 0])
    with pytest.warns(MixtureWarning, match=r"components 1, 2 have less than one row now"):
        mixture.forget(days[0][:200])
    assert np.isfinite(mixture.means_).all()


def test_mixtures_that_keep_no_sums_say_what_to_do(days):
    with pytest.raises(NotFittedError):
        GaussianMixture(3).update(days[0])
    mixture = fitted(days[0])
    made = [
        GaussianMixture.from_sklearn(mixture.to_sklearn()),
        mixture.marginal([0, 1]),
        fitted(days[0], BayesianGaussianMixture).sorted("mean"),
    ]
    for other in made:
        assert not hasattr(other, "partitions_")
        with pytest.raises(DataError, match=r"has no sums .* Fit it to its rows"):
            other.update(days[1])
    mixture.means_ = mixture.means_ + 1.0
    with pytest.raises(DataError, match="were changed since"):
        mixture.update(days[1])
    with pytest.raises(DataError, match="were changed since"):
        mixture.partial_fit(days[1])
    with pytest.raises(DataError, match="were changed since"):  # another order makes no other sums of them
        mixture.sorted("mean").update(days[1])
    assert not hasattr(clone(mixture), "partitions_")
    again = mixture.fit(days[0]).update(days[1])
    assert len(again.partitions_) == 2
    assert len(again.fit(days[0]).partitions_) == 1


def test_rows_that_were_labelled(days):
    """Their responsibilities are those of their labels, and stay that; groups keep no sums."""
    labels = np.where(np.arange(300) % 2, -1, fitted(days[0]).predict(days[0]))
    mixture = GaussianMixture(3, random_state=0).fit(days[0], labels=labels)
    known = np.where(labels[:, None] < 0, 1.0, labels[:, None] == np.arange(3))
    own = known * shares_of(mixture, days[0])
    shares = np.concatenate([own / own.sum(axis=1, keepdims=True), shares_of(mixture, days[1])])
    expected = naive.maximized("full", np.concatenate(days[:2]), shares, None, 1e-6)
    before = parameters_of(mixture)
    np.testing.assert_allclose(mixture.update(days[1]).means_, expected[1], rtol=1e-9)
    assert_same_bits(parameters_of(mixture.forget(days[1])), before)
    grouped = GaussianMixture(3, random_state=0).fit(days[0], groups=np.arange(300) % 4)
    with pytest.raises(DataError, match="fitted with groups"):
        grouped.update(days[1])


@each_family
def test_components_in_another_order(covariance_type, days):
    mixture = fitted(days[0], covariance_type=covariance_type)
    found = mixture.sorted("mean")
    order = np.argsort(mixture.means_[:, 0])
    np.testing.assert_allclose(
        found.update(days[1]).means_, mixture.update(days[1]).means_[order], rtol=1e-12
    )
    np.testing.assert_array_equal(found.forget(days[1]).means_, mixture.forget(days[1]).means_[order])


def test_all_that_holds_rows_gives_the_same(days, stored, tmp_path):
    """But for the last bits: rows that are cut otherwise are rounded otherwise. All have one fingerprint."""
    frame = pd.DataFrame(days[1], columns=["a", "b"])
    frame.assign(kind="x")[["kind", "b", "a"]].to_parquet(tmp_path / "day.parquet")
    weights = np.linspace(0.5, 2.0, 60)
    named, plain = fitted(pd.DataFrame(days[0], columns=["a", "b"])), fitted(days[0])
    expected = parameters_of(copy.deepcopy(plain).update(days[1], weights))
    for mixture, rows, own in (
        (named, str(tmp_path / "day.parquet"), weights),
        (named, frame, weights),
        (plain, stored(days[1], 7), stored(weights, 7)),
        (plain, da.from_array(days[1], (25, 2)), weights),
        (copy.deepcopy(plain).set_params(sample_rows=10), stored(days[1]), weights),  # not in memory
    ):
        found = copy.deepcopy(mixture).update(rows, own)
        for name, value in parameters_of(found).items():
            np.testing.assert_allclose(value, expected[name], rtol=1e-11, atol=1e-13, err_msg=name)
        forgotten = found.forget(frame if mixture is named else days[1], weights)
        assert_same_bits(parameters_of(forgotten), parameters_of(mixture))


def test_rows_that_lack_values(days, generator):
    lacking = naive.with_missing(generator, days[1], 0.2)
    lacking = lacking[~np.isnan(lacking).all(axis=1)]
    mixture = fitted(days[0], missing="marginalize")
    as_fitted = parameters_of(mixture)
    other = copy.deepcopy(mixture).set_params(warm_start=True, max_iter=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other.fit(np.concatenate([days[0], lacking]))
    mixture.update(lacking)
    np.testing.assert_allclose(mixture.means_, other.means_, rtol=1e-9)
    np.testing.assert_allclose(mixture.covariances_, other.covariances_, rtol=1e-8)
    assert_same_bits(parameters_of(mixture.forget(lacking)), as_fitted)
    dropped = fitted(days[0], missing="drop").update(lacking)
    complete = lacking[~np.isnan(lacking).any(axis=1)]
    np.testing.assert_array_equal(dropped.means_, fitted(days[0]).update(complete).means_)
    assert len(dropped.forget(lacking).partitions_) == 1


@pytest.mark.parametrize("kind", [GaussianMixture, BayesianGaussianMixture])
def test_single_precision_stays(kind, days):
    mixture = fitted(days[0].astype(np.float32), kind)
    as_fitted = parameters_of(mixture)
    mixture.update(days[1])  # of float64
    assert mixture.means_.dtype == as_fitted["means_"].dtype
    assert_same_bits(parameters_of(mixture.forget(days[1])), as_fitted)


def test_new_rows_far_away_do_not_cancel(days):
    """A component that takes rows at 1e9 is as wide as that; once the others are gone, as the rows are."""
    mixture = fitted(days[0], covariance_type="diag").update(days[1] + 1e9)
    with pytest.warns(MixtureWarning, match="less than one row"):
        mixture.forget(days[0])
    taken = int(np.argmax(mixture.weights_))
    np.testing.assert_allclose(mixture.means_[taken] - 1e9, days[1].mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(mixture.covariances_[taken], days[1].var(axis=0), rtol=1e-5)


def test_the_command_to_go_on_with(days):
    """After updates a fit goes on from where they led, by warm_start."""
    mixture = fitted(days[0], warm_start=True).update(days[1])
    before = mixture.score(np.concatenate(days[:2]))
    mixture.fit(np.concatenate(days[:2]))
    assert mixture.score(np.concatenate(days[:2])) >= before - 1e-12


class TestStream:
    @each_family
    def test_is_naive_stepwise_em(self, covariance_type, days):
        """Batches of one size: steps of (t + 2) ** -decay."""
        batches = [np.concatenate(days)[start : start + 60] for start in range(0, 480, 60)]
        mixture = GaussianMixture(3, covariance_type=covariance_type, random_state=0)
        mixture.partial_fit(batches[0])
        rows, own = batches[0], shares_of(mixture, batches[0])
        weights = np.full(60, 1 / 60)
        for t, batch in enumerate(batches[1:]):
            step = (t + 2) ** -0.6
            own = np.concatenate([own, shares_of(mixture, batch)])
            rows = np.concatenate([rows, batch])
            weights = np.concatenate([(1.0 - step) * weights, np.full(60, step / 60)])
            mixture.partial_fit(batch, decay=0.6)
            expected = naive.maximized(covariance_type, rows, own, len(rows) * weights, 1e-6)
            np.testing.assert_allclose(mixture.means_, expected[1], rtol=1e-9)
            matrices = naive.matrices_of(mixture._parameters)
            np.testing.assert_allclose(matrices, expected[2], rtol=1e-8, atol=1e-10)
        (stream,) = mixture.partitions_
        assert (stream.name, stream.n_rows, stream.weight) == ("stream", 480, 480.0)

    @each_class
    def test_ends_where_a_fit_of_all_does(self, kind, generator):
        """Within 0.02 nats a row, of rows that neither has seen: 50 batches of one distribution."""
        truth = naive.random_parameters(generator, "full", spread=4.0)
        batches = [naive.random_rows(generator, truth, 100) for _ in range(50)]
        unseen = naive.random_rows(generator, truth, 5000)
        streamed = kind(n_components=3, random_state=0)
        for batch in batches:
            streamed.partial_fit(batch)
        whole = kind(n_components=3, random_state=0, tol=1e-6, max_iter=500).fit(np.concatenate(batches))
        assert streamed.score(unseen) == pytest.approx(whole.score(unseen), abs=0.02)

    def test_is_warm_from_a_fit_and_from_updates(self, days):
        mixture = fitted(days[0]).update(days[1])
        step = (40 / 400) ** 0.7
        shares = [shares_of(fitted(days[0]), rows) for rows in days[:2]]
        shares.append(shares_of(mixture, days[2]))
        weights = np.repeat([(1.0 - step) / 360, step / 40], [360, 40])
        expected = naive.maximized(
            "full", np.concatenate(days[:3]), np.concatenate(shares), weights * 400, 1e-6
        )
        mixture.partial_fit(days[2])
        np.testing.assert_allclose(mixture.means_, expected[1], rtol=1e-11)
        with pytest.raises(DataError, match=r"never added .* 'stream' of 400 rows"):
            mixture.forget(days[2])
        batch = parameters_of(mixture)
        mixture.update(days[3], name="day").forget(name="day")  # beside a stream, rows are kept apart again
        assert_same_bits(parameters_of(mixture), batch)

    def test_all_rows_count_alike_with_a_decay_of_one(self, days):
        """Then it is incremental EM: the updates' parameters, but for the order of additions."""
        mixture, other = fitted(days[0]), fitted(days[0])
        for rows in days[1:]:
            mixture.partial_fit(rows, decay=1.0)
            other.update(rows)
        np.testing.assert_allclose(mixture.means_, other.means_, rtol=1e-10)
        assert mixture.lower_bound_ == pytest.approx(other.lower_bound_, rel=1e-10)

    def test_what_is_refused(self, days):
        for decay in (0.5, 1.1, -1.0, np.nan, "0.7"):
            with pytest.raises(ValueError, match="decay="):
                GaussianMixture(3).partial_fit(days[0], decay=decay)
        with pytest.raises(ValueError, match="n_components = 3, n_samples = 2"):
            GaussianMixture(3).partial_fit(days[0][:2])
        mixture = GaussianMixture(3, random_state=0).partial_fit(days[0]).partial_fit(days[1][:1])
        assert mixture.partitions_[0].n_rows == 301
        with pytest.raises(ValueError, match="n_components"):
            GaussianMixture(0).partial_fit(days[0])

    def test_is_the_same_every_time(self, days, stored):
        found = []
        for kind in (np.asarray, np.asarray, stored, lambda rows: da.from_array(rows, (20, 2))):
            mixture = GaussianMixture(3, random_state=0)
            for rows in days:
                mixture.partial_fit(kind(rows))
            found.append(parameters_of(mixture))
        assert_same_bits(found[1], found[0])
        for other in found[2:]:  # cut into other chunks, their sums are rounded otherwise
            np.testing.assert_allclose(other["means_"], found[0]["means_"], rtol=1e-12)


def test_a_saved_mixture_is_updated_as_the_one_in_memory(days, tmp_path):
    mixture = fitted(days[0]).update(days[1], name="monday")
    mixture.save(tmp_path / "model.npz")
    again = dgmm.load(tmp_path / "model.npz")
    assert again._kept == mixture._kept
    assert_same_bits(parameters_of(again.update(days[2])), parameters_of(mixture.update(days[2])))
    assert_same_bits(
        parameters_of(again.forget(name="monday").forget(days[2])), parameters_of(fitted(days[0]))
    )
