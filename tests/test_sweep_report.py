"""The former place of the report of a sweep."""

import pytest

pytest.importorskip("matplotlib")


def test_it_leads_to_the_same_function():
    from dgmm import sweep_report
    from dgmm.pages import sweep

    assert sweep_report.write_report is sweep.write_report
