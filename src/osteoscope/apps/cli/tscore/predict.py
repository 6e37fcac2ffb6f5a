"""``osteoscope tscore predict``: an exported model on every crop of a store, without torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from osteoscope.apps.cli import progress


def predict(
    store: Annotated[Path, typer.Argument(help="Store whose crops are cut as the model wants.")],
    model: Annotated[Path, typer.Option("--model", help="ONNX file from tscore export.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="CSV table to write.")],
    split: Annotated[
        Path | None,
        typer.Option("--split", help="Of the model's run, where it was trained on this store."),
    ] = None,
    fold: Annotated[int, typer.Option(min=0, help="Of that split.")] = 0,
    runtime: Annotated[str, typer.Option(help="onnxruntime or openvino.")] = "onnxruntime",
    threads: Annotated[int, typer.Option(min=0, help="0 lets the runtime choose.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Ask a model about every crop of a store: probabilities, sets, T-scores and the guard's word.

    One row a crop. Where all classes are known the table can be given to osteoscope evaluate.
    """
    from osteoscope.studies.tscore.predict import RunnerOptions, predict_store

    with progress.stages(quiet) as tell:

        def on_crop(done: int, total: int) -> None:
            if tell is not None and (done % 50 == 0 or done == total):
                tell(f"{done} of {total} crops")

        summary = predict_store(
            store,
            model,
            out,
            split=split,
            fold=fold,
            runner=RunnerOptions(runtime, threads or None),
            on_crop=on_crop,
        )
    if as_json:
        print(json.dumps({"table": str(out), **summary}))
    else:
        print(
            f"{summary['crops']} crops, {summary['withheld']} of them withheld: unlike what the "
            f"model knows. Table: {out}"
        )
