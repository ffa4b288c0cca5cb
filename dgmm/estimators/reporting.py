"""A page to read of what has been fitted: the one door from estimators to what a person sees."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dgmm.data.types import Location, RowsLike


class Reporting:
    """What has a report: one HTML file with pictures inside."""

    def report(
        self: Any,
        path: Location,
        X: RowsLike | None = None,
        *,
        storage_options: Mapping[str, object] | None = None,
    ) -> None:
        """Write a page to read: how many components, which is what, whether they fit, how the fit ended.

        It is one HTML file with its pictures inside, for screens of any width, light and dark; needs
        matplotlib (``pip install 'dgmm[plot]'``).

        Parameters
        ----------
        path : str or path
            A local path, or a URL that fsspec knows. A file that is there is replaced.
        X : array-like, Dask collection, path or source of shape (n_samples, n_features), optional
            The rows of the fit, of which at most 20,000 are drawn at random; of large data not all is read
            for it. Default: of a sweep its ``sample_``; else the page has what the mixture says of itself.
        storage_options : mapping, optional
            For the file system of a URL.

        Raises
        ------
        NotFittedError
        ValueError
            For rows that are not such as those that were fitted.
        """
        from dgmm.pages.fit import write_report  # noqa: PLC0415 - it needs an extra

        write_report(self, path, X, storage_options=storage_options)
