"""Vertebrae are of people's size, and their arches as thick and as spongy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from osteoscope.simulation.materials import bone_hu
from osteoscope.simulation.patient import sample_patient
from osteoscope.simulation.patient_spec import PatientSpec, VertebraSpec
from osteoscope.simulation.signed_distance import Field, capsule
from osteoscope.simulation.spine import spine_frames
from osteoscope.simulation.vertebra_arch import (
    ARCUS,
    ArchPart,
    arch_cortex_mm,
    arch_distance,
    arch_parts,
    part_distance,
)
from osteoscope.simulation.vertebra_shape import VertebraFields, mineral_mg_cm3, vertebra_fields

SPEC = VertebraSpec(
    level="L1", trabecular_vbmd_mg_cm3=120.0, arch_vbmd_mg_cm3=200.0, cortex_mm=0.6,
    endplate_mm=0.9, anterior_mm=25.0, middle_mm=24.0, posterior_mm=26.5, width_mm=42.0,
    depth_mm=34.0, disc_mm=8.0,
)  # fmt: skip
TALL = ArchPart(ARCUS, (0.0, -6.0, 0.0), (0.0, 6.0, 0.0), 3.0, 3.0)


def axes(step: float, half: tuple[float, float, float]) -> tuple[Field, Field, Field]:
    """Open ``(u, v, w)`` arrays in (z, y, x) order."""
    u, v, w = (np.arange(-h, h + step / 2, step, dtype=np.float32) for h in half)
    return u[None, None, :], v[None, :, None], w[:, None, None]


def l1_fields(patient: PatientSpec) -> tuple[VertebraSpec, VertebraFields]:
    spec = patient.by_level["L1"]
    return spec, vertebra_fields(spec, axes(2.0, (60, 90, 45)), 2.0, 2.0)


@pytest.fixture(scope="module")
def drawn() -> dict[str, NDArray[np.float64]]:
    """By sex, (n, 4): body and whole in cm3, the body's share of mineral, HU inside the arch."""
    rng = np.random.default_rng(31)
    rows: dict[str, list[tuple[float, ...]]] = {"F": [], "M": []}
    for _ in range(40):
        patient = sample_patient(rng)
        spec, fields = l1_fields(patient)
        cm3 = 2.0**3 / 1000.0
        mineral = mineral_mg_cm3(spec, fields).astype(np.float64)
        of_body = np.divide(fields.body, fields.whole, where=fields.whole > 0, out=mineral * 0)
        inside = np.median(
            [
                bone_hu(round(float(x)), patient.marrow_fat_fraction, 120.0)
                for x in mineral[fields.whole - fields.body > 0.99]
            ]
        )
        rows[patient.sex].append(
            (
                float(fields.body.sum()) * cm3,
                float(fields.whole.sum()) * cm3,
                float((mineral * of_body).sum() / mineral.sum()),
                float(inside),
            )
        )
    return {sex: np.array(values) for sex, values in rows.items()}


def test_bodies_of_l1_have_the_volumes_of_people_s(drawn: dict[str, NDArray[np.float64]]) -> None:
    # 41-42 by 33 by 26 mm and 45-46 by 35-36 by 28 mm, less the waist.
    assert 25.0 < drawn["F"][:, 0].mean() < 30.0
    assert 32.0 < drawn["M"][:, 0].mean() < 38.0
    for volumes in drawn.values():
        assert 0.08 < volumes[:, 0].std() / volumes[:, 0].mean() < 0.20


def test_the_arch_is_a_third_to_a_quarter_of_the_vertebra(
    drawn: dict[str, NDArray[np.float64]],
) -> None:
    for volumes in drawn.values():
        share = 1.0 - volumes[:, 0] / volumes[:, 1]
        assert share.min() > 0.25
        assert share.max() < 0.37
        assert 0.28 < share.mean() < 0.34


def test_the_body_holds_some_six_tenths_of_the_mineral(
    drawn: dict[str, NDArray[np.float64]],
) -> None:
    # Nottestad et al., JBMR 1987.
    assert 0.52 < np.concatenate(list(drawn.values()))[:, 2].mean() < 0.66


