"""The options of ``osteoscope screen``, and how they fall onto its configuration."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from osteoscope.studies.screen.config import ScreenConfig

_WHERE = "Labels"
_HOW = "Measurement"
_MODEL = "Model"
_MANY = "Many scans"
_SHOWN = "Output"

Sources = Annotated[
    list[Path],
    typer.Argument(
        metavar="SCAN|COHORT.csv|FOLDER",
        help="A DICOM folder or archive, a NIfTI, NRRD or MHA file; a cohort table; a folder tree.",
        show_default=False,
    ),
]
Out = Annotated[
    Path, typer.Option("--out", "-o", help="Folder for the results.", rich_help_panel=_SHOWN)
]
Segmentation = Annotated[
    Path | None,
    typer.Option(help="Label file, or folder of masks, of one scan.", rich_help_panel=_WHERE),
]
Subregions = Annotated[
    Path | None,
    typer.Option(help="TPTBox subregion labels of one scan.", rich_help_panel=_WHERE),
]
Scheme = Annotated[
    str | None,
    typer.Option(help="Label scheme; recognised where it can be.", rich_help_panel=_WHERE),
]
SegmenterName = Annotated[
    str | None,
    typer.Option("--segmenter", help="file, totalsegmentator or nnunet.", rich_help_panel=_WHERE),
]
Weights = Annotated[
    str | None,
    typer.Option(help="Folder with TotalSegmentator's weights.", rich_help_panel=_WHERE),
]
NnunetModel = Annotated[
    str | None, typer.Option(help="nnU-Net v2 model folder.", rich_help_panel=_WHERE)
]
LabelMapFile = Annotated[
    str | None,
    typer.Option("--label-map", help="JSON: class number to vertebra.", rich_help_panel=_WHERE),
]
TrustCheckpoint = Annotated[
    bool | None,
    typer.Option(
        "--trust-checkpoint/--no-trust-checkpoint",
        help="Allow a checkpoint that can only be read by running code in it.",
        rich_help_panel=_WHERE,
        show_default=False,
    ),
]
Fast = Annotated[
    bool | None,
    typer.Option(
        "--fast/--no-fast",
        help="The segmenter's faster, coarser way.",
        rich_help_panel=_WHERE,
        show_default=False,
    ),
]
Device = Annotated[
    str | None,
    typer.Option(
        help="Where the segmenter runs: cpu, gpu, gpu:N or mps.",
        show_default="cpu",
        rich_help_panel=_WHERE,
    ),
]
SegmenterProgram = Annotated[
    str | None,
    typer.Option(help="The segmenter's program, if not on PATH.", rich_help_panel=_WHERE),
]
Series = Annotated[
    str | None,
    typer.Option(help="Key of the DICOM series (see: osteoscope series).", rich_help_panel=_HOW),
]
Level = Annotated[
    str | None, typer.Option(help="Vertebra to assess.", show_default="L1", rich_help_panel=_HOW)
]
Method = Annotated[
    str | None,
    typer.Option(
        help="Trabecular region: eroded-body, elliptic-mid-body, whole-vertebra or "
        "eroded-body-straight-cut.",
        show_default="eroded-body",
        rich_help_panel=_HOW,
    ),
]
ErosionMm = Annotated[
    float | None,
    typer.Option(
        help="Distance from the cortex, mm, 0 to 10.", show_default="5", rich_help_panel=_HOW
    ),
]
Criterion = Annotated[
    str | None,
    typer.Option(
        help="Criterion of the headline: pickhardt-l1-hu, qct-vbmd or hu-norm-for-age-jang.",
        show_default="pickhardt-l1-hu",
        rich_help_panel=_HOW,
    ),
]
Calibration = Annotated[
    str | None,
    typer.Option(help="HU to mg/cm3: a table or phantom file, or: internal.", rich_help_panel=_HOW),
]
ContrastRule = Annotated[
    str | None,
    typer.Option(help="Published contrast correction to show.", rich_help_panel=_HOW),
]
DxaReference = Annotated[
    str | None,
    typer.Option(help="Reference of the virtual DXA T-score.", rich_help_panel=_HOW),
]
Model = Annotated[
    str | None,
    typer.Option(
        metavar="FILE|embedded|none",
        help="ONNX model from 'osteoscope tscore export' to ask for a class.",
        show_default="embedded, where there is one",
        rich_help_panel=_MODEL,
    ),
]
Runtime = Annotated[
    str | None,
    typer.Option(
        help="What runs the model: onnxruntime or openvino.",
        show_default="onnxruntime",
        rich_help_panel=_MODEL,
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(min=1, help="Threads of the model's inference.", rich_help_panel=_MODEL),
]
Config = Annotated[
    Path | None,
    typer.Option(help="TOML file of these options; the command line wins.", rich_help_panel=_HOW),
]
Identify = Annotated[
    bool | None,
    typer.Option(
        "--identify/--no-identify",
        help="Write the patient's name and identifier into the result.",
        rich_help_panel=_SHOWN,
        show_default=False,
    ),
]
Workers = Annotated[
    int, typer.Option(min=1, help="Scans at a time on this machine.", rich_help_panel=_MANY)
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        help="Dask cluster: an address, a scheduler file, slurm, pbs, lsf or sge.",
        rich_help_panel=_MANY,
    ),
]
Cohort = Annotated[
    bool | None,
    typer.Option(
        "--cohort/--one-scan",
        help="Take FOLDER as a tree of scans, or as one scan; recognised where it can be.",
        rich_help_panel=_MANY,
        show_default=False,
    ),
]
Json = Annotated[
    bool,
    typer.Option("--json", help="Only JSON on standard output.", rich_help_panel=_SHOWN),
]
NoReport = Annotated[
    bool, typer.Option("--no-report", help="Write no report.html.", rich_help_panel=_SHOWN)
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.", rich_help_panel=_SHOWN)]


def screen_config(file: Path | None, given: Mapping[str, object]) -> ScreenConfig:
    """The configuration of a screen: defaults, then the file, then what was typed.

    Args:
        file: TOML file, or None.
        given: Value by field name; None stands for an option that was not typed.

    Raises:
        InputError: The file or a value does not fit.
    """
    from osteoscope.core.config_file import config_from_toml
    from osteoscope.studies.screen.config import ScreenConfig

    base = ScreenConfig() if file is None else config_from_toml(ScreenConfig, file)
    typed = {name: value for name, value in given.items() if value is not None}
    return dataclasses.replace(base, **typed)  # type: ignore[arg-type]


@dataclasses.dataclass(frozen=True)
class Shown:
    """What a screen shows and writes beside the numbers.

    Args:
        as_json: Only JSON on standard output.
        report: Write ``report.html``.
        quiet: No progress.
    """

    as_json: bool = False
    report: bool = True
    quiet: bool = False
