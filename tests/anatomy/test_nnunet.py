"""nnU-Net v2 models as segmenters, with the real program on a tiny model made here."""

from __future__ import annotations

import importlib.util
import json
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from osteoscope.anatomy.segmenters.nnunet import NnUnetSegmenter
from osteoscope.core.errors import InputError, ModelError
from osteoscope.core.grid import Grid
from osteoscope.core.label_schemes import label_scheme
from osteoscope.core.volume import Volume
from osteoscope.io.image_files import read_image
from tests.anatomy import tiny_nnunet

TOTAL = label_scheme("totalsegmentator")


@pytest.fixture(scope="module")
def volume() -> Volume:
    """A scan stored sideways: array axes run to anterior, inferior and left."""
    rng = np.random.default_rng(11)
    array = rng.integers(-200, 700, (20, 24, 28)).astype(np.int16)
    affine = np.eye(4)
    affine[:3, :3] = np.array([[0, 0, 1], [-1, 0, 0], [0, -2.0, 0]])
    affine[:3, 3] = (10.5, -20.25, 300.0)
    return Volume(array, Grid((20, 24, 28), affine))


def make_folder(folder: Path, checkpoint: object = None) -> Path:
    """A model folder of the right outline, whose checkpoint is data but no network."""
    fold = folder / "fold_0"
    fold.mkdir(parents=True)
    (folder / "dataset.json").write_text(json.dumps(tiny_nnunet.DATASET))
    (folder / "plans.json").write_text(json.dumps(tiny_nnunet.PLANS))
    with zipfile.ZipFile(fold / "checkpoint_final.pth", "w") as file:
        file.writestr("checkpoint_final/data.pkl", pickle.dumps(checkpoint, protocol=2))
    return folder


@pytest.mark.slow
def test_the_real_program_with_a_network_that_thresholds(volume: Volume, tmp_path: Path) -> None:
    if importlib.util.find_spec("nnunetv2") is None:
        pytest.skip("nnunetv2 is not installed")
    folder = tmp_path / "trainer__plans__3d_fullres"
    subprocess.run(
        [sys.executable, "-W", "ignore", str(tiny_nnunet.__file__), str(folder)],
        check=True,
        capture_output=True,
        timeout=300,
    )
    log = tmp_path / "log.txt"
    labels = NnUnetSegmenter(folder, mirror=False, log=log, timeout_s=600).segment(volume)
    # By hand-set weights the network is a threshold in each voxel, so the answer is known
    # exactly, and any turn, flip or shift on the way would show in this noise.
    expected = np.zeros(volume.array.shape, dtype=int)
    expected[volume.array > 150] = TOTAL.vertebrae["L2"]
    expected[volume.array > 400] = TOTAL.vertebrae["L1"]
    np.testing.assert_array_equal(labels.array, expected)
    assert labels.grid is volume.grid
    assert labels.scheme is TOTAL
    assert "done with scan" in log.read_text()


FAKE = """
import argparse, json, os, shutil, sys
from pathlib import Path
import SimpleITK
parser = argparse.ArgumentParser()
parser.add_argument("-i", type=Path), parser.add_argument("-o", type=Path)
arguments, others = parser.parse_known_args()
(scan,) = arguments.i.iterdir()
record = Path(os.environ["FAKE_RECORD"])
shutil.copy(scan, record.with_name("given.nii.gz"))
settings = {k: v for k, v in os.environ.items() if k.startswith(("nnUNet", "CUDA", "https"))}
record.write_text(json.dumps({"others": others, "name": scan.name, "settings": settings}))
image = SimpleITK.ReadImage(str(scan))
if "FAKE_CLASS" in os.environ:
    image = image * 0 + int(os.environ["FAKE_CLASS"])
else:
    image = image > 600
image = SimpleITK.Cast(image, SimpleITK.sitkUInt8)
SimpleITK.WriteImage(image, str(arguments.o / "scan.nii.gz"))
"""


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A FAKE of nnU-Net's program, to see what it is given; the real one is tested above."""
    path = tmp_path / "predict"
    path.write_text(f"#!{sys.executable}\n{FAKE}")
    path.chmod(0o755)
    monkeypatch.setenv("FAKE_RECORD", str(tmp_path / "record.json"))
    return str(path)


