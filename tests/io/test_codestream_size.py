"""The size that a compressed frame claims, against what real encoders wrote."""

from __future__ import annotations

import jpeg_ls
import numpy as np
import pytest
from openjpeg.utils import encode_array

from osteoscope.io.codestream_size import codestream_size


def picture(rows: int, columns: int) -> np.ndarray:
    return np.random.default_rng(rows).integers(0, 4000, (rows, columns)).astype(np.uint16)


@pytest.mark.parametrize("size", [(64, 64), (70, 300), (513, 65)])
def test_jpeg_2000(size: tuple[int, int]) -> None:
    code = encode_array(picture(*size), photometric_interpretation=2)
    assert codestream_size(code) == size
    assert codestream_size(bytes(80) + code) == size  # after the boxes of a JP2 file


@pytest.mark.parametrize("size", [(64, 64), (70, 300), (513, 65)])
def test_jpeg_ls(size: tuple[int, int]) -> None:
    code = bytes(jpeg_ls.encode_array(picture(*size)))
    assert codestream_size(code) == size


def test_jpeg_after_other_segments() -> None:
    application = b"\xff\xe0\x00\x04ab"
    tables = b"\xff\xc4\x00\x05abc"
    frame = b"\xff\xc3\x00\x0b\x0c\x02\x01\x03\x00\x01\x01\x11\x00"
    assert codestream_size(b"\xff\xd8" + application + b"\xff" + tables + frame) == (513, 768)


@pytest.mark.parametrize(
    "code",
    [b"", b"\xff\xd8", b"\xff\xd8\xff\xe0", b"\xff\xd8ab", b"\xff\x4f\xff\x51\x00", b"no picture"],
)
def test_what_is_no_frame_has_no_size(code: bytes) -> None:
    assert codestream_size(code) is None
