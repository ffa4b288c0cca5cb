"""`dgmm.cli.program`: what is said of commands before they are imported."""

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from dgmm.cli.program import MODULES, main


def test_help_says_what_the_commands_say():
    context = click.Context(main)
    said = {name: text for commands in MODULES.values() for name, text in commands.items()}
    assert main.list_commands(context) == sorted(said)
    for name, text in said.items():
        command = main.get_command(context, name)
        assert command is not None, name
        assert command.get_short_help_str(10_000) == text
    assert main.commands.keys() == said.keys()  # no module has others
    shown = " ".join(CliRunner().invoke(main, ["--help"]).stdout.split())
    assert all(f"{name} {text}" in shown for name, text in said.items())


def test_no_such_command():
    result = CliRunner().invoke(main, ["fti"])
    assert result.exit_code == 2
    assert result.stderr.startswith("error: No such command 'fti'.")
    assert result.stderr.endswith(
        "(see dgmm --help)\n"
    )  # in between some versions of click guess what was meant


@pytest.mark.parametrize(
    ("line", "completed"),
    [
        ("dgmm im", "plain,impute"),
        ("dgmm -", "plain,--version"),
        ("dgmm impute --meth", "plain,--method"),
        ("dgmm impute -", "plain,--json"),
        ("dgmm fit --covariance d", "plain,diag"),
        ("dgmm fit ro", "file,ro"),
        ("dgmm fit rows.zarr --out mo", "file,mo"),
    ],
)
def test_shells_complete(line, completed):
    words = {"_DGMM_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    result = CliRunner().invoke(main, prog_name="dgmm", env=words)
    assert completed in result.stdout.splitlines()


def test_help_and_names_import_nothing_that_takes_long():
    code = """
import os, sys
from dgmm.cli import main
for words in (None, "dgmm "):
    if words is not None:
        os.environ |= {"_DGMM_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": "1"}
    try:
        main(["--help"], prog_name="dgmm")
    except SystemExit:
        print("numpy" in sys.modules, "sklearn" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines().count("False False") == 2
    assert "plain,fit" in done.stdout.splitlines()
