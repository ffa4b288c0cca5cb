"""The sizes that compiled loops work with."""

from dgmm.kernels.tile_tuning import CACHE_LINE, TILES, UNROLLED


def test_tiles_are_whole_cache_lines_of_float32():
    """The rows of a tile are then as aligned as its first is, whatever their numbers are."""
    assert TILES.tile_rows * 4 % CACHE_LINE == 0


def test_panels_are_whole_steps_of_the_products():
    assert TILES.panel_features % UNROLLED == 0
