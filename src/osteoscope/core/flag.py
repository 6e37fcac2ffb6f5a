"""A quality finding: what was seen, where, the evidence, and what it does to the result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Severity = Literal["info", "warning", "serious"]
Effect = Literal["none", "warn", "withhold"]


@dataclass(frozen=True)
class Flag:
    """One quality finding.

    Args:
        code: Stable name, for example ``metal_in_region``.
        message: One sentence for the reader of the report.
        severity: ``info``, ``warning`` or ``serious``.
        effect: ``none``, ``warn`` (shown beside the result) or ``withhold`` (the level's result,
            or every result where ``level`` is None, is withheld).
        level: The vertebra it concerns, or None for the whole scan.
        evidence: The numbers and texts that led to it, JSON-ready.
    """

    code: str
    message: str
    severity: Severity
    effect: Effect
    level: str | None = None
    evidence: Mapping[str, float | int | str | bool | list[float] | list[str] | None] = field(
        default_factory=dict
    )
