"""Inputs that break numerical code, each a line of a table: what it must give in memory, and as Zarr.

Most rows are two groups of unit width, 8 apart in each of 3 features, taken in turns: scikit-learn finds them
from its start, and so does the search that is made for Zarr's rows, of which only 500 are in the sample.
"""
# pyright: reportArgumentType=false

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import zarr
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as ScikitLearns

from dgmm import GaussianMixture, MixtureWarning
from dgmm.data.source import DataError, DataWarning
from dgmm.model.matrices import DegenerateCovarianceError

N_ROWS, SAMPLE_ROWS, N_FEATURES = 700, 500, 3

ROUNDING = 2.0**-52 * N_ROWS * 17.0
"""Of the relative error of a variance: that of a sum of so many squares, about the centre of all rows, where
the groups' mean squares are 1 + 4² times their variances."""

SINGLE = 2.0**-24 * N_ROWS**0.5 * 17.0
"""The same where squares are added in float32, with roundings of either sign: the worst is not likely."""

REG_COVAR = 1e-6


@pytest.fixture(scope="module")
def short_search() -> None:
    """Searches are whole: what a table says is of what users have."""


def groups(n_rows: int = N_ROWS, n_features: int = N_FEATURES) -> np.ndarray:
    rows = np.random.default_rng(0).normal(size=(n_rows, n_features))
    rows[1::2] += 8.0
    return rows


def with_value(rows: Any, place: Any, value: Any) -> Any:
    rows = rows.copy()
    rows[place] = value
    return rows


def frame(**more: Any) -> pd.DataFrame:
    return pd.DataFrame({"a": groups()[:, 0], "b": groups()[:, 1]}).assign(**more)


def frame_that_lacks() -> pd.DataFrame:
    table = frame().astype("Float64")
    table.loc[5, "b"] = pd.NA
    return table


def condition(covariances: np.ndarray) -> float:
    """Return the largest condition of correlations: so much of an error of variances is in determinants."""
    roots = np.sqrt(np.diagonal(covariances, axis1=1, axis2=2))
    return float(np.linalg.cond(covariances / roots[:, :, None] / roots[:, None, :]).max())


