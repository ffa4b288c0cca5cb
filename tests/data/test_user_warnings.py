"""Warnings name the line of the user, whatever called what."""

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline

from dgmm import GaussianMixture, MixtureImputer, MixtureWarning
from dgmm.data import DataWarning
from dgmm.data.user_warnings import warn_user


def test_without_the_library_between_it_is_of_the_caller():
    with pytest.warns(DataWarning, match="^so it is$") as caught:
        warn_user("so it is", DataWarning)
    assert caught[0].filename == __file__


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_steps_of_fits_streams_and_pipelines_are_of_the_line_that_calls_them(generator):
    rows = np.concatenate([np.zeros((50, 2)), generator.normal(5.0, 1.0, (50, 2))])
    mixture = GaussianMixture(2, random_state=0, max_iter=5)
    calls = [
        lambda: mixture.fit(rows),
        lambda: mixture.fit_predict(rows),
        lambda: GaussianMixture(2, random_state=0, max_iter=5).partial_fit(rows),
        lambda: make_pipeline(mixture).fit(rows),
    ]
    for call in calls:
        with pytest.warns(MixtureWarning, match="collapsed") as caught:
            call()
        assert {each.filename for each in caught} == {__file__}


def test_what_is_said_of_rows_is_of_the_line_that_gives_them(generator):
    rows = generator.normal(size=(50, 2))
    rows[7] = np.nan
    with pytest.warns(DataWarning, match="1 of 50 rows") as caught:
        MixtureImputer(GaussianMixture(missing="marginalize", random_state=0)).fit(rows)
    assert {each.filename for each in caught} == {__file__}


def test_batches_of_a_stream_that_empty_a_component_are_of_the_line_that_gives_them(generator):
    near, far = generator.normal(size=(300, 1)), generator.normal(50.0, 1.0, (3, 1))
    mixture = GaussianMixture(2, random_state=0).fit(np.concatenate([near, far]))
    with pytest.warns(MixtureWarning, match="less than one row") as caught:
        assert all(mixture.partial_fit(near, decay=0.51) for _ in range(5))
    assert {each.filename for each in caught} == {__file__}
