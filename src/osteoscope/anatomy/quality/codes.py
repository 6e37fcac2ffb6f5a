"""Every flag that osteoscope's quality checks can raise: its code and what it means."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

FLAG_CODES: Mapping[str, str] = MappingProxyType(
    {
        "level_missing": "A wanted vertebra is not labelled; withholds that level.",
        "touches_edge": "The scan or its labels end inside a vertebra; withholds the level where "
        "the body is cut, warns where only the arch is.",
        "labels_out_of_order": "Names do not follow the spine; withholds everything.",
        "labels_off_bone": "A label's rim is no denser than its surroundings: it lies on no "
        "vertebra; withholds that level.",
        "labels_doubled": "One name covers two vertebrae; withholds that level.",
        "implausible_volume": "A mask is too small or too large for one vertebra; withholds that "
        "level.",
        "implausible_spacing": "Two successive vertebrae are too near or too far apart; warns.",
        "implausible_curvature": "The spine bends more than spines do; warns.",
        "possible_level_shift": "Ribs, sacrum or gaps suggest that levels are named one off; "
        "withholds everything (one deviating rib of several only warns).",
        "transitional_anatomy": "Thirteen thoracic, four or six lumbar vertebrae or a T12 without "
        "ribs; warns.",
        "level_unverified": "Neither ribs nor sacrum are labelled, so names could not be checked; "
        "warns.",
        "metal_in_region": "Metal in a vertebra or near its body; withholds that level, warns "
        "where it lies beside the arch only.",
        "metal_in_scan": "Metal anywhere in the scan; warns.",
        "cement": "Bone cement in the body; withholds that level.",
        "dense_focus": "A dense focus in the body (bone island, sclerosis, Schmorl node's rim); "
        "warns, withholds where the whole body stands apart.",
        "lytic_focus": "A focus of low attenuation in the body (fat, vessel, cyst, lysis); warns, "
        "withholds where the whole body stands apart.",
        "heterogeneous_region": "Attenuation in the body scatters beyond its noise; warns.",
        "fracture": "Loss of height of 20 % or more (Genant); withholds that level's density, "
        "warns within the measurement's uncertainty.",
        "thick_slices": "Slices thicker than 2.5 mm; warns.",
        "high_noise": "Noise above 35 HU in soft tissue; warns.",
        "contrast_enhanced": "Contrast medium by the header or by the aorta; warns.",
        "contrast_unknown": "Neither header nor aorta tells about contrast; warns.",
        "kvp_unknown": "The file does not state the tube voltage; warns.",
        "kvp_not_120": "Another tube voltage than 120 kVp; warns.",
        "sharp_kernel": "A bone or lung kernel; warns.",
        "truncated_field_of_view": "The field of view cuts the body at the spine's level; warns.",
        "unlabelled_spine": "Spine goes on over slices without any label; warns.",
    }
)
"""Effect and meaning by code; the numbers are the defaults of
:class:`osteoscope.anatomy.quality.limits.QualityLimits`."""
