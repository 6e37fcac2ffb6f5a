"""``osteoscope simulate``: virtual cohorts whose truth is known."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from osteoscope.apps.cli import exit_codes, progress
from osteoscope.core.errors import InputError

if TYPE_CHECKING:
    from osteoscope.core.crop_spec import CropSpec
    from osteoscope.simulation.cohort_preset import CohortPreset

simulate_app = typer.Typer(
    name="simulate", help="Make virtual patients whose truth is known.", no_args_is_help=True
)

_CROPS = "With --crops"


@simulate_app.callback()
def simulate() -> None:
    """Make virtual patients whose truth is known. Everything written says that it is simulated."""


class ScanFormat(StrEnum):
    """How the scans are written."""

    both = "both"
    dicom = "dicom"
    nifti = "nifti"


class Axes(StrEnum):
    """What a crop is turned to."""

    scanner = "scanner"
    vertebra = "vertebra"


@simulate_app.command()
def tscore(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the cohort or the store.")],
    subjects: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Number of patients; a preset's classes keep their shares.",
            show_default="10, or the preset's own",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")] = 0,
    preset: Annotated[
        str, typer.Option(help="Who they are: archive, austinspine or population.")
    ] = "archive",
    scan_format: Annotated[
        ScanFormat | None,
        typer.Option("--format", help="How the scans are written.", show_default="both"),
    ] = None,
    segmenter: Annotated[
        str | None,
        typer.Option(
            help="Whose mistakes the labels show: exact, fine or coarse.",
            show_default="the preset's",
        ),
    ] = None,
    crops: Annotated[
        bool,
        typer.Option("--crops", help="Write a store of crops to train on instead of whole scans."),
    ] = False,
    level: Annotated[
        list[str] | None,
        typer.Option(help="Vertebra to crop; may be repeated.", rich_help_panel=_CROPS),
    ] = None,
    shape: Annotated[
        str, typer.Option(help="Voxels along z,y,x.", rich_help_panel=_CROPS)
    ] = "64,96,96",
    spacing: Annotated[
        str, typer.Option(help="Their spacing, mm: one number or z,y,x.", rich_help_panel=_CROPS)
    ] = "1",
    surroundings: Annotated[
        bool,
        typer.Option(
            "--surroundings/--masked",
            help="Keep what lies around the vertebra.",
            rich_help_panel=_CROPS,
        ),
    ] = False,
    axes: Annotated[
        Axes, typer.Option(help="What the crop is turned to.", rich_help_panel=_CROPS)
    ] = Axes.scanner,
    workers: Annotated[int, typer.Option(min=1, help="Patients at a time.")] = 1,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """CT of the lumbar spine with labels, true densities and the DXA T-score of the same body.

    Whole scans: cohort.csv names them and can be screened or prepared as it is; truth.csv has a
    row a vertebra. With --crops: a store, as osteoscope tscore prepare makes it of scans.
    """
    from osteoscope.simulation.cohort_preset import cohort_preset
    from osteoscope.simulation.virtual_subject import chosen_numbers

    chosen = cohort_preset(preset)
    count = subjects or chosen.subjects
    if chosen.class_counts is not None:
        with progress.stages(quiet) as tell:
            if tell is not None:
                tell("choosing patients by class")
            chosen_numbers(chosen, count, seed)
    if not crops:
        formats = scan_format or ScanFormat.both
        _write_scans(out, (chosen, count, seed, segmenter), formats, workers, quiet)
        return
    if scan_format is not None:
        raise InputError("--format says how scans are written; with --crops there are none.")
    spec = _crop_spec(level, shape, spacing, surroundings, axes)
    _write_store(out, (chosen, count, seed, segmenter), spec, workers, quiet)


_Who = tuple["CohortPreset", int, int, str | None]
"""Preset, number of subjects, seed and segmenter."""


def _write_scans(out: Path, who: _Who, formats: ScanFormat, workers: int, quiet: bool) -> None:
    from osteoscope.apps.mapping import map_items
    from osteoscope.simulation.cohort import CohortPlan, write_planned_cohort
    from osteoscope.simulation.patient_files import FORMATS

    preset, subjects, seed, segmenter = who
    written = FORMATS if formats is ScanFormat.both else (formats.value,)
    plan = CohortPlan(preset, subjects, seed, written, segmenter)
    # One process writes here without a detour, so that an error keeps its own words.
    mapper = partial(map_items, workers=workers) if workers > 1 else None
    with progress.items("Simulating", subjects, quiet) as advance:

        def on_subject(number: int, total: int) -> None:
            if advance is not None:
                advance(f"subject {number} of {total}")

        table = write_planned_cohort(out, plan, mapper=mapper, progress=on_subject)
    print(f"Simulated. Table: {table}")


def _write_store(out: Path, who: _Who, spec: CropSpec, workers: int, quiet: bool) -> None:
    from osteoscope.apps.mapping import map_items
    from osteoscope.studies.tscore.virtual_cohort import VirtualStorePlan, write_virtual_store

    preset, subjects, seed, segmenter = who
    plan = VirtualStorePlan(preset, subjects, seed, spec, segmenter)
    total = subjects * len(spec.levels)
    with progress.items("Simulating", total, quiet) as advance:

        def on_subject(name: str, state: str) -> None:
            if advance is not None:
                advance(f"{name}: {state}")

        mapper = partial(map_items, workers=workers)
        outcome = write_virtual_store(out, plan, mapper=mapper, on_subject=on_subject)
    print(f"Simulated. Store of {outcome.n_rows} crops: {outcome.folder}")
    if outcome.failures:
        print(f"{len(outcome.failures)} patients are not in it; the progress says why.")
        raise typer.Exit(exit_codes.SOME_FAILED)


def _crop_spec(
    level: list[str] | None, shape: str, spacing: str, surroundings: bool, axes: Axes
) -> CropSpec:
    """The crop that the options describe.

    Raises:
        InputError: A number cannot be read or is out of range.
    """
    from osteoscope.core.crop_spec import CropSpec

    try:
        z, y, x = (int(part) for part in shape.split(","))
        sides = [float(part) for part in spacing.split(",")]
        dz, dy, dx = sides * 3 if len(sides) == 1 else sides
    except ValueError:
        raise InputError(
            "--shape takes three whole numbers such as 64,96,96, and --spacing one or three "
            "numbers such as 1 or 2,1,1."
        ) from None
    return CropSpec(
        levels=tuple(level or ["L1"]),
        shape=(z, y, x),
        spacing_mm=(dz, dy, dx),
        surroundings=surroundings,
        axes="vertebra" if axes is Axes.vertebra else "scanner",
    )
