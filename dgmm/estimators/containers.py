"""`set_output` for results in memory alone: lazy ones stay lazy, and what xarray has keeps its labels."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import numpy as np
from sklearn.base import TransformerMixin

TransformerT = TypeVar("TransformerT", bound=type)


def wrapping_arrays_alone(transformer: TransformerT) -> TransformerT:
    """Have scikit-learn make tables of a transformer's results where these are arrays alone.

    A decorator of classes. It would compute lazy ones as a whole, which may be larger than memory; also where
    ``set_config(transform_output="pandas")`` is meant for other steps.
    """
    for name in ("transform", "fit_transform"):
        setattr(transformer, name, _wrapping_arrays(getattr(transformer, name).__wrapped__))
    return transformer


def _wrapping_arrays(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def wrapped(self: Any, X: Any, *arguments: Any, **keywords: Any) -> Any:
        found = method(self, X, *arguments, **keywords)
        return _Wrapped.transform(self, X, found) if isinstance(found, np.ndarray) else found

    return wrapped


class _Wrapped(TransformerMixin):
    """What a method of this name returns scikit-learn wraps, as the first argument's `set_output` says."""

    def transform(self: Any, X: Any, found: Any) -> Any:
        return found
