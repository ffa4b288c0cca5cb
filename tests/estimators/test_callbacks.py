"""Scikit-learn's callbacks hear of each iteration, alone and inside of meta-estimators."""

from typing import Any, cast

import numpy as np
import pytest
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dgmm import BayesianGaussianMixture, GaussianMixture


class Recorder:
    """Notes what it is told."""

    def __init__(self):
        self.told, self.ended, self.weights = [], [], None

    def setup(self, estimator, context):
        self.told.append("setup")

    def teardown(self, estimator, context):
        self.told.append("teardown")

    def on_fit_task_begin(self, estimator, context, *, X=None, metadata=None):
        self.told.append(("begin", context.task_name, context.task_id))
        if context.task_name == "fit":
            self.rows, self.weights = X, metadata

    def on_fit_task_end(self, estimator, context, *, X=None, fitted_estimator: Any = None) -> bool | None:
        self.told.append(("end", context.task_name, context.task_id))
        self.ended.append(fitted_estimator)


@pytest.fixture
def rows():
    generator = np.random.default_rng(0)
    rows = np.concatenate([generator.normal(size=(150, 2)), generator.normal(4.0, 1.0, (150, 2))])
    return generator.permutation(rows)


@pytest.mark.parametrize("sample_rows", ["auto", 100])
def test_each_iteration_is_a_task(rows, sample_rows):
    recorder, weights = Recorder(), np.ones(len(rows))
    mixture = GaussianMixture(2, random_state=0, sample_rows=sample_rows, n_init=2)
    assert mixture.set_callbacks(recorder) is mixture
    mixture.fit(rows, sample_weight=weights)
    assert (recorder.told[0], recorder.told[-1]) == ("setup", "teardown")
    assert recorder.told[1] == ("begin", "fit", 0)
    assert recorder.told[-2] == ("end", "fit", 0)
    iterations = recorder.told[2:-2]
    assert iterations == [
        (what, "iteration", number) for number in range(len(iterations) // 2) for what in ("begin", "end")
    ]
    assert len(iterations) // 2 >= mixture.n_iter_
    assert recorder.rows is rows
    assert recorder.weights == {"sample_weight": weights}
    np.testing.assert_array_equal(recorder.ended[-1].predict(rows), mixture.predict(rows))


def test_a_fit_that_fails_ends_well(rows):
    recorder = Recorder()
    mixture = GaussianMixture(2).set_callbacks(recorder)
    with pytest.raises(ValueError, match="NaN"):
        mixture.fit(np.where(rows > 4.0, np.nan, rows))
    assert recorder.told[-1] == "teardown"
    assert mixture.set_callbacks().fit(rows).converged_
    assert recorder.told[-1] == "teardown"


def test_moves_have_iterations_of_their_own(rows):
    recorder = Recorder()
    BayesianGaussianMixture(n_components=4, moves=True, random_state=0).set_callbacks(recorder).fit(rows)
    assert recorder.told[-2] == ("end", "fit", 0)


def test_inside_of_meta_estimators(rows, capsys):
    """A bar of scikit-learn's, set on the outermost, shows the fits inside."""
    search = GridSearchCV(
        make_pipeline(StandardScaler(), GaussianMixture(random_state=0)),
        {"gaussianmixture__n_components": [1, 2]},
        cv=2,
    )
    search.set_callbacks(ProgressBar(max_propagation_depth=2)).fit(rows)
    assert search.best_params_ == {"gaussianmixture__n_components": 2}
    assert "GaussianMixture" in capsys.readouterr().out


class Stopper(Recorder):
    """Ends a fit after some iterations, and notes the mixtures that it is shown."""

    def __init__(self, n_iterations):
        super().__init__()
        self.n_left, self.shown = n_iterations, []

    def on_fit_task_end(self, estimator, context, *, X=None, fitted_estimator: Any = None) -> bool:
        if context.task_name == "fit":
            return False
        self.shown.append((fitted_estimator.n_iter_, fitted_estimator.lower_bound_, fitted_estimator.means_))
        assert np.isfinite(fitted_estimator.score(X))
        self.n_left -= 1
        return self.n_left <= 0


@pytest.mark.parametrize("make", [GaussianMixture, BayesianGaussianMixture])
@pytest.mark.parametrize("sample_rows", ["auto", 100])
def test_a_callback_ends_a_fit_where_max_iter_would(rows, make, sample_rows):
    """As if no more iterations were allowed, and without a warning: it was asked for."""
    common = {"n_components": 3, "random_state": 0, "sample_rows": sample_rows, "tol": 1e-9}
    stopped = make(**common).set_callbacks(stopper := Stopper(3)).fit(rows)
    with pytest.warns(ConvergenceWarning):
        short = make(**common, max_iter=3).fit(rows)
    assert (stopped.n_iter_, stopped.converged_) == (3, False)
    assert stopped.stop_reason_ == "Stopped by a callback after 3 iterations."
    for name in ("weights_", "means_", "covariances_", "lower_bound_", "lower_bounds_"):
        np.testing.assert_array_equal(getattr(stopped, name), getattr(short, name))
    assert [n_iter for n_iter, _, _ in stopper.shown] == [1, 2, 3]
    np.testing.assert_array_equal(stopper.shown[-1][2], stopped.means_)
    assert stopper.shown[-1][1] == stopped.lower_bound_


def test_rows_far_from_the_origin_are_shown_where_they_are(rows):
    stopper = Stopper(2)
    far = rows + 1e9
    mixture = GaussianMixture(2, random_state=0).set_callbacks(stopper).fit(far)
    np.testing.assert_array_equal(stopper.shown[-1][2], mixture.means_)
    assert (np.abs(mixture.means_ - 1e9) < 10.0).all()


def test_one_start_is_ended_and_the_others_go_on(rows):
    whole = GaussianMixture(2, random_state=0, n_init=2).fit(rows)
    other = GaussianMixture(2, random_state=0, n_init=2).set_callbacks(Stopper(1))

    class First(Stopper):
        def on_fit_task_end(self, estimator, context, *, X=None, fitted_estimator: Any = None) -> bool:
            super().on_fit_task_end(estimator, context, X=X, fitted_estimator=fitted_estimator)
            return context.task_id == 0

    other.set_callbacks(first := First(1)).fit(rows)
    assert first.shown[0][0] == first.shown[1][0] == 1  # the second start begins anew
    assert other.converged_
    assert other.lower_bound_ == pytest.approx(whole.lower_bound_, abs=1e-3)


def test_moves_end_too(rows):
    mixture = BayesianGaussianMixture(n_components=4, moves=True, random_state=0, tol=1e-9)
    mixture.set_callbacks(stopper := Stopper(2)).fit(rows)
    assert len(stopper.shown) == mixture.n_iter_ == 2


def test_a_stopped_mixture_takes_more_rows(rows):
    """Its sums are those of the pass that it ended after."""
    mixture = GaussianMixture(2, random_state=0, sample_rows=100, algorithm="em", tol=1e-9)
    mixture.set_callbacks(Stopper(2)).fit(rows)
    mixture.set_callbacks().partial_fit(rows)
    assert sum(each.n_rows for each in mixture.partitions_) == 2 * len(rows)


def test_scores_are_monitored(rows):
    """What scikit-learn's monitor needs is there: the mixture of each iteration, and what fit was given."""
    weights = np.linspace(0.5, 1.5, len(rows))

    def scoring(estimator, X, y, **metadata):
        return {"score": estimator.score(X, y, **metadata)}

    monitor = ScoringMonitor(scoring=scoring)
    mixture = GaussianMixture(3, random_state=0).set_callbacks(monitor)
    mixture.fit(rows, np.zeros(len(rows)), sample_weight=weights)
    log = cast(Any, monitor.get_logs()).data
    scores = [each["score"] for each in log if each["task_name"] == "iteration"]
    assert len(scores) == mixture.n_iter_
    assert scores[-1] == pytest.approx(mixture.score(rows, sample_weight=weights), rel=1e-9)
    assert (np.diff(scores) >= -1e-9).all()  # EM never falls
