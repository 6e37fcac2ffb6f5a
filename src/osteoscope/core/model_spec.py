"""What a deployed model says about itself, so that whoever runs it needs no other file."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from osteoscope.core.config_file import config_as_dict, config_from_mapping
from osteoscope.core.crop_spec import CropSpec
from osteoscope.core.errors import ModelError, OsteoscopeError

METADATA_KEY = "osteoscope"
"""The key of an ONNX file's ``metadata_props`` under which the description stands."""

FORMAT = 1
"""Version of the description; another one is refused rather than guessed at."""

_SUM_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Adjustment:
    """How logits are adjusted to the prior before they become probabilities.

    Args:
        reading: A reading of the adjustment; see :mod:`osteoscope.evaluation.calibrators`.
        tau: Its strength; 0 changes nothing for ``subtract`` and ``add``.
    """

    reading: str = "subtract"
    tau: float = 0.0


@dataclass(frozen=True)
class Conformal:
    """Split conformal prediction as it was fitted on validation subjects.

    Args:
        coverage: Share of subjects whose true class is in the set, in (0, 1).
        method: The score; see :mod:`osteoscope.evaluation.conformal`.
        thresholds: One for all classes, or one a class.
    """

    coverage: float
    method: str
    thresholds: tuple[float, ...]


@dataclass(frozen=True)
class Guard:
    """What crops and embeddings of the model's own subjects look like.

    Made by :func:`osteoscope.inference.guard.fit_guard`, which says what each number is.

    Args:
        statistics: Names of the crop statistics (k of them).
        centre: (k) their medians.
        scale_below: (k) their spread below the median, in the statistic's unit.
        scale_above: (k) their spread above it.
        statistics_limit: Largest distance, in spreads, that still counts as known.
        embedding_centre: (f) mean embedding.
        components: (r, f) unit vectors of the principal axes.
        variances: (r) variance along each.
        residual_variance: Mean squared distance from the space of the components.
        embedding_limit: Largest distance in that space that still counts as known.
        quantile: Share of its own kind that both limits together were asked to let pass; see
            :attr:`pass_rate` for what can be promised.
        subjects: Number of reference and of validation crops.
    """

    statistics: tuple[str, ...]
    centre: tuple[float, ...]
    scale_below: tuple[float, ...]
    scale_above: tuple[float, ...]
    statistics_limit: float
    embedding_centre: tuple[float, ...]
    components: tuple[tuple[float, ...], ...]
    variances: tuple[float, ...]
    residual_variance: float
    embedding_limit: float
    quantile: float
    subjects: tuple[int, int]

    def __post_init__(self) -> None:
        k, f, r = len(self.statistics), len(self.embedding_centre), len(self.components)
        rows = {"centre": k, "scale_below": k, "scale_above": k, "variances": r}
        for name, length in rows.items():
            _check(len(getattr(self, name)) == length, f"guard.{name} must hold {length} values")
        _check(all(len(row) == f for row in self.components), f"guard.components need {f} columns")
        positive = (*self.scale_below, *self.scale_above, *self.variances, self.residual_variance)
        _check(all(value > 0 for value in positive), "the guard's spreads must be above 0")
        _check(0 < self.quantile < 1, "guard.quantile must lie in (0, 1)")
        _check(self.subjects[1] >= 1, "guard.subjects must count a validation crop or more")

    @property
    def pass_rate(self) -> float:
        """Share of new crops of its own kind that pass at least: ``min(quantile, 1 - 2/(n + 1))``.

        A limit is one of the n validation distances. A new crop is as likely as any of them to
        take each of the n + 1 ranks, so it lies beyond the r-th smallest with probability
        ``1 - r/(n + 1)`` at most. The rank r is ``(n + 1)(1 + quantile)/2``, rounded up, or n where
        that is more than n: then even the largest distance is exceeded once in n + 1. There are two
        limits, so at most the sum of the two shares is withheld: ``1 - quantile``, or ``2/(n + 1)``
        where n is too small. 98 % needs 99 validation crops; 39 reach 95 %.

        It is a mean over draws of the validation crops, and holds where each of them, and the new
        one, is another patient's.
        """
        return min(self.quantile, 1 - 2 / (self.subjects[1] + 1))


