"""Time and peak memory from files to result.json, beside the path that a user would write.

Run: ``python benchmarks/screen.py``. A simulated CT of 512 x 512 x 600 voxels is written once as
NIfTI; then each path runs in a process of its own, so that its peak memory is its own, and the
ratio is printed. The plain path loads the whole volume as float64, resamples volume and labels to
1 mm (SciPy's zoom as it comes: cubic splines; nearest for the labels), and takes the mean and
median of each vertebral mask after five erosions, as a first script does. The same with linear
interpolation, which is faster, stands beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LEVELS = {"T11": 33, "T12": 32, "L1": 31, "L2": 30, "L3": 29, "L4": 28, "L5": 27}


def make_scan(folder: Path, slices: int) -> None:
    """A simulated CT of exactly 512 x 512 x ``slices`` voxels, and its labels."""
    import numpy as np

    from osteoscope.core.volume import Volume
    from osteoscope.io.image_files import write_labels, write_volume
    from osteoscope.simulation.patient import sample_patient
    from osteoscope.simulation.render import simulate_patient
    from osteoscope.simulation.scan import ScanSpec

    patient = sample_patient(np.random.default_rng(3))
    scan = ScanSpec(in_plane_mm=0.7, slice_mm=338.0 / slices, field_of_view_mm=0.7 * 512)
    made = simulate_patient(patient, scan, seed=1)
    pad = max(0, slices - made.volume.grid.shape[0])
    keep = (slice(0, slices), slice(None), slice(None))
    array = np.pad(made.volume.array, ((0, pad), (0, 0), (0, 0)), mode="edge")[keep]
    labels = np.pad(made.labels.array, ((0, pad), (0, 0), (0, 0)))[keep]
    wide = (slice(0, made.volume.grid.shape[0] + pad), slice(None), slice(None))
    grid = type(made.volume.grid)(array.shape, made.volume.grid.crop(wide).affine_lps_mm)
    write_volume(folder / "ct.nii.gz", Volume(array, grid))
    write_labels(folder / "labels.nii.gz", labels, grid)


def run_plain(folder: Path, order: int = 3) -> dict[str, float]:
    """Load as float64, resample everything to 1 mm, erode each mask, take its mean and median."""
    import nibabel
    import numpy as np
    from scipy import ndimage

    start = time.perf_counter()
    image = nibabel.load(folder / "ct.nii.gz")
    volume = image.get_fdata()
    labels = nibabel.load(folder / "labels.nii.gz").get_fdata()
    read = time.perf_counter()
    zoom = np.array(image.header.get_zooms()[:3])
    volume = ndimage.zoom(volume, zoom, order=order)
    labels = ndimage.zoom(labels, zoom, order=0)
    resampled = time.perf_counter()
    result = {}
    for level, number in LEVELS.items():
        core = ndimage.binary_erosion(labels == number, iterations=5)
        values = volume[core]
        result[level] = {"mean": float(values.mean()), "median": float(np.median(values))}
    (folder / "plain.json").write_text(json.dumps(result))
    end = time.perf_counter()
    return {
        "seconds": end - start,
        "read": read - start,
        "resample": resampled - read,
        "measure": end - resampled,
    }


def run_plain_linear(folder: Path) -> dict[str, float]:
    """The plain path with linear interpolation, for whoever thinks of asking SciPy for it."""
    return run_plain(folder, order=1)


def run_osteoscope(folder: Path) -> dict[str, float]:
    """``osteoscope screen`` without the page, from the same files to result.json."""
    from osteoscope.studies.screen.config import ScreenConfig
    from osteoscope.studies.screen.pipeline import screen_scan

    start = time.perf_counter()
    screen_scan(
        folder / "ct.nii.gz",
        folder / "result",
        ScreenConfig(model="none"),  # the plain path asks no model either
        segmentation=folder / "labels.nii.gz",
        report=False,
    )
    return {"seconds": time.perf_counter() - start}


def run_read(folder: Path) -> dict[str, float]:
    """Reading the scan alone, for scale."""
    from osteoscope.io.scan import read_scan

    start = time.perf_counter()
    read_scan(folder / "ct.nii.gz")
    return {"seconds": time.perf_counter() - start}


PATHS = {
    "plain": run_plain,
    "plain, linear": run_plain_linear,
    "osteoscope": run_osteoscope,
    "read": run_read,
}


def peak_mb() -> float:
    """Peak resident memory since this program was started; Linux."""
    # Not getrusage's: that begins at what the parent held when it started this process.
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise SystemExit("This system does not tell a process's peak memory.")


def in_own_process(name: str, folder: Path) -> dict[str, float]:
    """Time and peak memory of one path."""
    command = [sys.executable, __file__, "--path", name, "--folder", str(folder)]
    # As the osteoscope program sets it; the plain path's work is not linear algebra.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=600)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--path", choices=PATHS)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    if options.path:
        measured = PATHS[options.path](options.folder)
        measured["peak_mb"] = peak_mb()
        print(json.dumps(measured))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        if not (folder / "ct.nii.gz").exists():
            make_scan(folder, options.slices)
        best: dict[str, dict[str, float]] = {}
        for _ in range(options.repeats):
            for name in PATHS:
                found = in_own_process(name, folder)
                if name not in best or found["seconds"] < best[name]["seconds"]:
                    best[name] = found
    volume_mb = 512 * 512 * options.slices * 2 / 2**20
    for name, found in best.items():
        share = found["peak_mb"] / volume_mb
        print(
            f"{name:13s} {found['seconds']:7.2f} s  peak {found['peak_mb']:6.0f} MB "
            f"({share:.2f} x the int16 volume)"
        )
        stages = {k: v for k, v in found.items() if k not in ("seconds", "peak_mb")}
        if stages:
            print(" " * 13, ", ".join(f"{k} {v:.2f} s" for k, v in stages.items()))
    for name in ("plain", "plain, linear"):
        ratio = best[name]["seconds"] / best["osteoscope"]["seconds"]
        print(f"osteoscope is {ratio:.1f} times as fast as the path: {name}.")


if __name__ == "__main__":
    main()
