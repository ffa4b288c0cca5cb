"""Which cases of a test run: `tests.conftest` leaves out those that combine what others combine already."""

from itertools import combinations, product

import pytest

pytest_plugins = ["pytester"]

GRID = {"a": range(4), "b": range(3), "c": range(3)}
EVERYTHING = ["-".join(map(str, each)) for each in product(*reversed(GRID.values()))]
"""All cases, as pytest names them: the parameter that is nearest to the function comes first."""


@pytest.fixture
def run(pytester, monkeypatch):
    """Run a test with three parameters, and one whose cases are rows; give the cases of each that ran."""
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)  # coverage is of the run around it
    pytester.makeconftest("from tests.conftest import *")
    marks = "\n".join(f"@pytest.mark.parametrize({name!r}, {list(own)})" for name, own in GRID.items())
    pytester.makepyfile(f"""
import pytest
{marks}
def test_of_grid(a, b, c): ...

@pytest.mark.parametrize(("a", "b"), [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_of_rows(a, b): ...

def test_alone(): ...
""")

    def ran(*options):
        result = pytester.inline_run(
            "-p", "no:randomly", "-p", "no:xdist", "-p", "no:cacheprovider", *options
        )
        ended, _, failed = result.listoutcomes()
        assert not failed
        found = {}
        for report in ended:
            name, _, case = report.nodeid.rpartition("::")[2].partition("[")
            found.setdefault(name, []).append(case.rstrip("]"))
        return found

    return ran


def combined(cases, n_values):
    """Return all that cases of the grid have so many values of together, with their places."""
    values = [enumerate(case.split("-")) for case in cases]
    return {together for each in values for together in combinations(each, n_values)}


def test_each_pair_of_values_has_a_case_and_each_row_is_one(run):
    found = run()
    assert combined(found["test_of_grid"], 2) == combined(EVERYTHING, 2)
    assert len(found["test_of_grid"]) < len(EVERYTHING)
    assert len(found["test_of_rows"]) == 4
    assert found["test_alone"] == [""]


def test_all_cases_or_each_value_on_demand(run):
    assert sorted(run("--all-cases")["test_of_grid"]) == sorted(EVERYTHING)
    cases = [run("--fewer-cases", salt)["test_of_grid"] for salt in ("1", "2")]
    for own in cases:
        assert combined(own, 1) == combined(EVERYTHING, 1)
        assert len(own) < len(EVERYTHING) / 3
    assert set(cases[0]) != set(cases[1])
