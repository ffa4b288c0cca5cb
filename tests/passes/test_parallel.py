"""Tasks side by side: their results in order, on every scheduler, and what is told of them."""
# pyright: reportPrivateImportUsage=false

import operator

import dask
import numpy as np
import pytest

from dgmm.passes.events import TaskFinished, TasksFinished, TasksStarted, listening
from dgmm.passes.parallel import run_tasks

ROWS = np.arange(6.0).reshape(3, 2)


def scaled(factor: float, rows: np.ndarray) -> np.ndarray:
    return factor * rows


def refuse(item: int, rows: np.ndarray) -> None:
    raise ValueError(f"task {item} of {len(rows)} rows")


def check() -> None:
    seen: list = []
    with listening(seen.append):
        found = run_tasks(scaled, [1.0, -2.0, 3.0], ROWS, "try three")
    np.testing.assert_array_equal(found, [ROWS, -2.0 * ROWS, 3.0 * ROWS])
    assert seen[0] == TasksStarted("try three", 3)
    assert isinstance(seen[-1], TasksFinished)
    assert seen[-1].n_tasks == 3
    assert seen.count(TaskFinished()) == 3


@pytest.mark.parametrize("scheduler", ["threads", "synchronous", "processes"])
def test_local_schedulers(scheduler):
    with dask.config.set(scheduler=scheduler):
        check()


@pytest.mark.usefixtures("client")
def test_a_cluster():
    check()


def test_errors_come_through():
    with pytest.raises(ValueError, match="task 7 of 3 rows"):
        run_tasks(refuse, [7], ROWS, "fail")


def test_no_items():
    assert run_tasks(operator.add, [], ROWS, "nothing") == []


def begun(item: int, order: list) -> int:
    order.append(item)
    return item


@pytest.mark.parametrize("scheduler", ["synchronous", "threads"])
def test_tasks_begin_in_the_order_of_the_items(scheduler):
    order: list = []
    with dask.config.set(scheduler=scheduler, num_workers=1):
        run_tasks(begun, range(12), order, "in order")
    assert order == [*range(12)]
