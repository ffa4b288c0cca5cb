# pyright: reportArgumentType=false, reportCallIssue=false, reportOptionalSubscript=false
"""Standard errors of a fitted mixture: of all sources, with weights, and what is refused."""

import dask.array as da
import dask.config
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest

import dgmm.estimators.certainty
from dgmm import GaussianMixture, MixtureWarning
from dgmm.data import DataError
from dgmm.estimators.certainty import memory_bytes, names_of
from dgmm.model.families import FAMILIES, family_named
from dgmm.model.layout import Layout
from dgmm.passes.events import PassFinished, listening


@pytest.fixture
def rows(generator):
    return np.concatenate([generator.normal(0, 1, (600, 2)), generator.normal(7, 2, (400, 2))])


def fit(rows, family="full", **settings):
    given = {"tol": 1e-9, "max_iter": 1000, "random_state": 0, **settings}
    return GaussianMixture(2, covariance_type=family, **given).fit(rows)


@pytest.mark.parametrize("family", FAMILIES)
def test_errors_have_the_shapes_of_parameters_and_names_say_which(rows, family):
    mixture = fit(rows, family)
    found = mixture.standard_errors(rows)
    assert found.weights.shape == (2,)
    assert found.means.shape == mixture.means_.shape
    assert np.shape(found.covariances) == np.shape(mixture.covariances_)
    assert found.covariance.shape == (len(found.names),) * 2
    by_name = dict(zip(found.names, np.sqrt(np.diagonal(found.covariance)), strict=True))
    for name, error in by_name.items():
        attribute, _, index = name.partition("[")
        values = getattr(found, attribute)
        assert error == values[tuple(map(int, index.rstrip("]").split(", ")))] if index else values
    if np.ndim(found.covariances) > 1 and family_named(family).has_products:
        np.testing.assert_array_equal(found.covariances, np.swapaxes(found.covariances, -1, -2))
    assert (found.n_rows, found.weight) == (1000, 1000.0)
    assert found.distance < 0.01


def test_names_are_in_the_order_of_packed_covariances():
    full = names_of(Layout(FAMILIES["full"], 2, 3))[8:]
    one = ["0, 0", "1, 1", "2, 2", "0, 1", "0, 2", "1, 2"]
    assert [*full] == [f"covariances[{k}, {each}]" for k in range(2) for each in one]
    assert [*names_of(Layout(FAMILIES["tied"], 2, 3))[8:]] == [f"covariances[{each}]" for each in one]


@pytest.mark.usefixtures("small_spans")
@pytest.mark.parametrize("kind", ["information", "sandwich"])
def test_sources_agree_and_one_pass_is_enough(rows, stored, tmp_path, kind):
    mixture = fit(rows)
    expected = mixture.standard_errors(rows, kind)
    frame = pd.DataFrame(rows, columns=["a", "b"])
    frame.to_parquet(tmp_path / "rows.parquet")
    named = fit(frame)
    passes = []
    with listening(lambda event: passes.append(event) if isinstance(event, PassFinished) else None):
        for fitted, x in (
            (mixture, stored(rows, 170)),
            (mixture, da.from_array(rows, chunks=(333, 2))),
            (named, dd.from_pandas(frame, npartitions=3)),
            (named, tmp_path / "rows.parquet"),
        ):
            found = fitted.standard_errors(x, kind)
            scale = np.sqrt(np.diagonal(expected.covariance))
            gaps = np.abs(found.covariance - expected.covariance) / (scale * scale[:, None])
            assert gaps.max() < 1e-9
    assert len(passes) == 4


def test_the_same_bits_on_a_cluster(rows, stored, client):
    path, mixture = stored(rows, 170), fit(rows)
    on_cluster = mixture.standard_errors(path)
    with dask.config.set(scheduler="threads"):
        here = mixture.standard_errors(path)
    np.testing.assert_array_equal(on_cluster.covariance, here.covariance)


def test_a_weight_of_two_is_two_rows(rows):
    counts = np.random.default_rng(1).integers(0, 3, len(rows))
    repeated = np.repeat(rows, counts, axis=0)
    mixture = fit(repeated)
    found, expected = mixture.standard_errors(rows, sample_weight=counts), mixture.standard_errors(repeated)
    np.testing.assert_allclose(found.means, expected.means, rtol=1e-9)
    np.testing.assert_allclose(found.covariances, expected.covariances, rtol=1e-9)
    assert found.weight == expected.weight == counts.sum()


