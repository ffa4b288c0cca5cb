"""The report of a sweep: one self-contained HTML file."""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dgmm.data.source import Source
from dgmm.data.text import printable
from dgmm.data.writing import creating_in, naming
from dgmm.estimators.sweep import PICTURE_ROWS
from dgmm.model.criteria import CRITERIA
from dgmm.pages.certainty import how_sure
from dgmm.pages.components import groups_of, which_is_what
from dgmm.pages.goodness import is_it_good
from dgmm.pages.html import Section, bullets, figure, page, paragraph, side_by_side, table, text
from dgmm.pages.origin import Origin, how_computed, how_it_ended
from dgmm.plotting import plot_criteria
from dgmm.plotting.subject import Subject
from dgmm.report import comparison_lines

FILES = ("model.npz", "results.csv", "report.html")

COLUMNS = {
    "n_components": "K",
    "covariance_type": "covariance",
    "log_likelihood": "log-likelihood",
    **{criterion.column: criterion.label for criterion in CRITERIA.values()},
    "n_parameters": "parameters",
    "passes": "passes",
    "n_iter": "iterations",
}
"""Columns of the table of models, and what they are called."""


def write_report(
    sweep: Any,
    source: Source,
    folder: Path,
    feature_names: Sequence[str] | None = None,
    *,
    working: Path | None = None,
    command: str | None = None,
    **known: Any,
) -> list[Path]:
    """Write what a sweep has found: its best model, the table of all, and a page to read.

    Parameters
    ----------
    sweep : GaussianMixtureSweep
        Fitted; a partial one will do.
    source : Source
        What it was fitted to.
    folder : Path
        Made if it is not there, with all files at once. Files in it that have the same names are replaced,
        each by a whole one, when all are written.
    feature_names : sequence of str, optional
        What the page calls the features. Default: as the rows name them.
    working : Path, optional
        Where `creating_in` has made room for them, to become ``folder``, or to go there. Default: that is
        done here.
    command : str, optional
        Repeats the sweep.
    **known
        Side information of the rows, as `GaussianMixtureSweep.report` takes it.

    Returns
    -------
    list of Path
        ``model.npz`` (where there is a best model), ``results.csv``, ``report.html``, in ``folder``.

    Warns
    -----
    RuntimeWarning
        If the page could not be made: the other files are there.
    """
    if working is None:
        with creating_in(folder, FILES, overwrite=True) as own:
            return write_report(
                sweep, source, folder, feature_names, working=Path(own), command=command, **known
            )
    texts = {"results.csv": results_csv(sweep.results_)}
    try:
        texts["report.html"] = render(sweep, source, feature_names, command=command, **known)
    except Exception as error:  # whatever it is, what the passes gave is not lost
        what = f"{type(error).__name__}: {error}"
        warnings.warn(f"{folder / 'report.html'} is not written: {what}", RuntimeWarning, stacklevel=2)
    has_best = sweep.best_index_ is not None
    names = [name for name in FILES if name in texts or (name.endswith(".npz") and has_best)]
    for name in names:
        with naming(folder / name):
            if name in texts:
                (working / name).write_text(texts[name], encoding="utf-8")
            else:
                sweep.save(working / name)
    return [folder / name for name in names]


