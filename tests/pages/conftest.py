"""What the tests of pages share."""

from tests.estimators.conftest import searches

__all__ = ["searches"]
