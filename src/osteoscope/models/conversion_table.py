"""Which leaf of a 2D network becomes which 3D layer, and which leaves stay as they are."""

from __future__ import annotations

from collections.abc import Callable

from timm.layers import (
    activations,
    activations_me,
    adaptive_avgmax_pool,
    blur_pool,
    drop,
    eca,
    grn,
    layer_scale,
    linear,
    norm,
    norm_act,
    pool2d_same,
    separable_conv,
    squeeze_excite,
    std_conv,
)
from timm.layers.conv2d_same import Conv2dSame
from timm.models import _efficientnet_blocks, convnext, hgnet, nfnet, senet, vgg
from torch import nn

from osteoscope.models.kernels import Inflation
from osteoscope.models.volumetric import (
    blocks,
    channel_gates,
    convolution,
    normalisation,
    pooling,
)

Converter = Callable[[nn.Module, Inflation], nn.Module]

CONVERTERS: dict[type[nn.Module], Converter] = {
    nn.Conv2d: convolution.plain_3d,
    Conv2dSame: convolution.same_3d,
    std_conv.StdConv2d: convolution.standardised_3d,
    std_conv.StdConv2dSame: convolution.standardised_3d,
    std_conv.ScaledStdConv2d: convolution.standardised_3d,
    std_conv.ScaledStdConv2dSame: convolution.standardised_3d,
    nn.BatchNorm2d: normalisation.batch_norm_3d,
    norm_act.BatchNormAct2d: normalisation.batch_norm_act_3d,
    norm.LayerNorm2d: normalisation.layer_norm_3d,
    norm_act.LayerNormAct2d: normalisation.layer_norm_act_3d,
    norm.RmsNorm2d: normalisation.rms_norm_3d,
    norm_act.RmsNormAct2d: normalisation.rms_norm_act_3d,
    nn.MaxPool2d: pooling.max_pool_3d,
    nn.AvgPool2d: pooling.avg_pool_3d,
    nn.AdaptiveAvgPool2d: pooling.adaptive_avg_pool_3d,
    nn.AdaptiveMaxPool2d: pooling.adaptive_max_pool_3d,
    pool2d_same.MaxPool2dSame: pooling.same_max_pool_3d,
    pool2d_same.AvgPool2dSame: pooling.same_avg_pool_3d,
    adaptive_avgmax_pool.AdaptiveAvgMaxPool2d: pooling.avg_max_pool_3d,
    adaptive_avgmax_pool.AdaptiveCatAvgMaxPool2d: pooling.cat_avg_max_pool_3d,
    adaptive_avgmax_pool.FastAdaptiveAvgPool: pooling.global_pool_3d,
    adaptive_avgmax_pool.FastAdaptiveMaxPool: pooling.global_pool_3d,
    adaptive_avgmax_pool.FastAdaptiveAvgMaxPool: pooling.global_pool_3d,
    adaptive_avgmax_pool.FastAdaptiveCatAvgMaxPool: pooling.global_pool_3d,
    nn.Flatten: pooling.flatten_3d,
    blur_pool.BlurPool2d: pooling.blur_pool_3d,
    squeeze_excite.SEModule: channel_gates.squeeze_excite_3d,
    _efficientnet_blocks.SqueezeExcite: channel_gates.mobile_squeeze_excite_3d,
    senet.SEModule: channel_gates.senet_module_3d,
    squeeze_excite.EffectiveSEModule: channel_gates.effective_squeeze_excite_3d,
    hgnet.EseModule: channel_gates.hgnet_gate_3d,
    eca.EcaModule: channel_gates.efficient_channel_gate_3d,
    eca.CecaModule: channel_gates.circular_channel_gate_3d,
    grn.GlobalResponseNorm: channel_gates.response_norm_3d,
    layer_scale.LayerScale2d: channel_gates.layer_scale_3d,
    convnext.ConvNeXtBlock: blocks.convnext_block_3d,
    vgg.ConvMlp: blocks.conv_mlp_3d,
    drop.DropBlock2d: blocks.drop_block_3d,
}

UNCHANGED: frozenset[type[nn.Module]] = frozenset(
    {
        # What holds other modules.
        nn.Sequential,
        nn.ModuleList,
        nn.ModuleDict,
        # What treats every number alike.
        nn.Identity,
        nn.Dropout,
        nn.ReLU,
        nn.ReLU6,
        nn.LeakyReLU,
        nn.PReLU,
        nn.ELU,
        nn.SiLU,
        nn.GELU,
        nn.Mish,
        nn.Sigmoid,
        nn.Tanh,
        nn.Hardsigmoid,
        nn.Hardswish,
        nn.Hardtanh,
        nn.Softplus,
        activations.Swish,
        activations.Mish,
        activations.Sigmoid,
        activations.Tanh,
        activations.HardSwish,
        activations.HardSigmoid,
        activations.HardMish,
        activations.PReLU,
        activations.GELU,
        activations.GELUTanh,
        activations.QuickGELU,
        activations_me.SwishMe,
        activations_me.MishMe,
        activations_me.HardSigmoidMe,
        activations_me.HardSwishMe,
        activations_me.HardMishMe,
        nfnet.GammaAct,
        # What scales whole samples.
        drop.DropPath,
        # What sees the channels and takes any number of axes after them.
        nn.GroupNorm,
        norm.GroupNorm,
        norm.GroupNorm1,
        norm_act.GroupNormAct,
        norm_act.GroupNorm1Act,
        # What works along the last axis: a block that calls it after moving the channels there
        # names axes itself, and is converted as a whole or refused.
        nn.Linear,
        linear.Linear,
        nn.LayerNorm,
        norm.LayerNorm,
        norm.RmsNorm,
        # Along the channels of a gate, which is converted as a whole.
        nn.Conv1d,
        # Children only, though they name 2D.
        separable_conv.SeparableConv2d,
    }
)
