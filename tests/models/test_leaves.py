"""Every leaf of the conversion table gives its 2D answer on a volume constant along depth."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from timm.layers import (
    adaptive_avgmax_pool,
    blur_pool,
    drop,
    eca,
    grn,
    layer_scale,
    norm,
    norm_act,
    pool2d_same,
    squeeze_excite,
    std_conv,
)
from timm.layers.conv2d_same import Conv2dSame
from timm.models import _efficientnet_blocks, convnext, hgnet, senet, vgg
from torch import nn

from osteoscope.core.errors import ModelError
from osteoscope.models.conversion_table import CONVERTERS, UNCHANGED
from osteoscope.models.inflate import inflate
from osteoscope.models.volumetric.blocks import DropBlock3d
from osteoscope.models.volumetric.convolution import deflated, pad_same
from tests.models.constant_along_depth import repeat_at_depth_ends, stack, with_statistics

EXAMPLES: dict[type[nn.Module], list[Callable[[], nn.Module]]] = {
    nn.Conv2d: [
        lambda: nn.Conv2d(8, 6, 3, stride=2, padding=1),
        lambda: nn.Conv2d(8, 8, (1, 5), padding=(0, 2), groups=8),
        lambda: nn.Conv2d(8, 6, 3, padding=2, dilation=2, padding_mode="replicate"),
        lambda: nn.Conv2d(8, 6, 3, padding="same"),
    ],
    Conv2dSame: [lambda: Conv2dSame(8, 6, 3, stride=2), lambda: Conv2dSame(8, 6, 4)],
    std_conv.StdConv2d: [lambda: std_conv.StdConv2d(8, 6, 3)],
    std_conv.StdConv2dSame: [lambda: std_conv.StdConv2dSame(8, 6, 3, stride=2)],
    std_conv.ScaledStdConv2d: [lambda: std_conv.ScaledStdConv2d(8, 6, 3, gain_init=1.7)],
    std_conv.ScaledStdConv2dSame: [lambda: std_conv.ScaledStdConv2dSame(8, 6, 3, stride=2)],
    nn.BatchNorm2d: [lambda: nn.BatchNorm2d(8)],
    norm_act.BatchNormAct2d: [lambda: norm_act.BatchNormAct2d(8)],
    norm.LayerNorm2d: [lambda: _random(norm.LayerNorm2d(8))],
    norm_act.LayerNormAct2d: [lambda: _random(norm_act.LayerNormAct2d(8))],
    norm.RmsNorm2d: [lambda: _random(norm.RmsNorm2d(8))],
    norm_act.RmsNormAct2d: [lambda: _random(norm_act.RmsNormAct2d(8))],
    nn.MaxPool2d: [lambda: nn.MaxPool2d(3, 2, 1), lambda: nn.MaxPool2d(2, ceil_mode=True)],
    nn.AvgPool2d: [
        lambda: nn.AvgPool2d(2, 2, ceil_mode=True, count_include_pad=False),
        lambda: nn.AvgPool2d(3, 1, 1, count_include_pad=False),
    ],
    nn.AdaptiveAvgPool2d: [lambda: nn.AdaptiveAvgPool2d(1)],
    nn.AdaptiveMaxPool2d: [lambda: nn.AdaptiveMaxPool2d((2, 3))],
    pool2d_same.MaxPool2dSame: [lambda: pool2d_same.MaxPool2dSame(3, 2)],
    pool2d_same.AvgPool2dSame: [lambda: pool2d_same.AvgPool2dSame(2, 2)],
    adaptive_avgmax_pool.AdaptiveAvgMaxPool2d: [adaptive_avgmax_pool.AdaptiveAvgMaxPool2d],
    adaptive_avgmax_pool.AdaptiveCatAvgMaxPool2d: [adaptive_avgmax_pool.AdaptiveCatAvgMaxPool2d],
    adaptive_avgmax_pool.FastAdaptiveAvgPool: [
        lambda: adaptive_avgmax_pool.FastAdaptiveAvgPool(flatten=True),
        lambda: adaptive_avgmax_pool.FastAdaptiveAvgPool(flatten=False),
    ],
    adaptive_avgmax_pool.FastAdaptiveMaxPool: [adaptive_avgmax_pool.FastAdaptiveMaxPool],
    adaptive_avgmax_pool.FastAdaptiveAvgMaxPool: [adaptive_avgmax_pool.FastAdaptiveAvgMaxPool],
    adaptive_avgmax_pool.FastAdaptiveCatAvgMaxPool: [
        adaptive_avgmax_pool.FastAdaptiveCatAvgMaxPool
    ],
    nn.Flatten: [lambda: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(1))],
    blur_pool.BlurPool2d: [
        lambda: blur_pool.BlurPool2d(8),
        lambda: blur_pool.BlurPool2d(None, filt_size=5, stride=2),
    ],
    squeeze_excite.SEModule: [
        lambda: squeeze_excite.SEModule(8),
        lambda: squeeze_excite.SEModule(8, add_maxpool=True, norm_layer=nn.BatchNorm2d),
    ],
    _efficientnet_blocks.SqueezeExcite: [lambda: _efficientnet_blocks.SqueezeExcite(8)],
    senet.SEModule: [lambda: senet.SEModule(8, 2)],
    squeeze_excite.EffectiveSEModule: [
        lambda: squeeze_excite.EffectiveSEModule(8, add_maxpool=True)
    ],
    hgnet.EseModule: [lambda: hgnet.EseModule(8)],
    eca.EcaModule: [lambda: eca.EcaModule(8), lambda: eca.EcaModule(8, use_mlp=True)],
    eca.CecaModule: [lambda: eca.CecaModule(8)],
    grn.GlobalResponseNorm: [lambda: _random(grn.GlobalResponseNorm(8, channels_last=False))],
    layer_scale.LayerScale2d: [lambda: _random(layer_scale.LayerScale2d(8))],
    convnext.ConvNeXtBlock: [
        lambda: convnext.ConvNeXtBlock(8, ls_init_value=0.7),
        lambda: convnext.ConvNeXtBlock(8, 16, stride=2, conv_mlp=True),
        lambda: _random(convnext.ConvNeXtBlock(8, use_grn=True, ls_init_value=None)),
    ],
    vgg.ConvMlp: [lambda: vgg.ConvMlp(8, 6, 3), lambda: vgg.ConvMlp(8, 6, 15)],
    drop.DropBlock2d: [lambda: drop.DropBlock2d(0.3, 3)],
}


def _random(module: nn.Module) -> nn.Module:
    """Weights that a fresh layer has as ones and zeros, drawn, so that they take part."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(1.0, 0.5, generator=generator)
    return module


