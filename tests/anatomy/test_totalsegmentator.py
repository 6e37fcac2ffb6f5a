"""TotalSegmentator as a program: what it is given, what comes back, what is refused at once.

Its networks cannot be had here. So the segmentation is a fake program's; the real program's
parser and settings code are asked whether they accept what we pass.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from osteoscope.anatomy.segmenters import program
from osteoscope.anatomy.segmenters.protocol import Segmenter
from osteoscope.anatomy.segmenters.totalsegmentator import (
    TotalSegmentatorSegmenter,
    private_environment,
)
from osteoscope.anatomy.segmenters.totalsegmentator_weights import FAST, FULL, find_weights
from osteoscope.core.errors import InputError, ModelError
from osteoscope.core.grid import Grid
from osteoscope.core.label_schemes import label_scheme
from osteoscope.core.volume import Acquisition, Volume

FAKE = Path(__file__).with_name("fake_totalsegmentator.py")


def make_weights(folder: Path, names: Any) -> Path:
    """Folders with the outline of networks and nothing in them."""
    for name in names:
        fold = folder / name / "nnUNetTrainerNoMirroring__nnUNetPlans__3d_fullres" / "fold_0"
        fold.mkdir(parents=True)
        (fold.parent / "plans.json").write_text("{}")
        (fold / "checkpoint_final.pth").write_bytes(b"no real weights")
    return folder


@pytest.fixture
def volume() -> Volume:
    """An oblique, anisotropic, asymmetric scan with a bone and a vessel."""
    angle = np.deg2rad(12)
    turn = np.array(
        [[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]]
    )
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.array([[0, 0, -0.8], [0, 0.9, 0], [2.5, 0, 0]])
    affine[:3, 3] = (101.5, -80.25, -512.0)
    array = np.random.default_rng(3).integers(-100, 150, (12, 20, 16)).astype(np.int16)
    array[2:9, 3:8, 4:7] = 300
    array[1:4, 12:15, 2:4] = 500
    facts = Acquisition(series_description="DOE^JANE spine")
    return Volume(array, Grid((12, 20, 16), affine), acquisition=facts)


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The fake program, as a file that can be started."""
    path = tmp_path / "TotalSegmentator"
    path.write_text(f"#!{sys.executable}\n" + FAKE.read_text())
    path.chmod(0o755)
    monkeypatch.setenv("FAKE_RECORD", str(tmp_path / "record.json"))
    return path


def segmenter(fake: Path, **options: Any) -> TotalSegmentatorSegmenter:
    names = FAST if options.get("fast") else FULL
    weights = make_weights(fake.parent / "weights", names.values())
    return TotalSegmentatorSegmenter(executable=str(fake), weights=weights, **options)


def test_the_labels_come_back_on_the_grid_of_the_scan(fake: Path, volume: Volume) -> None:
    labels = segmenter(fake).segment(volume)
    expected = np.where(volume.array > 400, 52, np.where(volume.array > 200, 31, 0))
    np.testing.assert_array_equal(labels.array, expected)
    assert labels.grid is volume.grid
    assert labels.scheme.name == "totalsegmentator"
    assert labels.scheme.level_of[31] == "L1"
    assert labels.scheme.structures["aorta"] == 52


