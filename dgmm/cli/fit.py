"""The command ``fit``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import click

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
    to_a_model,
)
from dgmm.cli.output import check_output
from dgmm.cli.pictures import Page
from dgmm.cli.program import main
from dgmm.cli.side_information import (
    SideInformationOptions,
    of_fits,
    open_features,
)
from dgmm.data.writing import creating
from dgmm.estimators.gaussian_mixture import ALGORITHMS, INIT_PARAMS
from dgmm.facts import Said
from dgmm.fitting.starts.methods import SEARCHES
from dgmm.model.families import FAMILIES


@main.command()
@click.argument("data")
@click.option("-k", "--components", type=click.IntRange(1), required=True, help="Number of components.")
@click.option("--covariance", type=click.Choice(list(FAMILIES)), default="full", show_default=True)
@to_a_model
@click.option(
    "--init", type=click.Choice(INIT_PARAMS), default="auto", show_default=True, help="How to start."
)
@click.option(
    "--tol",
    type=Number(0),
    help="Convergence threshold, nats per row (em with --bayesian: in total).  [default: 1e-3 by em, "
    "1e-6 by corrected]",
)
@click.option(
    "--algorithm",
    type=click.Choice(ALGORITHMS),
    default="auto",
    show_default=True,
    help="em: each pass is a step. corrected: each is followed by many on a sample, and the next one is "
    "their test. auto: corrected for more than --sample-rows rows.",
)
@iterating
@click.option(
    "--bayesian",
    is_flag=True,
    help="Variational Bayes: -k is the most components; the others end without rows.",
)
@click.option(
    "--concentration",
    type=Number(0, min_open=True),
    help="Concentration of the Dirichlet process: less gives fewer components.",
)
@rows_in_memory
@click.option(
    "--search",
    type=click.Choice(SEARCHES),
    default="auto",
    show_default=True,
    help="How much to search for starts on this sample. auto: as long as it is worth the work. "
    "thorough: however long it takes.",
)
@of_fits
@click.option(
    "--report", "page", metavar="REPORT.html", help="Write an HTML report of the fit, with pictures."
)
@missing_in_fits
@changed_data
@keeping
@overwriting
@reading_rows
@on_a_cluster()
def fit(
    *,
    cluster: Cluster,
    opening: dict[str, Any],
    data: str,
    components: int,
    covariance: str,
    out: str,
    overwrite: bool,
    init: str,
    seed: int,
    bayesian: bool,
    concentration: float | None,
    allow_changed_data: bool,
    checkpoint: str | None,
    sample_rows: int | None,
    tol: float | None,
    side_information: SideInformationOptions,
    page: str | None,
    **settings: Any,
) -> Sequence[Said]:
    """Fit a mixture to DATA and write it to a model file."""
    check_output(out, (".npz",), overwrite=overwrite, storage_options=opening["storage_options"])
    if bayesian and (side_information.labels or side_information.groups):
        raise click.UsageError("--labels and --groups are of maximum likelihood: leave --bayesian out")
    wanted = Page(page, overwrite, opening["storage_options"])
    wanted.check()
    source = open_features(data, opening, side_information)
    at_urls = {"storage_options": opening["storage_options"]}
    known = side_information.known(data, source, **at_urls)
    if concentration is not None and not bayesian:
        raise click.UsageError("--concentration is of a prior: give --bayesian too")
    kind: Any = dgmm.GaussianMixture
    if bayesian:
        kind = partial(dgmm.BayesianGaussianMixture, weight_concentration_prior=concentration, moves=True)
    model = kind(
        n_components=components,
        covariance_type=covariance,
        init_params=init,
        random_state=seed,
        sample_rows=sample_rows or "auto",
        tol="auto" if tol is None else tol,
        **settings,
    )
    kept = checkpoint_at(checkpoint, opening["storage_options"])
    with creating(out, overwrite=overwrite, is_file=True, **at_urls) as working:
        with cluster.joined(source), wanted.watching():
            model.fit(source, allow_changed_data=allow_changed_data, checkpoint=kept, **known)
        model.save(working, **at_urls)
    facts = [
        *report.source_facts(source),
        *side_information.facts,
        *report.model_facts(model),
        *report.speed_facts(model),
    ]
    return [*facts, report.written("model", out), *wanted.written(model, source, out, **known)]
