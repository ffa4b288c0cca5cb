"""What is said of a fitted mixture: nothing as a rule, and what is wrong where something is."""

import re

import numpy as np
import pandas as pd
import pytest

from dgmm import GaussianMixture, MixtureWarning
from dgmm.fitting.diagnostics import concerns, concerns_of_prior
from dgmm.fitting.sample import Sample
from dgmm.model.families import FAMILIES
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import Moments


@pytest.fixture
def rows():
    return np.random.default_rng(0).normal(size=(500, 3))


def sample_of(rows) -> Sample:
    """Return all rows."""
    numbers = np.arange(len(rows))
    return Sample(numbers.astype(np.uint64), numbers, rows, None)


def said(rows, reg_covar=1e-6, names=None, **own) -> tuple[str, ...]:
    weights = own.get("weights", np.array([0.5, 0.5]))
    widths = own.get("widths", np.ones((2, 3)))
    parameters = Parameters.from_covariances(FAMILIES["diag"], weights, np.zeros((2, 3)), widths)
    found = own.get("found", [-3.0, -2.0])
    return concerns(
        parameters, found, Moments.of(rows), sample_of(rows), reg_covar=reg_covar, feature_names=names
    )


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
        FAMILIES["spherical"], np.full(9, 1 / 9), np.zeros((9, 1)), np.full(9, 1e-6)
    )
    rows = np.arange(20.0)[:, None]
    (message,) = concerns(
        parameters, [], Moments.of(rows), sample_of(rows), reg_covar=1e-6, feature_names=None
    )
    assert message.startswith("components 0, 1, 2, 3, 4 collapsed onto fewer dimensions, and 4 more: ")


def test_as_many_as_are_named_are_all():
    parameters = Parameters.from_covariances(
        FAMILIES["spherical"], np.full(5, 0.2), np.zeros((5, 1)), np.full(5, 1e-6)
    )
    rows = np.arange(20.0)[:, None]
    (message,) = concerns(
        parameters, [], Moments.of(rows), sample_of(rows), reg_covar=1e-6, feature_names=None
    )
    assert message.startswith("components 0, 1, 2, 3, 4 collapsed onto fewer dimensions: ")


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ("abc", None),
        ("aec", r"feature 'b' does not vary: the prior"),
        ("aee", r"feature 'b', 'c' does not vary: "),
        ("aba", r"features 'a', 'c' depend on each other linearly: "),
    ],
)
def test_a_prior_that_the_rows_leave_singular(rows, columns, words):
    """Columns are those of the rows, by letters; e does not vary."""
    columns_of = dict(zip("abc", rows.T, strict=True)) | {"e": np.full(500, 7.0)}
    moments = Moments.of(np.column_stack([columns_of[name] for name in columns]))
    found = concerns_of_prior(FAMILIES["full"], moments, reg_covar=1e-6, feature_names=("a", "b", "c"))
    assert bool(found) == (words is not None)
    if words is not None:
        assert re.match(words, found[0])
        assert "only reg_covar=1e-06 determines it" in found[0]


def warned(rows, n_components=2, **own) -> str:
    """Return what the fit of a mixture warns of."""
    with pytest.warns(MixtureWarning) as caught:
        GaussianMixture(n_components, random_state=0, **own).fit(rows)
    (message,) = [str(each.message) for each in caught if each.category is MixtureWarning]
    assert caught[0].filename == __file__
    return message


