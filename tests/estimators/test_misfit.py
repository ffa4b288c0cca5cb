# pyright: reportArgumentType=false
"""Misfit of a fitted mixture's components: all sources, weights, rows that lack values."""

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

from dgmm import BayesianGaussianMixture, GaussianMixture
from dgmm.data import DataError
from dgmm.model.misfit import EDGES
from tests.model import naive


@pytest.fixture
def rows(generator):
    """Four normal clusters of two features, and one of Student's t with five degrees of freedom."""
    centres = np.array([[0, 0], [8, 0], [0, 8], [8, 8], [4, 16]])
    clusters = [centre + generator.normal(size=(800, 2)) for centre in centres]
    clusters[2] = centres[2] + generator.normal(size=(800, 2)) / np.sqrt(generator.chisquare(5, (800, 1)) / 5)
    return np.concatenate(clusters)


@pytest.fixture
def mixture(rows):
    return GaussianMixture(5, random_state=0, tol=1e-6).fit(rows)


def same(found, expected):
    assert found.verdicts == expected.verdicts
    for name in ("counts", "histogram", "distances", "kurtosis", "skewness", "n_effective"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-6, atol=1e-9)


def test_it_finds_the_one_that_is_not_gaussian(rows, mixture):
    found = mixture.misfit(rows)
    heavy = int(np.argmin(np.abs(mixture.means_ - [0, 8]).sum(axis=1)))
    assert np.flatnonzero(~found.is_gaussian).tolist() == [heavy]
    assert found.verdicts[heavy] == "heavier tails"
    assert found.sentences[0] == "Of 5 components, 1 is not Gaussian."
    assert found.sentences[1].startswith(f"Component {heavy} is not Gaussian: heavier tails (")
    assert found.counts.sum() == pytest.approx(4000)
    shares, k = mixture.predict_proba(rows), heavy
    deviations = rows - mixture.means_[k]
    squares = np.einsum("ni,ij,nj->n", deviations, mixture.precisions_[k], deviations)
    expected, _ = np.histogram(chi2.cdf(squares, 2), EDGES, weights=shares[:, k])
    np.testing.assert_allclose(found.histogram[k], expected / shares[:, k].sum(), atol=1e-9)


@pytest.mark.usefixtures("small_spans")
def test_sources_agree(rows, mixture, stored):
    expected = mixture.misfit(rows)
    frame = pd.DataFrame(rows, columns=["a", "b"])
    named = GaussianMixture(5, random_state=0, tol=1e-6).fit(frame)
    same(mixture.misfit(stored(rows, 170)), expected)
    same(mixture.misfit(da.from_array(rows, chunks=(333, 2))), expected)
    same(named.misfit(dd.from_pandas(frame, npartitions=3)), expected)


def test_weights_count_rows(rows, mixture):
    counts = np.random.default_rng(1).integers(0, 3, len(rows))
    found, expected = mixture.misfit(rows, counts), mixture.misfit(np.repeat(rows, counts, axis=0))
    np.testing.assert_allclose(found.histogram, expected.histogram, rtol=1e-9)
    np.testing.assert_allclose(found.kurtosis, expected.kurtosis, rtol=1e-9)
    assert (found.n_effective < expected.n_effective).all()  # a row of weight 2 tells less than two


@pytest.mark.filterwarnings("ignore:1 of 4,000 rows has no value")
def test_rows_that_lack_values_are_judged_by_what_they_have(rows, mixture):
    lacking = rows.copy()
    lacking[::3, 1] = np.nan
    lacking[5] = np.nan
    taken = mixture.set_params(missing="marginalize")
    found = taken.misfit(lacking)
    shares = taken.predict_proba(lacking)
    alone, complete = np.isnan(lacking[:, 1]) & ~np.isnan(lacking[:, 0]), ~np.isnan(lacking).any(axis=1)
    for k in range(5):
        squares = (lacking[alone, 0] - mixture.means_[k, 0]) ** 2 / mixture.covariances_[k, 0, 0]
        deviations = lacking[complete] - mixture.means_[k]
        both = np.einsum("ni,ij,nj->n", deviations, mixture.precisions_[k], deviations)
        expected = np.zeros(len(EDGES) - 1)
        for each, n, which in ((squares, 1, alone), (both, 2, complete)):
            expected += np.histogram(chi2.cdf(each, n), EDGES, weights=shares[which, k])[0]
        np.testing.assert_allclose(found.histogram[k], expected / expected.sum(), atol=1e-9)
    with pytest.raises(DataError, match="row 0, column 1"):
        mixture.set_params(missing="error").misfit(lacking)


