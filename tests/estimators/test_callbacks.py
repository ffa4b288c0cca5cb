"""Scikit-learn's callbacks hear of each iteration, alone and inside of meta-estimators."""

import numpy as np
import pytest
from sklearn.callback import ProgressBar
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

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
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
