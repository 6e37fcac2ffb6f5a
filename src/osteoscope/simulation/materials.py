"""What a tissue's voxel shows: CT numbers from elements, densities and the tube's spectrum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from osteoscope.core.errors import InputError
from osteoscope.core.registry import look_up

HYDROXYAPATITE_G_CM3 = 3.16
ORGANIC_PER_MINERAL = 0.385
"""Organic matrix by mass of mineral: bone is about 65 % mineral, 25 % organic, 10 % water."""
WATER_PER_MINERAL = 0.154
METAL_CLIP_HU = 3071
"""Largest value that a 12-bit CT image with intercept -1024 can hold."""
REFERENCE_KVP = 120.0

_ALUMINIUM_CM = 0.7
_BODY_WATER_CM = 24.0


@dataclass(frozen=True)
class Material:
    """A substance by mass.

    Args:
        mass_fractions: Share of each element by mass; they sum to one.
        density_g_cm3: Mass density.
    """

    mass_fractions: Mapping[str, float]
    density_g_cm3: float


def _table(density: float, **parts: float) -> Material:
    total = sum(parts.values())
    return Material(MappingProxyType({k: v / total for k, v in parts.items()}), density)


MATERIALS: Mapping[str, Material] = MappingProxyType(
    {
        "water": _table(1.0, H=0.1119, O=0.8881),
        "air": _table(0.0012, N=0.755, O=0.232, Ar=0.013),
        "lung": _table(0.20, H=0.103, C=0.105, N=0.031, O=0.749, P=0.002, S=0.003),
        "bowel_gas": _table(0.03, H=0.1119, O=0.8881),
        "fat": _table(0.94, H=0.114, C=0.598, N=0.007, O=0.278, Na=0.001, S=0.001, Cl=0.001),
        "muscle": _table(1.05, H=0.102, C=0.143, N=0.034, O=0.710, P=0.002, S=0.003, K=0.004),
        "blood": _table(1.05, H=0.102, C=0.110, N=0.033, O=0.745, P=0.001, S=0.002, Fe=0.001),
        "liver": _table(1.06, H=0.102, C=0.139, N=0.030, O=0.716, P=0.003, S=0.003, K=0.003),
        "kidney": _table(1.04, H=0.103, C=0.132, N=0.030, O=0.724, P=0.002, S=0.002, Ca=0.001),
        "bowel": _table(1.03, H=0.106, C=0.115, N=0.022, O=0.751, S=0.001, Cl=0.002, K=0.001),
        "cord": _table(1.04, H=0.107, C=0.145, N=0.022, O=0.712, P=0.004, S=0.002, K=0.003),
        "csf": _table(1.007, H=0.1111, O=0.880, Na=0.0035, Cl=0.0045),
        "disc": _table(1.08, H=0.100, C=0.110, N=0.024, O=0.748, Na=0.004, S=0.007, Cl=0.003),
        "skin": _table(1.09, H=0.100, C=0.204, N=0.042, O=0.645, S=0.002, Cl=0.003, K=0.001),
        "red_marrow": _table(
            1.03, H=0.105, C=0.414, N=0.034, O=0.439, P=0.001, S=0.002, K=0.002, Fe=0.001
        ),
        "yellow_marrow": _table(0.98, H=0.115, C=0.644, N=0.007, O=0.231, S=0.001, Cl=0.001),
        "organic_matrix": _table(1.35, H=0.065, C=0.51, N=0.18, O=0.245),
        "mineral": _table(HYDROXYAPATITE_G_CM3, Ca=0.3989, P=0.1850, O=0.4141, H=0.0020),
        "titanium": _table(4.43, Ti=0.90, Al=0.06, V=0.04),
        "cobalt_chrome": _table(8.3, Co=0.66, Cr=0.28, Mo=0.06),
        "cement": _table(1.35, H=0.068, C=0.507, O=0.315, Ba=0.036, S=0.013),
        "table": _table(0.35, C=0.9, H=0.03, O=0.07),
    }
)
"""Tissues after ICRU Reports 44 and 46 (rounded), implant alloys, and acrylic bone cement with
about 6 % barium sulphate by mass."""


@cache
def _element(symbol: str, energies_ev: tuple[float, ...]) -> NDArray[np.float64]:
    import xraydb  # a second of start-up, so only where voxels are made

    return np.asarray(xraydb.mu_elam(symbol, np.array(energies_ev)), dtype=np.float64)


def mass_attenuation_cm2_g(
    material: Material, energies_kev: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(n,) total mass attenuation in cm2/g at (n,) photon energies in keV.

    The mixture rule over the Elam, Ravel and Sieber (2002) tables that xraydb carries.
    """
    key = tuple(float(e) * 1e3 for e in energies_kev)
    total = np.zeros(len(key))
    for symbol, share in material.mass_fractions.items():
        total += share * _element(symbol, key)
    return total