@pytest.mark.filterwarnings("ignore:The parameters are")
def test_sampling_weights_have_no_scale_and_do_not_count_rows(rows):
    weights = np.random.default_rng(1).uniform(0.5, 1.5, len(rows))
    mixture = GaussianMixture(2, tol=1e-9, max_iter=1000, random_state=0).fit(rows, sample_weight=weights)
    found = mixture.standard_errors(rows, "sandwich", weights)
    scaled = mixture.standard_errors(rows, "sandwich", 10.0 * weights)
    np.testing.assert_allclose(scaled.covariance, found.covariance, rtol=1e-6, atol=1e-12)
    # Rows that weigh 1 for their half, and 0 for the other: as the sandwich of that half has it.
    half = np.repeat([1.0, 0.0], len(rows))
    whole = mixture.standard_errors(np.concatenate([rows, rows + 1.0]), "sandwich", half)
    np.testing.assert_allclose(whole.means, mixture.standard_errors(rows, "sandwich").means, rtol=1e-9)


def test_intervals(rows):
    mixture = fit(rows)
    errors = mixture.standard_errors(rows)
    found, z = errors.intervals(0.9), 1.6448536269514722
    np.testing.assert_allclose(
        found.means, np.stack([mixture.means_ - z * errors.means, mixture.means_ + z * errors.means], axis=-1)
    )
    off = found.covariances[:, 0, 1]
    np.testing.assert_allclose(np.diff(off)[:, 0], 2 * z * errors.covariances[:, 0, 1])
    variances = found.covariances[:, [0, 1], [0, 1]]
    own = mixture.covariances_[:, [0, 1], [0, 1]]
    np.testing.assert_allclose(np.sqrt(variances.prod(axis=-1)), own)  # in the middle of logarithms
    np.testing.assert_allclose(
        np.log(variances[..., 1] / own), z * errors.covariances[:, [0, 1], [0, 1]] / own
    )
    odds = found.weights / (1 - found.weights)
    np.testing.assert_allclose(np.sqrt(odds.prod(axis=1)), mixture.weights_ / (1 - mixture.weights_))
    np.testing.assert_allclose(found.weights.sum(axis=0)[0] + found.weights.sum(axis=0)[1], 2.0)
    with pytest.raises(ValueError, match="level"):
        errors.intervals(95)
    alone = GaussianMixture(1).fit(rows).standard_errors(rows)
    assert alone.weights.tolist() == [0.0]
    assert alone.intervals().weights.tolist() == [[1.0, 1.0]]


def test_standard_errors_shrink_with_the_square_root_of_rows(rows):
    mixture = fit(rows)
    once, four_times = mixture.standard_errors(rows), mixture.standard_errors(np.tile(rows, (4, 1)))
    np.testing.assert_allclose(four_times.means, once.means / 2, rtol=1e-9)


@pytest.mark.filterwarnings("ignore:The parameters are")
def test_rows_that_lack_values(rows):
    mixture, weights = fit(rows), np.linspace(0.5, 1.5, len(rows))
    lacking = rows.copy()
    lacking[5, 1] = np.nan
    found = mixture.set_params(missing="drop").standard_errors(lacking, "sandwich", weights)
    assert found.n_rows == 999
    expected = mixture.standard_errors(np.delete(rows, 5, axis=0), "sandwich", np.delete(weights, 5))
    np.testing.assert_allclose(found.covariance, expected.covariance, rtol=1e-9, atol=1e-15)
    with pytest.raises(DataError, match="row 5, column 1"):
        mixture.set_params(missing="error").standard_errors(lacking)


