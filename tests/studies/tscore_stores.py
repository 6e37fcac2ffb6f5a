"""Small stores whose classes differ in attenuation, for tests of training."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from osteoscope.core.crop_spec import CropSpec
from osteoscope.io.crop_store import CropStore, CropStoreWriter

SPEC = CropSpec(shape=(8, 12, 12), spacing_mm=(4.0, 4.0, 4.0))
_T_SCORES = (0.0, -1.8, -3.2)
_HU = (260, 180, 100)


def write_store(
    folder: Path, counts: tuple[int, int, int] = (26, 20, 14), seed: int = 0
) -> CropStore:
    """A store of blocks of bone; HU and T-score overlap between classes by noise.

    Args:
        folder: To make.
        counts: Subjects of each class.
        seed: Of the noise.
    """
    rng = np.random.default_rng(seed)
    classes = rng.permutation(np.repeat(np.arange(3), counts))
    writer = CropStoreWriter(folder, SPEC, len(classes), sources={"made by": "test"})
    for number, index in enumerate(classes):
        level = _HU[index] + rng.normal(0, 30)
        crop = np.full(SPEC.shape, -1024, np.int16)
        crop[2:6, 3:9, 3:9] = np.clip(rng.normal(level, 40, (4, 6, 6)), -900, 3000)
        writer.add(
            crop,
            {
                "subject_id": f"p{number:03d}",
                "level": "L1",
                "t_score": round(_T_SCORES[index] + float(rng.uniform(-0.4, 0.4)), 1),
                "class_index": int(index),
                "age_years": float(rng.integers(50, 90)),
                "sex": "F" if rng.random() < 0.7 else "M",
                "site": "a" if number % 2 else "b",
                "l1_hu": float(crop[2:6, 3:9, 3:9].mean()),
                "simulated": True,
            },
        )
    writer.finish()
    return CropStore.open(folder)
