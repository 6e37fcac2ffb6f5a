"""A store of crops of virtual patients, without whole scans: the quick way to a cohort to learn on.

Only the surroundings of a vertebra are rendered; labels, crop and measurement then go the way of
real scans. The same subjects written as whole scans and prepared give the same crops but for the
values of the noise. A crop takes about 0.3 s of one core, of which the DXA takes 0.01 s.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from osteoscope.anatomy.measure import measure_vertebrae
from osteoscope.anatomy.quality.examine import level_flags
from osteoscope.anatomy.vertebra import Vertebra
from osteoscope.core.crop_spec import CropSpec
from osteoscope.core.errors import InputError, QualityError
from osteoscope.core.volume import Volume
from osteoscope.core.who import WHO_CLASSES
from osteoscope.densitometry.statistics import region_statistics
from osteoscope.densitometry.trabecular import trabecular_region
from osteoscope.features.crop import crop_measured
from osteoscope.io.crop_store import CropStore, CropStoreWriter
from osteoscope.simulation.cohort_preset import CohortPreset
from osteoscope.simulation.crop_render import SimulatedCrop
from osteoscope.simulation.dxa import DxaTruth, examine_dxa
from osteoscope.simulation.segmenter_errors import segmenter_errors
from osteoscope.simulation.spine import spine_frames
from osteoscope.simulation.virtual_subject import VirtualSubject, chosen_numbers, virtual_subject

CENTRE_MARGIN_MM = 6.0
"""How far the labelled body's centre, about which the crop lies, may be off the true one."""
_CROPS_AT_ONCE_BYTES = 2**28
"""Finished crops that may wait in memory for the last of their batch."""


class ItemOutcome(Protocol):
    """What became of one vertebra: a crop and its row, or one sentence."""

    @property
    def value(self) -> CropRow | None: ...

    @property
    def error(self) -> str | None: ...


Mapper = Callable[..., Sequence[ItemOutcome]]
"""``mapper(function, items, on_done=callback)``: see :func:`osteoscope.apps.mapping.map_items`."""

CropRow = tuple[NDArray[np.int16], dict[str, Any]]
OnSubject = Callable[[str, str], None]
"""Called with a subject's name and what became of it: ``done`` or ``failed: …``."""


@dataclass(frozen=True)
class VirtualStorePlan:
    """What a store of virtual crops holds.

    Args:
        preset: Who the patients are and where they are scanned.
        subjects: How many, 1-99999.
        seed: 0 or above; the same seed gives the same bytes.
        spec: How the crops are cut.
        segmenter: Whose mistakes the labels show; None for the preset's.
    """

    preset: CohortPreset
    subjects: int
    seed: int
    spec: CropSpec = field(default_factory=CropSpec)
    segmenter: str | None = None

    def __post_init__(self) -> None:
        segmenter_errors(self.drawn_by)

    @property
    def drawn_by(self) -> str:
        """The segmenter in force."""
        return self.segmenter or self.preset.segmenter

    @property
    def cohort_digest(self) -> str:
        """Of all that a subject depends on beside its number; quotas only choose among them."""
        who = asdict(self.preset)
        del who["class_counts"]
        text = json.dumps([who, self.seed, self.drawn_by], sort_keys=True)
        return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


@dataclass(frozen=True)
class VirtualStoreOutcome:
    """What a run left behind.

    Args:
        folder: The store.
        n_rows: Its rows.
        failures: Sentence by subject, of those that are not in it.
    """

    folder: Path
    n_rows: int
    failures: dict[str, str]


@dataclass(frozen=True)
class _Item:
    plan: VirtualStorePlan
    number: int
    name: str
    level: str


def write_virtual_store(
    out: Path,
    plan: VirtualStorePlan,
    *,
    mapper: Mapper,
    on_subject: OnSubject | None = None,
) -> VirtualStoreOutcome:
    """Render, crop and measure the subjects of a plan; a run that was stopped goes on.

    Args:
        out: The store's folder.
        plan: What it holds.
        mapper: Applies a function to items, here or in several processes.
        on_subject: Told about each vertebra as it is done.

    Returns:
        The store; a vertebra that could not be cropped is missing from it, and its subject named.

    Raises:
        InputError: A number is out of range, the folder holds something else, or nothing could
            be cropped.
    """
    numbers = chosen_numbers(plan.preset, plan.subjects, plan.seed)
    names = {number: virtual_subject(plan.preset, plan.seed, number).name for number in numbers}
    items = [_Item(plan, n, names[n], level) for n in numbers for level in plan.spec.levels]
    keys = [(item.name, item.level) for item in items]
    if _is_there(out, plan, keys):
        return VirtualStoreOutcome(out, len(keys), {})
    writer = CropStoreWriter(
        out, plan.spec, len(keys), sources={"virtual cohort": plan.cohort_digest}
    )
    if any(row.get("virtual_cohort") != plan.cohort_digest for row in writer.written.values()):
        raise InputError(
            f"An unfinished store of another virtual cohort lies beside {out.name!r}; delete it, "
            "or choose another folder."
        )
    todo = [item for item, key in zip(items, keys, strict=True) if key not in writer.written]
    failures: dict[str, str] = {}
    tell = on_subject or (lambda _name, _state: None)
    for item in items:
        if (item.name, item.level) in writer.written:
            tell(item.name, "done")
    for batch in _batches(todo, plan.spec):

        def record(index: int, outcome: ItemOutcome, batch: Sequence[_Item] = batch) -> None:
            name = batch[index].name
            if outcome.value is None:
                failures[name] = outcome.error or "unknown"
                tell(name, f"failed: {failures[name]}")
            else:
                writer.add(*outcome.value)
                tell(name, "done")

        mapper(virtual_row, batch, on_done=record)
    present = [key for key in keys if key in writer.written]
    if not present:
        raise InputError(f"No vertebra could be cropped: {next(iter(failures.values()))}")
    writer.finish(present)
    return VirtualStoreOutcome(out, len(present), failures)


