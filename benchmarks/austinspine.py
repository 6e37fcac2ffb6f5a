"""The paper's three claims on virtual AustinSpines: SIMULATED patients, five cohorts, two cores.

    python benchmarks/austinspine.py [--seeds 5] [--epochs 20] [--work DIR] [--out FILE]

Each seed is a cohort of its own (389 patients, 46/136/207), divided as the paper does (13 of each
class validate, 13 test, the rest train) and trained with that seed. Test patients of all cohorts
are pooled (39 a seed, 13 of each class), so that the paired bootstrap is over different patients.
Questions: does Bal-CE, or post-hoc adjustment, raise minority sensitivity against plain
cross-entropy; does the CNN beat L1 attenuation; does it beat a ViT of equal cost (multiplications;
the times on this machine are printed). A run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import time
import warnings
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from osteoscope.apps.mapping import map_items
from osteoscope.core.crop_spec import CropSpec
from osteoscope.core.predictions import Predictions
from osteoscope.evaluation import compare, evaluate
from osteoscope.io.crop_store import CropStore
from osteoscope.io.predictions_table import read_predictions
from osteoscope.reporting.tables import TextTable, as_markdown
from osteoscope.simulation.cohort_preset import cohort_preset
from osteoscope.studies.tscore.answer import AnswerConfig
from osteoscope.studies.tscore.answered import answered_predictions
from osteoscope.studies.tscore.run_names import RUN_NAME
from osteoscope.studies.tscore.splits import SplitOptions, make_split
from osteoscope.studies.tscore.train import joined, train_run
from osteoscope.studies.tscore.train_config import train_config
from osteoscope.studies.tscore.virtual_cohort import VirtualStorePlan, write_virtual_store

SPEC = CropSpec(shape=(32, 48, 48), spacing_mm=(2.0, 2.0, 2.0))
NETWORKS = {
    "CNN, cross-entropy": ("loss.name=cross_entropy",),
    "CNN, Bal-CE (tau1 = 1)": ("loss.name=logit_adjusted", "loss.tau=1.0"),
    "ViT, Bal-CE (tau1 = 1)": (
        "loss.name=logit_adjusted",
        "loss.tau=1.0",
        "model.name=vit3d-tiny",
        "optimiser.learning_rate=5e-4",
    ),
}
PLAIN, BALANCED, VIT = NETWORKS
ADJUSTED = "CNN, cross-entropy, post-hoc (tau2 = 1)"
BASELINES = {
    "L1 attenuation": "l1-attenuation",
    "L1 attenuation, age, sex": "l1-attenuation-age-and-sex",
}
SHOWN = (
    "macro_auc", "auc_osteoporosis", "sensitivity_osteoporosis", "specificity_osteoporosis",
    "macro_sensitivity", "accuracy",
)  # fmt: skip
QUESTIONS = (
    (BALANCED, PLAIN, "sensitivity_osteoporosis"),
    (ADJUSTED, PLAIN, "sensitivity_osteoporosis"),
    (BALANCED, PLAIN, "macro_sensitivity"),
    (ADJUSTED, PLAIN, "macro_sensitivity"),
    (BALANCED, "L1 attenuation", "macro_auc"),
    (BALANCED, "L1 attenuation, age, sex", "macro_auc"),
    (BALANCED, "L1 attenuation", "macro_sensitivity"),
    (BALANCED, VIT, "macro_auc"),
    (BALANCED, VIT, "macro_sensitivity"),
)


def main() -> None:
    """Simulate, train, pool, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--subjects", type=int, default=389)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--work", type=Path, default=Path("austinspine"))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    start = time.perf_counter()
    parts: dict[str, list[Predictions]] = {}
    for seed in range(options.seeds):
        for name, predictions in cohort(seed, options).items():
            parts.setdefault(name, []).append(predictions)
        print(f"cohort {seed}: {time.perf_counter() - start:.0f} s", flush=True)
    pooled = {name: joined(several) for name, several in parts.items()}
    text = report(pooled, options) + f"\nTook {time.perf_counter() - start:.0f} s.\n"
    print(text)
    if options.out is not None:
        options.out.write_text(text, encoding="utf-8")


