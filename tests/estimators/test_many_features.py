"""Memory of fits to few rows of many features."""

import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from dgmm import GaussianMixture

SCRIPT = """
import resource, sys, warnings
import numpy as np
import dgmm

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

rows, features, kind, name = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
draw = np.random.default_rng(0)
settings = dict(covariance_type=kind, random_state=0, reg_covar=1e-2, max_iter=3)
warnings.simplefilter("ignore")
getattr(dgmm, name)(n_components=2, **settings).fit(draw.normal(size=(30, 3)))
before = peak()
table = draw.normal(size=(rows, features))
table[: rows // 2] += 3.0
labels = getattr(dgmm, name)(n_components=2, **settings).fit(table).predict(table)
print(peak() - before)
assert len(set(labels[: rows // 2])) == len(set(labels[rows // 2:])) == 1
"""


# scikit-learn needs 81 and 14 MiB for the first two.
@pytest.mark.parametrize(
    ("rows", "features", "kind", "most"),
    [
        (400, 1000, "full", 150),
        (200, 3000, "diag", 60),
        (200, 6000, "spherical", 100),
        (200, 1000, "tied", 200),
    ],
)
def test_memory_is_of_the_size_of_the_covariances(rows, features, kind, most):
    grown = measure(rows, features, kind, "GaussianMixture")
    assert grown < most, f"{grown:.0f} MiB more than for 3 features"


@pytest.mark.parametrize("kind", ["diag", "spherical"])
def test_memory_of_the_bayesian_mixture_has_no_matrix_of_all_features(kind):
    # One matrix of 6000 x 6000 numbers takes 275 MiB.
    grown = measure(100, 6000, kind, "BayesianGaussianMixture")
    assert grown < 150, f"{grown:.0f} MiB more than for 3 features"


def measure(rows: int, features: int, kind: str, name: str) -> float:
    """Give the MiB by which the peak of a process grows."""
    arguments = [sys.executable, "-c", SCRIPT, str(rows), str(features), kind, name]
    ran = subprocess.run(arguments, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stderr
    return float(ran.stdout)


@pytest.mark.filterwarnings("ignore::dgmm.MixtureWarning", "ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", ["diag", "spherical"])
@pytest.mark.parametrize("sample_rows", [60, 30])
def test_no_matrix_of_all_features_where_a_family_needs_none(kind, sample_rows):
    """On rows in memory, and by passes with a sample: a matrix of 20,000 x 20,000 numbers takes 3 GiB."""
    draw = np.random.default_rng(0)
    rows = draw.normal(size=(60, 20_000))
    rows[::2] += 1.0
    mixture = GaussianMixture(2, covariance_type=kind, random_state=0, sample_rows=sample_rows)
    tracemalloc.start()
    try:
        mixture.fit(rows)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    np.testing.assert_allclose(mixture.weights_, 0.5)
    assert peak <= 6 * rows.nbytes
