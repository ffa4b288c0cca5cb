"""`report` of estimators: a page for a mixture and for a sweep."""

import numpy as np
import pytest

pytest.importorskip("matplotlib")

import dgmm


@pytest.mark.usefixtures("blank_pictures")
def test_mixtures_and_sweeps_have_a_report(three_clusters, tmp_path):
    rows = three_clusters[:200]
    mixture = dgmm.GaussianMixture(2, random_state=0).fit(rows)
    mixture.report(tmp_path / "mixture.html", rows)
    assert "<title>Mixture of ndarray</title>" in (tmp_path / "mixture.html").read_text()
    sweep = dgmm.GaussianMixtureSweep([1, 2], covariance_type="diag", random_state=0).fit(rows)
    sweep.report(tmp_path / "sweep.html")
    page = (tmp_path / "sweep.html").read_text()
    assert "<title>Sweep</title>" in page
    assert f"Best: {sweep.best_params_['n_components']} × diag" in page
    before = np.asarray(rows).copy()
    sweep.report(tmp_path / "sweep.html", rows)  # replaces it
    assert "200 rows" in (tmp_path / "sweep.html").read_text()
    np.testing.assert_array_equal(rows, before)
