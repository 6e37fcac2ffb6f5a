"""Labels for a scan, by the segmenter that the configuration names, on the scan's grid."""

from __future__ import annotations

from pathlib import Path

from osteoscope.anatomy.segmenters.file import FileSegmenter
from osteoscope.anatomy.segmenters.nnunet import NnUnetSegmenter
from osteoscope.anatomy.segmenters.protocol import Segmenter
from osteoscope.anatomy.segmenters.totalsegmentator import TotalSegmentatorSegmenter
from osteoscope.core.errors import InputError
from osteoscope.studies.screen.config import ScreenConfig


def chosen_segmenter(config: ScreenConfig, segmentation: Path | None) -> Segmenter:
    """The segmenter that a screen uses.

    Args:
        config: Names the segmenter and where its weights lie.
        segmentation: A label file or a folder of masks, which ``file`` needs.

    Raises:
        InputError: ``file`` without labels, labels beside a program, or an unknown name.
        ModelError: A program or its weights are missing.
    """
    if config.segmenter == "file":
        if segmentation is None:
            raise InputError(
                "There is no segmentation: give --segmentation LABELS, or --segmenter "
                "totalsegmentator, or --segmenter nnunet with --nnunet-model FOLDER."
            )
        return FileSegmenter(segmentation, config.scheme)
    if segmentation is not None:
        raise InputError(
            f"A segmentation is given and --segmenter {config.segmenter} too; choose one."
        )
    if config.segmenter == "totalsegmentator":
        return TotalSegmentatorSegmenter(weights=_path(config.weights))
    if config.segmenter == "nnunet":
        if config.nnunet_model is None:
            raise InputError("--segmenter nnunet needs --nnunet-model FOLDER.")
        return NnUnetSegmenter(
            Path(config.nnunet_model),
            label_map=_path(config.label_map),
            scheme=config.scheme,
            trust_checkpoint=config.trust_checkpoint,
        )
    raise InputError(
        f"Unknown segmenter {config.segmenter!r}; known: file, totalsegmentator, nnunet."
    )


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)
