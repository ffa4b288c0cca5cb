"""``report``: the one import upwards, to the pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dgmm.data.types import GroupsLike, LabelsLike, Location, RowsLike, WeightsLike
from dgmm.estimators.errors import ErrorsLike


class Reporting:
    """What has a report: one HTML file with pictures inside."""

    def report(
        self: Any,
        path: Location,
        X: RowsLike | None = None,
        sample_weight: WeightsLike | None = None,
        *,
        labels: LabelsLike | None = None,
        groups: GroupsLike | None = None,
        errors: ErrorsLike | None = None,
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
        sample_weight : array-like, Dask collection or path of shape (n_samples,), optional
            Weights of the rows, as the fit had them: pictures and figures of how well the mixture fits count
            rows as they weigh.
        labels : optional
            Components that are known, as the fit had them: by these the page says how far components are from
            Gaussian, and how sure parameters are. All else is what the mixture makes of rows by itself.
        groups : array-like, Dask collection or path of shape (n_samples,), optional
            The group of each row, of a mixture that was fitted to groups: rows are judged by the weights of
            theirs.
        errors : optional
            Measurement errors of the rows, as for `GaussianMixture.fit`: without them, a mixture of true
            values is not compared with rows.
        storage_options : mapping, optional
            For the file system of a URL.

        Raises
        ------
        NotFittedError
        ValueError
            For rows that are not such as those that were fitted.
        """
        from dgmm.pages.fit import write_report  # noqa: PLC0415 - it needs an extra

        known = {"sample_weight": sample_weight, "labels": labels, "groups": groups, "errors": errors}
        write_report(self, path, X, **known, storage_options=storage_options)
