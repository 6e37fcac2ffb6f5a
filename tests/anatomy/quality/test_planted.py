"""On simulated patients: what is planted is raised, and clean patients raise nothing.

One set of patients serves all tests; each case is one patient with its own seed. Geometry is the
package's own, labels are the simulator's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest

from osteoscope.anatomy.measure import measure_vertebrae
from osteoscope.anatomy.quality.codes import FLAG_CODES
from osteoscope.anatomy.quality.examine import examine_scan
from osteoscope.core.flag import Flag
from osteoscope.simulation import label_faults
from osteoscope.simulation.label_faults import FaultyLabels
from osteoscope.simulation.patient import sample_patient
from osteoscope.simulation.render import SimulatedPatient, simulate_patient
from osteoscope.simulation.scan import ScanSpec

WANTED = ("T11", "T12", "L1", "L2", "L3", "L4", "L5")
CLEAN = 10
SENSITIVITY, FALSE_RATE = 0.95, 0.05
"""The issue's bounds."""
CONSEQUENCES = {
    # A screw is metal in the scan and lies beside the arches next to it.
    "metal_in_region": {"metal_in_scan", "metal_in_region"},
    "metal_in_scan": set(),
    "dense_focus": {"heterogeneous_region"},
    "lytic_focus": {"heterogeneous_region"},
    # A vertebra without a name doubles a spacing.
    "transitional_anatomy": {"implausible_spacing"},
    "fracture": {"implausible_spacing", "implausible_curvature"},
}
"""Flags that follow from a planted one, and so are not false."""


@dataclass(frozen=True)
class Case:
    """One simulated patient."""

    seed: int
    defects: tuple[str, ...] = ()
    scan: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        parts = [*self.defects, *(f"{k}={v}" for k, v in self.scan)]
        return ",".join(parts) or f"clean-{self.seed}"


DISEASES = [
    Case(701, ("metal",)),
    Case(702, ("cement",)),
    Case(703, ("bone_island",)),
    Case(704, ("schmorl_node",)),
    Case(705, ("lytic_focus",)),
    Case(706, ("wedge2",)),
    Case(707, ("biconcave2",)),
    Case(708, ("crush2",)),
    Case(709, ("wedge3",)),
    Case(710, ("hip_implant",)),
    Case(711, ("L6",)),
    Case(712, ("T13",)),
    Case(713, ("cement:L2", "bone_island:L4", "wedge2:T12")),
]
ACQUISITIONS = [
    Case(721, (), (("slice_mm", 4.0),)),
    Case(722, (), (("noise_sd_hu", 45.0),)),
    Case(723, (), (("contrast_phase", "venous"),)),
    Case(
        724,
        (),
        (
            ("contrast_phase", "arterial"),
            ("header_names_contrast", False),
        ),
    ),
    Case(725, (), (("kvp", 100.0),)),
    Case(726, (), (("header_names_kvp", False),)),
    Case(727, (), (("circle_mm", 250.0),)),
    Case(
        728,
        (),
        (
            ("top_level", "T12"),
            ("top_margin_mm", -10.0),
        ),
    ),
    Case(
        729,
        (),
        (
            ("bottom_level", "L3"),
            ("bottom_margin_mm", -8.0),
        ),
    ),
]
PLANTED = [*DISEASES, *ACQUISITIONS]
FAULTS: dict[str, Callable[[Any], FaultyLabels]] = {
    "shift up": label_faults.shift_by_one,
    "shift down": lambda labels: label_faults.shift_by_one(labels, False),
    "swap": lambda labels: label_faults.swap(labels, "L2", "L3"),
    "double": lambda labels: label_faults.double_label(labels, "L1", "L3"),
    "drop": lambda labels: label_faults.drop_level(labels, "L2"),
    "merge": lambda labels: label_faults.merge(labels, "L1", "L2"),
    "zero": label_faults.zero_over_most,
    "shrink": lambda labels: label_faults.shrink(labels, "L2"),
    "skip": lambda labels: label_faults.skip_level(labels, "L2"),
    "displace": lambda labels: label_faults.displace_level(labels, "L2"),
}


def simulated(case: Case) -> SimulatedPatient:
    patient = sample_patient(np.random.default_rng(case.seed), defects=case.defects)
    return simulate_patient(
        patient, ScanSpec(**{"in_plane_mm": 1.25, **dict(case.scan)}), seed=case.seed
    )


