"""What a picture is of: a fitted mixture, rows drawn of its data, axes by name or number."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Integral
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr
from sklearn.exceptions import NotFittedError

from dgmm.data.source import Source
from dgmm.data.text import printable, shortened
from dgmm.data.types import GroupsLike, LabelsLike, RowsLike, WeightsLike
from dgmm.estimators.best import mixture_of
from dgmm.estimators.errors import ErrorsLike
from dgmm.estimators.features import numbers_of, spoken_names
from dgmm.estimators.labels_and_groups import split_off_side_information
from dgmm.estimators.parameters import parameters_of
from dgmm.estimators.sweep import GaussianMixtureSweep
from dgmm.estimators.validation import open_measured
from dgmm.fitting.drawing import draw
from dgmm.model.matrices import Array
from dgmm.model.parameters import Parameters
from dgmm.plotting.side_information import DrawnSideInformation, with_side_information

ROWS_DRAWN = 100_000
"""The most rows of a picture."""
VALUES_DRAWN = 2**22
"""The most numbers of these, where there are many features."""
SMALLEST_WEIGHT = 1e-5
"""Of components that are drawn: variational Bayes leaves others as the prior has them."""
UNSURE = 0.9
"""Largest responsibility below which a row is called uncertain."""
FARTHEST = 40.0
"""Standard deviations from a mean at which a normal density has left the range of float64."""
NUMBERS_AT_ONCE = 2**18
"""Of values times components, whose shares below are worked out."""

Feature: TypeAlias = str | int | ArrayLike
"""What an axis shows: a feature, by name or number, or the coefficients of a sum of features."""


@dataclass(frozen=True, eq=False)
class Axis:
    """What an axis shows: a sum of features, most often of one.

    Attributes
    ----------
    label : str
    numbers : ndarray of shape (n_used,), int
        Of the features.
    coefficients : ndarray of shape (n_used,)
    """

    label: str
    numbers: NDArray[np.intp]
    coefficients: Array

    def of(self, rows: NDArray[np.floating]) -> Array:
        """Return rows along the axis: (n_rows, n_features) to (n_rows,). Other features may be missing."""
        return rows[:, self.numbers].astype(np.float64) @ self.coefficients


@dataclass(frozen=True, eq=False)
class Subject:
    """A mixture and rows, as pictures need them.

    Attributes
    ----------
    mixture : object
        Fitted: dgmm's or scikit-learn's.
    names : tuple of str
        Of the features, printable, whole.
    fitted_names : ndarray or None
        As the user writes them.
    rows : ndarray of shape (n_drawn, n_features) or None
        Drawn at random. Values may be missing, NaN.
    known : DrawnSideInformation
        What is known of these rows beside their features.
    source : Source or None
        Of which they were drawn.
    """

    mixture: Any
    names: tuple[str, ...]
    fitted_names: NDArray[np.object_] | None = None
    rows: NDArray[np.floating] | None = None
    source: Source | None = None
    known: DrawnSideInformation = field(default_factory=DrawnSideInformation)

    @classmethod
    def of(
        cls,
        model: Any,
        rows: RowsLike | None = None,
        n_most: int = ROWS_DRAWN,
        *,
        sample_weight: WeightsLike | None = None,
        labels: LabelsLike | None = None,
        groups: GroupsLike | None = None,
        errors: ErrorsLike | None = None,
    ) -> Subject:
        """Look at a model, and draw some of the rows.

        Parameters
        ----------
        model : mixture, sweep or Subject
            Fitted. Of a sweep it is the best mixture, and rows are its ``sample_`` where none are given.
            scikit-learn's mixtures will do.
        rows : array-like, Dask collection, path or source of shape (n_rows, n_features), optional
        n_most : int
            Rows to draw; fewer, where there are many features.
        sample_weight, labels, groups, errors : optional
            Of the rows, as for `GaussianMixture.fit`.

        Raises
        ------
        NotFittedError
        TypeError
            If the model is no mixture.
        DataError
            If the rows are not such as the model was fitted to, or there are none.
        """
        given = {"sample_weight": sample_weight, "labels": labels, "groups": groups}
        if rows is None and any(each is not None for each in (*given.values(), errors)):
            raise TypeError("sample_weight=, labels=, groups= and errors= describe rows: give rows, too")
        if isinstance(model, Subject):
            return model
        mixture = mixture_of(model) or model
        parameters = _fitted(mixture)
        if rows is None and isinstance(model, GaussianMixtureSweep):
            rows = getattr(model, "sample_", None)
        n_features, kind = parameters.n_features, type(mixture).__name__
        fitted_names = getattr(mixture, "feature_names_in_", None)
        names, drawn, source, known = fitted_names, None, None, DrawnSideInformation()
        if rows is not None:
            with warnings.catch_warnings():  # rows of a picture need no names, nor need the mixture
                warnings.filterwarnings("ignore", "X (does not have valid|has) feature names", UserWarning)
                rows, aside = split_off_side_information(rows, given, fitted_names, errors)
                measured = open_measured(rows, kind, n_features, fitted_names, errors=errors)
            source = measured.rows
            together, take = with_side_information(mixture, measured, **aside)
            n_drawn = int(np.clip(VALUES_DRAWN // together.n_features, 100, n_most))
            drawn, known = take(draw(together, n_drawn), source.n_rows)
            names = source.feature_names if names is None else names
        as_given = None if names is None else np.array([*map(str, names), None], dtype=object)[:-1]
        texts = tuple(map(printable, spoken_names(names, n_features)))
        return cls(mixture, texts, as_given, drawn, source, known)

    @property
    def n_rows(self) -> int:
        """Of how many rows some are drawn."""
        return 0 if self.source is None else self.source.n_rows - self.known.n_left_out

    @cached_property
    def parameters(self) -> Parameters:
        """The mixture's, of float64."""
        return parameters_of(self.mixture)

    @property
    def lacks_errors(self) -> bool:
        """Whether the mixture is of true values, and the errors of the rows are not known."""
        return hasattr(self.mixture, "measurement_errors_") and self.known.errors is None

    @property
    def drawn_rows(self) -> NDArray[np.floating]:
        """The rows.

        Raises
        ------
        TypeError
            Where none were given.
        """
        if self.rows is None:
            raise TypeError("this picture shows rows: give rows, such as those of the fit")
        return self.rows

    @property
    def heaviest(self) -> list[int]:
        """Components that have rows, the heaviest first."""
        weights = self.parameters.weights
        # Of a posterior it is known: of few rows, a prior alone has weights that are not so small.
        rows = getattr(self.mixture, "_rows_of_components", np.inf)
        has_rows = (weights >= SMALLEST_WEIGHT) & (np.asarray(rows) >= 1.0)
        order = np.argsort(-weights, kind="stable").tolist()
        return [k for k in order if has_rows[k]] or order[:1]

    @cached_property
    def responsibilities(self) -> Array:
        """Probability of each component given each row drawn: shape (n_drawn, n_components)."""
        model = getattr(self.mixture, "_model", self.parameters)
        return self.known.responsibilities(model, self.parameters, self.drawn_rows)

    @property
    def unsure(self) -> NDArray[np.bool_]:
        """Which of the rows drawn are uncertain: shape (n_drawn,)."""
        return self.responsibilities.max(axis=1) < UNSURE

    @property
    def share_unsure(self) -> float:
        """The share of the rows that are, as they weigh."""
        return self.known.mean(self.unsure)

    def telling_features(self, n_most: int) -> list[int]:
        """Return the features in which components differ most, beside how wide they are, most first."""
        found = self.parameters
        mean = found.weights @ found.means
        between = found.weights @ np.square(found.means - mean)
        within = found.weights @ found.variances
        return np.argsort(-between / within, kind="stable")[:n_most].tolist()

    def axes(self, features: Feature | Sequence[Feature] | None, n_default: int = 2) -> list[Axis]:
        """Return what axes show: by default the features that tell components apart best, in their order.

        Raises
        ------
        DataError, TypeError
            For features that are not there, or given twice.
        """
        n_features = self.parameters.n_features
        if features is None:
            chosen = sorted(self.telling_features(n_default))
            return [self._axis(number) for number in chosen]
        given: list[Any] = [features] if isinstance(features, (str, Integral)) else list(features)  # pyright: ignore[reportArgumentType]
        plain = [each for each in given if isinstance(each, (str, Integral, np.bool_))]
        numbers = iter(numbers_of(plain, self.fitted_names, n_features).tolist())
        found = []
        for each in given:
            if isinstance(each, (str, Integral, np.bool_)):
                found.append(self._axis(next(numbers)))
            else:
                found.append(self._sum(np.asarray(each, np.float64)))
        return found

    def _axis(self, number: int) -> Axis:
        return Axis(shortened(self.names[number]), np.array([number]), np.ones(1))

    def _sum(self, coefficients: Array) -> Axis:
        n_features = self.parameters.n_features
        if coefficients.shape != (n_features,) or not np.isfinite(coefficients).all():
            raise ValueError(
                "an axis is a feature's name or number, or a finite coefficient for each of the "
                f"{n_features:,} features, not an array of shape {coefficients.shape}"
            )
        used = np.flatnonzero(coefficients)
        if len(used) == 0:
            raise ValueError("the coefficients of an axis are all zero: it would show nothing")
        terms = [f"{coefficients[i]:+.3g} {self.names[i]}".replace("+1 ", "+ ") for i in used]
        return Axis(shortened(" ".join(terms).removeprefix("+ ")), used, coefficients[used])

    def along(self, axes: Sequence[Axis]) -> tuple[Array, Array]:
        """Return the means (K, n_axes) and covariances (K, n_axes, n_axes) of components along axes."""
        found = self.parameters
        used = np.unique(np.concatenate([axis.numbers for axis in axes]))
        directions = np.zeros((len(axes), len(used)))
        for direction, axis in zip(directions, axes, strict=True):
            direction[np.searchsorted(used, axis.numbers)] = axis.coefficients
        own = found.family.of_features(found.covariances, used)
        matrices = found.family.to_matrices(own, found.n_components, len(used))
        return found.means[:, used] @ directions.T, directions @ matrices @ directions.T

    def rows_along(self, axes: Sequence[Axis]) -> Points:
        """Return those rows that lack nothing there along axes."""
        rows, weights = self.drawn_rows, self.known.weights
        found = np.stack([axis.of(rows) for axis in axes], axis=1)
        kept = np.isfinite(found).all(axis=1)
        return Points(found[kept], None if weights is None else weights[kept])

    def margin(self, axis: Axis) -> Margin:
        """Return the mixture along an axis, as rows are measured there."""
        means, covariances = self.along([axis])
        found, weights = self.parameters, self.parameters.weights
        of_errors = self.known.variances_along(axis.numbers, axis.coefficients, found.n_features)
        return Margin(weights / weights.sum(), means[:, 0], np.sqrt(covariances[:, 0] + of_errors))

    def said(self, component: int) -> str:
        """Name a component, with its weight."""
        return f"{component} ({percentage(self.parameters.weights[component])})"


