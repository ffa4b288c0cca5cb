"""How commands end: an exit code, and one line that says what is wrong."""

import gc
import os
import shlex
import signal
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import click
import pytest
from click.testing import CliRunner, Result
from distributed import KilledWorker
from sklearn.exceptions import ConvergenceWarning

from dgmm.cli.options import names_of
from dgmm.cli.shell import FAILED, Commands, Ended, code_of, describe, say, warn_once


@click.group(cls=Commands)
def program() -> None:
    """Commands that end in every way there is."""


@program.command()
def well() -> None:
    click.echo("result")


@program.command()
@click.argument("kind")
def badly(kind: str) -> None:
    raise {
        "value": ValueError("reg_covar\n  is wrong"),
        "unknown": ZeroDivisionError("by zero"),
        "silent": ValueError(),
        "usage": click.UsageError("not so"),
        "file": FileNotFoundError(2, "No such file or directory", "rows.zarr"),
        "interrupt": KeyboardInterrupt(),
    }[kind]


@program.command()
@click.argument("name")
def ends(name: str) -> None:
    os.kill(os.getpid(), getattr(signal, name))
    click.echo("result")


@program.command()
def collects() -> None:
    """Be ended where exceptions are ignored: in a callback of garbage collection, as Distributed has."""

    def callback(phase: str, _: object) -> None:
        if phase == "start":
            gc.callbacks.remove(callback)
            os.kill(os.getpid(), signal.SIGTERM)

    gc.callbacks.append(callback)
    gc.collect()
    threading.Event().wait(60.0)
    click.echo("result")


@program.command()
def warns() -> None:
    for _ in range(2):
        warnings.warn("did not converge", ConvergenceWarning, stacklevel=1)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(program, arguments)


def test_a_result_goes_to_standard_output():
    result = run("well")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "result\n", "")


@pytest.mark.parametrize(
    ("kind", "code", "line"),
    [
        ("value", FAILED, "error: --reg-covar is wrong\n"),
        ("unknown", FAILED, "error: ZeroDivisionError: by zero (--debug shows where)\n"),
        ("silent", FAILED, "error: ValueError: (--debug shows where)\n"),
        ("usage", FAILED, "error: not so (see program badly --help)\n"),
        ("file", FAILED, "error: rows.zarr: No such file or directory\n"),
        ("interrupt", 130, "interrupted: the output is as it was before\n"),
    ],
)
def test_an_error_is_one_line(kind, code, line):
    result = run("badly", kind)
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.removeprefix("\n") == line


def test_wrong_usage_says_where_help_is():
    result = run("badly")
    assert result.exit_code == FAILED
    assert result.stderr == "error: Missing argument 'KIND'. (see program badly --help)\n"
    result = run("nothing")
    assert result.exit_code == FAILED
    assert "No such command 'nothing'" in result.stderr


@pytest.mark.parametrize(
    ("name", "code", "line"),
    [
        ("SIGINT", 130, "interrupted: the output is as it was before\n"),
        ("SIGTERM", 143, "interrupted: by SIGTERM; the output is as it was before\n"),
        ("SIGHUP", 129, "interrupted: by SIGHUP; the output is as it was before\n"),
    ],
)
def test_signals_unwind_what_is_done(name, code, line):
    number = getattr(signal, name)
    before = signal.signal(number, signal.SIG_DFL)
    try:
        result = run("ends", name)
        assert (result.exit_code, result.stdout) == (code, "")
        assert result.stderr.removeprefix("\n") == line
        assert signal.getsignal(number) is signal.SIG_DFL
        signal.signal(number, signal.SIG_IGN)  # as nohup, and the shell for what it starts by &
        assert run("ends", name).stdout == "result\n"
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)


def test_a_signal_that_comes_while_exceptions_are_ignored_is_not_lost():
    result = run("collects")
    assert (result.exit_code, result.stdout) == (143, "")
    assert result.stderr.removeprefix("\n") == "interrupted: by SIGTERM; the output is as it was before\n"


def test_threads_other_than_the_main_one_get_no_signals():
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(run, "well").result().stdout == "result\n"


def test_exit_codes_are_those_of_shells():
    assert [code_of(error) for error in (None, KeyboardInterrupt(), Ended(signal.SIGTERM))] == [130, 130, 143]


def test_debug_shows_the_traceback():
    assert "Traceback" not in run("badly", "value").stderr
    result = run("badly", "value", "--debug")
    assert "raise {" in result.stderr
    assert result.stderr.endswith("error: --reg-covar is wrong\n")


def test_a_warning_is_said_once():
    result = run("warns")
    assert (result.exit_code, result.stderr) == (0, "warning: did not converge\n")


def test_warnings_that_differ_are_all_said(capsys):
    show = warn_once()
    for text in ("one", "two", "one"):
        show(UserWarning(text), UserWarning, "file", 1)
    assert capsys.readouterr().err == "warning: one\nwarning: two\n"


def test_workers_that_died_are_no_riddle():
    assert describe(KilledWorker("task-1", None, 3)).startswith("workers died, most likely")  # type: ignore[arg-type]
    assert describe(click.ClickException("so it is")) == "so it is"


@pytest.mark.parametrize(
    ("names", "typed"),
    [
        (["a"], "--columns a"),
        (["a", "b"], "--columns a,b"),
        (["petal length (cm)", "b"], "--columns 'petal length (cm),b'"),
        (["a, b", "c"], """--columns '"a, b",c'"""),
        (["it's"], """--columns 'it'"'"'s'"""),
    ],
)
def test_names_are_said_as_they_are_typed(names, typed, capsys):
    say("warning", f"leave it out with columns={names}; else")
    assert names_of(click.Context(program), click.Option(["--columns"]), (shlex.split(typed)[1],)) == names
    assert capsys.readouterr().err == f"warning: leave it out with {typed}; else\n"
