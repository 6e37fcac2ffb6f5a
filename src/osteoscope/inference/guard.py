"""Does this crop look like those that the model knows? What does not is withheld, with the
evidence."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.crop_spec import CropSpec
from osteoscope.core.errors import InputError
from osteoscope.core.model_spec import Guard
from osteoscope.inference.crop_statistics import (
    SMALLEST_CM3,
    STATISTICS,
    crop_statistics,
    inside_cm3,
)

_Z90 = 1.6448536269514722
"""Between the median and the 5 % or 95 % quantile of a normal distribution, in SD."""
_FEWEST = 20
"""Fewer crops tell nothing about the tails of what is normal."""
_EXPLAINED = 0.95
_MOST_COMPONENTS = 16
_SMALLEST_SHARE = 1e-6
"""A direction with less than this share of the largest variance is taken to have it."""
_DIGITS = 7

Evidence = Mapping[str, float | int | str]


@dataclass(frozen=True, eq=False)
class GuardSample:
    """Crops of one part of a study as the guard sees them.

    Args:
        statistics: (n, k) crop statistics, columns in the order of :data:`STATISTICS`.
        embeddings: (n, f) embeddings that the deployed model gives for them.
    """

    statistics: NDArray[np.float64]
    embeddings: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.statistics.shape != (len(self.embeddings), len(STATISTICS)):
            raise InputError(
                f"The guard needs {len(STATISTICS)} statistics for each of "
                f"{len(self.embeddings)} crops, not an array of shape {self.statistics.shape}."
            )


@dataclass(frozen=True, eq=False)
class GuardVerdict:
    """What the guard found.

    Args:
        known: Whether the crop lies within what the model knows; None where the model has no
            guard.
        reason: Why it does not, a sentence; None where it does.
        evidence: The distances, their limits and what lies furthest out.
    """

    known: bool | None
    reason: str | None
    evidence: Evidence


def statistics_rows(crops_hu: Sequence[NDArray[np.int16]], spec: CropSpec) -> NDArray[np.float64]:
    """(n, k) crop statistics of several crops, for :class:`GuardSample`.

    Raises:
        InputError: A crop shows less than any vertebra: :func:`check_crop` withholds such a crop
            under any guard, so none can be learned from it.
    """
    for number, crop in enumerate(crops_hu, start=1):
        volume_cm3 = inside_cm3(crop, spec)
        if volume_cm3 < SMALLEST_CM3:
            raise InputError(
                f"Crop {number} of the {len(crops_hu)} that the guard is to learn from shows "
                f"{volume_cm3:.2f} cm3, and a vertebra has at least {SMALLEST_CM3:g} cm3; leave it "
                "out."
            )
    return np.array([list(crop_statistics(crop, spec).values()) for crop in crops_hu])


def fit_guard(reference: GuardSample, validation: GuardSample, *, quantile: float = 0.98) -> Guard:
    """Learn what is known from reference crops, and its limits from validation crops.

    Two distances are taken. That of the statistics is the largest deviation of any of them from
    its median, in its own spread (a normal distribution's SD, from the 5 % and the 95 % quantile
    apart, so that a skewed statistic is judged by the side on which it lies). That of the
    embedding is Mahalanobis's in the space of the principal axes with 95 % of the variance (16 at
    most), to which the distance from that space is added in its own root mean square.

    Each limit is the order statistic of the validation crops that lets the share
    ``(1 + quantile) / 2`` of new ones pass (rank ``ceil((n + 1) (1 + quantile) / 2)``, as in
    split conformal prediction), so that both together withhold at most ``1 - quantile`` of crops
    of the same kind. Where n is too small for that rank, the largest distance is the limit, and
    less is promised: :attr:`osteoscope.core.model_spec.Guard.pass_rate`.

    Args:
        reference: Crops that the distances are measured from: the training subjects'.
        validation: Crops of other subjects.
        quantile: Share of the model's own kind that is to pass, in (0.5, 1); kept where there are
            ``2 / (1 - quantile) - 1`` validation crops or more (99 for 0.98).

    Raises:
        InputError: Fewer than 20 crops on either side, or a quantile out of range.
    """
    if not 0.5 < quantile < 1:
        raise InputError(f"The guard's quantile must lie in (0.5, 1), not {quantile}.")
    fewest = min(len(reference.statistics), len(validation.statistics))
    if fewest < _FEWEST:
        raise InputError(f"A guard needs {_FEWEST} crops on either side, not {fewest}.")
    low, centre, high = np.percentile(reference.statistics, [5.0, 50.0, 95.0], axis=0)
    floor = np.array([smallest for _, smallest in STATISTICS.values()])
    guard_of_statistics = {
        "centre": centre,
        "scale_below": np.maximum((centre - low) / _Z90, floor),
        "scale_above": np.maximum((high - centre) / _Z90, floor),
    }
    mean, components, variances, residual = _principal_axes(reference.embeddings)
    guard = Guard(
        statistics=tuple(STATISTICS),
        statistics_limit=0.0,
        embedding_centre=_rounded(mean),
        components=tuple(_rounded(row) for row in components),
        variances=_rounded(variances),
        residual_variance=_rounded([residual])[0],
        embedding_limit=0.0,
        quantile=quantile,
        subjects=(len(reference.statistics), len(validation.statistics)),
        **{name: _rounded(values) for name, values in guard_of_statistics.items()},
    )
    by_statistics = [float(_deviations(guard, row).max()) for row in validation.statistics]
    by_embedding = [_embedding_distance(guard, row) for row in validation.embeddings]
    return Guard(
        **{
            **{name: getattr(guard, name) for name in guard.__dataclass_fields__},
            "statistics_limit": _limit(by_statistics, quantile),
            "embedding_limit": _limit(by_embedding, quantile),
        }
    )


def check_crop(
    guard: Guard | None,
    crop_hu: NDArray[np.int16],
    embedding: NDArray[np.floating],
    spec: CropSpec,
) -> GuardVerdict:
    """Whether a crop and its embedding lie within what the model knows.

    Args:
        guard: Of the model; None where it has none: then only an empty crop is refused.
        crop_hu: (z, y, x) HU.
        embedding: (f,) that the model gives for it.
        spec: How the crop was cut.
    """
    volume_cm3 = inside_cm3(crop_hu, spec)
    if volume_cm3 < SMALLEST_CM3:
        return GuardVerdict(
            False,
            f"The crop shows {volume_cm3:.2f} cm3, and a vertebra has at least "
            f"{SMALLEST_CM3:g} cm3.",
            {"volume_cm3": round(volume_cm3, 3)},
        )
    if guard is None:
        return GuardVerdict(None, None, {})
    values = crop_statistics(crop_hu, spec)
    deviations = _deviations(guard, np.array([values[name] for name in guard.statistics]))
    furthest = int(np.argmax(deviations))
    name = guard.statistics[furthest]
    distance = _embedding_distance(guard, np.asarray(embedding, dtype=np.float64))
    limit = guard.statistics_limit
    evidence: dict[str, float | int | str] = {
        "statistics_distance": round(float(deviations[furthest]), 3),
        "statistics_limit": round(limit, 3),
        "furthest_statistic": name,
        "value": round(values[name], 3),
        "known_from": round(guard.centre[furthest] - limit * guard.scale_below[furthest], 3),
        "known_to": round(guard.centre[furthest] + limit * guard.scale_above[furthest], 3),
        "unit": STATISTICS[name][0],
        "embedding_distance": round(distance, 3),
        "embedding_limit": round(guard.embedding_limit, 3),
        "pass_rate": round(guard.pass_rate, 4),
        "reference_crops": guard.subjects[0],
        "validation_crops": guard.subjects[1],
    }
    reasons = []
    if deviations[furthest] > limit:
        reasons.append(
            f"its {_WORDS[name]} is {values[name]:.0f} {evidence['unit']}, and the model knows "
            f"{evidence['known_from']:.0f} to {evidence['known_to']:.0f}"
        )
    if distance > guard.embedding_limit:
        reasons.append(
            f"the network's own picture of it lies at a distance of {distance:.1f} from those it "
            f"knows, beyond {guard.embedding_limit:.1f}"
        )
    if not reasons:
        return GuardVerdict(True, None, evidence)
    return GuardVerdict(
        False, f"The crop is unlike those that the model knows: {'; '.join(reasons)}.", evidence
    )


_WORDS = {
    "volume_cm3": "volume",
    "height_mm": "height",
    "depth_mm": "depth",
    "width_mm": "width",
    "hu_p05": "attenuation at the 5th percentile",
    "hu_p25": "attenuation at the 25th percentile",
    "hu_p50": "median attenuation",
    "hu_p75": "attenuation at the 75th percentile",
    "hu_p95": "attenuation at the 95th percentile",
    "hu_p999": "highest attenuation (99.9th percentile)",
    "rim_step_hu": "rim over its core",
    "noise_hu": "noise",
}


def _deviations(guard: Guard, values: NDArray[np.float64]) -> NDArray[np.float64]:
    away = values - np.array(guard.centre)
    scale = np.where(away < 0, guard.scale_below, guard.scale_above)
    return np.asarray(np.abs(away) / scale, dtype=np.float64)


def _embedding_distance(guard: Guard, embedding: NDArray[np.floating]) -> float:
    away = np.asarray(embedding, dtype=np.float64) - np.array(guard.embedding_centre)
    components = np.array(guard.components)
    along = components @ away
    rest = away - components.T @ along
    squared = float(np.sum(along**2 / np.array(guard.variances)))
    return math.sqrt(squared + float(rest @ rest) / guard.residual_variance)


def _principal_axes(
    embeddings: NDArray[np.floating],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], float]:
    """Mean, axes, variances along them, and mean squared distance from their space."""
    rows = np.asarray(embeddings, dtype=np.float64)
    mean = rows.mean(axis=0)
    _, singular, axes = np.linalg.svd(rows - mean, full_matrices=False)
    variances = singular**2 / (len(rows) - 1)
    total = float(variances.sum())
    if total == 0:
        raise InputError("Every embedding is the same, so nothing can be told from it.")
    explained = np.cumsum(variances) / total
    count = min(int(np.searchsorted(explained, _EXPLAINED)) + 1, _MOST_COMPONENTS, len(rows) // 3)
    floor = _SMALLEST_SHARE * float(variances[0])
    residual = max(float(variances[count:].sum()), floor)
    return mean, axes[:count], np.maximum(variances[:count], floor), residual


def _limit(distances: Sequence[float], quantile: float) -> float:
    ordered = sorted(distances)
    # A product that is a whole number may come out a rounding above it.
    rank = math.ceil((len(ordered) + 1) * (1 + quantile) / 2 - 1e-9)
    return float(ordered[min(rank, len(ordered)) - 1])


def _rounded(values: NDArray[np.float64] | Sequence[float]) -> tuple[float, ...]:
    """To seven digits: as the description holds them, so that file and memory judge alike."""
    return tuple(float(f"{value:.{_DIGITS}g}") for value in values)
