"""Ways to label the bones of a scan, by name; each is imported only when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from osteoscope.anatomy.segmenters.protocol import Segmenter
from osteoscope.core.errors import InputError

__all__ = ["SEGMENTERS", "Segmenter", "make_segmenter"]


def _file(**options: Any) -> Segmenter:
    from osteoscope.anatomy.segmenters.file import FileSegmenter

    return FileSegmenter(**options)


def _totalsegmentator(**options: Any) -> Segmenter:
    from osteoscope.anatomy.segmenters.totalsegmentator import TotalSegmentatorSegmenter

    return TotalSegmentatorSegmenter(**options)


def _nnunet(**options: Any) -> Segmenter:
    from osteoscope.anatomy.segmenters.nnunet import NnUnetSegmenter

    return NnUnetSegmenter(**options)


SEGMENTERS: Mapping[str, Callable[..., Segmenter]] = MappingProxyType(
    {"file": _file, "totalsegmentator": _totalsegmentator, "nnunet": _nnunet}
)
"""Every segmenter by the name that ``--segmenter`` takes."""


def make_segmenter(name: str, **options: Any) -> Segmenter:
    """The segmenter of that name, made with its own options.

    Args:
        name: A key of :data:`SEGMENTERS`.
        **options: What its class takes, for example ``path`` and ``scheme`` for ``file``.

    Raises:
        InputError: The name is unknown, or the segmenter takes no such option.
    """
    if name not in SEGMENTERS:
        known = ", ".join(sorted(SEGMENTERS))
        raise InputError(f"Unknown segmenter {name!r}; known: {known}.")
    try:
        return SEGMENTERS[name](**options)
    except TypeError as error:
        raise InputError(f"The segmenter {name!r} cannot be made so: {error}.") from None
