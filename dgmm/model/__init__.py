"""The mathematics on one block of rows: NumPy and SciPy only."""
