"""From attenuation to mineral density, only through a calibration that the user can name."""
