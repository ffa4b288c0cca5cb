# pyright: reportArgumentType=false, reportCallIssue=false, reportAttributeAccessIssue=false
"""Outliers on all sources; the threshold is the quantile of all rows."""

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PowerTransformer, StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from dgmm import (
    PCA,
    BayesianGaussianMixture,
    DataWarning,
    GaussianMixture,
    GaussianMixtureSweep,
    MixtureOutlierDetector,
)
from dgmm.model.surprise import surprises

N_PLANTED = 20


@pytest.fixture
def rows(generator):
    clusters = [generator.normal(6 * k, 1, (990, 4)) for k in range(2)]
    planted = generator.uniform(-30, 40, (N_PLANTED, 4))
    return np.concatenate([*clusters, planted])


@pytest.fixture
def detector():
    return MixtureOutlierDetector(GaussianMixture(2, random_state=0), contamination=0.01)


@parametrize_with_checks(
    [
        MixtureOutlierDetector(),
        MixtureOutlierDetector(GaussianMixture(covariance_type="diag"), contamination=0.1),
    ]
)
@pytest.mark.filterwarnings("ignore")  # what the checks provoke is theirs
def test_checks(estimator, check):
    check(estimator)


def test_the_threshold_is_a_quantile_of_the_log_densities(rows, detector):
    labels = detector.fit_predict(rows)
    scores = GaussianMixture(2, random_state=0).fit(rows).score_samples(rows)
    assert detector.offset_ == pytest.approx(np.quantile(scores, 0.01), rel=1e-12)
    np.testing.assert_array_equal(detector.score_samples(rows), scores)
    np.testing.assert_array_equal(labels, np.where(scores < detector.offset_, -1, 1))
    assert (labels == -1).sum() == N_PLANTED
    assert (labels[-N_PLANTED:] == -1).sum() >= 19  # all but one that a cluster may have hidden


@pytest.mark.usefixtures("small_spans")
def test_sources_agree(rows, detector, stored):
    expected = detector.fit(rows).decision_function(rows)
    surprising = detector.explain(rows)
    frame = pd.DataFrame(rows, columns=list("abcd"), index=np.arange(len(rows)) + 3)
    known = da.from_array(rows, chunks=(300, 2))
    unknown = known[da.from_array(np.full(len(rows), True), chunks=300)]
    labelled = xr.DataArray(rows.reshape(20, 100, 4), dims=("x", "y", "band"))
    for x in (
        stored(rows, 90),
        known,
        unknown,
        labelled,
        labelled.chunk(x=3),
        dd.from_pandas(frame, npartitions=4),
    ):
        found = detector.fit(x)
        assert not isinstance(found.predict(x), np.ndarray)
        np.testing.assert_allclose(np.asarray(found.decision_function(x)).ravel(), expected, atol=1e-6)
        labels = np.asarray(found.predict(x)).ravel()
        assert labels.dtype == np.int64
        np.testing.assert_array_equal(labels, np.where(expected < 0, -1, 1))
        np.testing.assert_allclose(
            np.asarray(found.explain(x)).reshape(-1, 4), surprising, rtol=1e-6, atol=1e-6
        )
    assert list(found.explain(x).columns) == list("abcd")
    assert found.predict(x).name == "label"
    np.testing.assert_array_equal(found.predict(x).compute().index, frame.index)


@pytest.mark.usefixtures("small_spans")
def test_the_same_bits_on_every_scheduler(rows, stored, request):
    path, frozen = stored(rows, 90), FrozenEstimator(GaussianMixture(2, random_state=0).fit(rows))
    detector = MixtureOutlierDetector(frozen)
    found = [detector.fit(path).offset_]
    request.getfixturevalue("client")
    found.append(detector.fit(path).offset_)
    assert found[0] == found[1]


def test_weights(rows, detector):
    counts = np.random.default_rng(0).integers(0, 3, len(rows))
    mixture = FrozenEstimator(GaussianMixture(2, random_state=0).fit(rows))
    found = MixtureOutlierDetector(mixture, contamination=0.05).fit(rows, sample_weight=counts)
    repeated = np.repeat(rows, counts, axis=0)
    assert found.offset_ == pytest.approx(np.quantile(mixture.score_samples(repeated), 0.05))
    fitted = detector.fit(rows, sample_weight=counts).estimator_
    np.testing.assert_allclose(
        np.sort(fitted.weights_),
        np.sort(GaussianMixture(2, random_state=0).fit(rows, sample_weight=counts).weights_),
    )


