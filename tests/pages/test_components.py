"""Which component is what."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("matplotlib")

import dgmm
from dgmm.pages.components import most_overlap, named, overlaps, which_is_what
from dgmm.plotting.subject import Subject
from tests.pages.reading import SVG, parsed, text_of


@pytest.fixture(scope="module")
def subject() -> Subject:
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(900, 4))
    rows[:300, 1] += 12.0
    rows[300:600, 3] -= 12.0
    rows[600:, 0] *= 9.0
    frame = pd.DataFrame(rows, columns=["a", "speed", "c", "depth"])
    return Subject.of(dgmm.GaussianMixture(3, random_state=0).fit(frame), frame)


def test_components_are_named_by_what_they_stand_out_by(subject):
    names = dict(zip(range(3), named(subject, range(3)), strict=True))
    means = subject.parameters.means
    high, low = int(means[:, 1].argmax()), int(means[:, 3].argmin())
    assert names[high].startswith("high speed")
    assert names[low].startswith("low depth")
    assert "wide a" in names[({0, 1, 2} - {high, low}).pop()]


def test_overlap_is_the_mean_responsibility(three_clusters):
    model: Any = dgmm.GaussianMixture(3, random_state=0).fit(three_clusters)
    found = overlaps(Subject.of(model, three_clusters))
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    share = model.predict_proba(three_clusters).astype(np.float64)  # rounded to float32, as the rows are
    expected = [np.average(share, axis=0, weights=share[:, k]) for k in range(3)]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert most_overlap(np.array([[0.9, 0.0, 0.1], [0.0, 1.0, 0.0], [0.3, 0.0, 0.7]]), 0) == "2 (10 %)"
    assert most_overlap(np.eye(3), 1) == "none"


def test_figures_are_the_mixtures(subject):
    section = which_is_what(subject)
    tree = parsed(f"<div>{section.body}</div>")
    # Three planes, a density, means, overlap.
    assert len([each for each in tree.iter(f"{SVG}svg") if each.get("role") == "img"]) == 6
    rows = [[" ".join("".join(cell.itertext()).split()) for cell in row] for row in tree.iter("tr")]
    assert rows[0][:3] == ["component", "weight", "stands out by"]
    order = np.argsort(-subject.parameters.weights, kind="stable")
    assert [int(row[0]) for row in rows[1:]] == order.tolist()
    k = order[0]
    mean, deviation = subject.parameters.means[k, 0], subject.parameters.variances[k, 0] ** 0.5
    shown, _, spread = rows[1][3].split()
    assert float(shown) == pytest.approx(mean, abs=0.01)
    assert float(spread) == pytest.approx(deviation, abs=0.01)


def test_what_is_left_out_is_said():
    many = dgmm.GaussianMixture(60, covariance_type="spherical")
    many.weights_ = np.r_[np.full(55, 1 / 55), np.zeros(5)]
    many.means_ = np.random.default_rng(0).normal(size=(60, 9))
    many.covariances_ = np.ones(60)
    said = text_of(f"<div>{which_is_what(Subject.of(many)).body}</div>")
    assert "Not listed: 15 lighter components and 5 without rows and 3 other features." in said
