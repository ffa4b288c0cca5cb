"""The option ``--checkpoint``, and the command ``resume``."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import click

from dgmm.cli.cluster import on_a_cluster
from dgmm.cli.options import at_urls, overwriting
from dgmm.cli.program import main
from dgmm.data.location import portable
from dgmm.data.named_columns import leads_somewhere
from dgmm.data.owner import owner_of
from dgmm.data.text import redacted
from dgmm.facts import Fact, Said, fact
from dgmm.fitting import checkpoint as checkpoints
from dgmm.fitting.checkpoint import Checkpoint, CheckpointError, Head, extent_of, read_head

PATHS = ("data", "out", "page")
"""Parameters of commands that are paths."""

SIDE_INFORMATION = ("weights", "labels", "groups", "errors")
"""Parameters that are paths, or columns: one, or several of them."""

keeping = click.option(
    "--checkpoint", metavar="DIR", help="Save the result of each pass there; dgmm resume DIR continues."
)


def checkpoint_at(place: str | None, storage_options: Mapping[str, Any] | None) -> Checkpoint | None:
    """Return the checkpoint of the command that runs, with what is needed to run it again."""
    if place is None:
        return None
    context = click.get_current_context()
    given_paths = [name for name in PATHS if context.params.get(name) is not None]
    for name in given_paths:
        if redacted(context.params[name]) != str(context.params[name]):
            raise ValueError(
                f"{redacted(context.params[name])} contains a secret, which the checkpoint would store: pass "
                "it with --storage-option instead"
            )
    of_one_run = {param.name for param in resume.params}  # some of them may be secret
    given = {name: value for name, value in context.params.items() if name not in of_one_run}
    given |= {name: portable(os.fspath(given[name])) for name in given_paths}
    given |= _with_paths(given, lambda path: portable(path) if leads_somewhere(path) else path)
    command = {
        "name": context.command.name,
        "parameters": given,
        "names of storage options": sorted(storage_options or {}),
    }
    return Checkpoint(place, storage_options, command)


@main.command()
@click.argument("checkpoint", metavar="DIR")
@overwriting
@at_urls
@on_a_cluster()
@click.pass_context
def resume(
    context: click.Context,
    *,
    checkpoint: str,
    storage_option: dict[str, Any] | None,
    **_: Any,
) -> Sequence[Said]:
    """Resume the fit or sweep whose --checkpoint is DIR: the result is as without interruption.

    It may run elsewhere: on threads here, or on a cluster as --workers or --scheduler say.
    """
    head = head_at(checkpoint, storage_option)[0]
    if head.command is None:
        raise CheckpointError(
            f"{checkpoint} was written by a call in Python, whose rows are not known here: repeat "
            f"that call with checkpoint={checkpoint!r}; dgmm info {checkpoint} shows which call it was"
        )
    name, given = cast(str, head.command["name"]), cast(dict[str, Any], head.command["parameters"])
    wanted = cast(list[str], head.command["names of storage options"])
    if missing := [each for each in wanted if each not in (storage_option or {})]:
        raise click.UsageError(
            f"the values of --storage-option {', '.join(missing)} are not stored: give them again"
        )
    command = main.get_command(context, name)
    assert command is not None
    given |= _with_paths(given, os.path.expanduser)
    for param in command.params:
        if param.name in PATHS and given.get(param.name) is not None:
            path = os.path.expanduser(given[param.name])
            given[param.name] = Path(path) if getattr(param.type, "type", None) is Path else path
    return context.invoke(command, **given, **context.params)


def _with_paths(given: Mapping[str, Any], change: Callable[[str], str]) -> dict[str, Any]:
    """Return parameters of side information with their paths, or columns, changed."""
    found = {name: given[name] for name in SIDE_INFORMATION if given.get(name)}
    return {
        name: change(value) if isinstance(value, str) else [change(each) for each in value]
        for name, value in found.items()
    }


def head_at(place: str, storage_options: Mapping[str, Any] | None) -> tuple[Head, str]:
    """Read what a checkpoint is of, and the checksum of that.

    Raises
    ------
    CheckpointError
        If there is none.
    """
    found = read_head(Checkpoint(place, storage_options).folder)
    if found is None:
        raise CheckpointError(
            f"{place} is no checkpoint that can be read: give the folder that --checkpoint was given"
        )
    return found


def is_checkpoint(place: str, storage_options: Mapping[str, Any] | None = None) -> bool:
    """Return whether there is a checkpoint at a path or URL."""
    return bool(place) and checkpoints.is_checkpoint(Checkpoint(place, storage_options).folder)


def checkpoint_facts(place: str, storage_options: Mapping[str, Any] | None) -> list[Fact]:
    """Say what a checkpoint is of, and how far it is."""
    from dgmm.fitting.sweep.sweep import ANSWERED  # noqa: PLC0415 - a fit imports no sweep

    head, origin = head_at(place, storage_options)
    extent = extent_of(Checkpoint(place, storage_options).folder, origin, ANSWERED)
    owner = owner_of(place, storage_options=storage_options)
    how = "the same call in Python" if head.command is None else f"dgmm resume {place}"
    state = "ended" if extent.is_complete else f"in work by {owner}" if owner else f"can go on: {how}"
    found = [
        fact("checkpoint", place, checkpoint=place),
        fact("of", head.call, call=head.call),
        fact("rows", f"{head.n_rows:,}", n_rows=head.n_rows),
        fact("reached", str(extent), reached=dict(extent.counts)),
        fact("state", state, is_complete=extent.is_complete, is_in_work=owner is not None),
    ]
    return [*found, fact("damage", extent.damage, damage=extent.damage)] if extent.damage else found
