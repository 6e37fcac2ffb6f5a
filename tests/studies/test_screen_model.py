"""A screen that asks a model: what it says, when it says nothing, and that nothing else changes.

The model is a fake that reads the mean attenuation of its crop; see ``tests/inference``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from osteoscope.apps.cli.summary import summary_lines
from osteoscope.apps.mapping import map_items
from osteoscope.core.crop_spec import CropSpec
from osteoscope.core.errors import InputError, ModelError
from osteoscope.core.measurement import Interval
from osteoscope.core.model_spec import Guard
from osteoscope.densitometry.assessment import Assessment, WithheldAssessment
from osteoscope.features.crop import crop_vertebra
from osteoscope.inference import embedded_model
from osteoscope.inference.classify import Classification, classify_crop
from osteoscope.inference.crop_statistics import STATISTICS
from osteoscope.inference.guard import GuardVerdict
from osteoscope.inference.session import open_model
from osteoscope.io.image_files import write_labels, write_volume
from osteoscope.reporting.result_schema import validate_result
from osteoscope.simulation.patient import sample_patient
from osteoscope.simulation.render import SimulatedPatient, simulate_patient
from osteoscope.simulation.scan import ScanSpec
from osteoscope.studies.screen.classify import agreement
from osteoscope.studies.screen.cohort import screen_cohort
from osteoscope.studies.screen.config import ScreenConfig
from osteoscope.studies.screen.pipeline import screen_scan
from osteoscope.studies.screen.preflight import check_options
from tests.inference.tiny_model import CROP, spec, write_tiny

CLASSES = ("normal", "osteopenia", "osteoporosis")


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> tuple[SimulatedPatient, Path]:
    folder = tmp_path_factory.mktemp("patient")
    scan = ScanSpec(in_plane_mm=1.4, slice_mm=2.0, top_level="T11", bottom_level="L3")
    made = simulate_patient(sample_patient(np.random.default_rng(1)), scan, seed=1)
    _write(folder, made.volume, made)
    return made, folder


def _write(folder: Path, volume: Any, made: SimulatedPatient, **facts: object) -> None:
    folder.mkdir(exist_ok=True)
    write_volume(folder / "ct.nii.gz", volume)
    (folder / "ct.json").write_text(json.dumps({"KVP": 120, "Simulated": True} | facts))
    write_labels(folder / "labels.nii.gz", made.labels.array, made.labels.grid)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("model") / "tiny.onnx")


def screened(folder: Path, out: Path, *, report: bool = False, **options: Any) -> dict[str, Any]:
    return screen_scan(
        folder / "ct.nii.gz",
        out,
        ScreenConfig(**options),
        segmentation=folder / "labels.nii.gz",
        report=report,
    ).result


def test_the_screen_says_what_the_model_says_of_the_crop(
    patient: tuple[SimulatedPatient, Path], model: Path, tmp_path: Path
) -> None:
    """The same crop and the same model by hand give the same numbers."""
    made, folder = patient
    result = screened(folder, tmp_path / "out", report=True, model=str(model))
    entry = result["classification"]
    answer = classify_crop(open_model(model), crop_vertebra(made.volume, made.labels, "L1", CROP))
    assert entry["category"] == answer.category
    # The file holds whole HU, the simulation does not.
    assert list(entry["probabilities"].values()) == pytest.approx(answer.probabilities, abs=0.02)
    assert entry["t_score"] == pytest.approx(answer.t_score, abs=0.05)
    assert entry["set"]["coverage"] == 0.9
    assert entry["level"] == "L1"
    assert entry["refers_to"] == dict(zip(CLASSES, spec().refers_to or (), strict=True))
    assert entry["model"]["simulated"] is True
    assert entry["model"]["test_simulated"] is True
    assert entry["model"]["digest"].startswith("sha256:")
    assert any("simulated patients only" in doubt for doubt in entry["doubts"])
    assert any("no guard" in doubt for doubt in entry["doubts"])
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "These probabilities are for people of whom" in page
    assert "Model trained on simulated patients only" in page
    assert "Where the model looked" in page
    lines = [line for line in summary_lines(result) if line.startswith("model")]
    assert len(lines) == 1
    assert "simulated patients only" in lines[0]
    assert answer.category in lines[0]


def test_a_model_changes_nothing_that_was_measured(
    patient: tuple[SimulatedPatient, Path], model: Path, tmp_path: Path
) -> None:
    _, folder = patient
    with_model = screened(folder, tmp_path / "a", model=str(model))
    without = screened(folder, tmp_path / "b", model="none")
    for key in set(with_model) - {"classification", "config", "run"}:
        assert with_model[key] == without[key], key
    assert without["classification"] == {
        "withheld": "No model was asked (--model none).",
        "model": None,
    }


def test_what_a_model_does_not_say_of_its_probabilities_is_null(
    patient: tuple[SimulatedPatient, Path], tmp_path: Path
) -> None:
    """Also: trained on simulated patients and tested on others is not "not known"."""
    _, folder = patient
    path = write_tiny(tmp_path / "m.onnx", spec(refers_to=None, test_simulated=False))
    entry = screened(folder, tmp_path / "out", model=str(path))["classification"]
    assert entry["refers_to"] is None
    assert entry["model"]["test_simulated"] is False
    doubts = [doubt for doubt in entry["doubts"] if "simulated patients only" in doubt]
    assert len(doubts) == 1
    assert "numbers on test subjects" in doubts[0]


def test_what_quality_withholds_the_model_does_not_answer(
    patient: tuple[SimulatedPatient, Path], model: Path, tmp_path: Path
) -> None:
    """A screw in L1: the class is withheld for the vertebra's own reason."""
    made, _ = patient
    array = made.volume.array.copy()
    k, j, i = np.argwhere(made.labels.array == made.labels.scheme.vertebrae["L1"]).mean(axis=0)
    array[int(k) - 1 : int(k) + 2, int(j) - 12 : int(j) + 4, int(i) - 2 : int(i) + 2] = 3000
    _write(tmp_path / "metal", replace(made.volume, array=array), made)
    result = screened(tmp_path / "metal", tmp_path / "out", report=True, model=str(model))
    entry = result["classification"]
    assert result["vertebrae"]["L1"]["withheld"]
    assert entry["withheld"] == result["vertebrae"]["L1"]["withheld"]
    assert "category" not in entry
    assert "metal_in_region" in entry["flags"]
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "The class is withheld" in page
    assert "Where the model looked" not in page