@lru_cache(maxsize=16)
def _spectrum(kvp: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Energies (keV) and normalised detector weights behind 7 mm of Al and 24 cm of water."""
    if not 60.0 <= kvp <= 150.0:
        raise InputError(f"The tube voltage must lie in 60-150 kV, not {kvp:g}.")
    energies = np.arange(20.0, kvp, 1.0)
    weights = (kvp - energies) * np.exp(
        -mass_attenuation_cm2_g(_table(2.7, Al=1.0), energies) * 2.7 * _ALUMINIUM_CM
        - mass_attenuation_cm2_g(MATERIALS["water"], energies) * _BODY_WATER_CM
    )
    return energies, weights / weights.sum()


@lru_cache(maxsize=512)
def linear_attenuation_per_cm(name: str, kvp: float) -> float:
    """Spectrum-weighted linear attenuation of a named material, 1/cm.

    Kramers' spectrum at ``kvp``, filtered by 7 mm Al and 24 cm of water, on an energy-integrating
    detector.

    Raises:
        InputError: Unknown material, or a voltage outside 60-150 kV.
    """
    material = look_up(MATERIALS, name, "material")
    energies, weights = _spectrum(kvp)
    mean = float(np.sum(weights * mass_attenuation_cm2_g(material, energies)))
    return mean * material.density_g_cm3


def material_hu(name: str, kvp: float) -> float:
    """CT number of a named material: 1000 (mu - mu_water) / mu_water, at most 3071."""
    water = linear_attenuation_per_cm("water", kvp)
    value = 1000.0 * (linear_attenuation_per_cm(name, kvp) - water) / water
    return min(value, float(METAL_CLIP_HU))


@lru_cache(maxsize=16)
def iodine_hu_per_mg_ml(kvp: float) -> float:
    """CT number that one mg of iodine in a ml of tissue adds."""
    energies, weights = _spectrum(kvp)
    iodine = float(np.sum(weights * mass_attenuation_cm2_g(_table(4.93, I=1.0), energies)))
    return iodine / linear_attenuation_per_cm("water", kvp)


@lru_cache(maxsize=4096)
def bone_hu(mineral_mg_cm3: float, fat_fraction: float, kvp: float) -> float:
    """CT number of bone tissue: mineral, organic matrix, bound water and marrow by volume.

    Args:
        mineral_mg_cm3: Hydroxyapatite (Ca10P6O26H2) mass in a volume of tissue (vBMD), 0-1700.
        fat_fraction: Share of yellow marrow in the marrow by volume, 0-1.
        kvp: Tube voltage.

    Raises:
        InputError: More mineral than the volume can hold, or a fat fraction outside 0-1.
    """
    mineral_g = mineral_mg_cm3 / 1000.0
    volumes = {
        "mineral": mineral_g / HYDROXYAPATITE_G_CM3,
        "organic_matrix": mineral_g * ORGANIC_PER_MINERAL / 1.35,
        "water": mineral_g * WATER_PER_MINERAL,
    }
    marrow = 1.0 - sum(volumes.values())
    if mineral_g < 0 or marrow < 0 or not 0.0 <= fat_fraction <= 1.0:
        raise InputError(
            "Bone must hold 0-1700 mg/cm3 of mineral and a marrow fat fraction of 0-1, not "
            f"{mineral_mg_cm3:g} and {fat_fraction:g}."
        )
    volumes["yellow_marrow"] = marrow * fat_fraction
    volumes["red_marrow"] = marrow * (1.0 - fat_fraction)
    total = sum(v * linear_attenuation_per_cm(name, kvp) for name, v in volumes.items())
    water = linear_attenuation_per_cm("water", kvp)
    return 1000.0 * (total - water) / water
