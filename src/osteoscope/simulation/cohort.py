"""Write a virtual cohort: scans, labels, a cohort table and a table of the truth."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from osteoscope.core.errors import InputError
from osteoscope.io.csv_table import write_csv
from osteoscope.simulation.cohort_mix import CohortMix, draw_defects, draw_label_shift, draw_scan
from osteoscope.simulation.label_faults import Planted, shift_by_one
from osteoscope.simulation.patient import CohortSpec, sample_patient
from osteoscope.simulation.patient_files import (
    DICOM_FOLDER,
    FORMATS,
    IMAGE_NAME,
    SEGMENTATION_NAME,
    SUBREGIONS_NAME,
    TRUTH_NAME,
    write_patient,
)
from osteoscope.simulation.render import SimulatedPatient, simulate_patient

Progress = Callable[[int, int], None]


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
    """Simulate a cohort; a run that was stopped goes on where it stopped.

    Each subject depends on ``seed`` and its number alone, so a longer cohort begins with the
    shorter one. A subject's folder appears under its name when it is complete.

    Args:
        out: Created if missing; a folder of another seed, mix or population is refused.
        subjects: How many, 1-99999.
        seed: 0 or above; the same seed gives the same bytes.
        formats: ``dicom``, ``nifti`` or both.
        progress: Called with the number done and the total after each subject.
        population: Who they are.
        mix: What they have and how they are scanned.

    Returns:
        ``cohort.csv`` (one row a subject, paths relative to it); ``truth.csv`` (one row a
        vertebra) stands beside it.

    Raises:
        InputError: A number is out of range, or the folder holds another cohort.
    """
    if not 1 <= subjects <= 99999 or seed < 0:
        raise InputError(
            f"A cohort has 1-99999 subjects and a seed of 0 or above, not {subjects} and {seed}."
        )
    population, mix = population or CohortSpec(), mix or CohortMix()
    out.mkdir(parents=True, exist_ok=True)
    _claim(out, seed, formats, (population, mix))
    names = [f"sim-{seed}-{n:05d}" for n in range(1, subjects + 1)]
    for number, name in enumerate(names):
        if not (out / name).is_dir():
            simulated, faults = simulate_subject(seed, number, population, mix)
            partial = out / f".{name}.partial"
            shutil.rmtree(partial, ignore_errors=True)
            write_patient(
                partial, simulated, patient_id=name, formats=formats, extra_planted=faults
            )
            partial.rename(out / name)
        if progress is not None:
            progress(number + 1, subjects)
    truths = {name: _truth(out / name) for name in names}
    write_csv(out / "truth.csv", _level_rows(truths))
    table = out / "cohort.csv"
    write_csv(table, [_subject_row(n, t, "nifti" in formats) for n, t in truths.items()])
    return table


def simulate_subject(
    seed: int, number: int, population: CohortSpec, mix: CohortMix
) -> tuple[SimulatedPatient, Planted]:
    """Subject ``number`` of a cohort, and the flags that its spoiled labels plant."""
    rng = np.random.default_rng([seed, number])
    patient = sample_patient(rng, defects=draw_defects(rng, mix), cohort=population)
    scan = draw_scan(rng, mix, patient.body_half_width_mm)
    simulated = simulate_patient(patient, scan, seed=int(rng.integers(2**31)))
    if not draw_label_shift(rng, mix):
        return simulated, ()
    labels, verse = shift_by_one(simulated.labels), shift_by_one(simulated.verse)
    return replace(simulated, labels=labels.labels, verse=verse.labels), labels.planted


def _claim(
    out: Path, seed: int, formats: Sequence[str], drawn_from: tuple[CohortSpec, CohortMix]
) -> None:
    """Write down what this folder holds, or refuse a folder that holds something else."""
    settings = {
        "simulated": True,
        "seed": seed,
        "formats": sorted(formats),
        "population": asdict(drawn_from[0]),
        "mix": asdict(drawn_from[1]),
    }
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


def _subject_row(name: str, truth: Mapping[str, Any], nifti: bool) -> dict[str, Any]:
    """One row of the cohort table."""
    scan, dxa = truth["scan"], truth["dxa"]
    planted = [f"{code}:{level}" if level else code for code, level in truth["planted"]]
    l1 = truth["levels"]["L1"]
    return {
        "subject_id": name,
        "image": f"{name}/{IMAGE_NAME if nifti else DICOM_FOLDER}",
        "segmentation": f"{name}/{SEGMENTATION_NAME}",
        "subregions": f"{name}/{SUBREGIONS_NAME}",
        "t_score": dxa["t_score"],
        "class": dxa["who_class"],
        "age_years": truth["age_years"],
        "sex": truth["sex"],
        "areal_bmd_g_cm2": round(dxa["measured_g_cm2"], 4),
        "l1_vbmd_mg_cm3": round(l1["vbmd_mg_cm3"], 2),
        "l1_trabecular_hu": round(l1["trabecular_hu"], 2),
        "l1_unenhanced_120_hu": round(l1["unenhanced_120_hu"], 2),
        "kvp": scan["kvp"],
        "contrast_phase": scan["contrast_phase"] or "",
        "slice_mm": scan["slice_mm"],
        "kernel": scan["kernel"],
        "noise_sd_hu": round(scan["noise_sd_hu"], 2),
        "variant": truth["variant"] or "",
        "planted": " ".join(planted),
        "simulated": True,
    }


def _level_rows(truths: Mapping[str, Mapping[str, Any]]) -> Iterable[dict[str, Any]]:
    """One row a vertebra."""
    for name, truth in truths.items():
        for level, row in truth["levels"].items():
            x, y, z = row["centre_lps_mm"]
            yield {
                "subject_id": name,
                "level": level,
                "presence": row["presence"],
                "vbmd_mg_cm3": round(row["vbmd_mg_cm3"], 3),
                "trabecular_hu": round(row["trabecular_hu"], 3),
                "unenhanced_120_hu": round(row["unenhanced_120_hu"], 3),
                "anterior_mm": round(row["anterior_mm"], 3),
                "middle_mm": round(row["middle_mm"], 3),
                "posterior_mm": round(row["posterior_mm"], 3),
                "fracture_type": row["fracture_type"] or "",
                "fracture_grade": row["fracture_grade"],
                "areal_bmd_g_cm2": _rounded(truth["dxa"]["areal_bmd_g_cm2"].get(level)),
                "centre_x_mm": x,
                "centre_y_mm": y,
                "centre_z_mm": z,
                "defects": " ".join(row["defects"]),
                "simulated": True,
            }


def _rounded(value: float | None) -> float | str:
    return "" if value is None else round(value, 4)
