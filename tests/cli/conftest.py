"""What the tests of commands share."""

import pytest

from tests.estimators.conftest import searches

__all__ = ["searches"]


@pytest.fixture(autouse=True)
def pictures(blank_pictures: None) -> None:
    """Are left blank: how they look is asked in tests/plotting, tests/pages and test_pictures.py.

    A module that needs them whole has a `blank_pictures` of its own, which does nothing.
    """


@pytest.fixture(autouse=True)
def numpy_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Is what commands compute with, and the processes they start: each of these would compile the same loop.

    That estimators compute the same on clusters by compiled loops is asked in tests/estimators.
    """
    monkeypatch.setenv("DGMM_COMPILED", "0")
