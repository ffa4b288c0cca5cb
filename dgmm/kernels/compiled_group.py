"""A group of models in the compiled loop: laid out for it, with their sums over rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from dgmm.kernels.kernel import Part, pieces_of
from dgmm.kernels.loop import (
    NOTHING_KNOWN,
    Model,
    Priors,
    Shapes,
    Sums,
    gathers_rows,
    loop,
    pairs_of,
    workspace_of,
)
from dgmm.kernels.marginals import Marginals
from dgmm.kernels.near import NearRows, may_leave_out
from dgmm.kernels.priors import RowPriors, no_counts
from dgmm.kernels.stack import Centred, Group, Stack
from dgmm.kernels.tile_tuning import TILES
from dgmm.model.jit import in_one_form
from dgmm.model.matrices import Array


class CompiledGroup:
    """A group of models in the compiled loop: their sums over rows, and what one model says of each.

    Parameters
    ----------
    stack : Stack
    group : Group
    negligible : float, optional
        Responsibilities below are zero: a normal number of the stack's dtype, by default what its precision
        says.
    marginals : Marginals, optional
        For rows that lack values: sums are by pattern.

    Attributes
    ----------
    entries : list of int
        Positions in ``stack.centred`` of its centred components.
    model : Model
    work : Workspace
    sums : Sums
    """

    def __init__(
        self,
        stack: Stack,
        group: Group,
        negligible: float | None = None,
        marginals: Marginals | None = None,
    ):
        self.stack, self.group = stack, group
        self.entries = stack.centred_in(group)
        centred = [stack.centred[index] for index in self.entries]
        n_components, n_own = group.natural_parameters.shape
        shapes = Shapes.of(stack, group)
        n_factors = stack.n_factors
        pairs = pairs_of(
            max(0, group.features.stop - n_factors),
            max(0, group.features.start + shapes.features - n_factors),
            stack.n_features,
        )
        means, factors, constants = _centred_arrays(stack, centred)
        natural_parameters, each = group.natural_parameters, ()
        if marginals is not None:
            natural_parameters = marginals.natural_parameters[stack.groups.index(group)]
            chosen = (each[:, self.entries] for each in (marginals.factors, marginals.log_constants))
            factors, constants = map(np.ascontiguousarray, chosen)  # NumPy gives them in any order of axes
            each = (len(marginals.known),)
        theta = np.zeros((*each, shapes.components, shapes.features), stack.dtype)
        theta[..., :n_components, :n_own] = natural_parameters
        rows = [entry.row - group.rows.start for entry in centred]
        gathers = gathers_rows(stack, group)
        slots = np.full(n_components, -1, np.int64)
        own = range(n_components) if gathers else rows
        slots[own] = np.arange(len(own))
        origins = np.repeat(stack.centre[None, :], n_components, axis=0)
        for row, entry in zip(rows, centred, strict=True):
            origins[row] = entry.reference
        sizes = [stack.rows[index].stop - stack.rows[index].start for index in group.models]
        self.model = Model(
            theta,
            group.features.start,
            pairs,
            shapes.at_once,
            np.cumsum([0, *sizes], dtype=np.int64),
            stack.dtype.type(np.log(stack.precision.negligible if negligible is None else negligible)),
            np.array(stack.centre, np.float64),  # a copy: what was sent to a worker may not be written to
            slots,
            origins,
            np.array(rows, np.int64),
            means,
            factors,
            constants,
            gathers,
        )
        self.work = workspace_of(shapes, stack.dtype)
        self.has_weights_of_each = False
        gathered = np.zeros((*each, shapes.buffers, shapes.side, shapes.side))
        squares = np.zeros(
            (len(sizes) if stack.has_flags and group.family.is_shared else 0, stack.n_features)
        )
        counts = no_counts(stack)[stack.groups.index(group)]
        self.near = None
        if marginals is None and leaves_out(stack, group):
            self.near = NearRows(stack, group, origins)
        self.sums = Sums(np.zeros(theta.shape), gathered, np.zeros(len(sizes)), squares, counts)

    def add(self, part: Part) -> None:
        """Add rows (n, D), with weights (n,) or (models of the stack, n) or None, and priors."""
        own = self._weights(part.weights)
        if self.near is not None and part.priors is None:
            sums = self.sums.gathered if self.model.gathers else self.sums.features[:, None, :]
            start, log_likelihood = self.near.add(part.rows, own[0], sums)
            self.sums.log_likelihoods[0] += log_likelihood
            if start == len(part.rows):
                return
            part, own = part.of_rows(slice(start, None)), own[:, start:]
        self.has_weights_of_each = len(own) > 1
        priors = self._priors(part.priors)
        loop().expect(in_one_form(part.rows), own, priors, self.model, self.work, self.sums)

    def _priors(self, priors: RowPriors | None) -> Priors:
        """Return what is known of rows as the loop takes it."""
        if priors is None:
            return NOTHING_KNOWN
        log_priors = in_one_form(priors.of_group(self.group), np.float64)
        places, groups = (np.ascontiguousarray(each, np.int64) for each in priors[1:])
        return Priors(log_priors, places, groups if self.stack.n_groups else groups[:0])

    def _weights(self, weights: Array | None) -> Array:
        """Return the weights of rows as the loop takes them."""
        if weights is None:
            own = np.empty((1, 0))
        elif weights.ndim == 1:
            own = weights[None, :]
        else:
            is_each = self.group.models == [*range(len(weights))]
            own = weights if is_each else weights[self.group.models]
        return in_one_form(own, np.float64)

    def evaluate(self, rows: NDArray[np.floating]) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
        """Return responsibilities (n, K) and log densities (n,) of rows (n, D), in one model; adds nothing.

        Log densities may lack a quadratic term (see `Stack.is_complete`).
        """
        shares = np.empty((len(rows), len(self.model.slots)), self.stack.dtype)
        log_densities = np.empty(len(rows), self.stack.dtype)
        loop().evaluate(in_one_form(rows), self.model, self.work, shares, log_densities)
        return shares, log_densities

    def label(self, rows: NDArray[np.floating]) -> NDArray[np.int64]:
        """Return the most probable component of each of the rows (n, D), in one model: (n,)."""
        labels = np.empty(len(rows), np.int64)
        loop().label(in_one_form(rows), self.model, self.work, labels)
        return labels

    def feature_sums(self) -> Array:
        """Give the sums of the features of all components, however they were taken: (K, P of the family)."""
        n_components, n_own = self.group.natural_parameters.shape
        totals = self.sums.features[..., :n_components, :n_own].copy()
        if self.model.gathers:  # of families only whose features these are
            gathered = self._gathered()
            side = gathered.shape[-1]
            totals[..., :side] += gathered[..., 0, :]
            totals[..., side:] += self.group.family.pack_scatter(gathered[..., 1:, 1:])
        else:  # the other sums of centred components are about points of their own
            count = 1 - self.group.features.start
            totals[..., self.model.centred, count] = self.sums.gathered[..., 0, 0]
        return totals

    def centred_sums(self) -> Iterator[tuple[Array, Array]]:
        """Yield the sums (D,) and the packed scatter of each centred component."""
        gathered = self._gathered() if self.entries else np.empty(0)
        for index, row in zip(self.entries, self.model.centred, strict=True):
            own = gathered[..., self.model.slots[row], :, :]
            scatter = self.stack.centred[index].family.pack_scatter(own[..., 1:, 1:])
            yield own[..., 0, 1:], scatter

    def _gathered(self) -> Array:
        side = self.stack.n_features + 1
        return self.sums.gathered[..., :side, :side]


def _centred_arrays(stack: Stack, centred: Sequence[Centred]) -> tuple[Array, Array, Array]:
    """Return means, precision factors and log constants of centred components: see `Model`."""
    n, n_features = len(centred), stack.n_features
    means, factors, constants = np.empty((n, n_features)), np.empty((n, n_features, n_features)), np.empty(n)
    for index, entry in enumerate(centred):
        own = stack.models[entry.model].precisions_cholesky
        means[index], constants[index] = entry.mean, entry.log_constant
        factors[index] = entry.family.standardize(np.eye(n_features), own, entry.component)
    return means, factors, constants


def leaves_out(stack: Stack, group: Group) -> bool:
    """Return whether bounds may leave out components: full ones are gathered then."""
    return (gathers_rows(stack, group) or not group.family.has_products) and may_leave_out(stack, group)


def call_pieces(part: Part) -> Iterator[Part]:
    """Cut a run of rows into pieces of as many bytes as a call takes."""
    return pieces_of(part, max(1, TILES.piece_bytes // (part.rows.itemsize * part.rows.shape[1])))
