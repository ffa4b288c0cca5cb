"""Tables of every kind: the same columns give the same rows, by their names."""

import decimal

import dask.dataframe as dd
import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from dask.delayed import delayed
from sklearn.mixture import GaussianMixture as Reference

from dgmm import DataWarning, GaussianMixture, open_dataset
from dgmm.data import DataError
from tests.data.contract import check_source

DRAW = np.random.default_rng(0)
WARM = np.repeat([0.0, 20.0], 80) + DRAW.normal(size=160)
COLUMNS = {"warm": WARM, "dry": np.repeat([20.0, 0.0], 80) + DRAW.normal(size=160)}
RADIUS = DRAW.normal(size=160)


@pytest.mark.parametrize("kind", ["Int128", "UInt128"])
@pytest.mark.parametrize("lazy", [True, False])
def test_numbers_that_arrow_lacks(kind, lazy):
    kind = getattr(pl, kind, None) or pytest.skip("this Polars has no such numbers")
    values = [2**70, None, 5]
    frame = pl.DataFrame({"x": [1.0, 2, 3], "wide": pl.Series(values, dtype=kind)})
    given = frame.lazy() if lazy else frame
    rows = np.array([[1, 2.0**70], [2, np.nan], [3, 5]])
    check_source(open_dataset(given), rows, ("x", "wide"))
    check_source(open_dataset(given, columns=["x"]), rows[:, :1], ("x",))


@pytest.mark.parametrize("others", [[1, 2], [0.5, None], [True, decimal.Decimal("1.5")]])
def test_numbers_beyond_the_range_are_named(others):
    frame = pd.DataFrame({"x": [1.0, 2, 3], "huge": pd.Series([10**400, *others], dtype=object)})
    with pytest.raises(DataError, match=r"column 'huge' \(object\) has numbers beyond the range of float64"):
        open_dataset(frame)


def record_batch(columns):
    return pa.record_batch(columns)


def batches(columns):
    return pa.table(columns).to_reader()


KINDS = {
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
    "lazy": pl.LazyFrame,
    "arrow": pa.table,
    "batch": record_batch,
    "batches": batches,
    "narwhals": lambda columns: nw.from_native(pl.DataFrame(columns)),
    "dask": lambda columns: dd.from_pandas(pd.DataFrame(columns), npartitions=3, sort=False),
}


@pytest.fixture(params=KINDS)
def table(request):
    """Make a table of some kind."""
    return KINDS[request.param]


def test_names_and_rows(table):
    check_source(open_dataset(table(COLUMNS)), np.column_stack(list(COLUMNS.values())), ("warm", "dry"))
    check_source(open_dataset(table(COLUMNS), columns=["dry"]), COLUMNS["dry"][:, None], ("dry",))
    model = GaussianMixture(2, random_state=0).fit(table(COLUMNS))
    assert list(model.feature_names_in_) == ["warm", "dry"]


def test_columns_in_another_order_are_not_taken_by_position(table):
    model = GaussianMixture(2, random_state=0).fit(table(COLUMNS))
    expected = model.predict(pd.DataFrame(COLUMNS))
    swapped = table(dict(reversed(COLUMNS.items())))
    if isinstance(swapped, dd.DataFrame):
        np.testing.assert_array_equal(np.asarray(model.predict(swapped)), expected)
    else:
        with pytest.raises(ValueError, match="Feature names must be in the same order as they were in fit"):
            model.predict(swapped)


def test_columns_that_the_fit_had_not(table):
    model = GaussianMixture(2, random_state=0).fit(table(COLUMNS))
    more = table({"extra": WARM, **COLUMNS})
    if isinstance(more, dd.DataFrame):
        np.testing.assert_array_equal(np.asarray(model.predict(more)), model.predict(pd.DataFrame(COLUMNS)))
    else:
        with pytest.raises(ValueError, match="Feature names unseen at fit time:\n- extra"):
            model.predict(more)
    with pytest.raises(ValueError, match="seen at fit time, yet now missing:\n- dry"):
        model.predict(table({"warm": WARM}))


def test_single_precision(table):
    rows = {name: values.astype("f4") for name, values in COLUMNS.items()}
    check_source(open_dataset(table(rows)), np.column_stack(list(rows.values())), ("warm", "dry"))


def test_what_cannot_be_a_feature_is_left_out_with_a_warning(table):
    words = {
        "kind": ["a", "b"] * 80,
        "warm": WARM,
        "day": pd.date_range("2020-01-01", periods=160).to_numpy(),
    }
    with pytest.warns(
        DataWarning, match=r"column 'kind' \(.*\), 'day' \(.*\) were left out.*columns=\['warm'\]"
    ):
        model = GaussianMixture(1).fit(table(words))
    assert list(model.feature_names_in_) == ["warm"]
    scores = np.asarray(model.score_samples(table(words)))  # and does not warn again
    alone = np.asarray(WARM, dtype=float)[:, None]
    np.testing.assert_allclose(scores, GaussianMixture(1).fit(alone).score_samples(alone), rtol=1e-9)
    with pytest.raises(DataError, match=r"column 'kind' .* does not hold real numbers"):
        open_dataset(table(words), columns=["kind"])
    with pytest.raises(DataError, match="no column of numbers; it has 'kind'"):
        open_dataset(table({"kind": words["kind"]}))


