"""Partial sums of an unfinished pass, from which it resumes.

A pass adds up its spans by a tree. Of the nodes of that tree those are kept that are done and whose parents
are not; a pass that goes on computes the others, and adds up by the same tree, to the same bits.

>>> tree = Tree(n_leaves=10, fan_in=4)
>>> tree.missing({(1, 0), (0, 5)})
[(0, 4), (0, 6), (0, 7), (1, 2)]
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

logger = logging.getLogger(__name__)

Node = tuple[int, int]
"""A node of a tree: its level, from 0 for leaves, and its number there."""


@dataclass(frozen=True)
class Tree:
    """How results are added up: as many neighbours at a time as there are, level by level.

    Attributes
    ----------
    n_leaves : int
    fan_in : int
        Nodes that are added up at once; 0 where leaves are not added up.
    """

    n_leaves: int
    fan_in: int

    @property
    def sizes(self) -> list[int]:
        """How many nodes each level has."""
        sizes = [self.n_leaves]
        while self.fan_in and sizes[-1] > 1:
            sizes.append(-(-sizes[-1] // self.fan_in))
        return sizes

    @property
    def roots(self) -> list[Node]:
        """The nodes of the highest level."""
        return [(len(self.sizes) - 1, index) for index in range(self.sizes[-1])]

    def children(self, node: Node) -> list[Node]:
        """Return the nodes that are added up."""
        level, index = node
        if level == 0:
            return []
        stop = min((index + 1) * self.fan_in, self.sizes[level - 1])
        return [(level - 1, child) for child in range(index * self.fan_in, stop)]

    def is_in(self, node: Node, other: Node) -> bool:
        """Return whether a node is another one, or below it."""
        return node[0] <= other[0] and node[1] // self.fan_in ** (other[0] - node[0]) == other[1]

    def leaves(self, node: Node) -> range:
        """Return the numbers of the leaves below a node."""
        width = self.fan_in ** node[0]
        return range(node[1] * width, min((node[1] + 1) * width, self.n_leaves))

    def missing(self, known: Collection[Node], below: Node | None = None) -> list[Node]:
        """Return the highest nodes of which nothing is known, in the order of their leaves."""
        if below is None:
            return [node for root in self.roots for node in self.missing(known, root)]
        if below in known:
            return []
        if not any(self.is_in(node, below) for node in known):
            return [below]
        return [node for child in self.children(below) for node in self.missing(known, child)]

    def value(self, node: Node, known: Mapping[Node, Any], add: Callable[..., Any]) -> Any:
        """Return the value of a node from those below it."""
        if node in known:
            return known[node]
        values = [self.value(child, known, add) for child in self.children(node)]
        return add(*values) if len(values) > 1 else values[0]


@dataclass(frozen=True, eq=False)
class PartialResult:
    """Values of some nodes of a tree.

    Attributes
    ----------
    tree : Tree
    nodes : tuple of Node
    values : tuple
        Of as many.
    seconds : float
        That the pass had taken.
    """

    tree: Tree
    nodes: tuple[Node, ...]
    values: tuple[Any, ...]
    seconds: float


Write = Callable[[int, PartialResult], None]
"""Writes what is new, given how often that was done before."""


class Parts:
    """Collects what a pass has so far, and has it written from time to time.

    Parameters
    ----------
    before : sequence of PartialResult
        What was written before; of another tree it is not used.
    write : callable or None
        None where nothing is to be kept.
    seconds_between : float
        Between two times of writing, and before the first.
    """

    def __init__(
        self, before: Sequence[PartialResult] = (), write: Write | None = None, seconds_between: float = 0.0
    ) -> None:
        self._before, self._write, self._between = before, write, seconds_between
        self._started = self._written_at = time.monotonic()
        self._tree, self._add = Tree(0, 0), max
        self.known: dict[Node, Any] = {}
        self._new: set[Node] = set()
        self._waiting: list[tuple[int, Callable[[], Any]]] = []
        self._lock = threading.Lock()
        self._ended = write is None
        self.n_written = len(before)
        self.problem: Exception | None = None

    @property
    def seconds(self) -> float:
        """How long the pass has taken, with what it took before it was ended."""
        return time.monotonic() - self._started + max((each.seconds for each in self._before), default=0.0)

    def begin(self, tree: Tree, add: Callable[..., Any]) -> dict[Node, Any]:
        """Say what will be added up, and how; give what is known of it."""
        self._tree, self._add = tree, add
        for each in self._before:
            if each.tree == tree:
                self.known.update(zip(each.nodes, each.values, strict=True))
        for node in sorted(self.known):  # what larger sums have in them
            if any(other != node and tree.is_in(node, other) for other in self.known):
                del self.known[node]
        return dict(self.known)

    def done(self, leaf: int, fetch: Callable[[], Any], *, is_here: bool) -> None:
        """Take note of a leaf. Any thread may say so.

        Parameters
        ----------
        leaf : int
        fetch : callable
            Gives its value.
        is_here : bool
            Whether that costs nothing; else it is fetched when something is written.
        """
        with self._lock:
            if self._ended:
                return
            if is_here:
                self._put((0, leaf), fetch())
            else:
                self._waiting.append((leaf, fetch))
            if time.monotonic() - self._written_at < self._between:
                return
            try:
                self._write_new()
            except Exception as error:  # the pass itself is well
                self.problem = error
                logger.warning("What a pass has so far could not be written: %s", error)
            self._written_at = time.monotonic()

    def end(self) -> None:
        """Take note of no more."""
        with self._lock:
            self._ended = True
            self._waiting.clear()
            self.known.clear()

    def _write_new(self) -> None:
        for leaf, fetch in self._waiting:
            self._put((0, leaf), fetch())
        self._waiting.clear()
        nodes = tuple(sorted(self._new))
        values = tuple(self.known[node] for node in nodes)
        assert self._write is not None
        self._write(self.n_written + 1, PartialResult(self._tree, nodes, values, self.seconds))
        self.n_written += 1
        self._new.clear()

    def _put(self, node: Node, value: Any) -> None:
        """Take in a node, and its parent if it is the last of its children."""
        tree = self._tree
        self.known[node] = value
        self._new.add(node)
        level, index = node
        if not tree.fan_in or level + 1 >= len(tree.sizes):
            return
        parent = (level + 1, index // tree.fan_in)
        children = tree.children(parent)
        if all(child in self.known for child in children):
            whole = tree.value(parent, self.known, self._add)
            for child in children:
                del self.known[child]
                self._new.discard(child)
            self._put(parent, whole)
