"""Counts against counts by hand; time and memory within what they must be."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from osteoscope.core.errors import InputError
from osteoscope.models import cost, create_model
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


def test_networks_and_layouts_take_turns() -> None:
    passes: list[tuple[str, bool]] = []
    turns: list[int] = []

    def maker(name: str) -> Callable[[], nn.Module]:
        def make() -> nn.Module:
            network = nn.Conv3d(2, 3, 2)
            network.register_forward_hook(
                lambda layer, *_: passes.append(
                    (name, layer.weight.is_contiguous(memory_format=torch.channels_last_3d))
                )
            )
            return network

        return make

    latencies_ms([maker("a"), maker("b")], (2, 4, 4, 4), repeats=2, on_turn=turns.append)
    assert passes == [("a", False), ("a", True), ("b", False), ("b", True)] * 3
    assert turns == [0, 1, 2]


def test_the_median_of_the_timed_turns_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    # An untimed turn, then three: each network contiguous, then channels last.
    taken = iter([90.0, 90.0, 90.0, 90.0, 1, 5, 11, 20, 3, 4, 10, 30, 2, 9, 15, 25])
    monkeypatch.setattr(cost, "_one_pass_ms", lambda *_: next(taken))
    assert latencies_ms([nn.Identity] * 2, (1, 2, 2, 2), repeats=3) == [(2, 5), (11, 25)]


def test_times_are_of_evaluation() -> None:
    made: list[nn.Module] = []

    def make() -> nn.Module:
        made.append(nn.Sequential(nn.Conv3d(1, 2, 1), nn.BatchNorm3d(2)))
        return made[-1]

    ((contiguous, channels_last),) = latencies_ms([make], (1, 4, 4, 4), repeats=1)
    assert min(contiguous, channels_last) > 0
    assert len(made) == 2
    assert all(not network.training for network in made)


def test_no_repeats_are_refused() -> None:
    with pytest.raises(InputError, match="not 0"):
        latencies_ms([nn.Identity], (1, 2, 2, 2), repeats=0)
