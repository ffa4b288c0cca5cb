"""Reads a page as a browser and a screen reader do."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from itertools import pairwise
from typing import Any

SVG = "{http://www.w3.org/2000/svg}"


def parsed(page: str) -> Any:
    """Parse a page: it is well-formed XML but for its first line."""
    return ET.fromstring(page.removeprefix("<!DOCTYPE html>\n"))


def text_of(page: str) -> str:
    """Return the text of a page, with single blanks."""
    return " ".join("".join(parsed(page).itertext()).split())


def check_page(page: str) -> None:
    """Hold a page to what every report keeps."""
    tree = parsed(page)
    # Nothing comes from elsewhere, and nothing runs.
    assert not {"script", "link", "iframe", "img", "object"} & {each.tag for each in tree.iter()}
    assert "@import" not in page
    assert "http" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", page)
    for target in re.findall(r'(?:href|src)="([^"]*)"|url\(([^)]*)\)', page):
        assert "".join(target).startswith(("#", "data:image/png;base64,"))
    # It fits a phone, and comes in two themes.
    viewports = [each.get("content") for each in tree.iter("meta") if each.get("name") == "viewport"]
    assert viewports == ["width=device-width, initial-scale=1"]
    style = "".join(each.text or "" for each in tree.iter("style") if each.text and ":root" in each.text)
    assert "prefers-color-scheme: dark" in style
    fixed = [int(width) for width in re.findall(r"(?<!max-)(?<!-)width: (\d+)px", style)]
    assert all(width <= 360 for width in fixed)
    assert all(int(width) <= 328 for width in re.findall(r"(?:min-width: |minmax\()(\d+)px", style))
    assert all(each.get("width") is None for each in tree.iter(f"{SVG}svg") if each.get("role") == "img")
    # A screen reader finds its way.
    assert tree.get("lang") == "en"
    assert len(list(tree.iter("h1"))) == 1
    levels = [int(each.tag[1]) for each in tree.iter() if re.fullmatch("h[1-6]", str(each.tag))]
    assert all(after <= before + 1 for before, after in pairwise(levels))
    names = {each.get("id") for each in tree.iter() if each.get("id")}
    links = [each.get("href", "") for each in tree.iter("a")]
    assert links
    assert {link.removeprefix("#") for link in links} <= names
    for section in tree.iter("section"):
        assert section.get("aria-labelledby") in names
    pictures = [each for each in tree.iter(f"{SVG}svg") if each.get("role") == "img"]
    assert pictures
    for picture in pictures:
        (title,) = picture.findall(f"{SVG}title")
        assert "".join(title.itertext()).strip()
        assert title.get("id") in (picture.get("aria-labelledby") or "").split()
        assert set((picture.get("aria-labelledby") or "").split()) <= names
    for table in tree.iter("table"):
        assert table.find("caption") is not None
        assert all(each.get("scope") in ("col", "row") for each in table.iter("th"))
    for region in (each for each in tree.iter("div") if each.get("class") == "scroll"):
        assert region.get("tabindex") == "0"
        assert region.get("aria-label")
    ids = [each.get("id") for each in tree.iter() if each.get("id")]
    assert len(ids) == len(set(ids))
    assert not re.search(r"\b(nan|inf)\b", text_of(page))