def test_of_variational_bayes_too(rows):
    mixture = BayesianGaussianMixture(n_components=5, random_state=0, max_iter=500).fit(rows)
    assert (~mixture.misfit(rows).is_gaussian).sum() == 1


def test_what_is_refused(mixture):
    with pytest.raises(DataError, match="sample_weight is zero in every row"):
        mixture.misfit(np.zeros((3, 2)), np.zeros(3))
    with pytest.raises(DataError, match="0 sample"):
        mixture.misfit(da.zeros((0, 2)))
    far = mixture.misfit(np.array([[1e200, 0.0], [0.0, 0.0]]))
    assert far.counts.sum() == pytest.approx(2.0)


@pytest.mark.parametrize("form", ["variances", "matrices"])
def test_rows_with_errors_are_as_far_as_widened_components_say(generator, form):
    """Distances are by the covariance of component and error together: those of Gaussian rows are."""
    truth = naive.random_parameters(generator, "full", 2, 2, spread=6.0)
    columns, errors = naive.random_errors(generator, 3000, 2, form, scale=2.0)
    noise = np.linalg.cholesky(errors + 1e-12 * np.eye(2)) @ generator.normal(size=(3000, 2, 1))
    rows = naive.random_rows(generator, truth, 3000) + noise[:, :, 0]
    mixture = GaussianMixture(2, random_state=0, reg_covar=0.0, tol=1e-8, max_iter=500)
    mixture.fit(rows, errors=columns)
    found = mixture.misfit(rows, errors=columns)
    assert found.is_gaussian.all()
    assert not mixture.misfit(rows, errors=0.0).is_gaussian.all()
    shares = mixture.predict_proba(rows, errors=columns)
    for k in range(2):
        totals, gaps = mixture.covariances_[k] + errors, rows - mixture.means_[k]
        squares = (gaps * np.linalg.solve(totals, gaps[:, :, None])[:, :, 0]).sum(axis=1)
        expected, _ = np.histogram(chi2.cdf(squares, 2), EDGES, weights=shares[:, k])
        np.testing.assert_allclose(found.histogram[k], expected / shares[:, k].sum(), atol=1e-9)
        assert found.kurtosis[k] == pytest.approx(squares**2 @ shares[:, k] / shares[:, k].sum() / 8.0)
    lacking = np.where(generator.random(rows.shape) < 0.2, np.nan, rows)
    mixture.set_params(missing="marginalize")
    assert mixture.misfit(lacking, errors=columns).is_gaussian.all()


def test_errors_of_zero_change_nothing(rows, mixture):
    for errors in (0.0, np.zeros((len(rows), 4))):
        same(mixture.misfit(rows, errors=errors), mixture.misfit(rows))


def test_rows_of_groups_count_by_the_weights_of_these(rows, stored, generator):
    """As their responsibilities there sum; of rows with errors, too."""
    groups = np.where(generator.random(len(rows)) < np.repeat([0.1, 0.9, 0.3, 0.5, 0.7], 800), "p", "q")
    mixture = GaussianMixture(5, random_state=0, tol=1e-6).fit(rows, groups=groups)
    shares = mixture.predict_proba(rows, groups=groups)
    expected = mixture.misfit(rows, groups=groups)
    np.testing.assert_allclose(expected.counts, shares.sum(axis=0), rtol=1e-9)
    same(mixture.misfit(stored(rows, 170), groups=groups), expected)
    of_errors = mixture.misfit(rows, groups=groups, errors=1e-12)
    np.testing.assert_allclose(of_errors.counts, expected.counts, rtol=1e-6)
    np.testing.assert_allclose(of_errors.kurtosis, expected.kurtosis, rtol=1e-6)


