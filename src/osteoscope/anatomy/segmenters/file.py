"""A segmentation that was made elsewhere and lies in a file or a folder of masks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from osteoscope.anatomy.recognise import recognise_scheme
from osteoscope.core.label_schemes import LabelScheme, label_scheme
from osteoscope.core.labelmap import LabelMap
from osteoscope.core.volume import Volume
from osteoscope.io.labels import overlap_note, read_labels, resample_labels
from osteoscope.io.raw_labels import RawLabels


@dataclass(frozen=True)
class FileSegmenter:
    """Reads labels and puts them on the scan's grid by nearest neighbour.

    Args:
        path: A label file, or a folder with one mask per structure.
        scheme: Name of its label scheme; None recognises it.

    Example:
        ``FileSegmenter(Path("labels.nii.gz")).segment(volume)``
    """

    path: Path
    scheme: str | None = None

    @property
    def name(self) -> str:
        """The method's name for the report."""
        return "file"

    def prepare(self) -> LabelMap:
        """The labels as they lie in the file, their scheme recognised."""
        raw, scheme = self._labels
        return LabelMap(raw.array, raw.grid, scheme, raw.notes)

    @cached_property
    def _labels(self) -> tuple[RawLabels, LabelScheme]:
        raw = read_labels(Path(self.path))
        if self.scheme is not None:
            return raw, label_scheme(self.scheme)
        return raw, recognise_scheme(raw.array, raw.grid, raw.names)

    def segment(self, volume: Volume) -> LabelMap:
        """Labels of the file on the volume's grid.

        Args:
            volume: The scan.

        Raises:
            InputError: The file cannot be read, or its scheme cannot be told.
            GeometryError: The labels do not overlap the scan.
        """
        raw, scheme = self._labels
        partial = overlap_note(raw, volume.grid)
        notes = raw.notes if partial is None else (*raw.notes, partial)
        return LabelMap(resample_labels(raw, volume.grid), volume.grid, scheme, notes)
