"""Labels for a scan, by the segmenter that the configuration names, on the scan's grid."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from osteoscope.anatomy.segmenters.file import FileSegmenter
from osteoscope.anatomy.segmenters.nnunet import NnUnetSegmenter
from osteoscope.anatomy.segmenters.protocol import Segmenter
from osteoscope.anatomy.segmenters.totalsegmentator import TotalSegmentatorSegmenter
from osteoscope.core.errors import InputError
from osteoscope.core.registry import look_up
from osteoscope.studies.screen.config import ScreenConfig


def chosen_segmenter(config: ScreenConfig, segmentation: Path | None) -> Segmenter:
    """The segmenter that a screen uses.

    Args:
        config: Names the segmenter, and how and with which weights it runs.
        segmentation: A label file or a folder of masks, which ``file`` needs.

    Raises:
        InputError: ``file`` without labels, labels beside a program, or an unknown name.
    """
    make = look_up(SEGMENTERS, config.segmenter, "segmenter")
    if segmentation is not None and config.segmenter != "file":
        raise InputError(
            f"A segmentation is given and --segmenter {config.segmenter} too; choose one."
        )
    return make(config, segmentation)


def _file(config: ScreenConfig, segmentation: Path | None) -> Segmenter:
    if segmentation is None:
        raise InputError(
            "There is no segmentation: give --segmentation LABELS, or --segmenter "
            "totalsegmentator, or --segmenter nnunet with --nnunet-model FOLDER."
        )
    return FileSegmenter(segmentation, config.scheme)


def _totalsegmentator(config: ScreenConfig, _: Path | None) -> Segmenter:
    return TotalSegmentatorSegmenter(
        executable=config.segmenter_program,
        weights=_path(config.weights),
        fast=config.fast,
        device=config.device,
    )


def _nnunet(config: ScreenConfig, _: Path | None) -> Segmenter:
    if config.nnunet_model is None:
        raise InputError("--segmenter nnunet needs --nnunet-model FOLDER.")
    return NnUnetSegmenter(
        Path(config.nnunet_model),
        label_map=_path(config.label_map),
        scheme=config.scheme,
        mirror=not config.fast,
        device=config.device,
        executable=config.segmenter_program,
        trust_checkpoint=config.trust_checkpoint,
    )


SEGMENTERS: Mapping[str, Callable[[ScreenConfig, Path | None], Segmenter]] = MappingProxyType(
    {"file": _file, "totalsegmentator": _totalsegmentator, "nnunet": _nnunet}
)
"""Every segmenter by the name that ``--segmenter`` takes."""


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)
