"""``osteoscope tscore split``: who trains, who validates and who is tested, made once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def split(
    store: Annotated[Path, typer.Argument(help="Folder from osteoscope tscore prepare.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to make, for example split.json.")],
    scheme: Annotated[str, typer.Option(help="paper, kfold, holdout, nested or site.")] = "paper",
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same split.")] = 0,
    folds: Annotated[
        int, typer.Option(min=2, help="Folds of kfold and nested; holdout tests one of so many.")
    ] = 5,
    inner_folds: Annotated[int, typer.Option(min=2, help="Inner folds of nested.")] = 4,
    per_class: Annotated[
        int, typer.Option(min=1, help="Of each class, held out twice by paper.")
    ] = 13,
    validation_share: Annotated[
        float, typer.Option(help="Share of the untested that validates, but for paper.")
    ] = 0.15,
    as_json: Annotated[bool, typer.Option("--json", help="Only JSON on standard output.")] = False,
) -> None:
    """Divide a store's subjects, by subject, into a file with a hash.

    paper: 13 of each class validate, 13 of each test, the rest train. kfold: stratified folds.
    holdout: the first of these folds alone. nested: folds with inner folds, for choosing among
    settings; train takes the outer ones. site: each site tested in turn.
    """
    from osteoscope.io.crop_store import CropStore
    from osteoscope.studies.tscore.splits import (
        SplitOptions,
        make_split,
        store_subjects,
        write_split,
    )

    options = SplitOptions(scheme, seed, folds, inner_folds, per_class, validation_share)
    opened = CropStore.open(store, verify=False)
    made = make_split(opened, options)
    write_split(out, made)
    without = store_subjects(opened).n_without_class
    sizes = [
        {"train": len(f.train), "validation": len(f.validation), "test": len(f.test)}
        for f in made.folds
    ]
    if as_json:
        told = {"split": str(out), "digest": made.digest, "folds": sizes}
        print(json.dumps(told | {"without_class": without}))
        return
    for number, size in enumerate(sizes, start=1):
        words = ", ".join(f"{count} {part}" for part, count in size.items())
        print(f"Fold {number} of {len(sizes)}: {words}")
    left_out = f" {without} subjects without a class are in no part." if without else ""
    print(f"Split: {out}.{left_out}")
