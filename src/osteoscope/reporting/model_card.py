"""The card of an exported model: who it was made from, how good it is, what it must not do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from osteoscope.core.model_spec import Guard, ModelSpec
from osteoscope.reporting.model_metrics import MODEL_METRICS
from osteoscope.reporting.tables import TextTable, as_markdown
from osteoscope.reporting.templating import write_whole

_SIMULATED = "**Trained on simulated subjects only.** No patient's image went into its training"
_NO_GUARD = (
    "none. A crop of anything is answered: nothing checks whether the model knows such crops."
)


def write_model_card(path: Path, spec: ModelSpec, record: Mapping[str, Any]) -> Path:
    """Write the card as Markdown.

    Args:
        path: The file.
        spec: The model's description of itself.
        record: The run's ``run.json``.

    Returns:
        ``path``.
    """
    write_whole(path, model_card(spec, record))
    return path


def model_card(spec: ModelSpec, record: Mapping[str, Any]) -> str:
    """The card as Markdown; every number in it comes from the run."""
    parts = [f"# {spec.name}"]
    if spec.simulated:
        unknown = ", and nothing here says how it does on patients."
        parts.append(_SIMULATED + (unknown if spec.metrics_simulated or not spec.metrics else "."))
    parts += [
        f"A research model. Not a medical device.\n\n{spec.training}",
        _use(spec),
        _performance(spec),
        _answer(spec),
        _provenance(spec, record),
    ]
    return "\n\n".join(parts) + "\n"


def _use(spec: ModelSpec) -> str:
    crop = spec.crop
    shape = " × ".join(str(n) for n in crop.shape)
    spacing = " × ".join(f"{s:g}" for s in crop.spacing_mm)
    kept = "with its surroundings" if crop.surroundings else "everything but the vertebra masked"
    windows = ", ".join(f"{low:g} to {high:g} HU" for low, high in spec.windows)
    return (
        "## Intended use\n\n"
        f"Research on the WHO class ({', '.join(spec.classes)}) from a CT crop of "
        f"{' or '.join(crop.levels)}: {shape} voxels of {spacing} mm, {kept}; {windows}.\n\n"
        "Not for diagnosis or treatment; not for children; not for vertebrae with metal, cement "
        "or a fracture; not for scans whose tube voltage, contrast phase or kernel were not among "
        "those that it was trained on."
    )


def _performance(spec: ModelSpec) -> str:
    if not spec.metrics:
        return "## Performance\n\nThe run had no test subjects; nothing is known of it."
    rows = []
    for name, words in MODEL_METRICS.items():
        if name not in spec.metrics:
            continue
        value, low, high, n = spec.metrics[name]
        rows.append((words, f"{value:.3f}", f"{low:.3f} to {high:.3f}", str(n)))
    table = TextTable(
        "Test subjects" + (" (simulated)" if spec.metrics_simulated else ""),
        ("metric", "value", "95 % interval", "n"),
        tuple(rows),
        ("Nothing was chosen on these subjects.",),
    )
    return "## Performance\n\n" + as_markdown(table).rstrip()


def _answer(spec: ModelSpec) -> str:
    sets = (
        "none."
        if spec.conformal is None
        else f"{spec.conformal.coverage:.0%} coverage ({spec.conformal.method}); fitted on the "
        "subjects that also chose the epoch, so that their coverage is somewhat below what is "
        "promised."
    )
    refers_to = (
        "it is not known how common each class is among the people for whom they hold: read "
        "their order, not their size."
        if spec.refers_to is None
        else f"for people among whom the class shares are {_shares(spec, spec.refers_to)}; among "
        "others they shift towards the classes that are more common there."
    )
    return (
        "## From logits to an answer\n\n"
        f"- Class shares in training: {_shares(spec, spec.prior)}.\n"
        f"- Adjustment: {spec.adjust.reading}, tau {spec.adjust.tau:g}; temperature "
        f"{spec.temperature:.3f}.\n"
        f"- Probabilities: {refers_to}\n"
        f"- Conformal sets: {sets}\n"
        f"- Guard: {_NO_GUARD if spec.guard is None else _guard_words(spec.guard)}"
    )


def _shares(spec: ModelSpec, shares: tuple[float, ...]) -> str:
    named = zip(spec.classes, shares, strict=True)
    return ", ".join(f"{name} {share:.1%}" for name, share in named)


def _guard_words(guard: Guard) -> str:
    """The rate that its validation crops can keep, and the one that was asked for where less."""
    words = (
        f"lets at least {guard.pass_rate:.1%} of its own kind pass ({guard.subjects[0]} reference "
        f"and {guard.subjects[1]} validation crops)"
    )
    if guard.pass_rate == guard.quantile:
        return f"{words}."
    return (
        f"{words}; {guard.quantile:.1%} was asked for, which so few validation crops cannot keep."
    )


def _provenance(spec: ModelSpec, record: Mapping[str, Any]) -> str:
    sources = "\n".join(f"- {name}: `{digest}`" for name, digest in sorted(spec.sources.items()))
    made = record["created_with"]
    hardware = record["hardware"]
    return (
        f"## Provenance\n\n- licence of the weights: {spec.licence}\n{sources}\n"
        f"- made with {made['name']} {made['version']}, torch {hardware['torch']}, "
        f"on {hardware['device']}, seed {record['seed']}, {record['duration_s']:.0f} s"
    )
