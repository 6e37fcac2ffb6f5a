"""Shapes against their closed-form volumes, and vertebrae against their specification."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osteoscope.simulation.levels import LEVELS_T10_TO_L5
from osteoscope.simulation.patient import sample_patient
from osteoscope.simulation.patient_spec import VertebraSpec
from osteoscope.simulation.signed_distance import (
    Field,
    capsule,
    coverage,
    ellipsoid,
    superellipse,
)
from osteoscope.simulation.spine import spine_frames
from osteoscope.simulation.vertebra_arch import (
    ARCUS,
    COSTAL_LEFT,
    COSTAL_RIGHT,
    SPINOSUS,
    arch_parts,
)
from osteoscope.simulation.vertebra_shape import (
    endplate_height,
    mineral_mg_cm3,
    vertebra_fields,
)

SPEC = VertebraSpec(
    level="L1", trabecular_vbmd_mg_cm3=120.0, arch_vbmd_mg_cm3=300.0, cortex_mm=0.5,
    endplate_mm=0.6, anterior_mm=25.0, middle_mm=24.0, posterior_mm=26.5, width_mm=41.0,
    depth_mm=31.0, disc_mm=8.0,
)  # fmt: skip


def axes(step: float, half: tuple[float, float, float]) -> tuple[Field, Field, Field]:
    """Open ``(u, v, w)`` arrays in (z, y, x) order."""
    u, v, w = (np.arange(-h, h + step / 2, step, dtype=np.float32) for h in half)
    return u[None, None, :], v[None, :, None], w[:, None, None]


def test_coverage_keeps_the_volume_of_a_capsule_and_an_ellipsoid() -> None:
    step = 1.0
    point = axes(step, (20, 20, 30))
    inside = coverage(capsule(point, (0, 0, -10), (0, 0, 12), 6.0), step).sum() * step**3
    assert inside == pytest.approx(np.pi * 36 * 22 + 4 / 3 * np.pi * 216, rel=0.01)
    inside = coverage(ellipsoid(point, (1, 0, 2), (9, 12, 15)), step).sum() * step**3
    assert inside == pytest.approx(4 / 3 * np.pi * 9 * 12 * 15, rel=0.01)


def test_a_superellipse_of_power_two_is_a_circle() -> None:
    u, v, _ = axes(0.5, (15, 15, 0))
    distance = superellipse(u, v, 10.0, 10.0, 2.0)[0]
    exact = np.hypot(*np.broadcast_arrays(u[0], v[0])) - 10
    near = np.abs(exact) < 2
    assert np.abs(distance - exact)[near].max() < 0.05


def test_vertebra_shares_are_shares() -> None:
    fields = vertebra_fields(SPEC, axes(1.0, (45, 70, 35)), 1.0, 1.0)
    assert fields.whole.max() <= 1.0 + 1e-5
    for part in (fields.trabecular, fields.cortex, fields.arch, fields.osteophyte):
        assert part.min() >= -1e-6


@pytest.mark.parametrize("osteophyte_mm", [0.0, 4.0])
def test_mineral_does_not_depend_on_the_voxels(osteophyte_mm: float) -> None:
    spec = replace(SPEC, osteophyte_mm=osteophyte_mm, endplate_sclerosis_mg_cm3=30.0)
    mass = []
    for step in (0.6, 2.0):
        fields = vertebra_fields(spec, axes(step, (45, 72, 36)), step, step)
        mass.append(float(mineral_mg_cm3(spec, fields).sum(dtype=np.float64)) * step**3 * 1e-6)
    assert mass[1] == pytest.approx(mass[0], rel=0.03)
    assert 6.0 < mass[0] < 20.0, "grams of mineral in a lumbar vertebra"


def test_body_heights_of_the_labels_are_those_asked_for() -> None:
    spec = replace(SPEC, anterior_mm=19.0, middle_mm=18.0, posterior_mm=25.0)
    step = 0.5
    u, v, w = axes(step, (2, 20, 18))
    body = vertebra_fields(spec, (u, v, w), step, step).body >= 0.5
    middle = body[:, :, body.shape[2] // 2]
    # From end to end, because the waist is hollow.
    used = [np.flatnonzero(c) for c in middle.T]
    column = np.array([(c[-1] - c[0] + 1) * step if len(c) else 0.0 for c in used])
    where = v[0, :, 0]
    for at, height in ((-14.0, 19.0), (0.0, 18.0), (12.5, 25.0)):
        assert column[np.argmin(np.abs(where - at))] == pytest.approx(height, abs=step)


def test_heights_at_rims_and_centre_are_exact() -> None:
    v = np.array([-15.0, -12.0, 0.0, 12.0, 15.0], dtype=np.float32)
    heights = endplate_height(SPEC, np.zeros_like(v), v)
    np.testing.assert_allclose(heights, [25.0, 25.0, 24.0, 26.5, 26.5], atol=1e-4)


def test_a_vertebra_is_symmetric_and_its_sides_are_named_right() -> None:
    point = axes(1.0, (44, 66, 32))
    fields = vertebra_fields(SPEC, point, 1.0, 1.0)
    np.testing.assert_allclose(fields.whole, fields.whole[:, :, ::-1], atol=1e-4)
    u = np.broadcast_to(point[0], fields.subregion.shape)
    assert u[fields.subregion == COSTAL_LEFT].min() > 0
    assert u[fields.subregion == COSTAL_RIGHT].max() < 0
    v = np.broadcast_to(point[1], fields.subregion.shape)
    assert v[fields.subregion == SPINOSUS].mean() > v[fields.subregion == ARCUS].mean()


def test_a_sacral_body_has_no_transverse_processes() -> None:
    parts = {p.subregion for p in arch_parts(replace(SPEC, level="S1"))}
    assert COSTAL_LEFT not in parts
    assert ARCUS in parts


@settings(max_examples=20, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6), lordosis=st.floats(0.6, 1.3), scoliosis=st.floats(-20, 20))
def test_a_spine_rises_with_orthonormal_axes(seed: int, lordosis: float, scoliosis: float) -> None:
    patient = replace(
        sample_patient(np.random.default_rng(seed)), lordosis=lordosis, scoliosis_deg=scoliosis
    )
    frames = spine_frames(patient)
    order = [*LEVELS_T10_TO_L5, "S1"]
    for upper, lower in pairwise(order):
        gap = frames[upper].centre_mm - frames[lower].centre_mm
        assert gap[2] > 15
        assert 20 < np.linalg.norm(gap) < 50
    for frame in frames.values():
        np.testing.assert_allclose(frame.axes @ frame.axes.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(frame.axes) == pytest.approx(1.0)
        local = frame.to_local(*(np.float32(c) for c in frame.to_world((3.0, -5.0, 7.0))))
        np.testing.assert_allclose(np.ravel(local), (3.0, -5.0, 7.0), atol=1e-3)
    np.testing.assert_allclose(frames["L3"].centre_mm, 0.0, atol=1e-9)


def test_the_lumbar_spine_is_lordotic() -> None:
    patient = replace(sample_patient(np.random.default_rng(0)), lordosis=1.0, scoliosis_deg=0.0)
    frames = spine_frames(patient)
    l1, s1 = frames["L1"].axes[2], frames["S1"].axes[2]
    angle = np.degrees(np.arccos(np.clip(l1 @ s1, -1, 1)))
    assert 40 < angle < 60, "lordosis of L1-S1 averages about 50-60 degrees"
    assert s1[1] < 0 < l1[1], "S1 leans forward (anterior is -y), L1 backward"
