"""Bad segmentations of a good scan."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np

from osteoscope.core.grid import Grid, grid_from_spacing
from osteoscope.io.image_files import write_labels
from tests.apps.bad_input.case import GRID, Case, good_labels, good_scan, with_scan

Build = Callable[[Path], list[str]]
_AFFINE = np.diag([-1.0, -1.0, 2.0, 1.0])
_FAR = grid_from_spacing(GRID.shape, (2.0, 1.0, 1.0), (500.0, 0.0, 0.0))
_TURNED = Grid(
    GRID.shape,
    np.array([[0.0, 0, 1, 900], [0, 1, 0, 900], [2, 0, 0, 900], [0, 0, 0, 1]]),
)


def _array(values: np.ndarray, *words: str) -> Build:
    """Values along (z, y, x), of any type, on the scan's grid."""

    def build(folder: Path) -> list[str]:
        image = nib.Nifti1Image(values.T, _AFFINE, dtype=values.dtype)
        nib.save(image, folder / "labels.nii.gz")
        return with_scan(folder / "labels.nii.gz", folder, *words)

    return build


def _block(*numbers: int, kind: str = "i2") -> np.ndarray:
    array = np.zeros(GRID.shape, dtype=kind)
    for n, number in enumerate(numbers):
        array[2 + 3 * n : 5 + 3 * n, 3:9, 3:9] = number
    return array


def _fractions() -> np.ndarray:
    return np.random.default_rng(1).random(GRID.shape, dtype=np.float32)


def _nan() -> np.ndarray:
    values = _block(31).astype(np.float32)
    values[0, 0, 0] = np.nan
    return values


def _elsewhere(grid: Grid) -> Build:
    def build(folder: Path) -> list[str]:
        return with_scan(good_labels(folder, grid=grid), folder)

    return build


def _masks(*masks: tuple[str, Grid]) -> Build:
    """A folder of masks, each a block in its own slices."""

    def build(folder: Path) -> list[str]:
        (folder / "masks").mkdir()
        for n, (name, grid) in enumerate(masks):
            array = np.zeros(grid.shape, dtype=np.uint8)
            array[2 + 3 * n : 5 + 3 * n, 3:9, 3:9] = 1
            write_labels(folder / "masks" / name, array, grid)
        return with_scan(folder / "masks", folder)

    return build


def _same_place(folder: Path) -> list[str]:
    (folder / "masks").mkdir()
    for level in ("L1", "L2"):
        write_labels(folder / "masks" / f"vertebrae_{level}.nii.gz", _block(1, kind="u1"), GRID)
    return with_scan(folder / "masks", folder)


def _table(folder: Path) -> list[str]:
    (folder / "labels.csv").write_text("a,b\n")
    return with_scan(folder / "labels.csv", folder)


def _scan_as_labels(folder: Path) -> list[str]:
    return with_scan(good_scan(folder), folder)


def _bad_subregions(folder: Path) -> list[str]:
    (folder / "parts.nii.gz").write_bytes(b"no image")
    words = with_scan(good_labels(folder), folder, "--scheme", "totalsegmentator")
    return [*words, "--subregions", str(folder / "parts.nii.gz")]


CASES: dict[str, Case] = {
    "no-labels": Case(
        "no segmentation at all", "There is no segmentation", lambda f: [str(good_scan(f))]
    ),
    "labels-missing": Case(
        "a segmentation that does not exist",
        "The segmentation does not exist",
        lambda f: with_scan(f / "absent.nii.gz", f),
    ),
    "labels-elsewhere": Case(
        "labels of another patient", "does not overlap the scan", _elsewhere(_FAR)
    ),
    "labels-turned": Case(
        "labels on another grid far away", "does not overlap the scan", _elsewhere(_TURNED)
    ),
    "fractions": Case("a probability map", "holds fractions", _array(_fractions())),
    "nan-labels": Case("labels that are not numbers", "Labels are whole numbers", _array(_nan())),
    "negative-labels": Case("negative labels", "values reach from -31 to 0", _array(_block(-31))),
    "scan-as-labels": Case(
        "a scan given as labels", "not a scan or a probability map", _scan_as_labels
    ),
    "empty-labels": Case("labels of 0 only", "holds no label", _array(_block())),
    "unknown-numbers": Case(
        "numbers of no known scheme", "follow no known scheme", _array(_block(300, 310))
    ),
    "large-numbers": Case(
        "numbers that no label has", "Give a label file, not an image", _array(_block(30_000))
    ),
    "ambiguous-scheme": Case(
        "labels that two schemes could name", "name it with --scheme", _array(_block(22))
    ),
    "unknown-scheme": Case(
        "a scheme that does not exist",
        "Unknown label scheme 'other'",
        _array(_block(31), "--scheme", "other"),
    ),
    "colour-labels": Case(
        "coloured labels",
        "values a voxel",
        _array(np.zeros((8, 8, 8), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])),
    ),
    "two-dimensional-labels": Case(
        "labels of one slice", "has 2 dim", _array(np.ones((12, 12), dtype="i2"))
    ),
    "masks-of-two-grids": Case(
        "masks on different grids",
        "another grid",
        _masks(("vertebrae_L1.nii.gz", GRID), ("vertebrae_L2.nii.gz", _FAR)),
    ),
    "masks-overlap": Case("masks that contradict each other", "shares", _same_place),
    "no-masks": Case(
        "a folder without masks of vertebrae",
        "none is named as a structure",
        _masks(("tumour.nii.gz", GRID)),
    ),
    "no-vertebra": Case(
        "masks without any vertebra",
        "named structures is a vertebra",
        _masks(("liver.nii.gz", GRID)),
    ),
    "labels-no-image": Case("labels that are no image", "A segmentation is a NIfTI", _table),
    "bad-subregions": Case(
        "subregions that are no image", "header cannot be read", _bad_subregions
    ),
}
