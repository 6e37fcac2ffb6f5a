"""Write a virtual cohort: scans, labels, a cohort table and a table of the truth."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from osteoscope.core.errors import InputError
from osteoscope.io.csv_table import write_csv
from osteoscope.simulation.cohort_mix import CohortMix
from osteoscope.simulation.cohort_preset import CohortPreset
from osteoscope.simulation.cohort_tables import level_rows, subject_row
from osteoscope.simulation.patient import CohortSpec
from osteoscope.simulation.patient_files import FORMATS, TRUTH_NAME, write_patient
from osteoscope.simulation.segmenter_errors import segmenter_errors
from osteoscope.simulation.virtual_subject import chosen_numbers, virtual_subject

Progress = Callable[[int, int], None]


class ItemOutcome(Protocol):
    """What became of one subject: written, or one sentence."""

    @property
    def error(self) -> str | None: ...


Mapper = Callable[..., Sequence[ItemOutcome]]
"""``mapper(function, items, on_done=callback)``: see :func:`osteoscope.apps.mapping.map_items`."""


@dataclass(frozen=True)
class CohortPlan:
    """What a folder of virtual scans holds.

    Args:
        preset: Who and where.
        subjects: How many, 1-99999.
        seed: 0 or above; the same seed gives the same bytes.
        formats: ``dicom``, ``nifti`` or both.
        segmenter: Whose mistakes the labels show; None for the preset's.
    """

    preset: CohortPreset
    subjects: int
    seed: int
    formats: tuple[str, ...] = FORMATS
    segmenter: str | None = None

    def __post_init__(self) -> None:
        segmenter_errors(self.drawn_by)

    @property
    def drawn_by(self) -> str:
        """The segmenter in force."""
        return self.segmenter or self.preset.segmenter


def write_cohort(
    out: Path,
    *,
    subjects: int,
    seed: int,
    formats: Sequence[str] = FORMATS,
    progress: Progress | None = None,
    population: CohortSpec | None = None,
    mix: CohortMix | None = None,
) -> Path:
    """Simulate a cohort on one ideal scanner, exactly labelled: see :func:`write_planned_cohort`.

    Each subject depends on ``seed`` and its number alone, so a longer cohort begins with the
    shorter one.

    Args:
        out: Created if missing; a folder of another seed, mix or population is refused.
        subjects: How many, 1-99999.
        seed: 0 or above; the same seed gives the same bytes.
        formats: ``dicom``, ``nifti`` or both.
        progress: Called with the number done and the total after each subject.
        population: Who they are.
        mix: What they have and how they are scanned.

    Raises:
        InputError: A number is out of range, or the folder holds another cohort.
    """
    preset = CohortPreset("archive", population=population or CohortSpec(), mix=mix or CohortMix())
    plan = CohortPlan(preset, subjects, seed, tuple(formats))
    return write_planned_cohort(out, plan, progress=progress)


def write_planned_cohort(
    out: Path,
    plan: CohortPlan,
    *,
    mapper: Mapper | None = None,
    progress: Progress | None = None,
) -> Path:
    """Simulate the cohort of a plan; a run that was stopped goes on where it stopped.

    A subject's folder appears under its name when it is complete.

    Args:
        out: Created if missing; a folder of another plan is refused.
        plan: Who, how many, in which formats.
        mapper: Applies a function to items, here or in several processes; here by default.
        progress: Called with the number done and the total after each subject.

    Returns:
        ``cohort.csv`` (one row a subject, paths relative to it); ``truth.csv`` (one row a
        vertebra) stands beside it.

    Raises:
        InputError: A number is out of range, the folder holds another cohort, or a subject could
            not be written.
    """
    numbers = chosen_numbers(plan.preset, plan.subjects, plan.seed)
    out.mkdir(parents=True, exist_ok=True)
    _claim(out, plan)
    subjects = {n: virtual_subject(plan.preset, plan.seed, n) for n in numbers}
    todo = [
        _Item(plan, number, out) for number in numbers if not (out / subjects[number].name).is_dir()
    ]
    done = 0

    def advance(*_outcome: object) -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, len(numbers))

    for _ in range(len(numbers) - len(todo)):
        advance()
    if mapper is None:
        for item in todo:
            _write_subject(item)
            advance()
    else:
        outcomes = mapper(_write_subject, todo, on_done=advance)
        failed = [outcome.error for outcome in outcomes if outcome.error is not None]
        if failed:
            raise InputError(f"{len(failed)} subjects could not be written: {failed[0]}")
    truths = {subjects[n].name: _truth(out / subjects[n].name) for n in numbers}
    write_csv(out / "truth.csv", level_rows(truths))
    table = out / "cohort.csv"
    rows = []
    for number in numbers:
        subject = subjects[number]
        row = subject_row(subject.name, truths[subject.name], "nifti" in plan.formats)
        rows.append(row if subject.site is None else {**row, "site": subject.site.name})
    write_csv(table, rows)
    return table


@dataclass(frozen=True)
class _Item:
    """One subject to write."""

    plan: CohortPlan
    number: int
    out: Path


def _write_subject(item: _Item) -> None:
    """Write a subject's folder under a temporary name, then rename it."""
    plan = item.plan
    subject = virtual_subject(plan.preset, plan.seed, item.number)
    simulated, faults = subject.scanned(plan.drawn_by)
    partial = item.out / f".{subject.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    write_patient(
        partial, simulated, patient_id=subject.name, formats=plan.formats, extra_planted=faults
    )
    partial.rename(item.out / subject.name)


def _claim(out: Path, plan: CohortPlan) -> None:
    """Write down what this folder holds, or refuse a folder that holds something else."""
    settings: dict[str, Any] = {
        "simulated": True,
        "seed": plan.seed,
        "formats": sorted(plan.formats),
        "population": asdict(plan.preset.population),
        "mix": asdict(plan.preset.mix),
    }
    if plan.preset.class_counts is not None:
        settings["class_counts"] = plan.preset.class_counts
    if plan.preset.sites:
        settings["sites"] = [asdict(site) for site in plan.preset.sites]
    if plan.drawn_by != "exact":
        settings["segmenter"] = plan.drawn_by
    settings = json.loads(json.dumps(settings))
    path = out / "cohort.json"
    if path.exists():
        if json.loads(path.read_text(encoding="utf-8")) != settings:
            raise InputError(
                "The folder holds a cohort of another seed, format or mix; choose another folder."
            )
        return
    path.write_text(json.dumps(settings, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _truth(folder: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((folder / TRUTH_NAME).read_text(encoding="utf-8"))
    return loaded
