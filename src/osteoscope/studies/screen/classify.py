"""What a trained model says about the assessed vertebra, beside the measured criteria."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from osteoscope.anatomy.vertebra import Vertebra
from osteoscope.core.errors import ModelError, QualityError
from osteoscope.core.flag import Flag
from osteoscope.core.grid import Grid
from osteoscope.core.measurement import Missing
from osteoscope.core.volume import Volume
from osteoscope.densitometry.assessment import Assessment, WithheldAssessment
from osteoscope.features.crop import crop_grid, crop_measured

if TYPE_CHECKING:
    from osteoscope.inference.classify import Classification
    from osteoscope.inference.session import DeployedModel

BASELINE = "pickhardt-l1-hu"
"""The criterion that needs no network: the attenuation of L1."""

_SIMULATED = (
    "The model was trained on simulated patients only: how well it does on patients is not known."
)
_SIMULATED_TRAINING = (
    "The model was trained on simulated patients only: of how well it does on patients no more is "
    "known than its numbers on test subjects say."
)
_UNGUARDED = "The model has no guard, so whether it knows scans such as this one was not checked."
_ENHANCED = (
    "The scan is contrast-enhanced, which raises the attenuation of bone: the class may be too "
    "favourable."
)
_ONE_VERTEBRA = "Classes follow the lowest T-score by DXA of several sites; this is one vertebra."


@dataclass(frozen=True, eq=False)
class ModelView:
    """What the picture of a model's answer needs.

    Args:
        model: The model.
        crop_hu: (z, y, x) what it saw.
        grid: Where that lies.
        category: Its class.
    """

    model: DeployedModel
    crop_hu: NDArray[np.int16]
    grid: Grid
    category: str


@dataclass(frozen=True, eq=False)
class Classified:
    """A model's part of a screen.

    Args:
        entry: The ``classification`` of ``result.json``.
        view: What it saw, where a class is given.
    """

    entry: Mapping[str, Any]
    view: ModelView | None = None


def classified(
    model: DeployedModel | Missing,
    volume: Volume,
    vertebra: Vertebra | None,
    *,
    level: str,
    withheld: str | None,
    flags: Sequence[Flag],
    assessments: Sequence[Assessment | WithheldAssessment],
) -> Classified:
    """Ask the model about one vertebra, or say why it is not asked.

    What quality withholds from the criteria is withheld here too, for the same reason. What only
    warns there (contrast medium, tube voltage, kernel, thick slices) warns here.

    Args:
        model: The model, or why there is none.
        volume: The canonical scan.
        vertebra: The assessed one; None where it is not labelled.
        level: Its name.
        withheld: Why nothing may rest on it; None where it may.
        flags: Every quality flag.
        assessments: What the criteria say.
    """
    if isinstance(model, Missing):
        return Classified({"withheld": model.reason, "model": None})
    # SciPy's optimisers take half a second to load, which a screen without a model is spared.
    from osteoscope.inference.classify import classify_crop

    known: dict[str, Any] = {"model": _described(model), "level": level}
    bearing = _bearing(flags, level)
    known |= {"flags": sorted({flag.code for flag in bearing})}
    levels = model.spec.crop.levels
    if level not in levels:
        reason = f"The model knows {', '.join(levels)}, and {level} is assessed."
        return Classified(known | {"withheld": reason})
    if withheld is not None or vertebra is None:
        reason = withheld or f"{level} is not among the labelled vertebrae."
        return Classified(known | {"withheld": reason})
    try:
        crop = crop_measured(volume, vertebra, model.spec.crop)
        grid = crop_grid(volume.grid, vertebra, model.spec.crop)
        answer = classify_crop(model, crop)
    except (QualityError, ModelError) as error:
        # What was measured stands; a model that fails on one scan takes nothing else with it.
        return Classified(known | {"withheld": str(error)})
    known["guard"] = {
        "known": answer.guard.known,
        "reason": answer.guard.reason,
        "evidence": dict(answer.guard.evidence),
    }
    if answer.guard.known is False:
        return Classified(known | {"withheld": str(answer.guard.reason)})
    entry = (
        known
        | _answered(model, answer)
        | {
            "agreement": agreement(answer, assessments),
            "doubts": _doubts(model, bearing),
        }
    )
    return Classified(entry, ModelView(model, crop, grid, answer.category))


def agreement(
    answer: Classification, assessments: Sequence[Assessment | WithheldAssessment]
) -> dict[str, Any]:
    """The model's class beside the category of the L1 attenuation.

    The criterion tells osteoporosis from what is none (Pickhardt 2013: 110 and 160 HU against a
    T-score of -2.5), so that is all the two can agree about; between its cut points it says
    nothing to agree with.
    """
    found = next((a for a in assessments if a.criterion == BASELINE), None)
    shown: dict[str, Any] = {"baseline": BASELINE, "category": None, "verdict": "not assessed"}
    if "osteoporosis" not in answer.classes:
        return shown | {"reason": "The model's classes are not those of WHO."}
    if not isinstance(found, Assessment):
        reason = "The criterion was not asked for." if found is None else found.reason
        return shown | {"reason": reason}
    shown["category"] = found.category
    measured = f"{found.value:.0f} {found.unit}"
    if found.category == "indeterminate":
        return shown | {"reason": f"At {measured} the attenuation alone decides nothing."}
    suggests = found.category.startswith("suggests")
    same = suggests == (answer.category == "osteoporosis")
    words = "suggests osteoporosis" if suggests else "does not suggest osteoporosis"
    reason = f"The attenuation of {measured} {words}; the model says {answer.category}."
    if not same and _covers_the_other(answer, suggests):
        reason += " Its set holds the other answer too."
    return shown | {"verdict": "agrees" if same else "disagrees", "reason": reason}


def _covers_the_other(answer: Classification, suggests: bool) -> bool:
    if answer.prediction_set is None:
        return False
    names = [n for n, held in zip(answer.classes, answer.prediction_set, strict=True) if held]
    return any((name == "osteoporosis") == suggests for name in names)


def _answered(model: DeployedModel, answer: Classification) -> dict[str, Any]:
    conformal, held = model.spec.conformal, answer.prediction_set
    refers_to = model.spec.refers_to
    return {
        "category": answer.category,
        "probabilities": {
            name: float(share)
            for name, share in zip(answer.classes, answer.probabilities, strict=True)
        },
        "refers_to": None
        if refers_to is None
        else dict(zip(answer.classes, refers_to, strict=True)),
        "set": None
        if conformal is None or held is None
        else {
            "classes": [n for n, inside in zip(answer.classes, held, strict=True) if inside],
            "coverage": conformal.coverage,
            "method": conformal.method,
        },
        "t_score": answer.t_score,
    }


def _described(model: DeployedModel) -> dict[str, Any]:
    spec = model.spec
    return {
        "name": spec.name,
        "digest": model.digest,
        "simulated": spec.simulated,
        "test_simulated": spec.metrics_simulated,
        "training": spec.training,
        "licence": spec.licence,
        "runtime": f"{model.runtime} {version(model.runtime)}",
        "metrics": {
            name: dict(zip(("value", "low", "high", "n"), estimate, strict=True))
            for name, estimate in spec.metrics.items()
        },
    }


def _bearing(flags: Sequence[Flag], level: str) -> list[Flag]:
    """The findings with an effect on this vertebra or on the whole scan."""
    return [flag for flag in flags if flag.effect != "none" and flag.level in (None, level)]


def _doubts(model: DeployedModel, bearing: Sequence[Flag]) -> list[str]:
    codes = {flag.code for flag in bearing}
    spec = model.spec
    tested = bool(spec.metrics) and not spec.metrics_simulated
    doubts = [_SIMULATED_TRAINING if tested else _SIMULATED] if spec.simulated else []
    doubts += [_UNGUARDED] if spec.guard is None else []
    doubts += [_ENHANCED] if "contrast_enhanced" in codes else []
    return [*doubts, _ONE_VERTEBRA]
