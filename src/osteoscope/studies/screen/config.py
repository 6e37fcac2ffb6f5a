"""What a screen measures and how: one frozen configuration."""

from __future__ import annotations

from dataclasses import dataclass, fields

from osteoscope.core.errors import InputError
from osteoscope.core.label_schemes import VERTEBRAE, label_scheme

LEVELS: tuple[str, ...] = ("T11", "T12", "L1", "L2", "L3", "L4", "L5")
"""The vertebrae that routine abdominal CT shows and that osteoscope measures."""


@dataclass(frozen=True)
class ScreenConfig:
    """Options of a screen; the same object is TOML, command line and record in ``result.json``.

    Args:
        level: The vertebra that the assessment is about.
        levels: Every vertebra that is measured; ``level`` is among them.
        method: The region that the assessment uses; the other methods are reported beside it.
        erosion_mm: Distance from cortex and endplates for ``eroded-body``, mm, in [0, 10].
        criteria: Criteria to assess, each giving its own category.
        criterion: The criterion of the headline; one of ``criteria``.
        calibration: A calibration file (table or phantom fit), ``internal``, or None.
        contrast_rule: A named published contrast correction to show beside the result, or None.
        dxa_reference: Young-adult reference for the virtual DXA T-score.
        segmenter: ``file``, ``totalsegmentator`` or ``nnunet``.
        scheme: Label scheme of the segmentation; None lets it be recognised.
        weights: Folder with TotalSegmentator's weights.
        nnunet_model: nnU-Net v2 model folder.
        label_map: JSON file from the model's class numbers to vertebrae.
        fast: The segmenter's faster and coarser way: TotalSegmentator's 3 mm network, nnU-Net
            without mirrored copies.
        device: Where the segmenter runs: ``cpu``, ``gpu``, ``gpu:N`` or ``mps``.
        segmenter_program: The segmenter's program, where it is not on PATH.
        series: Key of the DICOM series to read; None chooses.
        identify: Write the patient's name and identifier into the result.
        trust_checkpoint: Allow a checkpoint that cannot be read without executing code in it.
        model: An ONNX file that ``osteoscope tscore export`` wrote, ``embedded`` for the one in
            the package, ``none``; None takes the embedded one where there is one.
        runtime: The library that runs the model: ``onnxruntime`` or ``openvino``.
        threads: Threads of the model's inference, 1 or more; None leaves it to the runtime.

    Raises:
        InputError: A field is outside its range or names something unknown.
    """

    level: str = "L1"
    levels: tuple[str, ...] = LEVELS
    method: str = "eroded-body"
    erosion_mm: float = 5.0
    criteria: tuple[str, ...] = ("pickhardt-l1-hu", "qct-vbmd", "hu-norm-for-age-jang")
    criterion: str = "pickhardt-l1-hu"
    calibration: str | None = None
    contrast_rule: str | None = None
    dxa_reference: str | None = None
    segmenter: str = "file"
    scheme: str | None = None
    weights: str | None = None
    nnunet_model: str | None = None
    label_map: str | None = None
    fast: bool = False
    device: str = "cpu"
    segmenter_program: str | None = None
    series: str | None = None
    identify: bool = False
    trust_checkpoint: bool = False
    model: str | None = None
    runtime: str = "onnxruntime"
    threads: int | None = None

    def __post_init__(self) -> None:
        _check_types(self)
        for level in (self.level, *self.levels):
            if level not in VERTEBRAE:
                raise InputError(f"Unknown vertebra {level!r}; use names such as T12 or L1.")
        if self.level not in self.levels:
            raise InputError(
                f"The assessed level {self.level} must be among the measured levels "
                f"({', '.join(self.levels)})."
            )
        if not 0 <= self.erosion_mm <= 10:
            raise InputError(f"erosion_mm must lie in [0, 10] mm, not {self.erosion_mm}.")
        if self.criterion not in self.criteria:
            raise InputError(
                f"The criterion {self.criterion!r} must be among the assessed ones "
                f"({', '.join(self.criteria)})."
            )
        if self.scheme is not None:
            label_scheme(self.scheme)
        if self.threads is not None and self.threads < 1:
            raise InputError(f"A model runs on 1 thread or more, not {self.threads}.")


_KINDS = {
    "str": ((str,), "text"),
    "bool": ((bool,), "true or false"),
    "int": ((int,), "a whole number"),
    "float": ((int, float), "a number"),
    "tuple[str, ...]": ((tuple,), "a list of texts"),
}


def _check_types(config: ScreenConfig) -> None:
    """A file may hold any type, and the text "no" would count as yes."""
    for field in fields(config):
        value = getattr(config, field.name)
        kind, _, optional = str(field.type).partition(" | ")
        types, words = _KINDS[kind]
        fits = isinstance(value, types) and (kind == "bool") == isinstance(value, bool)
        if kind.startswith("tuple") and fits:
            fits = all(isinstance(part, str) for part in value)
        if not fits and not (optional and value is None):
            raise InputError(f"The option {field.name} must be {words}, not {value!r:.40}.")
