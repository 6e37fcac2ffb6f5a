"""From one scan and its segmentation to its crops, each with what is known and measured of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteoscope.anatomy.measure import measure_vertebrae
from osteoscope.anatomy.segmenters.file import FileSegmenter
from osteoscope.core.errors import InputError, QualityError
from osteoscope.core.labelmap import LabelMap
from osteoscope.core.volume import Volume
from osteoscope.features.crop import crop_measured
from osteoscope.io.cohort_table import LabelledScan
from osteoscope.io.scan import read_scan
from osteoscope.studies.tscore.baseline_columns import LabelledVolume, baseline_columns
from osteoscope.studies.tscore.prepare_config import PrepareConfig

Row = dict[str, Any]
"""What is known of one crop, by column of the store's table."""


@dataclass(frozen=True, eq=False)
class PreparedScan:
    """What came of one scan.

    Args:
        rows: One a level that was cropped.
        crops: Theirs; emptied once they are stored, so that a cohort's never lie in memory.
        failures: Reason by level of those that were not.
    """

    rows: tuple[Row, ...]
    crops: list[NDArray[np.int16]]
    failures: Mapping[str, str]


def prepare_scan(item: LabelledScan, config: PrepareConfig) -> PreparedScan:
    """Read, label, measure and crop one scan.

    Args:
        item: The scan, its segmentation and what is known of the subject.
        config: What is cropped and how.

    Raises:
        OsteoscopeError: The scan or its labels cannot be used, or no level could be cropped.
    """
    if item.scan.segmentation is None:
        raise InputError(
            "The scan has no segmentation; name one in the cohort table's column segmentation."
        )
    reading = read_scan(item.scan.image)
    labels = FileSegmenter(item.scan.segmentation, config.scheme).segment(reading.volume)
    parts = _subregions(item.scan.subregions, reading.volume)
    vertebrae = measure_vertebrae(labels, subregions=parts)
    scan = LabelledVolume(reading.volume.canonical(), labels.canonical(), vertebrae)
    crops: dict[str, NDArray[np.int16]] = {}
    failures = {}
    for level in config.levels:
        try:
            if level not in vertebrae:
                raise QualityError(f"{level} is not among the labelled vertebrae.")
            crops[level] = crop_measured(scan.volume, vertebrae[level], config.crop)
        except QualityError as error:
            failures[level] = str(error)
    if not crops:
        raise QualityError(" ".join(failures.values()))
    facts = _scan_facts(scan.volume)
    age = item.labels.age_years
    columns = baseline_columns(scan, config, facts["scan_age_years"] if age is None else age)
    rows = [
        labelled_row(
            {
                "subject_id": item.scan.subject_id,
                "level": level,
                "image_digest": f"sha256:{reading.digest}",
                "simulated": scan.volume.acquisition.simulated,
                **_printable(columns[level]),
                **facts,
            },
            item,
        )
        for level in crops
    ]
    return PreparedScan(tuple(rows), list(crops.values()), failures)


def labelled_row(row: Mapping[str, Any], item: LabelledScan) -> Row:
    """The row with what the table says of its subject; age and sex else as the scan's file."""
    labels = item.labels
    age = row["scan_age_years"] if labels.age_years is None else labels.age_years
    return {
        **row,
        "t_score": labels.t_score,
        "class_index": labels.class_index,
        "age_years": age,
        "sex": labels.sex or row["scan_sex"],
        "site": labels.site or "",
    }


def _scan_facts(volume: Volume) -> Row:
    """What the scan's own file says, for subgroups; None and empty where it does not."""
    facts = volume.acquisition
    return {
        "kvp": facts.kvp,
        "slice_mm": float(volume.grid.spacing_mm[0]),
        "manufacturer": _words(facts.manufacturer or ""),
        "kernel": _words(facts.kernel or ""),
        "scan_age_years": facts.patient_age_years,
        "scan_sex": facts.patient_sex if facts.patient_sex in ("F", "M") else "",
    }


def _subregions(path: Path | None, volume: Volume) -> LabelMap | None:
    return None if path is None else FileSegmenter(path, "tptbox-subregions").segment(volume)


def _printable(columns: Mapping[str, Any]) -> Row:
    return {k: _words(v) if isinstance(v, str) else v for k, v in columns.items()}


def _words(text: str) -> str:
    """A text as one line of printable characters that a table's cell takes."""
    line = " ".join(text.split())[:1000]
    return "".join(c for c in line if c.isprintable())
