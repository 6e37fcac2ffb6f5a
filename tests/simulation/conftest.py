"""One patient in a few coarse scans, shared by the tests of this folder."""

from __future__ import annotations

import numpy as np
import pytest

from osteoscope.simulation.patient import sample_patient
from osteoscope.simulation.patient_spec import PatientSpec
from osteoscope.simulation.render import SimulatedPatient, simulate_patient
from osteoscope.simulation.scan import ScanSpec

COARSE = ScanSpec(in_plane_mm=2.0, slice_mm=2.0, noise_sd_hu=5.0)


@pytest.fixture(scope="session")
def patient() -> PatientSpec:
    return sample_patient(np.random.default_rng(11))


@pytest.fixture(scope="session")
def plain(patient: PatientSpec) -> SimulatedPatient:
    return simulate_patient(patient, COARSE, seed=7)
