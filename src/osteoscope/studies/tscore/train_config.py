"""One training of a T-score classifier: the TOML file, the command line and the record of a run.

Needs the extra ``train``: its parts are the configurations of :mod:`osteoscope.learning`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

from osteoscope.core.config_file import config_from_mapping, overridden, toml_values
from osteoscope.core.errors import InputError
from osteoscope.features.windows import DEFAULT_WINDOW
from osteoscope.learning.augment import AugmentConfig
from osteoscope.learning.fit_config import FitConfig
from osteoscope.learning.heads import HeadName
from osteoscope.learning.losses.training_loss import LossConfig
from osteoscope.learning.network import NetworkConfig
from osteoscope.learning.optimisers import OptimiserConfig
from osteoscope.learning.sampling import SamplingKind
from osteoscope.studies.tscore.answer import AnswerConfig


@dataclass(frozen=True)
class ModelConfig(NetworkConfig):
    """The network, and what its outputs mean.

    Args:
        head: Of :data:`osteoscope.learning.heads.HEADS`.
    """

    head: HeadName = "three-class"


@dataclass(frozen=True)
class DataConfig:
    """What the network is shown.

    Args:
        windows: HU windows (low, high), one an input channel.
        sampling: ``shuffle``, or ``class-balanced``.

    Raises:
        InputError: There is no window, or one does not rise.
    """

    windows: tuple[tuple[float, float], ...] = (DEFAULT_WINDOW,)
    sampling: SamplingKind = "shuffle"

    def __post_init__(self) -> None:
        if not self.windows or any(low >= high for low, high in self.windows):
            raise InputError("data.windows holds at least one window, each [low, high] in HU.")


@dataclass(frozen=True)
class TrainConfig:
    """All of a training.

    Args:
        model: The network.
        data: What it is shown.
        loss: What is minimised.
        augment: How training crops are varied.
        optimiser: How weights follow their gradients.
        fit: How long, on what, and by which validation metric the epoch is chosen.
        answer: How logits become probabilities and sets.
    """

    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    fit: FitConfig = field(default_factory=FitConfig)
    answer: AnswerConfig = field(default_factory=AnswerConfig)


def preset_names() -> tuple[str, ...]:
    """Names of the presets in the package."""
    folder = resources.files("osteoscope.studies.tscore.presets")
    found = (entry.name for entry in folder.iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in found if name.endswith(".toml")))


def train_config(
    preset: str = "medconv", *, file: Path | None = None, settings: Iterable[str] = ()
) -> TrainConfig:
    """A preset, a file's values or both, with single settings laid over them.

    Args:
        preset: Name of a preset; what ``file`` does not say comes from it.
        file: A TOML file of any of the sections.
        settings: ``section.key=value`` each, the last one of a key winning.

    Raises:
        InputError: An unknown preset, section, key or value.
    """
    if preset not in preset_names():
        raise InputError(f"Unknown preset {preset!r}; known: {', '.join(preset_names())}.")
    folder = resources.files("osteoscope.studies.tscore.presets")
    with resources.as_file(folder / f"{preset}.toml") as path:
        values = toml_values(path)
    if file is not None:
        for section, part in toml_values(file).items():
            merged = isinstance(part, dict) and isinstance(values.get(section), dict)
            values[section] = {**values[section], **part} if merged else part
    return config_from_mapping(TrainConfig, overridden(values, settings))