def test_contrast_medium_warns_as_it_does_for_the_criteria(
    patient: tuple[SimulatedPatient, Path], model: Path, tmp_path: Path
) -> None:
    made, _ = patient
    facts = {"ContrastBolusAgent": "Iohexol"}
    _write(tmp_path / "enhanced", made.volume, made, **facts)
    entry = screened(tmp_path / "enhanced", tmp_path / "out", model=str(model))["classification"]
    assert "contrast_enhanced" in entry["flags"]
    assert any("contrast-enhanced" in doubt for doubt in entry["doubts"])
    assert entry["category"] in CLASSES


def _guard_elsewhere() -> Guard:
    """A guard that knows only crops of another size: nothing else lies within it."""
    k = len(STATISTICS)
    features = int(np.prod([n // 16 for n in CROP.shape]))
    return Guard(
        statistics=tuple(STATISTICS),
        centre=(5000.0,) * k,
        scale_below=(10.0,) * k,
        scale_above=(10.0,) * k,
        statistics_limit=3.0,
        embedding_centre=(0.0,) * features,
        components=((1.0, *(0.0,) * (features - 1)),),
        variances=(1.0,),
        residual_variance=1.0,
        embedding_limit=1e6,
        quantile=0.98,
        subjects=(100, 100),
    )


def test_what_the_guard_does_not_know_is_withheld_with_its_evidence(
    patient: tuple[SimulatedPatient, Path], tmp_path: Path
) -> None:
    _, folder = patient
    path = write_tiny(tmp_path / "guarded.onnx", spec(guard=_guard_elsewhere()))
    result = screened(folder, tmp_path / "out", report=True, model=str(path))
    entry = result["classification"]
    assert entry["withheld"] == entry["guard"]["reason"]
    assert entry["guard"]["known"] is False
    assert "unlike those that the model knows" in entry["withheld"]
    assert entry["guard"]["evidence"]["statistics_limit"] == 3.0
    assert "category" not in entry
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "unlike those that the model knows" in page
    # The measurement does not depend on the model's doubt.
    assert result["status"] == "done"


def test_a_level_that_the_model_does_not_know_is_withheld(
    patient: tuple[SimulatedPatient, Path], model: Path, tmp_path: Path
) -> None:
    _, folder = patient
    entry = screened(folder, tmp_path / "out", model=str(model), level="L2")["classification"]
    assert entry["withheld"] == "The model knows L1, and L2 is assessed."
    both = write_tiny(tmp_path / "m.onnx", spec(crop=replace(CROP, levels=("L1", "L2"))))
    entry = screened(folder, tmp_path / "out", model=str(both), level="L2")["classification"]
    assert entry["level"] == "L2"
    assert entry["agreement"]["verdict"] == "not assessed"


def test_crops_along_the_vertebra_with_surroundings_are_cut_as_the_model_says(
    patient: tuple[SimulatedPatient, Path], tmp_path: Path
) -> None:
    made, folder = patient
    crop = CropSpec(
        shape=CROP.shape, spacing_mm=CROP.spacing_mm, surroundings=True, axes="vertebra"
    )
    path = write_tiny(tmp_path / "m.onnx", spec(crop=crop))
    entry = screened(folder, tmp_path / "out", model=str(path))["classification"]
    answer = classify_crop(open_model(path), crop_vertebra(made.volume, made.labels, "L1", crop))
    assert entry["t_score"] == pytest.approx(answer.t_score, abs=0.05)


def test_the_default_is_the_embedded_model_where_there_is_one(
    patient: tuple[SimulatedPatient, Path],
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, folder = patient
    monkeypatch.setattr(embedded_model, "files", lambda _: tmp_path / "package")
    entry = screened(folder, tmp_path / "a")["classification"]
    assert entry["model"] is None
    assert "no embedded one" in entry["withheld"]
    with pytest.raises(ModelError, match="no embedded model"):
        check_options(ScreenConfig(model="embedded"), folder / "labels.nii.gz")
    place = tmp_path / "package" / "embedded"
    place.mkdir(parents=True)
    (place / embedded_model.EMBEDDED_NAME).write_bytes(model.read_bytes())
    assert screened(folder, tmp_path / "b")["classification"]["category"] in CLASSES
    named = screened(folder, tmp_path / "c", model="embedded")["classification"]
    assert named["category"] in CLASSES


def test_a_model_that_cannot_be_used_is_refused_before_any_scan_is_read(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(write_tiny(tmp_path / "m.onnx").read_bytes()[:-200])
    labels = tmp_path / "labels.nii.gz"
    for name, rule in ((str(damaged), "damaged"), (str(tmp_path / "no.onnx"), "cannot be read")):
        with pytest.raises(ModelError, match=rule):
            check_options(ScreenConfig(model=name), labels)
    with pytest.raises(InputError, match="known: onnxruntime, openvino"):
        check_options(ScreenConfig(model=str(tmp_path / "m.onnx"), runtime="abacus"), labels)
    with pytest.raises(InputError, match="1 thread"):
        ScreenConfig(threads=0)
    with pytest.raises(InputError, match="threads"):
        ScreenConfig(threads="two")  # type: ignore[arg-type]


@pytest.mark.slow
def test_another_model_has_a_cohort_done_again(
    patient: tuple[SimulatedPatient, Path], tmp_path: Path
) -> None:
    _, folder = patient
    table = folder / "one.csv"
    table.write_text("subject_id,image,segmentation\ns1,ct.nii.gz,labels.nii.gz\n")
    path, out = write_tiny(tmp_path / "m.onnx"), tmp_path / "out"
    run = partial(
        screen_cohort,
        table,
        out,
        ScreenConfig(model=str(path)),
        mapper=partial(map_items, workers=1, scheduler=None),
    )
    assert run().n_done == 1
    assert run().n_skipped == 1
    write_tiny(path, spec(name="another fake for tests"))
    assert run().n_done == 1
    written = json.loads((out / "s1" / "result.json").read_text(encoding="utf-8"))
    assert written["classification"]["model"]["name"] == "another fake for tests"
    assert "another fake for tests" in (out / "screen.csv").read_text(encoding="utf-8")


def test_a_result_must_not_contradict_itself(
    patient: tuple[SimulatedPatient, Path], model: Path, tmp_path: Path
) -> None:
    _, folder = patient
    result = screened(folder, tmp_path / "out", model=str(model))
    validate_result(result)
    entry = result["classification"]
    broken: list[tuple[dict[str, Any], str]] = [
        ({"category": "brittle"}, "must name the category"),
        ({"probabilities": dict.fromkeys(CLASSES, 0.5)}, "add up to 1"),
        ({"set": entry["set"] | {"classes": ["brittle"]}}, "among the classes"),
        ({"guard": entry["guard"] | {"known": False}}, "guard does not know"),
        ({"level": "T11"}, "T11 is withheld"),
    ]
    result["vertebrae"]["T11"]["withheld"] = "The body is cut off."
    for change, rule in broken:
        with pytest.raises(InputError, match=rule):
            validate_result(result | {"classification": entry | change})


def _answer(category: str, covering: tuple[bool, bool, bool]) -> Classification:
    shares = np.array([0.8 if name == category else 0.1 for name in CLASSES])
    known = GuardVerdict(True, None, {})
    return Classification(CLASSES, shares, np.array(covering), None, np.zeros(1), known)


def _assessed(category: str) -> Assessment:
    return Assessment(
        criterion="pickhardt-l1-hu", source="", quantity="", level="L1", value=120.0, unit="HU",
        interval=Interval(110, 130), category=category, probability=0.9,
        categories={category: 1.0}, limits=(), doubts=(),
    )  # fmt: skip


SUGGESTS = "suggests osteoporosis (specific threshold)"
DOES_NOT = "does not suggest osteoporosis (sensitive threshold)"


@pytest.mark.parametrize(
    ("said", "measured", "verdict"),
    [
        ("osteoporosis", SUGGESTS, "agrees"),
        ("osteopenia", SUGGESTS, "disagrees"),
        ("normal", SUGGESTS, "disagrees"),
        ("osteoporosis", DOES_NOT, "disagrees"),
        ("osteopenia", DOES_NOT, "agrees"),
        ("normal", DOES_NOT, "agrees"),
        ("normal", "indeterminate", "not assessed"),
    ],
)
def test_agreement_is_about_osteoporosis_only(said: str, measured: str, verdict: str) -> None:
    found = agreement(_answer(said, (True, True, True)), [_assessed(measured)])
    assert found["verdict"] == verdict
    assert found["category"] == measured
    assert ("Its set holds the other answer too" in found["reason"]) == (verdict == "disagrees")


def test_without_a_baseline_there_is_nothing_to_agree_with() -> None:
    answer = _answer("normal", (True, False, False))
    withheld = WithheldAssessment("pickhardt-l1-hu", "", "L1", "L1 holds metal.")
    assert agreement(answer, [withheld])["reason"] == "L1 holds metal."
    assert agreement(answer, [])["verdict"] == "not assessed"
    alone = agreement(answer, [_assessed(SUGGESTS)])
    assert "set holds" not in alone["reason"]


def test_the_words_of_the_criterion_are_those_that_agreement_reads() -> None:
    from osteoscope.densitometry.criteria import CRITERIA

    names = [band.name for band in CRITERIA["pickhardt-l1-hu"].bands]
    assert names == [SUGGESTS, "indeterminate", DOES_NOT]


@pytest.mark.slow
def test_a_screen_without_a_model_loads_no_runtime() -> None:
    """Its time and memory are not to pay for what it does not use."""
    code = (
        "import sys, osteoscope.studies.screen.pipeline, osteoscope.studies.screen.preflight;"
        "print([m for m in ('onnxruntime', 'scipy.optimize', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
