"""The commands ``plot`` and ``report``, and the option ``--report``."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from numpy.typing import NDArray

from dgmm.cli.cluster import Cluster, on_a_cluster
from dgmm.cli.models import Loaded, features_found, load_model, open_for
from dgmm.cli.options import features_option, overwriting, reading_rows
from dgmm.cli.output import check_output
from dgmm.cli.program import main
from dgmm.cli.side_information import SideInformationOptions, of_judged, of_labelled
from dgmm.data.writing import write_file
from dgmm.estimators.sweep import PICTURE_ROWS
from dgmm.facts import Fact, Said, fact

if TYPE_CHECKING:
    from dgmm.plotting.subject import Subject

SIZES = {
    "mixture": (7.0, 5.5),
    "pairs": (9.0, 8.5),
    "density": (7.0, 5.5),
    "uncertainty": (7.0, 5.5),
    "fit": (12.0, 5.5),
    "components": (8.0, 6.0),
    "history": (7.0, 4.5),
}
"""Inches of each kind of picture; `dgmm.plotting` has a function for each."""
OF_ROWS = ("uncertainty", "fit")
"""Kinds that are nothing without rows."""
WITHOUT_ROWS = ("history",)
"""Kinds that rows have no part in."""
FORMATS = (".png", ".svg", ".pdf")


@main.command()
@click.argument("model")
@click.argument("data", required=False)
@click.option(
    "--kind",
    type=click.Choice(list(SIZES)),
    default="pairs",
    show_default=True,
    help="mixture: ellipses in two features. pairs: in several. density: contours. uncertainty: "
    "undecided rows. fit: rows against the mixture. components: their means. history: iterations of the fit.",
)
@features_option(
    "--features",
    "Features to draw.  [default: those that distinguish the components best]",
    is_required=False,
)
@click.option("--theme", type=click.Choice(("light", "dark")), default="light", show_default=True)
@click.option("--out", required=True, metavar="PICTURE.png|.svg|.pdf", help="Where to write.")
@of_judged
@overwriting
@reading_rows
@on_a_cluster()
def plot(
    *,
    cluster: Cluster,
    opening: dict[str, Any],
    model: str,
    data: str | None,
    kind: str,
    features: list[str] | None,
    theme: Any,
    out: str,
    overwrite: bool,
    side_information: SideInformationOptions,
) -> Sequence[Said]:
    """Draw a picture of a model, over some of the rows of DATA."""
    from dgmm import plotting  # noqa: PLC0415 - it needs an extra
    from dgmm.plotting.subject import ROWS_DRAWN  # noqa: PLC0415

    check_output(out, FORMATS, overwrite=overwrite, storage_options=opening["storage_options"])
    if kind in OF_ROWS and data is None:
        raise click.UsageError(f"--kind {kind} draws rows: give DATA too")
    if kind in WITHOUT_ROWS and (data is not None or features):
        raise click.UsageError(f"--kind {kind} draws the model alone: give neither DATA nor --features")
    mixture, subject = _looked_at(
        cluster, opening, model, data, n_most=ROWS_DRAWN, side_information=side_information
    )
    with plotting.themed(theme):
        figure = plotting.new_figure(SIZES[kind])
        if kind == "history":
            plotting.plot_history(mixture, ax=figure.subplots())
        else:
            wanted = features_found(mixture, features) if features else None
            draw = getattr(plotting, f"plot_{kind}")
            draw(subject, features=wanted, ax=figure.subplots())
        content = io.BytesIO()
        figure.savefig(content, format=PurePath(out).suffix[1:], dpi=150)
    write_file(out, content.getvalue(), overwrite=overwrite, storage_options=opening["storage_options"])
    return [*_drawn(subject), fact("picture", out, kind=kind, out=out)]


@main.command()
@click.argument("model")
@click.argument("data", required=False)
@click.option("--out", required=True, metavar="REPORT.html", help="Where to write.")
@of_labelled
@overwriting
@reading_rows
@on_a_cluster()
def report(
    *,
    cluster: Cluster,
    opening: dict[str, Any],
    model: str,
    data: str | None,
    out: str,
    overwrite: bool,
    side_information: SideInformationOptions,
) -> Sequence[Said]:
    """Write an HTML report of a model: which component is what, and whether it fits some of the rows of DATA.

    It is one HTML file with its pictures inside. Without DATA it has what the model says of itself.
    """
    from dgmm.pages.fit import render  # noqa: PLC0415 - it needs an extra
    from dgmm.pages.origin import Origin  # noqa: PLC0415

    at_urls = opening["storage_options"]
    check_output(out, (".html",), overwrite=overwrite, storage_options=at_urls)
    _, subject = _looked_at(
        cluster, opening, model, data, n_most=PICTURE_ROWS, side_information=side_information
    )
    page = render(subject, Origin(subject.source))
    write_file(out, page.encode(), overwrite=overwrite, storage_options=at_urls)
    return [*_drawn(subject), fact("report", out, out=out)]


def _looked_at(
    cluster: Cluster,
    opening: dict[str, Any],
    model: str,
    data: str | None,
    *,
    n_most: int,
    side_information: SideInformationOptions,
) -> tuple[Loaded, Subject]:
    """Read a model, and draw at most so many of the rows of DATA, with what is known of them.

    Raises
    ------
    click.UsageError
        Where something is said of rows, and there are none.
    """
    from dgmm.plotting.subject import Subject  # noqa: PLC0415 - it needs an extra

    if data is None and side_information.places:
        raise click.UsageError(
            "side information, such as --weights or --groups, describes rows: give DATA too"
        )
    at_urls = opening["storage_options"]
    mixture = load_model(model, at_urls, data)
    if data is None:
        return mixture, Subject.of(mixture)
    source = open_for(mixture, data, opening)
    known = side_information.known(data, source, at_urls)
    with cluster.joined(source):
        return mixture, Subject.of(mixture, source, n_most, **known)


def _drawn(subject: Subject) -> list[Fact]:
    """Say how many rows were drawn."""
    if subject.rows is None:
        return []
    n_drawn, n_rows = len(subject.rows), subject.n_rows
    said = f"{n_rows:,}" if n_drawn == n_rows else f"{n_drawn:,} of {n_rows:,}, drawn at random"
    return [fact("rows", said, n_drawn=n_drawn, n_rows=n_rows)]


@dataclass(frozen=True, eq=False)
class Page:
    """The report of a fit, if one is wanted.

    Attributes
    ----------
    path : str or None
    overwrite : bool
    storage_options : mapping or None
    drawn : list of ndarray
        What the fit's survey has drawn: the page needs no rows read again.
    """

    path: str | None
    overwrite: bool
    storage_options: Mapping[str, Any] | None
    drawn: list[NDArray[np.floating]] = field(default_factory=list)

    def check(self) -> None:
        """Refuse, before any work, a page that cannot be written, and one that needs an extra.

        Raises
        ------
        ImportError, ValueError, OSError
        """
        if self.path is not None:
            import dgmm.pages  # noqa: F401, PLC0415 - it needs an extra

            check_output(
                self.path, (".html",), overwrite=self.overwrite, storage_options=self.storage_options
            )

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Keep some of the rows that are drawn inside."""
        if self.path is None:
            yield
            return
        from dgmm.passes.events import Event, RowsDrawn, listening  # noqa: PLC0415

        def keep(event: Event) -> None:
            if isinstance(event, RowsDrawn):
                step = max(1, -(-len(event.rows) // PICTURE_ROWS))
                self.drawn[:] = [event.rows[::step].copy()]

        with listening(keep):
            yield

    def written(self, mixture: Any, source: Any, model: str, **known: Any) -> list[Said]:
        """Write the page; what is ``known`` of rows is drawn with them.

        Raises
        ------
        RuntimeError
            If that fails, whatever it is: the model is there.
        """
        if self.path is None:
            return []
        from dgmm.pages.fit import write_report  # noqa: PLC0415
        from dgmm.pages.origin import Origin, command_line  # noqa: PLC0415

        command = command_line(click.get_current_context().meta.get("dgmm.arguments", ()))
        try:
            write_report(
                mixture,
                self.path,
                self.drawn[0] if self.drawn and not known else source,
                **known,
                origin=Origin(source, command or None),
                overwrite=self.overwrite,
                storage_options=self.storage_options,
            )
        except Exception as error:
            raise RuntimeError(
                f"the model is in {model}, but its report {self.path} could not be written: "
                f"{type(error).__name__}: {error}"
            ) from error
        return [fact("report", self.path, report=self.path)]
