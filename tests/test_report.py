"""What is said of rows and mixtures."""

import numpy as np
import pandas as pd
import pytest
from rich.table import Table
from sklearn.exceptions import ConvergenceWarning

import dgmm
from dgmm import report
from dgmm.facts import fact, laid_out
from dgmm.fitting.starts.record import SearchRecord
from dgmm.model.families import FAMILIES


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


def test_weights_of_groups():
    """Those of the first groups, by the heaviest components; all of them in JSON."""
    rows = np.random.default_rng(0).standard_normal((240, 2))
    model = dgmm.GaussianMixture(12, covariance_type="spherical", max_iter=2, random_state=0)
    with pytest.warns(ConvergenceWarning):
        model.fit(rows, groups=np.arange(240) % 24)
    (found,) = report.groups(model)
    assert isinstance(found.shown, Table)
    assert found.shown.row_count == 20
    assert str(found.shown.caption) == "and 4 more groups and 2 more lighter components"
    heaviest = int(np.argmax(model.weights_))
    columns, lines, _ = report.group_lines(model)
    assert columns[:2] == ["group", f"component {heaviest}"]
    assert lines[3][:2] == ["3", f"{model.group_weights_[3, heaviest]:.4f}"]
    assert [each["group"] for each in found.values["groups"]] == [*range(24)]
    np.testing.assert_array_equal([each["weights"] for each in found.values["groups"]], model.group_weights_)
    assert report.groups(dgmm.GaussianMixture(1).fit(rows)) == []


def test_how_sure_a_search_is():
    mixture = dgmm.GaussianMixture(2, random_state=0).fit(np.random.default_rng(0).standard_normal((40, 1)))
    assert report.search_facts(mixture) == []  # nothing was searched
    mixture.search_ = SearchRecord(n_starts=8, n_optima=3, n_best=5, unseen=12 / 56, n_evaluations=10**9)
    (found,) = [each for each in report.model_facts(mixture) if each.name == "search"]
    assert found.text == "8 starts led to 3 optima, 5 of them to the best; unseen: 21%"
    assert found.values["search"]["n_evaluations"] == 10**9


def test_speed():
    history = {
        "seconds": [1.0, 3.0],
        "rows_per_second": [3000.0, 1000.0],
        "reading_seconds": [0.5, 0.5],
        "computing_seconds": [1.5, 4.0],
    }
    mixture = dgmm.GaussianMixture()
    mixture.history_ = history
    said = "4.0 s, 1,500 rows/s (threads compute 5.5 s, read 1.0 s)"
    (found,) = report.speed_facts(mixture)
    assert (found.name, found.text) == ("speed", said)
    assert found.values == {
        "pass_seconds": 4.0,
        "rows_per_second": 1500.0,
        "computing_seconds": 5.5,
        "reading_seconds": 1.0,
    }
    mixture.history_ = history | {"reading_seconds": [np.nan, np.nan]}
    (found,) = report.speed_facts(mixture)
    assert found.text.endswith("(threads compute 5.5 s, Dask reads)")
    mixture.history_ = {name: [] for name in history}
    assert report.speed_facts(mixture) == []
    for reading in (9000.0, np.nan):  # hours of rows in memory, on a terminal of 80 columns
        long = {"seconds": [9000.0], "rows_per_second": [98_765_432.0], "computing_seconds": [9000.0]}
        mixture.history_ = long | {"reading_seconds": [reading]}
        facts = [*report.speed_facts(mixture), fact("log-likelihood", "")]
        assert max(map(len, laid_out(facts).splitlines())) <= 80


def test_names_of_any_length_leave_lines_that_can_be_read():
    names = [f"{'long' * 50} {i}" for i in range(3)]
    source = dgmm.open_dataset(pd.DataFrame(np.eye(3), columns=names))
    (features,) = (each for each in report.source_facts(source) if each.name == "features")
    assert features.text.startswith("3 (longlong")
    assert features.text.endswith("ng 2)")
    assert len(features.text) < 120
    assert [*features.values["feature_names"]] == names  # as JSON they are whole
