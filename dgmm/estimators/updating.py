"""Methods that add rows to a fitted mixture or remove them: ``partial_fit``, updates."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from numbers import Real
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import _fit_context

from dgmm.data import DataError, Source
from dgmm.data.text import listed, plural
from dgmm.data.types import RowsLike, WeightsLike
from dgmm.data.user_warnings import warn_user
from dgmm.estimators.base import MixtureWarning
from dgmm.estimators.exchange import Sklearn
from dgmm.estimators.kept_sums import attributes_of_kept
from dgmm.estimators.mixture import Mixture
from dgmm.estimators.validation import no_rows
from dgmm.fitting.fit import Fit
from dgmm.fitting.partitions import NAMES_LISTED, Partition, PartitionSums, texts_of
from dgmm.fitting.steps.objective import Likelihood, Objective
from dgmm.fitting.updating import partition_of, seen_of
from dgmm.passes.blas import single_threaded
from dgmm.passes.cluster import one_cluster

NOT_KEPT = (
    "has no sums of the rows that it was fitted to, so no rows can be added: it was derived from another "
    "mixture, set by hand, fitted with groups or errors, fitted by a sweep, or loaded from a file of an "
    "earlier dgmm. Fit it to its rows (warm_start=True continues from its parameters)"
)

DECAY = 0.7
"""Of a stream, by default: Liang and Klein (2009) found the best of their tasks between 0.6 and 0.8."""


class UpdatingMixture(Mixture[Sklearn]):
    """A mixture that keeps the sums of the rows that it knows, partition by partition.

    See ``docs/updating.md``.
    """

    _kept: PartitionSums | None = None
    """Sums; None where they are not known."""

    @property
    def partitions_(self) -> tuple[Partition, ...]:
        """The rows that the mixture knows, in the order in which they were added; those of the fit first.

        Each has a ``name``, ``n_rows``, ``weight``, fingerprints of ``rows`` and ``row_weights``, and when it
        was ``added``, by an update.
        """
        if self._kept is None:
            raise AttributeError(f"this {type(self).__name__} {NOT_KEPT}")
        return self._kept.partitions

    def update(
        self, X: RowsLike, sample_weight: WeightsLike | None = None, *, name: str | None = None
    ) -> Self:
        """Add rows to those that the mixture knows, without reading these again.

        The responsibilities of the new rows are found at the present parameters, their sums are added to
        those that are kept, and an M-step on all of them gives new parameters: a step of incremental EM (Neal
        and Hinton, 1998), in which rows that were there before keep the responsibilities that they had.
        After a fit whose sums are at the fitted parameters it is, but for rounding, the step that EM would
        make from there over all rows, old and new: after a fit by corrected EM, and of rows in memory.

        Parameters
        ----------
        X : array-like, Dask collection, path or source of shape (n_samples, n_features)
            They are read twice; at most ``sample_rows`` of them once.
        sample_weight : array-like, Dask collection or path of shape (n_samples,), optional
            Weights of the rows.
        name : str, optional
            Of the partition, to `forget` it by. Default: ``"update 1"``, and so on.

        Returns
        -------
        self : the mixture
            ``lower_bound_`` is a lower bound of what all rows say of it: that of the responsibilities that
            they have. What tells of the fit, such as ``converged_`` and ``history_``, stays. After an error
            everything does.

        Raises
        ------
        ValueError
            Where the mixture keeps no sums; for rows that it cannot be fitted to, with their place; for a
            name that is taken.

        Warns
        -----
        MixtureWarning
            If these very rows are there already; if a component has less than a row.

        Examples
        --------
        >>> from dgmm import GaussianMixture
        >>> mixture = GaussianMixture(2, random_state=0).fit([[0.0], [1.0], [2.0], [9.0], [10.0], [11.0]])
        >>> mixture.update([[12.0], [13.0]], name="monday").means_.round(2)
        array([[11.],
               [ 1.]])
        >>> [(each.name, each.n_rows) for each in mixture.partitions_]
        [('fit', 6), ('monday', 2)]
        >>> mixture.forget(name="monday").means_.round(2)
        array([[10.],
               [ 1.]])
        """
        self._validate_params()
        kept = self._sums()
        source, weights = self._rows_and_weights(X, sample_weight)
        if name is not None:
            kept.check_name(name)
        partition = self._summed(source, weights, kept.unused_name() if name is None else name)
        if (twice := kept.known(partition.rows, partition.row_weights)) is not None:
            warn_user(
                f"{source.name}: these rows are already in the mixture, as {twice!r}; from now on they "
                f"count twice. forget(name={partition.name!r}) removes them again",
                MixtureWarning,
            )
        return self._take(kept.with_added(partition))

    def forget(
        self,
        X: RowsLike | None = None,
        sample_weight: WeightsLike | None = None,
        *,
        name: str | None = None,
    ) -> Self:
        """Take rows out of those that the mixture knows: a partition that `update` added, or that of the fit.

        The mixture is then what the M-step makes of the other partitions, to the last bit what it would be
        if their sums alone had been added: after an update, `forget` gives the mixture that was before it.
        (Partitions that were added later keep their responsibilities, which that of the forgotten rows had a
        part in.)

        Parameters
        ----------
        X : array-like, Dask collection, path or source of shape (n_samples, n_features), optional
            The very rows of a partition: they are recognized by their fingerprint (values, order and dtype),
            in one read. Of partitions with the same rows the last one is meant.
        sample_weight : array-like, Dask collection or path of shape (n_samples,), optional
            The weights that they were added with.
        name : str, optional
            The partition's name, in the place of its rows: these need not exist any more.

        Returns
        -------
        self : the mixture
            After an error as it was.

        Raises
        ------
        ValueError
            For rows that were never added, or not as one partition; where no other rows would be left; where
            the others leave a covariance that is not positive definite; where the mixture keeps no sums.

        Warns
        -----
        MixtureWarning
            If a component has less than a row.
        """
        self._validate_params()
        kept = self._sums()
        if (X is None) == (name is None):
            raise ValueError("forget takes either the rows of a partition or its name=")
        if name is None and X is not None:
            source, weights = self._rows_and_weights(X, sample_weight)
            with one_cluster():
                seen = texts_of(seen_of(source, weights))
            name = kept.known(*seen)
            if name is None:
                known = (f"{each.name!r} of {each.n_rows:,} rows" for each in kept.partitions)
                raise DataError(
                    f"{source.name}: these {source.n_rows:,} rows were never added to the mixture, or not as "
                    f"a partition of their own: it knows {listed(known, NAMES_LISTED)}. Part of a "
                    "partition cannot be forgotten, as only the sums of all its rows are known. Give exactly "
                    "the rows of a partition (values, order, dtype and weights), or its name"
                )
        assert name is not None
        return self._take(kept.without(name))

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: RowsLike,
        y: object = None,
        sample_weight: WeightsLike | None = None,
        *,
        decay: float = DECAY,
    ) -> Self:
        """Learn from a batch of a stream: a step of stepwise EM (Cappé and Moulines, 2009).

        The first batch is fitted, as `fit` does it. From each later one the responsibilities are found at the
        present parameters, and the mean statistics a row of all that came before move towards the batch's, by
        a step of ``(w / W) ** decay`` for the batch's weight w and that of all rows so far, this batch's too:
        of batches of one weight ``(t + 2) ** -decay`` for t = 0, 1, … So what a fit or updates have given
        counts as many rows as it has, and fades.

        Parameters
        ----------
        X : array-like, Dask collection, path or source of shape (n_samples, n_features)
            The first batch has a row for each component at least; others may have any number.
        y : Ignored
        sample_weight : array-like, Dask collection or path of shape (n_samples,), optional
            Weights of the rows.
        decay : float, default=0.7
            Above ½, at most 1. With 1 all rows count alike, whenever they came; with less, what came first,
            at poor parameters, fades, and so does what is no longer true.

        Returns
        -------
        self : the mixture
            ``lower_bound_`` is that of the rows as far as they have not faded. Its only partition is
            ``"stream"``, from which nothing can be forgotten: batches are not kept apart.

        Raises
        ------
        ValueError
            As for `fit` and `update`; for a decay that is out of range.

        Examples
        --------
        >>> import numpy as np
        >>> from dgmm import GaussianMixture
        >>> rng = np.random.default_rng(0)
        >>> mixture = GaussianMixture(2, random_state=0)
        >>> for _ in range(50):
        ...     mixture = mixture.partial_fit(rng.normal(size=(100, 1)) + rng.choice([0.0, 9.0], (100, 1)))
        >>> mixture.means_.round()
        array([[9.],
               [0.]])
        """
        if not (isinstance(decay, Real) and 0.5 < decay <= 1.0):
            raise ValueError(
                f"decay={decay!r} must be above 0.5 and at most 1: the steps of a stream must decrease"
            )
        if not hasattr(self, "weights_"):
            return self.fit(X, y, sample_weight)
        kept = self._sums()
        batch = self._summed(*self._rows_and_weights(X, sample_weight), "")
        return self._take(kept.streamed(batch, decay))

    def _take_along(self, found: Any, order: NDArray[np.intp]) -> None:
        super()._take_along(found, order)
        if self._kept is not None and self._is_of(self._kept):  # not of others that were set since
            found._keep(self._kept.reordered(order.tolist()))

    @abstractmethod
    def _objective_for(self, weight: float) -> Objective:
        """Return what a step with rows of this weight climbs, as the fitted mixture knows it."""

    def _set_fitted(self, fitted: Fit, dtype: np.dtype) -> None:
        super()._set_fitted(fitted, dtype)
        self._keep(fitted.kept)

    def _keep(self, kept: PartitionSums | None) -> None:
        """Keep sums, as those of the attributes that are set."""
        own = self.weights_.copy(), self.means_.copy()
        self._kept = None if kept is None else replace(kept, attributes=own)

    def _more_saved(self) -> dict[str, Any]:
        if self._kept is None or not self._is_of(self._kept):
            return {}
        return attributes_of_kept(self._kept, is_exact=self._floats == np.float64)

    def _is_of(self, kept: PartitionSums) -> bool:
        """Return whether the parameters are those that sums are kept for."""
        return all(map(np.array_equal, (self.weights_, self.means_), kept.attributes))

    def _sums(self) -> PartitionSums:
        """Return what is kept.

        Raises
        ------
        DataError
            Where nothing is, and where the parameters are others now.
        """
        self._refuse_unfitted()
        if self._kept is None:
            raise DataError(f"This {type(self).__name__} {NOT_KEPT}")
        if not self._is_of(self._kept):
            raise DataError(
                f"weights_ or means_ of this {type(self).__name__} were changed since its rows were summed, "
                "and do not belong to these sums. Fit it to its rows (warm_start=True continues from its "
                "parameters)"
            )
        return self._kept

    def _rows_and_weights(
        self, X: RowsLike, sample_weight: WeightsLike | None
    ) -> tuple[Source, Source | None]:
        measured, weights, _ = self._open_with_side_information(X, None, sample_weight)
        source = measured.rows
        if source.n_rows == 0:
            raise no_rows(source.n_features, type(self).__name__)
        return source, weights

    def _summed(self, source: Source, weights: Source | None, name: str) -> Partition:
        """Sum rows at the present parameters."""
        with one_cluster():
            return partition_of(
                source,
                weights,
                self._parameters,
                name,
                missing=self.missing,
                sample_rows=self._rows_in_memory(source.n_features),
            )

    def _take(self, kept: PartitionSums) -> Self:
        """Become the mixture of what is kept."""
        objective = self._objective_for(kept.weight)
        with single_threaded():
            model = kept.model(objective)
            lower_bound = kept.lower_bound(model, objective)
        self._set_model(model, lower_bound, objective, self._floats)
        self._keep(kept)
        n_rows = sum(each.n_rows for each in kept.partitions)
        emptied = np.flatnonzero(model.weights * n_rows < 1.0)
        if len(emptied) and isinstance(objective, Likelihood):
            warn_user(
                f"{plural(len(emptied), 'component')} {listed(map(str, emptied), NAMES_LISTED)} "
                f"{plural(len(emptied), 'has', 'have')} less than one row now: the others "
                "describe the remaining rows; fit again for as many components as they need",
                MixtureWarning,
            )
        return self
