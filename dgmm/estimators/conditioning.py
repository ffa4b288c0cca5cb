"""What a mixture says of some features, given others or whatever they are."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from dgmm.data import DataError
from dgmm.estimators.base import FittedMixture
from dgmm.estimators.features import Features, Known, numbers_of, values_of
from dgmm.estimators.parameters import attributes_of, fits_in, parameters_of
from dgmm.kernels import densities
from dgmm.model.conditional import conditional, marginal
from dgmm.model.parameters import Parameters


class ConditionalMixture(FittedMixture):
    """A fitted mixture whose features need not all be known.

    Marginals and conditionals of a mixture are mixtures of the same covariance type. Of a Bayesian mixture
    they are those of the mixture of its posterior means, whose parameters are then taken as certain.
    """

    OF_FEATURES: ClassVar[tuple[str, ...]] = ()
    """Parameters that have a value for each feature or component: a mixture of other ones starts without."""

    def marginal(self, features: Features) -> Self:
        """Give the mixture of some features, whatever the values of the others.

        Parameters
        ----------
        features : str, int, or iterable of these
            Names or column numbers, in the order that the new mixture is to have.

        Returns
        -------
        mixture
            Of the same class, with the same components in the same order.

        Raises
        ------
        ValueError
            For a feature that is not there, or is given twice.

        Examples
        --------
        >>> from dgmm import GaussianMixture
        >>> mixture = GaussianMixture(random_state=0).fit([[0.0, 1.0], [2.0, 5.0], [4.0, 9.0]])
        >>> mixture.marginal([1]).means_
        array([[5.]])
        """
        self._refuse_unfitted()
        chosen = self._numbers_of(features)
        if len(chosen) == 0:
            raise DataError("a mixture of no features has no densities; name one at least")
        return self._with(marginal(parameters_of(self), chosen), chosen)

    def condition(self, known: Known) -> Self:
        """Give the mixture of the other features, where the values of some are known.

        Component k keeps its number. Its weight is its responsibility for the known values; its mean is that
        of a linear regression on them; its covariance does not depend on them. Values however far out have
        weights: those of the limit, where all densities underflow.

        Parameters
        ----------
        known : mapping of str or int to float
            Names or column numbers, and their values.

        Returns
        -------
        mixture
            Of the same class, of the features that are not named, in their order.

        Raises
        ------
        ValueError
            For a feature that is not there, or is given twice; for a value that is not finite; where no
            feature is left.

        Examples
        --------
        >>> from dgmm import GaussianMixture
        >>> mixture = GaussianMixture(random_state=0).fit([[0.0, 1.0], [2.0, 5.0], [4.0, 9.0]])
        >>> mixture.condition({0: 3.0}).means_.round(3)
        array([[7.]])
        """
        self._refuse_unfitted()
        parameters = parameters_of(self)
        numbers, values = values_of(known, self._names, parameters.n_features)
        if len(numbers) == parameters.n_features:
            raise DataError(
                "all features are known: no feature is left to have a density; `score_samples` gives that of "
                "the row"
            )
        is_known = np.isin(np.arange(parameters.n_features), numbers)
        found = conditional(parameters, is_known)
        row, weights = values[np.argsort(numbers)], parameters.weights
        if len(numbers):
            weights = densities.responsibilities(found.of_known, row[None, :])[0]
        return self._with(found.given(weights, row), found.missing)

    @property
    def _names(self) -> NDArray[np.object_] | None:
        return getattr(self, "feature_names_in_", None)

    def _numbers_of(self, features: Features) -> NDArray[np.intp]:
        return numbers_of(features, self._names, self._n_features)

    def _with(self, parameters: Parameters, features: NDArray[np.intp]) -> Self:
        """Give a mixture of some of the features with these parameters: fitted, but for figures of a fit."""
        settings = self.get_params(deep=False)
        settings |= dict.fromkeys(self.OF_FEATURES) | {"n_components": parameters.n_components}
        made = type(self)(**settings)
        made._set_parameters(parameters, self._floats)
        made.n_features_in_ = parameters.n_features
        if self._names is not None:
            made.feature_names_in_ = np.asarray(self._names, dtype=object)[features]
        for name in ("converged_", "n_iter_"):
            if hasattr(self, name):
                setattr(made, name, getattr(self, name))
        return made

    def _set_parameters(self, parameters: Parameters, dtype: np.dtype) -> None:
        """Set the attributes that parameters are, in a dtype if its range holds them."""
        kept = dtype if fits_in(parameters, dtype) else np.dtype(np.float64)
        for name, value in attributes_of(parameters, kept).items():
            setattr(self, name, value)
