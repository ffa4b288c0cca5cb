"""Fits that end and go on: the bits of one that was never disturbed."""

import hashlib
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import dgmm
import dgmm.passes.journal
from dgmm.estimators.checkpointing import fact, facts_of, place_of
from dgmm.passes.events import Event, PassFinished, SpanFinished, TasksFinished, listening

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(autouse=True)
def nothing_waits(monkeypatch) -> None:
    """What is done is written at once."""
    tuning = replace(dgmm.passes.journal.JOURNAL, seconds_waiting=0.0)
    monkeypatch.setattr(dgmm.passes.journal, "JOURNAL", tuning)


class Death(BaseException):
    """The process dies; nothing that catches errors catches it."""


@contextmanager
def dying(kind: tuple[type, ...], n_lived: int) -> Iterator[list[Event]]:
    """Die at the event of a kind after so many others."""
    seen: list[Event] = []

    def listen(event: Event) -> None:
        if isinstance(event, kind):
            seen.append(event)
            if len(seen) > n_lived:
                raise Death

    with listening(listen):
        yield seen


def bits(fitted: Any) -> str:
    """A checksum of all that a fit found."""
    best = getattr(fitted, "best_estimator_", fitted)
    parts = [
        best.means_,
        best.covariances_,
        best.weights_,
        best.lower_bounds_,
        best.n_iter_,
        fitted.n_passes_,
    ]
    if best is not fitted:
        parts += [fitted.results_[name] for name in ("bic", "log_likelihood", "passes", "message")]
        parts += getattr(fitted, "comparisons_", {}).values()
    return hashlib.sha256(b"".join(np.asarray(each).tobytes() for each in parts)).hexdigest()


