"""Methods about the likelihood at its maximum: criteria, and standard errors of parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dgmm.data.types import GroupsLike, LabelsLike, RowsLike, WeightsLike
from dgmm.estimators.base import FittedMixture, LogLikelihood
from dgmm.estimators.errors import ErrorsLike, require_errors
from dgmm.estimators.labels_and_groups import parts_for
from dgmm.model import criteria

if TYPE_CHECKING:
    from dgmm.estimators.certainty import StandardErrors
    from dgmm.model.information import Kind


class LikelihoodMixture(FittedMixture):
    """A mixture of maximum likelihood, once it is fitted."""

    missing: str

    def bic(
        self,
        X: RowsLike,
        sample_weight: WeightsLike | None = None,
        *,
        groups: GroupsLike | None = None,
        errors: ErrorsLike | None = None,
    ) -> float:
        """Compute the Bayesian information criterion on rows, in one pass: lower is better.

        Parameters
        ----------
        X : array-like, Dask collection, path or source of shape (n_samples, n_features)
        sample_weight : array-like, Dask collection or path of shape (n_samples,), optional
            Weights of the rows, whose sum is the number of rows then.
        groups : array-like, Dask collection or path of shape (n_samples,), optional
            The group of each row: then the weights of groups are judged, and count as parameters.
        errors : optional
            Measurement errors of the rows, as for `fit`: a mixture that was fitted with errors asks for them.

        Returns
        -------
        bic : float
        """
        found = self._judged_by_criteria("BIC", X, sample_weight, groups, errors)
        return criteria.bic(found.total, self._n_parameters(groups), found.weight)

    def aic(
        self,
        X: RowsLike,
        sample_weight: WeightsLike | None = None,
        *,
        groups: GroupsLike | None = None,
        errors: ErrorsLike | None = None,
    ) -> float:
        """Compute the Akaike information criterion on rows, in one pass: lower is better.

        Parameters
        ----------
        X : array-like, Dask collection, path or source of shape (n_samples, n_features)
        sample_weight, groups, errors : optional
            As for `bic`.

        Returns
        -------
        aic : float
        """
        total = self._judged_by_criteria("AIC", X, sample_weight, groups, errors).total
        return criteria.aic(total, self._n_parameters(groups))

    def _judged_by_criteria(
        self,
        what: str,
        x: RowsLike,
        weights: WeightsLike | None,
        groups: GroupsLike | None,
        errors: ErrorsLike | None,
    ) -> LogLikelihood:
        require_errors(self, errors, what)
        return self._scored(x, weights, groups=groups, errors=errors)

    def standard_errors(
        self,
        X: RowsLike,
        kind: Kind = "information",
        sample_weight: WeightsLike | None = None,
        *,
        labels: LabelsLike | None = None,
        groups: GroupsLike | None = None,
        errors: ErrorsLike | None = None,
    ) -> StandardErrors:
        """Compute how sure the parameters are, given the rows that they were fitted to, in one pass.

        A pass multiplies P² numbers a row, for P parameters, and takes some 20 P² numbers of memory: with
        full covariances of many features, ``'diag'`` is cheaper by far. See ``docs/how-sure.md``.

        Parameters
        ----------
        X : array-like, Dask collection, path or source of shape (n_samples, n_features)
            The rows of the fit.
        kind : {'information', 'sandwich'}, default='information'
            ``'information'``: the inverse of the observed information, right where the rows are of a mixture
            such as this one. ``'sandwich'``: that on both sides of the scores' own scatter, right whether
            they are or not, for what the parameters would be of all rows that there might be.
        sample_weight : array-like, Dask collection or path of shape (n_samples,), optional
            Of ``'information'``, weights count rows: one with weight 2 tells as much as two. Of
            ``'sandwich'`` they are sampling weights: the row is one, and tells as much as one, so that the
            weights' scale does not matter.
        labels, groups, errors : optional
            What is known of the rows, as for `fit`: a mixture that was fitted with groups or errors asks for
            them. One that was fitted with labels is at the maximum of the likelihood of rows with these.

        Returns
        -------
        StandardErrors
            Of the parameters as they are: what ``reg_covar`` adds to variances is in the estimates, and not
            in the errors. Rows that lack values tell what is observed of them with ``missing='marginalize'``;
            ``'drop'`` leaves them out.

        Raises
        ------
        SingularInformationError
            A ValueError: where the rows do not tell all parameters; it names the components.
        ValueError
            For values that are not finite, and more parameters than there is memory for; of a mixture that
            was fitted with groups or measurement errors, for rows without.

        Warns
        -----
        MixtureWarning
            Where the parameters are not at the maximum of the likelihood; where they are hardly known; where
            components have less than a row of some groups.

        Examples
        --------
        >>> import numpy as np
        >>> from dgmm import GaussianMixture
        >>> rng = np.random.default_rng(0)
        >>> X = np.concatenate([rng.normal(0, 1, (900, 1)), rng.normal(8, 2, (300, 1))])
        >>> mixture = GaussianMixture(2, tol=1e-9, random_state=0).fit(X)
        >>> errors = mixture.sorted("mean").standard_errors(X)
        >>> errors.means.round(2).tolist()          # 1 / √900, and 2 / √300, about
        [[0.03], [0.11]]
        """
        from dgmm.estimators.certainty import standard_errors  # noqa: PLC0415 - no fit needs it

        self._check_certain(groups, errors)
        measured, weights, side_information = self._open_with_side_information(
            X, errors, sample_weight, labels=labels, groups=groups
        )
        labels_and_groups, known = parts_for(self, measured, weights, **side_information)
        return standard_errors(
            self._parameters,
            measured,
            weights,
            kind,
            labels_and_groups=labels_and_groups,
            known=known,
            missing=self.missing,
            estimator=type(self).__name__,
        )

    def _check_certain(self, groups: object = None, errors: object = None) -> None:
        """Refuse standard errors of rows without what they were fitted with.

        Raises
        ------
        ValueError
        """
        self._refuse_unfitted()
        if groups is None and hasattr(self, "group_weights_"):
            raise ValueError(
                "The mixture was fitted to groups, each of which has weights of its own, and standard errors "
                "are of these: give groups= of the rows, as for fit"
            )
        require_errors(self, errors, "standard errors")
