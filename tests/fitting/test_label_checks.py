"""What users tell of rows: found in passes over its columns, and refused where it is none."""

import numpy as np
import pytest

from dgmm.data import DataError, DataWarning, open_weights
from dgmm.data.ambient import read_now
from dgmm.data.memory import MemorySource
from dgmm.fitting.label_checks import GROUP_LIMITS, LabelsAndGroups, check_labels, groups_in


def test_groups_are_found_in_a_pass(monkeypatch):
    values = np.array([7.0, -2.0, 7.0, 3.5])
    with pytest.warns(DataWarning, match="2 of 3 groups have a single row"):
        assert groups_in(open_weights(values), None).tolist() == [-2.0, 3.5, 7.0]
    monkeypatch.setattr("dgmm.fitting.label_checks.GROUP_LIMITS", type(GROUP_LIMITS)(most_groups=5))
    with pytest.raises(DataError, match="groups holds more than 5 different values in 9 rows"):
        groups_in(open_weights(np.arange(9.0)), None)


def test_labels_are_checked_in_a_pass():
    labels, weights = np.array([[0], [2], [2], [-1]]), open_weights([1.0, 0.0, 0.0, 1.0])
    check_labels(MemorySource(labels), None, 3)
    with pytest.raises(DataError, match="label 2 has 2 rows, all with a sample_weight of 0"):
        check_labels(MemorySource(labels), weights, 3)
    with pytest.raises(DataError, match="labels holds 2 in row 1, but n_components=2"):
        check_labels(MemorySource(labels), None, 2)


def test_nothing_is_beside_rows():
    source = MemorySource(np.eye(3))
    assert LabelsAndGroups().parts(3) is None
    assert LabelsAndGroups().with_features(source, 3) is source
    rows = LabelsAndGroups(groups=open_weights([1.0, 1.0, 2.0])).with_features(source, 3)
    assert (rows.n_features, rows.n_rows, read_now(rows.rows(0, 3)).shape) == (3, 3, (3, 4))