def test_what_the_program_is_given(
    fake: Path, volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("nnUNet_results", "/of/the/user")
    monkeypatch.setenv("TOTALSEG_HOME_DIR", "/of/the/user")
    log = fake.parent / "kept.txt"
    segmenter(fake, fast=True, device="gpu:1", log=log).segment(volume)
    record = json.loads((fake.parent / "record.json").read_text())
    arguments = record["arguments"]
    assert arguments[0::2][:2] == ["-i", "-o"]
    assert arguments[4:] == ["-ml", "-ta", "total", "-nr", "1", "-ns", "1", "-d", "gpu:1", "-f"]
    assert record["config"]["send_usage_stats"] is False
    assert record["environment"]["https_proxy"] == "http://127.0.0.1:9"
    assert "nnUNet_results" not in record["environment"]
    # Links to the user's folders, in a folder of the run's own.
    assert record["weights"] == {
        name: str((fake.parent / "weights" / name).resolve()) for name in FAST.values()
    }
    assert record["size"] == [16, 20, 12]
    assert record["sum"] == int(volume.array.sum())
    assert "DOE" not in json.dumps(record)
    assert log.read_text() == "fake segmentation\n"
    for place in ("TOTALSEG_HOME_DIR", "TOTALSEG_WEIGHTS_PATH"):
        assert not Path(record["environment"][place]).exists(), "left behind"


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("ends", "ended with code 1; its last words: 'RuntimeError: the network was trained"),
        ("silent", "ended without writing its labels"),
        ("other_grid", "wrote labels on another grid"),
        ("fractions", "wrote float32 values instead of labels"),
        ("other_task", "wrote labels from 0 to 200 where 0 to 117 are possible"),
    ],
)
def test_a_failed_run_is_one_sentence(
    fake: Path, volume: Volume, monkeypatch: pytest.MonkeyPatch, fault: str, sentence: str
) -> None:
    monkeypatch.setenv("FAKE_FAULT", fault)
    with pytest.raises(ModelError, match=sentence):
        segmenter(fake).segment(volume)


def test_names_for_the_report(tmp_path: Path) -> None:
    assert isinstance(TotalSegmentatorSegmenter(), Segmenter)
    assert TotalSegmentatorSegmenter().name == "totalsegmentator"
    assert TotalSegmentatorSegmenter(fast=True).name == "totalsegmentator-fast"
    with pytest.raises(InputError, match="none of cpu, gpu"):
        TotalSegmentatorSegmenter(device="cuda")


def test_density_images_are_refused(volume: Volume) -> None:
    density = Volume(volume.array, volume.grid, unit="mg/cm3")
    with pytest.raises(InputError, match=r"CT in HU, not in mg/cm3"):
        TotalSegmentatorSegmenter().segment(density)


