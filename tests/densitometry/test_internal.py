"""Internal calibration against NIST's tables, a spectral model and a made torso."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from osteoscope.core.errors import GeometryError, InputError, QualityError
from osteoscope.core.grid import grid_from_spacing
from osteoscope.core.label_schemes import label_scheme
from osteoscope.core.labelmap import LabelMap
from osteoscope.core.volume import Volume
from osteoscope.densitometry.calibration.attenuation import (
    ENERGIES_KEV,
    TISSUES,
    linear_attenuation_cm,
    water_cm,
)
from osteoscope.densitometry.calibration.internal import TissueSample, fit_internal
from osteoscope.densitometry.calibration.tissue_samples import internal_tissues
from osteoscope.simulation.materials import bone_hu, material_hu

SIMULATED_NAMES = {"adipose": "fat", "air": "air", "blood": "blood", "muscle": "muscle"}


def _at(energy_kev, values):
    return float(values[energy_kev == ENERGIES_KEV][0])


def _spectral_samples(kvp):
    return [TissueSample(t, material_hu(m, kvp), 10.0, 5000) for t, m in SIMULATED_NAMES.items()]


@pytest.mark.parametrize(
    ("name", "kev", "published_cm2_g"),
    [
        # NIST X-Ray Mass Attenuation Coefficients, table 4 (ICRU-44 tissues), total with
        # coherent scatter; cortical bone and adipose tissue at 60 and 80 keV.
        ("water", 60.0, 0.2059),
        ("water", 80.0, 0.1837),
        ("adipose", 60.0, 0.1974),
        ("adipose", 80.0, 0.1800),
        ("muscle", 60.0, 0.2048),
        ("muscle", 80.0, 0.1823),
        ("blood", 60.0, 0.2057),
        ("cortical", 60.0, 0.3148),
        ("cortical", 80.0, 0.2229),
        ("air", 60.0, 0.1875),
    ],
)
def test_attenuation_agrees_with_nist(name, kev, published_cm2_g):
    if name == "water":
        value = _at(kev, water_cm())
    else:
        value = _at(kev, linear_attenuation_cm(name)) / TISSUES[name].density_g_cm3
    assert value == pytest.approx(published_cm2_g, rel=0.01)


@pytest.mark.parametrize("kev", [55.0, 70.0])
def test_the_effective_energy_of_a_monochromatic_scan_is_found(kev):
    water = _at(kev, water_cm())
    samples = [
        TissueSample(name, 1000 * (_at(kev, linear_attenuation_cm(name)) - water) / water, 8, 900)
        for name in ("adipose", "air", "muscle", "blood")
    ]
    fit = fit_internal(samples)
    assert fit.effective_energy_kev == pytest.approx(kev, abs=0.5)
    assert fit.r2 == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("kvp", [80.0, 100.0, 120.0, 140.0])
def test_bone_of_known_mineral_is_read_back_through_a_spectrum(kvp):
    # The simulator's spectral model is the independent truth; marrow half fat, as assumed.
    line = fit_internal(_spectral_samples(kvp)).calibration
    true_slope = 100 / (bone_hu(200, 0.5, kvp) - bone_hu(100, 0.5, kvp))
    assert line.slope_mg_cm3_per_hu == pytest.approx(true_slope, rel=0.04)
    for mineral in (50.0, 100.0, 150.0):
        value, error = line.hu_to_bmd(bone_hu(mineral, 0.5, kvp))
        assert value == pytest.approx(mineral, abs=5.0)
        assert 5.0 < error < 45.0


def test_fat_in_the_marrow_lies_within_the_stated_error():
    line = fit_internal(_spectral_samples(120.0)).calibration
    for fat in (0.3, 0.7):
        value, error = line.hu_to_bmd(bone_hu(100.0, fat, 120.0))
        assert abs(value - 100.0) < 1.96 * error


def test_an_enhanced_aorta_is_dropped_and_said_so():
    samples = [
        dataclasses.replace(s, hu=180.0) if s.tissue == "blood" else s
        for s in _spectral_samples(120.0)
    ]
    fit = fit_internal(samples)
    assert [s.tissue for s in fit.used] == ["adipose", "air", "muscle"]
    assert "180 HU lies outside -20 to 60 HU" in fit.calibration.warnings[0]
    with pytest.raises(QualityError, match="at least 3 plausible tissues, but has 2; blood"):
        fit_internal([s for s in samples if s.tissue != "muscle"])


def test_a_cortical_standard_narrows_the_error():
    water = _at(67.0, water_cm())
    cortical = 1000 * (_at(67.0, linear_attenuation_cm("cortical")) - water) / water
    plain = fit_internal(_spectral_samples(120.0)).calibration
    sample = TissueSample("cortical", min(cortical, 1400.0), 60.0, 500)
    helped = fit_internal([*_spectral_samples(120.0), sample]).calibration
    assert helped.covariance[0, 0] < plain.covariance[0, 0]


def test_tissues_that_cannot_be_used_are_refused():
    samples = _spectral_samples(120.0)
    with pytest.raises(InputError, match="once"):
        fit_internal([*samples, samples[0]])
    with pytest.raises(InputError, match="chalk"):
        fit_internal([*samples, TissueSample("chalk", 0.0, 1.0, 10)])


def _torso(noise_hu=8.0):
    """An elliptic torso: fat under skin, muscle inside, aorta, back muscles, air around."""
    grid = grid_from_spacing((10, 90, 120), (4.0, 3.0, 3.0))
    y, x = np.meshgrid((np.arange(90) - 45) * 3.0, (np.arange(120) - 60) * 3.0, indexing="ij")
    radius = np.hypot(y / 110.0, x / 150.0)
    flat = np.full(y.shape, -999.0)
    flat[radius <= 1.0] = -102.0
    flat[radius <= 0.75] = 38.0
    labels = np.zeros(y.shape, dtype=np.uint8)
    labels[np.hypot(y - 10, x) <= 14] = 52
    flat[labels == 52] = 42.0
    labels[(np.abs(x - 45) <= 25) & (np.abs(y - 60) <= 18)] = 86
    flat[labels == 86] = 51.0
    rng = np.random.default_rng(3)
    values = flat + rng.normal(0, noise_hu, (10, 90, 120))
    values[:, :5] = -1024.0
    volume = Volume(np.maximum(np.round(values), -1024).astype(np.int16), grid)
    return volume, LabelMap(np.repeat(labels[None], 10, axis=0), grid, _scheme())


def _scheme():
    return label_scheme("totalsegmentator")


def test_tissues_are_found_at_their_values():
    found = {s.tissue: s for s in internal_tissues(*_torso())}
    expected = {"adipose": -102.0, "air": -999.0, "blood": 42.0, "muscle": 51.0}
    assert {t: s.hu for t, s in found.items()} == pytest.approx(expected, abs=2.0)
    assert all(s.n_voxels >= 100 for s in found.values())
    assert found["adipose"].sd == pytest.approx(8.0, rel=0.3)


def test_a_tissue_that_is_not_labelled_is_left_out():
    volume, labels = _torso()
    bare = dataclasses.replace(labels, array=np.where(labels.array == 52, 0, labels.array))
    assert {s.tissue for s in internal_tissues(volume, bare)} == {"adipose", "air", "muscle"}
    nothing = dataclasses.replace(labels, array=np.zeros_like(labels.array))
    assert internal_tissues(volume, nothing) == ()


def test_labels_on_another_grid_are_refused():
    volume, labels = _torso()
    other = grid_from_spacing(volume.grid.shape, (4.0, 3.0, 3.0), (9.0, 0.0, 0.0))
    with pytest.raises(GeometryError, match="another grid"):
        internal_tissues(volume, dataclasses.replace(labels, grid=other))
