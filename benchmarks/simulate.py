"""How long one simulated patient takes, from specification to files, on one core.

Run ``python benchmarks/simulate.py``. The target is 5 s of processor time a patient at 1 mm in
plane and 2 mm slices, rendering and writing (DICOM, NIfTI, labels in three schemes). Nothing else
makes such patients, so the yardstick is the least that any path must do: NumPy draws the noise,
SciPy blurs the volume once and SimpleITK writes the same files.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import SimpleITK as sitk  # noqa: N813
from scipy.ndimage import gaussian_filter

from osteoscope.simulation.dxa import examine_dxa
from osteoscope.simulation.patient import sample_patient
from osteoscope.simulation.patient_files import write_patient
from osteoscope.simulation.patient_spec import PatientSpec
from osteoscope.simulation.render import SimulatedPatient, simulate_patient
from osteoscope.simulation.scan import ScanSpec

Result = TypeVar("Result")

TARGET_S = 5.0
PATIENTS = 3


def timed(work: Callable[..., Result], *args: object) -> tuple[Result, float]:
    """A call's result and its processor seconds; other programs on the machine do not count."""
    start = time.process_time()
    result = work(*args)
    return result, time.process_time() - start


def least_work(simulated: SimulatedPatient, folder: Path) -> None:
    """White noise, one blur and the files, with no anatomy."""
    shape = simulated.volume.array.shape
    noise = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    image = gaussian_filter(noise, (0, 0.6, 0.6)).astype(np.int16)
    whole = sitk.GetImageFromArray(image)
    sitk.WriteImage(whole, str(folder / "least.nii.gz"), useCompression=True)
    for k in range(shape[0]):
        sitk.WriteImage(whole[:, :, k], str(folder / f"{k:04d}.dcm"))
    for name in ("a", "b", "c"):
        labels = sitk.GetImageFromArray(simulated.labels.array)
        sitk.WriteImage(labels, str(folder / f"{name}.nii.gz"), useCompression=True)


def scanned(patient: PatientSpec) -> SimulatedPatient:
    """The patient at 1 mm in plane and 2 mm slices."""
    return simulate_patient(patient, ScanSpec(in_plane_mm=1.0, slice_mm=2.0), seed=0)


def written(simulated: SimulatedPatient, folder: Path) -> None:
    """Every file of the patient."""
    write_patient(folder / "patient", simulated, patient_id="bench")


def main() -> None:
    """Print seconds by step and the ratio to the least work."""
    patients = [sample_patient(np.random.default_rng(n)) for n in range(PATIENTS)]
    simulate_patient(patients[0], ScanSpec(in_plane_mm=4.0, slice_mm=8.0), seed=0)  # warm tables
    rows = []
    for patient in patients:
        _, dxa = timed(examine_dxa, patient)
        made, render = timed(scanned, patient)
        with tempfile.TemporaryDirectory() as folder:
            _, write = timed(written, made, Path(folder))
            _, least = timed(least_work, made, Path(folder))
        rows.append((dxa, render, write, render + write, least))
    dxa, render, write, total, least = (float(m) for m in np.median(rows, axis=0))
    print(f"voxels               {made.volume.array.shape}")
    print(f"DXA alone            {dxa:6.3f} s")
    print(f"render               {render:6.2f} s")
    print(f"write                {write:6.2f} s")
    print(f"render and write     {total:6.2f} s   target {TARGET_S:.1f} s")
    print(f"least work           {least:6.2f} s")
    print(f"ratio to least work  {total / least:6.2f}")
    raise SystemExit(0 if total <= TARGET_S else 1)


if __name__ == "__main__":
    main()