@pytest.mark.parametrize(
    "name", ["id", "source_id", "_healpix_29", "objID", "customerId", "UUID".lower(), "event_date"]
)
def test_what_is_no_measurement_by_its_name(table, name):
    with pytest.warns(
        DataWarning, match=rf"column '{name}' looks by its name .*leave it out with columns=\['warm'\]"
    ):
        assert open_dataset(table({name: np.arange(160), "warm": WARM})).n_features == 2
    with pytest.raises(
        DataError, match=f"no column of measurements: '{name}' looks by its name like an identifier"
    ):
        open_dataset(table({name: np.arange(160)}))
    assert open_dataset(table({name: np.arange(160)}), columns=[name]).n_features == 1


def test_targets_left_in(table):
    with pytest.warns(DataWarning, match=r"column 'target' looks by its name .*columns=\['warm'\]"):
        open_dataset(table({"warm": WARM, "target": np.arange(160) % 2}))


@pytest.mark.parametrize(
    "name", ["grid", "pid_gain", "width", "humid", "valid", "updated", "validate", "idle", "classes"]
)
def test_names_that_only_look_like_identifiers(table, name):
    assert open_dataset(table({name: WARM, "dry": WARM})).n_features == 2


NULLABLE = {pa.int8(): pd.Int8Dtype(), pa.bool_(): pd.BooleanDtype(), pa.float32(): pd.Float32Dtype()}


class TestTypes:
    """One rule for types, whatever holds them."""

    SCHEMA = pa.schema(
        [
            ("small", pa.int8()),
            ("flag", pa.bool_()),
            ("money", pa.decimal128(7, 2)),
            ("half", pa.float32()),
            ("size", pa.dictionary(pa.int8(), pa.string())),
            ("word", pa.string()),
            ("day", pa.timestamp("us")),
        ]
    )
    TABLE = pa.Table.from_pydict(
        {
            "small": [1, None, 3],
            "flag": [True, None, False],
            "money": [decimal.Decimal("1.25"), None, decimal.Decimal("-3.50")],
            "half": [0.5, None, 2],
            "size": ["s", None, "m"],
            "word": ["1", None, "2"],
            "day": [None] * 3,
        },
        schema=SCHEMA,
    )
    EXPECTED = np.array([[1, 1, 1.25, 0.5], [np.nan] * 4, [3, 0, -3.5, 2]])

    @pytest.mark.parametrize(
        "convert",
        [
            lambda table: table,
            lambda table: table.to_pandas(),
            lambda table: table.to_pandas(types_mapper=pd.ArrowDtype),
            lambda table: table.to_pandas(types_mapper=NULLABLE.get),
            pl.from_arrow,
            lambda table: dd.from_pandas(table.to_pandas(types_mapper=pd.ArrowDtype), npartitions=2),
        ],
        ids=["arrow", "pandas", "pandas of arrow", "nullable", "polars", "dask"],
    )
    def test_numbers_are_features_and_labels_are_not(self, convert):
        table = convert(self.TABLE)
        with pytest.warns(
            DataWarning, match=r"column 'size' \(.*\), 'word' \(.*\), 'day' \(.*\) were left out"
        ):
            source = open_dataset(table)
        check_source(source, self.EXPECTED, ("small", "flag", "money", "half"))
        with pytest.raises(DataError, match="'size'"):
            open_dataset(table, columns=["size"])

    @pytest.mark.parametrize(
        ("frame", "ratings"),
        [
            (pd.DataFrame, pd.Categorical([1, 2])),
            (pl.DataFrame, pl.Series(["1", "2"], dtype=pl.Categorical)),
            (pa.table, pa.array([1, 2]).dictionary_encode()),
        ],
        ids=["pandas", "polars", "arrow"],
    )
    def test_categories_of_numbers_are_labels(self, frame, ratings):
        with pytest.warns(DataWarning, match="'rating'"):
            assert open_dataset(frame({"x": [1.0, 2.0], "rating": ratings})).feature_names == ("x",)

    def test_objects_are_what_they_hold(self):
        frame = pd.DataFrame(
            {
                "mixed": [1, 2.5, None],
                "money": [decimal.Decimal("1.5"), 2.0, True],
                "large": [2**70, 1, 2],
                "word": ["1", "2", None],
            },
            dtype=object,
        )
        with pytest.warns(DataWarning, match=r"column 'word' \(object\) was left out"):
            source = open_dataset(frame)
        expected = np.array([[1, 1.5, 2.0**70], [2.5, 2, 1], [np.nan, 1, 2]])
        check_source(source, expected, ("mixed", "money", "large"))

    def test_vectors(self):
        vectors = np.arange(6.0).reshape(3, 2)
        expected = np.column_stack([vectors, [1.0, 2, 3]])
        tables = [
            pa.table({"e": pa.FixedSizeListArray.from_arrays(vectors.ravel(), 2), "x": [1.0, 2, 3]}),
            pa.table({"e": vectors.tolist(), "x": [1.0, 2, 3]}),
            pl.DataFrame({"e": vectors, "x": [1.0, 2, 3]}),
            pl.DataFrame({"e": vectors.tolist(), "x": [1.0, 2, 3]}),
            pd.DataFrame({"e": list(vectors), "x": [1.0, 2, 3]}),
            pd.DataFrame(
                {
                    "e": pd.Series(vectors.tolist(), dtype=pd.ArrowDtype(pa.list_(pa.float64()))),
                    "x": [1.0, 2, 3],
                }
            ),
        ]
        for table in tables:
            check_source(open_dataset(table), expected, ("e[0]", "e[1]", "x"))
            check_source(open_dataset(table, columns=["x", "e[1]"]), expected[:, [2, 1]], ("x", "e[1]"))

    def test_ragged_vectors(self):
        table = pl.DataFrame({"e": [[1.0], [2.0, 3.0]], "x": [1.0, 2]})
        with pytest.warns(DataWarning, match=r"'e' \(.*, of different lengths\) was left out"):
            open_dataset(table)
        with pytest.raises(DataError, match=r"'e' \(.*, of different lengths\) does not hold real numbers"):
            open_dataset(table, columns=["e"])

    def test_a_vector_that_is_null(self):
        table = pa.table({"e": pa.array([[1.0, 2.0], None], pa.list_(pa.float64(), 2))})
        check_source(open_dataset(table), np.array([[1, 2], [np.nan, np.nan]]), ("e[0]", "e[1]"))


