"""Colours can be told apart, by whoever sees them, on light and on dark."""

from itertools import combinations

import numpy as np
import pytest

from dgmm.plotting.palette import (
    COLORS,
    DARK,
    DARK_INK,
    GREY,
    INK,
    PAPER,
    color_of,
    contrast,
    line_of,
    marker_of,
)

# Linear RGB as those see it who lack a kind of cones: Machado, Oliveira and Fernandes 2009, severity 1.
SEEN = {
    "all": np.eye(3),
    "no long waves": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "no medium waves": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "no short waves": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
# From linear RGB to Oklab: Ottosson 2020.
CONES = [
    [0.4122214708, 0.5363325363, 0.0514459929],
    [0.2119034982, 0.6806995451, 0.1073969566],
    [0.0883024619, 0.2817188376, 0.6299787005],
]
OKLAB = [
    [0.2104542553, 0.7936177850, -0.0040720468],
    [1.9779984951, -2.4285922050, 0.4505937099],
    [0.0259040371, 0.7827717662, -0.8086757660],
]


@pytest.mark.parametrize("cones", SEEN)
def test_no_two_colours_look_alike(cones):
    rgb = np.array([[int(color[i : i + 2], 16) for i in (1, 3, 5)] for color in COLORS]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.transpose(SEEN[cones]), 0, 1)
    places = np.cbrt(seen @ np.transpose(CONES)) @ np.transpose(OKLAB)
    for first, second in combinations(range(len(COLORS)), 2):
        # A just noticeable difference is 0.02.
        assert np.linalg.norm(places[first] - places[second]) > 0.07


@pytest.mark.parametrize("paper", [PAPER, DARK])
def test_all_can_be_seen_on_light_and_dark(paper):
    assert min(contrast(color, paper) for color in (*COLORS, GREY)) >= 3.0


def test_text_can_be_read():
    assert contrast(INK, PAPER) >= 7.0
    assert contrast(DARK_INK, DARK) >= 7.0


def test_contrasts_are_those_of_the_standard():
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)  # WCAG's own example
    assert contrast("#ffffff", "#000000") == 21.0


def test_many_components_differ_in_something():
    looks = {(color_of(k), line_of(k)) for k in range(4 * len(COLORS))}
    assert len(looks) == 4 * len(COLORS)
    assert len({marker_of(k) for k in range(len(COLORS))}) == len(COLORS)
