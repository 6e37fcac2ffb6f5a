"""Any trained nnU-Net v2 model folder as a segmenter."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from osteoscope.anatomy.segmenters.nnunet_labels import (
    ClassMap,
    class_map_from_file,
    class_map_from_names,
    class_map_from_numbers,
)
from osteoscope.anatomy.segmenters.nnunet_model import NnUnetModel, open_model
from osteoscope.anatomy.segmenters.orientation import check_orientation, oriented
from osteoscope.anatomy.segmenters.program import OFFLINE, find_program, parse_device, run_program
from osteoscope.anatomy.segmenters.result_file import read_result
from osteoscope.core.errors import InputError
from osteoscope.core.label_schemes import label_scheme
from osteoscope.core.labelmap import LabelMap
from osteoscope.core.volume import Volume
from osteoscope.io.image_files import write_volume

PROGRAM = "nnUNetv2_predict_from_modelfolder"
INSTALL = (
    "install nnU-Net with pip install nnunetv2, or in an environment of its own and give the "
    "program's path (--segmenter-program)"
)

_DEVICES = {"cpu": "cpu", "gpu": "cuda", "mps": "mps"}


@dataclass(frozen=True)
class NnUnetSegmenter:
    """Runs a trained nnU-Net v2 model on a scan; this is how a CTSpine1K or VerSe network comes in.

    **A model folder is a program's input that you trust.** nnU-Net unpickles its checkpoints and
    builds whatever network its plans name. Both are therefore looked into first, and a model that
    would call anything but network classes and tensors is refused, unless ``trust_checkpoint``.

    Args:
        model_folder: Holds ``dataset.json``, ``plans.json`` and ``fold_*``.
        label_map: What each class is: number in ``scheme`` by the model's number, or a JSON file
            (:func:`~osteoscope.anatomy.segmenters.nnunet_labels.class_map_from_file`). None reads
            it from the class names, where these are like ``vertebrae_L1``, ``L1`` or ``T12``.
        scheme: Name of the label scheme of the result; None chooses by the class names or reads
            it from the label map's file.
        folds: Folds to average; None takes every one that is trained.
        checkpoint: Name of the weights in each fold.
        mirror: Average over mirrored copies, as nnU-Net does by default: better, and up to eight
            times slower.
        device: ``cpu``, ``gpu``, ``gpu:N`` or ``mps``.
        orientation: Where the x, y and z axes of the training images pointed to. nnU-Net does not
            look at it, and a network that never saw a scan upside down fails silently.
        executable: The program, where it is not on PATH or beside the running Python.
        timeout_s: Longest run, s; None waits for ever.
        log: File that keeps what the program printed; None keeps nothing.
        trust_checkpoint: Run the model without looking into it.
    """

    model_folder: Path
    label_map: Path | Mapping[int, int] | None = None
    scheme: str | None = None
    folds: tuple[int | str, ...] | None = None
    checkpoint: str = "checkpoint_final.pth"
    mirror: bool = True
    device: str = "cpu"
    orientation: str = "LPS"
    executable: str | None = None
    timeout_s: float | None = None
    log: Path | None = None
    trust_checkpoint: bool = False

    def __post_init__(self) -> None:
        check_orientation(self.orientation)
        parse_device(self.device)

    @property
    def name(self) -> str:
        """The method's name for the report."""
        return f"nnunet-v2:{self.model_folder.name}"

    def class_map(self) -> ClassMap:
        """What each of the model's classes becomes; ``ignored`` lists those that become nothing.

        Raises:
            ModelError: The model folder cannot be used.
            InputError: The label map cannot.
        """
        return self._class_map(self._open())

    def prepare(self) -> None:
        """Look into the model and for the program, so that what is wrong is said at once."""
        self._class_map(self._open())
        find_program(PROGRAM, self.executable, INSTALL)

    def segment(self, volume: Volume) -> LabelMap:
        """Segment a scan.

        Args:
            volume: The scan, in HU.

        Returns:
            Labels of the chosen scheme on the volume's grid.

        Raises:
            InputError: The volume is not in HU, or the label map cannot be used.
            ModelError: The program or the model is missing, incomplete or not trusted, or failed.
        """
        if volume.unit != "HU":
            raise InputError(f"The nnU-Net model needs a CT in HU, not in {volume.unit}.")
        model = self._open()
        classes = self._class_map(model)
        program = find_program(PROGRAM, self.executable, INSTALL)
        view, grid = oriented(volume.array, volume.grid, self.orientation)
        with tempfile.TemporaryDirectory(prefix="osteoscope-") as name:
            folder = Path(name)
            for part in ("in", "out", "unused"):
                (folder / part).mkdir()
            scan = folder / "in" / f"scan_0000{model.file_ending}"
            write_volume(scan, Volume(view, grid))
            run_program(
                self._command(program, model, folder),
                environment=self._environment(folder / "unused"),
                log=self.log or folder / "log.txt",
                name="nnU-Net",
                timeout_s=self.timeout_s,
            )
            result = folder / "out" / f"scan{model.file_ending}"
            predicted = read_result(result, grid, "nnU-Net", _largest(model))
            labels = np.zeros(volume.grid.shape, dtype=np.uint8)
            # The same turn as the scan's, on a view of the result: exact, with nothing resampled.
            oriented(labels, volume.grid, self.orientation)[0][...] = classes.apply(predicted)
        return LabelMap(labels, volume.grid, classes.scheme)

    def _open(self) -> NnUnetModel:
        return open_model(
            self.model_folder,
            folds=self.folds,
            checkpoint=self.checkpoint,
            trust=self.trust_checkpoint,
        )

    def _class_map(self, model: NnUnetModel) -> ClassMap:
        if self.label_map is None:
            return class_map_from_names(model.labels, self.scheme)
        if isinstance(self.label_map, Path):
            return class_map_from_file(self.label_map, model.labels, self.scheme)
        if self.scheme is None:
            raise InputError("A label map of numbers needs the name of its label scheme.")
        return class_map_from_numbers(self.label_map, label_scheme(self.scheme))

    def _command(self, program: Path, model: NnUnetModel, folder: Path) -> list[str]:
        places = ["-i", str(folder / "in"), "-o", str(folder / "out"), "-m", str(model.folder)]
        weights = ["-f", *model.folds, "-chk", self.checkpoint]
        # One process each for reading and writing: there is one scan.
        how = ["-npp", "1", "-nps", "1", "-device", _DEVICES[parse_device(self.device)[0]]]
        quiet = ["--disable_progress_bar"]
        return [str(program), *places, *weights, *how, *quiet] + (
            [] if self.mirror else ["--disable_tta"]
        )

    def _environment(self, unused: Path) -> dict[str, str]:
        """The program's environment: none of the user's nnU-Net settings, no network."""
        inherited = {name: value for name, value in os.environ.items() if name[:6] != "nnUNet"}
        places = dict.fromkeys(("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"), str(unused))
        gpu = parse_device(self.device)[1]
        visible = {} if gpu is None else {"CUDA_VISIBLE_DEVICES": gpu}
        return inherited | places | {"nnUNet_def_n_proc": "1"} | visible | dict(OFFLINE)


def _largest(model: NnUnetModel) -> int:
    """The largest number that the model may write; regions get one each."""
    numbers = [n for n in model.labels.values() if isinstance(n, int)]
    return max(*numbers, len(model.labels), 1) if numbers else max(len(model.labels), 1)
