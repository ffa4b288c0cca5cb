"""What pages are made of."""

from itertools import product

import pytest

pytest.importorskip("matplotlib")

from dgmm.pages.html import THEMES, Section, component, facts, figure, grid, page, table, text
from dgmm.plotting.palette import COLORS, GREY, contrast
from tests.pages.reading import SVG, check_page, parsed, text_of

TEXT_ON = (
    ("ink", "paper"),
    ("ink", "panel"),
    ("ink", "chosen"),
    ("quiet", "paper"),
    ("quiet", "panel"),
    ("accent", "paper"),
    ("accent", "panel"),
)
"""Colours of text, and those that are behind it."""


@pytest.mark.parametrize(("theme", "pair"), [*product(THEMES, TEXT_ON)])
def test_text_can_be_read(theme, pair):
    """WCAG 2.2, 1.4.3: a contrast of 4.5."""
    ink, paper = (THEMES[theme][name] for name in pair)
    assert contrast(ink, paper) >= 4.5


@pytest.mark.parametrize("theme", THEMES)
def test_what_is_drawn_can_be_seen(theme):
    """WCAG 2.2, 1.4.11: a contrast of 3."""
    assert min(contrast(color, THEMES[theme]["paper"]) for color in (*COLORS, GREY)) >= 3.0


def some_page() -> str:
    cells = [[component(9), text("<b>"), text("x & y")]]
    body = table("Of <all>", ["component", "a", "b"], cells, ["best"], left=[2]) + facts(
        "F", [("a", "$1 <i>")]
    )
    pictures = [figure(lambda ax: ax.plot([0, 1]), f"A line {name}", "It rises.") for name in "ab"]
    return page(
        "T <1>", "of & by", "<p>A</p>", [Section("one", "One", body), Section("two", "Two", grid(pictures))]
    )


def test_a_page_keeps_what_every_report_keeps():
    found = some_page()
    check_page(found)
    assert "T <1>" in text_of(found)
    assert "x & y" in text_of(found)


def test_it_has_no_time_of_its_own():
    assert some_page() == some_page()


def test_pictures_have_the_colours_of_the_page():
    found = figure(lambda ax: ax.set_title("#ffffff is a name"), "A")
    assert "currentColor" in found
    assert "#1b2a41" not in found
    assert "#ffffff is a name" in found


def test_a_description_is_read_out():
    (picture,) = parsed(figure(lambda ax: ax.plot([1, 2]), "A", "Two points.")).iter(f"{SVG}svg")
    (described,) = picture.findall(f"{SVG}desc")
    assert described.text == "Two points."
    assert described.get("id") in picture.get("aria-labelledby")


def test_secrets_of_urls_are_not_shown():
    assert "hush" not in text("s3://user:hush@bucket/x.zarr")
