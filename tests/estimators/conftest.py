"""What the tests of estimators share."""

import pytest

from tests.passes.conftest import client, cluster, generator, small_spans, stored

__all__ = ["client", "cluster", "generator", "small_spans", "stored"]


@pytest.fixture(scope="module", autouse=True)
def searches(short_search: None) -> None:
    """Are short: how good starts are is asked in tests/fitting.

    A module that needs them whole has a `short_search` of its own, which does nothing.
    """
