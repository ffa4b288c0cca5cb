# pyright: reportAttributeAccessIssue=false
import io
import json
import zipfile

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError

from dgmm import GaussianMixture, load
from dgmm.model.families import FAMILIES

ROWS = load_iris().data


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.npz"


@pytest.mark.parametrize("covariance_type", FAMILIES)
def test_round_trip(path, covariance_type):
    frame = pd.DataFrame(ROWS, columns=["a", "b", "c", "d"])
    mixture = GaussianMixture(
        3, covariance_type=covariance_type, means_init=ROWS[[0, 60, 120]], weights_init=[0.2, 0.3, 0.5]
    ).fit(frame)
    mixture.save(path)
    again = load(path)
    assert vars(again).keys() == vars(mixture).keys()
    for name, value in vars(mixture).items():
        np.testing.assert_array_equal(getattr(again, name), value, err_msg=name)
    assert again.lower_bounds_ == mixture.lower_bounds_
    np.testing.assert_array_equal(again.predict_proba(frame), mixture.predict_proba(frame))


def test_no_pickle(path):
    GaussianMixture(2, random_state=np.random.RandomState(0)).fit(ROWS).save(path)
    with np.load(path, allow_pickle=False) as archive:
        assert all(archive[name].dtype != object for name in archive.files)
    assert load(path).random_state is None


def test_not_fitted_and_failures_leave_nothing(path):
    with pytest.raises(NotFittedError):
        GaussianMixture().save(path)
    mixture = GaussianMixture().fit(ROWS)
    path.mkdir()
    with pytest.raises(OSError):  # noqa: PT011 - the system's own
        mixture.save(path)
    mixture.set_params(means_init=object())
    with pytest.raises(TypeError, match="a object cannot be saved"):
        mixture.save(path.with_name("other.npz"))
    assert list(path.parent.iterdir()) == [path]


def test_at_a_url(tmp_path):
    url = f"memory://model-files{tmp_path}/model[1].npz"  # fsspec would take it for a pattern
    one, other = (GaussianMixture(2, random_state=0, tol=tol).fit(ROWS) for tol in (10.0, 1e-9))
    one.save(url.replace("[1]", "1"))
    for mixture in (one, other):  # a model that is there is replaced
        mixture.save(url)
        np.testing.assert_array_equal(load(url).means_, mixture.means_)
    np.testing.assert_array_equal(load(url.replace("[1]", "1")).means_, one.means_)
    with pytest.raises(FileNotFoundError, match="there is no model file memory://"):
        load(url + ".gz")


def test_names_that_are_no_urls(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mixture = GaussianMixture(2, random_state=0).fit(ROWS)
    for name in ("run::1.npz", "~m.npz"):
        mixture.save(name)
        np.testing.assert_array_equal(load(name).means_, mixture.means_)
        assert (tmp_path / name).is_file()
    for act in (mixture.save, load):
        with pytest.raises(FileNotFoundError, match=r"path of the model is empty|no model file"):
            act("")


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none does not exist; create that folder"):
        GaussianMixture(2, random_state=0).fit(ROWS).save(tmp_path / "none" / "model.npz")


def test_a_file_that_is_not_there(path):
    with pytest.raises(FileNotFoundError, match=r"there is no model file .*model\.npz"):
        load(path)


class TestDamaged:
    @pytest.fixture
    def data(self, path):
        GaussianMixture(2, random_state=0).fit(ROWS[:, :2]).save(path)
        return path.read_bytes()

    def test_truncated(self, path, data):
        for size in range(0, len(data), 97):
            path.write_bytes(data[:size])
            with pytest.raises(ValueError, match="is not a dgmm model file"):
                load(path)

    def test_flipped_bytes_are_refused_or_harmless(self, path, data):
        expected = load(path)
        for position in range(0, len(data), 11):
            flipped = bytearray(data)
            flipped[position] ^= 0xFF
            path.write_bytes(flipped)
            try:
                found = load(path)
            except ValueError:
                continue
            for name in ("weights_", "means_", "covariances_", "precisions_cholesky_"):
                np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))

    def rewrite(self, path, change):
        with np.load(path, allow_pickle=False) as archive:
            own = {name: archive[name] for name in archive.files}
        found = json.loads(str(own.pop("header")))
        change(found)
        buffer = io.BytesIO()
        np.savez(buffer, header=np.array(json.dumps(found)), **own)
        path.write_bytes(buffer.getvalue())

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda header: header.update(version=3), "format version 3; this dgmm reads up to 2"),
            (lambda header: header.update(format="other"), "is not a dgmm model file"),
            (lambda header: header.update({"class": "os.system"}), "is not a dgmm model file"),
            (lambda header: header["parameters"].update(depth=3), "is damaged: .*depth"),
            (
                lambda header: header["parameters"].update(covariance_type="foo"),
                "is damaged: .*'covariance_type' parameter",
            ),
            (lambda header: header.pop("attributes"), "lacks converged_"),
        ],
    )
    @pytest.mark.usefixtures("data")
    def test_headers(self, path, change, message):
        self.rewrite(path, change)
        with pytest.raises(ValueError, match=message):
            load(path)

    def test_other_files(self, path):
        path.write_text("hello")
        with pytest.raises(ValueError, match="is not a dgmm model file"):
            load(path)
        with open(path, "wb") as file:
            np.save(file, np.eye(2))
        with pytest.raises(ValueError, match="is not a dgmm model file"):
            load(path)
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a.txt", "hello")
        with pytest.raises(ValueError, match="is not a dgmm model file"):
            load(path)
        with pytest.raises(ValueError, match=r"is a folder: give the model file, such as .*model\.npz"):
            load(path.parent)
