"""Whether an nnU-Net model folder holds data only, or could run a program of its own.

nnU-Net loads a checkpoint with ``torch.load(weights_only=False)``: a pickle, which may call any
function of any library. It also looks up the network's class by the name that ``plans.json``
gives, and calls it. Both are checked here before nnU-Net starts, without torch: a checkpoint is
unpickled with inert stand-ins for the few names that weights, optimiser and training log need;
any other name is refused. (Restricting globals: Python documentation, module ``pickle``.)
"""

from __future__ import annotations

import io
import pickle
import re
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from osteoscope.core.errors import ModelError

_ZIP_MAGIC = b"PK\x03\x04"
_LARGEST_PICKLE = 256 * 1024**2

_HARMLESS = re.compile(
    r"""
    torch\._utils\._rebuild_(tensor_v2|parameter)
    | torch\.(Size|device|dtype)
    | torch\.(Float|Half|BFloat16|Double|Long|Int|Short|Char|Byte|Bool)Storage
    | torch\.storage\.(Typed|Untyped)Storage
    | torch\.(float|bfloat|int|uint)\d+ | torch\.bool
    | collections\.OrderedDict
    | numpy\.(_core|core)\.multiarray\.(scalar|_reconstruct)
    | numpy\.(dtype|ndarray|bool_|float32|float64|int32|int64)
    | numpy\.dtypes\.\w+DType
    | _codecs\.encode
    """,
    re.VERBOSE,
)
"""Names that a checkpoint's pickle may use: what torch.save writes for tensors and numbers."""

_NETWORK = re.compile(r"dynamic_network_architectures\.architectures\.(\w+\.)?[A-Z]\w*")
_BUILDING_BLOCK = re.compile(
    r"torch\.nn\.(modules\.[a-z_]+\.)?[A-Z]\w*"
    r"|dynamic_network_architectures\.building_blocks\.\w+\.[A-Z]\w*"
)
"""Classes by their full names. A prefix would not do: ``torch.nn.parallel.distributed.os.system``
is found by the same look-up, because a module's own imports are its attributes."""


class _Inert:
    """Stands for a value of the checkpoint; it can be made and filled, and does nothing."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __setstate__(self, _: Any) -> None: ...

    def __setitem__(self, _: Any, __: Any) -> None: ...

    def append(self, _: Any) -> None: ...

    def extend(self, _: Any) -> None: ...


class _DataOnly(pickle.Unpickler):
    """An unpickler that can call nothing but stand-ins."""

    def find_class(self, module: str, name: str) -> Any:
        if not _HARMLESS.fullmatch(f"{module}.{name}"):
            raise _ForeignNameError(f"{module}.{name}")
        return OrderedDict if name == "OrderedDict" else _Inert

    def persistent_load(self, _: Any) -> Any:
        return _Inert()


class _ForeignNameError(Exception):
    """A pickle names something outside the list."""


def check_checkpoint(path: Path) -> None:
    """Refuse a checkpoint that is not plain data.

    Args:
        path: A ``checkpoint_*.pth`` as ``torch.save`` writes it since version 1.6 (a zip).

    Raises:
        ModelError: It is not such a file, is damaged, or names code that data do not need.
    """
    with path.open("rb") as stream:
        if stream.read(4) != _ZIP_MAGIC:
            raise ModelError(
                f"{path.name} is not a checkpoint as torch.save writes it (a zip archive); it is "
                "damaged, a Git LFS pointer, or older than torch 1.6: get the model again, or "
                "allow it with trust_checkpoint if you know who made it."
            )
    try:
        pickled = _pickle_of(path)
        _DataOnly(io.BytesIO(pickled)).load()
    except _ForeignNameError as error:
        raise ModelError(
            f"{path.name} would call {str(error)!r} when it is loaded, which network weights do "
            "not need, so it was not opened; allow it with trust_checkpoint only if you trust "
            "whoever made it as you would trust a program."
        ) from None
    except ModelError:
        raise
    except Exception:  # damaged bytes raise anything at all in a zip or a pickle: refused, whatever
        raise ModelError(
            f"{path.name} is truncated or damaged; copy or download the model again."
        ) from None


def _pickle_of(path: Path) -> bytes:
    """The one pickle in the archive."""
    with zipfile.ZipFile(path) as archive:
        names = [entry.filename for entry in archive.infolist()]
        pickles = [name for name in names if name.endswith(".pkl")]
        # Two entries of one name, or a TorchScript archive, could be read differently by torch.
        if len(pickles) != 1 or len(set(names)) != len(names) or pickles[0].count("/") != 1:
            raise ModelError(
                f"{path.name} holds {len(pickles)} pickles where torch.save writes one; it is no "
                "nnU-Net checkpoint: give the model's own file, or allow it with "
                "trust_checkpoint."
            )
        if archive.getinfo(pickles[0]).file_size > _LARGEST_PICKLE:
            raise ModelError(f"{path.name} describes more than a network; get the model again.")
        return archive.read(pickles[0])


def check_architecture(plans: Mapping[str, Any]) -> None:
    """Refuse plans whose network is built from anything but network classes.

    Args:
        plans: The content of ``plans.json``.

    Raises:
        ModelError: A class name lies outside nnU-Net's own networks and ``torch.nn``.
    """
    for configuration in plans["configurations"].values():
        architecture = configuration.get("architecture")
        if architecture is None:  # plans of older versions hold numbers only, or inherit
            continue
        _check_name(architecture.get("network_class_name"), _NETWORK)
        keywords = architecture.get("arch_kwargs") or {}
        for key in architecture.get("_kw_requires_import") or []:
            if keywords.get(key) is not None:
                _check_name(keywords[key], _BUILDING_BLOCK)


def _check_name(name: object, allowed: re.Pattern[str]) -> None:
    if not isinstance(name, str) or not allowed.fullmatch(name):
        raise ModelError(
            f"plans.json builds its network from {name!r}, which is none of nnU-Net's own "
            "networks; allow it with trust_checkpoint only if you trust whoever made the model."
        )
