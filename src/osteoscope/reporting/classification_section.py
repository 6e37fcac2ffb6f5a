"""What a report says about a model's answer: the class with its set, doubts first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from osteoscope.reporting.model_metrics import MODEL_METRICS
from osteoscope.reporting.wording import bare, evidence_text, number, percent, spelt

_VERDICTS = {"agrees": "none", "disagrees": "withhold", "not assessed": "warn"}
"""The tag's colour for each word of the agreement."""


def classification_content(result: Mapping[str, Any]) -> dict[str, Any] | None:
    """Names and values for the section about the model.

    Args:
        result: A valid ``result.json`` that did not fail.

    Returns:
        None for a result of version 1.0, which knows no model.
    """
    entry = result.get("classification")
    if entry is None:
        return None
    model = entry["model"]
    content: dict[str, Any] = {
        "entry": entry,
        "model": model,
        "withheld": entry.get("withheld"),
        "guard": _guard_words(entry.get("guard")),
        "evidence": _evidence(entry.get("guard")),
        "metrics": [] if model is None else _metrics(model.get("metrics", {})),
    }
    if "withheld" in entry:
        return content
    return content | {
        "refers_to": _refers_to_words(entry["refers_to"]),
        "set": _set_words(entry["set"]),
        "tag": _VERDICTS[entry["agreement"]["verdict"]],
    }


def _refers_to_words(shares: Mapping[str, float] | None) -> str:
    """The people for whom the probabilities hold, in a sentence."""
    if shares is None:
        return (
            "It is not known how common each class is among the people for whom these "
            "probabilities hold: read their order, not their size."
        )
    named = [
        f"{percent(share)} {'are' if name == 'normal' else 'have'} {name}"
        for name, share in shares.items()
    ]
    return (
        f"These probabilities are for people of whom {', '.join(named[:-1])} and {named[-1]}; "
        "among others they shift towards the classes that are more common there."
    )


def _set_words(found: Mapping[str, Any] | None) -> str:
    """What the conformal set means, in a sentence."""
    if found is None:
        return "The model gives no set of classes with a stated coverage."
    coverage = percent(found["coverage"])
    if not found["classes"]:
        return (
            f"No class fits well enough to be in the set of {coverage} coverage: the answer is "
            "not to be relied on."
        )
    names = " or ".join(found["classes"])
    return (
        f"Set of {coverage} coverage: {names}. Over patients like those that the model was "
        f"validated on, the true class is in such sets in {coverage}."
    )


def _guard_words(guard: Mapping[str, Any] | None) -> str | None:
    if guard is None:
        return None
    evidence = guard["evidence"]
    if guard["known"] is None:
        return "Not checked: the model has no guard."
    if not guard["known"]:
        return str(guard["reason"])
    return (
        "The crop is of a kind that the model knows: its statistics lie within "
        f"{bare(evidence['statistics_distance'], '1', 1)} spreads of the middle (limit "
        f"{bare(evidence['statistics_limit'], '1', 1)}), the network’s own picture of it within "
        f"{bare(evidence['embedding_distance'], '1', 1)} (limit "
        f"{bare(evidence['embedding_limit'], '1', 1)}). The limits let at least "
        f"{number(evidence['pass_rate'] * 100, '%')} of such crops pass; "
        f"{evidence['validation_crops']} validation crops set them."
    )


def _evidence(guard: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    if guard is None:
        return []
    return [(spelt(str(name)), evidence_text(value)) for name, value in guard["evidence"].items()]


def _metrics(metrics: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str, str, int]]:
    """Words, value, interval and n of those that a card shows."""
    return [
        (
            words,
            number(found["value"], "", 3),
            f"{bare(found['low'], '', 3)} to {bare(found['high'], '', 3)}",
            found["n"],
        )
        for name, words in MODEL_METRICS.items()
        if (found := metrics.get(name)) is not None
    ]
