"""Checkpoints: an interrupted fit goes on when the same call is made again.

A checkpoint is a folder: a head, which says what is fitted to which rows, and a journal of what passes and
searches gave (`dgmm.passes.journal`).
"""

from __future__ import annotations

import os
import platform
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from dgmm.data.durable import DurableFolder
from dgmm.data.fingerprint import Fingerprint
from dgmm.data.owner import owned
from dgmm.data.records import Kinds, RecordError, digest_of, read_record, write_record
from dgmm.data.types import Location
from dgmm.fitting.checks import NotFinite
from dgmm.fitting.dropping import Counted
from dgmm.fitting.label_checks import Fault, Tally
from dgmm.fitting.sample import Sample
from dgmm.fitting.starts.kmeans_parallel import Drawn
from dgmm.fitting.starts.labels import LabelledSums
from dgmm.fitting.steps.climb import Climb
from dgmm.fitting.steps.expectation import AllStatistics
from dgmm.fitting.survey import Survey
from dgmm.kernels import KERNELS, chosen_kernel
from dgmm.model.families import FAMILIES
from dgmm.model.feature_moments import FeatureMoments
from dgmm.model.jit import compiler
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import Moments, Statistics
from dgmm.model.variational import Posterior
from dgmm.passes.blas import blas
from dgmm.passes.entries import CLASSES, Extent, Reader
from dgmm.passes.journal import Journal, journalling, warn
from dgmm.passes.task import Effort, Timed
from dgmm.passes.watched import Seen, Witnessed

HEAD = "head.dgmm"


class CheckpointError(ValueError):
    """A checkpoint that cannot be gone on with: the message says why, and what to do."""


@dataclass(frozen=True)
class Checkpoint:
    """Where a fit keeps what it has reached.

    Parameters
    ----------
    place : str or path
        A folder, or a URL that fsspec knows. It need not exist.
    storage_options : mapping, optional
        For the file system of a URL. They are not kept.
    command : mapping, optional
        What the command line needs to go on by itself.

    Examples
    --------
    >>> from dgmm import GaussianMixture
    >>> mixture = GaussianMixture(2, random_state=0)
    >>> same = GaussianMixture(2, random_state=0)
    >>> X = [[1, 2], [2, 4], [3, 0], [10, 2], [11, 4], [12, 0]]
    >>> place = Checkpoint("memory://fits/first")
    >>> mixture.fit(X, checkpoint=place).means_ == same.fit(X, checkpoint=place).means_
    array([[ True,  True],
           [ True,  True]])
    """

    place: Location
    storage_options: Mapping[str, object] | None = field(default=None, repr=False)
    command: Mapping[str, object] | None = None

    @property
    def folder(self) -> DurableFolder:
        """The folder.

        Raises
        ------
        CheckpointError
            Where the path is empty: that would be the folder of the process.
        """
        if not os.fspath(self.place):
            raise CheckpointError("the path of the checkpoint is empty; give that of a folder")
        return DurableFolder.at(self.place, self.storage_options)


@dataclass(frozen=True, eq=False)
class Head:
    """What a checkpoint is of.

    Attributes
    ----------
    facts : dict of str to (str, str)
        What must be the same to go on: for each name how a person knows it, and a checksum.
    draws : object
        Where random draws begin: the state of a generator, or a seed.
    n_rows : int
    call : str
        The estimator, as it would be made again.
    environment : dict of str to str
        What rounding depends on.
    command : dict or None
        See `Checkpoint`.
    """

    facts: dict[str, tuple[str, str]]
    draws: Any
    n_rows: int
    call: str
    environment: dict[str, str]
    command: dict[str, object] | None = None

    def differences(self, other: Head, apart_from: Collection[str] = ()) -> list[str]:
        """Say in words what another call has that this one has not; some facts may differ."""
        found = []
        for name in dict.fromkeys([*self.facts, *other.facts]):
            if name in apart_from:
                continue
            (before, old), (now, new) = self.facts.get(name, NOTHING), other.facts.get(name, NOTHING)
            if old != new:
                found.append(f"{name} was {before}, and is {now}" if before != now else f"{name} changed")
        return found


NOTHING = ("nothing", "")

KINDS = Kinds(
    (
        *CLASSES,
        *(Head, Timed, Effort, Witnessed, Seen),
        *(Survey, Moments, NotFinite, Fingerprint, Sample, FeatureMoments, Counted, Drawn),
        *(Tally, Fault, LabelledSums),
        *(AllStatistics, Statistics, Climb, Parameters, Posterior),
    ),
    FAMILIES,
)
"""What passes, searches and steps of fits give."""


