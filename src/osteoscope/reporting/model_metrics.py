"""The numbers that say how good a model is: which are shown, in what order and in which words."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

MODEL_METRICS: Mapping[str, str] = MappingProxyType(
    {
        "macro_auc": "AUC, each class against the rest, mean",
        "auc_osteoporosis": "AUC of osteoporosis against the rest",
        "accuracy": "Accuracy",
        "macro_sensitivity": "Sensitivity, mean of the classes",
        "macro_specificity": "Specificity, mean of the classes",
        "sensitivity_osteoporosis": "Sensitivity to osteoporosis",
        "specificity_osteoporosis": "Specificity for osteoporosis",
        "weighted_f1": "F1, weighted by class size",
        "quadratic_kappa": "Kappa, quadratic weights",
        "brier": "Brier score (lower is better)",
        "ece": "Calibration error (ECE; lower is better)",
        "coverage": "Share of sets that hold the true class",
        "mean_set_size": "Classes in a set, mean",
        "t_score_mae": "T-score, mean absolute error",
        "t_score_bias": "T-score, bias (predicted − measured)",
    }
)
"""Words for each metric that a card and a page show, in their order.

Names are those of :func:`osteoscope.evaluation.evaluate`, and ``coverage`` and ``mean_set_size`` of
its conformal sets. A model may carry more; they stand in its file and in ``result.json``.
"""
