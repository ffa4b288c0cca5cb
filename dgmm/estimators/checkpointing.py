"""What a checkpoint and a call must have in common."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state

from dgmm.data.ambient import read_now
from dgmm.data.fingerprint import HASHED_ROWS, Fingerprint
from dgmm.data.location import portable
from dgmm.data.memory import is_in_memory
from dgmm.data.records import likeness_of
from dgmm.data.revision import revision_of
from dgmm.data.source import Source
from dgmm.data.text import listed
from dgmm.data.types import Location
from dgmm.fitting.checkpoint import Checkpoint, Head, environment

WITHOUT_EFFECT = ("verbose", "verbose_interval")
"""Parameters that do not change what is fitted."""

ROWS, WEIGHTS = "the rows'", "the row weights'"

BESIDE = ("the labels'", "the groups'", "the errors'")

OF_CHANGED_ROWS = [
    f"{whose} {what}" for whose in (ROWS, WEIGHTS, *BESIDE) for what in ("place", "files", "values")
]
"""Facts that may differ where rows may change."""

LONGEST = 200
"""Letters of a value in a message."""


def checkpoint_at(given: Location | Checkpoint | None) -> Checkpoint | None:
    """Return the checkpoint that a user means by what was given to ``fit``."""
    return given if given is None or isinstance(given, Checkpoint) else Checkpoint(given)


def generator_from(estimator: Any, state: Any) -> np.random.RandomState:
    """Return the generator of an estimator, at a place of its stream.

    One that the user gave is set to it; the global one, which ``random_state=None`` stands for, is not.
    """
    given = estimator.random_state
    generator = np.random.RandomState() if given is None else check_random_state(given)
    generator.set_state(state)
    return generator


def head_of(
    estimator: BaseEstimator,
    source: Source,
    weights: Source | None,
    draws: object,
    checkpoint: Checkpoint | None,
    *,
    side_information: Mapping[str, Source | np.ndarray | tuple[str, ...]] | None = None,
    **more: object,
) -> Head:
    """Say what a fit is of.

    Parameters
    ----------
    estimator : BaseEstimator
    source : Source
    weights : Source or None
    draws : object
        See `Head`.
    checkpoint : Checkpoint or None
        Without one, little is said: rows in memory are not looked at.
    side_information : mapping of str to Source, optional
        What is known of the rows beyond their features, by what that is called: of each row; or the same of
        all, or in columns of the rows' own source.
    **more : object
        What else must be the same; in the place of parameters of the same names.
    """
    if checkpoint is None:
        return Head({}, draws, source.n_rows, "", {})
    parameters = {**estimator.get_params(deep=False), **more}
    facts = {"the estimator": fact(type(estimator).__name__)}
    facts |= {name: fact(value) for name, value in parameters.items() if name not in WITHOUT_EFFECT}
    facts |= {f"{ROWS} {name}": each for name, each in facts_of(source).items()}
    if weights is not None:
        facts |= {f"{WEIGHTS} {name}": each for name, each in facts_of(weights).items()}
    for what, own in (side_information or {}).items():
        of_rows = {"values": fact(own)} if isinstance(own, (np.ndarray, tuple)) else facts_of(own)
        facts |= {f"the {what}' {name}": each for name, each in of_rows.items()}
    command = None if checkpoint.command is None else dict(checkpoint.command)
    return Head(facts, draws, source.n_rows, " ".join(repr(estimator).split()), environment(), command)


def fact(value: object) -> tuple[str, str]:
    """Return a text for a value, and a checksum of it."""
    if isinstance(value, np.generic):
        value = value.item()
    text = f"an array of shape {value.shape}" if isinstance(value, np.ndarray) else repr(value)
    text = text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
    return re.sub(r" at 0x[0-9a-f]+", "", text), likeness_of(value).exact


def facts_of(source: Source) -> dict[str, tuple[str, str]]:
    """Say which rows these are: where they lie, of what shape they are, and what their store says of itself.

    Of rows in memory all numbers count.
    """
    names = source.feature_names
    found = {
        "place": fact(place_of(source.name)),
        "number": fact(source.n_rows),
        "number of features": fact(source.n_features),
        "dtype": fact(str(source.dtype)),
        "columns": fact("unnamed" if names is None else listed(list(names), 5)),
    }
    if names is not None:
        found["columns"] = (found["columns"][0], likeness_of(names).exact)
    if revision := str(revision_of(source)):
        found["files"] = ("as they were written", revision)
    elif is_in_memory(source):
        found["values"] = fact(str(_fingerprint(source)))
    return found


def _fingerprint(source: Source) -> Fingerprint:
    """Take the fingerprint of rows in memory, without a pass and its events."""
    found, start = Fingerprint(source.n_features, str(source.dtype)), 0
    while start < source.n_rows:
        rows = read_now(source.rows(start, min(start + HASHED_ROWS, source.n_rows)))
        found, start = found.extended(start, rows), start + len(rows)
    return found


def place_of(name: str) -> str:
    """Return the place of rows without credentials, and without the name of this user's folder."""
    return portable(name) if "://" in name or os.path.exists(name) else name
