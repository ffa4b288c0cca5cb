# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportReturnType=false
"""What is loaded is a mixture, or refused."""

import io
import json
import subprocess
import sys
import zipfile
from functools import cache
from pathlib import Path

import fsspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.mixture import GaussianMixture as SklearnGaussianMixture

import dgmm
from dgmm.data import DataError
from dgmm.estimators.attributes import ATTRIBUTES
from dgmm.model.families import family_named

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


class TestConsistent:
    @pytest.mark.parametrize("covariance_type", FAMILIES)
    @pytest.mark.parametrize("name", ["covariances_", "precisions_", "precisions_cholesky_"])
    @pytest.mark.parametrize("factor", [2.0, 100.0, 1.001])
    def test_widths_that_contradict_each_other(self, path, covariance_type, name, factor):
        saved(dgmm.GaussianMixture, path, covariance_type=covariance_type)
        rewritten(path, **{name: factor * getattr(dgmm.load(path), name)})
        with pytest.raises(DataError, match=r"is damaged: \w+_ are not those of precisions_cholesky_"):
            dgmm.load(path)

    @pytest.mark.parametrize("name", ["covariances_", "precisions_"])
    @pytest.mark.parametrize("covariance_type", ["full", "tied"])
    def test_matrices_that_are_not_symmetric(self, path, covariance_type, name):
        saved(dgmm.GaussianMixture, path, covariance_type=covariance_type)
        values = getattr(dgmm.load(path), name).copy()
        values[..., 0, 1] += 0.01
        rewritten(path, **{name: values})
        with pytest.raises(DataError, match=f"is damaged: {name} are not symmetric"):
            dgmm.load(path)

    @pytest.mark.parametrize("dtype", ["c16", "U20", "?", "i8"])
    def test_numbers_of_another_kind(self, path, dtype):
        saved(dgmm.GaussianMixture, path)
        rewritten(path, means_=dgmm.load(path).means_.astype(dtype))
        if dtype == "i8":  # another mixture, but one
            assert dgmm.load(path).means_.dtype == "i8"
            return
        with pytest.raises(DataError, match=r"means_(\.npy)? (is not real|holds complex)"):
            dgmm.load(path)

    @pytest.mark.parametrize("scale", [1e-140, 1e-8, 1.0, 1e8, 1e140])
    @pytest.mark.parametrize("covariance_type", FAMILIES)
    @pytest.mark.parametrize("dtype", ["f4", "f8"])
    def test_what_is_only_rounded_is_taken(self, path, scale, covariance_type, dtype):
        """Covariances of a condition up to 1e12, in both precisions, are of the same mixture."""
        if dtype == "f4" and abs(np.log10(scale)) > 10:
            pytest.skip("beyond the range of float32")
        family, generator = family_named(covariance_type), np.random.default_rng(0)
        axes = np.linalg.qr(generator.normal(size=(3, 5, 5)))[0]
        matrices = axes * np.logspace(0, -12 if dtype == "f8" else -5, 5) @ axes.swapaxes(1, 2) * scale**2
        covariances = {
            "full": matrices,
            "tied": matrices[0],
            "diag": np.diagonal(matrices, axis1=1, axis2=2),
            "spherical": matrices[:, 0, 0],
        }[covariance_type]
        mixture = dgmm.GaussianMixture(3, covariance_type=covariance_type)
        factors = family.precisions_cholesky(covariances)
        mixture.weights_, mixture.means_ = np.full(3, 1 / 3), np.zeros((3, 5))
        mixture.precisions_cholesky_, mixture.precisions_ = factors, family.precisions(factors)
        mixture.covariances_ = covariances
        for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"):
            setattr(mixture, name, getattr(mixture, name).astype(dtype))
        mixture.save(path)
        np.testing.assert_array_equal(dgmm.load(path).covariances_, mixture.covariances_)

    def test_what_would_be_refused_is_not_saved(self, path):
        mixture = dgmm.GaussianMixture(2, random_state=0).fit(ROWS)
        mixture.covariances_ = 4.0 * mixture.covariances_
        with pytest.raises(DataError, match="covariances_ are not those of precisions_cholesky_"):
            mixture.save(path)
        mixture.means_ = mixture.means_.astype(complex)
        with pytest.raises(ValueError, match="means_"):
            mixture.save(path)
        assert not path.exists()

    def test_what_lacks_some_of_scikit_learns_attributes(self, path):
        other = SklearnGaussianMixture(2, random_state=0).fit(ROWS)
        del other.precisions_, other.lower_bounds_
        dgmm.GaussianMixture.from_sklearn(other).save(path)
        np.testing.assert_allclose(dgmm.load(path).score_samples(ROWS), other.score_samples(ROWS))


@cache
def members_of(covariance_type: str) -> dict[str, np.ndarray]:
    """The members of a file of a mixture, by name."""
    url = f"memory://test-load/{covariance_type}.npz"
    saved(dgmm.GaussianMixture, url, covariance_type=covariance_type)  # pyright: ignore[reportArgumentType]
    with fsspec.open(url, "rb") as opened, np.load(io.BytesIO(opened.read())) as archive:
        return {name: archive[name] for name in archive.files}


