"""Whole networks of timm in three dimensions."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from osteoscope.core.errors import ModelError
from osteoscope.models.inflate import inflate
from osteoscope.models.load_weights import load_weights
from osteoscope.models.volumetric.convolution import deflated
from tests.models.constant_along_depth import repeat_at_depth_ends, stack, with_statistics

# One input channel, three outputs; 3D as timm_3d 1.0.1 counts them (shared/reference/medconv.md).
SIZES = {
    "resnet10t.c3_in1k": (4_923_595, 14_411_899),
    "resnet14t.c3_in1k": (8_038_347, 14_356_347),
    "resnet18.a1_in1k": (11_171_779, 33_161_539),
    "resnet34.a1_in1k": (21_279_939, 63_471_171),
    "resnet50.a1_in1k": (23_507_907, 46_161_219),
    "resnet101.a1_in1k": (42_500_035, 85_207_363),
    "resnet152.tv_in1k": (58_143_683, 117_366_083),
    "mobilenetv2_100.ra_in1k": (2_227_139, 2_356_163),
    "efficientnet_b0.ra_in1k": (4_010_815, 4_692_223),
    "resnext50_32x4d.a1h_in1k": (22_979_779, 25_827_907),
}

FAMILIES: dict[str, dict[str, float]] = {
    "resnet10t": {},
    "resnet18": {},
    "resnext26ts": {},
    "seresnext26t_32x4d": {},
    "ecaresnet26t": {},
    "mobilenetv2_050": {},
    "mobilenetv3_small_050": {},
    "efficientnet_lite0": {},
    "tf_efficientnet_b0": {},  # padding that depends on the size of the input
    "tf_mixnet_s": {},
    "convnext_atto": {},
    "convnextv2_atto": {},
    "convnext_atto_rms": {},
    "regnetx_002": {},
    "regnety_002": {},
    "densenet121": {},
    "vgg11": {"mlp_ratio": 0.01},  # 7 million in place of 719 million in its first linear layer
    "vgg11_bn": {"mlp_ratio": 0.01},
    "resnetv2_18": {},
    "xception41": {},
}


def _network(name: str, **options: float) -> nn.Module:
    torch.manual_seed(0)
    return timm.create_model(name, in_chans=1, num_classes=3, **options)


def _count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("name", SIZES)
def test_sizes_are_those_of_the_reference(name: str) -> None:
    with torch.device("meta"):  # shapes only
        flat = _network(name)
        full = inflate(flat)
    assert (_count(flat), _count(full)) == SIZES[name]
    assert list(full.state_dict()) == list(flat.state_dict()), "timm's names must stay"


@pytest.mark.parametrize("name", FAMILIES)
def test_the_central_inflation_is_exact_on_a_constant_volume(name: str) -> None:
    flat = with_statistics(_network(name, **FAMILIES[name]))
    full = inflate(flat, "centre").eval()
    images = torch.randn(2, 1, 64, 64)
    with torch.no_grad():
        expected = flat(images)
        got = full(stack(images, 32))
    assert expected.std() > 0
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=2e-5 * expected.abs().max().item())


@pytest.mark.parametrize("name", ["resnet10t", "mobilenetv2_050", "convnext_atto", "resnetv2_18"])
def test_the_averaged_inflation_is_exact_where_depth_has_no_zero_padding(name: str) -> None:
    flat = with_statistics(_network(name))
    full = repeat_at_depth_ends(inflate(flat, "average").eval())
    images = torch.randn(1, 1, 64, 64)
    with torch.no_grad():
        expected = flat(images)
        got = full(stack(images, 32))
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=2e-5 * expected.abs().max().item())


def test_the_averaged_inflation_is_exact_in_the_interior() -> None:
    flat = with_statistics(_network("resnet18"))
    full = inflate(flat, "average").eval()
    images = torch.randn(1, 1, 32, 32)
    with torch.no_grad():
        expected = flat.layer1(flat.maxpool(flat.act1(flat.bn1(flat.conv1(images)))))
        got = full.layer1(full.maxpool(full.act1(full.bn1(full.conv1(stack(images, 64))))))
    # Padding reaches 3 + 4 * 4 voxels in at each end; in steps of 4 voxels that is 5 slices.
    interior = got[:, :, 5:-5]
    assert interior.shape[2] == 6
    torch.testing.assert_close(interior, stack(expected, 6), rtol=1e-4, atol=1e-4)
    assert (got[:, :, 0] - expected).abs().max() > 0.01, "the ends do see the padding"


def test_the_2d_network_is_left_as_it_was() -> None:
    flat = _network("resnet10t")
    before = {k: v.clone() for k, v in flat.state_dict().items()}
    full = inflate(flat)
    with torch.no_grad():
        for parameter in full.parameters():
            parameter.zero_()
    assert all(torch.equal(v, before[k]) for k, v in flat.state_dict().items())
    assert flat(torch.zeros(2, 1, 32, 32)).shape == (2, 3)


@pytest.mark.parametrize("name", ["resnet10t", "convnext_atto", "mobilenetv3_small_050"])
def test_weights_go_to_3d_and_to_disk_and_back(name: str, tmp_path: Path) -> None:
    flat = _network(name)
    full = inflate(flat, "fresh")
    load_weights(full, flat.state_dict())
    save_file(full.state_dict(), tmp_path / "model.safetensors")
    again = inflate(_network(name), "fresh")
    again.load_state_dict(load_file(tmp_path / "model.safetensors"))
    for key, tensor in full.state_dict().items():
        assert torch.equal(again.state_dict()[key], tensor), key
    originals = dict(flat.named_modules())
    convolutions = [(n, m) for n, m in again.named_modules() if isinstance(m, nn.Conv3d)]
    assert len(convolutions) > 10
    for path, layer in convolutions:
        torch.testing.assert_close(deflated(layer), originals[path].weight)


def test_training_mode_and_gradients_carry_over() -> None:
    full = inflate(_network("resnet10t", drop_block_rate=0.1, drop_path_rate=0.1), "fresh")
    assert full.training
    full(torch.randn(2, 1, 32, 32, 32)).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in full.parameters())


class _NamesAxes(nn.Module):
    def forward(self, x):
        return x - x.mean((2, 3), keepdim=True)


class _OwnsChannels(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(4, 1, 1))

    def forward(self, x):
        return x * self.scale


class _HidesAFunction(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.pool = torch.nn.functional.avg_pool2d

    def forward(self, x):
        return self.pool(x, 2)


class _CallsAnother(nn.Module):
    def forward(self, x):
        return self.inner(x)

    def inner(self, x):
        b, c, h, w = x.shape
        return x.reshape(b, c, h * w)


class _SlicesSpace(nn.Module):
    def forward(self, x):
        return x[:, :, ::2]


class _CatsAlongDepth(nn.Module):
    def forward(self, x):
        return torch.cat((x, x), dim=2)


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (_NamesAxes(), r"x\.mean\(\(2, 3\)"),
        (_OwnsChannels(), "'scale' of shape"),
        (_HidesAFunction(), r"self\.pool\(x, 2\)"),
        (_CallsAnother(), r"x\.shape"),
        (_SlicesSpace(), r"x\[:, :, ::2\]"),
        (_CatsAlongDepth(), "torch.cat"),
        (nn.PixelShuffle(2), "layer of torch without a 3D counterpart"),
    ],
)
def test_what_may_name_axes_is_refused_with_its_reason(module: nn.Module, reason: str) -> None:
    with pytest.raises(ModelError, match=reason):
        inflate(nn.Sequential(nn.Conv2d(4, 4, 1), module))


def test_a_module_used_twice_stays_one() -> None:
    shared = nn.Conv2d(4, 4, 3, padding=1)
    full = inflate(nn.Sequential(shared, nn.ReLU(), shared))
    assert full[0] is full[2]


# One of every further family of timm that the reading of its source lets through.
FURTHER = [
    "convmixer_768_32",
    "cs3darknet_s",
    "dla46_c",
    "ese_vovnet19b_slim",
    "hardcorenas_a",
    "legacy_seresnet18",
    "legacy_xception",
    "repghostnet_050",
    "res2net50_14w_8s",
    "rexnet_100",
    "selecsls42",
    "starnet_s1",
]


@pytest.mark.slow
@pytest.mark.parametrize("name", FURTHER)
def test_families_that_nobody_looked_at_are_exact_too(name: str) -> None:
    flat = with_statistics(_network(name))
    full = inflate(flat, "centre").eval()
    images = torch.randn(1, 1, 64, 64)
    with torch.no_grad():
        expected, got = flat(images), full(stack(images, 64))
    torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-3 * expected.abs().max().item())


@pytest.mark.parametrize(
    "name",
    [
        "botnet26t_256",
        "coatnet_nano_rw_224",
        "efficientvit_b0",
        "ghostnet_050",
        "hgnetv2_b0",
        "inception_v3",
        "mobilevit_xxs",
        "resnest14d",
        "skresnet18",
        "swin_tiny_patch4_window7_224",
        "vit_tiny_patch16_224",
    ],
)
def test_families_that_name_two_axes_are_refused(name: str) -> None:
    flat = timm.create_model(name, num_classes=3)
    with pytest.raises(ModelError, match="choose another backbone"):
        inflate(flat)
