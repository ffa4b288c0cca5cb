"""Memory of fits to few rows of many features."""

import json
import subprocess
import sys

import numpy as np
import pytest

from dgmm import GaussianMixture
from tests.memory import traced_peak
from tests.waiting import PATIENCE

SCRIPT = """
import json, os, resource, sys, warnings
import numpy as np
import dgmm
from dgmm.kernels import compiled

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

def measure(rows, features, kind, name):
    draw = np.random.default_rng(0)
    settings = dict(covariance_type=kind, random_state=0, reg_covar=1e-2, max_iter=3)
    warnings.simplefilter("ignore")
    getattr(dgmm, name)(n_components=2, **settings).fit(draw.normal(size=(30, 3)))
    before = peak()
    table = draw.normal(size=(rows, features))
    table[: rows // 2] += 3.0
    labels = getattr(dgmm, name)(n_components=2, **settings).fit(table).predict(table)
    print(peak() - before, flush=True)
    assert len(set(labels[: rows // 2])) == len(set(labels[rows // 2:])) == 1

dgmm.GaussianMixture, compiled.is_available()  # imported here, once for all
for case in json.loads(sys.argv[1]):
    if (child := os.fork()) == 0:
        measure(*case)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        sys.exit(1)
"""

LARGE = {
    (400, 1000, "full", "GaussianMixture"): 150,
    (200, 3000, "diag", "GaussianMixture"): 60,
    (200, 6000, "spherical", "GaussianMixture"): 100,
    (200, 1000, "tied", "GaussianMixture"): 200,
    # One matrix of 6000 x 6000 numbers takes 275 MiB.
    (100, 6000, "diag", "BayesianGaussianMixture"): 150,
    (100, 6000, "spherical", "BayesianGaussianMixture"): 150,
}
"""The MiB that rows, features, kinds and classes may take; scikit-learn needs 81 and 14 for the first two."""


@pytest.fixture(scope="module")
def grown() -> dict[tuple[int, int, str, str], float]:
    """The MiB by which the peak of a process grows, each one's own."""
    arguments = [sys.executable, "-c", SCRIPT, json.dumps([*LARGE])]
    ran = subprocess.run(arguments, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert ran.returncode == 0, ran.stderr
    return dict(zip(LARGE, map(float, ran.stdout.split()), strict=True))


@pytest.mark.parametrize("case", LARGE, ids=str)
def test_memory_is_of_the_size_of_the_covariances(grown, case):
    assert grown[case] < LARGE[case], f"{grown[case]:.0f} MiB more than for 3 features"


@pytest.mark.filterwarnings("ignore::dgmm.MixtureWarning", "ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", ["diag", "spherical"])
@pytest.mark.parametrize("sample_rows", [60, 30])
def test_no_matrix_of_all_features_where_a_family_needs_none(kind, sample_rows):
    """On rows in memory, and by passes with a sample: a matrix of 20,000 x 20,000 numbers takes 3 GiB."""
    draw = np.random.default_rng(0)
    rows = draw.normal(size=(60, 20_000))
    rows[::2] += 1.0
    mixture = GaussianMixture(2, covariance_type=kind, random_state=0, sample_rows=sample_rows)
    most = 6 * rows.nbytes
    assert traced_peak(lambda: mixture.fit(rows), most) <= most
    np.testing.assert_allclose(mixture.weights_, 0.5)