ARRAYS = ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_")
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
CHANGES_OF_ARRAYS = {
    "scaled": lambda values, number: values.astype(float) * number,
    "moved": lambda values, number: values.astype(float) + number,
    "one other": lambda values, number: np.where(
        np.arange(values.size).reshape(values.shape) == 1, number, values
    ),
    "turned": lambda values, number: values.T,
    "reversed": lambda values, number: values[::-1],
    "flat": lambda values, number: values.ravel(),
    "nothing": lambda values, number: values[:0],
    "of one": lambda values, number: values[:1],
    "twice": lambda values, number: np.concatenate([values, values]),
    "complex": lambda values, number: values.astype(complex),
    "text": lambda values, number: values.astype("U"),
    "single": lambda values, number: values.astype("f4"),
    "whole": lambda values, number: values.astype("i8"),
    "big-endian": lambda values, number: values.astype(">f8"),
    "half": lambda values, number: values.astype("f2"),
    "dates": lambda values, number: values.astype("i8").astype("M8[s]"),
}


@st.composite
def crafted(draw) -> tuple[str, bytes]:
    """A covariance type, and a file with good checksums whose parts are not what was saved."""
    covariance_type = draw(st.sampled_from(FAMILIES))
    arrays = dict(members_of(covariance_type))
    header = json.loads(str(arrays.pop("header")))
    for _ in range(draw(st.integers(1, 2))):
        match draw(st.sampled_from(["array", "header", "header", "attribute", "gone", "name"])):
            case "array":
                name, how = draw(st.sampled_from(ARRAYS)), draw(st.sampled_from([*CHANGES_OF_ARRAYS]))
                number = draw(st.sampled_from([0.0, -1.0, 2.0, 1e-3, 1e200, 1e-200, np.nan, np.inf]))
                if name in arrays:
                    with np.errstate(all="ignore"):
                        arrays[name] = np.atleast_1d(CHANGES_OF_ARRAYS[how](arrays[name], number))
            case "header":
                part = draw(st.sampled_from([header, header.get("parameters"), header.get("attributes")]))
                if isinstance(part, dict) and part:
                    part[draw(st.sampled_from(sorted(part)))] = draw(ANYTHING)
            case "attribute":
                names = st.text(max_size=6) | st.sampled_from(
                    ["__class__", "_parameters", "fit", *ATTRIBUTES]
                )
                part = header.get("attributes")
                if isinstance(part, dict):
                    part[draw(names)] = draw(ANYTHING)
            case "gone":
                arrays.pop(draw(st.sampled_from(ARRAYS)), None)
            case "name":
                arrays[draw(st.sampled_from(["__class__", "x", "means_init", "../means_"]))] = np.ones((2, 2))
    buffer = io.BytesIO()
    np.savez(buffer, header=np.array(json.dumps(header)), **arrays)
    return covariance_type, buffer.getvalue()


def naive_log_densities(mixture) -> np.ndarray:
    """Log densities of `ROWS` by the covariances alone."""
    family = family_named(mixture.covariance_type)
    shape = mixture.means_.shape
    matrices = np.asarray(family.to_matrices(mixture.covariances_.astype(float), *shape), float)
    with np.errstate(divide="ignore"):
        each = [
            np.log(weight) + multivariate_normal(mean, matrix, allow_singular=True).logpdf(ROWS)
            for weight, mean, matrix in zip(mixture.weights_, mixture.means_, matrices, strict=True)
        ]
    return logsumexp(each, axis=0)


@given(crafted())
@settings(max_examples=300)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_crafted_files_are_refused_or_a_mixture(case):
    """Whatever a file with good checksums holds: an error that says so, or a mixture that is one."""
    url = "memory://test-load/crafted.npz"
    with fsspec.open(url, "wb") as file:
        file.write(case[1])
    try:
        found = dgmm.load(url)
    except DataError:
        return
    assert set(vars(found)) <= {*ATTRIBUTES, *found.get_params(), "_kept"}
    np.testing.assert_allclose(found.score_samples(ROWS), naive_log_densities(found), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found.predict_proba(ROWS).sum(axis=1), 1.0)


def bomb(path: Path, kind: str) -> None:
    """Write a small file that would take much memory."""
    members = members_of("full") if kind != "zeros alone" else {}
    with zipfile.ZipFile(
        path, "w", zipfile.ZIP_DEFLATED if kind.startswith("zeros") else zipfile.ZIP_STORED
    ) as archive:
        for name, values in members.items():
            if name == "means_" and kind != "header":
                continue
            with archive.open(f"{name}.npy", "w") as file:
                np.lib.format.write_array(file, values)
        with archive.open("means_.npy" if kind != "header" else "x.npy", "w", force_zip64=True) as file:
            shape = (100_000_000_000, 1) if kind == "claim" else (2**24, 1)
            np.lib.format.write_array_header_1_0(
                file, {"shape": shape, "fortran_order": False, "descr": "<f8"}
            )
            for _ in range(2**3 if kind.startswith("zeros") else 0):
                file.write(bytes(2**24))


MEASURED = """
import resource, sys
import dgmm
def kilobytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = kilobytes()
for path in sys.argv[1:]:
    try:
        dgmm.load(path)
    except dgmm.data.DataError as error:
        assert "is not a dgmm model file, or is damaged" in str(error)
        print(kilobytes() - before)
"""
"""Prints the kilobytes by which a process grew before it refused each file."""


def test_bombs_take_no_memory(tmp_path):
    paths = [tmp_path / f"{kind}.npz" for kind in ("zeros", "zeros alone", "claim", "header")]
    for path in paths:
        bomb(path, path.stem)
    command = [sys.executable, "-c", MEASURED, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    grown = list(map(int, done.stdout.split()))
    assert len(grown) == len(paths)
    assert max(grown) < 50_000
