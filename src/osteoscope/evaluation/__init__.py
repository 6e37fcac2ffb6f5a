"""How good predictions are: discrimination, calibration, agreement, resampling. NumPy only."""

from osteoscope.evaluation.compare import compare
from osteoscope.evaluation.evaluate import evaluate

__all__ = ["compare", "evaluate"]
