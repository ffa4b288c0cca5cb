"""Values that many rows have exactly."""

import numpy as np
import pytest

from dgmm.data import open_dataset
from dgmm.fitting.atoms import Atom, Share, atom_near, share_of
from dgmm.fitting.sample import Sample
from dgmm.fitting.survey import survey


@pytest.fixture
def rows():
    """One feature without atoms, one with a third of zeros, one of whole numbers."""
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(9000, 3))
    rows[generator.random(9000) < 1 / 3, 1] = 0.0
    rows[:, 2] = rows[:, 2].round()
    return rows


def sampled(rows, size: int) -> Sample:
    return survey(open_dataset(rows), size, 0).sample


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_value_near_a_place(rows, dtype):
    sample = sampled(rows.astype(dtype), 5000)
    assert atom_near(sample, 1, 0.001, 0.003) == Atom(1, 0.0)
    assert atom_near(sample, 1, -0.001, 0.003) == Atom(1, 0.0)
    assert atom_near(sample, 2, 1.0, 0.1) == Atom(2, 1.0)
    assert atom_near(sample, 2, 0.5, 0.1) is None  # no row is there
    assert atom_near(sample, 2, 0.0, 9.0) is None  # no value is that of most
    assert atom_near(sample, 1, 1.0, 0.003) is None
    single = float(sample.values[7, 0])
    assert atom_near(sample, 0, single, 1e-9) is None  # one row repeats nothing


def test_weights_decide():
    values = np.array([[0.0], [0.0], [1.0], [1.0], [1.0]])
    numbers = np.arange(5)
    for weights, atom in (([2.0, 2.0, 1.0, 1.0, 1.0], 0.0), ([1.0, 1.0, 1.0, 1.0, 1.0], 1.0)):
        sample = Sample(numbers.astype(np.uint64), numbers, values, np.array(weights))
        assert atom_near(sample, 0, 0.5, 1.0) == Atom(0, atom)
    assert share_of(sample, [Atom(0, 1.0)], 5) == Share(0.6, 0.0)


def test_shares(rows):
    every = sampled(rows, 9000)
    one, both = [Atom(1, 0.0)], [Atom(1, 0.0), Atom(2, 1.0)]
    exact = share_of(every, both, 9000)
    assert exact == Share(((rows[:, 1] == 0.0) & (rows[:, 2] == 1.0)).mean(), 0.0)
    part = sampled(rows, 2000)
    share = share_of(part, one, 9000)
    p = (part.values[:, 1] == 0.0).mean()
    assert share.share == p
    assert share.error == pytest.approx((p * (1 - p) / 2000 * (1 - 2000 / 9000)) ** 0.5, rel=1e-12)


def test_the_error_is_that_of_samples(rows):
    """Of 300 samples the shares spread as far as each sample says; with weights too."""
    weights = np.random.default_rng(1).exponential(size=9000)
    for own in (None, open_dataset(weights[:, None])):
        found = [
            share_of(survey(open_dataset(rows), 900, seed, own).sample, [Atom(1, 0.0)], 9000)
            for seed in range(300)
        ]
        truth = np.average(rows[:, 1] == 0.0, weights=None if own is None else weights)
        shares = np.array([each.share for each in found])
        errors = np.array([each.error for each in found])
        assert shares.mean() == pytest.approx(truth, abs=4 * errors.mean() / 300**0.5)
        assert errors.mean() == pytest.approx(shares.std(), rel=0.15)


@pytest.mark.parametrize(
    ("share", "error", "text"),
    [(0.1, 0.0, "10%"), (0.06123, 0.0, "6.12%"), (0.0612, 0.00048, "6.12% ± 0.05%"), (0.5, 0.03, "50% ± 3%")],
)
def test_text(share, error, text):
    assert str(Share(share, error)) == text
