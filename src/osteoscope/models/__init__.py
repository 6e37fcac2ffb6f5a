"""Architectures: two-dimensional backbones made three-dimensional, transformers, a registry.

Needs the extra ``train``.
"""

from osteoscope.models.registry import create_model

__all__ = ["create_model"]
