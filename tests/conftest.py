"""What tests of several rooms share: a known mixture, and its rows in files."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

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

    Threads of two processes wait for each other on two cores: scikit-learn's systems of two equations took
    11 ms each. With one, tests/estimators/test_gaussian_mixture.py takes 5.5 s of processor time in the place
    of 26.7 (two shared cores, 2026-11-27).
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the caller have fewer cases of each test run."""
    parser.addoption(
        "--fewer-cases",
        metavar="SALT",
        help="run each test with each value of each of its parameters, not with all that combine them; SALT, "
        "any text, says which cases these are",
    )


def bring_a_value(items: list[pytest.Item], salt: str) -> list[pytest.Item]:
    """Of each test's cases, give those that bring a value of a parameter that none before them had."""
    seen: set[tuple[str, str, int]] = set()
    chosen = []
    for item in sorted(items, key=lambda item: crc32(f"{salt} {item.nodeid}".encode())):
        case = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        function = item.nodeid.partition("[")[0]
        own = {(function, name, id(value)) for name, value in case.items()}
        if not own or own - seen:
            chosen.append(item)
        seen |= own
    return chosen


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where fewer cases are asked for, run no others; where coverage is counted, follow no others.

    To follow a test takes half as long again as to run it, and cases that combine the same values otherwise
    reach hardly a line more.
    """
    salt = config.getoption("--fewer-cases")
    if salt is None and not config.pluginmanager.hasplugin("_cov"):
        return
    chosen = set(bring_a_value(items, salt or ""))
    others = [item for item in items if item not in chosen]
    if salt is None:
        for item in others:
            item.add_marker("no_cover")
    else:
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item in chosen]


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
    """Ctrl-C, and that a terminal is closed, reach the processes that a test starts.

    What a script starts by ``&`` or ``nohup`` ignores them, and so do all processes that come of it.
    """
    before = {
        number: signal.signal(number, signal.default_int_handler) for number in (signal.SIGINT, signal.SIGHUP)
    }
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
