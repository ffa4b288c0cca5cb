"""Columns of figures, of models made by hand."""

import numpy as np

from dgmm.fitting.loop.history import PassRecord
from dgmm.fitting.loop.plain import EM
from dgmm.fitting.loop.stopping import Ending
from dgmm.fitting.pool import Candidate
from dgmm.fitting.sweep.table import table_of
from dgmm.model.criteria import Scores
from dgmm.model.families import FAMILIES
from tests.model import naive


def test_each_model_is_an_entry_and_what_it_lacks_is_nan():
    parameters = naive.random_parameters(np.random.default_rng(0), "full", 2, 3)
    history = (PassRecord(-2.0, 0.0, 1, True, 0.0),) * 7
    ended = EM(0, parameters, -2.0, history, Ending(converged=True, message="It has converged."))
    scores = Scores(-2.0, 0.1, -2.5, 0.25, 19, 1000.0)
    found = table_of(
        [
            Candidate(FAMILIES["full"], 2, ended, scores=scores, n_passes=9),
            Candidate(FAMILIES["diag"], 3, ended, scores=scores, failure="It collapsed."),
            Candidate(FAMILIES["tied"], 4, dropped="It cannot win."),
        ]
    )
    assert found["n_components"].tolist() == [2, 3, 4]
    assert found["covariance_type"].tolist() == ["full", "diag", "tied"]
    loss = 2.0 * 1000.0 * 2.0 + np.log(1000.0) * 19
    expected = {"log_likelihood": -2.0, "entropy": 0.1, "bic": loss, "held_out": -2.5, "held_out_error": 0.25}
    for column, value in expected.items():
        np.testing.assert_allclose(found[column], [value, np.nan, np.nan], rtol=1e-14)
    assert found["n_parameters"].tolist() == [19, 19, 0]
    assert (found["n_iter"].tolist(), found["passes"].tolist()) == ([7, 7, 0], [9, 0, 0])
    assert found["converged"].tolist() == [True, True, False]
    assert found["dropped"].tolist() == [False, False, True]
    assert found["failed"].tolist() == [False, True, False]
    assert found["message"].tolist() == ["It has converged.", "It collapsed.", "It cannot win."]
