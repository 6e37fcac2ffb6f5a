"""Turning a scan for a network, against ITK's own reorientation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st

from osteoscope.anatomy.segmenters.orientation import oriented
from osteoscope.core.errors import InputError
from osteoscope.core.grid import Grid
from osteoscope.io.image_files import to_sitk

CODES = [
    "".join(letters)
    for axes in itertools.permutations(("LR", "PA", "SI"))
    for letters in itertools.product(*axes)
]


def any_grid(order: tuple[int, ...], signs: tuple[int, ...], tilt_degrees: float) -> Grid:
    """A grid whose axes are permuted, flipped and turned about x."""
    angle = np.deg2rad(tilt_degrees)
    turn = np.array(
        [[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]]
    )
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.eye(3)[:, list(order)] * np.array([3.0, 1.5, 0.5]) * signs
    affine[:3, 3] = (12.0, -7.0, 150.0)
    return Grid((2, 3, 4), affine)


@settings(max_examples=40, derandomize=True, deadline=None)
@given(
    order=st.permutations([0, 1, 2]),
    signs=st.tuples(*[st.sampled_from([-1, 1])] * 3),
    tilt_degrees=st.floats(-30, 30),
    code=st.sampled_from(CODES),
)
def test_it_agrees_with_itk(
    order: list[int], signs: tuple[int, ...], tilt_degrees: float, code: str
) -> None:
    grid = any_grid(tuple(order), signs, tilt_degrees)
    array = np.arange(24, dtype=np.int16).reshape(grid.shape)
    view, turned = oriented(array, grid, code)
    itk = SimpleITK.DICOMOrient(to_sitk(array, grid), code)
    np.testing.assert_array_equal(view, SimpleITK.GetArrayFromImage(itk))
    np.testing.assert_allclose(turned.affine_lps_mm[:3, 3], itk.GetOrigin(), atol=1e-9)
    direction = np.array(itk.GetDirection()).reshape(3, 3)[:, ::-1]
    np.testing.assert_allclose(turned.directions, direction, atol=1e-9)
    np.testing.assert_allclose(turned.spacing_mm, itk.GetSpacing()[::-1], atol=1e-9)
    assert np.shares_memory(view, array)


@pytest.mark.parametrize("code", ["", "LP", "LLS", "XYZ", "lps", "LPSS"])
def test_what_is_no_orientation_is_refused(code: str) -> None:
    with pytest.raises(InputError, match="one each of L/R, P/A and S/I"):
        oriented(np.zeros((2, 3, 4)), any_grid((0, 1, 2), (1, 1, 1), 0), code)
