"""Conversion from and to scikit-learn's mixtures."""

from __future__ import annotations

from typing import ClassVar, Generic, Self, TypeVar

import numpy as np
from sklearn.base import BaseEstimator

from dgmm.data.user_warnings import warn_user
from dgmm.estimators.base import MixtureWarning
from dgmm.estimators.components import ComponentMixture
from dgmm.fitting.steps.objective import TOLERANCES
from dgmm.model.families import family_named

OWN_PARAMETERS = ("algorithm", "sample_rows", "search", "moves", "missing")
"""Parameters that scikit-learn's classes do not have."""

OWN_STARTS = ("auto", "k-means||", "search")
"""Starts that they do not have."""


OF_COVARIANCES = (
    "precisions_init",
    "covariances_",
    "precisions_",
    "precisions_cholesky_",
    "degrees_of_freedom_",
)
"""Parameters and attributes that belong to one covariance: of each component, or of all."""

Sklearn = TypeVar("Sklearn", bound=BaseEstimator)
"""Scikit-learn's class of the same name."""


class ExchangedMixture(ComponentMixture, Generic[Sklearn]):
    """A mixture of which scikit-learn has one that predicts the same.

    Attributes
    ----------
    FITTED : tuple of str
        Fitted attributes that scikit-learn's class has too.
    SCIKIT_LEARN : type
        Scikit-learn's class.
    """

    FITTED: ClassVar[tuple[str, ...]]
    SCIKIT_LEARN: type[Sklearn]

    def to_sklearn(self) -> Sklearn:
        """Return a fitted mixture of scikit-learn's that predicts the same.

        Returns
        -------
        sklearn.mixture.GaussianMixture or sklearn.mixture.BayesianGaussianMixture
            With ``init_params='kmeans'`` where scikit-learn lacks the start, its own ``tol`` for ``'auto'``,
            and a covariance for each component where it lacks the family whose components share it.

        Warns
        -----
        MixtureWarning
            Where groups of rows have weights of their own: those of all rows alone are kept. Where the
            mixture was fitted with measurement errors: it is that of true values, and takes rows to be such.
        """
        if hasattr(self, "group_weights_"):
            warn_user(
                f"scikit-learn's mixtures have no groups: the weights of the {len(self.groups_):,} groups "
                "are lost, and those of all rows are kept",
                MixtureWarning,
            )
        if hasattr(self, "measurement_errors_"):
            warn_user(
                "scikit-learn's mixtures know no measurement errors: this one is of the true values, and "
                "judges rows as if they were exact",
                MixtureWarning,
            )
        parameters = {
            name: value for name, value in self.get_params(deep=False).items() if name not in OWN_PARAMETERS
        }
        if parameters["tol"] == "auto":
            parameters["tol"] = TOLERANCES["em"]
        if parameters["init_params"] in OWN_STARTS:
            parameters["init_params"] = "kmeans"
        attributes = {
            name: getattr(self, name) for name in (*self.FITTED, "feature_names_in_") if hasattr(self, name)
        }
        family = family_named(self.covariance_type)
        if family.scikit_learn is not None:
            parameters["covariance_type"] = family.scikit_learn
            for values in (parameters, attributes):
                repeated = {name: values[name] for name in OF_COVARIANCES if values.get(name) is not None}
                values |= {name: np.stack([value] * len(self.means_)) for name, value in repeated.items()}
        other = self.SCIKIT_LEARN(**parameters)
        for name, value in attributes.items():
            setattr(other, name, value)
        return other

    @classmethod
    def from_sklearn(cls, mixture: Sklearn) -> Self:
        """Make a mixture from a fitted one of scikit-learn's: the same parameters and attributes.

        Parameters
        ----------
        mixture : sklearn.mixture.GaussianMixture or sklearn.mixture.BayesianGaussianMixture
            The class of the same name.

        Returns
        -------
        the mixture
        """
        if not isinstance(mixture, cls.SCIKIT_LEARN):
            raise TypeError(
                f"from_sklearn takes a sklearn {cls.SCIKIT_LEARN.__name__}, not {type(mixture).__name__}"
            )
        made = cls(**mixture.get_params(deep=False))
        for name in (*cls.FITTED, "feature_names_in_"):
            if hasattr(mixture, name):
                setattr(made, name, getattr(mixture, name))
        return made
