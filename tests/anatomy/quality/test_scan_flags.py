"""Flags of the scan as a whole: acquisition, contrast, noise, field of view, metal."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osteoscope.anatomy.quality.contrast import (
    AortaAttenuation,
    aorta_attenuation,
    contrast_flags,
)
from osteoscope.anatomy.quality.examine import examine_scan
from osteoscope.anatomy.quality.field_of_view import border_contact_mm, field_of_view_flags
from osteoscope.anatomy.quality.metal import metal_clusters, metal_flags
from osteoscope.anatomy.quality.noise import measure_noise_hu, noise_flags
from osteoscope.anatomy.quality.scan import acquisition_flags, kernel_sharpness
from osteoscope.core.errors import InputError
from osteoscope.core.grid import grid_from_spacing
from osteoscope.core.volume import Acquisition, Volume
from osteoscope.simulation.materials import bone_hu
from tests.anatomy.quality.drawn import BLOOD_HU, LEVELS, SCHEME, Drawn, cut_out, draw_spine


@pytest.fixture(scope="module")
def spine() -> Drawn:
    return draw_spine()


def test_a_routine_scan_labelled_right_has_no_flag_at_all(spine: Drawn) -> None:
    assert examine_scan(spine.volume, spine.labels, spine.vertebrae, LEVELS) == []


def test_a_volume_that_is_not_in_hu_is_refused(spine: Drawn) -> None:
    calibrated = replace(spine.volume, unit="mg/cm3")
    with pytest.raises(InputError, match="HU"):
        examine_scan(calibrated, spine.labels, spine.vertebrae, LEVELS)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, set()),
        ({"kvp": None}, {"kvp_unknown"}),
        ({"kvp": 100.0}, {"kvp_not_120"}),
        ({"kvp": 120.4}, set()),
        ({"kernel": None}, set()),
        ({"kernel": "B70f"}, {"sharp_kernel"}),
        ({"slice_thickness_mm": 5.0}, {"thick_slices"}),
        ({"kvp": 80.0, "kernel": "LUNG"}, {"kvp_not_120", "sharp_kernel"}),
    ],
)
def test_the_header_alone(spine: Drawn, facts: dict[str, object], expected: set[str]) -> None:
    flags = acquisition_flags(spine.with_acquisition(**facts).volume)
    assert {f.code for f in flags} == expected
    assert all(f.effect == "warn" and f.level is None for f in flags)


@pytest.mark.parametrize(
    ("kvp", "words"),
    [(80.0, "37 % higher"), (100.0, "14 % higher"), (140.0, "9 % lower"), (70.0, "37 % higher")],
)
def test_the_shift_by_voltage_is_that_of_one_bone(spine: Drawn, kvp: float, words: str) -> None:
    (flag,) = acquisition_flags(spine.with_acquisition(kvp=kvp).volume)
    assert f"bone reads about {words}" in flag.message
    if kvp >= 80.0:
        # The simulator's spectra; means of different patients (AAPM 2026) differ by half of it.
        physics = [bone_hu(m, 0.5, kvp) / bone_hu(m, 0.5, 120.0) for m in (100, 150, 200)]
        assert flag.evidence["approximate_ratio"] == pytest.approx(np.mean(physics), abs=0.01)


def test_slices_are_judged_along_the_patient_whatever_the_array_order() -> None:
    # Slices of 3 mm stored along the last axis.
    grid = grid_from_spacing((40, 40, 40), (1.0, 1.0, 1.0))
    affine = np.zeros((4, 4))
    affine[2, 2], affine[1, 1], affine[0, 0], affine[3, 3] = 3.0, 1.0, 1.0, 1.0
    volume = Volume(np.zeros((40, 40, 40), np.int16), replace(grid, affine_lps_mm=affine))
    codes = {f.code: f for f in acquisition_flags(volume)}
    assert codes["thick_slices"].evidence["slice_mm"] == 3.0


@pytest.mark.parametrize(
    ("name", "sharp"),
    [
        # Siemens operating instructions: B30/B40 standard, B60 to B80 sharp.
        ("B30f", False), ("B40s", False), ("B60s", True), ("B80f", True), ("Br38f", False),
        ("Br64d", True), ("I31f", False), ("I70f", True), ("Qr40", False), ("Bl57d", False),
        ("STANDARD", False), ("SOFT", False), ("BONEPLUS", True), ("BONE", True),
        ("EDGE", True), ("LUNG", True), ("A", False), ("B", False), ("YA", True), ("D", True),
        ("FC08", False), ("FC18", False), ("FC30", True), ("FC51", True), ("FC86", True),
    ],
)  # fmt: skip
def test_kernel_names_of_four_vendors(name: str, sharp: bool) -> None:
    value = kernel_sharpness(name)
    assert value is not None
    assert (value >= 60) is sharp


@pytest.mark.parametrize("name", ["", "unknown", "XYZ12", "FC"])
def test_an_unknown_kernel_is_unknown(name: str) -> None:
    assert kernel_sharpness(name) is None


@pytest.mark.parametrize(
    ("header", "aorta_hu", "expected", "phase"),
    [
        (None, None, "contrast_unknown", None),
        (None, 42.0, None, None),
        (None, 75.0, "contrast_unknown", None),
        (False, 75.0, None, None),
        (False, None, None, None),
        (False, 42.0, None, None),
        (False, 150.0, "contrast_enhanced", "venous"),
        (None, 150.0, "contrast_enhanced", "venous"),
        (None, 310.0, "contrast_enhanced", "arterial"),
        (True, None, "contrast_enhanced", None),
        (True, 45.0, "contrast_enhanced", None),
        (True, 310.0, "contrast_enhanced", "arterial"),
    ],
)
def test_contrast_by_header_and_aorta(
    header: bool | None, aorta_hu: float | None, expected: str | None, phase: str | None
) -> None:
    grid = grid_from_spacing((2, 2, 2), (1.0, 1.0, 1.0))
    scan = Volume(
        np.zeros((2, 2, 2), np.int16), grid, acquisition=Acquisition(contrast_enhanced=header)
    )
    aorta = None if aorta_hu is None else AortaAttenuation(aorta_hu, 500)
    flags = contrast_flags(scan, aorta)
    assert [f.code for f in flags] == ([expected] if expected else [])
    if flags:
        assert flags[0].evidence["phase"] == phase
        assert flags[0].effect == "warn"


def test_the_lumen_is_measured_without_wall_and_plaque(spine: Drawn) -> None:
    aorta = spine.labels.array == SCHEME.structures["aorta"]
    values = spine.volume.array.copy()
    # A calcified wall: the outer 2 mm at 600 HU.
    inner = np.zeros_like(aorta)
    inner[:, 2:-2, 2:-2] = (
        aorta[:, 2:-2, 2:-2] & aorta[:, :-4, 2:-2] & aorta[:, 4:, 2:-2]
        & aorta[:, 2:-2, :-4] & aorta[:, 2:-2, 4:]
    )  # fmt: skip
    values[aorta & ~inner] = 600
    calcified = spine.with_values(values)
    found = aorta_attenuation(calcified.volume, calcified.labels, calcified.vertebrae)
    assert found is not None
    assert found.median_hu == pytest.approx(BLOOD_HU, abs=3)
    bare = spine.relabelled(np.where(aorta, 0, spine.labels.array).astype(np.uint8))
    assert aorta_attenuation(bare.volume, bare.labels, bare.vertebrae) is None


@pytest.mark.parametrize("noise_hu", [8.0, 25.0, 60.0])
def test_white_noise_is_measured(noise_hu: float) -> None:
    noisy = draw_spine(noise_hu, seed=3)
    measured = measure_noise_hu(noisy.volume, noisy.vertebrae)
    assert measured is not None
    # The quiet quartile of blocks of 5 x 5 x 4 voxels reads a little low.
    assert 0.85 * noise_hu < measured < 1.05 * noise_hu
    assert [f.code for f in noise_flags(measured)] == (["high_noise"] if noise_hu > 40 else [])


def test_noise_is_unknown_without_vertebrae_or_tissue(spine: Drawn) -> None:
    assert measure_noise_hu(spine.volume, {}) is None
    air = spine.with_values(np.full_like(spine.volume.array, -1000))
    assert measure_noise_hu(air.volume, air.vertebrae) is None
    assert noise_flags(None) == []


def test_a_field_that_cuts_the_body_is_seen_at_the_border_and_at_the_circle(spine: Drawn) -> None:
    assert field_of_view_flags(spine.volume, spine.vertebrae) == []
    # Square cut: only the middle 120 mm of the width remain.
    box = (slice(None), slice(None), slice(50, 130))
    labels = replace(spine.labels.crop(box))
    narrow = spine.volume.crop(box)
    (flag,) = field_of_view_flags(narrow, cut_out(labels, spine.bodies[box]))
    assert flag.code == "truncated_field_of_view"
    # Two sides, each about as long as the body is deep there.
    assert 150 < float(flag.evidence["longest_contact_mm"]) < 330
    # Circle with undeclared constant padding.
    _, y, x = np.ogrid[:1, : spine.volume.array.shape[1], : spine.volume.array.shape[2]]
    outside = np.hypot((y - 62) * 1.5, (x - 90) * 1.5) > 70
    padded = np.where(outside, np.int16(-2048), spine.volume.array)
    (flag,) = field_of_view_flags(spine.with_values(padded).volume, spine.vertebrae)
    assert float(flag.evidence["longest_contact_mm"]) > 100


@settings(derandomize=True, deadline=None, max_examples=15)
@given(radius=st.integers(10, 30), shift=st.integers(-25, 25))
def test_contact_is_zero_inside_and_grows_when_the_body_leaves(radius: int, shift: int) -> None:
    y, x = np.ogrid[:80, :80]
    body = np.hypot(y - 40, x - 40 - shift) <= radius
    image = np.where(body, 40, -1000).astype(np.int16)
    image += np.where(body, 0, (x * 7 + y * 3) % 11).astype(np.int16)
    reaches = 40 + abs(shift) + radius >= 79 or 40 - abs(shift) - radius <= 0
    seed = (40, int(np.clip(40 + shift, 1, 78)))
    contact = border_contact_mm(image, seed, np.array([1.0, 1.0]), None)
    assert (contact > 0) == reaches


def test_metal_is_found_measured_and_placed(spine: Drawn) -> None:
    assert metal_clusters(spine.volume) == ()
    values = spine.volume.array.copy()
    values[2:8, 30:36, 20:26] = 3071
    k, _, _ = spine.place("L3")
    values[k : k + 4, 20:26, 150:156] = 2900
    values[60, 10, 10] = 3000
    implant = spine.with_values(values)
    clusters = metal_clusters(implant.volume)
    # 216 and 144 voxels of 4.5 mm3; the lone voxel is no cluster.
    assert [c.volume_cm3 for c in clusters] == pytest.approx([0.972, 0.648])
    assert clusters[0].first_slice == 2
    assert clusters[0].last_slice == 7
    assert clusters[0].centre_mm == pytest.approx((22.5 * 1.5, 32.5 * 1.5, 9.0))
    (flag,) = metal_flags(clusters, implant.vertebrae)
    assert (flag.code, flag.effect, flag.level) == ("metal_in_scan", "warn", None)
    assert "L3" in list(flag.evidence["levels_in_same_slices"])
    assert "T12" not in list(flag.evidence["levels_in_same_slices"])


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_metal_does_not_depend_on_the_order_in_memory(
    spine: Drawn, order: tuple[int, int, int]
) -> None:
    values = spine.volume.array.copy()
    values[5:12, 60:66, 40:44] = 3071
    inverse = np.argsort(order)
    stored = np.ascontiguousarray(values.transpose(order)).transpose(inverse)
    straight = metal_clusters(spine.with_values(values).volume)
    assert metal_clusters(spine.with_values(stored).volume) == straight
    assert len(straight) == 1


def test_dense_cortex_is_no_metal(spine: Drawn) -> None:
    values = spine.volume.array.copy()
    values[5:12, 60:66, 40:44] = 1900
    assert metal_clusters(spine.with_values(values).volume) == ()