CASES = [(kind, make) for kind, makes in EXAMPLES.items() for make in makes]


def test_every_entry_of_the_table_has_an_example() -> None:
    assert set(EXAMPLES) == set(CONVERTERS)


@pytest.mark.parametrize(("kind", "make"), CASES, ids=[kind.__name__ for kind, _ in CASES])
def test_the_3d_leaf_gives_the_2d_answer(kind: type[nn.Module], make) -> None:
    torch.manual_seed(1)
    flat = with_statistics(make())
    assert any(type(module) is kind for module in flat.modules())
    full = repeat_at_depth_ends(inflate(flat).eval())
    images = torch.randn(2, 8, 13, 14)
    with torch.no_grad():
        expected = flat(images)
        got = full(stack(images, 12))
    if got.ndim == 5:
        # Padding that follows from the size is zeros at the ends of depth too, by its own rule.
        by_size = "Same" in kind.__name__ or getattr(flat, "padding", 0) == "same"
        slices = got[:, :, 2:-2] if by_size else got
        assert slices.shape[2] > 0
        torch.testing.assert_close(slices, stack(expected, slices.shape[2]), rtol=1e-4, atol=1e-5)
    else:
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [7, 8, 9, 15])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 2), (5, 2), (2, 2), (3, 3)])
def test_same_padding_gives_the_size_over_the_stride_rounded_up(
    size: int, kernel: int, stride: int
) -> None:
    x = torch.ones(1, 1, size, size + 1, size + 2)
    padded = pad_same(x, (kernel,) * 3, (stride,) * 3, (1, 1, 1), 0.0)
    out = torch.nn.functional.max_pool3d(padded, kernel, stride)
    assert list(out.shape[2:]) == [-(-n // stride) for n in x.shape[2:]]


@pytest.mark.parametrize(
    "make", [*EXAMPLES[nn.Conv2d], *EXAMPLES[std_conv.StdConv2d], *EXAMPLES[Conv2dSame]]
)
def test_deflating_gives_the_2d_kernel_back(make) -> None:
    flat = make()
    torch.testing.assert_close(deflated(inflate(flat)), flat.weight)


def test_standardised_weights_refuse_the_central_slice() -> None:
    with pytest.raises(ModelError, match="use 'average'"):
        inflate(std_conv.StdConv2d(4, 4, 3), "centre")


def test_a_partial_flattening_is_refused() -> None:
    with pytest.raises(ModelError, match="axis 1 to the last"):
        inflate(nn.Sequential(nn.Flatten(2)))


def test_channels_last_response_norm_has_three_axes_of_space() -> None:
    flat = _random(grn.GlobalResponseNorm(8))
    full = inflate(flat)
    images = torch.randn(2, 5, 6, 8)
    volumes = images.unsqueeze(1).expand(-1, 4, -1, -1, -1)
    # The norm is a root of a sum over space, and the ratio to its mean over channels is the same.
    torch.testing.assert_close(full(volumes)[:, 2], flat(images), rtol=1e-4, atol=1e-5)


def test_drop_block_drops_about_its_share_in_blocks_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    block = inflate(drop.DropBlock2d(0.2, 5)).train()
    assert isinstance(block, DropBlock3d)
    x = torch.ones(2, 4, 20, 20, 20)
    dropped = block(x)
    share = (dropped == 0).float().mean().item()
    assert 0.1 < share < 0.25
    assert dropped.mean().item() == pytest.approx(1.0, abs=1e-4)
    zero = (dropped == 0).float()
    neighbours = (zero[..., 1:] * zero[..., :-1]).sum() / zero[..., 1:].sum()
    assert neighbours > 2 * share, "voxels must fall together"
    assert torch.equal(block.eval()(x), x)


@pytest.mark.parametrize("kind", [nn.GroupNorm, norm.GroupNorm, norm_act.GroupNormAct])
def test_group_norms_do_not_see_how_many_axes_there_are(kind: type[nn.Module]) -> None:
    assert kind in UNCHANGED
    flat = _random(kind(4, 8) if kind is nn.GroupNorm else kind(8, 4))
    images = torch.randn(2, 8, 5, 6)
    torch.testing.assert_close(inflate(flat)(stack(images, 7)), stack(flat(images), 7))
