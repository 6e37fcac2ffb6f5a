"""Every threshold that a quality flag uses, each with its source or its reason.

A value without a published source says *chosen* and why; the tests on simulated patients and on
the shared real scans show what it does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from osteoscope.core.errors import InputError
from osteoscope.core.volume import KVP_TOLERANCE, STANDARD_KVP


@dataclass(frozen=True)
class QualityLimits:
    """Thresholds of the quality flags; lengths in mm, volumes in cm3, attenuation in HU.

    Raises:
        InputError: A limit is not finite or not positive (``tissue_hu`` aside), or a pair that
            must rise does not.
    """

    # --- names of the levels -------------------------------------------------------------
    doubled_volume_cm3: float = 3.0
    """Chosen: a second component this large is no stray voxel; detached spinous processes
    (5-8 cm3) are told from a second vertebra by ``doubled_distance_mm``."""
    doubled_distance_mm: float = 25.0
    """Chosen: centres of neighbouring vertebrae are 28-40 mm apart along the spine, a spinous
    process lies 10-20 mm below its own body."""
    rib_contact_mm: float = 13.0
    """Chosen: the labelled heads of both twelfth ribs lie 9 mm from T12's mask in the shared real
    scan (3 mm voxels); the next vertebra is 20 mm or more away."""
    rib_lead_mm: float = 3.0
    """Chosen: a rib about as near to two vertebrae names neither."""
    sacrum_gap_mm: float = 20.0
    """Chosen: the lumbosacral disc is 5-15 mm high; a missing vertebra leaves 30 mm or more."""
    unlabelled_spine_mm: float = 60.0
    """Chosen: two vertebrae of spine without any label."""
    rim_denser_share: float = 0.70
    """Chosen: right labels reach 0.82-0.99 in the shared real scans and 0.92-0.99 in simulated
    ones at up to 5 mm slices; the same labels displaced by 10 mm or more stay below 0.68."""
    bone_hu: float = 200.0
    """Chosen: above enhanced soft tissue in most scans, below cortical and cancellous rim."""
    bone_area_cm2: float = 3.0
    """Chosen: bone in one axial slice through an adult vertebra (rim and arch) exceeds this."""
    cut_share: float = 0.25
    """Chosen: a vertebra whose section at the last labelled slice exceeds this share of its
    largest section was cut by the end of the labels."""

    # --- size and shape of the spine -----------------------------------------------------
    volume_low_share: float = 0.3
    """Chosen: adult vertebrae scatter with a CV near 20 %, and a body crushed to half leaves two
    thirds of the whole; below 30 % of the level's typical volume the mask is partial."""
    volume_high_share: float = 1.9
    """Chosen: two merged vertebrae hold about twice the volume of one."""
    volume_neighbours_low: float = 0.5
    """Chosen: a vertebra crushed by 45 % keeps 0.54 of what its neighbours suggest."""
    volume_neighbours_high: float = 1.6
    """Chosen: neighbours differ by about 10 % (doi 10.1007/s00276-015-1552-2)."""
    spacing_low_mm: float = 18.0
    """Chosen: below a crushed T11 with its disc."""
    spacing_high_mm: float = 50.0
    """Chosen: above a tall L4 (32 mm) with its disc (14 mm)."""
    spacing_neighbours_low: float = 0.55
    """Chosen: a crushed body with its disc keeps 0.6 of the others' spacing."""
    spacing_neighbours_high: float = 1.45
    """Chosen: successive centre distances differ by less than 20 %; a skipped one doubles it."""
    curvature_deg: float = 30.0
    """Chosen: successive segments of the thoracolumbar line bend by at most 20 degrees,
    L5-S1 aside; severe kyphosis or scoliosis of one segment reaches 30."""
    axis_tilt_deg: float = 35.0
    """Chosen: as ``curvature_deg``, for endplate normals, with the wedge of a fracture added."""

    # --- acquisition -----------------------------------------------------------------------
    slice_mm: float = 2.5
    """Chosen: a 5 mm erosion still leaves several slices and endplates stay two voxels thick;
    the published L1 thresholds were read at 1-5 mm, heights need 2.5 mm or finer."""
    kvp_standard: float = STANDARD_KVP
    """Pickhardt, Ann Intern Med 2013: the thresholds hold at 120 kVp."""
    kvp_tolerance: float = KVP_TOLERANCE
    """As for the criteria: what they do not hold for is flagged."""
    aorta_enhanced_hu: float = 90.0
    """Chosen: unenhanced blood is 20 +- 40 HU (`densitometry`, tissue checks), 30-60 in practice;
    the latest routine venous phase keeps 100 or more."""
    aorta_unenhanced_hu: float = 65.0
    """Chosen: blood without contrast reads 30-60 HU; between this and ``aorta_enhanced_hu`` a
    late or excretory phase cannot be told from it."""
    aorta_arterial_hu: float = 200.0
    """Chosen: arterial 250-400 HU, portal venous 120-180 HU."""
    kernel_sharpness: int = 60
    """Siemens kernel numbers: body kernels 30-40 standard, 60 and above for bone and lung
    (SOMATOM operating instructions)."""
    noise_hu: float = 35.0
    """Chosen: soft-tissue SD of a routine abdominal CT is 10-25 HU at its own voxels; at 35 HU a
    focus of 0.2 cm3 is no longer told from noise without smoothing."""
    border_contact_mm: float = 40.0
    """Chosen: length of skin line cut by the field's edge in one slice; a grazed elbow or
    a belly touching the circle is shorter."""
    tissue_hu: float = -300.0
    """Usual body threshold: between fat (-100) and air (-1000)."""

    # --- metal, cement, foci ------------------------------------------------------------
    metal_hu: float = 2500.0
    """Chosen: cortical bone and calcification stay below 2000, enamel reaches 2500-3000."""
    metal_near_spine_hu: float = 2000.0
    """Chosen: no vertebra reaches 2000, and a thin screw at 3 mm voxels hardly exceeds it."""
    metal_volume_cm3: float = 0.1
    """Chosen: four voxels at 3 mm; smaller clusters are clips or calcified specks."""
    metal_distance_mm: float = 10.0
    """Chosen: blooming and the nearest streaks reach about a centimetre."""
    cement_hu: float = 700.0
    """Chosen: above a dense endplate after partial volume, below PMMA with barium or zirconium
    (1000-2500 HU)."""
    cement_volume_cm3: float = 1.0
    """Chosen: fillings are 2-8 cm3; enostoses, as dense, are mostly below 1 cm (0.5 cm3)."""
    focus_sds: float = 3.0
    """Chosen: robust SDs of the region after smoothing."""
    dense_focus_hu: float = 120.0
    """Chosen: above trabecular texture; enostoses are at 1190 +- 239 HU, osteoblastic metastases
    at 654 +- 176 HU (doi 10.2214/AJR.15.15559)."""
    lytic_focus_hu: float = 50.0
    """Chosen: marrow replaced by soft tissue (40 HU) in a bone of 100 HU or more."""
    focus_volume_cm3: float = 0.15
    """Chosen: a sphere of 6.6 mm; moves the mean of a 5 cm3 region by 10 HU at +350 HU."""
    focus_smoothing_mm: float = 1.5
    """Chosen: FWHM; leaves a 6 mm focus, suppresses voxel noise of thin slices."""
    heterogeneous_sd_hu: float = 60.0
    """Chosen: noise-free SD of the eroded body is 20-45 HU in most adults."""

    # --- fracture ----------------------------------------------------------------------------
    height_loss: float = 0.20
    """Genant, J Bone Miner Res 1993, doi 10.1002/jbmr.5650080915: grade 1 from 20 %."""
    height_loss_sds: float = 2.0
    """Chosen: a loss within two standard errors above the limit (24 % at 1 mm, 30 % at 3 mm) is
    *possible* and warns. The Schmorl node in L1 of the shared 3 mm scan reads as 25 +- 5 %."""

    height_loss_error: float = 0.06
    """Chosen: where the loss is known less well than this (slices of 4 mm and more) grade 1 is
    not told from none: it must exceed the limit by its standard error to be raised at all."""

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            negative_is_right = entry.name == "tissue_hu"
            if not math.isfinite(value) or (value <= 0 and not negative_is_right):
                raise InputError(
                    f"Quality limit {entry.name} must be finite and positive, not {value}."
                )
        self._must_rise("volume_low_share", "volume_high_share")
        self._must_rise("spacing_low_mm", "spacing_high_mm")
        self._must_rise("volume_neighbours_low", "volume_neighbours_high")
        self._must_rise("spacing_neighbours_low", "spacing_neighbours_high")
        self._must_rise("aorta_unenhanced_hu", "aorta_enhanced_hu")
        self._must_rise("aorta_enhanced_hu", "aorta_arterial_hu")
        self._must_rise("cement_hu", "metal_near_spine_hu")

    def _must_rise(self, low: str, high: str) -> None:
        if not getattr(self, low) < getattr(self, high):
            raise InputError(
                f"Quality limit {low} ({getattr(self, low)}) must lie below {high} "
                f"({getattr(self, high)})."
            )


DEFAULT_LIMITS = QualityLimits()
"""The limits that a screen uses unless its configuration says otherwise."""
