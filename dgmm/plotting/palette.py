"""Colours, lines and markers: component k has the same ones in every picture and page.

The colours differ under each of the three kinds of colour blindness, and have a contrast of 3 with white and
with `DARK` (WCAG 2.2, 1.4.11): pictures are the same on light and dark pages. Beyond as many components as
there are colours, lines and markers tell them apart, and the numbers at their centres.
"""

from __future__ import annotations

COLORS = ("#0f74ba", "#fe5674", "#8c880f", "#b61cfd", "#0ba49f", "#6d6a16", "#8e88e8", "#a6467a")
LINES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p")

GREY = "#7d8896"
"""Of rows, whatever they belong to."""
INK, PAPER = "#1b2a41", "#ffffff"
DARK_INK, DARK = "#e6ebf2", "#14181f"
"""Text and what is behind it, in dark pictures and pages."""
ON_LIGHT, ON_DARK = "#1a2940", "#fefefe"
"""Text on what is light, and what is dark, in every picture."""


def color_of(component: int) -> str:
    """Return the colour of a component, as ``#rrggbb``."""
    return COLORS[component % len(COLORS)]


def line_of(component: int) -> str:
    """Return the style of a component's line."""
    return LINES[component // len(COLORS) % len(LINES)]


def marker_of(component: int) -> str:
    """Return the marker of a component's rows."""
    return MARKERS[component % len(MARKERS)]


def luminance(color: str) -> float:
    """Return the relative luminance of ``#rrggbb``, 0 to 1 (WCAG 2.2)."""
    parts = (int(color[start : start + 2], 16) / 255.0 for start in (1, 3, 5))
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(first: str, second: str) -> float:
    """Return the contrast of two colours, 1 to 21 (WCAG 2.2).

    >>> contrast("#ffffff", "#000000")
    21.0
    """
    low, high = sorted(map(luminance, (first, second)))
    return (high + 0.05) / (low + 0.05)
