"""Reading an uncompressed CT series: osteoscope against SimpleITK and a pydicom loop.

    python benchmarks/dicom_reading.py --slices 300 --repeats 3

The series is written to a temporary folder and read once by each before the timing, so that every
reader finds it in the page cache. Rounds are interleaved, the best of each counts, and all three
must give the same voxels.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK
from numpy.typing import NDArray
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from osteoscope.io.scan import read_scan


def write_series(folder: Path, n_slices: int, size: int) -> None:
    """Noise of CT's size on 512 x 512 slices, with the headers that scanners write."""
    rng = np.random.default_rng(0)
    noise = rng.normal(1024, 60, (8, size, size)).astype(np.uint16)
    series, study = generate_uid(), generate_uid()
    for k in range(n_slices):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = CTImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
        ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        ds.StudyInstanceUID, ds.SeriesInstanceUID = study, series
        ds.Modality, ds.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
        ds.Manufacturer, ds.SeriesDescription, ds.PatientPosition = "ACME", "Spine", "HFS"
        ds.KVP, ds.ConvolutionKernel, ds.SliceThickness = 120, "Br40", 1
        ds.InstanceNumber, ds.SeriesNumber, ds.AcquisitionNumber = k + 1, 1, 1
        ds.ImagePositionPatient = [-180, -180, k * 1.0]
        ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        ds.PixelSpacing = [0.7, 0.7]
        ds.Rows = ds.Columns = size
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
        ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType = 1, -1024, "HU"
        ds.PixelData = noise[k % 8].tobytes()
        ds.save_as(folder / f"{k:05d}.dcm", enforce_file_format=True)


def by_osteoscope(folder: Path) -> NDArray[np.generic]:
    return read_scan(folder).volume.array


def by_simpleitk(folder: Path) -> NDArray[np.generic]:
    names = SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(names)
    return np.asarray(SimpleITK.GetArrayFromImage(reader.Execute()))


def by_pydicom_loop(folder: Path) -> NDArray[np.generic]:
    slices = [pydicom.dcmread(file) for file in folder.iterdir()]
    slices.sort(key=lambda ds: float(ds.ImagePositionPatient[2]))
    hu = [ds.pixel_array * float(ds.RescaleSlope) + float(ds.RescaleIntercept) for ds in slices]
    return np.stack(hu).astype(np.int16)


READERS: dict[str, Callable[[Path], NDArray[np.generic]]] = {
    "osteoscope": by_osteoscope,
    "SimpleITK": by_simpleitk,
    "pydicom loop": by_pydicom_loop,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_series(folder, options.slices, options.size)
        truth = by_osteoscope(folder)
        best = dict.fromkeys(READERS, float("inf"))
        for reader in READERS.values():
            assert np.array_equal(reader(folder), truth)
        for _ in range(options.repeats):
            for title, reader in READERS.items():
                start = time.perf_counter()
                reader(folder)
                best[title] = min(best[title], time.perf_counter() - start)
    print(f"{options.slices} slices of {options.size} x {options.size}, best of {options.repeats}")
    for title, seconds in best.items():
        ratio = seconds / best["osteoscope"]
        print(f"{title:14s} {seconds:7.3f} s   {ratio:5.2f} x osteoscope's time")


if __name__ == "__main__":
    main()
