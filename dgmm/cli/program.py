"""Which commands there are; their modules are imported when they run, so that help is quick."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version

import click
from click.shell_completion import CompletionItem

from dgmm.cli.shell import Commands

ROOMS = {
    "commands": {
        "fit": "Fit a mixture to DATA and write it to a model file.",
        "predict": "Write the most probable component of each row of DATA.",
        "score": "Print how well a model describes DATA.",
        "sample": "Draw random rows from a model and write them, chunk by chunk.",
        "info": "Say what a model file or a data set holds, or how far a checkpoint is.",
        "convert": "Write DATA as one Zarr array with checksummed chunks, which is the fastest to read.",
        "demo": "Fit a mixture to the brightest stars of Gaia DR3, draw it, and compare sizes.",
    },
    "certainty": {
        "misfit": "Print which components of a model are not Gaussian, by the rows of DATA.",
        "standard-errors": "Print how sure the parameters of a model are, given the rows of DATA that it was "
        "fitted to.",
    },
    "checkpoints": {
        "resume": "Go on with a fit or sweep whose --checkpoint is DIR, and end as it would have ended.",
    },
    "cleaning": {
        "clean": "Remove what killed runs have left at PATH: a folder that holds outputs, or an output.",
    },
    "comparing": {
        "compare": "Print what two models have in common, and which of them DATA like better.",
    },
    "components": {
        "components": "Print the components of a model, what each stands out by, and which overlap.",
        "merge": "Merge components that share rows of DATA into clusters, pair by pair.",
    },
    "density": {
        "marginal": "Write the model of some features, whatever the others are.",
        "condition": "Write the model of the other features, where the values of some are known.",
        "impute": "Write the rows of DATA with missing values filled in, given what each row has.",
        "regress": "Write what the model says of some features, given others.",
    },
    "outliers": {
        "outliers": "Write which rows of DATA are unlikely, and by which features.",
    },
    "pictures": {
        "plot": "Draw a picture of a model, over some of the rows of DATA.",
        "report": "Write a page to read of a model: which component is what, and whether it fits some of the "
        "rows of DATA.",
    },
    "updating": {
        "update": "Add the rows of DATA to those that MODEL knows, without reading these again.",
        "forget": "Take the rows of DATA out of those that MODEL knows: all of an update, or of its fit.",
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
        return sorted(name for commands in ROOMS.values() for name in commands)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Give a command."""
        for room, commands in ROOMS.items():
            if cmd_name in commands:
                import_module(f"dgmm.cli.{room}")
        return super().get_command(ctx, cmd_name)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the name of a command, without importing any."""
        said = {name: text for commands in ROOMS.values() for name, text in commands.items()}
        names = [name for name in sorted(said) if name.startswith(incomplete)]
        options = click.Command.shell_complete(self, ctx, incomplete)
        return [*(CompletionItem(name, help=said[name]) for name in names), *options]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands and what they do, without importing them."""
        said = {name: text for commands in ROOMS.values() for name, text in commands.items()}
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
