"""``osteoscope tscore export``: a run becomes one file that screens without torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from osteoscope.apps.cli import progress
from osteoscope.apps.cli.tscore.extra import need_train


def export(
    run: Annotated[Path, typer.Argument(help="Run folder from osteoscope tscore train.")],
    store: Annotated[Path, typer.Option("--store", help="The store that it was trained on.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="ONNX file to write.")],
    fold: Annotated[int, typer.Option(min=0, help="Whose network.")] = 0,
    name: Annotated[str, typer.Option(help="What reports call it; default: the run's name.")] = "",
    licence: Annotated[
        str, typer.Option("--licence", help="Of the weights, for whoever gets the file.")
    ] = "not stated",
    half: Annotated[
        bool, typer.Option("--half", help="Store weights in 16 bits: half the size.")
    ] = False,
    int8: Annotated[
        bool, typer.Option("--int8", help="Write an 8-bit model too, and measure what it loses.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Write a run's network as ONNX (checked against torch), its weights and its model card.

    The file holds all that its user needs: crop, windows, class shares, temperature, sets, guard.
    osteoscope screen --model FILE uses it.
    """
    need_train()
    from osteoscope.studies.tscore.export import ExportOptions, export_run

    with progress.stages(quiet) as tell:
        if tell is not None:
            tell("exporting and comparing with torch")
        options = ExportOptions(name=name, fold=fold, licence=licence, half=half)
        exported = export_run(run, store, out, options)
        loss = None
        if int8:
            if tell is not None:
                tell("quantising and measuring")
            from osteoscope.studies.tscore.quantised import quantise_run

            loss = quantise_run(run, store, out, options)
    if as_json:
        print(
            json.dumps(
                {
                    "model": str(out),
                    "size_bytes": exported.model.size_bytes,
                    "largest_difference": exported.model.largest_difference,
                    "weights": str(exported.weights),
                    "card": str(exported.card),
                    "int8": None if loss is None else loss.to_json(),
                }
            )
        )
        return
    size = exported.model.size_bytes / 2**20
    print(f"{out}: {size:.1f} MiB, differs from torch by {exported.model.largest_difference:.1g}.")
    print(f"Weights: {exported.weights}. Card: {exported.card}.")
    if exported.spec.guard is None:
        print("No guard: it needs 20 training and 20 validation crops. Any crop is answered.")
    if loss is not None:
        print(loss.in_words())
