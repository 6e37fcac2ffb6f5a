"""Bad options, configurations, calibrations and outputs, beside a good scan with good labels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.apps.bad_input.case import Case, good_labels, good_scan, with_options

Build = Callable[[Path], list[str]]
_COLUMNS = "scanner_model,kvp,mineral,slope_mg_cm3_per_hu,slope_se,intercept_mg_cm3,intercept_se\n"


def _with(*words: str) -> Build:
    """Options; ``{folder}`` stands for the input's folder."""
    return lambda folder: with_options(folder, *(w.format(folder=folder) for w in words))


def _config(text: str | bytes) -> Build:
    def build(folder: Path) -> list[str]:
        path = folder / "screen.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return with_options(folder, "--config", str(path))

    return build


def _calibration(name: str, text: str | bytes) -> Build:
    """A calibration file."""

    def build(folder: Path) -> list[str]:
        path = folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return with_options(folder, "--calibration", str(path))

    return build


def _phantom(rods: str) -> Build:
    text = f'[phantom]\nname = "QRM"\nmineral = "HA"\nrods = [{rods}]\n'
    return _calibration("phantom.toml", text)


def _rod(density: float, hu: float) -> str:
    return f"{{density_mg_cm3 = {density}, hu = {hu}}}"


def _output(make: Callable[[Path], Path]) -> Build:
    return lambda folder: with_options(folder, "--out", str(make(folder)))


def _a_file(folder: Path) -> Path:
    (folder / "out").write_text("not a folder")
    return folder / "out"


def _a_foreign_folder(folder: Path) -> Path:
    (folder / "out").mkdir()
    (folder / "out" / "thesis.txt").write_text("years of work")
    return folder / "out"


def _below_a_file(folder: Path) -> Path:
    return _a_file(folder) / "deep" / "er"


def _program(*words: str) -> Build:
    """A segmenter that is a program, so without labels."""
    return lambda folder: [str(good_scan(folder)), *(w.format(folder=folder) for w in words)]


def _empty_model(folder: Path) -> list[str]:
    (folder / "model").mkdir()
    return _program("--segmenter", "nnunet", "--nnunet-model", "{folder}/model")(folder)


def _no_weights(folder: Path) -> list[str]:
    (folder / "weights").mkdir()
    return _program("--segmenter", "totalsegmentator", "--weights", "{folder}/weights")(folder)


def _two_scans(folder: Path) -> list[str]:
    scan = str(good_scan(folder))
    return [scan, scan, "--segmentation", str(good_labels(folder))]


