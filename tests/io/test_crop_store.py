"""The store of crops: what goes in comes out, a stopped run goes on, damage is one sentence."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from osteoscope.core.crop_spec import CropSpec
from osteoscope.core.errors import InputError
from osteoscope.io.crop_store import CropStore, CropStoreWriter
from osteoscope.io.crop_table import column_kinds, parse_crop_table, write_crop_table

SPEC = CropSpec(levels=("L1", "L2"), shape=(4, 5, 6))


def crop(seed: int) -> NDArray[np.int16]:
    return np.random.default_rng(seed).integers(-1024, 3000, SPEC.shape).astype(np.int16)


def row(subject: str, level: str = "L1", **more: Any) -> dict[str, Any]:
    return {"subject_id": subject, "level": level, **more}


def made(folder: Path) -> CropStore:
    writer = CropStoreWriter(folder, SPEC, 4, sources={"cohort.csv": "sha256:00"})
    writer.add(crop(1), row("s1", t_score=-2.5, age_years=70, sex="F", site="north", l1_hu=101.25))
    writer.add(crop(2), row("s2", class_index=1, kvp=120, simulated=np.bool_(True)))
    writer.add(crop(3), row("s2", "L2", virtual_dxa_t=np.float64(-1.1), image_digest="ab"))
    return CropStore.open(writer.finish())


def test_what_goes_in_comes_out(tmp_path: Path) -> None:
    store = made(tmp_path / "store")
    assert len(store) == 3
    assert store.spec == SPEC
    assert store.simulated
    assert store.sources == {"cohort.csv": "sha256:00"}
    for number in range(3):
        assert np.array_equal(store.crops[number], crop(number + 1))
    assert store.column("row").tolist() == [0, 1, 2]
    assert store.column("subject_id").tolist() == ["s1", "s2", "s2"]
    assert store.column("level").tolist() == ["L1", "L1", "L2"]
    assert store.column("class_index").tolist() == [2, 1, -1]  # from the T-score; given; unknown
    assert store.column("t_score")[0] == -2.5
    assert np.isnan(store.column("t_score")[1:]).all()
    assert store.column("l1_hu")[0] == 101.25
    assert store.column("sex").tolist() == ["F", "", ""]
    assert store.column("kvp")[1] == 120
    assert np.isnan(store.column("kvp")[[0, 2]]).all()
    assert store.column("simulated").tolist() == [False, True, False]
    with pytest.raises(InputError, match="no column 'hu'; known: row, subject_id"):
        store.column("hu")


def test_a_store_is_read_only_and_other_programs_read_its_table(tmp_path: Path) -> None:
    store = made(tmp_path / "store")
    with pytest.raises(ValueError, match="read-only"):
        store.crops[0, 0, 0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        store.column("t_score")[0] = 1
    frame = pd.read_csv(tmp_path / "store" / "table.csv")
    assert list(frame["subject_id"]) == ["s1", "s2", "s2"]
    assert frame["t_score"].isna().tolist() == [False, True, True]
    assert np.array_equal(np.load(tmp_path / "store" / "crops.npy"), store.crops)


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    one, other = made(tmp_path / "a"), made(tmp_path / "b")
    for name in ("store.json", "crops.npy", "table.csv"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert one.digest == other.digest


def test_the_digest_tells_contents_apart(tmp_path: Path) -> None:
    digests = {made(tmp_path / "a").digest}
    for number, (first, t_score) in enumerate([(crop(9), -1.0), (crop(1), -1.0), (crop(1), -2.0)]):
        writer = CropStoreWriter(tmp_path / str(number), SPEC, 1)
        writer.add(first, row("s1", t_score=t_score))
        digests.add(CropStore.open(writer.finish()).digest)
    assert len(digests) == 4


def test_rows_come_in_the_order_that_is_asked_for(tmp_path: Path) -> None:
    writer = CropStoreWriter(tmp_path / "store", SPEC, 4)
    for number, subject in enumerate(("s3", "s1", "s2")):
        writer.add(crop(number), row(subject))
    store = CropStore.open(writer.finish([("s1", "L1"), ("s3", "L1")]))
    assert store.column("subject_id").tolist() == ["s1", "s3"]
    assert np.array_equal(store.crops[0], crop(1))
    assert np.array_equal(store.crops[1], crop(0))


def test_labels_that_changed_are_restated_when_it_is_finished(tmp_path: Path) -> None:
    writer = CropStoreWriter(tmp_path / "store", SPEC, 1)
    writer.add(crop(1), row("s1", t_score=-1.5, l1_hu=100.0))
    folder = writer.finish(
        restate=lambda old: {**old, "t_score": -3.0, "class_index": -1, "site": "x"}
    )
    assert CropStore.open(folder).row(0) | {"age_years": 0, "virtual_dxa_t": 0} == {
        "row": 0, "subject_id": "s1", "level": "L1", "t_score": -3.0, "class_index": 2,
        "age_years": 0, "sex": "", "site": "x", "l1_hu": 100.0, "virtual_dxa_t": 0,
        "image_digest": "", "simulated": False,
    }  # fmt: skip


def test_what_is_discarded_is_gone(tmp_path: Path) -> None:
    made(tmp_path / "store")
    writer = CropStoreWriter(tmp_path / "store", SPEC, 1)
    writer.add(crop(5), row("s5"))
    writer.discard()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store"]
    assert len(CropStore.open(tmp_path / "store")) == 3


class TestStopped:
    """A writer that never finished."""

    def test_its_rows_are_found_again_and_the_store_is_the_same(self, tmp_path: Path) -> None:
        whole = made(tmp_path / "whole")
        first = CropStoreWriter(tmp_path / "store", SPEC, 4, sources={"cohort.csv": "sha256:00"})
        first.add(
            crop(1), row("s1", t_score=-2.5, age_years=70, sex="F", site="north", l1_hu=101.25)
        )
        del first
        again = CropStoreWriter(tmp_path / "store", SPEC, 4, sources={"cohort.csv": "sha256:00"})
        assert list(again.written) == [("s1", "L1")]
        assert again.written["s1", "L1"]["l1_hu"] == 101.25
        again.add(crop(2), row("s2", class_index=1, kvp=120, simulated=True))
        again.add(crop(3), row("s2", "L2", virtual_dxa_t=-1.1, image_digest="ab"))
        assert CropStore.open(again.finish()).digest == whole.digest
        assert not (tmp_path / ".store.partial").exists()

    def test_it_is_no_store(self, tmp_path: Path) -> None:
        writer = CropStoreWriter(tmp_path / "store", SPEC, 2)
        writer.add(crop(1), row("s1"))
        with pytest.raises(InputError, match="not finished"):
            CropStore.open(tmp_path / "store")
        with pytest.raises(InputError, match="not finished"):
            CropStore.open(tmp_path / ".store.partial")

    @pytest.mark.parametrize("damage", ["cut line", "cut crop", "changed crop", "changed line"])
    def test_what_was_cut_is_done_again(self, tmp_path: Path, damage: str) -> None:
        writer = CropStoreWriter(tmp_path / "store", SPEC, 3)
        writer.add(crop(1), row("s1"))
        writer.add(crop(2), row("s2"))
        partial = tmp_path / ".store.partial"
        lines, raw = partial / "rows.jsonl", partial / "crops.raw"
        if damage == "cut line":
            lines.write_bytes(lines.read_bytes()[:-5])
        elif damage == "cut crop":
            raw.write_bytes(raw.read_bytes()[:-5])
        elif damage == "changed crop":
            content = bytearray(raw.read_bytes())
            content[-1] ^= 1
            raw.write_bytes(bytes(content))
        else:
            lines.write_bytes(lines.read_bytes().replace(b'"s2"', b'"s2\0'))
        again = CropStoreWriter(tmp_path / "store", SPEC, 3)
        assert list(again.written) == [("s1", "L1")]
        again.add(crop(2), row("s2"))
        again.add(crop(3), row("s3"))
        store = CropStore.open(again.finish())
        assert store.column("subject_id").tolist() == ["s1", "s2", "s3"]
        for number in range(3):
            assert np.array_equal(store.crops[number], crop(number + 1))

    def test_one_of_other_crops_is_left_alone(self, tmp_path: Path) -> None:
        CropStoreWriter(tmp_path / "store", SPEC, 2).add(crop(1), row("s1"))
        with pytest.raises(InputError, match="other crops"):
            CropStoreWriter(tmp_path / "store", CropSpec(), 2)
        assert list(CropStoreWriter(tmp_path / "store", SPEC, 2).written) == [("s1", "L1")]

    def test_two_writers_at_once_are_noticed(self, tmp_path: Path) -> None:
        one = CropStoreWriter(tmp_path / "store", SPEC, 3)
        other = CropStoreWriter(tmp_path / "store", SPEC, 3)
        one.add(crop(1), row("s1"))
        other.add(crop(2), row("s2"))
        with pytest.raises(InputError, match="another run"):
            one.finish()


def test_a_row_that_is_added_again_is_replaced(tmp_path: Path) -> None:
    writer = CropStoreWriter(tmp_path / "store", SPEC, 1)
    writer.add(crop(1), row("s1", l1_hu=1.0))
    writer.add(crop(2), row("s1", l1_hu=2.0))
    store = CropStore.open(writer.finish())
    assert store.column("l1_hu").tolist() == [2.0]
    assert np.array_equal(store.crops[0], crop(2))


def test_an_older_store_stays_whole_until_the_new_one_is(tmp_path: Path) -> None:
    old = made(tmp_path / "store")
    writer = CropStoreWriter(tmp_path / "store", SPEC, 1)
    writer.add(crop(7), row("s9"))
    assert CropStore.open(tmp_path / "store").digest == old.digest
    assert len(CropStore.open(writer.finish())) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store"]


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(InputError, match="holds files but no store"):
        CropStoreWriter(tmp_path, SPEC, 1)
    with pytest.raises(InputError, match="is a file"):
        CropStoreWriter(tmp_path / "note.txt", SPEC, 1)
    assert (tmp_path / "note.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"subject_id": "../s1"}, "subject_id of 1 to 64"),
        ({"subject_id": ""}, "subject_id of 1 to 64"),
        ({"level": "L3"}, "holds L1, L2"),
        ({"class_index": 3}, "-1 to 2"),
        (
            {"t_score": -1.0, "class_index": 1},
            "is normal by WHO, but the row's class is osteopenia",
        ),
        ({"t_score": math.inf}, "finite"),
        ({"t_score": "-1"}, "holds float, not str"),
        ({"class_index": 1.0}, "holds int, not float"),
        ({"simulated": 1}, "holds bool, not int"),
        ({"sex": "x"}, "F, M or empty"),
        ({"age_years": 150}, "0 to 130 years"),
        ({"site": "a\nb"}, "control characters"),
        ({"Other Name": 1}, "lower-case"),
        ({"more": [1]}, "numbers or texts, not list"),
    ],
)
def test_a_row_that_does_not_fit_is_refused(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    writer = CropStoreWriter(tmp_path / "store", SPEC, 1)
    with pytest.raises(InputError, match=words):
        writer.add(crop(1), row("s1") | change)
    assert not writer.written


def test_crops_must_fit_and_the_store_has_an_end(tmp_path: Path) -> None:
    writer = CropStoreWriter(tmp_path / "store", SPEC, 1)
    with pytest.raises(InputError, match="int16 of shape"):
        writer.add(crop(1)[:3], row("s1"))
    with pytest.raises(InputError, match="not float64"):
        writer.add(crop(1).astype(np.float64), row("s1"))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="at least one row"):
        writer.finish()
    writer.add(crop(1), row("s1"))
    with pytest.raises(InputError, match="made for 1 rows"):
        writer.add(crop(2), row("s2"))
    with pytest.raises(InputError, match="1 of 2 rows were never added"):
        writer.finish([("s1", "L1"), ("s2", "L1")])
    for capacity in (0, 1_000_001):
        with pytest.raises(InputError, match="1 to 1000000 rows"):
            CropStoreWriter(tmp_path / "other", SPEC, capacity)


def cut(name: str, count: int) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[:count] if count >= 0 else content + b"x" * -count)

    return damage


def flip(name: str, place: int) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        content = bytearray((folder / name).read_bytes())
        content[place] ^= 1
        (folder / name).write_bytes(bytes(content))

    return damage


def described(**change: Any) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        stored = json.loads((folder / "store.json").read_text())
        (folder / "store.json").write_text(json.dumps(stored | change))

    return damage


def objects(folder: Path) -> None:
    np.save(folder / "crops.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (cut("crops.npy", 500), "cut short"),
        (cut("crops.npy", 0), "cut short"),
        (cut("crops.npy", -7), "does not hold the 3 crops"),
        (lambda folder: (folder / "crops.npy").unlink(), "missing"),
        (objects, "cut short"),
        (lambda folder: np.save(folder / "crops.npy", np.zeros((3, 4, 5, 6))), "does not hold"),
        (lambda folder: np.save(folder / "crops.npy", crop(1)), "does not hold"),
        (flip("crops.npy", -1), "differs from its digest"),
        (flip("table.csv", -3), "changed by hand"),
        (cut("table.csv", 100), "changed by hand"),
        (lambda folder: (folder / "table.csv").unlink(), "missing or unreadable"),
        (cut("store.json", 100), "cannot be read"),
        (cut("store.json", 0), "cannot be read"),
        (lambda folder: (folder / "store.json").write_text("[" * 100_000), "cannot be read"),
        (lambda folder: (folder / "store.json").write_bytes(b"\xff" * 9), "cannot be read"),
        (lambda folder: (folder / "store.json").write_text("{}"), "describes no store"),
        (lambda folder: (folder / "store.json").write_text("[]"), "describes no store"),
        (lambda folder: (folder / "store.json").write_bytes(b" " * (2 << 20)), "too large"),
        (lambda folder: (folder / "store.json").unlink(), "is no store"),
        (described(version=2), "is of version 2"),
        (described(rows=4), "does not hold the 4 crops"),
        (described(rows=True), "wrong one"),
        (described(rows=10**9), "wrong one"),
        (described(columns={"row": []}), "wrong one"),
        (described(columns=[]), "wrong one"),
        (described(sources={"a": 1}), "wrong one"),
        (described(simulated="no"), "wrong one"),
        (described(more=1), "wrong one"),
        (described(crop={}), "exactly the keys"),
        (described(crop=CropSpec().to_dict()), "does not hold"),
    ],
)
def test_damage_is_one_sentence(tmp_path: Path, damage: Callable[[Path], None], words: str) -> None:
    made(tmp_path / "store")
    damage(tmp_path / "store")
    with pytest.raises(InputError, match=words) as caught:
        CropStore.open(tmp_path / "store")
    assert "\n" not in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


def test_only_a_changed_voxel_needs_verification(tmp_path: Path) -> None:
    made(tmp_path / "store")
    flip("crops.npy", -1)(tmp_path / "store")
    assert len(CropStore.open(tmp_path / "store", verify=False)) == 3
    cut("crops.npy", 500)(tmp_path / "store")
    with pytest.raises(InputError, match="cut short"):
        CropStore.open(tmp_path / "store", verify=False)


TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF), max_size=8).filter(
    str.isprintable
)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "subject_id": TEXTS,
                "t_score": st.none() | st.floats(-10, 10),
                "real": st.none() | st.floats(allow_nan=False, allow_infinity=False),
                "whole": st.integers(-(2**63), 2**63 - 1),
                "text": st.none() | TEXTS,
                "yes": st.booleans(),
            }
        ),
        min_size=1,
        max_size=5,
    )
)
def test_every_value_survives_the_csv(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]
) -> None:
    path = tmp_path_factory.mktemp("table") / "table.csv"
    unknown = dict.fromkeys(("age_years", "l1_hu", "virtual_dxa_t", "t_score"), math.nan)
    unknown |= {"level": "L1", "class_index": -1, "sex": "", "site": "", "image_digest": ""}
    known = [{k: v for k, v in row.items() if k != "t_score" or v is not None} for row in rows]
    whole = [{"simulated": False} | unknown | row for row in known]
    kinds = write_crop_table(path, whole)
    table = parse_crop_table(path.read_bytes(), kinds)
    for name in ("whole", "yes", "subject_id"):
        assert table[name].tolist() == [row[name] for row in rows]
    for name in ("t_score", "real"):
        kept = [None if math.isnan(value) else value for value in table[name].tolist()]
        assert kept == [row[name] for row in rows]
    if any(row["text"] is not None for row in rows):
        assert table["text"].tolist() == [row["text"] or "" for row in rows]
    else:
        assert np.isnan(table["text"]).all()


def test_a_column_has_one_kind() -> None:
    assert column_kinds([{"more": 1}, {"more": None}])["more"] == "float"
    assert column_kinds([{"more": None}])["more"] == "float"
    assert column_kinds([{"more": ""}, {"more": None}])["more"] == "str"
    assert column_kinds([{"more": True}, {"more": False}])["more"] == "bool"
    with pytest.raises(InputError, match="mixes kinds"):
        column_kinds([{"more": 1}, {"more": "a"}])


def test_ten_thousand_rows(tmp_path: Path) -> None:
    spec = CropSpec(shape=(4, 4, 4))
    writer = CropStoreWriter(tmp_path / "store", spec, 10_000)
    empty = np.zeros(spec.shape, dtype=np.int16)
    for number in range(10_000):
        writer.add(empty, row(f"s{number}", t_score=-1.5, l1_hu=float(number)))
    store = CropStore.open(writer.finish(), verify=False)
    assert store.column("l1_hu").tolist() == [float(number) for number in range(10_000)]
