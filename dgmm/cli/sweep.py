"""The command ``sweep``, which chooses a model."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

import dgmm
from dgmm import report
from dgmm.cli.checkpoints import checkpoint_at, keeping
from dgmm.cli.cluster import Cluster, on_a_cluster
from dgmm.cli.options import (
    Number,
    changed_data,
    iterating,
    missing_in_fits,
    overwriting,
    reading_rows,
    rows_in_memory,
)
from dgmm.cli.program import main
from dgmm.cli.shell import code_of, say, say_notes
from dgmm.cli.side_information import SideInformationOptions, of_fits, open_features
from dgmm.data.text import counted
from dgmm.data.writing import creating_in
from dgmm.estimators.gaussian_mixture import INIT_PARAMS
from dgmm.estimators.sweep import SWEPT
from dgmm.facts import Exhibit, Fact, Said, fact
from dgmm.model.criteria import CRITERIA
from dgmm.model.families import FAMILIES

MODELS_SHOWN = 10


class Numbers(click.ParamType):
    """Numbers of components: ``1:20``, ``2:20:2`` or ``2,4,8``; ends of ranges are included."""

    name = "numbers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[int]:
        """Read the numbers."""
        if isinstance(value, list):
            return value
        numbers: list[int] = []
        try:
            for part in str(value).split(","):
                first, *rest = [int(number) for number in part.split(":")]
                last, step = [*rest, 1][:2] if rest else (first, 1)
                if len(rest) > 2:
                    raise ValueError
                numbers += range(first, last + 1, step)
        except ValueError:
            self.fail(f"{value!r} is not a list of numbers like 1:20, 2:20:2 or 2,4,8", param, ctx)
        if not numbers or min(numbers) < 1:
            self.fail(f"{value!r} must name numbers of at least 1", param, ctx)
        return numbers


def _families(_: click.Context, __: click.Parameter, value: str) -> list[str]:
    names = [name.strip() for name in value.split(",")]
    for name in names:
        if name not in FAMILIES:
            raise click.BadParameter(f"{name!r} is not one of {', '.join(FAMILIES)}")
    return names


@main.command()
@click.argument("data")
@click.option(
    "-k",
    "--components",
    type=Numbers(),
    default="1:10",
    show_default=True,
    help="Numbers of components, such as 1:20 or 2,4,8.",
)
@click.option(
    "--covariance",
    default=",".join(SWEPT),
    show_default=True,
    callback=_families,
    help="Covariance types to try.",
)
@click.option("--criterion", type=click.Choice(list(CRITERIA)), default="bic", show_default=True)
@click.option(
    "--out",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for model.npz, results.csv and report.html.",
)
@click.option(
    "--keep",
    type=Numbers(),
    help="Also write the models with these numbers of components, such as 4:6, to model-K-COVARIANCE.npz.",
)
@click.option(
    "--held-out",
    type=Number(0, 1, max_open=True),
    help="Share of the rows to hold out for scoring. [default: 0.1 for that criterion, else 0]",
)
@click.option(
    "--bootstrap",
    "n_bootstrap",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Bootstrap samples to test whether the best model needs its last component, or one more; 99 is "
    "usual.",
)
@click.option(
    "--no-prune", is_flag=True, help="Fit all models to convergence, even if they can no longer be the best."
)
@click.option(
    "--init", type=click.Choice(INIT_PARAMS), default="auto", show_default=True, help="How to start."
)
@click.option(
    "--tol", type=Number(0), help="Convergence threshold, nats per row. [default: depends on the rows]"
)
@iterating
@rows_in_memory
@of_fits
@missing_in_fits
@changed_data
@keeping
@overwriting
@reading_rows
@on_a_cluster()
def sweep(
    *,
    cluster: Cluster,
    opening: dict[str, Any],
    data: str,
    components: list[int],
    covariance: list[str],
    out: Path,
    keep: list[int] | None,
    overwrite: bool,
    held_out: float | None,
    no_prune: bool,
    init: str,
    tol: float | None,
    seed: int,
    allow_changed_data: bool,
    checkpoint: str | None,
    sample_rows: int | None,
    side_information: SideInformationOptions,
    **settings: Any,
) -> Sequence[Said]:
    """Fit mixtures of many sizes to DATA in the same passes, choose the best, and report.

    The report is one page of HTML with its pictures inside.
    """
    from dgmm.pages import sweep as pages  # noqa: PLC0415 - it needs an extra
    from dgmm.pages.origin import command_line  # noqa: PLC0415

    if missing := sorted(set(keep or ()) - set(components)):
        raise click.UsageError(f"--keep {missing[0]} is none of the numbers of components that are tried, -k")
    source = open_features(data, opening, side_information)
    known = side_information.known(data, source, opening["storage_options"])
    found = dgmm.GaussianMixtureSweep(
        components,
        covariance_type=covariance,
        held_out="auto" if held_out is None else held_out,
        prune=not no_prune,
        init_params=init,
        tol="auto" if tol is None else tol,
        random_state=seed,
        sample_rows=sample_rows or "auto",
        **settings,
    )
    ended, kept = None, checkpoint_at(checkpoint, opening["storage_options"])
    names = [model_name(number, family) for number in keep or () for family in covariance]
    with creating_in(out, (*pages.FILES, *names), overwrite=overwrite) as working:
        try:
            with cluster.joined(source):
                found.fit(
                    source,
                    **known,
                    allow_changed_data=allow_changed_data,
                    checkpoint=kept,
                )
        except KeyboardInterrupt as error:
            if getattr(found, "best_index_", None) is None:
                raise
            ended = error
        command = command_line(click.get_current_context().meta["dgmm.arguments"])
        # What is interrupted ends soon: its page is of rows in memory, of which no more is known.
        own = known if ended is None else {}
        files = pages.write_report(found, source, out, working=Path(working), command=command, **own)
        others = _write_models(found, names, Path(working))
    if ended is not None:
        say("interrupted", f"the results so far are in {', '.join(map(str, files))}")
        say_notes(ended)
        sys.exit(code_of(ended))
    return [
        *report.source_facts(source),
        *side_information.facts,
        *sweep_facts(found),
        models(found),
        *report.groups(found.best_estimator_),
        *comparisons(found),
        Exhibit("\n".join(f"- {sentence}" for sentence in found.advice_), {"advice": found.advice_}),
        *(fact(path.stem, path, **{path.stem: path}) for path in files),
        *([fact("kept", ", ".join(others), kept=[out / name for name in others])] if others else []),
        Exhibit("", {"out": out}),
    ]


def model_name(n_components: int, covariance_type: str) -> str:
    """Name the file of a model that is kept beside the best."""
    return f"model-{n_components}-{covariance_type}.npz"


def _write_models(found: Any, names: Sequence[str], working: Path) -> list[str]:
    """Write the models of these names, where they were fitted; give the names of those."""
    written = []
    for mixture in found.estimators_:
        if mixture is None:
            continue
        name = model_name(mixture.n_components, mixture.covariance_type)
        if name in names:
            mixture.save(working / name)
            written.append(name)
    return written


def sweep_facts(found: Any) -> list[Fact]:
    """Return the facts of a sweep, in a few lines."""
    results, best = found.results_, found.best_params_
    n_models = len(results["bic"])
    n_dropped, n_failed = int(results["dropped"].sum()), int(results["failed"].sum())
    return [
        fact(
            "models",
            f"{n_models:,}, of which {n_dropped:,} left early and {n_failed:,} failed",
            n_models=n_models,
            n_dropped=n_dropped,
            n_failed=n_failed,
        ),
        fact(
            "passes", f"{found.n_passes_:,} over all rows, for all of them together", n_passes=found.n_passes_
        ),
        fact(
            "best",
            f"{counted(best['n_components'], 'component')}, {best['covariance_type']} covariance",
            best=best,
        ),
        fact(
            found.criterion,
            f"{found.best_score_:.6f}",
            criterion=found.criterion,
            best_score=found.best_score_,
        ),
    ]


def comparisons(found: Any) -> list[Exhibit]:
    """Lay out the tests between neighbouring numbers of components, where there are some."""
    of = getattr(found, "comparisons_", {})
    if not of:
        return []
    columns, rows = report.comparison_lines(of)
    each = [{name: column[index] for name, column in of.items()} for index in range(len(rows))]
    return [Exhibit(report.table(columns, rows) if rows else "", {"comparisons": each})]


def models(found: Any) -> Exhibit:
    """Lay out the best models of a sweep."""
    results, criterion = found.results_, CRITERIA[found.criterion]
    losses = criterion.losses(results)
    order = [index for index in np.argsort(losses, kind="stable").tolist() if np.isfinite(losses[index])]
    rows = [
        [
            str(results["n_components"][index]),
            str(results["covariance_type"][index]),
            f"{results['log_likelihood'][index]:.6f}",
            f"{results[criterion.column][index]:.6f}",
            "left early" if results["dropped"][index] else "" if results["converged"][index] else "no",
        ]
        for index in order[:MODELS_SHOWN]
    ]
    laid_out = report.table(
        ["components", "covariance", "log-likelihood", found.criterion, "converged"], rows
    )
    rest = len(losses) - len(rows)
    laid_out.caption = f"and {rest:,} more models in results.csv" if rest else None
    others = [index for index in range(len(losses)) if index not in order]
    each = [{name: column[index] for name, column in results.items()} for index in (*order, *others)]
    return Exhibit(laid_out, {"models": each})