@cache
def clean_patient(number: int) -> SimulatedPatient:
    return simulated(Case(600 + number))


def flags_of(patient: SimulatedPatient, labels: Any = None) -> list[Flag]:
    named = patient.labels if labels is None else labels
    return examine_scan(patient.volume, named, measure_vertebrae(named), WANTED)


def raised(planted: tuple[str, str | None], flags: list[Flag]) -> bool:
    """Whether a planted flag was raised; planted without a level it may name any."""
    code, level = planted
    return any(f.code == code and level in (None, f.level) for f in flags)


def reportable(planted: tuple[str, str | None]) -> bool:
    """Flags of a level that nobody asked for are not raised."""
    return planted[1] is None or planted[1] in WANTED


@cache
def outcome(case: Case) -> tuple[tuple[tuple[str, str | None], ...], tuple[Flag, ...]]:
    patient = simulated(case)
    planted = tuple(p for p in patient.truth.planted if reportable(p))
    return planted, tuple(flags_of(patient))


def test_clean_patients_raise_nothing() -> None:
    flagged = {
        number: [(f.code, f.level, f.message) for f in flags]
        for number in range(CLEAN)
        if (flags := flags_of(clean_patient(number)))
    }
    assert len(flagged) <= FALSE_RATE * CLEAN, flagged


@pytest.mark.parametrize("case", PLANTED, ids=str)
def test_each_planted_case_plants_something_and_is_told_from_others(case: Case) -> None:
    planted, flags = outcome(case)
    assert planted
    codes = {code for code, _ in planted}
    allowed = codes | set().union(*(CONSEQUENCES.get(code, set()) for code in codes))
    # A scan that ends early lacks its outer levels as well.
    allowed |= (
        {"level_missing", "level_unverified", "possible_level_shift"}
        if ("touches_edge" in codes)
        else set()
    )
    assert {f.code for f in flags} <= allowed, [f.message for f in flags]


def test_every_flag_is_ready_for_the_result_file() -> None:
    for case in PLANTED:
        for flag in outcome(case)[1]:
            assert flag.code in FLAG_CODES
            assert json.loads(json.dumps(dict(flag.evidence))) == dict(flag.evidence)
            assert flag.evidence
            # One sentence for a clinician, with the number in it.
            assert flag.message.endswith(".")
            assert any(character.isdigit() for character in flag.message)
            assert (flag.severity == "info") <= (flag.effect != "withhold"), flag


def test_planted_flags_are_raised() -> None:
    missed, total = [], 0
    for case in PLANTED:
        planted, flags = outcome(case)
        total += len(planted)
        missed += [(str(case), p) for p in planted if not raised(p, list(flags))]
    assert total >= 24
    assert len(missed) <= (1 - SENSITIVITY) * total, missed


VERSE_FAULTS = ("shift up", "shift down", "merge", "zero", "skip")
"""Those that ribs or other structures could help to find: VerSe labels only vertebrae."""


@pytest.mark.parametrize(("scheme", "names"), [("labels", FAULTS), ("verse", VERSE_FAULTS)])
def test_label_faults_are_raised(scheme: str, names: Collection[str]) -> None:
    patient = clean_patient(0)
    missed, total = [], 0
    for name in names:
        faulty = FAULTS[name](getattr(patient, scheme))
        flags = flags_of(patient, faulty.labels)
        total += len(faulty.planted)
        missed += [(name, p) for p in faulty.planted if not raised(p, flags)]
    assert total >= len(names)
    assert missed == []


def test_a_suspected_shift_withholds_every_level() -> None:
    patient = clean_patient(0)
    flags = flags_of(patient, label_faults.shift_by_one(patient.labels).labels)
    shift = [f for f in flags if f.code == "possible_level_shift"]
    assert {(f.effect, f.level) for f in shift} == {("withhold", None)}


def test_what_makes_a_level_unmeasurable_withholds_it() -> None:
    for number, code in ((0, "metal_in_region"), (1, "cement"), (8, "fracture")):
        _, flags = outcome(DISEASES[number])
        assert [f.effect for f in flags if f.code == code and f.effect == "withhold"], code


@pytest.mark.parametrize("position", ["FFP", "HFDR"])
def test_a_turned_patient_raises_nothing(position: str) -> None:
    assert flags_of(simulated(Case(600, (), (("patient_position", position),)))) == []
