"""Several processes compute the fit of one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from .shared_fit import shared_fit
from .toy_fit import files_in

NAMES = ("adamw", "sgd", "schedulefree-adamw", "sam")


@pytest.mark.slow
def test_two_processes_compute_the_fit_of_one(tmp_path: Path) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "tests.learning.shared_fit", str(tmp_path), *NAMES]
    done = subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert (done.stdout, done.stderr) == ("", "")
    two = json.loads((tmp_path / "found.json").read_text())
    for name in NAMES:
        one = shared_fit(tmp_path / "one" / name, name, 1)
        for key, values in one.items():
            np.testing.assert_allclose(two[name][key], values, rtol=1e-4, atol=1e-5, err_msg=name)
        assert files_in(tmp_path / name) == files_in(tmp_path / "one" / name)
