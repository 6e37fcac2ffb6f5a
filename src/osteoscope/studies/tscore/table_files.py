"""Tables II to VI and Figures 4 and 6 as files: published numbers beside a cohort's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from osteoscope.core.errors import InputError
from osteoscope.core.split import Split
from osteoscope.core.who import WHO_CLASSES
from osteoscope.evaluation.estimates import Estimate
from osteoscope.io.crop_store import CropStore
from osteoscope.reporting.tables import TextTable, write_table
from osteoscope.reporting.tscore_figures import draw_class_distribution, draw_tau_sweep
from osteoscope.studies.tscore.costs_table import write_costs
from osteoscope.studies.tscore.grid import RowResult, grid_rows, run_grid
from osteoscope.studies.tscore.published import METRICS, PublishedRow, contradictions
from osteoscope.studies.tscore.splits import default_split, read_split

TABLES, FIGURES = (2, 3, 4, 5, 6), (4, 6)
_TITLES = {
    2: "Table II: models",
    3: "Table III: two segmenters",
    4: "Table IV: Bal-CE across backbones",
    5: "Table V: tau1, with tau2 = tau1",
    6: "Table VI: tau2, with tau1 = 1",
}
_HEADINGS = {
    "accuracy": "Accuracy",
    "macro_sensitivity": "Sensitivity",
    "macro_specificity": "Specificity",
    "weighted_f1": "F1",
    "macro_auc": "ROC AUC",
}


@dataclass(frozen=True)
class Wanted:
    """What to write.

    Args:
        tables: Of 2 to 6.
        figures: Of 4 and 6; Figure 6 needs Table VI's rows.
        cost: The cost table.
        only: Patterns of labels, in tables.

    Raises:
        InputError: Nothing, or something that the paper does not have.
    """

    tables: tuple[int, ...]
    figures: tuple[int, ...]
    cost: bool
    only: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not (self.tables or self.figures or self.cost):
            raise InputError("Say what to make: --table 2 to 6, --figure 4 or 6, or --cost.")
        for given, known, word in (
            (self.tables, TABLES, "table"),
            (self.figures, FIGURES, "figure"),
        ):
            strange = [number for number in given if number not in known]
            if strange:
                raise InputError(
                    f"There is no {word} {strange[0]} to make; known: {', '.join(map(str, known))}."
                )


@dataclass(frozen=True)
class Written:
    """What was written.

    Args:
        files: Tables (Markdown; CSV and LaTeX beside it) and figures.
        failed: Rows without a result.
    """

    files: tuple[Path, ...]
    failed: int


def write_tables(
    wanted: Wanted,
    stores: Sequence[Path],
    out: Path,
    *,
    split: Path | None,
    settings: tuple[str, ...],
    mapper: Callable[..., Any],
    on_done: Callable[[str, str | None], None] | None = None,
) -> Written:
    """Train what is needed and write what is wanted.

    Args:
        wanted: Tables, figures, costs.
        stores: One, or two for Table III.
        out: Folder; runs stand in its ``runs``.
        split: A split file, for one store only; None makes the paper's split of each.
        settings: Laid over every row.
        mapper: See :func:`osteoscope.studies.tscore.grid.run_grid`.
        on_done: Told of each finished training.

    Raises:
        InputError: More than two stores, or a split file for two.
    """
    if not 1 <= len(stores) <= 2 or (split is not None and len(stores) > 1):
        raise InputError("Give one store, or two and no split file (Table III's segmenters).")
    opened = [CropStore.open(store) for store in stores]
    splits = [default_split(store, 0) if split is None else read_split(split) for store in opened]
    out.mkdir(parents=True, exist_ok=True)
    files, failed = [], 0
    for number in dict.fromkeys((*wanted.tables, *((6,) if 6 in wanted.figures else ()))):
        results = run_grid(
            grid_rows(number, wanted.only),
            stores,
            splits,
            out / "runs",
            settings=settings,
            mapper=mapper,
            on_done=on_done,
        )
        failed += sum(result.error is not None for result in results)
        if number in wanted.tables:
            table = _text_table(number, results, (opened, splits), settings)
            files.append(write_table(out, f"table{number}", table))
        if number == 6 and 6 in wanted.figures:
            files += _figure_6(out, results)
    if 4 in wanted.figures:
        files.append(_figure_4(out, opened[0]))
    if wanted.cost:
        files.append(write_costs(out, opened[0].spec.shape))
    return Written(tuple(files), failed)


def _text_table(
    number: int,
    results: Sequence[RowResult],
    cohort: tuple[Sequence[CropStore], Sequence[Split]],
    settings: tuple[str, ...],
) -> TextTable:
    stores, splits = cohort
    columns = ["Row", "n"]
    for metric in METRICS:
        columns += [f"{_HEADINGS[metric]}, published", f"{_HEADINGS[metric]}, ours (95 %)"]
    simulated = any(store.simulated for store in stores)
    return TextTable(
        title=_TITLES[number] + (" (ours: SIMULATED subjects)" if simulated else ""),
        columns=tuple(columns),
        rows=tuple(_cells(result) for result in results),
        notes=tuple(_notes(results, stores, splits, settings)),
    )


def _cells(result: RowResult) -> tuple[str, ...]:
    first = next(iter(result.estimates.values()), None)
    cells = [result.row.label, "failed" if first is None else str(first.n)]
    for metric in METRICS:
        cells += [f"{result.row.published[metric]:.2f}", _ours(result.estimates.get(metric))]
    return tuple(cells)


def _ours(estimate: Estimate | None) -> str:
    if estimate is None or not np.isfinite(estimate.value):
        return "–"
    value, low, high = (100 * v for v in (estimate.value, estimate.low, estimate.high))
    return f"{value:.2f} ({low:.1f}–{high:.1f})" if np.isfinite(low) else f"{value:.2f}"


def _notes(
    results: Sequence[RowResult],
    stores: Sequence[CropStore],
    splits: Sequence[Split],
    settings: tuple[str, ...],
) -> list[str]:
    """What a reader must know before comparing the two columns."""
    notes = [
        "Published: of 78 patients, 26 of each class, that are validation and test together; "
        "epoch and tau were chosen on them. At n = 78 a 95 % interval of an accuracy near 65 % "
        "is about ±10.6 points.",
        f"Ours: of test subjects that nothing was chosen on ({splits[0].scheme} split, "
        f"{len(splits[0].folds)} fold(s)); percentile intervals of a stratified bootstrap.",
    ]
    if any(store.simulated for store in stores):
        notes.append("SIMULATED: our subjects are virtual patients, the paper's are not.")
    if settings:
        notes.append(f"Every row was changed by: {'; '.join(settings)}.")
    notes += [
        f"Published row {result.row.label}: {problem}."
        for result in results
        for problem in contradictions(PublishedRow(result.row.label, dict(result.row.published)))
    ]
    notes += [f"{r.row.label} failed: {r.error}" for r in results if r.error is not None]
    if len(stores) == 1 and any(result.row.table == 3 for result in results):
        notes.append("Rows of the second segmenter need a second store.")
    return notes


def _figure_4(out: Path, store: CropStore) -> Path:
    known = store.column("class_index") >= 0
    _, first = np.unique(store.column("subject_id")[known], return_index=True)
    path = out / "figure4.png"
    path.write_bytes(
        draw_class_distribution(
            store.column("t_score")[known][first].astype(np.float64),
            store.column("class_index")[known][first].astype(np.int64),
            WHO_CLASSES,
            simulated=store.simulated,
        )
    )
    return path


def _figure_6(out: Path, results: Sequence[RowResult]) -> list[Path]:
    done = [result for result in results if result.estimates]
    if not done:
        return []
    tau = [float(result.row.label.rpartition("=")[2]) for result in done]
    ours = {
        _HEADINGS[metric]: [_triple(result.estimates[metric]) for result in done]
        for metric in METRICS
    }
    published = {
        _HEADINGS[metric]: [result.row.published[metric] for result in done] for metric in METRICS
    }
    path = out / "figure6.png"
    simulated = any(result.simulated for result in done)
    path.write_bytes(draw_tau_sweep(tau, ours, published, simulated=simulated))
    return [path]


def _triple(estimate: Estimate) -> tuple[float, float, float]:
    return 100 * estimate.value, 100 * estimate.low, 100 * estimate.high