@pytest.mark.parametrize("orientation", ["LPS", "RAS", "PIR"])
def test_the_scan_is_turned_for_the_network_and_the_labels_back(
    volume: Volume, tmp_path: Path, fake: str, orientation: str
) -> None:
    model = make_folder(tmp_path / "model")
    segmenter = NnUnetSegmenter(model, orientation=orientation, executable=fake)
    labels = segmenter.segment(volume)
    expected = np.where(volume.array > 600, TOTAL.vertebrae["L2"], 0)
    np.testing.assert_array_equal(labels.array, expected)
    given = read_image(tmp_path / "given.nii.gz")
    letters = {0: "RL", 1: "AP", 2: "IS"}
    towards = [
        letters[int(np.argmax(np.abs(axis)))][int(axis[np.argmax(np.abs(axis))] > 0)]
        for axis in given.grid.directions[:, ::-1].T
    ]
    assert "".join(towards) == orientation
    # The same voxel of the world has the same value in the file.
    for index in ([0, 0, 0], [3, 20, 7], [19, 23, 27]):
        world = volume.grid.index_to_world_mm(np.array(index, dtype=float))
        there = tuple(np.rint(given.grid.world_mm_to_index(world)).astype(int))
        assert given.array[there] == volume.array[tuple(index)]


