"""How good predictions are: discrimination, calibration, agreement, resampling. NumPy only."""