@dataclass(frozen=True)
class ModelSpec:
    """Everything between a scan and an answer that is not in the network's weights.

    Args:
        name: What the model is called in reports.
        crop: How the network's crops are cut.
        windows: HU windows (low, high), one an input channel.
        classes: Names of the classes in the order of the outputs.
        prior: Share of each class among the training subjects; adds up to 1.
        simulated: Whether its training and validation subjects are all simulated; where some are,
            ``training`` says so.
        training: What it was trained on and how, a sentence or two for a report.
        licence: Licence of the weights.
        kind: The study that the model belongs to.
        adjust: Adjustment of the logits.
        temperature: The adjusted logits are divided by it; above 0.
        conformal: Prediction sets, or None.
        guard: What counts as unknown to the model, or None: then nothing is withheld for it.
        sources: Digest by name of what it was made from (store, split, weights).
        metrics: Value, lower and upper end of the 95 % interval and n by name, on test subjects.
        refers_to: Share of each class among the people for whom the probabilities hold, adding up
            to 1: even shares, those of the training set, or others; None where it is not known.
            Among people of other shares the probabilities shift by Bayes' rule.
        test_simulated: Whether test subjects behind ``metrics`` are simulated; None where the run
            did not say.

    Raises:
        ModelError: A field is missing, out of its range or contradicts another.
    """

    name: str
    crop: CropSpec
    windows: tuple[tuple[float, float], ...]
    classes: tuple[str, ...]
    prior: tuple[float, ...]
    simulated: bool
    training: str
    licence: str
    kind: Literal["tscore"] = "tscore"
    adjust: Adjustment = field(default_factory=Adjustment)
    temperature: float = 1.0
    conformal: Conformal | None = None
    guard: Guard | None = None
    sources: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, tuple[float, float, float, int]] = field(default_factory=dict)
    refers_to: tuple[float, ...] | None = None
    test_simulated: bool | None = None

    def __post_init__(self) -> None:
        for name in ("name", "training", "licence"):
            _check(bool(getattr(self, name).strip()), f"{name} must not be empty")
        n = len(self.classes)
        _check(n >= 2 and len(set(self.classes)) == n, "classes must be two or more names")
        _check(bool(self.windows), "windows must hold at least one")
        _check(all(low < high for low, high in self.windows), "each window must rise")
        _check_shares("prior", self.prior, n)
        if self.refers_to is not None:
            _check_shares("refers_to", self.refers_to, n)
        _check(self.temperature > 0, f"temperature must be above 0, not {self.temperature}")
        if self.conformal is not None:
            _check(0 < self.conformal.coverage < 1, "conformal.coverage must lie in (0, 1)")
            _check(
                len(self.conformal.thresholds) in (1, n),
                f"conformal.thresholds must hold 1 or {n} values",
            )
        _check(_finite(config_as_dict(self)), "every number must be finite")
        object.__setattr__(self, "sources", _texts(self.sources))
        object.__setattr__(self, "metrics", _estimates(self.metrics))

    @property
    def metrics_simulated(self) -> bool:
        """Whether ``metrics`` are to be marked simulated; where it is not said, as the training."""
        return self.simulated if self.test_simulated is None else self.test_simulated

    def to_json(self) -> str:
        """The description as JSON, keys sorted: the same spec gives the same text."""
        values = config_as_dict(self) | {"crop": self.crop.to_dict(), "format": FORMAT}
        return json.dumps(values, sort_keys=True, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> ModelSpec:
        """Read a description.

        Raises:
            ModelError: It is no JSON, of another format, or a key is unknown, missing or of
                another type.
        """
        try:
            values = json.loads(text)
        except (ValueError, RecursionError):
            raise ModelError(
                "The model's description is not valid JSON; export the model again."
            ) from None
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            found = values.get("format") if isinstance(values, dict) else None
            raise ModelError(
                f"The model's description has format {found!r:.20}, and this version reads "
                f"{FORMAT}; export the model again, or update osteoscope."
            )
        del values["format"]
        try:
            # A missing or foreign crop is refused by CropSpec, and anything missing by the class.
            values["crop"] = CropSpec.from_dict(values.get("crop", {}))
            return config_from_mapping(cls, values)
        except ModelError:
            raise
        except OsteoscopeError as error:
            raise ModelError(f"The model's description cannot be used: {error}") from None


def _check(holds: bool, rule: str) -> None:
    if not holds:
        raise ModelError(f"The model's description cannot be used: {rule}; export the model again.")


def _check_shares(name: str, shares: tuple[float, ...], n: int) -> None:
    _check(len(shares) == n, f"{name} must hold {n} values")
    _check(
        all(0 < share < 1 for share in shares) and abs(sum(shares) - 1) <= _SUM_TOLERANCE,
        f"{name} must hold shares between 0 and 1 that add up to 1",
    )


def _finite(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, Mapping):
        return all(_finite(inner) for inner in value.values())
    if isinstance(value, Iterable) and not isinstance(value, str):
        return all(_finite(inner) for inner in value)
    return True


def _texts(values: object) -> dict[str, str]:
    _check(isinstance(values, Mapping), "sources must be an object")
    assert isinstance(values, Mapping)
    _check(all(isinstance(text, str) for text in values.values()), "sources must hold texts")
    return dict(values)


def _estimates(values: object) -> dict[str, tuple[float, float, float, int]]:
    """Metrics as they were written: lists of a value, its interval and n."""
    _check(isinstance(values, Mapping), "metrics must be an object")
    assert isinstance(values, Mapping)
    found: dict[str, tuple[float, float, float, int]] = {}
    for name, entry in values.items():
        _check(
            isinstance(entry, list | tuple)
            and len(entry) == 4
            and all(isinstance(v, int | float) and not isinstance(v, bool) for v in entry),
            f"metrics.{name} must be value, low, high and n",
        )
        value, low, high, n = entry
        found[str(name)] = (float(value), float(low), float(high), int(n))
    return found
