"""Files of weights and checkpoints: exact and whole, or refused in one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from osteoscope.core.errors import ModelError, OsteoscopeError
from osteoscope.learning.checkpoint import (
    CHECKPOINT_NAME,
    Position,
    load_into,
    read_checkpoint,
    restore,
    write_checkpoint,
)
from osteoscope.learning.memory_order import keep_channels_last
from osteoscope.learning.optimisers import make_optimiser
from osteoscope.learning.progress import EpochRecord
from osteoscope.learning.state_tree import join_state, split_state
from osteoscope.learning.weights_file import read_weights, write_weights

from .toy_fit import OPTIMISERS, same_weights, toy_network

PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
STATES = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=80, deadline=None)
@given(STATES)
def test_any_state_comes_back_from_json(state: object) -> None:
    back = join_state(json.loads(json.dumps(split_state(state, "state", {}))), {})
    assert back == state
    assert repr(back) == repr(state)  # Tuples stay tuples, -0.0 stays -0.0.


def test_tensors_of_a_state_are_stored_apart() -> None:
    tensors: dict[str, torch.Tensor] = {}
    state = {"state": {3: {"mean": torch.ones(2)}}, "groups": [{"betas": (0.9, 0.99)}]}
    written = split_state(state, "optimiser", tensors)
    assert list(tensors) == ["optimiser/state/3/mean"]
    assert join_state(written, tensors) == state


def test_what_cannot_be_stored_is_named() -> None:
    with pytest.raises(ModelError, match="cannot hold optimiser/rule: it is a function"):
        split_state({"rule": lambda: 0}, "optimiser", {})


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    dtype=st.sampled_from([torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.bool]),
    shape=st.lists(st.integers(0, 4), max_size=5),
    seed=st.integers(0, 99),
)
def test_values_come_back_bit_for_bit(
    tmp_path: Path, dtype: torch.dtype, shape: list[int], seed: int
) -> None:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 100
    tensors = {"a": values.to(dtype), "b": values.to(dtype).transpose(0, -1) if shape else values}
    write_weights(tmp_path / "w.safetensors", tensors, {"epoch": 3})
    back, described = read_weights(tmp_path / "w.safetensors")
    assert described == {"epoch": 3}
    for name, tensor in tensors.items():
        assert back[name].dtype == tensor.dtype
        assert torch.equal(back[name], tensor)


def test_half_the_size_for_three_digits(tmp_path: Path) -> None:
    tensors = {"w": torch.randn(4096), "steps": torch.tensor(7), "norm": torch.randn(3).double()}
    write_weights(tmp_path / "whole", tensors)
    write_weights(tmp_path / "half", tensors, half=True)
    assert (tmp_path / "half").stat().st_size < 0.53 * (tmp_path / "whole").stat().st_size
    back, _ = read_weights(tmp_path / "half")
    assert back["w"].dtype == torch.float32
    torch.testing.assert_close(back["w"], tensors["w"], rtol=2**-11, atol=2**-25)
    assert torch.equal(back["steps"], tensors["steps"])
    assert torch.equal(back["norm"], tensors["norm"])
    with pytest.raises(ModelError, match="exceed what 16 bits hold"):
        write_weights(tmp_path / "big", {"w": torch.tensor([1e6])}, half=True)
    assert not (tmp_path / "big").exists()


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "w.safetensors"
    write_weights(path, {"w": torch.zeros(3)})

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("osteoscope.learning.weights_file.save_file", full)
    with pytest.raises(OsteoscopeError, match="cannot be written: No space left on device"):
        write_weights(path, {"w": torch.ones(3)})
    assert torch.equal(read_weights(path)[0]["w"], torch.zeros(3))
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A checkpoint of a network after one step."""
    model = toy_network()
    keep_channels_last(model)
    optimiser = make_optimiser(OPTIMISERS["adamw"], model.parameters())
    model(torch.randn(3, 1, 4, 4, 4)).square().sum().backward()
    optimiser.step()
    record = EpochRecord(0, 0.1 + 0.2, {"auc": float("nan")}, 1e-3, 2.0)
    position = Position(1, 2, 0.3, (record,), 0)
    write_checkpoint(tmp_path, position, {"objective": "x"}, model, (optimiser.state_dict(), {}))
    torch.save((model.state_dict(), optimiser.state_dict()), tmp_path / "as_torch_would.pt")
    return tmp_path


def test_a_checkpoint_restores_everything(written: Path) -> None:
    weights, state = torch.load(written / "as_torch_would.pt", weights_only=True)
    checkpoint = read_checkpoint(written)
    assert checkpoint is not None
    assert (checkpoint.position.epoch, checkpoint.position.step) == (1, 2)
    assert checkpoint.position.history[0].loss == 0.1 + 0.2
    model, expected = toy_network(seed=1), toy_network(seed=2)
    keep_channels_last(model)
    optimiser = make_optimiser(OPTIMISERS["adamw"], model.parameters())
    restore(checkpoint, model, optimiser)
    expected.load_state_dict(weights)
    assert same_weights(model, expected)
    assert model[0].weight.is_contiguous(memory_format=torch.channels_last_3d)
    ours = optimiser.state_dict()
    assert ours["param_groups"] == state["param_groups"]
    for number, entries in state["state"].items():
        for key, value in entries.items():
            assert torch.equal(ours["state"][number][key], value)
    moments = optimiser.state[model[0].weight]
    assert moments["exp_avg"].stride() == model[0].weight.stride()


def test_no_checkpoint_is_none(tmp_path: Path) -> None:
    assert read_checkpoint(tmp_path) is None


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.999])
def test_a_checkpoint_cut_short_is_refused(written: Path, share: float) -> None:
    path = written / CHECKPOINT_NAME
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ModelError, match="no whole file of osteoscope"):
        read_checkpoint(written)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_changed_bit_is_found(written: Path, where: float, bit: int) -> None:
    path = written / CHECKPOINT_NAME
    content = path.read_bytes()
    at = int(where * len(content))
    damaged = bytearray(content)
    damaged[at] ^= 1 << bit
    path.write_bytes(damaged)
    try:
        with pytest.raises(ModelError, match=r"no whole file|are damaged"):
            read_checkpoint(written)
    finally:
        path.write_bytes(content)


def test_files_of_others_are_refused(tmp_path: Path) -> None:
    path = tmp_path / CHECKPOINT_NAME
    torch.save({"w": torch.ones(2)}, path)
    with pytest.raises(ModelError, match="of another program"):
        read_checkpoint(tmp_path)
    save_file({"w": torch.ones(2)}, path)
    with pytest.raises(ModelError, match="of another program"):
        read_checkpoint(tmp_path)
    write_weights(path, {"w": torch.ones(2)}, {"epoch": 1})
    with pytest.raises(ModelError, match="another version of osteoscope"):
        read_checkpoint(tmp_path)
    with pytest.raises(ModelError, match="are missing"):
        read_weights(tmp_path / "none.safetensors")


def test_weights_of_another_network_are_refused() -> None:
    other = torch.nn.Linear(3, 2)
    with pytest.raises(ModelError, match=r"do not fit the network: .*[Mm]issing key"):
        load_into(toy_network(), other.state_dict())
