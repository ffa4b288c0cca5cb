# pyright: reportAttributeAccessIssue=false
"""What a mixture keeps of its rows goes through a model file as it is, and a hostile file is refused."""

import io
import json
import zipfile

import numpy as np
import pytest

import dgmm
from dgmm import BayesianGaussianMixture, GaussianMixture
from dgmm.estimators.attributes import FITTED_ARRAYS, OF_KEPT_SUMS, PARTITION_ARRAYS
from dgmm.model.families import FAMILIES

ROWS = np.random.default_rng(0).normal(size=(200, 3)) + np.repeat([[0.0], [8.0]], [120, 80], axis=0)
MORE = ROWS[::4] + 0.5


def fitted(kind=GaussianMixture, covariance_type="full", dtype=np.float64):
    mixture = kind(n_components=2, covariance_type=covariance_type, random_state=0)
    return mixture.fit(ROWS.astype(dtype))


def names_in(path):
    with zipfile.ZipFile(path) as archive:
        return {name.removesuffix(".npy") for name in archive.namelist()}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("covariance_type", FAMILIES)
@pytest.mark.parametrize("kind", [GaussianMixture, BayesianGaussianMixture])
def test_round_trip(tmp_path, kind, covariance_type, dtype):
    mixture = fitted(kind, covariance_type, dtype)
    path = tmp_path / "model.npz"
    for more in (False, True):
        if more:
            mixture.update(MORE, np.full(50, 0.5), name="more")
        mixture.save(path)
        again = dgmm.load(path)
        assert again._kept == mixture._kept
        assert again.partitions_[-1].name == ("more" if more else "fit")
        again.update(MORE + 1.0)
        assert again.partitions_[0].rows == mixture.data_fingerprint_
    mixture.forget(ROWS.astype(dtype)).save(path)  # what is left is no fit
    assert dgmm.load(path)._kept == mixture._kept
    assert not names_in(path) & set(FITTED_ARRAYS)


def test_the_fitted_mixture_is_not_written_twice(tmp_path):
    mixture = fitted()
    mixture.save(tmp_path / "model.npz")
    assert not names_in(tmp_path / "model.npz") & set(FITTED_ARRAYS)
    assert names_in(tmp_path / "model.npz") >= set(PARTITION_ARRAYS)
    mixture.means_ = mixture.means_ + 1.0  # set by hand: what is kept is of another
    mixture.save(tmp_path / "model.npz")
    assert not names_in(tmp_path / "model.npz") & set(OF_KEPT_SUMS)
    assert not hasattr(dgmm.load(tmp_path / "model.npz"), "partitions_")


def changed(path, header=None, **arrays):
    """Write a model file anew, with other arrays and another header."""
    with np.load(path) as archive:
        members = {name: archive[name] for name in archive.files}
    said = json.loads(str(members.pop("header")))
    if header is not None:
        header(said)
    members = {name: value for name, value in (members | arrays).items() if value is not None}
    buffer = io.BytesIO()
    np.savez(buffer, header=np.array(json.dumps(said)), **members)
    path.write_bytes(buffer.getvalue())


def setting(name, value, index=0):
    def change(header):
        header["attributes"]["partitions_"][index][name] = value

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"partition_counts_": np.array([[-1.0, 2.0], [1.0, 1.0]])}, "values that no sums have"),
        ({"partition_sums_": np.full((2, 2, 3), np.nan)}, "values that no sums have"),
        ({"partition_points_": np.zeros((2, 2, 2))}, "partition_points_ is not of 2 partitions"),
        ({"partition_scatter_": np.zeros((2, 5))}, "partition_scatter_ is not of 2 partitions"),
        ({"partition_counts_": np.ones((3, 2))}, "partition_counts_ is not of 2 partitions"),
        ({"partition_sums_": None}, "partition_sums_ is not of 2 partitions"),
        ({"partition_scatter_": np.zeros((2, 100_000))}, "too large"),
        ({"fitted_means_": np.zeros((2, 2))}, "fitted_means_ is not that"),
        ({"fitted_weights_": None}, "fitted_weights_ is not that"),
        ({"header": setting("weight", 0)}, "a number above zero"),
        ({"header": setting("n_rows", -1)}, "a count"),
        ({"header": setting("rows", 5)}, "text"),
        ({"header": setting("entropy", float("nan"))}, "a finite number"),
        ({"header": setting("name", "more")}, "two partitions have the same name"),
        ({"header": lambda said: said["attributes"].update(partitions_=[])}, "of 0 partitions"),
        ({"header": lambda said: said["attributes"].update(partitions_="all")}, "a list of records"),
        ({"header": lambda said: said["attributes"].update(partitions_=[1, 2])}, "a list of records"),
    ],
)
def test_a_file_of_sums_that_no_rows_have_is_refused(tmp_path, change, said):
    path = tmp_path / "model.npz"
    fitted().update(MORE, name="more").save(path)
    changed(path)
    dgmm.load(path)
    changed(path, **change)
    with pytest.raises(ValueError, match=said):
        dgmm.load(path)


def test_a_file_of_an_earlier_version_keeps_none(tmp_path):
    path = tmp_path / "model.npz"
    fitted().save(path)

    def earlier(header):
        header["version"] = 1
        for name in ("partitions_", "fitted_bound_"):
            del header["attributes"][name]

    changed(path, earlier, **dict.fromkeys(PARTITION_ARRAYS))
    mixture = dgmm.load(path)
    np.testing.assert_array_equal(mixture.means_, fitted().means_)
    with pytest.raises(ValueError, match="file of an earlier dgmm"):
        mixture.update(MORE)
