"""Whether a mixture fits its rows."""

from typing import Any

import numpy as np
import pytest
from scipy.stats import kstest

pytest.importorskip("matplotlib")

import dgmm
from dgmm.pages.goodness import distance_along, is_it_good
from dgmm.plotting.subject import Subject
from tests.pages.reading import text_of

pytestmark = pytest.mark.usefixtures("blank_pictures")


def of(subject: Subject) -> str:
    return text_of(f"<div>{is_it_good(subject).body}</div>")


def test_distances_are_kolmogorovs():
    rows = np.random.default_rng(0).standard_t(3, size=(2000, 1))
    subject = Subject.of(dgmm.GaussianMixture(1).fit(rows), rows)
    (axis,) = subject.axes(0)
    found = distance_along(subject, axis)
    expected = kstest(rows[:, 0], "norm", (rows.mean(), rows.std())).statistic
    assert found.largest == pytest.approx(expected, abs=2 / 2000)
    assert not found.is_chance
    assert "In 1 of 1 features the rows differ" in of(subject)


def test_values_that_are_rounded_are_no_misfit():
    rows = np.random.default_rng(0).normal(size=(3000, 2)).round(0)
    subject = Subject.of(dgmm.GaussianMixture(1).fit(rows), rows)
    assert distance_along(subject, subject.axes(0)[0]).largest < 0.03


def test_rows_of_the_mixture_fit():
    rows = np.random.default_rng(1).normal(size=(2000, 3))
    rows[:1000] += 8.0
    subject = Subject.of(dgmm.GaussianMixture(2, random_state=0).fit(rows), rows)
    said = of(subject)
    assert "no feature do the rows differ from the mixture by more than chance" in said
    assert "of all 2,000 rows" in said
    assert "Gaussian" in said  # the verdicts on components


def test_undecided_rows_are_counted():
    rows = np.r_[np.linspace(-1, 0, 50), np.linspace(9, 10, 50), np.full(25, 4.5)][:, None]
    mixture = dgmm.GaussianMixture(2, covariance_type="spherical")
    mixture.weights_, mixture.means_ = np.ones(2) / 2, np.array([[0.0], [9.0]])
    mixture.covariances_ = np.ones(2)
    assert "20 % of the rows are less than 90 % sure" in of(Subject.of(mixture, rows))


@pytest.mark.parametrize("missing", ["drop", "marginalize"])
def test_rows_that_lack_values(missing):
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(500, 3))
    rows[generator.random(500) < 0.3, 0] = np.nan
    mixture = dgmm.GaussianMixture(2, missing=missing, random_state=0).fit(rows)
    n_known = int(np.isfinite(rows[:, 0]).sum())
    body = is_it_good(Subject.of(mixture, rows)).body
    assert f">feature 0</th><td>{n_known}</td>" in body


def test_a_feature_that_no_row_has_is_not_compared():
    rows = np.c_[np.random.default_rng(0).normal(size=40), np.full(40, np.nan)]
    mixture = dgmm.GaussianMixture(1).fit(np.random.default_rng(1).normal(size=(40, 2)))
    assert "1 other features are not compared" in of(Subject.of(mixture, rows))


def test_without_rows_it_says_so(three_clusters):
    assert "No rows were given" in of(Subject.of(dgmm.GaussianMixture(1).fit(three_clusters)))


@pytest.mark.parametrize("are_named", [False, True])
def test_components_are_judged_by_labels_and_groups(are_named):
    """As `misfit` judges them; what was known of the rows alone tells the two components apart."""
    generator = np.random.default_rng(0)
    labels, numbers = generator.integers(2, size=300), generator.integers(2, size=300)
    rows = np.where(labels[:, None] == 0, generator.normal(size=(300, 2)), generator.uniform(-2, 2, (300, 2)))
    groups = np.array(["north", "south"])[numbers] if are_named else 10 * numbers
    known: dict[str, Any] = {
        "labels": labels,
        "groups": groups,
        "sample_weight": generator.integers(3, size=300),
    }
    mixture = dgmm.GaussianMixture(2, random_state=0).fit(rows, **known)
    said = of(Subject.of(mixture, rows, **known))
    counts = mixture.misfit(rows, **known).counts
    assert counts == pytest.approx(np.bincount(labels, known["sample_weight"]))
    for k, count in enumerate(counts):
        assert f"{k}{count:,.0f}" in said.replace(" ", "").split("Componentsthatarenot")[-1]
