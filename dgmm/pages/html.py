"""The parts of a page: sections, tables, figures, and how they look."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from zlib import crc32

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dgmm.data.text import printable, redacted
from dgmm.plotting.canvas import new_figure, themed
from dgmm.plotting.palette import COLORS, DARK, DARK_INK, INK, PAPER, color_of

THEMES = {
    "light": {
        "ink": INK,
        "quiet": "#566173",
        "paper": PAPER,
        "panel": "#eef3f8",
        "line": "#dde3ea",
        "accent": "#0b5c99",
        "chosen": "#fbf0cf",
    },
    "dark": {
        "ink": DARK_INK,
        "quiet": "#a3afbf",
        "paper": DARK,
        "panel": "#1d2530",
        "line": "#36404d",
        "accent": "#7fbdf0",
        "chosen": "#3d3414",
    },
}
"""Colours of pages by their use."""

PANEL = (4.2, 3.3)
"""Size of a picture, inches: as wide as a phone, so that its text can be read there."""

RULES = """
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { font: 16px/1.55 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 0; }
main { max-width: 1180px; margin: 0 auto; padding: 24px 16px 64px; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 4px; }
h2 { font-size: 1.25rem; margin: 44px 0 8px; padding-top: 12px; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 24px 0 6px; }
p { margin: 8px 0; max-width: 76ch; }
a { color: var(--accent); }
a:focus-visible, [tabindex]:focus-visible, summary:focus-visible {
  outline: 3px solid var(--accent); outline-offset: 2px; }
.skip { position: absolute; left: -9999px; } .skip:focus { position: static; }
.sub, figcaption, .note { color: var(--quiet); font-size: 0.875rem; }
nav ul { display: flex; flex-wrap: wrap; gap: 4px 20px; list-style: none; padding: 0; margin: 12px 0; }
.answer { background: var(--panel); border-left: 4px solid var(--accent); padding: 10px 16px;
  margin: 16px 0; }