class Points(NamedTuple):
    """Rows along axes.

    Attributes
    ----------
    places : ndarray of shape (n, n_axes)
    weights : ndarray of shape (n,) or None
    """

    places: Array
    weights: Array | None = None


class Margin(NamedTuple):
    """A mixture of one feature, each component of normal distributions of equal shares about one mean.

    Attributes
    ----------
    weights, means : ndarray of shape (K,)
    deviations : ndarray of shape (K, n_sizes)
        More than one where rows are measured with errors, of as many sizes.
    """

    weights: Array
    means: Array
    deviations: Array

    def densities(self, at: ArrayLike) -> Array:
        """Return the densities of components, times their weights: (n,) to (n, K)."""
        standard = (np.asarray(at)[:, None, None] - self.means[:, None]) / self.deviations
        standard = np.clip(standard, -FARTHEST, FARTHEST)
        each = np.exp(-0.5 * np.square(standard)) / (self.deviations * np.sqrt(2.0 * np.pi))
        return self.weights * each.mean(axis=-1)

    def shares_below(self, values: Array) -> Array:
        """Return the shares of the mixture below values: shape (n,)."""
        n_sizes, found = self.deviations.shape[1], np.zeros(len(values))
        means, deviations = np.repeat(self.means, n_sizes), self.deviations.ravel()
        weights = np.repeat(self.weights / n_sizes, n_sizes)
        at_once = max(1, NUMBERS_AT_ONCE // max(1, len(values)))
        for start in range(0, len(weights), at_once):
            own = slice(start, start + at_once)
            found += ndtr((values[:, None] - means[own]) / deviations[own]) @ weights[own]
        return found

    def quantiles(self, shares: Array) -> Array:
        """Return the values below which there are shares of the mixture, by bisection: shape (n,)."""
        reach = FARTHEST * self.deviations.max(axis=1)
        low = np.full(len(shares), (self.means - reach).min())
        high = np.full(len(shares), (self.means + reach).max())
        for _ in range(64):
            middle = 0.5 * (low + high)
            is_below = self.shares_below(middle) < shares
            low, high = np.where(is_below, middle, low), np.where(is_below, high, middle)
        return 0.5 * (low + high)


def check_two(axes: Sequence[Axis]) -> None:
    """Refuse more or fewer than two axes, of a picture in a plane."""
    if len(axes) != 2:
        raise ValueError(f"give one feature or two, not {len(axes)}; plot_pairs draws the pairs of several")


def _fitted(mixture: Any) -> Parameters:
    """Return the parameters of what is a mixture, and fitted."""
    if not hasattr(mixture, "covariance_type") or isinstance(mixture, type):
        name = mixture.__name__ if isinstance(mixture, type) else type(mixture).__name__
        raise TypeError(f"a picture needs a fitted mixture or sweep, and {name} is neither")
    if hasattr(mixture, "_parameters"):
        return mixture._parameters
    if not hasattr(mixture, "means_"):
        raise NotFittedError(f"This {type(mixture).__name__} instance is not fitted yet: call 'fit' first")
    return parameters_of(mixture)


def percentage(share: float) -> str:
    """Say a share in per cent, with two digits that count at least.

    >>> percentage(0.31415), percentage(0.0031), percentage(1e-7)
    ('31 %', '0.31 %', '< 0.01 %')
    """
    if 0.0 < share < 1e-4:
        return "< 0.01 %"
    places = 0 if share >= 0.1 or share == 0.0 else 1 if share >= 0.01 else 2
    return f"{100.0 * share:.{places}f} %"
