"""Which label scheme a segmentation follows, told by names, numbers and order along the spine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteoscope.anatomy.locate import Place, locate_labels
from osteoscope.core.errors import InputError
from osteoscope.core.grid import Grid
from osteoscope.core.label_schemes import SCHEMES, VERTEBRAE, LabelScheme
from osteoscope.core.labelmap import LabelMap

_LARGEST = {"totalsegmentator": 117, "verse": 28}
_SUBREGIONS = range(41, 51)
_STEP_MM = (8.0, 75.0)
"""Least and greatest distance between the centres of neighbouring vertebrae: crushed cervical
bodies to masks with a part missing."""
_WRONG_SHARE = 0.35
"""Share of the steps along the spine that labels out of order may spoil."""
_SLIVER_SHARE = 0.3
"""A label smaller than this share of the usual one shows only a part of its vertebra."""
_LATERAL_SHARE = 0.75
"""A spine's steps go mostly up or down; organs lie beside each other."""

_VERTEBRA_NAME = re.compile(r"^(?:vertebrae?[_\- ]*)?([CTL]\d{1,2}|S1)$", re.IGNORECASE)


def recognise_scheme(
    array: NDArray[Any], grid: Grid, names: Mapping[int, str] | None = None
) -> LabelScheme:
    """The label scheme of a segmentation.

    Names decide where there are any. Otherwise numbers above 28 belong to TotalSegmentator, unless
    41-50 lie side by side all along the spine, which makes them TPTBox subregions; lower numbers
    belong to the scheme in which they are in order along the patient: in VerSe they rise
    downwards, in TotalSegmentator upwards.

    Args:
        array: (z, y, x) integer labels.
        grid: Where they lie.
        names: Name of each number, where the file or the folder has names.

    Returns:
        A scheme of :data:`~osteoscope.core.label_schemes.SCHEMES`, or one made from the names
        where they number the structures in another way.

    Raises:
        InputError: No label, no scheme fits, or several do; the message lists the candidates.
    """
    if names:
        named = scheme_from_names(names)
        if named is not None:
            return named
        if _structures_of_a_scheme(names):
            raise InputError(
                f"None of the {len(names)} named structures is a vertebra; give masks or labels "
                "of vertebrae too."
            )
    places = _places(array, grid)
    if not places:
        raise InputError("The segmentation holds no label: every voxel is 0.")
    numbers = sorted(places)
    if _are_subregions(places):
        return SCHEMES["tptbox-subregions"]
    fitting = [name for name, fits in _FITS.items() if fits(places)]
    if len(fitting) == 1:
        return SCHEMES[fitting[0]]
    candidates = _candidates(numbers)
    if not candidates:
        raise InputError(
            f"The labels {_listed(numbers)} follow no known scheme; convert them to one of "
            f"{', '.join(sorted(SCHEMES))} and name it with --scheme."
        )
    raise InputError(
        f"The label scheme cannot be told from the labels {_listed(numbers)}; name it with "
        f"--scheme. Candidates: {'; '.join(candidates)}."
    )


def scheme_from_names(names: Mapping[int, str]) -> LabelScheme | None:
    """The scheme that names give, or None where no name is a vertebra or a vertebra's part.

    Args:
        names: Name of each number, for example ``{1: "vertebrae_L1"}``; endings such as
            ``.nii.gz`` have been removed.

    Raises:
        InputError: Two numbers have one name.
    """
    vertebrae: dict[str, int] = {}
    structures: dict[str, int] = {}
    for number, name in sorted(names.items()):
        match = _VERTEBRA_NAME.match(name.strip())
        level = match.group(1).upper() if match else None
        table, key = (vertebrae, level) if level in VERTEBRAE else (structures, name.strip())
        if key in table:
            raise InputError(f"Two labels have the name {key}; each structure must stand once.")
        if key is not None:
            table[key] = number
    for scheme in SCHEMES.values():
        if vertebrae and vertebrae.items() <= scheme.vertebrae.items():
            return scheme
        known = {key: n for key, n in structures.items() if key in scheme.structures}
        if scheme.body_labels and "corpus" in known and known.items() <= scheme.structures.items():
            return scheme
    if not vertebrae:
        return None
    return LabelScheme(
        "named",
        MappingProxyType(vertebrae),
        MappingProxyType(structures),
        source="names in the segmentation",
    )


