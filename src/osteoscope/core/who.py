"""The World Health Organization's classes of bone density, from a T-score."""

from __future__ import annotations

import math

from osteoscope.core.errors import InputError

WHO_CLASSES: tuple[str, str, str] = ("normal", "osteopenia", "osteoporosis")
"""By class index, in the order of rising severity."""

NORMAL_T, OSTEOPOROSIS_T = -1.0, -2.5
"""The two cut-offs; a T-score that equals one belongs to the class that the cut-off names."""


def who_class(t_score: float) -> int:
    """Index into :data:`WHO_CLASSES` of a T-score.

    Osteoporosis at or below -2.5, normal at or above -1, osteopenia strictly between: WHO
    Technical Report Series 843 (1994), and Table I of the MedConv paper ("-1 and above").

    Args:
        t_score: In SD from the young-adult mean; finite.

    Raises:
        InputError: The T-score is not a finite number; no class is assumed for it.

    >>> [WHO_CLASSES[who_class(t)] for t in (-1.0, -1.1, -2.5)]
    ['normal', 'osteopenia', 'osteoporosis']
    """
    if not math.isfinite(t_score):
        raise InputError(f"A T-score must be a finite number to have a class, not {t_score}.")
    if t_score <= OSTEOPOROSIS_T:
        return 2
    return 0 if t_score >= NORMAL_T else 1
