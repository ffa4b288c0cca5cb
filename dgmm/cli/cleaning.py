"""The command ``clean``, which removes what killed runs have left."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import click

from dgmm import report
from dgmm.cli.options import at_urls
from dgmm.cli.program import main
from dgmm.data.listing import stored_kind
from dgmm.data.location import locate
from dgmm.data.owner import OwnedError
from dgmm.data.siblings import SIBLING, Sibling, discard, is_complete, siblings, siblings_in, size_and_touch
from dgmm.data.text import printable, redacted
from dgmm.facts import Exhibit, Said, fact


@main.command()
@click.argument("path")
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and remove nothing.")
@at_urls
def clean(path: str, *, dry_run: bool, storage_option: dict[str, Any] | None) -> Sequence[Said]:
    """Remove what killed runs have left at PATH: a folder that holds outputs, or an output.

    That are hidden folders .NAME.*.tmp beside what was to be written. Those of living processes stay, here
    and on other machines. What was complete is put in place, if nothing else is there.
    """
    removed, kept = [], []
    for left in _left_at(path, storage_option):
        n_bytes, touched = size_and_touch(left, storage_option)
        reason = _why_kept(left, touched, storage_option)
        if reason is None and not dry_run:
            try:
                discard(left, storage_option)
            except OwnedError as error:  # since it was listed
                reason = str(error)
        if reason is None:
            removed.append((redacted(left.path), n_bytes))
        else:
            kept.append((redacted(left.path), n_bytes, reason))
    total = sum(n_bytes for _, n_bytes in removed)
    lines = [f"{report.size(n_bytes):>12}  {printable(place)}" for place, n_bytes in removed]
    lines += [
        f"{report.size(n_bytes):>12}  {printable(place)} stays: {printable(reason)}"
        for place, n_bytes, reason in kept
    ]
    values = {
        "removed": [] if dry_run else [{"path": place, "bytes": n_bytes} for place, n_bytes in removed],
        "would_remove": [{"path": place, "bytes": n_bytes} for place, n_bytes in removed] if dry_run else [],
        "kept": [{"path": place, "bytes": n_bytes, "reason": reason} for place, n_bytes, reason in kept],
    }
    verb = "to remove" if dry_run else "removed"
    return [
        Exhibit("\n".join(lines), values),
        fact(verb, f"{len(removed):,}, {report.size(total)}", bytes=total),
    ]


def _left_at(path: str, options: Mapping[str, Any] | None) -> list[Sibling]:
    """List what was left in a folder of outputs, and beside what is or was to be an output.

    Raises
    ------
    FileNotFoundError
        If there is nothing at the path, and nothing was left beside it.
    """
    filesystem, root = locate(path, options)
    beside = siblings(path, options)
    is_folder = filesystem.isdir(root) and stored_kind(filesystem, root) != "zarr"
    if not beside and not filesystem.exists(root):
        raise FileNotFoundError(f"{redacted(path)} does not exist, and nothing was left beside it")
    return beside + (siblings_in(path, options) if is_folder else [])


def _why_kept(left: Sibling, touched: float | None, options: Mapping[str, Any] | None) -> str | None:
    """Say why something is not to be removed; None if it is."""
    if left.owner is not None:
        return f"in use by {left.owner}"
    recent = touched is not None and time.time() - touched < SIBLING.seconds_untouched
    if not left.is_owned and recent and not is_complete(left, options):
        return "its owner is not known, and it was written to within the last hour"
    return None