def test_what_the_program_is_given(
    volume: Volume, tmp_path: Path, fake: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("nnUNet_extTrainer", "/of/the/user")
    monkeypatch.setenv("nnUNet_results", "/of/the/user")
    model = make_folder(tmp_path / "model")
    (model / "fold_3").mkdir()
    (model / "fold_3" / "checkpoint_final.pth").write_bytes(
        (model / "fold_0" / "checkpoint_final.pth").read_bytes()
    )
    (model / "fold_7").mkdir()  # began, never finished
    NnUnetSegmenter(model, mirror=False, device="gpu:1", executable=fake).segment(volume)
    record = json.loads((tmp_path / "record.json").read_text())
    assert record["name"] == "scan_0000.nii.gz"
    assert record["others"] == [
        *("-m", str(model), "-f", "0", "3", "-chk", "checkpoint_final.pth", "-npp", "1"),
        *("-nps", "1", "-device", "cuda", "--disable_progress_bar", "--disable_tta"),
    ]
    settings = record["settings"]
    assert settings["CUDA_VISIBLE_DEVICES"] == "1"
    assert settings["nnUNet_def_n_proc"] == "1"
    assert settings["https_proxy"] == "http://127.0.0.1:9"
    assert "nnUNet_extTrainer" not in settings
    assert "/of/the/user" not in settings.values()


def test_a_label_map_decides_what_a_class_is(volume: Volume, tmp_path: Path, fake: str) -> None:
    model = make_folder(tmp_path / "model")
    verse = label_scheme("verse")
    by_number = NnUnetSegmenter(model, {1: 25}, "verse", executable=fake).segment(volume)
    path = tmp_path / "map.json"
    path.write_text(json.dumps({"scheme": "verse", "labels": {"vertebrae_L2": "L6"}}))
    by_file = NnUnetSegmenter(model, path, executable=fake).segment(volume)
    for labels in (by_number, by_file):
        assert labels.scheme is verse
        assert set(np.unique(labels.array)) == {0, verse.vertebrae["L6"]}
    np.testing.assert_array_equal(by_number.array, by_file.array)
    with pytest.raises(InputError, match="needs the name of its label scheme"):
        NnUnetSegmenter(model, {1: 25}).class_map()


def test_a_class_that_the_model_does_not_have_is_refused(
    volume: Volume, tmp_path: Path, fake: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_CLASS", "9")
    segmenter = NnUnetSegmenter(make_folder(tmp_path / "model"), executable=fake)
    with pytest.raises(ModelError, match="from 9 to 9 where 0 to 3 are possible"):
        segmenter.segment(volume)


def test_a_model_that_would_run_code_needs_trust(volume: Volume, tmp_path: Path, fake: str) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return os.system, (f"touch {tmp_path / 'was-here'}",)

    model = make_folder(tmp_path / "model", Evil())
    with pytest.raises(ModelError, match=r"would call 'posix.system'"):
        NnUnetSegmenter(model, executable=fake).segment(volume)
    assert not (tmp_path / "record.json").exists()
    assert not (tmp_path / "was-here").exists()
    NnUnetSegmenter(model, executable=fake, trust_checkpoint=True).segment(volume)
    assert (tmp_path / "record.json").exists()


def change(folder: Path, name: str, **entries: object) -> None:
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


def spoil(folder: Path, fault: str) -> None:
    checkpoint = folder / "fold_0" / "checkpoint_final.pth"
    match fault:
        case "no dataset":
            (folder / "dataset.json").unlink()
        case "damaged plans":
            (folder / "plans.json").write_text('{"configurations": ')
        case "plans of version 1":
            (folder / "plans.json").write_text("[]")
        case "no configurations":
            (folder / "plans.json").write_text("{}")
        case "no checkpoint":
            checkpoint.unlink()
        case "empty checkpoint":
            checkpoint.write_bytes(b"")
        case "two channels":
            change(folder, "dataset.json", channel_names={"0": "CT", "1": "PET"})
        case "png":
            change(folder, "dataset.json", file_ending=".png")
        case "other labels":
            change(folder, "dataset.json", labels={"background": 0, "liver": 1})
        case "other network":
            architecture = {"network_class_name": "my.Network"}
            change(folder, "plans.json", configurations={"x": {"architecture": architecture}})


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("no dataset", r"'model' holds no dataset.json; copy it whole\."),
        ("damaged plans", r"plans.json is damaged; copy the model again\."),
        ("plans of version 1", r"plans.json is damaged"),
        ("no configurations", r"not a folder of nnU-Net version 2\."),
        ("no checkpoint", r"has no fold_\*/checkpoint_final.pth; copy the model whole"),
        ("empty checkpoint", r"has no fold_\*/checkpoint_final.pth"),
        ("two channels", r"takes 2 images a patient"),
        ("png", r"files that end in '.png'"),
        ("other labels", r"None of the model's classes \('liver'\)"),
        ("other network", r"'my.Network', which is none of nnU-Net's own"),
    ],
)
def test_an_incomplete_model_is_one_sentence_at_once(
    volume: Volume, tmp_path: Path, fake: str, fault: str, sentence: str
) -> None:
    model = make_folder(tmp_path / "model")
    spoil(model, fault)
    with pytest.raises((ModelError, InputError), match=sentence) as caught:
        NnUnetSegmenter(model, executable=fake).segment(volume)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "record.json").exists(), "the program was started"


def test_other_wrong_uses_are_one_sentence(volume: Volume, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="'gone' does not exist"):
        NnUnetSegmenter(tmp_path / "gone").segment(volume)
    model = make_folder(tmp_path / "Dataset1" / "trainer__plans__3d_fullres")
    with pytest.raises(ModelError, match="its subfolder 'trainer__plans__3d_fullres' does"):
        NnUnetSegmenter(model.parent).segment(volume)
    with pytest.raises(ModelError, match=r"no checkpoint_final.pth in fold_4"):
        NnUnetSegmenter(model, folds=(0, 4)).segment(volume)
    with pytest.raises(ModelError, match=r"program .* was not found; install nnU-Net"):
        NnUnetSegmenter(model, executable="no-such-program").segment(volume)
    with pytest.raises(InputError, match="CT in HU"):
        NnUnetSegmenter(model).segment(Volume(volume.array, volume.grid, unit="mg/cm3"))
    with pytest.raises(InputError, match="one each of L/R"):
        NnUnetSegmenter(model, orientation="LLL")
    with pytest.raises(InputError, match="none of cpu"):
        NnUnetSegmenter(model, device="cuda")
