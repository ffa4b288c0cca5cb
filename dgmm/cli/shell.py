"""How commands print and end: output made printable, errors, signals, exit codes.

Slow imports are left to the commands that run, so that help is quick.
"""

from __future__ import annotations

import ast
import csv
import io
import re
import shlex
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from rich.console import Console

    from dgmm.facts import Said

FAILED = 2
PAUSE = 0.01
"""Seconds until a signal is sent again that came while Python would not be interrupted."""
WIDTH_OF_FILES = 160
OPTIONS = {
    "columns=": "--columns",
    "fill_missing=True": "--fill-missing",
    "reg_covar": "--reg-covar",
    "set_params(missing='marginalize') of the mixture": "--missing marginalize",
    "missing='drop'": "--missing drop",
    "missing='marginalize'": "--missing marginalize",
    "a `MixtureImputer`": "dgmm impute",
    "sample_rows=": "--sample-rows ",
    "n_components=": "-k ",
    "ask to overwrite it": "give --overwrite",
    "read any other format yourself, and pass arrays or frames": "write any other format as one of these",
}
"""What messages of the library call a parameter, and what it is called here."""
NAMES = re.compile(r"columns=(\[(?:'[^'\\]*'|\"[^\"\\]*\"|, )+\])")
"""A list of names in a message of the library, of names without backslashes."""
SPEAKING = (ValueError, TypeError, OSError, MemoryError, ImportError, RuntimeError)
"""Errors whose message is meant for the user."""


class Ended(KeyboardInterrupt):
    """What the system or another program ends this process by: it cleans up as after Ctrl-C.

    Parameters
    ----------
    number : int
        Of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"by {signal.Signals(number).name}; ")
        self.number = number


@contextmanager
def ending_well() -> Iterator[None]:
    """Let signals that end a process unwind what it does; those that are ignored stay so.

    Only on the main thread: others get none.
    """

    def end(number: int, _: object) -> None:
        raise Ended(number)

    def once_more(lost: sys.UnraisableHookArgs) -> None:
        """Send a signal again whose exception Python has ignored, as in callbacks of garbage collection."""
        if isinstance(lost.exc_value, KeyboardInterrupt):
            number, thread = code_of(lost.exc_value) - 128, threading.main_thread()
            again.append(threading.Timer(PAUSE, signal.pthread_kill, (thread.ident, number)))
            again[-1].start()
        else:
            hook(lost)

    handlers = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: end,
        signal.SIGHUP: end,
    }
    again: list[threading.Timer] = []
    hook, is_ours = sys.unraisablehook, threading.current_thread() is threading.main_thread()
    before = {
        number: signal.signal(number, handler)
        for number, handler in handlers.items()
        if is_ours and signal.getsignal(number) is not signal.SIG_IGN
    }
    if is_ours:
        sys.unraisablehook = once_more
    try:
        yield
    finally:
        for timer in again:
            timer.cancel()
        if is_ours:
            sys.unraisablehook = hook
        for number, handler in before.items():
            if handler is not None:  # else it is not Python's
                signal.signal(number, handler)


def code_of(error: BaseException | None) -> int:
    """Return the exit code of an interruption: as shells number the signal that it came from."""
    return 128 + (error.number if isinstance(error, Ended) else signal.SIGINT)


class Words(click.types.StringParamType):
    """Text, which shells complete to files: what is typed is most often a path."""

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Have the shell look for files."""
        return [CompletionItem(incomplete, type="file")]


