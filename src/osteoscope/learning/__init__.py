"""Losses, sampling, augmentation, optimisers, fit, predict, export. Needs the extra ``train``."""
