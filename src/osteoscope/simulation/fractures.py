"""Vertebral fractures in the sense of Genant: which height is lost, and how much of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from osteoscope.core.errors import InputError
from osteoscope.simulation.patient_spec import FractureType, VertebraSpec

GRADE_LOSS = {1: (0.23, 0.25), 2: (0.28, 0.38), 3: (0.43, 0.52)}
"""Share of height lost, inside Genant's grades (20-25 %, 25-40 %, above 40 %; JBMR 1993) by a
margin, so that the truth has one grade."""

_TYPES: tuple[FractureType, ...] = ("wedge", "biconcave", "crush")
FRACTURE_NAMES = (
    "fracture",
    *_TYPES,
    *(f"{kind}{grade}" for kind in _TYPES for grade in GRADE_LOSS),
)
"""``fracture`` draws type and grade, ``wedge`` the grade, ``wedge2`` neither."""


def fractured(
    spec: VertebraSpec,
    name: str,
    rng: np.random.Generator,
    neighbours_mm: float = float("inf"),
) -> VertebraSpec:
    """The vertebra after a fracture named as in ``FRACTURE_NAMES``.

    Losses are relative to the posterior height (wedge, biconcave) or, for a crush, to the
    vertebra's own heights before or its neighbours' where those are lower, because a reader has
    only the neighbours to compare with. Impaction raises the trabecular density by half of the
    volume lost.

    Args:
        spec: The intact vertebra.
        name: What to do to it.
        rng: Draws type, grade and loss where the name leaves them open.
        neighbours_mm: Mean posterior height of the vertebrae above and below.

    Raises:
        InputError: The name is unknown.
    """
    if name not in FRACTURE_NAMES:
        raise InputError(f"Unknown fracture {name!r}; known: {', '.join(FRACTURE_NAMES)}.")
    kind: FractureType = next(
        (k for k in _TYPES if name.startswith(k)), _TYPES[int(rng.integers(3))]
    )
    grade = int(name[-1]) if name[-1].isdigit() else int(rng.integers(1, 4))
    loss = float(rng.uniform(*GRADE_LOSS[grade]))
    anterior, middle, posterior = spec.anterior_mm, spec.middle_mm, spec.posterior_mm
    if kind == "wedge":
        anterior = posterior * (1.0 - loss)
        middle = (anterior + posterior) / 2 * 0.96
    elif kind == "biconcave":
        middle = posterior * (1.0 - loss)
        anterior = posterior * 0.95
    else:
        left = (1.0 - loss) * min(1.0, neighbours_mm / posterior)
        anterior, middle, posterior = (
            anterior * left,
            middle * left,
            posterior * left,
        )
    volume = (anterior + middle + posterior) / (
        spec.anterior_mm + spec.middle_mm + spec.posterior_mm
    )
    return replace(
        spec,
        anterior_mm=anterior,
        middle_mm=middle,
        posterior_mm=posterior,
        trabecular_vbmd_mg_cm3=spec.trabecular_vbmd_mg_cm3 * (1.0 + (1.0 - volume) / 2),
        fracture_type=kind,
        fracture_grade=grade,
    )
