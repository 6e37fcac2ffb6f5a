"""The overview of a cohort: failures first, honest counts, safe links."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from osteoscope.reporting.cohort_page import flag_counts, write_cohort_report
from tests.reporting.page_reader import assert_self_contained, read_page, section_order


def row(name: str, **more: Any) -> dict[str, Any]:
    """A scan that is done."""
    return {
        "subject_id": name,
        "status": "done",
        "error": None,
        "level": "L1",
        "trabecular_median_hu": 104.2,
        "median_low_hu": 95.0,
        "median_high_hu": 113.0,
        "criterion": "pickhardt-l1-hu",
        "category": "indeterminate",
        "probability": 0.7,
        "flags": "thick_slices dense_focus:L1 dense_focus:L2",
        "simulated": False,
    } | more


FAILED = {"subject_id": "c", "status": "failed", "error": "Two slices are missing."}
WITHHELD = row("b", status="withheld", withheld="L1 holds metal.", category=None)


def written(tmp_path: Path, rows: list[dict[str, Any]]) -> str:
    path = tmp_path / "cohort.html"
    write_cohort_report(path, rows)
    html = path.read_text(encoding="utf-8")
    assert_self_contained(html)
    return html


def test_failures_come_first_then_the_withheld(tmp_path: Path) -> None:
    html = written(tmp_path, [row("a"), WITHHELD, FAILED])
    assert section_order(html) == [
        "Failed: 1",
        "Withheld: 1",
        "Attenuation",
        "Quality findings",
        "Every scan",
    ]
    text = read_page(html).text
    assert "Done: 1 Withheld: 1 Failed: 1" in text
    assert "c Two slices are missing." in text
    assert "b L1 holds metal." in text
    assert "a done L1 104 95 to 113 indeterminate 70 %" in text


def test_distribution_counts_only_what_may_be_used(tmp_path: Path) -> None:
    html = written(tmp_path, [row("a"), row("d"), WITHHELD, FAILED])
    assert "2 done scans" in read_page(html).text


def test_flags_are_counted_once_a_scan() -> None:
    rows = [row("a"), row("d", flags="thick_slices"), FAILED, row("e", flags=None)]
    assert flag_counts(rows) == [("thick_slices", 2), ("dense_focus", 1)]


def test_report_is_linked_only_where_it_lies_in_the_results(tmp_path: Path) -> None:
    (tmp_path / "out" / "a b").mkdir(parents=True)
    (tmp_path / "out" / "a b" / "report.html").write_text("x", encoding="utf-8")
    (tmp_path / "report.html").write_text("x", encoding="utf-8")
    rows = [row("a b"), row("d"), row(".."), row("../out/a b"), row("javascript:alert(1)")]
    html = written(tmp_path / "out", rows)
    assert read_page(html).values("a", "href") == ["./a%20b/report.html"]


def test_texts_are_escaped(tmp_path: Path) -> None:
    evil = "<script>x</script>\"'>$\\frac{1$\U0001f9b4"
    rows = [row(evil, category=evil, flags=f"thick_slices{evil}", level=evil)]
    rows.append({"subject_id": evil, "status": "failed", "error": evil})
    assert "script" not in read_page(written(tmp_path, rows)).tags


@pytest.mark.parametrize("value", [True, "True", "true"])
def test_simulated_scans_are_named(tmp_path: Path, value: object) -> None:
    html = written(tmp_path, [row("a", simulated=value), FAILED])
    assert "Simulated scans: no patients exist." in html
    html = written(tmp_path, [row("a", simulated=value), row("b", simulated="False")])
    assert "1 of 2 scans are simulated" in html


def test_real_scans_are_not_called_simulated(tmp_path: Path) -> None:
    assert "imulated" not in read_page(written(tmp_path, [row("a", simulated="False")])).text


def test_rows_read_from_a_table_file_are_texts(tmp_path: Path) -> None:
    texts = {key: "" if value is None else str(value) for key, value in row("a").items()}
    assert "104 95 to 113" in read_page(written(tmp_path, [texts])).text


def test_cohort_where_everything_failed(tmp_path: Path) -> None:
    text = read_page(written(tmp_path, [FAILED])).text
    assert "No scan has a value that may be used." in text
    assert "Nothing was found." in text


def test_empty_cohort_and_one_value(tmp_path: Path) -> None:
    assert "0 scans" in read_page(written(tmp_path, [])).text
    assert "1 scan " in read_page(written(tmp_path, [row("a", trabecular_median_hu=-40.0)])).text


def test_long_table_is_cut_and_says_so(tmp_path: Path) -> None:
    html = written(tmp_path, [row(f"s{n}", flags="") for n in range(2001)])
    assert "The first 2000 of 2001 scans" in read_page(html).text
    assert "s2000" not in html
