"""The page of an evaluation: one self-contained file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from osteoscope.core.provenance import created_with
from osteoscope.evaluation.compare import Comparison, Difference
from osteoscope.evaluation.complete import CompleteEvaluation
from osteoscope.evaluation.estimates import Estimate, Evaluation
from osteoscope.evaluation.subgroups import MIN_OF_CLASS, MIN_SUBJECTS, Subgroup
from osteoscope.reporting.evaluation_figures import (
    render_bland_altman,
    render_calibration,
    render_decision,
    render_roc,
)
from osteoscope.reporting.templating import data_address, render_page
from osteoscope.reporting.wording import bare

FEW_OF_CLASS = 20
"""With fewer rows of a class the page warns that its numbers are hardly known."""

_WORDS: Mapping[str, str] = {
    "accuracy": "Accuracy",
    "macro_sensitivity": "Sensitivity, mean of the classes",
    "macro_specificity": "Specificity, mean of the classes",
    "weighted_f1": "F1, weighted by class size",
    "macro_auc": "AUC, each class against the rest, mean",
    "quadratic_kappa": "Kappa, quadratic weights",
    "brier": "Brier score (lower is better)",
    "log_loss": "Log loss (lower is better)",
    "ece": "Calibration error (ECE; lower is better)",
    "ece_by_chance": "ECE that chance alone would show",
    "t_score_mae": "Mean absolute error",
    "t_score_bias": "Bias (predicted − measured)",
    "t_score_sd": "SD of the differences",
    "t_score_loa_low": "Lower limit of agreement",
    "t_score_loa_high": "Upper limit of agreement",
    "auc": "AUC",
    "auprc": "AUPRC",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "sensitivity_at_specificity_90": "Sensitivity at specificity 0.90",
    "sensitivity_at_specificity_95": "Sensitivity at specificity 0.95",
}
_OVERALL = (
    "accuracy", "macro_sensitivity", "macro_specificity", "weighted_f1", "macro_auc",
    "quadratic_kappa", "brier", "log_loss", "ece", "ece_by_chance",
)  # fmt: skip
_BY_CLASS = (
    "auc", "auprc", "sensitivity", "specificity", "sensitivity_at_specificity_90",
    "sensitivity_at_specificity_95", "ece",
)  # fmt: skip
_BY_CLASS_HEADS = {"ece": "Calibration error"}
_T_SCORE = ("t_score_mae", "t_score_bias", "t_score_sd", "t_score_loa_low", "t_score_loa_high")
_BY_GROUP = ("accuracy", "macro_sensitivity", "macro_specificity", "macro_auc")
_METHODS = {"lac": "Least ambiguous (LAC)", "aps": "Adaptive (APS)"}


def evaluation_html(complete: CompleteEvaluation, sources: Mapping[str, str]) -> str:
    """The page as text; it needs no network, no script and no second file.

    Args:
        complete: What is shown. Names of classes and groups are untrusted text and escaped.
        sources: Digest of each table that it was made from, by what the table is.
    """
    evaluation, rows = complete.evaluation, complete.rows
    figures = {
        "roc": render_roc(evaluation),
        "calibration": render_calibration(evaluation),
        "decision": render_decision(evaluation),
        "bland_altman": render_bland_altman(evaluation, rows.t_score, rows.t_score_predicted),
    }
    positive = evaluation.classes[evaluation.positive]
    shown = [curve.name for curve in evaluation.calibration]
    # Of two classes the means over both say nothing that the positive one's do not.
    overall = _BY_GROUP if len(evaluation.classes) > 2 else _BY_GROUP[:1]
    by_group = [(name, _WORDS[name]) for name in overall] + [
        (f"{kind}_{positive}", f"{_WORDS[kind]} of {positive}")
        for kind in ("auc", "sensitivity", "specificity")
    ]
    content = {
        "evaluation": evaluation,
        "positive": positive,
        "headline": _cell(evaluation["macro_auc"]),
        "sizes": list(zip(evaluation.classes, evaluation.counts.sum(axis=1).tolist(), strict=True)),
        "concerns": _concerns(complete),
        "overall": [(_WORDS[n], _cell(evaluation[n])) for n in _OVERALL],
        "class_heads": [_BY_CLASS_HEADS.get(kind, _WORDS[kind]) for kind in _BY_CLASS],
        "by_class": [
            (name, [_cell(evaluation[f"{kind}_{name}"]) for kind in _BY_CLASS]) for name in shown
        ],
        "confusion": _confusion(evaluation),
        "t_score": [(_WORDS[n], _cell(evaluation[n])) for n in _T_SCORE if n in evaluation],
        "figures": {n: None if png is None else data_address(png) for n, png in figures.items()},
        "conformal": [
            (_METHODS[report.method], report, _cell(report.coverage), [
                (name, _cell(estimate)) for name, estimate in report.by_class.items()
            ])
            for report in complete.conformal
        ],
        "group_heads": [words for _, words in by_group],
        "groups": [_group(part, [name for name, _ in by_group]) for part in complete.subgroups],
        "least": {"subjects": MIN_SUBJECTS, "of_class": MIN_OF_CLASS},
        "comparisons": [
            _comparison(name, found, evaluation) for name, found in complete.comparisons.items()
        ],
        "coverage": complete.config.coverage,
        "created_with": created_with(),
        "sources": sources,
    }  # fmt: skip
    return render_page("evaluation.html.j2", content)


def _cell(estimate: Estimate) -> dict[str, str]:
    """An estimate in words: its value, its interval, its n, its note."""
    known = math.isfinite(estimate.value)
    bounded = math.isfinite(estimate.low) and math.isfinite(estimate.high)
    return {
        "value": _plain(estimate.value) if known else "–",
        "interval": f"{_plain(estimate.low)} to {_plain(estimate.high)}" if bounded else "",
        "n": str(estimate.n),
        "note": estimate.note,
    }


def _plain(value: float) -> str:
    return bare(value, "", 2 if abs(value) >= 0.095 or value == 0 else 3)


def p_words(p: float) -> str:
    """A p value as journals print it; never 0."""
    if not math.isfinite(p):
        return "–"
    if p < 0.001:
        return "< 0.001"
    return f"{p:.3f}" if p < 0.095 else f"{p:.2f}"


def _concerns(complete: CompleteEvaluation) -> list[str]:
    """What bears on trust, first."""
    evaluation, rows = complete.evaluation, complete.rows
    found = []
    if evaluation.part == "validation":
        found.append(
            "These are validation subjects: the model was selected on them, so every number is "
            "optimistic. The table holds no test subjects."
        )
    for name, n in zip(evaluation.classes, evaluation.counts.sum(axis=1), strict=True):
        if n < FEW_OF_CLASS:
            found.append(f"Only {n} rows are of {name}: what is said of it is hardly known.")
    for name, comparison in complete.comparisons.items():
        sentence = _verdict(name, comparison)
        if sentence is not None:
            found.append(sentence)
    folds = len(set(rows.fold.tolist()))
    if folds > 1:
        found.append(
            f"Rows of {folds} folds are pooled, though each fold has a model of its own; the "
            "numbers are about the way of training, not about one model."
        )
    if evaluation.n_subjects < evaluation.n:
        found.append(
            f"{evaluation.n} rows are of {evaluation.n_subjects} subjects: intervals draw whole "
            "subjects; tests that need independent rows are left out."
        )
    return found


def _verdict(name: str, comparison: Comparison) -> str | None:
    """A sentence where a rival is not shown to be worse."""
    difference = comparison.differences["macro_auc"]
    if not math.isfinite(difference.low) or difference.low > 0:
        return None
    words = f"{_signed(difference.value)} ({_signed(difference.low)} to {_signed(difference.high)})"
    if difference.high < 0:
        return f"Worse than {name}: the AUC differs by {words}."
    return f"Not shown to be better than {name}: the AUC differs by {words}."


def _confusion(evaluation: Evaluation) -> list[dict[str, Any]]:
    table = []
    for name, row in zip(evaluation.classes, evaluation.counts, strict=True):
        total = int(row.sum())
        shares = [count / total if total else 0.0 for count in row.tolist()]
        cells = zip(row.tolist(), shares, strict=True)
        table.append({"name": name, "cells": list(cells), "total": total})
    return table


def _group(part: Subgroup, names: list[str]) -> dict[str, Any]:
    cells = None
    if part.evaluation is not None:
        cells = [_cell(part.evaluation[name]) for name in names]
    return {"column": part.column, "name": part.name, "n": part.n, "cells": cells}


def _comparison(name: str, found: Comparison, evaluation: Evaluation) -> dict[str, Any]:
    return {
        "name": name,
        "found": found,
        "rows": [
            {
                "name": _metric_words(difference.name, evaluation.classes),
                "this": _plain_or_dash(difference.a),
                "rival": _plain_or_dash(difference.b),
                "difference": _difference_words(difference),
                "p": p_words(difference.p),
                "note": difference.note,
            }
            for difference in found.differences.values()
        ],
        "delong": [
            {
                "name": of_class,
                "difference": f"{_signed(d.difference)} ({_signed(d.low)} to {_signed(d.high)})",
                "p": p_words(d.p),
            }
            for of_class, d in found.delong.items()
        ],
        "mcnemar_p": p_words(found.mcnemar_p),
    }


def _metric_words(name: str, classes: tuple[str, ...]) -> str:
    if name in _T_SCORE:
        return f"T-score: {_lowered(_WORDS[name])}"
    if name in _WORDS:
        return _WORDS[name]
    for of_class in classes:
        kind = name.removesuffix(f"_{of_class}")
        if kind in _WORDS:
            return f"{_WORDS[kind]} of {of_class}"
    return name


def _difference_words(difference: Difference) -> str:
    if not math.isfinite(difference.low):
        return "–"
    ends = f"{_signed(difference.low)} to {_signed(difference.high)}"
    return f"{_signed(difference.value)} ({ends})"


def _plain_or_dash(value: float) -> str:
    return _plain(value) if math.isfinite(value) else "–"


def _signed(value: float) -> str:
    words = bare(value, "", 3)
    return f"+{words}" if value > 0 and words.strip("0.") else words


def _lowered(words: str) -> str:
    """In the middle of a line only abbreviations keep their capitals."""
    return words if words[:2].isupper() else words[0].lower() + words[1:]
