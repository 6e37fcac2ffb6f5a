"""What a segmenter is: anything that labels the bones of a scan on the scan's own grid."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from osteoscope.core.labelmap import LabelMap
from osteoscope.core.volume import Volume


@runtime_checkable
class Segmenter(Protocol):
    """Labels a scan."""

    @property
    def name(self) -> str:
        """The method's name for the report."""

    def prepare(self) -> LabelMap | None:
        """Do what needs no scan, so that what is missing is said at once.

        Returns:
            Labels that exist already, on their own grid; None where they must be made.

        Raises:
            InputError: The segmentation cannot be used.
            ModelError: A program or its weights are missing.
        """

    def segment(self, volume: Volume) -> LabelMap:
        """Labels of the scan on ``volume``'s grid, in the volume's own orientation.

        Args:
            volume: The scan.

        Raises:
            InputError: The scan or the segmentation cannot be used.
            GeometryError: The segmentation does not lie on the scan.
            ModelError: A program or its weights are missing, or it failed.
        """
