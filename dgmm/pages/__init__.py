"""Pages to read: one HTML file for a fit or a sweep, with its pictures inside, and nothing from elsewhere.

They need matplotlib (``pip install 'dgmm[plot]'``).
"""

from __future__ import annotations

try:
    import matplotlib  # noqa: F401
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"Reports need {error.name}: pip install 'dgmm[plot]'", name=error.name
    ) from error