def kinds_with(classes: Iterable[type]) -> Kinds:
    """Return what fits give, and what else a kind of them does."""
    return Kinds((*KINDS.classes, *classes), KINDS.singletons)


def environment() -> dict[str, str]:
    """Say what the last bits of results depend on, beside the rows and parameters."""
    kernel = chosen_kernel()
    return {
        **{name: version(name) for name in ("dgmm", "numpy", "scipy", "scikit-learn")},
        "the kernel": next(name for name, each in KERNELS.items() if each is kernel),
        "the compiler": compiler(),
        "BLAS": blas(),
        "the processor": platform.machine(),
    }


@contextmanager
def keeping(
    checkpoint: Checkpoint | None,
    head: Head,
    apart_from: Collection[str] = (),
    classes: Iterable[type] = (),
) -> Iterator[Head]:
    """Keep what a fit reaches inside this context; go on from what is there.

    Parameters
    ----------
    checkpoint : Checkpoint or None
        None to keep nothing.
    head : Head
        Of this call.
    apart_from : collection of str
        Facts that need not be the same.
    classes : iterable of type
        Of what is answered, beyond `KINDS`.

    Yields
    ------
    Head
        That of the call that the checkpoint began with: its draws are to be made again.

    Raises
    ------
    CheckpointError
        If what is there is no checkpoint, or that of another fit.
    OwnedError
        If another process is writing to it.
    OSError
        If it cannot be written to.

    Warns
    -----
    CheckpointWarning
        Where it is damaged, or was begun with other versions or on another processor.
    """
    if checkpoint is None:
        yield head
        return
    folder = checkpoint.folder
    folder.create()
    with owned(checkpoint.place, storage_options=checkpoint.storage_options) as ownership:
        begun, origin = _begun(folder, head, apart_from)
        exactly = _is_same_environment(folder, begun, head)
        journal = Journal(folder, kinds_with(classes), origin, exactly=exactly, check=ownership.check)
        try:
            with journalling(journal):
                yield begun
                journal.finish()
        except BaseException as error:
            with suppress(Exception):
                journal.write()
            if journal.n_entries:
                how = f"dgmm resume {folder.place}" if begun.command else "the same call"
                error.add_note(f"the progress so far is in {folder.place}: {how} continues from there")
            raise


def _begun(folder: DurableFolder, head: Head, apart_from: Collection[str]) -> tuple[Head, str]:
    """Read the head that is there, or write this one; give it, and its checksum."""
    found = read_head(folder)
    if found is not None:
        differences = found[0].differences(head, apart_from)
        if differences:
            raise CheckpointError(
                f"{folder.place} is a checkpoint of another fit: {'; '.join(differences)}. Give this fit a "
                "folder of its own, remove that folder, or repeat the call that wrote it"
            )
        return found
    foreign = [name for name in folder.names() if not name.endswith(".dgmm") and not name.startswith(".")]
    if foreign:
        raise CheckpointError(
            f"{folder.place} is not a checkpoint, and not empty: it holds {foreign[0]!r}; give another folder"
        )
    data = write_record(head, KINDS)
    folder.put(HEAD, data)
    return head, digest_of(data)


def is_checkpoint(folder: DurableFolder) -> bool:
    """Return whether a folder is a checkpoint, whole or damaged."""
    return folder.has(HEAD)


def read_head(folder: DurableFolder) -> tuple[Head, str] | None:
    """Read what a checkpoint is of, and the checksum of that; None if there is none.

    Warns
    -----
    CheckpointWarning
        If it is damaged: then nothing there can be used.
    """
    try:
        data = folder.read(HEAD)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        head = read_record(data, KINDS)
        if not isinstance(head, Head):
            raise RecordError("it is something else")
    except RecordError as error:
        warn(f"{folder.place}: {HEAD} is damaged: {error}; without it nothing there can be used")
        return None
    return head, digest_of(data)


def extent_of(folder: DurableFolder, origin: str, classes: Iterable[type] = ()) -> Extent:
    """Say how much a checkpoint holds; ``classes`` are as for `keeping`."""
    return Reader(folder, kinds_with(classes), origin).extent()


def _is_same_environment(folder: DurableFolder, begun: Head, head: Head) -> bool:
    """Return whether what rounding depends on is what it was, and warn where it is not."""
    before, now = begun.environment, head.environment
    changed = [
        f"{name} was {before.get(name, 'none')}, and is {now.get(name, 'none')}"
        for name in dict.fromkeys([*before, *now])
        if before.get(name) != now.get(name)
    ]
    if changed:
        warn(
            f"{folder.place} was begun elsewhere: {'; '.join(changed)}. The fit goes on; its last bits may "
            "differ from those of an uninterrupted fit"
        )
    return not changed
