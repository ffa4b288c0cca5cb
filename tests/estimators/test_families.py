"""Every family does all that mixtures do: in memory and out of it, weights, float32, sweeps, Bayes, files."""
# pyright: reportArgumentType=false, reportCallIssue=false
# pyright: reportInvalidTypeForm=false, reportIndexIssue=false

from dataclasses import make_dataclass

import numpy as np
import pytest
import zarr
from beartype import beartype
from click.testing import CliRunner
from jaxtyping import Float32, Float64, Int64, TypeCheckError, jaxtyped

import dgmm
from dgmm import BayesianGaussianMixture, GaussianMixture, GaussianMixtureSweep
from dgmm.cli import main
from dgmm.model.families import FAMILIES
from tests.model.test_shapes import COVARIANCE_SHAPES

each_family = pytest.mark.parametrize("covariance_type", FAMILIES)
CENTRES = np.array([[0.0, 0.0, 0.0], [9.0, 0.0, 0.0], [0.0, 9.0, 4.0]])


@pytest.fixture(scope="module")
def rows():
    generator = np.random.default_rng(0)
    return CENTRES[generator.integers(3, size=3000)] + generator.normal(size=(3000, 3))


@pytest.fixture(scope="module")
def store(rows, tmp_path_factory):
    path = str(tmp_path_factory.mktemp("families") / "rows.zarr")
    zarr.create_array(path, shape=rows.shape, chunks=(700, 3), dtype=rows.dtype)[:] = rows
    return path


def assert_alike(found, expected, tolerance):
    order, other = (np.lexsort(each.means_.round(1).T) for each in (found, expected))
    np.testing.assert_allclose(found.weights_[order], expected.weights_[other], atol=tolerance)
    np.testing.assert_allclose(found.means_[order], expected.means_[other], atol=tolerance)
    matrices, wanted = (
        FAMILIES[each.covariance_type].to_matrices(np.asarray(each.covariances_), 3, 3)
        for each in (found, expected)
    )
    np.testing.assert_allclose(matrices[order], wanted[other], atol=tolerance)


def fitted(x, covariance_type, sample_weight=None, **own):
    mixture = GaussianMixture(3, covariance_type=covariance_type, random_state=0, tol=1e-9, **own)
    return mixture.fit(x, sample_weight=sample_weight)


@each_family
def test_out_of_core_it_is_what_it_is_in_memory(rows, store, covariance_type):
    """By corrected EM and plain, float32 rows too, to the limit of EM."""
    small = fitted(rows, covariance_type)
    assert small.covariances_.shape == FAMILIES[covariance_type].covariance_shape(3, 3)
    assert (np.diff(small.lower_bounds_) > -1e-12).all()
    assert_alike(fitted(store, covariance_type, sample_rows=800), small, 1e-5)
    assert_alike(fitted(store, covariance_type, sample_rows=800, algorithm="em"), small, 1e-5)
    assert_alike(fitted(rows.astype(np.float32), covariance_type), small, 1e-3)


@each_family
def test_whole_weights_are_repeated_rows(rows, covariance_type):
    times = np.random.default_rng(1).integers(0, 3, len(rows))
    start = {"init_params": "kmeans", "means_init": CENTRES}
    weighted = fitted(rows, covariance_type, times.astype(float), **start)
    assert_alike(weighted, fitted(rows.repeat(times, axis=0), covariance_type, **start), 1e-5)


@each_family
def test_variational_bayes(rows, store, covariance_type):
    for x, own in ((rows, {}), (store, {"sample_rows": 800}), (rows, {"moves": True, "max_iter": 30})):
        mixture = BayesianGaussianMixture(n_components=4, covariance_type=covariance_type, random_state=0)
        mixture.set_params(**{"tol": 1e-3, "max_iter": 500} | own)
        mixture.fit(x)
        assert (np.diff(mixture.lower_bounds_) >= -1e-9 * abs(mixture.lower_bound_)).all()
        used = mixture.weights_ > 0.1
        assert used.sum() >= 3


def test_a_sweep_of_all(rows, store):
    """Round clusters of one width: the family with the fewest parameters is the best."""
    fewest = min(FAMILIES, key=lambda name: FAMILIES[name].n_covariance_parameters(3, 3))
    for x, own in ((rows, {}), (store, {"sample_rows": 800})):
        found = GaussianMixtureSweep([2, 3], covariance_type=tuple(FAMILIES), random_state=0, **own).fit(x)
        assert set(found.results_["covariance_type"]) == set(FAMILIES)
        assert found.best_params_ == {"n_components": 3, "covariance_type": fewest}


@each_family
def test_from_the_command_line_to_a_file_and_back(store, covariance_type, tmp_path):
    path = tmp_path / "model.npz"
    arguments = ["fit", store, "-k", "3", "--covariance", covariance_type, "--out", str(path)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    mixture = dgmm.load(path)
    assert mixture.covariance_type == covariance_type
    drawn, labels = mixture.sample(5000)
    own = drawn - mixture.means_[labels]
    variances = FAMILIES[covariance_type].variances(np.asarray(mixture.covariances_), 3, 3)
    np.testing.assert_allclose(own.var(axis=0), mixture.weights_ @ variances, rtol=0.15)


@each_family
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_shapes_and_types_of_attributes_and_results(rows, covariance_type, dtype):
    """With the sizes bound together; all are of the rows' dtype."""
    floats, shape = Float32 if dtype == np.float32 else Float64, COVARIANCE_SHAPES[covariance_type]
    form = floats[np.ndarray, shape] if shape else dtype

    types = {
        "rows": floats[np.ndarray, "N D"],
        "weights": floats[np.ndarray, " K"],
        "means": floats[np.ndarray, "K D"],
        **dict.fromkeys(("covariances", "precisions", "precisions_cholesky"), form),
        "labels": Int64[np.ndarray, " N"],
        "responsibilities": floats[np.ndarray, "N K"],
        "log_densities": floats[np.ndarray, " N"],
        "drawn": Float64[np.ndarray, "M D"],
        "components": Int64[np.ndarray, " M"],
    }
    view = jaxtyped(typechecker=beartype)(make_dataclass("View", types.items()))

    x = rows.astype(dtype)
    model = fitted(x, covariance_type)
    own = model.weights_, model.means_, model.covariances_, model.precisions_, model.precisions_cholesky_
    results = model.predict(x), model.predict_proba(x), model.score_samples(x)
    view(x, *own, *results, *model.sample(7))
    with pytest.raises(TypeCheckError):
        view(x[:-1], *own, *results, *model.sample(7))
