"""Which weights a part of training moves, and that the others truly stand still."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from osteoscope.core.errors import InputError, ModelError
from osteoscope.learning import partial
from osteoscope.learning.partial import freeze_all_but
from osteoscope.models import create_model


class Network(nn.Module):
    """Stem, two stages, a layer after them and a classifier."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv3d(1, 2, 1), nn.BatchNorm3d(2))
        self.early = nn.Sequential(nn.Conv3d(2, 2, 1), nn.BatchNorm3d(2))
        self.late = nn.Sequential(nn.Conv3d(2, 2, 1), nn.BatchNorm3d(2))
        self.after = nn.BatchNorm3d(2)
        self.fc = nn.Linear(2, 3)

    def get_classifier(self):
        return self.fc

    def forward(self, x):
        return self.fc(self.after(self.late(self.early(self.stem(x)))).mean((2, 3, 4)))


@pytest.fixture
def network(monkeypatch):
    monkeypatch.setattr(partial, "stages", lambda m: [m.stem, m.early, m.late])
    torch.manual_seed(0)
    return Network()


def _moved(network):
    """Top-level parts of which a value, weight or running statistic, changes in training."""
    before = {name: value.clone() for name, value in network.state_dict().items()}
    trained = [p for p in network.parameters() if p.requires_grad]
    optimiser = torch.optim.SGD(trained, lr=0.1)
    network.train()
    for _ in range(2):
        images = torch.randn(4, 1, 2, 2, 2)
        optimiser.zero_grad()
        nn.functional.cross_entropy(network(images), torch.tensor([0, 1, 2, 0])).backward()
        optimiser.step()
    after = network.state_dict()
    return {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}


PARTS = {
    "head": {"fc"},
    "last-stage": {"late", "after", "fc"},
    "all": {"stem", "early", "late", "after", "fc"},
}


@pytest.mark.parametrize("part", PARTS)
def test_a_part_moves_and_the_rest_stands_still(network, part):
    count = freeze_all_but(network, part)
    trained = [p for p in network.parameters() if p.requires_grad]
    assert count == sum(p.numel() for p in trained)
    assert _moved(network) == PARTS[part]


def test_freezing_can_be_undone(network):
    freeze_all_but(network, "head")
    freeze_all_but(network, "all")
    assert _moved(network) == PARTS["all"]
    freeze_all_but(network, "last-stage")
    assert _moved(network) == PARTS["last-stage"]


def test_a_frozen_normalisation_answers_alike_in_training_and_use(network):
    freeze_all_but(network, "head")
    images = torch.randn(4, 1, 2, 2, 2)
    assert torch.equal(network.train()(images), network.eval()(images))


def test_an_unknown_part_lists_the_known_ones(network):
    with pytest.raises(InputError, match="known: head, last-stage, all"):
        freeze_all_but(network, "tail")


def test_a_network_without_parts_is_refused(monkeypatch):
    with pytest.raises(ModelError, match="get_classifier"):
        freeze_all_but(nn.Linear(2, 2), "head")
    monkeypatch.setattr(partial, "stages", lambda _m: [])
    with pytest.raises(ModelError, match="stages"):
        freeze_all_but(Network(), "last-stage")
    assert freeze_all_but(nn.Linear(2, 2), "all") == 6


@pytest.mark.parametrize("name", ["small3d", "mobilenetv2_050", "resnet10t.c3_in1k"])
def test_real_networks_stand_still_but_for_their_classifier(name):
    torch.manual_seed(0)
    network = create_model(name)
    freeze_all_but(network, "head")
    classifier = {f"{n}." for n, m in network.named_modules() if m is network.get_classifier()}
    assert len(classifier) == 1
    before = {key: value.clone() for key, value in network.state_dict().items()}
    optimiser = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.1)
    network.train()
    loss = nn.functional.cross_entropy(network(torch.rand(2, 1, 32, 32, 32)), torch.tensor([0, 2]))
    loss.backward()
    optimiser.step()
    after = network.state_dict()
    moved = {key for key in before if not torch.equal(before[key], after[key])}
    assert moved
    assert all(key.startswith(tuple(classifier)) for key in moved)


def test_a_frozen_network_can_be_traced(network):
    freeze_all_but(network, "head")
    network.eval()
    images = torch.randn(2, 1, 2, 2, 2)
    traced = torch.export.export(network, (images,)).module()
    assert torch.allclose(traced(images), network(images), atol=1e-6)