def cohort(seed: int, options: argparse.Namespace) -> dict[str, Predictions]:
    """Test predictions of every model on one virtual cohort."""
    work = options.work
    work.mkdir(parents=True, exist_ok=True)
    plan = VirtualStorePlan(cohort_preset("austinspine"), options.subjects, seed, SPEC)
    path = work / f"store{seed}-{options.subjects}"
    write_virtual_store(path, plan, mapper=partial(map_items, workers=options.workers))
    store = CropStore.open(path, verify=False)
    split = make_split(store, SplitOptions("paper", seed))
    found: dict[str, Predictions] = {}
    for name, settings in NETWORKS.items():
        slug = "".join(c if c.isalnum() else "-" for c in name.lower())
        run = work / f"run{seed}-{slug}-{options.subjects}-{options.epochs}"
        config = train_config(
            "small", settings=(*settings, f"fit.epochs={options.epochs}", f"fit.seed={seed}")
        )
        if not (run / RUN_NAME).is_file():
            begun = time.perf_counter()
            train_run(store, split, config, run)
            print(f"  {name}: {time.perf_counter() - begun:.0f} s", flush=True)
        found[name] = read_predictions(run / "predictions.parquet")
        if name == PLAIN:
            found[ADJUSTED] = answered_predictions(run, path, AnswerConfig(tau=1.0))
        if name == BALANCED:  # whose class shares, even ones, its baselines refer to
            for shown, stem in BASELINES.items():
                found[shown] = read_predictions(run / "baselines" / f"{stem}.parquet")
    return {name: test_rows(p, seed) for name, p in found.items()}


def test_rows(predictions: Predictions, seed: int) -> Predictions:
    """Its test rows, subjects named by their cohort."""
    rows = predictions.select(predictions.part == "test")
    names = np.array([f"{seed}/{name}" for name in rows.subject_id])
    return replace(rows, subject_id=names, groups={"cohort": np.full(len(rows), str(seed))})


def report(pooled: dict[str, Predictions], options: argparse.Namespace) -> str:
    """Two tables: every model, and every question."""
    n = len(next(iter(pooled.values())))
    models = TextTable(
        f"SIMULATED: {options.seeds} virtual AustinSpines, {n} test patients pooled",
        ("Model", *SHOWN),
        tuple(
            (name, *(_cell(found[metric]) for metric in SHOWN))
            for name, found in ((name, evaluate(p)) for name, p in pooled.items())
        ),
        ("Value and 95 % interval of a stratified bootstrap over patients.",),
    )
    rows = []
    for first, second, metric in QUESTIONS:
        d = compare(pooled[first], pooled[second]).differences[metric]
        seeds = per_seed(pooled[first], pooled[second], metric)
        rows.append(
            (
                f"{first} less {second}",
                metric,
                f"{d.value:+.3f} ({d.low:+.3f} to {d.high:+.3f})",
                f"{d.p:.3f}",
                " ".join(f"{v:+.2f}" for v in seeds),
                f"{seeds.mean():+.3f} ± {_t_half_width(seeds):.3f}",
            )
        )
    questions = TextTable(
        "SIMULATED: paired differences",
        ("Difference", "metric", "pooled (95 %)", "p", "by cohort", "mean over cohorts ± 95 %"),
        tuple(rows),
        ("p of the paired bootstrap, not adjusted for the number of questions; the last column is "
         "Student's interval over the cohorts.",),
    )  # fmt: skip
    return as_markdown(models) + "\n" + as_markdown(questions) + "\n" + cost_words() + "\n"


def per_seed(first: Predictions, second: Predictions, metric: str) -> np.ndarray:
    """The difference in each cohort."""
    return np.array(
        [
            compare(first.select(of == c), second.select(second.groups["cohort"] == c), draws=100)
            .differences[metric]
            .value
            for of in (first.groups["cohort"],)
            for c in np.unique(of)
        ]
    )


def cost_words() -> str:
    """Time of a training step of both networks on this machine, and their parameters."""
    import torch

    from osteoscope.models import cost, create_model

    networks = {
        BALANCED: create_model("small3d", image_shape=SPEC.shape),
        VIT: create_model("vit3d-tiny", image_shape=SPEC.shape),
    }
    images, answers = torch.rand(16, 1, *SPEC.shape), torch.randint(0, 3, (16,))
    taken: dict[str, list[float]] = {name: [] for name in networks}
    for _ in range(8):
        for name, network in networks.items():
            begun = time.perf_counter()
            torch.nn.functional.cross_entropy(network(images), answers).backward()
            taken[name].append(time.perf_counter() - begun)
    return "\n".join(
        f"{name}: {cost.count_parameters(network) / 1e6:.2f} M parameters, "
        f"{cost.count_multiplications(network, (1, *SPEC.shape)) / 1e9:.2f} G multiplications, "
        f"{1000 * float(np.median(taken[name][1:])):.0f} ms forth and back for 16 crops."
        for name, network in networks.items()
    )


def _cell(estimate: object) -> str:
    value, low, high = estimate.value, estimate.low, estimate.high  # type: ignore[attr-defined]
    return f"{value:.3f} ({low:.2f} to {high:.2f})" if np.isfinite(low) else f"{value:.3f}"


def _t_half_width(values: np.ndarray) -> float:
    from scipy.stats import t

    n = len(values)
    return float(t.ppf(0.975, n - 1) * values.std(ddof=1) / np.sqrt(n)) if n > 1 else float("nan")


if __name__ == "__main__":
    main()
