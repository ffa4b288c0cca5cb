"""Facts and tables about rows and fitted mixtures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from operator import mul
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from dgmm.data.source import Source
from dgmm.data.text import counted, listed, printable, shortened, with_deviation
from dgmm.estimators.certainty import StandardErrors
from dgmm.estimators.described import outstanding_features
from dgmm.estimators.features import spoken_names
from dgmm.estimators.parameters import parameters_of
from dgmm.facts import Exhibit, Fact, fact
from dgmm.fitting.partitions import OF_THE_FIT
from dgmm.model.misfit import Misfit
from dgmm.passes.events import lacked_by_feature
from dgmm.passes.watched import without_checksums

FEATURES_SHOWN = 6
PARTITIONS_SHOWN = 8
GROUPS_SHOWN = 20
COMPONENTS_OF_GROUPS = 10


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """Lay out a table of text, aligned to the right."""
    laid_out = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        laid_out.add_column(Text(printable(column)), justify="right")
    for row in rows:
        laid_out.add_row(*(Text(printable(cell)) for cell in row))
    return laid_out


def source_facts(source: Source) -> list[Fact]:
    """Return what is known of rows without reading them."""
    n_bytes = source.n_rows * source.n_features * source.dtype.itemsize
    names = source.feature_names
    return [
        fact("data", source.name, data=source.name),
        rows_fact(source),
        fact(
            "features",
            f"{source.n_features:,}" + _in_brackets(names),
            n_features=source.n_features,
            feature_names=names,
        ),
        fact("numbers", f"{source.dtype}, {size(n_bytes)} in memory", dtype=source.dtype, n_bytes=n_bytes),
    ]


def rows_fact(source: Source) -> Fact:
    """Say how many rows there are."""
    return fact("rows", f"{source.n_rows:,}", n_rows=source.n_rows)


def features_fact(names: Sequence[str]) -> Fact:
    """Say what features are called."""
    return fact("features", listed(names, FEATURES_SHOWN), feature_names=names)


def columns_fact(names: Sequence[str], out: str) -> Fact:
    """Say which columns have been written, and where."""
    return fact(listed(names, FEATURES_SHOWN), out, columns=names, out=out)


def written(what: str, out: str) -> Fact:
    """Say what has been written, and where."""
    return fact(what, out, out=out)


def checksum_facts(source: Source) -> list[Fact]:
    """Return whether damage to what is stored would be found; nothing of what is not stored."""
    finds_damage = getattr(source, "finds_damage", None)
    if finds_damage is None:
        return []
    text = "found: all is checksummed" if finds_damage else without_checksums(source.name)
    return [fact("damage", text, has_checksums=finds_damage)]


def model_facts(model: Any) -> list[Fact]:
    """Return the facts of a fitted mixture, except its components."""
    n_components = len(model.weights_)
    components = fact("components", f"{n_components:,}", n_components=n_components)
    if hasattr(model, "elbo_"):
        n_effective = model.effective_components_
        components = fact(
            "components",
            f"{n_effective:,} with rows, of {n_components:,}",
            n_components=n_components,
            effective_components=n_effective,
        )
    found = [
        components,
        fact("covariances", model.covariance_type, covariance_type=model.covariance_type),
    ]
    if not hasattr(model, "lower_bound_"):
        return [*found, fact("fit", "none: set by hand, or made of another", converged=None)]
    ending = "converged" if model.converged_ else "stopped before it converged"
    text = f"{ending}, {counted(model.n_iter_, 'iteration')}"
    own = {"converged": model.converged_, "n_iter": model.n_iter_}
    if hasattr(model, "n_passes_"):  # a mixture that came from scikit-learn has made none
        text += f", {counted(model.n_passes_, 'pass', 'passes')}"
        own["n_passes"] = model.n_passes_
    found += [fact("fit", text, **own), bound_fact(model), *search_facts(model)]
    if is_updated(model):
        found.append(partitions_fact(model))
    if hasattr(model, "groups_"):
        n_groups = len(model.groups_)
        found.append(fact("groups", f"{n_groups:,}, with weights of their own", n_groups=n_groups))
    if hasattr(model, "measurement_errors_"):
        kind = model.measurement_errors_
        text = f"with errors, given as {kind}: the mixture is that of the true values"
        found.append(fact("measured", text, measurement_errors=kind))
    n_dropped = getattr(model, "n_rows_dropped_", 0)
    if n_dropped:
        text = f"{counted(n_dropped, 'row')} that lack values"
        found.append(fact("dropped", text, n_rows_dropped=n_dropped))
    if n_incomplete := getattr(model, "n_rows_incomplete_", 0):
        n_missing = model.n_missing_.tolist()
        by_feature = lacked_by_feature(n_missing, getattr(model, "feature_names_in_", None))
        text = f"{counted(n_incomplete, 'row lacks', 'rows lack')} values: {by_feature}"
        found.append(fact("missing", text, n_rows_incomplete=n_incomplete, n_missing=n_missing))
    if (changes := getattr(model, "data_changes_", None)) is not None:
        text = "; ".join(changes) or "none, though it was allowed"
        found.append(fact("changed data", text, data_changes=changes))
    if hasattr(model, "data_fingerprint_"):  # a mixture that came from scikit-learn has none
        found.append(fingerprint_fact(model.data_fingerprint_))
    return found


def search_facts(model: Any) -> list[Fact]:
    """Say how the start of a fit was searched for, and how sure that is; nothing where it was not."""
    record = getattr(model, "search_", None)
    return [] if record is None else [fact("search", str(record), search=asdict(record))]


def is_updated(model: Any) -> bool:
    """Return whether a mixture knows other rows than those of its fit."""
    names = [each.name for each in getattr(model, "partitions_", ())]
    return names not in ([], [OF_THE_FIT])


def bound_fact(model: Any) -> Fact:
    """Say how well a mixture describes its rows: after updates that is a bound."""
    if hasattr(model, "elbo_"):
        return fact("log evidence", f"at least {model.elbo_:.3f} nats", elbo=model.elbo_)
    bound, at_least = model.lower_bound_, "at least " if is_updated(model) else ""
    return fact("log-likelihood", f"{at_least}{bound:.6f} nats a row", log_likelihood=bound)


def partitions_fact(model: Any) -> Fact:
    """Say which rows a mixture knows, as they were added."""
    shown = [f"{each.name} ({counted(each.n_rows, 'row')})" for each in model.partitions_]
    names = ("name", "n_rows", "weight", "rows", "row_weights", "added")
    records = [{name: getattr(each, name) for name in names} for each in model.partitions_]
    return fact("partitions", listed(shown, PARTITIONS_SHOWN), partitions=records)


def fingerprint_fact(fingerprint: str) -> Fact:
    """Say which rows these are, or a model was fitted to."""
    return fact("fingerprint", fingerprint, data_fingerprint=fingerprint)


def speed_facts(model: Any) -> list[Fact]:
    """Return how fast the iterations of the best fit were, and what its threads did meanwhile."""
    history = model.history_
    seconds = sum(history["seconds"])
    if not seconds:
        return []
    reading, computing = sum(history["reading_seconds"]), sum(history["computing_seconds"])
    speed = sum(map(mul, history["rows_per_second"], history["seconds"])) / seconds
    read = "Dask reads" if np.isnan(reading) else f"read {_seconds(reading)}"
    threads = f"threads compute {_seconds(computing)}, {read}"
    return [
        fact(
            "speed",
            f"{_seconds(seconds)}, {speed:,.0f} rows/s ({threads})",
            pass_seconds=seconds,
            rows_per_second=speed,
            computing_seconds=computing,
            reading_seconds=reading,
        )
    ]


def _seconds(seconds: float) -> str:
    """Write seconds in six columns, up to hours of them."""
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds:.0f} s"


def components(model: Any) -> Exhibit:
    """Lay out the components of a mixture, the heaviest first: see `component_lines`."""
    names = getattr(model, "feature_names_in_", None)
    columns, lines, rest = component_lines(model, names)
    found = table(columns, [cells for _, cells in lines])
    found.caption = f"and {rest:,} more features" if rest else None
    deviations, outstanding = standard_deviations(model), outstanding_features(model)
    described = [
        {
            "component": k,
            "weight": model.weights_[k],
            "means": model.means_[k],
            "standard_deviations": deviations[k],
            "stands_out_by": outstanding[k] if names is None else [names[i] for i in outstanding[k]],
        }
        for k, _ in lines
    ]
    return Exhibit(found, {"components": described})


def component_lines(
    model: Any, names: Sequence[str] | None = None
) -> tuple[list[str], list[tuple[int, list[str]]], int]:
    """Describe components in text, the heaviest first.

    Parameters
    ----------
    model : GaussianMixture or BayesianGaussianMixture
    names : sequence of str, optional
        Of the features.

    Returns
    -------
    columns : list of str
        Number, weight, the first features, and the features by which a component stands out.
    lines : list of (int, list of str)
        Each component's number, and its cells: means with standard deviations.
    n_more : int
        Features that are not shown.
    """
    n_features = np.asarray(model.means_).shape[1]
    shown = range(min(n_features, FEATURES_SHOWN))
    names = spoken_names(names, n_features)
    deviations, outstanding = standard_deviations(model), outstanding_features(model)
    lines = []
    for k in np.argsort(-model.weights_, kind="stable").tolist():
        values = [with_deviation(model.means_[k, i], deviations[k, i]) for i in shown]
        stands_out = ", ".join(names[i] for i in outstanding[k])
        lines.append((k, [str(k), f"{model.weights_[k]:.4f}", *values, stands_out]))
    columns = ["component", "weight", *(names[i] for i in shown), "stands out by"]
    return columns, lines, n_features - len(shown)


def groups(model: Any, errors: NDArray[np.floating] | None = None) -> list[Exhibit]:
    """Lay out the weights of groups: see `group_lines`; nothing of a mixture without groups."""
    if not hasattr(model, "groups_"):
        return []
    columns, lines, left_out = group_lines(model, errors)
    found = table(columns, lines)
    found.caption = left_out or None
    names, weights = np.asarray(model.groups_).tolist(), np.asarray(model.group_weights_)
    each = [{"group": name, "weights": own} for name, own in zip(names, weights, strict=True)]
    return [Exhibit(found, {"groups": each})]


def group_lines(
    model: Any, errors: NDArray[np.floating] | None = None
) -> tuple[list[str], list[list[str]], str]:
    """Describe the weights of components in each group, in text: those of the first groups, in their order.

    Parameters
    ----------
    model : GaussianMixture
        With groups.
    errors : ndarray of shape (n_groups, n_components), optional
        Standard errors; NaN where there is none.

    Returns
    -------
    columns : list of str
        The group, and the heaviest components.
    lines : list of list of str
    left_out : str
        How many groups and components are not shown; empty if none.
    """
    names, weights = np.asarray(model.groups_).tolist(), np.asarray(model.group_weights_)
    shown = np.argsort(-np.asarray(model.weights_), kind="stable")[:COMPONENTS_OF_GROUPS].tolist()
    given = np.full(weights.shape, np.nan) if errors is None else errors
    lines = [
        [str(name), *(f"{own[k]:.4f}" if np.isnan(of[k]) else with_deviation(own[k], of[k]) for k in shown)]
        for name, own, of in zip(
            names[:GROUPS_SHOWN], weights[:GROUPS_SHOWN], given[:GROUPS_SHOWN], strict=True
        )
    ]
    more = {"groups": len(names) - len(lines), "lighter components": weights.shape[1] - len(shown)}
    left_out = [f"{number:,} more {what}" for what, number in more.items() if number]
    return (
        ["group", *(f"component {k}" for k in shown)],
        lines,
        f"and {' and '.join(left_out)}" if left_out else "",
    )


def error_lines(
    model: Any, errors: StandardErrors, names: Sequence[str] | None = None
) -> tuple[list[str], list[tuple[int, list[str]]], int]:
    """Describe how sure a mixture is of its components, in text, the heaviest first: see `component_lines`.

    Cells are weights, means and variances, ± their standard errors.
    """
    found = errors.estimates
    shown = range(min(found.n_features, FEATURES_SHOWN))
    own = getattr(model, "feature_names_in_", None)
    names = spoken_names(own if names is None else names, found.n_features)
    of_variances = found.family.variances(errors.covariances, found.n_components, found.n_features)
    lines = []
    for k in np.argsort(-found.weights, kind="stable").tolist():
        values = [with_deviation(found.means[k, i], errors.means[k, i]) for i in shown]
        widths = [with_deviation(found.variances[k, i], of_variances[k, i]) for i in shown]
        weight = with_deviation(float(found.weights[k]), float(errors.weights[k]))
        lines.append(
            (k, [str(k), weight, *(cell for pair in zip(values, widths, strict=True) for cell in pair)])
        )
    features = [text for i in shown for text in (names[i], f"variance of {names[i]}")]
    return ["component", "weight", *features], lines, found.n_features - len(shown)


def misfit_lines(found: Misfit) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Describe how far components are from Gaussian, in text, the heaviest first: see `component_lines`."""
    columns = ["component", "rows", "difference", "beyond 99%", "beyond 99.9%", "kurtosis", "verdict"]
    lines = []
    for k in np.argsort(-found.counts, kind="stable").tolist():
        cells = [
            str(k),
            f"{found.counts[k]:,.0f}",
            f"{found.distances[k]:.3f}",
            f"{found.beyond_99[k]:.2%}",
            f"{found.beyond_999[k]:.2%}",
            f"{found.kurtosis[k]:.3f}",
            found.verdicts[k],
        ]
        lines.append((k, cells))
    return columns, lines


