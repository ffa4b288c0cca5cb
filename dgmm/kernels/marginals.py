"""Marginal models of a stack for many patterns of missing values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dgmm.kernels.rare import own_entries
from dgmm.kernels.stack import Stack
from dgmm.model.matrices import Array
from dgmm.model.observed import Lifts
from dgmm.model.parameters import Parameters
from dgmm.model.regression import Regress, regress


@dataclass(frozen=True, eq=False)
class Marginals:
    """The marginal mixtures of all models of a stack, for P patterns of the features that rows have.

    All arrays are of all features: what rows lack counts nothing where its deviation from the centre is zero.

    Attributes
    ----------
    known : ndarray of shape (P, D), bool
        Which features rows have.
    lifts : tuple of Lifts
        Of each model.
    natural_parameters : tuple of ndarray of shape (P, n_components, features of the family)
        Of each group of the stack, of its dtype; zero for components on the centred path.
    factors : ndarray of shape (P, n_centred, D, D)
        ``Uᵀ`` of each component on the centred path, whose columns are zero for what is missing.
    log_constants : ndarray of shape (P, n_centred)
        Log joint densities at their means.
    """

    known: NDArray[np.bool_]
    lifts: tuple[Lifts, ...]
    natural_parameters: tuple[Array, ...]
    factors: Array
    log_constants: Array

    @classmethod
    def of(
        cls, stack: Stack, models: Sequence[Parameters], known: NDArray[np.bool_], by: Regress = regress
    ) -> Marginals:
        """Make models ready; ``models`` are the plain ones of the stack.

        Parameters
        ----------
        stack : Stack
        models : sequence of Parameters
        known : ndarray of shape (P, D), bool
        by : callable, optional
            What eliminates observed features from covariances; by default NumPy.

        Raises
        ------
        DegenerateCovarianceError
            Where features of a model depend on each other, but for rounding errors that their order decides
            on.
        """
        lifts = [Lifts.of(model, known, stack.points_of(index), by) for index, model in enumerate(models)]
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is not used
            thetas = [
                own.natural_parameters(model, stack.centre) for own, model in zip(lifts, models, strict=True)
            ]
        n_features = stack.n_features
        factors = np.zeros((len(known), len(stack.centred), n_features, n_features))
        log_constants = np.zeros((len(known), len(stack.centred)))
        diagonal = np.arange(n_features)
        for index, entry in enumerate(stack.centred):
            own, component = lifts[entry.model], entry.component
            thetas[entry.model][:, component] = 0.0
            log_constants[:, index] = own.log_constants[:, component]
            one = own.factors[:, min(component, own.factors.shape[1] - 1)]
            if own.matrices is None:
                factors[:, index, diagonal, diagonal] = one
            else:
                factors[:, index] = np.swapaxes(one, 1, 2)
        natural_parameters = tuple(
            np.concatenate([thetas[model] for model in group.models], axis=1).astype(stack.dtype)
            for group in stack.groups
        )
        return cls(known, tuple(lifts), natural_parameters, factors, log_constants)

    @classmethod
    def joined(cls, pieces: Sequence[tuple[Marginals, int]]) -> Marginals:
        """Return patterns that were made ready with others, each by its number there."""
        first = pieces[0][0]
        if len(pieces) == len(first.known) and all(
            own is first and number == index for index, (own, number) in enumerate(pieces)
        ):
            return first

        def stacked(arrays: Sequence[Array]) -> Array:
            return np.stack([array[number] for array, (_, number) in zip(arrays, pieces, strict=True)])

        return cls(
            np.stack([own.known[number] for own, number in pieces]),
            tuple(
                Lifts.joined([(own.lifts[model], number) for own, number in pieces])
                for model in range(len(first.lifts))
            ),
            tuple(
                stacked([own.natural_parameters[group] for own, _ in pieces])
                for group in range(len(first.natural_parameters))
            ),
            stacked([own.factors for own, _ in pieces]),
            stacked([own.log_constants for own, _ in pieces]),
        )


def bytes_of_a_pattern(models: Sequence[Parameters]) -> int:
    """Forecast the bytes of a pattern's arrays, those of its sums included."""
    return 8 * sum(8 * own_entries(each) + 16 * each.means.size for each in models)
