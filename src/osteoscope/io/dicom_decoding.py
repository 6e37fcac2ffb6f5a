"""Compressed DICOM pixels, decoded by permissively licensed codecs only."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from osteoscope.core.errors import InputError
from osteoscope.io.codestream_size import codestream_size
from osteoscope.io.dicom_frames import Frame
from osteoscope.io.dicom_headers import NATIVE
from osteoscope.io.simple_itk import sitk

PLUGINS: Mapping[str, str] = {
    "1.2.840.10008.1.2.4.90": "pylibjpeg",  # JPEG 2000, lossless
    "1.2.840.10008.1.2.4.91": "pylibjpeg",  # JPEG 2000
    "1.2.840.10008.1.2.4.201": "pylibjpeg",  # High-Throughput JPEG 2000, lossless
    "1.2.840.10008.1.2.4.202": "pylibjpeg",  # the same with RPCL
    "1.2.840.10008.1.2.4.203": "pylibjpeg",  # High-Throughput JPEG 2000
    "1.2.840.10008.1.2.4.80": "pyjpegls",  # JPEG-LS, lossless
    "1.2.840.10008.1.2.4.81": "pyjpegls",  # JPEG-LS, near-lossless
    "1.2.840.10008.1.2.5": "pydicom",  # RLE; the plugin pylibjpeg-rle panics on damaged data
}
"""pydicom decoding plugin by transfer syntax. A plugin is always named: left to itself pydicom
would also take pylibjpeg-libjpeg (GPL) where that happens to be installed."""

BY_SIMPLEITK = frozenset(
    {
        "1.2.840.10008.1.2.4.51",  # JPEG, 12 bits
        "1.2.840.10008.1.2.4.57",  # JPEG, lossless
        "1.2.840.10008.1.2.4.70",  # JPEG, lossless, first-order prediction
    }
)


_RLE = "1.2.840.10008.1.2.5"
"""Run lengths state no size of their own."""


class FrameDecoder:
    """Decodes frames; keeps the file that it read last where a file holds several."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: tuple[Path, Any] | None = None

    def decode(self, frame: Frame) -> NDArray[Any]:
        """(rows, columns) stored numbers of a frame, before rescaling.

        Raises:
            InputError: The codec is not supported, or the data are damaged.
        """
        pixels = frame.file.pixels
        syntax = "" if pixels is None else pixels.transfer_syntax
        if syntax not in PLUGINS and syntax not in BY_SIMPLEITK and syntax not in NATIVE:
            raise InputError(
                f"The pixels are compressed by transfer syntax {syntax or 'unknown'!r}, which is "
                "not supported; export them as explicit VR little endian."
            )
        try:
            if syntax in BY_SIMPLEITK:
                _check_size(_read_dataset(frame.file.path), frame)
                return self._by_simpleitk(frame)
            dataset = self._file(frame, _read_dataset)
            if syntax in NATIVE:
                return _inflated(dataset, frame)
            if syntax != _RLE:
                _check_size(dataset, frame)
            array, _ = get_decoder(UID(syntax)).as_array(
                dataset, index=frame.index, raw=True, decoding_plugin=PLUGINS[syntax]
            )
        except Exception:  # codecs raise many kinds on damaged data, some quoting the header
            raise InputError(
                "The compressed pixels of a slice cannot be decoded: the file is truncated or "
                "damaged; copy or export it again."
            ) from None
        return array

    def _by_simpleitk(self, frame: Frame) -> NDArray[Any]:
        """GDCM applies the rescale of the file, so it is taken back."""
        values = self._file(frame, _read_by_simpleitk)
        slope, intercept = frame.rescale or (1.0, 0.0)
        stored = np.rint((values[frame.index] - np.float64(intercept)) / slope)
        return np.asarray(stored, dtype=np.int32)

    def _file(self, frame: Frame, read: Any) -> Any:
        path = frame.file.path
        if frame.file.pixels is not None and frame.file.pixels.n_frames == 1:
            return read(path)
        with self._lock:
            if self._kept is None or self._kept[0] != path:
                self._kept = (path, read(path))
            return self._kept[1]


def _read_dataset(path: Path) -> Dataset:
    return pydicom.dcmread(path, force=True)


def _check_size(dataset: Dataset, frame: Frame) -> None:
    """A frame that claims another size than the header is damaged, or a bomb."""
    pixels = frame.file.pixels
    assert pixels is not None
    code = get_frame(dataset.PixelData, frame.index, number_of_frames=pixels.n_frames)
    if codestream_size(code) != (pixels.rows, pixels.columns):
        raise ValueError("the frame's size is not the header's")


def _inflated(dataset: Dataset, frame: Frame) -> NDArray[Any]:
    """A frame of a deflated file: plain numbers once pydicom has inflated the file."""
    pixels = frame.file.pixels
    assert pixels is not None
    kind = f"<{'i' if pixels.signed else 'u'}{pixels.bits_allocated // 8}"
    count = pixels.rows * pixels.columns
    start = frame.index * count * (pixels.bits_allocated // 8)
    flat = np.frombuffer(dataset.PixelData, kind, count, start)
    return flat.reshape(pixels.rows, pixels.columns)


def _read_by_simpleitk(path: Path) -> NDArray[Any]:
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(path))
    array = sitk.GetArrayFromImage(reader.Execute())
    return np.asarray(array if array.ndim == 3 else array[np.newaxis])
