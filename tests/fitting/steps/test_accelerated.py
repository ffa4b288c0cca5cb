"""Steps with extrapolations, on an iteration whose limit is known: x → q x."""

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pytest

from dgmm.fitting.steps.accelerated import Extrapolation, StepRule, Steps

SHRINKS = 0.9


@dataclass(frozen=True)
class Point:
    """An error, which serves as the statistics and the parameters too."""

    x: float

    @property
    def statistics(self) -> Any:
        return self.x

    @property
    def updated(self) -> Any:
        return SHRINKS * self.x


@dataclass(frozen=True)
class Towards(StepRule[Point]):
    """Extrapolations stand for ``2 · length`` steps from the first of the path, or lead away."""

    tol: float
    leads_away: bool = False

    def gain(self, before, after):
        return before.x - after.x

    def extrapolated(self, path, longest):
        first, second, third = cast(list[float], path)
        assert [second, third] == pytest.approx([SHRINKS * first, SHRINKS**2 * first])
        far = first * (2.0 if self.leads_away else SHRINKS ** (2.0 * longest))
        return Extrapolation(cast(Any, far), cast(Any, SHRINKS * far), longest) if longest > 1.0 else None

    def accepts(self, before, landed):
        return landed.x <= before.x


def drive(rule: Towards, n_steps: int, fails=lambda x: False) -> tuple[Steps[Point], int]:
    steps, n_evaluated = Steps(Point(1.0), n_steps, (cast(Any, 1.0),)), 0
    while not steps.has_ended:
        x = cast(float, steps.to_evaluate)
        steps = steps.after(None if steps.trial is not None and fails(x) else Point(x), rule)
        n_evaluated += 1
    return steps, n_evaluated


@pytest.mark.parametrize("n_steps", [1, 2, 7, 40, 300])
def test_steps_that_an_extrapolation_stands_for_are_made(n_steps):
    steps, n_evaluated = drive(Towards(0.0), n_steps)
    # Lengths need not be whole, while steps are: one is lost at most for each of them.
    assert n_steps - 1 <= steps.n_made <= n_steps
    assert -np.log(steps.reached.x) >= -(steps.n_made) * np.log(SHRINKS) - 1e-9
    if n_steps == 300:
        assert n_evaluated < 60


@pytest.mark.parametrize("why", ["leads away", "fails"])
def test_what_does_not_help_is_taken_back(why):
    rule = Towards(0.0, leads_away=why == "leads away")
    steps, n_evaluated = drive(rule, 50, lambda x: why == "fails")
    assert steps.n_made == 50
    assert n_evaluated > 50
    assert steps.reached.x == pytest.approx(SHRINKS**50)


def test_steps_end_where_one_gains_little():
    steps, _ = drive(Towards(1e-3, leads_away=True), 10_000)
    assert steps.has_converged
    assert (1.0 / SHRINKS - 1.0) * steps.reached.x < 1e-3 <= (1.0 / SHRINKS - 1.0) * steps.reached.x / SHRINKS


def test_a_path_begins_anew_after_an_extrapolation():
    """Its first point is the extrapolation itself, so that the next one has two steps again."""
    steps = Steps(Point(1.0), 100, (cast(Any, 1.0),))
    for _ in range(2):
        steps = steps.after(Point(cast(float, steps.to_evaluate)), Towards(0.0))
    assert steps.trial is not None
    far = steps.trial.statistics
    landed = steps.after(Point(cast(float, steps.to_evaluate)), Towards(0.0))
    assert landed.path == (far, landed.reached.x)
    assert landed.longest > steps.longest
