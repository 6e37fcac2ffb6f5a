"""``osteoscope tscore``: prepare, split, train, evaluate, tables, export, predict."""

from __future__ import annotations

import typer

from osteoscope.apps.cli.tscore.evaluate import evaluate
from osteoscope.apps.cli.tscore.export import export
from osteoscope.apps.cli.tscore.predict import predict
from osteoscope.apps.cli.tscore.prepare import prepare
from osteoscope.apps.cli.tscore.split import split
from osteoscope.apps.cli.tscore.tables import tables
from osteoscope.apps.cli.tscore.train import train

tscore_app = typer.Typer(
    name="tscore",
    help="WHO class and T-score from a vertebra: train, judge and deploy (MedConv).",
    no_args_is_help=True,
)
for command in (prepare, split, train, evaluate, tables, export, predict):
    tscore_app.command()(command)


@tscore_app.callback()
def tscore() -> None:
    """WHO class and T-score from a crop of a vertebra: train, judge and deploy (MedConv)."""
