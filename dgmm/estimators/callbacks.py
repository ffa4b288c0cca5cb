"""Scikit-learn's callbacks, told of the iterations of a fit."""

from __future__ import annotations

from typing import Any

from sklearn.callback import CallbackContext

from dgmm.passes.events import Event, IterationFinished


class Callbacks:
    """Takes the events of a fit to its callbacks: a task for each iteration of each start.

    Parameters
    ----------
    estimator : Mixture
        That is fitted.
    context : CallbackContext
        Of the fit.
    most : int or None
        Tasks that it may have; None where that is not known.
    """

    def __init__(self, estimator: Any, context: CallbackContext, most: int | None) -> None:
        self._estimator, self._context = estimator, context
        self._most, self._n_told = most, 0

    def __call__(self, event: Event) -> None:
        """Tell of an event, if it is an iteration."""
        if isinstance(event, IterationFinished) and (self._most is None or self._n_told < self._most):
            self._n_told += 1
            own = self._context.subcontext(task_name="iteration")
            own.call_on_fit_task_begin(estimator=self._estimator)
            own.call_on_fit_task_end(estimator=self._estimator)
