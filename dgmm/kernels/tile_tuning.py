"""How much the compiled loops over tiles of rows work on at once: if it changes, they are compiled anew."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TileTuning:
    """How much the loop works on at once.

    Chosen by docs/notes/2026-11-25-compiled-loop.md. Half and double, where they were measured: by
    docs/notes/2026-11-26-kernels.md.

    Attributes
    ----------
    tile_rows : int
        Rows of a tile: sums over longer ones have less to add up in the end, shorter ones leave more in the
        nearest cache.
    panel_features : int
        Features that are made at once, about: with a tile's rows they are well within a second-level cache.
    gathers_from : int
        Features from which sums over a component's own rows are faster, where these are few: with less,
        gathering takes the time that it saves.
    gathered_share : float
        Of a tile's responsibilities that are not zero: with no more, sums are over a component's own rows.
    piece_bytes : int
        Bytes of rows that a call takes at most, and that are copied where they do not lie one after the
        other.
    """

    tile_rows: int = 256
    panel_features: int = 96
    gathers_from: int = 20
    gathered_share: float = 0.5
    piece_bytes: int = 2**23


TILES = TileTuning()

CACHE_LINE = 64
"""Bytes that processors fetch at once, and that their longest vectors have."""

UNROLLED = 4
"""Components, and features, that the products take at once: padding makes both a multiple of it."""
