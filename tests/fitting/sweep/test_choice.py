"""The best of some models by figures made by hand, and what is said of it."""

from dataclasses import replace

import numpy as np
import pytest

from dgmm.fitting.loop.history import PassRecord
from dgmm.fitting.loop.plain import EM
from dgmm.fitting.loop.stopping import Ending
from dgmm.fitting.pool import Candidate
from dgmm.fitting.sweep.choice import advise, best_of
from dgmm.model.criteria import CRITERIA, Scores
from dgmm.model.families import FAMILIES
from tests.model import naive

BIC, HELD_OUT = CRITERIA["bic"], CRITERIA["held-out"]


def candidate(
    n_components, log_likelihood, *, family="full", n_parameters=None, held_out=np.nan, error=0.0, failure=""
) -> Candidate:
    """A model of a thousand rows: each component is five parameters, if not said otherwise."""
    parameters = 5 * n_components if n_parameters is None else n_parameters
    scores = Scores(log_likelihood, 0.0, held_out, error, parameters, 1000.0)
    return Candidate(FAMILIES[family], n_components, scores=scores, failure=failure)


def curve(heights, **own) -> list[Candidate]:
    return [candidate(k, height, **own) for k, height in enumerate(heights, 1)]


class TestBest:
    def test_is_the_least_loss(self):
        models = [candidate(1, -3.0), candidate(2, -2.0), candidate(9, -1.99)]
        expected = np.argmin(
            [-2.0 * 1000.0 * ll + np.log(1000.0) * p for ll, p in ((-3, 5), (-2, 10), (-1.99, 45))]
        )
        assert best_of(models, BIC) == expected == 1
        assert best_of(models, CRITERIA["aic"]) == 1

    def test_is_the_first_of_equals(self):
        assert best_of([candidate(2, -3.0), candidate(1, -2.0), candidate(1, -2.0)], BIC) == 1

    def test_is_none_that_failed_or_has_no_figure(self):
        models = [
            candidate(1, 5.0, failure="collapsed"),
            Candidate(FAMILIES["full"], 2),
            candidate(1, np.nan),
            candidate(1, -np.inf),
        ]
        assert best_of(models, BIC) is None
        assert best_of([*models, candidate(1, -7.0)], BIC) == 4

    def test_held_out_figures_alone_decide_where_they_are_asked_for(self):
        models = [candidate(1, -1.0, held_out=-3.0), candidate(2, -2.0, held_out=-2.0)]
        assert (best_of(models, BIC), best_of(models, HELD_OUT)) == (0, 1)


class TestSmallest:
    HEIGHTS = (-4.0, -2.5, -2.005, -2.0, -1.9999)

    @pytest.mark.parametrize(("tolerance", "expected"), [(0.0, 3), (0.01, 2), (0.6, 1), (5.0, 0)])
    def test_within_the_tolerance(self, tolerance, expected):
        found = advise(curve(self.HEIGHTS), 3, BIC, tolerance)
        assert found.smallest == expected
        words = " ".join(found.sentences)
        if expected == 3:
            assert "Fewer components of the same kind lose more than 0 nats a row of log-likelihood" in words
        else:
            n = f"{expected + 1} component" + "s" * (expected > 0)
            assert f"{n} of the same kind are within {tolerance:g} nats a row" in words

    def test_is_of_the_same_family_and_has_not_failed(self):
        models = [
            candidate(3, -2.0),
            candidate(1, -2.0, family="diag"),
            candidate(1, -2.0, failure="collapsed"),
            candidate(2, -2.0),
        ]
        assert advise(models, 0, BIC, 0.01).smallest == 3

    def test_is_by_held_out_rows_where_these_decide(self):
        models = [candidate(1, -9.0, held_out=-2.0, error=0.1), candidate(2, -1.0, held_out=-2.0, error=0.1)]
        assert advise(models, 1, HELD_OUT, 0.01).smallest == 0
        assert advise(models, 1, BIC, 0.01).smallest == 1


