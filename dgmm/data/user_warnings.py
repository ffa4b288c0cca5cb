"""Warnings that point at the user's line, whatever is called between it and the warning."""

from __future__ import annotations

import sys
import warnings

INSIDE = ("dgmm", "sklearn", "contextlib")
"""Packages whose lines are not the user's: scikit-learn's are around the methods of estimators, and those of
context managers around what they decorate."""


def warn_user(message: str, category: type[Warning]) -> None:
    """Warn at the innermost line that is in no package of `INSIDE`: the user's.

    Where there is none, as in a command, warn at the outermost line.

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
