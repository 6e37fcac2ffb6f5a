"""What the backbones cost at the same input, and a transformer of as many parameters beside each.

Needs the extra ``train``; torch starts only when something is measured.
"""

from __future__ import annotations

import math
import multiprocessing
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from osteoscope.core.errors import InputError, ModelError

VIT = "vit3d-base"
_PATCH = 16
_HEAD_WIDTH = 64
_WIDTHS = range(64, 1025, 64)
_DEPTHS = range(8, 17)


@dataclass(frozen=True)
class CostCase:
    """A network to be measured.

    Args:
        name: Of ``osteoscope.models.create_model``.
        label: Under which it stands in the table; the name where empty.
        options: What ``create_model`` takes beside its name.
    """

    name: str
    label: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def shown(self) -> str:
        """The label, or the name."""
        return self.label or self.name


@dataclass(frozen=True)
class CostInput:
    """What goes in, and how often.

    Args:
        image_shape: (z, y, x) voxels, at least 1 each.
        in_channels: Channels of an image.
        outputs: Numbers that a network puts out (a joint one gets one more).
        repeats: Timed passes a network and layout.

    Raises:
        InputError: A number below 1.
    """

    image_shape: tuple[int, int, int] = (96, 96, 96)
    in_channels: int = 1
    outputs: int = 3
    repeats: int = 5

    def __post_init__(self) -> None:
        numbers = (*self.image_shape, self.in_channels, self.outputs, self.repeats)
        if len(self.image_shape) != 3 or min(numbers) < 1:
            raise InputError(
                f"A cost is measured on a shape of three counts of voxels, with channels, outputs "
                f"and repeats of at least 1, not {self}."
            )

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(channels, z, y, x) of an image."""
        return (self.in_channels, *self.image_shape)


@dataclass(frozen=True)
class NetworkCost:
    """What one network costs on the CPU, for one image.

    Args:
        label: The network.
        image_shape: (z, y, x) voxels.
        parameters: Trainable numbers.
        multiplications: Multiply-accumulates of convolutions, linear layers and attention.
        latency_ms: Median, tensors as torch lays them out.
        latency_channels_last_ms: Median, with the channels last in memory.
        peak_memory_mib: Weights and intermediate maps together; NaN where the system does not
            tell it, or was not asked.
        threads: On which the times were taken.
    """

    label: str
    image_shape: tuple[int, int, int]
    parameters: int
    multiplications: int
    latency_ms: float
    latency_channels_last_ms: float
    peak_memory_mib: float
    threads: int

    @property
    def best_latency_ms(self) -> float:
        """The faster of the two layouts."""
        return min(self.latency_ms, self.latency_channels_last_ms)


def measure_costs(
    cases: Sequence[CostCase],
    given: CostInput,
    *,
    memory: bool = True,
    on_step: Callable[[str], None] | None = None,
) -> list[NetworkCost]:
    """Parameters, multiplications, peak memory and latency of each network.

    Each one's peak is measured in a fresh process. The times come last, in turns that all networks
    and both layouts take part in (:func:`osteoscope.models.cost.latencies_ms`); they are this
    machine's, at this moment: compare within one call only. One network at a time is in memory.

    Args:
        cases: The networks.
        given: The images.
        memory: Whether to measure the peak memory, which starts a process a network.
        on_step: Told in words what is measured next.

    Returns:
        In the order of ``cases``.

    Raises:
        ModelError: A network that cannot be made, or that needs more memory than there is.
    """
    from osteoscope.models import cost

    tell = on_step or (lambda _: None)
    sizes: list[tuple[int, int, float]] = []
    for case in cases:
        tell(f"size of {case.shown}")
        network = _network(case, given)
        counts = cost.count_parameters(network), cost.count_multiplications(network, given.shape)
        del network  # before another process needs as much
        sizes.append((*counts, _peak_in_fresh_process(case, given) if memory else math.nan))
    times = cost.latencies_ms(
        [partial(_network, case, given) for case in cases],
        given.shape,
        repeats=given.repeats,
        on_turn=lambda turn: tell(f"times of all networks, turn {turn + 1} of {given.repeats + 1}"),
    )
    return [
        NetworkCost(
            label=case.shown,
            image_shape=given.image_shape,
            parameters=parameters,
            multiplications=multiplications,
            latency_ms=contiguous,
            latency_channels_last_ms=channels_last,
            peak_memory_mib=peak,
            threads=cost.threads(),
        )
        for case, (parameters, multiplications, peak), (contiguous, channels_last) in zip(
            cases, sizes, times, strict=True
        )
    ]


def with_equal_vits(names: Sequence[str], given: CostInput) -> list[CostCase]:
    """Each network, followed by a vision transformer of nearly as many parameters.

    Args:
        names: Of ``create_model``.
        given: The images, whose shape the transformer's positions depend on.

    Raises:
        ModelError: A network that cannot be made.
    """
    cases: list[CostCase] = []
    for name in names:
        case = CostCase(name)
        options = equal_vit_options(_parameters(case, given), given)
        shape = f"{options['embed_dim']} wide, {options['depth']} deep"
        cases += [case, CostCase(VIT, f"ViT of equal size to {name} ({shape})", options)]
    return cases


def equal_vit_options(parameters: int, given: CostInput) -> dict[str, int]:
    """Width, depth and heads of the transformer nearest in parameters (by ratio).

    Patches of 16 voxels a side; widths are multiples of 64 up to 1024 with one head for 64
    channels, depths 8 to 16 blocks, as transformers are built; of equally near ones the one
    nearest to 12 blocks.

    Args:
        parameters: To be met, at least 1.
        given: The images.

    Returns:
        Options for ``create_model("vit3d-base", ...)``.

    Raises:
        InputError: No parameters.
    """
    if parameters < 1:
        raise InputError(f"A network has at least one parameter, not {parameters}.")
    width, depth = min(
        ((w, d) for w in _WIDTHS for d in _DEPTHS),
        key=lambda size: (
            abs(math.log(vit_parameters(size[0], size[1], given) / parameters)),
            abs(size[1] - 12),
        ),
    )
    return {"embed_dim": width, "depth": depth, "num_heads": width // _HEAD_WIDTH}


def vit_parameters(width: int, depth: int, given: CostInput) -> int:
    """Parameters of a vision transformer with a class token and learnt positions.

    Dosovitskiy et al. 2021 (arXiv 2010.11929, section 3.1): a block has ``12 w^2 + 13 w`` (queries,
    keys, values and projection, two layers of 4 w, two norms), to which come patches, positions,
    the last norm and the classifier.
    """
    tokens = math.prod(size // _PATCH for size in given.image_shape)
    patches = width * (given.in_channels * _PATCH**3 + 1)
    positions = width * (tokens + 2)
    blocks = depth * (12 * width**2 + 13 * width)
    return patches + positions + blocks + 2 * width + (width + 1) * given.outputs


def _network(case: CostCase, given: CostInput) -> Any:
    from osteoscope.models import create_model

    return create_model(
        case.name,
        in_channels=given.in_channels,
        outputs=_outputs(case, given),
        image_shape=given.image_shape,
        **case.options,
    )


def _outputs(case: CostCase, given: CostInput) -> int:
    return given.outputs + 1 if case.name.startswith("jointvit") else given.outputs


def _parameters(case: CostCase, given: CostInput) -> int:
    from osteoscope.models import cost

    return cost.count_parameters(_network(case, given))


def _peak_in_fresh_process(case: CostCase, given: CostInput) -> float:
    context = multiprocessing.get_context("spawn")  # a fork would share its parent's memory
    try:
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            return pool.submit(_peak, case, given).result()
    except BrokenProcessPool:
        raise ModelError(
            f"The process that measured the memory of {case.shown} died, most likely for want of "
            f"memory; give it a smaller image than {given.image_shape}, or memory=False."
        ) from None


def _peak(case: CostCase, given: CostInput) -> float:
    from osteoscope.models.cost import peak_memory_mib

    return peak_memory_mib(case.name, given.shape, _outputs(case, given), **case.options)