def results_csv(results: dict[str, NDArray[Any]]) -> str:
    """Return the table of models as CSV, with every digit."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(results)
    writer.writerows(zip(*(column.tolist() for column in results.values()), strict=True))
    return text.getvalue()


def render(
    sweep: Any,
    source: Source,
    feature_names: Sequence[str] | None = None,
    *,
    command: str | None = None,
    **known: Any,
) -> str:
    """Return the page of a sweep, or of a partial one, as HTML.

    Parameters
    ----------
    sweep : GaussianMixtureSweep
    source : Source
    feature_names : sequence of str, optional
    command : str, optional
        Repeats the sweep.
    **known
        Side information of the rows, some of which are then read again: a sweep keeps none of it.
    """
    origin = Origin(source, command)
    if sweep.best_index_ is None:
        title, subtitle = _titles(sweep, origin)
        sections = [Section("models", "All models", _models(sweep)), _computed(sweep, origin)]
        return page(title, subtitle, paragraph("No model could be evaluated."), sections)
    subject = Subject.of(sweep, source if known else None, PICTURE_ROWS, **known)
    if feature_names is not None:
        subject = replace(subject, names=tuple(map(printable, feature_names)))
    return sweep_page(sweep, subject, origin)


def sweep_page(sweep: Any, subject: Subject, origin: Origin) -> str:
    """Return the page of a sweep that has a best mixture, as HTML.

    Parameters
    ----------
    sweep : GaussianMixtureSweep
    subject : Subject
        The best mixture, and rows.
    origin : Origin
    """
    title, subtitle = _titles(sweep, origin)
    subject = replace(subject, source=origin.source or subject.source)
    best = f"Best: {sweep.best_params_['n_components']} × {sweep.best_params_['covariance_type']}"
    return page(
        title,
        subtitle,
        f"<strong>{text(best)}</strong>{bullets(sweep.advice_)}",
        [
            _how_many(sweep),
            which_is_what(subject),
            is_it_good(subject, _held_out(sweep)),
            *how_sure(subject),
            how_it_ended(sweep.best_estimator_),
            Section("models", "All models", _models(sweep)),
            _computed(sweep, origin),
        ],
    )


def _titles(sweep: Any, origin: Origin) -> tuple[str, str]:
    """Return the title and the subtitle."""
    source, n_models = origin.source, len(sweep.results_["bic"])
    of_what = "" if source is None else f" to {source.n_rows:,} rows × {source.n_features:,} features"
    name = f": {printable(origin.name)}" if source is not None else ""
    return (
        f"{'Partial sweep' if sweep.partial_ else 'Sweep'}{name}",
        f"{n_models:,} Gaussian mixtures fitted{of_what}, compared by {CRITERIA[sweep.criterion].title}",
    )


def _how_many(sweep: Any) -> Section:
    """Draw the criterion of all models, and closer, of those near the best."""
    results, best, smallest = sweep.results_, sweep.best_index_, sweep.smallest_index_
    criterion = CRITERIA[sweep.criterion]
    counts = results["n_components"]
    said = ""
    if smallest is not None:
        low, high = sorted((int(counts[smallest]), int(counts[best])))
        span = f"{low}" if low == high else f"{low} to {high}"
        said = paragraph(
            f"Plausible numbers of components: {span}. From the smallest of "
            f"{results['covariance_type'][best]} covariance that is within {sweep.tolerance:g} nats a row of "
            "the best, to the best itself."
        )
    described = ", ".join(
        f"{counts[i]} {results['covariance_type'][i]}: {criterion.written(results, i)}"
        for i in np.argsort(criterion.losses(results), kind="stable")[:8].tolist()
        if np.isfinite(criterion.losses(results)[i])
    )
    caption = (
        "Filled markers have converged, hollow ones left early or did not converge; the star is the best, "
        "the ring the smallest mixture of its kind within the tolerance, and the grey range is between them."
    )
    about = f"{criterion.label} of the best models: {described}"
    figures = [
        figure(lambda ax: plot_criteria(sweep, ax=ax), f"All models. {caption}", about),
        figure(
            lambda ax: plot_criteria(sweep, ax=ax, legend=False, closer=True),
            "Closer: the models near the best.",
            about,
        ),
    ]
    own = groups_of(sweep.best_estimator_) + _comparisons(sweep)
    return Section("number", "How many components", said + side_by_side(*figures) + own)


def _comparisons(sweep: Any) -> str:
    """Lay out the tests between neighbouring numbers of components, where they were asked for."""
    of = getattr(sweep, "comparisons_", None)
    if of is None or not len(of["n_components"]):
        return ""
    columns, rows = comparison_lines(of)
    note = (
        "Likelihood ratios are twice the difference of log-likelihoods. p is the chance of one as large, or "
        "of Vuong's statistic, if the smaller mixture is as good: small where more are needed. The "
        "bootstrap draws samples of the smaller mixture, for the best and its neighbours alone."
    )
    laid_out = table("Tests between neighbours", columns, [[*map(text, row)] for row in rows])
    return f"<h3>Is one more component needed?</h3>{paragraph(note, 'note')}{laid_out}"


def _held_out(sweep: Any) -> str:
    """Say how well the best describes rows that it was not fitted to, where there were such."""
    results, best = sweep.results_, sweep.best_index_
    value, error = results["held_out"][best], results["held_out_error"][best]
    if not np.isfinite(value):
        return ""
    fitted = results["log_likelihood"][best]
    return (
        f"The mean log density of rows that were held out is {value:.4f} ± {error:.4f} nats a row; of those "
        f"that it was fitted to, {fitted:.4f}."
    )


def _computed(sweep: Any, origin: Origin) -> Section:
    """Say what a sweep took, and which rows it was of."""
    seconds = sum(sweep.pass_seconds_)
    rate = ""
    if origin.source is not None:
        rate = f", {sweep.n_passes_ * origin.source.n_rows / max(seconds, 1e-9):,.0f} rows/s"
    about = [
        *([("fingerprint", sweep.data_fingerprint_)] if hasattr(sweep, "data_fingerprint_") else []),
        ("full passes", f"{sweep.n_passes_:,} for all models together"),
        ("reading and E-steps", f"{seconds:.1f} s{rate}"),
        ("whole sweep", f"{sweep.seconds_:.1f} s"),
        ("seed", sweep.seed_),
    ]
    return how_computed(origin, sweep, about)


def _models(sweep: Any) -> str:
    """Lay out all models as a table, the best first."""
    results = sweep.results_
    unscored = {
        each.column
        for each in CRITERIA.values()
        if each.needs_held_out and not np.isfinite(results[each.column]).any()
    }
    columns = {key: name for key, name in COLUMNS.items() if key not in unscored}
    loss = CRITERIA[sweep.criterion].losses(results)
    formats: dict[str, Callable[[int], str]] = {
        "log_likelihood": lambda i: f"{results['log_likelihood'][i]:.6f}",
        **{each.column: partial(each.written, results) for each in CRITERIA.values()},
    }
    rows, classes = [], []
    for index in np.argsort(loss, kind="stable").tolist():
        cells = [
            formats.get(key, lambda i, key=key: str(results[key][i]))(index)
            if np.isfinite(loss[index]) or key in ("n_components", "covariance_type")
            else "–"
            for key in columns
        ]
        rows.append([*map(text, cells), text(str(results["message"][index]))])
        out = results["dropped"][index] or results["failed"][index]
        classes.append("best" if index == sweep.best_index_ else "out" if out else "")
    note = (
        "Log-likelihoods are in nats a row. Every figure is of the very parameters that the model ended "
        "with, on all rows that were fitted. Grey models left the race or failed."
    )
    columns_shown = [*columns.values(), "how it ended"]
    laid_out = table("Models, the best first", columns_shown, rows, classes, left=[len(columns)])
    return f"{paragraph(note, 'note')}\n{laid_out}"
