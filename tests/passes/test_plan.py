"""The forecast of memory, held against real processes."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import zarr

from dgmm.data import open_dataset
from dgmm.passes.plan import plan

MEBIBYTE = 2**20
N_BYTES = 3_000_000 * 10 * 8  # more than two threads of any kernel may take: NumPy's work takes the most

WATCHED = """
import json, os, re, sys
from pathlib import Path
import numpy as np
import dask
from dgmm import open_dataset
from dgmm.fitting.steps.expectation import ExpectationWork
from dgmm.kernels import working_bytes
from dgmm.model.parameters import Parameters
from dgmm.kernels.stacking import stack_models
from dgmm.passes.plan import plan
from dgmm.passes.run import run_pass
from dgmm.model.families import FAMILIES

def kibibytes(name):
    return int(re.search(name + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

def measure(path, n_threads):
    source = open_dataset(path)
    n_features = source.n_features
    means = np.arange(4.0)[:, None] * np.ones(n_features)
    covariances = np.array([np.eye(n_features)] * 4)
    model = Parameters.from_covariances(FAMILIES["full"], np.full(4, 0.25), means, covariances)
    ready = stack_models([model], np.zeros(n_features), np.full(n_features, 10.0), source.dtype)
    run_pass(open_dataset(np.zeros((10, n_features))), ExpectationWork(ready), "warm up")
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before = kibibytes("VmRSS")
    with dask.config.set(scheduler="threads", num_workers=n_threads):
        run_pass(source, ExpectationWork(ready), "test")
    forecast = n_threads * plan(source).task_bytes(working_bytes(ready))
    measured = (kibibytes("VmHWM") - before) * 1024
    print(json.dumps({"measured": measured, "forecast": forecast}), flush=True)

for n_threads in (1, 2):  # each in a process of its own, which has imported all that
    if (child := os.fork()) == 0:
        measure(sys.argv[1], n_threads)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        sys.exit(1)
"""


def test_plan_counts_rows_and_the_largest_chunk():
    source = open_dataset(np.zeros((1000, 4)))
    planned = plan(source)
    assert planned.n_rows == 1000
    assert planned.chunk_bytes == 1000 * 4 * 8
    assert planned.task_bytes(100) == planned.chunk_bytes + 100  # one chunk: nothing is read ahead


def test_plan_of_no_rows():
    planned = plan(open_dataset(np.zeros((0, 4))))
    assert (planned.n_rows, planned.spans, planned.task_bytes(7)) == (0, (), 7)


@pytest.fixture(scope="module", params=[2_000, 200_000])
def watched(request, tmp_path_factory) -> list[dict[str, int]]:
    """What passes with one and two threads took, and were to take, over rows in chunks of so many.

    These are more bytes than tasks hold, whichever it is.
    """
    path = tmp_path_factory.mktemp("rows") / "x.zarr"
    rows = np.random.default_rng(0).normal(size=(200_000, 10))
    array = zarr.create_array(path, shape=(N_BYTES // 80, 10), chunks=(request.param, 10), dtype="f8")
    for start in range(0, array.shape[0], len(rows)):
        array[start : start + len(rows)] = rows
    # As Dask starts workers: glibc gives freed memory back, instead of keeping up to 64 MiB an arena.
    environment = {**os.environ, "MALLOC_TRIM_THRESHOLD_": "65536"}
    command = [sys.executable, "-c", WATCHED, str(path)]
    ran = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    shutil.rmtree(path)
    return [json.loads(line) for line in ran.stdout.splitlines()]


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux tells a process's peak memory")
@pytest.mark.parametrize("n_threads", [1, 2])
def test_memory_stays_within_the_forecast(watched, n_threads):
    found = watched[n_threads - 1]
    slack = 30 * MEBIBYTE  # threads' stacks, zarr's own
    most = 1.25 * found["forecast"] + slack
    assert found["measured"] <= most < N_BYTES  # to hold all rows would be seen
    assert found["forecast"] <= 4 * found["measured"] + slack  # and it is no fantasy
