"""The command line: ``dgmm fit``, ``sweep``, ``predict``, ``score``, ``sample``, ``impute`` and others.

Results go to standard output; progress, warnings and errors to standard error. An error is one line that
says what to do, and the exit code is 2; 130 after an interruption.
"""

from dgmm.cli import components as _components  # registers its commands
from dgmm.cli import density as _density  # registers its commands
from dgmm.cli import outliers as _outliers  # registers its command
from dgmm.cli import sweep as _sweep  # registers its command
from dgmm.cli.commands import main

del _components, _density, _outliers, _sweep

__all__ = ["main"]
