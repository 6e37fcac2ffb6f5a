"""A complete evaluation as JSON and as rows of a table, for machines and spreadsheets."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from osteoscope.core.provenance import created_with
from osteoscope.evaluation.compare import Comparison, Difference
from osteoscope.evaluation.complete import CompleteEvaluation
from osteoscope.evaluation.conformal import SetReport
from osteoscope.evaluation.delong import AucDifference
from osteoscope.evaluation.estimates import Estimate, Evaluation
from osteoscope.evaluation.roc import BAND_FALSE_RATES
from osteoscope.evaluation.subgroups import MIN_SUBJECTS, Subgroup

FORMAT = "osteoscope-evaluation-1"


def evaluation_json(complete: CompleteEvaluation, sources: Mapping[str, str]) -> dict[str, Any]:
    """The content of ``metrics.json``; what does not exist is null.

    Args:
        complete: The evaluation.
        sources: Digest of each table that it was made from, by what the table is.
    """
    evaluation = complete.evaluation
    return {
        "format": FORMAT,
        "simulated": evaluation.simulated,
        "part": evaluation.part,
        "n": evaluation.n,
        "n_subjects": evaluation.n_subjects,
        "classes": list(evaluation.classes),
        "positive": evaluation.classes[evaluation.positive],
        "bootstrap": {"draws": evaluation.draws, "seed": evaluation.seed, "level": 0.95},
        "metrics": _estimates(evaluation),
        "confusion": evaluation.counts.tolist(),
        "curves": _curves(evaluation),
        "conformal": [_sets(report) for report in complete.conformal],
        "subgroups": [_subgroup(part) for part in complete.subgroups],
        "comparisons": {name: _comparison(found) for name, found in complete.comparisons.items()},
        "sources": dict(sources),
        "created_with": created_with(),
    }


def metric_rows(complete: CompleteEvaluation) -> Iterator[dict[str, Any]]:
    """The content of ``metrics.csv``: one row a metric of all rows, then of each subgroup."""
    parts: list[tuple[str, str, Evaluation | None, int]] = [
        ("", "", complete.evaluation, complete.evaluation.n)
    ]
    parts += [(part.column, part.name, part.evaluation, part.n) for part in complete.subgroups]
    for column, name, evaluation, n in parts:
        where = {"column": column, "group": name}
        if evaluation is None:
            yield where | {"n": n, "note": f"withheld: fewer than {MIN_SUBJECTS} subjects"}
            continue
        for estimate in evaluation.values():
            yield where | {"metric": estimate.name, "note": ""} | estimate.to_json()


def difference_rows(complete: CompleteEvaluation) -> Iterator[dict[str, Any]]:
    """The content of ``comparisons.csv``: one row a metric and rival."""
    for name, comparison in complete.comparisons.items():
        for difference in comparison.differences.values():
            row = _difference(difference)
            yield {"against": name, "metric": difference.name, "n": comparison.n} | row


def _estimates(estimates: Mapping[str, Estimate]) -> dict[str, Any]:
    return {name: estimate.to_json() for name, estimate in estimates.items()}


def _curves(evaluation: Evaluation) -> dict[str, Any]:
    decision = evaluation.decision
    return {
        "roc": {
            curve.name: {
                "false_rate": _list(curve.false_rate),
                "true_rate": _list(curve.true_rate),
                "band_false_rate": _list(BAND_FALSE_RATES),
                "band_low": _list(curve.band_low),
                "band_high": _list(curve.band_high),
            }
            for curve in evaluation.roc
        },
        "calibration": {
            curve.name: {
                "predicted": _list(curve.predicted),
                "observed": _list(curve.observed),
                "low": _list(curve.low),
                "high": _list(curve.high),
                "n": curve.n.tolist(),
            }
            for curve in evaluation.calibration
        },
        "decision": None
        if decision is None
        else {
            "class": decision.name,
            "threshold": _list(decision.threshold),
            "net_benefit": _list(decision.net_benefit),
            "low": _list(decision.low),
            "high": _list(decision.high),
            "treat_all": _list(decision.treat_all),
        },
    }


def _sets(report: SetReport) -> dict[str, Any]:
    return {
        "method": report.method,
        "class_conditional": report.class_conditional,
        "promised": report.promised,
        "coverage": report.coverage.to_json(),
        "by_class": _estimates(report.by_class),
        "mean_size": report.mean_size,
        "single": report.single,
        "empty": report.empty,
    }


def _subgroup(part: Subgroup) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "column": part.column,
        "group": part.name,
        "n": part.n,
        "n_subjects": part.n_subjects,
    }
    if part.evaluation is None:
        return shown | {"withheld": f"fewer than {MIN_SUBJECTS} subjects"}
    return shown | {"metrics": _estimates(part.evaluation)}


def _comparison(found: Comparison) -> dict[str, Any]:
    return {
        "n": found.n,
        "n_subjects": found.n_subjects,
        "left_out": found.left_out_a,
        "left_out_of_rival": found.left_out_b,
        "differences": {name: _difference(d) for name, d in found.differences.items()},
        "delong": {name: _delong(d) for name, d in found.delong.items()},
        "mcnemar": {
            "only_this_right": found.only_a_right,
            "only_rival_right": found.only_b_right,
            "p": _number(found.mcnemar_p),
        },
    }


def _difference(difference: Difference) -> dict[str, Any]:
    numbers = {
        "this": difference.a,
        "rival": difference.b,
        "difference": difference.value,
        "low": difference.low,
        "high": difference.high,
        "p": difference.p,
    }
    shown: dict[str, Any] = {name: _number(value) for name, value in numbers.items()}
    return shown | ({"note": difference.note} if difference.note else {})


def _delong(found: AucDifference) -> dict[str, Any]:
    numbers = {
        "this": found.auc_a,
        "rival": found.auc_b,
        "difference": found.difference,
        "low": found.low,
        "high": found.high,
        "z": found.z,
        "p": found.p,
    }
    return {name: _number(value) for name, value in numbers.items()}


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _list(values: np.ndarray[Any, np.dtype[np.float64]]) -> list[float | None]:
    return [_number(float(value)) for value in values]