def test_the_arch_is_spongy_inside(drawn: dict[str, NDArray[np.float64]]) -> None:
    assert 200.0 < np.concatenate(list(drawn.values()))[:, 3].mean() < 350.0


def test_a_shell_inside_a_tall_part_is_equally_thick_all_round() -> None:
    for degrees in (0.0, 20.0, 45.0, 70.0, 90.0):
        angle = np.deg2rad(degrees)
        # On the ellipse of half axes 3 and 9 mm, and 0.6 mm inwards along its normal.
        edge = np.array([3.0 * np.cos(angle), 9.0 * np.sin(angle)])
        normal = np.array([np.cos(angle) / 3.0, np.sin(angle) / 9.0])
        inner = edge - 0.6 * normal / np.linalg.norm(normal)
        for place, expected in ((edge, 0.0), (inner, -0.6)):
            u, w = (np.full((1, 1, 1), x, dtype=np.float32) for x in place)
            found = float(part_distance(TALL, (u, np.zeros_like(u), w))[0, 0, 0])
            assert found == pytest.approx(expected, abs=0.08), degrees


def test_a_round_part_is_a_capsule() -> None:
    part = replace(TALL, stretch=1.0)
    point = axes(2.0, (8, 14, 8))
    expected = capsule(point, part.start, part.end, part.radius_mm)
    np.testing.assert_array_equal(part_distance(part, point), expected)


def test_looking_near_each_part_only_changes_nothing() -> None:
    point = axes(1.3, (45, 70, 35))
    near = arch_distance(SPEC, point, 1.3)[0]
    u, v, w = np.broadcast_arrays(*point)
    everywhere = np.min([part_distance(p, (u, v, w)) for p in arch_parts(SPEC)], axis=0)
    seen = everywhere < 1.3 / 2
    np.testing.assert_array_equal(near[seen], everywhere[seen])
    assert np.all(near[~seen] >= 1.3 / 2)


def test_the_canal_is_free_and_the_pedicles_are_as_wide_as_people_s() -> None:
    step = 0.5
    u = np.arange(-26, 26 + step / 2, step, dtype=np.float32)[None, None, :]
    v = np.arange(0, 40, step, dtype=np.float32)[None, :, None]
    w = np.array([4.0, -8.0], dtype=np.float32)[:, None, None]
    bone, lower = vertebra_fields(SPEC, (u, v, w), step, step).whole >= 0.5
    back = SPEC.depth_mm / 2
    row = bone[np.argmin(np.abs(v[0, :, 0] - (back + 4.0)))]
    right = u[0, 0] > 0
    assert 7.0 < row[right].sum() * step < 10.0, "mm across a pedicle of L1"
    between = u[0, 0][right][np.argmax(row[right])] * 2
    assert 21.0 < between < 26.0, "mm between the pedicles of L1"
    midline = lower[:, np.argmin(np.abs(u[0, 0]))]
    behind = v[0, :, 0] > back + 1.0
    free = v[0, :, 0][behind][np.argmax(midline[behind])] - back
    assert 14.0 < free < 20.0, "mm from the body to the lamina"


def test_the_arch_s_cortex_follows_the_body_s() -> None:
    assert arch_cortex_mm(replace(SPEC, cortex_mm=0.8)) > arch_cortex_mm(SPEC)
    assert 0.4 < arch_cortex_mm(SPEC) < 0.8


def test_neighbours_hardly_overlap() -> None:
    # Facets of a joint lie against each other; the DXA sums each vertebra alone.
    rng = np.random.default_rng(5)
    for _ in range(3):
        frames = spine_frames(sample_patient(rng))
        z = np.arange(-75, 110, 1.5, dtype=np.float32)[:, None, None]
        y = np.arange(-30, 90, 1.5, dtype=np.float32)[None, :, None]
        x = np.arange(-45, 46, 1.5, dtype=np.float32)[None, None, :]
        total = np.zeros(np.broadcast_shapes(z.shape, y.shape, x.shape))
        for level in ("T12", "L1", "L2", "L3", "L4"):
            frame = frames[level]
            total += vertebra_fields(frame.spec, frame.to_local(x, y, z), 1.5, 1.5).whole
        assert np.maximum(total - 1.0, 0.0).sum() < 0.01 * total.sum()
