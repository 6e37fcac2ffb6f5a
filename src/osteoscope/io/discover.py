"""Find the scans in a folder tree, and the segmentation that lies beside each."""

from __future__ import annotations

import re
from pathlib import Path

from osteoscope.core.errors import InputError
from osteoscope.io.cohort_table import CohortScan
from osteoscope.io.image_names import image_stem, is_image_file

_LABEL_NAME = re.compile(
    r"(^|[_\-.])(labels?|segs?|segmentations?|masks?|vert|msk)([_\-.]|$)", re.I
)
_SUBREGION_NAME = re.compile(r"(^|[_\-.])(subregions?|subreg|spine)([_\-.]|$)", re.I)
_PREFERRED = ("totalsegmentator", "verse")
_DICOM_PREAMBLE = 128


def discover_scans(folder: Path) -> tuple[CohortScan, ...]:
    """The scans of a folder tree.

    Each entry of ``folder`` is one subject. An image file or a zip archive is a scan. A
    subfolder is read as DICOM, all its series together, unless it holds image files: then each
    of these is a scan. Its segmentation is the label file or the folder ``segmentations`` beside
    it, for a subfolder of DICOM files the one directly in it. The subject's name is the path
    below ``folder``, made safe for a file name.

    Raises:
        InputError: There is no scan in it.
    """
    found: list[CohortScan] = []
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            images = _image_files(entry)
            if images:
                found += [_labelled(path, path.parent, folder) for path in images]
            elif _holds_dicom(entry):
                found.append(_labelled(entry, entry, folder))
        elif entry.suffix.lower() == ".zip":
            found.append(CohortScan(_safe_name(entry, folder), entry))
        elif _is_image(entry):
            found.append(_labelled(entry, folder, folder))
    if not found:
        raise InputError(
            "The folder holds no scan; give a folder whose entries are image files, zip "
            "archives or folders of DICOM files, or a table of scans."
        )
    return _with_unique_names(found)


def stem_of(path: Path) -> str:
    """A scan file's name without its suffix, ``.nii.gz`` counted as one; a folder's whole name."""
    return path.name[:-4] if path.name.lower().endswith(".zip") else image_stem(path)


def _is_image(path: Path) -> bool:
    if not is_image_file(path) or not path.is_file():
        return False
    stem = stem_of(path)
    return not (_LABEL_NAME.search(stem) or _SUBREGION_NAME.search(stem))


def _image_files(folder: Path) -> list[Path]:
    paths = (path for path in sorted(folder.rglob("*")) if _is_image(path))
    return [path for path in paths if "segmentations" not in path.relative_to(folder).parts]


def _holds_dicom(folder: Path) -> bool:
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as stream:
                stream.seek(_DICOM_PREAMBLE)
                if stream.read(4) == b"DICM":
                    return True
    return False


def _labelled(scan: Path, folder: Path, root: Path) -> CohortScan:
    """The scan with the segmentation in ``folder`` that names point to without doubt."""
    files = [p for p in sorted(folder.iterdir()) if is_image_file(p) and p != scan]
    labels = [p for p in files if _LABEL_NAME.search(stem_of(p))]
    subregions = [p for p in files if _SUBREGION_NAME.search(stem_of(p))]
    own = [p for p in labels if stem_of(p).startswith(stem_of(scan))]
    segmentation = _only(own) or _only(labels) or _preferred(own or labels)
    masks = folder / "segmentations"
    if segmentation is None and not labels and masks.is_dir():
        segmentation = masks
    return CohortScan(_safe_name(scan, root), scan, segmentation, _only(subregions))


def _only(paths: list[Path]) -> Path | None:
    return paths[0] if len(paths) == 1 else None


def _preferred(paths: list[Path]) -> Path | None:
    for word in _PREFERRED:
        chosen = _only([p for p in paths if word in p.name.lower()])
        if chosen is not None:
            return chosen
    return None


def _safe_name(path: Path, root: Path) -> str:
    relative = path.relative_to(root)
    name = "_".join((*relative.parts[:-1], stem_of(path)))
    return re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip("._-")[:64] or "scan"


def _with_unique_names(scans: list[CohortScan]) -> tuple[CohortScan, ...]:
    seen: dict[str, int] = {}
    unique = []
    for scan in scans:
        count = seen.get(scan.subject_id, 0) + 1
        seen[scan.subject_id] = count
        name = scan.subject_id if count == 1 else f"{scan.subject_id[:58]}-{count}"
        unique.append(CohortScan(name, scan.image, scan.segmentation, scan.subregions))
    return tuple(unique)
