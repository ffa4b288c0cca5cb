"""The E-step of incomplete rows: expected statistics of the complete rows, exactly.

Models without covariances between features take rows as they come (`dgmm.kernels.flags`); so does one whose
components share a covariance matrix of many features, in the compiled kernel (`dgmm.kernels.tied`). For the
others, rows are put together by the features that they have (`dgmm.kernels.patterns`), and a kernel sums the
statistics of these features pattern by pattern, under marginal mixtures that are all made ready at once
(`dgmm.kernels.marginals`). The sums of all patterns are made expected statistics of complete rows together
(`dgmm.model.observed`). Rows of a pattern that few have are evaluated each for itself (`dgmm.kernels.rare`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import chain, compress, islice
from typing import NamedTuple, cast

import numpy as np

from dgmm.kernels.flags import flagged, with_flags
from dgmm.kernels.kernel import Kernel, Part, Parts, PatternSums, pieces_of
from dgmm.kernels.marginals import Marginals, bytes_of_a_pattern
from dgmm.kernels.patterns import Grouped, grouped
from dgmm.kernels.priors import weighted_shares
from dgmm.kernels.rare import Eliminate, eliminate, expected_rows, own_entries, row_seconds
from dgmm.kernels.stack import Stack
from dgmm.kernels.stacking import some_of
from dgmm.kernels.sums import expected_sums
from dgmm.kernels.tied import can_come, tied_bytes
from dgmm.model.conditional import plain
from dgmm.model.matrices import DegenerateCovarianceError
from dgmm.model.parameters import Parameters
from dgmm.model.statistics import Statistics

GROUPED_BYTES = 2**22
"""Of rows whose patterns are found at a time: they and their copy stay in a cache."""

WAITING_BYTES, PART_BYTES = 2**25, 2**9
"""Bytes of rows that wait for others of their patterns, or are held; and what each pattern of those that wait
takes beside these."""

READY_BYTES = 2**26
"""Bytes of patterns whose marginal mixtures are ready, with their sums."""

WORKING_BYTES = 2 * WAITING_BYTES + READY_BYTES + 3 * GROUPED_BYTES
"""Of all that."""

NUMPY_SECONDS, COMPILED_SECONDS = (1e-5, 4e-8, 5e-10), (8e-6, 2e-8, 5e-10)
"""About what a pattern takes, however few its rows are, by NumPy and compiled; more for each entry of a
covariance, and for the cube of its features."""

WAYS = {False: b"by pattern", True: b"as they come"}
"""Under which a stack keeps its `Ways`, by whether tied models take rows as they come: no patterns."""

Pattern = bytes
"""Which features rows have: a byte for each."""


def patterns_in(part: Grouped) -> list[Pattern]:
    """Return the patterns of rows, as keys."""
    n_patterns, n_features = part.known.shape
    found = part.known.tobytes()  # once: calls for each take as long as what is done with rows of rare ones
    return [found[start : start + n_features] for start in range(0, n_patterns * n_features, n_features)]


class Ways(NamedTuple):
    """The models of a stack, by how rows that lack values are evaluated.

    Attributes
    ----------
    flagged, by_pattern : Stack or None
        Models with flags for missing values (`dgmm.kernels.flags`), and those that go by pattern; None where
        none do.
    tied : tuple of Stack
        A stack for each model that takes rows as they come (`dgmm.kernels.tied`).
    flagged_models, tied_models, other_models : list of int
        Which of the stack these are.
    """

    flagged: Stack | None
    by_pattern: Stack | None
    tied: tuple[Stack, ...]
    flagged_models: list[int]
    tied_models: list[int]
    other_models: list[int]

    @classmethod
    def of(cls, kernel: Kernel, stack: Stack) -> Ways:
        """Find them, once for all tasks of a process."""
        key = WAYS[kernel.tied_rows is not None]
        if key not in stack.ready:
            flagged_models = with_flags(stack)
            tied_models = [] if kernel.tied_rows is None else can_come(stack)
            taken = {*flagged_models, *tied_models}
            others = [index for index in range(len(stack.models)) if index not in taken]
            models = [plain(cast(Parameters, stack.models[index])) for index in flagged_models]
            stack.ready[key] = cls(
                flagged(stack, models) if models else None,
                (some_of(stack, others) if taken else stack) if others else None,
                tuple(
                    some_of(stack, [index]) if others or flagged_models else stack for index in tied_models
                ),
                flagged_models,
                tied_models,
                others,
            )
        return stack.ready[key]

    @property
    def stacks(self) -> list[Stack]:
        """Return all stacks."""
        return [each for each in (self.flagged, self.by_pattern, *self.tied) if each is not None]


def expect(kernel: Kernel, stack: Stack, chunks: Parts) -> tuple[Statistics, ...]:
    """E-step of rows that may lack values: see `dgmm.kernels.kernel.Kernel.expect`.

    The statistics are complete, those of families whose components share a covariance too.

    Parameters
    ----------
    kernel : Kernel
        That evaluates the rows.
    stack : Stack
        Made for such rows.
    chunks : iterable of (rows, weights) or Part
    """
    ways = Ways.of(kernel, stack)
    work = None if ways.by_pattern is None else _Work(kernel, ways.by_pattern)
    tied = [] if kernel.tied_rows is None else [kernel.tied_rows(each) for each in ways.tied]

    def chunks_with_flags() -> Iterator[Part]:
        for chunk in chunks:
            part = Part.of(chunk)
            if work is not None:
                work.add(part.of_models(ways.other_models))
            for index, rows in zip(ways.tied_models, tied, strict=True):
                rows.add(part.of_model(index))
            yield part.of_models(ways.flagged_models)

    found: dict[int, Statistics] = {}
    if ways.flagged is None:
        deque(chunks_with_flags(), maxlen=0)
    else:
        statistics = kernel.expect(ways.flagged, chunks_with_flags())
        found.update(zip(ways.flagged_models, statistics, strict=True))
    if work is not None:
        found.update(zip(ways.other_models, work.statistics(), strict=True))
    found.update(zip(ways.tied_models, (rows.statistics() for rows in tied), strict=True))
    return tuple(found[index] for index in range(len(stack.models)))


def working_bytes(kernel: Kernel, stack: Stack) -> int:
    """Forecast the bytes that `expect` allocates beyond the rows."""
    ways = Ways.of(kernel, stack)
    n_bytes = sum(map(kernel.working_bytes, ways.stacks)) + sum(map(tied_bytes, ways.tied))
    return n_bytes + (0 if ways.by_pattern is None else WORKING_BYTES)


class _Work:
    """Expected sums of all models of a stack.

    Rows wait until there are enough of their pattern to make it ready, or too many wait. What is made ready
    together takes a tenth of the time that it takes one after the other. Patterns have places in a list, of
    those that are ready, and of rows that wait: there is the number of each among the ready ones, or −1, and
    how many rows of it wait.
    """

    def __init__(self, kernel: Kernel, stack: Stack):
        self.kernel, self.stack = kernel, stack
        self.sums = expected_sums(stack)
        self.models = [sums.parameters for sums in self.sums]
        self.fewest = fewest_rows(self.models, kernel.eliminate)
        self.most_ready = max(1, READY_BYTES // bytes_of_a_pattern(self.models))
        self.held: list[Grouped] = []
        self.waiting: list[Grouped] = []
        self.n_bytes, self.n_weights = 0, 1
        self.memory = np.empty(0, np.uint8)
        self.places: dict[Pattern, int] = {}
        self.numbers, self.n_waiting = np.empty((2, 0), np.intp)
        self.ready_keys: list[Pattern] = []
        self.ready: Marginals | None = None
        self.by_pattern: PatternSums | None = None

    def add(self, part: Part) -> None:
        """Add rows, with weights (n,) or (n_models, n) or None, and priors.

        A piece of rows that are in order has few patterns: such pieces are held until there are many.
        """
        n_rows = max(1, GROUPED_BYTES // (part.rows.itemsize * part.rows.shape[1]))
        self.n_weights = 1 if part.weights is None or part.weights.ndim == 1 else len(part.weights)
        for rows, weights, priors, _ in pieces_of(part, n_rows):
            if rows.nbytes > len(self.memory):
                self.memory = np.empty(rows.nbytes, np.uint8)
            found = self._placed(grouped(rows, weights, self.memory, priors))
            is_in_order = np.may_share_memory(found.rows, rows)  # and no copy
            if not is_in_order or (self.numbers[found.places] >= 0).all():
                self._take([found])
            else:
                self.held.append(found)
                if sum(each.n_bytes for each in self.held) + self.n_bytes > WAITING_BYTES:
                    self._take_held()
        if part.rows.nbytes > WAITING_BYTES:  # which would be held with the piece
            self._take_held()

    def _placed(self, part: Grouped) -> Grouped:
        """Return rows with the places of their patterns in the list."""
        place = self.places.setdefault
        places = [place(key, len(self.places)) for key in patterns_in(part)]
        n_new = len(self.places) - len(self.numbers)
        self.numbers = np.append(self.numbers, np.full(n_new, -1))
        self.n_waiting = np.append(self.n_waiting, np.zeros(n_new, np.intp))
        return part._replace(places=np.array(places, np.intp))

    def _take_held(self) -> None:
        held, self.held = self.held, []
        self._take(held)

    def _take(self, parts: Sequence[Grouped]) -> None:
        """Evaluate rows of patterns that are ready, or are worth it; copies of the others wait."""
        for part in parts:
            self.n_waiting[part.places] += np.where(self.numbers[part.places] < 0, part.sizes, 0)
        frequent = self._frequent()
        if len(self.ready_keys) + len(frequent) <= self.most_ready:
            self._make_ready(frequent)
        for part in parts:
            for rest in self._added([part]):
                self.waiting.append(rest._replace(rows=rest.rows.copy()) if rest is part else rest)
                self.n_bytes += rest.n_bytes + PART_BYTES * len(rest.ends)
        if self.n_bytes > WAITING_BYTES:
            self._work_off()

    def statistics(self) -> tuple[Statistics, ...]:
        """Return the statistics of each model."""
        self._take_held()
        self._work_off()
        self._lift()
        return tuple(sums.statistics() for sums in self.sums)

    def _frequent(self) -> list[Pattern]:
        """Return the patterns of rows that wait which are worth to be made ready."""
        waits = self.n_waiting >= max(1.0, self.fewest)
        return [*compress(self.places, (waits & (self.numbers < 0)).tolist())]

    def _work_off(self) -> None:
        """Evaluate what waits: of frequent patterns, and each row of the others for itself."""
        waiting, frequent = self._added(self.waiting), self._frequent()
        for start in range(0, len(frequent), self.most_ready):
            self._make_ready(frequent[start : start + self.most_ready])
            waiting = self._added(waiting)
        for part in waiting:
            self._add_rare(Part(part.rows, part.weights, part.priors))
        self.waiting, self.n_bytes = [], 0
        self.places = {key: number for number, key in enumerate(self.ready_keys)}
        self.numbers, self.n_waiting = np.arange(len(self.places)), np.zeros(len(self.places), np.intp)
        self.held = [self._placed(part) for part in self.held]

    def _added(self, parts: Sequence[Grouped]) -> list[Grouped]:
        """Add the rows whose patterns are ready, and give the others."""
        others = []
        for part in parts:
            numbers = self.numbers[part.places]
            is_ready = numbers >= 0
            if self.by_pattern is not None and is_ready.any():
                self.by_pattern.add(part.of(is_ready), numbers[is_ready])
            if not is_ready.all():
                others.append(part.of(~is_ready))  # the same where none is
        return others

    def _make_ready(self, keys: Sequence[Pattern]) -> None:
        """Make patterns ready beside those that are, or in their place where there are too many."""
        made = self._marginals(keys)
        if not made:
            return
        self._lift()
        if self.ready is not None and len(self.ready_keys) + len(made) <= self.most_ready:
            made = {key: (self.ready, number) for number, key in enumerate(self.ready_keys)} | made
        self.ready_keys = [*made]
        self.numbers[:] = -1
        self.numbers[[self.places[key] for key in made]] = np.arange(len(made))
        self.ready = Marginals.joined([*made.values()])
        self.by_pattern = self.kernel.pattern_sums(self.stack, self.ready, self.n_weights)

    def _lift(self) -> None:
        """Make expected sums of what was summed by pattern."""
        if self.ready is not None and self.by_pattern is not None:
            found = self.by_pattern.statistics()
            for sums, statistics, lifts in zip(self.sums, found, self.ready.lifts, strict=True):
                sums.add(statistics, lifts)

    def _marginals(self, keys: Sequence[Pattern]) -> dict[Pattern, tuple[Marginals, int]]:
        """Return the marginal mixtures of patterns, which all tasks of a process share, and the number there.

        Not of those where features of a model depend on each other, but for rounding errors that their order
        decides on: then each model is evaluated for itself, and fails for itself.
        """
        shared: dict[Pattern, tuple[Marginals, int]] = self.stack.ready
        found = {key: shared[key] for key in keys if key in shared}
        made = dict(self._made([key for key in keys if key not in found]))
        shared.update(islice(made.items(), max(0, self.most_ready - len(shared))))
        # In one order, whatever other tasks had made before: sums are over patterns in that order.
        return {key: (found | made)[key] for key in keys if key in found or key in made}

    def _made(self, keys: Sequence[Pattern]) -> Iterator[tuple[Pattern, tuple[Marginals, int]]]:
        if not keys:
            return
        known = np.frombuffer(b"".join(keys), bool).reshape(len(keys), -1)
        try:
            marginals = Marginals.of(self.stack, self.models, known, self.kernel.regress)
        except DegenerateCovarianceError:
            if len(keys) > 1:
                yield from chain.from_iterable(self._made([key]) for key in keys)
        else:
            yield from ((key, (marginals, number)) for number, key in enumerate(keys))

    def _add_rare(self, part: Part) -> None:
        for index, sums in enumerate(self.sums):
            own = part.of_model(index)
            for expected in expected_rows(sums.parameters, own.rows, self.kernel.eliminate):
                _, weights, priors, _ = own.of_rows(expected.rows)
                shares, densities = weighted_shares(expected.log_joint, weights, priors, sums.group_counts)
                sums.add_rows(shares, expected.sums, expected.is_known, densities, expected.entropies)


def fewest_rows(models: Sequence[Parameters], by: Eliminate) -> float:
    """Return the rows from which on a pattern is worth marginal mixtures of its own."""
    of_pattern = sum(_pattern_seconds(model, by) for model in models)
    return of_pattern / sum(row_seconds(model, by) for model in models)


def _pattern_seconds(model: Parameters, by: Eliminate) -> float:
    """Forecast the seconds that a pattern takes to be made ready."""
    of_pattern, of_entry, of_cube = NUMPY_SECONDS if by is eliminate else COMPILED_SECONDS
    return of_pattern + own_entries(model) * (of_entry + model.n_features * of_cube)
