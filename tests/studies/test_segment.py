"""The segmenter that the options of a screen name, with the options that belong to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from osteoscope.anatomy.segmenters.file import FileSegmenter
from osteoscope.anatomy.segmenters.nnunet import NnUnetSegmenter
from osteoscope.anatomy.segmenters.protocol import Segmenter
from osteoscope.anatomy.segmenters.totalsegmentator import TotalSegmentatorSegmenter
from osteoscope.core.errors import InputError
from osteoscope.studies.screen.config import ScreenConfig
from osteoscope.studies.screen.segment import chosen_segmenter

LABELS = Path("labels.nii.gz")


def test_labels_are_read_from_the_file() -> None:
    chosen = chosen_segmenter(ScreenConfig(scheme="verse"), LABELS)
    assert chosen == FileSegmenter(LABELS, "verse")
    assert isinstance(chosen, Segmenter)


def test_totalsegmentator_gets_its_options() -> None:
    config = ScreenConfig(
        segmenter="totalsegmentator",
        weights="weights",
        fast=True,
        device="gpu:1",
        segmenter_program="elsewhere/TotalSegmentator",
    )
    assert chosen_segmenter(config, None) == TotalSegmentatorSegmenter(
        executable="elsewhere/TotalSegmentator", weights=Path("weights"), fast=True, device="gpu:1"
    )


def test_nnunet_gets_its_options() -> None:
    config = ScreenConfig(
        segmenter="nnunet",
        nnunet_model="model",
        label_map="map.json",
        fast=True,
        device="mps",
        segmenter_program="predict",
        trust_checkpoint=True,
    )
    assert chosen_segmenter(config, None) == NnUnetSegmenter(
        Path("model"),
        label_map=Path("map.json"),
        mirror=False,
        device="mps",
        executable="predict",
        trust_checkpoint=True,
    )


@pytest.mark.parametrize(
    ("config", "labels", "says"),
    [
        (ScreenConfig(), None, "no segmentation"),
        (ScreenConfig(segmenter="totalsegmentator"), LABELS, "choose one"),
        (ScreenConfig(segmenter="magic"), None, "known: file, totalsegmentator, nnunet"),
        (ScreenConfig(segmenter="nnunet"), None, "needs --nnunet-model"),
        (ScreenConfig(segmenter="totalsegmentator", device="tpu"), None, "none of cpu, gpu"),
    ],
)
def test_what_does_not_fit_is_one_sentence(
    config: ScreenConfig, labels: Path | None, says: str
) -> None:
    with pytest.raises(InputError, match=says):
        chosen_segmenter(config, labels)
