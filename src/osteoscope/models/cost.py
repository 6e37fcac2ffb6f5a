"""What a network costs: parameters, multiplications, time and memory of one image on the CPU."""

from __future__ import annotations

import contextlib
import copy
import ctypes
import gc
import math
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from osteoscope.core.errors import InputError

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_KIB = 1024.0


def count_parameters(network: nn.Module) -> int:
    """Numbers that training may change."""
    return sum(p.numel() for p in network.parameters())


def count_multiplications(network: nn.Module, shape: Sequence[int]) -> int:
    """Multiply-accumulates of convolutions, linear layers and attention for one image.

    torch's own counter of floating-point operations, halved. Norms, activations and pools are not
    counted, as in most published tables. Nothing is computed: shapes alone go through a copy of
    the network.

    Args:
        network: Takes (1, channels, ...) images; left as it is.
        shape: (channels, ...) of an image.
    """
    shapes_only = copy.deepcopy(network).to("meta").eval()
    counter = FlopCounterMode(display=False)
    with torch.inference_mode(), counter:
        shapes_only(torch.empty(1, *shape, device="meta"))
    return int(counter.get_total_flops()) // 2


def latencies_ms(
    makers: Sequence[Callable[[], nn.Module]],
    shape: Sequence[int],
    *,
    repeats: int = 5,
    on_turn: Callable[[int], None] | None = None,
) -> list[tuple[float, float]]:
    """Median time of one image through each network: as torch lays it out, and channels last.

    Every turn takes one pass of each network in each layout, one after the other, so that a load
    of the machine that comes and goes, or a processor that slows down, meets all of them alike.
    One network is in memory at a time: it is made anew at each turn, outside the time. As many
    threads as torch is set to (``torch.get_num_threads``).

    Args:
        makers: Each makes a network; its weights may differ from turn to turn, its work may not.
        shape: (channels, z, y, x) of an image.
        repeats: Timed passes each, at least 1, after an untimed turn.
        on_turn: Called with the number of each turn, from 0 (untimed), before it.

    Returns:
        A pair of milliseconds a network: contiguous, ``channels_last_3d``.

    Raises:
        InputError: No repeats.
    """
    if repeats < 1:
        raise InputError(f"A latency needs at least one timed pass, not {repeats}.")
    image = torch.zeros(1, *shape)
    layouts = (torch.contiguous_format, torch.channels_last_3d)
    times: list[list[list[float]]] = [[[] for _ in layouts] for _ in makers]
    for turn in range(repeats + 1):
        if on_turn is not None:
            on_turn(turn)
        for make, taken in zip(makers, times, strict=True):
            network = make().eval()
            for layout, of_layout in zip(layouts, taken, strict=True):
                network.to(memory_format=layout)
                elapsed = _one_pass_ms(network, image.to(memory_format=layout))
                if turn:  # in the first one torch chooses its kernels
                    of_layout.append(elapsed)
    return [(statistics.median(a), statistics.median(b)) for a, b in times]


def peak_memory_mib(name: str, shape: Sequence[int], outputs: int, **options: Any) -> float:
    """Most memory that a network and one image through it take in this process, MiB.

    What the process held before (Python, torch) is subtracted; the weights count. Meant for a
    fresh process: what another computation left behind would be reused and not counted.

    Args:
        name: Of ``create_model``.
        shape: (channels, z, y, x) of an image.
        outputs: As in ``create_model``.
        **options: As in ``create_model``.

    Returns:
        NaN where the system does not tell a process its peak (Linux does).

    Raises:
        ModelError: As ``create_model``.
    """
    from osteoscope.models.registry import create_model  # here: the registry is above this file

    before = _memory_mib("VmRSS")
    network = create_model(name, 3, shape[0], outputs, image_shape=tuple(shape[1:]), **options)
    network.eval()
    gc.collect()
    if math.isnan(before) or not _forget_peak():
        return math.nan
    with torch.inference_mode():
        network(torch.zeros(1, *shape))
    return _memory_mib("VmHWM") - before


def _one_pass_ms(network: nn.Module, image: Tensor) -> float:
    with torch.inference_mode():
        start = time.perf_counter()
        network(image)
        return (time.perf_counter() - start) * 1e3


def _memory_mib(what: str) -> float:
    """A line of the process's status, MiB.

    Not ``resource.getrusage``: a child's peak there begins with its parent's.
    """
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return math.nan
    found = [line.split()[1] for line in lines if line.startswith(f"{what}:")]
    return float(found[0]) / _KIB if found else math.nan


def _forget_peak() -> bool:
    """Start the process's peak anew, without what building the network took for a moment."""
    with contextlib.suppress(OSError, AttributeError):  # GNU's library alone has it
        ctypes.CDLL(None).malloc_trim(0)  # freed blocks go back to the system
    try:
        _CLEAR.write_text("5")
    except OSError:
        return False
    return True


def threads() -> int:
    """On how many threads torch computes."""
    return torch.get_num_threads()