def comparison_lines(of: Mapping[str, NDArray[Any]]) -> tuple[list[str], list[list[str]]]:
    """Describe tests between neighbouring numbers of components: `GaussianMixtureSweep.comparisons_`."""
    columns = ["covariance", "components", "likelihood ratio", "Vuong", "p", "of a sample", "bootstrap p"]

    def said(name: str, index: int, form: str) -> str:
        value = of[name][index]
        return format(value, form) if np.isfinite(value) else "–"

    rows = [
        [
            str(of["covariance_type"][index]),
            f"{of['n_components'][index]} or {of['n_more'][index]}",
            said("likelihood_ratio", index, ",.1f"),
            said("vuong", index, ".2f"),
            said("vuong_p", index, ".2g"),
            said("sample_ratio", index, ",.1f"),
            said("bootstrap_p", index, ".2g"),
        ]
        for index in range(len(of["n_components"]))
    ]
    return columns, rows


def standard_deviations(model: Any) -> np.ndarray:
    """Return the standard deviation of each feature in each component: shape (n_components, n_features)."""
    return np.sqrt(parameters_of(model).variances)


def size(n_bytes: float) -> str:
    """Say a number of bytes in binary units."""
    power = min(4, int(np.log2(max(n_bytes, 1))) // 10)
    unit = ("bytes", "KiB", "MiB", "GiB", "TiB")[power]
    return f"{n_bytes / 1024**power:,.{min(power, 1)}f} {unit}"


def _in_brackets(names: Sequence[str] | None) -> str:
    if names is None:
        return ""
    more = ", …" if len(names) > FEATURES_SHOWN else ""
    return f" ({', '.join(map(shortened, names[:FEATURES_SHOWN]))}{more})"
