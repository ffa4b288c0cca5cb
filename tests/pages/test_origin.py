"""How a fit ended, and what repeats it."""

import numpy as np
import pytest

pytest.importorskip("matplotlib")

import dgmm
from dgmm.pages.origin import Origin, command_line, how_computed, how_it_ended, settings
from tests.pages.reading import text_of


def test_a_command_is_as_it_would_be_typed_without_secrets():
    arguments = ["fit", "my rows.csv", "--storage-option", "token=abc", "--storage-option=key=d", "-k", "3"]
    said = command_line(arguments)
    assert said.startswith("dgmm fit 'my rows.csv'")
    assert said.endswith("-k 3")
    assert "abc" not in said
    assert "key=d" not in said


def test_settings_that_are_not_the_default_repeat_it():
    mixture = dgmm.GaussianMixture(3, random_state=0)
    assert settings(mixture, changed=True) == "n_components=3, random_state=0"
    assert "covariance_type='full'" in settings(mixture)


def test_it_says_of_which_rows_and_how(three_clusters, tmp_path):
    mixture = dgmm.GaussianMixture(3, random_state=0).fit(three_clusters)
    said = text_of(f"<div>{how_computed(Origin(dgmm.open_dataset(three_clusters)), mixture).body}</div>")
    assert "3,000" in said
    assert f"numpy {np.__version__}" in said
    assert "GaussianMixture(n_components=3, random_state=0).fit('ndarray')" in said
    ended = text_of(f"<div>{how_it_ended(mixture).body}</div>")
    assert mixture.stop_reason_ in ended
    assert mixture.data_fingerprint_ in ended


def test_a_mixture_of_no_fit_has_no_history():
    by_hand = dgmm.GaussianMixture(1)
    by_hand.weights_, by_hand.means_, by_hand.covariances_ = np.ones(1), np.zeros((1, 1)), np.ones((1, 1, 1))
    assert "set by hand" in text_of(f"<div>{how_it_ended(by_hand).body}</div>")
