"""Which bone is where: label schemes, segmenters, vertebra geometry, quality flags."""
