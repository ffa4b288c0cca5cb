"""Which commands there are; their modules are imported when they run, so that help is quick."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version

import click
from click.shell_completion import CompletionItem

from dgmm.cli.shell import Commands

MODULES = {
    "fit": {
        "fit": "Fit a mixture to DATA and write it to a model file.",
    },
    "commands": {
        "predict": "Write the most probable component of each row of DATA.",
        "score": "Print how well a model describes DATA.",
        "sample": "Draw random rows from a model and write them, chunk by chunk.",
        "info": "Say what a model file or a data set holds, or how far a checkpoint is.",
        "convert": "Write DATA as one Zarr array with checksummed chunks, which is the fastest to read.",
        "demo": "Fit a mixture to the brightest stars of Gaia DR3, draw it, and compare sizes.",
    },
    "certainty": {
        "misfit": "Print which components of a model are not Gaussian, judged by the rows of DATA.",
        "standard-errors": "Print standard errors of a model's parameters, from the rows of DATA that it was "
        "fitted to.",
    },
    "checkpoints": {
        "resume": "Resume the fit or sweep whose --checkpoint is DIR: the result is as without interruption.",
    },
    "cleaning": {
        "clean": "Remove what killed runs have left at PATH: a folder that holds outputs, or an output.",
    },
    "comparing": {
        "compare": "Compare two models: which components match, and which model fits DATA better.",
    },
    "components": {
        "components": "Print the components of a model, what distinguishes each, and which overlap.",
        "merge": "Merge components that share rows of DATA into clusters, pair by pair.",
    },
    "density": {
        "marginal": "Write the marginal model of some features.",
        "condition": "Write the conditional model: of the other features, given values of some.",
        "impute": "Write the rows of DATA with missing values filled in, given the observed ones.",
        "regress": "Write predictions of some features of each row, given others.",
    },
    "outliers": {
        "outliers": "Write which rows of DATA are outliers, and which features make them so.",
    },
    "pictures": {
        "plot": "Draw a picture of a model, over some of the rows of DATA.",
        "report": "Write an HTML report of a model: which component is what, and whether it fits some of the "
        "rows of DATA.",
    },
    "updating": {
        "update": "Add the rows of DATA to MODEL, without reading its earlier rows again.",
        "forget": "Remove the rows of DATA from MODEL: all rows of an update, or of its fit.",
    },
    "sweep": {
        "sweep": "Fit mixtures of many sizes to DATA in the same passes, choose the best, and report.",
    },
}
"""The commands of each module of `dgmm.cli`, and what help says of them."""


class Program(Commands):
    """Imports a module when one of its commands is asked for; importing it adds its commands."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name all commands."""
        return sorted(name for commands in MODULES.values() for name in commands)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command."""
        for module, commands in MODULES.items():
            if cmd_name in commands:
                import_module(f"dgmm.cli.{module}")
        return super().get_command(ctx, cmd_name)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the name of a command, without importing any."""
        said = {name: text for commands in MODULES.values() for name, text in commands.items()}
        names = [name for name in sorted(said) if name.startswith(incomplete)]
        options = click.Command.shell_complete(self, ctx, incomplete)
        return [*(CompletionItem(name, help=said[name]) for name in names), *options]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands and what they do, without importing them."""
        said = {name: text for commands in MODULES.values() for name, text in commands.items()}
        with formatter.section("Commands"):
            formatter.write_dl(sorted(said.items()))


@click.group("dgmm", cls=Program, invoke_without_command=True)
@click.version_option(version("dgmm"), prog_name="dgmm")
@click.pass_context
def main(context: click.Context) -> None:
    """Gaussian mixtures for data that does not fit in memory.

    DATA is a path or URL: of a Zarr array or group; of Parquet or CSV, a file, a folder or a pattern; of a
    Delta, Iceberg or Lance table.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
