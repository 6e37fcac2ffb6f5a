"""Pictures: the right plane, the right way round, at true proportions, and no copy of the scan."""

from __future__ import annotations

import io
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from osteoscope.core.errors import GeometryError
from osteoscope.core.grid import Grid, grid_from_spacing
from osteoscope.core.label_schemes import label_scheme
from osteoscope.core.labelmap import LabelMap
from osteoscope.core.volume import Volume
from osteoscope.reporting.pictures import picture_caption, picture_size, render_planes
from osteoscope.reporting.planes import cut_planes, nearest_level
from tests.reporting.example_scan import BODY, L1, drawn_scan
from tests.reporting.real_scan import FOLDER, cut_scene, read_scene

BLUE, AMBER = (83, 199, 232), (255, 176, 0)


def pixels(png: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def near(png: bytes, colour: tuple[int, int, int], tolerance: int = 40) -> np.ndarray:
    return np.abs(pixels(png) - colour).max(axis=2) <= tolerance


def centroid(mask: np.ndarray) -> tuple[float, float]:
    rows, columns = np.nonzero(mask)
    return float(rows.mean() / mask.shape[0]), float(columns.mean() / mask.shape[1])


def test_three_pictures_with_outlines_and_captions() -> None:
    pictures = render_planes(*drawn_scan(), "L1")
    assert list(pictures) == ["sagittal", "coronal", "axial"]
    for plane, png in pictures.items():
        assert near(png, BLUE).sum() > 100
        assert near(png, AMBER).sum() > 100
        assert picture_caption(png) == f"{plane.capitalize()} plane through L1."


def test_region_is_drawn_inside_the_vertebra() -> None:
    for png in render_planes(*drawn_scan(), "L1").values():
        outer, inner = np.argwhere(near(png, BLUE)), np.argwhere(near(png, AMBER))
        assert (outer.min(axis=0) < inner.min(axis=0)).all()
        assert (outer.max(axis=0) > inner.max(axis=0)).all()


@pytest.mark.parametrize("spacing_mm", [(2.0, 1.0, 1.0), (1.0, 0.8, 0.8)])
def test_proportions_are_true(spacing_mm: tuple[float, float, float]) -> None:
    """The outline's width and height in pixels stand as the body's do in mm."""
    size = [(s.stop - s.start) * mm for s, mm in zip(BODY, spacing_mm, strict=True)]
    axes = {"sagittal": (0, 1), "coronal": (0, 2), "axial": (1, 2)}
    for plane, png in render_planes(*drawn_scan(spacing_mm=spacing_mm), "L1").items():
        points = np.argwhere(near(png, BLUE))
        height, width = points.max(axis=0) - points.min(axis=0)
        rows, columns = axes[plane]
        assert height / width == pytest.approx(size[rows] / size[columns], rel=0.08)


def test_every_plane_is_the_right_way_round() -> None:
    """A bright rod to the left, a second to the front and a third above are found there."""
    volume, labels, vertebrae, regions = drawn_scan()
    array = volume.array.copy()
    k, j, i = (int((s.start + s.stop) / 2) for s in BODY)
    array[k - 3 : k + 3, j - 3 : j + 3, i + 22 : i + 30] = 3000  # to the patient's left
    array[k + 14 : k + 20, j - 3 : j + 3, i - 3 : i + 3] = 3000  # above
    array[k - 3 : k + 3, j - 28 : j - 20, i - 3 : i + 3] = 3000  # in front
    pictures = render_planes(replace(volume, array=array), labels, vertebrae, regions, "L1")
    white = {plane: near(png, (255, 255, 255), 3) for plane, png in pictures.items()}
    body = {plane: centroid(near(png, AMBER)) for plane, png in pictures.items()}

    def blobs(plane: str, rows: slice, columns: slice) -> int:
        return int(white[plane][rows, columns].sum())

    row, column = (round(c * n) for c, n in zip(body["axial"], white["axial"].shape, strict=True))
    beside, ahead = slice(row - 20, row + 20), slice(column - 20, column + 20)
    # Axial: the patient's left on the right side, the front above.
    assert blobs("axial", beside, slice(column + 80, -60)) > 500
    assert blobs("axial", beside, slice(60, column - 80)) == 0
    assert blobs("axial", slice(40, row - 70), ahead) > 500
    assert blobs("axial", slice(row + 70, -40), ahead) == 0
    # Coronal: left on the right side, the head above. Sagittal: the front on the left side.
    for plane, axis, sign in (("coronal", 1, 1), ("sagittal", 1, -1), ("coronal", 0, -1)):
        points = np.argwhere(white[plane]) / white[plane].shape - np.array(body[plane])
        far = points[np.abs(points[:, 1 - axis]) < 0.06][:, axis] * sign
        assert (far > 0.06).sum() > 100


@pytest.mark.parametrize("flips", [(True, False, True), (False, True, False)])
def test_storage_order_does_not_show(flips: tuple[bool, bool, bool]) -> None:
    """A scan stored in another axis order and direction gives the same bytes."""
    volume, labels, vertebrae, regions = drawn_scan()
    expected = render_planes(volume, labels, vertebrae, regions, "L1")
    index = tuple(slice(None, None, -1) if flip else slice(None) for flip in flips)
    affine = volume.grid.affine_lps_mm.copy()
    for axis, flip in enumerate(flips):
        if flip:
            affine[:3, 3] += affine[:3, axis] * (volume.grid.shape[axis] - 1)
            affine[:3, axis] *= -1
    order = (2, 0, 1)
    affine = affine[:, [*order, 3]]
    array = volume.array[index].transpose(order)
    grid = Grid(array.shape, affine)
    stored = LabelMap(labels.array[index].transpose(order), grid, labels.scheme)
    got = render_planes(Volume(array, grid), stored, vertebrae, regions, "L1")
    assert got == expected


def test_missing_level_shows_its_neighbour_and_no_region() -> None:
    volume, labels, vertebrae, regions = drawn_scan()
    for png in render_planes(volume, labels, vertebrae, regions, "L2").values():
        assert "through L1, because L2 was not found; no region drawn." in picture_caption(png)
        assert near(png, AMBER).sum() == 0


def test_scan_without_vertebrae_is_shown_through_its_middle() -> None:
    volume, labels, _, _ = drawn_scan()
    empty = replace(labels, array=np.zeros_like(labels.array))
    for png in render_planes(volume, empty, {}, {}, "L1").values():
        assert "no vertebra is labelled" in picture_caption(png)
        assert near(png, BLUE).sum() == 0


def test_nearest_level_counts_along_the_spine() -> None:
    _, _, vertebrae, _ = drawn_scan()
    l1 = vertebrae["L1"]
    assert nearest_level({"T9": l1, "L4": l1}, "L1") == "L4"
    assert nearest_level({"T12": l1, "L5": l1}, "L1") == "T12"
    assert nearest_level({}, "L1") is None


def test_simulated_scan_is_marked_in_picture_and_caption() -> None:
    real = render_planes(*drawn_scan(), "L1")
    simulated = render_planes(*drawn_scan(simulated=True), "L1")
    for plane in real:
        assert picture_caption(simulated[plane]).startswith("Simulated scan.")
        assert not np.array_equal(pixels(real[plane]), pixels(simulated[plane]))


def test_same_scan_gives_the_same_bytes() -> None:
    assert render_planes(*drawn_scan(), "L1") == render_planes(*drawn_scan(), "L1")


def test_labels_on_another_grid_are_refused() -> None:
    volume, labels, vertebrae, regions = drawn_scan()
    cut = labels.crop((slice(0, 40), slice(None), slice(None)))
    with pytest.raises(GeometryError, match="resample the labels"):
        render_planes(volume, cut, vertebrae, regions, "L1")


def test_axial_plane_moves_to_where_the_region_is() -> None:
    volume, labels, vertebrae, regions = drawn_scan()
    weights = regions["L1"].weights.copy()
    weights[:-1] = 0
    region = replace(regions["L1"], weights=weights)
    cut = cut_planes(volume, labels, vertebrae, region, "L1")["axial"]
    assert cut.region is not None
    assert cut.position_mm == pytest.approx(38 * 2.0)


@pytest.mark.parametrize("slices", [14, 700])
def test_short_and_long_scans_keep_the_vertebra_in_view(slices: int) -> None:
    grid = grid_from_spacing((slices, 60, 60), (2.0, 3.0, 3.0))
    numbers = np.zeros(grid.shape, dtype=np.uint8)
    numbers[slices // 2 : slices // 2 + 6, 20:32, 24:36] = L1
    labels = LabelMap(numbers, grid, label_scheme("totalsegmentator"))
    vertebrae, _ = cut_scene(labels)
    volume = Volume(np.zeros(grid.shape, dtype=np.int16), grid)
    for cut in cut_planes(volume, labels, vertebrae, None, "L1").values():
        bottom, top, left, right = cut.view_mm
        assert 100 < top - bottom <= 480
        rows, columns = np.nonzero(cut.labels == L1)
        assert bottom < rows.min() * cut.spacing_mm[0] < rows.max() * cut.spacing_mm[0] < top
        assert left < columns.min() * cut.spacing_mm[1]
        assert columns.max() * cut.spacing_mm[1] < right


def test_no_copy_of_the_volume_is_made() -> None:
    grid = grid_from_spacing((300, 320, 320), (1.0, 1.0, 1.0))
    volume = Volume(np.zeros(grid.shape, dtype=np.int16), grid)
    numbers = np.zeros(grid.shape, dtype=np.uint8)
    numbers[150:170, 150:180, 150:190] = L1
    labels = LabelMap(numbers, grid, label_scheme("totalsegmentator"))
    vertebrae, regions = cut_scene(labels)
    render_planes(*drawn_scan(), "L1")  # matplotlib's own start is not the scan's
    tracemalloc.start()
    try:
        render_planes(volume, labels, vertebrae, regions, "L1")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 0.4 * volume.array.nbytes


@pytest.mark.skipif(not FOLDER.is_dir(), reason="the shared real CT is not here")
def test_real_scan_is_pictured() -> None:
    pictures = render_planes(*read_scene(), "L1")
    for png in pictures.values():
        assert picture_size(png)[1] == 616
        assert near(png, BLUE).sum() > 100
        assert near(png, AMBER).sum() > 100
    # L1 lies near the upper edge of this scan, in front of the canal.
    row, column = centroid(near(pictures["sagittal"], AMBER))
    assert row < 0.2
    assert column < 0.5