.answer ul { padding-left: 18px; margin: 6px 0; } .answer li { margin: 4px 0; }
.grid { display: grid; gap: 8px 24px;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 320px), 1fr)); }
.two { display: grid; gap: 8px 24px; max-width: 960px;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 320px), 1fr)); }
figure { margin: 12px 0; min-width: 0; }
figure svg { display: block; width: 100%; height: auto; max-width: 560px; }
.wide svg { max-width: 820px; }
.scroll { overflow-x: auto; max-width: 100%; margin: 8px 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.875rem; }
caption { text-align: left; color: var(--quiet); padding: 4px 0; }
th, td { padding: 4px 10px; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
th { font-weight: 600; } thead th { border-bottom: 2px solid var(--quiet); }
tr.best td, tr.best th { background: var(--chosen); } tr.out td, tr.out th { color: var(--quiet); }
.text { text-align: left; } .long { white-space: normal; min-width: 180px; }
table.facts th { text-align: left; vertical-align: top; white-space: nowrap; }
table.facts td { text-align: left; white-space: normal; overflow-wrap: anywhere; }
.dot { display: inline-block; width: 0.7em; height: 0.7em; border-radius: 50%; margin-right: 6px; }
code { font: 0.875em ui-monospace, monospace; overflow-wrap: anywhere; }
@media (max-width: 520px) { table.facts th, table.facts td { display: block; border: 0; padding: 2px 0; }
  table.facts tr { display: block; border-bottom: 1px solid var(--line); padding: 4px 0; } }
@media print { .scroll { overflow: visible; } nav, .skip { display: none; } }
"""


def _style() -> str:
    """Return the style sheet."""
    light, dark = (
        "".join(f"--{name}: {color}; " for name, color in colors.items()) for colors in THEMES.values()
    )
    parts = "".join(f".c{k} {{ background: {color}; }}\n" for k, color in enumerate(COLORS))
    return (
        f":root {{ color-scheme: light dark; {light}}}\n"
        f"@media (prefers-color-scheme: dark) {{ :root {{ {dark}}} }}\n{RULES}{parts}"
    )


@dataclass(frozen=True)
class Section:
    """A part of a page, with a heading that can be gone to.

    Attributes
    ----------
    key : str
        Names it in links.
    title : str
    body : str
        HTML.
    """

    key: str
    title: str
    body: str


def page(title: str, subtitle: str, answer: str, sections: Sequence[Section]) -> str:
    """Return a page.

    Parameters
    ----------
    title, subtitle : str
        Text.
    answer : str
        HTML: what there is to know, if no more is read.
    sections : sequence of Section
    """
    links = "".join(f'<li><a href="#{each.key}">{text(each.title)}</a></li>' for each in sections)
    body = "\n".join(
        f'<section id="{each.key}" aria-labelledby="{each.key}-title">\n'
        f'<h2 id="{each.key}-title">{text(each.title)}</h2>\n{each.body}\n</section>'
        for each in sections
    )
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8"/>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"/>\n'
        f'<meta name="color-scheme" content="light dark"/>\n<title>{text(title)}</title>\n'
        f'<style>{_style()}</style>\n</head>\n<body>\n<a class="skip" href="#content">To the content</a>\n'
        f'<main id="content">\n<header>\n<h1>{text(title)}</h1>\n<p class="sub">{text(subtitle)}</p>\n'
        f'<div class="answer">{answer}</div>\n</header>\n'
        f'<nav aria-label="Sections"><ul>{links}</ul></nav>\n{body}\n</main>\n</body>\n</html>\n'
    )


def text(what: object) -> str:
    """Return a text as HTML: no signs of its own, none that a terminal would obey, no secrets of URLs."""
    return escape(printable(redacted(what)))


def paragraph(what: object, kind: str = "") -> str:
    """Return a paragraph of text."""
    return f"<p{_class(kind)}>{text(what)}</p>"


def bullets(sentences: Iterable[str]) -> str:
    """Return a list of sentences."""
    return f"<ul>{''.join(f'<li>{text(each)}</li>' for each in sentences)}</ul>"


def component(k: int) -> str:
    """Return a component's number, with a dot of its colour."""
    return f'<span class="dot c{COLORS.index(color_of(k))}" aria-hidden="true"></span>{k}'


def table(
    caption: str,
    header: Iterable[str],
    rows: Sequence[Sequence[str]],
    classes: Sequence[str] = (),
    *,
    left: Sequence[int] = (),
) -> str:
    """Lay out a table whose cells are HTML already; what is wider than the page can be scrolled.

    Parameters
    ----------
    caption : str
        Text.
    header : iterable of str
        Text.
    rows : sequence of sequence of str
        The first cell of each is the name of the row.
    classes : sequence of str, optional
        Of each row.
    left : sequence of int, optional
        Columns that are text, of which more than a few words may be in a line.
    """
    names = list(header)
    kinds = [_class("text long" if number in left else "") for number in range(len(names))]
    head = "".join(
        f'<th scope="col"{kind}>{text(name)}</th>' for name, kind in zip(names, kinds, strict=True)
    )
    lines = []
    for number, (first, *cells) in enumerate(rows):
        data = "".join(f"<td{kind}>{cell}</td>" for cell, kind in zip(cells, kinds[1:], strict=True))
        own = _class(classes[number] if classes else "")
        lines.append(f'<tr{own}><th scope="row"{kinds[0]}>{first}</th>{data}</tr>')
    body = "\n".join(lines)
    return _scrolled(
        caption,
        f"<table><caption>{text(caption)}</caption>\n<thead><tr>{head}</tr></thead>\n"
        f"<tbody>\n{body}\n</tbody></table>",
    )


def facts(caption: str, pairs: Iterable[tuple[str, object]]) -> str:
    """Lay out names and texts, one fact a line."""
    rows = "".join(
        f'<tr><th scope="row">{text(name)}</th><td>{text(what)}</td></tr>\n' for name, what in pairs
    )
    return f'<table class="facts"><caption>{text(caption)}</caption>\n<tbody>\n{rows}</tbody></table>'


def _scrolled(name: str, body: str) -> str:
    return f'<div class="scroll" role="region" tabindex="0" aria-label="{text(name)}">{body}</div>'


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""


def figure(
    draw: Callable[[Axes], object],
    caption: str,
    description: str = "",
    *,
    size: tuple[float, float] = PANEL,
) -> str:
    """Return a figure of HTML that something draws: in the colours of the page.

    Parameters
    ----------
    draw : callable
        Draws on axes.
    caption : str
        Below the picture, and its name for those who do not see it.
    description : str
        For those who do not see it: what there is to see.
    size : tuple of float
        Width and height, inches.
    """
    with themed("light"), rc_context({"svg.fonttype": "none", "svg.hashsalt": "dgmm"}):
        drawn = new_figure(size)
        draw(drawn.subplots())
        picture = svg_of(drawn, caption, description)
    kind = ' class="wide"' if size[0] > PANEL[0] else ""
    return f"<figure{kind}>{picture}<figcaption>{text(caption)}</figcaption></figure>"


def grid(figures: Iterable[str]) -> str:
    """Lay out figures side by side, as many as there is room for."""
    return f'<div class="grid">{"".join(figures)}</div>'


def side_by_side(*figures: str) -> str:
    """Lay out two figures that belong together: beside each other, where there is room."""
    return f'<div class="two">{"".join(figures)}</div>'


def svg_of(drawn: Figure, title: str, description: str = "") -> str:
    """Return a figure as an SVG element, with nothing that refers to elsewhere, and in the page's colours."""
    out = io.StringIO()
    with warnings.catch_warnings():  # signs that the font lacks are the reader's font's to show
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font", UserWarning)
        drawn.savefig(out, format="svg", dpi=150, transparent=True)
    found = out.getvalue()
    found = re.sub(r"<metadata>.*?</metadata>", "", found[found.index("<svg") :], flags=re.DOTALL)
    own = f"p{crc32((title + found).encode()):08x}-"  # other pictures of the page have other names
    found = re.sub(r'( id="|"#|url\(#)', lambda match: match[0] + own, found)
    found = found.replace(f": {INK}", ": currentColor").replace(f": {PAPER}", ": var(--paper)")
    said = f'<title id="{own}title">{text(title)}</title>'
    named = f"{own}title"
    if description:
        said += f'<desc id="{own}desc">{text(description)}</desc>'
        named += f" {own}desc"
    opening, rest = found.split(">", 1)
    opening = re.sub(r' (width|height)="[^"]*"', "", opening)
    return f'{opening} role="img" aria-labelledby="{named}">{said}{rest}'
