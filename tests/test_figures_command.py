"""The command that measures the bundled weights: differences by hand, and the file's layout on a drawn scene."""

import json
from pathlib import Path

import numpy as np
import pytest

from attn.training import figures, grouping_auc
from tests.test_bundled_weights import drawn_scene


def test_paired_differences_by_hand() -> None:
    reference = np.array([0.9, 0.8, 0.7, np.nan])
    rows = figures.paired(reference, {"se": np.array([0.8, 0.7, 0.6, 0.5]), "people": np.array([np.nan, 0.9, 0.9, 1])})
    assert [row["mechanism"] for row in rows] == ["se", "people"]
    assert [row["photographs"] for row in rows] == [3, 2]
    # The same difference on every photograph: known exactly, however much the photographs differ.
    assert (rows[0]["difference"], rows[0]["low"], rows[0]["high"]) == pytest.approx((0.1, 0.1, 0.1))
    assert rows[1]["difference"] == pytest.approx(-0.15)
    assert rows[1]["low"] == pytest.approx(-0.2)
    assert rows[1]["high"] == pytest.approx(-0.1)


def test_layout_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "LONGEST_SIDE", 64)
    monkeypatch.setattr(figures, "has_tuned", lambda stem, stage: False)
    for seed in range(2):
        picture, owner = drawn_scene(seed)
        picture.save(tmp_path / f"{seed}.jpg", quality=95)
        np.savez(tmp_path / f"{seed}.npz", owner, owner)
    (tmp_path / "figures.json").write_text(json.dumps({"layer2": {"seed": 3, "rows": []}, "layer3": {"seed": 4}}))
    figures.main(
        ["--validation", str(tmp_path), "--output", str(tmp_path), "--stage", "layer2", "--detail", "fine", "coarse"]
    )
    written = json.loads((tmp_path / "figures.json").read_text())
    assert written["layer3"] == {"seed": 4}
    layer2 = written["layer2"]
    assert (layer2["seed"], layer2["stem"], layer2["longest_side"]) == (3, "bundled", 64)
    assert layer2["coarse"] == layer2["fine"]
    fine = layer2["fine"]
    assert fine["grid"] == [6, 8]
    assert fine["rows"] == layer2["rows"]
    assert [row["mechanism"] for row in fine["rows"]] == list(grouping_auc.ROWS)
    assert {row["mechanism"] for row in fine["paired"]} == {*grouping_auc.ROWS} - {"attn_position"}
    assert set(fine["segment_error"]) == {"random", *grouping_auc.TRAINED}
    aucs = {row["mechanism"]: row["auc"] for row in fine["rows"]}
    differences = {row["mechanism"]: row["difference"] for row in fine["paired"]}
    assert differences["se"] == pytest.approx(aucs["attn_position"] - aucs["se"])
    assert aucs["people"] == 1
