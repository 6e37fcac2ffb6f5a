"""The cost table: what it measures, and transformers of equal size."""

from __future__ import annotations

import math
import sys
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osteoscope.core.errors import InputError, ModelError
from osteoscope.evaluation.estimates import Estimate
from osteoscope.models import create_model
from osteoscope.models.cost import count_parameters
from osteoscope.studies.tscore import costs
from osteoscope.studies.tscore.cost_accuracy import Accuracy, at_equal_accuracy
from osteoscope.studies.tscore.costs import (
    CostCase,
    CostInput,
    NetworkCost,
    equal_vit_options,
    measure_costs,
    vit_parameters,
    with_equal_vits,
)
from osteoscope.studies.tscore.costs_table import backbones, cost_names, cost_table

SMALL = CostInput((16, 32, 32), repeats=1)


def test_the_table_holds_each_network_in_order() -> None:
    cases = [CostCase("small3d"), CostCase("vit3d-tiny", "a ViT", {"depth": 2})]
    heard: list[str] = []
    rows = measure_costs(cases, SMALL, memory=False, on_step=heard.append)
    assert [row.label for row in rows] == ["small3d", "a ViT"]
    assert heard[:2] == ["size of small3d", "size of a ViT"]
    assert [step.rpartition(", ")[2] for step in heard[2:]] == ["turn 1 of 2", "turn 2 of 2"]
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


def _cost(label: str, milliseconds: float, *, parameters: int = 1000) -> NetworkCost:
    return NetworkCost(
        label, (8, 8, 8), parameters, 4 * parameters, 2 * milliseconds, milliseconds, math.nan, 1
    )


def _reached(value: float, low: float, high: float, run: str = "a run") -> Accuracy:
    return Accuracy(run, Estimate("macro_auc", value, low, high, 39))


THREE = [
    _cost("slow", 200.0, parameters=4000),
    _cost("quick", 50.0, parameters=3000),
    _cost("quickest", 10.0, parameters=100),
]


def test_the_cheapest_that_overlaps_the_best_is_set_beside_it() -> None:
    reached = {
        "slow": _reached(0.80, 0.70, 0.90),
        "quick": _reached(0.72, 0.62, 0.82),
        "quickest": _reached(0.55, 0.45, 0.65),
    }
    sentence = at_equal_accuracy(THREE, reached)
    assert "highest AUC is that of slow (80.00 (70.0–90.0))" in sentence
    assert "of the 2 of 3 trained networks" in sentence
    assert (
        "is quick (72.00 (62.0–82.0)), which costs 25 % of its time, 75 % of its parameters "
        "and 75 % of its multiplications." in sentence
    )
    # One more overlaps, and it is quicker.
    reached["quickest"] = _reached(0.60, 0.50, 0.70)
    assert "is quickest (" in at_equal_accuracy(THREE, reached)


def test_the_best_may_be_the_cheapest() -> None:
    reached = {"slow": _reached(0.7, 0.6, 0.8), "quick": _reached(0.75, 0.65, 0.85)}
    assert "quick (75.00 (65.0–85.0)), is also the fastest of the 2 of 2" in at_equal_accuracy(
        THREE, reached
    )


def test_without_two_intervals_nothing_is_said_to_be_equal() -> None:
    reached = {"slow": _reached(0.7, 0.6, 0.8), "quick": _reached(0.9, math.nan, math.nan)}
    assert "At equal accuracy: 1 of these" in at_equal_accuracy(THREE, reached)
    assert "At equal accuracy: 0 of these" in at_equal_accuracy(THREE, {})


def test_the_table_says_which_run_an_accuracy_is_of() -> None:
    reached = {"quick": _reached(0.75, 0.65, 0.85, "quick-logit-adjusted-0123456789")}
    table = cost_table(THREE, reached, ["A note."])
    assert [row[-3:] for row in table.rows] == [
        ("–", "–", "–"),
        ("75.00 (65.0–85.0)", "39", "quick-logit-adjusted-0123456789"),
        ("–", "–", "–"),
    ]
    assert table.notes[-1] == "A note."
    assert "SIMULATED" not in table.title
    virtual = {"quick": replace(reached["quick"], simulated=True)}
    assert "SIMULATED" in cost_table(THREE, virtual).title


def test_all_cnns_of_table_2_are_measured() -> None:
    stated = {
        "resnet10t.c3_in1k",
        "resnet14t.c3_in1k",
        "resnet18.a1_in1k",
        "resnet34.a1_in1k",
        "resnet50.a1_in1k",
        "resnet101.a1_in1k",
        "resnet152.tv_in1k",
        "mobilenetv2_100.ra_in1k",
        "efficientnet_b0.ra_in1k",
        "resnext50_32x4d.a1h_in1k",
    }
    assert set(backbones()) == stated
    assert set(cost_names()) == stated | {"small3d", "vit3d-base", "jointvit-base"}
    assert cost_names(["resnet1?t*", "small*"]) == ["small3d", *backbones()[:2]]


def test_a_network_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match=r"alexnet\*; its networks are small3d, resnet10t"):
        cost_names(["alexnet*"])


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
