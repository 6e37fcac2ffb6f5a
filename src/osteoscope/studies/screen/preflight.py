"""What can be known to be wrong before the first scan is read, so that it is said once."""

from __future__ import annotations

from pathlib import Path

from osteoscope.anatomy.segmenters.totalsegmentator_weights import find_weights
from osteoscope.core.dxa_reference import dxa_reference
from osteoscope.core.registry import look_up
from osteoscope.densitometry.corrections import correction_rule
from osteoscope.densitometry.criteria import CRITERIA
from osteoscope.densitometry.trabecular import REGION_METHODS
from osteoscope.studies.screen.calibrate import read_calibration
from osteoscope.studies.screen.config import ScreenConfig
from osteoscope.studies.screen.model import check_model
from osteoscope.studies.screen.segment import chosen_segmenter


def check_options(
    config: ScreenConfig, segmentation: Path | None = None, *, here: bool = True
) -> None:
    """Refuse options that would fail every scan: reading ten thousand of them tells no more.

    Args:
        config: The options of the screen.
        segmentation: The labels of the one scan, where they are given.
        here: The scans are read on this machine; elsewhere weights and model may lie in other
            places.

    Raises:
        InputError: An unknown region, criterion, rule, reference or segmenter, or a calibration
            file that cannot be used.
        ModelError: TotalSegmentator's weights are asked for and are not there, or the model
            cannot be used.
        QualityError: The rods of a phantom fit no line.
    """
    look_up(REGION_METHODS, config.method, "region method")
    for name in config.criteria:
        look_up(CRITERIA, name, "criterion")
    if config.contrast_rule is not None:
        correction_rule(config.contrast_rule)
    if config.dxa_reference is not None:
        dxa_reference(config.dxa_reference)
    read_calibration(config.calibration)
    if here:
        check_model(config)
    if config.segmenter != "file":
        chosen_segmenter(config, segmentation)
    if here and config.segmenter == "totalsegmentator":
        find_weights(None if config.weights is None else Path(config.weights), fast=config.fast)