def _structures_of_a_scheme(names: Mapping[int, str]) -> bool:
    """Whether a name is one of a known scheme's, so that names are meant as such."""
    known = {name for scheme in SCHEMES.values() for name in scheme.structures}
    return any(name.strip() in known for name in names.values())


def _places(array: NDArray[Any], grid: Grid) -> dict[int, Place]:
    """Where each label lies, by number; labels thinner than 2 mm may be passed over."""
    labels = LabelMap(array, grid, LabelScheme("unknown", {})).canonical()
    largest = int(array.max(initial=0))
    if largest <= 0:
        return {}
    if largest > 10_000:
        raise InputError(
            f"The segmentation holds the number {largest}; labels of vertebrae lie below 1000. "
            "Give a label file, not an image."
        )
    found = locate_labels(labels, {str(n): n for n in range(1, largest + 1)}, margin_mm=0.0)
    return {int(name): place for name, place in found.items()}


def _are_subregions(places: Mapping[int, Place]) -> bool:
    """Whether 41-50 are parts of vertebrae: there, each runs along the whole of the spine."""
    parts = [place.box[0] for number, place in places.items() if number in _SUBREGIONS]
    if len(parts) < 2 or any(25 < number < 41 for number in places):
        return False
    overlap = min(int(p.stop) for p in parts) - max(int(p.start) for p in parts)
    return overlap >= 0.3 * max(int(p.stop) - int(p.start) for p in parts)


def _fits_totalsegmentator(places: Mapping[int, Place]) -> bool:
    if max(places) > _LARGEST["totalsegmentator"]:
        return False
    # L5 to C1: the sacrum and S1 lie in each other.
    spine = [n for n in sorted(places) if 27 <= n <= 50]
    known_by_number = max(places) > _LARGEST["verse"]
    return (known_by_number or len(spine) >= 2) and _in_order(places, spine, upwards=True)


def _fits_verse(places: Mapping[int, Place]) -> bool:
    if max(places) > _LARGEST["verse"]:
        return False
    spine = [n for n in sorted(places) if n <= 26]
    return len(spine) >= 2 and _in_order(places, spine, upwards=False)


_FITS = MappingProxyType({"totalsegmentator": _fits_totalsegmentator, "verse": _fits_verse})


def _in_order(places: Mapping[int, Place], numbers: list[int], *, upwards: bool) -> bool:
    """Whether centres step along the spine from each number to the next.

    Slivers, such as a spinous process at the scan's edge, are passed over: their centre is not
    the vertebra's. Some pairs may be wrong: labels out of order are a finding of their own, and
    the other scheme would have nearly all of them wrong.
    """
    wrong = 0
    usual = float(np.median([places[n].coarse_voxels for n in numbers])) if numbers else 0.0
    numbers = [n for n in numbers if places[n].coarse_voxels >= _SLIVER_SHARE * usual]
    for one, other in pairwise(numbers):
        step = places[other].centre_mm - places[one].centre_mm
        length = float(np.linalg.norm(step))
        rises = (step[2] > 0) == upwards
        apart = other - one
        plausible = _STEP_MM[0] * apart <= length <= _STEP_MM[1] * apart
        aside = float(np.hypot(step[0], step[1]))
        wrong += not (rises and plausible and aside <= _LATERAL_SHARE * length)
    return wrong <= _WRONG_SHARE * max(0, len(numbers) - 1)


def _candidates(numbers: list[int]) -> list[str]:
    """``scheme (20 is L1)`` for each scheme whose numbers hold all of these."""
    candidates = []
    for name, scheme in sorted(SCHEMES.items()):
        meaning = scheme.level_of | {n: key for key, n in scheme.structures.items()}
        largest = _LARGEST.get(name)
        fits = max(numbers) <= largest if largest else set(numbers) <= set(meaning)
        first = next((n for n in numbers if n in meaning), None)
        if fits and first is not None:
            candidates.append(f"{name} ({first} is {meaning[first]})")
        elif fits:
            candidates.append(name)
    return candidates


def _listed(numbers: list[int]) -> str:
    shown = ", ".join(str(n) for n in numbers[:8])
    return f"{shown} and {len(numbers) - 8} more" if len(numbers) > 8 else shown
