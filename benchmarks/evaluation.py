"""Bootstrap intervals of an evaluation: osteoscope against a scikit-learn loop.

    OMP_NUM_THREADS=1 python benchmarks/evaluation.py --subjects 400 --draws 10000 --loop-draws 50

Both compute the same metrics in each draw: accuracy, macro sensitivity and specificity, weighted
F1, quadratic kappa, Brier, log loss, macro AUC, and of each class AUC, average precision,
sensitivity, specificity and sensitivity at two specificities, all with scikit-learn in the loop,
the way that it is usually written; and the T-score's error and limits with NumPy. osteoscope's
time also holds all that the loop does not do: calibration errors, the band of the ROC curves and
the decision curve. Before the timing both must give the same values on the rows as they are. The
loop's time is of a few draws and extrapolated, one core each.
"""

from __future__ import annotations

import argparse
import dataclasses
import time

import numpy as np
import sklearn.metrics as sk
from numpy.typing import NDArray

from osteoscope.core.predictions import Predictions
from osteoscope.evaluation import compare, evaluate

CLASSES = ("normal", "osteopenia", "osteoporosis")


def made(n: int, seed: int) -> Predictions:
    """Three classes in the shares of AustinSpine, and a middling classifier."""
    rng = np.random.default_rng(seed)
    truth = np.sort(rng.choice(3, n, p=[207 / 389, 136 / 389, 46 / 389]))
    logits = np.random.default_rng(seed + 1).normal(size=(n, 3))
    logits[np.arange(n), truth] += 1
    p = np.exp(logits)
    t_score = -truth - rng.random(n)
    return Predictions(
        subject_id=np.array([f"s{i:06d}" for i in range(n)]),
        truth=truth,
        probabilities=p / p.sum(axis=1, keepdims=True),
        classes=CLASSES,
        t_score=t_score,
        t_score_predicted=t_score + rng.normal(0, 0.6, n),
    )


def by_scikit_learn(
    truth: NDArray[np.int64], p: NDArray[np.float64], error: NDArray[np.float64]
) -> dict[str, float]:
    """Every metric of one draw."""
    predicted = p.argmax(axis=1)
    found = {
        "accuracy": sk.accuracy_score(truth, predicted),
        "macro_sensitivity": sk.recall_score(truth, predicted, average="macro"),
        "weighted_f1": sk.f1_score(truth, predicted, average="weighted"),
        "quadratic_kappa": sk.cohen_kappa_score(truth, predicted, weights="quadratic"),
        "brier": sk.brier_score_loss(truth, p),
        "log_loss": sk.log_loss(truth, p),
        "macro_auc": sk.roc_auc_score(truth, p, multi_class="ovr"),
        "t_score_mae": float(np.abs(error).mean()),
        "t_score_bias": float(error.mean()),
        "t_score_sd": float(error.std(ddof=1)),
    }
    for sign, end in ((-1, "low"), (1, "high")):
        limit = found["t_score_bias"] + sign * 1.959963984540054 * found["t_score_sd"]
        found[f"t_score_loa_{end}"] = limit
    specificities = []
    for c, name in enumerate(CLASSES):
        y, score = truth == c, p[:, c]
        found[f"auc_{name}"] = sk.roc_auc_score(y, score)
        found[f"auprc_{name}"] = sk.average_precision_score(y, score)
        found[f"sensitivity_{name}"] = sk.recall_score(y, predicted == c)
        specificities.append(sk.recall_score(~y, predicted != c))
        found[f"specificity_{name}"] = specificities[-1]
        false, true, _ = sk.roc_curve(y, score, drop_intermediate=False)
        for percent in (90, 95):
            reached = true[false <= 1 - percent / 100 + 1e-9].max()
            found[f"sensitivity_at_specificity_{percent}_{name}"] = float(reached)
    found["macro_specificity"] = float(np.mean(specificities))
    return found


def loop(predictions: Predictions, draws: int) -> float:
    """Seconds of so many stratified draws, quantiles included."""
    rng = np.random.default_rng(0)
    kinds = [np.flatnonzero(predictions.truth == c) for c in range(3)]
    error = predictions.t_score_predicted - predictions.t_score
    started = time.perf_counter()
    values = []
    for _ in range(draws):
        rows = np.concatenate([rng.choice(kind, len(kind)) for kind in kinds])
        found = by_scikit_learn(
            predictions.truth[rows], predictions.probabilities[rows], error[rows]
        )
        values.append(list(found.values()))
    np.quantile(np.array(values), [0.025, 0.975], axis=0)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--subjects", type=int, default=400)
    parser.add_argument("--draws", type=int, default=10_000)
    parser.add_argument("--loop-draws", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    predictions = made(options.subjects, 0)
    rival = dataclasses.replace(
        predictions, probabilities=np.roll(predictions.probabilities, 3, axis=0)
    )
    error = predictions.t_score_predicted - predictions.t_score
    ours = evaluate(predictions, draws=100)
    theirs = by_scikit_learn(predictions.truth, predictions.probabilities, error)
    for name, value in theirs.items():
        if abs(ours[name].value - value) > 1e-9:
            raise SystemExit(f"{name} differs: {ours[name].value} and {value}")
    best = paired = looped = float("inf")
    for _ in range(options.repeats):
        started = time.perf_counter()
        evaluate(predictions, draws=options.draws)
        best = min(best, time.perf_counter() - started)
        started = time.perf_counter()
        compare(predictions, rival, draws=options.draws)
        paired = min(paired, time.perf_counter() - started)
        looped = min(looped, loop(predictions, options.loop_draws) / options.loop_draws)
    whole = looped * options.draws
    print(f"{options.subjects} subjects, {options.draws} draws, {len(theirs)} metrics in common")
    print(f"scikit-learn loop        {whole:8.1f} s ({looped * 1e3:.1f} ms a draw, extrapolated)")
    print(f"osteoscope, everything   {best:8.2f} s  ratio {whole / best:.0f}")
    print(f"osteoscope, comparison   {paired:8.2f} s")


if __name__ == "__main__":
    main()
