"""The cost table: what it measures, and transformers of equal size."""

from __future__ import annotations

import math
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osteoscope.core.errors import InputError, ModelError
from osteoscope.models import create_model
from osteoscope.models.cost import count_parameters
from osteoscope.studies.tscore import costs
from osteoscope.studies.tscore.costs import (
    CostCase,
    CostInput,
    equal_vit_options,
    measure_costs,
    vit_parameters,
    with_equal_vits,
)

SMALL = CostInput((16, 32, 32), repeats=1)


def test_the_table_holds_each_network_in_order() -> None:
    cases = [CostCase("small3d"), CostCase("vit3d-tiny", "a ViT", {"depth": 2})]
    heard: list[str] = []
    rows = measure_costs(cases, SMALL, memory=False, on_case=lambda case: heard.append(case.name))
    assert [row.label for row in rows] == ["small3d", "a ViT"]
    assert heard == ["small3d", "vit3d-tiny"]
    for row in rows:
        assert row.parameters > 0
        assert row.multiplications > 0
        assert row.best_latency_ms == min(row.latency_ms, row.latency_channels_last_ms) > 0
        assert math.isnan(row.peak_memory_mib)
        assert row.threads >= 1


@pytest.mark.parametrize(
    ("width", "depth", "shape"),
    [(192, 12, (32, 48, 48)), (64, 8, (16, 32, 16)), (384, 9, (64, 96, 96))],
)
def test_the_formula_counts_what_the_network_has(width: int, depth: int, shape) -> None:
    asked = CostInput(shape, in_channels=2, outputs=5)
    network = create_model(
        "vit3d-base",
        in_channels=2,
        outputs=5,
        image_shape=shape,
        embed_dim=width,
        depth=depth,
        num_heads=width // 64,
    )
    assert vit_parameters(width, depth, asked) == count_parameters(network)


@settings(max_examples=30, deadline=None)
@given(parameters=st.integers(2_000_000, 200_000_000))
def test_the_equal_transformer_is_near(parameters: int) -> None:
    asked = CostInput((64, 96, 96))
    options = equal_vit_options(parameters, asked)
    found = vit_parameters(options["embed_dim"], options["depth"], asked)
    assert found == pytest.approx(parameters, rel=0.12)
    assert options["num_heads"] * 64 == options["embed_dim"]


def test_each_network_is_followed_by_its_equal() -> None:
    cases = with_equal_vits(["resnet10t"], CostInput((32, 48, 48)))
    assert [case.name for case in cases] == ["resnet10t", "vit3d-base"]
    assert "equal size to resnet10t" in cases[1].shown
    network = create_model("vit3d-base", image_shape=(32, 48, 48), **cases[1].options)
    assert count_parameters(network) == pytest.approx(14_411_899, rel=0.1)


def test_a_joint_network_has_one_output_more() -> None:
    (row,) = measure_costs([CostCase("jointvit-tiny")], SMALL, memory=False)
    (plain,) = measure_costs([CostCase("vit3d-tiny")], SMALL, memory=False)
    assert row.parameters == plain.parameters + 192 + 1


@pytest.mark.parametrize("wrong", [{"image_shape": (0, 4, 4)}, {"repeats": 0}, {"outputs": 0}])
def test_an_impossible_input_is_refused(wrong: dict) -> None:
    with pytest.raises(InputError, match="at least 1"):
        CostInput(**wrong)


def test_no_parameters_are_refused() -> None:
    with pytest.raises(InputError, match="not 0"):
        equal_vit_options(0, SMALL)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells a process its peak")
def test_peak_memory_grows_with_the_image_and_holds_the_weights() -> None:
    peaks = {
        side: costs._peak_in_fresh_process(CostCase("resnet10t"), CostInput((side,) * 3))
        for side in (32, 96)
    }
    weights_mib = 14_411_899 * 4 / 2**20
    assert peaks[32] > weights_mib
    # The stem's maps alone: 96^3 / 2^3 voxels of 32 channels, in and out of a layer.
    assert peaks[96] > peaks[32] + 48**3 * 32 * 4 * 2 / 2**20


@pytest.mark.slow
def test_a_measuring_process_that_dies_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "_peak", _die)
    with pytest.raises(ModelError, match="memory of small3d died"):
        costs._peak_in_fresh_process(CostCase("small3d"), SMALL)


def _die(*_: object) -> float:
    import os

    os._exit(9)