@pytest.mark.parametrize("estimator", [None, GaussianMixture(2, random_state=0)])
def test_weights_that_are_a_column_of_the_rows(rows, estimator):
    counts = np.random.default_rng(0).integers(1, 3, len(rows))
    table = pd.DataFrame(rows).rename(columns=str)
    detector = MixtureOutlierDetector(estimator, random_state=0)
    expected = detector.fit(table, sample_weight=counts).offset_
    found = detector.fit(table.assign(often=counts), sample_weight="often")
    assert (found.offset_, found.n_features_in_) == (expected, rows.shape[1])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "estimator",
    [
        None,
        BayesianGaussianMixture(n_components=2, random_state=0),
        GaussianMixtureSweep(range(1, 3), covariance_type="full", random_state=0),
        GaussianMixture(2, covariance_type="tied_diag", random_state=0),
        make_pipeline(PCA(3), GaussianMixture(2, random_state=0)),
    ],
    ids=["default", "bayesian", "sweep", "tied_diag", "pipeline"],
)
def test_estimators(estimator, rows, stored):
    detector = MixtureOutlierDetector(estimator, contamination=0.02, random_state=0)
    expected = detector.fit(rows).offset_
    assert expected == pytest.approx(np.quantile(detector.score_samples(rows), 0.02), rel=1e-12)
    assert detector.fit(stored(rows, 90)).offset_ == pytest.approx(expected, rel=1e-6)
    if isinstance(detector.estimator_, (BayesianGaussianMixture, GaussianMixture)):
        np.testing.assert_array_equal(detector.explain(rows), surprises(detector.estimator_._model, rows))


def test_explain_names_the_feature(rows, detector):
    detector.fit(rows[:-N_PLANTED])
    odd = np.tile(detector.estimator_.means_[0], (4, 1)) + 8.0 * np.eye(4)
    np.testing.assert_array_equal(detector.explain(odd).argmax(axis=1), np.arange(4))
    assert (detector.explain(odd).max(axis=1) > 20).all()


def test_rows_without_density_are_outliers():
    x = np.concatenate([np.random.default_rng(0).normal(size=(50, 2)), np.full((5, 2), 1e200)])
    mixture = FrozenEstimator(GaussianMixture(1).fit(x[:50]))
    found = MixtureOutlierDetector(mixture, contamination=0.02).fit(x)
    assert (found.predict(x) == -1).tolist() == [False] * 50 + [True] * 5
    assert found.decision_function(x[50:]).tolist() == [-np.inf] * 5


@pytest.mark.parametrize("contamination", [0.0, -0.1, 0.51, "auto", None])
def test_contamination_out_of_range(contamination, rows):
    with pytest.raises(ValueError, match="'contamination' parameter"):
        MixtureOutlierDetector(contamination=contamination).fit(rows)


def test_what_it_refuses(rows, detector):
    with pytest.raises(NotFittedError):
        detector.explain(rows)
    with pytest.raises(NotFittedError):
        detector.predict(rows)
    with pytest.raises(TypeError, match="has no 'score_samples'"):
        MixtureOutlierDetector("mixture").fit(rows)
    bent = make_pipeline(PowerTransformer(), GaussianMixture())
    with pytest.raises(TypeError, match="PowerTransformer is not known to be linear"):
        MixtureOutlierDetector(bent).fit(rows).explain(rows)
    with pytest.raises(ValueError, match="expecting 4 features"):
        detector.fit(rows).explain(rows[:, :2])
    with pytest.raises(ValueError, match="NaN"):
        detector.explain(np.full((1, 4), np.nan))


