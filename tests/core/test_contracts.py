"""The small contracts: measurements, intervals, volumes, schemes, configuration files."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from osteoscope.core.config_file import config_as_dict, config_from_toml
from osteoscope.core.errors import GeometryError, InputError, OsteoscopeError
from osteoscope.core.grid import grid_from_spacing
from osteoscope.core.label_schemes import SCHEMES, label_scheme
from osteoscope.core.labelmap import LabelMap
from osteoscope.core.measurement import Interval, Measurement
from osteoscope.core.provenance import created_with, file_digest
from osteoscope.core.volume import Volume


def test_a_measurement_that_is_not_finite_is_refused() -> None:
    with pytest.raises(OsteoscopeError, match="not finite"):
        Measurement("trabecular_median_hu", float("nan"), "HU", "median", "L1")


def test_an_interval_must_rise() -> None:
    with pytest.raises(OsteoscopeError, match="must rise"):
        Interval(2.0, 1.0)


def test_volume_and_labels_must_fit_their_grid() -> None:
    grid = grid_from_spacing((2, 3, 4), (1.0, 1.0, 1.0))
    with pytest.raises(GeometryError, match="differs"):
        Volume(np.zeros((2, 3, 5), np.int16), grid)
    with pytest.raises(GeometryError, match="differs"):
        LabelMap(np.zeros((2, 3, 5), np.uint8), grid, label_scheme("verse"))
    with pytest.raises(GeometryError, match="integers"):
        LabelMap(np.zeros((2, 3, 4), np.float32), grid, label_scheme("verse"))


def test_label_numbers_are_the_published_ones() -> None:
    """TotalSegmentator v2 class table; VerSe and CTSpine1K; TPTBox subregions."""
    total = label_scheme("totalsegmentator")
    expected = {"T11": 33, "T12": 32, "L1": 31, "L5": 27, "S1": 26, "C1": 50, "T1": 43}
    assert {level: total.vertebrae[level] for level in expected} == expected
    others = {"sacrum": 25, "aorta": 52, "spinal_cord": 79, "rib_left_1": 92, "rib_right_12": 115}
    assert {name: total.structures[name] for name in others} == others
    verse = label_scheme("verse")
    expected = {"T12": 19, "L1": 20, "L5": 24, "L6": 25, "T13": 28, "C1": 1}
    assert {level: verse.vertebrae[level] for level in expected} == expected
    assert label_scheme("tptbox-subregions").body_labels == (49, 50)


def test_no_scheme_uses_a_number_twice() -> None:
    for scheme in SCHEMES.values():
        numbers = [*scheme.vertebrae.values(), *scheme.structures.values()]
        assert len(numbers) == len(set(numbers)), scheme.name


def test_an_unknown_scheme_lists_the_known() -> None:
    with pytest.raises(InputError, match=r"totalsegmentator.*verse"):
        label_scheme("spine9000")


@dataclass(frozen=True)
class Example:
    erosion_mm: float = 5.0
    levels: tuple[str, ...] = ("L1",)


def test_configuration_reads_back_and_names_an_unknown_key(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text('erosion_mm = 4.0\nlevels = ["L1", "L2"]\n')
    config = config_from_toml(Example, path)
    assert config == Example(4.0, ("L1", "L2"))
    assert config_as_dict(config) == {"erosion_mm": 4.0, "levels": ["L1", "L2"]}
    path.write_text("erosion = 4.0\n")
    with pytest.raises(InputError, match=r"Unknown configuration key 'erosion'.*erosion_mm"):
        config_from_toml(Example, path)
    path.write_text("erosion = = 4.0\n")
    with pytest.raises(InputError, match="not valid TOML"):
        config_from_toml(Example, path)
    with pytest.raises(InputError, match="cannot be read"):
        config_from_toml(Example, tmp_path / "absent.toml")


def test_digest_is_sha256(tmp_path: Path) -> None:
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    # FIPS 180-4's own example.
    assert file_digest(path) == (
        "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
    assert created_with()["name"] == "osteoscope"
