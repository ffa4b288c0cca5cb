"""The mathematics on one block of rows: NumPy, SciPy and Numba only."""
