"""The part of a page that says how sure the parameters of a mixture are."""

from __future__ import annotations

import warnings
from dataclasses import replace

from dgmm.data.memory import MemorySource
from dgmm.data.text import shortened
from dgmm.estimators.certainty import standard_errors
from dgmm.estimators.errors import with_errors
from dgmm.estimators.gaussian_mixture import GaussianMixture
from dgmm.fitting.dropping import is_complete
from dgmm.fitting.label_checks import LabelsAndGroups
from dgmm.pages.html import Section, component, paragraph, table, text
from dgmm.plotting.subject import Subject
from dgmm.report import error_lines

MOST_PARAMETERS = 1500
"""Parameters up to which their standard errors are shown: some seconds."""


def how_sure(subject: Subject) -> list[Section]:
    """Lay out parameters and their standard errors, which fall with the root of the number of rows.

    Returns
    -------
    list of Section
        None where there are none to be had: without rows, and of a posterior.
    """
    mixture, found = subject.mixture, subject.parameters
    if subject.rows is None or not isinstance(mixture, GaussianMixture):
        return []
    key, title = "certainty", "How sure the parameters are"
    try:
        mixture._check_certain(subject.known.groups, subject.known.errors)
    except ValueError as error:
        return [Section(key, title, paragraph(f"{error}."))]
    rows, known = subject.rows, subject.known
    if mixture.missing != "marginalize":
        is_whole = is_complete(rows)
        rows, known = rows[is_whole], known.part(is_whole)
    if found.n_parameters > MOST_PARAMETERS or not len(rows):
        said = "This page leaves out standard errors of so many parameters: see "
        return [Section(key, title, paragraph(f"{said}dgmm standard-errors."))]
    try:
        with warnings.catch_warnings():  # these rows have another maximum than all have
            warnings.simplefilter("ignore")
            weights = None if known.weights is None else MemorySource(known.weights[:, None])
            measured = with_errors(MemorySource(rows), known.errors)
            groups, labels = (
                None if each is None else MemorySource(each) for each in (known.groups, known.labels)
            )
            errors = standard_errors(
                found,
                measured,
                weights,
                "information",
                labels_and_groups=LabelsAndGroups(labels, groups),
                known=known.parts,
                missing=mixture.missing,
            )
    except ValueError as error:
        return [Section(key, title, paragraph(f"There are no standard errors. {error}"))]
    n_rows = max(len(rows), subject.n_rows - getattr(mixture, "n_rows_dropped_", 0))
    share = (len(rows) / n_rows) ** 0.5
    scaled = {name: share * getattr(errors, name) for name in ("weights", "means", "covariances")}
    names = [shortened(name) for name in subject.names]
    columns, lines, n_more = error_lines(mixture, replace(errors, **scaled), names)
    shown = [[component(k), *map(text, cells)] for k, (_, *cells) in lines]
    more = paragraph(f"Not listed: {n_more:,} other features.", "note") if n_more else ""
    caption = "Parameters, ± their standard errors by all rows"
    return [Section(key, title, table(caption, columns, shown) + more)]