def test_a_pipeline_is_explained_in_the_features_of_the_rows(generator):
    """All axes, which say what the features say; and fewer, on all kinds of rows."""
    rows = generator.normal(size=(600, 4)) @ generator.normal(size=(4, 4)) + 100.0
    rows[0, 2] += 50.0
    alone = MixtureOutlierDetector(GaussianMixture(reg_covar=0.0)).fit(rows).explain(rows)
    whole = make_pipeline(StandardScaler(), PCA(whiten=True), GaussianMixture(reg_covar=0.0))
    np.testing.assert_allclose(MixtureOutlierDetector(whole).fit(rows).explain(rows), alone, rtol=1e-6)
    pipeline = make_pipeline(PCA(3), GaussianMixture())
    detector = MixtureOutlierDetector(pipeline).fit(rows)
    found = detector.explain(rows)
    assert found.shape == rows.shape
    np.testing.assert_allclose(detector.explain(da.from_array(rows, chunks=(250, 2))), found)
    frame = pd.DataFrame(rows, columns=[*"abcd"])
    named = MixtureOutlierDetector(pipeline).fit(frame)
    lazy = named.explain(dd.from_pandas(frame.assign(kind="star"), npartitions=2))
    assert lazy.columns.tolist() == [*"abcd"]
    np.testing.assert_allclose(lazy.compute(), found)
    with pytest.raises(ValueError, match="NaN"):
        detector.explain(np.full((1, 4), np.nan))


@pytest.fixture
def clustered(generator):
    """Rows of two clusters, and a tight one far out that has 2% of the rows."""
    normal = [generator.normal(6 * k, 1, (980, 4)) for k in range(2)]
    return np.concatenate([*normal, generator.normal(30, 0.1, (40, 4))])


@pytest.mark.parametrize("kind", ["mixture", "frozen", "pipeline", "bayesian"])
def test_a_cluster_of_outliers_is_none_of_the_mixture(clustered, kind):
    mixture = GaussianMixture(3, random_state=0)
    estimator = {
        "mixture": mixture,
        "frozen": FrozenEstimator(GaussianMixture(3, random_state=0).fit(clustered)),
        "pipeline": make_pipeline(PCA(2), mixture),
        "bayesian": BayesianGaussianMixture(n_components=3, random_state=0),
    }[kind]
    planted = np.arange(len(clustered)) >= 1960
    hidden = MixtureOutlierDetector(estimator, contamination=0.02).fit(clustered)
    assert (hidden.predict(clustered)[planted] == 1).mean() > 0.8  # but for its own fringe
    found = MixtureOutlierDetector(estimator, contamination=0.02, least_weight=0.05).fit(clustered)
    np.testing.assert_array_equal(found.predict(clustered) == -1, planted)
    if kind == "frozen":
        normal = np.argsort(estimator.weights_)[1:]
        expected = estimator._parameters.part(np.sort(normal))
        np.testing.assert_allclose(found.estimator_.weights_, expected.weights)
        np.testing.assert_array_equal(found.estimator_.means_, expected.means)
        assert len(estimator.weights_) == 3


def test_what_least_weight_refuses(clustered):
    with pytest.raises(ValueError, match=r"no component has the weight least_weight=0.9"):
        MixtureOutlierDetector(GaussianMixture(3, random_state=0), least_weight=0.9).fit(clustered)
    with pytest.raises(ValueError, match="'least_weight' parameter"):
        MixtureOutlierDetector(least_weight=1.5).fit(clustered)
    with pytest.raises(TypeError, match="KernelDensity is no mixture"):
        MixtureOutlierDetector(KernelDensity(), least_weight=0.1).fit(clustered)


def with_holes(rows, seed=5, share=0.2):
    """The rows, some of whose values are missing; none lacks all."""
    holes = np.random.default_rng(seed).random(rows.shape) < share
    holes[holes.all(axis=1), 0] = False
    return np.where(holes, np.nan, rows)


def test_missing_values_are_refused_by_default_and_the_way_out_is_named(rows):
    holes = with_holes(rows)
    for detector in (MixtureOutlierDetector(), MixtureOutlierDetector(GaussianMixture(2, random_state=0))):
        with pytest.raises(ValueError, match=r"(?s)NaN.*missing='drop'.*missing='marginalize'.*Imputer"):
            detector.fit(holes)
        with pytest.raises(ValueError, match=r"set_params\(missing='marginalize'\)"):
            detector.fit(rows).predict(holes)
        assert not get_tags(detector).input_tags.allow_nan
    refused = MixtureOutlierDetector(GaussianMixture(2), missing="marginalize")
    with pytest.raises(ValueError, match=r"estimator=GaussianMixture\(\.\.\., missing='marginalize'\)"):
        refused.fit(holes)
    with pytest.raises(ValueError, match="'missing' parameter"):
        MixtureOutlierDetector(missing="leave").fit(rows)


