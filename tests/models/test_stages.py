"""Stages: in order, without overlap, without the classifier."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from osteoscope.core.errors import ModelError
from osteoscope.models import create_model
from osteoscope.models.stages import stages

NAMES = [
    "small3d",
    "vit3d-tiny",
    "jointvit-tiny",
    "slice2d:resnet10t",
    "resnet10t",
    "mobilenetv3_small_050",
    "tf_efficientnet_b0",
    "convnext_atto",
    "regnetx_002",
    "densenet121",
    "resnetv2_18",
]


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_stands_in_one_stage_or_the_classifier(name: str) -> None:
    network = create_model(name, image_shape=(32, 32, 32))
    parts = stages(network)
    assert len(parts) >= 4
    seen = [id(p) for part in parts for p in part.parameters()]
    assert len(seen) == len(set(seen))
    classifier = {id(p) for p in network.get_classifier().parameters()}
    assert not classifier & set(seen)
    # A transformer's class token and positions are tensors of no module, before the first stage.
    loose = {id(p) for n, p in network.named_parameters() if n in {"cls_token", "pos_embed"}}
    assert set(seen) | classifier | loose == {id(p) for p in network.parameters()}


def test_a_resnets_stages_are_its_stem_and_layers() -> None:
    network = create_model("resnet10t")
    parts = stages(network)
    for i, part in enumerate(parts[1:], start=1):
        layer = getattr(network, f"layer{i}")
        assert {id(p) for p in part.parameters()} == {id(p) for p in layer.parameters()}
    assert {id(p) for p in parts[0].parameters()} == {
        id(p) for part in (network.conv1, network.bn1) for p in part.parameters()
    }


def test_an_efficientnets_last_stage_holds_its_last_resolution_and_its_head() -> None:
    network = create_model("tf_efficientnet_b0")
    last = {id(p) for p in stages(network)[-1].parameters()}
    for part in (network.blocks[5], network.blocks[6], network.conv_head, network.bn2):
        assert {id(p) for p in part.parameters()} <= last
    assert not {id(p) for p in network.blocks[4].parameters()} & last


def test_a_network_that_does_not_tell_its_stages_is_refused() -> None:
    with pytest.raises(ModelError, match="no stages"):
        stages(nn.Sequential(nn.Linear(2, 2)))


def test_training_the_last_stage_leaves_the_others() -> None:
    network = create_model("small3d")
    parts = stages(network)
    for part in parts[:-1]:
        part.requires_grad_(False)
    network(torch.randn(2, 1, 16, 16, 16)).sum().backward()
    assert parts[0][0].weight.grad is None
    assert parts[-1].reduce.weight.grad is not None
