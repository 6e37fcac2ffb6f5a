"""Label schemes told by names, numbers and order along the spine."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest

from osteoscope.anatomy.recognise import recognise_scheme, scheme_from_names
from osteoscope.core.errors import InputError
from osteoscope.core.grid import Grid, grid_from_spacing
from osteoscope.core.label_schemes import SCHEMES, VERTEBRAE

DATA = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "ct"


def stack(numbers, step=9, spacing=(3.0, 3.0, 3.0)):
    """Blocks one above the other, the first number at the top."""
    array = np.zeros((step * len(numbers) + 4, 30, 30), np.uint8)
    for place, number in enumerate(numbers):
        start = 2 + step * (len(numbers) - 1 - place)
        array[start : start + step - 2, 8:22, 9:21] = number
    return array, grid_from_spacing(array.shape, spacing)


LUMBAR = ("L1", "L2", "L3", "L4", "L5")


@pytest.mark.parametrize("scheme", ["totalsegmentator", "verse"])
@pytest.mark.parametrize(
    "levels", [LUMBAR, ("T11", "T12", *LUMBAR), ("T12", "L1"), ("C3", "C4", "C5"), ("L4", "L5")]
)
def test_order_along_the_spine(scheme, levels):
    array, grid = stack([SCHEMES[scheme].vertebrae[level] for level in levels])
    assert recognise_scheme(array, grid).name == scheme


def test_order_is_read_in_the_world():
    """The same file stored feet first."""
    array, grid = stack([SCHEMES["verse"].vertebrae[level] for level in LUMBAR])
    affine = grid.affine_lps_mm.copy()
    affine[:3, 3] += affine[:3, 0] * (grid.shape[0] - 1)
    affine[:3, 0] *= -1
    assert recognise_scheme(array[::-1], Grid(grid.shape, affine)).name == "verse"


def test_a_missing_level_in_between():
    array, grid = stack([19, 20, 0, 22, 23])
    assert recognise_scheme(array, grid).name == "verse"


@pytest.mark.parametrize("scheme", ["totalsegmentator", "verse"])
def test_two_labels_swapped_are_still_recognised(scheme):
    levels = ("T10", "T11", "T12", "L1", "L3", "L2", "L4", "L5")
    array, grid = stack([SCHEMES[scheme].vertebrae[level] for level in levels])
    assert recognise_scheme(array, grid).name == scheme


def test_verse_with_t13_and_sacrum():
    array, grid = stack([18, 19, 28, 20, 21, 22, 23, 24, 26])
    assert recognise_scheme(array, grid).name == "verse"


def test_totalsegmentator_with_organs():
    array, grid = stack([33, 32, 31, 30])
    array[:10, :5, :5] = 5
    array[10:20, :5, 25:] = 79
    assert recognise_scheme(array, grid).name == "totalsegmentator"


def test_one_high_number_is_totalsegmentator():
    array, grid = stack([31])
    assert recognise_scheme(array, grid).name == "totalsegmentator"


@pytest.mark.parametrize("number", [20, 25, 27])
def test_one_low_number_is_ambiguous(number):
    array, grid = stack([number])
    with pytest.raises(InputError, match="--scheme") as caught:
        recognise_scheme(array, grid)
    assert "totalsegmentator" in str(caught.value)
    assert "verse" in str(caught.value)


def test_the_message_says_what_a_number_would_be():
    array, grid = stack([20])
    with pytest.raises(InputError, match=r"verse \(20 is L1\)"):
        recognise_scheme(array, grid)


def test_subregions_side_by_side_along_the_spine():
    array = np.zeros((60, 40, 30), np.uint8)
    for number, y in ((49, 5), (50, 10), (41, 20), (42, 30)):
        for z in range(2, 56, 10):
            array[z : z + 7, y : y + 4, 10:20] = number
    assert recognise_scheme(array, grid_from_spacing(array.shape, (3, 3, 3))).name == (
        "tptbox-subregions"
    )


def test_a_neck_in_totalsegmentator_is_no_subregion_file():
    array, grid = stack([SCHEMES["totalsegmentator"].vertebrae[f"C{n}"] for n in range(1, 8)])
    assert recognise_scheme(array, grid).name == "totalsegmentator"


def test_empty_unknown_and_disordered():
    array, grid = stack([20, 21])
    with pytest.raises(InputError, match="every voxel is 0"):
        recognise_scheme(np.zeros_like(array), grid)
    with pytest.raises(InputError, match="no known scheme"):
        recognise_scheme(*stack([201, 202, 203]))
    with pytest.raises(InputError, match="--scheme"):
        recognise_scheme(*stack([29, 33, 30, 35, 31, 28]))
    with pytest.raises(InputError, match="not an image"):
        recognise_scheme(array.astype(np.uint16) * 1000, grid)


@pytest.mark.parametrize("scheme", ["totalsegmentator", "verse"])
def test_names_with_a_schemes_own_numbers(scheme):
    numbers = SCHEMES[scheme].vertebrae
    names = {number: f"vertebrae_{level}" for level, number in numbers.items()}
    assert scheme_from_names(names) is SCHEMES[scheme]


def test_names_with_their_own_numbers():
    scheme = scheme_from_names({1: "vertebrae_L1", 2: "L2", 3: "aorta", 4: "Vertebra_t12"})
    assert dict(scheme.vertebrae) == {"L1": 1, "L2": 2, "T12": 4}
    assert scheme.structures["aorta"] == 3
    assert scheme.name == "named"
    array, grid = stack([4, 1, 2])
    assert recognise_scheme(array, grid, {1: "L1", 2: "L2", 4: "T12"}).vertebrae["T12"] == 4


def test_names_that_say_nothing_fall_back_on_numbers():
    array, grid = stack([19, 20, 21])
    names = {19: "Segment_1", 20: "Segment_2", 21: "Segment_3"}
    assert scheme_from_names(names) is None
    assert recognise_scheme(array, grid, names).name == "verse"


def test_a_name_twice_is_refused():
    with pytest.raises(InputError, match="L1"):
        scheme_from_names({1: "vertebrae_L1", 2: "L1"})


def test_every_level_name_is_read():
    scheme = scheme_from_names({n + 1: f"vertebrae_{name}" for n, name in enumerate(VERTEBRAE)})
    assert set(scheme.vertebrae) == set(VERTEBRAE)


@pytest.mark.skipif(not DATA.is_dir(), reason="the shared scans are not there")
@pytest.mark.parametrize(
    "name",
    [
        "totalsegmentator_example/labels.nii.gz",
        "totalsegmentator_example/labels_cropped_fast.nii.gz",
        "siemens_t11_t12_labels.nii.gz",
    ],
)
def test_real_files(name):
    image = nibabel.load(DATA / name)
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine
    array = np.asarray(image.dataobj).transpose(2, 1, 0).astype(np.uint8)
    grid = Grid(array.shape, affine[:, [2, 1, 0, 3]])
    assert recognise_scheme(array, grid).name == "totalsegmentator"
