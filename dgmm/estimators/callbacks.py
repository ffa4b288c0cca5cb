"""Scikit-learn's callbacks, which are called at each iteration and may end the fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from sklearn.callback import CallbackContext

Attributes = Callable[[], Mapping[str, Any]]
"""Gives fitted attributes: they are made where a callback asks for a fitted estimator."""


@dataclass(frozen=True, eq=False)
class Callbacks:
    """Tells the callbacks of a fit, which is a task; each iteration of each start is a task of it.

    Attributes
    ----------
    context : CallbackContext
        Of the fit.
    estimator : Mixture
        That is fitted.
    rows, targets : object
        As the user gives them.
    metadata : mapping of str to object
        What is given beside them and `score` takes, too.
    """

    context: CallbackContext
    estimator: Any
    rows: object
    targets: object
    metadata: Mapping[str, object]
    _numbers: count[int] = field(default_factory=count, repr=False)

    def begin(self) -> None:
        """Tell that the fit begins."""
        self.context.call_on_fit_task_begin(**self._given)

    def end(self, attributes: Attributes) -> None:
        """Tell that the fit has ended."""
        self.context.call_on_fit_task_end(**self._given, reconstruction_attributes=attributes)

    def iteration(self, most: int | None, attributes: Attributes) -> bool:
        """Tell of an iteration, and whether a callback ends the fit from its start.

        Parameters
        ----------
        most : int or None
            Tasks that the fit may have, the others not being told of; None where that is not known.
        attributes : callable
            What the fit has set, if it ends here.
        """
        if most is not None and next(self._numbers) >= most:
            return False
        own = self.context.subcontext(task_name="iteration")
        own.call_on_fit_task_begin(**self._given)
        return own.call_on_fit_task_end(**self._given, reconstruction_attributes=attributes)

    @property
    def _given(self) -> dict[str, Any]:
        names = {"estimator": self.estimator, "X": self.rows, "y": self.targets}
        return {**names, "metadata": dict(self.metadata)}
