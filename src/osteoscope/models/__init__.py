"""Architectures: two-dimensional backbones made three-dimensional, transformers, a registry.

Needs the extra ``train``.
"""

from osteoscope.models import quiet_timm as _quiet_timm  # noqa: F401 - before timm is imported
from osteoscope.models.registry import create_model

__all__ = ["create_model"]