class TestPartitions:
    """Partitions of a Dask frame hold the same columns in another order."""

    @pytest.fixture
    def parts(self):
        frame = pd.DataFrame({"mass": WARM + 100, "radius": RADIUS})
        return frame.iloc[:80], frame.iloc[80:][["radius", "mass"]]

    def test_of_csv_files(self, parts, tmp_path):
        for part, name in zip(parts, "ab", strict=True):
            part.to_csv(tmp_path / f"{name}.csv", index=False)
        found = GaussianMixture(2, random_state=0).fit(dd.read_csv(str(tmp_path / "*.csv")))  # pyright: ignore[reportCallIssue]
        expected = Reference(2, random_state=0).fit(pd.concat(parts))
        order, wanted = (np.argsort(np.asarray(each.means_)[:, 0]) for each in (found, expected))
        np.testing.assert_allclose(
            np.asarray(found.means_)[order], np.asarray(expected.means_)[wanted], rtol=1e-6
        )

    @pytest.mark.parametrize("columns", [None, ["mass", "radius"], ["radius", "mass"], ["radius"]])
    def test_opened(self, parts, columns):
        frame = dd.from_map(lambda number: parts[number], [0, 1], meta=parts[0].iloc[:0])
        expected = pd.concat(parts)[columns or ["mass", "radius"]]
        check_source(open_dataset(frame, columns), expected.to_numpy(), tuple(expected.columns))

    def test_predicted(self, parts):
        whole = pd.concat(parts)
        model = GaussianMixture(2, random_state=0).fit(whole)
        frame = dd.from_delayed([delayed(part) for part in parts], meta=parts[0].iloc[:0], verify_meta=False)  # pyright: ignore[reportCallIssue]
        found = model.predict_proba(frame).compute()
        np.testing.assert_allclose(found, model.predict_proba(whole), atol=1e-12)
        np.testing.assert_array_equal(found.index, whole.index)

    def test_that_lack_a_column_or_have_another(self, parts):
        meta = parts[0].iloc[:0]
        model = GaussianMixture(1).fit(parts[0])
        deeper = parts[1].assign(depth=1.0)
        for part, words in (
            (parts[1][["mass"]], "partition 1.* has no column 'radius'"),
            (deeper, "partition 1.* has column 'depth', which is not among the columns"),
            (parts[1].assign(mass="x"), r"partition 1.*column 'mass' .* does not hold real numbers"),
        ):
            frame = dd.from_map(lambda number, part=part: (parts[0], part)[number], [0, 1], meta=meta)
            with pytest.raises(DataError, match=words):
                GaussianMixture(1).fit(frame)
            if part is deeper:  # a prediction takes the columns of the fit, whatever is beside them
                assert len(model.predict(frame).compute()) == 160
                continue
            with pytest.raises(DataError, match=words):
                model.predict(frame).compute()