@pytest.mark.usefixtures("small_spans")
@pytest.mark.parametrize("missing", ["drop", "marginalize"])
def test_the_default_takes_missing_values_if_it_is_to(rows, stored, missing):
    """From all sources alike; planted rows are told from others by what they have."""
    holes = with_holes(rows)
    detector = MixtureOutlierDetector(missing=missing, contamination=0.01, random_state=0)
    assert get_tags(detector).input_tags.allow_nan
    labels = detector.fit_predict(holes)
    scores = detector.score_samples(holes)
    assert detector.offset_ == pytest.approx(np.quantile(scores, 0.01), rel=1e-12)
    assert detector.estimator_.missing == missing
    is_planted = np.arange(len(rows)) >= len(rows) - N_PLANTED
    assert roc_auc_score(is_planted, -scores) > 0.98
    for x in (stored(holes, 90), da.from_array(holes, chunks=(300, 4))):
        found = detector.fit(x)
        np.testing.assert_allclose(np.asarray(found.score_samples(x)), scores, atol=0.05)  # by when EM ends
        assert (np.asarray(found.predict(x)) == labels).mean() > 0.99


def test_units_do_not_decide_on_rows_that_lack_values(rows):
    """The density of fewer features is in other units: it would make all such rows outliers, or none."""
    holes, units = with_holes(rows), np.array([1e-6, 1.0, 1e5, 3.0])
    parameters = {"missing": "marginalize", "reg_covar": 0.0, "random_state": 0}
    mixture = GaussianMixture(2, **parameters).fit(holes)
    scaled = GaussianMixture(2, **parameters)
    scaled.weights_, scaled.means_ = mixture.weights_, mixture.means_ * units
    scaled.covariances_ = mixture.covariances_ * np.outer(units, units)
    one = MixtureOutlierDetector(FrozenEstimator(mixture)).fit(holes)
    other = MixtureOutlierDetector(FrozenEstimator(scaled)).fit(holes * units)
    np.testing.assert_allclose(
        other.decision_function(holes * units), one.decision_function(holes), rtol=1e-6, atol=1e-6
    )
    lacking = np.isnan(holes).any(axis=1)
    assert 0.2 < np.mean(one.score_samples(holes)[lacking] < np.median(one.score_samples(holes))) < 0.8


def test_what_is_missing_before_a_step_is_missing_after_it(rows):
    holes = with_holes(rows)
    pipeline = make_pipeline(StandardScaler(), GaussianMixture(2, missing="marginalize", random_state=0))
    detector = MixtureOutlierDetector(pipeline).fit(holes)
    scale, mixture = (fitted for _, fitted in detector.estimator_.steps)
    scaled = scale.transform(holes)
    alone = MixtureOutlierDetector(FrozenEstimator(mixture)).fit(scaled)
    np.testing.assert_array_equal(detector.predict(holes), alone.predict(scaled))
    assert detector.offset_ == alone.offset_
    frozen = MixtureOutlierDetector(FrozenEstimator(detector.estimator_)).fit(holes)
    np.testing.assert_array_equal(frozen.score_samples(holes), detector.score_samples(holes))


def test_of_rows_without_any_value_what_is_to_be_expected_of_one_is_said(rows):
    holes = with_holes(rows)
    holes[[3, 8]] = np.nan
    with pytest.warns(DataWarning, match="2 of 2.000 rows"):
        detector = MixtureOutlierDetector(missing="marginalize", random_state=0).fit(holes)
    with pytest.warns(DataWarning, match="the same score: the expected log density of a row"):
        scores = detector.score_samples(holes)
    drawn, _ = detector.estimator_.sample(20_000)
    found = detector.score_samples(drawn)
    assert scores[3] == scores[8] == pytest.approx(found.mean(), abs=1.0)  # but for which component it is


def test_values_may_be_missing_where_the_mixture_takes_it(rows, stored):
    rows[::7, 1] = rows[3::11, 3] = np.nan
    mixture = GaussianMixture(2, missing="marginalize", random_state=0)
    detector = MixtureOutlierDetector(mixture).fit(rows)
    assert detector.offset_ == pytest.approx(np.quantile(detector.score_samples(rows), 0.01), rel=1e-12)
    np.testing.assert_array_equal(np.isnan(detector.explain(rows)), np.isnan(rows))
    assert get_tags(detector).input_tags.allow_nan
    assert not get_tags(MixtureOutlierDetector(GaussianMixture())).input_tags.allow_nan
