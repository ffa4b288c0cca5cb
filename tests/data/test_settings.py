"""Settings in Dask's configuration: read as numbers, or refused by name."""
# pyright: reportPrivateImportUsage=false

import math
from dataclasses import dataclass

import dask
import pytest

from dgmm.data.settings import configured


@dataclass(frozen=True)
class Trying:
    first_pause: float = 0.5
    tries: int = 8


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, Trying()),
        ({"dgmm.trying.first-pause": 2}, Trying(2.0)),
        ({"dgmm.trying.first_pause": "2 minutes"}, Trying(120.0)),
        ({"dgmm.trying.first-pause": None}, Trying(math.inf)),
        ({"dgmm.trying": {"first-pause": "250ms", "tries": 0}}, Trying(0.25, 0)),
        ({"dgmm.other.tries": "no matter"}, Trying()),
    ],
)
def test_fields_are_set_by_name(given, expected):
    with dask.config.set(given):
        assert configured(Trying(), "dgmm.trying") == expected
    assert configured(Trying(), "dgmm.trying") == Trying()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"dgmm.trying.pause": 1}, r"dgmm.trying.pause .* only dgmm.trying.first-pause, dgmm.trying.tries"),
        ({"dgmm.trying.first-pause": "soon"}, "dgmm.trying.first-pause is 'soon'"),
        ({"dgmm.trying.first-pause": -1}, "dgmm.trying.first-pause is -1"),
        ({"dgmm.trying.first-pause": math.nan}, "dgmm.trying.first-pause is nan"),
        ({"dgmm.trying.first-pause": True}, "dgmm.trying.first-pause is True"),
        ({"dgmm.trying.tries": 2.5}, "dgmm.trying.tries is 2.5 .* whole number"),
        ({"dgmm.trying.tries": None}, "dgmm.trying.tries is None"),
        ({"dgmm.trying": 3}, "dgmm.trying is 3"),
    ],
)
def test_what_is_no_such_setting_is_refused_by_name(given, message):
    with dask.config.set(given), pytest.raises(ValueError, match=message):
        configured(Trying(), "dgmm.trying")