def virtual_row(item: _Item) -> CropRow:
    """The crop of one vertebra of one subject, and its row."""
    plan = item.plan
    subject = virtual_subject(plan.preset, plan.seed, item.number)
    made = subject.cropped(item.level, _reach_mm(subject, item.level, plan.spec), plan.drawn_by)
    vertebra = measure_vertebrae(made.labels, levels=(item.level,)).get(item.level)
    if vertebra is None:
        raise QualityError(f"{item.level} is not among the labelled vertebrae.")
    crop = crop_measured(made.volume, vertebra, plan.spec)
    row = {
        **_row(subject, item.level, examine_dxa(subject.patient)),
        "l1_hu": _attenuation_hu(made.volume.canonical(), vertebra),
        "image_digest": _digest(made.volume),
        **_truth(subject, made),
        "segmenter": plan.drawn_by,
        "virtual_cohort": plan.cohort_digest,
    }
    return crop, row


def _reach_mm(subject: VirtualSubject, level: str, spec: CropSpec) -> tuple[float, float, float]:
    """What the rendered box must hold of the patient for the crop to be filled, along (z, y, x)."""
    half = np.array(spec.size_mm) / 2.0
    if spec.axes == "vertebra":
        axes = spine_frames(subject.patient)[subject.behind(level)].axes
        # Rows left, posterior, superior; the labelled endplates may tilt the axes a little more.
        half = (np.abs(axes[::-1, ::-1]).T @ half) * 1.1
    z, y, x = half + CENTRE_MARGIN_MM
    scan = subject.scan
    return float(z + scan.slice_mm), float(y + scan.in_plane_mm), float(x + scan.in_plane_mm)


def _attenuation_hu(volume: Volume, vertebra: Vertebra) -> float | None:
    """The trabecular median by the default method; None where quality withholds it.

    What can be seen of a single vertebra is examined: metal, cement and foci inside it.
    """
    flags = level_flags(volume, {vertebra.level: vertebra}, (vertebra.level,))
    if any(flag.effect == "withhold" for flag in flags):
        return None
    try:
        return region_statistics(volume, trabecular_region(vertebra)).median
    except QualityError:
        return None


def _row(subject: VirtualSubject, level: str, dxa: DxaTruth) -> dict[str, Any]:
    """What a store says of every crop."""
    return {
        "subject_id": subject.name,
        "level": level,
        "t_score": dxa.t_score,
        "class_index": WHO_CLASSES.index(dxa.who_class),
        "age_years": subject.patient.age_years,
        "sex": subject.patient.sex,
        "site": "" if subject.site is None else subject.site.name,
        "simulated": True,
    }


def _truth(subject: VirtualSubject, made: SimulatedCrop) -> dict[str, Any]:
    """What only a simulation knows; no model may learn from it."""
    patient, scan = subject.patient, subject.scan
    spec = patient.by_level[made.truth.level]
    return {
        "l1_vbmd_mg_cm3": round(made.truth.vbmd_mg_cm3, 3),
        "l1_true_hu": round(made.truth.trabecular_hu, 3),
        "l1_unenhanced_120_hu": round(made.truth.unenhanced_120_hu, 3),
        "kvp": scan.kvp,
        "contrast": scan.contrast_phase or "",
        "slice_mm": scan.slice_mm,
        "in_plane_mm": scan.in_plane_mm,
        "kernel": scan.kernel,
        "noise_sd_hu": round(scan.noise_sd_hu, 3),
        "osteophyte_mm": round(spec.osteophyte_mm, 3),
        "facet_sclerosis_mg_cm3": round(spec.facet_sclerosis_mg_cm3, 3),
        "aortic_calcification": round(patient.aortic_calcification, 3),
        "fracture_grade": spec.fracture_grade,
        "planted": " ".join(spec.defects),
        "label_shift": subject.label_shift,
    }


def _digest(volume: Volume) -> str:
    content = np.ascontiguousarray(volume.array, dtype="<i2").tobytes()
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _batches(items: Sequence[_Item], spec: CropSpec) -> list[Sequence[_Item]]:
    """The items in parts whose crops may wait in memory together."""
    size = max(16, _CROPS_AT_ONCE_BYTES // (2 * int(np.prod(spec.shape))))
    return [items[k : k + size] for k in range(0, len(items), size)]


def _is_there(out: Path, plan: VirtualStorePlan, keys: Sequence[tuple[str, str]]) -> bool:
    """Whether the folder holds this very store already."""
    try:
        store = CropStore.open(out)
    except InputError:
        return False
    rows = list(zip(store.column("subject_id"), store.column("level"), strict=True))
    same = store.sources.get("virtual cohort") == plan.cohort_digest and store.spec == plan.spec
    return same and [(str(a), str(b)) for a, b in rows] == list(keys)
