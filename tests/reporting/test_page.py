"""The report of a scan: complete, self-contained, safe against its input, written whole."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from osteoscope.core.errors import InputError
from osteoscope.reporting import page as page_module
from osteoscope.reporting.page import report_html, write_report
from osteoscope.reporting.page_content import assessed_levels, other_findings
from osteoscope.reporting.pictures import render_planes
from osteoscope.reporting.templating import write_whole
from tests.reporting.example_scan import (
    drawn_scan,
    example_result,
    failed_result,
    withheld_result,
)
from tests.reporting.page_reader import assert_self_contained, read_page, section_order

PAYLOAD = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7 * 7 }}&amp;"


@pytest.fixture(scope="module")
def pictures() -> dict[str, bytes]:
    return render_planes(*drawn_scan(simulated=True), "L1")


@pytest.mark.parametrize("make", [example_result, withheld_result, failed_result])
def test_every_status_gives_one_self_contained_page(
    make: Any, pictures: dict[str, bytes], tmp_path: Path
) -> None:
    path = tmp_path / "report.html"
    write_report(path, make(), pictures)
    html = path.read_text(encoding="utf-8")
    assert_self_contained(html)
    assert [f.name for f in tmp_path.iterdir()] == ["report.html"]
    assert len(html) < 2_000_000
    text = read_page(html).text
    assert "Not a medical device. For research" in text
    assert re.search(r"^osteoscope , bone health from CT|osteoscope", text)


def test_headline_says_category_value_interval_and_probability(
    pictures: dict[str, bytes],
) -> None:
    text = read_page(report_html(example_result(), pictures)).text
    start = text.index("L1, attenuation after Pickhardt")
    headline = text[start : text.index("Where it was measured")]
    assert "Osteoporosis likely (specific threshold)" in headline
    assert "Trabecular attenuation of L1: 104 HU , 95 % interval 88 to 119 HU" in headline
    assert "72 %" in headline
    assert "< 1 %" in headline
    assert "not a DXA diagnosis" in headline
    assert "A dense focus of 0.62 ml" in headline
    assert "Tube voltage: not stated in the file" in headline


def test_order_of_content(pictures: dict[str, bytes]) -> None:
    assert section_order(report_html(example_result(), pictures)) == [
        "Before you rely on it",
        "Where it was measured",
        "Every vertebra",
        "Other criteria",
        "Virtual DXA",
        "Quality findings",
        "How it was made",
        "Limits",
        "Versions and digests",
    ]


def test_withheld_result_shows_its_reason_and_no_category(pictures: dict[str, bytes]) -> None:
    html = report_html(withheld_result(), pictures)
    page = read_page(html)
    assert "Result withheld L1 holds metal." in page.text
    assert "neither normal nor abnormal" in page.text
    assert "osteoporosis likely" not in page.text.lower()


def test_failed_result_shows_its_error_and_no_measurement() -> None:
    text = read_page(report_html(failed_result(), {})).text
    assert "The scan could not be measured Two slices are missing." in text
    assert "HU" not in text


def test_every_flag_level_and_measurement_is_on_the_page(pictures: dict[str, bytes]) -> None:
    result = example_result()
    text = read_page(report_html(result, pictures)).text
    for flag in result["flags"]:
        assert flag["message"] in text
        assert flag["code"] in text
    for level, vertebra in result["vertebrae"].items():
        assert level in text
        for code, measurement in vertebra["measurements"].items():
            assert code in text
            assert measurement.get("method", measurement.get("missing")) in text
    for entry in result["assessment"]:
        assert entry["source"] in text
    for digest in (result["scan"]["digest"], result["segmentation"]["digest"]):
        assert digest in text


def test_findings_of_the_assessed_level_lead_and_the_gravest_first(
    pictures: dict[str, bytes],
) -> None:
    result = example_result()
    result["flags"].append(
        {
            "code": "metal_in_region",
            "level": "L1",
            "severity": "serious",
            "effect": "withhold",
            "message": "Metal lies in L1.",
            "evidence": {},
        }
    )
    text = read_page(report_html(result, pictures)).text
    headline = text[: text.index("Where it was measured")]
    assert headline.index("Metal lies in L1.") < headline.index("A dense focus")
    assert headline.index("A dense focus") < headline.index("Slices are 3.0 mm apart")
    # T12's fracture withholds only T12, so it does not push L1's findings out of the headline.
    assert "T12 has lost" not in headline
    assert "2 more below" in headline


@pytest.mark.parametrize("make", [example_result, withheld_result])
def test_fracture_stands_beside_the_headline_whatever_the_density(make: Any) -> None:
    result = make()
    text = read_page(report_html(result, {})).text
    headline = text[: text.index("Every vertebra")]
    assert "Height loss that may be a fracture: T12." in headline
    result["flags"] = [flag for flag in result["flags"] if flag["code"] != "fracture"]
    result["vertebrae"]["T12"]["flags"] = []
    assert "may be a fracture" not in read_page(report_html(result, {})).text


def test_simulated_is_said_first_and_a_real_scan_does_not_say_it() -> None:
    result = example_result()
    assert "Simulated scan: no patient exists." in report_html(result, {})
    result["simulated"] = result["scan"]["acquisition"]["simulated"] = False
    assert "imulated" not in read_page(report_html(result, {})).text


def test_virtual_dxa_is_shown_under_its_own_name() -> None:
    result = example_result()
    result["virtual_dxa"] = {
        "areal_bmd_g_cm2": 0.8123,
        "interval": {"low": 0.77, "high": 0.86, "level": 0.95, "covers": ["calibration"]},
        "t_score": -2.13,
        "reference": "a reference",
        "levels": {"L1": {"areal_bmd_g_cm2": 0.79}},
    }
    text = read_page(report_html(result, {})).text
    assert "0.812 g/cm² , 95 % interval 0.770 to 0.860 g/cm²" in text
    assert "virtual DXA T-score −2.1" in text
    assert "not a DXA T-score" in text


def test_identity_is_there_only_when_asked_for() -> None:
    result = example_result()
    assert "Patient name" not in report_html(result, {})
    result["identity"] = {"patient_name": "DOE^JANE", "patient_birth_date": None}
    text = read_page(report_html(result, {})).text
    assert "Patient name DOE^JANE" in text
    assert "Patient birth date not stated in the file" in text


def test_pictures_have_texts_and_sizes(pictures: dict[str, bytes]) -> None:
    page = read_page(report_html(example_result(), pictures))
    alts = page.values("img", "alt")
    assert len(alts) == 4  # three planes and the plot
    assert all(len(alt) > 20 for alt in alts)
    assert all(int(width) > 100 for width in page.values("img", "width"))
    assert page.values("html", "lang") == ["en"]
    assert page.tags.count("h1") == 1


def poisoned(value: Any, path: tuple[Any, ...] = ()) -> Any:
    """The value with a payload after every text that the schema leaves free."""
    fixed = {
        "schema_version", "status", "digest", "severity", "effect", "code", "unit", "criterion",
        "primary_assessment", "category", "quantity", "patient_sex", "level", "levels", "flags",
        "side", "applies_to",
    }  # fmt: skip
    if isinstance(value, dict):
        return {key: poisoned(inner, (*path, key)) for key, inner in value.items()}
    if isinstance(value, list):
        return [poisoned(inner, path) for inner in value]
    if isinstance(value, str) and path[-1] not in fixed:
        return value + PAYLOAD
    return value


def test_no_text_of_a_scan_becomes_part_of_the_page(pictures: dict[str, bytes]) -> None:
    """Whatever the header says, the elements are those of the harmless page."""
    result = example_result()
    result["scan"]["acquisition"]["contrast_agent"] = "APPLIED"
    result["identity"] = {"patient_name": "DOE"}
    evil = poisoned(result)
    assert evil["series"]["others"][0]["description"].endswith(PAYLOAD)
    expected = read_page(report_html(result, pictures))
    got = read_page(report_html(evil, pictures))
    assert got.tags == expected.tags
    assert [a[:2] for a in got.attributes] == [a[:2] for a in expected.attributes]
    assert "49" not in got.text.split("EXAMPLE scout")[1][: len(PAYLOAD) + 5]
    assert "<script>alert(1)</script>" in got.text  # shown as text, not lost


def test_category_and_flags_are_escaped_too() -> None:
    result = example_result()
    entry = result["assessment"][0]
    entry["category"] = "<b onclick=x>"
    entry["probabilities"] = {"<b onclick=x>": 1.0}
    result["flags"][0]["message"] = "</p></section><h1>Normal</h1>"
    page = read_page(report_html(result, {}))
    assert page.tags.count("h1") == 1
    assert "b" not in page.tags


def test_controls_and_direction_overrides_are_removed() -> None:
    result = example_result()
    result["scan"]["acquisition"]["kernel"] = "Br\u202e40\x00\x1b[2J\ud800\u2066"
    html = report_html(result, {})
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x08\x0b-\x1f]", html)
    assert "Br40[2J?" in html
    html.encode("utf-8")


def test_invalid_result_writes_nothing(tmp_path: Path) -> None:
    result = example_result()
    del result["flags"]
    with pytest.raises(InputError, match="flags must be there"):
        write_report(tmp_path / "report.html", result, {})
    assert list(tmp_path.iterdir()) == []


def test_page_that_cannot_be_made_leaves_the_old_one_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.html"
    path.write_text("old", encoding="utf-8")

    def broken(*_: object) -> str:
        raise RuntimeError("rendering stopped")

    monkeypatch.setattr(page_module, "report_html", broken)
    with pytest.raises(RuntimeError, match="rendering stopped"):
        write_report(path, example_result(), {})
    assert path.read_text(encoding="utf-8") == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_write_that_fails_leaves_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(InputError, match=r"report\.html cannot be written \(No space left"):
        write_whole(tmp_path / "report.html", "text")
    assert list(tmp_path.iterdir()) == []


def test_missing_folder_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="choose a folder that exists"):
        write_report(tmp_path / "no" / "report.html", example_result(), {})


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.1)."""
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_colour_has_enough_contrast(scheme: str) -> None:
    """WCAG 2.1 AA: 4.5 to 1 for text on each ground that it stands on."""
    style = report_html(failed_result(), {}).split("<style>")[1]
    light, dark = style.split("prefers-color-scheme: dark")[:2]
    block = light if scheme == "light" else dark.split("}")[0]
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", block))
    grounds = {
        "ink": ("paper", "calm", "amber-paper"),
        "soft": ("paper", "page", "calm"),
        "accent": ("paper",),
        "amber": ("paper", "amber-paper"),
        "stop": ("paper",),
    }
    for text, papers in grounds.items():
        for paper in papers:
            first, second = sorted((luminance(colours[text]), luminance(colours[paper])))
            assert (second + 0.05) / (first + 0.05) >= 4.5, (text, paper)


def test_a_reason_stands_once_in_the_table() -> None:
    result = example_result()
    flag = next(f for f in result["flags"] if f["level"] is not None)
    vertebra = result["vertebrae"][flag["level"]]
    assert other_findings(result, flag["level"]) == vertebra["flags"]
    vertebra["withheld"] = flag["message"]
    rest = [code for code in vertebra["flags"] if code != flag["code"]]
    assert other_findings(result, flag["level"]) == rest


def test_a_mean_of_two_vertebrae_marks_both(pictures: dict[str, bytes]) -> None:
    result = example_result()
    primary = next(
        e for e in result["assessment"] if e["criterion"] == result["primary_assessment"]
    )
    assert assessed_levels(primary) == ("L1",)
    one = report_html(result, pictures).count('<tr class="assessed">')
    primary["level"] = "L1-L2"
    assert assessed_levels(primary) == ("L1", "L2")
    html = report_html(result, pictures)
    assert html.count('<tr class="assessed">') == one + 1
    assert "L1-L2, attenuation after Pickhardt" in read_page(html).text
    assert assessed_levels({"level": None}) == ()
