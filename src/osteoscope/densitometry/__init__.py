"""What the density is: regions, calibration, virtual DXA, criteria, uncertainty."""
