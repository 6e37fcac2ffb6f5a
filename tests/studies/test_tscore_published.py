"""The paper's tables as printed, and what they cannot be."""

from __future__ import annotations

import pytest

from osteoscope.core.errors import InputError
from osteoscope.studies.tscore.ingredients import settings_of
from osteoscope.studies.tscore.published import PublishedRow, contradictions, published_table


@pytest.mark.parametrize(("number", "rows"), [(2, 43), (3, 12), (4, 12), (5, 18), (6, 10)])
def test_every_row_of_the_paper_is_there(number: int, rows: int) -> None:
    table = published_table(number)
    assert len(table) == rows
    assert all(0 < value < 100 for row in table for value in row.values.values())


def test_the_headline_row() -> None:
    assert published_table(2)[-1] == PublishedRow(
        "MedConv",
        {
            "accuracy": 65.38,
            "macro_sensitivity": 65.38,
            "macro_specificity": 82.69,
            "weighted_f1": 66.37,
            "macro_auc": 79.34,
        },
    )


def test_a_table_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="2 to 6"):
        published_table(7)


def test_two_rows_cannot_be_on_an_even_set_of_78() -> None:
    """All others fit the score set that the official code makes, 26 of each class."""
    impossible = {
        row.label
        for number in (2, 3, 4, 5, 6)
        for row in published_table(number)
        if contradictions(row)
    }
    assert impossible == {"ViT+pretrain", "JointViT+pretrain"}


def test_table_4_contradicts_table_2_in_one_number() -> None:
    by_label = {row.label: row.values for row in published_table(2)}
    differing = [
        (row.label, metric)
        for row in published_table(4)
        for metric, value in row.values.items()
        if by_label[f"{row.label}+pretrain" + ("+balce" if row.bal_ce == "with" else "")][metric]
        != value
    ]
    assert differing == [("efficientnet_b0.ra_in1k", "macro_auc")]


def test_every_label_becomes_settings() -> None:
    for row in published_table(2):
        settings = settings_of(row.label)
        assert ("model.weights=hub" in settings) == (
            "pretrain" in row.label or "train" in row.label or row.label == "MedConv"
        )
    assert settings_of("MedConv")[-1] == "answer.tau=0.5"
    assert "optimiser.name=sam" in settings_of("resnet50.a1_in1k+pretrain+balce+sam")


def test_an_unknown_ingredient_is_named() -> None:
    with pytest.raises(InputError, match="'salt'"):
        settings_of("resnet18.a1_in1k+salt")
