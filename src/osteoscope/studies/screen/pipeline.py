"""One scan, from its files to its result: read, label, measure, question, conclude, ask, write."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osteoscope.anatomy.measure import measure_vertebrae
from osteoscope.anatomy.quality.examine import examine_scan
from osteoscope.anatomy.quality.verdict import known_contrast, withheld_levels
from osteoscope.anatomy.refine import refine_all
from osteoscope.anatomy.segmenters.file import FileSegmenter
from osteoscope.anatomy.segmenters.protocol import Segmenter
from osteoscope.anatomy.vertebra import Vertebra
from osteoscope.core.flag import Flag
from osteoscope.core.labelmap import LabelMap
from osteoscope.core.measurement import Missing
from osteoscope.core.provenance import file_digest
from osteoscope.core.volume import Volume
from osteoscope.densitometry.calibration.line import Calibration
from osteoscope.densitometry.region import Region
from osteoscope.io.image_files import write_labels
from osteoscope.io.scan import read_scan
from osteoscope.reporting.result_schema import validate_result
from osteoscope.studies.screen.assess import (
    Conclusion,
    conclude,
)
from osteoscope.studies.screen.calibrate import NamedCalibration, read_calibration
from osteoscope.studies.screen.classify import Classified, ModelView, classified
from osteoscope.studies.screen.config import ScreenConfig
from osteoscope.studies.screen.density import with_correction, with_density
from osteoscope.studies.screen.measure import LevelResult, measure_level
from osteoscope.studies.screen.model import chosen_model
from osteoscope.studies.screen.output_folder import RESULT_NAME, check_output, whole_folder
from osteoscope.studies.screen.regions import CropWeights, region_labels
from osteoscope.studies.screen.result import Screened, build_result, why_withheld
from osteoscope.studies.screen.segment import chosen_segmenter
from osteoscope.studies.screen.virtual import projected_density, unprojected_levels


@dataclass(frozen=True, eq=False)
class ScreenOutcome:
    """What a screen left behind.

    Args:
        status: ``done`` or ``withheld``.
        result: The content of ``result.json``.
        folder: Where everything lies.
    """

    status: str
    result: dict[str, Any]
    folder: Path


def screen_scan(
    scan: Path,
    out: Path,
    config: ScreenConfig,
    *,
    segmentation: Path | None = None,
    subregions: Path | None = None,
    report: bool = True,
    progress: Callable[[str], None] | None = None,
    record: Callable[[Path, Mapping[str, Any]], None] | None = None,
) -> ScreenOutcome:
    """Screen one scan and write ``result.json``, ``regions.nii.gz`` and ``report.html``.

    Args:
        scan: DICOM folder or file, archive, or image file.
        out: Folder for the result; an older result in it is replaced in one step.
        config: What to measure and how.
        segmentation: Label file or folder of masks, for the segmenter ``file``.
        subregions: TPTBox subregion labels, where there are any.
        report: Write the page and its pictures too.
        progress: Told what is going on, a few words a stage.
        record: Called with the unfinished folder and the result, to add files of its own.

    Returns:
        The result; a result that quality forbids is ``withheld``, with the reason.

    Raises:
        OsteoscopeError: The scan, the labels or an option cannot be used; nothing is written.
    """
    tell = progress or (lambda _: None)
    check_output(out)
    start = time.perf_counter()
    screened, found, view = _examine(_Files(scan, segmentation, subregions), config, tell)
    result = build_result(screened, time.perf_counter() - start)
    validate_result(result)
    with whole_folder(out) as folder:
        (folder / RESULT_NAME).write_text(
            json.dumps(result, indent=1, allow_nan=False), encoding="utf-8"
        )
        if found.regions:
            write_labels(folder / "regions.nii.gz", *region_labels(found.labels, found.regions))
        if report:
            tell("drawing the report")
            _write_page(folder / "report.html", result, found, view)
        if record is not None:
            record(folder, result)
    return ScreenOutcome(result["status"], result, out)


@dataclass(frozen=True)
class _Files:
    """What a screen reads."""

    scan: Path
    segmentation: Path | None
    subregions: Path | None


def _examine(
    files: _Files, config: ScreenConfig, tell: Callable[[str], None]
) -> tuple[Screened, _Found, ModelView | None]:
    """Read, label, measure, question, conclude and ask the model.

    Labels that exist already are measured while the scan is being read, and the scan's digest is
    made while it is measured: inflating and hashing leave the interpreter to others.
    """
    segmenter = chosen_segmenter(config, files.segmentation)
    named = read_calibration(config.calibration)
    early = segmenter.prepare()
    with ThreadPoolExecutor(max_workers=1) as beside:
        tell("reading the scan")
        coming = beside.submit(
            read_scan, files.scan, series=config.series, identify=config.identify
        )
        measured = _measured_early(early, files.subregions)
        reading = coming.result()
        digest = beside.submit(lambda: reading.digest)
        tell(f"labelling ({segmenter.name})")
        labels = segmenter.segment(reading.volume)
        parts = _subregions(files.subregions, reading.volume)
        tell("measuring")
        if early is None or not early.grid.matches(reading.volume.grid):
            measured = None
        vertebrae = measured or measure_vertebrae(labels, subregions=parts)
        volume, labels = reading.volume.canonical(), labels.canonical()
        found = _Found.of(volume, labels, vertebrae, named, config)
        conclusion = conclude(
            found.levels, found.flags, volume.acquisition, found.calibration, config
        )
        digest.result()
    answered = _ask_model(found, conclusion, config, tell)
    screened = Screened(
        reading=reading,
        config=config,
        segmentation=_made_by(segmenter, labels, files.segmentation),
        levels=found.levels,
        flags=found.flags,
        conclusion=conclusion,
        calibration=found.calibration,
        virtual_dxa=_projected(found, config),
        classification=answered.entry,
        notes=(*reading.notes, *labels.notes),
    )
    return screened, found, answered.view


@dataclass(frozen=True, eq=False)
class _Found:
    """What the scan shows: vertebrae, numbers, flags and the calibration."""

    volume: Volume
    labels: LabelMap
    vertebrae: Mapping[str, Vertebra]
    levels: Mapping[str, LevelResult]
    flags: list[Flag]
    calibration: Calibration | Missing

    @classmethod
    def of(
        cls,
        volume: Volume,
        labels: LabelMap,
        vertebrae: Mapping[str, Vertebra],
        named: NamedCalibration,
        config: ScreenConfig,
    ) -> _Found:
        vertebrae = refine_all(volume, vertebrae)
        levels = {
            level: measure_level(volume, vertebrae.get(level), level, config)
            for level in config.levels
        }
        weights = CropWeights(_drawn(levels), vertebrae)
        flags = examine_scan(volume, labels, vertebrae, config.levels, weights=weights)
        enhanced = known_contrast(flags, volume.acquisition)
        calibration = named.for_scan(volume, labels, enhanced=enhanced)
        if not isinstance(calibration, Missing):
            levels = {name: with_density(result, calibration) for name, result in levels.items()}
        if config.contrast_rule is not None:
            levels = {
                name: with_correction(result, config.contrast_rule, calibration, enhanced=enhanced)
                for name, result in levels.items()
            }
        return cls(volume, labels, vertebrae, levels, flags, calibration)

    @property
    def regions(self) -> dict[str, Region]:
        return _drawn(self.levels)


def _measured_early(
    labels: LabelMap | None, subregions: Path | None
) -> Mapping[str, Vertebra] | None:
    """The vertebrae of labels that are there before the scan is, measured while it is read.

    They hold where the labels lie on the scan's own grid, as they mostly do.
    """
    if labels is None or subregions is not None:
        return None
    return measure_vertebrae(labels)


def _made_by(
    segmenter: Segmenter, labels: LabelMap, segmentation: Path | None
) -> dict[str, str | None]:
    """Where the labels come from."""
    return {
        "segmenter": segmenter.name,
        "scheme": labels.scheme.name,
        "detail": labels.scheme.source or None,
        "digest": file_digest(segmentation) if segmentation and segmentation.is_file() else None,
    }


def _projected(found: _Found, config: ScreenConfig) -> dict[str, Any]:
    withheld = withheld_levels(found.flags, config.levels)
    return projected_density(
        found.volume,
        found.labels,
        found.vertebrae,
        found.calibration,
        withheld=unprojected_levels(found.flags, withheld),
        enhanced=known_contrast(found.flags, found.volume.acquisition),
        reference=config.dxa_reference,
    )


def _ask_model(
    found: _Found, conclusion: Conclusion, config: ScreenConfig, tell: Callable[[str], None]
) -> Classified:
    """After the measuring, so that the runtime's memory does not add to its peak."""
    model = chosen_model(config)
    if not isinstance(model, Missing):
        tell("asking the model")
    level = config.level
    withheld = withheld_levels(found.flags, config.levels).get(level)
    return classified(
        model,
        found.volume,
        found.vertebrae.get(level),
        level=level,
        withheld=why_withheld(found.levels[level], withheld),
        flags=found.flags,
        assessments=conclusion.assessments,
    )


def _drawn(levels: Mapping[str, LevelResult]) -> dict[str, Region]:
    return {name: result.region for name, result in levels.items() if result.region is not None}


def _write_page(path: Path, result: dict[str, Any], found: _Found, view: ModelView | None) -> None:
    # Matplotlib takes 40 MB and half a second, which a run without pages is spared.
    from osteoscope.reporting.page import SALIENCY, write_report
    from osteoscope.reporting.pictures import render_planes

    level = result["config"]["level"]
    pictures = render_planes(found.volume, found.labels, found.vertebrae, found.regions, level)
    if view is not None:
        from osteoscope.inference.saliency import occlusion_map
        from osteoscope.reporting.saliency_picture import render_saliency

        pictures[SALIENCY] = render_saliency(
            found.volume,
            found.vertebrae[level],
            occlusion_map(view.model, view.crop_hu, view.category),
            view.grid,
            simulated=view.model.spec.simulated,
        )
    write_report(path, result, pictures)


def _subregions(path: Path | None, volume: Volume) -> LabelMap | None:
    if path is None:
        return None
    return FileSegmenter(path, "tptbox-subregions").segment(volume)
