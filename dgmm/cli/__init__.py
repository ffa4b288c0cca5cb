"""The command line: ``dgmm fit``, ``sweep``, ``predict``, ``score``, ``sample``, ``impute`` and others.

Results go to standard output; progress, warnings and errors to standard error. An error is one line that
says what to do, and the exit code is 2; 130 after an interruption.
"""

from dgmm.cli.program import main

__all__ = ["main"]
