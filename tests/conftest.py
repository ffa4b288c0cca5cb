"""What tests of several folders share: a known mixture, and its rows in files."""

import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from itertools import combinations
from pathlib import Path
from typing import Any
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
    """Let the caller have fewer cases of each test run, or all."""
    parser.addoption(
        "--fewer-cases",
        metavar="SALT",
        help="run each test with each value of each of its parameters, not with each pair of values; SALT, "
        "any text, says which cases these are",
    )
    parser.addoption(
        "--all-cases",
        action="store_true",
        help="run each test with all that combine the values of its parameters",
    )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give the tests of a file to one process, unless told otherwise: what they share is made once.

    So is what Numba compiles for them, ten seconds a function: two processes would begin with it at once.
    """
    if config.getoption("dist") != "load":  # what -n alone means
        return None
    from xdist.scheduler import LoadFileScheduling

    config.option.loadscopereorder = False  # long tests are in files of few: none of those is to be the last
    return LoadFileScheduling(config, log)


Value = tuple[tuple[str, int], ...]
"""What one parametrization gives a case: names of parameters, and which objects they are."""


def values_of(item: pytest.Item) -> list[Value]:
    """Give what a case has of each parametrization: a row of values, or one value of a fixture."""
    if not isinstance(item, pytest.Function) or not hasattr(item, "callspec"):
        return []
    left = {name: (name, id(value)) for name, value in item.callspec.params.items()}
    values: list[Value] = []
    for mark in item.iter_markers("parametrize"):
        names = mark.args[0].replace(" ", "").split(",") if isinstance(mark.args[0], str) else mark.args[0]
        values.append(tuple(left.pop(name) for name in names if name in left))
    return sorted([*values, *((value,) for value in left.values())])


def bring_together(items: list[pytest.Item], n_values: int, salt: str = "") -> set[pytest.Item]:
    """Of each test's cases, choose few that have so many values of its parameters together as any case has.

    Each next one is one of those with the most that none before it had.
    """
    tests: dict[str, dict[pytest.Item, set[tuple[Value, ...]]]] = {}
    for item in sorted(items, key=lambda item: crc32(f"{salt} {item.nodeid}".encode())):
        values = values_of(item)
        together = set(combinations(values, min(n_values, len(values))))
        tests.setdefault(item.nodeid.partition("[")[0], {})[item] = together
    chosen = set()
    for cases in tests.values():
        missing = set().union(*cases.values())
        while missing:
            best = max(cases, key=lambda case: len(cases[case] & missing))
            missing -= cases.pop(best)
            chosen.add(best)
    return chosen


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run the cases that are asked for; where coverage is counted, follow one of those that combine values.

    Faults that show only where three values come together are rare: each pair of values has a case. To follow
    a test takes half as long again as to run it, and other values in combinations, of which other tests have
    other cases, reach hardly a line more.
    """
    salt = config.getoption("--fewer-cases")
    if not config.getoption("--all-cases"):
        chosen = bring_together(items, 2) if salt is None else bring_together(items, 1, salt)
        config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
        items[:] = [item for item in items if item in chosen]
    if config.pluginmanager.hasplugin("_cov"):
        followed = bring_together(items, 0) | {item for item in items if len(values_of(item)) < 2}
        for item in items:
            if item not in followed:
                item.add_marker("no_cover")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call() -> None:
    """Let what a test draws without a seed of its own be the same in every run, whatever the order of tests.

    An estimator without ``random_state`` draws from NumPy's global generator. pytest-randomly would seed it
    with the seed of the order: one start in sixty of a mixture of two ends on a few far rows and warns, and
    so a test failed with one order in sixty.
    """
    np.random.seed(0)  # noqa: NPY002 - it is the one that random_state=None stands for


@pytest.fixture(autouse=True)
def process_as_it_was() -> Iterator[None]:
    """Environment and module path are after a test what they were before.

    Dask sets variables for worker processes, which stay: those of BLAS threads and of hashes would reach what
    later tests start. Workers among our threads leave their folders on the path.
    """
    environment, path = dict(os.environ), list(sys.path)
    yield
    sys.path[:] = path
    for name in os.environ.keys() - environment.keys():
        del os.environ[name]
    os.environ.update(environment)


@pytest.fixture(scope="module")
def short_search() -> Iterator[None]:
    """Starts are searched for as little as finds what is plain to see: fits of little data take half as long.

    For modules that are not about how good they are.
    """
    from dgmm.fitting.starts import paths, plans, recombining, search

    made = recombining.NOTHING_MADE
    short = replace(search.SEARCH, n_starts=2, surpluses=(2.0,), n_moved=1, recombining=made)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plans, "SEARCH", short)
        patch.setattr(paths, "PATHS", replace(paths.PATHS, ways=paths.PATHS.ways[::4], fewest_clusters=2))
        yield


@pytest.fixture
def blank_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures are made, and drawn without their axes: a page has a dozen, and takes a second less.

    For tests of what pages say and where they are written.
    """
    if find_spec("matplotlib") is None:
        return
    from matplotlib.figure import Figure

    drawn = Figure.savefig

    def blank(self: Any, *arguments: Any, **options: Any) -> None:
        for axes in self.axes:
            axes.set_visible(False)
        drawn(self, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", blank)


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
