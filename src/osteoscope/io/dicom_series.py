"""Which files form a series: by identifier, then by what cannot share one stack of slices."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from osteoscope.core.errors import GeometryError, InputError, OsteoscopeError
from osteoscope.io.dicom_frames import Frame, frames_of
from osteoscope.io.dicom_headers import FileHeader

FEW_SLICES = 10
"""Fewer slices than this are no scan of a spine."""

_SAME_DIRECTION = 1e-3
_SAME_SPACING = 1e-3

Role = str
"""``image``, or why a frame is none: ``localizer``, ``not CT (MR)``, ``projection``..."""


@dataclass(frozen=True, eq=False)
class Series:
    """Frames that may form one stack of slices.

    Args:
        key: What ``--series`` takes.
        uid: Series Instance UID; it may hold dates, so it is never shown.
        frames: In no particular order.
        role: ``image``, or why it is none.
        problem: Why it cannot be read although it is an image; or None.
    """

    key: str
    uid: str
    frames: tuple[Frame, ...]
    role: Role
    problem: OsteoscopeError | None = None

    @property
    def normal(self) -> np.ndarray[tuple[int], np.dtype[np.float64]] | None:
        """(3,) unit normal of the slices, LPS; None where unknown."""
        orientation = self.frames[0].orientation
        if orientation is None:
            return None
        normal = np.cross(orientation[:3], orientation[3:])
        length = float(np.linalg.norm(normal))
        return None if length == 0 else np.asarray(normal / length, dtype=np.float64)

    @property
    def slice_spacing_mm(self) -> float | None:
        """Median distance between neighbouring slices, before any check."""
        normal = self.normal
        positions = [f.position_mm for f in self.frames if f.position_mm is not None]
        if normal is None or len(positions) < 2:
            return None
        along = np.sort(np.array(positions) @ normal)
        return float(np.median(np.diff(along)))

    @property
    def plane(self) -> str:
        """``axial``, ``coronal``, ``sagittal``, ``oblique`` or ``unknown``."""
        normal = self.normal
        if normal is None:
            return "unknown"
        axis = int(np.argmax(np.abs(normal)))
        if abs(normal[axis]) < 0.8:
            return "oblique"
        return ("sagittal", "coronal", "axial")[axis]


def check_one_patient(headers: Iterable[FileHeader]) -> None:
    """Refuse files of two patients; what is empty is unknown and differs from nothing.

    Raises:
        InputError: Two numbers, names or birth dates occur. None of them is shown.
    """
    seen: list[set[str]] = [set(), set(), set()]
    for header in headers:
        for values, value in zip(seen, header.patient, strict=True):
            if value is not None:
                values.add(value)
    names = ("patient numbers", "patient names", "birth dates")
    for values, name in zip(seen, names, strict=True):
        if len(values) > 1:
            raise InputError(
                f"Two patients in one folder: {len(values)} different {name} occur; read one "
                "patient's folder at a time."
            )


def group_series(headers: Sequence[FileHeader]) -> list[Series]:
    """Every series of a study, in a stable order, with its key.

    Args:
        headers: Files in the order of their names.

    Raises:
        InputError: A file was cut before it says which series it belongs to.
    """
    by_uid: dict[str, list[FileHeader]] = {}
    for header in headers:
        if not header.complete and "SeriesInstanceUID" not in header.dataset:
            raise InputError(_truncated(header))
        by_uid.setdefault(header.tags.text("SeriesInstanceUID") or "", []).append(header)
    groups: list[tuple[float, str, str, Role, list[Frame], OsteoscopeError | None]] = []
    for uid, files in by_uid.items():
        number = files[0].tags.number("SeriesNumber")
        order = float("inf") if number is None else number
        cut = next((f for f in files if not f.complete), None)
        problem = None if cut is None else InputError(_truncated(cut))
        frames = [frame for file in files for frame in frames_of(file)]
        if problem is not None and not frames:
            raise problem
        for label, role, part, why in _parts(frames):
            digest = hashlib.sha256(f"{uid}|{label}".encode()).hexdigest()[:6]
            groups.append((order, digest, uid, role, part, problem or why))
    groups.sort(key=lambda group: group[:2])
    return [
        Series(f"{n}-{digest}", uid, tuple(frames), role, problem)
        for n, (_, digest, uid, role, frames, problem) in enumerate(groups, start=1)
    ]


def _truncated(header: FileHeader) -> str:
    return (
        f"Truncated or damaged file: number {header.number + 1} in the order of names does not "
        "hold the header and the pixels that it should; copy or export the series again."
    )


def _parts(
    frames: Sequence[Frame],
) -> list[tuple[str, Role, list[Frame], OsteoscopeError | None]]:
    """(label, role, frames, problem) of what one series identifier holds."""
    parts: list[tuple[str, Role, list[Frame], OsteoscopeError | None]] = []
    for role, members in _split(frames, _role).items():
        if role != "image":
            parts.append((str(role), str(role), members, None))
            continue
        stacks = _same_stack(members)
        if len(stacks) > 1 and min(len(stack) for stack in stacks) < FEW_SLICES:
            parts.append(("image", "image", members, _mixed(stacks)))
            continue
        for n, stack in enumerate(stacks):
            for m, phase in enumerate(_phases(stack)):
                parts.append((f"image {n}.{m}", "image", phase, None))
    return parts


def _split(
    frames: Iterable[Frame], key: Callable[[Frame], Hashable]
) -> dict[Hashable, list[Frame]]:
    groups: dict[Hashable, list[Frame]] = {}
    for frame in frames:
        groups.setdefault(key(frame), []).append(frame)
    return groups


def _role(frame: Frame) -> Role:
    kinds = set(frame.image_type)
    if frame.modality != "CT":
        return f"not CT ({frame.modality or 'modality unknown'})"
    if kinds & {"LOCALIZER", "SCOUT", "TOPOGRAM"}:
        return "localizer"
    if kinds & {"MIP", "MINIP", "MAX_IP", "MIN_IP", "VOLUME_RENDERING", "3D"}:
        return "projection or rendering"
    if frame.position_mm is None and frame.orientation is None:
        return "no position in space (a dose sheet or screen capture)"
    if "SCREEN SAVE" in kinds or "DOSE_INFO" in kinds:
        return "screen capture"
    return "image"


def _same_stack(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Frames by size, orientation and pixel spacing, within tolerances."""
    stacks: list[list[Frame]] = []
    # By place, not by file name, so that the parts' order and so their keys are stable.
    for frame in sorted(frames, key=lambda f: (f.orientation or (), f.position_mm or ())):
        home = next((stack for stack in stacks if _alike(stack[0], frame)), None)
        if home is None:
            stacks.append([frame])
        else:
            home.append(frame)
    return stacks


