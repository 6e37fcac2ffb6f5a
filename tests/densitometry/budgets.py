"""The measurement budget of an eroded body, as a screen makes it."""

from osteoscope.anatomy.vertebra import Vertebra
from osteoscope.core.volume import Volume
from osteoscope.densitometry.statistics import region_statistics
from osteoscope.densitometry.trabecular import eroded_body_with_neighbours
from osteoscope.densitometry.uncertainty import (
    REGION_STEP_MM,
    UncertaintyBudget,
    measurement_budget,
)


def body_budget(volume: Volume, vertebra: Vertebra) -> UncertaintyBudget:
    """The budget of the median in the body eroded 5 mm."""
    region, neighbours = eroded_body_with_neighbours(vertebra, 5.0, REGION_STEP_MM)
    return measurement_budget(volume, region, region_statistics(volume, region), neighbours)
