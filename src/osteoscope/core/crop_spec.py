"""What a stored crop of a vertebra is: which levels, how large, on which voxels, how masked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from osteoscope.core.errors import InputError
from osteoscope.core.label_schemes import VERTEBRAE

CropAxes = Literal["scanner", "vertebra"]

OUTSIDE_HU = -1024
"""Value of a crop's voxel outside the scan, and outside a masked vertebra: air on every scanner."""

SIDE_VOXELS = (4, 512)
SPACING_MM = (0.1, 10.0)
"""Smallest and largest side of a crop in voxels, and spacing of these voxels in mm."""


@dataclass(frozen=True)
class CropSpec:
    """How crops are cut; a store, a model and a screen agree on one of these.

    Args:
        levels: The vertebrae that are cropped, each named once.
        shape: Voxels along (z, y, x), 4 to 512 each.
        spacing_mm: Spacing of these voxels along (z, y, x), mm, 0.1 to 10.
        surroundings: False: HU outside the vertebra's own label become :data:`OUTSIDE_HU`.
        axes: ``scanner``: array axes run superior, posterior, left as ``Volume.canonical()`` has
            them. ``vertebra``: along the vertebra's own axes, superior normal to its endplates.

    Raises:
        InputError: A field is outside its range or of the wrong type.
    """

    levels: tuple[str, ...] = ("L1",)
    shape: tuple[int, int, int] = (64, 96, 96)
    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0)
    surroundings: bool = False
    axes: CropAxes = "scanner"

    def __post_init__(self) -> None:
        _check_levels(self.levels)
        if not _three(self.shape, int) or not _within(self.shape, SIDE_VOXELS):
            raise InputError(
                f"A crop's shape must be three whole numbers of {SIDE_VOXELS[0]} to "
                f"{SIDE_VOXELS[1]} voxels (z, y, x), not {self.shape!r:.60}."
            )
        if not _three(self.spacing_mm, (int, float)) or not _within(self.spacing_mm, SPACING_MM):
            raise InputError(
                f"A crop's spacing must be three numbers of {SPACING_MM[0]:g} to "
                f"{SPACING_MM[1]:g} mm (z, y, x), not {self.spacing_mm!r:.60}."
            )
        if not isinstance(self.surroundings, bool):
            raise InputError(f"surroundings must be true or false, not {self.surroundings!r:.40}.")
        if self.axes not in get_args(CropAxes):
            known = ", ".join(get_args(CropAxes))
            raise InputError(f"Unknown crop axes {self.axes!r:.40}; known: {known}.")
        # One spec has one JSON: 1 and 1.0 mm are the same spacing.
        object.__setattr__(self, "spacing_mm", tuple(float(s) for s in self.spacing_mm))

    @property
    def size_mm(self) -> tuple[float, float, float]:
        """Extent of the crop along (z, y, x), outer voxel edges included, mm."""
        z, y, x = (n * s for n, s in zip(self.shape, self.spacing_mm, strict=True))
        return z, y, x

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> CropSpec:
        """The spec that :meth:`to_dict` wrote.

        Raises:
            InputError: A key is unknown or missing, or a value does not fit.
        """
        known = [f.name for f in fields(cls)]
        if not isinstance(values, Mapping) or set(values) != set(known):
            raise InputError(f"A crop specification has exactly the keys {', '.join(known)}.")
        plain: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
        }
        return cls(**plain)


def _check_levels(levels: object) -> None:
    if not isinstance(levels, tuple) or not levels:
        raise InputError("A crop needs at least one level, for example L1.")
    for level in levels:
        if level not in VERTEBRAE:
            raise InputError(f"Unknown vertebra {level!r:.40}; use names such as T12 or L1.")
    if len(set(levels)) < len(levels):
        raise InputError(f"A level is named twice in {', '.join(levels)}; name each once.")


def _three(values: object, kind: type | tuple[type, ...]) -> bool:
    return (
        isinstance(values, tuple)
        and len(values) == 3
        and all(isinstance(v, kind) and not isinstance(v, bool) for v in values)
    )


def _within(values: tuple[float, ...], limits: tuple[float, float]) -> bool:
    return all(limits[0] <= value <= limits[1] for value in values)
