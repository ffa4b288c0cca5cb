"""Pictures of how each component differs from all rows, feature by feature."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm

from dgmm.data.types import RowsLike
from dgmm.plotting.canvas import axes_or_current, label, note, tick_names
from dgmm.plotting.layers import drawn_components
from dgmm.plotting.palette import ON_DARK, ON_LIGHT, color_of, marker_of
from dgmm.plotting.subject import Feature, Subject

MOST_FEATURES = 16
"""Features that are drawn by default: those in which components differ most."""
MOST_COMPONENTS = 24
"""Components that are drawn: the heaviest."""
MOST_NUMBERS = 12
"""Components and features up to which each cell has its number."""


def plot_components(
    model: Any,
    rows: RowsLike | None = None,
    features: Feature | Sequence[Feature] | None = None,
    *,
    ax: Axes | None = None,
) -> Axes:
    """Draw the means of components beside those of the whole mixture, in its standard deviations.

    Parameters
    ----------
    model : mixture or sweep
        Fitted; scikit-learn's classes will do.
    rows : optional
        Whose names features have, where the mixture has none; nothing else is drawn of them.
    features : str, int, or sequence, optional
        As for `plot_mixture`, of any number. Default: the 16 in which components differ most.
    ax : matplotlib Axes, optional
        Where to draw. Default: the current axes.

    Returns
    -------
    matplotlib Axes
        A row for each component, the heaviest first, with its weight; orange cells have higher means than
        the whole, purple ones lower. If components or features are left out, it says so.
    """
    subject, ax = Subject.of(model, rows), axes_or_current(ax)
    axes, found = subject.axes(features, MOST_FEATURES), subject.parameters
    means, covariances = subject.along(axes) if features is not None else _along_features(subject, axes)
    variances = covariances if covariances.ndim == 2 else np.einsum("kii->ki", covariances)
    weights = found.weights / found.weights.sum()
    centre = weights @ means
    whole = np.sqrt(weights @ (variances + np.square(means - centre)))
    chosen = drawn_components(subject, ax, MOST_COMPONENTS)
    cells = (means[chosen] - centre) / np.where(whole > 0.0, whole, 1.0)
    reach = max(1.0, float(np.abs(cells).max(initial=0.0)))
    ax.imshow(cells, cmap="PuOr_r", norm=TwoSlopeNorm(0.0, -reach, reach), aspect="auto")
    if max(cells.shape) <= MOST_NUMBERS:
        for (i, j), value in np.ndenumerate(cells):
            color = ON_DARK if abs(value) > 0.65 * reach else ON_LIGHT
            ax.text(j, i, f"{value:+.1f}", ha="center", va="center", fontsize=8, color=color)
    is_wordy = len(axes) > 3 or max(len(axis.label) for axis in axes) > 10
    how = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"} if is_wordy else {}
    tick_names(ax.xaxis, range(len(axes)), [axis.label for axis in axes], **how)
    tick_names(ax.yaxis, range(len(chosen)), [subject.said(k) for k in chosen])
    aside = ax.get_yaxis_transform()
    for place, k in enumerate(chosen):
        ax.plot(-0.025, place, marker_of(k), color=color_of(k), transform=aside, clip_on=False)
    ax.tick_params(length=0)
    ax.tick_params(axis="y", pad=14)
    ax.spines[:].set_visible(False)
    label(ax, y="component (weight)")
    if features is None and found.n_features > len(axes):
        note(ax, f"{len(axes)} of {found.n_features:,} features: those that tell components apart")
    return ax


def _along_features(subject: Subject, axes: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Return means and variances of single features: covariances between them are not asked for."""
    numbers = np.concatenate([axis.numbers for axis in axes])
    return subject.parameters.means[:, numbers], subject.parameters.variances[:, numbers]
