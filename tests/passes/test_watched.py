"""Passes that read other rows than the first one are refused, whoever makes them."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import dask.array as da
import dask.config
import numpy as np
import pytest
import zarr
from dask.delayed import delayed

from dgmm import BayesianGaussianMixture, GaussianMixture, GaussianMixtureSweep, load, open_dataset
from dgmm.data import DataError
from dgmm.data import fingerprint as fingerprint_module
from dgmm.passes.adapted import AdaptedSource
from dgmm.passes.events import DataChanged, Event, PassFinished, SpanFinished, listening
from dgmm.passes.run import first_pass, run_pass
from dgmm.passes.watched import DataChangedError, Seen, WatchedSource

N_ROWS, CHUNK = 3000, 250
RARELY = {"tol": 0.0, "max_iter": 4, "sample_rows": 300, "random_state": 0}


@pytest.fixture(autouse=True)
def small_runs(monkeypatch):
    monkeypatch.setattr(fingerprint_module, "RUN_ROWS", 1000)


@pytest.fixture
def rows(generator):
    return generator.normal(size=(N_ROWS, 2)) + 6.0 * generator.integers(0, 2, (N_ROWS, 1))


@contextmanager
def when(
    change: Callable[[], object], purpose: str = "survey", kind: type[Event] = PassFinished
) -> Iterator[None]:
    """Change something when the first pass of a name has ended, or a span of whatever pass."""
    waiting = [change]

    def handle(event: Event) -> None:
        if isinstance(event, kind) and getattr(event, "purpose", purpose) == purpose and waiting:
            waiting.pop()()

    with listening(handle):
        yield


def rewrite(path, row: int, value: float = 1.0) -> Callable[[], object]:
    def write() -> None:
        zarr.open_array(path, mode="r+")[row, 1] = value

    return write


MODELS = {
    "em": lambda: GaussianMixture(2, algorithm="em", **RARELY),
    "corrected": lambda: GaussianMixture(2, algorithm="corrected", **RARELY),
    "k-means||": lambda: GaussianMixture(2, init_params="k-means||", **RARELY),
    "Bayesian": lambda: BayesianGaussianMixture(n_components=2, **RARELY),
    "moves": lambda: BayesianGaussianMixture(n_components=2, moves=True, **RARELY),
    "sweep": lambda: GaussianMixtureSweep([1, 2], covariance_type="full", **RARELY),
    "held out": lambda: GaussianMixtureSweep([1, 2], covariance_type="full", criterion="held-out", **RARELY),
    "marginalize": lambda: GaussianMixture(2, missing="marginalize", **RARELY),
    "drop": lambda: GaussianMixture(2, missing="drop", **RARELY),
}


@pytest.mark.filterwarnings("ignore:Best performing:UserWarning", "ignore:The best model:UserWarning")
@pytest.mark.usefixtures("small_spans")
class TestFits:
    @pytest.mark.parametrize("kind", MODELS)
    def test_rewritten_rows_are_refused_with_their_numbers_and_files(self, stored, rows, kind):
        if kind in {"marginalize", "drop"}:
            rows[::50, 0] = np.nan
        path = stored(rows, CHUNK)
        first = "complete rows" if kind == "drop" else "survey"
        with when(rewrite(path, 1300), first), pytest.raises(DataChangedError) as caught:
            MODELS[kind]().fit(path)
        message = str(caught.value)
        assert "changed during the fit: rows 1000 to 2000 are not what the first pass read" in message
        assert "written since then:" in message
        assert "/c/5/0" in message
        assert "/c/4/0" not in message
        assert "allow_changed_data=True" in message
        assert isinstance(caught.value, DataError)

    @pytest.mark.parametrize("kind", MODELS)
    def test_they_are_taken_where_that_is_allowed_and_the_model_says_so(self, stored, rows, kind, tmp_path):
        path = stored(rows, CHUNK)
        first = "complete rows" if kind == "drop" else "survey"
        with when(rewrite(path, 1300), first):
            model = MODELS[kind]().fit(path, allow_changed_data=True)
        mixture = getattr(model, "best_estimator_", model)
        (change,) = mixture.data_changes_
        assert "rows 1000 to 2000" in change
        model.save(tmp_path / "m.npz")
        assert load(tmp_path / "m.npz").data_changes_ == [change]

    def test_undisturbed_fits_say_nothing_and_have_the_same_bits(self, stored, rows, caplog):
        path = stored(rows, CHUNK)
        with caplog.at_level(logging.WARNING):
            one = MODELS["corrected"]().fit(path)
            other = MODELS["corrected"]().fit(path, allow_changed_data=True)
        assert not [record for record in caplog.records if record.name.startswith("dgmm")]
        assert one.data_changes_ is None
        assert other.data_changes_ == []
        np.testing.assert_array_equal(one.means_, other.means_)

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("allowed", [False, True])
    @pytest.mark.parametrize("kind", ["em", "corrected", "Bayesian", "sweep"])
    def test_values_that_are_not_finite_are_blamed_on_the_change(self, stored, rows, kind, value, allowed):
        path = stored(rows, CHUNK)
        with when(rewrite(path, 1301, value)), pytest.raises(DataChangedError) as caught:
            MODELS[kind]().fit(path, allow_changed_data=allowed)
        assert "row 1301, column 1, of" in str(caught.value)
        assert f"holds {value}" in str(caught.value)
        assert "scale the data" not in str(caught.value)

    def test_weights_that_change(self, stored, rows, generator):
        weights = generator.random(N_ROWS)
        path, own = stored(rows, CHUNK), stored(weights, CHUNK)

        def write() -> None:
            zarr.open_array(own, mode="r+")[2500] = 5.0

        with (
            when(write),
            pytest.raises(DataChangedError, match="the weights of rows 2000 to 3000 are not what"),
        ):
            MODELS["em"]().fit(path, sample_weight=own)

    def test_rows_that_are_others_each_time(self, rows):
        """Nothing but their checksums tells: a collection is computed anew in each pass."""
        drawn = np.random.default_rng(0)  # goes on from pass to pass
        parts = [
            da.from_delayed(delayed(drawn.normal, pure=False)(size=(1500, 2)), (1500, 2), float)
            for _ in range(2)
        ]
        with pytest.raises(DataChangedError, match="Dask array changed during the fit: rows 0 to 3000"):
            MODELS["em"]().fit(da.concatenate(parts))

    def test_an_array_in_memory_that_is_written_to(self, rows):
        def write() -> None:
            rows[17] = 0.0

        with (
            when(write),
            pytest.raises(DataChangedError, match="ndarray changed during the fit: rows 0 to 1000"),
        ):
            MODELS["em"]().fit(rows)

    def test_small_data_that_are_written_to_while_they_are_read(self, stored, rows):
        path = stored(rows, CHUNK)

        def write() -> None:
            for row in (10, 2990):  # one of them has been read by now
                rewrite(path, row)()

        with (
            dask.config.set(scheduler="sync"),
            when(write, kind=SpanFinished),
            pytest.raises(DataChangedError, match=r"rows (0|2000) to .*/c/0/0.*/c/11/0"),
        ):
            GaussianMixture(2, random_state=0).fit(path)

    def test_a_file_that_is_touched_is_told_of_and_taken(self, stored, rows, caplog):
        path = stored(rows, CHUNK)
        undisturbed = MODELS["em"]().fit(path)

        def touch() -> None:
            os.utime(f"{path}/c/3/0", ns=(0, 0))

        with when(touch), caplog.at_level(logging.WARNING):
            model = MODELS["em"]().fit(path)
        assert "was written to since its first pass began" in caplog.text
        assert "c/3/0" in caplog.text
        np.testing.assert_array_equal(model.means_, undisturbed.means_)

    @pytest.mark.usefixtures("client")
    def test_on_a_cluster(self, stored, rows):
        path = stored(rows, CHUNK)
        with when(rewrite(path, 10)), pytest.raises(DataChangedError, match="rows 0 to 1000"):
            MODELS["corrected"]().fit(path)


@pytest.mark.usefixtures("small_spans")
class TestPasses:
    def test_work_that_has_had_enough_is_no_change(self, stored, rows):
        source = open_dataset(stored(rows, CHUNK))
        found, watched = first_pass(source, rows_of_first_chunk, "look")
        assert isinstance(watched, WatchedSource)
        assert run_pass(watched, rows_of_first_chunk, "look") == found.result
        assert found.seen.rows.n_rows == N_ROWS

    def test_a_source_that_is_watched_stays_so(self, rows):
        _, watched = first_pass(open_dataset(rows), len_of, "count")
        assert first_pass(watched, len_of, "count")[1] is watched
        adapted = AdaptedSource(watched, iter, N_ROWS)
        assert first_pass(adapted, len_of, "count")[1] is adapted
        rows[5] = -1.0
        with pytest.raises(DataChangedError, match="rows 0 to 1000"):
            run_pass(adapted, len_of, "count")

    def test_each_change_is_told(self, rows):
        told: list[Event] = []
        _, watched = first_pass(open_dataset(rows), len_of, "count", allow_changed_data=True)
        rows[[5, 2500]] = -1.0
        with listening(told.append):
            assert run_pass(watched, len_of, "count") == N_ROWS
        (change,) = (event for event in told if isinstance(event, DataChanged))
        assert "rows 0 to 1000, 2000 to 3000 are not" in change.message

    def test_no_rows(self):
        found, watched = first_pass(open_dataset(np.empty((0, 2))), len_of, "count")
        assert found.seen == Seen.nothing(watched)
        assert run_pass(watched, len_of, "count") == 0


def rows_of_first_chunk(chunks) -> int:
    return len(next(chunks).values)


def len_of(chunks) -> int:
    return sum(len(chunk.values) for chunk in chunks)
