"""The occlusion map: where the fake looks is known, so the map must say it."""

from __future__ import annotations

import numpy as np
import pytest

from osteoscope.core.crop_spec import OUTSIDE_HU
from osteoscope.core.errors import InputError
from osteoscope.core.grid import grid_from_spacing
from osteoscope.features.resample import patch_grid
from osteoscope.inference.saliency import COVER_HU, occlusion_map, on_slice
from osteoscope.inference.session import DeployedModel, open_model
from tests.inference.tiny_model import CROP, crop_of, spec, write_tiny


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> DeployedModel:
    return open_model(write_tiny(tmp_path_factory.mktemp("model") / "m.onnx", spec()))


def _with_dense_corner() -> np.ndarray:
    """Spongy bone of 0 HU above soft tissue's reach, with one dense corner."""
    crop = np.full(CROP.shape, OUTSIDE_HU, dtype=np.int16)
    crop[6:26, 8:40, 8:40] = COVER_HU
    crop[6:16, 8:24, 8:24] = 600
    return crop


def test_what_speaks_for_a_class_is_where_covering_it_costs(model: DeployedModel) -> None:
    crop = _with_dense_corner()
    found = occlusion_map(model, crop, "normal", box_mm=12.0, most_boxes=400)
    dense = found.log_odds[6:16, 8:24, 8:24]
    rest = found.log_odds[6:26, 32:40, 32:40]  # a box further than the corner
    assert dense.mean() > 10 * abs(rest.mean())
    # Covering what is soft tissue already with soft tissue changes nothing.
    assert np.abs(rest).max() < 1e-3 * dense.max()
    assert found.log_odds.max() == dense.max()
    # The dense corner speaks against osteoporosis as it speaks for normal.
    against = occlusion_map(model, crop, "osteoporosis", box_mm=12.0, most_boxes=400)
    assert against.log_odds[6:16, 8:24, 8:24].mean() < 0


def test_nothing_is_shown_outside_the_vertebra(model: DeployedModel) -> None:
    crop = crop_of(130.0)
    found = occlusion_map(model, crop, "osteopenia")
    assert found.log_odds.shape == crop.shape
    assert not found.log_odds[crop == OUTSIDE_HU].any()
    assert found.log_odds[crop != OUTSIDE_HU].any()


def test_the_number_of_inferences_is_bounded(model: DeployedModel) -> None:
    crop = crop_of(130.0)
    fine = occlusion_map(model, crop, "normal", box_mm=12.0, most_boxes=1000)
    coarse = occlusion_map(model, crop, "normal", box_mm=12.0, most_boxes=30)
    assert coarse.boxes <= 30 < fine.boxes
    assert coarse.box_mm > fine.box_mm == 12.0


def test_the_size_of_the_batch_changes_nothing(model: DeployedModel) -> None:
    crop = crop_of(130.0)
    one = occlusion_map(model, crop, "normal", most_boxes=20, batch=1)
    many = occlusion_map(model, crop, "normal", most_boxes=20, batch=7)
    assert one.log_odds == pytest.approx(many.log_odds, abs=1e-4)


def test_the_whole_vertebra_covered_is_the_answer_s_own_difference(model: DeployedModel) -> None:
    """One box over everything: the map is one number, the log-odds lost by covering it all."""
    crop = np.full(CROP.shape, OUTSIDE_HU, dtype=np.int16)
    crop[14:18, 22:26, 22:26] = 250  # 6 mm: a box of 60 mm reaches over all of it
    found = occlusion_map(model, crop, "normal", box_mm=6.0, most_boxes=8)
    covered = np.where(crop == OUTSIDE_HU, crop, COVER_HU)

    def log_odds(hu: float) -> float:
        t = (hu - 250.0) / 40.0
        logits = -((t - np.array([0.0, -1.75, -3.5])) ** 2)
        return float(logits[0] - np.log(np.exp(logits[1:]).sum()))

    assert covered[crop != OUTSIDE_HU].mean() == COVER_HU
    full = log_odds(250.0) - log_odds(float(COVER_HU))
    assert 0 < found.log_odds[crop != OUTSIDE_HU].max() <= full * (1 + 1e-3)


def test_an_empty_crop_has_an_empty_map(model: DeployedModel) -> None:
    found = occlusion_map(model, np.full(CROP.shape, OUTSIDE_HU, np.int16), "normal")
    assert found.boxes == 0
    assert not found.log_odds.any()


@pytest.mark.parametrize(
    "options", [{"box_mm": 1.0}, {"box_mm": 61.0}, {"most_boxes": 7}, {"batch": 0}]
)
def test_options_out_of_range_are_refused(model: DeployedModel, options: dict[str, float]) -> None:
    with pytest.raises(InputError):
        occlusion_map(model, crop_of(), "normal", **options)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="osteopenia"):
        occlusion_map(model, crop_of(), "brittle")


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_map_lands_on_the_slice_where_it_belongs(axis: int) -> None:
    """A map linear in the world, on an oblique crop: on each slice it is that same function."""
    scan = grid_from_spacing((40, 60, 70), (2.0, 1.0, 1.0), (-35.0, -30.0, 0.0))
    turn = 0.3
    axes = np.array(
        [[np.cos(turn), np.sin(turn), 0], [-np.sin(turn), np.cos(turn), 0], [0, 0, 1.0]]
    )
    crop = patch_grid(np.array([0.0, 0.0, 40.0]), axes, CROP.shape, CROP.spacing_mm)
    index = np.stack(np.indices(CROP.shape), axis=-1).astype(np.float64)
    slope = np.array([0.01, -0.02, 0.03])
    values = (crop.index_to_world_mm(index) @ slope + 5.0).astype(np.float32)
    at = (20, 30, 35)[axis]
    found = on_slice(values, crop, scan, axis, at)
    shape = [n for a, n in enumerate(scan.shape) if a != axis]
    assert list(found.shape) == shape
    for row, column in ((shape[0] // 2, shape[1] // 2), (shape[0] // 2 - 4, shape[1] // 2 + 5)):
        place = [row, column]
        place.insert(axis, at)
        world = scan.index_to_world_mm(np.array(place, dtype=np.float64))
        assert found[row, column] == pytest.approx(world @ slope + 5.0, abs=1e-3)
    assert found[0, 0] == 0
