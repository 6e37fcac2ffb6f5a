"""What the numbers in a segmentation mean: the published label schemes.

Sources: TotalSegmentator v2 class table (task ``total``); VerSe 2020 and CTSpine1K use one
numbering of vertebrae; TPTBox adds subregions of a vertebra in a second file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from osteoscope.core.registry import look_up

VERTEBRAE: tuple[str, ...] = (
    *(f"C{n}" for n in range(1, 8)),
    *(f"T{n}" for n in range(1, 14)),
    *(f"L{n}" for n in range(1, 7)),
    "S1",
)
"""Every vertebra that a scheme may name, from the skull down; T13 and L6 are variants."""


@dataclass(frozen=True)
class LabelScheme:
    """A numbering of structures.

    Args:
        name: The name that ``--scheme`` takes.
        vertebrae: Number of each vertebra it can name.
        structures: Number of each other structure that osteoscope uses, by the name
            ``aorta``, ``spinal_cord``, ``sacrum``, ``autochthon_left``, ``rib_left_12``...
        body_labels: For a subregion scheme, the numbers that form the vertebral body.
        source: Where the numbering is published.
    """

    name: str
    vertebrae: Mapping[str, int]
    structures: Mapping[str, int] = field(default_factory=dict)
    body_labels: tuple[int, ...] = ()
    source: str = ""

    @property
    def level_of(self) -> dict[int, str]:
        """Vertebra by number."""
        return {number: level for level, number in self.vertebrae.items()}


def _totalsegmentator() -> LabelScheme:
    vertebrae = {"S1": 26}
    vertebrae |= {f"L{n}": 32 - n for n in range(1, 6)}
    vertebrae |= {f"T{n}": 44 - n for n in range(1, 13)}
    vertebrae |= {f"C{n}": 51 - n for n in range(1, 8)}
    structures = {
        "spleen": 1, "kidney_right": 2, "kidney_left": 3, "liver": 5, "stomach": 6,
        "sacrum": 25, "heart": 51, "aorta": 52, "inferior_vena_cava": 63,
        "portal_vein_and_splenic_vein": 64, "iliac_artery_left": 65, "iliac_artery_right": 66,
        "femur_left": 75, "femur_right": 76, "hip_left": 77, "hip_right": 78,
        "spinal_cord": 79, "gluteus_maximus_left": 80, "gluteus_maximus_right": 81,
        "autochthon_left": 86, "autochthon_right": 87, "iliopsoas_left": 88,
        "iliopsoas_right": 89,
    }  # fmt: skip
    structures |= {f"rib_left_{n}": 91 + n for n in range(1, 13)}
    structures |= {f"rib_right_{n}": 103 + n for n in range(1, 13)}
    return LabelScheme(
        "totalsegmentator",
        MappingProxyType(vertebrae),
        MappingProxyType(structures),
        source="TotalSegmentator v2 class table, task total",
    )


def _verse() -> LabelScheme:
    vertebrae = {f"C{n}": n for n in range(1, 8)}
    vertebrae |= {f"T{n}": 7 + n for n in range(1, 13)}
    vertebrae |= {f"L{n}": 19 + n for n in range(1, 7)}
    vertebrae |= {"T13": 28}
    return LabelScheme(
        "verse",
        MappingProxyType(vertebrae),
        MappingProxyType({"sacrum": 26}),
        source="VerSe 2020 and CTSpine1K label tables",
    )


def _tptbox_subregions() -> LabelScheme:
    structures = {
        "arcus": 41, "spinosus": 42, "costal_left": 43, "costal_right": 44,
        "superior_articular_left": 45, "superior_articular_right": 46,
        "inferior_articular_left": 47, "inferior_articular_right": 48,
        "corpus_border": 49, "corpus": 50,
    }  # fmt: skip
    return LabelScheme(
        "tptbox-subregions",
        MappingProxyType({}),
        MappingProxyType(structures),
        body_labels=(49, 50),
        source="TPTBox vertebra subregion table",
    )


SCHEMES: Mapping[str, LabelScheme] = MappingProxyType(
    {s.name: s for s in (_totalsegmentator(), _verse(), _tptbox_subregions())}
)
"""Every known scheme by the name that ``--scheme`` takes."""


def label_scheme(name: str) -> LabelScheme:
    """The scheme of that name.

    Raises:
        InputError: The name is unknown; the message lists the known ones.
    """
    return look_up(SCHEMES, name, "label scheme")
