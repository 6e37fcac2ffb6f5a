"""What is installed, what is missing, and how to get it."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import osteoscope
from osteoscope.anatomy.segmenters.program import find_program
from osteoscope.anatomy.segmenters.totalsegmentator_weights import find_weights, weights_places
from osteoscope.core.errors import ModelError

Status = Literal["ok", "missing", "warning"]

DISTRIBUTION = "osteoscope"
_GIB = 1024**3
_ENOUGH_MEMORY_GIB = 4.0
_ENOUGH_DISK_GIB = 5.0


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Args:
        name: What, for example ``extra cluster``.
        status: ``ok``; ``missing``: not there, and needed only for what the name says;
            ``warning``: there, but it will get in the way.
        detail: What was found.
        remedy: What to do; empty where nothing is to be done.
    """

    name: str
    status: Status
    detail: str
    remedy: str = ""


def diagnose(weights: Path | None = None) -> list[Check]:
    """Look at the installation; nothing is changed, imported, downloaded or printed.

    Args:
        weights: TotalSegmentator's folder of networks, where it is not in its usual place.

    Returns:
        The checks, from the foundation to the extras and the machine.
    """
    checks = _package()
    checks += [_totalsegmentator(), _weights(weights, fast=False), _weights(weights, fast=True)]
    checks += [_nnunet(), _dciodvfy(), _gpu(), _cores(), _memory(), *_disk()]
    return checks


def _package() -> list[Check]:
    """Python, osteoscope, its libraries and its extras."""
    version = osteoscope.__version__
    try:
        metadata.distribution(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        detail = f"{version}, run from its source folder: its libraries cannot be checked"
        return [Check("osteoscope", "warning", detail, "pip install -e .")]
    return [_python(), Check("osteoscope", "ok", version), _libraries(), *_extras()]


def _python() -> Check:
    version = platform.python_version()
    supported = metadata.metadata(DISTRIBUTION)["Requires-Python"] or ""
    if SpecifierSet(supported).contains(version, prereleases=True):
        return Check("Python", "ok", version)
    return Check(
        "Python",
        "warning",
        f"{version}, supported is {supported}",
        "make an environment with a supported Python, for example `uv venv --python 3.12`",
    )


def _libraries() -> Check:
    """The required libraries, as one line."""
    faults = [f for r in _requirements() if _needed(r, "") and (f := _fault(r))]
    if faults:
        install = f"pip install --upgrade {DISTRIBUTION}"
        return Check("required libraries", "warning", "; ".join(faults), install)
    shown = ("numpy", "SimpleITK", "pydicom", "pandas", "matplotlib")
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in shown)
    return Check("required libraries", "ok", versions)


def _extras() -> list[Check]:
    """One check for each extra that this version offers."""
    checks = []
    for extra in metadata.metadata(DISTRIBUTION).get_all("Provides-Extra") or []:
        wanted = [r for r in _requirements() if _needed(r, extra) and not _needed(r, "")]
        faults = [fault for requirement in wanted if (fault := _fault(requirement))]
        if faults:
            install = _install(extra)
            checks.append(Check(f"extra {extra}", "missing", "; ".join(faults), install))
        else:
            versions = ", ".join(f"{r.name} {metadata.version(r.name)}" for r in wanted)
            checks.append(Check(f"extra {extra}", "ok", versions))
    return checks


def _install(extra: str) -> str:
    """The command that adds an extra to this very environment."""
    if _from_source_folder():
        return f'{_installer()} -e ".[{extra}]" (in the source folder)'
    return f'{_installer()} "{DISTRIBUTION}[{extra}]"'


def _from_source_folder() -> bool:
    try:
        origin = metadata.distribution(DISTRIBUTION).read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        return True
    return "dir_info" in json.loads(origin or "{}")


def _installer() -> str:
    """``pip install``, or uv's where the environment holds no pip, as the one of ``make demo``."""
    if find_spec("pip") is not None:
        return "pip install"
    own = Path(sys.prefix) / "bootstrap" / "bin" / "uv"
    return f"{own if own.is_file() else 'uv'} pip install --python {sys.prefix}"


def _requirements() -> list[Requirement]:
    return [Requirement(text) for text in metadata.requires(DISTRIBUTION) or []]