class TestCollapsed:
    """What a component collapsed onto."""

    @pytest.fixture
    def late(self):
        """Flights: a tenth of them leave at the very minute."""
        generator = np.random.default_rng(0)
        frame = pd.DataFrame(generator.normal(size=(20_000, 3)), columns=["distance", "dep_delay", "wind"])
        frame.loc[generator.permutation(20_000)[:2000], "dep_delay"] = 0.0
        return frame

    def test_a_value_of_a_feature(self, late):
        narrow = [np.eye(3), np.diag([1.0, 1000.0, 1.0])]
        message = warned(late, precisions_init=narrow, tol=1e-5)
        assert re.match(
            r"component \d collapsed onto the value 0 of feature 'dep_delay' \(10% of the rows\): ", message
        )
        assert "feature 1 (10%" in warned(late.to_numpy(np.float32), precisions_init=narrow, tol=1e-5)

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_a_sample_tells_about_how_many(self, late, dtype):
        message = warned(late.astype(dtype), sample_rows=5000)
        match = re.search(r"the value 0 of feature 'dep_delay' \((.*)% ± (.*)% of the rows\)", message)
        assert match is not None
        share, error = map(float, match.groups())
        assert abs(share - 10.0) < 4.0 * error
        assert error == pytest.approx(100.0 * (0.1 * 0.9 / 5000 * 0.75) ** 0.5, rel=0.2)

    def test_one_row(self, rows):
        rows[::2] = [7.0, 0.5, -1.25]
        assert "collapsed onto one repeated row, 7, 0.5, -1.25 (50% of the rows): " in warned(rows)

    def test_several_values_at_once(self, rows):
        rows[::2, 0] = 7.0
        rows[::2, 2] = -1.0
        rows[1::10, 2] = -1.0  # without the other value
        assert "collapsed onto the values 7, -1 of features 0, 2 (50% of the rows): " in warned(rows)

    def test_weights_count(self, rows):
        rows[:100, 1] = 3.0
        weights = np.where(np.arange(500) < 100, 4.0, 1.0)
        with pytest.warns(MixtureWarning, match=re.escape("the value 3 of feature 1 (50% of the rows)")):
            GaussianMixture(2, random_state=0).fit(rows, sample_weight=weights)

    def test_rounded_values_are_one_each(self):
        rows = np.random.default_rng(0).normal(size=(2000, 2))
        rows[:, 0] = rows[:, 0].round()
        message = warned(rows, n_components=7, means_init=[[value, 0.0] for value in range(-3, 4)])
        for value in (-1, 0, 1):
            share = (rows[:, 0] == value).mean()
            assert (
                f"collapsed onto the value {value} of feature 0 ({100 * share:.3g}% of the rows)" in message
            )

    def test_fewer_dimensions(self, rows):
        rows[::2, 2] = rows[::2, 0] + rows[::2, 1] + 5.0
        assert re.match(r"component \d collapsed onto fewer dimensions: ", warned(rows))

    @pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "tied_diag"])
    @pytest.mark.parametrize("n_constant", [1, 2])
    def test_a_feature_that_has_one_value_is_told_of_once(self, rows, covariance_type, n_constant):
        """Not of each component that is narrow there."""
        rows[:, 3 - n_constant :] = [-1.0, 7.0][2 - n_constant :]
        message = warned(rows, n_components=3, covariance_type=covariance_type)
        told = (
            "feature 2 has one value, 7," if n_constant == 1 else "features 1, 2 have one value each, -1, 7,"
        )
        assert message.startswith(f"{told} in all rows: components are as narrow there as reg_covar=1e-06")

    @pytest.mark.parametrize("covariance_type", ["spherical", "tied_spherical"])
    def test_one_variance_of_all_features_is_not_narrow(self, rows, covariance_type):
        rows[:, 2] = 7.0
        GaussianMixture(2, covariance_type=covariance_type, random_state=0).fit(rows)

    @pytest.mark.parametrize("n_alike", [1, 2])
    def test_what_collapsed_elsewhere_too(self, rows, n_alike):
        """What component does so is told of apart, without the feature that all rows share a value of."""
        rows[:, 2] = 7.0
        rows[::2, :n_alike] = [0.5, -1.0][:n_alike]
        with pytest.warns(MixtureWarning) as caught:
            GaussianMixture(2, random_state=0).fit(rows)
        once, each = sorted(str(one.message) for one in caught)[::-1]
        assert once.startswith("feature 2 has one value, 7, in all rows: ")
        onto = "the value 0.5 of feature 0" if n_alike == 1 else "one repeated row, 0.5, -1, 7"
        assert re.match(rf"component \d collapsed onto {onto} \(50% of the rows\): ", each)

    def test_many_features_of_which_some_do_not_vary(self):
        """Whose factors tell of widths."""
        rows = np.random.default_rng(0).normal(size=(1000, 134))
        rows[:, 130:] = 0.25
        message = warned(rows)
        assert message.startswith(
            "features 130, 131, 132, 133 have one value each, 0.25, 0.25, 0.25, 0.25, in all"
        )

    def test_few_rows(self, rows):
        rows[3] = [50.0, 50.0, 50.0]
        assert re.match(r"component \d collapsed onto few rows \(about 1\): ", warned(rows))
