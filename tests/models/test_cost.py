"""Counts against counts by hand; time and memory within what they must be."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from osteoscope.core.errors import InputError
from osteoscope.models import create_model
from osteoscope.models.cost import count_multiplications, count_parameters, latencies_ms


def test_multiplications_of_the_small_network_by_hand() -> None:
    network = create_model("small3d", widths=(8, 8))
    # (16, 16, 16) voxels: the stem of 16 channels at 8^3, two stages of 8 channels at 4^3 and 2^3.
    stem = 8**3 * 27 * 1 * 16
    first = 4**3 * 27 * (16 * 8 + 8 * 8 + 8 * 8)
    second = 2**3 * 27 * 3 * 8 * 8
    assert count_multiplications(network, (1, 16, 16, 16)) == stem + first + second + 8 * 3


def test_multiplications_of_a_transformer_by_hand() -> None:
    network = create_model("vit3d-tiny", image_shape=(32, 32, 32), depth=2)
    width, tokens = 192, 9
    patches = 8 * width * 16**3
    linear = tokens * 12 * width**2
    attention = 2 * tokens**2 * width
    expected = patches + 2 * (linear + attention) + width * 3
    assert count_multiplications(network, (1, 32, 32, 32)) == expected


def test_grouped_convolutions_count_their_groups() -> None:
    layer = nn.Conv3d(8, 8, 3, padding=1, groups=8, bias=False)
    assert count_multiplications(layer, (8, 4, 4, 4)) == 4**3 * 27 * 8
    assert count_parameters(layer) == 27 * 8


def test_counting_leaves_the_network_where_it_was() -> None:
    network = create_model("small3d")
    count_multiplications(network, (1, 16, 16, 16))
    assert network.training
    assert network.fc.weight.device.type == "cpu"


def test_latencies_are_taken_in_both_layouts_and_the_layout_is_given_back() -> None:
    little = nn.Sequential(nn.Conv3d(1, 2, 1)).eval()
    much = nn.Sequential(nn.Conv3d(1, 32, 5, padding=2), nn.Conv3d(32, 8, 3)).eval()
    times = latencies_ms([little, much], (1, 24, 24, 24), repeats=3)
    assert all(math.isfinite(t) and t > 0 for pair in times for t in pair)
    weight = much[0].weight
    assert weight.is_contiguous(memory_format=torch.contiguous_format)


def test_no_repeats_are_refused() -> None:
    with pytest.raises(InputError, match="not 0"):
        latencies_ms([nn.Identity()], (1, 2, 2, 2), repeats=0)