@pytest.mark.filterwarnings("ignore:The parameters are")
@pytest.mark.parametrize("kind", ["information", "sandwich"])
def test_rows_that_lack_values_tell_what_they_have(rows, stored, generator, kind):
    """Between what complete rows alone tell, and what all would if nothing lacked."""
    lacking = np.where(generator.random(rows.shape) < 0.2, np.nan, rows)
    mixture = fit(rows)
    some = mixture.set_params(missing="drop").standard_errors(lacking, kind)
    mixture.set_params(missing="marginalize")
    found, whole = mixture.standard_errors(lacking, kind), mixture.standard_errors(rows, kind)
    assert found.n_rows == 1000
    assert (whole.means < found.means).all()
    assert (found.means < some.means).all()
    out_of_core = mixture.standard_errors(stored(lacking, 170), kind)
    np.testing.assert_allclose(out_of_core.means, found.means, rtol=1e-9)


@pytest.mark.parametrize("family", ["full", "tied_diag"])
def test_of_one_component_with_errors_the_mean_has_the_closed_form(rows, stored, family, generator):
    """Its information is the sum of the rows' inverse variances, of true value and error together."""
    variances = generator.uniform(0.5, 4.0, size=(1000, 1))
    x = generator.normal(size=(1000, 1)) + np.sqrt(variances) * generator.normal(size=(1000, 1))
    own = {"covariance_type": family, "tol": 1e-10, "reg_covar": 0.0, "max_iter": 1000}
    mixture = GaussianMixture(1, **own).fit(x, errors=variances)
    totals, gaps = variances + mixture.covariances_.ravel(), x - mixture.means_
    curved = gaps**2 / totals**3 - 0.5 / totals**2  # of the variance
    information = np.array(
        [[(1.0 / totals).sum(), (gaps / totals**2).sum()], [(gaps / totals**2).sum(), curved.sum()]]
    )
    for source in (x, stored(x, 170)):
        found = mixture.standard_errors(source, errors=variances)
        np.testing.assert_allclose(found.covariance[1:, 1:], np.linalg.inv(information), rtol=1e-8)
        assert found.distance < 1e-3
    with pytest.raises(ValueError, match=r"standard errors would take these rows as exact: .* errors=0\.0"):
        mixture.standard_errors(x)


def test_what_is_refused(rows, monkeypatch):
    mixture = fit(rows)
    with pytest.raises(ValueError, match="kind='hessian' is not one of 'information', 'sandwich'"):
        mixture.standard_errors(rows, "hessian")
    with pytest.raises(DataError, match="sample_weight is zero in every row"):
        mixture.standard_errors(rows, sample_weight=np.zeros(len(rows)))
    with pytest.raises(DataError, match="row 3 has -1"):
        mixture.standard_errors(rows, sample_weight=np.where(np.arange(len(rows)) == 3, -1.0, 1.0))
    with pytest.raises(DataError, match="0 sample"):
        mixture.standard_errors(da.zeros((0, 2)))
    layout = Layout(FAMILIES["full"], 1000, 50)
    assert memory_bytes(layout) > 1e13
    many = GaussianMixture(1000)
    many.weights_, many.means_ = np.full(1000, 1e-3), np.zeros((1000, 50))
    many.covariances_ = np.tile(np.eye(50), (1000, 1, 1))
    with pytest.raises(DataError, match=rf"{layout.n_parameters:,} parameters need about [\d,]+ bytes"):
        many.standard_errors(np.zeros((2, 50)))
    assert memory_bytes(layout, squared=True) == 2 * memory_bytes(layout)


@pytest.fixture
def told(rows, generator):
    """Labels of all rows, and two groups in which they have other shares."""
    labels = np.repeat([0, 1], [600, 400])
    return {"labels": labels, "groups": np.where(generator.random(1000) < 0.2 + 0.5 * labels, "x", "y")}


@pytest.mark.parametrize("kind", ["information", "sandwich"])
def test_labels_of_all_rows_and_groups_have_the_closed_form(rows, told, stored, kind):
    """Shares as those of counts in each group, and means as those of each class; of any source."""
    mixture = GaussianMixture(2, tol=1e-9, reg_covar=0.0).fit(rows, **told)
    shares, counts = mixture.group_weights_, np.array([(told["groups"] == g).sum() for g in ("x", "y")])
    variances = shares * (1.0 - shares) / counts[:, None]
    for source in (rows, stored(rows, 170), da.from_array(rows, chunks=(333, 2))):
        found = mixture.standard_errors(source, kind, **told)
        np.testing.assert_allclose(found.group_weights, np.sqrt(variances), rtol=1e-9)
        np.testing.assert_allclose(found.weights, np.sqrt((counts / 1000) ** 2 @ variances), rtol=1e-9)
        of_means = [np.sqrt(np.diagonal(mixture.covariances_[k]) / n) for k, n in enumerate((600, 400))]
        np.testing.assert_allclose(found.means, of_means, rtol=1e-9)
        assert found.distance < 1e-6
    assert len(found.names) == len(found.covariance) == 4 + 4 + 6
    assert found.names[2] == "group_weights[1, 0]"
    intervals = found.intervals()
    inside = (intervals.group_weights[..., 0] < shares) & (shares < intervals.group_weights[..., 1])
    assert inside.all()


