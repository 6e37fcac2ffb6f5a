"""Which series suits: axial, original, long enough, a kernel that keeps HU, the thinnest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from osteoscope.core.errors import InputError
from osteoscope.io.dicom_series import FEW_SLICES, Series
from osteoscope.io.kernels import kernel_kind
from osteoscope.io.series_summary import SeriesSummary

_ENOUGH_COVERAGE = 0.5
"""A series that covers less than this part of the longest one is a detail of it."""
_THICK_MM = 3.0
"""Above it partial volume costs more than a sharp kernel's noise."""


@dataclass(frozen=True, eq=False)
class Choice:
    """The series to read and what to say of each."""

    series: Series
    chosen: SeriesSummary
    others: tuple[SeriesSummary, ...]


@dataclass(frozen=True)
class _Rank:
    """What decides, the most important first; the smallest is the best."""

    few: bool
    not_axial: bool
    derived: bool
    short: bool
    kernel: int
    thickness_mm: float
    fewer: int
    key: str

    def as_tuple(self) -> tuple[bool, bool, bool, bool, int, float, int, str]:
        return (
            self.few, self.not_axial, self.derived, self.short, self.kernel,
            self.thickness_mm, self.fewer, self.key,
        )  # fmt: skip


def summarise(series: Series, reason: str) -> SeriesSummary:
    """The series in words."""
    first = series.frames[0]
    return SeriesSummary(
        key=series.key,
        description=first.file.tags.free_text("SeriesDescription"),
        n_slices=len(series.frames),
        slice_spacing_mm=series.slice_spacing_mm,
        in_plane_mm=first.spacing_mm,
        kernel=first.kernel,
        plane=series.plane,
        reason=reason,
    )


def choose_series(all_series: Sequence[Series], wanted: str | None = None) -> Choice:
    """The series that suits best, or the one that is wanted.

    Args:
        all_series: Every series of the study.
        wanted: A key or its number, a Series Instance UID, or a part of one description; None
            to choose.

    Raises:
        InputError: Nothing suits, or nothing (or more than one) is what was wanted.
    """
    if wanted is not None:
        series = _wanted(all_series, wanted)
        if series.role != "image":
            raise InputError(f"Series {series.key} cannot be read: {series.role}.")
        return _choice(all_series, series, "asked for", {})
    images = [s for s in all_series if s.role == "image"]
    if not images:
        raise InputError(_nothing_suits(all_series))
    longest = max(_coverage(s) for s in images)
    ranks = {s.key: _rank(s, longest) for s in images}
    best = min(images, key=lambda s: ranks[s.key].as_tuple())
    rank = ranks[best.key]
    if rank.few:
        raise InputError(
            f"Too few slices: the longest series has {max(len(s.frames) for s in images)} and at "
            f"least {FEW_SLICES} are needed; give the folder with the whole series."
        )
    kind = kernel_kind(best.frames[0].kernel)
    spacing = best.slice_spacing_mm or 0.0
    reason = (
        f"{best.plane}, {'derived' if rank.derived else 'original'}, {len(best.frames)} slices "
        f"every {spacing:.2f} mm, {kind} kernel; best of {len(images)} that could be read"
    )
    why = {key: _lost(other, rank) for key, other in ranks.items()}
    return _choice(all_series, best, reason, why)


def _choice(
    all_series: Sequence[Series], series: Series, reason: str, why: dict[str, str]
) -> Choice:
    others = tuple(
        summarise(s, why.get(s.key, s.role if s.role != "image" else "another was asked for"))
        for s in all_series
        if s is not series
    )
    return Choice(series, summarise(series, reason), others)


def _wanted(all_series: Sequence[Series], wanted: str) -> Series:
    for series in all_series:
        if wanted in (series.key, series.key.partition("-")[0]):
            return series
    by_uid = [s for s in all_series if s.uid and s.uid == wanted]
    images = [s for s in by_uid if s.role == "image"]
    found = images or by_uid
    if not found:
        found = [
            s
            for s in all_series
            if wanted.lower()
            in (s.frames[0].file.tags.free_text("SeriesDescription") or "").lower()
        ]
    if len(found) == 1:
        return found[0]
    known = ", ".join(_named(s) for s in all_series[:20])
    what = "No series is" if not found else f"{len(found)} series are"
    raise InputError(f"{what} meant by the given --series; known: {known}.")


def _named(series: Series) -> str:
    text = series.frames[0].file.tags.free_text("SeriesDescription")
    return f"{series.key} ({text})" if text else series.key


def _coverage(series: Series) -> float:
    return (series.slice_spacing_mm or 0.0) * len(series.frames)


def _rank(series: Series, longest_mm: float) -> _Rank:
    first = series.frames[0]
    thickness = max(series.slice_spacing_mm or 0.0, first.thickness_mm or 0.0)
    kind = kernel_kind(first.kernel)
    kernel = 4 if kind == "lung" else (1 if kind == "sharp" else 0) + 2 * (thickness > _THICK_MM)
    kinds = set(first.image_type)
    return _Rank(
        few=len(series.frames) < FEW_SLICES,
        not_axial=series.plane != "axial",
        derived=bool(kinds & {"DERIVED", "SECONDARY", "REFORMATTED", "MPR"}),
        short=_coverage(series) < _ENOUGH_COVERAGE * longest_mm,
        kernel=kernel,
        thickness_mm=round(thickness, 2),
        fewer=-len(series.frames),
        key=series.key,
    )


def _lost(other: _Rank, best: _Rank) -> str:
    """The first thing in which a series is behind the chosen one."""
    if other.few and not best.few:
        return f"too few slices ({-other.fewer})"
    if other.not_axial and not best.not_axial:
        return "not axial"
    if other.derived and not best.derived:
        return "derived from other images"
    if other.short and not best.short:
        return "covers less than half of the longest series"
    if other.kernel > best.kernel:
        if other.kernel == 4:
            return "lung kernel"
        return f"thick slices ({other.thickness_mm:g} mm)" if other.kernel >= 2 else "sharp kernel"
    if other.thickness_mm > best.thickness_mm:
        return f"thicker slices ({other.thickness_mm:g} mm)"
    if other.fewer > best.fewer:
        return f"fewer slices ({-other.fewer})"
    return "equal to the chosen one, which comes first"


def _nothing_suits(all_series: Sequence[Series]) -> str:
    counts: dict[str, int] = {}
    for series in all_series:
        counts[series.role] = counts.get(series.role, 0) + len(series.frames)
    found = ", ".join(f"{n} x {role}" for role, n in sorted(counts.items()))
    return (
        "No CT slices to measure in: the folder holds only "
        f"{found or 'DICOM files without images'}; give a CT series."
    )
