"""What tests of several rooms share: a known mixture, and its rows in files."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, settings

# The same examples in every run: a failure is of the change that it comes with.
# How long one takes is no matter of a test: another program may have the processor.
settings.register_profile(
    "repeatable", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("repeatable")


def pytest_configure() -> None:
    """Give processes of tests, and those they start, one thread for BLAS and OpenMP, unless told otherwise.

    Two processes of two threads wait for each other's on two cores: scikit-learn's systems of two equations
    took 11 ms each.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of a test's cases, have coverage follow those that bring a value of a parameter that none before had.

    To follow a test takes half as long again as to run it, and cases that combine the same values otherwise
    reach hardly a line more. Which cases these are does not hang on the order of tests.
    """
    if not config.pluginmanager.hasplugin("_cov"):  # nothing is counted
        return
    followed: set[tuple[str, str, int]] = set()
    for item in sorted(items, key=lambda item: item.nodeid):
        if isinstance(item, pytest.Function) and hasattr(item, "callspec"):
            function = item.nodeid.partition("[")[0]
            own = {(function, name, id(value)) for name, value in item.callspec.params.items()}
            if own <= followed:
                item.add_marker("no_cover")
            followed |= own


MEANS = np.array([[0.0, 0.0], [6.0, 3.0], [-5.0, 4.0]])
WEIGHTS = np.array([0.5, 0.3, 0.2])


@pytest.fixture(scope="session")
def three_clusters() -> np.ndarray:
    """Rows of three round clusters of unit width, float32: shape (3000, 2)."""
    rng = np.random.default_rng(0)
    component = rng.choice(3, size=3000, p=WEIGHTS)
    return (MEANS[component] + rng.standard_normal((3000, 2))).astype(np.float32)


@pytest.fixture
def rows_zarr(tmp_path: Path, three_clusters: np.ndarray) -> Path:
    """The rows as a Zarr array of six chunks."""
    path = tmp_path / "rows.zarr"
    array = zarr.create_array(path, shape=three_clusters.shape, chunks=(500, 2), dtype="float32")
    array[:] = three_clusters
    return path


@pytest.fixture
def rows_parquet(tmp_path: Path, three_clusters: np.ndarray) -> Path:
    """The rows as a folder of two Parquet files, with columns ``a``, ``b``, and ``kind``, which is text."""
    pd = pytest.importorskip("pandas")
    path = tmp_path / "rows.parquet"
    path.mkdir()
    for number, part in enumerate(np.split(three_clusters, [1000])):
        frame = pd.DataFrame(part, columns=["a", "b"])
        frame.assign(kind="star")[["kind", "b", "a"]].to_parquet(path / f"part-{number}.parquet")
    return path


@pytest.fixture
def interrupts() -> Iterator[None]:
    """Ctrl-C reaches the processes that a test starts.

    What a script starts by ``&`` ignores interrupts, and so do all processes that come of it.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
