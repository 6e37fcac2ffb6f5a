"""Bone health from the CT you already have."""

__version__ = "0.1.0.dev0"
