"""Kernels get a depth, and RGB kernels any number of channels, without a change of scale."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from timm.models._manipulate import adapt_input_conv

from osteoscope.core.errors import ModelError
from osteoscope.models.kernels import inflate_kernel, spread_input_channels


@settings(max_examples=25, deadline=None)
@given(depth=st.integers(1, 16), inflation=st.sampled_from(["average", "centre"]))
def test_a_constant_volume_sees_the_2d_kernel(depth: int, inflation: str) -> None:
    kernel = torch.randn(4, 3, 3, 5)
    inflated = inflate_kernel(kernel, depth, inflation)
    assert inflated.shape == (4, 3, depth, 3, 5)
    torch.testing.assert_close(inflated.sum(2), kernel)


def test_average_is_copies_and_centre_is_one_slice() -> None:
    kernel = torch.tensor([[[[6.0]]]])
    assert inflate_kernel(kernel, 3, "average").flatten().tolist() == [2.0, 2.0, 2.0]
    assert inflate_kernel(kernel, 5, "centre").flatten().tolist() == [0.0, 0.0, 6.0, 0.0, 0.0]


def test_fresh_draws_keep_the_variance_of_the_response() -> None:
    kernel = torch.randn(64, 32, 3, 3) * 0.3
    fresh = inflate_kernel(kernel, 3, "fresh")
    fan = kernel[0].numel()
    assert 3 * fan * fresh.var().item() == pytest.approx(fan * kernel.var().item(), rel=0.03)
    slices = fresh.movedim(2, 0).flatten(1)
    assert torch.corrcoef(slices)[0, 1].abs() < 0.03, "slices must be independent"
    assert not inflate_kernel(torch.zeros(2, 2, 3, 3), 3, "fresh").any()


def test_a_kernel_of_depth_one_keeps_its_numbers_and_is_a_copy() -> None:
    kernel = torch.randn(2, 2, 1, 1)
    for inflation in ("average", "centre", "fresh"):
        inflated = inflate_kernel(kernel, 1, inflation)
        assert torch.equal(inflated[:, :, 0], kernel)
        assert inflated.data_ptr() != kernel.data_ptr()


def test_an_unknown_inflation_names_the_known_ones() -> None:
    with pytest.raises(ModelError, match="average, centre, fresh"):
        inflate_kernel(torch.ones(1, 1, 3, 3), 3, "mean")  # type: ignore[arg-type]


@pytest.mark.parametrize("channels", [1, 2, 3, 5, 6])
def test_a_grey_image_in_every_channel_gets_the_rgb_response(channels: int) -> None:
    rgb = torch.randn(8, 3, 3, 3)
    grey = torch.randn(1, 1, 9, 9)
    spread = spread_input_channels(rgb, channels)
    torch.testing.assert_close(
        torch.conv2d(grey.expand(-1, channels, -1, -1), spread),
        torch.conv2d(grey.expand(-1, 3, -1, -1), rgb),
    )


def test_one_channel_gets_what_timm_gives_it() -> None:
    rgb = torch.randn(8, 3, 3, 3)
    torch.testing.assert_close(spread_input_channels(rgb, 1), adapt_input_conv(1, rgb))