def by_hand(mixture, rows, shares, covariances=None):
    """The histograms of distances, and the counts of rows, of complete rows with these responsibilities."""
    found = []
    for k, mean in enumerate(mixture.means_):
        gaps = rows - mean
        widths = np.broadcast_to(mixture.covariances_[k], (len(rows), 2, 2)) + (
            0.0 if covariances is None else covariances
        )
        squares = (gaps * np.linalg.solve(widths, gaps[:, :, None])[:, :, 0]).sum(axis=1)
        counts, _ = np.histogram(chi2.cdf(squares, 2), EDGES, weights=shares[:, k])
        found.append(counts / shares[:, k].sum())
    return np.array(found), shares.sum(axis=0)


@pytest.mark.parametrize("of_rows", ["labels", "weights", "labels, groups and errors"])
@pytest.mark.usefixtures("small_spans")
def test_labelled_rows_count_for_their_own_component(of_rows, generator, stored):
    """By responsibilities of the fit: those without labels, times what labels allow."""
    centres = np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 3.0]])
    kinds = generator.integers(0, 3, 900)
    rows = centres[kinds] + generator.normal(size=(900, 2))
    labels = np.where(generator.random(900) < 0.4, kinds, -1)
    allowed = np.where(labels[:, None] < 0, 1.0, np.eye(3)[labels])
    known: dict = {"labels": labels}
    errors, shares_by = None, {}
    if of_rows == "weights":
        known["labels"] = allowed = generator.dirichlet(np.ones(3), 900)
    if "groups" in of_rows:
        shares_by = {
            "groups": np.where(generator.random(900) < 0.3, "p", "q"),
            "errors": np.full((900, 2), 0.3),
        }
        known |= shares_by
        errors = 0.3 * np.eye(2)
    mixture = GaussianMixture(3, random_state=0).fit(rows, **known)
    found = mixture.misfit(rows, **known)
    shares = mixture.predict_proba(rows, **shares_by) * allowed
    shares /= shares.sum(axis=1, keepdims=True)
    histograms, counts = by_hand(mixture, rows, shares, errors)
    np.testing.assert_allclose(found.histogram, histograms, atol=1e-9)
    np.testing.assert_allclose(found.counts, counts, rtol=1e-9)
    assert np.abs(found.counts - mixture.misfit(rows, **shares_by).counts).max() > 1.0
    same(mixture.misfit(stored(rows, 170), **known), found)


def test_what_labels_say_of_columns_and_of_rows_far_out(rows, mixture):
    frame = pd.DataFrame(rows, columns=["a", "b"]).assign(kind=-1)
    named = GaussianMixture(5, random_state=0, tol=1e-6).fit(frame[["a", "b"]])
    same(named.misfit(frame, labels="kind"), mixture.misfit(rows))
    far = mixture.misfit(np.array([[1e200, 0.0], [-1e200, 0.0]]), labels=[3, -1]).counts
    np.testing.assert_allclose(far, [0.2, 0.2, 0.2, 1.2, 0.2])
    with pytest.raises(DataError, match="labels holds 5 in row 1"):
        mixture.misfit(rows[:2], labels=[0, 5])
    lacking = np.where(np.arange(8000).reshape(-1, 2) % 5 == 0, np.nan, rows)
    taken = mixture.set_params(missing="marginalize")
    labels = np.where(np.arange(4000) % 3 == 0, 2, -1)
    shares = taken.predict_proba(lacking)
    shares[labels == 2] = np.eye(5)[2]
    np.testing.assert_allclose(taken.misfit(lacking, labels=labels).counts, shares.sum(axis=0), rtol=1e-9)
