"""Named virtual cohorts: who the patients are, where they are scanned, how many of each class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from osteoscope.core.errors import InputError
from osteoscope.core.registry import look_up
from osteoscope.simulation.cohort_mix import NOTHING_PLANTED, CohortMix
from osteoscope.simulation.patient import CohortSpec
from osteoscope.simulation.segmenter_errors import segmenter_errors
from osteoscope.simulation.virtual_site import VirtualSite


@dataclass(frozen=True)
class CohortPreset:
    """How a virtual cohort is drawn.

    Args:
        name: Key in :data:`PRESETS`.
        prefix: What its subjects' names begin with.
        population: Who they are.
        mix: What they have, and how they are scanned where there are no sites.
        sites: Where they are scanned; none for one ideal scanner.
        class_counts: Patients of each WHO class (normal, osteopenia, osteoporosis); None takes
            patients as they come.
        segmenter: Whose mistakes the labels show, unless another is asked for.
    """

    name: str
    prefix: str = "sim"
    population: CohortSpec = field(default_factory=CohortSpec)
    mix: CohortMix = field(default_factory=CohortMix)
    sites: tuple[VirtualSite, ...] = ()
    class_counts: tuple[int, int, int] | None = None
    segmenter: str = "exact"

    def __post_init__(self) -> None:
        if self.class_counts is not None and (
            min(self.class_counts) < 0 or sum(self.class_counts) == 0
        ):
            raise InputError(
                f"A cohort's classes hold 0 patients or more, not {self.class_counts}."
            )
        names = [site.name for site in self.sites]
        if len(set(names)) != len(names):
            raise InputError(f"Two sites of a cohort have one name in {', '.join(names)}.")
        segmenter_errors(self.segmenter)

    @property
    def subjects(self) -> int:
        """How many patients the cohort has unless a number is asked for."""
        return 10 if self.class_counts is None else sum(self.class_counts)

    def quotas(self, subjects: int) -> tuple[int, int, int] | None:
        """Patients of each class in a cohort of that size, in proportion; None without quotas.

        Largest remainders, the rarer class first where two are equal, so that they sum to
        ``subjects``.

        >>> PRESETS["austinspine"].quotas(40)
        (21, 14, 5)
        """
        if self.class_counts is None:
            return None
        total = sum(self.class_counts)
        exact = [count * subjects / total for count in self.class_counts]
        out = [int(share) for share in exact]
        order = sorted(range(3), key=lambda c: (out[c] - exact[c], self.class_counts[c]))  # type: ignore[index]
        for c in order[: subjects - sum(out)]:
            out[c] += 1
        return out[0], out[1], out[2]


FOUR_SITES = (
    VirtualSite("north", 0.40, water_hu=0.0, bone_scale=1.00, contrast=0.45, slice_mm=2.0),
    VirtualSite(
        "harbour", 0.25, water_hu=-3.0, bone_scale=0.96, kernel="smooth", noise=0.8,
        contrast=0.60, kvp_100=0.35, kvp_140=0.0, in_plane_mm=0.9, thick_slices=0.3,
    ),
    VirtualSite(
        "hill", 0.20, water_hu=2.0, bone_scale=1.04, kernel="medium", noise=1.3,
        contrast=0.30, kvp_100=0.05, kvp_140=0.15, in_plane_mm=0.8, slice_mm=1.5,
    ),
    VirtualSite(
        "rural", 0.15, water_hu=4.0, bone_scale=0.98, noise=1.1, contrast=0.15,
        kvp_100=0.0, kvp_140=0.05, slice_mm=3.0, thick_slices=0.2,
    ),
)  # fmt: skip
"""Four made-up hospitals. Their scanners differ by 8 % in bone and 7 HU in water."""

AUSTINSPINE_COUNTS = (207, 136, 46)
"""Normal, osteopenia, osteoporosis of the 389 patients of AustinSpine, as its paper has them."""

PRESETS: Mapping[str, CohortPreset] = MappingProxyType(
    {
        preset.name: preset
        for preset in (
            CohortPreset("archive"),
            CohortPreset(
                "austinspine",
                prefix="austin",
                mix=NOTHING_PLANTED,
                sites=FOUR_SITES,
                class_counts=AUSTINSPINE_COUNTS,
                segmenter="fine",
            ),
            CohortPreset(
                "population",
                prefix="pop",
                mix=CohortMix(label_shift=0.0),
                sites=FOUR_SITES,
                segmenter="fine",
            ),
        )
    }
)
"""Every preset by name.

``archive``: a mixed archive of abdominal CT of people above 50, on one ideal scanner, exactly
labelled. ``austinspine``: the classes of the MedConv paper's cohort at four sites; implants,
fractures and foci are left out, as its selection is not published, degeneration is not.
``population``: patients as they come, with all that an archive holds, at four sites: to train on.
"""


def cohort_preset(name: str) -> CohortPreset:
    """The preset of that name.

    Raises:
        InputError: Unknown name; the message lists the known ones.
    """
    return look_up(PRESETS, name, "preset")
