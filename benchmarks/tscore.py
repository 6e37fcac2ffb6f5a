"""Speed of the T-score study, each beside what a user would do instead, as ratios of one run.

    python benchmarks/tscore.py [--out FILE] [--gpu]

(a) data time of an epoch from a store, against reading a NIfTI file a subject in each epoch, as
    the official code does; (b) inference of a 3D ResNet-50 by the deployed runtimes against torch
    eager; (c) a training step of ``fit`` against a plain torch loop: ``benchmarks/fit_step.py``;
(d) evaluation against a scikit-learn loop over draws: ``benchmarks/evaluation.py``.
With ``--gpu``: training steps and inference of a 3D ResNet-50 on the first CUDA device, absolute.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

SUBJECTS, SHAPE = 48, (96, 96, 96)


def main() -> None:
    """Run what is asked for and print it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--gpu", action="store_true")
    parser.add_argument("--shape", type=int, nargs=3, default=SHAPE)
    options = parser.parse_args()
    shape = tuple(options.shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = on_gpu(shape) if options.gpu else {**data_time(shape), **inference(shape)}
    print(json.dumps(found, indent=1))
    if options.out is not None:
        options.out.write_text(json.dumps(found, indent=1), encoding="utf-8")


def data_time(shape: tuple[int, ...]) -> dict[str, float]:
    """(a) Seconds to have every crop of an epoch as a tensor; windows come after, on the device."""
    import nibabel

    from osteoscope.core.crop_spec import CropSpec
    from osteoscope.io.crop_store import CropStore, CropStoreWriter
    from osteoscope.learning.store_batches import StoreBatches

    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        writer = CropStoreWriter(folder / "store", CropSpec(shape=shape), SUBJECTS)
        # A vertebra fills a sixth of its masked crop; the rest is one value, as in real ones.
        inside = np.zeros(shape, bool)
        z, y, x = (n // 4 for n in shape)
        inside[z:-z, y:-y, x : int(2.4 * x)] = True
        for k in range(SUBJECTS):
            noise = rng.normal(150, 60, shape)
            crop = np.where(inside, noise, -1024).astype(np.int16)
            writer.add(crop, {"subject_id": f"s{k}", "level": "L1", "t_score": -1.5})
            nibabel.save(nibabel.Nifti1Image(crop.T, np.eye(4)), folder / f"s{k}.nii.gz")
        writer.finish()
        store = CropStore.open(folder / "store")
        rows = np.arange(SUBJECTS)
        batches = StoreBatches(
            store.digest, store.crops, rows, np.zeros(SUBJECTS, np.int64),
            np.zeros(SUBJECTS, np.float32),
        )  # fmt: skip

        def from_store() -> None:
            for first in range(0, SUBJECTS, 8):
                batches.batch(rows[first : first + 8])

        def from_nifti() -> None:
            for first in range(0, SUBJECTS, 8):
                loaded = [
                    torch.from_numpy(
                        np.ascontiguousarray(
                            nibabel.load(folder / f"s{k}.nii.gz").get_fdata(dtype=np.float32).T
                        )
                    )
                    for k in range(first, min(first + 8, SUBJECTS))
                ]
                torch.stack(loaded)

        store_s, nifti_s = _medians([from_store, from_nifti], 3)
    print(f"(a) epoch of {SUBJECTS} crops: store {store_s:.3f} s, NIfTI {nifti_s:.3f} s")
    print(f"    NIfTI takes {nifti_s / store_s:.1f} x the store's time")
    return {"store_s": store_s, "nifti_s": nifti_s, "data_ratio": nifti_s / store_s}


def inference(shape: tuple[int, ...]) -> dict[str, float]:
    """(b) One crop through a 3D ResNet-50 on the CPU."""

    from osteoscope.inference.runtimes import RUNTIMES
    from osteoscope.learning.export import export_onnx
    from osteoscope.learning.heads import create_head
    from osteoscope.learning.quantise import quantise_onnx
    from osteoscope.models import create_model

    class _Nothing:
        def to_json(self) -> str:
            return "{}"

    model = create_model("resnet50.a1_in1k").eval()
    image = torch.rand(1, 1, *shape)
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary, "m.onnx")
        export_onnx(model, create_head("three-class"), _Nothing(), path, (1, *shape))
        int8 = Path(temporary, "m8.onnx")
        quantise_onnx(path, int8, np.random.default_rng(0).random((4, 1, *shape), np.float32))
        runners = {
            "onnxruntime": RUNTIMES["onnxruntime"](path.read_bytes(), None),
            "onnxruntime int8": RUNTIMES["onnxruntime"](int8.read_bytes(), None),
            "openvino": RUNTIMES["openvino"](path.read_bytes(), None),
        }

    def eager(layout: torch.memory_format) -> Callable[[], None]:
        network = create_model("resnet50.a1_in1k").eval().to(memory_format=layout)  # type: ignore[call-overload]
        moved = image.to(memory_format=layout)

        def run() -> None:
            with torch.inference_mode():
                network(moved)

        return run

    runs = {
        "torch eager": eager(torch.contiguous_format),
        "torch eager channels-last": eager(torch.channels_last_3d),
        **{name: partial(runner.run, image.numpy()) for name, runner in runners.items()},
    }
    seconds = dict(zip(runs, _medians(list(runs.values()), 5), strict=True))
    found = {}
    for name, value in seconds.items():
        ratio = seconds["torch eager"] / value
        print(f"(b) {name}: {value:.3f} s, {ratio:.2f} x torch eager's speed")
        found[f"{name} s"] = value
        found[f"{name} ratio"] = ratio
    return found


def on_gpu(shape: tuple[int, ...]) -> dict[str, float | str]:
    """Training and inference of a 3D ResNet-50 on the first CUDA device."""
    from osteoscope.models import create_model

    device = torch.device("cuda")
    found: dict[str, float | str] = {"device": torch.cuda.get_device_name(0)}
    for layout_name, layout in (
        ("contiguous", torch.contiguous_format),
        ("channels-last", torch.channels_last_3d),
    ):
        for precision in ("float32", "bfloat16"):
            model = create_model("resnet50.a1_in1k").to(device, memory_format=layout)  # type: ignore[call-overload]
            optimiser = torch.optim.AdamW(model.parameters())
            images = torch.rand(8, 1, *shape, device=device).to(memory_format=layout)
            answers = torch.randint(0, 3, (8,), device=device)

            def step(model: torch.nn.Module = model, images: torch.Tensor = images,
                     answers: torch.Tensor = answers, precision: str = precision,
                     optimiser: torch.optim.Optimizer = optimiser) -> None:  # fmt: skip
                with torch.autocast("cuda", torch.bfloat16, enabled=precision != "float32"):
                    loss = torch.nn.functional.cross_entropy(model(images), answers)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                torch.cuda.synchronize()

            for _ in range(3):
                step()
            key = f"training step of 8, {precision}, {layout_name}, s"
            found[key] = _medians([step], 10)[0]
            print(key, found[key])
    return found


def _medians(runs: list[Callable[[], object]], repeats: int) -> list[float]:
    """Median seconds of each, taken in turns after one unmeasured pass."""
    taken: list[list[float]] = [[] for _ in runs]
    for run in runs:
        run()
    for _ in range(repeats):
        for times, run in zip(taken, runs, strict=True):
            start = time.perf_counter()
            run()
            times.append(time.perf_counter() - start)
    return [statistics.median(times) for times in taken]


if __name__ == "__main__":
    main()