def _needed(requirement: Requirement, extra: str) -> bool:
    """Whether this Python needs a library for an extra, or at all where ``extra`` is empty."""
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def _fault(requirement: Requirement) -> str:
    """What is wrong with an installed library; empty where nothing is."""
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return f"{requirement.name} is not installed"
    if requirement.specifier.contains(version, prereleases=True):
        return ""
    return f"{requirement.name} {version} is installed, needed is {requirement.specifier}"


def _totalsegmentator() -> Check:
    remedy = _install("totalsegmentator")
    return _program("TotalSegmentator", "TotalSegmentator program", remedy, "TotalSegmentator")


def _weights(weights: Path | None, *, fast: bool) -> Check:
    name = "TotalSegmentator weights" + (" (fast)" if fast else "")
    try:
        found = find_weights(weights, fast=fast)
    except ModelError:
        places = ", ".join(str(place) for place in weights_places(weights))
        task = "total_fast" if fast else "total"
        return Check(
            name,
            "missing",
            f"not in {places}",
            f"totalseg_download_weights -t {task} (then --weights DIR on a machine without a "
            "network)",
        )
    folder = next(iter(found.values())).parent
    return Check(name, "ok", f"{len(found)} networks in {folder}")


def _nnunet() -> Check:
    remedy = f"{_installer()} nnunetv2"
    return _program("nnUNetv2_predict_from_modelfolder", "nnU-Net v2 program", remedy, "nnunetv2")


def _dciodvfy() -> Check:
    return _program("dciodvfy", "dciodvfy (checks written DICOM)", "apt-get install dicom3tools")


def _program(program: str, name: str, remedy: str, distribution: str | None = None) -> Check:
    try:
        path = find_program(program, None, remedy)
    except ModelError:
        return Check(name, "missing", "not on PATH", remedy)
    version = ""
    # The version that importlib sees is the program's only where they share an environment.
    if distribution is not None and path.parent == Path(sys.executable).parent:
        version = f"{metadata.version(distribution)}, "
    return Check(name, "ok", f"{version}{path}")


def _gpu() -> Check:
    """NVIDIA GPUs as the driver lists them; torch is not asked, its import takes seconds."""
    names = []
    for path in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        lines = path.read_text(errors="replace").splitlines()
        names += [line.split(":", 1)[1].strip() for line in lines if line.startswith("Model:")]
    if not names and shutil.which("nvidia-smi"):
        names = _nvidia_smi()
    if names:
        return Check("GPU", "ok", ", ".join(names))
    return Check("GPU", "missing", "no NVIDIA GPU seen", "segmentation runs on the CPU, slower")


def _nvidia_smi() -> list[str]:
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in done.stdout.splitlines() if line.strip()]


def _cores() -> Check:
    # Fewer than the machine has where a container or a queue allots them.
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Check("processor cores", "ok", f"{count} usable")


def _memory() -> Check:
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _GIB
    except (ValueError, OSError):
        return Check("memory", "warning", "cannot be read on this system")
    limit = _container_limit_gib()
    detail = f"{total:.1f} GiB" if limit is None else f"{total:.1f} GiB, limited to {limit:.1f} GiB"
    if min(total, limit or total) < _ENOUGH_MEMORY_GIB:
        remedy = "screen with one worker; segment elsewhere"
        return Check("memory", "warning", detail, remedy)
    return Check("memory", "ok", detail)


def _container_limit_gib() -> float | None:
    """The memory limit of a Linux container, where one is set."""
    path = Path("/sys/fs/cgroup/memory.max")
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) / _GIB if text.isdigit() else None


def _disk() -> list[Check]:
    places: dict[str, Callable[[], Path]] = {
        "temporary folder": lambda: Path(tempfile.gettempdir()),
        "current folder": Path.cwd,
    }
    return [_folder(name, place) for name, place in places.items()]


def _folder(name: str, place: Callable[[], Path]) -> Check:
    remedy = "set TMPDIR to a folder with room" if name.startswith("temp") else "work elsewhere"
    try:
        folder = place()
        with tempfile.NamedTemporaryFile(dir=folder):
            free = shutil.disk_usage(folder).free / _GIB
    except OSError as error:
        return Check(name, "warning", f"cannot be written ({error.strerror})", remedy)
    status: Status = "ok" if free >= _ENOUGH_DISK_GIB else "warning"
    return Check(name, status, f"{free:.1f} GiB free in {folder}", "" if status == "ok" else remedy)
