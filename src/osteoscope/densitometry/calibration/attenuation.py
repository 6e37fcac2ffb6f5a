"""X-ray attenuation of tissues from their elements, at one photon energy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.registry import look_up

ENERGIES_KEV = np.arange(1.0, 200.5, 0.5)
"""The energies that an effective energy is searched over."""

_HYDROXYAPATITE_G_CM3 = 3.16
_COLLAGEN_G_CM3 = 1.35
_COLLAGEN_PER_MINERAL, _WATER_PER_MINERAL = 25 / 65, 10 / 65
"""Bone tissue is about 65 % mineral, 25 % organic matrix and 10 % water by mass."""

BONE_CM3_PER_G_MINERAL = (
    1 / _HYDROXYAPATITE_G_CM3 + _COLLAGEN_PER_MINERAL / _COLLAGEN_G_CM3 + _WATER_PER_MINERAL
)
"""Volume of bone tissue that holds a gram of mineral: what it displaces of the marrow."""


@dataclass(frozen=True)
class Tissue:
    """A tissue of the reference tables.

    Args:
        mass_fractions: Share of each element by mass; they sum to one.
        density_g_cm3: Mass density.
        expected_hu: Attenuation within which a sample of it is believed.
    """

    mass_fractions: Mapping[str, float]
    density_g_cm3: float
    expected_hu: tuple[float, float]


TISSUES: Mapping[str, Tissue] = MappingProxyType(
    {
        "adipose": Tissue(
            {"H": 0.114, "C": 0.598, "N": 0.007, "O": 0.278, "Na": 0.001, "S": 0.001, "Cl": 0.001},
            0.95,
            (-130.0, -70.0),
        ),
        "air": Tissue(
            {"C": 0.000124, "N": 0.755268, "O": 0.231781, "Ar": 0.012827},
            0.001205,
            (-1030.0, -980.0),
        ),
        "blood": Tissue(
            {
                "H": 0.102, "C": 0.110, "N": 0.033, "O": 0.745, "Na": 0.001, "P": 0.001,
                "S": 0.002, "Cl": 0.003, "K": 0.002, "Fe": 0.001,
            },
            1.06,
            (-20.0, 60.0),
        ),
        "muscle": Tissue(
            {
                "H": 0.102, "C": 0.143, "N": 0.034, "O": 0.710, "Na": 0.001, "P": 0.002,
                "S": 0.003, "Cl": 0.001, "K": 0.004,
            },
            1.05,
            (-5.0, 65.0),
        ),
        "cortical": Tissue(
            {
                "H": 0.034, "C": 0.155, "N": 0.042, "O": 0.435, "Na": 0.001, "Mg": 0.002,
                "P": 0.103, "S": 0.003, "Ca": 0.225,
            },
            1.92,
            (950.0, 1450.0),
        ),
    }
)  # fmt: skip
"""ICRU Report 44 tissues (as in NIST's table of mass attenuation coefficients) and the ranges of
attenuation that internal calibration accepts (adipose -100 +- 30, air -1000 -30/+20, blood
20 +- 40, muscle 30 +- 35, cortical 1200 +- 250 HU)."""

_WATER = {"H": 0.111898, "O": 0.888102}
_COLLAGEN = {"H": 0.065, "C": 0.505, "N": 0.180, "O": 0.250}
_HYDROXYAPATITE = {"Ca": 0.398936, "P": 0.184987, "O": 0.414070, "H": 0.002007}


@lru_cache(maxsize=32)
def _element_cm2_g(symbol: str) -> NDArray[np.float64]:
    import xraydb  # takes a second to load, so only where a calibration asks for it

    return np.asarray(xraydb.mu_elam(symbol, ENERGIES_KEV * 1000.0), dtype=np.float64)


def _mixture_cm2_g(fractions: Mapping[str, float]) -> NDArray[np.float64]:
    total = np.zeros_like(ENERGIES_KEV)
    for symbol, share in fractions.items():
        total += share * _element_cm2_g(symbol)
    return total


def linear_attenuation_cm(name: str) -> NDArray[np.float64]:
    """(n,) linear attenuation in 1/cm of a tissue at :data:`ENERGIES_KEV`.

    The mixture rule over the total cross-sections (coherent scatter included) of Elam, Ravel and
    Sieber 2002, which xraydb carries; they follow NIST's XCOM within a few per cent.

    Raises:
        InputError: Unknown tissue.
    """
    tissue = look_up(TISSUES, name, "tissue")
    return _mixture_cm2_g(tissue.mass_fractions) * tissue.density_g_cm3


def bone_cm2_per_g_mineral() -> NDArray[np.float64]:
    """(n,) attenuation in cm2 that a gram of mineral brings, with its collagen and bound water."""
    return (
        _mixture_cm2_g(_HYDROXYAPATITE)
        + _COLLAGEN_PER_MINERAL * _mixture_cm2_g(_COLLAGEN)
        + _WATER_PER_MINERAL * _mixture_cm2_g(_WATER)
    )


def water_cm() -> NDArray[np.float64]:
    """(n,) linear attenuation in 1/cm of water (1 g/cm3) at :data:`ENERGIES_KEV`."""
    return _mixture_cm2_g(_WATER)