def test_labels_and_groups_by_the_names_of_columns_and_beside_errors(rows, told, tmp_path):
    """The same numbers, however they are told of."""
    frame = pd.DataFrame(rows, columns=["a", "b"]).assign(va=0.1, vb=0.2, kind=told["labels"])
    frame["kind"] = frame["kind"].where(np.arange(1000) % 3 == 0, -1)
    frame["which"] = told["groups"]
    frame.to_parquet(tmp_path / "rows.parquet")
    own = {"labels": frame["kind"], "groups": frame["which"], "errors": frame[["va", "vb"]].to_numpy()}
    names = {"labels": "kind", "groups": "which", "errors": ["va", "vb"]}
    mixture = GaussianMixture(2, tol=1e-9, random_state=0).fit(frame, **names)
    expected = mixture.standard_errors(frame[["a", "b"]], **own)
    assert expected.distance < 0.1
    for source in (frame, tmp_path / "rows.parquet", dd.from_pandas(frame, npartitions=2)):
        found = mixture.standard_errors(source, **names)
        np.testing.assert_allclose(found.group_weights, expected.group_weights, rtol=1e-7)
        np.testing.assert_allclose(found.means, expected.means, rtol=1e-7)


def test_weights_at_the_border_are_told_of(rows, told):
    groups = np.where(np.arange(1000) < 30, "few", told["groups"])  # of the first cluster alone
    mixture = GaussianMixture(2, tol=1e-9, random_state=0).fit(rows, groups=groups).sorted("mean")
    with pytest.warns(
        MixtureWarning, match="1 of 6 weights of groups belong to components with less than one row"
    ):
        found = mixture.standard_errors(rows, groups=groups)
    assert np.isnan(found.group_weights).tolist() == [[False, True], [False, False], [False, False]]
    assert np.isfinite(found.weights).all()
    assert np.isfinite(found.means).all()


def test_a_mixture_of_groups_asks_for_them(rows, told):
    mixture = GaussianMixture(2, random_state=0).fit(rows, groups=told["groups"])
    with pytest.raises(ValueError, match="give groups= of the rows, as for fit"):
        mixture.standard_errors(rows)
    with pytest.raises(DataError, match="'z'"):
        mixture.standard_errors(rows, groups=np.full(1000, "z"))
    with pytest.raises(DataError, match="labels holds 2 in row 0, but n_components=2"):
        mixture.standard_errors(rows, groups=told["groups"], labels=np.full(1000, 2))
    with pytest.raises(ValueError, match="was fitted without"):
        fit(rows).standard_errors(rows, groups=told["groups"])


def test_a_fit_that_has_not_converged_says_so(rows):
    early = fit(rows, tol=1e-2)
    early.means_ = early.means_ + 0.2
    with pytest.warns(MixtureWarning, match="standard errors from the maximum"):
        found = early.standard_errors(rows)
    assert found.distance > dgmm.estimators.certainty.CERTAINTY.far


def test_components_that_are_hardly_known_are_named(generator):
    rows = np.concatenate([generator.normal(size=(200, 1)), generator.normal(0.3, 1.1, (200, 1))])
    mixture = fit(rows, tol=1e-8, reg_covar=0.0)
    with pytest.warns(MixtureWarning, match="Standard errors of component.* exceed the weight"):
        mixture.standard_errors(rows)


def test_float32_rows_are_taken(rows):
    single = rows.astype(np.float32)
    mixture = fit(single.astype(np.float64))
    found, expected = mixture.standard_errors(single), mixture.standard_errors(single.astype(np.float64))
    np.testing.assert_allclose(found.means, expected.means, rtol=1e-6)
