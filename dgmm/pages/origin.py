"""The parts of a page that say how a fit ended and how it was computed."""

from __future__ import annotations

import platform
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from typing import Any

from dgmm.data.source import Source
from dgmm.facts import Fact
from dgmm.pages.html import Section, facts, figure, grid, paragraph, text
from dgmm.plotting import plot_history
from dgmm.report import model_facts, source_facts, speed_facts

LIBRARIES = ("dgmm", "numpy", "scipy", "scikit-learn", "dask")


@dataclass(frozen=True, eq=False)
class Origin:
    """Where a model comes from.

    Attributes
    ----------
    source : Source or None
        What it was fitted to.
    command : str or None
        Repeats it, on the command line.
    """

    source: Source | None = None
    command: str | None = None

    @property
    def name(self) -> str:
        """What the rows are called."""
        return "" if self.source is None else self.source.name


def how_it_ended(mixture: Any) -> Section:
    """Say how a fit ended, and draw how its log-likelihood rose."""
    found = facts("The fit", pairs(model_facts(mixture)))
    reason = getattr(mixture, "stop_reason_", "")
    said = paragraph(reason) if reason else ""
    if not getattr(mixture, "lower_bounds_", None):
        return Section("ending", "How it ended", said + found)
    caption = "What the fit climbed, iteration by iteration. Hollow: it went back from there."
    return Section(
        "ending",
        "How it ended",
        said + grid([f"<div>{found}</div>", figure(lambda ax: plot_history(mixture, ax=ax), caption)]),
    )


def how_computed(origin: Origin, estimator: Any, about: Iterable[tuple[str, object]] = ()) -> Section:
    """Say how the figures were computed, and what repeats it."""
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    rows: list[tuple[str, object]] = [] if origin.source is None else pairs(source_facts(origin.source))
    rows += [
        *about,
        ("settings", settings(estimator)),
        ("versions", f"{libraries}, Python {platform.python_version()}"),
        ("machine", f"{platform.system()} {platform.machine()}"),
        ("written", f"{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}"),
    ]
    where = "rows" if origin.source is None else repr(origin.source.name)
    in_python = f"{type(estimator).__name__}({settings(estimator, changed=True)}).fit({where})"
    repeated = in_python if origin.command is None else origin.command
    body = facts("Data, settings and versions", rows)
    body += f"\n<h3>To repeat it</h3>\n<p><code>{text(repeated)}</code></p>"
    return Section("origin", "How it was computed", body)


def speed_of(mixture: Any) -> list[tuple[str, object]]:
    """Say how fast iterations were, where there were some."""
    return pairs(speed_facts(mixture)) if hasattr(mixture, "history_") else []


def pairs(found: Sequence[Fact]) -> list[tuple[str, object]]:
    """Return facts as names and texts."""
    return [(each.name, each.text) for each in found]


def settings(estimator: Any, *, changed: bool = False) -> str:
    """Return the parameters of an estimator as Python writes them: all, or those that are not the default."""
    given = estimator.get_params(deep=False)
    default = type(estimator)().get_params(deep=False) if changed else {}
    return ", ".join(
        f"{name}={_shown(value)}"
        for name, value in given.items()
        if not changed or repr(value) != repr(default[name])
    )


def _shown(value: object) -> str:
    said = repr(value)
    return said if len(said) <= 200 else f"{said[:200]}…"


def command_line(arguments: Sequence[str]) -> str:
    """Return a command as it would be typed, without what is secret: values of ``--storage-option``."""
    kept, hides = [], False
    for argument in arguments:
        name, sign, value = argument.partition("=")
        if hides:
            kept.append(f"{name}=…")
        elif name == "--storage-option" and sign:
            kept.append(f"{name}={value.partition('=')[0]}=…")
        else:
            kept.append(argument)
        hides = argument == "--storage-option"
    return shlex.join(["dgmm", *kept])