def in_order(model: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return weights, means and covariances, in the order of the means."""
    order = np.lexsort(np.round(model.means_ / (np.abs(model.means_).max() or 1.0), 6).T[::-1])
    is_tied = model.covariance_type == "tied"
    return model.weights_[order], model.means_[order], model.covariances_[() if is_tied else order]


@dataclass(frozen=True)
class Refused:
    """An error, of a type that is promised, which says this."""

    error: type[Exception]
    says: str

    def hold(self, fit: Callable[[], GaussianMixture], rows: Any, settings: dict[str, Any]) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            with pytest.raises(self.error, match=self.says):
                fit()


@dataclass(frozen=True)
class Fitted:
    """A finite mixture, with these warnings and no others.

    By default it is scikit-learn's of the same rows, or of what ``as_if`` makes of them, with means that
    are less by ``origin``; to the relative error ``within``. Or it is what a ``formula`` says.
    """

    within: float = ROUNDING
    warns: dict[str, type[Warning]] = field(default_factory=dict)
    as_if: Callable[[Any], Any] = lambda rows: rows
    origin: float = 0.0
    formula: Callable[[GaussianMixture, Any], None] | None = None

    def hold(self, fit: Callable[[], GaussianMixture], rows: Any, settings: dict[str, Any]) -> None:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model = fit()
        for pattern, category in self.warns.items():
            assert any(_is(each, category, pattern) for each in caught), (pattern, caught)
        others = [each for each in caught if not any(_is(each, c, p) for p, c in self.warns.items())]
        assert not others, [str(each.message) for each in others]
        for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"):
            assert np.isfinite(getattr(model, name)).all(), name
        assert np.isfinite(model.lower_bound_)
        if self.formula is not None:
            self.formula(model, rows)
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = ScikitLearns(**settings).fit(self.as_if(rows))
        model.means_ = model.means_ - self.origin
        for found, expected in zip(in_order(model), in_order(theirs), strict=True):
            np.testing.assert_allclose(found, expected, rtol=0, atol=self.within * np.abs(expected).max())
        # scikit-learn's rows and means are whitened, each by itself, before they are subtracted.
        whitened = (
            np.abs(np.asarray(theirs.means_)).max() * np.abs(np.asarray(theirs.precisions_cholesky_)).max()
        )
        theirs_alone = 2.0**-52 * N_FEATURES**2 * float(whitened)
        nats = self.within * N_FEATURES * condition(theirs.covariances_) + theirs_alone
        assert model.lower_bound_ == pytest.approx(theirs.lower_bound_, rel=nats, abs=nats)


def _is(caught: warnings.WarningMessage, category: type[Warning], pattern: str) -> bool:
    return issubclass(caught.category, category) and pattern in str(caught.message)


FEW_DISTINCT = {"distinct clusters": ConvergenceWarning}
COLLAPSED = {"collapsed onto": MixtureWarning}
CONSTANT = {"has one value, 3, in all rows": MixtureWarning}
EMPTY = {"less than one row": MixtureWarning}
BLURRED = {"reg_covar=1e-06 is more than 1% of the variance": MixtureWarning}
WIDE_INTEGERS = {"holds whole numbers beyond 2^53": DataWarning}
LEFT_OUT = {"column 'c'": DataWarning}


def of_repeated_rows(model: GaussianMixture, rows: np.ndarray) -> None:
    """Each component with rows is one of the distinct rows, as wide as reg_covar, and these are far apart."""
    distinct, counts = np.unique(rows, axis=0, return_counts=True)
    shares, n_features = counts / len(rows), rows.shape[1]
    within = ROUNDING * max(np.abs(distinct).max() ** 2, REG_COVAR)
    for weight, mean, covariance in zip(model.weights_, model.means_, model.covariances_, strict=True):
        if weight > 1e-3:
            assert np.abs(distinct - mean).max(axis=1).min() <= ROUNDING * np.abs(distinct).max()
            np.testing.assert_allclose(covariance, REG_COVAR * np.eye(n_features), rtol=0, atol=within)
    densities = np.log(shares) - 0.5 * n_features * np.log(2.0 * np.pi * REG_COVAR)
    assert model.lower_bound_ == pytest.approx(shares @ densities, abs=n_features * within / REG_COVAR)


def of_rows_that_are_one_point(model: GaussianMixture, rows: np.ndarray) -> None:
    """Beside reg_covar little is left of the rows: their own variances, wherever components put them.

    Means are no better known than by some of the rows: no step raises the log-likelihood beyond rounding.
    """
    within = 2.0 * rows.var(axis=0).max() + ROUNDING * REG_COVAR
    np.testing.assert_allclose(model.covariances_, [REG_COVAR * np.eye(3)] * 2, rtol=0, atol=within)
    spread = rows.std(axis=0).max()
    np.testing.assert_allclose(model.weights_ @ model.means_, rows.mean(axis=0), rtol=1e-9, atol=spread)
    density = -1.5 * np.log(2.0 * np.pi * REG_COVAR)
    assert model.lower_bound_ == pytest.approx(density, rel=3.0 * within / REG_COVAR)


def of_an_outlier(model: GaussianMixture, rows: np.ndarray) -> None:
    """One component is the outlier, as wide as reg_covar, and the other has the moments of the other rows."""
    outlier = int(np.abs(rows).max(axis=1).argmax())
    others = np.delete(rows, outlier, axis=0)
    own = int(np.abs(model.means_).max(axis=1).argmax())
    share = 1.0 / len(rows)
    np.testing.assert_allclose(model.weights_[[own, 1 - own]], [share, 1.0 - share], rtol=1e-12)
    np.testing.assert_array_equal(model.means_[own], rows[outlier])
    np.testing.assert_allclose(model.covariances_[own], REG_COVAR * np.eye(3), rtol=0, atol=1e-12 * REG_COVAR)
    covariance = np.cov(others.T, bias=True) + REG_COVAR * np.eye(3)
    np.testing.assert_allclose(model.means_[1 - own], others.mean(axis=0), rtol=0, atol=8.0 * ROUNDING)
    np.testing.assert_allclose(
        model.covariances_[1 - own], covariance, rtol=0, atol=ROUNDING * covariance.max()
    )
    half_determinants = (
        0.5 * np.linalg.slogdet(2.0 * np.pi * np.stack([covariance, REG_COVAR * np.eye(3)]))[1]
    )
    quadratic = np.array([1.5 - 0.5 * REG_COVAR * np.linalg.inv(covariance).trace(), 0.0])
    shares = np.array([1.0 - share, share])
    expected = shares @ (np.log(shares) - half_determinants - quadratic)
    assert model.lower_bound_ == pytest.approx(expected, rel=1e-12)


@dataclass(frozen=True)
class Input:
    """A line of the table: where ``zarr`` is None, no Zarr array holds such values."""

    name: str
    make: Callable[[], Any]
    memory: Fitted | Refused
    zarr: Fitted | Refused | None = None
    settings: dict[str, Any] = field(default_factory=dict)


def both(name: str, make: Callable[[], Any], expected: Fitted | Refused, **settings: Any) -> Input:
    return Input(name, make, expected, expected, settings)


def memory(name: str, make: Callable[[], Any], expected: Fitted | Refused, **settings: Any) -> Input:
    return Input(name, make, expected, None, settings)


def scaled(factor: float | list[float], expected: Fitted, reg_covar: float = REG_COVAR) -> Input:
    return both(
        f"scale {factor}, reg_covar {reg_covar}", lambda: groups() * factor, expected, reg_covar=reg_covar
    )


def bad(says: str) -> Refused:
    return Refused(DataError, says)


ALIKE = Fitted()
DEGENERATE = Refused(DegenerateCovarianceError, "ill-defined empirical covariance")

INPUTS = [
    # Rows that are few, or alike.
    both(
        "a constant column",
        lambda: np.column_stack([groups(), np.full(N_ROWS, 3.0)]),
        Fitted(warns=CONSTANT),
    ),
    both("duplicate columns", lambda: groups()[:, [0, 1, 2, 0]], Fitted(warns=COLLAPSED)),
    both(
        "all rows equal",
        lambda: np.full((N_ROWS, 3), 7.0),
        Fitted(warns=FEW_DISTINCT | COLLAPSED | EMPTY, formula=of_repeated_rows),
    ),
    both(
        "signs of zero",
        lambda: np.where(np.arange(N_ROWS)[:, None] % 2, -0.0, 0.0) * np.ones(3),
        Fitted(warns=FEW_DISTINCT | COLLAPSED | EMPTY, formula=of_repeated_rows),
    ),
    Input(
        "fewer distinct rows than components",
        lambda: np.eye(3)[np.arange(N_ROWS) % 3],
        Fitted(warns=FEW_DISTINCT | COLLAPSED | EMPTY, formula=of_repeated_rows),
        Fitted(warns=FEW_DISTINCT | COLLAPSED, formula=of_repeated_rows),
        {"n_components": 5},
    ),
    both("two distinct rows", lambda: groups() > 4.0, Fitted(warns=COLLAPSED, formula=of_repeated_rows)),
    both("as many rows as components", lambda: groups(5), Fitted(warns=COLLAPSED), n_components=5),
    both(
        "fewer rows than components",
        lambda: groups(3),
        bad("n_components = 5, n_samples = 3"),
        n_components=5,
    ),
    both("fewer rows than features", lambda: groups(10, 20), Fitted(warns=COLLAPSED)),
    both("one row, one component", lambda: groups(1), bad(r"1 sample\(s\) .* minimum of 2"), n_components=1),
    both("one row, two components", lambda: groups(1), bad(r"1 sample\(s\) .* minimum of 2")),
    both("two rows, one component", lambda: groups(2), Fitted(warns=COLLAPSED), n_components=1),
    both(
        "an outlier of 1000",
        lambda: with_value(groups(), 7, 1e3),
        Fitted(warns=COLLAPSED, formula=of_an_outlier),
    ),
    # Shapes.
    both("no rows", lambda: np.empty((0, 3)), bad(r"0 sample\(s\) .* minimum of 2")),
    both("no features", lambda: np.empty((200, 0)), bad(r"0 feature\(s\) .* minimum of 1")),
    both("one dimension", lambda: groups()[:, 0], bad("Expected 2D array, got 1D array")),
    both("three dimensions", lambda: groups()[:, :, None], bad("Found array with dim 3")),
    both("no dimension", lambda: np.array(3.0), bad("Expected 2D array, got scalar array")),
    # Scales.
    *(scaled(factor, ALIKE, 0.0) for factor in (1e-150, 1e-100, 1e-20, 1e-8, 1e8, 1e100, 1e150)),
    scaled(1e150, ALIKE),
    scaled(1e-8, Fitted(warns=BLURRED, formula=of_rows_that_are_one_point)),
    scaled(1e-150, Fitted(warns=BLURRED, formula=of_rows_that_are_one_point)),
    scaled([1e-8, 1.0, 1e8], Fitted(warns=BLURRED)),
    scaled([1e-8, 1.0, 1e8], ALIKE, 0.0),
    scaled(1e-310, Fitted(warns=FEW_DISTINCT | COLLAPSED | EMPTY, formula=of_rows_that_are_one_point)),
    both("denormal numbers, reg_covar 0", lambda: groups() * 1e-310, DEGENERATE, reg_covar=0.0),
    both(
        "groups 1e8 apart", lambda: groups() + np.where(np.arange(N_ROWS)[:, None] % 2, 1e8 - 8.0, 0.0), ALIKE
    ),
    both(
        "an outlier of 1e20",
        lambda: with_value(groups(), 7, 1e20),
        Fitted(warns=COLLAPSED, formula=of_an_outlier),
    ),
    both(
        "a value of 1e300",
        lambda: with_value(groups(), (7, 1), 1e300),
        bad("row 7, column 1, of .*holds 1e.300"),
    ),
    # Types of numbers.
    both("float16", lambda: groups().astype("f2"), Fitted(as_if=lambda rows: rows.astype("f8"))),
    both("int32", lambda: (100 * groups()).astype("i4"), ALIKE),
    both(
        "int64 beyond 2^53",
        lambda: (1e4 * groups()).astype("i8") + 2**60,
        # Neighbours in float64 are 128 and 256 apart there, and widths are 1e4.
        Fitted(256.0 / 1e4, warns=WIDE_INTEGERS, as_if=lambda rows: rows - 2**60, origin=2.0**60),
    ),
    both("uint8", lambda: np.clip(10 * (groups() + 4), 0, 255).astype("u1"), ALIKE),
    both("big-endian float64", lambda: groups().astype(">f8"), ALIKE),
    both(
        "big-endian float32",
        lambda: groups().astype(">f4"),
        Fitted(SINGLE, as_if=lambda rows: rows.astype("f8")),
    ),
    both("by columns", lambda: np.asfortranarray(groups()), ALIKE),
    both("negative strides", lambda: groups()[::-1, ::-1], ALIKE),
    both("complex numbers", lambda: groups() + 0j, bad("Complex data not supported")),
    memory("extended precision", lambda: groups().astype("longdouble"), ALIKE),
    memory(
        "extended precision beyond float64",
        lambda: with_value(groups().astype("longdouble"), (7, 1), np.longdouble("1e4000")),
        bad("infinity .*\n.*row 7, column 1"),
    ),
    memory("objects that are numbers", lambda: groups().astype(object), ALIKE),
    memory(
        "an object that is None",
        lambda: with_value(groups().astype(object), (7, 1), None),
        bad("row 7, column 1"),
    ),
    memory("an object that is text", lambda: with_value(groups().astype(object), (7, 1), "a"), bad("'a'")),
    memory(
        "a whole number of 400 digits",
        lambda: with_value(groups().astype(object), (7, 1), 10**400),
        bad("too large"),
    ),
    memory("text", lambda: groups().astype(str), bad("holds text")),
    memory("dates", lambda: (1e9 * groups()).astype("i8").astype("M8[s]"), bad("holds dates")),
    memory(
        "time differences",
        lambda: (1e9 * groups()).astype("i8").astype("m8[s]"),
        bad("holds time differences"),
    ),
    # Values that are none.
    both(
        "infinity",
        lambda: with_value(groups(), (600, 2), np.inf),
        bad("infinity .*\n.*row 600, column 2, of "),
    ),
    both("NaN", lambda: with_value(groups(), (600, 2), np.nan), bad("NaN.\n.*row 600, column 2, of .*1 NaN")),
    both("NaN alone", lambda: groups() * np.nan, bad("NaN.\n.*row 0, column 0, of .*2,100 NaN")),
    memory("masked, none", lambda: np.ma.MaskedArray(groups()), bad("a masked array")),
    memory("masked", lambda: np.ma.MaskedArray(groups(), groups() > 9.0), bad("a masked array")),
    # Other holders of numbers.
    memory(
        "a sparse matrix",
        lambda: scipy.sparse.csr_matrix(groups()),
        Refused(TypeError, "Sparse data was passed"),
    ),
    memory(
        "a sparse array",
        lambda: scipy.sparse.csr_array(groups()),
        Refused(TypeError, "Sparse data was passed"),
    ),
    memory(
        "a numpy.matrix", lambda: np.ndarray.view(groups(), np.matrix), Refused(TypeError, "np.matrix is not")
    ),
    memory("lists", lambda: groups(60).tolist(), ALIKE),
    memory("ragged lists", lambda: [[1.0, 2.0], [3.0]], bad("inhomogeneous")),
    memory("nullable Float64", lambda: frame().astype("Float64"), ALIKE),
    memory("nullable Float64 with NA", frame_that_lacks, bad(r"NaN.\n.*row 5, column 'b' \(1\)")),
    memory("nullable Int64", lambda: (10.0 * frame()).round().astype("Int64"), ALIKE),
    *(
        memory(f"a column of {what}", make, Fitted(warns=LEFT_OUT, as_if=lambda table: table[["a", "b"]]))
        for what, make in {
            "categories": lambda: frame(c=pd.Categorical(["x", "y"] * (N_ROWS // 2))),
            "numbers as categories": lambda: frame(c=pd.Categorical([1, 2] * (N_ROWS // 2))),
            "text": lambda: frame(c="t"),
            "dates": lambda: frame(c=pd.Timestamp("2020-01-01")),
        }.items()
    ),
    memory("a column of booleans", lambda: frame(c=[True, False] * (N_ROWS // 2)), Fitted(warns=COLLAPSED)),
    memory(
        "two columns of one name", lambda: frame().set_axis(["a", "a"], axis=1), bad("several columns 'a'")
    ),
]


def fitted(source: Any, line: Input, **more: Any) -> Callable[[], GaussianMixture]:
    return lambda: GaussianMixture(**settings_of(line), **more).fit(source)


def settings_of(line: Input) -> dict[str, Any]:
    return {"n_components": 2, "random_state": 0} | line.settings


@pytest.mark.parametrize("line", INPUTS, ids=[line.name for line in INPUTS])
def test_in_memory(line):
    rows = line.make()
    line.memory.hold(fitted(rows, line), rows, settings_of(line))


STORED = [line for line in INPUTS if line.zarr is not None]


@pytest.mark.parametrize("line", STORED, ids=[line.name for line in STORED])
def test_as_zarr(line, tmp_path):
    rows = line.make()
    chunks = tuple(min(100, max(1, size)) for size in rows.shape)
    stored = zarr.create_array(
        tmp_path / "rows.zarr",
        shape=rows.shape,
        dtype=rows.dtype,
        chunks=chunks,
        config={"write_empty_chunks": True},  # some versions take zeros of either sign for nothing
    )
    stored[...] = rows
    fit = fitted(tmp_path / "rows.zarr", line, sample_rows=SAMPLE_ROWS)
    line.zarr.hold(fit, rows, settings_of(line))


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
@pytest.mark.parametrize("value", [1e16, -1e100])
@pytest.mark.parametrize("sample_rows", ["auto", SAMPLE_ROWS])
def test_the_other_rows_do_not_feel_an_outlier(covariance_type, value, sample_rows):
    """However far it is: sums about the mean of all rows leave nothing of them there."""
    rows = with_value(np.random.default_rng(1).normal(size=(N_ROWS, 2)), 7, [value, -value])
    others = np.delete(rows, 7, axis=0)
    settings = {"covariance_type": covariance_type, "random_state": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MixtureWarning)
        model = GaussianMixture(2, sample_rows=sample_rows, **settings).fit(rows)
        alone = ScikitLearns(1, **settings).fit(others)
    means, covariances = np.asarray(alone.means_), np.asarray(alone.covariances_)
    own = int(np.abs(model.means_[:, 0]).argmax())
    np.testing.assert_array_equal(model.means_[own], rows[7])
    np.testing.assert_allclose(model.means_[1 - own], means[0], rtol=0, atol=ROUNDING)
    if covariance_type == "tied":  # one of all rows, of which the outlier adds a row without deviation
        share = (N_ROWS - 1) / N_ROWS
        expected = share * (covariances - REG_COVAR * np.eye(2)) + REG_COVAR * np.eye(2)
        np.testing.assert_allclose(model.covariances_, expected, rtol=0, atol=ROUNDING)
        return
    np.testing.assert_allclose(model.covariances_[1 - own], covariances[0], rtol=0, atol=ROUNDING)
    alone_there = REG_COVAR * np.ones(model.covariances_[own].shape)
    if covariance_type == "full":
        alone_there = REG_COVAR * np.eye(2)
    np.testing.assert_allclose(model.covariances_[own], alone_there, rtol=0, atol=1e-12 * REG_COVAR)


@pytest.mark.parametrize(
    ("weights", "error", "says"),
    [
        ([1] * (N_ROWS - 1) + [10**400], DataError, "too large"),
        (np.full(N_ROWS, 1e308), DataError, "sample_weight sums to inf"),
        (np.full(N_ROWS, 1e307 / N_ROWS), DataError, "sample_weight sums to 1e.307"),
        (np.full(N_ROWS, 1e-300), DataError, "sample_weight sums to 7e-298"),
        (with_value(np.ones(N_ROWS), 600, np.nan), DataError, "row 600 has nan"),
        (with_value(np.ones(N_ROWS), 600, -1e-300), DataError, "row 600 has -1e-300"),
        (np.ndarray.view(np.ones((1, N_ROWS)), np.matrix), TypeError, "np.matrix is not supported"),
    ],
    ids=["a whole number of 400 digits", "inf", "too much", "too little", "NaN", "negative", "a matrix"],
)
@pytest.mark.parametrize("sample_rows", ["auto", SAMPLE_ROWS])
def test_weights_are_refused_by_their_own_name(weights, error, says, sample_rows):
    with pytest.raises(error, match=says):
        GaussianMixture(2, random_state=0, sample_rows=sample_rows).fit(groups(), sample_weight=weights)


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
@pytest.mark.parametrize("sample_rows", ["auto", SAMPLE_ROWS])
def test_variances_whose_inverses_overflow_are_none(covariance_type, sample_rows):
    """By an error, not by infinite precisions and NumPy's warnings of them; a little wider they serve."""
    rows = groups() * 1e-155
    settings = {"covariance_type": covariance_type, "random_state": 0, "reg_covar": 0.0}
    with pytest.raises(DegenerateCovarianceError):
        GaussianMixture(2, sample_rows=sample_rows, **settings).fit(rows)
    model = GaussianMixture(2, sample_rows=sample_rows, **settings).fit(1e3 * rows)
    assert np.isfinite(model.precisions_).all()


@pytest.mark.filterwarnings("ignore:component 0 collapsed")
def test_a_mean_beyond_the_range_of_squares_has_no_rows():
    with pytest.warns(MixtureWarning, match="component 0 has less than one row"):
        model = GaussianMixture(2, random_state=0, means_init=[[1e300] * 3, [0.0] * 3]).fit(groups())
    np.testing.assert_allclose(model.means_[1], groups().mean(axis=0), rtol=1e-12)
    assert np.isfinite(model.lower_bound_)


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
@pytest.mark.parametrize("offset", [1e6, 1e8, -1e12])
@pytest.mark.parametrize("sample_rows", ["auto", SAMPLE_ROWS])
def test_covariances_do_not_feel_the_origin(covariance_type, offset, sample_rows):
    """Groups that overlap: what EM has of means is as exact as near the origin, until they are given."""
    rows = np.random.default_rng(0).normal(size=(N_ROWS, 3))
    rows[1::2] += 3.0
    there = rows + offset
    settings = {"covariance_type": covariance_type, "random_state": 0, "sample_rows": sample_rows}
    here = GaussianMixture(2, **settings).fit(there - offset)
    model = GaussianMixture(2, **settings).fit(there)
    # Nearer than 1e7 widths, means are rounded in each step, and EM of groups that overlap keeps most of such
    # a difference from step to step, as steps that go on along the last ones multiply it: a thousand is far
    # below the 1e6 roundings of squares about the origin. Tied covariances are the scatter of all rows less
    # that of means, about the mean of all rows as it is rounded.
    rounding = np.spacing(abs(offset))
    within = 1e3 * rounding if abs(offset) < 1e7 else rounding**2 if covariance_type == "tied" else 0.0
    model.means_ = model.means_ - offset
    own, expected = in_order(model), in_order(here)
    np.testing.assert_allclose(own[0], expected[0], rtol=0, atol=within + 1e-10)
    np.testing.assert_allclose(own[1], expected[1], rtol=0, atol=max(within, rounding) + 1e-10)
    np.testing.assert_allclose(own[2], expected[2], rtol=0, atol=within + 1e-10)
    assert model.lower_bound_ == pytest.approx(here.lower_bound_, abs=within + 1e-10)
