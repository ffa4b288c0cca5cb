"""What a search says of itself: closed forms of how much of it was not seen."""

import numpy as np
import pytest

from dgmm.fitting.starts.record import RECORD, SearchRecord, evidence, n_missing, unseen
from dgmm.fitting.steps.climb import Climb
from tests.model import naive

PARAMETERS = naive.random_parameters(np.random.default_rng(0), "full", 2, 2)


def climbs(values):
    """Return climbs that ended there; those of the same value are alike, and not the same."""
    return [Climb(PARAMETERS, value + index * RECORD.alike / 10, 1) for index, value in enumerate(values)]


@pytest.mark.parametrize(
    ("values", "share"), [([0, 0, 0, 0], 2 / 12), ([0, -1, 0, -1], 6 / 12), ([0, -1], 1), ([0], 1), ([], 1)]
)
def test_the_share_of_starts_whose_optima_were_not_found(values, share):
    """Two optima of four runs: 2 · 3 / (4 · 3). Those that are nearly alike are one."""
    assert unseen(climbs(values)) == pytest.approx(share)


def test_the_estimate_is_the_posterior_mean():
    """Of few optima, summed over their number and the Dirichlet distribution of their shares, it is the same.

    With m optima, shares uniform on the simplex and n draws that show w of them, each way of showing them has
    the probability (m)_w (m − 1)! / (m + n − 1)!, and the rest is expected to attract (m − w) / (m + n).
    """
    n, w = 9, 2
    m = np.arange(w, 200_000, dtype=float)
    # (m)_w Γ(m) / Γ(m + n), times what does not depend on m
    falling = m * (m - 1.0)
    rising = np.prod([m + k for k in range(n)], axis=0)
    weights = falling / rising
    mean = (weights * (m - w) / (m + n)).sum() / weights.sum()
    parts = climbs([0, -1] + [0] * (n - w))
    assert unseen(parts) == pytest.approx(mean, rel=1e-6)


def test_a_record_counts_climbs_and_optima():
    ends = climbs([0, -1, -2, 0])
    record = SearchRecord.of(ends[:2], ends[2:], 123)
    assert record == SearchRecord(n_starts=4, n_optima=3, n_best=2, unseen=1.0, n_evaluations=123)
    assert str(record) == "4 starts led to 3 optima, 2 of them to the best; unseen: 100%"


def test_starts_that_were_not_drawn_count_as_one():
    """Four that were drawn leave a sixth unseen, and one optimum more that does exist 6 / 20."""
    drawn = climbs([0, 0, 0, 0])
    assert unseen(evidence(drawn, climbs([-1] * 9))) == pytest.approx(2 * 3 / (5 * 4))
    assert unseen(evidence([], climbs([0] * 9))) == 1.0
    assert evidence(drawn, []) == drawn


@pytest.mark.parametrize("values", [[], [0], [0, 0, 0], [0, -1], [0, -1, 0, -1], [0, 0, 0, 0], [0] * 9])
def test_so_many_climbs_more_into_known_optima_leave_little_unseen(values):
    """With as many as are missing less than the share is unseen, and with one less it is not."""
    missing, known = n_missing(climbs(values), 0.2), values or [0]
    assert unseen(climbs([*values, *known[:1] * missing])) < 0.2
    assert missing == 0 or unseen(climbs([*values, *known[:1] * (missing - 1)])) >= 0.2
