"""The tables of a virtual cohort: a row a subject, and a row a vertebra with its truth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from osteoscope.simulation.patient_files import (
    DICOM_FOLDER,
    IMAGE_NAME,
    SEGMENTATION_NAME,
    SUBREGIONS_NAME,
)


def subject_row(name: str, truth: Mapping[str, Any], nifti: bool) -> dict[str, Any]:
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


def level_rows(truths: Mapping[str, Mapping[str, Any]]) -> Iterable[dict[str, Any]]:
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
