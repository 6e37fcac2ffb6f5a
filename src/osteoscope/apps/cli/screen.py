"""``osteoscope screen``: one CT, several, a cohort table or a folder tree."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from osteoscope.apps.cli import screen_options as option
from osteoscope.core.errors import InputError


def screen(
    sources: option.Sources,
    out: option.Out = Path("osteoscope-screen"),
    segmentation: option.Segmentation = None,
    subregions: option.Subregions = None,
    scheme: option.Scheme = None,
    segmenter: option.SegmenterName = None,
    weights: option.Weights = None,
    nnunet_model: option.NnunetModel = None,
    label_map: option.LabelMapFile = None,
    trust_checkpoint: option.TrustCheckpoint = None,
    fast: option.Fast = None,
    device: option.Device = None,
    segmenter_program: option.SegmenterProgram = None,
    series: option.Series = None,
    level: option.Level = None,
    method: option.Method = None,
    erosion_mm: option.ErosionMm = None,
    criterion: option.Criterion = None,
    calibration: option.Calibration = None,
    contrast_rule: option.ContrastRule = None,
    dxa_reference: option.DxaReference = None,
    model: option.Model = None,
    runtime: option.Runtime = None,
    threads: option.Threads = None,
    config: option.Config = None,
    cohort: option.Cohort = None,
    workers: option.Workers = 1,
    scheduler: option.Scheduler = None,
    identify: option.Identify = None,
    as_json: option.Json = False,
    no_report: option.NoReport = False,
    quiet: option.Quiet = False,
) -> None:
    """Measure the bone in a CT: result.json, report.html and the regions as NIfTI.

    Exit code 0: done. 1: some scans failed, the table says which. 2: wrong use, or the one scan
    cannot be used.
    """
    from osteoscope.apps.cli import screen_cohort, screen_scans
    from osteoscope.apps.cli.sources import is_cohort
    from osteoscope.apps.mapping import map_items
    from osteoscope.studies.screen.preflight import check_options

    typed = {
        "scheme": scheme, "segmenter": segmenter, "weights": weights,
        "nnunet_model": nnunet_model, "label_map": label_map,
        "trust_checkpoint": trust_checkpoint, "fast": fast, "device": device,
        "segmenter_program": segmenter_program, "series": series, "level": level,
        "method": method, "erosion_mm": erosion_mm, "criterion": criterion,
        "calibration": calibration, "contrast_rule": contrast_rule,
        "dxa_reference": dxa_reference, "identify": identify,
        "model": model, "runtime": runtime, "threads": threads,
    }  # fmt: skip
    settings = option.screen_config(config, typed)
    shown = option.Shown(as_json=as_json, report=not no_report, quiet=quiet)
    if is_cohort(sources, cohort):
        if segmentation is not None or subregions is not None:
            raise InputError(
                "--segmentation and --subregions belong to one scan; for a cohort, name them in "
                "the table or put them beside each scan."
            )
        if no_report:
            raise InputError("A cohort's scans always get their reports; leave out --no-report.")
        check_options(settings, here=scheduler is None)
        mapper = partial(map_items, workers=workers, scheduler=scheduler)
        screen_cohort.run(sources[0], out, settings, mapper, shown)
    else:
        scans = screen_scans.Scans(tuple(sources), segmentation, subregions)
        check_options(settings, segmentation)
        screen_scans.run(scans, out, settings, shown)
