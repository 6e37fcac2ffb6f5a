"""A 3D network made of a 2D one, by walking its tree of modules."""

from __future__ import annotations

import copy

from torch import nn

from osteoscope.core.errors import ModelError
from osteoscope.models.conversion_table import CONVERTERS, UNCHANGED
from osteoscope.models.dimension_free import what_names_axes
from osteoscope.models.kernels import Inflation


def inflate(network: nn.Module, inflation: Inflation = "average") -> nn.Module:
    """The network for volumes (b, c, z, y, x) instead of images (b, c, y, x).

    Every convolution, norm, pool and gate is replaced by its 3D counterpart
    (``conversion_table.CONVERTERS``); depth gets the kernel size, stride and padding of height.
    Names of modules and parameters stay. With ``average`` or ``centre`` a volume that is constant
    along depth gives the 2D network's output, apart from zero padding at its ends:
    ``centre`` exactly, unless the network averages padded zeros; ``average`` in the interior.

    Args:
        network: A network of 2D layers; it is left as it is.
        inflation: How kernels get their depth: ``average``, ``centre``, or ``fresh`` for a
            network that has learnt nothing yet.

    Returns:
        A new network that shares no tensor with ``network``.

    Raises:
        ModelError: A module that is not known to carry over to three dimensions.
    """
    return _walk(copy.deepcopy(network), "", inflation, {})


def _walk(
    module: nn.Module, path: str, inflation: Inflation, done: dict[int, nn.Module]
) -> nn.Module:
    if id(module) in done:  # one module in two places stays one
        return done[id(module)]
    kind = type(module)
    if kind in CONVERTERS:
        made = CONVERTERS[kind](module, inflation)
    else:
        if kind not in UNCHANGED:
            _refuse_if_axes_are_named(module, path)
        made = module
    done[id(module)] = made
    done[id(made)] = made
    for name, child in list(made._modules.items()):
        if child is not None:
            made._modules[name] = _walk(child, f"{path}.{name}" if path else name, inflation, done)
    return made


def _refuse_if_axes_are_named(module: nn.Module, path: str) -> None:
    kind = type(module)
    if kind.__module__.startswith("torch."):
        reason = "it is a layer of torch without a 3D counterpart here"
    else:
        found = what_names_axes(module)
        if found is None:
            return
        reason = found
    where = f"{kind.__name__} ({path})" if path else kind.__name__
    raise ModelError(
        f"A 2D network becomes three-dimensional only where every module is known to carry over, "
        f"but {where} is not: {reason}; choose another backbone."
    )