CASES: dict[str, Case] = {
    "unknown-level": Case("an unknown level", "Unknown vertebra 'L9'", _with("--level", "L9")),
    "level-not-measured": Case(
        "a level that is not measured", "must be among the measured", _with("--level", "C2")
    ),
    "erosion-too-deep": Case("an erosion beyond 10 mm", "not 50.0", _with("--erosion-mm", "50")),
    "erosion-nan": Case("an erosion that is no number", "not nan", _with("--erosion-mm", "nan")),
    "erosion-text": Case(
        "text for a number", "Invalid value for '--erosion-mm'", _with("--erosion-mm", "five")
    ),
    "unknown-method": Case(
        "an unknown region method", "Unknown region method 'round'", _with("--method", "round")
    ),
    "unknown-criterion": Case(
        "an unknown criterion", "The criterion 'mine'", _with("--criterion", "mine")
    ),
    "unknown-criteria": Case(
        "an unknown criterion in the configuration",
        "Unknown criterion 'mine'",
        _config('criteria = ["mine"]\ncriterion = "mine"\n'),
    ),
    "unknown-contrast-rule": Case(
        "an unknown contrast rule",
        "Unknown correction 'mine'",
        _with("--contrast-rule", "mine"),
    ),
    "unknown-dxa-reference": Case(
        "an unknown DXA reference", "'mine'", _with("--dxa-reference", "mine")
    ),
    "unknown-segmenter": Case(
        "an unknown segmenter",
        "Unknown segmenter 'mine'",
        _program("--segmenter", "mine"),
    ),
    "labels-and-segmenter": Case(
        "labels and a segmenter", "choose one", _with("--segmenter", "totalsegmentator")
    ),
    "nnunet-without-model": Case(
        "nnU-Net without its model",
        "needs --nnunet-model FOLDER",
        _program("--segmenter", "nnunet"),
    ),
    "nnunet-no-folder": Case(
        "a model folder that does not exist",
        "does not exist",
        _program("--segmenter", "nnunet", "--nnunet-model", "{folder}/absent"),
    ),
    "nnunet-empty-model": Case("an empty model folder", "holds no dataset.json", _empty_model),
    "no-weights": Case(
        "TotalSegmentator without its weights", "TotalSegmentator's weights are not", _no_weights
    ),
    "labels-of-two-scans": Case(
        "one segmentation for two scans", "belong to one scan, and 2 are given", _two_scans
    ),
    "series-of-an-image": Case(
        "--series for an image", "chooses among DICOM series", _with("--series", "1")
    ),
    "unknown-option": Case("an unknown option", "No such option: --nonsense", _with("--nonsense")),
    "no-workers": Case("--workers 0", "Invalid value for '--workers'", _with("--workers", "0")),
    "nothing-to-screen": Case("no scan named", "Missing argument", lambda _: []),
    "config-missing": Case(
        "a configuration that does not exist", "cannot be read", _with("--config", "{folder}/no")
    ),
    "config-not-toml": Case("a configuration that is not TOML", "is not valid TOML", _config("=")),
    "config-not-text": Case(
        "a configuration that is not text", "is not valid TOML", _config(b"\xff\xfe\x00")
    ),
    "config-unknown-key": Case(
        "an unknown key", "Unknown configuration key 'erode'", _config("erode = 5\n")
    ),
    "config-wrong-type": Case(
        "text for a number in the configuration",
        "erosion_mm must be a number",
        _config('erosion_mm = "deep"\n'),
    ),
    "config-number-for-text": Case(
        "a number for a name", "series must be text", _config("series = 5\n")
    ),
    "config-text-for-flag": Case(
        "text for yes or no", "identify must be true or false", _config('identify = "no"\n')
    ),
    "config-table": Case(
        "a table for a name", "level must be text", _config("[level]\nname = 1\n")
    ),
    "calibration-missing": Case(
        "a calibration that does not exist", "does not exist", _with("--calibration", "absent.csv")
    ),
    "calibration-column": Case(
        "a calibration without a column", "is faulty", _calibration("c.csv", "kvp\n120\n")
    ),
    "calibration-values": Case(
        "a calibration with bad values",
        "row 1: kvp must lie within",
        _calibration("c.csv", _COLUMNS + "Force,12000,HA,0.8,0.01,2,1\n"),
    ),
    "calibration-binary": Case(
        "a calibration that is not text",
        "cannot be read (UnicodeDecodeError)",
        _calibration("c.csv", b"\xff\xfe\x00\x01"),
    ),
    "calibration-toml": Case(
        "a calibration that is not TOML", "cannot be read", _calibration("c.toml", "= 1")
    ),
    "calibration-toml-shape": Case(
        "a calibration of another shape",
        "must be [[calibration]] tables",
        _calibration("c.toml", 'calibration = ["Force", 120]\n'),
    ),
    "calibration-no-rows": Case(
        "a calibration without rows", "has no rows", _calibration("c.csv", _COLUMNS)
    ),
    "phantom-scattered": Case(
        "a phantom fit with R2 below 0.90",
        "must be at least 0.90",
        _phantom(", ".join((_rod(0, 0), _rod(100, 300), _rod(200, 20)))),
    ),
    "phantom-two-rods": Case(
        "a phantom of two rods",
        "at least 3 rods, not 2",
        _phantom(f"{_rod(0, 0)}, {_rod(100, 120)}"),
    ),
    "phantom-mineral": Case(
        "a phantom of an unknown mineral",
        "of an unknown mineral",
        _calibration("p.toml", '[phantom]\nname = "a"\nmineral = "Fe"\nrods = []\n'),
    ),
    "phantom-without-hu": Case(
        "a phantom rod without HU", "each rod with density_mg_cm3 and hu", _phantom('"rod"')
    ),
    "output-is-a-file": Case("an output that is a file", "is a file", _output(_a_file)),
    "output-is-foreign": Case(
        "an output folder with other files", "holds files but no result", _output(_a_foreign_folder)
    ),
    "output-name-too-long": Case(
        "an output name that is too long", "too long", _output(lambda folder: folder / ("x" * 300))
    ),
    "output-cannot-be-made": Case(
        "an output that cannot be made", "cannot be made", _output(_below_a_file)
    ),
}
