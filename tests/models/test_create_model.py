"""One entry to every architecture: names, shapes, weights, and what it refuses."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from osteoscope.core.errors import ModelError
from osteoscope.models import create_model
from osteoscope.models.load_weights import load_weights
from osteoscope.models.registry import BUILDERS, known_models
from osteoscope.models.vision_transformer import JointHead
from tests.models.constant_along_depth import stack, with_statistics

SHAPE = (32, 48, 48)
NAMES = {
    "small3d": {},
    "vit3d-tiny": {},
    "jointvit-tiny": {"outputs": 4},
    "slice2d:resnet10t": {},
    "resnet10t.c3_in1k": {},
    "mobilenetv3_small_050": {},
    "regnetx_002": {},
    "convnext_atto": {},
}


@pytest.mark.parametrize("name", NAMES)
def test_every_network_keeps_the_protocol(name: str) -> None:
    network = create_model(name, in_channels=2, image_shape=SHAPE, **NAMES[name]).eval()
    outputs = NAMES[name].get("outputs", 3)
    images = torch.randn(2, 2, *SHAPE)
    with torch.no_grad():
        answers = network(images)
        features = network.forward_features(images)
        embedding = network.forward_head(features, pre_logits=True)
        from_embedding = network.get_classifier()(embedding)
    assert answers.shape == (2, outputs)
    assert embedding.ndim == 2
    torch.testing.assert_close(network.forward_head(features), answers)
    torch.testing.assert_close(from_embedding, answers, rtol=1e-4, atol=1e-6)


def test_the_same_seed_makes_the_same_network() -> None:
    made = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        made.append(create_model("resnet10t").state_dict()["layer4.0.conv1.weight"])
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])


def test_untrained_kernels_differ_along_depth() -> None:
    kernel = create_model("resnet10t").layer2[0].conv1.weight
    assert not torch.allclose(kernel[:, :, 0], kernel[:, :, 1])


def test_two_dimensions_are_timms_own_network() -> None:
    network = create_model("resnet10t", spatial_dims=2, in_channels=1)
    assert network(torch.zeros(2, 1, 32, 32)).shape == (2, 3)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ModelError, match="resnet50") as raised:
        create_model("resnot50")
    for name in BUILDERS:
        assert name in str(raised.value)
    assert {"small3d", "resnet50", "vit3d-base"} <= set(known_models())


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"name": "resnet18.nonsense"}, "Invalid pretrained tag"),
        ({"name": "resnet18", "dropout": 0.1}, "dropout"),
        ({"name": "vit_tiny_patch16_224"}, "VisionTransformer is not"),
        ({"name": "resnet18", "spatial_dims": 4}, "2 or 3 spatial dimensions, not 4"),
        ({"name": "resnet18", "in_channels": 0}, "input channels, not 0"),
        ({"name": "resnet18", "outputs": 0}, "outputs, not 0"),
        ({"name": "resnet18", "inflate": "mean"}, "known: average, centre, fresh"),
        ({"name": "small3d", "depth": 4}, "no option 'depth'; known: widths"),
        ({"name": "small3d", "widths": (10,), "norm": "group"}, "multiples of 8"),
        ({"name": "small3d", "norm": "layer"}, "known: batch, group"),
        ({"name": "small3d", "stem_stride": 3}, "2 or 4, not 3"),
        ({"name": "small3d", "spatial_dims": 2}, "volumes only"),
        ({"name": "small3d", "weights": "hub"}, "no weights for 'small3d'"),
        ({"name": "vit3d-tiny", "image_shape": (30, 48, 48)}, "do not fill images"),
        ({"name": "jointvit-tiny", "outputs": 1}, "at least 2 outputs"),
        ({"name": "slice2d:resnet10t", "axis": "w"}, "known: z, y, x"),
        ({"name": "slice2d:resnet10t", "slices": 0}, "at least one slice"),
        ({"name": "resnet10t", "weights": "/no/such.safetensors"}, "no file of weights"),
    ],
)
def test_what_cannot_be_made_is_said_in_one_sentence(asked: dict, message: str) -> None:
    with pytest.raises(ModelError, match=message) as raised:
        create_model(**asked)
    assert "\n" not in str(raised.value)


def test_a_hub_that_cannot_be_reached_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> nn.Module:
        raise OSError("no route to host\nmore")

    made = timm.create_model

    def create(name: str, pretrained: bool = False, **options: object) -> nn.Module:
        return unreachable() if pretrained else made(name, **options)

    monkeypatch.setattr(timm, "create_model", create)
    with pytest.raises(ModelError, match=r"no route to host.*give a \.safetensors"):
        create_model("resnet10t", weights="hub")


def test_hub_weights_are_inflated_and_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    trained = with_statistics(timm.create_model("resnet10t"))
    made = timm.create_model

    def create(name: str, pretrained: bool = False, **options: object) -> nn.Module:
        return trained if pretrained else made(name, **options)

    monkeypatch.setattr(timm, "create_model", create)
    network = create_model("resnet10t.c3_in1k", weights="hub", inflate="centre").eval()
    grey = torch.randn(1, 1, 64, 64)
    with torch.no_grad():
        expected = trained.forward_head(
            trained.forward_features(grey.expand(-1, 3, -1, -1)), pre_logits=True
        )
        got = network.forward_head(network.forward_features(stack(grey, 32)), pre_logits=True)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_file_of_torch_save_is_read(tmp_path: Path, wrapped: bool) -> None:
    trained = timm.create_model("resnet10t", num_classes=3, in_chans=1).state_dict()
    path = tmp_path / "weights.pth"
    content = {"state_dict": {f"module.{k}": v for k, v in trained.items()}, "epoch": 3}
    torch.save(content if wrapped else trained, path)
    network = create_model("resnet10t", weights=path)
    assert torch.equal(network.fc.weight, trained["fc.weight"])
    torch.testing.assert_close(network.conv1[0].weight.sum(2), trained["conv1.0.weight"])


def test_a_pickle_that_runs_code_is_refused(tmp_path: Path) -> None:
    class Malicious:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    path = tmp_path / "weights.pth"
    torch.save({"conv1.weight": Malicious()}, path)
    with pytest.raises(ModelError, match="would run code"):
        create_model("resnet10t", weights=path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("w.safetensors", b"\x10\x00\x00\x00\x00\x00\x00\x00not a header"),
        ("w.pth", b"PK\x03\x04 cut off"),
        ("w.pth", pickle.dumps([1, 2])),
        ("w.npz", b""),
    ],
)
def test_a_damaged_or_strange_file_is_said(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ModelError) as raised:
        create_model("resnet10t", weights=path)
    assert "\n" not in str(raised.value)
    assert name in str(raised.value)


def test_weights_of_another_network_are_refused_and_change_nothing(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file(timm.create_model("resnet10t").state_dict(), path)
    with pytest.raises(ModelError, match=r"another network.*conv1\.weight"):
        create_model("resnet18", weights=path)
    network = create_model("resnet14t")
    before = {k: v.clone() for k, v in network.state_dict().items()}
    with pytest.raises(ModelError):
        load_weights(network, {"conv1.0.weight": torch.zeros(24, 1, 3, 3)})
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())


def test_the_report_tells_what_became_of_every_tensor() -> None:
    network = create_model("resnet10t")
    weights = {**timm.create_model("resnet10t").state_dict(), "extra": torch.zeros(1)}
    report = load_weights(network, weights)
    assert report.respread == ("conv1.0.weight",)
    assert report.left_random == ("fc.weight", "fc.bias")
    assert report.unused == ("extra",)
    convolutions = [n for n, m in network.named_modules() if isinstance(m, nn.Conv3d)]
    assert set(report.inflated) == {f"{n}.weight" for n in convolutions}
    assert len(report.loaded) + len(report.left_random) == len(network.state_dict())
    assert "left random: fc.weight, fc.bias" in report.in_words()


def test_a_trained_3d_network_of_ours_is_loaded_whole(tmp_path: Path) -> None:
    network = create_model("small3d", in_channels=2)
    save_file(network.state_dict(), tmp_path / "w.safetensors")
    again = create_model("small3d", in_channels=2, weights=tmp_path / "w.safetensors")
    for key, tensor in network.state_dict().items():
        assert torch.equal(again.state_dict()[key], tensor)


def test_a_flat_vit3d_is_the_2d_transformer(tmp_path: Path) -> None:
    torch.manual_seed(0)
    flat = timm.create_model("vit_tiny_patch16_224", in_chans=1, num_classes=3).eval()
    nn.init.normal_(flat.pos_embed, std=0.5)
    save_file(flat.state_dict(), tmp_path / "w.safetensors")
    full = create_model(
        "vit3d-tiny", weights=tmp_path / "w.safetensors", image_shape=(16, 224, 224)
    ).eval()
    images = torch.randn(1, 1, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(full(stack(images, 16)), flat(images), rtol=1e-4, atol=1e-5)


def test_positions_are_resampled_in_the_plane_and_repeated_along_depth() -> None:
    flat = timm.create_model("vit_tiny_patch16_224")
    full = create_model("vit3d-tiny", image_shape=(32, 48, 64))
    report = load_weights(full, flat.state_dict())
    assert report.resampled == ("pos_embed",)
    positions = full.pos_embed[0, 1:].reshape(2, 3, 4, -1)
    assert torch.equal(positions[0], positions[1])
    assert torch.equal(full.pos_embed[0, 0], flat.pos_embed[0, 0])
    # The same number of tokens in another arrangement must be resampled all the same.
    square = create_model("vit3d-tiny", image_shape=(64, 112, 112))
    assert square.pos_embed.shape == flat.pos_embed.shape
    load_weights(square, flat.state_dict())
    assert not torch.allclose(square.pos_embed, flat.pos_embed)


def test_a_transformer_says_for_which_shape_it_is() -> None:
    network = create_model("vit3d-tiny", image_shape=SHAPE)
    with pytest.raises(ModelError, match=r"image_shape=\(32, 32, 48\)"):
        network(torch.zeros(1, 1, 32, 32, 48))


def test_the_joint_transformer_puts_classes_first_and_the_t_score_last() -> None:
    network = create_model("jointvit-tiny", outputs=4, image_shape=SHAPE).eval()
    head = network.get_classifier()
    assert isinstance(head, JointHead)
    with torch.no_grad():
        head.t_score.weight.zero_()
        head.t_score.bias.fill_(-2.5)
        answers = network(torch.randn(2, 1, *SHAPE))
    assert answers[:, 3].tolist() == [-2.5, -2.5]
    assert answers[:, :3].std() > 0


@pytest.mark.parametrize(("axis", "place"), [("z", 2), ("y", 3), ("x", 4)])
def test_the_slice_model_averages_the_answers_to_its_middle_slices(axis: str, place: int) -> None:
    torch.manual_seed(0)
    network = create_model("slice2d:resnet10t", slices=2, axis=axis).eval()
    volumes = torch.randn(2, 1, 33, 34, 35)
    first = (volumes.shape[place] - 2) // 2
    with torch.no_grad():
        apart = [network.network(volumes.select(place, first + i)) for i in range(2)]
        torch.testing.assert_close(network(volumes), (apart[0] + apart[1]) / 2)
        volumes.select(place, 0).add_(100.0)  # a slice that it does not look at
        torch.testing.assert_close(network(volumes), (apart[0] + apart[1]) / 2)


def test_the_slice_model_takes_2d_weights_and_refuses_a_thin_volume(tmp_path: Path) -> None:
    flat = timm.create_model("resnet10t", num_classes=3, in_chans=1)
    save_file(flat.state_dict(), tmp_path / "w.safetensors")
    network = create_model("slice2d:resnet10t", weights=tmp_path / "w.safetensors")
    assert torch.equal(network.network.fc.weight, flat.fc.weight)
    with pytest.raises(ModelError, match="2 slices where the slice model takes 3"):
        network(torch.zeros(1, 1, 2, 32, 32))


@pytest.mark.parametrize("options", [{}, {"norm": "group"}, {"stem_stride": 4}])
def test_the_small_network_fits_eight_megabytes_and_learns(options: dict) -> None:
    torch.manual_seed(0)
    network = create_model("small3d", **options)
    assert 4 * sum(p.numel() for p in network.parameters()) < 8e6
    images = torch.randn(12, 1, 16, 24, 24)
    classes = torch.arange(12) % 3
    images += 0.5 * classes[:, None, None, None, None]
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3)
    losses = []
    for _ in range(12):
        loss = nn.functional.cross_entropy(network(images), classes)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]


def test_the_example_runs() -> None:
    import doctest

    from osteoscope.models import kernels, registry
    from osteoscope.models.volumetric import convolution

    for module in (kernels, registry, convolution):
        results = doctest.testmod(module)
        assert results.attempted > 0
        assert results.failed == 0