def _alike(one: Frame, other: Frame) -> bool:
    return _same_size(one, other) and _same_orientation(one, other) and _same_pitch(one, other)


def _same_size(one: Frame, other: Frame) -> bool:
    a, b = one.file.pixels, other.file.pixels
    return a is not None and b is not None and (a.rows, a.columns) == (b.rows, b.columns)


def _same_orientation(one: Frame, other: Frame) -> bool:
    if one.orientation is None or other.orientation is None:
        return one.orientation is other.orientation
    if one.orientation == other.orientation:
        return True
    return float(np.max(np.abs(np.subtract(one.orientation, other.orientation)))) < _SAME_DIRECTION


def _same_pitch(one: Frame, other: Frame) -> bool:
    if one.spacing_mm is None or other.spacing_mm is None:
        return one.spacing_mm is other.spacing_mm
    if one.spacing_mm == other.spacing_mm:
        return True
    return bool(np.allclose(one.spacing_mm, other.spacing_mm, rtol=_SAME_SPACING, atol=0))


def _mixed(stacks: Sequence[Sequence[Frame]]) -> OsteoscopeError:
    one, other = stacks[0][0], stacks[1][0]
    if not _same_size(one, other):
        what = "matrix sizes"
    elif not _same_orientation(one, other):
        what = "orientations"
    else:
        what = "pixel spacings"
    sizes = " + ".join(str(len(stack)) for stack in stacks[:4])
    return GeometryError(
        f"Mixed slices: one series holds slices of different {what} ({sizes} slices); export "
        "one reconstruction."
    )


def _phases(frames: list[Frame]) -> list[list[Frame]]:
    """One stack an acquisition where several lie at the same places; else all together."""
    if not _doubled(frames):
        return [frames]
    for n in range(max(len(f.acquisition) for f in frames)):
        by_value = _split(frames, lambda f, n=n: f.acquisition[n : n + 1])  # type: ignore[misc]
        groups = [by_value[value] for value in sorted(by_value, key=str)]
        if (
            len(groups) > 1
            and min(map(len, groups)) >= FEW_SLICES
            and not any(_doubled(group) for group in groups)
        ):
            return groups
    return [frames]


def _doubled(frames: Sequence[Frame]) -> bool:
    places = {None if f.position_mm is None else tuple(np.round(f.position_mm, 2)) for f in frames}
    return len(places) < len(frames)
