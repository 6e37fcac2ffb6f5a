"""A checkpoint that would run code is refused, and does not get to run it."""

from __future__ import annotations

import collections
import io
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from osteoscope.anatomy.segmenters.nnunet_trust import check_architecture, check_checkpoint
from osteoscope.core.errors import ModelError

HARMLESS = {"weights": collections.OrderedDict(a=1), "best": np.float64(0.9), "log": [1, 2.0]}


class Calls:
    """Pickles as a call of a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def archive(path: Path, content: object, name: str = "checkpoint_final/data.pkl") -> Path:
    """A zip of the form that torch.save writes."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(name, pickle.dumps(content, protocol=2))
        file.writestr("checkpoint_final/version", "3")
    return path


def test_data_pass(tmp_path: Path) -> None:
    check_checkpoint(archive(tmp_path / "good.pth", HARMLESS))


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_a_call_is_refused_and_never_made(tmp_path: Path, protocol: int) -> None:
    mark = tmp_path / "was-here"
    content = HARMLESS | {"extra": Calls(os.system, f"touch {mark}")}
    path = tmp_path / "bad.pth"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("bad/data.pkl", pickle.dumps(content, protocol=protocol))
    with pytest.raises(ModelError, match=r"would call 'posix.system' .* was not opened"):
        check_checkpoint(path)
    assert not mark.exists()


@pytest.mark.parametrize(
    "function", [eval, getattr, __import__, pickle.loads, io.open, collections.deque]
)
def test_other_ways_to_code_are_refused(tmp_path: Path, function: Any) -> None:
    with pytest.raises(ModelError, match="would call"):
        check_checkpoint(archive(tmp_path / "bad.pth", Calls(function, "1")))


def test_a_dotted_name_under_a_harmless_one_is_refused(tmp_path: Path) -> None:
    # Protocol 4 may name attributes of attributes; the whole name must be on the list.
    dotted = b"OrderedDict.__init__.__self__"
    raw = b"\x80\x04\x8c\x0bcollections\x8c" + bytes([len(dotted)]) + dotted + b"\x93."
    path = tmp_path / "bad.pth"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("bad/data.pkl", raw)
    with pytest.raises(ModelError, match="would call"):
        check_checkpoint(path)


def test_a_bare_pickle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "old.pth"
    path.write_bytes(pickle.dumps(HARMLESS))
    with pytest.raises(ModelError, match=r"not a checkpoint as torch.save writes it"):
        check_checkpoint(path)


def test_a_zip_behind_a_pickle_is_refused(tmp_path: Path) -> None:
    # Python's zipfile would read it; torch would take the pickle in front of it.
    path = archive(tmp_path / "both.pth", HARMLESS)
    path.write_bytes(pickle.dumps(Calls(os.system, "true")) + path.read_bytes())
    with pytest.raises(ModelError, match=r"not a checkpoint as torch.save writes it"):
        check_checkpoint(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_pickles_are_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "two.pth", HARMLESS)
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("checkpoint_final/data.pkl", pickle.dumps(Calls(os.system, "true")))
    with pytest.raises(ModelError, match="holds 2 pickles"):
        check_checkpoint(path)


def test_a_truncated_file_is_one_sentence(tmp_path: Path) -> None:
    path = archive(tmp_path / "cut.pth", HARMLESS)
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(ModelError, match=r"truncated or damaged; copy or download"):
        check_checkpoint(path)


def test_torch_itself_agrees_about_what_is_data(tmp_path: Path) -> None:
    """What passes here also passes torch's own weights-only unpickler, given NumPy's numbers."""
    torch = pytest.importorskip("torch")
    path = tmp_path / "weights.pth"
    content = {
        "network_weights": {
            f"w{n}": torch.zeros(2, dtype=dtype)
            for n, dtype in enumerate(
                (torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.bool)
            )
        },
        "parameter": torch.nn.Parameter(torch.ones(3)),
        "shape": torch.Size([1, 2]),
        "dtype": torch.float16,
        "_best_ema": np.float64(0.5),
        "losses": [np.float32(0.25)],
    }
    torch.save(content, path)
    check_checkpoint(path)
    numbers = [
        np._core.multiarray.scalar, np.dtype, np.dtypes.Float64DType, np.dtypes.Float32DType,
    ]  # fmt: skip
    with torch.serialization.safe_globals(numbers):
        loaded = torch.load(path, weights_only=True)
    assert loaded["_best_ema"] == 0.5


def plans(network: object, **blocks: object) -> dict[str, Any]:
    architecture = {
        "network_class_name": network,
        "arch_kwargs": blocks,
        "_kw_requires_import": list(blocks),
    }
    return {"configurations": {"2d": {"inherits_from": "x"}, "x": {"architecture": architecture}}}


UNET = "dynamic_network_architectures.architectures.unet.PlainConvUNet"


def test_networks_of_nnunet_pass() -> None:
    check_architecture(
        plans(UNET, conv_op="torch.nn.modules.conv.Conv3d", nonlin="torch.nn.ReLU", dropout_op=None)
    )
    check_architecture({"configurations": {"old": {"UNet_class_name": "PlainConvUNet"}}})


@pytest.mark.parametrize(
    ("network", "block"),
    [
        ("subprocess.Popen", "torch.nn.ReLU"),
        (None, "torch.nn.ReLU"),
        ("dynamic_network_architectures.architectures.unet.os.system", "torch.nn.ReLU"),
        (UNET, "os.system"),
        # Found by attribute look-up, because a module's imports are its attributes.
        (UNET, "torch.nn.parallel.distributed.os.system"),
        (UNET, 7),
    ],
)
def test_anything_else_is_refused(network: object, block: object) -> None:
    with pytest.raises(ModelError, match="none of nnU-Net's own networks"):
        check_architecture(plans(network, nonlin=block))
