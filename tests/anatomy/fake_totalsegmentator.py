"""A FAKE of the program TotalSegmentator: its real weights cannot be had where tests run.

It takes the same arguments, writes down what it was given, and labels what is above 200 HU as L1
and what is above 400 HU as aorta. That its arguments are the real program's is tested apart, by
the real program's own parser.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

import SimpleITK

L1, AORTA = 31, 52


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("-i", type=Path)
    parser.add_argument("-o", type=Path)
    arguments, _ = parser.parse_known_args()
    home = Path(os.environ["TOTALSEG_HOME_DIR"])
    weights = Path(os.environ["TOTALSEG_WEIGHTS_PATH"])
    image = SimpleITK.ReadImage(str(arguments.i))
    record = {
        "arguments": sys.argv[1:],
        "environment": dict(os.environ),
        "config": json.loads((home / "config.json").read_text()),
        "weights": {path.name: str(path.resolve()) for path in sorted(weights.iterdir())},
        "header": {key: image.GetMetaData(key) for key in image.GetMetaDataKeys()},
        "size": image.GetSize(),
        "sum": int(SimpleITK.GetArrayViewFromImage(image).sum()),
    }
    Path(os.environ["FAKE_RECORD"]).write_text(json.dumps(record))
    sys.stdout.write("fake segmentation\n")
    fault = os.environ.get("FAKE_FAULT")
    if fault == "ends":
        sys.exit("RuntimeError: the network was trained for another image")
    if fault == "silent":
        return
    labels = (image > 200) * L1
    labels = SimpleITK.Cast(labels, SimpleITK.sitkUInt8)
    bright = SimpleITK.Cast(image > 400, SimpleITK.sitkUInt8)
    labels = labels * (1 - bright) + bright * (200 if fault == "other_task" else AORTA)
    if fault == "other_grid":
        labels = labels[1:]
    if fault == "fractions":
        labels = SimpleITK.Cast(labels, SimpleITK.sitkFloat32)
    SimpleITK.WriteImage(labels, str(arguments.o))


if __name__ == "__main__":
    main()