@pytest.mark.parametrize("fast", [False, True])
def test_without_weights_the_error_comes_before_anything_is_started(
    volume: Volume, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fast: bool
) -> None:
    """With the program that is really installed, where it is."""

    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("a program was started")

    monkeypatch.setattr(program.subprocess, "Popen", never)
    for name in ("TOTALSEG_WEIGHTS_PATH", "TOTALSEG_HOME_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    start = time.perf_counter()
    with pytest.raises(ModelError) as caught:
        TotalSegmentatorSegmenter(fast=fast).segment(volume)
    assert time.perf_counter() - start < 1
    message = str(caught.value)
    assert f"totalseg_download_weights -t {'total_fast' if fast else 'total'}`" in message
    assert "--weights DIR" in message
    assert str(tmp_path / ".totalsegmentator/nnunet/results") in message
    assert ("Dataset297" if fast else "Dataset291, Dataset292") in message
    assert "\n" not in message


def test_weights_with_no_program_name_the_remedy(volume: Volume, tmp_path: Path) -> None:
    weights = make_weights(tmp_path, FULL.values())
    with pytest.raises(ModelError, match=r"not found; .*pip install TotalSegmentator"):
        TotalSegmentatorSegmenter("no-such-program", weights).segment(volume)


def test_where_weights_are_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOTALSEG_WEIGHTS_PATH", raising=False)
    monkeypatch.delenv("TOTALSEG_HOME_DIR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    (name,) = FAST.values()

    def place() -> Path:
        return find_weights(fast=True)[name].parent

    usual = make_weights(tmp_path / "user/.totalsegmentator/nnunet/results", [name])
    assert place() == usual
    home = make_weights(tmp_path / "home/nnunet/results", [name])
    monkeypatch.setenv("TOTALSEG_HOME_DIR", str(tmp_path / "home"))
    assert place() == home
    path = make_weights(tmp_path / "path", [name])
    monkeypatch.setenv("TOTALSEG_WEIGHTS_PATH", str(path))
    assert place() == path
    # The user's own choice is the only place: nothing else is taken silently.
    with pytest.raises(ModelError, match="Dataset297"):
        find_weights(tmp_path / "empty", fast=True)


def test_a_broken_copy_of_one_network_is_named(tmp_path: Path) -> None:
    make_weights(tmp_path, FULL.values())
    (checkpoint,) = (tmp_path / FULL[294]).glob("*/fold_0/checkpoint_final.pth")
    checkpoint.write_bytes(b"")
    with pytest.raises(ModelError, match=r"missing or incomplete: Dataset294\)"):
        find_weights(tmp_path)


def test_another_version_of_a_network_is_found_by_its_number(tmp_path: Path) -> None:
    make_weights(tmp_path, ["Dataset297_TotalSegmentator_total_3mm_1559subj_v204"])
    (found,) = find_weights(tmp_path, fast=True)
    assert found.endswith("_v204")


ASK_THE_REAL_PROGRAM = """
import json, sys
import requests

def no_network(*arguments, **keywords):
    raise AssertionError("the network was used")

requests.get = requests.post = requests.Session.request = no_network
from totalsegmentator import config, libs
from totalsegmentator.bin import TotalSegmentator
from totalsegmentator.map_to_binary import class_map

given = {}
def capture(input, output, ml, *others, **keywords):
    given.update(input=str(input), output=str(output), ml=ml, device=keywords["device"])
    given["fast"], given["task"] = others[2], others[5]
    given["roi_subset"], given["statistics"] = others[6], others[7]
TotalSegmentator.totalsegmentator = capture
sys.argv = ["TotalSegmentator", *json.loads(sys.argv[1])]
TotalSegmentator.main()

settings = config.setup_totalseg()  # would make settings that send, where there are none
for number in (291, 292, 293, 294, 295):
    libs.download_pretrained_weights(number)  # returns at once where the folder is there
run = dict(task="total", fast=False, preview=False, multilabel=True, roi_subset=None,
           statistics=False, radiomics=False)
config.send_usage_stats(config.increase_prediction_counter(), run)
print(json.dumps({
    "given": given,
    "sends": config.get_config()["send_usage_stats"],
    "shown": config.get_config_key("statistics_disclaimer_shown"),
    "weights": str(config.get_weights_dir()),
    "classes": class_map["total"],
}))
"""


@pytest.mark.slow
def test_the_real_program_takes_our_arguments_and_settings(tmp_path: Path) -> None:
    if importlib.util.find_spec("totalsegmentator") is None:
        pytest.skip("TotalSegmentator is not installed")
    weights = make_weights(tmp_path / "weights", FULL.values())
    environment = private_environment(tmp_path / "home", find_weights(weights))
    ours = TotalSegmentatorSegmenter()
    command = ours._command(Path("TotalSegmentator"), Path("/in/scan.nii"), Path("/out/l.nii.gz"))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ASK_THE_REAL_PROGRAM, json.dumps(command[1:])],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer["given"] == {
        "input": "/in/scan.nii",
        "output": "/out/l.nii.gz",
        "ml": True,
        "device": "cpu",
        "fast": False,
        "task": "total",
        "roi_subset": None,
        "statistics": False,
    }
    assert answer["sends"] is False
    assert answer["shown"] is True
    assert answer["weights"] == environment["TOTALSEG_WEIGHTS_PATH"]
    # The numbers that we read are the numbers that it writes.
    names = {int(number): name for number, name in answer["classes"].items()}
    assert max(names) == 117
    scheme = label_scheme("totalsegmentator")
    for level, number in scheme.vertebrae.items():
        assert names[number] == f"vertebrae_{level}"
    # The scheme's own short name of this one; its number is the program's.
    program_name = {"portal_and_splenic_vein": "portal_vein_and_splenic_vein"}
    for structure, number in scheme.structures.items():
        assert names[number] == program_name.get(structure, structure)
