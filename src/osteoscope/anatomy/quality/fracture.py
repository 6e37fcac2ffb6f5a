"""Fractures in the sense of Genant, from the heights of the bodies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from osteoscope.anatomy.heights import HeightLoss, height_loss
from osteoscope.anatomy.quality.limits import DEFAULT_LIMITS, QualityLimits
from osteoscope.anatomy.vertebra import Vertebra
from osteoscope.core.flag import Flag

_NAMES = {"wedge": "anterior", "biconcave": "middle", "crush": "posterior"}


def fracture_flags(
    vertebrae: Mapping[str, Vertebra],
    limits: QualityLimits = DEFAULT_LIMITS,
    *,
    wanted: Sequence[str] | None = None,
) -> list[Flag]:
    """``fracture`` where a body lost 20 % of a height or more.

    A loss that exceeds the limit by its own standard error (from the voxel size) withholds the
    level's density: compacted trabeculae and callus read too dense. A smaller excess warns of a
    possible fracture; on thick slices it is passed over, so that they alone do not make one.

    Args:
        vertebrae: Measured vertebrae by level.
        limits: ``height_loss`` (Genant's 20 %), ``height_loss_sds``.
        wanted: Levels to judge; all by default. The others still serve as references.
    """
    flags = []
    for level in vertebrae if wanted is None else wanted:
        loss = height_loss(level, vertebrae)
        if loss is not None and loss.fraction >= _least(loss, limits):
            flags.append(_fracture_flag(level, loss, limits))
    return flags


def _least(loss: HeightLoss, limits: QualityLimits) -> float:
    """The smallest loss worth a flag."""
    blurred = loss.standard_error > limits.height_loss_error
    return limits.height_loss + (loss.standard_error if blurred else 0.0)


def _fracture_flag(level: str, loss: HeightLoss, limits: QualityLimits) -> Flag:
    sure = loss.fraction >= limits.height_loss + limits.height_loss_sds * loss.standard_error
    percent, error = 100 * loss.fraction, 100 * loss.standard_error
    text = (
        f"{level} has lost {percent:.0f} +- {error:.0f} % of its {_NAMES[loss.kind]} height "
        f"({loss.kind}, Genant grade {loss.grade}): "
    )
    text += (
        "its density is withheld."
        if sure
        else "a fracture is possible, but the loss is within its uncertainty of the 20 % limit."
    )
    return Flag(
        "fracture",
        text,
        "serious" if sure else "warning",
        "withhold" if sure else "warn",
        level,
        {
            "kind": loss.kind,
            "height_loss": round(loss.fraction, 3),
            "standard_error": round(loss.standard_error, 3),
            "genant_grade": loss.grade,
            "references": list(loss.references),
            "limit": limits.height_loss,
        },
    )