class Command(click.Command):
    """A command that says what it returns, `dgmm.facts.Said`, and that has ``--json`` and ``--debug``."""

    def __init__(self, *args: Any, params: list[click.Parameter] | None = None, **kwargs: Any) -> None:
        def remember(context: click.Context, param: click.Parameter, value: bool) -> None:
            context.obj[param.name] = value

        own = {
            "--json": "Print results as one JSON object, with all digits.",
            "--debug": "Show the traceback of an error.",
        }
        flags = [
            click.Option([name], is_flag=True, expose_value=False, callback=remember, help=text)
            for name, text in own.items()
        ]
        super().__init__(*args, params=[*(params or []), *flags], **kwargs)
        for param in self.params:
            if param.type is click.STRING:
                param.type = Words()

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read arguments, and remember them as they were given: reports say what repeats them."""
        ctx.meta["dgmm.arguments"] = [str(ctx.info_name), *args]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> None:
        """Run the command, and print on standard output what it says."""
        from dgmm.data.text import redacted
        from dgmm.facts import as_json, pages

        with warnings_in_lines(), ending_well():
            said: Iterable[Said] = super().invoke(ctx) or ()
        if ctx.obj["json"]:
            click.echo(redacted(as_json(said)))
            return
        for page in pages(said):
            if isinstance(page, str):
                click.echo(redacted(page))
            else:
                console().print(page)


class Commands(click.Group):
    """A group whose commands end in an exit code, and in one line if they fail."""

    command_class = Command

    def main(self, *args: Any, **kwargs: Any) -> NoReturn:  # type: ignore[override]
        """Run a command and exit."""
        settings = {"debug": False, "json": False}
        kwargs["standalone_mode"] = False
        try:
            code = super().main(*args, obj=settings, **kwargs) or 0
        except (KeyboardInterrupt, click.Abort) as error:
            cause = error.__cause__ if isinstance(error, click.Abort) else error
            by = str(cause) if isinstance(cause, Ended) else ""
            say("interrupted", f"{by}the output is as it was before")
            say_notes(cause)
            code = code_of(cause)
        except click.UsageError as error:
            help_command = f" (see {error.ctx.command_path} --help)" if error.ctx else ""
            say("error", error.format_message() + help_command)
            code = FAILED
        except Exception as error:  # whatever it is, a user sees one line
            if settings["debug"]:
                from dgmm.data.text import redacted

                click.echo(redacted(traceback.format_exc()), err=True, nl=False)
            say("error", describe(error))
            say_notes(error)
            code = FAILED
        sys.exit(code)


@contextmanager
def warnings_in_lines() -> Iterator[None]:
    """Print warnings as lines, those of the library each time that something new is said."""
    from sklearn.exceptions import ConvergenceWarning

    from dgmm.data import DataWarning
    from dgmm.passes.journal import CheckpointWarning

    with warnings.catch_warnings():
        for kind in (ConvergenceWarning, DataWarning, CheckpointWarning):
            warnings.simplefilter("always", kind)
        warnings.showwarning = warn_once()
        yield


def warn_once() -> Callable[..., None]:
    """Make a printer of warnings, in one line each, that does not repeat itself."""
    seen: set[str] = set()

    def show(message: Warning, *_: Any, **__: Any) -> None:
        if str(message) not in seen:
            seen.add(str(message))
            say("warning", message)

    return show


def console(*, stderr: bool = False) -> Console:
    """Make a console of the streams as they are now."""
    from rich.console import Console

    found = Console(stderr=stderr, highlight=False)
    return found if found.is_terminal else Console(stderr=stderr, highlight=False, width=WIDTH_OF_FILES)


def _as_typed(found: re.Match[str]) -> str:
    """Return names as ``--columns`` takes them: a line of CSV, which a shell takes for one word."""
    line = io.StringIO(newline="")
    csv.writer(line, lineterminator="").writerow(ast.literal_eval(found[1]))
    return f"--columns {shlex.quote(line.getvalue())}"


def say(kind: str, message: object) -> None:
    """Say something in one line on standard error."""
    from dgmm.data.text import printable, redacted

    line = NAMES.sub(_as_typed, " ".join(str(message).split()))
    for there, here in OPTIONS.items():
        line = line.replace(there, here)
    # The stream as it is now: above a live display.
    print(f"{kind}: {printable(redacted(line))}", file=sys.stderr, flush=True)


def say_notes(error: BaseException | None) -> None:
    """Say what was noted of an error: how to go on."""
    for note in getattr(error, "__notes__", ()):
        say("note", note)


def describe(error: Exception) -> str:
    """Say in words what went wrong."""
    if isinstance(error, click.ClickException):
        return error.format_message()
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if type(error).__name__ == "KilledWorker":
        return "workers died, most likely because they ran out of memory; give them more with --memory"
    if isinstance(error, SPEAKING) and str(error):
        return str(error)
    return f"{type(error).__name__}: {error} (--debug shows where)"
