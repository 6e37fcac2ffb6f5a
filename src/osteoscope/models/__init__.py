"""Architectures: two-dimensional backbones made three-dimensional, transformers, a registry. Needs the extra ``train``."""
