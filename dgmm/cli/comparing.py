"""The command ``compare``: two models side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from dgmm import report
from dgmm.cli.cluster import Cluster, on_a_cluster
from dgmm.cli.models import load_model, open_for
from dgmm.cli.options import missing_in_rows, reading_rows
from dgmm.cli.program import main
from dgmm.cli.side_information import SideInformationOptions, of_judged
from dgmm.data.text import plural
from dgmm.estimators.comparing import Comparison, PairSums, compare_on
from dgmm.estimators.comparing import compare as compared
from dgmm.estimators.validation import open_sample_weight
from dgmm.facts import Exhibit, Fact, Said, fact
from dgmm.model.criteria import bic

PAIRS_SHOWN = 30
"""Pairs of components that are shown, the nearest first; --json has all."""

SURE = 0.05
"""A p-value below this is taken for a difference."""


@main.command()
@click.argument("first", metavar="MODEL")
@click.argument("second", metavar="OTHER")
@click.argument("data", required=False)
@of_judged
@missing_in_rows
@reading_rows
@on_a_cluster()
def compare(
    *,
    cluster: Cluster,
    opening: dict[str, Any],
    first: str,
    second: str,
    data: str | None,
    side_information: SideInformationOptions,
    missing: str | None,
) -> Sequence[Said]:
    """Compare two models: which components match, and which model fits DATA better.

    Components are paired so that all pairs together are as near as can be, whatever their numbers. With DATA
    one pass gives the log-likelihood of each model, its BIC, and Vuong's test of the difference. Weights of
    rows count rows.
    """
    one, other = (load_model(each, opening["storage_options"], data) for each in (first, second))
    found = compared(one, other)
    said: list[Said] = [*_divergences(found), _pairs(found, one.weights_, other.weights_)]
    if data is None:
        return said
    source = open_for(one, data, opening, missing)
    if missing is not None:
        other.set_params(missing=missing)
    measured = side_information.measured(data, source, opening["storage_options"])
    parts = side_information.parts(data, opening["storage_options"])
    weights, groups = open_sample_weight(parts.get("sample_weight"), source), parts.get("groups")
    with cluster.joined(source):
        sums = compare_on(one, other, measured, weights, groups)
    return [
        *said,
        report.rows_fact(source),
        *side_information.facts,
        *_on_rows(sums, (first, second), (one, other), groups),
    ]


def _divergences(found: Comparison) -> list[Fact]:
    there, back = found.divergence
    text = f"about {there:.4g} nats a row from MODEL to OTHER, {back:.4g} back (Kullback-Leibler)"
    return [fact("distance", text, divergence={"there": there, "back": back})]


def _pairs(found: Comparison, weights: Any, others: Any) -> Exhibit:
    columns = ["component", "weight", "other", "weight", "Bhattacharyya, nats", "Kullback-Leibler", "back"]
    described, lines = [], []
    for (i, j), distance, (there, back) in zip(
        found.pairs.tolist(), found.distances.tolist(), found.divergences.tolist(), strict=True
    ):
        lines.append(
            [
                *(str(i), f"{weights[i]:.4f}", str(j), f"{others[j]:.4f}"),
                *(f"{value:.4g}" for value in (distance, there, back)),
            ]
        )
        described.append(
            {
                "component": i,
                "other": j,
                "weights": [weights[i], others[j]],
                "bhattacharyya": distance,
                "kullback_leibler": {"there": there, "back": back},
            }
        )
    rest = [
        f"{plural(len(left), 'component')} {', '.join(map(str, left))} of {name} alone"
        for name, left in zip(("MODEL", "OTHER"), found.unmatched, strict=True)
        if left
    ]
    more = len(lines) - PAIRS_SHOWN
    table = report.table(columns, lines[:PAIRS_SHOWN])
    table.caption = "; ".join([*([f"and {more:,} more pairs"] if more > 0 else []), *rest]) or None
    return Exhibit(table, {"pairs": described, "unmatched": [*found.unmatched]})


def _on_rows(sums: PairSums, names: Sequence[str], models: Sequence[Any], groups: Any) -> list[Fact]:
    facts = []
    for place, name, mean, model in zip(("model", "other"), names, sums.means, models, strict=True):
        text, own = f"{mean:.6f} nats a row", {"path": name, "log_likelihood": mean}
        if hasattr(model, "bic"):  # priors are no parameters to be counted
            n_parameters = model._n_parameters(groups if hasattr(model, "groups_") else None)
            own["bic"] = bic(mean * sums.weight, n_parameters, sums.weight)
            text += f", BIC {own['bic']:.3f}"
        facts.append(fact(name, text, **{place: own}))
    better = names[0] if sums.difference > 0.0 else names[1]
    verdict = f"{better} fits the rows better" if sums.p_value < SURE else "no significant difference"
    text = f"{sums.difference:+.4g} ± {sums.error:.2g} nats a row: z = {sums.z:.2f}, {verdict}"
    own = {"difference": sums.difference, "error": sums.error, "z": sums.z, "p_value": sums.p_value}
    return [*facts, fact("Vuong's test", text, vuong=own)]
