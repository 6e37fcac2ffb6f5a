"""Tables II to VI and Figures 4 and 6 as files: published numbers beside a cohort's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from osteoscope.core.errors import InputError
from osteoscope.core.who import WHO_CLASSES
from osteoscope.evaluation.estimates import Estimate
from osteoscope.io.crop_store import CropStore
from osteoscope.reporting.tables import TextTable, write_table
from osteoscope.reporting.tscore_figures import draw_class_distribution, draw_tau_sweep
from osteoscope.studies.tscore.cost_accuracy import percent
from osteoscope.studies.tscore.costs import CostInput
from osteoscope.studies.tscore.costs_table import ACCURACY_TABLES, cost_names, write_costs
from osteoscope.studies.tscore.grid import RowResult, grid_rows, plan_grid, run_grid
from osteoscope.studies.tscore.published import METRICS, PublishedRow, contradictions
from osteoscope.studies.tscore.table_cohort import TableCohort, open_cohort

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
        only: Patterns of labels, in tables and Figure 6.
        cost_only: Patterns of networks, in the cost table.

    Raises:
        InputError: Nothing, something that the paper does not have, or patterns for a cost table
            that is not wanted.
    """

    tables: tuple[int, ...]
    figures: tuple[int, ...]
    cost: bool
    only: tuple[str, ...] = ()
    cost_only: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not (self.tables or self.figures or self.cost):
            raise InputError("Say what to make: --table 2 to 6, --figure 4 or 6, or --cost.")
        if self.cost_only and not self.cost:
            raise InputError("--cost-only chooses networks of the cost table; give --cost too.")
        for given, known, word in (
            (self.tables, TABLES, "table"),
            (self.figures, FIGURES, "figure"),
        ):
            strange = [number for number in given if number not in known]
            if strange:
                raise InputError(
                    f"There is no {word} {strange[0]} to make; known: {', '.join(map(str, known))}."
                )

    @property
    def grids(self) -> tuple[int, ...]:
        """Tables whose rows are needed."""
        return tuple(dict.fromkeys((*self.tables, *((6,) if 6 in self.figures else ()))))


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

    What can be refused is refused before the first training: labels, networks, settings, split.

    Args:
        wanted: Tables, figures, costs.
        stores: One, or two for Table III, divided alike.
        out: Folder; runs stand in its ``runs``.
        split: A split file of subjects that every store has; None makes the paper's split.
        settings: Laid over every row.
        mapper: See :func:`osteoscope.studies.tscore.grid.run_grid`.
        on_done: Told of each finished training, with its error if it failed, and of each step of
            the cost table.

    Raises:
        InputError: The stores or the split do not fit, a pattern fits nothing, or a setting is
            wrong.
    """
    cohort = open_cohort(stores, split)
    runs = out / "runs"
    plans = {
        number: plan_grid(grid_rows(number, wanted.only), cohort, runs, settings)
        for number in wanted.grids
    }
    names = cost_names(wanted.cost_only) if wanted.cost else []
    trained = [
        job
        for number in (ACCURACY_TABLES if wanted.cost else ())
        for job in plan_grid(grid_rows(number), cohort, runs, settings)
    ]
    out.mkdir(parents=True, exist_ok=True)
    files, failed = [], 0
    for number, jobs in plans.items():
        results = run_grid(jobs, mapper=mapper, on_done=on_done)
        failed += sum(result.error is not None for result in results)
        if number in wanted.tables:
            table = _text_table(number, results, cohort, settings)
            files.append(write_table(out, f"table{number}", table))
        if number == 6 and 6 in wanted.figures:
            files += _figure_6(out, results)
    if 4 in wanted.figures:
        files.append(_figure_4(out, cohort.stores[0]))
    if wanted.cost:
        given = CostInput(image_shape=cohort.stores[0].spec.shape)
        tell = None if on_done is None else partial(_tell_step, on_done)
        notes = _settings_note(settings)
        files.append(write_costs(out, names, given, jobs=trained, notes=notes, on_step=tell))
    return Written(tuple(files), failed)


def _tell_step(on_done: Callable[[str, str | None], None], step: str) -> None:
    on_done(step, None)


def _text_table(
    number: int, results: Sequence[RowResult], cohort: TableCohort, settings: tuple[str, ...]
) -> TextTable:
    columns = ["Row", "n"]
    for metric in METRICS:
        columns += [f"{_HEADINGS[metric]}, published", f"{_HEADINGS[metric]}, ours (95 %)"]
    return TextTable(
        title=_TITLES[number] + (" (ours: SIMULATED subjects)" if cohort.simulated else ""),
        columns=tuple(columns),
        rows=tuple(_cells(result) for result in results),
        notes=tuple(_notes(results, cohort, settings)),
    )


def _cells(result: RowResult) -> tuple[str, ...]:
    first = next(iter(result.estimates.values()), None)
    cells = [result.row.label, "failed" if first is None else str(first.n)]
    for metric in METRICS:
        cells += [f"{result.row.published[metric]:.2f}", percent(result.estimates.get(metric))]
    return tuple(cells)


def _notes(
    results: Sequence[RowResult], cohort: TableCohort, settings: tuple[str, ...]
) -> list[str]:
    """What a reader must know before comparing the two columns."""
    split = cohort.split
    notes = [
        "Published: of 78 patients, 26 of each class, that are validation and test together; "
        "epoch and tau were chosen on them. At n = 78 a 95 % interval of an accuracy near 65 % "
        "is about ±10.6 points.",
        f"Ours: of test subjects that nothing was chosen on ({split.scheme} split, "
        f"{len(split.folds)} fold(s)); percentile intervals of a stratified bootstrap.",
    ]
    if cohort.simulated:
        notes.append("SIMULATED: our subjects are virtual patients, the paper's are not.")
    notes += _settings_note(settings)
    if len(cohort.stores) > 1:
        first, second = cohort.left_out
        notes.append(
            f"Both stores are divided alike, over {len(split.subjects)} subjects that both have; "
            f"left out are {first} of the first store and {second} of the second."
        )
    notes += [
        f"Published row {result.row.label}: {problem}."
        for result in results
        for problem in contradictions(PublishedRow(result.row.label, dict(result.row.published)))
    ]
    notes += [f"{r.row.label} failed: {r.error}" for r in results if r.error is not None]
    if len(cohort.stores) == 1 and any(result.row.table == 3 for result in results):
        notes.append("Rows of the second segmenter need a second store.")
    return notes


def _settings_note(settings: tuple[str, ...]) -> list[str]:
    return [f"Every row was changed by: {'; '.join(settings)}."] if settings else []


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
