"""What is said, as lines and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from rich.table import Table

from dgmm.facts import Exhibit, as_json, fact, pages


def test_facts_that_follow_each_other_are_laid_out_together():
    table = Table()
    said = [fact("rows", 3), fact("data", "a\x1bb"), Exhibit(table), Exhibit(""), fact("out", "there")]
    first, second, last = pages(said)
    assert first == "rows  3\ndata  a\\x1bb"
    assert second is table
    assert last == "out  there"


def test_json_has_all_digits_and_null_for_what_it_has_no_number_for():
    third = 1 / 3
    said = [
        fact("x", "0.33", x=np.float64(third), path=Path("a") / "b", none=None),
        Exhibit(
            "", {"table": [{"n": np.int64(2), "on": np.True_, "odd": np.array([np.nan, -np.inf, third])}]}
        ),
        Exhibit("", {"names": np.array(["ä", "b"], dtype=object), "set": frozenset({2, 1})}),
    ]
    text = as_json(said)
    assert text.isascii()
    assert json.loads(text) == {
        "x": third,
        "path": "a/b",
        "none": None,
        "table": [{"n": 2, "on": True, "odd": [None, None, third]}],
        "names": ["ä", "b"],
        "set": [1, 2],
    }


def test_nothing_is_said_twice():
    with pytest.raises(ValueError, match="n_rows is said twice"):
        as_json([fact("rows", 1, n_rows=1), Exhibit("", {"n_rows": 1})])
