"""The files of a journal."""

import uuid

import numpy as np
import pytest

from dgmm.data.durable import DurableFolder
from dgmm.data.records import Kinds, digest_of, likeness_of, write_record
from dgmm.passes.entries import CLASSES, Answer, Entry, Reader, Request, in_words, name_of

KINDS = Kinds(CLASSES)


def request(about: object, kind: str = "pass") -> Request:
    return Request(kind, "EM", 10, likeness_of(about))


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ({}, "nothing"),
        ({"pass": 1}, "1 pass"),
        ({"steps": 1, "pass": 2}, "2 passes, 1 round of steps on a sample"),
    ],
)
def test_counts_in_words(counts, words):
    assert in_words(counts) == words


def test_requests_are_the_same_bit_for_bit_or_but_for_rounding():
    value = np.array([1.0, 2.0])
    assert request(value).is_answered_by(request(value), None)
    assert not request(value).is_answered_by(request(value + 1e-15), None)
    assert request(value).is_answered_by(request(value + 1e-15), 1e-6)
    assert not request(value).is_answered_by(request(value + 1e-3), 1e-6)


def test_files_are_read_as_far_as_they_follow_each_other():
    folder, tip, digests = DurableFolder.at(f"memory://{uuid.uuid4().hex}"), "origin", []
    for number in range(1, 5):
        answers = (Answer(request(number), number, 0.5), Answer(request(number, "steps"), 0, 0.5))
        data = write_record(Entry(tip, answers, is_last=number == 4), KINDS)
        folder.put(name_of(number), data)
        tip = digest_of(data)
        digests.append(tip)
    extent = Reader(folder, KINDS, "origin").extent()
    assert (dict(extent.counts), extent.is_complete, extent.damage) == ({"pass": 4, "steps": 4}, True, "")
    assert Reader(folder, KINDS, digests[1], number=2).extent().counts == {"pass": 2, "steps": 2}
    folder.put(name_of(2), folder.read(name_of(3)))
    extent = Reader(folder, KINDS, "origin").extent()
    assert (dict(extent.counts), extent.is_complete) == ({"pass": 1, "steps": 1}, False)
    assert extent.damage == (
        "entry-000002.dgmm is damaged, or of another fit: it does not follow the one before it"
    )
