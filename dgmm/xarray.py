"""The accessor ``dgmm`` of xarray's objects, which forwards to the estimators.

It says nothing that ``mixture.predict(dataset)`` does not say. Needs xarray (``pip install 'dgmm[xarray]'``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

try:
    from xarray import DataArray, Dataset, register_dataarray_accessor, register_dataset_accessor
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"The accessor needs {error.name}: pip install 'dgmm[xarray]'", name=error.name
    ) from error

from dgmm.data.open import open_dataset

if TYPE_CHECKING:
    from dgmm.data.source import Source
    from dgmm.estimators.predictor import Predictor

__all__ = ["Accessor"]

Model = TypeVar("Model", bound="Predictor")


@register_dataset_accessor("dgmm")
@register_dataarray_accessor("dgmm")
class Accessor:
    """The ``dgmm`` of a Dataset or a DataArray: it is the rows of a mixture's methods.

    ``columns`` and ``sample_dims`` are those of `dgmm.open_dataset`; with either, name both for ``predict``
    as they were named for ``fit``. All else goes to the method of the mixture, and so does what is refused.

    Parameters
    ----------
    rows : xarray.Dataset or xarray.DataArray

    Examples
    --------
    >>> import numpy as np, xarray, dgmm, dgmm.xarray
    >>> temperature = [1.0, 1.1, 1.2, 9.0, 9.1, 9.3]
    >>> ocean = xarray.Dataset({"temperature": ("station", temperature)})
    >>> mixture = ocean.dgmm.fit(dgmm.GaussianMixture(2, random_state=0))
    >>> ocean.dgmm.predict(mixture).dims
    ('station',)
    """

    def __init__(self, rows: Dataset | DataArray) -> None:
        self._rows = rows

    def fit(
        self,
        mixture: Model,
        *,
        columns: Sequence[str] | None = None,
        sample_dims: Sequence[str] | None = None,
        **side_information: Any,
    ) -> Model:
        """Fit a mixture or a sweep to these rows.

        Parameters
        ----------
        mixture : GaussianMixture, BayesianGaussianMixture or GaussianMixtureSweep
        columns, sample_dims : sequence of str, optional
            The variables that are features; the dimensions that number rows.
        **side_information
            What else its ``fit`` takes: ``sample_weight``, for example.

        Returns
        -------
        mixture
            The same one, fitted.
        """
        return mixture.fit(self._opened(columns, sample_dims), **side_information)

    def predict(
        self,
        mixture: Predictor,
        *,
        columns: Sequence[str] | None = None,
        sample_dims: Sequence[str] | None = None,
        **side_information: Any,
    ) -> DataArray:
        """Return the most probable component of each row.

        Parameters
        ----------
        mixture : fitted mixture or sweep
        columns, sample_dims : sequence of str, optional
            The variables that are features; the dimensions that number rows.
        **side_information
            What else its ``predict`` takes.

        Returns
        -------
        labels : xarray.DataArray
            With the dimensions and coordinates of the rows; lazy where they are.
        """
        return cast("DataArray", mixture.predict(self._opened(columns, sample_dims), **side_information))

    def predict_proba(
        self,
        mixture: Predictor,
        *,
        columns: Sequence[str] | None = None,
        sample_dims: Sequence[str] | None = None,
        **side_information: Any,
    ) -> DataArray:
        """Return the probability of each component given each row.

        Parameters
        ----------
        mixture, columns, sample_dims, **side_information
            As for `predict`.

        Returns
        -------
        responsibilities : xarray.DataArray
            As of ``predict``, with a last dimension ``component``.
        """
        return cast(
            "DataArray", mixture.predict_proba(self._opened(columns, sample_dims), **side_information)
        )

    def score_samples(
        self,
        mixture: Predictor,
        *,
        columns: Sequence[str] | None = None,
        sample_dims: Sequence[str] | None = None,
        **side_information: Any,
    ) -> DataArray:
        """Return the log density of each row.

        Parameters
        ----------
        mixture, columns, sample_dims, **side_information
            As for `predict`.

        Returns
        -------
        log_densities : xarray.DataArray
            As of ``predict``.
        """
        return cast(
            "DataArray", mixture.score_samples(self._opened(columns, sample_dims), **side_information)
        )

    def _opened(
        self, columns: Sequence[str] | None, sample_dims: Sequence[str] | None
    ) -> Dataset | DataArray | Source:
        """Leave rows to the mixture, which knows its features by name, unless something is said of them."""
        if columns is None and sample_dims is None:
            return self._rows
        return open_dataset(self._rows, columns, sample_dims=sample_dims)
