"""The report of a sweep: one HTML file with its pictures inside, and nothing from elsewhere."""

from __future__ import annotations

import csv
import io
import platform
import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dgmm.data.memory import MemorySource
from dgmm.data.source import Source
from dgmm.data.text import printable
from dgmm.data.writing import creating_in, naming
from dgmm.estimators.certainty import standard_errors
from dgmm.estimators.parameters import parameters_of
from dgmm.kernels.densities import responsibilities
from dgmm.model.criteria import CRITERIA
from dgmm.report import comparison_lines, component_lines, error_lines, misfit_lines, source_facts

try:
    from matplotlib.figure import Figure

    from dgmm.plotting import (
        component_colors,
        plot_criteria,
        plot_mixture,
        plot_uncertainty,
    )
    from dgmm.plotting.palette import INK
    from dgmm.plotting.subject import Subject
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"The report of a sweep needs {error.name}: pip install 'dgmm[plot]'", name=error.name
    ) from error

FILES = ("model.npz", "results.csv", "report.html")
LIBRARIES = ("dgmm", "numpy", "scipy", "scikit-learn", "dask")
MOST_OVERLAPS = 24
"""Components up to which their overlap is drawn."""
MOST_PARAMETERS = 1500
"""Parameters up to which their standard errors are shown: some seconds."""

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

STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #1b2a41; background: #fff; margin: 0; }
main { max-width: 1080px; margin: 0 auto; padding: 28px 24px 60px; }
h1 { font-size: 26px; margin: 0 0 2px; } h2 { font-size: 19px; margin: 38px 0 8px; }
p.sub, figcaption, .note { color: #5b6678; font-size: 13px; }
.answer { background: #eef4f8; border-left: 4px solid #1b6ca8; padding: 10px 18px; margin: 18px 0; }
.answer li { margin: 4px 0; } .answer ul { padding-left: 18px; margin: 6px 0; }
figure { margin: 12px 0; } figure svg { max-width: 100%; height: auto; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13px; }
th, td { padding: 3px 10px; text-align: right; white-space: nowrap; border-bottom: 1px solid #e4e8ee; }
th { border-bottom: 2px solid #b9c3d0; background: #fff; }
tr.best td { background: #fdf3d8; font-weight: 600; } tr.out td { color: #8b95a5; }
td.text, th.text { text-align: left; } td.long { white-space: normal; min-width: 220px; font-size: 12px; }
.dot { display: inline-block; width: 10px; height: 10px; border-radius: 5px; margin-right: 6px; }
"""


def write_report(
    sweep: Any,
    source: Source,
    folder: Path,
    feature_names: Sequence[str] | None = None,
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

    Returns
    -------
    list of Path
        ``model.npz`` (where there is a best model), ``results.csv``, ``report.html``.
    """
    with creating_in(folder, FILES, overwrite=True) as working:
        return write_files(sweep, source, Path(working), folder, feature_names)


def write_files(
    sweep: Any, source: Source, working: Path, folder: Path, feature_names: Sequence[str] | None = None
) -> list[Path]:
    """Write the files of `write_report` where `creating_in` has made room for them.

    Parameters
    ----------
    sweep, source, folder, feature_names
        As for `write_report`.
    working : Path
        The folder to write to, which becomes, or goes to, ``folder``.

    Returns
    -------
    list of Path
        As of `write_report`, in ``folder``.
    """
    texts = {
        "results.csv": results_csv(sweep.results_),
        "report.html": render(sweep, source, feature_names),
    }
    names = [name for name in FILES if name in texts or sweep.best_index_ is not None]
    for name in names:
        with naming(folder / name):
            if name in texts:
                (working / name).write_text(texts[name], encoding="utf-8")
            else:
                sweep.save(working / name)
    return [folder / name for name in names]


def results_csv(results: dict[str, NDArray[Any]]) -> str:
    """Give the table of models as CSV, with every digit."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(results)
    writer.writerows(zip(*(column.tolist() for column in results.values()), strict=True))
    return text.getvalue()


def render(sweep: Any, source: Source, feature_names: Sequence[str] | None = None) -> str:
    """Give the page as HTML.

    Parameters
    ----------
    sweep : GaussianMixtureSweep
    source : Source
    feature_names : sequence of str, optional
    """
    parts = [_head(sweep, source)]
    if sweep.best_index_ is not None:
        names = _names_of_features(sweep) if feature_names is None else list(map(printable, feature_names))
        parts += [
            _curves(sweep),
            _comparisons(sweep),
            _mixture(sweep, names),
            _certainty(sweep, source, names),
        ]
    parts += [_models(sweep), _how(sweep, source)]
    body = "\n".join(parts)
    title = f"Mixtures of {_text(source.name)}"
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _head(sweep: Any, source: Source) -> str:
    n_models = len(sweep.results_["bic"])
    subtitle = (
        f"{n_models} Gaussian mixtures fitted to {source.n_rows:,} rows × {source.n_features} features, "
        f"compared by {CRITERIA[sweep.criterion].title}"
    )
    title = "Partial sweep" if sweep.partial_ else "Sweep"
    if sweep.best_index_ is None:
        answer = "<p>No model could be evaluated.</p>"
    else:
        best = sweep.best_params_
        kind = f"{best['n_components']} × {best['covariance_type']}"
        items = "".join(f"<li>{_text(sentence)}</li>" for sentence in sweep.advice_)
        answer = f"<strong>Best: {_text(kind)}</strong><ul>{items}</ul>"
    return (
        f"<h1>{title}: {_text(source.name)}</h1>\n"
        f'<p class="sub">{_text(subtitle)}</p>\n<div class="answer">{answer}</div>'
    )


def _curves(sweep: Any) -> str:
    """Draw the criterion of all models, and closer, of those near the best."""
    figure = Figure(figsize=(10.6, 4.1), layout="constrained")
    wide, close = figure.subplots(1, 2)
    plot_criteria(sweep, ax=wide)
    wide.set_title("All models", fontsize=11)
    plot_criteria(sweep, ax=close, legend=False, closer=True)
    close.set_title("Near the best", fontsize=11)
    caption = (
        "Filled markers have converged, hollow ones left early or did not converge; the star is the best, "
        "the ring the smallest mixture of its kind within the tolerance."
    )
    return f"<h2>How the models compare</h2>\n{_figure(figure, caption)}"


def _mixture(sweep: Any, names: Sequence[str]) -> str:
    """Show the best mixture: ellipses, responsibilities, overlap and a table of components."""
    model, rows = sweep.best_estimator_, sweep.sample_
    colors = component_colors(len(model.weights_))
    parts = ["<h2>The best mixture</h2>"]
    subject = replace(Subject.of(model, rows), names=tuple(names))
    if len(names) == 1:
        figure = Figure(figsize=(7.2, 3.8), layout="constrained")
        plot_mixture(subject, ax=figure.subplots())
        parts.append(_figure(figure, "The rows as a histogram; the components, and their sum in black."))
    else:
        figure = Figure(figsize=(10.6, 4.4), layout="constrained")
        left, right = figure.subplots(1, 2)
        plot_mixture(subject, ax=left)
        plot_uncertainty(subject, ax=right)
        caption = (
            f"Ellipses hold 68 % of their components, over {len(rows):,} random rows; on the right, rows are "
            "in the colours of their components, the larger the less sure it is which these are."
        )
        parts.append(_figure(figure, caption))
    overlap = overlaps(model, rows)
    if 1 < len(overlap) <= MOST_OVERLAPS:
        side = 1.8 + 0.24 * len(overlap)
        figure = Figure(figsize=(side + 0.4, side), layout="constrained")
        _draw_overlap(figure.subplots(), overlap)
        parts.append(
            _figure(
                figure,
                "Overlap: the mean probability of one component (across) for the rows of another (down); on "
                "the diagonal 1.00 means that its rows belong to no other.",
            )
        )
    parts.append(_components(model, overlap, colors, names))
    return "\n".join(parts)


def overlaps(model: Any, rows: NDArray[np.floating]) -> NDArray[np.floating]:
    """Estimate how much components share rows.

    Parameters
    ----------
    model : GaussianMixture
    rows : ndarray of shape (n_rows, n_features)

    Returns
    -------
    ndarray of shape (n_components, n_components)
        Mean responsibility of component j for the rows of component i: rows sum to 1.
    """
    share = responsibilities(model._parameters, rows)
    counts = np.maximum(share.sum(axis=0), np.finfo(float).tiny)
    return share.T @ share / counts[:, None]


def _draw_overlap(ax: Any, overlap: NDArray[np.floating]) -> None:
    n_components = len(overlap)
    ax.imshow(overlap, cmap="Blues", vmin=0.0, vmax=1.0)
    for i, j in np.ndindex(overlap.shape):
        if overlap[i, j] >= 0.005 and n_components <= 14:
            color = "white" if overlap[i, j] > 0.6 else INK
            ax.text(j, i, f"{overlap[i, j]:.2f}", ha="center", va="center", fontsize=7, color=color)
    ax.set(xticks=range(n_components), yticks=range(n_components), xlabel="component", ylabel="rows of")
    ax.tick_params(labelsize=8)


def _components(model: Any, overlap: NDArray[np.floating], colors: Any, names: Sequence[str]) -> str:
    columns, lines, n_more = component_lines(model, names)
    rows = []
    for k, (_, *cells) in lines:
        red, green, blue = (round(255 * float(part)) for part in colors[k][:3])
        dot = f'<span class="dot" style="background: rgb({red}, {green}, {blue})"></span>{k}'
        rows.append([dot, *map(_text, cells), _most_overlap(overlap, k)])
    note = f'<p class="note">And {n_more} more features, in model.npz.</p>' if n_more else ""
    return (
        '<p class="note">Means ± standard deviations, the heaviest component first; what it stands out by '
        "are the features in which it differs most from all others together.</p>"
        + _html_table([*columns, "overlaps most with"], rows)
        + note
    )


def _most_overlap(overlap: NDArray[np.floating], k: int) -> str:
    others = overlap[k].copy()
    others[k] = 0.0
    most = int(others.argmax())
    return f"{most} ({others[most]:.1%})" if others[most] >= 0.0005 else "none"


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
    cells = [[*map(_text, row)] for row in rows]
    return (
        f'<h2>Is one more component needed?</h2>\n<p class="note">{note}</p>\n{_html_table(columns, cells)}'
    )


def _certainty(sweep: Any, source: Source, names: Sequence[str]) -> str:
    """Say how sure the best mixture is, and which components are not Gaussian, by the rows of the sample."""
    rows, model = sweep.sample_[~np.isnan(sweep.sample_).any(axis=1)], sweep.best_estimator_
    if not len(rows):
        return ""
    own = getattr(model, "feature_names_in_", None)
    misfit = model.misfit(MemorySource(rows, None if own is None else tuple(own)))
    columns, lines = misfit_lines(misfit)
    items = "".join(f"<li>{_text(sentence)}</li>" for sentence in misfit.sentences)
    return "\n".join(
        [
            f'<h2>How far to trust it</h2>\n<p class="note">As {len(rows):,} random rows of the fit say.</p>',
            _standard_errors(model, rows, source.n_rows - sweep.n_rows_dropped_, names),
            f"<ul>{items}</ul>",
            _html_table(columns, [[*map(_text, cells)] for _, cells in lines]),
        ]
    )


def _standard_errors(model: Any, rows: NDArray[np.floating], n_rows: int, names: Sequence[str]) -> str:
    """Lay out parameters and their standard errors, which fall with the root of the number of rows."""
    parameters = parameters_of(model)
    if parameters.n_parameters > MOST_PARAMETERS:
        return '<p class="note">Of standard errors, of so many parameters: see dgmm standard-errors.</p>'
    try:
        with warnings.catch_warnings():  # these rows have another maximum than all have
            warnings.simplefilter("ignore")
            found = standard_errors(parameters, MemorySource(rows), None, "information")
    except ValueError as error:
        return f'<p class="note">There are no standard errors. {_text(error)}</p>'
    share = min(1.0, len(rows) / n_rows) ** 0.5
    scaled = {name: share * getattr(found, name) for name in ("weights", "means", "covariances")}
    columns, lines, _ = error_lines(model, replace(found, **scaled), names)
    note = '<p class="note">Parameters, ± their standard errors by all rows.</p>'
    return note + _html_table(columns, [[*map(_text, cells)] for _, cells in lines])


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
        rows.append([*map(_text, cells), _text(str(results["message"][index]))])
        out = results["dropped"][index] or results["failed"][index]
        classes.append("best" if index == sweep.best_index_ else "out" if out else "")
    note = (
        "Log-likelihoods are in nats a row. Every figure is of the very parameters that the model ended "
        "with, on all rows that were fitted. Grey models left the race or failed."
    )
    table = _html_table([*columns.values(), "how it ended"], rows, classes, long_last=True)
    return f'<h2>All models</h2>\n<p class="note">{note}</p>\n{table}'


def _how(sweep: Any, source: Source) -> str:
    """Say how the figures were computed."""
    seconds = sum(sweep.pass_seconds_)
    rate = sweep.n_passes_ * source.n_rows / max(seconds, 1e-9)
    settings = ", ".join(f"{name}={value!r}" for name, value in sweep.get_params().items())
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    facts = [
        *((each.name, each.text) for each in source_facts(source)),
        ("full passes", f"{sweep.n_passes_} for all models together"),
        ("reading and E-steps", f"{seconds:.1f} s, {rate:,.0f} rows/s"),
        ("whole sweep", f"{sweep.seconds_:.1f} s"),
        ("seed", sweep.seed_),
        ("settings", settings),
        ("versions", f"{libraries}, Python {platform.python_version()}"),
        ("machine", f"{platform.system()} {platform.machine()}"),
        ("written", f"{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}"),
    ]
    rows = [[_text(str(name)), _text(str(value))] for name, value in facts]
    cells = "".join(f'<tr><td class="text">{a}</td><td class="text long">{b}</td></tr>' for a, b in rows)
    return f"<h2>How it was computed</h2>\n<table>{cells}</table>"


def _html_table(
    header: Iterable[str],
    rows: Sequence[Sequence[str]],
    classes: Sequence[str] = (),
    *,
    long_last: bool = False,
) -> str:
    """Lay out a table whose cells are HTML already."""
    names = list(header)
    kinds = [""] * (len(names) - 1) + [' class="text"' if long_last else ""]
    head = "".join(f"<th{kind}>{_text(name)}</th>" for name, kind in zip(names, kinds, strict=True))
    lines = []
    for number, cells in enumerate(rows):
        kinds = [""] * (len(cells) - 1) + [' class="text long"' if long_last else ""]
        data = "".join(f"<td{kind}>{cell}</td>" for cell, kind in zip(cells, kinds, strict=True))
        own = f' class="{classes[number]}"' if classes and classes[number] else ""
        lines.append(f"<tr{own}>{data}</tr>")
    body = "\n".join(lines)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table></div>'


def _figure(figure: Figure, caption: str) -> str:
    return f"<figure>{svg_of(figure)}<figcaption>{_text(caption)}</figcaption></figure>"


def svg_of(figure: Figure) -> str:
    """Give a figure as an SVG element, with nothing that refers to elsewhere."""
    text = io.StringIO()
    with warnings.catch_warnings():  # signs that the font lacks are drawn as boxes
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font", UserWarning)
        figure.savefig(text, format="svg", dpi=110)
    found = text.getvalue()
    found = found[found.index("<svg") :]
    return re.sub(r"<metadata>.*?</metadata>", "", found, flags=re.DOTALL)


def _text(text: object) -> str:
    """Give a text as HTML: no signs of its own, and none that a terminal would obey."""
    return escape(printable(text))


def _names_of_features(model: Any) -> list[str]:
    unnamed = [f"feature {number}" for number in range(model.n_features_in_)]
    return [printable(name) for name in getattr(model, "feature_names_in_", unnamed)]
