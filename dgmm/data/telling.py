"""Warnings, of the line in which a user called this library: whatever is between it and what warns."""

from __future__ import annotations

import sys
import warnings

INSIDE = ("dgmm", "sklearn", "contextlib")
"""Packages whose lines are not the user's: scikit-learn's are around the methods of estimators, and those of
context managers around what they decorate."""


def tell(message: str, category: type[Warning]) -> None:
    """Warn of the first line, from here outwards, that is in no package of `INSIDE`.

    Where there is none, as in a command, it is of the outermost one.

    Parameters
    ----------
    message : str
    category : type
        Of the warning.
    """
    frame, level = sys._getframe(), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in INSIDE:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
