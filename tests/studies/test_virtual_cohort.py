"""Stores of virtual crops: the crops of whole scans, the same bytes however they are made."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from osteoscope.anatomy.measure import measure_vertebrae
from osteoscope.apps.cli.main import main
from osteoscope.core.crop_spec import OUTSIDE_HU, CropSpec
from osteoscope.core.errors import InputError
from osteoscope.features.crop import crop_vertebra
from osteoscope.io.crop_store import CropStore
from osteoscope.simulation.cohort_mix import CohortMix
from osteoscope.simulation.cohort_preset import CohortPreset
from osteoscope.simulation.virtual_site import VirtualSite
from osteoscope.simulation.virtual_subject import VirtualSubject, virtual_subject
from osteoscope.studies.tscore import virtual_cohort
from osteoscope.studies.tscore.virtual_cohort import (
    VirtualStoreOutcome,
    VirtualStorePlan,
    write_virtual_store,
)

MIX = CohortMix(
    in_plane_mm=1.6, slice_mm=2.0, thick_slices=0.0, label_shift=0.0, cement=0.0, metal=0.0,
    fracture=0.0, lytic_focus=0.0, truncated=0.0,
)  # fmt: skip
PRESET = CohortPreset(
    "small",
    prefix="small",
    mix=MIX,
    sites=(
        VirtualSite("east", in_plane_mm=1.6, water_hu=3.0, bone_scale=1.05, thick_slices=0.0),
        VirtualSite("west", in_plane_mm=2.0, slice_mm=3.0, kernel="smooth", thick_slices=0.0),
    ),
    class_counts=(2, 2, 1),
    segmenter="fine",
)
SPEC = CropSpec(shape=(32, 40, 44), spacing_mm=(2.0, 2.0, 2.0))
PLAN = VirtualStorePlan(PRESET, 5, 1, SPEC)


@dataclass(frozen=True)
class Done:
    """What ``map_items`` tells of an item, without the apps."""

    value: Any = None
    error: str | None = None


def in_order(
    function: Callable[[Any], Any], items: Sequence[Any], *, on_done: Callable[[int, Done], None]
) -> list[Done]:
    outcomes = [Done(function(item)) for item in items]
    for index, outcome in enumerate(outcomes):
        on_done(index, outcome)
    return outcomes


def backwards(
    function: Callable[[Any], Any], items: Sequence[Any], *, on_done: Callable[[int, Done], None]
) -> list[Done]:
    for index in reversed(range(len(items))):
        on_done(index, Done(function(items[index])))
    return []


def digests(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[VirtualStoreOutcome, CropStore]:
    out = tmp_path_factory.mktemp("virtual") / "store"
    outcome = write_virtual_store(out, PLAN, mapper=in_order)
    return outcome, CropStore.open(out)


def test_the_store_says_what_is_in_it(made: tuple[VirtualStoreOutcome, CropStore]) -> None:
    outcome, store = made
    assert (outcome.n_rows, outcome.failures) == (5, {})
    assert store.simulated
    assert store.spec == SPEC
    assert store.crops.shape == (5, 32, 40, 44)
    assert sorted(store.column("class_index")) == [0, 0, 1, 1, 2]
    assert set(store.column("site")) <= {"east", "west"}
    assert np.all(store.column("simulated"))
    assert set(store.column("segmenter")) == {"fine"}
    for crop in store.crops:
        inside = np.mean(crop > OUTSIDE_HU)
        assert 0.03 < inside < 0.4, "a vertebra and nothing else"


def test_attenuation_is_measured_and_near_the_truth(
    made: tuple[VirtualStoreOutcome, CropStore],
) -> None:
    _, store = made
    measured, true = store.column("l1_hu"), store.column("l1_true_hu")
    assert np.all(np.abs(measured - true) < 4.0), "HU"
    assert np.any(measured != true), "measured with its noise, and not the truth"


def scanned_and_cropped(subject: VirtualSubject, spec: CropSpec) -> tuple[Any, Any]:
    """The crop by way of the whole scan, and by way of the box."""
    whole, _ = subject.scanned("fine")
    reach = virtual_cohort._reach_mm(subject, "L1", spec)
    alone = subject.cropped("L1", reach, "fine")
    return (
        crop_vertebra(whole.volume, whole.labels, "L1", spec).astype(int),
        crop_vertebra(alone.volume, alone.labels, "L1", spec).astype(int),
    )


@pytest.mark.parametrize(
    ("number", "change"),
    [
        (0, {}),
        (1, {"surroundings": True}),
        (2, {"surroundings": True, "axes": "vertebra", "spacing_mm": (1.5, 2.0, 2.5)}),
    ],
)
def test_both_routes_give_the_same_crop(number: int, change: dict[str, Any]) -> None:
    # Without noise not a single HU differs.
    subject = virtual_subject(PRESET, 1, number)
    silent = replace(subject, scan=replace(subject.scan, noise_sd_hu=0.0))
    through_scan, direct = scanned_and_cropped(silent, replace(SPEC, **change))
    np.testing.assert_array_equal(direct, through_scan)


def test_both_routes_measure_the_same_attenuation() -> None:
    subject = virtual_subject(PRESET, 1, 3)
    silent = replace(subject, scan=replace(subject.scan, noise_sd_hu=0.0))
    whole, _ = silent.scanned("coarse")
    alone = silent.cropped("L1", virtual_cohort._reach_mm(silent, "L1", SPEC), "coarse")
    measured = [
        virtual_cohort._attenuation_hu(
            made.volume.canonical(), measure_vertebrae(made.labels, levels=("L1",))["L1"]
        )
        for made in (whole, alone)
    ]
    assert measured[0] == measured[1]
    assert measured[0] == pytest.approx(alone.truth.trabecular_hu, abs=3.0)


def test_both_routes_have_the_same_noise() -> None:
    spec = replace(SPEC, surroundings=True)
    subject = virtual_subject(PRESET, 1, 0)
    noisy = replace(subject, scan=replace(subject.scan, noise_sd_hu=20.0))
    silent = replace(subject, scan=replace(subject.scan, noise_sd_hu=0.0))
    clean, _ = scanned_and_cropped(silent, spec)
    through_scan, direct = (crop - clean for crop in scanned_and_cropped(noisy, spec))
    assert through_scan.std() > 5.0
    assert direct.std() == pytest.approx(through_scan.std(), rel=0.03)


def test_the_same_seed_gives_the_same_bytes_in_any_order_of_work(
    made: tuple[VirtualStoreOutcome, CropStore], tmp_path: Path
) -> None:
    write_virtual_store(tmp_path / "again", PLAN, mapper=backwards)
    assert digests(tmp_path / "again") == digests(made[0].folder)
    other = replace(PLAN, seed=2, subjects=2)
    write_virtual_store(tmp_path / "other", other, mapper=in_order)
    assert CropStore.open(tmp_path / "other").column("subject_id")[0].startswith("small-2-")


def test_a_stopped_run_goes_on(made: tuple[VirtualStoreOutcome, CropStore], tmp_path: Path) -> None:
    def stopped(
        function: Callable[[Any], Any], items: Sequence[Any], *, on_done: Callable[..., None]
    ) -> None:
        for index in range(2):
            on_done(index, Done(function(items[index])))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_virtual_store(tmp_path / "store", PLAN, mapper=stopped)
    assert not (tmp_path / "store").exists()
    told: list[str] = []
    mapped: list[int] = []

    def counting(
        function: Callable[[Any], Any], items: Sequence[Any], *, on_done: Callable[..., None]
    ) -> list[Done]:
        mapped.append(len(items))
        return in_order(function, items, on_done=on_done)

    write_virtual_store(
        tmp_path / "store", PLAN, mapper=counting, on_subject=lambda name, _state: told.append(name)
    )
    assert mapped == [3]
    assert len(told) == 5
    assert digests(tmp_path / "store") == digests(made[0].folder)
    write_virtual_store(tmp_path / "store", PLAN, mapper=counting)
    assert mapped == [3], "a whole store is not made again"


def test_an_unfinished_store_of_another_cohort_is_refused(tmp_path: Path) -> None:
    def one(
        function: Callable[[Any], Any], items: Sequence[Any], *, on_done: Callable[..., None]
    ) -> None:
        on_done(0, Done(function(items[0])))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_virtual_store(tmp_path / "store", PLAN, mapper=one)
    with pytest.raises(InputError, match="another virtual cohort"):
        write_virtual_store(tmp_path / "store", replace(PLAN, segmenter="coarse"), mapper=one)


def test_another_segmenter_sees_the_same_scans(
    made: tuple[VirtualStoreOutcome, CropStore], tmp_path: Path
) -> None:
    first = made[1]
    plan = replace(PLAN, segmenter="coarse")
    write_virtual_store(tmp_path / "coarse", plan, mapper=in_order)
    second = CropStore.open(tmp_path / "coarse")
    assert list(first.column("subject_id")) == list(second.column("subject_id"))
    assert list(first.column("t_score")) == list(second.column("t_score"))
    assert list(first.column("image_digest")) == list(second.column("image_digest"))
    assert np.any((first.crops > OUTSIDE_HU) != (second.crops > OUTSIDE_HU))


def test_what_cannot_be_cropped_is_left_out_and_named(tmp_path: Path) -> None:
    def one_fails(
        function: Callable[[Any], Any], items: Sequence[Any], *, on_done: Callable[..., None]
    ) -> None:
        on_done(0, Done(error="It broke."))
        for index in range(1, len(items)):
            on_done(index, Done(function(items[index])))

    plan = replace(PLAN, subjects=2)
    outcome = write_virtual_store(tmp_path / "store", plan, mapper=one_fails)
    assert outcome.n_rows == 1
    assert list(outcome.failures.values()) == ["It broke."]

    def all_fail(_function: object, items: Sequence[Any], *, on_done: Callable[..., None]) -> None:
        for index in range(len(items)):
            on_done(index, Done(error="It broke."))

    with pytest.raises(InputError, match="No vertebra could be cropped: It broke"):
        write_virtual_store(tmp_path / "none", plan, mapper=all_fail)


def test_a_shifted_label_is_cropped_where_it_lies() -> None:
    preset = replace(
        PRESET, mix=replace(MIX, label_shift=1.0), class_counts=None, segmenter="exact"
    )
    plan = VirtualStorePlan(preset, 1, 1, SPEC)
    item = virtual_cohort._Item(plan, 0, "x", "L1")
    crop, row = virtual_cohort.virtual_row(item)
    subject = virtual_subject(preset, 1, 0)
    assert subject.behind("L1") == "L2"
    assert row["label_shift"] is True
    l2 = subject.patient.by_level["L2"].trabecular_vbmd_mg_cm3
    assert row["l1_vbmd_mg_cm3"] == pytest.approx(l2, abs=1e-3)
    assert np.mean(crop > OUTSIDE_HU) > 0.03
    with pytest.raises(InputError, match="No vertebra is labelled"):
        subject.behind("S1")


def test_metal_in_the_vertebra_withholds_its_attenuation() -> None:
    subject = virtual_subject(replace(PRESET, mix=replace(MIX, metal=1.0)), 1, 0)
    with_screws = next(v.level for v in subject.patient.vertebrae if "screws" in v.defects)
    plan = replace(
        PLAN,
        preset=replace(PRESET, mix=replace(MIX, metal=1.0), class_counts=None),
        spec=replace(SPEC, levels=(with_screws,)),
    )
    _, row = virtual_cohort.virtual_row(virtual_cohort._Item(plan, 0, "x", with_screws))
    assert row["planted"] == "screws"
    assert row["l1_hu"] is None


@pytest.mark.slow
def test_the_command_writes_a_store_in_parallel(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "simulate", "tscore", "--preset", "austinspine", "--subjects", "4", "--crops", "--seed",
        "3", "--shape", "32,48,48", "--spacing", "2", "--workers", "2",
    ]  # fmt: skip
    assert main([*words, "--out", str(tmp_path / "store")]) == 0
    told = capsys.readouterr()
    assert "Store of 4 crops" in told.out
    assert "choosing patients by class" in told.err
    assert "[4/4]" in told.err
    store = CropStore.open(tmp_path / "store")
    assert store.spec == CropSpec(shape=(32, 48, 48), spacing_mm=(2.0, 2.0, 2.0))
    assert sorted(store.column("class_index")) == [0, 0, 1, 2]
    assert main([*words, "--out", str(tmp_path / "x"), "--format", "nifti"]) == 2
    assert main([*words[:8], "--shape", "32,48", "--out", str(tmp_path / "x")]) == 2
