"""Which measurement errors are refused."""

import numpy as np
import pytest

from dgmm.data import DataError
from dgmm.fitting.errors import check_errors
from dgmm.passes.task import ChunkRows
from tests.model import naive


def check(errors, rows=None, start=100):
    rows = np.zeros((len(errors), 2)) if rows is None else rows
    check_errors(ChunkRows(start, rows, None, "the chunk", errors), errors.shape[1])


@pytest.mark.parametrize("bad", [-1e-9, np.nan, np.inf, -np.inf])
def test_variances(bad):
    errors = np.array([[0.0, 1.0], [2.0, 0.5], [3.0, 0.1]])
    check(errors)
    errors[1, 1] = bad
    with pytest.raises(
        DataError, match=r"In row 101, of the chunk, column 1 has a variance of .*marginalize"
    ):
        check(errors)
    rows = np.zeros((3, 2))
    rows[1, 1] = np.nan
    check(errors, rows)  # of a missing value nothing is asked


@pytest.mark.parametrize("form", ["triangles", "matrices"])
def test_covariances(form):
    generator = np.random.default_rng(0)
    errors, matrices = naive.random_errors(generator, 30, 2, form)
    check(errors)
    check(errors.astype(np.float32))
    last = errors.shape[1] - 1
    for column, bad, message in (
        (last, np.nan, "covariance of columns 1 and 1 is nan"),
        (0, -0.1, "is no covariance"),
        (1, 1.5 * np.sqrt(matrices[7, 0, 0] * matrices[7, 1, 1]), "is no covariance"),
    ):
        wrong = errors.copy()
        wrong[7, column] = bad
        if form == "matrices" and column == 1:
            wrong[7, 2] = bad
        with pytest.raises(DataError, match=f"In row 107, of the chunk, .*{message}"):
            check(wrong)


def test_covariances_that_are_singular_or_not_symmetric():
    check(np.array([[1.0, 2.0, 4.0], [0.0, 0.0, 3.0], [0.0, 0.0, 0.0]]))
    with pytest.raises(DataError, match=r"In row 101, .* is no covariance"):
        check(np.array([[1.0, 0.0, 1.0], [0.0, 0.1, 3.0]]))
    with pytest.raises(DataError, match=r"In row 100, .* symmetric"):
        check(np.array([[1.0, 0.3, 0.2, 1.0]]))
    scaled = np.array([[1e-30, 0.99e-20, 1e-10]]) * 1e-200
    check(scaled)
    with pytest.raises(DataError, match="is no covariance"):
        check(scaled * [[1.0, 1.2, 1.0]])