class TestElbow:
    def test_is_where_the_curve_is_farthest_above_its_chord(self):
        heights = -10.0 * np.exp(-0.7 * np.arange(8.0))
        x, y = np.arange(8.0) / 7.0, (heights - heights[0]) / (heights[-1] - heights[0])
        found = advise(curve(heights), 7, BIC, 0.01)
        assert found.elbow == np.argmax(y - x)  # as far as that from the line, times √2
        assert found.elbow is not None
        assert f"bends most (its elbow) at {found.elbow + 1} components" in " ".join(found.sentences)

    def test_counts_that_are_not_one_after_the_other(self):
        models = [candidate(k, -10.0 / k) for k in (1, 2, 16, 4, 8)]
        assert models[advise(models, 2, BIC, 0.01).elbow or 0].n_components == 4

    @pytest.mark.parametrize(
        "heights", [(-3.0,), (-3.0, -2.0), (-2.0, -2.0, -2.0), (-1.0, -2.0, -3.0), (-3.0, -2.9, -1.0)]
    )
    def test_there_is_none_without_a_bend(self, heights):
        assert advise(curve(heights), len(heights) - 1, BIC, 0.01).elbow is None


class TestSentences:
    def test_the_edge_of_the_range(self):
        models = curve((-3.0, -2.0))
        at_edge, inside, alone = (
            advise(models, 1, BIC, 0.01),
            advise(models, 0, BIC, 0.01),
            advise(models[:1], 0, BIC, 0.01),
        )
        assert [each.at_edge for each in (at_edge, inside, alone)] == [True, False, False]
        assert "nothing above 2 components was tried" in " ".join(at_edge.sentences)
        assert "edge of the range" not in " ".join([*inside.sentences, *alone.sentences])

    @pytest.mark.parametrize("criterion", CRITERIA)
    def test_the_first_says_what_was_chosen_and_what_that_is_not(self, criterion):
        models = [candidate(1, -3.0, family="diag", held_out=-3.0)]
        (first, *_) = advise(models, 0, CRITERIA[criterion], 0.01).sentences
        title = CRITERIA[criterion].title
        assert first.startswith(title[0].upper() + title[1:] + " chooses 1 component of diag covariance: ")
        assert "not the number of clusters" in first

    @pytest.mark.parametrize(
        ("gain", "converged", "is_said"),
        [(1.0, False, True), (1.0, True, False), (1e-9, False, False), (np.inf, False, False)],
    )
    def test_what_has_not_converged(self, gain, converged, is_said):
        """Said if it may matter to the choice."""
        parameters = naive.random_parameters(np.random.default_rng(0), "full", 1, 2)
        history = (PassRecord(-2.0, gain, 1, True, 0.0),)
        state = EM(0, parameters, history=history, ending=Ending(converged, "."))
        models = [replace(candidate(1, -2.0), state=state)]
        words = " ".join(advise(models, 0, BIC, 0.01).sentences)
        assert ("further passes are predicted to gain 1 nats a row" in words) == is_said

    def test_a_rival_within_one_standard_error(self):
        best = candidate(5, -1.0, held_out=-2.0, error=0.1)
        near, far = (
            candidate(k, -1.0, held_out=-2.0 - gap, family="diag") for k, gap in ((2, 0.099), (1, 0.101))
        )
        words = " ".join(advise([best, near, far], 0, HELD_OUT, 0.01).sentences)
        assert "with fewer parameters: 2 components of diag covariance" in words
        for models in ([best, far], [best, replace(near, failure="collapsed")]):
            assert "standard error" not in " ".join(advise(models, 0, HELD_OUT, 0.01).sentences)
        assert "standard error" not in " ".join(advise([best, near], 0, BIC, 0.01).sentences)

    def test_one_row_alone_is_held_out(self):
        models = [candidate(1, -1.0, held_out=-2.0, error=np.nan)]
        assert "Make held_out larger" in " ".join(advise(models, 0, HELD_OUT, 0.01).sentences)
