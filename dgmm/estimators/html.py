"""What notebooks show of a fitted mixture."""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np

from dgmm.data.text import printable, with_deviation
from dgmm.estimators.features import spoken_names
from dgmm.estimators.parameters import parameters_of

COMPONENTS_SHOWN, FEATURES_SHOWN = 20, 8
"""The heaviest components, and the first features, that a table has."""

LONGEST_NAME = 24
"""Characters of a feature's name that are shown; the rest is in its title."""


def components_table(mixture: Any) -> str:
    """Lay out weights, and means with standard deviations, the heaviest component first.

    Parameters
    ----------
    mixture : GaussianMixture or BayesianGaussianMixture
        Fitted.
    """
    parameters = parameters_of(mixture)
    means, deviations = parameters.means, np.sqrt(parameters.variances)
    n_components, n_features = means.shape
    names = spoken_names(getattr(mixture, "feature_names_in_", None), n_features)
    order = np.argsort(-parameters.weights, kind="stable")[:COMPONENTS_SHOWN]
    head = "".join(_heading(name) for name in ["component", "weight", *names[:FEATURES_SHOWN]])
    rows = "".join(
        f"<tr><th scope='row'>{k}</th><td>{parameters.weights[k]:.4f}</td>"
        + "".join(
            f"<td>{with_deviation(mean, deviation)}</td>"
            for mean, deviation in zip(
                means[k, :FEATURES_SHOWN].tolist(), deviations[k, :FEATURES_SHOWN].tolist(), strict=True
            )
        )
        + "</tr>"
        for k in order.tolist()
    )
    more = [
        f"{number - shown:,} more {what}"
        for number, shown, what in (
            (n_components, COMPONENTS_SHOWN, "components"),
            (n_features, FEATURES_SHOWN, "features"),
        )
        if number > shown
    ]
    note = f"; and {' and '.join(more)}" if more else ""
    caption = f"Components, the heaviest first: means ± standard deviations{note}"
    return (
        f"<div style='overflow-x:auto'><table><caption>{caption}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _heading(name: str) -> str:
    name = printable(name)
    short = name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
    return f"<th scope='col' title='{escape(name)}'>{escape(short)}</th>"
