"""What is loaded is a mixture, or refused."""

import json
from pathlib import Path

import numpy as np
import pytest

import dgmm
from dgmm.data import DataError

FAMILIES = ["full", "tied", "diag", "spherical"]
RNG = np.random.default_rng(0)
ROWS = np.concatenate([RNG.normal(0, 1, (60, 2)), RNG.normal(6, 1, (40, 2))])


def saved(kind, path: Path, **settings) -> None:
    kind(n_components=2, random_state=0, **settings).fit(ROWS).save(path)


def rewritten(path: Path, **arrays) -> None:
    """Replace arrays of a model file; None leaves one out."""
    with np.load(path) as archive:
        members = {name: archive[name] for name in archive.files} | arrays
    np.savez(path, **{name: value for name, value in members.items() if value is not None})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.npz"


@pytest.mark.parametrize("kind", [dgmm.GaussianMixture, dgmm.BayesianGaussianMixture])
@pytest.mark.parametrize("covariance_type", FAMILIES)
def test_the_class_and_its_answers_come_back(path, kind, covariance_type):
    saved(kind, path, covariance_type=covariance_type)
    found, expected = dgmm.load(path), kind(n_components=2, random_state=0, covariance_type=covariance_type)
    assert type(found) is kind
    assert found.get_params() == expected.get_params()
    np.testing.assert_array_equal(found.predict_proba(ROWS), expected.fit(ROWS).predict_proba(ROWS))


@pytest.mark.parametrize("covariance_type", FAMILIES)
@pytest.mark.parametrize("name", ["weights_", "means_", "covariances_", "precisions_cholesky_"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite(path, covariance_type, name, bad):
    saved(dgmm.GaussianMixture, path, covariance_type=covariance_type)
    values = getattr(dgmm.load(path), name).copy()
    values.flat[-1] = bad
    rewritten(path, **{name: values})
    with pytest.raises(DataError, match=f"is damaged: {name} holds values that are not finite"):
        dgmm.load(path)


@pytest.mark.parametrize("covariance_type", FAMILIES)
@pytest.mark.parametrize("name", ["weights_", "means_", "covariances_", "precisions_cholesky_"])
def test_shapes_that_do_not_fit(path, covariance_type, name):
    saved(dgmm.GaussianMixture, path, covariance_type=covariance_type)
    rewritten(path, **{name: getattr(dgmm.load(path), name)[:-1]})
    with pytest.raises(DataError, match="is damaged: "):
        dgmm.load(path)


@pytest.mark.parametrize("covariance_type", FAMILIES)
def test_covariances_that_are_none(path, covariance_type):
    saved(dgmm.GaussianMixture, path, covariance_type=covariance_type)
    rewritten(path, covariances_=-dgmm.load(path).covariances_)
    with pytest.raises(DataError, match="covariances_ are not positive definite"):
        dgmm.load(path)


@pytest.mark.parametrize("weights", [[0.6, 0.6], [1.2, -0.2], [0.5, 0.4999]])
def test_weights_that_are_no_proportions(path, weights):
    saved(dgmm.GaussianMixture, path)
    rewritten(path, weights_=np.array(weights))
    with pytest.raises(DataError, match="weights_ are not proportions"):
        dgmm.load(path)


@pytest.mark.parametrize("name", ["weights_", "means_", "covariances_", "precisions_cholesky_"])
def test_an_array_that_is_not_there_is_named(path, name):
    saved(dgmm.GaussianMixture, path)
    rewritten(path, **{name: None})
    with pytest.raises(DataError, match=f"is damaged: it lacks {name}"):
        dgmm.load(path)


@pytest.mark.parametrize("name", ["dict", "Mixture", "GaussianMixtureSweep", "os.system", ""])
def test_another_class_is_not_made(path, name):
    saved(dgmm.GaussianMixture, path)
    with np.load(path) as archive:
        header = json.loads(str(archive["header"]))
    rewritten(path, header=np.array(json.dumps(header | {"class": name})))
    with pytest.raises(DataError, match="is not a dgmm model file"):
        dgmm.load(path)


def test_names_of_features_stay_text(path):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(ROWS, columns=["flux [/cm2]", "a,b"])
    dgmm.GaussianMixture(2, random_state=0).fit(frame).save(path)
    found = dgmm.load(path)
    assert list(found.feature_names_in_) == ["flux [/cm2]", "a,b"]
    assert found.feature_names_in_.dtype == object
