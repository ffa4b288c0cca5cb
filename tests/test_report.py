"""What is shown of passes and mixtures."""

import io

import numpy as np
import pytest
from rich.console import Console
from rich.table import Table

import dgmm
from dgmm import report
from dgmm.model.families import FAMILIES
from dgmm.passes.events import (
    ClusterBack,
    ClusterWaiting,
    IterationFinished,
    PassFinished,
    PassStarted,
    SpanFinished,
    TaskFinished,
    TasksFinished,
    TasksStarted,
    emit,
)


def shown(*, terminal: bool, events: list) -> str:
    file = io.StringIO()
    with report.showing_progress(Console(file=file, force_terminal=terminal, width=160, color_system=None)):
        for event in events:
            emit(event)
    return file.getvalue()


PASS = [PassStarted("EM", 1000, 2), SpanFinished(500), SpanFinished(500), PassFinished("EM", 1000, 0.5)]


@pytest.mark.parametrize("width", [80, 100, 160])
def test_nothing_is_cut_at_usual_widths(width):
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=width, color_system=None)
    done = PassFinished("split and merge", 99_999_999, 9.0)
    with report.showing_progress(console):
        for event in (
            PassStarted("split and merge", 99_999_999, 2),
            done,
            IterationFinished(0, 100, 100, -123.456789, 1e-5),
            SpanFinished(1),
        ):
            emit(event)
    lines = file.getvalue()
    assert "…" not in lines
    for part in ("split and merge", "100%", report.rate(done), "left", "iteration 100 of at most 100"):
        assert part in lines
    assert "-123.456789 nats a row, change 1.0e-05" in " ".join(lines.split())


def test_plain_lines():
    lines = shown(
        terminal=False,
        events=[*PASS, IterationFinished(0, 3, 100, -1.25, 0.5), IterationFinished(1, 3, 100, -2.0, 0.1)],
    )
    assert lines == (
        "iteration 3 of at most 100: log-likelihood -1.250000 nats a row, change 5.0e-01; "
        "1,000 rows in 0.5 s, 2,000 rows/s\n"
    )


def test_plain_lines_are_few_and_end_with_the_last(monkeypatch):
    clock = iter(np.arange(0.0, 1000.0, 0.1))
    monkeypatch.setattr(report.time, "monotonic", lambda: next(clock))
    iterations = [IterationFinished(0, i, 100, float(i), np.inf) for i in range(1, 60)]
    events = [event for last in iterations for event in (*PASS, last)]
    lines = shown(terminal=False, events=events).splitlines()
    assert lines[0].startswith("iteration 1 ")
    assert lines[-1].startswith("iteration 59 ")
    assert 2 < len(lines) < 10
    assert "change" not in lines[0]


def test_a_pass_without_iterations():
    assert shown(terminal=False, events=PASS) == "EM; 1,000 rows in 0.5 s, 2,000 rows/s\n"


TASKS = [TasksStarted("short runs", 2), TaskFinished(), TaskFinished(), TasksFinished("short runs", 2, 1.25)]


def test_tasks_apart_from_passes():
    assert shown(terminal=False, events=TASKS) == "short runs: 2 tasks in 1.2 s\n"
    assert "short runs" in shown(terminal=True, events=TASKS)


def test_live_display():
    display = shown(terminal=True, events=[*PASS, IterationFinished(0, 3, 100, -1.25, 0.5)])
    for part in ("EM", "100%", "2,000 rows/s", "iteration 3 of at most 100", "-1.25"):
        assert part in display


def test_live_display_of_a_wait():
    waiting = ClusterWaiting("EM", "it has no worker", 30.0, 870.0)
    assert "waiting for workers" in shown(terminal=True, events=[PASS[0], waiting])
    display = shown(terminal=True, events=[PASS[0], waiting, ClusterBack("EM"), *PASS[1:]])
    assert display.rindex("EM") > display.rfind("waiting for workers")


@pytest.mark.parametrize(
    ("mean", "deviation", "said"),
    [
        (1.23456, 0.0123, "1.2346 ± 0.0123"),
        (5e6, 2e4, "5e+06 ± 2e+04"),
        (-3.0, 1.5, "-3.00 ± 1.50"),
        (1.0, 1e-12, "1 ± 1e-12"),
    ],
)
def test_means_with_deviations(mean, deviation, said):
    assert report.with_deviation(mean, deviation) == said


@pytest.mark.parametrize(
    ("n_bytes", "said"),
    [(0, "0 bytes"), (1023, "1,023 bytes"), (2**30, "1.0 GiB"), (5 * 2**50, "5,120.0 TiB")],
)
def test_sizes(n_bytes, said):
    assert report.size(n_bytes) == said


@pytest.mark.parametrize("covariance_type", [*FAMILIES])
def test_components_of_every_family(covariance_type):
    rows = np.random.default_rng(0).standard_normal((200, 9)) * np.arange(1, 10)
    model = dgmm.GaussianMixture(2, covariance_type=covariance_type, random_state=0).fit(rows)
    table = report.components(model).shown
    assert isinstance(table, Table)
    assert table.row_count == 2
    assert len(table.columns) == 2 + report.FEATURES_SHOWN + 1
    assert "3 more" in str(table.caption)
    drawn, component = model.sample(20_000)
    deviations = report.standard_deviations(model)
    for k in range(2):
        np.testing.assert_allclose(deviations[k], drawn[component == k].std(axis=0), rtol=0.1)


def test_speed():
    history = {
        "seconds": [1.0, 3.0],
        "rows_per_second": [3000.0, 1000.0],
        "reading_seconds": [0.5, 0.5],
        "computing_seconds": [1.5, 4.0],
    }
    mixture = dgmm.GaussianMixture()
    mixture.history_ = history
    said = "4.0 s, 1,500 rows/s (threads: 5.5 s computing, 1.0 s reading)"
    (found,) = report.speed_facts(mixture)
    assert (found.name, found.text) == ("passes", said)
    assert found.values == {
        "pass_seconds": 4.0,
        "rows_per_second": 1500.0,
        "computing_seconds": 5.5,
        "reading_seconds": 1.0,
    }
    mixture.history_ = history | {"reading_seconds": [np.nan, np.nan]}
    (found,) = report.speed_facts(mixture)
    assert found.text.endswith("(threads: 5.5 s computing, reading in Dask's own tasks)")
    mixture.history_ = {name: [] for name in history}
    assert report.speed_facts(mixture) == []
