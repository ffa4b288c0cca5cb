"""What notebooks show of mixtures."""

from xml.etree import ElementTree

import numpy as np
import pytest
import sklearn

from dgmm import BayesianGaussianMixture, GaussianMixture
from dgmm.estimators.html import components_table
from tests.model import naive


def cells(mixture) -> list[list[str]]:
    """Return the text of each cell of the table; it is well-formed."""
    root = ElementTree.fromstring(components_table(mixture))
    return [["".join(cell.itertext()) for cell in row] for row in root.iter("tr")]


@pytest.mark.parametrize("covariance_type", naive.COVARIANCE_TYPES)
def test_weights_means_and_deviations(covariance_type):
    rows = np.random.default_rng(0).normal([5.0, 1e6, -1e9], 2.0, (200, 3))
    mixture = GaussianMixture(3, covariance_type=covariance_type, random_state=0).fit(rows)
    head, *lines = cells(mixture)
    assert head == ["component", "weight", "feature 0", "feature 1", "feature 2"]
    assert [int(line[0]) for line in lines] == np.argsort(-mixture.weights_, kind="stable").tolist()
    deviations = np.sqrt(np.diagonal(mixture._parameters.covariance_matrices, axis1=1, axis2=2))
    for number, weight, *values in lines:
        k = int(number)
        assert float(weight) == pytest.approx(mixture.weights_[k], abs=1e-4)
        means, own = np.transpose([value.split(" ± ") for value in values]).astype(float)
        assert (np.abs(means - mixture.means_[k]) <= deviations[k] / 100).all()  # wherever they are
        np.testing.assert_allclose(own, deviations[k], rtol=0.05)


def test_many_components_and_features_of_any_name_are_a_legible_part():
    pandas = pytest.importorskip("pandas")
    names = ["<script>alert(1)</script>", "x" * 200, *(f"f{i}" for i in range(10))]
    rows = pandas.DataFrame(np.random.default_rng(1).normal(size=(400, 12)), columns=names)
    mixture = GaussianMixture(25, covariance_type="diag", random_state=0, max_iter=2, tol=1e9).fit(rows)
    html, (head, *lines) = components_table(mixture), cells(mixture)
    assert "<script" not in html
    assert len(lines) == 20
    assert len(head) == 2 + 8
    assert max(map(len, head)) <= 25
    assert "5 more components and 4 more features" in html


def test_notebooks_get_the_diagram_and_the_table_and_text_where_they_want_it():
    rows = np.random.default_rng(0).normal(size=(50, 2))
    unfitted, fitted = GaussianMixture(2), BayesianGaussianMixture(n_components=2, max_iter=500).fit(rows)
    assert "<caption>Components" not in unfitted._repr_mimebundle_()["text/html"]
    for html in (fitted._repr_mimebundle_()["text/html"], fitted._repr_html_()):
        assert "sk-top-container" in html
        assert html.endswith(components_table(fitted))
    with sklearn.config_context(display="text"):
        assert [*fitted._repr_mimebundle_()] == ["text/plain"]
        assert not hasattr(fitted, "_repr_html_")
