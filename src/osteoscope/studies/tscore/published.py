"""The paper's Tables II to VI as it prints them, and where its numbers contradict each other.

Source: Qi et al., MedConv: Convolutions Beat Transformers on Long-Tailed Bone Density Prediction.
The score set holds 78 patients, 26 of each class (``reference/medconv.md``).
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib import resources

from osteoscope.core.errors import InputError

METRICS = ("accuracy", "macro_sensitivity", "macro_specificity", "weighted_f1", "macro_auc")
"""What every table of the paper gives, in per cent."""
SCORED_PATIENTS = 78
"""Validation and test together, 26 of each class."""
TABLES = (2, 3, 4, 5, 6)
_ROUNDING = 0.011
"""Per cent: two decimals, halved twice."""


@dataclass(frozen=True)
class PublishedRow:
    """One row of one of the paper's tables.

    Args:
        label: What names it: a model with its ingredients (Table II, III, IV), or a value of tau.
        values: Metric to per cent, as printed.
        segmenter: Of Table III's rows.
        bal_ce: ``with`` or ``without``, of Table IV's rows.
    """

    label: str
    values: dict[str, float]
    segmenter: str | None = None
    bal_ce: str | None = None


def published_table(number: int) -> tuple[PublishedRow, ...]:
    """Rows of Table II (2) to VI (6), in the paper's order.

    Raises:
        InputError: There is no such table.
    """
    if number not in TABLES:
        raise InputError(f"The paper has results in Tables 2 to 6, not {number}.")
    text = resources.files("osteoscope.studies.tscore.published_tables")
    with (text / f"table{number}.csv").open(encoding="utf-8") as stream:
        return tuple(_row(record) for record in csv.DictReader(stream))


def _row(record: dict[str, str]) -> PublishedRow:
    label = record.get("label") or record.get("tau1") or record["tau2"]
    values = {metric: float(record[metric]) for metric in METRICS}
    return PublishedRow(label, values, record.get("segmenter"), record.get("bal_ce"))


def contradictions(row: PublishedRow) -> tuple[str, ...]:
    """What a row's numbers cannot be on the paper's score set of 26 patients of each class.

    There accuracy is a multiple of 1/78 and equals macro sensitivity, and macro specificity is
    (1 + sensitivity) / 2: each of the n(1 - sensitivity) errors is a false positive of one of the
    two other classes, whose negatives number 2n/3 each.
    """
    accuracy, sensitivity = row.values["accuracy"], row.values["macro_sensitivity"]
    specificity = row.values["macro_specificity"]
    found = []
    step = 100.0 / SCORED_PATIENTS
    if abs(accuracy / step - round(accuracy / step)) * step > _ROUNDING:
        found.append(f"an accuracy of {accuracy:.2f} % is no multiple of 1/{SCORED_PATIENTS}")
    if abs(accuracy - sensitivity) > _ROUNDING:
        found.append("accuracy and macro sensitivity differ on classes of equal size")
    expected = 50.0 + sensitivity / 2
    if abs(specificity - expected) > _ROUNDING:
        found.append(
            f"a macro sensitivity of {sensitivity:.2f} % goes with a macro specificity of "
            f"{expected:.2f} %, not {specificity:.2f} %"
        )
    return tuple(found)
