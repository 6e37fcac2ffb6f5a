"""Virtual DXA of a screened scan, or why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from osteoscope.anatomy.vertebra import Vertebra
from osteoscope.core.labelmap import LabelMap
from osteoscope.core.volume import Volume
from osteoscope.densitometry.calibration.line import Calibration
from osteoscope.studies.screen.assess import NO_CALIBRATION
from osteoscope.studies.screen.config import ScreenConfig


def projected_density(
    volume: Volume,
    labels: LabelMap,
    vertebrae: Mapping[str, Vertebra],
    calibration: Calibration | None,
    config: ScreenConfig,
) -> dict[str, Any]:
    """The ``virtual_dxa`` part of ``result.json``."""
    if calibration is None:
        return {"withheld": NO_CALIBRATION}
    return {"withheld": "Virtual DXA is not available in this version."}