def rows(n_rows: int = 1200, *, lacking: bool = False) -> np.ndarray:
    generator = np.random.default_rng(0)
    X = np.concatenate([generator.normal(m, 1.0, (n_rows // 4, 3)) for m in (0.0, 4.0, 8.0, 12.0)])
    generator.shuffle(X)
    if lacking:
        X[::7, 1] = np.nan
    return X


LARGE = {"random_state": 3, "sample_rows": 300, "max_iter": 5, "tol": 0.0}


def mixture(**given: Any) -> dgmm.GaussianMixture:
    return dgmm.GaussianMixture(4, **{**LARGE, **given})


def sweep(**given: Any) -> dgmm.GaussianMixtureSweep:
    own = {"covariance_type": ("full", "diag"), **LARGE, "tol": "auto", **given}
    return dgmm.GaussianMixtureSweep([1, 3], **own)


FITS: dict[str, tuple[Callable[[], Any], bool]] = {
    "in memory": (lambda: mixture(sample_rows=5000, n_init=2), False),
    "search": (mixture, False),
    "EM from k-means": (lambda: mixture(algorithm="em", init_params="kmeans", n_init=2), False),
    "k-means||": (lambda: mixture(init_params="k-means||"), False),
    "tied": (lambda: mixture(covariance_type="tied"), False),
    "rows that lack values": (lambda: mixture(missing="marginalize"), True),
    "complete rows": (lambda: mixture(missing="drop"), True),
    "variational Bayes": (
        lambda: dgmm.BayesianGaussianMixture(n_components=3, moves=True, **{**LARGE, "max_iter": 8}),
        False,
    ),
    "variational Bayes in memory": (
        lambda: dgmm.BayesianGaussianMixture(n_components=3, moves=True, random_state=3, max_iter=8),
        False,
    ),
    "sweep": (sweep, False),
    "sweep by held-out rows": (lambda: sweep(criterion="held-out"), False),
    "sweep in memory": (lambda: sweep(sample_rows=5000), False),
    "sweep that compares": (
        lambda: sweep(covariance_type="spherical", n_bootstrap=2, prune=False),
        False,
    ),
}


@pytest.fixture(params=FITS)
def fit(request) -> Callable[..., Any]:
    """Fits; small enough that passes have several spans each."""
    make, lacking = FITS[request.param]
    X = rows(lacking=lacking)

    def run(checkpoint: object = None) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", dgmm.MixtureWarning)
            return make().fit(X, checkpoint=checkpoint)

    return run


def test_a_fit_that_dies_again_and_again_has_the_bits_of_one_that_does_not(fit, tmp_path):
    n_lived, fitted = 0, None
    while fitted is None:
        try:
            with dying((PassFinished, TasksFinished), n_lived):
                fitted = fit(tmp_path)
        except Death:
            n_lived = 2 * n_lived + 1
    assert n_lived >= 3
    assert bits(fitted) == bits(fit())
    files = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    with dying((SpanFinished,), 0):  # what is finished is given without any work
        assert bits(fit(tmp_path)) == bits(fitted)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == files


@pytest.mark.usefixtures("small_spans")
def test_at_most_one_pass_is_made_again(tmp_path, stored):
    path = stored(rows())
    with dying((SpanFinished,), 10**6) as seen:
        undisturbed = mixture(init_params="k-means||").fit(path)
    n_spans, n_passes = len(seen), undisturbed.n_passes_
    n_done, n_deaths, fitted = 0, 0, None
    while fitted is None:
        try:
            with dying((SpanFinished,), n_spans // n_passes + 1) as seen:  # in the second pass of each life
                fitted = mixture(init_params="k-means||").fit(path, checkpoint=tmp_path / "kept")
        except Death:
            n_deaths += 1
        n_done += len(seen)
    assert bits(fitted) == bits(undisturbed)
    assert n_deaths >= 4
    assert n_done <= n_spans + n_deaths * n_spans // n_passes


@pytest.mark.usefixtures("small_spans")
def test_a_fit_goes_on_on_a_cluster(tmp_path, stored, client, request):
    path, died = stored(rows()), False
    undisturbed = mixture().fit(path)
    try:
        with dying((PassFinished,), 3):
            mixture().fit(path, checkpoint=tmp_path / "kept")
    except Death:
        died = True
    assert died
    assert bits(mixture().fit(path, checkpoint=tmp_path / "kept")) == bits(undisturbed)


class TestWhatIsFitted:
    """What must be the same to go on."""

    @pytest.fixture
    def place(self, tmp_path, stored) -> tuple[str, str]:
        path, kept = stored(rows()), str(tmp_path / "kept")
        mixture().fit(path, checkpoint=kept)
        return path, kept

    @pytest.mark.parametrize(
        ("changed", "message"),
        [
            ({"tol": 0.1}, "tol was 0.0, and is 0.1"),
            ({"covariance_type": "diag"}, "covariance_type was 'full', and is 'diag'"),
            ({"random_state": 4}, "random_state was 3, and is 4"),
            ({"random_state": None}, "random_state was 3, and is None"),
            ({"means_init": np.zeros((4, 3))}, r"means_init was None, and is an array of shape \(4, 3\)"),
        ],
    )
    def test_other_parameters(self, place, changed, message):
        with pytest.raises(dgmm.CheckpointError, match=message):
            mixture(**changed).fit(place[0], checkpoint=place[1])

    def test_another_estimator(self, place):
        other = dgmm.BayesianGaussianMixture(n_components=4, **LARGE)
        with pytest.raises(
            dgmm.CheckpointError, match="the estimator was 'GaussianMixture', and is 'Bayesian"
        ):
            other.fit(place[0], checkpoint=place[1])

    def test_other_rows(self, place, stored):
        with pytest.raises(
            dgmm.CheckpointError, match=r"the rows' place was .*rows-0.zarr', and is .*\.zarr"
        ):
            mixture().fit(stored(rows()), checkpoint=place[1])
        with pytest.raises(dgmm.CheckpointError, match="the rows' number was 1200, and is 1000"):
            mixture().fit(stored(rows(1000)), checkpoint=place[1])

    def test_row_weights(self, place):
        with pytest.raises(dgmm.CheckpointError, match="the row weights' number was nothing, and is 1200"):
            mixture().fit(place[0], sample_weight=np.full(1200, 2.0), checkpoint=place[1])

    def test_rows_that_were_written_since(self, place):
        import zarr

        array = zarr.open_array(place[0])
        array[0, 0] = 77.0
        with pytest.raises(dgmm.CheckpointError, match="the rows' files changed"):
            mixture().fit(place[0], checkpoint=place[1])

    def test_rows_in_memory_that_are_others(self, tmp_path):
        X = rows()
        mixture().fit(X, checkpoint=tmp_path)
        other = X.copy()
        other[1134, 2] += 1e-9
        with pytest.raises(dgmm.CheckpointError, match="the rows' values was"):
            mixture().fit(other, checkpoint=tmp_path)
        mixture().fit(X.copy(), checkpoint=tmp_path)

    def test_what_has_no_effect_may_differ(self, place, capsys):
        mixture(verbose=1).fit(place[0], checkpoint=place[1])
        assert "Initialization 0" in capsys.readouterr().out

    def test_a_mixture_to_go_on_from(self, tmp_path):
        X = rows()
        warm = mixture(warm_start=True, algorithm="em", max_iter=2).fit(X)
        warm.fit(X, checkpoint=tmp_path)
        with pytest.raises(dgmm.CheckpointError, match="the mixture to go on from"):
            warm.fit(X, checkpoint=tmp_path)


class TestRandomness:
    """Draws are those of the first call."""

    def disturbed(self, tmp_path, make: Callable[[], Any]) -> list[str]:
        """Fit, dying once; then fit again, and give the bits of both."""
        with pytest.raises(Death), dying((PassFinished,), 2):
            make().fit(rows(), checkpoint=tmp_path)
        return [bits(make().fit(rows(), checkpoint=tmp_path)) for _ in range(2)]

    @pytest.mark.parametrize("make", [mixture, sweep])
    def test_without_a_seed(self, tmp_path, make):
        np.random.seed(5)  # noqa: NPY002 - what random_state=None stands for
        first, second = self.disturbed(tmp_path, lambda: make(random_state=None))
        np.random.seed(5)  # noqa: NPY002
        assert first == second == bits(make(random_state=None).fit(rows()))

    @pytest.mark.parametrize("make", [mixture, sweep])
    def test_of_a_generator(self, tmp_path, make):
        first, second = self.disturbed(tmp_path, lambda: make(random_state=np.random.RandomState(5)))
        assert first == second == bits(make(random_state=np.random.RandomState(5)).fit(rows()))

    def test_of_a_generator_that_went_on(self, tmp_path):
        generator = np.random.RandomState(5)
        first, second = self.disturbed(tmp_path, lambda: mixture(random_state=generator))
        expected = np.random.RandomState(5)
        assert first == second == bits(mixture(random_state=expected).fit(rows()))
        assert generator.randint(2**31) == expected.randint(2**31)


def test_an_interrupted_sweep_has_what_was_reached_and_goes_on(tmp_path):
    interrupted = sweep(sample_rows=5000)

    def stop(event: Event) -> None:
        if isinstance(event, PassFinished) and event.purpose == "EM":
            seen.append(event)
            if len(seen) == 4:
                raise KeyboardInterrupt

    seen: list[Event] = []
    with pytest.raises(KeyboardInterrupt) as raised, listening(stop):
        interrupted.fit(rows(), checkpoint=tmp_path)
    assert interrupted.partial_
    assert "the same call continues from there" in raised.value.__notes__[0]
    assert bits(sweep(sample_rows=5000).fit(rows(), checkpoint=tmp_path)) == bits(
        sweep(sample_rows=5000).fit(rows())
    )


def test_rows_that_changed_for_a_while_leave_nothing_behind(tmp_path):
    X, undisturbed = rows(), bits(mixture().fit(rows()))

    def change(event: Event) -> None:
        if isinstance(event, PassFinished) and event.purpose == "survey":
            X[5, 0] = 77.0

    with pytest.raises(ValueError, match="changed during the fit"), listening(change):
        mixture().fit(X, checkpoint=tmp_path)
    X[:] = rows()
    assert bits(mixture().fit(X, checkpoint=tmp_path)) == undisturbed


def test_rows_that_may_change_need_not_be_those_of_the_first_call(tmp_path):
    X = rows()
    with pytest.raises(Death), dying((PassFinished,), 2):
        mixture().fit(X, checkpoint=tmp_path)
    X[5, 0] += 0.5
    with pytest.raises(dgmm.CheckpointError, match="the rows' values was"):
        mixture().fit(X, checkpoint=tmp_path)
    fitted = mixture().fit(X, checkpoint=tmp_path, allow_changed_data=True)
    assert fitted.data_changes_


def test_places_have_no_credentials_and_no_names_of_users(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    assert place_of("data") == place_of(str(tmp_path / "data")) == "~/data"
    assert place_of("s3://me:SECRET@bucket/x.zarr?token=SECRET") == "s3://bucket/x.zarr"
    assert place_of("array") == "array"


def test_facts_are_of_all_that_may_differ():
    X = rows(400)
    source = dgmm.open_dataset(X)
    assert facts_of(source) == facts_of(dgmm.open_dataset(X.copy()))
    assert facts_of(source)["values"] == fact(str(dgmm.fingerprint(X)))
    assert fact(np.int64(3)) == fact(3) != fact(3.0)
    assert fact("a" * 1000)[0].endswith("…")
