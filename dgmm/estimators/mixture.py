"""Base class of the mixtures: how they are fitted."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from copy import copy
from dataclasses import fields, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin, _fit_context
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from dgmm.data.source import Source
from dgmm.data.types import GroupsLike, LabelsLike, Location, RowsLike, WeightsLike
from dgmm.data.user_warnings import warn_user
from dgmm.estimators.attributes import OF_GROUPS
from dgmm.estimators.base import MixtureWarning
from dgmm.estimators.callbacks import Callbacks
from dgmm.estimators.checkpointing import OF_CHANGED_ROWS, checkpoint_at, generator_from, head_of
from dgmm.estimators.containers import wrapping_arrays_alone
from dgmm.estimators.errors import ErrorsLike
from dgmm.estimators.exchange import ExchangedMixture, Sklearn
from dgmm.estimators.html import components_table
from dgmm.estimators.parameters import attributes_of
from dgmm.estimators.predictor import OfRows
from dgmm.estimators.rows_of_fit import RowsOfFit
from dgmm.estimators.validation import remember_features
from dgmm.estimators.verbose import VerbosePrinter
from dgmm.fitting.checkpoint import Checkpoint, keeping
from dgmm.fitting.fit import Fit, fit
from dgmm.fitting.loop.history import PassRecord
from dgmm.fitting.loop.plain import EM
from dgmm.fitting.settings import Settings, default_sample_rows
from dgmm.fitting.starts.methods import GivenStart, StartMethod
from dgmm.fitting.steps.objective import Goal, Likelihood, Objective
from dgmm.model.families import family_named
from dgmm.model.parameters import Parameters
from dgmm.passes.cluster import one_cluster
from dgmm.passes.events import listening


def _going_on_from(resumed: EM | None) -> dict[str, object]:
    """Say what a fit goes on from, by ``warm_start=True``."""
    return {} if resumed is None else {"the mixture to go on from": (resumed.parameters, resumed.lower_bound)}


def fitted_attributes(mixture: Mixture[Any]) -> dict[str, Any]:
    """Return the attributes that a fit has set."""
    return {name: value for name, value in vars(mixture).items() if name.endswith("_") and name[0] != "_"}


@wrapping_arrays_alone
class Mixture(
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    CallbackSupportMixin,
    ExchangedMixture[Sklearn],
):
    """A mixture that can be fitted, with scikit-learn's parameters.

    In the middle of a pipeline it gives responsibilities as features. Callbacks of scikit-learn
    (``set_callbacks``) are told of each iteration, with the mixture that the fit has then; where one of them
    gives True, that start ends there.
    """

    n_components: int
    tol: float | str
    reg_covar: float
    max_iter: int
    n_init: int
    init_params: str
    warm_start: bool
    verbose: int
    verbose_interval: int
    algorithm: str
    sample_rows: int | str
    search: str
    lower_bound_: float

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: RowsLike,
        y: object = None,
        sample_weight: WeightsLike | None = None,
        *,
        errors: ErrorsLike | None = None,
        allow_changed_data: bool = False,
        checkpoint: Location | Checkpoint | None = None,
    ) -> Self:
        """Fit the mixture.

        Parameters
        ----------
        X : array-like, Dask collection, path or source of shape (n_samples, n_features)
        y : Ignored
        sample_weight : array-like, Dask collection or path of shape (n_samples,), optional
            Weights of the rows: a whole number counts a row that many times.
        errors : array-like, Dask collection, path, or names of columns, optional
            As for `GaussianMixture.fit`.
        allow_changed_data : bool, default=False
            Continue if rows change during the fit, instead of raising an error: ``data_changes_`` then says
            which did.
        checkpoint : str, path or dgmm.Checkpoint, optional
            A folder or URL in which the result of each pass is saved. If the process ends, the same call
            continues from there, and ends with the same bits: see ``docs/checkpoints.md``.

        Returns
        -------
        self : the mixture

        Raises
        ------
        ValueError
            For rows that a mixture cannot be fitted to; the message says where they are. For rows that change
            during the fit: it says which, and which files were written to.
        CheckpointError
            Where the checkpoint is of another fit: the message says what differs.
        ClusterLostError
            A RuntimeError: where a cluster has no worker for too long, or its workers die of the same rows
            again and again: see ``docs/on-a-cluster.md``.
        OSError
            Where rows cannot be read, however often it is tried. Where the checkpoint cannot be written to,
            or another process does.

        Warns
        -----
        ConvergenceWarning
            If the best start did not converge within ``max_iter`` iterations.
        MixtureWarning
            If ``reg_covar`` is more than 1% of a feature's variance; if a feature has one value in all rows;
            if a component collapsed (onto what, it says: repeated values of a feature or rows, few rows, or
            fewer dimensions) or has less than a row; if the log-likelihood fell.
        """
        return self._fit(
            X,
            sample_weight,
            y=y,
            errors=errors,
            allow_changed_data=allow_changed_data,
            checkpoint=checkpoint,
        )

    def transform(self, X: RowsLike) -> OfRows:
        """Return the responsibilities of the components for each row as features: see `predict_proba`.

        Parameters
        ----------
        X : array-like, Dask collection, path or source of shape (n_samples, n_features)

        Returns
        -------
        responsibilities : of shape (n_samples, n_components)
            As `predict_proba`; arrays as `set_output` says, with the names of `get_feature_names_out`.
        """
        return self.predict_proba(X)

    def fit_transform(self, X: RowsLike, y: object = None, **fit_params: object) -> OfRows:
        """Fit, and give responsibilities: of the very rows, by groups and errors where these are given.

        Parameters
        ----------
        X, y
            As for `fit`.
        **fit_params
            As for `fit`.

        Returns
        -------
        responsibilities : of shape (n_samples, n_components)
            As from `transform`.
        """
        fit: Callable[..., Self] = self.fit
        of_rows: Callable[..., OfRows] = fit(X, y, **fit_params)._of_rows
        judged_with = {name: fit_params[name] for name in ("groups", "errors") if name in fit_params}
        return of_rows(X, "responsibilities", **judged_with)

    @property
    def _n_features_out(self) -> int:
        """Responsibilities of a row."""
        return len(self.weights_)

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        """Return what notebooks show: scikit-learn's diagram, and the components once there are some."""
        shown = super()._repr_mimebundle_(**kwargs)
        if "text/html" in shown:
            shown["text/html"] += self._components_html()
        return shown

    @property
    def _repr_html_(self) -> Callable[[], str]:
        """Return the same as HTML alone, for those that do not ask for more."""
        diagram = super()._repr_html_
        return lambda: diagram() + self._components_html()

    def _components_html(self) -> str:
        return components_table(self) if hasattr(self, "weights_") else ""

    @with_callbacks
    def _fit(
        self,
        X: RowsLike,
        sample_weight: WeightsLike | None,
        labels: LabelsLike | None = None,
        groups: GroupsLike | None = None,
        *,
        y: object,
        errors: ErrorsLike | None,
        allow_changed_data: bool,
        checkpoint: Location | Checkpoint | None,
    ) -> Self:
        """Fit the mixture: see `fit`."""
        given = RowsOfFit.of(
            X,
            sample_weight,
            labels,
            groups,
            errors,
            estimator=type(self).__name__,
            n_components=self.n_components,
        )
        source, measured = given.features, given.measured
        settings = replace(
            self._settings(source.n_features),
            allow_changed_data=allow_changed_data,
            n_errors=measured.n_errors,
        )
        resumed = None
        if self.warm_start and hasattr(self, "lower_bound_"):
            self._check_resumed(source.n_features)
            resumed = self._resumed()
        place, generator = checkpoint_at(checkpoint), check_random_state(self.random_state)
        before = _going_on_from(resumed)
        draws, others = generator.get_state(), given.side_information
        head = head_of(self, source, given.weights, draws, place, side_information=others, **before)
        most = self._most_iterations
        context = self._init_callback_context(max_subtasks=most)  # pyright: ignore[reportArgumentType]
        own = {"sample_weight": sample_weight, "groups": groups, "errors": errors}
        metadata = {name: value for name, value in own.items() if value is not None}
        callbacks = Callbacks(context, self, X, y, metadata)
        callbacks.begin()
        printer = VerbosePrinter(self.verbose, self.verbose_interval, self._unit(source.n_rows))
        may_differ = OF_CHANGED_ROWS if allow_changed_data else ()
        with listening(printer), one_cluster(), keeping(place, head, may_differ) as begun:
            if begun is not head:
                generator = generator_from(self, begun.draws)
            known = given.parts(self.n_components)
            groups_found = given.groups(known)
            is_same = groups_found is not None and np.array_equal(getattr(self, "groups_", ()), groups_found)
            if resumed is not None and not is_same:
                resumed = replace(resumed, parameters=replace(resumed.parameters, group_weights=None))

            def watch(state: EM, objective: Objective) -> bool:
                return callbacks.iteration(most, lambda: self._after(state, objective, source, groups_found))

            settings = replace(settings, known=known)
            fitted = fit(given.joined, given.weights, settings, generator, resumed, watch=watch)
        self._warn_of(fitted)
        self._set_fitted(fitted, source.dtype)
        self._set_groups(fitted.best.parameters, groups_found)
        self._set_measured(measured.kind)
        self.n_passes_ = fitted.n_passes
        remember_features(self, source)
        callbacks.end(lambda: fitted_attributes(self))
        return self

    def _warn_of(self, fitted: Fit) -> None:
        """Say what is to be known of a fit, in scikit-learn's words where it has some."""
        ending = fitted.best.ending
        if not fitted.best.converged and self.max_iter > 0 and not (ending and ending.at_wish):
            warn_user(
                "Best performing initialization did not converge. "
                "Try different init parameters, or increase max_iter, "
                "tol, or check for degenerate data.",
                ConvergenceWarning,
            )
        for concern in fitted.concerns:
            warn_user(concern, MixtureWarning)

    def _after(
        self, state: EM, objective: Objective, source: Source, groups: NDArray[Any] | None
    ) -> dict[str, Any]:
        """Return the attributes that a fit sets, which ends in a state; but what is known of all passes."""
        other = copy(self)
        other._set_ended(state, objective, source.dtype)
        other._set_groups(state.parameters, groups)
        remember_features(other, source)
        return fitted_attributes(other)

    @property
    def _most_iterations(self) -> int | None:
        """The iterations of all starts at the most; None where moves may add some."""
        return None if getattr(self, "moves", False) else self.n_init * self.max_iter

    def _settings(self, n_features: int) -> Settings:
        given, goal = self._given(n_features), self._goal(n_features)
        return Settings(
            StartMethod(
                self.init_params,
                family_named(self.covariance_type),
                int(self.n_components),  # scikit-learn takes True for 1, but its KMeans does not
                Likelihood(self.reg_covar),
            ),
            given,
            self.algorithm,
            None if isinstance(self.tol, str) else float(self.tol),
            self.max_iter,
            self.n_init,
            self._rows_in_memory(n_features),
            goal,
            getattr(self, "moves", False),
            self.missing,
            search=self.search,
        )

    def _rows_in_memory(self, n_features: int) -> int:
        """Return ``sample_rows`` as a number."""
        if isinstance(self.sample_rows, str):
            return max(default_sample_rows(n_features), self.n_components)
        if self.sample_rows < self.n_components:
            raise ValueError(
                f"sample_rows={self.sample_rows} is less than n_components={self.n_components}: a start "
                "needs at least a row for each component"
            )
        return int(self.sample_rows)

    def _given(self, n_features: int) -> GivenStart:
        """Return what the user gives of a start, checked."""
        return GivenStart()

    @abstractmethod
    def _goal(self, n_features: int) -> Goal:
        """Return what the fit is to climb; the user's part of it is checked."""

    def _unit(self, n_rows: int) -> float:
        """Return how many nats of `lower_bound_` are a nat a row."""
        return 1.0

    def _dtype_for(self, dtype: np.dtype, parameters: Parameters) -> np.dtype:
        """Return the dtype of the attributes of rows of a dtype: scikit-learn's."""
        return np.dtype(np.float64)

    def _check_resumed(self, n_features: int) -> None:
        """Refuse to go on from a fit of another mixture.

        Raises
        ------
        ValueError
            Saying what has changed.
        """
        shape = (self.n_components, n_features)
        try:
            found = self._parameters
            changed = None if found.means.shape == shape else f"means_ has the shape {found.means.shape}"
        except (ValueError, TypeError) as error:
            changed = str(error)
        if changed is not None:
            raise ValueError(
                f"warm_start=True goes on from the last fit, but {changed}; now n_components={shape[0]}, "
                f"covariance_type={self.covariance_type!r} and the rows have {shape[1]:,} features: give "
                "what was fitted before, or warm_start=False"
            )

    def _resumed(self) -> EM:
        return EM(0, self._parameters, self.lower_bound_)

    def _set_fitted(self, fitted: Fit, dtype: np.dtype) -> None:
        """Set the fitted attributes; ``dtype`` is that of the rows."""
        self._set_ended(fitted.best, fitted.objective, dtype)
        self.data_fingerprint_ = str(fitted.fingerprint)
        self.n_rows_dropped_ = fitted.n_dropped
        if fitted.lacking is not None:
            self.n_rows_incomplete_ = fitted.lacking.n_rows
            self.n_missing_ = fitted.lacking.n_missing
        self.data_changes_ = None if fitted.changes is None else list(fitted.changes)
        self.search_ = fitted.search

    def _set_ended(self, best: EM, objective: Objective, dtype: np.dtype) -> None:
        """Set the attributes that are of a fit from one start."""
        self._set_model(best.parameters, best.lower_bound, objective, dtype)
        self.converged_ = best.converged
        self.n_iter_ = best.n_iter
        self.lower_bounds_ = list(best.lower_bounds)
        names = [field.name for field in fields(PassRecord)]
        self.history_ = {name: [getattr(record, name) for record in best.history] for name in names}
        self.stop_reason_ = "" if best.ending is None else best.ending.message

    def _set_groups(self, parameters: Parameters, groups: NDArray[Any] | None) -> None:
        """Set what is fitted of groups, or take away what was."""
        for name in OF_GROUPS:
            vars(self).pop(name, None)
        if groups is not None:
            self.groups_, self.group_weights_ = groups, parameters.weights_in(len(groups))

    def _set_measured(self, kind: str) -> None:
        """Set what errors rows were fitted with, or take away what was: see `MeasuredRows.kind`."""
        vars(self).pop("measurement_errors_", None)
        if kind:
            self.measurement_errors_ = kind

    def _set_model(
        self, parameters: Parameters, lower_bound: float, objective: Objective, dtype: np.dtype
    ) -> None:
        """Set the attributes that a mixture and its lower bound, nats a row, are."""
        kept = self._dtype_for(dtype, parameters)
        for name, value in attributes_of(parameters, kept).items():
            setattr(self, name, value)
        self.lower_bound_ = lower_bound

    def _check_loaded(self, path: str) -> None:
        """Check what a model file had for this class alone, and put it into its form.

        Raises
        ------
        DataError
            For values that no such mixture has.
        """
