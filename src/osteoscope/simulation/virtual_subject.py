"""One subject of a virtual cohort: drawn from the seed and its number, and which are chosen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import count

import numpy as np

from osteoscope.core.errors import InputError
from osteoscope.core.label_schemes import VERTEBRAE
from osteoscope.core.who import WHO_CLASSES
from osteoscope.simulation.cohort_mix import draw_defects, draw_label_shift, draw_scan
from osteoscope.simulation.cohort_preset import CohortPreset
from osteoscope.simulation.crop_render import SimulatedCrop, simulate_crop
from osteoscope.simulation.dxa import examine_dxa
from osteoscope.simulation.label_faults import Planted, shift_by_one
from osteoscope.simulation.patient import sample_patient
from osteoscope.simulation.patient_spec import PatientSpec
from osteoscope.simulation.render import SimulatedPatient, simulate_patient
from osteoscope.simulation.scan import ScanSpec
from osteoscope.simulation.segmenter_errors import drawn_by, segmenter_errors
from osteoscope.simulation.virtual_site import VirtualSite, draw_site

MOST_CANDIDATES = 1000
"""Patients looked at for each that is wanted before the classes count as out of reach."""


@dataclass(frozen=True)
class VirtualSubject:
    """Everything that chance decides about a subject.

    Args:
        name: Its identifier: the preset, the seed and its number, counted from 1.
        patient: The body.
        scan: The acquisition.
        site: Where it is made; None for an ideal scanner.
        scan_seed: Seed of the scan, and of the segmenter's mistakes.
        label_shift: All vertebrae are labelled one level too high.
    """

    name: str
    patient: PatientSpec
    scan: ScanSpec
    site: VirtualSite | None
    scan_seed: int
    label_shift: bool

    def scanned(self, segmenter: str = "exact") -> tuple[SimulatedPatient, Planted]:
        """The whole scan with its labels, and the flags that the labels' faults plant."""
        made = simulate_patient(self.patient, self.scan, seed=self.scan_seed)
        planted: Planted = ()
        if self.label_shift:
            labels = shift_by_one(made.labels)
            verse, planted = shift_by_one(made.verse).labels, labels.planted
            made = replace(made, labels=labels.labels, verse=verse)
        errors = segmenter_errors(segmenter)
        made = replace(
            made,
            labels=drawn_by(made.labels, errors, self.scan_seed),
            verse=drawn_by(made.verse, errors, self.scan_seed),
            subregions=drawn_by(made.subregions, errors, self.scan_seed),
        )
        if self.site is None:
            return made, planted
        levels = {
            name: replace(level, trabecular_hu=float(self.site.reads(level.trabecular_hu)))
            for name, level in made.truth.levels.items()
        }
        truth = replace(
            made.truth, levels=levels, aorta_hu=float(self.site.reads(made.truth.aorta_hu))
        )
        return replace(made, volume=self.site.rescanned(made.volume), truth=truth), planted

    def cropped(
        self, level: str, reach_mm: tuple[float, float, float], segmenter: str = "exact"
    ) -> SimulatedCrop:
        """The surroundings of the vertebra that the labels call ``level``, and its truth.

        Raises:
            InputError: No vertebra has that label.
        """
        shown = self.behind(level)
        crop = simulate_crop(
            self.patient, self.scan, seed=self.scan_seed, level=shown, reach_mm=reach_mm
        )
        labels = shift_by_one(crop.labels).labels if self.label_shift else crop.labels
        labels = drawn_by(labels, segmenter_errors(segmenter), self.scan_seed)
        if self.site is None:
            return replace(crop, labels=labels)
        return replace(
            crop,
            labels=labels,
            volume=self.site.rescanned(crop.volume),
            truth=replace(
                crop.truth, trabecular_hu=float(self.site.reads(crop.truth.trabecular_hu))
            ),
            aorta_hu=float(self.site.reads(crop.aorta_hu)),
        )

    def behind(self, level: str) -> str:
        """The vertebra that the labels call ``level``.

        Raises:
            InputError: No vertebra has that label.
        """
        if not self.label_shift:
            return level
        below = [v for v in VERTEBRAE[VERTEBRAE.index(level) + 1 :] if v in self.patient.by_level]
        if not below:
            raise InputError(f"No vertebra is labelled {level} in {self.name}.")
        return below[0]


def virtual_subject(preset: CohortPreset, seed: int, number: int) -> VirtualSubject:
    """Subject ``number`` (from 0) of a preset: it depends on the seed and its number alone."""
    rng = np.random.default_rng([seed, number])
    patient = sample_patient(rng, defects=draw_defects(rng, preset.mix), cohort=preset.population)
    site: VirtualSite | None = None
    if preset.sites:
        site = draw_site(rng, preset.sites)
        scan = site.draw_scan(rng, preset.mix, patient.body_half_width_mm)
    else:
        scan = draw_scan(rng, preset.mix, patient.body_half_width_mm)
    return VirtualSubject(
        name=f"{preset.prefix}-{seed}-{number + 1:05d}",
        patient=patient,
        scan=scan,
        site=site,
        scan_seed=int(rng.integers(2**31)),
        label_shift=draw_label_shift(rng, preset.mix),
    )


@lru_cache(maxsize=8)
def chosen_numbers(preset: CohortPreset, subjects: int, seed: int) -> tuple[int, ...]:
    """The numbers of a cohort's subjects, rising.

    Without quotas the first ``subjects``. With them, patients are drawn in the order of their
    numbers and one is kept if its WHO class still has room: the shares of the classes are set,
    and inside a class the patients are as the population has them.

    Args:
        preset: The population and its quotas.
        subjects: How many, 1-99999.
        seed: 0 or above.

    Raises:
        InputError: A number is out of range, or the population hardly has a class.
    """
    if not 1 <= subjects <= 99999 or seed < 0:
        raise InputError(
            f"A cohort has 1-99999 subjects and a seed of 0 or above, not {subjects} and {seed}."
        )
    quotas = preset.quotas(subjects)
    if quotas is None:
        return tuple(range(subjects))
    return tuple(_fill(preset, list(quotas), seed))


def _fill(preset: CohortPreset, room: list[int], seed: int) -> Iterator[int]:
    limit = MOST_CANDIDATES * sum(room)
    for number in count():
        if not any(room):
            return
        if number >= limit:
            missing = [name for name, left in zip(WHO_CLASSES, room, strict=True) if left]
            raise InputError(
                f"The population of {preset.name} has too few patients with "
                f"{' and '.join(missing)}; change its ages or the number of subjects."
            )
        patient = virtual_subject(preset, seed, number).patient
        found = WHO_CLASSES.index(examine_dxa(patient).who_class)
        if room[found]:
            room[found] -= 1
            yield number
