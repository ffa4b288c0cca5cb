"""Options that commands share, by small commands that have them."""

import click
import pytest

from dgmm.cli.options import Number, at_urls, reading_rows
from dgmm.cli.shell import Command
from tests.cli.test_cluster import run


@click.command(cls=Command)
@reading_rows
def opened(opening: dict) -> None:
    click.echo(repr(opening))


@click.command(cls=Command)
@at_urls
def options_of_urls(storage_option: dict | None) -> None:
    click.echo(repr(storage_option))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("anon=true", {"anon": True}),
        ("n=1", {"n": 1}),
        ("key=text", {"key": "text"}),
        ("url=https://h/?a=b", {"url": "https://h/?a=b"}),  # only the first sign parts
        ('more={"a": [1]}', {"more": {"a": [1]}}),
        ("empty=", {"empty": ""}),
        ('quoted="1"', {"quoted": "1"}),
    ],
)
def test_storage_options_are_json_or_text(text, value):
    assert run(options_of_urls, "--storage-option", text) == (0, repr(value))


def test_several_storage_options():
    assert run(options_of_urls) == (0, "None")
    assert run(options_of_urls, "--storage-option", "a=1", "--storage-option", "b=x") == (
        0,
        repr({"a": 1, "b": "x"}),
    )
    code, line = run(options_of_urls, "--storage-option", "a")
    assert code == 2
    assert "'a' is not KEY=VALUE" in line


def test_how_rows_are_opened():
    nothing = {"columns": None, "fill_missing": False, "sample_dims": None, "storage_options": None}
    assert run(opened) == (0, repr(nothing))
    given = ["--columns", "b, a", "--fill-missing", "--storage-option", "n=1"]
    expected = nothing | {"columns": ["b", "a"], "fill_missing": True, "storage_options": {"n": 1}}
    assert run(opened, *given) == (0, repr(expected))


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--columns", "a, b"], ["a", "b"]),
        (["--columns", '"depth, m",speed'], ["depth, m", "speed"]),
        (["--columns", r"depth\, m,speed"], ["depth, m", "speed"]),
        (["--columns", "depth, m", "--columns", "speed"], ["depth, m", "speed"]),
        (["--columns", '"say ""x""",[red]'], ['say "x"', "[red]"]),
        (["--columns", '"line\nbreak",b'], ["line\nbreak", "b"]),
    ],
)
def test_names_of_columns(arguments, names):
    code, printed = run(opened, *arguments)
    assert code == 0
    assert printed.startswith(f"{{'columns': {names!r},")


@pytest.mark.parametrize("columns", ["", '"a,b', "a\nb"])
def test_what_is_no_list_of_names(columns):
    code, printed = run(opened, "--columns", columns)
    assert code == 2
    assert "is not a list of names like a,b or" in printed


@click.command(cls=Command)
@click.option("--share", type=Number(0, 0.5, min_open=True))
def shared(share: float) -> None:
    click.echo(share)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "0", "0.51", "much"])
def test_numbers_are_finite_and_in_range(value):
    code, printed = run(shared, "--share", value)
    assert code == 2
    assert "not a finite number" in printed or "not in the range" in printed or "not a valid float" in printed
    assert run(shared, "--share", "0.5") == (0, "0.5")
