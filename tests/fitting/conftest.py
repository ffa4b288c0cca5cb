"""What the tests of fits share."""

from tests.passes.conftest import client, cluster, generator, small_spans, stored

__all__ = ["client", "cluster", "generator", "small_spans", "stored"]
