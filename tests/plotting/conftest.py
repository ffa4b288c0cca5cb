"""Axes of figures that no window shows."""

from typing import Any

import pytest


@pytest.fixture
def ax() -> Any:
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    return Figure(figsize=(5, 4)).subplots()
