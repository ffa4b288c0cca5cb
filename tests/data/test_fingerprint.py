"""Checksums of parts add up to those of the whole, whatever the cut; what differs is found by its numbers."""

from functools import reduce
from itertools import pairwise
from operator import add

import google_crc32c
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgmm.data import fingerprint as module
from dgmm.data.fingerprint import Fingerprint, combined

ROWS = np.random.default_rng(0).normal(size=(1100, 3))


def crc32c(data: bytes) -> int:
    """Divide bit by bit, as the check is defined."""
    register = 0xFFFFFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (module.POLYNOMIAL if register & 1 else 0)
    return register ^ 0xFFFFFFFF


def test_the_check_is_castagnolis():
    assert crc32c(b"123456789") == 0xE3069283  # of the catalogue of CRCs
    assert google_crc32c.value(b"123456789") == 0xE3069283


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_checks_of_parts_are_combined(first, second):
    found = combined(google_crc32c.value(first), google_crc32c.value(second), len(second))
    assert found == google_crc32c.value(first + second)


def test_large_parts_are_combined():
    data = np.random.default_rng(0).bytes(5_000_000)
    for cut in (1, 4096, 4_999_999):
        parts = google_crc32c.value(data[:cut]), google_crc32c.value(data[cut:])
        assert combined(*parts, len(data) - cut) == google_crc32c.value(data)


@given(st.lists(st.integers(0, 1100), max_size=12), st.lists(st.integers(0, 1100), max_size=12))
def test_neither_the_cut_nor_the_tree_matters(inner, outer):
    """Spans of pieces: pieces extend the fingerprint of their span, and those of spans add up."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "RUN_ROWS", 64)
        expected = Fingerprint(3, "float64").extended(0, ROWS)
        edges = [0, *sorted(outer), len(ROWS)]
        spans = []
        for start, stop in pairwise(edges):
            cuts = [start, *sorted(cut for cut in inner if start <= cut <= stop), stop]
            span = Fingerprint(3, "float64")
            for first, last in pairwise(cuts):
                span = span.extended(first, ROWS[first:last])
            spans.append(span)
        assert reduce(add, spans) == expected
        assert reduce(lambda right, left: left + right, reversed(spans)) == expected


def test_runs_that_differ_are_told_by_their_numbers(monkeypatch):
    monkeypatch.setattr(module, "RUN_ROWS", 64)
    nothing = Fingerprint(3, "float64")
    one, others = nothing.extended(0, ROWS), ROWS.copy()
    others[[70, 1099]] = 0.0
    assert one.differing(one) == ()
    assert one.differing(nothing.extended(0, others)) == ((64, 128), (1088, 1100))
    assert one.differing(nothing.extended(0, ROWS[:-1])) == ((0, 1100),)
    assert one.differing(Fingerprint(3, "float32").extended(0, ROWS.astype("f4"))) == ((0, 1100),)
    swapped = np.concatenate([ROWS[64:128], ROWS[:64], ROWS[128:]])
    assert one.differing(nothing.extended(0, swapped)) == ((0, 64), (64, 128))


class TestKept:
    @pytest.fixture(autouse=True)
    def small_runs(self, monkeypatch):
        monkeypatch.setattr(module, "RUN_ROWS", 64)
        monkeypatch.setattr(module, "MOST_KEPT", 5)

    @staticmethod
    def of(rows):
        return Fingerprint(3, "float64").extended(0, rows)

    @pytest.mark.parametrize("n_rows", [1, 64, 320, 321, 1100])
    def test_a_bounded_number_of_checksums_of_as_many_rows_each(self, n_rows):
        kept = self.of(ROWS[:n_rows]).kept()
        step = kept["rows_per_checksum"]
        assert step % 64 == 0
        assert len(kept["crc32c"]) == -(-n_rows // step) <= 5
        runs = [ROWS[start : min(start + step, n_rows)] for start in range(0, n_rows, step)]
        assert kept["crc32c"] == [google_crc32c.value(run.tobytes()) for run in runs]
        assert self.of(ROWS[:n_rows]).differing_from_kept(kept) == ()

    def test_rows_that_are_elsewhere_are_told(self):
        kept, moved = self.of(ROWS).kept(), ROWS.copy()
        assert kept["rows_per_checksum"] == 256
        moved[[3, 1099]] = moved[[1099, 3]]
        assert self.of(moved).differing_from_kept(kept) == ((0, 256), (1024, 1100))

    @pytest.mark.parametrize(
        "change",
        [
            {"rows": 1101},
            {"dtype": "float32"},
            {"rows_per_checksum": 0},
            {"rows_per_checksum": 100},
            {"rows_per_checksum": "256"},
            {"crc32c": [1]},
            {"crc32c": 7},
            {"crc32c": None},
        ],
    )
    def test_what_is_no_such_record_is_of_other_rows(self, change):
        found = self.of(ROWS)
        assert found.differing_from_kept({**found.kept(), **change}) == ((0, 1100),)
        assert found.differing_from_kept("all is well") == ((0, 1100),)
