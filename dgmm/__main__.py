"""The start of the command line; a signal meanwhile ends the process at once.

Its imports take a second or two. Nothing is to be undone then, nor when a command has ended: signals that
come meanwhile end the process at once, in one line and with the exit code that shells give them.
"""

from __future__ import annotations

import os
import signal

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def end_at_once(number: int, _: object = None) -> None:
    """End this process, without a traceback of what is being imported or printed.

    Parameters
    ----------
    number : int
        Of the signal.
    """
    os.write(2, b"\ninterrupted\n")
    os._exit(128 + number)


def main() -> None:
    """Import the command line, and run it."""
    for number in ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, end_at_once)
    from dgmm.cli import main as run  # noqa: PLC0415

    run(prog_name="dgmm")


if __name__ == "__main__":
    main()
