"""What the tests of estimators share."""

from tests.passes.conftest import client, cluster, generator, small_spans, stored

__all__ = ["client", "cluster", "generator", "small_spans", "stored"]
