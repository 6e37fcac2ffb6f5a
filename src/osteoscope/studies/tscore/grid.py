"""The rows of the paper's tables as trainings, each needed one made once, and their results."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from osteoscope.core.errors import InputError, OsteoscopeError
from osteoscope.core.split import Split
from osteoscope.evaluation.estimates import Estimate
from osteoscope.evaluation.evaluate import evaluate
from osteoscope.io.crop_store import CropStore
from osteoscope.studies.tscore.answered import answered_predictions
from osteoscope.studies.tscore.ingredients import settings_of
from osteoscope.studies.tscore.published import METRICS, PublishedRow, published_table
from osteoscope.studies.tscore.run_folder import training_digest
from osteoscope.studies.tscore.run_names import RUN_NAME
from osteoscope.studies.tscore.table_cohort import TableCohort
from osteoscope.studies.tscore.train import train_run
from osteoscope.studies.tscore.train_config import TrainConfig, train_config

PRESET = "medconv"
_RESNET50 = "resnet50.a1_in1k+pretrain+balce"


@dataclass(frozen=True)
class GridRow:
    """A row of a table, and the training that it stands for.

    Args:
        table: 2 to 6.
        label: Its first cell.
        published: Metric to per cent.
        settings: ``section.key=value`` over the preset ``medconv``.
        store: Which store: 0, or 1 for Table III's second segmenter.
        notes: What cannot be right about the published numbers.
    """

    table: int
    label: str
    published: Mapping[str, float]
    settings: tuple[str, ...]
    store: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class RowResult:
    """Ours beside the paper's.

    Args:
        row: The row.
        estimates: Metric to its estimate on test subjects; empty where the row failed.
        error: Why it failed, or None.
        simulated: Whether the subjects are.
    """

    row: GridRow
    estimates: Mapping[str, Estimate] = field(default_factory=dict)
    error: str | None = None
    simulated: bool = False


def grid_rows(table: int, only: Sequence[str] = ()) -> list[GridRow]:
    """The rows of one table.

    Args:
        table: 2 to 6.
        only: Patterns of labels, as for file names; none takes every row.

    Raises:
        InputError: No such table, or no row fits the patterns.
    """
    rows = [_grid_row(table, row) for row in published_table(table)]
    kept = [r for r in rows if not only or any(fnmatchcase(r.label, p) for p in only)]
    if not kept:
        raise InputError(
            f"No row of Table {table} is called {' or '.join(only)}; its labels are "
            f"{', '.join(r.label for r in rows)}."
        )
    return kept


def _grid_row(table: int, row: PublishedRow) -> GridRow:
    if table in (2, 4):
        label = row.label
        if table == 4:
            label += "+pretrain" + ("+balce" if row.bal_ce == "with" else "")
        return GridRow(table, label, row.values, settings_of(label))
    if table == 3:
        label = _table_2_label(row.label)
        store = 0 if row.segmenter == "TotalSegmentator" else 1
        return GridRow(3, f"{label}, {row.segmenter}", row.values, settings_of(label), store)
    tau1, tau2 = (row.label, row.label) if table == 5 else ("1.0", row.label)
    settings = (*settings_of(_RESNET50), f"loss.tau={float(tau1)}", f"answer.tau={float(tau2)}")
    name = "tau1" if table == 5 else "tau2"
    return GridRow(table, f"{name} = {row.label}", row.values, settings)


def _table_2_label(backbone: str) -> str:
    """The row of Table II whose numbers Table III repeats for TotalSegmentator: some of its
    backbones were pretrained there and some not, which it does not say."""
    here = {
        row.label: row.values for row in published_table(3) if row.segmenter == "TotalSegmentator"
    }[backbone]
    for row in published_table(2):
        if row.label.split("+")[0] == backbone and row.values == here:
            return row.label
    raise InputError(f"Table II has no row with Table III's numbers for {backbone}.")


@dataclass(frozen=True)
class Job:
    """A row with the training that it needs.

    Args:
        row: The row.
        store: Its store's folder.
        split: Who learns, chooses and tests.
        config: The training.
        folder: Run folder.
        digest: Of the training: rows of one digest share it.
    """

    row: GridRow
    store: Path
    split: Split
    config: TrainConfig
    folder: Path
    digest: str


def plan_grid(
    rows: Sequence[GridRow], cohort: TableCohort, out: Path, settings: Sequence[str] = ()
) -> list[Job]:
    """What the rows need; all that can be wrong with a row's settings is found here.

    Args:
        rows: From :func:`grid_rows`; those of a store that is not given are left out.
        cohort: Stores and their split.
        out: Folder for the runs.
        settings: ``section.key=value``, laid over every row's.

    Raises:
        InputError: The split tests nobody, or a setting does not fit.
    """
    if not any(fold.test for fold in cohort.split.folds):
        raise InputError(
            "The split has no test subjects, so that no table can be made of it; make one that "
            "has (osteoscope tscore split)."
        )
    return [_job(row, cohort, out, settings) for row in rows if row.store < len(cohort.stores)]


def _job(row: GridRow, cohort: TableCohort, out: Path, settings: Sequence[str]) -> Job:
    config = train_config(PRESET, settings=(*row.settings, *settings))
    digest = training_digest(config, cohort.stores[row.store].digest, cohort.split)
    name = re.sub(r"[^a-z0-9.]+", "-", f"{config.model.name}-{config.loss.name}".lower())
    folder = out / f"{name}-{digest[:10]}"
    return Job(row, cohort.folders[row.store], cohort.split, config, folder, digest)


def run_grid(
    jobs: Sequence[Job],
    *,
    mapper: Callable[..., Any],
    on_done: Callable[[str, str | None], None] | None = None,
) -> list[RowResult]:
    """Train what the rows need and evaluate each on test subjects.

    Rows that differ in the post-hoc adjustment alone, and rows that stand in two tables, share
    one training. A training that is done is not repeated; one that was stopped goes on.

    Args:
        jobs: From :func:`plan_grid`.
        mapper: ``mapper(function, items, on_done=...)``; see :mod:`osteoscope.apps.mapping`.
        on_done: Told the label of each finished training, and its error if it failed.

    Returns:
        A result a row, in their order.
    """
    needed = list({job.folder: job for job in jobs}.values())
    errors: dict[Path, str] = {}

    def record(index: int, outcome: Any) -> None:
        job = needed[index]
        if outcome.error is not None:
            errors[job.folder] = outcome.error
        if on_done is not None:
            on_done(job.folder.name, outcome.error)

    mapper(_train, needed, on_done=record)
    return [
        RowResult(job.row, error=errors[job.folder]) if job.folder in errors else row_result(job)
        for job in jobs
    ]


def _train(job: Job) -> str:
    """Train one job unless it is done; returns its folder's name."""
    if not is_trained(job):
        job.folder.parent.mkdir(parents=True, exist_ok=True)
        store = CropStore.open(job.store, verify=False)
        # The folder is named by the digest: what lies there unfinished or damaged is the grid's.
        train_run(store, job.split, job.config, job.folder, replace=True)
    return job.folder.name


def is_trained(job: Job) -> bool:
    """Whether the job's folder holds its finished training."""
    try:
        record = json.loads((job.folder / RUN_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(record, dict) and record.get("training_digest") == job.digest


def row_result(job: Job) -> RowResult:
    """What a finished training says of the test subjects under the row's own answer.

    Validation rows are left out: a table of them would repeat the paper's leak.
    """
    try:
        predictions = answered_predictions(job.folder, job.store, job.config.answer)
    except OsteoscopeError as error:
        return RowResult(job.row, error=str(error))
    found = evaluate(predictions.select(predictions.part == "test"))
    return RowResult(
        job.row, {metric: found[metric] for metric in METRICS}, simulated=predictions.simulated
    )
